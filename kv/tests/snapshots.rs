//! Log compaction and snapshots in pieces, as a driver sees them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use raft_core::eraftpb::MessageType;
use raft_core::proto::raft_serverpb::{RaftMessage, SnapshotAck, SnapshotProgress};
use raft_kv::{CHUNK_BYTES, Error, LogGc, command};
use support::*;

fn with_gc(limit: u64) -> Group {
    Group::with_config(3, 0, |config| {
        config.log_gc = LogGc { tick_interval: 1, count_limit: limit };
    })
}

/// Writes so much that peer 3, which is cut off, can only catch up by a snapshot.
fn leave_behind(group: &mut Group, values: u64, bytes: usize) {
    group.campaign(1);
    group.put(1, "early", "bird");
    group.cut_off = vec![3];
    let value = "x".repeat(bytes);
    for n in 0..values {
        group.put(1, &format!("k{n:03}"), &value);
    }
    group.ticks(4);
    group.cut_off.clear();
    assert!(group.peer(1).storage().truncated().index > group.peer(3).raft().log().last_index());
}

/// Whatever numbers a message brings, it is refused or answered.
#[test]
fn numbers_at_the_end_of_their_range_are_no_trouble() {
    let numbers = [0, 1, u64::MAX - 1, u64::MAX];
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    let mut pieces = collect_chunks(&mut group);
    let piece = pieces.remove(0);
    for dice in 0..1_024_usize {
        let pick = |place: u32| numbers[(dice >> (2 * place)) % 4];
        let mut chunk = piece.snapshot_chunk.clone().unwrap();
        if pick(0) != 0 {
            (chunk.index, chunk.term) = (pick(0), pick(1));
        }
        (chunk.number, chunk.acknowledged) = (pick(2), pick(3));
        chunk.last = pick(4) == 1;
        let ack = SnapshotAck {
            index: chunk.index,
            term: chunk.term,
            next: pick(2),
            progress: (pick(3) % 3).try_into().unwrap(),
        };
        let chunk = RaftMessage { snapshot_chunk: Some(chunk), ..piece.clone() };
        let _ = group.store(3).step(chunk);
        let ack = RaftMessage {
            snapshot_chunk: None,
            snapshot_ack: Some(ack),
            from_peer: Some(id(3)),
            to_peer: Some(id(1)),
            ..piece.clone()
        };
        let _ = group.store(1).step(ack);
    }
    group.outbox(1);
    group.outbox(3);
    group.ticks(200);
    same_data(&group);
}

fn chunk(message: &RaftMessage) -> Option<u64> {
    message.snapshot_chunk.as_ref().map(|chunk| chunk.number)
}

/// Peers 1 and 3 hold the same data and have applied the same; where their logs begin may differ.
fn same_data(group: &Group) {
    let data = |id: u64| -> Vec<_> {
        let records = group.disks[&id].kv.iter();
        records.filter(|(key, _)| key[0] != 1).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let applied = |id| group.peer(id).storage().applied_index();
    assert_eq!(applied(3), applied(1));
    assert!(data(3) == data(1), "other data");
}

#[test]
fn the_log_stays_within_twice_the_limit_on_every_replica() {
    let mut group = with_gc(10);
    group.campaign(1);
    for n in 0..100 {
        group.put(1, &format!("k{n}"), "v");
        group.ticks(1);
        for id in 1..=3 {
            let storage = group.peer(id).storage();
            assert!(storage.applied_index() - storage.truncated().index <= 20, "n{id}");
        }
    }
    assert!(group.peer(2).storage().truncated().index > 80);
}

/// A leader counts from where its own log begins. One that came with a snapshot begins late, and each
/// such leader would let the logs of the others grow by another limit.
#[test]
fn the_log_stays_within_twice_the_limit_whoever_leads_and_wherever_its_log_begins() {
    let mut group = with_gc(10);
    group.campaign(1);
    for round in 0..6 {
        let (old, new) = (1 + round % 2, 2 - round % 2);
        // The next leader misses a little, and gets a snapshot although the others' logs are short.
        for n in 0..8 {
            group.put(old, &format!("r{round}n{n}"), "v");
        }
        let storage = group.peer(new).storage();
        let (truncated, kept) = (storage.truncated().index, storage.applied_index());
        assert!(kept - truncated <= 20);
        group.restart_with_short_log(new);
        group.campaign(new);
        for id in 1..=3 {
            let storage = group.peer(id).storage();
            let length = storage.applied_index() - storage.truncated().index;
            assert!(length <= 20, "round {round}, n{id}: {length}");
        }
    }
    group.start(3).unwrap();
    let (applied, first) = (group.peer(3).storage().applied_index(), group.peer(3).storage());
    assert!(applied - first.truncated().index >= 10, "it keeps what others may need");
}

#[test]
fn dropping_the_log_is_no_reason_to_drop_it_again() {
    let mut group = with_gc(2);
    group.campaign(1);
    group.put(1, "k", "v");
    group.only(|_| false);
    for _ in 0..5 {
        group.put_later(1, "k", "v");
        group.ticks(1);
    }
    group.only(|_| true);
    group.ticks(10);
    let last = group.peer(1).raft().log().last_index();
    group.ticks(50);
    assert_eq!(group.peer(1).raft().log().last_index(), last);
}

#[test]
fn without_need_the_log_is_kept() {
    let mut group = with_gc(1_000);
    group.campaign(1);
    for n in 0..100 {
        group.put(1, &format!("k{n}"), "v");
    }
    group.ticks(3);
    assert_eq!(group.peer(1).storage().truncated().index, 5);
}

#[test]
fn a_replica_that_was_left_behind_catches_up_by_a_snapshot() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 30, 10);
    group.ticks(12);
    same_data(&group);
    assert_eq!(group.on_disk(3, "k029").as_deref(), Some("xxxxxxxxxx"));
    let truncated = group.peer(3).storage().truncated().index;
    assert!(truncated > 10, "it was a snapshot, not the log");
    group.put(1, "after", "wards");
    assert_eq!(group.on_disk(3, "after").as_deref(), Some("wards"));
    group.start(3).unwrap();
    group.ticks(3);
    same_data(&group);
}

