//! Why a history is not linearizable: the smallest part of it that is wrong already.
//!
//! Up to the answer at which the search ended for good, the history had an order. So this answer is
//! the one that has no place. Then as many of the other answers as possible are withdrawn: an
//! operation without an answer restricts nothing. Those that must stay are what it disagrees with.

use std::collections::BTreeMap;
use std::fmt;

use super::atoms::{Atom, Key, NEVER};
use super::compiled::{Compiled, Impossible, Task};
use super::history::History;
use super::lane::Budget;
use super::part::Part;
use super::search::{Ending, search};
use super::words;

/// Why there is no order: two facts that disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The keys concerned.
    pub keys: Vec<String>,
    /// The operation that has no place: up to its answer there was an order.
    pub operation: u64,
    /// The answers that no order explains together. With every other answer withdrawn there is
    /// still none, with any of these withdrawn there is one; except where finding out would have
    /// taken too long. The operation itself is the last.
    pub core: Vec<u64>,
    /// What had been seen before.
    pub before: String,
    /// What contradicts it.
    pub now: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now, .. } = self;
        write!(f, "{before}; {now}")
    }
}

/// States that may be looked at for an explanation.
const STATES_MAX: u64 = 10_000_000;
/// And for one attempt at a smaller one, besides some for each operation.
const ATTEMPT_MAX: u64 = 100_000;
/// Answers after the end of the search that may be the one without a place.
const FUTURES_MAX: usize = 64;

/// An answer that is wrong in itself.
pub(super) fn impossible(history: &History, impossible: &Impossible) -> Explanation {
    let Impossible { operation, key, why, .. } = impossible;
    let operation = history.operations().get(*operation);
    let id = operation.map(|operation| operation.id).unwrap_or_default();
    let words = operation.map(ToString::to_string).unwrap_or_default();
    Explanation {
        keys: vec![key.clone()],
        operation: id,
        core: vec![id],
        before: "no store answers so".into(),
        now: format!("{words}: {why}"),
    }
}

/// Explains why the operations on `blamed` have no order up to `moment`, when `operation` returned.
pub(super) fn explain<'a>(
    history: &'a History,
    compiled: &mut Compiled<'a>,
    blamed: &[usize],
    (moment, operation): (u32, usize),
) -> Explanation {
    let keys: Vec<Key> = blamed.iter().filter_map(|key| Key::try_from(*key).ok()).collect();
    let tasks = compiled.tasks.clone();
    let mut loose = BTreeMap::new();
    for task in &tasks {
        let call = history.operations().get(task.operation).map(|operation| &operation.call);
        let atoms = call.and_then(|call| compiled.unanswered(call));
        loose.extend(atoms.map(|atoms| (task.operation, atoms)));
    }
    let budget = Budget { left: STATES_MAX };
    let mut core = Core { tasks, loose, keys, moment, operation, budget };
    core.drop_future();
    core.drop_keys();
    core.drop_answers();
    core.tell(history, compiled)
}

/// A part of a history that has no order.
struct Core {
    tasks: Vec<Task>,
    /// What an operation does if nobody knows its answer.
    loose: BTreeMap<usize, Vec<(Key, Atom)>>,
    keys: Vec<Key>,
    moment: u32,
    operation: usize,
    budget: Budget,
}

impl Core {
    /// There is no order for this much either.
    fn is_wrong(&mut self, tasks: &[Task], keys: &[Key]) -> bool {
        if self.budget.spend(1 + tasks.len()).is_none() {
            return false;
        }
        let mut attempt =
            Budget { left: self.budget.left.min(ATTEMPT_MAX + 20 * tasks.len() as u64) };
        let before = attempt.left;
        let part = Part::new(tasks, keys, self.moment, NEVER);
        let ending = search(&part, &mut attempt);
        self.budget.left -= before - attempt.left;
        matches!(ending, Ending::Refuted { .. })
    }

    /// What was answered only later may have restricted the search before. Finds the first moment at
    /// which the answers up to it have no order.
    fn drop_future(&mut self) {
        let all = std::mem::take(&mut self.tasks);
        let ends = all.iter().filter(|task| task.returned != NEVER && task.returned >= self.moment);
        let mut ends: Vec<(u32, usize)> =
            ends.map(|task| (task.returned, task.operation)).collect();
        ends.sort_unstable();
        let at_first = (self.moment, self.operation);
        for (moment, operation) in ends.into_iter().take(FUTURES_MAX) {
            (self.moment, self.operation) = (moment, operation);
            let past = all.iter().filter(|task| task.invoked <= moment);
            let past = past.filter_map(|task| match task.returned {
                returned if returned <= moment => Some(task.clone()),
                _ => self.loosened(task),
            });
            let past: Vec<Task> = past.collect();
            if let Some(keys) = self.wrong_keys(&past) {
                (self.tasks, self.keys) = (past, keys);
                return;
            }
        }
        (self.moment, self.operation) = at_first;
        self.tasks = all;
    }

