//! The classes of faults, and how each comes and goes.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::faults::{ClientFault, ClockFault, CrashPoint, DiskFault, LinkFault, Links};
use crate::rng::WorldRng;
use crate::scenario::{MemberChange, Op, Role, Span, TimedCommand};

/// Faults that are switched on and off together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplicates,
    /// Some messages are very late.
    Tails,
    /// A link is slow.
    SlowLinks,
    /// Messages come again when they are very old.
    Replays,
    /// A link is cut one way.
    OneWayCuts,
    /// A link is cut both ways, again and again.
    FlappingCuts,
    /// The cluster falls in two.
    Partitions,
    /// One peer is alone.
    Isolation,
    /// Two halves hear each other through one peer only.
    Bridges,
    /// Each peer hears its neighbours only.
    Rings,
    /// Many pairs of peers do not hear each other, in no order.
    Omissions,
    /// Messages pile up and come at once.
    Clogs,
    /// A peer stops and starts.
    Crashes,
    /// A peer stops in mid-write.
    CrashPoints,
    /// Most of the peers, or all, stop together.
    MassCrashes,
    /// A peer stalls.
    Pauses,
    /// A peer's election timer fires too early.
    Campaigns,
    /// A clock runs fast or slow.
    Drift,
    /// A clock jumps forward.
    Jumps,
    /// A clock stands still.
    Freezes,
    /// A disk is slow.
    SlowDisks,
    /// A disk is full.
    FullDisks,
    /// A write or a sync fails.
    DiskErrors,
    /// A record is damaged.
    Damage,
    /// Requests and answers of clients are lost.
    ClientLoss,
    /// Requests of clients arrive twice, perhaps late.
    ClientCopies,
    /// Clients ask again all at once.
    Storms,
    /// Members come, go, and change their role.
    Members,
    /// Leadership is handed over.
    Transfers,
    /// A disk is set back to an earlier state. Raft does not promise to survive that.
    Amnesia,
}

