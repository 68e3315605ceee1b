//! The way an application drives a peer.

mod ready;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

pub use self::ready::Ready;
use crate::confchange::leaves_joint;
use crate::config::Config;
use crate::error::{DropReason, Error, Malformed, Result};
use crate::outcome::Outcome;
use crate::proto::eraftpb::{ConfChangeV2, ConfState, Entry, HardState, Message, MessageType};
use crate::raft::{
    NONE, Proposal, Raft, Receipt, Response, SnapshotStatus, SoftState, StateRole, check_snapshot,
    is_local, is_response, is_termless, local, message_type,
};
use crate::storage::Storage;
use crate::trace::Tracer;
use crate::tracker::{Configuration, Progress};

/// One peer of a Raft cluster, as the application sees it.
///
/// ```text
/// tick / step / propose ─► RawNode ─► ready() ─► persist ─► send ─► apply ─► advance()
/// ```
///
/// That is the synchronous way. With [`Config::async_persist`](crate::Config::async_persist) writes
/// overlap: several `Ready`s may be on their way to the disk, their messages leave at once, and
/// [`on_persisted`](Self::on_persisted) and [`on_applied`](Self::on_applied) take the place of
/// [`advance`](Self::advance).
///
/// The order is the application's duty: entries, hard state and snapshot of a [`Ready`] are on disk
/// *before* its messages leave and before its committed entries are applied. Ticks and messages may
/// come at any time, also between [`ready`](Self::ready) and [`advance`](Self::advance): a slow
/// disk does not stop the clock.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct RawNode<S, T = ()> {
    pub(crate) raft: Raft<S, T>,
    pub(crate) offered_soft_state: SoftState,
    pub(crate) offered_hard_state: HardState,
    /// With `async_persist`, what waits for the disk and for the state machine.
    pipeline: Option<Box<Pipeline>>,
    /// The memory of an advanced `Ready`, for the next one.
    spare: ready::Spare,
}

/// What `Ready`s under way lead to.
#[derive(Clone, Debug, Default)]
struct Pipeline {
    /// What waits for them to be on disk, in their order.
    responses: VecDeque<(u64, Response)>,
    /// What waits for their entries to be applied.
    applying: VecDeque<Receipt>,
}

/// A view of a peer for tools and tests.
#[derive(Clone, Debug)]
pub struct Status {
    /// The peer's id.
    pub id: u64,
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// Leader and role.
    pub soft_state: SoftState,
    /// Highest index that the application has applied.
    pub applied: u64,
    /// Highest index that is known to be persisted.
    pub stabled: u64,
    /// Index of the last entry.
    pub last_index: u64,
    /// Ticks since the election timer was last reset.
    pub election_elapsed: u32,
    /// Ticks after which the peer campaigns.
    pub randomized_election_timeout: u32,
    /// Voters and learners.
    pub configuration: Configuration,
    /// What a leader knows about each member; empty on other peers.
    pub progress: Vec<(u64, Progress)>,
    /// The peer that leadership is being handed to.
    pub transferee: Option<u64>,
}

impl<S: Storage> RawNode<S> {
    /// Starts or restarts a peer from its storage.
    ///
    /// # Errors
    /// See [`Raft::new`].
    pub fn new(config: &Config, storage: S) -> Result<Self> {
        Self::with_tracer(config, storage, ())
    }
}

impl<S: Storage, T: Tracer> RawNode<S, T> {
    /// [`new`](RawNode::new), with somebody who is told what happens inside.
    ///
    /// # Errors
    /// See [`Raft::new`].
    pub fn with_tracer(config: &Config, storage: S, tracer: T) -> Result<Self> {
        let raft = Raft::with_tracer(config, storage, tracer)?;
        let mut node = Self {
            offered_soft_state: raft.soft_state(),
            offered_hard_state: raft.hard_state(),
            raft,
            pipeline: config.async_persist.then(Box::default),
            spare: ready::Spare::default(),
        };
        node.settle();
        Ok(node)
    }

