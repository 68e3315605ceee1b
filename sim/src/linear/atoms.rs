//! What an operation does to each key, taken alone.
//!
//! Every operation of the store, a scan and a batch too, is a conjunction: for each key a condition
//! on what it holds, and what it holds then. (A scan that was answered with fewer pairs than its
//! limit says of every key in its range what it held; one that was cut off says so up to its last
//! pair.) What ties the keys of one operation together is only that all of it happens at once.

/// A key by its rank among those of the history.
pub(super) type Key = u32;
/// A value by number.
pub(super) type Value = u32;
/// No such key.
pub(super) const NOTHING: Value = 0;
/// The moment of what never happens.
pub(super) const NEVER: u32 = u32::MAX;

/// What an operation does to one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom {
    /// The key held this.
    pub(super) needs: Option<Value>,
    /// The key held none of these.
    pub(super) forbids: Vec<Value>,
    /// What becomes of it.
    pub(super) then: Then,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    /// It is as before.
    Keep,
    /// It holds this.
    Set(Value),
    /// It was compared and swapped, in this order, with outcomes that nobody knows.
    Swaps(Vec<(Value, Value)>),
}

impl Atom {
    /// The condition holds.
    pub(super) fn admits(&self, value: Value) -> bool {
        self.needs.is_none_or(|needs| needs == value) && !self.forbids.contains(&value)
    }

    /// What the key holds afterwards.
    pub(super) fn after(&self, value: Value) -> Value {
        match &self.then {
            Then::Keep => value,
            Then::Set(new) => *new,
            Then::Swaps(swaps) => {
                swaps.iter().fold(
                    value,
                    |value, (expected, new)| {
                        if value == *expected { *new } else { value }
                    },
                )
            }
        }
    }

    /// It only reads.
    pub(super) fn keeps(&self) -> bool {
        self.then == Then::Keep
    }

    /// It writes whatever was there.
    pub(super) fn is_blind(&self) -> bool {
        self.needs.is_none() && self.forbids.is_empty() && matches!(self.then, Then::Set(_))
    }

    /// Somebody learns from it what the key held, or it changes what it held into something else.
    pub(super) fn sees(&self, value: Value) -> bool {
        !self.is_blind()
            && self.admits(value)
            && (!matches!(self.then, Then::Swaps(_)) || self.after(value) != value)
    }

    /// It says nothing and does nothing.
    fn is_idle(&self) -> bool {
        self.keeps() && self.needs.is_none() && self.forbids.is_empty()
    }

    /// A key that never exists bears it at any time.
    pub(super) fn tells(&self, exists: bool) -> bool {
        let absent = !exists && self.admits(NOTHING) && self.after(NOTHING) == NOTHING;
        !self.is_idle() && !absent
    }
}

/// What is known of one key in the course of an operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    needs: Option<Value>,
    forbids: Vec<Value>,
    /// What it holds by now, if that is certain.
    known: Option<Value>,
    written: bool,
    swaps: Vec<(Value, Value)>,
}

impl Draft {
    /// It was seen to hold this. False if that cannot be.
    pub(super) fn observe(&mut self, value: Value) -> bool {
        match self.known {
            Some(known) => known == value,
            None => {
                (self.needs, self.known) = (Some(value), Some(value));
                !self.forbids.contains(&value)
            }
        }
    }

    /// It was seen not to hold this. False if that cannot be.
    pub(super) fn observe_not(&mut self, value: Value) -> bool {
        if self.known.is_none() && !self.forbids.contains(&value) {
            self.forbids.push(value);
        }
        self.known != Some(value)
    }

    pub(super) fn write(&mut self, value: Value) {
        (self.known, self.written) = (Some(value), true);
    }

    /// A compare-and-swap whose answer nobody knows.
    pub(super) fn swap(&mut self, expected: Value, new: Value) {
        match self.known {
            Some(known) if known == expected => self.write(new),
            Some(_) => {}
            None => self.swaps.push((expected, new)),
        }
    }

    pub(super) fn finish(self) -> Atom {
        let then = match self.known {
            Some(value) if self.written && self.needs != Some(value) => Then::Set(value),
            None if !self.swaps.is_empty() => Then::Swaps(self.swaps),
            _ => Then::Keep,
        };
        let mut forbids = if self.needs.is_some() { Vec::new() } else { self.forbids };
        forbids.sort_unstable();
        Atom { needs: self.needs, forbids, then }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_thing_that_is_seen_is_a_condition() {
        let mut draft = Draft::default();
        assert!(draft.observe(3));
        draft.write(4);
        assert!(draft.observe(4) && draft.observe_not(3) && !draft.observe(3));
        let atom = draft.finish();
        assert_eq!((atom.needs, &atom.then), (Some(3), &Then::Set(4)));
        assert!(atom.admits(3) && !atom.admits(4));
    }

    #[test]
    fn a_write_hides_the_swaps_before_it_and_decides_those_after_it() {
        let mut draft = Draft::default();
        draft.swap(1, 2);
        draft.write(5);
        draft.swap(5, 6);
        draft.swap(5, 7);
        assert_eq!(draft.finish().then, Then::Set(6));
        let mut draft = Draft::default();
        draft.swap(1, 2);
        draft.swap(2, 3);
        let atom = draft.finish();
        assert_eq!([0, 1, 2, 3].map(|value| atom.after(value)), [0, 3, 3, 3]);
        assert!(atom.sees(1) && !atom.sees(3) && !atom.is_blind());
    }

    #[test]
    fn to_put_back_what_was_found_is_to_read() {
        let mut draft = Draft::default();
        assert!(draft.observe(3));
        draft.write(3);
        assert!(draft.finish().keeps());
    }

    #[test]
    fn a_key_that_never_exists_need_not_be_told_so() {
        let mut draft = Draft::default();
        assert!(draft.observe(NOTHING));
        let atom = draft.finish();
        assert!(atom.tells(true) && !atom.tells(false));
    }
}
