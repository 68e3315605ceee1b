//! Runs a world, and tells what happens to whoever listens.

use crate::event::Happening;
use crate::world::World;

/// Is told what happens, in order.
pub(super) type Listener<'a> = &'a mut dyn FnMut(&Happening);

/// Runs a world, and tells what happens to whoever listens.
pub(super) struct Observer<'a> {
    /// The last happening that was told.
    told: u64,
    listener: Option<Listener<'a>>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(listener: Option<Listener<'a>>) -> Self {
        Self { told: 0, listener }
    }

    /// Before the world runs: what nobody listens to need not be put into words.
    pub(super) fn prepare(&self, world: &mut World) {
        if self.listener.is_none() {
            world.remember_nothing();
        }
    }

    /// As [`World::run_until`].
    pub(super) fn run_until(&mut self, world: &mut World, time_us: u64) {
        if self.listener.is_some() {
            while world.next_event_us().is_some_and(|next| next <= time_us) && world.step() {
                self.look(world);
            }
        }
        world.run_until(time_us);
        self.look(world);
    }

    /// Tells what happened since the last look.
    pub(super) fn look(&mut self, world: &World) {
        let told = std::mem::replace(&mut self.told, world.happened());
        if let Some(listener) = &mut self.listener {
            world.happenings().filter(|h| h.number > told).for_each(listener);
        }
    }
}
