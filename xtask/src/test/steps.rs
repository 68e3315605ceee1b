//! The steps of `cargo xtask test`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::report::Outcome;
use crate::bench;
use crate::browser;
use crate::dist;
use crate::interop;
use crate::node;
use crate::project::Project;
use crate::rust;
use crate::sh;
use crate::tools;
use crate::world;

type Check = fn(&Project) -> Result<Outcome>;

/// One thing that CI checks.
pub(super) struct Step {
    /// What one types to run it alone.
    pub(super) name: &'static str,
    /// What it checks, for `help`.
    pub(super) about: &'static str,
    /// Left out by `--no-browser`.
    pub(super) needs_browser: bool,
    /// Does it.
    pub(super) check: Check,
}

/// Cheap ones first, so that a slip shows early.
pub(super) const STEPS: [Step; 12] = [
    step("fmt", "the code is formatted", fmt),
    step("clippy", "no lint fires, natively", clippy),
    step("clippy-wasm", "no lint fires, compiled for the browser", clippy_wasm),
    step("docs", "the documentation builds without a warning", docs),
    step(
        "no-std",
        "the core builds for wasm, which imports nothing, and for a machine without an OS",
        no_std,
    ),
    step("native", "unit, black-box and documentation tests", native),
    step("interop", "2,000 clusters of our nodes and raft-rs's keep every promise", interop),
    step(
        "sweep",
        "50,000 clusters under faults keep every rule, and met every kind of them",
        sweep,
    ),
    step("deny", "licences, sources and advisories of the dependencies", deny),
    step("wasm", "the tests that need a browser, in headless Chromium", wasm).in_browser(),
    step(PAGE, "the release page builds", page).in_browser(),
    step(E2E, "whole flows on that page, in headless Chromium", e2e).in_browser(),
];

/// Builds what [`E2E`] tests.
pub(super) const PAGE: &str = "page";
/// Needs [`PAGE`] to have passed.
pub(super) const E2E: &str = "e2e";

/// The crates that the page is made of.
const PAGE_CRATES: [&str; 8] =
    ["-p", "raft-core", "-p", "raft-kv", "-p", "raft-sim", "-p", "raft-web"];

const fn step(name: &'static str, about: &'static str, check: Check) -> Step {
    Step { name, about, needs_browser: false, check }
}

impl Step {
    const fn in_browser(self) -> Self {
        Self { needs_browser: true, ..self }
    }
}

fn fmt(project: &Project) -> Result<Outcome> {
    rust::ensure_component(project, "fmt", "rustfmt")?;
    passes(project.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(project: &Project) -> Result<Outcome> {
    rust::ensure_component(project, "clippy", "clippy")?;
    let mut cargo = project.cargo();
    passes(cargo.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn clippy_wasm(project: &Project) -> Result<Outcome> {
    rust::ensure_component(project, "clippy", "clippy")?;
    rust::ensure_target(project, rust::WASM)?;
    let mut cargo = project.cargo();
    cargo.args(["clippy", "--target", rust::WASM, "--all-targets"]).args(PAGE_CRATES);
    passes(cargo.args(["--", "-D", "warnings"]))
}

fn docs(project: &Project) -> Result<Outcome> {
    let mut cargo = project.cargo();
    passes(cargo.args(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn no_std(project: &Project) -> Result<Outcome> {
    for target in [rust::WASM, rust::BARE_METAL] {
        rust::ensure_target(project, target)?;
        sh::run(project.cargo().args(["build", "-p", "raft-core", "--target", target]))?;
    }
    bench::check_imports(project)?;
    Ok(Outcome::Passed)
}

/// nextest where it is installed: it runs all test binaries at once. It leaves the examples in
/// the documentation to `cargo test`. The examples of the core play a short play each.
fn native(project: &Project) -> Result<Outcome> {
    for example in ["cluster", "tcp"] {
        sh::run(project.cargo().args(["run", "--quiet", "--example", example]))?;
    }
    if !sh::is_on_path("cargo-nextest") {
        return passes(project.cargo().args(["test", "--workspace"]));
    }
    sh::run(project.cargo().args(["nextest", "run", "--workspace"]))?;
    passes(project.cargo().args(["test", "--workspace", "--doc"]))
}

fn interop(project: &Project) -> Result<Outcome> {
    let args = ["--seeds", "2000"].map(str::to_owned);
    interop::interop(project, &args).map(|()| Outcome::Passed)
}

/// As fast as it goes: the profile that people run it with. What the other tests find out about the
/// builds of theirs, that a seed gives the same run, is asked of this one here.
fn sweep(project: &Project) -> Result<Outcome> {
    world::check_digest(project)?;
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--release", "-p", "raft-sim", "--"]);
    passes(cargo.args(["sweep", "--seeds", "0..50000"]))
}

fn deny(project: &Project) -> Result<Outcome> {
    let dir = tools::cargo_deny().ensure(project)?;
    let deny = || sh::command(sh::executable(&dir, "cargo-deny"), &project.root);
    let check = ["--workspace", "check", "--hide-inclusion-graph"];
    sh::run(deny().args(check).args(["licenses", "bans", "sources"]))?;
    // The advisories are a database of their own, which not every network reaches.
    if !sh::succeeds(deny().args(["fetch", "db"])) {
        return Ok(Outcome::passed_but("advisories left out: their database is out of reach"));
    }
    passes(deny().args(check).arg("advisories"))
}

fn wasm(project: &Project) -> Result<Outcome> {
    let mut cargo = project.cargo();
    // The examples in the documentation have run natively.
    cargo.args(["test", "--target", rust::WASM, "--tests", "-p", "raft-sim", "-p", "raft-web"]);
    browser::drive(project, &mut cargo)?;
    passes(&mut cargo)
}

fn page(project: &Project) -> Result<Outcome> {
    dist::dist(project)?;
    Ok(Outcome::Passed)
}

fn e2e(project: &Project) -> Result<Outcome> {
    let browser = browser::ensure()?;
    let node = node::ensure()?;
    let dir = browser_tests(project);
    let dist = project.root.join("dist");
    if !dist.join("index.html").is_file() {
        bail!("there is no page to test; run `cargo xtask test page e2e`");
    }
    let npm = || sh::command(&node.npm, &dir);
    sh::run(npm().args(["ci", "--ignore-scripts", "--prefer-offline"]))?;
    passes(npm().args(["test", "--silent"]).env("CHROMIUM", browser.chromium).env("DIST", dist))
}

fn browser_tests(project: &Project) -> PathBuf {
    project.root.join("tests").join("browser")
}

fn passes(command: &mut Command) -> Result<Outcome> {
    sh::run(command).map(|()| Outcome::Passed)
}
