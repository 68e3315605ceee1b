//! Node.js: runs the end-to-end tests, and npm brings `wasm-opt`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::packages::Package;
use crate::sh;

/// The oldest one that Playwright and the test runner's options work with.
const OLDEST: u32 = 20;

const NODE: Package = Package {
    name: "Node.js with npm",
    debian: &["nodejs", "npm"],
    lines: &[
        ("apt-get", "sudo apt-get install -y nodejs npm"),
        ("dnf", "sudo dnf install -y nodejs npm"),
        ("pacman", "sudo pacman -S nodejs npm"),
        ("brew", "brew install node"),
        ("winget", "winget install OpenJS.NodeJS.LTS"),
    ],
};

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
    let found = NODE.ensure(find)?;
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
