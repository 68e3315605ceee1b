//! A few seeds with every `cargo test`, and that a seed always gives the same run. The thousands
//! run in `cargo xtask test interop`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_core::RuleBook;
use raft_interop::{Batch, digest_of, trace_of};

#[test]
fn mixed_clusters_keep_every_promise() {
    // Four times each mix of implementations.
    let batch = Batch { start: 0, seeds: 144, jobs: 2, rules: RuleBook::default() };
    assert_eq!(batch.run().failures, []);
}

#[test]
fn a_seed_always_gives_the_same_run() {
    for seed in 0..12 {
        let (digest, result) = digest_of(seed).unwrap();
        assert_eq!(digest_of(seed).unwrap(), (digest, result), "seed {seed}");
    }
    let trace = trace_of(3);
    assert!(trace.len() > 100, "{} lines", trace.len());
    assert_eq!(trace, trace_of(3));
}
