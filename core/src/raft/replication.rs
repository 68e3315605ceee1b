//! Proposals, appends, heartbeats and the commit index (5.3, 5.4.2).

use alloc::vec::Vec;

use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::confchange::{conf_change_of, leaves_joint};
use crate::error::{ConfChangeError, DropReason, Error, Malformed, Result};
use crate::log::{Appended, Rewrite};
use crate::outcome::{Ignored, Outcome, Rejected};
use crate::proto::eraftpb::{Entry, EntryType, Message, MessageType};
use crate::rules::CommitQuestion;
use crate::storage::Storage;
use crate::trace::{Event, Tracer};
use crate::tracker::ProgressState;

/// Where a proposal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Appended to this leader's log. It is committed if and only if the entry at `index` still has
    /// `term` when that index is applied.
    Appended {
        /// Term of the last entry proposed.
        term: u64,
        /// Index of the last entry proposed.
        index: u64,
    },
    /// Handed on to the leader; whether it arrives is not known here.
    Forwarded {
        /// The leader it was sent to.
        leader: u64,
    },
}

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Appends entries on the leader, or forwards them to it.
    pub(crate) fn propose(&mut self, entries: Vec<Entry>) -> Result<Proposal> {
        if let Some(reason) = self.proposal_obstacle(entries.is_empty()) {
            return Err(self.drop_proposal(reason));
        }
        if self.role != StateRole::Leader {
            return Ok(self.forward_proposal(entries));
        }
        self.propose_as_leader(entries).map(|(proposal, _)| proposal)
    }

    /// [`propose`](Self::propose) of one ordinary entry, which needs no vector of its own.
    pub(crate) fn propose_one(&mut self, entry: Entry) -> Result<Proposal> {
        if let Some(reason) = self.proposal_obstacle(false) {
            return Err(self.drop_proposal(reason));
        }
        if self.role != StateRole::Leader {
            return Ok(self.forward_proposal([entry].to_vec()));
        }
        self.admit_size(entry.data.len() as u64)?;
        self.append_own([entry]);
        self.proposal_appended()
    }

    fn proposal_obstacle(&self, empty: bool) -> Option<DropReason> {
        match self.role {
            _ if empty => Some(DropReason::Empty),
            StateRole::Leader if !self.prs.contains(self.id) => Some(DropReason::NotMember),
            StateRole::Leader => self.transferee.map(DropReason::Transferring),
            StateRole::PreCandidate | StateRole::Candidate => Some(DropReason::NoLeader),
            StateRole::Follower if self.leader == NONE => Some(DropReason::NoLeader),
            StateRole::Follower => (!self.settings.forward_proposals)
                .then_some(DropReason::ForwardingDisabled(self.leader)),
        }
    }

    fn drop_proposal(&mut self, reason: DropReason) -> Error {
        self.trace(|raft| Event::ProposalDropped { reason, term: raft.term });
        Error::ProposalDropped(reason)
    }

    fn forward_proposal(&mut self, entries: Vec<Entry>) -> Proposal {
        let leader = self.leader;
        let msg_type = MessageType::MsgPropose.into();
        self.send_as_it_is(Message { msg_type, to: leader, entries, ..Message::default() });
        Proposal::Forwarded { leader }
    }

    /// A proposal from another peer.
    pub(super) fn handle_propose(&mut self, message: &mut Message) -> Result<Outcome> {
        let entries = core::mem::take(&mut message.entries);
        if self.role != StateRole::Leader {
            return self.propose(entries).map(|_| Outcome::Handled);
        }
        if let Some(reason) = self.proposal_obstacle(entries.is_empty()) {
            return Err(self.drop_proposal(reason));
        }
        let (_, refused) = self.propose_as_leader(entries)?;
        let refused = refused.map(Ignored::ConfChange);
        Ok(refused.map_or(Outcome::Handled, |reason| self.ignore(message.from, reason)))
    }

    /// Returns also why a membership change among the entries was refused.
    fn propose_as_leader(
        &mut self,
        mut entries: Vec<Entry>,
    ) -> Result<(Proposal, Option<ConfChangeError>)> {
        let (pending, refused) = self.admit_conf_changes(&mut entries)?;
        self.admit_size(entries.iter().map(|entry| entry.data.len() as u64).sum())?;
        self.pending_conf_index = pending;
        self.append_own(entries);
        Ok((self.proposal_appended()?, refused))
    }

    fn proposal_appended(&mut self) -> Result<Proposal> {
        let appended = Proposal::Appended { term: self.term, index: self.log.last_index() };
        self.owe_appends();
        self.flush()?;
        Ok(appended)
    }

    /// A membership change that does not fit becomes an empty entry, as in TinyKV and etcd: its
    /// proposer may be another peer, and the other entries of the message must keep their places.
    /// [`RawNode::propose_conf_change`](crate::RawNode::propose_conf_change) asks first, so a
    /// leader's own application gets an error.
    /// Returns where the last change stands then, and why one was refused.
    fn admit_conf_changes(
        &mut self,
        entries: &mut [Entry],
    ) -> Result<(u64, Option<ConfChangeError>)> {
        let (mut pending, mut refused) = (self.pending_conf_index, None);
        for (entry, index) in entries.iter_mut().zip(self.log.last_index() + 1..) {
            let Some(change) = conf_change_of(entry)? else {
                continue;
            };
            match self.conf_change_obstacle(leaves_joint_or_empty(&change), pending) {
                Some(reason) if self.settings.validate_conf_changes => {
                    let v1 = entry.entry_type == i32::from(EntryType::EntryConfChange);
                    self.trace(|raft| {
                        let configuration = raft.prs.configuration().clone();
                        Event::ConfChangeRefused { change, v1, configuration, reason }
                    });
                    *entry = Entry::default();
                    refused = Some(reason);
                }
                _ => pending = index,
            }
        }
        Ok((pending, refused))
    }

    /// What stands against proposing a membership change now, if `pending` is where the last one
    /// may be.
    pub(crate) fn conf_change_obstacle(
        &self,
        leaves_joint: bool,
        pending: u64,
    ) -> Option<ConfChangeError> {
        let (applied, joint) = (self.log.applied(), self.prs.configuration().voters.is_joint());
        if !(self.rules.may_change_membership)(pending, applied) {
            Some(ConfChangeError::Pending { index: pending, applied })
        } else if joint && !leaves_joint {
            Some(ConfChangeError::LeaveJointFirst)
        } else {
            (!joint && leaves_joint).then_some(ConfChangeError::NothingToLeave)
        }
    }

    /// Counts a proposal's payload, or drops it if too much is uncommitted already. One proposal of
    /// any size is taken when nothing is, and empty ones always are: a leader's first entry and the
    /// way out of a joint configuration must not depend on the load.
    fn admit_size(&mut self, proposed: u64) -> Result<()> {
        let (max, uncommitted) = (self.settings.max_uncommitted_size, self.uncommitted_size);
        if max > 0 && uncommitted > 0 && proposed > 0 && uncommitted + proposed > max {
            let reason = DropReason::UncommittedSize { proposed, uncommitted, max };
            return Err(self.drop_proposal(reason));
        }
        self.uncommitted_size = uncommitted.saturating_add(proposed);
        Ok(())
    }

    /// Appends to the leader's own log, giving each entry its term and index.
    pub(super) fn append_own(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut index = self.log.last_index();
        for mut entry in entries {
            index += 1;
            (entry.term, entry.index) = (self.term, index);
            self.log.push(entry);
        }
        self.acknowledge_own_append(index);
    }

    /// Commits what a quorum holds, if the rule allows it, and lets go what waited for that.
    /// Followers learn of it with the next append.
    pub(super) fn maybe_commit(&mut self) -> bool {
        let from = self.log.committed();
        let quorum_index = self.prs.quorum_of(self.id, |_, progress| progress.matched, &self.rules);
        if quorum_index <= from {
            return false;
        }
        let question = CommitQuestion {
            committed: from,
            quorum_index,
            quorum_term: self.committable_term(quorum_index),
            term: self.term,
        };
        self.log.commit_to((self.rules.leader_commit)(&question));
        let to = self.log.committed();
        if to == from {
            return false;
        }
        self.trace(|_| Event::Committed { from, to });
        self.release_postponed_reads();
        if self.settings.broadcast_commit {
            self.owe_appends();
        }
        true
    }

    /// The term at `index`. If the storage cannot be read now, the decision that needed it is made
    /// with the next heartbeat: nothing else need happen again that would lead to it.
    pub(super) fn committable_term(&mut self, index: u64) -> Option<u64> {
        let term = self.log.known_term(index);
        self.commit_undecided |= term.is_err();
        term.ok().flatten()
    }

    /// A follower's side of AppendEntries.
    pub(crate) fn handle_append(&mut self, message: &mut Message) -> Result<Outcome> {
        if self.requested_snapshot > 0 {
            let requested = self.requested_snapshot;
            self.send_snapshot_request()?;
            return Ok(self.ignore(message.from, Ignored::AwaitingSnapshot { requested }));
        }
        let (from, previous) = (message.from, EntryId::new(message.log_term, message.index));
        let committed = self.log.committed();
        if previous.index < committed {
            // Committed entries agree everywhere: an old append can only repeat them.
            self.acknowledge_append(from, committed);
            return Ok(self.ignore(from, Ignored::StaleAppend { previous, committed }));
        }
        let entries = core::mem::take(&mut message.entries);
        let appended = self.log.maybe_append(previous, message.commit, entries, &self.rules)?;
        let Some(appended) = appended else {
            return self.reject_append(from, previous);
        };
        self.trace_append(committed, &appended);
        let index = (self.rules.append_acknowledged)(appended.last, self.log.last_index());
        self.acknowledge_append(from, index);
        Ok(Outcome::Handled)
    }

    fn acknowledge_append(&mut self, to: u64, index: u64) {
        let commit = if self.settings.share_commit { self.log.committed() } else { 0 };
        let msg_type = MessageType::MsgAppendResponse.into();
        self.promise(Message { msg_type, to, index, commit, ..Message::default() });
    }

    fn trace_append(&mut self, from: u64, appended: &Appended) {
        if !self.is_traced() {
            return;
        }
        if let Some(crate::log::Conflict { index, existing, incoming }) = appended.conflict {
            self.trace(|_| Event::Conflict { index, existing, incoming });
        }
        match appended.rewrite {
            Rewrite::None => {}
            Rewrite::Replaced(from) => self.trace(|_| Event::UnstableReplaced { from }),
            Rewrite::Truncated(before) => self.trace(|_| Event::UnstableTruncated { before }),
        }
        let to = self.log.committed();
        if to > from {
            self.trace(|_| Event::Committed { from, to });
        }
    }

    /// Refuses an append, with the last entry at which the logs may agree: every later one has a
    /// term that the leader's log cannot have there.
    fn reject_append(&mut self, from: u64, previous: EntryId) -> Result<Outcome> {
        let own_term = self.log.known_term(previous.index)?;
        self.trace(|_| Event::AppendRefused { from, previous, own_term: own_term.unwrap_or(0) });
        let hint = self.log.find_conflict_by_term(previous.index, previous.term);
        self.promise(Message {
            msg_type: MessageType::MsgAppendResponse.into(),
            to: from,
            index: previous.index,
            reject: true,
            reject_hint: hint.index,
            log_term: hint.term,
            ..Message::default()
        });
        Ok(self.reject(Rejected::Append { previous, own_term }))
    }

    pub(super) fn handle_append_response(&mut self, message: &Message) -> Result<Outcome> {
        let (from, last) = (message.from, self.log.last_index());
        if !(self.rules.is_acknowledgement)(message.reject) {
            return self.handle_rejection(message);
        }
        if message.index > last {
            return Err(Malformed::AckBeyondLog { index: message.index, last }.into());
        }
        let outcome = self.acknowledged(from, message.index)?;
        self.learn_commit_of_follower(message)?;
        Ok(outcome)
    }

    /// A follower that knows more of what is committed tells a new leader. It matters where the
    /// leader does not know of a membership change yet: it may count a member that has left, knowing
    /// that the others know, and would wait for it for ever.
    fn learn_commit_of_follower(&mut self, message: &Message) -> Result<()> {
        let Some(progress) = self.prs.get(message.from).filter(|_| self.settings.share_commit)
        else {
            return Ok(());
        };
        let known = (self.rules.heartbeat_commit)(message.commit, progress.matched);
        let from = self.log.committed();
        if known <= from {
            return Ok(());
        }
        self.log.commit_to(known);
        let to = self.log.committed();
        self.trace(|_| Event::Committed { from, to });
        if self.settings.broadcast_commit {
            self.owe_appends();
        }
        self.flush()
    }

    fn handle_rejection(&mut self, message: &Message) -> Result<Outcome> {
        let (from, rejected) = (message.from, message.index);
        let Some(progress) = self.prs.get_mut(from) else {
            return Ok(self.ignore(from, Ignored::NotMember(from)));
        };
        progress.recent_active = true;
        if message.request_snapshot > 0 {
            return self.handle_snapshot_request(message);
        }
        let hint = EntryId::new(message.log_term, message.reject_hint);
        self.trace(|_| Event::AppendRejected { from, index: rejected, hint });
        let probe = self.rejection_hint(hint);
        let Some(progress) = self.prs.get_mut(from) else {
            return Ok(self.ignore(from, Ignored::NotMember(from)));
        };
        if !progress.reject(rejected, probe, &self.rules) {
            let (matched, next) = (progress.matched, progress.next);
            return Ok(self.ignore(from, Ignored::StaleRejection { rejected, matched, next }));
        }
        self.trace_progress(from, |to, progress| Event::ProgressDecreased { to, progress });
        if let Some(progress) = self.prs.get_mut(from)
            && progress.state == ProgressState::Replicate
        {
            progress.become_probe();
        }
        self.owe_append(from);
        self.flush()?;
        Ok(Outcome::Handled)
    }

    /// Where the follower's log may agree at the latest. If it says which term it has at its hint,
    /// the leader skips its own entries of later terms, so that each round settles a whole
    /// term.
    fn rejection_hint(&self, hint: EntryId) -> u64 {
        if hint.term == 0 {
            hint.index
        } else {
            self.log.find_conflict_by_term(hint.index, hint.term).index
        }
    }

    /// `from` holds the log up to `index`; it may be this leader itself, once that is on disk.
    pub(super) fn acknowledged(&mut self, from: u64, index: u64) -> Result<Outcome> {
        let Some(progress) = self.prs.get_mut(from) else {
            return Ok(self.ignore(from, Ignored::NotMember(from)));
        };
        progress.recent_active = true;
        progress.requested_snapshot = 0;
        // An answer that brings no news may still end a probe, or confirm a snapshot that was asked
        // for although the log was complete.
        let settles = match progress.state {
            ProgressState::Probe => progress.matched == index,
            ProgressState::Snapshot => index >= progress.pending_snapshot,
            ProgressState::Replicate => false,
        };
        if !progress.acknowledge(index) && !settles {
            let matched = progress.matched;
            return Ok(self.ignore(from, Ignored::StaleAcknowledgement { index, matched }));
        }
        if progress.state == ProgressState::Snapshot {
            self.acknowledged_in_snapshot(from);
        } else {
            progress.on_acknowledged(index);
        }
        self.trace(|_| Event::Acknowledged { from, index });
        // What is committed already commits nothing.
        if index > self.log.committed() && self.maybe_commit() {
            self.flush()?;
        } else if from != self.id {
            self.send_commit(from)?;
        }
        if from != self.id {
            self.fill_window(from)?;
            self.continue_transfer(from);
        }
        Ok(Outcome::Handled)
    }

    /// A follower that was sent a snapshot acknowledged something. Any snapshot will do that lets
    /// replication go on, whoever sent it. If the log cannot be read now, the next append will find
    /// out whether it does.
    fn acknowledged_in_snapshot(&mut self, from: u64) {
        let first = self.log.first_index().unwrap_or(0);
        if self.prs.get(from).is_some_and(|progress| progress.matched + 1 >= first) {
            self.trace_progress(from, |to, progress| Event::SnapshotNoLongerNeeded {
                to,
                progress,
            });
            if let Some(progress) = self.prs.get_mut(from) {
                progress.become_probe();
                progress.become_replicate();
            }
        }
    }

    /// The follower may not know the latest commit index. A heartbeat would tell it; this is
    /// sooner.
    fn send_commit(&mut self, to: u64) -> Result<()> {
        if !self.settings.eager || !self.settings.broadcast_commit {
            return Ok(());
        }
        let committed = self.log.committed();
        if self.prs.get(to).is_some_and(|progress| progress.can_bump_commit(committed)) {
            self.send_append(to, true)?;
        }
        Ok(())
    }

    /// Tells the tracer how a follower stands.
    pub(super) fn trace_progress(
        &mut self,
        id: u64,
        event: impl FnOnce(u64, crate::Progress) -> Event,
    ) {
        if self.is_traced()
            && let Some(progress) = self.prs.get(id).cloned()
        {
            self.trace(|_| event(id, progress));
        }
    }

    /// The heartbeat timer fired.
    pub(super) fn beat(&mut self) {
        if core::mem::take(&mut self.commit_undecided) && !self.maybe_commit() {
            self.release_postponed_reads();
        }
        self.begin_lease_beat();
        if self.settings.eager {
            self.broadcast_heartbeat();
        } else {
            // However long nobody asks for them, there is one for each peer, if there is any.
            self.heartbeat_due = self.prs.iter().any(|(id, _)| id != self.id);
        }
    }

    pub(super) fn broadcast_heartbeat(&mut self) {
        let (committed, context) = (self.log.committed(), self.reads.context());
        let eager = self.settings.eager;
        for (to, progress) in self.prs.iter_mut() {
            if to == self.id {
                continue;
            }
            let commit = (self.rules.heartbeat_commit)(committed, progress.matched);
            self.msgs.push(Message {
                msg_type: MessageType::MsgHeartbeat.into(),
                to,
                from: self.id,
                term: self.term,
                commit,
                context: context.clone(),
                ..Message::default()
            });
            // etcd lets a heartbeat take back what a later append told.
            progress.sent_commit = if eager { commit } else { progress.sent_commit.max(commit) };
        }
    }

    /// A follower's side of a heartbeat. A leader tells only of a commit index that this peer has
    /// acknowledged; beyond the log, nothing is known about what it holds.
    pub(crate) fn handle_heartbeat(&mut self, message: &mut Message) -> Result<Outcome> {
        let (leader, commit) = (message.from, message.commit);
        let (from, last) = (self.log.committed(), self.log.last_index());
        if commit <= last {
            self.log.commit_to(commit);
        }
        let committed = self.log.committed();
        if committed > from {
            self.trace(|_| Event::Committed { from, to: committed });
        }
        if self.requested_snapshot > 0 {
            self.send_snapshot_request()?;
        } else {
            self.answer_heartbeat(leader, core::mem::take(&mut message.context));
        }
        let lost = commit > last;
        Ok(if lost {
            self.ignore(leader, Ignored::CommitBeyondLog { commit, last })
        } else {
            Outcome::Handled
        })
    }

    fn answer_heartbeat(&mut self, to: u64, context: bytes::Bytes) {
        let commit = if self.settings.share_commit { self.log.committed() } else { 0 };
        let msg_type = MessageType::MsgHeartbeatResponse.into();
        let answer = Message { msg_type, to, commit, context, ..Message::default() };
        self.promise_to_wait();
        if self.must_mark_term() {
            // A lease may rest on this answer, and after a crash only the disk could tell.
            self.promise(answer);
        } else {
            self.send(answer);
        }
    }

    /// The follower is alive: if it lags, or the leader does not know where it stands, an append is
    /// owed. It may be empty, to find out whether earlier ones were lost.
    pub(super) fn handle_heartbeat_response(&mut self, message: &Message) -> Result<Outcome> {
        let (from, last) = (message.from, self.log.last_index());
        let Some(progress) = self.prs.get_mut(from) else {
            return Ok(self.ignore(from, Ignored::NotMember(from)));
        };
        progress.recent_active = true;
        progress.paused &= !(self.rules.pause_lifted)(progress.inflights.is_full());
        // Who waits for a snapshot answers everything with its request.
        progress.requested_snapshot = 0;
        let unsure = progress.state == ProgressState::Probe;
        progress.append_due |= unsure || progress.matched < last;
        self.flush()?;
        self.learn_commit_of_follower(message)?;
        Ok(self.count_read_acknowledgement(message))
    }
}

/// Whether the change says nothing but to leave a joint configuration. One that names a transition
/// and no peers is taken for the same at proposal, as in etcd.
fn leaves_joint_or_empty(change: &crate::eraftpb::ConfChangeV2) -> bool {
    leaves_joint(change) || change.changes.is_empty()
}

/// Entries follow `message.index` without a gap, and their terms run from `log_term` up to the
/// message's.
pub(super) fn check_entries(message: &Message) -> Result<(), Malformed> {
    if message.index.checked_add(message.entries.len() as u64).is_none_or(|last| last == u64::MAX) {
        return Err(Malformed::IndexRange(message.index));
    }
    let mut previous = EntryId::new(message.log_term, message.index);
    for entry in &message.entries {
        let (min, max) = (previous.term, message.term);
        let (index, term, expected) = (entry.index, entry.term, previous.index + 1);
        if index != expected {
            return Err(Malformed::EntryOrder { found: index, expected });
        }
        if term < min || term > max {
            return Err(Malformed::EntryTerm { index, term, min, max });
        }
        previous = EntryId::new(term, index);
    }
    Ok(())
}
