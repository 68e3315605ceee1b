//! One server: a peer, its disk, and the commands that it has applied.

use prost::Message as _;
use raft_core::eraftpb::{Entry, HardState, Message, Snapshot};
use raft_core::{Config, MemStorage, Proposal, RawNode, Ready, StateRole, Storage};

/// A command: any bytes but none.
pub(crate) type Command = Vec<u8>;

/// Commands between two snapshots.
const SNAPSHOT_INTERVAL: usize = 10;

/// Ways in which a server may be wrong, to see whether the tests notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None.
    #[default]
    None,
    /// Entries are not written to disk.
    EntriesNotOnDisk,
    /// The log is never compacted.
    NoCompaction,
}

/// A peer and what belongs to it. The disk and the commands outlive the peer.
pub(crate) struct Server {
    /// None while the server is down.
    pub(crate) node: Option<RawNode<MemStorage>>,
    /// What was written before messages left.
    disk: MemStorage,
    /// How often the server was started.
    pub(crate) life: u64,
    /// What the peer has applied, in order.
    pub(crate) commands: Vec<Command>,
    /// How many of them were compared with those of the others.
    pub(crate) compared: usize,
    /// The index of the last entry applied, or the snapshot's.
    applied: u64,
    /// How many commands the last snapshot holds; none if this server makes no snapshots.
    snapshot: Option<usize>,
    fault: Fault,
    /// The application will look after its peer.
    pub(crate) has_work: bool,
}

impl Server {
    pub(crate) fn new(voters: Vec<u64>, snapshots: bool, fault: Fault) -> Self {
        Self {
            node: None,
            disk: MemStorage::with_voters(voters),
            life: 0,
            commands: Vec::new(),
            compared: 0,
            applied: 0,
            snapshot: snapshots.then_some(0),
            fault,
            has_work: false,
        }
    }

    /// Starts from the disk. What follows the snapshot is applied again.
    pub(crate) fn start(&mut self, config: &Config) {
        let snapshot = self.disk.snapshot().unwrap();
        self.restore(&snapshot);
        let config = Config { applied: self.applied, ..config.clone() };
        self.node = Some(RawNode::new(&config, self.disk.clone()).unwrap());
        self.life += 1;
        self.has_work = false;
    }

    /// The peer is gone at once, and with it all that is not on disk.
    pub(crate) fn crash(&mut self) {
        self.node = None;
    }

    /// The lab's `Start`: the command's index and the term, if this server believes to lead.
    pub(crate) fn propose(&mut self, command: Command) -> Option<(u64, u64)> {
        let node = self.node.as_mut()?;
        let Ok(Proposal::Appended { term, index }) = node.propose(command) else {
            return None;
        };
        // What is applied is only commands; of the rest some are empty.
        let rest = node.raft().log().slice(self.applied + 1, index + 1, u64::MAX).unwrap();
        let commands = rest.iter().filter(|entry| !entry.data.is_empty()).count();
        Some(((self.commands.len() + commands) as u64, term))
    }

    /// Term, and whether it believes to lead.
    pub(crate) fn state(&self) -> Option<(u64, bool)> {
        let raft = self.node.as_ref()?.raft();
        Some((raft.term(), raft.role() == StateRole::Leader))
    }

    /// Bytes of hard state and log on disk, without the snapshot.
    pub(crate) fn state_size(&self) -> usize {
        let state = self.disk.initial_state().unwrap().hard_state;
        let entries = self.disk.all_entries().iter();
        state.encoded_len() + entries.map(prost::Message::encoded_len).sum::<usize>()
    }

    /// Does what the peer asks for: persist, send, apply, advance. Adds messages to `outbox`.
    pub(crate) fn drive(&mut self, outbox: &mut Vec<Message>) {
        self.has_work = false;
        while self.node.as_ref().is_some_and(RawNode::has_ready) {
            let Some(node) = &mut self.node else { return };
            let mut ready = node.ready().unwrap();
            self.persist(&ready);
            outbox.append(&mut ready.messages);
            if let Some(snapshot) = &ready.snapshot {
                self.install(snapshot);
            }
            for entry in &ready.committed_entries {
                self.apply(entry);
            }
            if let Some(node) = &mut self.node {
                node.advance(ready).unwrap();
            }
            self.compact();
        }
    }

    /// Writes to the disk, and to the peer's own view of it.
    fn persist(&mut self, ready: &Ready) {
        let Some(node) = &mut self.node else { return };
        let write = |disk: &mut MemStorage, entries: &[Entry], state: Option<HardState>| {
            if let Some(snapshot) = &ready.snapshot {
                disk.apply_snapshot((**snapshot).clone()).unwrap();
            }
            disk.append(entries).unwrap();
            if let Some(state) = state {
                disk.set_hard_state(state);
            }
        };
        write(node.store_mut(), &ready.entries, ready.hard_state);
        if self.fault == Fault::EntriesNotOnDisk {
            // A commit index beyond the log would be noticed at once, and by the core.
            let state = ready.hard_state.map(|state| HardState { commit: 0, ..state });
            write(&mut self.disk, &[], state);
        } else {
            write(&mut self.disk, &ready.entries, ready.hard_state);
        }
    }

    fn install(&mut self, snapshot: &Snapshot) {
        let index = snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index);
        assert!(index > self.applied, "snapshot at {index} goes back behind {}", self.applied);
        self.restore(snapshot);
    }

    /// The commands are the snapshot's.
    fn restore(&mut self, snapshot: &Snapshot) {
        self.commands = decode(&snapshot.data);
        self.compared = 0;
        self.applied = snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index);
        self.snapshot = self.snapshot.map(|_| self.commands.len());
    }

    fn apply(&mut self, entry: &Entry) {
        let (index, expected) = (entry.index, self.applied + 1);
        assert_eq!(index, expected, "server applies out of order");
        self.applied = index;
        if !entry.data.is_empty() {
            self.commands.push(entry.data.to_vec());
        }
    }

    /// Folds what is applied into a snapshot, if there is enough of it.
    fn compact(&mut self) {
        let Some(held) = self.snapshot else { return };
        let Some(node) = &mut self.node else { return };
        if self.commands.len() < held + SNAPSHOT_INTERVAL || self.fault == Fault::NoCompaction {
            return;
        }
        // One that has come in and is not on disk yet will replace all this.
        if node.raft().log().pending_snapshot().is_some() {
            return;
        }
        let data = encode(&self.commands);
        for disk in [&mut self.disk, node.store_mut()] {
            disk.create_snapshot(self.applied, None, data.clone()).unwrap();
            disk.compact(self.applied).unwrap();
        }
        self.snapshot = Some(self.commands.len());
    }
}

/// The whole state machine: its commands, each after its length.
fn encode(commands: &[Command]) -> Vec<u8> {
    let mut data = Vec::new();
    for command in commands {
        data.extend(u32::try_from(command.len()).unwrap().to_le_bytes());
        data.extend(command);
    }
    data
}

fn decode(mut data: &[u8]) -> Vec<Command> {
    let mut commands = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let (command, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        commands.push(command.to_vec());
        data = rest;
    }
    commands
}
