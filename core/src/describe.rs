//! Messages and states in words, one line each, for scenes, logs and the page.
//!
//! A message reads `n1@3 → n2 Append base=4@2 [5@3 6@3] commit=4`: peer 1, in term 3, sends peer 2
//! entries 5 and 6 of term 3 that follow entry 4 of term 2.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::EntryId;
use crate::proto::eraftpb::{Entry, Message, MessageType};
use crate::raft::StateRole;
use crate::raw_node::Ready;
use crate::tracker::{Progress, ProgressState};

/// The role as the paper names it.
pub fn role(role: StateRole) -> &'static str {
    match role {
        StateRole::Follower => "follower",
        StateRole::PreCandidate => "pre-candidate",
        StateRole::Candidate => "candidate",
        StateRole::Leader => "leader",
    }
}

/// The type of a message without the schema's prefix, such as `Append`; `Unknown` for a number
/// outside the schema.
pub fn message_name(message: &Message) -> &'static str {
    let kind = MessageType::try_from(message.msg_type);
    kind.map_or("Unknown", |kind| kind.as_str_name().trim_start_matches("Msg"))
}

/// The whole message on one line.
pub fn message(message: &Message) -> String {
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write_message(&mut line, message);
    line
}

fn write_message(line: &mut String, m: &Message) -> fmt::Result {
    write!(line, "n{}", m.from)?;
    if m.term > 0 {
        write!(line, "@{}", m.term)?;
    }
    write!(line, " → n{} {}", m.to, message_name(m))?;
    match MessageType::try_from(m.msg_type) {
        Ok(MessageType::MsgAppend) => {
            write!(line, " base={}", EntryId::new(m.log_term, m.index))?;
            if !m.entries.is_empty() {
                line.push(' ');
                write_entries(line, &m.entries)?;
            }
            write!(line, " commit={}", m.commit)
        }
        Ok(MessageType::MsgAppendResponse) if m.reject => {
            let hint = EntryId::new(m.log_term, m.reject_hint);
            write!(line, " reject index={} hint={hint}", m.index)
        }
        Ok(MessageType::MsgAppendResponse) => write!(line, " match={}", m.index),
        Ok(MessageType::MsgRequestVote) => {
            write!(line, " last={}", EntryId::new(m.log_term, m.index))
        }
        Ok(MessageType::MsgRequestVoteResponse) => {
            line.write_str(if m.reject { " refuse" } else { " grant" })
        }
        Ok(MessageType::MsgHeartbeat) => write!(line, " commit={}", m.commit),
        Ok(MessageType::MsgSnapshot) => {
            let id = m.snapshot.as_deref().map(EntryId::of_snapshot).unwrap_or_default();
            write!(line, " last={id}")
        }
        Ok(MessageType::MsgPropose) => write!(line, " entries={}", m.entries.len()),
        _ => Ok(()),
    }
}

/// What a leader knows about a peer: `Probe match=0 next=5`.
pub fn progress(progress: &Progress) -> String {
    let mut line = String::new();
    let _ = write_progress(&mut line, progress);
    line
}

fn write_progress(line: &mut String, progress: &Progress) -> fmt::Result {
    let name = match progress.state {
        ProgressState::Probe => "Probe",
        ProgressState::Replicate => "Replicate",
        ProgressState::Snapshot => "Snapshot",
    };
    let (matched, next) = (progress.matched, progress.next);
    write!(line, "{name} match={matched} next={next}")?;
    if progress.pending_snapshot > 0 {
        write!(line, " pending={}", progress.pending_snapshot)?;
    }
    match progress.inflights.count() {
        0 => Ok(()),
        count => write!(line, " inflight={count}"),
    }
}

/// What a [`Ready`] asks for, without the parts that are empty:
/// `Ready 3 term=1 vote=2 commit=0 save=[1@1] apply=[1@1] messages=2`.
pub fn ready(ready: &Ready) -> String {
    let mut line = String::new();
    let _ = write_ready(&mut line, ready);
    line
}

fn write_ready(line: &mut String, ready: &Ready) -> fmt::Result {
    write!(line, "Ready {}", ready.number)?;
    if let Some(state) = ready.hard_state {
        let (term, vote, commit) = (state.term, state.vote, state.commit);
        write!(line, " term={term} vote={vote} commit={commit}")?;
    }
    if let Some(snapshot) = &ready.snapshot {
        write!(line, " snapshot={}", EntryId::of_snapshot(snapshot))?;
    }
    for (name, entries) in [("save", &ready.entries), ("apply", &ready.committed_entries)] {
        if !entries.is_empty() {
            write!(line, " {name}=")?;
            write_entries(line, entries)?;
        }
    }
    match ready.messages.len() {
        0 => Ok(()),
        count => write!(line, " messages={count}"),
    }
}

fn write_entries(line: &mut String, entries: &[Entry]) -> fmt::Result {
    const SHOWN: usize = 4;
    line.push('[');
    for (position, entry) in entries.iter().take(SHOWN).enumerate() {
        let gap = if position > 0 { " " } else { "" };
        write!(line, "{gap}{}", EntryId::of(entry))?;
    }
    match entries.last() {
        Some(last) if entries.len() > SHOWN => write!(line, " … {}", EntryId::of(last))?,
        _ => {}
    }
    line.push(']');
    Ok(())
}
