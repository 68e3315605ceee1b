//! P1–P14, P23 and P24: terms, elections and votes (5.1, 5.2, 5.4.1).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::eraftpb::Message;
use crate::tests::harness::*;
use crate::{Config, MemStorage, NONE, Raft};

/// Becomes a follower of peer 2 in term 1, a candidate in term 1, or the leader of term 1.
fn in_role(role: StateRole) -> TestRaft {
    let mut raft = fresh(1, &[1, 2, 3]);
    match role {
        Follower => raft.become_follower(1, 2),
        PreCandidate | Candidate => raft.become_candidate(),
        Leader => lead(&mut raft),
    }
    raft
}

fn steps_down_for_a_newer_term(role: StateRole) {
    let mut raft = in_role(role);
    let append = Message { term: 2, ..msg(MsgAppend, NONE, NONE) };
    raft.step(append).unwrap();
    assert_eq!((raft.term, raft.role), (2, Follower));
}

/// P1 TestFollowerUpdateTermFromMessage2AA
#[test]
fn p01_follower_takes_over_a_newer_term() {
    steps_down_for_a_newer_term(Follower);
}

/// P2 TestCandidateUpdateTermFromMessage2AA
#[test]
fn p02_candidate_steps_down_for_a_newer_term() {
    steps_down_for_a_newer_term(Candidate);
}

/// P3 TestLeaderUpdateTermFromMessage2AA
#[test]
fn p03_leader_steps_down_for_a_newer_term() {
    steps_down_for_a_newer_term(Leader);
}

/// P4 TestStartAsFollower2AA
#[test]
fn p04_peer_starts_as_a_follower() {
    let raft = fresh(1, &[1, 2, 3]);
    assert_eq!((raft.role, raft.term, raft.leader), (Follower, 0, NONE));
}

/// P5 TestLeaderBcastBeat2AA
#[test]
fn p05_leader_sends_empty_heartbeats_at_each_interval() {
    let mut raft = in_role(Leader);
    raft.step(propose(1, "")).unwrap();
    sent(&mut raft);
    tick(&mut raft, HEARTBEAT_TICK);
    let heartbeat = |to| Message { term: 1, ..msg(MsgHeartbeat, 1, to) };
    assert_eq!(sent(&mut raft), [heartbeat(2), heartbeat(3)]);
}

fn campaigns_once_within_19_ticks(role: StateRole) {
    let request = |to| Message { term: 2, ..msg(MsgRequestVote, 1, to) };
    // Whatever time-out is drawn.
    for seed in 0..100 {
        let config = Config { seed, ..config(1, &[1, 2, 3]) };
        let mut raft = Raft::new(&config, MemStorage::new()).unwrap();
        match role {
            Follower => raft.become_follower(1, 2),
            _ => raft.become_candidate(),
        }
        tick(&mut raft, 2 * ELECTION_TICK - 1);
        assert_eq!((raft.term, raft.role), (2, Candidate), "seed {seed}");
        assert_eq!(raft.prs.vote(1), Some(true), "its own vote");
        assert_eq!(sent(&mut raft), [request(2), request(3)], "seed {seed}");
    }
}

/// P6 TestFollowerStartElection2AA
#[test]
fn p06_follower_campaigns_once_when_its_time_out_passes() {
    campaigns_once_within_19_ticks(Follower);
}

/// P7 TestCandidateStartNewElection2AA
#[test]
fn p07_candidate_campaigns_again_when_its_time_out_passes() {
    campaigns_once_within_19_ticks(Candidate);
}

/// P8 TestLeaderElectionInOneRoundRPC2AA
#[test]
fn p08_majority_of_votes_makes_a_leader_and_less_does_not() {
    type Votes = &'static [(u64, bool)];
    let rows: &[(u64, Votes, StateRole)] = &[
        (1, &[], Leader),
        (3, &[(2, true), (3, true)], Leader),
        (3, &[(2, true)], Leader),
        (5, &[(2, true), (3, true), (4, true), (5, true)], Leader),
        (5, &[(2, true), (3, true), (4, true)], Leader),
        (5, &[(2, true), (3, true)], Leader),
        (3, &[], Candidate),
        (5, &[(2, true)], Candidate),
        (5, &[(2, false), (3, false)], Candidate),
        (5, &[], Candidate),
    ];
    for &(size, votes, expected) in rows {
        // The votes may come in any order.
        for backwards in [false, true] {
            let mut raft = fresh(1, &ids(size));
            raft.step(hup(1)).unwrap();
            let mut votes = votes.to_vec();
            if backwards {
                votes.reverse();
            }
            for &(voter, granted) in &votes {
                raft.step(vote_answer(voter, raft.term, granted)).unwrap();
            }
            let outcome = (raft.role, raft.term);
            assert_eq!(outcome, (expected, 1), "{size} peers, votes {votes:?}");
        }
    }
}

/// P9 TestFollowerVote2AA
#[test]
fn p09_follower_votes_once_per_term() {
    let rows = [
        (NONE, 1, true),
        (NONE, 2, true),
        (1, 1, true),
        (2, 2, true),
        (1, 2, false),
        (2, 1, false),
    ];
    for (vote, candidate, granted) in rows {
        let mut raft = fresh(1, &[1, 2, 3]);
        (raft.term, raft.vote) = (1, vote);
        let request = Message { term: 1, ..msg(MsgRequestVote, candidate, 1) };
        raft.step(request).unwrap();
        let answer =
            Message { term: 1, reject: !granted, ..msg(MsgRequestVoteResponse, 1, candidate) };
        let sent = sent(&mut raft);
        assert_eq!(sent, [answer], "vote {vote}, candidate {candidate}");
    }
}

