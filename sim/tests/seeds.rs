//! Seeded simulation: faults drawn by chance, then healing; safety throughout, agreement at the
//! end.
//!
//! A failure prints its seed and its scenario.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_sim::{Command, Op, Outcome, Reply, Scenario, Span, World};
use support::*;

const SEEDS: u64 = 200;

/// A small generator of its own, so that the faults do not depend on the world's chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn scenario(seed: u64, dice: &mut Dice) -> Scenario {
    let mut scenario =
        Scenario { peers: [3, 5, 5, 7][dice.roll(4) as usize], ..Scenario::new(seed) };
    let settings = &mut scenario.settings;
    settings.loss_permille = [0, 0, 50, 200][dice.roll(4) as usize];
    settings.sync = Span { min_us: 500, max_us: [1_000, 20_000, 80_000][dice.roll(3) as usize] };
    settings.latency.max_us = [25_000, 60_000, 150_000][dice.roll(3) as usize];
    scenario
}

fn fault(dice: &mut Dice, peers: u64) -> Command {
    let peer = dice.roll(peers) + 1;
    match dice.roll(6) {
        0 | 1 => Command::Crash { peer },
        2 | 3 => Command::Restart { peer },
        4 => {
            let side = (1..=peers).filter(|_| dice.roll(2) == 0).collect();
            Command::Partition { groups: vec![side] }
        }
        _ => Command::Heal,
    }
}

fn request(dice: &mut Dice, round: u64) -> Op {
    let key = format!("k{}", dice.roll(3));
    match dice.roll(4) {
        0 => Op::Get { key },
        1 => Op::Delete { key },
        _ => Op::Put { key, value: round.to_string() },
    }
}

/// Faults for a while; then everything is mended.
fn torment(world: &mut World, dice: &mut Dice) {
    let peers = world.scenario().peers;
    for round in 0..40 {
        let op = request(dice, round);
        world.apply(Command::Request { op, to: None }).unwrap();
        if dice.roll(3) == 0 {
            let fault = fault(dice, peers);
            world.apply(fault).unwrap();
        }
        world.run_until(world.now_us() + 50_000 + dice.roll(400_000));
    }
    world.apply(Command::Heal).unwrap();
    world.apply(Command::SetLoss { permille: 0 }).unwrap();
    for peer in 1..=peers {
        world.apply(Command::Restart { peer }).unwrap();
    }
}

fn check(world: &mut World, seed: u64) {
    let explain = |world: &World| {
        format!("seed {seed}: {}", serde_json::to_string(world.scenario()).unwrap())
    };
    assert!(world.violation().is_none(), "{:?} {}", world.violation(), explain(world));
    world.run_until(world.now_us() + 15 * SECOND);
    let end = ask(world, put_op("end", "of story"), None);
    assert_eq!(end, Outcome::Done(Reply::Written), "{}", explain(world));
    world.run_until(world.now_us() + 5 * SECOND);
    assert!(world.violation().is_none(), "{:?} {}", world.violation(), explain(world));
    assert!(world.requests().all(|r| r.outcome.is_some()), "{}", explain(world));
    let states: Vec<_> = world
        .nodes()
        .map(|(_, node)| {
            let raft = node.peer().expect("all are up").raft();
            (raft.log().all_entries().unwrap(), raft.log().applied(), node.disk().kv.clone())
        })
        .collect();
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{}", explain(world));
}

#[test]
fn every_seed_is_safe_under_faults_and_agrees_after_healing() {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed ^ 0xD1CE);
        let mut world = World::new(&scenario(seed, &mut dice)).unwrap();
        torment(&mut world, &mut dice);
        check(&mut world, seed);
    }
}

#[test]
fn every_seed_gives_the_same_digest_twice() {
    let run = |seed| {
        let mut dice = Dice(seed);
        let mut world = World::new(&scenario(seed, &mut dice)).unwrap();
        torment(&mut world, &mut dice);
        world.digest()
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}
