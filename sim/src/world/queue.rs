//! What is still to happen, in the order in which it will.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

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
    Command(Box<Command>),
}

/// Marks a command: at one microsecond, what is done from outside comes last.
const OUTER: u64 = 1 << 63;

/// An event and its place: time first, then order of planning, commands from outside last.
#[derive(Clone, Debug)]
struct Planned {
    at_us: u64,
    order: u64,
    event: Event,
}

impl Planned {
    fn place(&self) -> (u64, u64) {
        (self.at_us, self.order)
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    /// The heap gives the greatest first, and that is to be the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.place().cmp(&self.place())
    }
}

/// Events that are planned in the order in which they will happen stand in line. They are many, and
/// most of them come to nothing: a heap with them in it would be slow for all others.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    /// Commands of the scenario.
    Commands,
    /// Clients' patience with one attempt.
    Patience,
    /// Clients' patience with a request.
    Deadlines,
    /// Pauses before a client asks again.
    Pauses,
}

const LINES: usize = 4;

/// Events by time, then class, then the order in which they were planned.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    events: BinaryHeap<Planned>,
    lines: [VecDeque<Planned>; LINES],
    planned: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.events.push(Planned { at_us, order: self.planned, event });
    }

    /// Plans an event that is probably later than all that stand in this line.
    pub(super) fn line_up(&mut self, line: Line, at_us: u64, event: Event) {
        self.planned += 1;
        self.stand(line, Planned { at_us, order: self.planned, event });
    }

    pub(super) fn push_command(&mut self, at_us: u64, command: Command) {
        self.planned += 1;
        let event = Event::Command(Box::new(command));
        self.stand(Line::Commands, Planned { at_us, order: self.planned | OUTER, event });
    }

    fn stand(&mut self, line: Line, planned: Planned) {
        let line = &mut self.lines[line as usize];
        if line.back().is_none_or(|last| last.place() < planned.place()) {
            line.push_back(planned);
        } else {
            self.events.push(planned);
        }
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        let planned = match self.first_line() {
            Some(line) => self.lines[line].pop_front(),
            None => self.events.pop(),
        };
        planned.map(|planned| (planned.at_us, planned.event))
    }

    /// The line whose first comes before all others; none if the heap's does.
    fn first_line(&self) -> Option<usize> {
        let mut first = self.events.peek().map(Planned::place);
        let mut found = None;
        for (line, events) in self.lines.iter().enumerate() {
            let place = events.front().map(Planned::place);
            if place.is_some() && (first.is_none() || place < first) {
                (first, found) = (place, Some(line));
            }
        }
        found
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        let lines = self.lines.iter().filter_map(VecDeque::front);
        lines.chain(self.events.peek()).map(|planned| planned.at_us).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_then_commands_last_then_the_order_of_planning() {
        let mut queue = Queue::default();
        let command = |peer| Command::Crash { peer };
        queue.push_command(5, command(1));
        queue.push(5, Event::Arrival { flight: 1 });
        queue.push_command(5, command(2));
        queue.push(5, Event::Arrival { flight: 2 });
        queue.push(4, Event::Arrival { flight: 3 });
        queue.push_command(3, command(3));
        assert_eq!(queue.next_us(), Some(3));
        let order = std::iter::from_fn(|| queue.pop()).map(|(at_us, event)| match event {
            Event::Arrival { flight } => (at_us, 'f', flight),
            Event::Command(command) => match *command {
                Command::Crash { peer } => (at_us, 'c', peer),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        let expected =
            [(3, 'c', 3), (4, 'f', 3), (5, 'f', 1), (5, 'f', 2), (5, 'c', 1), (5, 'c', 2)];
        assert_eq!(order.collect::<Vec<_>>(), expected);
    }
}
