//! The log against the cases of etcd's log tests and against a plain vector.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::MemStorage;
use crate::proto::eraftpb::SnapshotMetadata;
use crate::rules::log_is_up_to_date;

/// An entry without data.
pub(crate) fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, ..Entry::default() }
}

/// Term and index of an entry, for tables.
type Id = (u64, u64);

fn entries(ids: &[Id]) -> Vec<Entry> {
    ids.iter().map(|&(term, index)| entry(term, index)).collect()
}

/// A leader's append.
fn append(log: &mut RaftLog<MemStorage>, entries: Vec<Entry>) {
    log.unstable.truncate_and_append(entries);
}

fn snapshot(term: u64, index: u64) -> Snapshot {
    let metadata = SnapshotMetadata { term, index, conf_state: None };
    Snapshot { metadata: Some(metadata), ..Snapshot::default() }
}

/// A log whose entries are all unstable.
fn unstable(ids: &[Id]) -> RaftLog<MemStorage> {
    let mut log = RaftLog::new(MemStorage::new()).unwrap();
    append(&mut log, entries(ids));
    log
}

/// A log that continues a snapshot at (1, `truncated`): stable entries of term 1 up to `stable`,
/// unstable ones up to `last`.
fn log_after(truncated: u64, stable: u64, last: u64) -> RaftLog<MemStorage> {
    let mut storage = MemStorage::new();
    if truncated > 0 {
        storage.apply_snapshot(snapshot(1, truncated)).unwrap();
    }
    let range = |from, to| (from..=to).map(|index| entry(1, index)).collect::<Vec<_>>();
    storage.append(&range(truncated + 1, stable)).unwrap();
    let mut log = RaftLog::new(storage).unwrap();
    append(&mut log, range(stable + 1, last));
    log
}

fn persist(log: &mut RaftLog<MemStorage>) {
    if let Some(snapshot) = log.pending_snapshot().cloned() {
        let index = EntryId::of_snapshot(&snapshot).index;
        log.storage_mut().apply_snapshot(snapshot).unwrap();
        log.stable_snapshot_to(index);
    }
    let unstable = log.unstable_entries().to_vec();
    log.storage_mut().append(&unstable).unwrap();
    if let Some(last) = unstable.last() {
        log.stable_to(EntryId::of(last));
    }
}

/// As etcd TestFindConflict, counted from the front.
#[test]
fn etcd_find_conflict_counts_the_entries_that_agree() {
    let rows: &[(&[Id], usize)] = &[
        (&[], 0),
        (&[(1, 1), (2, 2), (3, 3)], 3),
        (&[(2, 2), (3, 3)], 2),
        (&[(3, 3)], 1),
        (&[(1, 1), (2, 2), (3, 3), (4, 4), (4, 5)], 3),
        (&[(2, 2), (3, 3), (4, 4), (4, 5)], 2),
        (&[(4, 4), (4, 5)], 0),
        (&[(4, 1), (4, 2)], 0),
        (&[(2, 2), (4, 3), (4, 4)], 1),
    ];
    for &(incoming, agreeing) in rows {
        let log = unstable(&[(1, 1), (2, 2), (3, 3)]);
        let found = log.first_new(&entries(incoming), &Rules::default());
        let expected = Some(agreeing).filter(|&position| position < incoming.len());
        assert_eq!(found, Ok(expected), "{incoming:?}");
    }
}

/// As etcd TestIsUpToDate: the later last term wins, then the longer log.
#[test]
fn etcd_is_up_to_date_compares_the_last_term_first() {
    let own = EntryId::new(3, 3);
    let rows = [
        ((4, 2), true),
        ((4, 3), true),
        ((4, 4), true),
        ((2, 2), false),
        ((2, 3), false),
        ((2, 4), false),
        ((3, 2), false),
        ((3, 3), true),
        ((3, 4), true),
    ];
    for ((term, index), expected) in rows {
        let candidate = EntryId::new(term, index);
        assert_eq!(log_is_up_to_date(candidate, own), expected, "{candidate}");
    }
}

