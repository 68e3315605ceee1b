//! Three peers and every message they ever sent, searched breadth first.
//!
//! A message is never taken out of the network. So a delivery may be a repetition, one that never
//! comes is a loss, and they come in every order: loss, duplication and reordering need no steps of
//! their own, and a path without them is among the paths.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::rc::Rc;

use raft_core::{MemStorage, StateRole};

use crate::peer::{Catalogue, Cell, Facts, Input, MessageId, PeerId, Setup};

/// What the search may do.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The search begins when the first peer has been elected and all have heard of it; the
    /// messages until then are gone.
    pub(crate) led: bool,
    /// Nobody campaigns beyond this term.
    pub(crate) max_term: u64,
    /// Commands that clients propose in all.
    pub(crate) proposals: u8,
    /// Changes of members that operators propose in all.
    pub(crate) changes: u8,
    /// Reads that clients ask for in all.
    pub(crate) reads: u8,
    /// Transfers of leadership that operators ask for in all.
    pub(crate) transfers: u8,
    /// Crashes in all.
    pub(crate) crashes: u8,
    /// Heartbeats in all.
    pub(crate) beats: u8,
    /// The search ends after so many states.
    pub(crate) max_states: usize,
}

/// What happened so far and can be seen in no peer: who led each term, and what was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct History {
    /// Leader of each term that had one.
    leaders: Vec<(u64, u64)>,
    /// The one log that all peers must agree on, each entry with the term it was committed in.
    committed: Vec<(Cell, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    peers: [PeerId; 3],
    /// Ascending.
    sent: Vec<MessageId>,
    history: u32,
    proposals: u8,
    changes: u8,
    /// For each read how much was committed when it was asked for.
    reads: Vec<u8>,
    transfers: u8,
    crashes: u8,
    beats: u8,
}

/// How a search ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Distinct states of the world.
    pub(crate) states: usize,
    /// Steps tried from one to the next.
    pub(crate) steps: usize,
    /// Distinct states of single peers, and distinct messages.
    pub(crate) parts: (usize, usize),
    /// All states within so many steps were seen.
    pub(crate) depth: u32,
    /// Something that must never be, with the steps that lead to it.
    pub(crate) violation: Option<(String, Vec<String>)>,
}

pub(crate) struct Search {
    catalogue: Catalogue,
    bounds: Bounds,
    histories: Vec<Rc<History>>,
    history_ids: HashMap<Rc<History>, u32>,
    /// Each state met, with its number.
    seen: HashMap<Rc<World>, u32>,
    /// For each state the one before it and the step from there.
    came_by: Vec<(u32, usize, Input)>,
    steps: usize,
}

impl Search {
    pub(crate) fn new(setup: Setup, bounds: Bounds) -> Self {
        Self {
            catalogue: Catalogue::new(setup),
            bounds,
            histories: Vec::new(),
            history_ids: HashMap::new(),
            seen: HashMap::new(),
            came_by: Vec::new(),
            steps: 0,
        }
    }

