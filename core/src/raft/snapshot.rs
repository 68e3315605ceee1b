//! Sending and installing snapshots (7).

use super::{Raft, StateRole};
use crate::EntryId;
use crate::error::{Malformed, Result, StorageError};
use crate::proto::eraftpb::{Message, MessageType, Snapshot};
use crate::storage::Storage;

/// How the transfer of a snapshot ended, as the transport saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// The receiver has all of it.
    Finish,
    /// It did not arrive; send it again.
    Failure,
}

impl<S: Storage> Raft<S> {
    /// Sends `to` the newest snapshot in place of entries that are gone. If there is none yet, the
    /// next heartbeat's answer asks again. Returns whether more is owed: never, while a
    /// snapshot is on its way.
    pub(super) fn send_snapshot(&mut self, to: u64) -> Result<bool> {
        let snapshot = match self.log.snapshot() {
            Ok(snapshot) => Some(snapshot),
            Err(StorageError::SnapshotTemporarilyUnavailable) => None,
            Err(error) => return Err(error.into()),
        };
        let index = snapshot.as_ref().map_or(0, |snapshot| EntryId::of_snapshot(snapshot).index);
        let Some(progress) = self.prs.get_mut(to) else {
            return Ok(false);
        };
        if index == 0 || index < progress.matched {
            progress.wait_in_probe();
            return Ok(false);
        }
        progress.become_snapshot(index);
        let msg_type = MessageType::MsgSnapshot.into();
        self.send(Message { msg_type, to, snapshot, ..Message::default() });
        Ok(false)
    }

    /// A follower's side of InstallSnapshot.
    pub(crate) fn handle_snapshot(&mut self, message: Message) -> Result<()> {
        let snapshot = message.snapshot.ok_or(Malformed::NoSnapshotMetadata)?;
        self.restore(snapshot)?;
        self.send(Message {
            msg_type: MessageType::MsgAppendResponse.into(),
            to: message.from,
            index: self.log.committed(),
            ..Message::default()
        });
        Ok(())
    }

    /// Replaces the log and the members by the snapshot's, unless it brings nothing new or does not
    /// concern this peer.
    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        let metadata = snapshot.metadata.as_ref().ok_or(Malformed::NoSnapshotMetadata)?;
        let id = EntryId::new(metadata.term, metadata.index);
        if id.index > EntryId::LIMIT {
            return Err(Malformed::IndexRange(id.index).into());
        }
        if self.role != StateRole::Follower
            || !(self.rules.accept_snapshot)(id.index, self.log.committed())
        {
            return Ok(());
        }
        let conf_state = metadata.conf_state.clone().unwrap_or_default();
        if !conf_state.voters.contains(&self.id) {
            return Ok(());
        }
        if self.log.holds(id) {
            // The log has all that the snapshot contains: only the commit index is news.
            self.log.commit_to(id.index);
            return Ok(());
        }
        Self::check_conf_state(&conf_state)?;
        self.log.restore(snapshot);
        self.set_members(&conf_state)
    }

    /// The transport could not reach `id`: appends in flight are probably lost.
    pub(crate) fn report_unreachable(&mut self, id: u64) {
        if let Some(progress) = self.leader_view_of(id) {
            progress.on_unreachable();
        }
    }

    /// The transfer of a snapshot to `id` has ended.
    pub(crate) fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) {
        if let Some(progress) = self.leader_view_of(id) {
            progress.on_snapshot_status(status == SnapshotStatus::Finish);
        }
    }

    fn leader_view_of(&mut self, id: u64) -> Option<&mut crate::Progress> {
        let leads = self.role == StateRole::Leader;
        self.prs.get_mut(id).filter(|_| leads && id != self.id)
    }
}
