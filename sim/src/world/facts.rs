//! What the checkers are told about the peers and their disks. The only place that knows both.
//!
//! Each `saw_…` is called at one place of the world, where something has just become true. What has
//! not changed since is not told again, and nothing is allocated for telling.
//!
//! Facts name peers by their ids, the world names stores. A store may come to hold another peer.

use std::collections::BTreeMap;

use prost::Message as _;
use raft_core::eraftpb::{Entry, EntryType, MessageType};
use raft_core::proto::raft_serverpb::{RaftApplyState, RaftLocalState, RaftMessage};
use raft_core::{EntryId, Raft, StateRole, Storage as _};
use raft_kv::{Accepted, Batches, Key, PeerStorage, Work, keys};

use super::World;
use crate::check::{
    Answer, Checker, Executed, Fact, Hard, Hash, Logged, Match, Members, Sent, Snapshot, State,
};
use crate::client::Outcome;
use crate::node::{Ear, Node, REGION};

/// What is needed to tell facts, and is none itself.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// By store: the peer that it holds, or held last.
    peers: Vec<u64>,
    raft_state: Key,
    apply_state: Key,
    /// What peers made of the requests that are under way, by attempt.
    asked: BTreeMap<u64, Vec<(u32, Answer)>>,
}

impl Default for Watch {
    fn default() -> Self {
        let (raft_state, apply_state) = (keys::raft_state(REGION), keys::apply_state(REGION));
        Self { peers: Vec::new(), raft_state, apply_state, asked: BTreeMap::new() }
    }
}

impl Watch {
    /// The peer on a store.
    fn peer_on(&self, store: u64) -> u64 {
        let position = usize::try_from(store).unwrap_or(usize::MAX);
        self.peers.get(position).copied().filter(|&peer| peer != 0).unwrap_or(store)
    }

    /// What a peer has made of a request is not known any more. Returns whether it was.
    #[cfg(test)]
    pub(super) fn forget_entries(&mut self, request: u64) -> bool {
        self.asked.get_mut(&request).is_some_and(|heard| !std::mem::take(heard).is_empty())
    }

    /// A store holds a peer.
    fn holds(&mut self, store: u64, peer: u64) {
        let Ok(position) = usize::try_from(store) else { return };
        if position >= self.peers.len() {
            self.peers.resize(position + 1, 0);
        }
        self.peers[position] = peer;
    }
}

impl World {
    /// A peer has just started from its disk.
    pub(super) fn saw_start(&mut self, store: u64) {
        let Some(node) = self.nodes.get(store) else { return };
        let Some(peer) = node.peer() else {
            // If it held one that had promised nothing yet, that is forgotten.
            return self.watch.holds(store, 0);
        };
        let (raft, now_us) = (peer.raft(), self.now_us);
        let id = raft.id();
        self.watch.holds(store, id);
        let state = starting(raft);
        let base = EntryId::new(raft.log().term(state.base).unwrap_or(0), state.base);
        self.checker.see(now_us, &Fact::Started { peer: id, state, base });
        for entry in raft.log().all_entries().unwrap_or_default() {
            self.checker.see(now_us, &Fact::Loaded { peer: id, entry: logged(&entry) });
        }
        let members = members_of(raft);
        let index = state.applied;
        let fact = Fact::Configured { peer: id, index, changed: false, members: &members };
        self.checker.see(now_us, &fact);
    }

    /// A message has created a peer on a store, and it may have acted on it already. What it starts
    /// from is what its store has on disk.
    fn saw_creation(&mut self, store: u64) {
        let Some(peer) = self.nodes.get(store).and_then(|node| node.peer()) else { return };
        let (raft, hard) = (peer.raft(), peer.storage().hard_state());
        let state = State { term: hard.term, vote: hard.vote, ..State::default() };
        let members = Members::default();
        let (id, now_us) = (raft.id(), self.now_us);
        let base = EntryId::default();
        self.checker.see(now_us, &Fact::Started { peer: id, state, base });
        let fact = Fact::Configured { peer: id, index: 0, changed: false, members: &members };
        self.checker.see(now_us, &fact);
    }

