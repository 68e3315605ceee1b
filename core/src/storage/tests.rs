//! [`MemStorage`] against the cases of etcd's and TinyKV's storage tests.
//!
//! The base log of the tables: entry 3 is truncated, 4 and 5 are there, each in the term of its
//! index.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::EntryId;
use crate::log::tests::entry;
use crate::proto::eraftpb::SnapshotMetadata;
use crate::storage::StorageError::{Compacted, SnapshotOutOfDate, Unavailable};

fn base() -> MemStorage {
    let mut storage = MemStorage::new();
    storage.apply_snapshot(snapshot(3, 3, &[])).unwrap();
    storage.append(&[entry(4, 4), entry(5, 5)]).unwrap();
    storage
}

fn snapshot(term: u64, index: u64, voters: &[u64]) -> Snapshot {
    let conf_state = Some(conf_state(voters));
    Snapshot { metadata: Some(SnapshotMetadata { conf_state, index, term }), ..Snapshot::default() }
}

fn conf_state(voters: &[u64]) -> ConfState {
    ConfState { voters: voters.to_vec(), ..ConfState::default() }
}

fn ids(entries: &[Entry]) -> Vec<(u64, u64)> {
    entries.iter().map(|entry| (entry.term, entry.index)).collect()
}

/// As etcd TestStorageTerm.
#[test]
fn etcd_storage_term_is_known_from_the_truncated_entry_to_the_last() {
    let rows = [(2, Err(Compacted)), (3, Ok(3)), (4, Ok(4)), (5, Ok(5)), (6, Err(Unavailable))];
    for (index, expected) in rows {
        assert_eq!(base().term(index), expected, "index {index}");
    }
}

/// As etcd TestStorageEntries.
#[test]
fn etcd_storage_entries_check_their_bounds_and_their_size() {
    let mut storage = base();
    storage.append(&[entry(6, 6)]).unwrap();
    let size = |range: core::ops::RangeInclusive<u64>| {
        range.map(|i| prost::Message::encoded_len(&entry(i, i)) as u64).sum::<u64>()
    };
    let all = u64::MAX;
    let rows = [
        (2, 6, all, Err(Compacted)),
        (3, 4, all, Err(Compacted)),
        (3, 3, all, Err(Compacted)),
        (4, 4, all, Ok(0)),
        (4, 5, all, Ok(1)),
        (4, 6, all, Ok(2)),
        (4, 7, all, Ok(3)),
        (4, 8, all, Err(Unavailable)),
        (7, 8, all, Err(Unavailable)),
        // At least one entry, then as many as fit.
        (4, 7, 0, Ok(1)),
        (4, 7, size(4..=5) - 1, Ok(1)),
        (4, 7, size(4..=5), Ok(2)),
        (4, 7, size(4..=6) - 1, Ok(2)),
        (4, 7, size(4..=6), Ok(3)),
    ];
    for (low, high, max_size, expected) in rows {
        let found = storage.entries(low, high, max_size);
        let expected = expected.map(|count| (low..low + count).map(|i| entry(i, i)).collect());
        assert_eq!(found, expected, "{low}..{high} in {max_size} bytes");
    }
}

/// A storage that was just created, or fully compacted, has a truncated entry and no others.
#[test]
fn empty_storage_has_nothing_to_give() {
    let mut storage = MemStorage::new();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(1), Ok(0)));
    assert_eq!((storage.term(0), storage.term(1)), (Ok(0), Err(Unavailable)));
    assert_eq!(storage.entries(1, 2, u64::MAX), Err(Unavailable));
    assert_eq!(storage.snapshot(), Ok(Snapshot::default()), "empty, but not an error");
    assert_eq!(storage.append(&[]), Ok(()));
    assert_eq!(storage, MemStorage::new());
}

/// As etcd TestStorageLastIndex and TestStorageFirstIndex.
#[test]
fn etcd_storage_bounds_follow_appends_and_compaction() {
    let mut storage = base();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(4), Ok(5)));
    storage.append(&[entry(5, 6)]).unwrap();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(4), Ok(6)));
    storage.compact(4).unwrap();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(5), Ok(6)));
}

/// As etcd TestStorageCompact.
#[test]
fn etcd_storage_compact_keeps_the_id_of_the_last_entry_that_it_drops() {
    let rows = [
        (2, Err(Compacted), (3, 3), 2),
        (3, Err(Compacted), (3, 3), 2),
        (4, Ok(()), (4, 4), 1),
        (5, Ok(()), (5, 5), 0),
        (6, Err(Unavailable), (3, 3), 2),
    ];
    for (index, expected, (term, truncated), left) in rows {
        let mut storage = base();
        assert_eq!(storage.compact(index), expected, "compact {index}");
        assert_eq!(storage.truncated(), EntryId::new(term, truncated), "compact {index}");
        assert_eq!(storage.all_entries().len(), left, "compact {index}");
    }
}

