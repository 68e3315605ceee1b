//! Scenes in files and folders.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::stage::{Mode, play};

/// What came of a folder of scenes.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many files were played.
    pub scenes: usize,
    /// How many of their steps.
    pub steps: usize,
    /// How many files passed.
    pub passed: usize,
    /// Every step that printed something else, and every scene that could not be played.
    pub failures: Vec<String>,
}

/// All `.txt` files in `folder` and the folders in it, in the order of their paths. A file is itself
/// a folder of one scene.
///
/// # Errors
/// A folder that cannot be read.
pub fn scenes_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut scenes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            scenes.append(&mut scenes_in(&path)?);
        } else if path.extension() == Some(OsStr::new("txt")) {
            scenes.push(path);
        }
    }
    scenes.sort();
    Ok(scenes)
}

/// Plays all scenes of a folder.
///
/// # Errors
/// A file or folder that cannot be read. Scenes that fail are in the report.
pub fn play_folder(folder: &Path, mode: Mode) -> io::Result<Report> {
    let mut report = Report::default();
    for path in scenes_in(folder)? {
        let text = fs::read_to_string(&path)?;
        report.scenes += 1;
        match play(&path.display().to_string(), &text, mode) {
            Ok(played) => {
                report.steps += played.steps;
                report.passed += usize::from(played.mismatches.is_empty());
                report.failures.extend(played.mismatches);
            }
            Err(error) => report.failures.push(error.to_string()),
        }
    }
    Ok(report)
}

/// Writes beside the file and renames, so that who reads it meanwhile finds a whole scene.
///
/// # Errors
/// A file that cannot be written.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text)?;
    fs::rename(fresh, path)
}
