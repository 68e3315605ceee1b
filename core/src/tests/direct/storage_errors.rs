//! A disk that cannot be read now, or not any more: every error is an answer, and none is the end.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::eraftpb::{ConfChangeType, Entry, HardState, Message, Snapshot};
use crate::error::{Error, StorageError};
use crate::tests::harness::*;
use crate::{Config, MemStorage, ProgressState, RaftState, RawNode, Storage};

/// Fails all reads of one kind.
#[derive(Clone, Debug)]
struct Broken {
    inner: MemStorage,
    term: Cell<Option<StorageError>>,
    entries: Cell<Option<StorageError>>,
    snapshot: Cell<Option<StorageError>>,
    first: Cell<Option<StorageError>>,
}

impl Broken {
    fn new(inner: MemStorage) -> Self {
        let none = || Cell::new(None);
        Self { inner, term: none(), entries: none(), snapshot: none(), first: none() }
    }
}

fn unless<T>(error: &Cell<Option<StorageError>>, value: T) -> Result<T, StorageError> {
    error.get().map_or(Ok(value), Err)
}

impl Storage for Broken {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        self.inner.initial_state()
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        unless(&self.entries, ())?;
        self.inner.entries(low, high, max_size)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        unless(&self.term, ())?;
        self.inner.term(index)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        unless(&self.first, ())?;
        self.inner.first_index()
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        self.inner.last_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        unless(&self.snapshot, ())?;
        self.inner.snapshot()
    }
}

const ALL: [StorageError; 5] = [
    StorageError::Compacted,
    StorageError::Unavailable,
    StorageError::SnapshotOutOfDate,
    StorageError::SnapshotTemporarilyUnavailable,
    StorageError::Corrupt("test"),
];

type BrokenNode = RawNode<Broken>;

fn ack(from: u64, index: u64) -> Message {
    Message { term: 2, index, ..msg(MsgAppendResponse, from, 1) }
}

fn turn_broken(node: &mut BrokenNode) -> Result<Vec<Message>, Error> {
    let mut ready = node.ready()?;
    let storage = &mut node.store_mut().inner;
    if let Some(snapshot) = ready.snapshot.clone() {
        storage.apply_snapshot(*snapshot).unwrap();
    }
    storage.append(&ready.entries).unwrap();
    if let Some(state) = ready.hard_state {
        storage.set_hard_state(state);
    }
    let messages = core::mem::take(&mut ready.messages);
    node.advance(ready)?;
    Ok(messages)
}

fn settle_broken(node: &mut BrokenNode) -> Vec<Message> {
    let mut messages = Vec::new();
    while node.has_ready() {
        messages.extend(turn_broken(node).unwrap());
    }
    messages
}

/// A leader of three in term 2, with ten entries of term 1 on disk before its own, of which the
/// first four are folded into a snapshot. Peer 2 has everything, peer 3 said nothing yet.
fn leading() -> BrokenNode {
    let mut storage = MemStorage::with_voters([1, 2, 3]);
    storage.append(&entries_of(&[1; 10])).unwrap();
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 10 });
    storage.create_snapshot(4, None, "state").unwrap();
    storage.compact(4).unwrap();
    let config = Config { peers: Vec::new(), applied: 10, ..config(1, &[]) };
    let mut node = RawNode::new(&config, Broken::new(storage)).unwrap();
    node.campaign().unwrap();
    node.step(Message { term: 2, ..vote_answer(2, 2, true) }).unwrap();
    settle_broken(&mut node);
    node.step(ack(2, 11)).unwrap();
    settle_broken(&mut node);
    assert_eq!((node.raft().role(), node.raft().log().committed()), (Leader, 11));
    node
}

/// Entries that are gone are replaced by a snapshot, whichever read finds out.
#[test]
fn direct_entries_that_are_compacted_away_are_replaced_by_a_snapshot() {
    for which in ["entries", "term"] {
        let mut node = leading();
        node.step(Message { reject: true, reject_hint: 5, log_term: 1, ..ack(3, 10) }).unwrap();
        let failing = match which {
            "entries" => &node.store().entries,
            _ => &node.store().term,
        };
        failing.set(Some(StorageError::Compacted));
        let sent = settle_broken(&mut node);
        assert_eq!(kinds(&sent), [MsgSnapshot], "{which}");
    }
}

/// A snapshot that is not ready delays one follower and nobody else.
#[test]
fn direct_snapshot_that_is_being_made_holds_up_one_follower_and_nobody_else() {
    let mut node = leading();
    node.store().snapshot.set(Some(StorageError::SnapshotTemporarilyUnavailable));
    node.step(Message { reject: true, ..ack(3, 10) }).unwrap();
    assert_eq!(settle_broken(&mut node), []);
    node.propose("data").unwrap();
    let sent = settle_broken(&mut node);
    assert_eq!(sent.iter().map(|m| m.to).collect::<Vec<_>>(), [2]);
    node.step(ack(2, 12)).unwrap();
    assert_eq!(node.raft().log().committed(), 12);
    node.store().snapshot.set(None);
    node.step(Message { term: 2, ..msg(MsgHeartbeatResponse, 3, 1) }).unwrap();
    assert!(kinds(&settle_broken(&mut node)).contains(&MsgSnapshot));
}

