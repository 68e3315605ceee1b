//! What can go wrong: links, flights, processes, clocks, disks, clients. Each kind is the content of
//! one [`Command`](crate::Command).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scenario::{HOUR_US, ScenarioError, Span, in_range};

/// Some of the directed links between peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Links {
    /// Every link.
    #[default]
    All,
    /// The one way between two peers.
    One {
        /// Sender.
        from: u64,
        /// Receiver.
        to: u64,
    },
    /// Both ways between two peers.
    Between {
        /// One peer.
        a: u64,
        /// The other.
        b: u64,
    },
    /// Whatever a peer sends.
    From {
        /// The sender.
        peer: u64,
    },
    /// Whatever a peer is sent.
    Into {
        /// The receiver.
        peer: u64,
    },
    /// Both of it.
    Of {
        /// The peer.
        peer: u64,
    },
}

/// What a link does to the messages that are sent on it from now on. Each kind is set on its own and
/// stays until it is set again or mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LinkFault {
    /// Some are lost on the way.
    Loss {
        /// Of 1,000.
        permille: u32,
    },
    /// Some arrive twice; the copy has its own delay, so it may be the first.
    Duplicate {
        /// Of 1,000.
        permille: u32,
    },
    /// They travel for so long. Messages overtake each other unless
    /// [`Settings::fifo`](crate::Settings::fifo) forbids it.
    Delay {
        /// How long.
        span: Span,
    },
    /// Some travel for longer than that: the heavy tail of the distribution.
    Tail {
        /// Of 1,000.
        permille: u32,
        /// At most so much longer.
        max_us: u64,
    },
    /// Some come a second time when they are very old.
    Replay {
        /// Of 1,000.
        permille: u32,
        /// How much later than the first time.
        delay: Span,
    },
    /// All are lost, and so is what is on its way.
    Cut,
    /// All are held, up to a bound, until the link is freed.
    Clog,
    /// The link is no longer clogged, and all that was held on it arrives at once.
    Burst,
    /// The link is as the settings say, and all that was held on it arrives at once.
    Mend,
}

/// What is done to one message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FlightFault {
    /// It is lost here and now.
    Drop,
    /// A copy of it follows.
    Duplicate {
        /// How much later than the original.
        delay_us: u64,
    },
    /// It stays where it is until it is released.
    Hold,
    /// It arrives now.
    Release,
    /// It arrives earlier or later than planned.
    Move {
        /// When; the past is now.
        at_us: u64,
    },
}

/// A place in the life of a write at which a machine may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CrashPoint {
    /// The peer wants it written; nothing is.
    BeforeWrite,
    /// It is durable; nobody was told.
    AfterWrite,
    /// It is durable and some of its messages have left.
    AfterSending {
        /// How many; all if there are fewer.
        messages: u32,
    },
    /// It is durable, and all messages and answers have left; the peer itself has not noted it.
    AfterAnswers,
}

/// What is done to a machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClockFault {
    /// It runs faster or slower, from its next tick on. A frozen one runs again.
    Rate {
        /// Its speed; 1,000 is the right one.
        permille: u32,
    },
    /// It jumps forward: so many ticks come at once.
    Jump {
        /// How many.
        ticks: u32,
    },
    /// It stands still until it is given a rate.
    Freeze,
}

/// What is done to a machine's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DiskFault {
    /// Its syncs take so long.
    Slow {
        /// How long.
        sync: Span,
    },
    /// It has no room: the peer stops at its next write, and again after a restart.
    Full,
    /// The next write fails. Nothing of it is written, and the peer stops.
    FailWrite,
    /// The next sync fails. What was not synced before may be durable or not, and the peer stops.
    FailSync,
    /// The power goes in the middle of the next write, of which half is there, the first or the last.
    /// The peer notices when it starts the next time, and stops.
    Tear,
    /// It returns a record otherwise than it was written. The peer notices when it starts the next
    /// time: it stops and says which record. If the record is overwritten before, nobody notices.
    Corrupt {
        /// Which one, counted over both engines and round again.
        record: u64,
    },
    /// A copy of what is durable is kept, for [`RollBack`](Self::RollBack).
    KeepImage,
    /// The machine stops, and its disk is as when the copy was kept; without a copy nothing happens.
    /// Outside Raft's model: the peer forgets promises that others rely on.
    RollBack,
    /// The machine stops, and its disk is as on the first day. Outside Raft's model, too.
    Wipe,
    /// It works as the settings say. Damaged records are restored from a good copy, and a torn write
    /// is taken back.
    Mend,
}

