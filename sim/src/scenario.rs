//! What a run is made from: a seed, settings and timed commands. The one format in which runs are
//! exchanged.

use std::fmt;

use raft_kv::ReadPolicy;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::Command;

/// Version of the format that this crate writes.
pub const VERSION: u32 = 1;
pub(crate) const PEERS_MAX: u64 = 9;
pub(crate) const COMMANDS_MAX: usize = 10_000;
const KEY_BYTES_MAX: usize = 64;
const BATCH_MAX: usize = 16;
const VALUE_BYTES_MAX: usize = 1_024;
pub(crate) const HOUR_US: u64 = 3_600_000_000;
/// How late a command may come: as long as somebody may have played in the page, and not so long that
/// a file takes for ever.
const COMMAND_US_MAX: u64 = 24 * HOUR_US;

/// Everything that decides a run. The same scenario gives the same run on every platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// [`VERSION`] of the format.
    pub version: u32,
    /// Seed of everything that is drawn by chance.
    pub seed: u64,
    /// Number of peers; their ids count from 1. Each has a store of its own, with the same number.
    pub peers: u64,
    /// Stores beyond these that hold no peer at first; membership changes may put one there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spares: u64,
    /// Speeds and loss rates.
    #[serde(default)]
    pub settings: Settings,
    /// What is done to the cluster, in the order of time.
    #[serde(default)]
    pub commands: Vec<TimedCommand>,
}

/// Speeds and loss rates of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Virtual time between two ticks of a peer.
    pub tick_us: u64,
    /// Ticks without a leader before a peer campaigns; the real time-out is one to two times this.
    pub election_tick: u32,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_tick: u32,
    /// How long a message travels.
    pub latency: Span,
    /// How long a disk needs to make a write durable.
    pub sync: Span,
    /// How long a write that need not be durable at once may wait for a sync; 0: no write waits. A
    /// crash may lose what waits, and leaves the write under way to chance.
    pub write_back_us: u64,
    /// Messages between peers that are lost, of 1,000.
    pub loss_permille: u32,
    /// Whether messages on one link keep their order. Off: one that travels for less long overtakes.
    pub fifo: bool,
    /// How long a client waits for one answer before it asks elsewhere.
    pub client_timeout_us: u64,
    /// How long a client tries at all.
    pub client_deadline_us: u64,
    /// Whether clients open a session, so that a write that is sent again takes effect once. Then a
    /// client sends a request only when its last one has ended.
    pub sessions: bool,
    /// How reads are served.
    pub reads: Reads,
    /// Whether a read that is sent to one peer is answered by that peer, leader or not. Off: only a
    /// leader answers.
    pub follower_reads: bool,
    /// Whether a peer asks before it campaigns (thesis 9.6).
    pub pre_vote: bool,
    /// Whether a leader without a quorum steps down, and voters stay with a live leader (thesis 6.2).
    pub check_quorum: bool,
    /// Whether a leader tells its followers of a new commit index at once.
    pub broadcast_commit: bool,
    /// Most bytes of entries in one message, at least one entry whatever its size.
    pub append_bytes_max: u64,
    /// Most appends to one follower that are not answered yet.
    pub appends_in_flight_max: u32,
    /// Most bytes of entries that a peer applies with one write, at least one entry whatever its size.
    /// A peer that applies little at a time lags behind what is committed.
    pub apply_bytes_max: u64,
    /// Ticks between two looks of a leader at the length of its log.
    pub log_gc_ticks: u64,
    /// Entries that may be applied and still in the log when it looks.
    pub log_gc_entries: u64,
}

/// How reads make sure that they see every write acknowledged before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// The leader asks a quorum whether it still leads (section 8).
    #[default]
    Index,
    /// The leader trusts its lease: right only if clocks run alike.
    Lease,
    /// Through the log, like writes.
    Log,
}

impl From<Reads> for ReadPolicy {
    fn from(reads: Reads) -> Self {
        match reads {
            Reads::Index => Self::Index,
            Reads::Lease => Self::Lease,
            Reads::Log => Self::Log,
        }
    }
}

