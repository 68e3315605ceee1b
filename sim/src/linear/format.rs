//! Histories as JSON lines. The format is documented in `docs/histories.md`.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::history::{Answer, Call, History, HistoryError, Operation, Outcome};

/// The longest line.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// The longest history.
pub const BYTES_MAX: usize = 1 << 28;
/// Operations in a history.
pub const OPERATIONS_MAX: usize = 1_000_000;

/// Why a history cannot be read.
#[derive(Debug, Error)]
#[error("line {line}: {why}")]
pub struct FormatError {
    /// Counts from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub why: LineError,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no JSON, or a field is missing or has the wrong type.
    #[error("{}", in_line(.0))]
    Json(#[from] serde_json::Error),
    /// It cannot be read at all.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is too long, or the history is.
    #[error("more than {max} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
    },
    /// An operation lacks a field.
    #[error("{f} needs the field {field:?}")]
    Missing {
        /// The operation.
        f: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The answer to an operation lacks a field.
    #[error("ok of {f} needs the field {field:?}")]
    MissingAnswer {
        /// The operation.
        f: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A process asked again although it waits for an answer.
    #[error("process {process} has not ended what it began on line {began}")]
    Busy {
        /// The process.
        process: u64,
        /// Where it asked before.
        began: usize,
    },
    /// An answer to nothing.
    #[error("process {0} has begun nothing that this could end")]
    NotBegun(u64),
    /// Some lines have a time and some have none.
    #[error("either every line has a time or none has")]
    Time,
    /// The operation is none.
    #[error("{0}")]
    History(#[from] HistoryError),
}

/// What is wrong with JSON that has one line: which of them says [`FormatError`].
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum F {
    Put,
    Get,
    Delete,
    DeleteRange,
    Scan,
    Cas,
    Batch,
}

/// A value that may be absent, or null, which is not the same.
type Nullable = Option<Option<String>>;

fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<Nullable, D::Error> {
    Option::deserialize(from).map(Some)
}

/// What is asked and answered. Which fields there are depends on the operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<F>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    value: Nullable,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    expected: Nullable,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    new: Nullable,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<Fields>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swapped: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    found: Nullable,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<Fields>>,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    process: u64,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<u64>,
    #[serde(flatten)]
    fields: Fields,
}

fn call(mut fields: Fields) -> Result<Call, LineError> {
    let Some(f) = fields.f else {
        return Err(LineError::Missing { f: "invoke", field: "f" });
    };
    let name = f.name();
    let missing = |field| LineError::Missing { f: name, field };
    let key = fields.key.take().ok_or(missing("key"));
    let start = fields.start.take().ok_or(missing("start"));
    let end = fields.end.take().unwrap_or_default();
    Ok(match f {
        F::Put => Call::Put { key: key?, value: fields.value.flatten().ok_or(missing("value"))? },
        F::Get => Call::Get { key: key? },
        F::Delete => Call::Delete { key: key? },
        F::DeleteRange => Call::DeleteRange { start: start?, end },
        F::Scan => Call::Scan { start: start?, end, limit: fields.limit.unwrap_or_default() },
        F::Cas => Call::Cas {
            key: key?,
            expected: fields.expected.ok_or(missing("expected"))?,
            new: fields.new.ok_or(missing("new"))?,
        },
        F::Batch => {
            let calls = fields.calls.ok_or(missing("calls"))?;
            Call::Batch(calls.into_iter().map(call).collect::<Result<_, _>>()?)
        }
    })
}

fn answer(call: &Call, fields: Fields) -> Result<Answer, LineError> {
    let missing = |f: F, field| LineError::MissingAnswer { f: f.name(), field };
    Ok(match call {
        Call::Put { .. } | Call::Delete { .. } | Call::DeleteRange { .. } => Answer::Done,
        Call::Get { .. } => Answer::Value(fields.value.ok_or(missing(F::Get, "value"))?),
        Call::Scan { .. } => Answer::Pairs(fields.pairs.ok_or(missing(F::Scan, "pairs"))?),
        Call::Cas { .. } => Answer::Swapped {
            swapped: fields.swapped.ok_or(missing(F::Cas, "swapped"))?,
            found: fields.found,
        },
        Call::Batch(calls) => {
            let answers = fields.answers.ok_or(missing(F::Batch, "answers"))?;
            if answers.len() != calls.len() {
                return Err(missing(F::Batch, "answers"));
            }
            let answers = calls.iter().zip(answers).map(|(call, fields)| answer(call, fields));
            Answer::Batch(answers.collect::<Result<_, _>>()?)
        }
    })
}

impl F {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::DeleteRange => "delete_range",
            Self::Scan => "scan",
            Self::Cas => "cas",
            Self::Batch => "batch",
        }
    }
}

