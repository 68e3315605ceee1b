//! What a user sees of the world: elections, requests, crashes, partitions, power cuts.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_sim::{Command, Op, Outcome, Reply, Resume, Scenario, What, World};
use support::*;

fn world(seed: u64) -> World {
    World::new(&Scenario::new(seed)).unwrap()
}

#[test]
fn five_peers_elect_one_leader_and_all_know_it() {
    let mut world = world(1);
    let leader = elect(&mut world);
    world.run_until(world.now_us() + SECOND);
    for (id, node) in world.nodes() {
        assert_eq!(node.peer().unwrap().raft().leader(), leader, "n{id}");
    }
}

#[test]
fn a_write_reaches_every_disk_and_is_read_back() {
    let mut world = world(2);
    put(&mut world, "k", "v");
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
    world.run_until(world.now_us() + SECOND);
    for id in 1..=5 {
        assert_eq!(on_disk(&world, id, "k").as_deref(), Some("v"), "n{id}");
    }
}

#[test]
fn delete_scan_empty_values_and_missing_keys_answer_as_they_should() {
    let mut world = world(3);
    put(&mut world, "a", "1");
    put(&mut world, "b", "");
    put(&mut world, "c", "3");
    assert_eq!(get(&mut world, "b").as_deref(), Some(""));
    assert_eq!(get(&mut world, "z"), None);
    let deleted = ask(&mut world, Op::Delete { key: "a".into() }, None);
    assert_eq!(deleted, Outcome::Done(Reply::Written));
    let scan = Op::Scan { start: String::new(), end: String::new(), limit: 0 };
    let pairs = vec![("b".into(), String::new()), ("c".into(), "3".into())];
    assert_eq!(ask(&mut world, scan, None), Outcome::Done(Reply::Pairs(pairs)));
}

#[test]
fn a_request_made_before_there_is_a_leader_finds_one() {
    let mut world = world(4);
    put(&mut world, "early", "bird");
    assert!(world.happenings().any(|h| matches!(h.what, What::Retried { .. })));
}

#[test]
fn after_the_leader_crashes_another_serves_the_old_value() {
    let mut world = world(5);
    put(&mut world, "k", "old");
    let first = leader(&world).unwrap();
    world.apply(Command::Crash { peer: first }).unwrap();
    assert_eq!(get(&mut world, "k").as_deref(), Some("old"));
    let second = leader(&world).unwrap();
    assert_ne!(first, second);

    put(&mut world, "k", "new");
    world.apply(Command::Restart { peer: first }).unwrap();
    world.run_until(world.now_us() + 2 * SECOND);
    assert_eq!(on_disk(&world, first, "k").as_deref(), Some("new"), "it caught up");
    assert_eq!(leader(&world), Some(second), "and did not disturb");
}

#[test]
fn a_crash_loses_exactly_what_the_disk_had_not_finished() {
    let mut world = world(6);
    let leader = elect(&mut world);
    let _ = send(&mut world, put_op("k", "v"), None);
    let last = |world: &World| {
        world.node(leader).unwrap().peer().map(|peer| peer.raft().log().last_index())
    };
    let before = last(&world);
    run_while(&mut world, SECOND, |world| last(world) == before);
    assert!(world.node(leader).unwrap().is_writing(), "appended, not yet durable");
    world.apply(Command::Crash { peer: leader }).unwrap();
    let lost = What::Crashed { peer: leader, lost_write: true };
    assert!(world.happenings().any(|h| h.what == lost));
    world.apply(Command::Restart { peer: leader }).unwrap();
    assert_eq!(last(&world), before, "the entry is gone");
}

