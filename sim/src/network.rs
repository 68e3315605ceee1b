//! Links between peers, and the messages on them.

use raft_core::describe;
use raft_core::proto::raft_serverpb::RaftMessage;

use crate::faults::{ClientFault, LinkFault, Links};
use crate::rng::WorldRng;
use crate::scenario::{Settings, Span};

/// Messages that a clogged link holds; like any queue it is bounded, and what comes after is lost.
const HELD_MAX: u32 = 1_000;

/// A message between two peers on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// Unique in the run, in the order of sending.
    pub id: u64,
    /// Sender.
    pub from: u64,
    /// Receiver.
    pub to: u64,
    /// When it left.
    pub sent_us: u64,
    /// When it arrives, or would.
    pub arrives_us: u64,
    /// When it is lost on the way; none if it is not.
    pub dies_us: Option<u64>,
    /// Whether it is held on the way until somebody releases it.
    pub held: bool,
    /// What it says.
    pub message: RaftMessage,
}

impl Flight {
    /// What it says, in words.
    pub fn text(&self) -> String {
        self.message.message.as_deref().map(describe::message).unwrap_or_default()
    }

    /// When the flight ends, one way or the other, if it is not held.
    pub(crate) fn ends_us(&self) -> u64 {
        self.dies_us.unwrap_or(self.arrives_us)
    }
}

/// What becomes of a message that is sent; see [`Flight`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) id: u64,
    pub(crate) arrives_us: u64,
    pub(crate) dies_us: Option<u64>,
    pub(crate) held: bool,
}

/// One way from a peer to another.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// A partition or a topology separates the two.
    apart: bool,
    cut: bool,
    /// Some fault beyond loss is on: a link without one is spared all further questions.
    faulty: bool,
    clogged: bool,
    held: u32,
    loss_permille: u32,
    duplicate_permille: u32,
    replay_permille: u32,
    tail_permille: u32,
    tail_max_us: u64,
    delay: Span,
    replay: Span,
    /// When the last message arrives, for links that keep the order.
    last_us: u64,
}

impl Link {
    fn new(settings: &Settings) -> Self {
        Self {
            apart: false,
            cut: false,
            faulty: false,
            clogged: false,
            held: 0,
            loss_permille: settings.loss_permille,
            duplicate_permille: 0,
            replay_permille: 0,
            tail_permille: 0,
            tail_max_us: 0,
            delay: settings.latency,
            replay: settings.latency,
            last_us: 0,
        }
    }

    fn set(&mut self, fault: LinkFault, settings: &Settings) {
        match fault {
            LinkFault::Loss { permille } => self.loss_permille = permille,
            LinkFault::Duplicate { permille } => self.duplicate_permille = permille,
            LinkFault::Delay { span } => self.delay = span,
            LinkFault::Tail { permille, max_us } => {
                (self.tail_permille, self.tail_max_us) = (permille, max_us);
            }
            LinkFault::Replay { permille, delay } => {
                (self.replay_permille, self.replay) = (permille, delay);
            }
            LinkFault::Cut => self.cut = true,
            LinkFault::Clog => self.clogged = true,
            LinkFault::Burst => (self.clogged, self.held) = (false, 0),
            LinkFault::Mend => {
                *self = Self { apart: self.apart, last_us: self.last_us, ..Self::new(settings) };
            }
        }
        let rates = self.duplicate_permille + self.replay_permille + self.tail_permille;
        self.faulty = self.clogged || rates > 0;
    }
}

/// What happens between clients and peers.
#[derive(Clone, Copy, Debug, Default)]
struct ClientWays {
    /// Some fault is on.
    faulty: bool,
    loss_permille: u32,
    duplicate_permille: u32,
    replay_permille: u32,
    replay: Option<Span>,
}

/// The network: every way from a peer to another, with its faults.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    settings: Settings,
    peers: u64,
    /// At `(from - 1) * peers + (to - 1)`.
    links: Vec<Link>,
    sent: u64,
    clients: ClientWays,
}

impl Network {
    pub(crate) fn new(peers: u64, settings: &Settings) -> Self {
        let links = (0..peers * peers).map(|_| Link::new(settings)).collect();
        Self { settings: *settings, peers, links, sent: 0, clients: ClientWays::default() }
    }

    fn position(&self, from: u64, to: u64) -> usize {
        if from == 0 || to == 0 || from > self.peers || to > self.peers {
            // Finds no link.
            return usize::MAX;
        }
        usize::try_from((from - 1) * self.peers + to - 1).unwrap_or(usize::MAX)
    }

    fn each(&mut self, mut action: impl FnMut(u64, u64, &mut Link)) {
        let peers = self.peers;
        for (position, link) in (0..).zip(&mut self.links) {
            action(position / peers + 1, position % peers + 1, link);
        }
    }

    /// Changes what some links do.
    pub(crate) fn set(&mut self, on: Links, fault: LinkFault) {
        let settings = self.settings;
        self.each(|from, to, link| {
            if on.contain(from, to) {
                link.set(fault, &settings);
            }
        });
    }

    pub(crate) fn partition(&mut self, groups: &[Vec<u64>]) {
        // A peer that no group names is in the group of none.
        let group = |id| groups.iter().position(|group| group.contains(&id));
        self.each(|from, to, link| link.apart = group(from) != group(to));
    }

    /// Leaves only these ways open.
    pub(crate) fn only(&mut self, ways: &[(u64, u64)]) {
        self.each(|from, to, link| link.apart = !ways.contains(&(from, to)));
    }

