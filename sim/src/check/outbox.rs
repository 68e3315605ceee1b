//! I12 outbox.

use raft_core::EntryId;
use raft_core::eraftpb::MessageType;

use super::fact::Sent;
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// A message of a term leaves only when that term is durable, an acknowledgement only when what it
/// acknowledges is. An append may leave before its sender has written it itself.
pub(super) fn leaves(ghost: &Ghost, id: u64, message: &Sent) -> Option<Broken> {
    let peer = ghost.peer(id);
    if peer.gone {
        return None;
    }
    let disk = &peer.disk;
    if message.term > disk.hard.term && !message.is_hypothetical() {
        return Broken::new(
            Invariant::Outbox,
            format!("the disk of n{id} has term {}", disk.hard.term),
            format!("n{id} sends a {} of term {}", message.kind.as_str_name(), message.term),
        );
    }
    let index = message.acknowledges()?;
    // What a later leader has replaced since was held when the answer was made. The disk says so: it
    // is in that later term.
    let replaced = disk.hard.term > message.term;
    let below = index <= disk.log.base().index;
    let in_term = peer.state.term == message.term;
    let own = if in_term { peer.log.term(index) } else { None };
    let covered = disk.log.term(index).is_some_and(|term| own.is_none_or(|own| own == term));
    if covered || below || replaced {
        return None;
    }
    let entry = EntryId::new(own.unwrap_or(message.term), index);
    Broken::of_entry(
        Invariant::Outbox,
        entry,
        format!("the log of n{id} on disk ends at {}", disk.log.last_id()),
        format!("n{id} acknowledges everything up to {entry}"),
    )
}

impl Sent {
    /// The index up to which the message says that its sender holds the log.
    fn acknowledges(&self) -> Option<u64> {
        match self.kind {
            MessageType::MsgAppendResponse if !self.reject => Some(self.index),
            _ => self.holds.map(|id| id.index),
        }
    }

    /// Pre-votes, and their grants, speak of a term that nobody has entered yet.
    fn is_hypothetical(&self) -> bool {
        match self.kind {
            MessageType::MsgRequestPreVote => true,
            MessageType::MsgRequestPreVoteResponse => !self.reject,
            _ => false,
        }
    }
}
