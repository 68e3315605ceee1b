//! Key ranges and epochs.

use raft_core::proto::metapb::{Peer, Region, RegionEpoch};

use crate::error::{Error, Result};

/// The epoch of a region whose shape has never changed.
const INIT_EPOCH: RegionEpoch = RegionEpoch { conf_ver: 1, version: 1 };

/// Region `id` that covers every key, with one peer on each of these stores. Peer and store ids are
/// equal.
pub fn single_region(id: u64, stores: impl IntoIterator<Item = u64>) -> Region {
    let peers = stores.into_iter().map(|id| Peer { id, store_id: id }).collect();
    Region { id, peers, region_epoch: Some(INIT_EPOCH), ..Default::default() }
}

/// Whether `key` lies in the region: at or after its start, before its end.
///
/// # Errors
/// [`Error::KeyNotInRegion`].
pub fn check_key_in_region(key: &[u8], region: &Region) -> Result<()> {
    let (start, end) = (&region.start_key[..], &region.end_key[..]);
    if key >= start && (end.is_empty() || key < end) {
        Ok(())
    } else {
        Err(Error::KeyNotInRegion { key: key.to_vec(), region: region.clone().into() })
    }
}

/// Whether a request for keys was made for the region's present range. Membership may have changed
/// since: the keys are the same.
///
/// # Errors
/// [`Error::EpochNotMatch`], or [`Error::Invalid`] if the request has no epoch.
pub fn check_epoch(requested: Option<&RegionEpoch>, region: &Region) -> Result<()> {
    let requested = requested.ok_or(Error::Invalid("no region epoch"))?;
    let current = region.region_epoch.unwrap_or_default();
    if requested.version == current.version {
        Ok(())
    } else {
        Err(Error::EpochNotMatch(vec![region.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_contains_its_start_but_not_its_end() {
        for (start, end, key, inside) in [
            ("", "", "", true),
            ("", "", "zzz", true),
            ("b", "d", "a", false),
            ("b", "d", "b", true),
            ("b", "d", "c", true),
            ("b", "d", "d", false),
            ("b", "", "zzz", true),
            ("", "d", "", true),
        ] {
            let region =
                Region { start_key: start.into(), end_key: end.into(), ..Default::default() };
            let checked = check_key_in_region(key.as_bytes(), &region);
            assert_eq!(checked.is_ok(), inside, "{key:?} in [{start:?}, {end:?})");
        }
    }

    #[test]
    fn only_the_version_must_match_for_requests_of_keys() {
        let region = single_region(1, [1, 2, 3]);
        let epoch = |conf_ver, version| RegionEpoch { conf_ver, version };
        assert_eq!(check_epoch(Some(&epoch(9, 1)), &region), Ok(()));
        assert!(matches!(check_epoch(Some(&epoch(1, 2)), &region), Err(Error::EpochNotMatch(_))));
        assert!(matches!(check_epoch(None, &region), Err(Error::Invalid(_))));
    }
}
