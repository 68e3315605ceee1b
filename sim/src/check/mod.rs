//! The rules of Raft, checked after every event.
//!
//! The world tells [`Fact`]s; each is first judged by the rules against what was seen before, the
//! [`Ghost`], and then remembered there. A rule is a function from both to a broken rule or none;
//! it has no memory of its own. The first violation stays: what follows from it tells nothing.
//!
//! | file | rules |
//! | --- | --- |
//! | `election.rs` | I1 election safety, I2 one vote, I5 leader completeness |
//! | `log.rs` | I3 leader append-only, I4 log matching, I9 truncation, I10 order |
//! | `commit.rs` | I6 state machine safety, I7 commit durability, I8 commit rule |
//! | `monotone.rs` | I11 monotonicity |
//! | `outbox.rs` | I12 outbox |
//! | `snapshot.rs`, `membership.rs`, `mirror.rs` | I13, I14, I19 |
//! | `clients.rs`, `answers.rs` | I15 reads, I17 exactly once, I18 acknowledged writes |
//! | `liveness.rs` | L1 to L4, of a world that was healed |
//!
//! A fact costs the same however long the run is: a log is kept as the terms of its entries, a few
//! numbers an election, and never walked through.

mod answers;
mod clients;
mod commit;
mod election;
mod fact;
mod ghost;
mod hash;
mod invariant;
pub mod liveness;
mod log;
mod membership;
mod mirror;
mod monotone;
mod outbox;
mod slots;
mod snapshot;
mod terms;
#[cfg(test)]
mod tests;

use raft_core::EntryId;

pub(crate) use self::fact::{
    Answer, Executed, Fact, Hard, Logged, Match, Members, Sent, Snapshot, State,
};
use self::ghost::Ghost;
pub(crate) use self::hash::Hash;
pub use self::invariant::{Invariant, Violation};
pub(crate) use self::terms::Terms;

/// A rule that a fact breaks: what had been seen before, and what contradicts it.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    invariant: Invariant,
    entry: Option<EntryId>,
    before: String,
    now: String,
}

impl Broken {
    fn new(invariant: Invariant, before: String, now: String) -> Option<Self> {
        Some(Self { invariant, entry: None, before, now })
    }

    fn of_entry(invariant: Invariant, id: EntryId, before: String, now: String) -> Option<Self> {
        Some(Self { invariant, entry: Some(id), before, now })
    }
}

/// All rules, and what has been seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checker {
    ghost: Ghost,
    violation: Option<Violation>,
    retired: bool,
}

impl Checker {
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The peer's log in memory, as far as it was told.
    pub(crate) fn log(&self, peer: u64) -> &Terms {
        &self.ghost.peer(peer).log
    }

    /// The peer's latest state, as it was told.
    pub(crate) fn state(&self, peer: u64) -> &State {
        &self.ghost.peer(peer).state
    }

    /// What a leader knows of another peer's log, in the order in which it was told first.
    pub(crate) fn progress(&self, peer: u64, position: usize) -> Option<&Match> {
        self.ghost.peer(peer).progress.get(position)
    }

    /// The last entry that the peer's state machine has seen, as far as it was told.
    pub(crate) fn applied(&self, peer: u64) -> u64 {
        self.ghost.peer(peer).applied
    }

    /// Whether this entry was committed, as far as is remembered.
    pub(crate) fn is_committed(&self, id: EntryId) -> bool {
        self.ghost.committed.covers(id)
    }

    /// How many answers a store owes, and the first request that waits for one.
    pub(crate) fn owed_by(&self, store: u64) -> (usize, Option<u64>) {
        if self.retired { (0, None) } else { self.ghost.owed.by(store) }
    }

    /// Messages that left a peer so far.
    pub(crate) fn messages_sent(&self) -> u64 {
        self.ghost.messages_sent
    }

