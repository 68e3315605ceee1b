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
#[derive(Clone, Debug)]
pub struct Progress {
    /// Highest index known to be in the peer's log (paper: matchIndex).
    pub matched: u64,
    /// Index of the next entry to send (paper: nextIndex).
    pub next: u64,
    /// How entries are sent.
    pub state: ProgressState,
    /// Index of the snapshot on its way, in [`ProgressState::Snapshot`].
    pub pending_snapshot: u64,
    /// Appends in flight, in [`ProgressState::Replicate`].
    pub inflights: Inflights,
    /// An append is owed even if it carries nothing: to find out where the logs agree, or whether
    /// appends were lost.
    pub(crate) append_due: bool,
    /// The commit index that the peer will know once it has handled everything sent.
    pub(crate) sent_commit: u64,
    /// The snapshot was on its way at the last check; see `give_up_snapshot`.
    snapshot_seen: bool,
}

impl Progress {
    pub(crate) fn new(next: u64, max_inflight: u32) -> Self {
        Self {
            matched: 0,
            next,
            state: ProgressState::Probe,
            pending_snapshot: 0,
            inflights: Inflights::new(max_inflight),
            append_due: false,
            sent_commit: 0,
            snapshot_seen: false,
        }
    }

    /// Forgets what was known, for a new leader whose log ends just before `next`.
    pub(crate) fn reset(&mut self, next: u64) {
        self.matched = 0;
        self.next = next;
        self.enter(ProgressState::Probe);
        self.append_due = false;
    }

    fn enter(&mut self, state: ProgressState) {
        self.state = state;
        self.pending_snapshot = 0;
        self.sent_commit = 0;
        self.snapshot_seen = false;
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
        self.append_due = true;
    }

    /// The logs agree up to `matched`.
    pub(crate) fn become_replicate(&mut self) {
        let sent_commit = self.sent_commit;
        self.enter(ProgressState::Replicate);
        self.sent_commit = sent_commit;
        self.append_due = false;
        self.next = self.matched + 1;
    }

    /// A snapshot that ends at `index` was sent.
    pub(crate) fn become_snapshot(&mut self, index: u64) {
        self.enter(ProgressState::Snapshot);
        self.append_due = false;
        self.pending_snapshot = index;
        self.next = (index + 1).max(self.matched + 1);
    }

    /// The peer acknowledged everything up to `index`. Returns whether that is news.
    pub(crate) fn acknowledge(&mut self, index: u64) -> bool {
        let news = index > self.matched;
        self.matched = self.matched.max(index);
        self.next = self.next.max(self.matched + 1);
        news
    }

