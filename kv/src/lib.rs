//! TinyKV's raftstore without I/O: a key-value store that [`raft_core`] replicates.
//!
//! A [`Peer`] is one replica. It never touches a disk, a socket or a clock; its driver does, in
//! this order:
//!
//! ```text
//! propose / step / tick ─► Peer::handle_ready() ─► Work
//!     1. make Work::batches durable, both engines as one atomic unit
//!     2. send Work::messages, deliver Work::answers
//!     3. Peer::persisted(Work::number)
//! ```
//!
//! What needs no disk is in [`Peer::take_outbox`] after each of these calls.
//!
//! | file | room |
//! | --- | --- |
//! | `keys.rs` | TinyKV's key table, byte for byte |
//! | `key.rs` | keys that need no memory of their own |
//! | `engine.rs` | ordered maps, write batches, views of the past |
//! | `state_machine.rs` | the kv engine as a peer sees it, and its fingerprint |
//! | `region.rs` | key ranges, epochs, roles |
//! | `storage/` | the log and the states; restart, bootstrap, installing a snapshot |
//! | `rules.rs` | the decisions that keep the store's promises |
//! | `sessions.rs` | a command that is sent again takes effect once |
//! | `proposals.rs` | who waits for which log entry |
//! | `reads.rs` | who waits for which read index |
//! | `apply.rs` | what a command does |
//! | `snapshot/` | snapshots in pieces |
//! | `peer/` | one replica |
//! | `store.rs` | one store: a replica comes and goes with membership changes |
//! | `command.rs` | building requests and answers |
//! | `error.rs` | why a request is refused |

mod apply;
pub mod command;
mod engine;
mod error;
mod key;
pub mod keys;
mod peer;
mod proposals;
mod reads;
mod region;
pub mod rules;
mod sessions;
mod snapshot;
mod state_machine;
mod storage;
mod store;

pub use engine::{Batches, Engines, MemEngine, Record, ViewId, WriteBatch};
pub use error::{Error, Result};
pub use key::Key;
pub use peer::{
    Accepted, Answer, Executed, LogGc, Outbox, Peer, PeerConfig, ReadPolicy, Token, Work,
};
pub use region::{check_epoch, check_key_in_region, is_epoch_stale, single_region};
pub use rules::StoreRules;
pub use sessions::{SESSION_BYTES_MAX, SESSIONS_MAX};
pub use snapshot::CHUNK_BYTES;
pub use storage::{
    INIT_LOG_INDEX, INIT_LOG_TERM, PeerStorage, bootstrap, bootstrap_store,
    clear_prepare_bootstrap, clear_prepare_bootstrap_state, prepare_bootstrap, store_ident,
};
pub use store::{Store, StoreConfig};
