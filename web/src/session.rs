//! The cluster of this tab: the playground, its disk, and those who wait for answers.
//!
//! Everything that changes the cluster, from the page or from `window.raft`, goes through a
//! [`Session`]; the page learns of it through one callback.

use std::cell::RefCell;
use std::rc::Rc;

use raft_sim::{Command, Op, Scenario, ScenarioError};

use crate::disk::{Batch, Disk, Loss, OpenError, Options, Writer};
use crate::frames::FrameTimes;
use crate::launch::Launch;
use crate::playground::{LoadError, Playground};

/// Script time that the world may use of one frame, in milliseconds.
const WORLD_MS: f64 = 8.0;

/// Something that a person should know, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What happened, what was kept, and what to do.
    pub(crate) text: String,
    /// The way on.
    pub(crate) remedy: Remedy,
}

/// What a button on a notice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing but to know.
    Dismiss,
    /// Load the page again.
    Reload,
    /// Take the saved cluster from the tab that runs it.
    TakeOver,
    /// Delete what is saved and start anew.
    Erase,
}

/// Something that a person does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Play or pause.
    SetRunning(bool),
    /// Handle one event.
    StepEvent,
    /// Run for one tick.
    StepTick,
    /// Set the speed.
    SetSpeed(f64),
    /// One speed up or down.
    ChangeSpeed {
        /// Up.
        faster: bool,
    },
    /// Do something to the cluster.
    Command(Command),
    /// Throw the cluster away and start a new one.
    Reset,
}

/// A request, and what to do once it is settled.
type Waiter = (u64, Box<dyn FnOnce()>);

/// The cluster of this tab.
pub(crate) struct Session {
    playground: RefCell<Playground>,
    writer: RefCell<Option<Writer>>,
    notices: RefCell<Vec<Notice>>,
    waiters: RefCell<Vec<Waiter>>,
    on_change: RefCell<Option<Rc<dyn Fn()>>>,
    times: RefCell<FrameTimes>,
}

impl Session {
    /// Opens the cluster that `launch` asks for: the saved one, or one in memory.
    ///
    /// # Errors
    /// Only if not even a fresh cluster can run.
    pub(crate) async fn open(launch: &Launch) -> Result<Rc<Self>, ScenarioError> {
        let scenario = Scenario::new(launch.seed.unwrap_or_else(fresh_seed));
        let mut playground = Playground::new(&scenario, !launch.paused)?;
        if let Some(speed) = launch.speed {
            playground.pace_mut().set_speed(speed);
        }
        let session = Rc::new(Self {
            playground: RefCell::new(playground),
            writer: RefCell::new(None),
            notices: RefCell::new(Vec::new()),
            waiters: RefCell::new(Vec::new()),
            on_change: RefCell::new(None),
            times: RefCell::new(FrameTimes::default()),
        });
        if !launch.in_memory() {
            session.open_disk(Options::default()).await;
        }
        Ok(session)
    }

    /// Takes the saved cluster, or writes this one if nothing is saved. Whatever keeps it from
    /// that becomes a notice, and the cluster stays in memory.
    pub(crate) async fn open_disk(self: &Rc<Self>, options: Options) {
        let on_loss = {
            let session = Rc::downgrade(self);
            move |loss: Loss| {
                if let Some(session) = session.upgrade() {
                    session.lose_disk(&loss);
                }
            }
        };
        match Disk::open(&options, on_loss).await {
            Ok((disk, contents)) => {
                for warning in &contents.warnings {
                    self.notify(warning.to_string(), Remedy::Dismiss);
                }
                let running = self.playground.borrow().pace().is_running();
                match Playground::load(&contents, running) {
                    Ok(loaded) => self.attach(disk, loaded),
                    Err(error) => self.refuse_contents(&error),
                }
            }
            Err(error) => self.refuse_disk(&error),
        }
        self.changed();
    }

    fn attach(self: &Rc<Self>, disk: Disk, loaded: Option<Playground>) {
        let durable = disk.mark().sequence;
        let writer = {
            let session = Rc::downgrade(self);
            Writer::new(disk, move |durable| {
                if let Some(session) = session.upgrade() {
                    session.playground.borrow_mut().note_durable(durable);
                    session.changed();
                }
            })
        };
        let was_saved = loaded.is_some();
        let everything = {
            let mut playground = self.playground.borrow_mut();
            if let Some(mut loaded) = loaded {
                loaded.pace_mut().set_speed(playground.pace().speed());
                *playground = loaded;
            }
            playground.keep_saved(durable)
        };
        if !was_saved {
            writer.push(everything);
        }
        *self.writer.borrow_mut() = Some(writer);
    }

    fn refuse_contents(&self, error: &LoadError) {
        let text = format!(
            "The saved cluster cannot be started: {error}. Nothing was deleted. \
             This tab runs another cluster in memory; reset to start with an empty disk"
        );
        self.notify(text, Remedy::Erase);
    }

    fn refuse_disk(&self, error: &OpenError) {
        let remedy = match error {
            OpenError::Held => Remedy::TakeOver,
            OpenError::Unreadable { .. } => Remedy::Erase,
            OpenError::Newer | OpenError::Blocked | OpenError::Other(_) => Remedy::Reload,
            _ => Remedy::Dismiss,
        };
        self.notify(error.to_string(), remedy);
    }

