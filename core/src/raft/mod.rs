//! One peer's protocol state and its single entry, [`Raft::step`].
//!
//! [`Raft`] reads messages and ticks and fills an outbox; it performs no I/O and knows no clock.
//! Applications drive it through [`RawNode`](crate::RawNode), which turns its changes into
//! [`Ready`](crate::Ready)s.
//!
//! | file | what it does | paper |
//! | --- | --- | --- |
//! | `mod.rs` | state and construction | 5.1 |
//! | `step.rs` | dispatch of messages by term and role | 5.1 |
//! | `roles.rs` | transitions between the roles; ticks | 5.2 |
//! | `election.rs` | campaigns and votes | 5.2, 5.4.1, thesis 9.6 |
//! | `replication.rs` | proposals, appends, heartbeats, commit | 5.3, 5.4.2 |
//! | `outbox.rs` | making the messages that a leader owes its followers | 5.3 |
//! | `persist.rs` | what counts only once it is on disk | 3.8 |
//! | `snapshot.rs` | sending, installing and asking for snapshots | 7 |
//! | `read.rs` | reads that see every write before them | 8, thesis 6.4 |
//! | `membership.rs` | changes of the members taking effect | 6, thesis 4 |
//! | `transfer.rs` | handing leadership over | thesis 3.10 |

mod election;
mod kinds;
mod membership;
mod outbox;
mod persist;
mod read;
mod replication;
mod roles;
mod snapshot;
mod step;
mod transfer;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub(crate) use self::kinds::{is_local, is_response, is_termless, message_type};
pub use self::persist::{Receipt, Response};
pub use self::replication::Proposal;
pub(crate) use self::roles::local;
pub use self::snapshot::SnapshotStatus;
pub(crate) use self::snapshot::check_snapshot;
use crate::EntryId;
use crate::config::{Appends, Config, ReadOnly, SelfAck};
use crate::error::{Result, StorageError};
use crate::log::RaftLog;
use crate::outcome::{Ignored, Outcome, Rejected};
use crate::proto::eraftpb::{ConfState, HardState, Message};
use crate::read_only::{DroppedRead, ReadOnlyQueue, ReadState};
use crate::rng::TimeoutRng;
use crate::rules::RuleBook;
use crate::storage::{RaftState, Storage};
use crate::trace::{Event, Tracer};
use crate::tracker::{Progress, ProgressTracker};

/// No peer: no leader, no vote.
pub const NONE: u64 = 0;

/// What a peer does for the cluster at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateRole {
    /// Follows a leader, or waits to hear of one.
    #[default]
    Follower,
    /// Asks whether it would be voted for (thesis 9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// What a peer knows that it may forget in a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftState {
    /// Leader of the term as far as known; [`NONE`] if not.
    pub leader: u64,
    /// The peer's own role.
    pub role: StateRole,
}

/// The part of [`Config`] that a peer keeps asking for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) heartbeat_timeout: u32,
    pub(crate) election_timeout: u32,
    pub(crate) pre_vote: bool,
    pub(crate) check_quorum: bool,
    pub(crate) read_only: ReadOnly,
    pub(crate) max_pending_reads: usize,
    pub(crate) max_size_per_msg: u64,
    pub(crate) max_uncommitted_size: u64,
    pub(crate) forward_proposals: bool,
    pub(crate) broadcast_commit: bool,
    pub(crate) step_down_on_removal: bool,
    pub(crate) validate_conf_changes: bool,
    pub(crate) give_up_snapshot_after: u32,
    pub(crate) priority: i64,
    pub(crate) share_commit: bool,
    pub(crate) self_ack: SelfAck,
    pub(crate) eager: bool,
    pub(crate) async_persist: bool,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            heartbeat_timeout: config.heartbeat_tick,
            election_timeout: config.election_tick,
            pre_vote: config.pre_vote,
            check_quorum: config.check_quorum,
            read_only: config.read_only,
            max_pending_reads: config.max_pending_reads as usize,
            max_size_per_msg: config.max_size_per_msg,
            max_uncommitted_size: config.max_uncommitted_size,
            forward_proposals: config.forward_proposals,
            broadcast_commit: config.broadcast_commit,
            step_down_on_removal: config.step_down_on_removal,
            validate_conf_changes: config.validate_conf_changes,
            give_up_snapshot_after: config.give_up_snapshot_after,
            priority: config.priority,
            share_commit: config.share_commit,
            self_ack: config.self_ack,
            eager: config.appends == Appends::Eager,
            async_persist: config.async_persist,
        }
    }
}

