//! A command line taken apart: `name argument … key=value key=(a, b)`.
//!
//! Commands take what they understand; whatever is left over is an error, so that a misspelt
//! argument cannot pass unnoticed.

use std::str::FromStr;

use crate::{Result, nonsense};

/// One command with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Arguments in their order: a key with its values, or a word without any.
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Argument {
    key: String,
    /// None without `=`.
    values: Option<Vec<String>>,
}

impl Call {
    /// Takes a command line apart.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut reader = Reader { whole: line, rest: line.trim() };
        let mut call = Self { name: reader.until(&[' ']).to_owned(), ..Self::default() };
        loop {
            reader.rest = reader.rest.trim_start();
            if reader.rest.is_empty() {
                return Ok(call);
            }
            let argument = reader.argument()?;
            if argument.values.is_some() && call.arguments.iter().any(|a| a.key == argument.key) {
                return nonsense(format!("`{}=` is given twice", argument.key));
            }
            call.arguments.push(argument);
        }
    }

    /// Takes the next word without a value, if there is one.
    pub(crate) fn next_word(&mut self) -> Option<String> {
        let position = self.arguments.iter().position(|argument| argument.values.is_none())?;
        Some(self.arguments.remove(position).key)
    }

    /// Takes the next word without a value; `what` names it in the error.
    pub(crate) fn need<T: FromStr>(&mut self, what: &str) -> Result<T> {
        match self.next_word() {
            Some(word) => value(&word, what),
            None => nonsense(format!("`{}` needs {what}", self.name)),
        }
    }

    /// Takes all remaining words without a value.
    pub(crate) fn words<T: FromStr>(&mut self, what: &str) -> Result<Vec<T>> {
        let mut words = Vec::new();
        while let Some(word) = self.next_word() {
            words.push(value(&word, what)?);
        }
        Ok(words)
    }

    /// Takes the values of `key`; none if it is not given.
    pub(crate) fn list<T: FromStr>(&mut self, key: &str) -> Result<Option<Vec<T>>> {
        let named = |a: &Argument| a.key == key && a.values.is_some();
        let Some(position) = self.arguments.iter().position(named) else {
            return Ok(None);
        };
        let values = self.arguments.remove(position).values.unwrap_or_default();
        // `key=()` is a list of nothing.
        let nothing = matches!(values.as_slice(), [only] if only.is_empty());
        let values = if nothing { Vec::new() } else { values };
        values.iter().map(|text| value(text, key)).collect::<Result<_>>().map(Some)
    }

    /// Takes the one value of `key`, if it is given.
    pub(crate) fn find<T: FromStr>(&mut self, key: &str) -> Result<Option<T>> {
        let Some(values) = self.list(key)? else {
            return Ok(None);
        };
        let count = values.len();
        match <[T; 1]>::try_from(values) {
            Ok([only]) => Ok(Some(only)),
            Err(_) => nonsense(format!("`{key}=` takes one value, not {count}")),
        }
    }

    /// Replaces `slot` if `key` is given.
    pub(crate) fn set<T: FromStr>(&mut self, key: &str, slot: &mut T) -> Result<()> {
        if let Some(value) = self.find(key)? {
            *slot = value;
        }
        Ok(())
    }

    /// Takes the value of `key`, which must be given.
    pub(crate) fn need_key<T: FromStr>(&mut self, key: &str) -> Result<T> {
        match self.find(key)? {
            Some(value) => Ok(value),
            None => nonsense(format!("`{}` needs {key}=…", self.name)),
        }
    }

    /// Complains about arguments that nobody took.
    pub(crate) fn finish(self) -> Result<()> {
        let Some(Argument { key, values }) = self.arguments.into_iter().next() else {
            return Ok(());
        };
        let rest = values.map(|values| format!("={}", values.join(","))).unwrap_or_default();
        nonsense(format!("`{}` does not understand `{key}{rest}`", self.name))
    }
}

fn value<T: FromStr>(text: &str, what: &str) -> Result<T> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(_) => nonsense(format!("`{text}` is not a value for {what}")),
    }
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Takes everything before the first of `stops`.
    fn until(&mut self, stops: &[char]) -> &'a str {
        let end = self.rest.find(stops).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn argument(&mut self) -> Result<Argument> {
        let key = self.until(&[' ', '=']).to_owned();
        if key.is_empty() {
            return self.unreadable("a key");
        }
        let Some(rest) = self.rest.strip_prefix('=') else {
            return Ok(Argument { key, values: None });
        };
        self.rest = rest;
        let values = match rest.strip_prefix('(') {
            Some(list) => {
                self.rest = list;
                self.list()?
            }
            None => vec![self.until(&[' ']).to_owned()],
        };
        Ok(Argument { key, values: Some(values) })
    }

    /// The values of `(a, b(c, d))` after its first parenthesis; inner ones belong to a value.
    fn list(&mut self) -> Result<Vec<String>> {
        let mut values = vec![String::new()];
        let mut depth = 0;
        for (position, letter) in self.rest.char_indices() {
            match letter {
                ')' if depth == 0 => {
                    self.rest = &self.rest[position + 1..];
                    return Ok(values);
                }
                ',' if depth == 0 => {
                    values.push(String::new());
                    continue;
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            match values.last_mut() {
                // Blanks before a value are none of it.
                Some(value) if !(letter == ' ' && value.is_empty()) => value.push(letter),
                _ => {}
            }
        }
        self.rest = "";
        self.unreadable("a closing parenthesis")
    }

    fn unreadable<T>(&self, missing: &str) -> Result<T> {
        let column = self.whole.len() - self.rest.len() + 1;
        nonsense(format!("`{}` lacks {missing} at column {column}", self.whole))
    }
}