/// What happens between clients and peers, to whatever is sent from now on. Each kind is set on its
/// own and stays until it is set again or everything is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFault {
    /// Some attempts never reach their peer, and some answers never reach their client.
    Loss {
        /// Of 1,000.
        permille: u32,
    },
    /// Some attempts reach their peer twice, each after its own delay.
    Duplicate {
        /// Of 1,000.
        permille: u32,
    },
    /// Some attempts reach their peer a second time when the client may be long done.
    Replay {
        /// Of 1,000.
        permille: u32,
        /// How much later.
        delay: Span,
    },
    /// Every request that is under way is sent so many times more, at once, to the peer it waits for.
    Storm {
        /// How many times.
        copies: u32,
    },
}

impl Links {
    /// Whether the link from `from` to `to` is one of them.
    pub fn contain(self, from: u64, to: u64) -> bool {
        match self {
            Self::All => true,
            Self::One { from: a, to: b } => (from, to) == (a, b),
            Self::Between { a, b } => (from, to) == (a, b) || (from, to) == (b, a),
            Self::From { peer } => from == peer,
            Self::Into { peer } => to == peer,
            Self::Of { peer } => from == peer || to == peer,
        }
    }

    pub(crate) fn validate(
        self,
        known: impl Fn(u64) -> Result<(), ScenarioError>,
    ) -> Result<(), ScenarioError> {
        match self {
            Self::All => Ok(()),
            Self::One { from: a, to: b } | Self::Between { a, b } => {
                known(a).and_then(|()| known(b))
            }
            Self::From { peer } | Self::Into { peer } | Self::Of { peer } => known(peer),
        }
    }
}

impl LinkFault {
    pub(crate) fn validate(self) -> Result<(), ScenarioError> {
        match self {
            Self::Loss { permille } => in_range("loss", permille.into(), 0, 1_000),
            Self::Duplicate { permille } => in_range("duplication", permille.into(), 0, 1_000),
            Self::Delay { span } => span.validate("delay"),
            Self::Tail { permille, max_us } => {
                in_range("delay tail", permille.into(), 0, 1_000)?;
                in_range("longest extra delay", max_us, 1, HOUR_US)
            }
            Self::Replay { permille, delay } => {
                in_range("replay", permille.into(), 0, 1_000)?;
                delay.validate("replay delay")
            }
            Self::Cut | Self::Clog | Self::Burst | Self::Mend => Ok(()),
        }
    }
}

impl FlightFault {
    pub(crate) fn validate(self) -> Result<(), ScenarioError> {
        match self {
            Self::Duplicate { delay_us } => in_range("delay of the copy", delay_us, 0, HOUR_US),
            Self::Move { .. } | Self::Drop | Self::Hold | Self::Release => Ok(()),
        }
    }
}

impl ClockFault {
    pub(crate) fn validate(self) -> Result<(), ScenarioError> {
        match self {
            Self::Rate { permille } => in_range("clock rate", permille.into(), 100, 10_000),
            Self::Jump { ticks } => in_range("clock jump", ticks.into(), 1, 1_000),
            Self::Freeze => Ok(()),
        }
    }
}

impl DiskFault {
    pub(crate) fn validate(self) -> Result<(), ScenarioError> {
        match self {
            Self::Slow { sync } => sync.validate("disk sync time"),
            _ => Ok(()),
        }
    }
}

