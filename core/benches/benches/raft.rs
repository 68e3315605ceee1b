//! The same work under divan, for a closer look at one figure: `cargo bench -p raft-bench -- commit`.
//!
//! The table of `cargo xtask bench` is made by `src/rows.rs`, because a ratio on a noisy machine
//! needs rounds of both implementations that alternate, which no harness offers.

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use raft_bench::ours::{self, Ours};
use raft_bench::theirs::{self, Theirs};
use raft_bench::{Cluster, work};

fn main() {
    divan::main();
}

/// Peers, bytes of payload, commands in a burst.
const SHAPES: [(u64, usize, u64); 12] = [
    (3, 16, 1),
    (3, 256, 1),
    (3, 4096, 1),
    (5, 16, 1),
    (5, 256, 1),
    (5, 4096, 1),
    (3, 16, 64),
    (3, 256, 64),
    (3, 4096, 64),
    (5, 16, 64),
    (5, 256, 64),
    (5, 4096, 64),
];

#[divan::bench(types = [Ours, Theirs], args = SHAPES)]
fn commit<C: Cluster>(bencher: Bencher, (peers, size, burst): (u64, usize, u64)) {
    // As many as lie between two compactions, so that the log does not grow.
    const COMMITS: u64 = 1024;
    let payload = Bytes::from(vec![7; size]);
    let mut cluster = C::new(peers);
    let bencher = bencher.counter(ItemsCount::new(COMMITS));
    bencher.bench_local(|| work::commit(&mut cluster, &payload, burst, COMMITS));
}

#[divan::bench(types = [Ours, Theirs])]
fn read_index_round<C: Cluster>(bencher: Bencher) {
    let mut cluster = C::new(3);
    bencher.bench_local(|| work::read(&mut cluster, 1));
}

#[divan::bench(types = [Ours, Theirs])]
fn two_elections_of_three_new_peers<C: Cluster>(bencher: Bencher) {
    bencher.bench_local(|| {
        let mut cluster = C::new(3);
        cluster.campaign_second();
        cluster.pump();
    });
}

#[divan::bench(types = [Ours, Theirs], args = 1..=11)]
fn commit_index<C: Cluster>(bencher: Bencher, voters: u64) {
    let mut cluster = C::new(voters);
    bencher.bench_local(|| black_box(&mut cluster).quorum_index());
}

#[divan::bench(types = [Ours, Theirs], sample_count = 5, sample_size = 1)]
fn catching_up_100_000_entries<C: Cluster>(bencher: Bencher) {
    let laggard = || work::cluster_with_laggard::<C>(100_000);
    bencher.with_inputs(laggard).bench_local_refs(work::catch_up);
}

#[divan::bench(args = [1, 64])]
fn our_follower_handles_an_append(bencher: Bencher, entries: u64) {
    let input = || {
        let (peer, mut appends) = ours::follower_and_appends(1, entries, 256);
        (peer, appends.pop())
    };
    bencher.with_inputs(input).bench_local_values(|(mut peer, append)| {
        append.map(|append| ours::step(&mut peer, append))
    });
}

#[divan::bench(args = [1, 64])]
fn their_follower_handles_an_append(bencher: Bencher, entries: u64) {
    let input = || {
        let (peer, mut appends) = theirs::follower_and_appends(1, entries, 256);
        (peer, appends.pop())
    };
    bencher.with_inputs(input).bench_local_values(|(mut peer, append)| {
        append.map(|append| theirs::step(&mut peer, append))
    });
}

#[divan::bench]
fn our_tick_of_10_000_idle_groups(bencher: Bencher) {
    let mut groups: Vec<_> = (0..10_000).map(ours::idle).collect();
    bencher.bench_local(|| {
        groups.iter_mut().for_each(|peer| {
            black_box(peer.tick().is_ok() & !peer.has_ready());
        });
    });
}

#[divan::bench]
fn their_tick_of_10_000_idle_groups(bencher: Bencher) {
    let mut groups: Vec<_> = (0..10_000).map(|_| theirs::idle()).collect();
    bencher.bench_local(|| {
        groups.iter_mut().for_each(|peer| {
            black_box(peer.tick() & !peer.has_ready());
        });
    });
}
