//! Snapshots (7): when one is sent, what follows it, and when it is taken.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::eraftpb::{Entry, Message, Snapshot};
use crate::error::{ConfChangeError, Error, Malformed, StorageError};
use crate::tests::harness::*;
use crate::{MemStorage, ProgressState, Raft, RaftState, SnapshotStatus, Storage};

/// A log whose first `truncated` entries, all of term 1, are folded into a snapshot.
fn compacted(last: u64, truncated: u64) -> MemStorage {
    let mut storage = MemStorage::with_voters([1, 2]);
    let entries: Vec<_> = (1..=last).map(|index| entry(1, index)).collect();
    storage.append(&entries).unwrap();
    storage.create_snapshot(truncated, None, "state").unwrap();
    storage.compact(truncated).unwrap();
    storage
}

/// A leader of two that has just sent a snapshot up to 8 to peer 2. Its own first entry is 11.
fn sending() -> TestRaft {
    let mut raft = on_storage(1, &[], compacted(10, 8));
    lead(&mut raft);
    sent(&mut raft);
    raft.step(answer(MsgAppendResponse, 10, true)).unwrap();
    let sent = sent(&mut raft);
    assert_eq!(kinds(&sent), [MsgSnapshot]);
    let metadata = sent[0].snapshot.as_ref().unwrap().metadata.as_ref();
    assert_eq!(metadata.map(|m| (m.term, m.index)), Some((1, 8)));
    raft
}

fn answer(kind: MessageType, index: u64, reject: bool) -> Message {
    Message { term: 1, index, reject, ..msg(kind, 2, 1) }
}

fn view(raft: &TestRaft) -> (ProgressState, u64, u64) {
    let progress = raft.prs.get(2).unwrap();
    (progress.state, progress.matched, progress.next)
}

#[test]
fn direct_next_moves_past_a_snapshot_that_was_sent() {
    let raft = sending();
    assert_eq!(view(&raft), (ProgressState::Snapshot, 0, 9));
    assert_eq!(raft.prs.get(2).unwrap().pending_snapshot, 8);
}

#[test]
fn direct_only_heartbeats_go_to_a_peer_while_its_snapshot_is_on_the_way() {
    let mut raft = sending();
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(sent(&mut raft), []);
    tick(&mut raft, HEARTBEAT_TICK);
    assert_eq!(kinds(&sent(&mut raft)), [MsgHeartbeat]);
    // Neither of these means that the snapshot was lost.
    raft.step(answer(MsgHeartbeatResponse, 0, false)).unwrap();
    raft.step(answer(MsgAppendResponse, 10, true)).unwrap();
    raft.step(answer(MsgAppendResponse, 3, false)).unwrap();
    assert_eq!(sent(&mut raft), []);
    assert_eq!(view(&raft), (ProgressState::Snapshot, 3, 9));
}

#[test]
fn direct_acknowledged_snapshot_is_followed_by_the_rest_of_the_log() {
    let mut raft = sending();
    raft.step(answer(MsgAppendResponse, 8, false)).unwrap();
    let sent = sent(&mut raft);
    assert_eq!(kinds(&sent), [MsgAppend]);
    assert_eq!((sent[0].index, sent[0].entries.len()), (8, 3));
    assert_eq!(view(&raft), (ProgressState::Replicate, 8, 12));
}

#[test]
fn direct_failed_snapshot_is_sent_again_when_the_peer_is_heard_of() {
    let mut raft = sending();
    raft.report_snapshot(2, SnapshotStatus::Failure);
    assert_eq!(sent(&mut raft), [], "not at once: the link may be down");
    raft.step(answer(MsgHeartbeatResponse, 0, false)).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgSnapshot]);
}

#[test]
fn direct_finished_snapshot_is_followed_by_a_probe_behind_it() {
    let mut raft = sending();
    raft.report_snapshot(2, SnapshotStatus::Finish);
    assert_eq!(view(&raft), (ProgressState::Probe, 0, 9));
    raft.step(answer(MsgHeartbeatResponse, 0, false)).unwrap();
    let sent = sent(&mut raft);
    assert_eq!(kinds(&sent), [MsgAppend]);
    assert_eq!(sent[0].index, 8);
}

