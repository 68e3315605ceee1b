//! Draws a run full of faults from a seed.
//!
//! Swarm testing (Groce et al. 2012): a run with every fault at once finds less than many runs with
//! few of them. So each class of faults is on in about half of the runs, with a rate of its own, and
//! the tuning constants are drawn, too. All of it ends up in the [`Scenario`], as commands with
//! times: a failing seed is a plain scenario that can be read, shortened and shared.

mod classes;

use serde::{Deserialize, Serialize};

pub use self::classes::FaultClass;
pub(crate) use self::classes::LATE_MAX_US;
use self::classes::Plan;
use crate::command::{CLIENTS_MAX, Command};
use crate::rng::{WorldRng, mix};
use crate::scenario::{
    COMMANDS_MAX, HOUR_US, Op, PEERS_MAX, Reads, Scenario, Settings, Span, TimedCommand,
};

/// Salt of the nemesis's chance, so that it differs from the world's with the same seed.
const SALT: u64 = 0x004E_454D_4553_4953;
/// Ticks for which there are faults.
pub(crate) const FAULTS_TICKS: u64 = 2_000;
/// Requests that a run has at most; the rest of the commands are faults.
const REQUESTS_MAX: usize = 6_000;

/// What a nemesis may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NemesisSettings {
    /// How long there are faults, at most an hour; none is for 2,000 ticks, however long one takes.
    pub faults_us: Option<u64>,
    /// How long nothing is done after everything was healed, in election time-outs: within that
    /// time the cluster has to be well again.
    pub calm_timeouts: u32,
    /// Number of peers; drawn if there is none.
    pub peers: Option<u64>,
    /// Requests of all clients together in a second; drawn if there is none.
    pub requests_per_second: Option<u32>,
    /// Number of clients that share these requests; drawn if there is none.
    pub clients: Option<u64>,
    /// Time between two ticks; drawn if there is none.
    pub tick_us: Option<u64>,
    /// How long messages travel; drawn if there is none.
    pub latency: Option<Span>,
    /// How long disks need to make a write durable; drawn if there is none.
    pub sync: Option<Span>,
    /// The classes that may be on. Each is on in about half of the runs.
    pub classes: Vec<FaultClass>,
}

impl Default for NemesisSettings {
    /// Everything that Raft promises to survive.
    fn default() -> Self {
        Self {
            faults_us: None,
            calm_timeouts: 2,
            peers: None,
            requests_per_second: None,
            clients: None,
            tick_us: None,
            latency: None,
            sync: None,
            classes: FaultClass::ALL.into_iter().filter(|class| class.is_survivable()).collect(),
        }
    }
}

/// A run full of faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Nemesis {
    /// The run itself.
    pub scenario: Scenario,
    /// The classes of faults that are on, and how often each strikes.
    pub classes: Vec<(FaultClass, u32)>,
    /// When everything is healed.
    pub healed_us: u64,
    /// By when the cluster has to be well again.
    pub well_us: u64,
    /// By when nothing of the faults is on its way any more: late messages have arrived, and every
    /// client has had the time to find the leader.
    pub quiet_us: u64,
}

