//! What a run met: faults, messages, decisions, and what came of them.

use std::collections::BTreeMap;

use raft_core::eraftpb::MessageType;

use super::branches::{Branch, Hits};
use crate::nemesis::FaultClass;
pub use crate::tally::Effect;
use crate::tally::Tally;

/// Counts of what was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Strikes of each class of faults.
    pub faults: BTreeMap<FaultClass, u64>,
    /// What happened.
    pub(super) tally: Tally,
    /// Decisions of the rules, if they were counted.
    pub(super) branches: Hits,
}

impl Coverage {
    /// How often this came of a fault, or of a request.
    pub fn effect(&self, effect: Effect) -> u64 {
        self.tally.effect(effect)
    }

    /// Messages of this type that arrived.
    pub fn messages(&self, kind: MessageType) -> u64 {
        self.tally.messages(kind)
    }

    /// How often a rule decided so.
    pub fn branch(&self, branch: Branch) -> u64 {
        self.branches.of(branch)
    }

    /// Entries that were committed.
    pub fn commits(&self) -> u64 {
        self.tally.commits
    }

    /// Leaders that were elected.
    pub fn elections(&self) -> u64 {
        self.tally.elections
    }

    /// Reads that were answered.
    pub fn reads(&self) -> u64 {
        self.tally.reads
    }

    /// Operations on keys that were answered, reads among them.
    pub fn answers(&self) -> u64 {
        self.tally.answers
    }

    /// Runs whose history was too hard to judge. Nothing is known of them but that no other rule was
    /// broken.
    pub fn undecided(&self) -> u64 {
        self.tally.undecided
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (&class, strikes) in &other.faults {
            *self.faults.entry(class).or_default() += strikes;
        }
        self.tally.add(&other.tally);
        self.branches.add(&other.branches);
    }
}
