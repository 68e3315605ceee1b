//! One cluster under one seed: nodes, network, faults, and the checks after every event.

mod actions;
mod calm;
mod membership;
mod node;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use raft_core::describe;
use raft_core::eraftpb::MessageType;

use self::node::Node;
use crate::coverage::{Coverage, Fact};
use crate::disk::{App, Disk};
use crate::ledger::Ledger;
use crate::network::{Network, Packet};
use crate::ours;
use crate::peer::{Fatal, Kind};
use crate::plan::Plan;
use crate::rng::{Rng, mix};

/// The state of a run.
pub(crate) struct World {
    plan: Plan,
    rng: Rng,
    nodes: BTreeMap<u64, Node>,
    network: Network,
    ledger: Ledger,
    coverage: Coverage,
    /// No faults any more: the cluster must recover.
    calm: bool,
    proposals: u64,
    /// Events so far, and a digest of them.
    events: u64,
    digest: u64,
    /// What happened, in words, if anybody wants to know.
    trace: Option<Trace>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Fatal>,
    pub(crate) coverage: Coverage,
    pub(crate) events: u64,
    /// Equal for equal seeds.
    pub(crate) digest: u64,
}

/// The events of a run, in words. Shared, so that they survive a panic of the run.
pub(crate) type Trace = Rc<RefCell<Vec<String>>>;

/// Runs `plan` to its end or to the first thing that must not happen.
pub(crate) fn run(plan: Plan, trace: Option<Trace>) -> Outcome {
    let mut world = World::new(plan, trace);
    let result = world.live();
    if let Err(error) = &result {
        world.note(|| format!("FAILED: {error}"));
    }
    Outcome { result, coverage: world.coverage, events: world.events, digest: world.digest }
}

impl World {
    fn new(plan: Plan, trace: Option<Trace>) -> Self {
        let voters: Vec<u64> = (1..=plan.split.voters).collect();
        let disk = Disk::of_member(&voters, plan.snapshot_padding);
        let nodes = voters.iter().map(|id| (*id, Node::down(&plan.nodes[id], disk.clone())));
        Self {
            rng: Rng::of(plan.seed, 2),
            nodes: nodes.collect(),
            network: Network::default(),
            ledger: Ledger::new(App::first(&voters)),
            coverage: Coverage::default(),
            calm: false,
            proposals: 0,
            events: 0,
            digest: 0,
            trace,
            plan,
        }
    }

    fn live(&mut self) -> Result<(), Fatal> {
        self.note_plan();
        for id in self.ids() {
            self.start(id)?;
        }
        for _ in 0..self.plan.steps {
            self.act()?;
        }
        self.recover()
    }

    fn note_plan(&mut self) {
        let plan = self.plan.clone();
        self.note(|| format!("split {}, {:?} {:?}", plan.split.name(), plan.faults, plan.rates));
        for node in plan.nodes.values() {
            self.note(|| format!("{node:?}"));
        }
    }

    /// Every node that there is, up or down.
    fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    fn up(&self) -> Vec<u64> {
        let up = self.nodes.iter().filter(|(_, node)| node.peer.is_some());
        up.map(|(id, _)| *id).collect()
    }

    fn kind(&self, id: u64) -> Kind {
        self.plan.nodes.get(&id).map_or(Kind::Ours, |node| node.kind)
    }

    fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace.borrow_mut().push(format!("{:>6} {}", self.events, words()));
        }
    }

    /// Makes event `what` at `id` part of the digest.
    fn mark(&mut self, what: u64, id: u64) {
        self.events += 1;
        self.digest = mix(self.digest, what << 8 | id);
    }

    /// Puts the messages of node `id` on the network, or loses them.
    fn send(&mut self, id: u64, messages: Vec<Bytes>) -> Result<(), Fatal> {
        for bytes in messages {
            let message = ours::decode(&bytes)?;
            let Some(kind) = ours::kind(&message) else {
                return Err(format!("{id} sends a message of type {}", message.msg_type));
            };
            match kind {
                MessageType::MsgRequestVoteResponse if !message.reject => {
                    self.ledger.voted(id, message.term, message.to)?;
                }
                MessageType::MsgRequestPreVoteResponse if !message.reject => {
                    self.coverage.count(Fact::PreVote(self.kind(id), self.kind(message.to)));
                }
                MessageType::MsgAppendResponse if !message.reject => {
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.acknowledges(message.term, message.index);
                    }
                }
                _ => {}
            }
            self.digest = mix(self.digest, bytes.len() as u64);
            self.note(|| format!("    send {}", describe::message(&message)));
            let incarnation = self.nodes.get(&id).map_or(0, |node| node.incarnation);
            let packet = Packet { from: id, to: message.to, incarnation, kind, bytes, message };
            self.dispatch(packet);
        }
        Ok(())
    }

    fn dispatch(&mut self, packet: Packet) {
        if !self.calm && self.rng.chance(self.plan.faults.loss) {
            self.lose(&packet);
            return;
        }
        if !self.calm && self.rng.chance(self.plan.faults.duplication) {
            self.coverage.count(Fact::Duplicated);
            self.network.send(packet.clone());
        }
        self.network.send(packet);
        if let Some(packet) = self.network.overflow(&mut self.rng) {
            self.lose(&packet);
        }
    }

    /// A message does not arrive; its sender may hear of it.
    fn lose(&mut self, packet: &Packet) {
        self.coverage.count(Fact::Lost);
        let unreachable = self.rng.chance(self.plan.faults.unreachable);
        self.note(|| format!("    lost {}", describe::message(&packet.message)));
        self.report(packet, false);
        let Some(node) = self.nodes.get_mut(&packet.from) else {
            return;
        };
        if let Some(peer) = &mut node.peer
            && unreachable
            && packet.kind != MessageType::MsgSnapshot
        {
            peer.report_unreachable(packet.to);
        }
    }

    /// Tells the sender of a snapshot what became of it.
    fn report(&mut self, packet: &Packet, arrived: bool) {
        if packet.kind != MessageType::MsgSnapshot {
            return;
        }
        let told = self.plan.faults.snapshot_reports;
        let Some(node) = self.nodes.get_mut(&packet.from) else {
            return;
        };
        if let Some(peer) = &mut node.peer
            && node.incarnation == packet.incarnation
            && (told || node.kind == Kind::Theirs)
        {
            peer.report_snapshot(packet.to, arrived);
        }
    }

    /// Delivers the next message.
    fn deliver(&mut self) -> Result<(), Fatal> {
        let reordering = if self.calm { 0 } else { self.plan.faults.reordering };
        let Some(packet) = self.network.take(reordering, &mut self.rng) else {
            return Ok(());
        };
        let to = packet.to;
        self.mark(1, to);
        let open = self.calm || self.network.carries(packet.from, to);
        let runs = self.nodes.get(&to).is_some_and(|node| node.peer.is_some());
        if !open || !runs {
            self.lose(&packet);
            return Ok(());
        }
        self.settle(to)?;
        self.note(|| format!("deliver {}", describe::message(&packet.message)));
        self.coverage.count(Fact::Message(self.kind(packet.from), self.kind(to)));
        self.report(&packet, true);
        if let Some(node) = self.nodes.get_mut(&to) {
            node.heard(&packet);
        }
        if let Some(peer) = self.nodes.get_mut(&to).and_then(|node| node.peer.as_mut()) {
            peer.step(&packet.bytes).map_err(|error| format!("{to}: {error}"))?;
        }
        self.after(to)
    }
}