    /// Searches from three peers that start from these disks.
    pub(crate) fn run(mut self, disks: [MemStorage; 3]) -> Report {
        let mut id = 0;
        let peers = disks.map(|disk| {
            id += 1;
            self.catalogue.start(id, disk)
        });
        let mut first = World {
            peers,
            sent: Vec::new(),
            history: 0,
            proposals: 0,
            changes: 0,
            reads: Vec::new(),
            transfers: 0,
            crashes: 0,
            beats: 0,
        };
        if self.bounds.led {
            self.elect_first(&mut first.peers);
        }
        let mut history = History::default();
        for peer in first.peers {
            let facts = self.catalogue.facts(peer);
            elect(&mut history, &facts).and(commit(&mut history, &facts)).unwrap();
        }
        first.history = self.intern_history(history);
        let first = Rc::new(first);
        self.seen.insert(first.clone(), 0);
        self.came_by.push((0, 0, Input::Crash));
        let mut queue = VecDeque::from([(first, 0, 0)]);
        let mut depth = 0;
        let mut violation = None;
        'search: while let Some((world, number, steps)) = queue.pop_front() {
            depth = steps;
            if self.seen.len() >= self.bounds.max_states {
                break;
            }
            for (place, input) in self.inputs(&world) {
                match self.step(&world, place, input) {
                    Ok(None) => {}
                    Ok(Some(next)) => {
                        if self.seen.contains_key(&next) {
                            continue;
                        }
                        let (next, id) = (Rc::new(next), number_of(self.seen.len()));
                        self.seen.insert(next.clone(), id);
                        self.came_by.push((number, place, input));
                        queue.push_back((next, id, steps + 1));
                    }
                    Err(what) => {
                        violation = Some((what, self.path(number, place, input)));
                        depth = steps + 1;
                        break 'search;
                    }
                }
            }
        }
        let parts = (self.catalogue.peers(), self.catalogue.messages());
        Report { states: self.seen.len(), steps: self.steps, parts, depth, violation }
    }

    /// The first peer campaigns, and all messages arrive in order.
    fn elect_first(&mut self, peers: &mut [PeerId; 3]) {
        let mut inputs = VecDeque::from([(0, Input::Campaign)]);
        while let Some((place, input)) = inputs.pop_front() {
            let effect = self.catalogue.effect(peers[place], input);
            peers[place] = effect.peer;
            for &id in &effect.messages {
                let to = usize::try_from(self.catalogue.message(id).to).unwrap();
                inputs.push_back((to - 1, Input::Deliver(id)));
            }
            if self.catalogue.facts(effect.peer).unwritten > 0 {
                inputs.push_back((place, Input::Persist));
            }
        }
        assert_eq!(self.catalogue.facts(peers[0]).role, StateRole::Leader);
    }

    /// Everything that can happen next.
    fn inputs(&self, world: &World) -> Vec<(usize, Input)> {
        let mut inputs = Vec::new();
        for (place, &peer) in world.peers.iter().enumerate() {
            let facts = self.catalogue.facts(peer);
            for &message in &world.sent {
                if self.catalogue.message(message).to == facts.id {
                    inputs.push((place, Input::Deliver(message)));
                }
            }
            if facts.role != StateRole::Leader && facts.term < self.bounds.max_term {
                inputs.push((place, Input::Campaign));
            }
            if facts.role == StateRole::Leader {
                if world.beats < self.bounds.beats {
                    inputs.push((place, Input::Beat));
                }
                if world.proposals < self.bounds.proposals {
                    inputs.push((place, Input::Propose(world.proposals + 1)));
                }
                if world.changes < self.bounds.changes {
                    inputs.push((place, Input::Change));
                }
                if world.transfers < self.bounds.transfers {
                    let others = (1..=3).filter(|&id| id != facts.id);
                    inputs.extend(others.map(|to| (place, Input::Transfer(to))));
                }
            }
            if world.reads.len() < usize::from(self.bounds.reads) {
                let number = u8::try_from(world.reads.len()).unwrap();
                inputs.push((place, Input::Read(number)));
            }
            if facts.unwritten > 0 {
                inputs.push((place, Input::Persist));
            }
            if world.crashes < self.bounds.crashes {
                inputs.push((place, Input::Crash));
            }
        }
        inputs
    }

    /// The world after a step; none if nothing changes.
    fn step(&mut self, world: &World, place: usize, input: Input) -> Result<Option<World>, String> {
        self.steps += 1;
        let effect = self.catalogue.effect(world.peers[place], input);
        if let Some(scandal) = &effect.scandal {
            return Err(scandal.clone());
        }
        let news = effect.messages.iter().any(|id| world.sent.binary_search(id).is_err());
        if effect.peer == world.peers[place] && !news && effect.served.is_empty() {
            return Ok(None);
        }
        let mut next = world.clone();
        next.peers[place] = effect.peer;
        for &message in &effect.messages {
            if let Err(position) = next.sent.binary_search(&message) {
                next.sent.insert(position, message);
            }
        }
        match input {
            Input::Propose(_) => next.proposals += 1,
            Input::Change => next.changes += 1,
            Input::Transfer(_) => next.transfers += 1,
            Input::Read(_) => {
                let committed = self.histories[world.history as usize].committed.len();
                next.reads.push(u8::try_from(committed).unwrap());
            }
            Input::Crash => next.crashes += 1,
            Input::Beat => next.beats += 1,
            Input::Deliver(_) | Input::Campaign | Input::Persist => {}
        }
        for &(number, index) in &effect.served {
            let committed = next.reads[usize::from(number)];
            if index < u64::from(committed) {
                return Err(format!("stale read: sees {index}, {committed} were committed"));
            }
        }
        if effect.peer != world.peers[place] {
            next.history = self.check(&next, place)?;
        }
        Ok(Some(next))
    }

    /// Checks the properties of figure 3 of the paper after peer `place` changed. Returns the
    /// history with what it adds.
    fn check(&mut self, world: &World, place: usize) -> Result<u32, String> {
        let facts = world.peers.map(|peer| self.catalogue.facts(peer));
        let own = &facts[place];
        let history = &self.histories[world.history as usize];
        let mut next = History::clone(history);
        elect(&mut next, own)?;
        commit(&mut next, own)?;
        for other in facts.iter().filter(|other| other.id != own.id) {
            match_logs(own, other)?;
        }
        for leader in facts.iter().filter(|facts| facts.role == StateRole::Leader) {
            complete(&next, leader)?;
        }
        if next == **history { Ok(world.history) } else { Ok(self.intern_history(next)) }
    }

    fn intern_history(&mut self, history: History) -> u32 {
        let next = number_of(self.histories.len());
        let history = Rc::new(history);
        let id = *self.history_ids.entry(history.clone()).or_insert(next);
        if id == next {
            self.histories.push(history);
        }
        id
    }

    /// The steps to state `number` and one more, in words.
    fn path(&self, mut number: u32, place: usize, input: Input) -> Vec<String> {
        let word = |place: usize, input: Input| match input {
            Input::Deliver(id) => {
                format!(
                    "{}: {}",
                    place + 1,
                    raft_core::describe::message(self.catalogue.message(id))
                )
            }
            other => format!("{}: {other:?}", place + 1),
        };
        let mut path = vec![word(place, input)];
        while number > 0 {
            let (before, place, input) = self.came_by[number as usize];
            path.push(word(place, input));
            number = before;
        }
        path.reverse();
        path
    }
}

