//! Inputs that the crate `raft` 0.7 does not survive or answers wrongly, each given to ours too.
//!
//! Most were known from its issues; the mixed cluster of this crate found the rest. A test that
//! begins to fail here because the other implementation got better is good news: move its line in
//! `docs/conformance.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use raft_core::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, HardState, Message, MessageType,
    Snapshot, SnapshotMetadata,
};
use raft_core::{Config, RawNode};
use support::{
    Answer, FIRST, Node, Ours, Role, Setup, State, Theirs, acknowledge, elect, entry, follow,
    message,
};

const THREE: [u64; 3] = [1, 2, 3];

fn both(setup: &Setup) -> (Theirs, Ours) {
    (Theirs::start(1, setup), Ours::start(1, setup))
}

fn three() -> (Theirs, Ours) {
    both(&Setup::voters(&THREE))
}

fn refused(why: &str) -> Answer {
    Answer::Refused(why.to_owned())
}

/// Both get the same message; theirs panics, ours says `expected` and stays as it was.
fn one_message_panic((mut theirs, mut ours): (Theirs, Ours), m: &Message, expected: &Answer) {
    let answer = theirs.step(m);
    assert!(answer.is_panic(), "theirs does not panic any more: {answer:?}");
    let before = (ours.last(), ours.committed(), ours.role());
    assert_eq!(&ours.step(m), expected);
    assert_eq!((ours.last(), ours.committed(), ours.role()), before);
    ours.work();
}

fn leaders() -> (Theirs, Ours) {
    let (mut theirs, mut ours) = three();
    elect(&mut theirs);
    elect(&mut ours);
    (theirs, ours)
}

fn followers(last: u64, commit: u64) -> (Theirs, Ours) {
    let (mut theirs, mut ours) = three();
    follow(&mut theirs, last, commit);
    follow(&mut ours, last, commit);
    (theirs, ours)
}

fn change(kind: ConfChangeType, node_id: u64) -> ConfChangeV2 {
    let single = ConfChangeSingle { change_type: kind.into(), node_id };
    ConfChangeV2 { changes: vec![single], ..ConfChangeV2::default() }
}

fn snapshot(index: u64, term: u64) -> Option<Box<Snapshot>> {
    let conf_state = Some(ConfState { voters: THREE.to_vec(), ..ConfState::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index, term });
    Some(Box::new(Snapshot { metadata, ..Snapshot::default() }))
}

#[test]
fn a_heartbeat_that_commits_beyond_the_log_panics() {
    let beat = Message { commit: 9, ..message(MessageType::MsgHeartbeat, 2, 1) };
    one_message_panic(followers(6, 6), &beat, &Answer::Taken);
}

/// Entries 8 and 9 after entry 6.
#[test]
fn an_append_whose_entries_leave_a_gap_panics() {
    let append = Message {
        index: 6,
        log_term: 6,
        entries: vec![entry(6, 8), entry(6, 9)],
        ..message(MessageType::MsgAppend, 2, 1)
    };
    let expected = refused("malformed message: entry 8 where 7 must stand");
    one_message_panic(followers(6, 6), &append, &expected);
}

/// A single entry after a gap is left out, and acknowledged all the same.
#[test]
fn an_append_with_a_gap_is_acknowledged_and_not_appended() {
    let append = Message {
        index: 6,
        log_term: 6,
        entries: vec![entry(6, 8)],
        ..message(MessageType::MsgAppend, 2, 1)
    };
    let (mut theirs, mut ours) = followers(6, 6);
    assert_eq!(theirs.step(&append), Answer::Taken);
    let output = theirs.work();
    let acknowledged = output.to(2, MessageType::MsgAppendResponse).unwrap();
    assert_eq!((acknowledged.reject, acknowledged.index, theirs.last()), (false, 7, 6));
    assert_eq!(ours.step(&append), refused("malformed message: entry 8 where 7 must stand"));
    assert_eq!(ours.work().messages, []);
}

#[test]
fn an_empty_proposal_panics() {
    let proposal = message(MessageType::MsgPropose, 2, 1);
    let expected = refused("raft proposal dropped: the proposal has no entries");
    one_message_panic(leaders(), &proposal, &expected);
}

#[test]
fn a_read_request_without_an_entry_panics() {
    let request = message(MessageType::MsgReadIndex, 2, 1);
    let expected = refused("malformed message: a read request with 0 entries");
    one_message_panic(leaders(), &request, &expected);
}

