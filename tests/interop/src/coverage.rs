//! What a batch of runs has shown, and what it must have shown to mean anything.

use std::collections::BTreeMap;
use std::fmt;

use crate::peer::Kind;
use crate::plan::Split;

/// Things worth counting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// An election won, by whom.
    Election(Kind),
    /// An election won, in which split, by whom.
    ElectionIn(Split, Kind),
    /// A snapshot installed: whose, and by whom.
    Snapshot(Kind, Kind),
    /// A read confirmed: by which leader, asked by whom.
    Read(Kind, Kind),
    /// A joint configuration entered: under which leader, left by itself or not.
    JointEntered(Kind, bool),
    /// A joint configuration left, under which leader.
    JointLeft(Kind),
    /// A learner added, under which leader.
    LearnerAdded(Kind),
    /// A learner made a voter, under which leader.
    LearnerPromoted(Kind),
    /// A voter added or removed alone, under which leader.
    SimpleChange(Kind),
    /// A membership change that every node refused when it was committed.
    ChangeRefused(Kind),
    /// Leadership handed over: from whom, to whom.
    Transfer(Kind, Kind),
    /// Entries replaced: under which leader, on whose log.
    Conflict(Kind, Kind),
    /// A pre-vote granted: by whom, to whom.
    PreVote(Kind, Kind),
    /// A leader that stepped down within its term.
    SteppedDown(Kind),
    /// A crash and a restart from disk.
    Restart(Kind),
    /// An entry first applied, by the leader of its term.
    Applied(Kind),
    /// A message that a node took.
    Message(Kind, Kind),
    /// A message that was lost, twice there, or out of its turn.
    Lost,
    Duplicated,
    Cut,
}

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<Fact, u64>,
    /// Most rounds of ticks until a healed cluster agreed, in election time-outs, rounded up.
    agreement: u64,
}

impl Coverage {
    pub(crate) fn count(&mut self, fact: Fact) {
        *self.counts.entry(fact).or_default() += 1;
    }

    pub(crate) fn agreed_after(&mut self, timeouts: u64) {
        self.agreement = self.agreement.max(timeouts);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (fact, count) in other.counts {
            *self.counts.entry(fact).or_default() += count;
        }
        self.agreement = self.agreement.max(other.agreement);
    }

    fn of(&self, fact: &Fact) -> u64 {
        self.counts.get(fact).copied().unwrap_or_default()
    }

    /// What a batch of at least 1,000 seeds must have shown and has not, in words.
    pub fn gaps(&self, seeds: u64) -> Vec<String> {
        let mut wanted = Vec::new();
        for a in Kind::ALL {
            for b in Kind::ALL {
                wanted.push((Fact::Snapshot(a, b), 20));
                wanted.push((Fact::Conflict(a, b), 20));
                wanted.push((Fact::Transfer(a, b), 20));
                wanted.push((Fact::Message(a, b), 10_000));
                wanted.push((Fact::Read(a, b), 100));
                wanted.push((Fact::PreVote(a, b), 50));
            }
            wanted.push((Fact::Election(a), 500));
            wanted.push((Fact::Restart(a), 200));
            wanted.push((Fact::Applied(a), 5_000));
            wanted.push((Fact::SimpleChange(a), 50));
            wanted.push((Fact::SteppedDown(a), 50));
            wanted.push((Fact::JointEntered(a, true), 20));
            wanted.push((Fact::JointEntered(a, false), 20));
            wanted.push((Fact::JointLeft(a), 20));
            wanted.push((Fact::LearnerAdded(a), 20));
            wanted.push((Fact::LearnerPromoted(a), 20));
            wanted.extend(Split::all().into_iter().map(|split| (Fact::ElectionIn(split, a), 2)));
        }
        let short = |(fact, least): (Fact, u64)| {
            let least = least * seeds / 1_000;
            let found = self.of(&fact);
            (found < least).then(|| format!("{fact:?}: {found}, fewer than {least}"))
        };
        wanted.into_iter().filter_map(short).collect()
    }

    fn pair(&self, fact: impl Fn(Kind, Kind) -> Fact) -> String {
        let mut words = Vec::new();
        for a in Kind::ALL {
            for b in Kind::ALL {
                words.push(format!("{}→{} {}", a.name(), b.name(), self.of(&fact(a, b))));
            }
        }
        words.join(", ")
    }

    fn each(&self, fact: impl Fn(Kind) -> Fact) -> String {
        let word = |kind: Kind| format!("{} {}", kind.name(), self.of(&fact(kind)));
        Kind::ALL.map(word).join(", ")
    }

    /// Fewest elections won by either implementation in any split.
    fn rarest_split(&self) -> Option<(u64, String)> {
        let all = Split::all().into_iter().flat_map(|split| Kind::ALL.map(|kind| (split, kind)));
        let named = |(split, kind): (Split, Kind)| {
            (
                self.of(&Fact::ElectionIn(split, kind)),
                format!("{} in {}", kind.name(), split.name()),
            )
        };
        all.map(named).min()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "elections won         {}", self.each(Fact::Election))?;
        if let Some((count, split)) = self.rarest_split() {
            writeln!(f, "  fewest in a split   {count}, by {split}")?;
        }
        writeln!(f, "entries applied       {}", self.each(Fact::Applied))?;
        writeln!(f, "messages taken        {}", self.pair(Fact::Message))?;
        writeln!(f, "  lost                {}", self.of(&Fact::Lost))?;
        writeln!(f, "  duplicated          {}", self.of(&Fact::Duplicated))?;
        writeln!(f, "links cut             {}", self.of(&Fact::Cut))?;
        writeln!(f, "restarts from disk    {}", self.each(Fact::Restart))?;
        writeln!(f, "snapshots installed   {}", self.pair(Fact::Snapshot))?;
        writeln!(f, "logs repaired         {}", self.pair(Fact::Conflict))?;
        writeln!(f, "transfers             {}", self.pair(Fact::Transfer))?;
        writeln!(f, "pre-votes granted     {}", self.pair(Fact::PreVote))?;
        writeln!(f, "stepped down in term  {}", self.each(Fact::SteppedDown))?;
        writeln!(f, "reads confirmed       {}", self.pair(Fact::Read))?;
        writeln!(f, "simple changes        {}", self.each(Fact::SimpleChange))?;
        writeln!(f, "learners added        {}", self.each(Fact::LearnerAdded))?;
        writeln!(f, "learners promoted     {}", self.each(Fact::LearnerPromoted))?;
        let joint = |auto| self.each(|kind| Fact::JointEntered(kind, auto));
        writeln!(f, "joint, left by itself {}", joint(true))?;
        writeln!(f, "joint, left on demand {}", joint(false))?;
        writeln!(f, "joint, left           {}", self.each(Fact::JointLeft))?;
        writeln!(f, "changes refused       {}", self.each(Fact::ChangeRefused))?;
        write!(f, "agreement after       at most {} election time-outs", self.agreement)
    }
}
