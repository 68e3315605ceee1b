//! Key ranges and epochs.

use raft_core::eraftpb::ConfState;
use raft_core::proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raft_core::proto::raft_cmdpb::AdminCmdType;

use crate::error::{Error, Result};

/// The epoch of a region whose shape has never changed.
const INIT_EPOCH: RegionEpoch = RegionEpoch { conf_ver: 1, version: 1 };

/// Region `id` that covers every key, with one peer on each of these stores. Peer and store ids are
/// equal.
pub fn single_region(id: u64, stores: impl IntoIterator<Item = u64>) -> Region {
    let peers = stores.into_iter().map(|id| Peer { id, store_id: id, role: 0 }).collect();
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

/// Whether a request was made for the region's present shape. What the epoch must match depends on
/// the request: for keys the range, for a membership change the members, for a transfer both, and
/// for dropping the log nothing.
///
/// # Errors
/// [`Error::EpochNotMatch`], or [`Error::Invalid`] if the request has no epoch.
pub fn check_epoch(
    requested: Option<&RegionEpoch>,
    admin: Option<AdminCmdType>,
    region: &Region,
) -> Result<()> {
    let (version, members) = match admin {
        None => (true, false),
        Some(AdminCmdType::ChangePeer | AdminCmdType::ChangePeerV2) => (false, true),
        Some(AdminCmdType::TransferLeader) => (true, true),
        Some(AdminCmdType::CompactLog | AdminCmdType::InvalidAdmin) => return Ok(()),
    };
    let requested = requested.ok_or(Error::Invalid("no region epoch"))?;
    let current = region.region_epoch.unwrap_or_default();
    let fits = (!version || requested.version == current.version)
        && (!members || requested.conf_ver == current.conf_ver);
    if fits { Ok(()) } else { Err(Error::EpochNotMatch(vec![region.clone()])) }
}

/// Whether `epoch` is older than `than` in any respect.
pub fn is_epoch_stale(epoch: &RegionEpoch, than: &RegionEpoch) -> bool {
    epoch.version < than.version || epoch.conf_ver < than.conf_ver
}

/// The members of a region whose peers all vote, or learn.
pub(crate) fn conf_state_of(region: &Region) -> ConfState {
    let of_role = |role: PeerRole| {
        let peers = region.peers.iter().filter(move |peer| peer.role() == role);
        peers.map(|peer| peer.id).collect()
    };
    let (voters, learners) = (of_role(PeerRole::Voter), of_role(PeerRole::Learner));
    ConfState { voters, learners, ..ConfState::default() }
}

/// What peer `id` counts for in a configuration; none if it is no member.
pub(crate) fn role_in(conf: &ConfState, id: u64) -> Option<PeerRole> {
    let joint = !conf.voters_outgoing.is_empty();
    let (incoming, outgoing) = (conf.voters.contains(&id), conf.voters_outgoing.contains(&id));
    if incoming {
        let new = joint && !outgoing;
        Some(if new { PeerRole::IncomingVoter } else { PeerRole::Voter })
    } else if outgoing {
        let demoted = conf.learners_next.contains(&id);
        Some(if demoted { PeerRole::DemotingVoter } else { PeerRole::OutgoingVoter })
    } else {
        conf.learners.contains(&id).then_some(PeerRole::Learner)
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
    fn what_of_the_epoch_must_match_depends_on_the_request() {
        use AdminCmdType::{ChangePeer, ChangePeerV2, CompactLog, TransferLeader};
        let region = single_region(1, [1, 2, 3]);
        let fits = |conf_ver, version, admin| {
            let requested = RegionEpoch { conf_ver, version };
            check_epoch(Some(&requested), admin, &region).is_ok()
        };
        for (admin, other_members, other_range) in [
            (None, true, false),
            (Some(ChangePeer), false, true),
            (Some(ChangePeerV2), false, true),
            (Some(TransferLeader), false, false),
            (Some(CompactLog), true, true),
        ] {
            assert!(fits(1, 1, admin));
            assert_eq!(fits(9, 1, admin), other_members, "{admin:?}");
            assert_eq!(fits(1, 2, admin), other_range, "{admin:?}");
        }
        assert!(matches!(check_epoch(None, None, &region), Err(Error::Invalid(_))));
        assert_eq!(check_epoch(None, Some(CompactLog), &region), Ok(()));
        let refused = check_epoch(Some(&RegionEpoch::default()), None, &region);
        assert_eq!(refused, Err(Error::EpochNotMatch(vec![region])));
    }

    #[test]
    fn an_epoch_is_stale_if_either_number_is_smaller() {
        let epoch = |conf_ver, version| RegionEpoch { conf_ver, version };
        let now = epoch(3, 3);
        assert!(!is_epoch_stale(&now, &now) && !is_epoch_stale(&epoch(4, 3), &now));
        assert!(is_epoch_stale(&epoch(2, 3), &now) && is_epoch_stale(&epoch(4, 2), &now));
    }

    #[test]
    fn a_joint_configuration_gives_each_member_its_role() {
        let conf = ConfState {
            voters: vec![1, 4],
            voters_outgoing: vec![1, 2, 3],
            learners: vec![5],
            learners_next: vec![3],
            auto_leave: true,
        };
        let roles: Vec<_> = (1..=6).map(|id| role_in(&conf, id)).collect();
        let expected = [
            Some(PeerRole::Voter),
            Some(PeerRole::OutgoingVoter),
            Some(PeerRole::DemotingVoter),
            Some(PeerRole::IncomingVoter),
            Some(PeerRole::Learner),
            None,
        ];
        assert_eq!(roles, expected);
        let plain = ConfState { voters: vec![1], learners: vec![2], ..ConfState::default() };
        assert_eq!(role_in(&plain, 1), Some(PeerRole::Voter));
    }
}
