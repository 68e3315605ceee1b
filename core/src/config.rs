//! How a peer is set up.

use alloc::vec::Vec;

use crate::error::{ConfigError, Result};
use crate::rules::RuleBook;

/// When a peer counts its own vote and its own append towards a quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfAck {
    /// At once, before they are on disk (TinyKV). Safe only because the driver persists before it
    /// sends or applies anything of the same [`Ready`](crate::Ready); a lone node commits
    /// within one `Ready`.
    OnAppend,
    /// Once [`advance`](crate::RawNode::advance) reports them persisted (etcd, raft-rs).
    #[default]
    OnPersist,
}

/// How a leader makes sure that a read sees every write acknowledged before it (section 8, thesis
/// 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadOnly {
    /// It asks a quorum whether it still leads. Right whatever the clocks do.
    #[default]
    Safe,
    /// It trusts that nobody else can have been elected within an election time-out of its last
    /// heartbeats. Right only if no clock runs faster than another by as much; needs
    /// [`Config::check_quorum`].
    LeaseBased,
}

/// When a leader writes its appends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Appends {
    /// When [`ready`](crate::RawNode::ready) is called: a burst of proposals costs one message per
    /// follower.
    #[default]
    Coalesced,
    /// At each proposal and acknowledgement, message for message as etcd does.
    Eager,
}

/// Settings of one peer.
#[derive(Clone, Debug)]
pub struct Config {
    /// The peer's own id; not 0.
    pub id: u64,
    /// Members of a brand-new cluster. Leave empty on restart: the storage knows the members.
    pub peers: Vec<u64>,
    /// Ticks without a leader after which a peer campaigns; the real time-out is drawn from
    /// `election_tick..2 * election_tick` (paper section 5.2).
    pub election_tick: u32,
    /// Ticks between two heartbeats; less than `election_tick`, ten times less is usual.
    pub heartbeat_tick: u32,
    /// Last index that the application has applied; entries up to it are not returned again. Only
    /// on restart.
    pub applied: u64,
    /// Seed of the peer's randomness. Peers of one cluster may share it: the id is mixed in.
    pub seed: u64,
    /// Ask whether one would be voted for before one campaigns, so that a peer that comes back from
    /// a partition disturbs nobody (thesis 9.6). The same on all peers.
    pub pre_vote: bool,
    /// A leader that has not heard from a quorum for an election time-out steps down, and a peer
    /// that has heard from a leader within one refuses to vote (thesis 6.2, 4.2.3). The same on
    /// all peers.
    pub check_quorum: bool,
    /// How reads are confirmed.
    pub read_only: ReadOnly,
    /// Most reads that may wait for their confirmation.
    pub max_pending_reads: u32,
    /// Most bytes of entries in one append, at least one entry whatever its size.
    pub max_size_per_msg: u64,
    /// Most appends to one follower that are not yet acknowledged.
    pub max_inflight_msgs: u32,
    /// Bytes of payload to one follower that are not yet acknowledged, from which on it is sent no
    /// more; 0 is no limit.
    pub max_inflight_bytes: u64,
    /// Most bytes of payload that may be uncommitted before proposals are dropped; 0 is no limit.
    /// One proposal of any size is accepted when nothing is.
    pub max_uncommitted_size: u64,
    /// Most bytes of committed entries that may be under application at once; 0 is as
    /// `max_size_per_msg`.
    pub max_committed_size_per_ready: u64,
    /// A follower hands proposals on to its leader.
    pub forward_proposals: bool,
    /// A leader tells its followers of a new commit index at once; otherwise with the next entries
    /// or heartbeat.
    pub broadcast_commit: bool,
    /// A leader that is removed or loses its vote becomes a follower.
    pub step_down_on_removal: bool,
    /// A leader refuses membership changes that do not fit its own configuration. Off only for
    /// applications that serialize changes themselves (etcd `DisableConfChangeValidation`).
    pub validate_conf_changes: bool,
    /// Election time-outs after which a snapshot on its way is taken for lost; 0 is never (etcd).
    pub give_up_snapshot_after: u32,
    /// A peer votes only for candidates of at least its own priority, unless their log is newer
    /// (raft-rs: longer).
    pub priority: i64,
    /// Tell one's commit index in votes and answers too, as raft-rs does: who holds the entry may
    /// commit sooner. A leader that steps down because a change removes it may be the only one that
    /// knows the change to be committed; this is how the others learn of it. Off is etcd's way.
    pub share_commit: bool,
    /// When the peer counts itself.
    pub self_ack: SelfAck,
    /// Several [`Ready`](crate::Ready)s may be on their way to the disk at once; see
    /// [`RawNode::on_persisted`](crate::RawNode::on_persisted).
    pub async_persist: bool,
    /// When a leader writes its appends.
    pub appends: Appends,
    /// The decisions that make Raft safe; the paper's, unless a teacher breaks one on purpose.
    pub rules: RuleBook,
}

