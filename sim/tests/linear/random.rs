//! Random histories.

use std::cell::Cell;

use proptest::prelude::*;
use raft_sim::linear::{Answer, Call, History, Operation, Outcome, Store};

use crate::make::{is_legal, listed, some_order_explains};

const KEYS: [&str; 3] = ["a", "b", "c"];
const VALUES: [&str; 3] = ["", "1", "2"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It took effect, and nobody was told.
    LateUnknown,
    /// It did not, and nobody was told.
    LostUnknown,
    Refused,
}

/// One operation before it has happened.
#[derive(Clone, Debug)]
struct Plan {
    call: Call,
    invoked: u64,
    /// From the invocation to the point at which it takes effect.
    before: u64,
    /// From there to the answer.
    after: u64,
    fate: Fate,
    /// What a failed compare-and-swap found is not told.
    silent: bool,
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&KEYS[..]).prop_map(Into::into)
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(&VALUES[..]).prop_map(Into::into)
}

fn bound() -> impl Strategy<Value = String> {
    prop::sample::select(&["", "a", "b", "bb", "c"][..]).prop_map(Into::into)
}

fn single() -> impl Strategy<Value = Call> {
    let maybe = || prop::option::weighted(0.7, text());
    prop_oneof![
        3 => (key(), text()).prop_map(|(key, value)| Call::Put { key, value }),
        4 => key().prop_map(|key| Call::Get { key }),
        1 => key().prop_map(|key| Call::Delete { key }),
        3 => (key(), maybe(), maybe())
            .prop_map(|(key, expected, new)| Call::Cas { key, expected, new }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let several = prop_oneof![
        1 => (bound(), bound()).prop_map(|(start, end)| Call::DeleteRange { start, end }),
        3 => (bound(), bound(), 0..3_u32)
            .prop_map(|(start, end, limit)| Call::Scan { start, end, limit }),
    ];
    let part = prop_oneof![4 => single(), 1 => several];
    let batch = prop::collection::vec(part.clone(), 0..4).prop_map(Call::Batch);
    prop_oneof![5 => part, 1 => batch]
}

fn plan(call: impl Strategy<Value = Call>, span: u64) -> impl Strategy<Value = Plan> {
    let fate = prop_oneof![
        8 => Just(Fate::Answered),
        1 => Just(Fate::LateUnknown),
        1 => Just(Fate::LostUnknown),
        1 => Just(Fate::Refused),
    ];
    let silent = prop::bool::weighted(0.2);
    (call, 0..span, 0..5_u64, 0..5_u64, fate, silent).prop_map(
        |(call, invoked, before, after, fate, silent)| Plan {
            call,
            invoked,
            before,
            after,
            fate,
            silent,
        },
    )
}

/// What happens if every operation takes effect at its point.
fn happen(plans: &[Plan]) -> Vec<Operation> {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&at| plans[at].invoked + plans[at].before);
    let mut store = Store::new();
    let mut outcomes = vec![Outcome::Refused; plans.len()];
    for at in order {
        let plan = &plans[at];
        let took_effect = matches!(plan.fate, Fate::Answered | Fate::LateUnknown);
        let answer = took_effect.then(|| store.call(&plan.call));
        outcomes[at] = match (plan.fate, answer) {
            (Fate::Answered, Some(mut answer)) => {
                if plan.silent {
                    silence(&mut answer);
                }
                Outcome::Done { at: plan.invoked + plan.before + plan.after, answer }
            }
            (Fate::Refused, _) => Outcome::Refused,
            _ => Outcome::Unknown,
        };
    }
    let numbered = (1..).zip(plans.iter().zip(outcomes));
    let operation = |(id, (plan, outcome)): (u64, (&Plan, Outcome))| {
        let Plan { call, invoked, .. } = plan.clone();
        Operation { id, client: id % 3, invoked, call, outcome }
    };
    numbered.map(operation).collect()
}

fn silence(answer: &mut Answer) {
    match answer {
        Answer::Swapped { found, .. } => *found = None,
        Answer::Batch(answers) => answers.iter_mut().for_each(silence),
        Answer::Done | Answer::Value(_) | Answer::Pairs(_) => {}
    }
}

fn history(operations: Vec<Operation>) -> History {
    let mut history = History::new();
    operations.into_iter().for_each(|operation| history.push(operation).unwrap());
    history
}

/// Tells an untruth in the answer to one of the operations.
fn corrupt(operations: &mut [Operation], which: usize, how: usize) {
    let len = operations.len();
    let answered = |o: &Operation| matches!(o.answer(), Some(a) if *a != Answer::Done);
    let Some(at) = (0..len).map(|step| (which + step) % len).find(|&at| answered(&operations[at]))
    else {
        return;
    };
    if how % 3 == 0 {
        // The answer to another question of the kind.
        let same_kind = |other: &Operation| {
            matches!(
                (operations[at].answer(), other.answer()),
                (Some(Answer::Value(_)), Some(Answer::Value(_)))
                    | (Some(Answer::Pairs(_)), Some(Answer::Pairs(_)))
                    | (Some(Answer::Swapped { .. }), Some(Answer::Swapped { .. }))
            )
        };
        let other = (1..len).map(|step| (at + step) % len).find(|&o| same_kind(&operations[o]));
        if let Some(other) = other {
            let taken = operations[other].answer().unwrap().clone();
            let given = operations[at].answer().unwrap().clone();
            set_answer(&mut operations[at], taken);
            set_answer(&mut operations[other], given);
        }
        return;
    }
    let mut answer = operations[at].answer().unwrap().clone();
    distort(&mut answer, how);
    set_answer(&mut operations[at], answer);
}

fn set_answer(operation: &mut Operation, new: Answer) {
    if let Outcome::Done { answer, .. } = &mut operation.outcome {
        *answer = new;
    }
}

fn distort(answer: &mut Answer, how: usize) {
    let word = || VALUES[how % VALUES.len()].to_owned();
    match answer {
        Answer::Done => {}
        Answer::Value(value) => *value = (how % 4 != 1).then(word),
        Answer::Pairs(pairs) => match pairs.len() {
            0 => pairs.push((KEYS[how % KEYS.len()].into(), word())),
            len if how % 2 == 0 => drop(pairs.remove(how % len)),
            len => pairs[how % len].1 = word(),
        },
        Answer::Swapped { swapped, found } => match found {
            Some(found) if how % 2 == 0 => *found = (how % 4 != 1).then(word),
            _ => *swapped = !*swapped,
        },
        Answer::Batch(answers) => {
            let len = answers.len().max(1);
            answers.iter_mut().skip(how % len).take(1).for_each(|answer| distort(answer, how));
        }
    }
}

thread_local! {
    static LEGAL: Cell<u32> = const { Cell::new(0) };
    static ILLEGAL: Cell<u32> = const { Cell::new(0) };
}

fn cases(standard: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(standard), failure_persistence: None, ..Default::default() }
}

