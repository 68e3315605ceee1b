//! A batch of writes, and the one transaction that carries it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use web_sys::{IdbObjectStore, IdbTransaction};

use super::error::{Fault, Loss};
use super::idb::{self, CLUSTER, Database, EPOCH, META, SEQUENCE};
use super::witness::Mark;

/// A peer's engines, each an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// The log engine.
    Raft,
    /// The state machine's engine.
    Kv,
}

impl Store {
    pub(super) const ALL: [Self; 2] = [Self::Raft, Self::Kv];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Kv => "kv",
        }
    }
}

/// Puts and deletes of any peers that become durable together.
///
/// A later write to a key replaces an earlier one, so that a batch holds each key once: what it
/// leaves behind is the same as if the writes were carried out one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Empty all stores first.
    clear: bool,
    writes: BTreeMap<(Store, u64, Bytes), Option<Bytes>>,
    cluster: Option<Bytes>,
    /// How many other batches were merged into this one.
    merged: u64,
}

impl Batch {
    /// Writes `value` at `key` of one of a peer's engines.
    pub fn put(&mut self, peer: u64, store: Store, key: Bytes, value: Bytes) {
        self.writes.insert((store, peer, key), Some(value));
    }

    /// Removes `key` from one of a peer's engines. A missing key is fine.
    pub fn delete(&mut self, peer: u64, store: Store, key: Bytes) {
        self.writes.insert((store, peer, key), None);
    }

    /// Writes the cluster record.
    pub fn set_cluster(&mut self, record: Bytes) {
        self.cluster = Some(record);
    }

    /// Deletes every record stored or written in this batch so far.
    pub fn clear(&mut self) {
        self.clear = true;
        self.writes.clear();
        self.cluster = None;
    }

    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        !self.clear && self.writes.is_empty() && self.cluster.is_none()
    }

    /// Adds the writes of a batch that comes after this one.
    pub fn merge(&mut self, later: Self) {
        self.merged += later.parts();
        if later.clear {
            self.clear();
        }
        self.writes.extend(later.writes);
        self.cluster = later.cluster.or_else(|| self.cluster.take());
    }

    /// How many numbers of the stream this batch takes.
    pub(super) fn parts(&self) -> u64 {
        self.merged + 1
    }

    pub(super) fn clears(&self) -> bool {
        self.clear
    }

    /// Carries the batch out in one strict transaction, unless the stored epoch is not `epoch`.
    pub(super) async fn write(
        &self,
        database: &Database,
        epoch: u64,
        next: Mark,
    ) -> Result<(), Loss> {
        let transaction = database.write()?;
        let fenced = fence(&transaction, epoch)?;
        let outcome = self.send(&transaction, next).await;
        if fenced.get() { Err(Loss::Fenced) } else { outcome }
    }

    /// Sends the batch and resolves when its transaction is complete.
    ///
    /// All requests go out in one go, with nothing awaited in between: a transaction that has no
    /// request in flight commits on its own.
    pub(super) async fn send(&self, transaction: &IdbTransaction, next: Mark) -> Result<(), Loss> {
        if let Err(loss) = self.request(transaction, next) {
            // Only a transaction that is over already refuses, and then there is nothing to undo.
            let _ = transaction.abort();
            return Err(loss);
        }
        Ok(idb::complete(transaction).await?)
    }

    fn request(&self, transaction: &IdbTransaction, next: Mark) -> Result<(), Loss> {
        let raft = idb::store(transaction, Store::Raft.name())?;
        let kv = idb::store(transaction, Store::Kv.name())?;
        let meta = idb::store(transaction, META)?;
        if self.clear {
            clear(&raft, &kv, &meta)?;
        }
        for ((store, peer, key), value) in &self.writes {
            let key = idb::key(*peer, key).ok_or(Loss::PeerId(*peer))?;
            let store = match store {
                Store::Raft => &raft,
                Store::Kv => &kv,
            };
            match value {
                Some(value) => put(store, &key, &Uint8Array::from(value.as_ref()))?,
                None => store.delete(&key).map(drop).map_err(Fault::from)?,
            }
        }
        if let Some(record) = &self.cluster {
            put(&meta, &CLUSTER.into(), &Uint8Array::from(record.as_ref()))?;
        }
        put(&meta, &EPOCH.into(), &idb::number(next.epoch))?;
        put(&meta, &SEQUENCE.into(), &idb::number(next.sequence))
    }
}

/// Deletes all records but the counters.
fn clear(raft: &IdbObjectStore, kv: &IdbObjectStore, meta: &IdbObjectStore) -> Result<(), Fault> {
    raft.clear()?;
    kv.clear()?;
    meta.delete(&CLUSTER.into())?;
    Ok(())
}

/// Deletes whatever is stored, readable or not. Since it writes nothing, a browser that is out of
/// room does not refuse it.
pub(super) async fn erase(database: &Database) -> Result<(), Fault> {
    let transaction = database.write()?;
    let [raft, kv] = Store::ALL.map(|store| idb::store(&transaction, store.name()));
    clear(&raft?, &kv?, &idb::store(&transaction, META)?)?;
    idb::complete(&transaction).await
}

fn put(store: &IdbObjectStore, key: &JsValue, value: &JsValue) -> Result<(), Loss> {
    store.put_with_key(value, key).map(drop).map_err(|thrown| Fault::from(thrown).into())
}

/// Aborts the transaction if the stored epoch turns out not to be `epoch`, and then sets the cell.
///
/// Requests are answered in order and a transaction commits only after its last answer: whatever
/// was requested after this one is undone.
fn fence(transaction: &IdbTransaction, epoch: u64) -> Result<Rc<Cell<bool>>, Fault> {
    let fenced = Rc::new(Cell::new(false));
    let request = idb::store(transaction, META)?.get(&EPOCH.into())?;
    let check = Closure::once_into_js({
        let (transaction, fenced) = (transaction.clone(), Rc::clone(&fenced));
        let request = request.clone();
        move || {
            if idb::count(request.result()) != epoch {
                fenced.set(true);
                let _ = transaction.abort();
            }
        }
    });
    request.set_onsuccess(Some(check.unchecked_ref()));
    Ok(fenced)
}
