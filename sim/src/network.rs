//! Links between peers, and the messages on them.

use std::collections::BTreeMap;

use raft_core::describe;
use raft_core::proto::raft_serverpb::RaftMessage;

use crate::rng::WorldRng;
use crate::scenario::Span;

/// A message between two peers on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// Unique in the run, in the order of sending.
    pub id: u64,
    /// Sender.
    pub from: u64,
    /// Receiver.
    pub to: u64,
    /// When it left.
    pub sent_us: u64,
    /// When it arrives, or would.
    pub arrives_us: u64,
    /// When it is lost on the way; none if it is not.
    pub dies_us: Option<u64>,
    /// What it says.
    pub message: RaftMessage,
}

impl Flight {
    /// What it says, in words.
    pub fn text(&self) -> String {
        self.message.message.as_ref().map(describe::message).unwrap_or_default()
    }

    /// When the flight ends, one way or the other.
    pub(crate) fn ends_us(&self) -> u64 {
        self.dies_us.unwrap_or(self.arrives_us)
    }
}

/// The network: groups that cannot hear each other, a loss rate, a range of latencies.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    latency: Span,
    loss_permille: u32,
    /// Group of each peer; peers of different groups are cut off from each other. Empty: no cuts.
    groups: BTreeMap<u64, usize>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(latency: Span, loss_permille: u32) -> Self {
        Self { latency, loss_permille, groups: BTreeMap::new(), sent: 0 }
    }

    pub(crate) fn set_loss(&mut self, permille: u32) {
        self.loss_permille = permille;
    }

    pub(crate) fn partition(&mut self, groups: &[Vec<u64>]) {
        self.groups = (1..)
            .zip(groups)
            .flat_map(|(group, peers)| peers.iter().map(move |&peer| (peer, group)))
            .collect();
    }

    pub(crate) fn heal(&mut self) {
        self.groups.clear();
    }

    /// Whether messages from `from` to `to` get through.
    pub(crate) fn is_connected(&self, from: u64, to: u64) -> bool {
        // A peer that no group names is in group 0.
        let group = |id| self.groups.get(&id).copied().unwrap_or(0);
        group(from) == group(to)
    }

    /// Sends a message: decides how long it travels and whether it is lost half-way.
    pub(crate) fn send(
        &mut self,
        from: u64,
        to: u64,
        message: RaftMessage,
        now_us: u64,
        rng: &mut WorldRng,
    ) -> Flight {
        self.sent += 1;
        let travel = rng.in_span(self.latency);
        // Drawn whatever the links are, so that a cut does not shift all later chance.
        let unlucky = rng.chance(self.loss_permille);
        let lost = unlucky || !self.is_connected(from, to);
        Flight {
            id: self.sent,
            from,
            to,
            sent_us: now_us,
            arrives_us: now_us + travel,
            dies_us: lost.then_some(now_us + travel / 2),
            message,
        }
    }

    /// How long a client's message travels.
    pub(crate) fn client_latency(&self, rng: &mut WorldRng) -> u64 {
        rng.in_span(self.latency)
    }
}
