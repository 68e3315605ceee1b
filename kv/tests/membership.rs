//! Membership changes and leadership transfers from the client's API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::eraftpb::ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};
use raft_core::proto::metapb::{self, PeerRole};
use raft_core::proto::raft_serverpb::{RaftMessage, StoreIdent};
use raft_kv::{Error, LogGc, Token, command, keys};
use support::*;

fn ident(store_id: u64) -> bytes::Bytes {
    prost::Message::encode_to_vec(&StoreIdent { cluster_id: 1, store_id }).into()
}

fn roles(group: &Group, at: u64) -> Vec<(u64, PeerRole)> {
    group.peer(at).region().peers.iter().map(|peer| (peer.id, peer.role())).collect()
}

fn voters(group: &Group, at: u64) -> Vec<u64> {
    let voters = roles(group, at).into_iter().filter(|(_, role)| *role == PeerRole::Voter);
    voters.map(|(id, _)| id).collect()
}

#[test]
fn a_new_peer_gets_a_snapshot_and_then_the_log() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    group.put(1, "k", "v");
    assert!(group.stores[&4].peer().is_none());
    let answer = group.change(1, AddNode, id(4)).unwrap().unwrap();
    let region = answer.admin_response.unwrap().change_peer.unwrap().region.unwrap();
    assert_eq!(region.peers.len(), 4);
    assert_eq!(region.region_epoch.unwrap().conf_ver, 2);
    group.ticks(12);
    assert_eq!(group.on_disk(4, "k").as_deref(), Some("v"));
    assert_eq!(voters(&group, 4), [1, 2, 3, 4]);
    group.put(1, "k2", "v2");
    assert_eq!(group.on_disk(4, "k2").as_deref(), Some("v2"));
    group.start(4).unwrap();
    group.campaign(4);
    assert_eq!(group.get(4, "k2").as_deref(), Some("v2"));
}

#[test]
fn a_learner_replicates_without_a_vote_and_can_be_promoted() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    group.change(1, AddLearnerNode, id(4)).unwrap().unwrap();
    group.ticks(12);
    group.put(1, "k", "v");
    assert_eq!(group.on_disk(4, "k").as_deref(), Some("v"));
    group.cut_off = vec![2, 3];
    let write = group.command(1, put("lost"));
    assert_eq!(group.ask(1, &write), Ok(None), "a learner does not make a majority");
    group.cut_off.clear();
    group.ticks(4);
    group.start(4).unwrap();
    assert_eq!(roles(&group, 4)[3], (4, PeerRole::Learner), "after a restart, too");
    assert!(group.change(1, AddLearnerNode, id(4)).is_err(), "it is one already");
    group.change(1, AddNode, id(4)).unwrap().unwrap();
    assert_eq!(voters(&group, 1), [1, 2, 3, 4]);
}

#[test]
fn a_removed_peer_is_told_and_leaves_a_tombstone() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.put(1, "k", "v");
    group.change(1, RemoveNode, id(3)).unwrap().unwrap();
    group.ticks(30);
    assert!(group.stores[&3].peer().is_none(), "it is gone");
    assert_eq!(group.on_disk(3, "k"), None);
    assert_eq!((group.disks[&3].raft.len(), group.disks[&3].kv.len()), (0, 1));
    group.put(1, "k2", "v2");
    assert!(group.start(3).is_err(), "a store needs a name");
    group.disks.get_mut(&3).unwrap().kv.put(keys::STORE_IDENT.into(), ident(3));
    group.start(3).unwrap();
    group.ticks(30);
    assert!(group.stores[&3].peer().is_none(), "it does not come back");
}

#[test]
fn a_peer_that_missed_its_removal_is_told_when_it_campaigns() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.cut_off = vec![3];
    group.change(1, RemoveNode, id(3)).unwrap().unwrap();
    group.cut_off.clear();
    group.ticks(60);
    assert!(group.stores[&3].peer().is_none());
    assert_eq!(group.leader(), Some(1), "and it deposed nobody");
}

