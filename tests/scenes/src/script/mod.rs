//! The text of a scene: prose and steps, and how to write them back.
//!
//! A step is a command line, optional input lines, a line `----`, and what the command is expected
//! to print, up to a blank line. Output that has blank lines itself stands between two pairs of
//! `----`. Everything else is prose: comments, which begin with `#`, and blank lines.

mod line;

pub(crate) use self::line::Call;

/// Separates a command from what it prints.
const RULE: &str = "----";

/// A scene file in its order.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) parts: Vec<Part>,
}

/// A piece of a scene file.
#[derive(Debug)]
pub(crate) enum Part {
    /// A comment or a blank line, as it stands.
    Prose(String),
    /// Something to do.
    Step(Step),
}

/// One command and what it should print.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// Line of the command in the file, from 1.
    pub(crate) line: usize,
    /// The command line, without the backslashes that wrap it.
    pub(crate) command: String,
    /// The lines between the command and the rule.
    pub(crate) input: Vec<String>,
    /// What it should print.
    pub(crate) expected: Vec<String>,
    /// Everything above the rule as it stands in the file.
    head: Vec<String>,
    /// Line of the first expected line.
    pub(crate) output_line: usize,
}

/// A text that is no scene: the line, from 1, and why.
pub(crate) type Misreading = (usize, String);

/// The lines of a file with their numbers.
struct Lines<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
    /// Line of the last line taken, from 1.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (position, text) = self.lines.next()?;
        self.line = position + 1;
        Some(text)
    }

    fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        let (position, text) = self.lines.next_if(|(_, text)| wanted(text))?;
        self.line = position + 1;
        Some(text)
    }
}

impl Script {
    /// Reads a scene.
    pub(crate) fn parse(text: &str) -> Result<Self, Misreading> {
        let mut lines = Lines { lines: text.lines().enumerate().peekable(), line: 0 };
        let mut parts = Vec::new();
        while let Some(line) = lines.next() {
            let is_prose = line.trim().is_empty() || line.trim_start().starts_with('#');
            parts.push(match is_prose {
                true => Part::Prose(line.to_owned()),
                false => Part::Step(Step::parse(line, &mut lines)?),
            });
        }
        if !parts.iter().any(|part| matches!(part, Part::Step(_))) {
            return Err((1, "the scene expects nothing: it has no step".to_owned()));
        }
        Ok(Self { parts })
    }

    /// The comment at the top: what the scene teaches.
    pub(crate) fn heading(&self) -> String {
        let comment = |part: &Part| match part {
            Part::Prose(line) => line.strip_prefix('#').map(|text| text.trim().to_owned()),
            Part::Step(_) => None,
        };
        let lines: Vec<_> = self.parts.iter().map_while(comment).collect();
        lines.join(" ")
    }
}

impl Step {
    fn parse(first: &str, lines: &mut Lines<'_>) -> Result<Self, Misreading> {
        let mut step = Self { line: lines.line, head: vec![first.to_owned()], ..Self::default() };
        let mut command = first.trim().to_owned();
        while let Some(wrapped) = command.strip_suffix('\\') {
            let Some(more) = lines.next() else {
                return Err((step.line, format!("`{first}` goes on, but the file does not")));
            };
            step.head.push(more.to_owned());
            command = format!("{wrapped} {}", more.trim());
        }
        step.command = command;
        loop {
            match lines.next() {
                Some(RULE) => break,
                Some(line) if !line.trim().is_empty() => {
                    step.head.push(line.to_owned());
                    step.input.push(line.to_owned());
                }
                _ => return Err((step.line, format!("`{first}` lacks its `{RULE}`"))),
            }
        }
        step.output_line = lines.line + 1;
        if lines.next_if(|line| line == RULE).is_some() {
            step.output_line += 1;
            step.read_fenced(lines)?;
        } else {
            step.read_plain(lines)?;
        }
        Ok(step)
    }

    /// Output up to a blank line, which stays with the prose.
    fn read_plain(&mut self, lines: &mut Lines<'_>) -> Result<(), Misreading> {
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            if line == RULE {
                return Err((lines.line, format!("a second `{RULE}` in one step")));
            }
            self.expected.push(line.to_owned());
        }
        Ok(())
    }

    /// Output up to two rules in a row.
    fn read_fenced(&mut self, lines: &mut Lines<'_>) -> Result<(), Misreading> {
        while let Some(line) = lines.next() {
            if line == RULE && lines.next_if(|line| line == RULE).is_some() {
                return Ok(());
            }
            self.expected.push(line.to_owned());
        }
        let command = &self.command;
        Err((self.line, format!("the output of `{command}` lacks its closing `{RULE}` twice")))
    }

    /// The step as text, with `output` in place of what was expected.
    pub(crate) fn with_output(&self, output: &[String]) -> String {
        let fence: &[&str] = match output.iter().any(|line| line.trim().is_empty()) {
            true => &[RULE],
            false => &[],
        };
        let head = self.head.iter().map(String::as_str);
        let output = output.iter().map(String::as_str);
        let fences = fence.iter().copied();
        let body = [RULE].into_iter().chain(fences.clone()).chain(output);
        let end = fences.clone().chain(fences);
        head.chain(body).chain(end).map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests;