/// TinyKV has nobody who reports: time has to do.
#[test]
fn direct_snapshot_without_a_word_is_sent_again_after_two_election_time_outs() {
    let mut raft = sending();
    let mut snapshots = 0;
    for _ in 0..2 * ELECTION_TICK {
        tick(&mut raft, 1);
        let sent = sent(&mut raft);
        snapshots += sent.iter().filter(|m| kind(m) == MsgSnapshot).count();
    }
    assert_eq!(snapshots, 1);
}

#[test]
fn direct_reports_about_others_than_the_receiver_change_nothing() {
    let mut raft = sending();
    for id in [1, 9] {
        raft.report_snapshot(id, SnapshotStatus::Failure);
        raft.report_unreachable(id);
    }
    assert_eq!(view(&raft), (ProgressState::Snapshot, 0, 9));
    raft.report_unreachable(2);
    assert_eq!(view(&raft).0, ProgressState::Snapshot);
}

/// TestSlowNodeRestore2C with a log that is really compacted: one snapshot and nothing twice.
#[test]
fn direct_slow_peer_gets_one_snapshot_and_then_entries() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(3);
    for _ in 0..=100 {
        net.send([propose(1, "")]);
    }
    next_ents(&mut net[1]);
    let (applied, conf_state) = (net[1].log.applied(), net[1].prs.conf_state());
    let storage = net[1].log.storage_mut();
    storage.create_snapshot(applied, Some(conf_state), "state").unwrap();
    storage.compact(applied).unwrap();
    assert_eq!(net[1].log.first_index(), Ok(103));
    net.recover();
    net.send([beat(1)]);
    assert_eq!(net[3].log.storage().truncated().index, 102);
    net.send([propose(1, "data")]);
    assert_eq!(net.count_delivered(MsgSnapshot), 1);
    let expected = text(103, 102, &[data_entry(1, 103, "data")]);
    assert_eq!(log_text(&net[3]), expected);
}

/// Storage that is busy making its snapshot.
struct Busy {
    storage: MemStorage,
    busy: Cell<bool>,
}

impl Storage for Busy {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        self.storage.initial_state()
    }
    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.storage.entries(low, high, max_size)
    }
    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.storage.term(index)
    }
    fn first_index(&self) -> Result<u64, StorageError> {
        self.storage.first_index()
    }
    fn last_index(&self) -> Result<u64, StorageError> {
        self.storage.last_index()
    }
    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        match self.busy.get() {
            true => Err(StorageError::SnapshotTemporarilyUnavailable),
            false => self.storage.snapshot(),
        }
    }
}

#[test]
fn direct_snapshot_that_is_not_ready_is_asked_for_again() {
    let storage = Busy { storage: compacted(10, 8), busy: Cell::new(true) };
    let mut raft = Raft::new(&config(1, &[]), storage).unwrap();
    raft.become_candidate();
    raft.become_leader();
    sent(&mut raft);
    raft.step(answer(MsgAppendResponse, 10, true)).unwrap();
    assert_eq!(sent(&mut raft), [], "and no error");
    raft.step(answer(MsgHeartbeatResponse, 0, false)).unwrap();
    assert_eq!(sent(&mut raft), [], "still busy");
    raft.log.storage_mut().busy.set(false);
    raft.step(answer(MsgHeartbeatResponse, 0, false)).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgSnapshot]);
}

fn to_follower(term: u64, index: u64, voters: &[u64]) -> Message {
    Message {
        term: 3,
        snapshot: Some(snapshot(term, index, voters).into()),
        ..msg(MsgSnapshot, 2, 1)
    }
}

/// A follower with the terms 1, 1, 2, 2, two entries committed.
fn follower() -> TestRaft {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1, 2, 2]));
    raft.log.commit_to(2);
    raft
}

#[test]
fn direct_snapshot_is_answered_with_the_commit_index_whether_it_was_news_or_not() {
    // Snapshot's term and index; then commit index, log, members.
    let cases: &[(u64, u64, u64, &[u64])] = &[
        // Older than the commit index.
        (1, 1, 2, &[1, 1, 2, 2]),
        (1, 2, 2, &[1, 1, 2, 2]),
        // All of it is in the log already: only the commit index moves.
        (2, 3, 3, &[1, 1, 2, 2]),
        // It replaces entries that conflict, also those behind it.
        (3, 3, 3, &[]),
        (3, 9, 9, &[]),
    ];
    for &(term, index, committed, log) in cases {
        let mut raft = follower();
        raft.step(to_follower(term, index, &[1, 2])).unwrap();
        let what = (term, index);
        assert_eq!(raft.log.committed(), committed, "{what:?}");
        let entries = raft.log.all_entries().unwrap();
        assert_eq!(entries, entries_of(log), "{what:?}");
        let replaced = raft.log.pending_snapshot().is_some();
        assert_eq!(replaced, log.is_empty(), "{what:?}");
        let members = members(&raft);
        assert_eq!(members.len(), if replaced { 2 } else { 3 }, "{what:?}");
        let reply = Message { term: 3, index: committed, ..msg(MsgAppendResponse, 1, 2) };
        assert_eq!(sent(&mut raft), [reply], "{what:?}");
    }
}