    /// The disk is gone: what was acknowledged stays acknowledged, the rest lives in memory.
    fn lose_disk(&self, loss: &Loss) {
        *self.writer.borrow_mut() = None;
        self.playground.borrow_mut().forget_disk();
        self.notify(loss.to_string(), Remedy::Reload);
        self.changed();
    }

    fn notify(&self, text: String, remedy: Remedy) {
        self.notices.borrow_mut().push(Notice { text, remedy });
    }

    /// What a person should know at the moment.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.notices.borrow().clone()
    }

    /// The person has read the notice.
    pub(crate) fn dismiss(&self, notice: &Notice) {
        self.notices.borrow_mut().retain(|other| other != notice);
        self.changed();
    }

    /// `callback` is called after every change that did not come with a frame.
    pub(crate) fn on_change(&self, callback: Rc<dyn Fn()>) {
        *self.on_change.borrow_mut() = Some(callback);
    }

    /// Tells everybody that something changed.
    fn changed(&self) {
        self.answer_waiters();
        let callback = self.on_change.borrow().clone();
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Looks at the playground.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Playground) -> T) -> T {
        look(&self.playground.borrow())
    }

    /// How long the page's script took in the last frames.
    pub(crate) fn times(&self) -> &RefCell<FrameTimes> {
        &self.times
    }

    /// A frame begins: time passes, and what became durable goes to the disk.
    pub(crate) fn frame(&self, frame_ms: f64) {
        let deadline = crate::frames::now_ms() + WORLD_MS;
        self.playground.borrow_mut().frame(frame_ms, || crate::frames::now_ms() < deadline);
        self.save();
        self.answer_waiters();
    }

    /// The page was hidden: the time in between does not count.
    pub(crate) fn forget_gap(&self) {
        self.playground.borrow_mut().pace_mut().forget_gap();
    }

    /// Does what a person asks.
    ///
    /// # Errors
    /// A command that does not fit the cluster; nothing is done.
    pub(crate) fn act(&self, action: Action) -> Result<(), ScenarioError> {
        {
            let mut playground = self.playground.borrow_mut();
            match action {
                Action::SetRunning(running) => playground.pace_mut().set_running(running),
                Action::StepEvent => drop(playground.step(1)),
                Action::StepTick => playground.step_tick(),
                Action::SetSpeed(speed) => playground.pace_mut().set_speed(speed),
                Action::ChangeSpeed { faster } => playground.pace_mut().change_speed(faster),
                Action::Command(command) => playground.apply(command)?,
                Action::Reset => {
                    drop(playground);
                    self.reset()?;
                }
            }
        }
        self.save();
        self.changed();
        Ok(())
    }

    /// Handles `events` events whatever the pace. Returns how many there were.
    pub(crate) fn step(&self, events: u64) -> u64 {
        let handled = self.playground.borrow_mut().step(events);
        self.save();
        self.changed();
        handled
    }

    /// Sends a request; `done` is called once it has ended and its end is safe from a power cut.
    ///
    /// # Errors
    /// A request that does not fit; it is not sent.
    pub(crate) fn request(
        &self,
        op: Op,
        to: Option<u64>,
        done: impl FnOnce() + 'static,
    ) -> Result<u64, ScenarioError> {
        self.act(Action::Command(Command::Request { client: 0, op, to }))?;
        let id = self.look(|playground| playground.world().last_request());
        self.waiters.borrow_mut().push((id, Box::new(done)));
        Ok(id)
    }

    /// A new cluster with a new seed; on disk too, if there is one.
    fn reset(&self) -> Result<(), ScenarioError> {
        let running = self.look(|playground| playground.pace().is_running());
        let speed = self.look(|playground| playground.pace().speed());
        let mut fresh = Playground::new(&Scenario::new(fresh_seed()), running)?;
        fresh.pace_mut().set_speed(speed);
        let writer = self.writer.borrow().clone();
        if let Some(writer) = writer {
            let mut batch = Batch::default();
            batch.clear();
            batch.merge(fresh.keep_saved(writer.durable()));
            if let Some(pushed) = writer.push(batch) {
                fresh.note_pushed(pushed);
            }
        }
        *self.playground.borrow_mut() = fresh;
        // Whoever waits for the old cluster learns that nobody knows any more.
        let abandoned = self.waiters.take();
        abandoned.into_iter().for_each(|(_, done)| done());
        Ok(())
    }

    /// Hands what has become durable in the world to the browser's disk, as one batch. Nothing is
    /// borrowed while the disk works: it may report a loss at any time.
    fn save(&self) {
        let batch = self.playground.borrow_mut().take_writes();
        let writer = self.writer.borrow().clone();
        // Without a disk nothing is collected; a lost one reports itself.
        if let Some(pushed) = writer.and_then(|writer| writer.push(batch)) {
            self.playground.borrow_mut().note_pushed(pushed);
        }
    }

    fn answer_waiters(&self) {
        let settled = |(id, _): &mut Waiter| self.look(|playground| playground.is_settled(*id));
        let done: Vec<Waiter> = self.waiters.borrow_mut().extract_if(.., settled).collect();
        for (_, done) in done {
            done();
        }
    }
}

/// A seed that nobody has seen before: the only chance in the page that is not repeatable.
fn fresh_seed() -> u64 {
    // Short seeds are easier to say and to type. A browser without randomness gets a fixed one.
    getrandom::u32().map_or(1, |seed| u64::from(seed % 1_000_000))
}
