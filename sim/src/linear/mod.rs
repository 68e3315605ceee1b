//! Linearizability of what clients saw (Herlihy & Wing 1990).
//!
//! A [`History`] is linearizable if there is an order of its operations in which each takes effect
//! between the time when it was sent and the time when it was answered, and in which a store that
//! does one thing at a time would have given the same answers. An operation that was never answered
//! may take effect at any time after it was sent, or not at all. [`check`] knows nothing but what
//! clients saw. It is sound and complete: of every history it says which of both it is, with an
//! order or with the reason why there is none; only a budget may stop it.
//!
//! | file | room |
//! | --- | --- |
//! | `history.rs` | operations and answers |
//! | `format.rs` | histories as JSON lines, see `docs/histories.md` |
//! | `replay.rs` | a store that does one thing at a time, which also tries a witness |
//! | `atoms.rs`, `compiled.rs`, `part.rs` | a history in numbers, cut into independent parts |
//! | `lane.rs` | one key: computed |
//! | `search.rs` | operations on several keys: searched |
//! | `explain.rs` | the smallest part of a history that is wrong, in words |
//!
//! ```
//! use raft_sim::linear::{Verdict, check, read_history};
//!
//! let lines = r#"
//! {"process":1,"type":"invoke","f":"put","key":"k","value":"a","time":0}
//! {"process":1,"type":"ok","time":5}
//! {"process":2,"type":"invoke","f":"get","key":"k","time":6}
//! {"process":2,"type":"ok","value":null,"time":9}
//! "#;
//! let Verdict::NotLinearizable(why) = check(&read_history(lines.lines())?) else {
//!     return Err("the read is stale".into());
//! };
//! assert_eq!(why.before, "c1's put k=a at [0, 5] (#2) had returned");
//! assert_eq!(why.now, "c2's get k -> nothing at [6, 9] (#4) has no place");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atoms;
mod bits;
mod compiled;
mod explain;
mod format;
mod history;
mod lane;
mod part;
mod replay;
mod search;
mod words;

pub use explain::Explanation;
pub use format::{
    BYTES_MAX, FormatError, LINE_BYTES_MAX, LineError, OPERATIONS_MAX, load_history, read_history,
    write_history,
};
pub use history::{Answer, Call, History, HistoryError, Operation, Outcome};
pub(crate) use replay::first_fits;
pub use replay::{ReplayError, Store, replay};

use atoms::{Key, NEVER};
use compiled::Compiled;
use lane::Budget;
use part::{Job, Part, components};
use search::{Ending, search};

/// States that [`check`] looks at before it gives up: some ten seconds, and less than a gigabyte.
pub const STATES_MAX: u64 = 20_000_000;
/// Conditions and effects of operations on single keys: a scan has one for each key in its range.
const ATOMS_MAX: u64 = 4_000_000;

/// Of so many histories one may be [`Verdict::Undecided`].
const HISTORIES_FOR_ONE_UNDECIDED: u64 = 200;

/// Moments after which a write without an answer is at first taken never to take effect.
const HORIZONS: [u32; 2] = [1_000, 10_000];

/// Whether a history is linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is.
    Linearizable {
        /// The operations by id in an order that explains every answer. What was never answered and
        /// what nobody saw may be left out. See [`replay`].
        witness: Vec<u64>,
    },
    /// It is not.
    NotLinearizable(Box<Explanation>),
    /// The budget did not suffice to tell.
    Undecided,
}

/// Why so many undecided histories make the verdict on all of them mean little; none if they do not,
/// which is up to one in 200, rounded up. Nothing is known of an undecided one.
pub fn too_many_undecided(undecided: u64, histories: u64) -> Option<String> {
    let most = histories.div_ceil(HISTORIES_FOR_ONE_UNDECIDED);
    (undecided > most).then(|| {
        format!("{undecided} of {histories} histories were too hard to judge, more than {most}")
    })
}

/// Checks a history.
pub fn check(history: &History) -> Verdict {
    check_within(history, STATES_MAX)
}

