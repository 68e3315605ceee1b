//! What the harness needs of a node, whichever implementation it is.

use bytes::Bytes;
use raft_core::eraftpb::{ConfChangeV2, ConfState, Entry, HardState, Snapshot};

use crate::disk::Disk;

/// Whose code a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// `raft-core`.
    Ours,
    /// The crate `raft` 0.7.
    Theirs,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

/// What can be seen of a node from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) role: Role,
    pub(crate) leader: u64,
    pub(crate) committed: u64,
    pub(crate) last: u64,
}

/// What a node wants done.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) number: u64,
    pub(crate) hard_state: Option<HardState>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) committed: Vec<Entry>,
    /// Contexts and indices of reads that may be served.
    pub(crate) reads: Vec<(Bytes, u64)>,
    /// Messages that may leave at once.
    pub(crate) now: Vec<Bytes>,
    /// Messages that must wait until the above is durable.
    pub(crate) later: Vec<Bytes>,
}

/// What became of a membership change.
#[derive(Debug)]
pub(crate) enum Change {
    /// These are the members now.
    Made(ConfState),
    /// It does not fit the members as they are, who stay so.
    Refused,
    /// A snapshot that holds it waits to be installed, and has brought its members along already:
    /// applied to them, the change would be made twice.
    Superseded,
}

/// Something that must not happen; the run has failed.
pub(crate) type Fatal = String;

/// One node that runs.
///
/// A node that is *pipelined* may be asked for more work before earlier work is persisted. The
/// others do one piece of work at a time.
pub(crate) trait Peer {
    fn tick(&mut self) -> Result<(), Fatal>;
    /// Handles an encoded message. What a node may refuse for good reason is no failure.
    fn step(&mut self, message: &Bytes) -> Result<(), Fatal>;
    fn campaign(&mut self) -> Result<(), Fatal>;
    /// Whether the proposal was taken or handed on.
    fn propose(&mut self, data: Bytes, context: Bytes) -> Result<bool, Fatal>;
    /// Proposes `change`, in the old form if `v1`.
    fn propose_change(&mut self, change: &ConfChangeV2, v1: bool) -> Result<bool, Fatal>;
    /// Applies the committed change that stands at `index`.
    fn apply_change(&mut self, index: u64, change: &ConfChangeV2) -> Result<Change, Fatal>;
    fn read_index(&mut self, context: Bytes) -> Result<(), Fatal>;
    fn transfer_leader(&mut self, to: u64) -> Result<(), Fatal>;
    fn request_snapshot(&mut self) -> Result<(), Fatal>;
    /// All are equal from now on. Theirs refuses for its priority even a candidate with a newer
    /// log, if that is not also longer, so that nobody may ever be elected.
    fn forget_priority(&mut self);
    fn report_unreachable(&mut self, id: u64);
    fn report_snapshot(&mut self, id: u64, arrived: bool);

    fn has_work(&self) -> bool;
    fn work(&mut self) -> Result<Work, Fatal>;
    /// Everything up to work number `number` is durable.
    fn persisted(&mut self, number: u64) -> Result<Work, Fatal>;
    /// Everything up to `index` is applied.
    fn applied(&mut self, index: u64) -> Result<(), Fatal>;

    fn view(&self) -> View;
    /// The term of the entry at `index`, if it is in the log.
    fn term_at(&self, index: u64) -> Option<u64>;
    /// Whether messages and ticks may come while work is being persisted.
    fn hears_while_busy(&self) -> bool;
    /// Whether what a piece of work committed must be applied before it counts as persisted.
    fn applies_first(&self) -> bool;
    fn disk(&self) -> &Disk;
    fn disk_mut(&mut self) -> &mut Disk;
    fn into_disk(self: Box<Self>) -> Disk;
}
