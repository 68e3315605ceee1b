//! The decisions of the store that keep its promises, on one page.
//!
//! Like the core's rules they are pure functions, so that a simulator can swap one for a broken one
//! and prove that its checkers notice, and a learner can see what goes wrong without it.

use std::fmt;

use raft_core::eraftpb::ConfState;

/// What a sessioned command may do (thesis 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionVerdict {
    /// It is new: execute it.
    Execute,
    /// It is a retry of the last one: answer the same again.
    Repeat,
    /// It is an old copy: a later one was executed already.
    Stale,
    /// The session is unknown.
    Expired,
}

/// The rules that a store follows. `StoreRules::default()` are the right ones.
#[derive(Clone, Copy)]
pub struct StoreRules {
    /// Whether a read that waits for an index may be served. See [`may_serve`].
    pub may_serve: fn(applied: u64, read_index: u64) -> bool,
    /// What becomes of a sessioned command. See [`session_verdict`].
    pub session_verdict: fn(last: Option<u64>, sequence: u64) -> SessionVerdict,
    /// The index that a snapshot covers. See [`snapshot_index`].
    pub snapshot_index: fn(applied: u64, committed: u64) -> u64,
    /// Whether a snapshot's sessions are part of the state. See [`snapshot_sessions`].
    pub snapshot_sessions: fn() -> bool,
    /// The members after a snapshot. See [`snapshot_members`].
    pub snapshot_members: fn(own: &ConfState, snapshot: ConfState) -> ConfState,
    /// Whether a leader may propose other members. See [`may_change_members`].
    pub may_change_members: fn(committed_term: Option<u64>, term: u64) -> bool,
    /// Up to where a leader drops the log. See [`compact_to`].
    pub compact_to: fn(first: u64, applied: u64, count_limit: u64) -> Option<u64>,
}

impl Default for StoreRules {
    fn default() -> Self {
        Self {
            may_serve,
            session_verdict,
            snapshot_index,
            snapshot_sessions,
            snapshot_members,
            may_change_members,
            compact_to,
        }
    }
}

impl fmt::Debug for StoreRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRules").finish_non_exhaustive()
    }
}

/// A read waits until everything that was committed when it was confirmed is applied (section 8):
/// the state machine may lag behind the log.
pub fn may_serve(applied: u64, read_index: u64) -> bool {
    applied >= read_index
}

/// The number after the last one is new, the last one is a retry (thesis 6.3). A gap is fine: a
/// client may have given up a command that never reached the log.
pub fn session_verdict(last: Option<u64>, sequence: u64) -> SessionVerdict {
    match last {
        None => SessionVerdict::Expired,
        Some(last) if sequence > last => SessionVerdict::Execute,
        Some(last) if sequence == last => SessionVerdict::Repeat,
        Some(_) => SessionVerdict::Stale,
    }
}

/// A snapshot is the state machine, so it covers what is applied (section 7). What is committed
/// and not applied is not in it.
pub fn snapshot_index(applied: u64, _committed: u64) -> u64 {
    applied
}

/// Sessions are part of the state machine: a retry may reach a peer that has the command from a
/// snapshot only (thesis 6.3).
pub fn snapshot_sessions() -> bool {
    true
}

/// The members are those of the snapshot (section 6): the changes that led to them are no longer
/// in any log.
pub fn snapshot_members(_own: &ConfState, snapshot: ConfState) -> ConfState {
    snapshot
}

/// A leader changes members only after an entry of its own term is committed (Ongaro's correction of
/// thesis 4.1): until then a change of its predecessor may be committed that it does not know of.
pub fn may_change_members(committed_term: Option<u64>, term: u64) -> bool {
    committed_term == Some(term)
}

/// Once `count_limit` entries are applied beyond the first, all but the last applied one are
/// dropped (TinyKV `onRaftGCLogTick`). Never what is not applied: it is nowhere else.
pub fn compact_to(first: u64, applied: u64, count_limit: u64) -> Option<u64> {
    let due = applied > first && applied - first >= count_limit;
    due.then(|| applied - 1).filter(|&index| index >= first)
}

/// Up to where a follower drops its own log, whatever its leader says: once it has more than twice
/// `count_limit` applied entries, all but that many. A leader counts from where its own log begins, so
/// one that came with a snapshot cuts the others' late. No rule to be swapped: whoever needs an entry
/// that is gone gets a snapshot.
pub(crate) fn overlong(truncated: u64, applied: u64, count_limit: u64) -> Option<u64> {
    let keep = count_limit.max(1);
    let long = applied.saturating_sub(truncated) > keep.saturating_mul(2);
    long.then(|| applied - keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_executes_each_number_once() {
        assert_eq!(session_verdict(None, 1), SessionVerdict::Expired);
        assert_eq!(session_verdict(Some(0), 1), SessionVerdict::Execute);
        assert_eq!(session_verdict(Some(1), 1), SessionVerdict::Repeat);
        assert_eq!(session_verdict(Some(2), 1), SessionVerdict::Stale);
        assert_eq!(session_verdict(Some(2), 9), SessionVerdict::Execute);
    }

    #[test]
    fn the_log_is_dropped_once_the_limit_is_reached_and_not_before() {
        assert_eq!(compact_to(6, 5, 10), None, "nothing is applied");
        assert_eq!(compact_to(6, 15, 10), None);
        assert_eq!(compact_to(6, 16, 10), Some(15));
        assert_eq!(compact_to(6, 7, 0), Some(6));
        assert_eq!(compact_to(6, 6, 0), None, "the last applied entry stays");
    }

    #[test]
    fn no_log_is_longer_than_twice_the_limit() {
        assert_eq!(overlong(5, 25, 10), None);
        assert_eq!(overlong(5, 26, 10), Some(16));
        assert_eq!(overlong(5, 7, 0), None);
        assert_eq!(overlong(5, 8, 0), Some(7), "the last applied entry stays");
        assert_eq!(overlong(9, 5, 10), None);
        assert_eq!(overlong(0, u64::MAX, u64::MAX), None);
    }
}
