//! Building requests and reading answers.

use bytes::Bytes;
use raft_core::eraftpb::ConfChangeType;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, ChangePeerRequest, ChangePeerV2Request, CmdType, CompactLogRequest,
    CompareAndSwapRequest, CompareAndSwapResponse, DeleteRangeRequest, DeleteRangeResponse,
    DeleteRequest, DeleteResponse, GetRequest, GetResponse, KvPair, OpenSessionRequest,
    OpenSessionResponse, PutRequest, PutResponse, RaftCmdRequest, RaftRequestHeader, Request,
    Response, ScanRequest, ScanResponse, Session, SnapRequest, SnapResponse, TransferLeaderRequest,
};

/// Reads one key.
pub fn get(cf: &str, key: impl Into<Bytes>) -> Request {
    let get = Some(GetRequest { cf: cf.into(), key: key.into() });
    Request { cmd_type: CmdType::Get.into(), get, ..Default::default() }
}

/// Writes one key.
pub fn put(cf: &str, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Request {
    let put = Some(PutRequest { cf: cf.into(), key: key.into(), value: value.into() });
    Request { cmd_type: CmdType::Put.into(), put, ..Default::default() }
}

/// Removes one key.
pub fn delete(cf: &str, key: impl Into<Bytes>) -> Request {
    let delete = Some(DeleteRequest { cf: cf.into(), key: key.into() });
    Request { cmd_type: CmdType::Delete.into(), delete, ..Default::default() }
}

/// Takes a read view of the whole region.
pub fn snap() -> Request {
    let snap = Some(SnapRequest {});
    Request { cmd_type: CmdType::Snap.into(), snap, ..Default::default() }
}

/// Reads keys from `start` up to but without `end`; an empty `end` is the end of the region. At
/// most `limit` pairs, 0 is no limit.
pub fn scan(cf: &str, start: impl Into<Bytes>, end: impl Into<Bytes>, limit: u32) -> Request {
    let (start_key, end_key) = (start.into(), end.into());
    let scan = Some(ScanRequest { cf: cf.into(), start_key, end_key, limit }.into());
    Request { cmd_type: CmdType::Scan.into(), scan, ..Default::default() }
}

/// Removes keys from `start` up to but without `end`; an empty `end` is the end of the region.
pub fn delete_range(cf: &str, start: impl Into<Bytes>, end: impl Into<Bytes>) -> Request {
    let (start_key, end_key) = (start.into(), end.into());
    let delete_range = Some(DeleteRangeRequest { cf: cf.into(), start_key, end_key }.into());
    Request { cmd_type: CmdType::DeleteRange.into(), delete_range, ..Default::default() }
}

/// Writes one key, or removes it, if it holds what is expected; none is an absent key.
pub fn compare_and_swap(
    cf: &str,
    key: impl Into<Bytes>,
    expected: Option<Bytes>,
    new: Option<Bytes>,
) -> Request {
    let swap = CompareAndSwapRequest {
        cf: cf.into(),
        key: key.into(),
        expect_absent: expected.is_none(),
        expected: expected.unwrap_or_default(),
        delete: new.is_none(),
        value: new.unwrap_or_default(),
    };
    let compare_and_swap = Some(swap.into());
    Request { cmd_type: CmdType::CompareAndSwap.into(), compare_and_swap, ..Default::default() }
}

/// Opens a session. The only request of its command.
pub fn open_session() -> Request {
    let open_session = Some(OpenSessionRequest {});
    Request { cmd_type: CmdType::OpenSession.into(), open_session, ..Default::default() }
}

/// Makes `peer` a voter, a learner or gone. Each peer of a region has a store of its own, and its
/// id was never used before.
pub fn change_peer(change: ConfChangeType, peer: Peer) -> AdminRequest {
    let change_peer = Some(one_change(change, peer));
    AdminRequest { cmd_type: AdminCmdType::ChangePeer.into(), change_peer, ..Default::default() }
}

/// Changes several peers at once (paper section 6).
pub fn change_peers(changes: impl IntoIterator<Item = (ConfChangeType, Peer)>) -> AdminRequest {
    let changes = changes.into_iter().map(|(change, peer)| one_change(change, peer)).collect();
    AdminRequest {
        cmd_type: AdminCmdType::ChangePeerV2.into(),
        change_peer_v2: Some(ChangePeerV2Request { changes }),
        ..Default::default()
    }
}

fn one_change(change: ConfChangeType, peer: Peer) -> ChangePeerRequest {
    ChangePeerRequest { change_type: change.into(), peer: Some(peer) }
}

/// Drops the log up to `index`, which has `term`.
pub fn compact_log(index: u64, term: u64) -> AdminRequest {
    let compact_log = Some(CompactLogRequest { compact_index: index, compact_term: term });
    AdminRequest { cmd_type: AdminCmdType::CompactLog.into(), compact_log, ..Default::default() }
}

/// Hands leadership to `peer`.
pub fn transfer_leader(peer: Peer) -> AdminRequest {
    AdminRequest {
        cmd_type: AdminCmdType::TransferLeader.into(),
        transfer_leader: Some(TransferLeaderRequest { peer: Some(peer) }),
        ..Default::default()
    }
}

/// An administrative command for `peer` of `region`.
pub fn admin(region: &Region, peer: Peer, request: AdminRequest) -> RaftCmdRequest {
    RaftCmdRequest { admin_request: Some(request.into()), ..command(region, peer, Vec::new()) }
}

/// Makes a command take effect once however often it is sent.
pub fn in_session(command: RaftCmdRequest, client_id: u64, sequence: u64) -> RaftCmdRequest {
    RaftCmdRequest { session: Some(Session { client_id, sequence }), ..command }
}

/// A command for `peer` of `region`.
pub fn command(region: &Region, peer: Peer, requests: Vec<Request>) -> RaftCmdRequest {
    let header = RaftRequestHeader {
        region_id: region.id,
        peer: Some(peer),
        region_epoch: region.region_epoch,
        ..Default::default()
    };
    RaftCmdRequest { header: Some(header), requests, ..Default::default() }
}

pub(crate) fn get_response(value: Option<Bytes>) -> Response {
    let not_found = value.is_none();
    let get = Some(GetResponse { value: value.unwrap_or_default(), not_found });
    Response { cmd_type: CmdType::Get.into(), get, ..Default::default() }
}

pub(crate) fn put_response() -> Response {
    let put = Some(PutResponse {});
    Response { cmd_type: CmdType::Put.into(), put, ..Default::default() }
}

pub(crate) fn delete_response() -> Response {
    let delete = Some(DeleteResponse {});
    Response { cmd_type: CmdType::Delete.into(), delete, ..Default::default() }
}

pub(crate) fn snap_response(region: Region) -> Response {
    let snap = Some(SnapResponse { region: Some(region) }.into());
    Response { cmd_type: CmdType::Snap.into(), snap, ..Default::default() }
}

pub(crate) fn scan_response(pairs: Vec<KvPair>) -> Response {
    let scan = Some(ScanResponse { pairs }.into());
    Response { cmd_type: CmdType::Scan.into(), scan, ..Default::default() }
}

pub(crate) fn delete_range_response(deleted: u64) -> Response {
    let delete_range = Some(DeleteRangeResponse { deleted });
    Response { cmd_type: CmdType::DeleteRange.into(), delete_range, ..Default::default() }
}

pub(crate) fn compare_and_swap_response(swapped: bool, previous: Option<Bytes>) -> Response {
    let swap = CompareAndSwapResponse {
        swapped,
        previous_absent: previous.is_none(),
        previous: previous.unwrap_or_default(),
    };
    let compare_and_swap = Some(swap.into());
    Response { cmd_type: CmdType::CompareAndSwap.into(), compare_and_swap, ..Default::default() }
}

pub(crate) fn open_session_response(client_id: u64) -> Response {
    let open_session = Some(OpenSessionResponse { client_id });
    Response { cmd_type: CmdType::OpenSession.into(), open_session, ..Default::default() }
}
