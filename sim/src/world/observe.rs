//! What tools see of the world. Nothing here changes a run.

use std::sync::Arc;

use raft_kv::Batches;

use super::World;
use crate::client::Request;
use crate::digest::Digest;
use crate::event::{Happening, What};
use crate::network::Flight;
use crate::node::Node;
use crate::tally::Tally;

/// Happenings that are remembered.
const HAPPENINGS_MAX: usize = 2_000;

impl World {
    pub(super) fn note(&mut self, what: What) {
        self.tally.happened(&what);
        self.remember_happening(|| what);
    }

    pub(super) fn note_delivered(&mut self, flight: &Arc<Flight>) {
        self.tally.delivered(flight);
        self.remember_happening(|| What::Delivered(flight.clone()));
    }

    pub(super) fn note_ended(&mut self, request: u64) {
        let Some(ended) = self.clients.get(request) else { return };
        let Some(outcome) = &ended.outcome else { return };
        self.tally.ended(ended);
        let text = self.say(outcome);
        self.remember_happening(|| What::Ended { request, text });
    }

    /// The text of a happening, if anybody will ever see it.
    pub(super) fn say(&self, words: &impl ToString) -> String {
        if self.happenings.is_some() { words.to_string() } else { String::new() }
    }

    fn remember_happening(&mut self, what: impl FnOnce() -> What) {
        self.happened += 1;
        let Some(happenings) = &mut self.happenings else { return };
        let (number, at_us) = (self.happened, self.now_us);
        happenings.push_back(Happening { number, at_us, what: what() });
        if happenings.len() > HAPPENINGS_MAX {
            happenings.pop_front();
        }
    }

    /// From now on happenings are counted, and not remembered: there will be none to look at. That
    /// changes no run and no digest.
    pub(crate) fn remember_nothing(&mut self) {
        self.happenings = None;
    }

    /// Counts of what happened.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// As [`tally`](Self::tally), for what is counted outside.
    pub(crate) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// The machines in the order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = (u64, &Node)> {
        self.nodes.iter()
    }

    /// Machine `id`.
    pub fn node(&self, id: u64) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Messages between peers on their way, in the order of sending.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// Requests of clients in the order of invocation; the oldest finished ones are forgotten.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.clients.iter()
    }

    /// Request `id`.
    pub fn request(&self, id: u64) -> Option<&Request> {
        self.clients.get(id)
    }

    /// The last request's number; 0 if there was none.
    pub fn last_request(&self) -> u64 {
        self.clients.last_id()
    }

    /// What happened lately, oldest first.
    pub fn happenings(&self) -> impl DoubleEndedIterator<Item = &Happening> {
        self.happenings.iter().flatten()
    }

    /// Number of the last happening.
    pub fn happened(&self) -> u64 {
        self.happened
    }

    /// Events handled so far.
    pub fn events_handled(&self) -> u64 {
        self.events_handled
    }

    /// Whether messages from `from` to `to` get through at the moment, loss aside.
    pub fn is_connected(&self, from: u64, to: u64) -> bool {
        self.network.is_connected(from, to)
    }

    /// From now on happenings also tell what goes on inside the peers: every decision of the core,
    /// with its facts. That changes no run and no digest; it costs time and memory.
    pub fn listen(&mut self) {
        self.listens = true;
        for node in self.nodes.iter_mut() {
            if let Some(store) = node.store_mut() {
                store.tracer_mut().listens = true;
                if let Some(peer) = store.peer_mut() {
                    peer.tracer_mut().listens = true;
                }
            }
        }
    }

    /// From now on durable writes are collected for [`take_durable`](Self::take_durable).
    pub fn keep_journal(&mut self) {
        self.journal.get_or_insert_default();
    }

    /// The durable writes since the last call, in order, for whoever keeps the disks outside.
    pub fn take_durable(&mut self) -> Vec<(u64, Batches)> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A fingerprint of everything that happened and of where it led. Equal runs have equal ones,
    /// natively and in a browser.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        digest.number(self.trace.value());
        digest.number(self.events_handled);
        digest.number(self.now_us);
        for (id, node) in self.nodes.iter() {
            digest.number(id);
            digest.number(node.incarnation);
            for (key, value) in node.disk().raft.iter().chain(node.disk().kv.iter()) {
                digest.bytes(key);
                digest.bytes(value);
            }
            if let Some(peer) = node.peer() {
                let state = peer.raft().hard_state();
                digest.number(state.term);
                digest.number(state.vote);
                digest.number(state.commit);
                digest.number(peer.raft().log().last_index());
                digest.number(u64::from(peer.raft().election_elapsed()));
            }
        }
        digest.value()
    }
}
