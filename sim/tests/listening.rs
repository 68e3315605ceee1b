//! Happenings from inside the peers: they tell who decided what and why, and change nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use raft_core::rules::VoteVerdict;
use raft_core::{Event, Rejected};
use raft_sim::{Command, Op, Scenario, What, World};

/// Elections, requests, a partition and a crash.
fn eventful(seed: u64, listens: bool) -> World {
    let mut world = World::new(&Scenario::new(seed)).unwrap();
    if listens {
        world.listen();
    }
    let put = |n: u64| Op::Put { key: format!("k{n}"), value: "v".into() };
    for round in 0..6 {
        world.run_until((round + 1) * 1_000_000);
        world.apply(Command::Request { client: 0, op: put(round), to: None }).unwrap();
        match round {
            1 => world.apply(Command::Partition { groups: vec![vec![1, 2]] }).unwrap(),
            3 => world.apply(Command::Heal).unwrap(),
            4 => world.apply(Command::Crash { peer: 1 }).unwrap(),
            _ => {}
        }
    }
    world.run_until(8_000_000);
    world
}

#[test]
fn who_listens_changes_nothing() {
    for seed in 0..20 {
        let (silent, told) = (eventful(seed, false), eventful(seed, true));
        assert_eq!(silent.digest(), told.digest(), "seed {seed}");
        let inside = |world: &World| {
            world.happenings().filter(|h| matches!(h.what, What::Inside { .. })).count()
        };
        assert_eq!(inside(&silent), 0, "seed {seed}");
        assert!(inside(&told) > 0, "seed {seed}");
    }
}

/// What is told apart from that is the same, in the same order.
#[test]
fn who_listens_hears_all_the_rest_as_before() {
    let rest = |world: &World| -> Vec<String> {
        let rest = world.happenings().filter(|h| !matches!(h.what, What::Inside { .. }));
        let mut rest: Vec<_> = rest.map(|h| format!("{} {}", h.at_us, h.what)).collect();
        // Only so many are remembered, and one who listens remembers fewer of these.
        rest.drain(..rest.len().saturating_sub(200));
        rest
    };
    for seed in 0..5 {
        assert_eq!(rest(&eventful(seed, false)), rest(&eventful(seed, true)), "seed {seed}");
    }
}

#[test]
fn a_refused_vote_is_told_with_its_rule_and_facts() {
    // A peer that missed a write campaigns: whoever holds the write refuses.
    let refusals = (0..200).flat_map(|seed| {
        let world = eventful(seed, true);
        let refusal = |what: &What| match what {
            What::Inside { peer, event } => match &**event {
                Event::Rejected(Rejected::Vote { candidate, verdict, .. }) => {
                    let behind = matches!(verdict, VoteVerdict::LogBehind { theirs, own } if {
                        (theirs.term, theirs.index) < (own.term, own.index)
                    });
                    let text = what.to_string();
                    let names = format!("n{peer} refuses n{candidate} its vote: ");
                    Some((behind, text.starts_with(&names), text))
                }
                _ => None,
            },
            _ => None,
        };
        world.happenings().filter_map(|h| refusal(&h.what)).collect::<Vec<_>>()
    });
    let refusals: Vec<_> = refusals.collect();
    assert!(refusals.iter().all(|(_, named, _)| *named), "{refusals:?}");
    let behind = refusals.iter().find(|(behind, ..)| *behind);
    assert!(behind.is_some_and(|(_, _, text)| text.contains("that log ends at ")), "{behind:?}");
}
