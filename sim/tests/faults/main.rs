//! Every fault has its effect, and none without being asked for.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod disks;
mod docs;
mod links;
mod processes;

use raft_sim::{ClockFault, Command, Outcome, Reply, Scenario, Settings, What, World};
use support::*;

/// A cluster that has elected a leader.
fn led(seed: u64) -> (World, u64) {
    led_with(seed, |_| {})
}

fn led_with(seed: u64, change: impl Fn(&mut Settings)) -> (World, u64) {
    let mut scenario = Scenario::new(seed);
    change(&mut scenario.settings);
    let mut world = World::new(&scenario).unwrap();
    let leader = elect(&mut world);
    world.run_until(world.now_us() + SECOND);
    (world, leader)
}

fn apply(world: &mut World, command: Command) {
    world.apply(command).unwrap();
}

fn run_for(world: &mut World, us: u64) {
    world.run_until(world.now_us() + us);
    assert_eq!(world.violation(), None);
}

/// How many of the latest happenings are like this.
fn count(world: &World, like: impl Fn(&What) -> bool) -> usize {
    world.happenings().filter(|happening| like(&happening.what)).count()
}

/// What was told of it, in words.
fn told(world: &World, part: &str) -> bool {
    world.happenings().any(|happening| happening.what.to_string().contains(part))
}
