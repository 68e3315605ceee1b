//! One request: whom its attempts go to, and how it ends.

use super::Outcome;
use crate::scenario::Op;

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
    /// When the user asked for it.
    pub invoked_us: u64,
    /// When the client sent it first: with sessions it may have to wait for its turn.
    pub sent_us: Option<u64>,
    /// When it ended.
    pub ended_us: Option<u64>,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
    /// Attempts so far.
    pub attempts: u32,
    /// The peer that the latest attempt went to.
    pub target: u64,
    /// Some attempt was not refused: it may take effect, answered or not.
    pub(super) maybe_taken: bool,
    /// Peers that did not answer in this round. Others may still take one of them for the leader;
    /// to believe them would be to wait again.
    silent: Vec<u64>,
    /// Attempts since the last one that was not answered.
    since_silence: u64,
    /// Its session, and its number there; none without sessions, and for reads.
    pub session: Option<(u64, u64)>,
}

impl Request {
    /// A request that `target` is the first to get, unless its client knows better.
    pub(super) fn new(
        id: u64,
        client: u64,
        op: Op,
        only: Option<u64>,
        target: u64,
        now_us: u64,
    ) -> Self {
        Self {
            id,
            client,
            op,
            only,
            invoked_us: now_us,
            sent_us: None,
            ended_us: None,
            outcome: None,
            attempts: 0,
            target,
            maybe_taken: false,
            silent: Vec::new(),
            since_silence: 0,
            session: None,
        }
    }

    /// The latest attempt was not answered, or by a store that holds no peer.
    pub(crate) fn not_answered(&mut self) {
        self.silent.push(self.target);
        self.since_silence = 0;
    }

    /// Once all others were asked and none of them knew better, whoever was silent may be asked
    /// again: perhaps it leads by now.
    pub(super) fn end_round(&mut self, peers: u64) {
        let others = peers.saturating_sub(self.silent.len() as u64);
        if others > 0 && self.since_silence >= others {
            self.silent.clear();
        }
        self.since_silence += 1;
    }

    pub(super) fn may_ask(&self, peer: u64) -> bool {
        !self.silent.contains(&peer)
    }

    /// The next peer in turn that has not been silent. If all have been, a new round begins.
    pub(super) fn following(&mut self, peers: u64) -> u64 {
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

    /// Whether an attempt may have changed something, or may do so later. A read never does.
    pub(super) fn may_have_effect(&self) -> bool {
        self.maybe_taken && self.op.is_write()
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
}
