//! The cluster tests of TinyKV's projects 2B, 2C and 3B (`kv/test_raftstore`) that need no split, in
//! virtual time.
//!
//! They are written from a description of what each does, not translated. What they have in common
//! is in `generic.rs`; those with a story of their own are in `stories.rs`. Every checker of the
//! [`World`](raft_sim::World) watches throughout.
//!
//! Each test runs 20 seeds. `TINYKV_SEEDS=500 cargo test --release -p raft-sim --test tinykv` runs
//! more of them, `TINYKV_SEEDS=7..8` the one that failed.
//!
//! Seeds differ in more than chance: odd ones read through the log, as TinyKV does, the others by
//! read index; every other pair of them has sessions, which TinyKV does not know.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod chaos;
mod clients;
mod cluster;
mod generic;
mod stories;

use std::ops::Range;

/// Which seeds to run: the first 20, or what the variable `TINYKV_SEEDS` says.
fn seeds() -> Range<u64> {
    let Ok(wanted) = std::env::var("TINYKV_SEEDS") else { return 0..20 };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("TINYKV_SEEDS={wanted}"));
    match wanted.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&wanted),
    }
}

/// Names the seed when a test fails.
struct Trial(u64);

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was seed {0}: TINYKV_SEEDS={0}..{1}", self.0, self.0 + 1);
        }
    }
}

/// Plays a scene with every seed.
fn with_every_seed(scene: impl Fn(u64)) {
    for seed in seeds() {
        let trial = Trial(seed);
        scene(trial.0);
    }
}
