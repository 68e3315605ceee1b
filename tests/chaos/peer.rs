//! One peer with its disk, its state machine, and a driver that is late with everything.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use raft_core::eraftpb::{ConfState, Entry, Message};
use raft_core::{Config, MemStorage, RawNode, ReadState, Ready, SelfAck, conf_change_of};

/// A state machine that remembers what it has applied, as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) applied: u64,
    pub(crate) digest: u64,
}

impl Machine {
    fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.applied + 1, "in order, each entry once");
        let mut hasher = DefaultHasher::new();
        (self.digest, entry.index, entry.term, &entry.data[..]).hash(&mut hasher);
        *self = Self { applied: entry.index, digest: hasher.finish() };
    }
}

/// What became visible of a peer.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) messages: Vec<Message>,
    pub(crate) reads: Vec<ReadState>,
    /// The machine after each entry applied, and the members if the peer knows of none newer.
    pub(crate) applied: Vec<(Machine, Option<ConfState>)>,
}

pub(crate) struct Peer {
    pub(crate) config: Config,
    pub(crate) node: RawNode<MemStorage>,
    pub(crate) machine: Machine,
    pub(crate) up: bool,
    /// `Ready`s that are not on disk yet.
    unwritten: VecDeque<Ready>,
    /// Batches that the state machine has not seen yet.
    unapplied: VecDeque<Vec<Entry>>,
}

impl Peer {
    pub(crate) fn start(config: Config, disk: MemStorage) -> Self {
        let node = RawNode::new(&config, disk).unwrap();
        let mut peer = Self {
            config,
            node,
            machine: Machine::default(),
            up: true,
            unwritten: VecDeque::new(),
            unapplied: VecDeque::new(),
        };
        peer.machine = peer.restored();
        peer
    }

    /// The state machine as the snapshot on disk describes it.
    fn restored(&self) -> Machine {
        use raft_core::Storage as _;
        let snapshot = self.node.store().snapshot().unwrap();
        let applied = snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index);
        let digest = snapshot.data[..].try_into().map_or(0, u64::from_le_bytes);
        Machine { applied, digest }
    }

    /// Loses everything that is not on disk.
    pub(crate) fn crash(&mut self) {
        self.up = false;
    }

    pub(crate) fn restart(&mut self) {
        let disk = self.node.store().clone();
        let mut config = Config { peers: Vec::new(), ..self.config.clone() };
        // The machine is rebuilt from the snapshot, so everything after it is applied again.
        config.applied = self.restored().applied;
        let base = self.config.clone();
        *self = Self::start(config, disk);
        self.config = base;
    }

    /// What it may tell others to be committed. A peer that counts its own appends at once may
    /// still lose them, so only what it has applied is certain.
    pub(crate) fn committed(&self) -> u64 {
        match self.config.self_ack {
            SelfAck::OnAppend => self.machine.applied,
            SelfAck::OnPersist => self.node.raft().log().committed(),
        }
    }

    pub(crate) fn busy(&self) -> bool {
        !self.unwritten.is_empty() || !self.unapplied.is_empty() || self.node.has_ready()
    }

    pub(crate) fn take_ready(&mut self, out: &mut Output) {
        if !self.node.has_ready() {
            return;
        }
        let mut ready = self.node.ready().unwrap();
        out.reads.append(&mut ready.read_states);
        if self.config.async_persist {
            out.messages.append(&mut ready.messages);
            if !ready.committed_entries.is_empty() {
                self.unapplied.push_back(core::mem::take(&mut ready.committed_entries));
            }
        }
        self.unwritten.push_back(ready);
    }

    /// The disk has done the oldest write.
    pub(crate) fn write(&mut self, out: &mut Output) {
        let Some(mut ready) = self.unwritten.pop_front() else {
            return;
        };
        let disk = self.node.store_mut();
        if let Some(snapshot) = ready.snapshot.clone() {
            // One that was asked for may be as old as what is there.
            let _ = disk.apply_snapshot(*snapshot);
        }
        disk.append(&ready.entries).unwrap();
        if let Some(state) = ready.hard_state {
            disk.set_hard_state(state);
        }
        if let Some(metadata) = ready.snapshot.take().and_then(|snapshot| snapshot.metadata) {
            // The machine is replaced; what it had not seen yet is in there.
            self.unapplied.clear();
            self.machine = self.restored();
            // As they were then: the peer itself may know of a newer snapshot already.
            out.applied.push((self.machine, metadata.conf_state));
        }
        if self.config.async_persist {
            out.messages.extend(self.node.on_persisted(ready.number).unwrap());
            return;
        }
        out.messages.append(&mut ready.messages);
        self.apply(&core::mem::take(&mut ready.committed_entries), out);
        self.node.advance(ready).unwrap();
    }

    /// The machine has seen the oldest batch.
    pub(crate) fn apply_batch(&mut self, out: &mut Output) {
        let Some(batch) = self.unapplied.pop_front() else {
            return;
        };
        self.apply(&batch, out);
        self.node.on_applied(self.machine.applied).unwrap();
    }

    fn members(&self) -> ConfState {
        self.node.raft().tracker().conf_state()
    }

    fn apply(&mut self, entries: &[Entry], out: &mut Output) {
        for entry in entries {
            self.machine.apply(entry);
            if let Some(change) = conf_change_of(entry).unwrap() {
                // Refused on every peer alike, or on none.
                let _ = self.node.apply_conf_change(&change);
            }
            let superseded = self.node.raft().log().pending_snapshot().is_some();
            out.applied.push((self.machine, (!superseded).then(|| self.members())));
        }
    }

    /// Folds what is applied into a snapshot, and drops the log up to `keep` entries before it.
    /// Only what is known on disk to be committed: a peer must be able to start from there.
    pub(crate) fn compact(&mut self, keep: u64) {
        use raft_core::Storage as _;
        let commit = self.node.store().initial_state().unwrap().hard_state.commit;
        let Machine { applied, digest } = self.machine;
        let log = self.node.raft().log();
        if log.applied() != applied || commit < applied || log.pending_snapshot().is_some() {
            return;
        }
        let members = self.members();
        let disk = self.node.store_mut();
        let data = digest.to_le_bytes().to_vec();
        if disk.create_snapshot(applied, Some(members), data).is_ok() {
            let _ = disk.compact(applied.saturating_sub(keep));
        }
    }
}
