//! The disk of one node: what the node sees, what would survive a crash, and what lies between.
//!
//! Every write is seen at once and becomes durable later, in order. A crash keeps what was synced
//! and any prefix of the rest, because a disk may finish a write that nobody waited for.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_core::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft_core::{EntryId, RaftState, Storage, StorageError};

use crate::rng::{Rng, mix, mix_bytes};

/// Index and term of the snapshot that a cluster starts from. Not 0, so that a node that joins
/// later needs a snapshot before it can accept entries.
pub(crate) const FIRST: u64 = 5;

/// The state machine: a digest of everything applied, and the members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct App {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) digest: u64,
    pub(crate) members: ConfState,
}

impl App {
    /// The state of a new cluster.
    pub(crate) fn first(voters: &[u64]) -> Self {
        let members = ConfState { voters: voters.to_vec(), ..ConfState::default() };
        Self { index: FIRST, term: FIRST, digest: 0, members }
    }

    /// Applies `entry`, without the membership change that it may be.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        self.index = entry.index;
        self.term = entry.term;
        self.digest = mix(self.digest, hash(entry));
    }

    fn snapshot(&self, padding: usize) -> Snapshot {
        let mut data = self.digest.to_le_bytes().to_vec();
        data.resize(data.len() + padding, 7);
        let (index, term) = (self.index, self.term);
        let conf_state = Some(self.members.clone());
        let metadata = Some(SnapshotMetadata { conf_state, index, term });
        Snapshot { data: data.into(), metadata }
    }

    /// The state that `snapshot` holds.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let metadata = snapshot.metadata.as_ref()?;
        let digest = u64::from_le_bytes(snapshot.data.get(..8)?.try_into().ok()?);
        let members = metadata.conf_state.clone()?;
        Some(Self { index: metadata.index, term: metadata.term, digest, members })
    }
}

/// Fingerprint of what an entry says, index and term left out.
pub(crate) fn hash(entry: &Entry) -> u64 {
    let kind = u64::from(entry.entry_type.unsigned_abs());
    mix_bytes(mix_bytes(kind, &entry.data), &entry.context)
}

/// The same members in the same order, for comparison: the two implementations list them
/// differently.
pub(crate) fn sorted(members: &ConfState) -> ConfState {
    let mut members = members.clone();
    members.voters.sort_unstable();
    members.learners.sort_unstable();
    members.voters_outgoing.sort_unstable();
    members.learners_next.sort_unstable();
    members
}

/// One change of a disk.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    HardState(HardState),
    /// Replaces what stands at their indices and after.
    Entries(Vec<Entry>),
    /// A snapshot in place of the log.
    Snapshot(App),
    /// The state machine as it is now.
    Checkpoint(App),
    /// Drops the log up to and including this index.
    Compact(u64),
}

#[derive(Clone, Debug, Default)]
struct Image {
    hard_state: HardState,
    /// The last entry that is not in the log any more.
    truncated: EntryId,
    entries: Vec<Entry>,
    checkpoint: App,
}

impl Image {
    fn last(&self) -> u64 {
        self.entries.last().map_or(self.truncated.index, |entry| entry.index)
    }

    fn position(&self, index: u64) -> Result<usize, StorageError> {
        let offset = index.checked_sub(self.truncated.index + 1).ok_or(StorageError::Compacted)?;
        match usize::try_from(offset) {
            Ok(position) if position < self.entries.len() => Ok(position),
            _ => Err(StorageError::Unavailable),
        }
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        Ok(self.entries[self.position(index)?].term)
    }

    fn range(&self, low: u64, high: u64) -> Result<&[Entry], StorageError> {
        if low >= high {
            return Ok(&[]);
        }
        Ok(&self.entries[self.position(low)?..=self.position(high - 1)?])
    }

    fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        match write {
            Write::HardState(state) => self.hard_state = *state,
            Write::Entries(entries) => self.append(entries)?,
            Write::Snapshot(app) => {
                self.truncated = EntryId::new(app.term, app.index);
                self.entries.clear();
                self.checkpoint = app.clone();
            }
            Write::Checkpoint(app) => self.checkpoint = app.clone(),
            Write::Compact(index) => {
                let position = self.position(*index)?;
                self.truncated = EntryId::new(self.entries[position].term, *index);
                self.entries.drain(..=position);
            }
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return Ok(());
        };
        if first > self.last() + 1 {
            return Err(StorageError::Gap { last: self.last(), first });
        }
        let keep = match self.position(first) {
            Ok(position) => position,
            Err(StorageError::Compacted) => return Err(StorageError::Compacted),
            Err(_) => self.entries.len(),
        };
        self.entries.truncate(keep);
        self.entries.extend_from_slice(entries);
        Ok(())
    }
}

