//! What a peer asks of its application, and what the application tells it back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::RawNode;
use crate::EntryId;
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
    pub snapshot: Option<Box<Snapshot>>,
    /// Entries to apply, in order, each exactly once.
    pub committed_entries: Vec<Entry>,
    /// Messages to send, after the above is on disk. With
    /// [`Config::async_persist`](crate::Config::async_persist) they may leave at once: those that
    /// may not come from [`RawNode::on_persisted`].
    pub messages: Vec<Message>,
    /// Whether hard state and entries must be flushed to disk before messages leave. A commit index
    /// alone need not be: it is found again after a crash. A snapshot always must.
    pub must_sync: bool,
}

/// The emptied vectors of an advanced [`Ready`].
#[derive(Clone, Debug, Default)]
pub(super) struct Spare {
    entries: Vec<Entry>,
    committed_entries: Vec<Entry>,
    messages: Vec<Message>,
}

impl Spare {
    /// Keeps the vectors of `ready`, unless a burst made them large.
    fn keep(&mut self, ready: &mut Ready) {
        keep(&mut self.entries, &mut ready.entries);
        keep(&mut self.committed_entries, &mut ready.committed_entries);
        keep(&mut self.messages, &mut ready.messages);
    }
}

fn keep<M>(spare: &mut Vec<M>, used: &mut Vec<M>) {
    const MAX_KEPT: usize = 256;
    used.clear();
    if used.capacity() > spare.capacity() && used.capacity() <= MAX_KEPT {
        core::mem::swap(spare, used);
    }
}

impl<S: Storage, T: Tracer> RawNode<S, T> {
    /// Whether [`ready`](Self::ready) has something to say.
    #[inline]
    pub fn has_ready(&self) -> bool {
        debug_assert!(!self.raft.quiet || !self.has_something(), "quiet with something to say");
        !self.raft.quiet && self.has_something()
    }

    /// Notes whether there is anything left to hand out. Until something happens,
    /// [`has_ready`](Self::has_ready) then looks at one line of the cache instead of ten.
    pub(super) fn settle(&mut self) {
        self.raft.quiet = !self.has_something();
    }

