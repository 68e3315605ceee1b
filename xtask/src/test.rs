//! `cargo xtask test`: everything that CI runs, step by step.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::args::TestOptions;
use crate::project::Project;

use report::{Outcome, Report};
use steps::{E2E, PAGE, STEPS, Step};

mod report;
mod steps;

/// The names of the steps and what they check, for `help`.
pub(crate) fn list_steps() -> String {
    let lines = STEPS.iter().map(|step| format!("  {:<12} {}\n", step.name, step.about));
    ["The steps of `test`:\n".to_owned()].into_iter().chain(lines).collect()
}

/// Runs the steps that `options` selects and prints a summary.
///
/// # Errors
/// A step failed, or `options` names one that there is not.
pub(crate) fn test(project: &Project, options: &TestOptions) -> Result<()> {
    let steps = selected(&options.steps)?;
    let mut report = Report::default();
    for (at, step) in steps.iter().enumerate() {
        println!("\n==> {}/{} {}: {}", at + 1, steps.len(), step.name, step.about);
        let start = Instant::now();
        let outcome = outcome(project, options, step, &report);
        report.add(step.name, outcome, start.elapsed());
    }
    println!("\n{report}");
    match report.failures() {
        0 => Ok(()),
        1 => bail!("1 step failed"),
        failures => bail!("{failures} steps failed"),
    }
}

fn selected(names: &[String]) -> Result<Vec<&'static Step>> {
    for name in names {
        if !STEPS.iter().any(|step| step.name == name) {
            bail!("`test` has no step `{name}`; see `cargo xtask help`");
        }
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

fn outcome(project: &Project, options: &TestOptions, step: &Step, so_far: &Report) -> Outcome {
    let outcome = if options.fail_fast && so_far.failures() > 0 {
        Outcome::left_out("an earlier step failed (--fail-fast)")
    } else if options.no_browser && step.needs_browser {
        Outcome::left_out("--no-browser")
    } else if step.name == E2E && so_far.has_failed(PAGE) {
        Outcome::left_out("there is no page to test: `page` failed")
    } else {
        (step.check)(project).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
    };
    println!("{}: {outcome}", step.name);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_names_select_every_step_and_names_keep_the_order_of_the_list() {
        assert_eq!(selected(&[]).unwrap().len(), STEPS.len());
        let names = ["clippy".to_owned(), "fmt".to_owned()];
        let steps = selected(&names).unwrap();
        assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["fmt", "clippy"]);
    }

    #[test]
    fn a_step_that_there_is_not_is_an_error() {
        assert!(selected(&["fmt".to_owned(), "formt".to_owned()]).is_err());
    }
}
