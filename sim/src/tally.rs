//! Counts of what happened in a world.

use raft_core::StateRole;
use raft_core::eraftpb::MessageType;
use raft_kv::INIT_LOG_INDEX;
use serde::Serialize;

use crate::client::{Outcome, Reply, Request};
use crate::event::What;
use crate::network::Flight;
use crate::scenario::Op;

/// More types of messages than there are.
const MESSAGES: usize = 32;

/// Something that became of a fault, or of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A message was lost.
    MessageLost,
    /// A message came twice.
    MessageCopied,
    /// A piece of a snapshot arrived.
    SnapshotPiece,
    /// A peer refused a message.
    Refused,
    /// A peer crashed.
    Crashed,
    /// A peer crashed and lost a write that was under way.
    WriteLost,
    /// A peer crashed at a point of a write.
    CrashPointReached,
    /// A disk lost writes that waited for a sync.
    Unsynced,
    /// A peer stopped by itself.
    Failed,
    /// A stalled peer went on.
    Resumed,
    /// A client's attempt was lost.
    AttemptLost,
    /// A client's attempt was copied.
    AttemptCopied,
    /// An answer was lost.
    AnswerLost,
    /// A client asked again.
    Retried,
    /// A request ended without an answer.
    OutcomeUnknown,
    /// A request was refused.
    RequestRefused,
    /// A write took effect.
    Written,
    /// A compare-and-swap found what it expected.
    Swapped,
    /// A compare-and-swap found something else.
    NotSwapped,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::MessageLost,
        Self::MessageCopied,
        Self::SnapshotPiece,
        Self::Refused,
        Self::Crashed,
        Self::WriteLost,
        Self::CrashPointReached,
        Self::Unsynced,
        Self::Failed,
        Self::Resumed,
        Self::AttemptLost,
        Self::AttemptCopied,
        Self::AnswerLost,
        Self::Retried,
        Self::OutcomeUnknown,
        Self::RequestRefused,
        Self::Written,
        Self::Swapped,
        Self::NotSwapped,
    ];
}

/// Counts of what happened since the world began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    effects: [u64; Effect::ALL.len()],
    messages: [u64; MESSAGES],
    /// The last entry that was committed.
    committed: u64,
    /// Entries that were committed.
    pub(crate) commits: u64,
    /// Leaders that were elected.
    pub(crate) elections: u64,
    /// Reads that were answered.
    pub(crate) reads: u64,
    /// Operations on keys that were answered, reads among them.
    pub(crate) answers: u64,
    /// Histories of settled worlds that were too hard to judge.
    pub(crate) undecided: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            effects: [0; Effect::ALL.len()],
            messages: [0; MESSAGES],
            committed: INIT_LOG_INDEX,
            commits: 0,
            elections: 0,
            reads: 0,
            answers: 0,
            undecided: 0,
        }
    }
}

impl Tally {
    /// How often this came of something.
    pub(crate) fn effect(&self, effect: Effect) -> u64 {
        self.effects[effect as usize]
    }

    /// Messages of this type that arrived.
    pub(crate) fn messages(&self, kind: MessageType) -> u64 {
        usize::try_from(kind as i32).ok().and_then(|at| self.messages.get(at)).map_or(0, |n| *n)
    }

    /// Adds the counts of another world.
    pub(crate) fn add(&mut self, other: &Self) {
        let own = self.effects.iter_mut().chain(&mut self.messages);
        own.zip(other.effects.iter().chain(&other.messages)).for_each(|(own, n)| *own += n);
        self.commits += other.commits;
        self.elections += other.elections;
        self.reads += other.reads;
        self.answers += other.answers;
        self.undecided += other.undecided;
    }

    /// A message has arrived.
    pub(crate) fn delivered(&mut self, flight: &Flight) {
        if flight.message.snapshot_chunk.is_some() {
            return self.count(Effect::SnapshotPiece);
        }
        let kind = flight.message.message.as_ref().map_or(-1, |inner| inner.msg_type);
        let at = usize::try_from(kind).unwrap_or(MESSAGES);
        if let Some(count) = self.messages.get_mut(at) {
            *count += 1;
        }
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, request: &Request) {
        let done = matches!(request.outcome, Some(Outcome::Done(_)));
        let on_keys = !request.op.is_admin() && request.op != Op::OpenSession;
        self.answers += u64::from(done && on_keys);
        let effect = match (&request.outcome, &request.op) {
            (Some(Outcome::Done(_)), Op::Get { .. } | Op::Scan { .. }) => {
                self.reads += 1;
                return;
            }
            (Some(Outcome::Done(Reply::Swapped { done: true, .. })), _) => Effect::Swapped,
            (Some(Outcome::Done(Reply::Swapped { .. })), _) => Effect::NotSwapped,
            (Some(Outcome::Done(_)), _) => Effect::Written,
            (Some(Outcome::Refused(_)), _) => Effect::RequestRefused,
            (Some(Outcome::Unknown), _) => Effect::OutcomeUnknown,
            (None, _) => return,
        };
        self.count(effect);
    }

    /// Anything else happened.
    pub(crate) fn happened(&mut self, what: &What) {
        let effect = match what {
            What::Role { to: StateRole::Leader, .. } => {
                self.elections += 1;
                return;
            }
            What::Committed { last, .. } => {
                let news = last.index.saturating_sub(self.committed);
                self.commits += news;
                self.committed += news;
                return;
            }
            What::Lost(_) => Effect::MessageLost,
            What::Duplicated(_) => Effect::MessageCopied,
            What::Refused { .. } => Effect::Refused,
            What::Crashed { lost_write: true, .. } => Effect::WriteLost,
            What::Crashed { .. } => Effect::Crashed,
            What::Reached { .. } => Effect::CrashPointReached,
            What::Unsynced { .. } => Effect::Unsynced,
            What::Failed { .. } => Effect::Failed,
            What::Resumed { .. } => Effect::Resumed,
            What::AttemptLost { .. } => Effect::AttemptLost,
            What::AttemptCopied { .. } => Effect::AttemptCopied,
            What::AnswerLost { .. } => Effect::AnswerLost,
            What::Retried { .. } => Effect::Retried,
            _ => return,
        };
        self.count(effect);
    }

    fn count(&mut self, effect: Effect) {
        self.effects[effect as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_has_a_place_of_its_own() {
        for (at, effect) in Effect::ALL.into_iter().enumerate() {
            assert_eq!(effect as usize, at, "{effect:?}");
        }
    }
}
