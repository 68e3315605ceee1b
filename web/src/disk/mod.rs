//! The peers' disk: an IndexedDB database, written by one tab in one ordered stream.
//!
//! Every peer's two engines and the cluster record live in **one database**, and every write is
//! **one strict transaction** over all of it. Whatever suffix of the stream a power cut may take,
//! what is left is a consistent cut through the whole cluster: a state it really was in. A write
//! counts once its transaction is `complete`, never at a request's success; an aborted one never
//! happened.
//!
//! | store | key | value |
//! | --- | --- | --- |
//! | `raft`, `kv` | `[peer id, engine key bytes]` | bytes |
//! | `meta` | `"cluster"` | bytes, the caller's own |
//! | `meta` | `"epoch"`, `"sequence"` | numbers, see [`Mark`] |
//!
//! Three guards keep a second tab out. A Web Lock is held for the life of the [`Disk`]. Each
//! opening raises the epoch in `meta`, and each write transaction reads it back and aborts unless
//! it is still ours: the holder of a stolen lock may be frozen, and wake in mid-write. A witness
//! in localStorage remembers the last [`Mark`], since browsers roll damaged databases back
//! without an error.
//!
//! Nothing here panics, and nothing is deleted unless the caller asks: [`Options::erase`],
//! [`Disk::reset`], [`Batch::clear`]. Without a disk the caller simply keeps its data in memory.

mod batch;
mod contents;
mod error;
mod idb;
mod lock;
mod watch;
mod witness;
mod writer;

use std::rc::Rc;

pub use batch::{Batch, Store};
pub use contents::{Contents, Records};
pub use error::{Fault, Loss, OpenError, Warning};
pub use witness::Mark;
pub use writer::Writer;

use idb::Database;
use lock::TabLock;
use watch::Watch;
use witness::Witness;

/// The playground's database. Its Web Lock has the same name.
pub const NAME: &str = "raft-playground";

/// What to open, and what the person has agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the database and of its lock.
    pub name: String,
    /// Take the disk from the tab that holds it. Only on the person's click.
    pub take_over: bool,
    /// Start empty, deleting whatever is stored, readable or not. Only on the person's click.
    pub erase: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: NAME.into(), take_over: false, erase: false }
    }
}

/// The disk, ours until it is dropped or lost. Dropping it closes the database once the running
/// transaction is done, and lets the lock go.
pub struct Disk {
    database: Database,
    /// None in a browser without Web Locks, where the epoch alone keeps writers apart.
    _lock: Option<TabLock>,
    watch: Rc<Watch>,
    witness: Witness,
    mark: Mark,
}

impl Disk {
    /// Takes the lock, loads what is stored and raises the epoch.
    ///
    /// `on_loss` is called once if writing ends, for whatever reason. All commits from then on
    /// fail with the same [`Loss`]. One comes at once, before this returns: [`Loss::Full`], so
    /// that what is stored can be shown even when there is no room for a single write.
    ///
    /// # Errors
    /// Every reason not to have a disk. Nothing stored was changed; going on in memory is always
    /// possible.
    pub async fn open(
        options: &Options,
        on_loss: impl FnOnce(Loss) + 'static,
    ) -> Result<(Self, Contents), OpenError> {
        let watch = Rc::new(Watch::default());
        let lock = lock::take(&options.name, options.take_over, &watch).await?;
        let no_lock = lock.is_none().then_some(Warning::NoLock);
        let database = idb::open(&options.name).await?;
        watch.guard(&database);
        let witness = Witness::of(&options.name);
        let mut disk = Self { database, _lock: lock, watch, witness, mark: Mark::default() };
        let mut contents = disk.load(options.erase).await?;
        contents.warnings.extend(no_lock);
        if options.erase {
            // Only now: an earlier holder can no longer add to what is left.
            batch::erase(&disk.database).await?;
        }
        disk.watch.report_to(on_loss)?;
        Ok((disk, contents))
    }

    /// Loads what is stored and raises the epoch in one transaction: all earlier openings find a
    /// higher epoch than theirs, and none can write in between.
    async fn load(&mut self, erase: bool) -> Result<Contents, OpenError> {
        let transaction = self.database.write()?;
        // If this fails, the transaction ends without having changed anything.
        let mut contents = if erase {
            contents::read_counters(&transaction).await?
        } else {
            contents::read(&transaction).await?
        };
        if !erase {
            contents.warnings.extend(self.witness.doubt(contents.mark));
        }
        // A database that was rolled back must not count again through epochs it once had.
        let highest = contents.mark.epoch.max(self.witness.read().epoch);
        let next = Mark { epoch: highest + 1, ..contents.mark };
        match Batch::default().send(&transaction, next).await {
            Ok(()) => {
                contents.mark = next;
                self.witness.write(next);
            }
            Err(Loss::Full) => drop(self.watch.lose(Loss::Full)),
            Err(loss) => return Err(loss.into()),
        }
        self.mark = contents.mark;
        Ok(contents)
    }

    /// Writes the batch in one strict transaction. Resolves when it is complete, with the number
    /// of the batch in the stream: it and all before it are durable.
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub async fn commit(&mut self, batch: &Batch) -> Result<u64, Loss> {
        let next = Mark {
            epoch: self.mark.epoch + u64::from(batch.clears()),
            sequence: self.mark.sequence + batch.parts(),
        };
        self.write(batch, next).await?;
        Ok(next.sequence)
    }

    /// Deletes the records of all peers and the cluster record in one transaction. The database
    /// stays open, and the epoch rises.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn reset(&mut self) -> Result<u64, Loss> {
        let mut batch = Batch::default();
        batch.clear();
        self.commit(&batch).await
    }

    /// How far the stored stream has come.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    async fn write(&mut self, batch: &Batch, next: Mark) -> Result<(), Loss> {
        if let Some(loss) = self.watch.loss() {
            return Err(loss);
        }
        let outcome = batch.write(&self.database, self.mark.epoch, next).await;
        outcome.map_err(|loss| self.watch.lose(loss))?;
        self.mark = next;
        self.witness.write(next);
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.database.close();
    }
}
