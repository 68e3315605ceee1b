//! Commands that look: `raft-log`, `raft-state`, `status`, `logs`, `state-machine`, and `compact`.

use raft_core::{Storage, describe};

use super::{Env, refused};
use crate::Result;
use crate::judge::View;
use crate::script::Call;

impl Env {
    pub(super) fn look(&mut self, call: &mut Call) -> Result<()> {
        match call.name.as_str() {
            "raft-log" => {
                let id = call.need("a peer")?;
                self.raft_log(id)
            }
            "compact" => {
                let (id, index) = (call.need("a peer")?, call.need("an index")?);
                let log = self.node(id)?.raw.store_mut().log_mut();
                log.compact(index).map_err(|error| refused(&error.into()))?;
                self.observe(id)?;
                self.raft_log(id)
            }
            "raft-state" => {
                self.raft_state();
                Ok(())
            }
            "status" => {
                let id = call.need("a peer")?;
                let progress = self.node(id)?.raw.status().progress;
                let peers = progress.iter().map(|(id, progress)| (*id, progress));
                self.out.raw(&describe::progress_map(peers));
                Ok(())
            }
            "logs" => self.logs(call),
            _ => self.state_machine(call),
        }
    }

    /// `raft-log 1`: what is on the disk.
    fn raft_log(&mut self, id: u64) -> Result<()> {
        let disk = self.node(id)?.raw.store();
        let read = || Ok((disk.first_index()?, disk.last_index()?));
        let (first, last) = read().map_err(|error| refused(&error))?;
        if last < first {
            self.out.raw(&format!("log is empty: first index={first}, last index={last}"));
        } else {
            let text = describe::entries(disk.log().all_entries());
            self.out.raw(&text);
        }
        Ok(())
    }

    /// `raft-state`: every peer's role, in its own eyes.
    fn raft_state(&mut self) {
        for node in &self.nodes {
            let status = node.raw.status();
            let votes = status.configuration.voters.contains(node.id);
            let part = if votes { "(Voter)" } else { "(Non-Voter)" };
            let role = describe::role_name(status.soft_state.role);
            let (term, leader) = (status.hard_state.term, status.soft_state.leader);
            self.out.line(&format!("{}: {role} {part} Term:{term} Lead:{leader}", node.id));
        }
    }

    /// `state-machine 1`: what the peer has applied.
    fn state_machine(&mut self, call: &mut Call) -> Result<()> {
        for id in self.named_or_all(call)? {
            let disk = self.node(id)?.raw.store();
            let (applied, data) = (disk.applied().index, disk.data().clone());
            let data = String::from_utf8_lossy(&data);
            self.out.line(&format!("{id}: applied={applied} data={data:?}"));
        }
        Ok(())
    }

    /// `logs`: the logs below each other, as far as the peers know them. The term of every entry,
    /// `·` for what is folded into a snapshot, and a bar behind the last committed entry.
    fn logs(&mut self, call: &mut Call) -> Result<()> {
        let mut views = Vec::new();
        for id in self.named_or_all(call)? {
            views.push(self.node(id)?.view().map_err(|error| refused(&error))?);
        }
        let known = views.iter().filter(|view| view.last() > 0);
        let first = known.map(|view| view.truncated.index).min().unwrap_or(0).max(1);
        let longest = views.iter().map(View::last).max().unwrap_or(0);
        let head: String = (first..=longest).map(|index| format!("{index:>3} ")).collect();
        self.out.line(format!("   {head}").trim_end());
        for view in views {
            let cells: String = (first..=view.last()).map(|index| cell(&view, index)).collect();
            self.out.line(format!("{}: {cells}", view.id).trim_end());
        }
        Ok(())
    }
}

fn cell(view: &View, index: u64) -> String {
    let bar = if index == view.commit { '|' } else { ' ' };
    let text = view.entry(index).map_or("·".to_owned(), |entry| entry.term.to_string());
    format!("{text:>3}{bar}")
}
