//! Everything that can go wrong in the core, as data. No input makes the core panic.

use thiserror::Error;

use crate::proto::eraftpb::MessageType;

/// What the core's fallible calls return.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// An error of the core.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot work; nothing was created.
    #[error("invalid config: {0}")]
    Config(#[from] ConfigError),
    /// The storage failed or holds what no peer could have written.
    #[error("storage: {0}")]
    Storage(#[from] StorageError),
    /// The proposal was not appended and not forwarded; it has no effect.
    #[error("raft proposal dropped: {0}")]
    ProposalDropped(DropReason),
    /// The message type is for the peer's own use and is not accepted from the network.
    #[error("cannot step raft local message {0:?}")]
    StepLocalMsg(MessageType),
    /// A response came from a peer that is not a member.
    #[error("cannot step as peer {0} is not found")]
    StepPeerNotFound(u64),
    /// The message is not one that a peer could have sent; it was ignored.
    #[error("malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// The membership change cannot be applied; membership is as before.
    #[error("membership change refused: {0}")]
    ConfChange(#[from] ConfChangeError),
    /// The read was not started; ask again.
    #[error("read dropped: {0}")]
    ReadDropped(DropReason),
    /// No snapshot can be asked for now.
    #[error("snapshot request dropped: {0}")]
    SnapshotRequestDropped(SnapshotRequestError),
    /// The call does not fit [`Config::async_persist`](crate::Config::async_persist).
    #[error("{0} belongs to the other way of persisting (Config::async_persist)")]
    WrongMode(&'static str),
    /// A `Ready` of another peer, or one that this peer has not handed out yet.
    #[error("Ready {number} was not handed out: the last one was {last}")]
    UnknownReady {
        /// Its number.
        number: u64,
        /// Number of the last one.
        last: u64,
    },
}

/// Why a peer cannot ask for a snapshot.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotRequestError {
    /// The leader has nobody to ask.
    #[error("the leader cannot ask for a snapshot")]
    Leader,
    /// There is no leader to ask.
    #[error("no leader")]
    NoLeader,
    /// A snapshot is being installed or was asked for already.
    #[error("a snapshot is pending already")]
    Pending,
    /// The log ends in an older term, so it may still be overwritten.
    #[error("the last entry has term {last_term}, not {term}")]
    OldTerm {
        /// Term of the last entry.
        last_term: u64,
        /// The peer's term.
        term: u64,
    },
}

/// Why a [`Config`](crate::Config) is refused, in the order of TinyKV's `validate`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// 0 means "nobody" everywhere.
    #[error("cannot use 0 as id")]
    ZeroId,
    /// A leader that never beats is deposed at once.
    #[error("heartbeat tick must be greater than 0")]
    ZeroHeartbeat,
    /// Followers must hear at least one heartbeat before they give up.
    #[error("election tick must be greater than heartbeat tick")]
    ElectionNotAboveHeartbeat,
    /// The randomized time-out, up to twice the election tick, must fit in 32 bits.
    #[error("election tick is too large")]
    ElectionTooLarge,
    /// At least one append must be allowed in flight.
    #[error("max inflight messages must be greater than 0")]
    ZeroInflight,
    /// 0 cannot be a member.
    #[error("cannot use 0 as a peer")]
    ZeroPeer,
    /// A window that cannot hold one full message would stall.
    #[error("max inflight bytes must be >= max message size")]
    InflightBelowMessage,
    /// A lease is only as good as the check that ends it.
    #[error("check quorum must be on for reads by lease")]
    LeaseWithoutCheckQuorum,
    /// Counting an append before it is written makes no sense while writes overtake each other.
    #[error("pipelined persistence needs SelfAck::OnPersist")]
    AsyncNeedsOnPersist,
}

/// Why a [`Storage`](crate::Storage) call failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// The entry was folded into a snapshot (TinyKV `ErrCompacted`).
    #[error("requested index is unavailable due to compaction")]
    Compacted,
    /// The entry does not exist yet (TinyKV `ErrUnavailable`).
    #[error("requested entry at index is unavailable")]
    Unavailable,
    /// The snapshot is older than the one already there (TinyKV `ErrSnapOutOfDate`).
    #[error("requested index is older than the existing snapshot")]
    SnapshotOutOfDate,
    /// The snapshot is being made; ask again later (TinyKV `ErrSnapshotTemporarilyUnavailable`).
    #[error("snapshot is temporarily unavailable")]
    SnapshotTemporarilyUnavailable,
    /// An append would leave a hole in the log.
    #[error("missing log entries: last is {last}, append starts at {first}")]
    Gap {
        /// Last index that exists.
        last: u64,
        /// First index of the append.
        first: u64,
    },
    /// Stored records contradict each other: the peer must not start from them.
    #[error("inconsistent records: {what} is {value}, outside {min}..={max}")]
    Inconsistent {
        /// The record that is wrong.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The smallest legal value.
        min: u64,
        /// The largest legal value.
        max: u64,
    },
    /// A stored record does not decode or fails its check.
    #[error("corrupt record: {0}")]
    Corrupt(&'static str),
}

/// Why a proposal, a read or a membership change was dropped. It has no effect.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// There is no leader to forward it to.
    #[error("no leader")]
    NoLeader,
    /// The peer is not the leader and forwarding is off.
    #[error("{0} is the leader, and forwarding is off")]
    ForwardingDisabled(u64),
    /// The leader has been removed from the cluster.
    #[error("the leader is not a member")]
    NotMember,
    /// Leadership is being handed over.
    #[error("leadership is being transferred to {0}")]
    Transferring(u64),
    /// A proposal without entries proposes nothing.
    #[error("the proposal has no entries")]
    Empty,
    /// A membership change cannot be proposed now.
    #[error("{0}")]
    ConfChange(ConfChangeError),
    /// Too much is uncommitted already.
    #[error("{proposed} bytes more than the {uncommitted} uncommitted ones exceed {max}")]
    UncommittedSize {
        /// Bytes of payload proposed.
        proposed: u64,
        /// Bytes of payload that are not committed and applied yet.
        uncommitted: u64,
        /// The most there may be.
        max: u64,
    },
    /// So many reads wait for their confirmation already.
    #[error("{0} reads are pending already")]
    TooManyReads(usize),
    /// The leader that was to confirm the read stepped down.
    #[error("leadership was lost")]
    LeadershipLost,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The type's number is not in the schema.
    #[error("unknown message type {0}")]
    UnknownType(i32),
    /// An entry's type has a number that is not in the schema.
    #[error("unknown entry type {0}")]
    UnknownEntryType(i32),
    /// Sender and receiver must be two different peers.
    #[error("sender {from} and receiver {to} are not two peers")]
    Addresses {
        /// The message's sender.
        from: u64,
        /// The message's receiver.
        to: u64,
    },
    /// It is addressed to somebody else.
    #[error("meant for peer {0}")]
    WrongReceiver(u64),
    /// A message that must carry a term has none.
    #[error("a {0:?} without a term")]
    NoTerm(MessageType),
    /// The entries of an append must follow each other and their predecessor.
    #[error("entry {found} where {expected} must stand")]
    EntryOrder {
        /// Index found.
        found: u64,
        /// Index that must stand there.
        expected: u64,
    },
    /// Terms never decrease along a log and never exceed the sender's; that of a snapshot is that of
    /// its last entry.
    #[error("entry {index} has term {term}, outside {min}..={max}")]
    EntryTerm {
        /// The entry.
        index: u64,
        /// Its term.
        term: u64,
        /// Term of its predecessor.
        min: u64,
        /// Term of the message.
        max: u64,
    },
    /// An acknowledgement of entries that the leader does not have.
    #[error("acknowledges index {index}, the log ends at {last}")]
    AckBeyondLog {
        /// Index acknowledged.
        index: u64,
        /// End of the leader's log.
        last: u64,
    },
    /// A term so large that only a forger can have reached it; nobody could campaign after it.
    #[error("term {0} is out of range")]
    TermRange(u64),
    /// An index so large that only a forger can have reached it.
    #[error("index {0} is out of range")]
    IndexRange(u64),
    /// A snapshot must say what it contains.
    #[error("snapshot without metadata")]
    NoSnapshotMetadata,
    /// A `ConfChange` that does not decode.
    #[error("membership change does not decode")]
    ConfChange,
    /// A read request carries exactly one entry, whose data is its context.
    #[error("a read request with {0} entries")]
    ReadEntries(usize),
    /// An append would overwrite what is committed: one of the two peers has lost its mind, or its
    /// disk.
    #[error("entry {index} of term {theirs} contradicts a committed one of term {own}")]
    CommittedConflict {
        /// The entry.
        index: u64,
        /// Its term in the message.
        theirs: u64,
        /// Its term in the log.
        own: u64,
    },
}

