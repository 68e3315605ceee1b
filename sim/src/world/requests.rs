//! Clients: attempts, answers, time-outs.

use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::RaftCmdResponse;
use raft_kv::{Accepted, Answer, Token};

use super::{Event, Line, World};
use crate::backlog::Late;
use crate::client::{Next, Outcome, Request, Turn};
use crate::event::What;
use crate::faults::ClientFault;
use crate::scenario::Op;

/// A pause before a client asks again, so that a cluster without a leader is not flooded.
const RETRY_PAUSE_US: u64 = 100_000;

/// Names an attempt on its way through a peer.
fn token(request: u64, attempt: u32) -> Token {
    Token((request << 16) | u64::from(attempt & 0xFFFF))
}

/// The attempt that a token names.
fn attempt_of(Token(token): Token) -> (u64, u32) {
    (token >> 16, (token & 0xFFFF) as u32)
}

impl World {
    pub(super) fn invoke(&mut self, client: u64, op: Op, to: Option<u64>) {
        let in_turn = self.scenario.settings.sessions && !op.is_admin() && op != Op::OpenSession;
        let text = self.say(&op);
        let request = self.clients.invoke(client, op, to, self.now_us);
        self.note(What::Invoked { request, text });
        self.saw_invoked(request);
        let deadline = self.now_us + self.scenario.settings.client_deadline_us;
        self.queue.line_up(Line::Deadlines, deadline, Event::Deadline { request });
        if in_turn {
            self.clients.wait(request);
            return self.take_turn(client);
        }
        self.attempt(request, None);
    }

    /// A client that waits for nothing sends its next request; writes only after it has opened a
    /// session.
    fn take_turn(&mut self, client: u64) {
        match self.clients.turn(client) {
            None => {}
            Some(Turn::Send(request)) => self.attempt(request, None),
            Some(Turn::OpenSession) => {
                self.invoke(client, Op::OpenSession, None);
                let opening = self.clients.last_id();
                self.clients.opening(client, opening);
            }
        }
    }

    pub(super) fn attempt(&mut self, request: u64, hint: Option<u64>) {
        let peers = self.scenario.stores();
        let Some((attempt, target)) = self.clients.attempt(request, hint, peers, self.now_us)
        else {
            return;
        };
        if attempt > 1 {
            self.note(What::Retried { request, target });
        }
        let travel = self.network.client_latency(&mut self.rng);
        if self.network.loses_for_client(&mut self.rng) {
            self.note(What::AttemptLost { request, target });
        } else {
            self.queue.push(self.now_us + travel, Event::Asked { request, attempt });
        }
        for travel in self.network.client_copies(&mut self.rng).into_iter().flatten() {
            self.copy_attempt(request, attempt, target, travel);
        }
        let patience = self.scenario.settings.client_timeout_us;
        let event = Event::AttemptTimeout { request, attempt };
        self.queue.line_up(Line::Patience, self.now_us + patience, event);
    }

    /// An attempt reaches a peer. A peer that is down does not answer; one that is stalled may, when
    /// the client has long moved on.
    pub(super) fn asked(&mut self, request: u64, attempt: u32) {
        let Some(open) = self.clients.current(request, attempt) else { return };
        let target = open.target;
        match self.nodes.get_mut(target).and_then(|node| node.backlog.as_mut()) {
            None => self.propose(request, attempt, target),
            Some(backlog) => {
                if backlog.receive(Late::Asked { request, attempt }) {
                    open.taken();
                }
            }
        }
    }

    /// A copy of an attempt will arrive, however the request may have ended by then: from now on
    /// nobody can say that it has no effect.
    fn copy_attempt(&mut self, request: u64, attempt: u32, target: u64, travel: u64) {
        let Some(open) = self.clients.open(request) else { return };
        open.taken();
        self.note(What::AttemptCopied { request, target });
        let event = Event::AskedAgain { request, attempt, target };
        self.queue.push(self.now_us + travel, event);
    }

    /// A copy of an attempt reaches a peer.
    pub(super) fn asked_again(&mut self, request: u64, attempt: u32, target: u64) {
        match self.nodes.get_mut(target).and_then(|node| node.backlog.as_mut()) {
            None => self.propose(request, attempt, target),
            Some(backlog) => {
                backlog.receive(Late::Asked { request, attempt });
            }
        }
    }

    pub(super) fn set_clients(&mut self, fault: ClientFault) {
        self.network.set_clients(fault);
        self.note(What::ClientsSet { fault });
        let ClientFault::Storm { copies } = fault else { return };
        let asked = |r: &Request| (r.outcome.is_none() && r.attempts > 0).then_some(r.id);
        let open: Vec<u64> = self.clients.iter().filter_map(asked).collect();
        for request in open {
            let Some(open) = self.clients.get(request) else { continue };
            let (attempt, target) = (open.attempts, open.target);
            for _ in 0..copies {
                let travel = self.network.client_latency(&mut self.rng);
                self.copy_attempt(request, attempt, target, travel);
            }
        }
    }

