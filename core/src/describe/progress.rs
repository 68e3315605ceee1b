//! What a leader knows about its followers, in words.

use alloc::string::String;
use core::fmt::Write;

use crate::tracker::{Progress, ProgressState};

/// `StateProbe`, `StateReplicate` or `StateSnapshot`.
pub fn progress_state(state: ProgressState) -> &'static str {
    match state {
        ProgressState::Probe => "StateProbe",
        ProgressState::Replicate => "StateReplicate",
        ProgressState::Snapshot => "StateSnapshot",
    }
}

/// What a leader knows about a peer: `StateReplicate match=11 next=12`, then only what is out of
/// the ordinary: `learner`, `paused`, `pendingSnap=11`, `inactive`, `inflight=3[full]`.
pub fn progress(progress: &Progress) -> String {
    let mut line = String::new();
    let state = progress_state(progress.state);
    // Writing to a string cannot fail.
    let _ = write!(line, "{state} match={} next={}", progress.matched, progress.next);
    if progress.is_learner {
        line.push_str(" learner");
    }
    // No appends are sent while a snapshot is on its way.
    if progress.paused || progress.state == ProgressState::Snapshot {
        line.push_str(" paused");
    }
    if progress.pending_snapshot > 0 {
        let _ = write!(line, " pendingSnap={}", progress.pending_snapshot);
    }
    if !progress.recent_active {
        line.push_str(" inactive");
    }
    let inflight = progress.inflights.count();
    if inflight > 0 {
        let full = if progress.inflights.is_full() { "[full]" } else { "" };
        let _ = write!(line, " inflight={inflight}{full}");
    }
    line
}

/// One line a peer, in the order given: `1: StateReplicate match=11 next=12`.
pub fn progress_map<'a>(peers: impl IntoIterator<Item = (u64, &'a Progress)>) -> String {
    let mut text = String::new();
    for (id, peer) in peers {
        let _ = writeln!(text, "{id}: {}", progress(peer));
    }
    text
}
