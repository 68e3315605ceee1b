//! Membership changes as pure functions from one set of members to the next (section 6, thesis 4).
//!
//! A *simple* change alters at most one voter, so that the majorities before and after it share a
//! peer. Any larger one goes through a *joint* configuration, in which the majority of the old and
//! that of the new voters must both agree:
//!
//! ```text
//! (1 2 3) ── enter joint: +4 +5 −1 −2 ──► (3 4 5)&&(1 2 3) ── leave joint ──► (3 4 5)
//! ```
//!
//! A [`Changer`] never alters what it is given: it returns the members after the change, or says
//! why there are none.

mod convert;

pub use self::convert::{check, conf_change_of, enters_joint, leaves_joint};
use crate::error::ConfChangeError;
use crate::proto::eraftpb::{ConfChangeSingle, ConfChangeType, ConfState};
use crate::quorum::{JointConfig, Majority};
use crate::tracker::{Configuration, ProgressTracker};

/// Computes the members after a change.
#[derive(Clone, Copy, Debug)]
pub struct Changer<'a> {
    /// The members before.
    pub tracker: &'a ProgressTracker,
    /// End of the log. A new member is first probed there.
    pub last_index: u64,
}

type Changed = Result<ProgressTracker, ConfChangeError>;

impl Changer<'_> {
    /// A change of at most one voter.
    ///
    /// # Errors
    /// Within a joint configuration, if more than one voter changes, or if no voter is left.
    pub fn simple(&self, changes: &[ConfChangeSingle]) -> Changed {
        let voters = &self.tracker.configuration.voters;
        if voters.is_joint() {
            return Err(ConfChangeError::SimpleInJoint);
        }
        let mut next = self.tracker.clone();
        self.apply(&mut next, changes)?;
        let incoming = &next.configuration.voters.incoming;
        let removed = voters.incoming.iter().filter(|&id| !incoming.contains(id)).count();
        let added = incoming.iter().filter(|&id| !voters.incoming.contains(id)).count();
        if removed + added > 1 {
            return Err(ConfChangeError::NotSimple);
        }
        Ok(checked(next))
    }

    /// Begins a change of any size: from here on both the voters before and those after it must
    /// agree.
    ///
    /// # Errors
    /// Within a joint configuration, without voters before, or if no voter is left.
    pub fn enter_joint(&self, auto_leave: bool, changes: &[ConfChangeSingle]) -> Changed {
        let mut next = self.tracker.clone();
        let voters = &mut next.configuration.voters;
        if voters.is_joint() {
            return Err(ConfChangeError::AlreadyJoint);
        }
        if voters.incoming.is_empty() {
            return Err(ConfChangeError::NoVotersToJoin);
        }
        voters.outgoing = voters.incoming.clone();
        self.apply(&mut next, changes)?;
        next.configuration.auto_leave = auto_leave;
        Ok(checked(next))
    }

    /// Ends a joint configuration: the voters on their way out go, and those that were to become
    /// learners do.
    ///
    /// # Errors
    /// Outside of a joint configuration.
    pub fn leave_joint(&self) -> Changed {
        let mut next = self.tracker.clone();
        let configuration = &mut next.configuration;
        if !configuration.voters.is_joint() {
            return Err(ConfChangeError::NotJoint);
        }
        let outgoing = core::mem::take(&mut configuration.voters.outgoing);
        let to_learners = core::mem::take(&mut configuration.learners_next);
        configuration.auto_leave = false;
        for id in to_learners.iter() {
            next.configuration.learners.insert(id);
            if let Some(progress) = next.get_mut(id) {
                progress.is_learner = true;
            }
        }
        for id in outgoing.iter() {
            if !next.configuration.contains(id) {
                next.remove(id);
            }
        }
        Ok(checked(next))
    }

    /// Applies changes to the incoming voters and the learners. A change of peer 0 is skipped: that
    /// is how an application withdraws one.
    fn apply(
        &self,
        next: &mut ProgressTracker,
        changes: &[ConfChangeSingle],
    ) -> Result<(), ConfChangeError> {
        for change in changes.iter().filter(|change| change.node_id != 0) {
            let number = change.change_type;
            let kind = ConfChangeType::try_from(number)
                .map_err(|_| ConfChangeError::UnknownType(number))?;
            match kind {
                ConfChangeType::AddNode => self.make_voter(next, change.node_id),
                ConfChangeType::AddLearnerNode => self.make_learner(next, change.node_id),
                ConfChangeType::RemoveNode => remove(next, change.node_id),
            }
        }
        if next.configuration.voters.incoming.is_empty() {
            return Err(ConfChangeError::NoVoters);
        }
        Ok(())
    }

    fn make_voter(&self, next: &mut ProgressTracker, id: u64) {
        next.insert(id, self.last_index.max(1), false);
        if let Some(progress) = next.get_mut(id) {
            progress.is_learner = false;
        }
        next.configuration.learners.remove(id);
        next.configuration.learners_next.remove(id);
        next.configuration.voters.incoming.insert(id);
    }

    /// Adds a learner or takes a voter's vote away. A voter of the outgoing half keeps it until
    /// that half is left.
    fn make_learner(&self, next: &mut ProgressTracker, id: u64) {
        next.insert(id, self.last_index.max(1), true);
        let configuration = &mut next.configuration;
        if configuration.learners.contains(id) {
            return;
        }
        configuration.voters.incoming.remove(id);
        if configuration.voters.outgoing.contains(id) {
            configuration.learners_next.insert(id);
            return;
        }
        configuration.learners.insert(id);
        if let Some(progress) = next.get_mut(id) {
            progress.is_learner = true;
        }
    }
}

