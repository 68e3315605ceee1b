//! The messages on their way, by number.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::network::Flight;

/// Flights have numbers in the order of sending, and most of them end soon: a window over the
/// numbers finds each one at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights {
    /// The number of the first in the window.
    first: u64,
    window: VecDeque<Option<Arc<Flight>>>,
}

impl Flights {
    fn position(&self, id: u64) -> usize {
        let distance = id.checked_sub(self.first);
        distance.and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
    }

    /// Adds a flight whose number is higher than all before.
    pub(crate) fn push(&mut self, flight: Arc<Flight>) {
        if self.window.is_empty() {
            self.first = flight.id;
        }
        while self.first + (self.window.len() as u64) < flight.id {
            self.window.push_back(None);
        }
        self.window.push_back(Some(flight));
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Arc<Flight>> {
        self.window.get(self.position(id))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Arc<Flight>> {
        let position = self.position(id);
        self.window.get_mut(position)?.as_mut()
    }

    /// Takes a flight out.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Arc<Flight>> {
        let position = self.position(id);
        let flight = self.window.get_mut(position)?.take();
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.first += 1;
        }
        flight
    }

    /// In the order of sending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.window.iter().flatten().map(|flight| &**flight)
    }

    /// In the order of sending.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Arc<Flight>> {
        self.window.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::proto::raft_serverpb::RaftMessage;

    fn flight(id: u64) -> Arc<Flight> {
        let message = RaftMessage::default();
        let (from, to, sent_us, arrives_us) = (1, 2, 0, 0);
        Arc::new(Flight { id, from, to, sent_us, arrives_us, dies_us: None, held: false, message })
    }

    #[test]
    fn each_is_found_by_its_number_as_long_as_it_is_on_its_way() {
        let mut flights = Flights::default();
        assert!(flights.remove(0).is_none() && flights.get(1).is_none());
        for id in [3, 4, 6, 7] {
            flights.push(flight(id));
        }
        assert!(flights.get(2).is_none() && flights.get(5).is_none() && flights.get(8).is_none());
        assert_eq!(flights.remove(4).map(|flight| flight.id), Some(4));
        assert!(flights.remove(4).is_none());
        assert_eq!(flights.iter().map(|flight| flight.id).collect::<Vec<_>>(), [3, 6, 7]);
        assert_eq!(flights.remove(3).map(|flight| flight.id), Some(3));
        assert_eq!((flights.first, flights.window.len()), (6, 2), "no room is kept for the old");
        assert_eq!(flights.get_mut(7).map(|flight| flight.id), Some(7));
        flights.remove(7);
        flights.remove(6);
        flights.push(flight(9));
        assert_eq!(flights.iter().count(), 1);
    }
}
