//! Whole clusters under chaos: every feature of the core at once, seed by seed. What must hold: one
//! leader a term, one history, one membership at each index, no stale read; and when everything
//! works again, progress.
//!
//! `CHAOS_SEEDS=100000 cargo test --release --test chaos` plays more seeds, `CHAOS_FIRST=7` begins
//! at another one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broken;
mod cluster;
mod draw;
mod peer;

use std::env;
use std::panic::catch_unwind;
use std::time::Instant;

use cluster::{Cluster, Focus};
use raft_core::Rules;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Plays a seed. Returns how many entries were applied and reads answered.
fn play(seed: u64, rules: Rules, focus: Focus) -> (u64, u64) {
    let mut cluster = Cluster::new(seed, rules, focus);
    cluster.run(1_000);
    cluster.heal();
    (cluster.applied, cluster.read)
}

/// Plays as many seeds as are asked for.
fn holds(focus: Focus) {
    let (start, first) = (Instant::now(), setting("CHAOS_FIRST", 1));
    let seeds = setting("CHAOS_SEEDS", 500);
    let (mut applied, mut read) = (0, 0);
    for seed in first..first + seeds {
        let Ok((entries, reads)) = catch_unwind(|| play(seed, Rules::default(), focus)) else {
            panic!("seed {seed} fails");
        };
        (applied, read) = (applied + entries, read + reads);
    }
    let time = start.elapsed();
    println!("{focus:?}: {seeds} seeds, {applied} entries applied, {read} reads, {time:.1?}");
}

#[test]
fn clusters_keep_their_promises_under_chaos_and_recover_from_it() {
    holds(Focus::All);
}

#[test]
fn clusters_with_leases_keep_their_promises_under_chaos() {
    holds(Focus::Leases);
}

#[test]
fn clusters_whose_members_come_and_go_keep_their_promises_under_chaos() {
    holds(Focus::Members);
}
