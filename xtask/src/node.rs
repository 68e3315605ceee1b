//! Node.js: runs the end-to-end tests, and npm brings `wasm-opt`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::sh;

/// The oldest one that Playwright and the test runner's options work with.
const OLDEST: u32 = 20;

/// The two programs.
#[derive(Debug)]
pub(crate) struct Node {
    /// Runs JavaScript.
    pub(crate) node: PathBuf,
    /// Installs packages.
    pub(crate) npm: PathBuf,
}

/// Finds Node.js, installing it first where that is possible.
///
/// # Errors
/// It is missing and cannot be installed here, or it is too old.
pub(crate) fn ensure() -> Result<Node> {
    if find().is_none() && debian::can_install() {
        debian::install(&["nodejs", "npm"])?;
    }
    let Some(found) = find() else {
        bail!("Node.js and npm are missing; type: {}", advice());
    };
    let version = sh::read(sh::command(&found.node, Path::new(".")).arg("--version"))?;
    let major = major(&version).with_context(|| format!("`{version}` is no version of Node.js"))?;
    if major < OLDEST {
        bail!("Node.js {OLDEST} or newer is needed, and {} is {version}", found.node.display());
    }
    Ok(found)
}

fn find() -> Option<Node> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    Some(Node { node: sh::which("node")?, npm: sh::which(npm)? })
}

fn advice() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install node"
    } else if cfg!(windows) {
        "winget install OpenJS.NodeJS.LTS"
    } else {
        "sudo apt-get install -y nodejs npm"
    }
}

/// 20 of `v20.19.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major("v20.19.2"), Some(20));
        assert_eq!(major("20.19.2"), None);
        assert_eq!(major("v"), None);
    }
}
