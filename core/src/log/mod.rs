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

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use self::unstable::Persisted;
pub(crate) use self::unstable::Rewrite;
use self::unstable::Unstable;
use crate::EntryId;
use crate::error::{Malformed, Result, StorageError};
use crate::proto::eraftpb::{Entry, Snapshot};
use crate::rules::Rules;
use crate::storage::{Storage, bound, count_within, encoded_size};

/// The log of one peer.
#[derive(Clone, Debug)]
pub struct RaftLog<S> {
    storage: S,
    unstable: Unstable,
    committed: u64,
    applied: u64,
    /// Highest index handed out for application; `applied` follows when the application is done.
    applying: u64,
    /// Bytes of entries between `applied` and `applying`, and the most there may be.
    applying_size: u64,
    max_applying_size: u64,
    /// No more is handed out before some of it is applied.
    applying_paused: bool,
}

/// What a follower's append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The last index that is now known to match the leader's log.
    pub last: u64,
    /// The first entry that differed from the leader's, if any did.
    pub conflict: Option<Conflict>,
    /// What happened to entries in memory.
    pub(crate) rewrite: Rewrite,
}

/// An entry that gives way to a leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub existing: u64,
    /// The term of the entry that takes its place.
    pub incoming: u64,
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
            applying_size: 0,
            max_applying_size: u64::MAX,
            applying_paused: false,
        })
    }

    /// Hands out at most so many bytes of entries for application at once; at least one entry.
    pub(crate) fn limit_applying(&mut self, max_size: u64) {
        self.max_applying_size = max_size.max(1);
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
        let mut entries = Vec::new();
        self.append_slice(low, high, max_size, &mut entries)?;
        Ok(entries)
    }

    /// [`slice`](Self::slice) into a vector that is empty, to use its memory again.
    fn append_slice(
        &self,
        low: u64,
        high: u64,
        max_size: u64,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StorageError> {
        let offset = self.unstable.offset();
        if high > self.last_index() + 1 {
            return Err(StorageError::Unavailable);
        }
        if low < offset {
            if low < self.first_index()? {
                return Err(StorageError::Compacted);
            }
            let end = offset.min(high);
            if low < end {
                *entries = self.storage.entries(low, end, max_size)?;
                if (entries.len() as u64) < end - low {
                    return Ok(());
                }
            }
        }
        if high > offset {
            let tail = self.unstable.slice(low.max(offset), high);
            if entries.is_empty() {
                entries.extend_from_slice(&tail[..count_within(tail, max_size)]);
            } else {
                entries.extend_from_slice(tail);
                crate::storage::limit_size(entries, max_size);
            }
        }
        Ok(())
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

    /// The newest snapshot that reaches `index`, for peer `to`.
    ///
    /// # Errors
    /// As [`Storage::snapshot_reaching`].
    pub(crate) fn snapshot_reaching(&self, index: u64, to: u64) -> Result<Snapshot, StorageError> {
        self.storage.snapshot_reaching(index, to)
    }

    /// A leader's append of one entry that continues the log.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.unstable.push(entry);
    }

    /// A follower's append: if the log holds `previous`, drops what conflicts with `entries`,
    /// appends what is new and commits as far as the leader confirms. None if `previous` is not
    /// held and nothing changed (paper figure 2, AppendEntries 2–5).
    ///
    /// # Errors
    /// A storage that cannot be read, or an append that contradicts a committed entry; nothing
    /// changes.
    pub fn maybe_append(
        &mut self,
        previous: EntryId,
        leader_commit: u64,
        mut entries: Vec<Entry>,
        rules: &Rules,
    ) -> Result<Option<Appended>> {
        if !(rules.log_matches)(previous, self.known_term(previous.index)?) {
            return Ok(None);
        }
        let last = previous.index + entries.len() as u64;
        let mut appended = Appended { last, ..Appended::default() };
        if let Some(first_new) = self.first_new(&entries, rules)? {
            appended.conflict = self.conflict_at(&entries[first_new])?;
            if first_new > 0 {
                entries.drain(..first_new);
            }
            appended.rewrite = self.unstable.truncate_and_append(entries);
        }
        self.commit_to((rules.follower_commit)(self.committed, leader_commit, last));
        Ok(Some(appended))
    }

    /// Term of the entry at `index`, if the log still has it.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub(crate) fn known_term(&self, index: u64) -> Result<Option<u64>, StorageError> {
        match self.term(index) {
            Ok(term) => Ok(Some(term)),
            Err(StorageError::Compacted | StorageError::Unavailable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Position of the first entry that the log does not hold.
    fn first_new(&self, entries: &[Entry], rules: &Rules) -> Result<Option<usize>, StorageError> {
        let last = self.last_index();
        for (position, entry) in entries.iter().enumerate() {
            if entry.index > last {
                return Ok(Some(position));
            }
            match self.term(entry.index) {
                Ok(own) if !(rules.conflicts)(EntryId::of(entry), own) => {}
                // Folded into a snapshot: committed, so it cannot conflict.
                Err(StorageError::Compacted) => {}
                Ok(_) | Err(StorageError::Unavailable) => return Ok(Some(position)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What `incoming` takes the place of. A committed entry of another term never gives way: one
    /// of the two peers has lost its disk.
    fn conflict_at(&self, incoming: &Entry) -> Result<Option<Conflict>> {
        let (index, theirs) = (incoming.index, incoming.term);
        if index > self.last_index() {
            return Ok(None);
        }
        let existing = self.term(index)?;
        if existing != theirs && index <= self.committed {
            return Err(Malformed::CommittedConflict { index, theirs, own: existing }.into());
        }
        Ok(Some(Conflict { index, existing, incoming: theirs }))
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

    /// Entries up to `id` are on disk, and nothing under way will overwrite them (TinyKV
    /// `Stabled`). Ignored if `id` is not in memory as it was written; returns what is there.
    pub fn stable_to(&mut self, id: EntryId) -> Persisted {
        self.unstable.stable_to(id, self.applying)
    }

    /// The first index that was not handed out for persistence.
    pub(crate) fn offered(&self) -> u64 {
        self.unstable.offered()
    }

    /// Highest index handed out for application.
    pub(crate) fn applying_index(&self) -> u64 {
        self.applying
    }

    /// The incoming snapshot that ends at `index` is on disk.
    pub fn stable_snapshot_to(&mut self, index: u64) {
        self.unstable.stable_snapshot_to(index);
    }

    /// The application is done with everything up to `index`; lower or uncommitted indices are
    /// ignored.
    pub fn applied_to(&mut self, index: u64) {
        self.applied_batch(index, 0);
    }

    /// [`applied_to`](Self::applied_to) for entries of `size` bytes.
    pub(crate) fn applied_batch(&mut self, index: u64, size: u64) {
        if index > self.applied && index <= self.committed {
            self.applied = index;
            self.applying = self.applying.max(index);
        }
        self.applying_size = self.applying_size.saturating_sub(size);
        self.applying_paused = self.applying_size >= self.max_applying_size;
    }

    /// Replaces the log by an incoming snapshot, which commits everything it contains.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.committed = EntryId::of_snapshot(&snapshot).index;
        self.unstable.restore(snapshot);
    }

    /// Whether a `Ready` would carry something to persist.
    pub(crate) fn has_unoffered(&self) -> bool {
        self.unstable.has_unoffered()
    }

    /// Whether anything is not known to be persisted.
    pub(crate) fn has_unstable(&self) -> bool {
        !self.unstable.entries().is_empty()
    }

    /// Hands out what has to be persisted, once.
    pub(crate) fn offer(&mut self, entries: &mut Vec<Entry>) -> Option<Box<Snapshot>> {
        if self.unstable.has_unoffered() {
            entries.extend_from_slice(self.unstable.unoffered());
        }
        let snapshot = self.unstable.unoffered_snapshot().cloned().map(Box::new);
        self.unstable.offer_all();
        snapshot
    }

    /// The last index that may be applied. Without `unstable` only what is persisted counts.
    fn applicable(&self, unstable: bool) -> u64 {
        if unstable { self.committed } else { self.committed.min(self.stabled()) }
    }

    /// Whether a `Ready` would carry entries to apply. An incoming snapshot is applied first, by
    /// itself.
    pub(crate) fn has_next_committed(&self, unstable: bool) -> bool {
        !self.applying_paused
            && self.unstable.snapshot().is_none()
            && self.applicable(unstable) > self.applying
    }

    /// Committed entries that were not handed out yet, without handing them out (TinyKV
    /// `nextEnts`), as many as the limit allows.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn next_committed_entries(&self) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        if self.has_next_committed(true) {
            let max_size = self.max_applying_size.saturating_sub(self.applying_size);
            self.append_slice(self.applying + 1, self.committed + 1, max_size, &mut entries)?;
        }
        Ok(entries)
    }

    /// Committed entries that were not handed out yet. To be followed by
    /// [`applying`](Self::applying).
    ///
    /// # Errors
    /// A storage that cannot be read; nothing was taken.
    pub(crate) fn take_next_committed(
        &mut self,
        unstable: bool,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StorageError> {
        if !self.has_next_committed(unstable) {
            return Ok(());
        }
        let max_size = self.max_applying_size.saturating_sub(self.applying_size);
        let (low, high) = (self.applying + 1, self.applicable(unstable) + 1);
        let offset = self.unstable.offset();
        match self.unstable.take_settled(low, high.min(offset), max_size, entries) {
            None => self.append_slice(low, high, max_size, entries),
            Some(next) => {
                if next == offset && next < high {
                    entries.extend_from_slice(self.unstable.slice(next, high));
                    crate::storage::limit_size(entries, max_size);
                }
                Ok(())
            }
        }
    }

    /// Bytes of entries that are handed out for application: exact where it may matter, at most
    /// where the next batch waits for this one anyway and both would be far from the limit.
    fn applying_bytes(&self, entries: &[Entry], unstable: bool) -> u64 {
        let most = bound(entries);
        let room = self.max_applying_size.saturating_sub(self.applying_size);
        if unstable && most < room { most } else { entries.iter().map(encoded_size).sum() }
    }

    /// These entries were handed out for application. Returns their size.
    pub(crate) fn applying(&mut self, entries: &[Entry], unstable: bool) -> u64 {
        let Some(last) = entries.last() else {
            return 0;
        };
        debug_assert!(last.index <= self.committed, "{} > {}", last.index, self.committed);
        self.applying = self.applying.max(last.index);
        if self.max_applying_size == u64::MAX {
            return 0;
        }
        let size = self.applying_bytes(entries, unstable);
        self.applying_size = self.applying_size.saturating_add(size);
        // A batch that the limit cut short means that the next entry would exceed it.
        self.applying_paused =
            self.applying_size >= self.max_applying_size || last.index < self.applicable(unstable);
        size
    }
}

#[cfg(test)]
pub(crate) mod tests;
