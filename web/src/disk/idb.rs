//! The few words of IndexedDB that the disk uses: open, transactions, keys and numbers.
//!
//! Handlers are the functions of a promise wherever possible: no closure to keep alive, and a
//! future that is dropped half-way leaves nothing dangling.

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Event, IdbDatabase, IdbFactory, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction,
};

use super::batch::Store;
use super::error::{Fault, OpenError};

/// The schema that this page knows.
const VERSION: u32 = 1;
/// The store of the cluster record.
pub(super) const META: &str = "meta";
/// Keys of [`META`].
pub(super) const CLUSTER: &str = "cluster";
pub(super) const EPOCH: &str = "epoch";
pub(super) const SEQUENCE: &str = "sequence";

/// 2⁵³ − 1, JavaScript's `Number.MAX_SAFE_INTEGER`: above it, numbers have gaps.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

#[wasm_bindgen]
extern "C" {
    /// An open database. web-sys has `transaction` with options behind an unstable flag only.
    #[derive(Clone, Debug)]
    #[wasm_bindgen(extends = IdbDatabase)]
    pub(super) type Database;

    #[wasm_bindgen(catch, method)]
    fn transaction(
        this: &Database,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}

impl Database {
    /// A transaction over all stores that is complete only when the bytes are on the medium.
    /// The default is relaxed: handed to the operating system, and gone in a power cut.
    pub(super) fn write(&self) -> Result<IdbTransaction, Fault> {
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        let stores = store_names().map(JsValue::from).collect();
        Ok(self.transaction(&stores, "readwrite", &options)?)
    }
}

fn store_names() -> impl Iterator<Item = &'static str> {
    Store::ALL.into_iter().map(Store::name).chain([META])
}

/// Opens the database, creating its stores if it is new.
pub(super) async fn open(name: &str) -> Result<Database, OpenError> {
    let request = factory()?.open_with_u32(name, VERSION).map_err(Fault::from)?;
    // A handler that throws aborts the upgrade, and the request then fails.
    let opening = request.clone();
    let upgrade = Closure::once_into_js(move || create_stores(&opening));
    request.set_onupgradeneeded(Some(upgrade.unchecked_ref()));
    let opened = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
        request.set_onblocked(Some(&reject));
    });
    match JsFuture::from(opened).await {
        Ok(_) => {
            let database = request.result().map_err(Fault::from)?;
            Ok(database.unchecked_into())
        }
        Err(event) if event.unchecked_ref::<Event>().type_() == "blocked" => {
            abandon(&request);
            Err(OpenError::Blocked)
        }
        Err(_) => Err(failure(&request).into()),
    }
}

/// `window.indexedDB`: missing in some browsers, and a throwing getter in others.
fn factory() -> Result<IdbFactory, OpenError> {
    let window = web_sys::window().ok_or(OpenError::Missing)?;
    match window.indexed_db() {
        Ok(factory) => factory.ok_or(OpenError::Missing),
        Err(thrown) => Err(OpenError::Denied(thrown.into())),
    }
}

fn create_stores(request: &IdbOpenDbRequest) -> Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    for name in store_names() {
        database.create_object_store(name)?;
    }
    Ok(())
}

/// Closes a database that opens after we have stopped waiting for it.
fn abandon(request: &IdbOpenDbRequest) {
    let late = request.clone();
    let close = Closure::once_into_js(move || {
        if let Ok(database) = late.result() {
            database.unchecked_ref::<IdbDatabase>().close();
        }
    });
    request.set_onsuccess(Some(close.unchecked_ref()));
}

/// Resolves when the request has its answer. Its transaction is open for more requests until the
/// next await.
pub(super) async fn answered(request: &IdbRequest) -> Result<(), Fault> {
    let answer = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    JsFuture::from(answer).await.map(drop).map_err(|_| failure(request))
}

/// Why a request failed: if an earlier one has aborted the transaction, because of that.
fn failure(request: &IdbRequest) -> Fault {
    let first = request.transaction().and_then(|transaction| transaction.error());
    let own = || request.error().ok().flatten();
    match first.or_else(own) {
        Some(exception) => JsValue::from(exception).into(),
        None => Fault::new("Error", "no reason given"),
    }
}

/// Resolves when the transaction is complete; an abort is a fault, and nothing happened.
///
/// Requests that fail bubble up as `error` and end in `abort`, so that these two are all.
pub(super) async fn complete(transaction: &IdbTransaction) -> Result<(), Fault> {
    let ended = Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    });
    let outcome = JsFuture::from(ended).await;
    outcome.map(drop).map_err(|_| match transaction.error() {
        Some(exception) => JsValue::from(exception).into(),
        None => Fault::new("AbortError", "the transaction was aborted"),
    })
}

/// One of the transaction's stores.
pub(super) fn store(transaction: &IdbTransaction, name: &str) -> Result<IdbObjectStore, Fault> {
    Ok(transaction.object_store(name)?)
}

/// The key `[peer, bytes]`; none if the peer's id is above [`NUMBER_MAX`]. Such keys order by peer
/// first and then bytewise, as the engines do.
pub(super) fn key(peer: u64, bytes: &[u8]) -> Option<JsValue> {
    let bytes = Uint8Array::from(bytes);
    (peer <= NUMBER_MAX).then(|| Array::of2(&number(peer), &bytes).into())
}

/// As a JavaScript number; exact up to [`NUMBER_MAX`].
pub(super) fn number(value: u64) -> JsValue {
    JsValue::from_f64(value as f64)
}

/// A JavaScript number that is exactly a whole number from 0 to [`NUMBER_MAX`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
pub(super) fn whole(value: &JsValue) -> Option<u64> {
    let value = value.as_f64()?;
    let exact = value.fract() == 0.0 && (0.0..=NUMBER_MAX as f64).contains(&value);
    exact.then_some(value as u64)
}

/// A stored counter. One that is not there yet, or makes no sense, is 0.
pub(super) fn count(stored: Result<JsValue, JsValue>) -> u64 {
    stored.ok().and_then(|value| whole(&value)).unwrap_or(0)
}
