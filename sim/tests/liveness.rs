//! What a healed cluster owes, and that it is noticed when it does not deliver.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::Rules;
use raft_core::rules::{Rejection, TermQuestion, TermVerdict};
use raft_sim::liveness::{
    converges, majority_suffices, returns_quietly, serves_while_cut, stays_quiet,
};
use raft_sim::{
    ClientFault, Command, Flaws, Invariant, LinkFault, Links, Op, Scenario, Span, World,
};
use support::*;

fn world(seed: u64) -> World {
    World::new(&Scenario::new(seed)).unwrap()
}

/// A cluster with other rules than the paper's.
fn broken(seed: u64, rules: Rules) -> World {
    World::with_rules(&Scenario::new(seed), rules).unwrap()
}

#[test]
fn l1_and_l3_accept_a_fresh_cluster() {
    let mut world = world(1);
    let converged = converges(&mut world).unwrap();
    assert!(converged.took_us < converged.limit_us / 2, "{converged:?}");
    assert_eq!(leader(&world), Some(converged.leader));
    stays_quiet(&mut world, 50).unwrap();
}

#[test]
fn l1_accepts_a_peer_that_has_missed_much_and_gives_it_longer() {
    let mut world = world(2);
    let before = converges(&mut world).unwrap().limit_us;
    let away = leader(&world).unwrap() % 5 + 1;
    world.apply(Command::Crash { peer: away }).unwrap();
    for round in 0..100 {
        put(&mut world, "k", &round.to_string());
    }
    world.apply(Command::Restart { peer: away }).unwrap();
    assert!(converges(&mut world).unwrap().limit_us > before);
}

/// Requests to hand leadership over that come again, late, move it while the readers ask.
#[test]
fn l1_accepts_that_the_leader_changes_while_it_is_asked() {
    let mut changes = 0;
    for late_us in (300_000..2_000_000).step_by(50_000) {
        let mut scenario = Scenario::new(9);
        scenario.settings.follower_reads = false;
        let mut world = World::new(&scenario).unwrap();
        let first = converges(&mut world).unwrap().leader;
        let delay = Span { min_us: late_us, max_us: late_us };
        let replay = |permille| Command::Clients { fault: ClientFault::Replay { permille, delay } };
        world.apply(replay(1_000)).unwrap();
        for to in [first % 5 + 1, first] {
            let op = Op::TransferLeader { to };
            world.apply(Command::Request { client: 0, op, to: None }).unwrap();
            world.run_until(world.now_us() + 150_000);
        }
        world.apply(replay(0)).unwrap();
        let before = leader(&world);
        converges(&mut world).unwrap_or_else(|violation| panic!("{late_us}: {violation:?}"));
        changes += usize::from(leader(&world) != before);
    }
    assert!(changes > 10, "{changes}");
}

#[test]
fn l2_refuses_a_minority() {
    let mut world = world(3);
    let leader = converges(&mut world).unwrap().leader;
    majority_suffices(&mut world, &[leader, leader % 5 + 1]).unwrap();
    let stuck = majority_suffices(&mut world, &[1, 2, 3]).unwrap_err();
    assert_eq!(stuck.invariant, Invariant::MajorityProgress);
}

/// The only one of the majority that has the last write is elected in the end, whoever tries before.
#[test]
fn l2_accepts_a_majority_of_which_one_alone_has_the_last_write() {
    let mut world = world(3);
    let leader = converges(&mut world).unwrap().leader;
    let others: Vec<_> = (1..=5).filter(|id| *id != leader).collect();
    let &[first, second, third, fourth] = others.as_slice() else { panic!("five peers") };
    world.apply(Command::Partition { groups: vec![vec![leader, first, second]] }).unwrap();
    put(&mut world, "k", "v");
    world.apply(Command::Partition { groups: vec![vec![third], vec![fourth]] }).unwrap();
    for peer in [third, fourth] {
        world.apply(Command::Campaign { peer }).unwrap();
        world.run_until(world.now_us() + 10 * SECOND);
    }
    world.apply(Command::HealAll).unwrap();
    let converged = majority_suffices(&mut world, &[leader, first]).unwrap();
    assert!(converged.term > 10, "those who cannot win have tried for long: {converged:?}");
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
}

/// A follower whose disk is slow answers late, and late copies of old requests still arrive.
#[test]
fn l3_accepts_a_cluster_that_is_loud_for_a_while() {
    let mut world = world(5);
    converges(&mut world).unwrap();
    put(&mut world, "k", "v");
    let on = Links::All;
    let delay = Span { min_us: 200_000, max_us: 2 * SECOND };
    let fault = LinkFault::Replay { permille: 1_000, delay };
    world.apply(Command::Link { on, fault }).unwrap();
    for round in 0..30 {
        put(&mut world, "k", &round.to_string());
    }
    world.apply(Command::HealAll).unwrap();
    let sent = world.messages_sent();
    stays_quiet(&mut world, 20).unwrap();
    assert!(world.messages_sent() > sent);
}

