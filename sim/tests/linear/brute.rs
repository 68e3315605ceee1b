//! A checker that tries everything. Slow, and too simple to be wrong.

use raft_sim::linear::{Answer, History, Operation, Outcome, Store};

/// Whether some order of the operations explains every answer.
pub(crate) fn is_linearizable(history: &History) -> bool {
    let operations: Vec<&Operation> =
        history.operations().iter().filter(|o| o.outcome != Outcome::Refused).collect();
    tries(&operations, &Store::new())
}

fn tries(left: &[&Operation], store: &Store) -> bool {
    if left.iter().all(|operation| operation.returned().is_none()) {
        return true;
    }
    left.iter().enumerate().any(|(at, operation)| {
        let too_early = left
            .iter()
            .filter_map(|other| other.returned())
            .any(|returned| returned < operation.invoked);
        if too_early {
            return false;
        }
        let mut store = store.clone();
        let answer = store.call(&operation.call);
        if operation.answer().is_some_and(|got| !is_told(got, &answer)) {
            return false;
        }
        let mut left = left.to_vec();
        left.remove(at);
        tries(&left, &store)
    })
}

/// An answer may keep to itself what a compare-and-swap found.
fn is_told(got: &Answer, full: &Answer) -> bool {
    match (got, full) {
        (Answer::Swapped { swapped, found: None }, Answer::Swapped { swapped: really, .. }) => {
            swapped == really
        }
        (Answer::Batch(got), Answer::Batch(full)) => {
            got.iter().zip(full).all(|(got, full)| is_told(got, full))
        }
        _ => got == full,
    }
}
