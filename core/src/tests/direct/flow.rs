//! Limits: how much is on its way to a follower, how much may be uncommitted, and how much is
//! applied at once.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::eraftpb::{Entry, HardState, Message};
use crate::error::{DropReason, Error};
use crate::tests::harness::*;
use crate::{Appends, Config, MemStorage, ProgressState, RawNode};

fn ack(from: u64, index: u64) -> Message {
    Message { term: 1, index, ..msg(MsgAppendResponse, from, 1) }
}

fn alive(from: u64) -> Message {
    Message { term: 1, ..msg(MsgHeartbeatResponse, from, 1) }
}

/// A leader of two with windows of three appends, each proposal in an append of its own.
fn windowed() -> TestRaft {
    let mut raft = peer_with(1, &[1, 2], |config| config.max_inflight_msgs = 3);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    raft
}

/// Proposes once and returns how many appends that sends.
fn propose_one(raft: &mut TestRaft) -> usize {
    raft.step(propose(1, "data")).unwrap();
    appends(raft).len()
}

/// The indices of the appends in the outbox, with how many entries each has.
fn appends(raft: &mut TestRaft) -> Vec<(u64, usize)> {
    let sent = sent(raft).into_iter().filter(|m| kind(m) == MsgAppend);
    sent.map(|m| (m.index, m.entries.len())).collect()
}

/// etcd TestMsgAppFlowControlFull
#[test]
fn direct_full_window_holds_appends_back() {
    let mut raft = windowed();
    for _ in 0..3 {
        assert_eq!(propose_one(&mut raft), 1);
    }
    assert!(raft.prs.get(2).unwrap().inflights.is_full());
    for _ in 0..10 {
        assert_eq!(propose_one(&mut raft), 0);
    }
}

/// etcd TestMsgAppFlowControlMoveForward: acknowledgements open the window, old ones do not.
#[test]
fn direct_acknowledgements_move_the_window_forward() {
    let mut raft = windowed();
    for _ in 0..3 {
        propose_one(&mut raft);
    }
    // Appends 2, 3 and 4 are in flight, one entry each.
    for oldest in 2..20 {
        raft.step(ack(2, oldest - 1)).unwrap();
        assert_eq!(propose_one(&mut raft), 0, "an old one frees nothing");
        raft.step(ack(2, oldest)).unwrap();
        assert_eq!(appends(&mut raft), [(oldest + 2, 1)], "one frees one");
        assert!(raft.prs.get(2).unwrap().inflights.is_full());
    }
}

/// etcd TestMsgAppFlowControlRecvHeartbeat: a sign of life allows one empty append, to find out
/// whether those in flight are lost.
#[test]
fn direct_full_window_is_probed_once_for_every_sign_of_life() {
    let mut raft = windowed();
    for _ in 0..3 {
        propose_one(&mut raft);
    }
    for _ in 0..5 {
        raft.step(alive(2)).unwrap();
        assert_eq!(appends(&mut raft), [(4, 0)], "empty");
        for _ in 0..3 {
            assert_eq!(propose_one(&mut raft), 0);
        }
    }
    raft.step(ack(2, 4)).unwrap();
    assert_eq!(appends(&mut raft), [(4, 15)]);
}

/// The window in bytes: full as soon as it carries so many, whatever their number.
#[test]
fn direct_window_is_full_by_bytes_too() {
    let mut raft = peer_with(1, &[1, 2], |config| {
        (config.max_size_per_msg, config.max_inflight_bytes) = (100, 100);
    });
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for _ in 0..3 {
        raft.step(propose_bytes(40)).unwrap();
        assert_eq!(appends(&mut raft).len(), 1);
    }
    raft.step(propose_bytes(1)).unwrap();
    assert_eq!(appends(&mut raft), [], "120 bytes are on their way");
    raft.step(ack(2, 2)).unwrap();
    assert_eq!(appends(&mut raft).len(), 1, "80 bytes are");
    assert_eq!(raft.prs.get(2).unwrap().inflights.bytes(), 81);
}

fn propose_bytes(count: usize) -> Message {
    let data = Bytes::from(vec![7; count]);
    Message { entries: vec![Entry { data, ..Entry::default() }], ..msg(MsgPropose, 1, 1) }
}

/// An entry larger than every limit is sent all the same, by itself.
#[test]
fn direct_entry_larger_than_all_limits_is_sent_by_itself() {
    let mut raft = peer_with(1, &[1, 2], |config| {
        (config.max_size_per_msg, config.max_inflight_bytes) = (100, 100);
    });
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for size in [5, 5_000, 5] {
        raft.step(propose_bytes(size)).unwrap();
    }
    assert_eq!(appends(&mut raft), [(1, 1), (2, 1)], "and then the window is full");
    raft.step(ack(2, 3)).unwrap();
    assert_eq!(appends(&mut raft), [(3, 1)]);
}

