//! Where the project and its per-user cache folder are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::sh;

/// The folders that every command needs.
#[derive(Debug)]
pub(crate) struct Project {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// What outlives a clone: built tools, and CI's build artefacts.
    pub(crate) cache: PathBuf,
}

impl Project {
    /// Finds both from the environment.
    ///
    /// # Errors
    /// The environment names no home folder, or this file is not built inside the repository.
    pub(crate) fn find() -> Result<Self> {
        Ok(Self { root: root()?, cache: cache(|name| env::var_os(name))? })
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target_dir(&self) -> PathBuf {
        let set = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
        set.map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    /// The cargo that started this command, so that both use one toolchain.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        sh::command(cargo, &self.root)
    }

    /// The version of `package` in `Cargo.lock`.
    ///
    /// # Errors
    /// There is no such file, or it does not hold the package.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let version = find_locked(&lock, package);
        version.with_context(|| format!("Cargo.lock holds no `{package}`"))
    }
}

/// `cargo run` tells where the manifest is now; the built-in path covers a direct start.
fn root() -> Result<PathBuf> {
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest_dir.parent().context("xtask is not inside the repository")?;
    Ok(root.to_owned())
}

/// The cache folder by `RAFT_PLAYGROUND_CACHE`, else in the folder the system has for caches.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = set("RAFT_PLAYGROUND_CACHE") {
        return Ok(dir);
    }
    let base = set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .or_else(|| set("LOCALAPPDATA"))
        .context("no home folder: set RAFT_PLAYGROUND_CACHE to a folder for built tools")?;
    Ok(base.join("raft-playground"))
}

/// Reads one version out of the text of a `Cargo.lock`, in which cargo writes a package's name and
/// version on two lines that follow each other.
fn find_locked(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    lines.find(|line| *line == name)?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}

/// `path` as it is shown to a person: relative to the current folder where that is shorter.
pub(crate) fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "\
version = 4

[[package]]
name = \"wasm-bindgen-macro\"
version = \"9.9.9\"

[[package]]
name = \"wasm-bindgen\"
version = \"0.2.126\"
source = \"registry\"
";

    #[test]
    fn a_locked_version_is_that_of_the_exact_name() {
        assert_eq!(find_locked(LOCK, "wasm-bindgen").as_deref(), Some("0.2.126"));
        assert_eq!(find_locked(LOCK, "wasm"), None);
        assert_eq!(find_locked("", "wasm-bindgen"), None);
    }

    /// All files below `folder` that people write by hand.
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        let skipped = ["node_modules", "target", "dist", ".git"];
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !skipped.contains(&name.as_str()) {
                sources(&path, found);
            } else if [".rs", ".css", ".js", ".mjs", ".proto"].iter().any(|end| name.ends_with(end))
            {
                found.push(path);
            }
        }
    }

    /// A file that is longer is several.
    #[test]
    fn no_file_has_more_than_800_lines() {
        let mut found = Vec::new();
        sources(&root().unwrap(), &mut found);
        assert!(found.len() > 200, "only {} files were found", found.len());
        for path in found {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 800, "{} has {lines} lines", path.display());
        }
    }

    #[test]
    fn this_repository_locks_wasm_bindgen() {
        let version = Project::find().unwrap().locked_version("wasm-bindgen").unwrap();
        assert!(version.starts_with("0.2."), "{version}");
    }

    #[test]
    fn the_cache_folder_follows_its_own_variable_then_the_systems() {
        let find = |set: &[(&str, &str)]| {
            let found = |name: &str| set.iter().find(|(key, _)| *key == name);
            cache(|name| found(name).map(|(_, value)| OsString::from(value)))
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(find(&[home]).unwrap(), Path::new("/home/ada/.cache/raft-playground"));
        assert_eq!(
            find(&[home, ("XDG_CACHE_HOME", "/c")]).unwrap(),
            Path::new("/c/raft-playground")
        );
        assert_eq!(find(&[home, ("RAFT_PLAYGROUND_CACHE", "/mine")]).unwrap(), Path::new("/mine"));
        assert!(find(&[("HOME", "")]).is_err());
    }
}
