//! The rules, one fact at a time.

use alloc::vec::Vec;

use super::*;

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term, index }
}

fn request(voted_for: u64, leader: u64, theirs: EntryId, own: EntryId) -> VoteRequest {
    VoteRequest {
        candidate: 2,
        candidate_last: theirs,
        candidate_priority: 0,
        pre_vote_ahead: false,
        voted_for,
        leader,
        own_last: own,
        own_priority: 0,
    }
}

fn vote(voted_for: u64, leader: u64, theirs: EntryId, own: EntryId) -> VoteVerdict {
    grant_vote(&request(voted_for, leader, theirs, own))
}

#[test]
fn any_two_quorums_share_a_peer() {
    for voters in 1..=11 {
        assert!(2 * quorum(voters) > voters);
        assert!(quorum(voters) <= voters);
    }
}

#[test]
fn a_vote_is_given_once_and_repeated_to_the_same_candidate() {
    let log = id(1, 1);
    assert_eq!(vote(0, 0, log, log), VoteVerdict::Grant);
    assert_eq!(vote(2, 0, log, log), VoteVerdict::Grant);
    assert_eq!(vote(3, 0, log, log), VoteVerdict::AlreadyVoted(3));
    assert_eq!(vote(0, 3, log, log), VoteVerdict::HasLeader(3));
}

#[test]
fn a_vote_needs_a_log_at_least_as_new() {
    for (theirs, own, granted) in [
        (id(2, 1), id(1, 9), true),
        (id(1, 9), id(2, 1), false),
        (id(2, 3), id(2, 3), true),
        (id(2, 2), id(2, 3), false),
    ] {
        assert_eq!(vote(0, 0, theirs, own) == VoteVerdict::Grant, granted, "{theirs} {own}");
    }
}

#[test]
fn a_pre_vote_asks_only_about_the_log() {
    let ahead = VoteRequest { pre_vote_ahead: true, ..request(3, 3, id(2, 3), id(2, 3)) };
    assert_eq!(grant_vote(&ahead), VoteVerdict::Grant);
    let behind = VoteRequest { candidate_last: id(1, 9), ..ahead };
    assert!(matches!(grant_vote(&behind), VoteVerdict::LogBehind { .. }));
}

#[test]
fn a_low_priority_yields_unless_its_log_is_newer() {
    let log = id(2, 3);
    let low = VoteRequest { own_priority: 1, ..request(0, 0, log, log) };
    assert_eq!(grant_vote(&low), VoteVerdict::LowPriority { theirs: 0, own: 1 });
    let longer = VoteRequest { candidate_last: id(2, 4), ..low };
    assert_eq!(grant_vote(&longer), VoteVerdict::Grant);
    let newer_but_shorter = VoteRequest { candidate_last: id(3, 2), ..low };
    assert_eq!(grant_vote(&newer_but_shorter), VoteVerdict::Grant);
}

#[test]
fn a_joint_vote_needs_both_halves_and_one_refusal_loses_it() {
    use Tally::{Lost, Pending, Won};
    for (a, b, both) in [
        (Won, Won, Won),
        (Won, Pending, Pending),
        (Won, Lost, Lost),
        (Pending, Pending, Pending),
        (Pending, Lost, Lost),
        (Lost, Lost, Lost),
    ] {
        assert_eq!((joint_tally(a, b), joint_tally(b, a)), (both, both));
    }
    assert_eq!((joint_commit(3, 7), joint_commit(7, 3)), (3, 3));
}

#[test]
fn a_lease_ends_with_the_time_out_or_at_the_leaders_word() {
    let fresh = LeaseQuestion {
        check_quorum: true,
        leader: 1,
        elapsed: 9,
        timeout: 10,
        transfer: false,
        promised: false,
    };
    assert!(lease_in_force(&fresh));
    assert!(!lease_in_force(&LeaseQuestion { check_quorum: false, ..fresh }));
    assert!(!lease_in_force(&LeaseQuestion { leader: 0, ..fresh }));
    assert!(!lease_in_force(&LeaseQuestion { elapsed: 10, ..fresh }));
    assert!(!lease_in_force(&LeaseQuestion { transfer: true, ..fresh }));
    assert!(lease_in_force(&LeaseQuestion { leader: 0, promised: true, ..fresh }));
}

