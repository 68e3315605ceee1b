//! For every bug of the zoo a story by hand: the broken cluster breaks the stated rule, the honest
//! one plays the same scenario and breaks none, and no command in it is idle.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_sim::trial::judge;
use raft_sim::zoo::{ALL, Bug, Directed, hunt};
use raft_sim::{Scenario, Variant, Violation};

/// Bugs that can be made and have no story yet.
const WITHOUT: &[u32] = &[];
/// Stories that leave something to chance whatever the script says: which half of a write survives a
/// crash, who campaigns first.
const BY_CHANCE: &[u32] = &[29, 34, 57];

fn broken(bug: u32, scenario: &Scenario) -> Option<Violation> {
    Bug::by_id(bug).unwrap().play(scenario).unwrap().violation
}

fn is_told(told: &Directed, violation: Option<&Violation>) -> bool {
    violation.is_some_and(|violation| violation.invariant == told.invariant)
}

/// What is wrong, bug by bug.
fn all_well(wrong: impl Fn(&'static Directed) -> Option<String>) {
    let wrong: Vec<_> = Directed::all()
        .filter_map(|told| Some(format!("bug {}: {}", told.bug, wrong(told)?)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_bug_that_can_be_made_has_a_story() {
    let made = ALL.iter().filter(|bug| bug.trial().is_some()).map(|bug| bug.id);
    let untold: Vec<_> = made.filter(|&bug| Directed::of(bug).is_none()).collect();
    assert_eq!(untold, WITHOUT);
    let mut told: Vec<_> = Directed::all().map(|told| told.bug).collect();
    told.sort_unstable();
    assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
    all_well(|told| {
        let bug = Bug::by_id(told.bug).unwrap();
        let short = told.story.len() < 400 && told.story.ends_with('.');
        let well = short && bug.expected.contains(&told.invariant) && bug.trial().is_some();
        (!well).then(|| format!("{} is told of {:?}", told.invariant, bug))
    });
}

#[test]
fn the_broken_cluster_breaks_the_stated_rule_whatever_the_seed() {
    all_well(|told| {
        let mut scenario = told.scenario();
        let seeds = if BY_CHANCE.contains(&told.bug) { 1 } else { 6 };
        for _ in 0..seeds {
            let violation = broken(told.bug, &scenario);
            if !is_told(told, violation.as_ref()) {
                return Some(format!("seed {}: {violation:?}", scenario.seed));
            }
            scenario.seed += 1;
        }
        None
    });
}

#[test]
fn the_honest_cluster_plays_every_story_and_breaks_nothing() {
    all_well(|told| {
        let scenario = Bug::by_id(told.bug).unwrap().cured(&told.scenario());
        let verdict = judge(&scenario, Variant::default()).unwrap();
        verdict.violation.map(|violation| violation.to_string())
    });
}

#[test]
fn no_command_of_a_story_is_idle() {
    all_well(|told| {
        let scenario = told.scenario();
        let by_us = broken(told.bug, &scenario)?.at_us;
        let is_idle = |position: &usize| {
            let mut fewer = scenario.clone();
            fewer.commands.remove(*position);
            let violation = broken(told.bug, &fewer);
            violation.is_some_and(|v| v.invariant == told.invariant && v.at_us <= by_us)
        };
        let idle: Vec<_> = (0..scenario.commands.len()).filter(is_idle).collect();
        (!idle.is_empty()).then(|| format!("commands {idle:?} are idle"))
    });
}

/// Canaries: bugs of all kinds that a few seeds show. If one of them lives, the checkers sleep.
const CANARIES: &[u32] = &[8, 16, 17, 19, 23, 26, 33, 43, 50, 52, 54, 55];

#[test]
fn a_few_seeds_catch_what_they_always_caught_and_an_honest_cluster_survives_them() {
    let wrong: Vec<_> = CANARIES
        .iter()
        .filter_map(|&id| {
            let bug = Bug::by_id(id).unwrap();
            let Some(kill) = hunt(bug, 0, 15) else { return Some(format!("bug {id} lives")) };
            let odd = !bug.is_survived(&kill.scenario);
            odd.then(|| format!("an honest cluster breaks seed {} of bug {id}, too", kill.seed))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `raft-sim zoo --starts 5 --markdown` makes the table.
#[test]
fn the_page_tells_every_story() {
    let page = include_str!("../../docs/zoo.md");
    all_well(|told| (!page.contains(told.story)).then(|| told.story.into()));
    let rows = ALL.iter().filter(|bug| page.contains(&format!("\n| {} | {} |", bug.id, bug.name)));
    assert_eq!(rows.count(), ALL.len());
}
