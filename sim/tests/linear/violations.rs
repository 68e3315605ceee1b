//! Every kind of violation, by hand, and what is odd but legal.

use raft_sim::linear::{
    Answer, Call, Explanation, History, Operation, Outcome, Verdict, check, replay,
};

/// A history of operations that are numbered from 1.
#[derive(Default)]
struct Told(History);

impl Told {
    fn add(mut self, (from, call): (u64, Call), outcome: Outcome) -> Self {
        let id = self.0.operations().len() as u64 + 1;
        self.0.push(Operation { id, client: id, invoked: from, call, outcome }).unwrap();
        self
    }

    fn ok(self, (from, at): (u64, u64), call: Call, answer: Answer) -> Self {
        self.add((from, call), Outcome::Done { at, answer })
    }

    fn put(self, span: (u64, u64), key: &str, value: &str) -> Self {
        self.ok(span, put(key, value), Answer::Done)
    }

    fn get(self, span: (u64, u64), key: &str, value: Option<&str>) -> Self {
        let answer = Answer::Value(value.map(Into::into));
        self.ok(span, Call::Get { key: key.into() }, answer)
    }

    fn cas(
        self,
        span: (u64, u64),
        (key, expected, new): (&str, &str, &str),
        swapped: bool,
    ) -> Self {
        let (expected, new) = (Some(expected.into()), Some(new.into()));
        let answer = Answer::Swapped { swapped, found: None };
        self.ok(span, Call::Cas { key: key.into(), expected, new }, answer)
    }

    fn scan(self, span: (u64, u64), pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let call = Call::Scan { start: "a".into(), end: String::new(), limit: 0 };
        self.ok(span, call, Answer::Pairs(pairs))
    }

    fn legal(&self) -> Vec<u64> {
        match check(&self.0) {
            Verdict::Linearizable { witness } => {
                assert_eq!(replay(&self.0, &witness), Ok(()));
                witness
            }
            other => panic!("{other:?}"),
        }
    }

    fn illegal(&self) -> Explanation {
        match check(&self.0) {
            Verdict::NotLinearizable(why) => *why,
            other => panic!("{other:?}"),
        }
    }
}

fn put(key: &str, value: &str) -> Call {
    Call::Put { key: key.into(), value: value.into() }
}

#[test]
fn a_stale_read_names_the_write_that_had_returned() {
    let told = Told::default()
        .put((0, 1), "k", "1")
        .put((2, 3), "other", "x")
        .put((4, 5), "k", "2")
        .get((6, 7), "k", Some("1"));
    let why = told.illegal();
    assert_eq!((why.keys.as_slice(), why.operation), (&["k".to_owned()][..], 4));
    assert_eq!(why.core, [1, 3, 4]);
    assert_eq!(why.before, "c3's put k=2 at [4, 5] (#3) had returned, after #1");
    assert_eq!(why.now, "c4's get k -> 1 at [6, 7] (#4) has no place");
}

#[test]
fn a_read_that_overlaps_the_write_may_see_either() {
    Told::default().put((0, 1), "k", "1").put((4, 9), "k", "2").get((6, 7), "k", Some("1")).legal();
    Told::default().put((0, 1), "k", "1").put((4, 9), "k", "2").get((6, 7), "k", Some("2")).legal();
}

#[test]
fn two_reads_do_not_see_a_write_come_and_go() {
    let told = Told::default()
        .put((0, 1), "k", "1")
        .put((2, 20), "k", "2")
        .get((4, 5), "k", Some("2"))
        .get((6, 7), "k", Some("1"));
    let why = told.illegal();
    assert_eq!(why.operation, 4);
    assert!(why.core.contains(&3), "{why}");
}

#[test]
fn an_update_is_not_lost() {
    let told = Told::default()
        .put((0, 1), "k", "0")
        .cas((2, 9), ("k", "0", "1"), true)
        .cas((3, 8), ("k", "1", "2"), true)
        .get((10, 11), "k", Some("1"));
    assert_eq!(told.illegal().operation, 4);
}

#[test]
fn a_compare_and_swap_does_not_succeed_twice() {
    let told = Told::default().put((0, 1), "k", "0").cas((2, 9), ("k", "0", "1"), true).cas(
        (3, 8),
        ("k", "0", "1"),
        true,
    );
    let why = told.illegal();
    assert_eq!(why.core, [3, 2]);
    Told::default()
        .put((0, 1), "k", "0")
        .cas((2, 9), ("k", "0", "1"), true)
        .cas((3, 8), ("k", "0", "1"), false)
        .legal();
}

#[test]
fn a_refused_write_is_not_read() {
    let told = Told::default().put((0, 1), "k", "1").add((2, put("k", "2")), Outcome::Refused).get(
        (4, 5),
        "k",
        Some("2"),
    );
    let why = told.illegal();
    assert_eq!((why.operation, why.core.as_slice()), (3, &[3][..]));
    assert_eq!(why.before, "nobody had sent anything that makes k so");
}

