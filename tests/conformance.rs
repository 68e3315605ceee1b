//! `docs/conformance.md` against the sources, so that the page cannot rot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One line of the page that names a test.
#[derive(Debug)]
struct Row {
    origin: String,
    path: String,
    passing: String,
}

/// One test function of the sources.
#[derive(Debug)]
struct Test {
    path: String,
    /// First line of its doc comment.
    doc: String,
    ignored: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows whose second cell is a path in backticks: the page has other tables too.
fn rows() -> io::Result<Vec<Row>> {
    let page = fs::read_to_string(root().join("docs/conformance.md"))?;
    let row = |line: &str| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let [origin, path, passing] = line.split(" | ").collect::<Vec<_>>().try_into().ok()?;
        let path = path.strip_prefix('`')?.strip_suffix('`').filter(|path| path.contains("::"))?;
        Some(Row { origin: origin.into(), path: path.into(), passing: passing.into() })
    };
    // The core's package comes without the simulator.
    let here = |row: &Row| SUITES.iter().all(|&(name, _)| !is_of(row, name) || has_suite(name));
    Ok(page.lines().filter_map(row).filter(here).collect())
}

/// Suites outside of `core/src`, and the folders they are in.
const SUITES: [(&str, &str); 3] =
    [("mit::", "tests/mit"), (TINYKV, "sim/tests/tinykv"), ("kv::", "kv/src")];
const TINYKV: &str = "tinykv::";

fn is_of(row: &Row, suite: &str) -> bool {
    row.path.starts_with(suite)
}

fn has_suite(suite: &str) -> bool {
    SUITES.iter().any(|&(name, folder)| name == suite && root().join(folder).exists())
}

/// All tests in the files of `core/src`, by the path that `cargo test` prints, and those of the
/// suites with their names before it.
fn tests() -> io::Result<Vec<Test>> {
    let mut tests = tests_below(&root().join("core/src"))?;
    for (name, folder) in SUITES.into_iter().filter(|(name, _)| has_suite(name)) {
        let suite = tests_below(&root().join(folder))?.into_iter();
        tests.extend(suite.map(|test| Test { path: format!("{name}{}", test.path), ..test }));
    }
    Ok(tests)
}

fn tests_below(source: &Path) -> io::Result<Vec<Test>> {
    let mut tests = Vec::new();
    let mut folders = vec![source.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module(path.strip_prefix(source).unwrap_or(&path));
                tests.extend(tests_in(&fs::read_to_string(&path)?, &module));
            }
        }
    }
    Ok(tests)
}

/// `tests/direct/mod.rs` is the module `tests::direct`.
fn module(file: &Path) -> String {
    let stem = file.with_extension("");
    let stem = if stem.ends_with("mod") { stem.parent().map(PathBuf::from) } else { Some(stem) };
    let parts = stem.unwrap_or_default();
    let parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("::")
}

fn tests_in(text: &str, module: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    let (mut doc, mut attributes) = (Vec::new(), BTreeSet::new());
    let mut module = module.to_owned();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            doc.push(comment.trim());
        } else if line.starts_with("#[") {
            attributes.insert(line);
        } else {
            if line == "mod tests {" {
                module.push_str("::tests");
            }
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            if let Some((name, _)) = name.filter(|_| attributes.contains("#[test]")) {
                tests.push(Test {
                    path: format!("{module}::{name}"),
                    doc: doc.first().copied().unwrap_or_default().into(),
                    ignored: attributes.iter().any(|a| a.starts_with("#[ignore")),
                });
            }
            doc.clear();
            attributes.clear();
        }
    }
    tests
}

/// What TinyKV has: the paper's tests, the protocol's, RawNode's, and two that were removed.
fn ported() -> impl Iterator<Item = String> {
    let suites = [('P', 25), ('R', 45), ('N', 5), ('H', 2)];
    suites.into_iter().flat_map(|(suite, count)| (1..=count).map(move |n| format!("{suite}{n}")))
}

/// The suite and number that an origin starts with, if it is a ported test's.
fn number(origin: &str) -> Option<&str> {
    let (number, name) = origin.split_once(' ')?;
    let suite = number.starts_with(['P', 'R', 'N', 'H']) && name.starts_with("Test");
    let digits = number.get(1..).is_some_and(|n| n.parse::<u32>().is_ok());
    (suite && digits).then_some(number)
}

#[test]
fn every_test_on_the_page_is_in_the_sources_and_runs() {
    let tests = tests().unwrap();
    for row in rows().unwrap() {
        let test = tests.iter().find(|test| test.path == row.path);
        let test = test.unwrap_or_else(|| panic!("no such test: {}", row.path));
        assert!(!test.ignored, "{} is ignored", row.path);
        assert_eq!(row.passing, "yes", "{}", row.path);
    }
}

#[test]
fn every_test_of_tinykv_is_on_the_page_exactly_once() {
    let rows = rows().unwrap();
    let mut found: Vec<_> = rows.iter().filter_map(|row| number(&row.origin)).collect();
    let mut expected: Vec<_> = ported().collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(expected.len(), 77);
}

#[test]
fn ported_tests_say_in_the_sources_where_they_come_from() {
    let tests = tests().unwrap();
    for row in rows().unwrap() {
        let Some(number) = number(&row.origin) else { continue };
        let test = tests.iter().find(|test| test.path == row.path);
        assert_eq!(test.map(|test| test.doc.as_str()), Some(row.origin.as_str()));
        let name = row.path.rsplit("::").next().unwrap_or_default();
        let prefix = name.split('_').next().unwrap_or_default().to_uppercase();
        let digits = prefix.get(1..).unwrap_or_default().trim_start_matches('0');
        let in_name = prefix.get(..1).map(|suite| format!("{suite}{digits}"));
        assert_eq!(in_name.as_deref(), Some(number), "the number in the name of {name}");
    }
}

#[test]
fn tests_of_mits_lab_say_in_the_sources_where_they_come_from() {
    let (rows, tests) = (rows().unwrap(), tests().unwrap());
    let rows = rows.iter().filter(|row| row.origin.starts_with("MIT "));
    let named = rows.map(|row| {
        let test = tests.iter().find(|test| test.path == row.path);
        assert_eq!(test.map(|test| test.doc.as_str()), Some(row.origin.as_str()));
        row.origin.as_str()
    });
    assert_eq!(named.collect::<BTreeSet<_>>().len(), 24);
}

#[test]
fn tests_of_tinykvs_cluster_say_in_the_sources_where_they_come_from() {
    let (rows, tests) = (rows().unwrap(), tests().unwrap());
    let rows = rows.iter().filter(|row| is_of(row, TINYKV));
    let named = rows.map(|row| {
        let test = tests.iter().find(|test| test.path == row.path);
        assert_eq!(test.map(|test| test.doc.as_str()), Some(row.origin.as_str()));
        row.origin.as_str()
    });
    let expected = if has_suite(TINYKV) { 26 } else { 0 };
    assert_eq!(named.collect::<BTreeSet<_>>().len(), expected);
}

#[test]
fn every_test_of_the_protocol_the_log_and_the_storage_is_on_the_page() {
    let rows = rows().unwrap();
    let named: BTreeSet<_> = rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(named.len(), rows.len(), "a test is on the page twice");
    for test in tests().unwrap() {
        let whole_files = ["tests::", "log::tests::", "storage::tests::", "mit::", TINYKV];
        if whole_files.iter().any(|file| test.path.starts_with(file)) {
            assert!(named.contains(test.path.as_str()), "not on the page: {}", test.path);
        }
    }
}
