//! What the page shows, computed from the world. Plain data: tested natively, compared by pointer.

mod events;
mod log;
mod requests;
mod stage;

use std::ops::Deref;
use std::rc::Rc;

pub use events::{EventLine, Events, Weight};
pub use log::{Cell, Lane, LogView};
pub use requests::{RequestLine, RequestState};
pub use stage::{FlightView, Link, Loss, PeerView, Power, Shape, StageView};

use crate::playground::Playground;

/// Data that is replaced, never changed: equal only if it is the very same.
#[derive(Debug)]
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    /// Shares `value`.
    pub fn new(value: T) -> Self {
        Self(Rc::new(value))
    }
}

impl<T: PartialEq> Shared<T> {
    /// Takes `value` unless it equals what is there, so that nothing is drawn twice.
    pub fn replace(&mut self, value: T) {
        if *self.0 != value {
            *self = Self::new(value);
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What the bar shows.
#[derive(Clone, Debug, PartialEq)]
pub struct BarView {
    /// Virtual time in milliseconds.
    pub now_ms: u64,
    /// Virtual time passes.
    pub running: bool,
    /// Virtual seconds per real second.
    pub speed: f64,
    /// The machine cannot keep up.
    pub slowed: bool,
    /// Somebody keeps the disks.
    pub saved: bool,
    /// The rule that was broken, in words.
    pub violation: Option<String>,
    /// The seed of the run.
    pub seed: u64,
}

/// Everything that the page shows of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The bar.
    pub bar: Shared<BarView>,
    /// Peers and messages in flight.
    pub stage: Shared<StageView>,
    /// The logs.
    pub log: Shared<LogView>,
    /// Requests of clients, latest first.
    pub requests: Shared<Vec<RequestLine>>,
    /// What happened, latest first.
    pub events: Shared<Events>,
}

impl View {
    /// The first view.
    pub fn new(playground: &Playground) -> Self {
        Self {
            bar: Shared::new(bar(playground)),
            stage: Shared::new(StageView::of(playground.world())),
            log: Shared::new(LogView::of(playground.world())),
            requests: Shared::new(requests::lines(playground)),
            events: Shared::new(Events::default().followed_by(playground.world())),
        }
    }

    /// Brings every part up to date; parts that did not change stay the same.
    pub fn update(&mut self, playground: &Playground) {
        let world = playground.world();
        self.bar.replace(bar(playground));
        self.stage.replace(StageView::of(world));
        self.log.replace(LogView::of(world));
        self.requests.replace(requests::lines(playground));
        if self.events.is_behind(world) {
            self.events = Shared::new(self.events.followed_by(world));
        }
    }
}

fn bar(playground: &Playground) -> BarView {
    let (world, pace) = (playground.world(), playground.pace());
    BarView {
        now_ms: world.now_us() / 1_000,
        running: pace.is_running(),
        speed: pace.speed(),
        slowed: pace.is_slowed(),
        saved: playground.is_saved(),
        violation: world.violation().map(ToString::to_string),
        seed: world.scenario().seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::Scenario;

    #[test]
    fn what_did_not_change_is_not_replaced() {
        let mut playground = Playground::new(&Scenario::new(1), true).unwrap();
        playground.step(200);
        let mut view = View::new(&playground);
        let before = view.clone();
        view.update(&playground);
        assert!(view == before);
        playground.step_tick();
        view.update(&playground);
        assert!(view.stage != before.stage && view.bar != before.bar);
    }
}
