//! What must hold in every scene, whatever it expects: the safety properties of figure 3.
//!
//! The judge is told of every change as it happens and remembers all that it was told, so two
//! leaders of one term are noticed even if they never led at the same time. A violation names the
//! property and the two facts that disagree. Entries read `term/index`, as everywhere in a scene.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft_core::eraftpb::{Entry, HardState, Message, MessageType};
use raft_core::{EntryId, StateRole};

/// A property that does not hold, and the facts.
type Verdict = Result<(), String>;

const SAVED_FIRST: &str = "saved before it is said (figure 2)";

/// All that was seen in one scene.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    leaders: BTreeMap<u64, u64>,
    votes: BTreeMap<(u64, u64), u64>,
    committed: BTreeMap<u64, Commit>,
    applied: BTreeMap<u64, u64>,
    states: BTreeMap<u64, (u64, Bytes)>,
    views: BTreeMap<u64, View>,
    /// What was committed when each read was asked for, oldest first.
    reads: BTreeMap<Bytes, VecDeque<u64>>,
}

/// What one peer looks like at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) id: u64,
    pub(crate) term: u64,
    pub(crate) role: StateRole,
    pub(crate) commit: u64,
    /// The last entry that is folded into a snapshot.
    pub(crate) truncated: EntryId,
    pub(crate) entries: Vec<Entry>,
    /// The voters that it knows, and those on their way out.
    pub(crate) voters: [Vec<u64>; 2],
}

/// An entry, and who committed it first.
#[derive(Clone, Debug)]
struct Commit {
    entry: Entry,
    by: u64,
    term: u64,
}

impl View {
    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        let position = index.checked_sub(self.truncated.index + 1)?;
        self.entries.get(usize::try_from(position).ok()?)
    }

    pub(crate) fn last(&self) -> u64 {
        self.truncated.index + self.entries.len() as u64
    }

    /// Whether the log holds `entry`. What is folded into a snapshot counts as held: the snapshot's
    /// content is compared when it is restored.
    fn holds(&self, entry: &Entry) -> bool {
        entry.index < self.truncated.index
            || self.truncated == EntryId::of(entry)
            || self.entry(entry.index) == Some(entry)
    }

    /// What stands at `index`, in words.
    fn at(&self, index: u64) -> String {
        self.entry(index).map_or_else(|| format!("nothing at {index}"), name)
    }
}

/// `term/index`.
fn name(entry: &Entry) -> String {
    format!("{}/{}", entry.term, entry.index)
}

impl Judge {
    /// A peer may have changed.
    pub(crate) fn observe(&mut self, view: View) -> Verdict {
        let verdict = self.check(&view);
        self.views.insert(view.id, view);
        verdict
    }

    fn check(&mut self, view: &View) -> Verdict {
        self.check_monotone(view)?;
        self.check_append_only(view)?;
        self.check_log_matching(view)?;
        self.check_committed(view)?;
        if view.role == StateRole::Leader {
            self.check_one_leader(view)?;
            self.check_voter(view)?;
            self.check_completeness(view)?;
        }
        Ok(())
    }

    /// A client asks for a read.
    pub(crate) fn asked(&mut self, context: Bytes) {
        let committed = self.committed.keys().last().copied().unwrap_or(0);
        self.reads.entry(context).or_default().push_back(committed);
    }

    /// A read may be served at `index`.
    pub(crate) fn served(&mut self, id: u64, context: &Bytes, index: u64) -> Verdict {
        let asked = self.reads.get_mut(context).and_then(VecDeque::pop_front);
        let committed = asked.unwrap_or(0);
        let facts = || {
            let read = context.escape_ascii();
            format!("{id} serves {read} at {index}, and {committed} was committed before it")
        };
        holds(index >= committed, "reads see what was committed before (8)", facts)
    }

    /// In the end all is well: who is asked to agree within so many ticks, and does not.
    pub(crate) fn agreement(ticks: u64, obstacle: Option<&str>) -> Verdict {
        let facts = || format!("after {ticks} ticks {}", obstacle.unwrap_or_default());
        holds(obstacle.is_none(), "progress in the end (5.2, 5.3)", facts)
    }

    /// A peer starts, and its state machine is at `applied`.
    pub(crate) fn started(&mut self, id: u64, applied: u64) -> Verdict {
        let before = *self.applied.entry(id).or_insert(applied);
        let facts = || format!("{id} had applied {before} and starts with {applied}");
        holds(before == applied, "a restart applies nothing twice (5.3)", facts)
    }

