//! The command line, as a script meets it: what it prints, and with which code it ends.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use raft_sim::Scenario;
use serde_json::Value;

/// What the program printed and how it ended.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run_with(args: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_raft-sim"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Run { code, out: text(output.stdout), err: text(output.stderr) }
}

fn run(args: &str) -> Run {
    run_with(&args.split_whitespace().collect::<Vec<_>>(), "")
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let help = run("--help");
    assert_eq!(help.code, 0);
    for command in ["run", "replay", "shrink", "sweep", "zoo", "bench", "check-history"] {
        assert!(help.out.contains(command), "{command}");
        let own = run(&format!("{command} --help"));
        assert_eq!(own.code, 0);
        assert!(own.out.contains("Examples:") && own.out.contains("--json"), "{command}");
    }
    assert!(help.out.contains("Exit codes:"));
    assert!(!help.out.contains('\x1b'), "no colour without a terminal");
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    for (args, reason) in [
        ("", "Usage"),
        ("sweep", "--seeds"),
        ("sweep --seeds 5", "no range of seeds"),
        ("sweep --seeds 5..5", "there is no seed"),
        ("sweep --seeds 0..9 --shard 3/3", "the last of 3 is 2/3"),
        ("sweep --seeds 5..1", "there is no seed"),
        ("sweep --seeds=-5..3", "no range of seeds"),
        ("sweep --seeds 0..18446744073709551616", "no range of seeds"),
        ("sweep --seeds 0..9 --shard 5/3", "the last of 3 is 2/3"),
        ("sweep --seeds 0..9 --shard 1/0", "at least one part"),
        ("sweep --seeds 0..9 --shard half", "no part like"),
        ("sweep --seeds 0..9 --time NaN", "no time"),
        ("sweep --seeds 0..9 --time 99999999999999999h", "no time"),
        ("sweep --seeds 0..9 --faults-for 0s", "no time"),
        ("sweep --seeds 0..9 --faults-for 61m", "at most 1h"),
        ("sweep --seeds 0..9 --jobs 1025", "no number from 1 to 1024"),
        ("sweep --seeds 0..9 --requests 1001", "--requests"),
        ("sweep --seeds 0..9 --time 5x", "no time"),
        ("sweep --seeds 0..9 --faults rain", "is none of loss, "),
        ("sweep --seeds 0..9 --jobs 0", "--jobs"),
        ("sweep --seeds 0..9 --peers 10", "--peers"),
        ("sweep --seeds 0..9 --bug 47", "cannot be made"),
        ("zoo --id 58", "no bug"),
        ("run", "SCENARIO"),
        ("run file --seed 1", "cannot be used with"),
        ("run file --peers 3", "--peers is for --seed"),
        ("shrink file --faults loss", "--faults is for --seed"),
        ("replay --seed 1 --digest xyz", "no digest"),
    ] {
        let refused = run(args);
        assert_eq!(refused.code, 2, "{args}");
        assert!(refused.err.contains(reason), "{args}: {}", refused.err);
        assert_eq!(refused.out, "", "{args}");
    }
}

