//! One key: every state that it may be in, given what has been answered so far.
//!
//! Between two operations that concern several keys the keys have nothing to do with each other, so
//! a key is not searched, it is computed: the lane holds the set of all states that some order of
//! the operations of this key alone allows. Three observations keep that set small.
//!
//! - Nothing has to take effect before somebody else's answer demands it. So jobs are placed only
//!   when one returns or an operation on several keys is placed, as a chain that ends with this one.
//! - A read takes effect at the first state that suits it; a write in such a chain matters only if
//!   the next job in the chain sees it. A blind write that nobody sees fits in front of any other.
//! - A state from which everything is possible that is possible from another makes the other
//!   superfluous.

use std::rc::Rc;

use super::atoms::{Atom, NOTHING, Value};
use super::bits::Bits;
use super::part::{Job, Role};

/// A state that a key may be in.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<const W: usize> {
    pub(super) value: Value,
    /// The end of the chain of jobs that led here.
    pub(super) trace: u32,
    /// Jobs that took effect and have not returned.
    done: Bits<W>,
    /// Blind writes that have not returned and may have been overwritten unseen: they are as good
    /// as done, and may yet take effect.
    hidden: Bits<W>,
}

/// One job of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) before: u32,
    pub(super) job: u32,
    /// When in the search; of one operation on several keys it is the same in all of them.
    pub(super) step: u32,
    /// The event that demanded it.
    pub(super) event: u32,
}

/// How many states may be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) left: u64,
}

impl Budget {
    /// None if it is used up.
    pub(super) fn spend(&mut self, states: usize) -> Option<()> {
        let left = self.left.checked_sub(states as u64);
        self.left = left.unwrap_or_default();
        left.map(drop)
    }
}

/// What all lanes share.
#[derive(Debug)]
pub(super) struct Log {
    /// The first one is no link but the beginning.
    pub(super) links: Vec<Link>,
    pub(super) step: u32,
    pub(super) event: u32,
    pub(super) budget: Budget,
}

impl Log {
    pub(super) fn new(budget: Budget) -> Self {
        let beginning = Link { before: 0, job: 0, step: 0, event: 0 };
        Self { links: vec![beginning], step: 0, event: 0, budget }
    }

    fn push(&mut self, before: u32, job: u32) -> u32 {
        let at = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.budget.left = self.budget.left.saturating_sub(1);
        self.links.push(Link { before, job, step: self.step, event: self.event });
        at
    }
}

/// A job that must be placed now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) job: u32,
    pub(super) atom: &'a Atom,
    /// Its bit, if it concerns this key alone.
    pub(super) slot: Option<u32>,
}

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Lane<const W: usize> {
    pub(super) states: Rc<Vec<State<W>>>,
    /// Jobs of this key alone that were sent and have not returned, in the order in which they were
    /// sent.
    reads: Vec<u32>,
    writes: Vec<u32>,
    read_slots: Bits<W>,
    open_slots: Bits<W>,
    blind_slots: Bits<W>,
}

impl<const W: usize> Lane<W> {
    pub(super) fn new() -> Self {
        let (done, hidden) = (Bits::EMPTY, Bits::EMPTY);
        Self {
            states: Rc::new(vec![State { value: NOTHING, trace: 0, done, hidden }]),
            reads: Vec::new(),
            writes: Vec::new(),
            read_slots: Bits::EMPTY,
            open_slots: Bits::EMPTY,
            blind_slots: Bits::EMPTY,
        }
    }

    pub(super) fn open(&mut self, at: u32, job: &Job) {
        match job.role {
            Role::Read => self.read_slots.add(job.slot),
            Role::Open => self.open_slots.add(job.slot),
            Role::Blind => self.blind_slots.add(job.slot),
            Role::Conditional => {}
        }
        let open = if job.role == Role::Read { &mut self.reads } else { &mut self.writes };
        let place = open.partition_point(|other| *other < at);
        open.insert(place, at);
    }

    pub(super) fn close(&mut self, at: u32, job: &Job) {
        for slots in [&mut self.read_slots, &mut self.open_slots, &mut self.blind_slots] {
            slots.remove(job.slot);
        }
        self.reads.retain(|other| *other != at);
        self.writes.retain(|other| *other != at);
    }

    /// The states without a word of a job that nobody can see any longer.
    pub(super) fn forget(&self, slot: u32) -> Vec<State<W>> {
        let mut kept = Vec::with_capacity(self.states.len());
        for state in self.states.iter() {
            let mut state = *state;
            state.done.remove(slot);
            self.keep(&mut kept, state);
        }
        kept
    }

    /// From `one` everything is possible that is possible from `other`.
    fn covers(&self, one: &State<W>, other: &State<W>) -> bool {
        one.value == other.value
            && (0..W).all(|w| {
                let of = |bits: &Bits<W>| bits.words().get(w).copied().unwrap_or_default();
                let (reads, open) = (of(&self.read_slots), of(&self.open_slots));
                let (done, hidden) = (of(&one.done), of(&one.hidden));
                let (other_done, other_hidden) = (of(&other.done), of(&other.hidden));
                other_done & reads & !done == 0
                    && done & open & !other_done == 0
                    && other_hidden & !hidden == 0
                    && (done ^ other_done) & !(reads | open | hidden) == 0
            })
    }

