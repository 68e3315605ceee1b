//! A hook that receives every decision and every state transition, with the facts behind it.
//!
//! [`RawNode::with_tracer`](crate::RawNode::with_tracer) takes any [`Tracer`]. Without one the
//! events are never made: [`Tracer::ACTIVE`] is a constant, so the compiler removes them.
//! [`describe::log_line`](crate::describe::log_line) words an event the way etcd's log does.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::EntryId;
use crate::error::{ConfChangeError, DropReason, StorageError};
use crate::outcome::{Ballot, Ignored, Rejected};
use crate::proto::eraftpb::{ConfChangeV2, ConfState, MessageType};
use crate::raft::StateRole;
use crate::tracker::{Configuration, Progress};

/// Receives what happens inside a peer, as it happens.
pub trait Tracer {
    /// Whether anybody listens, ever.
    const ACTIVE: bool = true;

    /// Whether anybody listens now; if not, events are not even made.
    fn listens(&self) -> bool {
        true
    }

    /// `event` has just happened to peer `id`.
    fn trace(&mut self, id: u64, event: Event);
}

/// Nobody listens, and nothing is spent on telling.
impl Tracer for () {
    const ACTIVE: bool = false;

    fn trace(&mut self, _: u64, _: Event) {}
}

/// Collects events, for tests and for drivers that drain them.
impl Tracer for Vec<Event> {
    fn trace(&mut self, _: u64, event: Event) {
        self.push(event);
    }
}

/// A voter and a candidate at the moment a vote is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteFacts {
    /// Which vote.
    pub ballot: Ballot,
    /// Who asks.
    pub candidate: u64,
    /// The candidate's last entry.
    pub candidate_last: EntryId,
    /// The voter's last entry.
    pub own_last: EntryId,
    /// Whom the voter has voted for in its term; 0 is nobody.
    pub vote: u64,
    /// The voter's term.
    pub term: u64,
}

