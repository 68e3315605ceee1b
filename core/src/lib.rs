//! Raft, the consensus algorithm, as a library without I/O, clock, threads or `std`.
//!
//! A [`RawNode`] is one peer. You tell it that time passed ([`tick`](RawNode::tick)), that a message
//! came ([`step`](RawNode::step)) or that you want something agreed on
//! ([`propose`](RawNode::propose)); it tells you in a [`Ready`] what to persist, what to send and
//! what to apply. It is deterministic: the same calls with the same [`Config::seed`] give the same
//! messages on every platform, bit for bit.
//!
//! Three peers in one process, on a network that is a queue:
//!
//! ```
//! use raft_core::{Config, MemStorage, RawNode, StateRole};
//! use std::collections::VecDeque;
//!
//! let mut peers = Vec::new();
//! for id in 1..=3 {
//!     peers.push(RawNode::new(&Config::new(id), MemStorage::with_voters([1, 2, 3]))?);
//! }
//! let mut applied = Vec::new();
//! let mut network = VecDeque::new();
//! peers[0].campaign()?;
//! loop {
//!     for peer in &mut peers {
//!         while peer.has_ready() {
//!             let mut ready = peer.ready()?;
//!             // 1. Persist: entries, term, vote, before anything is said.
//!             peer.store_mut().append(&ready.entries)?;
//!             if let Some(state) = ready.hard_state {
//!                 peer.store_mut().set_hard_state(state);
//!             }
//!             // 2. Send. 3. Apply. 4. Say so.
//!             network.extend(ready.messages.drain(..));
//!             applied.extend(ready.committed_entries.drain(..).map(|entry| entry.data));
//!             peer.advance(ready)?;
//!         }
//!     }
//!     if let Some(message) = network.pop_front() {
//!         let receiver = message.to as usize - 1;
//!         peers[receiver].step(message)?;
//!     } else if peers[0].raft().role() == StateRole::Leader && applied.len() == 3 {
//!         // All three have applied the new leader's empty entry: time for work.
//!         peers[0].propose("hello")?;
//!     } else {
//!         break;
//!     }
//! }
//! assert_eq!(applied.iter().filter(|data| &data[..] == b"hello").count(), 3);
//! # Ok::<(), raft_core::Error>(())
//! ```
//!
//! That is the synchronous way: persist, send, apply, [`advance`](RawNode::advance). With
//! [`Config::async_persist`] several [`Ready`]s may be on their way to the disk at once: send their
//! messages at once, say [`on_persisted`](RawNode::on_persisted) when one is durable, send what that
//! returns, and say [`on_applied`](RawNode::on_applied) when the state machine has caught up.
//!
//! Nothing that a peer sends makes another panic: [`step`](RawNode::step) returns an [`Outcome`], or
//! an [`Error`], that names the rule that decided. A [`Tracer`] is told of every decision with its
//! facts; without one nothing is spent on it.
//!
//! | to read | what it is |
//! | --- | --- |
//! | [`rules`] | the decisions that make Raft safe, on one page, each with its reason |
//! | [`RawNode`], [`Ready`] | the way an application drives a peer |
//! | [`RaftLog`], [`Storage`] | what is on disk, what is not yet, and how far it is committed |
//! | [`Progress`], [`quorum`], [`confchange`] | what a leader knows about a follower, who decides, and how that changes |
//! | [`Outcome`], [`Event`] | what became of a message, and what happened inside |
//! | [`describe`] | messages and states in words |
//! | [`proto`] | the messages, generated from `proto/` |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod confchange;
mod config;
pub mod describe;
mod entry_id;
mod error;
mod log;
mod outcome;
pub mod proto;
pub mod quorum;
mod raft;
mod raw_node;
mod read_only;
mod rng;
pub mod rules;
mod storage;
mod trace;
mod tracker;

pub use confchange::conf_change_of;
pub use config::{Appends, Config, ReadOnly, SelfAck};
pub use entry_id::EntryId;
pub use error::{
    ConfChangeError, ConfigError, DropReason, Error, Malformed, Result, SnapshotRequestError,
    StorageError,
};
pub use log::{Appended, Conflict, Persisted, RaftLog};
pub use outcome::{Ballot, Ignored, Outcome, Rejected};
pub use proto::eraftpb;
pub use raft::{NONE, Proposal, Raft, Receipt, Response, SnapshotStatus, SoftState, StateRole};
pub use raw_node::{RawNode, Ready, Status};
pub use read_only::{DroppedRead, ReadState};
pub use rules::{RuleBook, Rules};
pub use storage::{MemStorage, RaftState, Storage, limit_size};
pub use trace::{Event, Tracer, VoteFacts};
pub use tracker::{Configuration, Inflights, Progress, ProgressState, ProgressTracker};

#[cfg(test)]
mod tests;
