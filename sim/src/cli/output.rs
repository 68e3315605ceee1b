//! Lines, colours, progress, JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use raft_sim::trial::Verdict;
use raft_sim::{Scenario, Violation};
use serde_json::{Value, json};

use crate::args::Args;
use crate::{BROKEN, CLEAN, TOO_LITTLE, USAGE, file};

/// How the program speaks.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    progress: bool,
    colour: bool,
    page: String,
}

/// Colours of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Output {
    pub(crate) fn new(args: &Args) -> Self {
        // https://no-color.org
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json: args.json,
            progress: io::stderr().is_terminal() && !args.quiet,
            colour: io::stdout().is_terminal() && !no_colour && !args.json,
            page: args.page.clone(),
        }
    }

    /// A line for people; none if JSON is asked for.
    pub(crate) fn say(&self, line: &str) {
        if !self.json {
            print(line);
        }
    }

    /// An object for programs.
    pub(crate) fn tell(&self, value: &Value) {
        if self.json {
            print(&value.to_string());
        }
    }

    pub(crate) fn error(&self, reason: &str) {
        self.tell(&json!({ "error": reason }));
        // Nobody is left to hear of an error here.
        let _ = writeln!(io::stderr(), "error: {reason}");
    }

    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.into() }
    }

    /// The page's address that opens a scenario.
    pub(crate) fn link(&self, scenario: &Scenario) -> Option<String> {
        let link = file::link(scenario, &self.page);
        (link.len() <= file::LINK_BYTES_MAX).then_some(link)
    }

    pub(crate) fn violation(&self, violation: &Violation) -> String {
        self.paint(Colour::Red, &violation.to_string())
    }

    /// How a run went, in a few lines. `again` is how to name it on the command line.
    pub(crate) fn say_verdict(&self, verdict: &Verdict, again: &str) {
        let Verdict { violation, virtual_us, events, digest, scenario, coverage } = verdict;
        self.say(&match violation {
            Some(violation) => self.violation(violation),
            None if coverage.undecided() > 0 => self.paint(
                Colour::Yellow,
                "no rule is broken, but the history of the clients is too hard to judge",
            ),
            None => self.paint(Colour::Green, "no rule is broken"),
        });
        let time = seconds(*virtual_us);
        self.say(&format!(
            "{}, {}, {time:.3} virtual s, {events} events, digest {digest:016x}",
            counted(scenario.peers, "peer"),
            counted(scenario.commands.len() as u64, "command")
        ));
        if violation.is_some() {
            self.say_link(scenario, again);
        }
    }

    pub(crate) fn say_link(&self, scenario: &Scenario, again: &str) {
        match self.link(scenario) {
            Some(link) => self.say(&format!("open it: {link}")),
            None if again.is_empty() => self.say("too long for a link"),
            None => self.say(&format!(
                "too long for a link: raft-sim shrink {again} --out FILE makes it shorter"
            )),
        }
    }

    /// The same for programs.
    pub(crate) fn verdict(&self, verdict: &Verdict) -> Value {
        let Verdict { violation, virtual_us, events, digest, scenario, coverage } = verdict;
        json!({
            "seed": scenario.seed,
            "peers": scenario.peers,
            "commands": scenario.commands.len(),
            "virtual_seconds": seconds(*virtual_us),
            "events": events,
            "digest": format!("{digest:016x}"),
            "violations": u8::from(violation.is_some()),
            "undecided": coverage.undecided(),
            "violation": violation.as_ref().map(violation_json),
            "link": violation.as_ref().and_then(|_| self.link(scenario)),
        })
    }
}

pub(crate) fn violation_json(violation: &Violation) -> Value {
    let Violation { invariant, at_us, peer, before, now, .. } = violation;
    json!({
        "invariant": invariant.id(),
        "name": invariant.name(),
        "at_us": at_us,
        "peer": peer,
        "before": before,
        "now": now,
    })
}

/// So many of something whose name takes an s.
pub(crate) fn counted(count: u64, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// So many histories of which nothing is known.
pub(crate) fn too_hard(histories: u64) -> String {
    match histories {
        1 => "1 history was too hard to judge".into(),
        more => format!("{more} histories were too hard to judge"),
    }
}

/// Virtual seconds.
#[expect(clippy::cast_precision_loss, reason = "to look at")]
pub(crate) fn seconds(time_us: u64) -> f64 {
    time_us as f64 / 1e6
}

/// The code with which a program that ran one scenario ends.
pub(crate) fn code(verdict: &Verdict) -> u8 {
    match (&verdict.violation, verdict.coverage.undecided()) {
        (Some(_), _) => BROKEN,
        (None, 0) => CLEAN,
        (None, _) => TOO_LITTLE,
    }
}

/// Prints a line. Whoever reads may have left, as `head` does: then there is nothing more to do. A
/// disk may be full.
pub(crate) fn print(line: &str) {
    let Err(error) = writeln!(io::stdout(), "{line}") else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        let _ = writeln!(io::stderr(), "error: the output cannot be written: {error}");
    }
    std::process::exit(USAGE.into());
}

/// A line on a terminal that tells how far it is.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    what: &'static str,
    all: u64,
    done: u64,
    start: Instant,
    last: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(out: &Output, what: &'static str, all: u64) -> Self {
        let start = Instant::now();
        Self { shown: out.progress, what, all, done: 0, start, last: None }
    }

    /// One more is done.
    pub(crate) fn step(&mut self, note: &str) {
        self.done += 1;
        self.show(note);
    }

    /// So much is done.
    pub(crate) fn at(&mut self, done: u64) {
        self.done = done;
        self.show("");
    }

    fn show(&mut self, note: &str) {
        let fresh = self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(100));
        if !self.shown || fresh {
            return;
        }
        self.last = Some(Instant::now());
        let Self { what, all, done, start, .. } = self;
        let filled = usize::try_from(*done * 24 / (*all).max(1)).unwrap_or(24).min(24);
        let (bar, rest) = ("━".repeat(filled), " ".repeat(24 - filled));
        let elapsed = start.elapsed().as_secs();
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{bar}{rest} {done}/{all} {what}, {elapsed} s{note}");
        let _ = io::stderr().flush();
    }

    /// Makes room for other lines.
    pub(crate) fn clear(&mut self) {
        if self.shown && self.last.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}
