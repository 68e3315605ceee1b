//! Histories in few words, and the search through all orders.

use std::collections::BTreeSet;

use raft_sim::linear::{
    Answer, Call, History, Operation, Outcome, Store, Verdict, check, replay,
};

pub(crate) fn put(key: &str, value: &str) -> Call {
    Call::Put { key: key.into(), value: value.into() }
}

pub(crate) fn get(key: &str) -> Call {
    Call::Get { key: key.into() }
}

pub(crate) fn delete(key: &str) -> Call {
    Call::Delete { key: key.into() }
}

pub(crate) fn delete_range(start: &str, end: &str) -> Call {
    Call::DeleteRange { start: start.into(), end: end.into() }
}

pub(crate) fn scan(start: &str, end: &str, limit: u32) -> Call {
    Call::Scan { start: start.into(), end: end.into(), limit }
}

pub(crate) fn cas(key: &str, expected: Option<&str>, new: Option<&str>) -> Call {
    let [expected, new] = [expected, new].map(|value| value.map(Into::into));
    Call::Cas { key: key.into(), expected, new }
}

pub(crate) fn value(value: Option<&str>) -> Answer {
    Answer::Value(value.map(Into::into))
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Answer {
    Answer::Pairs(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
}

pub(crate) fn swapped(found: Option<&str>) -> Answer {
    Answer::Swapped { swapped: true, found: Some(found.map(Into::into)) }
}

pub(crate) fn not_swapped(found: Option<&str>) -> Answer {
    Answer::Swapped { swapped: false, found: Some(found.map(Into::into)) }
}

/// A history under construction. Operations are numbered from 1; client and id are the same.
#[derive(Default)]
pub(crate) struct Made(pub(crate) History);

impl Made {
    fn add(mut self, invoked: u64, call: Call, outcome: Outcome) -> Self {
        let id = self.0.operations().len() as u64 + 1;
        self.0.push(Operation { id, client: id, invoked, call, outcome }).unwrap();
        self
    }

    /// An operation that was answered.
    pub(crate) fn op(self, from: u64, to: u64, call: Call, answer: Answer) -> Self {
        self.add(from, call, Outcome::Done { at: to, answer })
    }

    /// A write that was answered.
    pub(crate) fn done(self, from: u64, to: u64, call: Call) -> Self {
        self.op(from, to, call, Answer::Done)
    }

    pub(crate) fn unknown(self, from: u64, call: Call) -> Self {
        self.add(from, call, Outcome::Unknown)
    }

    pub(crate) fn refused(self, from: u64, call: Call) -> Self {
        self.add(from, call, Outcome::Refused)
    }
}

/// The verdict, after the witness was replayed.
pub(crate) fn verdict(history: &History) -> Verdict {
    let verdict = check(history);
    if let Verdict::Linearizable { witness } = &verdict {
        assert_eq!(replay(history, witness), Ok(()), "{witness:?}\n{}", listed(history));
    }
    verdict
}

pub(crate) fn is_legal(history: &History) -> bool {
    match verdict(history) {
        Verdict::Linearizable { .. } => true,
        Verdict::NotLinearizable(contradiction) => {
            assert!(!contradiction.before.is_empty() && !contradiction.now.is_empty());
            false
        }
        Verdict::Undecided { .. } => panic!("undecided:\n{}", listed(history)),
    }
}

pub(crate) fn listed(history: &History) -> String {
    history.operations().iter().map(|operation| format!("{operation}\n")).collect()
}

/// Tries every order of at most 64 operations. It shares nothing with the checker but the store.
pub(crate) fn some_order_explains(history: &History) -> bool {
    let some = |o: &&Operation| o.outcome != Outcome::Refused;
    let operations: Vec<&Operation> = history.operations().iter().filter(some).collect();
    let mut seen = BTreeSet::new();
    try_all(&operations, 0, &Store::new(), &mut seen)
}

fn try_all(
    operations: &[&Operation],
    done: u64,
    store: &Store,
    seen: &mut BTreeSet<(u64, Store)>,
) -> bool {
    let left = || operations.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0);
    let Some(first_return) = left().filter_map(|(_, operation)| operation.returned()).min() else {
        return true;
    };
    if !seen.insert((done, store.clone())) {
        return false;
    }
    left().filter(|(_, operation)| operation.invoked <= first_return).any(|(at, operation)| {
        let mut store = store.clone();
        let answer = store.call(&operation.call);
        operation.answer().is_none_or(|got| told(got, &answer))
            && try_all(operations, done | 1 << at, &store, seen)
    })
}

/// What the client was told is true.
fn told(got: &Answer, really: &Answer) -> bool {
    match (got, really) {
        (Answer::Swapped { swapped, found: None }, Answer::Swapped { swapped: really, .. }) => {
            swapped == really
        }
        (Answer::Batch(got), Answer::Batch(really)) => {
            got.iter().zip(really).all(|(got, really)| told(got, really))
        }
        _ => got == really,
    }
}
