//! The part of the log that is not on disk yet.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::EntryId;
use crate::proto::eraftpb::{Entry, Snapshot};
use crate::storage::count_within;

/// Entries, and at most one incoming snapshot, that still have to be persisted.
///
/// `entries[i]` has index `offset + i`; everything below `offset` is in the storage or in
/// `snapshot`. Entries below `offered` were handed out in a `Ready` whose persistence is not
/// confirmed yet.
#[derive(Clone, Debug)]
pub(crate) struct Unstable {
    snapshot: Option<Box<Snapshot>>,
    snapshot_offered: bool,
    entries: Vec<Entry>,
    offset: u64,
    offered: u64,
    /// Entries just before `offset` that are persisted and were not handed out for application yet.
    /// They will be soon, and then need neither be read back nor copied.
    settled: Vec<Entry>,
    /// Bytes of their payload.
    settled_bytes: usize,
}

/// More settled entries, or bytes of them, are left to the storage: a leader cut off from its
/// followers must not hold its whole log in memory.
const MAX_SETTLED: usize = 1024;
const MAX_SETTLED_BYTES: usize = 1024 * 1024;

/// What became of a confirmed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisted {
    /// The entries are known to be on disk.
    Known,
    /// The entry was not in memory any more.
    Missing,
    /// A snapshot stands in its place.
    OfSnapshot,
    /// This entry stands in its place.
    Mismatch(EntryId),
}

/// What an append did to entries in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// It continued them.
    #[default]
    None,
    /// It replaced all of them, from this index on.
    Replaced(u64),
    /// It cut them off before this index.
    Truncated(u64),
}

impl Unstable {
    /// Nothing unstable above a storage that ends just before `offset`.
    pub(crate) fn new(offset: u64) -> Self {
        Self {
            snapshot: None,
            snapshot_offered: false,
            entries: Vec::new(),
            offset,
            offered: offset,
            settled: Vec::new(),
            settled_bytes: 0,
        }
    }

    /// Index of the first entry that is not known to be persisted.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Index of the first entry that was not handed out.
    pub(crate) fn offered(&self) -> u64 {
        self.offered
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.offset + self.entries.len() as u64 - 1
    }

