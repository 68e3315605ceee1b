//! Transitions between the roles, and the passing of time.

use alloc::vec;

use super::{NONE, Raft, StateRole};
use crate::config::SelfAck;
use crate::error::Result;
use crate::proto::eraftpb::{Entry, Message, MessageType};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// Enters `term`, forgetting everything that belonged to the role before. The vote survives
    /// within a term.
    fn reset(&mut self, term: u64) {
        self.vote = (self.rules.vote_in_term)(self.term, term, self.vote);
        self.term = term;
        self.leader = NONE;
        self.heartbeat_elapsed = 0;
        self.election_elapsed = 0;
        let draw = self.rng.below(self.election_timeout);
        self.randomized_election_timeout =
            (self.rules.election_timeout)(self.election_timeout, draw);
        self.transferee = None;
        self.pending_conf_index = 0;
        self.prs.reset_votes();
        let next = self.log.last_index() + 1;
        for (_, progress) in self.prs.iter_mut() {
            progress.reset(next);
        }
        self.acknowledge_own_log();
    }

    /// Counts one's own log as far as [`SelfAck`] allows.
    pub(super) fn acknowledge_own_log(&mut self) {
        let index = match self.self_ack {
            SelfAck::OnAppend => self.log.last_index(),
            SelfAck::OnPersist => self.log.stabled(),
        };
        if let Some(progress) = self.prs.get_mut(self.id) {
            progress.acknowledge(index);
        }
    }

    /// Follows `leader` in `term`; [`NONE`] if it is not known yet.
    pub(crate) fn become_follower(&mut self, term: u64, leader: u64) {
        self.reset(term);
        self.role = StateRole::Follower;
        self.leader = leader;
    }

    /// Enters the next term and votes for itself. Sends nothing: the campaign does.
    pub(crate) fn become_candidate(&mut self) {
        debug_assert_ne!(self.role, StateRole::Leader, "a leader does not campaign");
        self.reset(self.term + 1);
        self.role = StateRole::Candidate;
        self.vote = self.id;
        if self.self_ack == SelfAck::OnAppend {
            self.prs.record_vote(self.id, true);
        }
    }

    /// Leads its term, and appends an empty entry to it: older entries commit only through an entry
    /// of the own term (5.4.2), and reads need to know what is committed (8).
    pub(crate) fn become_leader(&mut self) {
        debug_assert_ne!(self.role, StateRole::Follower, "a follower must campaign first");
        self.reset(self.term);
        self.role = StateRole::Leader;
        self.leader = self.id;
        // An unapplied membership change may hide anywhere in the inherited log.
        self.pending_conf_index = self.log.last_index();
        for (id, progress) in self.prs.iter_mut() {
            if id == self.id {
                progress.become_replicate();
            } else {
                progress.become_probe();
                progress.next = self.log.last_index() + 1;
            }
        }
        self.append_own(vec![Entry::default()]);
    }

    /// One tick has passed (TinyKV `tick`).
    ///
    /// # Errors
    /// A storage that cannot be read when a campaign starts; the timer runs on.
    pub fn tick(&mut self) -> Result<()> {
        match self.role {
            StateRole::Leader => self.tick_heartbeat(),
            StateRole::Follower | StateRole::Candidate => self.tick_election(),
        }
    }

    fn tick_election(&mut self) -> Result<()> {
        self.election_elapsed = self.election_elapsed.saturating_add(1);
        if self.election_elapsed < self.randomized_election_timeout || !self.is_promotable() {
            return Ok(());
        }
        self.election_elapsed = 0;
        self.step(local(MessageType::MsgHup, self.id))
    }

    fn tick_heartbeat(&mut self) -> Result<()> {
        self.election_elapsed += 1;
        if self.election_elapsed >= self.election_timeout {
            self.election_elapsed = 0;
            // The successor did not take over in time: go on leading (thesis 3.10).
            self.transferee = None;
            for (_, progress) in self.prs.iter_mut() {
                progress.give_up_snapshot();
            }
        }
        self.heartbeat_elapsed += 1;
        if self.heartbeat_elapsed < self.heartbeat_timeout {
            return Ok(());
        }
        self.heartbeat_elapsed = 0;
        self.step(local(MessageType::MsgBeat, self.id))
    }
}

/// A message from a peer to itself.
pub(crate) fn local(kind: MessageType, id: u64) -> Message {
    Message { msg_type: kind.into(), to: id, from: id, ..Message::default() }
}
