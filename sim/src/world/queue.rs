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
    /// One number: two comparisons of pairs cost a heap twice as much.
    fn place(&self) -> u128 {
        u128::from(self.at_us) << 64 | u128::from(self.order)
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
    /// Ticks of clocks that run alike.
    Ticks,
    /// Clients' patience with one attempt.
    Patience,
    /// Clients' patience with a request.
    Deadlines,
    /// Pauses before a client asks again.
    Pauses,
}

const LINES: usize = 5;

/// Events by time, then class, then the order in which they were planned.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    events: BinaryHeap<Planned>,
    lines: [VecDeque<Planned>; LINES],
    /// The places of those who are first in line, [`NOBODY`] where there is none.
    first: [u128; LINES],
    planned: u64,
}

/// After every place.
const NOBODY: u128 = u128::MAX;

impl Default for Queue {
    fn default() -> Self {
        let (events, lines) = (BinaryHeap::new(), Default::default());
        Self { events, lines, first: [NOBODY; LINES], planned: 0 }
    }
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
        let number = line as usize;
        let (line, place) = (&mut self.lines[number], planned.place());
        match line.back() {
            None => self.first[number] = place,
            Some(last) if last.place() < place => {}
            Some(_) => return self.events.push(planned),
        }
        line.push_back(planned);
    }

    /// Takes the next event, if it is not after this time.
    pub(super) fn pop_until(&mut self, time_us: u64) -> Option<(u64, Event)> {
        let in_heap = self.first_in_heap();
        let (in_line, number) = self.first_line();
        if in_heap.min(in_line) >> 64 > u128::from(time_us) {
            return None;
        }
        let planned = match in_line < in_heap {
            true => {
                let line = &mut self.lines[number];
                let planned = line.pop_front();
                self.first[number] = line.front().map_or(NOBODY, Planned::place);
                planned
            }
            false => self.events.pop(),
        };
        planned.map(|planned| (planned.at_us, planned.event))
    }

    /// The first place in any line, and in which.
    fn first_line(&self) -> (u128, usize) {
        let mut first = (self.first[0], 0);
        for (number, &place) in self.first.iter().enumerate().skip(1) {
            if place < first.0 {
                first = (place, number);
            }
        }
        first
    }

    fn first_in_heap(&self) -> u128 {
        self.events.peek().map_or(NOBODY, Planned::place)
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        let first = self.first_line().0.min(self.first_in_heap());
        (first != NOBODY).then_some(u64::try_from(first >> 64).unwrap_or(u64::MAX))
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
        let order =
            std::iter::from_fn(|| queue.pop_until(u64::MAX)).map(|(at_us, event)| match event {
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
