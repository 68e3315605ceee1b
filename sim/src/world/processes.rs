//! Peers that stall, and peers that stop in mid-write.

use raft_kv::Store;

use super::World;
use crate::backlog::{Backlog, Late};
use crate::event::What;
use crate::faults::CrashPoint;
use crate::node::Node;

impl World {
    fn running(&mut self, id: u64) -> Option<&mut Node> {
        self.nodes.get_mut(id).filter(|node| node.is_up())
    }

    pub(super) fn pause(&mut self, id: u64) {
        let Some(node) = self.running(id).filter(|node| !node.is_paused()) else { return };
        node.backlog = Some(Backlog::default());
        self.note(What::Paused { peer: id });
    }

    /// A stalled peer goes on: it finds all that piled up, and handles one after the other.
    pub(super) fn wake(&mut self, id: u64) {
        let Some(backlog) = self.running(id).and_then(|node| node.backlog.take()) else { return };
        self.note(What::Resumed { peer: id, waiting: backlog.messages() });
        for late in backlog.into_items() {
            if self.running(id).is_none() {
                // It stopped in the middle of it.
                self.lose(late);
                continue;
            }
            match late {
                Late::Ticks(ticks) => self.ticks(id, ticks),
                Late::Message(flight) => self.deliver(flight),
                Late::Asked { request, attempt } => self.propose(request, attempt, id),
                Late::Written => self.written(id),
                Late::WriteFailed(reason) => self.write_failed(id, reason),
            }
        }
    }

    /// So many ticks at once.
    pub(super) fn ticks(&mut self, id: u64, ticks: u32) {
        for _ in 0..ticks {
            self.touch(id, Store::tick);
        }
    }

    fn lose(&mut self, late: Late) {
        if let Late::Message(flight) = late {
            self.note(What::Lost(flight));
        }
    }

    /// The process is gone, and with it all that waited for it.
    pub(super) fn forget_process(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.armed = None;
        let backlog = node.backlog.take().unwrap_or_default();
        backlog.into_items().into_iter().for_each(|late| self.lose(late));
    }

    pub(super) fn arm(&mut self, id: u64, point: CrashPoint) {
        let Some(node) = self.running(id) else { return };
        node.armed = Some(point);
        self.note(What::Armed { peer: id, point });
    }

    pub(super) fn disarm(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.armed = None;
        }
    }

    pub(super) fn is_armed_with(&self, id: u64, point: CrashPoint) -> bool {
        self.nodes.get(id).is_some_and(|node| node.armed == Some(point))
    }

    pub(super) fn crash_at(&mut self, id: u64, point: CrashPoint) {
        self.note(What::Reached { peer: id, point });
        self.crash(id);
    }
}
