//! `raft-interop --seeds N [--start S] [--jobs J] [--trace]`: runs mixed clusters and says which
//! seeds failed.

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use raft_core::rules::RuleBook;
use raft_interop::{Batch, trace_of};

const USAGE: &str = "usage: raft-interop [--seeds N] [--start S] [--jobs J] [--trace]";

fn main() -> ExitCode {
    // A panic is reported with its seed when the run has ended.
    panic::set_hook(Box::new(|_| {}));
    match parse(env::args().skip(1)) {
        Ok((batch, true)) => trace(&batch),
        Ok((batch, false)) => run(&batch),
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn parse(args: impl IntoIterator<Item = String>) -> Result<(Batch, bool), String> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut batch = Batch { start: 0, seeds: 2_000, jobs, rules: RuleBook::default() };
    let mut trace = false;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, String> {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse().map_err(|_| format!("`{text}` is not a number"))
        };
        match arg.as_str() {
            "--seeds" => batch.seeds = number()?,
            "--start" => batch.start = number()?,
            "--jobs" => batch.jobs = usize::try_from(number()?).unwrap_or(1),
            "--trace" => trace = true,
            other => return Err(format!("no option `{other}`")),
        }
    }
    Ok((batch, trace))
}

/// Prints the events of every seed.
fn trace(batch: &Batch) -> ExitCode {
    let mut out = io::stdout().lock();
    for seed in batch.start..batch.start.saturating_add(batch.seeds) {
        for line in trace_of(seed) {
            // A reader that stops reading wants no more.
            if writeln!(out, "{line}").is_err() {
                return ExitCode::SUCCESS;
            }
        }
    }
    ExitCode::SUCCESS
}

fn run(batch: &Batch) -> ExitCode {
    let begin = Instant::now();
    let report = batch.run();
    for failure in &report.failures {
        let seed = failure.seed;
        println!("seed {seed} failed: {}", failure.what);
        println!("  again: cargo xtask interop --start {seed} --seeds 1 --trace");
    }
    let gaps = report.gaps(batch.seeds);
    println!("{}", report.coverage);
    for gap in &gaps {
        println!("too rare: {gap}");
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (seeds, failed) = (batch.seeds, report.failures.len());
    println!("{seeds} seeds, {} events, {failed} failed, {seconds:.1} s", report.events);
    if report.failures.is_empty() && gaps.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
