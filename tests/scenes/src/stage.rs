//! A scene from its first step to its last.

use std::fmt::Write as _;

use crate::confchange::Memberships;
use crate::diff;
use crate::env::Env;
use crate::quorum;
use crate::script::{Call, Part, Script, Step};
use crate::{Result, Trouble};

/// What of the output must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every byte.
    #[default]
    Strict,
    /// Everything but log lines, which begin with `DEBUG`, `INFO`, `WARN` or `ERROR`.
    Semantic,
}

/// A scene that was played to its end.
#[derive(Clone, Debug)]
pub struct Played {
    /// The comment at its top.
    pub heading: String,
    /// How many steps it has.
    pub steps: usize,
    /// The scene with what it really printed.
    pub rewritten: String,
    /// Steps that printed something else than expected, each with `file:line` and both texts.
    pub mismatches: Vec<String>,
}

/// A scene that cannot be read or played on: `file:line`, why, and what it printed until then.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unplayable(String);

/// What the commands of a scene act on.
#[derive(Default)]
struct Stage {
    env: Env,
    memberships: Memberships,
}

/// Plays the scene `text`. `name` is its file, for messages.
///
/// # Errors
/// A scene that makes no sense, or in which a safety property broke though no rule was broken.
pub fn play(name: &str, text: &str, mode: Mode) -> Result<Played, Unplayable> {
    let script = Script::parse(text)
        .map_err(|(line, reason)| Unplayable(format!("{name}:{line}: {reason}")))?;
    let mut stage = Stage::default();
    let mut played = Played {
        heading: script.heading(),
        steps: 0,
        rewritten: String::new(),
        mismatches: Vec::new(),
    };
    for part in &script.parts {
        match part {
            Part::Prose(line) => {
                played.rewritten.push_str(line);
                played.rewritten.push('\n');
            }
            Part::Step(step) => {
                let output = stage.run(step);
                let output = output.map_err(|reason| stage.explain(name, step, &reason))?;
                let output: Vec<_> = output.lines().map(str::to_owned).collect();
                played.steps += 1;
                played.rewritten.push_str(&step.with_output(&output));
                played.mismatches.extend(compare(name, step, &output, mode));
            }
        }
    }
    Ok(played)
}

impl Stage {
    /// Runs one step and returns what it printed.
    fn run(&mut self, step: &Step) -> Result<String, String> {
        let done = Call::parse(&step.command).and_then(|call| match call.name.as_str() {
            "committed" | "vote" => quorum::run(call, &step.input),
            "simple" | "enter-joint" | "leave-joint" => self.memberships.run(call, &step.input),
            _ => self.env.run(call, &step.input),
        });
        match done {
            Ok(output) => Ok(output),
            Err(Trouble::Refused(reason) | Trouble::Nonsense(reason)) => Err(reason),
        }
    }

    fn explain(&mut self, name: &str, step: &Step, reason: &str) -> Unplayable {
        const SHOWN: usize = 40;
        let mut text = format!("{name}:{}: {}: {reason}", step.line, step.command);
        let printed: Vec<_> = self.env.printed().lines().collect();
        let skipped = printed.len().saturating_sub(SHOWN);
        // Writing to a string cannot fail.
        if skipped > 0 {
            let _ = write!(text, "\n      … {skipped} lines before");
        }
        for line in &printed[skipped..] {
            let _ = write!(text, "\n      {line}");
        }
        Unplayable(text)
    }
}

fn compare(name: &str, step: &Step, output: &[String], mode: Mode) -> Option<String> {
    let agree = match mode {
        Mode::Strict => step.expected == output,
        Mode::Semantic => essence(&step.expected) == essence(output),
    };
    (!agree).then(|| {
        let (line, command) = (step.output_line, &step.command);
        let diff = diff::diff(&step.expected, output);
        format!("{name}:{line}: `{command}` printed something else (- expected, + found)\n{diff}")
    })
}

/// The output without log lines, and without the `ok` that stands for no output.
fn essence(output: &[String]) -> Vec<&str> {
    let is_log = |line: &str| {
        let level = line.split_whitespace().next().unwrap_or_default();
        ["DEBUG", "INFO", "WARN", "ERROR"].contains(&level)
    };
    let lines = output.iter().map(String::as_str);
    lines.filter(|line| !is_log(line) && *line != "ok").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command that is not known cannot be played on, whatever a scene expects of it.
    #[test]
    fn every_command_of_etcds_interaction_scenes_is_known() {
        let options = "voters=(1,2) learners=(3) index=4 content=start inflight=8 prevote=true \
                       checkquorum=true max-committed-size-per-ready=100 read-only=safe \
                       step-down-on-removal=true disable-conf-change-validation=true";
        for (first, commands) in [
            (
                format!("add-nodes 3 {options}"),
                "log-level none|campaign 1|stabilize 1 2 3|propose 1 x|process-ready 1 2|\
                 deliver-msgs 2 3 type=MsgApp|deliver-msgs drop=(1,2,3)|raft-log 1|raft-state|\
                 status 1|compact 1 5|send-snapshot 1 2|report-unreachable 1 2|tick-heartbeat 1|\
                 tick-election 2|forget-leader 2|_breakpoint|\
                 set-randomized-election-timeout 2 timeout=5|transfer-leadership from=1 to=2|\
                 propose-conf-change 1 transition=explicit|propose-conf-change 1 v1=true",
            ),
            (
                "add-nodes 1 voters=(1) index=2 async-storage-writes=true".to_owned(),
                "campaign 1|process-ready 1|process-append-thread 1|process-apply-thread 1",
            ),
        ] {
            let mut scene = format!("{first}\n----\nok\n");
            for command in commands.split('|') {
                let input = if command.contains("v1=") { "\nl2" } else { "" };
                scene += &format!("\n{command}{input}\n----\nok\n");
            }
            let unplayable = play("known.txt", &scene, Mode::Strict).err();
            assert_eq!(unplayable.map(|why| why.to_string()), None);
        }
    }
}
