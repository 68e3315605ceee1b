//! Outcomes as data: whatever a peer ignores, rejects or drops, it says which rule decided, and
//! with which facts.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{ConfChangeType, Message};
use crate::error::ConfChangeError;
use crate::rules::VoteVerdict;
use crate::tests::harness::*;
use crate::{
    Ballot, EntryId, Ignored, MemStorage, NONE, Outcome, RawNode, Rejected, SnapshotStatus,
};

fn ignored(reason: Ignored) -> crate::error::Result<Outcome> {
    Ok(Outcome::Ignored(reason))
}

fn rejected(reason: Rejected) -> crate::error::Result<Outcome> {
    Ok(Outcome::Rejected(reason))
}

/// A follower of 2 in term 2, with entries of terms 1 and 2 of which the first is committed.
fn follower() -> TestRaft {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
    raft.become_follower(2, 2);
    raft.log.commit_to(1);
    raft
}

/// A leader of three in term 1 with its first entry committed.
fn leading() -> TestRaft {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    raft
}

#[test]
fn direct_older_terms_are_ignored_with_both_terms() {
    for kind in [MsgAppend, MsgHeartbeat, MsgSnapshot, MsgRequestVote, MsgTimeoutNow] {
        let mut raft = follower();
        let reason = Ignored::LowerTerm { kind, from: 3, theirs: 1, own: 2 };
        assert_eq!(raft.step(Message { term: 1, ..msg(kind, 3, 1) }), ignored(reason));
        assert_eq!(sent(&mut raft), []);
    }
}

/// With pre-vote or check-quorum the sender is told, or it could block this peer for ever.
#[test]
fn direct_older_leaders_and_pre_candidates_are_told_where_that_matters() {
    for kind in [MsgAppend, MsgHeartbeat, MsgRequestPreVote] {
        let mut raft = peer_with(1, &[1, 2, 3], |config| config.pre_vote = true);
        raft.become_follower(2, NONE);
        let reason = Rejected::LowerTerm { kind, from: 3, theirs: 1, own: 2 };
        assert_eq!(raft.step(Message { term: 1, ..msg(kind, 3, 1) }), rejected(reason));
        let answers = sent(&mut raft);
        assert_eq!((answers.len(), answers[0].to, answers[0].term), (1, 3, 2));
    }
}

#[test]
fn direct_refused_votes_say_which_rule_decided() {
    let vote = |from, log_term, index| Message {
        term: 3,
        log_term,
        index,
        ..msg(MsgRequestVote, from, 1)
    };
    let refused =
        |candidate, verdict| rejected(Rejected::Vote { ballot: Ballot::Vote, candidate, verdict });
    let mut raft = follower();
    let behind = VoteVerdict::LogBehind { theirs: EntryId::new(1, 9), own: EntryId::new(2, 2) };
    assert_eq!(raft.step(vote(3, 1, 9)), refused(3, behind));
    assert_eq!(raft.step(vote(2, 2, 2)), Ok(Outcome::Handled));
    assert_eq!(raft.step(vote(3, 2, 2)), refused(3, VoteVerdict::AlreadyVoted(2)));
    raft.vote = NONE;
    raft.leader = 2;
    assert_eq!(raft.step(vote(3, 2, 2)), refused(3, VoteVerdict::HasLeader(2)));
}

#[test]
fn direct_refused_appends_say_what_stands_in_the_way() {
    let append = |index, log_term| Message { term: 2, log_term, index, ..msg(MsgAppend, 2, 1) };
    let mut raft = follower();
    let reason = |index, term, own_term| {
        rejected(Rejected::Append { previous: EntryId::new(term, index), own_term })
    };
    assert_eq!(raft.step(append(2, 1)), reason(2, 1, Some(2)));
    assert_eq!(raft.step(append(7, 2)), reason(7, 2, None));
    let previous = EntryId::new(0, 0);
    assert_eq!(raft.step(append(0, 0)), ignored(Ignored::StaleAppend { previous, committed: 1 }));
}

#[test]
fn direct_answers_that_are_no_news_are_ignored_with_what_is_known() {
    let mut raft = leading();
    let answer = |index, reject| Message { term: 1, index, reject, ..msg(MsgAppendResponse, 2, 1) };
    let stale = Ignored::StaleAcknowledgement { index: 0, matched: 1 };
    assert_eq!(raft.step(answer(0, false)), ignored(stale));
    let stale = Ignored::StaleRejection { rejected: 1, matched: 1, next: 2 };
    assert_eq!(raft.step(answer(1, true)), ignored(stale));
    let unknown =
        Message { context: 7u64.to_le_bytes().to_vec().into(), ..msg(MsgHeartbeatResponse, 2, 1) };
    let stale = Ignored::UnknownRead { position: 7, sent: 0 };
    assert_eq!(raft.step(Message { term: 1, ..unknown }), ignored(stale));
}

