//! Sending, installing and asking for snapshots (7).

use alloc::boxed::Box;

use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::confchange;
use crate::error::{Error, Malformed, Result, SnapshotRequestError, StorageError};
use crate::outcome::{Ignored, Outcome};
use crate::proto::eraftpb::{ConfState, Message, MessageType, Snapshot, SnapshotMetadata};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};
use crate::tracker::ProgressState;

/// How the transfer of a snapshot ended, as the transport saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// The receiver has all of it.
    Finish,
    /// It did not arrive; send it again.
    Failure,
}

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Sends `to` the newest snapshot in place of entries that are gone, if it is known to be alive
    /// and there is one. Otherwise its next sign of life asks again. Returns whether anything was
    /// sent.
    pub(super) fn send_snapshot(&mut self, to: u64) -> Result<bool> {
        let Some(progress) = self.prs.get(to) else {
            return Ok(false);
        };
        if !progress.recent_active {
            self.trace(|_| Event::SnapshotForInactive { to });
            self.wait_for_life(to);
            return Ok(false);
        }
        let (requested, matched) = (progress.requested_snapshot, progress.matched);
        let snapshot = match self.fresh_snapshot(to, requested, matched) {
            Ok(snapshot) => snapshot,
            // Whatever is wrong with it concerns one follower: the others must not wait for it.
            Err(error) => {
                self.trace(|_| Event::SnapshotUnavailable { to, error });
                self.wait_for_life(to);
                return Ok(false);
            }
        };
        let id = EntryId::of_snapshot(&snapshot);
        let before = if self.is_traced() { self.prs.get(to).cloned() } else { None };
        if let Some(progress) = self.prs.get_mut(to) {
            progress.become_snapshot(id.index);
        }
        if let Some(before) = before {
            let (first, committed) = (self.log.first_index()?, self.log.committed());
            self.trace_progress(to, |to, after| Event::SnapshotSent {
                to,
                id,
                first,
                committed,
                before,
                after,
            });
        }
        let msg_type = MessageType::MsgSnapshot.into();
        let snapshot = Some(Box::new(snapshot));
        self.send(Message { msg_type, to, snapshot, ..Message::default() });
        Ok(true)
    }

    /// A snapshot that brings `to` forward.
    fn fresh_snapshot(
        &self,
        to: u64,
        requested: u64,
        matched: u64,
    ) -> Result<Snapshot, StorageError> {
        let snapshot = match requested {
            0 => self.log.snapshot(),
            index => self.log.snapshot_reaching(index, to),
        }?;
        let index = EntryId::of_snapshot(&snapshot).index;
        let useful = index > 0 && index >= matched;
        if useful { Ok(snapshot) } else { Err(StorageError::SnapshotOutOfDate) }
    }

    /// Nothing more is sent to `to` before it is heard of. (etcd only comes to the same end: it
    /// would try again at every proposal.)
    fn wait_for_life(&mut self, to: u64) {
        let eager = self.settings.eager;
        if let Some(progress) = self.prs.get_mut(to) {
            progress.append_due = false;
            progress.paused |= !eager;
        }
    }

    /// A follower's side of InstallSnapshot.
    pub(crate) fn handle_snapshot(&mut self, message: &mut Message) -> Result<Outcome> {
        let snapshot = *message.snapshot.take().ok_or(Malformed::NoSnapshotMetadata)?;
        let ignored = self.restore(snapshot)?;
        let msg_type = MessageType::MsgAppendResponse.into();
        let index = match ignored {
            None => self.log.last_index(),
            Some(_) => self.log.committed(),
        };
        self.promise(Message { msg_type, to: message.from, index, ..Message::default() });
        Ok(match ignored {
            None => Outcome::Handled,
            Some(reason) => self.ignore(message.from, reason),
        })
    }

    /// Replaces the log and the members by the snapshot's, unless it brings nothing new or does not
    /// concern this peer; then says why.
    fn restore(&mut self, snapshot: Snapshot) -> Result<Option<Ignored>> {
        let metadata = snapshot.metadata.as_ref().ok_or(Malformed::NoSnapshotMetadata)?;
        let id = EntryId::new(metadata.term, metadata.index);
        if id.index > EntryId::LIMIT {
            return Err(Malformed::IndexRange(id.index).into());
        }
        let conf_state = metadata.conf_state.clone().unwrap_or_default();
        let reason = self.reason_to_ignore(id, &conf_state);
        if let Some(reason) = reason {
            let committed = self.log.committed();
            self.trace(|_| Event::SnapshotIgnored { id, committed });
            return Ok(Some(reason));
        }
        // Before anything changes: a state that contradicts itself must leave no trace.
        let next = confchange::restore(&self.prs, &conf_state, id.index)?;
        self.trace(|raft| raft.restoring_event(id));
        if self.log.applying_index() > self.log.applied() {
            self.superseded = self.log.applying_index();
        }
        self.log.restore(snapshot);
        if id.index >= self.requested_snapshot {
            self.requested_snapshot = 0;
        }
        self.switch_to(next)?;
        let (committed, last) = (self.log.committed(), self.log.last_id()?);
        self.trace(|_| Event::SnapshotRestored { id, committed, last });
        Ok(None)
    }

    fn reason_to_ignore(&mut self, id: EntryId, conf_state: &ConfState) -> Option<Ignored> {
        let committed = self.log.committed();
        let requested = self.requested_snapshot > 0 && id.index >= self.requested_snapshot;
        let news = (self.rules.accept_snapshot)(id.index, committed);
        if !(news || requested && id.index >= committed) {
            return Some(Ignored::StaleSnapshot { index: id.index, committed });
        }
        let ConfState { voters, learners, voters_outgoing, .. } = conf_state;
        if ![voters, learners, voters_outgoing].iter().any(|ids| ids.contains(&self.id)) {
            self.trace(|_| Event::SnapshotForeign(conf_state.clone()));
            return Some(Ignored::SnapshotOfOthers(id));
        }
        // One that is older than the requested one is not it: installed, it would cut off entries
        // that this peer has acknowledged.
        let own_term = self.log.known_term(id.index).ok().flatten();
        if !requested && (self.rules.snapshot_in_log)(id, own_term) {
            let last = self.log.last_id().unwrap_or_default();
            self.trace(|_| Event::SnapshotFastForwarded { id, committed, last });
            self.log.commit_to(id.index);
            return Some(Ignored::SnapshotInLog(id));
        }
        None
    }

    fn restoring_event(&self, id: EntryId) -> Event {
        Event::SnapshotRestoring {
            id,
            committed: self.log.committed(),
            applied: self.log.applied(),
            applying: self.log.applying_index(),
            offset: self.log.stabled() + 1,
            offset_in_progress: self.log.offered(),
            unstable: self.log.unstable_entries().len(),
        }
    }

    /// Asks the leader for a snapshot in place of entries, because this peer's state machine is
    /// damaged although its log is not (raft-rs `request_snapshot`). Until it comes, appends and
    /// heartbeats are answered with the request; but only for an election time-out, since without
    /// this peer's acknowledgements nothing may ever be committed that the snapshot could contain.
    pub(crate) fn request_snapshot(&mut self) -> Result<()> {
        let (last, term) = (self.log.last_id()?, self.term);
        let error = if self.role == StateRole::Leader {
            SnapshotRequestError::Leader
        } else if self.leader == NONE {
            SnapshotRequestError::NoLeader
        } else if self.requested_snapshot > 0 || self.log.pending_snapshot().is_some() {
            SnapshotRequestError::Pending
        } else if last.term != term {
            // A snapshot must cover everything that this peer has acknowledged.
            SnapshotRequestError::OldTerm { last_term: last.term, term }
        } else {
            self.requested_snapshot = last.index;
            self.requested_at = self.ticks;
            return self.send_snapshot_request().map(drop);
        };
        Err(Error::SnapshotRequestDropped(error))
    }

    /// Nobody may be able to make what was asked for: go on without.
    #[cold]
    pub(super) fn expire_snapshot_request(&mut self) {
        if self.ticks - self.requested_at >= u64::from(self.settings.election_timeout) {
            self.requested_snapshot = 0;
        }
    }

    pub(super) fn send_snapshot_request(&mut self) -> Result<Outcome> {
        let last = self.log.last_id()?;
        self.promise(Message {
            msg_type: MessageType::MsgAppendResponse.into(),
            to: self.leader,
            index: self.log.committed(),
            reject: true,
            reject_hint: last.index,
            log_term: last.term,
            request_snapshot: self.requested_snapshot,
            ..Message::default()
        });
        Ok(Outcome::Handled)
    }

    /// A follower asks for a snapshot that reaches what it holds. Until it has that, it acknowledges
    /// nothing; but if earlier acknowledgements were lost, what it holds may not be committed, and
    /// no snapshot would ever reach it. So its request counts as one: it names its last entry.
    pub(super) fn handle_snapshot_request(&mut self, message: &Message) -> Result<Outcome> {
        let (from, last) = (message.from, EntryId::new(message.log_term, message.reject_hint));
        if last.term > 0 && self.log.holds(last) {
            self.acknowledged(from, last.index)?;
        }
        let Some(progress) = self.prs.get_mut(from) else {
            return Ok(self.ignore(from, Ignored::NotMember(from)));
        };
        let on_its_way =
            (progress.state == ProgressState::Snapshot).then_some(progress.pending_snapshot);
        progress.request_snapshot(message.request_snapshot);
        self.owe_append(from);
        self.flush()?;
        let ignored = on_its_way.map(|index| Ignored::SnapshotOnItsWay { to: from, index });
        Ok(ignored.map_or(Outcome::Handled, |reason| self.ignore(from, reason)))
    }

    /// The transport could not reach `id`: appends in flight are probably lost.
    pub(crate) fn report_unreachable(&mut self, id: u64) -> Outcome {
        match self.leader_view_of(id, MessageType::MsgUnreachable) {
            Ok(progress) => progress.on_unreachable(),
            Err(reason) => return self.ignore(id, reason),
        }
        self.trace_progress(id, |to, progress| Event::Unreachable { to, progress });
        Outcome::Handled
    }

    /// The transfer of a snapshot to `id` has ended.
    pub(crate) fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) -> Outcome {
        let arrived = status == SnapshotStatus::Finish;
        match self.leader_view_of(id, MessageType::MsgSnapStatus) {
            Ok(progress) if progress.state == ProgressState::Snapshot => {
                progress.on_snapshot_status(arrived);
            }
            Ok(_) => return self.ignore(id, Ignored::NoSnapshotPending(id)),
            Err(reason) => return self.ignore(id, reason),
        }
        self.trace_progress(id, |to, mut progress| {
            progress.paused = false;
            Event::SnapshotReported { to, arrived, progress }
        });
        Outcome::Handled
    }

    /// How another member stands, as this leader sees it.
    fn leader_view_of(
        &mut self,
        id: u64,
        kind: MessageType,
    ) -> Result<&mut crate::Progress, Ignored> {
        if self.role != StateRole::Leader {
            return Err(Ignored::NotForRole { kind, role: self.role });
        }
        let other = self.prs.get_mut(id).filter(|_| id != self.id);
        other.ok_or(Ignored::NotMember(id))
    }
}

/// A snapshot says what it contains, and was made of entries that its sender's term can know.
pub(crate) fn check_snapshot(message: &Message) -> Result<(), Malformed> {
    let metadata = message.snapshot.as_deref().and_then(|snapshot| snapshot.metadata.as_ref());
    let Some(&SnapshotMetadata { index, term, .. }) = metadata else {
        return Err(Malformed::NoSnapshotMetadata);
    };
    if index > EntryId::LIMIT {
        return Err(Malformed::IndexRange(index));
    }
    let (min, max) = (u64::from(index > 0), message.term);
    if term < min || term > max {
        return Err(Malformed::EntryTerm { index, term, min, max });
    }
    Ok(())
}