#[test]
fn a_transfer_request_with_a_term_that_is_handed_on_panics() {
    let request = message(MessageType::MsgTransferLeader, 3, 1);
    one_message_panic(followers(6, 6), &request, &Answer::Taken);
}

#[test]
fn a_learner_that_is_told_to_campaign_becomes_a_candidate() {
    let setup = Setup { voters: vec![2, 3], learners: vec![1], ..Setup::default() };
    let (mut theirs, mut ours) = both(&setup);
    assert_eq!((theirs.campaign(), ours.campaign()), (Answer::Taken, Answer::Taken));
    assert_eq!((theirs.role(), theirs.term()), (Role::Candidate, FIRST + 1));
    assert_eq!((ours.role(), ours.term()), (Role::Follower, FIRST));
}

/// A leader whose log is compacted, a follower that is known to have everything and was reported
/// unreachable once: theirs probes it for ever, because a probe without entries is never sent.
#[test]
fn a_follower_that_has_everything_stays_in_probe_while_the_cluster_is_idle() {
    fn scene<N: Node>(leader: &mut N, report: impl FnOnce(&mut N)) -> State {
        elect(leader);
        assert_eq!(leader.follower(2).state, State::Replicate);
        report(leader);
        for _ in 0..20 {
            leader.tick();
            let beats = leader.work();
            for beat in beats.of(MessageType::MsgHeartbeat).into_iter().filter(|m| m.to == 2) {
                let mut answer = message(MessageType::MsgHeartbeatResponse, 2, 1);
                answer.context = beat.context.clone();
                assert_eq!(leader.step(&answer), Answer::Taken);
            }
            for append in leader.work().of(MessageType::MsgAppend) {
                if append.to == 2 {
                    acknowledge(leader, 2, append.index + append.entries.len() as u64);
                }
            }
        }
        leader.follower(2).state
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs, |node| node.0.report_unreachable(2)), State::Probe);
    assert_eq!(
        scene(&mut ours, |node| {
            node.0.report_unreachable(2);
        }),
        State::Replicate
    );
}

/// Old leader 1 is cut off and does not know that others commit. A read of its application and
/// then a retry with the same context: late duplicates of the acknowledgements of the first one
/// release the second, which must not be served.
#[test]
fn a_safe_read_is_answered_stale_after_a_retry_and_late_duplicate_acknowledgements() {
    fn scene<N: Node>(leader: &mut N) -> Vec<(Vec<u8>, u64)> {
        elect(leader);
        leader.read("r");
        let beats = leader.work();
        let answer = Message {
            context: beats.to(2, MessageType::MsgHeartbeat).unwrap().context.clone(),
            ..message(MessageType::MsgHeartbeatResponse, 2, 1)
        };
        leader.step(&answer);
        assert_eq!(leader.work().reads, [(b"r".to_vec(), FIRST + 1)], "the first one is right");
        // Meanwhile 2 and 3 elect another leader and commit more. The client asks again.
        leader.read("r");
        leader.work();
        leader.step(&answer);
        leader.work().reads
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs), [(b"r".to_vec(), FIRST + 1)], "stale");
    assert_eq!(scene(&mut ours), []);
}

/// With `batch_append`, entries join an append that is waiting to leave, even one without entries
/// that stands elsewhere in the log. A follower that holds the entry before counts them from there
/// and acknowledges what it does not have.
#[test]
fn batched_entries_join_an_empty_append_that_stands_elsewhere() {
    let setup = Setup { batch_append: true, ..Setup::voters(&THREE) };
    let mut leader = Theirs::start(1, &setup);
    elect(&mut leader);
    acknowledge(&mut leader, 3, 6);
    for data in ["a", "b", "c"] {
        leader.propose(data);
    }
    leader.work();
    // 9 is committed, which 3 is to be told by an append without entries. Before that leaves, 3
    // says that its log ends at 6.
    let answer = Message { index: 9, ..message(MessageType::MsgAppendResponse, 2, 1) };
    leader.step(&answer);
    let reject = Message {
        index: 9,
        reject: true,
        reject_hint: 6,
        log_term: 6,
        ..message(MessageType::MsgAppendResponse, 3, 1)
    };
    leader.step(&reject);
    let output = leader.work();
    let append = output.to(3, MessageType::MsgAppend).unwrap();
    let indices: Vec<_> = append.entries.iter().map(|entry| entry.index).collect();
    assert_eq!((append.index, indices), (9, vec![7, 8, 9]));

    // The message reaches a follower that got the earlier ones after all.
    let append = Message { from: 2, to: 1, ..append.clone() };
    let (mut theirs, mut ours) = followers(9, 6);
    assert_eq!(theirs.step(&append), Answer::Taken);
    let output = theirs.work();
    let acknowledged = output.to(2, MessageType::MsgAppendResponse).unwrap().index;
    assert_eq!((acknowledged, theirs.last()), (12, 9), "three entries that do not exist");
    assert_eq!(ours.step(&append), refused("malformed message: entry 7 where 10 must stand"));
}

