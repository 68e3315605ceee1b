//! Plays scenes: text files in which commands to a small cluster stand beside what they print.
//!
//! | file | what it does |
//! | --- | --- |
//! | `script.rs` | the text of a scene: prose, commands, expectations |
//! | `call.rs` | one command line taken apart |
//! | `commands.rs` | what each command does |
//! | `stage.rs` | the peers and the loop that drives them |
//! | `node.rs`, `disk.rs`, `network.rs` | one peer, its disk, messages under way |
//! | `history.rs` | what must hold in every scene, whatever it expects |
//! | `words.rs`, `diff.rs` | tables, and what differs from the expectation |
//!
//! Only the public face of `raft-core` is used. `docs/scenes.md` describes the grammar.

mod call;
mod commands;
mod diff;
mod disk;
mod history;
mod network;
mod node;
mod script;
mod stage;
#[cfg(test)]
mod tests;
mod words;

use raft_core::Rules;

use self::script::{Part, Script, Step};
use self::stage::Stage;

/// What goes wrong here ends in a report for a person: a sentence is enough.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A scene that was played to its end.
pub(crate) struct Played {
    /// The comment at its top.
    pub(crate) heading: String,
    /// The scene with what it really printed.
    pub(crate) rewritten: String,
    /// Steps that printed something else than expected, each with `file:line` and both texts.
    pub(crate) mismatches: Vec<String>,
}

/// Plays the scene `text` with peers that follow `rules`. `name` is the file, for messages.
///
/// # Errors
/// A scene that cannot be read or played, or in which a safety property broke: `file:line` and why.
pub(crate) fn play(name: &str, text: &str, rules: Rules) -> std::result::Result<Played, String> {
    let script = Script::parse(text).map_err(|error| format!("{name}:{error}"))?;
    let mut stage = Stage::new(rules);
    let mut played =
        Played { heading: script.heading(), rewritten: String::new(), mismatches: Vec::new() };
    for part in &script.parts {
        match part {
            Part::Prose(line) => played.rewritten.push_str(&format!("{line}\n")),
            Part::Step(step) => {
                let output = commands::run(&mut stage, &step.command, &step.input)
                    .map_err(|error| explain(name, step, &stage, error.as_ref()))?;
                played.rewritten.push_str(&step.with_output(&output));
                played.mismatches.extend(compare(name, step, &output));
            }
        }
    }
    Ok(played)
}

/// Why a step could not be played, after what it printed until then.
fn explain(name: &str, step: &Step, stage: &Stage, error: &dyn std::error::Error) -> String {
    let printed: String = stage.lines.iter().map(|line| format!("\n      {line}")).collect();
    format!("{name}:{}: {}: {error}{printed}", step.line, step.command)
}

fn compare(name: &str, step: &Step, output: &[String]) -> Option<String> {
    (step.expected != output).then(|| {
        let (line, command) = (step.output_line(), &step.command);
        let diff = diff::diff(&step.expected, output);
        format!("{name}:{line}: `{command}` printed something else (- expected, + found)\n{diff}")
    })
}
