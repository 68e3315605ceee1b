//! I19 disk mirror.

use raft_core::EntryId;

use super::fact::{Hard, Logged, State};
use super::ghost::Ghost;
use super::{Broken, Invariant};

fn differs(id: u64, disk: &str, now: String) -> Option<Broken> {
    Broken::new(Invariant::DiskMirror, format!("n{id} has made durable: {disk}"), now)
}

/// The record that names the last entry does not name one that was never written.
pub(super) fn stored(ghost: &Ghost, id: u64, hard: Hard) -> Option<Broken> {
    let last = ghost.peer(id).disk.log.last();
    if hard.last <= last {
        return None;
    }
    differs(id, &format!("entries up to {last}"), format!("the state says up to {}", hard.last))
}

/// A peer starts with what was made durable, no less and no more.
pub(super) fn started(ghost: &Ghost, id: u64, now: &State, base: EntryId) -> Option<Broken> {
    let peer = ghost.peer(id);
    let (disk, hard) = (&peer.disk, peer.disk.hard);
    let kept = (disk.log.base(), disk.log.last_id(), hard.term, hard.vote, disk.applied);
    let found = (base, now.last, now.term, now.vote, now.applied);
    if !peer.known || kept == found {
        return None;
    }
    let words = |(base, last, term, vote, applied): (EntryId, EntryId, u64, u64, u64)| {
        format!("log after {base} up to {last}, term {term}, vote {vote}, applied {applied}")
    };
    differs(id, &words(kept), format!("it starts with {}", words(found)))
}

/// And with the same entries.
pub(super) fn loaded(ghost: &Ghost, id: u64, entry: Logged) -> Option<Broken> {
    let EntryId { term, index } = entry.id;
    let kept = ghost.peer(id).disk.log.term(index).filter(|&kept| kept != term)?;
    let disk = format!("entry {}", EntryId::new(kept, index));
    differs(id, &disk, format!("it starts with {}", entry.id))
}

/// When nothing waits to be written, memory and disk agree. What is applied may wait: it can be
/// applied again.
pub(super) fn at_rest(ghost: &Ghost, id: u64) -> Option<Broken> {
    let peer = ghost.peer(id);
    let (disk, hard, state) = (&peer.disk, peer.disk.hard, &peer.state);
    let kept = (disk.log.last_id(), hard.term, hard.vote);
    let held = (peer.log.last_id(), state.term, state.vote);
    if kept == held {
        return None;
    }
    let words = |(last, term, vote): (EntryId, u64, u64)| {
        format!("log up to {last}, term {term}, vote {vote}")
    };
    differs(id, &words(kept), format!("it has nothing to write, and in memory {}", words(held)))
}
