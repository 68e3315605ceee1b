//! What happened, as facts and in words.

use std::fmt;
use std::sync::Arc;

use raft_core::{EntryId, StateRole, describe};

use crate::network::Flight;

/// One thing that happened in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Counts from 1.
    pub number: u64,
    /// Virtual time.
    pub at_us: u64,
    /// What it was.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A message arrived.
    Delivered(Arc<Flight>),
    /// A message was lost: on the way, at a cut link or at a peer that is down.
    Lost(Arc<Flight>),
    /// A peer refused a message.
    Refused {
        /// The receiver.
        peer: u64,
        /// Why.
        reason: String,
    },
    /// A peer changed its role or its term.
    Role {
        /// The peer.
        peer: u64,
        /// Its term now.
        term: u64,
        /// Its role before.
        from: StateRole,
        /// Its role now.
        to: StateRole,
    },
    /// A peer's commit index moved.
    Committed {
        /// The peer.
        peer: u64,
        /// The last committed entry.
        last: EntryId,
    },
    /// A peer stopped.
    Crashed {
        /// The peer.
        peer: u64,
        /// A write was under way and is lost.
        lost_write: bool,
    },
    /// A peer started from its disk.
    Started {
        /// The peer.
        peer: u64,
    },
    /// A peer stopped by itself.
    Failed {
        /// The peer.
        peer: u64,
        /// Why.
        reason: String,
    },
    /// The network was cut into groups.
    Partitioned {
        /// The groups.
        groups: Vec<Vec<u64>>,
    },
    /// Every link works again.
    Healed,
    /// The loss rate changed.
    LossSet {
        /// Of 1,000.
        permille: u32,
    },
    /// A client asked.
    Invoked {
        /// The request.
        request: u64,
        /// What it asks.
        text: String,
    },
    /// A client asked again.
    Retried {
        /// The request.
        request: u64,
        /// The peer that is asked now.
        target: u64,
    },
    /// A request ended.
    Ended {
        /// The request.
        request: u64,
        /// How.
        text: String,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(flight) => f.write_str(&flight.text()),
            Self::Lost(flight) => write!(f, "{} ✗ lost", flight.text()),
            Self::Refused { peer, reason } => write!(f, "n{peer} refuses a message: {reason}"),
            Self::Role { peer, term, from, to } => {
                let (from, to) = (describe::role(*from), describe::role(*to));
                write!(f, "n{peer}@{term} {from} ⇨ {to}")
            }
            Self::Committed { peer, last } => write!(f, "n{peer} commit {last}"),
            Self::Crashed { peer, lost_write: false } => write!(f, "n{peer} crashed"),
            Self::Crashed { peer, lost_write: true } => {
                write!(f, "n{peer} crashed and lost an unsynced write")
            }
            Self::Started { peer } => write!(f, "n{peer} started from its disk"),
            Self::Failed { peer, reason } => write!(f, "n{peer} stopped: {reason}"),
            Self::Partitioned { groups } => write!(f, "partition {groups:?}"),
            Self::Healed => f.write_str("all links healed"),
            Self::LossSet { permille } => write!(f, "loss {permille}‰"),
            Self::Retried { request, target } => write!(f, "c{request} asks n{target}"),
            Self::Invoked { request, text } | Self::Ended { request, text } => {
                write!(f, "c{request} {text}")
            }
        }
    }
}