/// One thing that happened inside a peer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The peer started from its storage.
    Started {
        /// The voters, ascending.
        voters: Vec<u64>,
        /// Its term.
        term: u64,
        /// Its commit index.
        committed: u64,
        /// Its applied index.
        applied: u64,
        /// Its last entry.
        last: EntryId,
    },
    /// The peer took a role.
    Became {
        /// The role.
        role: StateRole,
        /// The term it is in now.
        term: u64,
        /// The leader it follows; 0 if it knows none.
        leader: u64,
    },
    /// The election timer fired, or a campaign was asked for, and nothing stood against it.
    CampaignStarted {
        /// The term before the campaign.
        term: u64,
    },
    /// A vote was asked for.
    VoteRequested {
        /// Which vote.
        ballot: Ballot,
        /// From whom.
        to: u64,
        /// The candidate's last entry.
        last: EntryId,
        /// The candidate's term.
        term: u64,
    },
    /// A vote was given.
    VoteCast(VoteFacts),
    /// A vote was refused; the [`Rejected`] event follows.
    VoteRefused(VoteFacts),
    /// A vote request was ignored because of a lease; the [`Ignored`] event follows.
    VoteIgnored(VoteFacts, u32),
    /// An answer to a vote request arrived.
    VoteReceived {
        /// Which vote.
        ballot: Ballot,
        /// From whom.
        from: u64,
        /// Yes or no.
        granted: bool,
        /// The candidate's term.
        term: u64,
    },
    /// The votes so far.
    VotesCounted {
        /// Which vote.
        ballot: Ballot,
        /// Answers yes.
        granted: usize,
        /// Answers no.
        refused: usize,
    },
    /// A message of a newer term makes the peer a follower.
    HigherTerm {
        /// The message's type.
        kind: MessageType,
        /// Its sender.
        from: u64,
        /// Its term.
        theirs: u64,
        /// The receiver's term until now.
        own: u64,
    },
    /// A leader did not hear from a quorum for a whole election time-out and steps down.
    QuorumLost,
    /// A message changed nothing.
    Ignored {
        /// Why.
        reason: Ignored,
        /// Its sender.
        from: u64,
        /// The receiver's term.
        term: u64,
    },
    /// A message was refused.
    Rejected(Rejected),
    /// A proposal was dropped.
    ProposalDropped {
        /// Why.
        reason: DropReason,
        /// The term it was dropped in.
        term: u64,
    },
    /// A read request was dropped.
    ReadDropped {
        /// Why.
        reason: DropReason,
        /// The term it was dropped in.
        term: u64,
    },
    /// A membership change was refused when it was proposed; an empty entry takes its place.
    ConfChangeRefused {
        /// The change.
        change: ConfChangeV2,
        /// Whether it was proposed in the old form, as a `ConfChange`.
        v1: bool,
        /// The configuration then.
        configuration: Configuration,
        /// Why.
        reason: ConfChangeError,
    },
    /// A membership change took effect.
    ConfigurationChanged(Configuration),
    /// The leader proposes to leave a joint configuration by itself.
    AutoLeave {
        /// The configuration to leave.
        configuration: Configuration,
        /// Why it could not be proposed, if it could not.
        refused: Option<DropReason>,
    },
    /// Entries replace others from this index on.
    Conflict {
        /// The first index that differs.
        index: u64,
        /// The term that stood there.
        existing: u64,
        /// The term that stands there now.
        incoming: u64,
    },
    /// Everything in memory from this index on gave way to newer entries.
    UnstableReplaced {
        /// The first index replaced.
        from: u64,
    },
    /// The entries in memory were cut off before this index.
    UnstableTruncated {
        /// The first index cut off.
        before: u64,
    },
    /// A write was confirmed that a newer term may have overwritten: it proves nothing.
    StalePersist {
        /// Term at the time of the write.
        theirs: u64,
        /// Term now.
        own: u64,
    },
    /// A write of this entry was confirmed that is no longer in memory.
    PersistMissing {
        /// The entry.
        index: u64,
    },
    /// A write of this entry was confirmed, but a snapshot stands in its place.
    PersistOfSnapshot {
        /// The entry.
        index: u64,
    },
    /// A write of an entry was confirmed that was replaced meanwhile.
    PersistMismatch {
        /// The entry written.
        theirs: EntryId,
        /// The entry that stands there now.
        own: EntryId,
    },
    /// A follower refused an append.
    AppendRejected {
        /// Who.
        from: u64,
        /// The index that it refused.
        index: u64,
        /// Where its log may agree, and the term it has there.
        hint: EntryId,
    },
    /// A follower is probed from an earlier index.
    ProgressDecreased {
        /// Who.
        to: u64,
        /// Where it stands now.
        progress: Progress,
    },
    /// A follower that had needed a snapshot can be sent entries again.
    SnapshotNoLongerNeeded {
        /// Who.
        to: u64,
        /// Where it stood.
        progress: Progress,
    },
    /// A snapshot is needed but the follower has not been heard of lately.
    SnapshotForInactive {
        /// Who.
        to: u64,
    },
    /// A snapshot is needed but the storage has none that would do.
    SnapshotUnavailable {
        /// Who needs it.
        to: u64,
        /// What the storage says.
        error: StorageError,
    },
    /// A snapshot was sent.
    SnapshotSent {
        /// To whom.
        to: u64,
        /// The last entry it contains.
        id: EntryId,
        /// The leader's first index.
        first: u64,
        /// The leader's commit index.
        committed: u64,
        /// Where the follower stood.
        before: Progress,
        /// Where it stands now.
        after: Progress,
    },
    /// The transfer of a snapshot ended.
    SnapshotReported {
        /// To whom it was sent.
        to: u64,
        /// Whether it arrived.
        arrived: bool,
        /// Where the follower stands now.
        progress: Progress,
    },
    /// The transport could not reach a follower.
    Unreachable {
        /// Who.
        to: u64,
        /// Where it stands now.
        progress: Progress,
    },
    /// A snapshot is about to replace the log, which stands like this.
    SnapshotRestoring {
        /// The last entry that the snapshot contains.
        id: EntryId,
        /// The commit index.
        committed: u64,
        /// Applied so far.
        applied: u64,
        /// Handed out for application so far.
        applying: u64,
        /// The first index that is not known to be persisted.
        offset: u64,
        /// The first index that was not handed out for persistence.
        offset_in_progress: u64,
        /// Entries in memory.
        unstable: usize,
    },
    /// A snapshot replaced the log.
    SnapshotRestored {
        /// The last entry it contains.
        id: EntryId,
        /// The commit index now.
        committed: u64,
        /// The last entry now.
        last: EntryId,
    },
    /// A snapshot moved the commit index and nothing else.
    SnapshotFastForwarded {
        /// The last entry it contains.
        id: EntryId,
        /// The commit index before.
        committed: u64,
        /// The last entry.
        last: EntryId,
    },
    /// A snapshot is of a cluster that this peer is no member of.
    SnapshotForeign(ConfState),
    /// A snapshot was left unused.
    SnapshotIgnored {
        /// The last entry it contains.
        id: EntryId,
        /// The commit index.
        committed: u64,
    },
    /// An append was refused.
    AppendRefused {
        /// By whom it was sent.
        from: u64,
        /// The entry it was to follow.
        previous: EntryId,
        /// The term that stands there; 0 if none does.
        own_term: u64,
    },
    /// Leadership is being handed over.
    TransferStarted {
        /// To whom.
        to: u64,
        /// The term.
        term: u64,
    },
    /// A newer request ends an earlier transfer.
    TransferAborted {
        /// To whom leadership was being handed.
        to: u64,
        /// The term.
        term: u64,
    },
    /// A transfer of leadership is over: it took too long, its target is no voter any more, or the
    /// leader is none any more, as it should be.
    TransferEnded {
        /// To whom leadership was being handed.
        to: u64,
        /// The term.
        term: u64,
    },
    /// The successor is told to campaign at once.
    TimeoutNowSent {
        /// To whom.
        to: u64,
        /// Whether it had to catch up first.
        after_catch_up: bool,
    },
    /// The leader tells this peer to campaign at once.
    TimeoutNowReceived {
        /// The leader.
        from: u64,
        /// The term.
        term: u64,
    },
    /// The peer forgets its leader.
    LeaderForgotten {
        /// The leader.
        leader: u64,
        /// The term.
        term: u64,
    },
    /// The commit index moved.
    Committed {
        /// From.
        from: u64,
        /// To.
        to: u64,
    },
    /// A leader learned what a follower holds.
    Acknowledged {
        /// Who.
        from: u64,
        /// Up to which index.
        index: u64,
    },
    /// A read was confirmed: once the state machine has applied `index`, it may be served.
    ReadConfirmed {
        /// Who asked.
        from: u64,
        /// The index to wait for.
        index: u64,
        /// The request's context.
        context: Bytes,
    },
}
