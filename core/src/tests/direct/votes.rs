//! Votes (5.2): one in a term, kept whatever happens, counted once.

use crate::eraftpb::Message;
use crate::error::{DropReason, Error};
use crate::tests::harness::*;
use crate::{NONE, RawNode};

fn vote_request(from: u64, term: u64) -> Message {
    Message { term, log_term: 9, index: 9, ..msg(MsgRequestVote, from, 1) }
}

/// Whether the peer grants its vote; it must answer once.
fn grants(raft: &mut TestRaft, request: Message) -> bool {
    sent(raft);
    raft.step(request).unwrap();
    let answers = sent(raft);
    assert_eq!(kinds(&answers), [MsgRequestVoteResponse]);
    !answers[0].reject
}

#[test]
fn direct_follower_keeps_its_vote_when_a_leader_speaks_up() {
    let mut raft = fresh(1, &[1, 2, 3]);
    assert!(grants(&mut raft, vote_request(2, 1)));
    let append = Message { term: 1, ..msg(MsgAppend, 2, 1) };
    raft.step(append).unwrap();
    assert!(!grants(&mut raft, vote_request(3, 1)));
    assert_eq!(raft.vote, 2);
}

/// Becoming a follower within a term goes through the same reset as a new term does. If that
/// cleared the vote, this peer would vote for itself and for another in one term.
#[test]
fn direct_candidate_that_steps_back_keeps_its_vote() {
    for kind in [MsgAppend, MsgHeartbeat] {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.step(hup(1)).unwrap();
        let from_leader = Message { term: 1, ..msg(kind, 2, 1) };
        raft.step(from_leader).unwrap();
        assert_eq!((raft.role, raft.term, raft.vote), (Follower, 1, 1));
        assert!(!grants(&mut raft, vote_request(3, 1)), "after {kind:?}");
    }
}

#[test]
fn direct_loser_of_an_election_keeps_its_vote() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.step(hup(1)).unwrap();
    for voter in [2, 3] {
        raft.step(vote_answer(voter, 1, false)).unwrap();
    }
    // No leader is known, so the vote alone decides.
    assert_eq!((raft.role, raft.leader), (Follower, NONE));
    assert!(!grants(&mut raft, vote_request(3, 1)));
    assert!(grants(&mut raft, vote_request(3, 2)), "a new term");
}

#[test]
fn direct_vote_survives_a_restart() {
    let mut node = node(1, &[1, 2, 3]);
    node.step(vote_request(2, 4)).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(ready.hard_state.map(|s| (s.term, s.vote)), Some((4, 2)));
    assert!(ready.must_sync, "the vote is on disk before the answer leaves");
    persist(&mut node, &ready);

    let storage = node.store().clone();
    let mut node = RawNode::new(&config(1, &[1, 2, 3]), storage).unwrap();
    for (candidate, refused) in [(3, true), (2, false)] {
        node.step(vote_request(candidate, 4)).unwrap();
        let answers = turn(&mut node).messages;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].reject, refused, "candidate {candidate}");
    }
}

#[test]
fn direct_first_answer_of_a_voter_counts_and_no_other() {
    let mut raft = fresh(1, &ids(5));
    raft.step(hup(1)).unwrap();
    for (voter, granted) in [(2, true), (2, true), (3, false), (3, true)] {
        raft.step(vote_answer(voter, 1, granted)).unwrap();
        assert_eq!(raft.role, Candidate, "{voter} said {granted}");
    }
    raft.step(vote_answer(4, 1, true)).unwrap();
    assert_eq!(raft.role, Leader);
}

#[test]
fn direct_votes_of_strangers_and_of_older_terms_count_for_nothing() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.step(hup(1)).unwrap();
    raft.become_candidate();
    for answer in [vote_answer(9, 2, true), vote_answer(2, 1, true)] {
        raft.step(answer).unwrap();
        assert_eq!(raft.role, Candidate);
    }
    raft.step(vote_answer(2, 2, true)).unwrap();
    assert_eq!(raft.role, Leader);
}

/// A removed peer that nobody told campaigns on, and takes one vote after the other of a voter that
/// the others need: they hear of its terms from that voter, or not at all.
#[test]
fn direct_who_voted_for_another_tells_those_of_older_terms() {
    for (vote, answers) in [(NONE, 0), (2, 1)] {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.become_follower(9, NONE);
        raft.vote = vote;
        for kind in [MsgRequestVote, MsgHeartbeat, MsgAppend] {
            raft.step(Message { term: 4, ..msg(kind, 3, 1) }).unwrap();
            let sent = sent(&mut raft);
            assert_eq!(sent.len(), answers, "{kind:?} after a vote for {vote}");
            assert!(sent.iter().all(|answer| (answer.to, answer.term) == (3, 9)));
        }
    }
}

#[test]
fn direct_late_votes_do_not_elect_a_peer_that_has_stepped_back() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.step(hup(1)).unwrap();
    let heartbeat = Message { term: 1, ..msg(MsgHeartbeat, 2, 1) };
    raft.step(heartbeat).unwrap();
    for voter in [2, 3] {
        raft.step(vote_answer(voter, 1, true)).unwrap();
        assert_eq!((raft.role, raft.leader), (Follower, 2));
    }
}

#[test]
fn direct_half_of_an_even_cluster_refuses_for_all() {
    let mut raft = fresh(1, &ids(4));
    raft.step(hup(1)).unwrap();
    raft.step(vote_answer(2, 1, false)).unwrap();
    assert_eq!(raft.role, Candidate, "three of four can still grant");
    raft.step(vote_answer(3, 1, false)).unwrap();
    assert_eq!((raft.role, raft.term), (Follower, 1));
}

#[test]
fn direct_candidate_forgets_the_leader_it_gave_up_on() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.become_follower(1, 2);
    tick_until_candidate(&mut raft);
    assert_eq!(raft.leader, NONE);
    let no_leader = Error::ProposalDropped(DropReason::NoLeader);
    assert_eq!(raft.step(propose(1, "data")), Err(no_leader));
    assert_eq!(raft.log.last_index(), 0);
    assert_eq!(kinds(&sent(&mut raft)), [MsgRequestVote, MsgRequestVote]);
}

/// Heartbeats alone must do: a leader without proposals sends nothing else.
#[test]
fn direct_heartbeat_or_snapshot_of_the_same_term_ends_a_candidacy() {
    for kind in [MsgHeartbeat, MsgSnapshot] {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.step(hup(1)).unwrap();
        let from_leader = Message {
            term: 1,
            snapshot: Some(snapshot(1, 5, &[1, 2, 3]).into()),
            ..msg(kind, 2, 1)
        };
        raft.step(from_leader).unwrap();
        let state = (raft.role, raft.term, raft.leader);
        assert_eq!(state, (Follower, 1, 2), "{kind:?}");
    }
}

#[test]
fn direct_peer_that_has_a_leader_does_not_vote_in_its_term() {
    let mut raft = fresh(1, &[1, 2, 3]);
    raft.become_follower(1, 2);
    assert!(!grants(&mut raft, vote_request(3, 1)));
    assert_eq!((raft.vote, raft.leader), (NONE, 2));
}

/// The refusal of a newer term's request must not use up the vote of that term.
#[test]
fn direct_refused_candidate_leaves_the_vote_to_others() {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
    let behind = Message { log_term: 1, ..vote_request(2, 3) };
    assert!(!grants(&mut raft, behind));
    assert_eq!((raft.term, raft.vote, raft.leader), (3, NONE, NONE));
    assert!(grants(&mut raft, vote_request(3, 3)));
}