/// R25 has all of the old snapshot in its log. Here it is compacted away, and taking the snapshot
/// would undo what is applied.
#[test]
fn direct_snapshot_older_than_the_compacted_log_is_not_taken() {
    for index in [1, 2, 3] {
        let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1, 2, 2, 2]));
        raft.log.commit_to(4);
        raft.log.applied_to(4);
        raft.log.storage_mut().compact(3).unwrap();
        let before = log_text(&raft);
        raft.step(to_follower(1, index, &[1, 2])).unwrap();
        assert_eq!(log_text(&raft), before, "snapshot at {index}");
        assert_eq!(raft.log.pending_snapshot(), None, "snapshot at {index}");
        assert_eq!(sent(&mut raft)[0].index, 4, "snapshot at {index}");
    }
}

#[test]
fn direct_snapshot_that_does_not_concern_the_peer_is_not_taken() {
    let mut raft = follower();
    raft.step(to_follower(3, 9, &[2, 3])).unwrap();
    assert_eq!((raft.log.committed(), raft.log.last_index()), (2, 4));
    assert_eq!(members(&raft), [1, 2, 3]);
}

#[test]
fn direct_snapshot_that_no_leader_sends_is_refused_by_name() {
    let mut doubled = to_follower(3, 9, &[1, 2]);
    let mut staged = doubled.clone();
    let conf_state = |m: &mut Message, change: fn(&mut crate::eraftpb::ConfState)| {
        let metadata = m.snapshot.as_mut().and_then(|s| s.metadata.as_mut());
        change(metadata.and_then(|m| m.conf_state.as_mut()).unwrap());
    };
    conf_state(&mut doubled, |c| c.learners.push(2));
    conf_state(&mut staged, |c| c.learners_next.push(3));
    let mut bare = to_follower(3, 9, &[1]);
    bare.snapshot = Some(Snapshot::default().into());
    let mut none = to_follower(3, 9, &[1]);
    none.snapshot = None;
    let rows = [
        (doubled, Error::ConfChange(ConfChangeError::Contradiction)),
        (staged, Error::ConfChange(ConfChangeError::Contradiction)),
        (bare, Error::Malformed(Malformed::NoSnapshotMetadata)),
        (none, Error::Malformed(Malformed::NoSnapshotMetadata)),
    ];
    for (message, expected) in rows {
        let mut raft = follower();
        let log = log_text(&raft);
        assert_eq!(raft.step(message), Err(expected.clone()));
        assert_eq!(log_text(&raft), log, "{expected}");
        assert_eq!(members(&raft), [1, 2, 3], "{expected}");
    }
}

#[test]
fn direct_peer_does_not_campaign_before_its_snapshot_is_persisted() {
    let mut raft = fresh(1, &[1]);
    raft.step(to_follower(3, 9, &[1])).unwrap();
    raft.step(hup(1)).unwrap();
    tick(&mut raft, 2 * ELECTION_TICK);
    assert_eq!((raft.role, raft.term), (Follower, 3));
    persist_snapshot(&mut raft);
    raft.step(hup(1)).unwrap();
    assert_eq!((raft.role, raft.term), (Leader, 4));
}

#[test]
fn direct_appends_follow_a_snapshot_that_is_not_persisted_yet() {
    let mut raft = fresh(1, &[1, 2]);
    raft.step(to_follower(3, 9, &[1, 2])).unwrap();
    let append = Message {
        term: 3,
        index: 9,
        log_term: 3,
        entries: alloc::vec![entry(3, 10)],
        commit: 10,
        ..msg(MsgAppend, 2, 1)
    };
    raft.step(append).unwrap();
    assert_eq!(log_text(&raft), text(10, 0, &[entry(3, 10)]));
    assert_eq!(raft.log.next_committed_entries(), Ok(Vec::new()), "first the snapshot");
}
