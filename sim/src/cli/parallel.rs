//! Threads, whose number changes no result: what they find is handed on in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

/// As many threads as there are cores.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does `work` for every item, and hands the results to `each` in the order of the items, until it
/// has enough. After `deadline` no item is begun: what was done by then is a beginning of the
/// whole.
pub(crate) fn in_order<I: Send, T: Send>(
    items: impl Iterator<Item = I> + Send,
    jobs: Option<NonZeroUsize>,
    deadline: Option<Instant>,
    work: impl Fn(I) -> T + Sync,
    mut each: impl FnMut(T) -> ControlFlow<()>,
) {
    let items = Mutex::new(items.enumerate());
    let enough = AtomicBool::new(false);
    let is_over = || {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late || enough.load(Ordering::Relaxed)
    };
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..jobs.unwrap_or_else(cores).get() {
            let (sender, next, is_over, work) = (sender.clone(), &next, &is_over, &work);
            scope.spawn(move || {
                while !is_over() {
                    let Some((position, item)) = next() else { return };
                    if sender.send((position, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (position, result) in receiver {
            early.insert(position, result);
            while let Some(result) = early.remove(&due) {
                due += 1;
                if each(result).is_break() {
                    enough.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}
