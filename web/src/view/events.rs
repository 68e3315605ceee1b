//! What happened, as lines.

use std::rc::Rc;

use raft_core::eraftpb::MessageType;
use raft_sim::{Happening, What, World};

/// Lines that are kept.
const KEPT: usize = 300;

/// One happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine {
    /// Its number in the run.
    pub number: u64,
    /// Virtual time in microseconds.
    pub at_us: u64,
    /// What happened, in words.
    pub text: String,
    /// A heartbeat or its answer: too many of them hide the rest.
    pub heartbeat: bool,
    /// Something that a person would want to be told of: roles, crashes, cuts.
    pub important: bool,
}

/// What happened lately, latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The lines.
    pub lines: Vec<Rc<EventLine>>,
    happened: u64,
}

impl Events {
    /// Whether more has happened since.
    pub fn is_behind(&self, world: &World) -> bool {
        self.happened != world.happened()
    }

    /// These lines and what has happened since.
    pub fn followed_by(&self, world: &World) -> Self {
        let new = world.happenings().rev().take_while(|h| h.number > self.happened);
        let new = new.take(KEPT).map(|happening| Rc::new(line(happening)));
        let lines = new.chain(self.lines.iter().cloned()).take(KEPT).collect();
        Self { lines, happened: world.happened() }
    }

    /// The latest line worth telling.
    pub fn headline(&self) -> Option<&EventLine> {
        self.lines.iter().find(|line| line.important).map(|line| &**line)
    }
}

fn line(happening: &Happening) -> EventLine {
    let heartbeat = match &happening.what {
        What::Delivered(flight) | What::Lost(flight) => {
            let kind = flight.message.message.as_ref().map(|message| message.msg_type);
            kind.is_some_and(|kind| {
                kind == i32::from(MessageType::MsgHeartbeat)
                    || kind == i32::from(MessageType::MsgHeartbeatResponse)
            })
        }
        _ => false,
    };
    let important = !matches!(
        &happening.what,
        What::Delivered(_) | What::Lost(_) | What::Committed { .. } | What::Retried { .. }
    );
    let (number, at_us, text) = (happening.number, happening.at_us, happening.what.to_string());
    EventLine { number, at_us, text, heartbeat, important }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::Scenario;

    #[test]
    fn lines_are_added_in_front_once_and_old_ones_dropped() {
        let mut world = World::new(&Scenario::new(1)).unwrap();
        let mut events = Events::default();
        for _ in 0..200 {
            world.run_until(world.now_us() + 50_000);
            events = events.followed_by(&world);
        }
        assert!(!events.is_behind(&world));
        assert_eq!(events.lines.len(), KEPT);
        assert_eq!(events.lines[0].number, world.happened());
        assert!(events.lines.windows(2).all(|pair| pair[0].number == pair[1].number + 1));
    }

    #[test]
    fn the_headline_is_the_latest_thing_worth_telling() {
        let mut world = World::new(&Scenario::new(1)).unwrap();
        world.run_until(3_000_000);
        let events = Events::default().followed_by(&world);
        assert!(events.headline().unwrap().text.ends_with("⇨ leader"), "{:?}", events.headline());
        assert!(events.lines.iter().any(|line| line.heartbeat));
    }
}
