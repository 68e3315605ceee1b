//! Snapshots on their way, in pieces.
//!
//! The core sends a `MsgSnapshot` that only says which entries it covers. The records follow in
//! pieces of 64 KiB with checksums, a few ahead of the receiver's answers and one snapshot per
//! receiver at a time, so that heartbeats and appends never wait behind them. A lost piece is sent
//! again; after an outage the sender goes on where the receiver stopped. The last piece carries the
//! `MsgSnapshot` itself: the receiver's core hears of the snapshot when all of it is there.

mod receiver;
mod sender;

use bytes::Bytes;
use prost::Message;
use raft_core::proto::raft_serverpb::{KeyValue, RaftSnapshotData};

pub(crate) use self::receiver::Receiver;
pub(crate) use self::sender::{Sender, Transfer};

/// Bytes of keys and values from which on a piece is full.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Pieces that are under way to one receiver at a time.
const WINDOW: usize = 4;

/// Some records of a snapshot.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) records: Vec<(Bytes, Bytes)>,
    pub(crate) last: bool,
}

impl Piece {
    fn encode(self) -> Bytes {
        let pair = |(key, value)| KeyValue { key, value };
        let data = self.records.into_iter().map(pair).collect();
        RaftSnapshotData { data, ..RaftSnapshotData::default() }.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests;
