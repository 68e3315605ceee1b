//! Scenes of the protocol, played by real peers and compared line by line.
//!
//! Each file in `tests/golden/` is one scene: it reads as prose, and what its commands print is
//! kept beside them. `UPDATE_GOLDEN=1 cargo test --test golden` writes what they print now;
//! `SCENE=figure_8` plays only the files whose path contains that. See `docs/scenes.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use raft_scenes::{Mode, Played, play, replace, scenes_in};

/// The scenes by name, with their text, in the order of their names.
fn scenes() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = env::var("SCENE").unwrap_or_default();
    let mut scenes = Vec::new();
    for path in scenes_in(&root.join("tests/golden")).unwrap() {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if name.contains(&wanted) {
            let text = fs::read_to_string(&path).unwrap();
            scenes.push((name, path, text));
        }
    }
    assert!(!scenes.is_empty(), "no scene was found");
    scenes
}

fn played(name: &str, text: &str) -> Played {
    play(name, text, Mode::Strict).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_scene_prints_what_it_says() {
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    for (name, path, text) in scenes() {
        match play(&name, &text, Mode::Strict) {
            Ok(played) if update => {
                if played.rewritten != text {
                    replace(&path, &played.rewritten).unwrap();
                }
            }
            Ok(played) => failures.extend(played.mismatches),
            Err(error) => failures.push(error.to_string()),
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} failures\n\n{}\n", failures.join("\n"));
}

#[test]
fn every_scene_begins_by_saying_what_it_teaches_and_where_to_read_more() {
    for (name, _, text) in scenes() {
        let heading = played(&name, &text).heading.to_lowercase();
        let sources = ["section", "figure", "thesis"];
        let source = sources.iter().any(|word| heading.contains(word));
        assert!(source, "{name}: the heading names no section, figure or thesis chapter");
        let long = text.lines().find(|line| line.starts_with('#') && line.chars().count() > 100);
        assert_eq!(long, None, "{name}: a line does not fit");
    }
}

#[test]
fn a_scene_that_breaks_a_rule_shows_what_comes_of_it_and_no_other_does() {
    for (name, _, text) in scenes() {
        let lawless = text.contains(" rules=");
        let broken = text.lines().any(|line| line.trim_start().starts_with("BROKEN "));
        assert_eq!(lawless, broken, "{name}");
        let says = name.rsplit('/').next().is_some_and(|file| file.starts_with("without_"));
        assert_eq!(lawless, says, "{name}: the name says whether it does");
    }
}

/// `docs/rules.md` against the sources, so that the page cannot rot.
#[test]
fn every_rule_is_on_the_page_with_a_scene_that_breaks_without_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (sources, page) = (read("core/src/rules.rs"), read("docs/rules.md"));
    let book = sources.split("pub struct Rules {").nth(1).unwrap().split("\n}").next().unwrap();
    let rules =
        book.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": fn("));
    let rules: Vec<&str> = rules.map(|(name, _)| name).collect();
    assert!(rules.len() > 20, "{rules:?}");
    for rule in rules {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{rule}` |")));
        let row = row.unwrap_or_else(|| panic!("{rule} is not on the page"));
        assert!(row.contains("/broken/without_"), "{rule} has no scene");
    }
    for link in page.split("](../").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(root.join(link).exists(), "{link} does not exist");
    }
    for path in scenes_in(&root.join("tests/golden/broken")).unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(page.contains(&format!("/broken/{name})")), "{name} is not on the page");
    }
}