    /// The keys whose operations have no order: one if that will do.
    fn wrong_keys(&mut self, tasks: &[Task]) -> Option<Vec<Key>> {
        let keys = self.keys.clone();
        match keys.iter().find(|key| self.is_wrong(tasks, &[**key])) {
            Some(key) => Some(vec![*key]),
            None if keys.len() > 1 && self.is_wrong(tasks, &keys) => Some(keys),
            None => None,
        }
    }

    /// A task without its answer, if there is anything left of it.
    fn loosened(&self, task: &Task) -> Option<Task> {
        let atoms = self.loose.get(&task.operation)?;
        let writes = atoms.iter().any(|(_, atom)| !atom.keeps());
        writes.then(|| Task { returned: NEVER, atoms: atoms.clone(), ..*task })
    }

    fn drop_keys(&mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        let mut keys = self.keys.clone();
        let mut at = 0;
        while keys.len() > 1 && at < keys.len() {
            let mut fewer = keys.clone();
            fewer.remove(at);
            if self.is_wrong(&tasks, &fewer) {
                keys = fewer;
            } else {
                at += 1;
            }
        }
        self.tasks = tasks;
        self.keys = keys;
        let concerns =
            |task: &Task| task.atoms.iter().any(|(key, _)| self.keys.binary_search(key).is_ok());
        self.tasks.retain(|task| concerns(task));
    }

    fn drop_answers(&mut self) {
        let mut size = self.tasks.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.tasks.len() {
                let until = (from + size).min(self.tasks.len());
                let fewer = self.without_answers(from, until);
                let withdrawn = self.answers().count() - answers(&fewer).count();
                if withdrawn > 0 && self.is_wrong(&fewer, &self.keys.clone()) {
                    from += fewer.len().saturating_sub(self.tasks.len() - (until - from));
                    self.tasks = fewer;
                } else {
                    from = until;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn answers(&self) -> impl Iterator<Item = &Task> {
        answers(&self.tasks)
    }

    /// The tasks with the answers to some of them withdrawn, of which reads are then gone.
    fn without_answers(&self, from: usize, until: usize) -> Vec<Task> {
        let mut fewer = Vec::with_capacity(self.tasks.len());
        for (at, task) in self.tasks.iter().enumerate() {
            if at < from || at >= until || task.operation == self.operation {
                fewer.push(task.clone());
            } else {
                fewer.extend(self.loosened(task));
            }
        }
        fewer
    }

    fn tell(&self, history: &History, compiled: &Compiled<'_>) -> Explanation {
        let operation = |at: usize| history.operations().get(at);
        let mut others: Vec<&Task> =
            self.answers().filter(|task| task.operation != self.operation).collect();
        others.sort_unstable_by_key(|task| task.returned);
        let mut core: Vec<usize> = others.iter().map(|task| task.operation).collect();
        core.push(self.operation);
        let keys = self.keys.iter().filter_map(|key| compiled.keys.get(*key as usize));
        let keys: Vec<String> = keys.map(|key| (*key).to_owned()).collect();
        let sent = self.tasks.iter().find(|task| task.operation == self.operation);
        let sent = sent.map_or(0, |task| task.invoked);
        let last = others.pop().and_then(|task| Some((task.returned, operation(task.operation)?)));
        let mut before = match last {
            Some((returned, other)) if returned < sent => format!("{other} had returned"),
            Some((_, other)) => format!("{other} saw or did otherwise at the same time"),
            None => {
                let names: Vec<String> = keys.iter().map(|key| words::text(key)).collect();
                format!("nobody had sent anything that makes {} so", names.join(", "))
            }
        };
        if !others.is_empty() {
            let other = others.iter().rev().filter_map(|task| operation(task.operation));
            let ids: Vec<String> = other.map(|other| format!("#{}", other.id)).collect();
            before = format!("{before}, after {}", shortened(&ids));
        }
        let now = operation(self.operation).map(ToString::to_string).unwrap_or_default();
        let ids = core.into_iter().filter_map(operation).map(|operation| operation.id);
        let core: Vec<u64> = ids.collect();
        Explanation {
            keys,
            operation: core.last().copied().unwrap_or_default(),
            core,
            before,
            now: format!("{now} has no place"),
        }
    }
}

fn answers(tasks: &[Task]) -> impl Iterator<Item = &Task> {
    tasks.iter().filter(|task| task.returned != NEVER)
}

fn shortened(ids: &[String]) -> String {
    const SHOWN_MAX: usize = 6;
    match ids.get(SHOWN_MAX..) {
        Some(more @ [_, ..]) => {
            let shown = ids.get(..SHOWN_MAX).unwrap_or_default();
            format!("{} and {} more", shown.join(", "), more.len())
        }
        _ => ids.join(", "),
    }
}
