use raft_core::StorageError::{Compacted, Unavailable};

use super::*;
use crate::region::single_region;

fn entry(index: u64, term: u64) -> Entry {
    Entry { index, term, ..Entry::default() }
}

/// A storage and its disk. Whatever was done, the disk alone must give the storage again.
struct Fixture {
    disk: Engines,
    storage: PeerStorage,
}

fn open(disk: &Engines) -> Result<PeerStorage> {
    PeerStorage::open(disk, 1, StoreRules::default())
}

impl Fixture {
    fn new() -> Self {
        let mut disk = Engines::default();
        disk.write(&bootstrap(&disk, &single_region(1, [1, 2, 3])).unwrap());
        let storage = open(&disk).unwrap();
        Self { disk, storage }
    }

    /// A log with these terms after the bootstrap, so from index 6.
    fn with_log(terms: &[u64]) -> Self {
        let mut f = Self::new();
        let entries: Vec<_> = (6..).zip(terms).map(|(index, &term)| entry(index, term)).collect();
        let term = terms.last().copied().unwrap_or(INIT_LOG_TERM);
        f.save(entries, HardState { term, vote: 0, commit: 5 });
        f
    }

    fn change(&mut self, change: impl FnOnce(&mut PeerStorage, &mut Batches)) -> Batches {
        let mut batches = Batches::default();
        change(&mut self.storage, &mut batches);
        self.disk.write(&batches);
        assert_eq!(open(&self.disk).unwrap(), self.storage, "the batches tell the whole story");
        batches
    }

    fn save(&mut self, entries: Vec<Entry>, hard_state: HardState) -> Batches {
        let ready = Ready { entries, hard_state: Some(hard_state), ..Ready::default() };
        self.change(|storage, batches| storage.save(&ready, batches).unwrap())
    }

    fn ids(&self) -> Vec<(u64, u64)> {
        self.storage.log.iter().map(|entry| (entry.index, entry.term)).collect()
    }

    fn apply(&mut self, index: u64) {
        let hard_state = HardState { commit: index, ..self.storage.hard_state };
        self.save(Vec::new(), hard_state);
        self.change(|storage, batches| storage.set_applied(index, &mut batches.kv));
    }
}

#[test]
fn a_fresh_region_starts_after_index_5_of_term_5() {
    let Fixture { disk, storage } = Fixture::new();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(6), Ok(5)));
    assert_eq!(storage.term(5), Ok(5));
    let state = storage.initial_state().unwrap();
    assert_eq!(state.hard_state, HardState { term: 5, vote: 0, commit: 5 });
    assert_eq!(state.conf_state.voters, [1, 2, 3]);
    assert!(bootstrap(&disk, storage.region()).is_err(), "only once");
}

/// TinyKV's TestPeerStorageTerm and TestPeerStorageEntries, moved to the bootstrap index.
#[test]
fn terms_and_entries_are_answered_within_the_log_only() {
    let Fixture { storage, .. } = Fixture::with_log(&[5, 6, 7]);
    assert_eq!(storage.term(4), Err(Compacted));
    for (index, term) in [(5, 5), (6, 5), (7, 6), (8, 7)] {
        assert_eq!(storage.term(index), Ok(term), "term of {index}");
    }
    assert_eq!(storage.term(9), Err(Unavailable));
    assert_eq!(storage.entries(4, 8, u64::MAX), Err(Compacted));
    assert_eq!(storage.entries(5, 7, u64::MAX), Err(Compacted));
    assert_eq!(storage.entries(7, 10, u64::MAX), Err(Unavailable));
    assert_eq!(storage.entries(9, 8, u64::MAX), Err(Unavailable));
    assert_eq!(storage.entries(6, 7, u64::MAX).unwrap(), [entry(6, 5)]);
    assert_eq!(storage.entries(7, 9, u64::MAX).unwrap(), [entry(7, 6), entry(8, 7)]);
    assert_eq!(storage.entries(7, 9, 0).unwrap().len(), 1, "at least one");
    assert_eq!(storage.entries(7, 7, u64::MAX).unwrap(), []);
}

