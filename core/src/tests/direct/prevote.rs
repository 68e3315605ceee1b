//! Pre-vote (thesis 9.6): a peer that cannot win disturbs nobody.

use alloc::vec::Vec;

use crate::eraftpb::Message;
use crate::tests::harness::*;
use crate::{Config, NONE};

fn pre_vote(config: &mut Config) {
    config.pre_vote = true;
}

fn both(config: &mut Config) {
    (config.pre_vote, config.check_quorum) = (true, true);
}

fn terms_of(net: &Network) -> [u64; 3] {
    [1, 2, 3].map(|id| net[id].term)
}

/// etcd TestSingleNodePreCandidate: a lone voter needs nobody's leave.
#[test]
fn direct_lone_voter_leads_at_once_with_pre_vote() {
    let mut raft = peer_with(1, &[1], pre_vote);
    raft.step(hup(1)).unwrap();
    assert_eq!((raft.role, raft.term), (Leader, 1));
}

/// etcd TestLeaderElectionPreVote: a pre-candidate needs a majority as a candidate does.
#[test]
fn direct_pre_candidate_enters_the_next_term_only_with_a_majority_behind_it() {
    for (live, role, term) in [(3, Leader, 1), (2, Leader, 1), (1, PreCandidate, 0)] {
        let mut net = network_with(3, pre_vote);
        for id in live + 1..=3 {
            net.isolate(id);
        }
        net.send([hup(1)]);
        assert_eq!((net[1].role, net[1].term, net[1].vote), (role, term, term), "{live} live");
    }
}

/// etcd TestLeaderCyclePreVote: each peer in turn can take over.
#[test]
fn direct_every_peer_can_take_over_with_pre_vote() {
    let mut net = network_with(3, pre_vote);
    for id in 1..=3 {
        net.send([hup(id)]);
        assert_eq!(net[id].role, Leader);
        assert_eq!(net.roles().iter().filter(|&&role| role == Leader).count(), 1);
        assert_eq!(terms_of(&net), [id; 3]);
    }
}

