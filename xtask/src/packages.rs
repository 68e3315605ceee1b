//! The system's packages: installed where that needs no question, named otherwise.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::sh;

/// A program that comes from the system's package manager.
pub(crate) struct Package {
    /// What a person calls it.
    pub(crate) name: &'static str,
    /// The packages that hold it on Debian.
    pub(crate) debian: &'static [&'static str],
    /// Package managers, and the line that installs it with each.
    pub(crate) lines: &'static [(&'static str, &'static str)],
}

impl Package {
    /// What `find` finds, installed first if it is missing and that is possible.
    ///
    /// # Errors
    /// It is missing and cannot be installed; the message holds the line to type.
    pub(crate) fn ensure<T>(&self, find: impl Fn() -> Option<T>) -> Result<T> {
        if let Some(found) = find() {
            return Ok(found);
        }
        if can_install() {
            install(self.debian)?;
        }
        match find() {
            Some(found) => Ok(found),
            None => bail!("{} is missing; type: {}", self.name, self.line(sh::is_on_path)),
        }
    }

    /// The line for the first package manager that `is_here`.
    fn line(&self, is_here: impl Fn(&str) -> bool) -> &'static str {
        let fits = self.lines.iter().find(|(manager, _)| is_here(manager));
        fits.or(self.lines.first()).map_or("(see its own page)", |(_, line)| line)
    }
}

/// Whether a package can be installed without a question: on Debian itself (on Ubuntu, `chromium`
/// is only a pointer to a snap), as root.
fn can_install() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_debian = release.lines().any(|line| line == "ID=debian");
    let uid = sh::read(sh::command("id", Path::new("/")).arg("-u"));
    is_debian && uid.is_ok_and(|uid| uid == "0") && sh::is_on_path("apt-get")
}

fn install(packages: &[&str]) -> Result<()> {
    println!("installing {}, about a minute", packages.join(" and "));
    let apt_get = || {
        let mut command = sh::command("apt-get", Path::new("/"));
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    sh::run(apt_get().args(["update", "--quiet"]))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    sh::run(apt_get().args(install).args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_type_is_for_the_package_manager_that_is_here() {
        let lines = &[("apt-get", "apt-get install it"), ("brew", "brew install it")];
        let package = Package { name: "it", debian: &[], lines };
        assert_eq!(package.line(|manager| manager == "brew"), "brew install it");
        assert_eq!(package.line(|_| true), "apt-get install it");
        assert_eq!(package.line(|_| false), "apt-get install it");
    }
}
