//! Peers on a ring and messages between them.

use raft_core::eraftpb::MessageType;
use raft_core::{StateRole, describe};
use raft_sim::{Flight, Node, What, World};

use super::log::{Cell, tail};

/// Cells under each peer.
const STRIP: u64 = 8;
/// How long the cross of a lost message stays, in virtual microseconds.
const CROSS_US: u64 = 60_000;

/// Whether a peer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Up,
    /// It was stopped.
    Down,
    /// It stopped by itself, and why.
    Failed(String),
}

/// One peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// Its id.
    pub id: u64,
    /// Whether it runs; if not, the fields below tell nothing.
    pub power: Power,
    /// Its role.
    pub role: StateRole,
    /// Its term.
    pub term: u64,
    /// Who has its vote in this term; 0 is nobody.
    pub vote: u64,
    /// The leader it knows; 0 is none.
    pub leader: u64,
    /// Highest index it knows to be committed.
    pub committed: u64,
    /// Highest index it has applied.
    pub applied: u64,
    /// Highest index it has durable.
    pub stabled: u64,
    /// Its last index.
    pub last: u64,
    /// What is left of its election timer (leader: of the pause before the next heartbeat), of 1.
    pub timer: f64,
    /// What a candidate knows of the votes: for each peer, granted, refused or not answered.
    pub votes: Vec<(u64, Option<bool>)>,
    /// Its disk is busy with a write that a crash would lose.
    pub writing: bool,
    /// Its last log entries.
    pub strip: Vec<Cell>,
}

/// The shape of a message: its type, so that colour is not needed to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An append that carries entries.
    Entries,
    /// An append without entries: a probe, or news of the commit index.
    Probe,
    /// A heartbeat.
    Heartbeat,
    /// A request for a vote.
    Vote,
    /// A snapshot.
    Snapshot,
    /// The order to campaign at once.
    TimeoutNow,
    /// Anything else.
    Other,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct FlightView {
    /// Unique in the run.
    pub id: u64,
    /// Sender.
    pub from: u64,
    /// Receiver.
    pub to: u64,
    /// How far it has come, of 1.
    pub progress: f64,
    /// Its shape.
    pub shape: Shape,
    /// It is an answer: accepted or refused.
    pub answer: Option<bool>,
    /// Its term.
    pub term: u64,
    /// Entries it carries.
    pub entries: usize,
    /// The message in words.
    pub text: String,
}

/// A message that was just lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// Sender.
    pub from: u64,
    /// Receiver.
    pub to: u64,
    /// Where it was lost, of 1.
    pub progress: f64,
}

/// The link between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The lower id.
    pub a: u64,
    /// The higher id.
    pub b: u64,
    /// Nothing gets through.
    pub cut: bool,
}

/// Everything on the stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageView {
    /// The peers in the order of their ids.
    pub peers: Vec<PeerView>,
    /// Messages on their way.
    pub flights: Vec<FlightView>,
    /// Messages that were just lost.
    pub losses: Vec<Loss>,
    /// All links.
    pub links: Vec<Link>,
}

impl StageView {
    /// The stage at the world's present.
    pub fn of(world: &World) -> Self {
        let now_us = world.now_us();
        let ids: Vec<u64> = world.scenario().peer_ids().collect();
        let pairs = ids.iter().flat_map(|&a| ids.iter().map(move |&b| (a, b)));
        let recent = world.happenings().rev().take_while(|h| h.at_us + CROSS_US >= now_us);
        Self {
            peers: world.nodes().map(|(id, node)| peer(world, id, node)).collect(),
            flights: world.flights().map(|flight| flight_view(flight, now_us)).collect(),
            losses: recent
                .filter_map(|happening| match &happening.what {
                    What::Lost(flight) => Some(loss(flight)),
                    _ => None,
                })
                .collect(),
            links: pairs
                .filter(|(a, b)| a < b)
                .map(|(a, b)| Link { a, b, cut: !world.is_connected(a, b) })
                .collect(),
        }
    }

    /// The peer `id`.
    pub fn peer(&self, id: u64) -> Option<&PeerView> {
        self.peers.iter().find(|peer| peer.id == id)
    }
}

fn peer(world: &World, id: u64, node: &Node) -> PeerView {
    let power = match (node.peer(), node.failure()) {
        (Some(_), _) => Power::Up,
        (None, Some(reason)) => Power::Failed(reason.to_owned()),
        (None, None) => Power::Down,
    };
    let mut view = PeerView {
        id,
        power,
        role: StateRole::Follower,
        term: 0,
        vote: 0,
        leader: 0,
        committed: 0,
        applied: 0,
        stabled: 0,
        last: 0,
        timer: 0.0,
        votes: Vec::new(),
        writing: node.is_writing(),
        strip: tail(node, STRIP),
    };
    let Some(peer) = node.peer() else { return view };
    let (raft, log) = (peer.raft(), peer.raft().log());
    (view.role, view.term, view.vote) = (raft.role(), raft.term(), raft.vote());
    view.leader = raft.leader();
    (view.committed, view.applied) = (log.committed(), log.applied());
    (view.stabled, view.last) = (log.stabled(), log.last_index());
    view.timer = timer(world, node);
    if raft.role() == StateRole::Candidate {
        view.votes = raft.tracker().ids().map(|id| (id, raft.tracker().vote(id))).collect();
    }
    view
}