/// Removes a voter or learner. A voter of the outgoing half is still asked.
fn remove(next: &mut ProgressTracker, id: u64) {
    let configuration = &mut next.configuration;
    configuration.voters.incoming.remove(id);
    configuration.learners.remove(id);
    configuration.learners_next.remove(id);
    if !configuration.voters.outgoing.contains(id) {
        next.remove(id);
    }
}

/// Builds the members that `state` describes, from none, with the windows of `tracker`. A member
/// that is named twice in one list counts once.
///
/// # Errors
/// A state that no sequence of changes leads to.
pub fn restore(tracker: &ProgressTracker, state: &ConfState, last_index: u64) -> Changed {
    let set = |ids: &[u64]| ids.iter().copied().collect::<Majority>();
    let configuration = Configuration {
        voters: JointConfig { incoming: set(&state.voters), outgoing: set(&state.voters_outgoing) },
        learners: set(&state.learners),
        learners_next: set(&state.learners_next),
        auto_leave: state.auto_leave,
    };
    check_state(&configuration)?;
    let mut next = tracker.emptied();
    let Configuration { voters, learners, .. } = &configuration;
    for id in voters.ids().iter() {
        next.insert(id, last_index.max(1), false);
    }
    for id in learners.iter() {
        next.insert(id, last_index.max(1), true);
    }
    next.configuration = configuration;
    Ok(checked(next))
}

/// Whether some sequence of changes leads to these members.
fn check_state(state: &Configuration) -> Result<(), ConfChangeError> {
    let Configuration { voters, learners, learners_next, auto_leave } = state;
    let (incoming, outgoing) = (&voters.incoming, &voters.outgoing);
    let joint = !outgoing.is_empty();
    if incoming.is_empty() && (joint || !learners.is_empty()) {
        return Err(ConfChangeError::NoVoters);
    }
    let nobody = [incoming, outgoing, learners, learners_next].iter().any(|ids| ids.contains(0));
    let both =
        learners.meets(incoming) || learners.meets(outgoing) || learners_next.meets(incoming);
    // Who is to become a learner still votes in the outgoing half.
    let stays = learners_next.iter().all(|id| outgoing.contains(id));
    if nobody || both || !stays || (*auto_leave && !joint) {
        return Err(ConfChangeError::Contradiction);
    }
    Ok(())
}

/// What every result must satisfy.
fn checked(next: ProgressTracker) -> ProgressTracker {
    let configuration = &next.configuration;
    let voters = &configuration.voters;
    debug_assert!(
        configuration.learners.iter().all(|id| !voters.contains(id)),
        "a voter and learner at once: {configuration}"
    );
    debug_assert!(
        configuration.learners_next.iter().all(|id| voters.outgoing.contains(id)),
        "a learner to be that is not on its way out: {configuration}"
    );
    debug_assert!(
        next.iter().all(|(id, p)| {
            next.contains(id) && p.is_learner == configuration.learners.contains(id)
        }),
        "{configuration}"
    );
    next
}

#[cfg(test)]
mod tests;
