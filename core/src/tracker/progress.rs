//! What a leader knows about one peer.

use super::Inflights;
use crate::rules::{Rejection, Rules};

/// How entries are sent to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProgressState {
    /// The leader does not know where the logs agree: one append at a time.
    #[default]
    Probe,
    /// The logs agree up to `matched`: appends are sent without waiting for answers.
    Replicate,
    /// The peer needs entries that are compacted away: a snapshot is on its way, no appends.
    Snapshot,
}

/// What a leader knows about one peer. `matched < next` always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Highest index known to be in the peer's log (paper: matchIndex).
    pub matched: u64,
    /// Index of the next entry to send (paper: nextIndex).
    pub next: u64,
    /// How entries are sent.
    pub state: ProgressState,
    /// Index of the snapshot on its way, in [`ProgressState::Snapshot`].
    pub pending_snapshot: u64,
    /// The peer was heard of since the last check of the quorum.
    pub recent_active: bool,
    /// Nothing more is sent until the peer gives a sign of life: a probe is under way, or the
    /// window is full.
    pub paused: bool,
    /// The peer receives the log and does not vote.
    pub is_learner: bool,
    /// Appends in flight, in [`ProgressState::Replicate`].
    pub inflights: Inflights,
    /// The peer asked for a snapshot that reaches at least this index; 0 if it did not.
    pub requested_snapshot: u64,
    /// An append is owed even if it carries nothing: to find out where the logs agree, or whether
    /// appends were lost.
    pub(crate) append_due: bool,
    /// The highest read position that the peer has echoed.
    pub(crate) read_position: u64,
    /// The commit index of the last message sent.
    pub(crate) sent_commit: u64,
    /// Election time-outs that the snapshot has been on its way for.
    pub(super) snapshot_age: u32,
}

impl Progress {
    pub(crate) fn new(next: u64, inflights: Inflights) -> Self {
        Self {
            matched: 0,
            next,
            state: ProgressState::Probe,
            pending_snapshot: 0,
            recent_active: false,
            paused: false,
            is_learner: false,
            inflights,
            requested_snapshot: 0,
            append_due: false,
            read_position: 0,
            sent_commit: 0,
            snapshot_age: 0,
        }
    }

    fn enter(&mut self, state: ProgressState) {
        self.state = state;
        self.paused = false;
        self.pending_snapshot = 0;
        self.snapshot_age = 0;
        self.inflights.reset();
    }

    /// Looks for the point where the logs agree, starting after what is known or was just sent as a
    /// snapshot.
    pub(crate) fn become_probe(&mut self) {
        let after_snapshot = match self.state {
            ProgressState::Snapshot => self.pending_snapshot + 1,
            _ => 0,
        };
        self.enter(ProgressState::Probe);
        self.next = (self.matched + 1).max(after_snapshot);
        self.sent_commit = self.sent_commit.min(self.next - 1);
        self.append_due = false;
    }

    /// The logs agree up to `matched`.
    pub(crate) fn become_replicate(&mut self) {
        self.enter(ProgressState::Replicate);
        self.append_due = false;
        self.next = self.matched + 1;
    }

    /// A snapshot that ends at `index` was sent.
    pub(crate) fn become_snapshot(&mut self, index: u64) {
        self.enter(ProgressState::Snapshot);
        self.append_due = false;
        self.requested_snapshot = 0;
        self.pending_snapshot = index;
        self.next = (index + 1).max(self.matched + 1);
        self.sent_commit = index;
    }

    /// The peer acknowledged everything up to `index`. Returns whether that is news.
    pub(crate) fn acknowledge(&mut self, index: u64) -> bool {
        if index <= self.matched {
            return false;
        }
        self.matched = index;
        self.next = self.next.max(index + 1);
        self.paused = false;
        true
    }