    /// Something has happened to a peer. Returns whether it changed anything.
    pub(super) fn saw(&mut self, store: u64) -> bool {
        let Some(peer) = self.nodes.get(store).and_then(|node| node.peer()) else { return false };
        if peer.is_destroyed() {
            // What is left of it in memory means nothing.
            return false;
        }
        let id = peer.raft().id();
        if self.watch.peer_on(store) != id {
            self.watch.holds(store, id);
            self.saw_creation(store);
        }
        let Some(peer) = self.nodes.get(store).and_then(|node| node.peer()) else { return false };
        let (raft, now_us) = (peer.raft(), self.now_us);
        let state = state_of(raft);
        let changed = state != *self.checker.state(id);
        if changed {
            tell_log(&mut self.checker, id, raft, now_us);
            self.checker.see(now_us, &Fact::State { peer: id, state });
        }
        if state.role == StateRole::Leader {
            let others = raft.tracker().iter().filter(|(of, _)| *of != id);
            for (position, (of, progress)) in others.enumerate() {
                let progress = Match { of, matched: progress.matched, next: progress.next };
                if self.checker.progress(id, position) != Some(&progress) {
                    self.checker.see(now_us, &Fact::Progress { peer: id, progress });
                }
            }
        }
        changed
    }

    /// A peer has handed out work: entries were applied, or a snapshot was.
    pub(super) fn saw_work(&mut self, store: u64, work: &Work) {
        let (id, now_us) = (self.watch.peer_on(store), self.now_us);
        let Some(peer) = self.nodes.get(store).and_then(|node| node.peer()) else { return };
        let state = Some(peer.storage().fingerprint());
        self.saw_snapshots_made(store, work);
        if let Some(base) = work.installed {
            let state = state.filter(|_| work.applied.is_empty());
            let changed = work.applied.iter().any(is_change);
            let peer = self.nodes.get(store).and_then(Node::peer).filter(|_| !changed);
            let members = peer.map(|peer| members_of(peer.raft()).hash());
            let snapshot = Snapshot { id: base, state, members };
            self.checker.see(now_us, &Fact::Installed { peer: id, snapshot });
        }
        let last = work.applied.last().map_or(0, |entry| entry.index);
        for entry in &work.applied {
            let state = state.filter(|_| entry.index == last);
            self.checker.see(now_us, &Fact::Applied { peer: id, entry: logged(entry), state });
        }
        for raft_kv::Executed { client, sequence, index, effect, reply } in &work.executed {
            let (client, sequence, index, effect) = (*client, *sequence, *index, *effect);
            let reply = Hash::new().bytes(reply).value();
            let command = Executed { client, sequence, index, effect, reply };
            self.checker.see(now_us, &Fact::Executed { peer: id, command });
        }
        if let Some(entry) = work.applied.iter().rev().find(|entry| is_change(entry)) {
            self.saw_members(store, entry.index, true);
        } else if let Some(base) = work.installed {
            self.saw_members(store, base.index, false);
        }
    }

    /// The first piece of a snapshot says which entries it covers. Its content is compared where it
    /// is installed: to hash what is in the pieces would cost more than all of the rest.
    pub(super) fn saw_snapshots_made(&mut self, store: u64, work: &Work) {
        let id = self.watch.peer_on(store);
        let chunks = work.messages.iter().filter_map(|message| message.snapshot_chunk.as_ref());
        for chunk in chunks.filter(|chunk| chunk.number == 0) {
            let base = EntryId::new(chunk.term, chunk.index);
            let snapshot = Snapshot { id: base, state: None, members: None };
            self.checker.see(self.now_us, &Fact::SnapshotMade { peer: id, snapshot });
        }
    }

