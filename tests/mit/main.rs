//! The tests of MIT 6.824's lab 2, parts A to D, on this core and in virtual time, with the limits
//! of the originals: seconds to elect, messages to elect and to agree, bytes, size of what is kept
//! on disk.
//!
//! They are written from a description of each test, in the order of its steps. What the lab asks
//! of a Raft is mapped like this:
//!
//! | the lab's | here |
//! | --- | --- |
//! | `Make`, `Kill` | a `RawNode<MemStorage>` is made from the disk, or dropped |
//! | `Start` | `propose`, with `forward_proposals` off |
//! | `applyCh` | `committed_entries` and `snapshot` of a `Ready` |
//! | `Persister` | a disk outside the peer: what a `Ready` asks for is there before its messages leave |
//! | `Snapshot(index)` | `create_snapshot` and `compact` on the disk |
//! | `CondInstallSnapshot` | the core's own check that a snapshot is news; the applier refuses one that is not |
//! | an RPC | a request and the answers that it leads to (see [`network`]) |
//! | a goroutine | a task of [`time`], where nobody waits but for virtual time |
//!
//! The lab's logs hold nothing but commands, and its first command has index 1. A leader of this
//! core begins its term with an empty entry. So the harness counts commands: the index that `Start`
//! returns, and the one that the applier sees, is the number of commands in the log up to there.
//! Logs that agree on their entries agree on that number too, whatever is compacted, and the tests
//! keep the numbers of the originals.
//!
//! Each test plays 20 seeds. `MIT_SEEDS=1000 cargo test --release --test mit` plays more,
//! `MIT_FIRST=7` begins at another one. Seeds differ in more than chance: see [`world::Setup`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agreement;
mod broken;
mod churn;
#[path = "../chaos/draw.rs"]
mod draw;
mod elections;
mod network;
mod persistence;
mod server;
mod snapshots;
mod tester;
mod time;
mod world;

use std::env;
use std::future::Future;
use std::panic::catch_unwind;
use std::time::Instant;

use tester::Tester;
use world::Setup;

/// The longest that a test may take, in virtual time.
const TIME_MAX_MS: u64 = 120_000;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Plays one seed of a test. Returns how long it took in virtual time, in milliseconds.
fn play<F: Future<Output = ()> + 'static>(
    seed: u64,
    setup: &Setup,
    test: impl Fn(Tester) -> F,
) -> u64 {
    let tester = Tester::new(seed, setup);
    time::run(&tester.shared(), test(tester.clone()));
    tester.now_ms()
}

/// Plays a test with as many seeds as are asked for.
fn holds<F: Future<Output = ()> + 'static>(setup: Setup, test: fn(Tester) -> F) {
    let (start, first) = (Instant::now(), setting("MIT_FIRST", 1));
    let seeds = setting("MIT_SEEDS", 20);
    let (mut total, mut longest) = (0, 0);
    for seed in first..first + seeds {
        let Ok(took) = catch_unwind(|| play(seed, &setup, test)) else {
            panic!("seed {seed} fails: MIT_FIRST={seed} MIT_SEEDS=1 plays it alone");
        };
        (total, longest) = (total + took, longest.max(took));
    }
    let (mean, time) = (total / seeds.max(1), start.elapsed());
    println!("{seeds} seeds, {mean} ms virtual each, {longest} at most; took {time:.1?}");
}
