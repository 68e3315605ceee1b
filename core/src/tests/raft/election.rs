//! R2–R5, R12, R16–R20, R22, R32 and R45: elections, votes and heartbeats.

use crate::NONE;
use crate::eraftpb::{HardState, Message};
use crate::tests::harness::*;

/// Which peers of five small networks are alive, and what becomes of the campaign of peer 1.
pub(super) const NETWORKS: &[(&[bool], StateRole)] = &[
    (&[true, true, true], Leader),
    (&[true, true, false], Leader),
    (&[true, false, false], Candidate),
    (&[true, false, false, true], Candidate),
    (&[true, false, false, true, true], Leader),
];

/// R2 TestLeaderElection2AA
#[test]
fn r02_campaign_wins_with_a_live_majority_and_waits_without() {
    for &(live, expected) in NETWORKS {
        let mut net = Network::of_live(live);
        net.send([hup(1)]);
        let outcome = (net[1].role, net[1].term);
        assert_eq!(outcome, (expected, 1), "alive: {live:?}");
    }
}

/// R3 TestLeaderCycle2AA
#[test]
fn r03_any_peer_can_take_over_from_a_leader() {
    let mut net = Network::of(3);
    for (campaigner, term) in [(1, 1), (2, 2), (3, 3)] {
        net.send([hup(campaigner)]);
        for raft in net.live() {
            let expected = if raft.id == campaigner { Leader } else { Follower };
            let outcome = (raft.role, raft.term);
            assert_eq!(outcome, (expected, term), "{} after {campaigner}", raft.id);
        }
    }
}

/// R4 TestLeaderElectionOverwriteNewerLogs2AB
#[test]
fn r04_new_leader_overwrites_uncommitted_entries_of_a_later_term() {
    let all = ids(5);
    let peer = |id, log: &[u64], term, vote| {
        let mut storage = terms(log);
        storage.set_hard_state(HardState { term, vote, commit: 0 });
        on_storage(id, &all, storage)
    };
    let mut net = Network::given([
        peer(1, &[1], 1, NONE),
        // Peer 2 got the entry of term 1, peer 3 led term 2 but nobody got its entry.
        peer(2, &[1], 1, NONE),
        peer(3, &[2], 2, NONE),
        peer(4, &[], 2, 3),
        peer(5, &[], 2, 3),
    ]);
    net.send([hup(1)]);
    let outcome = (net[1].role, net[1].term);
    assert_eq!(outcome, (Follower, 2), "a majority voted in term 2 already");
    net.send([hup(1)]);
    assert_eq!((net[1].role, net[1].term), (Leader, 3));
    for raft in net.live() {
        let log = raft.log.all_entries().unwrap();
        assert_eq!(log, entries_of(&[1, 3]), "log of peer {}", raft.id);
    }
}

/// R5 TestVoteFromAnyState2AA
#[test]
fn r05_peer_in_any_role_votes_in_a_newer_term() {
    for role in [Follower, Candidate, Leader] {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.term = 1;
        match role {
            Follower => raft.become_follower(1, 3),
            PreCandidate | Candidate => raft.become_candidate(),
            Leader => lead(&mut raft),
        }
        sent(&mut raft);
        let term = raft.term + 1;
        let request = Message { term, log_term: term, index: 42, ..msg(MsgRequestVote, 2, 1) };
        raft.step(request).unwrap();
        let answer = Message { term, ..msg(MsgRequestVoteResponse, 1, 2) };
        assert_eq!(sent(&mut raft), [answer], "from {role:?}");
        let state = (raft.role, raft.term, raft.vote);
        assert_eq!(state, (Follower, term, 2), "from {role:?}");
    }
}

/// R12 TestSingleNodeCandidate2AA
#[test]
fn r12_lone_peer_elects_itself() {
    let mut net = Network::of(1);
    net.send([hup(1)]);
    assert_eq!(net[1].role, Leader);
}

/// R16 TestRecvMessageType_MsgRequestVote2AB
#[test]
fn r16_vote_goes_to_a_log_at_least_as_new_and_only_once() {
    let check = |role, vote, log_term: u64, index: u64, granted: bool| {
        let mut raft = on_storage(1, &[1, 2], terms(&[2, 2]));
        (raft.role, raft.vote) = (role, vote);
        raft.term = log_term.max(2);
        let request = Message { term: raft.term, log_term, index, ..msg(MsgRequestVote, 2, 1) };
        raft.step(request).unwrap();
        let answer =
            Message { term: raft.term, reject: !granted, ..msg(MsgRequestVoteResponse, 1, 2) };
        let what = "role, own vote, candidate's last";
        let sent = sent(&mut raft);
        assert_eq!(sent, [answer], "{what}: {role:?}, {vote}, {index}@{log_term}");
    };
    for log_term in 0..=3 {
        for index in 0..=3 {
            let newer = log_term == 3 || (log_term == 2 && index >= 2);
            check(Follower, NONE, log_term, index, newer);
        }
    }
    check(Follower, 2, 2, 3, true);
    check(Follower, 1, 2, 3, false);
    check(Leader, 1, 3, 3, false);
    check(Candidate, 1, 3, 3, false);
}

