//! A store and its disk, in the order that keeps promises.

use raft_kv::{Engines, Outbox, Store, StoreConfig};

use crate::error::Result;
use crate::store::NativeStore;

/// A store, with its peer if it has one, and the file that holds what they promised. Time and the
/// network are the caller's.
#[derive(Debug)]
pub struct Replica {
    store: Store,
    disk: NativeStore,
}

impl Replica {
    /// Starts or restarts a store on an opened file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn new(config: &StoreConfig, disk: NativeStore, engines: &Engines) -> Result<Self> {
        Ok(Self { store: Store::open(config, engines, ())?, disk })
    }

    /// The store, to look at.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store, to tick, to hand messages to, and to propose to its peer. [`drive`](Self::drive)
    /// it afterwards.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The file, to compact it or to ask for its size.
    pub fn disk_mut(&mut self) -> &mut NativeStore {
        &mut self.disk
    }

    /// Makes durable all that the peer has ready, and returns what may leave now: all it rests on
    /// is on disk.
    ///
    /// # Errors
    /// The disk or the peer fails. Drop the replica then; what is on disk is good for a restart.
    pub fn drive(&mut self) -> Result<Outbox> {
        let mut output = self.store.take_outbox();
        while let Some(work) = self.store.handle_ready()? {
            self.disk.commit(&work.batches, work.must_sync)?;
            append(&mut output, Outbox { messages: work.messages, answers: work.answers });
            // Now, too: after this the peer may be gone.
            append(&mut output, self.store.take_outbox());
            self.store.persisted(work.number)?;
            append(&mut output, self.store.take_outbox());
        }
        Ok(output)
    }
}

fn append(output: &mut Outbox, more: Outbox) {
    output.messages.extend(more.messages);
    output.answers.extend(more.answers);
}
