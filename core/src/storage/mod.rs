//! What a peer has on disk, as the core sees it.
//!
//! The core reads through [`Storage`] and never writes: what must be written leaves in a
//! [`Ready`](crate::Ready), and the driver decides how and when.

mod mem;

use alloc::vec::Vec;

pub use self::mem::MemStorage;
use crate::EntryId;
use crate::error::StorageError;
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};

/// What a peer starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RaftState {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The members.
    pub conf_state: ConfState,
}

/// The durable log and state of one peer (TinyKV's `Storage`).
///
/// The log is contiguous: entries `first_index()..=last_index()`, and the term of `first_index() -
/// 1` is still known.
pub trait Storage {
    /// Term, vote, commit index and members as of the last write.
    ///
    /// # Errors
    /// Whatever keeps the storage from reading them; the peer does not start.
    fn initial_state(&self) -> Result<RaftState, StorageError>;

    /// Entries `low..high` in order, as many as fit in `max_size` bytes of encoding but at least
    /// one.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] below the first index, [`StorageError::Unavailable`] beyond the
    /// last.
    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError>;

    /// Term of the entry at `index`, for `first_index() - 1..=last_index()`.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] below that range, [`StorageError::Unavailable`] above it.
    fn term(&self, index: u64) -> Result<u64, StorageError>;

    /// Index of the first entry that is still in the log.
    ///
    /// # Errors
    /// Whatever keeps the storage from reading it.
    fn first_index(&self) -> Result<u64, StorageError>;

    /// Index of the last entry; `first_index() - 1` if there are none.
    ///
    /// # Errors
    /// Whatever keeps the storage from reading it.
    fn last_index(&self) -> Result<u64, StorageError>;

    /// The latest snapshot.
    ///
    /// # Errors
    /// [`StorageError::SnapshotTemporarilyUnavailable`] while it is being made: the core asks again
    /// later.
    fn snapshot(&self) -> Result<Snapshot, StorageError>;

    /// A snapshot for peer `_to` that reaches `index` or beyond, because its state machine is
    /// damaged (raft-rs `request_snapshot`). A storage that makes snapshots on demand starts one
    /// here.
    ///
    /// # Errors
    /// [`StorageError::SnapshotTemporarilyUnavailable`] if there is none yet.
    fn snapshot_reaching(&self, index: u64, _to: u64) -> Result<Snapshot, StorageError> {
        let snapshot = self.snapshot()?;
        if EntryId::of_snapshot(&snapshot).index < index {
            return Err(StorageError::SnapshotTemporarilyUnavailable);
        }
        Ok(snapshot)
    }
}

/// Keeps the longest prefix of `entries` that encodes to at most `max_size` bytes, but at least one
/// entry.
pub fn limit_size(entries: &mut Vec<Entry>, max_size: u64) {
    entries.truncate(count_within(entries, max_size));
}

/// Bytes that `entry` takes in a message, up to the length of its own length.
pub(crate) fn encoded_size(entry: &Entry) -> u64 {
    prost::Message::encoded_len(entry) as u64
}

/// More than `entries` take in a message, found without encoding their numbers.
pub(crate) fn bound(entries: &[Entry]) -> u64 {
    /// Tags and numbers of an entry never take more than this.
    const OVERHEAD: usize = 64;
    let bound = |entry: &Entry| (entry.data.len() + entry.context.len() + OVERHEAD) as u64;
    entries.iter().map(bound).sum()
}

/// How many entries, at least one if there is one, encode to at most `max_size` bytes.
pub(crate) fn count_within(entries: &[Entry], max_size: u64) -> usize {
    if max_size == u64::MAX || bound(entries) <= max_size {
        return entries.len();
    }
    let mut total = 0u64;
    entries
        .iter()
        .enumerate()
        .take_while(|(position, entry)| {
            total = total.saturating_add(encoded_size(entry));
            *position == 0 || total <= max_size
        })
        .count()
}

#[cfg(test)]
mod tests;
