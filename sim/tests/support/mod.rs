//! What the suites of the simulator share.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::cast_possible_truncation, reason = "dice are small")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use raft_core::StateRole;
use raft_sim::{Command, Op, Outcome, Reply, Scenario, Span, World};

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
    world.apply(Command::Request { client: 0, op, to }).unwrap();
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

/// A small generator of its own, so that the faults do not depend on the world's chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0xD1CE)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A cluster whose size and speeds are drawn.
pub(crate) fn scenario(seed: u64, dice: &mut Dice) -> Scenario {
    let mut scenario =
        Scenario { peers: [3, 5, 5, 7][dice.roll(4) as usize], ..Scenario::new(seed) };
    let settings = &mut scenario.settings;
    settings.loss_permille = [0, 0, 50, 200][dice.roll(4) as usize];
    settings.sync = Span { min_us: 500, max_us: [1_000, 20_000, 80_000][dice.roll(3) as usize] };
    settings.latency.max_us = [25_000, 60_000, 150_000][dice.roll(3) as usize];
    scenario
}

fn fault(dice: &mut Dice, peers: u64) -> Command {
    let peer = dice.roll(peers) + 1;
    match dice.roll(6) {
        0 | 1 => Command::Crash { peer },
        2 | 3 => Command::Restart { peer },
        4 => {
            let side = (1..=peers).filter(|_| dice.roll(2) == 0).collect();
            Command::Partition { groups: vec![side] }
        }
        _ => Command::Heal,
    }
}

fn request(dice: &mut Dice, round: u64) -> Op {
    let key = format!("k{}", dice.roll(3));
    match dice.roll(4) {
        0 => Op::Get { key },
        1 => Op::Delete { key },
        _ => Op::Put { key, value: round.to_string() },
    }
}

/// Faults for a while; then everything is mended.
pub(crate) fn torment(world: &mut World, dice: &mut Dice) {
    let peers = world.scenario().peers;
    for round in 0..40 {
        let op = request(dice, round);
        world.apply(Command::Request { client: 0, op, to: None }).unwrap();
        if dice.roll(3) == 0 {
            let fault = fault(dice, peers);
            world.apply(fault).unwrap();
        }
        world.run_until(world.now_us() + 50_000 + dice.roll(400_000));
    }
    world.apply(Command::Heal).unwrap();
    world.apply(Command::SetLoss { permille: 0 }).unwrap();
    for peer in 1..=peers {
        world.apply(Command::Restart { peer }).unwrap();
    }
}
