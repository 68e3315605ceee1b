//! Proposals, appends, heartbeats and the commit index (5.3, 5.4.2).

use alloc::vec::Vec;

use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::error::{DropReason, Error, Malformed, Result};
use crate::proto::eraftpb::{Entry, EntryType, HardState, Message, MessageType};
use crate::rules::CommitQuestion;
use crate::storage::Storage;

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

impl<S: Storage> Raft<S> {
    /// Appends entries on the leader, or forwards them to it.
    pub(crate) fn propose(&mut self, entries: Vec<Entry>) -> Result<Proposal> {
        let reason = match self.role {
            _ if entries.is_empty() => DropReason::Empty,
            StateRole::Leader => return self.propose_as_leader(entries),
            StateRole::Candidate => DropReason::NoLeader,
            StateRole::Follower if self.leader == NONE => DropReason::NoLeader,
            StateRole::Follower if !self.forward_proposals => DropReason::ForwardingDisabled,
            StateRole::Follower => return Ok(self.forward_proposal(entries)),
        };
        Err(Error::ProposalDropped(reason))
    }

    fn forward_proposal(&mut self, entries: Vec<Entry>) -> Proposal {
        let leader = self.leader;
        let msg_type = MessageType::MsgPropose.into();
        self.send(Message { msg_type, to: leader, entries, ..Message::default() });
        Proposal::Forwarded { leader }
    }

    fn propose_as_leader(&mut self, mut entries: Vec<Entry>) -> Result<Proposal> {
        if !self.prs.contains(self.id) {
            return Err(Error::ProposalDropped(DropReason::NotMember));
        }
        if let Some(transferee) = self.transferee {
            return Err(Error::ProposalDropped(DropReason::Transferring(transferee)));
        }
        for entry in &entries {
            let number = entry.entry_type;
            EntryType::try_from(number).map_err(|_| Malformed::UnknownEntryType(number))?;
        }
        self.admit_conf_changes(&mut entries);
        self.append_own(entries);
        Ok(Proposal::Appended { term: self.term, index: self.log.last_index() })
    }

    /// A membership change that arrives while another is pending becomes an empty entry, as in
    /// TinyKV and etcd: its proposer may be another peer, and the other entries of the message
    /// must keep their places.
    fn admit_conf_changes(&mut self, entries: &mut [Entry]) {
        for (entry, index) in entries.iter_mut().zip(self.log.last_index() + 1..) {
            if entry.entry_type == i32::from(EntryType::EntryNormal) {
                continue;
            }
            if self.may_change_membership() {
                self.pending_conf_index = index;
            } else {
                *entry = Entry::default();
            }
        }
    }

    /// Appends to the leader's own log, giving each entry its term and index.
    pub(super) fn append_own(&mut self, mut entries: Vec<Entry>) {
        for (entry, index) in entries.iter_mut().zip(self.log.last_index() + 1..) {
            (entry.term, entry.index) = (self.term, index);
        }
        self.log.append(entries);
        self.acknowledge_own_log();
        self.maybe_commit();
    }

    /// Commits what a quorum holds, if the rule allows it. Followers learn of it with the next
    /// append.
    pub(super) fn maybe_commit(&mut self) -> bool {
        let before = self.log.committed();
        let quorum_index = self.prs.quorum_index(&self.rules);
        let question = CommitQuestion {
            committed: before,
            quorum_index,
            quorum_term: self.log.term(quorum_index).ok(),
            term: self.term,
        };
        self.log.commit_to((self.rules.leader_commit)(&question));
        self.log.committed() > before
    }

