//! TinyKV's `rawnode_test.go`.

use alloc::vec::Vec;

use crate::eraftpb::{ConfChangeType, ConfChangeV2, Entry, HardState};
use crate::tests::harness::*;
use crate::{MemStorage, RawNode, Ready, conf_change_of};

/// N1 TestRawNodeProposeAndConfChange3A
#[test]
fn n1_proposals_and_membership_changes_go_to_the_log_as_they_are() {
    let mut node = node(1, &[1]);
    turn(&mut node);
    let ready = turn(&mut node);
    assert_eq!((ready.hard_state, ready.entries), (None, Vec::new()));

    node.campaign().unwrap();
    let ready = turn(&mut node);
    assert_eq!(ready.soft_state.map(|soft| soft.leader), Some(1));
    node.propose("somedata").unwrap();
    let change = conf_change(ConfChangeType::AddNode, 1);
    node.propose_conf_change(change.clone()).unwrap();
    settle(&mut node);

    let change = Entry { term: 1, index: 3, ..change.into() };
    let stored = node.store().all_entries();
    assert_eq!(stored[1..], [data_entry(1, 2, "somedata"), change]);
}

/// N2 TestRawNodeProposeAddDuplicateNode3A
#[test]
fn n2_adding_a_peer_twice_does_not_block_the_next_change() {
    let mut node = node(1, &[1]);
    turn(&mut node);
    node.campaign().unwrap();
    let ready = turn(&mut node);
    assert!(ready.soft_state.is_some());

    let mut propose_and_apply = |id| {
        let change = conf_change(ConfChangeType::AddNode, id);
        node.propose_conf_change(change).unwrap();
        let ready = node.ready().unwrap();
        persist(&mut node, &ready);
        for entry in &ready.committed_entries {
            if let Some(change) = conf_change_of(entry).unwrap() {
                node.apply_conf_change(&change).unwrap();
            }
        }
        node.advance(ready).unwrap();
    };
    for id in [1, 1, 2] {
        propose_and_apply(id);
    }
    assert_eq!(members(node.raft()), [1, 2]);
    let last_index = node.raft().log().last_index();
    let stored = node.store().all_entries();
    let last_three = &stored[stored.len() - 3..];
    assert_eq!(last_three[2].index, last_index);
    let changes: Vec<_> =
        [&last_three[0], &last_three[2]].map(|entry| conf_change_of(entry).unwrap()).into();
    let added = |id| Some(ConfChangeV2::from(conf_change(ConfChangeType::AddNode, id)));
    assert_eq!(changes, [added(1), added(2)]);
}

/// N3 TestRawNodeStart2AC
#[test]
fn n3_lone_peer_persists_and_commits_an_entry_within_one_ready() {
    let mut node = node(1, &[1]);
    node.campaign().unwrap();
    turn(&mut node);
    node.propose("foo").unwrap();
    let ready = turn(&mut node);
    assert_eq!(ready.entries, [data_entry(1, 2, "foo")]);
    assert_eq!(ready.committed_entries, ready.entries);
    assert!(!node.has_ready());
}

/// N4 TestRawNodeRestart2AC
#[test]
fn n4_restarted_peer_repeats_only_what_is_committed() {
    let mut storage = MemStorage::with_voters([1]);
    storage.set_hard_state(HardState { term: 1, commit: 1, ..HardState::default() });
    let entries = [entry(1, 1), data_entry(1, 2, "foo")];
    storage.append(&entries).unwrap();
    let mut node = RawNode::new(&config(1, &[]), storage).unwrap();
    let ready = turn(&mut node);
    let expected =
        Ready { number: 1, committed_entries: entries[..1].to_vec(), ..Ready::default() };
    assert_eq!(ready, expected);
    assert!(!node.has_ready());
}

/// N5 TestRawNodeRestartFromSnapshot2C
#[test]
fn n5_peer_restarted_from_a_snapshot_repeats_only_what_follows_it() {
    let mut storage = MemStorage::new();
    storage.set_hard_state(HardState { term: 1, commit: 3, ..HardState::default() });
    storage.apply_snapshot(snapshot(1, 2, &[1, 2])).unwrap();
    let entries = [data_entry(1, 3, "foo")];
    storage.append(&entries).unwrap();
    let mut node = RawNode::new(&config(1, &[]), storage).unwrap();
    let ready = turn(&mut node);
    let expected = Ready { number: 1, committed_entries: entries.to_vec(), ..Ready::default() };
    assert_eq!(ready, expected);
    assert!(!node.has_ready());
}
