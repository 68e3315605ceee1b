//! Messages in words.

use alloc::string::String;
use core::fmt::Write;

use super::entry::write_entry;
use super::ready::write_snapshot;
use crate::proto::eraftpb::{Entry, Message, MessageType, Snapshot};

/// What etcd calls a message type.
pub fn message_type(kind: MessageType) -> &'static str {
    match kind {
        MessageType::MsgHup => "MsgHup",
        MessageType::MsgBeat => "MsgBeat",
        MessageType::MsgPropose => "MsgProp",
        MessageType::MsgAppend => "MsgApp",
        MessageType::MsgAppendResponse => "MsgAppResp",
        MessageType::MsgRequestVote => "MsgVote",
        MessageType::MsgRequestVoteResponse => "MsgVoteResp",
        MessageType::MsgSnapshot => "MsgSnap",
        MessageType::MsgHeartbeat => "MsgHeartbeat",
        MessageType::MsgHeartbeatResponse => "MsgHeartbeatResp",
        MessageType::MsgUnreachable => "MsgUnreachable",
        MessageType::MsgSnapStatus => "MsgSnapStatus",
        MessageType::MsgCheckQuorum => "MsgCheckQuorum",
        MessageType::MsgTransferLeader => "MsgTransferLeader",
        MessageType::MsgTimeoutNow => "MsgTimeoutNow",
        MessageType::MsgReadIndex => "MsgReadIndex",
        MessageType::MsgReadIndexResp => "MsgReadIndexResp",
        MessageType::MsgRequestPreVote => "MsgPreVote",
        MessageType::MsgRequestPreVoteResponse => "MsgPreVoteResp",
    }
}

/// The type that etcd calls `name`.
pub fn message_type_of(name: &str) -> Option<MessageType> {
    (0..).map_while(|number| MessageType::try_from(number).ok()).find(|&k| message_type(k) == name)
}

/// What etcd calls the message's type; `MsgUnknown` for a number outside the schema.
pub fn message_name(message: &Message) -> &'static str {
    MessageType::try_from(message.msg_type).map_or("MsgUnknown", message_type)
}

/// The whole message, without a newline at its end. It has several lines if it carries several
/// entries or a snapshot.
pub fn message(message: &Message) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{:x}->{:x} {}", message.from, message.to, message_name(message));
    let (term, log_term, index) = (message.term, message.log_term, message.index);
    let _ = write!(text, " Term:{term} Log:{log_term}/{index}");
    if message.reject {
        let _ = write!(text, " Rejected (Hint: {})", message.reject_hint);
    }
    if message.commit != 0 {
        let _ = write!(text, " Commit:{}", message.commit);
    }
    if message.request_snapshot != 0 {
        let _ = write!(text, " RequestSnapshot:{}", message.request_snapshot);
    }
    if message.priority != 0 {
        let _ = write!(text, " Priority:{}", message.priority);
    }
    write_entries(&mut text, "", &message.entries);
    if let Some(snapshot) = message.snapshot.as_deref() {
        write_snapshot_line(&mut text, "", snapshot);
    }
    text
}

/// ` Entries:[…]`: one entry stays on the line, several get a line each.
pub(super) fn write_entries(text: &mut String, indent: &str, entries: &[Entry]) {
    match entries {
        [] => {}
        [entry] => {
            text.push_str(" Entries:[");
            write_entry(text, entry);
            text.push(']');
        }
        entries => {
            text.push_str(" Entries:[");
            for entry in entries {
                let _ = write!(text, "\n{indent}  ");
                write_entry(text, entry);
            }
            let _ = write!(text, "\n{indent}]");
        }
    }
}

/// A line of its own for a snapshot that is not empty.
pub(super) fn write_snapshot_line(text: &mut String, indent: &str, snapshot: &Snapshot) {
    if snapshot.metadata.as_ref().is_some_and(|metadata| metadata.index != 0) {
        let _ = write!(text, "\n{indent}  Snapshot: ");
        write_snapshot(text, snapshot);
    }
}