impl FaultClass {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Loss,
        Self::Duplicates,
        Self::Tails,
        Self::SlowLinks,
        Self::Replays,
        Self::OneWayCuts,
        Self::FlappingCuts,
        Self::Partitions,
        Self::Isolation,
        Self::Bridges,
        Self::Rings,
        Self::Omissions,
        Self::Clogs,
        Self::Crashes,
        Self::CrashPoints,
        Self::MassCrashes,
        Self::Pauses,
        Self::Campaigns,
        Self::Drift,
        Self::Jumps,
        Self::Freezes,
        Self::SlowDisks,
        Self::FullDisks,
        Self::DiskErrors,
        Self::Damage,
        Self::ClientLoss,
        Self::ClientCopies,
        Self::Storms,
        Self::Members,
        Self::Transfers,
        Self::Amnesia,
    ];

    /// Whether Raft promises to survive it.
    pub fn is_survivable(self) -> bool {
        self != Self::Amnesia
    }

    /// Whether peers no longer agree on how fast time passes: leases do not survive that.
    pub fn bends_time(self) -> bool {
        matches!(self, Self::Drift | Self::Jumps | Self::Freezes | Self::Pauses)
    }

    /// Plans this class until `until_us`: a strike about every `period_us`, at least one.
    pub(super) fn plan(self, plan: &mut Plan<'_>, period_us: u64, until_us: u64) -> u32 {
        plan.at_us = plan.rng.below((2 * period_us).min(until_us));
        let mut strikes = 0;
        while plan.at_us < until_us && strikes < STRIKES_MAX {
            self.strike(plan);
            strikes += 1;
            plan.at_us += 1 + plan.rng.below(2 * period_us);
        }
        strikes
    }

    /// It happens, and after a while it is over.
    fn strike(self, plan: &mut Plan<'_>) {
        match self {
            Self::Loss
            | Self::Duplicates
            | Self::Tails
            | Self::SlowLinks
            | Self::Replays
            | Self::OneWayCuts
            | Self::FlappingCuts
            | Self::Clogs => self.strike_links(plan),
            Self::Partitions | Self::Isolation | Self::Bridges | Self::Rings | Self::Omissions => {
                self.strike_topology(plan);
            }
            Self::Crashes
            | Self::CrashPoints
            | Self::MassCrashes
            | Self::Pauses
            | Self::Campaigns => self.strike_processes(plan),
            Self::Drift | Self::Jumps | Self::Freezes => self.strike_clocks(plan),
            Self::SlowDisks | Self::FullDisks | Self::DiskErrors | Self::Damage | Self::Amnesia => {
                self.strike_disks(plan);
            }
            Self::ClientLoss | Self::ClientCopies | Self::Storms => self.strike_clients(plan),
            Self::Members => {
                let several = 1 + plan.rng.below(3);
                let changes = (0..several).zip(plan.shuffled()).map(|(_, store)| {
                    let role =
                        plan.rng.pick(&[Role::Voter, Role::Voter, Role::Learner, Role::Gone]);
                    MemberChange { store, role }
                });
                let op = Op::Members { changes: changes.collect() };
                plan.at(0, Command::request(op));
            }
            Self::Transfers => {
                let op = Op::TransferLeader { to: plan.peer() };
                plan.at(0, Command::request(op));
            }
        }
    }

    fn strike_links(self, plan: &mut Plan<'_>) {
        let permille = plan.rng.pick(&[10, 100, 300, 700]);
        let delay = plan.rng.pick(&[500_000, 1_500_000, LATE_MAX_US]);
        let latency = plan.latency;
        let (on, fault, end) = match self {
            Self::Loss => {
                let loss = |permille| LinkFault::Loss { permille };
                (plan.links(), loss(permille), loss(0))
            }
            Self::Duplicates => {
                let duplicate = |permille| LinkFault::Duplicate { permille };
                (plan.links(), duplicate(permille), duplicate(0))
            }
            Self::Tails => {
                let max_us = plan.rng.pick(&[100_000, 500_000, 3_000_000]);
                let tail = |permille| LinkFault::Tail { permille, max_us };
                (plan.links(), tail(permille), tail(0))
            }
            Self::SlowLinks => {
                let max_us = plan.rng.pick(&[100_000, 300_000, 1_000_000]);
                let span = Span { min_us: max_us / 4, max_us };
                (plan.links(), LinkFault::Delay { span }, LinkFault::Delay { span: latency })
            }
            Self::Replays => {
                let delay = Span { min_us: delay / 4, max_us: delay };
                let replay = |permille| LinkFault::Replay { permille, delay };
                (Links::All, replay(permille.min(100)), replay(0))
            }
            Self::Clogs => (plan.links(), LinkFault::Clog, LinkFault::Burst),
            Self::OneWayCuts => {
                let (from, to) = plan.pair();
                (Links::One { from, to }, LinkFault::Cut, LinkFault::Mend)
            }
            _ => {
                let (a, b) = plan.pair();
                let on = Links::Between { a, b };
                let beat_us = plan.rng.pick(&[20_000, 100_000, 400_000]);
                for beat in 1..3 {
                    plan.at(2 * beat * beat_us, Command::Link { on, fault: LinkFault::Cut });
                    let fault = LinkFault::Mend;
                    plan.at((2 * beat + 1) * beat_us, Command::Link { on, fault });
                }
                (on, LinkFault::Cut, LinkFault::Mend)
            }
        };
        plan.for_a_while(Command::Link { on, fault }, Command::Link { on, fault: end });
    }

    fn strike_topology(self, plan: &mut Plan<'_>) {
        let order = plan.shuffled();
        let middle = order.len() / 2;
        let fault = match self {
            Self::Isolation => Command::isolate(order[0]),
            Self::Bridges => Command::bridge(&order[..middle], order[middle], &order[middle + 1..]),
            Self::Rings => Command::ring(plan.peers),
            Self::Omissions => {
                let permille = plan.rng.pick(&[300, 500, 700]);
                let mut ways = Vec::new();
                for (at, &a) in order.iter().enumerate() {
                    let heard = order[at + 1..].iter().filter(|_| plan.rng.chance(permille));
                    ways.extend(heard.flat_map(|&b| [(a, b), (b, a)]));
                }
                Command::OnlyLinks { ways }
            }
            _ => {
                let at = 1 + plan.rng.below(plan.peers - 1);
                let side = (0..at).zip(order).map(|(_, peer)| peer).collect();
                Command::Partition { groups: vec![side] }
            }
        };
        plan.for_a_while(fault, Command::Heal);
    }

    fn strike_processes(self, plan: &mut Plan<'_>) {
        let peer = plan.peer();
        let restart = Command::Restart { peer };
        match self {
            Self::Crashes => plan.for_a_while(Command::Crash { peer }, restart),
            Self::CrashPoints => {
                let messages = u32::from(plan.rng.chance(500)) + u32::from(plan.rng.chance(500));
                let point = plan.rng.pick(&[
                    CrashPoint::BeforeWrite,
                    CrashPoint::AfterWrite,
                    CrashPoint::AfterSending { messages },
                    CrashPoint::AfterAnswers,
                ]);
                plan.for_a_while(Command::CrashAt { peer, point }, restart);
            }
            Self::MassCrashes => {
                let all = plan.rng.chance(300);
                let most = if all { plan.peers } else { plan.peers / 2 + 1 };
                for (_, peer) in (0..most).zip(plan.shuffled()) {
                    plan.for_a_while(Command::Crash { peer }, Command::Restart { peer });
                }
            }
            Self::Pauses => plan.for_a_while(Command::Pause { peer }, Command::Resume { peer }),
            _ => plan.at(0, Command::Campaign { peer }),
        }
    }

    fn strike_clocks(self, plan: &mut Plan<'_>) {
        let peer = plan.peer();
        let clock = |fault| Command::Clock { peer, fault };
        let right = clock(ClockFault::Rate { permille: 1_000 });
        match self {
            Self::Drift => {
                let permille = plan.rng.pick(&[300, 700, 1_500, 3_000]);
                plan.for_a_while(clock(ClockFault::Rate { permille }), right);
            }
            Self::Jumps => {
                let ticks = plan.rng.pick(&[2, 10, 50]);
                plan.at(0, clock(ClockFault::Jump { ticks }));
            }
            _ => plan.for_a_while(clock(ClockFault::Freeze), right),
        }
    }

    fn strike_disks(self, plan: &mut Plan<'_>) {
        let peer = plan.peer();
        let disk = |fault| Command::Disk { peer, fault };
        let fault = match self {
            Self::SlowDisks => {
                let max_us = plan.rng.pick(&[50_000, 300_000, 1_500_000]);
                DiskFault::Slow { sync: Span { min_us: max_us / 4, max_us } }
            }
            Self::FullDisks => DiskFault::Full,
            Self::DiskErrors => {
                plan.rng.pick(&[DiskFault::FailWrite, DiskFault::FailSync, DiskFault::Tear])
            }
            Self::Damage => {
                // Nobody looks at a record before the next start.
                plan.at(1, Command::Crash { peer });
                plan.at(2, Command::Restart { peer });
                DiskFault::Corrupt { record: plan.rng.below(1_000) }
            }
            _ => {
                plan.at(0, disk(DiskFault::KeepImage));
                let fault = plan.rng.pick(&[DiskFault::RollBack, DiskFault::Wipe]);
                plan.for_a_while(Command::Pause { peer }, disk(fault));
                fault
            }
        };
        if self != Self::Amnesia {
            plan.at(0, disk(fault));
        }
        let mended_us = plan.a_while();
        if fault == DiskFault::Tear {
            plan.at(mended_us / 2, Command::Restart { peer });
        }
        plan.at(mended_us, disk(DiskFault::Mend));
        plan.at(mended_us, Command::Restart { peer });
    }

    fn strike_clients(self, plan: &mut Plan<'_>) {
        let permille = plan.rng.pick(&[10, 100, 400]);
        let clients = |fault| Command::Clients { fault };
        match self {
            Self::ClientLoss => {
                let loss = |permille| clients(ClientFault::Loss { permille });
                plan.for_a_while(loss(permille), loss(0));
            }
            Self::ClientCopies if plan.rng.chance(500) => {
                let duplicate = |permille| clients(ClientFault::Duplicate { permille });
                plan.for_a_while(duplicate(permille), duplicate(0));
            }
            Self::ClientCopies => {
                let delay = Span { min_us: 100_000, max_us: LATE_MAX_US };
                let replay = |permille| clients(ClientFault::Replay { permille, delay });
                plan.for_a_while(replay(permille), replay(0));
            }
            _ => {
                let copies = plan.rng.pick(&[1, 3, 10]);
                plan.at(0, clients(ClientFault::Storm { copies }));
            }
        }
    }
}