/// Checks a history, and gives up after having looked at `states_max` states.
pub fn check_within(history: &History, states_max: u64) -> Verdict {
    let budget = &mut Budget { left: states_max };
    let Some(mut compiled) = Compiled::new(history, ATOMS_MAX) else { return Verdict::Undecided };
    if let Some(impossible) = &compiled.impossible {
        return Verdict::NotLinearizable(Box::new(explain::impossible(history, impossible)));
    }
    let mut order: Vec<(u32, usize)> = Vec::with_capacity(compiled.tasks.len());
    // What tells nothing about any key fits anywhere.
    let idle = compiled.tasks.iter().filter(|task| task.atoms.is_empty());
    order.extend(idle.map(|task| (task.returned, task.operation)));
    let mut undecided = false;
    for keys in components(&compiled) {
        match decide(&compiled, &keys, budget) {
            Ending::Found(part) => order.extend(part),
            Ending::Refuted { moment, operation, keys } => {
                let end = (moment, operation);
                let explanation = explain::explain(history, &mut compiled, &keys, end);
                return Verdict::NotLinearizable(Box::new(explanation));
            }
            Ending::GaveUp => undecided = true,
        }
    }
    if undecided {
        return Verdict::Undecided;
    }
    order.sort_by_key(|(moment, _)| *moment);
    let id = |at: usize| history.operations().get(at).map(|operation| operation.id);
    Verdict::Linearizable { witness: order.into_iter().filter_map(|(_, at)| id(at)).collect() }
}

/// Searches an order for the operations on `keys`. The keys to blame are keys of the history.
fn decide(compiled: &Compiled<'_>, keys: &[Key], budget: &mut Budget) -> Ending {
    let part = Part::new(&compiled.tasks, keys, NEVER, NEVER);
    // Most histories take few states.
    let atoms: usize = part.jobs.iter().map(|job| job.atoms.len()).sum();
    let little = 20 * atoms as u64 + 10_000;
    let mut ending = spend(&part, budget, little);
    // If one does not, most often because many writes were never answered: those that take effect
    // mostly do so soon.
    for horizon in HORIZONS {
        if matches!(ending, Ending::GaveUp) && part.jobs.iter().any(Job::is_open) {
            let part = Part::new(&compiled.tasks, keys, NEVER, horizon);
            if let found @ Ending::Found(_) = spend(&part, budget, 5 * little) {
                return found;
            }
        }
    }
    // A single key that is wrong already is found before the rest of the budget is spent.
    if matches!(ending, Ending::GaveUp) && keys.len() > 1 {
        for key in keys {
            let part = Part::new(&compiled.tasks, &[*key], NEVER, NEVER);
            if let Ending::Refuted { moment, operation, .. } = search(&part, budget) {
                return Ending::Refuted { moment, operation, keys: vec![*key as usize] };
            }
        }
    }
    if matches!(ending, Ending::GaveUp) && budget.left > 0 {
        ending = search(&part, budget);
    }
    if let Ending::Refuted { keys: blamed, .. } = &mut ending {
        for rank in blamed {
            *rank = keys.get(*rank).map_or(usize::MAX, |key| *key as usize);
        }
    }
    ending
}

/// Searches with no more than `states` of the budget.
fn spend(part: &Part, budget: &mut Budget, states: u64) -> Ending {
    let mut share = Budget { left: budget.left.min(states) };
    budget.left -= share.left;
    let ending = search(part, &mut share);
    budget.left += share.left;
    ending
}

#[cfg(test)]
mod tests {
    use super::too_many_undecided;

    #[test]
    fn one_history_in_200_may_be_undecided() {
        for (undecided, histories) in [(0, 0), (0, 1), (1, 1), (1, 200), (2, 201), (250, 50_000)] {
            assert_eq!(too_many_undecided(undecided, histories), None);
        }
        for (undecided, histories) in [(1, 0), (2, 1), (2, 200), (3, 201), (251, 50_000)] {
            assert!(too_many_undecided(undecided, histories).is_some());
        }
        let why = too_many_undecided(6, 1_000);
        assert_eq!(why.unwrap(), "6 of 1000 histories were too hard to judge, more than 5");
    }
}
