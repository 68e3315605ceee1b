//! Settings of a peer.

use raft_core::proto::metapb;
use raft_core::{Config, ReadOnly, Rules, SelfAck};

use crate::rules::StoreRules;

/// How reads make sure that they see every write acknowledged before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadPolicy {
    /// The leader asks a quorum whether it still leads (section 8). Right whatever the clocks do.
    #[default]
    Index,
    /// The leader trusts its lease. Right only if no clock runs faster than another by an election
    /// time-out; needs [`PeerConfig::check_quorum`], and the same policy on all peers.
    Lease,
    /// Reads go through the log like writes.
    Log,
}

/// When a leader drops the beginning of the log. A follower drops its own with it, and without it
/// what it has beyond twice the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGc {
    /// Ticks between two looks.
    pub tick_interval: u64,
    /// Entries that may be applied and still in the log when it looks.
    pub count_limit: u64,
}

impl Default for LogGc {
    /// TinyKV's: a look every ten ticks, 128,000 entries.
    fn default() -> Self {
        Self { tick_interval: 10, count_limit: 128_000 }
    }
}

/// Settings of a peer.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Who it is.
    pub peer: metapb::Peer,
    /// The region it replicates.
    pub region_id: u64,
    /// Ticks without a leader before it campaigns.
    pub election_tick: u32,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_tick: u32,
    /// Seed of its randomness. Another one at each start: it also tells the reads of this start
    /// from those of an earlier one, whose answers may still be on their way.
    pub seed: u64,
    /// See [`Config::pre_vote`].
    pub pre_vote: bool,
    /// See [`Config::check_quorum`].
    pub check_quorum: bool,
    /// How reads are served.
    pub reads: ReadPolicy,
    /// When the log is dropped.
    pub log_gc: LogGc,
    /// Largest command in bytes.
    pub max_command_bytes: usize,
    /// See [`Config::max_size_per_msg`].
    pub max_size_per_msg: u64,
    /// See [`Config::max_inflight_msgs`].
    pub max_inflight_msgs: u32,
    /// Most bytes of entries that one [`Work`](crate::Work) applies, at least one entry whatever its
    /// size: the less, the further the state machine may lag behind the log.
    pub apply_bytes_max: u64,
    /// See [`Config::broadcast_commit`].
    pub broadcast_commit: bool,
    /// The rules of the protocol that it follows.
    pub rules: Rules,
    /// The rules of the store that it follows.
    pub store_rules: StoreRules,
}

impl PeerConfig {
    /// TinyKV's settings for `peer` of region `region_id`, with reads by read index.
    pub fn new(peer: metapb::Peer, region_id: u64) -> Self {
        let core = Config::new(peer.id);
        Self {
            peer,
            region_id,
            election_tick: 10,
            heartbeat_tick: 2,
            seed: 0,
            pre_vote: false,
            check_quorum: false,
            reads: ReadPolicy::default(),
            log_gc: LogGc::default(),
            max_command_bytes: 8 << 20,
            max_size_per_msg: core.max_size_per_msg,
            max_inflight_msgs: core.max_inflight_msgs,
            apply_bytes_max: 1 << 20,
            broadcast_commit: core.broadcast_commit,
            rules: Rules::default(),
            store_rules: StoreRules::default(),
        }
    }

    /// The core's settings.
    pub(super) fn raft(&self, id: u64, applied: u64) -> Config {
        let lease = self.reads == ReadPolicy::Lease;
        Config {
            applied,
            election_tick: self.election_tick,
            heartbeat_tick: self.heartbeat_tick,
            seed: self.seed,
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            read_only: if lease { ReadOnly::LeaseBased } else { ReadOnly::Safe },
            max_size_per_msg: self.max_size_per_msg,
            max_inflight_msgs: self.max_inflight_msgs,
            // 0 would make it as small as the messages, which are no reason to apply little.
            max_committed_size_per_ready: self.apply_bytes_max.max(1),
            broadcast_commit: self.broadcast_commit,
            rules: self.rules.into(),
            self_ack: SelfAck::OnPersist,
            // Proposals are matched by the index they get here, so they must not wander.
            forward_proposals: false,
            // The store itself watches over its snapshots and tells.
            give_up_snapshot_after: 0,
            ..Config::new(id)
        }
    }
}
