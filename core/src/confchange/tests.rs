//! Membership changes against plain sets, and the reason for all of it: neighbouring configurations
//! never have two quorums without a common peer.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const PEERS: u64 = 6;
const LAST: u64 = 9;

type Ids = BTreeSet<u64>;

/// Plain sets, changed as the thesis and etcd describe it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    voters: Ids,
    outgoing: Ids,
    learners: Ids,
    learners_next: Ids,
    auto_leave: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Simple(Vec<ConfChangeSingle>),
    Enter(bool, Vec<ConfChangeSingle>),
    Leave,
}

impl Model {
    fn alter(&mut self, changes: &[ConfChangeSingle]) -> Result<(), ConfChangeError> {
        for &ConfChangeSingle { change_type, node_id: id } in changes {
            match change_type {
                _ if id == 0 => {}
                0 => {
                    self.voters.insert(id);
                    self.learners.remove(&id);
                    self.learners_next.remove(&id);
                }
                1 => {
                    self.voters.remove(&id);
                    self.learners.remove(&id);
                    self.learners_next.remove(&id);
                }
                2 if self.learners.contains(&id) => {}
                2 => {
                    self.voters.remove(&id);
                    let half = if self.outgoing.contains(&id) {
                        &mut self.learners_next
                    } else {
                        &mut self.learners
                    };
                    half.insert(id);
                }
                other => return Err(ConfChangeError::UnknownType(other)),
            }
        }
        if self.voters.is_empty() { Err(ConfChangeError::NoVoters) } else { Ok(()) }
    }

    fn after(&self, step: &Step) -> Result<Self, ConfChangeError> {
        let (mut next, joint) = (self.clone(), !self.outgoing.is_empty());
        match step {
            Step::Simple(_) if joint => return Err(ConfChangeError::SimpleInJoint),
            Step::Simple(changes) => {
                next.alter(changes)?;
                if next.voters.symmetric_difference(&self.voters).count() > 1 {
                    return Err(ConfChangeError::NotSimple);
                }
            }
            Step::Enter(..) if joint => return Err(ConfChangeError::AlreadyJoint),
            Step::Enter(..) if self.voters.is_empty() => {
                return Err(ConfChangeError::NoVotersToJoin);
            }
            Step::Enter(auto_leave, changes) => {
                next.outgoing = self.voters.clone();
                next.alter(changes)?;
                next.auto_leave = *auto_leave;
            }
            Step::Leave if !joint => return Err(ConfChangeError::NotJoint),
            Step::Leave => {
                next.learners.append(&mut next.learners_next);
                next.outgoing.clear();
                next.auto_leave = false;
            }
        }
        Ok(next)
    }

    fn conf_state(&self) -> ConfState {
        let ids = |set: &Ids| set.iter().copied().collect();
        ConfState {
            voters: ids(&self.voters),
            learners: ids(&self.learners),
            voters_outgoing: ids(&self.outgoing),
            learners_next: ids(&self.learners_next),
            auto_leave: self.auto_leave,
        }
    }

    fn members(&self) -> Ids {
        [&self.voters, &self.outgoing, &self.learners].into_iter().flatten().copied().collect()
    }

    /// Whether these peers can decide.
    fn is_quorum(&self, peers: &Ids) -> bool {
        let majority = |half: &Ids| 2 * half.intersection(peers).count() > half.len();
        majority(&self.voters) && (self.outgoing.is_empty() || majority(&self.outgoing))
    }
}

/// Every set of peers, by counting in binary.
fn all_sets() -> impl Iterator<Item = Ids> {
    (0..1u64 << PEERS).map(|mask| (1..=PEERS).filter(|id| mask >> (id - 1) & 1 == 1).collect())
}

/// If two quorums had no peer in common, one of them would lie within what the other leaves out.
fn quorums_overlap(a: &Model, b: &Model) -> bool {
    let everybody: Ids = (1..=PEERS).collect();
    all_sets().all(|set| {
        let others = everybody.difference(&set).copied().collect();
        !(a.is_quorum(&set) && b.is_quorum(&others))
    })
}

