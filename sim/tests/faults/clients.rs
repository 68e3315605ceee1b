//! Clients whose requests are lost, doubled or late.

use raft_sim::{ClientFault, Command, Op, Span, What, World};

use super::*;

fn set(world: &mut World, fault: ClientFault) {
    apply(world, Command::Clients { fault });
}

/// Log entries of a leader that hold a request.
fn proposals(world: &World) -> usize {
    let leader = leader(world).unwrap();
    let log = world.node(leader).unwrap().peer().unwrap().raft().log().all_entries().unwrap();
    log.iter().filter(|entry| !entry.data.is_empty()).count()
}

#[test]
fn a_client_that_loses_messages_asks_again_and_may_never_know() {
    let (mut world, _) = led(1);
    set(&mut world, ClientFault::Loss { permille: 500 });
    let ends: Vec<_> =
        (0..40).map(|n| ask(&mut world, put_op("k", &n.to_string()), None)).collect();
    assert!(ends.contains(&Outcome::Done(Reply::Written)) && ends.contains(&Outcome::Unknown));
    let lost = |w: &What| matches!(w, What::AttemptLost { .. });
    assert!(count(&world, lost) > 0);
    assert!(count(&world, |w| matches!(w, What::AnswerLost { .. })) > 0);
    set(&mut world, ClientFault::Loss { permille: 1_000 });
    let end = ask(&mut world, put_op("k", "never"), None);
    assert!(matches!(end, Outcome::Refused(_)), "no peer ever heard of it: {end:?}");
}

#[test]
fn a_doubled_request_reaches_its_peer_twice() {
    let (mut world, _) = led(2);
    put(&mut world, "k", "v");
    let before = proposals(&world);
    set(&mut world, ClientFault::Duplicate { permille: 1_000 });
    put(&mut world, "k", "w");
    run_for(&mut world, SECOND);
    assert_eq!(proposals(&world), before + 2);
    let text = "asks n";
    assert!(told(&world, text) && told(&world, "a second time with the same request"));
}

#[test]
fn a_late_duplicate_arrives_after_the_client_is_done_with_later_requests() {
    let (mut world, _) = led(3);
    let delay = Span { min_us: 2 * SECOND, max_us: 2 * SECOND };
    set(&mut world, ClientFault::Replay { permille: 1_000, delay });
    put(&mut world, "k", "v");
    set(&mut world, ClientFault::Replay { permille: 0, delay });
    put(&mut world, "k", "w");
    let before = proposals(&world);
    run_for(&mut world, 3 * SECOND);
    assert_eq!(proposals(&world), before + 1, "long after it was answered");
}

#[test]
fn in_a_retry_storm_everybody_asks_again_at_once() {
    let (mut world, leader) = led(4);
    put(&mut world, "k", "v");
    let before = proposals(&world);
    for client in 0..5 {
        let op = put_op(&format!("k{client}"), "v");
        apply(&mut world, Command::Request { client, op, to: Some(leader) });
    }
    set(&mut world, ClientFault::Storm { copies: 10 });
    assert_eq!(count(&world, |w| matches!(w, What::AttemptCopied { .. })), 50);
    run_for(&mut world, 3 * SECOND);
    assert_eq!(proposals(&world), before + 55);
    let ended = world.requests().all(|request| request.outcome.is_some());
    assert!(ended, "each client hears one end");
}

#[test]
fn each_client_finds_the_leader_by_itself() {
    let (mut world, leader) = led(5);
    let ask = |world: &mut World, client| {
        let op = Op::Get { key: "k".into() };
        apply(world, Command::Request { client, op, to: None });
        let id = world.last_request();
        run_while(world, 5 * SECOND, |world| world.request(id).unwrap().outcome.is_none());
        let request = world.request(id).unwrap();
        (request.client, request.attempts, request.target)
    };
    let first = ask(&mut world, 7);
    assert_eq!(first.0, 7);
    assert_eq!(ask(&mut world, 7), (7, 1, leader), "it remembers");
    assert_eq!(ask(&mut world, 8), (8, first.1, leader), "another one has to find out, too");
}

#[test]
fn healing_all_lets_clients_be_heard_once_again() {
    let (mut world, _) = led(6);
    set(&mut world, ClientFault::Loss { permille: 1_000 });
    set(&mut world, ClientFault::Duplicate { permille: 1_000 });
    apply(&mut world, Command::HealAll);
    put(&mut world, "k", "v");
    assert_eq!(count(&world, |w| matches!(w, What::AttemptCopied { .. })), 0);
}

/// A store remembers so many sessions. Whoever was forgotten is told so, takes nothing for done that
/// may not be, and goes on in a new session.
#[test]
fn a_client_whose_session_was_forgotten_opens_another() {
    let mut scenario = Scenario::new(7);
    scenario.settings.sessions = true;
    let mut world = World::new(&scenario).unwrap();
    elect(&mut world);
    let ask = |world: &mut World, client: u64, value: &str| {
        let op = put_op(&format!("k{client}"), value);
        apply(world, Command::Request { client, op: op.clone(), to: None });
        // It may have asked for a session after that.
        world.requests().rev().find(|request| request.op == op).unwrap().id
    };
    let first = ask(&mut world, 0, "first");
    run_for(&mut world, SECOND);
    assert_eq!(outcome(&world, first), Some(Outcome::Done(Reply::Written)));
    for _ in 0..raft_kv::SESSIONS_MAX {
        apply(&mut world, Command::Request { client: 1, op: Op::OpenSession, to: None });
    }
    run_for(&mut world, 5 * SECOND);
    let second = ask(&mut world, 0, "second");
    run_for(&mut world, SECOND);
    assert!(matches!(outcome(&world, second), Some(Outcome::Refused(_) | Outcome::Unknown)));
    assert_eq!(get(&mut world, "k0").as_deref(), Some("first"), "it was not executed");
    let third = ask(&mut world, 0, "third");
    run_for(&mut world, SECOND);
    assert_eq!(outcome(&world, third), Some(Outcome::Done(Reply::Written)));
    assert_eq!(get(&mut world, "k0").as_deref(), Some("third"));
}