/// As etcd TestLogMaybeAppend, without its panics: what conflicts below the commit index never
/// comes this far.
#[test]
fn etcd_maybe_append_checks_appends_and_commits() {
    struct Row {
        previous: Id,
        commit: u64,
        entries: &'static [Id],
        /// Last index that matches, then the commit index.
        expected: Option<(u64, u64)>,
        log: &'static [Id],
    }
    const LOG: &[Id] = &[(1, 1), (2, 2), (3, 3)];
    let row =
        |previous, commit, entries, expected, log| Row { previous, commit, entries, expected, log };
    let rows = [
        // The predecessor has another term, or does not exist.
        row((2, 3), 3, &[(4, 4)], None, LOG),
        row((3, 4), 3, &[(4, 5)], None, LOG),
        // Nothing new: the commit index goes no further than the predecessor.
        row((3, 3), 3, &[], Some((3, 3)), LOG),
        row((3, 3), 4, &[], Some((3, 3)), LOG),
        row((3, 3), 2, &[], Some((3, 2)), LOG),
        row((3, 3), 0, &[], Some((3, 1)), LOG),
        row((0, 0), 3, &[], Some((0, 1)), LOG),
        // New entries: no further than the last of them.
        row((3, 3), 3, &[(4, 4)], Some((4, 3)), &[(1, 1), (2, 2), (3, 3), (4, 4)]),
        row((3, 3), 4, &[(4, 4)], Some((4, 4)), &[(1, 1), (2, 2), (3, 3), (4, 4)]),
        row((3, 3), 5, &[(4, 4)], Some((4, 4)), &[(1, 1), (2, 2), (3, 3), (4, 4)]),
        row((3, 3), 5, &[(4, 4), (4, 5)], Some((5, 5)), &[(1, 1), (2, 2), (3, 3), (4, 4), (4, 5)]),
        // Entries that conflict give way, with all behind them.
        row((2, 2), 3, &[(4, 3)], Some((3, 3)), &[(1, 1), (2, 2), (4, 3)]),
        row((1, 1), 3, &[(4, 2)], Some((2, 2)), &[(1, 1), (4, 2)]),
        row((1, 1), 2, &[(4, 2), (4, 3)], Some((3, 2)), &[(1, 1), (4, 2), (4, 3)]),
        // Entries that agree stay, with all behind them.
        row((1, 1), 2, &[(2, 2)], Some((2, 2)), LOG),
    ];
    for (position, row) in rows.iter().enumerate() {
        let mut log = unstable(LOG);
        log.commit_to(1);
        let previous = EntryId::new(row.previous.0, row.previous.1);
        let rules = Rules::default();
        let accepted = log.maybe_append(previous, row.commit, entries(row.entries), &rules);
        let (last, committed) = match row.expected {
            Some((last, committed)) => (Some(last), committed),
            None => (None, 1),
        };
        assert_eq!(accepted.unwrap().map(|a| a.last), last, "row {position}");
        assert_eq!(log.committed(), committed, "row {position}");
        assert_eq!(log.all_entries(), Ok(entries(row.log)), "row {position}");
    }
}

/// As etcd TestAppend: what is replaced is no longer persisted.
#[test]
fn etcd_append_rolls_back_what_counts_as_persisted() {
    let rows: &[(&[Id], &[Id], u64)] = &[
        (&[], &[(1, 1), (2, 2)], 2),
        (&[(2, 3)], &[(1, 1), (2, 2), (2, 3)], 2),
        (&[(3, 1)], &[(3, 1)], 0),
        (&[(3, 2), (3, 3)], &[(1, 1), (3, 2), (3, 3)], 1),
    ];
    for &(incoming, expected, stabled) in rows {
        let mut log = unstable(&[(1, 1), (2, 2)]);
        persist(&mut log);
        append(&mut log, entries(incoming));
        assert_eq!(log.last_index(), expected.len() as u64);
        assert_eq!(log.all_entries(), Ok(entries(expected)), "{incoming:?}");
        assert_eq!(log.stabled(), stabled, "{incoming:?}");
    }
}

