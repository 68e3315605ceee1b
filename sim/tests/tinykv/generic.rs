//! What most of the tests have in common (TinyKV `GenericTest`), and those that are nothing else.

use raft_kv::INIT_LOG_INDEX;

use crate::chaos::{Changer, Chaos};
use crate::clients::Client;
use crate::cluster::{Cluster, ELECTION_TIMEOUT, MILLISECOND};
use crate::support::SECOND;
use crate::with_every_seed;

/// What happens in a test.
#[derive(Clone, Copy, Default)]
struct Test {
    clients: u64,
    unreliable: bool,
    crash: bool,
    partitions: bool,
    /// Entries that may be applied before the log is cut.
    log_limit: Option<u64>,
    /// Members come and go.
    changes: bool,
}

const STORES: u64 = 5;

/// Clients write and read for five seconds, three times over, while the network is disturbed; then
/// all is well, or all stores crash at once, and nothing that was acknowledged may be missing.
fn play(test: Test) {
    with_every_seed(|seed| {
        let mut cluster = Cluster::new(seed, STORES, test.log_limit);
        cluster.run_for(2 * ELECTION_TIMEOUT);
        let mut written = 0;
        for _ in 0..3 {
            let clients = disturb(&mut cluster, test);
            if test.crash {
                cluster.stores().for_each(|store| cluster.stop(store));
                cluster.run_for(ELECTION_TIMEOUT);
                cluster.stores().for_each(|store| cluster.start(store));
            }
            clients.iter().for_each(|client| client.check_and_clean_up(&mut cluster));
            written += clients.iter().map(Client::written).sum::<u64>();
            if let Some(limit) = test.log_limit {
                cluster.run_for(SECOND);
                cluster.check_log_lengths(2 * limit);
            }
        }
        assert!(written >= 20, "only {written} writes");
        if test.log_limit.is_some() {
            let cut = |store| cluster.applied(store).truncated.0 > INIT_LOG_INDEX;
            assert!(cluster.stores().any(cut), "no log was ever cut");
        }
    });
}

/// Five seconds of clients and chaos. Returns the clients when all of them have their answers.
fn disturb(cluster: &mut Cluster, test: Test) -> Vec<Client> {
    let mut clients: Vec<_> = (1..=test.clients).map(Client::new).collect();
    let Test { partitions, unreliable, .. } = test;
    let disturbed = partitions || unreliable;
    let chaos_us = cluster.world.now_us() + if disturbed { 300 * MILLISECOND } else { 0 };
    let changes_us = chaos_us + if test.changes { 100 * MILLISECOND } else { 0 };
    let mut chaos = Chaos { partitions, unreliable, next_us: chaos_us };
    let mut changer = Changer::new(changes_us);
    let end_us = changes_us + 5 * SECOND;
    while cluster.world.now_us() < end_us {
        if disturbed {
            chaos.go_on(cluster);
        }
        if test.changes {
            changer.go_on(cluster);
        }
        clients.iter_mut().for_each(|client| client.go_on(cluster));
        listen_for(cluster, &mut clients, &mut changer, MILLISECOND);
    }
    if disturbed {
        // It sleeps once more before it hears that it has to end.
        let rest_us = chaos.next_us.saturating_sub(cluster.world.now_us());
        listen_for(cluster, &mut clients, &mut changer, rest_us);
        cluster.clear_filters();
        listen_for(cluster, &mut clients, &mut changer, ELECTION_TIMEOUT);
    }
    while changer.is_waiting() || clients.iter().any(Client::is_waiting) {
        listen_for(cluster, &mut clients, &mut changer, MILLISECOND);
    }
    assert!(!test.changes || changer.done > 0, "no member came or went");
    clients
}

fn listen_for(cluster: &mut Cluster, clients: &mut [Client], changer: &mut Changer, us: u64) {
    cluster.run_for(us);
    changer.listen(cluster);
    clients.iter_mut().for_each(|client| client.listen(cluster));
}

/// TestBasic2B
#[test]
fn a_client_reads_back_all_that_it_wrote() {
    play(Test { clients: 1, ..Test::default() });
}

/// TestConcurrent2B
#[test]
fn clients_at_the_same_time_read_back_all_that_they_wrote() {
    play(Test { clients: 5, ..Test::default() });
}

/// TestUnreliable2B
#[test]
fn a_network_that_loses_more_and_more_loses_no_write() {
    play(Test { clients: 5, unreliable: true, ..Test::default() });
}

