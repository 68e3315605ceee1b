//! How a peer is set up.

use alloc::vec::Vec;

use crate::error::{ConfigError, Result};
use crate::rules::Rules;

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
    /// Most bytes of entries in one append, at least one entry whatever its size.
    pub max_size_per_msg: u64,
    /// Most appends to one follower that are not yet acknowledged.
    pub max_inflight_msgs: u32,
    /// A follower hands proposals on to its leader.
    pub forward_proposals: bool,
    /// When the peer counts itself.
    pub self_ack: SelfAck,
    /// The decisions that make Raft safe; the paper's, unless a teacher breaks one on purpose.
    pub rules: Rules,
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
            max_size_per_msg: 1024 * 1024,
            max_inflight_msgs: 256,
            forward_proposals: true,
            self_ack: SelfAck::default(),
            rules: Rules::default(),
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
