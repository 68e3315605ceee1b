//! Peers and their disks: ticks, messages, syncs, crashes and starts.

use std::sync::Arc;

use raft_core::eraftpb::MessageType;
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_core::{EntryId, Event as Inside, StateRole};
use raft_kv::{Peer, Store, Work};

use super::{Event, Line, World};
use crate::backlog::Late;
use crate::event::What;
use crate::faults::CrashPoint;
use crate::network::Flight;
use crate::node::{Ear, FROZEN, Node, NodeState, Writing};
use crate::variant::Variant;

/// What is compared before and after an event to tell what it changed.
struct Before {
    role: StateRole,
    term: u64,
    committed: u64,
}

impl World {
    pub(super) fn tick(&mut self, id: u64, incarnation: u64) {
        let now_us = self.now_us;
        // A clock that was stopped or set since ticks at another time.
        let on_time = |n: &&mut Node| n.incarnation == incarnation && n.next_tick_us == now_us;
        let Some(node) = self.nodes.get_mut(id).filter(on_time) else { return };
        if !node.is_up() {
            return;
        }
        node.next_tick_us = now_us + node.period_us;
        self.queue.line_up(Line::Ticks, node.next_tick_us, Event::Tick { peer: id, incarnation });
        self.trace.number(id);
        if let Some(backlog) = &mut node.backlog {
            return backlog.tick(1);
        }
        self.touch(id, Store::tick);
    }

    /// A stalled peer does nothing, not even that.
    pub(super) fn campaign(&mut self, id: u64) {
        if self.node(id).is_some_and(|node| !node.is_paused()) {
            self.touch(id, Store::campaign);
        }
    }

    pub(super) fn arrival(&mut self, flight: u64) {
        let Some(flight) = self.landing(flight) else { return };
        let Flight { from, to, .. } = *flight;
        self.trace.number(flight.id);
        self.trace.message(&flight.message);
        let cut = flight.dies_us.is_some() || !self.network.is_connected(from, to);
        let Some(node) = self.nodes.get_mut(to).filter(|n| !cut && n.is_up()) else {
            return self.note(What::Lost(flight));
        };
        match &mut node.backlog {
            None => self.deliver(flight),
            Some(backlog) => {
                if !backlog.receive(Late::Message(flight.clone())) {
                    self.note(What::Lost(flight));
                }
            }
        }
    }

    /// A message reaches a peer that is up.
    pub(super) fn deliver(&mut self, flight: Arc<Flight>) {
        self.note_delivered(&flight);
        // Whoever remembers the flight keeps the message; else it is the peer's.
        let Flight { to, message, .. } = Arc::unwrap_or_clone(flight);
        self.touch(to, |store| store.step(message));
    }

    /// Lets something act on a store, then notes, checks and carries on what it changed. An error
    /// of the action itself is a refusal: the store goes on.
    pub(super) fn touch(
        &mut self,
        id: u64,
        action: impl FnOnce(&mut Store<Ear>) -> raft_kv::Result<()>,
    ) {
        let Some(store) = self.nodes.get_mut(id).and_then(|node| node.store_mut()) else { return };
        let before = Before::of(store);
        let refusal = action(store).err();
        // Most ticks, for one thing, change nothing. What a leader knows may change without a word.
        if refusal.is_none() && store.is_idle() && !self.listens && !before.leads() {
            return;
        }
        if let Some(error) = refusal {
            let reason = self.say(&error);
            self.note(What::Refused { peer: id, reason });
        }
        let changed = self.observe(id, &before);
        self.empty_outbox(id);
        self.pump(id, changed);
    }

    /// Notes what was heard from inside the peer.
    fn hear(&mut self, id: u64) {
        let store = self.nodes.get_mut(id).and_then(|node| node.store_mut());
        let Some(peer) = store.and_then(Store::peer_mut) else { return };
        let heard = std::mem::take(&mut peer.tracer_mut().heard);
        // Roles and commit indices are told in any case.
        let told =
            |event: &Inside| matches!(event, Inside::Became { .. } | Inside::Committed { .. });
        for event in heard.into_iter().filter(|event| !told(event)) {
            self.note(What::Inside { peer: id, event: Arc::new(event) });
        }
    }

    /// Notes and checks what is new about a peer. Returns whether anything is.
    fn observe(&mut self, id: u64, before: &Before) -> bool {
        if self.listens {
            self.hear(id);
        }
        let changed = self.saw(id);
        let Some(peer) = self.nodes.get(id).and_then(|node| node.peer()) else { return changed };
        let raft = peer.raft();
        let (term, to, committed) = (raft.term(), raft.role(), raft.log().committed());
        if (term, to, committed) == (before.term, before.role, before.committed) {
            return changed;
        }
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
        changed
    }

