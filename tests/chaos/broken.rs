//! Proof that chaos finds what is wrong: with any one of these rules broken some seed fails.

use std::panic::catch_unwind;

use raft_core::Rules;
use raft_core::rules::{self, VoteVerdict};

use crate::cluster::Focus;

/// Plays seeds with these rules until one fails.
fn notices(name: &str, focus: Focus, rules: Rules) {
    const ENOUGH: u64 = 30_000;
    let failing =
        (1..ENOUGH).find(|&seed| catch_unwind(|| crate::play(seed, rules, focus)).is_err());
    println!("{name}: seed {failing:?} fails");
    assert!(failing.is_some(), "{name}: nobody noticed");
}

#[test]
fn chaos_notices_votes_that_are_given_twice() {
    let grant_vote = |request: &rules::VoteRequest| match rules::grant_vote(request) {
        VoteVerdict::AlreadyVoted(_) => VoteVerdict::Grant,
        verdict => verdict,
    };
    notices("two votes", Focus::All, Rules { grant_vote, ..Rules::default() });
}

#[test]
fn chaos_notices_votes_for_older_logs() {
    let grant_vote = |request: &rules::VoteRequest| match rules::grant_vote(request) {
        VoteVerdict::LogBehind { .. } => VoteVerdict::Grant,
        verdict => verdict,
    };
    notices("older logs", Focus::All, Rules { grant_vote, ..Rules::default() });
}

#[test]
fn chaos_notices_new_members_that_decide_alone() {
    let joint_commit = |incoming, _| incoming;
    let joint_tally = |incoming, _| incoming;
    notices(
        "new members alone",
        Focus::Members,
        Rules { joint_commit, joint_tally, ..Rules::default() },
    );
}

#[test]
#[ignore = "needs about ten thousand seeds"]
fn chaos_notices_membership_changes_at_the_same_time() {
    let may_change_membership = |_, _| true;
    notices("two changes", Focus::All, Rules { may_change_membership, ..Rules::default() });
}

#[test]
fn chaos_notices_reads_that_nobody_confirms() {
    let reads_confirmed = |_, sent, _| sent;
    notices("unconfirmed reads", Focus::All, Rules { reads_confirmed, ..Rules::default() });
}

#[test]
fn chaos_notices_reads_before_a_leader_knows_what_is_committed() {
    notices("early reads", Focus::All, Rules { may_read: |_, _| true, ..Rules::default() });
}

#[test]
fn chaos_notices_heartbeats_that_commit_what_was_not_checked() {
    let heartbeat_commit = |committed, _| committed;
    notices("heartbeats", Focus::All, Rules { heartbeat_commit, ..Rules::default() });
}

#[test]
fn chaos_notices_followers_that_keep_what_conflicts() {
    notices("conflicts", Focus::All, Rules { conflicts: |_, _| false, ..Rules::default() });
}

#[test]
fn chaos_notices_leases_that_hold_nobody_back() {
    notices("no leases", Focus::Leases, Rules { lease_in_force: |_| false, ..Rules::default() });
}

#[test]
#[ignore = "needs about ten thousand seeds"]
fn chaos_notices_campaigns_that_should_not_be() {
    notices("campaigns", Focus::All, Rules { may_campaign: |_| true, ..Rules::default() });
}
