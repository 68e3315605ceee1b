//! One node of each implementation behind one interface, so that the same input can be given to
//! both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![allow(dead_code, reason = "each test file uses a part")]

mod ours;
mod theirs;

use raft_core::eraftpb::{ConfChangeV2, Entry, Message, MessageType};

pub(crate) use ours::Ours;
pub(crate) use theirs::{Theirs, caught, theirs as their};

/// What a node made of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It took it.
    Taken,
    /// It answered with an error.
    Refused(String),
    /// It took the process down.
    Panicked(String),
}

impl Answer {
    pub(crate) fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }
}

/// Settings of a node; everything else is as each implementation has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) voters: Vec<u64>,
    pub(crate) learners: Vec<u64>,
    /// Joins appends (theirs only).
    pub(crate) batch_append: bool,
    pub(crate) priority: i64,
}

impl Setup {
    pub(crate) fn voters(voters: &[u64]) -> Self {
        Self { voters: voters.to_vec(), ..Self::default() }
    }
}

/// What came out of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    pub(crate) messages: Vec<Message>,
    /// Contexts and indices of reads that may be served.
    pub(crate) reads: Vec<(Vec<u8>, u64)>,
    pub(crate) applied: Vec<Entry>,
}

impl Output {
    pub(crate) fn of(&self, kind: MessageType) -> Vec<&Message> {
        self.messages.iter().filter(|m| m.msg_type == i32::from(kind)).collect()
    }

    pub(crate) fn to(&self, id: u64, kind: MessageType) -> Option<&Message> {
        self.messages.iter().rfind(|m| m.to == id && m.msg_type == i32::from(kind))
    }
}

/// What a leader knows of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Follower {
    pub(crate) matched: u64,
    pub(crate) next: u64,
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Probe,
    Replicate,
    Snapshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

/// A node of either implementation, with its storage in memory.
///
/// A new node has applied entry 5 of term 5: what came before is in a snapshot.
pub(crate) trait Node: Sized {
    fn start(id: u64, setup: &Setup) -> Self;
    /// Handles the encoded message.
    fn step(&mut self, message: &Message) -> Answer;
    fn tick(&mut self);
    fn campaign(&mut self) -> Answer;
    fn propose(&mut self, data: &str) -> Answer;
    fn read(&mut self, context: &str) -> Answer;
    fn apply_change(&mut self, change: &ConfChangeV2);
    fn request_snapshot(&mut self) -> Answer;
    /// Persists, applies and collects everything that there is.
    fn work(&mut self) -> Output;
    /// As [`work`](Self::work), but only what leaves before the disk has been written.
    fn messages_before_sync(&mut self) -> Vec<Message>;
    /// Drops the log up to `index`.
    fn compact(&mut self, index: u64);
    fn role(&self) -> Role;
    fn term(&self) -> u64;
    fn committed(&self) -> u64;
    fn last(&self) -> u64;
    fn follower(&self, id: u64) -> Follower;
}

/// The index and the term that every node starts from.
pub(crate) const FIRST: u64 = 5;

/// A message of the term that a leader elected by [`elect`] has.
pub(crate) fn message(kind: MessageType, from: u64, to: u64) -> Message {
    let termless = matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex);
    let term = if termless { 0 } else { FIRST + 1 };
    Message { msg_type: kind.into(), from, to, term, ..Message::default() }
}

pub(crate) fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, data: "x".into(), ..Entry::default() }
}

/// Makes node 1 leader of term 6 by the vote of node 2, and commits its first entry, 6, with the
/// acknowledgement of node 2.
pub(crate) fn elect<N: Node>(leader: &mut N) {
    assert_eq!(leader.campaign(), Answer::Taken);
    leader.work();
    assert_eq!(leader.step(&message(MessageType::MsgRequestVoteResponse, 2, 1)), Answer::Taken);
    leader.work();
    assert_eq!(leader.role(), Role::Leader);
    acknowledge(leader, 2, FIRST + 1);
    assert_eq!(leader.committed(), FIRST + 1);
}

/// `follower` has everything up to `index`.
pub(crate) fn acknowledge<N: Node>(leader: &mut N, follower: u64, index: u64) -> Output {
    let answer = Message { index, ..message(MessageType::MsgAppendResponse, follower, 1) };
    assert_eq!(leader.step(&answer), Answer::Taken);
    leader.work()
}

/// Makes node 1 follow leader 2 of term 6 and appends entries 6 to `last`, committed up to
/// `commit`.
pub(crate) fn follow<N: Node>(follower: &mut N, last: u64, commit: u64) -> Output {
    let append = Message {
        index: FIRST,
        log_term: FIRST,
        entries: (FIRST + 1..=last).map(|index| entry(FIRST + 1, index)).collect(),
        commit,
        ..message(MessageType::MsgAppend, 2, 1)
    };
    assert_eq!(follower.step(&append), Answer::Taken);
    let output = follower.work();
    assert_eq!((follower.last(), follower.committed()), (last, commit));
    output
}