    /// Every state of `other` is as good as one of this lane's, `states` being as old as `other`.
    pub(super) fn all_covered(&self, states: &[State<W>], other: &[State<W>]) -> bool {
        other.iter().all(|other| states.iter().any(|one| self.covers(one, other)))
    }

    /// Adds a state unless there is a better one, in place of worse ones.
    fn keep(&self, kept: &mut Vec<State<W>>, state: State<W>) -> bool {
        if kept.iter().any(|other| self.covers(other, &state)) {
            return false;
        }
        kept.retain(|other| !self.covers(&state, other));
        kept.push(state);
        true
    }

    /// Lets every read that the state suits take effect, and tells whether there was one.
    fn read(&self, state: &mut State<W>, jobs: &[Job], log: &mut Log) -> bool {
        let mut any = false;
        for at in &self.reads {
            let Some(job) = jobs.get(*at as usize) else { continue };
            let Some((_, atom)) = job.single() else { continue };
            if !state.done.has(job.slot) && atom.admits(state.value) {
                state.done.add(job.slot);
                state.trace = log.push(state.trace, *at);
                any = true;
            }
        }
        any
    }

    fn write(&self, state: &State<W>, target: Target<'_>, log: &mut Log) -> State<W> {
        let mut next = *state;
        next.value = target.atom.after(state.value);
        next.trace = log.push(state.trace, target.job);
        if let Some(slot) = target.slot {
            next.done.add(slot);
            next.hidden.remove(slot);
        }
        if target.atom.is_blind() {
            next.hidden.add_all_but(&self.blind_slots, &next.done);
        }
        next
    }

    /// The states after `target` has taken effect, if it can. None if the budget is used up.
    pub(super) fn place(
        &self,
        target: Target<'_>,
        jobs: &[Job],
        log: &mut Log,
    ) -> Option<Vec<State<W>>> {
        log.budget.spend(W * self.states.len())?;
        let mut reached: Vec<State<W>> = Vec::with_capacity(self.states.len());
        let mut placed: Vec<State<W>> = Vec::with_capacity(self.states.len());
        for state in self.states.iter() {
            let mut state = *state;
            self.read(&mut state, jobs, log);
            if target.slot.is_some_and(|slot| state.done.has(slot)) {
                self.finish(&mut placed, state, target);
            } else {
                self.keep(&mut reached, state);
            }
        }
        let mut at = 0;
        while let Some(state) = reached.get(at).copied() {
            log.budget.spend(W + (reached.len() + placed.len()) / 16)?;
            at += 1;
            if let Some(slot) = target.slot
                && (state.hidden.has(slot) || state.done.has(slot))
            {
                self.finish(&mut placed, state, target);
                if state.done.has(slot) {
                    continue;
                }
            }
            if target.atom.admits(state.value) {
                let mut next = self.write(&state, target, log);
                self.read(&mut next, jobs, log);
                self.finish(&mut placed, next, target);
            }
            self.spread(&state, target, jobs, log, &mut reached);
        }
        Some(placed)
    }

    /// The target is done with: nobody needs its bit any longer.
    fn finish(&self, placed: &mut Vec<State<W>>, mut state: State<W>, target: Target<'_>) {
        if let Some(slot) = target.slot {
            state.done.remove(slot);
            state.hidden.remove(slot);
        }
        self.keep(placed, state);
    }

    /// Adds the states that are one more write away.
    fn spread(
        &self,
        state: &State<W>,
        target: Target<'_>,
        jobs: &[Job],
        log: &mut Log,
        reached: &mut Vec<State<W>>,
    ) {
        for at in &self.writes {
            let Some(job) = jobs.get(*at as usize) else { continue };
            let Some((_, atom)) = job.single() else { continue };
            if *at == target.job || state.done.has(job.slot) || !atom.admits(state.value) {
                continue;
            }
            // To write what is there already may still hide other writes.
            let idle = !atom.is_blind() && atom.after(state.value) == state.value;
            if job.role == Role::Open && (idle || self.waits(job, state, jobs)) {
                continue;
            }
            let links = log.links.len();
            let slot = Some(job.slot);
            let mut next = self.write(state, Target { job: *at, atom, slot }, log);
            let read = self.read(&mut next, jobs, log);
            let matters = read
                || (job.role == Role::Conditional && !atom.is_blind())
                || self.is_seen(&next, target, jobs);
            let known = |other: &State<W>| self.covers(other, &next);
            if !matters || reached.iter().any(known) {
                log.links.truncate(links);
                continue;
            }
            reached.push(next);
        }
    }

    /// Somebody who may be next sees the value.
    fn is_seen(&self, state: &State<W>, target: Target<'_>, jobs: &[Job]) -> bool {
        target.atom.sees(state.value)
            || self.writes.iter().filter_map(|at| jobs.get(*at as usize)).any(|job| {
                !state.done.has(job.slot)
                    && job.single().is_some_and(|(_, atom)| atom.sees(state.value))
            })
    }

    /// Of jobs that do the same and are never answered, the first one goes first.
    fn waits(&self, job: &Job, state: &State<W>, jobs: &[Job]) -> bool {
        let twin = job.twin.filter(|twin| self.writes.binary_search(twin).is_ok());
        let twin = twin.and_then(|twin| jobs.get(twin as usize));
        twin.is_some_and(|twin| !state.done.has(twin.slot))
    }
}
