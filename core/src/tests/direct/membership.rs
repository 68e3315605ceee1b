//! Membership changes, one at a time (thesis 4.1).

use alloc::vec;

use crate::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry, EntryType, Message};
use crate::error::{ConfChangeError, DropReason, Error};
use crate::tests::harness::*;
use crate::{Proposal, RawNode, conf_change_of};

fn add(id: u64) -> Entry {
    conf_change(ConfChangeType::AddNode, id).into()
}

fn proposal(entries: &[Entry]) -> Message {
    Message { entries: entries.to_vec(), ..msg(MsgPropose, 2, 1) }
}

fn types(raft: &TestRaft) -> vec::Vec<i32> {
    let entries = raft.log.all_entries().unwrap();
    entries.iter().map(|entry| entry.entry_type).collect()
}

const NORMAL: i32 = EntryType::EntryNormal as i32;
const CHANGE: i32 = EntryType::EntryConfChange as i32;

#[test]
fn direct_membership_change_becomes_an_empty_entry_while_another_is_pending() {
    let mut raft = leader(1, &[1]);
    raft.step(proposal(&[add(2), add(3)])).unwrap();
    raft.step(proposal(&[add(4)])).unwrap();
    assert_eq!(types(&raft), [NORMAL, CHANGE, NORMAL, NORMAL]);
    assert_eq!(raft.log.all_entries().unwrap()[2], entry(1, 3), "no data");
    next_ents(&mut raft);
    raft.step(proposal(&[add(5)])).unwrap();
    assert_eq!(types(&raft)[4], CHANGE, "the first one is applied");
}

/// Locally the proposer can be told, which is better than an empty entry.
#[test]
fn direct_second_membership_change_is_refused_by_name_at_the_leader() {
    let mut node = lone_leader();
    let change = |id| conf_change(ConfChangeType::AddNode, id);
    node.propose_conf_change(change(2)).unwrap();
    let pending = DropReason::ConfChange(ConfChangeError::Pending { index: 2, applied: 1 });
    let refused = Err(Error::ProposalDropped(pending));
    assert_eq!(node.propose_conf_change(change(3)), refused);
    assert_eq!(node.raft().log().last_index(), 2);
    turn(&mut node);
    let (term, index) = (1, 3);
    let appended = Ok(Proposal::Appended { term, index });
    assert_eq!(node.propose_conf_change(change(3)), appended);
}

/// The log of a new leader may hide a change that it has not applied.
#[test]
fn direct_new_leader_changes_members_after_it_applied_its_inherited_log() {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1]));
    raft.term = 1;
    lead(&mut raft);
    raft.step(proposal(&[add(4)])).unwrap();
    assert_eq!(types(&raft)[3], NORMAL);
    let answer = Message { term: 2, index: 4, ..msg(MsgAppendResponse, 2, 1) };
    sent(&mut raft);
    raft.step(answer).unwrap();
    next_ents(&mut raft);
    raft.step(proposal(&[add(4)])).unwrap();
    assert_eq!(types(&raft)[4], CHANGE);
}

/// It might count the wrong majority.
#[test]
fn direct_peer_with_an_unapplied_membership_change_does_not_campaign() {
    let mut raft = fresh(1, &[1, 2, 3]);
    let append = Message {
        term: 1,
        entries: vec![Entry { term: 1, index: 1, ..add(4) }],
        commit: 1,
        ..msg(MsgAppend, 2, 1)
    };
    raft.step(append).unwrap();
    raft.step(hup(1)).unwrap();
    assert_eq!((raft.role, raft.term), (Follower, 1));
    next_ents(&mut raft);
    raft.step(hup(1)).unwrap();
    assert_eq!((raft.role, raft.term), (Candidate, 2));
}

#[test]
fn direct_added_peer_gets_the_whole_log() {
    let mut node = lone_leader();
    node.propose("data").unwrap();
    settle(&mut node);
    node.apply_conf_change(&conf_change(ConfChangeType::AddNode, 2).into()).unwrap();
    let first = settle(&mut node);
    assert_eq!(kinds(&first), [MsgAppend]);
    let mut newcomer = fresh(2, &[1, 2]);
    newcomer.step(first[0].clone()).unwrap();
    for answer in sent(&mut newcomer) {
        node.step(answer).unwrap();
    }
    for message in settle(&mut node) {
        newcomer.step(message).unwrap();
    }
    let log = node.raft().log().all_entries().unwrap();
    assert_eq!(newcomer.log.all_entries().unwrap(), log);
    assert_eq!(newcomer.log.committed(), 2);
}

