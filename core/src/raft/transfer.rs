//! Handing leadership over (thesis 3.10).

use super::election::Campaign;
use super::{NONE, Raft};
use crate::error::Result;
use crate::outcome::{Ignored, Outcome};
use crate::proto::eraftpb::{Message, MessageType};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};

/// The context of vote requests that the leader itself asked for.
pub(super) const CAMPAIGN_TRANSFER: &[u8] = b"CampaignTransfer";

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// A follower does not know whether the target is up to date: the leader decides.
    pub(super) fn forward_transfer(&mut self, message: &Message) -> Outcome {
        if self.leader == NONE {
            let reason = Ignored::NoLeader(MessageType::MsgTransferLeader);
            return self.ignore(message.from, reason);
        }
        let msg_type = MessageType::MsgTransferLeader.into();
        let (to, from) = (self.leader, message.from);
        self.send(Message { msg_type, to, from, ..Message::default() });
        Outcome::Handled
    }

    /// Hands over to `to`: at once if its log is complete, else after it has caught up. Until then,
    /// and for one election time-out at most, proposals are refused. A later request replaces
    /// an earlier one; a request for oneself ends it.
    pub(super) fn handle_transfer_leader(&mut self, to: u64) -> Result<Outcome> {
        let Some(progress) = self.prs.get(to) else {
            return Ok(self.ignore(to, Ignored::NotMember(to)));
        };
        if progress.is_learner {
            return Ok(self.ignore(to, Ignored::TransferToLearner(to)));
        }
        let up_to_date = progress.matched == self.log.last_index();
        if self.transferee == Some(to) {
            return Ok(self.ignore(to, Ignored::TransferInProgress(to)));
        }
        if let Some(earlier) = self.transferee.take() {
            self.trace(|raft| Event::TransferAborted { to: earlier, term: raft.term });
        }
        if to == self.id {
            self.maybe_auto_leave()?;
            return Ok(self.ignore(to, Ignored::TransferToSelf));
        }
        self.trace(|raft| Event::TransferStarted { to, term: raft.term });
        self.transferee = Some(to);
        self.election_elapsed = 0;
        if up_to_date {
            self.send_timeout_now(to, false);
        } else {
            self.owe_append(to);
            self.flush()?;
        }
        Ok(Outcome::Handled)
    }

    /// Nobody is to take over any more, or somebody has. Returns whether somebody was to.
    pub(super) fn end_transfer(&mut self) -> bool {
        let transferee = self.transferee.take();
        if let Some(to) = transferee {
            self.trace(|raft| Event::TransferEnded { to, term: raft.term });
        }
        transferee.is_some()
    }

    /// The successor acknowledged something: is its log complete now?
    pub(super) fn continue_transfer(&mut self, from: u64) {
        if self.transferee != Some(from) {
            return;
        }
        let matched = self.prs.get(from).map(|progress| progress.matched);
        if matched == Some(self.log.last_index()) {
            self.send_timeout_now(from, true);
        }
    }

    fn send_timeout_now(&mut self, to: u64, after_catch_up: bool) {
        // The message may arrive long after the transfer is given up, and `to` will not mind any
        // lease.
        if self.settings.read_only == crate::ReadOnly::LeaseBased {
            self.reads.void_lease();
        }
        let msg_type = MessageType::MsgTimeoutNow.into();
        self.send(Message { msg_type, to, ..Message::default() });
        self.trace(|_| Event::TimeoutNowSent { to, after_catch_up });
    }

    /// The leader asks this peer to campaign at once. No pre-vote: nobody doubts that an election
    /// is wanted.
    pub(super) fn handle_timeout_now(&mut self, from: u64) -> Result<Outcome> {
        self.trace(|raft| Event::TimeoutNowReceived { from, term: raft.term });
        self.hup(Campaign::Transfer)
    }

    /// Forgets the leader without campaigning, so that this peer no longer vouches for it: with
    /// check-quorum a quorum of such peers may elect another at once.
    pub(crate) fn forget_leader(&mut self) -> Outcome {
        let follows = self.role == super::StateRole::Follower;
        if follows && self.settings.read_only == crate::ReadOnly::LeaseBased {
            return self.ignore(self.id, Ignored::LeaseBased);
        }
        if !follows || self.leader == NONE {
            return self.ignore(self.id, Ignored::NoLeaderToForget(self.role));
        }
        let leader = core::mem::replace(&mut self.leader, NONE);
        self.trace(|raft| Event::LeaderForgotten { leader, term: raft.term });
        Outcome::Handled
    }
}
