//! The ghost state: what has been seen so far. It exists in the simulator only.
//!
//! | in the specification | here | size |
//! | --- | --- | --- |
//! | `G[i]`, first committed entry | [`Ghost::committed`] and [`Ghost::committed_in`] | an election |
//! | `P[i,t]`, entry and predecessor | [`Ghost::slots`] | 24 bytes an index |
//! | `H(i)`, state machine | [`Ghost::states`] | 8 bytes an index |
//! | `L[t]`, leader of a term | [`Ghost::leaders`] | an election |
//! | `V[n,t]`, vote that was sent | [`PeerGhost::votes`] | an election |
//! | `d.`, what is durable | [`Disk`] | an election |
//!
//! Records of an index are dropped once every disk has applied it: no correct peer appends or
//! applies there again.

use std::collections::BTreeMap;

use raft_core::{EntryId, StateRole};

use super::answers::Owed;
use super::clients::Clients;
use super::fact::{Fact, Hard, Logged, Match, Members, Snapshot, State};
use super::slots::{Ring, Slot, Slots};
use super::terms::Terms;

/// Indices that are dropped together.
const FORGET_STEP: u64 = 1_024;

/// What is known of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerGhost {
    /// It was seen to start, or, if a membership change created it, to write something.
    pub(crate) known: bool,
    /// It was destroyed, and what it still says is a farewell.
    pub(crate) gone: bool,
    /// Its latest state in memory.
    pub(crate) state: State,
    /// Its log in memory.
    pub(crate) log: Terms,
    /// The lowest index that was cut off its log since the latest state.
    pub(crate) lost_from: Option<u64>,
    /// Membership changes in its log, ascending; those that are committed may be left out.
    pub(crate) changes: Vec<u64>,
    /// The last entry that its state machine has seen.
    pub(crate) applied: u64,
    /// What it knows about the others' logs while it leads.
    pub(crate) progress: Vec<Match>,
    pub(crate) members: Members,
    /// Where its members come from.
    pub(crate) members_at: u64,
    /// What is durable.
    pub(crate) disk: Disk,
    /// Votes that were sent: term and candidate.
    pub(crate) votes: Vec<(u64, u64)>,
}

/// What is durable of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard: Hard,
    pub(crate) applied: u64,
    pub(crate) log: Terms,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ghost {
    /// The first peers, by id: they are asked for all the time.
    peers: Vec<PeerGhost>,
    /// Those that membership changes created: each has a new id, higher than all before it.
    later: BTreeMap<u64, PeerGhost>,
    pub(crate) slots: Slots,
    /// The first entry that was committed at each index.
    pub(crate) committed: Terms,
    /// The term in which that happened.
    pub(crate) committed_in: Terms,
    pub(crate) states: Ring<u64>,
    pub(crate) leaders: BTreeMap<u64, u64>,
    /// The members' hash from each index on.
    pub(crate) configurations: BTreeMap<u64, u64>,
    pub(crate) clients: Clients,
    pub(crate) owed: Owed,
    pub(crate) messages_sent: u64,
    /// Records of an index up to here were dropped.
    floor: u64,
    /// What happened up to here was not seen: peers started with it on their disks.
    horizon: u64,
    nobody: PeerGhost,
}

impl PeerGhost {
    /// The vote that was sent in `term`.
    pub(crate) fn vote_in(&self, term: u64) -> Option<u64> {
        let of_term = |&&(of, _): &&(u64, u64)| of <= term;
        self.votes.iter().rev().find(of_term).filter(|(of, _)| *of == term).map(|(_, to)| *to)
    }

    pub(crate) fn leads(&self) -> bool {
        self.state.role == StateRole::Leader
    }

    fn vote_sent(&mut self, term: u64, candidate: u64) {
        if self.vote_in(term).is_none() {
            let place = self.votes.partition_point(|(of, _)| *of < term);
            self.votes.insert(place, (term, candidate));
        }
    }

    fn lost(&mut self, from: u64) {
        self.lost_from = Some(self.lost_from.map_or(from, |lost| lost.min(from)));
        self.changes.retain(|&index| index < from);
    }

    fn append(&mut self, entry: Logged) {
        if entry.id.index <= self.log.last() {
            self.lost(entry.id.index);
        }
        self.log.push(entry.id);
        if entry.change {
            let commit = self.state.commit;
            self.changes.retain(|&index| index > commit);
            self.changes.push(entry.id.index);
        }
    }
}

impl Ghost {
    /// What is known of peer `id`; of one that never started, nothing.
    pub(crate) fn peer(&self, id: u64) -> &PeerGhost {
        let first = usize::try_from(id).ok().and_then(|at| self.peers.get(at));
        first.or_else(|| self.later.get(&id)).unwrap_or(&self.nobody)
    }