/// A leader that removes itself and stays in office panics when it commits its next entry.
#[test]
fn a_leader_that_removed_itself_panics_at_its_next_commit() {
    let (mut theirs, mut ours) = leaders();
    theirs.propose("x");
    ours.propose("x");
    theirs.work();
    ours.work();
    let removal = change(ConfChangeType::RemoveNode, 1);
    theirs.apply_change(&removal);
    ours.apply_change(&removal);
    for id in [2, 3] {
        let answer = Message { index: 7, ..message(MessageType::MsgAppendResponse, id, 1) };
        let answer = (theirs.step(&answer), ours.step(&answer));
        if id == 3 {
            assert!(answer.0.is_panic(), "{answer:?}");
        }
        assert_eq!(answer.1, Answer::Taken);
    }
    assert_eq!(ours.role(), Role::Follower);
}

/// A leader that is no voter any more, and one other voter: theirs takes the cluster for a
/// singleton and serves reads without asking, whatever that voter commits meanwhile.
#[test]
fn a_demoted_leader_serves_stale_reads() {
    fn scene<N: Node>(leader: &mut N) -> (Role, Vec<(Vec<u8>, u64)>) {
        elect(leader);
        leader.apply_change(&change(ConfChangeType::AddLearnerNode, 1));
        leader.work();
        leader.read("r");
        (leader.role(), leader.work().reads)
    }
    let (mut theirs, mut ours) = both(&Setup::voters(&[1, 2]));
    assert_eq!(scene(&mut theirs), (Role::Leader, vec![(b"r".to_vec(), FIRST + 1)]));
    assert_eq!(scene(&mut ours), (Role::Follower, vec![]));
}

/// A follower asks for a snapshot; one that was sent earlier arrives. It does not reach as far as
/// what the follower has acknowledged, and theirs throws that away.
#[test]
fn an_older_snapshot_than_the_requested_one_cuts_off_acknowledged_entries() {
    fn scene<N: Node>(follower: &mut N) -> u64 {
        let output = follow(follower, 10, 6);
        assert_eq!(output.to(2, MessageType::MsgAppendResponse).unwrap().index, 10);
        assert_eq!(follower.request_snapshot(), Answer::Taken);
        follower.work();
        let late = Message { snapshot: snapshot(8, 6), ..message(MessageType::MsgSnapshot, 2, 1) };
        assert_eq!(follower.step(&late), Answer::Taken);
        follower.work();
        follower.last()
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs), 8, "9 and 10 may be committed with this follower's word");
    assert_eq!(scene(&mut ours), 10);
}

/// The only voter leads at once, and its appends to learners leave before its term is on disk. A
/// crash takes the term away; it leads the same term again, with other entries of the same names.
#[test]
fn the_only_voter_sends_entries_of_a_term_that_a_crash_takes_away() {
    let setup = Setup { voters: vec![1], learners: vec![2], ..Setup::default() };
    let (mut theirs, mut ours) = both(&setup);
    assert_eq!((theirs.campaign(), ours.campaign()), (Answer::Taken, Answer::Taken));
    let early = theirs.messages_before_sync();
    assert!(early.iter().any(|m| m.to == 2 && m.term == FIRST + 1 && !m.entries.is_empty()));
    assert_eq!(ours.messages_before_sync(), []);
    assert_eq!(ours.role(), Role::Candidate, "its own vote counts once it is on disk");
}

