//! Seeded simulation: faults drawn by chance, then healing; safety throughout, agreement at the
//! end.
//!
//! A failure prints its seed and its scenario. `SEEDS=10000 cargo test --release -p raft-sim --test
//! seeds` runs for longer.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_sim::{World, liveness};
use support::*;

/// How many seeds to run: 200, or what the variable `SEEDS` says.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

fn check(world: &mut World, seed: u64) {
    let explain = |world: &World| {
        format!("seed {seed}: {}", serde_json::to_string(world.scenario()).unwrap())
    };
    let lives = |world: &mut World| {
        liveness::converges(world)?;
        liveness::stays_quiet(world, 20)
    };
    lives(world).unwrap_or_else(|violation| panic!("{violation} {}", explain(world)));
    let states: Vec<_> = world
        .nodes()
        .map(|(_, node)| {
            let raft = node.peer().expect("all are up").raft();
            (raft.log().all_entries().unwrap(), raft.log().applied(), node.disk().kv.clone())
        })
        .collect();
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{}", explain(world));
    // And with a minority dead for good, another one each time.
    let peers = world.scenario().peers;
    let dead: Vec<_> = (0..(peers - 1) / 2).map(|n| (seed + n) % peers + 1).collect();
    let suffices = liveness::majority_suffices(world, &dead);
    suffices.unwrap_or_else(|violation| panic!("{violation} {}", explain(world)));
}

#[test]
fn every_seed_is_safe_under_faults_and_agrees_after_healing() {
    for seed in 0..seeds() {
        let mut dice = Dice::new(seed);
        let mut world = World::new(&scenario(seed, &mut dice)).unwrap();
        torment(&mut world, &mut dice);
        check(&mut world, seed);
    }
}

#[test]
fn every_seed_gives_the_same_digest_twice() {
    let run = |seed| {
        let mut dice = Dice::new(seed);
        let mut world = World::new(&scenario(seed, &mut dice)).unwrap();
        torment(&mut world, &mut dice);
        world.digest()
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}
