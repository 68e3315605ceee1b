//! The command line.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use raft_sim::zoo::Bug;
use raft_sim::{FaultClass, NemesisSettings};

const THREADS_MAX: usize = 1_024;

const EXAMPLES: &str = "\
Examples:
  raft-sim sweep --seeds 0..10000                 run 10,000 seeds on all cores
  raft-sim sweep --seeds 0..1000000 --shard 3/64  the fourth of 64 equal parts
  raft-sim sweep --seeds 0..1000000 --time 60s    as many of them as a minute allows
  raft-sim replay seed-17.json                    what happened in a run that failed
  raft-sim shrink seed-17.json --out small.json   the same failure with less
  raft-sim zoo                                    does it notice what is broken on purpose?

Exit codes:
  0  nothing is broken
  1  a rule is broken; zoo: a bug was not caught
  2  wrong arguments, or a file that cannot be used
  3  nothing is broken, but that means little: a sweep met too little, or too many of its histories
     were too hard to judge; run, replay, check-history: this one was";

/// A Raft cluster, its network, its disks and its clients, in virtual time and from a seed
#[derive(Debug, Parser)]
#[command(name = "raft-sim", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) action: Action,
    /// Print JSON: one object, or one a line where there are several
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Where the page is that links open
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub(crate) page: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run a scenario and judge it
    Run(RunArgs),
    /// Run a scenario and tell what happened
    Replay(ReplayArgs),
    /// Reduce a scenario that fails to the little that it takes
    Shrink(ShrinkArgs),
    /// Run many seeds: faults of all kinds, then healing
    Sweep(SweepArgs),
    /// Break rules on purpose, and see whether that is noticed
    Zoo(ZooArgs),
    /// Measure how much virtual time a core runs in a second
    Bench(BenchArgs),
    /// Say whether a history of clients is linearizable
    CheckHistory(HistoryArgs),
}

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// A file; - is the standard input
    #[arg(value_name = "SCENARIO", required_unless_present = "seed")]
    pub(crate) scenario: Option<PathBuf>,
    /// What this seed draws, as in a sweep
    #[arg(long, conflicts_with = "scenario")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) drawn: Drawn,
}

impl Which {
    /// The same as arguments.
    pub(crate) fn words(&self) -> String {
        let drawn = self.drawn.words();
        match (&self.scenario, self.seed) {
            (Some(path), _) => format!("{}{drawn}", path.display()),
            (None, seed) => format!("--seed {}{drawn}", seed.unwrap_or(0)),
        }
    }
}

/// What seeds draw, and what cluster they torment.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Drawn {
    /// A cluster with this bug of the zoo
    #[arg(long, value_name = "ID", value_parser = bug)]
    pub(crate) bug: Option<&'static Bug>,
    /// How long there are faults, for seeds; at most 1h [default: 2,000 ticks]
    #[arg(long, value_name = "TIME", value_parser = at_most_an_hour)]
    pub(crate) faults_for: Option<Duration>,
    /// Number of peers, for seeds [default: drawn]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=9))]
    pub(crate) peers: Option<u64>,
    /// Requests of all clients in a second, for seeds [default: drawn]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) requests: Option<u32>,
    /// Classes of faults, for seeds: crashes,loss,... [default: all that Raft survives]
    #[arg(long, value_name = "CLASSES", value_delimiter = ',', value_parser = class)]
    pub(crate) faults: Vec<FaultClass>,
}

impl Drawn {
    /// Changes a nemesis as asked.
    pub(crate) fn adapt(&self, mut settings: NemesisSettings) -> NemesisSettings {
        if let Some(time) = self.faults_for {
            settings.faults_us = Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
        if !self.faults.is_empty() {
            settings.classes.clone_from(&self.faults);
        }
        settings.peers = self.peers.or(settings.peers);
        settings.requests_per_second = self.requests.or(settings.requests_per_second);
        settings
    }

    /// An option that says what a seed draws, if there is one.
    pub(crate) fn first_of_seeds(&self) -> Option<&'static str> {
        let given = [
            (self.faults_for.is_some(), "--faults-for"),
            (self.peers.is_some(), "--peers"),
            (self.requests.is_some(), "--requests"),
            (!self.faults.is_empty(), "--faults"),
        ];
        given.into_iter().find_map(|(given, name)| given.then_some(name))
    }

