//! One machine of the cluster: a disk that survives, and a peer that may be down.

use raft_core::proto::metapb;
use raft_core::{Event, Tracer};
use raft_kv::{Engines, LogGc, Peer, PeerConfig, Store, StoreConfig, Work};

use crate::backlog::Backlog;
use crate::disk::Disk;
use crate::faults::CrashPoint;
use crate::rng::mix;
use crate::scenario::Scenario;
use crate::variant::Variant;

/// The cluster that all stores belong to.
pub(crate) const CLUSTER: u64 = 1;
/// The only region of the cluster.
pub(crate) const REGION: u64 = 1;

/// Collects what happens inside a peer, if somebody listens.
#[derive(Clone, Debug, Default)]
pub struct Ear {
    pub(crate) listens: bool,
    pub(crate) heard: Vec<Event>,
}

impl Tracer for Ear {
    fn listens(&self) -> bool {
        self.listens
    }

    fn trace(&mut self, _: u64, event: Event) {
        self.heard.push(event);
    }
}

/// One machine of the cluster.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) disk: Disk,
    pub(crate) state: NodeState,
    /// Counts the peer's starts; what belongs to an earlier one is void.
    pub(crate) incarnation: u64,
    /// When the clock ticks next; never if it stands still.
    pub(crate) next_tick_us: u64,
    /// Virtual time between two ticks; [`FROZEN`] if the clock stands still.
    pub(crate) period_us: u64,
    /// What piled up, if the peer is stalled.
    pub(crate) backlog: Option<Backlog>,
    /// Where the next write is to end.
    pub(crate) armed: Option<CrashPoint>,
    /// A snapshot was installed since the start.
    pub(crate) installed: bool,
}

/// The period of a clock that stands still.
pub(crate) const FROZEN: u64 = u64::MAX;

/// Work that the disk is busy with.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) work: Work,
    /// It is durable, and the peer is too stalled to hear of it.
    pub(crate) durable: bool,
}

/// Whether a machine runs.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all nodes run nearly all the time")]
pub(crate) enum NodeState {
    Up {
        store: Store<Ear>,
        writing: Option<Writing>,
    },
    Down,
    /// The peer stopped by itself, and why.
    Failed(String),
}

/// The machines of a cluster, whose ids count from 1.
#[derive(Clone, Debug)]
pub(crate) struct Nodes(Vec<Node>);

impl FromIterator<Node> for Nodes {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}

impl Nodes {
    fn position(id: u64) -> usize {
        // There is no machine 0.
        usize::try_from(id.wrapping_sub(1)).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Node> {
        self.0.get(Self::position(id))
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Node> {
        self.0.get_mut(Self::position(id))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Node)> {
        (1..).zip(&self.0)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut()
    }
}

impl Node {
    /// A machine that is down, with this disk, after `epoch` power cuts.
    pub(crate) fn new(durable: Engines, epoch: u64, period_us: u64) -> Self {
        Self {
            disk: Disk::new(durable),
            state: NodeState::Down,
            // Starts after different power cuts must not draw the same time-outs.
            incarnation: epoch << 32,
            next_tick_us: FROZEN,
            period_us,
            backlog: None,
            armed: None,
            installed: false,
        }
    }

    /// The peer, if the machine is up and has one.
    pub fn peer(&self) -> Option<&Peer<Ear>> {
        match &self.state {
            NodeState::Up { store, .. } => store.peer(),
            NodeState::Down | NodeState::Failed(_) => None,
        }
    }

    /// Whether the machine runs, with or without a peer.
    pub fn is_up(&self) -> bool {
        matches!(self.state, NodeState::Up { .. })
    }

    pub(crate) fn store_mut(&mut self) -> Option<&mut Store<Ear>> {
        match &mut self.state {
            NodeState::Up { store, .. } => Some(store),
            NodeState::Down | NodeState::Failed(_) => None,
        }
    }

    /// Why the peer stopped by itself, if it did.
    pub fn failure(&self) -> Option<&str> {
        match &self.state {
            NodeState::Failed(reason) => Some(reason),
            NodeState::Up { .. } | NodeState::Down => None,
        }
    }

    /// Whether the disk is busy with a write that a crash would lose.
    pub fn is_writing(&self) -> bool {
        matches!(&self.state, NodeState::Up { writing: Some(writing), .. } if !writing.durable)
    }

    /// Whether some work of the peer is not done yet: a write, or what is to follow it.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(&self.state, NodeState::Up { writing: Some(_), .. })
    }

    /// Whether the peer is up but stalled.
    pub fn is_paused(&self) -> bool {
        self.backlog.is_some()
    }

    /// Whether the machine's clock stands still.
    pub fn is_frozen(&self) -> bool {
        self.period_us == FROZEN
    }

    /// What a crash now would leave at the least.
    pub fn disk(&self) -> &Engines {
        self.disk.durable()
    }

    /// Whether the disk was wiped or rolled back: the peer may break promises that it gave, and what
    /// follows from it is no fault of Raft's.
    pub fn is_outside_the_model(&self) -> bool {
        self.disk.set_back
    }

    /// How often the peer was started.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Virtual time of the peer's next tick; the end of time if its clock stands still.
    pub fn next_tick_us(&self) -> u64 {
        self.next_tick_us
    }

    /// Starts the peer from its disk.
    pub(crate) fn start(
        &mut self,
        id: u64,
        scenario: &Scenario,
        Variant { rules, store_rules, flaws }: Variant,
        listens: bool,
    ) -> raft_kv::Result<()> {
        self.incarnation += 1;
        self.installed = false;
        let settings = &scenario.settings;
        let peer = PeerConfig {
            election_tick: settings.election_tick,
            heartbeat_tick: settings.heartbeat_tick,
            // A restarted peer draws other time-outs than the first time.
            seed: mix(scenario.seed, self.incarnation),
            pre_vote: settings.pre_vote,
            check_quorum: settings.check_quorum && !flaws.unchecked_quorum,
            reads: settings.reads.into(),
            log_gc: LogGc {
                tick_interval: settings.log_gc_ticks,
                count_limit: settings.log_gc_entries,
            },
            max_size_per_msg: settings.append_bytes_max,
            max_inflight_msgs: settings.appends_in_flight_max,
            apply_bytes_max: settings.apply_bytes_max,
            broadcast_commit: settings.broadcast_commit,
            rules,
            store_rules,
            ..PeerConfig::new(metapb::Peer { id, store_id: id, role: 0 }, REGION)
        };
        let ear = Ear { listens, heard: Vec::new() };
        let store = Store::open(&StoreConfig { peer }, self.disk.durable(), ear)?;
        self.state = NodeState::Up { store, writing: None };
        Ok(())
    }
}
