//! Messages and states in words, one line each, for scenes, logs and the page.
//!
//! A message reads `n1@3 → n2 Append base=4@2 [5@3 6@3] commit=4`: peer 1, in term 3, sends peer 2
//! entries 5 and 6 of term 3 that follow entry 4 of term 2.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::EntryId;
use crate::proto::eraftpb::{Message, MessageType};
use crate::raft::StateRole;

/// The role as the paper names it.
pub fn role(role: StateRole) -> &'static str {
    match role {
        StateRole::Follower => "follower",
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
            write_entries(line, m)?;
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
            let id = m.snapshot.as_ref().map(EntryId::of_snapshot).unwrap_or_default();
            write!(line, " last={id}")
        }
        Ok(MessageType::MsgPropose) => write!(line, " entries={}", m.entries.len()),
        _ => Ok(()),
    }
}

fn write_entries(line: &mut String, m: &Message) -> fmt::Result {
    const SHOWN: usize = 4;
    if m.entries.is_empty() {
        return Ok(());
    }
    line.push_str(" [");
    for (position, entry) in m.entries.iter().take(SHOWN).enumerate() {
        let gap = if position > 0 { " " } else { "" };
        write!(line, "{gap}{}", EntryId::of(entry))?;
    }
    match m.entries.last() {
        Some(last) if m.entries.len() > SHOWN => write!(line, " … {}", EntryId::of(last))?,
        _ => {}
    }
    line.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::entry;
    use alloc::vec;

    #[test]
    fn an_append_shows_its_base_its_entries_and_the_commit_index() {
        let m = Message {
            msg_type: MessageType::MsgAppend.into(),
            from: 1,
            to: 2,
            term: 3,
            log_term: 2,
            index: 4,
            entries: vec![entry(3, 5), entry(3, 6)],
            commit: 4,
            ..Message::default()
        };
        assert_eq!(message(&m), "n1@3 → n2 Append base=4@2 [5@3 6@3] commit=4");
        let long = Message { entries: (5..25).map(|i| entry(3, i)).collect(), ..m };
        assert_eq!(message(&long), "n1@3 → n2 Append base=4@2 [5@3 6@3 7@3 8@3 … 24@3] commit=4");
    }

    #[test]
    fn an_unknown_type_is_named_so() {
        let m = Message { msg_type: 99, from: 1, to: 2, ..Message::default() };
        assert_eq!(message(&m), "n1 → n2 Unknown");
    }
}