#[test]
fn direct_adding_a_member_again_forgets_nothing_about_it() {
    let mut raft = leader(1, &[1, 2]);
    commit_noop_entry(&mut raft);
    add_node(&mut raft, 2);
    assert_eq!(raft.prs.get(2).map(|p| (p.matched, p.next)), Some((1, 2)));
    assert_eq!(sent(&mut raft), []);
}

#[test]
fn direct_removed_peer_gets_no_more_messages() {
    let mut raft = leader(1, &[1, 2, 3]);
    sent(&mut raft);
    remove_node(&mut raft, 3);
    raft.step(beat(1)).unwrap();
    raft.step(propose(1, "data")).unwrap();
    assert!(sent(&mut raft).iter().all(|message| message.to == 2));
}

#[test]
fn direct_leader_that_was_removed_steps_down_and_takes_no_more_proposals() {
    let mut raft = leader(1, &[1, 2, 3]);
    remove_node(&mut raft, 1);
    assert_eq!((raft.role, raft.leader), (Follower, crate::NONE));
    let no_leader = Error::ProposalDropped(DropReason::NoLeader);
    assert_eq!(raft.step(propose(1, "data")), Err(no_leader));
    assert_eq!(raft.log.last_index(), 1);
}

#[test]
fn direct_membership_changes_that_cannot_be_applied_are_refused_by_name() {
    let single = |change_type: i32| ConfChangeSingle { change_type, node_id: 2 };
    let last = ConfChangeSingle { change_type: ConfChangeType::RemoveNode.into(), node_id: 1 };
    let rows = [
        (vec![single(77)], 0, ConfChangeError::UnknownType(77)),
        (vec![single(0)], 77, ConfChangeError::UnknownTransition(77)),
        (vec![], 0, ConfChangeError::NotJoint),
        (vec![last], 0, ConfChangeError::NoVoters),
    ];
    for (changes, transition, expected) in rows {
        let mut node = lone_leader();
        let change = ConfChangeV2 { changes, transition, ..ConfChangeV2::default() };
        let refused = Err(Error::ConfChange(expected));
        assert_eq!(node.apply_conf_change(&change).map(drop), refused);
        assert_eq!(members(node.raft()), [1]);
    }
}

/// Whoever proposes something impossible should hear of it before all peers have stored it.
#[test]
fn direct_proposal_of_an_impossible_membership_change_is_refused() {
    let mut node = lone_leader();
    let change = ConfChangeV2 { transition: 77, ..ConfChangeV2::default() };
    let refused = Err(Error::ConfChange(ConfChangeError::UnknownTransition(77)));
    assert_eq!(node.propose_conf_change(change), refused);
    let leave =
        Err(Error::ProposalDropped(DropReason::ConfChange(ConfChangeError::NothingToLeave)));
    assert_eq!(node.propose_conf_change(ConfChangeV2::default()), leave);
    assert_eq!(node.raft().log().last_index(), 1);
}

#[test]
fn direct_change_of_peer_0_changes_nothing() {
    let mut node = lone_leader();
    for kind in [ConfChangeType::AddNode, ConfChangeType::RemoveNode] {
        let members = node.apply_conf_change(&conf_change(kind, 0).into());
        assert_eq!(members.map(|state| state.voters), Ok(vec![1]));
    }
}

#[test]
fn direct_both_forms_of_a_change_say_the_same() {
    let change = conf_change(ConfChangeType::RemoveNode, 7);
    let new_form = ConfChangeV2::from(change.clone());
    let old_entry: Entry = change.into();
    let new_entry: Entry = new_form.clone().into();
    for entry in [&old_entry, &new_entry] {
        assert_eq!(conf_change_of(entry), Ok(Some(new_form.clone())));
    }
    assert_eq!(conf_change_of(&entry(1, 1)), Ok(None));
    let garbage = Entry { data: "\u{7f}".into(), ..old_entry };
    assert!(conf_change_of(&garbage).is_err());
}

#[test]
fn direct_members_come_from_the_storage_unless_the_config_names_them() {
    let storage = crate::MemStorage::with_voters([3, 4]);
    let rows: [(&[u64], [u64; 2]); 2] = [(&[], [3, 4]), (&[1, 2], [1, 2])];
    for (peers, expected) in rows {
        let node = RawNode::new(&config(1, peers), storage.clone()).unwrap();
        assert_eq!(members(node.raft()), expected);
    }
}
