//! Servers on a network, and what happens to them.

use raft_core::eraftpb::Message;
use raft_core::{Config, Rules, SnapshotStatus};

use crate::draw::Draw;
use crate::network::{Fate, Network, is_reply, is_snapshot};
use crate::server::{Command, Fault, Server};
use crate::time::Queue;

/// A tick of a peer's clock.
const TICK_US: u64 = 10_000;
/// At most ten heartbeats a second.
const HEARTBEAT_TICKS: u32 = 10;
/// Elections after 300 to 590 ms of silence.
const ELECTION_TICKS: u32 = 30;

/// How a cluster is set up. Beyond that, seeds take turns: every second one tells its peers of
/// requests that failed, late as these reports are (the others must find out by themselves), and
/// two of four run with pre-vote and check-quorum.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) servers: usize,
    pub(crate) reliable: bool,
    /// Appliers make snapshots.
    pub(crate) snapshots: bool,
    pub(crate) rules: Rules,
    pub(crate) fault: Fault,
}

impl Setup {
    pub(crate) fn of(servers: usize) -> Self {
        let (rules, fault) = (Rules::default(), Fault::None);
        Self { servers, reliable: true, snapshots: false, rules, fault }
    }

    pub(crate) fn unreliable(self) -> Self {
        Self { reliable: false, ..self }
    }

    pub(crate) fn with_snapshots(self) -> Self {
        Self { snapshots: true, ..self }
    }
}

/// What may happen. A server's `life` tells whether it is still the one that was meant.
pub(crate) enum Event {
    /// A task has slept enough.
    Wake { task: u64 },
    /// A peer's clock ticks.
    Tick { server: usize, life: u64 },
    /// The application looks after its peer.
    Work { server: usize, life: u64 },
    /// A message arrives. It was sent in `life_from`.
    Arrival { server: usize, life: u64, life_from: u64, message: Box<Message> },
    /// A server notices that a request to `to` failed.
    Failure { server: usize, life: u64, to: u64, snapshot: bool },
}

pub(crate) struct World {
    pub(crate) queue: Queue,
    pub(crate) draw: Draw,
    pub(crate) network: Network,
    pub(crate) servers: Vec<Server>,
    /// The command at each index from 1 on, as whoever applied it first knows it.
    history: Vec<Command>,
    config: Config,
    reports_failures: bool,
}

/// The server that a peer's id means.
fn server_of(id: u64) -> usize {
    usize::try_from(id - 1).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let voters: Vec<u64> = (1..=setup.servers as u64).collect();
        let server = |_| Server::new(voters.clone(), setup.snapshots, setup.fault);
        let careful = seed % 4 >= 2;
        let config = Config {
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            forward_proposals: false,
            pre_vote: careful,
            check_quorum: careful,
            rules: setup.rules.into(),
            ..Config::new(1)
        };
        Self {
            queue: Queue::default(),
            draw: Draw::new(seed),
            network: Network::new(setup.servers, setup.reliable),
            servers: (0..setup.servers).map(server).collect(),
            history: Vec::new(),
            config,
            reports_failures: seed.is_multiple_of(2),
        }
    }

    /// Starts a server from its disk; if it runs it crashes first. It is not connected.
    pub(crate) fn start(&mut self, server: usize) {
        self.crash(server);
        let (id, seed) = (server as u64 + 1, self.draw.number());
        self.servers[server].start(&Config { id, seed, ..self.config.clone() });
        let life = self.servers[server].life;
        self.queue.add(self.draw.below(TICK_US), Event::Tick { server, life });
    }

    pub(crate) fn crash(&mut self, server: usize) {
        self.network.connect(server, false);
        self.servers[server].crash();
    }

    /// A client's command. The application sees to it that it goes out, a moment later.
    pub(crate) fn propose(&mut self, server: usize, command: Command) -> Option<(u64, u64)> {
        let asked = &mut self.servers[server];
        let accepted = asked.propose(command)?;
        if !core::mem::replace(&mut asked.has_work, true) {
            let life = asked.life;
            self.queue.add(0, Event::Work { server, life });
        }
        Some(accepted)
    }

    fn is_alive(&self, server: usize, life: u64) -> bool {
        self.servers[server].node.is_some() && self.servers[server].life == life
    }

    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { server, life } if self.is_alive(server, life) => {
                if let Some(node) = &mut self.servers[server].node {
                    node.tick().unwrap();
                }
                self.queue.add(TICK_US, Event::Tick { server, life });
                self.drive(server, None);
            }
            Event::Work { server, life } if self.is_alive(server, life) => self.drive(server, None),
            Event::Arrival { server, life, life_from, message } if self.is_alive(server, life) => {
                self.receive(server, life_from, *message);
            }
            Event::Failure { server, life, to, snapshot } if self.is_alive(server, life) => {
                if let Some(node) = &mut self.servers[server].node {
                    if snapshot {
                        node.report_snapshot(to, SnapshotStatus::Failure);
                    } else {
                        node.report_unreachable(to);
                    }
                }
                self.drive(server, None);
            }
            // Meant for a life that is over, or for a task.
            _ => {}
        }
    }

    fn receive(&mut self, server: usize, life_from: u64, message: Message) {
        let from = message.from;
        if let Some(node) = &mut self.servers[server].node {
            let kind = message.msg_type;
            node.step(message).unwrap_or_else(|error| panic!("{error} at message {kind}"));
        }
        self.drive(server, Some((from, life_from)));
    }

    /// Lets a server do its work. What it now answers `asker` goes to that life of it.
    fn drive(&mut self, server: usize, asker: Option<(u64, u64)>) {
        let mut outbox = Vec::new();
        self.servers[server].drive(&mut outbox);
        self.compare(server);
        for message in outbox {
            self.send(server, asker, Box::new(message));
        }
    }

    fn send(&mut self, from: usize, asker: Option<(u64, u64)>, message: Box<Message>) {
        let to = server_of(message.to);
        let (life_from, mut life) = (self.servers[from].life, self.servers[to].life);
        let arrives = if is_reply(&message) {
            if let Some((id, life_asked)) = asker
                && id == message.to
            {
                life = life_asked;
            }
            self.network.reply(&mut self.draw, from, to, &message)
        } else {
            match self.network.request(&mut self.draw, from, to, &message) {
                Fate::Arrives(after_us) => Some(after_us),
                Fate::Fails(after_us) => {
                    self.fail(from, after_us, &message);
                    None
                }
            }
        };
        if let Some(after_us) = arrives {
            let event = Event::Arrival { server: to, life, life_from, message };
            self.queue.add(after_us, event);
        }
    }

    fn fail(&mut self, from: usize, after_us: u64, message: &Message) {
        if self.reports_failures {
            let (life, to, snapshot) = (self.servers[from].life, message.to, is_snapshot(message));
            self.queue.add(after_us, Event::Failure { server: from, life, to, snapshot });
        }
    }

    /// Compares what a server has newly applied with what others have.
    fn compare(&mut self, server: usize) {
        let Server { commands, compared, .. } = &mut self.servers[server];
        for (command, place) in commands[*compared..].iter().zip(*compared..) {
            match self.history.get(place) {
                None => self.history.push(command.clone()),
                Some(known) => {
                    let index = place + 1;
                    assert_eq!(known, command, "apply error: server {server} at index {index}");
                }
            }
        }
        *compared = commands.len();
    }
}
