//! A follower whose state machine is damaged asks for a snapshot (raft-rs `request_snapshot`).

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{HardState, Message};
use crate::error::{Error, SnapshotRequestError};
use crate::tests::harness::*;
use crate::{MemStorage, ProgressState, SnapshotStatus, Storage};

/// Three peers that hold and have applied eleven entries of term 1, and their leader 1.
fn replicated() -> Network {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    for _ in 0..10 {
        net.send([propose(1, "data")]);
    }
    for id in 1..=3 {
        apply(&mut net[id]);
    }
    net
}

fn make_snapshot(raft: &mut TestRaft) -> u64 {
    let (applied, members) = (raft.log.applied(), raft.prs.conf_state());
    raft.log.storage_mut().create_snapshot(applied, Some(members), "state").unwrap();
    applied
}

fn snapshots(net: &Network) -> usize {
    net.count_delivered(MsgSnapshot)
}

fn request(raft: &mut TestRaft) -> Message {
    raft.request_snapshot().unwrap();
    let [request] = <[Message; 1]>::try_from(sent(raft)).unwrap();
    request
}

/// raft-rs test_request_snapshot: the request names what the snapshot must reach.
#[test]
fn direct_request_says_what_the_snapshot_must_reach() {
    let mut net = replicated();
    let request = request(&mut net[2]);
    let expected = Message {
        term: 1,
        index: 11,
        reject: true,
        reject_hint: 11,
        log_term: 1,
        request_snapshot: 11,
        ..msg(MsgAppendResponse, 2, 1)
    };
    assert_eq!(request, expected);
    assert_eq!(net[2].requested_snapshot, 11);
}

/// raft-rs test_request_snapshot_unavailable: while there is none, the leader waits and asks again.
#[test]
fn direct_requested_snapshot_is_sent_as_soon_as_there_is_one() {
    let mut net = replicated();
    let request = request(&mut net[2]);
    net.send([request]);
    assert_eq!((snapshots(&net), net[1].prs.get(2).unwrap().requested_snapshot), (0, 11));
    net.send([beat(1)]);
    assert_eq!(snapshots(&net), 0, "there is still none");
    make_snapshot(&mut net[1]);
    net.send([beat(1)]);
    assert_eq!(snapshots(&net), 1);
    assert_eq!(net[2].requested_snapshot, 0);
    assert_eq!(net[2].log.storage().snapshot().unwrap().data, "state");
    let progress = net[1].prs.get(2).unwrap();
    assert_eq!((progress.state, progress.requested_snapshot), (ProgressState::Replicate, 0));
    net.send([propose(1, "data")]);
    assert_eq!(net[2].log.committed(), 12);
}

/// raft-rs test_request_snapshot_not_up_to_date: one that does not reach far enough is not it.
#[test]
fn direct_older_snapshot_does_not_answer_the_request() {
    let mut net = replicated();
    make_snapshot(&mut net[1]);
    net.send([propose(1, "data")]);
    net.send([beat(1)]);
    let request = request(&mut net[2]);
    assert_eq!(request.request_snapshot, 12);
    net.send([request]);
    net.send([beat(1)]);
    assert_eq!(snapshots(&net), 0);
    apply(&mut net[1]);
    make_snapshot(&mut net[1]);
    net.send([beat(1)]);
    assert_eq!((snapshots(&net), net[2].log.committed()), (1, 12));
}

/// Until it has the snapshot, a damaged peer takes nothing: it could not apply it.
#[test]
fn direct_peer_that_waits_for_a_snapshot_answers_appends_and_heartbeats_with_its_request() {
    let mut net = replicated();
    request(&mut net[2]);
    let entries = vec![entry(1, 12)];
    let append = Message { term: 1, log_term: 1, index: 11, entries, ..msg(MsgAppend, 1, 2) };
    let heartbeat = Message { term: 1, ..msg(MsgHeartbeat, 1, 2) };
    for message in [append, heartbeat] {
        net[2].step(message).unwrap();
        let answers = sent(&mut net[2]);
        assert_eq!((kinds(&answers), answers[0].request_snapshot), (vec![MsgAppendResponse], 11));
    }
    assert_eq!(net[2].log.last_index(), 11);
}

/// raft-rs test_request_snapshot_none_replicate: also in a probe, with an empty log behind it.
#[test]
fn direct_request_is_heard_in_every_state_of_progress() {
    for state in [ProgressState::Probe, ProgressState::Replicate] {
        let mut net = replicated();
        make_snapshot(&mut net[1]);
        let request = request(&mut net[2]);
        if state == ProgressState::Probe {
            net[1].prs.get_mut(2).unwrap().become_probe();
        }
        net.send([request]);
        assert_eq!(snapshots(&net), 1, "{state:?}");
        assert_eq!(net[2].requested_snapshot, 0);
    }
}

