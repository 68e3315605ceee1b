//! Peers and their disks: ticks, messages, syncs, crashes and starts.

use std::sync::Arc;

use prost::Message;
use raft_core::{EntryId, Event as Inside, StateRole};
use raft_kv::{Batches, Peer, Work};

use super::{Event, World};
use crate::event::What;
use crate::network::Flight;
use crate::node::{Ear, NodeState};

/// What is compared before and after an event to tell what it changed.
struct Before {
    role: StateRole,
    term: u64,
    committed: u64,
}

impl World {
    pub(super) fn tick(&mut self, id: u64, incarnation: u64) {
        let tick_us = self.scenario.settings.tick_us;
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.incarnation == incarnation) else {
            return;
        };
        if node.peer().is_none() {
            return;
        }
        node.next_tick_us = self.now_us + tick_us;
        self.queue.push(self.now_us + tick_us, Event::Tick { peer: id, incarnation });
        self.trace.number(id);
        self.touch(id, Peer::tick);
    }

    pub(super) fn campaign(&mut self, id: u64) {
        self.touch(id, Peer::campaign);
    }

    pub(super) fn arrival(&mut self, flight: u64) {
        let Some(flight) = self.flights.remove(&flight) else { return };
        let Flight { from, to, .. } = *flight;
        self.trace.number(flight.id);
        self.trace.bytes(&flight.message.encode_to_vec());
        let up = self.nodes.get(&to).is_some_and(|node| node.peer().is_some());
        if flight.dies_us.is_some() || !up || !self.network.is_connected(from, to) {
            self.note(What::Lost(flight));
            return;
        }
        let message = flight.message.clone();
        self.note(What::Delivered(flight));
        self.touch(to, |peer| peer.step(message));
    }

    /// Lets something act on a peer, then notes, checks and carries on what it changed. An error of
    /// the action itself is a refusal: the peer goes on.
    pub(super) fn touch(
        &mut self,
        id: u64,
        action: impl FnOnce(&mut Peer<Ear>) -> raft_kv::Result<()>,
    ) {
        let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer_mut()) else { return };
        let before = Before::of(peer);
        if let Err(error) = action(peer) {
            self.note(What::Refused { peer: id, reason: error.to_string() });
        }
        self.observe(id, &before);
        self.pump(id);
    }

    /// Notes what was heard from inside the peer.
    fn hear(&mut self, id: u64) {
        let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer_mut()) else { return };
        let heard = std::mem::take(&mut peer.tracer_mut().heard);
        // Roles and commit indices are told in any case.
        let told =
            |event: &Inside| matches!(event, Inside::Became { .. } | Inside::Committed { .. });
        for event in heard.into_iter().filter(|event| !told(event)) {
            self.note(What::Inside { peer: id, event: Arc::new(event) });
        }
    }

    fn observe(&mut self, id: u64, before: &Before) {
        self.hear(id);
        self.saw(id);
        let Some(peer) = self.nodes.get(&id).and_then(|node| node.peer()) else { return };
        let raft = peer.raft();
        let (term, to, committed) = (raft.term(), raft.role(), raft.log().committed());
        // Read only if it is news: the log may have to ask the disk.
        let news = committed > before.committed;
        let commit_term = if news { raft.log().term(committed).unwrap_or(0) } else { 0 };
        let from = before.role;
        // A candidate that campaigns again changes its term, not its role.
        if to != from || (term != before.term && to != StateRole::Follower) {
            self.note(What::Role { peer: id, term, from, to });
        }
        if news {
            let last = EntryId::new(commit_term, committed);
            self.note(What::Committed { peer: id, last });
        }
    }

    /// Takes the peer's work as long as there is some and its disk is free.
    fn pump(&mut self, id: u64) {
        loop {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            let NodeState::Up { peer, writing: None } = &mut node.state else { return };
            let before = Before::of(peer);
            match peer.handle_ready() {
                Ok(None) => return self.saw_rest(id),
                Ok(Some(work)) => {
                    self.saw_work(id, &work);
                    self.observe(id, &before);
                    self.start_write(id, work);
                }
                Err(error) => return self.fail(id, error.to_string()),
            }
        }
    }

    /// Gives the batches to the disk; with nothing to write the work is done at once.
    fn start_write(&mut self, id: u64, work: Work) {
        if work.batches.is_empty() {
            return self.finish(id, work);
        }
        let sync_us = self.rng.in_span(self.scenario.settings.sync);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (incarnation, number) = (node.incarnation, work.number);
        if let NodeState::Up { writing, .. } = &mut node.state {
            *writing = Some(work);
        }
        let event = Event::Synced { peer: id, incarnation, number };
        self.queue.push(self.now_us + sync_us, event);
    }

    pub(super) fn synced(&mut self, id: u64, incarnation: u64, number: u64) {
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.incarnation == incarnation) else {
            return;
        };
        let NodeState::Up { writing, .. } = &mut node.state else { return };
        let Some(work) = writing.take_if(|work| work.number == number) else { return };
        node.disk.write(&work.batches);
        self.record_durable(id, &work.batches);
        self.trace.number(id);
        self.trace.number(number);
        self.finish(id, work);
        self.pump(id);
    }

    /// The batches are durable: messages and answers may leave, the peer may count its own log.
    fn finish(&mut self, id: u64, work: Work) {
        for message in work.messages {
            let Some(to) = message.to_peer.map(|peer| peer.id) else { continue };
            self.saw_sent(id, &message);
            let flight = self.network.send(id, to, message, self.now_us, &mut self.rng);
            let (flight_id, ends_us) = (flight.id, flight.ends_us());
            self.flights.insert(flight_id, Arc::new(flight));
            self.queue.push(ends_us, Event::Arrival { flight: flight_id });
        }
        for answer in work.answers {
            self.answer(answer.token, answer.response);
        }
        let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer_mut()) else { return };
        let before = Before::of(peer);
        let persisted = peer.persisted(work.number);
        self.observe(id, &before);
        if let Err(error) = persisted {
            self.fail(id, error.to_string());
        }
    }

    /// A write is durable: tells the checkers, and copies it for whoever keeps the disks outside.
    pub(super) fn record_durable(&mut self, id: u64, batches: &Batches) {
        self.saw_durable(id, batches);
        if let Some(journal) = &mut self.journal {
            journal.push((id, batches.clone()));
        }
    }

    pub(super) fn crash(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.peer().is_none() {
            return;
        }
        let lost_write = node.is_writing();
        node.state = NodeState::Down;
        self.note(What::Crashed { peer: id, lost_write });
    }

    /// The peer cannot go on. It stays down until it is restarted from its disk.
    pub(super) fn fail(&mut self, id: u64, reason: String) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.state = NodeState::Failed(reason.clone());
            self.note(What::Failed { peer: id, reason });
        }
    }

    pub(super) fn restart(&mut self, id: u64) {
        if self.nodes.get(&id).is_none_or(|node| node.peer().is_some()) {
            return;
        }
        if let Err(error) = self.start_peer(id) {
            self.fail(id, error.to_string());
        }
    }

    /// Starts a peer from its disk. Its first tick comes at a random moment of the first period:
    /// machines do not tick in step.
    pub(super) fn start_peer(&mut self, id: u64) -> raft_kv::Result<()> {
        let phase = 1 + self.rng.below(self.scenario.settings.tick_us);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.start(id, &self.scenario, self.rules, self.listens)?;
        node.next_tick_us = self.now_us + phase;
        let tick = Event::Tick { peer: id, incarnation: node.incarnation };
        self.queue.push(node.next_tick_us, tick);
        self.saw_start(id);
        self.note(What::Started { peer: id });
        self.hear(id);
        self.pump(id);
        Ok(())
    }
}

impl Before {
    fn of(peer: &Peer<Ear>) -> Self {
        let raft = peer.raft();
        Self { role: raft.role(), term: raft.term(), committed: raft.log().committed() }
    }
}