    /// A peer looks at an attempt, whether or not the client still waits for this one.
    pub(super) fn propose(&mut self, request: u64, attempt: u32, target: u64) {
        let Some(node) = self.nodes.get(target).filter(|node| node.is_up()) else { return };
        let Some(asked) = self.clients.get(request) else { return };
        let follower_reads = self.scenario.settings.follower_reads;
        let command = match node.peer() {
            Some(peer) => asked.command(peer.region(), peer.me(), follower_reads),
            None => asked.command(&Region::default(), Peer::default(), follower_reads),
        };
        self.trace.number(request);
        self.saw_asked(target, request, attempt);
        let (mut accepted, mut verdict) = (Accepted::Answered, Ok(()));
        self.touch(target, |store| {
            let taken = store.propose(&command, token(request, attempt));
            verdict = taken.map(|what| accepted = what).map_err(|error| {
                let term = store.peer().map_or(0, |peer| peer.raft().term());
                error.to_response(term)
            });
            Ok(())
        });
        match verdict {
            Ok(()) => {
                self.saw_accepted(request, attempt, accepted);
                if let Some(open) = self.clients.open(request) {
                    open.taken();
                }
            }
            Err(response) => {
                self.saw_refused(target, request, attempt);
                self.answer(token(request, attempt), response);
            }
        }
    }

    /// A peer answers; the answer travels.
    pub(super) fn answer_from(&mut self, id: u64, answer: Answer) {
        let (request, attempt) = attempt_of(answer.token);
        self.saw_reply(id, request, attempt, &answer);
        self.answer(answer.token, answer.response);
    }

    /// An answer travels.
    fn answer(&mut self, token: Token, response: RaftCmdResponse) {
        let (request, attempt) = attempt_of(token);
        let travel = self.network.client_latency(&mut self.rng);
        if self.network.loses_for_client(&mut self.rng) {
            return self.note(What::AnswerLost { request });
        }
        let response = Box::new(response);
        self.queue.push(self.now_us + travel, Event::Answered { request, attempt, response });
    }

    /// An answer reaches a client. A result ends the request whichever attempt it belongs to; a
    /// refusal of an earlier attempt is old news.
    pub(super) fn answered(&mut self, request: u64, attempt: u32, response: &RaftCmdResponse) {
        let Some(open) = self.clients.open(request) else { return };
        let (target, current) = (open.target, open.attempts);
        let next = open.read(response);
        self.trace.number(request);
        let done = matches!(next, Next::End(Outcome::Done(_)));
        if attempt != current && !done {
            return;
        }
        match next {
            Next::End(outcome) => {
                if done && attempt == current {
                    self.clients.believe(request, Some(target));
                }
                let error = response.header.as_ref().and_then(|header| header.error.as_ref());
                let expired = error.is_some_and(|error| error.session_expired.is_some());
                self.saw_answered(request, attempt, &outcome);
                self.end(request, outcome, expired);
            }
            Next::Retry { hint: Some(leader) } => self.attempt(request, Some(leader)),
            Next::Retry { hint: None } => {
                let error = response.header.as_ref().and_then(|header| header.error.as_ref());
                let nobody_there = error.is_some_and(|error| error.region_not_found.is_some());
                if let Some(open) = self.clients.open(request).filter(|_| nobody_there) {
                    open.not_answered();
                }
                self.clients.believe(request, None);
                let at_us = self.now_us + RETRY_PAUSE_US;
                self.queue.line_up(Line::Pauses, at_us, Event::Retry { request, hint: None });
            }
        }
    }

    pub(super) fn attempt_timeout(&mut self, request: u64, attempt: u32) {
        let Some(open) = self.clients.current(request, attempt) else { return };
        open.not_answered();
        self.clients.believe(request, None);
        self.attempt(request, None);
    }

    pub(super) fn deadline(&mut self, request: u64) {
        let Some(open) = self.clients.open(request) else { return };
        open.give_up(self.now_us);
        self.saw_gave_up(request);
        self.ended(request, false);
    }

    fn end(&mut self, request: u64, outcome: Outcome, expired: bool) {
        if let Some(open) = self.clients.open(request) {
            open.end(outcome, self.now_us);
            self.ended(request, expired);
        }
    }

    /// A request has ended, and the client's next one may begin.
    fn ended(&mut self, request: u64, expired: bool) {
        self.remember(request);
        self.note_ended(request);
        if let Some(client) = self.clients.ended(request, expired) {
            self.take_turn(client);
        }
    }
}