#[test]
fn direct_messages_for_another_role_are_ignored_by_name() {
    let rows = [
        (follower(), MsgBeat),
        (follower(), MsgCheckQuorum),
        (follower(), MsgAppendResponse),
        (follower(), MsgHeartbeatResponse),
        (follower(), MsgRequestVoteResponse),
        (follower(), MsgRequestPreVoteResponse),
        (leading(), MsgAppend),
        (leading(), MsgHeartbeat),
        (leading(), MsgSnapshot),
        (leading(), MsgTimeoutNow),
        (leading(), MsgRequestVoteResponse),
        (leading(), MsgReadIndexResp),
    ];
    for (mut raft, kind) in rows {
        let (role, term) = (raft.role, raft.term);
        let message = Message { term, ..msg(kind, 2, 1) };
        assert_eq!(raft.step(message), ignored(Ignored::NotForRole { kind, role }));
        assert_eq!((raft.role, raft.term, sent(&mut raft).len()), (role, term, 0), "{kind:?}");
    }
}

#[test]
fn direct_campaigns_that_may_not_be_say_why() {
    assert_eq!(leading().step(hup(1)), ignored(Ignored::AlreadyLeader));
    let mut stranger = fresh(9, &[1, 2]);
    assert_eq!(stranger.step(hup(9)), ignored(Ignored::NotPromotable));
    let mut raft = follower();
    let snapshot = Some(snapshot(2, 9, &[1, 2, 3]).into());
    raft.step(Message { term: 2, snapshot, ..msg(MsgSnapshot, 2, 1) }).unwrap();
    assert_eq!(raft.step(hup(1)), ignored(Ignored::NotPromotable), "the snapshot is not on disk");
    let mut raft = fresh(1, &[1, 2, 3]);
    let change = crate::eraftpb::Entry {
        term: 1,
        index: 1,
        ..conf_change(crate::eraftpb::ConfChangeType::AddNode, 4).into()
    };
    let entries = vec![change];
    raft.step(Message { term: 1, entries, commit: 1, ..msg(MsgAppend, 2, 1) }).unwrap();
    let unapplied = Ignored::UnappliedConfChange { applied: 0, committed: 1 };
    assert_eq!(raft.step(hup(1)), ignored(unapplied));
}

#[test]
fn direct_transfers_that_go_nowhere_say_why() {
    let mut raft = on_storage(1, &[], members_of(&[1, 2], &[3]));
    assert_eq!(raft.step(transfer(2, 1)), ignored(Ignored::NoLeader(MsgTransferLeader)));
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    assert_eq!(raft.step(transfer(9, 1)), ignored(Ignored::NotMember(9)));
    assert_eq!(raft.step(transfer(3, 1)), ignored(Ignored::TransferToLearner(3)));
    assert_eq!(raft.step(transfer(1, 1)), ignored(Ignored::TransferToSelf));
    assert_eq!(raft.step(transfer(2, 1)), Ok(Outcome::Handled));
    assert_eq!(raft.step(transfer(2, 1)), ignored(Ignored::TransferInProgress(2)));
}

#[test]
fn direct_snapshots_that_are_not_taken_say_why() {
    let install = |term, index, voters: &[u64]| {
        let snapshot = Some(snapshot(term, index, voters).into());
        Message { term: 2, snapshot, ..msg(MsgSnapshot, 2, 1) }
    };
    let mut raft = follower();
    let stale = Ignored::StaleSnapshot { index: 1, committed: 1 };
    assert_eq!(raft.step(install(1, 1, &[1, 2, 3])), ignored(stale));
    let others = Ignored::SnapshotOfOthers(EntryId::new(2, 9));
    assert_eq!(raft.step(install(2, 9, &[2, 3])), ignored(others));
    let known = Ignored::SnapshotInLog(EntryId::new(2, 2));
    assert_eq!(raft.step(install(2, 2, &[1, 2, 3])), ignored(known));
    assert_eq!(raft.log.committed(), 2, "but it is committed now");
    assert_eq!(raft.step(install(2, 9, &[1, 2, 3])), Ok(Outcome::Handled));
}

