//! Raft, the consensus algorithm, as a library without I/O, clock, threads or `std`.
//!
//! TODO-front-page
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
pub mod describe;
mod entry_id;
mod error;
mod log;
pub mod proto;
mod raft;
mod raw_node;
mod rng;
pub mod rules;
mod storage;
mod tracker;

pub use config::{Config, SelfAck};
pub use entry_id::EntryId;
pub use error::{ConfChangeError, ConfigError, DropReason, Error, Malformed, Result, StorageError};
pub use log::RaftLog;
pub use proto::eraftpb;
pub use raft::{NONE, Proposal, Raft, SnapshotStatus, SoftState, StateRole, conf_change_of};
pub use raw_node::{RawNode, Ready, Status};
pub use rules::Rules;
pub use storage::{MemStorage, RaftState, Storage, limit_size};
pub use tracker::{Inflights, Progress, ProgressState, ProgressTracker};
