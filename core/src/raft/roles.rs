//! Transitions between the roles, and the passing of time.

use super::{NONE, Raft, StateRole};
use crate::config::SelfAck;
use crate::error::{DropReason, Result};
use crate::proto::eraftpb::{Entry, Message, MessageType};
use crate::read_only::DroppedRead;
use crate::storage::Storage;
use crate::trace::{Event, Tracer};

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Enters `term`, forgetting everything that belonged to the role before. The vote survives
    /// within a term.
    fn reset(&mut self, term: u64) {
        self.vote = (self.rules.vote_in_term)(self.term, term, self.vote);
        self.forget_votes(term);
        if term != self.term {
            // A request goes to one leader, and the log it was made for may give way.
            self.requested_snapshot = 0;
        }
        self.term = term;
        self.leader = NONE;
        self.heartbeat_elapsed = 0;
        self.election_elapsed = 0;
        let base = self.settings.election_timeout;
        self.randomized_election_timeout =
            (self.rules.election_timeout)(base, self.rng.below(base));
        self.end_transfer();
        self.pending_conf_index = 0;
        self.uncommitted_size = 0;
        self.heartbeat_due = false;
        self.commit_undecided = false;
        self.drop_reads(DropReason::LeadershipLost);
        self.prs.stop_leading();
    }

    /// What others answered so far is no answer to what this peer may ask them next.
    fn forget_votes(&mut self, next_term: u64) {
        if !(self.rules.votes_survive)(self.term, next_term) {
            self.prs.reset_votes();
        }
    }

    /// The term that this peer would campaign for.
    pub(super) fn next_term(&self) -> u64 {
        (self.rules.campaign_term)(self.term, self.role == StateRole::Candidate)
    }

    /// Reads that were accepted here cannot be answered any more; those of other peers will ask
    /// again.
    pub(super) fn drop_reads(&mut self, reason: DropReason) {
        for mut request in self.reads.reset() {
            if request.from == NONE || request.from == self.id {
                let context = request.entries.pop().unwrap_or_default().data;
                self.dropped_reads.push(DroppedRead { reason, context });
            }
        }
    }

    fn trace_role(&mut self) {
        self.trace(|raft| Event::Became { role: raft.role, term: raft.term, leader: raft.leader });
    }

    /// Follows `leader` in `term`; [`NONE`] if it is not known yet.
    pub(crate) fn become_follower(&mut self, term: u64, leader: u64) {
        self.reset(term);
        self.role = StateRole::Follower;
        self.leader = leader;
        self.trace_role();
    }

    /// Asks who would vote for it. Neither term nor vote changes: a peer that cannot win disturbs
    /// nobody (thesis 9.6).
    pub(crate) fn become_pre_candidate(&mut self) {
        debug_assert_ne!(self.role, StateRole::Leader, "a leader does not campaign");
        self.forget_votes(self.term);
        self.leader = NONE;
        self.role = StateRole::PreCandidate;
        self.trace_role();
    }

    /// Enters the next term and votes for itself. Sends nothing: the campaign does.
    pub(crate) fn become_candidate(&mut self) {
        debug_assert_ne!(self.role, StateRole::Leader, "a leader does not campaign");
        self.reset(self.next_term());
        self.role = StateRole::Candidate;
        self.vote = self.id;
        if self.settings.self_ack == SelfAck::OnAppend {
            self.prs.record_vote(self.id, true, &self.rules);
        }
        self.trace_role();
    }

    /// Leads its term, and appends an empty entry to it: older entries commit only through an entry
    /// of the own term (5.4.2), and reads need to know what is committed (8).
    pub(crate) fn become_leader(&mut self) {
        debug_assert_ne!(self.role, StateRole::Follower, "a follower must campaign first");
        self.reset(self.term);
        self.role = StateRole::Leader;
        self.leader = self.id;
        // An unapplied membership change may hide anywhere in the inherited log.
        let last = self.log.last_index();
        self.pending_conf_index = last;
        self.first_own = last + 1;
        self.prs.start_leading(last + 1);
        if let Some(own) = self.prs.get_mut(self.id) {
            // One's own log counts as it is: nothing commits before an entry of the own term does,
            // and that one is acknowledged only after all before it are on disk.
            own.acknowledge(last);
            own.become_replicate();
            own.recent_active = true;
        }
        self.append_own([Entry::default()]);
        self.trace_role();
        self.owe_appends();
    }

    /// One tick has passed (TinyKV `tick`).
    ///
    /// # Errors
    /// A storage that cannot be read when a campaign starts; the timer runs on.
    #[inline]
    pub fn tick(&mut self) -> Result<()> {
        if !self.count_tick() {
            return Ok(());
        }
        self.quiet = false;
        match self.role {
            StateRole::Leader => self.lead_on(),
            StateRole::Follower | StateRole::PreCandidate | StateRole::Candidate => self.time_out(),
        }
    }

    /// Moves the timers on. Returns whether one of them may have run out.
    #[inline]
    fn count_tick(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        self.election_elapsed = self.election_elapsed.saturating_add(1);
        if self.role == StateRole::Leader {
            self.heartbeat_elapsed += 1;
            return self.heartbeat_elapsed >= self.settings.heartbeat_timeout
                || self.election_elapsed >= self.settings.election_timeout;
        }
        self.election_elapsed >= self.randomized_election_timeout || self.requested_snapshot > 0
    }

    /// What the timers of a peer that does not lead ask for.
    fn time_out(&mut self) -> Result<()> {
        if self.requested_snapshot > 0 {
            self.expire_snapshot_request();
        }
        if self.election_elapsed < self.randomized_election_timeout || !self.is_promotable() {
            return Ok(());
        }
        self.election_elapsed = 0;
        self.step(local(MessageType::MsgHup, self.id)).map(drop)
    }

    /// What the timers of a leader ask for.
    fn lead_on(&mut self) -> Result<()> {
        if self.election_elapsed >= self.settings.election_timeout {
            self.election_elapsed = 0;
            self.end_election_timeout()?;
        }
        if self.role != StateRole::Leader
            || self.heartbeat_elapsed < self.settings.heartbeat_timeout
        {
            return Ok(());
        }
        self.heartbeat_elapsed = 0;
        self.beat();
        Ok(())
    }

    /// What a leader looks after once every election time-out.
    fn end_election_timeout(&mut self) -> Result<()> {
        if self.settings.check_quorum {
            self.check_quorum();
        }
        if self.role != StateRole::Leader {
            return Ok(());
        }
        // The successor did not take over in time: go on leading (thesis 3.10), and do what the
        // transfer held up.
        if self.end_transfer() {
            self.maybe_auto_leave()?;
        }
        let patience = self.settings.give_up_snapshot_after;
        for (_, progress) in self.prs.iter_mut() {
            progress.append_due |= progress.give_up_snapshot(patience);
        }
        Ok(())
    }

    /// A leader that a quorum has not spoken to for a whole election time-out steps down (thesis
    /// 6.2): its clients should look for another.
    pub(super) fn check_quorum(&mut self) {
        if !self.prs.quorum_active(&self.rules) {
            self.trace(|_| Event::QuorumLost);
            self.become_follower(self.term, NONE);
        }
        let own = self.id;
        for (id, progress) in self.prs.iter_mut() {
            progress.recent_active &= id == own;
        }
    }
}

/// A message from a peer to itself.
pub(crate) fn local(kind: MessageType, id: u64) -> Message {
    Message { msg_type: kind.into(), to: id, from: id, ..Message::default() }
}
