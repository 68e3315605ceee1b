//! The pinned tools: built once into a per-user cache folder, found there ever after.
//!
//! A tool lives in `<cache>/tools/<name>-<version>/`, so that versions live side by side and a
//! fresh clone finds what an older one has built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::project::Project;
use crate::sh;

mod install;

/// Newer ones need a newer rustc than `rust-toolchain.toml` has. `Trunk.toml` says the same.
const TRUNK: &str = "0.21.14";
/// The version on npm is binaryen's own number. `Trunk.toml` says the same.
const BINARYEN: &str = "132.0.0";
const CARGO_DENY: &str = "0.20.2";

/// A program that the project needs in one exact version.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The package that holds it.
    package: &'static str,
    version: String,
    source: Source,
    /// The programs that are used; the first one is asked for its version.
    programs: &'static [&'static str],
    /// How long an install takes on two cores.
    takes: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A crate that is compiled here.
    Crate {
        /// Further words for `cargo install`.
        flags: &'static [&'static str],
    },
    /// An npm package that brings its programs ready-made.
    Npm,
}

/// Builds and serves the page.
pub(crate) fn trunk() -> Tool {
    Tool {
        package: "trunk",
        version: TRUNK.to_owned(),
        // Without the check for updates: the version is pinned.
        source: Source::Crate { flags: &["--no-default-features", "--features", "rustls"] },
        programs: &["trunk"],
        takes: "4 minutes",
    }
}

/// Makes the JavaScript half of the page, and runs the tests in a browser.
///
/// # Errors
/// `Cargo.lock` does not say which version of the library is used; the two must be equal.
pub(crate) fn wasm_bindgen(project: &Project) -> Result<Tool> {
    Ok(Tool {
        package: "wasm-bindgen-cli",
        version: project.locked_version("wasm-bindgen")?,
        source: Source::Crate { flags: &[] },
        programs: &["wasm-bindgen", "wasm-bindgen-test-runner"],
        takes: "a minute and a half",
    })
}

/// Checks licences, sources and advisories of the dependencies.
pub(crate) fn cargo_deny() -> Tool {
    Tool {
        package: "cargo-deny",
        version: CARGO_DENY.to_owned(),
        source: Source::Crate { flags: &[] },
        programs: &["cargo-deny"],
        takes: "a minute and a half",
    }
}

/// Makes the release page smaller and faster. From npm, since what distributions ship is too old
/// for the instructions that rustc emits.
pub(crate) fn wasm_opt() -> Tool {
    Tool {
        package: "binaryen",
        version: BINARYEN.to_owned(),
        source: Source::Npm,
        programs: &["wasm-opt"],
        takes: "10 seconds",
    }
}

/// The folders that hold `tools`, each one installed first if it is missing.
///
/// # Errors
/// A tool is missing and cannot be installed.
pub(crate) fn ensure(project: &Project, tools: &[Tool]) -> Result<Vec<PathBuf>> {
    tools.iter().map(|tool| tool.ensure(project)).collect()
}

impl Tool {
    /// The folder that holds the programs: the cache, else a folder on `PATH` that has this very
    /// version, else the cache after an install.
    ///
    /// # Errors
    /// The tool is missing and cannot be installed.
    pub(crate) fn ensure(&self, project: &Project) -> Result<PathBuf> {
        let home = project.cache.join("tools").join(self.id());
        if let Some(dir) = self.in_home(&home).or_else(|| self.on_path(&project.root)) {
            return Ok(dir);
        }
        self.install(project, &home)?;
        self.in_home(&home).with_context(|| format!("{} did not install its programs", self.id()))
    }

    fn id(&self) -> String {
        format!("{}-{}", self.package, self.version)
    }

    /// Where this source puts programs below the folder it installs into.
    fn bin_dir(&self, root: &Path) -> PathBuf {
        match self.source {
            Source::Crate { .. } => root.join("bin"),
            Source::Npm => root.join("node_modules").join(".bin"),
        }
    }

    fn in_home(&self, home: &Path) -> Option<PathBuf> {
        let dir = self.bin_dir(home);
        self.has_programs(&dir).then_some(dir)
    }

    fn has_programs(&self, dir: &Path) -> bool {
        let file = |program: &&str| match self.source {
            Source::Npm if cfg!(windows) => dir.join(format!("{program}.cmd")),
            Source::Npm | Source::Crate { .. } => sh::executable(dir, program),
        };
        self.programs.iter().all(|program| file(program).is_file())
    }

    fn on_path(&self, root: &Path) -> Option<PathBuf> {
        let dir = sh::which(self.programs.first()?)?.parent()?.to_owned();
        (self.has_programs(&dir) && self.runs(&dir, root)).then_some(dir)
    }

    /// Whether the first program in `dir` starts and names the version that is wanted.
    fn runs(&self, dir: &Path, root: &Path) -> bool {
        let Some(program) = self.programs.first() else {
            return false;
        };
        let version = sh::read(sh::command(dir.join(program), root).arg("--version"));
        version.is_ok_and(|text| self.is_version(&text))
    }

    /// Whether `text`, such as `trunk 0.21.14` or `wasm-opt version 132`, names this version.
    fn is_version(&self, text: &str) -> bool {
        let version = self.version.as_str();
        // binaryen has one number; npm wants three.
        let short = if self.source == Source::Npm { version.strip_suffix(".0.0") } else { None };
        text.split_whitespace().any(|word| word == version || Some(word) == short)
    }
}

/// `trunk <subcommand>` with `tool_dirs` before everything else on its `PATH`.
///
/// # Errors
/// `tool_dirs` cannot be put on a `PATH`.
pub(crate) fn trunk_command(
    project: &Project,
    tool_dirs: &[PathBuf],
    sub: &str,
) -> Result<Command> {
    let program = tool_dirs
        .iter()
        .map(|dir| sh::executable(dir, "trunk"))
        .find(|file| file.is_file())
        .context("trunk is not among the tools")?;
    let mut trunk = sh::command(program, &project.root);
    trunk.arg(sub);
    sh::prefix_path(&mut trunk, tool_dirs)?;
    // Where in trunk an error arose helps nobody here; what cargo said stands above it.
    trunk.env("RUST_BACKTRACE", "0");
    // trunk takes NO_COLOR for a boolean and refuses the customary `NO_COLOR=1`.
    if env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        trunk.env("NO_COLOR", "true");
    }
    Ok(trunk)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn trunk_toml_names_the_same_versions() {
        let project = Project::find().unwrap();
        let text = fs::read_to_string(project.root.join("Trunk.toml")).unwrap();
        assert!(text.contains(&format!("trunk-version = \"={TRUNK}\"")), "{text}");
        let binaryen = BINARYEN.strip_suffix(".0.0").unwrap();
        assert!(text.contains(&format!("wasm_opt = \"version_{binaryen}\"")), "{text}");
    }

    #[test]
    fn a_version_is_recognised_as_a_whole_word() {
        let trunk = trunk();
        assert!(trunk.is_version("trunk 0.21.14"));
        assert!(!trunk.is_version("trunk 0.21.1"));
        assert!(!trunk.is_version("trunk 0.21.14-beta.1"));
        assert!(wasm_opt().is_version("wasm-opt version 132 (version_132)"));
        assert!(!wasm_opt().is_version("wasm-opt version 108"));
    }
}
