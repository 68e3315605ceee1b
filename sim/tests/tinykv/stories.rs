//! The tests that go step by step.

use crate::cluster::{Cluster, ELECTION_TIMEOUT, MILLISECOND};
use crate::with_every_seed;

/// TestOnePartition2B
#[test]
fn the_side_with_the_majority_serves_and_the_other_catches_up() {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, 5, None);
        cluster.run_for(2 * ELECTION_TIMEOUT);
        let leader = cluster.leader();
        let others: Vec<_> = cluster.stores().filter(|&store| store != leader).collect();

        // The leader has the majority on its side.
        cluster.partition(&[leader, others[0], others[1]]);
        cluster.put("k1", "v1");
        cluster.must_get("k1", "v1");
        for &store in &others[2..] {
            assert_eq!(cluster.on_disk(store, "k1"), None, "store {store}");
        }

        // Now the others have it: they elect a leader of their own.
        cluster.clear_filters();
        let minority = [leader, others[0]];
        cluster.partition(&minority);
        cluster.must_get("k1", "v1");
        cluster.put("k1", "changed");
        for store in minority {
            cluster.wait_on_disk(store, "k1", Some("v1"));
        }
        assert_ne!(cluster.leader(), leader);

        cluster.clear_filters();
        cluster.put("k2", "v2");
        cluster.wait_on_disk(leader, "k2", Some("v2"));
        cluster.wait_on_disk(leader, "k1", Some("changed"));
    });
}

/// TestOneSnapshot2C
#[test]
fn a_store_that_missed_too_much_gets_a_snapshot() {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, 3, Some(10));
        cluster.put("k1", "v1");
        cluster.put("k2", "v2");
        cluster.wait_on_disk(1, "k1", Some("v1"));
        cluster.wait_on_disk(1, "k2", Some("v2"));
        for store in cluster.stores() {
            assert_eq!(cluster.applied(store).truncated, (5, 5), "store {store}");
        }

        cluster.partition(&[1]);
        let missed_from = cluster.applied(1).applied;
        for number in 100..115 {
            cluster.put(&format!("k{number}"), &format!("v{number}"));
        }
        cluster.delete("k2");
        cluster.run_for(500 * MILLISECOND);
        assert_eq!(cluster.on_disk(1, "k100"), None);

        // The others no longer have the entries that it missed.
        cluster.clear_filters();
        cluster.wait_on_disk(1, "k1", Some("v1"));
        cluster.wait_on_disk(1, "k100", Some("v100"));
        cluster.wait_on_disk(1, "k2", None);
        assert!(cluster.applied(1).truncated.0 > missed_from, "it came as a snapshot");

        cluster.stop(1);
        cluster.start(1);
        cluster.wait_on_disk(1, "k1", Some("v1"));
        cluster.check_log_lengths(10);
    });
}