#[test]
fn a_peer_is_told_of_its_removal_by_stores_whose_peers_it_does_not_know() {
    let mut group = Group::with_spares(3, 2);
    group.campaign(1);
    group.cut_off = vec![3];
    let again = |store_id, id| metapb::Peer { id, store_id, role: 0 };
    // While store 3 is away its peer is removed, and all that it knew are replaced by others.
    group.change(1, AddNode, id(4)).unwrap().unwrap();
    group.ticks(40);
    group.change(1, AddNode, id(5)).unwrap().unwrap();
    group.ticks(40);
    group.change(1, RemoveNode, id(3)).unwrap().unwrap();
    group.change(1, RemoveNode, id(2)).unwrap().unwrap();
    group.ticks(40);
    group.change(1, AddNode, again(2, 22)).unwrap().unwrap();
    group.ticks(40);
    group.campaign(4);
    group.put(4, "k", "v");
    group.change(4, RemoveNode, id(1)).unwrap().unwrap();
    group.ticks(40);
    assert_eq!(voters(&group, 4), [4, 5, 22]);
    assert!(group.stores[&3].peer().is_some());
    group.cut_off.clear();
    group.ticks(60);
    assert!(group.stores[&3].peer().is_none());
}

#[test]
fn a_store_takes_a_new_peer_after_its_old_one_was_removed() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.change(1, RemoveNode, id(3)).unwrap().unwrap();
    group.ticks(30);
    group.put(1, "k", "v");
    let again = metapb::Peer { id: 13, store_id: 3, role: 0 };
    group.change(1, AddNode, again).unwrap().unwrap();
    group.ticks(30);
    assert_eq!(group.peer(3).me().id, 13);
    assert_eq!(group.on_disk(3, "k").as_deref(), Some("v"));
}

#[test]
fn an_old_peer_gives_way_to_the_new_one_of_its_store() {
    let mut group = Group::new(3);
    group.campaign(1);
    group.cut_off = vec![3];
    group.change(1, RemoveNode, id(3)).unwrap().unwrap();
    let again = metapb::Peer { id: 13, store_id: 3, role: 0 };
    group.change(1, AddNode, again).unwrap().unwrap();
    group.cut_off.clear();
    group.ticks(30);
    assert_eq!(group.peer(3).me().id, 13);
}

#[test]
fn a_leader_hands_over_before_it_is_removed() {
    let mut group = Group::new(2);
    group.campaign(1);
    group.put(1, "k", "v");
    let refused = group.change(1, RemoveNode, id(1));
    assert!(matches!(refused, Err(Error::NotLeader { leader: Some(heir), .. }) if heir.id == 2));
    group.settle();
    assert_eq!(group.leader(), Some(2));
    group.change(2, RemoveNode, id(1)).unwrap().unwrap();
    group.ticks(30);
    assert!(group.stores[&1].peer().is_none());
    group.put(2, "k", "w");
    assert!(matches!(group.change(2, RemoveNode, id(2)), Err(Error::Invalid(_))), "the last one");
}

#[test]
fn several_peers_change_at_once_and_the_joint_configuration_ends_by_itself() {
    let mut group = Group::with_spares(3, 2);
    group.campaign(1);
    group.put(1, "k", "v");
    let changes =
        [(AddNode, id(4)), (AddNode, id(5)), (RemoveNode, id(2)), (AddLearnerNode, id(3))];
    group.admin(1, command::change_peers(changes)).unwrap().unwrap();
    group.ticks(30);
    let expected =
        [(1, PeerRole::Voter), (3, PeerRole::Learner), (4, PeerRole::Voter), (5, PeerRole::Voter)];
    for at in [1, 3, 4, 5] {
        assert_eq!(roles(&group, at), expected, "n{at}");
        assert!(group.peer(at).storage().conf_state().voters_outgoing.is_empty());
    }
    assert!(group.stores[&2].peer().is_none());
    assert_eq!(group.on_disk(5, "k").as_deref(), Some("v"));
}

