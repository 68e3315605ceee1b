//! Our peers.

use bytes::Bytes;

use raft_core::eraftpb::{ConfState, Entry, HardState, Message, MessageType};
use raft_core::{Config, MemStorage, RawNode, Rules};

use crate::{Cluster, Counters};

/// One peer.
pub type Peer = RawNode<MemStorage>;

/// Peers of `raft-core`.
#[derive(Debug)]
pub struct Ours {
    peers: Vec<Peer>,
    connected: Vec<bool>,
    counters: Counters,
    counting_bytes: bool,
    bytes: u64,
    reads: u64,
}

/// The settings that both implementations share.
pub fn config(id: u64) -> Config {
    Config { max_inflight_msgs: 256, max_size_per_msg: 1 << 20, ..Config::new(id) }
}

/// One peer of `peers`, with an empty log.
///
/// # Panics
/// Never, with valid settings.
pub fn peer(id: u64, peers: u64) -> Peer {
    let voters: Vec<u64> = (1..=peers).collect();
    RawNode::new(&config(id), MemStorage::with_voters(voters)).expect("valid settings")
}

/// A follower of peer 1 in term 1, and `count` appends of `entries` entries each, each of which
/// commits the one before.
pub fn follower_and_appends(count: u64, entries: u64, size: usize) -> (Peer, Vec<Message>) {
    let payload = Bytes::from(vec![7; size]);
    let entry = |index| Entry { term: 1, index, data: payload.clone(), ..Entry::default() };
    let append = |index: u64| Message {
        msg_type: MessageType::MsgAppend.into(),
        from: 1,
        to: 2,
        term: 1,
        log_term: u64::from(index > 0),
        index,
        commit: index,
        entries: (index + 1..=index + entries).map(entry).collect(),
        ..Message::default()
    };
    (peer(2, 3), (0..count).map(|position| append(position * entries)).collect())
}

/// Steps one message and handles what comes of it. Returns the number of messages to send.
pub fn step(peer: &mut Peer, message: Message) -> usize {
    peer.step(message).expect("a message of a correct peer");
    let mut ready = peer.ready().expect("memory can be read");
    persist(peer, &mut ready.entries, ready.hard_state);
    let sent = ready.messages.len();
    peer.advance(ready).expect("memory can be read");
    sent
}

fn persist(peer: &mut Peer, entries: &mut Vec<Entry>, state: Option<HardState>) {
    let storage = peer.store_mut();
    storage.append_from(entries).expect("entries continue the log");
    if let Some(state) = state {
        storage.set_hard_state(state);
    }
}

impl Ours {
    /// Bytes of all messages delivered so far, encoded.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts the bytes of messages from now on; that takes time.
    pub fn count_bytes(&mut self) {
        self.counting_bytes = true;
    }

    /// Handles what peer `position` has to say, its messages included, until it falls silent.
    /// Returns whether it had something to say.
    fn handle(&mut self, position: usize) -> bool {
        let mut worked = false;
        while self.peers[position].has_ready() {
            worked = true;
            let peer = &mut self.peers[position];
            let mut ready = peer.ready().expect("memory can be read");
            persist(peer, &mut ready.entries, ready.hard_state);
            self.counters.applied += ready.committed_entries.len() as u64;
            self.counters.reads += ready.read_states.len() as u64;
            for message in ready.messages.drain(..) {
                self.deliver(message);
            }
            self.peers[position].advance(ready).expect("memory can be read");
        }
        worked
    }

    fn deliver(&mut self, message: Message) {
        self.counters.messages += 1;
        if self.counting_bytes {
            self.bytes += prost::Message::encoded_len(&message) as u64;
        }
        let (from, to) = (message.from as usize - 1, message.to as usize - 1);
        if self.connected[from] && self.connected[to] {
            self.peers[to].step(message).expect("a message of a correct peer");
        }
    }
}

impl Cluster for Ours {
    fn new(peers: u64) -> Self {
        let mut cluster = Self {
            peers: (1..=peers).map(|id| peer(id, peers)).collect(),
            connected: vec![true; peers as usize],
            counters: Counters::default(),
            counting_bytes: false,
            bytes: 0,
            reads: 0,
        };
        cluster.peers[0].campaign().expect("memory can be read");
        cluster.pump();
        cluster
    }

    fn propose(&mut self, payload: &Bytes) {
        self.peers[0].propose(payload.clone()).expect("peer 1 leads");
    }

    fn read(&mut self) {
        self.reads += 1;
        self.peers[0].read_index(self.reads.to_le_bytes().to_vec()).expect("peer 1 leads");
    }

    fn pump(&mut self) {
        // Every peer once, whether or not the one before it had anything to say.
        while (0..self.peers.len()).fold(false, |worked, peer| self.handle(peer) | worked) {}
    }

    fn compact(&mut self) {
        for peer in &mut self.peers {
            let applied = peer.raft().log().applied();
            // What is compacted already needs it no more.
            let _ = peer.store_mut().compact(applied);
        }
    }

    fn set_connected(&mut self, id: u64, connected: bool) {
        self.connected[id as usize - 1] = connected;
    }

    fn tick_leader(&mut self) {
        self.peers[0].tick().expect("memory can be read");
    }

    fn campaign_second(&mut self) {
        self.peers[1].campaign().expect("memory can be read");
    }

    fn quorum_index(&mut self) -> u64 {
        self.peers[0].raft().tracker().quorum_index(&Rules::default())
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

/// A follower of a group of five, as it lies idle among ten thousand others.
pub fn idle(seed: u64) -> Peer {
    let mut storage = MemStorage::new();
    storage.set_conf_state(ConfState { voters: vec![1, 2, 3, 4, 5], ..ConfState::default() });
    // It hears from its leader long before it would campaign.
    let config = Config { election_tick: 1_000_000, seed, ..config(1) };
    RawNode::new(&config, storage).expect("valid settings")
}