/// etcd TestUncommittedEntryLimit, TestRawNodeBoundedLogGrowthWithPartition
#[test]
fn direct_uncommitted_payload_is_limited_and_released_when_applied() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| config.max_uncommitted_size = 100);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for _ in 0..10 {
        raft.step(propose_bytes(10)).unwrap();
    }
    let full = DropReason::UncommittedSize { proposed: 10, uncommitted: 100, max: 100 };
    assert_eq!(raft.step(propose_bytes(10)).map(drop), Err(Error::ProposalDropped(full)));
    // Entries without payload always go: they end elections and joint configurations.
    raft.step(propose_bytes(0)).unwrap();
    assert_eq!(raft.uncommitted_size, 100);
    sent(&mut raft);
    raft.step(ack(2, 11)).unwrap();
    let applied = crate::Receipt::Applied { index: 11, size: 0, payload: 100 };
    raft.receive(applied).unwrap();
    assert_eq!(raft.uncommitted_size, 0);
    raft.step(propose_bytes(10)).unwrap();
}

/// One proposal of any size is taken when nothing is uncommitted; a batch counts as one.
#[test]
fn direct_single_proposal_may_exceed_the_limit_of_uncommitted_payload() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| config.max_uncommitted_size = 100);
    lead(&mut raft);
    raft.step(propose_bytes(1_000)).unwrap();
    assert!(raft.step(propose_bytes(1)).is_err());
    let one = propose_bytes(1).entries.remove(0);
    let batch = Message { entries: vec![one; 5], ..msg(MsgPropose, 1, 1) };
    assert!(raft.step(batch).is_err());
    assert_eq!((raft.log.last_index(), raft.uncommitted_size), (2, 1_000));
}

/// Through the whole loop, and over changes of leadership: nothing leaks.
#[test]
fn direct_uncommitted_size_does_not_leak() {
    let config = Config { max_uncommitted_size: 64, ..config(1, &[1]) };
    let mut node = RawNode::new(&config, crate::MemStorage::new()).unwrap();
    for round in 0..20 {
        node.campaign().unwrap();
        settle(&mut node);
        for _ in 0..4 {
            node.propose(vec![1; 16]).unwrap();
        }
        assert!(node.propose(vec![1; 16]).is_err(), "{round}");
        if round % 3 == 0 {
            // The rest of it is applied as a follower.
            let term = node.raft().term() + 1;
            node.step(Message { term, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
        }
        settle(&mut node);
        assert_eq!(node.raft().uncommitted_size, 0, "{round}");
    }
}

/// A follower has no such limit of its own.
#[test]
fn direct_limit_of_uncommitted_payload_does_not_bind_followers() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| config.max_uncommitted_size = 10);
    raft.become_follower(1, 2);
    for _ in 0..5 {
        raft.step(propose_bytes(100)).unwrap();
    }
    assert_eq!(kinds(&sent(&mut raft)), [MsgPropose; 5]);
    let entries = (1..=5).map(|i| Entry { data: vec![0; 100].into(), ..entry(1, i) }).collect();
    raft.step(Message { term: 1, entries, ..msg(MsgAppend, 2, 1) }).unwrap();
    assert_eq!(raft.log.last_index(), 5);
}

/// etcd TestRawNodeCommitPaginationAfterRestart: a long log is applied in pages, none is skipped.
#[test]
fn direct_committed_entries_are_handed_out_in_pages() {
    let mut storage = crate::MemStorage::new();
    let page = |index| Entry { data: vec![0; 100].into(), ..entry(1, index) };
    let entries: Vec<_> = (1..=11).map(page).collect();
    storage.append(&entries).unwrap();
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 10 });
    let config = Config { max_committed_size_per_ready: 350, ..config(1, &[1]) };
    let mut node = RawNode::new(&config, storage).unwrap();
    let mut given = Vec::new();
    let mut pages = 0;
    while node.has_ready() {
        let ready = turn(&mut node);
        pages += 1;
        let bytes: usize = ready.committed_entries.iter().map(|e| e.data.len()).sum();
        assert!(bytes <= 350);
        given.extend(ready.committed_entries);
    }
    assert_eq!((given, pages), (entries[..10].to_vec(), 4));
}

/// Without a limit of its own the size of a message is the limit.
#[test]
fn direct_pages_are_as_large_as_messages_by_default() {
    let mut storage = terms(&[1; 5]);
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 5 });
    let config = Config { max_size_per_msg: 0, ..config(1, &[1]) };
    let mut node = RawNode::new(&config, storage).unwrap();
    for index in 1..=5 {
        assert_eq!(turn(&mut node).committed_entries, [entry(1, index)]);
    }
    assert!(!node.has_ready());
}

/// etcd TestSendAppendForProgressProbe: one append for each sign of life.
#[test]
fn direct_probe_sends_one_append_for_each_sign_of_life() {
    let mut raft = leader(1, &[1, 2]);
    assert_eq!(appends(&mut raft), [(0, 1)]);
    for _ in 0..3 {
        for _ in 0..5 {
            assert_eq!(propose_one(&mut raft), 0);
        }
        tick(&mut raft, 1);
        assert_eq!(kinds(&sent(&mut raft)), [MsgHeartbeat]);
        raft.step(alive(2)).unwrap();
        assert_eq!(appends(&mut raft).len(), 1);
    }
}

