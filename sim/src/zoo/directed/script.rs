//! Writing a scenario down as a play: when, who, what.

use crate::command::Command;
use crate::faults::{ClientFault, ClockFault, CrashPoint, DiskFault, LinkFault, Links};
use crate::scenario::{MemberChange, Op, Role, Scenario, Settings, Span, TimedCommand};

/// A scenario in the making. Nothing in it is left to chance: every message travels for 10 ms, every
/// sync takes 2 ms, no message is lost unless a command loses it, and nobody campaigns by itself in
/// the first seconds, which are all that a script needs.
#[derive(Clone, Debug)]
pub(super) struct Script {
    scenario: Scenario,
    now_ms: u64,
}

/// Virtual time of a script is told in milliseconds.
const MS: u64 = 1_000;

/// Always the same duration.
pub(super) const fn exactly(ms: u64) -> Span {
    Span { min_us: ms * MS, max_us: ms * MS }
}

impl Script {
    /// A cluster of so many peers: heartbeats every 500 ms, elections after 2.5 to 5 s without one.
    pub(super) fn of(peers: u64) -> Self {
        let settings = Settings {
            tick_us: 50 * MS,
            heartbeat_tick: 10,
            election_tick: 50,
            latency: exactly(10),
            sync: exactly(2),
            ..Settings::default()
        };
        Self { scenario: Scenario { peers, settings, ..Scenario::new(1) }, now_ms: 0 }
    }

    /// With other settings than those.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.scenario.settings);
        self
    }

    /// With heartbeats every 100 ms, and elections after 0.5 to 1 s without one: for scripts that end
    /// with a healed cluster, which has to do everything within some election time-outs.
    pub(super) fn brisk(self) -> Self {
        self.with(|settings| (settings.heartbeat_tick, settings.election_tick) = (2, 10))
    }

    /// With so many stores that hold no peer at first.
    pub(super) fn spares(mut self, spares: u64) -> Self {
        self.scenario.spares = spares;
        self
    }

    /// With another seed, where something is left to chance after all.
    pub(super) fn seed(mut self, seed: u64) -> Self {
        self.scenario.seed = seed;
        self
    }

    /// What follows happens at this time.
    pub(super) fn at(mut self, ms: u64) -> Self {
        self.now_ms = ms;
        self
    }

    fn run(mut self, command: Command) -> Self {
        self.scenario.commands.push(TimedCommand { at_us: self.now_ms * MS, command });
        self
    }

    pub(super) fn campaign(self, peer: u64) -> Self {
        self.run(Command::Campaign { peer })
    }

    pub(super) fn crash(self, peer: u64) -> Self {
        self.run(Command::Crash { peer })
    }

    pub(super) fn crash_at(self, peer: u64, point: CrashPoint) -> Self {
        self.run(Command::CrashAt { peer, point })
    }

    pub(super) fn restart(self, peer: u64) -> Self {
        self.run(Command::Restart { peer })
    }

    pub(super) fn clock(self, peer: u64, fault: ClockFault) -> Self {
        self.run(Command::Clock { peer, fault })
    }

    pub(super) fn disk(self, peer: u64, fault: DiskFault) -> Self {
        self.run(Command::Disk { peer, fault })
    }

    /// These peers hear each other and none of the rest, which hear each other, too.
    pub(super) fn part(self, group: &[u64]) -> Self {
        self.run(Command::Partition { groups: vec![group.to_vec()] })
    }

    pub(super) fn link(self, on: Links, fault: LinkFault) -> Self {
        self.run(Command::Link { on, fault })
    }

    /// Nobody hears what this peer sends.
    pub(super) fn mute(self, peer: u64) -> Self {
        self.link(Links::From { peer }, LinkFault::Cut)
    }

    /// This peer hears nobody.
    pub(super) fn deafen(self, peer: u64) -> Self {
        self.link(Links::Into { peer }, LinkFault::Cut)
    }

    /// All links work again.
    pub(super) fn heal(self) -> Self {
        self.run(Command::Heal)
    }

    /// Everything works again. The judge then asks for what a healed cluster owes.
    pub(super) fn heal_all(self) -> Self {
        self.run(Command::HealAll)
    }

    pub(super) fn clients(self, fault: ClientFault) -> Self {
        self.run(Command::Clients { fault })
    }

    fn ask(self, peer: u64, op: Op) -> Self {
        self.run(Command::Request { client: 0, op, to: Some(peer) })
    }

    /// A client asks this peer to write a key.
    pub(super) fn put(self, peer: u64, key: &str, value: &str) -> Self {
        self.ask(peer, Op::Put { key: key.into(), value: value.into() })
    }

    /// A client asks this peer to write a key, and it stops when that is on its disk, unheard.
    pub(super) fn put_unheard(self, peer: u64) -> Self {
        self.crash_at(peer, CrashPoint::AfterWrite).put(peer, "x", "unheard")
    }

    /// A client asks this peer for the value of a key.
    pub(super) fn get(self, peer: u64, key: &str) -> Self {
        self.ask(peer, Op::Get { key: key.into() })
    }

    /// A client asks this peer for other members.
    pub(super) fn members(self, peer: u64, changes: &[(u64, Role)]) -> Self {
        let change = |&(store, role): &(u64, Role)| MemberChange { store, role };
        self.ask(peer, Op::Members { changes: changes.iter().map(change).collect() })
    }

    /// So many writes at once, to keys of their own.
    pub(super) fn puts(self, peer: u64, count: u64) -> Self {
        (1..=count).fold(self, |script, number| script.put(peer, &format!("k{number}"), "new"))
    }

    /// The scenario as it is exchanged.
    pub(super) fn scenario(self) -> Scenario {
        self.scenario
    }
}
