//! A `Ready` and its parts in words.

use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use super::entry::write_entry;
use super::message::message;
use super::role_name;
use super::storage::{storage_append, storage_apply};
use crate::EntryId;
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};
use crate::raft::{Response, SoftState};
use crate::raw_node::Ready;

/// `Term:1 Vote:2 Commit:3`; nobody's vote is left out.
pub fn hard_state(state: &HardState) -> String {
    let HardState { term, vote, commit } = *state;
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write!(line, "Term:{term}");
    if vote != 0 {
        let _ = write!(line, " Vote:{vote}");
    }
    let _ = write!(line, " Commit:{commit}");
    line
}

/// `Lead:1 State:StateFollower`.
pub fn soft_state(state: &SoftState) -> String {
    let mut line = String::new();
    let _ = write!(line, "Lead:{} State:{}", state.leader, role_name(state.role));
    line
}

/// `Voters:[1 2] VotersOutgoing:[] Learners:[3] LearnersNext:[] AutoLeave:false`.
pub fn conf_state(state: &ConfState) -> String {
    let mut line = String::new();
    write_conf_state(&mut line, state);
    line
}

fn write_conf_state(line: &mut String, state: &ConfState) {
    for (name, ids) in [
        ("Voters", &state.voters),
        (" VotersOutgoing", &state.voters_outgoing),
        (" Learners", &state.learners),
        (" LearnersNext", &state.learners_next),
    ] {
        let _ = write!(line, "{name}:{}", List(ids));
    }
    let _ = write!(line, " AutoLeave:{}", state.auto_leave);
}

/// `Index:4 Term:1 ConfState:Voters:[1 2] …`.
pub fn snapshot(snapshot: &Snapshot) -> String {
    let mut line = String::new();
    write_snapshot(&mut line, snapshot);
    line
}

pub(super) fn write_snapshot(line: &mut String, snapshot: &Snapshot) {
    let EntryId { term, index } = EntryId::of_snapshot(snapshot);
    let _ = write!(line, "Index:{index} Term:{term} ConfState:");
    let metadata = snapshot.metadata.as_ref();
    let state = metadata.and_then(|metadata| metadata.conf_state.as_ref());
    match state {
        Some(state) => write_conf_state(line, state),
        None => write_conf_state(line, &ConfState::default()),
    }
}

/// What a [`Ready`] asks for, without the parts that are empty, a line each and a newline at the
/// end; `<empty Ready>`, without a newline, if it asks for nothing.
pub fn ready(ready: &Ready) -> String {
    let mut text = String::new();
    write_work(&mut text, ready);
    write_messages(&mut text, ready, []);
    finish(&text, ready)
}

/// [`ready`] of peer `id` that writes in the background (`Config::async_persist`): what is to be
/// persisted and applied shows once more as messages to the two threads that do it, with the
/// responses that wait for them.
pub fn async_ready(id: u64, ready: &Ready, responses: &[Response]) -> String {
    let mut text = String::new();
    write_work(&mut text, ready);
    let writes = storage_append(id, ready, responses);
    let applies = storage_apply(id, &ready.committed_entries, true);
    write_messages(&mut text, ready, [writes, applies].into_iter().flatten());
    finish(&text, ready)
}

fn finish(text: &str, ready: &Ready) -> String {
    if text.is_empty() {
        return "<empty Ready>".to_string();
    }
    let mut whole = String::new();
    let _ = write!(whole, "Ready MustSync={}:\n{text}", ready.must_sync);
    whole
}

fn write_work(text: &mut String, ready: &Ready) {
    if let Some(state) = &ready.soft_state {
        let _ = writeln!(text, "{}", soft_state(state));
    }
    if let Some(state) = &ready.hard_state {
        let _ = writeln!(text, "HardState {}", hard_state(state));
    }
    if !ready.read_states.is_empty() {
        text.push_str("ReadStates [");
        for (position, state) in ready.read_states.iter().enumerate() {
            let gap = if position > 0 { " " } else { "" };
            let _ = write!(text, "{gap}{{{} {}}}", state.index, List(&state.context));
        }
        text.push_str("]\n");
    }
    write_list(text, "Entries:\n", &ready.entries);
    if let Some(snapshot) = &ready.snapshot {
        text.push_str("Snapshot ");
        write_snapshot(text, snapshot);
        text.push('\n');
    }
    write_list(text, "CommittedEntries:\n", &ready.committed_entries);
}

fn write_messages(text: &mut String, ready: &Ready, local: impl IntoIterator<Item = String>) {
    let lines = ready.messages.iter().map(message).chain(local);
    for (position, line) in lines.enumerate() {
        if position == 0 {
            text.push_str("Messages:\n");
        }
        let _ = writeln!(text, "{line}");
    }
}

fn write_list(text: &mut String, title: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    text.push_str(title);
    for entry in entries {
        write_entry(text, entry);
        text.push('\n');
    }
}

/// Numbers as Go prints a slice: `[1 2 3]`.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (position, item) in self.0.iter().enumerate() {
            let gap = if position > 0 { " " } else { "" };
            write!(f, "{gap}{item}")?;
        }
        f.write_str("]")
    }
}
