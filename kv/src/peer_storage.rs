//! The log and the states of one peer on its engines (TinyKV `PeerStorage`).
//!
//! The engines here are the peer's view, including what is not durable yet. What has to become
//! durable leaves as [`Batches`]; after a crash the peer starts again from what the driver kept.

use raft_core::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft_core::proto::metapb::Region;
use raft_core::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState,
};
use raft_core::{RaftState, Ready, Storage, StorageError};

use crate::engine::{Batches, Engines, WriteBatch};
use crate::error::{Error, Result};
use crate::keys;

/// Index that a bootstrapped region starts after. Not 0, so that a bootstrapped peer can be told
/// from one that a membership change created empty.
pub const INIT_LOG_INDEX: u64 = 5;
/// Term of that index.
pub const INIT_LOG_TERM: u64 = 5;

/// Writes the records of a fresh region: an empty log after index 5 of term 5.
///
/// # Errors
/// [`Error::Invalid`] if the engines already hold the region.
pub fn bootstrap(engines: &Engines, region: &Region) -> Result<Batches> {
    if engines.kv.get(&keys::region_state(region.id)).is_some() {
        return Err(Error::Invalid("the store is bootstrapped already"));
    }
    let hard_state = HardState { term: INIT_LOG_TERM, vote: 0, commit: INIT_LOG_INDEX };
    let raft_state = RaftLocalState {
        hard_state: Some(hard_state),
        last_index: INIT_LOG_INDEX,
        last_term: INIT_LOG_TERM,
    };
    let truncated_state = Some(RaftTruncatedState { index: INIT_LOG_INDEX, term: INIT_LOG_TERM });
    let apply_state = RaftApplyState { applied_index: INIT_LOG_INDEX, truncated_state };
    let region_state =
        RegionLocalState { state: PeerState::Normal.into(), region: Some(region.clone()) };
    let mut batches = Batches::default();
    batches.raft.put_message(keys::raft_state(region.id), &raft_state);
    batches.kv.put_message(keys::apply_state(region.id), &apply_state);
    batches.kv.put_message(keys::region_state(region.id), &region_state);
    Ok(batches)
}

/// The log and the states of one peer.
#[derive(Clone, Debug)]
pub struct PeerStorage {
    engines: Engines,
    region: Region,
    hard_state: HardState,
    last_index: u64,
    last_term: u64,
    applied_index: u64,
    truncated: RaftTruncatedState,
}

impl PeerStorage {
    /// Starts from what is on the engines, after checking that it is whole.
    ///
    /// # Errors
    /// [`Error::NotBootstrapped`] without a region, [`Error::Corrupt`] for a record that does not
    /// decode, [`Error::Inconsistent`] for records that no peer could have written.
    pub fn open(engines: Engines, region_id: u64) -> Result<Self> {
        let region: Option<RegionLocalState> =
            engines.kv.get_message(&keys::region_state(region_id))?;
        let region = region.and_then(|state| state.region);
        let region = region.ok_or(Error::NotBootstrapped(region_id))?;
        let raft_state: RaftLocalState =
            engines.raft.get_message(&keys::raft_state(region_id))?.unwrap_or_default();
        let apply_state: RaftApplyState =
            engines.kv.get_message(&keys::apply_state(region_id))?.unwrap_or_default();
        let storage = Self {
            engines,
            region,
            hard_state: raft_state.hard_state.unwrap_or_default(),
            last_index: raft_state.last_index,
            last_term: raft_state.last_term,
            applied_index: apply_state.applied_index,
            truncated: apply_state.truncated_state.unwrap_or_default(),
        };
        storage.check()?;
        Ok(storage)
    }