/// The table of TinyKV's TestPeerStorageAppend, moved to the bootstrap index.
#[test]
fn an_append_replaces_the_tail_and_deletes_what_is_left_of_it() {
    type Ids = Vec<(u64, u64)>;
    let cases: [(Ids, Ids); 6] = [
        (vec![(5, 5), (6, 6), (7, 7)], vec![(6, 6), (7, 7)]),
        (vec![(5, 5), (6, 8), (7, 8)], vec![(6, 8), (7, 8)]),
        (vec![(6, 6), (7, 7), (8, 7)], vec![(6, 6), (7, 7), (8, 7)]),
        (vec![(4, 5), (5, 5), (6, 7)], vec![(6, 7)]),
        (vec![(6, 7)], vec![(6, 7)]),
        (vec![(8, 7)], vec![(6, 6), (7, 7), (8, 7)]),
    ];
    for (appended, expected) in cases {
        let mut f = Fixture::with_log(&[6, 7]);
        let entries: Vec<_> = appended.iter().map(|&(i, t)| entry(i, t)).collect();
        f.save(entries, HardState { term: 8, vote: 0, commit: 5 });
        assert_eq!(f.ids(), expected, "after appending {appended:?}");
        let stale = keys::raft_log(1, expected[expected.len() - 1].0 + 1);
        assert_eq!(f.disk.raft.get(&stale), None, "stale tail deleted");
    }
}

#[test]
fn an_append_that_leaves_a_gap_is_refused_and_changes_nothing() {
    let mut f = Fixture::with_log(&[6]);
    let mut batch = WriteBatch::default();
    assert!(f.storage.append(&[entry(9, 6)], &mut batch).is_err());
    assert!(batch.is_empty());
    assert_eq!(f.ids(), [(6, 6)]);
}

/// TinyKV's TestGcRaftLog.
#[test]
fn dropping_the_log_deletes_its_beginning_and_nothing_else() {
    let mut f = Fixture::with_log(&[6; 100]);
    f.apply(105);
    for (to, deleted, kept) in [(15, 10, true), (55, 40, true), (55, 0, false), (65, 10, true)] {
        let mut done = false;
        let batches = f.change(|storage, batches| {
            done = storage.compact(EntryId::new(6, to), batches);
            storage.set_applied(105, &mut batches.kv);
        });
        assert_eq!((done, batches.raft.len()), (kept, deleted), "up to {to}");
        assert_eq!(f.storage.first_index(), Ok(to + 1));
        assert_eq!(f.storage.term(to), Ok(6), "the term before the first entry stays known");
        assert_eq!(f.storage.term(to - 1), Err(Compacted));
    }
    let left = f.disk.raft.iter().filter(|(key, _)| keys::raft_log_index(key).is_some()).count();
    assert_eq!(left, 40);
    for odd in [EntryId::new(5, 70), EntryId::new(6, 106), EntryId::new(6, 0)] {
        assert!(!f.storage.compact(odd, &mut Batches::default()), "{odd}");
    }
}

fn installation(keys: &[&'static str]) -> Installation {
    let record = |key: &&'static str| (keys::data("default", key.as_bytes()), "v".into());
    let records = keys.iter().map(record).collect();
    Installation { region: single_region(1, [1, 2, 3, 4]), records }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    let conf_state = Some(ConfState { voters: vec![1, 2, 3, 4], ..ConfState::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index, term });
    Snapshot { metadata, ..Snapshot::default() }
}

#[test]
fn a_snapshot_replaces_log_members_and_data() {
    let mut f = Fixture::with_log(&[6, 6, 6]);
    f.change(|storage, batches| {
        storage.writer(&mut batches.kv).put(keys::data("lock", b"old"), "x".into());
        storage.change_sessions(&mut batches.kv, |sessions, writer| sessions.open(7, writer));
        storage.writer(&mut batches.kv).put(keys::PREPARE_BOOTSTRAP.into(), "x".into());
    });
    let hard_state = Some(HardState { term: 9, vote: 0, commit: 20 });
    let ready = Ready { hard_state, ..Ready::default() };
    f.change(|storage, batches| {
        storage.install(&snapshot(20, 8), installation(&["a", "b"]), &ready, batches).unwrap();
    });
    let storage = &f.storage;
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(21), Ok(20)));
    assert_eq!((storage.term(20), storage.applied_index()), (Ok(8), 20));
    assert_eq!(storage.conf_state().voters, [1, 2, 3, 4]);
    assert_eq!(storage.region().peers.len(), 4);
    assert_eq!(storage.sessions().last(7), None, "sessions are those of the snapshot");
    let data: Vec<_> = f.disk.kv.iter().filter_map(|(key, _)| keys::user_key(key)).collect();
    assert_eq!(data, [("default", &b"a"[..]), ("default", &b"b"[..])]);
    assert!(f.disk.kv.get(&keys::PREPARE_BOOTSTRAP).is_some(), "what is no region's stays");
    assert!(f.disk.raft.iter().all(|(key, _)| keys::raft_log_index(key).is_none()));
}