/// Election Safety: a term has one leader at most.
fn elect(history: &mut History, own: &Facts) -> Result<(), String> {
    if own.role != StateRole::Leader {
        return Ok(());
    }
    match history.leaders.iter().find(|&&(term, _)| term == own.term) {
        Some(&(_, leader)) if leader == own.id => Ok(()),
        Some(&(term, leader)) => {
            Err(format!("election safety: {leader} and {} lead {term}", own.id))
        }
        None => {
            history.leaders.push((own.term, own.id));
            history.leaders.sort_unstable();
            Ok(())
        }
    }
}

/// State Machine Safety: what one peer commits at an index, no other ever differs from.
fn commit(history: &mut History, own: &Facts) -> Result<(), String> {
    for (index, cell) in own.log.iter().take(own.committed).enumerate() {
        match history.committed.get(index) {
            Some((known, _)) if known == cell => {}
            Some((known, _)) => {
                return Err(format!("state machine safety at {}: {known:?}, {cell:?}", index + 1));
            }
            None => history.committed.push((cell.clone(), own.term)),
        }
    }
    Ok(())
}

/// Log Matching: logs that agree on a term at an index agree on everything up to it.
fn match_logs(a: &Facts, b: &Facts) -> Result<(), String> {
    let together = a.log.iter().zip(&b.log);
    let last_same = together.clone().rposition(|(a, b)| a.0 == b.0);
    match together.clone().position(|(a, b)| a != b) {
        Some(differs) if last_same.is_some_and(|same| same >= differs) => {
            Err(format!("log matching: {:?} and {:?}", a.log, b.log))
        }
        _ => Ok(()),
    }
}

/// Leader Completeness: what was committed in an earlier term is in a leader's log.
fn complete(history: &History, leader: &Facts) -> Result<(), String> {
    let earlier = history.committed.iter().enumerate().filter(|(_, (_, term))| *term < leader.term);
    for (index, (cell, _)) in earlier {
        if leader.log.get(index) != Some(cell) {
            let (id, term) = (leader.id, leader.term);
            return Err(format!("leader completeness: {id} in {term} lacks {cell:?}"));
        }
    }
    Ok(())
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap()
}
