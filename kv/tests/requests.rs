//! Reads, sessions and refusals, as a driver sees them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::eraftpb::MessageType;
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse};
use raft_kv::{Accepted, Error, ReadPolicy, SESSIONS_MAX, Token, command};
use support::*;

fn last_index(group: &Group, id: u64) -> u64 {
    group.peer(id).raft().log().last_index()
}

#[test]
fn a_read_waits_for_a_quorum_but_writes_no_log_entry() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.put(1, "k", "v");
    let before = last_index(&group, 1);
    assert_eq!(group.propose(1, 1, vec![command::get("", "k")]), Ok(Accepted::Read));
    assert!(group.answer(1).is_none(), "nobody was asked yet");
    group.settle();
    let got = group.answer(1).unwrap().responses[0].get.clone().unwrap();
    assert_eq!(&got.value[..], b"v");
    assert_eq!(last_index(&group, 1), before);
    assert_eq!(group.peer(1).waiting(), 0);
}

#[test]
fn a_read_through_the_log_writes_an_entry() {
    let mut group = Group::new(3);
    group.campaign(1);
    let before = last_index(&group, 1);
    let mut read = group.command(1, vec![command::get("", "k")]);
    read.header.as_mut().unwrap().through_log = true;
    let answer = group.ask(1, &read).unwrap().unwrap();
    assert!(answer.responses[0].get.as_ref().unwrap().not_found);
    assert_eq!(last_index(&group, 1), before + 1);

    let mut group = Group::with_config(3, 0, |config| config.reads = ReadPolicy::Log);
    group.campaign(1);
    let before = last_index(&group, 1);
    assert_eq!(group.get(1, "k"), None);
    assert_eq!(last_index(&group, 1), before + 1, "by policy");
}

#[test]
fn a_lease_serves_reads_at_once_and_only_while_it_lasts() {
    let mut group = Group::with_config(3, 0, |config| {
        (config.reads, config.check_quorum) = (ReadPolicy::Lease, true);
    });
    // After a start nobody knows whom it promised a lease: it is waited for.
    group.ticks(10);
    group.campaign(1);
    group.put(1, "k", "v");
    group.ticks(4);
    group.cut_off = vec![1];
    let read = group.command(1, vec![command::get("", "k")]);
    let answer = group.ask(1, &read).unwrap();
    assert!(answer.is_some(), "a fresh lease needs nobody");
    for _ in 0..12 {
        group.store(1).tick().unwrap();
    }
    group.settle();
    let late = group.ask(1, &read);
    assert!(!matches!(late, Ok(Some(ref answer)) if error(answer).is_none()), "{late:?}");
}

#[test]
fn a_leader_that_lost_its_quorum_answers_no_read() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.put(1, "k", "old");
    group.cut_off = vec![1];
    group.propose(1, 1, vec![command::get("", "k")]).unwrap();
    group.settle();
    group.campaign(2);
    group.put(2, "k", "new");
    assert!(group.answer(1).is_none());
    group.cut_off.clear();
    group.ticks(2);
    let header = group.answer(1).unwrap().header.clone().unwrap();
    assert!(header.error.unwrap().stale_command.is_some(), "it was deposed");
}

#[test]
fn a_read_that_nobody_confirms_is_given_up() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.cut_off = vec![1];
    group.propose(1, 1, vec![command::get("", "k")]).unwrap();
    group.ticks(39);
    assert!(group.answer(1).is_none());
    group.ticks(1);
    assert!(error(group.answer(1).unwrap()).unwrap().stale_command.is_some());
    assert_eq!(group.peer(1).waiting(), 0);
}

#[test]
fn a_follower_serves_a_read_that_asks_for_it_and_sees_every_acknowledged_write() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.put(1, "k", "v");
    let mut read = group.command(3, vec![command::get("", "k")]);
    assert!(matches!(group.ask(3, &read), Err(Error::NotLeader { .. })));
    read.header.as_mut().unwrap().replica_read = true;
    let answer = group.ask(3, &read).unwrap().unwrap();
    assert_eq!(&answer.responses[0].get.as_ref().unwrap().value[..], b"v");

    // The follower must not answer before it has applied what the leader had committed.
    group.only(|message| {
        let kind = message.message.as_deref().map(raft_core::eraftpb::Message::msg_type);
        message.to_peer.unwrap().id != 3 || kind != Some(MessageType::MsgAppend)
    });
    group.put(1, "k", "newer");
    assert_eq!(group.ask(3, &read), Ok(None));
    group.only(|_| true);
    group.ticks(2);
    let answer = &group.answers.last().unwrap().response;
    assert_eq!(&answer.responses[0].get.as_ref().unwrap().value[..], b"newer");
}

#[test]
fn a_write_is_never_served_by_a_follower() {
    let mut group = Group::new(3);
    group.campaign(1);
    let mut write = group.command(3, put("v"));
    write.header.as_mut().unwrap().replica_read = true;
    assert!(matches!(group.ask(3, &write), Err(Error::NotLeader { .. })));
}

fn open_session(group: &mut Group, leader: u64) -> u64 {
    let answer = group.run(leader, vec![command::open_session()]);
    answer.responses[0].open_session.unwrap().client_id
}

/// Adds a digit, so that doing it twice shows.
fn append(group: &Group, to: u64, client: u64, sequence: u64) -> RaftCmdRequest {
    let swap = command::compare_and_swap("", "n", None, Some("1".into()));
    command::in_session(group.command(to, vec![swap]), client, sequence)
}

fn swapped(answer: &RaftCmdResponse) -> bool {
    answer.responses[0].compare_and_swap.as_ref().unwrap().swapped
}

