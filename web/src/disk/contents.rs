//! What a disk holds when it is opened.

use std::collections::BTreeMap;

use bytes::Bytes;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{IdbRequest, IdbTransaction};

use super::batch::Store;
use super::error::{Fault, OpenError, Warning};
use super::idb::{self, CLUSTER, EPOCH, META, SEQUENCE};
use super::witness::Mark;

/// Keys and values in key order.
type Pairs = Vec<(Bytes, Bytes)>;

/// Everything that was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The records of each peer that has any.
    pub peers: BTreeMap<u64, Records>,
    /// The cluster record; none on the first visit and after a reset.
    pub cluster: Option<Bytes>,
    /// The epoch of this opening, and the number of the last durable batch.
    pub mark: Mark,
    /// What a person should be told.
    pub warnings: Vec<Warning>,
}

/// A peer's engines, each in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The log engine.
    pub raft: Vec<(Bytes, Bytes)>,
    /// The state machine's engine.
    pub kv: Vec<(Bytes, Bytes)>,
}

/// Reads everything, and resolves while the transaction is still open for more.
pub(super) async fn read(transaction: &IdbTransaction) -> Result<Contents, OpenError> {
    let meta = idb::store(transaction, META)?;
    let [epoch, sequence, cluster] = [EPOCH, SEQUENCE, CLUSTER].map(|key| meta.get(&key.into()));
    let raft = Listing::request(transaction, Store::Raft)?;
    let kv = Listing::request(transaction, Store::Kv)?;
    // Requests are answered in order, so this is the last answer.
    idb::answered(&kv.values).await?;

    let mark = Mark { epoch: counter(EPOCH, epoch)?, sequence: counter(SEQUENCE, sequence)? };
    let mut contents = Contents { mark, cluster: record(cluster)?, ..Contents::default() };
    for (peer, pairs) in raft.decode()? {
        contents.peers.entry(peer).or_default().raft = pairs;
    }
    for (peer, pairs) in kv.decode()? {
        contents.peers.entry(peer).or_default().kv = pairs;
    }
    let empty = contents.peers.is_empty() && contents.cluster.is_none();
    if mark.epoch == 0 && !empty {
        return Err(unreadable(META, "there are records, but no epoch".into()));
    }
    Ok(contents)
}

/// Reads only what outlives an erasure, the counters. One that makes no sense is 0.
pub(super) async fn read_counters(transaction: &IdbTransaction) -> Result<Contents, OpenError> {
    let meta = idb::store(transaction, META)?;
    let get = |key: &str| meta.get(&key.into()).map_err(Fault::from);
    let (epoch, sequence) = (get(EPOCH)?, get(SEQUENCE)?);
    idb::answered(&sequence).await?;

    let [epoch, sequence] = [epoch, sequence].map(|request| idb::count(request.result()));
    Ok(Contents { mark: Mark { epoch, sequence }, ..Contents::default() })
}

/// Both lists of a store: IndexedDB has no request that gives keys with their values.
struct Listing {
    store: Store,
    keys: IdbRequest,
    values: IdbRequest,
}

impl Listing {
    fn request(transaction: &IdbTransaction, store: Store) -> Result<Self, Fault> {
        let records = idb::store(transaction, store.name())?;
        Ok(Self { store, keys: records.get_all_keys()?, values: records.get_all()? })
    }

    fn decode(&self) -> Result<BTreeMap<u64, Pairs>, OpenError> {
        let keys: Array = answer(&self.keys)?.unchecked_into();
        let values: Array = answer(&self.values)?.unchecked_into();
        let mut peers = BTreeMap::<u64, Pairs>::new();
        for (key, value) in keys.iter().zip(values.iter()) {
            let broken = |what: &str| unreadable(self.store.name(), format!("{what} {key:?}"));
            let (peer, bytes) = split(&key).ok_or_else(|| broken("the key is not ours:"))?;
            let value = plain(&value).ok_or_else(|| broken("the value is not bytes at key"))?;
            peers.entry(peer).or_default().push((bytes, value));
        }
        Ok(peers)
    }
}

/// A key `[peer, bytes]`. The bytes of a key always come back as a buffer.
fn split(key: &JsValue) -> Option<(u64, Bytes)> {
    let key = key.dyn_ref::<Array>().filter(|key| key.length() == 2)?;
    let peer = idb::whole(&key.get(0))?;
    let bytes = key.get(1).dyn_into::<ArrayBuffer>().ok()?;
    Some((peer, Uint8Array::new(&bytes).to_vec().into()))
}

fn plain(value: &JsValue) -> Option<Bytes> {
    Some(value.dyn_ref::<Uint8Array>()?.to_vec().into())
}

fn counter(key: &str, request: Result<IdbRequest, JsValue>) -> Result<u64, OpenError> {
    let value = answer(&request.map_err(Fault::from)?)?;
    if value.is_undefined() {
        return Ok(0);
    }
    idb::whole(&value).ok_or_else(|| unreadable(META, format!("the {key} is {value:?}")))
}

fn record(request: Result<IdbRequest, JsValue>) -> Result<Option<Bytes>, OpenError> {
    let value = answer(&request.map_err(Fault::from)?)?;
    if value.is_undefined() {
        return Ok(None);
    }
    let bytes = plain(&value).ok_or_else(|| unreadable(META, "the cluster is not bytes".into()))?;
    Ok(Some(bytes))
}

fn answer(request: &IdbRequest) -> Result<JsValue, OpenError> {
    request.result().map_err(|thrown| Fault::from(thrown).into())
}

fn unreadable(store: &'static str, what: String) -> OpenError {
    OpenError::Unreadable { store, what }
}
