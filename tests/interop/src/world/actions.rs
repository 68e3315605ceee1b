//! The events of the troubled part of a run, drawn by weight.

use bytes::Bytes;

use super::World;
use crate::coverage::Fact;
use crate::disk::{Write, payload};
use crate::peer::Fatal;

/// What can happen next.
#[derive(Clone, Copy, Debug)]
enum Action {
    Deliver,
    Tick,
    Work,
    Sync,
    Apply,
    Propose,
    Read,
    Transfer,
    Campaign,
    Change,
    Compact,
    Cut,
    Heal,
    Crash,
    Restart,
    Unavailable,
    RequestSnapshot,
}

impl World {
    /// Lets one thing happen.
    pub(super) fn act(&mut self) -> Result<(), Fatal> {
        match self.draw() {
            Action::Deliver if self.network.is_empty() => self.pass_time(),
            Action::Deliver => self.deliver(),
            Action::Tick => self.tick_one(),
            Action::Work => self.work_one(),
            Action::Sync => self.sync_one(),
            Action::Apply => self.apply_one(),
            Action::Propose => self.propose(),
            Action::Read => self.read(),
            Action::Transfer => self.transfer(),
            Action::Campaign => self.campaign(),
            Action::Change => self.propose_change(),
            Action::Compact => self.compact(),
            Action::Cut => {
                self.coverage.count(Fact::Cut);
                let (ids, leader) = (self.ids(), self.any_leader());
                self.network.cut(&ids, leader, &mut self.rng);
                self.note(|| "cut".into());
                Ok(())
            }
            Action::Heal => {
                self.network.heal();
                self.note(|| "heal".into());
                Ok(())
            }
            Action::Crash => self.crash_one(),
            Action::Restart => {
                let down = self.down();
                self.rng.pick(&down).map_or(Ok(()), |id| self.start(id))
            }
            Action::Unavailable => {
                let up = self.up();
                if let Some(peer) = self.peer_of(&up) {
                    let disk = peer.disk_mut();
                    disk.snapshot_ready = !disk.snapshot_ready;
                }
                Ok(())
            }
            Action::RequestSnapshot => self.request_snapshot(),
        }
    }

    fn draw(&mut self) -> Action {
        let rates = &self.plan.rates;
        let weights = [
            (Action::Deliver, rates.deliver),
            (Action::Tick, rates.tick),
            (Action::Work, rates.work),
            (Action::Sync, rates.sync),
            (Action::Apply, rates.apply),
            (Action::Propose, rates.propose),
            (Action::Read, rates.read),
            (Action::Transfer, rates.transfer),
            (Action::Campaign, rates.campaign),
            (Action::Change, rates.change),
            (Action::Compact, rates.compact),
            (Action::Cut, rates.cut),
            (Action::Heal, rates.heal),
            (Action::Crash, rates.crash),
            (Action::Restart, rates.restart),
            (Action::Unavailable, rates.unavailable),
            (Action::RequestSnapshot, rates.request_snapshot),
        ];
        let mut at = self.rng.below(weights.iter().map(|(_, weight)| weight).sum());
        for (action, weight) in weights {
            if at < weight {
                return action;
            }
            at -= weight;
        }
        Action::Tick
    }

    fn down(&self) -> Vec<u64> {
        let down = self.nodes.iter().filter(|(_, node)| node.peer.is_none());
        down.map(|(id, _)| *id).collect()
    }

    fn peer_of(&mut self, ids: &[u64]) -> Option<&mut Box<dyn crate::peer::Peer>> {
        let id = self.rng.pick(ids)?;
        self.nodes.get_mut(&id)?.peer.as_mut()
    }

    /// With nothing under way, waiting would be a waste of events.
    fn pass_time(&mut self) -> Result<(), Fatal> {
        let busy = |node: &super::Node| {
            !node.in_flight.is_empty()
                || !node.to_apply.is_empty()
                || node.peer.as_ref().is_some_and(|peer| peer.has_work())
        };
        let busy: Vec<_> =
            self.nodes.iter().filter(|(_, node)| busy(node)).map(|(id, _)| *id).collect();
        match self.rng.pick(&busy) {
            Some(id) => self.work_off(id),
            None => self.tick_one(),
        }
    }

    fn tick_one(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        self.rng.pick(&up).map_or(Ok(()), |id| self.tick(id))
    }