    fn saw_members(&mut self, store: u64, index: u64, changed: bool) {
        let Some(peer) = self.nodes.get(store).and_then(|node| node.peer()) else { return };
        let (id, members) = (peer.raft().id(), members_of(peer.raft()));
        let fact = Fact::Configured { peer: id, index, changed, members: &members };
        self.checker.see(self.now_us, &fact);
    }

    /// A peer's disk has made a write durable.
    pub(super) fn saw_durable(&mut self, store: u64, batches: &Batches) {
        let (id, now_us) = (self.watch.peer_on(store), self.now_us);
        let (mut hard, mut applied, mut first, mut destroyed) = (None, None, None, false);
        for (key, value) in batches.raft.iter() {
            if *key == self.watch.raft_state {
                // A snapshot deletes it, too, and writes it again.
                destroyed = value.is_none();
                hard = value.and_then(|value| RaftLocalState::decode(&value[..]).ok());
            } else if value.is_some() && first.is_none() {
                first = keys::raft_log_index(key);
            }
        }
        for (key, value) in batches.kv.iter() {
            if *key == self.watch.apply_state {
                applied = value.and_then(|value| RaftApplyState::decode(&value[..]).ok());
            }
        }
        if destroyed {
            return self.checker.see(now_us, &Fact::Destroyed { peer: id });
        }
        let applied = applied.map(|state| {
            let base = state.truncated_state.unwrap_or_default();
            let base = EntryId::new(base.term, base.index);
            (base, Fact::StoredApplied { peer: id, applied: state.applied_index, base })
        });
        // Entries that follow a snapshot come after it; those that are folded away at once, before.
        let before = applied.filter(|(base, _)| first.is_none_or(|first| base.index < first));
        if let Some((_, fact)) = before {
            self.checker.see(now_us, &fact);
        }
        self.saw_entries_durable(id, batches);
        if let Some((_, fact)) = applied.filter(|_| before.is_none()) {
            self.checker.see(now_us, &fact);
        }
        if let Some(state) = hard {
            let (of, last) = (state.hard_state.unwrap_or_default(), state.last_index);
            let hard = Hard { term: of.term, vote: of.vote, commit: of.commit, last };
            self.checker.see(now_us, &Fact::StoredHard { peer: id, hard });
        }
    }

    fn saw_entries_durable(&mut self, id: u64, batches: &Batches) {
        for (key, value) in batches.raft.iter() {
            let Some(value) = value.filter(|_| keys::raft_log_index(key).is_some()) else {
                continue;
            };
            if let Some(entry) = stored_entry(value) {
                self.checker.see(self.now_us, &Fact::Stored { peer: id, entry });
            }
        }
    }

    /// A peer has nothing to do, perhaps. What is being written, or waits for a sync, the disk has
    /// yet to show.
    pub(super) fn saw_rest(&mut self, store: u64) {
        let rests =
            |node: &Node| node.peer().is_some() && !node.is_busy() && !node.disk.is_behind();
        if !self.nodes.get(store).is_some_and(rests) {
            return;
        }
        let id = self.watch.peer_on(store);
        self.checker.see(self.now_us, &Fact::AtRest { peer: id });
    }

    /// A message leaves a peer.
    pub(super) fn saw_sent(&mut self, store: u64, message: &RaftMessage) {
        let id = self.watch.peer_on(store);
        let to = message.to_peer.map_or(0, |peer| peer.id);
        let Some(message) = &message.message else { return };
        if let Some(snapshot) = &message.snapshot {
            self.saw_snapshot_sent(id, snapshot);
        }
        let Ok(kind) = MessageType::try_from(message.msg_type) else { return };
        let (index, reject) = (message.index, message.reject);
        let asks = message.request_snapshot > 0;
        let holds = asks.then(|| EntryId::new(message.log_term, message.reject_hint));
        let message = Sent { kind, to, term: message.term, index, reject, holds };
        self.checker.see(self.now_us, &Fact::Sent { peer: id, message });
    }