impl Nemesis {
    /// The run that `seed` gives under these settings.
    pub fn new(seed: u64, settings: &NemesisSettings) -> Self {
        let mut rng = WorldRng::new(mix(seed, SALT));
        let mut scenario = Scenario::new(seed);
        let drawn_peers = rng.pick(&[3, 3, 5, 5, 5, 5, 5, 7]);
        scenario.peers = settings.peers.unwrap_or(drawn_peers).clamp(1, PEERS_MAX);
        scenario.settings = tuning(&mut rng, settings);
        let faults_us = settings.faults_us.unwrap_or(FAULTS_TICKS * scenario.settings.tick_us);
        let faults_us = faults_us.min(HOUR_US);

        // Only membership changes make use of them.
        let spares = rng.below(3);
        let moving = settings.classes.contains(&FaultClass::Members);
        scenario.spares = if moving { spares.min(PEERS_MAX - scenario.peers) } else { 0 };

        let mut commands = requests(&mut rng, settings, faults_us);
        let mut classes: Vec<(FaultClass, u32)> = Vec::new();
        let mut faults = Vec::new();
        for &class in &settings.classes {
            // Drawn whether or not it is on, so that two seeds differ in more than that.
            let period_us = 800_000 << rng.below(6);
            if rng.chance(500) {
                let (peers, latency) = (scenario.stores(), scenario.settings.latency);
                let commands = &mut faults;
                let mut plan = Plan { rng: &mut rng, peers, latency, at_us: 0, commands };
                classes.push((class, class.plan(&mut plan, period_us, faults_us)));
            }
        }
        if rng.chance(300) && !classes.iter().any(|(class, _)| class.bends_time()) {
            scenario.settings.reads = Reads::Lease;
            scenario.settings.check_quorum = true;
        }
        // A state machine may be slow: it lags behind what is committed.
        scenario.settings.apply_bytes_max = rng.pick(&[1, 300, 1 << 20, 1 << 20]);
        faults.sort_by_cached_key(|timed| timed.at_us);
        faults.truncate(COMMANDS_MAX - REQUESTS_MAX - 1);
        commands.extend(faults);
        commands.retain(|timed| timed.at_us < faults_us);
        commands.sort_by_cached_key(|timed| timed.at_us);
        commands.push(TimedCommand { at_us: faults_us, command: Command::HealAll });
        scenario.commands = commands;
        let calm_us = election_us(&scenario.settings) * u64::from(settings.calm_timeouts);
        let late_us = LATE_MAX_US + (scenario.stores() + 1) * scenario.settings.client_timeout_us;
        let (well_us, quiet_us) = (faults_us + calm_us, faults_us + calm_us.max(late_us));
        Self { scenario, classes, healed_us: faults_us, well_us, quiet_us }
    }

    /// The run that `seed` gives under these settings, and nothing else.
    pub fn scenario(seed: u64, settings: &NemesisSettings) -> Scenario {
        Self::new(seed, settings).scenario
    }
}

/// The shortest election time-out.
fn election_us(settings: &Settings) -> u64 {
    settings.tick_us * u64::from(settings.election_tick)
}

/// Speeds with which a healthy cluster works: messages and syncs are a good deal faster than
/// elections.
fn tuning(rng: &mut WorldRng, asked: &NemesisSettings) -> Settings {
    let append_bytes_max = rng.pick(&[1, 200, 2_000, 1 << 20]);
    let mut settings = Settings {
        tick_us: rng.pick(&[20_000, 50_000, 50_000, 100_000]),
        election_tick: rng.pick(&[10, 10, 15, 20]),
        heartbeat_tick: rng.pick(&[1, 2, 3, 4]),
        write_back_us: rng.pick(&[0, 0, 30_000, 1_000_000]),
        fifo: rng.chance(250),
        client_timeout_us: rng.pick(&[300_000, 600_000, 1_500_000]),
        client_deadline_us: rng.pick(&[2_000_000, 5_000_000, 10_000_000]),
        sessions: true,
        reads: rng.pick(&[Reads::Index, Reads::Index, Reads::Index, Reads::Log]),
        follower_reads: rng.chance(300),
        pre_vote: rng.chance(500),
        check_quorum: rng.chance(500),
        broadcast_commit: rng.chance(700),
        append_bytes_max,
        // Many messages of one entry each would only cost time.
        appends_in_flight_max: rng.pick(&[1, 2, 8, if append_bytes_max == 1 { 8 } else { 256 }]),
        log_gc_ticks: rng.pick(&[1, 5, 20]),
        log_gc_entries: rng.pick(&[2, 10, 50, 200, 128_000]),
        ..Settings::default()
    };
    settings.tick_us = asked.tick_us.unwrap_or(settings.tick_us);
    let election_us = election_us(&settings);
    let mut up_to = |share: u64| {
        let max_us = 500 + rng.below(election_us / share);
        Span { min_us: 1 + rng.below(max_us), max_us }
    };
    let (latency, sync) = (up_to(6), up_to(6));
    settings.latency = asked.latency.unwrap_or(latency);
    settings.sync = asked.sync.unwrap_or(sync);
    // A client that is less patient than a healthy cluster is fast never gets an answer, and one
    // that gives up before it has asked everybody may miss the leader.
    let fast_us = 6 * (settings.latency.max_us + settings.sync.max_us);
    settings.client_timeout_us = settings.client_timeout_us.max(fast_us);
    settings.client_deadline_us = settings.client_deadline_us.max(8 * settings.client_timeout_us);
    settings
}