    /// Takes the peer's work as long as there is some and its disk is free. If nothing has `changed`
    /// and there is none, the peer rests as it did before.
    fn pump(&mut self, id: u64, mut changed: bool) {
        loop {
            let Some(node) = self.nodes.get_mut(id) else { return };
            let NodeState::Up { store, writing: None } = &mut node.state else { return };
            let before = Before::of(store);
            match store.handle_ready() {
                Ok(None) if changed => return self.saw_rest(id),
                Ok(None) => return,
                Ok(Some(work)) => {
                    // Work of messages alone, as most is, changed nothing else.
                    if !work.batches.is_empty() || work.destroyed {
                        changed = true;
                        self.saw_work(id, &work);
                        self.remember_effects(&work);
                        self.observe(id, &before);
                    } else if !work.messages.is_empty() {
                        self.saw_snapshots_made(id, &work);
                    }
                    self.empty_outbox(id);
                    self.start_write(id, work);
                }
                Err(error) => return self.fail(id, error.to_string()),
            }
        }
    }

    /// Gives the batches to the disk; with nothing to write the work is done at once.
    fn start_write(&mut self, id: u64, mut work: Work) {
        if work.batches.is_empty() {
            return self.finish(id, work, None);
        }
        self.spoil(id, &mut work.batches);
        if self.is_armed_with(id, CrashPoint::BeforeWrite) {
            return self.crash_at(id, CrashPoint::BeforeWrite);
        }
        let Some(node) = self.nodes.get_mut(id) else { return };
        if let Err(reason) = node.disk.accept() {
            if node.disk.tears() {
                return self.tear_off(id, &work.batches);
            }
            if !self.flaws.ignored_errors {
                return self.write_failed(id, reason);
            }
            return self.finish(id, work, None);
        }
        let settings = &self.scenario.settings;
        if !work.must_sync && settings.write_back_us > 0 {
            let point = node.armed;
            self.write_back(id, std::mem::take(&mut work.batches));
            return self.finish(id, work, point);
        }
        let sync_us = self.rng.in_span(node.disk.sync.unwrap_or(settings.sync));
        let (incarnation, number) = (node.incarnation, work.number);
        let event = Event::Synced { peer: id, incarnation, number };
        if self.flaws.early_messages || self.takes_for_written(id, &work) {
            self.send_all(id, &mut work, usize::MAX);
            self.answer_all(id, &mut work);
        }
        if self.flaws.early_receipts {
            self.count_early(id, &mut work);
        }
        if let Some(NodeState::Up { writing, .. }) = self.nodes.get_mut(id).map(|n| &mut n.state) {
            *writing = Some(Writing { work, durable: false });
        }
        self.queue.push(self.now_us + sync_us, event);
    }

    /// The peer hears that its write is durable.
    pub(super) fn written(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let point = node.armed;
        let NodeState::Up { writing, .. } = &mut node.state else { return };
        let Some(Writing { work, .. }) = writing.take_if(|writing| writing.durable) else { return };
        self.finish(id, work, point);
        self.pump(id, true);
    }

    /// The batches are durable: messages and answers may leave, the peer may count its own log.
    /// Unless the machine is to stop at some `point` of it.
    fn finish(&mut self, id: u64, mut work: Work, point: Option<CrashPoint>) {
        let sent = match point {
            Some(CrashPoint::AfterWrite) => 0,
            Some(CrashPoint::AfterSending { messages }) => messages as usize,
            _ => usize::MAX,
        };
        self.send_all(id, &mut work, sent);
        if let Some(point @ (CrashPoint::AfterWrite | CrashPoint::AfterSending { .. })) = point {
            return self.crash_at(id, point);
        }
        self.answer_all(id, &mut work);
        if let Some(point @ CrashPoint::AfterAnswers) = point {
            return self.crash_at(id, point);
        }
        let Some(store) = self.nodes.get_mut(id).and_then(|node| node.store_mut()) else { return };
        let before = Before::of(store);
        let persisted = store.persisted(work.number);
        let news = persisted.is_err() || !store.is_idle() || self.listens;
        if let Some(node) = self.nodes.get_mut(id) {
            node.installed |= work.installed.is_some();
        }
        // What is durable may let a peer lead or commit; then it has something to do or to say.
        if news {
            self.observe(id, &before);
        }
        if let Err(error) = persisted {
            self.fail(id, error.to_string());
        }
    }

    /// A driver that waits for one snapshot to be durable takes that of an earlier one for it.
    fn takes_for_written(&self, id: u64, work: &Work) -> bool {
        let installed = self.nodes.get(id).is_some_and(|node| node.installed);
        self.flaws.stale_receipts && installed && work.installed.is_some()
    }

