//! Traces made by hand: for each rule some that it must refuse, and some odd but legal ones that a
//! careless checker would refuse.
//!
//! Peers start as TinyKV bootstraps them, with an empty log after entry 5 of term 5.

mod elections;
mod entries;
mod services;

use raft_core::eraftpb::MessageType;
use raft_core::{EntryId, StateRole};

use super::fact::{Executed, Fact, Hard, Logged, Match, Members, Sent, Snapshot, State};
use super::{Checker, Invariant};

/// A checker that is told a story.
pub(super) struct Trace {
    pub(super) checker: Checker,
    now_us: u64,
}

/// Entry `index` of `term`; entries of equal name say the same.
pub(super) fn entry(index: u64, term: u64) -> Logged {
    Logged { id: EntryId::new(term, index), hash: 1_000 * term + index, change: false }
}

pub(super) fn change(index: u64, term: u64) -> Logged {
    Logged { change: true, ..entry(index, term) }
}

/// A cluster of so many peers that have just started, all of them voters.
pub(super) fn cluster(peers: u64) -> Trace {
    let voters: Vec<_> = (1..=peers).collect();
    cluster_of(peers, &voters, &[])
}

/// A cluster of so many peers that have just started, with these voters.
pub(super) fn cluster_of(peers: u64, incoming: &[u64], outgoing: &[u64]) -> Trace {
    let mut trace = Trace { checker: Checker::default(), now_us: 0 };
    for peer in 1..=peers {
        trace.start(peer, Hard { term: 5, vote: 0, commit: 5, last: 5 }, 5, &[]);
        trace.members(peer, 5, incoming.iter().copied(), outgoing.iter().copied());
    }
    trace
}

impl Trace {
    pub(super) fn see(&mut self, fact: &Fact<'_>) -> &mut Self {
        self.now_us += 1;
        self.checker.see(self.now_us, fact);
        self
    }

    /// A peer starts after entry 5 of term 5 with these entries.
    pub(super) fn start(
        &mut self,
        peer: u64,
        hard: Hard,
        applied: u64,
        log: &[Logged],
    ) -> &mut Self {
        let base = EntryId::new(5, 5);
        let last = log.last().map_or(base, |entry| entry.id);
        let Hard { term, vote, commit, .. } = hard;
        let state = State { term, vote, commit, applied, base: 5, last, ..State::default() };
        self.see(&Fact::Started { peer, state, base });
        for &entry in log {
            self.see(&Fact::Loaded { peer, entry });
        }
        self
    }

    pub(super) fn members(
        &mut self,
        peer: u64,
        index: u64,
        incoming: impl IntoIterator<Item = u64>,
        outgoing: impl IntoIterator<Item = u64>,
    ) -> &mut Self {
        let incoming = incoming.into_iter().collect();
        let members = Members { incoming, outgoing: outgoing.into_iter().collect() };
        self.see(&Fact::Configured { peer, index, changed: true, members: &members })
    }

    /// The peer's state, with its log as it was told, after a change.
    pub(super) fn state(&mut self, peer: u64, change: impl FnOnce(&mut State)) -> &mut Self {
        let mut state = *self.checker.state(peer);
        state.last = self.checker.log(peer).last_id();
        change(&mut state);
        self.see(&Fact::State { peer, state })
    }

    /// The peer follows in `term`.
    pub(super) fn term(&mut self, peer: u64, term: u64) -> &mut Self {
        self.state(peer, |state| {
            let vote = if term == state.term { state.vote } else { 0 };
            *state = State { term, vote, leader: 0, ..follower(state) };
        })
    }

    /// The peer campaigns in `term` and has that on its disk.
    pub(super) fn campaign(&mut self, peer: u64, term: u64) -> &mut Self {
        let role = StateRole::Candidate;
        self.state(peer, |state| *state = State { term, vote: peer, role, leader: 0, ..*state });
        self.save(peer);
        self.send(peer, 0, MessageType::MsgRequestVote, term)
    }

    /// The peer votes for another in `term`, durably.
    pub(super) fn vote(&mut self, peer: u64, candidate: u64, term: u64) -> &mut Self {
        self.state(peer, |s| *s = State { term, vote: candidate, leader: 0, ..follower(s) });
        self.save(peer);
        self.send(peer, candidate, MessageType::MsgRequestVoteResponse, term)
    }

