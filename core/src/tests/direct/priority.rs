//! Priorities (raft-rs): of two peers with the same log the preferred one leads, and no preference
//! keeps a cluster without a leader.

use crate::MemStorage;
use crate::eraftpb::{HardState, Message};
use crate::rules::VoteVerdict;
use crate::tests::harness::*;
use crate::{Ballot, Outcome, Rejected};

fn prioritized(priorities: [i64; 3]) -> Network {
    let peer = |id: u64| {
        let priority = priorities[usize::try_from(id - 1).unwrap()];
        peer_with(id, &[1, 2, 3], |config| config.priority = priority)
    };
    Network::given([1, 2, 3].map(peer))
}

/// raft-rs test_election_with_priority_log, equal logs.
#[test]
fn direct_preferred_peer_wins_and_others_do_not_win_against_it() {
    for (priorities, campaigner, role) in [
        ([3, 1, 1], 1, Leader),
        ([1, 3, 1], 1, Candidate),
        ([1, 3, 3], 1, Follower),
        ([1, 1, 1], 1, Leader),
        ([0, 0, 0], 2, Leader),
        ([-1, 0, 0], 1, Follower),
        ([0, -1, -1], 1, Leader),
    ] {
        let mut net = prioritized(priorities);
        if role == Candidate {
            net.isolate(3);
        }
        net.send([hup(campaigner)]);
        assert_eq!(net[campaigner].role, role, "{priorities:?}");
    }
}

/// The refusal says why.
#[test]
fn direct_vote_refused_for_priority_is_refused_by_name() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| config.priority = 2);
    let request = Message { term: 1, priority: 1, ..msg(MsgRequestVote, 2, 1) };
    let verdict = VoteVerdict::LowPriority { theirs: 1, own: 2 };
    let rejected = Rejected::Vote { ballot: Ballot::Vote, candidate: 2, verdict };
    assert_eq!(raft.step(request), Ok(Outcome::Rejected(rejected)));
    assert_eq!(raft.vote, 0);
}

/// A longer or newer log always wins: what is in it may be committed.
#[test]
fn direct_newer_log_wins_whatever_the_priorities() {
    for (theirs, own) in [((1, 2), (1, 1)), ((2, 1), (1, 1)), ((2, 2), (1, 5)), ((2, 5), (1, 5))] {
        let entries: alloc::vec::Vec<_> = alloc::vec![own.0; own.1];
        let config = |config: &mut crate::Config| config.priority = 9;
        let mut raft = stored_with(1, &[1, 2, 3], terms(&entries), config);
        let (log_term, index) = theirs;
        let request = Message { term: 3, log_term, index, ..msg(MsgRequestVote, 2, 1) };
        raft.step(request).unwrap();
        assert_eq!(raft.vote, 2, "{theirs:?} against {own:?}");
    }
}

/// The third peer is dead. One of the others has the newer log, the other is preferred and has the
/// longer one: if priority went before the log, neither could ever win.
#[test]
fn direct_preferred_peer_with_an_older_log_does_not_keep_the_cluster_without_a_leader() {
    let stored = |id, log: &[u64], priority| {
        let mut storage: MemStorage = terms(log);
        storage.set_hard_state(HardState { term: 3, ..HardState::default() });
        stored_with(id, &[1, 2, 3], storage, |config| config.priority = priority)
    };
    let peers = [stored(1, &[1, 3], 0), stored(2, &[1, 2, 2], 7), stored(3, &[], 0)];
    let mut net = Network::given(peers);
    net.isolate(3);
    net.send([hup(2)]);
    assert_eq!(net[2].role, Candidate, "its log is older");
    net.send([hup(1)]);
    assert_eq!(net[1].role, Leader);
    // Now the logs are equal, and the preferred peer takes over.
    net.send([hup(2)]);
    assert_eq!(net[2].role, Leader);
}

/// raft-rs test_priority_can_be_changed at run time, and by either field on the wire.
#[test]
fn direct_priority_can_be_set_later_and_travels_in_both_fields() {
    let mut node = node(1, &[1, 2, 3]);
    for (priority, old_field) in [(5, 5), (-5, 0), (0, 0)] {
        node.set_priority(priority);
        node.campaign().unwrap();
        let requests = settle(&mut node);
        let fields = (requests[0].priority, requests[0].deprecated_priority);
        assert_eq!(fields, (priority, old_field));
    }
    let mut voter = peer_with(2, &[1, 2, 3], |config| config.priority = 4);
    let old = Message { term: 1, deprecated_priority: 4, ..msg(MsgRequestVote, 1, 2) };
    voter.step(old).unwrap();
    assert_eq!(voter.vote, 1);
}

/// Pre-votes are decided alike, or a pre-candidate would go on to lose.
#[test]
fn direct_priority_counts_in_pre_votes() {
    let mut net = Network::given([1, 2, 3].map(|id| {
        peer_with(id, &[1, 2, 3], |config| {
            config.pre_vote = true;
            config.priority = i64::from(id != 1);
        })
    }));
    net.send([hup(1)]);
    assert_eq!((net[1].role, net[1].term), (Follower, 0));
    net.send([hup(2)]);
    assert_eq!(net[2].role, Leader);
}

/// The leader's order overrides preferences only as far as the log does.
#[test]
fn direct_transfer_to_a_less_preferred_peer_with_the_whole_log_takes_a_longer_log() {
    let mut net = prioritized([2, 1, 1]);
    net.send([hup(1)]);
    net.send([transfer(2, 1)]);
    assert_eq!((net[2].role, net[2].term), (Leader, 2), "3 is no more preferred than 2");
}
