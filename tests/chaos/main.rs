//! Whole clusters under chaos: every feature of the core at once, seed by seed. What must hold: one
//! leader a term, one history, one membership at each index, no stale read; and when everything
//! works again, progress.
//!
//! `CHAOS_SEEDS=100000 cargo test --release --test chaos` plays more seeds, `CHAOS_FIRST=7` begins
//! at another one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cluster;
mod draw;
mod peer;

use std::env;
use std::panic::catch_unwind;
use std::time::Instant;

use cluster::Cluster;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn clusters_keep_their_promises_under_chaos_and_recover_from_it() {
    let (start, first) = (Instant::now(), setting("CHAOS_FIRST", 1));
    let seeds = setting("CHAOS_SEEDS", 1_000);
    let (mut applied, mut read) = (0, 0);
    for seed in first..first + seeds {
        let played = catch_unwind(|| {
            let mut cluster = Cluster::new(seed);
            cluster.run(1_000);
            cluster.heal();
            (cluster.applied, cluster.read)
        });
        let Ok((entries, reads)) = played else {
            panic!("seed {seed} fails");
        };
        (applied, read) = (applied + entries, read + reads);
    }
    println!("{seeds} seeds, {applied} entries applied, {read} reads, {:.1?}", start.elapsed());
}
