//! What the clients of a run saw, for the linearizability checker.

use std::collections::BTreeMap;

use prost::Message;
use raft_core::proto::raft_cmdpb::RaftCmdResponse;
use raft_kv::{Work, keys};

use super::World;
use crate::client::{Outcome, Reply, Request};
use crate::linear::{self, Answer, Call, History, Operation, Verdict};
use crate::scenario::Op;

impl World {
    /// From now on requests that end are remembered for [`history`](Self::history), all of them.
    pub fn keep_history(&mut self) {
        self.past.get_or_insert_default();
    }

    /// [`history`](Self::history) of a world that has settled: no request is under way, and no copy
    /// of one. Then what became of a write that was never answered is no secret any more, except to
    /// its client: it took effect when the first peer executed it, or it never will. That leaves
    /// less to guess, and a store that lies about it is found out by what the others see.
    pub fn settled_history(&self) -> History {
        self.make_history(|request, operation| {
            let unknown = operation.outcome == linear::Outcome::Unknown;
            let Some(command) = request.session.filter(|_| unknown) else { return };
            match self.took_effect.get(&command) {
                None => operation.outcome = linear::Outcome::Refused,
                Some((at, _, reply)) => {
                    let reply = RaftCmdResponse::decode(reply.clone()).ok();
                    let reply = reply.and_then(|response| request.reply(&response));
                    if let Some(answer) = reply.as_ref().and_then(answer) {
                        operation.outcome = linear::Outcome::Done { at: *at, answer };
                    }
                }
            }
        })
    }

    /// What clients saw since [`keep_history`](Self::keep_history): operations on keys only. What is
    /// still under way counts as unknown. Without sessions a write that was sent twice may take
    /// effect twice, which no history allows for.
    pub fn history(&self) -> History {
        self.make_history(|_, _| {})
    }

    fn make_history(&self, tell: impl Fn(&Request, &mut Operation)) -> History {
        let mut history = History::new();
        let open = self.clients.iter().filter(|request| request.outcome.is_none());
        for request in self.past.iter().flatten().chain(open) {
            let Some(mut operation) = operation(request) else { continue };
            tell(request, &mut operation);
            // Ids are unique, and an answer of the wrong kind was never taken for one.
            let fits = history.push(operation);
            debug_assert_eq!(fits, Ok(()));
        }
        history
    }

    /// A request has ended.
    pub(super) fn remember(&mut self, request: u64) {
        let Some(past) = &mut self.past else { return };
        let Some(request) = self.clients.get(request) else { return };
        if let Some(command) = request.session {
            self.sessions.insert(request.id, command);
        }
        past.push(request.clone());
    }

    /// Whether what clients saw is linearizable, of a world that has settled. The log itself gives
    /// an order, and mostly that one explains everything: then the proof is to replay it. If not,
    /// another one is searched for.
    pub fn judge_history(&self) -> Verdict {
        self.judge(&self.settled_history())
    }

    /// As [`judge_history`](Self::judge_history), with a read of every key at the very end: whatever
    /// was acknowledged is in the final state or was overwritten, and nothing else is (I18). Nobody
    /// has to be asked: all peers hold the same.
    pub(crate) fn judge_end(&self) -> Verdict {
        let mut history = self.settled_history();
        let held = self.final_state(&history);
        for ((key, value), id) in held.into_iter().zip(self.clients.last_id() + 1..) {
            let (call, answer) = (Call::Get { key }, Answer::Value(value));
            let outcome = linear::Outcome::Done { at: self.now_us, answer };
            let read = Operation { id, client: 0, invoked: self.now_us, call, outcome };
            let fits = history.push(read);
            debug_assert_eq!(fits, Ok(()));
        }
        self.judge(&history)
    }