    /// Opens every link. What they do to messages that get through stays as it is.
    pub(crate) fn heal(&mut self) {
        let settings = self.settings;
        self.each(|_, _, link| {
            (link.apart, link.cut) = (false, false);
            link.set(LinkFault::Burst, &settings);
        });
    }

    /// Takes all faults from every link, and all loss.
    pub(crate) fn heal_all(&mut self) {
        self.settings.loss_permille = 0;
        self.clients = ClientWays::default();
        self.heal();
        self.set(Links::All, LinkFault::Mend);
    }

    /// Whether messages from `from` to `to` get through.
    pub(crate) fn is_connected(&self, from: u64, to: u64) -> bool {
        self.links.get(self.position(from, to)).is_some_and(|link| !link.apart && !link.cut)
    }

    /// The way that a message takes that is sent now: how long it travels, and whether it is lost
    /// half-way.
    pub(crate) fn way(&mut self, from: u64, to: u64, now_us: u64, rng: &mut WorldRng) -> Way {
        self.sent += 1;
        let (fifo, position) = (self.settings.fifo, self.position(from, to));
        let mut way = Way { id: self.sent, arrives_us: now_us, dies_us: Some(now_us), held: false };
        let Some(link) = self.links.get_mut(position) else { return way };
        let mut travel = rng.in_span(link.delay);
        // Drawn whatever the links are, so that a cut does not shift all later chance.
        let unlucky = rng.chance(link.loss_permille);
        let mut lost = unlucky || link.apart || link.cut;
        if link.faulty {
            if rng.chance(link.tail_permille) {
                travel += rng.below(link.tail_max_us) + 1;
            }
            if link.clogged && !lost {
                lost = link.held >= HELD_MAX;
                link.held += 1;
                way.held = !lost;
            }
        }
        way.arrives_us = now_us + travel;
        if fifo {
            way.arrives_us = way.arrives_us.max(link.last_us);
            link.last_us = way.arrives_us;
        }
        way.dies_us = lost.then_some(now_us + travel / 2);
        way
    }

    /// Whether the link may make copies of what it carries.
    pub(crate) fn is_faulty(&self, from: u64, to: u64) -> bool {
        self.links.get(self.position(from, to)).is_some_and(|link| link.faulty)
    }

    /// When the copies arrive that the link makes of a message sent now: for each it is drawn anew.
    pub(crate) fn copies(
        &self,
        from: u64,
        to: u64,
        now_us: u64,
        rng: &mut WorldRng,
    ) -> [Option<u64>; 2] {
        let Some(link) = self.links.get(self.position(from, to)) else { return [None, None] };
        let twice = rng.chance(link.duplicate_permille).then(|| now_us + rng.in_span(link.delay));
        let old = rng.chance(link.replay_permille).then(|| now_us + rng.in_span(link.replay));
        [twice, old]
    }

    /// A copy of a message that arrives at `at_us`, whatever becomes of the original.
    pub(crate) fn copy(&mut self, flight: &Flight, at_us: u64) -> Flight {
        self.sent += 1;
        let id = self.sent;
        Flight { id, arrives_us: at_us, dies_us: None, held: false, ..flight.clone() }
    }

    /// How long a client's message travels.
    pub(crate) fn client_latency(&self, rng: &mut WorldRng) -> u64 {
        rng.in_span(self.settings.latency)
    }

    /// Changes what happens between clients and peers.
    pub(crate) fn set_clients(&mut self, fault: ClientFault) {
        let ways = &mut self.clients;
        match fault {
            ClientFault::Loss { permille } => ways.loss_permille = permille,
            ClientFault::Duplicate { permille } => ways.duplicate_permille = permille,
            ClientFault::Replay { permille, delay } => {
                (ways.replay_permille, ways.replay) = (permille, Some(delay));
            }
            ClientFault::Storm { .. } => {}
        }
        let rates = ways.loss_permille + ways.duplicate_permille + ways.replay_permille;
        ways.faulty = rates > 0;
    }

    /// Whether something a client sends, or is sent, is lost.
    pub(crate) fn loses_for_client(&self, rng: &mut WorldRng) -> bool {
        self.clients.faulty && rng.chance(self.clients.loss_permille)
    }

    /// When the copies of a client's attempt arrive, counted from now.
    pub(crate) fn client_copies(&self, rng: &mut WorldRng) -> [Option<u64>; 2] {
        let ways = &self.clients;
        if !ways.faulty {
            return [None, None];
        }
        let twice = rng.chance(ways.duplicate_permille).then(|| self.client_latency(rng));
        let late = rng.chance(ways.replay_permille);
        [twice, ways.replay.filter(|_| late).map(|delay| rng.in_span(delay))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clogged_link_holds_so_many_and_loses_the_rest() {
        let mut network = Network::new(2, &Settings::default());
        let mut rng = WorldRng::new(1);
        network.set(Links::All, LinkFault::Clog);
        let mut send = |network: &mut Network| network.way(1, 2, 0, &mut rng);
        for _ in 0..HELD_MAX {
            assert!(send(&mut network).held);
        }
        let beyond = send(&mut network);
        assert!(!beyond.held && beyond.dies_us.is_some());
        network.set(Links::All, LinkFault::Burst);
        assert!(!send(&mut network).held);
        network.set(Links::All, LinkFault::Clog);
        assert!(send(&mut network).held, "there is room again");
    }

    #[test]
    fn who_is_no_peer_has_no_link() {
        let network = Network::new(3, &Settings::default());
        assert!(network.is_connected(3, 1));
        assert!(!network.is_connected(0, 1) && !network.is_connected(1, 4));
    }
}
