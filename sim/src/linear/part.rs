//! The part of a history that concerns some keys: its operations, their moments and their slots.

use std::collections::{BTreeMap, BTreeSet};

use super::atoms::{Atom, Key, NEVER, Then, Value};
use super::compiled::{Compiled, Task};

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A job is sent.
    Invoke,
    /// A job's answer comes.
    Return,
    /// A job without an answer: nobody can see its effect from now on.
    Forget,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) moment: u32,
    pub(super) kind: Kind,
    pub(super) job: u32,
}

/// How a job behaves on the keys of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It was answered and only reads.
    Read,
    /// It was answered and writes whatever was there.
    Blind,
    /// It was answered and writes upon a condition.
    Conditional,
    /// It has no answer and writes, if it takes effect at all.
    Open,
}

/// An operation as far as it concerns the keys of a part.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its place in the history.
    pub(super) operation: usize,
    pub(super) invoked: u32,
    pub(super) returned: u32,
    /// What it does to the keys of the part, by their rank in it.
    pub(super) atoms: Vec<(u32, Atom)>,
    /// Its bit among the jobs of its key, if that is but one.
    pub(super) slot: u32,
    pub(super) role: Role,
    /// Of jobs without an answer that do the same: the one before.
    pub(super) twin: Option<u32>,
    /// Of a job without an answer, for each atom: until when somebody can see what it writes.
    pub(super) seen: Vec<u32>,
}

impl Job {
    /// The key, if it is but one, and what happens to it.
    pub(super) fn single(&self) -> Option<(u32, &Atom)> {
        match self.atoms.as_slice() {
            [(key, atom)] => Some((*key, atom)),
            _ => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.returned == NEVER
    }

    /// Until when somebody can see anything that a job without an answer writes.
    fn seen_until(&self) -> u32 {
        self.seen.iter().copied().max().unwrap_or_default()
    }
}

/// A part of a history.
#[derive(Debug)]
pub(super) struct Part {
    /// How many keys it has.
    pub(super) keys: usize,
    /// In the order of invocation.
    pub(super) jobs: Vec<Job>,
    pub(super) events: Vec<Event>,
    /// Slots that any one key needs.
    pub(super) slots: u32,
}

impl Part {
    /// What concerns `keys`, which are sorted, up to the moment `until`. What is not answered takes
    /// effect within `horizon` moments or never: unless that is [`NEVER`], there may be orders that
    /// the part does not have.
    pub(super) fn new<'a>(
        tasks: impl IntoIterator<Item = &'a Task>,
        keys: &[Key],
        until: u32,
        horizon: u32,
    ) -> Self {
        let mut jobs = Vec::new();
        for task in tasks.into_iter().filter(|task| task.invoked <= until) {
            let rank = |key: &Key| keys.binary_search(key).ok().and_then(|r| u32::try_from(r).ok());
            let atoms = task.atoms.iter().filter_map(|(key, a)| Some((rank(key)?, a.clone())));
            let atoms: Vec<(u32, Atom)> = atoms.collect();
            if atoms.is_empty() {
                continue;
            }
            let role = match task.returned {
                NEVER => Role::Open,
                _ if atoms.iter().all(|(_, atom)| atom.keeps()) => Role::Read,
                _ if atoms.iter().all(|(_, atom)| atom.is_blind()) => Role::Blind,
                _ => Role::Conditional,
            };
            let Task { operation, invoked, returned, .. } = *task;
            jobs.push(Job {
                operation,
                invoked,
                returned,
                atoms,
                slot: 0,
                role,
                twin: None,
                seen: Vec::new(),
            });
        }
        merge_unseen(&mut jobs);
        let seen = Seen::new(&jobs, keys.len());
        for job in jobs.iter_mut().filter(|job| job.is_open()) {
            let last = job.invoked.saturating_add(horizon);
            job.seen =
                job.atoms.iter().map(|(key, atom)| seen.until(*key, atom).min(last)).collect();
        }
        jobs.retain(|job| !job.is_open() || job.seen_until() > job.invoked);
        let mut events = Vec::with_capacity(2 * jobs.len());
        for (at, job) in (0..NEVER).zip(&jobs) {
            events.push(Event { moment: job.invoked, kind: Kind::Invoke, job: at });
            let (kind, moment) = match job.is_open() {
                true => (Kind::Forget, job.seen_until()),
                false => (Kind::Return, job.returned),
            };
            if moment <= until && moment != NEVER {
                events.push(Event { moment, kind, job: at });
            }
        }
        events.sort_unstable();
        let mut part = Self { keys: keys.len(), jobs, events, slots: 0 };
        part.find_twins();
        part.number_slots();
        part
    }

    fn find_twins(&mut self) {
        let mut last = BTreeMap::new();
        for (at, job) in (0..NEVER).zip(&mut self.jobs) {
            if job.role == Role::Open {
                job.twin = last.insert(job.atoms.clone(), at);
            }
        }
    }

    /// A slot is free again when its job has returned.
    fn number_slots(&mut self) {
        let mut free: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); self.keys];
        let mut used = vec![0; self.keys];
        for event in &self.events {
            let Some(job) = self.jobs.get_mut(event.job as usize) else { continue };
            let Some((key, _)) = job.single() else { continue };
            let (Some(free), Some(used)) = (free.get_mut(key as usize), used.get_mut(key as usize))
            else {
                continue;
            };
            if event.kind == Kind::Invoke {
                job.slot = free.pop_first().unwrap_or_else(|| {
                    *used += 1;
                    *used - 1
                });
            } else {
                free.insert(job.slot);
            }
        }
        self.slots = used.into_iter().max().unwrap_or_default();
    }
}

