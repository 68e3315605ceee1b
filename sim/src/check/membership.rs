//! I14 membership. That a removed leader or a learner does not count is part of commit durability,
//! and so are both halves of a joint configuration.

use super::fact::{Logged, Members, State};
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// A leader proposes a change only when an entry of its own term is committed, and no other change
/// is uncommitted. A follower may hold several that its leader knows to be committed.
pub(super) fn proposed(ghost: &Ghost, id: u64, entry: Logged) -> Option<Broken> {
    let peer = ghost.peer(id);
    let state = &peer.state;
    if !entry.change || !peer.leads() || entry.id.term != state.term {
        return None;
    }
    let index = entry.id.index;
    let now = format!("it proposes another as {}", entry.id);
    if let Some(other) = peer.changes.iter().find(|&&at| at > state.commit && at < index) {
        let before = format!("n{id} has a change of members at {other} that is not committed");
        return Broken::of_entry(Invariant::Membership, entry.id, before, now);
    }
    let committed = peer.log.term(state.commit);
    if committed.is_none_or(|term| term == state.term) {
        return None;
    }
    let before = format!("n{id} has committed nothing of its own term {}", state.term);
    let now = format!("it proposes a change of members as {}", entry.id);
    Broken::of_entry(Invariant::Membership, entry.id, before, now)
}

/// Who has applied the same has the same members, also by a snapshot.
pub(super) fn configured(
    ghost: &Ghost,
    id: u64,
    (index, changed): (u64, bool),
    members: &Members,
) -> Option<Broken> {
    let exactly = || ghost.configurations.get(&index).copied();
    let known = if changed { exactly() } else { ghost.members_at(index) };
    if known? == members.hash() {
        return None;
    }
    let before = format!("another peer has other members at {index}");
    let now = format!("n{id} has {:?} and {:?}", members.incoming, members.outgoing);
    Broken::new(Invariant::Membership, before, now)
}

/// Members whose entry is cut off the log are given up with it.
pub(super) fn rolled_back(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    if peer.lost_from.is_none_or(|lost| lost > peer.members_at) {
        return None;
    }
    let before = format!("the members of n{id} come from the entry at {}", peer.members_at);
    let now = format!("that entry is gone, they are kept, and its log ends at {}", now.last);
    Broken::new(Invariant::Membership, before, now)
}

/// Who wins under a joint configuration has a majority of each half.
pub(super) fn elected(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    if !peer.members.is_joint() || !now.begins_to_lead(&peer.state) {
        return None;
    }
    let term = now.term;
    let voted = |&voter: &u64| voter == id || ghost.peer(voter).vote_in(term) == Some(id);
    let lost = peer
        .members
        .halves()
        .find(|half| 2 * half.iter().filter(|voter| voted(voter)).count() <= half.len())?;
    let before = format!("no majority of {lost:?} voted for n{id} in term {term}");
    Broken::new(Invariant::Membership, before, format!("n{id} leads term {term}"))
}
