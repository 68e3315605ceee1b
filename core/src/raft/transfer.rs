//! Handing leadership over (thesis 3.10).

use super::{NONE, Raft};
use crate::error::Result;
use crate::proto::eraftpb::{Message, MessageType};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// A follower does not know whether the target is up to date: the leader decides.
    pub(super) fn forward_transfer(&mut self, message: &Message) {
        if self.leader != NONE {
            let msg_type = MessageType::MsgTransferLeader.into();
            let (to, from) = (self.leader, message.from);
            self.send(Message { msg_type, to, from, ..Message::default() });
        }
    }

    /// Hands over to `to`: at once if its log is complete, else after it has caught up. Until then,
    /// and for one election time-out at most, proposals are refused. A later request replaces
    /// an earlier one; a request for oneself ends it.
    pub(super) fn handle_transfer_leader(&mut self, to: u64) {
        if !self.prs.contains(to) || self.transferee == Some(to) {
            return;
        }
        self.transferee = None;
        if to == self.id {
            return;
        }
        self.transferee = Some(to);
        self.election_elapsed = 0;
        if let Some(progress) = self.prs.get_mut(to) {
            progress.append_due |= progress.matched < self.log.last_index();
        }
        self.continue_transfer(to);
    }

    /// `from` acknowledged something: if it is the successor and has everything now, its turn has
    /// come.
    pub(super) fn continue_transfer(&mut self, from: u64) {
        let complete = self.prs.get(from).is_some_and(|pr| pr.matched == self.log.last_index());
        if self.transferee == Some(from) && complete {
            let msg_type = MessageType::MsgTimeoutNow.into();
            self.send(Message { msg_type, to: from, ..Message::default() });
        }
    }

    /// The leader hands over to this peer: campaign without waiting for the timer.
    pub(super) fn handle_timeout_now(&mut self) -> Result<()> {
        self.handle_hup()
    }
}
