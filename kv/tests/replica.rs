//! Three replicas driven by hand: what a driver sees of proposals, answers, crashes and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, VecDeque};

use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::{RaftCmdResponse, Request};
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_core::{Rules, StateRole};
use raft_kv::{Answer, Engines, Error, Peer, PeerConfig, Token, bootstrap, command, single_region};

fn id(store: u64) -> metapb::Peer {
    metapb::Peer { id: store, store_id: store }
}

/// Replicas with their disks, and a network that loses what goes to or comes from the cut-off ones.
struct Group {
    peers: BTreeMap<u64, Peer>,
    disks: BTreeMap<u64, Engines>,
    cut_off: Vec<u64>,
    answers: Vec<Answer>,
}

impl Group {
    fn new(count: u64) -> Self {
        let region = single_region(1, 1..=count);
        let mut disk = Engines::default();
        disk.write(&bootstrap(&disk, &region).unwrap());
        let disks: BTreeMap<u64, Engines> = (1..=count).map(|id| (id, disk.clone())).collect();
        let peers = disks.iter().map(|(&id, disk)| (id, open(id, disk).unwrap())).collect();
        Self { peers, disks, cut_off: Vec::new(), answers: Vec::new() }
    }

    fn peer(&mut self, id: u64) -> &mut Peer {
        self.peers.get_mut(&id).unwrap()
    }

    /// Persists, sends, answers and delivers until nothing moves.
    fn settle(&mut self) {
        let mut queue = VecDeque::new();
        loop {
            for id in self.peers.keys().copied().collect::<Vec<_>>() {
                while let Some(messages) = self.work(id) {
                    queue.extend(messages);
                }
            }
            let Some(message): Option<RaftMessage> = queue.pop_front() else {
                break;
            };
            let (from, to) = (message.from_peer.unwrap().id, message.to_peer.unwrap().id);
            if !self.cut_off.contains(&from) && !self.cut_off.contains(&to) {
                self.peer(to).step(message).unwrap();
            }
        }
    }

    fn work(&mut self, id: u64) -> Option<Vec<RaftMessage>> {
        let work = self.peer(id).handle_ready().unwrap()?;
        self.disks.get_mut(&id).unwrap().write(&work.batches);
        assert_eq!(self.disks[&id], *self.peers[&id].engines(), "batches tell the whole story");
        self.answers.extend(work.answers);
        self.peer(id).persisted(work.number).unwrap();
        Some(work.messages)
    }

    fn campaign(&mut self, id: u64) {
        self.peer(id).campaign().unwrap();
        self.settle();
        assert_eq!(self.peers[&id].raft().role(), StateRole::Leader);
    }

    fn propose(&mut self, to: u64, token: u64, requests: Vec<Request>) -> Result<(), Error> {
        let peer = self.peer(to);
        let request = command::command(&peer.region().clone(), peer.me(), requests);
        peer.propose(&request, Token(token)).map(drop)
    }

    fn answer(&self, token: u64) -> Option<&RaftCmdResponse> {
        let mut found = self.answers.iter().filter(|answer| answer.token == Token(token));
        let answer = found.next();
        assert!(found.next().is_none(), "request {token} was answered twice");
        answer.map(|answer| &answer.response)
    }

    fn get(&mut self, from: u64, token: u64, key: &'static str) -> Option<String> {
        self.propose(from, token, vec![command::get("", key)]).unwrap();
        self.settle();
        let got = self.answer(token).unwrap().responses[0].get.clone().unwrap();
        (!got.not_found).then(|| String::from_utf8(got.value.to_vec()).unwrap())
    }
}

fn open(store: u64, disk: &Engines) -> Result<Peer, Error> {
    let config = PeerConfig {
        peer: id(store),
        region_id: 1,
        election_tick: 10,
        heartbeat_tick: 2,
        seed: 7,
        rules: Rules::default(),
    };
    Peer::new(&config, disk.clone())
}

