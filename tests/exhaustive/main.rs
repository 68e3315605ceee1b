//! Small worlds, searched exhaustively: three peers, a few terms and entries, and every
//! interleaving of deliveries, losses, repetitions, time-outs and crashes up to a depth.
//!
//! Figures are printed with `--nocapture`. To go deeper than by default, set the most states that a
//! search may hold (about 300 bytes each):
//!
//! ```text
//! EXHAUSTIVE_STATES=20000000 \
//!     cargo test --release --test exhaustive -- --nocapture --test-threads 1
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broken;
mod peer;
mod world;

use std::env;
use std::time::Instant;

use raft_core::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    HardState,
};
use raft_core::{MemStorage, Rules};

use peer::Setup;
use world::{Bounds, Report, Search};

/// Nothing is broken, and disks are quick.
fn sound() -> Setup {
    Setup {
        rules: Rules::default(),
        slow_disk: false,
        lying_disk: false,
        pre_vote: false,
        check_quorum: false,
        change: ConfChangeV2::default(),
    }
}

/// Two terms, and at most three entries: each leader's first and one command.
fn small() -> Bounds {
    let states = env::var("EXHAUSTIVE_STATES").ok().and_then(|text| text.parse().ok());
    Bounds {
        led: false,
        max_term: 2,
        proposals: 1,
        changes: 0,
        reads: 0,
        transfers: 0,
        crashes: 0,
        beats: 0,
        max_states: states.unwrap_or(300_000),
    }
}

/// A disk with one entry for each term, of a peer that has reached `term`.
fn disk(terms: &[u64], term: u64) -> MemStorage {
    let mut disk = MemStorage::new();
    disk.set_conf_state(ConfState { voters: vec![1, 2, 3], ..ConfState::default() });
    let entry = |(&term, index)| Entry { term, index, ..Entry::default() };
    disk.append(&terms.iter().zip(1..).map(entry).collect::<Vec<_>>()).unwrap();
    disk.set_hard_state(HardState { term, ..HardState::default() });
    disk
}

fn empty() -> [MemStorage; 3] {
    [(); 3].map(|()| disk(&[], 0))
}

/// Figure 8 of the paper where it becomes dangerous, with one peer less on either side: the first
/// peer has an entry of term 1 that the second never got, the third one of term 2.
fn figure_8() -> ([MemStorage; 3], Bounds) {
    let bounds = Bounds { max_term: 4, proposals: 0, ..small() };
    ([disk(&[1], 2), disk(&[], 2), disk(&[2], 2)], bounds)
}

/// From two voters to the third peer, through a joint configuration that is left by itself.
fn change_of_all() -> ([MemStorage; 3], Bounds, ConfChangeV2) {
    let single =
        |kind: ConfChangeType, node_id| ConfChangeSingle { change_type: kind.into(), node_id };
    let change = ConfChangeV2 {
        transition: ConfChangeTransition::Implicit.into(),
        changes: vec![
            single(ConfChangeType::RemoveNode, 1),
            single(ConfChangeType::RemoveNode, 2),
            single(ConfChangeType::AddNode, 3),
        ],
        ..ConfChangeV2::default()
    };
    let mut disks = empty();
    for disk in &mut disks {
        disk.set_conf_state(ConfState { voters: vec![1, 2], ..ConfState::default() });
    }
    (disks, Bounds { changes: 1, proposals: 0, max_term: 3, ..small() }, change)
}

fn search(name: &str, setup: Setup, bounds: Bounds, disks: [MemStorage; 3]) -> Report {
    let start = Instant::now();
    let report = Search::new(setup, bounds).run(disks);
    let Report { states, steps, parts: (peers, messages), depth, .. } = report;
    println!(
        "{name}: {states} states to depth {depth}, {steps} steps, {peers} states of peers, \
         {messages} messages, {:.1?}",
        start.elapsed()
    );
    if let Some((what, path)) = &report.violation {
        println!("  {what}\n    {}", path.join("\n    "));
    }
    report
}

/// Searches a world that must be safe, at least so deep and so far.
fn holds(name: &str, setup: Setup, bounds: Bounds, disks: [MemStorage; 3], depth: u32) {
    let report = search(name, setup, bounds, disks);
    assert_eq!(report.violation, None);
    assert!(report.depth >= depth, "{name}: only to depth {}", report.depth);
    assert!(report.states >= 200_000, "{name}: only {} states", report.states);
}

#[test]
fn every_interleaving_of_two_terms_is_safe() {
    holds("two terms", sound(), small(), empty(), 10);
}

#[test]
fn every_interleaving_after_an_election_is_safe() {
    let bounds = Bounds { led: true, max_term: 3, proposals: 2, ..small() };
    holds("after an election", sound(), bounds, empty(), 8);
}

#[test]
fn every_interleaving_with_heartbeats_is_safe() {
    let bounds = Bounds { beats: 2, proposals: 0, ..small() };
    holds("heartbeats", sound(), bounds, empty(), 9);
}

#[test]
fn every_interleaving_with_slow_disks_and_a_crash_is_safe() {
    let setup = Setup { slow_disk: true, ..sound() };
    holds("slow disks", setup.clone(), Bounds { crashes: 1, ..small() }, empty(), 8);
    let bounds = Bounds { led: true, crashes: 1, ..small() };
    holds("slow disks later", setup, bounds, empty(), 8);
}

#[test]
fn every_interleaving_with_crashes_is_safe() {
    let bounds = Bounds { crashes: 2, proposals: 0, ..small() };
    holds("crashes", sound(), bounds, empty(), 8);
}

#[test]
fn every_interleaving_with_pre_vote_and_check_quorum_is_safe() {
    let setup = Setup { pre_vote: true, check_quorum: true, ..sound() };
    holds("pre-vote", setup, small(), empty(), 9);
}

#[test]
fn every_interleaving_from_figure_8_is_safe() {
    let (disks, bounds) = figure_8();
    holds("figure 8", sound(), bounds, disks, 12);
}

/// Logs of all shapes that two leaders can have left behind, with a third to repair them.
#[test]
fn every_interleaving_of_a_repair_is_safe() {
    let disks = [disk(&[1, 1], 2), disk(&[1, 1, 1], 2), disk(&[1, 2], 2)];
    let bounds = Bounds { max_term: 3, proposals: 0, ..small() };
    holds("repair", sound(), bounds, disks, 10);
}

#[test]
fn every_interleaving_of_a_change_of_all_members_is_safe() {
    let (disks, bounds, change) = change_of_all();
    holds("members", Setup { change, ..sound() }, bounds, disks, 10);
}

/// Linearizability of reads: an answer reaches everything that was committed when it was asked for.
#[test]
fn every_interleaving_with_reads_is_safe() {
    let bounds = Bounds { led: true, reads: 2, proposals: 0, ..small() };
    holds("reads", sound(), bounds, empty(), 9);
}

#[test]
fn every_interleaving_with_transfers_is_safe() {
    let bounds = Bounds { led: true, transfers: 2, max_term: 3, ..small() };
    holds("transfers", sound(), bounds, empty(), 8);
}
