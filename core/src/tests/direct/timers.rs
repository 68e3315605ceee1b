//! Timers (5.2): who may put off an election, and who may not.

use alloc::vec;

use crate::eraftpb::Message;
use crate::tests::harness::*;
use crate::{Config, MemStorage, NONE, Raft};

const WAITED: u32 = 5;

/// A follower in term 2 that has waited for some ticks.
fn waiting(leader: u64) -> TestRaft {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
    raft.become_follower(2, leader);
    tick(&mut raft, WAITED);
    assert_eq!(raft.election_elapsed, WAITED);
    raft
}

fn in_term(kind: MessageType, term: u64) -> Message {
    Message { term, ..msg(kind, 2, 1) }
}

#[test]
fn direct_word_from_the_leader_puts_off_the_election() {
    let refused = Message { index: 9, log_term: 2, ..in_term(MsgAppend, 2) };
    let stale_snapshot =
        Message { snapshot: Some(snapshot(1, 1, &[1, 2, 3]).into()), ..in_term(MsgSnapshot, 2) };
    let accepted = in_term(MsgAppend, 2);
    let heartbeat = in_term(MsgHeartbeat, 2);
    for message in [heartbeat, accepted, refused, stale_snapshot] {
        let mut raft = waiting(2);
        raft.step(message.clone()).unwrap();
        assert_eq!(raft.election_elapsed, 0, "after {message:?}");
    }
}

#[test]
fn direct_granted_vote_puts_off_the_election_and_a_refused_one_does_not() {
    for (log_term, granted) in [(2, true), (1, false)] {
        let mut raft = waiting(NONE);
        let request = Message { log_term, index: 2, ..in_term(MsgRequestVote, 2) };
        raft.step(request).unwrap();
        assert_eq!(sent(&mut raft)[0].reject, !granted);
        let expected = if granted { 0 } else { WAITED };
        assert_eq!(raft.election_elapsed, expected, "granted: {granted}");
    }
}

#[test]
fn direct_word_of_an_older_term_does_not_put_off_the_election() {
    for kind in [MsgHeartbeat, MsgAppend, MsgSnapshot, MsgRequestVote] {
        let mut raft = waiting(2);
        raft.step(in_term(kind, 1)).unwrap();
        assert_eq!(raft.election_elapsed, WAITED, "after {kind:?}");
    }
}

#[test]
fn direct_answers_and_proposals_do_not_put_off_the_election() {
    for kind in [MsgAppendResponse, MsgHeartbeatResponse, MsgPropose] {
        let mut raft = waiting(2);
        let message = Message { entries: vec![entry(0, 0)], ..in_term(kind, 2) };
        raft.step(message).unwrap();
        assert_eq!(raft.election_elapsed, WAITED, "after {kind:?}");
    }
}

#[test]
fn direct_leader_beats_at_its_interval_and_not_before() {
    const INTERVAL: u32 = 3;
    let config = Config { heartbeat_tick: INTERVAL, ..config(1, &[1, 2]) };
    let mut raft = Raft::new(&config, MemStorage::new()).unwrap();
    lead(&mut raft);
    sent(&mut raft);
    for _ in 0..2 {
        tick(&mut raft, INTERVAL - 1);
        assert_eq!(sent(&mut raft), []);
        tick(&mut raft, 1);
        assert_eq!(kinds(&sent(&mut raft)), [MsgHeartbeat]);
    }
}

#[test]
fn direct_leader_never_times_out() {
    let mut raft = leader(1, &[1, 2, 3]);
    tick(&mut raft, 10 * ELECTION_TICK);
    assert_eq!((raft.role, raft.term), (Leader, 1));
}

/// Else a peer that is about to join would raise the term of a cluster it does not belong to.
#[test]
fn direct_stranger_never_times_out() {
    let mut raft = fresh(1, &[2, 3]);
    tick(&mut raft, 10 * ELECTION_TICK);
    assert_eq!((raft.role, raft.term), (Follower, 0));
    assert_eq!(sent(&mut raft), []);
}

#[test]
fn direct_same_seed_gives_the_same_time_outs_and_another_seed_others() {
    let time_outs = |seed| {
        let config = Config { seed, ..config(1, &[1, 2, 3]) };
        let mut raft = Raft::new(&config, MemStorage::new()).unwrap();
        (1..50)
            .map(|term| {
                raft.become_follower(term, NONE);
                raft.randomized_election_timeout
            })
            .collect::<vec::Vec<_>>()
    };
    assert_eq!(time_outs(7), time_outs(7));
    assert_ne!(time_outs(7), time_outs(8));
}

/// It has nobody to send heartbeats to.
#[test]
fn direct_lone_leader_that_idles_has_nothing_to_say() {
    let mut node = node(1, &[1]);
    node.campaign().unwrap();
    settle(&mut node);
    for _ in 0..3 * ELECTION_TICK {
        node.tick().unwrap();
        assert!(!node.has_ready());
    }
}
