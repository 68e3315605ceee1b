//! I17 exactly once, the other half: who was asked and did not refuse owes one answer, unless it
//! stops before. A second one is nobody's, and that there is none at all shows when everything is
//! at rest.
//!
//! An attempt may reach a peer several times, as copies. Each of them counts.

use std::collections::BTreeMap;

use super::fact::Fact;
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// Answers that are owed, by store, request and attempt: how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owed(BTreeMap<(u64, u64, u32), u32>);

impl Owed {
    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        match *fact {
            Fact::Asked { store, request, attempt } => {
                *self.0.entry((store, request, attempt)).or_default() += 1;
            }
            Fact::Refused { store, request, attempt }
            | Fact::Replied { store, request, attempt } => {
                let name = (store, request, attempt);
                if let Some(count) = self.0.get_mut(&name) {
                    *count -= 1;
                    if *count == 0 {
                        self.0.remove(&name);
                    }
                }
            }
            Fact::Stopped { store } => {
                self.0.retain(|(of, ..), _| *of != store);
            }
            _ => {}
        }
    }

    /// What a store owes: request and attempt, and how many answers.
    fn of(&self, store: u64) -> impl Iterator<Item = ((u64, u64, u32), u32)> {
        let all = (store, 0, 0)..=(store, u64::MAX, u32::MAX);
        self.0.range(all).map(|(name, count)| (*name, *count))
    }

    /// How many answers a store owes, and the first request that waits for one.
    pub(crate) fn by(&self, store: u64) -> (usize, Option<u64>) {
        let count = self.of(store).map(|(_, count)| count as usize).sum();
        (count, self.of(store).next().map(|((_, request, _), _)| request))
    }

    fn owes(&self, store: u64, request: u64, attempt: u32) -> bool {
        self.0.contains_key(&(store, request, attempt))
    }
}

/// I17: nobody answers what it has answered or refused before, or was never asked.
pub(super) fn replied(ghost: &Ghost, (store, request, attempt): (u64, u64, u32)) -> Option<Broken> {
    if ghost.owed.owes(store, request, attempt) {
        return None;
    }
    let before = format!("n{store} owes no answer to attempt {attempt} of request {request}");
    Broken::new(Invariant::ExactlyOnce, before, "it answers it once more".into())
}
