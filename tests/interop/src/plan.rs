//! What one seed draws: who runs what, with which settings, under which faults.
//!
//! Every fault and every feature is off in many seeds. A run that does everything at once rarely
//! gets far in anything, and hides what one fault alone would show.

use std::collections::BTreeMap;

use raft_core::rules::RuleBook;

use crate::peer::Kind;
use crate::rng::Rng;

/// One mix of implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Split {
    /// First voters of the cluster, 3 or 5.
    pub(crate) voters: u64,
    /// Bit `i` is set if node `i + 1` is ours.
    pub(crate) ours: u64,
}

impl Split {
    /// Every mix of 3 and of 5 nodes in which both implementations occur: 6 and 30.
    pub(crate) fn all() -> Vec<Self> {
        let of = |voters: u64| (1..(1 << voters) - 1).map(move |ours| Self { voters, ours });
        of(3).chain(of(5)).collect()
    }

    pub(crate) fn kind(self, id: u64) -> Kind {
        if self.ours >> (id - 1) & 1 == 1 { Kind::Ours } else { Kind::Theirs }
    }

    /// Which nodes are whose, such as `otoot`.
    pub(crate) fn name(self) -> String {
        let letter = |id| if self.kind(id) == Kind::Ours { 'o' } else { 't' };
        (1..=self.voters).map(letter).collect()
    }
}

/// Settings of one node. What only one implementation has, the other leaves aside.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    pub(crate) election_tick: u32,
    pub(crate) heartbeat_tick: u32,
    pub(crate) pre_vote: bool,
    pub(crate) check_quorum: bool,
    pub(crate) max_size_per_msg: u64,
    pub(crate) max_inflight_msgs: u32,
    pub(crate) max_inflight_bytes: u64,
    pub(crate) max_uncommitted_size: u64,
    pub(crate) max_committed_size: u64,
    pub(crate) priority: i64,
    pub(crate) broadcast_commit: bool,
    /// Ours makes an append per proposal.
    pub(crate) eager_appends: bool,
    /// Ours tells its commit index in votes and answers too.
    pub(crate) share_commit: bool,
    /// Ours counts its own vote and append at once.
    pub(crate) own_ack_at_once: bool,
    pub(crate) step_down_on_removal: bool,
    /// Persists and applies in the background.
    pub(crate) pipelined: bool,
    /// The rules that ours follows.
    pub(crate) rules: RuleBook,
}

/// How often, of 1,000 chances, each thing goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    /// A message is taken from anywhere in the network, not from the front.
    pub(crate) reordering: u64,
    /// A sender is told that its message was lost.
    pub(crate) unreachable: u64,
    /// Senders of ours are told what became of their snapshots. Theirs always are: it waits for
    /// ever otherwise.
    pub(crate) snapshot_reports: bool,
    /// A node handles what it has to do at once after a message.
    pub(crate) eager: u64,
    /// The state machine is saved after it applied something.
    pub(crate) checkpoint: u64,
}

/// How often each kind of event is drawn, as weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) deliver: u64,
    pub(crate) tick: u64,
    pub(crate) work: u64,
    pub(crate) sync: u64,
    pub(crate) apply: u64,
    pub(crate) propose: u64,
    pub(crate) read: u64,
    pub(crate) transfer: u64,
    pub(crate) campaign: u64,
    pub(crate) change: u64,
    pub(crate) compact: u64,
    pub(crate) cut: u64,
    pub(crate) heal: u64,
    pub(crate) crash: u64,
    pub(crate) restart: u64,
    pub(crate) unavailable: u64,
    pub(crate) request_snapshot: u64,
}

/// Which membership changes may be proposed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) learners: bool,
    pub(crate) joint: bool,
    /// Changes that every node must refuse alike, such as the removal of all voters.
    pub(crate) nonsense: bool,
    /// Nodes that were removed may come back. Without pre-vote they bring a term along that may be
    /// newer than the leader's, and need never tell anybody.
    pub(crate) rejoin: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) split: Split,
    /// Every node that there can be, also those that may join later.
    pub(crate) nodes: BTreeMap<u64, NodePlan>,
    pub(crate) election_tick: u32,
    pub(crate) pre_vote: bool,
    pub(crate) faults: Faults,
    pub(crate) rates: Rates,
    pub(crate) changes: Changes,
    /// How many nodes may be down at a time.
    pub(crate) down_max: usize,
    pub(crate) snapshot_padding: usize,
    pub(crate) payload_max: u64,
    pub(crate) steps: u64,
}

/// Nodes beside the first voters that may join.
const SPARES: u64 = 4;

impl Plan {
    /// The run of `seed`. The splits take turns, so that any few dozen seeds hold all of them.
    pub(crate) fn of(seed: u64, rules: &RuleBook) -> Self {
        let mut rng = Rng::of(seed, 1);
        let splits = Split::all();
        let turn = usize::try_from(seed % splits.len() as u64).unwrap_or_default();
        let split = splits[turn];
        let shared = Shared {
            election_tick: u32::try_from(rng.between(4, 16)).unwrap_or(10),
            heartbeat_tick: u32::try_from(rng.between(1, 3)).unwrap_or(1),
            pre_vote: rng.coin(),
            check_quorum: rng.coin(),
        };
        let mut nodes = nodes(seed, split, shared, &mut rng);
        let faults = faults(&mut rng);
        let rates = rates(&mut rng, &nodes);
        if rates.change > 0 {
            // A leader that steps down because it lost its vote may have a longer log than the
            // voters, who do not know yet that it has no vote any more. Only its commit index, in
            // its refusal, gets them out of that.
            nodes.values_mut().for_each(|node| node.share_commit = true);
        }
        nodes.values_mut().for_each(|node| node.rules = rules.clone());
        Self {
            seed,
            split,
            nodes,
            election_tick: shared.election_tick,
            pre_vote: shared.pre_vote,
            faults,
            rates,
            changes: Changes {
                learners: rng.chance(700),
                joint: rng.chance(700),
                nonsense: rng.chance(150),
                rejoin: shared.pre_vote,
            },
            down_max: rng.position(usize::try_from(split.voters).unwrap_or_default() + 1),
            snapshot_padding: if rng.chance(300) { rng.position(2_000) } else { 0 },
            payload_max: if rng.chance(300) { 300 } else { 8 },
            steps: rng.between(1_000, 20_000),
        }
    }
}

