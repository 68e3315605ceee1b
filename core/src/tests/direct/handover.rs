//! Handing leadership over, as etcd's and raft-rs's suites play it: over a network, with
//! check-quorum and pre-vote, and with all that can come between.

use crate::eraftpb::{ConfChangeType, Message};
use crate::tests::harness::*;
use crate::{Config, NONE};

fn check_quorum(config: &mut Config) {
    config.check_quorum = true;
}

fn pre_vote(config: &mut Config) {
    (config.check_quorum, config.pre_vote) = (true, true);
}

fn leads(net: &Network, id: u64) {
    assert_eq!(net[id].role, Leader, "{id}");
    for raft in net.live() {
        assert_eq!(raft.leader, id, "as {} sees it", raft.id);
        assert_eq!(raft.transferee, None);
    }
}

/// etcd TestLeaderTransferToUpToDateNode and …FromFollower, in every setting.
#[test]
fn direct_leadership_is_handed_over_with_every_setting_whoever_asks() {
    for setting in [|_: &mut Config| {}, check_quorum, pre_vote] {
        let mut net = network_with(3, setting);
        net.send([hup(1)]);
        leads(&net, 1);
        net.send([transfer(2, 1)]);
        leads(&net, 2);
        net.send([propose(2, "data")]);
        // A follower hands the request on.
        net.send([transfer(1, 1)]);
        leads(&net, 1);
    }
}

/// etcd TestLeaderTransferWithCheckQuorum: leases do not stand in the way, although followers have
/// just heard from their leader.
#[test]
fn direct_transfer_is_not_held_up_by_leases() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    for id in [2, 3] {
        net[id].randomized_election_timeout = 2 * ELECTION_TICK - 1;
        tick(&mut net[id], ELECTION_TICK - 1);
    }
    net.send([beat(1)]);
    assert_eq!((net[2].election_elapsed, net[3].election_elapsed), (0, 0));
    net.send([transfer(2, 1)]);
    leads(&net, 2);
}

/// etcd TestLeaderTransferToSlowFollower, TestLeaderTransferAfterSnapshot
#[test]
fn direct_slow_successor_catches_up_first_by_entries_or_by_a_snapshot() {
    for by_snapshot in [false, true] {
        let mut net = network_with(3, pre_vote);
        net.send([hup(1)]);
        net.isolate(3);
        for _ in 0..3 {
            net.send([propose(1, "data")]);
        }
        if by_snapshot {
            apply(&mut net[1]);
            let (applied, members) = (net[1].log.applied(), net[1].prs.conf_state());
            let storage = net[1].log.storage_mut();
            storage.create_snapshot(applied, Some(members), "state").unwrap();
            storage.compact(applied).unwrap();
        }
        net.recover();
        assert_eq!(net[1].prs.get(3).map(|p| p.matched), Some(1));
        net.send([transfer(3, 1)]);
        net.send([beat(1)]);
        leads(&net, 3);
    }
}

/// etcd TestLeaderTransferToSelf, …ToNonExistingNode, …ToLearner
#[test]
fn direct_transfer_to_nobody_who_could_lead_changes_nothing() {
    let peer = |id| on_storage(id, &[], members_of(&[1, 2], &[3]));
    let mut net = Network::given([1, 2, 3].map(peer));
    net.send([hup(1)]);
    for nobody in [1, 3, 4] {
        net.send([transfer(nobody, 1)]);
        leads(&net, 1);
        net.send([transfer(nobody, 2)]);
        leads(&net, 1);
    }
    net.send([propose(1, "data")]);
    assert_eq!(net[3].log.committed(), 2);
}

/// etcd TestLeaderTransferTimeout
#[test]
fn direct_transfer_to_a_dead_peer_is_given_up_after_an_election_time_out() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([transfer(3, 1)]);
    assert_eq!(net[1].transferee, Some(3));
    for _ in 0..ELECTION_TICK - 1 {
        tick(&mut net[1], 1);
        net.send([beat(1)]);
        assert_eq!(net[1].transferee, Some(3));
    }
    tick(&mut net[1], 1);
    assert_eq!((net[1].transferee, net[1].role), (None, Leader));
    net.send([propose(1, "data")]);
    assert_eq!(net[1].log.committed(), 2);
}

/// etcd TestLeaderTransferIgnoreProposal: refused while it lasts, taken again after.
#[test]
fn direct_proposals_wait_for_the_end_of_a_transfer() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([transfer(3, 1)]);
    assert!(net[1].step(propose(1, "data")).is_err());
    assert_eq!(net[1].prs.get(1).map(|p| p.matched), Some(1));
    net.send([transfer(1, 1)]);
    net.send([propose(1, "data")]);
    assert_eq!(net[1].log.committed(), 2);
}

/// etcd TestLeaderTransferReceiveHigherTermVote
#[test]
fn direct_election_in_a_newer_term_ends_a_transfer() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([transfer(3, 1)]);
    net.send([hup(2)]);
    assert_eq!((net[2].role, net[1].role, net[1].transferee), (Leader, Follower, None));
}

/// etcd TestLeaderTransferRemoveNode, TestLeaderTransferDemoteNode
#[test]
fn direct_transfer_is_aborted_when_the_successor_is_removed_or_demoted() {
    for kind in [ConfChangeType::RemoveNode, ConfChangeType::AddLearnerNode] {
        let mut net = Network::of(3);
        net.send([hup(1)]);
        net.ignore(MsgTimeoutNow);
        net.send([transfer(3, 1)]);
        assert_eq!(net[1].transferee, Some(3));
        net[1].apply_conf_change(&conf_change(kind, 3).into()).unwrap();
        assert_eq!((net[1].transferee, net[1].role), (None, Leader));
        net.send([propose(1, "data")]);
        assert_eq!(net[1].log.committed(), 2);
    }
}

/// etcd TestLeaderTransferBack, …SecondTransferToAnotherNode, …SecondTransferToSameNode
#[test]
fn direct_later_request_replaces_an_earlier_one_unless_it_is_the_same() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([transfer(3, 1)]);
    tick(&mut net[1], 1);
    net.send([transfer(3, 1)]);
    assert_eq!(net[1].election_elapsed, 1, "no more time");
    net.send([transfer(1, 1)]);
    assert_eq!((net[1].transferee, net[1].role), (None, Leader));
    net.send([transfer(3, 1)]);
    net.send([transfer(2, 1)]);
    assert_eq!(net[2].role, Leader);
}

/// raft-rs test_transfer_non_member: a peer that was removed does not follow an old order.
#[test]
fn direct_order_to_campaign_does_not_move_a_peer_that_is_no_member() {
    let mut raft = fresh(1, &[2, 3, 4]);
    raft.step(Message { term: 1, ..msg(MsgTimeoutNow, 2, 1) }).unwrap();
    for from in [2, 3] {
        raft.step(vote_answer(from, 1, true)).unwrap();
    }
    assert_eq!((raft.role, raft.leader), (Follower, NONE));
}

/// A follower that lost its leader does not hand the request to itself or to nobody.
#[test]
fn direct_transfer_is_forgotten_with_the_term() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(2);
    net.send([transfer(2, 1)]);
    net[1].step(Message { term: 9, ..msg(MsgHeartbeat, 3, 1) }).unwrap();
    assert_eq!((net[1].transferee, net[1].role), (None, Follower));
    assert_eq!(net[1].leader, 3);
}
