//! Scenes of the protocol, played by real peers and compared line by line.
//!
//! Each file in `tests/golden/` is one scene: it reads as prose, and what its commands print is
//! kept beside them. `UPDATE_GOLDEN=1 cargo test --test golden` writes what they print now;
//! `SCENE=figure_8` plays only the files whose name contains that. See `docs/scenes.md`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use raft_core::Rules;

#[path = "golden/runner/mod.rs"]
mod runner;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The scenes by name, in the order of their names.
fn scenes() -> io::Result<Vec<(String, PathBuf)>> {
    let wanted = env::var("SCENE").unwrap_or_default();
    let mut scenes = Vec::new();
    for file in fs::read_dir(folder())? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".txt") && name.contains(&wanted) {
            scenes.push((format!("tests/golden/{name}"), path));
        }
    }
    scenes.sort();
    Ok(scenes)
}

/// Writes beside the file and renames, so that a test that reads it meanwhile finds a whole scene.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text)?;
    fs::rename(fresh, path)
}

#[test]
fn every_scene_prints_what_it_says() {
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    let scenes = scenes().unwrap();
    assert!(!scenes.is_empty(), "no scene was found");
    for (name, path) in &scenes {
        let text = fs::read_to_string(path).unwrap();
        match runner::play(name, &text, Rules::default()) {
            Ok(played) if update => {
                if played.rewritten != text {
                    replace(path, &played.rewritten).unwrap();
                }
            }
            Ok(played) => failures.extend(played.mismatches),
            Err(error) => failures.push(error),
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} failures\n\n{}\n", failures.join("\n"));
}

#[test]
fn every_scene_begins_by_saying_what_it_teaches_and_where_the_paper_does() {
    for (name, path) in scenes().unwrap() {
        let text = fs::read_to_string(path).unwrap();
        let played = runner::play(&name, &text, Rules::default()).unwrap();
        let heading = played.heading.to_lowercase();
        let source = ["section", "figure", "thesis"].iter().any(|word| heading.contains(word));
        assert!(source, "{name}: the heading names no section, figure or thesis chapter");
        let long = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{name}: a line does not fit");
    }
}