#[test]
fn a_value_that_nobody_wrote_is_not_read() {
    let told = Told::default().put((0, 9), "k", "1").get((2, 3), "k", Some("7"));
    assert_eq!(told.illegal().core, [2]);
}

#[test]
fn a_value_is_not_read_before_it_was_sent() {
    let told = Told::default().get((0, 1), "k", Some("1")).put((2, 3), "k", "1");
    assert_eq!(told.illegal().core, [1]);
}

#[test]
fn a_scan_does_not_mix_two_states() {
    // Each key taken alone is as it should be.
    let told = Told::default()
        .put((0, 1), "a", "1")
        .put((2, 3), "b", "1")
        .put((4, 9), "a", "2")
        .get((5, 6), "a", Some("2"))
        .put((10, 11), "b", "2")
        .scan((4, 12), &[("a", "1"), ("b", "2")]);
    let why = told.illegal();
    assert_eq!(why.keys, ["a", "b"]);
    assert!(why.core.contains(&6), "{why}");
    Told::default()
        .put((0, 1), "a", "1")
        .put((2, 3), "b", "1")
        .put((4, 11), "a", "2")
        .put((5, 10), "b", "2")
        .scan((4, 12), &[("a", "1"), ("b", "2")])
        .legal();
}

#[test]
fn two_scans_agree_on_the_order_of_two_writes() {
    let told = Told::default()
        .put((0, 9), "a", "1")
        .put((0, 9), "b", "1")
        .scan((1, 8), &[("a", "1")])
        .scan((1, 8), &[("b", "1")]);
    let why = told.illegal();
    assert_eq!(why.keys, ["a", "b"]);
}

#[test]
fn a_batch_is_seen_as_a_whole() {
    let batch = Call::Batch(vec![put("a", "1"), put("b", "1")]);
    let done = Answer::Batch(vec![Answer::Done, Answer::Done]);
    let told = Told::default().ok((0, 9), batch.clone(), done.clone()).scan((1, 8), &[("a", "1")]);
    assert_eq!(told.illegal().keys, ["a", "b"]);
    Told::default().ok((0, 9), batch, done).scan((1, 8), &[("a", "1"), ("b", "1")]).legal();
}

#[test]
fn a_delete_range_takes_all_keys_at_once() {
    let range = Call::DeleteRange { start: "a".into(), end: "c".into() };
    let base = || Told::default().put((0, 1), "a", "1").put((0, 1), "b", "1").put((0, 1), "c", "1");
    let half = base().ok((2, 9), range.clone(), Answer::Done);
    assert_eq!(half.scan((3, 8), &[("b", "1"), ("c", "1")]).illegal().keys, ["a", "b"]);
    base().ok((2, 9), range, Answer::Done).scan((3, 8), &[("c", "1")]).legal();
}

#[test]
fn an_unknown_put_may_take_effect_late_or_never() {
    let late = Told::default()
        .put((0, 1), "k", "1")
        .add((2, put("k", "2")), Outcome::Unknown)
        .get((10, 11), "k", Some("1"))
        .get((20, 21), "k", Some("2"));
    assert_eq!(late.legal(), [1, 3, 2, 4]);
    let never = Told::default()
        .put((0, 1), "k", "1")
        .add((2, put("k", "2")), Outcome::Unknown)
        .get((10, 11), "k", Some("1"));
    assert_eq!(never.legal(), [1, 3]);
}

#[test]
fn an_unknown_put_of_what_is_there_may_hide_another_put() {
    let told = Told::default()
        .put((0, 1), "k", "1")
        .add((2, put("k", "1")), Outcome::Unknown)
        .put((3, 9), "k", "2")
        .cas((4, 8), ("k", "1", "3"), true)
        .get((10, 11), "k", Some("3"));
    let before = told.legal();
    assert!(before == [1, 3, 2, 4, 5], "{before:?}");
}

#[test]
fn an_unknown_put_that_was_seen_is_not_unseen() {
    let told = Told::default()
        .put((0, 1), "k", "1")
        .add((2, put("k", "2")), Outcome::Unknown)
        .get((10, 11), "k", Some("2"))
        .get((20, 21), "k", Some("1"));
    let why = told.illegal();
    assert_eq!((why.operation, why.core.as_slice()), (4, &[1, 3, 4][..]));
}

#[test]
fn an_empty_value_is_not_a_missing_key() {
    let told = || Told::default().put((0, 1), "k", "");
    told().get((2, 3), "k", Some("")).legal();
    assert_eq!(told().get((2, 3), "k", None).illegal().operation, 2);
    let told = Told::default().get((2, 3), "k", Some(""));
    assert_eq!(told.illegal().operation, 1);
}

#[test]
fn an_answer_that_contradicts_itself_is_refused_at_once() {
    let told = Told::default().put((0, 1), "a", "1").scan((2, 3), &[("a", "1"), ("Z", "1")]);
    assert_eq!(told.illegal().before, "no store answers so");
}

#[test]
fn a_small_budget_ends_the_search() {
    let told = Told::default().put((0, 1), "k", "1");
    assert_eq!(raft_sim::linear::check_within(&told.0, 0), Verdict::Undecided);
}
