//! What happened, as lines.

use std::rc::Rc;

use raft_core::eraftpb::MessageType;
use raft_sim::{Flight, Happening, What, World};

/// Lines that are kept of those that matter, and of the details.
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
    /// The same as etcd's log has it, for those who know it.
    pub in_etcds_words: Option<String>,
    /// The peer that it happened to.
    pub peer: Option<u64>,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Heartbeats, their answers, and what is a matter of course: they hide the rest.
    Detail,
    /// Messages, decisions, commit indices.
    Plain,
    /// Something that a person would want to be told of: roles, crashes, cuts.
    Important,
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
        let new = new.map(|happening| Rc::new(line(happening)));
        // Details are many, and must not crowd out what matters.
        let mut room = [KEPT; 2];
        let fits = |line: &Rc<EventLine>| {
            let room = &mut room[usize::from(line.weight == Weight::Detail)];
            *room = room.saturating_sub(1);
            *room > 0
        };
        let lines = new.chain(self.lines.iter().cloned()).filter(fits).collect();
        Self { lines, happened: world.happened() }
    }

    /// The latest line worth telling.
    pub fn headline(&self) -> Option<&EventLine> {
        self.lines.iter().find(|line| line.weight == Weight::Important).map(|line| &**line)
    }
}

fn line(happening: &Happening) -> EventLine {
    let what = &happening.what;
    let weight = match what {
        What::Delivered(flight) | What::Lost(flight) if is_heartbeat(flight) => Weight::Detail,
        What::Inside { .. } if what.is_detail() => Weight::Detail,
        What::Inside { .. }
        | What::Delivered(_)
        | What::Lost(_)
        | What::Duplicated(_)
        | What::Committed { .. }
        | What::AttemptLost { .. }
        | What::AttemptCopied { .. }
        | What::AnswerLost { .. }
        | What::Retried { .. } => Weight::Plain,
        _ => Weight::Important,
    };
    EventLine {
        number: happening.number,
        at_us: happening.at_us,
        text: what.to_string(),
        in_etcds_words: what.in_etcds_words(),
        peer: what.peer(),
        weight,
    }
}

fn is_heartbeat(flight: &Flight) -> bool {
    let kind = flight.message.message.as_ref().map(|message| message.msg_type);
    let heartbeats = [MessageType::MsgHeartbeat, MessageType::MsgHeartbeatResponse];
    kind.is_some_and(|kind| heartbeats.iter().any(|&heartbeat| kind == i32::from(heartbeat)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::Scenario;

    fn listening() -> World {
        let mut world = World::new(&Scenario::new(1)).unwrap();
        world.listen();
        world
    }

    #[test]
    fn lines_are_added_in_front_once_and_old_ones_dropped() {
        let mut world = listening();
        let mut events = Events::default();
        for _ in 0..200 {
            world.run_until(world.now_us() + 50_000);
            events = events.followed_by(&world);
        }
        assert!(!events.is_behind(&world));
        let details = |line: &&Rc<EventLine>| line.weight == Weight::Detail;
        assert_eq!(events.lines.iter().filter(details).count(), KEPT - 1);
        assert!(events.lines.iter().any(|line| line.weight == Weight::Important));
        assert_eq!(events.lines[0].number, world.happened());
        assert!(events.lines.windows(2).all(|pair| pair[0].number > pair[1].number));
    }

    #[test]
    fn the_headline_is_the_latest_thing_worth_telling() {
        let mut world = listening();
        world.run_until(3_000_000);
        let events = Events::default().followed_by(&world);
        assert!(events.headline().unwrap().text.ends_with("⇨ leader"), "{:?}", events.headline());
        assert!(events.lines.iter().any(|line| line.weight == Weight::Detail));
    }

    #[test]
    fn an_election_is_told_with_its_reasons() {
        let mut world = listening();
        world.run_until(3_000_000);
        let events = Events::default().followed_by(&world);
        let vote = events.lines.iter().find(|line| line.text.contains(" votes for ")).unwrap();
        assert!(vote.text.ends_with("that log ends at 5@5, its own at 5@5"), "{}", vote.text);
        assert!(vote.in_etcds_words.as_ref().is_some_and(|text| text.contains("cast MsgVote")));
        assert_eq!((vote.weight, vote.peer.is_some()), (Weight::Plain, true));
    }
}
