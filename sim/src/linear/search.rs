//! The search for an order (Wing & Gong 1993, Lowe 2017, Horn & Kroening 2015).
//!
//! Time runs from answer to answer. What concerns one key alone is computed, see `lane.rs`; what is
//! searched is only when each operation on several keys takes effect: as late as possible at first,
//! and earlier if that leads nowhere. Three things keep the search short.
//!
//! - A dead end names the keys that are to blame. A choice that concerns none of them is not tried
//!   again another way: the search jumps back to one that does.
//! - The states of these keys at a dead end are remembered. Whatever happens to other keys, from
//!   here, or from anything less, there is no way on.
//! - An operation that has to be placed again is tried first where it fitted before.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::bits::Growing;
use super::lane::{Budget, Lane, Link, Log, State, Target};
use super::part::{Event, Job, Kind, Part, Role};

/// How a search ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// An order: the moment by which an operation has to have its place, and the operation.
    Found(Vec<(u32, usize)>),
    /// There is none.
    Refuted {
        /// The moment of the first answer that no order explains.
        moment: u32,
        /// The operation that got it.
        operation: usize,
        /// The keys that are to blame, by their rank in the part.
        keys: Vec<usize>,
    },
    /// The budget did not suffice, or more operations were under way at once than the search can
    /// tell apart.
    GaveUp,
}

/// Searches an order of the operations of `part`.
pub(super) fn search(part: &Part, budget: &mut Budget) -> Ending {
    match part.slots {
        0..=64 => run::<1>(part, budget),
        65..=256 => run::<4>(part, budget),
        257..=2_048 => run::<32>(part, budget),
        2_049..=16_384 => run::<256>(part, budget),
        _ => Ending::GaveUp,
    }
}

fn run<const W: usize>(part: &Part, budget: &mut Budget) -> Ending {
    let mut search = Search::<W>::new(part, *budget);
    let ending = search.run();
    *budget = search.log.budget;
    ending.unwrap_or(Ending::GaveUp)
}

/// The keys that are to blame for a dead end.
type Blame = Growing;

/// What to do before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// Place an operation on several keys.
    Place(u32),
    /// Take the answer.
    Proceed,
}

/// How to take one thing back.
#[derive(Debug)]
enum Undo<const W: usize> {
    States(u32, Rc<Vec<State<W>>>),
    Opened(u32),
    Closed(u32),
    Placed(u32),
}

/// A moment at which there was a choice.
#[derive(Debug)]
struct Node {
    event: usize,
    undo: usize,
    links: usize,
    step: u32,
    choice: Choice,
    proceeded: bool,
    tried: Vec<u32>,
    /// Operations without an answer that changed nothing on the keys that are to blame.
    idle: Vec<u32>,
    blame: Option<Blame>,
}

/// A dead end: the states of the keys to blame, and the operations on them that were still to come.
#[derive(Debug)]
struct Dead<const W: usize> {
    blame: Blame,
    states: Vec<(usize, Rc<Vec<State<W>>>)>,
    missing: Vec<u32>,
}

/// The order within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Before,
    Several,
    After,
}

/// Dead ends that are remembered per moment.
const DEAD_MAX: usize = 64;

struct Search<'a, const W: usize> {
    part: &'a Part,
    lanes: Vec<Lane<W>>,
    /// Operations on several keys that were sent and have not returned.
    several: Vec<u32>,
    placed: Vec<bool>,
    /// The event at which an operation fitted last.
    fitted: Vec<Option<usize>>,
    log: Log,
    undo: Vec<Undo<W>>,
    nodes: Vec<Node>,
    dead: BTreeMap<usize, Vec<Dead<W>>>,
    at: usize,
    furthest: usize,
}

/// A step back and forth: what is to blame if it cannot be.
type Step = Result<(), Blame>;

