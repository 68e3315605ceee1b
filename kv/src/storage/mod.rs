//! The log and the states of one peer (TinyKV `PeerStorage`).
//!
//! What is here is the peer's view, including what is not durable yet. What has to become durable
//! leaves as [`Batches`]; after a crash the peer starts again from what the driver kept.
//!
//! | file | room |
//! | --- | --- |
//! | `mod.rs` | opening, the log, what the core asks |
//! | `bootstrap.rs` | the first records of a store and of a region |
//! | `states.rs` | region, members, applied and truncated index |
//! | `install.rs` | a snapshot replaces everything; the peer is destroyed |

mod bootstrap;
mod install;
mod states;

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft_core::proto::metapb::{Peer, Region, RegionEpoch};
use raft_core::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftSnapshotData, RegionLocalState,
};
use raft_core::{EntryId, RaftState, Ready, Storage, StorageError};

pub use self::bootstrap::{
    INIT_LOG_INDEX, INIT_LOG_TERM, bootstrap, bootstrap_store, clear_prepare_bootstrap,
    clear_prepare_bootstrap_state, prepare_bootstrap, store_ident,
};
pub(crate) use self::install::Installation;
use crate::engine::{Batches, Engines, MemEngine, WriteBatch};
use crate::error::{Error, Result};
use crate::keys;
use crate::region::conf_state_of;
use crate::rules::StoreRules;
use crate::sessions::{Sessions, Writer};
use crate::state_machine::StateMachine;

/// The log and the states of one peer.
#[derive(Clone, Debug)]
pub struct PeerStorage {
    kv: StateMachine,
    region: Arc<Region>,
    conf_state: ConfState,
    hard_state: HardState,
    /// What stands after `truncated`, without a gap.
    log: VecDeque<Entry>,
    truncated: EntryId,
    applied_index: u64,
    sessions: Sessions,
    /// Whose storage it is.
    own: Option<Peer>,
    /// Whether the disk, or what is on its way there, names the peer.
    named: bool,
    rules: StoreRules,
}

impl PeerStorage {
    /// Starts from what is on the engines, after checking that it is whole.
    ///
    /// # Errors
    /// [`Error::NotBootstrapped`] without a region, [`Error::RegionNotFound`] if the peer was
    /// removed, [`Error::Corrupt`] for a record that does not decode, [`Error::Inconsistent`] for
    /// records that no peer could have written.
    pub fn open(engines: &Engines, region_id: u64, rules: StoreRules) -> Result<Self> {
        let state: Option<RegionLocalState> =
            engines.kv.get_message(&keys::region_state(region_id))?;
        let state = state.ok_or(Error::NotBootstrapped(region_id))?;
        if state.state() == PeerState::Tombstone {
            return Err(Error::RegionNotFound(region_id));
        }
        let region = state.region.ok_or(Error::NotBootstrapped(region_id))?;
        let conf_state = state.conf_state.unwrap_or_else(|| conf_state_of(&region));
        Ok(Self { named: true, ..Self::load(engines, region, conf_state, rules)? })
    }

