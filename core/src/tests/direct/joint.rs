//! Joint consensus (section 6, thesis 4.3): changes of any size, through a configuration in which
//! the old and the new majority must agree.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    EntryType, Message, SnapshotMetadata,
};
use crate::error::{ConfChangeError, DropReason, Error};
use crate::tests::harness::*;
use crate::{MemStorage, RawNode, Ready, SelfAck};

use ConfChangeTransition::{Auto, Explicit, Implicit};
use ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};

fn change(transition: ConfChangeTransition, changes: &[(ConfChangeType, u64)]) -> ConfChangeV2 {
    let single = |&(kind, node_id): &(ConfChangeType, u64)| {
        let change_type = kind.into();
        ConfChangeSingle { change_type, node_id }
    };
    let changes = changes.iter().map(single).collect();
    ConfChangeV2 { transition: transition.into(), changes, ..ConfChangeV2::default() }
}

fn configuration(raft: &TestRaft) -> String {
    raft.prs.configuration().to_string()
}

/// One turn in which membership changes are applied.
fn applying_turn(node: &mut TestNode) -> Ready {
    let ready = node.ready().unwrap();
    persist(node, &ready);
    for entry in &ready.committed_entries {
        if let Some(change) = crate::conf_change_of(entry).unwrap() {
            node.apply_conf_change(&change).unwrap();
        }
    }
    node.advance(ready.clone()).unwrap();
    ready
}

fn run(node: &mut TestNode) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..100 {
        if !node.has_ready() {
            return messages;
        }
        messages.extend(applying_turn(node).messages);
    }
    panic!("there is always something left to do");
}

/// A lone leader, all done.
fn alone() -> TestNode {
    let mut node = node(1, &[1]);
    node.campaign().unwrap();
    run(&mut node);
    node
}

/// Peer `from` acknowledges everything that peer 1 has.
fn ack_all(node: &mut TestNode, from: u64) {
    let (term, index) = (node.raft().term(), node.raft().log().last_index());
    // Its first answer may set off more appends.
    let _ = run(node);
    node.step(Message { term, index, ..msg(MsgAppendResponse, from, 1) }).unwrap();
    run(node);
}

/// etcd TestRawNodeProposeAndConfChange: which changes go through a joint configuration, and how it
/// is left.
#[test]
fn direct_changes_take_the_way_that_they_ask_for_or_need() {
    let two = [(AddNode, 2), (AddLearnerNode, 3)];
    let rows = [
        // One voter at a time is simple.
        (change(Auto, &[(AddNode, 2)]), "voters=(1 2)"),
        (change(Auto, &[(AddLearnerNode, 2)]), "voters=(1) learners=(2)"),
        // More than one change is joint.
        (change(Auto, &two), "voters=(1 2)&&(1) learners=(3) autoleave"),
        (change(Implicit, &two), "voters=(1 2)&&(1) learners=(3) autoleave"),
        (change(Explicit, &two), "voters=(1 2)&&(1) learners=(3)"),
        // Or whoever asks for it.
        (change(Implicit, &[(AddNode, 2)]), "voters=(1 2)&&(1) autoleave"),
        (change(Explicit, &[(AddNode, 2)]), "voters=(1 2)&&(1)"),
    ];
    for (change, expected) in rows {
        let mut node = alone();
        node.propose_conf_change(change.clone()).unwrap();
        // Up to the change and not beyond.
        for _ in 0..10 {
            if applying_turn(&mut node).committed_entries.iter().any(|e| e.entry_type != 0) {
                break;
            }
        }
        assert_eq!(configuration(node.raft()), expected, "{change:?}");
    }
}

/// etcd TestRawNodeJointAutoLeave and 12136: the leader proposes the way out by itself, when the
/// change is applied.
#[test]
fn direct_joint_configuration_is_left_by_itself() {
    let mut node = alone();
    node.propose_conf_change(change(Implicit, &[(AddNode, 2)])).unwrap();
    run(&mut node);
    assert_eq!(configuration(node.raft()), "voters=(1 2)&&(1) autoleave");
    let leave = node.raft().log().all_entries().unwrap().pop().unwrap();
    assert_eq!((leave.entry_type, leave.data.len()), (EntryType::EntryConfChangeV2.into(), 0));
    ack_all(&mut node, 2);
    assert_eq!(configuration(node.raft()), "voters=(1 2)");
    assert_eq!(node.raft().log().last_index(), 3, "left once");
}