impl<'a, const W: usize> Search<'a, W> {
    fn new(part: &'a Part, budget: Budget) -> Self {
        Self {
            part,
            lanes: (0..part.keys).map(|_| Lane::new()).collect(),
            several: Vec::new(),
            placed: vec![false; part.jobs.len()],
            fitted: vec![None; part.jobs.len()],
            log: Log::new(budget),
            undo: Vec::new(),
            nodes: Vec::new(),
            dead: BTreeMap::new(),
            at: 0,
            furthest: 0,
        }
    }

    /// None if the budget is used up.
    fn run(&mut self) -> Option<Ending> {
        while let Some(event) = self.part.events.get(self.at).copied() {
            let step = match event.kind {
                Kind::Invoke => {
                    self.open(event.job);
                    self.at += 1;
                    Ok(())
                }
                Kind::Forget => {
                    self.forget(event.job);
                    Ok(())
                }
                Kind::Return => self.answer(event)?,
            };
            if let Err(blame) = step
                && let Err(keys) = self.go_back(blame)?
            {
                let event = self.part.events.get(self.furthest)?;
                let operation = self.part.jobs.get(event.job as usize)?.operation;
                let keys = keys.iter().collect();
                return Some(Ending::Refuted { moment: event.moment, operation, keys });
            }
        }
        Some(Ending::Found(self.order()))
    }

