//! Handing leadership over (thesis 3.10).

use crate::eraftpb::Message;
use crate::error::{DropReason, Error};
use crate::tests::harness::*;

fn ack(from: u64, index: u64) -> Message {
    Message { term: 1, index, ..msg(MsgAppendResponse, from, 1) }
}

/// A leader of three that has told nobody of its second entry yet, and hands over to peer 2.
fn handing_over() -> TestRaft {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    raft.step(propose(1, "data")).unwrap();
    raft.step(transfer(2, 1)).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgAppend, MsgAppend]);
    raft
}

#[test]
fn direct_successor_is_told_to_campaign_once_it_has_the_whole_log() {
    let mut raft = handing_over();
    raft.step(ack(3, 2)).unwrap();
    raft.step(ack(2, 1)).unwrap();
    let early = sent(&mut raft);
    assert!(!kinds(&early).contains(&MsgTimeoutNow), "{early:?}");
    raft.step(ack(2, 2)).unwrap();
    let told = Message { term: 1, ..msg(MsgTimeoutNow, 1, 2) };
    assert!(sent(&mut raft).contains(&told));
}

#[test]
fn direct_proposals_are_dropped_during_a_transfer() {
    let mut raft = handing_over();
    let dropped = Error::ProposalDropped(DropReason::Transferring(2));
    assert_eq!(raft.step(propose(1, "more")), Err(dropped));
    assert_eq!(raft.log.last_index(), 2);
}

#[test]
fn direct_transfer_is_given_up_after_an_election_time_out() {
    let mut raft = handing_over();
    tick(&mut raft, ELECTION_TICK - 1);
    assert_eq!(raft.transferee, Some(2));
    tick(&mut raft, 1);
    assert_eq!((raft.transferee, raft.role), (None, Leader));
    raft.step(propose(1, "more")).unwrap();
    assert_eq!(raft.log.last_index(), 3);
    sent(&mut raft);
    raft.step(ack(2, 3)).unwrap();
    assert!(!kinds(&sent(&mut raft)).contains(&MsgTimeoutNow));
}

#[test]
fn direct_second_request_for_the_same_successor_changes_nothing() {
    let mut raft = handing_over();
    tick(&mut raft, ELECTION_TICK - 1);
    sent(&mut raft);
    raft.step(transfer(2, 1)).unwrap();
    assert_eq!(sent(&mut raft), []);
    tick(&mut raft, 1);
    assert_eq!(raft.transferee, None, "it gets no more time");
}

#[test]
fn direct_removed_successor_ends_the_transfer() {
    let mut raft = handing_over();
    remove_node(&mut raft, 2);
    assert_eq!(raft.transferee, None);
}

#[test]
fn direct_successor_campaigns_without_waiting_for_its_timer() {
    let mut raft = fresh(2, &[1, 2, 3]);
    raft.become_follower(1, 1);
    let told = Message { term: 1, ..msg(MsgTimeoutNow, 1, 2) };
    raft.step(told).unwrap();
    assert_eq!((raft.role, raft.term), (Candidate, 2));
    assert_eq!(kinds(&sent(&mut raft)), [MsgRequestVote, MsgRequestVote]);
}

/// A late request must not depose the leader that has just been elected.
#[test]
fn direct_leaders_and_candidates_ignore_the_call_to_campaign() {
    let told = Message { term: 1, ..msg(MsgTimeoutNow, 2, 1) };
    let mut raft = leader(1, &[1, 2, 3]);
    raft.step(told.clone()).unwrap();
    assert_eq!((raft.role, raft.term), (Leader, 1));
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.become_candidate();
    raft.step(told).unwrap();
    assert_eq!((raft.role, raft.term), (Candidate, 1));
}

#[test]
fn direct_request_without_a_leader_goes_nowhere() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.step(transfer(2, 1)).unwrap();
    assert_eq!(sent(&mut raft), []);
    assert_eq!(raft.transferee, None);
}