/// R17 TestAllServerStepdown2AB
#[test]
fn r17_newer_term_makes_anybody_a_follower_and_only_a_leader_names_itself() {
    for (role, last_index) in [(Follower, 0), (Candidate, 0), (Leader, 1)] {
        let mut raft = fresh(1, &[1, 2, 3]);
        match role {
            Follower => raft.become_follower(1, NONE),
            PreCandidate | Candidate => raft.become_candidate(),
            Leader => lead(&mut raft),
        }
        for (message_type, leader) in [(MsgRequestVote, NONE), (MsgAppend, 2)] {
            let message = Message { term: 3, log_term: 3, ..msg(message_type, 2, 1) };
            raft.step(message).unwrap();
            let what = (role, message_type);
            assert_eq!((raft.role, raft.term), (Follower, 3), "{what:?}");
            assert_eq!(raft.leader, leader, "{what:?}");
            assert_eq!(raft.log.last_index(), last_index, "{what:?}");
            let stored = raft.log.all_entries().unwrap().len() as u64;
            assert_eq!(stored, last_index, "{what:?}");
        }
    }
}

/// A candidate that was cut off hears from the leader of a newer term.
fn candidate_resets_its_term(kind: MessageType) {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    net.isolate(3);
    net.send([hup(2)]);
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    assert_eq!(net.term_of_each(), [3, 3, 1]);
    tick_until_candidate(&mut net[3]);
    net.recover();
    // Its vote requests are still in its outbox. They leave now, and are too old to matter.
    let message = Message { term: net[1].term, ..msg(kind, 1, 3) };
    net.send([message]);
    assert_eq!(net.roles(), [Leader, Follower, Follower]);
    assert_eq!(net.term_of_each(), [3, 3, 3]);
}

/// R18 TestCandidateResetTermMessageType_MsgHeartbeat2AA
#[test]
fn r18_heartbeat_of_a_newer_term_ends_a_candidacy() {
    candidate_resets_its_term(MsgHeartbeat);
}

/// R19 TestCandidateResetTermMessageType_MsgAppend2AA
#[test]
fn r19_append_of_a_newer_term_ends_a_candidacy() {
    candidate_resets_its_term(MsgAppend);
}

/// R20 TestDisruptiveFollower2AA
#[test]
fn r20_follower_that_campaigns_deposes_its_leader() {
    let peer = |id| {
        let mut raft = fresh(id, &[1, 2, 3]);
        raft.become_follower(1, NONE);
        raft
    };
    let mut net = Network::given([1, 2, 3].map(peer));
    net.send([hup(1)]);
    tick_until_candidate(&mut net[3]);
    assert_eq!(net.roles(), [Leader, Follower, Candidate]);
    assert_eq!(net.term_of_each(), [2, 2, 3]);
    // The leader's late heartbeat is ignored; the candidate's requests leave with it.
    let heartbeat = Message { term: 2, ..msg(MsgHeartbeat, 1, 3) };
    net.send([heartbeat]);
    assert_eq!((net[1].role, net[1].term), (Follower, 3));
}

/// R22 TestRecvMessageType_MsgBeat2AA
#[test]
fn r22_only_a_leader_sends_heartbeats() {
    for (role, count) in [(Leader, 2), (Candidate, 0), (Follower, 0)] {
        let mut raft = on_storage(1, &[1, 2, 3], terms(&[0, 1]));
        (raft.term, raft.role) = (1, role);
        if role == Leader {
            raft.prs.start_leading(3);
        }
        raft.step(beat(1)).unwrap();
        let expected = [MsgHeartbeat, MsgHeartbeat];
        assert_eq!(kinds(&sent(&mut raft)), expected[..count], "{role:?}");
    }
}

/// R32 TestCampaignWhileLeader2AA
#[test]
fn r32_leader_does_not_campaign() {
    let mut raft = fresh(1, &[1]);
    assert_eq!(raft.role, Follower);
    for _ in 0..2 {
        raft.step(hup(1)).unwrap();
        assert_eq!((raft.role, raft.term), (Leader, 1));
    }
}

/// R45 TestSplitVote2AA
#[test]
fn r45_split_vote_elects_nobody_and_the_next_campaign_decides() {
    let peer = |id| {
        let mut raft = fresh(id, &[1, 2, 3]);
        raft.become_follower(1, NONE);
        raft
    };
    let mut net = Network::given([1, 2, 3].map(peer));
    net.send([hup(1)]);
    net.isolate(1);
    net.send([hup(2), hup(3)]);
    assert_eq!(net.term_of_each()[1..], [3, 3]);
    assert_eq!(net.roles()[1..], [Candidate, Candidate]);
    net.send([hup(2)]);
    assert_eq!(net.term_of_each()[1..], [4, 4]);
    assert_eq!(net.roles()[1..], [Leader, Follower]);
}
