//! [`RawNode`]: what a `Ready` holds, and what `advance` does with it.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{HardState, Message};
use crate::error::{Error, StorageError};
use crate::tests::harness::*;
use crate::{Config, EntryId, MemStorage, NONE, RawNode, Ready, SelfAck, SoftState};

fn from_leader(kind: MessageType) -> Message {
    Message { term: 1, ..msg(kind, 2, 1) }
}

/// Entries of term 1 after `index`, committed up to `commit`.
fn append(index: u64, count: u64, commit: u64) -> Message {
    Message {
        index,
        log_term: index.min(1),
        entries: (index + 1..=index + count).map(|i| entry(1, i)).collect(),
        commit,
        ..from_leader(MsgAppend)
    }
}

#[test]
fn direct_ready_hands_out_everything_once() {
    let mut node = node(1, &[1, 2, 3]);
    node.step(append(0, 3, 2)).unwrap();
    let ready = node.ready().unwrap();
    let expected = Ready {
        number: 1,
        read_states: vec![],
        dropped_reads: vec![],
        soft_state: Some(SoftState { leader: 2, role: Follower }),
        hard_state: Some(node.raft().hard_state()),
        entries: entries_of(&[1, 1, 1]),
        snapshot: None,
        committed_entries: entries_of(&[1, 1]),
        messages: vec![Message { term: 1, index: 3, ..msg(MsgAppendResponse, 1, 2) }],
        must_sync: true,
    };
    assert_eq!(ready, expected);
    assert!(!node.has_ready());
    let nothing = Ready { number: 2, ..Ready::default() };
    assert_eq!(node.ready().unwrap(), nothing);
}

/// Each cause alone, the others made equal to what was offered last.
#[test]
fn direct_each_cause_makes_a_node_ready() {
    type Cause = fn(&mut TestNode);
    let causes: &[(&str, Cause)] = &[
        ("leader", |node| node.raft_mut().leader = 2),
        ("role", |node| node.raft_mut().role = Candidate),
        ("term", |node| node.raft_mut().term += 1),
        ("vote", |node| node.raft_mut().vote = 2),
        ("entries", |node| {
            node.raft_mut().log.push(entry(1, 2));
        }),
        ("commit", |node| {
            node.raft_mut().log.commit_to(1);
            node.raft_mut().log.applied_to(1);
        }),
        ("committed entries", |node| {
            node.raft_mut().log.commit_to(1);
            node.offered_hard_state = node.raft.hard_state();
        }),
        ("snapshot", |node| {
            node.raft_mut().log.restore(snapshot(1, 9, &[1, 2]));
            node.offered_hard_state = node.raft.hard_state();
        }),
        ("messages", |node| {
            node.raft_mut().msgs.push(msg(MsgHeartbeat, 1, 2));
        }),
        ("owed append", |node| {
            node.raft_mut().role = Leader;
            node.raft.prs.start_leading(2);
            node.offered_soft_state = node.raft.soft_state();
            send_append(node.raft_mut(), 2);
        }),
    ];
    for (name, cause) in causes {
        let mut node = RawNode::new(&config(1, &[1, 2, 3]), terms(&[1])).unwrap();
        assert!(!node.has_ready(), "{name}");
        cause(&mut node);
        assert!(node.has_ready(), "{name}");
        node.ready().unwrap();
        assert!(!node.has_ready(), "{name}, once it was handed out");
    }
}

#[test]
fn direct_ready_carries_an_incoming_snapshot_until_it_is_advanced() {
    let mut node = node(1, &[1, 2, 3]);
    let incoming = snapshot(1, 9, &[1, 2, 3]);
    let message = Message { snapshot: Some(incoming.clone().into()), ..from_leader(MsgSnapshot) };
    node.step(message).unwrap();
    node.step(append(9, 1, 10)).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(ready.snapshot, Some(incoming.into()));
    assert_eq!(ready.entries, [entry(1, 10)]);
    assert_eq!(ready.committed_entries, [], "the snapshot is applied first");
    assert!(ready.must_sync);
    assert_eq!(node.ready().unwrap().snapshot, None, "once is enough");

    assert!(node.raft().log().pending_snapshot().is_some());
    persist(&mut node, &ready);
    node.advance(ready).unwrap();
    assert!(node.raft().log().pending_snapshot().is_none());
    assert_eq!(node.raft().log().applied(), 9);
    assert_eq!(turn(&mut node).committed_entries, [entry(1, 10)]);
    assert_eq!(node.raft().log().applied(), 10);
}

/// A newer snapshot may arrive while the disk still writes the first.
#[test]
fn direct_advance_keeps_a_snapshot_that_came_meanwhile() {
    let mut node = node(1, &[1, 2, 3]);
    let incoming = |index| Message {
        snapshot: Some(snapshot(1, index, &[1, 2, 3]).into()),
        ..from_leader(MsgSnapshot)
    };
    node.step(incoming(5)).unwrap();
    let first = node.ready().unwrap();
    node.step(incoming(9)).unwrap();
    persist(&mut node, &first);
    node.advance(first).unwrap();
    assert_eq!(node.raft().log().last_index(), 9);
    let second = turn(&mut node);
    assert_eq!(second.snapshot, Some(snapshot(1, 9, &[1, 2, 3]).into()));
    assert_eq!(node.raft().log().pending_snapshot(), None);
    assert_eq!(node.raft().log().applied(), 9);
}

#[test]
fn direct_applied_moves_when_a_ready_is_advanced_and_not_before() {
    let mut node = node(1, &[1, 2, 3]);
    node.step(append(0, 2, 2)).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(ready.committed_entries.len(), 2);
    let log = node.raft().log();
    assert_eq!((log.applied(), log.stabled()), (0, 0));
    persist(&mut node, &ready);
    node.advance(ready).unwrap();
    let log = node.raft().log();
    assert_eq!((log.applied(), log.stabled()), (2, 2));
}

