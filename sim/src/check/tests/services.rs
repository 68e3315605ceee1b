//! Snapshots, members and clients: I13, I14, I15, I17, I18.

use raft_core::EntryId;

use super::super::fact::Answer;
use super::*;

/// Peer 1 of three leads term 6; all have applied entry 6 and are in state 66.
fn one_applied() -> Trace {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2, 3]);
    for peer in 1..=3 {
        trace.take(peer, &[entry(6, 6)]);
    }
    for peer in 1..=2 {
        trace.commit(peer, 6).apply(peer, entry(6, 6), 66);
    }
    trace.is_legal();
    trace
}

fn snapshot(index: u64, term: u64, state: u64) -> Snapshot {
    Snapshot { id: EntryId::new(term, index), state: Some(state), members: None }
}

#[test]
fn i13_refuses_a_snapshot_of_another_state_than_it_says() {
    let broken = Invariant::SnapshotFidelity;
    one_applied().made(1, snapshot(6, 6, 67)).breaks(broken);
    one_applied().made(3, snapshot(6, 6, 66)).breaks(broken);
    one_applied().made(1, snapshot(6, 5, 66)).breaks(broken);
    let members = Some(1);
    one_applied().made(1, Snapshot { members, ..snapshot(6, 6, 66) }).breaks(broken);
}

#[test]
fn i13_refuses_to_go_back_and_to_install_what_lost_something() {
    let mut trace = one_applied();
    let install = |peer, snapshot| Fact::Installed { peer, snapshot };
    trace.see(&install(1, snapshot(5, 5, 0))).breaks(Invariant::SnapshotFidelity);
    one_applied().see(&install(3, snapshot(6, 6, 65))).breaks(Invariant::SnapshotFidelity);
}

#[test]
fn i13_accepts_an_old_snapshot_a_new_one_and_one_where_the_peer_stands() {
    let mut trace = one_applied();
    trace.made(1, snapshot(5, 5, 0)).made(1, snapshot(6, 6, 66)).is_legal();
    trace.install(3, snapshot(6, 6, 66)).is_legal();
    // It asked for it: its state machine was damaged.
    trace.install(2, snapshot(6, 6, 66)).is_legal();
}

#[test]
fn i13_accepts_that_a_snapshots_index_is_ahead_of_the_log_that_it_replaces() {
    let mut trace = one_applied();
    for peer in 1..=2 {
        trace.take(peer, &[entry(7, 6), entry(8, 6)]);
    }
    trace.commit(1, 8).apply(1, entry(7, 6), 67).apply(1, entry(8, 6), 68);
    trace.install(3, snapshot(8, 6, 68)).take(3, &[entry(9, 6)]).is_legal();
}

#[test]
fn i14_refuses_two_changes_at_once_and_one_before_the_own_term_has_committed() {
    let mut trace = one_applied();
    trace.take(1, &[change(7, 6)]).is_legal();
    let second = Fact::Appended { peer: 1, entry: change(8, 6) };
    trace.see(&second).breaks(Invariant::Membership);
    let mut trace = one_applied();
    trace.elect(2, 7, &[1]).is_legal();
    let early = Fact::Appended { peer: 2, entry: change(7, 7) };
    trace.see(&early).breaks(Invariant::Membership);
}

#[test]
fn i14_accepts_one_change_after_the_other_and_several_at_a_follower() {
    let mut trace = one_applied();
    trace.take(1, &[change(7, 6)]).take(2, &[change(7, 6)]).commit(1, 7);
    trace.take(1, &[change(8, 6)]).is_legal();
    // It has not heard that the first is committed.
    trace.take(3, &[change(7, 6), change(8, 6)]).is_legal();
    // A new leader inherits one, and commits it before it proposes its own.
    trace.elect(3, 7, &[2]).take(3, &[entry(9, 7)]);
    trace.take(2, &[change(8, 6), entry(9, 7)]).commit(3, 9).take(3, &[change(10, 7)]).is_legal();
}

#[test]
fn i14_refuses_a_commit_and_an_election_by_one_half() {
    let joint = || cluster_of(6, &[1, 5, 6], &[1, 2, 3]);
    let mut trace = joint();
    trace.campaign(1, 6).vote(2, 1, 6).vote(3, 1, 6).is_legal();
    trace.lead(1).breaks(Invariant::Membership);
    let mut trace = joint();
    trace.elect(1, 6, &[2, 5]).take(1, &[entry(6, 6)]).is_legal();
    trace.term(6, 6).take(6, &[entry(6, 6)]).commit(1, 6).breaks(Invariant::Membership);
}

