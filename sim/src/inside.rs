//! What goes on inside a peer, in sentences for people who learn Raft.
//!
//! Each names who decided what, and the two facts that the rule compared. What is only of use to
//! those who debug a core has no sentence here: [`log_line`] words it as etcd's log does.

use raft_core::describe::{log_line, message_type, role};
use raft_core::rules::VoteVerdict;
use raft_core::{Ballot, Event, Ignored, Rejected};

/// The event in a sentence, if it is worth one.
pub(crate) fn sentence(peer: u64, event: &Event) -> Option<String> {
    let words = match event {
        Event::Ignored { reason, from, .. } => return ignored(peer, *from, reason),
        Event::Rejected(reason) => return Some(rejected(peer, reason)),
        Event::CampaignStarted { .. }
        | Event::VoteCast(_)
        | Event::VotesCounted { .. }
        | Event::HigherTerm { .. }
        | Event::QuorumLost
        | Event::TransferStarted { .. }
        | Event::TransferAborted { .. }
        | Event::TransferEnded { .. }
        | Event::TimeoutNowSent { .. }
        | Event::TimeoutNowReceived { .. }
        | Event::LeaderForgotten { .. } => return leadership(peer, event),
        Event::SnapshotSent { .. }
        | Event::SnapshotUnavailable { .. }
        | Event::SnapshotReported { .. }
        | Event::SnapshotRestored { .. }
        | Event::SnapshotIgnored { .. }
        | Event::SnapshotFastForwarded { .. }
        | Event::SnapshotNoLongerNeeded { .. } => return snapshot(peer, event),
        Event::ProposalDropped { reason, .. } => format!("drops a proposal: {reason}"),
        Event::ReadDropped { reason, .. } => format!("drops a read: {reason}"),
        Event::ConfChangeRefused { reason, .. } => format!("refuses a membership change: {reason}"),
        Event::ConfigurationChanged(members) => format!("goes over to {members}"),
        Event::AutoLeave { refused: None, .. } => {
            "proposes to leave the joint configuration".into()
        }
        Event::Conflict { index, existing, incoming } => {
            format!(
                "replaces its log from {index} on: it had term {existing}, the leader {incoming}"
            )
        }
        Event::ProgressDecreased { to, progress } => {
            format!("tries n{to} again from {} on", progress.next)
        }
        Event::ReadConfirmed { from, index, .. } => {
            format!("knows that it leads: the read of n{from} may be served at {index}")
        }
        _ => return None,
    };
    Some(format!("n{peer} {words}"))
}

/// The event as etcd's log has it, if it has it.
pub(crate) fn in_etcds_words(peer: u64, event: &Event) -> Option<String> {
    log_line(peer, event).map(|(_, text)| text)
}

fn leadership(peer: u64, event: &Event) -> Option<String> {
    let words = match event {
        Event::CampaignStarted { term } => format!("starts an election after term {term}"),
        Event::VoteCast(facts) => {
            let (theirs, own) = (facts.candidate_last, facts.own_last);
            let how = match facts.ballot {
                Ballot::Vote => "votes for",
                Ballot::PreVote => "would vote for",
            };
            format!("{how} n{}: that log ends at {theirs}, its own at {own}", facts.candidate)
        }
        Event::VotesCounted { granted, refused, .. } => {
            format!("counts {granted} for and {refused} against it")
        }
        Event::HigherTerm { from, theirs, own, .. } => {
            format!("hears of term {theirs} from n{from} and leaves term {own}")
        }
        Event::QuorumLost => "has not heard from a majority for long and steps down".into(),
        Event::TransferStarted { to, .. } => format!("hands leadership over to n{to}"),
        Event::TransferAborted { to, .. } | Event::TransferEnded { to, .. } => {
            format!("ends handing over to n{to}")
        }
        Event::TimeoutNowSent { to, .. } => format!("tells n{to} to campaign at once"),
        Event::TimeoutNowReceived { from, .. } => format!("is told by n{from} to campaign at once"),
        Event::LeaderForgotten { leader, .. } => format!("forgets that n{leader} leads"),
        _ => return None,
    };
    Some(format!("n{peer} {words}"))
}

fn snapshot(peer: u64, event: &Event) -> Option<String> {
    let words = match event {
        Event::SnapshotSent { to, id, first, .. } => {
            format!("sends n{to} a snapshot up to {id}: its own log begins at {first}")
        }
        Event::SnapshotUnavailable { to, error } => format!("has no snapshot for n{to}: {error}"),
        Event::SnapshotReported { to, arrived: true, .. } => {
            format!("hears that the snapshot for n{to} arrived")
        }
        Event::SnapshotReported { to, .. } => format!("hears that the snapshot for n{to} was lost"),
        Event::SnapshotRestored { id, .. } => format!("takes over the snapshot up to {id}"),
        Event::SnapshotIgnored { id, committed } => {
            format!("leaves the snapshot up to {id} unused: it has committed {committed}")
        }
        Event::SnapshotFastForwarded { id, committed, .. } => {
            format!("holds all of the snapshot up to {id} and commits that: it had {committed}")
        }
        Event::SnapshotNoLongerNeeded { to, .. } => format!("can send n{to} entries again"),
        _ => return None,
    };
    Some(format!("n{peer} {words}"))
}

