//! What a run met: faults, messages, decisions, and what came of them.

use std::collections::BTreeMap;

use raft_core::StateRole;
use raft_core::eraftpb::MessageType;
use raft_kv::INIT_LOG_INDEX;
use serde::Serialize;

use super::branches::{Branch, Hits};
use crate::client::{Outcome, Reply};
use crate::event::{Happening, What};
use crate::nemesis::FaultClass;
use crate::scenario::Op;
use crate::world::World;

/// Events between two looks at what happened: the world remembers more than they can make.
const EVENTS_PER_LOOK: u64 = 64;
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

/// Counts of what was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Strikes of each class of faults.
    pub faults: BTreeMap<FaultClass, u64>,
    /// What came of them.
    pub effects: BTreeMap<Effect, u64>,
    /// Messages that arrived, by type.
    messages: [u64; MESSAGES],
    /// Decisions of the rules, if they were counted.
    pub(super) branches: Hits,
    /// Entries that were committed.
    pub commits: u64,
    /// Leaders that were elected.
    pub elections: u64,
    /// Reads that were answered.
    pub reads: u64,
}

impl Coverage {
    /// Messages of this type that arrived.
    pub fn messages(&self, kind: MessageType) -> u64 {
        usize::try_from(kind as i32).ok().and_then(|at| self.messages.get(at)).map_or(0, |n| *n)
    }

    /// How often a rule decided so.
    pub fn branch(&self, branch: Branch) -> u64 {
        self.branches.of(branch)
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (&class, strikes) in &other.faults {
            *self.faults.entry(class).or_default() += strikes;
        }
        for (&effect, count) in &other.effects {
            *self.effects.entry(effect).or_default() += count;
        }
        for (own, count) in self.messages.iter_mut().zip(other.messages) {
            *own += count;
        }
        self.branches.add(&other.branches);
        self.commits += other.commits;
        self.elections += other.elections;
        self.reads += other.reads;
    }

    fn effect(&mut self, effect: Effect) {
        *self.effects.entry(effect).or_default() += 1;
    }
}

/// Runs a world, counts what happens and tells it to whoever listens.
pub(super) struct Observer<'a> {
    coverage: Coverage,
    /// The last happening that was counted.
    seen: u64,
    committed: u64,
    listener: Option<Listener<'a>>,
}

/// Is told what happens, in order.
pub(super) type Listener<'a> = &'a mut dyn FnMut(&Happening);

impl<'a> Observer<'a> {
    pub(super) fn new(listener: Option<Listener<'a>>) -> Self {
        Self { coverage: Coverage::default(), seen: 0, committed: INIT_LOG_INDEX, listener }
    }

    /// As [`World::run_until`].
    pub(super) fn run_until(&mut self, world: &mut World, time_us: u64) {
        // Whoever listens hears much more.
        let events = if self.listener.is_some() { 1 } else { EVENTS_PER_LOOK };
        let mut until_look = events;
        while world.next_event_us().is_some_and(|next| next <= time_us) && world.step() {
            until_look -= 1;
            if until_look == 0 {
                self.look(world);
                until_look = events;
            }
        }
        world.run_until(time_us);
        self.look(world);
    }

    /// Counts what happened since the last look.
    pub(super) fn look(&mut self, world: &World) {
        let seen = self.seen;
        for happening in world.happenings().rev().take_while(|h| h.number > seen) {
            self.count(world, &happening.what);
        }
        if let Some(listener) = &mut self.listener {
            world.happenings().filter(|h| h.number > seen).for_each(listener);
        }
        self.seen = world.happened();
    }

    pub(super) fn finish(mut self, world: &World) -> Coverage {
        self.look(world);
        self.coverage
    }

    fn count(&mut self, world: &World, what: &What) {
        let effect = match what {
            What::Delivered(flight) if flight.message.snapshot_chunk.is_some() => {
                Effect::SnapshotPiece
            }
            What::Delivered(flight) => {
                let kind = flight.message.message.as_ref().map_or(-1, |inner| inner.msg_type);
                let at = usize::try_from(kind).unwrap_or(MESSAGES);
                if let Some(count) = self.coverage.messages.get_mut(at) {
                    *count += 1;
                }
                return;
            }
            What::Role { to: StateRole::Leader, .. } => {
                self.coverage.elections += 1;
                return;
            }
            What::Committed { last, .. } => {
                let news = last.index.saturating_sub(self.committed);
                self.coverage.commits += news;
                self.committed += news;
                return;
            }
            What::Ended { request, .. } => return self.count_end(world, *request),
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
        self.coverage.effect(effect);
    }

    fn count_end(&mut self, world: &World, request: u64) {
        let Some(request) = world.request(request) else { return };
        let effect = match (&request.outcome, &request.op) {
            (Some(Outcome::Done(_)), Op::Get { .. } | Op::Scan { .. }) => {
                self.coverage.reads += 1;
                return;
            }
            (Some(Outcome::Done(Reply::Swapped { done: true, .. })), _) => Effect::Swapped,
            (Some(Outcome::Done(Reply::Swapped { .. })), _) => Effect::NotSwapped,
            (Some(Outcome::Done(_)), _) => Effect::Written,
            (Some(Outcome::Refused(_)), _) => Effect::RequestRefused,
            (Some(Outcome::Unknown), _) => Effect::OutcomeUnknown,
            (None, _) => return,
        };
        self.coverage.effect(effect);
    }
}