    /// With the last piece of a snapshot its members leave.
    fn saw_snapshot_sent(&mut self, id: u64, snapshot: &raft_core::eraftpb::Snapshot) {
        let base = EntryId::of_snapshot(snapshot);
        let metadata = snapshot.metadata.as_ref();
        let members = metadata.and_then(|of| of.conf_state.as_ref()).map(|conf| {
            let half = |voters: &[u64]| {
                let mut voters = voters.to_vec();
                voters.sort_unstable();
                voters
            };
            let (incoming, outgoing) = (half(&conf.voters), half(&conf.voters_outgoing));
            Members { incoming, outgoing }.hash()
        });
        let snapshot = Snapshot { id: base, state: None, members };
        self.checker.see(self.now_us, &Fact::SnapshotMade { peer: id, snapshot });
    }

    /// A client asks something.
    pub(super) fn saw_invoked(&mut self, request: u64) {
        self.watch.asked.insert(request, Vec::new());
        self.checker.see(self.now_us, &Fact::Invoked { request });
    }

    /// An attempt reaches a store that is up.
    pub(super) fn saw_asked(&mut self, store: u64, request: u64, attempt: u32) {
        self.checker.see(self.now_us, &Fact::Asked { store, request, attempt });
    }

    /// A store has refused an attempt. If it stopped over it, that is all the answer there is.
    pub(super) fn saw_refused(&mut self, store: u64, request: u64, attempt: u32) {
        if self.nodes.get(store).is_some_and(Node::is_up) {
            self.checker.see(self.now_us, &Fact::Refused { store, request, attempt });
        }
    }

    /// The process on a store has ended.
    pub(super) fn saw_stop(&mut self, store: u64) {
        self.checker.see(self.now_us, &Fact::Stopped { store });
    }

    /// How many answers a store owes, and the first request that waits for one.
    pub(crate) fn owed_by(&self, store: u64) -> (usize, Option<u64>) {
        self.checker.owed_by(store)
    }

    /// A peer has accepted an attempt.
    pub(super) fn saw_accepted(&mut self, request: u64, attempt: u32, accepted: Accepted) {
        if let (Some(heard), Accepted::Entry(id)) = (self.watch.asked.get_mut(&request), accepted) {
            heard.push((attempt, Answer::Written(id)));
        }
    }

    /// A peer answers an attempt from its state machine as it is now.
    pub(super) fn saw_reply(
        &mut self,
        store: u64,
        request: u64,
        attempt: u32,
        answer: &raft_kv::Answer,
    ) {
        self.checker.see(self.now_us, &Fact::Replied { store, request, attempt });
        let response = &answer.response;
        let id = self.watch.peer_on(store);
        let reads = self.clients.get(request).is_some_and(|request| !request.op.is_write());
        let failed = response.header.as_ref().is_some_and(|header| header.error.is_some());
        if failed || !reads {
            return;
        }
        let version = self.checker.applied(id);
        if let Some(heard) = self.watch.asked.get_mut(&request) {
            heard.push((attempt, Answer::Read(version)));
            let fact = Fact::Served { peer: id, request, version, read_index: answer.read_index };
            self.checker.see(self.now_us, &fact);
        }
    }

