//! R34–R44: handing leadership over.

use super::snapshot::compact_applied;
use crate::eraftpb::Message;
use crate::tests::harness::*;

/// Three peers, led by the first.
fn led_network() -> Network {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    assert_eq!(net[1].leader, 1);
    net
}

/// Peer 3 is cut off and gets its request to lead: the transfer waits for it.
fn transfer_that_waits_for_3() -> Network {
    let mut net = led_network();
    net.isolate(3);
    net.send([transfer(3, 1)]);
    assert_eq!(net[1].transferee, Some(3));
    net
}

fn assert_led(net: &Network, role: StateRole, leader: u64) {
    assert_eq!((net[1].role, net[1].leader), (role, leader), "peer 1");
}

/// R34 TestLeaderTransferToUpToDateNode3A
#[test]
fn r34_leadership_moves_to_an_up_to_date_peer_and_back() {
    let mut net = led_network();
    net.send([transfer(2, 1)]);
    assert_led(&net, Follower, 2);
    // Peer 1 hands the proposal on: the new leader's log is the longer for it.
    net.send([propose(1, "")]);
    net.send([transfer(1, 2)]);
    assert_led(&net, Leader, 1);
}

/// R35 TestLeaderTransferToUpToDateNodeFromFollower3A
#[test]
fn r35_follower_hands_a_transfer_request_on_to_the_leader() {
    let mut net = led_network();
    net.send([transfer(2, 2)]);
    assert_led(&net, Follower, 2);
    net.send([propose(1, "")]);
    net.send([transfer(1, 1)]);
    assert_led(&net, Leader, 1);
}

/// R36 TestLeaderTransferToSlowFollower3A
#[test]
fn r36_slow_peer_catches_up_before_it_leads() {
    let mut net = led_network();
    net.isolate(3);
    net.send([propose(1, "")]);
    net.recover();
    assert_eq!(net[1].prs.get(3).unwrap().matched, 1);
    net.send([transfer(3, 1)]);
    assert_led(&net, Follower, 3);
}

/// R37 TestLeaderTransferAfterSnapshot3A
#[test]
fn r37_peer_that_needs_a_snapshot_leads_after_it() {
    let mut net = led_network();
    net.isolate(3);
    net.send([propose(1, "")]);
    next_ents(&mut net[1]);
    compact_applied(&mut net[1]);
    net.recover();
    assert_eq!(net[1].prs.get(3).unwrap().matched, 1);
    net.send([transfer(3, 1)]);
    let answer = Message { term: net[1].term, ..msg(MsgHeartbeatResponse, 3, 1) };
    net.send([answer]);
    assert_led(&net, Follower, 3);
}

/// R38 TestLeaderTransferToSelf3A
#[test]
fn r38_transfer_to_the_leader_itself_changes_nothing() {
    let mut net = led_network();
    net.send([transfer(1, 1)]);
    assert_led(&net, Leader, 1);
    assert_eq!(net[1].transferee, None);
}

/// R39 TestLeaderTransferToNonExistingNode3A
#[test]
fn r39_transfer_to_a_stranger_changes_nothing() {
    let mut net = led_network();
    net.send([transfer(4, 1)]);
    assert_led(&net, Leader, 1);
    assert_eq!(net[1].transferee, None);
}

/// R40 TestLeaderTransferRemoveNode3A
#[test]
fn r40_transfer_to_a_removed_peer_changes_nothing() {
    let mut net = led_network();
    remove_node(&mut net[1], 3);
    net.send([transfer(3, 1)]);
    assert_led(&net, Leader, 1);
    assert_eq!(net[1].transferee, None);
}

/// R41 TestLeaderTransferReceiveHigherTermVote3A
#[test]
fn r41_newer_term_ends_a_transfer() {
    let mut net = transfer_that_waits_for_3();
    let campaign = Message { index: 1, term: 2, ..hup(2) };
    net.send([campaign]);
    assert_led(&net, Follower, 2);
    assert_eq!(net[1].transferee, None);
}

/// R42 TestLeaderTransferBack3A
#[test]
fn r42_leader_takes_a_transfer_back() {
    let mut net = transfer_that_waits_for_3();
    net.send([transfer(1, 1)]);
    assert_led(&net, Leader, 1);
    assert_eq!(net[1].transferee, None);
}

/// R43 TestLeaderTransferSecondTransferToAnotherNode3A
#[test]
fn r43_second_transfer_replaces_the_first() {
    let mut net = transfer_that_waits_for_3();
    net.send([transfer(2, 1)]);
    assert_led(&net, Follower, 2);
}

/// R44 TestTransferNonMember3A
#[test]
fn r44_stranger_told_to_lead_does_not_campaign() {
    let mut raft = fresh(1, &[2, 3, 4]);
    let told = Message { term: 1, ..msg(MsgTimeoutNow, 2, 1) };
    raft.step(told).unwrap();
    for voter in [2, 3] {
        raft.step(vote_answer(voter, 1, true)).unwrap();
    }
    assert_eq!((raft.role, raft.term), (Follower, 1));
}