/// As etcd TestCommitTo. Where etcd panics, the index is cut to the log.
#[test]
fn etcd_commit_to_goes_up_to_the_end_of_the_log_and_never_back() {
    for (commit, expected) in [(3, 3), (1, 2), (4, 3)] {
        let mut log = unstable(&[(1, 1), (2, 2), (3, 3)]);
        log.commit_to(2);
        log.commit_to(commit);
        assert_eq!(log.committed(), expected, "commit to {commit}");
    }
}

#[test]
fn commit_needs_the_entry_that_it_names() {
    let rows = [((3, 3), 3), ((2, 3), 2), ((4, 4), 2), ((1, 1), 2)];
    for ((term, index), expected) in rows {
        let mut log = unstable(&[(1, 1), (2, 2), (3, 3)]);
        log.commit_to(2);
        let moved = log.commit(EntryId::new(term, index));
        assert_eq!((log.committed(), moved), (expected, expected > 2));
    }
}

/// As etcd TestStableTo: only the entry that is still in the log counts.
#[test]
fn etcd_stable_to_needs_the_entry_that_it_names() {
    let rows = [((1, 1), 1), ((2, 2), 2), ((1, 2), 0), ((3, 1), 0), ((2, 3), 0), ((0, 0), 0)];
    for ((term, index), stabled) in rows {
        let mut log = unstable(&[(1, 1), (2, 2)]);
        log.stable_to(EntryId::new(term, index));
        assert_eq!(log.stabled(), stabled, "{index}@{term}");
    }
}

/// As etcd TestStableToWithSnap.
#[test]
fn etcd_stable_to_ignores_what_a_snapshot_contains() {
    let rows = [((2, 6), 6), ((2, 5), 5), ((2, 4), 5), ((3, 6), 5), ((3, 5), 5), ((2, 7), 5)];
    for ((term, index), stabled) in rows {
        let mut storage = MemStorage::new();
        storage.apply_snapshot(snapshot(2, 5)).unwrap();
        let mut log = RaftLog::new(storage).unwrap();
        append(&mut log, entries(&[(2, 6)]));
        log.stable_to(EntryId::new(term, index));
        assert_eq!(log.stabled(), stabled, "{index}@{term}");
    }
}

/// As etcd TestLogRestore.
#[test]
fn etcd_restored_log_starts_after_its_snapshot() {
    let mut storage = MemStorage::new();
    storage.apply_snapshot(snapshot(1000, 1000)).unwrap();
    let log = RaftLog::new(storage).unwrap();
    assert_eq!(log.all_entries(), Ok(vec![]));
    assert_eq!(log.first_index(), Ok(1001));
    assert_eq!((log.last_index(), log.last_term()), (1000, Ok(1000)));
    assert_eq!((log.committed(), log.applied(), log.stabled()), (1000, 1000, 1000));
}

#[test]
fn incoming_snapshot_replaces_the_whole_log() {
    let mut log = log_after(3, 5, 7);
    log.commit_to(4);
    log.restore(snapshot(2, 9));
    assert_eq!(log.all_entries(), Ok(vec![]));
    assert_eq!((log.first_index(), log.last_index()), (Ok(10), 9));
    assert_eq!((log.committed(), log.stabled()), (9, 9));
    assert_eq!(log.unstable_entries(), []);
    assert_eq!(log.pending_snapshot(), Some(&snapshot(2, 9)));
    assert_eq!(log.snapshot(), Ok(snapshot(2, 9)), "newer than the storage's");
    persist(&mut log);
    assert_eq!(log.pending_snapshot(), None);
    assert_eq!((log.first_index(), log.last_id()), (Ok(10), Ok(EntryId::new(2, 9))));
}

