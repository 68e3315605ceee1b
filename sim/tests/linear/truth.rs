//! The verdict is the truth.

use proptest::prelude::*;
use raft_sim::linear::{
    Answer, Call, History, Operation, Outcome, Verdict, check, check_within, read_history, replay,
    write_history,
};

use crate::brute;
use crate::random::{Dice, Mix, Source};

/// Checks, and tries the witness.
fn verdict(history: &History) -> bool {
    match check(history) {
        Verdict::Linearizable { witness } => {
            assert_eq!(replay(history, &witness), Ok(()), "{witness:?} for{}", told(history));
            true
        }
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided => panic!("undecided:{}", told(history)),
    }
}

/// One operation a line.
fn told(history: &History) -> String {
    history.operations().iter().map(|operation| format!("\n{operation}")).collect()
}

#[test]
fn small_histories_are_judged_as_by_trying_everything() {
    let mut seen = [0, 0];
    for seed in 0..20_000 {
        let mix = Mix::small(3 + (seed % 5) as usize);
        let mix = match seed % 4 {
            0 => Mix { keys: 1, values: 2, unknown: 40, ..mix },
            1 => Mix { keys: 2, values: 2, unknown: 25, get: 10, batch: 20, ..mix },
            _ => mix,
        };
        let mut source = Source::new(seed, mix);
        let mut history = source.legal();
        if seed % 3 > 0 {
            history = source.damaged(&history);
        }
        let truth = brute::is_linearizable(&history);
        assert!(truth || seed % 3 > 0, "the generator is wrong: {seed}{}", told(&history));
        assert_eq!(verdict(&history), truth, "{seed}{}", told(&history));
        seen[usize::from(truth)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 4_000), "illegal, legal: {seen:?}");
}

/// Some call and some answer that fits it, whether a store would give it or not.
fn any_call() -> impl Strategy<Value = (Call, Answer)> {
    let key = || prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned);
    let value = || prop::sample::select(vec!["", "1"]).prop_map(str::to_owned);
    let maybe = || prop::option::of(value());
    let pairs = prop::collection::btree_map(key(), value(), 0..=2);
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| (Call::Put { key, value }, Answer::Done)),
        4 => (key(), maybe()).prop_map(|(key, value)| (Call::Get { key }, Answer::Value(value))),
        1 => key().prop_map(|key| (Call::Delete { key }, Answer::Done)),
        1 => key().prop_map(|end| (Call::DeleteRange { start: "a".into(), end }, Answer::Done)),
        2 => (pairs, 0..3_u32).prop_map(|(pairs, limit)| {
            let call = Call::Scan { start: "a".into(), end: String::new(), limit };
            (call, Answer::Pairs(pairs.into_iter().collect()))
        }),
        3 => (key(), maybe(), maybe(), any::<bool>(), prop::option::of(maybe())).prop_map(
            |(key, expected, new, swapped, found)| {
                (Call::Cas { key, expected, new }, Answer::Swapped { swapped, found })
            }
        ),
    ]
}

fn any_operation() -> impl Strategy<Value = (Call, Outcome, u64)> {
    let batch = prop::collection::vec(any_call(), 1..3).prop_map(|calls| {
        let (calls, answers) = calls.into_iter().unzip();
        (Call::Batch(calls), Answer::Batch(answers))
    });
    let asked = prop_oneof![5 => any_call(), 1 => batch];
    (asked, 0..10_u64, 0..8_u64, 0..10).prop_map(|((call, answer), from, takes, how)| {
        let outcome = match how {
            0 => Outcome::Refused,
            1 | 2 => Outcome::Unknown,
            _ => Outcome::Done { at: from + takes, answer },
        };
        (call, outcome, from)
    })
}

fn any_history() -> impl Strategy<Value = History> {
    prop::collection::vec(any_operation(), 0..7).prop_map(|operations| {
        let mut history = History::new();
        for (id, (call, outcome, invoked)) in (1..).zip(operations) {
            history.push(Operation { id, client: id, invoked, call, outcome }).unwrap();
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_history_is_judged_as_by_trying_everything(history in any_history()) {
        prop_assert_eq!(verdict(&history), brute::is_linearizable(&history), "{}", told(&history));
    }

    #[test]
    fn a_history_means_the_same_after_it_was_written_and_read(history in any_history()) {
        let read = read_history(write_history(&history).unwrap()).unwrap();
        prop_assert_eq!(verdict(&read), verdict(&history));
    }
}

#[test]
fn legal_histories_of_every_mix_are_accepted() {
    for seed in 0..3_000 {
        let mix = Mix::any(seed);
        let history = Source::new(seed, mix).legal();
        assert!(verdict(&history), "{seed}, {mix:?}{}", told(&history));
    }
}

/// The answers that an explanation names are enough, and each of them is needed.
#[test]
fn an_explanation_is_a_smallest_one() {
    let mut explained = 0;
    for seed in 0..1_500 {
        let mut source = Source::new(seed, Mix::any(seed));
        let history = source.legal();
        let history = source.damaged(&history);
        let Verdict::NotLinearizable(why) = check(&history) else { continue };
        if why.before == "no store answers so" {
            continue;
        }
        explained += 1;
        assert_eq!(why.core.last(), Some(&why.operation));
        let fewer = without_answers(&history, |id| !why.core.contains(&id));
        assert!(!verdict(&fewer), "{seed} {why}");
        if why.core.len() > 12 {
            continue;
        }
        for needed in &why.core {
            let fewer = without_answers(&history, |id| id == *needed || !why.core.contains(&id));
            assert!(verdict(&fewer), "{seed}: {needed} is not needed: {why}");
        }
    }
    assert!(explained > 300, "{explained}");
}

fn without_answers(history: &History, which: impl Fn(u64) -> bool) -> History {
    let mut fewer = History::new();
    for operation in history.operations() {
        let mut operation = operation.clone();
        if which(operation.id) && operation.outcome != Outcome::Refused {
            operation.outcome = Outcome::Unknown;
        }
        fewer.push(operation).unwrap();
    }
    fewer
}

/// What cannot be compared with brute force, because it is too long, is compared with itself: a
/// history stays refused when all its times are spread and its operations come in another order.
#[test]
fn a_damaged_history_is_judged_the_same_in_any_order() {
    let mut seen = [0, 0];
    for seed in 0..600 {
        let mut source = Source::new(seed, Mix::any(seed));
        let history = source.legal();
        let history = source.damaged(&history);
        let mut dice = Dice::new(seed);
        let mut operations = history.operations().to_vec();
        for at in (1..operations.len()).rev() {
            operations.swap(at, dice.below(at as u64 + 1) as usize);
        }
        let mut other = History::new();
        for mut operation in operations {
            operation.invoked = 3 * operation.invoked + 1;
            if let Outcome::Done { at, .. } = &mut operation.outcome {
                *at = 3 * *at + 2;
            }
            other.push(operation).unwrap();
        }
        let first = verdict(&history);
        assert_eq!(verdict(&other), first, "{seed}");
        seen[usize::from(first)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 100), "illegal, legal: {seen:?}");
}

#[test]
fn a_budget_ends_the_search_without_a_false_verdict() {
    for seed in 0..100 {
        let mut source = Source::new(seed, Mix::any(seed));
        let history = source.legal();
        let history = source.damaged(&history);
        let truth = verdict(&history);
        for states in [0, 10, 100, 1_000, 10_000] {
            match check_within(&history, states) {
                Verdict::Undecided => {}
                verdict => assert_eq!(matches!(verdict, Verdict::Linearizable { .. }), truth),
            }
        }
    }
}
