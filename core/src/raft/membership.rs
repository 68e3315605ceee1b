//! Adding and removing peers, one at a time (thesis 4.1). A change takes effect when it is applied.

use super::{NONE, Raft, StateRole};
use crate::error::{ConfChangeError, Malformed, Result};
use crate::proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType,
};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// Adds a voter; adding one twice changes nothing (TinyKV `addNode`).
    pub(crate) fn add_node(&mut self, id: u64) {
        let next = self.log.last_index() + 1;
        let probed = self.prs.add(id, next) && self.role == StateRole::Leader && id != self.id;
        if let Some(progress) = self.prs.get_mut(id).filter(|_| probed) {
            progress.become_probe();
            progress.next = next;
        }
    }

    /// Removes a voter (TinyKV `removeNode`). What waited for its acknowledgement may be committed
    /// now. A leader that is removed steps down (section 6): it refuses proposals, and as long as
    /// it sent heartbeats nobody else would campaign.
    pub(crate) fn remove_node(&mut self, id: u64) {
        if !self.prs.remove(id) {
            return;
        }
        if id == self.id && self.role == StateRole::Leader {
            self.become_follower(self.term, NONE);
            return;
        }
        if self.transferee == Some(id) {
            self.transferee = None;
        }
        if self.role == StateRole::Leader && !self.prs.is_empty() {
            self.maybe_commit();
        }
    }

    /// Applies a committed change and returns the members after it.
    ///
    /// # Errors
    /// A change that is not supported; membership is as before.
    pub(crate) fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState> {
        if let Some((id, kind)) = simple_change(change)? {
            match kind {
                ConfChangeType::AddNode => self.add_node(id),
                ConfChangeType::RemoveNode => self.remove_node(id),
                ConfChangeType::AddLearnerNode => {}
            }
        }
        Ok(self.prs.conf_state())
    }

    /// Whether a membership change may be appended now: no earlier one waits to be applied.
    pub(crate) fn may_change_membership(&self) -> bool {
        (self.rules.may_change_membership)(self.pending_conf_index, self.log.applied())
    }

    /// Replaces the members.
    pub(super) fn set_members(&mut self, conf_state: &ConfState) -> Result<()> {
        Self::check_conf_state(conf_state)?;
        let next = self.log.last_index() + 1;
        self.prs.clear();
        for &id in conf_state.voters.iter().filter(|&&id| id != NONE) {
            self.prs.add(id, next);
        }
        self.acknowledge_own_log();
        Ok(())
    }

    pub(super) fn check_conf_state(conf_state: &ConfState) -> Result<(), ConfChangeError> {
        if !conf_state.voters_outgoing.is_empty() || !conf_state.learners_next.is_empty() {
            return Err(ConfChangeError::Joint);
        }
        if !conf_state.learners.is_empty() {
            return Err(ConfChangeError::Learner);
        }
        Ok(())
    }
}

/// The one peer that `change` adds or removes; none if it changes nothing.
pub(crate) fn simple_change(
    change: &ConfChangeV2,
) -> Result<Option<(u64, ConfChangeType)>, ConfChangeError> {
    let single = match change.changes.as_slice() {
        [] => return Ok(None),
        [single] => single,
        _ => return Err(ConfChangeError::Joint),
    };
    let number = single.change_type;
    let kind =
        ConfChangeType::try_from(number).map_err(|_| ConfChangeError::UnknownType(number))?;
    if kind == ConfChangeType::AddLearnerNode {
        return Err(ConfChangeError::Learner);
    }
    Ok((single.node_id != NONE).then_some((single.node_id, kind)))
}

impl From<ConfChange> for ConfChangeV2 {
    fn from(change: ConfChange) -> Self {
        let single = ConfChangeSingle { change_type: change.change_type, node_id: change.node_id };
        Self { transition: 0, changes: [single].to_vec(), context: change.context }
    }
}

impl From<ConfChange> for Entry {
    /// An entry that proposes the change, in the form that TinyKV and every older peer understand.
    fn from(change: ConfChange) -> Self {
        let data = prost::Message::encode_to_vec(&change).into();
        Self { entry_type: EntryType::EntryConfChange.into(), data, ..Self::default() }
    }
}

impl From<ConfChangeV2> for Entry {
    /// An entry that proposes the change.
    fn from(change: ConfChangeV2) -> Self {
        let data = prost::Message::encode_to_vec(&change).into();
        Self { entry_type: EntryType::EntryConfChangeV2.into(), data, ..Self::default() }
    }
}

/// The membership change that a committed entry carries; none if it is an ordinary entry.
///
/// # Errors
/// [`Malformed`] if its type or its data does not decode.
pub fn conf_change_of(entry: &Entry) -> Result<Option<ConfChangeV2>, Malformed> {
    let decoded = match EntryType::try_from(entry.entry_type) {
        Ok(EntryType::EntryNormal) => return Ok(None),
        Ok(EntryType::EntryConfChange) => {
            <ConfChange as prost::Message>::decode(entry.data.clone()).map(ConfChangeV2::from)
        }
        Ok(EntryType::EntryConfChangeV2) => prost::Message::decode(entry.data.clone()),
        Err(_) => return Err(Malformed::UnknownEntryType(entry.entry_type)),
    };
    decoded.map(Some).map_err(|_| Malformed::ConfChange)
}
