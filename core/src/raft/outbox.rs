//! What a leader owes its followers.
//!
//! A leader does not write an append for every proposal. What each follower is owed follows from
//! its [`Progress`](crate::Progress), so the messages are made when they are taken: a burst of
//! proposals costs one append per follower, and a commit index travels with the next entries if
//! there are any. With [`Appends::Eager`](crate::Appends::Eager) every append leaves at once, one
//! per follower and event, in the order in which etcd sends them.

use alloc::vec::Vec;

use super::{Raft, StateRole};
use crate::error::{Result, StorageError};
use crate::proto::eraftpb::{Message, MessageType};
use crate::storage::Storage;
use crate::trace::Tracer;

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Whether [`make_appends`](Self::make_appends) would make something.
    pub(crate) fn owes_messages(&self) -> bool {
        if self.role != StateRole::Leader {
            return false;
        }
        let (last, committed) = (self.log.last_index(), self.commit_to_tell());
        let eager = self.settings.eager;
        let owed = |pr: &crate::Progress| {
            if eager { pr.append_due } else { pr.wants_append(last, committed) }
        };
        self.heartbeat_due || self.prs.iter().any(|(id, pr)| id != self.id && owed(pr))
    }

    /// The commit index that followers are told of for its own sake.
    fn commit_to_tell(&self) -> u64 {
        if self.settings.broadcast_commit { self.log.committed() } else { 0 }
    }

    /// Something is new for everybody: entries or a commit index.
    pub(super) fn owe_appends(&mut self) {
        let (own, eager) = (self.id, self.settings.eager);
        for (id, progress) in self.prs.iter_mut() {
            // In other states it follows from the progress what is owed.
            let probe = progress.state == crate::ProgressState::Probe && !progress.paused;
            progress.append_due |= id != own && (eager || probe);
        }
    }

    /// An append to `to` is owed even if it carries nothing.
    pub(super) fn owe_append(&mut self, to: u64) {
        if let Some(progress) = self.prs.get_mut(to) {
            progress.append_due = true;
        }
    }

    /// Makes what is owed now, if appends are eager: one append for each follower.
    ///
    /// # Errors
    /// A storage that cannot be read; what was not made is still owed.
    pub(super) fn flush(&mut self) -> Result<()> {
        if !self.settings.eager || self.role != StateRole::Leader {
            return Ok(());
        }
        for position in 0..self.prs.len() {
            let Some(to) = self.prs.id_at(position) else {
                break;
            };
            if self.prs.get(to).is_some_and(|progress| progress.append_due) {
                self.send_append(to, true)?;
                if let Some(progress) = self.prs.get_mut(to) {
                    progress.append_due = false;
                }
            }
        }
        Ok(())
    }

    /// Makes everything that is owed.
    ///
    /// # Errors
    /// A storage that cannot be read; what was not made is still owed.
    pub(crate) fn make_appends(&mut self) -> Result<()> {
        if self.role != StateRole::Leader {
            return Ok(());
        }
        if self.settings.eager {
            return self.flush();
        }
        if core::mem::take(&mut self.heartbeat_due) {
            self.broadcast_heartbeat();
        }
        let (last, committed) = (self.log.last_index(), self.commit_to_tell());
        for position in 0..self.prs.len() {
            let Some(to) = self.prs.id_at(position).filter(|&id| id != self.id) else {
                continue;
            };
            while self.prs.get(to).is_some_and(|pr| pr.wants_append(last, committed)) {
                if !self.send_append(to, true)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sends as many appends as the window of `to` allows, none of them empty, if appends are
    /// eager.
    pub(super) fn fill_window(&mut self, to: u64) -> Result<()> {
        while self.settings.eager && self.send_append(to, false)? {}
        Ok(())
    }

    /// Sends `to` one append, or the snapshot that it needs instead. Returns whether anything was
    /// sent. Without `even_if_empty` an append without entries is not.
    pub(super) fn send_append(&mut self, to: u64, even_if_empty: bool) -> Result<bool> {
        let Some(progress) = self.prs.get(to).filter(|progress| !progress.is_paused()) else {
            return Ok(false);
        };
        if progress.requested_snapshot > 0 {
            return self.send_snapshot(to);
        }
        let previous = progress.next - 1;
        let log_term = match self.log.term(previous) {
            Ok(term) => term,
            Err(StorageError::Compacted) => return self.send_snapshot(to),
            Err(error) => return Err(error.into()),
        };
        let end = self.log.last_index() + 1;
        let entries = if progress.may_send_entries() && previous + 1 < end {
            match self.log.slice(previous + 1, end, self.settings.max_size_per_msg) {
                Ok(entries) => entries,
                // Compacted between the two reads: the entries are gone, whatever their
                // predecessor's term.
                Err(StorageError::Compacted) => return self.send_snapshot(to),
                Err(error) => return Err(error.into()),
            }
        } else {
            Vec::new()
        };
        if entries.is_empty() && !even_if_empty {
            return Ok(false);
        }
        let last_sent = previous + entries.len() as u64;
        let bytes = entries.iter().map(|entry| entry.data.len() as u64).sum();
        let commit = self.log.committed();
        self.send(Message {
            msg_type: MessageType::MsgAppend.into(),
            to,
            log_term,
            index: previous,
            entries,
            commit,
            ..Message::default()
        });
        if let Some(progress) = self.prs.get_mut(to) {
            progress.sent_append(last_sent, bytes, commit);
        }
        Ok(true)
    }
}