fn put(value: &'static str) -> Vec<Request> {
    vec![command::put("", "k", value)]
}

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
    for peer in group.peers.values() {
        assert_eq!(peer.engines().kv.get(b"default_k").unwrap(), "v");
    }
}

#[test]
fn the_first_term_is_6_and_the_first_entry_is_index_6() {
    let mut group = Group::new(3);
    group.campaign(2);
    let raft = group.peers[&2].raft();
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
    let region = group.peers[&1].region().clone();
    let mut request = command::command(&region, id(2), put("v"));
    let refuse = |group: &mut Group, request: &_| {
        let error = group.peer(1).propose(request, Token(1)).unwrap_err();
        format!("{error:?}")
    };
    assert!(refuse(&mut group, &request).starts_with("StoreNotMatch"));
    request.header.as_mut().unwrap().peer = Some(metapb::Peer { id: 9, store_id: 1 });
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
        group.peer(2).tick().unwrap();
    }
    group.settle();
    for token in [1, 2] {
        let header = group.answer(token).unwrap().header.clone().unwrap();
        assert!(header.error.unwrap().stale_command.is_some());
    }
    assert_eq!(group.get(2, 4, "k").as_deref(), Some("kept"));
    assert_eq!(group.peers[&1].engines().kv, group.peers[&2].engines().kv);
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
    assert_eq!(group.get(1, 3, "b"), None);
}

#[test]
fn a_restart_from_disk_keeps_term_vote_log_and_data() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.propose(1, 1, put("v")).unwrap();
    group.settle();
    let before = group.peers[&1].raft().hard_state();
    group.peers = group.disks.iter().map(|(&id, disk)| (id, open(id, disk).unwrap())).collect();
    let peer = &group.peers[&1];
    assert_eq!(peer.raft().hard_state(), before);
    assert_eq!(peer.raft().role(), StateRole::Follower);
    assert_eq!(peer.raft().log().applied(), before.commit, "nothing is applied twice");
    group.campaign(3);
    assert_eq!(group.get(3, 2, "k").as_deref(), Some("v"));
}

#[test]
fn while_work_is_not_durable_no_more_is_handed_out_but_messages_are_taken() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.propose(1, 1, put("v")).unwrap();
    let work = group.peer(1).handle_ready().unwrap().unwrap();
    assert!(work.must_sync && work.answers.is_empty());
    group.propose(1, 2, put("w")).unwrap();
    group.peer(1).tick().unwrap();
    assert!(group.peer(1).handle_ready().unwrap().is_none());
    group.peer(1).persisted(work.number + 7).unwrap();
    assert!(group.peer(1).handle_ready().unwrap().is_none(), "another work's number");
    group.peer(1).persisted(work.number).unwrap();
    assert!(group.peer(1).handle_ready().unwrap().is_some());
}

#[test]
fn a_lone_replica_leads_at_once_and_answers_only_after_its_disk_has_it() {
    let mut group = Group::new(1);
    group.settle();
    group.propose(1, 1, put("v")).unwrap();
    let work = group.peer(1).handle_ready().unwrap().unwrap();
    assert_eq!((work.appended.len(), work.answers.len()), (1, 0));
    group.peer(1).persisted(work.number).unwrap();
    let work = group.peer(1).handle_ready().unwrap().unwrap();
    assert_eq!((work.appended.len(), work.answers.len()), (0, 1));
}

#[test]
fn messages_for_somebody_else_change_nothing() {
    let mut group = Group::new(3);
    let mut message = RaftMessage { region_id: 2, ..RaftMessage::default() };
    assert!(group.peer(1).step(message.clone()).is_err());
    message.region_id = 1;
    message.to_peer = Some(id(2));
    assert!(group.peer(1).step(message.clone()).is_err());
    message.to_peer = Some(id(1));
    assert!(group.peer(1).step(message).is_err(), "no message inside");
    assert!(group.peer(1).handle_ready().unwrap().is_none());
}
