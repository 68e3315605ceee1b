//! `raft-scenes DIR… [--semantic] [--rewrite]`: plays every scene of these folders.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use raft_scenes::{Mode, play, play_folder, replace, scenes_in};

const USAGE: &str = "\
Usage: raft-scenes DIR… [--semantic] [--rewrite]

Plays every .txt file in the folders (or the files) and compares what it prints.

  --semantic   leave log lines out of the comparison
  --rewrite    write what the scenes print now into the files
";

#[derive(Default)]
struct Options {
    folders: Vec<PathBuf>,
    mode: Mode,
    rewrite: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut clean = true;
    for folder in &options.folders {
        let done = if options.rewrite { rewrite(folder) } else { compare(folder, options.mode) };
        clean &= done.unwrap_or_else(|error| {
            eprintln!("{}: {error}", folder.display());
            false
        });
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--semantic") => options.mode = Mode::Semantic,
            Some("--rewrite") => options.rewrite = true,
            Some(other) if other.starts_with('-') => return Err(format!("no option `{other}`")),
            _ => options.folders.push(argument.into()),
        }
    }
    if options.folders.is_empty() {
        return Err("which folder?".to_owned());
    }
    Ok(options)
}

/// Prints every difference and a line at the end. Returns whether there was none.
fn compare(folder: &Path, mode: Mode) -> std::io::Result<bool> {
    let report = play_folder(folder, mode)?;
    for failure in &report.failures {
        println!("{failure}");
    }
    let (folder, scenes, steps) = (folder.display(), report.scenes, report.steps);
    println!("{folder}: {} of {scenes} scenes as expected, {steps} steps", report.passed);
    if scenes == 0 {
        println!("{folder}: no .txt file was found");
    }
    Ok(report.passed == scenes && scenes > 0)
}

/// Returns whether every scene could be played.
fn rewrite(folder: &Path) -> std::io::Result<bool> {
    let mut clean = true;
    for path in scenes_in(folder)? {
        let text = fs::read_to_string(&path)?;
        match play(&path.display().to_string(), &text, Mode::Strict) {
            Ok(played) if played.rewritten == text => {}
            Ok(played) => {
                replace(&path, &played.rewritten)?;
                println!("{}: rewritten", path.display());
            }
            Err(error) => {
                println!("{error}");
                clean = false;
            }
        }
    }
    Ok(clean)
}