#[test]
fn a_minority_never_acknowledges_and_logs_agree_after_healing() {
    let mut world = world(7);
    put(&mut world, "k", "before");
    let old = leader(&world).unwrap();
    let friend = if old == 1 { 2 } else { 1 };
    world.apply(Command::Partition { groups: vec![vec![old, friend]] }).unwrap();
    let doomed = send(&mut world, put_op("k", "minority"), Some(old));
    world.run_until(world.now_us() + 4 * SECOND);
    put(&mut world, "k", "majority");
    let read = ask(&mut world, get_op("k"), Some(old));
    assert_eq!(read, Outcome::Unknown, "a deposed leader must not answer a read");
    assert_ne!(outcome(&world, doomed), Some(Outcome::Done(Reply::Written)));

    world.apply(Command::Heal).unwrap();
    world.run_until(world.now_us() + 3 * SECOND);
    assert_eq!(get(&mut world, "k").as_deref(), Some("majority"));
    world.run_until(world.now_us() + SECOND);
    let logs: Vec<_> = world
        .nodes()
        .map(|(_, node)| node.peer().unwrap().raft().log().all_entries().unwrap())
        .collect();
    assert!(logs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_client_finds_the_majority_although_the_minority_names_another_leader() {
    for seed in 0..40 {
        let mut world = world(seed);
        put(&mut world, "k", "before");
        let old = leader(&world).unwrap();
        let friend = old % 5 + 1;
        world.apply(Command::Partition { groups: vec![vec![old, friend]] }).unwrap();
        let elected = |world: &World| leader(world).is_some_and(|id| id != old);
        run_while(&mut world, 10 * SECOND, |world| !elected(world));
        put(&mut world, "k", "after");
    }
}

#[test]
fn a_pinned_request_at_a_follower_is_refused_with_a_reason() {
    let mut world = world(8);
    let leader = elect(&mut world);
    let follower = leader % 5 + 1;
    let refused = ask(&mut world, get_op("k"), Some(follower));
    assert!(matches!(refused, Outcome::Refused(reason) if reason.contains("led by another")));
}

#[test]
fn with_everybody_down_a_request_is_refused_in_time() {
    let mut world = world(9);
    for peer in 1..=5 {
        world.apply(Command::Crash { peer }).unwrap();
    }
    assert!(matches!(ask(&mut world, put_op("k", "v"), None), Outcome::Refused(_)));
    assert!(world.now_us() <= 6 * SECOND);
}

#[test]
fn lossy_links_only_delay() {
    let mut world = world(10);
    world.apply(Command::SetLoss { permille: 200 }).unwrap();
    for round in 0..20 {
        put(&mut world, "k", &round.to_string());
    }
    assert!(world.happenings().any(|h| matches!(h.what, What::Lost(_))));
    assert_eq!(get(&mut world, "k").as_deref(), Some("19"));
}

#[test]
fn a_power_cut_keeps_what_was_durable_and_terms_never_go_back() {
    let mut world = world(11);
    world.keep_journal();
    let mut disks: std::collections::BTreeMap<_, _> =
        world.nodes().map(|(id, node)| (id, node.disk().clone())).collect();
    put(&mut world, "k", "v");
    for (id, batches) in world.take_durable() {
        disks.get_mut(&id).unwrap().write(&batches);
    }
    for (id, node) in world.nodes() {
        assert_eq!(&disks[&id], node.disk(), "the journal tells the whole story");
    }
    let terms = |world: &World| -> Vec<u64> {
        world.nodes().map(|(_, node)| node.peer().unwrap().raft().term()).collect()
    };
    let before = terms(&world);
    let (now_us, last_request) = (world.now_us(), world.last_request());
    let resume = Resume { now_us, epoch: 1, last_request, disks };
    let mut world = World::resume(&Scenario::new(11), resume).unwrap();
    assert!(terms(&world).iter().zip(&before).all(|(after, before)| after >= before));
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
    assert_eq!(world.last_request(), last_request + 1, "request numbers go on");
}

#[test]
fn a_clone_is_a_branch_with_the_same_future() {
    let mut world = world(12);
    world.run_until(3 * SECOND);
    let mut branch = world.clone();
    world.run_until(6 * SECOND);
    branch.run_until(6 * SECOND);
    assert_eq!(world.digest(), branch.digest());
    branch.apply(Command::Crash { peer: 1 }).unwrap();
    assert_ne!(world.digest(), branch.digest());
}

#[test]
fn the_recorded_scenario_replays_the_run() {
    let mut world = world(13);
    elect(&mut world);
    put(&mut world, "k", "v");
    let crashed = leader(&world).unwrap();
    world.apply(Command::Crash { peer: crashed }).unwrap();
    world.run_until(world.now_us() + 500);
    world.apply(Command::Partition { groups: vec![vec![2, 3]] }).unwrap();
    world.run_until(9 * SECOND);
    let mut replay = World::new(world.scenario()).unwrap();
    replay.run_until(9 * SECOND);
    assert_eq!(replay.digest(), world.digest());
    assert_eq!(replay.scenario(), world.scenario());
}

#[test]
fn commands_that_do_not_fit_are_refused_and_do_nothing() {
    let mut world = world(14);
    let before = world.digest();
    assert!(world.apply(Command::Crash { peer: 6 }).is_err());
    let empty = Op::Get { key: String::new() };
    assert!(world.apply(Command::Request { client: 0, op: empty, to: None }).is_err());
    assert_eq!((world.digest(), world.scenario().commands.len()), (before, 0));
}

#[test]
fn a_disk_that_no_peer_can_start_from_is_refused_by_name() {
    let resume = Resume { disks: [(1, raft_kv::Engines::default())].into(), ..Resume::default() };
    let error = World::resume(&Scenario::new(1), resume).unwrap_err();
    assert!(error.to_string().starts_with("peer 1 cannot start"), "{error}");
}

#[test]
fn one_peer_alone_is_a_cluster() {
    let mut world = World::new(&Scenario { peers: 1, ..Scenario::new(15) }).unwrap();
    put(&mut world, "k", "v");
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
    // It campaigns as soon as it is back.
    world.apply(Command::Crash { peer: 1 }).unwrap();
    world.apply(Command::Restart { peer: 1 }).unwrap();
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
    assert_eq!(world.violation(), None);
}