    /// A client has heard how its request ended. Copies of an attempt may have become several
    /// entries, and any of them may have been the answered one.
    pub(super) fn saw_answered(&mut self, request: u64, attempt: u32, outcome: &Outcome) {
        let heard = self.watch.asked.remove(&request).unwrap_or_default();
        let of_attempt =
            || heard.iter().filter(|(of, _)| *of == attempt).map(|(_, answer)| *answer);
        let is_known = |answer: &Answer| match *answer {
            Answer::Written(id) => self.checker.is_committed(id),
            Answer::Read(_) | Answer::Unlogged => true,
        };
        let answer = of_attempt().rev().find(is_known).or_else(|| of_attempt().next());
        // A read that went through the log stands where its entry does, whatever was applied since.
        let written =
            of_attempt().find(|answer| matches!(answer, Answer::Written(_)) && is_known(answer));
        let stands = |answer: Answer| match answer {
            Answer::Written(id) => Some((id.index, 0)),
            Answer::Read(version) => Some((version, 1)),
            Answer::Unlogged => None,
        };
        let place = written.or(answer).and_then(stands);
        self.remember_place(request, place);
        if heard.len() > 1 {
            let places = heard.iter().filter_map(|(_, answer)| stands(*answer));
            let places = places.filter(|other| Some(*other) != place).collect();
            self.remember_other_places(request, places);
        }
        let op = self.clients.get(request).map(|request| &request.op);
        let fact = match (answer, outcome) {
            (Some(answer), Outcome::Done(_)) => Fact::Answered { request, answer },
            // A repetition that the session table answers is an entry of its own. A change of
            // leaders is none.
            (None, Outcome::Done(_)) if op.is_some_and(|op| op.is_write() && !op.is_admin()) => {
                Fact::Answered { request, answer: Answer::Unlogged }
            }
            _ => Fact::GaveUp { request },
        };
        self.checker.see(self.now_us, &fact);
    }

    /// A client waits no longer.
    pub(super) fn saw_gave_up(&mut self, request: u64) {
        self.watch.asked.remove(&request);
        self.checker.see(self.now_us, &Fact::GaveUp { request });
    }

    /// Messages that peers sent each other so far, lost ones included.
    pub fn messages_sent(&self) -> u64 {
        self.checker.messages_sent()
    }
}

fn state_of(raft: &Raft<PeerStorage, Ear>) -> State {
    let log = raft.log();
    State {
        term: raft.term(),
        vote: raft.vote(),
        role: raft.role(),
        leader: raft.leader(),
        commit: log.committed(),
        // The core hears of what was applied when it is durable; the state machine is ahead of it.
        applied: log.applied().max(log.storage().applied_index()),
        base: log.first_index().unwrap_or(1).saturating_sub(1),
        last: log.last_id().unwrap_or_default(),
        installing: log.pending_snapshot().is_some(),
    }
}

/// What a peer starts with. One that is alone has campaigned by then: that is told as what it does
/// next.
fn starting(raft: &Raft<PeerStorage, Ear>) -> State {
    let hard = raft.log().storage().initial_state().unwrap_or_default().hard_state;
    let role = StateRole::Follower;
    State { term: hard.term, vote: hard.vote, role, leader: 0, ..state_of(raft) }
}

fn members_of(raft: &Raft<PeerStorage, Ear>) -> Members {
    let voters = &raft.tracker().configuration().voters;
    Members {
        incoming: voters.incoming.as_slice().to_vec(),
        outgoing: voters.outgoing.as_slice().to_vec(),
    }
}

fn is_change(entry: &Entry) -> bool {
    entry.entry_type != i32::from(EntryType::EntryNormal)
}

fn logged(entry: &Entry) -> Logged {
    let kind = u64::from(entry.entry_type.unsigned_abs());
    logged_as(EntryId::of(entry), kind, &entry.data)
}

fn logged_as(id: EntryId, kind: u64, data: &[u8]) -> Logged {
    let hash = Hash::new().number(kind).bytes(data).value();
    Logged { id, hash, change: kind != EntryType::EntryNormal as u64 }
}

/// An entry as it is on the disk. What a store writes is read in place: to decode it would cost
/// more than all checks of it. Anything else is left to the decoder.
fn stored_entry(value: &[u8]) -> Option<Logged> {
    entry_in_place(value).or_else(|| Entry::decode(value).ok().map(|entry| logged(&entry)))
}

