//! Messages under way: they wait until the scene delivers, drops or holds them.

use raft_core::describe::{self, message_type};
use raft_core::eraftpb::{Entry, Message, MessageType};
use raft_core::{Ballot, Receipt, Response};

use crate::script::Call;
use crate::{Result, nonsense};

/// Messages between peers, and receipts from a peer's own threads back to it, in the order in which
/// they were sent.
#[derive(Debug, Default)]
pub(crate) struct Network {
    under_way: Vec<Packet>,
    held: Vec<Packet>,
}

/// Something on its way to a peer.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// The peer that it is for.
    pub(crate) to: u64,
    /// What it is.
    pub(crate) cargo: Cargo,
}

/// What is under way.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    /// A message, or a receipt for a write of the log.
    Response(Response),
    /// A receipt for entries that were applied.
    Applied(Vec<Entry>),
}

/// Which packets a command is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    kind: Option<&'static str>,
    from: Option<u64>,
    limit: Option<usize>,
}

/// Receipts that have no message type on the wire.
const RECEIPTS: [&str; 2] = ["MsgStorageAppendResp", "MsgStorageApplyResp"];

impl Filter {
    /// Takes `type=`, `from=` and `n=` from the call; what is not given matches all.
    pub(crate) fn take(call: &mut Call) -> Result<Self> {
        let kind = match call.find::<String>("type")? {
            None => None,
            Some(name) => {
                let message = describe::message_type_of(&name).map(message_type);
                let receipt = || RECEIPTS.into_iter().find(|known| *known == name);
                match message.or_else(receipt) {
                    Some(kind) => Some(kind),
                    None => return nonsense(format!("there is no message type `{name}`")),
                }
            }
        };
        Ok(Self { kind, from: call.find("from")?, limit: call.find("n")? })
    }

    fn matches(&self, to: u64, packet: &Packet) -> bool {
        packet.to == to
            && self.kind.is_none_or(|kind| kind == packet.kind())
            && self.from.is_none_or(|from| packet.from() == Some(from))
    }
}

impl Packet {
    /// A message that leaves a peer.
    pub(crate) fn message(message: Message) -> Self {
        Self { to: message.to, cargo: Cargo::Response(Response::Send(message)) }
    }

    /// What waited for a write of peer `id`.
    pub(crate) fn response(id: u64, response: Response) -> Self {
        let to = match &response {
            Response::Send(message) => message.to,
            Response::Own(_) => id,
        };
        Self { to, cargo: Cargo::Response(response) }
    }

    /// Peer `id` has applied these entries.
    pub(crate) fn applied(id: u64, entries: Vec<Entry>) -> Self {
        Self { to: id, cargo: Cargo::Applied(entries) }
    }

    /// What etcd calls its type.
    fn kind(&self) -> &'static str {
        let receipt = match &self.cargo {
            Cargo::Response(Response::Send(message)) => return describe::message_name(message),
            Cargo::Response(Response::Own(receipt)) => receipt,
            Cargo::Applied(_) => return RECEIPTS[1],
        };
        message_type(match receipt {
            Receipt::Append { .. } => MessageType::MsgAppendResponse,
            Receipt::Vote { ballot: Ballot::Vote, .. } => MessageType::MsgRequestVoteResponse,
            Receipt::Vote { ballot: Ballot::PreVote, .. } => MessageType::MsgRequestPreVoteResponse,
            Receipt::Stored { .. } => return RECEIPTS[0],
            Receipt::Applied { .. } => return RECEIPTS[1],
        })
    }

    /// The peer that sent it; none for a thread.
    fn from(&self) -> Option<u64> {
        let receipt = match &self.cargo {
            Cargo::Response(Response::Send(message)) => return Some(message.from),
            Cargo::Response(Response::Own(receipt)) => receipt,
            Cargo::Applied(_) => return None,
        };
        matches!(receipt, Receipt::Append { .. } | Receipt::Vote { .. }).then_some(self.to)
    }

    /// Whether it never leaves its peer, so that it cannot be lost.
    fn is_local(&self) -> bool {
        self.from().is_none_or(|from| from == self.to)
    }

    pub(crate) fn describe(&self) -> String {
        match &self.cargo {
            Cargo::Response(response) => describe::response(self.to, response),
            Cargo::Applied(entries) => describe::storage_applied(self.to, entries),
        }
    }
}

impl Network {
    pub(crate) fn send(&mut self, packet: Packet) {
        self.under_way.push(packet);
    }

    /// Whether something is under way to peer `to`.
    pub(crate) fn has_for(&self, to: u64) -> bool {
        self.under_way.iter().any(|packet| packet.to == to)
    }

    /// Takes what matches, oldest first. What is to be lost cannot be local.
    pub(crate) fn take(&mut self, to: u64, filter: &Filter, lose: bool) -> Vec<Packet> {
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let mut taken = Vec::new();
        self.under_way.retain(|packet| {
            let wanted = left > 0 && filter.matches(to, packet) && !(lose && packet.is_local());
            if wanted {
                left -= 1;
                taken.push(packet.clone());
            }
            !wanted
        });
        taken
    }

    /// What matches, which stays under way. Local things do not match: there is one of each.
    pub(crate) fn copy(&mut self, to: u64, filter: &Filter) -> Vec<Packet> {
        let matching = |packet: &&Packet| filter.matches(to, packet) && !packet.is_local();
        let copies =
            self.under_way.iter().filter(matching).take(filter.limit.unwrap_or(usize::MAX));
        copies.cloned().collect()
    }

    /// Keeps `packet` back until [`release`](Self::release).
    pub(crate) fn hold(&mut self, packet: Packet) {
        self.held.push(packet);
    }

    /// Lets what was held back go on, behind everything else.
    pub(crate) fn release(&mut self) -> Vec<Packet> {
        let held = std::mem::take(&mut self.held);
        self.under_way.extend(held.iter().cloned());
        held
    }

    /// Forgets what peer `id` has told itself: it has crashed.
    pub(crate) fn forget_local(&mut self, id: u64) {
        self.under_way.retain(|packet| packet.to != id || !packet.is_local());
    }
}
