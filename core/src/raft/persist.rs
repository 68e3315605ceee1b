//! What counts only once it is on disk.
//!
//! A vote or an acknowledgement is a promise to remember, so it may not leave before what it rests
//! on is durable (3.8, thesis 3.8), and a peer may not count itself earlier either. Both wait in
//! `after_persist`, in order, until the [`Ready`](crate::Ready) that they belong to is on disk.

use alloc::boxed::Box;

use super::{Raft, StateRole};
use crate::EntryId;
use crate::config::{ReadOnly, SelfAck};
use crate::error::Result;
use crate::log::Persisted;
use crate::outcome::{Ballot, Ignored, Outcome};
use crate::proto::eraftpb::{Entry, Message, MessageType, Snapshot};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};

/// Something that waits for a [`Ready`](crate::Ready) to be on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To be sent to another peer.
    Send(Message),
    /// To be told to this peer ([`RawNode::receive`](crate::RawNode::receive)).
    Own(Receipt),
}

/// What a peer learns about its own disk and state machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Its log is durable up to `index`, as it was in `term`: it counts towards the quorum.
    Append {
        /// The leader's term.
        term: u64,
        /// The last index appended.
        index: u64,
    },
    /// Its vote for itself is durable.
    Vote {
        /// Which vote.
        ballot: Ballot,
        /// The term it campaigns for.
        term: u64,
    },
    /// The disk holds what memory held in `term`, up to the entry `last`: memory may let go.
    Stored {
        /// The term when it was handed out. In a later one another leader may be overwriting it.
        term: u64,
        /// The last entry then, if any was in memory only.
        last: Option<EntryId>,
        /// The snapshot handed out, if any. It is applied, too.
        snapshot: Option<Box<Snapshot>>,
    },
    /// The state machine has applied everything up to `index`.
    Applied {
        /// The last entry applied.
        index: u64,
        /// Bytes of the entries as they are limited by
        /// [`Config::max_committed_size_per_ready`](crate::Config::max_committed_size_per_ready).
        size: u64,
        /// Bytes of their payload.
        payload: u64,
    },
}

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Puts a message into the outbox, from this peer and in its term.
    pub(super) fn send(&mut self, mut message: Message) {
        message.term = self.term;
        self.send_as_it_is(message);
    }

    /// Puts a message into the outbox, with the term that it brings. Proposals and reads bring
    /// none: they are not bound to one.
    pub(super) fn send_as_it_is(&mut self, mut message: Message) {
        if message.from == super::NONE {
            message.from = self.id;
        }
        self.msgs.push(message);
    }

    /// Sends an answer in the peer's term once everything up to now is on disk.
    pub(super) fn promise(&mut self, mut message: Message) {
        message.term = self.term;
        self.promise_as_it_is(message);
    }

    /// Sends an answer that brings its own term once everything up to now is on disk.
    pub(super) fn promise_as_it_is(&mut self, mut message: Message) {
        message.from = self.id;
        if self.settings.async_persist {
            self.after_persist.push(Response::Send(message));
        } else {
            self.late_msgs.push(message);
        }
    }

    /// The peer's own append counts, at once or when it is on disk.
    pub(super) fn acknowledge_own_append(&mut self, index: u64) {
        if self.settings.self_ack == SelfAck::OnAppend {
            if let Some(own) = self.prs.get_mut(self.id) {
                own.acknowledge(index);
            }
            self.maybe_commit();
            return;
        }
        // Of several appends in a row the last one says it all.
        if !self.settings.eager {
            let next = self.last_ready + 1;
            let own = self.receipts.back_mut().filter(|(number, _)| *number == next);
            match (own, self.after_persist.last_mut()) {
                (Some((_, Receipt::Append { term, index: last })), _)
                | (_, Some(Response::Own(Receipt::Append { term, index: last }))) => {
                    (*term, *last) = (self.term, index);
                    return;
                }
                _ => {}
            }
        }
        self.await_disk(Receipt::Append { term: self.term, index });
    }

    /// This peer is to be told `receipt` once everything up to now is on disk.
    pub(super) fn await_disk(&mut self, receipt: Receipt) {
        if self.settings.async_persist {
            self.after_persist.push(Response::Own(receipt));
        } else {
            self.receipts.push_back((self.last_ready + 1, receipt));
        }
    }

    /// Whether a promise to wait would be forgotten in a crash: a peer that starts with a term on
    /// its disk waits, in case it has promised to, but one without starts for the first time.
    pub(crate) fn must_mark_term(&self) -> bool {
        !self.term_on_disk && self.term > 0 && self.settings.read_only == ReadOnly::LeaseBased
    }

    /// The last entry, if any is in memory only. It is to be reported once everything up to now is
    /// on disk, also when nothing new is written: an earlier report may be void because of a new
    /// term, and the last one of a term must stand for all before it.
    pub(crate) fn unstable_last(&self) -> Result<Option<EntryId>> {
        if self.log.has_unstable() { Ok(Some(self.log.last_id()?)) } else { Ok(None) }
    }

    /// Bytes of payload that stop counting as uncommitted when these entries are applied: those
    /// that this leader appended itself. What it inherited never counted.
    pub(crate) fn own_payload(&self, entries: &[Entry]) -> u64 {
        if self.settings.max_uncommitted_size == 0 || self.role != StateRole::Leader {
            return 0;
        }
        let own = entries.iter().filter(|entry| entry.index >= self.first_own);
        own.map(|entry| entry.data.len() as u64).sum()
    }

    /// Takes note of a receipt.
    pub(crate) fn receive(&mut self, receipt: Receipt) -> Result<Outcome> {
        match receipt {
            Receipt::Append { term, index } => {
                if term < self.term {
                    return Ok(self.late_receipt(MessageType::MsgAppendResponse, term));
                }
                if self.role != StateRole::Leader {
                    let kind = MessageType::MsgAppendResponse;
                    let reason = Ignored::NotForRole { kind, role: self.role };
                    return Ok(self.ignore(self.id, reason));
                }
                self.acknowledged(self.id, index)
            }
            Receipt::Vote { ballot, term } => self.own_vote_persisted(ballot, term),
            Receipt::Stored { term, last, snapshot } => {
                self.term_on_disk |= term > 0;
                if let Some(last) = last {
                    self.stored(term, last);
                }
                if let Some(snapshot) = snapshot {
                    let index = EntryId::of_snapshot(&snapshot).index;
                    // A snapshot is committed state: it is good in any term.
                    self.log.stable_snapshot_to(index);
                    if self.log.pending_snapshot().is_none() {
                        self.superseded = 0;
                    }
                    self.applied(index, 0, 0)?;
                }
                Ok(Outcome::Handled)
            }
            Receipt::Applied { index, size, payload } => {
                if index >= self.superseded {
                    self.superseded = 0;
                }
                self.applied(index, size, payload)?;
                Ok(Outcome::Handled)
            }
        }
    }

    pub(super) fn late_receipt(&mut self, kind: MessageType, theirs: u64) -> Outcome {
        let (from, own) = (self.id, self.term);
        self.ignore(from, Ignored::LowerTerm { kind, from, theirs, own })
    }

    /// A write was confirmed that covers the log up to `last`. Since then a newer term may have
    /// begun to overwrite it, in a write that is still under way; then a read from the disk might
    /// still see the older entries, so memory must hold on to the newer ones (etcd issue 12881).
    fn stored(&mut self, term: u64, last: EntryId) {
        if term < self.term {
            let own = self.term;
            self.trace(|_| Event::StalePersist { theirs: term, own });
            return;
        }
        let index = last.index;
        match self.log.stable_to(last) {
            Persisted::Known => {}
            Persisted::Missing => self.trace(|_| Event::PersistMissing { index }),
            Persisted::OfSnapshot => self.trace(|_| Event::PersistOfSnapshot { index }),
            Persisted::Mismatch(own) => {
                self.trace(|_| Event::PersistMismatch { theirs: last, own });
            }
        }
    }

    /// The state machine has applied everything up to `index`.
    fn applied(&mut self, index: u64, size: u64, payload: u64) -> Result<()> {
        self.log.applied_batch(index, size);
        if index >= self.first_own {
            self.uncommitted_size = self.uncommitted_size.saturating_sub(payload);
        }
        self.maybe_auto_leave()
    }

    /// Empties the outbox (TinyKV's test helper `readMessages`), as if everything were on disk.
    ///
    /// # Errors
    /// A storage that cannot be read; the messages stay and nothing is lost.
    #[cfg(test)]
    pub(crate) fn take_messages(&mut self) -> Result<alloc::vec::Vec<Message>> {
        self.make_appends()?;
        let mut messages = core::mem::take(&mut self.msgs);
        messages.append(&mut self.late_msgs);
        Ok(messages)
    }
}