/// The four fields of an `Entry` that its encoder writes, in any order.
fn entry_in_place(mut value: &[u8]) -> Option<Logged> {
    let (mut kind, mut id, mut data) = (0, EntryId::default(), &[][..]);
    while let Some(tag) = varint(&mut value) {
        let number = varint(&mut value)?;
        match tag {
            KIND => kind = number,
            TERM => id.term = number,
            INDEX => id.index = number,
            DATA => (data, value) = value.split_at_checked(usize::try_from(number).ok()?)?,
            _ => return None,
        }
    }
    value.is_empty().then(|| logged_as(id, kind, data))
}

/// Tags of the fields of `Entry`: the number, and whether a length follows rather than a value.
const KIND: u64 = 1 << 3;
const TERM: u64 = 2 << 3;
const INDEX: u64 = 3 << 3;
const DATA: u64 = 4 << 3 | 2;

/// Takes a number off the front; none if there is no whole one.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Tells how a peer's log differs from what was told of it. All that is new is in memory only: a
/// peer is looked at before its disk is given anything.
fn tell_log(checker: &mut Checker, id: u64, raft: &Raft<PeerStorage, Ear>, at_us: u64) {
    let log = raft.log();
    if let Some(snapshot) = log.pending_snapshot() {
        let base = EntryId::of_snapshot(snapshot);
        if base != checker.log(id).base() {
            checker.see(at_us, &Fact::Replaced { peer: id, base });
        }
    }
    let (told, last) = (checker.log(id), log.last_index());
    let mut agreed = told.last().min(last);
    while agreed > told.base().index && log.term(agreed).ok() != told.term(agreed) {
        agreed -= 1;
    }
    if agreed < told.last() {
        checker.see(at_us, &Fact::Cut { peer: id, last: agreed });
    }
    if agreed == last {
        return;
    }
    let unstable = log.unstable_entries();
    let first = unstable.partition_point(|entry| entry.index <= agreed);
    for entry in &unstable[first..] {
        checker.see(at_us, &Fact::Appended { peer: id, entry: logged(entry) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::scenario::{Op, Scenario};

    #[test]
    fn a_long_run_is_forgotten_as_far_as_every_disk_has_applied_it() {
        let mut world = World::new(&Scenario::new(1)).unwrap();
        world.run_until(2_000_000);
        for _ in 0..60 {
            for _ in 0..100 {
                let op = Op::Put { key: "k".into(), value: "v".into() };
                world.apply(Command::Request { client: 0, op, to: None }).unwrap();
            }
            world.run_until(world.now_us() + 300_000);
        }
        assert!(world.checker.applied(1) > 5_000);
        assert!(world.checker.indices_kept() < 4_000, "{}", world.checker.indices_kept());
        assert_eq!(world.violation(), None);
    }

    #[test]
    fn an_entry_read_in_place_is_the_one_that_was_written() {
        let kinds = [EntryType::EntryNormal, EntryType::EntryConfChangeV2];
        for (kind, data) in kinds.into_iter().zip(["", "some data that is not empty"]) {
            for (term, index) in [(0, 0), (5, 127), (128, 1 << 40), (u64::MAX, 300)] {
                let entry_type = kind.into();
                let entry =
                    Entry { entry_type, term, index, data: data.into(), ..Entry::default() };
                let bytes = entry.encode_to_vec();
                assert_eq!(entry_in_place(&bytes), Some(logged(&entry)), "{entry:?}");
            }
        }
    }

    #[test]
    fn anything_else_is_left_to_the_decoder() {
        let odd = Entry { context: "context".into(), term: 7, ..Entry::default() };
        let bytes = odd.encode_to_vec();
        assert_eq!(entry_in_place(&bytes), None);
        assert_eq!(stored_entry(&bytes), Some(logged(&odd)));
        assert_eq!(stored_entry(&[0x22, 9, 1]), None, "cut off");
        assert_eq!(stored_entry(&[0xFF; 11]), None, "no number");
    }
}
