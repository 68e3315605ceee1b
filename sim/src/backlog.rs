//! What waits for a stalled process until it goes on.

use std::sync::Arc;

use crate::network::Flight;

/// Messages and requests that wait; like a socket's buffer it is bounded, and what comes after is
/// lost.
const MESSAGES_MAX: usize = 1_000;
/// Ticks that wait. A timer that fired more often than that is not told of each time.
const TICKS_MAX: u32 = 100;

/// Something that a stalled process will find when it goes on.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    /// So many ticks in a row.
    Ticks(u32),
    /// A message from a peer.
    Message(Arc<Flight>),
    /// A client's attempt.
    Asked { request: u64, attempt: u32 },
    /// The write under way is durable.
    Written,
    /// The write under way failed, and why.
    WriteFailed(&'static str),
}

/// All of it, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog {
    items: Vec<Late>,
    messages: usize,
    ticks: u32,
}

impl Backlog {
    /// The clock ticks on, up to a bound.
    pub(crate) fn tick(&mut self, ticks: u32) {
        let new = ticks.min(TICKS_MAX - self.ticks);
        self.ticks += new;
        match self.items.last_mut() {
            Some(Late::Ticks(ticks)) => *ticks += new,
            _ if new > 0 => self.items.push(Late::Ticks(new)),
            _ => {}
        }
    }

    /// A message or a request arrives. Returns false if there is no room.
    pub(crate) fn receive(&mut self, late: Late) -> bool {
        let fits = self.messages < MESSAGES_MAX;
        if fits {
            self.messages += 1;
            self.items.push(late);
        }
        fits
    }

    /// The disk is done.
    pub(crate) fn written(&mut self, late: Late) {
        self.items.push(late);
    }

    /// How many messages and requests wait.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    pub(crate) fn into_items(self) -> Vec<Late> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_the_order() {
        let mut backlog = Backlog::default();
        backlog.tick(30);
        backlog.tick(30);
        assert!(backlog.receive(Late::Asked { request: 1, attempt: 1 }));
        backlog.tick(1_000);
        for request in 2..=1_000 {
            assert!(backlog.receive(Late::Asked { request, attempt: 1 }));
        }
        assert!(!backlog.receive(Late::Asked { request: 1_001, attempt: 1 }));
        backlog.written(Late::Written);
        assert_eq!(backlog.messages(), 1_000);
        let items = backlog.into_items();
        assert!(matches!(
            items[..3],
            [Late::Ticks(60), Late::Asked { request: 1, .. }, Late::Ticks(40)]
        ));
        assert!(matches!(items.last(), Some(Late::Written)));
    }
}