    /// What a crash in the middle of a batch, or a lost record, would break.
    fn check(&self) -> Result<()> {
        let Self { last_index, applied_index, truncated, hard_state, .. } = self;
        let (commit, first) = (hard_state.commit, truncated.index);
        if !(first..=*last_index).contains(&commit) || !(first..=commit).contains(applied_index) {
            return Err(Error::Inconsistent(format!(
                "truncated {first}, applied {applied_index}, commit {commit}, last {last_index} \
                 must not decrease"
            )));
        }
        let mut term = truncated.term;
        for index in first + 1..=*last_index {
            let entry = self.entry(index)?;
            if entry.index != index || entry.term < term || entry.term > hard_state.term {
                let (found, own) = (raft_core::EntryId::of(&entry), hard_state.term);
                return Err(Error::Inconsistent(format!(
                    "log entry {index} is {found} after term {term}, in term {own}"
                )));
            }
            term = entry.term;
        }
        if term != self.last_term {
            let recorded = self.last_term;
            return Err(Error::Inconsistent(format!(
                "the last entry has term {term}, the state says {recorded}"
            )));
        }
        Ok(())
    }

    fn entry(&self, index: u64) -> Result<Entry> {
        let key = keys::raft_log(self.region.id, index);
        let entry = self.engines.raft.get_message(&key)?;
        entry.ok_or_else(|| Error::Inconsistent(format!("log entry {index} is missing")))
    }

    /// The region's shape.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The engines as the peer sees them.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    pub(crate) fn kv_mut(&mut self) -> &mut crate::engine::MemEngine {
        &mut self.engines.kv
    }

    /// The last entry whose effects are in the kv engine.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// Appends entries, replacing what stands at their indices and dropping what stands after:
    /// those entries will never be committed (TinyKV `PeerStorage.Append`).
    ///
    /// # Errors
    /// [`StorageError::Gap`] if they do not connect to the log; nothing changes.
    pub fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) -> Result<()> {
        let skip = entries.partition_point(|entry| entry.index <= self.truncated.index);
        let new = &entries[skip..];
        let (Some(first), Some(last)) = (new.first(), new.last()) else {
            return Ok(());
        };
        if first.index > self.last_index + 1 {
            let (last, first) = (self.last_index, first.index);
            return Err(StorageError::Gap { last, first }.into());
        }
        let region = self.region.id;
        let mut write = WriteBatch::default();
        for entry in new {
            write.put_message(keys::raft_log(region, entry.index), entry);
        }
        for index in last.index + 1..=self.last_index {
            write.delete(keys::raft_log(region, index));
        }
        (self.last_index, self.last_term) = (last.index, last.term);
        self.engines.raft.write(&write);
        batch.extend(write);
        Ok(())
    }

    /// Writes what a `Ready` wants durable (TinyKV `SaveReadyState`).
    ///
    /// # Errors
    /// Entries that do not connect to the log, or a snapshot: without log compaction no peer can
    /// need one.
    pub fn save(&mut self, ready: &Ready, batches: &mut Batches) -> Result<()> {
        if ready.snapshot.is_some() {
            return Err(Error::Unsupported("installing a snapshot"));
        }
        self.append(&ready.entries, &mut batches.raft)?;
        if let Some(hard_state) = ready.hard_state {
            self.hard_state = hard_state;
        }
        if ready.hard_state.is_some() || !ready.entries.is_empty() {
            let state = RaftLocalState {
                hard_state: Some(self.hard_state),
                last_index: self.last_index,
                last_term: self.last_term,
            };
            let mut write = WriteBatch::default();
            write.put_message(keys::raft_state(self.region.id), &state);
            self.engines.raft.write(&write);
            batches.raft.extend(write);
        }
        Ok(())
    }

    /// Records that everything up to `index` is applied. Belongs into the batch that holds the
    /// effects, or a crash would apply them twice or never.
    pub(crate) fn set_applied(&mut self, index: u64, batch: &mut WriteBatch) {
        self.applied_index = index;
        let state = RaftApplyState { applied_index: index, truncated_state: Some(self.truncated) };
        let mut write = WriteBatch::default();
        write.put_message(keys::apply_state(self.region.id), &state);
        self.engines.kv.write(&write);
        batch.extend(write);
    }

    /// A record that cannot be read is not the core's business: it only learns that the entry is
    /// not there. `open` has checked every record, so only a fault in memory leads here.
    fn read(&self, index: u64) -> Result<Entry, StorageError> {
        self.entry(index).map_err(|_| StorageError::Corrupt("log entry"))
    }
}

