//! Events in the words of etcd's log.
//!
//! A line stands for the event that it words; events that etcd does not log have none. Wordings
//! that seem odd are etcd's: people search their logs for them.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::message::message_type;
use super::progress::progress;

use super::{conf_state, role_name};
use crate::EntryId;
use crate::error::{DropReason, StorageError};
use crate::outcome::{Ballot, Ignored};
use crate::proto::eraftpb::MessageType;
use crate::raft::StateRole;
use crate::trace::{Event, VoteFacts};

/// How much a log line matters, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who looks for a fault.
    Debug,
    /// What happens anyway.
    Info,
    /// What should not happen often.
    Warn,
    /// What should not happen.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        })
    }
}

/// What etcd would log for `event` of peer `id`, if anything. A few events are worded by two lines,
/// separated by a newline.
pub fn log_line(id: u64, event: &Event) -> Option<(Level, String)> {
    election(id, event)
        .or_else(|| messages(id, event))
        .or_else(|| membership(id, event))
        .or_else(|| log(id, event))
        .or_else(|| progress_of_peers(id, event))
        .or_else(|| snapshots(id, event))
        .or_else(|| transfer(id, event))
}

type Line = Option<(Level, String)>;

fn debug(text: String) -> Line {
    Some((Level::Debug, text))
}

fn info(text: String) -> Line {
    Some((Level::Info, text))
}

fn warn(text: String) -> Line {
    Some((Level::Warn, text))
}

fn error(text: String) -> Line {
    Some((Level::Error, text))
}

fn ask(ballot: Ballot) -> &'static str {
    message_type(match ballot {
        Ballot::PreVote => MessageType::MsgRequestPreVote,
        Ballot::Vote => MessageType::MsgRequestVote,
    })
}

fn answer(ballot: Ballot) -> &'static str {
    message_type(match ballot {
        Ballot::PreVote => MessageType::MsgRequestPreVoteResponse,
        Ballot::Vote => MessageType::MsgRequestVoteResponse,
    })
}

fn election(id: u64, event: &Event) -> Line {
    match event {
        Event::Became { role, term, .. } => {
            let name = match role {
                StateRole::Follower => "follower",
                StateRole::PreCandidate => "pre-candidate",
                StateRole::Candidate => "candidate",
                StateRole::Leader => "leader",
            };
            info(format!("{id:x} became {name} at term {term}"))
        }
        Event::CampaignStarted { term } => {
            info(format!("{id:x} is starting a new election at term {term}"))
        }
        Event::VoteRequested { ballot, to, last: EntryId { term: log_term, index }, term } => {
            let ask = ask(*ballot);
            let log = format!("[logterm: {log_term}, index: {index}]");
            info(format!("{id:x} {log} sent {ask} request to {to:x} at term {term}"))
        }
        Event::VoteCast(facts) => info(vote(id, facts, "cast", "for")),
        Event::VoteRefused(facts) => info(vote(id, facts, "rejected", "from")),
        Event::VoteIgnored(facts, remaining) => {
            let line = vote(id, facts, "ignored", "from");
            info(format!("{line}: lease is not expired (remaining ticks: {remaining})"))
        }
        Event::VoteReceived { ballot, from, granted, term } => {
            let answer = answer(*ballot);
            let rejection = if *granted { "" } else { " rejection" };
            info(format!("{id:x} received {answer}{rejection} from {from:x} at term {term}"))
        }
        Event::VotesCounted { ballot, granted, refused } => {
            let answer = answer(*ballot);
            let refused = format!("{refused} vote rejections");
            info(format!("{id:x} has received {granted} {answer} votes and {refused}"))
        }
        Event::QuorumLost => {
            warn(format!("{id:x} stepped down to follower since quorum is not active"))
        }
        Event::LeaderForgotten { leader, term } => {
            info(format!("{id:x} forgetting leader {leader:x} at term {term}"))
        }
        Event::Ignored { reason, term, .. } => ignored_campaign(id, reason, *term),
        _ => None,
    }
}

