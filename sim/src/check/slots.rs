//! What was seen at each log index, in a few bytes an index.

use std::collections::{BTreeMap, VecDeque};

/// One record for each index, without a gap. What lies before the first or far beyond the last is
/// not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring<T> {
    first: u64,
    items: VecDeque<T>,
}

/// An index so far beyond the others is no log's next one: it is not worth the memory between.
const GAP_MAX: u64 = 1 << 16;

impl<T: Copy + Default> Ring<T> {
    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first)?).ok()
    }

    pub(crate) fn get(&self, index: u64) -> Option<T> {
        self.items.get(self.position(index)?).copied()
    }

    /// The record at `index`, to be filled; none if it is not kept.
    pub(crate) fn slot(&mut self, index: u64) -> Option<&mut T> {
        if self.items.is_empty() {
            self.first = index;
        }
        let next = self.first + self.items.len() as u64;
        if index >= next + GAP_MAX {
            return None;
        }
        for _ in next..=index {
            self.items.push_back(T::default());
        }
        let position = self.position(index)?;
        self.items.get_mut(position)
    }

    /// Forgets everything up to `floor`. The next record is expected after it.
    pub(crate) fn forget(&mut self, floor: u64) {
        while self.first <= floor && self.items.pop_front().is_some() {
            self.first += 1;
        }
        if self.items.len() < self.items.capacity() / 4 {
            self.items.shrink_to(self.items.len() * 2);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

/// An entry as it was first seen: what it says, and the term of the entry before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) term: u64,
    pub(crate) hash: u64,
    pub(crate) previous_term: u64,
}

/// All entries that ever stood in a log, by index and term.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    floor: u64,
    /// The entry that was seen first at each index; term 0 is none.
    first_seen: Ring<Slot>,
    /// Those that were seen later at the same index, in another term.
    others: BTreeMap<(u64, u64), Slot>,
}

impl Slots {
    /// The entry of this index and term, as it was first seen.
    pub(crate) fn get(&self, index: u64, term: u64) -> Option<Slot> {
        let slot = self.first_seen.get(index).filter(|slot| slot.term == term);
        // Nearly every index sees one entry only.
        slot.or_else(|| self.others.get(&(index, term)).copied())
    }

    /// Remembers an entry, unless one of this index and term is known.
    pub(crate) fn see(&mut self, index: u64, slot: Slot) {
        if index <= self.floor {
            return;
        }
        match self.first_seen.slot(index) {
            Some(first) if first.term == 0 => *first = slot,
            Some(first) if first.term == slot.term => {}
            _ => {
                self.others.entry((index, slot.term)).or_insert(slot);
            }
        }
    }

    /// No correct peer appends at `floor` or before it any more.
    pub(crate) fn forget(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.first_seen.forget(floor);
        while let Some(entry) = self.others.first_entry().filter(|e| e.key().0 <= floor) {
            entry.remove();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.first_seen.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(term: u64, hash: u64) -> Slot {
        Slot { term, hash, previous_term: 1 }
    }

    #[test]
    fn the_first_sight_of_an_entry_stays() {
        let mut slots = Slots::default();
        slots.see(7, slot(2, 20));
        slots.see(7, slot(2, 21));
        slots.see(7, slot(3, 30));
        slots.see(6, slot(2, 19));
        assert_eq!(slots.get(7, 2), Some(slot(2, 20)));
        assert_eq!(slots.get(7, 3), Some(slot(3, 30)));
        assert_eq!(slots.get(6, 2), Some(slot(2, 19)), "before the first");
        assert_eq!(slots.get(8, 2), None);
    }

    #[test]
    fn what_is_forgotten_is_not_remembered_again() {
        let mut slots = Slots::default();
        for index in 1..=100 {
            slots.see(index, slot(1, index));
            slots.see(index, slot(2, index));
        }
        slots.forget(90);
        assert_eq!(slots.len(), 20);
        slots.see(90, slot(1, 1));
        assert_eq!((slots.get(90, 1), slots.get(91, 1)), (None, Some(slot(1, 91))));
    }

    #[test]
    fn a_far_index_costs_no_memory_for_the_gap() {
        let mut slots = Slots::default();
        slots.see(1, slot(1, 1));
        slots.see(u64::MAX / 2, slot(1, 2));
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.get(u64::MAX / 2, 1), Some(slot(1, 2)));
    }
}