#[test]
fn a_command_of_a_session_takes_effect_once_and_its_retry_gets_the_same_answer() {
    let mut group = Group::new(3);
    group.campaign(1);
    let client = open_session(&mut group, 1);
    let request = append(&group, 1, client, 1);
    assert!(swapped(&group.ask(1, &request).unwrap().unwrap()));
    assert!(swapped(&group.ask(1, &request).unwrap().unwrap()), "the same answer again");
    let without = RaftCmdRequest { session: None, ..request.clone() };
    assert!(!swapped(&group.ask(1, &without).unwrap().unwrap()), "it did take effect");

    // Another leader, after a restart of all, knows it, too.
    for id in 1..=3 {
        group.start(id).unwrap();
    }
    group.campaign(3);
    let retry = append(&group, 3, client, 1);
    let answer = group.ask(3, &retry).unwrap().unwrap();
    assert!(swapped(&answer));
    assert_eq!(answer.header.unwrap().current_term, group.peer(3).raft().term());
}

#[test]
fn two_copies_of_one_command_in_the_log_take_effect_once() {
    let mut group = Group::new(3);
    group.campaign(1);
    let client = open_session(&mut group, 1);
    let request = append(&group, 1, client, 1);
    for token in [1, 2] {
        group.peer_mut(1).propose(&request, Token(token)).unwrap();
    }
    group.settle();
    assert!(swapped(group.answer(1).unwrap()) && swapped(group.answer(2).unwrap()));
}

#[test]
fn an_old_copy_and_an_unknown_session_are_refused_and_change_nothing() {
    let mut group = Group::new(3);
    group.campaign(1);
    let client = open_session(&mut group, 1);
    for sequence in [1, 5] {
        let request = append(&group, 1, client, sequence);
        group.ask(1, &request).unwrap().unwrap();
    }
    let old = append(&group, 1, client, 1);
    let refused = error(&group.ask(1, &old).unwrap().unwrap()).unwrap();
    assert_eq!(refused.stale_sequence.unwrap().last, 5);
    let unknown = append(&group, 1, 999, 1);
    let refused = error(&group.ask(1, &unknown).unwrap().unwrap()).unwrap();
    assert_eq!(refused.session_expired.unwrap().client_id, 999);
}

#[test]
fn a_forgotten_session_is_told_so_and_never_executes_again() {
    let mut group = Group::new(1);
    group.settle();
    let client = open_session(&mut group, 1);
    let request = append(&group, 1, client, 1);
    group.ask(1, &request).unwrap().unwrap();
    for _ in 0..SESSIONS_MAX {
        open_session(&mut group, 1);
    }
    let refused = error(&group.ask(1, &request).unwrap().unwrap()).unwrap();
    assert!(refused.session_expired.is_some());
}

#[test]
fn a_refused_command_does_not_use_up_its_number() {
    let mut group = Group::new(3);
    group.campaign(1);
    let client = open_session(&mut group, 1);
    let mut request = append(&group, 1, client, 1);
    request.header.as_mut().unwrap().region_epoch.as_mut().unwrap().version = 9;
    assert!(matches!(group.ask(1, &request), Err(Error::EpochNotMatch(_))));
    let request = append(&group, 1, client, 1);
    assert!(swapped(&group.ask(1, &request).unwrap().unwrap()));
}

#[test]
fn what_contradicts_itself_is_refused_before_it_is_proposed() {
    let mut group = Group::with_config(3, 0, |config| config.max_command_bytes = 1_000);
    group.campaign(1);
    let before = last_index(&group, 1);
    let base = group.command(1, put("v"));
    let admin = Some(Box::new(command::compact_log(6, 6)));
    let in_session = |client, sequence| command::in_session(base.clone(), client, sequence);
    let opening = vec![command::open_session(), command::get("", "k")];
    let cases = [
        RaftCmdRequest { admin_request: admin.clone(), ..base.clone() },
        RaftCmdRequest { requests: Vec::new(), ..base.clone() },
        RaftCmdRequest {
            admin_request: Some(Box::default()),
            requests: Vec::new(),
            ..base.clone()
        },
        RaftCmdRequest { admin_request: admin, requests: Vec::new(), ..in_session(1, 1) },
        in_session(0, 1),
        in_session(1, 0),
        RaftCmdRequest { requests: opening, ..base.clone() },
        RaftCmdRequest { requests: vec![command::open_session()], ..in_session(1, 1) },
    ];
    for case in cases {
        let refused = group.peer_mut(1).propose(&case, Token(1));
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?} {case:?}");
    }
    let large = vec![command::put("", "k", vec![b'x'; 1_000])];
    assert!(matches!(group.propose(1, 1, large), Err(Error::TooLarge { max: 1_000, .. })));
    assert_eq!(last_index(&group, 1), before);
    assert_eq!(group.peer(1).waiting(), 0);
}

#[test]
fn a_request_for_another_region_is_refused_before_anything_else_is_looked_at() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    let before = last_index(&group, 1);
    let peer = group.peer(1);
    let admin = command::admin(peer.region(), peer.me(), command::compact_log(6, 6));
    let snap = group.command(1, vec![command::snap()]);
    for mut request in [group.command(1, put("v")), snap, admin] {
        let header = request.header.as_mut().unwrap();
        header.region_id = 2;
        for store in 1..=4 {
            let refused = group.store(store).propose(&request, Token(1));
            assert_eq!(refused, Err(Error::RegionNotFound(2)), "store {store}");
        }
    }
    assert_eq!(last_index(&group, 1), before);
    assert_eq!(group.peer(1).waiting(), 0);
    let request = group.command(1, put("v"));
    assert_eq!(group.store(4).propose(&request, Token(1)), Err(Error::RegionNotFound(1)));
}
