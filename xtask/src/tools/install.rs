//! Installing one tool: into a folder beside its own, and moved there by one rename once it has
//! proved that it runs. An interrupted install is therefore never taken for a tool; the compiled
//! dependencies of an interrupted build stay, and the next try goes on there.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{Source, Tool};
use crate::node;
use crate::project::{Project, shown};
use crate::sh;

/// Optimised just enough: with the tools' own release profiles the build takes twice as long, and
/// that is longer than these tools will ever run here.
const QUICK_RELEASE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

impl Tool {
    /// Fills `home`, the tool's folder in the cache.
    ///
    /// # Errors
    /// The network, the compiler or the disk refuses, or the tool does not run here.
    pub(super) fn install(&self, project: &Project, home: &Path) -> Result<()> {
        let tools = home.parent().context("the cache folder has no parent")?;
        fs::create_dir_all(tools).with_context(|| format!("cannot make {}", tools.display()))?;
        // A second `cargo xtask` waits here, and then finds the work done.
        let lock = File::create(tools.join(format!("{}.lock", self.id())))?;
        lock.lock().context("cannot lock the tool cache")?;
        if self.in_home(home).is_some() {
            return Ok(());
        }
        println!("{} is missing: installing it, about {}", self.id(), self.takes);
        println!("  into {}", shown(home));
        let start = Instant::now();
        let stage = Stage::new(home)?;
        self.fill(project, &stage)?;
        stage.publish(home)?;
        println!("{} installed in {} s", self.id(), start.elapsed().as_secs());
        Ok(())
    }

    fn fill(&self, project: &Project, stage: &Stage) -> Result<()> {
        match self.source {
            Source::Npm => sh::run(&mut self.npm_install(project, stage)?)?,
            Source::Crate { flags } => {
                if self.binstall(project, stage) {
                    return Ok(());
                }
                sh::run(&mut self.cargo_install(project, stage, flags))?;
            }
        }
        if !self.runs(&self.bin_dir(&stage.root), &project.root) {
            bail!("{} was installed but does not run here", self.id());
        }
        Ok(())
    }

    fn cargo_install(&self, project: &Project, stage: &Stage, flags: &[&str]) -> Command {
        let mut cargo = project.cargo();
        // By force: a ready-made program that does not run may be in the way.
        cargo.args(["install", "--locked", "--force"]);
        cargo.args(["--version", &format!("={}", self.version)]);
        cargo.arg("--root").arg(&stage.root).arg("--target-dir").arg(&stage.build);
        cargo.args(flags).arg(self.package).envs(QUICK_RELEASE);
        // These would turn the tool itself into a program for another machine.
        cargo.env_remove("CARGO_BUILD_TARGET").env_remove("RUSTFLAGS");
        cargo
    }

    /// Tries a ready-made program, if the person already has `cargo binstall`. One that is not
    /// there or does not run (an older libc, say) is no error: then the tool is built.
    fn binstall(&self, project: &Project, stage: &Stage) -> bool {
        if !sh::is_on_path("cargo-binstall") {
            return false;
        }
        let mut cargo = project.cargo();
        cargo.args(["binstall", "--no-confirm", "--disable-strategies", "compile", "--root"]);
        cargo.arg(&stage.root).arg(format!("{}@{}", self.package, self.version));
        if let Err(error) = sh::run(&mut cargo) {
            println!("{error:#}: building it instead");
            return false;
        }
        let dir = self.bin_dir(&stage.root);
        let usable = self.has_programs(&dir) && self.runs(&dir, &project.root);
        if !usable {
            println!("the ready-made {} does not run here: building it instead", self.id());
        }
        usable
    }

    fn npm_install(&self, project: &Project, stage: &Stage) -> Result<Command> {
        let mut npm = sh::command(node::ensure()?.npm, &project.root);
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        npm.arg(&stage.root).arg(format!("{}@{}", self.package, self.version));
        Ok(npm)
    }
}

/// The two folders an install works in, beside the one it will end in.
struct Stage {
    /// What will become the tool's folder.
    root: PathBuf,
    /// The compiled dependencies; kept when the build is interrupted.
    build: PathBuf,
}

impl Stage {
    fn new(home: &Path) -> Result<Self> {
        let stage = Self {
            root: home.with_added_extension("new"),
            build: home.with_added_extension("build"),
        };
        remove(&stage.root)?;
        fs::create_dir_all(&stage.root)
            .with_context(|| format!("cannot make {}", stage.root.display()))?;
        Ok(stage)
    }

    fn publish(self, home: &Path) -> Result<()> {
        remove(home)?;
        fs::rename(&self.root, home)
            .with_context(|| format!("cannot move the tool to {}", home.display()))?;
        remove(&self.build)
    }
}

/// Removes the folder `dir` and all below it, if it is there.
fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;
    use crate::tools::trunk;

    #[test]
    fn an_unfinished_install_is_not_a_tool() {
        let dir = env::temp_dir().join(format!("xtask-stage-{}", std::process::id()));
        let home = dir.join("trunk-1");
        let stage = Stage::new(&home).unwrap();
        let bin = trunk().bin_dir(&stage.root);
        fs::create_dir_all(&bin).unwrap();
        fs::write(sh::executable(&bin, "trunk"), "").unwrap();
        assert_eq!(trunk().in_home(&home), None);
        stage.publish(&home).unwrap();
        assert_eq!(trunk().in_home(&home), Some(home.join("bin")));
        remove(&dir).unwrap();
    }
}
