//! I6 state machine safety, I7 commit durability, I8 commit rule.

use raft_core::{EntryId, StateRole};

use super::fact::{Logged, State};
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// I8, I6 and I7 when a commit index has moved. The last entry stands for all before it, by log
/// matching.
pub(super) fn state(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    if now.commit == peer.state.commit {
        return None;
    }
    let term = peer.log.term(now.commit)?;
    let entry = EntryId::new(term, now.commit);
    // What others know to be committed a leader may hear from them.
    let heard = ghost.committed.covers(entry);
    if now.role == StateRole::Leader && term != now.term && !heard {
        let before = format!("n{id} leads term {}", now.term);
        let now = format!("it commits {entry}, an entry of another term");
        return Broken::of_entry(Invariant::CommitRule, entry, before, now);
    }
    contradiction(ghost, id, now.commit).or_else(|| undurable(ghost, id, entry))
}

/// I6: what a peer holds for committed was committed before it, or is new to all.
fn contradiction(ghost: &Ghost, id: u64, commit: u64) -> Option<Broken> {
    let index = commit.min(ghost.committed.last());
    let (first, own) = (ghost.committed.term(index)?, ghost.peer(id).log.term(index)?);
    if first == own {
        return None;
    }
    let (first, own) = (EntryId::new(first, index), EntryId::new(own, index));
    let before = format!("entry {first} was committed");
    let now = format!("n{id} holds {own} for committed");
    Broken::of_entry(Invariant::StateMachineSafety, own, before, now)
}

/// I7: an entry that nobody knew to be committed must be on the disks of a quorum, in both halves of
/// a joint configuration. Peers that are down count: their disks stay. That it is durable wherever
/// it is known to be committed is no rule: the leader itself may still be writing it.
fn undurable(ghost: &Ghost, id: u64, entry: EntryId) -> Option<Broken> {
    if entry.index <= ghost.committed.last() {
        return None;
    }
    let members = &ghost.peer(id).members;
    let has_quorum = |half: &[u64]| 2 * ghost.holders(half, entry).count() > half.len();
    let lacking = members.halves().filter(|half| !has_quorum(half)).count();
    if lacking == 0 || members.incoming.is_empty() {
        return None;
    }
    // One half alone may hold it only if somebody forgot the other.
    let one_half = members.is_joint() && lacking == 1;
    let rule = if one_half { Invariant::Membership } else { Invariant::CommitDurability };
    let mut halves = members.halves().map(|half| {
        let holders: Vec<_> = ghost.holders(half, entry).collect();
        format!("of the voters {half:?} {holders:?} have it on disk")
    });
    let before = halves.next().into_iter().chain(halves).collect::<Vec<_>>().join(", ");
    Broken::of_entry(rule, entry, before, format!("n{id} commits {entry}"))
}

/// I6: in order, once, what was committed, and to the same effect everywhere.
pub(super) fn applied(ghost: &Ghost, id: u64, entry: Logged, state: Option<u64>) -> Option<Broken> {
    let EntryId { term, index } = entry.id;
    let applied = ghost.peer(id).applied;
    let broken = |before: String, now: String| {
        Broken::of_entry(Invariant::StateMachineSafety, entry.id, before, now)
    };
    if index != applied + 1 {
        return broken(
            format!("n{id} had applied everything up to {applied}"),
            format!("it applies {}", entry.id),
        );
    }
    if index > ghost.committed.last() {
        let last = ghost.committed.last_id();
        let before = format!("nobody has committed anything after {last}");
        return broken(before, format!("n{id} applies {}", entry.id));
    }
    if let Some(first) = ghost.committed.term(index).filter(|&first| first != term) {
        let before = format!("entry {} was committed", EntryId::new(first, index));
        return broken(before, format!("n{id} applies {}", entry.id));
    }
    if let Some(slot) = ghost.slots.get(index, term).filter(|slot| slot.hash != entry.hash) {
        return broken(
            format!("entry {} was logged with data {:016x}", entry.id, slot.hash),
            format!("n{id} applies it with data {:016x}", entry.hash),
        );
    }
    let (known, own) = (ghost.state_at(index)?, state?);
    if known == own {
        return None;
    }
    broken(
        format!("a state machine was {known:016x} after {}", entry.id),
        format!("that of n{id} is {own:016x}"),
    )
}
