//! TinyKV's key table, byte for byte. All integers are big-endian `u64`.
//!
//! | key | bytes | engine |
//! | --- | --- | --- |
//! | [`raft_log`] | `01 02 region 01 index` | raft |
//! | [`raft_state`] | `01 02 region 02` | raft |
//! | [`apply_state`] | `01 02 region 03` | kv |
//! | [`session`] | `01 02 region 04 client` | kv |
//! | [`region_state`] | `01 03 region 01` | kv |
//! | [`PREPARE_BOOTSTRAP`] | `01 01` | kv |
//! | [`STORE_IDENT`] | `01 02` | kv |
//! | [`data`] | `<cf>_` and the user's key | kv |
//!
//! TinyKV has no sessions; theirs stand beside the other states of the region.

use crate::key::Key;

const LOCAL: u8 = 0x01;
const REGION_RAFT: u8 = 0x02;
const REGION_META: u8 = 0x03;
const RAFT_LOG: u8 = 0x01;
const RAFT_STATE: u8 = 0x02;
const APPLY_STATE: u8 = 0x03;
const SESSION: u8 = 0x04;
const REGION_STATE: u8 = 0x01;

/// Set while a store is being bootstrapped.
pub const PREPARE_BOOTSTRAP: [u8; 2] = [LOCAL, 0x01];
/// Who the store is.
pub const STORE_IDENT: [u8; 2] = [LOCAL, 0x02];
/// The column families of the store.
pub const CFS: [&str; 3] = ["default", "write", "lock"];

/// Length of a log entry's key.
const RAFT_LOG_LEN: usize = 19;

fn region_key(kind: u8, region: u64, suffix: u8, rest: &[u8]) -> Key {
    Key::of(&[&[LOCAL, kind], &region.to_be_bytes(), &[suffix], rest])
}

/// Key of a log entry; the value is an `Entry`.
pub fn raft_log(region: u64, index: u64) -> Key {
    region_key(REGION_RAFT, region, RAFT_LOG, &index.to_be_bytes())
}

/// Key of the durable part of the log's state; the value is a `RaftLocalState`.
pub fn raft_state(region: u64) -> Key {
    region_key(REGION_RAFT, region, RAFT_STATE, &[])
}

/// Key of how far the region has applied; the value is a `RaftApplyState`.
pub fn apply_state(region: u64) -> Key {
    region_key(REGION_RAFT, region, APPLY_STATE, &[])
}

/// Key of what a client's session did last; the value is a `SessionState`.
pub fn session(region: u64, client: u64) -> Key {
    region_key(REGION_RAFT, region, SESSION, &client.to_be_bytes())
}

/// The client in a session's key; none if it is another key.
pub fn session_client(key: &[u8]) -> Option<u64> {
    suffix(key, SESSION)
}

/// Where the keys of a region's sessions begin and end.
pub fn sessions(region: u64) -> (Key, Key) {
    let bound = |suffix| region_key(REGION_RAFT, region, suffix, &[]);
    (bound(SESSION), bound(SESSION + 1))
}

/// Where the user's keys in `cf` begin and end.
pub fn family(cf: &str) -> (Key, Key) {
    (data(cf, b""), data_end(cf, b""))
}

/// Key of the region's shape; the value is a `RegionLocalState`.
pub fn region_state(region: u64) -> Key {
    region_key(REGION_META, region, REGION_STATE, &[])
}

/// The log index in a log entry's key; none if it is another key.
pub fn raft_log_index(key: &[u8]) -> Option<u64> {
    suffix(key, RAFT_LOG)
}

/// The number at the end of a key of this kind.
fn suffix(key: &[u8], kind: u8) -> Option<u64> {
    let fits = key.len() == RAFT_LOG_LEN && key.starts_with(&[LOCAL, REGION_RAFT]);
    let number = key.get(RAFT_LOG_LEN - 8..).filter(|_| fits && key[10] == kind)?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// Key of the user's `key` in column family `cf`.
pub fn data(cf: &str, key: &[u8]) -> Key {
    Key::of(&[cf.as_bytes(), b"_", key])
}

/// The first key after the user's keys from `start` up to `end` in `cf`; an empty `end` is the end
/// of the family.
pub fn data_end(cf: &str, end: &[u8]) -> Key {
    if end.is_empty() {
        // Beyond every key with this prefix.
        Key::of(&[cf.as_bytes(), &[b'_' + 1]])
    } else {
        data(cf, end)
    }
}

/// The column family and the user's key in an engine key; none if it is not a data key.
pub fn user_key(key: &[u8]) -> Option<(&'static str, &[u8])> {
    CFS.into_iter().find_map(|cf| {
        let rest = key.strip_prefix(cf.as_bytes())?.strip_prefix(b"_")?;
        Some((cf, rest))
    })
}

/// Whether a key is part of the state machine: a user's or a session's.
pub fn is_state(key: &[u8]) -> bool {
    match key.first() {
        Some(&LOCAL) => session_client(key).is_some(),
        _ => user_key(key).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tinykvs_byte_for_byte() {
        let region = [0, 0, 0, 0, 0, 0, 0, 1];
        let log = [&[1, 2][..], &region, &[1, 0, 0, 0, 0, 0, 0, 0, 6]].concat();
        assert_eq!(raft_log(1, 6)[..], log);
        assert_eq!(raft_state(1)[..], [&[1, 2][..], &region, &[2]].concat());
        assert_eq!(apply_state(1)[..], [&[1, 2][..], &region, &[3]].concat());
        assert_eq!(region_state(1)[..], [&[1, 3][..], &region, &[1]].concat());
        assert_eq!(data("default", b"k")[..], b"default_k"[..]);
        assert_eq!((PREPARE_BOOTSTRAP, STORE_IDENT), ([1, 1], [1, 2]));
        let own = [&[1, 2][..], &region, &[4, 0, 0, 0, 0, 0, 0, 0, 9]].concat();
        assert_eq!(session(1, 9)[..], own, "not TinyKV's: it has no sessions");
    }

    #[test]
    fn the_index_is_read_back_from_a_log_key_only() {
        assert_eq!(raft_log_index(&raft_log(7, 300)), Some(300));
        assert_eq!(raft_log_index(&raft_state(7)), None);
        assert_eq!(raft_log_index(b"default_0123456789a"), None);
        assert_eq!(raft_log_index(b""), None);
    }

    #[test]
    fn log_keys_sort_by_index() {
        assert!(raft_log(1, 255) < raft_log(1, 256));
        assert!(raft_log(1, u64::MAX) < raft_state(1));
    }

    #[test]
    fn a_users_key_comes_back_with_its_column_family() {
        assert_eq!(user_key(&data("lock", b"a_b")), Some(("lock", &b"a_b"[..])));
        assert_eq!(user_key(&apply_state(1)), None);
        assert!(data("default", &[0xff; 9]) < data_end("default", b""));
        assert!(data_end("default", b"") < data("lock", b""));
    }
}
