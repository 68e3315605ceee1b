//! A store without any concurrency: what an order of operations must be answered.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use thiserror::Error;

use super::history::{Answer, Call, History, Operation, Outcome};

/// A store of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Store {
    pairs: BTreeMap<String, String>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what `call` asks and answers it.
    pub fn call(&mut self, call: &Call) -> Answer {
        match call {
            Call::Put { key, value } => {
                self.pairs.insert(key.clone(), value.clone());
                Answer::Done
            }
            Call::Get { key } => Answer::Value(self.pairs.get(key).cloned()),
            Call::Delete { key } => {
                self.pairs.remove(key);
                Answer::Done
            }
            Call::DeleteRange { start, end } => {
                self.pairs.retain(|key, _| !within(key, start, end));
                Answer::Done
            }
            Call::Scan { start, end, limit } => {
                let limit = if *limit == 0 { usize::MAX } else { *limit as usize };
                let from = (Bound::Included(start.as_str()), Bound::Unbounded);
                let pairs = self.pairs.range::<str, _>(from);
                let pairs = pairs.take_while(|(key, _)| within(key, start, end)).take(limit);
                Answer::Pairs(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            Call::Cas { key, expected, new } => {
                let found = self.pairs.get(key).cloned();
                let swapped = found == *expected;
                match new {
                    _ if !swapped => {}
                    Some(new) => drop(self.pairs.insert(key.clone(), new.clone())),
                    None => drop(self.pairs.remove(key)),
                }
                Answer::Swapped { swapped, found: Some(found) }
            }
            Call::Batch(calls) => Answer::Batch(calls.iter().map(|call| self.call(call)).collect()),
        }
    }
}

/// `key` lies in a range whose empty end is the end of the store.
pub(super) fn within(key: &str, start: &str, end: &str) -> bool {
    key >= start && (end.is_empty() || key < end)
}

/// The store's answer is the one that the client got, as far as it was told.
fn agrees(got: &Answer, store: &Answer) -> bool {
    match (got, store) {
        (
            Answer::Swapped { swapped, found },
            Answer::Swapped { swapped: really, found: content },
        ) => swapped == really && (found.is_none() || found == content),
        (Answer::Batch(got), Answer::Batch(store)) => {
            got.len() == store.len() && got.iter().zip(store).all(|(got, store)| agrees(got, store))
        }
        _ => got == store,
    }
}

/// Why an order explains nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// It names an operation that is not there, was refused, or stands in it twice.
    #[error("operation {0} has no place in the order")]
    Misplaced(u64),
    /// It leaves out an operation that was answered.
    #[error("operation {0} was answered and is missing")]
    Missing(u64),
    /// It turns real time around.
    #[error("operation {later} was sent after operation {earlier} had returned, but comes first")]
    Order {
        /// The one that had returned.
        earlier: u64,
        /// The one that comes first all the same.
        later: u64,
    },
    /// The store would have answered otherwise.
    #[error("operation {id} would have been answered {answer}")]
    Answer {
        /// The operation.
        id: u64,
        /// The store's answer.
        answer: Answer,
    },
}

/// Plays the operations of `history` in the order `ids` on an empty store. This is what makes an
/// order a witness; it knows nothing of how one is found.
///
/// # Errors
///
/// If the order is none that explains what the clients saw.
pub fn replay(history: &History, ids: &[u64]) -> Result<(), ReplayError> {
    let mut left: BTreeMap<u64, &Operation> =
        history.operations().iter().map(|operation| (operation.id, operation)).collect();
    let mut order = Vec::with_capacity(ids.len());
    for id in ids {
        let operation = left.remove(id).filter(|o| o.outcome != Outcome::Refused);
        order.push(operation.ok_or(ReplayError::Misplaced(*id))?);
    }
    if let Some(missing) = left.values().find(|operation| operation.returned().is_some()) {
        return Err(ReplayError::Missing(missing.id));
    }
    // Whoever had returned before one that precedes it was sent turns time around.
    let mut last: Option<&Operation> = None;
    for operation in &order {
        if let (Some(at), Some(last)) = (operation.returned(), last)
            && at < last.invoked
        {
            return Err(ReplayError::Order { earlier: operation.id, later: last.id });
        }
        if last.is_none_or(|last| last.invoked < operation.invoked) {
            last = Some(operation);
        }
    }
    let mut store = Store::new();
    for operation in order {
        let answer = store.call(&operation.call);
        if operation.answer().is_some_and(|got| !agrees(got, &answer)) {
            return Err(ReplayError::Answer { id: operation.id, answer });
        }
    }
    Ok(())
}

/// Of `ids` in this order each once. A read that stands there several times is kept where the store
/// would first have answered what the client got, and left out if that is nowhere.
pub(crate) fn first_fits(history: &History, ids: &[u64]) -> Vec<u64> {
    let operations: BTreeMap<u64, &Operation> =
        history.operations().iter().map(|operation| (operation.id, operation)).collect();
    let (mut store, mut kept) = (Store::new(), BTreeSet::new());
    let mut fits = |id: u64| {
        let Some(operation) = operations.get(&id).filter(|_| !kept.contains(&id)) else {
            return false;
        };
        let answer = store.call(&operation.call);
        let reads = matches!(operation.call, Call::Get { .. } | Call::Scan { .. });
        let fits = !reads || operation.answer().is_none_or(|got| agrees(got, &answer));
        fits && kept.insert(id)
    };
    ids.iter().copied().filter(|&id| fits(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::new();
        let put = Call::Put { key: "k".into(), value: "1".into() };
        let get = Call::Get { key: "k".into() };
        let read = Answer::Value(Some("1".into()));
        for (id, invoked, at, call, answer) in
            [(1, 0, 2, put.clone(), Answer::Done), (2, 3, 4, get, read)]
        {
            let outcome = Outcome::Done { at, answer };
            history.push(Operation { id, client: id, invoked, call, outcome }).unwrap();
        }
        let open = Operation { id: 3, client: 3, invoked: 0, call: put, outcome: Outcome::Unknown };
        history.push(open).unwrap();
        history
    }

    #[test]
    fn an_order_may_leave_out_what_was_not_answered() {
        assert_eq!(replay(&history(), &[1, 2]), Ok(()));
        assert_eq!(replay(&history(), &[1, 2, 3]), Ok(()));
    }

    #[test]
    fn a_wrong_order_is_refused_and_says_why() {
        let refused = |ids: &[u64]| replay(&history(), ids).unwrap_err();
        assert_eq!(refused(&[1]), ReplayError::Missing(2));
        assert_eq!(refused(&[1, 1, 2]), ReplayError::Misplaced(1));
        assert_eq!(refused(&[1, 2, 9]), ReplayError::Misplaced(9));
        assert_eq!(refused(&[3, 2, 1]), ReplayError::Order { earlier: 1, later: 2 });
    }

    #[test]
    fn a_read_with_several_places_stands_where_its_answer_fits() {
        let history = history();
        assert_eq!(first_fits(&history, &[2, 1, 2, 2]), [1, 2]);
        assert_eq!(first_fits(&history, &[2, 1]), [1], "it fits nowhere");
    }

    #[test]
    fn an_answer_that_the_store_would_not_give_is_refused() {
        let mut history = history();
        let outcome = Outcome::Done { at: 9, answer: Answer::Value(None) };
        let call = Call::Get { key: "k".into() };
        history.push(Operation { id: 4, client: 4, invoked: 8, call, outcome }).unwrap();
        let answer = Answer::Value(Some("1".into()));
        assert_eq!(replay(&history, &[1, 2, 4]), Err(ReplayError::Answer { id: 4, answer }));
    }
}