    /// Who is told what happens inside.
    pub fn tracer(&self) -> &T {
        &self.raft.tracer
    }

    /// Who is told what happens inside, to take from it what it collected.
    pub fn tracer_mut(&mut self) -> &mut T {
        &mut self.raft.tracer
    }

    /// The protocol state, about to change: there may be something to hand out afterwards.
    pub(crate) fn raft_mut(&mut self) -> &mut Raft<S, T> {
        self.raft.quiet = false;
        &mut self.raft
    }

    /// The protocol state, to look at.
    pub fn raft(&self) -> &Raft<S, T> {
        &self.raft
    }

    /// The storage.
    pub fn store(&self) -> &S {
        self.raft.log.storage()
    }

    /// The storage, for the application to write to.
    pub fn store_mut(&mut self) -> &mut S {
        self.raft.log.storage_mut()
    }

    /// One tick of the application's clock has passed.
    ///
    /// # Errors
    /// A storage that cannot be read when a campaign starts.
    #[inline]
    pub fn tick(&mut self) -> Result<()> {
        self.raft.tick()
    }

    /// Campaigns now, without waiting for the election timer; not within a lease that this peer is
    /// part of, if reads rely on leases.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn campaign(&mut self) -> Result<Outcome> {
        self.raft_mut().campaign_now()
    }

    /// Proposes a command.
    ///
    /// # Errors
    /// [`Error::ProposalDropped`] with the reason; the command has no effect.
    pub fn propose(&mut self, data: impl Into<Bytes>) -> Result<Proposal> {
        self.raft_mut().propose_one(Entry { data: data.into(), ..Entry::default() })
    }

    /// Proposes a command with a context that travels beside it and is not counted as payload.
    ///
    /// # Errors
    /// As [`propose`](Self::propose).
    pub fn propose_with_context(
        &mut self,
        data: impl Into<Bytes>,
        context: impl Into<Bytes>,
    ) -> Result<Proposal> {
        let (data, context) = (data.into(), context.into());
        self.raft_mut().propose_one(Entry { data, context, ..Entry::default() })
    }

    /// Proposes a membership change, a `ConfChange` or a `ConfChangeV2`. It takes effect when the
    /// application passes the committed entry's change to
    /// [`apply_conf_change`](Self::apply_conf_change).
    ///
    /// # Errors
    /// [`Error::ConfChange`] if it can never be applied, [`Error::ProposalDropped`] if it cannot be
    /// proposed now.
    pub fn propose_conf_change(
        &mut self,
        change: impl Into<ConfChangeV2> + Into<Entry> + Clone,
    ) -> Result<Proposal> {
        let raft = &self.raft;
        let v2: ConfChangeV2 = change.clone().into();
        crate::confchange::check(&v2)?;
        if raft.role == StateRole::Leader && raft.settings.validate_conf_changes {
            let pending = raft.pending_conf_index;
            if let Some(reason) = raft.conf_change_obstacle(leaves_joint(&v2), pending) {
                return Err(Error::ProposalDropped(DropReason::ConfChange(reason)));
            }
        }
        self.raft_mut().propose([change.into()].to_vec())
    }

    /// Asks for an index that a read must wait for. The answer comes in
    /// [`Ready::read_states`], with `context` to recognise it by; if leadership is lost before,
    /// the read comes back in [`Ready::dropped_reads`]. On a follower the request travels to the
    /// leader and may be lost on the way: ask again after a time-out.
    ///
    /// # Errors
    /// [`Error::ReadDropped`] with the reason.
    pub fn read_index(&mut self, context: impl Into<Bytes>) -> Result<()> {
        self.raft_mut().read_index(context.into()).map(drop)
    }

    /// Applies a committed membership change and returns the members after it. A change of peer 0
    /// changes nothing.
    ///
    /// # Errors
    /// A change that cannot be applied, or one that a snapshot has overtaken
    /// ([`ConfChangeError::Superseded`](crate::ConfChangeError::Superseded)); membership is as
    /// before.
    pub fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState> {
        self.raft_mut().apply_conf_change(change)
    }

    /// Handles a message from another peer.
    ///
    /// # Errors
    /// A message that is not for this peer or that no correct peer sends is refused by name and
    /// changes nothing. Otherwise see [`Raft::step`].
    // Inlined into its caller it would copy the message once more, which for most messages is a tenth
    // of all the work.
    #[inline(never)]
    pub fn step(&mut self, mut message: Message) -> Result<Outcome> {
        let kind = message_type(&message)?;
        if is_local(kind) {
            return Err(Error::StepLocalMsg(kind));
        }
        let (from, to) = (message.from, message.to);
        // What is handed on keeps the name of the peer that it comes from, or in a transfer the
        // name of the successor, and either may be the peer that leads by now.
        let handed_on = is_termless(kind) || kind == MessageType::MsgTransferLeader;
        let own = from == to && !handed_on;
        if from == NONE || to == NONE || own {
            return Err(Malformed::Addresses { from, to }.into());
        }
        if to != self.raft.id {
            return Err(Malformed::WrongReceiver(to).into());
        }
        // A voter that is in no term yet refuses a pre-vote in none.
        let none_yet = kind == MessageType::MsgRequestPreVoteResponse && message.reject;
        let may_lack_term = is_termless(kind) || kind == MessageType::MsgTransferLeader || none_yet;
        if message.term == 0 && !may_lack_term {
            return Err(Malformed::NoTerm(kind).into());
        }
        if is_response(kind) && !self.raft.prs.contains(from) {
            return Err(Error::StepPeerNotFound(from));
        }
        if kind == MessageType::MsgSnapshot {
            check_snapshot(&message)?;
        }
        self.raft_mut().step_kind(kind, &mut message)
    }

    /// Hands leadership to `transferee`, now or when it has caught up. Works on any peer that knows
    /// the leader.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn transfer_leader(&mut self, transferee: u64) -> Result<Outcome> {
        self.raft_mut().step(local(MessageType::MsgTransferLeader, transferee))
    }

    /// Makes a follower forget its leader without campaigning, so that it no longer vouches for
    /// it: a driver that knows the leader to be dead shortens the wait.
    pub fn forget_leader(&mut self) -> Outcome {
        self.raft_mut().forget_leader()
    }

    /// Asks the leader for a snapshot, because this peer's state machine is damaged although its
    /// log is not.
    ///
    /// # Errors
    /// [`Error::SnapshotRequestDropped`] with the reason.
    pub fn request_snapshot(&mut self) -> Result<()> {
        self.raft_mut().request_snapshot()
    }

    /// How much this peer is preferred as a leader from now on.
    pub fn set_priority(&mut self, priority: i64) {
        self.raft_mut().settings.priority = priority;
    }

    /// Sets the time-out that was drawn at random, for scenes.
    #[doc(hidden)]
    pub fn set_randomized_election_timeout(&mut self, ticks: u32) {
        self.raft.randomized_election_timeout = ticks;
    }

    /// The transport could not reach peer `id`.
    pub fn report_unreachable(&mut self, id: u64) -> Outcome {
        self.raft_mut().report_unreachable(id)
    }

    /// The transfer of a snapshot to peer `id` has ended.
    pub fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) -> Outcome {
        self.raft_mut().report_snapshot(id, status)
    }

    /// A view for tools and tests.
    pub fn status(&self) -> Status {
        let raft = &self.raft;
        let leads = raft.role == StateRole::Leader;
        let progress = raft.prs.iter().filter(|_| leads);
        Status {
            id: raft.id,
            hard_state: raft.hard_state(),
            soft_state: raft.soft_state(),
            applied: raft.log.applied(),
            stabled: raft.log.stabled(),
            last_index: raft.log.last_index(),
            election_elapsed: raft.election_elapsed,
            randomized_election_timeout: raft.randomized_election_timeout,
            configuration: raft.prs.configuration().clone(),
            progress: progress.map(|(id, progress)| (id, progress.clone())).collect(),
            transferee: raft.transferee,
        }
    }
}