    /// The peer rejected an append after `rejected`, and may agree up to `hint`. Returns whether
    /// that is news; then the peer is probed from there.
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
        if pipelined {
            self.become_probe();
        }
        self.next = next;
        self.append_due = true;
        true
    }

    /// An append up to `last_index` with this commit index was sent.
    pub(crate) fn sent_append(&mut self, last_index: u64, commit: u64) {
        let carries_entries = last_index >= self.next;
        if self.state == ProgressState::Replicate && carries_entries {
            self.inflights.add(last_index);
            self.next = last_index + 1;
        }
        self.append_due = false;
        self.sent_commit = commit.min(last_index);
    }

    /// Whether the next append to the peer may carry entries.
    pub(crate) fn may_send_entries(&self) -> bool {
        match self.state {
            ProgressState::Probe => true,
            ProgressState::Replicate => !self.inflights.is_full(),
            ProgressState::Snapshot => false,
        }
    }

    /// Whether an append should be sent, given the end and the commit index of the leader's log.
    pub(crate) fn wants_append(&self, last_index: u64, committed: u64) -> bool {
        match self.state {
            ProgressState::Snapshot => false,
            ProgressState::Probe => self.append_due,
            ProgressState::Replicate => {
                let has_entries = self.next <= last_index && !self.inflights.is_full();
                let has_commit = self.sent_commit < committed.min(self.next - 1);
                self.append_due || has_entries || has_commit
            }
        }
    }

    /// The peer acknowledged an append or a snapshot up to `index`; `first` is the first entry the
    /// leader still has.
    pub(crate) fn on_acknowledged(&mut self, index: u64, news: bool, first: u64) {
        match self.state {
            // Any answer to a probe settles where the logs agree, even one that repeats what was
            // known.
            ProgressState::Probe if news || index == self.matched => self.become_replicate(),
            // Any snapshot will do that lets replication go on, whoever sent it.
            ProgressState::Snapshot if self.matched + 1 >= first => self.become_replicate(),
            ProgressState::Probe | ProgressState::Snapshot => {}
            ProgressState::Replicate => self.inflights.free_to(index),
        }
    }

    /// The peer answered a heartbeat; the leader's log ends at `last_index`.
    pub(crate) fn on_alive(&mut self, last_index: u64) {
        match self.state {
            ProgressState::Probe => self.append_due = true,
            ProgressState::Replicate => self.append_due |= self.matched < last_index,
            ProgressState::Snapshot => {}
        }
    }

    /// The transport could not reach the peer: do not send more without an answer.
    pub(crate) fn on_unreachable(&mut self) {
        if self.state == ProgressState::Replicate {
            self.become_probe();
            self.append_due = false;
        }
    }

    /// The transport reports how a snapshot's transfer ended. Either way the next heartbeat's
    /// answer sets off a probe: after the snapshot if it arrived, from what is known if not.
    pub(crate) fn on_snapshot_status(&mut self, arrived: bool) {
        if self.state == ProgressState::Snapshot {
            if !arrived {
                self.pending_snapshot = 0;
            }
            self.become_probe();
            self.append_due = false;
        }
    }

    /// A snapshot is needed but there is none yet: wait for the next heartbeat's answer.
    pub(crate) fn wait_in_probe(&mut self) {
        let next = self.next;
        self.enter(ProgressState::Probe);
        self.next = next;
        self.append_due = false;
    }

    /// Called once every election time-out: a snapshot that has been on its way for a whole one is
    /// taken for lost, in case nobody reports its fate.
    pub(crate) fn give_up_snapshot(&mut self) {
        if self.state != ProgressState::Snapshot {
            return;
        }
        if self.snapshot_seen {
            self.pending_snapshot = 0;
            self.become_probe();
        } else {
            self.snapshot_seen = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(matched: u64, next: u64) -> Progress {
        let mut progress = Progress::new(next, 2);
        progress.matched = matched;
        progress
    }

    #[test]
    fn a_probe_sends_one_append_and_waits() {
        let mut p = progress(0, 5);
        assert!(!p.wants_append(9, 0));
        p.become_probe();
        assert!(p.wants_append(9, 0));
        p.sent_append(9, 0);
        assert!(!p.wants_append(10, 0));
        assert_eq!(p.next, 1, "a probe does not move on before the answer");
    }

    #[test]
    fn replication_moves_on_without_answers_until_the_window_is_full() {
        let mut p = progress(4, 5);
        p.become_replicate();
        p.sent_append(5, 0);
        p.sent_append(6, 0);
        assert_eq!((p.next, p.may_send_entries(), p.wants_append(9, 0)), (7, false, false));
        p.inflights.free_to(5);
        assert!(p.wants_append(9, 0));
    }

    #[test]
    fn a_commit_index_is_sent_once_and_only_as_far_as_entries_were_sent() {
        let mut p = progress(4, 5);
        p.become_replicate();
        assert!(p.wants_append(4, 3));
        p.sent_append(4, 3);
        assert!(!p.wants_append(4, 3));
        assert!(p.wants_append(4, 4));
        p.sent_append(4, 9);
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
    fn a_snapshot_that_nobody_reports_is_given_up_after_a_whole_election_time_out() {
        let mut p = progress(4, 9);
        p.become_snapshot(20);
        p.give_up_snapshot();
        assert_eq!(p.state, ProgressState::Snapshot);
        p.give_up_snapshot();
        assert_eq!((p.state, p.next, p.append_due), (ProgressState::Probe, 5, true));
    }
}
