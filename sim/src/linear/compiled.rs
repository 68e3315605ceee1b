//! A history in numbers: keys, values, moments, and what each operation does to each key.

use std::collections::BTreeMap;
use std::ops::Range;

use super::atoms::{Atom, Draft, Key, NEVER, NOTHING, Value};
use super::history::{Answer, Call, History, Operation, Outcome};
use super::replay::within;
use super::words;

/// An operation that may take effect, or must.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Its place in the history.
    pub(super) operation: usize,
    /// Its first moment.
    pub(super) invoked: u32,
    /// Its last moment, or [`NEVER`].
    pub(super) returned: u32,
    /// What it does, in the order of keys. Empty if it tells nothing.
    pub(super) atoms: Vec<(Key, Atom)>,
}

/// An answer that no state of the store could give.
#[derive(Clone, Debug)]
pub(super) struct Impossible {
    at: u32,
    /// The operation's place in the history.
    pub(super) operation: usize,
    /// The key concerned.
    pub(super) key: String,
    /// What is wrong with it.
    pub(super) why: String,
}

/// A history in numbers.
#[derive(Debug, Default)]
pub(super) struct Compiled<'a> {
    /// In the order of invocation.
    pub(super) tasks: Vec<Task>,
    pub(super) keys: Vec<&'a str>,
    pub(super) impossible: Option<Impossible>,
    /// Whether a key may ever exist.
    exists: Vec<bool>,
    values: BTreeMap<&'a str, Value>,
    /// How many more atoms there may be.
    atoms_left: u64,
}

impl<'a> Compiled<'a> {
    /// None if the history has more than `atoms_max` atoms.
    pub(super) fn new(history: &'a History, atoms_max: u64) -> Option<Self> {
        let mut compiled = Self { atoms_left: atoms_max, ..Compiled::default() };
        compiled.find_keys(history);
        let moments = moments(history);
        for ((at, operation), (invoked, returned)) in
            history.operations().iter().enumerate().zip(moments)
        {
            if operation.outcome != Outcome::Refused {
                compiled.task(operation, at, invoked, returned)?;
            }
        }
        compiled.tasks.sort_unstable_by_key(|task| task.invoked);
        Some(compiled)
    }

    fn find_keys(&mut self, history: &'a History) {
        let mut keys: BTreeMap<&str, bool> = BTreeMap::new();
        for operation in history.operations() {
            if operation.outcome != Outcome::Refused {
                each_key(&operation.call, &mut |key, written| {
                    *keys.entry(key).or_default() |= written;
                });
                if let Some(answer) = operation.answer() {
                    each_key_read(answer, &mut |key| *keys.entry(key).or_default() |= false);
                }
            }
        }
        self.exists = keys.values().copied().collect();
        self.keys = keys.into_keys().collect();
    }

    fn task(&mut self, operation: &'a Operation, at: usize, from: u32, until: u32) -> Option<()> {
        let (atoms, wrong) = self.atoms(&operation.call, operation.answer())?;
        if let Some((key, why)) = wrong
            && self.impossible.as_ref().is_none_or(|other| until < other.at)
        {
            self.impossible = Some(Impossible { at: until, operation: at, key, why });
        }
        let answered = until != NEVER;
        if answered || atoms.iter().any(|(_, atom)| !atom.keeps()) {
            self.tasks.push(Task { operation: at, invoked: from, returned: until, atoms });
        }
        Some(())
    }

    /// What a call does if nobody knows its answer.
    pub(super) fn unanswered(&mut self, call: &'a Call) -> Option<Vec<(Key, Atom)>> {
        self.atoms(call, None).map(|(atoms, _)| atoms)
    }

    /// What a call does to each key, and why that cannot be. None if that is too much.
    fn atoms(&mut self, call: &'a Call, answer: Option<&'a Answer>) -> Option<(Atoms, Wrong)> {
        let mut drafts = Drafts { compiled: self, of: BTreeMap::new(), wrong: None };
        drafts.call(call, answer)?;
        let Drafts { of, wrong, .. } = drafts;
        let atoms = of.into_iter().map(|(key, draft)| (key, draft.finish()));
        let exists = |key: Key| self.exists.get(key as usize).copied().unwrap_or_default();
        Some((atoms.filter(|(key, atom)| atom.tells(exists(*key))).collect(), wrong))
    }

