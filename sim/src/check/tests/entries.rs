//! Logs and commits: I3, I4, I6, I7, I8, I9, I10, I19.

use raft_core::EntryId;

use super::*;

/// Peer 1 of so many leads term 6 and has committed entry 6 with peers 2 and 3.
fn one_committed(peers: u64) -> Trace {
    let mut trace = cluster(peers);
    trace.elect(1, 6, &[2, 3]);
    for peer in 1..=3 {
        trace.take(peer, &[entry(6, 6)]);
    }
    trace.commit(1, 6).is_legal();
    trace
}

#[test]
fn i3_refuses_a_leader_that_replaces_its_own_entries() {
    let mut trace = one_committed(3);
    trace.append(1, &[entry(7, 6)]).is_legal();
    trace.append(1, &[entry(7, 6)]).breaks(Invariant::LeaderAppendOnly);
}

#[test]
fn i3_accepts_a_leader_that_steps_down_and_loses_its_tail_in_one_event() {
    let mut trace = one_committed(3);
    trace.append(1, &[entry(7, 6)]).elect(2, 7, &[3]);
    trace.see(&Fact::Appended { peer: 1, entry: entry(7, 7) }).term(1, 7).is_legal();
}

#[test]
fn i3_accepts_a_leader_that_compacts_its_log() {
    let mut trace = one_committed(3);
    trace.apply(1, entry(6, 6), 1).state(1, |s| s.base = 6).append(1, &[entry(7, 6)]).is_legal();
}

#[test]
fn i4_refuses_other_data_and_another_predecessor() {
    let mut trace = one_committed(5);
    let other = Logged { hash: 7, ..entry(6, 6) };
    trace.term(4, 6).see(&Fact::Appended { peer: 4, entry: other }).breaks(Invariant::LogMatching);
    let mut trace = one_committed(5);
    trace.term(4, 7).append(4, &[entry(6, 5), entry(7, 7)]).is_legal();
    trace.term(5, 7).append(5, &[entry(6, 6)]);
    trace.see(&Fact::Appended { peer: 5, entry: entry(7, 7) }).breaks(Invariant::LogMatching);
}

#[test]
fn i4_refuses_other_data_on_the_disk() {
    let mut trace = one_committed(5);
    let torn = Logged { hash: 7, ..entry(7, 6) };
    trace.append(1, &[entry(7, 6)]).is_legal();
    trace.see(&Fact::Stored { peer: 1, entry: torn }).breaks(Invariant::LogMatching);
}

#[test]
fn i4_accepts_equal_data_at_different_places_and_different_data_in_different_terms() {
    let mut trace = cluster(3);
    let says = |index, term, hash| Logged { hash, ..entry(index, term) };
    trace.term(1, 7).append(1, &[says(6, 6, 9), says(7, 6, 9)]);
    trace.term(2, 7).append(2, &[says(6, 7, 9), says(7, 7, 8)]).is_legal();
    trace.append(1, &[says(6, 7, 9), says(7, 7, 8)]).is_legal();
}

#[test]
fn i6_refuses_gaps_repetitions_and_what_nobody_committed() {
    one_committed(3)
        .see(&Fact::Applied { peer: 1, entry: entry(7, 6), state: None })
        .breaks(Invariant::StateMachineSafety);
    let mut trace = one_committed(3);
    trace.apply(1, entry(6, 6), 1).is_legal();
    trace
        .see(&Fact::Applied { peer: 1, entry: entry(6, 6), state: None })
        .breaks(Invariant::StateMachineSafety);
    let mut trace = one_committed(3);
    trace.apply(1, entry(6, 6), 1).is_legal();
    trace
        .see(&Fact::Applied { peer: 1, entry: entry(7, 6), state: None })
        .breaks(Invariant::StateMachineSafety);
}

#[test]
fn i6_refuses_another_entry_other_data_and_another_effect() {
    let apply = |entry, state| Fact::Applied { peer: 2, entry, state };
    let broken = Invariant::StateMachineSafety;
    one_committed(3).see(&apply(entry(6, 5), None)).breaks(broken);
    one_committed(3).see(&apply(Logged { hash: 1, ..entry(6, 6) }, None)).breaks(broken);
    let mut trace = one_committed(3);
    trace.commit(2, 6).apply(1, entry(6, 6), 11).is_legal();
    trace.see(&apply(entry(6, 6), Some(12))).breaks(broken);
}