#[test]
fn direct_explicit_joint_configuration_stays_until_it_is_left() {
    let mut node = alone();
    node.propose_conf_change(change(Explicit, &[(AddNode, 2), (AddNode, 3)])).unwrap();
    run(&mut node);
    for from in [2, 3] {
        ack_all(&mut node, from);
    }
    assert_eq!(configuration(node.raft()), "voters=(1 2 3)&&(1)");
    node.propose_conf_change(change(Auto, &[])).unwrap();
    run(&mut node);
    ack_all(&mut node, 2);
    assert_eq!(configuration(node.raft()), "voters=(1 2 3)");
}

/// Both the old and the new majority, for entries.
#[test]
fn direct_entries_commit_in_a_joint_configuration_with_both_majorities() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    let out_with_two = change(Explicit, &[(RemoveNode, 2), (AddNode, 4), (AddNode, 5)]);
    raft.apply_conf_change(&out_with_two).unwrap();
    assert_eq!(configuration(&raft), "voters=(1 3 4 5)&&(1 2 3)");
    raft.step(propose(1, "data")).unwrap();
    sent(&mut raft);
    let mut acked = |from| {
        raft.step(Message { term: 1, index: 2, ..msg(MsgAppendResponse, from, 1) }).unwrap();
        raft.log.committed()
    };
    assert_eq!([4, 5].map(&mut acked), [1, 1], "three of the new, one of the old");
    assert_eq!(acked(2), 2);
}

/// Both majorities, for votes; one half that refuses is enough to lose.
#[test]
fn direct_elections_in_a_joint_configuration_need_both_majorities() {
    let rows: [(&[(u64, bool)], _); 5] = [
        (&[(4, true), (5, true)], Candidate),
        (&[(2, true), (3, true)], Candidate),
        (&[(4, true), (5, true), (2, true)], Leader),
        (&[(2, true), (4, true)], Leader),
        (&[(4, false), (5, false)], Follower),
    ];
    for (answers, expected) in rows {
        let mut storage = MemStorage::new();
        storage.set_conf_state(ConfState {
            voters: vec![1, 4, 5],
            voters_outgoing: vec![1, 2, 3],
            ..ConfState::default()
        });
        let mut raft = on_storage(1, &[], storage);
        raft.step(hup(1)).unwrap();
        let asked: Vec<_> = sent(&mut raft).iter().map(|m| m.to).collect();
        assert_eq!(asked, [2, 3, 4, 5], "each once");
        for &(from, granted) in answers {
            raft.step(vote_answer(from, 1, granted)).unwrap();
        }
        assert_eq!(raft.role, expected, "{answers:?}");
    }
}

/// etcd TestConfChangeV2 in a joint configuration; etcd/raft 354: refusals are errors, not no-ops.
#[test]
fn direct_changes_that_do_not_fit_are_refused_by_name() {
    let mut node = alone();
    let refused = |error| Err(Error::ProposalDropped(DropReason::ConfChange(error)));
    let leave = change(Auto, &[]);
    let nothing = refused(ConfChangeError::NothingToLeave);
    assert_eq!(node.propose_conf_change(leave.clone()), nothing);
    node.propose_conf_change(change(Explicit, &[(AddNode, 2)])).unwrap();
    let pending = refused(ConfChangeError::Pending { index: 2, applied: 1 });
    assert_eq!(node.propose_conf_change(change(Auto, &[(AddNode, 3)])), pending);
    run(&mut node);
    let first = refused(ConfChangeError::LeaveJointFirst);
    assert_eq!(node.propose_conf_change(change(Auto, &[(AddNode, 3)])), first);
    let old_form = conf_change(AddNode, 3);
    assert_eq!(node.propose_conf_change(old_form), first);
    assert_eq!(node.raft().log().last_index(), 2);
    node.propose_conf_change(leave).unwrap();
}

