//! [`raft_kv`] on a real disk.
//!
//! A [`raft_kv::Peer`] works on engines in memory and does no I/O. [`NativeStore`] keeps a copy of
//! both engines in one file and makes a peer's batches durable, both as one transaction;
//! [`Replica`] is a [`raft_kv::Store`] with its file, driven in the order that keeps promises.
//!
//! The file is a [redb](https://docs.rs/redb) database. What decided for it, and against fjall, the
//! other well-kept engine in pure Rust:
//!
//! - A commit that was synced is never rolled back in silence. With two-phase commits and a
//!   checksum on every page, a damaged page is an error. Fjall cuts its journal where that stops to
//!   make sense, be it torn or damaged; a peer on an older state may vote twice in a term.
//! - Its file is behind a trait, [`StorageBackend`], so that the tests can cut power at any write
//!   and lose any part of what was not synced.
//! - It brings one crate (`libc`), fjall about forty. Fjall writes large batches faster; here the
//!   engines are in memory and batches are small.
//!
//! Two things it does not do, and this crate does: start over in a file whose creation was cut
//! short, and take nonsense before the checksums are looked at for damage. One bit of the file is
//! under no checksum: the one that tells which of the two newest commits is the last.
//!
//! # Damaged files and panics
//!
//! What the database can check of a file by reading it, it reports; but where it finds its list of
//! free pages to be nonsense, it panics, and it has no check of a file that never does.
//! [`NativeStore::open`] catches that panic and returns [`Error::Damaged`]. So a program that wants
//! every damaged file reported must be built to unwind: with `panic = "abort"`, as in this
//! workspace's release profile, such a file ends the process instead, with the database's message
//! on standard error. Either way the peer does not start, and nothing is served from the file. The
//! panic hook runs in both cases.
//!
//! `examples/store.rs` is a store of three peers, each on a file of its own.
//!
//! | file | room |
//! | --- | --- |
//! | `store.rs` | both engines in one file |
//! | `file.rs` | a new file, a cut short one, and somebody else's |
//! | `ident.rs` | who a store is |
//! | `replica.rs` | a store and its disk |
//! | `error.rs` | why a store cannot be opened or go on |

mod error;
mod file;
mod ident;
mod replica;
mod store;

pub use error::{Error, Result};
pub use ident::check_ident;
pub use redb::StorageBackend;
pub use redb::backends::FileBackend;
pub use replica::Replica;
pub use store::{NativeStore, Size};
