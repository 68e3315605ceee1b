//! Reduces a run that fails to the little that it takes: few commands, few peers, ordinary
//! settings, a short time.
//!
//! Delta debugging (Zeller 1999) on a deterministic world: a smaller scenario is tried, and kept if
//! it still fails. Whatever is left out shifts all chance after it, so a smaller scenario may miss
//! only by bad luck: once nothing else helps, each is tried with a few other seeds, too.

use crate::command::Command;
use crate::scenario::{Op, Scenario, Settings, TimedCommand};

/// Other seeds that a smaller scenario may need.
const SEEDS: u64 = 6;
/// Beyond that many commands, times are not looked at one by one.
const FEW: usize = 100;

/// What is left of a scenario that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// It still fails.
    pub scenario: Scenario,
    /// Scenarios that were tried.
    pub tries: usize,
    /// Nothing smaller was found, and not for want of tries.
    pub finished: bool,
}

/// Looks for the fewest commands and the shortest time with which a scenario still fails, in at
/// most `tries` runs. `fails` says whether one does; it must for `scenario` itself. The result
/// depends on nothing else.
pub fn shrink(scenario: &Scenario, tries: usize, fails: impl FnMut(&Scenario) -> bool) -> Shrunk {
    let mut search = Search { best: scenario.clone(), fails, left: tries, seeds: 0 };
    // What makes every further run cheaper comes first.
    search.halve_times();
    search.cut_tail();
    search.fewer_kinds();
    search.fewer_peers();
    search.simpler_settings();
    loop {
        let before = search.best.clone();
        search.round();
        if search.left == 0 || (search.best == before && search.seeds == SEEDS) {
            break;
        }
        search.seeds = if search.best == before { SEEDS } else { 0 };
    }
    Shrunk { scenario: search.best, tries: tries - search.left, finished: search.left > 0 }
}

struct Search<F> {
    best: Scenario,
    fails: F,
    left: usize,
    /// Other seeds that each smaller scenario is tried with.
    seeds: u64,
}

impl<F: FnMut(&Scenario) -> bool> Search<F> {
    /// Everything once.
    fn round(&mut self) {
        self.fewer_commands();
        self.fewer_peers();
        self.simpler_settings();
        self.simpler_requests();
        self.shorter();
        self.rounder();
    }