#[test]
fn i6_refuses_a_commit_index_over_another_entry() {
    let mut trace = one_committed(5);
    trace.term(4, 6).append(4, &[entry(6, 5)]).is_legal();
    trace.commit(4, 6).breaks(Invariant::StateMachineSafety);
}

#[test]
fn i6_accepts_entries_applied_again_after_a_crash_that_lost_their_effects() {
    let mut trace = one_committed(3);
    trace.apply(1, entry(6, 6), 11).is_legal();
    let hard = Hard { term: 6, vote: 1, commit: 5, last: 6 };
    trace.start(1, hard, 5, &[entry(6, 6)]).members(1, 5, 1..=3, []);
    trace.commit(1, 6).apply(1, entry(6, 6), 11).is_legal();
}

#[test]
fn i7_refuses_a_commit_that_a_crash_would_undo() {
    let mut trace = cluster(5);
    trace.elect(1, 6, &[2, 3]);
    for peer in 1..=3 {
        trace.append(peer, &[entry(6, 6)]);
    }
    // Three hold it in memory, two on their disks.
    trace.store(1, &[entry(6, 6)]).store(2, &[entry(6, 6)]).is_legal();
    trace.commit(1, 6).breaks(Invariant::CommitDurability);
}

#[test]
fn i7_refuses_a_commit_that_only_a_learner_or_a_removed_leader_completes() {
    // 1 was removed and leads on, 4 only learns.
    let mut trace = cluster_of(4, &[2, 3], &[]);
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]);
    trace.term(4, 6).take(4, &[entry(6, 6)]).is_legal();
    trace.commit(1, 6).breaks(Invariant::CommitDurability);
}

#[test]
fn i7_accepts_disks_of_crashed_peers_and_a_leader_that_is_still_writing() {
    let mut trace = cluster(5);
    trace.elect(1, 6, &[2, 3]).append(1, &[entry(6, 6)]);
    // Those that hold it are down by the time that 1 hears of it. Their disks are not, and so
    // nothing tells the checkers.
    trace.take(2, &[entry(6, 6)]).take(3, &[entry(6, 6)]);
    trace.term(4, 6).take(4, &[entry(6, 6)]).commit(1, 6).is_legal();
}

#[test]
fn i7_accepts_that_a_committed_entry_is_known_where_it_is_not_durable() {
    let mut trace = one_committed(5);
    trace.term(4, 6).append(4, &[entry(6, 6)]).commit(4, 6).apply(4, entry(6, 6), 1).is_legal();
}

#[test]
fn i8_refuses_to_commit_an_entry_of_an_older_term_by_counting() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]);
    trace.elect(1, 7, &[2, 3]).take(2, &[entry(6, 6)]).is_legal();
    trace.commit(1, 6).breaks(Invariant::CommitRule);
}

#[test]
fn i8_accepts_that_a_leader_hears_of_an_older_entry_that_others_know_to_be_committed() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]).take(2, &[entry(6, 6)]);
    trace.take(3, &[entry(6, 6)]).commit(1, 6).commit(2, 6);
    trace.elect(3, 7, &[1, 2]).commit(3, 6).is_legal();
}

#[test]
fn i8_accepts_older_entries_under_one_of_the_own_term_and_at_followers() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2, 3]).take(1, &[entry(6, 6)]);
    trace.elect(1, 7, &[2, 3]).take(1, &[entry(7, 7)]);
    trace.take(2, &[entry(6, 6), entry(7, 7)]).commit(1, 7).is_legal();
    // The follower learns of the older one first.
    trace.commit(2, 6).commit(2, 7).is_legal();
}

#[test]
fn i9_refuses_to_cut_off_what_is_committed() {
    let mut trace = one_committed(3);
    trace.commit(2, 6).see(&Fact::Cut { peer: 2, last: 5 }).is_legal();
    trace.term(2, 6).breaks(Invariant::Truncation);
    let mut trace = one_committed(3);
    trace.commit(2, 6).save(2).see(&Fact::Stored { peer: 2, entry: entry(6, 7) });
    trace.breaks(Invariant::Truncation);
    let mut trace = one_committed(3);
    trace.commit(2, 6);
    trace.see(&Fact::Replaced { peer: 2, base: EntryId::new(5, 5) }).breaks(Invariant::Truncation);
}

