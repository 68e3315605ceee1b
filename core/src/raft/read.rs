//! Reads that see every write acknowledged before them, without a log entry (section 8, thesis
//! 6.4).

use alloc::vec;

use bytes::Bytes;

use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::config::ReadOnly;
use crate::error::{DropReason, Error, Malformed, Result};
use crate::outcome::{Ignored, Outcome};
use crate::proto::eraftpb::{Entry, Message, MessageType};
use crate::read_only::{ReadOnlyQueue, ReadState};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};
use crate::tracker::Progress;

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Asks for an index that a read must wait for; the answer comes as a [`ReadState`].
    pub(crate) fn read_index(&mut self, context: Bytes) -> Result<Outcome> {
        let entries = vec![Entry { data: context, ..Entry::default() }];
        let msg_type = MessageType::MsgReadIndex.into();
        self.step(Message { msg_type, entries, ..Message::default() })
    }

    pub(super) fn handle_read_index(&mut self, request: &mut Message) -> Result<Outcome> {
        if request.entries.len() != 1 {
            return Err(Malformed::ReadEntries(request.entries.len()).into());
        }
        if self.role == StateRole::Leader {
            return self.read_as_leader(core::mem::take(request));
        }
        // A peer that forwards to the one it came from would do so for ever.
        let leader = Some(self.leader).filter(|&leader| leader != NONE && leader != request.from);
        match leader.filter(|_| self.role == StateRole::Follower) {
            Some(leader) => {
                self.send_as_it_is(Message { to: leader, ..core::mem::take(request) });
                Ok(Outcome::Handled)
            }
            None if request.from != NONE && request.from != self.id => {
                Ok(self.ignore(request.from, Ignored::NoLeader(MessageType::MsgReadIndex)))
            }
            None => Err(self.drop_read(DropReason::NoLeader)),
        }
    }

    fn drop_read(&mut self, reason: DropReason) -> Error {
        self.trace(|raft| Event::ReadDropped { reason, term: raft.term });
        Error::ReadDropped(reason)
    }

    fn read_as_leader(&mut self, request: Message) -> Result<Outcome> {
        if self.reads.len() >= self.settings.max_pending_reads {
            return Err(self.drop_read(DropReason::TooManyReads(self.reads.len())));
        }
        let committed_term = self.log.known_term(self.log.committed())?;
        if (self.rules.may_read)(committed_term, self.term) {
            self.confirm_read(request);
        } else {
            self.reads.postpone(request);
        }
        Ok(Outcome::Handled)
    }

    /// The leader's first own entry is committed: it knows now what is.
    pub(super) fn release_postponed_reads(&mut self) {
        if self.reads.len() == 0 {
            return;
        }
        let committed_term = self.committable_term(self.log.committed());
        if (self.rules.may_read)(committed_term, self.term) {
            while let Some(request) = self.reads.pop_postponed() {
                self.confirm_read(request);
            }
        }
    }

    /// Answers a read, or first asks a quorum whether this peer still leads.
    fn confirm_read(&mut self, request: Message) {
        let committed = self.log.committed();
        // The only voter may be somebody else: then this leader is on its way out.
        let alone = self.prs.configuration().voters.is_only(self.id);
        if alone || self.has_lease() {
            self.answer_read(request, committed);
            return;
        }
        let position = (self.rules.read_position)(self.reads.sent(), self.reads.confirmed());
        self.reads.add(request, committed, position);
        if self.settings.eager {
            self.broadcast_heartbeat();
        } else {
            // One round confirms all reads up to the next `Ready`.
            self.heartbeat_due = true;
        }
    }

    /// Whether nobody else can have been elected, if no clock runs off. Void once the successor may
    /// have been told to campaign: it ignores the lease.
    fn has_lease(&self) -> bool {
        let lease = self.lease_ticks();
        self.settings.read_only == ReadOnly::LeaseBased
            && self.transferee.is_none()
            && self.reads.has_lease(self.ticks, lease)
    }

    /// With leases every beat asks for an answer: a quorum of them proves that nobody else can be
    /// elected within an election time-out from now.
    pub(super) fn begin_lease_beat(&mut self) {
        if self.settings.read_only == ReadOnly::LeaseBased {
            self.reads.add_beat(self.ticks, self.lease_ticks());
        }
    }

    /// How long a lease lasts: one tick less than a follower waits. Clocks that run alike need not
    /// tick at the same moment, and a follower may see its first tick just after the heartbeat.
    fn lease_ticks(&self) -> u64 {
        u64::from(self.settings.election_timeout.saturating_sub(1))
    }

    fn answer_read(&mut self, mut request: Message, index: u64) {
        let context = request.entries.first().map(|entry| entry.data.clone()).unwrap_or_default();
        let from = if request.from == NONE { self.id } else { request.from };
        if from == self.id {
            self.read_states.push(ReadState { index, context: context.clone() });
        } else {
            let entries = core::mem::take(&mut request.entries);
            let msg_type = MessageType::MsgReadIndexResp.into();
            self.send(Message { msg_type, to: from, index, entries, ..Message::default() });
        }
        self.trace(|_| Event::ReadConfirmed { from, index, context });
    }

    /// A follower answered a heartbeat: which reads does that confirm?
    pub(super) fn count_read_acknowledgement(&mut self, message: &Message) -> Outcome {
        if message.context.is_empty() {
            return Outcome::Handled;
        }
        let Some(position) = ReadOnlyQueue::position_of(&message.context) else {
            let length = message.context.len();
            return self.ignore(message.from, Ignored::UnknownContext(length));
        };
        let sent = self.reads.sent();
        if position > sent {
            return self.ignore(message.from, Ignored::UnknownRead { position, sent });
        }
        if let Some(progress) = self.prs.get_mut(message.from) {
            progress.read_position = progress.read_position.max(position);
        }
        self.confirm_reads();
        Outcome::Handled
    }

    /// Answers all reads that a quorum of the members has confirmed.
    pub(super) fn confirm_reads(&mut self) {
        let (sent, confirmed) = (self.reads.sent(), self.reads.confirmed());
        if sent == confirmed {
            return;
        }
        let own = self.id;
        let position = |id, progress: &Progress| match id {
            id if id == own => sent,
            _ => progress.read_position,
        };
        let quorum = self.prs.quorum_of(own, position, &self.rules);
        self.reads.confirm((self.rules.reads_confirmed)(quorum, sent, confirmed));
        while let Some(read) = self.reads.pop_confirmed() {
            self.answer_read(read.request, read.index);
        }
    }

    /// A follower's read is confirmed.
    pub(super) fn handle_read_index_response(&mut self, message: &mut Message) -> Outcome {
        if message.entries.len() != 1 {
            let count = message.entries.len();
            return self.ignore(message.from, Ignored::ReadWithoutContext(count));
        }
        let Some(entry) = message.entries.pop() else {
            return Outcome::Handled;
        };
        // The leader of this term has committed that index, so whoever holds the entry with the
        // leader's term may commit it, too.
        let before = self.log.committed();
        if self.log.commit(EntryId::new(message.term, message.index)) {
            self.trace(|raft| Event::Committed { from: before, to: raft.log.committed() });
        }
        self.read_states.push(ReadState { index: message.index, context: entry.data });
        Outcome::Handled
    }
}