    fn job(&self, at: u32) -> Option<&'a Job> {
        self.part.jobs.get(at as usize)
    }

    fn lane(&mut self, key: u32) -> Option<&mut Lane<W>> {
        self.lanes.get_mut(key as usize)
    }

    fn is_placed(&self, job: u32) -> bool {
        self.placed.get(job as usize).copied().unwrap_or_default()
    }

    fn touches(&self, job: u32, blame: &Blame) -> bool {
        let atoms = self.job(job).map(|job| job.atoms.iter());
        atoms.is_some_and(|mut atoms| atoms.any(|(key, _)| blame.has(*key as usize)))
    }

    /// To place an operation may help. One without an answer only helps those who see what it
    /// writes, and of some that do the same the first one goes first.
    fn matters(&self, at: u32, blame: &Blame, moment: u32) -> bool {
        let Some(job) = self.job(at) else { return false };
        if job.role != Role::Open {
            return self.touches(at, blame);
        }
        let mut seen = job.atoms.iter().zip(&job.seen);
        job.twin.is_none_or(|twin| self.is_placed(twin) || !self.several.contains(&twin))
            && seen.any(|((key, _), until)| *until >= moment && blame.has(*key as usize))
    }

    fn open(&mut self, at: u32) {
        let Some(job) = self.job(at) else { return };
        match job.single() {
            Some((key, _)) => {
                if let Some(lane) = self.lane(key) {
                    lane.open(at, job);
                }
            }
            None => self.several.push(at),
        }
        self.undo.push(Undo::Opened(at));
    }

    fn close(&mut self, at: u32) {
        let Some(job) = self.job(at) else { return };
        match job.single() {
            Some((key, _)) => {
                if let Some(lane) = self.lane(key) {
                    lane.close(at, job);
                }
            }
            None => self.several.retain(|other| *other != at),
        }
        self.undo.push(Undo::Closed(at));
        self.at += 1;
    }

    fn forget(&mut self, at: u32) {
        if let Some(job) = self.job(at)
            && let Some((key, _)) = job.single()
            && let Some(states) = self.lane(key).map(|lane| lane.forget(job.slot))
        {
            self.set(key, states);
        }
        self.close(at);
    }

    fn set(&mut self, key: u32, states: Vec<State<W>>) {
        if let Some(lane) = self.lane(key) {
            let before = std::mem::replace(&mut lane.states, Rc::new(states));
            self.undo.push(Undo::States(key, before));
        }
    }

    /// An answer comes: perhaps something has to take effect before.
    fn answer(&mut self, event: Event) -> Option<Step> {
        self.furthest = self.furthest.max(self.at);
        self.log.event = u32::try_from(self.at).ok()?;
        let mut missing = self.several.iter().copied().filter(|job| !self.is_placed(*job));
        let Some(first) = missing.next() else { return self.proceed(event) };
        let fits = |job: &u32| self.fitted.get(*job as usize) == Some(&Some(self.at));
        let choice = match [first].into_iter().chain(missing).find(fits) {
            Some(job) => Choice::Place(job),
            None if self.must_place(event) => Choice::Place(event.job),
            None => Choice::Proceed,
        };
        if let Some(blame) = self.remember()? {
            return Some(Err(blame));
        }
        self.nodes.push(Node {
            event: self.at,
            undo: self.undo.len(),
            links: self.log.links.len(),
            step: self.log.step,
            choice,
            proceeded: false,
            tried: Vec::new(),
            idle: Vec::new(),
            blame: None,
        });
        self.choose(choice, event)
    }

    fn must_place(&self, event: Event) -> bool {
        let several = self.job(event.job).is_some_and(|job| job.single().is_none());
        several && !self.is_placed(event.job)
    }

    fn choose(&mut self, choice: Choice, event: Event) -> Option<Step> {
        self.log.budget.spend(1)?;
        if let Some(node) = self.nodes.last_mut() {
            node.choice = choice;
            match choice {
                Choice::Place(job) => node.tried.push(job),
                Choice::Proceed => node.proceeded = true,
            }
        }
        match choice {
            Choice::Place(job) => self.place(job),
            Choice::Proceed => self.proceed(event),
        }
    }

    /// Takes the answer of an operation on one key, or of one that has its place.
    fn proceed(&mut self, event: Event) -> Option<Step> {
        let job = self.job(event.job)?;
        if let Some((key, atom)) = job.single() {
            let target = Target { job: event.job, atom, slot: Some(job.slot) };
            let states = self.compute(key, target)?;
            if states.is_empty() {
                return Some(Err(Blame::of(key as usize)));
            }
            self.log.step += 1;
            self.set(key, states);
        }
        self.close(event.job);
        Some(Ok(()))
    }

    fn compute(&mut self, key: u32, target: Target<'_>) -> Option<Vec<State<W>>> {
        self.lanes.get(key as usize)?.place(target, &self.part.jobs, &mut self.log)
    }

    /// Places an operation on several keys, those that are to blame first.
    fn place(&mut self, at: u32) -> Option<Step> {
        let job = self.job(at)?;
        let blame = self.nodes.last().and_then(|node| node.blame.clone()).unwrap_or_default();
        let (first, then): (Vec<_>, Vec<_>) =
            job.atoms.iter().partition(|(key, _)| blame.has(*key as usize));
        let mut next = Vec::with_capacity(job.atoms.len());
        let mut idle = job.role == Role::Open && !first.is_empty();
        for (key, atom) in &first {
            match self.compute(*key, Target { job: at, atom, slot: None })? {
                states if states.is_empty() => return Some(Err(Blame::of(*key as usize))),
                states => {
                    let lane = self.lanes.get(*key as usize)?;
                    idle = idle && lane.all_covered(&lane.states, &states);
                    next.push((*key, states));
                }
            }
        }
        if idle {
            let node = self.nodes.last_mut()?;
            node.tried.retain(|tried| *tried != at);
            node.idle.push(at);
            return Some(Err(blame));
        }
        for (key, atom) in then {
            match self.compute(*key, Target { job: at, atom, slot: None })? {
                states if states.is_empty() => return Some(Err(Blame::of(*key as usize))),
                states => next.push((*key, states)),
            }
        }
        for (key, states) in next {
            self.set(key, states);
        }
        *self.placed.get_mut(at as usize)? = true;
        *self.fitted.get_mut(at as usize)? = Some(self.at);
        self.undo.push(Undo::Placed(at));
        self.log.step += 1;
        Some(Ok(()))
    }

    /// Goes back to the last choice that could have made a difference, and makes another. An error
    /// if there is none.
    fn go_back(&mut self, mut blame: Blame) -> Option<Step> {
        while let Some(node) = self.nodes.last() {
            let (undo, links, step, event) = (node.undo, node.links, node.step, node.event);
            let irrelevant = match node.choice {
                Choice::Place(job) => !node.idle.contains(&job) && !self.touches(job, &blame),
                Choice::Proceed => false,
            };
            self.take_back(undo, links, step);
            self.at = event;
            if irrelevant {
                self.nodes.pop();
                continue;
            }
            let event = *self.part.events.get(event)?;
            let node = self.nodes.last_mut()?;
            let all = node.blame.get_or_insert_default();
            if all.add_all(&blame) {
                node.idle.clear();
            }
            let all = all.clone();
            match self.another(event, &all) {
                Some(choice) => {
                    self.log.event = u32::try_from(self.at).ok()?;
                    match self.choose(choice, event)? {
                        Ok(()) => return Some(Ok(())),
                        Err(next) => blame = next,
                    }
                }
                None => {
                    let node = self.nodes.pop()?;
                    if node.tried.len() + usize::from(node.proceeded) > 1 {
                        self.bury(&all)?;
                    }
                    blame = all;
                }
            }
        }
        Some(Err(blame))
    }

    /// A choice that the last node has not tried and that makes a difference to `blame`.
    fn another(&self, event: Event, blame: &Blame) -> Option<Choice> {
        let node = self.nodes.last()?;
        // What follows if nothing is done before the answer must be known in any case.
        if self.must_place(event) {
            if !node.tried.contains(&event.job) {
                return Some(Choice::Place(event.job));
            }
        } else if !node.proceeded {
            return Some(Choice::Proceed);
        }
        let untried = |job: &u32| {
            !self.is_placed(*job)
                && !node.tried.contains(job)
                && !node.idle.contains(job)
                && self.matters(*job, blame, event.moment)
        };
        let mut untried = self.several.iter().copied().filter(untried);
        untried.next().map(Choice::Place)
    }

    fn take_back(&mut self, undo: usize, links: usize, step: u32) {
        while self.undo.len() > undo {
            match self.undo.pop() {
                Some(Undo::States(key, states)) => {
                    if let Some(lane) = self.lane(key) {
                        lane.states = states;
                    }
                }
                Some(Undo::Opened(at)) => match self.job(at).map(|job| (job, job.single())) {
                    Some((job, Some((key, _)))) => {
                        if let Some(lane) = self.lane(key) {
                            lane.close(at, job);
                        }
                    }
                    _ => self.several.retain(|other| *other != at),
                },
                Some(Undo::Closed(at)) => match self.job(at).map(|job| (job, job.single())) {
                    Some((job, Some((key, _)))) => {
                        if let Some(lane) = self.lane(key) {
                            lane.open(at, job);
                        }
                    }
                    _ => {
                        let place = self.several.partition_point(|other| *other < at);
                        self.several.insert(place, at);
                    }
                },
                Some(Undo::Placed(at)) => {
                    if let Some(placed) = self.placed.get_mut(at as usize) {
                        *placed = false;
                    }
                }
                None => {}
            }
        }
        self.log.links.truncate(links);
        self.log.step = step;
    }

    /// Operations on the keys to blame that were sent and have not taken effect.
    fn missing(&self, blame: &Blame) -> Vec<u32> {
        let missing = |job: &u32| !self.is_placed(*job) && self.touches(*job, blame);
        self.several.iter().copied().filter(missing).collect()
    }

    /// Remembers a dead end.
    fn bury(&mut self, blame: &Blame) -> Option<()> {
        let states = blame
            .iter()
            .filter_map(|key| self.lanes.get(key).map(|lane| (key, Rc::clone(&lane.states))));
        let states: Vec<_> = states.collect();
        self.log.budget.spend(states.len())?;
        let dead = Dead { blame: blame.clone(), states, missing: self.missing(blame) };
        let all = self.dead.entry(self.at).or_default();
        if all.len() >= DEAD_MAX {
            all.remove(0);
        }
        all.push(dead);
        Some(())
    }

    /// The keys to blame, if this is known for a dead end.
    fn remember(&mut self) -> Option<Option<Blame>> {
        let Some(all) = self.dead.get(&self.at) else { return Some(None) };
        self.log.budget.spend(all.len())?;
        for dead in all.iter().rev() {
            if self.is_no_better(dead) {
                return Some(Some(dead.blame.clone()));
            }
        }
        Some(None)
    }

    /// Whatever is possible here was possible there.
    fn is_no_better(&self, dead: &Dead<W>) -> bool {
        let missing = self.missing(&dead.blame);
        let optional = |job: &u32| self.job(*job).is_some_and(|job| job.role == Role::Open);
        missing.iter().all(|job| dead.missing.contains(job))
            && dead.missing.iter().all(|job| missing.contains(job) || optional(job))
            && dead.states.iter().all(|(key, states)| {
                self.lanes.get(*key).is_some_and(|lane| {
                    Rc::ptr_eq(&lane.states, states) || lane.all_covered(states, &lane.states)
                })
            })
    }

    /// The order that was found.
    fn order(&self) -> Vec<(u32, usize)> {
        let mut order = Vec::new();
        for (key, lane) in (0..).zip(&self.lanes) {
            // Of one step: first what led to an operation on several keys, then this one in all of
            // them, then what followed from it.
            let (mut step, mut turn) = (0, Turn::Before);
            for (at, link) in self.chain(key, lane).into_iter().enumerate() {
                let several = self.job(link.job).is_some_and(|job| job.single().is_none());
                turn = match turn {
                    _ if several => Turn::Several,
                    Turn::Several | Turn::After if link.step == step => Turn::After,
                    _ => Turn::Before,
                };
                step = link.step;
                let place = if several { (0, 0) } else { (key, at) };
                order.push((step, turn, place, link));
            }
        }
        order.sort_unstable_by_key(|(step, turn, place, _)| (*step, *turn, *place));
        order.dedup_by_key(|(.., link)| link.job);
        let found = order.iter().filter_map(|(.., link)| {
            let moment = self.part.events.get(link.event as usize)?.moment;
            Some((moment, self.job(link.job)?.operation))
        });
        found.collect()
    }

    /// What happened to a key.
    fn chain(&self, key: u32, lane: &Lane<W>) -> Vec<Link> {
        let mut chain = Vec::new();
        let mut at = lane.states.first().map_or(0, |state| state.trace);
        while let Some(link) = self.log.links.get(at as usize).filter(|_| at != 0) {
            chain.push(*link);
            at = link.before;
        }
        chain.reverse();
        let mut placed = vec![false; self.part.jobs.len()];
        for link in &chain {
            if let Some(placed) = placed.get_mut(link.job as usize) {
                *placed = true;
            }
        }
        // A blind write that nobody saw goes in front of the first other one since it was sent.
        let mut hidden = Vec::new();
        for (at, job) in (0..).zip(&self.part.jobs) {
            let unseen = job.role == Role::Blind
                && job.single().is_some_and(|(of, _)| of == key)
                && !placed.get(at as usize).copied().unwrap_or_default();
            if unseen && let Some(place) = self.hiding_place(job, key, &chain) {
                hidden.push((place, at));
            }
        }
        hidden.sort_unstable();
        let mut hidden = hidden.into_iter().peekable();
        let mut whole = Vec::with_capacity(chain.len());
        for (place, link) in chain.into_iter().enumerate() {
            while let Some((_, job)) = hidden.next_if(|(before, _)| *before == place) {
                whole.push(Link { job, ..link });
            }
            whole.push(link);
        }
        whole
    }

    fn hiding_place(&self, job: &Job, key: u32, chain: &[Link]) -> Option<usize> {
        let sent = |link: &Link| {
            self.part.events.get(link.event as usize).is_some_and(|e| e.moment > job.invoked)
        };
        let first = chain.partition_point(|link| !sent(link));
        let blind = chain.iter().skip(first).position(|link| {
            let atoms = self.job(link.job).map(|job| job.atoms.iter());
            atoms.is_some_and(|mut atoms| atoms.any(|(of, atom)| *of == key && atom.is_blind()))
        });
        blind.map(|at| first + at)
    }
}
