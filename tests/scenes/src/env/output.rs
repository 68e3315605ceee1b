//! What a command prints, with its log level and its indentation.

use raft_core::describe::Level;

use crate::{Result, nonsense};

/// Names of the log levels, ascending. Below the last one nothing is printed at all.
const LEVELS: [&str; 6] = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];

/// Text that grows.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: String,
    /// Columns by which lines are moved to the right.
    indent: usize,
    /// Position in [`LEVELS`] from which on log lines are printed.
    level: usize,
}

impl Output {
    /// Takes everything printed so far.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing is printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.level + 1 == LEVELS.len()
    }

    pub(crate) fn level(&self) -> usize {
        self.level
    }

    pub(crate) fn set_level(&mut self, level: usize) {
        self.level = level;
    }

    /// Sets the log level by its name, in any case.
    pub(crate) fn set_level_by_name(&mut self, name: &str) -> Result<()> {
        match LEVELS.iter().position(|level| level.eq_ignore_ascii_case(name)) {
            Some(level) => self.level = level,
            None => return nonsense(format!("`{name}` is no log level: {}", LEVELS.join(", "))),
        }
        Ok(())
    }

    /// Prints `text` as it is, except that each line is indented.
    pub(crate) fn raw(&mut self, text: &str) {
        if self.is_quiet() {
            return;
        }
        for line in text.split_inclusive('\n') {
            if self.at_line_start() {
                self.text.extend(std::iter::repeat_n(' ', self.indent));
            }
            self.text.push_str(line);
        }
    }

    /// Prints `text` and a newline.
    pub(crate) fn line(&mut self, text: &str) {
        self.raw(text);
        self.raw("\n");
    }

    /// Prints log lines if the level asks for them.
    pub(crate) fn log(&mut self, level: Level, text: &str) {
        let name = level.to_string();
        let position = LEVELS.iter().position(|known| *known == name);
        if position.is_some_and(|position| position >= self.level) {
            for line in text.lines() {
                self.line(&format!("{name} {line}"));
            }
        }
    }

    /// What is printed from here on is indented by two more columns.
    pub(crate) fn begin_indent(&mut self) {
        self.indent += 2;
    }

    /// Ends [`begin_indent`](Self::begin_indent), and the line.
    pub(crate) fn end_indent(&mut self) {
        if !self.at_line_start() {
            self.raw("\n");
        }
        self.indent = self.indent.saturating_sub(2);
    }

    fn at_line_start(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n')
    }
}
