//! A process that writes to real files is killed with SIGKILL, and its files are opened again.
//!
//! 200 kills at seeded points: most in the middle of a write, of a sync or of a change of a file's
//! length, after a part of it was done; some at whatever moment the signal arrives. A file lives
//! through ten of them, so the repair of one is cut short by another. Set `KILL_SEED` to repeat one
//! seed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader};
use std::ops::Bound;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use raft_kv_native::{FileBackend, NativeStore, Result, StorageBackend};
use redb::BackendError;
use support::Rng;
use support::writer::{Group, check};

const SEEDS: u64 = 20;
const KILLS: usize = 10;
const SIGKILL: i32 = 9;
/// What the child is told: number of peers, seed, the change that is its last, whether it stops
/// there or goes on until the signal arrives (1 or 0), and its directory.
const PLAN: &str = "RAFT_KILL_PLAN";

/// The child's end: it says where it stands and waits for the signal.
fn die(operation: &str) -> ! {
    eprintln!("die {operation}");
    loop {
        thread::park();
    }
}

/// A file whose n-th change, counted over all files of the process, is its last.
#[derive(Debug)]
struct Doomed {
    file: FileBackend,
    changes_left: Arc<AtomicU64>,
    seed: u64,
    stops: bool,
}

impl Doomed {
    /// Whether this change is to be done in part only.
    fn is_last(&self) -> bool {
        let is_last = self.changes_left.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && !self.stops {
            eprintln!("die anything");
        }
        is_last && self.stops
    }
}

impl StorageBackend for Doomed {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.is_last() {
            if self.seed.is_multiple_of(2) {
                self.file.set_len(len)?;
            }
            die("resize");
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_last() {
            die("sync");
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_last() {
            let done = Rng::new(self.seed).index(data.len() + 1);
            self.file.write(offset, &data[..done])?;
            die("write");
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

fn paths(dir: &Path, peers: u64) -> impl Iterator<Item = PathBuf> {
    (1..=peers).map(move |id| dir.join(format!("{id}.redb")))
}

/// Not a test but the process that the test kills; without a plan it does nothing.
#[test]
fn child() {
    let Ok(plan) = std::env::var(PLAN) else {
        return;
    };
    let mut plan = plan.splitn(5, ' ');
    let mut number = || plan.next().unwrap().parse::<u64>().unwrap();
    let (peers, seed, changes, stops) = (number(), number(), number(), number() == 1);
    let dir = PathBuf::from(plan.next().unwrap());
    let changes_left = Arc::new(AtomicU64::new(changes));
    let stores = paths(&dir, peers).map(|path| {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let file = FileBackend::new(file).unwrap();
        let changes_left = Arc::clone(&changes_left);
        NativeStore::with_backend(Doomed { file, changes_left, seed, stops })
    });
    let mut group = Group::start(stores.collect::<Result<_>>().unwrap(), seed).unwrap();
    let mut rng = Rng::new(seed);
    let mut next = group.last().unwrap() + 1;
    loop {
        let last = next + rng.below(4);
        if rng.below(8) == 0 {
            group.cut_off_or_let_back();
        }
        eprintln!("tried {last}");
        group.write(next, last).unwrap();
        eprintln!("acked {last}");
        next = last + 1;
    }
}

/// What the child has said over all its lives.
#[derive(Debug, Default)]
struct Said {
    tried: u64,
    acked: u64,
}

/// One life of the child. Returns what it was doing when it was killed.
fn life(plan: &str, said: &mut Said) -> Result<String, String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(PLAN, plan);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut doing = None;
    let mut others = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("tried", number)) => said.tried = number.parse().unwrap(),
            Some(("acked", number)) => said.acked = number.parse().unwrap(),
            Some(("die", operation)) => doing = Some(operation.to_owned()),
            _ => others.push(line),
        }
        if doing.is_some() {
            // Goes on reading: what it has said before it died counts.
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    match doing {
        Some(doing) if status.signal() == Some(SIGKILL) => Ok(doing),
        _ => Err(format!("the child ended with {status}: {}", others.join("\n"))),
    }
}

/// Checks copies, so that the next life finds the files as the kill left them.
fn check_copies(dir: &Path, peers: u64, said: &Said) -> Result<(), String> {
    let copies = dir.join("copies");
    drop(fs::remove_dir_all(&copies));
    fs::create_dir_all(&copies).unwrap();
    for (path, copy) in paths(dir, peers).zip(paths(&copies, peers)) {
        if path.exists() {
            fs::copy(path, copy).unwrap();
        }
    }
    let stores = paths(&copies, peers).map(NativeStore::open);
    let stores = stores.collect::<Result<_>>().map_err(|error| error.to_string())?;
    check(stores, said.acked, said.tried)
}

/// Ten lives of the same files. Counts what they were killed in.
fn lives(seed: u64, counts: &Mutex<BTreeMap<String, u64>>) -> Result<u64, String> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-{seed}"));
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).unwrap();
    let mut rng = Rng::new(seed);
    let peers = if seed.is_multiple_of(2) { 1 } else { 3 };
    let mut said = Said::default();
    for life_number in 0..KILLS {
        // First the creation of a file, change by change.
        let limit = (400 >> rng.below(5)) * peers;
        let changes = if life_number == 0 { 1 + seed / 2 } else { 1 + rng.below(limit) };
        let stops = u64::from(life_number == 0 || rng.below(4) > 0);
        let plan = format!("{peers} {} {changes} {stops} {}", rng.next(), dir.display());
        let ended = life(&plan, &mut said)
            .and_then(|doing| check_copies(&dir, peers, &said).map(|()| doing));
        let doing = ended.map_err(|error| format!("life {life_number}, plan {plan:?}: {error}"))?;
        *counts.lock().unwrap().entry(doing).or_default() += 1;
    }
    drop(fs::remove_dir_all(&dir));
    Ok(said.acked)
}

#[test]
fn a_kill_takes_nothing_that_was_acknowledged_and_tears_nothing() {
    let only: Option<u64> = std::env::var("KILL_SEED").ok().map(|seed| seed.parse().unwrap());
    let counts = Mutex::default();
    let acked = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..2 {
            let (counts, acked) = (&counts, &acked);
            // Seeds of one peer and of three in turn.
            let mine = (0..SEEDS).filter(move |seed| seed % 4 / 2 == worker);
            let seeds = mine.filter(move |seed| only.is_none_or(|only| only == *seed));
            scope.spawn(move || {
                for seed in seeds {
                    let lives = lives(seed, counts);
                    let count = lives.unwrap_or_else(|error| panic!("seed {seed}, {error}"));
                    acked.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
    });
    let (counts, acked) = (counts.into_inner().unwrap(), acked.into_inner());
    println!("{acked} acknowledged; killed in {counts:?}");
    if only.is_none() {
        assert_eq!(counts.values().sum::<u64>(), SEEDS * KILLS as u64);
        assert!(acked > 600, "{acked} acknowledged: the test writes too little");
        for (operation, least) in [("write", 80), ("sync", 10), ("resize", 1), ("anything", 20)] {
            let count = counts.get(operation).copied().unwrap_or(0);
            assert!(count >= least, "{count} kills in {operation}");
        }
    }
}
