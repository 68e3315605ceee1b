//! The text of a scene: prose and steps, and how to write them back.
//!
//! A step is a command line, optional input lines, a line `----`, and what the command is expected
//! to print, up to a blank line. Everything else is prose: comments and blank lines.

use super::Result;

/// Separates a command from what it prints.
const RULE: &str = "----";

/// A scene file in its order.
pub(super) struct Script {
    pub(super) parts: Vec<Part>,
}

/// A piece of a scene file.
pub(super) enum Part {
    /// A comment or a blank line, as it stands.
    Prose(String),
    /// Something to do.
    Step(Step),
}

/// One command and what it should print.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Line of the command in the file, from 1.
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) input: Vec<String>,
    pub(super) expected: Vec<String>,
}

impl Step {
    /// Line of the first expected line.
    pub(super) fn output_line(&self) -> usize {
        self.line + self.input.len() + 2
    }

    /// The step as text, with `output` in place of what was expected.
    pub(super) fn with_output(&self, output: &[String]) -> String {
        let head = [self.command.as_str()].into_iter();
        let input = self.input.iter().map(String::as_str);
        let output = output.iter().map(String::as_str);
        let lines = head.chain(input).chain([RULE]).chain(output);
        lines.map(|line| format!("{line}\n")).collect()
    }
}

impl Script {
    /// Reads a scene. An error names its line.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate().peekable();
        let mut parts = Vec::new();
        while let Some((position, line)) = lines.next() {
            if is_prose(line) {
                parts.push(Part::Prose(line.to_owned()));
                continue;
            }
            let mut step = Step { line: position + 1, command: line.to_owned(), ..Step::default() };
            loop {
                match lines.next() {
                    Some((_, RULE)) => break,
                    Some((_, line)) if !is_prose(line) => step.input.push(line.to_owned()),
                    _ => return Err(format!("{}: `{line}` lacks its `{RULE}`", step.line).into()),
                }
            }
            while let Some((position, line)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
                if line == RULE {
                    let line = position + 1;
                    return Err(format!("{line}: a second `{RULE}` in one step").into());
                }
                step.expected.push(line.to_owned());
            }
            parts.push(Part::Step(step));
        }
        if !parts.iter().any(|part| matches!(part, Part::Step(_))) {
            return Err("1: the scene expects nothing: it has no step".into());
        }
        Ok(Self { parts })
    }

    /// The comment at the top: what the scene teaches.
    pub(super) fn heading(&self) -> String {
        let comment = |part: &Part| match part {
            Part::Prose(line) => line.strip_prefix('#').map(|text| text.trim().to_owned()),
            Part::Step(_) => None,
        };
        let lines: Vec<_> = self.parts.iter().map_while(comment).collect();
        lines.join(" ")
    }
}

fn is_prose(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}
