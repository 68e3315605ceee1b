//! Ordered maps that hold a peer's records, and the batches that change them.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};

/// Puts and deletes that take effect together, in order. An empty value is a value, not a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    writes: Vec<(Bytes, Option<Bytes>)>,
}

impl WriteBatch {
    /// Writes `value` at `key`.
    pub fn put(&mut self, key: Bytes, value: Bytes) {
        self.writes.push((key, Some(value)));
    }

    /// Writes an encoded message at `key`.
    pub fn put_message(&mut self, key: Bytes, message: &impl Message) {
        self.put(key, message.encode_to_vec().into());
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Bytes) {
        self.writes.push((key, None));
    }

    /// Appends the writes of `other`.
    pub fn extend(&mut self, other: Self) {
        self.writes.extend(other.writes);
    }

    /// The writes in order; none is a delete.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.writes.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// An ordered map in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemEngine {
    records: BTreeMap<Bytes, Bytes>,
}

impl MemEngine {
    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.records.get(key)
    }

    /// The message at `key`; none if there is no such key.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the value does not decode.
    pub fn get_message<M: Message + Default>(&self, key: &[u8]) -> Result<Option<M>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        M::decode(value.clone()).map(Some).map_err(|error| Error::corrupt(key, &error))
    }

    /// Records from `start` up to but without `end`, in key order.
    pub fn range<'a>(
        &'a self,
        start: &[u8],
        end: &[u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        // An inverted range is empty, where the map itself would panic.
        let bounds = (Bound::Included(start), Bound::Excluded(end.max(start)));
        self.records.range::<[u8], _>(bounds)
    }

    /// All records in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.records.iter()
    }

    /// Applies a batch.
    pub fn write(&mut self, batch: &WriteBatch) {
        for (key, value) in &batch.writes {
            match value {
                Some(value) => self.records.insert(key.clone(), value.clone()),
                None => self.records.remove(key),
            };
        }
    }
}

impl FromIterator<(Bytes, Bytes)> for MemEngine {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(records: I) -> Self {
        Self { records: records.into_iter().collect() }
    }
}

/// A peer's two engines: the log in one, the state machine in the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engines {
    /// Log entries and `RaftLocalState`.
    pub raft: MemEngine,
    /// User data, `RaftApplyState` and `RegionLocalState`.
    pub kv: MemEngine,
}

impl Engines {
    /// Applies both batches.
    pub fn write(&mut self, batches: &Batches) {
        self.raft.write(&batches.raft);
        self.kv.write(&batches.kv);
    }
}

/// A batch for each engine. They are one atomic unit: either both are durable or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// For the raft engine.
    pub raft: WriteBatch,
    /// For the kv engine.
    pub kv: WriteBatch,
}

impl Batches {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.raft.is_empty() && self.kv.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_batch_takes_effect_in_order() {
        let mut batch = WriteBatch::default();
        batch.put(bytes("a"), bytes("1"));
        batch.put(bytes("b"), bytes(""));
        batch.delete(bytes("a"));
        batch.put(bytes("c"), bytes("1"));
        batch.put(bytes("c"), bytes("2"));
        let mut engine = MemEngine::default();
        engine.write(&batch);
        assert_eq!(engine.get(b"a"), None);
        assert_eq!(engine.get(b"b"), Some(&bytes("")), "an empty value is a value");
        assert_eq!(engine.get(b"c"), Some(&bytes("2")));
    }

    #[test]
    fn a_range_is_half_open_and_an_inverted_one_is_empty() {
        let engine: MemEngine =
            ["a", "b", "c"].into_iter().map(|key| (bytes(key), bytes("x"))).collect();
        let keys = |start: &str, end: &str| {
            engine
                .range(start.as_bytes(), end.as_bytes())
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(keys("a", "c"), ["a", "b"]);
        assert_eq!(keys("c", "a"), [""; 0]);
    }
}
