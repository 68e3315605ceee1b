//! Pieces of work, the same for every implementation.

use bytes::Bytes;

use crate::Cluster;

/// Entries between two compactions.
const COMPACT_EVERY: u64 = 1024;

/// Proposes `count` commands in bursts, each pumped until nothing is left to do.
pub fn commit<C: Cluster>(cluster: &mut C, payload: &Bytes, burst: u64, count: u64) {
    let mut done = 0;
    let mut since = 0;
    while done < count {
        for _ in 0..burst {
            cluster.propose(payload);
        }
        cluster.pump();
        done += burst;
        since += burst;
        if since >= COMPACT_EVERY {
            cluster.compact();
            since = 0;
        }
    }
}

/// Asks for `count` reads, each confirmed by a quorum.
pub fn read<C: Cluster>(cluster: &mut C, count: u64) {
    for _ in 0..count {
        cluster.read();
        cluster.pump();
    }
}

/// A cluster whose peer 3 missed `behind` entries.
pub fn cluster_with_laggard<C: Cluster>(behind: u64) -> C {
    let mut cluster = C::new(3);
    cluster.set_connected(3, false);
    let mut left = behind;
    while left > 0 {
        let burst = left.min(1000);
        for _ in 0..burst {
            cluster.propose(&Bytes::from_static(&[7; 16]));
        }
        cluster.pump();
        left -= burst;
    }
    cluster.set_connected(3, true);
    cluster
}

/// Lets the laggard catch up: a heartbeat finds it, appends do the rest.
pub fn catch_up<C: Cluster>(cluster: &mut C) {
    cluster.tick_leader();
    cluster.pump();
}

/// Commands of each kind that [`wasm_load`] commits.
pub const WASM_COMMITS: u64 = 20_000;

/// The load that is compared between wasm and native code.
///
/// # Panics
/// If a command is not applied everywhere.
pub fn wasm_load() {
    let mut cluster = crate::ours::Ours::new(5);
    let before = cluster.counters().applied;
    for burst in [1, 50] {
        commit(&mut cluster, &Bytes::from(vec![7; 256]), burst, WASM_COMMITS);
    }
    assert_eq!(cluster.counters().applied - before, 2 * 5 * WASM_COMMITS);
}