/// etcd `DisableConfChangeValidation`: who serializes changes himself is believed.
#[test]
fn direct_changes_are_not_checked_at_proposal_if_the_application_does_it() {
    let config = crate::Config { validate_conf_changes: false, ..config(1, &[1]) };
    let mut node = RawNode::new(&config, MemStorage::new()).unwrap();
    node.campaign().unwrap();
    run(&mut node);
    for id in [2, 3] {
        node.propose_conf_change(conf_change(AddNode, id)).unwrap();
    }
    let kinds: Vec<_> =
        node.raft().log().all_entries().unwrap().iter().map(|e| e.entry_type).collect();
    assert_eq!(kinds, [0, 1, 1]);
}

/// Learners that were voters keep their vote until the joint configuration is left.
#[test]
fn direct_voter_on_its_way_to_learner_votes_until_the_old_half_is_left() {
    let mut raft = leader(1, &[1, 2, 3]);
    raft.apply_conf_change(&change(Explicit, &[(AddLearnerNode, 2)])).unwrap();
    assert_eq!(configuration(&raft), "voters=(1 3)&&(1 2 3) learners_next=(2)");
    assert_eq!(raft.prs.get(2).map(|p| p.is_learner), Some(false));
    raft.apply_conf_change(&change(Auto, &[])).unwrap();
    assert_eq!(configuration(&raft), "voters=(1 3) learners=(2)");
    assert_eq!(raft.prs.get(2).map(|p| p.is_learner), Some(true));
}

/// A leader on its way out leads until it is out, and then steps down.
#[test]
fn direct_leader_on_its_way_out_leads_until_the_joint_configuration_is_left() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    raft.apply_conf_change(&change(Explicit, &[(RemoveNode, 1)])).unwrap();
    assert_eq!((configuration(&raft), raft.role), ("voters=(2 3)&&(1 2 3)".into(), Leader));
    raft.step(propose(1, "data")).unwrap();
    raft.apply_conf_change(&change(Auto, &[])).unwrap();
    assert_eq!((configuration(&raft), raft.role), ("voters=(2 3)".into(), Follower));
    raft.step(hup(1)).unwrap();
    assert_eq!(raft.role, Follower, "it has no vote");
}

/// etcd TestConfChangeCheckBeforeCampaign, in both forms and both ways of asking.
#[test]
fn direct_no_campaign_between_commit_and_application_of_a_change() {
    for change_entry in
        [Entry::from(conf_change(RemoveNode, 2)), change(Auto, &[(RemoveNode, 2)]).into()]
    {
        let mut net = Network::of(3);
        net.send([hup(1)]);
        net.send([Message { entries: vec![change_entry], ..msg(MsgPropose, 1, 1) }]);
        net.send([beat(1)]);
        assert_eq!(net[2].log.committed(), 2);
        tick(&mut net[2], 3 * ELECTION_TICK);
        assert_eq!((net[2].role, net[2].term), (Follower, 1), "by its timer");
        net.send([transfer(2, 1)]);
        assert_eq!(net[1].role, Leader, "by its leader");
        tick(&mut net[1], ELECTION_TICK);
        apply(&mut net[2]);
        assert!(!net[2].prs.contains(2));
        apply(&mut net[3]);
        net.send([hup(3)]);
        assert_eq!(net[3].role, Leader);
    }
}

