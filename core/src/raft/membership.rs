//! Changes of the members taking effect (section 6, thesis 4): when they are applied, or when a
//! snapshot brings them.

use super::{NONE, Raft, StateRole};
use crate::confchange::{self, Changer, enters_joint, leaves_joint};
use crate::error::{ConfChangeError, Error, Result};
use crate::proto::eraftpb::{ConfChangeV2, ConfState, Entry};
use crate::storage::Storage;
use crate::trace::{Event, Tracer};
use crate::tracker::{ProgressState, ProgressTracker};

impl<S: Storage, T: Tracer> Raft<S, T> {
    /// Applies a committed change and returns the members after it.
    ///
    /// # Errors
    /// A change that cannot be applied to the members as they are; they stay so.
    pub(crate) fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState> {
        if self.superseded > 0 {
            return Err(ConfChangeError::Superseded(self.superseded).into());
        }
        let changer = Changer { tracker: &self.prs, last_index: self.log.last_index() };
        let next = if leaves_joint(change) {
            changer.leave_joint()
        } else if let Some(auto_leave) = enters_joint(change)? {
            changer.enter_joint(auto_leave, &change.changes)
        } else {
            changer.simple(&change.changes)
        };
        self.switch_to(next?)?;
        Ok(self.prs.conf_state())
    }

    /// Takes the members from the storage or from a snapshot.
    pub(super) fn restore_members(&mut self, state: &ConfState) -> Result<()> {
        let next = confchange::restore(&self.prs, state, self.log.last_index())?;
        self.switch_to(next)
    }

    /// Goes over to other members, with all that follows: a leader that is none of them steps down,
    /// what only the old ones held up is committed, new ones are sent the log.
    pub(crate) fn switch_to(&mut self, next: ProgressTracker) -> Result<()> {
        self.prs = next;
        self.trace(|raft| Event::ConfigurationChanged(raft.prs.configuration().clone()));
        if self.role != StateRole::Leader {
            return Ok(());
        }
        if self.prs.get(self.id).is_none_or(|own| own.is_learner) {
            // It refuses proposals from now on, and as long as it sent heartbeats nobody else would
            // campaign.
            if self.settings.step_down_on_removal {
                self.become_follower(self.term, NONE);
            }
            return Ok(());
        }
        // A lease rests on a quorum of the members before. Every quorum of these shares a peer with
        // it, but none of those after the next change need do so.
        self.reads.end_lease();
        if self.maybe_commit() {
            self.flush()?;
        } else {
            self.probe_new_members()?;
        }
        if self.transferee.is_some_and(|id| !self.prs.configuration().voters.contains(id)) {
            self.end_transfer();
        }
        // Fewer may have to confirm a read than before.
        self.confirm_reads();
        Ok(())
    }

    /// Why should they wait for a heartbeat?
    fn probe_new_members(&mut self) -> Result<()> {
        for position in 0..self.prs.len() {
            let Some(id) = self.prs.id_at(position).filter(|&id| id != self.id) else {
                continue;
            };
            if self.settings.eager {
                self.send_append(id, false)?;
            } else if let Some(progress) = self.prs.get_mut(id) {
                let lags = progress.next <= self.log.last_index();
                progress.append_due |= lags && progress.state == ProgressState::Probe;
            }
        }
        Ok(())
    }

    /// Proposes to leave a joint configuration that is to be left automatically, as soon as it is
    /// applied. Asked again with everything applied after it and whenever a transfer of leadership
    /// ends, because the proposal may be dropped, and by every new leader, once it has committed in
    /// its term (Ongaro's correction of thesis 4.1).
    pub(super) fn maybe_auto_leave(&mut self) -> Result<()> {
        let configuration = self.prs.configuration();
        if !configuration.auto_leave
            || self.role != StateRole::Leader
            || self.log.applied() < self.pending_conf_index.max(self.first_own)
        {
            return Ok(());
        }
        let left = configuration.clone();
        // Without data it decodes as an empty change, and no limit of sizes can refuse it.
        let refused = match self.propose([Entry::from_empty_change()].to_vec()) {
            Ok(_) => None,
            Err(Error::ProposalDropped(reason)) => Some(reason),
            Err(error) => return Err(error),
        };
        self.trace(|_| Event::AutoLeave { configuration: left, refused });
        Ok(())
    }
}

impl Entry {
    /// A membership change that says nothing: it leaves a joint configuration.
    fn from_empty_change() -> Self {
        let entry_type = crate::eraftpb::EntryType::EntryConfChangeV2.into();
        Self { entry_type, ..Self::default() }
    }
}