/// P10 TestCandidateFallback2AA
#[test]
fn p10_candidate_yields_to_a_leader_of_its_own_or_a_newer_term() {
    for term in [1, 2] {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.step(hup(1)).unwrap();
        assert_eq!((raft.role, raft.term), (Candidate, 1));
        let append = Message { term, ..msg(MsgAppend, 2, 1) };
        raft.step(append).unwrap();
        assert_eq!((raft.role, raft.term), (Follower, term));
    }
}

fn draws_every_time_out(role: StateRole) {
    let mut raft = fresh(1, &[1, 2, 3]);
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        match role {
            Follower => raft.become_follower(raft.term + 1, 2),
            _ => raft.become_candidate(),
        }
        let ticks = (1..=3 * ELECTION_TICK).find(|_| {
            tick(&mut raft, 1);
            !sent(&mut raft).is_empty()
        });
        seen.insert(ticks.expect("a campaign"));
    }
    let all: BTreeSet<_> = (ELECTION_TICK..2 * ELECTION_TICK).collect();
    assert_eq!(seen, all);
}

/// P11 TestFollowerElectionTimeoutRandomized2AA
#[test]
fn p11_follower_draws_every_time_out_between_once_and_twice_the_base() {
    draws_every_time_out(Follower);
}

/// P12 TestCandidateElectionTimeoutRandomized2AA
#[test]
fn p12_candidate_draws_every_time_out_between_once_and_twice_the_base() {
    draws_every_time_out(Candidate);
}

fn rarely_time_out_together(role: StateRole) {
    let all = ids(5);
    let mut rafts: Vec<_> = all.iter().map(|&id| fresh(id, &all)).collect();
    const ROUNDS: u32 = 1000;
    let mut conflicts = 0;
    for _ in 0..ROUNDS {
        for raft in &mut rafts {
            match role {
                Follower => raft.become_follower(raft.term + 1, NONE),
                _ => raft.become_candidate(),
            }
        }
        let mut fire = || {
            rafts.iter_mut().for_each(|raft| tick(raft, 1));
            rafts.iter_mut().filter_map(|raft| sent(raft).pop()).count()
        };
        let fired = (0..3 * ELECTION_TICK).map(|_| fire()).find(|&fired| fired > 0);
        conflicts += u32::from(fired.expect("a campaign") > 1);
    }
    // Five independent uniform draws of ten values clash at the first in 23.3 % of all rounds.
    let allowed = ROUNDS * 3 / 10;
    assert!(
        conflicts <= allowed,
        "{conflicts} of {ROUNDS} rounds split the vote, at most {allowed} may"
    );
}

/// P13 TestFollowersElectionTimeoutNonconflict2AA
#[test]
fn p13_followers_rarely_time_out_together() {
    rarely_time_out_together(Follower);
}

/// P14 TestCandidatesElectionTimeoutNonconflict2AA
#[test]
fn p14_candidates_rarely_time_out_together() {
    rarely_time_out_together(Candidate);
}

/// P23 TestVoteRequest2AB
#[test]
fn p23_vote_request_names_the_last_entry_of_the_candidate() {
    let rows: &[(&[u64], u64)] = &[(&[1], 2), (&[1, 2], 3)];
    for &(log, term) in rows {
        let entries = entries_of(log);
        let last = entries.last().cloned().unwrap();
        let mut raft = fresh(1, &[1, 2, 3]);
        let append = Message { term: term - 1, entries, ..msg(MsgAppend, 2, 1) };
        raft.step(append).unwrap();
        sent(&mut raft);
        tick_until_candidate(&mut raft);
        let request = |to| Message {
            term,
            index: last.index,
            log_term: last.term,
            ..msg(MsgRequestVote, 1, to)
        };
        assert_eq!(sent(&mut raft), [request(2), request(3)], "log {log:?}");
    }
}

/// P24 TestVoter2AB
#[test]
fn p24_voter_refuses_a_candidate_with_an_older_log() {
    // Voter's log, then the candidate's last term and index.
    let rows: &[(&[u64], u64, u64, bool)] = &[
        (&[1], 1, 1, true),
        (&[1], 1, 2, true),
        (&[1, 1], 1, 1, false),
        (&[1], 2, 1, true),
        (&[1], 2, 2, true),
        (&[1, 1], 2, 1, true),
        (&[2], 1, 1, false),
        (&[2], 1, 2, false),
        (&[2, 1], 1, 1, false),
    ];
    for &(log, log_term, index, granted) in rows {
        let mut raft = on_storage(1, &[1, 2], terms(log));
        let request = Message { term: 3, log_term, index, ..msg(MsgRequestVote, 2, 1) };
        raft.step(request).unwrap();
        let answer = Message { term: 3, reject: !granted, ..msg(MsgRequestVoteResponse, 1, 2) };
        let sent = sent(&mut raft);
        assert_eq!(sent, [answer], "log {log:?}, last {index}@{log_term}");
        assert_eq!(raft.log.all_entries().unwrap().len(), log.len());
    }
}
