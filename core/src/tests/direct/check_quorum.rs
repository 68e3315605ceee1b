//! Check-quorum and the leader's lease (thesis 6.2, 4.2.3): who leads nobody steps down, and who
//! follows a live leader votes for nobody else.

use crate::eraftpb::Message;
use crate::tests::harness::*;
use crate::{Config, Ignored, NONE, Outcome};

fn check_quorum(config: &mut Config) {
    config.check_quorum = true;
}

fn alive(from: u64, term: u64) -> Message {
    Message { term, ..msg(MsgHeartbeatResponse, from, 1) }
}

fn checking_leader(peers: &[u64]) -> TestRaft {
    let mut raft = peer_with(1, peers, check_quorum);
    lead(&mut raft);
    raft
}

/// etcd TestLeaderStepdownWhenQuorumActive
#[test]
fn direct_leader_that_hears_from_a_quorum_goes_on() {
    let mut raft = checking_leader(&[1, 2, 3]);
    for _ in 0..5 * ELECTION_TICK {
        raft.step(alive(2, 1)).unwrap();
        tick(&mut raft, 1);
    }
    assert_eq!(raft.role, Leader);
}

/// etcd TestLeaderStepdownWhenQuorumLost
#[test]
fn direct_leader_that_hears_from_no_quorum_steps_down_within_two_time_outs() {
    let mut raft = checking_leader(&[1, 2, 3, 4, 5]);
    for _ in 0..2 * ELECTION_TICK {
        raft.step(alive(2, 1)).unwrap();
        tick(&mut raft, 1);
    }
    assert_eq!((raft.role, raft.leader, raft.term), (Follower, NONE, 1), "two of five");
}

/// Once heard of is not for ever: each interval counts anew.
#[test]
fn direct_sign_of_life_counts_for_one_interval() {
    let mut raft = checking_leader(&[1, 2, 3]);
    raft.step(alive(2, 1)).unwrap();
    tick(&mut raft, ELECTION_TICK);
    assert_eq!(raft.role, Leader);
    tick(&mut raft, ELECTION_TICK);
    assert_eq!(raft.role, Follower);
}

/// A learner's word keeps no leader in office.
#[test]
fn direct_learners_are_no_quorum() {
    let storage = members_of(&[1, 2], &[3, 4]);
    let mut raft = stored_with(1, &[], storage, check_quorum);
    lead(&mut raft);
    for _ in 0..2 * ELECTION_TICK {
        raft.step(alive(3, 1)).unwrap();
        raft.step(alive(4, 1)).unwrap();
        tick(&mut raft, 1);
    }
    assert_eq!(raft.role, Follower);
}

/// Whether the disk is slow or not: time passes by ticks alone (etcd issue 13527).
#[test]
fn direct_leader_steps_down_although_no_ready_is_handled() {
    let config = Config { check_quorum: true, ..config(1, &[1, 2, 3]) };
    let mut node = crate::RawNode::new(&config, crate::MemStorage::new()).unwrap();
    node.campaign().unwrap();
    node.step(vote_answer(2, 1, true)).unwrap();
    assert_eq!(node.raft().role(), Leader);
    for _ in 0..2 * ELECTION_TICK {
        node.tick().unwrap();
    }
    assert_eq!(node.raft().role(), Follower);
}

/// etcd TestLeaderSupersedingWithCheckQuorum
#[test]
fn direct_voter_holds_to_its_leader_for_one_time_out() {
    let mut net = network_with(3, check_quorum);
    net[2].randomized_election_timeout = ELECTION_TICK + 1;
    tick(&mut net[2], ELECTION_TICK);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    net.send([hup(3)]);
    assert_eq!((net[1].role, net[3].role), (Leader, Candidate), "2 heard of 1 just now");
    net[2].randomized_election_timeout = ELECTION_TICK + 1;
    tick(&mut net[2], ELECTION_TICK);
    net.send([hup(3)]);
    assert_eq!(net[3].role, Leader);
}

/// What was decided, and the facts.
#[test]
fn direct_vote_that_a_lease_forbids_is_ignored_by_name() {
    let mut raft = peer_with(1, &[1, 2, 3], check_quorum);
    raft.become_follower(1, 2);
    tick(&mut raft, 3);
    for (kind, ballot) in
        [(MsgRequestVote, crate::Ballot::Vote), (MsgRequestPreVote, crate::Ballot::PreVote)]
    {
        let request = Message { term: 2, log_term: 1, index: 7, ..msg(kind, 3, 1) };
        let candidate_last = crate::EntryId::new(1, 7);
        let remaining = ELECTION_TICK - 3;
        let reason =
            Ignored::LeaseInForce { ballot, candidate: 3, candidate_last, leader: 2, remaining };
        assert_eq!(raft.step(request), Ok(Outcome::Ignored(reason)));
        assert_eq!((raft.term, raft.vote, raft.role), (1, NONE, Follower));
    }
    assert_eq!(sent(&mut raft), []);
}

