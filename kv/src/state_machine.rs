//! The state machine's records, with a fingerprint by which replicas are compared.

use std::ops::Deref;

use bytes::Bytes;

use crate::engine::{MemEngine, Record, ViewId};
use crate::key::Key;
use crate::keys;

/// The kv engine as a peer sees it, what is not durable yet included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateMachine {
    engine: MemEngine,
    /// Sum of the fingerprints of all records that are part of the state machine.
    fingerprint: u64,
}

impl StateMachine {
    pub(crate) fn new(engine: MemEngine) -> Self {
        let all = engine.iter().map(|(key, value)| fingerprint(key, value));
        let fingerprint = all.fold(0, u64::wrapping_add);
        Self { engine, fingerprint }
    }

    /// A fingerprint of the users' data and the sessions, whatever the order in which they were
    /// written. Replicas that have applied the same have the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Writes `value` at `key`.
    pub(crate) fn put(&mut self, key: &Key, value: Bytes) {
        let now = fingerprint(key, &value);
        let before = self.engine.put(key.clone(), value);
        self.changed(key, before.as_ref(), now);
    }

    /// Removes `key`.
    pub(crate) fn delete(&mut self, key: &Key) {
        let before = self.engine.delete(key);
        self.changed(key, before.as_ref(), 0);
    }

    fn changed(&mut self, key: &Key, before: Option<&Bytes>, now: u64) {
        let before = before.map_or(0, |value| fingerprint(key, value));
        self.fingerprint = self.fingerprint.wrapping_add(now).wrapping_sub(before);
    }

    /// See [`MemEngine::open_view`].
    pub(crate) fn open_view(&mut self, ranges: impl IntoIterator<Item = (Key, Key)>) -> ViewId {
        self.engine.open_view(ranges)
    }

    /// See [`MemEngine::read_view`].
    pub(crate) fn read_view(&mut self, id: ViewId, bytes_min: usize) -> Vec<Record> {
        self.engine.read_view(id, bytes_min)
    }

    /// See [`MemEngine::close_view`].
    pub(crate) fn close_view(&mut self, id: ViewId) {
        self.engine.close_view(id);
    }
}

impl Deref for StateMachine {
    type Target = MemEngine;

    fn deref(&self) -> &MemEngine {
        &self.engine
    }
}

/// Fingerprint of one record; 0 if it is no part of the state machine.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    if !keys::is_state(key) {
        return 0;
    }
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed ^ (mixed >> 32)
    };
    let fold = |hash: u64, bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        mix(mix(hash, u64::from_le_bytes(last)), bytes.len() as u64)
    };
    fold(fold(0x9E37_79B9_7F4A_7C15, key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_tells_what_there_is_and_not_how_it_came() {
        let key = |key: &'static str| keys::data("default", key.as_bytes());
        let mut engine = StateMachine::default();
        let empty = engine.fingerprint();
        engine.put(&key("a"), Bytes::from("1"));
        engine.put(&key("b"), Bytes::from("2"));
        let both = engine.fingerprint();
        let mut other = StateMachine::default();
        for (name, value) in [("b", "3"), ("c", "1"), ("a", "1"), ("b", "2")] {
            other.put(&key(name), Bytes::from(value));
        }
        assert_ne!(other.fingerprint(), both);
        other.delete(&key("c"));
        assert_eq!(other.fingerprint(), both);
        other.put(&keys::apply_state(1), Bytes::from("where it stands is another matter"));
        assert_eq!(other.fingerprint(), both);
        other.put(&keys::session(1, 7), Bytes::from("sessions are part of it"));
        assert_ne!(other.fingerprint(), both);
        engine.delete(&key("a"));
        engine.delete(&key("b"));
        assert_eq!(engine.fingerprint(), empty);
        engine.put(&key("ab"), Bytes::from("c"));
        other = StateMachine::new([(key("a"), Bytes::from("bc"))].into_iter().collect());
        assert_ne!(engine.fingerprint(), other.fingerprint());
    }
}
