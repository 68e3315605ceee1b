//! Why a store cannot be opened or go on.

use std::io;

use raft_core::proto::raft_serverpb::StoreIdent;
use thiserror::Error;

/// What the fallible calls of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store on disk. After one from a commit, the store takes no more commits: it does
/// not know what is on the disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another handle of this one, has the file open.
    #[error("the store is in use")]
    InUse,
    /// The file is something else; it was not touched.
    #[error("not a store: {0}")]
    NotAStore(&'static str),
    /// A newer program wrote the file.
    #[error("the store has format {found}, this program knows up to {known}")]
    Version {
        /// What the file says.
        found: u64,
        /// The newest that this version reads.
        known: u64,
    },
    /// Checksums do not match. The peer must not start: it might forget a promise.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The file belongs to another store.
    #[error("expected {expected:?}, the file says {found:?}")]
    WrongStore {
        /// Who was asked for.
        expected: StoreIdent,
        /// Who the file says it is, if it says so at all.
        found: Option<StoreIdent>,
    },
    /// The disk fails.
    #[error("disk: {0}")]
    Io(#[from] io::Error),
    /// An earlier commit failed.
    #[error("an earlier commit failed; open the store again")]
    Failed,
    /// Anything else that the database refuses.
    #[error("database: {0}")]
    Database(Box<redb::Error>),
    /// The peer cannot go on.
    #[error(transparent)]
    Peer(#[from] raft_kv::Error),
}

impl Error {
    /// The database has an error type for each kind of call, all of which lead to one.
    pub(crate) fn database(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::PreviousIo => Self::Failed,
            redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_) => Self::NotAStore("a database of another make"),
            other => Self::Database(Box::new(other)),
        }
    }
}
