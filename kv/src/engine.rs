//! Ordered maps that hold a peer's records, and the batches that change them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};
use crate::key::Key;

/// A key and what is written there.
pub type Record = (Key, Bytes);

/// Puts and deletes that take effect together, in order. An empty value is a value, not a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    writes: Vec<(Key, Option<Bytes>)>,
}

impl WriteBatch {
    /// Writes `value` at `key`.
    pub fn put(&mut self, key: Key, value: Bytes) {
        self.writes.push((key, Some(value)));
    }

    /// Writes an encoded message at `key`.
    pub fn put_message(&mut self, key: Key, message: &impl Message) {
        self.put(key, message.encode_to_vec().into());
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Key) {
        self.writes.push((key, None));
    }

    /// Appends the writes of `other`.
    pub fn extend(&mut self, other: Self) {
        self.writes.extend(other.writes);
    }

    /// The writes in order; none is a delete.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>)> {
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

/// An ordered map in memory, which can be read as it was at some moment while it changes.
#[derive(Clone, Debug, Default)]
pub struct MemEngine {
    records: BTreeMap<Key, Bytes>,
    views: Vec<View>,
    opened: u64,
}

/// Names a view of a [`MemEngine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewId(u64);

/// Some ranges of an engine as they were when the view was opened. Opening one copies nothing: what
/// is overwritten before it was read is kept.
#[derive(Clone, Debug)]
struct View {
    id: ViewId,
    /// What is still to be read, in order.
    ranges: VecDeque<(Key, Key)>,
    /// What the keys that changed since held then; none if they were absent.
    kept: BTreeMap<Key, Option<Bytes>>,
}

impl MemEngine {
    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        // Keys of this kind are compared faster.
        match Key::short(key) {
            Some(key) => self.records.get(&key),
            None => self.records.get(key),
        }
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
    ) -> impl Iterator<Item = (&'a Key, &'a Bytes)> + use<'a> {
        self.records.range::<[u8], _>(bounds(start, end))
    }

    /// All records in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.records.iter()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes `value` at `key`. Returns what was there.
    pub fn put(&mut self, key: Key, value: Bytes) -> Option<Bytes> {
        self.keep(&key);
        self.records.insert(key, value)
    }

    /// Removes `key`. Returns what was there.
    pub fn delete(&mut self, key: &Key) -> Option<Bytes> {
        self.keep(key);
        self.records.remove(key)
    }

    /// Applies a batch.
    pub fn write(&mut self, batch: &WriteBatch) {
        for (key, value) in &batch.writes {
            match value {
                Some(value) => self.put(key.clone(), value.clone()),
                None => self.delete(key),
            };
        }
    }

    /// Opens a view of these ranges, which must be in order and apart. Close it, or it keeps what
    /// changes for ever.
    pub fn open_view(&mut self, ranges: impl IntoIterator<Item = (Key, Key)>) -> ViewId {
        self.opened += 1;
        let id = ViewId(self.opened);
        let ranges = ranges.into_iter().collect();
        self.views.push(View { id, ranges, kept: BTreeMap::new() });
        id
    }

    /// The next records of a view in key order, until they have `bytes_min` bytes of keys and
    /// values or there are no more. Empty at its end, and if there is no such view.
    pub fn read_view(&mut self, id: ViewId, bytes_min: usize) -> Vec<Record> {
        let view = self.views.iter_mut().find(|view| view.id == id);
        view.map(|view| view.read(&self.records, bytes_min)).unwrap_or_default()
    }

    /// Whether a view has been read to its end.
    pub fn is_view_at_end(&self, id: ViewId) -> bool {
        self.views.iter().find(|view| view.id == id).is_none_or(|view| view.ranges.is_empty())
    }

    /// Forgets a view.
    pub fn close_view(&mut self, id: ViewId) {
        self.views.retain(|view| view.id != id);
    }

    /// A key is about to change: views that have not read it yet keep what it holds.
    fn keep(&mut self, key: &Key) {
        for view in &mut self.views {
            let unread = view.ranges.iter().any(|(start, end)| key >= start && key < end);
            if unread && !view.kept.contains_key(key) {
                let value = self.records.get(key).cloned();
                view.kept.insert(key.clone(), value);
            }
        }
    }
}