    /// The peer leads its term.
    pub(super) fn lead(&mut self, peer: u64) -> &mut Self {
        self.state(peer, |state| {
            state.role = StateRole::Leader;
            state.leader = peer;
        })
    }

    /// The peer wins an election in `term` with the votes of these.
    pub(super) fn elect(&mut self, peer: u64, term: u64, voters: &[u64]) -> &mut Self {
        self.campaign(peer, term);
        for &voter in voters {
            self.vote(voter, peer, term);
        }
        self.lead(peer)
    }

    /// Entries in memory, and the state that goes with them.
    pub(super) fn append(&mut self, peer: u64, entries: &[Logged]) -> &mut Self {
        for &entry in entries {
            self.see(&Fact::Appended { peer, entry });
        }
        self.state(peer, |_| {})
    }

    /// Entries on the disk, with the hard state as it is in memory.
    pub(super) fn store(&mut self, peer: u64, entries: &[Logged]) -> &mut Self {
        for &entry in entries {
            self.see(&Fact::Stored { peer, entry });
        }
        self.save(peer)
    }

    /// Entries in memory and on the disk.
    pub(super) fn take(&mut self, peer: u64, entries: &[Logged]) -> &mut Self {
        self.append(peer, entries);
        self.store(peer, entries)
    }

    /// The hard state becomes durable as it is in memory.
    pub(super) fn save(&mut self, peer: u64) -> &mut Self {
        let &State { term, vote, commit, .. } = self.checker.state(peer);
        let last = self.checker.ghost.peer(peer).disk.log.last();
        self.see(&Fact::StoredHard { peer, hard: Hard { term, vote, commit, last } })
    }

    pub(super) fn commit(&mut self, peer: u64, commit: u64) -> &mut Self {
        self.state(peer, |state| state.commit = commit)
    }

    /// The state machine is said to be `state` after the entry.
    pub(super) fn apply(&mut self, peer: u64, entry: Logged, state: u64) -> &mut Self {
        self.see(&Fact::Applied { peer, entry, state: Some(state) });
        self.state(peer, |state| state.applied = entry.id.index)
    }

    pub(super) fn send(&mut self, peer: u64, to: u64, kind: MessageType, term: u64) -> &mut Self {
        let message = Sent { kind, to, term, index: 0, reject: false, holds: None };
        self.see(&Fact::Sent { peer, message })
    }

    pub(super) fn acknowledge(&mut self, peer: u64, term: u64, index: u64) -> &mut Self {
        let kind = MessageType::MsgAppendResponse;
        let message = Sent { kind, to: 1, term, index, reject: false, holds: None };
        self.see(&Fact::Sent { peer, message })
    }

    pub(super) fn progress(&mut self, peer: u64, of: u64, matched: u64, next: u64) -> &mut Self {
        self.see(&Fact::Progress { peer, progress: Match { of, matched, next } })
    }

    pub(super) fn executed(&mut self, peer: u64, command: Executed) -> &mut Self {
        self.see(&Fact::Executed { peer, command })
    }

    pub(super) fn made(&mut self, peer: u64, snapshot: Snapshot) -> &mut Self {
        self.see(&Fact::SnapshotMade { peer, snapshot })
    }

    pub(super) fn install(&mut self, peer: u64, snapshot: Snapshot) -> &mut Self {
        let base = snapshot.id;
        self.see(&Fact::Replaced { peer, base });
        self.state(peer, |state| {
            (state.base, state.commit, state.last) = (base.index, base.index, base);
            state.installing = true;
        });
        self.see(&Fact::Installed { peer, snapshot });
        self.see(&Fact::StoredApplied { peer, applied: base.index, base });
        self.save(peer);
        self.state(peer, |state| {
            (state.applied, state.installing) = (base.index, false);
        })
    }

    /// Nothing was broken so far.
    pub(super) fn is_legal(&mut self) -> &mut Self {
        assert_eq!(self.checker.violation(), None);
        self
    }

    /// The last fact broke this rule.
    pub(super) fn breaks(&mut self, invariant: Invariant) {
        let violation = self.checker.violation().expect("a broken rule is noticed");
        assert_eq!(violation.invariant, invariant, "{violation}");
        assert_eq!(violation.at_us, self.now_us, "noticed at once: {violation}");
    }
}

fn follower(state: &State) -> State {
    State { role: StateRole::Follower, ..*state }
}
