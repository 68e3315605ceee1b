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
    /// It does not switch on that leaders check their quorum.
    pub unchecked_quorum: bool,
    /// What decides in which order messages leave.
    pub order: Order,
}

/// What decides in which order a driver sends the messages of one piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The peer, as it should be.
    #[default]
    Peer,
    /// A map of the process, which is another one each time.
    Map,
    /// A hash of as many bits as the machine's word has. The word is acted: a run natively and one in
    /// a browser would differ in it.
    Hash {
        /// The word's bits, 32 or 64.
        bits: u32,
    },
}

impl Order {
    /// The same on a machine with another word.
    pub(crate) fn elsewhere(self) -> Self {
        match self {
            Self::Hash { bits } => Self::Hash { bits: 96 - bits.min(64) },
            order => order,
        }
    }
}
