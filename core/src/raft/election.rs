//! Campaigns and votes (5.2, 5.4.1).

use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::error::Result;
use crate::proto::eraftpb::{EntryType, Message, MessageType};
use crate::rules::{Tally, VoteRequest, VoteVerdict};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// The election timer fired, or the application asks for a campaign. Leaders and non-members do
    /// not campaign, nor does a peer with a committed but unapplied membership change: it might
    /// count the wrong majority.
    pub(super) fn handle_hup(&mut self) -> Result<()> {
        let terms_left = self.term < EntryId::LIMIT;
        if self.role == StateRole::Leader || !self.is_promotable() || !terms_left {
            return Ok(());
        }
        if self.has_unapplied_conf_change()? {
            return Ok(());
        }
        self.campaign()
    }

    fn has_unapplied_conf_change(&self) -> Result<bool> {
        let (low, high) = (self.log.applied() + 1, self.log.committed() + 1);
        if low >= high {
            return Ok(false);
        }
        let entries = self.log.slice(low, high, u64::MAX)?;
        Ok(entries.iter().any(|entry| entry.entry_type != i32::from(EntryType::EntryNormal)))
    }

    fn campaign(&mut self) -> Result<()> {
        let last = self.log.last_id()?;
        self.become_candidate();
        for position in 0..self.prs.len() {
            let Some(id) = self.prs.ids().nth(position) else {
                break;
            };
            if id != self.id {
                self.send(Message {
                    msg_type: MessageType::MsgRequestVote.into(),
                    to: id,
                    log_term: last.term,
                    index: last.index,
                    ..Message::default()
                });
            }
        }
        self.conclude_election();
        Ok(())
    }

    /// Answers a vote request of the current term. The answer leaves with the
    /// [`Ready`](crate::Ready) that persists the vote.
    pub(super) fn handle_request_vote(&mut self, message: &Message) -> Result<()> {
        let verdict = (self.rules.grant_vote)(&VoteRequest {
            candidate: message.from,
            candidate_last: EntryId::new(message.log_term, message.index),
            voted_for: self.vote,
            leader: self.leader,
            own_last: self.log.last_id()?,
        });
        let granted = verdict == VoteVerdict::Grant;
        if granted {
            self.vote = message.from;
            self.election_elapsed = 0;
        }
        self.send(Message {
            msg_type: MessageType::MsgRequestVoteResponse.into(),
            to: message.from,
            reject: !granted,
            ..Message::default()
        });
        Ok(())
    }

    pub(super) fn handle_vote_response(&mut self, from: u64, granted: bool) -> Result<()> {
        self.prs.record_vote(from, granted);
        self.conclude_election();
        Ok(())
    }

    /// The peer's own vote for itself is on disk.
    pub(super) fn own_vote_persisted(&mut self) {
        self.prs.record_vote(self.id, true);
        self.conclude_election();
    }

    fn conclude_election(&mut self) {
        if !self.prs.contains(self.id) {
            return;
        }
        match self.prs.tally(&self.rules) {
            Tally::Won => self.become_leader(),
            Tally::Lost => self.become_follower(self.term, NONE),
            Tally::Pending => {}
        }
    }
}
