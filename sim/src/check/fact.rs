//! What the checkers are told: plain facts, so that a trace can be written by hand.
//!
//! The world tells them in the order in which they became true. Within one event that is: what
//! happened to the log, then the state that it led to.

use raft_core::eraftpb::MessageType;
use raft_core::{EntryId, StateRole};

use super::hash::Hash;

/// One thing that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    /// A peer starts from its disk. Its log follows, entry by entry, as [`Fact::Loaded`].
    Started { peer: u64, state: State, base: EntryId },
    /// A peer that starts has this entry on its disk.
    Loaded { peer: u64, entry: Logged },
    /// A peer's log, in memory, now ends at `last`; what stood after it is gone.
    Cut { peer: u64, last: u64 },
    /// A peer's log, in memory, goes on with this entry; what stood at its index and after is gone.
    Appended { peer: u64, entry: Logged },
    /// A snapshot that ends at `base` took the place of a peer's whole log, in memory.
    Replaced { peer: u64, base: EntryId },
    /// A peer's state after something happened to it.
    State { peer: u64, state: State },
    /// What a leader knows about another peer's log.
    Progress { peer: u64, progress: Match },
    /// An entry became durable; what the disk had at its index and after is gone.
    Stored { peer: u64, entry: Logged },
    /// Term, vote, commit index and the last log index became durable.
    StoredHard { peer: u64, hard: Hard },
    /// The applied state up to `applied` became durable, and `base` as what is before the log.
    StoredApplied { peer: u64, applied: u64, base: EntryId },
    /// A peer was removed, and everything of it is gone from its disk.
    Destroyed { peer: u64 },
    /// Nothing of a peer waits to be made durable.
    AtRest { peer: u64 },
    /// A message left a peer.
    Sent { peer: u64, message: Sent },
    /// A peer applied an entry. `state` is a hash of the state machine after it, where known.
    Applied { peer: u64, entry: Logged, state: Option<u64> },
    /// A peer made a snapshot of its state machine.
    SnapshotMade { peer: u64, snapshot: Snapshot },
    /// A snapshot took the place of a peer's state machine.
    Installed { peer: u64, snapshot: Snapshot },
    /// These are a peer's members from now on: the entry at `index` changed them, or else a snapshot
    /// or the disk says that they were so at `index`.
    Configured { peer: u64, index: u64, changed: bool, members: &'a Members },
    /// A client sent a request.
    Invoked { request: u64 },
    /// An attempt of a request reaches the peer on a store, which refuses it or owes an answer.
    Asked { store: u64, request: u64, attempt: u32 },
    /// It refuses that attempt, at once.
    Refused { store: u64, request: u64, attempt: u32 },
    /// It answers an attempt that it did not refuse.
    Replied { store: u64, request: u64, attempt: u32 },
    /// The process on a store ends, and what it owed is void.
    Stopped { store: u64 },
    /// A peer answers a read from its state machine, which has applied everything up to `version`.
    /// `read_index` is what the read had to wait for, where known.
    Served { peer: u64, request: u64, version: u64, read_index: Option<u64> },
    /// A client got its answer: a write that is entry `id`, or a read of the state after it.
    Answered { request: u64, answer: Answer },
    /// A client gave up.
    GaveUp { request: u64 },
    /// A peer applied a client's command. `effect` is whether it changed anything, rather than
    /// being known as a repetition; `reply` is a hash of the reply.
    Executed { peer: u64, command: Executed },
}

/// A log entry: its name, a hash of what it says, and whether it changes the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) id: EntryId,
    pub(crate) hash: u64,
    pub(crate) change: bool,
}

/// What a peer has in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) term: u64,
    /// 0 is nobody.
    pub(crate) vote: u64,
    pub(crate) role: StateRole,
    /// 0 is none.
    pub(crate) leader: u64,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    /// The last index that is folded into a snapshot.
    pub(crate) base: u64,
    pub(crate) last: EntryId,
    /// A snapshot was accepted and is not applied yet.
    pub(crate) installing: bool,
}

/// What a leader knows about another peer's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) of: u64,
    pub(crate) matched: u64,
    pub(crate) next: u64,
}

/// What a peer's disk says beside the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hard {
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) commit: u64,
    pub(crate) last: u64,
}

/// A message between peers, as far as a rule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) kind: MessageType,
    pub(crate) to: u64,
    /// 0 if it is bound to none.
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) reject: bool,
    /// The last entry of one who asks for a snapshot, which counts as an acknowledgement.
    pub(crate) holds: Option<EntryId>,
}

/// A snapshot: its last entry, and hashes of what it contains, where known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) id: EntryId,
    /// Of the state machine with its sessions.
    pub(crate) state: Option<u64>,
    /// Of the members.
    pub(crate) members: Option<u64>,
}

/// Who votes. `outgoing` is empty unless the configuration is joint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) incoming: Vec<u64>,
    pub(crate) outgoing: Vec<u64>,
}

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its write is this entry.
    Written(EntryId),
    /// It read the state after the entry at this index.
    Read(u64),
    /// It is told that its write is done, and no peer that answered it had made an entry of it.
    Unlogged,
}

/// A client's command as it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) client: u64,
    pub(crate) sequence: u64,
    /// The entry that it was in.
    pub(crate) index: u64,
    pub(crate) effect: bool,
    pub(crate) reply: u64,
}

impl Members {
    /// The halves that must both agree.
    pub(crate) fn halves(&self) -> impl Iterator<Item = &[u64]> {
        let outgoing = Some(&self.outgoing[..]).filter(|ids| !ids.is_empty());
        std::iter::once(&self.incoming[..]).chain(outgoing)
    }

    pub(crate) fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }
}

impl Members {
    /// A fingerprint of who votes.
    pub(crate) fn hash(&self) -> u64 {
        let half = |hash: Hash, ids: &[u64]| {
            ids.iter().fold(hash.number(ids.len() as u64), |hash, &id| hash.number(id))
        };
        half(half(Hash::new(), &self.incoming), &self.outgoing).value()
    }
}

impl Sent {
    /// Whom `sender` votes for by sending this, if it is a vote: a candidate votes for itself.
    pub(crate) fn vote(&self, sender: u64) -> Option<u64> {
        match self.kind {
            MessageType::MsgRequestVoteResponse if !self.reject => Some(self.to),
            MessageType::MsgRequestVote => Some(sender),
            _ => None,
        }
    }
}

impl Fact<'_> {
    /// The peer, or the store, that it is about; 0 if it is about a client.
    pub(crate) fn peer(&self) -> u64 {
        match *self {
            Self::Started { peer, .. }
            | Self::Loaded { peer, .. }
            | Self::Cut { peer, .. }
            | Self::Appended { peer, .. }
            | Self::Replaced { peer, .. }
            | Self::State { peer, .. }
            | Self::Progress { peer, .. }
            | Self::Stored { peer, .. }
            | Self::StoredHard { peer, .. }
            | Self::StoredApplied { peer, .. }
            | Self::AtRest { peer }
            | Self::Destroyed { peer }
            | Self::Sent { peer, .. }
            | Self::Applied { peer, .. }
            | Self::SnapshotMade { peer, .. }
            | Self::Installed { peer, .. }
            | Self::Configured { peer, .. }
            | Self::Served { peer, .. }
            | Self::Executed { peer, .. } => peer,
            Self::Asked { store, .. }
            | Self::Refused { store, .. }
            | Self::Replied { store, .. }
            | Self::Stopped { store } => store,
            Self::Invoked { .. } | Self::Answered { .. } | Self::GaveUp { .. } => 0,
        }
    }
}
