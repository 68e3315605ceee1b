//! Whom a request goes to, how it ends, and how long it is remembered.

use raft_kv::Error;

use super::clients::HISTORY_MAX;
use super::{Clients, Next, Outcome};
use crate::scenario::Op;

fn clients() -> Clients {
    let mut clients = Clients::default();
    clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
    clients
}

#[test]
fn attempts_go_to_the_hint_then_round_the_peers() {
    let mut clients = clients();
    assert_eq!(clients.attempt(1, None, 3, 0), Some((1, 1)));
    assert_eq!(clients.attempt(1, Some(3), 3, 0), Some((2, 3)));
    assert_eq!(clients.attempt(1, None, 3, 0), Some((3, 1)));
    clients.believe(1, Some(2));
    let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
    assert_eq!(clients.attempt(id, None, 3, 0), Some((1, 2)));
    assert_eq!(clients.attempt(id, None, 3, 0), Some((2, 3)), "it did not answer: try others");
}

#[test]
fn a_hint_to_a_peer_that_did_not_answer_is_not_followed_before_the_others_were_asked() {
    let mut clients = clients();
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((1, 1)));
    clients.open(1).unwrap().not_answered();
    assert_eq!(clients.attempt(1, None, 3, 0), Some((2, 2)));
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((3, 3)), "peer 2 believes in peer 1");
    clients.open(1).unwrap().not_answered();
    assert_eq!(clients.attempt(1, None, 3, 0), Some((4, 2)));
    clients.open(1).unwrap().not_answered();
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((5, 3)), "all were silent: a new round");
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((6, 1)));
}

#[test]
fn a_peer_that_was_silent_is_asked_again_when_all_others_say_that_it_leads() {
    let mut clients = clients();
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((1, 1)));
    clients.open(1).unwrap().not_answered();
    assert_eq!(clients.attempt(1, None, 3, 0), Some((2, 2)));
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((3, 3)));
    assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((4, 1)), "it is back");
}

#[test]
fn a_refusal_does_not_end_a_request_that_an_earlier_attempt_may_have_done() {
    let put = Op::Put { key: "k".into(), value: "v".into() };
    for (op, retried) in [(put, true), (Op::Get { key: "k".into() }, false)] {
        let mut clients = Clients::default();
        clients.invoke(0, op.clone(), Some(1), 0);
        for refusal in [Error::Invalid("no"), Error::NotLeader { region_id: 1, leader: None }] {
            let refusal = refusal.to_response(6);
            let read = |clients: &Clients| clients.get(1).unwrap().read(&refusal);
            clients.open(1).unwrap().maybe_taken = false;
            assert!(matches!(read(&clients), Next::End(Outcome::Refused(_))));
            clients.open(1).unwrap().taken();
            assert_eq!(read(&clients) == Next::Retry { hint: None }, retried, "{op}: {refusal:?}");
        }
    }
}

#[test]
fn a_pinned_request_never_goes_elsewhere_and_a_refusal_ends_it() {
    let mut clients = Clients::default();
    let id = clients.invoke(0, Op::Get { key: "k".into() }, Some(2), 0);
    assert_eq!(clients.attempt(id, Some(3), 3, 0), Some((1, 2)));
    let refusal = Error::NotLeader { region_id: 1, leader: None }.to_response(6);
    assert!(matches!(clients.get(id).unwrap().read(&refusal), Next::End(Outcome::Refused(_))));
}

#[test]
fn an_unanswered_request_that_was_taken_has_an_unknown_outcome() {
    let mut clients = clients();
    clients.open(1).unwrap().taken();
    clients.open(1).unwrap().give_up(9);
    assert_eq!(clients.get(1).unwrap().outcome, Some(Outcome::Unknown));
    assert!(clients.open(1).is_none(), "an end is final");
}

#[test]
fn memory_is_bounded_and_open_requests_are_kept() {
    let mut clients = clients();
    for _ in 0..2 * HISTORY_MAX {
        let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
        clients.open(id).unwrap().end(Outcome::Unknown, 1);
        clients.ended(id, false);
    }
    // The open one, those that have ended, and the one that has just done so.
    assert_eq!(clients.iter().count(), HISTORY_MAX + 2);
    assert!(clients.get(1).is_some() && clients.get(2).is_none());
}
