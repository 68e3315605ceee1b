//! I13 snapshot fidelity.

use raft_core::EntryId;

use super::fact::Snapshot;
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// A snapshot is made of what its peer has applied, and says so.
pub(super) fn made(ghost: &Ghost, id: u64, snapshot: Snapshot) -> Option<Broken> {
    let applied = ghost.peer(id).applied;
    if snapshot.id.index > applied {
        return broken(
            snapshot.id,
            format!("n{id} has applied everything up to {applied}"),
            format!("it makes a snapshot that ends at {}", snapshot.id),
        );
    }
    faithful(ghost, id, snapshot)
}

/// An installed snapshot brings what it says and moves nobody back. One that ends where the peer
/// stands may repair its state machine.
pub(super) fn installed(ghost: &Ghost, id: u64, snapshot: Snapshot) -> Option<Broken> {
    let applied = ghost.peer(id).applied;
    if snapshot.id.index < applied {
        return broken(
            snapshot.id,
            format!("n{id} had applied everything up to {applied}"),
            format!("it goes back to a snapshot that ends at {}", snapshot.id),
        );
    }
    faithful(ghost, id, snapshot)
}

/// It ends with a committed entry, and equals what others had after it.
fn faithful(ghost: &Ghost, id: u64, snapshot: Snapshot) -> Option<Broken> {
    let index = snapshot.id.index;
    let committed = ghost.committed.term(index).map(|term| EntryId::new(term, index));
    if index > ghost.committed.last() || committed.is_some_and(|first| first != snapshot.id) {
        let last = ghost.committed.last_id();
        let first = committed.unwrap_or(last);
        let before = format!("the last entry committed by then is {first}");
        return broken(snapshot.id, before, format!("n{id} has a snapshot of {}", snapshot.id));
    }
    let pairs = [
        ("state machine", ghost.state_at(index), snapshot.state),
        ("configuration", ghost.members_at(index), snapshot.members),
    ];
    pairs.into_iter().find_map(|(what, known, own)| {
        let (known, own) = (known?, own?);
        if known == own {
            return None;
        }
        let before = format!("after {} the {what} was {known:016x}", snapshot.id);
        broken(snapshot.id, before, format!("in the snapshot of n{id} it is {own:016x}"))
    })
}

fn broken(id: EntryId, before: String, now: String) -> Option<Broken> {
    Broken::of_entry(Invariant::SnapshotFidelity, id, before, now)
}