/// A range of durations, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The shortest.
    pub min_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Default for Settings {
    /// TinyKV's test cluster: ticks of 50 ms, heartbeats after 2 and elections after 10 to 19 of
    /// them, on a network that is slow enough to watch.
    fn default() -> Self {
        Self {
            tick_us: 50_000,
            election_tick: 10,
            heartbeat_tick: 2,
            latency: Span { min_us: 20_000, max_us: 45_000 },
            sync: Span { min_us: 2_000, max_us: 6_000 },
            write_back_us: 0,
            loss_permille: 0,
            fifo: false,
            client_timeout_us: 1_000_000,
            client_deadline_us: 5_000_000,
            sessions: false,
            reads: Reads::Index,
            follower_reads: false,
            pre_vote: false,
            check_quorum: false,
            broadcast_commit: true,
            append_bytes_max: 1 << 20,
            appends_in_flight_max: 256,
            apply_bytes_max: 1 << 20,
            log_gc_ticks: 10,
            // Five logs of TinyKV's 128,000 entries would take 250 MB.
            log_gc_entries: 20_000,
        }
    }
}

/// A command and when it happens: after everything else of the same microsecond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedCommand {
    /// Virtual time.
    pub at_us: u64,
    /// What is done.
    pub command: Command,
}

/// What a client asks of the key-value store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Write a key.
    Put {
        /// The key.
        key: String,
        /// The value; an empty value is a value.
        value: String,
    },
    /// Read a key.
    Get {
        /// The key.
        key: String,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Remove keys from `start` up to but without `end`.
    DeleteRange {
        /// The first key.
        start: String,
        /// The end; empty is the end of the store.
        #[serde(default)]
        end: String,
    },
    /// Write a key if it holds what is expected; nothing stands for an absent key.
    Cas {
        /// The key.
        key: String,
        /// What it must hold.
        expected: Option<String>,
        /// What it holds then.
        new: Option<String>,
    },
    /// Several at once, in order.
    Batch {
        /// The operations; none of them a batch.
        ops: Vec<Op>,
    },
    /// Change the members: one step, or several at once through a joint configuration.
    Members {
        /// What becomes of whom.
        changes: Vec<MemberChange>,
    },
    /// Hand leadership to the peer on a store.
    TransferLeader {
        /// The store.
        to: u64,
    },
    /// Open a session; clients do that by themselves.
    OpenSession,
    /// Read keys from `start` up to but without `end`.
    Scan {
        /// The first key.
        start: String,
        /// The end; empty is the end of the store.
        #[serde(default)]
        end: String,
        /// At most this many pairs; 0 is no limit.
        #[serde(default)]
        limit: u32,
    },
}

/// What becomes of the peer on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    /// The store.
    pub store: u64,
    /// What becomes of its peer.
    pub role: Role,
}

/// What a member may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It votes. A store without a peer gets a new one.
    Voter,
    /// It replicates without a vote.
    Learner,
    /// It is removed.
    Gone,
}

impl fmt::Display for MemberChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Voter => "voter",
            Role::Learner => "learner",
            Role::Gone => "gone",
        };
        write!(f, "n{} {role}", self.store)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "put {key}={value}"),
            Self::Get { key } => write!(f, "get {key}"),
            Self::Delete { key } => write!(f, "delete {key}"),
            Self::DeleteRange { start, end } => write!(f, "delete {start}..{end}"),
            Self::Cas { key, expected, new } => {
                let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "∅".into());
                write!(f, "cas {key} {}→{}", or_none(expected), or_none(new))
            }
            Self::Batch { ops } => {
                let ops: Vec<_> = ops.iter().map(ToString::to_string).collect();
                write!(f, "batch [{}]", ops.join(", "))
            }
            Self::Members { changes } => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                write!(f, "members: {}", changes.join(", "))
            }
            Self::TransferLeader { to } => write!(f, "transfer leadership to n{to}"),
            Self::OpenSession => f.write_str("open session"),
            Self::Scan { start, end, .. } => write!(f, "scan {start}..{end}"),
        }
    }
}

