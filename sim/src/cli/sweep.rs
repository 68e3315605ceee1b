//! Many seeds.

use std::io::{Write as _, stderr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use raft_core::eraftpb::MessageType;
use raft_sim::linear::too_many_undecided;
use raft_sim::trial::{Batch, Branch, Coverage, Least, Trial, Verdict, judge, name_of};
use raft_sim::{FaultClass, Invariant, Scenario, ScenarioError};
use serde_json::{Map, Value, json};

use crate::args::SweepArgs;
use crate::output::{Colour, Output, Progress, counted, seconds, too_hard, violation_json};
use crate::parallel::in_order;
use crate::{BROKEN, CLEAN, TOO_LITTLE, file};

/// From that many seeds on a sweep is expected to meet everything.
const SEEDS_OF_A_SWEEP: u64 = 1_000;

/// A seed that broke a rule.
struct Failure {
    seed: u64,
    /// As it was drawn.
    drawn: Scenario,
    /// What is shown: shrunk, if that was asked for.
    verdict: Verdict,
}

pub(crate) fn sweep(args: &SweepArgs, out: &Output) -> Result<u8, String> {
    let trial = file::trial(&args.drawn)?;
    file::prepare(args.out.as_deref())?;
    let (part, parts) = args.shard;
    let range = args.seeds.clone();
    let planned = (range.end - range.start).saturating_sub(part).div_ceil(parts);
    let seeds = (0..planned).map(|position| range.start + part + position * parts);
    tell_seed_of_panics(args.drawn.words());

    let start = Instant::now();
    let deadline = args.time.map(|time| start + time);
    let mut progress = Progress::new(out, "seeds", planned);
    let mut batch = Batch::default();
    let mut failures = Vec::new();
    let mut refused = None;
    let work = |seed| run(&trial, seed, args);
    in_order(seeds, args.jobs, deadline, work, |result| {
        let (verdict, failure) = match result {
            Ok(done) => done,
            Err(error) => {
                refused = Some(error);
                return ControlFlow::Break(());
            }
        };
        batch.add(verdict);
        if let Some(failure) = failure {
            progress.clear();
            refused = say_failure(&failure, args.out.as_deref(), out).err();
            failures.push(failure);
        }
        progress.step(&format!(", {} broken", failures.len()));
        let enough = failures.len() >= args.stop_after.get() || refused.is_some();
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.clear();
    if let Some(reason) = refused {
        return Err(reason);
    }

    let short =
        if failures.is_empty() { shortfall(&batch, &trial, planned, args) } else { Vec::new() };
    let wall_s = start.elapsed().as_secs_f64();
    match planned {
        0 => out.say(&format!("part {part}/{parts} of {}..{} has no seed", range.start, range.end)),
        _ => say_summary(&batch, planned, wall_s, &short, out),
    }
    let told = failures.iter().map(|failure| failure_json(failure, args.out.as_deref(), out));
    out.tell(&json!({
        "seeds": batch.seeds,
        "seeds_planned": planned,
        "shard": format!("{part}/{parts}"),
        "virtual_seconds": seconds(batch.virtual_us),
        "wall_seconds": wall_s,
        "events": batch.events,
        "violations": failures.len(),
        "failures": told.collect::<Vec<_>>(),
        "coverage": coverage_json(&batch.coverage),
        "least": least_json(&batch),
        "undecided": batch.coverage.undecided(),
        "shortfall": short,
    }));
    Ok(match (failures.is_empty(), short.is_empty()) {
        (false, _) => BROKEN,
        (true, false) => TOO_LITTLE,
        (true, true) => CLEAN,
    })
}

/// What was tested too little, in words.
fn shortfall(batch: &Batch, trial: &Trial, planned: u64, args: &SweepArgs) -> Vec<String> {
    let honest = args.drawn.bug.is_none();
    let usual = if planned >= SEEDS_OF_A_SWEEP && honest { Least::default().hits } else { 0 };
    let hits = args.least.unwrap_or(usual);
    let least = Least { hits, ..Least::default() };
    let met = (hits > 0).then(|| batch.shortfall(&trial.nemesis.classes, &least));
    let none = (batch.seeds == 0 && planned > 0).then(|| "no seed was begun in time".into());
    let hard = too_many_undecided(batch.coverage.undecided(), batch.seeds);
    none.into_iter().chain(met.into_iter().flatten()).chain(hard).collect()
}

fn run(trial: &Trial, seed: u64, args: &SweepArgs) -> Result<(Verdict, Option<Failure>), String> {
    let refuse = |error: ScenarioError| error.to_string();
    SEED.set(Some(seed));
    let verdict = if args.twice { trial.run_twice(seed) } else { trial.run(seed) };
    let verdict = verdict.map_err(refuse)?;
    let failure = match &verdict.violation {
        None => None,
        Some(violation) => {
            let drawn = verdict.scenario.clone();
            // What no single run shows stays as it was found.
            let single = violation.invariant != Invariant::Determinism;
            let verdict = if single {
                let small = trial.shrink(&drawn, violation, args.shrink_tries, || {}).scenario;
                judge(&small, trial.variant).map_err(refuse)?
            } else {
                verdict.clone()
            };
            Some(Failure { seed, drawn, verdict })
        }
    };
    SEED.set(None);
    Ok((verdict, failure))
}

thread_local! {
    static SEED: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// A panic is a bug of the program, and its seed is how to see it again.
fn tell_seed_of_panics(words: String) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(seed) = SEED.get() {
            let _ = writeln!(stderr(), "seed {seed} panics: raft-sim run --seed {seed}{words}");
        }
        hook(panic);
    }));
}

