//! A fingerprint of a run that is the same on every platform.

use prost::Message as _;
use raft_core::eraftpb::{Entry, Message};
use raft_core::proto::raft_serverpb::RaftMessage;

/// Sixty-four bits, mixed by multiplications. Every number goes in as 64 bits and bytes in
/// little-endian order, whatever the platform's own sizes. It tells runs apart; it is no protection
/// against forgery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    /// For one state no two numbers lead to the same next one.
    pub(crate) const fn number(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Bytes with their length, so that `ab, c` and `a, bc` differ.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.number(u64::from_le_bytes(last));
        }
    }

    /// A message. To encode each one for the sake of its digest costs a third of a run, so the usual
    /// ones go in field by field; pieces of snapshots, which are rare, as they travel.
    pub(crate) fn message(&mut self, message: &RaftMessage) {
        let snapshot = message.message.as_ref().is_some_and(|inner| inner.snapshot.is_some());
        let piece = message.snapshot_chunk.is_some() || message.snapshot_ack.is_some();
        match &message.message {
            Some(inner) if !snapshot && !piece && !message.is_tombstone => self.inner(inner),
            _ => self.bytes(&message.encode_to_vec()),
        }
    }

    fn inner(&mut self, message: &Message) {
        // An `i32` without its sign; every type is a small number.
        self.number(u64::from(message.msg_type.cast_unsigned()));
        self.number(message.from);
        self.number(message.to);
        self.number(message.term);
        self.number(message.log_term);
        self.number(message.index);
        self.number(message.commit);
        self.number(message.commit_term);
        self.number(message.reject_hint);
        self.number(message.request_snapshot);
        self.number(message.priority.cast_unsigned());
        self.number(u64::from(message.reject));
        self.bytes(&message.context);
        self.number(message.entries.len() as u64);
        message.entries.iter().for_each(|entry| self.entry(entry));
    }

    fn entry(&mut self, entry: &Entry) {
        self.number(u64::from(entry.entry_type.cast_unsigned()));
        self.number(entry.term);
        self.number(entry.index);
        self.bytes(&entry.data);
        self.bytes(&entry.context);
    }

    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

/// The fingerprint of `bytes` alone.
#[allow(dead_code, reason = "for checksums of records, which are written down")]
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.bytes(bytes);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_between_parts_counts() {
        let of = |parts: &[&str]| {
            let mut digest = Digest::new();
            parts.iter().for_each(|part| digest.bytes(part.as_bytes()));
            digest.value()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }

    #[test]
    fn every_byte_counts_whatever_its_place() {
        let bytes: Vec<u8> = (0..20).collect();
        let whole = fingerprint(&bytes);
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert_ne!(fingerprint(&other), whole, "byte {place}");
        }
        assert_ne!(fingerprint(&[0; 8]), fingerprint(&[0; 9]));
    }

    #[test]
    fn every_field_of_a_message_counts() {
        let of = |message: Message| {
            let mut digest = Digest::new();
            digest.message(&RaftMessage {
                message: Some(Box::new(message)),
                ..RaftMessage::default()
            });
            digest.value()
        };
        let entry = Entry { index: 1, ..Entry::default() };
        let messages = [
            Message::default(),
            Message { msg_type: 3, ..Message::default() },
            Message { term: 1, ..Message::default() },
            Message { index: 1, ..Message::default() },
            Message { commit: 1, ..Message::default() },
            Message { reject: true, ..Message::default() },
            Message { context: vec![1].into(), ..Message::default() },
            Message { entries: vec![entry.clone()], ..Message::default() },
            Message { entries: vec![Entry { term: 1, ..entry }], ..Message::default() },
            Message { snapshot: Some(Box::default()), ..Message::default() },
        ];
        let digests: std::collections::BTreeSet<_> = messages.clone().map(of).into();
        assert_eq!(digests.len(), messages.len());
    }
}
