//! Who belongs to the cluster, what the leader knows about each, and what they voted.

mod configuration;
mod inflights;
mod progress;

use alloc::vec::Vec;

pub use self::configuration::Configuration;
pub use self::inflights::Inflights;
pub use self::progress::{Progress, ProgressState};
use crate::proto::eraftpb::ConfState;
use crate::rules::{Rules, Tally};

/// The members in the order of their ids, each with its progress and its vote.
#[derive(Clone, Debug)]
pub struct ProgressTracker {
    pub(crate) configuration: Configuration,
    members: Vec<Member>,
    window: Inflights,
}

#[derive(Clone, Debug)]
struct Member {
    id: u64,
    progress: Progress,
    /// Its answer in the current election.
    vote: Option<bool>,
}

impl ProgressTracker {
    /// Nobody, with windows of so many appends and bytes for those to come (see
    /// [`Inflights::new`]).
    pub const fn new(max_inflight_msgs: u32, max_inflight_bytes: u64) -> Self {
        Self {
            configuration: Configuration::new(),
            members: Vec::new(),
            window: Inflights::new(max_inflight_msgs, max_inflight_bytes),
        }
    }

    /// Nobody, with the same windows.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            configuration: Configuration::new(),
            members: Vec::new(),
            window: self.window.clone(),
        }
    }

    fn position(&self, id: u64) -> Result<usize, usize> {
        self.members.binary_search_by_key(&id, |member| member.id)
    }

    /// Voters and learners.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether `id` is a member, as a voter or a learner.
    pub fn contains(&self, id: u64) -> bool {
        self.position(id).is_ok()
    }

    /// Ids in ascending order.
    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.iter().map(|member| member.id)
    }

    /// The id of the member at `position`, counted from 0.
    pub(crate) fn id_at(&self, position: usize) -> Option<u64> {
        self.members.get(position).map(|member| member.id)
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

    /// Adds a member that starts at `next`, heard of a moment ago: otherwise it might cost the
    /// leader its quorum before it could speak.
    pub(crate) fn insert(&mut self, id: u64, next: u64, is_learner: bool) {
        if let Err(position) = self.position(id) {
            let mut progress = Progress::new(next, self.window.clone());
            progress.is_learner = is_learner;
            progress.recent_active = true;
            self.members.insert(position, Member { id, progress, vote: None });
        }
    }

    pub(crate) fn remove(&mut self, id: u64) {
        if let Ok(position) = self.position(id) {
            self.members.remove(position);
        }
    }

    /// The members as the wire describes them.
    pub fn conf_state(&self) -> ConfState {
        self.configuration.conf_state()
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

    /// How many members that are no learners granted their vote, and how many refused it.
    pub fn count_votes(&self) -> (usize, usize) {
        let voters = || self.members.iter().filter(|member| !member.progress.is_learner);
        let count = |answer| voters().filter(|member| member.vote == Some(answer)).count();
        (count(true), count(false))
    }

    /// What the votes so far add up to.
    pub fn tally(&self, rules: &Rules) -> Tally {
        self.configuration.voters.vote_result(|id| self.vote(id), rules)
    }

    /// Whether a quorum was heard of since the last check.
    pub fn quorum_active(&self, rules: &Rules) -> bool {
        let active = |id| self.get(id).map(|progress| progress.recent_active);
        self.configuration.voters.vote_result(active, rules) == Tally::Won
    }

    /// The highest index that a quorum holds; [`u64::MAX`] without voters.
    pub fn quorum_index(&self, rules: &Rules) -> u64 {
        let matched = |id| self.get(id).map(|progress| progress.matched);
        self.configuration.voters.committed_index(matched, rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(voters: &[u64]) -> ProgressTracker {
        let mut tracker = ProgressTracker::new(1, 0);
        for &id in voters {
            tracker.insert(id, 1, false);
            tracker.configuration.voters.incoming.insert(id);
        }
        tracker
    }

    #[test]
    fn only_the_first_answer_of_a_voter_counts_and_strangers_do_not() {
        let mut t = tracker(&[1, 2, 3]);
        t.record_vote(1, false);
        t.record_vote(1, true);
        t.record_vote(9, true);
        t.record_vote(2, true);
        assert_eq!((t.vote(1), t.vote(9)), (Some(false), None));
        assert_eq!((t.tally(&Rules::default()), t.count_votes()), (Tally::Pending, (1, 1)));
        t.record_vote(3, true);
        assert_eq!(t.tally(&Rules::default()), Tally::Won);
        t.reset_votes();
        assert_eq!(t.tally(&Rules::default()), Tally::Pending);
    }

    #[test]
    fn learners_neither_vote_nor_commit_nor_keep_a_leader_alive() {
        let mut t = tracker(&[1, 2, 3]);
        t.insert(4, 1, true);
        t.configuration.learners.insert(4);
        for (id, _) in [(1, ()), (4, ())] {
            t.record_vote(id, true);
            t.get_mut(id).unwrap().acknowledge(7);
        }
        let rules = Rules::default();
        assert_eq!((t.tally(&rules), t.quorum_index(&rules)), (Tally::Pending, 0));
        assert_eq!(t.count_votes(), (1, 0));
        for (id, progress) in t.iter_mut() {
            progress.recent_active = id == 1 || id == 4;
        }
        assert!(!t.quorum_active(&rules));
        t.get_mut(3).unwrap().recent_active = true;
        assert!(t.quorum_active(&rules));
    }

    #[test]
    fn members_stay_in_the_order_of_their_ids() {
        let mut t = tracker(&[3, 1, 2, 3]);
        assert_eq!(t.conf_state().voters, [1, 2, 3]);
        t.remove(2);
        t.remove(2);
        assert_eq!(t.ids().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(t.id_at(1), Some(3));
    }
}