impl Config {
    /// Settings that suit a local network, for peer `id`: election after 10 to 19 ticks, heartbeats
    /// each tick.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            peers: Vec::new(),
            election_tick: 10,
            heartbeat_tick: 1,
            applied: 0,
            seed: 0,
            pre_vote: false,
            check_quorum: false,
            read_only: ReadOnly::default(),
            max_pending_reads: 4096,
            max_size_per_msg: 1024 * 1024,
            max_inflight_msgs: 256,
            max_inflight_bytes: 0,
            max_uncommitted_size: 0,
            max_committed_size_per_ready: 0,
            forward_proposals: true,
            broadcast_commit: true,
            step_down_on_removal: true,
            validate_conf_changes: true,
            give_up_snapshot_after: 2,
            priority: 0,
            share_commit: true,
            self_ack: SelfAck::default(),
            async_persist: false,
            appends: Appends::default(),
            rules: RuleBook::default(),
        }
    }

    /// Refuses what cannot work, in the order of TinyKV's `Config.validate`.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate(&self) -> Result<()> {
        let error = if self.id == 0 {
            ConfigError::ZeroId
        } else if self.heartbeat_tick == 0 {
            ConfigError::ZeroHeartbeat
        } else if self.election_tick <= self.heartbeat_tick {
            ConfigError::ElectionNotAboveHeartbeat
        } else if self.election_tick > u32::MAX / 2 {
            ConfigError::ElectionTooLarge
        } else if self.max_inflight_msgs == 0 {
            ConfigError::ZeroInflight
        } else if self.peers.contains(&0) {
            ConfigError::ZeroPeer
        } else if self.max_inflight_bytes > 0 && self.max_inflight_bytes < self.max_size_per_msg {
            ConfigError::InflightBelowMessage
        } else if self.read_only == ReadOnly::LeaseBased && !self.check_quorum {
            ConfigError::LeaseWithoutCheckQuorum
        } else if self.async_persist && self.self_ack == SelfAck::OnAppend {
            ConfigError::AsyncNeedsOnPersist
        } else {
            return Ok(());
        };
        Err(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn refused(change: impl Fn(&mut Config)) -> ConfigError {
        let mut config = Config::new(1);
        change(&mut config);
        match config.validate() {
            Err(Error::Config(error)) => error,
            other => panic!("expected a config error, got {other:?}"),
        }
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::new(1).validate(), Ok(()));
    }

    #[test]
    fn each_wrong_setting_is_refused_by_name() {
        use ConfigError::*;
        assert_eq!(refused(|c| c.id = 0), ZeroId);
        assert_eq!(refused(|c| c.heartbeat_tick = 0), ZeroHeartbeat);
        assert_eq!(refused(|c| c.heartbeat_tick = 10), ElectionNotAboveHeartbeat);
        assert_eq!(refused(|c| c.election_tick = u32::MAX), ElectionTooLarge);
        assert_eq!(refused(|c| c.max_inflight_msgs = 0), ZeroInflight);
        assert_eq!(refused(|c| c.peers = [1, 0].to_vec()), ZeroPeer);
        assert_eq!(refused(|c| c.max_inflight_bytes = 1), InflightBelowMessage);
        assert_eq!(refused(|c| c.read_only = ReadOnly::LeaseBased), LeaseWithoutCheckQuorum);
        let early = |c: &mut Config| (c.async_persist, c.self_ack) = (true, SelfAck::OnAppend);
        assert_eq!(refused(early), AsyncNeedsOnPersist);
    }

    #[test]
    fn checks_run_in_tinykvs_order() {
        let all_wrong = |c: &mut Config| (c.id, c.heartbeat_tick, c.election_tick) = (0, 0, 0);
        assert_eq!(refused(all_wrong), ConfigError::ZeroId);
        assert_eq!(
            refused(|c| (c.heartbeat_tick, c.election_tick) = (0, 0)),
            ConfigError::ZeroHeartbeat
        );
    }
}
