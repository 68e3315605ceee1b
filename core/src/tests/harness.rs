//! A cluster in one thread, without clock and disk: the bench that the ported suites run on.
//!
//! [`Network::send`] delivers first come, first served, until nothing is under way. Only the peer
//! that was stepped last has its outbox read, so what a `tick` produces waits for the next message
//! to that peer.
//!
//! Appends are made when an outbox is read, from what each follower is owed. Hence two habits: to
//! clear an outbox is to read it, and to "send an append now" is to mark one as due.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use bytes::Bytes;

pub(crate) use crate::eraftpb::MessageType::{self, *};
use crate::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, Message, Snapshot, SnapshotMetadata,
};
pub(crate) use crate::log::tests::entry;
pub(crate) use crate::raft::StateRole::{self, Candidate, Follower, Leader, PreCandidate};
use crate::{Config, EntryId, MemStorage, NONE, Raft, RawNode, Ready, Receipt, SelfAck};

/// Term and index of an entry, for tables.
pub(crate) type Id = (u64, u64);

pub(crate) type TestRaft = Raft<MemStorage>;
pub(crate) type TestNode = RawNode<MemStorage>;

pub(crate) const ELECTION_TICK: u32 = 10;
pub(crate) const HEARTBEAT_TICK: u32 = 1;

/// TinyKV's way of counting: a peer's own vote and append count at once.
pub(crate) fn config(id: u64, peers: &[u64]) -> Config {
    Config {
        peers: peers.to_vec(),
        election_tick: ELECTION_TICK,
        heartbeat_tick: HEARTBEAT_TICK,
        self_ack: SelfAck::OnAppend,
        share_commit: false,
        ..Config::new(id)
    }
}

/// How many cases a property is tried with: a few where each step is interpreted.
pub(crate) const fn cases(usual: u32) -> u32 {
    if cfg!(miri) { 4 } else { usual }
}

