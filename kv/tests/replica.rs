//! Three replicas driven by hand: what a driver sees of proposals, answers, crashes and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::StateRole;
use raft_core::proto::metapb;
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_kv::{Error, Token, command};
use support::*;

#[test]
fn a_write_is_answered_after_a_majority_has_it_and_all_replicas_apply_it() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.propose(1, 1, put("v")).unwrap();
    assert!(group.answer(1).is_none(), "not before anybody has it");
    group.settle();
    let answer = group.answer(1).unwrap();
    assert_eq!(answer.header.as_ref().unwrap().error, None);
    assert!(answer.responses[0].put.is_some());
    for id in 1..=3 {
        assert_eq!(group.peer(id).kv().get(b"default_k").unwrap(), "v");
    }
}

#[test]
fn the_first_term_is_6_and_the_first_entry_is_index_6() {
    let mut group = Group::new(3);
    group.campaign(2);
    let raft = group.peer(2).raft();
    assert_eq!((raft.term(), raft.log().last_index()), (6, 6));
}

#[test]
fn a_follower_refuses_and_names_the_leader() {
    let mut group = Group::new(3);
    let refused = group.propose(3, 1, put("v"));
    assert_eq!(refused, Err(Error::NotLeader { region_id: 1, leader: None }));
    group.campaign(1);
    let refused = group.propose(3, 1, put("v"));
    assert_eq!(refused, Err(Error::NotLeader { region_id: 1, leader: Some(id(1)) }));
    assert_eq!(group.answers, []);
}

#[test]
fn checks_run_in_tinykvs_order() {
    let mut group = Group::new(3);
    group.campaign(1);
    let region = group.peer(1).region().clone();
    let mut request = command::command(&region, id(2), put("v"));
    let refuse = |group: &mut Group, request: &_| {
        let error = group.peer_mut(1).propose(request, Token(1)).unwrap_err();
        format!("{error:?}")
    };
    assert!(refuse(&mut group, &request).starts_with("StoreNotMatch"));
    request.header.as_mut().unwrap().peer = Some(metapb::Peer { id: 9, store_id: 1, role: 0 });
    assert!(refuse(&mut group, &request).starts_with("PeerNotMatch"));
    request.header.as_mut().unwrap().peer = Some(id(1));
    request.header.as_mut().unwrap().term = 4;
    assert!(refuse(&mut group, &request).starts_with("StaleCommand"));
    request.header.as_mut().unwrap().term = 5;
    request.header.as_mut().unwrap().region_epoch.as_mut().unwrap().version = 2;
    assert!(refuse(&mut group, &request).starts_with("EpochNotMatch"));
    request.header.as_mut().unwrap().region_epoch = None;
    assert!(refuse(&mut group, &request).starts_with("Invalid"));
    request.header = None;
    assert!(refuse(&mut group, &request).starts_with("Invalid"));
}

#[test]
fn a_minority_leader_never_answers_and_its_proposal_turns_out_stale() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.cut_off = vec![1];
    group.propose(1, 1, put("lost")).unwrap();
    group.propose(1, 2, vec![command::get("", "k")]).unwrap();
    group.settle();
    group.campaign(2);
    group.propose(2, 3, put("kept")).unwrap();
    group.settle();
    assert!(group.answer(1).is_none() && group.answer(2).is_none());

    group.cut_off.clear();
    for _ in 0..2 {
        group.store(2).tick().unwrap();
    }
    group.settle();
    for token in [1, 2] {
        let header = group.answer(token).unwrap().header.clone().unwrap();
        assert!(header.error.unwrap().stale_command.is_some());
    }
    assert_eq!(group.get(2, "k").as_deref(), Some("kept"));
    assert_eq!(group.peer(1).kv(), group.peer(2).kv());
}

#[test]
fn reads_and_writes_of_one_command_run_in_order_and_all_or_none() {
    let mut group = Group::new(3);
    group.campaign(1);
    let batch = vec![
        command::put("", "a", "1"),
        command::get("", "a"),
        command::delete("", "a"),
        command::get("", "a"),
        command::snap(),
    ];
    group.propose(1, 1, batch).unwrap();
    group.settle();
    let responses = &group.answer(1).unwrap().responses;
    assert_eq!(responses.len(), 5);
    assert_eq!(&responses[1].get.as_ref().unwrap().value[..], b"1");
    assert!(responses[3].get.as_ref().unwrap().not_found);
    assert_eq!(responses[4].snap.as_ref().unwrap().region.as_ref().unwrap().id, 1);

    let half_wrong = vec![command::put("", "b", "1"), command::put("nope", "b", "1")];
    assert!(matches!(group.propose(1, 2, half_wrong), Err(Error::UnknownCf(_))));
    assert_eq!(group.get(1, "b"), None);
}

#[test]
fn a_restart_from_disk_keeps_term_vote_log_and_data() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.propose(1, 1, put("v")).unwrap();
    group.settle();
    let before = group.peer(1).raft().hard_state();
    for id in 1..=3 {
        group.start(id).unwrap();
    }
    let peer = group.peer(1);
    assert_eq!(peer.raft().hard_state(), before);
    assert_eq!(peer.raft().role(), StateRole::Follower);
    assert_eq!(peer.raft().log().applied(), before.commit, "nothing is applied twice");
    group.campaign(3);
    assert_eq!(group.get(3, "k").as_deref(), Some("v"));
}

#[test]
fn while_work_is_not_durable_no_more_is_handed_out_but_messages_are_taken() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.propose(1, 1, put("v")).unwrap();
    let work = group.store(1).handle_ready().unwrap().unwrap();
    assert!(work.must_sync && work.answers.is_empty());
    group.propose(1, 2, put("w")).unwrap();
    group.store(1).tick().unwrap();
    assert!(group.store(1).handle_ready().unwrap().is_none());
    group.store(1).persisted(work.number + 7).unwrap();
    assert!(group.store(1).handle_ready().unwrap().is_none(), "another work's number");
    group.store(1).persisted(work.number).unwrap();
    assert!(group.store(1).handle_ready().unwrap().is_some());
}

#[test]
fn a_lone_replica_leads_at_once_and_answers_only_after_its_disk_has_it() {
    let mut group = Group::new(1);
    group.settle();
    group.propose(1, 1, put("v")).unwrap();
    let work = group.store(1).handle_ready().unwrap().unwrap();
    assert_eq!((work.appended.len(), work.answers.len()), (1, 0));
    group.store(1).persisted(work.number).unwrap();
    let work = group.store(1).handle_ready().unwrap().unwrap();
    assert_eq!((work.appended.len(), work.answers.len()), (0, 1));
}

#[test]
fn messages_for_somebody_else_change_nothing() {
    let mut group = Group::new(3);
    let mut message = RaftMessage { region_id: 2, ..RaftMessage::default() };
    assert!(group.store(1).step(message.clone()).is_err());
    message.region_id = 1;
    message.to_peer = Some(id(2));
    assert!(group.store(1).step(message.clone()).is_err());
    message.to_peer = Some(id(1));
    assert!(group.store(1).step(message).is_err(), "no message inside");
    assert!(group.store(1).handle_ready().unwrap().is_none());
}
