//! The command line: a handful of commands with few options, so a parser of a page does.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// What `cargo xtask help` prints, above the list of the test steps.
pub(crate) const HELP: &str = "\
Usage: cargo xtask <command> [options]

  serve   build the page, serve it on this machine and rebuild it at every change
            --port N      listen on port N (default: 8080, or the next free one)
            --open        open the page in a browser
            --release     serve the optimised page
            -- ARGS…      pass the rest on to `trunk serve`
  test    everything that CI runs, a summary at the end
            --no-browser  leave out the steps that need a browser
            --fail-fast   stop at the first step that fails
            STEP…         run only these steps (see below)
  scenes  play the scenes of a folder, ours (tests/golden) or those of etcd raft
            DIR…          folders of .txt files
            --semantic    leave log lines out of the comparison
            --rewrite     write what the scenes print now into the files
  bench   measure the core next to raft-rs, or as wasm next to itself
            --wasm        as wasm, in node
            --json        one JSON object a row
            --quick       a tenth of the work, for a first look
            --prost       raft-rs with the codec prost, as the core has it
            --world       the simulator under load instead, natively and in Chromium
  interop run clusters of our nodes and raft-rs's, one from each seed
            --seeds N     how many (default: 2000)
            --start S     the first one (default: 0)
            --jobs J      on so many threads (default: all)
            --trace       print every event instead
  dist    build the release page into dist/ and print its size
  help    print this

Missing tools are built once into a per-user cache folder (~/.cache/raft-playground);
the variable RAFT_PLAYGROUND_CACHE names another one.
";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print what there is.
    Help,
    /// Serve the page while working on it.
    Serve(ServeOptions),
    /// Run what CI runs.
    Test(TestOptions),
    /// Play scenes.
    Scenes(ScenesOptions),
    /// Measure the core; the arguments are handed on.
    Bench(Vec<String>),
    /// Run mixed clusters; the arguments are handed on.
    Interop(Vec<String>),
    /// Build the release page.
    Dist,
}

/// Options of `serve`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServeOptions {
    /// The port asked for; without one, the first free port from 8080 on.
    pub(crate) port: Option<u16>,
    /// Open a browser once the page is built.
    pub(crate) open: bool,
    /// Build with the release profile and `wasm-opt`.
    pub(crate) release: bool,
    /// Handed to `trunk serve` as they are.
    pub(crate) trunk_args: Vec<String>,
}

/// Options of `test`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Leave out the steps that need a browser.
    pub(crate) no_browser: bool,
    /// Stop at the first step that fails.
    pub(crate) fail_fast: bool,
    /// Names of the steps to run; none means all.
    pub(crate) steps: Vec<String>,
}

/// Options of `scenes`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ScenesOptions {
    /// Folders or files, as they were typed.
    pub(crate) folders: Vec<PathBuf>,
    /// Leave log lines out of the comparison.
    pub(crate) semantic: bool,
    /// Write what the scenes print now into the files.
    pub(crate) rewrite: bool,
}

/// Parses the arguments after `cargo xtask`.
///
/// # Errors
/// An unknown command or option, a value that is missing or malformed, or text that is not UTF-8.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let args = args.into_iter().map(utf8).collect::<Result<Vec<_>>>()?;
    let Some((command, rest)) = args.split_first() else {
        return Ok(Command::Help);
    };
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| is_help(arg)) {
        return Ok(Command::Help);
    }
    match command.as_str() {
        "serve" => Ok(Command::Serve(serve_options(rest)?)),
        "test" => Ok(Command::Test(test_options(rest)?)),
        "scenes" => Ok(Command::Scenes(scenes_options(rest)?)),
        "bench" => Ok(Command::Bench(rest.to_vec())),
        "interop" => Ok(Command::Interop(rest.to_vec())),
        "dist" if rest.is_empty() => Ok(Command::Dist),
        "dist" => bail!("`dist` takes no options"),
        "help" => Ok(Command::Help),
        help if is_help(help) => Ok(Command::Help),
        other => bail!("no command `{other}`; see `cargo xtask help`"),
    }
}

