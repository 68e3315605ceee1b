//! How a request ends, and what comes of it.

use std::fmt;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, with this result.
    Done(Reply),
    /// It was refused and has no effect.
    Refused(String),
    /// No answer came: it may have taken effect, or may still.
    Unknown,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The write is in the log of a majority.
    Written,
    /// The value; none if the key is absent.
    Value(Option<String>),
    /// The pairs in key order.
    Pairs(Vec<(String, String)>),
    /// How many keys were removed.
    Deleted(u64),
    /// The members are these now, by store.
    Members(Vec<u64>),
    /// Whether the key held what was expected, and what it held.
    Swapped {
        /// It did, and was written.
        done: bool,
        /// What it held; none if it was absent.
        previous: Option<String>,
    },
    /// One for each operation of a batch.
    Batch(Vec<Reply>),
    /// The session that was opened.
    Opened(u64),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(reply) => write!(f, "{reply}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Unknown => f.write_str("outcome unknown"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => f.write_str("ok"),
            Self::Value(None) => f.write_str("not found"),
            Self::Value(Some(value)) => write!(f, "= {value}"),
            Self::Pairs(pairs) => write!(f, "{} pairs", pairs.len()),
            Self::Deleted(count) => write!(f, "{count} keys removed"),
            Self::Swapped { done: true, .. } => f.write_str("swapped"),
            Self::Swapped { previous: None, .. } => f.write_str("not swapped: no such key"),
            Self::Swapped { previous: Some(value), .. } => {
                write!(f, "not swapped: it holds {value}")
            }
            Self::Batch(replies) => {
                let replies: Vec<_> = replies.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", replies.join(", "))
            }
            Self::Members(stores) => {
                let stores: Vec<_> = stores.iter().map(|store| format!("n{store}")).collect();
                write!(f, "members are {}", stores.join(", "))
            }
            Self::Opened(session) => write!(f, "session {session}"),
        }
    }
}
