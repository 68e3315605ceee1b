//! Why a request is refused or a peer cannot go on.

use raft_core::proto::errorpb;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{RaftCmdResponse, RaftResponseHeader};
use raft_core::{StorageError, proto::errorpb as pb};
use thiserror::Error;

/// What the store's fallible calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store. Those with a field of their own in `errorpb` travel to the client as
/// such.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The peer does not lead; the hint may be empty.
    #[error("region {region_id} is led by another peer")]
    NotLeader {
        /// The region asked.
        region_id: u64,
        /// The leader as far as the peer knows.
        leader: Option<Peer>,
    },
    /// The log slot was overwritten or leadership moved. The command may or may not take effect
    /// elsewhere.
    #[error("the command is stale")]
    StaleCommand,
    /// The key lies outside the region.
    #[error("key {key:?} is not in region {}", region.id)]
    KeyNotInRegion {
        /// The key asked.
        key: Vec<u8>,
        /// The region asked.
        region: Box<Region>,
    },
    /// The request was made for another shape of the region.
    #[error("the region's epoch has changed")]
    EpochNotMatch(Vec<Region>),
    /// The request was meant for another store.
    #[error("request for store {request} reached store {actual}")]
    StoreNotMatch {
        /// The store that the request names.
        request: u64,
        /// The store that got it.
        actual: u64,
    },
    /// The request was meant for another peer of this store.
    #[error("request for peer {request} reached peer {actual}")]
    PeerNotMatch {
        /// The peer that the request names.
        request: u64,
        /// The peer that got it.
        actual: u64,
    },
    /// The peer was removed from its region, or never was part of it.
    #[error("region {0} is not on this store")]
    RegionNotFound(u64),
    /// The session is unknown: never opened, or forgotten after too long a silence.
    #[error("session {0} is unknown or has expired")]
    SessionExpired(u64),
    /// A later command of the session was executed already.
    #[error("command {last} of session {client} was executed already, this one is older")]
    StaleSequence {
        /// The session.
        client: u64,
        /// The last command that was executed.
        last: u64,
    },
    /// The command is larger than a log entry may be.
    #[error("the command has {bytes} bytes, {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size allowed.
        max: usize,
    },
    /// The request is incomplete or contradicts itself.
    #[error("invalid request: {0}")]
    Invalid(&'static str),
    /// The column family does not exist.
    #[error("no column family {0:?}")]
    UnknownCf(String),
    /// A piece of a snapshot that is damaged, out of order, or not for this peer.
    #[error("snapshot refused: {0}")]
    Snapshot(&'static str),
    /// The peer cannot take the request now.
    #[error("busy: {0}")]
    Busy(&'static str),
    /// The command cannot be proposed now.
    #[error(transparent)]
    Raft(#[from] raft_core::Error),
    /// The store was never set up.
    #[error("the store holds no region {0}; bootstrap it first")]
    NotBootstrapped(u64),
    /// A record does not decode. The peer must not go on: it might forget a promise.
    #[error("record {key} does not decode: {reason}")]
    Corrupt {
        /// The key in hexadecimal.
        key: String,
        /// What the decoder says.
        reason: String,
    },
    /// Two records contradict each other. The peer must not go on.
    #[error("records contradict each other: {0}")]
    Inconsistent(String),
}

impl Error {
    pub(crate) fn corrupt(key: &[u8], reason: &prost::DecodeError) -> Self {
        let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Corrupt { key, reason: reason.to_string() }
    }

    /// The error as a client sees it (TinyKV `RaftstoreErrToPbError`): each typed error fills its
    /// own field, the others the message only.
    pub fn to_pb(&self) -> errorpb::Error {
        let mut error = errorpb::Error { message: self.to_string(), ..Default::default() };
        match self {
            Self::NotLeader { region_id, leader } => {
                let (region_id, leader) = (*region_id, *leader);
                error.not_leader = Some(pb::NotLeader { region_id, leader });
            }
            Self::StaleCommand => error.stale_command = Some(pb::StaleCommand {}),
            Self::KeyNotInRegion { key, region } => {
                error.key_not_in_region = Some(pb::KeyNotInRegion {
                    key: key.clone().into(),
                    region_id: region.id,
                    start_key: region.start_key.clone(),
                    end_key: region.end_key.clone(),
                });
            }
            Self::EpochNotMatch(regions) => {
                let current_regions = regions.clone();
                error.epoch_not_match = Some(pb::EpochNotMatch { current_regions });
            }
            Self::StoreNotMatch { request, actual } => {
                error.store_not_match = Some(pb::StoreNotMatch {
                    request_store_id: *request,
                    actual_store_id: *actual,
                });
            }
            Self::RegionNotFound(region_id) => {
                error.region_not_found = Some(pb::RegionNotFound { region_id: *region_id });
            }
            Self::Busy(_)
            | Self::Raft(raft_core::Error::ProposalDropped(_) | raft_core::Error::ReadDropped(_)) =>
            {
                error.server_is_busy = Some(pb::ServerIsBusy { reason: error.message.clone() });
            }
            Self::SessionExpired(client_id) => {
                error.session_expired = Some(pb::SessionExpired { client_id: *client_id });
            }
            Self::StaleSequence { client, last } => {
                let (client_id, last) = (*client, *last);
                error.stale_sequence = Some(pb::StaleSequence { client_id, last });
            }
            _ => {}
        }
        error
    }

    /// The error as an answer from a peer in `term`.
    pub fn to_response(&self, term: u64) -> RaftCmdResponse {
        let error = Some(self.to_pb().into());
        let header = RaftResponseHeader { error, current_term: term, ..Default::default() };
        RaftCmdResponse { header: Some(header), ..Default::default() }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Raft(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_typed_error_fills_its_own_field() {
        let leader = Some(Peer { id: 2, store_id: 2, role: 0 });
        let pb = Error::NotLeader { region_id: 1, leader }.to_pb();
        assert_eq!(pb.not_leader, Some(pb::NotLeader { region_id: 1, leader }));

        let region = Region { id: 1, start_key: "b".into(), ..Default::default() };
        let pb =
            Error::KeyNotInRegion { key: b"a".to_vec(), region: region.clone().into() }.to_pb();
        let field = pb.key_not_in_region.unwrap();
        assert_eq!((&field.key[..], &field.start_key[..]), (&b"a"[..], &b"b"[..]));

        assert!(Error::StaleCommand.to_pb().stale_command.is_some());
        let pb = Error::EpochNotMatch(vec![region.clone()]).to_pb();
        assert_eq!(pb.epoch_not_match.unwrap().current_regions, [region]);
        let pb = Error::Busy("a while").to_pb();
        assert_eq!(pb.server_is_busy.unwrap().reason, "busy: a while");
        let pb = Error::RegionNotFound(7).to_pb();
        assert_eq!(pb.region_not_found.unwrap().region_id, 7);
        let pb = Error::SessionExpired(7).to_pb();
        assert_eq!(pb.session_expired.unwrap().client_id, 7);
        let pb = Error::StaleSequence { client: 7, last: 3 }.to_pb();
        assert_eq!(pb.stale_sequence.unwrap(), pb::StaleSequence { client_id: 7, last: 3 });
        let pb = Error::StoreNotMatch { request: 1, actual: 2 }.to_pb();
        assert_eq!(pb.store_not_match.unwrap().actual_store_id, 2);
    }

    #[test]
    fn a_plain_error_fills_the_message_only() {
        let pb = Error::Invalid("no header").to_pb();
        let message = "invalid request: no header".into();
        assert_eq!(pb, errorpb::Error { message, ..Default::default() });
    }
}
