//! Membership changes: which are proposed, and how they are counted.

use raft_core::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};

use super::World;
use crate::coverage::Fact;
use crate::ledger::all_members;
use crate::peer::{Fatal, Kind};

impl World {
    /// Proposes some change at some node.
    pub(super) fn propose_change(&mut self) -> Result<(), Fatal> {
        let mut up = self.up();
        if !self.plan.changes.rejoin {
            // A request that travels may arrive when the node it adds was removed meanwhile.
            up.retain(|id| self.leads(*id));
        }
        let Some(id) = self.rng.pick(&up) else {
            return Ok(());
        };
        let Some(members) = self.nodes.get(&id).map(|node| node.app().members.clone()) else {
            return Ok(());
        };
        let Some(change) = self.draw_change(&members) else {
            return Ok(());
        };
        let v1 = self.rng.coin();
        self.settle(id)?;
        self.mark(10, id);
        if let Some(peer) = self.nodes.get_mut(&id).and_then(|node| node.peer.as_mut()) {
            let taken = peer.propose_change(&change, v1)?;
            self.note(|| format!("propose at {id}: {change:?}, taken: {taken}"));
        }
        self.after(id)
    }

    fn draw_change(&mut self, members: &ConfState) -> Option<ConfChangeV2> {
        let changes = self.plan.changes;
        if !members.voters_outgoing.is_empty() {
            // Out of the joint configuration, unless it ends by itself.
            let nonsense = changes.nonsense && self.rng.chance(200);
            let leave = !members.auto_leave || nonsense;
            return leave.then(ConfChangeV2::default);
        }
        let single =
            |kind: ConfChangeType, node_id| ConfChangeSingle { change_type: kind.into(), node_id };
        let all = all_members(members);
        let can_join = |id: &u64| changes.rejoin || !self.ledger.was_removed(*id);
        let strangers = self.plan.nodes.keys().filter(|id| !all.contains(id) && can_join(id));
        let strangers: Vec<_> = strangers.copied().collect();
        let mut singles = Vec::new();
        let count = if changes.joint { self.rng.between(1, 3) } else { 1 };
        for _ in 0..count {
            let pick = match self.rng.below(6) {
                0 | 1 if changes.learners => {
                    self.rng.pick(&strangers).map(|id| (ConfChangeType::AddLearnerNode, id))
                }
                0 | 1 => self.rng.pick(&strangers).map(|id| (ConfChangeType::AddNode, id)),
                2 => self.rng.pick(&members.learners).map(|id| (ConfChangeType::AddNode, id)),
                3 if changes.learners => {
                    self.rng.pick(&members.voters).map(|id| (ConfChangeType::AddLearnerNode, id))
                }
                _ => self.rng.pick(&all).map(|id| (ConfChangeType::RemoveNode, id)),
            };
            let known = |id: u64| singles.iter().any(|s: &ConfChangeSingle| s.node_id == id);
            if let Some((kind, id)) = pick
                && !known(id)
            {
                singles.push(single(kind, id));
            }
        }
        if changes.nonsense && self.rng.chance(300) {
            let all = members.voters.iter();
            singles = all.map(|id| single(ConfChangeType::RemoveNode, *id)).collect();
            if self.rng.coin() {
                singles = vec![single(ConfChangeType::AddNode, 0)];
            }
        }
        let transition = match self.rng.below(3) {
            1 if changes.joint => ConfChangeTransition::Implicit,
            2 if changes.joint => ConfChangeTransition::Explicit,
            _ => ConfChangeTransition::Auto,
        };
        self.proposals += 1;
        let context = self.proposals.to_le_bytes().to_vec().into();
        let joint = singles.len() > 1 || transition != ConfChangeTransition::Auto;
        let allowed = !singles.is_empty() && (changes.joint || !joint);
        allowed.then(|| ConfChangeV2 { transition: transition.into(), changes: singles, context })
    }

    /// Counts a change that was just applied for the first time, under a leader of `kind`.
    pub(super) fn count_change(
        &mut self,
        kind: Kind,
        before: &ConfState,
        after: &ConfState,
        refused: bool,
    ) {
        if refused {
            self.coverage.count(Fact::ChangeRefused(kind));
            return;
        }
        let (was, is) = (!before.voters_outgoing.is_empty(), !after.voters_outgoing.is_empty());
        match (was, is) {
            (false, true) => self.coverage.count(Fact::JointEntered(kind, after.auto_leave)),
            (true, false) => self.coverage.count(Fact::JointLeft(kind)),
            _ if before.voters.len() != after.voters.len() => {
                self.coverage.count(Fact::SimpleChange(kind));
            }
            _ => {}
        }
        let listens = |id: &&u64| !before.learners.contains(id);
        if after.learners.iter().any(|id| listens(&id)) {
            self.coverage.count(Fact::LearnerAdded(kind));
        }
        if before.learners.iter().any(|id| after.voters.contains(id)) {
            self.coverage.count(Fact::LearnerPromoted(kind));
        }
    }
}
