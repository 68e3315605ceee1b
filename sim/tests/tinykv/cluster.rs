//! TinyKV's test cluster: what its tests ask of one, in the words they use.

use raft_core::proto::raft_serverpb::RaftApplyState;
use raft_kv::keys;
use raft_sim::{
    Command, LinkFault, Links, MemberChange, Op, Outcome, Reads, Reply, Role, Scenario, Settings,
    Span, World,
};

use crate::calls::{Call, TRY};
use crate::support::{self, Dice, SECOND};

pub(crate) const MILLISECOND: u64 = 1_000;
/// Ten ticks of 50 ms.
pub(crate) const ELECTION_TIMEOUT: u64 = 500 * MILLISECOND;
/// Of 1,000 messages a filter lets so many pass.
const FILTER_KEEPS: u64 = 899;
const REGION: u64 = 1;

/// Some stores, and a client that waits for each of its answers.
pub(crate) struct Cluster {
    pub(crate) world: World,
    /// Chance for the test, apart from the world's.
    pub(crate) dice: Dice,
    /// Of 1,000,000 messages so many pass all the filters that were added.
    passing: u64,
}

/// The log's end on the disk of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) applied: u64,
    /// Index and term of the last entry that is no longer in the log.
    pub(crate) truncated: (u64, u64),
}

/// TinyKV's test config: ticks of 50 ms, heartbeats after 2 and elections after 10 of them, a look
/// at the log's length at each. Its messages go through channels and its disks do not sync: here
/// both are quick. A client waits a second for each answer.
fn settings(seed: u64, log_limit: Option<u64>) -> Settings {
    let default = Settings::default();
    Settings {
        latency: Span { min_us: 2 * MILLISECOND, max_us: 8 * MILLISECOND },
        sync: Span { min_us: 500, max_us: 2 * MILLISECOND },
        client_timeout_us: SECOND,
        client_deadline_us: TRY,
        log_gc_ticks: 1,
        log_gc_entries: log_limit.unwrap_or(default.log_gc_entries),
        reads: if seed % 2 == 1 { Reads::Log } else { Reads::Index },
        sessions: seed / 2 % 2 == 1,
        ..default
    }
}

/// What becomes of the peer on a store.
pub(crate) fn member(store: u64, role: Role) -> Op {
    Op::Members { changes: vec![MemberChange { store, role }] }
}

impl Cluster {
    pub(crate) fn new(seed: u64, stores: u64, log_limit: Option<u64>) -> Self {
        let settings = settings(seed, log_limit);
        let scenario = Scenario { peers: stores, settings, ..Scenario::new(seed) };
        let world = World::new(&scenario).unwrap();
        Self { world, dice: Dice::new(seed), passing: 1_000_000 }
    }

    pub(crate) fn stores(&self) -> impl Iterator<Item = u64> + use<> {
        self.world.scenario().store_ids()
    }

    pub(crate) fn run_for(&mut self, us: u64) {
        self.world.run_until(self.world.now_us() + us);
        assert_eq!(self.world.violation(), None);
    }

    fn apply(&mut self, command: Command) {
        self.world.apply(command).unwrap();
        assert_eq!(self.world.violation(), None);
    }

    /// A client sends a request. Returns its number.
    pub(crate) fn send(&mut self, client: u64, op: Op) -> u64 {
        let before = self.world.last_request();
        self.apply(Command::Request { client, op, to: None });
        // The first write of a client may open a session, too.
        before + 1
    }

    pub(crate) fn outcome(&self, request: u64) -> Option<Outcome> {
        self.world.request(request).unwrap().outcome.clone()
    }

    /// Asks, and waits for the answer.
    fn ask(&mut self, op: Op) -> Reply {
        let mut call = Call::new(self, 0, op);
        loop {
            if let Some(reply) = call.answer(self) {
                return reply;
            }
            self.run_for(MILLISECOND);
        }
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        assert_eq!(self.ask(support::put_op(key, value)), Reply::Written);
    }

    pub(crate) fn must_get(&mut self, key: &str, value: &str) {
        let expected = Reply::Value(Some(value.into()));
        assert_eq!(self.ask(support::get_op(key)), expected, "{key}");
    }

    pub(crate) fn delete(&mut self, key: &str) {
        assert_eq!(self.ask(Op::Delete { key: key.into() }), Reply::Written);
    }

    /// Deletes keys, as many with one request as a batch holds.
    pub(crate) fn delete_all(&mut self, keys: &[String]) {
        for some in keys.chunks(16) {
            let ops = some.iter().map(|key| Op::Delete { key: key.clone() });
            let written = vec![Reply::Written; some.len()];
            assert_eq!(self.ask(Op::Batch { ops: ops.collect() }), Reply::Batch(written));
        }
    }

