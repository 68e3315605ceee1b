//! What a command does to the kv engine.

use bytes::Bytes;
use raft_core::proto::metapb::Region;
use raft_core::proto::raft_cmdpb::{
    CmdType, CompareAndSwapRequest, DeleteRangeRequest, DeleteRequest, GetRequest, KvPair,
    PutRequest, RaftCmdRequest, Request, Response, ScanRequest,
};

use crate::command;
use crate::engine::MemEngine;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::keys;
use crate::region::check_key_in_region;
use crate::sessions::Writer;

/// The column family that a request means.
fn cf_of(cf: &str) -> Result<&str> {
    match cf {
        "" => Ok(keys::CFS[0]),
        cf if keys::CFS.contains(&cf) => Ok(cf),
        cf => Err(Error::UnknownCf(cf.to_owned())),
    }
}

/// A request whose body is the one that its type names.
pub(crate) enum Op<'a> {
    Get(&'a GetRequest),
    Put(&'a PutRequest),
    Delete(&'a DeleteRequest),
    Scan(&'a ScanRequest),
    Snap,
    DeleteRange(&'a DeleteRangeRequest),
    CompareAndSwap(&'a CompareAndSwapRequest),
    OpenSession,
}

impl<'a> Op<'a> {
    pub(crate) fn of(request: &'a Request) -> Result<Self> {
        let op = match CmdType::try_from(request.cmd_type) {
            Ok(CmdType::Get) => request.get.as_ref().map(Op::Get),
            Ok(CmdType::Put) => request.put.as_ref().map(Op::Put),
            Ok(CmdType::Delete) => request.delete.as_ref().map(Op::Delete),
            Ok(CmdType::Scan) => request.scan.as_deref().map(Op::Scan),
            Ok(CmdType::Snap) => Some(Op::Snap),
            Ok(CmdType::DeleteRange) => request.delete_range.as_deref().map(Op::DeleteRange),
            Ok(CmdType::CompareAndSwap) => {
                request.compare_and_swap.as_deref().map(Op::CompareAndSwap)
            }
            Ok(CmdType::OpenSession) => Some(Op::OpenSession),
            Ok(CmdType::Invalid) | Err(_) => return Err(Error::Invalid("unknown command type")),
        };
        op.ok_or(Error::Invalid("the request's body is missing"))
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Op::Get(_) | Op::Scan(_) | Op::Snap)
    }
}

/// Refuses what cannot be executed. Ranges are cut to the region instead.
pub(crate) fn check_request(request: &Request, region: &Region) -> Result<()> {
    let (cf, key) = match Op::of(request)? {
        Op::Get(get) => (&get.cf, &get.key),
        Op::Put(put) => (&put.cf, &put.key),
        Op::Delete(delete) => (&delete.cf, &delete.key),
        Op::CompareAndSwap(swap) => (&swap.cf, &swap.key),
        Op::Scan(scan) => return cf_of(&scan.cf).map(drop),
        Op::DeleteRange(range) => return cf_of(&range.cf).map(drop),
        Op::Snap | Op::OpenSession => return Ok(()),
    };
    cf_of(cf)?;
    check_key_in_region(key, region)
}

/// Refuses a command whose requests cannot all be executed, before it is proposed and again before
/// it is applied.
pub(crate) fn check_requests(command: &RaftCmdRequest, region: &Region) -> Result<()> {
    let requests = &command.requests;
    if requests.is_empty() {
        return Err(Error::Invalid("no requests"));
    }
    if command.session.is_some_and(|session| session.client_id == 0 || session.sequence == 0) {
        return Err(Error::Invalid("sessions and their commands count from 1"));
    }
    let opens = |request| matches!(Op::of(request), Ok(Op::OpenSession));
    if requests.iter().any(opens) && (requests.len() > 1 || command.session.is_some()) {
        return Err(Error::Invalid("opening a session is a command of its own"));
    }
    requests.iter().try_for_each(|request| check_request(request, region))
}

/// Executes a request that only reads; none if it does more.
pub(crate) fn read(op: &Op<'_>, region: &Region, kv: &MemEngine) -> Result<Option<Response>> {
    Ok(Some(match op {
        Op::Get(get) => {
            let value = kv.get(&keys::data(cf_of(&get.cf)?, &get.key));
            command::get_response(value.cloned())
        }
        Op::Scan(scan) => command::scan_response(scan_pairs(scan, region, kv)?),
        Op::Snap => command::snap_response(region.clone()),
        _ => return Ok(None),
    }))
}

/// Executes one request. The next one sees what it writes.
pub(crate) fn execute(
    request: &Request,
    region: &Region,
    writer: &mut Writer<'_>,
) -> Result<Response> {
    let op = Op::of(request)?;
    if let Some(response) = read(&op, region, writer.kv)? {
        return Ok(response);
    }
    Ok(match op {
        Op::Put(put) => {
            writer.put(keys::data(cf_of(&put.cf)?, &put.key), put.value.clone());
            command::put_response()
        }
        Op::Delete(delete) => {
            writer.delete(&keys::data(cf_of(&delete.cf)?, &delete.key));
            command::delete_response()
        }
        Op::DeleteRange(range) => delete_range(range, region, writer)?,
        Op::CompareAndSwap(swap) => compare_and_swap(swap, writer)?,
        Op::Get(_) | Op::Scan(_) | Op::Snap | Op::OpenSession => {
            return Err(Error::Invalid("opening a session is a command of its own"));
        }
    })
}

fn delete_range(
    range: &DeleteRangeRequest,
    region: &Region,
    writer: &mut Writer<'_>,
) -> Result<Response> {
    let (start, end) = cut(cf_of(&range.cf)?, &range.start_key, &range.end_key, region);
    let doomed: Vec<Key> = writer.kv.range(&start, &end).map(|(key, _)| key.clone()).collect();
    for key in &doomed {
        writer.delete(key);
    }
    Ok(command::delete_range_response(doomed.len() as u64))
}

fn compare_and_swap(swap: &CompareAndSwapRequest, writer: &mut Writer<'_>) -> Result<Response> {
    let key = keys::data(cf_of(&swap.cf)?, &swap.key);
    let previous = writer.kv.get(&key).cloned();
    let swapped = match &previous {
        Some(value) => !swap.expect_absent && *value == swap.expected,
        None => swap.expect_absent,
    };
    if swapped && swap.delete {
        writer.delete(&key);
    } else if swapped {
        writer.put(key, swap.value.clone());
    }
    Ok(command::compare_and_swap_response(swapped, previous))
}

/// The engine keys of the user's keys from `start` up to `end` that lie in the region.
fn cut(cf: &str, start: &Bytes, end: &Bytes, region: &Region) -> (Key, Key) {
    let start = start.max(&region.start_key);
    let end = [end, &region.end_key].into_iter().filter(|end| !end.is_empty()).min();
    (keys::data(cf, start), keys::data_end(cf, end.map_or(&[][..], |end| &end[..])))
}

fn scan_pairs(scan: &ScanRequest, region: &Region, kv: &MemEngine) -> Result<Vec<KvPair>> {
    let cf = cf_of(&scan.cf)?;
    let (start, end) = cut(cf, &scan.start_key, &scan.end_key, region);
    let limit = if scan.limit == 0 { usize::MAX } else { scan.limit as usize };
    let prefix = cf.len() + 1;
    let pair = |(key, value): (&Key, &Bytes)| KvPair {
        key: Bytes::copy_from_slice(&key[prefix..]),
        value: value.clone(),
    };
    Ok(kv.range(&start, &end).take(limit).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WriteBatch;
    use crate::region::single_region;
    use crate::state_machine::StateMachine;

    struct Fixture {
        engine: StateMachine,
        batch: WriteBatch,
        region: Region,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                engine: StateMachine::default(),
                batch: WriteBatch::default(),
                region: single_region(1, [1]),
            }
        }

        fn run(&mut self, request: &Request) -> Result<Response> {
            check_request(request, &self.region)?;
            let (kv, batch) = (&mut self.engine, &mut self.batch);
            execute(request, &self.region, &mut Writer { region: 1, kv, batch })
        }

        fn scan(&mut self, start: &'static str, end: &'static str, limit: u32) -> Vec<String> {
            let response = self.run(&command::scan("", start, end, limit)).unwrap();
            let pairs = response.scan.unwrap().pairs;
            pairs.iter().map(|pair| String::from_utf8_lossy(&pair.key).into_owned()).collect()
        }
    }

    #[test]
    fn a_read_sees_every_earlier_write() {
        let mut f = Fixture::new();
        f.run(&command::put("", "k", "1")).unwrap();
        let got = f.run(&command::get("default", "k")).unwrap().get.unwrap();
        assert_eq!((&got.value[..], got.not_found), (&b"1"[..], false));
        f.run(&command::delete("", "k")).unwrap();
        let got = f.run(&command::get("", "k")).unwrap().get.unwrap();
        assert_eq!((&got.value[..], got.not_found), (&b""[..], true));
        assert_eq!(f.batch.len(), 2, "reads write nothing");
    }

    #[test]
    fn an_empty_value_is_found_and_a_missing_key_is_an_answer() {
        let mut f = Fixture::new();
        f.run(&command::put("", "k", "")).unwrap();
        assert!(!f.run(&command::get("", "k")).unwrap().get.unwrap().not_found);
        assert!(f.run(&command::get("", "other")).unwrap().get.unwrap().not_found);
    }

    #[test]
    fn a_scan_is_ordered_half_open_limited_and_stays_in_its_family() {
        let mut f = Fixture::new();
        for key in ["b", "a", "d", "c"] {
            f.run(&command::put("", key, "x")).unwrap();
        }
        f.run(&command::put("lock", "bb", "x")).unwrap();
        assert_eq!(f.scan("", "", 0), ["a", "b", "c", "d"]);
        assert_eq!(f.scan("b", "d", 0), ["b", "c"]);
        assert_eq!(f.scan("", "", 2), ["a", "b"]);
        assert_eq!(f.scan("d", "b", 0), [""; 0]);
        f.region.end_key = "c".into();
        assert_eq!(f.scan("", "", 0), ["a", "b"], "cut to the region");
    }

    #[test]
    fn what_cannot_be_executed_is_refused_and_writes_nothing() {
        let mut f = Fixture::new();
        f.region.start_key = "m".into();
        assert!(matches!(f.run(&command::put("", "a", "1")), Err(Error::KeyNotInRegion { .. })));
        assert!(matches!(f.run(&command::put("nope", "z", "1")), Err(Error::UnknownCf(_))));
        let unknown = Request { cmd_type: 99, ..Default::default() };
        assert!(matches!(f.run(&unknown), Err(Error::Invalid(_))));
        let bodiless = Request { cmd_type: CmdType::Put.into(), ..Default::default() };
        assert!(matches!(f.run(&bodiless), Err(Error::Invalid(_))));
        assert!(f.batch.is_empty());
    }

    #[test]
    fn a_request_does_what_its_type_says_even_with_another_body() {
        let mut f = Fixture::new();
        let mut odd = command::get("", "k");
        odd.put = command::put("", "k", "1").put;
        let response = f.run(&odd).unwrap();
        assert!(response.get.is_some());
        assert!(f.batch.is_empty());
    }

    #[test]
    fn a_range_is_removed_within_its_bounds_and_the_region() {
        let mut f = Fixture::new();
        for key in ["a", "b", "c", "d"] {
            f.run(&command::put("", key, "x")).unwrap();
        }
        f.run(&command::put("lock", "b", "x")).unwrap();
        let mut remove = |start: &'static str, end: &'static str| {
            let response = f.run(&command::delete_range("", start, end)).unwrap();
            response.delete_range.unwrap().deleted
        };
        assert_eq!(remove("b", "d"), 2);
        assert_eq!(remove("d", "a"), 0);
        f.region.end_key = "b".into();
        assert_eq!(
            f.run(&command::delete_range("", "", "")).unwrap().delete_range.unwrap().deleted,
            1
        );
        f.region.end_key = Bytes::new();
        assert_eq!(f.scan("", "", 0), ["d"]);
        assert_eq!(f.engine.len(), 2, "other families are left alone");
    }

    #[test]
    fn compare_and_swap_writes_only_over_what_it_expects_and_tells_what_was_there() {
        let mut f = Fixture::new();
        let mut swap = |expected: Option<&'static str>, new: Option<&'static str>| {
            let request =
                command::compare_and_swap("", "k", expected.map(Bytes::from), new.map(Bytes::from));
            let response = f.run(&request).unwrap().compare_and_swap.unwrap();
            let previous = (!response.previous_absent).then_some(response.previous);
            (response.swapped, previous)
        };
        assert_eq!(swap(Some("1"), Some("2")), (false, None));
        assert_eq!(swap(Some(""), Some("2")), (false, None), "an absent key holds no empty value");
        assert_eq!(swap(None, Some("")), (true, None));
        assert_eq!(swap(None, Some("3")), (false, Some("".into())));
        assert_eq!(swap(Some(""), Some("3")), (true, Some("".into())));
        assert_eq!(swap(Some("3"), None), (true, Some("3".into())));
        assert_eq!(swap(None, None), (true, None), "removing what is absent, if it is");
    }
}
