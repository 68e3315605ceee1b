//! Bugs, and the seeds that catch them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use raft_sim::Invariant;
use raft_sim::zoo::{ALL, Bug, Directed, Kill, Make, hunt};
use serde_json::{Value, json};

use crate::args::ZooArgs;
use crate::output::{Colour, Output, Progress, counted};
use crate::parallel::in_order;
use crate::{BROKEN, CLEAN, file};

/// From one start to the next: more seeds than anybody tries.
const START: u64 = 1_000_000_000;

pub(crate) fn zoo(args: &ZooArgs, out: &Output) -> Result<u8, String> {
    let bugs: Vec<&Bug> = if args.id.is_empty() { ALL.iter().collect() } else { args.id.clone() };
    let starts = args.starts.get() as u64;
    file::prepare(args.out.as_deref())?;
    // A broken core that fails an assertion of its own is no news.
    std::panic::set_hook(Box::new(|_| {}));
    if args.markdown {
        out.say(HEAD);
    }
    let mut progress = Progress::new(out, "hunts", bugs.len() as u64 * starts);
    let hunts = bugs.iter().flat_map(|bug| (0..starts).map(move |start| (*bug, start)));
    let work = |(bug, start): (&Bug, u64)| {
        let kill = hunt(bug, args.from.wrapping_add(start.wrapping_mul(START)), args.seeds);
        kill.map(|kill| (bug.is_survived(&kill.scenario), kill))
    };
    let mut kills = Vec::new();
    let mut results = Vec::new();
    let mut failed = None;
    let mut rest = bugs.iter();
    in_order(hunts, args.jobs, None, work, |kill| {
        progress.step("");
        kills.push(kill);
        if kills.len() == args.starts.get() {
            progress.clear();
            if let Some(bug) = rest.next() {
                let mut result = Hunted::new(bug, std::mem::take(&mut kills), args.seeds);
                if let Some(folder) = &args.out {
                    failed = result.write(folder, args.tries).err();
                }
                result.report(out, args.markdown);
                results.push(result);
            }
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.clear();
    if let Some(reason) = failed {
        return Err(reason);
    }
    let missing = results.iter().filter(|result| result.missing.is_some()).count();
    let caught = results.iter().filter(|result| result.is_caught()).count();
    let free = results.len() - missing - caught;
    let stories = results.iter().filter(|result| result.is_told()).count();
    if !args.markdown {
        out.say(&format!(
            "{caught} caught, {free} not caught, {missing} cannot be made yet; {stories} shown by \
             their stories"
        ));
    }
    let fair = results.iter().all(|result| result.honest != Some(false));
    Ok(if free == 0 && fair && stories + missing == results.len() { CLEAN } else { BROKEN })
}

/// What became of a bug.
struct Hunted<'a> {
    bug: &'a Bug,
    /// One for each start; none where it was not caught.
    kills: Vec<Option<Kill>>,
    /// Whether an honest cluster plays what caught it and breaks nothing; none if nothing did.
    honest: Option<bool>,
    /// Seeds tried at most, from each start.
    tried: u64,
    missing: Option<&'static str>,
    /// The story that shows it, and the rule that it breaks.
    told: Option<(&'static Directed, Option<Invariant>)>,
    /// Where the shrunk scenario is, and its commands.
    written: Option<(PathBuf, usize)>,
}

/// The head of the table.
const HEAD: &str = "\
| # | bug | caught by | seeds | story | its rule | commands |
| --- | --- | --- | --- | --- | --- | --- |";

impl<'a> Hunted<'a> {
    fn new(bug: &'a Bug, kills: Vec<Option<(bool, Kill)>>, tried: u64) -> Self {
        let honest =
            kills.iter().flatten().map(|(honest, _)| *honest).reduce(|all, one| all && one);
        let kills = kills.into_iter().map(|kill| Some(kill?.1)).collect();
        let missing = match bug.make {
            Make::Missing(reason) => Some(reason),
            Make::Broken(_) => None,
        };
        let told = Directed::of(bug.id).map(|told| (told, told.caught()));
        Self { bug, kills, honest, tried, missing, told, written: None }
    }

    fn is_caught(&self) -> bool {
        self.median().is_some()
    }

    /// Whether its story shows what it says.
    fn is_told(&self) -> bool {
        self.told.is_some_and(|(told, rule)| rule == Some(told.invariant))
    }

    /// The kill that took neither few nor many seeds. A start that did not lead to one took more
    /// than any other.
    fn median(&self) -> Option<&Kill> {
        let mut kills: Vec<_> = self.kills.iter().map(Option::as_ref).collect();
        kills.sort_by_key(|kill| kill.map_or(u64::MAX, |kill| kill.seeds));
        kills.get(kills.len() / 2).copied().flatten()
    }

    /// Writes its story down, and shrinks what else shows the bug and writes that down, too.
    fn write(&mut self, folder: &Path, tries: usize) -> Result<(), String> {
        if let Some((told, _)) = self.told {
            file::write(&folder.join(format!("story-{:02}.json", told.bug)), &told.scenario())?;
        }
        let (Some(kill), Some(trial)) = (self.median(), self.bug.trial()) else { return Ok(()) };
        let small = trial.shrink(&kill.scenario, &kill.violation, tries, || {}).scenario;
        let path = folder.join(format!("bug-{:02}.json", self.bug.id));
        file::write(&path, &small)?;
        self.written = Some((path, small.commands.len()));
        Ok(())
    }

    fn report(&self, out: &Output, markdown: bool) {
        if markdown {
            return out.say(&self.row());
        }
        let Bug { id, name, expected, .. } = self.bug;
        let verdict = match (self.missing, self.median()) {
            (Some(reason), _) => out.paint(Colour::Yellow, &format!("cannot be made: {reason}")),
            (None, None) => out.paint(Colour::Red, "not caught"),
            (None, Some(Kill { violation, seeds, seed, .. })) => {
                let rule = violation.invariant;
                let as_expected = expected.contains(&rule);
                let colour = if as_expected { Colour::Green } else { Colour::Yellow };
                let odd = if as_expected { "" } else { ", not as expected" };
                let seeds = counted(*seeds, "seed");
                let text = format!("{rule} after {seeds} (seed {seed}){odd}");
                out.paint(colour, &text)
            }
        };
        let story = match self.told {
            Some((told, _)) if self.is_told() => format!("; its story: {}", told.invariant.id()),
            Some(_) => out.paint(Colour::Red, "; its story does not show it"),
            None => String::new(),
        };
        let unfair = match self.honest {
            Some(false) => out.paint(Colour::Red, "; an honest cluster breaks it, too"),
            _ => String::new(),
        };
        let written = self.written.as_ref().map_or_else(String::new, |(path, commands)| {
            format!("; {} in {}", counted(*commands as u64, "command"), path.display())
        });
        out.say(&format!("{id:>2} {name}: {verdict}{unfair}{story}{written}"));
        out.tell(&self.json());
    }

    /// A row of the table.
    fn row(&self) -> String {
        let Bug { id, name, .. } = self.bug;
        let (rule, seeds) = match (self.missing, self.median()) {
            (Some(reason), _) => (format!("cannot be made: {reason}"), String::new()),
            (None, None) => ("not caught".into(), format!("> {}", self.tried)),
            (None, Some(kill)) => (kill.violation.invariant.to_string(), kill.seeds.to_string()),
        };
        let [story, its_rule, commands] = match self.told {
            None => [String::new(), String::new(), String::new()],
            Some((told, caught)) => {
                let caught = caught.map_or("none", Invariant::id);
                let commands = told.scenario().commands.len();
                [told.story.into(), caught.into(), commands.to_string()]
            }
        };
        format!("| {id} | {name} | {rule} | {seeds} | {story} | {its_rule} | {commands} |")
    }

    fn json(&self) -> Value {
        let Bug { id, name, expected, .. } = self.bug;
        let median = self.median();
        let invariant = median.map(|kill| kill.violation.invariant);
        let starts = self.kills.iter().map(|kill| kill.as_ref().map(|kill| kill.seeds));
        json!({
            "id": id,
            "name": name,
            "caught": self.is_caught(),
            "invariant": invariant.map(raft_sim::Invariant::id),
            "seeds": median.map(|kill| kill.seeds),
            "seed": median.map(|kill| kill.seed),
            "starts": starts.collect::<Vec<_>>(),
            "expected": expected.iter().map(|rule| rule.id()).collect::<Vec<_>>(),
            "honest": self.honest,
            "as_expected": invariant.is_some_and(|rule| expected.contains(&rule)),
            "missing": self.missing,
            "directed": self.is_told(),
            "story": self.told.map(|(told, _)| told.story),
            "file": self.written.as_ref().map(|(path, _)| path.display().to_string()),
            "commands": self.written.as_ref().map(|(_, commands)| commands),
        })
    }
}
