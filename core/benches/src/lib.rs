//! `raft-core` and the crate `raft` 0.7 (raft-rs) doing the same work in one process.
//!
//! Both are driven by the same pump: hand out a `Ready`, persist it in memory, deliver its messages,
//! advance, until nobody has anything to say. Storages are the two crates' own, of the
//! same shape: a vector of entries. Rounds of both alternate, and the medians are compared, so that
//! a busy machine slows both alike: only ratios of one run mean anything.

pub mod ours;
pub mod work;

#[cfg(not(target_family = "wasm"))]
pub mod rows;
#[cfg(not(target_family = "wasm"))]
pub mod theirs;

use bytes::Bytes;

/// A cluster in one process, led by peer 1.
pub trait Cluster: Sized {
    /// `peers` peers with the ids from 1 on, of which the first leads and all are up to date.
    fn new(peers: u64) -> Self;

    /// Proposes a command to the leader. Ours takes a share of the buffer, raft-rs a vector of its
    /// own: that is what their interfaces ask for.
    fn propose(&mut self, payload: &Bytes);

    /// Asks the leader for a read index.
    fn read(&mut self);

    /// Delivers messages and handles `Ready`s until nothing is left to do.
    fn pump(&mut self);

    /// Drops the entries that all peers have applied.
    fn compact(&mut self);

    /// Cuts peer `id` off, or connects it again.
    fn set_connected(&mut self, id: u64, connected: bool);

    /// One tick at the leader.
    fn tick_leader(&mut self);

    /// Peer 2 campaigns.
    fn campaign_second(&mut self);

    /// The highest index that a quorum holds, computed anew.
    fn quorum_index(&mut self) -> u64;

    /// What happened so far.
    fn counters(&self) -> Counters;
}

/// What a cluster did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages delivered.
    pub messages: u64,
    /// Entries applied, all peers taken together.
    pub applied: u64,
    /// Reads answered.
    pub reads: u64,
}