    fn value(&mut self, value: Option<&'a str>) -> Value {
        let Some(value) = value else { return NOTHING };
        let next = Value::try_from(self.values.len() + 1).unwrap_or(Value::MAX);
        *self.values.entry(value).or_insert(next)
    }

    fn key(&self, key: &str) -> Option<Key> {
        self.keys.binary_search(&key).ok().and_then(|at| Key::try_from(at).ok())
    }

    /// The known keys from `start` up to but without `end`.
    fn range(&self, start: &str, end: &str) -> Range<Key> {
        let rank = |bound: &str| self.keys.partition_point(|key| *key < bound);
        let last = if end.is_empty() { self.keys.len() } else { rank(end) };
        let number = |at| Key::try_from(at).unwrap_or(Key::MAX);
        number(rank(start))..number(last)
    }
}

/// The first and last moment of each operation. A moment is an end of an operation by its rank; of
/// those at the same time the beginnings come first, so that nothing follows from equal times.
fn moments(history: &History) -> Vec<(u32, u32)> {
    let operations = history.operations();
    let mut ends: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * operations.len());
    for (at, operation) in operations.iter().enumerate() {
        ends.push((operation.invoked, false, at));
        ends.extend(operation.returned().map(|returned| (returned, true, at)));
    }
    ends.sort_unstable();
    let mut moments = vec![(0, NEVER); operations.len()];
    for (moment, (_, is_return, at)) in (0..NEVER).zip(ends) {
        if let Some((invoked, returned)) = moments.get_mut(at) {
            *(if is_return { returned } else { invoked }) = moment;
        }
    }
    moments
}

/// Tells `to` every key that a call names, and whether it may bring it into existence.
fn each_key<'a>(call: &'a Call, to: &mut impl FnMut(&'a str, bool)) {
    match call {
        Call::Put { key, .. } => to(key, true),
        Call::Get { key } | Call::Delete { key } => to(key, false),
        Call::Cas { key, new, .. } => to(key, new.is_some()),
        Call::DeleteRange { .. } | Call::Scan { .. } => {}
        Call::Batch(calls) => calls.iter().for_each(|call| each_key(call, to)),
    }
}

fn each_key_read<'a>(answer: &'a Answer, to: &mut impl FnMut(&'a str)) {
    match answer {
        Answer::Pairs(pairs) => pairs.iter().for_each(|(key, _)| to(key)),
        Answer::Batch(answers) => answers.iter().for_each(|answer| each_key_read(answer, to)),
        Answer::Done | Answer::Value(_) | Answer::Swapped { .. } => {}
    }
}

type Atoms = Vec<(Key, Atom)>;
/// The key and the reason for which an answer is none.
type Wrong = Option<(String, String)>;

/// One operation on the way to its atoms.
struct Drafts<'c, 'a> {
    compiled: &'c mut Compiled<'a>,
    of: BTreeMap<Key, Draft>,
    wrong: Wrong,
}

