//! The replicated log of one peer: what is on disk, what is not yet, and how far it is committed
//! and applied.
//!
//! ```text
//!  snapshot/truncated │ first ...... applied ...... committed ...... last
//!                     │ ........ stabled │ stabled+1 ............... last
//!                     └──── storage ─────┘└───────── unstable ──────────┘
//! ```
//!
//! - `truncated < first <= applied + 1`, `applied <= committed <= last`.
//! - `stabled` may lie on either side of `committed` (see [`SelfAck`](crate::SelfAck)).
//! - Indices are positions in the replicated log, never in a vector; all conversions check for
//!   underflow.

mod unstable;

use alloc::vec::Vec;

use self::unstable::Unstable;
use crate::EntryId;
use crate::error::{Result, StorageError};
use crate::proto::eraftpb::{Entry, Snapshot};
use crate::rules::Rules;
use crate::storage::{Storage, count_within};

/// The log of one peer.
#[derive(Clone, Debug)]
pub struct RaftLog<S> {
    storage: S,
    unstable: Unstable,
    committed: u64,
    applied: u64,
    /// Highest index handed out for application; `applied` follows when the application is done.
    applying: u64,
}

impl<S: Storage> RaftLog<S> {
    /// Recovers the log from `storage`: committed and applied up to the latest snapshot (TinyKV
    /// `newLog`).
    ///
    /// # Errors
    /// A storage that cannot be read, or whose last index lies before its first.
    pub fn new(storage: S) -> Result<Self> {
        let (first, last) = (storage.first_index()?, storage.last_index()?);
        let truncated = first.saturating_sub(1);
        if first == 0 || last < truncated || last > EntryId::LIMIT {
            let (min, max) = (truncated, EntryId::LIMIT);
            let what = "last index";
            return Err(StorageError::Inconsistent { what, value: last, min, max }.into());
        }
        Ok(Self {
            storage,
            unstable: Unstable::new(last + 1),
            committed: truncated,
            applied: truncated,
            applying: truncated,
        })
    }

    /// The durable part.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The durable part, for the driver to write to.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Highest index known to be committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Highest index that the application has applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Highest index that is known to be persisted as it stands in this log (TinyKV `stabled`).
    pub fn stabled(&self) -> u64 {
        self.unstable.offset() - 1
    }

