//! A short run of the fuzz targets on a fixed corpus: bytes from a seeded generator, and messages
//! that are almost right. `fuzz/` has the same targets for `cargo fuzz`, which looks for new ones.
//!
//! `FUZZ_INPUTS=5000000 FUZZ_SEED=7 cargo test --release --test fuzz_corpus` runs more, or others.
//! A failing input is printed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bytes;
mod disk;
mod driver;

use std::env;
use std::panic::catch_unwind;
use std::time::Instant;

use prost::Message as _;
use raft_core::eraftpb::{ConfState, Entry, Message, Snapshot, SnapshotMetadata};

/// A generator that is the same everywhere (SplitMix64).
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, count: u64) -> u64 {
        self.number() % count
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[7]
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `target` on so many inputs, and prints one that fails.
fn run(name: &str, target: fn(&[u8]), inputs: u64, input: impl Fn(&mut Draw) -> Vec<u8>) {
    let (start, seed) = (Instant::now(), setting("FUZZ_SEED", 1));
    let mut bytes = 0;
    for number in 0..inputs {
        let input = input(&mut Draw(seed << 40 | number));
        bytes += input.len();
        if catch_unwind(|| target(&input)).is_err() {
            panic!("{name} fails on input {number} of seed {seed}: {input:?}");
        }
    }
    println!("{name}: {inputs} inputs, {bytes} bytes, {:.1?}", start.elapsed());
}

#[test]
fn any_bytes_decoded_and_stepped_leave_a_sound_peer() {
    let input = |draw: &mut Draw| {
        let mut input = draw.bytes(18);
        for _ in 0..draw.below(4) {
            let mut message = any_message(draw).encode_to_vec();
            if draw.below(4) == 0 && !message.is_empty() {
                let place = draw.below(message.len() as u64);
                message[usize::try_from(place).unwrap()] = draw.byte();
            }
            input.push(u8::try_from(message.len().min(255)).unwrap());
            input.extend(message);
        }
        input
    };
    run("decode and step", driver::decode_and_step, setting("FUZZ_INPUTS", 120_000), input);
}

#[test]
fn any_calls_in_any_order_on_a_failing_disk_leave_a_sound_peer() {
    let input = |draw: &mut Draw| {
        let length = 20 + draw.below(400);
        draw.bytes(length)
    };
    run("call sequence", driver::call_sequence, setting("FUZZ_INPUTS", 120_000), input);
}

/// A message with every field set to something.
fn any_message(draw: &mut Draw) -> Message {
    let number = |draw: &mut Draw| match draw.below(40) {
        0 => draw.number(),
        1 => u64::MAX,
        _ => draw.below(9),
    };
    let index = number(draw);
    let mut entries = Vec::new();
    for position in 1..=draw.below(4) {
        let index = if draw.below(9) == 0 { number(draw) } else { index.wrapping_add(position) };
        let length = draw.below(12);
        entries.push(Entry {
            entry_type: i32::try_from(draw.below(4)).unwrap(),
            term: number(draw),
            index,
            data: draw.bytes(length).into(),
            ..Entry::default()
        });
    }
    let snapshot = (draw.below(3) == 0).then(|| any_snapshot(number(draw), number(draw), draw));
    Message {
        msg_type: i32::try_from(draw.below(21)).unwrap() - 1,
        to: if draw.below(20) == 0 { number(draw) } else { 1 },
        from: draw.below(6),
        term: number(draw),
        log_term: number(draw),
        index,
        entries,
        commit: number(draw),
        reject: draw.below(2) == 0,
        reject_hint: number(draw),
        context: draw.bytes(8).into(),
        request_snapshot: if draw.below(5) == 0 { number(draw) } else { 0 },
        commit_term: number(draw),
        priority: 0,
        snapshot,
        ..Message::default()
    }
}

/// A snapshot of some entry, with members that make sense or not.
fn any_snapshot(index: u64, term: u64, draw: &mut Draw) -> Box<Snapshot> {
    let ids = |draw: &mut Draw, most: u64| -> Vec<u64> {
        (0..draw.below(most)).map(|_| draw.below(6)).collect()
    };
    let conf_state = Some(ConfState {
        voters: if draw.below(3) == 0 { ids(draw, 5) } else { vec![1, 2, 3] },
        learners: ids(draw, 3),
        voters_outgoing: ids(draw, 3),
        learners_next: ids(draw, 2),
        auto_leave: draw.below(2) == 0,
    });
    let metadata = (draw.below(9) > 0).then_some(SnapshotMetadata { conf_state, index, term });
    Box::new(Snapshot { data: draw.bytes(4).into(), metadata })
}
