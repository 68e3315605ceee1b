//! How much memory a world holds after an hour of its time under load: bytes that are allocated, as a
//! program of its own counts them. The allocator's own share comes on top.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use raft_sim::{Command, Op, Scenario, World};

const BYTES_MAX: u64 = 200_000_000;
/// Requests of all clients in a second of a busy world.
const FULL_RATE: u64 = 200;
/// As many of them as a test has time for. They are enough to fill every log and every list that has
/// a bound.
const CHECKED_RATE: u64 = 10;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Request `number`: of six, three write, two read, one removes.
fn op(number: u64) -> Op {
    // Neighbours go to keys that lie apart.
    let key = format!("k{}", number.wrapping_mul(0x9E37_79B9) % 50);
    match number % 6 {
        0 | 1 => Op::Put { key, value: number.to_string() },
        2 => Op::Cas { key, expected: None, new: Some(number.to_string()) },
        3 => Op::Delete { key },
        4 => Op::Get { key },
        _ => Op::Scan { start: key, end: String::new(), limit: 5 },
    }
}

/// What a world holds at most while 50 clients ask so much for so long, in bytes.
fn peak(minutes: u64, requests_per_second: u64) -> u64 {
    let info = allocation_counter::measure(|| {
        let mut scenario = Scenario::new(1);
        scenario.settings.sessions = true;
        let mut world = World::new(&scenario).unwrap();
        for number in 0..minutes * 60 * requests_per_second {
            let command = Command::Request { client: number % 50, op: op(number), to: None };
            world.apply(command).unwrap();
            world.run_until(world.now_us() + SECOND / requests_per_second);
        }
        assert_eq!(world.violation(), None);
        assert!(world.now_us() >= minutes * MINUTE);
        let answered = world.requests().filter(|request| request.outcome.is_some()).count();
        assert!(answered > 900, "{answered} of the last 1,000 requests were answered");
    });
    info.bytes_max
}

#[test]
fn an_hour_under_load_takes_less_than_200_mb() {
    let bytes = peak(60, CHECKED_RATE);
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
}

/// As above, with twenty times as many requests.
///
/// `cargo test --release -p raft-sim --test memory -- --ignored --nocapture`
#[test]
#[ignore = "takes most of a minute"]
fn an_hour_under_full_load_takes_less_than_200_mb() {
    let mut before = 0;
    for minutes in [1, 5, 15, 60] {
        let bytes = peak(minutes, FULL_RATE);
        println!("{minutes} virtual minutes at {FULL_RATE} requests a second: {bytes} bytes");
        assert!(bytes < BYTES_MAX);
        before = if minutes == 60 { before } else { bytes };
        assert!(minutes < 60 || bytes < before + before / 4, "it still grows: {before} to {bytes}");
    }
}
