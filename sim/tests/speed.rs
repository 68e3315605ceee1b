//! How fast the world runs with every checker on. Not a test of speed, which no shared machine can
//! promise: a measurement to look at.
//!
//! `cargo test --release -p raft-sim --test speed -- --ignored --nocapture`

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Instant;

use raft_sim::{Command, Scenario, World};
use support::*;

/// Five peers for so many virtual seconds under so many writes a second.
fn busy(seconds: u64, writes_per_second: u64) {
    let mut world = World::new(&Scenario::new(1)).unwrap();
    world.run_until(2 * SECOND);
    let start = Instant::now();
    let before = world.events_handled();
    for number in 0..seconds * writes_per_second {
        let op = put_op(&format!("k{}", number % 100), &number.to_string());
        world.apply(Command::Request { op, to: None, client: 0 }).unwrap();
        world.run_until(world.now_us() + SECOND / writes_per_second);
    }
    assert_eq!(world.violation(), None);
    let (spent, events) = (start.elapsed().as_secs_f64(), world.events_handled() - before);
    let (rate, pace) = (events as f64 / spent, seconds as f64 / spent);
    println!(
        "{seconds} virtual s, {writes_per_second} writes/s: {events} events in {spent:.3} s: \
         {rate:.0} events/s, {pace:.0} virtual s/s"
    );
}

#[test]
#[ignore = "a measurement"]
fn how_fast_a_busy_cluster_runs() {
    for _ in 0..3 {
        busy(60, 10);
        busy(60, 160);
    }
}
