//! How much virtual time a core runs in a second.

use std::time::Instant;

use raft_sim::NemesisSettings;
use raft_sim::trial::{Batch, Trial};
use serde_json::json;

use crate::args::BenchArgs;
use crate::output::{Output, Progress, seconds};
use crate::{BROKEN, CLEAN};

const PEERS: u64 = 5;
const TICK_US: u64 = 50_000;
const REQUESTS_PER_SECOND: u32 = 200;

pub(crate) fn bench(args: &BenchArgs, out: &Output) -> Result<u8, String> {
    let nemesis = NemesisSettings {
        peers: Some(PEERS),
        requests_per_second: Some(REQUESTS_PER_SECOND),
        ..NemesisSettings::default()
    };
    let mut trial = Trial::honest(nemesis);
    trial.variant = raft_sim::Variant::default();
    trial.tweak = |settings| settings.tick_us = TICK_US;
    let mut batch = Batch::default();
    let mut progress = Progress::new(out, "seconds", args.time.as_secs());
    let start = Instant::now();
    for seed in 0.. {
        if start.elapsed() >= args.time {
            break;
        }
        batch.add(trial.run(seed).map_err(|error| error.to_string())?);
        progress.at(start.elapsed().as_secs());
    }
    progress.clear();
    let wall_s = start.elapsed().as_secs_f64();
    let Batch { seeds, virtual_us, events, ref failures, ref coverage, .. } = batch;
    let virtual_s = seconds(virtual_us);
    let pace = virtual_s / wall_s;
    #[expect(clippy::cast_precision_loss, reason = "to look at")]
    let events_per_s = events as f64 / wall_s;
    out.say(&format!(
        "{PEERS} peers, {REQUESTS_PER_SECOND} requests a second, all faults, all checkers, one core: \
         {pace:.0} virtual s a second, {events_per_s:.0} events a second ({seeds} seeds, \
         {virtual_s:.0} virtual s in {wall_s:.1} s)"
    ));
    out.tell(&json!({
        "virtual_seconds_per_second": pace,
        "events_per_second": events_per_s,
        "seeds": seeds,
        "virtual_seconds": virtual_s,
        "wall_seconds": wall_s,
        "events": events,
        "commits": coverage.commits(),
        "violations": failures.len(),
    }));
    Ok(if failures.is_empty() { CLEAN } else { BROKEN })
}