    /// The same as arguments, each after a space.
    pub(crate) fn words(&self) -> String {
        let bug = self.bug.map(|bug| format!(" --bug {}", bug.id));
        let peers = self.peers.map(|peers| format!(" --peers {peers}"));
        let requests = self.requests.map(|requests| format!(" --requests {requests}"));
        let time = self.faults_for.map(|time| match (time.as_secs(), time.subsec_millis()) {
            (secs, 0) => format!(" --faults-for {secs}s"),
            _ => format!(" --faults-for {}ms", time.as_millis()),
        });
        let names: Vec<_> = self.faults.iter().map(raft_sim::trial::name_of).collect();
        let faults = (!names.is_empty()).then(|| format!(" --faults {}", names.join(",")));
        [bug, peers, requests, time, faults].into_iter().flatten().collect()
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim run scenario.json
  raft-sim run --seed 17
  raft-sim run --seed 17 --bug 4 --json
  raft-sim run --seed 17 --out seed-17.json       what is it that this seed draws?")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Write what is run to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim replay scenario.json
  raft-sim replay scenario.json --last 200 --inside
  raft-sim replay scenario.json --digest 0123456789abcdef")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Tell only the last so many events; 0 is all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) last: usize,
    /// Tell what goes on inside the peers, too
    #[arg(long)]
    pub(crate) inside: bool,
    /// The digest that it must have: anything else is another run
    #[arg(long, value_name = "HEX", value_parser = digest)]
    pub(crate) digest: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim shrink seed-17.json --out small.json
  raft-sim shrink --seed 17 --bug 4")]
pub(crate) struct ShrinkArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Runs at most
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) tries: usize,
    /// Write the smaller scenario to this file [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim sweep --seeds 0..1000
  raft-sim sweep --seeds 0..1000000 --shard 3/64 --jobs 4 --json
  raft-sim sweep --seeds 0..1000 --faults crashes,partitions --peers 5 --faults-for 60s
  raft-sim sweep --seeds 0..100 --bug 4

A sweep of 1,000 seeds and more fails with code 3 if some class of faults, type of message or answer
of a rule was met fewer than --least times, and any sweep if more than one history in 200 was too
hard to judge. docs/sweeping.md shows sweeps on clusters.")]
pub(crate) struct SweepArgs {
    /// The seeds, without the last one
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    /// One of N equal parts of them, counted from 0
    #[arg(long, value_name = "K/N", default_value = "0/1", value_parser = shard)]
    pub(crate) shard: (u64, u64),
    /// Threads [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = threads)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Begin no new seed after that time: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// Stop after so many seeds that break a rule
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) stop_after: NonZeroUsize,
    /// Write scenarios that fail to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Runs to shrink a scenario at most; 0 leaves it as it is
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) shrink_tries: usize,
    /// How often everything must be met [default: 100 from 1,000 seeds on, else 0]
    #[arg(long, value_name = "N")]
    pub(crate) least: Option<u64>,
    /// Run each seed twice and compare: the same seed must give the same run
    #[arg(long)]
    pub(crate) twice: bool,
    #[command(flatten)]
    pub(crate) drawn: Drawn,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim zoo
  raft-sim zoo --id 4 --id 21
  raft-sim zoo --starts 5 --json
  raft-sim zoo --starts 5 --markdown              the table of docs/zoo.md
  raft-sim zoo --out scenarios                    what is the least that shows each bug?")]
pub(crate) struct ZooArgs {
    /// Only this bug; may be given again [default: all]
    #[arg(long, value_name = "N", value_parser = bug)]
    pub(crate) id: Vec<&'static Bug>,
    /// Seeds to try at most, from each start
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) from: u64,
    /// Print one table, in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Hunt so often, each time from another first seed; the median counts
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) starts: NonZeroUsize,
    /// Threads [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = threads)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Write to this folder, for each bug, its story as story-NN.json and what caught it, shrunk, as
    /// bug-NN.json
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Runs to shrink a scenario at most
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) tries: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Five peers with ticks of 50 ms, 200 operations a second of 50 clients, all faults and all checkers,
on one core. Time counts while there is load; that the cluster then has to recover only costs time.

Examples:
  raft-sim bench
  raft-sim bench --time 30s --json
  raft-sim bench --seeds 20 --no-faults")]
pub(crate) struct BenchArgs {
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) time: Duration,
    /// Measure these many seeds instead, however long they take
    #[arg(long, value_name = "N", conflicts_with = "time")]
    pub(crate) seeds: Option<u64>,
    /// Leave the faults out, to see what they cost
    #[arg(long)]
    pub(crate) no_faults: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raft-sim check-history history.jsonl
  raft-sim check-history - --json < history.jsonl

docs/histories.md has the format. The exit code is 3 if there are too many orders to try.")]
pub(crate) struct HistoryArgs {
    /// A file of JSON lines; - is the standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print an order of the operations that explains their answers
    #[arg(long)]
    pub(crate) witness: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds like 0..1000");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.replace('_', "").parse().map_err(|_| wrong());
    let range: Range<u64> = number(start)?..number(end)?;
    if range.is_empty() { Err(format!("there is no seed in {text}")) } else { Ok(range) }
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let (part, parts): (u64, u64) =
        parts.ok_or_else(|| format!("{text:?} is no part like 3/64"))?;
    match parts.checked_sub(1) {
        None => Err("there is at least one part: 0/1".into()),
        Some(last) if part > last => {
            Err(format!("parts count from 0: the last of {parts} is {last}/{parts}"))
        }
        Some(_) => Ok((part, parts)),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let time = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    let time = time.filter(|&time_ms| time_ms > 0).map(Duration::from_millis);
    time.ok_or_else(|| format!("{text:?} is no time like 500ms, 90s, 5m or 1h"))
}

/// A run is not longer (see `Nemesis`).
fn at_most_an_hour(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time > Duration::from_secs(3_600) { Err("a run has at most 1h".into()) } else { Ok(time) }
}

/// More threads than anybody has cores only take memory.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= THREADS_MAX);
    count.ok_or_else(|| format!("{text:?} is no number from 1 to {THREADS_MAX}"))
}

fn digest(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("{text:?} is no digest"))
}

fn bug(text: &str) -> Result<&'static Bug, String> {
    let bug = text.parse().ok().and_then(Bug::by_id);
    bug.ok_or_else(|| format!("there is no bug {text:?}: see raft-sim zoo"))
}

fn class(text: &str) -> Result<FaultClass, String> {
    let known = |class: &FaultClass| raft_sim::trial::name_of(class);
    FaultClass::ALL.into_iter().find(|class| known(class) == text).ok_or_else(|| {
        let all: Vec<_> = FaultClass::ALL.iter().map(known).collect();
        format!("{text:?} is none of {}", all.join(", "))
    })
}