    /// A disk was wiped or rolled back, which Raft does not claim to survive: from now on nothing is
    /// claimed here, either.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Log indices of which something is remembered.
    #[cfg(test)]
    pub(crate) fn indices_kept(&self) -> usize {
        self.ghost.indices_kept()
    }

    /// Judges a fact, then remembers it.
    pub(crate) fn see(&mut self, at_us: u64, fact: &Fact<'_>) {
        if self.retired || self.violation.is_some() {
            return;
        }
        match judge(&self.ghost, fact) {
            None => self.ghost.see(fact),
            Some(Broken { invariant, entry, before, now }) => {
                let peer = fact.peer();
                self.violation = Some(Violation { invariant, at_us, peer, entry, before, now });
            }
        }
    }
}

/// The first rule that the fact breaks. Where it breaks several, the one that explains the others
/// comes first.
fn judge(ghost: &Ghost, fact: &Fact<'_>) -> Option<Broken> {
    match *fact {
        Fact::State { peer, state } => state_changed(ghost, peer, &state),
        Fact::Sent { peer, message } => election::vote_leaves(ghost, peer, &message)
            .or_else(|| outbox::leaves(ghost, peer, &message)),
        Fact::Appended { peer, entry } => {
            log::appended(ghost, peer, entry).or_else(|| membership::proposed(ghost, peer, entry))
        }
        Fact::Stored { peer, entry } => log::stored(ghost, peer, entry),
        Fact::StoredHard { peer, hard } => monotone::stored(ghost, peer, hard)
            .or_else(|| election::vote_stored(ghost, peer, hard))
            .or_else(|| log::stored_end(ghost, peer, hard))
            .or_else(|| mirror::stored(ghost, peer, hard)),
        Fact::Progress { peer, progress } => monotone::progress(ghost, peer, progress),
        Fact::Applied { peer, entry, state } => commit::applied(ghost, peer, entry, state),
        Fact::Replaced { peer, base } => log::replaced(ghost, peer, base),
        Fact::Started { peer, state, base } => monotone::started(ghost, peer, &state)
            .or_else(|| election::vote_loaded(ghost, peer, &state))
            .or_else(|| mirror::started(ghost, peer, &state, base)),
        Fact::Loaded { peer, entry } => {
            mirror::loaded(ghost, peer, entry).or_else(|| log::loaded(ghost, peer, entry))
        }
        Fact::AtRest { peer } => mirror::at_rest(ghost, peer),
        Fact::SnapshotMade { peer, snapshot } => snapshot::made(ghost, peer, snapshot),
        Fact::Installed { peer, snapshot } => snapshot::installed(ghost, peer, snapshot),
        Fact::Configured { peer, index, changed, members } => {
            membership::configured(ghost, peer, (index, changed), members)
        }
        Fact::Served { request, version, read_index, .. } => {
            clients::served(ghost, request, version, read_index)
        }
        Fact::Answered { request, answer } => clients::answered(ghost, request, answer),
        Fact::Executed { command, .. } => clients::executed(ghost, command),
        Fact::Refused { store, request, attempt } | Fact::Replied { store, request, attempt } => {
            answers::replied(ghost, (store, request, attempt))
        }
        Fact::Asked { .. }
        | Fact::Stopped { .. }
        | Fact::Cut { .. }
        | Fact::Destroyed { .. }
        | Fact::StoredApplied { .. }
        | Fact::Invoked { .. }
        | Fact::GaveUp { .. } => None,
    }
}

fn state_changed(ghost: &Ghost, peer: u64, state: &State) -> Option<Broken> {
    monotone::state(ghost, peer, state)
        .or_else(|| election::vote_kept(ghost, peer, state))
        .or_else(|| log::state(ghost, peer, state))
        .or_else(|| membership::rolled_back(ghost, peer, state))
        .or_else(|| election::led(ghost, peer, state))
        .or_else(|| membership::elected(ghost, peer, state))
        .or_else(|| commit::state(ghost, peer, state))
}
