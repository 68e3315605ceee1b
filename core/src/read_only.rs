//! Reads that wait for a quorum's word that their leader still leads (section 8, thesis 6.4).
//!
//! The leader numbers its questions itself: each read, and each beat of a lease, takes the next
//! *position*, heartbeats carry the highest one, and answers echo it. A quorum that echoed position
//! `p` confirms everything up to `p` at once. Positions made by the leader cannot be mistaken for
//! those of an earlier request, whatever contexts the callers choose and however late an answer
//! comes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::proto::eraftpb::Message;

/// A read that may be served as soon as the state machine has applied `index`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadState {
    /// The commit index when the read was asked for, or later.
    pub index: u64,
    /// What the caller gave to recognise its read by.
    pub context: Bytes,
}

/// A read that this peer accepted and cannot answer any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedRead {
    /// Why.
    pub reason: crate::error::DropReason,
    /// What the caller gave to recognise its read by.
    pub context: Bytes,
}

/// A read under way.
#[derive(Clone, Debug)]
pub(crate) struct PendingRead {
    /// The request; its sender gets the answer.
    pub(crate) request: Message,
    /// The commit index when it came.
    pub(crate) index: u64,
    position: u64,
}

/// The questions of one leadership. Peers that never ask one spend no memory on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadOnlyQueue(Option<Box<Questions>>);

#[derive(Clone, Debug, Default)]
struct Questions {
    /// Reads that wait for the leader's first commit (etcd `pendingReadIndexMessages`).
    postponed: VecDeque<Message>,
    unconfirmed: VecDeque<PendingRead>,
    sent: u64,
    confirmed: u64,
    /// Positions of lease beats and the ticks at which they were asked, oldest first.
    beats: VecDeque<(u64, u64)>,
    /// The tick at which the newest question that a quorum answered was asked.
    lease_start: Option<u64>,
    /// Somebody was told to campaign whatever leases there are.
    lease_void: bool,
}

impl ReadOnlyQueue {
    fn questions(&mut self) -> &mut Questions {
        self.0.get_or_insert_default()
    }

    /// Reads that wait for anything.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |q| q.postponed.len() + q.unconfirmed.len())
    }

    /// The highest position handed out.
    pub(crate) fn sent(&self) -> u64 {
        self.0.as_ref().map_or(0, |q| q.sent)
    }

    /// Positions confirmed so far.
    pub(crate) fn confirmed(&self) -> u64 {
        self.0.as_ref().map_or(0, |q| q.confirmed)
    }

    /// A read has to wait for the leader's first commit.
    pub(crate) fn postpone(&mut self, request: Message) {
        self.questions().postponed.push_back(request);
    }

    /// Takes out the oldest read that waits for the leader's first commit.
    pub(crate) fn pop_postponed(&mut self) -> Option<Message> {
        self.0.as_mut()?.postponed.pop_front()
    }

    /// A read came while `committed` was the commit index, and takes this position.
    pub(crate) fn add(&mut self, request: Message, committed: u64, position: u64) {
        let q = self.questions();
        q.sent = q.sent.max(position);
        q.unconfirmed.push_back(PendingRead { request, index: committed, position });
    }

    /// A beat at this tick renews the lease if a quorum answers it.
    pub(crate) fn add_beat(&mut self, tick: u64, lease_ticks: u64) {
        let q = self.questions();
        while q.beats.front().is_some_and(|&(_, asked)| asked + lease_ticks < tick) {
            q.beats.pop_front();
        }
        q.sent += 1;
        q.beats.push_back((q.sent, tick));
    }

    /// What a heartbeat has to carry: the highest position, if anything waits for it. Eight bytes,
    /// the lowest first, as etcd reads it.
    pub(crate) fn context(&self) -> Bytes {
        match self.sent() {
            sent if sent == self.confirmed() => Bytes::new(),
            sent => Bytes::copy_from_slice(&sent.to_le_bytes()),
        }
    }

    /// The position that an echoed context names.
    pub(crate) fn position_of(context: &[u8]) -> Option<u64> {
        context.try_into().ok().map(u64::from_le_bytes)
    }

    /// Everything up to `position` is confirmed.
    pub(crate) fn confirm(&mut self, position: u64) {
        let q = self.questions();
        q.confirmed = q.confirmed.max(position.min(q.sent));
        while q.beats.front().is_some_and(|&(beat, _)| beat <= q.confirmed) {
            q.lease_start = q.beats.pop_front().map(|(_, tick)| tick).max(q.lease_start);
        }
    }

    /// Takes out the oldest read if it is confirmed.
    pub(crate) fn pop_confirmed(&mut self) -> Option<PendingRead> {
        let q = self.0.as_mut()?;
        let confirmed = q.confirmed;
        q.unconfirmed.pop_front_if(|read| read.position <= confirmed)
    }

    /// Whether a quorum promised, less than `lease_ticks` ago, to follow nobody else.
    pub(crate) fn has_lease(&self, tick: u64, lease_ticks: u64) -> bool {
        let valid = self.0.as_ref().filter(|q| !q.lease_void);
        valid.and_then(|q| q.lease_start).is_some_and(|start| tick < start + lease_ticks)
    }

    /// The lease begins anew with the next answer of a quorum.
    pub(crate) fn end_lease(&mut self) {
        if let Some(q) = &mut self.0 {
            q.lease_start = None;
        }
    }

    /// No lease is worth anything for as long as this leadership lasts.
    pub(crate) fn void_lease(&mut self) {
        self.questions().lease_void = true;
    }

    /// Forgets everything, since another leadership begins, and returns every request that was not
    /// answered.
    pub(crate) fn reset(&mut self) -> impl Iterator<Item = Message> + use<> {
        let questions = self.0.take().map(|q| *q).unwrap_or_default();
        let unconfirmed = questions.unconfirmed.into_iter().map(|read| read.request);
        questions.postponed.into_iter().chain(unconfirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmed_position_releases_everything_up_to_it_once() {
        let mut queue = ReadOnlyQueue::default();
        for (index, position) in [4, 4, 7].into_iter().zip(1..) {
            queue.add(Message::default(), index, position);
        }
        assert_eq!(ReadOnlyQueue::position_of(&queue.context()), Some(3));
        queue.confirm(2);
        let indices = core::iter::from_fn(|| queue.pop_confirmed()).map(|read| read.index);
        assert_eq!(indices.collect::<alloc::vec::Vec<_>>(), [4, 4]);
        queue.confirm(1);
        assert!(queue.pop_confirmed().is_none());
        queue.confirm(u64::MAX);
        assert_eq!(queue.pop_confirmed().map(|read| read.index), Some(7));
        assert_eq!((queue.confirmed(), queue.context()), (3, Bytes::new()));
    }

    #[test]
    fn a_lease_runs_from_the_moment_it_was_asked_for() {
        let mut queue = ReadOnlyQueue::default();
        assert!(!queue.has_lease(0, 10));
        queue.add_beat(5, 10);
        queue.add_beat(6, 10);
        queue.confirm(1);
        assert!(queue.has_lease(14, 10) && !queue.has_lease(15, 10));
        queue.confirm(2);
        assert!(queue.has_lease(15, 10) && !queue.has_lease(16, 10));
    }

    #[test]
    fn only_eight_bytes_name_a_position() {
        assert_eq!(ReadOnlyQueue::position_of(b"1234567"), None);
        assert_eq!(ReadOnlyQueue::position_of(&7u64.to_le_bytes()), Some(7));
    }
}
