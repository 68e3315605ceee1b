//! Entries and membership changes in words.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use prost::Message as _;

use super::quote::write_quoted;
use crate::proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry,
    EntryType,
};

/// The type of an entry: `EntryNormal`, `EntryConfChange` or `EntryConfChangeV2`.
pub fn entry_type(kind: EntryType) -> &'static str {
    kind.as_str_name()
}

/// An entry on one line: term, index, type, and what it carries. `3/5 EntryNormal "x"`,
/// `3/6 EntryConfChangeV2 v4 r1`.
pub fn entry(entry: &Entry) -> String {
    let mut line = String::new();
    write_entry(&mut line, entry);
    line
}

/// Entries, one a line.
pub fn entries(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        write_entry(&mut text, entry);
        text.push('\n');
    }
    text
}

/// What changes: `v1` makes peer 1 a voter, `l2` makes peer 2 a learner, `r3` removes peer 3.
pub fn conf_changes(changes: &[ConfChangeSingle]) -> String {
    let mut line = String::new();
    for (position, change) in changes.iter().enumerate() {
        if position > 0 {
            line.push(' ');
        }
        let letter = match ConfChangeType::try_from(change.change_type) {
            Ok(ConfChangeType::AddNode) => "v",
            Ok(ConfChangeType::AddLearnerNode) => "l",
            Ok(ConfChangeType::RemoveNode) => "r",
            Err(_) => "unknown",
        };
        // Writing to a string cannot fail.
        let _ = write!(line, "{letter}{}", change.node_id);
    }
    line
}

pub(super) fn write_entry(line: &mut String, entry: &Entry) {
    let _ = write!(line, "{}/{} ", entry.term, entry.index);
    let changes = match EntryType::try_from(entry.entry_type) {
        Ok(kind) => {
            line.push_str(entry_type(kind));
            changes_of(kind, entry)
        }
        Err(_) => {
            let _ = write!(line, "{}", entry.entry_type);
            return;
        }
    };
    match changes {
        None => {
            line.push(' ');
            write_quoted(line, &entry.data);
        }
        Some(Err(_)) => line.push_str(" (does not decode)"),
        // Leaving a joint configuration has nothing to say but that.
        Some(Ok(changes)) if changes.is_empty() => {}
        Some(Ok(changes)) => {
            line.push(' ');
            line.push_str(&changes);
        }
    }
}

/// The membership change that an entry carries, in words; none if it carries a command.
fn changes_of(kind: EntryType, entry: &Entry) -> Option<Result<String, prost::DecodeError>> {
    let data = entry.data.clone();
    match kind {
        EntryType::EntryNormal => None,
        EntryType::EntryConfChange => Some(ConfChange::decode(data).map(|change| {
            let (change_type, node_id) = (change.change_type, change.node_id);
            conf_changes(&[ConfChangeSingle { change_type, node_id }])
        })),
        EntryType::EntryConfChangeV2 => {
            Some(ConfChangeV2::decode(data).map(|change| conf_changes(&change.changes)))
        }
    }
}

/// A membership change with all that it says:
/// `transition:ConfChangeTransitionAuto changes:{type:ConfChangeAddNode node_id:4} context:"x"`.
/// One in the old form reads like the new one that means the same.
pub(super) fn whole_change(change: &ConfChangeV2) -> String {
    let transition = match ConfChangeTransition::try_from(change.transition) {
        Ok(ConfChangeTransition::Auto) => "ConfChangeTransitionAuto",
        Ok(ConfChangeTransition::Implicit) => "ConfChangeTransitionJointImplicit",
        Ok(ConfChangeTransition::Explicit) => "ConfChangeTransitionJointExplicit",
        Err(_) => "unknown",
    };
    let mut line = format!("transition:{transition}");
    for single in &change.changes {
        let kind = match ConfChangeType::try_from(single.change_type) {
            Ok(ConfChangeType::AddNode) => "ConfChangeAddNode",
            Ok(ConfChangeType::AddLearnerNode) => "ConfChangeAddLearnerNode",
            Ok(ConfChangeType::RemoveNode) => "ConfChangeRemoveNode",
            Err(_) => "unknown",
        };
        // Writing to a string cannot fail.
        let _ = write!(line, " changes:{{type:{kind} node_id:{}}}", single.node_id);
    }
    if !change.context.is_empty() {
        line.push_str(" context:");
        write_quoted(&mut line, &change.context);
    }
    line
}