fn vote(id: u64, facts: &VoteFacts, verb: &str, link: &str) -> String {
    let VoteFacts { ballot, candidate, candidate_last: theirs, own_last: own, vote, term } = *facts;
    let own = format!("[logterm: {}, index: {}, vote: {vote:x}]", own.term, own.index);
    let theirs = format!("[logterm: {}, index: {}]", theirs.term, theirs.index);
    let ask = ask(ballot);
    format!("{id:x} {own} {verb} {ask} {link} {candidate:x} {theirs} at term {term}")
}

fn ignored_campaign(id: u64, reason: &Ignored, term: u64) -> Line {
    match reason {
        Ignored::AlreadyLeader => debug(format!("{id:x} ignoring MsgHup because already leader")),
        Ignored::NotPromotable => warn(format!("{id:x} is unpromotable and can not campaign")),
        Ignored::UnappliedConfChange { .. } => warn(format!(
            "{id:x} cannot campaign at term {term} since there are still pending configuration \
             changes to apply"
        )),
        _ => None,
    }
}

fn messages(id: u64, event: &Event) -> Line {
    match event {
        Event::HigherTerm { kind, from, theirs, own } => {
            let what = format!("received a {} message with higher term", message_type(*kind));
            info(format!("{id:x} [term: {own}] {what} from {from:x} [term: {theirs}]"))
        }
        Event::ProposalDropped { reason, term } => dropped_proposal(id, *reason, *term),
        Event::ReadDropped { reason: DropReason::NoLeader, term } => {
            info(format!("{id:x} no leader at term {term}; dropping index reading msg"))
        }
        Event::Ignored { reason, from, term } => ignored_message(id, reason, *from, *term),
        _ => None,
    }
}

fn dropped_proposal(id: u64, reason: DropReason, term: u64) -> Line {
    match reason {
        DropReason::NoLeader => info(format!("{id:x} no leader at term {term}; dropping proposal")),
        DropReason::ForwardingDisabled(leader) => info(format!(
            "{id:x} not forwarding to leader {leader:x} at term {term}; dropping proposal"
        )),
        DropReason::Transferring(to) => debug(format!(
            "{id:x} [term {term}] transfer leadership to {to:x} is in progress; dropping proposal"
        )),
        DropReason::UncommittedSize { .. } => warn(format!(
            "{id:x} appending new entries to log would exceed uncommitted entry size limit; \
             dropping proposal"
        )),
        _ => None,
    }
}

fn ignored_message(id: u64, reason: &Ignored, from: u64, term: u64) -> Line {
    match reason {
        Ignored::LowerTerm { kind, from, theirs, own } => {
            let what = format!("ignored a {} message with lower term", message_type(*kind));
            info(format!("{id:x} [term: {own}] {what} from {from:x} [term: {theirs}]"))
        }
        Ignored::NotMember(from) => debug(format!("{id:x} no progress available for {from:x}")),
        Ignored::NotForRole { kind: MessageType::MsgTimeoutNow, role } => {
            let state = format!("[term {term} state {}]", role_name(*role));
            debug(format!("{id:x} {state} ignored MsgTimeoutNow from {from:x}"))
        }
        Ignored::NoLeader(MessageType::MsgTransferLeader) => {
            info(format!("{id:x} no leader at term {term}; dropping leader transfer msg"))
        }
        Ignored::NoLeader(MessageType::MsgReadIndex) => {
            info(format!("{id:x} no leader at term {term}; dropping index reading msg"))
        }
        Ignored::LeaseBased => error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased".into()),
        Ignored::ReadWithoutContext(count) => error(format!(
            "{id:x} invalid format of MsgReadIndexResp from {from:x}, entries count: {count}"
        )),
        _ => None,
    }
}