fn any_single() -> impl Strategy<Value = ConfChangeSingle> {
    let kind = prop_oneof![4 => 0i32..3, 1 => Just(3)];
    (kind, 0..=PEERS).prop_map(|(change_type, node_id)| ConfChangeSingle { change_type, node_id })
}

fn any_changes(most: usize) -> impl Strategy<Value = Vec<ConfChangeSingle>> {
    prop::collection::vec(any_single(), 0..=most)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_changes(2).prop_map(Step::Simple),
        3 => (any::<bool>(), any_changes(5)).prop_map(|(auto, changes)| Step::Enter(auto, changes)),
        3 => Just(Step::Leave),
    ]
}

/// What is changed, on a leader or on another peer.
fn nobody(leads: bool) -> ProgressTracker {
    let mut tracker = ProgressTracker::new(4, 0);
    if leads {
        tracker.start_leading(LAST + 1);
    }
    tracker
}

fn taken(tracker: &ProgressTracker, step: &Step) -> Changed {
    let changer = Changer { tracker, last_index: LAST };
    match step {
        Step::Simple(changes) => changer.simple(changes),
        Step::Enter(auto_leave, changes) => changer.enter_joint(*auto_leave, changes),
        Step::Leave => changer.leave_joint(),
    }
}

/// A leader has a progress for every member and for nobody else.
fn check_progress(tracker: &ProgressTracker, model: &Model, leads: bool) {
    let expected = if leads { model.members() } else { Ids::new() };
    assert_eq!(tracker.iter().map(|(id, _)| id).collect::<Ids>(), expected);
    for (id, progress) in tracker.iter() {
        let voter = model.voters.contains(&id) || model.outgoing.contains(&id);
        assert_eq!(progress.is_learner, !voter, "{id}");
        assert!(progress.matched < progress.next, "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::tests::harness::cases(3000)))]

    #[test]
    fn changes_do_to_members_what_they_do_to_plain_sets(
        leads in any::<bool>(),
        steps in prop::collection::vec(any_step(), 0..14),
    ) {
        let (mut tracker, mut model) = (nobody(leads), Model::default());
        for step in &steps {
            match (taken(&tracker, step), model.after(step)) {
                (Ok(next), Ok(expected)) => {
                    prop_assert_eq!(next.conf_state(), expected.conf_state(), "{:?}", step);
                    check_progress(&next, &expected, leads);
                    (tracker, model) = (next, expected);
                }
                (next, expected) => {
                    prop_assert_eq!(next.map(drop), expected.map(drop), "{:?}", step);
                }
            }
        }
    }

    /// The heart of the matter: at no step can the old members and the new ones decide apart.
    #[test]
    fn neighbouring_configurations_have_no_quorums_apart(
        steps in prop::collection::vec(any_step(), 0..14),
    ) {
        let first = Step::Simple(vec![ConfChangeSingle { change_type: 0, node_id: 1 }]);
        let (mut tracker, mut model) = (taken(&nobody(false), &first).unwrap(), Model::default());
        model.alter(&[ConfChangeSingle { change_type: 0, node_id: 1 }]).unwrap();
        for step in &steps {
            let Ok(next) = taken(&tracker, step) else { continue };
            let state = next.conf_state();
            let set = |ids: &[u64]| ids.iter().copied().collect::<Ids>();
            let after = Model {
                voters: set(&state.voters),
                outgoing: set(&state.voters_outgoing),
                ..Model::default()
            };
            prop_assert!(quorums_overlap(&model, &after), "{:?} then {:?}", model, after);
            prop_assert!(quorums_overlap(&after, &after), "{:?}", after);
            (tracker, model) = (next, after);
        }
    }

    /// Whoever restarts, or comes late, has the members that the others have.
    #[test]
    fn members_are_the_same_after_they_were_written_down(
        leads in any::<bool>(),
        steps in prop::collection::vec(any_step(), 0..14),
    ) {
        let mut tracker = nobody(leads);
        for step in &steps {
            let Ok(next) = taken(&tracker, step) else { continue };
            let state = next.conf_state();
            let again = restore(&nobody(leads), &state, LAST).unwrap();
            prop_assert_eq!(again.configuration(), next.configuration());
            prop_assert_eq!(again.configuration().to_string(), next.configuration().to_string());
            let ids = |tracker: &ProgressTracker| tracker.iter().map(|(id, _)| id).collect::<Ids>();
            prop_assert_eq!(ids(&again), ids(&next));
            tracker = next;
        }
    }

    /// A state that somebody made up is taken as it is or refused, whatever it says.
    #[test]
    fn any_state_is_restored_exactly_or_refused(
        voters in prop::collection::vec(0..=PEERS, 0..5),
        learners in prop::collection::vec(0..=PEERS, 0..4),
        voters_outgoing in prop::collection::vec(0..=PEERS, 0..4),
        learners_next in prop::collection::vec(0..=PEERS, 0..3),
        auto_leave in any::<bool>(),
    ) {
        let state = ConfState { voters, learners, voters_outgoing, learners_next, auto_leave };
        if let Ok(next) = restore(&nobody(true), &state, LAST) {
            let restored = next.conf_state();
            let set = |ids: &[u64]| ids.iter().copied().collect::<Ids>();
            prop_assert_eq!(set(&restored.voters), set(&state.voters));
            prop_assert_eq!(set(&restored.learners), set(&state.learners));
            prop_assert_eq!(set(&restored.voters_outgoing), set(&state.voters_outgoing));
            prop_assert_eq!(set(&restored.learners_next), set(&state.learners_next));
            prop_assert_eq!(restored.auto_leave, state.auto_leave);
            prop_assert!(!state.voters.contains(&0) && !state.learners.contains(&0));
        }
    }
}

#[test]
fn overlap_is_noticed_where_it_is_missing() {
    let voters = |ids: &[u64]| Model { voters: ids.iter().copied().collect(), ..Model::default() };
    assert!(!quorums_overlap(&voters(&[1, 2]), &voters(&[1, 2, 3, 4, 5])));
    assert!(quorums_overlap(&voters(&[1, 2]), &voters(&[1, 2, 3])));
    let joint = Model { outgoing: voters(&[1, 2]).voters, ..voters(&[3, 4, 5]) };
    assert!(
        quorums_overlap(&voters(&[1, 2]), &joint) && quorums_overlap(&joint, &voters(&[3, 4, 5]))
    );
}

/// A new member is heard of a moment ago, or it would cost the leader its quorum before it could
/// speak; and one that stays keeps what is known about it.
#[test]
fn changes_keep_what_is_known_and_give_new_members_a_start() {
    let add = |node_id| ConfChangeSingle { change_type: 0, node_id };
    let mut tracker = taken(&nobody(true), &Step::Simple(vec![add(1)])).unwrap();
    if let Some(progress) = tracker.get_mut(1) {
        (progress.matched, progress.next) = (5, 6);
    }
    let next = taken(&tracker, &Step::Enter(false, vec![add(2), add(3)])).unwrap();
    assert_eq!(next.get(1).map(|p| (p.matched, p.next)), Some((5, 6)));
    for id in [2, 3] {
        let progress = next.get(id).unwrap();
        assert_eq!((progress.matched, progress.next, progress.recent_active), (0, LAST, true));
    }
}

/// Built in one go, not member by member: a message may bring any number.
#[test]
fn a_state_of_very_many_members_is_restored() {
    let many: u64 = if cfg!(miri) { 100 } else { 40_000 };
    let learners = (many + 1..many + many / 4).collect();
    let state = ConfState { voters: (1..=many).rev().collect(), learners, ..ConfState::default() };
    let members = restore(&ProgressTracker::new(1, 0), &state, 7).unwrap().conf_state();
    assert_eq!(members.voters, (1..=many).collect::<Vec<_>>());
    assert_eq!(members.learners, state.learners);
}
