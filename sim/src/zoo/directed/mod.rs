//! For each bug the shortest story that shows it: a scenario written by hand, in which nothing is
//! left to chance.
//!
//! A hunt tells that the checkers notice a bug among random faults; a story tells a reader what the
//! broken rule is for. It is also the regression test of the checker that catches it. The honest
//! cluster plays the same scenario and breaks nothing, and every command in it is needed: without
//! any one of them the bug does not show, or not by then.
//!
//! | file | stories of |
//! | --- | --- |
//! | `script.rs` | how they are written down |
//! | `elections.rs` | votes, terms, time-outs |
//! | `logs.rs` | appends, conflicts, commit indices |
//! | `clients.rs` | reads, leases, sessions |
//! | `stores.rs` | disks, snapshots, members |

mod clients;
mod elections;
mod logs;
mod script;
mod stores;

use std::panic::catch_unwind;

use self::script::Script;
use super::Bug;
use crate::check::Invariant;
use crate::scenario::Scenario;

/// A scenario that shows one bug, and its story.
#[derive(Clone, Copy, Debug)]
pub struct Directed {
    /// The bug's number in the catalogue.
    pub bug: u32,
    /// The rule that catches it.
    pub invariant: Invariant,
    /// What happens, and why it breaks.
    pub story: &'static str,
    script: fn() -> Script,
}

impl Directed {
    /// What to run.
    pub fn scenario(&self) -> Scenario {
        (self.script)().scenario()
    }

    /// Plays it with the bug. Returns the rule that is broken then; none also if the core's own
    /// assertions are on and stop it first.
    pub fn caught(&self) -> Option<Invariant> {
        let bug = Bug::by_id(self.bug)?;
        let verdict = catch_unwind(|| bug.play(&self.scenario())).ok()?.ok()?;
        verdict.violation.map(|violation| violation.invariant)
    }

    /// All of them, in the order of their bugs within each file.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        [elections::STORIES, logs::STORIES, clients::STORIES, stores::STORIES].into_iter().flatten()
    }

    /// The one of this bug.
    pub fn of(bug: u32) -> Option<&'static Self> {
        Self::all().find(|directed| directed.bug == bug)
    }
}

const fn story(
    bug: u32,
    invariant: Invariant,
    script: fn() -> Script,
    story: &'static str,
) -> Directed {
    Directed { bug, invariant, story, script }
}
