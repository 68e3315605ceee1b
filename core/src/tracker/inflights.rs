//! The window of appends that a follower has not acknowledged yet.

use alloc::collections::VecDeque;

/// Appends in flight to one follower, oldest first, bounded by number and by bytes. Grows with
/// use, never ahead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflights {
    /// Last index and payload bytes of each append.
    appends: VecDeque<(u64, u64)>,
    bytes: u64,
    max_appends: u32,
    /// 0 is no limit.
    max_bytes: u64,
}

impl Inflights {
    /// An empty window of at most `max_appends` appends, full as soon as they carry `max_bytes`
    /// bytes of payload or more (0: no limit).
    pub const fn new(max_appends: u32, max_bytes: u64) -> Self {
        Self { appends: VecDeque::new(), bytes: 0, max_appends, max_bytes }
    }

    /// Appends in flight.
    pub fn count(&self) -> usize {
        self.appends.len()
    }

    /// Bytes of payload in flight.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether another append must wait.
    pub fn is_full(&self) -> bool {
        self.appends.len() as u64 >= u64::from(self.max_appends)
            || (self.max_bytes > 0 && self.bytes >= self.max_bytes)
    }

    /// An append that ends at `last_index` was sent. The last one may exceed the bytes: otherwise
    /// an entry larger than the window could never be sent.
    pub(crate) fn add(&mut self, last_index: u64, bytes: u64) {
        debug_assert!(self.appends.back().is_none_or(|&(last, _)| last < last_index));
        self.appends.push_back((last_index, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Appends up to `index` were acknowledged.
    pub(crate) fn free_to(&mut self, index: u64) {
        while let Some(&(last, bytes)) = self.appends.front() {
            if last > index {
                return;
            }
            self.appends.pop_front();
            self.bytes -= bytes.min(self.bytes);
        }
    }

    /// Nothing is in flight any more.
    pub(crate) fn reset(&mut self) {
        self.appends.clear();
        self.bytes = 0;
        // A burst must not hold its memory for ever.
        self.appends.shrink_to(16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_large_window_costs_nothing_until_it_is_used() {
        assert_eq!(Inflights::new(u32::MAX, 0).appends.capacity(), 0);
    }

    #[test]
    fn one_append_may_exceed_the_bytes_and_then_the_window_is_full() {
        let mut window = Inflights::new(8, 100);
        window.add(1, 99);
        assert!(!window.is_full());
        window.add(2, 5_000);
        assert!(window.is_full());
        window.free_to(2);
        assert!(!window.is_full());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(u64, u64),
        Free(u64),
        Reset,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (1u64..4, 0u64..50).prop_map(|(step, bytes)| Op::Add(step, bytes)),
            3 => (0u64..40).prop_map(Op::Free),
            1 => Just(Op::Reset),
        ];
        prop::collection::vec(op, 0..60)
    }

    proptest! {
        /// Against a plain queue that is searched from end to end.
        #[test]
        fn the_window_behaves_like_a_queue(ops in ops(), appends in 1u32..6, bytes in 0u64..80) {
            let mut window = Inflights::new(appends, bytes);
            let mut model: Vec<(u64, u64)> = Vec::new();
            let mut last = 0;
            for op in ops {
                match op {
                    Op::Add(step, size) if !window.is_full() => {
                        last += step;
                        window.add(last, size);
                        model.push((last, size));
                    }
                    Op::Add(..) => {}
                    Op::Free(index) => {
                        window.free_to(index);
                        model.retain(|&(last, _)| last > index);
                    }
                    Op::Reset => {
                        window.reset();
                        model.clear();
                    }
                }
                let total: u64 = model.iter().map(|&(_, size)| size).sum();
                prop_assert_eq!(window.count(), model.len());
                prop_assert_eq!(window.bytes(), total);
                let full = model.len() >= appends as usize || (bytes > 0 && total >= bytes);
                prop_assert_eq!(window.is_full(), full);
            }
        }
    }
}
