//! Scenarios from files, and links to the page.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use raft_sim::trial::Trial;
use raft_sim::{NemesisSettings, Scenario};

use crate::args::{Drawn, Which};

/// A file is larger only if it is none of ours.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// What the page opens at most.
pub(crate) const LINK_BYTES_MAX: usize = 8 << 10;
/// How hard to compress; more changes little.
const LEVEL: u8 = 9;

/// What seeds are run with.
///
/// # Errors
/// A bug that cannot be made yet.
pub(crate) fn trial(drawn: &Drawn) -> Result<Trial, String> {
    let mut trial = match drawn.bug {
        None => Trial::honest(NemesisSettings::default()),
        Some(bug) => bug.trial().ok_or_else(|| format!("bug {} cannot be made yet", bug.id))?,
    };
    trial.nemesis = drawn.adapt(trial.nemesis);
    Ok(trial)
}

/// The scenario that was asked for, and what it is run with.
///
/// # Errors
/// A file that cannot be read or is no scenario; a file together with what seeds draw.
pub(crate) fn scenario(which: &Which) -> Result<(Scenario, Trial), String> {
    if let (Some(_), Some(option)) = (&which.scenario, which.drawn.first_of_seeds()) {
        return Err(format!("{option} is for --seed: a file says all there is to say"));
    }
    let trial = trial(&which.drawn)?;
    let scenario = match (&which.scenario, which.seed) {
        (Some(path), _) => read(path)?,
        (None, seed) => trial.scenario(seed.unwrap_or(0)),
    };
    Ok((scenario, trial))
}

/// What a file is called.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

/// Opens a file, or the standard input.
///
/// # Errors
/// A file that cannot be opened.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

fn read(path: &Path) -> Result<Scenario, String> {
    let name = name(path);
    let mut bytes = Vec::new();
    let file = open(path).map_err(|error| format!("{name}: {error}"))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(|error| format!("{name}: {error}"))? as u64 > FILE_BYTES_MAX {
        return Err(format!("{name} is no scenario of this program: it has more than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is no text (UTF-8)"))?;
    let scenario: Scenario = serde_json::from_str(&text)
        .map_err(|error| format!("{name} is no scenario of this program: {error}"))?;
    scenario.validate().map_err(|error| format!("{name} cannot be run: {error}"))?;
    Ok(scenario)
}

/// Makes a folder that files are to be written to: better refused now than after an hour.
///
/// # Errors
/// A folder that cannot be made.
pub(crate) fn prepare(folder: Option<&Path>) -> Result<(), String> {
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    made.map_err(|error| format!("{}: {error}", folder.unwrap_or(Path::new("")).display()))
}

/// Writes a scenario to a file.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn write(path: &Path, scenario: &Scenario) -> Result<(), String> {
    let name = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, json(scenario) + "\n"))
        .map_err(|error| format!("{name}: {error}"))
}

/// A scenario in a line.
pub(crate) fn json(scenario: &Scenario) -> String {
    // Its keys are field names and its numbers are whole: nothing of it can be refused.
    serde_json::to_string(scenario).unwrap_or_default()
}

/// The page's address that opens a scenario: its JSON, deflated (RFC 1951), in the URL alphabet of
/// base64 without padding (RFC 4648), behind `#s=`.
pub(crate) fn link(scenario: &Scenario, page: &str) -> String {
    let deflated = miniz_oxide::deflate::compress_to_vec(json(scenario).as_bytes(), LEVEL);
    format!("{page}#s={}", base64url(&deflated))
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3)
            .fold(0, |group, at| group << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[group >> (18 - 6 * at) & 63]));
        }
    }
    text
}
