//! Many runs, spread over the cores of the machine, in the order of their seeds.

use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{any, thread};

use raft_core::rules::RuleBook;

use crate::coverage::Coverage;
use crate::plan::Plan;
use crate::world::{self, Outcome, Trace};

/// Which seeds to run.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The first seed.
    pub start: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many threads.
    pub jobs: usize,
    /// The rules that our nodes follow. Anything but the default must make seeds fail.
    pub rules: RuleBook,
}

/// A seed whose run went wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What went wrong.
    pub what: String,
}

/// What a batch came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What went wrong, by seed.
    pub failures: Vec<Failure>,
    /// What was seen.
    pub coverage: Coverage,
    /// Events in all runs.
    pub events: u64,
}

impl Batch {
    /// Runs all seeds.
    pub fn run(&self) -> Report {
        let next = AtomicU64::new(self.start);
        let report = Mutex::new(Report::default());
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    let part = self.work(&next);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.failures.extend(part.failures);
                    report.coverage.merge(part.coverage);
                    report.events += part.events;
                });
            }
        });
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.failures.sort();
        report
    }

    fn work(&self, next: &AtomicU64) -> Report {
        let mut report = Report::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - self.start >= self.seeds {
                return report;
            }
            match run(seed, &self.rules, None) {
                Ok(outcome) => {
                    report.coverage.merge(outcome.coverage);
                    report.events += outcome.events;
                    if let Err(what) = outcome.result {
                        report.failures.push(Failure { seed, what });
                    }
                }
                Err(what) => report.failures.push(Failure { seed, what }),
            }
        }
    }
}

impl Report {
    /// What a batch of this size should have seen and has not. Small batches prove nothing.
    pub fn gaps(&self, seeds: u64) -> Vec<String> {
        if seeds < 1_000 { Vec::new() } else { self.coverage.gaps(seeds) }
    }
}

/// Runs one seed. A panic of either implementation is a failure like any other.
fn run(seed: u64, rules: &RuleBook, trace: Option<Trace>) -> Result<Outcome, String> {
    panic::catch_unwind(AssertUnwindSafe(|| world::run(Plan::of(seed, rules), trace)))
        .map_err(|payload| format!("panic: {}", message(payload.as_ref())))
}

fn message(payload: &(dyn any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// A digest of everything that happens in the run of `seed`, and how it ends.
///
/// # Errors
/// A run that panicked.
pub fn digest_of(seed: u64) -> Result<(u64, Result<(), String>), String> {
    run(seed, &RuleBook::default(), None).map(|outcome| (outcome.digest, outcome.result))
}

/// Every event of the run of `seed`, in words, up to the one that failed.
pub fn trace_of(seed: u64) -> Vec<String> {
    let trace = Trace::default();
    let outcome = run(seed, &RuleBook::default(), Some(Rc::clone(&trace)));
    let mut lines = trace.take();
    lines.extend(outcome.err());
    lines
}
