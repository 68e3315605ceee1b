//! The world: one queue of events, handled one after the other.
//!
//! | file | what it does |
//! | --- | --- |
//! | `mod.rs` | the clock, the queue, commands |
//! | `processes.rs` | peers that stall, and peers that stop in mid-write |
//! | `disks.rs` | syncs, errors, power cuts, damage |
//! | `clocks.rs` | clocks that run wrong |
//! | `faults.rs` | what is done to links and to messages on their way |
//! | `machines.rs` | peers and disks: ticks, messages, syncs, crashes |
//! | `facts.rs` | what the checkers are told about them |
//! | `history.rs` | what clients saw, for the linearizability checker |
//! | `requests.rs` | clients: attempts, answers, time-outs |
//! | `spoiled.rs` | writes of drivers that lose something on the way to the disk |
//! | `observe.rs` | what tools see: views, happenings, the digest |

#[cfg(test)]
mod broken_drivers;
mod clocks;
mod disks;
mod facts;
mod faults;
mod history;
mod machines;
mod observe;
mod processes;
mod queue;
mod requests;
mod spoiled;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft_core::Rules;
use raft_kv::{Batches, Engines, StoreRules, bootstrap, bootstrap_store, single_region};

use self::facts::Watch;
use self::queue::{Event, Line, Queue};
use crate::check::{Checker, Violation};
use crate::client::{Clients, Request};
use crate::command::Command;
use crate::digest::Digest;
use crate::event::{Happening, What};
use crate::faults::{LinkFault, Links};
use crate::flaws::Flaws;
use crate::flights::Flights;
use crate::network::Network;
use crate::node::{CLUSTER, Node, Nodes, REGION};
use crate::rng::{WorldRng, mix};
use crate::scenario::{COMMANDS_MAX, Scenario, ScenarioError, TimedCommand};
use crate::tally::Tally;
use crate::variant::Variant;

/// A cluster, its network, its disks, its clients and its time.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    rules: Rules,
    store_rules: StoreRules,
    flaws: Flaws,
    now_us: u64,
    queue: Queue,
    rng: WorldRng,
    nodes: Nodes,
    network: Network,
    flights: Flights,
    clients: Clients,
    checker: Checker,
    watch: Watch,
    /// What happened lately; none if nobody wants to know.
    happenings: Option<VecDeque<Happening>>,
    happened: u64,
    tally: Tally,
    events_handled: u64,
    trace: Digest,
    /// Durable writes that somebody outside copies; none if nobody does.
    journal: Option<Vec<(u64, Batches)>>,
    /// What clients saw; none if nobody wants to know.
    past: Option<Vec<Request>>,
    /// When and where each command of a session was executed first, and with which answer, if
    /// anybody wants to know.
    took_effect: BTreeMap<(u64, u64), (u64, u64, Bytes)>,
    /// Where in the log each request took effect, and its name in its session, likewise.
    places: BTreeMap<u64, (u64, u8)>,
    sessions: BTreeMap<u64, (u64, u64)>,
    /// Further places where a read may stand of which several copies were answered, likewise.
    other_places: BTreeMap<u64, Vec<(u64, u8)>>,
    /// Whether happenings tell of what goes on inside the peers.
    listens: bool,
}

/// What is left of an earlier run after a power cut.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// Virtual time at the cut.
    pub now_us: u64,
    /// Counts the power cuts; decides what chance brings after this one.
    pub epoch: u64,
    /// The last request's number.
    pub last_request: u64,
    /// Each peer's disk.
    pub disks: BTreeMap<u64, Engines>,
}

