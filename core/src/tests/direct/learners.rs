//! Learners (thesis 4.2.1): they receive the log and neither vote nor lead.

use crate::eraftpb::{ConfChangeType, ConfState, Message, SnapshotMetadata};
use crate::tests::harness::*;
use crate::{Ignored, Outcome, SnapshotStatus};

/// Voter 1 and learner 2.
fn voter_and_learner() -> Network {
    let peer = |id| on_storage(id, &[], members_of(&[1], &[2]));
    Network::given([peer(1), peer(2)])
}

/// None if `id` is no member at all.
fn is_learner(raft: &TestRaft, id: u64) -> Option<bool> {
    let configuration = raft.prs.configuration();
    configuration.contains(id).then(|| !configuration.voters.contains(id))
}

/// etcd TestLearnerElectionTimeout
#[test]
fn direct_learner_never_times_out() {
    let mut raft = on_storage(2, &[], members_of(&[1], &[2]));
    tick(&mut raft, 5 * ELECTION_TICK);
    assert_eq!((raft.role, raft.term), (Follower, 0));
    assert_eq!(sent(&mut raft), []);
}

/// etcd TestLearnerCampaign: nobody can make a learner campaign.
#[test]
fn direct_learner_does_not_campaign_whoever_asks() {
    let mut net = voter_and_learner();
    net.send([hup(2)]);
    assert_eq!(net[2].role, Follower);
    net.send([hup(1)]);
    assert_eq!((net[1].role, net[1].leader), (Leader, 1));
    let order = Message { term: 1, ..msg(MsgTimeoutNow, 1, 2) };
    assert_eq!(net[2].step(order), Ok(Outcome::Ignored(Ignored::NotPromotable)));
    assert_eq!((net[2].role, net[2].term), (Follower, 1));
}

/// etcd TestLearnerPromotion: once it is a voter it can lead.
#[test]
fn direct_promoted_learner_can_lead() {
    let mut net = voter_and_learner();
    net.send([hup(1)]);
    assert_eq!(net.roles(), [Leader, Follower]);
    net.send([beat(1)]);
    for id in [1, 2] {
        add_node(&mut net[id], 2);
        assert_eq!(is_learner(&net[id], 2), Some(false));
    }
    next_ents(&mut net[2]);
    net.send([hup(2)]);
    assert_eq!(net.roles(), [Follower, Leader]);
}

/// etcd TestLearnerCanVote: it may have been promoted without knowing yet.
#[test]
fn direct_learner_that_is_asked_votes() {
    let mut raft = on_storage(2, &[], members_of(&[1], &[2]));
    let request = Message { term: 2, log_term: 11, index: 11, ..msg(MsgRequestVote, 1, 2) };
    raft.step(request).unwrap();
    let answers = sent(&mut raft);
    assert_eq!(answers, [Message { term: 2, ..msg(MsgRequestVoteResponse, 2, 1) }]);
}

/// It never campaigns, so nobody else would tell the leader. A voter that a change has just added is
/// no better off before its first snapshot, and may be needed for a majority.
#[test]
fn direct_learner_in_a_newer_term_lets_its_leader_know() {
    let mut net = voter_and_learner();
    net.send([hup(1)]);
    // A candidate that is removed before it wins.
    let request = Message { term: 5, log_term: 11, index: 11, ..msg(MsgRequestVote, 3, 2) };
    net[2].step(request).unwrap();
    assert_eq!(sent(&mut net[2]).len(), 1);
    net.send([beat(1)]);
    assert_eq!((net[1].role, net[1].term), (Follower, 5));
    net.send([hup(1)]);
    net.send([propose(1, "data")]);
    assert_eq!(net[2].log.committed(), net[1].log.last_index());
}

/// Its requests for votes go to the voters that it knows, and one of them is the leader no more.
#[test]
fn direct_voter_in_a_newer_term_tells_those_whom_it_would_not_ask() {
    let mut raft = on_storage(3, &[], members_of(&[1, 3], &[]));
    raft.become_follower(9, 0);
    for (kind, from, answers) in [
        (MsgHeartbeat, 1, 0),
        (MsgHeartbeat, 2, 1),
        (MsgAppend, 2, 1),
        (MsgRequestVote, 1, 0),
        (MsgRequestVote, 2, 1),
    ] {
        raft.step(Message { term: 4, ..msg(kind, from, 3) }).unwrap();
        let sent = sent(&mut raft);
        assert_eq!(sent.len(), answers, "{kind:?} of {from}");
        assert!(sent.iter().all(|answer| (answer.to, answer.term) == (from, 9)));
    }
}

/// etcd TestLearnerLogReplication: it gets the log, and its acknowledgement is noted.
#[test]
fn direct_learner_receives_the_log_and_the_commit_index() {
    let mut net = voter_and_learner();
    net.send([hup(1)]);
    net.send([propose(1, "data")]);
    assert_eq!(net[1].log.committed(), 2);
    assert_eq!((net[2].log.committed(), net[2].log.last_index()), (2, 2));
    assert_eq!(net[1].prs.get(2).map(|progress| progress.matched), Some(2));
}

/// A learner's log makes nothing durable in the cluster's sense.
#[test]
fn direct_acknowledgement_of_a_learner_commits_nothing() {
    let mut raft = on_storage(1, &[], members_of(&[1, 2, 3], &[4, 5]));
    lead(&mut raft);
    sent(&mut raft);
    let ack = |from| Message { term: 1, index: 1, ..msg(MsgAppendResponse, from, 1) };
    for from in [4, 5] {
        raft.step(ack(from)).unwrap();
        assert_eq!(raft.log.committed(), 0);
    }
    raft.step(ack(2)).unwrap();
    assert_eq!(raft.log.committed(), 1);
}

