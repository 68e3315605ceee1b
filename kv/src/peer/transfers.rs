//! Snapshots that leave and arrive.

use raft_core::eraftpb::Message;
use raft_core::proto::metapb::Peer as Member;
use raft_core::proto::raft_serverpb::{RaftMessage, RaftSnapshotData, SnapshotAck, SnapshotChunk};
use raft_core::{EntryId, SnapshotStatus, Tracer};

use super::Peer;
use crate::error::{Error, Result};
use crate::snapshot::{CHUNK_BYTES, Sender, Transfer};

type Pieces = Vec<(SnapshotChunk, Option<Message>)>;

impl<T: Tracer> Peer<T> {
    /// Snapshots on their way to others: to whom, and how many pieces are acknowledged.
    pub fn transfers(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.senders.iter().map(|sender| (sender.to.id, sender.done()))
    }

    /// The core sends a snapshot: a view of its records is opened, and their first pieces leave.
    /// A snapshot under way to the same peer gives way.
    pub(super) fn begin_transfer(&mut self, to: Member, message: Message) -> Vec<RaftMessage> {
        self.end_transfer(to.id);
        let id = message.snapshot.as_deref().map(EntryId::of_snapshot).unwrap_or_default();
        let view = self.node.store_mut().open_view();
        self.senders.push(Sender::new(to, id, message, view, CHUNK_BYTES));
        self.fill(self.senders.len() - 1)
    }

    /// Makes as many pieces of a transfer as may be under way.
    fn fill(&mut self, position: usize) -> Vec<RaftMessage> {
        let sender = &mut self.senders[position];
        let (to, view, storage) = (sender.to, sender.view, self.node.store_mut());
        let pieces = sender.fill(|bytes_min| storage.read_view(view, bytes_min));
        self.address(to, pieces)
    }

    fn address(&self, to: Member, pieces: Pieces) -> Vec<RaftMessage> {
        let address = |(chunk, message): (SnapshotChunk, Option<Message>)| RaftMessage {
            snapshot_chunk: Some(Box::new(chunk)),
            message: message.map(Box::new),
            ..self.envelope(to)
        };
        pieces.into_iter().map(address).collect()
    }

    fn end_transfer(&mut self, to: u64) {
        let mut ended = self.senders.extract_if(.., |sender| sender.to.id == to);
        if let Some(sender) = ended.next() {
            self.node.store_mut().close_view(sender.view);
        }
    }

    /// The peer leads no longer: somebody else will send.
    pub(super) fn abandon_transfers(&mut self) {
        for sender in std::mem::take(&mut self.senders) {
            self.node.store_mut().close_view(sender.view);
        }
    }

    pub(super) fn transfer_acknowledged(&mut self, from: u64, ack: &SnapshotAck) {
        let Some(position) = self.senders.iter().position(|sender| sender.to.id == from) else {
            return;
        };
        match self.senders[position].acknowledged(ack) {
            Transfer::Continues => {
                let pieces = self.fill(position);
                self.outbox.messages.extend(pieces);
            }
            Transfer::Finished => {
                self.end_transfer(from);
                self.report_snapshot(from, SnapshotStatus::Finish);
            }
            Transfer::Failed => {
                self.end_transfer(from);
                self.report_snapshot(from, SnapshotStatus::Failure);
            }
        }
    }

    pub(super) fn tick_transfers(&mut self) {
        let timeout = self.config.election_tick;
        for position in (0..self.senders.len()).rev() {
            let to = self.senders[position].to;
            match self.senders[position].tick(timeout) {
                Ok(pieces) => {
                    let pieces = self.address(to, pieces);
                    self.outbox.messages.extend(pieces);
                }
                Err(_) => {
                    self.end_transfer(to.id);
                    self.report_snapshot(to.id, SnapshotStatus::Failure);
                }
            }
        }
    }

    /// A piece of a snapshot arrived; the last one with its message.
    pub(super) fn receive_chunk(
        &mut self,
        chunk: &SnapshotChunk,
        from: Member,
        message: Option<Message>,
    ) -> Result<()> {
        if chunk.last {
            self.check_snapshot(chunk, message.as_ref())?;
        }
        let id = EntryId::new(chunk.term, chunk.index);
        let committed = self.raft().log().committed();
        let news = (self.config.rules.accept_snapshot)(id.index, committed);
        self.receiver.drop_stale(committed);
        let received = self.receiver.receive(chunk, from.id, news);
        let snapshot_ack = Some(received.ack);
        let ack = RaftMessage { snapshot_ack, ..self.envelope(from) };
        self.outbox.messages.push(ack);
        if let Some(message) = message.filter(|_| received.complete) {
            self.node.step(message)?;
            let pending = self.raft().log().pending_snapshot().map(EntryId::of_snapshot);
            if let Some(id) = pending {
                self.receiver.accept(id);
            }
        }
        match received.refused {
            Some(_) => Err(Error::Snapshot(received.refused.unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// Refuses a snapshot that does not fit its pieces or this peer (TinyKV `checkSnapshot`).
    fn check_snapshot(&self, chunk: &SnapshotChunk, message: Option<&Message>) -> Result<()> {
        let snapshot = message.and_then(|message| message.snapshot.as_deref());
        let snapshot = snapshot.ok_or(Error::Snapshot("its message is missing"))?;
        if EntryId::of_snapshot(snapshot) != EntryId::new(chunk.term, chunk.index) {
            return Err(Error::Snapshot("its message is another snapshot's"));
        }
        let data: Result<RaftSnapshotData, _> = prost::Message::decode(snapshot.data.clone());
        let region = data.ok().and_then(|data| data.region);
        let region = region.ok_or(Error::Snapshot("it has no region"))?;
        if region.id != self.region().id {
            return Err(Error::Snapshot("it is of another region"));
        }
        if region.peers.iter().all(|peer| peer.id != self.me.id) {
            return Err(Error::Snapshot("this peer is no member in it"));
        }
        Ok(())
    }
}