/// The disk of one node, and the state machine that it serves snapshots of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// What the node sees.
    view: Image,
    /// What is synced.
    durable: Image,
    /// What is not, in order, by the number of the `Ready` that it came with.
    queue: VecDeque<(u64, Vec<Write>)>,
    /// The state machine, in memory.
    pub(crate) app: App,
    /// Whether a snapshot can be had at the moment.
    pub(crate) snapshot_ready: bool,
    /// Bytes that make snapshots larger.
    padding: usize,
}

impl Disk {
    /// The disk of a member of a new cluster.
    pub(crate) fn of_member(voters: &[u64], padding: usize) -> Self {
        let app = App::first(voters);
        let image = Image {
            hard_state: HardState { term: FIRST, vote: 0, commit: FIRST },
            truncated: EntryId::new(FIRST, FIRST),
            entries: Vec::new(),
            checkpoint: app.clone(),
        };
        Self { view: image.clone(), durable: image, app, ..Self::empty(padding) }
    }

    /// The disk of a node that is to join.
    pub(crate) fn empty(padding: usize) -> Self {
        Self { snapshot_ready: true, padding, ..Self::default() }
    }

    /// Writes what came with `Ready` number `number`.
    pub(crate) fn write(&mut self, number: u64, writes: Vec<Write>) -> Result<(), StorageError> {
        for write in &writes {
            self.view.write(write)?;
        }
        self.queue.push_back((number, writes));
        Ok(())
    }

    /// Writes what no `Ready` waits for.
    pub(crate) fn write_aside(&mut self, writes: Vec<Write>) -> Result<(), StorageError> {
        let number = self.queue.back().map_or(0, |(number, _)| *number);
        self.write(number, writes)
    }

    /// Makes durable what was written up to `Ready` number `number`.
    pub(crate) fn sync(&mut self, number: u64) -> Result<(), StorageError> {
        while self.queue.front().is_some_and(|(front, _)| *front <= number) {
            for write in self.queue.pop_front().into_iter().flat_map(|(_, writes)| writes) {
                self.durable.write(&write)?;
            }
        }
        Ok(())
    }

    /// A power cut: of what was not synced a prefix is left.
    pub(crate) fn crash(&mut self, rng: &mut Rng) -> Result<(), StorageError> {
        let kept = rng.position(self.queue.len() + 1);
        for (_, writes) in self.queue.drain(..).take(kept) {
            for write in writes {
                self.durable.write(&write)?;
            }
        }
        self.queue.clear();
        self.view = self.durable.clone();
        self.app = self.durable.checkpoint.clone();
        self.snapshot_ready = true;
        Ok(())
    }

    /// The state machine as it is on disk.
    pub(crate) fn checkpoint(&self) -> &App {
        &self.view.checkpoint
    }

    pub(crate) fn hard_state(&self) -> HardState {
        self.view.hard_state
    }

    pub(crate) fn truncated(&self) -> EntryId {
        self.view.truncated
    }

    pub(crate) fn last(&self) -> u64 {
        self.view.last()
    }

    pub(crate) fn term_at(&self, index: u64) -> Result<u64, StorageError> {
        self.view.term(index)
    }

    pub(crate) fn slice(&self, low: u64, high: u64) -> Result<&[Entry], StorageError> {
        self.view.range(low, high)
    }

    /// A snapshot of the state machine, at `request` or later.
    pub(crate) fn make_snapshot(&self, request: u64) -> Option<Snapshot> {
        let can = self.snapshot_ready && self.app.index >= request && self.app.index > 0;
        can.then(|| self.app.snapshot(self.padding))
    }
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        let conf_state = self.view.checkpoint.members.clone();
        Ok(RaftState { hard_state: self.view.hard_state, conf_state })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        let mut entries = self.view.range(low, high)?.to_vec();
        raft_core::limit_size(&mut entries, max_size);
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.view.term(index)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.view.truncated.index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.view.last())
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.make_snapshot(0).ok_or(StorageError::SnapshotTemporarilyUnavailable)
    }
}

/// The number of a proposal as bytes, padded so that sizes differ.
pub(crate) fn payload(number: u64, padding: usize) -> Bytes {
    let mut data = number.to_le_bytes().to_vec();
    data.resize(8 + padding, 1);
    data.into()
}
