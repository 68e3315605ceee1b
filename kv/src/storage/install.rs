//! A snapshot replaces everything; the peer is destroyed.

use std::sync::Arc;

use raft_core::EntryId;
use raft_core::Ready;
use raft_core::eraftpb::{ConfState, HardState, Snapshot};
use raft_core::proto::metapb::Region;
use raft_core::proto::raft_serverpb::{PeerState, RegionLocalState};

use super::PeerStorage;
use crate::engine::{Batches, Record};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::keys;
use crate::sessions::Sessions;

/// The state machine that comes with a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) region: Region,
    pub(crate) records: Vec<Record>,
}

impl PeerStorage {
    /// Writes what a `Ready` with a snapshot wants durable: all of the old state goes, all of the
    /// new one comes, in one unit (TinyKV `ApplySnapshot`).
    ///
    /// # Errors
    /// A snapshot without an index, or entries that do not connect to it.
    pub(crate) fn install(
        &mut self,
        snapshot: &Snapshot,
        installation: Installation,
        ready: &Ready,
        batches: &mut Batches,
    ) -> Result<()> {
        let id = EntryId::of_snapshot(snapshot);
        let metadata = snapshot.metadata.as_ref();
        let conf_state = metadata.and_then(|metadata| metadata.conf_state.clone());
        let conf_state = conf_state.ok_or(Error::Invalid("a snapshot without members"))?;
        self.clear_meta(batches);
        self.clear_data(batches);
        self.region = Arc::new(installation.region);
        let mut writer = self.writer(&mut batches.kv);
        for (key, value) in installation.records {
            writer.put(key, value);
        }
        self.sessions = Sessions::load(self.region.id, &self.kv)?;
        self.set_conf_state(conf_state);
        self.truncated = id;
        self.hard_state = ready.hard_state.unwrap_or(self.hard_state);
        // What the snapshot covers is committed, whatever the core has said so far.
        self.hard_state.commit = self.hard_state.commit.max(id.index);
        self.append(&ready.entries, &mut batches.raft)?;
        self.write_raft_state(&mut batches.raft);
        self.set_applied(id.index, &mut batches.kv);
        self.write_region_state(&mut batches.kv);
        Ok(())
    }

    fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = (self.rules.snapshot_members)(&self.conf_state, conf_state);
    }

    /// Deletes the records of the region and its log (TinyKV `ClearMeta`).
    fn clear_meta(&mut self, batches: &mut Batches) {
        let region = self.region.id;
        for entry in self.log.drain(..) {
            batches.raft.delete(keys::raft_log(region, entry.index));
        }
        batches.raft.delete(keys::raft_state(region));
        let mut writer = self.writer(&mut batches.kv);
        writer.delete(&keys::apply_state(region));
        writer.delete(&keys::region_state(region));
    }

    /// Deletes the state machine: the users' data and the sessions.
    fn clear_data(&mut self, batches: &mut Batches) {
        let ranges =
            keys::CFS.map(keys::family).into_iter().chain([keys::sessions(self.region.id)]);
        let doomed: Vec<Key> = ranges
            .flat_map(|(start, end)| self.kv.range(&start, &end).map(|(key, _)| key.clone()))
            .collect();
        let mut writer = self.writer(&mut batches.kv);
        for key in &doomed {
            writer.delete(key);
        }
    }

    /// Deletes everything but a tombstone, which keeps late messages from creating `me` again
    /// (TinyKV `destroyPeer`).
    pub(crate) fn destroy(&mut self, batches: &mut Batches) {
        self.clear_meta(batches);
        self.clear_data(batches);
        let state = RegionLocalState {
            state: PeerState::Tombstone.into(),
            region: Some(self.region().clone()),
            conf_state: None,
            removed: self.own,
        };
        let (key, value) =
            (keys::region_state(self.region.id), prost::Message::encode_to_vec(&state));
        self.writer(&mut batches.kv).put(key, value.into());
        (self.truncated, self.applied_index) = (EntryId::default(), 0);
        self.hard_state = HardState::default();
        self.sessions = Sessions::default();
    }
}