/// An operation that has not ended.
#[derive(Debug)]
struct Begun {
    line: usize,
    process: u64,
    id: u64,
    time: u64,
    call: Call,
}

#[derive(Debug, Default)]
struct Reader {
    history: History,
    /// By id if the line has one, else by process.
    begun: BTreeMap<(bool, u64), Begun>,
    timed: Option<bool>,
    lines: usize,
    bytes: usize,
    operations: usize,
}

impl Reader {
    /// Reads one more line.
    fn line(&mut self, text: &str) -> Result<(), LineError> {
        // The end of a line counts, or there would be no end to empty ones.
        self.bytes += text.len() + 1;
        if text.len() > LINE_BYTES_MAX {
            return Err(LineError::TooMuch { what: "bytes in a line", max: LINE_BYTES_MAX });
        }
        if self.bytes > BYTES_MAX {
            return Err(LineError::TooMuch { what: "bytes", max: BYTES_MAX });
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        let line: Line = serde_json::from_str(text)?;
        if *self.timed.get_or_insert(line.time.is_some()) != line.time.is_some() {
            return Err(LineError::Time);
        }
        let time = line.time.unwrap_or(self.lines as u64);
        let which = line.id.map_or((false, line.process), |id| (true, id));
        if line.kind == Type::Invoke {
            return self.begin(line, which, time);
        }
        let begun = self.begun.remove(&which).ok_or(LineError::NotBegun(line.process))?;
        let outcome = match line.kind {
            Type::Ok => Outcome::Done { at: time, answer: answer(&begun.call, line.fields)? },
            Type::Fail => Outcome::Refused,
            Type::Info | Type::Invoke => Outcome::Unknown,
        };
        self.end(begun, outcome)
    }

    fn begin(&mut self, line: Line, which: (bool, u64), time: u64) -> Result<(), LineError> {
        let process = line.process;
        if let Some(Begun { line: began, .. }) = self.begun.get(&which) {
            return Err(LineError::Busy { process, began: *began });
        }
        self.operations += 1;
        if self.operations > OPERATIONS_MAX {
            return Err(LineError::TooMuch { what: "operations", max: OPERATIONS_MAX });
        }
        let id = line.id.unwrap_or(self.lines as u64);
        let call = call(line.fields)?;
        self.begun.insert(which, Begun { line: self.lines, process, id, time, call });
        Ok(())
    }

    fn end(&mut self, begun: Begun, outcome: Outcome) -> Result<(), LineError> {
        let Begun { process: client, id, time: invoked, call, .. } = begun;
        Ok(self.history.push(Operation { id, client, invoked, call, outcome })?)
    }

    fn add(&mut self, text: &str) -> Result<(), FormatError> {
        self.lines += 1;
        // Some editors put a byte order mark before the first line.
        let marked = text.strip_prefix('\u{feff}').filter(|_| self.lines == 1);
        let text = marked.unwrap_or(text);
        self.line(text).map_err(|why| FormatError { line: self.lines, why })
    }

    /// What has not ended never will.
    fn finish(mut self) -> Result<History, FormatError> {
        for begun in std::mem::take(&mut self.begun).into_values() {
            let line = begun.line;
            self.end(begun, Outcome::Unknown).map_err(|why| FormatError { line, why })?;
        }
        Ok(self.history)
    }
}

/// Reads a history from its lines. Empty lines are skipped.
///
/// # Errors
///
/// At the first line that is wrong.
pub fn read_history<S: AsRef<str>>(
    lines: impl IntoIterator<Item = S>,
) -> Result<History, FormatError> {
    let mut reader = Reader::default();
    for line in lines {
        reader.add(line.as_ref())?;
    }
    reader.finish()
}

/// Reads a history from a file or a stream. Never holds more than one line that is too long.
///
/// # Errors
///
/// At the first line that is wrong or cannot be read.
pub fn load_history(mut from: impl BufRead) -> Result<History, FormatError> {
    let mut reader = Reader::default();
    let mut line = String::new();
    loop {
        line.clear();
        let read = (&mut from).take(LINE_BYTES_MAX as u64 + 2).read_line(&mut line);
        let why = |why: std::io::Error| FormatError { line: reader.lines + 1, why: why.into() };
        if read.map_err(why)? == 0 {
            return reader.finish();
        }
        reader.add(line.trim_end_matches(['\n', '\r']))?;
    }
}

fn call_fields(call: &Call) -> Fields {
    let mut fields = Fields::default();
    let (f, of) = match call {
        Call::Put { key, value } => {
            fields.value = Some(Some(value.clone()));
            (F::Put, Some(key))
        }
        Call::Get { key } => (F::Get, Some(key)),
        Call::Delete { key } => (F::Delete, Some(key)),
        Call::DeleteRange { start, end } => {
            (fields.start, fields.end) = (Some(start.clone()), Some(end.clone()));
            (F::DeleteRange, None)
        }
        Call::Scan { start, end, limit } => {
            (fields.start, fields.end) = (Some(start.clone()), Some(end.clone()));
            fields.limit = (*limit != 0).then_some(*limit);
            (F::Scan, None)
        }
        Call::Cas { key, expected, new } => {
            (fields.expected, fields.new) = (Some(expected.clone()), Some(new.clone()));
            (F::Cas, Some(key))
        }
        Call::Batch(calls) => {
            fields.calls = Some(calls.iter().map(call_fields).collect());
            (F::Batch, None)
        }
    };
    (fields.f, fields.key) = (Some(f), of.cloned());
    fields
}

fn answer_fields(answer: &Answer) -> Fields {
    let mut fields = Fields::default();
    match answer {
        Answer::Done => {}
        Answer::Value(value) => fields.value = Some(value.clone()),
        Answer::Pairs(pairs) => fields.pairs = Some(pairs.clone()),
        Answer::Swapped { swapped, found } => {
            (fields.swapped, fields.found) = (Some(*swapped), found.clone());
        }
        Answer::Batch(answers) => {
            fields.answers = Some(answers.iter().map(answer_fields).collect());
        }
    }
    fields
}

/// The lines of a history, in the order of time. What has no answer ends at once with `info` or
/// `fail`.
///
/// # Errors
///
/// None that can be met; JSON has a word for every history.
pub fn write_history(history: &History) -> Result<Vec<String>, serde_json::Error> {
    let mut lines: Vec<(u64, bool, Line)> = Vec::new();
    for operation in history.operations() {
        let Operation { id, client, invoked, call, outcome } = operation;
        let line = |kind, time, fields| Line {
            process: *client,
            kind,
            id: Some(*id),
            time: Some(time),
            fields,
        };
        lines.push((*invoked, false, line(Type::Invoke, *invoked, call_fields(call))));
        let (kind, at, fields) = match outcome {
            Outcome::Done { at, answer } => (Type::Ok, *at, answer_fields(answer)),
            Outcome::Refused => (Type::Fail, *invoked, Fields::default()),
            Outcome::Unknown => (Type::Info, *invoked, Fields::default()),
        };
        lines.push((at, true, line(kind, at, fields)));
    }
    lines.sort_by_key(|(at, ends, _)| (*at, *ends));
    lines.iter().map(|(.., line)| serde_json::to_string(line)).collect()
}