/// One peer of a Raft cluster.
///
/// In this order in memory, so that a tick of an idle peer touches one line of the cache: a machine
/// may tick ten thousand of them.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Raft<S, T = ()> {
    /// Ticks since the peer started.
    pub(crate) ticks: u64,
    /// The index that an urgently needed snapshot must reach; 0 if none is.
    pub(crate) requested_snapshot: u64,
    pub(crate) election_elapsed: u32,
    pub(crate) randomized_election_timeout: u32,
    pub(crate) heartbeat_elapsed: u32,
    /// Nothing happened since there was nothing left to hand out.
    pub(crate) quiet: bool,
    pub(crate) role: StateRole,
    pub(crate) id: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) leader: u64,
    pub(crate) log: RaftLog<S>,
    pub(crate) prs: ProgressTracker,
    /// Messages that rest on nothing that is not on disk yet. A leader's coalesced appends join
    /// them in `make_appends`.
    pub(crate) msgs: Vec<Message>,
    /// Messages that must wait until everything up to now is on disk, without `async_persist`.
    pub(crate) late_msgs: Vec<Message>,
    /// What this peer is to be told when `Ready`s are advanced, in their order, without
    /// `async_persist`.
    pub(crate) receipts: VecDeque<(u64, Receipt)>,
    /// Both of them in order, with `async_persist`.
    pub(crate) after_persist: Vec<Response>,
    pub(crate) read_states: Vec<ReadState>,
    pub(crate) dropped_reads: Vec<DroppedRead>,
    pub(crate) reads: ReadOnlyQueue,
    /// The tick until which this peer has promised to elect nobody else, if reads rely on leases:
    /// it answered a heartbeat, or restarted and may have.
    promised_until: u64,
    /// Some term of this peer is on disk: if it starts again, it will know that it is not for the
    /// first time.
    term_on_disk: bool,
    /// The first entry that this leader appended itself.
    first_own: u64,
    pub(crate) transferee: Option<u64>,
    /// The last membership change in the log; the next must wait until it is applied.
    pub(crate) pending_conf_index: u64,
    /// Bytes of payload that this leader appended and that are not applied yet.
    pub(crate) uncommitted_size: u64,
    /// The tick at which a snapshot was asked for.
    requested_at: u64,
    /// Entries up to this index were under application when a snapshot took their place; 0 if none
    /// are.
    superseded: u64,
    /// Heartbeats are owed to confirm reads.
    heartbeat_due: bool,
    /// The storage could not be read when the commit index was to be moved, or reads released.
    commit_undecided: bool,
    pub(crate) settings: Settings,
    pub(crate) rules: RuleBook,
    /// Number of the `Ready` that was handed out last.
    pub(crate) last_ready: u64,
    rng: TimeoutRng,
    pub(crate) tracer: T,
}

