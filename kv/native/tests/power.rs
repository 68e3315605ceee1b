//! Power cuts at any write, on a disk that keeps what was synced and any part of the rest.
//!
//! Followers are cut off and come back, so that snapshots are installed, too.
//!
//! A killed process leaves all it wrote to the kernel; a machine without power does not. This disk
//! is in memory, so that thousands of cuts take seconds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use raft_kv_native::{NativeStore, Result, StorageBackend};
use support::Rng;
use support::writer::{Group, check, is_disk_error};

/// A disk loses or keeps each of these as a whole.
const SECTOR: usize = 512;

/// What all disks of a machine hang on. It goes at one of their operations, for good.
#[derive(Debug)]
struct Power {
    operations_left: AtomicU64,
    /// The disks say that they have synced, and have not.
    is_sync_a_lie: bool,
}

impl Power {
    fn new(operations: u64) -> Arc<Self> {
        Arc::new(Self { operations_left: AtomicU64::new(operations), is_sync_a_lie: false })
    }

    fn is_on(&self) -> bool {
        self.operations_left.load(Ordering::Relaxed) > 0
    }

    /// Takes one operation. The last one is under way when the power goes.
    fn spend(&self) -> io::Result<Operation> {
        let left = self.operations_left.load(Ordering::Relaxed);
        let rest = left.checked_sub(1).ok_or_else(no_power)?;
        self.operations_left.store(rest, Ordering::Relaxed);
        Ok(if rest == 0 { Operation::CutShort } else { Operation::Done })
    }
}

fn no_power() -> io::Error {
    io::Error::other("no power")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Done,
    CutShort,
}

impl Operation {
    fn result(self) -> io::Result<()> {
        if self == Self::Done { Ok(()) } else { Err(no_power()) }
    }
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write { offset: usize, data: Vec<u8> },
    Len(usize),
}

/// What is on the platter, what the kernel shows, and the difference in order.
#[derive(Clone, Debug, Default)]
struct Content {
    synced: Vec<u8>,
    shown: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone, Debug)]
struct Disk {
    power: Arc<Power>,
    content: Arc<Mutex<Content>>,
}

impl Disk {
    fn new(power: &Arc<Power>, synced: Vec<u8>) -> Self {
        let content = Content { shown: synced.clone(), synced, unsynced: Vec::new() };
        Self { power: Arc::clone(power), content: Arc::new(Mutex::new(content)) }
    }

    /// What a power cut leaves. Changes of the length survive in their order, sectors in any.
    fn after_cut(&self, rng: &mut Rng) -> Vec<u8> {
        let content = self.content.lock().unwrap();
        let mut left = content.synced.clone();
        let lens = content.unsynced.iter().filter(|op| matches!(op, Unsynced::Len(_))).count();
        let mut lens_left = rng.index(lens + 1);
        // All, none, or any of the sectors.
        let kept_of_4 = rng.below(5);
        for op in &content.unsynced {
            match op {
                Unsynced::Len(len) if lens_left > 0 => {
                    left.resize(*len, 0);
                    lens_left -= 1;
                }
                Unsynced::Len(_) => {}
                Unsynced::Write { offset, data } => {
                    for (position, sector) in (*offset..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                        let end = position + sector.len();
                        if end <= left.len() && rng.below(4) < kept_of_4 {
                            left[position..end].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        left
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let content = self.content.lock().unwrap();
        let found = content.shown.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let operation = self.power.spend()?;
        let len = usize::try_from(len).unwrap();
        let mut content = self.content.lock().unwrap();
        content.shown.resize(len, 0);
        content.unsynced.push(Unsynced::Len(len));
        operation.result()
    }

    fn sync_data(&self) -> io::Result<()> {
        // Cut short, it has written any part of what it should: that is what a cut leaves anyway.
        self.power.spend()?.result()?;
        if !self.power.is_sync_a_lie {
            let mut content = self.content.lock().unwrap();
            for op in std::mem::take(&mut content.unsynced) {
                match op {
                    Unsynced::Len(len) => content.synced.resize(len, 0),
                    Unsynced::Write { offset, data } => {
                        content.synced[offset..offset + data.len()].copy_from_slice(&data);
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let operation = self.power.spend()?;
        let offset = usize::try_from(offset).unwrap();
        let is_done = operation == Operation::Done;
        let data = if is_done { data } else { &data[..data.len() / 2] };
        let mut content = self.content.lock().unwrap();
        content.shown[offset..offset + data.len()].copy_from_slice(data);
        content.unsynced.push(Unsynced::Write { offset, data: data.to_vec() });
        operation.result()
    }
}

fn open(disks: &[Disk]) -> Result<Vec<(NativeStore, raft_kv::Engines)>> {
    disks.iter().map(|disk| NativeStore::with_backend(disk.clone())).collect()
}

/// What the lives of some disks have seen.
#[derive(Debug, Default)]
struct Tally {
    tried: u64,
    acked: u64,
    snapshots: u64,
}

/// Writes until the power goes.
fn write(disks: &[Disk], rng: &mut Rng, tally: &mut Tally) -> Result<()> {
    let mut group = Group::start(open(disks)?, rng.next())?;
    let mut next = group.last()? + 1;
    loop {
        if rng.below(5) == 0 {
            group.cut_off_or_let_back();
        }
        let last = next + rng.below(4);
        tally.tried = tally.tried.max(last);
        let snapshots = group.snapshots;
        group.write(next, last)?;
        tally.snapshots += group.snapshots - snapshots;
        tally.acked = last;
        next = last + 1;
    }
}

/// Several lives of the same disks, each ended by a power cut.
fn lives(seed: u64, is_sync_a_lie: bool) -> Result<Tally, String> {
    let mut rng = Rng::new(seed);
    let mut images = vec![Vec::new(); if rng.below(2) == 0 { 1 } else { 3 }];
    let mut tally = Tally::default();
    for life in 0..5 {
        // Often in the middle of the start, which is when a repair is under way.
        let limit = 400 >> rng.below(5);
        let operations_left = AtomicU64::new(1 + rng.below(limit * images.len() as u64));
        let power = Arc::new(Power { operations_left, is_sync_a_lie });
        let disks: Vec<Disk> = images.drain(..).map(|image| Disk::new(&power, image)).collect();
        let error = write(&disks, &mut rng, &mut tally).unwrap_err();
        if power.is_on() || !is_disk_error(&error) {
            return Err(format!("life {life}: {error}"));
        }
        images.extend(disks.iter().map(|disk| disk.after_cut(&mut rng)));
        let power = Power::new(u64::MAX);
        let copies: Vec<Disk> =
            images.iter().map(|image| Disk::new(&power, image.clone())).collect();
        open(&copies)
            .map_err(|error| error.to_string())
            .and_then(|stores| check(stores, tally.acked, tally.tried))
            .map_err(|error| format!("life {life}: {error}"))?;
    }
    Ok(tally)
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged_and_tears_nothing() {
    let mut sum = Tally::default();
    for seed in 0..200 {
        let tally = lives(seed, false).unwrap_or_else(|error| panic!("seed {seed}, {error}"));
        sum.acked += tally.acked;
        sum.snapshots += tally.snapshots;
    }
    println!("{sum:?}");
    assert!(sum.acked > 3_000 && sum.snapshots > 20, "{sum:?}: the test does too little");
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_noticed() {
    let noticed = (0..20).filter(|&seed| lives(seed, true).is_err()).count();
    assert!(noticed > 10, "{noticed} of 20");
}
