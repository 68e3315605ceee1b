//! One peer as a state machine: a state and an input give a new state and messages.
//!
//! Many states of the world share the state of a peer, so peers are interned: each distinct one is
//! kept once, known by a number, and asked once what an input does to it.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;

use raft_core::eraftpb::{ConfChangeV2, Entry, Message};
use raft_core::{Config, Error, MemStorage, RawNode, Ready, Rules, StateRole, conf_change_of};

/// Number of a distinct peer state.
pub(crate) type PeerId = u32;
/// Number of a distinct message.
pub(crate) type MessageId = u32;

/// What can happen to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A message arrives, for the first time or again.
    Deliver(MessageId),
    /// Its election timer fires.
    Campaign,
    /// Its heartbeat timer fires.
    Beat,
    /// A client proposes the command of this number.
    Propose(u8),
    /// An operator proposes the change of members.
    Change,
    /// A client asks for the read of this number.
    Read(u8),
    /// An operator wants leadership to be handed to this peer.
    Transfer(u64),
    /// Its disk has written the oldest `Ready` that is under way.
    Persist,
    /// It loses everything that is not on its disk, and starts again.
    Crash,
}

/// An entry as far as the properties need it: its term and its payload.
pub(crate) type Cell = (u64, Vec<u8>);

/// What the properties ask of a peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) id: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) role: StateRole,
    pub(crate) log: Vec<Cell>,
    pub(crate) committed: usize,
    /// `Ready`s that are not on disk yet.
    pub(crate) unwritten: usize,
}

/// What an input led to.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) peer: PeerId,
    pub(crate) messages: Vec<MessageId>,
    /// Reads that were answered, each with its number and the index that it sees.
    pub(crate) served: Vec<(u8, u64)>,
    /// What a correct peer must never answer to another correct peer, or lose by itself.
    pub(crate) scandal: Option<String>,
}

#[derive(Clone)]
struct Peer {
    node: RawNode<MemStorage>,
    /// What was on its disk at the very start.
    first_disk: MemStorage,
    unwritten: VecDeque<Ready>,
}

/// How the peers are set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) rules: Rules,
    /// Writes take their time, and a crash loses those under way. Otherwise a peer does all that an
    /// input asks for before anything else happens to it.
    pub(crate) slow_disk: bool,
    /// Writes are said to be done but never reach the disk, and a crash shows it.
    pub(crate) lying_disk: bool,
    pub(crate) pre_vote: bool,
    pub(crate) check_quorum: bool,
    /// The change of members that operators propose.
    pub(crate) change: ConfChangeV2,
}

/// All peers and messages met so far.
pub(crate) struct Catalogue {
    setup: Setup,
    peers: Vec<Peer>,
    facts: Vec<Rc<Facts>>,
    peer_ids: HashMap<String, PeerId>,
    messages: Vec<Message>,
    message_ids: HashMap<String, MessageId>,
    effects: HashMap<(PeerId, Input), Rc<Effect>>,
}

/// Nobody's timers fire by themselves: time-outs are inputs.
const NEVER: u32 = 1_000_000;

fn config(id: u64, setup: &Setup) -> Config {
    Config {
        election_tick: NEVER,
        heartbeat_tick: 1,
        // One entry a message: then even a log of three arrives in parts.
        max_size_per_msg: 0,
        async_persist: setup.slow_disk,
        pre_vote: setup.pre_vote,
        check_quorum: setup.check_quorum,
        rules: setup.rules.into(),
        ..Config::new(id)
    }
}

