//! I11 monotonicity.

use super::fact::{Hard, Match, State};
use super::ghost::Ghost;
use super::{Broken, Invariant};

fn went_back(id: u64, what: &str, before: u64, now: u64) -> Option<Broken> {
    let before = format!("n{id} had {what} {before}");
    Broken::new(Invariant::Monotonicity, before, format!("it has {now}"))
}

/// In memory, within a life.
pub(super) fn state(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let before = &ghost.peer(id).state;
    [
        ("term", before.term, now.term),
        ("commit index", before.commit, now.commit),
        ("applied index", before.applied, now.applied),
    ]
    .into_iter()
    .find(|(_, before, now)| now < before)
    .and_then(|(what, before, now)| went_back(id, what, before, now))
}

/// On the disk.
pub(super) fn stored(ghost: &Ghost, id: u64, now: Hard) -> Option<Broken> {
    let before = ghost.peer(id).disk.hard;
    if now.term < before.term {
        return went_back(id, "durable term", before.term, now.term);
    }
    if now.commit < before.commit {
        return went_back(id, "durable commit index", before.commit, now.commit);
    }
    None
}

/// Across a restart. A term that was never durable may be gone, if no message ever spoke of it: the
/// outbox rule sees to that.
pub(super) fn started(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    if !peer.known {
        return None;
    }
    let before = peer.disk.hard;
    if now.term < before.term {
        return went_back(id, "durable term", before.term, now.term);
    }
    if now.commit < before.commit {
        return went_back(id, "durable commit index", before.commit, now.commit);
    }
    if now.applied < peer.disk.applied {
        return went_back(id, "durable applied index", peer.disk.applied, now.applied);
    }
    None
}

/// What a leader knows of another peer's log, within a leadership.
pub(super) fn progress(ghost: &Ghost, id: u64, now: Match) -> Option<Broken> {
    let Match { of, matched, next } = now;
    if next <= matched {
        let before = format!("n{id} knows that n{of} has everything up to {matched}");
        let now = format!("it would send {next} next");
        return Broken::new(Invariant::Monotonicity, before, now);
    }
    let known = ghost.peer(id).progress.iter().find(|known| known.of == of)?;
    if matched >= known.matched {
        return None;
    }
    let what = format!("as match index of n{of}");
    went_back(id, &what, known.matched, matched)
}
