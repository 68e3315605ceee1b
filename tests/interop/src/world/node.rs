//! One node's life: start, work, disk, state machine, crash.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use prost::Message as _;
use raft_core::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeV2, Entry, EntryType, MessageType,
};

use super::World;
use crate::coverage::Fact;
use crate::disk::{App, Disk, Write};
use crate::ledger::all_members;
use crate::network::Packet;
use crate::ours::Ours;
use crate::peer::{Change, Fatal, Kind, Peer, Role, View, Work};
use crate::plan::NodePlan;
use crate::theirs::Theirs;

/// One node, up or down.
pub(crate) struct Node {
    pub(super) kind: Kind,
    /// None while it is down.
    pub(super) peer: Option<Box<dyn Peer>>,
    /// Its disk while it is down.
    pub(super) disk: Disk,
    pub(super) incarnation: u64,
    pub(super) pipelined: bool,
    /// Work that is not durable yet, in order.
    pub(super) in_flight: VecDeque<InFlight>,
    /// What is committed and not applied yet.
    pub(super) to_apply: VecDeque<Entry>,
    pub(super) view: View,
    /// Up to which index it told the leader of which term that it holds the same log.
    pub(super) acknowledged: (u64, u64),
    /// Whether it has ever asked for a snapshot.
    pub(super) asked: bool,
    /// Who sent the last snapshot.
    snapshot_from: u64,
    /// Who told it to lead, and in which term.
    promoted_by: (u64, u64),
    /// Who answered its reads, by their numbers.
    read_by: BTreeMap<u64, u64>,
}

/// Work that was written and is not durable yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    number: u64,
    later: Vec<Bytes>,
    /// Last index of the snapshot that came with it.
    snapshot: Option<u64>,
}

impl Node {
    /// A node that is to be started from `disk`.
    pub(super) fn down(plan: &NodePlan, disk: Disk) -> Self {
        Self {
            kind: plan.kind,
            peer: None,
            disk,
            incarnation: 0,
            pipelined: plan.pipelined,
            in_flight: VecDeque::new(),
            to_apply: VecDeque::new(),
            view: View::default(),
            acknowledged: (0, 0),
            asked: false,
            snapshot_from: 0,
            promoted_by: (0, 0),
            read_by: BTreeMap::new(),
        }
    }

    /// The state machine.
    pub(super) fn app(&self) -> &App {
        self.peer.as_ref().map_or(&self.disk.app, |peer| &peer.disk().app)
    }

    /// Notes what a message means for the counts.
    pub(super) fn heard(&mut self, packet: &Packet) {
        match packet.kind {
            MessageType::MsgSnapshot => self.snapshot_from = packet.from,
            MessageType::MsgTimeoutNow => self.promoted_by = (packet.from, packet.message.term),
            MessageType::MsgReadIndexResp => {
                if let Some(number) = packet.message.entries.first().and_then(read_number) {
                    self.read_by.insert(number, packet.from);
                }
            }
            _ => {}
        }
    }

    /// What was acknowledged to a leader stays as long as its term: the leader may have counted it.
    fn keeps_its_word(&self, id: u64) -> Result<(), Fatal> {
        let (term, index) = self.acknowledged;
        let Some(peer) = &self.peer else {
            return Ok(());
        };
        let last = peer.disk().last();
        if peer.view().term == term && last < index {
            return Err(format!("{id} acknowledged {index} in term {term} and is back at {last}"));
        }
        Ok(())
    }

    /// Notes a promise to the leader of `term`.
    pub(super) fn acknowledges(&mut self, term: u64, index: u64) {
        if term > self.acknowledged.0 {
            self.acknowledged = (term, index);
        } else if term == self.acknowledged.0 {
            self.acknowledged.1 = self.acknowledged.1.max(index);
        }
    }

    /// Whether it is the only voter. Then it leads without asking anybody, and what it appends is
    /// of a term that a crash may take away.
    fn is_alone(&self, id: u64) -> bool {
        let members = &self.app().members;
        members.voters.iter().chain(&members.voters_outgoing).all(|voter| *voter == id)
    }
}

fn read_number(entry: &Entry) -> Option<u64> {
    Some(u64::from_le_bytes(entry.data.as_ref().try_into().ok()?))
}

