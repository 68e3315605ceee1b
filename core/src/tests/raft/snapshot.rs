//! R24–R29: snapshots.

use crate::MemStorage;
use crate::eraftpb::Message;
use crate::tests::harness::*;

fn snapshot_message(term: u64, voters: &[u64]) -> Message {
    Message { term, snapshot: Some(snapshot(11, 11, voters).into()), ..msg(MsgSnapshot, 1, 2) }
}

/// R24 TestRestoreSnapshot2C
#[test]
fn r24_snapshot_replaces_log_and_members() {
    let mut raft = fresh(1, &[1, 2]);
    raft.handle_snapshot(&mut snapshot_message(0, &[1, 2, 3])).unwrap();
    assert_eq!(raft.log.last_index(), 11);
    assert_eq!(raft.log.term(11), Ok(11));
    assert_eq!(members(&raft), [1, 2, 3]);
}

/// R25 TestRestoreIgnoreSnapshot2C
#[test]
fn r25_snapshot_of_committed_entries_is_ignored() {
    let mut raft = on_storage(1, &[1, 2], terms(&[1, 1, 1]));
    raft.log.commit_to(3);
    let message =
        Message { snapshot: Some(snapshot(1, 1, &[1, 2]).into()), ..msg(MsgSnapshot, 2, 1) };
    raft.handle_snapshot(&mut message.clone()).unwrap();
    assert_eq!((raft.log.committed(), raft.log.last_index()), (3, 3));
}

/// R26 TestProvideSnap2C
#[test]
fn r26_leader_passes_on_the_snapshot_that_it_has_not_persisted_yet() {
    let mut raft = fresh(1, &[1]);
    raft.handle_snapshot(&mut snapshot_message(0, &[1, 2])).unwrap();
    lead(&mut raft);
    sent(&mut raft);
    // Peer 2 needs entry 10, which is folded into the snapshot.
    raft.prs.get_mut(2).unwrap().next = 10;
    raft.prs.get_mut(2).unwrap().recent_active = true;
    send_append(&mut raft, 2);
    let mut proposal = propose(1, "some data");
    proposal.from = 2;
    raft.step(proposal).unwrap();
    let sent = sent(&mut raft);
    assert_eq!(kinds(&sent), [MsgSnapshot]);
    assert_eq!(sent[0].snapshot, Some(snapshot(11, 11, &[1, 2]).into()));
}

/// R27 TestRestoreFromSnapMsg2C
#[test]
fn r27_snapshot_names_the_leader() {
    let mut raft = fresh(2, &[1, 2]);
    raft.step(snapshot_message(2, &[1, 2])).unwrap();
    assert_eq!((raft.leader, raft.term), (1, 2));
}

/// R28 TestRestoreFromSnapWithOverlapingPeersMsg2C
#[test]
fn r28_snapshot_replaces_members_that_overlap() {
    let mut raft = fresh(2, &[1, 2, 3]);
    raft.step(snapshot_message(2, &[2, 3, 4])).unwrap();
    assert_eq!(raft.leader, 1);
    assert_eq!(members(&raft), [2, 3, 4]);
}

/// R29 TestSlowNodeRestore2C
#[test]
fn r29_slow_peer_catches_up_through_a_snapshot() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(3);
    for _ in 0..=100 {
        net.send([propose(1, "")]);
    }
    let leader = &mut net[1];
    next_ents(leader);
    compact_applied(leader);
    net.recover();
    // The answer to the heartbeat tells the leader that peer 3 is back.
    net.send([beat(1)]);
    net.send([propose(1, "")]);
    net.send([propose(1, "")]);
    assert_eq!(net[1].log.committed(), 104);
    assert_eq!(net[3].log.committed(), 104);
}

/// Folds what is applied into a snapshot.
pub(super) fn compact_applied(raft: &mut TestRaft) {
    let applied = raft.log.applied();
    let conf_state = raft.prs.conf_state();
    let storage: &mut MemStorage = raft.log.storage_mut();
    storage.create_snapshot(applied, Some(conf_state), "state").unwrap();
    storage.compact(applied).unwrap();
}
