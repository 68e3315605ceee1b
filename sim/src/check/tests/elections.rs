//! Elections, votes, terms and what leaves a peer: I1, I2, I5, I11, I12.

use raft_core::EntryId;
use raft_core::eraftpb::MessageType;

use super::*;

#[test]
fn i1_refuses_a_second_leader_of_a_term_even_after_the_first_is_gone() {
    let mut trace = cluster(5);
    trace.elect(1, 6, &[2, 3]).term(1, 7).is_legal();
    // The others never vote twice: somebody counted a vote that was not for it.
    trace.campaign(4, 6).is_legal().lead(4).breaks(Invariant::ElectionSafety);
}

#[test]
fn i1_refuses_a_follower_of_another_leader() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]);
    trace.state(3, |s| (s.term, s.leader) = (6, 2)).breaks(Invariant::ElectionSafety);
}

#[test]
fn i1_accepts_two_leaders_at_once_in_different_terms() {
    let mut trace = cluster(5);
    trace.elect(1, 6, &[2, 3]).elect(4, 7, &[3, 5]).is_legal();
    // The old one has heard of nothing and goes on.
    trace.take(1, &[entry(6, 6)]).elect(1, 8, &[2, 3]).is_legal();
}

#[test]
fn i2_refuses_a_second_vote_in_memory_and_on_the_wire() {
    let mut trace = cluster(3);
    trace.vote(3, 1, 6).is_legal().state(3, |s| s.vote = 2).breaks(Invariant::VoteOnce);
    let mut trace = cluster(3);
    trace.vote(3, 1, 6).is_legal();
    trace.send(3, 2, MessageType::MsgRequestVoteResponse, 6).breaks(Invariant::VoteOnce);
}

#[test]
fn i2_refuses_a_vote_that_is_sent_before_it_is_durable() {
    let mut trace = cluster(3);
    trace.term(3, 6).save(3).state(3, |s| s.vote = 1).is_legal();
    trace.send(3, 1, MessageType::MsgRequestVoteResponse, 6).breaks(Invariant::VoteOnce);
}

#[test]
fn i2_refuses_a_vote_that_a_restart_forgot() {
    let mut trace = cluster(3);
    trace.vote(3, 1, 6).is_legal();
    trace
        .start(3, Hard { term: 6, vote: 0, commit: 5, last: 5 }, 5, &[])
        .breaks(Invariant::VoteOnce);
}

#[test]
fn i2_accepts_a_repeated_vote_and_one_that_was_lost_before_it_was_sent() {
    let mut trace = cluster(3);
    trace.vote(3, 1, 6).send(3, 1, MessageType::MsgRequestVoteResponse, 6).is_legal();
    // In term 7 it decides for 1, crashes before that is written, and decides for 2.
    trace.term(3, 7).save(3).state(3, |s| s.vote = 1);
    trace.start(3, Hard { term: 7, vote: 0, commit: 5, last: 5 }, 5, &[]);
    trace.members(3, 5, 1..=3, []).vote(3, 2, 7).is_legal();
}

#[test]
fn i2_accepts_a_vote_that_leaves_after_its_voter_went_on_to_a_later_term() {
    let mut trace = cluster(3);
    // Granted in term 6, then term 8 was heard of, and both went to the disk in one write.
    trace.state(3, |s| (s.term, s.vote) = (6, 1)).term(3, 8).save(3);
    trace.send(3, 1, MessageType::MsgRequestVoteResponse, 6).is_legal();
}

/// After a hundred changes of members their ids have four digits.
#[test]
fn i2_tells_voters_apart_however_large_their_ids_are() {
    let mut trace = cluster(3);
    for peer in [1_023, 1_045, u64::MAX] {
        trace.start(peer, Hard { term: 5, vote: 0, commit: 5, last: 5 }, 5, &[]);
        trace.members(peer, 5, 1..=3, []);
    }
    trace.vote(1_023, 1, 6).vote(1_045, 2, 6).vote(u64::MAX, 3, 6).is_legal();
    trace.state(1_045, |s| s.vote = 1).breaks(Invariant::VoteOnce);
}

#[test]
fn i5_refuses_a_leader_without_a_committed_entry() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]);
    trace.take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]).commit(1, 6).is_legal();
    trace.elect(3, 7, &[2]).breaks(Invariant::LeaderCompleteness);
}

/// "The more up-to-date peer may always win" is no rule, nor is "what a majority stores is never
/// lost": figure 8.
#[test]
fn i5_accepts_a_leader_without_an_entry_that_a_majority_stored_and_nobody_committed() {
    let mut trace = cluster(5);
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]);
    trace.elect(5, 7, &[3, 4]).take(5, &[entry(6, 7)]);
    trace.elect(1, 8, &[2, 3]).take(3, &[entry(6, 6)]).is_legal();
    trace.elect(5, 9, &[3, 4]).is_legal();
    trace.see(&Fact::Cut { peer: 3, last: 5 }).take(3, &[entry(6, 7)]).is_legal();
}

