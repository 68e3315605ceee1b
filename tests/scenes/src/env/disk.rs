//! What a peer finds again after a crash: its log, its hard state and its state machine.

use bytes::Bytes;
use raft_core::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft_core::{EntryId, MemStorage, RaftState, Storage, StorageError};

/// A log in memory, and a state machine that appends the data of each entry to what it has.
///
/// The state machine is as durable as the log, so a restart applies nothing twice.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    log: MemStorage,
    /// The state machine after everything applied so far: who asks for a snapshot gets the newest
    /// state.
    state: Snapshot,
}

impl Disk {
    /// A disk on which nothing but `state` is written. A state at index 0 is the members alone.
    pub(crate) fn new(state: Snapshot) -> Result<Self, StorageError> {
        let mut log = MemStorage::new();
        if EntryId::of_snapshot(&state).index > 0 {
            log.apply_snapshot(state.clone())?;
        } else if let Some(members) = state.metadata.as_ref().and_then(|m| m.conf_state.clone()) {
            log.set_conf_state(members);
        }
        Ok(Self { log, state })
    }

    pub(crate) fn log(&self) -> &MemStorage {
        &self.log
    }

    pub(crate) fn log_mut(&mut self) -> &mut MemStorage {
        &mut self.log
    }

    pub(crate) fn hard_state(&self) -> HardState {
        self.log.initial_state().map_or_else(|_| HardState::default(), |state| state.hard_state)
    }

    /// The last entry that the state machine has applied.
    pub(crate) fn applied(&self) -> EntryId {
        EntryId::of_snapshot(&self.state)
    }

    /// Everything that was applied, in order.
    pub(crate) fn data(&self) -> &Bytes {
        &self.state.data
    }

    /// The members as of the last entry applied.
    pub(crate) fn members(&self) -> ConfState {
        let metadata = self.state.metadata.as_ref();
        metadata.and_then(|metadata| metadata.conf_state.clone()).unwrap_or_default()
    }

    /// Applies an entry: `data` is appended, and `members` replace the members if given.
    pub(crate) fn apply(&mut self, id: EntryId, data: &[u8], members: Option<ConfState>) {
        let members = members.unwrap_or_else(|| self.members());
        self.state = snapshot_of(id, members, [&self.state.data[..], data].concat());
    }

    /// Writes what a `Ready` asks for.
    pub(crate) fn write(
        &mut self,
        hard_state: Option<HardState>,
        snapshot: Option<&Snapshot>,
        entries: &[Entry],
    ) -> Result<(), StorageError> {
        if let Some(hard_state) = hard_state {
            self.log.set_hard_state(hard_state);
        }
        if let Some(snapshot) = snapshot {
            self.log.apply_snapshot(snapshot.clone())?;
            self.state = snapshot.clone();
        }
        self.log.append(entries)
    }
}

/// The state `data` after entry `id`.
pub(crate) fn snapshot_of(id: EntryId, members: ConfState, data: impl Into<Bytes>) -> Snapshot {
    let EntryId { term, index } = id;
    let metadata = SnapshotMetadata { conf_state: Some(members), index, term };
    Snapshot { data: data.into(), metadata: Some(metadata) }
}

impl Storage for Disk {
    /// A restart continues with the members of the state machine: those that the log knows are of
    /// its last snapshot.
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        let hard_state = self.log.initial_state()?.hard_state;
        Ok(RaftState { hard_state, conf_state: self.members() })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.log.entries(low, high, max_size)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.log.term(index)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        self.log.first_index()
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        self.log.last_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(self.state.clone())
    }
}
