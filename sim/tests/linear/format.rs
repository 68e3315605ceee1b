//! Histories as JSON lines.

use raft_sim::linear::{
    History, LINE_BYTES_MAX, Outcome, Verdict, check, load_history, read_history, write_history,
};

use crate::random::{Mix, Source};

fn refused(lines: &str) -> String {
    read_history(lines.lines()).unwrap_err().to_string()
}

const PUT: &str = r#"{"process":1,"type":"invoke","f":"put","key":"k","value":"v","time":1}"#;

#[test]
fn what_is_written_can_be_read() {
    for seed in 0..200 {
        let mut source = Source::new(seed, Mix::small(20));
        let history = source.legal();
        let lines = write_history(&history).unwrap();
        let sorted = |history: &History| {
            let mut operations = history.operations().to_vec();
            operations.sort_by_key(|operation| operation.id);
            operations
        };
        assert_eq!(sorted(&read_history(&lines).unwrap()), sorted(&history));
        assert_eq!(sorted(&load_history(lines.join("\n").as_bytes()).unwrap()), sorted(&history));
    }
}

#[test]
fn every_field_that_is_missing_is_named() {
    for (line, why) in [
        (r#"{"process":1,"type":"invoke"}"#, r#"line 1: invoke needs the field "f""#),
        (r#"{"process":1,"type":"invoke","f":"get"}"#, r#"line 1: get needs the field "key""#),
        (
            r#"{"process":1,"type":"invoke","f":"put","key":"k","value":null}"#,
            r#"line 1: put needs the field "value""#,
        ),
        (
            r#"{"process":1,"type":"invoke","f":"cas","key":"k","new":null}"#,
            r#"line 1: cas needs the field "expected""#,
        ),
        (
            r#"{"process":1,"type":"invoke","f":"batch","calls":[{"f":"scan"}]}"#,
            r#"line 1: scan needs the field "start""#,
        ),
        (r#"{"process":1,"type":"ok"}"#, "line 1: process 1 has begun nothing that this could end"),
    ] {
        assert_eq!(refused(line), why);
    }
    let get = r#"{"process":1,"type":"invoke","f":"get","key":"k"}"#;
    let ok = r#"{"process":1,"type":"ok"}"#;
    assert_eq!(refused(&format!("\n{get}\n{ok}")), r#"line 3: ok of get needs the field "value""#);
}

#[test]
fn null_is_a_missing_key_and_an_empty_text_is_a_value() {
    for (value, legal) in [("\"\"", true), ("null", false)] {
        let lines = [
            r#"{"process":1,"type":"invoke","f":"put","key":"k","value":""}"#.to_owned(),
            r#"{"process":1,"type":"ok"}"#.to_owned(),
            r#"{"process":1,"type":"invoke","f":"get","key":"k"}"#.to_owned(),
            format!(r#"{{"process":1,"type":"ok","value":{value}}}"#),
        ];
        let history = read_history(&lines).unwrap();
        assert_eq!(matches!(check(&history), Verdict::Linearizable { .. }), legal, "{value}");
    }
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    let again = format!("{PUT}\n{PUT}");
    assert_eq!(refused(&again), "line 2: process 1 has not ended what it began on line 1");
    let untimed = format!("{PUT}\n{}", r#"{"process":1,"type":"ok"}"#);
    assert_eq!(refused(&untimed), "line 2: either every line has a time or none has");
    let early = format!("{PUT}\n{}", r#"{"process":1,"type":"ok","time":0}"#);
    let why = "line 2: operation 1 was answered at 0, before it was sent at 1";
    assert_eq!(refused(&early), why);
    let nested = r#"{"process":1,"type":"invoke","f":"batch","calls":[{"f":"batch","calls":[]}]}"#;
    assert_eq!(refused(nested), "line 1: operation 1 is a batch that holds a batch");
}

#[test]
fn a_process_may_have_several_operations_under_way_if_they_have_ids() {
    let lines = r#"
        {"process":1,"id":7,"type":"invoke","f":"put","key":"k","value":"a","time":1}
        {"process":1,"id":8,"type":"invoke","f":"get","key":"k","time":2}
        {"process":1,"id":7,"type":"ok","time":4}
        {"process":1,"id":8,"type":"ok","value":"a","time":3}
    "#;
    let history = read_history(lines.lines()).unwrap();
    let ids: Vec<u64> = history.operations().iter().map(|operation| operation.id).collect();
    assert_eq!(ids, [7, 8]);
    assert_eq!(check(&history), Verdict::Linearizable { witness: vec![7, 8] });
}

#[test]
fn what_has_not_ended_at_the_end_of_the_file_has_an_unknown_outcome() {
    let history = read_history([PUT]).unwrap();
    assert_eq!(history.operations()[0].outcome, Outcome::Unknown);
}

#[test]
fn a_hostile_file_is_refused_without_being_held() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&deep).starts_with("line 1: "));
    let nested = format!(
        r#"{{"process":1,"type":"invoke","f":"batch","calls":{}1{}}}"#,
        r#"[{"f":"batch","calls":"#.repeat(10_000),
        "}]".repeat(10_000)
    );
    assert!(refused(&nested).starts_with("line 1: "));
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let why = load_history(endless).unwrap_err().to_string();
    assert_eq!(why, format!("line 1: more than {LINE_BYTES_MAX} bytes in a line"));
    let why = load_history(&b"\xff\xfe\n"[..]).unwrap_err().to_string();
    assert!(why.starts_with("line 1: "), "{why}");
    assert!(refused(r#"{"process":-1,"type":"ok"}"#).starts_with("line 1: "));
    assert!(refused(r#"{"process":1,"type":"maybe"}"#).contains("unknown variant `maybe`"));
}
