//! Operations and answers in words.

use std::fmt;

use super::history::{Answer, Call, Operation, Outcome};

const SHOWN_MAX: usize = 40;
const LISTED_MAX: usize = 8;

/// A value; none is no such key.
pub(super) fn value(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".into(), text)
}

/// The start of a text, in quotes where it could be taken for something else.
pub(super) fn text(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let plain = shown.chars().all(|c| c.is_alphanumeric() || "-_./:…".contains(c));
    if plain && !shown.is_empty() && shown != "nothing" { shown } else { format!("{shown:?}") }
}

/// The end of a range; empty is the end of the store.
fn bound(key: &str) -> String {
    if key.is_empty() { String::new() } else { text(key) }
}

/// The first few of a list.
fn listed<T: fmt::Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let count = all.len();
    let mut words: Vec<String> = all.take(LISTED_MAX).map(|item| item.to_string()).collect();
    if count > LISTED_MAX {
        words.push(format!("… {count} in all"));
    }
    words.join(", ")
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "put {}={}", text(key), text(value)),
            Self::Get { key } => write!(f, "get {}", text(key)),
            Self::Delete { key } => write!(f, "delete {}", text(key)),
            Self::DeleteRange { start, end } => {
                write!(f, "delete range {}..{}", bound(start), bound(end))
            }
            Self::Scan { start, end, .. } => write!(f, "scan {}..{}", bound(start), bound(end)),
            Self::Cas { key, expected, new } => {
                let (expected, new) = (value(expected.as_deref()), value(new.as_deref()));
                write!(f, "cas {} {expected} to {new}", text(key))
            }
            Self::Batch(calls) => write!(f, "batch [{}]", listed(calls.iter())),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Value(found) => f.write_str(&value(found.as_deref())),
            Self::Pairs(pairs) => {
                let pair = |(key, value): &(String, String)| {
                    let (key, value) = (text(key), text(value));
                    format!("{key}={value}")
                };
                write!(f, "{{{}}}", listed(pairs.iter().map(pair)))
            }
            Self::Swapped { swapped, found } => {
                f.write_str(if *swapped { "swapped" } else { "not swapped" })?;
                match found {
                    Some(found) if !swapped => write!(f, ", found {}", value(found.as_deref())),
                    _ => Ok(()),
                }
            }
            Self::Batch(answers) => write!(f, "[{}]", listed(answers.iter())),
        }
    }
}

impl fmt::Display for Operation {
    /// `c3's get k -> 1 at [10, 14] (#7)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, client, invoked, call, outcome } = self;
        write!(f, "c{client}'s {call}")?;
        match outcome {
            Outcome::Done { at, answer: Answer::Done } => write!(f, " at [{invoked}, {at}]")?,
            Outcome::Done { at, answer } => write!(f, " -> {answer} at [{invoked}, {at}]")?,
            Outcome::Refused => write!(f, " sent at {invoked}, refused")?,
            Outcome::Unknown => write!(f, " sent at {invoked}, never answered")?,
        }
        write!(f, " (#{id})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_a_missing_key_and_the_word_nothing_look_different() {
        assert_eq!(value(None), "nothing");
        assert_eq!(value(Some("")), "\"\"");
        assert_eq!(value(Some("nothing")), "\"nothing\"");
        assert_eq!(value(Some("a b")), "\"a b\"");
        assert_eq!(value(Some(&"x".repeat(50))).chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn an_operation_is_told_with_its_client_times_and_number() {
        let call = Call::Cas { key: "k".into(), expected: None, new: Some("1".into()) };
        let answer = Answer::Swapped { swapped: false, found: Some(Some("2".into())) };
        let outcome = Outcome::Done { at: 9, answer };
        let mut operation = Operation { id: 7, client: 3, invoked: 4, call, outcome };
        let words = "c3's cas k nothing to 1 -> not swapped, found 2 at [4, 9] (#7)";
        assert_eq!(operation.to_string(), words);
        operation.outcome = Outcome::Unknown;
        assert_eq!(operation.to_string(), "c3's cas k nothing to 1 sent at 4, never answered (#7)");
    }
}