/// Where a scenario that fails is written, as it is shown and as it was drawn.
fn paths(folder: &Path, seed: u64) -> [PathBuf; 2] {
    [folder.join(format!("seed-{seed}.json")), folder.join(format!("seed-{seed}.drawn.json"))]
}

fn say_failure(failure: &Failure, folder: Option<&Path>, out: &Output) -> Result<(), String> {
    let Failure { seed, drawn, verdict } = failure;
    if let Some(violation) = &verdict.violation {
        out.say(&format!("seed {seed}: {}", out.violation(violation)));
    }
    let (before, after) = (drawn.commands.len(), verdict.scenario.commands.len());
    out.say(&format!(
        "  {after} of {}, {}, digest {:016x}",
        counted(before as u64, "command"),
        counted(verdict.scenario.peers, "peer"),
        verdict.digest
    ));
    match folder {
        None => out.say(&file::json(&verdict.scenario)),
        Some(folder) => {
            let [small, whole] = paths(folder, *seed);
            file::write(&small, &verdict.scenario)?;
            file::write(&whole, drawn)?;
            out.say(&format!("  written to {} and {}", small.display(), whole.display()));
        }
    }
    out.say_link(&verdict.scenario, "");
    Ok(())
}

fn failure_json(failure: &Failure, folder: Option<&Path>, out: &Output) -> Value {
    let Failure { seed, drawn, verdict } = failure;
    json!({
        "seed": seed,
        "violation": verdict.violation.as_ref().map(violation_json),
        "digest": format!("{:016x}", verdict.digest),
        "commands_drawn": drawn.commands.len(),
        "commands": verdict.scenario.commands.len(),
        "scenario": verdict.scenario,
        "file": folder.map(|folder| paths(folder, *seed)[0].display().to_string()),
        "link": out.link(&verdict.scenario),
    })
}

fn say_summary(batch: &Batch, planned: u64, wall_s: f64, short: &[String], out: &Output) {
    let Batch { seeds, events, virtual_us, coverage, .. } = batch;
    let virtual_s = seconds(*virtual_us);
    let seeds = match *seeds {
        all if all == planned => counted(all, "seed"),
        some => format!("{some} of {}", counted(planned, "seed")),
    };
    out.say(&format!(
        "{seeds}, {virtual_s:.0} virtual s, {events} events in {wall_s:.1} s; {}, {}, {}; {}",
        counted(coverage.commits(), "commit"),
        counted(coverage.elections(), "election"),
        counted(coverage.reads(), "read"),
        too_hard(coverage.undecided())
    ));
    for line in short {
        out.say(&out.paint(Colour::Yellow, &format!("tested too little: {line}")));
    }
    let broken = batch.failures.len();
    out.say(&match (broken, short.is_empty()) {
        (0, true) => out.paint(Colour::Green, "no rule is broken"),
        (0, false) => out.paint(Colour::Yellow, "no rule is broken, and that says little"),
        (1, _) => out.paint(Colour::Red, "1 seed breaks a rule"),
        _ => out.paint(Colour::Red, &format!("{broken} seeds break a rule")),
    });
}

fn coverage_json(coverage: &Coverage) -> Value {
    let faults = FaultClass::ALL
        .into_iter()
        .map(|class| (name_of(&class), coverage.faults.get(&class).copied().unwrap_or(0).into()));
    let effects = raft_sim::trial::Effect::ALL
        .into_iter()
        .map(|effect| (name_of(&effect), coverage.effect(effect).into()));
    let kinds = (0..).map_while(|kind| MessageType::try_from(kind).ok());
    let messages = kinds
        .map(|kind| (kind.as_str_name().to_owned(), coverage.messages(kind)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name, count.into()));
    let branches = Branch::ALL
        .into_iter()
        .map(|branch| (branch.name().to_owned(), coverage.branch(branch).into()));
    json!({
        "faults": faults.collect::<Map<_, Value>>(),
        "effects": effects.collect::<Map<_, Value>>(),
        "messages": messages.collect::<Map<_, Value>>(),
        "rules": branches.collect::<Map<_, Value>>(),
        "commits": coverage.commits(),
        "elections": coverage.elections(),
        "reads": coverage.reads(),
    })
}

fn least_json(batch: &Batch) -> Value {
    let seed = |(seed, count)| json!({ "seed": seed, "count": count });
    match batch.least {
        None => Value::Null,
        Some([commits, elections, reads]) => json!({
            "commits": seed(commits),
            "elections": seed(elections),
            "reads": seed(reads),
        }),
    }
}
