//! Both engines of a peer in one file.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use raft_kv::{Batches, Engines, MemEngine, WriteBatch};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    StorageBackend, TableDefinition, TableError, WriteTransaction,
};

use crate::error::{Error, Result};
use crate::file;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const RAFT: Table = TableDefinition::new("raft");
const KV: Table = TableDefinition::new("kv");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

/// Key in [`META`].
const FORMAT: &str = "format";
/// How this version lays out a file.
const FORMAT_VERSION: u64 = 1;

/// The engines are in memory; what the database caches is only to save it from reading back.
const CACHE_BYTES: usize = 16 << 20;

/// A file that holds both engines of a peer. It is locked while it is open.
#[derive(Debug)]
pub struct NativeStore {
    database: Database,
    /// Something was committed that a crash would take back.
    unsynced: bool,
    /// A commit failed: nobody knows what is on the disk.
    failed: bool,
}

/// What a file is made of, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Keys and values of both engines.
    pub records: u64,
    /// What it takes to find them.
    pub index: u64,
    /// Free space; [`NativeStore::compact`] may give it back.
    pub free: u64,
}

impl NativeStore {
    /// Opens the store at `path`, after verifying every checksum, or creates an empty one. Also
    /// returns what it holds.
    ///
    /// # Errors
    /// [`Error::InUse`] if it is open already; [`Error::NotAStore`], [`Error::Version`] and
    /// [`Error::Damaged`] by what is wrong with the file; [`Error::Io`] if it cannot be accessed.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, Engines)> {
        let file = file::open(path.as_ref())?;
        Self::with_backend(FileBackend::new(file).map_err(Error::database)?)
    }

    /// [`open`](Self::open) on anything that can be read and written like a file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_backend(backend: impl StorageBackend) -> Result<(Self, Engines)> {
        // The database looks at its free space before it verifies anything, and panics on nonsense.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| Self::open_verified(backend)));
        opened.unwrap_or_else(|_| Err(Error::Damaged("the database gives up on it".into())))
    }

    fn open_verified(backend: impl StorageBackend) -> Result<(Self, Engines)> {
        file::prepare(&backend)?;
        let verified = Arc::new(AtomicBool::new(false));
        let repairing = Arc::clone(&verified);
        let mut database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_repair_callback(move |_| repairing.store(true, Ordering::Relaxed))
            .create_with_backend(backend)
            .map_err(Error::database)?;
        // After a crash the database has just read and verified all of itself. Otherwise it trusts
        // the file, but a disk can lose bits while nobody looks.
        if !verified.load(Ordering::Relaxed) {
            database.check_integrity().map_err(Error::database)?;
        }
        check_format(&database)?;
        let engines = read(&database)?;
        Ok((Self { database, unsynced: false, failed: false }, engines))
    }

    /// Writes both batches as one transaction. With `sync` it is on disk when this returns, and so
    /// is everything before it. Without, a crash may take it back: the whole of it, together with
    /// whatever else was committed since the last sync.
    ///
    /// # Errors
    /// The disk fails. From then on every commit is refused, as [`Error::Failed`]: the engines in
    /// memory are ahead of the disk.
    pub fn commit(&mut self, batches: &Batches, sync: bool) -> Result<()> {
        if self.failed {
            return Err(Error::Failed);
        }
        if batches.is_empty() && !(sync && self.unsynced) {
            return Ok(());
        }
        self.failed = true;
        self.write(batches, sync)?;
        self.failed = false;
        self.unsynced = !sync;
        Ok(())
    }

    fn write(&self, batches: &Batches, sync: bool) -> Result<()> {
        let mut transaction = begin_write(&self.database)?;
        if !sync {
            transaction.set_durability(Durability::None).map_err(Error::database)?;
        }
        write_batch(&transaction, RAFT, &batches.raft)?;
        write_batch(&transaction, KV, &batches.kv)?;
        transaction.commit().map_err(Error::database)
    }

    /// What the file is made of. Reads the whole index.
    ///
    /// # Errors
    /// The disk fails.
    pub fn size(&self) -> Result<Size> {
        let transaction = begin_write(&self.database)?;
        let stats = transaction.stats().map_err(Error::database)?;
        transaction.abort().map_err(Error::database)?;
        Ok(Size {
            records: stats.stored_bytes(),
            index: stats.metadata_bytes(),
            free: stats.fragmented_bytes(),
        })
    }

    /// Moves records together and gives free space back to the file system. Rewrites much of the
    /// file, so it is for quiet times. Returns whether anything could be done.
    ///
    /// # Errors
    /// The disk fails. From then on every commit is refused.
    pub fn compact(&mut self) -> Result<bool> {
        if self.failed {
            return Err(Error::Failed);
        }
        self.failed = true;
        let compacted = self.database.compact().map_err(Error::database)?;
        self.failed = false;
        Ok(compacted)
    }
}

/// Commits in two phases: the data is synced before the byte that makes it count. In one phase, a
/// restart could not tell a damaged commit from one that was cut short, and would roll it back.
fn begin_write(database: &Database) -> Result<WriteTransaction> {
    let mut transaction = database.begin_write().map_err(Error::database)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn write_batch(transaction: &WriteTransaction, table: Table, batch: &WriteBatch) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(table).map_err(Error::database)?;
    for (key, value) in batch.iter() {
        match value {
            Some(value) => table.insert(&key[..], &value[..]),
            None => table.remove(&key[..]),
        }
        .map_err(Error::database)?;
    }
    Ok(())
}

/// Whether the file is a store of a format that this version knows. An empty database becomes one.
fn check_format(database: &Database) -> Result<()> {
    let transaction = database.begin_read().map_err(Error::database)?;
    let meta = match transaction.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return create(database, &transaction),
        meta => meta.map_err(Error::database)?,
    };
    let format = meta.get(FORMAT).map_err(Error::database)?.map(|format| format.value());
    match format {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) => Err(Error::Version { found, known: FORMAT_VERSION }),
        None => Err(Error::NotAStore("a database that does not say its format")),
    }
}

fn create(database: &Database, found: &ReadTransaction) -> Result<()> {
    if found.list_tables().map_err(Error::database)?.next().is_some() {
        return Err(Error::NotAStore("a database of another make"));
    }
    let transaction = begin_write(database)?;
    for engine in [RAFT, KV] {
        transaction.open_table(engine).map_err(Error::database)?;
    }
    let mut meta = transaction.open_table(META).map_err(Error::database)?;
    meta.insert(FORMAT, FORMAT_VERSION).map_err(Error::database)?;
    drop(meta);
    transaction.commit().map_err(Error::database)
}

fn read(database: &Database) -> Result<Engines> {
    let transaction = database.begin_read().map_err(Error::database)?;
    Ok(Engines { raft: read_table(&transaction, RAFT)?, kv: read_table(&transaction, KV)? })
}

fn read_table(transaction: &ReadTransaction, table: Table) -> Result<MemEngine> {
    let table = transaction.open_table(table).map_err(Error::database)?;
    let records = table.iter().map_err(Error::database)?.map(|record| {
        let (key, value) = record.map_err(Error::database)?;
        Ok((key.value().into(), Bytes::copy_from_slice(value.value())))
    });
    records.collect()
}
