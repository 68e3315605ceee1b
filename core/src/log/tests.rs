//! The log against the tables of etcd's log tests and against a plain vector.

use super::*;

/// An entry without data.
pub(crate) fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, ..Entry::default() }
}