#[test]
fn an_echo_of_a_round_never_sent_confirms_nothing() {
    assert_eq!(reads_confirmed(3, 5, 2), 3);
    assert_eq!(reads_confirmed(9, 5, 2), 5);
    assert_eq!(reads_confirmed(1, 5, 2), 2);
}

#[test]
fn an_election_is_lost_only_when_no_quorum_is_left() {
    assert_eq!(tally(3, 2, 3, 5), Tally::Won);
    assert_eq!(tally(2, 2, 3, 5), Tally::Pending);
    assert_eq!(tally(2, 3, 3, 5), Tally::Lost);
}

#[test]
fn only_entries_of_the_own_term_commit_by_counting() {
    let question = CommitQuestion { committed: 1, quorum_index: 3, quorum_term: Some(2), term: 4 };
    assert_eq!(leader_commit(&question), 1);
    assert_eq!(leader_commit(&CommitQuestion { quorum_term: Some(4), ..question }), 3);
    assert_eq!(
        leader_commit(&CommitQuestion { quorum_term: Some(4), committed: 5, ..question }),
        5
    );
    assert_eq!(leader_commit(&CommitQuestion { quorum_term: None, ..question }), 1);
}

#[test]
fn an_old_rejection_moves_nothing() {
    let probe = Rejection { rejected: 9, hint: 4, matched: 2, next: 10, pipelined: false };
    assert_eq!(next_after_rejection(&probe), Some(5));
    assert_eq!(next_after_rejection(&Rejection { rejected: 8, ..probe }), None);
    assert_eq!(next_after_rejection(&Rejection { hint: 0, ..probe }), Some(3));
    let pipelined = Rejection { pipelined: true, ..probe };
    assert_eq!(next_after_rejection(&pipelined), Some(3));
    assert_eq!(next_after_rejection(&Rejection { rejected: 2, ..pipelined }), None);
    assert_eq!(next_after_rejection(&Rejection { next: 0, ..probe }), None);
}

#[test]
fn a_follower_commits_no_further_than_it_was_confirmed_and_never_backwards() {
    assert_eq!(follower_commit(2, 9, 4), 4);
    assert_eq!(follower_commit(2, 3, 4), 3);
    assert_eq!(follower_commit(5, 3, 4), 5);
}

#[test]
fn a_pre_vote_and_its_grant_are_no_news_of_a_newer_term() {
    let verdict =
        |theirs, kind, reject| compare_terms(&TermQuestion { own: 5, theirs, kind, reject });
    let (asks, answers) = (MessageType::MsgRequestPreVote, MessageType::MsgRequestPreVoteResponse);
    assert_eq!(verdict(6, asks, false), TermVerdict::Hypothetical);
    assert_eq!(verdict(6, answers, false), TermVerdict::Hypothetical);
    assert_eq!(verdict(6, answers, true), TermVerdict::StepDown);
    assert_eq!(verdict(6, MessageType::MsgRequestVote, false), TermVerdict::StepDown);
    for kind in [asks, answers, MessageType::MsgRequestVoteResponse, MessageType::MsgAppendResponse]
    {
        assert_eq!(verdict(4, kind, false), TermVerdict::Stale);
        assert_eq!(verdict(5, kind, true), TermVerdict::Current);
    }
}

#[test]
fn a_quorum_has_come_as_far_as_its_last_whatever_the_order() {
    let others = || [Outsider { own: true, reached: 99 }, Outsider { own: false, reached: 98 }];
    let index = |numbers: &[u64]| {
        let (mut numbers, mut others) = (numbers.to_vec(), others().into_iter());
        common_index(quorum(numbers.len()), &mut numbers, &mut others)
    };
    assert_eq!(index(&[7]), 7);
    for order in [[1, 5, 9], [9, 5, 1], [5, 9, 1], [9, 1, 5]] {
        assert_eq!(index(&order), 5);
    }
    assert_eq!(index(&[4, 3, 2, 1]), 2);
    let many: Vec<u64> = (1..=21).rev().collect();
    assert_eq!(index(&many), 11);
    assert_eq!(common_index(4, &mut [1, 2, 3], &mut core::iter::empty()), 0);
}
