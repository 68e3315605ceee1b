//! `cargo xtask serve`: the page on this machine, rebuilt at every change.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::ServeOptions;
use crate::project::Project;
use crate::rust;
use crate::sh;
use crate::tools;

const FIRST_PORT: u16 = 8080;
/// How many ports are tried when nobody asked for one.
const PORTS_TRIED: u16 = 20;

/// Installs what is missing, then hands over to `trunk serve` until it is stopped.
///
/// # Errors
/// A tool is missing and cannot be installed, the port is taken, or trunk fails.
pub(crate) fn serve(project: &Project, options: &ServeOptions) -> Result<()> {
    // Before the tools are built: a port that is taken should not be news after four minutes.
    choose_port(options.port)?;
    rust::ensure_target(project, rust::WASM)?;
    let mut tools = vec![tools::trunk(), tools::wasm_bindgen(project)?];
    if options.release {
        tools.push(tools::wasm_opt());
    }
    let tool_dirs = tools::ensure(project, &tools)?;
    let port = choose_port(options.port)?;
    let mut trunk = tools::trunk_command(project, &tool_dirs, "serve")?;
    trunk.args(["--port", &port.to_string()]);
    // Not into `dist/`, where `cargo xtask dist` puts the release page.
    trunk.arg("--dist").arg(project.root.join("target").join("serve"));
    if options.open {
        trunk.arg("--open");
    }
    if options.release {
        trunk.arg("--release");
    }
    trunk.args(&options.trunk_args);
    println!("building the page, then serving it at http://127.0.0.1:{port}/ (Ctrl-C stops)");
    hand_over(&mut trunk)
}

/// The port asked for, or the first free one.
///
/// # Errors
/// The one asked for is taken, or so are all that are tried.
fn choose_port(wanted: Option<u16>) -> Result<u16> {
    if let Some(port) = wanted {
        if !is_free(port) {
            bail!("port {port} is in use; stop what listens there, or choose another with --port");
        }
        return Ok(port);
    }
    let last_port = FIRST_PORT + PORTS_TRIED - 1;
    (FIRST_PORT..=last_port).find(|port| is_free(*port)).with_context(|| {
        format!("ports {FIRST_PORT} to {last_port} are all in use; choose one with --port N")
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Becomes the command, so that stopping this process stops the server.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    println!("$ {}", sh::show(command));
    Err(command.exec()).context("cannot start trunk")
}

#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Result<()> {
    sh::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_when_asked_for_and_passed_over_otherwise() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = choose_port(Some(port)).unwrap_err().to_string();
        assert!(error.contains("in use") && error.contains("--port"), "{error}");
        let _maybe_ours = TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST_PORT));
        assert!(choose_port(None).unwrap() > FIRST_PORT);
    }
}
