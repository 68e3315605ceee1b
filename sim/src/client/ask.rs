//! What a store is asked.

use raft_core::eraftpb::ConfChangeType;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{AdminRequest, RaftCmdRequest, Request as StoreRequest};
use raft_kv::command;

use super::Request;
use crate::scenario::{MemberChange, Op, Role};

impl Request {
    /// The request as `peer` of `region` gets it.
    pub(crate) fn command(
        &self,
        region: &Region,
        peer: Peer,
        follower_reads: bool,
    ) -> RaftCmdRequest {
        if let Some(admin) = admin_of(&self.op, region) {
            return command::admin(region, peer, admin);
        }
        let requests = match &self.op {
            Op::Batch { ops } => ops.iter().map(request_of).collect(),
            op => vec![request_of(op)],
        };
        let mut command = command::command(region, peer, requests);
        if let (Some(header), true) = (&mut command.header, follower_reads) {
            header.replica_read = self.only.is_some();
        }
        match self.session {
            Some((client, sequence)) => command::in_session(command, client, sequence),
            None => command,
        }
    }
}

/// An administrative operation as the store knows it, for the region's present members; none if it
/// is another one.
///
/// A new peer's id is made from its store's number and the version of the members, which each change
/// raises: so it was never used before, and a retry means the same peer.
fn admin_of(op: &Op, region: &Region) -> Option<AdminRequest> {
    let version = region.region_epoch.unwrap_or_default().conf_ver;
    let on = |store: u64| region.peers.iter().find(|peer| peer.store_id == store).copied();
    let new = |store: u64| Peer { id: store + 10 * version, store_id: store, role: 0 };
    match op {
        Op::TransferLeader { to } => {
            Some(command::transfer_leader(on(*to).unwrap_or_else(|| new(*to))))
        }
        Op::Members { changes } => {
            let change = |change: &MemberChange| {
                let kind = match change.role {
                    Role::Voter => ConfChangeType::AddNode,
                    Role::Learner => ConfChangeType::AddLearnerNode,
                    Role::Gone => ConfChangeType::RemoveNode,
                };
                (kind, on(change.store).unwrap_or_else(|| new(change.store)))
            };
            Some(match changes.as_slice() {
                [only] => {
                    let (kind, peer) = change(only);
                    command::change_peer(kind, peer)
                }
                several => command::change_peers(several.iter().map(change)),
            })
        }
        _ => None,
    }
}

/// One operation on keys as the store knows it.
fn request_of(op: &Op) -> StoreRequest {
    match op {
        Op::Put { key, value } => command::put("", key.clone(), value.clone()),
        Op::Get { key } => command::get("", key.clone()),
        Op::Delete { key } => command::delete("", key.clone()),
        Op::Scan { start, end, limit } => command::scan("", start.clone(), end.clone(), *limit),
        Op::DeleteRange { start, end } => command::delete_range("", start.clone(), end.clone()),
        Op::Cas { key, expected, new } => {
            let bytes = |value: &Option<String>| value.clone().map(Into::into);
            command::compare_and_swap("", key.clone(), bytes(expected), bytes(new))
        }
        Op::OpenSession => command::open_session(),
        // Batches of batches are refused before they get here, and the others are no requests.
        Op::Batch { .. } | Op::Members { .. } | Op::TransferLeader { .. } => {
            StoreRequest::default()
        }
    }
}