/// Whatever the disk answers when a `Ready` is asked for, nothing is lost: the next one has it all.
#[test]
fn direct_failed_ready_loses_nothing() {
    for error in ALL {
        for which in 0..3 {
            if error == StorageError::Compacted && which < 2 {
                // Believed, it asks for a snapshot instead.
                continue;
            }
            let mut node = leading();
            node.step(Message { reject: true, reject_hint: 6, log_term: 1, ..ack(3, 10) }).unwrap();
            node.propose("data").unwrap();
            node.step(Message { term: 2, ..msg(MsgHeartbeatResponse, 2, 1) }).unwrap();
            let storage = node.store();
            let failing = [&storage.term, &storage.entries, &storage.snapshot][which];
            failing.set(Some(error));
            // It may fail or not; if it does not, what it gives is good.
            let early = turn_broken(&mut node).unwrap_or_default();
            let storage = node.store();
            for failing in [&storage.term, &storage.entries, &storage.snapshot] {
                failing.set(None);
            }
            let late = settle_broken(&mut node);
            let data = |m: &&Message| m.entries.iter().any(|entry| entry.data == "data");
            let got: Vec<_> = early.iter().chain(&late).filter(data).map(|m| m.to).collect();
            assert!(got.contains(&2), "{error}, {which}: {got:?}");
            let log = &node.store().inner;
            assert_eq!(log.last_index(), Ok(12), "{error}, {which}");
            // The third peer gets what it lacks too, as soon as it is heard of again.
            node.step(Message { term: 2, ..msg(MsgHeartbeatResponse, 3, 1) }).unwrap();
            let again = settle_broken(&mut node);
            let all = early.iter().chain(&late).chain(&again);
            assert!(all.filter(|m| m.to == 3).count() > 0, "{error}, {which}");
        }
    }
}

/// The answer of a step that could not read is an error; the next message finds a sound peer.
#[test]
fn direct_step_that_cannot_read_is_an_error_and_changes_nothing_by_halves() {
    for error in [StorageError::Corrupt("test"), StorageError::SnapshotOutOfDate] {
        let mut node = leading();
        node.propose("data").unwrap();
        settle_broken(&mut node);
        let append = Message { term: 3, log_term: 2, index: 11, ..msg(MsgAppend, 2, 1) };
        let append = Message { entries: [entry(3, 12)].to_vec(), ..append };
        node.store().term.set(Some(error));
        assert!(node.step(append.clone()).is_err());
        assert_eq!(node.raft().log().term(12), Err(error), "not overwritten");
        assert!(node.step(Message { term: 3, ..msg(MsgRequestVote, 3, 1) }).is_err());
        node.store().term.set(None);
        node.step(Message { term: 3, index: 99, log_term: 2, ..msg(MsgRequestVote, 3, 1) })
            .unwrap();
        let log = node.raft().log();
        assert!(log.committed() <= log.last_index());
        settle_broken(&mut node);
        assert_eq!(
            node.store().inner.all_entries().last().map(|e| (e.term, e.index)),
            Some((2, 12))
        );
    }
}

/// The clock runs on: a campaign that could not begin begins at the next time-out.
#[test]
fn direct_campaign_that_could_not_read_is_tried_again() {
    let mut storage = terms(&[1, 1]);
    storage.set_conf_state(crate::eraftpb::ConfState {
        voters: [1, 2].to_vec(),
        ..Default::default()
    });
    let mut node = RawNode::new(&config(1, &[]), Broken::new(storage)).unwrap();
    node.store().term.set(Some(StorageError::Corrupt("test")));
    let failed = (0..2 * ELECTION_TICK).filter(|_| node.tick().is_err()).count();
    assert!(failed >= 1);
    assert_eq!(node.raft().role(), Follower);
    node.store().term.set(None);
    for _ in 0..2 * ELECTION_TICK {
        node.tick().unwrap();
    }
    assert_eq!(node.raft().role(), Candidate);
}

/// The commit index is not lost because a term could not be read when it was due.
#[test]
fn direct_commit_that_could_not_be_decided_is_decided_at_the_next_sign_of_life() {
    let mut node = leading();
    node.propose("data").unwrap();
    settle_broken(&mut node);
    for failing in [true, false] {
        node.store().term.set(failing.then_some(StorageError::Corrupt("test")));
        node.store().first.set(failing.then_some(StorageError::Corrupt("test")));
        let _ = node.step(ack(2, 12));
        for _ in 0..3 {
            node.tick().unwrap();
            let _ = node.step(Message { term: 2, ..msg(MsgHeartbeatResponse, 2, 1) });
            let _ = turn_broken(&mut node);
        }
    }
    assert_eq!(node.raft().log().committed(), 12);
}

