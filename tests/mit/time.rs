//! Virtual time, and tasks that wait for it.
//!
//! A test is an `async fn` that reads like the original: it sleeps, looks, and sleeps again. Nobody
//! waits for anything but time, so no waker is needed: to sleep is to leave an event behind.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::TIME_MAX_MS;
use crate::world::{Event, World};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What happens when, in microseconds. Events of the same time happen in the order in which they
/// were added.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) now_us: u64,
    added: u64,
    order: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
}

impl Queue {
    pub(crate) fn add(&mut self, after_us: u64, event: Event) {
        self.order.push(Reverse((self.now_us + after_us, self.added)));
        self.events.insert(self.added, event);
        self.added += 1;
    }

    /// The next event; time jumps to it.
    fn next(&mut self) -> Option<Event> {
        let Reverse((at_us, number)) = self.order.pop()?;
        self.now_us = at_us;
        self.events.remove(&number)
    }
}

/// A world and the tasks that live in it.
pub(crate) struct Shared {
    pub(crate) world: RefCell<World>,
    /// By number; those that have ended are gone.
    tasks: RefCell<BTreeMap<u64, Task>>,
    spawned: Cell<u64>,
    /// The task that runs.
    current: Cell<u64>,
}

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        let tasks = RefCell::default();
        Self { world: world.into(), tasks, spawned: Cell::new(0), current: Cell::new(0) }
    }

    /// Begins a task, now. Returns its number.
    fn add_task(&self, task: Task) -> u64 {
        let number = self.spawned.replace(self.spawned.get() + 1);
        self.tasks.borrow_mut().insert(number, task);
        self.world.borrow_mut().queue.add(0, Event::Wake { task: number });
        number
    }

    fn wake(&self, number: u64) {
        // Taken out while it runs: it may begin others.
        let Some(mut task) = self.tasks.borrow_mut().remove(&number) else {
            return;
        };
        self.current.set(number);
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.tasks.borrow_mut().insert(number, task);
        }
    }
}

/// A task begun by another.
pub(crate) struct Handle<T>(Rc<Cell<Option<T>>>);

/// Begins a task that runs beside the one that calls.
pub(crate) fn spawn<T: 'static>(
    shared: &Shared,
    task: impl Future<Output = T> + 'static,
) -> Handle<T> {
    let result = Rc::new(Cell::new(None));
    let slot = result.clone();
    shared.add_task(Box::pin(async move { slot.set(Some(task.await)) }));
    Handle(result)
}

impl<T> Handle<T> {
    /// Waits until the task has ended. Looks every millisecond.
    pub(crate) async fn join(self, shared: &Shared) -> T {
        loop {
            if let Some(result) = self.0.take() {
                return result;
            }
            sleep(shared, 1000).await;
        }
    }
}

/// Lets time pass.
pub(crate) async fn sleep(shared: &Shared, us: u64) {
    let mut until = None;
    poll_fn(|_| {
        let queue = &mut shared.world.borrow_mut().queue;
        match until {
            None => {
                until = Some(queue.now_us + us);
                queue.add(us, Event::Wake { task: shared.current.get() });
                Poll::Pending
            }
            Some(until) if queue.now_us < until => Poll::Pending,
            Some(_) => Poll::Ready(()),
        }
    })
    .await;
}

/// Runs a test to its end.
pub(crate) fn run(shared: &Shared, test: impl Future<Output = ()> + 'static) {
    let main = shared.add_task(Box::pin(test));
    while shared.tasks.borrow().contains_key(&main) {
        let event = shared.world.borrow_mut().queue.next();
        match event {
            Some(Event::Wake { task }) => shared.wake(task),
            Some(event) => shared.world.borrow_mut().handle(event),
            None => panic!("nothing will ever happen"),
        }
        let now_ms = shared.world.borrow().queue.now_us / 1000;
        assert!(now_ms <= TIME_MAX_MS, "test took longer than {TIME_MAX_MS} ms");
    }
    // Tasks hold the world that holds them.
    shared.tasks.borrow_mut().clear();
}