/// Why a scenario or a command is refused. Nothing was run.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It was written by another version.
    #[error("the scenario has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A setting is outside its range.
    #[error("{what} is {value}, outside {min} to {max}")]
    Range {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The smallest legal value.
        min: u64,
        /// The largest legal value.
        max: u64,
    },
    /// There is no such peer.
    #[error("there is no peer {0}")]
    NoPeer(u64),
    /// A peer is in two groups.
    #[error("peer {0} is in two groups")]
    TwoGroups(u64),
    /// Leases rest on voters that stay with a live leader.
    #[error("reads by lease need check_quorum")]
    LeaseWithoutQuorum,
    /// Operations that are no part of a batch, or too many.
    #[error("a batch holds 1 to {BATCH_MAX} operations on keys")]
    Batch,
    /// The commands are not in the order of time.
    #[error("command {0} is earlier than the one before it")]
    Order(usize),
    /// A peer cannot start.
    #[error("peer {peer} cannot start: {reason}")]
    Start {
        /// The peer.
        peer: u64,
        /// Why.
        reason: raft_kv::Error,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Scenario {
    /// Five peers, the default settings, no commands.
    pub fn new(seed: u64) -> Self {
        Self {
            version: VERSION,
            seed,
            peers: 5,
            spares: 0,
            settings: Settings::default(),
            commands: Vec::new(),
        }
    }

    /// Number of stores, with and without a peer.
    pub fn stores(&self) -> u64 {
        self.peers.saturating_add(self.spares)
    }

    /// Ids of the stores.
    pub fn store_ids(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.stores()
    }

    /// Ids of the first peers.
    pub fn peer_ids(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.peers
    }

    /// Refuses what cannot be run, or would run for ever.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        if self.version != VERSION {
            return Err(ScenarioError::Version(self.version));
        }
        in_range("number of peers", self.peers, 1, PEERS_MAX)?;
        in_range("number of stores", self.stores(), 1, PEERS_MAX)?;
        self.settings.validate()?;
        in_range("number of commands", self.commands.len() as u64, 0, COMMANDS_MAX as u64)?;
        for (position, pair) in self.commands.windows(2).enumerate() {
            if pair[1].at_us < pair[0].at_us {
                return Err(ScenarioError::Order(position + 1));
            }
        }
        if let Some(last) = self.commands.last() {
            in_range("time of a command", last.at_us, 0, COMMAND_US_MAX)?;
        }
        self.commands.iter().try_for_each(|timed| timed.command.validate(self.stores()))
    }
}

impl Settings {
    fn validate(&self) -> Result<(), ScenarioError> {
        in_range("tick", self.tick_us, 100, HOUR_US)?;
        in_range("heartbeat ticks", self.heartbeat_tick.into(), 1, 1_000)?;
        let heartbeat = u64::from(self.heartbeat_tick);
        in_range("election ticks", self.election_tick.into(), heartbeat + 1, 10_000)?;
        self.latency.validate("latency")?;
        self.sync.validate("disk sync time")?;
        in_range("write-back time", self.write_back_us, 0, HOUR_US)?;
        in_range("loss", self.loss_permille.into(), 0, 1_000)?;
        in_range("client time-out", self.client_timeout_us, 1_000, HOUR_US)?;
        in_range("client deadline", self.client_deadline_us, self.client_timeout_us, HOUR_US)?;
        in_range("appends in flight", self.appends_in_flight_max.into(), 1, 1_000_000)?;
        if self.reads == Reads::Lease && !self.check_quorum {
            return Err(ScenarioError::LeaseWithoutQuorum);
        }
        Ok(())
    }
}

impl Span {
    pub(crate) fn validate(&self, what: &'static str) -> Result<(), ScenarioError> {
        // Nothing is instant: a world where time stands still would never end.
        in_range(what, self.min_us, 1, HOUR_US)?;
        in_range(what, self.max_us, self.min_us, HOUR_US)
    }
}

