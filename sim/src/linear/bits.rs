//! Sets of small numbers.

/// A set of numbers below `64 * W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits<const W: usize>([u64; W]);

impl<const W: usize> Bits<W> {
    pub(super) const EMPTY: Self = Self([0; W]);

    pub(super) fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    pub(super) fn add(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// The words, one after the other.
    pub(super) fn words(&self) -> &[u64; W] {
        &self.0
    }

    /// Adds those of `other` that are not in `but`.
    pub(super) fn add_all_but(&mut self, other: &Self, but: &Self) {
        for ((word, other), but) in self.0.iter_mut().zip(&other.0).zip(&but.0) {
            *word |= other & !but;
        }
    }
}

/// A set of numbers that grows as needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Growing(Vec<u64>);

impl Growing {
    pub(super) fn of(number: usize) -> Self {
        let mut set = Self::default();
        set.add(number);
        set
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    pub(super) fn add(&mut self, number: usize) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether that made it grow.
    pub(super) fn add_all(&mut self, other: &Self) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut grew = false;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            grew |= other & !*word != 0;
            *word |= other;
        }
        grew
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word & (1 << bit) != 0);
        self.0.iter().enumerate().flat_map(move |(at, word)| bits(*word).map(move |b| at * 64 + b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_every_word_come_and_go() {
        let mut bits = Bits::<2>::EMPTY;
        for slot in [0, 63, 64, 127] {
            bits.add(slot);
            assert!(bits.has(slot));
        }
        bits.remove(64);
        assert!(!bits.has(64) && !bits.has(1_000));
        let mut more = Bits::<2>::EMPTY;
        more.add_all_but(&bits, &Bits([1, 0]));
        assert_eq!(more.words(), &[1 << 63, 1 << 63]);
    }

    #[test]
    fn a_growing_set_tells_whether_it_grew() {
        let mut set = Growing::of(70);
        assert!(set.add_all(&Growing::of(3)));
        assert!(!set.add_all(&Growing::of(70)));
        assert!(set.has(3) && !set.has(4) && !set.has(700));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 70]);
    }
}