    /// The entry that an incoming snapshot ends with.
    pub(crate) fn snapshot_id(&self) -> Option<EntryId> {
        self.snapshot.as_deref().map(EntryId::of_snapshot)
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Term at `index`, if this part of the log knows it.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        match self.position(index) {
            Some(position) => self.entries.get(position).map(|entry| entry.term),
            None => self.snapshot_id().filter(|id| id.index == index).map(|id| id.term),
        }
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.offset)?).ok()
    }

    /// Entries from `low` up to but without `high`, as far as they are here.
    pub(crate) fn slice(&self, low: u64, high: u64) -> &[Entry] {
        // Clamped as indices, before they become positions: where positions have 32 bits, an
        // index far beyond the log has none, and must not pass for one before it.
        let end = self.last_index() + 1;
        let clamp = |index: u64| self.position(index.min(end)).unwrap_or(0);
        let (from, to) = (clamp(low), clamp(high));
        self.entries.get(from..to).unwrap_or(&[])
    }

    /// What the next `Ready` has to persist: entries not handed out yet.
    pub(crate) fn unoffered(&self) -> &[Entry] {
        self.slice(self.offered, u64::MAX)
    }

    /// Whether the next `Ready` has something to persist.
    pub(crate) fn has_unoffered(&self) -> bool {
        self.offered <= self.last_index() || self.unoffered_snapshot().is_some()
    }

    /// The snapshot that the next `Ready` has to persist.
    pub(crate) fn unoffered_snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref().filter(|_| !self.snapshot_offered)
    }

    /// All that is here has been handed out.
    pub(crate) fn offer_all(&mut self) {
        self.offered = self.last_index() + 1;
        self.snapshot_offered = self.snapshot.is_some();
    }

    /// Entries up to `id` are on disk. Ignored if `id` is not here any more: it was replaced by a
    /// newer leader's entry while the disk was busy, and what is on disk at that index will be
    /// overwritten.
    pub(crate) fn stable_to(&mut self, id: EntryId, applying: u64) -> Persisted {
        let Some(position) = self.position(id.index) else {
            let of_snapshot = self.snapshot_id().is_some_and(|own| own.index == id.index);
            return if of_snapshot { Persisted::OfSnapshot } else { Persisted::Missing };
        };
        let Some(own) = self.entries.get(position).map(EntryId::of) else {
            return Persisted::Missing;
        };
        if own.term != id.term {
            return Persisted::Mismatch(own);
        }
        self.settle(position + 1, applying);
        self.offset = id.index + 1;
        self.offered = self.offered.max(self.offset);
        self.release_spare_memory();
        Persisted::Known
    }

    /// Moves the first `count` entries to the settled ones, as far as they were not handed out for
    /// application.
    fn settle(&mut self, count: usize, applying: u64) {
        let continues = |last: &Entry| last.index + 1 == self.offset;
        if !self.settled.last().is_none_or(continues) {
            self.forget_settled();
        }
        let known = usize::try_from((applying + 1).saturating_sub(self.offset)).unwrap_or(count);
        let bytes = self.settled_bytes + payload(&self.entries[known.min(count)..count]);
        if known == 0
            && self.settled.is_empty()
            && count == self.entries.len()
            && count <= MAX_SETTLED
            && bytes <= MAX_SETTLED_BYTES
        {
            core::mem::swap(&mut self.settled, &mut self.entries);
            self.settled_bytes = bytes;
            return;
        }
        let drained = self.entries.drain(..count);
        if self.settled.len() + count <= MAX_SETTLED && bytes <= MAX_SETTLED_BYTES {
            self.settled.extend(drained.skip(known));
            self.settled_bytes = bytes;
        } else {
            drop(drained);
            self.forget_settled();
        }
    }

    fn forget_settled(&mut self) {
        self.settled = Vec::new();
        self.settled_bytes = 0;
    }

    /// Moves settled entries from `low` up to but without `high` to `entries`, as many as fit in
    /// `max_size` bytes but at least one. Returns the index after the last, if there is any.
    pub(crate) fn take_settled(
        &mut self,
        low: u64,
        high: u64,
        max_size: u64,
        entries: &mut Vec<Entry>,
    ) -> Option<u64> {
        if self.settled.first()?.index != low {
            self.forget_settled();
            return None;
        }
        let wanted = usize::try_from(high - low).unwrap_or(usize::MAX).min(self.settled.len());
        let count = count_within(&self.settled[..wanted], max_size);
        if entries.is_empty() && count == self.settled.len() {
            core::mem::swap(entries, &mut self.settled);
            self.settled_bytes = 0;
            self.settled.shrink_to(64);
            return Some(low + count as u64);
        }
        self.settled_bytes -= payload(&self.settled[..count]);
        entries.extend(self.settled.drain(..count));
        if self.settled.is_empty() {
            self.settled.shrink_to(64);
        }
        Some(low + count as u64)
    }

    /// A burst must not hold its memory for ever.
    fn release_spare_memory(&mut self) {
        const KEEP: usize = 64;
        if self.entries.capacity() > KEEP && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(KEEP);
        }
    }

    /// The snapshot that ends at `index` is on disk.
    pub(crate) fn stable_snapshot_to(&mut self, index: u64) {
        if self.snapshot_id().is_some_and(|id| id.index == index) {
            self.snapshot = None;
            self.snapshot_offered = false;
        }
    }

    /// Replaces the whole log by a snapshot that still has to be persisted.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.offset = EntryId::of_snapshot(&snapshot).index + 1;
        self.offered = self.offset;
        self.entries.clear();
        self.forget_settled();
        self.snapshot = Some(Box::new(snapshot));
        self.snapshot_offered = false;
    }

    /// Appends one entry that continues the log.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push(entry);
    }

    /// Appends entries that connect to the log, replacing what stands at their indices and after.
    pub(crate) fn truncate_and_append(&mut self, mut entries: Vec<Entry>) -> Rewrite {
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return Rewrite::None;
        };
        let next = self.last_index() + 1;
        debug_assert!(first <= next, "gap: {} then {first}", self.last_index());
        let rewrite = if first >= next {
            if self.entries.is_empty() {
                self.entries = entries;
            } else {
                self.entries.append(&mut entries);
            }
            Rewrite::None
        } else if first <= self.offset {
            self.offset = first;
            self.entries = entries;
            self.settled.retain(|entry| entry.index < first);
            self.settled_bytes = payload(&self.settled);
            Rewrite::Replaced(first)
        } else {
            self.entries.truncate(self.position(first).unwrap_or(0));
            self.entries.append(&mut entries);
            Rewrite::Truncated(first)
        };
        self.offered = self.offered.min(first);
        rewrite
    }
}

