//! Disks: syncs, errors, power cuts, damage.

use raft_kv::{Batches, Engines, WriteBatch};

use super::{Event, World};
use crate::backlog::Late;
use crate::disk::{Disk, Survivors, difference};
use crate::event::What;
use crate::faults::DiskFault;
use crate::node::{Node, NodeState, Writing};

impl World {
    /// A write is durable: tells the checkers, and whoever keeps the disks outside.
    fn record_durable(&mut self, id: u64, batches: Batches) {
        self.saw_durable(id, &batches);
        self.record_change(id, batches);
    }

    /// A disk changed: tells whoever keeps the disks outside.
    fn record_change(&mut self, id: u64, batches: Batches) {
        if let Some(journal) = &mut self.journal {
            journal.push((id, batches));
        }
    }

    /// A sync ends, whether or not the peer is able to hear of it. What was written before without
    /// a sync is durable first.
    pub(super) fn synced(&mut self, id: u64, incarnation: u64, number: u64) {
        let current = |node: &&mut Node| node.incarnation == incarnation;
        let Some(node) = self.nodes.get_mut(id).filter(current) else { return };
        let NodeState::Up { writing: Some(writing), .. } = &mut node.state else { return };
        if writing.work.number != number {
            return;
        }
        self.trace.number(id);
        self.trace.number(number);
        let mut durable = Vec::new();
        match node.disk.sync() {
            Err(reason) if !self.flaws.ignored_errors => {
                return match &mut node.backlog {
                    Some(backlog) => backlog.written(Late::WriteFailed(reason)),
                    None => self.write_failed(id, reason),
                };
            }
            Err(_) => writing.work.batches = Batches::default(),
            Ok(()) => {
                durable = node.disk.flush();
                node.disk.write(&writing.work.batches);
                durable.push(std::mem::take(&mut writing.work.batches));
            }
        }
        writing.durable = true;
        let backlog = node.backlog.as_mut();
        let is_paused = backlog.map(|backlog| backlog.written(Late::Written)).is_some();
        durable.into_iter().for_each(|batches| self.record_durable(id, batches));
        if !is_paused {
            self.written(id);
        }
    }

    /// The disk refused a write or a sync: a peer that went on would promise what it cannot keep.
    pub(super) fn write_failed(&mut self, id: u64, reason: &str) {
        self.power_off(id, true);
        self.fail(id, reason.into());
    }

    /// What waits for a sync becomes durable.
    pub(super) fn flush(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        for batches in node.disk.flush() {
            self.record_durable(id, batches);
        }
    }

    /// A write that may wait is written without a sync. Some time later the disk syncs it by
    /// itself.
    pub(super) fn write_back(&mut self, id: u64, batches: Batches) {
        let at_us = self.now_us + self.scenario.settings.write_back_us;
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.disk.buffer(batches);
        if !std::mem::replace(&mut node.disk.flush_planned, true) {
            let event = Event::Flush { peer: id, incarnation: node.incarnation };
            self.queue.push(at_us, event);
        }
    }

    pub(super) fn flush_by_itself(&mut self, id: u64, incarnation: u64) {
        let current = |node: &&mut Node| node.incarnation == incarnation;
        let Some(node) = self.nodes.get_mut(id).filter(current) else { return };
        if std::mem::take(&mut node.disk.flush_planned) {
            self.trace.number(id);
            self.flush(id);
            self.saw_rest(id);
        }
    }

    /// The machine stops: the disk keeps what is durable, and of the rest what chance wants.
    /// Where every write waits for its sync, a crash takes the one under way, and only a sync that
    /// `failed` leaves it to chance. Returns whether the write under way is lost.
    pub(super) fn power_off(&mut self, id: u64, failed: bool) -> bool {
        let torn = self.flaws.torn_batches;
        let by_chance = failed || self.scenario.settings.write_back_us > 0;
        let Some(node) = self.nodes.get_mut(id) else { return false };
        let NodeState::Up { writing, .. } = &mut node.state else { return false };
        let under_way = match writing.take() {
            Some(Writing { work, durable: false }) => Some(work.batches),
            _ => None,
        };
        let writes = under_way.is_some();
        match under_way {
            Some(batches) if torn => {
                self.tear(id, batches);
                true
            }
            Some(_) if !by_chance => true,
            under_way => {
                let survivors = node.disk.power_off(under_way, &mut self.rng);
                let lost = writes && survivors.lost > 0;
                self.survive(id, survivors);
                lost
            }
        }
    }

    fn survive(&mut self, id: u64, survivors: Survivors) {
        let Survivors { kept, lost } = survivors;
        if kept.is_empty() && lost == 0 {
            return;
        }
        self.note(What::Unsynced { peer: id, kept: kept.len(), lost });
        for batches in kept {
            self.record_durable(id, batches);
        }
    }

    /// A driver that writes the two engines one after the other is stopped in between, or not.
    fn tear(&mut self, id: u64, batches: Batches) {
        let half = match self.rng.below(3) {
            0 => Batches { raft: batches.raft, kv: WriteBatch::default() },
            1 => Batches { raft: WriteBatch::default(), kv: batches.kv },
            _ => return,
        };
        if let Some(node) = self.nodes.get_mut(id) {
            node.disk.write(&half);
            self.note(What::Torn { peer: id });
            self.record_durable(id, half);
        }
    }

    /// The power goes in the middle of a write. Nobody is told of the half that is there, and no peer
    /// can start with it. What waited for a sync came before it.
    pub(super) fn tear_off(&mut self, id: u64, batches: &Batches) {
        self.flush(id);
        let last = self.rng.chance(500);
        let Some(node) = self.nodes.get_mut(id) else { return };
        let half = node.disk.tear(batches, last);
        self.note(What::Torn { peer: id });
        self.record_change(id, half);
        self.crash(id);
    }

    pub(super) fn set_disk(&mut self, id: u64, fault: DiskFault) {
        match fault {
            DiskFault::Wipe => {
                let fresh = Self::fresh_disk(&self.scenario, id).unwrap_or_default();
                self.set_back(id, fault, fresh);
            }
            DiskFault::RollBack => {
                let image = self.nodes.get(id).and_then(|node| node.disk.image().cloned());
                if let Some(image) = image {
                    self.set_back(id, fault, image);
                }
            }
            _ => {
                self.note(What::DiskSet { peer: id, fault });
                self.change_disk(id, |disk| disk.set(fault));
            }
        }
    }

    /// The disk's content is replaced by an earlier state; the machine is off meanwhile.
    fn set_back(&mut self, id: u64, fault: DiskFault, engines: Engines) {
        self.crash(id);
        self.checker.retire();
        self.note(What::DiskSet { peer: id, fault });
        self.change_disk(id, |disk| disk.replace(engines));
    }

    fn change_disk(&mut self, id: u64, change: impl FnOnce(&mut Disk)) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if self.journal.is_none() {
            return change(&mut node.disk);
        }
        let before = node.disk.durable().clone();
        change(&mut node.disk);
        let batches = difference(&before, node.disk.durable());
        if !batches.is_empty() {
            self.record_change(id, batches);
        }
    }
}