    /// The peer rejected an append after `rejected`, and may agree up to `hint`. Returns whether
    /// that is news; then the peer is to be sent an append from there.
    pub(crate) fn reject(&mut self, rejected: u64, hint: u64, rules: &Rules) -> bool {
        let (matched, next) = (self.matched, self.next);
        let pipelined = match self.state {
            ProgressState::Replicate => true,
            ProgressState::Probe => false,
            // No append is in doubt while a snapshot is on its way.
            ProgressState::Snapshot => return false,
        };
        let rejection = Rejection { rejected, hint, matched, next, pipelined };
        let Some(next) = (rules.next_after_rejection)(&rejection) else {
            return false;
        };
        self.next = next;
        // What was sent beyond it was not taken.
        self.sent_commit = self.sent_commit.min(next.saturating_sub(1));
        self.paused = false;
        true
    }

    /// The peer asks for a snapshot up to `index` or beyond, because its state machine is damaged.
    pub(crate) fn request_snapshot(&mut self, index: u64) {
        if self.state != ProgressState::Snapshot {
            self.requested_snapshot = index;
            self.paused = false;
        }
    }

    /// An append up to `last_index`, with so many bytes of payload and this commit index, was sent.
    pub(crate) fn sent_append(&mut self, last_index: u64, bytes: u64, commit: u64) {
        let carries_entries = last_index >= self.next;
        match self.state {
            ProgressState::Replicate => {
                if carries_entries {
                    self.next = last_index + 1;
                    self.inflights.add(last_index, bytes);
                }
                // Once the window is full an append is a probe: nothing more before an answer.
                self.paused = self.inflights.is_full();
            }
            ProgressState::Probe => self.paused |= carries_entries,
            ProgressState::Snapshot => {}
        }
        self.append_due = false;
        self.sent_commit = commit;
    }

    /// Whether nothing may be sent at the moment (etcd's `IsPaused`).
    pub fn is_paused(&self) -> bool {
        self.state == ProgressState::Snapshot || self.paused
    }

    /// Whether the next append to the peer may carry entries.
    pub(crate) fn may_send_entries(&self) -> bool {
        self.state != ProgressState::Replicate || !self.inflights.is_full()
    }

    /// Whether an append with this commit index might move the peer's.
    pub(crate) fn can_bump_commit(&self, committed: u64) -> bool {
        committed > self.sent_commit && self.sent_commit < self.next - 1
    }

    /// Whether an append should be sent, given the end and the commit index of the leader's log.
    /// `0` as `committed` leaves commit indices to later appends.
    pub(crate) fn wants_append(&self, last_index: u64, committed: u64) -> bool {
        if self.is_paused() {
            return false;
        }
        match self.state {
            ProgressState::Snapshot => false,
            ProgressState::Probe => self.append_due,
            ProgressState::Replicate => {
                let has_entries = self.next <= last_index && !self.inflights.is_full();
                self.append_due || has_entries || self.can_bump_commit(committed)
            }
        }
    }

    /// The peer acknowledged an append up to `index`.
    pub(crate) fn on_acknowledged(&mut self, index: u64) {
        match self.state {
            // Any answer to a probe settles where the logs agree, even one that repeats what was
            // known.
            ProgressState::Probe => self.become_replicate(),
            ProgressState::Snapshot => {}
            ProgressState::Replicate => self.inflights.free_to(index),
        }
    }

    /// The transport could not reach the peer: do not send more without an answer.
    pub(crate) fn on_unreachable(&mut self) {
        if self.state == ProgressState::Replicate {
            self.become_probe();
        }
    }

    /// The transport reports how a snapshot's transfer ended. Either way the next sign of life sets
    /// off a probe: after the snapshot if it arrived, from what is known if not.
    pub(crate) fn on_snapshot_status(&mut self, arrived: bool) {
        if !arrived {
            self.pending_snapshot = 0;
        }
        self.become_probe();
        self.paused = true;
    }