/// Makes one value of all those that nobody asks for: then to write one is to write another.
fn merge_unseen(jobs: &mut [Job]) {
    const UNSEEN: Value = Value::MAX;
    let mut asked = BTreeSet::new();
    for (key, atom) in jobs.iter().flat_map(|job| &job.atoms) {
        asked.extend(atom.needs.iter().chain(&atom.forbids).map(|value| (*key, *value)));
        if let Then::Swaps(swaps) = &atom.then {
            asked.extend(swaps.iter().map(|(expected, _)| (*key, *expected)));
        }
    }
    for (key, atom) in jobs.iter_mut().flat_map(|job| &mut job.atoms) {
        let unseen = |value: &mut Value| {
            if !asked.contains(&(*key, *value)) {
                *value = UNSEEN;
            }
        };
        match &mut atom.then {
            Then::Keep => {}
            Then::Set(value) => unseen(value),
            Then::Swaps(swaps) => swaps.iter_mut().for_each(|(_, new)| unseen(new)),
        }
    }
}

/// Until when somebody can see a value.
///
/// A write without an answer needs a place in an order only if the next operation on its key sees
/// its value: else the order holds without it as well.
struct Seen {
    /// The last moment at which anybody was told that a key holds a value.
    values: BTreeMap<(u32, Value), u32>,
    /// The last moment at which anybody was told what a key does not hold.
    others: Vec<Option<u32>>,
}

impl Seen {
    fn new(jobs: &[Job], keys: usize) -> Self {
        let mut seen = Self { values: BTreeMap::new(), others: vec![None; keys] };
        let mut swaps = BTreeSet::new();
        for job in jobs {
            for (key, atom) in &job.atoms {
                match (atom.needs, &atom.then) {
                    (None, Then::Swaps(all)) => {
                        swaps.extend(all.iter().map(|(expected, new)| (*key, *expected, *new)));
                    }
                    (Some(needs), Then::Set(new)) if job.is_open() && job.atoms.len() == 1 => {
                        swaps.insert((*key, needs, *new));
                    }
                    (Some(needs), _) => {
                        let last = seen.values.entry((*key, needs)).or_default();
                        *last = job.returned.max(*last);
                    }
                    (None, _) if !atom.forbids.is_empty() => {
                        if let Some(last) = seen.others.get_mut(*key as usize) {
                            *last = (*last).max(Some(job.returned));
                        }
                    }
                    (None, _) => {}
                }
            }
        }
        seen.follow(&swaps);
        seen
    }

    /// A swap without an answer sees what it expects as long as somebody can see what it writes.
    fn follow(&mut self, swaps: &BTreeSet<(u32, Value, Value)>) {
        let mut by_new: BTreeMap<(u32, Value), Vec<Value>> = BTreeMap::new();
        for (key, expected, new) in swaps {
            by_new.entry((*key, *new)).or_default().push(*expected);
        }
        let mut again: Vec<((u32, Value), u32)> =
            self.values.iter().map(|(of, at)| (*of, *at)).collect();
        while let Some(((key, value), at)) = again.pop() {
            for expected in by_new.get(&(key, value)).into_iter().flatten() {
                let last = self.values.entry((key, *expected)).or_default();
                if at > *last {
                    *last = at;
                    again.push(((key, *expected), at));
                }
            }
        }
    }

    /// The last moment at which anybody can see what is written.
    fn until(&self, key: u32, atom: &Atom) -> u32 {
        let others = self.others.get(key as usize).copied().flatten();
        let of = |value: Value| self.values.get(&(key, value)).copied();
        let last = match &atom.then {
            Then::Keep => return 0,
            Then::Set(value) => of(*value),
            Then::Swaps(swaps) => swaps.iter().filter_map(|(_, new)| of(*new)).max(),
        };
        last.max(others).unwrap_or_default()
    }
}

/// The keys that belong together because an operation concerns both, directly or by way of others.
pub(super) fn components(compiled: &Compiled<'_>) -> Vec<Vec<Key>> {
    let mut parent: Vec<Key> = (0..NEVER).take(compiled.keys.len()).collect();
    let mut concerned = vec![false; compiled.keys.len()];
    for task in &compiled.tasks {
        let mut first = None;
        for (key, _) in &task.atoms {
            let one = root(&mut parent, *first.get_or_insert(*key));
            let other = root(&mut parent, *key);
            if let Some(slot) = parent.get_mut(one.max(other) as usize) {
                *slot = one.min(other);
            }
            if let Some(concerned) = concerned.get_mut(*key as usize) {
                *concerned = true;
            }
        }
    }
    let mut components: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    for (key, concerned) in (0..NEVER).zip(concerned) {
        if concerned {
            components.entry(root(&mut parent, key)).or_default().push(key);
        }
    }
    components.into_values().collect()
}

/// The representative of a key. Halves the way there.
fn root(parent: &mut [Key], mut key: Key) -> Key {
    while let Some(up) = parent.get(key as usize).copied()
        && up != key
    {
        let above = parent.get(up as usize).copied().unwrap_or(up);
        if let Some(slot) = parent.get_mut(key as usize) {
            *slot = above;
        }
        key = above;
    }
    key
}