fn utf8(arg: OsString) -> Result<String> {
    match arg.into_string() {
        Ok(text) => Ok(text),
        Err(arg) => bail!("the argument {} is not UTF-8", arg.display()),
    }
}

fn is_help(arg: &str) -> bool {
    matches!(arg, "--help" | "-h")
}

fn serve_options(args: &[String]) -> Result<ServeOptions> {
    let mut options = ServeOptions::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--open" => options.open = true,
            "--release" => options.release = true,
            "--port" => options.port = Some(port(args.next().context("--port needs a number")?)?),
            "--" => options.trunk_args = args.by_ref().cloned().collect(),
            other => match other.strip_prefix("--port=") {
                Some(number) => options.port = Some(port(number)?),
                None => bail!("`serve` has no option `{other}`; see `cargo xtask help`"),
            },
        }
    }
    Ok(options)
}

fn port(text: &str) -> Result<u16> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("`{text}` is not a port; it is a number from 1 to 65535"),
    }
}

fn test_options(args: &[String]) -> Result<TestOptions> {
    let mut options = TestOptions::default();
    for arg in args {
        match arg.as_str() {
            "--no-browser" => options.no_browser = true,
            "--fail-fast" => options.fail_fast = true,
            option if option.starts_with('-') => {
                bail!("`test` has no option `{option}`; see `cargo xtask help`")
            }
            step => options.steps.push(step.to_owned()),
        }
    }
    Ok(options)
}

fn scenes_options(args: &[String]) -> Result<ScenesOptions> {
    let mut options = ScenesOptions::default();
    for arg in args {
        match arg.as_str() {
            "--semantic" => options.semantic = true,
            "--rewrite" => options.rewrite = true,
            option if option.starts_with('-') => {
                bail!("`scenes` has no option `{option}`; see `cargo xtask help`")
            }
            folder => options.folders.push(folder.into()),
        }
    }
    if options.folders.is_empty() {
        bail!("`scenes` needs a folder, such as tests/golden");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn no_arguments_and_every_spelling_of_help_print_the_help() {
        for line in ["", "help", "--help", "-h", "serve --help", "test -h"] {
            assert_eq!(parse_words(line).unwrap(), Command::Help, "{line:?}");
        }
    }

    #[test]
    fn serve_takes_a_port_flags_and_the_rest_for_trunk() {
        let expected = ServeOptions {
            port: Some(9000),
            open: true,
            release: true,
            trunk_args: vec!["--address".into(), "0.0.0.0".into()],
        };
        for port in ["--port 9000", "--port=9000"] {
            let line = format!("serve {port} --open --release -- --address 0.0.0.0");
            let command = parse_words(&line).unwrap();
            assert_eq!(command, Command::Serve(expected.clone_for_test()));
        }
    }

    #[test]
    fn a_port_that_is_none_is_refused_with_the_range() {
        for line in ["serve --port 0", "serve --port 70000", "serve --port http"] {
            let error = parse_words(line).unwrap_err().to_string();
            assert!(error.contains("from 1 to 65535"), "{line}: {error}");
        }
        assert!(parse_words("serve --port").is_err());
    }

    #[test]
    fn test_takes_flags_and_step_names() {
        let Command::Test(options) = parse_words("test --no-browser fmt clippy").unwrap() else {
            panic!("not `test`");
        };
        assert!(options.no_browser && !options.fail_fast);
        assert_eq!(options.steps, ["fmt", "clippy"]);
    }

    #[test]
    fn scenes_takes_folders_and_flags() {
        let line = "scenes tests/golden /tmp/other --semantic";
        let Command::Scenes(options) = parse_words(line).unwrap() else {
            panic!("not `scenes`");
        };
        assert!(options.semantic && !options.rewrite);
        assert_eq!(options.folders, [PathBuf::from("tests/golden"), PathBuf::from("/tmp/other")]);
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_ignored() {
        for line in [
            "sevre",
            "serve --fast",
            "test --browser",
            "dist --release",
            "scenes",
            "scenes tests/golden --lax",
        ] {
            assert!(parse_words(line).is_err(), "{line}");
        }
    }

    impl ServeOptions {
        fn clone_for_test(&self) -> Self {
            Self { trunk_args: self.trunk_args.clone(), ..*self }
        }
    }
}