/// What is left of the timer that runs, ticks counted as if they flowed.
fn timer(world: &World, node: &Node) -> f64 {
    let Some(peer) = node.peer() else { return 0.0 };
    let (raft, settings) = (peer.raft(), &world.scenario().settings);
    let (elapsed, limit) = match raft.role() {
        StateRole::Leader => (raft.heartbeat_elapsed(), settings.heartbeat_tick),
        _ => (raft.election_elapsed(), raft.randomized_election_timeout()),
    };
    let until_tick = to_f64(node.next_tick_us().saturating_sub(world.now_us()));
    let since_tick = 1.0 - until_tick / to_f64(settings.tick_us);
    let passed = f64::from(elapsed) + since_tick.clamp(0.0, 1.0);
    (1.0 - passed / f64::from(limit.max(1))).clamp(0.0, 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 microseconds")]
fn to_f64(us: u64) -> f64 {
    us as f64
}

/// How far a flight has come at `at_us`.
fn progress(flight: &Flight, at_us: u64) -> f64 {
    let whole = to_f64(flight.arrives_us.saturating_sub(flight.sent_us)).max(1.0);
    (to_f64(at_us.saturating_sub(flight.sent_us)) / whole).clamp(0.0, 1.0)
}

fn loss(flight: &Flight) -> Loss {
    let died_us = flight.dies_us.unwrap_or(flight.arrives_us);
    Loss { from: flight.from, to: flight.to, progress: progress(flight, died_us) }
}

fn flight_view(flight: &Flight, now_us: u64) -> FlightView {
    let message = flight.message.message.as_deref().cloned().unwrap_or_default();
    let kind = MessageType::try_from(message.msg_type);
    let (shape, answer) = match kind {
        Ok(MessageType::MsgAppend) if message.entries.is_empty() => (Shape::Probe, None),
        Ok(MessageType::MsgAppend | MessageType::MsgPropose) => (Shape::Entries, None),
        Ok(MessageType::MsgAppendResponse) => (Shape::Entries, Some(!message.reject)),
        Ok(MessageType::MsgHeartbeat) => (Shape::Heartbeat, None),
        Ok(MessageType::MsgHeartbeatResponse) => (Shape::Heartbeat, Some(true)),
        Ok(MessageType::MsgRequestVote) => (Shape::Vote, None),
        Ok(MessageType::MsgRequestVoteResponse) => (Shape::Vote, Some(!message.reject)),
        Ok(MessageType::MsgSnapshot) => (Shape::Snapshot, None),
        Ok(MessageType::MsgTimeoutNow) => (Shape::TimeoutNow, None),
        _ => (Shape::Other, None),
    };
    FlightView {
        id: flight.id,
        from: flight.from,
        to: flight.to,
        progress: progress(flight, now_us),
        shape,
        answer,
        term: message.term,
        entries: message.entries.len(),
        text: describe::message(&message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::{Command, Scenario};

    fn world() -> World {
        World::new(&Scenario::new(1)).unwrap()
    }

    #[test]
    fn a_timer_runs_down_smoothly_and_stays_within_its_bounds() {
        let mut world = world();
        let mut before = StageView::of(&world);
        while world.now_us() < 300_000 {
            world.run_until(world.now_us() + 1_000);
            let now = StageView::of(&world);
            for (peer, last) in now.peers.iter().zip(&before.peers) {
                let step = last.timer - peer.timer;
                assert!((0.0..0.01).contains(&step), "n{} jumps by {step}", peer.id);
            }
            before = now;
        }
    }

    #[test]
    fn a_candidate_shows_what_it_knows_of_the_votes() {
        let mut world = world();
        world.apply(Command::Campaign { peer: 3 }).unwrap();
        let stage = StageView::of(&world);
        let peer = stage.peer(3).unwrap();
        assert_eq!((peer.role, peer.term), (StateRole::Candidate, 6));
        assert_eq!(peer.votes.len(), 5);
        assert!(peer.votes.iter().all(|(_, answer)| answer.is_none()), "not even its own yet");
        assert!(peer.writing, "its own vote is on the way to the disk");
        world.run_until(10_000);
        let stage = StageView::of(&world);
        assert_eq!(stage.peer(3).unwrap().votes[2], (3, Some(true)));
        assert_eq!(stage.flights.len(), 4);
        assert!(stage.flights.iter().all(|f| f.shape == Shape::Vote && f.answer.is_none()));
    }

    #[test]
    fn cut_links_and_lost_messages_are_seen() {
        let mut world = world();
        world.apply(Command::Partition { groups: vec![vec![1, 2]] }).unwrap();
        world.apply(Command::Campaign { peer: 1 }).unwrap();
        let cut = StageView::of(&world).links.iter().filter(|link| link.cut).count();
        assert_eq!(cut, 6);
        world.run_until(40_000);
        let losses = StageView::of(&world).losses;
        assert!(losses.len() == 3 && losses.iter().all(|l| l.from == 1), "{losses:?}");
        world.run_until(200_000);
        assert_eq!(StageView::of(&world).losses, []);
    }

    #[test]
    fn a_peer_that_is_down_shows_only_what_its_disk_holds() {
        let mut world = world();
        world.run_until(3_000_000);
        world.apply(Command::Crash { peer: 2 }).unwrap();
        let stage = StageView::of(&world);
        let peer = stage.peer(2).unwrap();
        assert_eq!((peer.power.clone(), peer.term), (Power::Down, 0));
        assert!(!peer.strip.is_empty());
    }
}