    /// Keeps the scenario if it fails.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        if self.left == 0 || candidate == self.best || candidate.validate().is_err() {
            return false;
        }
        self.left -= 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// As [`attempt`](Self::attempt), and with some other seeds if those are due.
    fn attempt_with_luck(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best {
            return false;
        }
        // Small seeds are as good as any, and easy to read.
        let again = (1..=self.seeds).map(|seed| Scenario { seed, ..candidate.clone() });
        let again: Vec<_> = again.collect();
        self.attempt(candidate) || again.into_iter().any(|candidate| self.attempt(candidate))
    }

    fn attempt_commands(&mut self, commands: Vec<TimedCommand>) -> bool {
        let candidate = Scenario { commands, ..self.best.clone() };
        self.attempt_with_luck(candidate)
    }

    /// What comes after the failure goes: the shortest beginning that fails, by halves.
    fn cut_tail(&mut self) {
        let mut too_short = 0;
        while too_short < self.best.commands.len() {
            let length = too_short + (self.best.commands.len() - too_short) / 2;
            let commands = self.best.commands[..length].to_vec();
            if !self.attempt_commands(commands) {
                too_short = length + 1;
            }
        }
    }

    /// All commands of a kind at once.
    fn fewer_kinds(&mut self) {
        let mut kinds = Vec::new();
        for timed in &self.best.commands {
            let kind = std::mem::discriminant(&timed.command);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            let mut commands = self.best.commands.clone();
            commands.retain(|timed| std::mem::discriminant(&timed.command) != kind);
            self.attempt_commands(commands);
        }
    }

    /// Pieces of half the commands, then of a quarter, down to single ones, the last ones first.
    fn fewer_commands(&mut self) {
        let mut size = self.best.commands.len().div_ceil(2);
        while size > 0 && self.left > 0 {
            let mut end = self.best.commands.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut commands = self.best.commands.clone();
                commands.drain(start..end);
                self.attempt_commands(commands);
                end = start;
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn fewer_peers(&mut self) {
        let Scenario { peers, spares, .. } = self.best;
        let sizes = (1..=peers).flat_map(|peers| (0..=spares).map(move |spares| (peers, spares)));
        let mut sizes: Vec<_> = sizes.collect();
        sizes.sort_by_key(|&(peers, spares)| (peers + spares, spares));
        for (peers, spares) in sizes {
            let mut candidate = Scenario { peers, spares, ..self.best.clone() };
            let stores = candidate.stores();
            candidate.commands.retain_mut(|timed| fit(&mut timed.command, stores));
            if self.attempt_with_luck(candidate) {
                return;
            }
        }
    }

    fn simpler_settings(&mut self) {
        let usual = Settings::default();
        if self.attempt_with_luck(Scenario { settings: usual, ..self.best.clone() }) {
            return;
        }
        for reset in RESETS {
            let mut candidate = self.best.clone();
            reset(&mut candidate.settings, &usual);
            self.attempt_with_luck(candidate);
        }
    }

    fn simpler_requests(&mut self) {
        for at in 0..self.best.commands.len() {
            for simpler in simpler(&self.best.commands[at].command) {
                let mut commands = self.best.commands.clone();
                commands[at].command = simpler;
                if self.attempt_commands(commands) {
                    break;
                }
            }
        }
    }

    /// All in half the time, again and again.
    fn halve_times(&mut self) {
        loop {
            let mut candidate = self.best.clone();
            candidate.commands.iter_mut().for_each(|timed| timed.at_us /= 2);
            if !self.attempt(candidate) {
                return;
            }
        }
    }

    /// Less time: all of it first, then between any two commands.
    fn shorter(&mut self) {
        self.halve_times();
        if self.best.commands.len() > FEW {
            return;
        }
        for at in 0..self.best.commands.len() {
            let before_us = at.checked_sub(1).map_or(0, |at| self.best.commands[at].at_us);
            for part in [1, 2, 4, 8, 16] {
                let gap_us = self.best.commands[at].at_us - before_us;
                if self.earlier_from(at, gap_us / part) {
                    break;
                }
            }
        }
    }

    /// This command and all after it come so much earlier.
    fn earlier_from(&mut self, at: usize, by_us: u64) -> bool {
        let mut candidate = self.best.clone();
        candidate.commands[at..].iter_mut().for_each(|timed| timed.at_us -= by_us);
        self.attempt(candidate)
    }

    /// Times that are easy to read.
    fn rounder(&mut self) {
        const UNITS: [u64; 4] = [1_000_000, 100_000, 10_000, 1_000];
        for unit in UNITS {
            let mut candidate = self.best.clone();
            candidate.commands.iter_mut().for_each(|timed| timed.at_us -= timed.at_us % unit);
            if self.attempt(candidate) {
                break;
            }
        }
        let count = self.best.commands.len();
        for at in (0..count).filter(|_| count <= FEW) {
            for unit in UNITS {
                let mut candidate = self.best.clone();
                candidate.commands[at].at_us -= candidate.commands[at].at_us % unit;
                if self.attempt(candidate) {
                    break;
                }
            }
        }
    }
}

/// Makes a command fit a cluster of fewer stores; false if it cannot.
fn fit(command: &mut Command, stores: u64) -> bool {
    match command {
        Command::Partition { groups } => {
            groups.iter_mut().for_each(|group| group.retain(|&id| id <= stores));
            groups.retain(|group| !group.is_empty());
        }
        Command::OnlyLinks { ways } => ways.retain(|&(from, to)| from <= stores && to <= stores),
        _ => {}
    }
    command.validate(stores).is_ok()
}

/// Requests that ask less, the least first.
fn simpler(command: &Command) -> Vec<Command> {
    let Command::Request { client, op, to } = command else { return Vec::new() };
    let parts: Vec<_> = match op {
        Op::Batch { ops } => ops.clone(),
        Op::Members { changes } if changes.len() > 1 => {
            changes.iter().map(|change| Op::Members { changes: vec![*change] }).collect()
        }
        _ => Vec::new(),
    };
    let with = |op| Command::Request { client: *client, op, to: *to };
    let mut simpler: Vec<_> = parts.into_iter().map(with).collect();
    if *client != 0 {
        simpler.push(Command::Request { client: 0, op: op.clone(), to: *to });
    }
    if to.is_some() {
        simpler.push(Command::Request { client: *client, op: op.clone(), to: None });
    }
    simpler
}

macro_rules! resets {
    ($($field:ident),* $(,)?) => {
        /// Each sets one setting to its usual value.
        const RESETS: &[fn(&mut Settings, &Settings)] =
            &[$(|settings, usual| settings.$field = usual.$field),*];
    };
}

resets!(
    tick_us,
    election_tick,
    heartbeat_tick,
    latency,
    sync,
    write_back_us,
    loss_permille,
    fifo,
    client_timeout_us,
    client_deadline_us,
    sessions,
    reads,
    follower_reads,
    pre_vote,
    check_quorum,
    broadcast_commit,
    append_bytes_max,
    appends_in_flight_max,
    apply_bytes_max,
    log_gc_ticks,
    log_gc_entries,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::{Nemesis, NemesisSettings};

    fn nemesis(seed: u64) -> Scenario {
        Nemesis::scenario(seed, &NemesisSettings::default())
    }

    fn crashes(scenario: &Scenario, peer: u64) -> usize {
        let crash = Command::Crash { peer };
        scenario.commands.iter().filter(|timed| timed.command == crash).count()
    }

    #[test]
    fn every_setting_can_be_reset() {
        let usual = Settings::default();
        assert_eq!(RESETS.len(), serde_json::to_value(usual).unwrap().as_object().unwrap().len());
        for seed in 0..20 {
            let mut settings = nemesis(seed).settings;
            assert_ne!(settings, usual);
            RESETS.iter().for_each(|reset| reset(&mut settings, &usual));
            assert_eq!(settings, usual);
        }
    }

    #[test]
    fn what_does_not_matter_goes_and_times_become_short_and_round() {
        let mut scenario = nemesis(1);
        for (peer, at) in [(1, 100), (2, 300)] {
            let at_us = scenario.commands[at].at_us;
            let command = Command::Crash { peer };
            scenario.commands.insert(at, TimedCommand { at_us, command });
        }
        let fails = |s: &Scenario| crashes(s, 1) > 0 && crashes(s, 2) > 0 && s.settings.fifo;
        scenario.settings.fifo = true;
        let shrunk = shrink(&scenario, 1_000, fails);
        assert!(shrunk.finished && shrunk.tries < 500, "{} tries", shrunk.tries);
        let left = &shrunk.scenario;
        assert_eq!((left.commands.len(), crashes(left, 1), crashes(left, 2)), (2, 1, 1));
        assert!(left.commands.iter().all(|timed| timed.at_us == 0));
        assert_eq!(shrunk.scenario.peers, 2);
        assert_eq!(shrunk.scenario.settings, Settings { fifo: true, ..Settings::default() });
    }

    #[test]
    fn a_time_that_matters_stays_as_round_as_it_can_be() {
        let fails = |s: &Scenario| {
            s.commands.last().is_some_and(|timed| (1_234_000..2_000_000).contains(&timed.at_us))
        };
        let mut scenario = Scenario::new(1);
        let heal = |at_us| TimedCommand { at_us, command: Command::Heal };
        scenario.commands = vec![heal(17), heal(1_900_123)];
        assert_eq!(shrink(&scenario, 1_000, fails).scenario.commands, [heal(1_300_000)]);
    }

    #[test]
    fn it_stops_when_its_tries_are_used_up() {
        let scenario = nemesis(2);
        let mut runs = 0;
        let shrunk = shrink(&scenario, 10, |_| {
            runs += 1;
            false
        });
        assert_eq!((runs, shrunk.tries, shrunk.finished), (10, 10, false));
        assert_eq!(shrunk.scenario, scenario);
    }

    #[test]
    fn another_seed_may_be_what_a_smaller_scenario_needs() {
        let mut scenario = Scenario::new(77);
        let heal = |at_us| TimedCommand { at_us, command: Command::Heal };
        scenario.commands = vec![heal(0), heal(0), heal(0)];
        let unlucky = |s: &Scenario| s.commands.len() == 3 || (s.seed == 3 && s.commands.len() > 1);
        let shrunk = shrink(&scenario, 1_000, unlucky).scenario;
        assert_eq!((shrunk.seed, shrunk.commands.len()), (3, 2));
    }

    #[test]
    fn a_command_of_a_larger_cluster_is_made_to_fit_or_left_out() {
        let mut groups = Command::Partition { groups: vec![vec![1, 4], vec![5]] };
        assert!(fit(&mut groups, 3));
        assert_eq!(groups, Command::Partition { groups: vec![vec![1]] });
        assert!(!fit(&mut Command::Crash { peer: 4 }, 3));
        let mut ring = Command::ring(5);
        assert!(fit(&mut ring, 2));
        assert_eq!(ring, Command::OnlyLinks { ways: vec![(1, 2), (2, 1)] });
    }

    #[test]
    fn a_batch_becomes_one_of_its_operations() {
        let get = |key: &str| Op::Get { key: key.into() };
        let batch = Op::Batch { ops: vec![get("a"), get("b")] };
        let mut scenario = Scenario::new(1);
        let command = Command::Request { client: 3, op: batch, to: Some(2) };
        scenario.commands = vec![TimedCommand { at_us: 5_000_000, command }];
        let shrunk = shrink(&scenario, 100, |s| !s.commands.is_empty()).scenario;
        let command = Command::Request { client: 0, op: get("a"), to: None };
        assert_eq!(shrunk.commands, [TimedCommand { at_us: 0, command }]);
    }
}
