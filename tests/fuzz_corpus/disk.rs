//! A disk that fails at random.

use std::cell::Cell;

use raft_core::eraftpb::{Entry, Snapshot};
use raft_core::{MemStorage, RaftState, Storage, StorageError};

/// Reads as [`MemStorage`] does, except that some reads fail.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) inner: MemStorage,
    /// Draws which reads fail; 0 if none do.
    draw: Cell<u64>,
}

impl Disk {
    pub(crate) fn new(inner: MemStorage) -> Self {
        Self { inner, draw: Cell::new(0) }
    }

    /// From now on reads fail, or no more with 0.
    pub(crate) fn fail(&self, seed: u64) {
        self.draw.set(seed);
    }

    fn read<T>(&self, value: Result<T, StorageError>) -> Result<T, StorageError> {
        let mut draw = self.draw.get();
        if draw == 0 {
            return value;
        }
        draw ^= draw << 13;
        draw ^= draw >> 7;
        draw ^= draw << 17;
        self.draw.set(draw);
        match draw >> 32 & 15 {
            0 => Err(StorageError::Compacted),
            1 => Err(StorageError::Unavailable),
            2 => Err(StorageError::SnapshotTemporarilyUnavailable),
            3 => Err(StorageError::SnapshotOutOfDate),
            4 => Err(StorageError::Corrupt("drawn")),
            _ => value,
        }
    }
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        self.read(self.inner.initial_state())
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.read(self.inner.entries(low, high, max_size))
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.read(self.inner.term(index))
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        self.read(self.inner.first_index())
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        self.read(self.inner.last_index())
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.read(self.inner.snapshot())
    }
}
