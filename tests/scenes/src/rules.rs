//! Rules of Raft that a scene may break, by name, to show what they are for.

use std::str::FromStr;

use raft_core::Rules;
use raft_core::rules::{Tally, TermVerdict, VoteVerdict, common_index};

/// A broken rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breach(fn(&mut Rules));

impl Breach {
    pub(crate) fn apply(self, rules: &mut Rules) {
        (self.0)(rules);
    }
}

type Break = fn(&mut Rules);

/// Every breach with its name. `docs/rules.md` says what each means.
const BREACHES: [(&str, Break); 31] = [
    ("vote-for-all", |rules| rules.grant_vote = |_| VoteVerdict::Grant),
    ("forget-votes", |rules| rules.vote_in_term = |_, _, _| 0),
    ("half-is-enough", |rules| rules.quorum = |voters| voters / 2),
    ("one-vote-wins", |rules| rules.tally = |_, _, _, _| Tally::Won),
    ("obey-old-terms", |rules| {
        rules.compare_terms = |question| match question.theirs > question.own {
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
    ("half-a-joint-elects", |rules| {
        rules.joint_tally = |incoming, outgoing| match [incoming, outgoing].contains(&Tally::Won) {
            true => Tally::Won,
            false => incoming,
        };
    }),
    ("half-a-joint-commits", |rules| rules.joint_commit = u64::max),
    ("no-lease", |rules| rules.lease_in_force = |_| false),
    ("anybody-campaigns", |rules| rules.may_campaign = |_| true),
    ("equal-time-outs", |rules| rules.election_timeout = |base, _| base),
    ("commit-the-tail", |rules| {
        rules.follower_commit = |committed, leader_commit, _| committed.max(leader_commit);
    }),
    ("acknowledge-the-tail", |rules| rules.append_acknowledged = |_, own_last| own_last),
    ("never-step-back", |rules| rules.next_after_rejection = |_| None),
    ("read-at-once", |rules| rules.may_read = |_, _| true),
    ("no-is-yes", |rules| rules.is_acknowledgement = |_| true),
    ("repeats-count", |rules| rules.answer_counts = |_| true),
    ("votes-survive", |rules| rules.votes_survive = |_, _| true),
    ("same-term-again", |rules| {
        rules.campaign_term = |term, again| if again { term } else { term + 1 };
    }),
    ("any-term-resets", |rules| rules.timer_survives_term = |_, _| false),
    ("any-order", |rules| {
        rules.common_index = |quorum, voters, _| voters[voters.len() - quorum];
    }),
    ("learners-count", |rules| {
        rules.common_index = |quorum, voters, others| {
            let mut numbers: Vec<u64> = voters.to_vec();
            numbers.extend(others.map(|other| other.reached));
            common_index(quorum, &mut numbers, &mut std::iter::empty())
        };
    }),
    ("full-is-full", |rules| rules.pause_lifted = |window_full| !window_full),
    ("snapshot-by-index", |rules| rules.snapshot_in_log = |_, own_term| own_term.is_some()),
    ("read-with-others", |rules| {
        rules.read_position = |sent, confirmed| sent.max(confirmed + 1);
    }),
    ("read-unconfirmed", |rules| rules.reads_confirmed = |_, sent, _| sent),
];

impl FromStr for Breach {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        BREACHES.iter().find(|(known, _)| *known == name).map(|(_, breach)| Self(*breach)).ok_or(())
    }
}
