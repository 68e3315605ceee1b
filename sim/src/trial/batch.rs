//! Many runs added up.

use raft_core::eraftpb::MessageType;
use serde::Serialize;
use serde_json::Value;

use super::{Branch, Coverage, Effect, Verdict};
use crate::check::Violation;
use crate::nemesis::FaultClass;
use crate::scenario::Scenario;

/// A seed that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The rule.
    pub violation: Violation,
    /// What was run.
    pub scenario: Scenario,
    /// The world's fingerprint where it stopped.
    pub digest: u64,
}

/// What a batch must have met at least to prove anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    /// Strikes of each class of faults, messages of each type, answers of each rule, and everything
    /// that may become of a fault.
    pub hits: u64,
    /// Entries committed by each seed.
    pub commits: u64,
    /// Leaders elected by each seed.
    pub elections: u64,
    /// Reads answered by each seed.
    pub reads: u64,
}

impl Default for Least {
    fn default() -> Self {
        Self { hits: 100, commits: 3, elections: 1, reads: 2 }
    }
}

/// Runs, added up.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How many runs.
    pub seeds: u64,
    /// Their time, in their worlds.
    pub virtual_us: u64,
    /// Their events.
    pub events: u64,
    /// Those that broke a rule, in the order in which they were added.
    pub failures: Vec<Failure>,
    /// What they met.
    pub coverage: Coverage,
    /// The seeds with the fewest commits, elections and reads, and how many those were. A run that
    /// broke a rule ended early and does not count.
    pub least: Option<[(u64, u64); 3]>,
}

/// Messages between peers that a batch has to meet. Snapshots travel in pieces, which are counted
/// on their own; the others never leave a peer.
const MESSAGES: [MessageType; 11] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgTimeoutNow,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

impl Batch {
    /// Adds a run.
    pub fn add(&mut self, verdict: Verdict) {
        let Verdict { scenario, violation, virtual_us, events, digest, coverage } = verdict;
        self.seeds += 1;
        self.virtual_us += virtual_us;
        self.events += events;
        self.coverage.add(&coverage);
        match violation {
            Some(violation) => self.failures.push(Failure { violation, scenario, digest }),
            None => {
                let seed = scenario.seed;
                let own = [coverage.commits(), coverage.elections(), coverage.reads()];
                let own = own.map(|count| (seed, count));
                let least = self.least.get_or_insert(own);
                for (least, own) in least.iter_mut().zip(own) {
                    if own.1 < least.1 {
                        *least = own;
                    }
                }
            }
        }
    }

    /// What was tested too little, in words; empty if everything was tested enough. `classes` are
    /// the faults that were asked for.
    pub fn shortfall(&self, classes: &[FaultClass], least: &Least) -> Vec<String> {
        let coverage = &self.coverage;
        let faults = classes.iter().map(|class| {
            let strikes = coverage.faults.get(class).copied().unwrap_or(0);
            (format!("fault class {}", name_of(class)), strikes)
        });
        let effects = Effect::ALL.iter().map(|effect| {
            let count = coverage.effect(*effect);
            (format!("effect {}", name_of(effect)), count)
        });
        let messages = MESSAGES
            .iter()
            .map(|&kind| (format!("message {}", kind.as_str_name()), coverage.messages(kind)));
        let branches = Branch::ALL
            .iter()
            .filter(|branch| branch.out_of_reach().is_none())
            .map(|&branch| (format!("rule {branch}"), coverage.branch(branch)));
        let hits = faults.chain(effects).chain(messages).chain(branches);
        let too_few = hits.filter(|(_, count)| *count < least.hits);
        let mut short: Vec<_> = too_few
            .map(|(what, count)| format!("{what}: {count} times, less than {}", least.hits))
            .collect();
        let seeds = self.least.iter().flatten();
        let wanted = [least.commits, least.elections, least.reads];
        for ((what, wanted), (seed, count)) in
            ["commits", "elections", "reads"].into_iter().zip(wanted).zip(seeds)
        {
            if *count < wanted {
                short.push(format!("seed {seed} had {count} {what}, less than {wanted}"));
            }
        }
        short
    }
}

/// The name that a fault class, or whatever else is a word there, has in JSON.
pub fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::NemesisSettings;
    use crate::trial::Trial;

    #[test]
    fn a_batch_that_met_little_says_what_it_lacks() {
        let nemesis = NemesisSettings { faults_us: Some(5_000_000), ..NemesisSettings::default() };
        let trial = Trial::honest(nemesis);
        let mut batch = Batch::default();
        for seed in 0..3 {
            batch.add(trial.run(seed).unwrap());
        }
        assert_eq!((batch.seeds, batch.failures.len()), (3, 0));
        let nothing = Least { hits: 0, commits: 1, elections: 1, reads: 1 };
        assert_eq!(batch.shortfall(&trial.nemesis.classes, &nothing), Vec::<String>::new());
        let short = batch.shortfall(&trial.nemesis.classes, &Least::default());
        assert!(short.iter().any(|line| line.starts_with("fault class ")), "{short:?}");
        assert!(short.iter().any(|line| line.starts_with("rule ")), "{short:?}");
        let much = Least { hits: 0, commits: 1_000_000, elections: 1, reads: 1 };
        let short = batch.shortfall(&trial.nemesis.classes, &much);
        assert!(short.len() == 1 && short[0].contains("commits, less than 1000000"), "{short:?}");
    }
}
