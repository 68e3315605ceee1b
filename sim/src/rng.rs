//! The world's only source of chance.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A seeded generator, equal on every platform.
#[derive(Clone, Debug)]
pub(crate) struct WorldRng(Xoshiro256PlusPlus);

impl WorldRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number in `0..bound`; 0 if `bound` is 0. The bias is below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number in `range.min..=range.max`.
    pub(crate) fn in_span(&mut self, span: crate::scenario::Span) -> u64 {
        span.min_us + self.below(span.max_us - span.min_us + 1)
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        const { assert!(N > 0) };
        choices[self.position(N)]
    }

    /// A position in something of this length; 0 if it is empty.
    pub(crate) fn position(&mut self, length: usize) -> usize {
        // It is below a length, so it fits.
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True in `permille` of 1,000 draws.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        self.below(1_000) < u64::from(permille)
    }
}

/// Mixes two numbers into one seed, so that neighbours give unrelated streams (the finalizer of
/// SplitMix64).
pub(crate) fn mix(seed: u64, salt: u64) -> u64 {
    let mut z = seed ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    #[test]
    fn numbers_are_pinned_so_that_no_update_changes_old_seeds() {
        let mut rng = WorldRng::new(1);
        let drawn: Vec<_> = (0..6).map(|_| rng.below(1_000)).collect();
        assert_eq!(drawn, [811, 747, 100, 746, 184, 590]);
    }

    #[test]
    fn a_span_includes_both_ends() {
        let mut rng = WorldRng::new(1);
        let span = Span { min_us: 5, max_us: 7 };
        let drawn: Vec<_> = (0..100).map(|_| rng.in_span(span)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&5), Some(&7)));
    }

    #[test]
    fn a_chance_is_about_as_frequent_as_it_says() {
        let mut rng = WorldRng::new(1);
        let hits = (0..10_000).filter(|_| rng.chance(100)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert!(!rng.chance(0) && rng.chance(1_000));
    }
}
