//! R30, R31 and R33: adding and removing peers.

use alloc::vec;

use crate::eraftpb::{ConfChangeType, Entry, Message};
use crate::tests::harness::*;

/// R30 TestAddNode3A
#[test]
fn r30_added_peer_is_a_member() {
    let mut raft = fresh(1, &[1]);
    add_node(&mut raft, 2);
    assert_eq!(members(&raft), [1, 2]);
}

/// R31 TestRemoveNode3A
#[test]
fn r31_peers_can_be_removed_down_to_the_last() {
    let mut raft = fresh(1, &[1, 2]);
    remove_node(&mut raft, 2);
    assert_eq!(members(&raft), [1]);
    remove_node(&mut raft, 1);
    assert_eq!(members(&raft), [0; 0]);
}

/// R33 TestCommitAfterRemoveNode3A
#[test]
fn r33_removal_of_a_peer_commits_what_waited_for_it() {
    let mut raft = leader(1, &[1, 2]);
    let change: Entry = conf_change(ConfChangeType::RemoveNode, 2).into();
    let proposal = Message { entries: vec![change.clone()], ..msg(MsgPropose, 1, 1) };
    raft.step(proposal).unwrap();
    assert_eq!(next_ents(&mut raft), [], "peer 2 has not answered");
    let change_index = raft.log.last_index();
    raft.step(propose(1, "hello")).unwrap();

    let answer = Message { term: 1, index: change_index, ..msg(MsgAppendResponse, 2, 1) };
    raft.step(answer).unwrap();
    let change = Entry { term: 1, index: change_index, ..change };
    assert_eq!(next_ents(&mut raft), [entry(1, 1), change]);

    remove_node(&mut raft, 2);
    assert_eq!(next_ents(&mut raft), [data_entry(1, 3, "hello")]);
}
