//! The way an application drives a peer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::EntryId;
use crate::config::Config;
use crate::error::{DropReason, Error, Malformed, Result};
use crate::proto::eraftpb::{
    ConfChangeV2, ConfState, Entry, HardState, Message, MessageType, Snapshot,
};
use crate::raft::{
    NONE, Proposal, Raft, SnapshotStatus, SoftState, StateRole, is_local, is_response, is_termless,
    local, message_type, simple_change,
};
use crate::storage::Storage;
use crate::tracker::Progress;

/// What the application has to do next. Fields that have nothing to say are empty or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ready {
    /// Counts the peer's `Ready`s from 1.
    pub number: u64,
    /// Leader and role, if they changed. Need not be persisted.
    pub soft_state: Option<SoftState>,
    /// Term, vote and commit index, if they changed. Persist before sending.
    pub hard_state: Option<HardState>,
    /// Entries to persist before sending. They replace what is on disk at their indices and after.
    pub entries: Vec<Entry>,
    /// A snapshot that replaces log, members and state machine. Persist and apply before
    /// everything else.
    pub snapshot: Option<Snapshot>,
    /// Entries to apply, in order, each exactly once.
    pub committed_entries: Vec<Entry>,
    /// Messages to send, after the above is on disk.
    pub messages: Vec<Message>,
    /// Whether what is to be persisted must be flushed to disk before messages leave. A commit
    /// index alone need not be: it is found again after a crash.
    pub must_sync: bool,
}

/// What was handed out in one `Ready` and is not confirmed yet.
#[derive(Clone, Debug)]
struct Offer {
    number: u64,
    first_entry: Option<u64>,
    last_entry: Option<EntryId>,
    snapshot_index: Option<u64>,
    hard_state: Option<HardState>,
    committed_index: Option<u64>,
}

