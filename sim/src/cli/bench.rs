//! How much virtual time a core runs in a second.

use std::time::Instant;

use raft_sim::trial::{BUSY_CLIENTS, BUSY_PEERS, BUSY_REQUESTS, Load, busy};
use serde_json::json;

use crate::args::BenchArgs;
use crate::output::{Output, Progress, counted, seconds, too_hard};
use crate::{BROKEN, CLEAN};

pub(crate) fn bench(args: &BenchArgs, out: &Output) -> Result<u8, String> {
    let mut trial = busy();
    if args.no_faults {
        trial.nemesis.classes.clear();
    }
    let mut load = Load::default();
    let (what, all) = args.seeds.map_or(("seconds", args.time.as_secs()), |n| ("seeds", n));
    let mut progress = Progress::new(out, what, all);
    let start = Instant::now();
    for seed in 0..args.seeds.unwrap_or(u64::MAX) {
        if args.seeds.is_none() && start.elapsed() >= args.time {
            break;
        }
        load.add(trial.run(seed).map_err(|error| error.to_string())?);
        progress.at(args.seeds.map_or_else(|| start.elapsed().as_secs(), |_| seed + 1));
    }
    progress.clear();
    tell(&load, start.elapsed().as_secs_f64(), args.no_faults, out);
    for failure in &load.batch.failures {
        out.say(&out.violation(&failure.violation));
        out.say_link(&failure.scenario, "");
    }
    Ok(if load.batch.failures.is_empty() { CLEAN } else { BROKEN })
}

/// The figures.
#[expect(clippy::cast_precision_loss, reason = "to look at")]
fn tell(load: &Load, wall_s: f64, no_faults: bool, out: &Output) {
    let (batch, loaded_s) = (&load.batch, seconds(load.loaded_us));
    let virtual_s = seconds(batch.virtual_us);
    let pace = loaded_s / wall_s;
    let events_per_s = batch.events as f64 / wall_s;
    let [asked, answered] = [load.asked, load.answered()].map(|n| n as f64 / loaded_s.max(1.0));
    let faults = if no_faults { "no faults" } else { "all faults" };
    out.say(&format!(
        "{BUSY_PEERS} peers, {BUSY_REQUESTS} operations a second of {BUSY_CLIENTS} clients, {faults}, \
         all checkers, one core:\n\
         {pace:.0} virtual s a second, {events_per_s:.0} events a second\n\
         of {asked:.0} operations a virtual second, {answered:.0} were answered\n\
         {}\n\
         {}, {loaded_s:.0} virtual s of load and {:.0} of recovery, {} events in {wall_s:.1} s",
        too_hard(batch.coverage.undecided()),
        counted(batch.seeds, "seed"),
        virtual_s - loaded_s,
        batch.events,
    ));
    out.tell(&json!({
        "virtual_seconds_per_second": pace,
        "events_per_second": events_per_s,
        "asked_per_virtual_second": asked,
        "answered_per_virtual_second": answered,
        "seeds": batch.seeds,
        "loaded_seconds": loaded_s,
        "virtual_seconds": virtual_s,
        "wall_seconds": wall_s,
        "events": batch.events,
        "commits": batch.coverage.commits(),
        "elections": batch.coverage.elections(),
        "undecided": batch.coverage.undecided(),
        "digest": format!("{:016x}", load.digest),
        "violations": batch.failures.len(),
    }));
}