/// Who was left as the only voter, and still follows the leader that was demoted, is told to
/// campaign before it has written what that leader sent.
#[test]
fn the_only_voter_that_campaigns_with_unwritten_entries_panics() {
    let append = Message {
        index: FIRST,
        log_term: FIRST,
        entries: vec![entry(6, 6)],
        ..message(MessageType::MsgAppend, 2, 1)
    };
    let setup = Setup { voters: vec![1], learners: vec![2], ..Setup::default() };
    let (mut theirs, mut ours) = both(&setup);
    assert_eq!((theirs.step(&append), ours.step(&append)), (Answer::Taken, Answer::Taken));
    assert!(theirs.campaign().is_panic());
    assert_eq!(ours.campaign(), Answer::Taken);
    ours.work();
    assert_eq!((ours.role(), ours.last()), (Role::Leader, 7));
}

/// Without waiting for the disk, a snapshot is written and not yet known to be applied. A campaign
/// looks for membership changes between what was applied and the snapshot, which are gone.
#[test]
fn a_campaign_while_a_snapshot_is_being_persisted_panics() {
    let late = Message { snapshot: snapshot(9, 6), ..message(MessageType::MsgSnapshot, 2, 1) };

    let mut theirs = Theirs::start(1, &Setup::voters(&THREE));
    assert_eq!(theirs.step(&late), Answer::Taken);
    let ready = theirs.0.ready();
    let store = theirs.0.mut_store().clone();
    store.wl().apply_snapshot(ready.snapshot().clone()).unwrap();
    theirs.0.advance_append_async(ready);
    assert!(theirs.campaign().is_panic());

    let setup = Setup::voters(&THREE);
    let config = Config { async_persist: true, ..Ours::config(1, &setup) };
    let mut ours = Ours(RawNode::new(&config, Ours::storage(&setup)).unwrap());
    assert_eq!(ours.step(&late), Answer::Taken);
    let snapshot = ours.0.ready().unwrap().snapshot.unwrap();
    ours.0.store_mut().apply_snapshot(*snapshot).unwrap();
    assert_eq!(ours.campaign(), Answer::Taken);
}

/// The snapshot is lost and nobody says so: theirs waits for ever.
#[test]
fn a_lost_snapshot_that_nobody_reports_is_never_sent_again() {
    fn scene<N: Node>(leader: &mut N) -> usize {
        elect(leader);
        leader.propose("x");
        acknowledge(leader, 2, 7);
        leader.compact(6);
        let reject =
            Message { index: 5, reject: true, ..message(MessageType::MsgAppendResponse, 3, 1) };
        leader.step(&reject);
        let mut sent = leader.work().of(MessageType::MsgSnapshot).len();
        assert_eq!(leader.follower(3).state, State::Snapshot);
        for _ in 0..100 {
            leader.tick();
            leader.step(&message(MessageType::MsgHeartbeatResponse, 3, 1));
            sent += leader.work().of(MessageType::MsgSnapshot).len();
        }
        sent
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs), 1);
    assert!(scene(&mut ours) > 1);
}

/// Peer 3 is sent a snapshot up to 9, and then acknowledges 7 on its own: all that follows is still
/// in the leader's log. Theirs waits for the snapshot all the same.
#[test]
fn a_follower_that_reconnects_without_its_snapshot_is_not_sent_the_log() {
    fn scene<N: Node>(leader: &mut N) -> (State, u64) {
        elect(leader);
        for command in ["x", "y", "z"] {
            leader.propose(command);
        }
        leader.work();
        acknowledge(leader, 2, 9);
        leader.work();
        leader.compact(7);
        let reject =
            Message { index: 5, reject: true, ..message(MessageType::MsgAppendResponse, 3, 1) };
        leader.step(&reject);
        assert_eq!(leader.work().of(MessageType::MsgSnapshot).len(), 1);
        leader.step(&Message { index: 7, ..message(MessageType::MsgAppendResponse, 3, 1) });
        leader.work();
        let follower = leader.follower(3);
        (follower.state, follower.next)
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs), (State::Snapshot, 8));
    assert_eq!(scene(&mut ours), (State::Replicate, 10));
}

