//! What must hold in every scene, whatever it expects: the safety properties of figure 3.
//!
//! The history is told of every change as it happens and remembers all that it was told, so two
//! leaders of one term are noticed even if they never led at the same time. A violation names the
//! property and the two facts that disagree.

use std::collections::BTreeMap;

use raft_core::eraftpb::{Entry, HardState, Message, MessageType};
use raft_core::{EntryId, StateRole, Storage};

use super::Result;
use super::disk::Disk;

const SAVED_FIRST: &str = "saved before it is said (figure 2)";

/// All that was seen in one scene.
#[derive(Debug, Default)]
pub(super) struct History {
    leaders: BTreeMap<u64, u64>,
    votes: BTreeMap<(u64, u64), u64>,
    committed: BTreeMap<u64, Commit>,
    applied: BTreeMap<u64, u64>,
    states: BTreeMap<u64, (u64, String)>,
    views: BTreeMap<u64, View>,
}

/// What one peer looks like at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) id: u64,
    pub(super) term: u64,
    pub(super) role: StateRole,
    pub(super) commit: u64,
    /// The last entry that is folded into a snapshot.
    pub(super) truncated: EntryId,
    pub(super) entries: Vec<Entry>,
}

/// An entry, and who committed it first.
#[derive(Clone, Debug)]
struct Commit {
    entry: Entry,
    by: u64,
    term: u64,
}

impl View {
    fn entry(&self, index: u64) -> Option<&Entry> {
        let position = index.checked_sub(self.truncated.index + 1)?;
        self.entries.get(usize::try_from(position).ok()?)
    }

    fn last(&self) -> u64 {
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
        let entry = self.entry(index).map(|entry| EntryId::of(entry).to_string());
        entry.unwrap_or_else(|| format!("nothing at {index}"))
    }
}

impl History {
    /// A peer may have changed.
    pub(super) fn observe(&mut self, view: View) -> Result<()> {
        self.check_monotone(&view)?;
        self.check_append_only(&view)?;
        self.check_log_matching(&view)?;
        self.check_committed(&view)?;
        if view.role == StateRole::Leader {
            self.check_one_leader(&view)?;
            self.check_completeness(&view)?;
        }
        self.views.insert(view.id, view);
        Ok(())
    }

    /// A peer starts, and its application is at `applied`.
    pub(super) fn started(&mut self, id: u64, applied: u64) -> Result<()> {
        let before = *self.applied.entry(id).or_insert(applied);
        let facts = || format!("n{id} had applied {before} and starts with {applied}");
        holds(before == applied, "a restart applies nothing twice (5.3)", facts)
    }

    /// A peer is down, and this is what is left on its disk: less than was seen, perhaps.
    ///
    /// A lone peer that counts its own copy before it is saved may lose an entry that it had
    /// committed. As long as nobody has applied or holds it, nobody was told.
    pub(super) fn lost_power(&mut self, view: View) {
        let (id, views, applied) = (view.id, &mut self.views, &self.applied);
        views.insert(id, view);
        self.committed.retain(|index, commit| {
            let told = applied.values().any(|applied| applied >= index);
            commit.by != id || told || views.values().any(|view| view.holds(&commit.entry))
        });
    }

    /// A message leaves a peer whose disk is in this state. Only what leaves can mislead others: a
    /// vote that was lost in a crash before it left was never given.
    pub(super) fn sent(&mut self, message: &Message, disk: &Disk) -> Result<()> {
        let (voter, term) = (message.from, message.term);
        let HardState { term: saved, vote, .. } = disk.hard_state();
        let facts = || format!("n{voter} speaks in term {term} and has saved term {saved}");
        holds(term <= saved, SAVED_FIRST, facts)?;
        let candidate = match message.msg_type() {
            // Who asks for votes has voted for itself.
            MessageType::MsgRequestVote => voter,
            MessageType::MsgRequestVoteResponse if !message.reject => message.to,
            _ => return Ok(()),
        };
        let facts = || format!("n{voter} votes for n{candidate} and has saved a vote for n{vote}");
        holds(vote == candidate, SAVED_FIRST, facts)?;
        let first = *self.votes.entry((voter, term)).or_insert(candidate);
        let facts = || format!("n{voter} votes for n{first} and for n{candidate} in term {term}");
        holds(first == candidate, "one vote a term (5.2)", facts)
    }

    /// A peer tells its leader that it holds its log up to `message.index`.
    pub(super) fn acknowledged(&self, message: &Message, disk: &Disk) -> Result<()> {
        let last = disk.last_index()?;
        let (id, index) = (message.from, message.index);
        let facts = || format!("n{id} acknowledges {index} and has saved up to {last}");
        let answers = message.msg_type() == MessageType::MsgAppendResponse;
        let positive = answers && !message.reject;
        holds(!positive || index <= last, SAVED_FIRST, facts)
    }

    /// A peer applied the entry at `index`, and its application's state is now `state`.
    pub(super) fn applied(&mut self, id: u64, index: u64, state: &str) -> Result<()> {
        let before = self.applied.insert(id, index).unwrap_or(0);
        let facts = || format!("n{id} applied {before} and then {index}");
        holds(index == before + 1, "applied in order, each once (5.3)", facts)?;
        self.check_state(id, index, state)
    }

