//! Region, members, applied and truncated index.

use std::sync::Arc;

use raft_core::EntryId;
use raft_core::eraftpb::{ConfState, HardState};
use raft_core::proto::metapb::{Peer, PeerRole, Region};
use raft_core::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftTruncatedState, RegionLocalState,
};

use super::PeerStorage;
use crate::engine::{Batches, MemEngine, ViewId, WriteBatch};
use crate::keys;
use crate::region::role_in;
use crate::sessions::{Sessions, Writer};
use crate::snapshot::Piece;

impl PeerStorage {
    /// The region's shape. A peer that a membership change created has none until it got a
    /// snapshot: then there are no peers.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The region's shape, for who changes the storage while it reads it.
    pub(crate) fn shared_region(&self) -> Arc<Region> {
        self.region.clone()
    }

    /// The members as the core counts them.
    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// Whether the peer knows its region's shape.
    pub fn is_initialized(&self) -> bool {
        !self.region.peers.is_empty()
    }

    /// Says whose storage it is.
    pub(crate) fn set_own(&mut self, own: Peer) {
        self.own = Some(own);
    }

    /// The peer of the region with this id.
    pub fn member(&self, id: u64) -> Option<Peer> {
        self.region.peers.iter().find(|peer| peer.id == id).copied()
    }

    /// The state machine as the peer sees it, including what is not durable yet.
    pub fn kv(&self) -> &MemEngine {
        &self.kv
    }

    /// A fingerprint of the users' data and the sessions, whatever the order in which they were
    /// written. Replicas that have applied the same have the same.
    pub fn fingerprint(&self) -> u64 {
        self.kv.fingerprint()
    }

    /// Term, vote and commit index as they were last saved.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The last entry whose effects are in the kv engine.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The last entry that is no longer in the log.
    pub fn truncated(&self) -> EntryId {
        self.truncated
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Changes the table of sessions.
    pub(crate) fn change_sessions<R>(
        &mut self,
        batch: &mut WriteBatch,
        change: impl FnOnce(&mut Sessions, &mut Writer<'_>) -> R,
    ) -> R {
        let mut writer = Writer { region: self.region.id, kv: &mut self.kv, batch };
        change(&mut self.sessions, &mut writer)
    }

    /// Records that everything up to `index` is applied. Belongs into the batch that holds the
    /// effects, or a crash would apply them twice or never.
    pub(crate) fn set_applied(&mut self, index: u64, batch: &mut WriteBatch) {
        self.applied_index = index;
        self.write_apply_state(batch);
    }

    fn write_apply_state(&mut self, batch: &mut WriteBatch) {
        let EntryId { term, index } = self.truncated;
        let truncated_state = Some(RaftTruncatedState { index, term });
        let state = RaftApplyState { applied_index: self.applied_index, truncated_state };
        let (key, value) =
            (keys::apply_state(self.region.id), prost::Message::encode_to_vec(&state));
        self.writer(batch).put(key, value.into());
    }

    /// Drops the log up to `to` (TinyKV `CompactLog` and `gcRaftLog`). An entry that is not in the
    /// log, or has another term there, changes nothing. The truncated index becomes durable with
    /// the applied index that follows it.
    pub(crate) fn compact(&mut self, to: EntryId, batches: &mut Batches) -> bool {
        let Some(position) = self.position(to.index) else { return false };
        if self.log.get(position).map(EntryId::of) != Some(to) {
            return false;
        }
        for entry in self.log.drain(..=position) {
            batches.raft.delete(keys::raft_log(self.region.id, entry.index));
        }
        self.truncated = to;
        true
    }

    /// The members changed: `conf_state` is what the core counts from now on. Peers that are new
    /// are taken from `known`.
    pub(crate) fn set_members(
        &mut self,
        conf_state: ConfState,
        known: &[Peer],
        changes: u64,
        batch: &mut WriteBatch,
    ) {
        let region = Arc::make_mut(&mut self.region);
        let old = std::mem::take(&mut region.peers);
        let mut peers: Vec<Peer> = Vec::new();
        for peer in old.iter().chain(known) {
            let role = role_in(&conf_state, peer.id);
            if let Some(role) = role.filter(|_| peers.iter().all(|other| other.id != peer.id)) {
                peers.push(Peer { role: role.into(), ..*peer });
            }
        }
        peers.sort_unstable_by_key(|peer| peer.id);
        region.peers = peers;
        let epoch = region.region_epoch.get_or_insert_default();
        epoch.conf_ver = epoch.conf_ver.saturating_add(changes);
        self.conf_state = conf_state;
        self.write_region_state(batch);
    }

    pub(super) fn write_region_state(&mut self, batch: &mut WriteBatch) {
        let joint = !self.conf_state.voters_outgoing.is_empty();
        let plain = !joint && self.region.peers.iter().all(|p| p.role() == PeerRole::Voter);
        let state = RegionLocalState {
            state: PeerState::Normal.into(),
            region: Some(self.region().clone()),
            conf_state: (!plain).then(|| self.conf_state.clone()),
            removed: self.own.filter(|own| self.member(own.id).is_none()),
        };
        let (key, value) =
            (keys::region_state(self.region.id), prost::Message::encode_to_vec(&state));
        self.writer(batch).put(key, value.into());
        self.named = true;
    }

    /// Opens a view of everything that a snapshot carries, as it is now.
    pub(crate) fn open_view(&mut self) -> ViewId {
        let sessions = (self.rules.snapshot_sessions)().then(|| keys::sessions(self.region.id));
        let mut families = keys::CFS.map(keys::family);
        families.sort_unstable();
        self.kv.open_view(sessions.into_iter().chain(families))
    }

    pub(crate) fn read_view(&mut self, view: ViewId, bytes_min: usize) -> Piece {
        let records = self.kv.read_view(view, bytes_min);
        Piece { records, last: self.kv.is_view_at_end(view) }
    }

    pub(crate) fn close_view(&mut self, view: ViewId) {
        self.kv.close_view(view);
    }
}
