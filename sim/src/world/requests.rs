//! Clients: attempts, answers, time-outs.

use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::RaftCmdResponse;
use raft_kv::Token;

use super::{Event, World};
use crate::backlog::Late;
use crate::client::{Next, Outcome, Reply, Request};
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
        let text = op.to_string();
        let request = self.clients.invoke(client, op, to, self.now_us);
        self.note(What::Invoked { request, text });
        let deadline = self.now_us + self.scenario.settings.client_deadline_us;
        self.queue.push(deadline, Event::Deadline { request });
        self.attempt(request, None);
    }

    pub(super) fn attempt(&mut self, request: u64, hint: Option<u64>) {
        let peers = self.scenario.peers;
        let Some((attempt, target)) = self.clients.attempt(request, hint, peers) else { return };
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
        self.queue.push(self.now_us + patience, Event::AttemptTimeout { request, attempt });
    }

    /// An attempt reaches a peer. A peer that is down does not answer; one that is stalled may, when
    /// the client has long moved on.
    pub(super) fn asked(&mut self, request: u64, attempt: u32) {
        let Some(open) = self.clients.current(request, attempt) else { return };
        let target = open.target;
        match self.nodes.get_mut(&target).and_then(|node| node.backlog.as_mut()) {
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
        match self.nodes.get_mut(&target).and_then(|node| node.backlog.as_mut()) {
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
        let Some(node) = self.nodes.get(&target).filter(|node| node.is_up()) else { return };
        let Some(asked) = self.clients.get(request) else { return };
        let command = match node.peer() {
            Some(peer) => asked.command(peer.region(), peer.me()),
            None => asked.command(&Region::default(), Peer::default()),
        };
        self.trace.number(request);
        let mut verdict = Ok(());
        self.touch(target, |store| {
            let taken = store.propose(&command, token(request, attempt));
            verdict = taken.map(drop).map_err(|error| {
                let term = store.peer().map_or(0, |peer| peer.raft().term());
                error.to_response(term)
            });
            Ok(())
        });
        match verdict {
            Ok(()) => {
                if let Some(open) = self.clients.open(request) {
                    open.taken();
                }
            }
            Err(response) => self.answer(token(request, attempt), response),
        }
    }

    /// A peer answers; the answer travels.
    pub(super) fn answer(&mut self, token: Token, response: RaftCmdResponse) {
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
                self.end(request, outcome);
            }
            Next::Retry { hint: Some(leader) } => self.attempt(request, Some(leader)),
            Next::Retry { hint: None } => {
                self.clients.believe(request, None);
                let at_us = self.now_us + RETRY_PAUSE_US;
                self.queue.push(at_us, Event::Retry { request, hint: None });
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
        if let Some(outcome) = open.outcome.clone() {
            let text = describe(&outcome);
            self.note(What::Ended { request, text });
        }
    }

    fn end(&mut self, request: u64, outcome: Outcome) {
        let text = describe(&outcome);
        if let Some(open) = self.clients.open(request) {
            open.end(outcome, self.now_us);
            self.note(What::Ended { request, text });
        }
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(Reply::Written) => "ok".into(),
        Outcome::Done(Reply::Value(None)) => "not found".into(),
        Outcome::Done(Reply::Value(Some(value))) => format!("= {value}"),
        Outcome::Done(Reply::Pairs(pairs)) => format!("{} pairs", pairs.len()),
        Outcome::Refused(reason) => format!("refused: {reason}"),
        Outcome::Unknown => "outcome unknown".into(),
    }
}
