//! The run that the figures of speed and memory are about.

use super::{Batch, Trial, Verdict};
use crate::command::Command;
use crate::nemesis::NemesisSettings;
use crate::scenario::Span;
use crate::variant::Variant;

/// Peers of a [`busy`] cluster.
pub const BUSY_PEERS: u64 = 5;
/// Operations of all clients in a second.
pub const BUSY_REQUESTS: u32 = 200;
/// How many clients share them. Each sends its next one when its last one has ended.
pub const BUSY_CLIENTS: u64 = 50;
/// How long there are requests and faults, in microseconds. What follows, until the healed cluster
/// has shown that it lives, is work too, but no load: who measures counts this time alone.
pub const BUSY_US: u64 = 30_000_000;

/// Five peers with ticks of 50 ms under 200 operations a second of 50 clients, two of three of
/// them writes, on links and disks that take 1 to 10 ms, with faults of every class that Raft
/// survives, each on in about half of the runs. Every checker is on, as in every trial.
///
/// Protocol switches, time-outs and log collection are drawn, as in a sweep. Only what would bound
/// the rate is not: a message carries many entries, many are under way, and a write applies many.
pub fn busy() -> Trial {
    let span = Some(Span { min_us: 1_000, max_us: 10_000 });
    let nemesis = NemesisSettings {
        faults_us: Some(BUSY_US),
        peers: Some(BUSY_PEERS),
        requests_per_second: Some(BUSY_REQUESTS),
        clients: Some(BUSY_CLIENTS),
        tick_us: Some(50_000),
        latency: span,
        sync: span,
        ..NemesisSettings::default()
    };
    let mut trial = Trial::honest(nemesis);
    // Nobody asks which way each rule decided.
    trial.variant = Variant::default();
    trial.tweak = |settings| {
        settings.append_bytes_max = 1 << 20;
        settings.appends_in_flight_max = 256;
        settings.apply_bytes_max = 1 << 20;
    };
    trial
}

/// Runs of a [`busy`] cluster added up. It measures no time: natively and in a browser there are
/// different clocks.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// The runs.
    pub batch: Batch,
    /// How long there was load, in the worlds' time.
    pub loaded_us: u64,
    /// Operations that clients were told to ask for.
    pub asked: u64,
    /// A fingerprint of all runs, in order.
    pub digest: u64,
}

impl Load {
    /// Adds a run.
    pub fn add(&mut self, verdict: Verdict) {
        let asks =
            |command: &Command| matches!(command, Command::Request { op, .. } if !op.is_admin());
        let commands = &verdict.scenario.commands;
        self.asked += commands.iter().filter(|timed| asks(&timed.command)).count() as u64;
        self.loaded_us += verdict.virtual_us.min(BUSY_US);
        self.digest = self.digest.rotate_left(1) ^ verdict.digest;
        self.batch.add(verdict);
    }

    /// Operations that were answered. A few of them are the checkers' own, after the load.
    pub fn answered(&self) -> u64 {
        self.batch.coverage.answers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that were asked for, and by how many clients.
    fn requests(trial: &Trial, seed: u64) -> (u64, u64) {
        let mut clients = std::collections::BTreeSet::new();
        let mut count = 0;
        for timed in trial.scenario(seed).commands {
            if let Command::Request { client, op, .. } = timed.command
                && !op.is_admin()
            {
                clients.insert(client);
                count += 1;
            }
        }
        (count, clients.len() as u64)
    }

    #[test]
    fn the_scenario_is_what_it_says() {
        for seed in 0..20 {
            let trial = busy();
            let scenario = trial.scenario(seed);
            assert_eq!(scenario.validate(), Ok(()));
            assert_eq!((scenario.peers, scenario.settings.tick_us), (5, 50_000));
            assert_eq!(
                (scenario.settings.latency.max_us, scenario.settings.sync.max_us),
                (10_000, 10_000)
            );
            assert_eq!(scenario.commands.last().map(|timed| timed.at_us), Some(BUSY_US));
            let (requests, clients) = requests(&trial, seed);
            assert!((5_850..=6_000).contains(&requests), "seed {seed}: {requests}");
            assert_eq!(clients, BUSY_CLIENTS);
        }
    }

    #[test]
    fn without_faults_every_operation_is_answered() {
        let mut trial = busy();
        trial.nemesis.classes.clear();
        let mut load = Load::default();
        load.add(trial.run(1).unwrap());
        assert!(load.batch.failures.is_empty(), "{:?}", load.batch.failures);
        assert_eq!(load.batch.coverage.undecided(), 0);
        assert!(load.answered() >= load.asked, "{} of {}", load.answered(), load.asked);
        assert_eq!(load.loaded_us, BUSY_US);
    }

    /// The clients' requests are copied there, which once made its history too hard to judge.
    #[test]
    fn with_faults_most_operations_are_answered_and_the_same_run_comes_out_twice() {
        let trial = busy();
        let mut load = Load::default();
        load.add(trial.run_twice(18).unwrap());
        assert!(load.batch.failures.is_empty(), "{:?}", load.batch.failures);
        assert_eq!(load.batch.coverage.undecided(), 0);
        assert!(2 * load.answered() > load.asked, "{} of {}", load.answered(), load.asked);
    }
}
