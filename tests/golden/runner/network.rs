//! The network of a scene: messages wait until the scene delivers, drops or delays them.

use std::collections::{BTreeSet, VecDeque};

use raft_core::describe;
use raft_core::eraftpb::{Message, MessageType};

use super::Result;
use super::call::Call;

/// Messages under way, in the order in which they were sent, and links that are cut.
#[derive(Debug, Default)]
pub(super) struct Network {
    under_way: VecDeque<Packet>,
    held: Vec<Packet>,
    cuts: BTreeSet<(u64, u64)>,
}

/// A message with its true sender: a forwarded request names another peer in `from`.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) sender: u64,
    pub(super) message: Message,
}

/// Which messages a command is about.
#[derive(Debug, Default)]
pub(super) struct Filter {
    from: Option<u64>,
    to: Option<u64>,
    kind: Option<String>,
    limit: Option<usize>,
    among: Vec<u64>,
}

impl Filter {
    /// Takes `from=`, `to=`, `type=` and `n=` from the call; what is not given matches all.
    pub(super) fn take(call: &mut Call) -> Result<Self> {
        let kind: Option<String> = call.find("type")?;
        if let Some(name) = &kind {
            let known = MessageType::from_str_name(&format!("Msg{name}"));
            known.ok_or_else(|| format!("there is no message type `{name}`"))?;
        }
        Ok(Self {
            from: call.find("from")?,
            to: call.find("to")?,
            kind,
            limit: call.find("n")?,
            among: Vec::new(),
        })
    }

    /// Messages between peers of this set; between all if it is empty.
    pub(super) fn among(peers: Vec<u64>) -> Self {
        Self { among: peers, ..Self::default() }
    }

    fn matches(&self, packet: &Packet) -> bool {
        let (sender, message) = (packet.sender, &packet.message);
        let named = |kind: &String| describe::message_name(message) == kind;
        let inside = |id| self.among.is_empty() || self.among.contains(&id);
        self.from.is_none_or(|id| id == sender)
            && self.to.is_none_or(|id| id == message.to)
            && self.kind.as_ref().is_none_or(named)
            && inside(sender)
            && inside(message.to)
    }
}

impl Network {
    pub(super) fn send(&mut self, packet: Packet) {
        self.under_way.push_back(packet);
    }

    /// Takes the messages that match, oldest first.
    pub(super) fn take(&mut self, filter: &Filter) -> Vec<Packet> {
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let (mut taken, mut kept) = (Vec::new(), VecDeque::new());
        for packet in self.under_way.drain(..) {
            if left > 0 && filter.matches(&packet) {
                left -= 1;
                taken.push(packet);
            } else {
                kept.push_back(packet);
            }
        }
        self.under_way = kept;
        taken
    }

    /// Takes the oldest message that matches.
    pub(super) fn take_first(&mut self, filter: &Filter) -> Option<Packet> {
        let position = self.under_way.iter().position(|packet| filter.matches(packet))?;
        self.under_way.remove(position)
    }

    /// Keeps `packet` back until [`release`](Self::release).
    pub(super) fn hold(&mut self, packet: Packet) {
        self.held.push(packet);
    }

    /// Lets the messages that were held back go on, behind all others.
    pub(super) fn release(&mut self) -> Vec<Packet> {
        let held = std::mem::take(&mut self.held);
        self.under_way.extend(held.iter().cloned());
        held
    }

    pub(super) fn cut(&mut self, one: u64, other: u64) {
        self.cuts.insert((one.min(other), one.max(other)));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn is_cut(&self, packet: &Packet) -> bool {
        let (one, other) = (packet.sender, packet.message.to);
        self.cuts.contains(&(one.min(other), one.max(other)))
    }
}
