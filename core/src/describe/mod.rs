//! Messages and states in words, in the text forms of etcd raft.
//!
//! Who has debugged etcd, CockroachDB or TiKV knows these lines by heart, and
//! [scenes](https://github.com/raft-playground/raft-playground/blob/main/docs/scenes.md) compare
//! them byte by byte. A message reads
//!
//! ```text
//! 1->2 MsgApp Term:3 Log:2/4 Commit:4 Entries:[3/5 EntryNormal "x"]
//! ```
//!
//! Peer 1, in term 3, sends peer 2 the entry at index 5 of term 3. It follows the entry at index 4
//! of term 2, and the sender has committed up to index 4. Terms come before indices everywhere, and
//! ids are hexadecimal in messages and log lines, as in etcd.

mod entry;
mod log_line;
mod message;
mod progress;
mod quote;
mod ready;
mod storage;

pub use self::entry::{conf_changes, entries, entry, entry_type};
pub use self::log_line::{Level, log_line};
pub use self::message::{message, message_name, message_type, message_type_of};
pub use self::progress::{progress, progress_map, progress_state};
pub use self::ready::{async_ready, conf_state, hard_state, ready, snapshot, soft_state};
pub use self::storage::{response, storage_append, storage_applied, storage_apply};

use crate::raft::StateRole;

/// The role as the paper names it.
pub fn role(role: StateRole) -> &'static str {
    match role {
        StateRole::Follower => "follower",
        StateRole::PreCandidate => "pre-candidate",
        StateRole::Candidate => "candidate",
        StateRole::Leader => "leader",
    }
}

/// The role as etcd prints it, such as `StateFollower`.
pub fn role_name(role: StateRole) -> &'static str {
    match role {
        StateRole::Follower => "StateFollower",
        StateRole::PreCandidate => "StatePreCandidate",
        StateRole::Candidate => "StateCandidate",
        StateRole::Leader => "StateLeader",
    }
}

#[cfg(test)]
mod tests;
