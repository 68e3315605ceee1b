//! The end of a run: every fault is mended, and the cluster must come to agree.

use std::collections::BTreeSet;

use super::World;
use super::node::Node;
use crate::ledger::all_members;
use crate::peer::{Fatal, Kind};

/// Election time-outs within which a healed cluster must have agreed on a new entry. Without
/// pre-vote, two ticks more for each term that the nodes are apart.
const PATIENCE: u64 = 40;

/// Messages in one round beyond which two nodes must be repeating themselves.
const STORM: u64 = 40_000;

impl World {
    /// Mends everything and waits until all members have applied the same log, a new entry at its
    /// end.
    pub(super) fn recover(&mut self) -> Result<(), Fatal> {
        self.calm = true;
        self.network.heal();
        self.note(|| "all is mended".into());
        // Their leader never gives up a request for a snapshot, even if what it should hold cannot be
        // committed without the one who asked, who has long ceased to wait.
        let asked = self.nodes.values().any(|node| node.asked);
        for id in self.ids() {
            if asked && self.kind(id) == Kind::Theirs {
                self.crash(id)?;
            }
            self.start(id)?;
            if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
                peer.disk_mut().snapshot_ready = true;
                peer.forget_priority();
            }
        }
        let timeout = u64::from(self.plan.election_tick);
        let mut marker = None;
        for round in 0..PATIENCE * timeout + 2 * self.distance_in_terms() {
            for id in self.up() {
                self.tick(id)?;
            }
            self.drain()?;
            self.retire()?;
            if round > PATIENCE / 4 * timeout && !self.plan.pre_vote {
                self.nudge()?;
            }
            let Some(leader) = self.leader() else {
                marker = None;
                continue;
            };
            if round % 3 == 0 {
                self.leave_joint(leader)?;
            }
            if marker.is_none_or(|(_, since)| round > since + timeout) && self.propose_at(leader)? {
                let last = self.nodes.get(&leader).map_or(0, |node| node.view.last);
                marker = Some((last, round));
            }
            self.drain()?;
            if marker.is_some_and(|(index, _)| self.agree_at(index)) {
                self.coverage.agreed_after(round / timeout + 1);
                return self.serve_reads();
            }
        }
        Err(format!("no agreement within {PATIENCE} election time-outs: {}", self.describe()))
    }

    fn distance_in_terms(&self) -> u64 {
        let terms = || self.nodes.values().map(|node| node.view.term);
        let distance = terms().max().unwrap_or(0) - terms().min().unwrap_or(0);
        if self.plan.pre_vote { 0 } else { distance }
    }

    /// Without pre-vote a node that has seen a newer term ignores those that have not, without a
    /// word: they catch up by one term in each election that they lose, unless the others run away
    /// by losing elections of their own. An operator would let the one with the newest log, which
    /// alone can win, campaign more often.
    fn nudge(&mut self) -> Result<(), Fatal> {
        let members = self.ledger.members();
        let voters: Vec<u64> =
            members.voters.iter().chain(&members.voters_outgoing).copied().collect();
        let rank = |id: &u64| {
            let node = self.nodes.get(id)?;
            let peer = node.peer.as_ref()?;
            Some((peer.term_at(node.view.last), node.view.last, node.view.term))
        };
        let Some(best) = voters.into_iter().max_by_key(rank) else {
            return Ok(());
        };
        let term = |node: &Node| node.view.term;
        let newest = self.nodes.values().filter(|node| node.peer.is_some()).map(term).max();
        if self.nodes.get(&best).map(term) >= newest {
            return Ok(());
        }
        if self.leads(best) {
            self.crash(best)?;
            self.start(best)?;
        }
        self.campaign_at(best)
    }

    /// Delivers messages and does work until there is none.
    fn drain(&mut self) -> Result<(), Fatal> {
        for _ in 0..STORM {
            if !self.network.is_empty() {
                self.deliver()?;
                continue;
            }
            for id in self.up() {
                self.work_off(id)?;
            }
            if self.network.is_empty() {
                return Ok(());
            }
        }
        Err(format!("the nodes never fall silent: {}", self.describe()))
    }

    /// The leader of the highest term.
    fn leader(&self) -> Option<u64> {
        let leaders = self.up().into_iter().filter(|id| self.leads(*id));
        leaders.max_by_key(|id| self.nodes.get(id).map(|node| node.view.term))
    }

    /// Stops nodes that are no members any more, once all voters know it. Earlier they may be
    /// needed: their votes still count for those who do not know.
    fn retire(&mut self) -> Result<(), Fatal> {
        let newest = self.ledger.members();
        let voters: BTreeSet<_> = newest.voters.iter().chain(&newest.voters_outgoing).collect();
        let voters: Vec<u64> = voters.into_iter().copied().collect();
        let members = all_members(newest);
        for id in &members {
            // It may have retired and come back.
            self.start(*id)?;
        }
        for id in self.up() {
            let known = |member: &u64| {
                let node = self.nodes.get(member);
                node.is_some_and(|node| !all_members(&node.app().members).contains(&id))
            };
            if !members.contains(&id) && voters.iter().all(known) {
                self.note(|| format!("{id} retires"));
                self.crash(id)?;
            }
        }
        Ok(())
    }

    /// Leaves a joint configuration that does not end by itself.
    fn leave_joint(&mut self, leader: u64) -> Result<(), Fatal> {
        let Some(node) = self.nodes.get_mut(&leader) else {
            return Ok(());
        };
        let members = &node.app().members;
        if members.voters_outgoing.is_empty() || members.auto_leave {
            return Ok(());
        }
        if let Some(peer) = &mut node.peer {
            peer.propose_change(&Default::default(), false)?;
        }
        self.after(leader)
    }

    /// Whether all members have applied everything up to `index` at least and equally far, and
    /// none is in a joint configuration. That they applied the same has been checked before.
    fn agree_at(&self, index: u64) -> bool {
        let applied = self.ledger.applied();
        let members = self.ledger.members();
        let there = |id: &u64| self.nodes.get(id).is_some_and(|node| node.app().index == applied);
        applied >= index
            && members.voters_outgoing.is_empty()
            && all_members(members).iter().all(there)
    }

    /// In a calm cluster every member gets its read, sooner or later.
    fn serve_reads(&mut self) -> Result<(), Fatal> {
        if self.plan.rates.read == 0 {
            return Ok(());
        }
        for id in all_members(self.ledger.members()) {
            let mut served = false;
            for _ in 0..PATIENCE * u64::from(self.plan.election_tick) {
                let number = self.read_at(id)?;
                self.drain()?;
                served = self.ledger.is_served(number);
                if served {
                    break;
                }
                for id in self.up() {
                    self.tick(id)?;
                }
                self.drain()?;
            }
            if !served {
                return Err(format!("{id} never gets its read: {}", self.describe()));
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let node = |id: &u64| {
            self.nodes.get(id).map(|node| {
                let state = if node.peer.is_some() { "up" } else { "down" };
                format!(
                    "{id} {} {state} {:?} applied={} {:?}",
                    node.kind.name(),
                    node.view,
                    node.app().index,
                    node.app().members
                )
            })
        };
        let nodes: Vec<_> = self.ids().iter().filter_map(node).collect();
        format!("committed {}, {}", self.ledger.committed(), nodes.join("; "))
    }
}
