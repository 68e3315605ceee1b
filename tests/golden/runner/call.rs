//! A command line taken apart: `name argument … key=value key=(a,b)`.
//!
//! Commands take what they understand; whatever is left over is an error, so that a misspelt
//! argument cannot pass unnoticed.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use super::Result;

/// One command with its arguments.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) name: String,
    plain: VecDeque<String>,
    named: BTreeMap<String, String>,
}

impl Call {
    /// Takes a command line apart.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let mut words = split(line)?.into_iter();
        let mut call = Self { name: words.next().unwrap_or_default(), ..Self::default() };
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                call.plain.push_back(word);
                continue;
            };
            let (key, value) = (key.to_owned(), value.to_owned());
            if call.named.insert(key, value).is_some() {
                return Err(format!("`{word}` repeats an argument").into());
            }
        }
        Ok(call)
    }

    /// The next argument without a key; `what` names it in the error.
    pub(super) fn next<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let word = self.plain.pop_front();
        let word = word.ok_or_else(|| format!("`{}` needs {what}", self.name))?;
        number(&word, what)
    }

    /// All remaining arguments without a key.
    pub(super) fn rest<T: FromStr>(&mut self, what: &str) -> Result<Vec<T>> {
        let words: Vec<_> = self.plain.drain(..).collect();
        words.iter().map(|word| number(word, what)).collect()
    }

    /// The value of `key`, if it is given.
    pub(super) fn find<T: FromStr>(&mut self, key: &str) -> Result<Option<T>> {
        let value = self.named.remove(key);
        value.map(|value| number(&value, key)).transpose()
    }

    /// The value of `key`, which must be given.
    pub(super) fn need<T: FromStr>(&mut self, key: &str) -> Result<T> {
        let value = self.find(key)?;
        value.ok_or_else(|| format!("`{}` needs {key}=…", self.name).into())
    }

    /// The list `key=(a,b)`, or the single `key=a`, if it is given.
    pub(super) fn list<T: FromStr>(&mut self, key: &str) -> Result<Option<Vec<T>>> {
        let Some(value) = self.named.remove(key) else {
            return Ok(None);
        };
        let inner = value.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
        let items = inner.unwrap_or(&value).split(',').map(str::trim);
        let items = items.filter(|item| !item.is_empty());
        items.map(|item| number(item, key)).collect::<Result<_>>().map(Some)
    }

    /// Complains about arguments that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        let named = self.named.iter().map(|(key, value)| format!("{key}={value}"));
        let left: Vec<_> = self.plain.iter().cloned().chain(named).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(format!("`{}` does not understand `{}`", self.name, left.join(" ")).into())
    }
}

fn number<T: FromStr>(word: &str, what: &str) -> Result<T> {
    word.parse().map_err(|_| format!("`{word}` is not a value for {what}").into())
}

/// Splits at spaces, but not inside parentheses.
fn split(line: &str) -> Result<Vec<String>> {
    let mut words = vec![String::new()];
    let mut open = false;
    for letter in line.chars() {
        open = (open || letter == '(') && letter != ')';
        match words.last_mut() {
            Some(word) if open || !letter.is_whitespace() => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    if open {
        return Err(format!("`{line}` lacks a closing parenthesis").into());
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}
