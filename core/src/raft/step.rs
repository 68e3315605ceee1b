//! The single entry of messages: first the term, then the role.

use super::kinds::{is_from_leader, is_termless, message_type};
use super::replication::check_entries;
use super::{NONE, Raft, StateRole};
use crate::EntryId;
use crate::config::ReadOnly;
use crate::error::{Malformed, Result};
use crate::outcome::{Ballot, Ignored, Outcome, Rejected};
use crate::proto::eraftpb::{Message, MessageType};
use crate::rules::{LeaseQuestion, TermQuestion, TermVerdict};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Handles one message, local or from a peer. Answers and requests go to the outbox.
    ///
    /// Local messages (`MsgHup`, `MsgBeat`, `MsgCheckQuorum`, `MsgPropose`, `MsgReadIndex`, and
    /// `MsgTransferLeader` without a term) ignore the term.
    ///
    /// # Errors
    /// [`Error::ProposalDropped`](crate::Error::ProposalDropped) for a proposal that goes nowhere,
    /// [`Error::ReadDropped`](crate::Error::ReadDropped) for a read,
    /// [`Error::Malformed`](crate::Error::Malformed) for a message no correct peer sends, and
    /// storage errors. The state stays sound in every case.
    pub fn step(&mut self, mut message: Message) -> Result<Outcome> {
        let kind = message_type(&message)?;
        self.step_kind(kind, &mut message)
    }

    /// [`step`](Self::step) of a message whose type is known. It is used up; only to move it about
    /// would cost more than most messages cost to handle.
    pub(crate) fn step_kind(
        &mut self,
        kind: MessageType,
        message: &mut Message,
    ) -> Result<Outcome> {
        let refused_in_none = kind == MessageType::MsgRequestPreVoteResponse;
        if (message.term != NONE || refused_in_none) && !is_termless(kind) {
            if message.term > EntryId::LIMIT {
                return Err(Malformed::TermRange(message.term).into());
            }
            // Before its term counts: what no peer could have sent must leave no trace at all.
            if kind == MessageType::MsgAppend {
                check_entries(message)?;
            }
            if let Some(outcome) = self.settle_term(kind, message)? {
                return Ok(outcome);
            }
        }
        match kind {
            MessageType::MsgHup => self.handle_hup(),
            MessageType::MsgRequestVote => self.handle_vote_request(Ballot::Vote, message),
            MessageType::MsgRequestPreVote => self.handle_vote_request(Ballot::PreVote, message),
            MessageType::MsgPropose => self.handle_propose(message),
            MessageType::MsgReadIndex => self.handle_read_index(message),
            _ => match self.role {
                StateRole::Follower => self.step_follower(kind, message),
                StateRole::PreCandidate | StateRole::Candidate => {
                    self.step_candidate(kind, message)
                }
                StateRole::Leader => self.step_leader(kind, message),
            },
        }
    }

    /// Compares the message's term with one's own. Returns an outcome if that was all that was to
    /// be done.
    fn settle_term(&mut self, kind: MessageType, message: &Message) -> Result<Option<Outcome>> {
        let (own, theirs, reject) = (self.term, message.term, message.reject);
        let verdict = (self.rules.compare_terms)(&TermQuestion { own, theirs, kind, reject });
        match verdict {
            TermVerdict::Current => {
                let ballot = ballot_of_request(kind).filter(|_| {
                    // Nothing but a promise keeps away a candidate of the own term.
                    self.promised_to_wait(NONE, is_transfer(message))
                });
                ballot.map(|ballot| self.ignore_by_lease(ballot, message)).transpose()
            }
            TermVerdict::Stale => self.answer_lower_term(kind, message).map(Some),
            TermVerdict::StepDown | TermVerdict::Hypothetical => {
                let ballot = ballot_of_request(kind)
                    .filter(|_| self.promised_to_wait(self.leader, is_transfer(message)));
                if let Some(ballot) = ballot {
                    return self.ignore_by_lease(ballot, message).map(Some);
                }
                if verdict == TermVerdict::StepDown {
                    let from = message.from;
                    self.trace(|_| Event::HigherTerm { kind, from, theirs, own });
                    self.follow_in_term(theirs, if is_from_leader(kind) { from } else { NONE });
                }
                Ok(None)
            }
        }
    }

    /// Becomes a follower in a newer term. A follower that hears of no leader goes on waiting.
    fn follow_in_term(&mut self, term: u64, leader: u64) {
        let follows = self.role == StateRole::Follower;
        let timer = (self.election_elapsed, self.randomized_election_timeout);
        self.become_follower(term, leader);
        if (self.rules.timer_survives_term)(follows, leader != NONE) {
            (self.election_elapsed, self.randomized_election_timeout) = timer;
        }
    }

    /// Whether this peer may not help to replace `leader` yet, unless the leader asked for that.
    pub(super) fn promised_to_wait(&self, leader: u64, transfer: bool) -> bool {
        (self.rules.lease_in_force)(&LeaseQuestion {
            check_quorum: self.settings.check_quorum,
            leader,
            elapsed: self.election_elapsed,
            timeout: self.settings.election_timeout,
            transfer,
            promised: self.ticks < self.promised_until,
        })
    }

    /// Its leader may rely on this peer from now on for as long as an election time-out lasts.
    pub(super) fn promise_to_wait(&mut self) {
        if self.settings.read_only == ReadOnly::LeaseBased {
            self.promised_until = self.ticks + u64::from(self.settings.election_timeout);
        }
    }

    /// Ticks until this peer may help to elect another leader.
    pub(super) fn lease_remaining(&self) -> u32 {
        let of_leader = self.settings.election_timeout.saturating_sub(self.election_elapsed);
        let of_promise = self.promised_until.saturating_sub(self.ticks);
        of_leader.max(u32::try_from(of_promise).unwrap_or(u32::MAX))
    }

    fn ignore_by_lease(&mut self, ballot: Ballot, message: &Message) -> Result<Outcome> {
        let remaining = self.lease_remaining();
        let facts = self.vote_facts(ballot, message)?;
        self.trace(|_| Event::VoteIgnored(facts, remaining));
        let reason = Ignored::LeaseInForce {
            ballot,
            candidate: message.from,
            candidate_last: facts.candidate_last,
            leader: self.leader,
            remaining,
        };
        Ok(self.ignore(message.from, reason))
    }

    /// A message of an older term. A leader or candidate that would otherwise never hear of the
    /// newer one is told: with check-quorum this peer's own requests for votes may go unheard, with
    /// pre-vote its term may never spread by itself, and it asks nobody, or not the sender, if it
    /// has no vote or does not know the sender for a voter. It may lack the changes that made the
    /// two voters, and its acknowledgement be needed to commit anything. Nor does it ask if it voted
    /// for another, whom the sender may not listen to any more: a removed peer that goes on
    /// campaigning would take one vote after the other, and nobody else hear of its terms.
    fn answer_lower_term(&mut self, kind: MessageType, message: &Message) -> Result<Outcome> {
        let (from, theirs, own) = (message.from, message.term, self.term);
        let voters = &self.prs.configuration().voters;
        let voted_for_another = self.vote != NONE && self.vote != self.id;
        let asks = voters.contains(self.id) && voters.contains(from) && !voted_for_another;
        let knows_better = self.settings.check_quorum || self.settings.pre_vote || !asks;
        match kind {
            MessageType::MsgHeartbeat | MessageType::MsgAppend if knows_better => {
                let msg_type = MessageType::MsgAppendResponse.into();
                self.promise(Message { msg_type, to: from, ..Message::default() });
            }
            MessageType::MsgRequestVote if !asks => {
                let facts = self.vote_facts(Ballot::Vote, message)?;
                self.trace(|_| Event::VoteRefused(facts));
                self.answer_vote(Ballot::Vote, from, self.term, true);
            }
            MessageType::MsgRequestPreVote => {
                let facts = self.vote_facts(Ballot::PreVote, message)?;
                self.trace(|_| Event::VoteRefused(facts));
                self.answer_vote(Ballot::PreVote, from, self.term, true);
            }
            _ => {
                if is_vote_answer(kind) && message.reject {
                    // What is committed is so in every term, and may be what this peer lacks to win.
                    self.learn_commit(message);
                }
                return Ok(self.ignore(from, Ignored::LowerTerm { kind, from, theirs, own }));
            }
        }
        Ok(self.reject(Rejected::LowerTerm { kind, from, theirs, own }))
    }

    fn step_follower(&mut self, kind: MessageType, message: &mut Message) -> Result<Outcome> {
        match kind {
            MessageType::MsgAppend => {
                self.hear_from_leader(message.from);
                self.handle_append(message)
            }
            MessageType::MsgHeartbeat => {
                self.hear_from_leader(message.from);
                self.handle_heartbeat(message)
            }
            MessageType::MsgSnapshot => {
                self.hear_from_leader(message.from);
                self.handle_snapshot(message)
            }
            MessageType::MsgTransferLeader => Ok(self.forward_transfer(message)),
            MessageType::MsgTimeoutNow => self.handle_timeout_now(message.from),
            MessageType::MsgReadIndexResp => Ok(self.handle_read_index_response(message)),
            _ => Ok(self.not_for_role(kind, message.from)),
        }
    }

    fn step_candidate(&mut self, kind: MessageType, message: &mut Message) -> Result<Outcome> {
        match kind {
            kind if is_from_leader(kind) => {
                // Somebody else won this term (5.2).
                self.become_follower(self.term, message.from);
                self.step_follower(kind, message)
            }
            MessageType::MsgRequestVoteResponse if self.role == StateRole::Candidate => {
                self.handle_vote_response(Ballot::Vote, message)
            }
            MessageType::MsgRequestPreVoteResponse if self.role == StateRole::PreCandidate => {
                self.handle_vote_response(Ballot::PreVote, message)
            }
            _ => Ok(self.not_for_role(kind, message.from)),
        }
    }

    fn step_leader(&mut self, kind: MessageType, message: &mut Message) -> Result<Outcome> {
        match kind {
            MessageType::MsgBeat => {
                self.beat();
                Ok(Outcome::Handled)
            }
            MessageType::MsgCheckQuorum => {
                self.check_quorum();
                Ok(Outcome::Handled)
            }
            MessageType::MsgAppendResponse => self.handle_append_response(message),
            MessageType::MsgHeartbeatResponse => self.handle_heartbeat_response(message),
            MessageType::MsgTransferLeader => self.handle_transfer_leader(message.from),
            _ => Ok(self.not_for_role(kind, message.from)),
        }
    }

    fn not_for_role(&mut self, kind: MessageType, from: u64) -> Outcome {
        self.ignore(from, Ignored::NotForRole { kind, role: self.role })
    }

    fn hear_from_leader(&mut self, leader: u64) {
        self.election_elapsed = 0;
        self.leader = leader;
    }
}

fn is_transfer(message: &Message) -> bool {
    message.context == super::transfer::CAMPAIGN_TRANSFER
}

fn is_vote_answer(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse)
}

fn ballot_of_request(kind: MessageType) -> Option<Ballot> {
    match kind {
        MessageType::MsgRequestVote => Some(Ballot::Vote),
        MessageType::MsgRequestPreVote => Some(Ballot::PreVote),
        _ => None,
    }
}
