//! The sending side.

use std::collections::VecDeque;

use raft_core::EntryId;
use raft_core::eraftpb::Message;
use raft_core::proto::metapb::Peer;
use raft_core::proto::raft_serverpb::{SnapshotAck, SnapshotChunk, SnapshotProgress};

use super::WINDOW;
use super::stream::{Encoder, Piece};
use crate::engine::ViewId;

/// Ticks without an answer after which pieces are sent again, in election time-outs, and how often
/// that is tried.
const RESEND_TIMEOUTS: u32 = 1;
const TRIES_MAX: u32 = 10;

/// A snapshot on its way to one peer.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) to: Peer,
    pub(crate) view: ViewId,
    id: EntryId,
    /// The `MsgSnapshot`, for the last piece.
    message: Message,
    /// Bytes of a full piece.
    piece_bytes: usize,
    stream: Encoder,
    /// Pieces that were made and are not acknowledged, the first being number `acknowledged`.
    window: VecDeque<SnapshotChunk>,
    acknowledged: u64,
    total: crc32fast::Hasher,
    made_last: bool,
    silent_ticks: u32,
    tries: u32,
}

/// What becomes of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// It goes on.
    Continues,
    /// The receiver has everything.
    Finished,
    /// The receiver does not want it, lost it, or has been silent for too long.
    Failed,
}

impl Sender {
    /// A snapshot whose pieces have so many bytes.
    pub(crate) fn new(
        to: Peer,
        id: EntryId,
        message: Message,
        view: ViewId,
        piece_bytes: usize,
    ) -> Self {
        Self {
            to,
            view,
            id,
            message,
            piece_bytes,
            stream: Encoder::default(),
            window: VecDeque::new(),
            acknowledged: 0,
            total: crc32fast::Hasher::new(),
            made_last: false,
            silent_ticks: 0,
            tries: 0,
        }
    }

    /// How many pieces are acknowledged.
    pub(crate) fn done(&self) -> u64 {
        self.acknowledged
    }

    /// Makes pieces until the window is full, and hands them out to be sent. `read` gives the next
    /// records of the view, at least so many bytes of them.
    pub(crate) fn fill(
        &mut self,
        mut read: impl FnMut(usize) -> Piece,
    ) -> Vec<(SnapshotChunk, Option<Message>)> {
        let mut out = Vec::new();
        while !self.made_last && self.window.len() < WINDOW {
            let chunk = self.make(&mut read);
            out.push(self.with_message(chunk.clone()));
            self.window.push_back(chunk);
        }
        out
    }

    fn make(&mut self, read: impl FnMut(usize) -> Piece) -> SnapshotChunk {
        let (data, last) = self.stream.next(self.piece_bytes, read);
        self.total.update(&data);
        self.made_last = last;
        SnapshotChunk {
            index: self.id.index,
            term: self.id.term,
            number: self.acknowledged + self.window.len() as u64,
            checksum: crc32fast::hash(&data),
            total_checksum: if last { self.total.clone().finalize() } else { 0 },
            data,
            last,
            acknowledged: 0,
        }
    }

    /// A piece as it leaves now.
    fn with_message(&self, chunk: SnapshotChunk) -> (SnapshotChunk, Option<Message>) {
        let chunk = SnapshotChunk { acknowledged: self.acknowledged, ..chunk };
        let message = chunk.last.then(|| self.message.clone());
        (chunk, message)
    }

    /// The receiver answered.
    pub(crate) fn acknowledged(&mut self, ack: &SnapshotAck) -> Transfer {
        if EntryId::new(ack.term, ack.index) != self.id {
            return Transfer::Continues;
        }
        match ack.progress() {
            SnapshotProgress::Complete => return Transfer::Finished,
            SnapshotProgress::Refused => return Transfer::Failed,
            // One that wants less than it had is late: a receiver that forgot something says so.
            SnapshotProgress::Wanted => {}
        }
        let made = self.acknowledged + self.window.len() as u64;
        while self.acknowledged < ack.next.min(made) {
            self.window.pop_front();
            self.acknowledged += 1;
            (self.silent_ticks, self.tries) = (0, 0);
        }
        let all = self.made_last && self.window.is_empty();
        if all { Transfer::Finished } else { Transfer::Continues }
    }

    /// A tick passed. Gives the pieces to be sent again, if it is time.
    pub(crate) fn tick(
        &mut self,
        election_tick: u32,
    ) -> Result<Vec<(SnapshotChunk, Option<Message>)>, Transfer> {
        self.silent_ticks += 1;
        if self.silent_ticks < RESEND_TIMEOUTS * election_tick {
            return Ok(Vec::new());
        }
        (self.silent_ticks, self.tries) = (0, self.tries + 1);
        if self.tries > TRIES_MAX {
            return Err(Transfer::Failed);
        }
        Ok(self.window.iter().map(|chunk| self.with_message(chunk.clone())).collect())
    }
}
