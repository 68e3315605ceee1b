use bytes::Bytes;
use prost::Message;
use raft_core::EntryId;
use raft_core::eraftpb;
use raft_core::proto::metapb::Peer;
use raft_core::proto::raft_serverpb::{
    KeyValue, RaftSnapshotData, SnapshotAck, SnapshotChunk, SnapshotProgress,
};

use super::*;
use crate::engine::{MemEngine, Record};
use crate::keys;

const ID: EntryId = EntryId { term: 7, index: 40 };
const SENDER: u64 = 1;

/// A sender with the view that it reads, and what it has sent.
struct Source {
    engine: MemEngine,
    sender: Sender,
}

impl Source {
    /// `count` records, each of them a piece of its own.
    fn new(count: u8) -> Self {
        Self::with(count, record, encoded(record(0)).len())
    }

    fn with(count: u8, record: fn(u8) -> Record, piece_bytes: usize) -> Self {
        let mut engine: MemEngine = (0..count).map(record).collect();
        let view = engine.open_view([("".into(), "z".into())]);
        let to = Peer { id: 3, store_id: 3, role: 0 };
        let message = eraftpb::Message::default();
        Self { engine, sender: Sender::new(to, ID, message, view, piece_bytes) }
    }

    fn fill(&mut self) -> Vec<SnapshotChunk> {
        let (engine, view) = (&mut self.engine, self.sender.view);
        let pieces = self.sender.fill(|bytes_min| {
            let records = engine.read_view(view, bytes_min);
            Piece { records, last: engine.is_view_at_end(view) }
        });
        pieces.into_iter().map(|(chunk, _)| chunk).collect()
    }
}

fn record(n: u8) -> Record {
    (keys::data("default", &[b'k', n]), Bytes::from(vec![n; 10]))
}

fn encoded((key, value): Record) -> Vec<u8> {
    let data = vec![KeyValue { key: key.to_bytes(), value }];
    RaftSnapshotData { data, ..RaftSnapshotData::default() }.encode_to_vec()
}

fn ack(next: u64, progress: SnapshotProgress) -> SnapshotAck {
    SnapshotAck { index: ID.index, term: ID.term, next, progress: progress.into() }
}

fn wanted(next: u64) -> SnapshotAck {
    ack(next, SnapshotProgress::Wanted)
}

fn numbers(chunks: &[SnapshotChunk]) -> Vec<u64> {
    chunks.iter().map(|chunk| chunk.number).collect()
}

#[test]
fn the_window_moves_with_the_answers_and_the_message_comes_last() {
    let mut source = Source::new(6);
    assert_eq!(numbers(&source.fill()), [0, 1, 2, 3]);
    assert_eq!(numbers(&source.fill()), [0; 0], "the window is full");
    assert_eq!(source.sender.acknowledged(&wanted(2)), Transfer::Continues);
    let last = source.fill();
    assert_eq!(numbers(&last), [4, 5]);
    assert_eq!(last.iter().map(|chunk| chunk.last).collect::<Vec<_>>(), [false, true]);
    assert_eq!(source.sender.acknowledged(&wanted(1)), Transfer::Continues, "a late answer");
    assert_eq!(source.sender.acknowledged(&wanted(99)), Transfer::Finished);
}

#[test]
fn an_empty_snapshot_is_one_piece() {
    let mut source = Source::new(0);
    let only = source.fill();
    assert_eq!((only.len(), only[0].last), (1, true));
    assert_eq!(source.sender.acknowledged(&wanted(1)), Transfer::Finished);
}

#[test]
fn silence_brings_the_pieces_again_and_in_the_end_gives_up() {
    let mut source = Source::new(9);
    source.fill();
    source.sender.acknowledged(&wanted(1));
    let mut again = 0;
    let end = loop {
        match source.sender.tick(10) {
            Ok(pieces) if pieces.is_empty() => {}
            Ok(pieces) => {
                let chunks: Vec<_> = pieces.into_iter().map(|(chunk, _)| chunk).collect();
                assert_eq!(numbers(&chunks), [1, 2, 3]);
                again += 1;
            }
            Err(end) => break end,
        }
    };
    assert_eq!((again, end), (10, Transfer::Failed));
}

#[test]
fn answers_of_other_transfers_change_nothing_and_bad_ones_end_it() {
    let mut source = Source::new(9);
    source.fill();
    let other = SnapshotAck { index: 41, ..ack(0, SnapshotProgress::Complete) };
    assert_eq!(source.sender.acknowledged(&other), Transfer::Continues);
    let refused = ack(0, SnapshotProgress::Refused);
    assert_eq!(source.sender.acknowledged(&refused), Transfer::Failed);
    source.sender.acknowledged(&wanted(2));
    let complete = ack(9, SnapshotProgress::Complete);
    assert_eq!(source.sender.acknowledged(&complete), Transfer::Finished);
}

