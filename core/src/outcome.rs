//! What became of a message, as data: the rule that decided, and the facts it compared.

use core::fmt;

use crate::EntryId;
use crate::error::ConfChangeError;
use crate::proto::eraftpb::MessageType;
use crate::raft::StateRole;
use crate::rules::VoteVerdict;

/// What a [`step`](crate::RawNode::step) came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message did what messages of its kind are for.
    Handled,
    /// What it is about was not done, for this reason; nobody is told no. It may have taught the
    /// receiver something all the same, such as a commit index, and a sender that lags behind is
    /// answered with what it lacks.
    Ignored(Ignored),
    /// The sender is told no.
    Rejected(Rejected),
}

/// Which of the two votes of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ballot {
    /// Would you vote for me? Binds nobody (thesis 9.6).
    PreVote,
    /// Vote for me (5.2).
    Vote,
}

/// Why a message did not do what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// It comes from an older term (5.1).
    LowerTerm {
        /// Its type.
        kind: MessageType,
        /// Its sender.
        from: u64,
        /// Its term.
        theirs: u64,
        /// The receiver's term.
        own: u64,
    },
    /// A leader was heard of less than an election time-out ago, so nobody may replace it yet
    /// (thesis 4.2.3).
    LeaseInForce {
        /// Which vote was asked for.
        ballot: Ballot,
        /// Who asked.
        candidate: u64,
        /// The candidate's last entry.
        candidate_last: EntryId,
        /// The leader heard of.
        leader: u64,
        /// Ticks until the lease ends.
        remaining: u32,
    },
    /// Its sender is not a member.
    NotMember(u64),
    /// A vote of somebody who has none.
    NotVoter(u64),
    /// A second answer to the same question; the first one counts.
    RepeatedVote {
        /// Which vote.
        ballot: Ballot,
        /// Whose.
        from: u64,
        /// The first answer.
        granted: bool,
    },
    /// A membership change that cannot be proposed now; an empty entry takes its place.
    ConfChange(ConfChangeError),
    /// A heartbeat tells of a commit index that the log does not reach, so one of the two peers lost
    /// something. It is answered, which leads to the truth.
    CommitBeyondLog {
        /// The leader's commit index.
        commit: u64,
        /// End of the log.
        last: u64,
    },
    /// An append to a peer that waits for a snapshot; it is answered with the request.
    AwaitingSnapshot {
        /// The index that the snapshot must reach.
        requested: u64,
    },
    /// A request for a snapshot while one is on its way already.
    SnapshotOnItsWay {
        /// To whom.
        to: u64,
        /// Where it ends.
        index: u64,
    },
    /// Only a follower that knows its leader can forget it.
    NoLeaderToForget(StateRole),
    /// A peer in this role has no use for it.
    NotForRole {
        /// Its type.
        kind: MessageType,
        /// The receiver's role.
        role: StateRole,
    },
    /// The leader leads already.
    AlreadyLeader,
    /// The peer may not campaign: it is no voter, or a snapshot waits to be persisted.
    NotPromotable,
    /// The peer may not campaign: a committed membership change is not applied, so it might count
    /// the wrong majority.
    UnappliedConfChange {
        /// Applied so far.
        applied: u64,
        /// Committed so far.
        committed: u64,
    },
    /// There is no term left to campaign in; only forged messages lead here.
    NoTermLeft(u64),
    /// There is no leader to hand the request on to.
    NoLeader(MessageType),
    /// An append of what is committed already; its sender is told how far.
    StaleAppend {
        /// The entry it was to follow.
        previous: EntryId,
        /// Committed so far.
        committed: u64,
    },
    /// An acknowledgement of what is known already.
    StaleAcknowledgement {
        /// Index acknowledged.
        index: u64,
        /// Index known to match.
        matched: u64,
    },
    /// A rejection of an append that is not in doubt any more.
    StaleRejection {
        /// Index rejected.
        rejected: u64,
        /// Index known to match.
        matched: u64,
        /// The next index to send.
        next: u64,
    },
    /// No snapshot is on its way to the peer.
    NoSnapshotPending(u64),
    /// The snapshot brings nothing new (7).
    StaleSnapshot {
        /// Last index of the snapshot.
        index: u64,
        /// Committed so far.
        committed: u64,
    },
    /// The snapshot belongs to a cluster that this peer is no member of.
    SnapshotOfOthers(EntryId),
    /// The log holds all that the snapshot contains; only the commit index moved.
    SnapshotInLog(EntryId),
    /// Learners cannot lead.
    TransferToLearner(u64),
    /// Leadership is being handed to this peer already.
    TransferInProgress(u64),
    /// The target leads already.
    TransferToSelf,
    /// A lease rests on followers that remember their leader.
    LeaseBased,
    /// A confirmation that no pending read waits for.
    UnknownRead {
        /// Position echoed.
        position: u64,
        /// Highest position ever sent.
        sent: u64,
    },
    /// An answer to a read with a wrong number of entries.
    ReadWithoutContext(usize),
    /// The echo of a heartbeat's context has so many bytes, not the eight of a read position.
    UnknownContext(usize),
}

/// Why a message was refused, which its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejected {
    /// A vote was refused.
    Vote {
        /// Which vote.
        ballot: Ballot,
        /// Who asked.
        candidate: u64,
        /// The rule that decided, with its facts.
        verdict: VoteVerdict,
    },
    /// The log does not hold the entry before the append (5.3).
    Append {
        /// The entry that the leader believes to be there.
        previous: EntryId,
        /// The term that stands there, if any does.
        own_term: Option<u64>,
    },
    /// A leader or pre-candidate of an older term is told the newer one, so that it cannot block
    /// this peer for ever.
    LowerTerm {
        /// The message's type.
        kind: MessageType,
        /// Its sender.
        from: u64,
        /// Its term.
        theirs: u64,
        /// The receiver's term.
        own: u64,
    },
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreVote => "pre-vote",
            Self::Vote => "vote",
        })
    }
}
