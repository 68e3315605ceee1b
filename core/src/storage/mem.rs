//! A storage in memory, for tests and for drivers that keep their own disk image.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{RaftState, Storage, count_within};
use crate::EntryId;
use crate::error::StorageError;
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};

/// A log, a hard state and a snapshot in memory (TinyKV's `MemoryStorage`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemStorage {
    hard_state: HardState,
    snapshot: Snapshot,
    /// The last entry that is no longer in the log.
    truncated: EntryId,
    entries: Vec<Entry>,
}

impl MemStorage {
    /// An empty storage: term 0, no members, and a log that starts at index 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log with these voters.
    pub fn with_voters(voters: impl Into<Vec<u64>>) -> Self {
        let mut storage = Self::new();
        storage.set_conf_state(ConfState { voters: voters.into(), ..ConfState::default() });
        storage
    }

    /// Replaces term, vote and commit index.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Replaces the members.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.snapshot.metadata.get_or_insert_default().conf_state = Some(conf_state);
    }

    /// The last entry that is no longer in the log.
    pub fn truncated(&self) -> EntryId {
        self.truncated
    }

    /// The whole log in order.
    pub fn all_entries(&self) -> &[Entry] {
        &self.entries
    }

    fn first(&self) -> u64 {
        self.truncated.index + 1
    }

    fn last(&self) -> u64 {
        self.truncated.index + self.entries.len() as u64
    }

    fn snapshot_index(&self) -> u64 {
        self.snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index)
    }

    /// Position of `index` in `entries`.
    fn position(&self, index: u64) -> Result<usize, StorageError> {
        let offset = index.checked_sub(self.first()).ok_or(StorageError::Compacted)?;
        match usize::try_from(offset) {
            Ok(position) if position < self.entries.len() => Ok(position),
            _ => Err(StorageError::Unavailable),
        }
    }

    /// Replaces the whole log by a snapshot.
    ///
    /// # Errors
    /// [`StorageError::SnapshotOutOfDate`] if the one already there is as new; nothing changes.
    pub fn apply_snapshot(&mut self, snapshot: Snapshot) -> Result<(), StorageError> {
        let metadata = snapshot.metadata.as_ref();
        let included = metadata.map_or(EntryId::default(), |m| EntryId::new(m.term, m.index));
        if self.snapshot_index() >= included.index {
            return Err(StorageError::SnapshotOutOfDate);
        }
        self.truncated = included;
        self.entries.clear();
        self.snapshot = snapshot;
        Ok(())
    }

    /// Makes a snapshot at `index` of the state `data`, with new members if given. The log stays as
    /// it is.
    ///
    /// # Errors
    /// [`StorageError::SnapshotOutOfDate`] if the one already there is as new,
    /// [`StorageError::Unavailable`] beyond the log.
    pub fn create_snapshot(
        &mut self,
        index: u64,
        conf_state: Option<ConfState>,
        data: impl Into<Bytes>,
    ) -> Result<&Snapshot, StorageError> {
        if index <= self.snapshot_index() {
            return Err(StorageError::SnapshotOutOfDate);
        }
        let term = self.term(index)?;
        let metadata = self.snapshot.metadata.get_or_insert_default();
        (metadata.index, metadata.term) = (index, term);
        if conf_state.is_some() {
            metadata.conf_state = conf_state;
        }
        self.snapshot.data = data.into();
        Ok(&self.snapshot)
    }

    /// Drops the log up to and including `index`. The caller has a snapshot or does not need the
    /// entries.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] if that is done already, [`StorageError::Unavailable`] beyond
    /// the log.
    pub fn compact(&mut self, index: u64) -> Result<(), StorageError> {
        let position = self.position(index)?;
        self.truncated = EntryId::new(self.entries[position].term, index);
        self.entries.drain(..=position);
        Ok(())
    }

    /// Appends entries, replacing what stands at their indices and after. Entries that are already
    /// folded into a snapshot are skipped.
    ///
    /// # Errors
    /// [`StorageError::Gap`] if they do not connect to the log; nothing changes.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let skip = self.make_room(entries)?;
        self.entries.extend_from_slice(&entries[skip..]);
        Ok(())
    }

    /// [`append`](Self::append) without copying: `entries` is empty afterwards and keeps its
    /// memory.
    ///
    /// # Errors
    /// As [`append`](Self::append); then `entries` is as before.
    pub fn append_from(&mut self, entries: &mut Vec<Entry>) -> Result<(), StorageError> {
        let skip = self.make_room(entries)?;
        entries.drain(..skip);
        self.entries.append(entries);
        Ok(())
    }

    /// Drops what `entries` replace. Returns how many of them are folded into a snapshot already.
    fn make_room(&mut self, entries: &[Entry]) -> Result<usize, StorageError> {
        let skip = entries.partition_point(|entry| entry.index < self.first());
        let Some(first_new) = entries.get(skip).map(|entry| entry.index) else {
            return Ok(entries.len());
        };
        if first_new > self.last() + 1 {
            return Err(StorageError::Gap { last: self.last(), first: first_new });
        }
        let keep = self.position(first_new).unwrap_or(self.entries.len());
        self.entries.truncate(keep);
        Ok(skip)
    }
}

impl Storage for MemStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        let metadata = self.snapshot.metadata.as_ref();
        let conf_state = metadata.and_then(|m| m.conf_state.clone()).unwrap_or_default();
        Ok(RaftState { hard_state: self.hard_state, conf_state })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if low >= high {
            return if low < self.first() { Err(StorageError::Compacted) } else { Ok(Vec::new()) };
        }
        let (from, to) = (self.position(low)?, self.position(high - 1)?);
        let range = &self.entries[from..=to];
        Ok(range[..count_within(range, max_size)].to_vec())
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        Ok(self.entries[self.position(index)?].term)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.last())
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(self.snapshot.clone())
    }
}