    /// A peer that a membership change of this epoch created: it knows neither the members nor any
    /// entry.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn uninitialized(
        engines: &Engines,
        region_id: u64,
        born: RegionEpoch,
        rules: StoreRules,
    ) -> Result<Self> {
        let region = Region { id: region_id, region_epoch: Some(born), ..Region::default() };
        Self::load(engines, region, ConfState::default(), rules)
    }

    fn load(
        engines: &Engines,
        region: Region,
        conf_state: ConfState,
        rules: StoreRules,
    ) -> Result<Self> {
        let raft_state: RaftLocalState =
            engines.raft.get_message(&keys::raft_state(region.id))?.unwrap_or_default();
        let apply_state: RaftApplyState =
            engines.kv.get_message(&keys::apply_state(region.id))?.unwrap_or_default();
        let truncated = apply_state.truncated_state.unwrap_or_default();
        let mut storage = Self {
            sessions: Sessions::load(region.id, &engines.kv)?,
            kv: StateMachine::new(engines.kv.clone()),
            region: Arc::new(region),
            conf_state,
            hard_state: raft_state.hard_state.unwrap_or_default(),
            log: VecDeque::new(),
            truncated: EntryId::new(truncated.term, truncated.index),
            applied_index: apply_state.applied_index,
            own: None,
            named: false,
            rules,
        };
        storage.check_order(raft_state.last_index)?;
        storage.load_log(&engines.raft, &raft_state)?;
        Ok(storage)
    }

    /// What a crash in the middle of a batch, or a lost record, would break.
    fn check_order(&self, last: u64) -> Result<()> {
        let (first, applied, commit) =
            (self.truncated.index, self.applied_index, self.hard_state.commit);
        if (first..=last).contains(&commit) && (first..=commit).contains(&applied) {
            return Ok(());
        }
        Err(Error::Inconsistent(format!(
            "truncated {first}, applied {applied}, commit {commit}, last {last} must not decrease"
        )))
    }

    fn load_log(&mut self, raft: &MemEngine, state: &RaftLocalState) -> Result<()> {
        let own = self.hard_state.term;
        let mut term = self.truncated.term;
        let key = |index| keys::raft_log(self.region.id, index);
        let first = self.truncated.index.saturating_add(1);
        let mut records = raft.range(&key(first), &key(state.last_index.saturating_add(1)));
        for index in first..=state.last_index {
            let (key, value) = records
                .next()
                .filter(|(key, _)| keys::raft_log_index(key) == Some(index))
                .ok_or_else(|| Error::Inconsistent(format!("log entry {index} is missing")))?;
            let entry: Entry = prost::Message::decode(value.clone())
                .map_err(|error| Error::corrupt(key, &error))?;
            if entry.index != index || entry.term < term || entry.term > own {
                let found = EntryId::of(&entry);
                return Err(Error::Inconsistent(format!(
                    "log entry {index} is {found} after term {term}, in term {own}"
                )));
            }
            term = entry.term;
            self.log.push_back(entry);
        }
        if term != state.last_term {
            let recorded = state.last_term;
            return Err(Error::Inconsistent(format!(
                "the last entry has term {term}, the state says {recorded}"
            )));
        }
        Ok(())
    }

    /// The last entry of the log.
    fn last(&self) -> EntryId {
        self.log.back().map_or(self.truncated, EntryId::of)
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.truncated.index + 1)?).ok()
    }

    /// Appends entries, replacing what stands at their indices and dropping what stands after:
    /// those entries will never be committed (TinyKV `PeerStorage.Append`).
    ///
    /// # Errors
    /// [`StorageError::Gap`] if they do not connect to the log; nothing changes.
    pub fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) -> Result<()> {
        let skip = entries.partition_point(|entry| entry.index <= self.truncated.index);
        let new = &entries[skip..];
        let (Some(first), Some(last)) = (new.first(), new.last()) else {
            return Ok(());
        };
        let before = self.last().index;
        let Some(kept) = self.position(first.index).filter(|&kept| kept <= self.log.len()) else {
            return Err(StorageError::Gap { last: before, first: first.index }.into());
        };
        self.log.truncate(kept);
        self.log.extend(new.iter().cloned());
        let region = self.region.id;
        for entry in new {
            batch.put_message(keys::raft_log(region, entry.index), entry);
        }
        for index in last.index + 1..=before {
            batch.delete(keys::raft_log(region, index));
        }
        Ok(())
    }

    /// Writes what a `Ready` without a snapshot wants durable (TinyKV `SaveReadyState`).
    ///
    /// # Errors
    /// Entries that do not connect to the log.
    pub fn save(&mut self, ready: &Ready, batches: &mut Batches) -> Result<()> {
        self.append(&ready.entries, &mut batches.raft)?;
        if let Some(hard_state) = ready.hard_state {
            self.hard_state = hard_state;
        }
        if ready.hard_state.is_some() || !ready.entries.is_empty() {
            self.write_raft_state(&mut batches.raft);
            // With its first promise a new peer leaves its name. Else the store would forget it in a
            // crash, take a late message for an older peer's, and with that one bury the promise.
            if !self.named {
                self.write_region_state(&mut batches.kv);
            }
        }
        Ok(())
    }

    fn write_raft_state(&self, batch: &mut WriteBatch) {
        let last = self.last();
        let state = RaftLocalState {
            hard_state: Some(self.hard_state),
            last_index: last.index,
            last_term: last.term,
        };
        batch.put_message(keys::raft_state(self.region.id), &state);
    }

    pub(crate) fn writer<'a>(&'a mut self, batch: &'a mut WriteBatch) -> Writer<'a> {
        Writer { region: self.region.id, kv: &mut self.kv, batch }
    }
}

impl Storage for PeerStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(RaftState { hard_state: self.hard_state, conf_state: self.conf_state.clone() })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        let from = self.position(low).ok_or(StorageError::Compacted)?;
        let to = self.position(high).ok_or(StorageError::Compacted)?;
        if to > self.log.len() || from > to {
            return Err(StorageError::Unavailable);
        }
        if max_size == u64::MAX {
            return Ok(self.log.range(from..to).cloned().collect());
        }
        let mut size = 0u64;
        let fitting = self.log.range(from..to).take_while(|entry| {
            let first = size == 0;
            size = size.saturating_add(prost::Message::encoded_len(*entry) as u64);
            first || size <= max_size
        });
        Ok(fitting.cloned().collect())
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        let position = self.position(index).ok_or(StorageError::Compacted)?;
        self.log.get(position).map(|entry| entry.term).ok_or(StorageError::Unavailable)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.last().index)
    }

    /// What the snapshot says of itself. Its records follow in pieces, read from a view that is
    /// opened when the message leaves.
    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let index = (self.rules.snapshot_index)(self.applied_index, self.hard_state.commit);
        let term = self.term(index)?;
        let data = RaftSnapshotData { region: Some(self.region().clone()), ..Default::default() };
        let conf_state = Some(self.conf_state.clone());
        Ok(Snapshot {
            data: prost::Message::encode_to_vec(&data).into(),
            metadata: Some(SnapshotMetadata { conf_state, index, term }),
        })
    }
}

/// Two storages are equal if they hold the same; what rules they follow does not matter.
impl PartialEq for PeerStorage {
    fn eq(&self, other: &Self) -> bool {
        let Self { kv, region, conf_state, hard_state, log, truncated, applied_index, .. } = self;
        *kv == other.kv
            && *region == other.region
            && *conf_state == other.conf_state
            && *hard_state == other.hard_state
            && *log == other.log
            && *truncated == other.truncated
            && *applied_index == other.applied_index
            && self.sessions == other.sessions
    }
}

#[cfg(test)]
mod tests;