#[test]
fn a_large_snapshot_travels_in_pieces_and_no_faster_than_it_is_answered() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    let under_way = Rc::new(Cell::new((0i64, 0i64)));
    let watch = Rc::clone(&under_way);
    group.only(move |message| {
        let (mut now, mut most) = watch.get();
        if let Some(chunk) = &message.snapshot_chunk {
            assert!(chunk.data.len() == CHUNK_BYTES || chunk.last, "{}", chunk.data.len());
            now += 1;
            most = most.max(now);
        }
        now -= i64::from(message.snapshot_ack.is_some());
        watch.set((now, most));
        true
    });
    group.ticks(12);
    same_data(&group);
    let pieces = group.sent.iter().filter(|message| chunk(message).is_some()).count();
    assert!((15..=25).contains(&pieces), "{pieces} pieces for 1.2 MB");
    assert!(under_way.get().1 <= 4, "{:?}", under_way.get());
    assert_eq!(group.peer(1).transfers().count(), 0, "it is over");
}

#[test]
fn a_lost_piece_is_sent_again_and_an_outage_only_delays() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    let lost = Rc::new(Cell::new(0));
    let counter = Rc::clone(&lost);
    // Every piece is lost once, and so is every third answer.
    let seen = Rc::new(RefCell::new(Vec::new()));
    group.only(move |message| {
        let first = chunk(message).is_some_and(|number| {
            let fresh = !seen.borrow().contains(&number);
            seen.borrow_mut().push(number);
            fresh
        });
        let unlucky = first
            || message.snapshot_ack.is_some() && {
                counter.set(counter.get() + 1);
                counter.get() % 3 == 0
            };
        !unlucky
    });
    group.ticks(700);
    same_data(&group);
    assert!(lost.get() > 10);
}

#[test]
fn after_an_outage_the_transfer_goes_on_where_it_stopped() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    group.only(|message| chunk(message).is_none_or(|number| number < 7));
    group.ticks(12);
    assert_eq!(group.peer(1).transfers().collect::<Vec<_>>(), [(3, 7)]);
    group.sent.clear();
    group.only(|_| true);
    group.ticks(12);
    same_data(&group);
    let first = group.sent.iter().filter_map(chunk).min();
    assert_eq!(first, Some(7), "what had arrived was not sent again");
}

#[test]
fn a_damaged_piece_is_refused_and_sent_again() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    let mut messages = collect_chunks(&mut group);
    let damaged = messages.iter_mut().find(|message| chunk(message) == Some(0)).unwrap();
    let good = damaged.clone();
    let data = &mut damaged.snapshot_chunk.as_mut().unwrap().data;
    let mut bytes = data.to_vec();
    bytes[100] ^= 1;
    *data = bytes.into();
    let refused = group.store(3).step(damaged.clone());
    assert!(matches!(refused, Err(Error::Snapshot(_))), "{refused:?}");
    let wants = |group: &mut Group| group.outbox(3)[0].snapshot_ack.unwrap();
    assert_eq!((wants(&mut group).next, group.peer(3).storage().applied_index() < 20), (0, true));
    group.store(3).step(good).unwrap();
    assert_eq!(wants(&mut group).next, 1);
}

/// The pieces that the leader sends first.
fn collect_chunks(group: &mut Group) -> Vec<RaftMessage> {
    let caught = Rc::new(RefCell::new(Vec::new()));
    let net = Rc::clone(&caught);
    group.only(move |message| {
        if chunk(message).is_some() {
            net.borrow_mut().push(message.clone());
        }
        chunk(message).is_none()
    });
    group.ticks(4);
    group.only(|_| true);
    caught.take()
}

