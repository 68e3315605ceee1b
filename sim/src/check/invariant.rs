//! The rules by name.

use std::fmt;

use raft_core::EntryId;

/// A property that must hold in every run: of safety (I) always, of liveness (L) once the cluster is
/// healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// I1
    ElectionSafety,
    /// I2
    VoteOnce,
    /// I3
    LeaderAppendOnly,
    /// I4
    LogMatching,
    /// I5
    LeaderCompleteness,
    /// I6
    StateMachineSafety,
    /// I7
    CommitDurability,
    /// I8
    CommitRule,
    /// I9
    Truncation,
    /// I10
    LogOrder,
    /// I11
    Monotonicity,
    /// I12
    Outbox,
    /// I13
    SnapshotFidelity,
    /// I14
    Membership,
    /// I15
    ReadFreshness,
    /// I16
    Linearizability,
    /// I17
    ExactlyOnce,
    /// I18
    AcknowledgedWrites,
    /// I19
    DiskMirror,
    /// I20
    Determinism,
    /// L1
    Convergence,
    /// L2
    MajorityProgress,
    /// L3
    Quiet,
    /// L4
    Undisturbed,
}

impl Invariant {
    /// All of them, in the order of their ids.
    pub const ALL: [Self; 24] = [
        Self::ElectionSafety,
        Self::VoteOnce,
        Self::LeaderAppendOnly,
        Self::LogMatching,
        Self::LeaderCompleteness,
        Self::StateMachineSafety,
        Self::CommitDurability,
        Self::CommitRule,
        Self::Truncation,
        Self::LogOrder,
        Self::Monotonicity,
        Self::Outbox,
        Self::SnapshotFidelity,
        Self::Membership,
        Self::ReadFreshness,
        Self::Linearizability,
        Self::ExactlyOnce,
        Self::AcknowledgedWrites,
        Self::DiskMirror,
        Self::Determinism,
        Self::Convergence,
        Self::MajorityProgress,
        Self::Quiet,
        Self::Undisturbed,
    ];

    /// The short name: `I7`.
    pub fn id(self) -> &'static str {
        self.words().0
    }

    /// Whether it says that something good happens in the end, not that nothing bad ever does.
    pub fn is_liveness(self) -> bool {
        self >= Self::Convergence
    }

    /// The name in words.
    pub fn name(self) -> &'static str {
        self.words().1
    }

    /// What it says, in a sentence.
    pub fn statement(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ElectionSafety => {
                ("I1", "election safety", "A term has at most one leader, over the whole history.")
            }
            Self::VoteOnce => (
                "I2",
                "one vote a term",
                "A vote is durable before it is sent, and never changes within its term.",
            ),
            Self::LeaderAppendOnly => {
                ("I3", "leader append-only", "A leader never changes or removes its own entries.")
            }
            Self::LogMatching => (
                "I4",
                "log matching",
                "Entries of the same index and term are equal, and so are those before them.",
            ),
            Self::LeaderCompleteness => (
                "I5",
                "leader completeness",
                "A leader has every entry that was committed in an earlier term.",
            ),
            Self::StateMachineSafety => (
                "I6",
                "state machine safety",
                "All peers apply the committed entries, the same ones, in order and once.",
            ),
            Self::CommitDurability => (
                "I7",
                "commit durability",
                "A committed entry is on the disks of a quorum, in each half of a joint one.",
            ),
            Self::CommitRule => {
                ("I8", "commit rule", "A leader commits by counting only entries of its own term.")
            }
            Self::Truncation => ("I9", "truncation", "A committed entry is never cut off a log."),
            Self::LogOrder => (
                "I10",
                "log order",
                "Base, applied, commit and last index do not decrease, nor do terms along a log.",
            ),
            Self::Monotonicity => (
                "I11",
                "monotonicity",
                "Term, commit and applied index never go back, nor does what a leader knows.",
            ),
            Self::Outbox => (
                "I12",
                "outbox",
                "A message leaves only when the term and the entries it speaks of are durable.",
            ),
            Self::SnapshotFidelity => (
                "I13",
                "snapshot fidelity",
                "A snapshot is the state after its last entry, and never moves a peer back.",
            ),
            Self::Membership => (
                "I14",
                "membership",
                "Members change one step at a time, by committed entries and joint majorities.",
            ),
            _ => self.words_of_clients_and_liveness(),
        }
    }

    fn words_of_clients_and_liveness(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ReadFreshness => (
                "I15",
                "read freshness",
                "A read sees whatever was acknowledged or read before it was asked.",
            ),
            Self::Linearizability => (
                "I16",
                "linearizability",
                "Each key behaves as if every operation happened at one moment.",
            ),
            Self::ExactlyOnce => (
                "I17",
                "exactly once",
                "A command takes effect once, its repetitions get the same reply, each request one answer.",
            ),
            Self::AcknowledgedWrites => (
                "I18",
                "acknowledged writes",
                "What was acknowledged to a client is committed and stays.",
            ),
            Self::DiskMirror => (
                "I19",
                "disk mirror",
                "A peer has in memory what it made durable, and starts with exactly that.",
            ),
            Self::Determinism => {
                ("I20", "determinism", "The same scenario gives the same run on every platform.")
            }
            Self::Convergence => (
                "L1",
                "convergence",
                "Once healed, all peers soon agree, and writes and reads succeed.",
            ),
            Self::MajorityProgress => (
                "L2",
                "majority progress",
                "A majority makes progress with the rest dead for good.",
            ),
            Self::Quiet => {
                ("L3", "quiet", "A cluster that agrees raises no term and sends few messages.")
            }
            _ => ("L4", "undisturbed", "With pre-vote, a peer that returns raises no term."),
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id(), self.name())
    }
}

/// A broken rule: when, where, and the two facts that disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// Virtual time.
    pub at_us: u64,
    /// The peer that broke it; 0 if it is nobody's alone.
    pub peer: u64,
    /// The log entry concerned, if there is one.
    pub entry: Option<EntryId>,
    /// What had been seen before.
    pub before: String,
    /// What contradicts it.
    pub now: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at_us, peer, before, now, .. } = self;
        match peer {
            0 => write!(f, "{invariant} broken at {at_us} us: {before}; {now}"),
            _ => write!(f, "{invariant} broken by n{peer} at {at_us} us: {before}; {now}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_id_a_name_and_a_sentence_of_its_own() {
        let unique = |of: fn(Invariant) -> &'static str| {
            let mut words: Vec<_> = Invariant::ALL.map(of).to_vec();
            words.sort_unstable();
            words.dedup();
            words.len()
        };
        assert_eq!(unique(Invariant::id), Invariant::ALL.len());
        assert_eq!(unique(Invariant::name), Invariant::ALL.len());
        assert_eq!(unique(Invariant::statement), Invariant::ALL.len());
        let ids = Invariant::ALL.map(Invariant::id);
        assert_eq!((ids[0], ids[6], ids[18], ids[23]), ("I1", "I7", "I19", "L4"));
    }
}