/// The vote of one that was a learner when the campaign began counts for nothing.
#[test]
fn direct_vote_of_a_learner_elects_nobody() {
    let mut raft = on_storage(1, &[], members_of(&[1, 2, 3], &[4]));
    raft.step(hup(1)).unwrap();
    let asked: alloc::vec::Vec<_> = sent(&mut raft).iter().map(|m| m.to).collect();
    assert_eq!(asked, [2, 3], "a learner is not even asked");
    raft.step(vote_answer(4, 1, true)).unwrap();
    assert_eq!(raft.role, Candidate);
    raft.step(vote_answer(3, 1, true)).unwrap();
    assert_eq!(raft.role, Leader);
}

/// etcd TestAddLearner, TestRemoveLearner
#[test]
fn direct_learners_are_added_and_removed() {
    let mut raft = leader(1, &[1]);
    let change = |kind, id| conf_change(kind, id).into();
    let state = raft.apply_conf_change(&change(ConfChangeType::AddLearnerNode, 2)).unwrap();
    assert_eq!((state.voters, state.learners), ([1].to_vec(), [2].to_vec()));
    assert_eq!(is_learner(&raft, 2), Some(true));
    let state = raft.apply_conf_change(&change(ConfChangeType::RemoveNode, 2)).unwrap();
    assert_eq!((state.voters, state.learners), ([1].to_vec(), [].to_vec()));
    assert_eq!(is_learner(&raft, 2), None);
}

/// raft-rs test_add_voter_to_learner, in the order here: demoted, it loses its vote and keeps its
/// place in the log.
#[test]
fn direct_demoted_voter_keeps_its_progress_and_loses_its_vote() {
    let mut raft = leader(1, &[1, 2]);
    commit_noop_entry(&mut raft);
    let change = conf_change(ConfChangeType::AddLearnerNode, 2).into();
    let state = raft.apply_conf_change(&change).unwrap();
    assert_eq!((state.voters, state.learners), ([1].to_vec(), [2].to_vec()));
    assert_eq!(raft.prs.get(2).map(|p| (p.matched, p.is_learner)), Some((1, true)));
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(raft.log.committed(), 2, "alone");
}

/// What only the demoted voter held up is committed.
#[test]
fn direct_entries_commit_when_the_voter_that_lagged_is_demoted() {
    let mut raft = leader(1, &[1, 2]);
    commit_noop_entry(&mut raft);
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(raft.log.committed(), 1);
    raft.apply_conf_change(&conf_change(ConfChangeType::AddLearnerNode, 2).into()).unwrap();
    assert_eq!(raft.log.committed(), 2);
}

/// A leader that becomes a learner has nothing left to lead with.
#[test]
fn direct_leader_that_is_demoted_steps_down() {
    let mut raft = leader(1, &[1, 2, 3]);
    raft.apply_conf_change(&conf_change(ConfChangeType::AddLearnerNode, 1).into()).unwrap();
    assert_eq!((raft.role, raft.leader), (Follower, crate::NONE));
    tick(&mut raft, 3 * ELECTION_TICK);
    assert_eq!(raft.role, Follower);
}

fn snapshot_with(voters: &[u64], learners: &[u64]) -> crate::eraftpb::Snapshot {
    let (voters, learners) = (voters.to_vec(), learners.to_vec());
    let conf_state = Some(ConfState { voters, learners, ..ConfState::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: 11, term: 11 });
    crate::eraftpb::Snapshot { metadata, ..Default::default() }
}

fn restored(mut raft: TestRaft, voters: &[u64], learners: &[u64]) -> TestRaft {
    let snapshot = Some(snapshot_with(voters, learners).into());
    raft.step(Message { term: 11, snapshot, ..msg(MsgSnapshot, 1, raft.id) }).unwrap();
    raft
}

/// etcd TestRestoreWithLearner, TestRestoreLearner: a snapshot brings learners, also this peer.
#[test]
fn direct_snapshot_brings_learners() {
    let raft = restored(on_storage(3, &[], members_of(&[1, 2], &[3])), &[1, 2], &[3]);
    assert_eq!(raft.log.last_index(), 11);
    let flags = [1, 2, 3].map(|id| is_learner(&raft, id));
    assert_eq!(flags, [Some(false), Some(false), Some(true)]);
    assert!(!raft.is_promotable());
}

/// etcd TestRestoreVoterToLearner, TestRestoreLearnerPromotion
#[test]
fn direct_snapshot_demotes_and_promotes() {
    let voter = on_storage(3, &[], members_of(&[1, 2, 3], &[]));
    let raft = restored(voter, &[1, 2], &[3]);
    assert_eq!(is_learner(&raft, 3), Some(true));
    let learner = on_storage(3, &[], members_of(&[1, 2], &[3]));
    let mut raft = restored(learner, &[1, 2, 3], &[]);
    assert_eq!(is_learner(&raft, 3), Some(false));
    persist_snapshot(&mut raft);
    assert!(raft.is_promotable());
}

/// etcd TestLearnerReceiveSnapshot
#[test]
fn direct_learner_that_needs_a_snapshot_gets_one() {
    let mut net = voter_and_learner();
    net[1] = restored(on_storage(1, &[], members_of(&[1], &[2])), &[1], &[2]);
    persist_snapshot(&mut net[1]);
    net.send([hup(1)]);
    assert_eq!(net[1].role, Leader);
    net.send([beat(1)]);
    net[1].report_snapshot(2, SnapshotStatus::Finish);
    net.send([beat(1)]);
    assert_eq!(net[2].log.committed(), net[1].log.committed());
    assert_eq!(net[2].log.last_index(), 12);
}