/// A peer that comes late finds the joint configuration in its snapshot and goes on from there.
#[test]
fn direct_snapshot_brings_a_joint_configuration() {
    let conf_state = ConfState {
        voters: vec![2, 3],
        learners: vec![5],
        voters_outgoing: vec![1, 2, 4],
        learners_next: vec![4],
        auto_leave: true,
    };
    let metadata = SnapshotMetadata { conf_state: Some(conf_state.clone()), index: 7, term: 1 };
    let snapshot = crate::eraftpb::Snapshot { metadata: Some(metadata), ..Default::default() };
    let mut raft = fresh(3, &[]);
    let message = Message { term: 1, snapshot: Some(snapshot.into()), ..msg(MsgSnapshot, 1, 3) };
    raft.step(message).unwrap();
    let text = "voters=(2 3)&&(1 2 4) learners=(5) learners_next=(4) autoleave";
    assert_eq!(configuration(&raft), text);
    assert_eq!(raft.prs.conf_state(), conf_state);
    raft.apply_conf_change(&change(Auto, &[])).unwrap();
    assert_eq!(configuration(&raft), "voters=(2 3) learners=(4 5)");
}

/// Joint from end to end: five peers replaced by two others, while entries flow.
#[test]
fn direct_cluster_is_replaced_at_once_while_entries_flow() {
    // The two new ones know the cluster as it was, and nobody counts them.
    let config = |id| crate::Config { self_ack: SelfAck::OnPersist, ..config(id, &[1, 2, 3]) };
    let node = |id| RawNode::new(&config(id), MemStorage::new()).unwrap();
    let mut nodes: Vec<TestNode> = (1..=5).map(node).collect();
    nodes[0].campaign().unwrap();
    deliver(&mut nodes);
    let all = [(RemoveNode, 1), (RemoveNode, 2), (RemoveNode, 3), (AddNode, 4), (AddNode, 5)];
    nodes[0].propose("before").unwrap();
    nodes[0].propose_conf_change(change(Auto, &all)).unwrap();
    nodes[0].propose("during").unwrap();
    deliver(&mut nodes);
    assert_eq!(nodes[0].raft().role(), Follower, "it is out");
    nodes[3].campaign().unwrap();
    deliver(&mut nodes);
    assert_eq!(nodes[3].raft().role(), Leader);
    nodes[3].propose("after").unwrap();
    deliver(&mut nodes);
    for node in &nodes[3..] {
        assert_eq!(configuration(node.raft()), "voters=(4 5)");
        let data: Vec<_> = node.store().all_entries().iter().map(|e| e.data.clone()).collect();
        let words: Vec<_> = data.iter().filter(|data| data.is_ascii() && data.len() > 4).collect();
        assert!(words.ends_with(&[&"during".into(), &"after".into()]), "{words:?}");
        assert_eq!(node.raft().log().committed(), nodes[3].raft().log().last_index());
    }
}

fn deliver(nodes: &mut [TestNode]) {
    for _ in 0..50 {
        let messages: Vec<_> = nodes.iter_mut().flat_map(run).collect();
        for message in messages {
            // A peer that is out of the cluster may have nothing to say to it any more.
            let _ = nodes[usize::try_from(message.to - 1).unwrap()].step(message);
        }
    }
}

/// A change was handed out and is not applied yet when a snapshot comes that contains it. The
/// members are the snapshot's from then on: to apply the change to them would be to apply it twice.
#[test]
fn direct_change_that_a_newer_snapshot_contains_is_not_applied_on_top_of_it() {
    let mut node = node(3, &[1, 2, 3]);
    let entry = Entry { term: 1, index: 1, ..change(Explicit, &[(RemoveNode, 2)]).into() };
    let append = Message { term: 1, entries: vec![entry.clone()], ..msg(MsgAppend, 1, 3) };
    node.step(Message { commit: 1, ..append }).unwrap();
    let late = node.ready().unwrap();
    assert_eq!(late.committed_entries, [entry]);
    // By now the others have left the joint configuration.
    let snapshot = Some(snapshot(1, 9, &[1, 3]).into());
    node.step(Message { term: 1, snapshot, ..msg(MsgSnapshot, 1, 3) }).unwrap();
    persist(&mut node, &late);
    let refused = node.apply_conf_change(&change(Explicit, &[(RemoveNode, 2)]));
    assert_eq!(refused, Err(Error::ConfChange(ConfChangeError::Superseded(1))));
    node.advance(late).unwrap();
    run(&mut node);
    assert_eq!(configuration(node.raft()), "voters=(1 3)");
    assert_eq!(node.raft().log().applied(), 9);
}
