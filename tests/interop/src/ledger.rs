//! What may never happen, checked against everything that ever did.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use raft_core::eraftpb::{ConfState, Entry};

use crate::disk::{App, Disk, FIRST, hash, sorted};
use crate::peer::{Fatal, Peer, Role, View, Work};

/// An entry that some node has applied.
#[derive(Clone, Debug)]
struct Applied {
    term: u64,
    hash: u64,
    /// The state machine after it.
    digest: u64,
    members: ConfState,
}

/// A read that was asked for.
#[derive(Clone, Copy, Debug)]
struct Read {
    node: u64,
    /// The highest commit index that any node knew of when it was asked for.
    least: u64,
    served: bool,
}

/// The memory of the whole cluster, which no node has.
#[derive(Debug)]
pub(crate) struct Ledger {
    leaders: BTreeMap<u64, u64>,
    /// Whom each voter chose in each term.
    votes: HashMap<(u64, u64), u64>,
    /// Term of the predecessor and fingerprint of every entry that was ever written, by index and
    /// term. If each of them is unique, equal names mean equal logs up to there.
    entries: HashMap<(u64, u64), (u64, u64)>,
    /// What was applied, from index `FIRST + 1` on.
    applied: Vec<Applied>,
    first: App,
    /// Everybody who was ever removed.
    removed: BTreeSet<u64>,
    reads: Vec<Read>,
    committed: u64,
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Ledger {
    pub(crate) fn new(first: App) -> Self {
        Self {
            leaders: BTreeMap::new(),
            votes: HashMap::new(),
            entries: HashMap::new(),
            applied: Vec::new(),
            first,
            removed: BTreeSet::new(),
            reads: Vec::new(),
            committed: FIRST,
        }
    }

    /// The highest commit index that any node has known of.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The highest index that any node has applied.
    pub(crate) fn applied(&self) -> u64 {
        FIRST + self.applied.len() as u64
    }

    /// The members after everything that any node has applied.
    pub(crate) fn members(&self) -> &ConfState {
        self.applied.last().map_or(&self.first.members, |applied| &applied.members)
    }

    /// Whether node `id` was a member once and then was not.
    pub(crate) fn was_removed(&self, id: u64) -> bool {
        self.removed.contains(&id)
    }

    /// Who led, or leads, `term`.
    pub(crate) fn leader_of(&self, term: u64) -> Option<u64> {
        self.leaders.get(&term).copied()
    }

    /// Election safety (figure 3), and leader completeness.
    pub(crate) fn elected(&mut self, id: u64, term: u64, peer: &dyn Peer) -> Result<(), Fatal> {
        let other = *self.leaders.entry(term).or_insert(id);
        if other != id {
            return Err(format!("election safety: {other} and {id} both lead term {term}"));
        }
        let Some(last) = self.applied.last() else {
            return Ok(());
        };
        let index = self.applied();
        let compacted = peer.disk().truncated().index >= index;
        if last.term < term && !compacted && peer.term_at(index) != Some(last.term) {
            return Err(format!(
                "leader completeness: {id} leads term {term} without the committed entry {index} \
                 of term {}",
                last.term
            ));
        }
        Ok(())
    }

    /// One vote per voter and term, across restarts. Counts the votes that were told to others, and
    /// those that leaders were elected with: a vote that was only thought may be lost in a crash,
    /// also one for oneself, and a request for votes is none.
    pub(crate) fn voted(&mut self, voter: u64, term: u64, choice: u64) -> Result<(), Fatal> {
        let other = *self.votes.entry((voter, term)).or_insert(choice);
        if other == choice {
            Ok(())
        } else {
            Err(format!("double vote: {voter} chose {other} and {choice} in term {term}"))
        }
    }

    /// Log matching (figure 3): `work` is to be written to `disk`. Returns whether its entries
    /// replace others.
    pub(crate) fn written(&mut self, id: u64, disk: &Disk, work: &Work) -> Result<bool, Fatal> {
        let entries = &work.entries;
        let Some(first) = entries.first() else {
            return Ok(false);
        };
        let snapshot = work.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
        let mut previous = match snapshot {
            Some(metadata) if metadata.index == first.index - 1 => metadata.term,
            _ => disk.term_at(first.index - 1).map_err(|error| {
                format!("{id} writes entry {} after nothing: {error}", first.index)
            })?,
        };
        for (entry, expected) in entries.iter().zip(first.index..) {
            if entry.index != expected || entry.term < previous {
                return Err(format!(
                    "{id} writes entry {} of term {} where {expected} after term {previous} must \
                     stand",
                    entry.index, entry.term
                ));
            }
            let facts = (previous, hash(entry));
            let known = *self.entries.entry((entry.index, entry.term)).or_insert(facts);
            if known != facts {
                return Err(format!(
                    "log matching: {id} writes entry {} of term {} with predecessor and content \
                     {facts:x?}, others have {known:x?}",
                    entry.index, entry.term
                ));
            }
            previous = entry.term;
        }
        Ok(disk.term_at(first.index).is_ok_and(|term| term != first.term))
    }

    /// State-machine safety (figure 3): `app` has just applied `entry`. Returns whether it is the
    /// first to do so.
    pub(crate) fn apply(&mut self, id: u64, app: &App, entry: &Entry) -> Result<bool, Fatal> {
        let at = index(entry.index - FIRST - 1);
        let now = Applied {
            term: entry.term,
            hash: hash(entry),
            digest: app.digest,
            members: sorted(&app.members),
        };
        match self.applied.get(at) {
            None if at == self.applied.len() => {
                let (old, new) = (all_members(self.members()), all_members(&now.members));
                self.removed.extend(old.iter().filter(|id| !new.contains(id)));
                self.applied.push(now);
                Ok(true)
            }
            None => Err(format!("{id} applies entry {} before its predecessors", entry.index)),
            Some(before) => Self::agree(id, entry.index, before, &now).map(|()| false),
        }
    }

    /// As [`apply`](Self::apply), for a state machine that came as a snapshot.
    pub(crate) fn restore(&self, id: u64, app: &App) -> Result<(), Fatal> {
        if app.index == FIRST {
            return Ok(());
        }
        let Some(before) = self.applied.get(index(app.index - FIRST - 1)) else {
            return Err(format!("{id} gets a snapshot of {}, which none has applied", app.index));
        };
        let now = Applied {
            term: app.term,
            hash: before.hash,
            digest: app.digest,
            members: sorted(&app.members),
        };
        Self::agree(id, app.index, before, &now)
    }

    fn agree(id: u64, index: u64, before: &Applied, now: &Applied) -> Result<(), Fatal> {
        let same = |a: &Applied, b: &Applied| {
            (a.term, a.hash, a.digest) == (b.term, b.hash, b.digest) && a.members == b.members
        };
        if same(before, now) {
            return Ok(());
        }
        Err(format!("state-machine safety: {id} applied {now:x?} at {index}, others {before:x?}"))
    }

    /// What changed at node `id` in one event.
    pub(crate) fn saw(
        &mut self,
        id: u64,
        before: View,
        now: View,
        peer: &dyn Peer,
    ) -> Result<(), Fatal> {
        if now.term < before.term || now.committed < before.committed {
            return Err(format!("{id} went back from {before:?} to {now:?}"));
        }
        if now.committed > now.last {
            return Err(format!("{id} committed what it does not have: {now:?}"));
        }
        if now.term == before.term && before.vote != 0 && now.vote != before.vote {
            return Err(format!("{id} changed its vote: {before:?}, then {now:?}"));
        }
        let led = before.role == Role::Leader && before.term == now.term;
        if now.role == Role::Leader && !led {
            self.elected(id, now.term, peer)?;
        }
        self.committed = self.committed.max(now.committed);
        Ok(())
    }

    /// A read is asked for at `node`; the answer is its context.
    pub(crate) fn ask(&mut self, node: u64) -> u64 {
        self.reads.push(Read { node, least: self.committed, served: false });
        self.reads.len() as u64 - 1
    }

    /// The read `number` may be served at `index`. Returns whether this is the first time.
    pub(crate) fn serve(&mut self, node: u64, number: u64, at: u64) -> Result<bool, Fatal> {
        let committed = self.committed;
        let Some(read) = self.reads.get_mut(index(number)) else {
            return Err(format!("{node} may serve read {number}, which nobody asked for"));
        };
        if read.node != node {
            return Err(format!("{node} may serve read {number}, which {} asked for", read.node));
        }
        if at < read.least {
            return Err(format!(
                "stale read: {node} may serve read {number} at {at}, but {} was committed when it \
                 was asked for",
                read.least
            ));
        }
        if at > committed {
            return Err(format!("{node} may serve read {number} at {at}, beyond {committed}"));
        }
        Ok(!std::mem::replace(&mut read.served, true))
    }

    /// Whether the read `number` may be served.
    pub(crate) fn is_served(&self, number: u64) -> bool {
        self.reads.get(index(number)).is_some_and(|read| read.served)
    }
}

/// Everybody who has a say in `members` or listens.
pub(crate) fn all_members(members: &ConfState) -> Vec<u64> {
    let lists = [&members.voters, &members.learners, &members.voters_outgoing];
    let mut all: Vec<_> = lists.into_iter().flatten().copied().collect();
    all.extend(&members.learners_next);
    all.sort_unstable();
    all.dedup();
    all
}
