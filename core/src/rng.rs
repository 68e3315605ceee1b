//! The core's only source of chance: a seeded generator, equal on every platform.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws election time-outs. Two peers with the same seed but different ids draw different ones.
#[derive(Clone, Debug)]
pub(crate) struct TimeoutRng(Xoshiro256PlusPlus);

impl TimeoutRng {
    /// A generator for peer `id` in the cluster of `seed`.
    pub(crate) fn new(seed: u64, id: u64) -> Self {
        // The multiplier is 2^64 / golden ratio: neighbouring ids land far apart.
        let mixed = seed ^ id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed))
    }

    /// A number in `0..bound`, uniform up to a bias below `bound / 2^32`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let high = self.0.next_u64() >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn draws(seed: u64, id: u64) -> Vec<u32> {
        let mut rng = TimeoutRng::new(seed, id);
        (0..64).map(|_| rng.below(10)).collect()
    }

    #[test]
    fn the_same_seed_and_id_give_the_same_numbers() {
        assert_eq!(draws(7, 1), draws(7, 1));
        assert_ne!(draws(7, 1), draws(7, 2));
        assert_ne!(draws(7, 1), draws(8, 1));
    }

    #[test]
    fn numbers_are_pinned_so_that_no_update_changes_old_seeds() {
        assert_eq!(draws(0, 1)[..8], [3, 3, 3, 1, 9, 4, 7, 6]);
    }

    #[test]
    fn every_number_below_the_bound_occurs_and_none_above() {
        let seen = draws(42, 3);
        assert!((0..10).all(|n| seen.contains(&n)));
        assert!(seen.iter().all(|&n| n < 10));
        assert_eq!(TimeoutRng::new(0, 1).below(0), 0);
    }
}
