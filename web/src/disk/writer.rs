//! The queue in front of the disk: one transaction at a time, in order.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen_futures::spawn_local;

use super::Disk;
use super::batch::Batch;
use super::error::Loss;
use super::watch::Watch;

/// Takes batches at any time and writes them in order. Batches that come while a transaction runs
/// wait, and go out together in the next: the disk sets the pace, and the queue never grows longer
/// than one batch.
///
/// The first loss is the end: later batches would leave a hole in the stream. The disk is let go,
/// and the caller, who hears of it through `on_loss` of [`Disk::open`], goes on in memory.
#[derive(Clone)]
pub struct Writer {
    queue: Rc<RefCell<Queue>>,
    watch: Rc<Watch>,
    on_durable: Rc<dyn Fn(u64)>,
}

struct Queue {
    /// Here between transactions, with the drain during one, dropped after a loss.
    disk: Option<Disk>,
    waiting: Option<Batch>,
    draining: bool,
    /// Number of the last batch that was taken.
    taken: u64,
    durable: u64,
}

impl Writer {
    /// Becomes the only writer of `disk`. After each transaction `on_durable` is called with the
    /// number of the last batch in it: this batch and all before it are durable.
    pub fn new(disk: Disk, on_durable: impl Fn(u64) + 'static) -> Self {
        let sequence = disk.mark().sequence;
        let watch = Rc::clone(&disk.watch);
        let queue = Queue {
            disk: Some(disk),
            waiting: None,
            draining: false,
            taken: sequence,
            durable: sequence,
        };
        Self { queue: Rc::new(RefCell::new(queue)), watch, on_durable: Rc::new(on_durable) }
    }

    /// Takes a batch and returns its number in the stream, or none if the disk is lost.
    ///
    /// The transaction begins when the current task of the browser ends, so that the batches of
    /// one frame go out together. An empty batch writes nothing and has the number of the last.
    pub fn push(&self, batch: Batch) -> Option<u64> {
        let mut queue = self.queue.borrow_mut();
        if self.watch.loss().is_some() {
            queue.abandon();
            return None;
        }
        if !batch.is_empty() {
            queue.take(batch);
            if !queue.draining {
                queue.draining = true;
                spawn_local(self.clone().drain());
            }
        }
        Some(queue.taken)
    }

    /// Number of the last durable batch.
    pub fn durable(&self) -> u64 {
        self.queue.borrow().durable
    }

    /// How many batches are taken but not durable.
    pub fn behind(&self) -> u64 {
        let queue = self.queue.borrow();
        queue.taken - queue.durable
    }

    /// The loss that has stopped the writer.
    pub fn loss(&self) -> Option<Loss> {
        self.watch.loss()
    }

    /// Writes what waits until nothing does. The queue is never borrowed across an await or a
    /// callback, so that a callback may push.
    async fn drain(self) {
        loop {
            let next = self.queue.borrow_mut().next();
            let Some((mut disk, batch)) = next else {
                return;
            };
            match disk.commit(&batch).await {
                Ok(sequence) => {
                    self.queue.borrow_mut().finish(disk, sequence);
                    (self.on_durable)(sequence);
                }
                Err(_) => return self.queue.borrow_mut().abandon(),
            }
        }
    }
}

impl Queue {
    fn take(&mut self, batch: Batch) {
        self.taken += batch.parts();
        match &mut self.waiting {
            Some(waiting) => waiting.merge(batch),
            None => self.waiting = Some(batch),
        }
    }

    /// What the drain is to write now; none ends it.
    fn next(&mut self) -> Option<(Disk, Batch)> {
        let next = self.disk.take_if(|_| self.waiting.is_some()).zip(self.waiting.take());
        self.draining = next.is_some();
        next
    }

    fn finish(&mut self, disk: Disk, sequence: u64) {
        self.disk = Some(disk);
        self.durable = sequence;
    }

    /// Lets the disk go, and with it the lock.
    fn abandon(&mut self) {
        self.disk = None;
        self.waiting = None;
    }
}