impl Op {
    /// Whether it is about members and leadership, not about keys.
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Members { .. } | Self::TransferLeader { .. })
    }

    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Get { .. } | Self::Scan { .. } => false,
            Self::Batch { ops } => ops.iter().any(Self::is_write),
            Self::Put { .. }
            | Self::Delete { .. }
            | Self::DeleteRange { .. }
            | Self::Cas { .. }
            | Self::Members { .. }
            | Self::TransferLeader { .. }
            | Self::OpenSession => true,
        }
    }

    pub(crate) fn validate(&self, stores: u64) -> Result<(), ScenarioError> {
        let known = |store: u64| {
            if (1..=stores).contains(&store) { Ok(()) } else { Err(ScenarioError::NoPeer(store)) }
        };
        let key = |key: &str| in_range("key length", key.len() as u64, 1, KEY_BYTES_MAX as u64);
        let value =
            |value: &str| in_range("value length", value.len() as u64, 0, VALUE_BYTES_MAX as u64);
        let bound = |key: &str| in_range("key length", key.len() as u64, 0, KEY_BYTES_MAX as u64);
        match self {
            Self::Put { key: name, value: new } => key(name).and_then(|()| value(new)),
            Self::Cas { key: name, expected, new } => {
                key(name)?;
                [expected, new].into_iter().flatten().try_for_each(|held| value(held))
            }
            Self::Get { key: name } | Self::Delete { key: name } => key(name),
            Self::Scan { start, end, .. } | Self::DeleteRange { start, end } => {
                bound(start).and_then(|()| bound(end))
            }
            Self::Batch { ops } => {
                let nested = |op: &Self| {
                    op.is_admin() || matches!(op, Self::Batch { .. } | Self::OpenSession)
                };
                if ops.is_empty() || ops.len() > BATCH_MAX || ops.iter().any(nested) {
                    return Err(ScenarioError::Batch);
                }
                ops.iter().try_for_each(|op| op.validate(stores))
            }
            Self::Members { changes } => {
                in_range("number of changes", changes.len() as u64, 1, PEERS_MAX)?;
                changes.iter().try_for_each(|change| known(change.store))
            }
            Self::TransferLeader { to } => known(*to),
            Self::OpenSession => Ok(()),
        }
    }
}

pub(crate) fn in_range(
    what: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), ScenarioError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(ScenarioError::Range { what, value, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_survives_json() {
        let mut scenario = Scenario::new(7);
        scenario.commands = vec![
            TimedCommand { at_us: 5, command: Command::Crash { peer: 1 } },
            TimedCommand { at_us: 6, command: Command::Partition { groups: vec![vec![1, 2]] } },
            TimedCommand {
                at_us: 9,
                command: Command::Request {
                    client: 0,
                    op: Op::Get { key: "k".into() },
                    to: Some(3),
                },
            },
        ];
        let json = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), scenario);
        assert_eq!(scenario.validate(), Ok(()));
    }

    #[test]
    fn what_is_left_out_is_the_default_and_what_is_unknown_is_refused() {
        let short = r#"{"version":1,"seed":7,"peers":5}"#;
        assert_eq!(serde_json::from_str::<Scenario>(short).unwrap(), Scenario::new(7));
        let odd = r#"{"version":1,"seed":7,"peers":5,"magic":true}"#;
        assert!(serde_json::from_str::<Scenario>(odd).is_err());
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        let refused = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = Scenario::new(1);
            change(&mut scenario);
            scenario.validate().unwrap_err().to_string()
        };
        assert!(refused(&|s| s.version = 2).contains("version 2"));
        assert!(refused(&|s| s.peers = 0).contains("number of peers"));
        assert!(refused(&|s| s.peers = 10).contains("number of peers"));
        assert!(refused(&|s| s.settings.tick_us = 0).contains("tick"));
        assert!(refused(&|s| s.settings.election_tick = 2).contains("election ticks"));
        assert!(refused(&|s| s.settings.latency.min_us = 0).contains("latency"));
        assert!(refused(&|s| s.settings.sync.max_us = 1).contains("disk sync"));
        assert!(refused(&|s| s.settings.loss_permille = 1_001).contains("loss"));
        let commands = |commands: Vec<(u64, Command)>| {
            refused(&|s| {
                let timed = commands.iter().cloned();
                s.commands =
                    timed.map(|(at_us, command)| TimedCommand { at_us, command }).collect();
            })
        };
        assert!(commands(vec![(1, Command::Crash { peer: 6 })]).contains("no peer 6"));
        assert!(commands(vec![(2, Command::Heal), (1, Command::Heal)]).contains("earlier"));
        let twice = Command::Partition { groups: vec![vec![1], vec![1]] };
        assert!(commands(vec![(1, twice)]).contains("two groups"));
        assert!(
            commands(vec![(1, Command::Heal), (u64::MAX, Command::Heal)]).contains("time of a")
        );
        let key = "k".repeat(65);
        let get = Command::Request { client: 0, op: Op::Get { key }, to: None };
        assert!(commands(vec![(1, get)]).contains("key length"));
    }
}
