//! I15 read freshness, I17 exactly once, I18 acknowledged writes.
//!
//! A version of the state machine is the index of the last entry in it. That is finer than a client
//! can see, who knows of keys only, but it is what reads by index, by lease and by the log promise.
//!
//! That the index of a read was confirmed by a quorum after the read was asked, in a fresh round, is
//! seen in the version, too: then it has every entry that anybody had committed by the time when the
//! client asked, heard of or not. The leader's own commits are in it; those of earlier terms are
//! since it committed an entry of its own; and had a later term committed anything by then, its
//! quorum would not have confirmed the older one.

use std::collections::{BTreeMap, VecDeque};

use raft_core::EntryId;

use super::fact::{Answer, Executed, Fact};
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// Commands of one client that are remembered.
const COMMANDS_MAX: usize = 1_024;

/// What clients have been told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// The latest version that anybody has heard of.
    heard: u64,
    /// For the requests under way: that version when they were sent, and the last committed entry.
    open: BTreeMap<u64, (u64, u64)>,
    /// Commands that were applied, by client.
    executed: BTreeMap<u64, VecDeque<Executed>>,
}

impl Clients {
    pub(super) fn see(&mut self, fact: &Fact<'_>, committed: u64) {
        match *fact {
            Fact::Invoked { request } => {
                self.open.insert(request, (self.heard, committed));
            }
            Fact::Answered { request, answer } => {
                self.open.remove(&request);
                if let Answer::Read(version) | Answer::Written(EntryId { index: version, .. }) =
                    answer
                {
                    self.heard = self.heard.max(version);
                }
            }
            Fact::GaveUp { request } => {
                self.open.remove(&request);
            }
            Fact::Executed { command, .. } => {
                let known = self.executed.entry(command.client).or_default();
                if let Err(place) = known.binary_search_by_key(&command.sequence, |c| c.sequence) {
                    known.insert(place, command);
                    if known.len() > COMMANDS_MAX {
                        known.pop_front();
                    }
                }
            }
            _ => {}
        }
    }

    fn executed(&self, command: Executed) -> Option<Executed> {
        let known = self.executed.get(&command.client)?;
        let place = known.binary_search_by_key(&command.sequence, |c| c.sequence).ok()?;
        known.get(place).copied()
    }
}

/// I15: a read sees what was acknowledged, read or committed before it was asked, what it had to wait
/// for, and nothing that is not committed.
pub(super) fn served(
    ghost: &Ghost,
    request: u64,
    version: u64,
    read_index: Option<u64>,
) -> Option<Broken> {
    let (heard, before) = ghost.clients.open.get(&request).copied().unwrap_or_default();
    let (committed, wanted) = (ghost.committed.last(), read_index.unwrap_or(0));
    let before = if version < before && version >= heard && version >= wanted {
        format!("before read {request} was asked entry {before} was committed")
    } else if version < heard {
        format!("before read {request} was asked somebody knew of version {heard}")
    } else if version < wanted {
        format!("read {request} had to wait for {wanted}")
    } else if version > committed {
        format!("nothing is committed after {committed}")
    } else {
        return None;
    };
    Broken::new(Invariant::ReadFreshness, before, format!("it is served from version {version}"))
}

/// I18: an acknowledged write is a committed entry. It stays one: nothing ever replaces those. That
/// its effect stays, too, is compared at the end of a run, where the final state is one more read of
/// every key (`trial`).
pub(super) fn answered(ghost: &Ghost, request: u64, answer: Answer) -> Option<Broken> {
    let id = match answer {
        Answer::Written(id) => id,
        Answer::Read(_) => return None,
        Answer::Unlogged => {
            let before = format!("no entry was made of request {request}");
            let now = "it is acknowledged as written".into();
            return Broken::new(Invariant::AcknowledgedWrites, before, now);
        }
    };
    let committed = ghost.committed.term(id.index);
    let unknown = id.index <= ghost.committed.base().index;
    if unknown || committed == Some(id.term) {
        return None;
    }
    let before = match committed {
        Some(term) => format!("entry {} was committed", EntryId::new(term, id.index)),
        None => format!("nothing is committed after {}", ghost.committed.last_id()),
    };
    let now = format!("request {request} is acknowledged as {id}");
    Broken::of_entry(Invariant::AcknowledgedWrites, id, before, now)
}

/// I17: a command takes effect at one place in the log, and every repetition is told the same.
pub(super) fn executed(ghost: &Ghost, command: Executed) -> Option<Broken> {
    let first = ghost.clients.executed(command)?;
    let Executed { client, sequence, index, effect, reply } = command;
    let twice = effect && index != first.index;
    if !twice && reply == first.reply {
        return None;
    }
    let what = |index, reply| format!("at {index}, with reply {reply:016x}");
    let before =
        format!("{sequence} of client {client} took effect {}", what(first.index, first.reply));
    let verb = if twice { "takes effect again" } else { "is answered" };
    Broken::new(Invariant::ExactlyOnce, before, format!("it {verb} {}", what(index, reply)))
}
