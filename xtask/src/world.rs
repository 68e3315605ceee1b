//! `cargo xtask bench --world`: the busy run of the simulator, natively and in Chromium.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::browser;
use crate::project::Project;
use crate::rust;
use crate::sh;

/// How often each is measured; the fastest round of each counts, for what slows a round down is the
/// rest of the machine.
const ROUNDS: usize = 3;
/// Seeds of a round.
const SEEDS: &str = "40";
/// The same for a first look.
const QUICK_SEEDS: &str = "8";

/// One measurement.
#[derive(Debug, PartialEq)]
struct Figures {
    /// Virtual seconds of load in a second.
    pace: f64,
    /// Equal runs have equal ones.
    digest: String,
}

/// Measures both in turn and prints their ratio.
///
/// # Errors
/// What is missing cannot be installed, a run breaks a rule, or the two do not run alike.
pub(crate) fn bench(project: &Project, args: &[String]) -> Result<()> {
    let (mut json, mut seeds) = (false, SEEDS);
    for arg in args {
        match arg.as_str() {
            "--json" => json = true,
            "--quick" => seeds = QUICK_SEEDS,
            other => bail!("`bench --world` has no option `{other}`; see `cargo xtask help`"),
        }
    }
    let mut native_pace = 0f64;
    let mut browser_pace = 0f64;
    let mut chromium = in_chromium(project, seeds)?;
    for _ in 0..ROUNDS {
        let native = measure(&mut natively(project, seeds))?;
        let browser = measure(&mut chromium)?;
        if native.digest != browser.digest {
            bail!("the runs differ: {} natively, {} in Chromium", native.digest, browser.digest);
        }
        native_pace = native_pace.max(native.pace);
        browser_pace = browser_pace.max(browser.pace);
    }
    let ratio = browser_pace / native_pace;
    if json {
        println!(
            "{{\"native\":{native_pace:.1},\"chromium\":{browser_pace:.1},\"ratio\":{ratio:.3}}}"
        );
    } else {
        println!(
            "virtual s of five busy peers in a second of one core: {native_pace:.0} natively, \
             {browser_pace:.0} in Chromium, ratio {ratio:.2}"
        );
    }
    Ok(())
}

fn natively(project: &Project, seeds: &str) -> Command {
    let mut cargo = project.cargo();
    cargo.args(["run", "--release", "--quiet", "-p", "raft-sim", "--"]);
    cargo.args(["bench", "--json", "--seeds", seeds]);
    cargo
}

fn in_chromium(project: &Project, seeds: &str) -> Result<Command> {
    let mut cargo = project.cargo();
    // Not `--quiet`: cargo would hand that on to the runner, which does not know it.
    cargo.args(["test", "--release", "--target", rust::WASM, "-p", "raft-sim"]);
    cargo.args(["--test", "speed"]);
    browser::drive(project, &mut cargo)?;
    // A browser has no environment: this one is read when it is compiled.
    cargo.env("RAFT_BUSY_SEEDS", seeds);
    cargo.args(["--", "--include-ignored", "--nocapture"]);
    Ok(cargo)
}

/// Runs it and reads the line of JSON that it prints. The standard output is for the result.
fn measure(command: &mut Command) -> Result<Figures> {
    eprintln!("$ {}", sh::show(command));
    let text = sh::read(command)?;
    figures(&text).with_context(|| format!("it printed no figures:\n{text}"))
}

/// The figures in what a program printed. They are flat, so that finding their names does.
fn figures(text: &str) -> Option<Figures> {
    let line = text.lines().find(|line| line.contains("\"virtual_seconds_per_second\""))?;
    let value = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next().map(|value| value.trim_matches('"'))
    };
    let pace = value("virtual_seconds_per_second")?.parse().ok()?;
    Some(Figures { pace, digest: value("digest")?.to_owned() })
}

/// Holds the release build to the digest that `sim/tests/digest.rs` holds the others to.
///
/// # Errors
/// It is another one, or the runs fail.
pub(crate) fn check_digest(project: &Project) -> Result<()> {
    let file = project.root.join("sim").join("tests").join("busy-digest.txt");
    let expected = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let found = measure(&mut natively(project, "2"))?.digest;
    if found != expected.trim() {
        bail!("the busy runs have the digest {found}, and it has to be {}", expected.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_other_lines() {
        let text = "running 1 test\n\
                    {\"digest\":\"05e7\",\"seeds\":20,\"virtual_seconds_per_second\":163.5}\n\
                    test how_fast ... ok";
        assert_eq!(figures(text), Some(Figures { pace: 163.5, digest: "05e7".into() }));
        assert_eq!(figures("running 0 tests"), None);
    }
}
