//! Members come and go, from the clients' side.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_sim::{Command, MemberChange, Op, Outcome, Reply, Role, Scenario, World};
use support::*;

fn world(seed: u64, peers: u64, spares: u64) -> World {
    World::new(&Scenario { peers, spares, ..Scenario::new(seed) }).unwrap()
}

fn one(store: u64, role: Role) -> Op {
    Op::Members { changes: vec![MemberChange { store, role }] }
}

/// Asks until it is done: a change may be refused while another one is under way.
fn change(world: &mut World, op: &Op) -> Vec<u64> {
    for _ in 0..20 {
        if let Outcome::Done(Reply::Members(stores)) = ask(world, op.clone(), None) {
            return stores;
        }
        world.run_until(world.now_us() + SECOND);
    }
    panic!("{op} is never done");
}

fn has_peer(world: &World, store: u64) -> bool {
    world.node(store).unwrap().peer().is_some()
}

#[test]
fn a_spare_store_joins_catches_up_and_carries_on_when_the_others_leave() {
    let mut world = world(1, 3, 2);
    put(&mut world, "k", "v");
    assert!(!has_peer(&world, 4));
    assert_eq!(change(&mut world, &one(4, Role::Voter)), [1, 2, 3, 4]);
    assert_eq!(change(&mut world, &one(5, Role::Voter)), [1, 2, 3, 4, 5]);
    world.run_until(world.now_us() + 5 * SECOND);
    assert_eq!(on_disk(&world, 4, "k").as_deref(), Some("v"));
    for store in 1..=3 {
        change(&mut world, &one(store, Role::Gone));
    }
    world.run_until(world.now_us() + 5 * SECOND);
    assert!((1..=3).all(|store| !has_peer(&world, store)), "the removed ones are gone");
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
    put(&mut world, "k", "w");
    assert_eq!(on_disk(&world, 1, "k"), None);
}

#[test]
fn a_learner_is_promoted_and_a_voter_demoted() {
    let mut world = world(2, 3, 1);
    change(&mut world, &one(4, Role::Learner));
    world.run_until(world.now_us() + 3 * SECOND);
    change(&mut world, &one(4, Role::Voter));
    change(&mut world, &one(2, Role::Learner));
    put(&mut world, "k", "v");
    world.run_until(world.now_us() + SECOND);
    assert!((1..=4).all(|store| on_disk(&world, store, "k").as_deref() == Some("v")));
}

#[test]
fn half_of_the_members_change_at_once() {
    let mut world = world(3, 3, 2);
    put(&mut world, "k", "v");
    let leader = elect(&mut world);
    let leaving: Vec<_> = (1..=3).filter(|&store| store != leader).collect();
    let change_of = |store: &u64, role| MemberChange { store: *store, role };
    let mut changes: Vec<_> = leaving.iter().map(|s| change_of(s, Role::Gone)).collect();
    changes.extend([4, 5].iter().map(|s| change_of(s, Role::Voter)));
    change(&mut world, &Op::Members { changes });
    world.run_until(world.now_us() + 8 * SECOND);
    assert!(leaving.iter().all(|&store| !has_peer(&world, store)));
    world.apply(Command::Crash { peer: 4 }).unwrap();
    put(&mut world, "k", "w");
}

#[test]
fn a_store_that_left_comes_back_with_a_new_peer() {
    let mut world = world(4, 3, 0);
    elect(&mut world);
    put(&mut world, "k", "v");
    change(&mut world, &one(3, Role::Gone));
    world.run_until(world.now_us() + 5 * SECOND);
    change(&mut world, &one(3, Role::Voter));
    world.run_until(world.now_us() + 5 * SECOND);
    assert!(world.node(3).unwrap().peer().unwrap().me().id > 10);
    assert_eq!(on_disk(&world, 3, "k").as_deref(), Some("v"));
    world.apply(Command::Crash { peer: 3 }).unwrap();
    world.apply(Command::Restart { peer: 3 }).unwrap();
    put(&mut world, "k", "w");
}

#[test]
fn leadership_is_handed_over() {
    let mut world = world(5, 5, 0);
    let first = elect(&mut world);
    put(&mut world, "k", "v");
    let to = first % 5 + 1;
    assert_eq!(ask(&mut world, Op::TransferLeader { to }, None), Outcome::Done(Reply::Written));
    run_while(&mut world, 3 * SECOND, |world| leader(world) != Some(to));
    assert_eq!(leader(&world), Some(to));
}

#[test]
fn a_new_peer_that_a_crash_takes_before_its_first_write_is_made_again() {
    let mut world = world(6, 3, 1);
    put(&mut world, "k", "v");
    send(&mut world, one(4, Role::Voter), None);
    run_while(&mut world, 5 * SECOND, |world| !world.node(4).unwrap().is_writing());
    assert!(has_peer(&world, 4));
    world.apply(Command::Crash { peer: 4 }).unwrap();
    world.apply(Command::Restart { peer: 4 }).unwrap();
    assert!(!has_peer(&world, 4));
    run_while(&mut world, 5 * SECOND, |world| on_disk(world, 4, "k").is_none());
    assert_eq!(on_disk(&world, 4, "k").as_deref(), Some("v"));
}
