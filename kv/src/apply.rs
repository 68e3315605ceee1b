//! What a committed command does to the kv engine.

use bytes::Bytes;
use raft_core::proto::metapb::Region;
use raft_core::proto::raft_cmdpb::{
    CmdType, DeleteRequest, GetRequest, KvPair, PutRequest, Request, Response, ScanRequest,
};

use crate::command;
use crate::engine::{MemEngine, WriteBatch};
use crate::error::{Error, Result};
use crate::keys;
use crate::region::check_key_in_region;

/// The column family that a request means.
pub(crate) fn cf_of(cf: &str) -> Result<&str> {
    match cf {
        "" => Ok(keys::CFS[0]),
        cf if keys::CFS.contains(&cf) => Ok(cf),
        cf => Err(Error::UnknownCf(cf.to_owned())),
    }
}

/// A request whose body is the one that its type names.
enum Op<'a> {
    Get(&'a GetRequest),
    Put(&'a PutRequest),
    Delete(&'a DeleteRequest),
    Scan(&'a ScanRequest),
    Snap,
}

fn op_of(request: &Request) -> Result<Op<'_>> {
    let op = match CmdType::try_from(request.cmd_type) {
        Ok(CmdType::Get) => request.get.as_ref().map(Op::Get),
        Ok(CmdType::Put) => request.put.as_ref().map(Op::Put),
        Ok(CmdType::Delete) => request.delete.as_ref().map(Op::Delete),
        Ok(CmdType::Scan) => request.scan.as_ref().map(Op::Scan),
        Ok(CmdType::Snap) => Some(Op::Snap),
        Ok(CmdType::Invalid) | Err(_) => return Err(Error::Invalid("unknown command type")),
    };
    op.ok_or(Error::Invalid("the request's body is missing"))
}

/// Refuses what cannot be executed, before it is proposed and again before it is applied. A scan is
/// cut to the region instead.
pub(crate) fn check_request(request: &Request, region: &Region) -> Result<()> {
    let (cf, key) = match op_of(request)? {
        Op::Get(get) => (&get.cf, &get.key),
        Op::Put(put) => (&put.cf, &put.key),
        Op::Delete(delete) => (&delete.cf, &delete.key),
        Op::Scan(scan) => return cf_of(&scan.cf).map(drop),
        Op::Snap => return Ok(()),
    };
    cf_of(cf)?;
    check_key_in_region(key, region)
}

/// Executes one request. Its writes go to the engine at once, so that the next request sees them,
/// and to `batch`.
pub(crate) fn execute(
    request: &Request,
    region: &Region,
    engine: &mut MemEngine,
    batch: &mut WriteBatch,
) -> Result<Response> {
    check_request(request, region)?;
    let mut write = WriteBatch::default();
    let response = match op_of(request)? {
        Op::Get(get) => {
            command::get_response(engine.get(&keys::data(cf_of(&get.cf)?, &get.key)).cloned())
        }
        Op::Put(put) => {
            write.put(keys::data(cf_of(&put.cf)?, &put.key), put.value.clone());
            command::put_response()
        }
        Op::Delete(delete) => {
            write.delete(keys::data(cf_of(&delete.cf)?, &delete.key));
            command::delete_response()
        }
        Op::Scan(scan) => command::scan_response(scan_pairs(scan, region, engine)?),
        Op::Snap => command::snap_response(region.clone()),
    };
    engine.write(&write);
    batch.extend(write);
    Ok(response)
}

fn scan_pairs(scan: &ScanRequest, region: &Region, engine: &MemEngine) -> Result<Vec<KvPair>> {
    let cf = cf_of(&scan.cf)?;
    let start = (&scan.start_key).max(&region.start_key);
    let end = [&scan.end_key, &region.end_key].into_iter().filter(|end| !end.is_empty()).min();
    let end = keys::data_end(cf, end.map_or(&[][..], |end| &end[..]));
    let limit = if scan.limit == 0 { usize::MAX } else { scan.limit as usize };
    let records = engine.range(&keys::data(cf, start), &end).take(limit);
    let prefix = cf.len() + 1;
    let pair =
        |(key, value): (&Bytes, &Bytes)| KvPair { key: key.slice(prefix..), value: value.clone() };
    Ok(records.map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::single_region;

    struct Fixture {
        engine: MemEngine,
        batch: WriteBatch,
        region: Region,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                engine: MemEngine::default(),
                batch: WriteBatch::default(),
                region: single_region(1, [1]),
            }
        }

        fn run(&mut self, request: &Request) -> Result<Response> {
            execute(request, &self.region, &mut self.engine, &mut self.batch)
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
}