fn membership(id: u64, event: &Event) -> Line {
    match event {
        Event::Started { voters, term, committed, applied, last } => {
            let mut peers = String::new();
            for (position, peer) in voters.iter().enumerate() {
                let gap = if position > 0 { "," } else { "" };
                peers += &format!("{gap}{peer:x}");
            }
            let indices = format!("commit: {committed}, applied: {applied}");
            let last = format!("lastindex: {}, lastterm: {}", last.index, last.term);
            info(format!("newRaft {id:x} [peers: [{peers}], term: {term}, {indices}, {last}]"))
        }
        Event::ConfigurationChanged(configuration) => {
            info(format!("{id:x} switched to configuration {configuration}"))
        }
        Event::ConfChangeRefused { change, configuration, reason, .. } => {
            let change = super::entry::whole_change(change);
            info(format!(
                "{id:x} ignoring conf change {change} at config {configuration}: {reason}"
            ))
        }
        Event::AutoLeave { configuration, refused: None } => info(format!(
            "initiating automatic transition out of joint configuration {configuration}"
        )),
        Event::AutoLeave { configuration, refused: Some(_) } => debug(format!(
            "not initiating automatic transition out of joint configuration {configuration}: raft \
             proposal dropped"
        )),
        _ => None,
    }
}

fn log(id: u64, event: &Event) -> Line {
    match event {
        Event::Conflict { index, existing, incoming } => {
            let terms = format!("[existing term: {existing}, conflicting term: {incoming}]");
            info(format!("found conflict at index {index} {terms}"))
        }
        Event::UnstableReplaced { from } => {
            info(format!("replace the unstable entries from index {from}"))
        }
        Event::UnstableTruncated { before } => {
            info(format!("truncate the unstable entries before index {before}"))
        }
        Event::StalePersist { theirs, own } => info(format!(
            "{id:x} [term: {own}] ignored entry appends from a MsgStorageAppendResp message with \
             lower term [term: {theirs}]"
        )),
        Event::PersistMissing { index } => {
            info(format!("entry at index {index} missing from unstable log; ignoring"))
        }
        Event::PersistOfSnapshot { index } => {
            info(format!("entry at index {index} matched unstable snapshot; ignoring"))
        }
        Event::PersistMismatch { theirs, own } => info(format!(
            "entry at (index,term)=({},{}) mismatched with entry at ({},{}) in unstable log; \
             ignoring",
            theirs.index, theirs.term, own.index, own.term
        )),
        Event::AppendRefused { from, previous: EntryId { term, index }, own_term } => {
            let own = format!("[logterm: {own_term}, index: {index}]");
            let theirs = format!("[logterm: {term}, index: {index}]");
            debug(format!("{id:x} {own} rejected MsgApp {theirs} from {from:x}"))
        }
        _ => None,
    }
}

fn progress_of_peers(id: u64, event: &Event) -> Line {
    match event {
        Event::AppendRejected { from, index, hint } => {
            let hint = format!("hint: (index {}, term {})", hint.index, hint.term);
            let what = format!("received MsgAppResp(rejected, {hint})");
            debug(format!("{id:x} {what} from {from:x} for index {index}"))
        }
        Event::ProgressDecreased { to, progress: now } => {
            debug(format!("{id:x} decreased progress of {to:x} to [{}]", progress(now)))
        }
        Event::SnapshotNoLongerNeeded { to, progress: now } => debug(format!(
            "{id:x} recovered from needing snapshot, resumed sending replication messages to \
             {to:x} [{}]",
            progress(now)
        )),
        Event::SnapshotReported { to, arrived, progress: now } => {
            let end = if *arrived { "succeeded" } else { "failed" };
            let what = format!("snapshot {end}, resumed sending replication messages");
            debug(format!("{id:x} {what} to {to:x} [{}]", progress(now)))
        }
        Event::Unreachable { to, progress: now } => debug(format!(
            "{id:x} failed to send message to {to:x} because it is unreachable [{}]",
            progress(now)
        )),
        _ => None,
    }
}

