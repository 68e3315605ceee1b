//! What a commit costs in allocations, messages and bytes: exact numbers, the same on every
//! machine.

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use raft_bench::ours::{self, Ours};
use raft_bench::{Cluster, work};

const COMMITS: u64 = 1_000;

/// A cluster whose vectors have grown to what they need.
fn warm(peers: u64, payload: &Bytes) -> Ours {
    let mut cluster = Ours::new(peers);
    work::commit(&mut cluster, payload, 1, 3_000);
    cluster
}

fn of_commits(payload: &Bytes) -> AllocationInfo {
    let mut cluster = warm(3, payload);
    allocation_counter::measure(|| work::commit(&mut cluster, payload, 1, COMMITS))
}

#[test]
fn a_commit_of_three_nodes_takes_one_allocation_for_each_append() {
    let info = of_commits(&Bytes::from_static(&[7; 16]));
    assert!(info.count_total <= 8 * COMMITS, "the bound of all: {info:?}");
    assert_eq!(info.count_total, 2 * COMMITS, "{info:?}");
}

#[test]
fn no_allocation_grows_with_the_payload() {
    let small = of_commits(&Bytes::from(vec![7; 16]));
    let large = of_commits(&Bytes::from(vec![7; 64 * 1024]));
    assert_eq!(small.count_total, large.count_total);
    assert_eq!(small.bytes_total, large.bytes_total);
}

#[test]
fn an_idle_tick_allocates_nothing() {
    let mut peer = ours::idle(0);
    let info = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            peer.tick().unwrap();
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// An idle group must not cost more than a few cache lines for each member.
#[test]
fn an_idle_group_takes_little_memory() {
    let info = allocation_counter::measure(|| {
        let group = Box::new(ours::idle(0));
        std::mem::forget(group);
    });
    assert!(info.bytes_current <= 1_280, "{info:?}");
}

/// To each follower an append, and the commit index when it is known; two answers.
#[test]
fn a_commit_takes_four_messages_for_each_follower() {
    for (peers, expected) in [(3, 8), (5, 16)] {
        let payload = Bytes::from_static(&[7; 16]);
        let mut cluster = warm(peers, &payload);
        let before = cluster.counters().messages;
        work::commit(&mut cluster, &payload, 1, COMMITS);
        assert_eq!(cluster.counters().messages - before, expected * COMMITS, "{peers} peers");
    }
}

#[test]
fn a_burst_takes_as_many_messages_as_one_command() {
    let payload = Bytes::from_static(&[7; 16]);
    let mut cluster = warm(3, &payload);
    let before = cluster.counters().messages;
    work::commit(&mut cluster, &payload, 64, 64);
    assert_eq!(cluster.counters().messages - before, 8);
}

/// The bytes of the messages of one commit, of payloads of 16 and of 4096 bytes: the payload goes
/// once to each follower, the rest is small numbers.
#[test]
fn a_commit_takes_few_bytes_beside_its_payload() {
    for (peers, size, expected) in [(3, 16, 152), (3, 4096, 8_316), (5, 16, 304), (5, 4096, 16_632)]
    {
        let mut cluster = Ours::new(peers);
        cluster.count_bytes();
        cluster.propose(&Bytes::from(vec![7; size]));
        cluster.pump();
        assert_eq!(cluster.bytes(), expected, "{peers} peers, payload of {size}");
    }
}