/// It asks in vain all the time, and has missed a lot.
#[test]
fn l4_accepts_a_peer_that_was_away_for_long() {
    let mut world = World::new(&careful()).unwrap();
    returns_quietly(&mut world, 100).unwrap();
}

#[test]
fn l1_refuses_a_cut_that_was_not_mended() {
    let mut world = world(4);
    let leader = converges(&mut world).unwrap().leader;
    let away = leader % 5 + 1;
    world.apply(Command::Partition { groups: vec![vec![away]] }).unwrap();
    let stuck = converges(&mut world).unwrap_err();
    assert_eq!((stuck.invariant, stuck.peer), (Invariant::Convergence, away), "{stuck}");
}

/// A leader at rest whose followers do not hear it in time campaigns again and again.
#[test]
fn l3_refuses_terms_that_go_on_growing() {
    let mut world = world(5);
    converges(&mut world).unwrap();
    world.apply(Command::SetLoss { permille: 700 }).unwrap();
    let loud = stays_quiet(&mut world, 200).unwrap_err();
    assert_eq!(loud.invariant, Invariant::Quiet, "{loud}");
}

/// Without pre-vote a peer that was cut off comes back with a higher term.
#[test]
fn l4_refuses_a_return_that_deposes_the_leader() {
    let mut world = world(6);
    let disturbed = returns_quietly(&mut world, 5).unwrap_err();
    assert_eq!(disturbed.invariant, Invariant::Undisturbed, "{disturbed}");
}

/// A cluster that is meant to live with cuts.
fn careful() -> Scenario {
    let mut scenario = Scenario::new(7);
    (scenario.settings.pre_vote, scenario.settings.check_quorum) = (true, true);
    scenario
}

#[test]
fn a_leader_that_hears_nobody_gives_way_if_it_checks_its_quorum() {
    let mut world = World::new(&careful()).unwrap();
    let before = converges(&mut world).unwrap();
    returns_quietly(&mut world, 5).unwrap();
    serves_while_cut(&mut world).unwrap();
    let others = (1..=5).filter(|id| *id != before.leader);
    for id in others {
        assert!(world.is_connected(before.leader, id) && !world.is_connected(id, before.leader));
    }
}

#[test]
fn a_leader_that_hears_nobody_and_stays_is_noticed() {
    let flaws = Flaws { unchecked_quorum: true, ..Flaws::default() };
    let mut world = World::with_flaws(&careful(), Rules::default(), flaws).unwrap();
    converges(&mut world).unwrap();
    let stuck = serves_while_cut(&mut world).unwrap_err();
    assert_eq!(stuck.invariant, Invariant::Convergence, "{stuck}");
}

/// Faults first, then the question whether the cluster finds together again.
fn stuck(rules: Rules, seeds: std::ops::Range<u64>) -> Option<(u64, Invariant)> {
    seeds.into_iter().find_map(|seed| {
        let mut dice = Dice::new(seed);
        let mut world = World::with_rules(&scenario(seed, &mut dice), rules).unwrap();
        torment(&mut world, &mut dice);
        converges(&mut world).err().map(|violation| (seed, violation.invariant))
    })
}

#[test]
fn a_vote_that_outlives_its_term_elects_nobody_any_more() {
    let rules = Rules { vote_in_term: |_, _, vote| vote, ..Rules::default() };
    assert_eq!(stuck(rules, 0..20).map(|(_, rule)| rule), Some(Invariant::Convergence));
}

#[test]
fn a_leader_that_never_steps_back_leaves_a_diverged_follower_behind() {
    fn stubborn(rejection: &Rejection) -> Option<u64> {
        Some(rejection.next)
    }
    let rules = Rules { next_after_rejection: stubborn, ..Rules::default() };
    assert_eq!(stuck(rules, 0..20).map(|(_, rule)| rule), Some(Invariant::Convergence));
}

#[test]
fn equal_time_outs_split_the_vote_for_ever() {
    let rules = Rules { election_timeout: |base, _| base, ..Rules::default() };
    // Ticks come at different moments, so that it takes slow links, too.
    let mut scenario = Scenario::new(1);
    scenario.settings.tick_us = 50_000;
    scenario.settings.latency = Span { min_us: 100_000, max_us: 100_000 };
    let mut world = World::with_rules(&scenario, rules).unwrap();
    let stuck = converges(&mut world).unwrap_err();
    assert_eq!(stuck.invariant, Invariant::Convergence, "{stuck}");
}

#[test]
fn a_peer_that_never_steps_down_keeps_the_cluster_apart() {
    fn proud(question: &TermQuestion) -> TermVerdict {
        if question.theirs < question.own { TermVerdict::Stale } else { TermVerdict::Current }
    }
    let mut world = broken(7, Rules { compare_terms: proud, ..Rules::default() });
    assert!(converges(&mut world).is_err());
}
