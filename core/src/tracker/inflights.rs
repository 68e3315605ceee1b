//! The window of appends that a follower has not acknowledged yet.

use alloc::collections::VecDeque;

/// Last indices of the appends in flight to one follower, oldest first. Grows with use, never ahead
/// of it.
#[derive(Clone, Debug)]
pub struct Inflights {
    last_indices: VecDeque<u64>,
    capacity: u32,
}

impl Inflights {
    /// An empty window of at most `capacity` appends.
    pub fn new(capacity: u32) -> Self {
        Self { last_indices: VecDeque::new(), capacity }
    }

    /// Appends in flight.
    pub fn count(&self) -> usize {
        self.last_indices.len()
    }

    /// Whether another append must wait.
    pub fn is_full(&self) -> bool {
        self.last_indices.len() as u64 >= u64::from(self.capacity)
    }

    /// An append that ends at `last_index` was sent.
    pub(crate) fn add(&mut self, last_index: u64) {
        debug_assert!(self.last_indices.back().is_none_or(|&last| last < last_index));
        self.last_indices.push_back(last_index);
    }

    /// Appends up to `index` were acknowledged.
    pub(crate) fn free_to(&mut self, index: u64) {
        let acknowledged = self.last_indices.partition_point(|&last| last <= index);
        self.last_indices.drain(..acknowledged);
    }

    /// Nothing is in flight any more.
    pub(crate) fn reset(&mut self) {
        self.last_indices = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_fills_and_is_freed_from_the_oldest() {
        let mut window = Inflights::new(3);
        for last in [4, 7, 9] {
            assert!(!window.is_full());
            window.add(last);
        }
        assert!(window.is_full());
        window.free_to(3);
        assert_eq!(window.count(), 3);
        window.free_to(8);
        assert_eq!(window.count(), 1);
        window.reset();
        assert_eq!(window.count(), 0);
    }

    #[test]
    fn a_large_window_costs_nothing_until_it_is_used() {
        assert_eq!(Inflights::new(u32::MAX).last_indices.capacity(), 0);
    }
}