    fn has_something(&self) -> bool {
        let raft = &self.raft;
        !raft.msgs.is_empty()
            || !raft.late_msgs.is_empty()
            || raft.receipts.back().is_some_and(|(number, _)| *number > raft.last_ready)
            || !raft.after_persist.is_empty()
            || raft.log.has_unoffered()
            || raft.log.has_next_committed(self.pipeline.is_none())
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
        let stored = self.raft.unstable_last()?;
        let mut committed = core::mem::take(&mut self.spare.committed_entries);
        let unstable = self.pipeline.is_none();
        if let Err(error) = self.raft.log.take_next_committed(unstable, &mut committed) {
            self.spare.committed_entries = committed;
            return Err(error.into());
        }
        let mut entries = core::mem::take(&mut self.spare.entries);
        let snapshot = self.raft.log.offer(&mut entries);
        let empty = core::mem::take(&mut self.spare.messages);
        let mut messages = core::mem::replace(&mut self.raft.msgs, empty);
        if messages.is_empty() {
            core::mem::swap(&mut messages, &mut self.raft.late_msgs);
        } else {
            messages.append(&mut self.raft.late_msgs);
        }
        let hard_state = self.changed_hard_state();
        let before = self.offered_hard_state;
        let term_or_vote = |now: HardState| (now.term, now.vote) != (before.term, before.vote);
        if let Some(state) = hard_state {
            self.offered_hard_state = state;
        }
        self.raft.last_ready += 1;
        self.expect_receipts(stored, snapshot.as_deref(), &committed);
        let ready = Ready {
            number: self.raft.last_ready,
            soft_state: self.changed_soft_state(),
            hard_state,
            read_states: core::mem::take(&mut self.raft.read_states),
            dropped_reads: core::mem::take(&mut self.raft.dropped_reads),
            must_sync: !entries.is_empty() || hard_state.is_some_and(term_or_vote),
            entries,
            snapshot,
            committed_entries: committed,
            messages,
        };
        if self.pipeline.is_some() {
            self.settle();
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

    /// Notes what is to be told and sent once the `Ready` is on disk, and once it is applied.
    /// `stored` is the last entry that is in memory only.
    fn expect_receipts(
        &mut self,
        stored: Option<EntryId>,
        snapshot: Option<&Snapshot>,
        committed: &[Entry],
    ) {
        let number = self.raft.last_ready;
        if let Some(pipeline) = &mut self.pipeline {
            let late = self.raft.after_persist.drain(..);
            pipeline.responses.extend(late.map(|response| (number, response)));
        }
        if stored.is_some() || snapshot.is_some() || self.raft.must_mark_term() {
            let snapshot = snapshot.cloned().map(Box::new);
            let receipt = Receipt::Stored { term: self.raft.term, last: stored, snapshot };
            match &mut self.pipeline {
                Some(p) => p.responses.push_back((number, Response::Own(receipt))),
                None => self.raft.receipts.push_back((number, receipt)),
            }
        }
        let size = self.raft.log.applying(committed, self.pipeline.is_none());
        if let Some(last) = committed.last() {
            let payload = self.raft.own_payload(committed);
            let receipt = Receipt::Applied { index: last.index, size, payload };
            match &mut self.pipeline {
                Some(pipeline) => pipeline.applying.push_back(receipt),
                None => self.raft.receipts.push_back((number, receipt)),
            }
        }
    }

    /// `ready`, and every one before it, is persisted, sent and applied. A `Ready` may be advanced
    /// once; what was taken out of its fields does not matter.
    ///
    /// # Errors
    /// A storage that cannot be read when what is persisted makes this peer a leader; the rest is
    /// noted all the same. [`Error::WrongMode`] with `async_persist`, [`Error::UnknownReady`] for a
    /// `Ready` that is not this peer's.
    pub fn advance(&mut self, mut ready: Ready) -> Result<()> {
        if self.pipeline.is_some() {
            return Err(Error::WrongMode("advance"));
        }
        let number = self.handed_out(ready.number)?;
        self.spare.keep(&mut ready);
        let mut result = Ok(());
        while let Some((_, receipt)) = self.raft.receipts.pop_front_if(|(at, _)| *at <= number) {
            result = result.and(self.raft.receive(receipt).map(drop));
        }
        self.settle();
        result
    }

    /// What was never handed out cannot be on disk.
    fn handed_out(&self, number: u64) -> Result<u64> {
        let last = self.raft.last_ready;
        if number > last { Err(Error::UnknownReady { number, last }) } else { Ok(number) }
    }

    fn next_response(&mut self, number: u64) -> Option<Response> {
        let responses = &mut self.pipeline.as_mut()?.responses;
        let due = responses.pop_front_if(|(waits_for, _)| *waits_for <= number);
        due.map(|(_, response)| response)
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): every `Ready` up to `number`
    /// is on disk. Returns the messages that waited for that; send them. Only now does the peer
    /// count its own votes and entries.
    ///
    /// # Errors
    /// A storage that cannot be read when what is persisted makes this peer a leader; what it would
    /// have sent is sent later. [`Error::WrongMode`] without `async_persist`,
    /// [`Error::UnknownReady`] for a number that was not handed out.
    pub fn on_persisted(&mut self, number: u64) -> Result<Vec<Message>> {
        if self.pipeline.is_none() {
            return Err(Error::WrongMode("on_persisted"));
        }
        let number = self.handed_out(number)?;
        let mut messages = Vec::new();
        while let Some(response) = self.next_response(number) {
            match response {
                Response::Send(message) => messages.push(message),
                Response::Own(receipt) => {
                    if let Err(error) = self.receive(receipt) {
                        // What was already taken out must not be lost with the error.
                        if let Some(pipeline) = &mut self.pipeline {
                            for message in messages.into_iter().rev() {
                                pipeline.responses.push_front((number, Response::Send(message)));
                            }
                        }
                        return Err(error);
                    }
                }
            }
        }
        self.settle();
        Ok(messages)
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): the state machine has applied
    /// everything up to `index`.
    ///
    /// # Errors
    /// A storage that cannot be read when that lets a leader leave a joint configuration.
    /// [`Error::WrongMode`] without `async_persist`.
    pub fn on_applied(&mut self, index: u64) -> Result<()> {
        let done = |receipt: &mut Receipt| match receipt {
            Receipt::Applied { index: last, .. } => *last <= index,
            _ => true,
        };
        let Some(pipeline) = &mut self.pipeline else {
            return Err(Error::WrongMode("on_applied"));
        };
        let mut result = Ok(());
        while let Some(receipt) = pipeline.applying.pop_front_if(done) {
            result = result.and(self.raft.receive(receipt).map(drop));
        }
        let log = &self.raft.log;
        let index = index.min(log.applying_index());
        if index > log.applied() {
            // In the middle of a batch: its bytes count when it is done.
            let part = Receipt::Applied { index, size: 0, payload: 0 };
            result = result.and(self.raft.receive(part).map(drop));
        }
        self.settle();
        result
    }

    /// With [`Config::async_persist`](crate::Config::async_persist): what waits for `Ready`
    /// `number` to be on disk, in order. For applications that report to their peer message by
    /// message, as etcd's storage threads do.
    pub fn responses(&self, number: u64) -> impl Iterator<Item = &Response> + '_ {
        let of_ready = move |&(waits_for, _): &&(u64, Response)| *waits_for == number;
        let pipeline = self.pipeline.iter();
        let all = pipeline.flat_map(|pipeline| &pipeline.responses);
        all.filter(of_ready).map(|(_, response)| response)
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
        let snapshot = match &receipt {
            Receipt::Stored { snapshot: Some(snapshot), .. } => {
                Some(EntryId::of_snapshot(snapshot))
            }
            _ => None,
        };
        let outcome = self.raft_mut().receive(receipt);
        // It replaced the state machine: batches from before it may never be reported any more, and
        // must not hold back those after it.
        if let Some(id) = snapshot
            && self.pipeline.is_some()
        {
            self.on_applied(id.index)?;
        }
        outcome
    }
}