    /// Called once every election time-out: a snapshot that has been on its way for `patience` of
    /// them is taken for lost, in case nobody reports its fate. Returns whether it was.
    pub(crate) fn give_up_snapshot(&mut self, patience: u32) -> bool {
        if self.state != ProgressState::Snapshot || patience == 0 {
            return false;
        }
        self.snapshot_age = self.snapshot_age.saturating_add(1);
        if self.snapshot_age < patience {
            return false;
        }
        self.pending_snapshot = 0;
        self.become_probe();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(matched: u64, next: u64) -> Progress {
        let mut progress = Progress::new(next, Inflights::new(2, 0));
        progress.matched = matched;
        progress
    }

    #[test]
    fn a_probe_sends_one_append_and_waits() {
        let mut p = progress(0, 5);
        assert!(!p.wants_append(9, 0));
        p.become_probe();
        p.append_due = true;
        assert!(p.wants_append(9, 0));
        p.sent_append(9, 0, 0);
        p.append_due = true;
        assert!(!p.wants_append(10, 0));
        assert_eq!(p.next, 1, "a probe does not move on before the answer");
        p.paused = false;
        assert!(p.wants_append(10, 0));
    }

    #[test]
    fn replication_moves_on_without_answers_until_the_window_is_full() {
        let mut p = progress(4, 5);
        p.become_replicate();
        p.sent_append(5, 0, 0);
        p.sent_append(6, 0, 0);
        assert_eq!((p.next, p.may_send_entries(), p.wants_append(9, 0)), (7, false, false));
        assert!(p.acknowledge(5));
        p.on_acknowledged(5);
        assert!(p.wants_append(9, 0));
    }

    #[test]
    fn a_full_window_is_probed_with_an_empty_append_after_a_sign_of_life() {
        let mut p = progress(4, 5);
        p.become_replicate();
        p.sent_append(5, 0, 0);
        p.sent_append(6, 0, 0);
        (p.paused, p.append_due) = (false, true);
        assert!(p.wants_append(9, 0) && !p.may_send_entries());
        p.sent_append(6, 0, 0);
        assert!(p.paused && p.next == 7);
    }

    #[test]
    fn a_commit_index_is_sent_once_and_only_as_far_as_entries_were_sent() {
        let mut p = progress(4, 5);
        p.become_replicate();
        assert!(p.wants_append(4, 3));
        p.sent_append(4, 0, 3);
        assert!(!p.wants_append(4, 3));
        assert!(p.wants_append(4, 4));
        p.sent_append(4, 0, 9);
        assert!(!p.wants_append(4, 9));
    }

    #[test]
    fn late_and_repeated_answers_move_nothing_back() {
        let mut p = progress(4, 5);
        p.become_replicate();
        assert!(p.acknowledge(6));
        assert!(!p.acknowledge(6));
        assert!(!p.acknowledge(2));
        assert_eq!((p.matched, p.next), (6, 7));
        assert!(!p.reject(5, 0, &Rules::default()), "rejection below what matches");
        assert_eq!((p.matched, p.next), (6, 7));
    }

    #[test]
    fn next_always_exceeds_matched() {
        let mut p = progress(4, 9);
        assert!(p.reject(8, 0, &Rules::default()));
        assert_eq!(p.next, 5);
        p.become_snapshot(2);
        assert_eq!(p.next, 5);
    }

    #[test]
    fn a_rejection_takes_back_the_commit_index_that_was_sent() {
        let mut p = progress(4, 5);
        p.become_replicate();
        p.sent_append(8, 0, 8);
        assert!(p.reject(8, 4, &Rules::default()));
        p.become_probe();
        p.become_replicate();
        assert!(!p.can_bump_commit(4) && p.sent_commit == 4);
    }

    #[test]
    fn a_snapshot_that_nobody_reports_is_given_up_after_a_whole_election_time_out() {
        let mut p = progress(4, 9);
        p.become_snapshot(20);
        assert!(!p.give_up_snapshot(0), "0 is for ever");
        assert!(!p.give_up_snapshot(2));
        assert_eq!(p.state, ProgressState::Snapshot);
        assert!(p.give_up_snapshot(2));
        assert_eq!((p.state, p.next), (ProgressState::Probe, 5));
    }

    #[test]
    fn a_requested_snapshot_is_remembered_until_one_is_sent() {
        let mut p = progress(4, 9);
        p.request_snapshot(7);
        assert_eq!(p.requested_snapshot, 7);
        p.become_snapshot(8);
        assert_eq!(p.requested_snapshot, 0);
        p.request_snapshot(9);
        assert_eq!(p.requested_snapshot, 0, "one is on its way");
    }
}
