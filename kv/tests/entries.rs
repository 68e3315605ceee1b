//! Committed entries that no leader of this version proposes: every replica must refuse the same,
//! change nothing for it, or stop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use prost::Message as _;
use raft_core::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry, EntryType, Message, MessageType,
};
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, Request};
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_kv::{Error, Work, command};
use support::*;

/// Replica 2 of three gets these entries from a leader that says they are committed.
struct Follower {
    group: Group,
    last: u64,
}

impl Follower {
    fn new() -> Self {
        Self { group: Group::new(3), last: 5 }
    }

    fn apply(&mut self, kind: EntryType, data: Vec<u8>) -> Result<Work, Error> {
        let (previous, index) = (self.last, self.last + 1);
        self.last = index;
        let entry = Entry {
            entry_type: kind.into(),
            term: 6,
            index,
            data: data.into(),
            ..Entry::default()
        };
        let append = Message {
            msg_type: MessageType::MsgAppend.into(),
            from: 1,
            to: 2,
            term: 6,
            log_term: if previous == 5 { 5 } else { 6 },
            index: previous,
            entries: vec![entry],
            commit: index,
            ..Message::default()
        };
        let message = RaftMessage {
            region_id: 1,
            from_peer: Some(id(1)),
            to_peer: Some(id(2)),
            region_epoch: self.group.peer(2).region().region_epoch,
            message: Some(Box::new(append)),
            ..RaftMessage::default()
        };
        self.group.store(2).step(message)?;
        loop {
            let work = self.group.store(2).handle_ready()?.expect("the entry is applied");
            self.group.store(2).persisted(work.number)?;
            if work.applied.iter().any(|entry| entry.index == index) {
                return Ok(work);
            }
        }
    }

    fn command(&mut self, requests: Vec<Request>) -> Result<Work, Error> {
        let request = self.group.command(2, requests);
        self.apply(EntryType::EntryNormal, request.encode_to_vec())
    }

    fn change(&mut self, ids: &[u64], request: &RaftCmdRequest) -> Result<Work, Error> {
        let remove =
            |&node_id| ConfChangeSingle { change_type: ConfChangeType::RemoveNode.into(), node_id };
        let change = ConfChangeV2 {
            changes: ids.iter().map(remove).collect(),
            context: request.encode_to_vec().into(),
            ..ConfChangeV2::default()
        };
        self.apply(EntryType::EntryConfChangeV2, change.encode_to_vec())
    }

    fn removal(&self, of: u64) -> RaftCmdRequest {
        let peer = self.group.peer(2);
        let admin = command::change_peer(ConfChangeType::RemoveNode, id(of));
        command::admin(peer.region(), peer.me(), admin)
    }

    fn members(&self) -> Vec<u64> {
        self.group.peer(2).storage().conf_state().voters.clone()
    }
}

#[test]
fn a_command_that_opens_a_session_among_others_writes_nothing() {
    let mut follower = Follower::new();
    let before = follower.group.peer(2).storage().fingerprint();
    let batches = [
        vec![command::put("", "k", "v"), command::open_session()],
        vec![command::open_session(), command::put("", "k", "v")],
        vec![command::put("", "k", "v"), command::put("none", "k", "v")],
    ];
    for requests in batches {
        follower.command(requests).unwrap();
        assert_eq!(follower.group.peer(2).storage().fingerprint(), before);
    }
    follower.command(vec![command::put("", "k", "v")]).unwrap();
    assert_ne!(follower.group.peer(2).storage().fingerprint(), before, "the log goes on");
}

#[test]
fn a_change_that_no_longer_fits_is_refused_and_the_replica_goes_on() {
    let mut follower = Follower::new();
    // Made for other members, of a peer that is none, and one that the core cannot apply.
    let mut stale = follower.removal(3);
    stale.header.as_mut().unwrap().region_epoch.as_mut().unwrap().conf_ver += 1;
    follower.change(&[3], &stale).unwrap();
    let stranger = follower.removal(9);
    follower.change(&[9], &stranger).unwrap();
    let fitting = follower.removal(3);
    let endless = ConfChangeV2 {
        changes: vec![ConfChangeSingle { change_type: 77, node_id: 3 }],
        context: fitting.encode_to_vec().into(),
        ..ConfChangeV2::default()
    };
    follower.apply(EntryType::EntryConfChangeV2, endless.encode_to_vec()).unwrap();
    follower.change(&[1, 2, 3], &fitting).unwrap();
    assert_eq!(follower.members(), [1, 2, 3]);
    follower.change(&[3], &fitting).unwrap();
    assert_eq!(follower.members(), [1, 2]);
}

#[test]
fn an_entry_that_does_not_decode_stops_the_replica() {
    let nonsense = vec![0xff; 5];
    let undecodable = ConfChangeV2 { context: nonsense.clone().into(), ..ConfChangeV2::default() };
    let cases = [
        (EntryType::EntryNormal, nonsense.clone()),
        (EntryType::EntryConfChangeV2, nonsense.clone()),
        (EntryType::EntryConfChange, nonsense),
        (EntryType::EntryConfChangeV2, undecodable.encode_to_vec()),
    ];
    for (kind, data) in cases {
        let stopped = Follower::new().apply(kind, data);
        let fatal = matches!(stopped, Err(Error::Corrupt { .. } | Error::Inconsistent(_)));
        assert!(fatal, "{kind:?}: {stopped:?}");
    }
}