impl World {
    /// Starts or restarts node `id` from its disk.
    pub(super) fn start(&mut self, id: u64) -> Result<(), Fatal> {
        let (Some(node), Some(plan)) = (self.nodes.get_mut(&id), self.plan.nodes.get(&id)) else {
            return Ok(());
        };
        if node.peer.is_some() {
            return Ok(());
        }
        node.incarnation += 1;
        let disk = std::mem::take(&mut node.disk);
        let peer: Box<dyn Peer> = match node.kind {
            Kind::Ours => Box::new(Ours::start(plan, node.incarnation, disk)?),
            Kind::Theirs => Box::new(Theirs::start(plan, node.incarnation, disk)?),
        };
        node.view = peer.view();
        node.peer = Some(peer);
        if node.incarnation > 1 {
            self.coverage.count(Fact::Restart(node.kind));
        }
        node.keeps_its_word(id)?;
        let view = node.view;
        self.note(|| format!("start {id}: {view:?}"));
        Ok(())
    }

    /// A power cut at node `id`.
    pub(super) fn crash(&mut self, id: u64) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let Some(peer) = node.peer.take() else {
            return Ok(());
        };
        let mut disk = peer.into_disk();
        disk.crash(&mut self.rng).map_err(|error| format!("{id} crashes: {error}"))?;
        node.disk = disk;
        node.in_flight.clear();
        node.to_apply.clear();
        self.note(|| format!("crash {id}"));
        Ok(())
    }

    /// Ends the work under way at a node that hears nothing until then.
    pub(super) fn settle(&mut self, id: u64) -> Result<(), Fatal> {
        // The only voter, if it is theirs, panics when it campaigns with entries that it has not
        // written, which tests/known_failures_of_raft_rs.rs shows.
        if self.nodes.get(&id).is_some_and(|node| node.kind == Kind::Theirs && node.is_alone(id)) {
            return self.work_off(id);
        }
        let deaf = self.nodes.get(&id).is_some_and(|node| {
            !node.in_flight.is_empty() && node.peer.as_ref().is_some_and(|p| !p.hears_while_busy())
        });
        if deaf { self.finish_work(id) } else { Ok(()) }
    }

    /// Checks node `id` after something happened to it, and lets it work at once if it is eager.
    pub(super) fn after(&mut self, id: u64) -> Result<(), Fatal> {
        self.look(id)?;
        if self.calm || self.rng.chance(self.plan.faults.eager) {
            self.work_off(id)?;
        }
        Ok(())
    }

    /// Does everything that node `id` has to do.
    pub(super) fn work_off(&mut self, id: u64) -> Result<(), Fatal> {
        for _ in 0..10_000 {
            let Some(node) = self.nodes.get(&id) else {
                return Ok(());
            };
            let Some(peer) = &node.peer else {
                return Ok(());
            };
            if !node.in_flight.is_empty() {
                self.finish_work(id)?;
            } else if !node.to_apply.is_empty() {
                self.apply_some(id, usize::MAX)?;
            } else if peer.has_work() {
                self.begin_work(id)?;
            } else {
                return Ok(());
            }
        }
        Err(format!("{id} never runs out of work"))
    }

    /// Compares node `id` with how it was before.
    pub(super) fn look(&mut self, id: u64) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let Some(peer) = &node.peer else {
            return Ok(());
        };
        let (before, now) = (node.view, peer.view());
        if before == now {
            return Ok(());
        }
        self.ledger.saw(id, before, now, peer.as_ref())?;
        node.view = now;
        let led = before.role == Role::Leader && before.term == now.term;
        if now.role == Role::Leader && !led {
            if !node.is_alone(id) {
                self.ledger.voted(id, now.term, id)?;
            }
            self.coverage.count(Fact::Election(node.kind));
            self.coverage.count(Fact::ElectionIn(self.plan.split, node.kind));
            let (by, term) = node.promoted_by;
            if by != 0 && term + 1 == now.term {
                let from = self.plan.nodes.get(&by).map_or(node.kind, |plan| plan.kind);
                self.coverage.count(Fact::Transfer(from, node.kind));
            }
        }
        if led && now.role != Role::Leader {
            self.coverage.count(Fact::SteppedDown(node.kind));
        }
        self.digest = crate::rng::mix(self.digest, now.term << 32 | now.committed);
        self.note(|| format!("    {id} is {now:?}"));
        Ok(())
    }

    /// Takes what node `id` wants done and writes it, but does not wait for the disk.
    pub(super) fn begin_work(&mut self, id: u64) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let Some(peer) = node.peer.as_mut().filter(|peer| peer.has_work()) else {
            return Ok(());
        };
        if !node.pipelined && !node.in_flight.is_empty() {
            return Ok(());
        }
        let mut work = peer.work()?;
        let leader = node.view.leader;
        if self.ledger.written(id, peer.disk(), &work)? {
            let by = self.plan.nodes.get(&leader).map_or(node.kind, |plan| plan.kind);
            self.coverage.count(Fact::Conflict(by, node.kind));
        }
        let now = std::mem::take(&mut work.now);
        let reads = std::mem::take(&mut work.reads);
        let snapshot = self.write(id, &mut work)?;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        node.to_apply.extend(work.committed);
        node.in_flight.push_back(InFlight { number: work.number, later: work.later, snapshot });
        // A pipelined node of theirs panics when it campaigns between a snapshot's write and its
        // end, which tests/known_failures_of_raft_rs.rs shows: it has to wait.
        let at_once = node.is_alone(id) || (snapshot.is_some() && node.kind == Kind::Theirs);
        self.mark(2, id);
        self.note(|| format!("work {} of {id}", work.number));
        self.send(id, now)?;
        self.serve(id, reads)?;
        self.look(id)?;
        if at_once {
            while self.nodes.get(&id).is_some_and(|node| !node.in_flight.is_empty()) {
                self.finish_work(id)?;
            }
        }
        Ok(())
    }

    /// Writes a piece of work to the disk of node `id`. Returns the last index of its snapshot.
    fn write(&mut self, id: u64, work: &mut Work) -> Result<Option<u64>, Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(None);
        };
        let Some(peer) = &mut node.peer else {
            return Ok(None);
        };
        let mut writes = Vec::new();
        let mut index = None;
        if let Some(snapshot) = work.snapshot.take() {
            let app = App::of(&snapshot).ok_or_else(|| format!("{id} gets a broken snapshot"))?;
            self.ledger.restore(id, &app)?;
            let from = self.plan.nodes.get(&node.snapshot_from).map_or(node.kind, |p| p.kind);
            self.coverage.count(Fact::Snapshot(from, node.kind));
            index = Some(app.index);
            node.to_apply.clear();
            peer.disk_mut().app = app.clone();
            writes.push(Write::Snapshot(app));
        }
        if !work.entries.is_empty() {
            writes.push(Write::Entries(std::mem::take(&mut work.entries)));
        }
        writes.extend(work.hard_state.map(Write::HardState));
        if !writes.is_empty() {
            let written = peer.disk_mut().write(work.number, writes);
            written.map_err(|error| format!("{id} writes: {error}"))?;
            node.keeps_its_word(id)?;
        }
        Ok(index)
    }

    /// The disk of node `id` has finished its oldest piece of work.
    pub(super) fn finish_work(&mut self, id: u64) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let (Some(peer), Some(work)) = (&mut node.peer, node.in_flight.pop_front()) else {
            return Ok(());
        };
        let synced = peer.disk_mut().sync(work.number);
        synced.map_err(|error| format!("{id} syncs: {error}"))?;
        let applies_first = !node.pipelined && peer.applies_first();
        self.mark(3, id);
        self.note(|| format!("persisted {} of {id}", work.number));
        self.send(id, work.later)?;
        if applies_first {
            self.apply_some(id, usize::MAX)?;
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let Some(peer) = &mut node.peer else {
            return Ok(());
        };
        let mut more = peer.persisted(work.number)?;
        if let Some(index) = work.snapshot {
            peer.applied(index)?;
        }
        let pipelined = node.pipelined;
        let now = std::mem::take(&mut more.now);
        self.write(id, &mut more)?;
        self.send(id, now)?;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.to_apply.extend(more.committed);
        }
        if !pipelined {
            self.apply_some(id, usize::MAX)?;
        }
        self.look(id)
    }

    /// Applies up to `most` of what is committed at node `id`.
    pub(super) fn apply_some(&mut self, id: u64, most: usize) -> Result<(), Fatal> {
        let mut last = None;
        for _ in 0..most {
            let Some(entry) = self.nodes.get_mut(&id).and_then(|node| node.to_apply.pop_front())
            else {
                break;
            };
            self.apply(id, &entry)?;
            last = Some(entry.index);
        }
        let (Some(last), Some(node)) = (last, self.nodes.get_mut(&id)) else {
            return Ok(());
        };
        if let Some(peer) = &mut node.peer {
            if self.rng.chance(self.plan.faults.checkpoint) {
                let app = peer.disk().app.clone();
                let written = peer.disk_mut().write_aside(vec![Write::Checkpoint(app)]);
                written.map_err(|error| format!("{id} saves its state: {error}"))?;
            }
            peer.applied(last)?;
        }
        self.look(id)
    }

    fn apply(&mut self, id: u64, entry: &Entry) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let Some(peer) = &mut node.peer else {
            return Ok(());
        };
        let change = change_of(entry)?;
        let mut refused = false;
        let before = peer.disk().app.members.clone();
        if let Some(change) = &change {
            match peer.apply_change(entry.index, change)? {
                Change::Made(members) => peer.disk_mut().app.members = members,
                Change::Refused => refused = true,
                Change::Superseded => {
                    node.to_apply.clear();
                    return Ok(());
                }
            }
        }
        let app = &mut peer.disk_mut().app;
        if entry.index != app.index + 1 {
            return Err(format!("{id} applies {} after {}", entry.index, app.index));
        }
        app.apply(entry);
        let after = app.members.clone();
        let first = self.ledger.apply(id, app, entry)?;
        self.note(|| format!("    {id} applies {} of term {}", entry.index, entry.term));
        if first {
            let leader = self.ledger.leader_of(entry.term).map_or(Kind::Ours, |l| self.kind(l));
            self.coverage.count(Fact::Applied(leader));
            if change.is_some() {
                self.note(|| format!("    now members are {after:?}"));
                self.count_change(leader, &before, &after, refused);
                self.invite(&all_members(&after))?;
            }
        }
        Ok(())
    }

    /// Starts nodes that have just become members.
    fn invite(&mut self, members: &[u64]) -> Result<(), Fatal> {
        for id in members {
            let Some(plan) = self.plan.nodes.get(id) else {
                continue;
            };
            if !self.nodes.contains_key(id) {
                let disk = Disk::empty(self.plan.snapshot_padding);
                self.nodes.insert(*id, Node::down(plan, disk));
                self.start(*id)?;
            }
        }
        Ok(())
    }

    /// Node `id` may serve reads.
    fn serve(&mut self, id: u64, reads: Vec<(Bytes, u64)>) -> Result<(), Fatal> {
        for (context, index) in reads {
            let Ok(number) = context.as_ref().try_into().map(u64::from_le_bytes) else {
                return Err(format!("{id} may serve a read that nobody asked for: {context:?}"));
            };
            if self.ledger.serve(id, number, index)? {
                let by = self.nodes.get(&id).and_then(|node| node.read_by.get(&number));
                let by = self.kind(by.copied().unwrap_or(id));
                self.coverage.count(Fact::Read(by, self.kind(id)));
            }
            self.note(|| format!("    {id} may serve read {number} at {index}"));
        }
        Ok(())
    }
}

/// The membership change that an entry carries.
fn change_of(entry: &Entry) -> Result<Option<ConfChangeV2>, Fatal> {
    let broken = |error| format!("entry {} does not decode: {error}", entry.index);
    match EntryType::try_from(entry.entry_type) {
        Ok(EntryType::EntryNormal) => Ok(None),
        Ok(EntryType::EntryConfChange) => {
            let change = ConfChange::decode(entry.data.clone()).map_err(broken)?;
            let (change_type, node_id) = (change.change_type, change.node_id);
            Ok(Some(ConfChangeV2 {
                transition: 0,
                changes: vec![ConfChangeSingle { change_type, node_id }],
                context: change.context,
            }))
        }
        Ok(EntryType::EntryConfChangeV2) => {
            ConfChangeV2::decode(entry.data.clone()).map_err(broken).map(Some)
        }
        Err(error) => Err(format!("entry {} has no known type: {error}", entry.index)),
    }
}
