//! Proof that the search notices: with any one rule broken it finds what goes wrong.

use raft_core::eraftpb::HardState;
use raft_core::rules::{self, TermQuestion, TermVerdict, VoteVerdict};
use raft_core::{MemStorage, Rules};

use crate::peer::Setup;
use crate::world::Bounds;
use crate::{change_of_all, disk, empty, figure_8, search, small, sound};

/// Searches with these rules, and expects a violation of that property.
fn notices(name: &str, rules: Rules, bounds: Bounds, disks: [MemStorage; 3], property: &str) {
    let setup = Setup { rules, ..sound() };
    finds(name, setup, bounds, disks, property);
}

fn finds(name: &str, setup: Setup, bounds: Bounds, disks: [MemStorage; 3], property: &str) {
    let report = search(name, setup, bounds, disks);
    let what = report.violation.map_or_else(|| "nothing".into(), |(what, _)| what);
    assert!(what.contains(property), "{name}: {what:?} is no violation of {property}");
}

#[test]
fn it_notices_a_vote_for_everybody_who_asks() {
    let rules = Rules { grant_vote: |_| VoteVerdict::Grant, ..Rules::default() };
    notices("votes for all", rules, small(), empty(), "went backwards");
}

#[test]
fn it_notices_a_vote_that_is_forgotten_within_the_term() {
    let rules = Rules { vote_in_term: |_, _, _| 0, ..Rules::default() };
    notices("forgotten votes", rules, small(), empty(), "went backwards");
}

#[test]
fn it_notices_a_vote_for_an_older_log() {
    let grant_vote = |request: &rules::VoteRequest| match rules::grant_vote(request) {
        VoteVerdict::LogBehind { .. } => VoteVerdict::Grant,
        verdict => verdict,
    };
    let rules = Rules { grant_vote, ..Rules::default() };
    notices("older logs win", rules, small(), empty(), "leader completeness");
}

#[test]
fn it_notices_a_quorum_that_is_no_majority() {
    let rules = Rules { quorum: |voters| voters / 2, ..Rules::default() };
    notices("half is enough", rules, small(), empty(), "election safety");
}

#[test]
fn it_notices_entries_of_older_terms_that_commit_by_counting() {
    let leader_commit = |question: &rules::CommitQuestion| question.quorum_index;
    let rules = Rules { leader_commit, ..Rules::default() };
    let (disks, bounds) = figure_8();
    notices("counting old terms", rules, bounds, disks, "leader completeness");
}

#[test]
fn it_notices_an_append_without_the_consistency_check() {
    let log_matches = |_, own_term: Option<u64>| own_term.is_some();
    let rules = Rules { log_matches, ..Rules::default() };
    let disks = [disk(&[1, 1], 2), disk(&[1, 2], 2), disk(&[1, 2, 2], 2)];
    let bounds = Bounds { max_term: 3, proposals: 0, ..small() };
    notices("no check", rules, bounds, disks, "log matching");
}

#[test]
fn it_notices_a_follower_that_keeps_what_conflicts() {
    let rules = Rules { conflicts: |_, _| false, ..Rules::default() };
    let (disks, bounds) = figure_8();
    notices("conflicts stay", rules, bounds, disks, "state machine safety");
}

#[test]
fn it_notices_a_heartbeat_that_commits_what_was_not_checked() {
    let rules = Rules { heartbeat_commit: |committed, _| committed, ..Rules::default() };
    // The third peer's log is as long as what the others will commit, and holds something else.
    let disks = [disk(&[1, 2], 2), disk(&[1, 2], 2), disk(&[1, 1, 1], 2)];
    let bounds = Bounds { max_term: 3, proposals: 0, beats: 1, ..small() };
    notices("heartbeats", rules, bounds, disks, "state machine safety");
}

#[test]
fn it_notices_a_leader_that_does_not_hear_of_newer_terms() {
    let compare_terms = |question: &TermQuestion| match question.theirs > question.own {
        true => TermVerdict::StepDown,
        false => TermVerdict::Current,
    };
    let rules = Rules { compare_terms, ..Rules::default() };
    notices("old terms", rules, small(), empty(), "election safety");
}

#[test]
fn it_notices_new_members_that_decide_alone() {
    let (disks, bounds, change) = change_of_all();
    let rules = Rules { joint_tally: |incoming, _| incoming, ..Rules::default() };
    let setup = Setup { rules, change, ..sound() };
    // It is 18 steps away.
    let bounds = Bounds { max_states: 400_000.max(bounds.max_states), ..bounds };
    finds("new voters alone", setup, bounds, disks, "leader completeness");
}

#[test]
fn it_notices_reads_that_an_older_answer_confirms() {
    let rules = Rules { reads_confirmed: |_, sent, _| sent, ..Rules::default() };
    let bounds = Bounds { led: true, reads: 2, proposals: 0, ..small() };
    notices("older answers", rules, bounds, empty(), "stale read");
}

#[test]
fn it_notices_reads_before_a_leader_knows_what_is_committed() {
    let rules = Rules { may_read: |_, _| true, ..Rules::default() };
    let mut disks = [disk(&[1], 1), disk(&[1], 1), disk(&[1], 1)];
    disks[0].set_hard_state(HardState { term: 1, vote: 0, commit: 1 });
    let bounds = Bounds { reads: 1, beats: 1, proposals: 0, ..small() };
    notices("early reads", rules, bounds, disks, "stale read");
}

/// The rules are sound here; the driver is not.
#[test]
fn it_notices_a_disk_that_forgets_a_vote() {
    let setup = Setup { lying_disk: true, ..sound() };
    let bounds = Bounds { crashes: 1, ..small() };
    finds("lying disks", setup, bounds, empty(), "election safety");
}