/// etcd TestLeaderElectionWithCheckQuorum
#[test]
fn direct_leader_is_replaced_when_leases_have_run_out() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    net[1].randomized_election_timeout = ELECTION_TICK + 1;
    net[2].randomized_election_timeout = ELECTION_TICK + 2;
    tick(&mut net[1], ELECTION_TICK);
    tick(&mut net[2], ELECTION_TICK);
    net.send([hup(3)]);
    assert_eq!((net[1].role, net[3].role), (Follower, Leader));
}

/// etcd TestFreeStuckCandidateWithCheckQuorum: a candidate in a later term is told of by answers,
/// or it could neither win nor follow.
#[test]
fn direct_candidate_ahead_in_terms_is_freed_by_the_leaders_next_word() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    net.isolate(1);
    for term in [2, 3] {
        net.send([hup(3)]);
        assert_eq!((net[2].role, net[3].role), (Follower, Candidate));
        assert_eq!((net[2].term, net[3].term), (1, term), "2 holds to 1");
    }
    net.recover();
    net.send([Message { term: 1, ..msg(MsgHeartbeat, 1, 3) }]);
    assert_eq!((net[1].role, net[1].term), (Follower, 3));
    net.send([hup(3)]);
    assert_eq!(net[3].role, Leader);
}

/// etcd TestNonPromotableVoterWithCheckQuorum: a voter that does not know yet that it is one votes.
#[test]
fn direct_voter_that_is_not_in_its_own_configuration_votes() {
    let mut stranger = peer_with(2, &[1], check_quorum);
    assert!(!stranger.is_promotable());
    tick(&mut stranger, 3 * ELECTION_TICK);
    assert_eq!(stranger.role, Follower);
    let mut net = Network::given([peer_with(1, &[1, 2], check_quorum), stranger]);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower]);
    assert_eq!(net[2].leader, 1);
}

/// etcd TestDisruptiveFollower: without pre-vote an older leader is deposed, by its own word.
#[test]
fn direct_candidate_that_timed_out_deposes_a_leader_of_an_older_term() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    net[3].randomized_election_timeout = ELECTION_TICK + 2;
    tick(&mut net[3], ELECTION_TICK + 2);
    assert_eq!((net[3].role, net[3].term), (Candidate, 2));
    net.send([Message { term: 1, ..msg(MsgHeartbeat, 1, 3) }]);
    assert_eq!((net[1].role, net[1].term), (Follower, 2));
}

/// openraft issue 2080: a leader that is cut off one way must not keep a connected quorum from
/// electing another.
#[test]
fn direct_leader_that_hears_nobody_stops_sending_heartbeats() {
    let mut net = network_with(3, check_quorum);
    net.send([hup(1)]);
    let mut beats = 0;
    for _ in 0..3 * ELECTION_TICK {
        tick(&mut net[1], 1);
        beats += kinds(&sent(&mut net[1])).iter().filter(|&&k| k == MsgHeartbeat).count();
    }
    assert_ne!(net[1].role, Leader);
    assert!(beats <= 2 * 2 * ELECTION_TICK as usize, "{beats}");
}

/// Without check-quorum there is no lease.
#[test]
fn direct_without_check_quorum_anybody_may_be_replaced_at_any_time() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    tick(&mut net[1], 5 * ELECTION_TICK);
    assert_eq!(net[1].role, Leader, "it does not step down by itself");
    net.send([hup(3)]);
    assert_eq!(net.roles(), [Follower, Follower, Leader]);
}

/// The application may end a lease that it knows to be void: its leader is dead.
#[test]
fn direct_peer_that_forgets_its_leader_votes_at_once() {
    let mut raft = peer_with(1, &[1, 2, 3], check_quorum);
    raft.become_follower(1, 2);
    let request = Message { term: 2, ..msg(MsgRequestVote, 3, 1) };
    raft.step(request.clone()).unwrap();
    assert_eq!(raft.vote, NONE);
    assert_eq!(raft.forget_leader(), Outcome::Handled);
    assert_eq!((raft.leader, raft.role, raft.term), (NONE, Follower, 1));
    raft.step(request).unwrap();
    assert_eq!((raft.vote, raft.term), (3, 2));
}

/// The leader's next word brings it back, and a leader or a candidate forgets nothing.
#[test]
fn direct_forgotten_leader_is_remembered_when_it_speaks() {
    let mut raft = peer_with(1, &[1, 2, 3], check_quorum);
    raft.become_follower(1, 2);
    raft.forget_leader();
    assert_eq!(raft.election_elapsed, 0);
    raft.step(Message { term: 1, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    assert_eq!(raft.leader, 2);
    let mut leader = checking_leader(&[1, 2, 3]);
    leader.forget_leader();
    assert_eq!((leader.role, leader.leader), (Leader, 1));
}

/// A lease for reads rests on followers that remember.
#[test]
fn direct_peer_does_not_forget_its_leader_while_reads_rely_on_it() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| {
        check_quorum(config);
        config.read_only = crate::ReadOnly::LeaseBased;
    });
    raft.become_follower(1, 2);
    assert_eq!(raft.forget_leader(), Outcome::Ignored(Ignored::LeaseBased));
    assert_eq!(raft.leader, 2);
}