#[test]
fn whatever_the_order_the_records_arrive_whole() {
    for seed in 0..200u64 {
        let mut dice = seed;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (dice >> 33) % sides
        };
        let mut source = Source::new(20);
        let mut receiver = Receiver::default();
        let mut under_way = source.fill();
        let mut over = false;
        for _ in 0..10_000 {
            if over || under_way.is_empty() {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "an index")]
            let chosen = roll(under_way.len() as u64) as usize;
            // Some pieces arrive twice, and some answers are lost; lost pieces come again.
            let chunk = match roll(3) {
                0 => under_way[chosen].clone(),
                _ => under_way.swap_remove(chosen),
            };
            let received = receiver.receive(&chunk, SENDER, true);
            if roll(4) > 0 {
                over = source.sender.acknowledged(&received.ack) == Transfer::Finished;
                under_way.extend(source.fill());
            }
            if under_way.is_empty() {
                for _ in 0..10 {
                    let again = source.sender.tick(10).unwrap_or_default();
                    under_way.extend(again.into_iter().map(|(chunk, _)| chunk));
                }
            }
        }
        receiver.accept(ID);
        let records = receiver.take(ID).unwrap_or_else(|| panic!("seed {seed}: incomplete"));
        assert_eq!(records.len(), 20, "seed {seed}");
        let sorted = records.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(sorted, "seed {seed}");
        assert_eq!(receiver.take(ID), None, "taken once");
    }
}

#[test]
fn damage_is_noticed_piece_by_piece_and_in_the_whole() {
    let mut source = Source::new(3);
    let chunks = source.fill();
    let mut receiver = Receiver::default();
    let mut damaged = chunks[0].clone();
    damaged.checksum ^= 1;
    let received = receiver.receive(&damaged, SENDER, true);
    assert_eq!((received.ack, received.refused), (wanted(0), Some("its checksum is wrong")));
    receiver.receive(&chunks[0], SENDER, true);
    receiver.receive(&chunks[1], SENDER, true);
    // A piece that is whole but belongs into another snapshot.
    let mut other = chunks[2].clone();
    other.total_checksum ^= 1;
    let received = receiver.receive(&other, SENDER, true);
    assert_eq!(received.ack, ack(0, SnapshotProgress::Refused));
    assert!(!received.complete);
    receiver.accept(ID);
    assert_eq!(receiver.take(ID), None);
}

#[test]
fn pieces_out_of_turn_are_told_which_one_is_wanted() {
    let mut source = Source::new(9);
    let chunks = source.fill();
    let mut receiver = Receiver::default();
    assert_eq!(receiver.receive(&chunks[1], SENDER, true).ack, wanted(0));
    receiver.receive(&chunks[0], SENDER, true);
    assert_eq!(receiver.receive(&chunks[3], SENDER, true).ack, wanted(1));
    assert_eq!(receiver.receive(&chunks[0], SENDER, true).ack, wanted(1), "a copy");
    let known = receiver.receive(&chunks[1], SENDER, false);
    assert_eq!(known.ack.progress(), SnapshotProgress::Complete, "no longer needed");
}

#[test]
fn another_leaders_snapshot_takes_the_place_of_an_abandoned_one() {
    let mut old = Source::new(9);
    let mut receiver = Receiver::default();
    receiver.receive(&old.fill()[0], SENDER, true);
    let mut new = Source::new(2);
    for chunk in new.fill() {
        receiver.receive(&chunk, 2, true);
    }
    receiver.accept(ID);
    assert_eq!(receiver.take(ID).map(|records| records.len()), Some(2));
    receiver.receive(&Source::new(9).fill()[0], SENDER, true);
    receiver.drop_stale(ID.index);
    assert_eq!(receiver.receive(&Source::new(9).fill()[1], SENDER, true).ack, wanted(0));
}

#[test]
fn what_was_accepted_stays_until_it_is_installed() {
    let mut source = Source::new(2);
    let chunks = source.fill();
    let mut receiver = Receiver::default();
    for chunk in &chunks {
        receiver.receive(chunk, SENDER, true);
    }
    assert_eq!(receiver.take(ID), None, "its message was not handled");
    receiver.accept(ID);
    // The disk is slow: before it is installed, copies of its pieces come, and another snapshot.
    receiver.drop_stale(ID.index);
    let copy = receiver.receive(&chunks[1], SENDER, false);
    assert_eq!((copy.ack.progress(), copy.complete), (SnapshotProgress::Complete, false));
    let newer = SnapshotChunk { index: ID.index + 1, ..chunks[0].clone() };
    receiver.receive(&newer, SENDER, true);
    assert_eq!(receiver.take(ID).map(|records| records.len()), Some(2));
}