impl ClientFault {
    pub(crate) fn validate(self) -> Result<(), ScenarioError> {
        match self {
            Self::Loss { permille } => in_range("client loss", permille.into(), 0, 1_000),
            Self::Duplicate { permille } => in_range("duplication", permille.into(), 0, 1_000),
            Self::Replay { permille, delay } => {
                in_range("replay", permille.into(), 0, 1_000)?;
                delay.validate("replay delay")
            }
            Self::Storm { copies } => in_range("copies", copies.into(), 1, 100),
        }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all links"),
            Self::One { from, to } => write!(f, "the link n{from} → n{to}"),
            Self::Between { a, b } => write!(f, "the links n{a} ⇄ n{b}"),
            Self::From { peer } => write!(f, "all links from n{peer}"),
            Self::Into { peer } => write!(f, "all links to n{peer}"),
            Self::Of { peer } => write!(f, "all links of n{peer}"),
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss { permille } => write!(f, "{permille}‰ of the messages are lost"),
            Self::Duplicate { permille } => write!(f, "{permille}‰ of the messages arrive twice"),
            Self::Delay { span } => write!(f, "messages travel for {span}"),
            Self::Tail { permille, max_us } => {
                write!(f, "{permille}‰ of the messages are up to {} late", Millis(*max_us))
            }
            Self::Replay { permille, delay } => {
                write!(f, "{permille}‰ of the messages come again after {delay}")
            }
            Self::Cut => f.write_str("cut: nothing gets through"),
            Self::Clog => f.write_str("clogged: messages pile up"),
            Self::Burst => f.write_str("free again: all that piled up arrives at once"),
            Self::Mend => f.write_str("mended"),
        }
    }
}

impl fmt::Display for FlightFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("dropped"),
            Self::Duplicate { delay_us } => {
                write!(f, "duplicated: a copy follows after {}", Millis(*delay_us))
            }
            Self::Hold => f.write_str("held"),
            Self::Release => f.write_str("released"),
            Self::Move { at_us } => write!(f, "moved to {}", Millis(*at_us)),
        }
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeWrite => f.write_str("before anything is written"),
            Self::AfterWrite => f.write_str("after the write, before anything is sent"),
            Self::AfterSending { messages } => {
                write!(f, "after the write and {messages} of its messages")
            }
            Self::AfterAnswers => f.write_str("after the write, its messages and its answers"),
        }
    }
}

impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { permille: 1_000 } => f.write_str("runs as it should"),
            Self::Rate { permille } => write!(f, "runs at {permille}‰ of its speed"),
            Self::Jump { ticks } => write!(f, "jumps forward by {ticks} ticks"),
            Self::Freeze => f.write_str("stands still"),
        }
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow { sync } => write!(f, "needs {sync} for a sync"),
            Self::Full => f.write_str("is full"),
            Self::FailWrite => f.write_str("will fail its next write"),
            Self::FailSync => f.write_str("will fail its next sync"),
            Self::Tear => f.write_str("will tear its next write"),
            Self::Corrupt { .. } => f.write_str("has a damaged record"),
            Self::KeepImage => f.write_str("is copied"),
            Self::RollBack => f.write_str(
                "is rolled back to an old copy: outside Raft's model, anything may break",
            ),
            Self::Wipe => f.write_str(
                "is wiped, the peer forgets all its promises: outside Raft's model, anything may \
                 break",
            ),
            Self::Mend => f.write_str("works again"),
        }
    }
}

impl fmt::Display for ClientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss { permille } => {
                write!(f, "clients lose {permille}‰ of their requests and answers")
            }
            Self::Duplicate { permille } => {
                write!(f, "{permille}‰ of the clients' requests arrive twice")
            }
            Self::Replay { permille, delay } => {
                write!(f, "{permille}‰ of the clients' requests come again after {delay}")
            }
            Self::Storm { copies } => {
                write!(f, "a storm: every client sends its request {copies} times more")
            }
        }
    }
}

/// A duration or a time in milliseconds, without a fraction that is 0.
pub(crate) struct Millis(pub(crate) u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 { write!(f, "{whole} ms") } else { write!(f, "{whole}.{rest:03} ms") }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", Millis(self.min_us), Millis(self.max_us))
    }
}
