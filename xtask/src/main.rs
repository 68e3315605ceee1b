//! `cargo xtask …`: the commands that build, test, serve and publish the playground.
//!
//! A fresh machine needs only rustup and a package manager; whatever else a command needs, it
//! installs, saying so, or fails with the one line to type. Nothing is left out silently.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;

use crate::args::Command;
use crate::project::Project;

mod args;
mod bench;
mod browser;
mod dist;
mod interop;
mod node;
mod packages;
mod project;
mod rust;
mod scenes;
mod serve;
mod sh;
mod test;
mod tools;
mod world;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let command = args::parse(env::args_os().skip(1))?;
    let project = Project::find()?;
    match command {
        Command::Help => help(),
        Command::Serve(options) => serve::serve(&project, &options),
        Command::Test(options) => test::test(&project, &options),
        Command::Scenes(options) => scenes::scenes(&project, &options),
        Command::Bench(args) => bench::bench(&project, &args),
        Command::Interop(args) => interop::interop(&project, &args),
        Command::Dist => dist::dist(&project),
    }
}

/// Not with `println!`, which panics when `| head` stops reading.
fn help() -> Result<()> {
    let text = format!("{}\n{}", args::HELP, test::list_steps());
    Ok(io::stdout().write_all(text.as_bytes())?)
}
