//! Clocks that run wrong.

use super::{Event, World};
use crate::event::What;
use crate::faults::ClockFault;
use crate::node::FROZEN;

impl World {
    pub(super) fn set_clock(&mut self, id: u64, fault: ClockFault) {
        let (now_us, tick_us) = (self.now_us, self.scenario.settings.tick_us);
        let Some(node) = self.nodes.get_mut(id) else { return };
        match fault {
            ClockFault::Rate { permille } => {
                let was_frozen = node.is_frozen();
                let period_us = (tick_us * 1_000 / u64::from(permille.max(1))).max(1);
                if period_us == node.period_us {
                    return;
                }
                node.period_us = period_us;
                if was_frozen && node.is_up() {
                    node.next_tick_us = now_us + period_us;
                    let tick = Event::Tick { peer: id, incarnation: node.incarnation };
                    self.queue.push(node.next_tick_us, tick);
                }
            }
            ClockFault::Freeze => {
                // The tick that is planned finds that it is not its time.
                (node.period_us, node.next_tick_us) = (FROZEN, FROZEN);
            }
            ClockFault::Jump { ticks } => {
                self.note(What::ClockSet { peer: id, fault });
                return self.jump(id, ticks);
            }
        }
        self.note(What::ClockSet { peer: id, fault });
    }

    fn jump(&mut self, id: u64, ticks: u32) {
        match self.nodes.get_mut(id).and_then(|node| node.backlog.as_mut()) {
            Some(backlog) => backlog.tick(ticks),
            None => self.ticks(id, ticks),
        }
    }
}