/// etcd TestDuelingPreCandidates: who would lose finds out without a new term.
#[test]
fn direct_pre_candidate_with_an_older_log_gives_up_and_leaves_the_leader_alone() {
    let mut net = network_with(3, pre_vote);
    net.cut(1, 3);
    net.send([hup(1)]);
    net.send([hup(3)]);
    assert_eq!((net[1].role, net[3].role), (Leader, Follower), "2 has refused 3");
    net.recover();
    net.send([hup(3)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    assert_eq!(terms_of(&net), [1, 1, 1]);
}

/// etcd TestPreVoteWithSplitVote: a split vote is settled by the next campaign.
#[test]
fn direct_split_vote_after_two_granted_pre_votes_is_settled_by_the_next_campaign() {
    let mut net = network_with(3, pre_vote);
    net.send([hup(1)]);
    net.isolate(1);
    net.send([hup(2), hup(3)]);
    assert_eq!((net[2].role, net[3].role), (Candidate, Candidate));
    assert_eq!(terms_of(&net), [1, 2, 2]);
    net.send([hup(2)]);
    assert_eq!((net[2].role, net[3].role), (Leader, Follower));
    assert_eq!(terms_of(&net), [1, 3, 3]);
}

/// etcd TestPreVoteWithCheckQuorum: two peers that both lost their leader find a new one, although
/// each at first still vouches for the old.
#[test]
fn direct_two_of_three_elect_a_leader_with_pre_vote_and_check_quorum() {
    let mut net = network_with(3, both);
    net.send([hup(1)]);
    net.isolate(1);
    assert_eq!((net[2].leader, net[3].leader), (1, 1));
    net.send([hup(3)]);
    assert_eq!((net[2].role, net[3].role), (Follower, PreCandidate), "2 holds to 1");
    net.send([hup(2)]);
    assert_eq!(net[2].role, Leader, "3 does not hold to 1 any more");
    assert_eq!(net[3].leader, 2);
}

/// etcd TestPreVoteFromAnyState: a pre-vote changes neither role nor term nor vote.
#[test]
fn direct_pre_vote_is_granted_in_every_role_and_changes_nothing() {
    for role in [Follower, PreCandidate, Candidate, Leader] {
        let mut raft = peer_with(1, &[1, 2, 3], pre_vote);
        raft.become_follower(1, NONE);
        match role {
            Follower => {}
            PreCandidate => raft.become_pre_candidate(),
            Candidate => raft.become_candidate(),
            Leader => lead(&mut raft),
        }
        sent(&mut raft);
        let before = (raft.role, raft.term, raft.vote, raft.leader);
        let term = raft.term + 1;
        let request = Message { term, log_term: 9, index: 42, ..msg(MsgRequestPreVote, 2, 1) };
        raft.step(request).unwrap();
        let answers: Vec<_> =
            sent(&mut raft).into_iter().filter(|m| kind(m) == MsgRequestPreVoteResponse).collect();
        assert_eq!(answers, [Message { term, ..msg(MsgRequestPreVoteResponse, 1, 2) }]);
        assert_eq!((raft.role, raft.term, raft.vote, raft.leader), before, "{role:?}");
    }
}

/// A refusal carries the voter's own term, so that a pre-candidate from the past learns of it.
#[test]
fn direct_refused_pre_vote_tells_the_voters_term() {
    let mut voter = peer_with(1, &[1, 2, 3], pre_vote);
    voter.become_follower(5, NONE);
    let request = Message { term: 3, ..msg(MsgRequestPreVote, 2, 1) };
    voter.step(request).unwrap();
    let refusal = sent(&mut voter).remove(0);
    assert_eq!(
        (kind(&refusal), refusal.reject, refusal.term),
        (MsgRequestPreVoteResponse, true, 5)
    );
    let mut asker = peer_with(2, &[1, 2, 3], pre_vote);
    asker.become_follower(2, NONE);
    asker.step(hup(2)).unwrap();
    asker.step(refusal).unwrap();
    assert_eq!((asker.role, asker.term), (Follower, 5));
}

/// etcd TestDisruptiveFollowerPreVote: a peer that was cut off comes back without harm.
#[test]
fn direct_peer_that_comes_back_with_an_older_log_does_not_depose_the_leader() {
    let mut net = network_with(3, both);
    net.send([hup(1)]);
    net.isolate(3);
    for _ in 0..3 {
        net.send([propose(1, "data")]);
    }
    net.recover();
    net.send([hup(3)]);
    assert_eq!(net.roles(), [Leader, Follower, PreCandidate]);
    assert_eq!(terms_of(&net), [1, 1, 1]);
    net.send([beat(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    assert_eq!(net[3].log.committed(), net[1].log.committed());
}

/// Peers 1 and 2 ask before they campaign, peer 3 did not yet when it was cut off and got ahead in
/// terms. Now all three do.
fn migrated() -> Network {
    let all = ids(3);
    let peer = |id| peer_with(id, &all, |config| config.pre_vote = id != 3);
    let mut net = Network::given([1, 2, 3].map(peer));
    net.send([hup(1)]);
    net.isolate(3);
    net.send([propose(1, "data")]);
    net.send([hup(3)]);
    net.send([hup(3)]);
    assert_eq!(net.roles(), [Leader, Follower, Candidate]);
    assert_eq!(terms_of(&net), [1, 1, 3]);
    net[3].settings.pre_vote = true;
    net.recover();
    net
}

/// etcd TestPreVoteMigrationCanCompleteElection
#[test]
fn direct_peers_of_different_terms_complete_an_election_while_pre_vote_is_introduced() {
    let mut net = migrated();
    net.isolate(1);
    for id in [3, 2] {
        net.send([hup(id)]);
    }
    assert_eq!((net[2].role, net[3].role), (Follower, PreCandidate), "2 learned the term of 3");
    for id in [3, 2] {
        net.send([hup(id)]);
    }
    assert_eq!((net[2].role, net[3].role), (Leader, Follower));
    assert_eq!((net[2].term, net[3].term), (4, 4));
}

/// etcd TestPreVoteMigrationWithFreeStuckPreCandidate
#[test]
fn direct_pre_candidate_ahead_in_terms_is_freed_by_the_leaders_next_word() {
    let mut net = migrated();
    for _ in 0..2 {
        net.send([hup(3)]);
        assert_eq!(net.roles(), [Leader, Follower, PreCandidate]);
    }
    net.send([Message { term: 1, ..msg(MsgHeartbeat, 1, 3) }]);
    assert_eq!(net[1].role, Follower, "its term is over");
    assert_eq!(net[1].term, net[3].term);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    assert_eq!(net[3].log.committed(), net[1].log.committed());
}

/// etcd TestNodeWithSmallerTermCanCompleteElection
#[test]
fn direct_peer_of_a_smaller_term_can_be_part_of_an_election() {
    let mut net = network_with(3, pre_vote);
    net.cut(1, 3);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([hup(3)]);
    net.send([hup(2)]);
    assert_eq!(net.roles(), [Follower, Leader, PreCandidate]);
    assert_eq!(terms_of(&net), [2, 2, 0]);
    net.recover();
    net.isolate(2);
    net.send([hup(3)]);
    net.send([hup(1)]);
    assert!([net[1].role, net[3].role].contains(&Leader));
}

/// What wire.md names pre-vote's deadlock: a peer with the longest log but an older term.
#[test]
fn direct_voter_whose_log_alone_is_complete_wins_although_its_term_is_behind() {
    let mut net = network_with(3, both);
    net.send([hup(1)]);
    net.cut(1, 3);
    net.send([propose(1, "data")]);
    // The leader dies; the third peer gets ahead in terms, without the last entry.
    net.isolate(1);
    net[3].settings.pre_vote = false;
    net.cut(2, 3);
    net.send([hup(3)]);
    net[3].settings.pre_vote = true;
    net.recover();
    net.isolate(1);
    assert!(net[3].term > net[2].term);
    for id in [2, 3, 2] {
        net.send([hup(id)]);
    }
    assert_eq!((net[2].role, net[3].role), (Leader, Follower));
}

/// The leader's order overrides doubts: a transfer goes without asking first.
#[test]
fn direct_transfer_goes_without_a_pre_vote() {
    let mut net = network_with(3, both);
    net.send([hup(1)]);
    net.send([transfer(2, 1)]);
    assert_eq!(net.roles(), [Follower, Leader, Follower]);
    assert_eq!(net.count_delivered(MsgRequestPreVote), 2, "the first election's only");
}

/// A grant for a pre-vote is no vote, and a grant for a vote no pre-vote.
#[test]
fn direct_answers_of_one_ballot_do_not_count_in_the_other() {
    let mut raft = peer_with(1, &[1, 2, 3], pre_vote);
    raft.step(hup(1)).unwrap();
    assert_eq!(raft.role, PreCandidate);
    raft.step(Message { term: 0, ..vote_answer(2, 0, true) }).unwrap();
    assert_eq!(raft.role, PreCandidate);
    let granted = Message { term: 1, ..msg(MsgRequestPreVoteResponse, 2, 1) };
    raft.step(granted.clone()).unwrap();
    assert_eq!((raft.role, raft.term), (Candidate, 1));
    raft.step(granted).unwrap();
    assert_eq!(raft.role, Candidate, "a late grant elects nobody");
    raft.step(vote_answer(3, 1, true)).unwrap();
    assert_eq!(raft.role, Leader);
}

/// A pre-candidate's clock goes on: it asks again, in the same term.
#[test]
fn direct_pre_candidate_asks_again_when_its_time_out_passes() {
    let mut raft = peer_with(1, &[1, 2, 3], pre_vote);
    let mut rounds = 0;
    for _ in 0..6 * ELECTION_TICK {
        raft.tick().unwrap();
        let requests = kinds(&sent(&mut raft));
        if !requests.is_empty() {
            assert_eq!(requests, [MsgRequestPreVote; 2]);
            rounds += 1;
        }
    }
    assert!((3..=6).contains(&rounds), "{rounds}");
    assert_eq!((raft.role, raft.term, raft.vote), (PreCandidate, 0, NONE));
}

/// A voter that was never in any term has none to tell when it refuses.
#[test]
fn direct_refusal_of_a_voter_in_no_term_yet_counts_until_the_asker_is_in_one() {
    let config = Config { pre_vote: true, ..config(1, &[1, 2, 3]) };
    let mut node = crate::RawNode::new(&config, crate::MemStorage::new()).unwrap();
    node.campaign().unwrap();
    let refusal = |from| Message { reject: true, ..msg(MsgRequestPreVoteResponse, from, 1) };
    node.step(refusal(2)).unwrap();
    assert_eq!(node.raft().role(), PreCandidate);
    node.step(refusal(3)).unwrap();
    assert_eq!(node.raft().role(), Follower);
    node.step(Message { term: 4, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    node.campaign().unwrap();
    for from in [2, 3] {
        let outcome = node.step(refusal(from)).unwrap();
        assert!(matches!(outcome, crate::Outcome::Ignored(_)), "{outcome:?}");
    }
    assert_eq!(node.raft().role(), PreCandidate);
}