#[test]
fn direct_only_what_must_not_be_forgotten_needs_a_flush() {
    let mut node = node(1, &[1, 2, 3]);
    let must_sync = |node: &mut TestNode, message| {
        node.step(message).unwrap();
        turn(node).must_sync
    };
    let vote = |from| Message { term: 2, log_term: 1, ..msg(MsgRequestVote, from, 1) };
    assert!(must_sync(&mut node, append(0, 1, 0)), "term and entry");
    assert!(must_sync(&mut node, append(1, 1, 0)), "entry");
    assert!(!must_sync(&mut node, append(2, 0, 1)), "the commit index is found again");
    assert!(must_sync(&mut node, vote(2)), "term: the candidate's log is too short");
    assert!(must_sync(&mut node, Message { index: 9, ..vote(3) }), "vote");
    assert!(!must_sync(&mut node, Message { index: 9, ..vote(3) }), "the same vote");
}

/// A slow disk: messages and ticks go on between `ready` and `advance`.
#[test]
fn direct_entries_are_handed_out_for_application_exactly_once() {
    let mut node = node(1, &[1, 2, 3]);
    let mut applied = Vec::new();
    let mut in_flight = Vec::new();
    for index in 0..6 {
        node.step(append(index, 1, index)).unwrap();
        let ready = node.ready().unwrap();
        applied.extend(ready.committed_entries.clone());
        in_flight.push(ready);
        if index % 2 == 1 {
            let oldest = in_flight.remove(0);
            persist(&mut node, &oldest);
            node.advance(oldest).unwrap();
        }
    }
    for ready in in_flight {
        persist(&mut node, &ready);
        node.advance(ready).unwrap();
    }
    assert_eq!(applied, entries_of(&[1; 5]));
    assert_eq!(node.store().all_entries(), entries_of(&[1; 6]));
}

/// A restarted application says how far it got; the core repeats nothing of that.
#[test]
fn direct_restarted_node_goes_on_where_the_application_left_off() {
    let mut storage = terms(&[1, 1, 1, 1]);
    storage.set_hard_state(HardState { term: 1, vote: 2, commit: 3 });
    let config = Config { applied: 2, ..config(1, &[1, 2, 3]) };
    let mut node = RawNode::new(&config, storage.clone()).unwrap();
    assert_eq!(node.raft().hard_state(), HardState { term: 1, vote: 2, commit: 3 });
    assert_eq!(turn(&mut node).committed_entries, [entry(1, 3)]);
    assert!(!node.has_ready());
}

/// Starting from such records would do harm, later and elsewhere.
#[test]
fn direct_node_does_not_start_from_records_that_contradict_each_other() {
    let inconsistent = |what, value, min, max| {
        Error::Storage(StorageError::Inconsistent { what, value, min, max })
    };
    let limit = EntryId::LIMIT;
    // Term, commit index and applied index, over a log whose first two of four entries are gone.
    let rows = [
        (1, 5, 0, inconsistent("commit index", 5, 2, 4)),
        (1, 1, 0, inconsistent("commit index", 1, 2, 4)),
        (1, 3, 4, inconsistent("applied index", 4, 2, 3)),
        (1, 3, 1, inconsistent("applied index", 1, 2, 3)),
        (limit + 1, 3, 0, inconsistent("term", limit + 1, 0, limit)),
    ];
    for (term, commit, applied, expected) in rows {
        let mut storage = terms(&[1, 1, 1, 1]);
        storage.compact(2).unwrap();
        storage.set_hard_state(HardState { term, vote: 0, commit });
        let config = Config { applied, ..config(1, &[1, 2, 3]) };
        let refused = RawNode::new(&config, storage).map(drop);
        assert_eq!(refused, Err(expected), "term {term}, commit {commit}, applied {applied}");
    }
}

/// Disks do not fail for ever; what could not be read is not lost.
#[test]
fn direct_ready_that_could_not_read_can_be_asked_again() {
    let mut node = node(1, &[1, 2]);
    node.raft.become_candidate();
    node.raft.become_leader();
    // The storage forgot what the log was promised to hold.
    let good = node.store().clone();
    node.raft.log.stable_to(EntryId::new(1, 1));
    assert!(node.ready().is_err());
    let mut repaired: MemStorage = good;
    repaired.append(&[entry(1, 1)]).unwrap();
    *node.store_mut() = repaired;
    let ready = node.ready().unwrap();
    assert_eq!(kinds(&ready.messages), [MsgAppend]);
    assert_eq!(ready.number, 1);
}

#[test]
fn direct_status_shows_progress_only_at_a_leader() {
    let mut node = node(1, &[1, 2]);
    assert_eq!(node.status().progress.len(), 0);
    assert_eq!(node.status().soft_state.leader, NONE);
    node.campaign().unwrap();
    node.step(vote_answer(2, 1, true)).unwrap();
    let progress = node.status().progress;
    let ids: Vec<_> = progress.iter().map(|&(id, _)| id).collect();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn direct_ready_that_was_never_handed_out_is_not_advanced() {
    let careful = Config { self_ack: SelfAck::OnPersist, ..config(1, &[1]) };
    let mut node = RawNode::new(&careful, MemStorage::new()).unwrap();
    node.campaign().unwrap();
    let stranger = Ready { number: 7, ..Ready::default() };
    assert_eq!(node.advance(stranger), Err(Error::UnknownReady { number: 7, last: 0 }));
    assert_eq!(node.raft().role(), Candidate, "its own vote is not on disk");
}
