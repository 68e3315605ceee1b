//! What a peer finds again after a crash.

use raft_core::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft_core::{EntryId, MemStorage, RaftState, Ready, Storage, StorageError};

/// A peer's log and hard state, and its application: the members, the commands applied so far and
/// up to which index.
///
/// The application's part is as durable as the log, so a restart applies nothing twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    log: MemStorage,
    members: ConfState,
    applied: u64,
    commands: Vec<String>,
}

impl Disk {
    /// A disk on which only the members of the beginning are written.
    pub(super) fn new(voters: Vec<u64>) -> Self {
        let members = ConfState { voters, ..ConfState::default() };
        Self { members, ..Self::default() }
    }

    /// Writes a log of empty entries with these terms, and the hard state beside it. What is
    /// committed is applied.
    pub(super) fn preload(&mut self, terms: &[u64], state: HardState) -> Result<(), StorageError> {
        let entries: Vec<_> = (1..)
            .zip(terms)
            .map(|(index, &term)| Entry { term, index, ..Entry::default() })
            .collect();
        self.log.set_hard_state(state);
        self.applied = state.commit;
        self.log.append(&entries)
    }

    pub(super) fn hard_state(&self) -> HardState {
        self.log.initial_state().map_or_else(|_| HardState::default(), |state| state.hard_state)
    }

    pub(super) fn log(&self) -> &MemStorage {
        &self.log
    }

    pub(super) fn members(&self) -> &ConfState {
        &self.members
    }

    pub(super) fn set_members(&mut self, members: ConfState) {
        self.members = members;
    }

    /// Index of the last entry that the application has applied.
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// The application's state: its commands in order.
    pub(super) fn state(&self) -> String {
        self.commands.join("\n")
    }

    /// Applies the entry at `index`; `command` is none if it is not one.
    pub(super) fn apply(&mut self, index: u64, command: Option<String>) {
        self.applied = index;
        self.commands.extend(command);
    }

    /// Saves what `ready` wants saved. Returns the entries that had to give way.
    pub(super) fn save(&mut self, ready: &Ready) -> Result<Vec<EntryId>, StorageError> {
        if let Some(snapshot) = &ready.snapshot {
            self.install(snapshot.as_ref().clone())?;
        }
        let first = ready.entries.first().map_or(u64::MAX, |entry| entry.index);
        let old = self.log.all_entries().iter().filter(|entry| entry.index >= first);
        let lost = old.filter(|entry| !ready.entries.contains(entry)).map(EntryId::of).collect();
        self.log.append(&ready.entries)?;
        if let Some(state) = ready.hard_state {
            self.log.set_hard_state(state);
        }
        Ok(lost)
    }

    fn install(&mut self, snapshot: Snapshot) -> Result<(), StorageError> {
        self.applied = EntryId::of_snapshot(&snapshot).index;
        let text = String::from_utf8_lossy(&snapshot.data).into_owned();
        self.commands = text.lines().map(str::to_owned).collect();
        let members = snapshot.metadata.as_ref().and_then(|m| m.conf_state.clone());
        self.members = members.unwrap_or_default();
        self.log.apply_snapshot(snapshot)
    }

    /// Saves a snapshot of the application. Returns the last entry that it contains.
    pub(super) fn make_snapshot(&mut self) -> Result<EntryId, StorageError> {
        let (members, state) = (self.members.clone(), self.state());
        let snapshot = self.log.create_snapshot(self.applied, Some(members), state)?;
        Ok(EntryId::of_snapshot(snapshot))
    }

    /// Drops the log up to `index`, which a snapshot must cover.
    pub(super) fn compact(&mut self, index: u64) -> Result<(), StorageError> {
        if EntryId::of_snapshot(&self.log.snapshot()?).index < index {
            return Err(StorageError::Unavailable);
        }
        self.log.compact(index)
    }
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(RaftState {
            hard_state: self.log.initial_state()?.hard_state,
            conf_state: self.members.clone(),
        })
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
        self.log.snapshot()
    }
}
