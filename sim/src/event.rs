//! What happened, as facts and in words.

use std::fmt;
use std::sync::Arc;

use raft_core::{EntryId, StateRole, describe};

use crate::faults::{
    ClientFault, ClockFault, CrashPoint, DiskFault, FlightFault, LinkFault, Links,
};
use crate::inside;
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
    /// A second copy of a message is on its way.
    Duplicated(Arc<Flight>),
    /// Something was done to a message on its way.
    Meddled {
        /// The message as it was before.
        flight: Arc<Flight>,
        /// What was done.
        fault: FlightFault,
    },
    /// A peer refused a message.
    Refused {
        /// The receiver.
        peer: u64,
        /// Why.
        reason: String,
    },
    /// What went on inside a peer, if somebody listens ([`World::listen`](crate::World::listen)).
    Inside {
        /// The peer.
        peer: u64,
        /// What it decided, and with which facts.
        event: Arc<raft_core::Event>,
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
    /// A peer is to stop at a point of its next write.
    Armed {
        /// The peer.
        peer: u64,
        /// The point.
        point: CrashPoint,
    },
    /// A peer stops because it reached that point.
    Reached {
        /// The peer.
        peer: u64,
        /// The point.
        point: CrashPoint,
    },
    /// A peer stalls.
    Paused {
        /// The peer.
        peer: u64,
    },
    /// A stalled peer goes on.
    Resumed {
        /// The peer.
        peer: u64,
        /// Messages and requests that waited for it.
        waiting: usize,
    },
    /// Something was done to a machine's clock.
    ClockSet {
        /// The peer.
        peer: u64,
        /// What was done.
        fault: ClockFault,
    },
    /// Something was done to a machine's disk.
    DiskSet {
        /// The peer.
        peer: u64,
        /// What was done.
        fault: DiskFault,
    },
    /// A machine stopped with writes that were not synced.
    Unsynced {
        /// The peer.
        peer: u64,
        /// How many of them, the oldest, are durable all the same.
        kept: usize,
        /// How many are lost.
        lost: usize,
    },
    /// A machine stopped in the middle of a write, and half of it is there: its disk tore it, or a
    /// driver writes the two engines one after the other.
    Torn {
        /// The peer.
        peer: u64,
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
    /// The network was cut but for these ways.
    OnlyLinks {
        /// The ways that stay open.
        ways: Vec<(u64, u64)>,
    },
    /// Every link works again.
    Healed,
    /// Every fault was taken away.
    HealedAll,
    /// Some links treat messages otherwise from now on.
    LinkSet {
        /// The links.
        on: Links,
        /// What they do.
        fault: LinkFault,
    },
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
    /// What happens between clients and peers changed.
    ClientsSet {
        /// What happens now.
        fault: ClientFault,
    },
    /// A client's attempt never reaches its peer.
    AttemptLost {
        /// The request.
        request: u64,
        /// The peer that was asked.
        target: u64,
    },
    /// A copy of a client's attempt is on its way.
    AttemptCopied {
        /// The request.
        request: u64,
        /// The peer that is asked once more.
        target: u64,
    },
    /// A peer's answer never reaches its client.
    AnswerLost {
        /// The request.
        request: u64,
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

impl What {
    /// The peer that it happened to, if it happened to one.
    pub fn peer(&self) -> Option<u64> {
        match self {
            Self::Delivered(flight) | Self::Lost(flight) => Some(flight.to),
            Self::Refused { peer, .. }
            | Self::Inside { peer, .. }
            | Self::Role { peer, .. }
            | Self::Committed { peer, .. }
            | Self::Crashed { peer, .. }
            | Self::Armed { peer, .. }
            | Self::Reached { peer, .. }
            | Self::Paused { peer }
            | Self::Resumed { peer, .. }
            | Self::ClockSet { peer, .. }
            | Self::DiskSet { peer, .. }
            | Self::Unsynced { peer, .. }
            | Self::Torn { peer }
            | Self::Started { peer }
            | Self::Failed { peer, .. } => Some(*peer),
            Self::Duplicated(_)
            | Self::Meddled { .. }
            | Self::Partitioned { .. }
            | Self::OnlyLinks { .. }
            | Self::Healed
            | Self::HealedAll
            | Self::LinkSet { .. }
            | Self::LossSet { .. }
            | Self::ClientsSet { .. }
            | Self::AttemptLost { .. }
            | Self::AttemptCopied { .. }
            | Self::AnswerLost { .. }
            | Self::Invoked { .. }
            | Self::Retried { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Whether it is a detail: something inside a peer that is a matter of course.
    pub fn is_detail(&self) -> bool {
        match self {
            Self::Inside { peer, event } => inside::sentence(*peer, event).is_none(),
            _ => false,
        }
    }

    /// What went on inside a peer, as etcd's log has it, if it has it.
    pub fn in_etcds_words(&self) -> Option<String> {
        match self {
            Self::Inside { peer, event } => inside::in_etcds_words(*peer, event),
            _ => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(flight) => f.write_str(&flight.text()),
            Self::Lost(flight) => write!(f, "{} ✗ lost", flight.text()),
            Self::Duplicated(flight) => write!(f, "{} is sent a second time", flight.text()),
            Self::Meddled { flight, fault } => write!(f, "{} {fault}", flight.text()),
            Self::Refused { peer, reason } => write!(f, "n{peer} refuses a message: {reason}"),
            Self::Role { peer, term, from, to } => {
                let (from, to) = (describe::role(*from), describe::role(*to));
                write!(f, "n{peer}@{term} {from} ⇨ {to}")
            }
            Self::Inside { peer, event } => {
                let words = inside::sentence(*peer, event);
                match words.or_else(|| inside::in_etcds_words(*peer, event)) {
                    Some(words) => f.write_str(&words),
                    None => write!(f, "n{peer} {event:?}"),
                }
            }
            Self::Committed { peer, last } => write!(f, "n{peer} commit {last}"),
            Self::Crashed { peer, lost_write: false } => write!(f, "n{peer} crashed"),
            Self::Crashed { peer, lost_write: true } => {
                write!(f, "n{peer} crashed and lost an unsynced write")
            }
            Self::Armed { peer, point } => write!(f, "n{peer} will crash {point}"),
            Self::Reached { peer, point } => write!(f, "n{peer} is stopped {point}"),
            Self::Paused { peer } => write!(f, "n{peer} stalls"),
            Self::Resumed { peer, waiting } => {
                write!(f, "n{peer} goes on and finds {waiting} messages waiting")
            }
            Self::ClockSet { peer, fault } => write!(f, "the clock of n{peer} {fault}"),
            Self::DiskSet { peer, fault } => write!(f, "the disk of n{peer} {fault}"),
            Self::Unsynced { peer, kept, lost } => {
                let all = kept + lost;
                write!(f, "the disk of n{peer} lost {lost} of {all} unsynced writes")
            }
            Self::Torn { peer } => write!(f, "the disk of n{peer} has half of a write"),
            Self::Started { peer } => write!(f, "n{peer} started from its disk"),
            Self::Failed { peer, reason } => write!(f, "n{peer} stopped: {reason}"),
            Self::Partitioned { groups } => write!(f, "partition {groups:?}"),
            Self::OnlyLinks { ways } => only_links(f, ways),
            Self::LinkSet { on, fault } => write!(f, "{on}: {fault}"),
            Self::HealedAll => f.write_str("every fault is taken away"),
            Self::Healed => f.write_str("all links healed"),
            Self::LossSet { permille } => write!(f, "loss {permille}‰"),
            Self::ClientsSet { fault } => write!(f, "{fault}"),
            Self::AttemptLost { request, target } => {
                write!(f, "c{request} ✗ its request to n{target} is lost")
            }
            Self::AttemptCopied { request, target } => {
                write!(f, "c{request} asks n{target} a second time with the same request")
            }
            Self::AnswerLost { request } => write!(f, "c{request} ✗ its answer is lost"),
            Self::Retried { request, target } => write!(f, "c{request} asks n{target}"),
            Self::Invoked { request, text } | Self::Ended { request, text } => {
                write!(f, "c{request} {text}")
            }
        }
    }
}

/// A pair that is open both ways is named once.
fn only_links(f: &mut fmt::Formatter<'_>, ways: &[(u64, u64)]) -> fmt::Result {
    f.write_str("all links cut but")?;
    for &(from, to) in ways {
        match ways.contains(&(to, from)) {
            true if from < to => write!(f, " n{from} ⇄ n{to}")?,
            true => {}
            false => write!(f, " n{from} → n{to}")?,
        }
    }
    Ok(())
}
