//! Clients: they look for the leader, wait, and ask again elsewhere.
//!
//! A request may have several attempts. Only when one is answered with the result is it done; when
//! the deadline passes after an attempt reached a peer, nobody knows whether it took effect.

use std::collections::BTreeMap;

use raft_core::proto::errorpb;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, Response};
use raft_kv::command;

use crate::scenario::Op;

/// Finished requests that are remembered.
const HISTORY_MAX: usize = 1_000;

/// One request of a client, from invocation to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Unique in the run, in the order of invocation.
    pub id: u64,
    /// Whose it is.
    pub client: u64,
    /// What it asks.
    pub op: Op,
    /// The only peer to ask; none is whichever leads.
    pub only: Option<u64>,
    /// When the client sent it first.
    pub invoked_us: u64,
    /// When it ended.
    pub ended_us: Option<u64>,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
    /// Attempts so far.
    pub attempts: u32,
    /// The peer that the latest attempt went to.
    pub target: u64,
    /// Some attempt was not refused: it may take effect, answered or not.
    maybe_taken: bool,
    /// Peers that did not answer in this round. Others may still take one of them for the leader;
    /// to believe them would be to wait again.
    silent: Vec<u64>,
    /// Attempts since the last one that was not answered.
    since_silence: u64,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, with this result.
    Done(Reply),
    /// It was refused and has no effect.
    Refused(String),
    /// No answer came: it may have taken effect, or may still.
    Unknown,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The write is in the log of a majority.
    Written,
    /// The value; none if the key is absent.
    Value(Option<String>),
    /// The pairs in key order.
    Pairs(Vec<(String, String)>),
}

/// What a client does after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tell the user.
    End(Outcome),
    /// Ask again: the hinted leader, or the next peer.
    Retry { hint: Option<u64> },
}

/// All requests of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    requests: BTreeMap<u64, Request>,
    next_id: u64,
    /// Who answered last, as far as each client knows.
    believed: BTreeMap<u64, u64>,
}

impl Clients {
    /// Continues after request `last_id`.
    pub(crate) fn starting_after(last_id: u64) -> Self {
        Self { next_id: last_id, ..Self::default() }
    }

    pub(crate) fn invoke(&mut self, client: u64, op: Op, only: Option<u64>, now_us: u64) -> u64 {
        self.next_id += 1;
        let request = Request {
            id: self.next_id,
            client,
            op,
            only,
            invoked_us: now_us,
            ended_us: None,
            outcome: None,
            attempts: 0,
            target: 0,
            maybe_taken: false,
            silent: Vec::new(),
            since_silence: 0,
        };
        self.requests.insert(self.next_id, request);
        self.forget_oldest();
        self.next_id
    }

