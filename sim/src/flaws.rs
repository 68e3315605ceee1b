//! What a broken driver does wrong. For the bug zoo: what no checker noticed would be no rule.

/// Mistakes around the peers: in the program that writes, sends and starts for them. All off is the
/// honest driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// It writes the two engines one after the other: a crash may leave one of the two.
    pub torn_batches: bool,
    /// It starts from its records without comparing their checksums.
    pub unchecked_records: bool,
    /// It sends messages and answers before what they promise is durable.
    pub early_messages: bool,
    /// It goes on after an error of the disk as if the write had succeeded.
    pub ignored_errors: bool,
    /// It never writes for whom the peer voted.
    pub forgotten_votes: bool,
    /// It never writes the term, only the entries: after a restart that of the last one is left.
    pub forgotten_terms: bool,
    /// It does not delete entries that were cut off the log, and takes what it finds after the last
    /// one for the rest of the log.
    pub kept_tails: bool,
    /// It tells a leader that its entries are durable when they are sent, while they are being
    /// written.
    pub early_receipts: bool,
    /// Once a snapshot is durable, it takes that for a receipt of the next one.
    pub stale_receipts: bool,
    /// It sends no snapshots.
    pub unsent_snapshots: bool,
}
