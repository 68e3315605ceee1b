//! The rules of Raft, checked after every event. Ghost state: it exists in the simulator only.

use std::collections::BTreeMap;
use std::fmt;

use raft_core::eraftpb::Entry;
use raft_core::{EntryId, StateRole};
use raft_kv::Peer;

use crate::digest::fingerprint;
use crate::node::Ear;

/// A property that must hold in every run (paper figure 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// At most one leader in a term, over the whole history (5.2).
    ElectionSafety,
    /// Two logs with an entry of the same index and term agree on it and on its predecessor (5.3).
    LogMatching,
    /// A leader has every entry that was applied in an earlier term (5.4).
    LeaderCompleteness,
    /// No two peers apply different entries at one index, and none skips or repeats one (5.4.3).
    StateMachineSafety,
    /// Term and commit index never go backwards.
    Monotonicity,
}

impl Invariant {
    /// The name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "election safety",
            Self::LogMatching => "log matching",
            Self::LeaderCompleteness => "leader completeness",
            Self::StateMachineSafety => "state machine safety",
            Self::Monotonicity => "monotonicity",
        }
    }
}

/// A broken rule: when, where, and the two facts that disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// Virtual time.
    pub at_us: u64,
    /// The peer that broke it.
    pub peer: u64,
    /// What had been seen before.
    pub before: String,
    /// What contradicts it.
    pub now: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at_us, peer, before, now } = self;
        write!(f, "{} broken by n{peer} at {at_us} us: {before}; {now}", invariant.name())
    }
}

/// A log slot as it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    data: u64,
    previous_term: u64,
    peer: u64,
}

/// The entry that was first applied at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    id: EntryId,
    data: u64,
    peer: u64,
}

/// The last values of one peer's counters.
#[derive(Clone, Copy, Debug, Default)]
struct Watermarks {
    term: u64,
    commit: u64,
    applied: u64,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checker {
    leaders: BTreeMap<u64, u64>,
    slots: BTreeMap<(u64, u64), Slot>,
    applied: BTreeMap<u64, Applied>,
    watermarks: BTreeMap<u64, Watermarks>,
    violation: Option<Violation>,
}

impl Checker {
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A peer starts from its disk: what it had not made durable is legally gone.
    pub(crate) fn started(&mut self, id: u64, peer: &Peer<Ear>, now_us: u64) {
        let raft = peer.raft();
        let applied = raft.log().applied();
        let watermarks = Watermarks { term: raft.term(), commit: raft.log().committed(), applied };
        self.watermarks.insert(id, watermarks);
        let entries = raft.log().all_entries().unwrap_or_default();
        let first_term = entries.first().and_then(|e| raft.log().term(e.index - 1).ok());
        self.entries(id, &entries, first_term.unwrap_or(0), now_us);
    }

    /// A peer was touched by an event.
    pub(crate) fn touched(&mut self, id: u64, peer: &Peer<Ear>, now_us: u64) {
        let raft = peer.raft();
        self.monotone(id, raft.term(), raft.log().committed(), now_us);
        if raft.role() == StateRole::Leader {
            self.leader(id, peer, now_us);
        }
        let unstable = raft.log().unstable_entries();
        if let Some(first) = unstable.first() {
            let previous = raft.log().term(first.index - 1).unwrap_or(0);
            self.entries(id, unstable, previous, now_us);
        }
    }

    fn monotone(&mut self, id: u64, term: u64, commit: u64, now_us: u64) {
        let seen = self.watermarks.entry(id).or_default();
        let before = *seen;
        (seen.term, seen.commit) = (term, commit);
        if term < before.term || commit < before.commit {
            let facts = (
                format!("it was in term {} with commit index {}", before.term, before.commit),
                format!("it is in term {term} with commit index {commit}"),
            );
            self.report(Invariant::Monotonicity, id, facts, now_us);
        }
    }

    fn leader(&mut self, id: u64, peer: &Peer<Ear>, now_us: u64) {
        let term = peer.raft().term();
        match self.leaders.get(&term) {
            Some(&leader) if leader == id => {}
            Some(&leader) => {
                let facts = (format!("n{leader} led term {term}"), format!("n{id} leads it too"));
                self.report(Invariant::ElectionSafety, id, facts, now_us);
            }
            None => {
                self.leaders.insert(term, id);
                self.complete(id, peer, now_us);
            }
        }
    }

    /// The new leader's log holds everything that was applied in an earlier term.
    fn complete(&mut self, id: u64, peer: &Peer<Ear>, now_us: u64) {
        let (log, term) = (peer.raft().log(), peer.raft().term());
        let first = log.first_index().unwrap_or(u64::MAX);
        let missing = self
            .applied
            .range(first..)
            .map(|(_, applied)| *applied)
            .find(|applied| applied.id.term < term && !log.holds(applied.id));
        if let Some(Applied { id: entry, peer: applier, .. }) = missing {
            let facts = (
                format!("n{applier} applied entry {entry}"),
                format!("the leader of term {term} does not have it"),
            );
            self.report(Invariant::LeaderCompleteness, id, facts, now_us);
        }
    }

    /// `entries` stand in a log in this order, after an entry of `previous_term`.
    fn entries(&mut self, id: u64, entries: &[Entry], mut previous_term: u64, now_us: u64) {
        for entry in entries {
            let slot = Slot { data: fingerprint(&entry.data), previous_term, peer: id };
            let first = *self.slots.entry((entry.index, entry.term)).or_insert(slot);
            if (first.data, first.previous_term) != (slot.data, slot.previous_term) {
                let describe = |slot: Slot| {
                    let Slot { data, previous_term, peer } = slot;
                    let entry = EntryId::of(entry);
                    format!("n{peer} has {entry} (data {data:016x}) after term {previous_term}")
                };
                let facts = (describe(first), describe(slot));
                self.report(Invariant::LogMatching, id, facts, now_us);
            }
            previous_term = entry.term;
        }
    }

    /// A peer applied `entries`.
    pub(crate) fn applied(&mut self, id: u64, entries: &[Entry], now_us: u64) {
        for entry in entries {
            let next = Applied { id: EntryId::of(entry), data: fingerprint(&entry.data), peer: id };
            let watermark = self.watermarks.entry(id).or_default();
            let expected = watermark.applied + 1;
            watermark.applied = entry.index;
            if entry.index != expected {
                let facts = (
                    format!("it had applied up to {}", expected - 1),
                    format!("it applies {}", next.id),
                );
                self.report(Invariant::StateMachineSafety, id, facts, now_us);
            }
            let first = *self.applied.entry(entry.index).or_insert(next);
            if (first.id, first.data) != (next.id, next.data) {
                let describe =
                    |a: Applied| format!("n{} applied {} (data {:016x})", a.peer, a.id, a.data);
                let facts = (describe(first), describe(next));
                self.report(Invariant::StateMachineSafety, id, facts, now_us);
            }
        }
    }

    /// The first violation is the one that tells; what follows from it does not.
    fn report(&mut self, invariant: Invariant, peer: u64, facts: (String, String), at_us: u64) {
        let (before, now) = facts;
        self.violation.get_or_insert(Violation { invariant, at_us, peer, before, now });
    }
}