/// An incoming snapshot that the disk finds out of date is the driver's to skip; the core goes on.
#[test]
fn direct_out_of_date_snapshot_is_an_error_of_the_storage_and_no_more() {
    let mut storage = MemStorage::with_voters([1, 2]);
    storage.append(&entries_of(&[1, 1, 1])).unwrap();
    storage.create_snapshot(2, None, "newer").unwrap();
    let older = snapshot(1, 1, &[1, 2]);
    assert_eq!(storage.clone().apply_snapshot(older.clone()), Err(StorageError::SnapshotOutOfDate));
    storage.set_hard_state(HardState { term: 1, vote: 0, commit: 2 });
    let mut node = RawNode::new(&config(1, &[]), storage).unwrap();
    let message = Message { term: 1, snapshot: Some(older.into()), ..msg(MsgSnapshot, 2, 1) };
    node.step(message).unwrap();
    let ready = turn(&mut node);
    assert_eq!((ready.snapshot, node.raft().log().last_index()), (None, 3));
}

/// A follower stays with its leader although its disk fails, and catches up later.
#[test]
fn direct_follower_catches_up_after_its_disk_failed() {
    let mut storage = terms(&[1, 1]);
    storage.set_conf_state(crate::eraftpb::ConfState {
        voters: [1, 2].to_vec(),
        ..Default::default()
    });
    let mut node = RawNode::new(&config(1, &[]), Broken::new(storage)).unwrap();
    let append = |index| Message {
        term: 1,
        log_term: 1,
        index,
        entries: [entry(1, index + 1)].to_vec(),
        commit: index,
        ..msg(MsgAppend, 2, 1)
    };
    node.store().term.set(Some(StorageError::Unavailable));
    let _ = node.step(append(2));
    let _ = turn_broken(&mut node);
    node.store().term.set(None);
    for index in 2..6 {
        node.step(append(index)).unwrap();
        settle_broken(&mut node);
    }
    let log = node.raft().log();
    assert_eq!((log.last_index(), log.committed(), log.applied()), (6, 5, 5));
    assert_eq!(node.raft().progress(2).map(|p| p.state), None::<ProgressState>);
}

/// 3 waits for a snapshot and acknowledges the whole log at a moment when the log cannot be read.
/// Nobody will say it again.
#[test]
fn direct_acknowledgement_in_a_snapshot_counts_although_the_log_cannot_be_read() {
    let mut node = leading();
    node.propose("data").unwrap();
    node.step(Message { reject: true, ..ack(3, 10) }).unwrap();
    settle_broken(&mut node);
    assert_eq!(node.raft().progress(3).unwrap().state, ProgressState::Snapshot);
    node.store().first.set(Some(StorageError::Corrupt("test")));
    node.step(ack(3, 12)).unwrap();
    node.store().first.set(None);
    node.tick().unwrap();
    settle_broken(&mut node);
    assert_eq!(node.raft().log().committed(), 12);
}

/// Whatever is wrong with the snapshot, only the follower that needs it waits.
#[test]
fn direct_no_error_of_a_snapshot_holds_up_the_other_followers() {
    for error in ALL {
        let mut node = leading();
        node.store().snapshot.set(Some(error));
        node.step(Message { reject: true, ..ack(3, 10) }).unwrap();
        node.propose("data").unwrap();
        let sent = settle_broken(&mut node);
        assert_eq!(sent.iter().map(|m| m.to).collect::<Vec<_>>(), [2], "{error:?}");
        node.step(ack(2, 12)).unwrap();
        assert_eq!(node.raft().log().committed(), 12, "{error:?}");
        node.store().snapshot.set(None);
        node.step(Message { term: 2, ..msg(MsgHeartbeatResponse, 3, 1) }).unwrap();
        assert!(kinds(&settle_broken(&mut node)).contains(&MsgSnapshot), "{error:?}");
    }
}

/// A candidate learns that a membership change is committed and cannot read whether it is one: it
/// must not win by the members before it.
#[test]
fn direct_candidate_that_cannot_read_what_it_learnt_does_not_go_on() {
    let mut storage = MemStorage::with_voters([1, 2, 3]);
    let change = conf_change(ConfChangeType::AddNode, 4);
    storage.append(&[Entry { term: 1, index: 1, ..change.into() }]).unwrap();
    storage.set_hard_state(HardState { term: 1, vote: 0, commit: 0 });
    let config = Config { peers: Vec::new(), share_commit: true, ..config(1, &[]) };
    let mut node = RawNode::new(&config, Broken::new(storage)).unwrap();
    node.campaign().unwrap();
    node.store().entries.set(Some(StorageError::Unavailable));
    let told = Message { commit: 1, commit_term: 1, ..vote_answer(3, 2, false) };
    node.step(told).unwrap();
    node.store().entries.set(None);
    node.step(vote_answer(2, 2, true)).unwrap();
    assert_eq!((node.raft().role(), node.raft().log().committed()), (Follower, 1));
}
