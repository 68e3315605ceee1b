//! A failing seed is reduced to a scenario that one can read.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_sim::trial::judge;
use raft_sim::zoo::{Bug, hunt};

/// Catches a bug and shrinks the run that shows it.
fn shrunk(id: u32, start: u64, tries: usize) -> usize {
    let bug = Bug::by_id(id).unwrap();
    let (trial, kill) = (bug.trial().unwrap(), hunt(bug, start, 200).expect("it is caught"));
    let started = std::time::Instant::now();
    let shrunk = trial.shrink(&kill.scenario, &kill.violation, tries, || {});
    let small = &shrunk.scenario;
    println!(
        "bug {id}, {} from seed {}: {} commands to {} in {} tries, {:?}: {}",
        kill.violation.invariant,
        kill.seed,
        kill.scenario.commands.len(),
        small.commands.len(),
        shrunk.tries,
        started.elapsed(),
        serde_json::to_string(small).unwrap()
    );
    let verdict = judge(small, trial.variant).unwrap();
    assert_eq!(verdict.violation.unwrap().invariant, kill.violation.invariant);
    small.commands.len()
}

#[test]
fn a_run_with_two_votes_in_a_term_becomes_a_handful_of_commands() {
    assert!(shrunk(4, 0, 1_000) <= 10);
}

#[test]
fn a_run_that_commits_an_older_term_becomes_a_handful_of_commands() {
    assert!(shrunk(1, 0, 1_000) <= 50);
}
