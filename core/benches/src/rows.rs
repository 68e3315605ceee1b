//! The rows of the table.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;

use crate::ours::{self, Ours};
use crate::theirs::{self, Theirs};
use crate::{Cluster, work};

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What `ours` and `peer` count.
    pub unit: &'static str,
    /// Our figure, the median of all rounds.
    pub ours: f64,
    /// That of raft-rs.
    pub peer: f64,
}

impl Row {
    /// Ours as a share of theirs.
    pub fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    /// As one JSON object.
    pub fn json(&self) -> serde_json::Value {
        let mut object = serde_json::json!({
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ratio(),
        });
        if self.unit == "ns" {
            object["ours_ns"] = self.ours.into();
            object["peer_ns"] = self.peer.into();
        }
        object
    }
}

/// As one line of a table.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, ours, peer } = self;
        write!(f, "{name:<49} {ours:>12.1} {peer:>12.1} {unit:<11} {:>6.3}", self.ratio())
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds of each implementation, alternating.
    pub rounds: usize,
    /// Share of the usual work per round.
    pub scale: f64,
}

impl Effort {
    /// So many, but less with less effort.
    fn of(self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(64)
    }

    /// Medians of the nanoseconds that one piece of `pieces` takes, ours and theirs, in rounds that
    /// alternate.
    fn pair(self, pieces: u64, mut ours: impl FnMut(), mut peer: impl FnMut()) -> (f64, f64) {
        let time = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / pieces as f64
        };
        // One round unmeasured, to fill caches and vectors.
        ours();
        peer();
        let mut figures = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            figures.0.push(time(&mut ours));
            figures.1.push(time(&mut peer));
        }
        (median(figures.0), median(figures.1))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn time(name: String, (ours, peer): (f64, f64)) -> Row {
    Row { name, unit: "ns", ours, peer }
}

/// Measures everything, telling each row as it is known.
pub fn measure(effort: Effort, mut tell: impl FnMut(Row)) {
    for peers in [3, 5] {
        for size in [16, 256, 4096] {
            for burst in [1, 64] {
                tell(commits(effort, peers, size, burst));
            }
        }
    }
    for peers in [3, 5] {
        for size in [16, 256, 4096] {
            tell(batched_commits(effort, peers, size));
        }
    }
    for entries in [1, 64] {
        tell(follower_append(effort, entries));
    }
    tell(idle_ticks(effort));
    tell(bare_ticks(effort));
    tell(election(effort));
    tell(catching_up(effort));
    tell(reads(effort));
    for voters in 1..=11 {
        tell(commit_index(effort, voters));
    }
}

fn commits(effort: Effort, peers: u64, size: usize, burst: u64) -> Row {
    let count = effort.of(if burst == 1 { 10_000 } else { 20_000 }).next_multiple_of(burst);
    let payload = Bytes::from(vec![7; size]);
    let (mut a, mut b) = (Ours::new(peers), Theirs::new(peers));
    let ours = || work::commit(&mut a, &payload, burst, count);
    let figures = effort.pair(count, ours, || work::commit(&mut b, &payload, burst, count));
    let how = if burst == 1 { "one at a time".to_owned() } else { format!("bursts of {burst}") };
    time(format!("commit, {peers} nodes, {size} B, {how}"), figures)
}

/// The same with raft-rs's `batch_append`, which makes one append of a burst, too. It is off by
/// default, and unsafe: see `known_failures_of_raft_rs.rs`.
fn batched_commits(effort: Effort, peers: u64, size: usize) -> Row {
    const BURST: u64 = 64;
    let count = effort.of(20_000).next_multiple_of(BURST);
    let payload = Bytes::from(vec![7; size]);
    let (mut a, mut b) = (Ours::new(peers), Theirs::batching(peers));
    let ours = || work::commit(&mut a, &payload, BURST, count);
    let figures = effort.pair(count, ours, || work::commit(&mut b, &payload, BURST, count));
    time(format!("commit, {peers} nodes, {size} B, both batch {BURST}"), figures)
}

