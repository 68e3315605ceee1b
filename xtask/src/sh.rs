//! Running other programs: shown before they start, checked when they end.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A command in `dir`, without a standard input: nothing here may wait for a person's answer.
pub(crate) fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Shows and runs `command`; its output goes where ours goes.
///
/// # Errors
/// The program cannot be started, or it ends with another status than success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", show(command));
    run_quietly(command)
}

/// Runs `command` without showing it; its output goes where ours goes.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let name = name_of(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs `command` quietly and returns what it wrote to its standard output, trimmed.
///
/// # Errors
/// The program cannot be started, ends with another status than success, or writes no UTF-8.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let name = name_of(command);
    let output = command.output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed ({}): {}", output.status, stderr.trim());
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("the output of `{name}` is not UTF-8"))?;
    Ok(text.trim().to_owned())
}

/// Runs `command` with no output at all and says whether it started and succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The first executable of that name on `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| executable(&dir, name)).find(|file| file.is_file())
}

/// Whether there is an executable of that name on `PATH`.
pub(crate) fn is_on_path(name: &str) -> bool {
    which(name).is_some()
}

/// The path of program `name` in folder `dir`, with the ending that this system gives programs.
pub(crate) fn executable(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Puts `dirs` before everything else on the `PATH` of `command`.
///
/// # Errors
/// One of the folders has a character that a `PATH` cannot hold.
pub(crate) fn prefix_path(command: &mut Command, dirs: &[PathBuf]) -> Result<()> {
    let old = env::var_os("PATH").unwrap_or_default();
    let all = dirs.iter().cloned().chain(env::split_paths(&old));
    let path = env::join_paths(all).context("a tool folder cannot be put on PATH")?;
    command.env("PATH", path);
    Ok(())
}

/// `command` as one would type it: the variables it sets, except `PATH`, then the words.
pub(crate) fn show(command: &Command) -> String {
    let variables =
        command.get_envs().filter(|(key, _)| *key != "PATH").filter_map(|(key, value)| {
            Some(format!("{}={}", key.display(), quote(&value?.display().to_string())))
        });
    let program = name_of(command);
    let args = command.get_args().map(|arg| quote(&arg.display().to_string()));
    variables.chain([program]).chain(args).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// The last part of the program's path, such as `cargo`.
fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_stem().unwrap_or(program.as_os_str()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut cargo = Command::new("/some/where/cargo");
        cargo.args(["clippy", "--", "-D", "two words", ""]).env("PATH", "/x").env("FLAGS", "-D w");
        assert_eq!(show(&cargo), "FLAGS='-D w' cargo clippy -- -D 'two words' ''");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_with_its_name() {
        let error = run(&mut command("no-such-program", Path::new("."))).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
        assert!(!succeeds(&mut command("no-such-program", Path::new("."))));
        assert_eq!(which("no-such-program"), None);
    }
}
