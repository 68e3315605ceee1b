//! Something that is done to the cluster from outside.

use serde::{Deserialize, Serialize};

use crate::faults::{
    ClientFault, ClockFault, CrashPoint, DiskFault, FlightFault, LinkFault, Links,
};
use crate::scenario::{Op, ScenarioError, in_range};

/// Something that is done to the cluster from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Stops a peer at once. What its disk has not finished to write is lost. A peer that is down
    /// stays down.
    Crash {
        /// The peer.
        peer: u64,
    },
    /// Stops a peer at this point of its next write. Any other crash before it calls it off.
    CrashAt {
        /// The peer.
        peer: u64,
        /// Where.
        point: CrashPoint,
    },
    /// Stalls a peer: it does nothing, while ticks, messages and requests pile up, up to a bound.
    /// What its disk is busy with becomes durable all the same.
    Pause {
        /// The peer.
        peer: u64,
    },
    /// Lets a stalled peer go on. All that piled up comes at once, in the order in which it came.
    Resume {
        /// The peer.
        peer: u64,
    },
    /// Does something to a machine's clock. It stays so across restarts.
    Clock {
        /// The peer.
        peer: u64,
        /// What is done.
        fault: ClockFault,
    },
    /// Does something to a machine's disk.
    Disk {
        /// The peer.
        peer: u64,
        /// What is done.
        fault: DiskFault,
    },
    /// Starts a peer from its disk. A peer that is up stays up.
    Restart {
        /// The peer.
        peer: u64,
    },
    /// Cuts every link between peers of different groups, both ways. Peers that no group names form
    /// one more. Replaces an earlier partition.
    Partition {
        /// The groups.
        groups: Vec<Vec<u64>>,
    },
    /// Cuts every link but these, each a way from one peer to another. Replaces an earlier
    /// partition.
    OnlyLinks {
        /// The ways that stay open.
        ways: Vec<(u64, u64)>,
    },
    /// Mends every link that is cut or clogged. What was held arrives at once.
    Heal,
    /// Takes every fault away: links work and lose nothing, clocks and disks work as they should,
    /// clients are heard once, stalled peers go on, peers that are down start. What is lost stays
    /// lost.
    HealAll,
    /// Makes a peer's election timer fire now.
    Campaign {
        /// The peer.
        peer: u64,
    },
    /// Changes how many messages are lost, on every link.
    SetLoss {
        /// Of 1,000.
        permille: u32,
    },
    /// Changes what some links do to messages.
    Link {
        /// The links.
        on: Links,
        /// What they do.
        fault: LinkFault,
    },
    /// Does something to one message on its way. A message that has ended its flight is left alone.
    Flight {
        /// The message.
        id: u64,
        /// What is done.
        fault: FlightFault,
    },
    /// Changes what happens between clients and peers.
    Clients {
        /// What happens.
        fault: ClientFault,
    },
    /// A client sends a request. It does not wait for its earlier ones.
    Request {
        /// Which client; each has its own belief of who leads.
        #[serde(default)]
        client: u64,
        /// What it asks.
        op: Op,
        /// The only peer to ask; none is whichever leads.
        #[serde(default)]
        to: Option<u64>,
    },
}

/// Clients have numbers below this.
pub(crate) const CLIENTS_MAX: u64 = 1_000;

impl Command {
    /// The first client asks whichever peer leads.
    pub fn request(op: Op) -> Self {
        Self::Request { client: 0, op, to: None }
    }

    /// A peer is cut off from all others.
    pub fn isolate(peer: u64) -> Self {
        Self::Partition { groups: vec![vec![peer]] }
    }

    /// Two halves that hear each other through `middle` alone.
    pub fn bridge(left: &[u64], middle: u64, right: &[u64]) -> Self {
        let half = |side: &[u64]| {
            let members: Vec<u64> = side.iter().copied().chain([middle]).collect();
            pairs(&members)
        };
        let mut ways = half(left);
        ways.extend(half(right));
        Self::OnlyLinks { ways }
    }

    /// Each peer hears only the two beside it.
    pub fn ring(peers: u64) -> Self {
        let both = |a: u64| [(a, a % peers + 1), (a % peers + 1, a)];
        let mut ways: Vec<_> = (1..=peers).flat_map(both).filter(|(a, b)| a != b).collect();
        ways.sort_unstable();
        // In a ring of two, the neighbour on either side is the same.
        ways.dedup();
        Self::OnlyLinks { ways }
    }