#[test]
fn an_answer_that_comes_late_ends_no_transfer() {
    let mut source = Source::new(9);
    let chunks = source.fill();
    let mut receiver = Receiver::default();
    // The second piece overtakes the first, and its answer is overtaken in turn.
    let late = receiver.receive(&chunks[1], SENDER, true).ack;
    assert_eq!(late, wanted(0));
    let first = receiver.receive(&chunks[0], SENDER, true).ack;
    assert_eq!(source.sender.acknowledged(&first), Transfer::Continues);
    assert_eq!(source.sender.acknowledged(&late), Transfer::Continues);
    assert_eq!(source.sender.done(), 1);
}

#[test]
fn a_receiver_that_lost_what_it_acknowledged_says_so() {
    let mut source = Source::new(9);
    let chunks = source.fill();
    let mut receiver = Receiver::default();
    for chunk in &chunks[..2] {
        source.sender.acknowledged(&receiver.receive(chunk, SENDER, true).ack);
    }
    let fourth = source.fill();
    assert_eq!((fourth[0].number, fourth[0].acknowledged), (4, 2));
    // It crashed; what it gets then may be anything.
    for known in 0..2 {
        let mut receiver = Receiver::default();
        for chunk in &chunks[..known] {
            receiver.receive(chunk, SENDER, true);
        }
        let received = receiver.receive(&fourth[0], SENDER, true);
        assert_eq!(received.ack.progress(), SnapshotProgress::Refused, "{known}");
        assert_eq!(source.sender.clone().acknowledged(&received.ack), Transfer::Failed);
        let again = Source::new(9).fill();
        assert_eq!(receiver.receive(&again[0], SENDER, true).ack, wanted(1), "from the start");
    }
    // Pieces that are sent again say what was acknowledged meanwhile.
    let mut again = Vec::new();
    while again.is_empty() {
        again = source.sender.tick(10).unwrap();
    }
    assert!(again.iter().all(|(chunk, _)| chunk.acknowledged == 2));
}

#[test]
fn a_piece_with_the_largest_number_is_answered_like_any_other() {
    let mut receiver = Receiver::default();
    let piece = Source::new(1).fill().remove(0);
    let far = SnapshotChunk { number: u64::MAX, acknowledged: u64::MAX, ..piece };
    let stale = receiver.receive(&far, SENDER, false);
    assert_eq!(stale.ack, ack(u64::MAX, SnapshotProgress::Complete));
    let received = receiver.receive(&far, SENDER, true);
    assert_eq!(received.ack.progress(), SnapshotProgress::Refused);
    let far = SnapshotChunk { acknowledged: 0, ..far };
    assert_eq!(receiver.receive(&far, SENDER, true).ack, wanted(0));
    let mut source = Source::new(9);
    source.fill();
    assert_eq!(source.sender.acknowledged(&wanted(u64::MAX)), Transfer::Continues);
    assert_eq!(source.sender.done(), 4, "what was made, and no more");
}

#[test]
fn a_snapshot_with_keys_that_are_not_state_is_refused_whole() {
    let foreign = |n: u8| match n {
        0 => (keys::apply_state(1), Bytes::from(vec![n; 10])),
        n => record(n),
    };
    let mut source = Source::with(3, foreign, 1_000);
    let mut receiver = Receiver::default();
    let received = receiver.receive(&source.fill()[0], SENDER, true);
    assert_eq!(received.ack.progress(), SnapshotProgress::Refused);
    assert_eq!(
        (received.complete, received.refused),
        (false, Some("it has keys that are not state"))
    );
    receiver.accept(ID);
    assert_eq!(receiver.take(ID), None);
}

#[test]
fn a_large_value_travels_in_pieces_of_the_size_of_all_others() {
    let large = |n: u8| (keys::data("default", &[b'k', n]), Bytes::from(vec![n; 1_000_000]));
    let mut source = Source::with(3, large, CHUNK_BYTES);
    let mut receiver = Receiver::default();
    let mut pieces = 0;
    let mut over = false;
    while !over {
        for chunk in source.fill() {
            pieces += 1;
            assert!(chunk.data.len() == CHUNK_BYTES || chunk.last, "{}", chunk.data.len());
            let ack = receiver.receive(&chunk, SENDER, true).ack;
            over = source.sender.acknowledged(&ack) == Transfer::Finished;
        }
    }
    assert_eq!(pieces, 3_000_051_usize.div_ceil(CHUNK_BYTES));
    receiver.accept(ID);
    let records = receiver.take(ID).unwrap();
    assert_eq!(records, (0..3).map(large).collect::<Vec<_>>());
}