/// As etcd TestTerm and TestTermWithUnstableSnapshot.
#[test]
fn etcd_term_is_known_from_the_truncated_entry_to_the_last() {
    use StorageError::{Compacted, Unavailable};
    let log = log_after(100, 102, 104);
    let rows = [
        (0, Err(Compacted)),
        (99, Err(Compacted)),
        (100, Ok(1)),
        (101, Ok(1)),
        (103, Ok(1)),
        (104, Ok(1)),
        (105, Err(Unavailable)),
        (u64::MAX, Err(Unavailable)),
    ];
    for (index, expected) in rows {
        assert_eq!(log.term(index), expected, "index {index}");
    }

    let mut log = log_after(100, 102, 104);
    log.restore(snapshot(2, 110));
    let rows = [
        // The storage still has these, but the log is no longer theirs.
        (100, Err(Compacted)),
        (102, Err(Compacted)),
        (109, Err(Compacted)),
        (110, Ok(2)),
        (111, Err(Unavailable)),
    ];
    for (index, expected) in rows {
        assert_eq!(log.term(index), expected, "index {index} with a pending snapshot");
    }
}

/// As etcd TestSlice and TestIsOutOfBounds.
#[test]
fn etcd_slice_spans_storage_and_memory_and_checks_its_bounds() {
    use StorageError::{Compacted, Unavailable};
    let log = log_after(100, 104, 108);
    let range = |from: u64, to: u64| (from..to).map(|index| entry(1, index)).collect::<Vec<_>>();
    for (low, high) in [(101, 101), (101, 103), (103, 107), (105, 107), (104, 105), (101, 109)] {
        assert_eq!(log.slice(low, high, u64::MAX), Ok(range(low, high)), "{low}..{high}");
    }
    for (low, high, error) in [
        (0, 101, Compacted),
        (100, 101, Compacted),
        (100, 109, Compacted),
        (101, 110, Unavailable),
        (109, 110, Unavailable),
    ] {
        assert_eq!(log.slice(low, high, u64::MAX), Err(error), "{low}..{high}");
    }
}

#[test]
fn slice_keeps_to_its_size_limit_but_gives_at_least_one_entry() {
    let log = log_after(100, 104, 108);
    let size = prost::Message::encoded_len(&entry(1, 101)) as u64;
    let rows = [(101, 0, 1), (101, size * 2, 2), (101, size * 6, 6), (107, 0, 1), (107, size, 1)];
    for (low, limit, count) in rows {
        let slice = log.slice(low, 109, limit).unwrap();
        let indices: Vec<_> = slice.iter().map(|entry| entry.index).collect();
        assert_eq!(indices, (low..low + count).collect::<Vec<_>>(), "{low}.. in {limit} bytes");
    }
}

/// As etcd TestNextEnts.
#[test]
fn etcd_next_entries_are_committed_and_not_handed_out_before() {
    let mut log = log_after(3, 4, 6);
    log.commit_to(5);
    for (applying, expected) in [(0, vec![entry(1, 4), entry(1, 5)]), (4, vec![entry(1, 5)])] {
        log.applying(&[entry(1, applying)], true);
        assert_eq!(log.next_committed_entries(), Ok(expected), "{applying} handed out");
    }
    log.applying(&[entry(1, 5)], true);
    assert!(!log.has_next_committed(true));
    assert_eq!(log.next_committed_entries(), Ok(vec![]));
}

#[test]
fn applied_index_moves_forward_and_stays_below_the_commit_index() {
    let mut log = log_after(3, 6, 6);
    log.commit_to(5);
    for (index, applied) in [(4, 4), (3, 4), (6, 4), (5, 5)] {
        log.applied_to(index);
        assert_eq!(log.applied(), applied, "applied to {index}");
    }
}

/// As etcd TestCompactionSideEffects: the storage compacts, the log follows.
#[test]
fn etcd_compacted_storage_keeps_the_rest_of_the_log() {
    let mut log = log_after(0, 50, 100);
    log.commit_to(50);
    log.applied_to(50);
    log.storage_mut().compact(40).unwrap();
    assert_eq!((log.first_index(), log.last_index()), (Ok(41), 100));
    assert!((40..=100).all(|index| log.term(index) == Ok(1)));
    assert_eq!(log.unstable_entries().len(), 50);
    append(&mut log, entries(&[(1, 101)]));
    assert_eq!(log.last_index(), 101);
    assert_eq!(log.all_entries().map(|all| all.len()), Ok(61));
}