fn payload(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.data.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::entry;
    use crate::proto::eraftpb::SnapshotMetadata;

    fn unstable(terms: &[u64], offset: u64) -> Unstable {
        let mut unstable = Unstable::new(offset);
        let ids = terms.iter().zip(offset..);
        unstable.truncate_and_append(ids.map(|(&term, index)| entry(term, index)).collect());
        unstable
    }

    fn snapshot(term: u64, index: u64) -> Snapshot {
        let metadata = SnapshotMetadata { term, index, conf_state: None };
        Snapshot { metadata: Some(metadata), ..Snapshot::default() }
    }

    #[test]
    fn entries_are_offered_once_until_they_are_replaced() {
        let mut log = unstable(&[1, 1, 1], 5);
        assert_eq!(log.unoffered().len(), 3);
        log.offer_all();
        assert_eq!(log.unoffered(), []);
        log.truncate_and_append([entry(2, 6)].to_vec());
        assert_eq!(log.unoffered(), [entry(2, 6)]);
        assert_eq!(log.entries(), [entry(1, 5), entry(2, 6)]);
    }

    #[test]
    fn persistence_of_a_replaced_entry_counts_for_nothing() {
        let mut log = unstable(&[1, 1], 5);
        log.offer_all();
        log.truncate_and_append([entry(2, 6)].to_vec());
        log.stable_to(EntryId::new(1, 6), 0);
        assert_eq!(log.offset(), 5);
        log.stable_to(EntryId::new(2, 6), 0);
        assert_eq!((log.offset(), log.last_index()), (7, 6));
    }

    #[test]
    fn persistence_below_or_beyond_what_is_here_is_ignored() {
        let mut log = unstable(&[1, 1], 5);
        log.stable_to(EntryId::new(1, 4), 0);
        log.stable_to(EntryId::new(1, 9), 0);
        assert_eq!((log.offset(), log.last_index()), (5, 6));
    }

    #[test]
    fn a_snapshot_replaces_everything_and_knows_its_own_term() {
        let mut log = unstable(&[1, 1], 5);
        log.offer_all();
        log.restore(snapshot(3, 9));
        assert_eq!((log.offset(), log.last_index(), log.term(9)), (10, 9, Some(3)));
        assert_eq!(log.term(8), None);
        assert!(log.unoffered_snapshot().is_some());
        log.offer_all();
        assert!(log.unoffered_snapshot().is_none());
        log.stable_snapshot_to(8);
        assert!(log.snapshot().is_some());
        log.stable_snapshot_to(9);
        assert!(log.snapshot().is_none());
    }

    #[test]
    fn memory_of_a_burst_is_released_once_it_is_persisted() {
        let burst = if cfg!(miri) { 300 } else { 10_000 };
        let mut log = unstable(&alloc::vec![1; burst], 1);
        log.stable_to(EntryId::new(1, burst as u64), 0);
        assert!(log.entries.capacity() <= 64);
    }

    #[test]
    fn settled_entries_are_handed_out_once_and_only_as_they_stand() {
        let mut log = unstable(&[1, 1, 1, 1], 5);
        log.stable_to(EntryId::new(1, 7), 5);
        let mut out = Vec::new();
        assert_eq!(log.take_settled(6, 7, u64::MAX, &mut out), Some(7));
        assert_eq!(out, [entry(1, 6)]);
        // Entry 7 gives way to a newer leader's.
        log.truncate_and_append([entry(2, 7)].to_vec());
        assert_eq!(log.take_settled(7, 8, u64::MAX, &mut out), None);
        log.stable_to(EntryId::new(2, 7), 6);
        assert_eq!(log.take_settled(7, 8, u64::MAX, &mut out), Some(8));
        assert_eq!(out, [entry(1, 6), entry(2, 7)]);
    }

    #[test]
    fn too_many_settled_entries_are_left_to_the_storage() {
        let mut log = unstable(&[1; 2000], 1);
        log.stable_to(EntryId::new(1, 2000), 0);
        assert_eq!(log.take_settled(1, 3, u64::MAX, &mut Vec::new()), None);
    }

    #[test]
    fn slices_clamp_to_what_is_here() {
        let log = unstable(&[1, 2, 3], 5);
        assert_eq!(log.slice(1, 7), [entry(1, 5), entry(2, 6)]);
        assert_eq!(log.slice(7, u64::MAX), [entry(3, 7)]);
        assert_eq!(log.slice(7, 6), []);
    }
}
