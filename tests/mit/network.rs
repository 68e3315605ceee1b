//! A network in the manner of the lab's `labrpc`, for messages that go one way.
//!
//! | messages | are |
//! | --- | --- |
//! | `MsgRequestVote`, `MsgRequestPreVote`, `MsgAppend`, `MsgHeartbeat`, `MsgSnapshot`, `MsgTimeoutNow` | requests: each counts as one RPC |
//! | the responses | replies to the request that the peer is handling |
//!
//! A reliable network delivers at once, that is within a tenth of a millisecond, and in no
//! particular order. An unreliable one takes 0 to 26 ms for a request and loses a tenth of them, and
//! a tenth of the replies. With long reordering two replies of three come 200 to 2,200 ms late. A
//! request to a server that is cut off, or from one, fails after 0 to 7 s; so requests and replies
//! overtake each other at all times.
//!
//! A request is let through or not when it is sent. Its reply is, when it is made: by then the link
//! must still be there, and who asked must still be the same life of that server. Bytes are those of
//! requests and of replies, encoded.

use prost::Message as _;
use raft_core::eraftpb::{Message, MessageType};

use crate::draw::Draw;

/// What becomes of a request.
pub(crate) enum Fate {
    /// It arrives after so many microseconds.
    Arrives(u64),
    /// After so many microseconds its sender notices that it did not arrive.
    Fails(u64),
}

/// Settings, links and counters.
pub(crate) struct Network {
    pub(crate) reliable: bool,
    pub(crate) long_reordering: bool,
    connected: Vec<bool>,
    /// Requests that each server was sent.
    requests: Vec<u64>,
    /// Bytes of all messages that were let through.
    pub(crate) bytes: u64,
}

impl Network {
    pub(crate) fn new(servers: usize, reliable: bool) -> Self {
        Self {
            reliable,
            long_reordering: false,
            connected: vec![false; servers],
            requests: vec![0; servers],
            bytes: 0,
        }
    }

    pub(crate) fn connect(&mut self, server: usize, connected: bool) {
        self.connected[server] = connected;
    }

    pub(crate) fn is_connected(&self, server: usize) -> bool {
        self.connected[server]
    }

    pub(crate) fn requests(&self, server: usize) -> u64 {
        self.requests[server]
    }

    fn link(&self, a: usize, b: usize) -> bool {
        self.connected[a] && self.connected[b]
    }

    /// A server sends a request to another one.
    pub(crate) fn request(
        &mut self,
        draw: &mut Draw,
        from: usize,
        to: usize,
        message: &Message,
    ) -> Fate {
        if !self.link(from, to) {
            return Fate::Fails(draw.below(7_000) * 1000);
        }
        self.requests[to] += 1;
        self.bytes += message.encoded_len() as u64;
        let hop = 1 + draw.below(100);
        if self.reliable {
            return Fate::Arrives(hop);
        }
        let delay = hop + draw.below(27) * 1000;
        if draw.percent(10) { Fate::Fails(delay) } else { Fate::Arrives(delay) }
    }

    /// A server answers. Returns after how many microseconds the answer arrives, if it does.
    pub(crate) fn reply(
        &mut self,
        draw: &mut Draw,
        from: usize,
        to: usize,
        message: &Message,
    ) -> Option<u64> {
        if !self.link(from, to) || (!self.reliable && draw.percent(10)) {
            return None;
        }
        self.bytes += message.encoded_len() as u64;
        let hop = 1 + draw.below(100);
        let late = self.long_reordering && draw.below(900) < 600;
        let most = if late { 1 + draw.below(2000) } else { 1 };
        let delay = if late { 200 + draw.below(most) } else { 0 };
        Some(hop + delay * 1000)
    }
}

/// Whether it answers another message.
pub(crate) fn is_reply(message: &Message) -> bool {
    use MessageType::*;
    let replies = [
        MsgAppendResponse,
        MsgHeartbeatResponse,
        MsgRequestVoteResponse,
        MsgRequestPreVoteResponse,
    ];
    replies.iter().any(|&kind| message.msg_type == i32::from(kind))
}

/// Whether it carries a snapshot.
pub(crate) fn is_snapshot(message: &Message) -> bool {
    message.msg_type == i32::from(MessageType::MsgSnapshot)
}