#[test]
fn storage_that_contradicts_itself_is_refused() {
    let mut storage = MemStorage::new();
    let value = EntryId::LIMIT + 1;
    storage.apply_snapshot(snapshot(1, value)).unwrap();
    let refused = RaftLog::new(storage).map(|log| log.last_index());
    let (what, min, max) = ("last index", value, EntryId::LIMIT);
    let expected = StorageError::Inconsistent { what, value, min, max };
    assert_eq!(refused, Err(crate::Error::Storage(expected)));
}

fn of_terms(terms: &[u64]) -> RaftLog<MemStorage> {
    let ids: Vec<_> = terms.iter().copied().zip(1..).collect();
    unstable(&ids)
}

/// As etcd TestFindConflictByTerm.
#[test]
fn etcd_find_conflict_by_term_skips_later_terms() {
    let rows: &[(&[u64], u64, u64, Id)] = &[
        // An index beyond the log is cut to the log.
        (&[2, 2, 5, 5, 5], 100, 5, (5, 5)),
        (&[2, 2, 5, 5, 5], 100, 2, (2, 2)),
        (&[2, 2, 5, 5, 5], 5, 6, (5, 5)),
        (&[2, 2, 5, 5, 5], 5, 5, (5, 5)),
        (&[2, 2, 5, 5, 5], 5, 4, (2, 2)),
        (&[2, 2, 5, 5, 5], 5, 2, (2, 2)),
        (&[2, 2, 5, 5, 5], 5, 1, (0, 0)),
        (&[2, 2, 5, 5, 5], 1, 2, (2, 1)),
        (&[2, 2, 5, 5, 5], 0, 0, (0, 0)),
    ];
    for &(log, index, term, (hint_term, hint_index)) in rows {
        let found = of_terms(log).find_conflict_by_term(index, term);
        assert_eq!(found, EntryId::new(hint_term, hint_index), "{log:?} {index}@{term}");
    }
}

#[test]
fn find_conflict_by_term_stops_where_the_log_is_compacted() {
    let log = log_after(100, 104, 104);
    assert_eq!(log.find_conflict_by_term(104, 0), EntryId::new(0, 99));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A leader's append of so many entries, in a term so much later.
    Append {
        later: u64,
        count: u64,
    },
    /// A follower's append after an entry so far back from the end.
    Replace {
        back: u64,
        later: u64,
        count: u64,
    },
    Commit(u64),
    Persist,
    Apply,
    Compact(u64),
    Restore {
        ahead: u64,
    },
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u64..2, 0u64..4).prop_map(|(later, count)| Op::Append { later, count }),
        (0u64..5, 1u64..3, 0u64..4).prop_map(|(back, later, count)| Op::Replace {
            back,
            later,
            count
        }),
        (0u64..30).prop_map(Op::Commit),
        Just(Op::Persist),
        Just(Op::Apply),
        (0u64..30).prop_map(Op::Compact),
        (1u64..4).prop_map(|ahead| Op::Restore { ahead }),
    ]
}

/// The log as a vector of terms: position 0 is the last entry that is gone.
struct Model {
    truncated: u64,
    terms: Vec<u64>,
    committed: u64,
    applied: u64,
    latest_term: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.truncated + self.terms.len() as u64 - 1
    }

    fn position(&self, index: u64) -> usize {
        usize::try_from(index - self.truncated).unwrap()
    }

    fn extend(&mut self, later: u64, count: u64) -> Vec<Entry> {
        self.latest_term += later;
        let after = self.last() + 1;
        self.terms.extend(core::iter::repeat_n(self.latest_term, usize::try_from(count).unwrap()));
        (after..after + count).map(|index| entry(self.latest_term, index)).collect()
    }
}

