//! Who belongs to the cluster, what the leader knows about each, and what they voted.

mod configuration;
mod inflights;
mod progress;

use alloc::vec::Vec;

pub use self::configuration::Configuration;
pub use self::inflights::Inflights;
pub use self::progress::{Progress, ProgressState};
use crate::proto::eraftpb::ConfState;
use crate::rules::{Outsider, Rules, Tally};

/// The members, a leader's view of each, and a candidate's votes.
///
/// Only a leader knows how the others stand, so only a leader spends memory on it: on all other
/// peers there is no [`Progress`] at all.
#[derive(Clone, Debug)]
pub struct ProgressTracker {
    pub(crate) configuration: Configuration,
    /// In the order of their ids; empty unless this peer leads.
    members: Vec<Member>,
    leads: bool,
    /// Answers of the current election.
    votes: Vec<(u64, bool)>,
    max_inflight_msgs: u32,
    max_inflight_bytes: u64,
}

#[derive(Clone, Debug)]
struct Member {
    id: u64,
    progress: Progress,
}

impl ProgressTracker {
    /// Nobody, with windows of so many appends and bytes for those to come (see
    /// [`Inflights::new`]).
    pub const fn new(max_inflight_msgs: u32, max_inflight_bytes: u64) -> Self {
        Self {
            configuration: Configuration::new(),
            members: Vec::new(),
            leads: false,
            votes: Vec::new(),
            max_inflight_msgs,
            max_inflight_bytes,
        }
    }

    /// Nobody, as a leader begins who looks after all that are added.
    pub const fn of_leader(max_inflight_msgs: u32, max_inflight_bytes: u64) -> Self {
        let mut nobody = Self::new(max_inflight_msgs, max_inflight_bytes);
        nobody.leads = true;
        nobody
    }

    /// Nobody, in the same role with the same windows.
    pub(crate) fn emptied(&self) -> Self {
        let empty = Self::new(self.max_inflight_msgs, self.max_inflight_bytes);
        Self { leads: self.leads, ..empty }
    }

    /// This peer leads from now on: every member is to be probed at `next`.
    pub(crate) fn start_leading(&mut self, next: u64) {
        self.leads = true;
        self.members.clear();
        let Configuration { voters, learners, .. } = &self.configuration;
        for id in voters.ids().iter().chain(learners.iter()) {
            let progress = Progress { is_learner: learners.contains(id), ..self.fresh(next) };
            let place = self.members.partition_point(|member| member.id < id);
            self.members.insert(place, Member { id, progress });
        }
    }

    /// This peer does not lead.
    pub(crate) fn stop_leading(&mut self) {
        self.leads = false;
        self.members = Vec::new();
    }

    fn fresh(&self, next: u64) -> Progress {
        Progress::new(next, Inflights::new(self.max_inflight_msgs, self.max_inflight_bytes))
    }

    /// Where `id` is, or would be. Most clusters are small, and their members in order: the first
    /// that is not less is found sooner by looking at each than by halving.
    fn position(&self, id: u64) -> Result<usize, usize> {
        const FEW: usize = 16;
        if self.members.len() > FEW {
            return self.members.binary_search_by_key(&id, |member| member.id);
        }
        let place = self.members.iter().position(|member| member.id >= id);
        match place {
            Some(place) if self.members[place].id == id => Ok(place),
            Some(place) => Err(place),
            None => Err(self.members.len()),
        }
    }

    /// Voters and learners.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Whether `id` is a member, as a voter or a learner.
    pub fn contains(&self, id: u64) -> bool {
        self.configuration.contains(id)
    }

