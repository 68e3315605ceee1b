//! What became of each step, and the table that says so at the end.

use std::fmt;
use std::time::Duration;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it passed.
    Passed,
    /// What ran passed; the text says what did not run.
    PassedBut(String),
    /// Not run, for the reason given.
    LeftOut(String),
    /// Failed, with the error.
    Failed(String),
}

impl Outcome {
    /// Passed, except for a part that could not run.
    pub(super) fn passed_but(reason: &str) -> Self {
        Self::PassedBut(reason.to_owned())
    }

    /// Not run.
    pub(super) fn left_out(reason: &str) -> Self {
        Self::LeftOut(reason.to_owned())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("ok"),
            Self::PassedBut(reason) => write!(f, "ok, but {reason}"),
            Self::LeftOut(reason) => write!(f, "LEFT OUT: {reason}"),
            Self::Failed(error) => write!(f, "FAILED: {error}"),
        }
    }
}

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    step: &'static str,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    /// Adds the outcome of `step`.
    pub(super) fn add(&mut self, step: &'static str, outcome: Outcome, took: Duration) {
        self.rows.push(Row { step, outcome, took });
    }

    /// How many steps failed.
    pub(super) fn failures(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed(_))).count()
    }

    /// Whether `step` ran and failed.
    pub(super) fn has_failed(&self, step: &str) -> bool {
        let failed = |row: &&Row| matches!(row.outcome, Outcome::Failed(_));
        self.rows.iter().filter(failed).any(|row| row.step == step)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12}{:>8}  result", "step", "time")?;
        for Row { step, outcome, took } in &self.rows {
            // What a step said in full stands where it ran.
            let outcome = outcome.to_string();
            let result = outcome.lines().next().unwrap_or_default();
            writeln!(f, "{step:<12}{:>6.1} s  {result}", took.as_secs_f64())?;
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        write!(f, "{:<12}{:>6.1} s", "total", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_step_its_time_and_why_it_was_left_out() {
        let mut report = Report::default();
        report.add("fmt", Outcome::Passed, Duration::from_millis(840));
        report.add(
            "native",
            Outcome::Failed("`cargo` failed\nhere".into()),
            Duration::from_secs(61),
        );
        report.add("e2e", Outcome::left_out("--no-browser"), Duration::ZERO);
        let expected = "\
step            time  result
fmt            0.8 s  ok
native        61.0 s  FAILED: `cargo` failed
e2e            0.0 s  LEFT OUT: --no-browser
total         61.8 s";
        assert_eq!(report.to_string(), expected);
        assert_eq!(report.failures(), 1);
        assert!(report.has_failed("native") && !report.has_failed("fmt"));
    }
}