#[test]
fn a_joint_configuration_survives_a_restart_of_all() {
    let mut group = Group::with_spares(3, 2);
    group.campaign(1);
    // The new half does not answer, so the joint configuration can be entered but not left.
    group.cut_off = vec![4, 5];
    let changes = [(AddNode, id(4)), (AddNode, id(5)), (RemoveNode, id(2)), (RemoveNode, id(3))];
    group.admin(1, command::change_peers(changes)).unwrap().unwrap();
    let joint = [
        (1, PeerRole::Voter),
        (2, PeerRole::OutgoingVoter),
        (3, PeerRole::OutgoingVoter),
        (4, PeerRole::IncomingVoter),
        (5, PeerRole::IncomingVoter),
    ];
    assert_eq!(roles(&group, 1), joint);
    for id in 1..=5 {
        group.start(id).unwrap();
    }
    assert_eq!(roles(&group, 1), joint);
    group.cut_off.clear();
    group.ticks(120);
    let leader = group.leader().unwrap();
    assert_eq!(voters(&group, leader), [1, 4, 5]);
}

#[test]
fn leadership_is_transferred_without_a_log_entry() {
    let mut group = Group::new(3);
    group.campaign(1);
    let answer = group.admin(1, command::transfer_leader(id(3))).unwrap().unwrap();
    assert!(answer.admin_response.unwrap().transfer_leader.is_some());
    assert_eq!(group.leader(), Some(3));
    assert!(group.admin(3, command::transfer_leader(id(9))).is_err());
    assert!(matches!(
        group.admin(1, command::transfer_leader(id(1))),
        Err(Error::NotLeader { .. })
    ));
}

#[test]
fn changes_that_do_not_fit_are_refused() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    let on = |id, store_id| metapb::Peer { id, store_id, role: 0 };
    for (change, peer) in [
        (AddNode, id(2)),
        (AddNode, on(7, 2)),
        (AddNode, on(2, 7)),
        (AddNode, on(0, 4)),
        (RemoveNode, id(4)),
    ] {
        let refused = group.change(1, change, peer);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{change:?} {peer:?}: {refused:?}");
    }
    let twice = command::change_peers([(AddNode, id(4)), (AddLearnerNode, id(4))]);
    assert!(group.admin(1, twice).is_err());
    assert!(group.admin(1, command::change_peers([])).is_err());
    assert_eq!(voters(&group, 1), [1, 2, 3]);
}

#[test]
fn a_change_made_for_other_members_is_refused() {
    let mut group = Group::with_spares(3, 2);
    group.campaign(1);
    let peer = group.peer(1);
    let change = command::change_peer(AddNode, id(4));
    let request = command::admin(peer.region(), peer.me(), change);
    group.change(1, AddNode, id(5)).unwrap().unwrap();
    assert!(matches!(group.ask(1, &request), Err(Error::EpochNotMatch(_))));
}

#[test]
fn members_travel_with_the_snapshot() {
    let mut group = Group::with_config(3, 1, |config| {
        config.log_gc = LogGc { tick_interval: 1, count_limit: 5 };
    });
    group.campaign(1);
    group.cut_off = vec![3];
    group.change(1, AddNode, id(4)).unwrap().unwrap();
    group.ticks(8);
    for n in 0..20 {
        group.put(1, &format!("k{n}"), "v");
        group.ticks(1);
    }
    group.cut_off.clear();
    group.ticks(60);
    assert_eq!(voters(&group, 3), [1, 2, 3, 4]);
    assert_eq!(group.peer(3).raft().log().committed(), group.peer(1).raft().log().committed());
}