    /// What the peer that has applied most holds, and none for keys that clients wrote and that it
    /// does not hold.
    fn final_state(&self, history: &History) -> BTreeMap<String, Option<String>> {
        let operations = history.operations().iter();
        let written = operations.flat_map(|operation| written(&operation.call));
        let mut held: BTreeMap<_, _> = written.map(|key| (key.clone(), None)).collect();
        let peers = self.nodes.iter().filter_map(|(_, node)| node.peer());
        let Some(peer) = peers.max_by_key(|peer| peer.storage().applied_index()) else {
            return BTreeMap::new();
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (key, value) in peer.kv().iter() {
            if let Some((_, key)) = keys::user_key(key) {
                held.insert(text(key), Some(text(value)));
            }
        }
        held
    }

    fn judge(&self, history: &History) -> Verdict {
        let mut witness: Vec<_> = history
            .operations()
            .iter()
            .filter(|operation| operation.answer().is_some())
            .filter_map(|operation| {
                // What nobody asked for is a read at the very end.
                let at_end = (operation.id > self.clients.last_id()).then_some((u64::MAX, 0));
                let place = at_end.or_else(|| self.place(operation.id))?;
                Some((place, operation.invoked, operation.id))
            })
            .collect();
        // A write that was copied stands where it took effect, a read where its answer fits.
        let reads = |call: &Call| matches!(call, Call::Get { .. } | Call::Scan { .. });
        let copied = history.operations().iter().filter(|o| reads(&o.call)).flat_map(|operation| {
            let places = self.other_places.get(&operation.id).into_iter().flatten();
            places.map(|&place| (place, operation.invoked, operation.id))
        });
        witness.extend(copied);
        witness.sort_unstable();
        let mut witness: Vec<u64> = witness.into_iter().map(|(.., id)| id).collect();
        if !self.other_places.is_empty() {
            witness = linear::first_fits(history, &witness);
        }
        match linear::replay(history, &witness) {
            Ok(()) => Verdict::Linearizable { witness },
            Err(_) => linear::check(history),
        }
    }

    /// A command of a session stands where it took effect first: its answer may be to a later copy.
    fn place(&self, request: u64) -> Option<(u64, u8)> {
        let session = self.sessions.get(&request);
        let effect = session.and_then(|command| self.took_effect.get(command));
        effect.map(|(_, index, _)| (*index, 0)).or_else(|| self.places.get(&request).copied())
    }

    /// Where in the log a request took effect: at an entry, or after it.
    pub(super) fn remember_place(&mut self, request: u64, place: Option<(u64, u8)>) {
        if let (Some(_), Some(place)) = (&self.past, place) {
            self.places.entry(request).or_insert(place);
        }
    }

    /// Copies of a read were answered, too: it may stand where any of them does.
    pub(super) fn remember_other_places(&mut self, request: u64, places: Vec<(u64, u8)>) {
        if self.past.is_some() && !places.is_empty() {
            self.other_places.insert(request, places);
        }
    }

    /// A peer has executed commands of sessions.
    pub(super) fn remember_effects(&mut self, work: &Work) {
        if self.past.is_none() {
            return;
        }
        for command in work.executed.iter().filter(|command| command.effect) {
            let name = (command.client, command.sequence);
            let effect = || (self.now_us, command.index, command.reply.clone());
            self.took_effect.entry(name).or_insert_with(effect);
        }
    }
}

fn operation(request: &Request) -> Option<Operation> {
    let call = call(&request.op)?;
    let outcome = match (&request.outcome, request.ended_us) {
        (Some(Outcome::Done(reply)), Some(at)) => {
            linear::Outcome::Done { at, answer: answer(reply)? }
        }
        (Some(Outcome::Refused(_)), _) => linear::Outcome::Refused,
        _ => linear::Outcome::Unknown,
    };
    // What waited for its turn could not take effect before it was sent, or at all if it never was.
    let (id, client, invoked) = (request.id, request.client, request.sent_us?);
    Some(Operation { id, client, invoked, call, outcome })
}

/// The keys that a call writes by name.
fn written(call: &Call) -> Vec<&String> {
    match call {
        Call::Put { key, .. } | Call::Delete { key } | Call::Cas { key, .. } => vec![key],
        Call::Batch(calls) => calls.iter().flat_map(written).collect(),
        Call::Get { .. } | Call::Scan { .. } | Call::DeleteRange { .. } => Vec::new(),
    }
}

fn call(op: &Op) -> Option<Call> {
    Some(match op.clone() {
        Op::Put { key, value } => Call::Put { key, value },
        Op::Get { key } => Call::Get { key },
        Op::Delete { key } => Call::Delete { key },
        Op::DeleteRange { start, end } => Call::DeleteRange { start, end },
        Op::Scan { start, end, limit } => Call::Scan { start, end, limit },
        Op::Cas { key, expected, new } => Call::Cas { key, expected, new },
        Op::Batch { ops } => Call::Batch(ops.iter().map(call).collect::<Option<_>>()?),
        Op::Members { .. } | Op::TransferLeader { .. } | Op::OpenSession => return None,
    })
}

fn answer(reply: &Reply) -> Option<Answer> {
    Some(match reply.clone() {
        Reply::Written | Reply::Deleted(_) => Answer::Done,
        Reply::Value(value) => Answer::Value(value),
        Reply::Pairs(pairs) => Answer::Pairs(pairs),
        Reply::Swapped { done, previous } => {
            Answer::Swapped { swapped: done, found: Some(previous) }
        }
        Reply::Batch(replies) => Answer::Batch(replies.iter().map(answer).collect::<Option<_>>()?),
        Reply::Members(_) | Reply::Opened(_) => return None,
    })
}
