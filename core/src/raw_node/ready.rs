//! What a peer asks of its application, and what the application tells it back.

use alloc::vec::Vec;

use super::RawNode;
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::proto::eraftpb::{Entry, HardState, Message, Snapshot};
use crate::raft::{Receipt, Response, SoftState};
use crate::read_only::{DroppedRead, ReadState};
use crate::storage::Storage;
use crate::trace::Tracer;

/// What the application has to do next. Fields that have nothing to say are empty or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ready {
    /// Counts the peer's `Ready`s from 1.
    pub number: u64,
    /// Leader and role, if they changed. Need not be persisted.
    pub soft_state: Option<SoftState>,
    /// Term, vote and commit index, if they changed. Persist before sending.
    pub hard_state: Option<HardState>,
    /// Reads that may be served once the state machine has applied their index.
    pub read_states: Vec<ReadState>,
    /// Reads that this peer accepted and will not answer any more.
    pub dropped_reads: Vec<DroppedRead>,
    /// Entries to persist before sending. They replace what is on disk at their indices and after.
    pub entries: Vec<Entry>,
    /// A snapshot that replaces log, members and state machine. Persist and apply before
    /// everything else.
    pub snapshot: Option<Snapshot>,
    /// Entries to apply, in order, each exactly once.
    pub committed_entries: Vec<Entry>,
    /// Messages to send, after the above is on disk. With
    /// [`Config::async_persist`](crate::Config::async_persist) they may leave at once: those that
    /// may not come from [`RawNode::on_persisted`].
    pub messages: Vec<Message>,
    /// Whether what is to be persisted must be flushed to disk before messages leave. A commit
    /// index alone need not be: it is found again after a crash.
    pub must_sync: bool,
}

impl Ready {
    /// Empties the vectors but keeps their memory for the next one.
    fn cleared(mut self) -> Self {
        self.read_states.clear();
        self.dropped_reads.clear();
        self.entries.clear();
        self.committed_entries.clear();
        self.messages.clear();
        Self { soft_state: None, hard_state: None, snapshot: None, ..self }
    }
}

impl<S: Storage, T: Tracer> RawNode<S, T> {
    /// Whether [`ready`](Self::ready) has something to say.
    pub fn has_ready(&self) -> bool {
        let raft = &self.raft;
        !raft.msgs.is_empty()
            || !raft.after_persist.is_empty()
            || raft.log.has_unoffered()
            || raft.log.has_next_committed(!self.async_persist)
            || !raft.read_states.is_empty()
            || !raft.dropped_reads.is_empty()
            || raft.soft_state() != self.offered_soft_state
            || raft.hard_state() != self.offered_hard_state
            || raft.owes_messages()
    }

