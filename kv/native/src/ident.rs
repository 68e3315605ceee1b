//! Who a store is: the record that keeps a store from starting on somebody else's disk.

use raft_core::proto::raft_serverpb::StoreIdent;
use raft_kv::{Engines, store_ident};

use crate::error::{Error, Result};

/// Whether the engines are those of the store that is expected.
///
/// # Errors
/// [`Error::WrongStore`] if they belong to another one or were never set up (see
/// [`raft_kv::bootstrap_store`]); [`raft_kv::Error::Corrupt`] if the record does not decode.
pub fn check_ident(engines: &Engines, expected: StoreIdent) -> Result<()> {
    match store_ident(engines)? {
        Some(found) if found == expected => Ok(()),
        found => Err(Error::WrongStore { expected, found }),
    }
}