#[test]
fn i14_accepts_a_joint_majority_that_shares_peers() {
    let mut trace = cluster_of(4, &[1, 2, 4], &[1, 2, 3]);
    trace.elect(1, 6, &[2]).take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]);
    trace.commit(1, 6).is_legal();
}

#[test]
fn i14_refuses_members_that_differ_and_such_as_were_cut_off_with_their_entry() {
    let mut trace = one_applied();
    trace.members(1, 7, [1, 2], []).is_legal();
    let other = Members { incoming: vec![1, 2, 3, 4], outgoing: vec![] };
    trace.see(&Fact::Configured { peer: 2, index: 7, changed: true, members: &other });
    trace.breaks(Invariant::Membership);
    let mut trace = one_applied();
    // A core that goes over to new members when it appends them.
    trace.append(3, &[change(7, 6)]).members(3, 7, 1..=4, []);
    trace.see(&Fact::Cut { peer: 3, last: 6 }).term(3, 7).breaks(Invariant::Membership);
}

#[test]
fn i14_refuses_a_snapshot_that_brings_old_members() {
    let mut trace = one_applied();
    trace.members(1, 6, [1, 2], []).is_legal();
    for peer in 1..=2 {
        trace.take(peer, &[entry(7, 6)]);
    }
    trace.commit(1, 7).apply(1, entry(7, 6), 67).install(3, snapshot(7, 6, 67)).is_legal();
    let old = Members { incoming: vec![1, 2, 3], outgoing: vec![] };
    trace.see(&Fact::Configured { peer: 3, index: 7, changed: false, members: &old });
    trace.breaks(Invariant::Membership);
}

#[test]
fn i14_accepts_a_late_peer_with_the_members_of_its_time() {
    let mut trace = one_applied();
    trace.members(1, 6, [1, 2], []).members(3, 5, 1..=3, []).is_legal();
}

#[test]
fn i7_does_not_count_a_disk_that_was_destroyed() {
    let mut trace = one_applied();
    for peer in 1..=2 {
        trace.append(peer, &[entry(7, 6)]);
    }
    trace.store(2, &[entry(7, 6)]).see(&Fact::Destroyed { peer: 2 }).store(1, &[entry(7, 6)]);
    trace.send(2, 1, raft_core::eraftpb::MessageType::MsgAppendResponse, 6).is_legal();
    trace.commit(1, 7).breaks(Invariant::CommitDurability);
}

#[test]
fn i14_accepts_members_that_are_rolled_back_with_their_entry() {
    let mut trace = one_applied();
    trace.append(3, &[change(7, 6)]).members(3, 7, 1..=4, []);
    trace.see(&Fact::Cut { peer: 3, last: 6 }).members(3, 5, 1..=3, []).term(3, 7).is_legal();
}

fn read(request: u64, version: u64, read_index: Option<u64>) -> Fact<'static> {
    Fact::Served { peer: 2, request, version, read_index }
}

fn answered(request: u64, answer: Answer) -> Fact<'static> {
    Fact::Answered { request, answer }
}

#[test]
fn i15_refuses_a_read_older_than_what_somebody_knew_when_it_was_asked() {
    let written = Answer::Written(EntryId::new(6, 6));
    for known in [written, Answer::Read(6)] {
        let mut trace = one_applied();
        trace.see(&Fact::Invoked { request: 1 }).see(&answered(1, known));
        trace.see(&Fact::Invoked { request: 2 }).is_legal();
        trace.see(&read(2, 5, None)).breaks(Invariant::ReadFreshness);
    }
}

#[test]
fn i15_refuses_a_read_before_its_index_is_applied_and_one_of_what_is_not_committed() {
    let mut trace = one_applied();
    trace.see(&read(1, 5, Some(6))).breaks(Invariant::ReadFreshness);
    let mut trace = one_applied();
    trace.see(&Fact::Invoked { request: 1 });
    trace.see(&read(1, 7, None)).breaks(Invariant::ReadFreshness);
}

/// Nobody has heard of entry 6, but a leader that a quorum confirms would know of it.
#[test]
fn i15_refuses_a_read_whose_index_was_confirmed_before_it_was_asked() {
    let mut trace = one_applied();
    trace.see(&Fact::Invoked { request: 1 });
    trace.see(&read(1, 5, Some(5))).breaks(Invariant::ReadFreshness);
}

#[test]
fn i15_accepts_an_old_version_for_a_read_that_was_asked_before_the_new_one_was_known() {
    let mut trace = cluster(3);
    trace.see(&Fact::Invoked { request: 1 }).see(&Fact::Invoked { request: 2 });
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]).commit(1, 6);
    trace.see(&answered(1, Answer::Written(EntryId::new(6, 6))));
    trace.see(&read(2, 5, Some(5))).is_legal();
    // Nor does an answer that nobody waits for any more bind later reads.
    trace.see(&Fact::GaveUp { request: 2 }).is_legal();
}