/// As etcd TestStorageCreateSnapshot.
#[test]
fn etcd_storage_create_snapshot_takes_the_term_from_the_log_and_drops_nothing() {
    for index in [4, 5] {
        let mut storage = base();
        let created = storage.create_snapshot(index, Some(conf_state(&[1, 2])), "data").cloned();
        let expected = Snapshot { data: "data".into(), ..snapshot(index, index, &[1, 2]) };
        assert_eq!(created, Ok(expected.clone()));
        assert_eq!(storage.snapshot(), Ok(expected));
        assert_eq!(ids(storage.all_entries()), [(4, 4), (5, 5)]);
    }
}

#[test]
fn snapshot_is_created_only_of_entries_that_are_there_and_newer_than_the_last_one() {
    for (index, error) in [(2, SnapshotOutOfDate), (3, SnapshotOutOfDate), (6, Unavailable)] {
        let mut storage = base();
        let refused = storage.create_snapshot(index, None, "data").cloned();
        assert_eq!(refused, Err(error), "snapshot at {index}");
        assert_eq!(storage, base());
    }
}

#[test]
fn snapshot_created_without_members_keeps_the_known_ones() {
    let mut storage = MemStorage::with_voters([1, 2, 3]);
    storage.append(&[entry(1, 1)]).unwrap();
    storage.create_snapshot(1, None, "data").unwrap();
    assert_eq!(storage.initial_state().map(|s| s.conf_state), Ok(conf_state(&[1, 2, 3])));
}

/// As etcd TestStorageAppend and TinyKV TestPeerStorageAppend.
#[test]
fn etcd_storage_append_replaces_from_the_first_new_entry() {
    type Ids = &'static [(u64, u64)];
    let rows: &[(Ids, Ids)] = &[
        // Entirely below the log, or repeating it.
        (&[(1, 1), (2, 2)], &[(4, 4), (5, 5)]),
        (&[(3, 3)], &[(4, 4), (5, 5)]),
        (&[(3, 3), (4, 4), (5, 5)], &[(4, 4), (5, 5)]),
        // Replacing it.
        (&[(3, 3), (6, 4), (6, 5)], &[(6, 4), (6, 5)]),
        (&[(3, 3), (4, 4), (5, 5), (5, 6)], &[(4, 4), (5, 5), (5, 6)]),
        // What begins below is cut, and what follows the last new entry goes.
        (&[(3, 2), (3, 3), (5, 4)], &[(5, 4)]),
        (&[(5, 4)], &[(5, 4)]),
        // Continuing it.
        (&[(5, 6)], &[(4, 4), (5, 5), (5, 6)]),
    ];
    for &(incoming, expected) in rows {
        let mut storage = base();
        let entries: Vec<_> = incoming.iter().map(|&(term, index)| entry(term, index)).collect();
        assert_eq!(storage.append(&entries), Ok(()));
        assert_eq!(ids(storage.all_entries()), expected, "{incoming:?}");
        assert_eq!(storage.truncated(), EntryId::new(3, 3));
    }
}

/// TinyKV and etcd panic here; a driver may want to say more.
#[test]
fn append_that_leaves_a_gap_is_refused_and_changes_nothing() {
    let mut storage = base();
    let gap = StorageError::Gap { last: 5, first: 7 };
    assert_eq!(storage.append(&[entry(5, 7)]), Err(gap));
    assert_eq!(storage, base());
}

/// As etcd TestStorageApplySnapshot.
#[test]
fn etcd_storage_apply_snapshot_refuses_an_older_one() {
    let mut storage = MemStorage::new();
    storage.append(&[entry(1, 1), entry(1, 2)]).unwrap();
    let newer = snapshot(4, 4, &[1, 2, 3]);
    storage.apply_snapshot(newer.clone()).unwrap();
    assert_eq!((storage.first_index(), storage.last_index()), (Ok(5), Ok(4)));
    assert_eq!(storage.term(4), Ok(4));
    assert_eq!(storage.all_entries(), []);
    for index in [3, 4] {
        assert_eq!(storage.apply_snapshot(snapshot(3, index, &[9])), Err(SnapshotOutOfDate));
        assert_eq!(storage.snapshot(), Ok(newer.clone()), "after a snapshot at {index}");
    }
    assert_eq!(storage.initial_state().map(|s| s.conf_state), Ok(conf_state(&[1, 2, 3])));
}

#[test]
fn hard_state_comes_back_as_it_was_set() {
    let mut storage = MemStorage::with_voters([1]);
    let hard_state = HardState { term: 7, vote: 3, commit: 5 };
    storage.set_hard_state(hard_state);
    let expected = RaftState { hard_state, conf_state: conf_state(&[1]) };
    assert_eq!(storage.initial_state(), Ok(expected));
}

#[test]
fn limit_size_keeps_at_least_one_entry() {
    let entries = vec![entry(1, 1), entry(1, 2), entry(1, 3)];
    let size = prost::Message::encoded_len(&entry(1, 1)) as u64;
    for (limit, count) in [(0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (u64::MAX, 3)] {
        let mut limited = entries.clone();
        limit_size(&mut limited, limit);
        assert_eq!(limited, entries[..count], "{limit} bytes");
    }
    let mut none = Vec::new();
    limit_size(&mut none, 0);
    assert_eq!(none, []);
}
