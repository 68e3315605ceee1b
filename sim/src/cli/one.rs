//! One scenario: run, replay, shrink.

use std::collections::VecDeque;

use raft_sim::Happening;
use raft_sim::trial::{judge, watch};
use serde_json::json;

use crate::args::{ReplayArgs, RunArgs, ShrinkArgs};
use crate::output::{Output, Progress, code, counted, print, violation_json};
use crate::{BROKEN, file};

pub(crate) fn run(args: &RunArgs, out: &Output) -> Result<u8, String> {
    let (scenario, trial) = file::scenario(&args.which)?;
    let verdict = judge(&scenario, trial.variant).map_err(|error| error.to_string())?;
    out.say_verdict(&verdict, &args.which.words());
    if let Some(path) = &args.out {
        file::write(path, &scenario)?;
        out.say(&format!("written to {}", path.display()));
    }
    out.tell(&out.verdict(&verdict));
    Ok(code(&verdict))
}

pub(crate) fn replay(args: &ReplayArgs, out: &Output) -> Result<u8, String> {
    let (scenario, trial) = file::scenario(&args.which)?;
    let (inside, keep) = (args.inside, args.last);
    let mut last = VecDeque::new();
    let mut listener = |happening: &Happening| {
        if happening.what.is_detail() && !inside {
            return;
        }
        let line = told(happening, out);
        if keep == 0 {
            return print(&line);
        }
        if last.len() == keep {
            last.pop_front();
        }
        last.push_back(line);
    };
    let verdict = watch(&scenario, trial.variant, inside, &mut listener);
    let verdict = verdict.map_err(|error| error.to_string())?;
    last.iter().for_each(|line| print(line));
    out.say_verdict(&verdict, &args.which.words());
    out.tell(&out.verdict(&verdict));
    if let Some(expected) = args.digest.filter(|digest| *digest != verdict.digest) {
        let found = verdict.digest;
        return Err(format!("another run: its digest is {found:016x}, not {expected:016x}"));
    }
    Ok(code(&verdict))
}

fn told(happening: &Happening, out: &Output) -> String {
    let Happening { number, at_us, what } = happening;
    if out.json {
        let value = json!({
            "number": number,
            "at_us": at_us,
            "peer": what.peer(),
            "text": what.to_string(),
        });
        return value.to_string();
    }
    format!("{:>7}.{:06} {what}", at_us / 1_000_000, at_us % 1_000_000)
}

pub(crate) fn shrink(args: &ShrinkArgs, out: &Output) -> Result<u8, String> {
    let (scenario, trial) = file::scenario(&args.which)?;
    let refuse = |error: raft_sim::ScenarioError| error.to_string();
    let verdict = judge(&scenario, trial.variant).map_err(refuse)?;
    let Some(violation) = &verdict.violation else {
        return Err("no rule is broken: there is nothing to shrink".into());
    };
    let mut progress = Progress::new(out, "runs", args.tries as u64);
    let shrunk = trial.shrink(&scenario, violation, args.tries, || progress.step(""));
    progress.clear();
    let small = judge(&shrunk.scenario, trial.variant).map_err(refuse)?;
    if let Some(path) = &args.out {
        file::write(path, &shrunk.scenario)?;
    }
    let (before, after) = (scenario.commands.len(), shrunk.scenario.commands.len());
    let runs = counted(shrunk.tries as u64, "run");
    let unfinished = if shrunk.finished { "" } else { ", not to the end" };
    out.say_verdict(&small, "");
    out.say(&format!("{} to {after} in {runs}{unfinished}", counted(before as u64, "command")));
    match &args.out {
        Some(path) => out.say(&format!("written to {}", path.display())),
        None => out.say(&file::json(&shrunk.scenario)),
    }
    out.tell(&json!({
        "violations": 1,
        "violation": small.violation.as_ref().map(violation_json),
        "digest": format!("{:016x}", small.digest),
        "commands_before": before,
        "commands": after,
        "tries": shrunk.tries,
        "finished": shrunk.finished,
        "scenario": shrunk.scenario,
        "link": out.link(&shrunk.scenario),
    }));
    Ok(BROKEN)
}
