//! Each checker notices the rule that it is there for, and only that: rules are broken one by one.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::Rules;
use raft_core::rules::{VoteRequest, VoteVerdict, grant_vote};
use raft_sim::{Invariant, Violation, World};
use support::*;

/// Torments a cluster from each seed until a rule breaks.
fn first_violation(rules: Rules, seeds: std::ops::Range<u64>) -> Option<(u64, Violation)> {
    seeds.into_iter().find_map(|seed| {
        let mut dice = Dice::new(seed);
        let mut world = World::with_rules(&scenario(seed, &mut dice), rules).unwrap();
        torment(&mut world, &mut dice);
        world.run_until(world.now_us() + 3 * SECOND);
        world.violation().map(|violation| (seed, violation.clone()))
    })
}

fn caught_by(rules: Rules) -> Invariant {
    let (seed, violation) = first_violation(rules, 0..1_000).expect("a broken rule shows");
    println!("seed {seed}: {violation}");
    violation.invariant
}

#[test]
fn the_papers_rules_hold_under_the_same_faults() {
    assert_eq!(first_violation(Rules::default(), 0..60), None);
}

#[test]
fn a_quorum_of_half_elects_two_leaders_or_loses_entries() {
    let half = Rules { quorum: |voters| voters / 2, ..Rules::default() };
    let caught = caught_by(half);
    let expected = [Invariant::ElectionSafety, Invariant::CommitDurability];
    assert!(expected.contains(&caught), "{caught:?}");
}

#[test]
fn voting_twice_in_a_term_elects_two_leaders() {
    fn forgetful(request: &VoteRequest) -> VoteVerdict {
        grant_vote(&VoteRequest { voted_for: 0, leader: 0, ..*request })
    }
    let rules = Rules { grant_vote: forgetful, ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::VoteOnce);
}

#[test]
fn voting_for_a_shorter_log_makes_an_incomplete_leader() {
    fn blind(request: &VoteRequest) -> VoteVerdict {
        let own_last = request.candidate_last;
        grant_vote(&VoteRequest { own_last, ..*request })
    }
    let rules = Rules { grant_vote: blind, ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::LeaderCompleteness);
}

#[test]
fn appending_without_the_consistency_check_breaks_log_matching() {
    let rules = Rules { log_matches: |_, own_term| own_term.is_some(), ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::LogMatching);
}

#[test]
fn keeping_conflicting_entries_is_noticed() {
    let rules = Rules { conflicts: |_, _| false, ..Rules::default() };
    let caught = caught_by(rules);
    let expected = [Invariant::LogMatching, Invariant::StateMachineSafety];
    assert!(expected.contains(&caught), "{caught:?}");
}
