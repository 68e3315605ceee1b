//! Quorums against brute force.

use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const PEERS: u64 = 7;

fn sets() -> impl Strategy<Value = Majority> {
    prop::collection::btree_set(1..=PEERS, 0..=7).prop_map(|ids| ids.into_iter().collect())
}

fn votes() -> impl Strategy<Value = Vec<Option<bool>>> {
    prop::collection::vec(prop::option::of(any::<bool>()), 7)
}

fn held() -> impl Strategy<Value = Vec<Option<u64>>> {
    prop::collection::vec(prop::option::of(0u64..9), 7)
}

fn of<T: Copy>(table: &[Option<T>]) -> impl Fn(u64) -> Option<T> + '_ {
    |id| table.iter().zip(1..).find(|(_, other)| *other == id).and_then(|(value, _)| *value)
}

/// Every way to choose more than half of `set`, by counting in binary.
fn majorities(set: &Majority) -> Vec<Majority> {
    let ids = set.as_slice();
    (0..1u32 << ids.len())
        .filter(|mask| 2 * mask.count_ones() as usize > ids.len())
        .map(|mask| {
            ids.iter().zip(0..).filter(|(_, bit)| mask >> bit & 1 == 1).map(|(&id, _)| id).collect()
        })
        .collect()
}

fn joint(incoming: &Majority, outgoing: &Majority) -> JointConfig {
    JointConfig { incoming: incoming.clone(), outgoing: outgoing.clone() }
}

proptest! {
    #[test]
    fn a_majority_commits_the_highest_index_that_some_majority_holds(set in sets(), held in held()) {
        let index = set.committed_index(of(&held), &Rules::default());
        if set.is_empty() {
            prop_assert_eq!(index, u64::MAX);
        } else {
            let holds = |ids: &Majority| ids.iter().map(|id| of(&held)(id).unwrap_or(0)).min();
            let expected = majorities(&set).iter().filter_map(holds).max();
            prop_assert_eq!(Some(index), expected);
        }
    }

    #[test]
    fn a_joint_configuration_commits_what_both_halves_commit(
        a in sets(), b in sets(), held in held()
    ) {
        let rules = Rules::default();
        let both = joint(&a, &b).committed_index(of(&held), &rules);
        let halves = [&a, &b].map(|half| half.committed_index(of(&held), &rules));
        prop_assert_eq!(both, halves[0].min(halves[1]));
        prop_assert_eq!(both, joint(&b, &a).committed_index(of(&held), &rules));
    }

    #[test]
    fn a_vote_is_won_when_some_majority_granted_and_lost_when_none_can(
        set in sets(), votes in votes()
    ) {
        let vote = of(&votes);
        let all = |ids: &Majority, ok: fn(Option<bool>) -> bool| ids.iter().all(|id| ok(vote(id)));
        let expected = if set.is_empty() || majorities(&set).iter().any(|m| all(m, |v| v == Some(true))) {
            Tally::Won
        } else if majorities(&set).iter().any(|m| all(m, |v| v != Some(false))) {
            Tally::Pending
        } else {
            Tally::Lost
        };
        prop_assert_eq!(set.vote_result(&vote, &Rules::default()), expected);
    }

    #[test]
    fn a_joint_vote_needs_both_halves(a in sets(), b in sets(), votes in votes()) {
        let rules = Rules::default();
        let halves = [&a, &b].map(|half| half.vote_result(of(&votes), &rules));
        let expected = if halves.contains(&Tally::Lost) {
            Tally::Lost
        } else if halves == [Tally::Won; 2] {
            Tally::Won
        } else {
            Tally::Pending
        };
        prop_assert_eq!(joint(&a, &b).vote_result(of(&votes), &rules), expected);
    }

    #[test]
    fn any_two_majorities_of_one_set_share_a_peer(set in sets()) {
        let majorities = majorities(&set);
        for a in &majorities {
            for b in &majorities {
                prop_assert!(a.iter().any(|id| b.contains(id)));
            }
        }
    }
}

#[test]
fn sets_are_ascending_without_repetition() {
    let mut set: Majority = [3, 1, 3, 2].into_iter().collect();
    assert_eq!(set.as_slice(), [1, 2, 3]);
    assert!(!set.insert(2) && set.insert(9) && set.remove(1) && !set.remove(1));
    assert_eq!(set.to_string(), "(2 3 9)");
    assert_eq!(joint(&set, &Majority::new()).to_string(), "(2 3 9)");
    assert_eq!(joint(&set, &[4].into_iter().collect()).to_string(), "(2 3 9)&&(4)");
}