    /// Refuses what does not fit a cluster of `peers` peers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self, peers: u64) -> Result<(), ScenarioError> {
        let known = |id: u64| {
            if (1..=peers).contains(&id) { Ok(()) } else { Err(ScenarioError::NoPeer(id)) }
        };
        match self {
            Self::Crash { peer }
            | Self::CrashAt { peer, .. }
            | Self::Pause { peer }
            | Self::Resume { peer }
            | Self::Restart { peer }
            | Self::Campaign { peer } => known(*peer),
            Self::Clock { peer, fault } => known(*peer).and_then(|()| fault.validate()),
            Self::Disk { peer, fault } => known(*peer).and_then(|()| fault.validate()),
            Self::Partition { groups } => {
                let mut seen = Vec::new();
                for &id in groups.iter().flatten() {
                    known(id)?;
                    if seen.contains(&id) {
                        return Err(ScenarioError::TwoGroups(id));
                    }
                    seen.push(id);
                }
                Ok(())
            }
            Self::OnlyLinks { ways } => {
                in_range("number of ways", ways.len() as u64, 0, peers * peers)?;
                ways.iter().try_for_each(|&(from, to)| known(from).and_then(|()| known(to)))
            }
            Self::Heal | Self::HealAll => Ok(()),
            Self::SetLoss { permille } => in_range("loss", (*permille).into(), 0, 1_000),
            Self::Link { on, fault } => on.validate(known).and_then(|()| fault.validate()),
            Self::Flight { fault, .. } => fault.validate(),
            Self::Clients { fault } => fault.validate(),
            Self::Request { client, op, to } => {
                in_range("client", *client, 0, CLIENTS_MAX - 1)?;
                to.map_or(Ok(()), known)?;
                op.validate(peers)
            }
        }
    }
}

/// Both ways between any two of them.
fn pairs(members: &[u64]) -> Vec<(u64, u64)> {
    let others = |&a: &u64| members.iter().filter(move |&&b| a != b).map(move |&b| (a, b));
    members.iter().flat_map(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(command: Command) -> Vec<(u64, u64)> {
        match command {
            Command::OnlyLinks { ways } => ways,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_ring_leaves_each_peer_its_two_neighbours() {
        let five = ways(Command::ring(5));
        assert_eq!(five.len(), 10);
        let of_one: Vec<_> = five.iter().filter(|(from, _)| *from == 1).collect();
        assert_eq!(of_one, [&(1, 2), &(1, 5)]);
        assert_eq!(ways(Command::ring(2)), [(1, 2), (2, 1)]);
        assert_eq!(ways(Command::ring(1)), []);
    }

    #[test]
    fn a_bridge_joins_its_halves_by_one_peer() {
        let open = ways(Command::bridge(&[1, 2], 3, &[4, 5]));
        assert!(open.contains(&(1, 3)) && open.contains(&(3, 5)) && open.contains(&(4, 5)));
        assert!(!open.contains(&(1, 4)) && !open.contains(&(5, 2)));
    }

    #[test]
    fn what_does_not_fit_the_cluster_is_refused_by_name() {
        use crate::Span;
        let refused = |command: Command| command.validate(3).unwrap_err().to_string();
        let cut = |on| Command::Link { on, fault: LinkFault::Cut };
        assert!(refused(cut(Links::One { from: 1, to: 4 })).contains("no peer 4"));
        assert!(refused(cut(Links::Of { peer: 0 })).contains("no peer 0"));
        assert!(refused(Command::OnlyLinks { ways: vec![(1, 2), (2, 9)] }).contains("no peer 9"));
        assert!(refused(Command::OnlyLinks { ways: vec![(1, 2); 10] }).contains("number of ways"));
        let link = |fault| Command::Link { on: Links::All, fault };
        let never = Span { min_us: 0, max_us: 0 };
        assert!(refused(link(LinkFault::Delay { span: never })).contains("delay"));
        assert!(refused(link(LinkFault::Loss { permille: 1_001 })).contains("loss"));
        assert!(refused(link(LinkFault::Tail { permille: 1, max_us: 0 })).contains("extra delay"));
        let clock = |fault| Command::Clock { peer: 1, fault };
        assert!(refused(clock(ClockFault::Rate { permille: 0 })).contains("clock rate"));
        assert!(refused(clock(ClockFault::Jump { ticks: 0 })).contains("clock jump"));
        let slow = DiskFault::Slow { sync: never };
        assert!(refused(Command::Disk { peer: 1, fault: slow }).contains("disk sync"));
        let storm = ClientFault::Storm { copies: 101 };
        assert!(refused(Command::Clients { fault: storm }).contains("copies"));
        let op = Op::Get { key: "k".into() };
        let request = Command::Request { client: CLIENTS_MAX, op, to: None };
        assert!(refused(request).contains("client"));
        assert!(refused(Command::Pause { peer: 4 }).contains("no peer 4"));
    }
}
