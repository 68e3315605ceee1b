//! A log, reduced to what the rules compare: the term at each index.
//!
//! Where log matching holds, and it is checked, index and term name an entry and everything before
//! it. Terms only ever grow along a log, so that a log of a million entries is as many numbers as
//! there were elections.

use raft_core::EntryId;

/// The terms of a log from its base on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    base: EntryId,
    last: u64,
    /// The first index of each run of equal terms, ascending.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    term: u64,
}

impl Terms {
    /// An empty log after `base`.
    pub(crate) fn after(base: EntryId) -> Self {
        Self { base, last: base.index, runs: Vec::new() }
    }

    /// The entry before the first.
    pub(crate) fn base(&self) -> EntryId {
        self.base
    }

    /// Index of the last entry; the base's if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The last entry; the base if there is none.
    pub(crate) fn last_id(&self) -> EntryId {
        let term = self.runs.last().map_or(self.base.term, |run| run.term);
        EntryId::new(term, self.last)
    }

    /// The term at `index`; none below the base and beyond the end.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if index > self.last || index < self.base.index {
            return None;
        }
        match self.runs.last() {
            Some(run) if run.first <= index => Some(run.term),
            _ => {
                let runs = self.runs.partition_point(|run| run.first <= index);
                Some(runs.checked_sub(1).map_or(self.base.term, |at| self.runs[at].term))
            }
        }
    }

    /// Whether the log has this entry, or has folded its index into its base.
    pub(crate) fn covers(&self, id: EntryId) -> bool {
        id.index < self.base.index || self.term(id.index) == Some(id.term)
    }

    /// Puts an entry at `index`; what stood there and after it is gone. One that leaves a gap
    /// starts the log anew: nothing is known of what is before it.
    pub(crate) fn push(&mut self, id: EntryId) {
        if id.index <= self.last {
            self.cut(id.index.saturating_sub(1));
        }
        if id.index > self.last + 1 || id.index <= self.base.index {
            *self = Self::after(EntryId::new(id.term, id.index.saturating_sub(1)));
        }
        self.last = id.index;
        if self.runs.last().is_none_or(|run| run.term != id.term) {
            self.runs.push(Run { first: id.index, term: id.term });
        }
    }

    /// The log ends at `last`, but not before its base.
    pub(crate) fn cut(&mut self, last: u64) {
        self.last = self.last.min(last.max(self.base.index));
        while self.runs.last().is_some_and(|run| run.first > self.last) {
            self.runs.pop();
        }
    }

    /// Everything up to `index` is folded into a snapshot.
    pub(crate) fn compact(&mut self, index: u64) {
        let Some(term) = self.term(index).filter(|_| index > self.base.index) else { return };
        let gone = self.runs.partition_point(|run| run.first <= index);
        // The run that goes on beyond the new base still tells its term.
        let keep = gone.saturating_sub(usize::from(gone > 0 && self.runs_on(gone - 1, index)));
        self.runs.drain(..keep);
        if let Some(run) = self.runs.first_mut() {
            run.first = run.first.max(index + 1);
        }
        self.base = EntryId::new(term, index);
    }

    /// Whether run number `at` has entries after `index`.
    fn runs_on(&self, at: usize, index: u64) -> bool {
        let end = self.runs.get(at + 1).map_or(self.last, |next| next.first - 1);
        end > index
    }

    /// A snapshot that ends at `base` takes the place of everything, or, if the log holds that
    /// entry, of what is before it.
    pub(crate) fn rebase(&mut self, base: EntryId) {
        if base.index > self.base.index && self.term(base.index) == Some(base.term) {
            self.compact(base.index);
        } else if base != self.base {
            *self = Self::after(base);
        }
    }

    /// The last index whose term is below `limit`.
    pub(crate) fn last_below(&self, limit: u64) -> Option<EntryId> {
        let mut end = self.last;
        for run in self.runs.iter().rev() {
            if run.term < limit {
                return Some(EntryId::new(run.term, end));
            }
            end = run.first - 1;
        }
        (self.base.term < limit).then_some(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(base: (u64, u64), terms: &[u64]) -> Terms {
        let mut log = Terms::after(EntryId::new(base.1, base.0));
        for (&term, index) in terms.iter().zip(base.0 + 1..) {
            log.push(EntryId::new(term, index));
        }
        log
    }

    fn terms(log: &Terms) -> Vec<u64> {
        (log.base().index..=log.last()).map(|index| log.term(index).unwrap()).collect()
    }

    #[test]
    fn a_log_tells_the_term_at_each_index_and_nowhere_else() {
        let log = log((5, 5), &[5, 6, 6, 9]);
        assert_eq!(terms(&log), [5, 5, 6, 6, 9]);
        assert_eq!((log.term(4), log.term(10)), (None, None));
        assert_eq!(log.last_id(), EntryId::new(9, 9));
        assert!(log.covers(EntryId::new(1, 2)), "folded into the base");
        assert!(!log.covers(EntryId::new(8, 9)));
    }

    #[test]
    fn a_push_into_the_middle_cuts_off_the_rest() {
        let mut log = log((5, 5), &[5, 6, 6, 9]);
        log.push(EntryId::new(7, 7));
        assert_eq!(terms(&log), [5, 5, 7]);
        log.cut(5);
        assert_eq!(log.last_id(), EntryId::new(5, 5));
        log.cut(0);
        assert_eq!(log.last(), 5, "the base stays");
    }

    #[test]
    fn compaction_changes_no_term_that_is_left() {
        for at in 5..=9 {
            let mut log = log((5, 5), &[5, 6, 6, 9]);
            let before: Vec<_> = (at..=9).map(|index| log.term(index)).collect();
            log.compact(at);
            assert_eq!((at..=9).map(|index| log.term(index)).collect::<Vec<_>>(), before);
            assert_eq!(log.term(at - 1), None);
            log.push(EntryId::new(9, 10));
            assert_eq!(log.last_id(), EntryId::new(9, 10));
        }
    }

    #[test]
    fn a_snapshot_keeps_only_a_log_that_goes_on_from_it() {
        let mut kept = log((5, 5), &[5, 6, 6, 9]);
        kept.rebase(EntryId::new(6, 8));
        assert_eq!(terms(&kept), [6, 9]);
        let mut replaced = log((5, 5), &[5, 6, 6, 9]);
        replaced.rebase(EntryId::new(7, 8));
        assert_eq!(terms(&replaced), [7]);
    }

    #[test]
    fn the_last_entry_below_a_term_is_found() {
        let log = log((5, 5), &[5, 6, 6, 9]);
        assert_eq!(log.last_below(10), Some(EntryId::new(9, 9)));
        assert_eq!(log.last_below(9), Some(EntryId::new(6, 8)));
        assert_eq!(log.last_below(6), Some(EntryId::new(5, 6)));
        assert_eq!(log.last_below(5), None);
    }
}
