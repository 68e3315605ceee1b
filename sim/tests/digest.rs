//! The same scripts give the same digests natively, in wasm and in the page.
//!
//! `digests.json` is read here, natively and in wasm, and by the end-to-end tests of the page. A
//! change that is meant to change runs fails here first, and shows the new digests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_sim::trial::{Load, busy};
use raft_sim::{Command, Scenario, World};
use serde::Deserialize;

#[derive(Deserialize)]
struct Script {
    seed: u64,
    steps: Vec<Step>,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Handle so many events.
    Step(u64),
    /// Do something to the cluster.
    Apply(Command),
}

fn run(script: &Script) -> String {
    let mut world = World::new(&Scenario::new(script.seed)).unwrap();
    for step in &script.steps {
        match step {
            Step::Step(events) => {
                for _ in 0..*events {
                    world.step();
                }
            }
            Step::Apply(command) => world.apply(command.clone()).unwrap(),
        }
    }
    format!("{:016x}", world.digest())
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn every_script_gives_its_digest() {
    let scripts: Vec<Script> = serde_json::from_str(include_str!("digests.json")).unwrap();
    assert!(scripts.len() >= 3);
    let digests: Vec<_> = scripts.iter().map(run).collect();
    let expected: Vec<_> = scripts.iter().map(|script| script.digest.clone()).collect();
    assert_eq!(digests, expected);
}

/// Runs full of faults, under load, judged by every checker. `raft-sim bench --seeds 2` prints the
/// same digest, which is how a release build is held to it.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn busy_runs_give_their_digest() {
    let mut load = Load::default();
    for seed in 0..2 {
        load.add(busy().run(seed).unwrap());
    }
    assert!(load.batch.failures.is_empty(), "{:?}", load.batch.failures);
    assert_eq!(format!("{:016x}", load.digest), include_str!("busy-digest.txt").trim());
}