#[test]
fn direct_last_term_has_no_next_one() {
    let mut storage = MemStorage::new();
    let term = EntryId::LIMIT;
    storage.set_hard_state(crate::eraftpb::HardState { term, ..Default::default() });
    let mut raft = on_storage(1, &[1], storage);
    assert_eq!(raft.step(hup(1)), ignored(Ignored::NoTermLeft(term)));
    assert_eq!(raft.role, Follower);
}

#[test]
fn direct_votes_that_do_not_count_say_why() {
    let mut raft = on_storage(1, &[], members_of(&[1, 2, 3], &[4]));
    raft.step(hup(1)).unwrap();
    let term = raft.term;
    assert_eq!(raft.step(vote_answer(2, term, false)), Ok(Outcome::Handled));
    let repeated = Ignored::RepeatedVote { ballot: Ballot::Vote, from: 2, granted: false };
    assert_eq!(raft.step(vote_answer(2, term, true)), ignored(repeated));
    assert_eq!(raft.step(vote_answer(4, term, true)), ignored(Ignored::NotVoter(4)));
    assert_eq!(raft.step(vote_answer(9, term, true)), ignored(Ignored::NotVoter(9)));
    assert_eq!(raft.role, Candidate);
}

#[test]
fn direct_refused_membership_change_of_another_peer_carries_its_reason() {
    let mut raft = leading();
    let add = |id| {
        let entries = vec![conf_change(ConfChangeType::AddNode, id).into()];
        Message { entries, ..msg(MsgPropose, 2, 1) }
    };
    assert_eq!(raft.step(add(4)), Ok(Outcome::Handled));
    let (index, applied) = (raft.log.last_index(), raft.log.applied());
    let reason = ConfChangeError::Pending { index, applied };
    assert_eq!(raft.step(add(5)), ignored(Ignored::ConfChange(reason)));
    assert_eq!(raft.log.last_index(), index + 1, "an empty entry takes its place");
}

#[test]
fn direct_echoes_of_no_read_say_what_they_are() {
    let mut raft = leading();
    let echo = |context: &'static [u8]| Message {
        term: 1,
        context: context.into(),
        ..msg(MsgHeartbeatResponse, 2, 1)
    };
    assert_eq!(raft.step(echo(b"")), Ok(Outcome::Handled));
    assert_eq!(raft.step(echo(b"abc")), ignored(Ignored::UnknownContext(3)));
}

#[test]
fn direct_reports_of_the_transport_say_what_became_of_them() {
    let report = |node: &mut TestNode, id| node.report_snapshot(id, SnapshotStatus::Failure);
    let mut node = node(1, &[1, 2, 3]);
    let of = |kind| Outcome::Ignored(Ignored::NotForRole { kind, role: Follower });
    assert_eq!(report(&mut node, 2), of(MsgSnapStatus));
    assert_eq!(node.report_unreachable(2), of(MsgUnreachable));
    node.campaign().unwrap();
    settle(&mut node);
    node.step(vote_answer(2, 1, true)).unwrap();
    let pending = Outcome::Ignored(Ignored::NoSnapshotPending(2));
    assert_eq!(report(&mut node, 2), pending);
    assert_eq!(node.report_unreachable(2), Outcome::Handled);
    for stranger in [1, 9] {
        assert_eq!(report(&mut node, stranger), Outcome::Ignored(Ignored::NotMember(stranger)));
        let outcome = node.report_unreachable(stranger);
        assert_eq!(outcome, Outcome::Ignored(Ignored::NotMember(stranger)));
    }
    let nobody = Outcome::Ignored(Ignored::NoLeaderToForget(Leader));
    assert_eq!(node.forget_leader(), nobody);
}

#[test]
fn direct_append_to_a_peer_that_waits_for_a_snapshot_is_answered_with_its_request() {
    let mut node = RawNode::new(&config(1, &[1, 2, 3]), terms(&[1, 1])).unwrap();
    node.step(Message { term: 1, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    settle(&mut node);
    node.request_snapshot().unwrap();
    settle(&mut node);
    let entries = vec![entry(1, 3)];
    let append = Message { term: 1, log_term: 1, index: 2, entries, ..msg(MsgAppend, 2, 1) };
    assert_eq!(node.step(append), ignored(Ignored::AwaitingSnapshot { requested: 2 }));
    assert_eq!(node.raft().log().last_index(), 2);
    let answers = settle(&mut node);
    assert_eq!(answers.iter().map(|m| m.request_snapshot).collect::<Vec<_>>(), [2]);
}
