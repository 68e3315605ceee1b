//! Peers of raft-rs, driven the same way.

// With the one codec these conversions do something, with the other they do not.
#![allow(clippy::useless_conversion)]

use bytes::Bytes;

use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, Storage as _};

use crate::{Cluster, Counters};

/// One peer.
pub type Peer = RawNode<MemStorage>;

/// Peers of the crate `raft` 0.7.
pub struct Theirs {
    peers: Vec<Peer>,
    connected: Vec<bool>,
    counters: Counters,
    reads: u64,
}

fn logger() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

/// One peer of `peers`, with an empty log.
///
/// # Panics
/// Never, with valid settings.
pub fn peer(id: u64, peers: u64, election_tick: usize, batch_append: bool) -> Peer {
    let voters: Vec<u64> = (1..=peers).collect();
    let storage = MemStorage::new_with_conf_state((voters, Vec::new()));
    let config = Config {
        id,
        election_tick,
        heartbeat_tick: 1,
        max_inflight_msgs: 256,
        max_size_per_msg: 1 << 20,
        batch_append,
        ..Config::default()
    };
    RawNode::new(&config, storage, &logger()).expect("valid settings")
}

/// A follower of peer 1 in term 1, and `count` appends of `entries` entries each, each of which
/// commits the one before.
pub fn follower_and_appends(count: u64, entries: u64, size: usize) -> (Peer, Vec<Message>) {
    let entry = |index| {
        let mut entry = Entry::default();
        (entry.term, entry.index, entry.data) = (1, index, vec![7; size].into());
        entry
    };
    let append = |index: u64| {
        let mut append = Message::default();
        append.set_msg_type(MessageType::MsgAppend);
        (append.from, append.to, append.term) = (1, 2, 1);
        (append.log_term, append.index, append.commit) = (u64::from(index > 0), index, index);
        append.entries = (index + 1..=index + entries).map(entry).collect::<Vec<_>>().into();
        append
    };
    (peer(2, 3, 10, false), (0..count).map(|position| append(position * entries)).collect())
}

/// Steps one message and handles what comes of it. Returns the number of messages to send.
pub fn step(peer: &mut Peer, message: Message) -> usize {
    peer.step(message).expect("a message of a correct peer");
    handle_ready(peer, &mut Counters::default()).iter().map(Vec::len).sum()
}

/// Handles a `Ready` as the crate's documentation says. Returns the messages to send.
fn handle_ready(peer: &mut Peer, counters: &mut Counters) -> [Vec<Message>; 3] {
    let mut ready = peer.ready();
    let at_once = ready.take_messages();
    counters.applied += ready.take_committed_entries().len() as u64;
    counters.reads += ready.take_read_states().len() as u64;
    let storage = peer.store().clone();
    if !ready.entries().is_empty() {
        storage.wl().append(ready.entries()).expect("entries continue the log");
    }
    if let Some(state) = ready.hs() {
        storage.wl().set_hardstate(state.clone());
    }
    let persisted = ready.take_persisted_messages();
    let mut light = peer.advance(ready);
    if let Some(commit) = light.commit_index() {
        storage.wl().mut_hard_state().commit = commit;
    }
    counters.applied += light.take_committed_entries().len() as u64;
    peer.advance_apply();
    [at_once, persisted, light.take_messages()]
}

impl Theirs {
    /// A cluster whose leaders let entries join an append that is waiting to leave.
    pub fn batching(peers: u64) -> Self {
        Self::start(peers, true)
    }

    fn start(peers: u64, batch_append: bool) -> Self {
        let mut cluster = Self {
            peers: (1..=peers).map(|id| peer(id, peers, 10, batch_append)).collect(),
            connected: vec![true; peers as usize],
            counters: Counters::default(),
            reads: 0,
        };
        cluster.peers[0].campaign().expect("an empty log can be read");
        cluster.pump();
        cluster
    }

    /// Handles what peer `position` has to say, its messages included, until it falls silent.
    /// Returns whether it had something to say.
    fn handle(&mut self, position: usize) -> bool {
        let mut worked = false;
        while self.peers[position].has_ready() {
            worked = true;
            for messages in handle_ready(&mut self.peers[position], &mut self.counters) {
                for message in messages {
                    self.deliver(message);
                }
            }
        }
        worked
    }

    fn deliver(&mut self, message: Message) {
        self.counters.messages += 1;
        let (from, to) = (message.from as usize - 1, message.to as usize - 1);
        if self.connected[from] && self.connected[to] {
            self.peers[to].step(message).expect("a message of a correct peer");
        }
    }
}

impl Cluster for Theirs {
    fn new(peers: u64) -> Self {
        Self::start(peers, false)
    }

    fn propose(&mut self, payload: &Bytes) {
        self.peers[0].propose(Vec::new(), payload.to_vec()).expect("peer 1 leads");
    }

    fn read(&mut self) {
        self.reads += 1;
        self.peers[0].read_index(self.reads.to_le_bytes().to_vec());
    }

    fn pump(&mut self) {
        while (0..self.peers.len()).fold(false, |worked, peer| self.handle(peer) | worked) {}
    }

    fn compact(&mut self) {
        for peer in &mut self.peers {
            let applied = peer.raft.raft_log.applied;
            if peer.store().first_index().is_ok_and(|first| first < applied) {
                // What is compacted already needs it no more.
                let _ = peer.store().wl().compact(applied);
            }
        }
    }

    fn set_connected(&mut self, id: u64, connected: bool) {
        self.connected[id as usize - 1] = connected;
    }

    fn tick_leader(&mut self) {
        self.peers[0].tick();
    }

    fn campaign_second(&mut self) {
        self.peers[1].campaign().expect("memory can be read");
    }

    fn quorum_index(&mut self) -> u64 {
        self.peers[0].raft.mut_prs().maximal_committed_index().0
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

/// A follower of a group of five, as it lies idle among ten thousand others.
pub fn idle() -> Peer {
    peer(1, 5, 1_000_000, false)
}
