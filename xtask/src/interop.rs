//! `cargo xtask interop`: clusters of our nodes and raft-rs's.

use anyhow::Result;

use crate::project::Project;
use crate::sh;

/// Runs the mixed clusters with these options.
///
/// # Errors
/// A seed failed, or the batch did not show what it should.
pub(crate) fn interop(project: &Project, args: &[String]) -> Result<()> {
    let mut cargo = project.cargo();
    // A profile of its own: optimised, but with the core's checks and with panics that are caught.
    cargo.args(["run", "--quiet", "--profile", "interop", "-p", "raft-interop", "--"]).args(args);
    sh::run(&mut cargo)
}
