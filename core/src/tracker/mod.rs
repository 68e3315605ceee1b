//! Who belongs to the cluster, what the leader knows about each, and what they voted.

mod inflights;
mod progress;

use alloc::vec::Vec;

pub use self::inflights::Inflights;
pub use self::progress::{Progress, ProgressState};
use crate::proto::eraftpb::ConfState;
use crate::rules::{Rules, Tally};

/// The members in the order of their ids, each with its progress and its vote.
#[derive(Clone, Debug)]
pub struct ProgressTracker {
    members: Vec<Member>,
    max_inflight: u32,
}

#[derive(Clone, Debug)]
struct Member {
    id: u64,
    progress: Progress,
    /// Its answer in the current election.
    vote: Option<bool>,
}

impl ProgressTracker {
    pub(crate) fn new(max_inflight: u32) -> Self {
        Self { members: Vec::new(), max_inflight }
    }

    fn position(&self, id: u64) -> Result<usize, usize> {
        self.members.binary_search_by_key(&id, |member| member.id)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether `id` is a member.
    pub fn contains(&self, id: u64) -> bool {
        self.position(id).is_ok()
    }

    /// Ids in ascending order.
    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.iter().map(|member| member.id)
    }

    /// The progress of `id`.
    pub fn get(&self, id: u64) -> Option<&Progress> {
        self.position(id).ok().map(|position| &self.members[position].progress)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Progress> {
        self.position(id).ok().map(|position| &mut self.members[position].progress)
    }

    /// All members with their progress, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Progress)> + '_ {
        self.members.iter().map(|member| (member.id, &member.progress))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Progress)> + '_ {
        self.members.iter_mut().map(|member| (member.id, &mut member.progress))
    }

    /// Adds a member that starts at `next`. Returns whether it is new.
    pub(crate) fn add(&mut self, id: u64, next: u64) -> bool {
        let Err(position) = self.position(id) else {
            return false;
        };
        let progress = Progress::new(next, self.max_inflight);
        self.members.insert(position, Member { id, progress, vote: None });
        true
    }

    /// Removes a member. Returns whether it was one.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let found = self.position(id);
        if let Ok(position) = found {
            self.members.remove(position);
        }
        found.is_ok()
    }

    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// The members as the wire describes them.
    pub fn conf_state(&self) -> ConfState {
        ConfState { voters: self.ids().collect(), ..ConfState::default() }
    }

    /// Counts `id`'s answer; only its first of an election counts.
    pub(crate) fn record_vote(&mut self, id: u64, granted: bool) {
        if let Ok(position) = self.position(id) {
            self.members[position].vote.get_or_insert(granted);
        }
    }

    /// How `id` voted in the current election, if it answered.
    pub fn vote(&self, id: u64) -> Option<bool> {
        self.position(id).ok().and_then(|position| self.members[position].vote)
    }

    pub(crate) fn reset_votes(&mut self) {
        for member in &mut self.members {
            member.vote = None;
        }
    }

    /// What the votes so far add up to.
    pub fn tally(&self, rules: &Rules) -> Tally {
        let count = |answer| self.members.iter().filter(|m| m.vote == Some(answer)).count();
        let voters = self.members.len();
        (rules.tally)(count(true), count(false), (rules.quorum)(voters), voters)
    }

    /// The highest index that a quorum holds; 0 without members.
    pub fn quorum_index(&self, rules: &Rules) -> u64 {
        let voters = self.members.len();
        // Enough for any real cluster without the heap; a larger one pays for a vector.
        let mut small = [0u64; 16];
        let mut large = Vec::new();
        let matched = if let Some(slots) = small.get_mut(..voters) {
            slots
        } else {
            large.resize(voters, 0);
            large.as_mut_slice()
        };
        for (slot, member) in matched.iter_mut().zip(&self.members) {
            *slot = member.progress.matched;
        }
        matched.sort_unstable();
        let quorum = (rules.quorum)(voters);
        voters.checked_sub(quorum).and_then(|position| matched.get(position).copied()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tracker(matched: &[u64]) -> ProgressTracker {
        let mut tracker = ProgressTracker::new(1);
        for (&index, id) in matched.iter().zip(1..) {
            tracker.add(id, 1);
            tracker.get_mut(id).unwrap().acknowledge(index);
        }
        tracker
    }

    proptest! {
        /// Brute force: the largest index such that more than half of the peers hold at least that much.
        #[test]
        fn the_quorum_index_is_the_largest_that_a_majority_holds(
            matched in prop::collection::vec(0u64..9, 0..20)
        ) {
            let held_by = |index: u64| matched.iter().filter(|&&m| m >= index).count();
            let expected = (0..9).rev().find(|&i| 2 * held_by(i) > matched.len()).unwrap_or(0);
            prop_assert_eq!(tracker(&matched).quorum_index(&Rules::default()), expected);
        }
    }

    #[test]
    fn only_the_first_answer_of_a_voter_counts_and_strangers_do_not() {
        let mut t = tracker(&[0, 0, 0]);
        t.record_vote(1, false);
        t.record_vote(1, true);
        t.record_vote(9, true);
        t.record_vote(2, true);
        assert_eq!((t.vote(1), t.vote(9)), (Some(false), None));
        assert_eq!(t.tally(&Rules::default()), Tally::Pending);
        t.record_vote(3, true);
        assert_eq!(t.tally(&Rules::default()), Tally::Won);
        t.reset_votes();
        assert_eq!(t.tally(&Rules::default()), Tally::Pending);
    }

    #[test]
    fn members_stay_in_the_order_of_their_ids() {
        let mut t = ProgressTracker::new(1);
        for id in [3, 1, 2, 3] {
            t.add(id, 1);
        }
        assert_eq!(t.conf_state().voters, [1, 2, 3]);
        assert!(t.remove(2));
        assert!(!t.remove(2));
        assert_eq!(t.ids().collect::<Vec<_>>(), [1, 3]);
    }
}