/// etcd TestRecvMsgUnreachable, TestPendingSnapshotPauseReplication in the order here.
#[test]
fn direct_unreachable_report_turns_replication_into_a_probe() {
    let mut raft = windowed();
    propose_one(&mut raft);
    assert_eq!(raft.prs.get(2).unwrap().next, 3);
    raft.report_unreachable(2);
    let progress = raft.prs.get(2).unwrap();
    assert_eq!((progress.state, progress.next), (ProgressState::Probe, 2));
    for stranger in [0, 1, 9] {
        raft.report_unreachable(stranger);
    }
}

/// raft-rs test_bcast_commit / `skip_bcast_commit`
#[test]
fn direct_commit_index_waits_for_the_next_entries_if_it_is_not_broadcast() {
    for appends_are in [Appends::Coalesced, Appends::Eager] {
        let mut raft = peer_with(1, &[1, 2, 3], |config| {
            (config.broadcast_commit, config.appends) = (false, appends_are);
        });
        lead(&mut raft);
        sent(&mut raft);
        raft.step(ack(2, 1)).unwrap();
        raft.step(ack(3, 1)).unwrap();
        assert_eq!(raft.log.committed(), 1);
        assert_eq!(sent(&mut raft), [], "{appends_are:?}");
        raft.step(propose(1, "data")).unwrap();
        let commits: Vec<_> = sent(&mut raft).iter().map(|m| m.commit).collect();
        assert_eq!(commits, [1, 1]);
        tick(&mut raft, 1);
        assert_eq!(sent(&mut raft).iter().map(|m| m.commit).collect::<Vec<_>>(), [1, 1]);
    }
}

/// Eager appends leave at each proposal, as etcd's do, and end in the same logs.
#[test]
fn direct_eager_and_coalesced_appends_end_in_the_same_logs() {
    let run = |appends| {
        let mut net = network_with(3, |config| config.appends = appends);
        net.send([hup(1)]);
        let before = net.count_delivered(MsgAppend);
        for _ in 0..5 {
            net[1].step(propose(1, "data")).unwrap();
        }
        net.send([beat(1)]);
        let logs: Vec<_> = net.live().map(log_text).collect();
        (logs, net.count_delivered(MsgAppend) - before)
    };
    let (eager_logs, eager_appends) = run(Appends::Eager);
    let (coalesced_logs, coalesced_appends) = run(Appends::Coalesced);
    assert_eq!(eager_logs, coalesced_logs);
    assert!(coalesced_appends < eager_appends, "{coalesced_appends} {eager_appends}");
}

/// Forwarding may be switched off.
#[test]
fn direct_follower_drops_proposals_if_it_may_not_forward_them() {
    let mut raft = peer_with(1, &[1, 2], |config| config.forward_proposals = false);
    raft.become_follower(1, 2);
    let reason = DropReason::ForwardingDisabled(2);
    assert_eq!(raft.step(propose(1, "data")), Err(Error::ProposalDropped(reason)));
    assert_eq!(sent(&mut raft), []);
}

/// What a leader inherits never counted as uncommitted, so it must not be taken off again: the
/// limit is about what it takes on itself.
#[test]
fn direct_inherited_entries_do_not_make_room_for_more_proposals() {
    let mut storage = MemStorage::new();
    let inherited =
        |index| Entry { term: 1, index, data: "x".repeat(100).into(), ..Entry::default() };
    storage.append(&(1..=10).map(inherited).collect::<Vec<_>>()).unwrap();
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 0 });
    let pages = 250;
    let config = Config {
        max_uncommitted_size: 100,
        max_committed_size_per_ready: pages,
        ..config(1, &[1, 2, 3])
    };
    let mut node = RawNode::new(&config, storage).unwrap();
    node.campaign().unwrap();
    node.step(Message { term: 2, ..vote_answer(2, 2, true) }).unwrap();
    settle(&mut node);
    node.step(Message { term: 2, index: 11, ..msg(MsgAppendResponse, 2, 1) }).unwrap();
    let mut taken = 0;
    for _ in 0..8 {
        while node.propose("y".repeat(60)).is_ok() {
            taken += 60;
        }
        if node.has_ready() {
            turn(&mut node);
        }
    }
    assert_eq!(taken, 60, "a second one would exceed the limit");
}

/// A driver that is busy for long finds one heartbeat for each peer, not one for each tick.
#[test]
fn direct_heartbeats_do_not_pile_up_while_nobody_asks() {
    let mut node = node(1, &[1, 2, 3]);
    node.campaign().unwrap();
    settle(&mut node);
    node.step(vote_answer(2, 1, true)).unwrap();
    settle(&mut node);
    for _ in 0..10_000 {
        node.tick().unwrap();
    }
    assert_eq!(kinds(&node.ready().unwrap().messages), [MsgHeartbeat, MsgHeartbeat]);
}