    /// A driver lets a leader's appends leave while its disk is busy, which is fine, and reports
    /// what they hold as durable, which it is not.
    fn count_early(&mut self, id: u64, work: &mut Work) {
        let Some(store) = self.nodes.get_mut(id).and_then(|node| node.store_mut()) else { return };
        if store.peer().is_none_or(|peer| peer.raft().role() != StateRole::Leader) {
            return;
        }
        let before = Before::of(store);
        let persisted = store.persisted(work.number);
        let is_append = |message: &mut RaftMessage| {
            message.message.as_ref().is_some_and(|m| m.msg_type() == MessageType::MsgAppend)
        };
        let appends: Vec<_> = work.messages.extract_if(.., is_append).collect();
        appends.into_iter().for_each(|message| self.send_one(id, message));
        self.observe(id, &before);
        if let Err(error) = persisted {
            self.fail(id, error.to_string());
        }
    }

    /// Sends at most `limit` of the messages.
    fn send_all(&mut self, id: u64, work: &mut Work, limit: usize) {
        let mut messages = std::mem::take(&mut work.messages);
        self.disorder(&mut messages);
        for message in messages.into_iter().take(limit) {
            self.send_one(id, message);
        }
    }

    fn send_one(&mut self, id: u64, message: RaftMessage) {
        let Some(to) = message.to_peer.map(|peer| peer.store_id) else { return };
        if self.flaws.unsent_snapshots && message.snapshot_chunk.is_some() {
            return;
        }
        self.saw_sent(id, &message);
        self.send(id, to, message);
    }

    /// Sends and delivers what needs no disk.
    fn empty_outbox(&mut self, id: u64) {
        let store = self.nodes.get_mut(id).and_then(|node| node.store_mut());
        let Some(outbox) = store.map(Store::take_outbox) else { return };
        for message in outbox.messages {
            self.send_one(id, message);
        }
        for answer in outbox.answers {
            self.answer_from(id, answer);
        }
    }

    fn answer_all(&mut self, id: u64, work: &mut Work) {
        for answer in std::mem::take(&mut work.answers) {
            self.answer_from(id, answer);
        }
    }

    pub(super) fn crash(&mut self, id: u64) {
        if self.nodes.get(id).is_none_or(|node| !node.is_up()) {
            return;
        }
        let lost_write = self.power_off(id, false);
        self.stop(id, NodeState::Down);
        self.note(What::Crashed { peer: id, lost_write });
        self.forget_process(id);
    }

    /// The peer cannot go on. It stays down until it is restarted from its disk.
    pub(super) fn fail(&mut self, id: u64, reason: String) {
        self.power_off(id, false);
        self.stop(id, NodeState::Failed(reason.clone()));
        self.note(What::Failed { peer: id, reason });
        self.forget_process(id);
    }

    pub(super) fn stop(&mut self, id: u64, state: NodeState) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = state;
        }
        self.saw_stop(id);
    }

    pub(super) fn restart(&mut self, id: u64) {
        let Some(node) = self.nodes.get(id).filter(|node| !node.is_up()) else { return };
        let whole = node.disk.verify();
        if let (Err(reason), false) = (whole, self.flaws.unchecked_records) {
            return self.fail(id, reason);
        }
        if let Err(error) = self.start_peer(id) {
            self.fail(id, error.to_string());
        }
    }

    /// Starts a peer from its disk. Its first tick comes at a random moment of the first period:
    /// machines do not tick in step.
    pub(super) fn start_peer(&mut self, id: u64) -> raft_kv::Result<()> {
        let Self { rules, store_rules, flaws, listens, .. } = *self;
        let phase = 1 + self.rng.below(self.scenario.settings.tick_us);
        let Some(node) = self.nodes.get_mut(id) else { return Ok(()) };
        node.start(id, &self.scenario, Variant { rules, store_rules, flaws }, listens)?;
        node.next_tick_us = if node.is_frozen() { FROZEN } else { self.now_us + phase };
        if !node.is_frozen() {
            let tick = Event::Tick { peer: id, incarnation: node.incarnation };
            self.queue.line_up(Line::Ticks, node.next_tick_us, tick);
        }
        self.saw_start(id);
        self.note(What::Started { peer: id });
        self.hear(id);
        self.pump(id, true);
        Ok(())
    }
}

impl Before {
    fn of(store: &Store<Ear>) -> Self {
        let Some(raft) = store.peer().map(Peer::raft) else {
            return Self { role: StateRole::Follower, term: 0, committed: 0 };
        };
        Self { role: raft.role(), term: raft.term(), committed: raft.log().committed() }
    }

    fn leads(&self) -> bool {
        self.role == StateRole::Leader
    }
}
