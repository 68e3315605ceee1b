//! Seeded simulation: faults drawn by a nemesis, then healing; safety throughout, agreement at the
//! end.
//!
//! A failure prints its seed and its scenario. `SEEDS=10000 cargo test --release -p raft-sim --test
//! seeds` runs for longer.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_sim::linear::Verdict;
use raft_sim::trial::watch;
use raft_sim::{Happening, Nemesis, NemesisSettings, Variant, What, World, liveness};

/// How many seeds to run: 200, or what the variable `SEEDS` says.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

/// The users' data on a disk.
fn data(disk: &raft_kv::Engines) -> Vec<(Vec<u8>, Vec<u8>)> {
    let records = disk.kv.iter().filter(|(key, _)| raft_kv::keys::user_key(key).is_some());
    records.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn nemesis(seed: u64) -> Nemesis {
    Nemesis::new(seed, &NemesisSettings::default())
}

/// Runs through the faults and lets the cluster recover for as long as the nemesis says.
fn run(nemesis: &Nemesis) -> World {
    let mut world = World::new(&nemesis.scenario).unwrap();
    world.keep_history();
    world.run_until(nemesis.well_us);
    world
}

fn check(world: &mut World, nemesis: &Nemesis) {
    let explain = |world: &World| {
        let (seed, classes) = (nemesis.scenario.seed, &nemesis.classes);
        let scenario = serde_json::to_string(world.scenario()).unwrap();
        format!("seed {seed}, {classes:?}: {scenario}")
    };
    let lives = |world: &mut World| {
        liveness::converges(world)?;
        world.run_until(nemesis.quiet_us);
        liveness::stays_quiet(world, 20)
    };
    lives(world).unwrap_or_else(|violation| panic!("{violation} {}", explain(world)));
    // What waits for a sync is durable by then.
    world.run_until(world.now_us() + world.scenario().settings.write_back_us + 1_000_000);
    let members = liveness::members(world);
    let disk = |id: &u64| data(world.node(*id).unwrap().disk());
    let states: Vec<_> = members.iter().map(disk).collect();
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{}", explain(world));
    let verdict = world.judge_history();
    assert!(matches!(verdict, Verdict::Linearizable { .. }), "{verdict:?} {}", explain(world));
    // And with a minority dead for good, another one each time.
    let voters = liveness::voters(world);
    let minority = voters.len().saturating_sub(1) / 2;
    let first = usize::try_from(nemesis.scenario.seed).unwrap() % voters.len();
    let dead: Vec<_> = voters.iter().cycle().skip(first).take(minority).copied().collect();
    let suffices = liveness::majority_suffices(world, &dead);
    suffices.unwrap_or_else(|violation| panic!("{violation} {}", explain(world)));
}

#[test]
fn every_seed_is_safe_under_faults_and_agrees_after_healing() {
    for seed in 0..seeds() {
        let nemesis = nemesis(seed);
        check(&mut run(&nemesis), &nemesis);
    }
}

#[test]
fn every_seed_gives_the_same_digest_twice() {
    let digest = |seed| run(&nemesis(seed)).digest();
    for seed in 0..20 {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(1), digest(2));
}

/// A store that finds its own records wanting stops. That heals at the next start, so no other rule
/// notices.
#[test]
fn no_peer_stops_but_for_its_disk() {
    for seed in 0..seeds() / 4 {
        let mut scenario = nemesis(seed).scenario;
        // Snapshots all the time.
        (scenario.settings.log_gc_ticks, scenario.settings.log_gc_entries) = (1, 2);
        let mut listener = |happening: &Happening| {
            if let What::Failed { reason, .. } = &happening.what {
                assert!(reason.contains("its disk"), "seed {seed}: {reason}");
            }
        };
        let verdict = watch(&scenario, Variant::default(), false, &mut listener).unwrap();
        assert_eq!(verdict.violation, None, "seed {seed}");
    }
}