/// No message and no request comes later than that after its time.
pub(crate) const LATE_MAX_US: u64 = 4_000_000;
/// Strikes of one class in a run at most.
const STRIKES_MAX: u32 = 300;

/// Where strikes are written down.
pub(super) struct Plan<'a> {
    pub(super) rng: &'a mut WorldRng,
    pub(super) peers: u64,
    pub(super) latency: Span,
    /// Time of the strike.
    pub(super) at_us: u64,
    pub(super) commands: &'a mut Vec<TimedCommand>,
}

impl Plan<'_> {
    /// So long after the strike.
    fn at(&mut self, delay_us: u64, command: Command) {
        self.commands.push(TimedCommand { at_us: self.at_us + delay_us, command });
    }

    fn for_a_while(&mut self, fault: Command, end: Command) {
        self.at(0, fault);
        let ends_us = self.a_while();
        self.at(ends_us, end);
    }

    /// Short whiles are as frequent as long ones: from 50 milliseconds to 6 seconds.
    fn a_while(&mut self) -> u64 {
        let shortest_us = 50_000 << self.rng.below(7);
        shortest_us + self.rng.below(shortest_us)
    }

    fn peer(&mut self) -> u64 {
        1 + self.rng.below(self.peers)
    }

    /// Two peers; of a lone one, itself twice.
    fn pair(&mut self) -> (u64, u64) {
        let from = self.peer();
        let to = (from + self.rng.below(self.peers.max(2) - 1)) % self.peers + 1;
        (from, to)
    }

    fn links(&mut self) -> Links {
        let (from, to) = self.pair();
        self.rng.pick(&[
            Links::All,
            Links::One { from, to },
            Links::Between { a: from, b: to },
            Links::From { peer: from },
            Links::Into { peer: to },
            Links::Of { peer: from },
        ])
    }

    /// All peers in a drawn order.
    fn shuffled(&mut self) -> Vec<u64> {
        let mut rest: Vec<u64> = (1..=self.peers).collect();
        let mut order = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let at = self.rng.position(rest.len());
            order.push(rest.swap_remove(at));
        }
        order
    }
}