impl<S: Storage> Raft<S> {
    /// Starts or restarts a peer from its storage, as a follower without a leader (TinyKV
    /// `newRaft`).
    ///
    /// The members are `config.peers` if given, else those in the storage.
    ///
    /// # Errors
    /// A configuration that cannot work, or a storage that cannot be read or contradicts itself.
    pub fn new(config: &Config, storage: S) -> Result<Self> {
        Self::with_tracer(config, storage, ())
    }
}

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// [`new`](Raft::new), with somebody who is told what happens.
    ///
    /// # Errors
    /// As [`new`](Raft::new).
    pub fn with_tracer(config: &Config, storage: S, tracer: T) -> Result<Self> {
        config.validate()?;
        let RaftState { hard_state, mut conf_state } = storage.initial_state()?;
        if !config.peers.is_empty() {
            conf_state = ConfState { voters: config.peers.clone(), ..ConfState::default() };
        }
        check_range("term", hard_state.term, 0, EntryId::LIMIT)?;
        let mut raft = Self {
            id: config.id,
            term: hard_state.term,
            vote: hard_state.vote,
            log: RaftLog::new(storage)?,
            prs: ProgressTracker::new(config.max_inflight_msgs, config.max_inflight_bytes),
            role: StateRole::Follower,
            quiet: false,
            leader: NONE,
            msgs: Vec::new(),
            late_msgs: Vec::new(),
            receipts: VecDeque::new(),
            last_ready: 0,
            after_persist: Vec::new(),
            read_states: Vec::new(),
            dropped_reads: Vec::new(),
            reads: ReadOnlyQueue::default(),
            heartbeat_elapsed: 0,
            election_elapsed: 0,
            randomized_election_timeout: 0,
            ticks: 0,
            promised_until: 0,
            term_on_disk: hard_state.term > 0,
            first_own: 0,
            transferee: None,
            pending_conf_index: 0,
            uncommitted_size: 0,
            requested_snapshot: 0,
            requested_at: 0,
            superseded: 0,
            heartbeat_due: false,
            commit_undecided: false,
            settings: Settings::from(config),
            rules: config.rules.clone(),
            rng: TimeoutRng::new(config.seed, config.id),
            tracer,
        };
        raft.log.limit_applying(match config.max_committed_size_per_ready {
            0 => config.max_size_per_msg,
            limit => limit,
        });
        raft.restore_members(&conf_state)?;
        raft.recover_commit(hard_state.commit)?;
        raft.recover_applied(config.applied)?;
        raft.become_follower(raft.term, NONE);
        if raft.term_on_disk {
            raft.promise_to_wait();
        }
        let last = raft.log.last_id()?;
        raft.trace(|raft| Event::Started {
            voters: raft.prs.configuration().voters.ids().iter().collect(),
            term: raft.term,
            committed: raft.log.committed(),
            applied: raft.log.applied(),
            last,
        });
        Ok(raft)
    }

    fn recover_commit(&mut self, commit: u64) -> Result<()> {
        let (min, max) = (self.log.committed(), self.log.last_index());
        // An empty hard state beside a snapshot is a peer that has not written one yet.
        if commit != 0 {
            check_range("commit index", commit, min, max)?;
        }
        self.log.commit_to(commit);
        Ok(())
    }

    fn recover_applied(&mut self, applied: u64) -> Result<()> {
        let (min, max) = (self.log.applied(), self.log.committed());
        if applied != 0 {
            check_range("applied index", applied, min, max)?;
        }
        self.log.applied_to(applied);
        Ok(())
    }

    /// Tells the tracer, if there is one. The event is made only then.
    pub(crate) fn trace(&mut self, event: impl FnOnce(&Self) -> Event) {
        if self.is_traced() {
            let event = event(self);
            self.tracer.trace(self.id, event);
        }
    }

    /// Whether anybody wants to be told.
    pub(crate) fn is_traced(&self) -> bool {
        T::ACTIVE && self.tracer.listens()
    }

    /// The message from `from` changed nothing.
    pub(crate) fn ignore(&mut self, from: u64, reason: Ignored) -> Outcome {
        self.trace(|raft| Event::Ignored { reason: reason.clone(), from, term: raft.term });
        Outcome::Ignored(reason)
    }

    /// The message was refused.
    pub(crate) fn reject(&mut self, reason: Rejected) -> Outcome {
        self.trace(|_| Event::Rejected(reason.clone()));
        Outcome::Rejected(reason)
    }

    /// The peer's own id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Latest term the peer has seen.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Who got the peer's vote in this term; [`NONE`] is nobody.
    pub fn vote(&self) -> u64 {
        self.vote
    }

    /// The peer's role.
    pub fn role(&self) -> StateRole {
        self.role
    }

    /// The leader of this term as far as known; [`NONE`] if not.
    pub fn leader(&self) -> u64 {
        self.leader
    }

    /// The replicated log.
    pub fn log(&self) -> &RaftLog<S> {
        &self.log
    }

    /// The members, with what a leader knows about each.
    pub fn tracker(&self) -> &ProgressTracker {
        &self.prs
    }

    /// The progress of peer `id` as a leader sees it.
    pub fn progress(&self, id: u64) -> Option<&Progress> {
        self.prs.get(id)
    }

    /// Ticks since the election timer was last reset.
    pub fn election_elapsed(&self) -> u32 {
        self.election_elapsed
    }

    /// Ticks after which a follower or candidate campaigns this time.
    pub fn randomized_election_timeout(&self) -> u32 {
        self.randomized_election_timeout
    }

    /// Ticks since a leader's last heartbeat.
    pub fn heartbeat_elapsed(&self) -> u32 {
        self.heartbeat_elapsed
    }

    /// The peer that leadership is being handed to.
    pub fn transferee(&self) -> Option<u64> {
        self.transferee
    }

    /// What the peer must have on disk before it sends anything.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    /// What the peer knows that it may forget in a crash.
    pub fn soft_state(&self) -> SoftState {
        SoftState { leader: self.leader, role: self.role }
    }

    /// Whether the peer may become leader: it votes, and no snapshot waits to be persisted.
    pub fn is_promotable(&self) -> bool {
        let votes = self.prs.configuration().voters.contains(self.id);
        votes && self.log.pending_snapshot().is_none()
    }
}

/// Refuses a stored number that no peer could have written.
fn check_range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), StorageError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(StorageError::Inconsistent { what, value, min, max })
    }
}