    /// Ids in ascending order.
    pub fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        let Configuration { voters, learners, .. } = &self.configuration;
        let ids: crate::quorum::Majority = voters.ids().iter().chain(learners.iter()).collect();
        ids.into_iter()
    }

    /// Number of members that a leader looks after.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The id of the member at `position`, counted from 0.
    pub(crate) fn id_at(&self, position: usize) -> Option<u64> {
        self.members.get(position).map(|member| member.id)
    }

    /// The progress of `id`, on a leader.
    pub fn get(&self, id: u64) -> Option<&Progress> {
        self.position(id).ok().map(|position| &self.members[position].progress)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Progress> {
        self.position(id).ok().map(|position| &mut self.members[position].progress)
    }

    /// All members with their progress, in the order of their ids, on a leader.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Progress)> + '_ {
        self.members.iter().map(|member| (member.id, &member.progress))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Progress)> + '_ {
        self.members.iter_mut().map(|member| (member.id, &mut member.progress))
    }

    /// A leader begins to look after a member that starts at `next`, heard of a moment ago:
    /// otherwise it might cost the leader its quorum before it could speak.
    pub(crate) fn insert(&mut self, id: u64, next: u64, is_learner: bool) {
        if !self.leads {
            return;
        }
        if let Err(position) = self.position(id) {
            let progress = Progress { is_learner, recent_active: true, ..self.fresh(next) };
            self.members.insert(position, Member { id, progress });
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

    /// Counts `id`'s answer, if it may.
    pub(crate) fn record_vote(&mut self, id: u64, granted: bool, rules: &Rules) {
        if self.contains(id) && (rules.answer_counts)(self.vote(id)) {
            self.votes.push((id, granted));
        }
    }

    /// How `id` voted in the current election, if it answered.
    pub fn vote(&self, id: u64) -> Option<bool> {
        self.votes.iter().find(|(voter, _)| *voter == id).map(|&(_, granted)| granted)
    }

    pub(crate) fn reset_votes(&mut self) {
        self.votes = Vec::new();
    }

    /// How many members that are no learners granted their vote, and how many refused it.
    pub fn count_votes(&self) -> (usize, usize) {
        let voters = &self.configuration.voters;
        let votes = || self.votes.iter().filter(|(id, _)| voters.contains(*id));
        (votes().filter(|(_, granted)| *granted).count(), votes().filter(|(_, g)| !g).count())
    }

    /// What the votes so far add up to.
    pub fn tally(&self, rules: &Rules) -> Tally {
        self.configuration.voters.tally(&self.votes, rules)
    }

    /// Whether a quorum was heard of since the last check.
    pub fn quorum_active(&self, rules: &Rules) -> bool {
        let active = |id| self.get(id).map(|progress| progress.recent_active);
        self.configuration.voters.vote_result(active, rules) == Tally::Won
    }

    /// The highest index that a quorum holds; [`u64::MAX`] without voters.
    pub fn quorum_index(&self, rules: &Rules) -> u64 {
        self.quorum_of(crate::raft::NONE, |_, progress| progress.matched, rules)
    }

    /// The highest number that a quorum has reached, given each member's. `own` is the leader.
    pub(crate) fn quorum_of(
        &self,
        own: u64,
        reached: impl Fn(u64, &Progress) -> u64,
        rules: &Rules,
    ) -> u64 {
        // Members and voters are both in the order of their ids, so one look at each is enough.
        let numbers = |voters: &crate::quorum::Majority| {
            let mut members = self.members.iter();
            let others = self.members.iter().filter(|member| !voters.contains(member.id));
            let mut others = others.map(|&Member { id, ref progress }| Outsider {
                own: id == own,
                reached: reached(id, progress),
            });
            voters.highest_common(
                |id| {
                    let member = members.find(|member| member.id == id);
                    member.map_or(0, |member| reached(id, &member.progress))
                },
                &mut others,
                rules,
            )
        };
        let voters = &self.configuration.voters;
        let incoming = numbers(&voters.incoming);
        if voters.is_joint() {
            (rules.joint_commit)(incoming, numbers(&voters.outgoing))
        } else {
            incoming
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(voters: &[u64]) -> ProgressTracker {
        let mut tracker = ProgressTracker::new(1, 0);
        tracker.start_leading(1);
        for &id in voters {
            tracker.insert(id, 1, false);
            tracker.configuration.voters.incoming.insert(id);
        }
        tracker
    }

    #[test]
    fn only_the_first_answer_of_a_voter_counts_and_strangers_do_not() {
        let (mut t, rules) = (tracker(&[1, 2, 3]), Rules::default());
        t.record_vote(1, false, &rules);
        t.record_vote(1, true, &rules);
        t.record_vote(9, true, &rules);
        t.record_vote(2, true, &rules);
        assert_eq!((t.vote(1), t.vote(9)), (Some(false), None));
        assert_eq!((t.tally(&rules), t.count_votes()), (Tally::Pending, (1, 1)));
        t.record_vote(3, true, &rules);
        assert_eq!(t.tally(&rules), Tally::Won);
        t.reset_votes();
        assert_eq!(t.tally(&rules), Tally::Pending);
    }

    #[test]
    fn learners_neither_vote_nor_commit_nor_keep_a_leader_alive() {
        let (mut t, rules) = (tracker(&[1, 2, 3]), Rules::default());
        t.insert(4, 1, true);
        t.configuration.learners.insert(4);
        for (id, _) in [(1, ()), (4, ())] {
            t.record_vote(id, true, &rules);
            t.get_mut(id).unwrap().acknowledge(7);
        }
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
        for _ in 0..2 {
            t.remove(2);
            t.configuration.voters.incoming.remove(2);
        }
        assert_eq!(t.ids().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(t.id_at(1), Some(3));
    }
}
