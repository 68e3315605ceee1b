//! The parts of the Rust toolchain that a command needs: targets and components.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::project::Project;
use crate::sh;

/// What the page is compiled for.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// A small machine without an operating system, to prove that the core needs none.
pub(crate) const BARE_METAL: &str = "thumbv7em-none-eabihf";

/// Adds the standard library of `target` if the toolchain lacks it.
///
/// # Errors
/// It is missing and there is no rustup to add it, or rustup fails.
pub(crate) fn ensure_target(project: &Project, target: &str) -> Result<()> {
    // Asking the compiler works without rustup too.
    let mut rustc = sh::command("rustc", &project.root);
    let lib_dir = sh::read(rustc.args(["--print", "target-libdir", "--target", target]))?;
    if Path::new(&lib_dir).is_dir() {
        return Ok(());
    }
    println!("the target {target} is missing: adding it, a few seconds");
    sh::run(rustup(project, target)?.args(["target", "add", target]))
}

/// Adds `component` if `cargo <subcommand>` does not work without it.
///
/// # Errors
/// It is missing and there is no rustup to add it, or rustup fails.
pub(crate) fn ensure_component(project: &Project, subcommand: &str, component: &str) -> Result<()> {
    if sh::succeeds(project.cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    println!("the component {component} is missing: adding it, a few seconds");
    sh::run(rustup(project, component)?.args(["component", "add", component]))
}

fn rustup(project: &Project, wanted: &str) -> Result<Command> {
    match sh::which("rustup") {
        Some(rustup) => Ok(sh::command(rustup, &project.root)),
        None => bail!("{wanted} is missing and there is no rustup to add it; install rustup"),
    }
}