pub(crate) fn ids(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

/// A peer of `peers` with an empty log.
pub(crate) fn fresh(id: u64, peers: &[u64]) -> TestRaft {
    on_storage(id, peers, MemStorage::new())
}

pub(crate) fn on_storage(id: u64, peers: &[u64], storage: MemStorage) -> TestRaft {
    Raft::new(&config(id, peers), storage).unwrap()
}

/// A peer with settings of its own.
pub(crate) fn peer_with(id: u64, peers: &[u64], change: impl FnOnce(&mut Config)) -> TestRaft {
    stored_with(id, peers, MemStorage::new(), change)
}

/// A peer with settings of its own on a storage.
pub(crate) fn stored_with(
    id: u64,
    peers: &[u64],
    storage: MemStorage,
    change: impl FnOnce(&mut Config),
) -> TestRaft {
    let mut config = config(id, peers);
    change(&mut config);
    Raft::new(&config, storage).unwrap()
}

/// As many new peers, all with the same settings.
pub(crate) fn network_with(count: u64, change: impl Fn(&mut Config)) -> Network {
    let all = ids(count);
    Network::given(all.iter().map(|&id| peer_with(id, &all, &change)))
}

/// An empty log of a cluster with learners.
pub(crate) fn members_of(voters: &[u64], learners: &[u64]) -> MemStorage {
    let mut storage = MemStorage::new();
    let (voters, learners) = (voters.to_vec(), learners.to_vec());
    storage.set_conf_state(ConfState { voters, learners, ..ConfState::default() });
    storage
}

/// Applies everything committed, membership changes too.
pub(crate) fn apply(raft: &mut TestRaft) -> Vec<Entry> {
    let entries = next_ents(raft);
    for change in entries.iter().filter_map(|entry| crate::conf_change_of(entry).unwrap()) {
        raft.apply_conf_change(&change).unwrap();
    }
    let applied = Receipt::Applied { index: raft.log.applied(), size: 0, payload: 0 };
    raft.receive(applied).unwrap();
    entries
}

/// A peer that leads term 1 of `peers`, with its first entry in the log and owed to all.
pub(crate) fn leader(id: u64, peers: &[u64]) -> TestRaft {
    let mut raft = fresh(id, peers);
    lead(&mut raft);
    raft
}

/// Makes a follower the leader of its next term, without asking anybody.
pub(crate) fn lead(raft: &mut TestRaft) {
    raft.become_candidate();
    raft.become_leader();
}

/// A storage that holds one entry for each term, from index 1.
pub(crate) fn terms(terms: &[u64]) -> MemStorage {
    let mut storage = MemStorage::new();
    storage.append(&entries_of(terms)).unwrap();
    storage
}

/// One entry for each term, from index 1.
pub(crate) fn entries_of(terms: &[u64]) -> Vec<Entry> {
    terms.iter().zip(1..).map(|(&term, index)| entry(term, index)).collect()
}

pub(crate) fn data_entry(term: u64, index: u64, data: &'static str) -> Entry {
    Entry { data: Bytes::from_static(data.as_bytes()), ..entry(term, index) }
}

pub(crate) fn msg(kind: MessageType, from: u64, to: u64) -> Message {
    Message { msg_type: kind.into(), from, to, ..Message::default() }
}

pub(crate) fn hup(id: u64) -> Message {
    msg(MsgHup, id, id)
}

pub(crate) fn beat(id: u64) -> Message {
    msg(MsgBeat, id, id)
}

/// A proposal of one entry to peer `id`.
pub(crate) fn propose(id: u64, data: &'static str) -> Message {
    Message { entries: vec![data_entry(0, 0, data)], ..msg(MsgPropose, id, id) }
}

/// Asks peer `asked` to hand leadership to `transferee`.
pub(crate) fn transfer(transferee: u64, asked: u64) -> Message {
    msg(MsgTransferLeader, transferee, asked)
}

pub(crate) fn vote_answer(from: u64, term: u64, granted: bool) -> Message {
    Message { term, reject: !granted, ..msg(MsgRequestVoteResponse, from, 1) }
}

/// A snapshot of the log up to `index`, of a cluster of `voters`.
pub(crate) fn snapshot(term: u64, index: u64, voters: &[u64]) -> Snapshot {
    let conf_state = Some(ConfState { voters: voters.to_vec(), ..ConfState::default() });
    Snapshot { data: Bytes::new(), metadata: Some(SnapshotMetadata { conf_state, index, term }) }
}

pub(crate) fn conf_change(kind: ConfChangeType, node_id: u64) -> ConfChange {
    ConfChange { change_type: kind.into(), node_id, ..ConfChange::default() }
}

/// Reads and so empties the outbox (TinyKV `readMessages`).
pub(crate) fn sent<S: crate::Storage>(raft: &mut Raft<S>) -> Vec<Message> {
    raft.take_messages().unwrap()
}

pub(crate) fn kind(message: &Message) -> MessageType {
    MessageType::try_from(message.msg_type).unwrap()
}

pub(crate) fn kinds(messages: &[Message]) -> Vec<MessageType> {
    messages.iter().map(kind).collect()
}

pub(crate) fn tick(raft: &mut TestRaft, times: u32) {
    for _ in 0..times {
        raft.tick().unwrap();
    }
}

/// Ticks until the peer campaigns, for at most two base time-outs.
pub(crate) fn tick_until_candidate(raft: &mut TestRaft) {
    for _ in 0..2 * ELECTION_TICK {
        raft.tick().unwrap();
        if raft.role == Candidate {
            return;
        }
    }
    panic!("no campaign within two election time-outs");
}

/// Writes what is unstable into the storage.
pub(crate) fn persist_log(raft: &mut TestRaft) {
    let unstable = raft.log.unstable_entries().to_vec();
    raft.log.storage_mut().append(&unstable).unwrap();
    if let Some(last) = unstable.last() {
        raft.log.stable_to(EntryId::of(last));
    }
}

/// Writes an incoming snapshot into the storage. A peer may not campaign before that is done, so
/// the network does it before the answer leaves, as every application must.
pub(crate) fn persist_snapshot(raft: &mut TestRaft) {
    let Some(snapshot) = raft.log.pending_snapshot().cloned() else {
        return;
    };
    let index = EntryId::of_snapshot(&snapshot).index;
    raft.log.storage_mut().apply_snapshot(snapshot).unwrap();
    raft.log.stable_snapshot_to(index);
    raft.log.applied_to(index);
}

/// Persists the log, and takes and applies what is committed and new (TinyKV `nextEnts`).
pub(crate) fn next_ents(raft: &mut TestRaft) -> Vec<Entry> {
    persist_log(raft);
    let entries = raft.log.next_committed_entries().unwrap();
    raft.log.applied_to(raft.log.committed());
    entries
}

/// The answer of a follower that took the append.
pub(crate) fn accept_and_reply(append: &Message) -> Message {
    assert_eq!(kind(append), MsgAppend, "only an append can be accepted");
    Message {
        term: append.term,
        index: append.index + append.entries.len() as u64,
        ..msg(MsgAppendResponse, append.to, append.from)
    }
}

/// Adds a voter outside of any membership change (TinyKV `addNode`).
pub(crate) fn add_node(raft: &mut TestRaft, id: u64) {
    raft.apply_conf_change(&conf_change(ConfChangeType::AddNode, id).into()).unwrap();
}

/// Removes a voter outside of any membership change, the last one too (TinyKV `removeNode`).
pub(crate) fn remove_node(raft: &mut TestRaft, id: u64) {
    let mut next = raft.prs.clone();
    next.configuration.voters.incoming.remove(id);
    next.remove(id);
    raft.switch_to(next).unwrap();
}

/// Marks an append to `to` as due, also when there is nothing new (TinyKV `sendAppend`).
pub(crate) fn send_append(raft: &mut TestRaft, to: u64) {
    let progress = raft.prs.get_mut(to).unwrap();
    (progress.append_due, progress.paused) = (true, false);
}

/// Lets all followers of a new leader accept its first entry; persists and applies it.
pub(crate) fn commit_noop_entry(raft: &mut TestRaft) {
    assert_eq!(raft.role, Leader, "only a leader has an entry to commit");
    let id = raft.id;
    for to in raft.prs.ids().filter(|&to| to != id).collect::<Vec<_>>() {
        send_append(raft, to);
    }
    for message in sent(raft) {
        let [noop] = message.entries.as_slice() else {
            panic!("not an append of one entry: {message:?}");
        };
        assert!(noop.data.is_empty(), "not a leader's first entry: {noop:?}");
        raft.step(accept_and_reply(&message)).unwrap();
    }
    sent(raft);
    persist_log(raft);
    raft.log.applied_to(raft.log.committed());
}

/// Commit index, applied index and every entry, for comparison and for failure messages
/// (TinyKV `ltoa`).
pub(crate) fn log_text(raft: &TestRaft) -> String {
    text(raft.log.committed(), raft.log.applied(), &raft.log.all_entries().unwrap())
}

/// What [`log_text`] says of such a log.
pub(crate) fn text(committed: u64, applied: u64, entries: &[Entry]) -> String {
    let entry_text = |e: &Entry| format!("{}:{:?}", EntryId::of(e), e.data);
    let entries: Vec<_> = entries.iter().map(entry_text).collect();
    format!("committed={committed} applied={applied} [{}]", entries.join(" "))
}

/// The voters that the peer knows.
pub(crate) fn members(raft: &TestRaft) -> Vec<u64> {
    raft.prs.ids().collect()
}

/// Who sits at one id of a network.
pub(crate) enum Seat {
    /// A new peer of the whole network.
    Fresh,
    /// A peer that the test prepared.
    Given(Box<TestRaft>),
    /// Takes everything, says nothing.
    BlackHole,
}

impl From<TestRaft> for Seat {
    fn from(raft: TestRaft) -> Self {
        Self::Given(Box::new(raft))
    }
}

/// Peers 1, 2, 3, … and the links between them.
pub(crate) struct Network {
    /// A black hole is none.
    peers: BTreeMap<u64, Option<TestRaft>>,
    cut: BTreeSet<(u64, u64)>,
    ignored: BTreeSet<MessageType>,
    /// Every message between peers that got through, in order.
    pub(crate) delivered: Vec<Message>,
}

impl Network {
    /// As many new peers.
    pub(crate) fn of(count: u64) -> Self {
        Self::new((0..count).map(|_| Seat::Fresh))
    }

    /// New peers where `live`, black holes elsewhere.
    pub(crate) fn of_live(live: &[bool]) -> Self {
        let seat = |&live: &bool| if live { Seat::Fresh } else { Seat::BlackHole };
        Self::new(live.iter().map(seat))
    }

    pub(crate) fn given(peers: impl IntoIterator<Item = TestRaft>) -> Self {
        Self::new(peers.into_iter().map(Seat::from))
    }

    pub(crate) fn new(seats: impl IntoIterator<Item = Seat>) -> Self {
        let seats: Vec<_> = seats.into_iter().collect();
        let all = ids(seats.len() as u64);
        let peer = |(seat, &id): (Seat, &u64)| {
            let raft = match seat {
                Seat::Fresh => Some(fresh(id, &all)),
                Seat::Given(raft) => Some(*raft),
                Seat::BlackHole => None,
            };
            let wrong = raft.as_ref().map(|raft| raft.id).filter(|&own| own != id);
            assert_eq!(wrong, None, "a peer sits on seat {id}");
            (id, raft)
        };
        Self {
            peers: seats.into_iter().zip(&all).map(peer).collect(),
            cut: BTreeSet::new(),
            ignored: BTreeSet::new(),
            delivered: Vec::new(),
        }
    }

    /// Delivers `messages` and everything that follows from them. What a peer refuses is lost.
    pub(crate) fn send(&mut self, messages: impl IntoIterator<Item = Message>) {
        /// More than any scene needs. Without an end, a broken rule would fill the memory.
        const ENDLESS: usize = 10_000;
        let mut queue: VecDeque<_> = messages.into_iter().collect();
        let before = self.delivered.len();
        while let Some(message) = queue.pop_front() {
            assert!(self.delivered.len() - before < ENDLESS, "answers and answers to answers");
            let seat = self.peers.get_mut(&message.to);
            let Some(raft) = seat.unwrap_or_else(|| panic!("nobody sits at {}", message.to)) else {
                continue;
            };
            let _ = raft.step(message);
            persist_snapshot(raft);
            let outbox = sent(raft);
            let passed: Vec<_> = outbox.into_iter().filter(|m| self.passes(m)).collect();
            self.delivered.extend_from_slice(&passed);
            queue.extend(passed);
        }
    }

    fn passes(&self, message: &Message) -> bool {
        let kind = kind(message);
        assert_ne!(kind, MsgHup, "a campaign is nobody else's business");
        !self.ignored.contains(&kind) && !self.cut.contains(&(message.from, message.to))
    }

    /// Cuts the link between two peers, both ways.
    pub(crate) fn cut(&mut self, one: u64, other: u64) {
        self.cut.extend([(one, other), (other, one)]);
    }

    /// Cuts `id` off from everybody.
    pub(crate) fn isolate(&mut self, id: u64) {
        for other in self.peers.keys().copied().collect::<Vec<_>>() {
            if other != id {
                self.cut(id, other);
            }
        }
    }

    /// Drops every message of this type.
    pub(crate) fn ignore(&mut self, kind: MessageType) {
        self.ignored.insert(kind);
    }

    /// All links work again and no type is dropped.
    pub(crate) fn recover(&mut self) {
        self.cut.clear();
        self.ignored.clear();
    }

    /// The peers that are not black holes, in the order of their ids.
    pub(crate) fn live(&self) -> impl Iterator<Item = &TestRaft> {
        self.peers.values().flatten()
    }

    pub(crate) fn roles(&self) -> Vec<StateRole> {
        self.live().map(|raft| raft.role).collect()
    }

    pub(crate) fn term_of_each(&self) -> Vec<u64> {
        self.live().map(|raft| raft.term).collect()
    }

    pub(crate) fn count_delivered(&self, wanted: MessageType) -> usize {
        self.delivered.iter().filter(|m| kind(m) == wanted).count()
    }
}

impl Index<u64> for Network {
    type Output = TestRaft;

    fn index(&self, id: u64) -> &TestRaft {
        self.peers[&id].as_ref().unwrap()
    }
}

impl IndexMut<u64> for Network {
    fn index_mut(&mut self, id: u64) -> &mut TestRaft {
        self.peers.get_mut(&id).unwrap().as_mut().unwrap()
    }
}

/// A node of `peers` with TinyKV's way of counting.
pub(crate) fn node(id: u64, peers: &[u64]) -> TestNode {
    RawNode::new(&config(id, peers), MemStorage::new()).unwrap()
}

/// Writes what a `Ready` wants to have on disk.
pub(crate) fn persist(node: &mut TestNode, ready: &Ready) {
    let storage = node.store_mut();
    if let Some(snapshot) = ready.snapshot.clone() {
        storage.apply_snapshot(*snapshot).unwrap();
    }
    storage.append(&ready.entries).unwrap();
    if let Some(state) = ready.hard_state {
        storage.set_hard_state(state);
    }
}

/// One turn of the synchronous loop. Returns what the `Ready` held.
pub(crate) fn turn(node: &mut TestNode) -> Ready {
    let ready = node.ready().unwrap();
    persist(node, &ready);
    node.advance(ready.clone()).unwrap();
    ready
}

/// Turns until there is nothing left to do. Returns all messages on the way.
pub(crate) fn settle(node: &mut TestNode) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..100 {
        if !node.has_ready() {
            return messages;
        }
        messages.extend(turn(node).messages);
    }
    panic!("there is always something left to do");
}

/// A lone node that leads, all done.
pub(crate) fn lone_leader() -> TestNode {
    let mut node = node(1, &[1]);
    node.campaign().unwrap();
    settle(&mut node);
    assert_eq!(node.raft().leader(), 1);
    assert_ne!(node.raft().leader(), NONE);
    node
}
