//! Rules of Raft that a scene may break, by name, to show what they are for.

use std::str::FromStr;

use raft_core::Rules;
use raft_core::rules::{Tally, TermVerdict, VoteVerdict};

/// A broken rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breach(fn(&mut Rules));

impl Breach {
    pub(crate) fn apply(self, rules: &mut Rules) {
        (self.0)(rules);
    }
}

type Break = fn(&mut Rules);

/// Every breach with its name. `docs/scenes.md` says what each means.
const BREACHES: [(&str, Break); 11] = [
    ("vote-for-all", |rules| rules.grant_vote = |_| VoteVerdict::Grant),
    ("forget-votes", |rules| rules.vote_in_term = |_, _, _| 0),
    ("half-is-enough", |rules| rules.quorum = |voters| voters / 2),
    ("one-vote-wins", |rules| rules.tally = |_, _, _, _| Tally::Won),
    ("obey-old-terms", |rules| {
        rules.compare_terms = |own, theirs| match theirs > own {
            true => TermVerdict::StepDown,
            false => TermVerdict::Current,
        };
    }),
    ("append-unchecked", |rules| rules.log_matches = |_, _| true),
    ("keep-conflicts", |rules| rules.conflicts = |_, _| false),
    ("commit-old-terms", |rules| {
        rules.leader_commit = |question| question.committed.max(question.quorum_index);
    }),
    ("rash-heartbeats", |rules| rules.heartbeat_commit = |committed, _| committed),
    ("any-snapshot", |rules| rules.accept_snapshot = |_, _| true),
    ("changes-at-once", |rules| rules.may_change_membership = |_, _| true),
];

impl FromStr for Breach {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        BREACHES.iter().find(|(known, _)| *known == name).map(|(_, breach)| Self(*breach)).ok_or(())
    }
}