/// One peer of a Raft cluster, as the application sees it.
///
/// ```text
/// tick / step / propose ─► RawNode ─► ready() ─► persist ─► send ─► apply ─► advance()
/// ```
///
/// The order is the application's duty: entries, hard state and snapshot of a [`Ready`] are on disk
/// *before* its messages leave and before its committed entries are applied. Ticks and messages may
/// come at any time, also between [`ready`](Self::ready) and [`advance`](Self::advance): a slow
/// disk does not stop the clock.
#[derive(Clone, Debug)]
pub struct RawNode<S> {
    pub(crate) raft: Raft<S>,
    pub(crate) offered_soft_state: SoftState,
    pub(crate) offered_hard_state: HardState,
    offers: VecDeque<Offer>,
    last_number: u64,
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
        let raft = Raft::new(config, storage)?;
        Ok(Self {
            offered_soft_state: raft.soft_state(),
            offered_hard_state: raft.hard_state(),
            raft,
            offers: VecDeque::new(),
            last_number: 0,
        })
    }

    /// The protocol state, to look at.
    pub fn raft(&self) -> &Raft<S> {
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
    pub fn tick(&mut self) -> Result<()> {
        self.raft.tick()
    }

    /// Campaigns now, without waiting for the election timer.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn campaign(&mut self) -> Result<()> {
        self.raft.step(local(MessageType::MsgHup, self.raft.id))
    }

    /// Proposes a command.
    ///
    /// # Errors
    /// [`Error::ProposalDropped`] with the reason; the command has no effect.
    pub fn propose(&mut self, data: impl Into<Bytes>) -> Result<Proposal> {
        self.raft.propose([Entry { data: data.into(), ..Entry::default() }].to_vec())
    }

    /// Proposes a membership change, a `ConfChange` or a `ConfChangeV2`. It takes effect when the
    /// application passes the committed entry's change to
    /// [`apply_conf_change`](Self::apply_conf_change).
    ///
    /// # Errors
    /// [`Error::ConfChange`] if it is not supported, [`Error::ProposalDropped`] if it cannot be
    /// proposed now.
    pub fn propose_conf_change(
        &mut self,
        change: impl Into<ConfChangeV2> + Into<Entry> + Clone,
    ) -> Result<Proposal> {
        simple_change(&change.clone().into())?;
        if self.raft.role == StateRole::Leader && !self.raft.may_change_membership() {
            let pending = self.raft.pending_conf_index;
            return Err(Error::ProposalDropped(DropReason::PendingConfChange(pending)));
        }
        self.raft.propose([change.into()].to_vec())
    }

    /// Applies a committed membership change and returns the members after it. A change of peer 0
    /// changes nothing.
    ///
    /// # Errors
    /// A change that is not supported; membership is as before.
    pub fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState> {
        self.raft.apply_conf_change(change)
    }

    /// Handles a message from another peer.
    ///
    /// # Errors
    /// A message that is not for this peer or that no correct peer sends is refused by name and
    /// changes nothing. Otherwise see [`Raft::step`].
    pub fn step(&mut self, message: Message) -> Result<()> {
        let kind = message_type(&message)?;
        if is_local(kind) {
            return Err(Error::StepLocalMsg(kind));
        }
        let (from, to) = (message.from, message.to);
        if from == NONE || to == NONE || from == to {
            return Err(Malformed::Addresses { from, to }.into());
        }
        if to != self.raft.id {
            return Err(Malformed::WrongReceiver(to).into());
        }
        if message.term == 0 && !is_termless(kind) && kind != MessageType::MsgTransferLeader {
            return Err(Malformed::NoTerm(kind).into());
        }
        if is_response(kind) && !self.raft.prs.contains(from) {
            return Err(Error::StepPeerNotFound(from));
        }
        self.raft.step(message)
    }

    /// Hands leadership to `transferee`, now or when it has caught up. Works on any peer that knows
    /// the leader.
    ///
    /// # Errors
    /// None at present; the request is a message.
    pub fn transfer_leader(&mut self, transferee: u64) -> Result<()> {
        self.raft.step(local(MessageType::MsgTransferLeader, transferee))
    }

    /// The transport could not reach peer `id`.
    pub fn report_unreachable(&mut self, id: u64) {
        self.raft.report_unreachable(id);
    }

    /// The transfer of a snapshot to peer `id` has ended.
    pub fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) {
        self.raft.report_snapshot(id, status);
    }

    /// Whether [`ready`](Self::ready) has something to say.
    pub fn has_ready(&self) -> bool {
        self.raft.soft_state() != self.offered_soft_state
            || self.raft.hard_state() != self.offered_hard_state
            || self.raft.log.has_unoffered()
            || self.raft.log.has_next_committed()
            || self.raft.has_messages()
    }

    /// Hands out everything that happened since the last call, once. Pass the result to
    /// [`advance`](Self::advance) when it is done.
    ///
    /// # Errors
    /// A storage that cannot be read; nothing is lost, call again when it can.
    pub fn ready(&mut self) -> Result<Ready> {
        let committed_entries = self.raft.log.next_committed_entries()?;
        let messages = self.raft.take_messages()?;
        let (entries, snapshot) = self.raft.log.offer();
        let hard_state = self.changed_hard_state();
        let soft_state = self.changed_soft_state();
        if let Some(last) = committed_entries.last() {
            self.raft.log.applying_to(last.index);
        }
        self.last_number += 1;
        let needs_sync = |state: HardState| {
            let before = self.offered_hard_state;
            (state.term, state.vote) != (before.term, before.vote)
        };
        let must_sync =
            !entries.is_empty() || snapshot.is_some() || hard_state.is_some_and(needs_sync);
        self.offers.push_back(Offer {
            number: self.last_number,
            first_entry: entries.first().map(|entry| entry.index),
            last_entry: entries.last().map(EntryId::of),
            snapshot_index: snapshot.as_ref().map(|snapshot| EntryId::of_snapshot(snapshot).index),
            hard_state,
            committed_index: committed_entries.last().map(|entry| entry.index),
        });
        if let Some(state) = hard_state {
            self.offered_hard_state = state;
        }
        let number = self.last_number;
        Ok(Ready {
            number,
            soft_state,
            hard_state,
            entries,
            snapshot,
            committed_entries,
            messages,
            must_sync,
        })
    }

    fn changed_hard_state(&self) -> Option<HardState> {
        let now = self.raft.hard_state();
        (now != self.offered_hard_state).then_some(now)
    }

    fn changed_soft_state(&mut self) -> Option<SoftState> {
        let now = self.raft.soft_state();
        let changed = now != self.offered_soft_state;
        self.offered_soft_state = now;
        changed.then_some(now)
    }

    /// `ready`, and every one before it, is persisted, sent and applied. A `Ready` may be advanced
    /// once; what was taken out of its fields does not matter.
    #[expect(clippy::needless_pass_by_value, reason = "a Ready is used up by advancing it")]
    pub fn advance(&mut self, ready: Ready) {
        while self.offers.front().is_some_and(|offer| offer.number <= ready.number) {
            let Some(offer) = self.offers.pop_front() else {
                break;
            };
            if let Some(index) = offer.snapshot_index {
                self.raft.log.stable_snapshot_to(index);
                self.raft.log.applied_to(index);
            }
            let last_entry = offer.last_entry.filter(|id| !self.will_overwrite(*id));
            self.raft.on_persisted(last_entry, offer.hard_state);
            if let Some(index) = offer.committed_index {
                self.raft.log.applied_to(index);
            }
        }
    }

    /// Whether something at or before `id` is still to be written, by a later `Ready`. Then the disk
    /// does not yet agree with the log up to `id`, even if it holds an entry of this name: leaders
    /// may have replaced it and brought it back while the disk was busy.
    fn will_overwrite(&self, id: EntryId) -> bool {
        let later = self.offers.iter().filter_map(|offer| offer.first_entry);
        later.chain(self.raft.log.first_unoffered()).any(|first| first <= id.index)
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
            progress: progress.map(|(id, progress)| (id, progress.clone())).collect(),
            transferee: raft.transferee,
        }
    }
}
