//! Writes in the background in words: what etcd sends its append thread and its apply thread, and
//! what these answer. Here they are no messages, only data; nothing of it ever leaves the peer.

use alloc::string::String;
use core::fmt::Write;

use super::message::{message, write_entries, write_snapshot_line};
use crate::outcome::Ballot;
use crate::proto::eraftpb::{Entry, HardState};
use crate::raft::{Receipt, Response};
use crate::raw_node::Ready;

/// What a [`Ready`] of peer `id` asks the thread that writes the log, with the responses that wait
/// for it; none if it asks nothing of it.
pub fn storage_append(id: u64, ready: &Ready, responses: &[Response]) -> Option<String> {
    let own_only = |response: &Response| matches!(response, Response::Own(Receipt::Stored { .. }));
    let nothing = ready.entries.is_empty()
        && ready.hard_state.is_none()
        && ready.snapshot.is_none()
        && responses.iter().all(own_only);
    if nothing {
        return None;
    }
    let HardState { term, vote, commit } = ready.hard_state.unwrap_or_default();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{id:x}->AppendThread MsgStorageAppend Term:{term} Log:0/0");
    if commit != 0 {
        let _ = write!(text, " Commit:{commit}");
    }
    if vote != 0 {
        let _ = write!(text, " Vote:{vote}");
    }
    write_entries(&mut text, "", &ready.entries);
    if let Some(snapshot) = &ready.snapshot {
        write_snapshot_line(&mut text, "", snapshot);
    }
    if !responses.is_empty() {
        text.push_str(" Responses:[");
        for one in responses {
            push_indented(&mut text, &response(id, one));
        }
        text.push_str("\n]");
    }
    Some(text)
}

/// What peer `id` asks the thread that applies entries; none without entries. `respond` shows the
/// response that waits for it, too.
pub fn storage_apply(id: u64, entries: &[Entry], respond: bool) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let mut text = String::new();
    let _ = write!(text, "{id:x}->ApplyThread MsgStorageApply Term:0 Log:0/0");
    write_entries(&mut text, "", entries);
    if respond {
        text.push_str(" Responses:[");
        push_indented(&mut text, &storage_applied(id, entries));
        text.push_str("\n]");
    }
    Some(text)
}

/// What is to be delivered once a write of peer `id` is done.
pub fn response(id: u64, response: &Response) -> String {
    let mut text = String::new();
    let receipt = match response {
        Response::Send(sent) => return message(sent),
        Response::Own(receipt) => receipt,
    };
    let _ = match receipt {
        Receipt::Append { term, index } => {
            write!(text, "{id:x}->{id:x} MsgAppResp Term:{term} Log:0/{index}")
        }
        Receipt::Vote { ballot, term } => {
            let name = match ballot {
                Ballot::PreVote => "MsgPreVoteResp",
                Ballot::Vote => "MsgVoteResp",
            };
            write!(text, "{id:x}->{id:x} {name} Term:{term} Log:0/0")
        }
        Receipt::Stored { term, last, snapshot } => {
            let last = last.unwrap_or_default();
            let head = "MsgStorageAppendResp";
            let done = write!(
                text,
                "AppendThread->{id:x} {head} Term:{term} Log:{}/{}",
                last.term, last.index
            );
            if let Some(snapshot) = snapshot {
                write_snapshot_line(&mut text, "", snapshot);
            }
            done
        }
        Receipt::Applied { index, .. } => {
            write!(text, "ApplyThread->{id:x} MsgStorageApplyResp Term:0 Log:0/{index}")
        }
    };
    text
}

/// What the apply thread of peer `id` answers once it has applied these entries.
pub fn storage_applied(id: u64, entries: &[Entry]) -> String {
    let mut text = String::new();
    let _ = write!(text, "ApplyThread->{id:x} MsgStorageApplyResp Term:0 Log:0/0");
    write_entries(&mut text, "", entries);
    text
}

/// Each line of `block` on a line of its own, two columns in.
fn push_indented(text: &mut String, block: &str) {
    for line in block.lines() {
        text.push_str("\n  ");
        text.push_str(line);
    }
}