/// Settings that must be the same on all nodes.
#[derive(Clone, Copy, Debug)]
struct Shared {
    election_tick: u32,
    heartbeat_tick: u32,
    pre_vote: bool,
    check_quorum: bool,
}

fn nodes(seed: u64, split: Split, shared: Shared, rng: &mut Rng) -> BTreeMap<u64, NodePlan> {
    let priorities = rng.chance(150);
    let pipelines = rng.chance(400);
    let tuned = rng.chance(600);
    let node = |id: u64| {
        let kind = if id <= split.voters {
            split.kind(id)
        } else if rng.coin() {
            Kind::Ours
        } else {
            Kind::Theirs
        };
        let tuned = tuned && rng.chance(700);
        let small = |rng: &mut Rng, sizes: &[u64], usual: u64| {
            if tuned { rng.pick(sizes).unwrap_or(usual) } else { usual }
        };
        let max_size_per_msg = small(rng, &[0, 30, 200, 1_000], 1 << 20);
        let max_uncommitted_size = small(rng, &[0, 0, 1_000, 5_000], 0);
        let plan = NodePlan {
            id,
            kind,
            seed,
            election_tick: shared.election_tick,
            heartbeat_tick: shared.heartbeat_tick,
            pre_vote: shared.pre_vote,
            check_quorum: shared.check_quorum,
            max_size_per_msg,
            max_inflight_msgs: u32::try_from(small(rng, &[1, 2, 4, 16], 256)).unwrap_or(256),
            max_inflight_bytes: small(rng, &[0, 50, 500], 0),
            max_uncommitted_size: match max_uncommitted_size {
                0 => 0,
                size => size.max(max_size_per_msg),
            },
            max_committed_size: small(rng, &[0, 40, 400], 1 << 20),
            priority: if priorities { i64::try_from(rng.below(3)).unwrap_or(0) - 1 } else { 0 },
            broadcast_commit: !rng.chance(200),
            eager_appends: rng.chance(300),
            share_commit: !rng.chance(200),
            own_ack_at_once: rng.chance(200),
            step_down_on_removal: !rng.chance(300),
            pipelined: pipelines && rng.coin(),
            rules: RuleBook::default(),
        };
        (id, plan)
    };
    (1..=split.voters + SPARES).map(node).collect()
}

fn faults(rng: &mut Rng) -> Faults {
    let mut maybe = |odds: u64, values: &[u64]| {
        if rng.chance(odds) { rng.pick(values).unwrap_or(0) } else { 0 }
    };
    Faults {
        loss: maybe(600, &[10, 50, 200]),
        duplication: maybe(500, &[10, 50, 200]),
        reordering: maybe(700, &[50, 300, 1_000]),
        unreachable: maybe(500, &[100, 500, 1_000]),
        snapshot_reports: maybe(700, &[1]) == 1,
        eager: maybe(850, &[500, 900, 990, 1_000]),
        checkpoint: maybe(600, &[100, 1_000]),
    }
}

fn rates(rng: &mut Rng, nodes: &BTreeMap<u64, NodePlan>) -> Rates {
    let pipelined = nodes.values().any(|node| node.pipelined);
    let mut maybe = |odds: u64, values: &[u64]| {
        if rng.chance(odds) { rng.pick(values).unwrap_or(0) } else { 0 }
    };
    Rates {
        deliver: 400,
        tick: maybe(1_000, &[10, 20, 40, 100]),
        work: 200,
        sync: 200,
        apply: if pipelined { 100 } else { 0 },
        propose: maybe(950, &[4, 15, 60]),
        read: maybe(600, &[4, 15]),
        transfer: maybe(400, &[1, 4]),
        campaign: maybe(300, &[1, 4, 20]),
        change: maybe(600, &[2, 8]),
        compact: maybe(600, &[2, 8]),
        cut: maybe(500, &[1, 3, 8]),
        heal: maybe(1_000, &[2, 8]),
        crash: maybe(600, &[1, 4, 12]),
        restart: maybe(1_000, &[4, 12]),
        unavailable: maybe(200, &[4]),
        request_snapshot: maybe(200, &[2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_splits_are_all_mixes_of_three_and_of_five_nodes() {
        let splits = Split::all();
        assert_eq!(splits.len(), 6 + 30);
        assert!(splits.iter().all(|split| {
            let name = split.name();
            name.contains('o') && name.contains('t')
        }));
    }

    #[test]
    fn a_seed_always_draws_the_same_plan() {
        let plan = || format!("{:?}", Plan::of(7, &RuleBook::default()));
        assert_eq!(plan(), plan());
    }
}