#[test]
fn i5_accepts_a_leader_that_lacks_what_was_committed_after_its_term_began() {
    let mut trace = cluster(5);
    // 4 wins term 8, but hears of its last vote late; meanwhile nothing stops the leader of 6 …
    trace.elect(1, 6, &[2, 3]).campaign(4, 8);
    for peer in 1..=3 {
        trace.take(peer, &[entry(6, 6)]);
    }
    // … nor a leader of 9, from committing.
    trace.elect(1, 9, &[2, 3]);
    for peer in 1..=3 {
        trace.take(peer, &[entry(7, 9)]);
    }
    trace.commit(1, 7).is_legal().lead(4).is_legal();
}

#[test]
fn i11_refuses_a_step_back() {
    cluster(3).term(1, 6).term(1, 5).breaks(Invariant::Monotonicity);
    cluster(3).state(1, |s| s.commit = 4).breaks(Invariant::Monotonicity);
    let mut trace = cluster(3);
    trace.term(1, 7).save(1).is_legal();
    let forgot = Hard { term: 6, vote: 0, commit: 5, last: 5 };
    trace.start(1, forgot, 5, &[]).breaks(Invariant::Monotonicity);
    let mut trace = cluster(3);
    trace.term(1, 7).save(1).is_legal();
    trace.see(&Fact::StoredHard { peer: 1, hard: forgot }).breaks(Invariant::Monotonicity);
}

#[test]
fn i11_refuses_a_leader_that_knows_less_than_before_or_sends_what_is_known() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]).progress(1, 2, 5, 6).is_legal();
    trace.progress(1, 2, 4, 6).breaks(Invariant::Monotonicity);
    cluster(3).elect(1, 6, &[2]).progress(1, 2, 5, 5).breaks(Invariant::Monotonicity);
}

#[test]
fn i11_accepts_a_term_that_was_lost_with_the_memory() {
    let mut trace = cluster(3);
    // Never written, never sent.
    trace.term(1, 9).is_legal();
    trace.start(1, Hard { term: 5, vote: 0, commit: 5, last: 5 }, 5, &[]).is_legal();
    trace.vote(1, 2, 6).is_legal();
}

#[test]
fn i11_accepts_a_leader_that_learns_anew() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]).progress(1, 3, 5, 9).progress(1, 3, 5, 6).is_legal();
    trace.elect(1, 7, &[2]).progress(1, 3, 0, 6).is_legal();
    // 3 is removed and added again, empty.
    trace.progress(1, 3, 5, 6).members(1, 5, 1..=3, []).progress(1, 3, 0, 6).is_legal();
}

#[test]
fn i12_refuses_a_message_of_a_term_that_is_not_durable() {
    let mut trace = cluster(3);
    trace.term(1, 6).send(1, 2, MessageType::MsgRequestVote, 6).breaks(Invariant::Outbox);
}

#[test]
fn i12_refuses_an_acknowledgement_of_what_is_not_durable() {
    let mut trace = cluster(3);
    trace.term(2, 6).save(2).append(2, &[entry(6, 6)]).is_legal();
    trace.acknowledge(2, 6, 6).breaks(Invariant::Outbox);
    // The disk has another entry there.
    let mut trace = cluster(3);
    trace
        .term(2, 6)
        .take(2, &[entry(6, 6)])
        .term(2, 7)
        .save(2)
        .append(2, &[entry(6, 7)])
        .is_legal();
    trace.acknowledge(2, 7, 6).breaks(Invariant::Outbox);
    // Whoever asks for a snapshot names what it holds.
    let mut trace = cluster(3);
    trace.term(2, 6).save(2).append(2, &[entry(6, 6)]);
    let (kind, holds) = (MessageType::MsgAppendResponse, Some(EntryId::new(6, 6)));
    let message = Sent { kind, to: 1, term: 6, index: 5, reject: true, holds };
    trace.see(&Fact::Sent { peer: 2, message }).breaks(Invariant::Outbox);
}

#[test]
fn i12_accepts_appends_before_their_sender_has_written_them_and_words_about_terms_to_come() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]).append(1, &[entry(6, 6)]);
    trace.send(1, 2, MessageType::MsgAppend, 6).is_legal();
    trace.send(3, 2, MessageType::MsgRequestPreVote, 6).is_legal();
    trace.send(2, 3, MessageType::MsgRequestPreVoteResponse, 7).is_legal();
    trace.send(2, 1, MessageType::MsgPropose, 0).is_legal();
}

#[test]
fn i12_accepts_a_late_acknowledgement_of_what_a_later_leader_replaced() {
    let mut trace = cluster(3);
    // Accepted in term 6, replaced in term 7, and both went to the disk in one write.
    trace.term(2, 6).append(2, &[entry(6, 6), entry(7, 6)]).term(2, 7);
    trace.append(2, &[entry(6, 7)]).store(2, &[entry(6, 7)]);
    trace.acknowledge(2, 6, 7).acknowledge(2, 7, 6).is_legal();
}

#[test]
fn i12_accepts_an_acknowledgement_of_what_a_snapshot_contains() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2]);
    trace.take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]).commit(1, 6);
    trace.term(3, 6).save(3);
    let snapshot = Snapshot { id: EntryId::new(6, 6), ..Snapshot::default() };
    trace.install(3, snapshot).acknowledge(3, 6, 6).acknowledge(3, 6, 4).is_legal();
}
