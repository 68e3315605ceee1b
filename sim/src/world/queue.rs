//! What is still to happen, in the order in which it will.

use std::collections::BTreeMap;

use raft_core::proto::raft_cmdpb::RaftCmdResponse;

use crate::command::Command;

/// Something that is still to happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A peer's clock ticks.
    Tick { peer: u64, incarnation: u64 },
    /// A message ends its flight: it arrives or dies.
    Arrival { flight: u64 },
    /// A peer's disk has made a write durable.
    Synced { peer: u64, incarnation: u64, number: u64 },
    /// A peer's disk syncs by itself what was written without a sync.
    Flush { peer: u64, incarnation: u64 },
    /// A client's attempt reaches a peer.
    Asked { request: u64, attempt: u32 },
    /// A copy of a client's attempt reaches a peer.
    AskedAgain { request: u64, attempt: u32, target: u64 },
    /// A peer's answer reaches a client.
    Answered { request: u64, attempt: u32, response: Box<RaftCmdResponse> },
    /// A client has waited long enough for this attempt.
    AttemptTimeout { request: u64, attempt: u32 },
    /// A client gives up.
    Deadline { request: u64 },
    /// A client asks again after a pause.
    Retry { request: u64, hint: Option<u64> },
    /// Something is done from outside.
    Command(Command),
}

/// At one microsecond, commands from outside come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Inner,
    Outer,
}

/// Events by time, then class, then the order in which they were planned.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(u64, Class, u64), Event>,
    planned: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.insert(at_us, Class::Inner, event);
    }

    pub(super) fn push_command(&mut self, at_us: u64, command: Command) {
        self.insert(at_us, Class::Outer, Event::Command(command));
    }

    fn insert(&mut self, at_us: u64, class: Class, event: Event) {
        self.planned += 1;
        self.events.insert((at_us, class, self.planned), event);
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_us, ..), event)| (at_us, event))
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at_us, ..), _)| *at_us)
    }
}