/// Does the same to the log and to the plain vector.
fn play(op: Op, log: &mut RaftLog<MemStorage>, model: &mut Model) -> Result<(), TestCaseError> {
    match op {
        Op::Append { later, count } => {
            append(log, model.extend(later, count));
        }
        Op::Replace { back, later, count } => return replace(log, model, back, later, count),
        Op::Commit(index) => {
            log.commit_to(index);
            model.committed = model.committed.max(index.min(model.last()));
        }
        Op::Persist => persist(log),
        Op::Apply => {
            let entries = log.next_committed_entries().unwrap();
            let indices: Vec<_> = entries.iter().map(|entry| entry.index).collect();
            if log.pending_snapshot().is_none() {
                let expected: Vec<_> = (model.applied + 1..=model.committed).collect();
                prop_assert_eq!(indices, expected);
                log.applied_to(model.committed);
                model.applied = model.committed;
            } else {
                prop_assert_eq!(indices, Vec::<u64>::new());
            }
        }
        Op::Compact(index) => {
            let stored = log.storage().last_index().unwrap();
            let possible = log.pending_snapshot().is_none()
                && index > model.truncated
                && index <= model.applied.min(stored).min(log.stabled());
            if possible {
                log.storage_mut().compact(index).unwrap();
                model.terms.drain(..model.position(index));
                model.truncated = index;
            }
        }
        Op::Restore { ahead } => {
            model.latest_term += 1;
            let index = model.last() + ahead;
            log.restore(snapshot(model.latest_term, index));
            model.truncated = index;
            model.terms = vec![model.latest_term];
            model.committed = index;
            persist(log);
            log.applied_to(index);
            model.applied = index;
        }
    }
    Ok(())
}

/// A later leader's entries: the first conflicts with whatever stood there.
fn replace(
    log: &mut RaftLog<MemStorage>,
    model: &mut Model,
    back: u64,
    later: u64,
    count: u64,
) -> Result<(), TestCaseError> {
    let base = (model.last().saturating_sub(back)).max(model.committed);
    let previous = EntryId::new(model.terms[model.position(base)], base);
    let before = model.terms.clone();
    model.terms.truncate(model.position(base) + 1);
    let incoming = model.extend(later, count);
    if incoming.is_empty() {
        model.terms = before;
    }
    let last = base + count;
    let accepted = log.maybe_append(previous, 0, incoming, &Rules::default());
    prop_assert_eq!(accepted.unwrap().map(|a| a.last), Some(last));
    Ok(())
}

/// Whatever can be asked, both answer the same.
fn agree(log: &RaftLog<MemStorage>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(log.first_index(), Ok(model.truncated + 1));
    prop_assert_eq!(log.last_index(), model.last());
    prop_assert_eq!((log.committed(), log.applied()), (model.committed, model.applied));
    for (index, &term) in (model.truncated..).zip(&model.terms) {
        prop_assert_eq!(log.term(index), Ok(term));
    }
    let indices = model.truncated + 1..;
    let expected: Vec<_> =
        indices.zip(&model.terms[1..]).map(|(index, &term)| entry(term, index)).collect();
    prop_assert_eq!(log.all_entries(), Ok(expected));
    let unstable = model.last() - log.stabled();
    prop_assert_eq!(log.unstable_entries().len() as u64, unstable);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::tests::harness::cases(500)))]

    #[test]
    fn log_reads_like_a_plain_vector(ops in prop::collection::vec(any_op(), 0..40)) {
        let mut log = RaftLog::new(MemStorage::new()).unwrap();
        let mut model =
            Model { truncated: 0, terms: vec![0], committed: 0, applied: 0, latest_term: 1 };
        for op in ops {
            play(op, &mut log, &mut model)?;
            agree(&log, &model)?;
        }
    }

    /// Brute force over all indices.
    #[test]
    fn find_conflict_by_term_finds_the_last_entry_of_no_later_term(
        mut terms in prop::collection::vec(1u64..6, 0..12), index in 0u64..15, term in 0u64..7
    ) {
        terms.sort_unstable();
        let found = of_terms(&terms).find_conflict_by_term(index, term);
        let with_zero: Vec<_> = core::iter::once(0).chain(terms).zip(0u64..).collect();
        let expected = with_zero.into_iter().rfind(|&(t, i)| t <= term && i <= index).unwrap();
        prop_assert_eq!((found.term, found.index), expected);
    }
}
