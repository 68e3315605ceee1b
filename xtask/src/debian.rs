//! Installing packages where that needs no question: on Debian, as root.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::sh;

/// Whether `install` can work: Debian itself (on Ubuntu, `chromium` is only a pointer to a snap),
/// and root.
pub(crate) fn can_install() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_debian = release.lines().any(|line| line == "ID=debian");
    let uid = sh::read(sh::command("id", Path::new("/")).arg("-u"));
    is_debian && uid.is_ok_and(|uid| uid == "0") && sh::which("apt-get").is_some()
}

/// Installs Debian packages, saying so.
///
/// # Errors
/// `apt-get` fails.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    println!("installing {}, about a minute", packages.join(" and "));
    let apt_get = || {
        let mut command = sh::command("apt-get", Path::new("/"));
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    sh::run(apt_get().args(["update", "--quiet"]))?;
    sh::run(apt_get().args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
}