impl View {
    fn read(&mut self, records: &BTreeMap<Key, Bytes>, bytes_min: usize) -> Vec<Record> {
        let (mut read, mut bytes) = (Vec::new(), 0);
        while let Some((start, end)) = self.ranges.front_mut() {
            if bytes >= bytes_min {
                break;
            }
            let mut now = records.range::<[u8], _>(bounds(start, end)).peekable();
            let mut then = self.kept.range::<[u8], _>(bounds(start, end)).peekable();
            let key = match (now.peek(), then.peek()) {
                (Some((now, _)), Some((then, _))) => (*now).min(*then).clone(),
                (Some((key, _)), None) | (None, Some((key, _))) => (*key).clone(),
                (None, None) => {
                    self.ranges.pop_front();
                    continue;
                }
            };
            // The first key after this one.
            *start = Key::of(&[&key, &[0]]);
            let value = match self.kept.remove(&key) {
                Some(kept) => kept,
                None => records.get(&key).cloned(),
            };
            if let Some(value) = value {
                bytes += key.len() + value.len();
                read.push((key, value));
            }
        }
        // What was found to be empty is read, too.
        while self.ranges.front().is_some_and(|(start, end)| {
            records.range::<[u8], _>(bounds(start, end)).next().is_none()
                && self.kept.range::<[u8], _>(bounds(start, end)).next().is_none()
        }) {
            self.ranges.pop_front();
        }
        read
    }
}

/// A half-open range. An inverted one is empty, where the map itself would panic.
fn bounds<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(start), Bound::Excluded(end.max(start)))
}

/// Engines are equal if their records are: who reads them does not matter.
impl PartialEq for MemEngine {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl Eq for MemEngine {}

impl FromIterator<Record> for MemEngine {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut engine = Self::default();
        records.into_iter().for_each(|(key, value)| drop(engine.put(key, value)));
        engine
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
        batch.put(Key::from("a"), bytes("1"));
        batch.put(Key::from("b"), bytes(""));
        batch.delete(Key::from("a"));
        batch.put(Key::from("c"), bytes("1"));
        batch.put(Key::from("c"), bytes("2"));
        let mut engine = MemEngine::default();
        engine.write(&batch);
        assert_eq!(engine.get(b"a"), None);
        assert_eq!(engine.get(b"b"), Some(&bytes("")), "an empty value is a value");
        assert_eq!(engine.get(b"c"), Some(&bytes("2")));
    }

    #[test]
    fn a_range_is_half_open_and_an_inverted_one_is_empty() {
        let engine: MemEngine =
            ["a", "b", "c"].into_iter().map(|key| (Key::from(key), bytes("x"))).collect();
        let keys = |start: &str, end: &str| {
            engine
                .range(start.as_bytes(), end.as_bytes())
                .map(|(key, _)| key.to_bytes())
                .collect::<Vec<_>>()
        };
        assert_eq!(keys("a", "c"), ["a", "b"]);
        assert_eq!(keys("c", "a"), [""; 0]);
    }

    /// A view read in small steps, while everything changes, gives what there was at its opening.
    #[test]
    fn a_view_shows_the_past_while_the_engine_changes() {
        for bytes_min in [1, 3, 100] {
            let key = |n: u32| Key::from(&format!("k{n:02}"));
            let mut engine: MemEngine = (0..30).map(|n| (key(3 * n), key(n).to_bytes())).collect();
            let past: Vec<_> = engine.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            let wanted: Vec<_> =
                past.iter().filter(|(k, _)| *k < key(20) || *k >= key(40)).cloned().collect();
            let view = engine.open_view([(key(0), key(20)), (key(40), key(99))]);
            let mut read = Vec::new();
            for step in 0..200 {
                read.extend(engine.read_view(view, bytes_min));
                engine.put(key((step * 7) % 90), bytes("new"));
                engine.delete(&key((step * 11) % 90));
                engine.put(key((step * 13) % 90), bytes("newer"));
            }
            assert_eq!(read, wanted, "{bytes_min}");
            assert!(engine.is_view_at_end(view));
            assert_eq!(engine.views[0].kept, BTreeMap::new(), "what was read is not kept");
            engine.close_view(view);
            assert!(engine.views.is_empty());
            assert_eq!(engine.read_view(view, 1), []);
        }
    }

    #[test]
    fn a_view_of_nothing_is_at_its_end_once_it_is_read() {
        let mut engine = MemEngine::default();
        let view = engine.open_view([("a".into(), "b".into())]);
        engine.put("a1".into(), bytes("later"));
        assert_eq!(engine.read_view(view, 1), []);
        assert!(engine.is_view_at_end(view));
    }
}