fn follower_append(effort: Effort, entries: u64) -> Row {
    let count = effort.of(20_000 / entries.max(8));
    let mut figures = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        // One follower takes one append after the other; they are used up, so they are made outside
        // of what is measured.
        let (mut follower, appends) = ours::follower_and_appends(count, entries, 256);
        let start = Instant::now();
        for append in appends {
            black_box(ours::step(&mut follower, append));
        }
        figures.0.push(start.elapsed().as_nanos() as f64 / count as f64);
        let (mut follower, appends) = theirs::follower_and_appends(count, entries, 256);
        let start = Instant::now();
        for append in appends {
            black_box(theirs::step(&mut follower, append));
        }
        figures.1.push(start.elapsed().as_nanos() as f64 / count as f64);
    }
    let figures = (median(figures.0), median(figures.1));
    time(format!("a follower handles an append of {entries}"), figures)
}

/// What a driver of many groups does all day: tick each, and ask whether it has something to say.
fn idle_ticks(effort: Effort) -> Row {
    let (mut a, mut b) = idle_groups();
    let ours = |peer: &mut ours::Peer| peer.tick().is_ok() & !peer.has_ready();
    let theirs = |peer: &mut theirs::Peer| peer.tick() & !peer.has_ready();
    let figures = effort.pair(TICKS, || visit(&mut a, ours), || visit(&mut b, theirs));
    time(format!("a tick of {IDLE_GROUPS} idle groups"), figures)
}

/// The tick alone, which is mostly the way to the memory.
fn bare_ticks(effort: Effort) -> Row {
    let (mut a, mut b) = idle_groups();
    let ours = |peer: &mut ours::Peer| peer.tick().is_ok();
    let figures = effort.pair(TICKS, || visit(&mut a, ours), || visit(&mut b, theirs::Peer::tick));
    time(format!("a tick of {IDLE_GROUPS} idle groups that nobody asks"), figures)
}

const IDLE_GROUPS: u64 = 10_000;
/// Ticks in a row: the first of a round finds the caches full of the other's groups.
const TICKS: u64 = 50;

fn idle_groups() -> (Vec<ours::Peer>, Vec<theirs::Peer>) {
    let ours = (0..IDLE_GROUPS).map(ours::idle).collect();
    (ours, (0..IDLE_GROUPS).map(|_| theirs::idle()).collect())
}

fn visit<P>(groups: &mut [P], tick: impl Fn(&mut P) -> bool) {
    for _ in 0..TICKS {
        for peer in groups.iter_mut() {
            black_box(tick(peer));
        }
    }
}

fn election(effort: Effort) -> Row {
    let count = effort.of(1_000);
    let elect = |count: u64| {
        move |campaign: &mut dyn FnMut()| {
            for _ in 0..count {
                campaign();
            }
        }
    };
    let run = elect(count);
    let ours = || {
        run(&mut || {
            let mut cluster = Ours::new(3);
            cluster.campaign_second();
            cluster.pump();
        });
    };
    let theirs = || {
        run(&mut || {
            let mut cluster = Theirs::new(3);
            cluster.campaign_second();
            cluster.pump();
        });
    };
    time("two elections of three new peers".into(), effort.pair(count, ours, theirs))
}

fn catching_up(effort: Effort) -> Row {
    let behind = effort.of(100_000);
    let mut figures = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds.min(5) {
        let mut cluster = work::cluster_with_laggard::<Ours>(behind);
        let start = Instant::now();
        work::catch_up(&mut cluster);
        figures.0.push(start.elapsed().as_nanos() as f64);
        let mut cluster = work::cluster_with_laggard::<Theirs>(behind);
        let start = Instant::now();
        work::catch_up(&mut cluster);
        figures.1.push(start.elapsed().as_nanos() as f64);
    }
    let figures = (median(figures.0), median(figures.1));
    time(format!("a follower catches up {behind} entries"), figures)
}

fn reads(effort: Effort) -> Row {
    let count = effort.of(10_000);
    let (mut a, mut b) = (Ours::new(3), Theirs::new(3));
    let figures = effort.pair(count, || work::read(&mut a, count), || work::read(&mut b, count));
    time("a read-index round of 3 nodes".into(), figures)
}

fn commit_index(effort: Effort, voters: u64) -> Row {
    let count = effort.of(100_000);
    let (mut a, mut b) = (Ours::new(voters), Theirs::new(voters));
    let ours = || {
        for _ in 0..count {
            black_box(black_box(&mut a).quorum_index());
        }
    };
    let theirs = || {
        for _ in 0..count {
            black_box(black_box(&mut b).quorum_index());
        }
    };
    time(format!("commit index of {voters} voters"), effort.pair(count, ours, theirs))
}
