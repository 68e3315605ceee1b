//! The bug zoo: clusters that are broken on purpose, one rule or one habit at a time, to prove that
//! the checkers notice.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `table.rs` | all bugs: what is broken, under which faults it shows, which rule catches it |
//! | `rules.rs` | the broken rules |
//! | `directed/` | for each the shortest story that shows it |

mod directed;
mod rules;
mod table;

use std::panic::catch_unwind;

use crate::check::{Invariant, Violation};
use crate::nemesis::{FaultClass, NemesisSettings};
use crate::scenario::{Reads, Scenario, ScenarioError, Settings};
use crate::trial::{Trial, Verdict, judge};
use crate::variant::Variant;

pub use self::directed::Directed;
pub use self::table::ALL;

/// Something that an implementation of Raft may get wrong.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its number in the catalogue.
    pub id: u32,
    /// What is wrong, in a few words.
    pub name: &'static str,
    /// The rules that may catch it, the most likely one first.
    pub expected: &'static [Invariant],
    /// How it is made.
    pub make: Make,
}

/// How a bug is made.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// By this.
    Broken(Broken),
    /// It cannot be made yet, because of this.
    Missing(&'static str),
}

/// How a bug is made, and when it shows.
#[derive(Clone, Copy, Debug)]
pub struct Broken {
    /// What differs from an honest cluster.
    pub variant: fn() -> Variant,
    /// Settings without which it does not show.
    pub tweak: fn(&mut Settings),
    /// The faults that show it; empty is all that Raft survives.
    pub classes: &'static [FaultClass],
    /// Whether it takes few peers and many requests to show.
    pub crowded: bool,
}

impl Bug {
    /// The bug with this number.
    pub fn by_id(id: u32) -> Option<&'static Self> {
        ALL.iter().find(|bug| bug.id == id)
    }

    /// What to run seeds with; none if the bug cannot be made yet.
    pub fn trial(&self) -> Option<Trial> {
        let Make::Broken(broken) = self.make else { return None };
        let mut nemesis = NemesisSettings::default();
        if !broken.classes.is_empty() {
            nemesis.classes = broken.classes.to_vec();
        }
        if broken.crowded {
            (nemesis.peers, nemesis.requests_per_second) = (Some(3), Some(60));
        }
        Some(Trial { nemesis, variant: (broken.variant)(), tweak: broken.tweak })
    }

    /// Runs a scenario with the bug, twice if that is how it shows; without it, if it cannot be made
    /// yet.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn play(&self, scenario: &Scenario) -> Result<Verdict, ScenarioError> {
        let Some(trial) = self.trial() else { return judge(scenario, Variant::default()) };
        let verdict = judge(scenario, trial.variant)?;
        let twice = self.expected.contains(&Invariant::Determinism);
        if twice { trial.again(verdict) } else { Ok(verdict) }
    }

    /// What an honest cluster is to play in place of a scenario that shows the bug. A lease is a
    /// setting: clocks that run apart are outside of what it promises, and the cure is another
    /// setting.
    pub fn cured(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        if self.id == LEASE_AND_DRIFT {
            scenario.settings.reads = Reads::Index;
        }
        scenario
    }

    /// Whether an honest cluster plays a scenario that shows the bug and breaks nothing.
    pub fn is_survived(&self, scenario: &Scenario) -> bool {
        let verdict = judge(&self.cured(scenario), Variant::default());
        verdict.is_ok_and(|verdict| verdict.violation.is_none())
    }
}

/// The bug that is a matter of settings.
const LEASE_AND_DRIFT: u32 = 13;

/// How a bug was caught.
#[derive(Clone, Debug)]
pub struct Kill {
    /// The first seed that shows it.
    pub seed: u64,
    /// Seeds that it took.
    pub seeds: u64,
    /// The rule that caught it.
    pub violation: Violation,
    /// What was run.
    pub scenario: Scenario,
}

/// Runs seeds from `start` on until the bug is caught, at most `seeds` of them. Where the core's
/// own assertions are on, they may stop a seed first: that says nothing of the checkers, and is no
/// kill.
pub fn hunt(bug: &Bug, start: u64, seeds: u64) -> Option<Kill> {
    let trial = bug.trial()?;
    (0..seeds).find_map(|tried| {
        let seed = start.wrapping_add(tried);
        let verdict = catch_unwind(|| bug.play(&trial.scenario(seed))).ok()?.ok()?;
        let (violation, scenario) = (verdict.violation?, verdict.scenario);
        Some(Kill { seed, seeds: tried + 1, violation, scenario })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole_and_every_bug_is_named_once() {
        let ids: Vec<_> = ALL.iter().map(|bug| bug.id).collect();
        assert_eq!(ids, (1..=57).collect::<Vec<_>>());
        let mut names: Vec<_> = ALL.iter().map(|bug| bug.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(ALL.iter().all(|bug| !bug.expected.is_empty()));
        let broken = ALL.iter().filter(|bug| bug.trial().is_some()).count();
        assert!(broken >= 55, "{broken}");
    }

    #[test]
    fn every_trial_of_a_bug_can_be_run() {
        for trial in ALL.iter().filter_map(Bug::trial) {
            for seed in 0..5 {
                assert_eq!(trial.scenario(seed).validate(), Ok(()));
            }
        }
    }

    #[test]
    fn a_hunt_finds_the_first_seed_and_gives_up_in_time() {
        let twice = Bug::by_id(4).unwrap();
        let kill = hunt(twice, 0, 20).unwrap();
        assert!(twice.expected.contains(&kill.violation.invariant), "{}", kill.violation);
        assert_eq!(kill.seed + 1, kill.seeds);
        assert!(hunt(twice, 0, kill.seeds - 1).is_none());
        assert!(Bug::by_id(58).is_none());
    }
}
