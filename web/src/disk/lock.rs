//! The Web Lock that lets one tab at a time have the disk.

use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::error::{Fault, Loss, OpenError};
use super::watch::Watch;

/// How long to wait for a lock that is held. A tab that is being reloaded or closed keeps its lock
/// for a moment; one that is alive keeps it for good.
const PATIENCE_MS: u32 = 1_000;

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`. web-sys has it behind an unstable flag only.
    type LockManager;

    #[wasm_bindgen(catch, method)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &Object,
        granted: &Function,
    ) -> Result<Promise, JsValue>;

    type AbortSignal;

    #[wasm_bindgen(catch, static_method_of = AbortSignal)]
    fn timeout(after_ms: u32) -> Result<AbortSignal, JsValue>;
}

/// The lock, held until this is dropped.
pub(super) struct TabLock {
    /// Settles the promise that the browser holds the lock for.
    release: Option<Function>,
}

impl Drop for TabLock {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}

/// Takes the lock, from another tab if `steal`. None if there are no Web Locks: old browsers, and
/// pages that come over plain HTTP.
pub(super) async fn take(
    name: &str,
    steal: bool,
    watch: &Rc<Watch>,
) -> Result<Option<TabLock>, OpenError> {
    let Some(manager) = manager() else {
        return Ok(None);
    };
    let options = options(steal).map_err(Fault::from)?;
    let mut release = None;
    let held = Promise::new(&mut |resolve, _| release = Some(resolve));
    // If this future is dropped before the lock is granted, `held` is settled by then.
    let lock = TabLock { release };
    let answer = Promise::new(&mut |resolve, reject| {
        let granted = granted(held.clone(), resolve);
        match manager.request(name, &options, &granted) {
            Ok(ended) => follow(ended, reject, Rc::clone(watch)),
            Err(thrown) => drop(reject.call1(&JsValue::NULL, &thrown)),
        }
    });
    match JsFuture::from(answer).await {
        Ok(lock) if lock.is_null() => Err(OpenError::Held),
        Ok(_) => Ok(Some(lock)),
        Err(thrown) => Err(refusal(thrown.into())),
    }
}

fn manager() -> Option<LockManager> {
    let navigator = web_sys::window()?.navigator();
    let manager = Reflect::get(&navigator, &"locks".into()).ok()?;
    (!manager.is_undefined()).then(|| manager.unchecked_into())
}

fn options(steal: bool) -> Result<Object, JsValue> {
    let options = Object::new();
    let (option, value) = match (steal, AbortSignal::timeout(PATIENCE_MS)) {
        (true, _) => ("steal", JsValue::TRUE),
        (false, Ok(signal)) => ("signal", signal.into()),
        // Safari 15: no waiting, then.
        (false, Err(_)) => ("ifAvailable", JsValue::TRUE),
    };
    Reflect::set(&options, &option.into(), &value)?;
    Ok(options)
}

/// What the browser calls with the lock, or with null if it is not available.
fn granted(held: Promise, answer: Function) -> Function {
    let granted = Closure::once_into_js(move |lock: JsValue| {
        let _ = answer.call1(&JsValue::NULL, &lock);
        if lock.is_null() { lock } else { held.into() }
    });
    granted.unchecked_into()
}

/// Waits for the end of the lock: refused, stolen or let go.
fn follow(ended: Promise, refuse: Function, watch: Rc<Watch>) {
    spawn_local(async move {
        if let Err(thrown) = JsFuture::from(ended).await {
            // Once the lock was granted, `refuse` does nothing and this is a theft.
            let _ = refuse.call1(&JsValue::NULL, &thrown);
            watch.lose(Loss::Fenced);
        }
    });
}

fn refusal(fault: Fault) -> OpenError {
    match fault.name.as_str() {
        // The signal's time-out, under its two names.
        "TimeoutError" | "AbortError" => OpenError::Held,
        _ => fault.into(),
    }
}