fn rejected(peer: u64, reason: &Rejected) -> String {
    match reason {
        Rejected::Vote { candidate, verdict, .. } => {
            let why = match verdict {
                VoteVerdict::AlreadyVoted(other) => format!("it has voted for n{other}"),
                VoteVerdict::HasLeader(leader) => format!("n{leader} leads this term"),
                VoteVerdict::LogBehind { theirs, own } => {
                    format!("that log ends at {theirs}, its own at {own}")
                }
                VoteVerdict::LowPriority { theirs, own } => {
                    format!("priority {theirs} is less than its own {own}")
                }
                VoteVerdict::Grant => "it should have granted it".into(),
            };
            format!("n{peer} refuses n{candidate} its vote: {why}")
        }
        Rejected::Append { previous, own_term: Some(term) } => {
            format!("n{peer} refuses entries after {previous}: it has term {term} there")
        }
        Rejected::Append { previous, own_term: None } => {
            format!("n{peer} refuses entries after {previous}: its log is shorter")
        }
        Rejected::LowerTerm { from, theirs, own, .. } => {
            format!("n{peer} tells n{from} that this is term {own}, not {theirs}")
        }
        other => format!("n{peer} refuses a message: {other:?}"),
    }
}

/// What is ignored as a matter of course has no sentence.
fn ignored(peer: u64, from: u64, reason: &Ignored) -> Option<String> {
    let why = match reason {
        Ignored::LowerTerm { kind, theirs, own, .. } => {
            format!("{} of term {theirs}, this is term {own}", message_type(*kind))
        }
        Ignored::LeaseInForce { leader, remaining, .. } => {
            return Some(format!(
                "n{peer} does not answer n{from}: it still relies on n{leader}, for {remaining} ticks"
            ));
        }
        Ignored::NotMember(id) => format!("n{id} is no member"),
        Ignored::NotVoter(id) => format!("n{id} has no vote"),
        Ignored::RepeatedVote { granted, .. } => {
            format!("it has answered {} before", if *granted { "yes" } else { "no" })
        }
        Ignored::ConfChange(reason) => format!("{reason}"),
        Ignored::CommitBeyondLog { commit, last } => {
            format!("{commit} is committed there, and the own log ends at {last}")
        }
        Ignored::NoLeader(kind) => format!("{} has nowhere to go", message_type(*kind)),
        Ignored::NotForRole { kind, role: own } => {
            // Answers that come after all is decided.
            let late = message_type(*kind).ends_with("Resp");
            return (!late).then(|| {
                format!(
                    "n{peer} ignores {} from n{from}: it is {}",
                    message_type(*kind),
                    role(*own)
                )
            });
        }
        Ignored::NotPromotable => "it may not campaign".into(),
        Ignored::UnappliedConfChange { applied, committed } => {
            format!("a membership change waits between {applied} and {committed}")
        }
        Ignored::TransferToLearner(id) => format!("n{id} is a learner and cannot lead"),
        Ignored::SnapshotOfOthers(id) => format!("the snapshot up to {id} is of another cluster"),
        _ => return None,
    };
    Some(format!("n{peer} ignores n{from}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::EntryId;

    #[test]
    fn a_refused_vote_names_the_rule_and_its_two_facts() {
        let (theirs, own) = (EntryId::new(1, 5), EntryId::new(2, 4));
        let verdict = VoteVerdict::LogBehind { theirs, own };
        let event = Event::Rejected(Rejected::Vote { ballot: Ballot::Vote, candidate: 2, verdict });
        let text = sentence(3, &event).unwrap();
        assert_eq!(text, "n3 refuses n2 its vote: that log ends at 5@1, its own at 4@2");
    }

    #[test]
    fn what_is_a_matter_of_course_has_no_sentence_but_a_line_or_nothing() {
        let reason = Ignored::StaleAcknowledgement { index: 3, matched: 4 };
        let event = Event::Ignored { reason, from: 2, term: 1 };
        assert_eq!(sentence(1, &event), None);
        let event = Event::Acknowledged { from: 2, index: 7 };
        assert_eq!((sentence(1, &event), in_etcds_words(1, &event)), (None, None));
    }
}