    /// Hands out everything that happened since the last call, once.
    ///
    /// In the synchronous way, pass the result to [`advance`](Self::advance) when it is done: its
    /// vectors are used again.
    ///
    /// # Errors
    /// A storage that cannot be read; nothing is lost, call again when it can.
    pub fn ready(&mut self) -> Result<Ready> {
        self.raft.make_appends()?;
        let unstable = !self.async_persist;
        let mut ready = core::mem::take(&mut self.spare);
        let read = self.raft.log.append_next_committed(unstable, &mut ready.committed_entries);
        if let Err(error) = read {
            self.spare = ready.cleared();
            return Err(error.into());
        }
        ready.snapshot = self.raft.log.offer(&mut ready.entries);
        core::mem::swap(&mut ready.messages, &mut self.raft.msgs);
        core::mem::swap(&mut ready.read_states, &mut self.raft.read_states);
        core::mem::swap(&mut ready.dropped_reads, &mut self.raft.dropped_reads);
        ready.hard_state = self.changed_hard_state();
        ready.soft_state = self.changed_soft_state();
        let needs_sync = |state: HardState| {
            let before = self.offered_hard_state;
            (state.term, state.vote) != (before.term, before.vote)
        };
        ready.must_sync = !ready.entries.is_empty()
            || ready.snapshot.is_some()
            || ready.hard_state.is_some_and(needs_sync);
        self.last_number += 1;
        ready.number = self.last_number;
        self.expect_receipts(&mut ready)?;
        if let Some(state) = ready.hard_state {
            self.offered_hard_state = state;
        }
        Ok(ready)
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

    /// Notes what is to be told and sent once `ready` is on disk, and once it is applied.
    fn expect_receipts(&mut self, ready: &mut Ready) -> Result<()> {
        let number = ready.number;
        for response in self.raft.take_after_persist() {
            match response {
                Response::Send(message) if !self.async_persist => ready.messages.push(message),
                response => self.receipts.push_back((number, response)),
            }
        }
        if let Some(receipt) = self.raft.storage_receipt(ready.snapshot.as_ref())? {
            self.receipts.push_back((number, Response::Own(receipt)));
        }
        let size = self.raft.log.applying(&ready.committed_entries, !self.async_persist);
        if let Some(last) = ready.committed_entries.last() {
            let limited = self.raft.settings.max_uncommitted_size > 0;
            let payloads = ready.committed_entries.iter().map(|entry| entry.data.len() as u64);
            let payload = if limited { payloads.sum() } else { 0 };
            let receipt = Receipt::Applied { index: last.index, size, payload };
            if self.async_persist {
                self.applying.push_back(receipt);
            } else {
                self.receipts.push_back((number, Response::Own(receipt)));
            }
        }
        Ok(())
    }

    /// `ready`, and every one before it, is persisted, sent and applied. A `Ready` may be advanced
    /// once; what was taken out of its fields does not matter.
    ///
    /// # Errors
    /// A storage that cannot be read when what is persisted makes this peer a leader; the rest is
    /// noted all the same. [`Error::WrongMode`] with `async_persist`.
    pub fn advance(&mut self, ready: Ready) -> Result<()> {
        if self.async_persist {
            return Err(Error::WrongMode("advance"));
        }
        let number = ready.number;
        self.spare = ready.cleared();
        let mut result = Ok(());
        while let Some(response) = self.next_response(number) {
            if let Response::Own(receipt) = response {
                result = result.and(self.raft.receive(receipt).map(drop));
            }
        }
        result
    }

    fn next_response(&mut self, number: u64) -> Option<Response> {
        self.receipts
            .pop_front_if(|(waits_for, _)| *waits_for <= number)
            .map(|(_, response)| response)
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): every `Ready` up to `number`
    /// is on disk. Returns the messages that waited for that; send them. Only now does the peer
    /// count its own votes and entries.
    ///
    /// # Errors
    /// A storage that cannot be read when what is persisted makes this peer a leader; what it would
    /// have sent is sent later. [`Error::WrongMode`] without `async_persist`.
    pub fn on_persisted(&mut self, number: u64) -> Result<Vec<Message>> {
        if !self.async_persist {
            return Err(Error::WrongMode("on_persisted"));
        }
        let mut messages = Vec::new();
        while let Some(response) = self.next_response(number) {
            match response {
                Response::Send(message) => messages.push(message),
                Response::Own(receipt) => {
                    if let Err(error) = self.raft.receive(receipt) {
                        // What was already taken out must not be lost with the error.
                        let waiting = messages.into_iter().map(Response::Send);
                        for response in waiting.rev() {
                            self.receipts.push_front((number, response));
                        }
                        return Err(error);
                    }
                }
            }
        }
        Ok(messages)
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): the state machine has applied
    /// everything up to `index`.
    ///
    /// # Errors
    /// A storage that cannot be read when that lets a leader leave a joint configuration.
    /// [`Error::WrongMode`] without `async_persist`.
    pub fn on_applied(&mut self, index: u64) -> Result<()> {
        if !self.async_persist {
            return Err(Error::WrongMode("on_applied"));
        }
        let done = |receipt: &mut Receipt| match receipt {
            Receipt::Applied { index: last, .. } => *last <= index,
            _ => true,
        };
        let mut result = Ok(());
        while let Some(receipt) = self.applying.pop_front_if(done) {
            result = result.and(self.raft.receive(receipt).map(drop));
        }
        result
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): what waits for `Ready`
    /// `number` to be on disk, in order. For applications that report to their peer message by
    /// message, as etcd's storage threads do.
    pub fn responses(&self, number: u64) -> impl Iterator<Item = &Response> + '_ {
        let of_ready = move |&(waits_for, _): &&(u64, Response)| *waits_for == number;
        self.receipts.iter().filter(of_ready).map(|(_, response)| response)
    }

    /// Takes out what waits for `Ready` `number` and all before it. Then
    /// [`on_persisted`](Self::on_persisted) has nothing left to do for them: the caller sends the
    /// messages and passes the receipts to [`receive`](Self::receive), in order, once the disk is
    /// that far.
    pub fn take_responses(&mut self, number: u64) -> Vec<Response> {
        core::iter::from_fn(|| self.next_response(number)).collect()
    }

    /// Takes note of a receipt from [`take_responses`](Self::take_responses).
    ///
    /// # Errors
    /// A storage that cannot be read when that makes this peer a leader.
    pub fn receive(&mut self, receipt: Receipt) -> Result<Outcome> {
        self.raft.receive(receipt)
    }
}