/// After a burst theirs keeps the memory of its unwritten tail for ever.
#[test]
fn the_memory_of_an_unwritten_tail_never_shrinks() {
    let (mut theirs, mut ours) = leaders();
    for _ in 0..20_000 {
        theirs.propose("x");
        ours.propose("x");
    }
    theirs.work();
    ours.work();
    let tail = &theirs.0.raft.raft_log.unstable.entries;
    assert!(tail.is_empty() && tail.capacity() >= 20_000, "{}", tail.capacity());
    assert!(ours.0.raft().log().unstable_entries().is_empty(), "ours shrinks, see its own tests");
}

/// A rejection that arrives late, while the follower is probed from what it is known to hold.
#[test]
fn a_late_rejection_puts_next_below_match() {
    fn scene<N: Node>(leader: &mut N, report: impl FnOnce(&mut N)) -> (u64, u64) {
        elect(leader);
        report(leader);
        let late = Message {
            index: 6,
            reject: true,
            reject_hint: 5,
            log_term: 5,
            ..message(MessageType::MsgAppendResponse, 2, 1)
        };
        leader.step(&late);
        let follower = leader.follower(2);
        (follower.matched, follower.next)
    }
    let (mut theirs, mut ours) = three();
    assert_eq!(scene(&mut theirs, |node| node.0.report_unreachable(2)), (6, 6));
    assert_eq!(
        scene(&mut ours, |node| {
            node.0.report_unreachable(2);
        }),
        (6, 7)
    );
}

#[test]
fn entries_whose_terms_run_backwards_are_appended() {
    let append = Message {
        term: 8,
        index: 6,
        log_term: 6,
        entries: vec![entry(8, 7), entry(7, 8)],
        ..message(MessageType::MsgAppend, 2, 1)
    };
    let (mut theirs, mut ours) = followers(6, 6);
    assert_eq!(theirs.step(&append), Answer::Taken);
    assert_eq!(theirs.last(), 8);
    let expected = refused("malformed message: entry 8 has term 7, outside 8..=8");
    assert_eq!(ours.step(&append), expected);
    assert_eq!(ours.last(), 6);
}

/// Records that contradict each other, after a bad restore of a backup say.
#[test]
fn a_restart_from_inconsistent_records_panics() {
    let setup = Setup::voters(&THREE);
    let state = HardState { term: 6, vote: 0, commit: 9 };
    let storage = Theirs::storage(&setup);
    storage.wl().set_hardstate(support::their(&state));
    let config = Theirs::config(1, &setup);
    let start = || raft::RawNode::new(&config, storage, &Theirs::logger()).map(drop);
    assert!(support::caught(start).is_panic());

    let mut storage = Ours::storage(&setup);
    storage.set_hard_state(state);
    let started = raft_core::RawNode::new(&Ours::config(1, &setup), storage);
    let error = started.map(drop).unwrap_err().to_string();
    assert_eq!(error, "storage: inconsistent records: commit index is 9, outside 5..=5");
}

/// One append in flight to each of two followers allocates windows for 256 appends each.
#[test]
fn windows_are_allocated_for_what_they_may_hold_at_most() {
    let (mut theirs, mut ours) = leaders();
    for id in [2, 3] {
        acknowledge(&mut theirs, id, 6);
        acknowledge(&mut ours, id, 6);
    }
    theirs.propose("x");
    ours.propose("x");
    ours.work();
    assert_eq!(theirs.0.raft.inflight_buffers_size(), 2 * 256 * size_of::<u64>());
    let in_flight = |id| ours.0.raft().progress(id).unwrap().inflights.count();
    assert_eq!([2, 3].map(in_flight), [1, 1], "ours grows with these, see its own tests");
}

/// A preference for some leaders keeps the cluster without any: a newer log counts for more than a
/// priority only if it is also longer.
#[test]
fn a_voter_with_an_older_but_longer_log_refuses_for_its_priority() {
    fn scene<N: Node>(voter: &mut N) -> Message {
        // Ends at 9, in term 6; the candidate's log ends at 8, in term 7.
        follow(voter, 9, 6);
        let request = Message {
            term: 8,
            index: 8,
            log_term: 7,
            priority: 0,
            ..message(MessageType::MsgRequestVote, 3, 1)
        };
        voter.step(&request);
        voter.work().to(3, MessageType::MsgRequestVoteResponse).unwrap().clone()
    }
    let setup = Setup { priority: 1, ..Setup::voters(&THREE) };
    let (mut theirs, mut ours) = both(&setup);
    assert!(scene(&mut theirs).reject);
    assert!(!scene(&mut ours).reject);
}
