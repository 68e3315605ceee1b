//! Building requests and reading answers.

use bytes::Bytes;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{
    CmdType, DeleteRequest, DeleteResponse, GetRequest, GetResponse, KvPair, PutRequest,
    PutResponse, RaftCmdRequest, RaftRequestHeader, Request, Response, ScanRequest, ScanResponse,
    SnapRequest, SnapResponse,
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
    let scan = Some(ScanRequest { cf: cf.into(), start_key, end_key, limit });
    Request { cmd_type: CmdType::Scan.into(), scan, ..Default::default() }
}

/// A command for `peer` of `region`.
pub fn command(region: &Region, peer: Peer, requests: Vec<Request>) -> RaftCmdRequest {
    let header = RaftRequestHeader {
        region_id: region.id,
        peer: Some(peer),
        region_epoch: region.region_epoch,
        term: 0,
    };
    RaftCmdRequest { header: Some(header), requests, admin_request: None }
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
    let snap = Some(SnapResponse { region: Some(region) });
    Response { cmd_type: CmdType::Snap.into(), snap, ..Default::default() }
}

pub(crate) fn scan_response(pairs: Vec<KvPair>) -> Response {
    let scan = Some(ScanResponse { pairs });
    Response { cmd_type: CmdType::Scan.into(), scan, ..Default::default() }
}
