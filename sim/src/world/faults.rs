//! What is done to links, to messages on their way, and to everything at once.

use std::sync::Arc;

use raft_core::proto::raft_serverpb::RaftMessage;

use super::{Event, World};
use crate::event::What;
use crate::faults::{ClockFault, DiskFault, FlightFault, LinkFault, Links};
use crate::network::{Flight, Way};

impl World {
    /// Sends a message from one peer to another, and what copies the link makes of it.
    pub(super) fn send(&mut self, from: u64, to: u64, message: RaftMessage) {
        let way = self.network.way(from, to, self.now_us, &mut self.rng);
        let Way { id, arrives_us, dies_us, held } = way;
        let sent_us = self.now_us;
        let flight = Arc::new(Flight { id, from, to, sent_us, arrives_us, dies_us, held, message });
        if !self.network.is_faulty(from, to) {
            return self.launch(flight);
        }
        let copies = self.network.copies(from, to, sent_us, &mut self.rng);
        self.launch(flight.clone());
        for at_us in copies.into_iter().flatten() {
            let copy = self.network.copy(&flight, at_us);
            self.launch_copy(copy);
        }
    }

    fn launch(&mut self, flight: Arc<Flight>) {
        let id = flight.id;
        if !flight.held {
            self.queue.push(flight.ends_us(), Event::Arrival { flight: id });
        }
        self.flights.push(flight);
    }

    fn launch_copy(&mut self, copy: Flight) {
        let copy = Arc::new(copy);
        self.note(What::Duplicated(copy.clone()));
        self.launch(copy);
    }

    /// Takes a flight that ends now. One that was held or put off since stays where it is.
    pub(super) fn landing(&mut self, id: u64) -> Option<Arc<Flight>> {
        let flight = self.flights.get(id)?;
        let lands = !flight.held && flight.ends_us() <= self.now_us;
        lands.then(|| self.flights.remove(id)).flatten()
    }

    pub(super) fn set_links(&mut self, on: Links, fault: LinkFault) {
        self.network.set(on, fault);
        self.note(What::LinkSet { on, fault });
        if matches!(fault, LinkFault::Burst | LinkFault::Mend) {
            self.release(on);
        }
    }

    pub(super) fn heal_links(&mut self) {
        self.network.heal();
        self.note(What::Healed);
        self.release(Links::All);
    }

    pub(super) fn heal_all(&mut self) {
        self.note(What::HealedAll);
        self.network.heal_all();
        self.release(Links::All);
        for id in self.scenario.store_ids() {
            self.set_clock(id, ClockFault::Rate { permille: 1_000 });
            self.set_disk(id, DiskFault::Mend);
            self.disarm(id);
            self.wake(id);
            self.restart(id);
        }
    }

    /// Whatever is held on these links arrives now, in the order of sending.
    pub(super) fn release(&mut self, on: Links) {
        for flight in self.flights.iter_mut() {
            if flight.held && on.contain(flight.from, flight.to) {
                let flight = Arc::make_mut(flight);
                (flight.held, flight.arrives_us) = (false, self.now_us);
                self.queue.push(self.now_us, Event::Arrival { flight: flight.id });
            }
        }
    }

    pub(super) fn meddle(&mut self, id: u64, fault: FlightFault) {
        let now_us = self.now_us;
        let Some(flight) = self.flights.get(id).cloned() else { return };
        self.note(What::Meddled { flight, fault });
        let Some(flight) = self.flights.get_mut(id).map(Arc::make_mut) else { return };
        let lands_us = match fault {
            FlightFault::Drop => {
                flight.dies_us = Some(now_us);
                now_us
            }
            FlightFault::Hold => {
                flight.held = true;
                return;
            }
            FlightFault::Release => now_us,
            FlightFault::Move { at_us } => at_us.max(now_us),
            FlightFault::Duplicate { delay_us } => {
                let original = flight.clone();
                let at_us = original.arrives_us.max(now_us) + delay_us;
                let copy = self.network.copy(&original, at_us);
                return self.launch_copy(copy);
            }
        };
        (flight.held, flight.arrives_us) = (false, lands_us);
        flight.dies_us = flight.dies_us.map(|_| lands_us);
        self.queue.push(lands_us, Event::Arrival { flight: id });
    }
}