#[test]
fn a_snapshot_raises_a_commit_index_that_lags() {
    let mut f = Fixture::with_log(&[6]);
    let ready = Ready::default();
    f.change(|storage, batches| {
        storage.install(&snapshot(20, 6), installation(&[]), &ready, batches).unwrap();
    });
    assert_eq!(f.storage.hard_state().commit, 20);
}

/// TinyKV's TestPeerStorageClearMeta.
#[test]
fn a_destroyed_peer_leaves_a_tombstone_and_nothing_else() {
    let mut f = Fixture::with_log(&[6, 6, 6]);
    let me = f.storage.region().peers[0];
    f.storage.set_own(me);
    let mut batches = Batches::default();
    f.storage.writer(&mut batches.kv).put(keys::data("write", b"k"), "x".into());
    f.disk.write(&batches);
    assert_eq!((f.disk.raft.len(), f.disk.kv.len()), (4, 3), "log and state; states and a key");
    let mut batches = Batches::default();
    f.storage.destroy(&mut batches);
    f.disk.write(&batches);
    assert!(f.disk.raft.is_empty());
    let left: Vec<_> = f.disk.kv.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(left, [keys::region_state(1)]);
    assert_eq!(open(&f.disk), Err(Error::RegionNotFound(1)));
    assert_eq!(*f.storage.kv(), f.disk.kv);
}

#[test]
fn members_and_their_roles_survive_a_restart() {
    let mut f = Fixture::new();
    let joint = ConfState {
        voters: vec![1, 2, 4],
        voters_outgoing: vec![1, 2, 3],
        learners_next: vec![3],
        auto_leave: true,
        ..ConfState::default()
    };
    let new = Peer { id: 4, store_id: 4, role: 0 };
    let change = joint.clone();
    f.change(|storage, batches| storage.set_members(change, &[new], 2, &mut batches.kv));
    let roles: Vec<_> = f.storage.region().peers.iter().map(|p| (p.id, p.role)).collect();
    assert_eq!(roles, [(1, 0), (2, 0), (3, 3), (4, 2)]);
    assert_eq!(f.storage.region().region_epoch.unwrap().conf_ver, 3);
    assert_eq!(open(&f.disk).unwrap().initial_state().unwrap().conf_state, joint);

    let own = f.storage.member(3).unwrap();
    f.storage.set_own(own);
    let after = ConfState { voters: vec![1, 2, 4], ..ConfState::default() };
    let mut batches = Batches::default();
    f.storage.set_members(after, &[], 1, &mut batches.kv);
    f.disk.write(&batches);
    let state: RegionLocalState = f.disk.kv.get_message(&keys::region_state(1)).unwrap().unwrap();
    assert_eq!(state.removed.map(|peer| peer.id), Some(3), "a removed peer remembers who it was");
}

#[test]
fn damaged_records_are_refused_by_name() {
    let damaged = |damage: &dyn Fn(&mut WriteBatch)| {
        let mut engines = Fixture::with_log(&[6, 7]).disk;
        let mut batch = WriteBatch::default();
        damage(&mut batch);
        engines.raft.write(&batch);
        open(&engines).map(drop)
    };
    assert_eq!(damaged(&|_| {}), Ok(()));
    let garbage = damaged(&|batch| batch.put(keys::raft_state(1), "\u{7f}garbage".into()));
    assert!(matches!(garbage, Err(Error::Corrupt { .. })), "{garbage:?}");
    let hole = damaged(&|batch| batch.delete(keys::raft_log(1, 6)));
    assert!(matches!(hole, Err(Error::Inconsistent(_))), "{hole:?}");
    let lost_state = damaged(&|batch| batch.delete(keys::raft_state(1)));
    assert!(matches!(lost_state, Err(Error::Inconsistent(_))), "{lost_state:?}");
    let moved = damaged(&|batch| batch.put_message(keys::raft_log(1, 7), &entry(9, 7)));
    assert!(matches!(moved, Err(Error::Inconsistent(_))), "{moved:?}");
    assert_eq!(open(&Engines::default()).map(drop), Err(Error::NotBootstrapped(1)));
}