/// TestManyPartitionsOneClient2B
#[test]
fn a_client_loses_nothing_in_one_partition_after_the_other() {
    play(Test { clients: 1, partitions: true, ..Test::default() });
}

/// TestManyPartitionsManyClients2B
#[test]
fn clients_lose_nothing_in_one_partition_after_the_other() {
    play(Test { clients: 5, partitions: true, ..Test::default() });
}

/// TestPersistOneClient2B
#[test]
fn a_crash_of_all_stores_loses_no_write() {
    play(Test { clients: 1, crash: true, ..Test::default() });
}

/// TestPersistConcurrent2B
#[test]
fn a_crash_of_all_stores_loses_no_write_of_any_client() {
    play(Test { clients: 5, crash: true, ..Test::default() });
}

/// TestPersistConcurrentUnreliable2B
#[test]
fn a_crash_after_a_lossy_network_loses_no_write() {
    play(Test { clients: 5, unreliable: true, crash: true, ..Test::default() });
}

/// TestPersistPartition2B
#[test]
fn a_crash_after_partitions_loses_no_write() {
    play(Test { clients: 5, crash: true, partitions: true, ..Test::default() });
}

/// TestPersistPartitionUnreliable2B
#[test]
fn a_crash_after_partitions_of_a_lossy_network_loses_no_write() {
    let test = Test { clients: 5, unreliable: true, crash: true, ..Test::default() };
    play(Test { partitions: true, ..test });
}

/// With a log that is cut short all the time.
const CUT: Test = Test {
    clients: 5,
    unreliable: false,
    crash: false,
    partitions: false,
    log_limit: Some(100),
    changes: false,
};

/// TestSnapshotRecover2C
#[test]
fn a_crash_of_all_stores_loses_nothing_that_left_the_log() {
    play(Test { clients: 1, crash: true, ..CUT });
}

/// TestSnapshotRecoverManyClients2C
#[test]
fn a_crash_of_all_stores_loses_nothing_of_twenty_clients_that_left_the_log() {
    play(Test { clients: 20, crash: true, ..CUT });
}

/// TestSnapshotUnreliable2C
#[test]
fn a_network_that_loses_more_and_more_brings_snapshots_all_the_same() {
    play(Test { unreliable: true, ..CUT });
}

/// TestSnapshotUnreliableRecover2C
#[test]
fn a_crash_after_snapshots_on_a_lossy_network_loses_no_write() {
    play(Test { unreliable: true, crash: true, ..CUT });
}

/// TestSnapshotUnreliableRecoverConcurrentPartition2C
#[test]
fn a_crash_after_snapshots_and_partitions_of_a_lossy_network_loses_no_write() {
    play(Test { unreliable: true, crash: true, partitions: true, ..CUT });
}

/// With members that come and go.
const CHANGING: Test = Test {
    clients: 5,
    unreliable: false,
    crash: false,
    partitions: false,
    log_limit: None,
    changes: true,
};

/// TestConfChangeRecover3B
#[test]
fn a_crash_of_members_that_came_and_went_loses_no_write() {
    play(Test { clients: 1, crash: true, ..CHANGING });
}

/// TestConfChangeRecoverManyClients3B
#[test]
fn a_crash_of_members_that_came_and_went_loses_no_write_of_twenty_clients() {
    play(Test { clients: 20, crash: true, ..CHANGING });
}

/// TestConfChangeUnreliable3B
#[test]
fn members_come_and_go_on_a_lossy_network() {
    play(Test { unreliable: true, ..CHANGING });
}

/// TestConfChangeUnreliableRecover3B
#[test]
fn a_crash_after_changes_on_a_lossy_network_loses_no_write() {
    play(Test { unreliable: true, crash: true, ..CHANGING });
}

/// TestConfChangeSnapshotUnreliableRecover3B
#[test]
fn a_crash_after_changes_and_snapshots_on_a_lossy_network_loses_no_write() {
    play(Test { unreliable: true, crash: true, log_limit: Some(100), ..CHANGING });
}

/// TestConfChangeSnapshotUnreliableRecoverConcurrentPartition3B
#[test]
fn a_crash_after_changes_snapshots_and_partitions_of_a_lossy_network_loses_no_write() {
    let test = Test { unreliable: true, crash: true, partitions: true, ..CHANGING };
    play(Test { log_limit: Some(100), ..test });
}
