//! `cargo xtask scenes`: plays folders of scenes by the program that the tests use.

use anyhow::{Context as _, Result};

use crate::args::ScenesOptions;
use crate::project::Project;
use crate::sh;

/// Plays every scene of the folders and prints what differs.
///
/// # Errors
/// A scene that prints something else than it says, or that cannot be played.
pub(crate) fn scenes(project: &Project, options: &ScenesOptions) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "-p", "raft-scenes", "--"]);
    for folder in &options.folders {
        // The program runs in the project's folder, whatever the current one is.
        let folder = std::path::absolute(folder)
            .with_context(|| format!("{} is no folder", folder.display()))?;
        cargo.arg(folder);
    }
    let flags = [("--semantic", options.semantic), ("--rewrite", options.rewrite)];
    cargo.args(flags.iter().filter(|(_, on)| *on).map(|(flag, _)| flag));
    sh::run_quietly(&mut cargo)
}
