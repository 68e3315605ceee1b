//! What leaves the peer.
//!
//! A leader does not write an append for every proposal. What each follower is owed follows from
//! its [`Progress`](crate::Progress), so the messages are made when they are taken: a burst of
//! proposals costs one append per follower, and a commit index travels with the next entries if
//! there are any.

use alloc::vec::Vec;
use core::mem;

use super::{Raft, StateRole};
use crate::error::{Result, StorageError};
use crate::proto::eraftpb::{Message, MessageType};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// Puts a message into the outbox, from this peer and in its term. Proposals carry no term:
    /// they are not bound to one.
    pub(super) fn send(&mut self, mut message: Message) {
        if message.from == super::NONE {
            message.from = self.id;
        }
        if message.msg_type != i32::from(MessageType::MsgPropose) {
            message.term = self.term;
        }
        self.msgs.push(message);
    }

    /// Whether [`take_messages`](Self::take_messages) would find something.
    pub(crate) fn has_messages(&self) -> bool {
        !self.msgs.is_empty() || self.owes_append()
    }

    fn owes_append(&self) -> bool {
        let (last, committed) = (self.log.last_index(), self.log.committed());
        self.role == StateRole::Leader
            && self.prs.iter().any(|(id, pr)| id != self.id && pr.wants_append(last, committed))
    }

    /// Empties the outbox (TinyKV's test helper `readMessages`).
    ///
    /// # Errors
    /// A storage that cannot be read; the messages stay and nothing is lost.
    pub(crate) fn take_messages(&mut self) -> Result<Vec<Message>> {
        if self.role == StateRole::Leader {
            for position in 0..self.prs.len() {
                let Some(id) = self.prs.ids().nth(position) else {
                    break;
                };
                if id != self.id {
                    while self.send_owed_append(id)? {}
                }
            }
        }
        Ok(mem::take(&mut self.msgs))
    }

    /// Sends `to` one append or snapshot if it is owed one. Returns whether there may be more.
    fn send_owed_append(&mut self, to: u64) -> Result<bool> {
        let (last, committed) = (self.log.last_index(), self.log.committed());
        let Some(progress) = self.prs.get(to) else {
            return Ok(false);
        };
        if !progress.wants_append(last, committed) {
            return Ok(false);
        }
        let previous = progress.next - 1;
        let log_term = match self.log.term(previous) {
            Ok(term) => term,
            Err(StorageError::Compacted) => return self.send_snapshot(to),
            Err(error) => return Err(error.into()),
        };
        let entries = if progress.may_send_entries() {
            match self.log.slice(previous + 1, last + 1, self.max_size_per_msg) {
                Ok(entries) => entries,
                // Compacted between the two reads: the entries are gone, whatever their
                // predecessor's term.
                Err(StorageError::Compacted) => return self.send_snapshot(to),
                Err(error) => return Err(error.into()),
            }
        } else {
            Vec::new()
        };
        let last_sent = previous + entries.len() as u64;
        self.send(Message {
            msg_type: MessageType::MsgAppend.into(),
            to,
            log_term,
            index: previous,
            entries,
            commit: committed,
            ..Message::default()
        });
        if let Some(progress) = self.prs.get_mut(to) {
            progress.sent_append(last_sent, committed);
        }
        Ok(true)
    }
}