    fn peer_mut(&mut self, id: u64) -> &mut PeerGhost {
        match usize::try_from(id) {
            Ok(position) if position < FIRST_IDS => {
                if position >= self.peers.len() {
                    self.peers.resize_with(position + 1, PeerGhost::default);
                }
                &mut self.peers[position]
            }
            _ => self.later.entry(id).or_default(),
        }
    }

    /// The state machine's hash after the entry at `index`, where known.
    pub(crate) fn state_at(&self, index: u64) -> Option<u64> {
        self.states.get(index).filter(|&hash| hash != 0)
    }

    /// The members' hash at `index`, where known.
    pub(crate) fn members_at(&self, index: u64) -> Option<u64> {
        let (at, hash) = self.configurations.range(..=index).next_back()?;
        (*at == index || index >= self.horizon).then_some(*hash)
    }

    /// The last entry that was committed in a term before `term`.
    pub(crate) fn committed_before(&self, term: u64) -> Option<EntryId> {
        let last = self.committed_in.last_below(term)?.index;
        Some(EntryId::new(self.committed.term(last)?, last))
    }

    /// The voters of a configuration that hold `id` on their disks, crashed or not.
    pub(crate) fn holders<'a>(
        &'a self,
        voters: &'a [u64],
        id: EntryId,
    ) -> impl Iterator<Item = u64> + 'a {
        voters.iter().copied().filter(move |&voter| self.peer(voter).disk.log.covers(id))
    }

    /// Remembers a fact, after it was judged.
    pub(crate) fn see(&mut self, fact: &Fact<'_>) {
        match *fact {
            Fact::Started { peer, state, base } => self.started(peer, state, base),
            Fact::Loaded { peer, entry } => self.loaded(peer, entry),
            Fact::Cut { peer, last } => {
                let ghost = self.peer_mut(peer);
                if last < ghost.log.last() {
                    ghost.lost(last + 1);
                    ghost.log.cut(last);
                }
            }
            Fact::Appended { peer, entry } => {
                self.note_entry(peer, entry, |ghost| &ghost.log);
                self.peer_mut(peer).append(entry);
            }
            Fact::Replaced { peer, base } => {
                let ghost = self.peer_mut(peer);
                ghost.log = Terms::after(base);
                ghost.changes.clear();
            }
            Fact::State { peer, state } => self.state(peer, state),
            Fact::Progress { peer, progress } => {
                let known = &mut self.peer_mut(peer).progress;
                match known.iter_mut().find(|known| known.of == progress.of) {
                    Some(known) => *known = progress,
                    None => known.push(progress),
                }
            }
            Fact::Sent { peer, message } => {
                self.messages_sent += 1;
                if let Some(candidate) = message.vote(peer) {
                    self.peer_mut(peer).vote_sent(message.term, candidate);
                }
            }
            Fact::Stored { .. } | Fact::StoredHard { .. } | Fact::StoredApplied { .. } => {
                self.stored(fact);
            }
            Fact::Applied { peer, entry, state } => {
                self.peer_mut(peer).applied = entry.id.index;
                self.note_state(entry.id.index, state);
            }
            Fact::SnapshotMade { snapshot, .. } => {
                self.note_state(snapshot.id.index, snapshot.state);
            }
            Fact::Installed { peer, snapshot } => {
                self.peer_mut(peer).applied = snapshot.id.index;
                self.note_snapshot(snapshot);
            }
            Fact::Configured { peer, index, members, .. } => self.configured(peer, index, members),
            Fact::Asked { .. }
            | Fact::Refused { .. }
            | Fact::Replied { .. }
            | Fact::Stopped { .. } => self.owed.see(fact),
            Fact::Invoked { .. }
            | Fact::Served { .. }
            | Fact::Answered { .. }
            | Fact::GaveUp { .. }
            | Fact::Executed { .. } => self.clients.see(fact, self.committed.last()),
            Fact::Destroyed { peer } => {
                // Its votes may still be on their way.
                let votes = std::mem::take(&mut self.peer_mut(peer).votes);
                *self.peer_mut(peer) = PeerGhost { gone: true, votes, ..PeerGhost::default() };
            }
            Fact::AtRest { .. } => {}
        }
    }

    fn started(&mut self, id: u64, state: State, base: EntryId) {
        let ghost = self.peer_mut(id);
        let disk = std::mem::take(&mut ghost.disk);
        let (votes, known) = (std::mem::take(&mut ghost.votes), ghost.known);
        *ghost = PeerGhost {
            known: true,
            state,
            log: Terms::after(base),
            votes,
            ..PeerGhost::default()
        };
        ghost.applied = state.applied;
        if known {
            ghost.disk = disk;
        } else {
            let State { term, vote, commit, applied, last, .. } = state;
            let hard = Hard { term, vote, commit, last: last.index };
            ghost.disk = Disk { hard, applied, log: Terms::after(base) };
            self.horizon = self.horizon.max(applied);
        }
        // What a first start finds committed was committed before anybody looked.
        if self.committed.last() == 0 || base.index > self.committed.last() {
            self.committed = Terms::after(base);
            self.committed_in = Terms::after(base);
        }
    }

    fn loaded(&mut self, id: u64, entry: Logged) {
        self.note_entry(id, entry, |ghost| &ghost.log);
        let ghost = self.peer_mut(id);
        ghost.append(entry);
        // The disk of a peer that starts for the first time is learned from what it loads.
        if entry.id.index > ghost.disk.log.last() {
            ghost.disk.log.push(entry.id);
        }
        let State { term, commit, .. } = ghost.state;
        if entry.id.index <= commit && entry.id.index == self.committed.last() + 1 {
            self.committed.push(entry.id);
            self.committed_in.push(EntryId::new(term, entry.id.index));
        }
    }

    /// Remembers an entry that stands in this log of the peer.
    fn note_entry(&mut self, id: u64, entry: Logged, log: impl Fn(&PeerGhost) -> &Terms) {
        let EntryId { term, index } = entry.id;
        if let Some(previous_term) = log(self.peer(id)).term(index.saturating_sub(1)) {
            self.slots.see(index, Slot { term, hash: entry.hash, previous_term });
        }
    }

    fn note_state(&mut self, index: u64, state: Option<u64>) {
        if let Some(state) = state.filter(|_| index > self.floor)
            && let Some(known) = self.states.slot(index).filter(|known| **known == 0)
        {
            *known = state;
        }
    }

    fn note_snapshot(&mut self, snapshot: Snapshot) {
        self.note_state(snapshot.id.index, snapshot.state);
        if let Some(members) = snapshot.members {
            self.configurations.entry(snapshot.id.index).or_insert(members);
        }
    }

    fn configured(&mut self, id: u64, index: u64, members: &Members) {
        let ghost = self.peer_mut(id);
        ghost.members.clone_from(members);
        ghost.members_at = index;
        // A peer that was removed and is added again is a new one to its leader.
        ghost.progress.clear();
        let hash = members.hash();
        if self.members_at(index) != Some(hash) {
            self.configurations.entry(index).or_insert(hash);
        }
    }

    fn state(&mut self, id: u64, state: State) {
        let ghost = self.peer_mut(id);
        if !(state.role == StateRole::Leader && ghost.leads() && state.term == ghost.state.term) {
            ghost.progress.clear();
        }
        if state.base > ghost.log.base().index {
            ghost.log.compact(state.base);
        }
        ghost.state = state;
        ghost.gone = false;
        ghost.lost_from = None;
        if state.role == StateRole::Leader {
            self.leaders.entry(state.term).or_insert(id);
        }
        for index in self.committed.last() + 1..=state.commit {
            let Some(term) = self.peer(id).log.term(index) else { continue };
            self.committed.push(EntryId::new(term, index));
            self.committed_in.push(EntryId::new(state.term, index));
        }
    }

    fn stored(&mut self, fact: &Fact<'_>) {
        match *fact {
            Fact::Stored { peer, entry } => {
                self.note_entry(peer, entry, |ghost| &ghost.disk.log);
                self.peer_mut(peer).disk.log.push(entry.id);
            }
            Fact::StoredHard { peer, hard } => {
                let ghost = self.peer_mut(peer);
                ghost.known = true;
                let disk = &mut ghost.disk;
                disk.hard = hard;
                disk.log.cut(hard.last);
            }
            Fact::StoredApplied { peer, applied, base } => {
                let disk = &mut self.peer_mut(peer).disk;
                disk.applied = applied;
                disk.log.rebase(base);
                if applied >= self.floor + 2 * FORGET_STEP {
                    self.forget();
                }
            }
            _ => {}
        }
    }

    /// Drops what every disk has applied.
    fn forget(&mut self) {
        let peers = self.peers.iter().chain(self.later.values());
        let known = peers.filter(|peer| peer.known);
        let Some(lowest) = known.map(|peer| peer.disk.applied).min() else { return };
        let floor = lowest.saturating_sub(FORGET_STEP);
        if floor < self.floor + FORGET_STEP {
            return;
        }
        self.floor = floor;
        self.slots.forget(floor);
        self.states.forget(floor);
        self.committed.compact(floor);
        self.committed_in.compact(floor);
    }

    #[cfg(test)]
    pub(crate) fn indices_kept(&self) -> usize {
        self.slots.len().max(self.states.len())
    }
}

/// The ids that the first peers have are lower.
const FIRST_IDS: usize = 10;