/// What the clients ask while there are faults. Every value is written once, so that a read tells
/// which write it saw.
fn requests(rng: &mut WorldRng, settings: &NemesisSettings, faults_us: u64) -> Vec<TimedCommand> {
    let drawn_rate = rng.pick(&[1, 2, 5, 15]);
    let rate = settings.requests_per_second.unwrap_or(drawn_rate).clamp(1, 1_000);
    let (drawn_clients, keys) = (rng.pick(&[1, 2, 5, 20]), rng.pick(&[1, 3, 10, 50]));
    let clients = settings.clients.unwrap_or(drawn_clients).clamp(1, CLIENTS_MAX);
    let mut at_us = 0;
    let mut requests = Vec::new();
    while requests.len() < REQUESTS_MAX {
        at_us += 1 + rng.below(2_000_000 / u64::from(rate));
        if at_us >= faults_us {
            break;
        }
        let client = rng.below(clients);
        let op = op(rng, keys, requests.len());
        let command = Command::Request { client, op, to: None };
        requests.push(TimedCommand { at_us, command });
    }
    requests
}

/// Request `number`. All its values bear that number.
fn op(rng: &mut WorldRng, keys: u64, number: usize) -> Op {
    let key = |rng: &mut WorldRng| format!("k{}", rng.below(keys));
    let put = |rng: &mut WorldRng| Op::Put { key: key(rng), value: number.to_string() };
    match rng.below(20) {
        0..=6 => put(rng),
        7..=12 => Op::Get { key: key(rng) },
        13 | 14 => Op::Delete { key: key(rng) },
        15 | 16 => {
            // Nobody knows what a key holds; an absent one and the latest writes are good guesses.
            let guess = number.checked_sub(1 + rng.position(8)).filter(|_| rng.chance(600));
            let (expected, new) = (guess.map(|n| n.to_string()), Some(number.to_string()));
            Op::Cas { key: key(rng), expected, new }
        }
        17 => {
            let (start, end) = (key(rng), key(rng));
            if rng.chance(300) { Op::DeleteRange { start, end } } else { put(rng) }
        }
        18 => Op::Batch { ops: vec![put(rng), Op::Delete { key: key(rng) }, put(rng)] },
        _ => Op::Scan { start: key(rng), end: String::new(), limit: 5 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_a_scenario_that_can_be_run_and_the_same_one_twice() {
        for seed in 0..200 {
            let settings =
                NemesisSettings { faults_us: Some(5_000_000), ..NemesisSettings::default() };
            let nemesis = Nemesis::new(seed, &settings);
            assert_eq!(nemesis.scenario.validate(), Ok(()), "seed {seed}");
            assert_eq!(nemesis, Nemesis::new(seed, &settings), "seed {seed}");
            let json = serde_json::to_string(&nemesis.scenario).unwrap();
            let read = serde_json::from_str::<Scenario>(&json).unwrap();
            assert_eq!(read, nemesis.scenario, "seed {seed}");
            let last = nemesis.scenario.commands.last().unwrap();
            assert_eq!((last.at_us, &last.command), (5_000_000, &Command::HealAll));
        }
    }

    #[test]
    fn the_longest_run_is_still_within_bounds() {
        let settings = NemesisSettings {
            faults_us: Some(u64::MAX),
            requests_per_second: Some(1_000),
            ..NemesisSettings::default()
        };
        assert_eq!(Nemesis::scenario(1, &settings).validate(), Ok(()));
    }

    #[test]
    fn each_class_is_on_in_about_half_of_the_runs_and_then_does_something() {
        let settings = NemesisSettings::default();
        for &class in &settings.classes {
            let strikes = |seed| {
                let classes = Nemesis::new(seed, &settings).classes;
                classes.iter().find(|(on, _)| *on == class).map(|(_, strikes)| *strikes)
            };
            let strikes: Vec<_> = (0..200).filter_map(strikes).collect();
            assert!((70..130).contains(&strikes.len()), "{class:?}");
            assert!(strikes.iter().all(|&strikes| strikes > 0), "{class:?}");
        }
    }

    #[test]
    fn what_is_outside_the_model_must_be_asked_for() {
        assert!(!NemesisSettings::default().classes.contains(&FaultClass::Amnesia));
    }
}