    /// Index of the first entry that is not folded into a snapshot.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn first_index(&self) -> Result<u64, StorageError> {
        match self.unstable.snapshot_id() {
            Some(id) => Ok(id.index + 1),
            None => self.storage.first_index(),
        }
    }

    /// Index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.unstable.last_index()
    }

    /// Term of the last entry.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn last_term(&self) -> Result<u64, StorageError> {
        self.term(self.last_index())
    }

    /// The last entry's term and index.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn last_id(&self) -> Result<EntryId, StorageError> {
        Ok(EntryId::new(self.last_term()?, self.last_index()))
    }

    /// Term of the entry at `index`, also for the one just before the first.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] below that, [`StorageError::Unavailable`] beyond the last.
    pub fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index > self.last_index() {
            return Err(StorageError::Unavailable);
        }
        if let Some(term) = self.unstable.term(index) {
            return Ok(term);
        }
        if index + 1 < self.first_index()? {
            return Err(StorageError::Compacted);
        }
        self.storage.term(index)
    }

    /// Whether the entry at `id.index` is known and has `id.term`.
    pub fn holds(&self, id: EntryId) -> bool {
        self.term(id.index) == Ok(id.term)
    }

    /// Entries `low..high`, as many as fit in `max_size` bytes but at least one.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] below the first index, [`StorageError::Unavailable`] beyond the
    /// last.
    pub fn slice(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if low < self.first_index()? {
            return Err(StorageError::Compacted);
        }
        if high > self.last_index() + 1 {
            return Err(StorageError::Unavailable);
        }
        let offset = self.unstable.offset();
        let mut entries = Vec::new();
        if low < offset.min(high) {
            entries = self.storage.entries(low, offset.min(high), max_size)?;
            let wanted = offset.min(high) - low;
            if (entries.len() as u64) < wanted {
                return Ok(entries);
            }
        }
        if high > offset {
            let tail = self.unstable.slice(low.max(offset), high);
            if entries.is_empty() {
                entries.extend_from_slice(&tail[..count_within(tail, max_size)]);
            } else {
                entries.extend_from_slice(tail);
                crate::storage::limit_size(&mut entries, max_size);
            }
        }
        Ok(entries)
    }

    /// Everything that is not folded into a snapshot (TinyKV `allEntries`).
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn all_entries(&self) -> Result<Vec<Entry>, StorageError> {
        self.slice(self.first_index()?, self.last_index() + 1, u64::MAX)
    }

    /// Entries that are not known to be persisted (TinyKV `unstableEntries`).
    pub fn unstable_entries(&self) -> &[Entry] {
        self.unstable.entries()
    }

    /// The incoming snapshot that is not known to be persisted (TinyKV `pendingSnapshot`).
    pub fn pending_snapshot(&self) -> Option<&Snapshot> {
        self.unstable.snapshot()
    }

    /// The newest snapshot: the incoming one, else the storage's.
    ///
    /// # Errors
    /// [`StorageError::SnapshotTemporarilyUnavailable`] while the storage makes one.
    pub fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.unstable.snapshot().cloned().map_or_else(|| self.storage.snapshot(), Ok)
    }

    /// A leader's append of entries that continue the log. Returns the new last index.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) -> u64 {
        self.unstable.truncate_and_append(entries);
        self.last_index()
    }

    /// A follower's append: if the log holds `previous`, drops what conflicts with `entries`,
    /// appends what is new and commits as far as the leader confirms. Returns the last index
    /// that is now known to match, or none if `previous` is not held and nothing changed (paper
    /// figure 2, AppendEntries 2–5).
    ///
    /// # Errors
    /// A storage that cannot be read; nothing changes.
    pub fn maybe_append(
        &mut self,
        previous: EntryId,
        leader_commit: u64,
        mut entries: Vec<Entry>,
        rules: &Rules,
    ) -> Result<Option<u64>, StorageError> {
        let own_term = match self.term(previous.index) {
            Ok(term) => Some(term),
            Err(StorageError::Compacted | StorageError::Unavailable) => None,
            Err(error) => return Err(error),
        };
        if !(rules.log_matches)(previous, own_term) {
            return Ok(None);
        }
        let last_new = previous.index + entries.len() as u64;
        let known = self.count_matching(&entries, rules)?;
        if known < entries.len() {
            debug_assert!(
                entries[known].index > self.committed,
                "conflict at {} below the commit index {}",
                entries[known].index,
                self.committed
            );
            self.unstable.truncate_and_append(entries.split_off(known));
        }
        self.commit_to((rules.follower_commit)(self.committed, leader_commit, last_new));
        Ok(Some(last_new))
    }

    /// How many leading entries are in the log already.
    fn count_matching(&self, entries: &[Entry], rules: &Rules) -> Result<usize, StorageError> {
        for (position, entry) in entries.iter().enumerate() {
            match self.term(entry.index) {
                Ok(own) if !(rules.conflicts)(EntryId::of(entry), own) => {}
                // Folded into a snapshot: committed, so it cannot conflict.
                Err(StorageError::Compacted) => {}
                Ok(_) | Err(StorageError::Unavailable) => return Ok(position),
                Err(error) => return Err(error),
            }
        }
        Ok(entries.len())
    }

    /// The last index at or before `index` whose term is at most `term`, and its term: where a log
    /// that has `term` at `index` may agree with this one at the latest. The term is 0 if it is
    /// not known.
    pub fn find_conflict_by_term(&self, index: u64, term: u64) -> EntryId {
        let mut index = index.min(self.last_index());
        loop {
            match self.term(index) {
                Ok(own) if own <= term => return EntryId::new(own, index),
                Ok(_) if index > 0 => index -= 1,
                _ => return EntryId::new(0, index),
            }
        }
    }

    /// Raises the commit index; a lower one is ignored, one beyond the log is cut to the log.
    pub(crate) fn commit_to(&mut self, index: u64) {
        self.committed = self.committed.max(index.min(self.last_index()));
    }

    /// Commits up to `id` if the log holds it. Returns whether the commit index moved.
    pub fn commit(&mut self, id: EntryId) -> bool {
        let before = self.committed;
        if id.index > before && self.holds(id) {
            self.commit_to(id.index);
        }
        self.committed > before
    }

    /// Entries up to `id` are on disk; ignored if `id` was replaced meanwhile (TinyKV `Stabled`).
    pub fn stable_to(&mut self, id: EntryId) {
        self.unstable.stable_to(id);
    }

    /// The incoming snapshot that ends at `index` is on disk.
    pub fn stable_snapshot_to(&mut self, index: u64) {
        self.unstable.stable_snapshot_to(index);
    }

    /// The application is done with everything up to `index`; lower or uncommitted indices are
    /// ignored.
    pub fn applied_to(&mut self, index: u64) {
        if index > self.applied && index <= self.committed {
            self.applied = index;
            self.applying = self.applying.max(index);
        }
    }

    /// Replaces the log by an incoming snapshot, which commits everything it contains.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.committed = EntryId::of_snapshot(&snapshot).index;
        self.unstable.restore(snapshot);
    }

    /// Whether a `Ready` would carry something to persist.
    pub(crate) fn has_unoffered(&self) -> bool {
        !self.unstable.unoffered().is_empty() || self.unstable.unoffered_snapshot().is_some()
    }

    /// Index of the first entry that a `Ready` would carry.
    pub(crate) fn first_unoffered(&self) -> Option<u64> {
        self.unstable.unoffered().first().map(|entry| entry.index)
    }

    /// Hands out what has to be persisted, once.
    pub(crate) fn offer(&mut self) -> (Vec<Entry>, Option<Snapshot>) {
        let entries = self.unstable.unoffered().to_vec();
        let snapshot = self.unstable.unoffered_snapshot().cloned();
        self.unstable.offer_all();
        (entries, snapshot)
    }

    /// Whether a `Ready` would carry entries to apply. An incoming snapshot is applied first, by
    /// itself.
    pub(crate) fn has_next_committed(&self) -> bool {
        self.unstable.snapshot().is_none() && self.committed > self.applying
    }

    /// Committed entries that were not handed out yet, without handing them out (TinyKV
    /// `nextEnts`).
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn next_committed_entries(&self) -> Result<Vec<Entry>, StorageError> {
        if !self.has_next_committed() {
            return Ok(Vec::new());
        }
        self.slice(self.applying + 1, self.committed + 1, u64::MAX)
    }

    /// Everything up to `index` was handed out for application.
    pub(crate) fn applying_to(&mut self, index: u64) {
        debug_assert!(index <= self.committed, "applying {index} > committed {}", self.committed);
        self.applying = self.applying.max(index);
    }
}

#[cfg(test)]
pub(crate) mod tests;
