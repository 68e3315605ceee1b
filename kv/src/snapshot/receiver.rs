//! The receiving side.

use std::cmp::Ordering;

use raft_core::EntryId;
use raft_core::proto::raft_serverpb::{SnapshotAck, SnapshotChunk, SnapshotProgress};

use super::stream::Decoder;
use crate::engine::Record;

/// The pieces of a snapshot that have arrived. They are not durable: after a crash the sender
/// begins again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    coming: Option<Coming>,
    /// The one whose message the core has accepted. It stays until it is installed, whatever comes
    /// meanwhile: copies of its pieces, or the pieces of a newer one.
    accepted: Option<Coming>,
}

#[derive(Clone, Debug)]
struct Coming {
    id: EntryId,
    /// Who sends it.
    from: u64,
    next: u64,
    total: crc32fast::Hasher,
    stream: Decoder,
    complete: bool,
}

/// What a piece leads to.
#[derive(Debug, PartialEq)]
pub(crate) struct Received {
    /// To be sent back.
    pub(crate) ack: SnapshotAck,
    /// The snapshot is complete: its message may be handled.
    pub(crate) complete: bool,
    /// Why the piece was not taken, if it was not.
    pub(crate) refused: Option<&'static str>,
}

impl Receiver {
    /// A piece arrived from peer `from`. Unless the snapshot brings `news`, this peer has all of it
    /// already.
    pub(crate) fn receive(&mut self, chunk: &SnapshotChunk, from: u64, news: bool) -> Received {
        let id = EntryId::new(chunk.term, chunk.index);
        if !news {
            return answer(id, chunk.number.saturating_add(1), SnapshotProgress::Complete, None);
        }
        let same = self.coming.as_ref().is_some_and(|c| (c.id, c.from) == (id, from));
        if chunk.number == 0 && !same {
            // Another snapshot, or another leader's, takes the place of what came so far.
            self.coming = Some(Coming::new(id, from));
        }
        let coming = self.coming.as_mut().filter(|c| (c.id, c.from) == (id, from));
        if chunk.acknowledged > coming.as_ref().map_or(0, |coming| coming.next) {
            // It was acknowledged, so the sender no longer has it.
            if coming.is_some() {
                self.coming = None;
            }
            return answer(id, 0, SnapshotProgress::Refused, Some("what came before is lost"));
        }
        let Some(coming) = coming else {
            return answer(id, 0, SnapshotProgress::Wanted, Some("its beginning is missing"));
        };
        match chunk.number.cmp(&coming.next) {
            Ordering::Equal if !coming.complete => coming.take(chunk),
            Ordering::Greater => {
                answer(id, coming.next, SnapshotProgress::Wanted, Some("a piece is missing"))
            }
            Ordering::Less | Ordering::Equal => {
                // The last piece brings the message: if that was lost, so is its copy welcome.
                let complete = coming.complete && chunk.last;
                Received { complete, ..answer(id, coming.next, SnapshotProgress::Wanted, None) }
            }
        }
    }

    /// The core has accepted this snapshot's message.
    pub(crate) fn accept(&mut self, id: EntryId) {
        if let Some(coming) = self.coming.take_if(|coming| coming.id == id && coming.complete) {
            self.accepted = Some(coming);
        }
    }

    /// Takes the records of an accepted snapshot.
    pub(crate) fn take(&mut self, id: EntryId) -> Option<Vec<Record>> {
        let accepted = self.accepted.take_if(|accepted| accepted.id == id)?;
        Some(accepted.stream.into_records())
    }

    /// Everything up to `committed` is here by other ways.
    pub(crate) fn drop_stale(&mut self, committed: u64) {
        self.coming.take_if(|coming| coming.id.index <= committed);
    }
}

impl Coming {
    fn new(id: EntryId, from: u64) -> Self {
        let total = crc32fast::Hasher::new();
        Self { id, from, next: 0, total, stream: Decoder::default(), complete: false }
    }

    fn take(&mut self, chunk: &SnapshotChunk) -> Received {
        let wanted = |refused| answer(self.id, self.next, SnapshotProgress::Wanted, refused);
        if crc32fast::hash(&chunk.data) != chunk.checksum {
            return wanted(Some("its checksum is wrong"));
        }
        self.total.update(&chunk.data);
        if chunk.last && self.total.clone().finalize() != chunk.total_checksum {
            return self.refuse("the checksum of the whole is wrong");
        }
        if let Err(reason) = self.stream.take(&chunk.data) {
            return self.refuse(reason);
        }
        if chunk.last && !self.stream.is_whole() {
            return self.refuse("its end is missing");
        }
        self.next += 1;
        self.complete = chunk.last;
        Received {
            complete: self.complete,
            ..answer(self.id, self.next, SnapshotProgress::Wanted, None)
        }
    }

    /// Whatever comes of this snapshot is of no use.
    fn refuse(&mut self, reason: &'static str) -> Received {
        *self = Self::new(self.id, self.from);
        answer(self.id, 0, SnapshotProgress::Refused, Some(reason))
    }
}

fn answer(
    id: EntryId,
    next: u64,
    progress: SnapshotProgress,
    refused: Option<&'static str>,
) -> Received {
    let ack = SnapshotAck { index: id.index, term: id.term, next, progress: progress.into() };
    Received { ack, complete: false, refused }
}
