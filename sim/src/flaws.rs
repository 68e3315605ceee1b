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
}