impl Storage for PeerStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        let voters = self.region.peers.iter().map(|peer| peer.id).collect();
        let conf_state = ConfState { voters, ..ConfState::default() };
        Ok(RaftState { hard_state: self.hard_state, conf_state })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if low <= self.truncated.index {
            return Err(StorageError::Compacted);
        }
        if high > self.last_index + 1 {
            return Err(StorageError::Unavailable);
        }
        let mut entries = Vec::new();
        let mut size = 0u64;
        for index in low..high {
            let entry = self.read(index)?;
            size = size.saturating_add(prost::Message::encoded_len(&entry) as u64);
            if size > max_size && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        if index < self.truncated.index {
            return Err(StorageError::Compacted);
        }
        if index > self.last_index {
            return Err(StorageError::Unavailable);
        }
        if index == self.last_index || self.truncated.term == self.last_term {
            return Ok(self.last_term);
        }
        Ok(self.read(index)?.term)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.last_index)
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Err(StorageError::SnapshotTemporarilyUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::single_region;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, ..Entry::default() }
    }

    fn fresh() -> PeerStorage {
        let mut engines = Engines::default();
        let batches = bootstrap(&engines, &single_region(1, [1, 2, 3])).unwrap();
        engines.write(&batches);
        PeerStorage::open(engines, 1).unwrap()
    }

    /// A log of entries 6, 7, 8 with these terms after the bootstrap.
    fn with_log(terms: &[u64]) -> PeerStorage {
        let mut storage = fresh();
        let entries: Vec<_> = (6..).zip(terms).map(|(index, &term)| entry(index, term)).collect();
        let term = terms.last().copied().unwrap_or(INIT_LOG_TERM);
        let hard_state = Some(HardState { term, vote: 0, commit: 5 });
        let ready = Ready { entries, hard_state, ..Ready::default() };
        storage.save(&ready, &mut Batches::default()).unwrap();
        storage
    }

    fn ids(storage: &PeerStorage) -> Vec<(u64, u64)> {
        let entries = storage.entries(6, storage.last_index + 1, u64::MAX).unwrap();
        entries.iter().map(|entry| (entry.index, entry.term)).collect()
    }

    #[test]
    fn a_fresh_region_starts_after_index_5_of_term_5() {
        let storage = fresh();
        assert_eq!((storage.first_index(), storage.last_index()), (Ok(6), Ok(5)));
        assert_eq!(storage.term(5), Ok(5));
        let state = storage.initial_state().unwrap();
        assert_eq!(state.hard_state, HardState { term: 5, vote: 0, commit: 5 });
        assert_eq!(state.conf_state.voters, [1, 2, 3]);
        assert!(bootstrap(storage.engines(), storage.region()).is_err(), "only once");
    }

    #[test]
    fn terms_and_entries_are_answered_within_the_log_only() {
        let storage = with_log(&[5, 6, 7]);
        assert_eq!(storage.term(4), Err(StorageError::Compacted));
        for (index, term) in [(5, 5), (6, 5), (7, 6), (8, 7)] {
            assert_eq!(storage.term(index), Ok(term), "term of {index}");
        }
        assert_eq!(storage.term(9), Err(StorageError::Unavailable));
        assert_eq!(storage.entries(5, 7, u64::MAX), Err(StorageError::Compacted));
        assert_eq!(storage.entries(7, 10, u64::MAX), Err(StorageError::Unavailable));
        assert_eq!(storage.entries(7, 9, u64::MAX).unwrap().len(), 2);
        assert_eq!(storage.entries(7, 9, 0).unwrap().len(), 1, "at least one");
        assert_eq!(storage.entries(7, 7, u64::MAX).unwrap(), []);
    }

    /// The table of TinyKV's TestPeerStorageAppend, moved to the bootstrap index.
    #[test]
    fn an_append_replaces_the_tail_and_deletes_what_is_left_of_it() {
        type Ids = Vec<(u64, u64)>;
        let cases: [(Ids, Ids); 5] = [
            (vec![(5, 5), (6, 6), (7, 7)], vec![(6, 6), (7, 7)]),
            (vec![(5, 5), (6, 8), (7, 8)], vec![(6, 8), (7, 8)]),
            (vec![(6, 6), (7, 7), (8, 7)], vec![(6, 6), (7, 7), (8, 7)]),
            (vec![(4, 5), (5, 5), (6, 7)], vec![(6, 7)]),
            (vec![(8, 7)], vec![(6, 6), (7, 7), (8, 7)]),
        ];
        for (appended, expected) in cases {
            let mut storage = with_log(&[6, 7]);
            let entries: Vec<_> = appended.iter().map(|&(i, t)| entry(i, t)).collect();
            let mut batch = WriteBatch::default();
            storage.append(&entries, &mut batch).unwrap();
            assert_eq!(ids(&storage), expected, "after appending {appended:?}");
            let (last, term) = expected[expected.len() - 1];
            assert_eq!((storage.last_index, storage.last_term), (last, term));
            let stale = keys::raft_log(1, last + 1);
            assert_eq!(storage.engines.raft.get(&stale), None, "stale tail deleted");
        }
    }

    #[test]
    fn an_append_that_leaves_a_gap_is_refused_and_changes_nothing() {
        let mut storage = with_log(&[6]);
        let mut batch = WriteBatch::default();
        assert!(storage.append(&[entry(9, 6)], &mut batch).is_err());
        assert!(batch.is_empty());
        assert_eq!(ids(&storage), [(6, 6)]);
    }

    #[test]
    fn a_restart_finds_what_was_saved() {
        let mut storage = with_log(&[6, 7]);
        let hard_state = HardState { term: 9, vote: 2, commit: 7 };
        let ready = Ready { hard_state: Some(hard_state), ..Ready::default() };
        let mut batches = Batches::default();
        storage.save(&ready, &mut batches).unwrap();
        storage.set_applied(6, &mut batches.kv);
        let reopened = PeerStorage::open(storage.engines.clone(), 1).unwrap();
        assert_eq!(reopened.initial_state().unwrap().hard_state, hard_state);
        assert_eq!(ids(&reopened), [(6, 6), (7, 7)]);
        assert_eq!(reopened.applied_index(), 6);
    }

    #[test]
    fn the_batches_alone_rebuild_the_engines() {
        let mut disk = Engines::default();
        disk.write(&bootstrap(&disk, &single_region(1, [1])).unwrap());
        let mut storage = PeerStorage::open(disk.clone(), 1).unwrap();
        let mut batches = Batches::default();
        let hard_state = Some(HardState { term: 6, vote: 1, commit: 6 });
        let entries = vec![entry(6, 6), entry(7, 6)];
        let ready = Ready { entries, hard_state, ..Ready::default() };
        storage.save(&ready, &mut batches).unwrap();
        storage.set_applied(6, &mut batches.kv);
        disk.write(&batches);
        assert_eq!(&disk, storage.engines());
    }

    #[test]
    fn damaged_records_are_refused_by_name() {
        let open = |damage: &dyn Fn(&mut WriteBatch)| {
            let mut engines = with_log(&[6, 7]).engines;
            let mut batch = WriteBatch::default();
            damage(&mut batch);
            engines.raft.write(&batch);
            PeerStorage::open(engines, 1).map(drop)
        };
        assert_eq!(open(&|_| {}), Ok(()));
        let garbage = open(&|batch| batch.put(keys::raft_state(1), "\u{7f}garbage".into()));
        assert!(matches!(garbage, Err(Error::Corrupt { .. })), "{garbage:?}");
        let hole = open(&|batch| batch.delete(keys::raft_log(1, 6)));
        assert!(matches!(hole, Err(Error::Inconsistent(_))), "{hole:?}");
        let lost_state = open(&|batch| batch.delete(keys::raft_state(1)));
        assert!(matches!(lost_state, Err(Error::Inconsistent(_))), "{lost_state:?}");
        let moved = open(&|batch| batch.put_message(keys::raft_log(1, 7), &entry(9, 7)));
        assert!(matches!(moved, Err(Error::Inconsistent(_))), "{moved:?}");
        let missing = PeerStorage::open(Engines::default(), 1).map(drop);
        assert_eq!(missing, Err(Error::NotBootstrapped(1)));
    }
}