    /// A follower's side of AppendEntries.
    pub(crate) fn handle_append(&mut self, message: Message) -> Result<()> {
        check_entries(&message)?;
        let mut answer = Message {
            msg_type: MessageType::MsgAppendResponse.into(),
            to: message.from,
            ..Message::default()
        };
        let committed = self.log.committed();
        if message.index < committed {
            // Committed entries agree everywhere: an old append can only repeat them.
            answer.index = committed;
            self.send(answer);
            return Ok(());
        }
        let previous = EntryId::new(message.log_term, message.index);
        let accepted =
            self.log.maybe_append(previous, message.commit, message.entries, &self.rules)?;
        if let Some(last) = accepted {
            answer.index = last;
        } else {
            // Skip at once every entry whose term the leader's log cannot have there.
            let hint = self.log.find_conflict_by_term(previous.index, previous.term);
            answer.index = previous.index;
            answer.reject = true;
            answer.reject_hint = hint.index;
            answer.log_term = hint.term;
        }
        self.send(answer);
        Ok(())
    }

    pub(super) fn handle_append_response(&mut self, message: &Message) -> Result<()> {
        let last = self.log.last_index();
        if !message.reject && message.index > last {
            return Err(Malformed::AckBeyondLog { index: message.index, last }.into());
        }
        if message.reject {
            let hint = self.rejection_hint(message);
            if let Some(progress) = self.prs.get_mut(message.from) {
                progress.reject(message.index, hint, &self.rules);
            }
            return Ok(());
        }
        let first = self.log.first_index()?;
        let Some(progress) = self.prs.get_mut(message.from) else {
            return Ok(());
        };
        let news = progress.acknowledge(message.index);
        progress.on_acknowledged(message.index, news, first);
        if news {
            self.maybe_commit();
            self.continue_transfer(message.from);
        }
        Ok(())
    }

    /// Where the follower's log may agree at the latest. If it says which term it has at its hint,
    /// the leader skips its own entries of later terms, so that each round settles a whole
    /// term.
    fn rejection_hint(&self, message: &Message) -> u64 {
        if message.log_term == 0 {
            message.reject_hint
        } else {
            self.log.find_conflict_by_term(message.reject_hint, message.log_term).index
        }
    }

    pub(super) fn broadcast_heartbeat(&mut self) {
        let committed = self.log.committed();
        for (id, progress) in self.prs.iter() {
            if id != self.id {
                self.msgs.push(Message {
                    msg_type: MessageType::MsgHeartbeat.into(),
                    to: id,
                    from: self.id,
                    term: self.term,
                    commit: (self.rules.heartbeat_commit)(committed, progress.matched),
                    ..Message::default()
                });
            }
        }
    }

    /// A follower's side of a heartbeat. The commit index is cut to the log: a heartbeat proves
    /// nothing about it.
    pub(crate) fn handle_heartbeat(&mut self, message: Message) {
        self.log.commit_to(message.commit);
        self.send(Message {
            msg_type: MessageType::MsgHeartbeatResponse.into(),
            to: message.from,
            commit: self.log.committed(),
            context: message.context,
            ..Message::default()
        });
    }

    /// The follower is alive: if it lags, or the leader does not know where it stands, an append is
    /// owed. It may be empty, to find out whether earlier ones were lost.
    pub(super) fn handle_heartbeat_response(&mut self, from: u64) {
        let last = self.log.last_index();
        if let Some(progress) = self.prs.get_mut(from) {
            progress.on_alive(last);
        }
    }

    /// Something that was handed out in a `Ready` is on disk: count it if it is still true.
    pub(crate) fn on_persisted(&mut self, last: Option<EntryId>, hard_state: Option<HardState>) {
        if let Some(id) = last {
            self.log.stable_to(id);
        }
        match self.role {
            StateRole::Leader => {
                self.acknowledge_own_log();
                self.maybe_commit();
            }
            StateRole::Candidate => {
                let own = |state: HardState| state.term == self.term && state.vote == self.id;
                if hard_state.is_some_and(own) {
                    self.own_vote_persisted();
                }
            }
            StateRole::Follower => {}
        }
    }
}

/// Entries follow `message.index` without a gap, and their terms run from `log_term` up to the
/// message's.
fn check_entries(message: &Message) -> Result<(), Malformed> {
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