impl Catalogue {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            peers: Vec::new(),
            facts: Vec::new(),
            peer_ids: HashMap::new(),
            messages: Vec::new(),
            message_ids: HashMap::new(),
            effects: HashMap::new(),
        }
    }

    /// Distinct states of peers so far.
    pub(crate) fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Distinct messages so far.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id as usize]
    }

    pub(crate) fn facts(&self, id: PeerId) -> Rc<Facts> {
        self.facts[id as usize].clone()
    }

    /// A peer that starts from this disk.
    pub(crate) fn start(&mut self, id: u64, disk: MemStorage) -> PeerId {
        let peer = self.boot(id, disk.clone(), disk);
        self.intern(peer)
    }

    fn boot(&self, id: u64, disk: MemStorage, first_disk: MemStorage) -> Peer {
        let node = RawNode::new(&config(id, &self.setup), disk).unwrap();
        Peer { node, first_disk, unwritten: VecDeque::new() }
    }

    /// What `input` does to the peer.
    pub(crate) fn effect(&mut self, peer: PeerId, input: Input) -> Rc<Effect> {
        if let Some(effect) = self.effects.get(&(peer, input)) {
            return effect.clone();
        }
        let effect = Rc::new(self.play(peer, input));
        self.effects.insert((peer, input), effect.clone());
        effect
    }

    fn play(&mut self, id: PeerId, input: Input) -> Effect {
        let mut peer = self.peers[id as usize].clone();
        let mut messages = Vec::new();
        let refused = match input {
            Input::Deliver(id) => peer.node.step(self.messages[id as usize].clone()).map(drop),
            Input::Campaign => peer.node.campaign().map(drop),
            Input::Beat => peer.node.tick(),
            Input::Propose(number) => peer.node.propose(vec![number]).map(drop),
            Input::Read(number) => peer.node.read_index(vec![number]),
            Input::Transfer(to) => peer.node.transfer_leader(to).map(drop),
            Input::Change => peer.node.propose_conf_change(self.setup.change.clone()).map(drop),
            Input::Persist => {
                messages.extend(peer.persist());
                Ok(())
            }
            Input::Crash => {
                let first_disk = peer.first_disk.clone();
                let lies = self.setup.lying_disk;
                let disk = if lies { first_disk.clone() } else { peer.node.store().clone() };
                peer = self.boot(peer.node.raft().id(), disk, first_disk);
                Ok(())
            }
        };
        let scandal = match refused {
            Err(Error::ProposalDropped(_) | Error::ReadDropped(_) | Error::StepPeerNotFound(_))
            | Ok(()) => None,
            Err(error) => Some(format!("{error}")),
        };
        let mut served = Vec::new();
        peer.turn(&self.setup, &mut messages, &mut served);
        let messages = messages.into_iter().map(|message| self.intern_message(message)).collect();
        let before = self.facts(id);
        let peer = self.intern(peer);
        let lost = input != Input::Crash && before.goes_back_to(&self.facts(peer));
        let scandal = scandal.or_else(|| lost.then(|| format!("{before:?} went backwards")));
        Effect { peer, messages, served, scandal }
    }

    fn intern(&mut self, peer: Peer) -> PeerId {
        let key = peer.key();
        if let Some(&id) = self.peer_ids.get(&key) {
            return id;
        }
        let id = PeerId::try_from(self.peers.len()).unwrap();
        self.facts.push(Rc::new(peer.facts()));
        self.peers.push(peer);
        self.peer_ids.insert(key, id);
        id
    }

    fn intern_message(&mut self, message: Message) -> MessageId {
        let key = format!("{message:?}");
        let next = MessageId::try_from(self.messages.len()).unwrap();
        let id = *self.message_ids.entry(key).or_insert(next);
        if id == next {
            self.messages.push(message);
        }
        id
    }
}

impl Peer {
    /// Everything that its future depends on. Clocks and counters of `Ready`s are left out: no
    /// timer fires by itself, and numbers are only compared. So are settings and randomness.
    fn key(&self) -> String {
        let raft = format!("{:?}", self.node.raft());
        let (_clocks, raft) = raft.split_once("role: ").unwrap();
        let (raft, _settings) = raft.split_once("settings: ").unwrap();
        let mut key = String::from(raft);
        for ready in &self.unwritten {
            let _ = write!(key, " {:?} {:?}", ready.hard_state, ready.entries);
            for response in self.node.responses(ready.number) {
                let _ = write!(key, " {response:?}");
            }
        }
        key
    }

    fn facts(&self) -> Facts {
        let raft = self.node.raft();
        let entries = raft.log().all_entries().unwrap();
        let cell = |entry: &Entry| (entry.term, entry.data.to_vec());
        Facts {
            id: raft.id(),
            term: raft.term(),
            vote: raft.vote(),
            role: raft.role(),
            log: entries.iter().map(cell).collect(),
            committed: usize::try_from(raft.log().committed()).unwrap(),
            unwritten: self.unwritten.len(),
        }
    }

    /// Takes `Ready`s until there is none. A quick disk writes them at once.
    fn turn(&mut self, setup: &Setup, messages: &mut Vec<Message>, served: &mut Vec<(u8, u64)>) {
        let slow_disk = setup.slow_disk;
        for _ in 0..20 {
            if !self.node.has_ready() {
                return;
            }
            let mut ready = self.node.ready().unwrap();
            messages.append(&mut ready.messages);
            let reads = ready.read_states.iter();
            served.extend(reads.map(|read| (read.context[0], read.index)));
            self.change_members(&ready.committed_entries);
            if let Some(last) = ready.committed_entries.last().filter(|_| slow_disk) {
                self.node.on_applied(last.index).unwrap();
            }
            if slow_disk {
                self.unwritten.push_back(ready);
            } else {
                self.write(&ready);
                self.node.advance(ready).unwrap();
            }
        }
        panic!("there is always something left to do");
    }

    fn change_members(&mut self, committed: &[Entry]) {
        for change in committed.iter().filter_map(|entry| conf_change_of(entry).unwrap()) {
            let members = self.node.apply_conf_change(&change).unwrap();
            self.node.store_mut().set_conf_state(members);
        }
    }

    fn write(&mut self, ready: &Ready) {
        self.node.store_mut().append(&ready.entries).unwrap();
        if let Some(state) = ready.hard_state {
            self.node.store_mut().set_hard_state(state);
        }
    }

    fn persist(&mut self) -> Vec<Message> {
        let Some(ready) = self.unwritten.pop_front() else {
            return Vec::new();
        };
        self.write(&ready);
        self.node.on_persisted(ready.number).unwrap()
    }
}

impl Facts {
    /// Term, vote and commit index only ever move forward while a peer is up.
    fn goes_back_to(&self, after: &Self) -> bool {
        let revoted = after.term == self.term && self.vote != 0 && after.vote != self.vote;
        after.term < self.term || after.committed < self.committed || revoted
    }
}