impl<'a> Drafts<'_, 'a> {
    /// Adds a call. None if there are too many atoms.
    fn call(&mut self, call: &'a Call, answer: Option<&'a Answer>) -> Option<()> {
        match (call, answer) {
            (Call::Put { key, value }, _) => {
                let value = self.compiled.value(Some(value));
                self.draft(key)?.write(value);
            }
            (Call::Delete { key }, _) => self.draft(key)?.write(NOTHING),
            (Call::DeleteRange { start, end }, _) => {
                for key in self.compiled.range(start, end) {
                    self.draft_of(key)?.write(NOTHING);
                }
            }
            (Call::Get { key }, Some(Answer::Value(value))) => {
                self.observe(key, value.as_deref())?;
            }
            (Call::Scan { start, end, limit }, Some(Answer::Pairs(pairs))) => {
                self.scan((start, end), *limit, pairs)?;
            }
            (Call::Cas { key, expected, new }, Some(Answer::Swapped { swapped, found })) => {
                let swap = (expected.as_deref(), new.as_deref());
                self.cas(key, swap, *swapped, found.as_ref())?;
            }
            (Call::Cas { key, expected, new }, _) => {
                let expected = self.compiled.value(expected.as_deref());
                let new = self.compiled.value(new.as_deref());
                self.draft(key)?.swap(expected, new);
            }
            (Call::Batch(calls), Some(Answer::Batch(answers))) => {
                for (call, answer) in calls.iter().zip(answers) {
                    self.call(call, Some(answer))?;
                }
            }
            (Call::Batch(calls), _) => {
                for call in calls {
                    self.call(call, None)?;
                }
            }
            // Nobody knows what a read without an answer saw.
            (Call::Get { .. } | Call::Scan { .. }, _) => {}
        }
        Some(())
    }

    fn draft(&mut self, key: &str) -> Option<&mut Draft> {
        let key = self.compiled.key(key)?;
        self.draft_of(key)
    }

    fn draft_of(&mut self, key: Key) -> Option<&mut Draft> {
        self.compiled.atoms_left = self.compiled.atoms_left.checked_sub(1)?;
        Some(self.of.entry(key).or_default())
    }

    fn observe(&mut self, key: &str, value: Option<&'a str>) -> Option<()> {
        let value = self.compiled.value(value);
        if !self.draft(key)?.observe(value) {
            self.contradicts(key);
        }
        Some(())
    }

    fn contradicts(&mut self, key: &str) {
        let why = format!("its parts disagree about {}", words::text(key));
        self.wrong.get_or_insert((key.to_owned(), why));
    }

    fn cas(
        &mut self,
        key: &str,
        (expected, new): (Option<&'a str>, Option<&'a str>),
        swapped: bool,
        found: Option<&'a Option<String>>,
    ) -> Option<()> {
        if let Some(found) = found
            && (found.as_deref() == expected) != swapped
        {
            let why = format!("{} is not what decides so", words::value(found.as_deref()));
            self.wrong.get_or_insert((key.to_owned(), why));
        }
        if swapped {
            self.observe(key, expected)?;
            let new = self.compiled.value(new);
            self.draft(key)?.write(new);
        } else if let Some(found) = found {
            self.observe(key, found.as_deref())?;
        } else {
            let expected = self.compiled.value(expected);
            if !self.draft(key)?.observe_not(expected) {
                self.contradicts(key);
            }
        }
        Some(())
    }

    fn scan(
        &mut self,
        (start, end): (&str, &str),
        limit: u32,
        pairs: &'a [(String, String)],
    ) -> Option<()> {
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let outside = pairs.iter().find(|(key, _)| !within(key, start, end));
        let unsorted = pairs.windows(2).find(|pairs| match pairs {
            [(one, _), (next, _)] => one >= next,
            _ => false,
        });
        let wrong = if let Some((key, _)) = outside {
            Some((key, format!("{} lies outside its range", words::text(key))))
        } else if let Some([(key, _), ..]) = unsorted {
            Some((key, format!("what follows {} is out of order", words::text(key))))
        } else {
            let beyond = pairs.get(limit);
            beyond.map(|(key, _)| (key, "it has more pairs than its limit".to_owned()))
        };
        if let Some((key, why)) = wrong {
            self.wrong.get_or_insert((key.clone(), why));
            return Some(());
        }
        let mut range = self.compiled.range(start, end);
        if let Some((last, _)) = pairs.last().filter(|_| pairs.len() == limit) {
            range.end = self.compiled.key(last)? + 1;
        }
        let mut pairs = pairs.iter().peekable();
        for key in range {
            let name = self.compiled.keys.get(key as usize).copied()?;
            let pair = pairs.next_if(|(key, _)| key == name);
            let value = self.compiled.value(pair.map(|(_, value)| value.as_str()));
            if !self.draft_of(key)?.observe(value) {
                self.contradicts(name);
            }
        }
        Some(())
    }
}