    /// The values from `start` up to but without `end`, in the order of their keys.
    pub(crate) fn scan(&mut self, start: &str, end: &str) -> Vec<String> {
        let op = Op::Scan { start: start.into(), end: end.into(), limit: 0 };
        match self.ask(op) {
            Reply::Pairs(pairs) => pairs.into_iter().map(|(_, value)| value).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// The store that leads, as soon as there is one.
    pub(crate) fn leader(&mut self) -> u64 {
        support::elect(&mut self.world)
    }

    /// The stores that hold a member, as the leader knows; none without a leader.
    pub(crate) fn members(&self) -> Vec<u64> {
        let leader = support::leader(&self.world).and_then(|store| self.world.node(store)?.peer());
        let peers = leader.map(|peer| peer.region().peers.as_slice()).unwrap_or_default();
        peers.iter().map(|peer| peer.store_id).collect()
    }

    /// Asks for it again and again: a change is refused while another one is under way, and a
    /// leader that is to leave lets another lead first.
    fn insist(&mut self, op: &Op, done: impl Fn(&Self) -> bool) {
        for _ in 0..100 {
            if done(self) {
                return;
            }
            let request = self.send(0, op.clone());
            while self.outcome(request).is_none() {
                self.run_for(MILLISECOND);
            }
            self.run_for(100 * MILLISECOND);
        }
        panic!("{op} is never done");
    }

    pub(crate) fn add_peer(&mut self, store: u64) {
        self.insist(&member(store, Role::Voter), |cluster| cluster.members().contains(&store));
    }

    pub(crate) fn remove_peer(&mut self, store: u64) {
        let gone = |cluster: &Self| {
            let members = cluster.members();
            !members.is_empty() && !members.contains(&store)
        };
        self.insist(&member(store, Role::Gone), gone);
    }

    pub(crate) fn transfer_leader(&mut self, to: u64) {
        let leads = |cluster: &Self| support::leader(&cluster.world) == Some(to);
        self.insist(&Op::TransferLeader { to }, leads);
    }

    /// Only stores of the same side hear each other. Whoever is not on one side is on the other.
    pub(crate) fn partition(&mut self, side: &[u64]) {
        self.apply(Command::Partition { groups: vec![side.to_vec()] });
    }

    /// One more filter that loses every tenth message.
    pub(crate) fn add_drop_filter(&mut self) {
        self.passing = self.passing * FILTER_KEEPS / 1_000;
        self.set_loss();
    }

    fn set_loss(&mut self) {
        let permille = 1_000 - u32::try_from(self.passing / 1_000).unwrap();
        self.apply(Command::Link { on: Links::All, fault: LinkFault::Loss { permille } });
    }

    pub(crate) fn clear_filters(&mut self) {
        self.apply(Command::Heal);
        self.passing = 1_000_000;
        self.set_loss();
    }

    /// The machine stops at once; what its disk has not written yet is lost.
    pub(crate) fn stop(&mut self, store: u64) {
        self.apply(Command::Crash { peer: store });
    }

    pub(crate) fn start(&mut self, store: u64) {
        self.apply(Command::Restart { peer: store });
        assert_eq!(self.world.node(store).unwrap().failure(), None, "store {store} starts");
    }

    /// What the disk of a store holds under a key.
    pub(crate) fn on_disk(&self, store: u64, key: &str) -> Option<String> {
        support::on_disk(&self.world, store, key)
    }

    /// Waits until the disk of a store holds this under a key: up to 300 times 20 ms.
    pub(crate) fn wait_on_disk(&mut self, store: u64, key: &str, value: Option<&str>) {
        for _ in 0..300 {
            if self.on_disk(store, key).as_deref() == value {
                return;
            }
            self.run_for(20 * MILLISECOND);
        }
        let held = self.on_disk(store, key);
        panic!("store {store} holds {held:?} under {key}, not {value:?}");
    }

    pub(crate) fn applied(&self, store: u64) -> Applied {
        let disk = self.world.node(store).unwrap().disk();
        let state: Option<RaftApplyState> =
            disk.kv.get_message(&keys::apply_state(REGION)).unwrap();
        let state = state.unwrap_or_default();
        let truncated = state.truncated_state.unwrap_or_default();
        Applied { applied: state.applied_index, truncated: (truncated.index, truncated.term) }
    }

    /// No store keeps more than so many entries that it has applied.
    pub(crate) fn check_log_lengths(&self, most: u64) {
        for store in self.stores() {
            let Applied { applied, truncated: (truncated, _) } = self.applied(store);
            let length = applied - truncated;
            assert!(length <= most, "store {store}: {truncated} to {applied}");
        }
    }
}