    /// A peer restored a snapshot that ends at `index`.
    pub(super) fn restored(&mut self, id: u64, index: u64, state: &str) -> Result<()> {
        let before = self.applied.insert(id, index).unwrap_or(0);
        let facts = || format!("n{id} applied {before} and then restored {index}");
        holds(index > before, "snapshots go forward (7)", facts)?;
        self.check_state(id, index, state)
    }

    fn check_state(&mut self, id: u64, index: u64, state: &str) -> Result<()> {
        let (first, known) = self.states.entry(index).or_insert_with(|| (id, state.to_owned()));
        let facts = || format!("at {index}, n{first} has {known:?} and n{id} has {state:?}");
        holds(*known == state, "state machine safety (5.4.3)", facts)
    }

    fn check_monotone(&self, view: &View) -> Result<()> {
        let Some(before) = self.views.get(&view.id) else {
            return Ok(());
        };
        let (id, old, new) = (view.id, before.term, view.term);
        let facts = || format!("n{id} was in term {old} and is in term {new}");
        holds(new >= old, "terms never go back (5.1)", facts)?;
        let (old, new) = (before.commit, view.commit);
        let facts = || format!("n{id} had committed {old} and has committed {new}");
        holds(new >= old, "the commit index never goes back (figure 2)", facts)
    }

    fn check_one_leader(&mut self, view: &View) -> Result<()> {
        let first = *self.leaders.entry(view.term).or_insert(view.id);
        let facts = || format!("n{first} and n{} both lead term {}", view.id, view.term);
        holds(first == view.id, "election safety (5.2)", facts)
    }

    fn check_append_only(&self, view: &View) -> Result<()> {
        let leads = |view: &View| view.role == StateRole::Leader;
        let before = self.views.get(&view.id);
        let before = before.filter(|old| leads(old) && leads(view) && old.term == view.term);
        for old in before.into_iter().flat_map(|old| &old.entries) {
            let (id, had, has) = (view.id, EntryId::of(old), view.at(old.index));
            let facts = || format!("n{id} leads, had {had} and has {has}");
            holds(view.holds(old), "leader append-only (5.3)", facts)?;
        }
        Ok(())
    }

    /// If two logs hold an entry of the same term at one index, all entries before it are equal.
    fn check_log_matching(&self, view: &View) -> Result<()> {
        for other in self.views.values().filter(|other| other.id != view.id) {
            let low = view.truncated.index.max(other.truncated.index) + 1;
            let high = view.last().min(other.last());
            let pairs = (low..=high).filter_map(|i| Some((view.entry(i)?, other.entry(i)?)));
            let pairs: Vec<_> = pairs.collect();
            let agree = pairs.iter().rposition(|(mine, theirs)| mine.term == theirs.term);
            for (mine, theirs) in &pairs[..agree.map_or(0, |last| last + 1)] {
                let facts = || {
                    let (one, two) = (EntryId::of(mine), EntryId::of(theirs));
                    let upper = pairs[agree.unwrap_or(0)].0;
                    let both = EntryId::of(upper);
                    let (id, peer) = (view.id, other.id);
                    format!(
                        "n{id} and n{peer} both hold {both}, but n{id} has {one} and n{peer} {two}"
                    )
                };
                holds(mine == theirs, "log matching (5.3)", facts)?;
            }
        }
        Ok(())
    }

    /// An entry that anybody committed is what everybody commits at its index.
    fn check_committed(&mut self, view: &View) -> Result<()> {
        for index in view.truncated.index + 1..=view.commit {
            let Some(entry) = view.entry(index) else {
                let facts = || format!("n{} has nothing at {index}, which it committed", view.id);
                return holds(false, "committed entries are in the log (5.3)", facts);
            };
            let commit = self.committed.entry(index).or_insert_with(|| Commit {
                entry: entry.clone(),
                by: view.id,
                term: view.term,
            });
            let facts = || {
                let (one, by, two) = (EntryId::of(&commit.entry), commit.by, EntryId::of(entry));
                format!("n{by} committed {one} and n{} committed {two}", view.id)
            };
            holds(commit.entry == *entry, "committed entries never change (5.4.3)", facts)?;
        }
        Ok(())
    }

    /// A leader has every entry that was committed in an earlier term.
    fn check_completeness(&self, view: &View) -> Result<()> {
        for commit in self.committed.values().filter(|commit| commit.term < view.term) {
            let facts = || {
                let (id, by, index) = (EntryId::of(&commit.entry), commit.by, commit.entry.index);
                let (leader, term, has) = (view.id, view.term, view.at(index));
                let who = format!("n{by} committed {id} in term {}", commit.term);
                format!("{who}, and n{leader} leads term {term} with {has}")
            };
            holds(view.holds(&commit.entry), "leader completeness (5.4.3)", facts)?;
        }
        Ok(())
    }
}

fn holds(condition: bool, property: &str, facts: impl FnOnce() -> String) -> Result<()> {
    if condition {
        return Ok(());
    }
    Err(format!("broken: {property}: {}", facts()).into())
}