    pub(super) fn tick(&mut self, id: u64) -> Result<(), Fatal> {
        self.settle(id)?;
        self.mark(4, id);
        self.note(|| format!("tick {id}"));
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            peer.tick()?;
        }
        self.after(id)
    }

    fn work_one(&mut self) -> Result<(), Fatal> {
        let has_work = |node: &super::Node| node.peer.as_ref().is_some_and(|p| p.has_work());
        let ids: Vec<_> =
            self.nodes.iter().filter(|(_, node)| has_work(node)).map(|(id, _)| *id).collect();
        self.rng.pick(&ids).map_or(Ok(()), |id| self.begin_work(id))
    }

    fn sync_one(&mut self) -> Result<(), Fatal> {
        let ids: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.in_flight.is_empty())
            .map(|(id, _)| *id)
            .collect();
        self.rng.pick(&ids).map_or(Ok(()), |id| self.finish_work(id))
    }

    fn apply_one(&mut self) -> Result<(), Fatal> {
        let ids: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.pipelined && !node.to_apply.is_empty())
            .map(|(id, _)| *id)
            .collect();
        let most = self.rng.position(4) + 1;
        self.rng.pick(&ids).map_or(Ok(()), |id| self.apply_some(id, most))
    }

    fn propose(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        self.rng.pick(&up).map_or(Ok(()), |id| self.propose_at(id).map(drop))
    }

    /// Proposes a command of its own at node `id`. Returns whether it was taken.
    pub(super) fn propose_at(&mut self, id: u64) -> Result<bool, Fatal> {
        self.settle(id)?;
        self.proposals += 1;
        let most = usize::try_from(self.plan.payload_max).unwrap_or(8);
        let data = payload(self.proposals, self.rng.position(most));
        let context = if self.rng.chance(300) { payload(self.proposals, 0) } else { Bytes::new() };
        self.mark(5, id);
        let number = self.proposals;
        let mut taken = false;
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            taken = peer.propose(data, context)?;
            self.note(|| format!("propose {number} at {id}, taken: {taken}"));
        }
        self.after(id)?;
        Ok(taken)
    }

    fn read(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        self.rng.pick(&up).map_or(Ok(()), |id| self.read_at(id).map(drop))
    }

    /// Asks for a read at node `id`. Returns its number.
    pub(super) fn read_at(&mut self, id: u64) -> Result<u64, Fatal> {
        self.settle(id)?;
        let number = self.ledger.ask(id);
        self.mark(6, id);
        self.note(|| format!("read {number} at {id}"));
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            peer.read_index(payload(number, 0))?;
        }
        self.after(id)?;
        Ok(number)
    }

    fn transfer(&mut self) -> Result<(), Fatal> {
        let (up, ids) = (self.up(), self.ids());
        let (Some(id), Some(to)) = (self.rng.pick(&up), self.rng.pick(&ids)) else {
            return Ok(());
        };
        // Mostly at a leader: followers hand the request on, which is one more message to lose.
        let id = self.any_leader().filter(|_| self.rng.chance(700)).unwrap_or(id);
        self.settle(id)?;
        self.mark(7, id);
        self.note(|| format!("transfer at {id} to {to}"));
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            peer.transfer_leader(to)?;
        }
        self.after(id)
    }

    fn campaign(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        self.rng.pick(&up).map_or(Ok(()), |id| self.campaign_at(id))
    }

    pub(super) fn campaign_at(&mut self, id: u64) -> Result<(), Fatal> {
        self.settle(id)?;
        self.mark(8, id);
        self.note(|| format!("campaign at {id}"));
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            peer.campaign()?;
        }
        self.after(id)
    }

    fn request_snapshot(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        let Some(id) = self.rng.pick(&up) else {
            return Ok(());
        };
        self.settle(id)?;
        self.mark(9, id);
        self.note(|| format!("{id} requests a snapshot"));
        if let Some(node) = self.nodes.get_mut(&id)
            && let Some(peer) = &mut node.peer
        {
            peer.request_snapshot()?;
            node.asked = true;
        }
        self.after(id)
    }

    /// Saves the state machine of some node and drops a part of its log.
    fn compact(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        let Some(id) = self.rng.pick(&up) else {
            return Ok(());
        };
        let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) else {
            return Ok(());
        };
        let disk = peer.disk_mut();
        let (first, last) = (disk.truncated().index + 1, disk.app.index.min(disk.last()));
        if first > last {
            return Ok(());
        }
        let index = self.rng.between(first, last);
        let writes = vec![Write::Checkpoint(disk.app.clone()), Write::Compact(index)];
        disk.write_aside(writes).map_err(|error| format!("{id} compacts: {error}"))?;
        self.note(|| format!("compact {id} up to {index}"));
        Ok(())
    }

    fn crash_one(&mut self) -> Result<(), Fatal> {
        let up = self.up();
        if self.down().len() >= self.plan.down_max {
            return Ok(());
        }
        let Some(id) = self.rng.pick(&up) else {
            return Ok(());
        };
        // What leaders leave unfinished is what the rules are about.
        let id = self.any_leader().filter(|_| self.rng.coin()).unwrap_or(id);
        self.mark(11, id);
        self.crash(id)
    }

    /// One of those who believe that they lead.
    fn any_leader(&mut self) -> Option<u64> {
        let leaders: Vec<_> = self.up().into_iter().filter(|id| self.leads(*id)).collect();
        self.rng.pick(&leaders)
    }

    pub(super) fn leads(&self, id: u64) -> bool {
        self.nodes
            .get(&id)
            .is_some_and(|node| node.peer.is_some() && node.view.role == crate::peer::Role::Leader)
    }
}