    /// A peer lost its power, and this is what is left on its disk: less than was seen, perhaps.
    ///
    /// A lone peer that counts its own copy before it is saved may lose an entry that it had
    /// committed. As long as nobody has applied or holds it, nobody was told.
    pub(crate) fn lost_power(&mut self, view: View) {
        let (id, views, applied) = (view.id, &mut self.views, &self.applied);
        views.insert(id, view);
        self.committed.retain(|index, commit| {
            let told = applied.values().any(|applied| applied >= index);
            commit.by != id || told || views.values().any(|view| view.holds(&commit.entry))
        });
    }

    /// A message leaves a peer that has this on its disk, up to index `last`. Only what leaves can
    /// mislead others: a vote that was lost in a crash before it left was never given.
    pub(crate) fn sent(&mut self, message: &Message, disk: HardState, last: u64) -> Verdict {
        let (id, term) = (message.from, message.term);
        if message.reject {
            return Ok(());
        }
        match message.msg_type() {
            MessageType::MsgAppendResponse => {
                let (index, saved) = (message.index, disk.term);
                let facts = || format!("{id} acknowledges {index} and has saved up to {last}");
                holds(index <= last, SAVED_FIRST, facts)?;
                let facts = || format!("{id} answers in term {term} and has saved term {saved}");
                holds(term <= saved, SAVED_FIRST, facts)
            }
            MessageType::MsgRequestVoteResponse => {
                let (candidate, saved) = (message.to, (disk.term, disk.vote));
                let facts = || {
                    let (saved_term, vote) = saved;
                    let said = format!("{id} votes for {candidate} in term {term}");
                    format!("{said} and has saved a vote for {vote} in term {saved_term}")
                };
                // A newer vote may overtake an older one on its way to the network.
                let is_saved = saved == (term, candidate) || saved.0 > term;
                holds(is_saved, SAVED_FIRST, facts)?;
                let first = *self.votes.entry((id, term)).or_insert(candidate);
                let facts = || format!("{id} votes for {first} and for {candidate} in term {term}");
                holds(first == candidate, "one vote a term (5.2)", facts)
            }
            // Who asks for votes has voted for itself once that is saved.
            MessageType::MsgRequestVote if (disk.term, disk.vote) == (term, id) => {
                let first = *self.votes.entry((id, term)).or_insert(id);
                let facts = || format!("{id} votes for {first} and for itself in term {term}");
                holds(first == id, "one vote a term (5.2)", facts)
            }
            _ => Ok(()),
        }
    }

    /// A peer applied the entry at `index`, and its state is now `state`.
    pub(crate) fn applied(&mut self, id: u64, index: u64, state: &Bytes) -> Verdict {
        let before = self.applied.insert(id, index).unwrap_or(0);
        let facts = || format!("{id} applied {before} and then {index}");
        holds(index == before + 1, "applied in order, each once (5.3)", facts)?;
        self.check_state(id, index, state)
    }

    /// A peer restored a snapshot that ends at `index`.
    pub(crate) fn restored(&mut self, id: u64, index: u64, state: &Bytes) -> Verdict {
        let before = self.applied.insert(id, index).unwrap_or(0);
        let facts = || format!("{id} applied {before} and then restored {index}");
        holds(index >= before, "snapshots go forward (7)", facts)?;
        self.check_state(id, index, state)
    }

    fn check_state(&mut self, id: u64, index: u64, state: &Bytes) -> Verdict {
        let (first, known) = self.states.entry(index).or_insert_with(|| (id, state.clone()));
        let facts = || format!("at {index}, {first} has {known:?} and {id} has {state:?}");
        holds(known == state, "state machine safety (5.4.3)", facts)
    }

    fn check_monotone(&self, view: &View) -> Verdict {
        let Some(before) = self.views.get(&view.id) else {
            return Ok(());
        };
        let (id, old, new) = (view.id, before.term, view.term);
        let facts = || format!("{id} was in term {old} and is in term {new}");
        holds(new >= old, "terms never go back (5.1)", facts)?;
        let (old, new) = (before.commit, view.commit);
        let facts = || format!("{id} had committed {old} and has committed {new}");
        holds(new >= old, "the commit index never goes back (figure 2)", facts)
    }

    fn check_one_leader(&mut self, view: &View) -> Verdict {
        let first = *self.leaders.entry(view.term).or_insert(view.id);
        let facts = || format!("{first} and {} both lead term {}", view.id, view.term);
        holds(first == view.id, "election safety (5.2)", facts)
    }