#[test]
fn an_old_snapshot_is_told_to_be_complete_and_moves_nothing_back() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 30, 10);
    let old = collect_chunks(&mut group);
    group.ticks(30);
    group.put(1, "newer", "v");
    let before = (group.peer(3).storage().applied_index(), group.disks[&3].clone());
    for message in old {
        let _ = group.store(3).step(message);
        let acks: Vec<_> = group.outbox(3).iter().filter_map(|m| m.snapshot_ack).collect();
        assert!(acks.iter().all(|ack| ack.progress() == SnapshotProgress::Complete), "{acks:?}");
    }
    group.settle();
    assert_eq!((group.peer(3).storage().applied_index(), group.disks[&3].clone()), before);
}

/// Found by the simulator: the core had the snapshot, the disk was busy, and what came meanwhile threw
/// its records away, so that the peer stopped.
#[test]
fn what_comes_while_a_snapshot_waits_for_the_disk_does_not_take_its_records() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 30, 10);
    let whole = collect_chunks(&mut group).pop().unwrap();
    assert!(whole.message.is_some(), "it is one piece");
    group.store(3).step(whole.clone()).unwrap();
    group.store(3).step(whole.clone()).unwrap();
    let acks: Vec<_> = group.outbox(3).iter().filter_map(|m| m.snapshot_ack).collect();
    assert_eq!(acks[1].progress(), SnapshotProgress::Complete, "{acks:?}");
    let mut newer = whole;
    let chunk = newer.snapshot_chunk.as_mut().unwrap();
    (chunk.index, chunk.last) = (chunk.index + 1, false);
    group.store(3).step(newer).unwrap();
    group.ticks(12);
    same_data(&group);
}

#[test]
fn a_snapshot_message_without_its_pieces_is_refused() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 30, 10);
    let mut last = collect_chunks(&mut group).pop().unwrap();
    assert!(last.message.is_some());
    let mut bare = last.clone();
    bare.snapshot_chunk = None;
    assert!(group.store(3).step(bare).is_err());
    last.message.as_mut().unwrap().snapshot.as_mut().unwrap().metadata.as_mut().unwrap().index += 1;
    assert!(matches!(group.store(3).step(last), Err(Error::Snapshot(_))));
    assert_eq!(group.peer(3).raft().log().last_index(), 7);
}

#[test]
fn heartbeats_do_not_wait_behind_a_snapshot() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    group.only(|message| chunk(message).is_none());
    group.ticks(5);
    group.sent.clear();
    group.ticks(20);
    let beats = group.sent.iter().filter(|message| {
        let kind = message.message.as_deref().map(raft_core::eraftpb::Message::msg_type);
        message.to_peer.unwrap().id == 3 && kind == Some(MessageType::MsgHeartbeat)
    });
    assert_eq!(beats.count(), 10);
    assert_eq!(group.leader(), Some(1));
}

#[test]
fn writes_during_the_transfer_are_not_part_of_the_snapshot_but_follow_it() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 60, 20_000);
    group.only(|message| chunk(message).is_none_or(|number| number < 2));
    group.ticks(3);
    for n in 0..60 {
        group.put(1, &format!("k{n:03}"), "changed");
    }
    let delete = command::delete_range("", "k010", "k020");
    group.run(1, vec![delete]);
    group.only(|_| true);
    group.ticks(40);
    same_data(&group);
}

#[test]
fn sessions_travel_with_the_snapshot() {
    let mut group = with_gc(5);
    group.campaign(1);
    group.cut_off = vec![3];
    let answer = group.run(1, vec![command::open_session()]);
    let client = answer.responses[0].open_session.unwrap().client_id;
    let swap = |group: &Group, to| {
        let swap = command::compare_and_swap("", "n", None, Some("1".into()));
        command::in_session(group.command(to, vec![swap]), client, 1)
    };
    let request = swap(&group, 1);
    group.ask(1, &request).unwrap().unwrap();
    for n in 0..30 {
        group.put(1, &format!("k{n}"), "v");
    }
    group.ticks(4);
    group.cut_off.clear();
    group.ticks(12);
    assert!(group.peer(3).storage().truncated().index > 10);
    group.campaign(3);
    let retry = swap(&group, 3);
    let answer = group.ask(3, &retry).unwrap().unwrap();
    assert!(answer.responses[0].compare_and_swap.as_ref().unwrap().swapped, "the same answer");
}

#[test]
fn a_transfer_that_nobody_answers_is_given_up_and_tried_anew() {
    let mut group = with_gc(5);
    leave_behind(&mut group, 30, 10);
    group.only(|message| message.snapshot_ack.is_none());
    let starts = Rc::new(Cell::new(0));
    let counter = Rc::clone(&starts);
    group.only(move |message| {
        counter.set(counter.get() + u32::from(chunk(message) == Some(0)));
        chunk(message).is_none()
    });
    group.ticks(400);
    assert!(starts.get() > 10, "{starts:?}");
    group.only(|_| true);
    group.ticks(60);
    same_data(&group);
}