/// raft-rs test_request_snapshot_step_down and its neighbours: a request goes to one leader.
#[test]
fn direct_request_ends_with_its_term() {
    let mut net = replicated();
    request(&mut net[2]);
    net[2].step(Message { term: 2, ..msg(MsgHeartbeat, 3, 2) }).unwrap();
    assert_eq!(net[2].requested_snapshot, 0);
    assert_eq!(kinds(&sent(&mut net[2])), [MsgHeartbeatResponse]);
}

/// Also if it campaigned in between: the log it was made for may give way to the winner's, and what
/// is asked for may never come to be.
#[test]
fn direct_request_ends_with_the_next_campaign() {
    let mut net = replicated();
    request(&mut net[2]);
    net.isolate(2);
    net[2].step(hup(2)).unwrap();
    sent(&mut net[2]);
    assert_eq!((net[2].role, net[2].term), (Candidate, 2));
    net[2].step(Message { term: 2, ..msg(MsgHeartbeat, 3, 2) }).unwrap();
    assert_eq!((net[2].role, net[2].requested_snapshot), (Follower, 0));
    assert_eq!(kinds(&sent(&mut net[2])), [MsgHeartbeatResponse]);
}

/// The acknowledgement of the last entry was lost, and the third peer is dead. A snapshot that
/// reaches this entry needs it to be committed, which needs the acknowledgement; and the peer that
/// waits for the snapshot gives none. But its request says that it holds the entry.
#[test]
fn direct_request_stands_for_the_acknowledgement_that_was_lost() {
    let mut net = replicated();
    net.isolate(3);
    net.ignore(MsgAppendResponse);
    net.send([propose(1, "data")]);
    assert_eq!((net[2].log.last_index(), net[1].log.committed()), (12, 11));
    let request = request(&mut net[2]);
    assert_eq!(request.request_snapshot, 12);
    net.recover();
    net.isolate(3);
    net.send([request]);
    assert_eq!(net[1].log.committed(), 12);
    apply(&mut net[1]);
    make_snapshot(&mut net[1]);
    net.send([beat(1)]);
    assert_eq!((net[2].requested_snapshot, net[2].log.committed()), (0, 12));
}

/// raft-rs test_request_snapshot_matched_change and _on_role_change: who may not ask, and why.
#[test]
fn direct_request_that_makes_no_sense_is_refused_by_name() {
    let refused = |error| Err(Error::SnapshotRequestDropped(error));
    let mut leader = leader(1, &[1, 2]);
    assert_eq!(leader.request_snapshot(), refused(SnapshotRequestError::Leader));
    let mut lost = fresh(2, &[1, 2]);
    assert_eq!(lost.request_snapshot(), refused(SnapshotRequestError::NoLeader));
    let mut old = on_storage(2, &[1, 2], terms(&[1]));
    old.become_follower(2, 1);
    let old_term = SnapshotRequestError::OldTerm { last_term: 1, term: 2 };
    assert_eq!(old.request_snapshot(), refused(old_term));
    let mut net = replicated();
    request(&mut net[2]);
    assert_eq!(net[2].request_snapshot(), refused(SnapshotRequestError::Pending));
}

/// A lost snapshot is asked for again: the request stays until it is served.
#[test]
fn direct_requested_snapshot_that_was_lost_is_sent_again() {
    let mut net = replicated();
    make_snapshot(&mut net[1]);
    let request = request(&mut net[2]);
    net.ignore(MsgSnapshot);
    net.send([request]);
    assert_eq!(net[1].prs.get(2).unwrap().state, ProgressState::Snapshot);
    net.recover();
    net[1].report_snapshot(2, SnapshotStatus::Failure);
    net.send([beat(1)]);
    net.send([beat(1)]);
    assert_eq!((snapshots(&net), net[2].requested_snapshot), (1, 0));
}

/// Entries that this peer acknowledged are never cut off by an older snapshot.
#[test]
fn direct_unasked_older_snapshot_keeps_what_was_acknowledged() {
    let mut net = replicated();
    let entries = vec![entry(1, 12)];
    let append = Message { term: 1, log_term: 1, index: 11, entries, ..msg(MsgAppend, 1, 2) };
    net[2].step(append).unwrap();
    sent(&mut net[2]);
    request(&mut net[2]);
    let older = Some(snapshot(1, 11, &[1, 2, 3]).into());
    net[2].step(Message { term: 1, snapshot: older, ..msg(MsgSnapshot, 1, 2) }).unwrap();
    assert_eq!((net[2].log.last_index(), net[2].requested_snapshot), (12, 12));
}

/// After a restart nothing is pending.
#[test]
fn direct_restart_forgets_the_request() {
    let mut storage: MemStorage = terms(&[1, 1]);
    storage.set_hard_state(HardState { term: 1, vote: 0, commit: 1 });
    let mut raft = on_storage(2, &[1, 2], storage);
    raft.step(Message { term: 1, ..msg(MsgHeartbeat, 1, 2) }).unwrap();
    let answers: Vec<_> = sent(&mut raft);
    assert_eq!(kinds(&answers), [MsgHeartbeatResponse]);
}
