//! `await ticks=100`: will all be well if they are left alone?

use raft_core::StateRole;

use super::Env;
use crate::Result;
use crate::judge::Judge;
use crate::script::Call;

impl Env {
    /// Lets time pass at all peers alike, and everything arrive at once, until they agree.
    pub(super) fn wait(&mut self, call: &mut Call) -> Result<()> {
        let limit: u64 = call.need_key("ticks")?;
        let ids: Vec<u64> = self.nodes.iter().map(|node| node.id).collect();
        let level = self.out.level();
        self.out.set_level_by_name("none")?;
        let mut obstacle = None;
        let mut done = Ok(());
        let mut ticks = 0;
        while done.is_ok() && ticks < limit {
            ticks += 1;
            done = self.pass(&ids);
            obstacle = self.obstacle();
            if obstacle.is_none() {
                break;
            }
        }
        self.out.set_level(level);
        done?;
        if obstacle.is_none() {
            self.out.line(&format!("all agree after {ticks} ticks"));
        }
        self.heed(Judge::agreement(limit, obstacle.as_deref()))
    }

    fn pass(&mut self, ids: &[u64]) -> Result<()> {
        for &id in ids {
            self.act(id, raft_core::RawNode::tick)?;
        }
        self.stabilize(ids)
    }

    /// Why it cannot be said yet that all agree.
    fn obstacle(&self) -> Option<String> {
        let rafts = || self.nodes.iter().map(|node| (node.id, node.raw.raft()));
        let leader = rafts().find(|(_, raft)| raft.role() == StateRole::Leader);
        let Some((leader, led)) = leader else {
            let term = rafts().map(|(_, raft)| raft.term()).max().unwrap_or(0);
            return Some(format!("nobody leads, in term {term}"));
        };
        let last = led.log().last_index();
        rafts().find_map(|(id, raft)| {
            let committed = raft.log().committed();
            if raft.leader() != leader {
                Some(format!("{id} does not follow {leader}"))
            } else if committed < last {
                Some(format!("{id} has committed {committed} of {last}"))
            } else {
                None
            }
        })
    }
}
