//! Messages under way, and the links that are cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use raft_core::eraftpb::{Message, MessageType};

use crate::rng::Rng;

/// One encoded message, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The sender's incarnation.
    pub(crate) incarnation: u64,
    pub(crate) kind: MessageType,
    pub(crate) bytes: Bytes,
    pub(crate) message: Message,
}

/// Messages beyond this number are lost, at random.
const CAPACITY: usize = 400;

#[derive(Debug, Default)]
pub(crate) struct Network {
    packets: VecDeque<Packet>,
    /// Links that carry nothing, from sender to receiver.
    cut: BTreeSet<(u64, u64)>,
}

impl Network {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) fn send(&mut self, packet: Packet) {
        self.packets.push_back(packet);
    }

    /// A message that the network is too full to carry.
    pub(crate) fn overflow(&mut self, rng: &mut Rng) -> Option<Packet> {
        let full = self.packets.len() > CAPACITY;
        full.then(|| self.packets.swap_remove_back(rng.position(CAPACITY))).flatten()
    }

    /// The next message, from the front or from anywhere.
    pub(crate) fn take(&mut self, reordering: u64, rng: &mut Rng) -> Option<Packet> {
        if rng.chance(reordering) {
            let at = rng.position(self.packets.len());
            return self.packets.swap_remove_front(at);
        }
        self.packets.pop_front()
    }

    pub(crate) fn carries(&self, from: u64, to: u64) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Cuts some links: between two halves, around one node, often the leader, or a single one, one
    /// way or both.
    pub(crate) fn cut(&mut self, ids: &[u64], leader: Option<u64>, rng: &mut Rng) {
        let side: BTreeMap<u64, bool> = match rng.below(3) {
            0 => ids.iter().map(|id| (*id, rng.coin())).collect(),
            _ => {
                let one = leader.filter(|_| rng.coin()).or_else(|| rng.pick(ids));
                ids.iter().map(|id| (*id, Some(*id) == one)).collect()
            }
        };
        let one_way = rng.chance(300);
        let single = rng.chance(200).then(|| (rng.pick(ids), rng.pick(ids)));
        for (from, from_side) in &side {
            for (to, to_side) in &side {
                let apart = from_side != to_side && (!one_way || *from_side);
                let chosen = single.is_none_or(|pair| pair == (Some(*from), Some(*to)));
                if apart && chosen {
                    self.cut.insert((*from, *to));
                }
            }
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }
}