#[test]
fn a_file_that_is_no_scenario_is_refused() {
    let read = |text: &str| run_with(&["run", "-"], text);
    assert_eq!(read(r#"{"version":1,"seed":1,"peers":3}"#).code, 0);
    for (text, reason) in [
        ("", "is no scenario"),
        ("{}", "missing field"),
        (r#"{"version":1,"seed":1,"peers":3,"magic":1}"#, "unknown field"),
        (r#"{"version":1,"seed":1,"peers":0}"#, "number of peers"),
        (r#"{"version":9,"seed":1,"peers":3}"#, "version 9"),
        (r#"{"version":0,"seed":1,"peers":3}"#, "version 0"),
        (
            r#"{"version":1,"seed":1,"peers":3,"commands":[{"at_us":18446744073709551615,"command":"heal"}]}"#,
            "time of a command",
        ),
    ] {
        let refused = read(text);
        assert_eq!(refused.code, 2, "{text}");
        assert!(refused.err.contains(reason), "{text}: {}", refused.err);
    }
    let folder = folder("damaged");
    let refused = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        ["run", "replay", "shrink"].map(|command| {
            let refused = run(&format!("{command} {path}"));
            assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{command} {name}");
            refused.err
        })
    };
    assert!(refused("bytes.json", b"\xff\xfe{").iter().all(|err| err.contains("is no text")));
    let large = refused("large.json", &vec![b' '; (16 << 20) + 1]);
    assert!(large.iter().all(|err| err.contains("more than 16 MiB")), "{large:?}");
    assert!(read("{}").err.starts_with("error: standard input is no scenario"));
    let missing = run("run no-such-file.json --json");
    assert_eq!(missing.code, 2);
    assert!(missing.json()["error"].as_str().unwrap().starts_with("no-such-file.json: "));
}

#[test]
fn a_clean_sweep_says_so_and_what_it_met() {
    let args = "sweep --seeds 0..6 --faults-for 5s";
    let clean = run(&format!("{args} --json"));
    assert_eq!(clean.code, 0, "{clean:?}");
    let summary = clean.json();
    assert_eq!((&summary["seeds"], &summary["violations"]), (&6.into(), &0.into()));
    assert!(summary["virtual_seconds"].as_f64().unwrap() > 30.0);
    assert!(summary["coverage"]["messages"]["MsgAppend"].as_u64().unwrap() > 0);
    assert_eq!(summary["failures"], Value::Array(Vec::new()));
    assert_eq!((&summary["undecided"], &summary["shortfall"]), (&0.into(), &Value::Array(vec![])));
    let words = run(args);
    assert_eq!(words.code, 0);
    assert!(words.out.contains("no rule is broken"), "{}", words.out);
    assert!(words.out.contains("; 0 histories were too hard to judge\n"), "{}", words.out);
    assert!(!words.out.contains('\x1b') && words.err.is_empty(), "no terminal, no colour");
}

#[test]
fn every_seed_can_be_run_twice() {
    assert_eq!(run("sweep --seeds 0..4 --faults-for 5s --twice").code, 0);
}

#[test]
fn a_sweep_that_met_too_little_is_no_success() {
    let little = run("sweep --seeds 0..2 --faults-for 2s --least 100 --json");
    assert_eq!(little.code, 3, "{little:?}");
    assert!(!little.json()["shortfall"].as_array().unwrap().is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_before_anything_is_run() {
    let file = folder("plain").join("file");
    fs::write(&file, "").unwrap();
    let out = file.join("folder");
    let out = out.to_str().unwrap();
    for command in ["sweep --seeds 0..1000000", "zoo"] {
        let refused = run(&format!("{command} --out {out}"));
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{command}");
        assert!(refused.err.contains(out), "{}", refused.err);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_raft-sim"))
        .args(["run", "--seed", "1", "--faults-for", "1s"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("error: the output cannot be written: "), "{err}");
}

#[test]
fn a_part_without_a_seed_says_so() {
    let empty = run("sweep --seeds 0..2 --shard 2/3");
    assert_eq!(empty.code, 0, "{empty:?}");
    assert_eq!(empty.out, "part 2/3 of 0..2 has no seed\n");
    assert_eq!(run("sweep --seeds 0..2 --shard 2/3 --json").json()["seeds_planned"], 0);
}

#[test]
fn a_run_that_fails_says_how_to_get_its_scenario() {
    let long = run("run --seed 1 --bug 4 --faults-for 60s --requests 50");
    assert_eq!(long.code, 1, "{long:?}");
    let hint = "raft-sim shrink --seed 1 --bug 4 --requests 50 --faults-for 60s --out FILE";
    assert!(long.out.contains(hint), "{}", long.out);
    let out = folder("long").join("long.json");
    let path = out.to_str().unwrap();
    let written = run(&format!("run --seed 1 --bug 4 --faults-for 60s --requests 50 --out {path}"));
    assert_eq!(written.code, 1, "{written:?}");
    assert!(written.out.contains(&format!("written to {path}")), "{}", written.out);
    let digest = |text: &str| text.lines().find(|line| line.contains("digest")).unwrap().to_owned();
    let again = run(&format!("run {path} --bug 4"));
    assert_eq!((again.code, digest(&again.out)), (1, digest(&long.out)));
    assert!(run("run --seed 1 --peers 1 --faults-for 1s").out.contains("\n1 peer, "));
}

#[test]
fn the_time_ends_a_sweep() {
    let short = run("sweep --seeds 0..1000000 --faults-for 1s --time 300ms --least 0 --json");
    assert_eq!(short.code, 0, "{short:?}");
    let seeds = short.json()["seeds"].as_u64().unwrap();
    assert!((1..1_000_000).contains(&seeds), "{seeds}");
}

/// The seeds of these failures, and the number of seeds.
fn failed(summary: &Value) -> (Vec<u64>, u64) {
    let failures = summary["failures"].as_array().unwrap();
    let seeds = failures.iter().map(|failure| failure["seed"].as_u64().unwrap());
    (seeds.collect(), summary["seeds"].as_u64().unwrap())
}

#[test]
fn shards_share_the_seeds_and_the_number_of_threads_changes_nothing() {
    let args =
        "sweep --seeds 10..21 --bug 5 --stop-after 99 --shrink-tries 0 --json --faults-for 9s";
    let whole = failed(&run(args).json());
    assert!(!whole.0.is_empty());
    assert_eq!(whole.1, 11);
    let shards = (0..3).map(|part| failed(&run(&format!("{args} --shard {part}/3")).json()));
    let (mut seeds, mut count) = (Vec::new(), 0);
    for (failures, number) in shards {
        seeds.extend(failures);
        count += number;
    }
    seeds.sort_unstable();
    assert_eq!((seeds, count), whole);
    let with_jobs = |jobs: u32| {
        let mut summary = run(&format!("{args} --jobs {jobs}")).json();
        summary.as_object_mut().unwrap().remove("wall_seconds");
        summary
    };
    assert_eq!(with_jobs(1), with_jobs(4));
}

#[test]
fn a_bug_is_found_shrunk_written_and_replayed() {
    let folder = folder("found");
    let out = folder.to_str().unwrap();
    let found = run(&format!("sweep --seeds 0..50 --bug 4 --stop-after 1 --json --out {out}"));
    assert_eq!(found.code, 1, "{found:?}");
    let summary = found.json();
    assert_eq!(summary["violations"], 1);
    let failure = &summary["failures"][0];
    assert_eq!(failure["violation"]["invariant"], "I2");
    assert!(failure["commands"].as_u64().unwrap() <= 10, "{failure}");
    assert!(failure["commands"].as_u64() < failure["commands_drawn"].as_u64());

    let file = failure["file"].as_str().unwrap();
    let digest = failure["digest"].as_str().unwrap();
    let again = run(&format!("replay {file} --bug 4 --json --last 3 --digest {digest}"));
    assert_eq!(again.code, 1, "{again:?}");
    let lines: Vec<Value> =
        again.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 1 && lines[0]["text"].is_string());
    let verdict = lines.last().unwrap();
    assert_eq!(verdict["violation"], failure["violation"]);
    assert_eq!(verdict["digest"], *digest);
    let other = run(&format!("replay {file} --bug 4 --digest 0"));
    assert_eq!(other.code, 2);
    assert!(other.err.contains("another run"), "{}", other.err);
    assert_eq!(run(&format!("run {file}")).code, 0, "an honest cluster survives it");

    let drawn = folder.join(format!("seed-{}.drawn.json", failure["seed"]));
    let small = folder.join("small.json");
    let (drawn, small) = (drawn.to_str().unwrap(), small.to_str().unwrap());
    let shrunk = run(&format!("shrink {drawn} --bug 4 --out {small}"));
    assert_eq!(shrunk.code, 1, "{shrunk:?}");
    assert_eq!(fs::read(small).unwrap(), fs::read(file).unwrap(), "the same as in the sweep");
    let nothing = run(&format!("shrink {small}"));
    assert_eq!(nothing.code, 2);
    assert!(nothing.err.contains("nothing to shrink"), "{}", nothing.err);
}

#[test]
fn a_printed_scenario_can_be_run_as_it_stands() {
    let found = run("sweep --seeds 0..50 --bug 21 --stop-after 1");
    assert_eq!(found.code, 1, "{found:?}");
    let scenario = found.out.lines().find(|line| line.starts_with('{')).unwrap();
    let again = run_with(&["run", "-", "--bug", "21"], scenario);
    assert_eq!(again.code, 1, "{again:?}");
    let digest = |text: &str| {
        let from = text.find("digest ").unwrap() + 7;
        text[from..from + 16].to_owned()
    };
    assert_eq!(digest(&again.out), digest(&found.out));
    let violation = again.out.lines().next().unwrap();
    assert!(found.out.contains(violation), "{violation}");
}

#[test]
fn a_link_holds_the_whole_scenario() {
    let page = "https://example.org/raft/";
    let found = run(&format!("sweep --seeds 0..50 --bug 4 --stop-after 1 --json --page {page}"));
    let summary = found.json();
    let failure = &summary["failures"][0];
    let link = failure["link"].as_str().unwrap();
    let packed = link.strip_prefix(page).and_then(|rest| rest.strip_prefix("#s=")).unwrap();
    let json = miniz_oxide::inflate::decompress_to_vec(&from_base64url(packed)).unwrap();
    let opened: Scenario = serde_json::from_slice(&json).unwrap();
    let scenario: Scenario = serde_json::from_value(failure["scenario"].clone()).unwrap();
    assert_eq!(opened, scenario);
}

fn from_base64url(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            other => panic!("{other}"),
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).unwrap());
            bits &= (1 << held) - 1;
        }
    }
    bytes
}

#[test]
fn the_zoo_tells_of_each_bug() {
    let hunted = run("zoo --id 4 --id 21 --id 47 --starts 3 --seeds 20 --json");
    assert_eq!(hunted.code, 0, "{hunted:?}");
    let bugs: Vec<Value> =
        hunted.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = bugs.iter().map(|bug| bug["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [4, 21, 47]);
    assert_eq!((&bugs[0]["caught"], &bugs[0]["invariant"]), (&true.into(), &"I2".into()));
    assert!(bugs[0]["seeds"].as_u64().unwrap() >= 1);
    assert_eq!(bugs[0]["starts"].as_array().unwrap().len(), 3);
    assert_eq!((&bugs[2]["caught"], &bugs[2]["invariant"]), (&false.into(), &Value::Null));
    assert!(bugs[2]["missing"].is_string());
    assert_eq!((&bugs[0]["honest"], &bugs[2]["honest"]), (&true.into(), &Value::Null));
    assert_eq!((&bugs[0]["directed"], &bugs[2]["directed"]), (&true.into(), &false.into()));
    assert!(bugs[0]["story"].as_str().unwrap().contains("n1 and n2 campaign"));
    let alive = run("zoo --id 4 --seeds 0 --json");
    assert_eq!(alive.code, 1, "{alive:?}");
    let table = run("zoo --id 4 --seeds 20 --markdown");
    let rows: Vec<_> = table.out.lines().collect();
    assert!(rows.len() == 3 && rows[1].starts_with("| ---"), "{rows:?}");
    assert!(rows[2].starts_with("| 4 | ") && rows[2].ends_with(" | I2 | 2 |"), "{rows:?}");
}

#[test]
fn a_replay_tells_what_happened_and_on_demand_why() {
    let told = run("replay --seed 3 --faults-for 2s --last 0");
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.contains("started from its disk") && told.out.contains("commit"));
    let inside = run("replay --seed 3 --faults-for 2s --last 0 --inside");
    assert!(inside.out.lines().count() > told.out.lines().count());
    let last_line = |run: &Run| run.out.lines().last().unwrap().to_owned();
    assert_eq!(last_line(&told), last_line(&inside), "listening changes no run");
    assert_eq!(run("replay --seed 3 --faults-for 2s --last 5").out.lines().count(), 7);
}

#[test]
fn the_bench_measures_for_as_long_as_it_is_told() {
    let bench = run("bench --time 200ms --json");
    assert_eq!(bench.code, 0, "{bench:?}");
    let figures = bench.json();
    assert!(figures["virtual_seconds_per_second"].as_f64().unwrap() > 0.0);
    let asked = figures["asked_per_virtual_second"].as_f64().unwrap();
    assert!((190.0..210.0).contains(&asked), "{asked}");
    assert_eq!(figures["violations"], 0);
}

#[test]
fn a_history_is_judged_with_a_reason() {
    let write = r#"{"process":1,"type":"invoke","f":"put","key":"k","value":"a","time":0}
{"process":1,"type":"ok","time":5}
{"process":2,"type":"invoke","f":"get","key":"k","time":6}
"#;
    let judge = |read: &str, args: &[&str]| {
        let args: Vec<_> = ["check-history", "-"].iter().chain(args).copied().collect();
        run_with(&args, &format!("{write}{read}\n"))
    };
    let marked = run_with(&["check-history", "-"], &format!("\u{feff}{write}"));
    assert_eq!((marked.code, marked.err.as_str()), (0, ""), "a byte order mark is no part of it");
    let fresh = r#"{"process":2,"type":"ok","value":"a","time":9}"#;
    let right = judge(fresh, &["--json", "--witness"]);
    assert_eq!((right.code, &right.json()["verdict"]), (0, &"linearizable".into()));
    assert_eq!(right.json()["witness"].as_array().unwrap().len(), 2);
    let stale = r#"{"process":2,"type":"ok","value":null,"time":9}"#;
    let wrong = judge(stale, &["--json"]);
    assert_eq!((wrong.code, &wrong.json()["verdict"]), (1, &"not_linearizable".into()));
    assert!(wrong.json()["now"].as_str().unwrap().contains("get k"));
    let words = judge(stale, &[]);
    assert!(words.code == 1 && words.out.starts_with("not linearizable: "), "{words:?}");
    let odd = judge("{}", &[]);
    assert!(odd.code == 2 && odd.err.starts_with("error: standard input: line 4: "), "{odd:?}");
    let wrong = judge(r#"{"process":2,"type":"ok","time":-9}"#, &[]);
    assert!(wrong.code == 2 && !wrong.err.contains("line 1"), "{wrong:?}");
}
