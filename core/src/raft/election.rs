//! Campaigns and votes (5.2, 5.4.1, thesis 9.6).

use super::transfer::CAMPAIGN_TRANSFER;
use super::{NONE, Raft, Receipt, StateRole};
use crate::EntryId;
use crate::config::{ReadOnly, SelfAck};
use crate::error::Result;
use crate::outcome::{Ballot, Ignored, Outcome, Rejected};
use crate::proto::eraftpb::{EntryType, Message, MessageType};
use crate::rules::{CampaignQuestion, Tally, VoteRequest, VoteVerdict};
use crate::storage::Storage;
use crate::trace::{Event, Tracer, VoteFacts};

/// Why a peer campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Campaign {
    /// To find out whether it would win.
    PreElection,
    /// To win.
    Election,
    /// Because its leader asked it to.
    Transfer,
}

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// The election timer fired, or the application asks for a campaign.
    pub(super) fn handle_hup(&mut self) -> Result<Outcome> {
        let pre_vote = self.settings.pre_vote;
        self.hup(if pre_vote { Campaign::PreElection } else { Campaign::Election })
    }

    /// The application asks for a campaign. Where reads rely on leases its own vote is part of the
    /// promise that it gave with the last answer to its leader.
    pub(crate) fn campaign_now(&mut self) -> Result<Outcome> {
        let bound =
            self.settings.read_only == ReadOnly::LeaseBased && self.role != StateRole::Leader;
        if !bound || !self.promised_to_wait(self.leader, false) {
            return self.handle_hup();
        }
        let ballot = if self.settings.pre_vote { Ballot::PreVote } else { Ballot::Vote };
        let reason = Ignored::LeaseInForce {
            ballot,
            candidate: self.id,
            candidate_last: self.log.last_id()?,
            leader: self.leader,
            remaining: self.lease_remaining(),
        };
        Ok(self.ignore(self.id, reason))
    }

    /// Campaigns if that is allowed.
    pub(super) fn hup(&mut self, campaign: Campaign) -> Result<Outcome> {
        if self.role == StateRole::Leader {
            return Ok(self.ignore(self.id, Ignored::AlreadyLeader));
        }
        let question = CampaignQuestion {
            is_voter: self.prs.configuration().voters.contains(self.id),
            snapshot_pending: self.log.pending_snapshot().is_some(),
            unapplied_change: self.has_unapplied_conf_change()?,
        };
        if !(self.rules.may_campaign)(&question) {
            let reason = if question.is_voter && !question.snapshot_pending {
                let (applied, committed) = (self.log.applied(), self.log.committed());
                Ignored::UnappliedConfChange { applied, committed }
            } else {
                Ignored::NotPromotable
            };
            return Ok(self.ignore(self.id, reason));
        }
        if self.term >= EntryId::LIMIT {
            return Ok(self.ignore(self.id, Ignored::NoTermLeft(self.term)));
        }
        self.trace(|raft| Event::CampaignStarted { term: raft.term });
        self.campaign(campaign)?;
        Ok(Outcome::Handled)
    }

    fn has_unapplied_conf_change(&self) -> Result<bool> {
        if self.log.pending_snapshot().is_some() {
            // It brings the members; what came before it cannot be read any more.
            return Ok(false);
        }
        let mut low = self.log.applied() + 1;
        let high = self.log.committed() + 1;
        // In pages: what is not applied may be long.
        while low < high {
            let entries = self.log.slice(low, high, self.settings.max_size_per_msg)?;
            if entries.iter().any(|e| e.entry_type != i32::from(EntryType::EntryNormal)) {
                return Ok(true);
            }
            low += entries.len().max(1) as u64;
        }
        Ok(false)
    }

    fn campaign(&mut self, campaign: Campaign) -> Result<()> {
        let last = self.log.last_id()?;
        let (ballot, kind) = if campaign == Campaign::PreElection {
            self.become_pre_candidate();
            (Ballot::PreVote, MessageType::MsgRequestPreVote)
        } else {
            self.become_candidate();
            (Ballot::Vote, MessageType::MsgRequestVote)
        };
        let term = self.campaign_term(ballot);
        let (commit, commit_term) = self.shared_commit();
        let voters = self.prs.configuration().voters.ids();
        for to in voters.iter() {
            if to == self.id {
                self.vote_for_self(ballot, term);
                continue;
            }
            self.trace(|raft| Event::VoteRequested { ballot, to, last, term: raft.term });
            let priority = self.settings.priority;
            let mut request = Message {
                msg_type: kind.into(),
                to,
                term,
                log_term: last.term,
                index: last.index,
                commit,
                commit_term,
                priority,
                deprecated_priority: u64::try_from(priority).unwrap_or(0),
                ..Message::default()
            };
            if campaign == Campaign::Transfer {
                request.context = bytes::Bytes::from_static(CAMPAIGN_TRANSFER);
            }
            self.send_as_it_is(request);
        }
        if self.settings.self_ack == SelfAck::OnAppend {
            self.conclude_election(ballot)?;
        }
        Ok(())
    }

    /// The term that a ballot is about: a pre-vote asks about the next one without entering it.
    fn campaign_term(&self, ballot: Ballot) -> u64 {
        match ballot {
            Ballot::PreVote => self.next_term(),
            Ballot::Vote => self.term,
        }
    }

    fn vote_for_self(&mut self, ballot: Ballot, term: u64) {
        match self.settings.self_ack {
            SelfAck::OnAppend => self.prs.record_vote(self.id, true, &self.rules),
            SelfAck::OnPersist => {
                self.await_disk(Receipt::Vote { ballot, term });
            }
        }
    }

    pub(super) fn vote_facts(&self, ballot: Ballot, message: &Message) -> Result<VoteFacts> {
        Ok(VoteFacts {
            ballot,
            candidate: message.from,
            candidate_last: EntryId::new(message.log_term, message.index),
            own_last: self.log.last_id()?,
            vote: self.vote,
            term: self.term,
        })
    }

    /// Answers a vote request. The answer leaves once the vote is on disk.
    ///
    /// Whether this peer is a voter does not matter: it may have been made one without knowing yet,
    /// and the candidate may need its vote to go on.
    pub(super) fn handle_vote_request(
        &mut self,
        ballot: Ballot,
        message: &Message,
    ) -> Result<Outcome> {
        let facts = self.vote_facts(ballot, message)?;
        let verdict = (self.rules.grant_vote)(&VoteRequest {
            candidate: message.from,
            candidate_last: facts.candidate_last,
            candidate_priority: priority_of(message),
            pre_vote_ahead: ballot == Ballot::PreVote && message.term > self.term,
            voted_for: self.vote,
            leader: self.leader,
            own_last: facts.own_last,
            own_priority: self.settings.priority,
        });
        if verdict == VoteVerdict::Grant {
            self.trace(|_| Event::VoteCast(facts));
            // The term of the request: a pre-candidate is not in it yet, and would take an answer
            // in the voter's own term for an old one.
            self.answer_vote(ballot, message.from, message.term, false);
            if ballot == Ballot::Vote {
                self.election_elapsed = 0;
                self.vote = message.from;
            }
            return Ok(Outcome::Handled);
        }
        self.trace(|_| Event::VoteRefused(facts));
        self.answer_vote(ballot, message.from, self.term, true);
        self.learn_commit(message);
        Ok(self.reject(Rejected::Vote { ballot, candidate: message.from, verdict }))
    }

    pub(super) fn answer_vote(&mut self, ballot: Ballot, to: u64, term: u64, reject: bool) {
        let kind = match ballot {
            Ballot::PreVote => MessageType::MsgRequestPreVoteResponse,
            Ballot::Vote => MessageType::MsgRequestVoteResponse,
        };
        let (commit, commit_term) = if reject { self.shared_commit() } else { (0, 0) };
        let msg_type = kind.into();
        self.promise_as_it_is(Message {
            msg_type,
            to,
            term,
            reject,
            commit,
            commit_term,
            ..Message::default()
        });
    }

    /// The commit index and its term, for others to commit by if they hold the entry.
    fn shared_commit(&self) -> (u64, u64) {
        let committed = self.log.committed();
        match self.log.known_term(committed) {
            Ok(Some(term)) if self.settings.share_commit => (committed, term),
            _ => (0, 0),
        }
    }

    /// A vote request or refusal may tell of a commit index that its sender knows (raft-rs). Who
    /// holds that entry holds everything before it, so it is committed here, too.
    pub(super) fn learn_commit(&mut self, message: &Message) {
        let id = EntryId::new(message.commit_term, message.commit);
        if !self.settings.share_commit || id.term == 0 || self.role == StateRole::Leader {
            return;
        }
        let from = self.log.committed();
        if !self.log.commit(id) {
            return;
        }
        self.trace(|_| Event::Committed { from, to: id.index });
        // The campaign may count a majority that is history; what cannot be read may say so.
        if self.role != StateRole::Follower && self.has_unapplied_conf_change().unwrap_or(true) {
            self.become_follower(self.term, NONE);
        }
    }

    pub(super) fn handle_vote_response(
        &mut self,
        ballot: Ballot,
        message: &Message,
    ) -> Result<Outcome> {
        let from = message.from;
        let useless = if self.prs.configuration().voters.contains(from) {
            let earlier = self.prs.vote(from);
            earlier.map(|granted| Ignored::RepeatedVote { ballot, from, granted })
        } else {
            Some(Ignored::NotVoter(from))
        };
        self.count_vote(ballot, from, !message.reject)?;
        if message.reject {
            self.learn_commit(message);
        }
        Ok(useless.map_or(Outcome::Handled, |reason| self.ignore(from, reason)))
    }

    /// The peer's own vote for itself is on disk.
    pub(super) fn own_vote_persisted(&mut self, ballot: Ballot, term: u64) -> Result<Outcome> {
        let (kind, role) = match ballot {
            Ballot::PreVote => (MessageType::MsgRequestPreVoteResponse, StateRole::PreCandidate),
            Ballot::Vote => (MessageType::MsgRequestVoteResponse, StateRole::Candidate),
        };
        if term < self.term {
            return Ok(self.late_receipt(kind, term));
        }
        if self.role != role {
            return Ok(self.ignore(self.id, Ignored::NotForRole { kind, role: self.role }));
        }
        self.count_vote(ballot, self.id, true)?;
        Ok(Outcome::Handled)
    }

    fn count_vote(&mut self, ballot: Ballot, from: u64, granted: bool) -> Result<()> {
        self.trace(|raft| Event::VoteReceived { ballot, from, granted, term: raft.term });
        self.prs.record_vote(from, granted, &self.rules);
        self.trace(|raft| {
            let (granted, refused) = raft.prs.count_votes();
            Event::VotesCounted { ballot, granted, refused }
        });
        self.conclude_election(ballot)
    }

    fn conclude_election(&mut self, ballot: Ballot) -> Result<()> {
        if !self.prs.contains(self.id) {
            return Ok(());
        }
        match (self.prs.tally(&self.rules), ballot) {
            (Tally::Won, Ballot::PreVote) => self.campaign(Campaign::Election),
            (Tally::Won, Ballot::Vote) => {
                self.become_leader();
                self.flush()
            }
            (Tally::Lost, _) => {
                self.become_follower(self.term, NONE);
                Ok(())
            }
            (Tally::Pending, _) => Ok(()),
        }
    }
}

/// A candidate's priority, in its new or its old field.
fn priority_of(message: &Message) -> i64 {
    match message.priority {
        0 => i64::try_from(message.deprecated_priority).unwrap_or(i64::MAX),
        priority => priority,
    }
}
