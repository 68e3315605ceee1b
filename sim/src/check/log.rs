//! I3 leader append-only, I4 log matching, I9 truncation, I10 order.

use raft_core::{EntryId, StateRole};

use super::fact::{Hard, Logged, State};
use super::ghost::Ghost;
use super::slots::Slot;
use super::terms::Terms;
use super::{Broken, Invariant};

/// I9, I3 and I10, once an event is over.
pub(super) fn state(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    let before = &peer.state;
    if let Some(lost) = peer.lost_from {
        if lost <= before.commit {
            return cut(id, lost, before.commit, "memory");
        }
        if now.role == StateRole::Leader && peer.leads() && now.term == before.term {
            let led = format!("n{id} leads term {} with a log up to {}", now.term, before.last);
            let lost = format!("it replaces its entries from {lost} on");
            return Broken::new(Invariant::LeaderAppendOnly, led, lost);
        }
    }
    let State { base, applied, commit, last, term, installing, .. } = *now;
    // A snapshot commits its entries at once and applies them when it is installed.
    let in_order = (base <= applied || installing)
        && base <= commit
        && applied <= commit
        && commit <= last.index
        && last.term <= term;
    if in_order {
        return None;
    }
    let now = format!(
        "n{id} in term {term} has base {base}, applied {applied}, commit {commit}, last {last}"
    );
    Broken::new(Invariant::LogOrder, "they must not decrease in this order".into(), now)
}

fn cut(id: u64, from: u64, commit: u64, place: &str) -> Option<Broken> {
    let before = format!("n{id} knows that everything up to {commit} is committed");
    let now = format!("it cuts off its log in {place} from {from} on");
    Broken::new(Invariant::Truncation, before, now)
}

/// I10: no gap, no step back in terms. I4.
pub(super) fn appended(ghost: &Ghost, id: u64, entry: Logged) -> Option<Broken> {
    follows(id, &ghost.peer(id).log, entry)
        .or_else(|| matching(ghost, id, &ghost.peer(id).log, entry))
}

/// I4 for what a peer starts with. Its first start tells what its disk holds.
pub(super) fn loaded(ghost: &Ghost, id: u64, entry: Logged) -> Option<Broken> {
    appended(ghost, id, entry)
}

fn follows(id: u64, log: &Terms, entry: Logged) -> Option<Broken> {
    let EntryId { term, index } = entry.id;
    let previous = index.checked_sub(1).and_then(|index| log.term(index));
    // Nothing is known of an entry that is folded into a snapshot.
    if previous.is_some_and(|previous| previous <= term) || index <= log.base().index {
        return None;
    }
    let before = match previous {
        Some(previous) => format!("n{id} has an entry of term {previous} at {}", index - 1),
        None => format!("the log of n{id} ends at {}", log.last_id()),
    };
    let now = format!("it appends {}", entry.id);
    Broken::of_entry(Invariant::LogOrder, entry.id, before, now)
}

/// I4: an index and a term name one entry, after one predecessor.
fn matching(ghost: &Ghost, id: u64, log: &Terms, entry: Logged) -> Option<Broken> {
    let EntryId { term, index } = entry.id;
    let first = ghost.slots.get(index, term)?;
    let previous_term = log.term(index.checked_sub(1)?)?;
    let now = Slot { term, hash: entry.hash, previous_term };
    if now == first {
        return None;
    }
    let words = |slot: Slot| {
        let Slot { hash, previous_term, .. } = slot;
        format!("{} (data {hash:016x}) after term {previous_term}", entry.id)
    };
    let (before, now) =
        (format!("a log has {}", words(first)), format!("n{id} has {}", words(now)));
    Broken::of_entry(Invariant::LogMatching, entry.id, before, now)
}

/// I9: a snapshot that is older than the commit index takes committed entries away.
pub(super) fn replaced(ghost: &Ghost, id: u64, base: EntryId) -> Option<Broken> {
    let commit = ghost.peer(id).state.commit;
    if base.index >= commit {
        return None;
    }
    let before = format!("n{id} knows that everything up to {commit} is committed");
    let now = format!("a snapshot that ends at {base} takes the place of its log");
    Broken::of_entry(Invariant::Truncation, base, before, now)
}

/// I9 and I4, on the disk. To write an entry again is no harm.
pub(super) fn stored(ghost: &Ghost, id: u64, entry: Logged) -> Option<Broken> {
    let disk = &ghost.peer(id).disk;
    let EntryId { term, index } = entry.id;
    let other = disk.log.term(index).is_some_and(|own| own != term);
    if other && index <= disk.hard.commit && index > disk.log.base().index {
        return cut(id, index, disk.hard.commit, "storage");
    }
    matching(ghost, id, &disk.log, entry)
}

/// I9, on the disk: its log never ends before its commit index.
pub(super) fn stored_end(ghost: &Ghost, id: u64, hard: Hard) -> Option<Broken> {
    let commit = ghost.peer(id).disk.hard.commit;
    if hard.last < commit { cut(id, hard.last + 1, commit, "storage") } else { None }
}