#[test]
fn a_message_to_an_empty_store_creates_a_peer_only_if_it_is_a_first_one() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    group.change(1, AddNode, id(4)).unwrap().unwrap();
    group.ticks(12);
    let appended = group.sent.iter().rev().find(|message| {
        message.to_peer.unwrap().id == 4
            && message.message.as_ref().is_some_and(|message| !message.entries.is_empty())
    });
    let appended = appended.cloned();
    group.put(1, "k", "v");
    let appended = appended.or_else(|| group.sent.last().cloned()).unwrap();
    let mut fresh = Group::with_spares(3, 1);
    let mut message = appended;
    message.to_peer = Some(id(4));
    assert!(matches!(fresh.store(4).step(message), Err(Error::RegionNotFound(1))));
    assert!(fresh.stores[&4].peer().is_none());
}

#[test]
fn a_new_peer_does_not_believe_a_member_that_has_not_heard_of_it() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    // Store 2 applies nothing more, and everything but first messages to store 4 is lost.
    group.cut_off = vec![2];
    group.change(1, AddNode, id(4)).unwrap().unwrap();
    group.only(|message| message.to_peer.unwrap().id != 4 || message.snapshot_chunk.is_none());
    group.ticks(4);
    assert!(!group.peer(4).storage().is_initialized());
    let word = RaftMessage {
        region_id: 1,
        from_peer: Some(id(2)),
        to_peer: Some(id(4)),
        region_epoch: group.peer(2).region().region_epoch,
        is_tombstone: true,
        ..RaftMessage::default()
    };
    group.store(4).step(word.clone()).unwrap();
    group.settle();
    assert!(group.stores[&4].peer().is_some(), "the word is older than the peer");
    group.cut_off.clear();
    group.only(|_| true);
    group.ticks(40);
    assert!(group.peer(4).storage().is_initialized());
}

/// Found by the simulator: the store forgot whose promises were on its disk, took a late message for
/// an older peer's, and buried the promises with that one. The newer peer came back without them.
#[test]
fn a_new_peer_keeps_its_name_and_its_promises_in_a_crash() {
    let mut group = Group::with_spares(3, 1);
    group.campaign(1);
    group.only(|message| message.snapshot_chunk.is_none());
    let newer = metapb::Peer { id: 14, store_id: 4, role: 0 };
    group.change(1, AddNode, newer).unwrap().unwrap();
    group.ticks(8);
    assert!(!group.peer(4).storage().is_initialized());
    let promised = group.peer(4).storage().hard_state();
    assert!(promised.term > 0);
    group.start(4).unwrap();
    assert_eq!(group.peer(4).me(), newer);
    assert_eq!(group.peer(4).storage().hard_state(), promised);
    let first = group.sent.iter().find(|message| message.to_peer == Some(newer)).cloned();
    let late = RaftMessage { to_peer: Some(id(4)), ..first.unwrap() };
    assert!(matches!(group.store(4).step(late), Err(Error::PeerNotMatch { .. })));
    group.only(|_| true);
    group.ticks(40);
    assert!(group.peer(4).storage().is_initialized());
    assert_eq!(voters(&group, 4), [1, 2, 3, 14]);
}

/// Found by the simulator: a leader that was told to go took requests until its last write was
/// durable, and answered none of them.
#[test]
fn who_was_told_to_go_takes_no_requests() {
    let mut group = Group::new(3);
    group.campaign(1);
    let word = RaftMessage {
        region_id: 1,
        from_peer: Some(id(2)),
        to_peer: Some(id(1)),
        region_epoch: Some(metapb::RegionEpoch { conf_ver: 99, version: 1 }),
        is_tombstone: true,
        ..RaftMessage::default()
    };
    group.store(1).step(word).unwrap();
    let request = group.command(1, put("v"));
    let refused = |group: &mut Group| group.store(1).propose(&request, Token(7)).unwrap_err();
    assert!(matches!(refused(&mut group), Error::RegionNotFound(1)), "before its last write");
    let work = group.store(1).handle_ready().unwrap().unwrap();
    assert!(work.destroyed);
    assert!(matches!(refused(&mut group), Error::RegionNotFound(1)), "while it is under way");
}