fn command(index: u64, effect: bool, reply: u64) -> Executed {
    Executed { client: 7, sequence: 1, index, effect, reply }
}

#[test]
fn i17_refuses_a_second_effect_and_another_reply() {
    let mut trace = one_applied();
    trace.executed(1, command(6, true, 1)).is_legal();
    trace.executed(1, command(7, true, 1)).breaks(Invariant::ExactlyOnce);
    let mut trace = one_applied();
    trace.executed(1, command(6, true, 1)).is_legal();
    trace.executed(1, command(7, false, 2)).breaks(Invariant::ExactlyOnce);
}

#[test]
fn i17_accepts_the_same_entry_at_every_peer_again_after_a_crash_and_a_late_repetition() {
    let mut trace = one_applied();
    trace.executed(1, command(6, true, 1)).executed(2, command(6, true, 1));
    trace.executed(1, Executed { sequence: 2, ..command(7, true, 5) });
    trace.executed(1, command(8, false, 1)).executed(1, command(6, true, 1)).is_legal();
}

fn asked(store: u64, attempt: u32) -> Fact<'static> {
    Fact::Asked { store, request: 7, attempt }
}

fn replied(store: u64, attempt: u32) -> Fact<'static> {
    Fact::Replied { store, request: 7, attempt }
}

fn refused(store: u64, attempt: u32) -> Fact<'static> {
    Fact::Refused { store, request: 7, attempt }
}

#[test]
fn i17_refuses_a_second_answer_and_one_to_what_nobody_asked() {
    let broken = Invariant::ExactlyOnce;
    let mut trace = one_applied();
    trace.see(&asked(1, 1)).see(&replied(1, 1)).is_legal();
    trace.see(&replied(1, 1)).breaks(broken);
    let mut trace = one_applied();
    trace.see(&asked(1, 1)).see(&refused(1, 1)).is_legal();
    trace.see(&replied(1, 1)).breaks(broken);
    // It answers, and then says that it never accepted.
    let mut trace = one_applied();
    trace.see(&asked(1, 1)).see(&replied(1, 1)).see(&refused(1, 1)).breaks(broken);
    one_applied().see(&asked(1, 1)).see(&replied(2, 1)).breaks(broken);
    one_applied().see(&asked(1, 1)).see(&replied(1, 2)).breaks(broken);
    // What it owed before a crash is void.
    let mut trace = one_applied();
    trace.see(&asked(1, 1)).see(&Fact::Stopped { store: 1 }).see(&replied(1, 1)).breaks(broken);
}

#[test]
fn i17_accepts_an_answer_to_each_copy_and_what_nobody_answers_before_a_crash() {
    let mut trace = one_applied();
    trace.see(&asked(1, 1)).see(&asked(1, 1)).see(&asked(2, 1)).see(&asked(1, 2)).is_legal();
    // The second copy is refused, long before the first one is answered.
    trace.see(&refused(1, 1)).see(&replied(2, 1)).see(&replied(1, 2)).see(&replied(1, 1));
    trace.see(&asked(1, 3)).see(&asked(2, 3)).see(&Fact::Stopped { store: 1 }).is_legal();
    assert_eq!([1, 2].map(|store| trace.checker.owed_by(store)), [(0, None), (1, Some(7))]);
    // The same attempt, as a late copy, after a restart.
    trace.see(&asked(1, 3)).see(&replied(1, 3)).see(&replied(2, 3)).is_legal();
}

#[test]
fn i18_refuses_an_acknowledged_write_that_was_never_committed() {
    let mut trace = one_applied();
    let (other, later) = (EntryId::new(5, 6), EntryId::new(6, 7));
    trace.see(&answered(1, Answer::Written(other))).breaks(Invariant::AcknowledgedWrites);
    let mut trace = one_applied();
    trace.see(&answered(1, Answer::Written(later))).breaks(Invariant::AcknowledgedWrites);
}

#[test]
fn i18_refuses_an_acknowledged_write_that_no_entry_was_made_of() {
    let mut trace = one_applied();
    trace.see(&answered(1, Answer::Unlogged)).breaks(Invariant::AcknowledgedWrites);
}

#[test]
fn i18_accepts_an_acknowledgement_that_arrives_long_after_its_leader_was_deposed() {
    let mut trace = one_applied();
    trace.elect(2, 7, &[3]).take(2, &[entry(7, 7)]).take(3, &[entry(7, 7)]).commit(2, 7);
    trace.see(&answered(1, Answer::Written(EntryId::new(6, 6)))).is_legal();
}