    fn forget_oldest(&mut self) {
        while self.requests.len() > HISTORY_MAX {
            let ended = self.requests.values().find(|r| r.outcome.is_some()).map(|r| r.id);
            let Some(id) = ended else { break };
            self.requests.remove(&id);
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.values()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Request> {
        self.requests.get(&id)
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.next_id
    }

    /// Starts another attempt and returns its number and target; none if the request has ended.
    pub(crate) fn attempt(&mut self, id: u64, hint: Option<u64>, peers: u64) -> Option<(u32, u64)> {
        let believed = &self.believed;
        let request = self.requests.get_mut(&id).filter(|request| request.outcome.is_none())?;
        request.attempts += 1;
        request.end_round(peers);
        let first_try = believed.get(&request.client).filter(|_| request.attempts == 1).copied();
        let wanted = request.only.or_else(|| hint.or(first_try).filter(|id| request.may_ask(*id)));
        request.target = wanted.unwrap_or_else(|| request.following(peers));
        Some((request.attempts, request.target))
    }

    /// The client of request `id` believes that this peer leads, or no longer knows who does.
    pub(crate) fn believe(&mut self, id: u64, leader: Option<u64>) {
        let Some(request) = self.requests.get(&id) else { return };
        match leader {
            Some(leader) => self.believed.insert(request.client, leader),
            None => self.believed.remove(&request.client),
        };
    }

    /// The request, if it has not ended and `attempt` is its latest.
    pub(crate) fn current(&mut self, id: u64, attempt: u32) -> Option<&mut Request> {
        self.open(id).filter(|request| request.attempts == attempt)
    }

    pub(crate) fn open(&mut self, id: u64) -> Option<&mut Request> {
        self.requests.get_mut(&id).filter(|request| request.outcome.is_none())
    }
}

impl Request {
    /// The latest attempt was not answered.
    pub(crate) fn not_answered(&mut self) {
        self.silent.push(self.target);
        self.since_silence = 0;
    }

    /// Once all others were asked and none of them knew better, whoever was silent may be asked
    /// again: perhaps it leads by now.
    fn end_round(&mut self, peers: u64) {
        let others = peers.saturating_sub(self.silent.len() as u64);
        if others > 0 && self.since_silence >= others {
            self.silent.clear();
        }
        self.since_silence += 1;
    }

    fn may_ask(&self, peer: u64) -> bool {
        !self.silent.contains(&peer)
    }

    /// The next peer in turn that has not been silent. If all have been, a new round begins.
    fn following(&mut self, peers: u64) -> u64 {
        let in_turn = |step| (self.target + step - 1) % peers + 1;
        let next = (1..=peers).map(in_turn).find(|&peer| self.may_ask(peer));
        next.unwrap_or_else(|| {
            let next = in_turn(1);
            self.silent.clear();
            next
        })
    }

    /// A peer took an attempt into its log: it may take effect.
    pub(crate) fn taken(&mut self) {
        self.maybe_taken = true;
    }

    pub(crate) fn end(&mut self, outcome: Outcome, now_us: u64) {
        self.ended_us = Some(now_us);
        self.outcome = Some(outcome);
    }

    /// How the request ends when nobody waits any longer.
    pub(crate) fn give_up(&mut self, now_us: u64) {
        let outcome = if self.maybe_taken {
            Outcome::Unknown
        } else {
            Outcome::Refused("no leader was found in time".into())
        };
        self.end(outcome, now_us);
    }

    /// The request as `peer` of `region` gets it.
    pub(crate) fn command(&self, region: &Region, peer: Peer) -> RaftCmdRequest {
        let request = match &self.op {
            Op::Put { key, value } => command::put("", key.clone(), value.clone()),
            Op::Get { key } => command::get("", key.clone()),
            Op::Delete { key } => command::delete("", key.clone()),
            Op::Scan { start, end, limit } => command::scan("", start.clone(), end.clone(), *limit),
        };
        command::command(region, peer, vec![request])
    }

    /// What the client makes of an answer.
    pub(crate) fn read(&self, response: &RaftCmdResponse) -> Next {
        if let Some(error) = response.header.as_ref().and_then(|header| header.error.as_ref()) {
            return self.read_error(error);
        }
        let reply = response.responses.first().and_then(read_reply);
        reply.map_or(Next::Retry { hint: None }, |reply| Next::End(Outcome::Done(reply)))
    }

    fn read_error(&self, error: &errorpb::Error) -> Next {
        match &error.not_leader {
            // Who asks one peer only wants to hear what that one says.
            Some(_) if self.only.is_some() && !self.maybe_taken => {
                Next::End(Outcome::Refused(error.message.clone()))
            }
            Some(not_leader) => Next::Retry { hint: not_leader.leader.map(|leader| leader.id) },
            // An earlier attempt may take effect all the same: this refusal does not end it.
            None if error.stale_command.is_some() || self.maybe_taken => Next::Retry { hint: None },
            None => Next::End(Outcome::Refused(error.message.clone())),
        }
    }
}

fn read_reply(response: &Response) -> Option<Reply> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(get) = &response.get {
        Some(Reply::Value((!get.not_found).then(|| text(&get.value))))
    } else if let Some(scan) = &response.scan {
        let pairs = scan.pairs.iter().map(|pair| (text(&pair.key), text(&pair.value)));
        Some(Reply::Pairs(pairs.collect()))
    } else {
        (response.put.is_some() || response.delete.is_some()).then_some(Reply::Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_kv::Error;

    fn clients() -> Clients {
        let mut clients = Clients::default();
        clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
        clients
    }

    #[test]
    fn attempts_go_to_the_hint_then_round_the_peers() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, None, 3), Some((1, 1)));
        assert_eq!(clients.attempt(1, Some(3), 3), Some((2, 3)));
        assert_eq!(clients.attempt(1, None, 3), Some((3, 1)));
        clients.believe(1, Some(2));
        let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
        assert_eq!(clients.attempt(id, None, 3), Some((1, 2)));
        assert_eq!(clients.attempt(id, None, 3), Some((2, 3)), "it did not answer: try others");
    }

    #[test]
    fn a_hint_to_a_peer_that_did_not_answer_is_not_followed_before_the_others_were_asked() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, Some(1), 3), Some((1, 1)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3), Some((2, 2)));
        assert_eq!(clients.attempt(1, Some(1), 3), Some((3, 3)), "peer 2 believes in peer 1");
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3), Some((4, 2)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, Some(1), 3), Some((5, 3)), "all were silent: a new round");
        assert_eq!(clients.attempt(1, Some(1), 3), Some((6, 1)));
    }

    #[test]
    fn a_peer_that_was_silent_is_asked_again_when_all_others_say_that_it_leads() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, Some(1), 3), Some((1, 1)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3), Some((2, 2)));
        assert_eq!(clients.attempt(1, Some(1), 3), Some((3, 3)));
        assert_eq!(clients.attempt(1, Some(1), 3), Some((4, 1)), "it is back");
    }

    #[test]
    fn a_refusal_does_not_end_a_request_that_an_earlier_attempt_may_have_done() {
        let mut clients = clients();
        let refusal = Error::Invalid("no epoch").to_response(6);
        let read = |clients: &Clients| clients.get(1).unwrap().read(&refusal);
        assert!(matches!(read(&clients), Next::End(Outcome::Refused(_))));
        clients.open(1).unwrap().taken();
        assert_eq!(read(&clients), Next::Retry { hint: None });
    }

    #[test]
    fn a_pinned_request_never_goes_elsewhere_and_a_refusal_ends_it() {
        let mut clients = Clients::default();
        let id = clients.invoke(0, Op::Get { key: "k".into() }, Some(2), 0);
        assert_eq!(clients.attempt(id, Some(3), 3), Some((1, 2)));
        let refusal = Error::NotLeader { region_id: 1, leader: None }.to_response(6);
        assert!(matches!(clients.get(id).unwrap().read(&refusal), Next::End(Outcome::Refused(_))));
    }

    #[test]
    fn an_unanswered_request_that_was_taken_has_an_unknown_outcome() {
        let mut clients = clients();
        clients.open(1).unwrap().taken();
        clients.open(1).unwrap().give_up(9);
        assert_eq!(clients.get(1).unwrap().outcome, Some(Outcome::Unknown));
        assert!(clients.open(1).is_none(), "an end is final");
    }

    #[test]
    fn memory_is_bounded_and_open_requests_are_kept() {
        let mut clients = clients();
        for _ in 0..2 * HISTORY_MAX {
            let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
            clients.open(id).unwrap().end(Outcome::Unknown, 1);
        }
        assert_eq!(clients.requests.len(), HISTORY_MAX);
        assert!(clients.get(1).is_some());
    }
}