    fn check_voter(&self, view: &View) -> Verdict {
        let before = self.views.get(&view.id);
        let elected =
            before.is_none_or(|old| old.role != StateRole::Leader || old.term != view.term);
        let votes = view.voters.iter().any(|voters| voters.contains(&view.id));
        let facts = || format!("{} leads term {} and is no voter", view.id, view.term);
        holds(!elected || votes, "only voters are elected (thesis 4.2.1)", facts)
    }

    /// A leader that commits an entry first knows that a majority of each half holds it.
    fn check_majorities(&self, view: &View, entry: &Entry) -> Verdict {
        for voters in view.voters.iter().filter(|voters| !voters.is_empty()) {
            let holders = voters.iter().filter(|&&id| match self.views.get(&id) {
                _ if id == view.id => true,
                Some(other) => other.holds(entry),
                None => false,
            });
            let (count, of) = (holders.count(), voters.len());
            let facts = || {
                let (id, entry) = (view.id, name(entry));
                format!("{id} committed {entry}, which {count} of the voters {voters:?} hold")
            };
            holds(2 * count > of, "committed entries are on a majority (5.3, 6)", facts)?;
        }
        Ok(())
    }

    fn check_append_only(&self, view: &View) -> Verdict {
        let leads = |view: &View| view.role == StateRole::Leader;
        let before = self.views.get(&view.id);
        let before = before.filter(|old| leads(old) && leads(view) && old.term == view.term);
        for old in before.into_iter().flat_map(|old| &old.entries) {
            let (id, had, has) = (view.id, name(old), view.at(old.index));
            let facts = || format!("{id} leads, had {had} and has {has}");
            holds(view.holds(old), "leader append-only (5.3)", facts)?;
        }
        Ok(())
    }

    /// If two logs hold an entry of the same term at one index, all entries before it are equal.
    fn check_log_matching(&self, view: &View) -> Verdict {
        for other in self.views.values().filter(|other| other.id != view.id) {
            let low = view.truncated.index.max(other.truncated.index) + 1;
            let high = view.last().min(other.last());
            let pairs = (low..=high).filter_map(|i| Some((view.entry(i)?, other.entry(i)?)));
            let pairs: Vec<_> = pairs.collect();
            let agree = pairs.iter().rposition(|(mine, theirs)| mine.term == theirs.term);
            let Some(agree) = agree else { continue };
            let both = name(pairs[agree].0);
            for (mine, theirs) in &pairs[..=agree] {
                let facts = || {
                    let (id, peer, one, two) = (view.id, other.id, name(mine), name(theirs));
                    format!("{id} and {peer} both hold {both}, but {id} has {one} and {peer} {two}")
                };
                holds(mine == theirs, "log matching (5.3)", facts)?;
            }
        }
        Ok(())
    }

    /// An entry that anybody committed is what everybody commits at its index.
    fn check_committed(&mut self, view: &View) -> Verdict {
        for index in view.truncated.index + 1..=view.commit {
            let Some(entry) = view.entry(index) else {
                let facts = || format!("{} has nothing at {index}, which it committed", view.id);
                return holds(false, "committed entries are in the log (5.3)", facts);
            };
            let first = !self.committed.contains_key(&index);
            if first && view.role == StateRole::Leader {
                self.check_majorities(view, entry)?;
            }
            let commit = self.committed.entry(index).or_insert_with(|| Commit {
                entry: entry.clone(),
                by: view.id,
                term: view.term,
            });
            let facts = || {
                let (one, by, two) = (name(&commit.entry), commit.by, name(entry));
                format!("{by} committed {one} and {} committed {two}", view.id)
            };
            holds(commit.entry == *entry, "committed entries never change (5.4.3)", facts)?;
        }
        Ok(())
    }

    /// A leader has every entry that was committed in an earlier term.
    fn check_completeness(&self, view: &View) -> Verdict {
        for commit in self.committed.values().filter(|commit| commit.term < view.term) {
            let facts = || {
                let (entry, by) = (name(&commit.entry), commit.by);
                let (leader, term, has) = (view.id, view.term, view.at(commit.entry.index));
                let who = format!("{by} committed {entry} in term {}", commit.term);
                format!("{who}, and {leader} leads term {term} with {has}")
            };
            holds(view.holds(&commit.entry), "leader completeness (5.4.3)", facts)?;
        }
        Ok(())
    }
}

fn holds(condition: bool, property: &str, facts: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(format!("{property}: {}", facts())) }
}

#[cfg(test)]
mod tests;