/// Why a membership change is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfChangeError {
    /// A simple change cannot be applied before the joint configuration is left.
    #[error("can't apply simple config change in joint config")]
    SimpleInJoint,
    /// Several voters change, which needs a joint configuration.
    #[error("more than one voter changed without entering joint config")]
    NotSimple,
    /// A joint configuration must be left before another is entered.
    #[error("config is already joint")]
    AlreadyJoint,
    /// Without voters there is nobody who could agree to a joint configuration.
    #[error("can't make a zero-voter config joint")]
    NoVotersToJoin,
    /// Only a joint configuration can be left.
    #[error("can't leave a non-joint config")]
    NotJoint,
    /// A cluster without voters can never decide anything again.
    #[error("removed all voters")]
    NoVoters,
    /// The change's type has a number that is not in the schema.
    #[error("unknown change type {0}")]
    UnknownType(i32),
    /// The transition has a number that is not in the schema.
    #[error("unknown transition {0}")]
    UnknownTransition(i32),
    /// A stored or received configuration that no sequence of changes leads to.
    #[error("the configuration contradicts itself")]
    Contradiction,
    /// The change belongs to an entry that a snapshot has overtaken, which holds its effect. Leave
    /// the rest of the entries, too: the next [`Ready`](crate::Ready) brings the snapshot.
    #[error("a snapshot has overtaken the entries up to {0}")]
    Superseded(u64),
    /// An earlier change may still have to be applied.
    #[error("possible unapplied conf change at index {index} (applied to {applied})")]
    Pending {
        /// Where the earlier change may stand at the latest.
        index: u64,
        /// Applied so far.
        applied: u64,
    },
    /// Proposed while the configuration is joint, and not to leave it.
    #[error("must transition out of joint config first")]
    LeaveJointFirst,
    /// Proposed to leave a joint configuration, but there is none.
    #[error("not in joint state; refusing empty conf change")]
    NothingToLeave,
}