impl World {
    /// A fresh cluster at time 0, all peers up.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn new(scenario: &Scenario) -> Result<Self, ScenarioError> {
        Self::with_rules(scenario, Rules::default())
    }

    /// A fresh cluster whose peers follow other rules than the paper's, to see what breaks.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn with_rules(scenario: &Scenario, rules: Rules) -> Result<Self, ScenarioError> {
        Self::with_flaws(scenario, rules, Flaws::default())
    }

    /// A fresh cluster whose peers follow these rules and are driven with these mistakes, to see
    /// what breaks.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn with_flaws(
        scenario: &Scenario,
        rules: Rules,
        flaws: Flaws,
    ) -> Result<Self, ScenarioError> {
        Self::with_variant(scenario, Variant { rules, flaws, ..Variant::default() })
    }

    /// A fresh cluster that differs from an honest one in anything of this, to see what breaks.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn with_variant(scenario: &Scenario, variant: Variant) -> Result<Self, ScenarioError> {
        scenario.validate()?;
        let disk = |id| Self::fresh_disk(scenario, id).map(|disk| (id, disk));
        let disks = scenario.store_ids().map(disk).collect::<Result<_, _>>()?;
        let resume = Resume { disks, ..Resume::default() };
        Self::start(scenario, resume, variant)
    }

    /// A store's disk on the first day.
    fn fresh_disk(scenario: &Scenario, id: u64) -> Result<Engines, ScenarioError> {
        let refuse = |reason| ScenarioError::Start { peer: id, reason };
        let region = single_region(REGION, scenario.peer_ids());
        let mut disk = Engines::default();
        disk.write(&bootstrap_store(&disk, CLUSTER, id).map_err(refuse)?);
        if id <= scenario.peers {
            disk.write(&bootstrap(&disk, &region).map_err(refuse)?);
        }
        Ok(disk)
    }

    /// The cluster after a power cut: every peer starts from its disk, by the same path as after a
    /// crash. Commands of the scenario that lie in the past are not repeated.
    ///
    /// # Errors
    /// A scenario that cannot be run, or a disk that no peer can start from.
    pub fn resume(scenario: &Scenario, resume: Resume) -> Result<Self, ScenarioError> {
        scenario.validate()?;
        Self::start(scenario, resume, Variant::default())
    }

    fn start(scenario: &Scenario, resume: Resume, variant: Variant) -> Result<Self, ScenarioError> {
        let settings = &scenario.settings;
        let mut disks = resume.disks;
        let node =
            |id| Node::new(disks.remove(&id).unwrap_or_default(), resume.epoch, settings.tick_us);
        let mut world = Self {
            scenario: scenario.clone(),
            rules: variant.rules,
            store_rules: variant.store_rules,
            flaws: variant.flaws,
            now_us: resume.now_us,
            queue: Queue::default(),
            rng: WorldRng::new(mix(scenario.seed, resume.epoch)),
            nodes: scenario.store_ids().map(node).collect(),
            network: Network::new(scenario.stores(), settings),
            flights: Flights::default(),
            clients: Clients::starting_after(resume.last_request),
            checker: Checker::default(),
            watch: Watch::default(),
            happenings: Some(VecDeque::new()),
            happened: 0,
            tally: Tally::default(),
            events_handled: 0,
            trace: Digest::new(),
            journal: None,
            past: None,
            took_effect: BTreeMap::new(),
            places: BTreeMap::new(),
            sessions: BTreeMap::new(),
            other_places: BTreeMap::new(),
            listens: false,
        };
        for TimedCommand { at_us, command } in &scenario.commands {
            if *at_us >= resume.now_us {
                world.queue.push_command(*at_us, command.clone());
            }
        }
        for id in scenario.store_ids() {
            world.start_peer(id).map_err(|reason| ScenarioError::Start { peer: id, reason })?;
        }
        Ok(world)
    }

    /// Virtual time in microseconds.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// What the world is made from, with every command that was applied to it so far; of more than a
    /// scenario may have, the first ones, and one too many.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The rule that was broken. The world stands still after it.
    pub fn violation(&self) -> Option<&Violation> {
        self.checker.violation()
    }

    /// Does something to the cluster now: after everything else of this microsecond, so that a
    /// replay of [`scenario`](Self::scenario) does it at the same place.
    ///
    /// # Errors
    /// A command that does not fit this cluster; nothing is done.
    pub fn apply(&mut self, command: Command) -> Result<(), ScenarioError> {
        command.validate(self.scenario.stores())?;
        self.run_until(self.now_us);
        let timed = TimedCommand { at_us: self.now_us, command };
        // One too many tells that these are not all of them: such a scenario is refused. Memory must
        // not grow for as long as somebody plays.
        if self.scenario.commands.len() <= COMMANDS_MAX {
            // Commands of the scenario that are still to come stay behind this one.
            let position = self.scenario.commands.partition_point(|c| c.at_us <= timed.at_us);
            self.scenario.commands.insert(position, timed.clone());
        }
        self.queue.push_command(timed.at_us, timed.command);
        self.run_until(self.now_us);
        Ok(())
    }

    /// Handles the next event. Returns false if a rule is broken: then nothing happens any more.
    pub fn step(&mut self) -> bool {
        self.step_until(u64::MAX)
    }

    /// As [`step`](Self::step), if the next event is not after this time.
    fn step_until(&mut self, time_us: u64) -> bool {
        if self.violation().is_some() {
            return false;
        }
        let Some((at_us, event)) = self.queue.pop_until(time_us) else { return false };
        self.now_us = self.now_us.max(at_us);
        self.events_handled += 1;
        self.trace.number(at_us);
        self.handle(event);
        self.violation().is_none()
    }

    /// Handles every event up to and including `time_us`, then sets the clock to it. Stops where a
    /// rule is broken.
    pub fn run_until(&mut self, time_us: u64) {
        while self.step_until(time_us) {}
        if self.violation().is_none() {
            self.now_us = self.now_us.max(time_us);
        }
    }

    /// Virtual time of the next event.
    pub fn next_event_us(&self) -> Option<u64> {
        self.queue.next_us()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { peer, incarnation } => self.tick(peer, incarnation),
            Event::Arrival { flight } => self.arrival(flight),
            Event::Synced { peer, incarnation, number } => self.synced(peer, incarnation, number),
            Event::Flush { peer, incarnation } => self.flush_by_itself(peer, incarnation),
            Event::Asked { request, attempt } => self.asked(request, attempt),
            Event::AskedAgain { request, attempt, target } => {
                self.asked_again(request, attempt, target);
            }
            Event::Answered { request, attempt, response } => {
                self.answered(request, attempt, &response);
            }
            Event::AttemptTimeout { request, attempt } => self.attempt_timeout(request, attempt),
            Event::Deadline { request } => self.deadline(request),
            Event::Retry { request, hint } => self.attempt(request, hint),
            Event::Command(command) => self.execute(*command),
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Crash { peer } => self.crash(peer),
            Command::CrashAt { peer, point } => self.arm(peer, point),
            Command::Pause { peer } => self.pause(peer),
            Command::Resume { peer } => self.wake(peer),
            Command::Clock { peer, fault } => self.set_clock(peer, fault),
            Command::Disk { peer, fault } => self.set_disk(peer, fault),
            Command::Restart { peer } => self.restart(peer),
            Command::Campaign { peer } => self.campaign(peer),
            Command::Partition { groups } => {
                self.network.partition(&groups);
                self.note(What::Partitioned { groups });
            }
            Command::OnlyLinks { ways } => {
                self.network.only(&ways);
                self.note(What::OnlyLinks { ways });
            }
            Command::Heal => self.heal_links(),
            Command::HealAll => self.heal_all(),
            Command::SetLoss { permille } => {
                self.network.set(Links::All, LinkFault::Loss { permille });
                self.note(What::LossSet { permille });
            }
            Command::Link { on, fault } => self.set_links(on, fault),
            Command::Flight { id, fault } => self.meddle(id, fault),
            Command::Clients { fault } => self.set_clients(fault),
            Command::Request { client, op, to } => self.invoke(client, op, to),
        }
    }
}