fn agree(operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let history = history(operations);
    let legal = some_order_explains(&history);
    let count = if legal { &LEGAL } else { &ILLEGAL };
    count.set(count.get() + 1);
    prop_assert_eq!(is_legal(&history), legal, "legal: {}\n{}", legal, listed(&history));
    Ok(())
}

fn both_were_frequent(atleast: f64) {
    let (legal, illegal) = (f64::from(LEGAL.take()), f64::from(ILLEGAL.take()));
    println!("{legal} legal, {illegal} illegal");
    assert!(legal.min(illegal) > atleast * (legal + illegal), "{legal} legal, {illegal} illegal");
}

#[test]
fn every_history_of_an_atomic_store_is_legal() {
    proptest!(cases(3_000), |(plans in prop::collection::vec(plan(call(), 30), 0..40))| {
        let history = history(happen(&plans));
        prop_assert!(is_legal(&history), "{}", listed(&history));
    });
}

#[test]
fn verdicts_on_corrupted_histories_are_those_of_a_search_through_all_orders() {
    let lies = || prop::collection::vec((0..64_usize, 0..64_usize), 0..3);
    let plans = || prop::collection::vec(plan(call(), 12), 1..11);
    proptest!(cases(12_000), |(plans in plans(), lies in lies())| {
        let mut operations = happen(&plans);
        lies.iter().for_each(|(which, how)| corrupt(&mut operations, *which, *how));
        agree(operations)?;
    });
    both_were_frequent(0.2);
}

#[test]
fn verdicts_on_one_contended_key_are_those_of_a_search_through_all_orders() {
    let one = || single().prop_map(|mut call| {
        if let Call::Put { key, .. }
        | Call::Get { key }
        | Call::Delete { key }
        | Call::Cas { key, .. } = &mut call
        {
            *key = "a".into();
        }
        call
    });
    let lies = || prop::collection::vec((0..64_usize, 0..64_usize), 0..3);
    let plans = || prop::collection::vec(plan(one(), 8), 1..13);
    proptest!(cases(12_000), |(plans in plans(), lies in lies())| {
        let mut operations = happen(&plans);
        lies.iter().for_each(|(which, how)| corrupt(&mut operations, *which, *how));
        agree(operations)?;
    });
    both_were_frequent(0.2);
}

#[test]
fn verdicts_on_scans_and_batches_are_those_of_a_search_through_all_orders() {
    let few = || prop_oneof![
        3 => (key(), text()).prop_map(|(key, value)| Call::Put { key, value }),
        1 => key().prop_map(|key| Call::Get { key }),
        3 => (bound(), bound(), 0..3_u32)
            .prop_map(|(start, end, limit)| Call::Scan { start, end, limit }),
        1 => (bound(), bound()).prop_map(|(start, end)| Call::DeleteRange { start, end }),
        2 => prop::collection::vec(single(), 2..4).prop_map(Call::Batch),
    ];
    let lies = || prop::collection::vec((0..64_usize, 0..64_usize), 0..3);
    let plans = || prop::collection::vec(plan(few(), 8), 1..11);
    proptest!(cases(12_000), |(plans in plans(), lies in lies())| {
        let mut operations = happen(&plans);
        lies.iter().for_each(|(which, how)| corrupt(&mut operations, *which, *how));
        agree(operations)?;
    });
    both_were_frequent(0.2);
}
