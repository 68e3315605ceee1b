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
//! | file | room |
//! | --- | --- |
//! | `keys.rs` | TinyKV's key table, byte for byte |
//! | `engine.rs` | ordered maps and write batches |
//! | `region.rs` | key ranges and epochs |
//! | `peer_storage.rs` | the log and the states on the engines; restart |
//! | `proposals.rs` | who waits for which log entry |
//! | `apply.rs` | what a committed command does |
//! | `peer.rs` | one replica |
//! | `command.rs` | building requests and answers |
//! | `error.rs` | why a request is refused |

mod apply;
pub mod command;
mod engine;
mod error;
pub mod keys;
mod peer;
mod peer_storage;
mod proposals;
mod region;

pub use engine::{Batches, Engines, MemEngine, WriteBatch};
pub use error::{Error, Result};
pub use peer::{Answer, Peer, PeerConfig, Token, Work};
pub use peer_storage::{INIT_LOG_INDEX, INIT_LOG_TERM, PeerStorage, bootstrap};
pub use region::{check_epoch, check_key_in_region, single_region};
