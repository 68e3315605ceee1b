//! The tests that go step by step.

use raft_kv::{INIT_LOG_INDEX, INIT_LOG_TERM};

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
            let first = (INIT_LOG_INDEX, INIT_LOG_TERM);
            assert_eq!(cluster.applied(store).truncated, first, "store {store}");
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
        cluster.check_log_lengths(20);
    });
}

/// TestTransferLeader3B
#[test]
fn leadership_goes_from_store_to_store_as_asked() {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, 5, None);
        for store in cluster.stores() {
            cluster.transfer_leader(store);
        }
    });
}

/// TestBasicConfChange3B
#[test]
fn peers_that_are_added_get_all_data_and_peers_that_are_removed_keep_none() {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, 5, None);
        cluster.transfer_leader(1);
        (2..=5).for_each(|store| cluster.remove_peer(store));
        cluster.put("k1", "v1");
        cluster.wait_on_disk(2, "k1", None);

        cluster.add_peer(2);
        cluster.put("k2", "v2");
        cluster.must_get("k2", "v2");
        cluster.wait_on_disk(2, "k1", Some("v1"));
        cluster.wait_on_disk(2, "k2", Some("v2"));
        let epoch = cluster.world.node(2).unwrap().peer().unwrap().region().region_epoch;
        assert!(epoch.unwrap().conf_ver > 1);
        cluster.wait_on_disk(5, "k1", None);

        cluster.add_peer(3);
        cluster.remove_peer(2);
        cluster.put("k3", "v3");
        for (key, value) in [("k1", "v1"), ("k2", "v2"), ("k3", "v3")] {
            cluster.must_get(key, value);
            cluster.wait_on_disk(3, key, Some(value));
        }
        cluster.wait_on_disk(2, "k1", None);
        cluster.wait_on_disk(2, "k2", None);

        // Back again, as another peer.
        cluster.add_peer(2);
        for (key, value) in [("k1", "v1"), ("k2", "v2"), ("k3", "v3")] {
            cluster.wait_on_disk(2, key, Some(value));
        }
        cluster.remove_peer(2);
        cluster.add_peer(2);
        cluster.remove_peer(3);
        cluster.put("k4", "v4");
        cluster.wait_on_disk(2, "k1", Some("v1"));
        cluster.wait_on_disk(2, "k4", Some("v4"));
        cluster.wait_on_disk(3, "k1", None);
        cluster.wait_on_disk(3, "k4", None);
    });
}

/// TestConfChangeRemoveLeader3B
#[test]
fn a_leader_that_is_removed_leaves_a_cluster_that_goes_on() {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, 5, None);
        cluster.transfer_leader(1);
        cluster.remove_peer(2);
        cluster.put("k0", "v0");
        cluster.wait_on_disk(2, "k0", None);

        cluster.remove_peer(1);
        cluster.put("k1", "v1");
        for store in 3..=5 {
            cluster.wait_on_disk(store, "k1", Some("v1"));
        }
        cluster.wait_on_disk(1, "k1", None);

        cluster.add_peer(1);
        cluster.put("k2", "v2");
        for (key, value) in [("k0", "v0"), ("k1", "v1"), ("k2", "v2")] {
            cluster.wait_on_disk(1, key, Some(value));
        }
    });
}
