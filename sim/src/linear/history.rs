//! What clients saw: operations on a key-value store, with the times of their ends.

use std::collections::BTreeSet;

use thiserror::Error;

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Unique in the history.
    pub id: u64,
    /// Who asked. It only serves to name the operation: the order of a client's operations follows
    /// from their times.
    pub client: u64,
    /// When the client sent it, in any unit.
    pub invoked: u64,
    /// What it asks.
    pub call: Call,
    /// How it ended, as far as the client knows.
    pub outcome: Outcome,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Write a key.
    Put {
        /// The key.
        key: String,
        /// The value; an empty value is a value.
        value: String,
    },
    /// Read a key.
    Get {
        /// The key.
        key: String,
    },
    /// Remove a key, whether it exists or not.
    Delete {
        /// The key.
        key: String,
    },
    /// Remove the keys from `start` up to but without `end`.
    DeleteRange {
        /// The first key.
        start: String,
        /// The end; empty is the end of the store.
        end: String,
    },
    /// Read the keys from `start` up to but without `end`.
    Scan {
        /// The first key.
        start: String,
        /// The end; empty is the end of the store.
        end: String,
        /// At most this many pairs; 0 is no limit.
        limit: u32,
    },
    /// Replace what a key holds, if it holds what is expected.
    Cas {
        /// The key.
        key: String,
        /// What it must hold; none is no such key.
        expected: Option<String>,
        /// What it holds then; none removes it.
        new: Option<String>,
    },
    /// Several calls, one after the other, as one. A batch holds no batch.
    Batch(Vec<Call>),
}

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To put, delete and delete range: it is done.
    Done,
    /// To get: the value; none is no such key.
    Value(Option<String>),
    /// To scan: the pairs in the order of their keys.
    Pairs(Vec<(String, String)>),
    /// To compare-and-swap.
    Swapped {
        /// It held what was expected, and was replaced.
        swapped: bool,
        /// What it held, if the store tells; the inner none is no such key.
        found: Option<Option<String>>,
    },
    /// To a batch: the answer to each call.
    Batch(Vec<Answer>),
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done {
        /// When the client got the answer.
        at: u64,
        /// The answer.
        answer: Answer,
    },
    /// It was refused and has no effect, now or later.
    Refused,
    /// No answer came: it may have taken effect, or may still, or never.
    Unknown,
}

impl Operation {
    /// When the answer came; none if none did.
    pub fn returned(&self) -> Option<u64> {
        match &self.outcome {
            Outcome::Done { at, .. } => Some(*at),
            Outcome::Refused | Outcome::Unknown => None,
        }
    }

    /// The answer, if one came.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Done { answer, .. } => Some(answer),
            Outcome::Refused | Outcome::Unknown => None,
        }
    }
}

/// Why an operation is not part of any history.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// The id was used before.
    #[error("there is already an operation {0}")]
    SameId(u64),
    /// The answer came before the question.
    #[error("operation {id} was answered at {returned}, before it was sent at {invoked}")]
    Backwards {
        /// The operation.
        id: u64,
        /// When it was sent.
        invoked: u64,
        /// When it was answered.
        returned: u64,
    },
    /// The answer is one to another kind of question.
    #[error("operation {0} has an answer of the wrong kind")]
    WrongAnswer(u64),
    /// A batch within a batch.
    #[error("operation {0} is a batch that holds a batch")]
    NestedBatch(u64),
}

/// Operations that fit their answers, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    operations: Vec<Operation>,
    ids: BTreeSet<u64>,
}

impl History {
    /// No operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation.
    ///
    /// # Errors
    ///
    /// If its id is taken or its answer is none to what it asks. The history is as before.
    pub fn push(&mut self, operation: Operation) -> Result<(), HistoryError> {
        let Operation { id, invoked, .. } = operation;
        if let Call::Batch(calls) = &operation.call
            && calls.iter().any(|call| matches!(call, Call::Batch(_)))
        {
            return Err(HistoryError::NestedBatch(id));
        }
        if let Outcome::Done { at: returned, answer } = &operation.outcome {
            if *returned < invoked {
                return Err(HistoryError::Backwards { id, invoked, returned: *returned });
            }
            if !fits(&operation.call, answer) {
                return Err(HistoryError::WrongAnswer(id));
            }
        }
        if !self.ids.insert(id) {
            return Err(HistoryError::SameId(id));
        }
        self.operations.push(operation);
        Ok(())
    }

    /// The operations, in the order in which they were added.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

fn fits(call: &Call, answer: &Answer) -> bool {
    match (call, answer) {
        (Call::Put { .. } | Call::Delete { .. } | Call::DeleteRange { .. }, Answer::Done)
        | (Call::Get { .. }, Answer::Value(_))
        | (Call::Scan { .. }, Answer::Pairs(_))
        | (Call::Cas { .. }, Answer::Swapped { .. }) => true,
        (Call::Batch(calls), Answer::Batch(answers)) => {
            calls.len() == answers.len() && calls.iter().zip(answers).all(|(c, a)| fits(c, a))
        }
        _ => false,
    }
}
