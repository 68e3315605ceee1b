//! Names of log entries.

use core::fmt;

use crate::proto::eraftpb::{Entry, Snapshot};

/// A log entry's term and index. By Log Matching, two logs that hold the same one agree on
/// everything before it.
///
/// Printed as `index@term`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Term of the leader that appended the entry; 0 before the first entry.
    pub term: u64,
    /// Position in the log; 0 before the first entry.
    pub index: u64,
}

impl EntryId {
    /// The largest term or index that is believed, in a message or in a storage. No cluster counts
    /// so far, and below it nothing that adds one can overflow.
    pub(crate) const LIMIT: u64 = u64::MAX / 2;

    /// The entry of this term at this index.
    pub const fn new(term: u64, index: u64) -> Self {
        Self { term, index }
    }

    /// The id of `entry`.
    pub const fn of(entry: &Entry) -> Self {
        Self::new(entry.term, entry.index)
    }

    /// The last entry that `snapshot` contains; all zero without metadata.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        snapshot.metadata.as_ref().map_or(Self::default(), |m| Self::new(m.term, m.index))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}
