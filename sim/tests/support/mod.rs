//! What the suites of the simulator share.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_core::StateRole;
use raft_sim::{Command, Op, Outcome, Reply, World};

pub(crate) const SECOND: u64 = 1_000_000;

/// The peer that leads the highest term among those that are up.
pub(crate) fn leader(world: &World) -> Option<u64> {
    world
        .nodes()
        .filter_map(|(id, node)| node.peer().map(|peer| (id, peer.raft())))
        .filter(|(_, raft)| raft.role() == StateRole::Leader)
        .max_by_key(|(_, raft)| raft.term())
        .map(|(id, _)| id)
}

/// Runs until somebody leads, for at most ten seconds.
pub(crate) fn elect(world: &mut World) -> u64 {
    run_while(world, 10 * SECOND, |world| leader(world).is_none());
    leader(world).expect("a leader within ten seconds")
}

/// Runs event by event while `condition` holds, for at most `limit_us`.
pub(crate) fn run_while(world: &mut World, limit_us: u64, condition: impl Fn(&World) -> bool) {
    let end = world.now_us() + limit_us;
    while condition(world) && world.now_us() < end && world.step() {}
    assert_eq!(world.violation(), None);
}

pub(crate) fn put_op(key: &str, value: &str) -> Op {
    Op::Put { key: key.into(), value: value.into() }
}

pub(crate) fn get_op(key: &str) -> Op {
    Op::Get { key: key.into() }
}

/// Sends a request without waiting; returns its number.
pub(crate) fn send(world: &mut World, op: Op, to: Option<u64>) -> u64 {
    world.apply(Command::Request { op, to }).unwrap();
    world.last_request()
}

/// Sends a request and waits for its end.
pub(crate) fn ask(world: &mut World, op: Op, to: Option<u64>) -> Outcome {
    let id = send(world, op, to);
    run_while(world, 60 * SECOND, |world| outcome(world, id).is_none());
    outcome(world, id).expect("every request ends")
}

pub(crate) fn outcome(world: &World, id: u64) -> Option<Outcome> {
    world.request(id).unwrap().outcome.clone()
}

pub(crate) fn put(world: &mut World, key: &str, value: &str) {
    assert_eq!(ask(world, put_op(key, value), None), Outcome::Done(Reply::Written));
}

pub(crate) fn get(world: &mut World, key: &str) -> Option<String> {
    match ask(world, get_op(key), None) {
        Outcome::Done(Reply::Value(value)) => value,
        other => panic!("get {key}: {other:?}"),
    }
}

/// The value of `key` on the disk of peer `id`.
pub(crate) fn on_disk(world: &World, id: u64, key: &str) -> Option<String> {
    let key = format!("default_{key}");
    let value = world.node(id).unwrap().disk().kv.get(key.as_bytes())?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}