#[test]
fn i9_accepts_to_write_a_committed_entry_again() {
    let mut trace = one_committed(3);
    trace.commit(2, 6).save(2).store(2, &[entry(6, 6)]).is_legal();
}

#[test]
fn i9_accepts_to_cut_off_and_commit_in_one_event() {
    let mut trace = one_committed(5);
    trace.term(4, 6).append(4, &[entry(6, 5), entry(7, 5)]);
    trace.see(&Fact::Appended { peer: 4, entry: entry(6, 6) }).commit(4, 6).is_legal();
}

#[test]
fn i10_refuses_indices_out_of_order() {
    let broken = Invariant::LogOrder;
    one_committed(3).state(1, |s| s.applied = 7).breaks(broken);
    one_committed(3).state(1, |s| s.commit = 9).breaks(broken);
    one_committed(3).state(1, |s| s.base = 6).breaks(broken);
    one_committed(3).see(&Fact::Appended { peer: 2, entry: entry(8, 6) }).breaks(broken);
    one_committed(3).see(&Fact::Appended { peer: 2, entry: entry(7, 5) }).breaks(broken);
    let mut trace = one_committed(3);
    trace.append(2, &[entry(7, 9)]).breaks(broken);
}

#[test]
fn i10_accepts_a_snapshot_that_is_not_applied_yet_and_a_log_compacted_to_its_end() {
    let mut trace = one_committed(4);
    let base = EntryId::new(6, 6);
    trace.term(4, 6).see(&Fact::Replaced { peer: 4, base });
    trace.state(4, |s| {
        (s.base, s.commit, s.last, s.installing) = (6, 6, base, true);
    });
    trace.is_legal().apply(1, entry(6, 6), 1).state(1, |s| s.base = 6).is_legal();
}

#[test]
fn i19_refuses_a_start_with_more_or_less_or_else_than_was_written() {
    let start = |hard: Hard, log: &[Logged]| {
        let mut trace = one_committed(3);
        trace.start(2, hard, 5, log);
        trace
    };
    let hard = Hard { term: 6, vote: 1, commit: 5, last: 6 };
    start(hard, &[]).breaks(Invariant::DiskMirror);
    start(Hard { vote: 3, ..hard }, &[entry(6, 6)]).checker.violation().expect("I2 or I19");
    let mut trace = one_committed(3);
    trace.append(2, &[entry(7, 6)]).store(2, &[entry(7, 6)]);
    trace.start(2, hard, 5, &[entry(6, 5), entry(7, 6)]).checker.violation().expect("an entry");
}

#[test]
fn i19_refuses_rest_with_something_unwritten_and_a_state_ahead_of_its_log() {
    let mut trace = one_committed(3);
    trace.append(2, &[entry(7, 6)]).is_legal();
    trace.see(&Fact::AtRest { peer: 2 }).breaks(Invariant::DiskMirror);
    let mut trace = one_committed(3);
    let hard = Hard { term: 6, vote: 1, commit: 5, last: 7 };
    trace.see(&Fact::StoredHard { peer: 2, hard }).breaks(Invariant::DiskMirror);
}

#[test]
fn i19_accepts_a_start_that_lacks_what_was_never_durable() {
    let mut trace = one_committed(3);
    trace.append(2, &[entry(7, 6)]);
    let hard = Hard { term: 6, vote: 1, commit: 5, last: 6 };
    trace.start(2, hard, 5, &[entry(6, 6)]).see(&Fact::AtRest { peer: 2 }).is_legal();
}

#[test]
fn memory_stays_bounded_however_long_the_run_is() {
    let mut trace = cluster(3);
    trace.elect(1, 6, &[2, 3]);
    for index in 6..20_000 {
        for peer in 1..=3 {
            trace.take(peer, &[entry(index, 6)]);
        }
        for peer in 1..=3 {
            trace.commit(peer, index).apply(peer, entry(index, 6), index);
            let base = EntryId::new(5, 5);
            trace.see(&Fact::StoredApplied { peer, applied: index, base });
        }
    }
    trace.is_legal();
    assert!(trace.checker.ghost.indices_kept() < 5_000);
}
