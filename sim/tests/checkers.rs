//! Each checker notices the rule that it is there for, and only that: rules are broken one by one.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::Rules;
use raft_core::rules::{TermQuestion, TermVerdict};
use raft_sim::zoo::Bug;
use raft_sim::{Command, Invariant, Scenario, Violation, World};
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

/// The rules of a bug of the zoo.
fn of_bug(id: u32) -> Rules {
    Bug::by_id(id).and_then(Bug::trial).expect("it can be made").variant.rules
}

fn caught_by(rules: Rules) -> Invariant {
    caught_from(rules, 0)
}

/// As [`caught_by`], from a seed not long before the first that shows it.
fn caught_from(rules: Rules, seed: u64) -> Invariant {
    let caught = first_violation(rules, seed..seed + 1_000);
    let (seed, violation) = caught.expect("a broken rule shows");
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
    assert_eq!(caught_by(of_bug(4)), Invariant::VoteOnce);
}

#[test]
fn voting_for_a_shorter_log_makes_an_incomplete_leader() {
    assert_eq!(caught_by(of_bug(5)), Invariant::LeaderCompleteness);
}

#[test]
fn comparing_only_lengths_or_only_terms_makes_an_incomplete_leader() {
    assert_eq!(caught_from(of_bug(6), 400), Invariant::LeaderCompleteness);
    assert_eq!(caught_by(of_bug(7)), Invariant::LeaderCompleteness);
}

#[test]
fn forgetting_the_vote_within_a_term_is_noticed() {
    let rules = Rules { vote_in_term: |_, _, _| 0, ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::VoteOnce);
}

#[test]
fn a_candidate_that_wins_one_vote_too_early_is_noticed() {
    let early = |granted, refused, quorum, voters| {
        raft_core::rules::tally(granted + 1, refused, quorum, voters)
    };
    let rules = Rules { tally: early, ..Rules::default() };
    let expected = [Invariant::ElectionSafety, Invariant::LeaderCompleteness];
    let caught = caught_by(rules);
    assert!(expected.contains(&caught), "{caught:?}");
}

/// What a stale message does first depends on which it is: a vote that counts in a later term, or an
/// append that cuts off a log.
#[test]
fn taking_messages_of_older_terms_is_noticed() {
    fn gullible(question: &TermQuestion) -> TermVerdict {
        if question.theirs > question.own { TermVerdict::StepDown } else { TermVerdict::Current }
    }
    let rules = Rules { compare_terms: gullible, ..Rules::default() };
    let expected = [
        Invariant::ElectionSafety,
        Invariant::VoteOnce,
        Invariant::Truncation,
        Invariant::StateMachineSafety,
    ];
    let caught = caught_by(rules);
    assert!(expected.contains(&caught), "{caught:?}");
}

/// Entries that were acknowledged are cut off by an older append that comes late.
#[test]
fn cutting_the_log_without_a_conflict_undoes_acknowledgements() {
    let rules = Rules { conflicts: |_, _| true, ..Rules::default() };
    let expected = [Invariant::CommitDurability, Invariant::Outbox, Invariant::Truncation];
    let caught = caught_by(rules);
    assert!(expected.contains(&caught), "{caught:?}");
}

#[test]
fn a_heartbeat_that_commits_what_the_follower_may_not_hold_is_noticed() {
    let rules = Rules { heartbeat_commit: |committed, _| committed, ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::StateMachineSafety);
}

/// The start of figure 8. A leader has more entries that nobody else has than fit in a message,
/// crashes, and is elected again: the first message of the new term brings old entries only, and a
/// majority stores them before any entry of the new term.
fn elected_again_with_old_entries(rules: Rules) -> World {
    let scenario = Scenario { peers: 3, ..Scenario::new(1) };
    let mut world = World::with_rules(&scenario, rules).unwrap();
    let old = elect(&mut world);
    world.apply(Command::Partition { groups: vec![vec![old]] }).unwrap();
    let value = "x".repeat(1_000);
    for number in 0..1_200 {
        send(&mut world, put_op(&number.to_string(), &value), Some(old));
    }
    world.run_until(world.now_us() + 150_000);
    world.apply(Command::Crash { peer: old }).unwrap();
    world.apply(Command::Heal).unwrap();
    world.apply(Command::Restart { peer: old }).unwrap();
    world.apply(Command::Campaign { peer: old }).unwrap();
    world.run_until(world.now_us() + SECOND);
    world
}

#[test]
fn committing_an_older_entry_by_counting_is_noticed_at_once() {
    let counting =
        |question: &raft_core::rules::CommitQuestion| question.committed.max(question.quorum_index);
    let rules = Rules { leader_commit: counting, ..Rules::default() };
    let world = elected_again_with_old_entries(rules);
    let violation = world.violation().expect("a broken rule shows");
    assert_eq!(violation.invariant, Invariant::CommitRule, "{violation}");
    let entry = violation.entry.expect("it is about an entry");
    assert!(violation.now.contains(&entry.to_string()), "{violation}");

    let world = elected_again_with_old_entries(Rules::default());
    assert_eq!(world.violation(), None);
    let leader = leader(&world).unwrap();
    let log = world.node(leader).unwrap().peer().unwrap().raft().log();
    assert!(log.committed() > 1_200, "an entry of the own term takes them along");
}

#[test]
fn appending_without_the_consistency_check_breaks_log_matching() {
    let rules = Rules { log_matches: |_, own_term| own_term.is_some(), ..Rules::default() };
    assert_eq!(caught_by(rules), Invariant::LogMatching);
}

#[test]
fn appending_without_any_check_acknowledges_what_is_not_there() {
    let rules = Rules { log_matches: |_, _| true, ..Rules::default() };
    let expected = [Invariant::LogMatching, Invariant::LogOrder, Invariant::Outbox];
    let caught = caught_by(rules);
    assert!(expected.contains(&caught), "{caught:?}");
}

#[test]
fn keeping_conflicting_entries_is_noticed() {
    let rules = Rules { conflicts: |_, _| false, ..Rules::default() };
    let caught = caught_by(rules);
    let expected =
        [Invariant::LogMatching, Invariant::StateMachineSafety, Invariant::CommitDurability];
    assert!(expected.contains(&caught), "{caught:?}");
}