fn snapshots(id: u64, event: &Event) -> Line {
    let name = |id: &EntryId| format!("[index: {}, term: {}]", id.index, id.term);
    let state = |committed: &u64, last: &EntryId| {
        format!("[commit: {committed}, lastindex: {}, lastterm: {}]", last.index, last.term)
    };
    match event {
        Event::SnapshotForInactive { to } => {
            debug(format!("ignore sending snapshot to {to:x} since it is not recently active"))
        }
        Event::SnapshotUnavailable { to, error } => {
            // Only one that is too old is not the storage's fault, and etcd has no such case.
            let error = match error {
                StorageError::SnapshotOutOfDate => &StorageError::SnapshotTemporarilyUnavailable,
                error => error,
            };
            debug(format!("{id:x} failed to send snapshot to {to:x} because {error}"))
        }
        Event::SnapshotSent { to, id: sent, first, committed, before, after } => {
            let log = format!("[firstindex: {first}, commit: {committed}]");
            let sent = format!("sent snapshot{} to {to:x} [{}]", name(sent), progress(before));
            let paused = format!("paused sending replication messages to {to:x}");
            debug(format!("{id:x} {log} {sent}\n{id:x} {paused} [{}]", progress(after)))
        }
        Event::SnapshotRestoring {
            id,
            committed,
            applied,
            applying,
            offset,
            offset_in_progress,
            unstable,
        } => info(format!(
            "log [committed={committed}, applied={applied}, applying={applying}, \
             unstable.offset={offset}, unstable.offsetInProgress={offset_in_progress}, \
             len(unstable.Entries)={unstable}] starts to restore snapshot {}",
            name(id)
        )),
        Event::SnapshotRestored { id: new, committed, last } => {
            let restored = format!("restored snapshot {}", name(new));
            let state = state(committed, last);
            info(format!("{id:x} {state} {restored}\n{id:x} [commit: {committed}] {restored}"))
        }
        Event::SnapshotFastForwarded { id: new, committed, last } => {
            let what = format!("fast-forwarded commit to snapshot {}", name(new));
            info(format!("{id:x} {} {what}", state(committed, last)))
        }
        Event::SnapshotForeign(members) => warn(format!(
            "{id:x} attempted to restore snapshot but it is not in the ConfState {}; should never \
             happen",
            conf_state(members)
        )),
        Event::SnapshotIgnored { id: old, committed } => {
            info(format!("{id:x} [commit: {committed}] ignored snapshot {}", name(old)))
        }
        _ => None,
    }
}

fn transfer(id: u64, event: &Event) -> Line {
    match event {
        Event::TransferStarted { to, term } => {
            info(format!("{id:x} [term {term}] starts to transfer leadership to {to:x}"))
        }
        Event::TransferAborted { to, term } => {
            info(format!("{id:x} [term {term}] abort previous transferring leadership to {to:x}"))
        }
        Event::TimeoutNowSent { to, after_catch_up: true } => {
            info(format!("{id:x} sent MsgTimeoutNow to {to:x} after received MsgAppResp"))
        }
        Event::TimeoutNowSent { to, after_catch_up: false } => info(format!(
            "{id:x} sends MsgTimeoutNow to {to:x} immediately as {to:x} already has up-to-date log"
        )),
        Event::TimeoutNowReceived { from, term } => info(format!(
            "{id:x} [term {term}] received MsgTimeoutNow from {from:x} and starts an election to \
             get leadership."
        )),
        Event::Ignored { reason, term, .. } => ignored_transfer(id, reason, *term),
        _ => None,
    }
}

fn ignored_transfer(id: u64, reason: &Ignored, term: u64) -> Line {
    match reason {
        Ignored::TransferToLearner(_) => {
            debug(format!("{id:x} is learner. Ignored transferring leadership"))
        }
        Ignored::TransferToSelf => {
            debug(format!("{id:x} is already leader. Ignored transferring leadership to self"))
        }
        Ignored::TransferInProgress(to) => info(format!(
            "{id:x} [term {term}] transfer leadership to {to:x} is in progress, ignores request \
             to same node {to:x}"
        )),
        _ => None,
    }
}
