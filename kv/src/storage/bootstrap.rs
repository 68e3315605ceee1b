//! Setting up a store and its first region (TinyKV `bootstrap`).

use raft_core::eraftpb::HardState;
use raft_core::proto::metapb::Region;
use raft_core::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState, StoreIdent,
};

use crate::engine::{Batches, Engines};
use crate::error::{Error, Result};
use crate::keys;

/// Index that a bootstrapped region starts after. Not 0, so that a bootstrapped peer can be told
/// from one that a membership change created empty.
pub const INIT_LOG_INDEX: u64 = 5;
/// Term of that index.
pub const INIT_LOG_TERM: u64 = 5;

/// Writes who a fresh store is (TinyKV `BootstrapStore`).
///
/// # Errors
/// [`Error::Invalid`] if the engines hold anything: they belong to somebody.
pub fn bootstrap_store(engines: &Engines, cluster_id: u64, store_id: u64) -> Result<Batches> {
    if !engines.raft.is_empty() || !engines.kv.is_empty() {
        return Err(Error::Invalid("the store is not empty"));
    }
    let mut batches = Batches::default();
    let ident = StoreIdent { cluster_id, store_id };
    batches.kv.put_message(keys::STORE_IDENT.into(), &ident);
    Ok(batches)
}

/// Who the store is; none if it was never set up.
///
/// # Errors
/// [`Error::Corrupt`] if the record does not decode.
pub fn store_ident(engines: &Engines) -> Result<Option<StoreIdent>> {
    engines.kv.get_message(&keys::STORE_IDENT)
}

/// Writes the records of a fresh region: an empty log after index 5 of term 5.
///
/// # Errors
/// [`Error::Invalid`] if the engines already hold the region.
pub fn bootstrap(engines: &Engines, region: &Region) -> Result<Batches> {
    if engines.kv.get(&keys::region_state(region.id)).is_some() {
        return Err(Error::Invalid("the store is bootstrapped already"));
    }
    let hard_state = HardState { term: INIT_LOG_TERM, vote: 0, commit: INIT_LOG_INDEX };
    let raft_state = RaftLocalState {
        hard_state: Some(hard_state),
        last_index: INIT_LOG_INDEX,
        last_term: INIT_LOG_TERM,
    };
    let truncated_state = Some(RaftTruncatedState { index: INIT_LOG_INDEX, term: INIT_LOG_TERM });
    let apply_state = RaftApplyState { applied_index: INIT_LOG_INDEX, truncated_state };
    let mut batches = Batches::default();
    batches.raft.put_message(keys::raft_state(region.id), &raft_state);
    batches.kv.put_message(keys::apply_state(region.id), &apply_state);
    batches.kv.put_message(keys::region_state(region.id), &region_state(region));
    Ok(batches)
}

/// [`bootstrap`] with a mark that says that nobody else knows of the region yet: stores that start
/// together each prepare one, and all but one of them must withdraw (TinyKV `PrepareBootstrap`).
///
/// # Errors
/// As [`bootstrap`].
pub fn prepare_bootstrap(engines: &Engines, region: &Region) -> Result<Batches> {
    let mut batches = bootstrap(engines, region)?;
    batches.kv.put_message(keys::PREPARE_BOOTSTRAP.into(), &region_state(region));
    Ok(batches)
}

/// Withdraws a prepared region: another store was first (TinyKV `ClearPrepareBootstrap`).
pub fn clear_prepare_bootstrap(region_id: u64) -> Batches {
    let mut batches = clear_prepare_bootstrap_state();
    batches.raft.delete(keys::raft_state(region_id));
    batches.kv.delete(keys::apply_state(region_id));
    batches.kv.delete(keys::region_state(region_id));
    batches
}

/// Makes a prepared region final (TinyKV `ClearPrepareBootstrapState`).
pub fn clear_prepare_bootstrap_state() -> Batches {
    let mut batches = Batches::default();
    batches.kv.delete(keys::PREPARE_BOOTSTRAP.into());
    batches
}

fn region_state(region: &Region) -> RegionLocalState {
    let state = PeerState::Normal.into();
    RegionLocalState { state, region: Some(region.clone()), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::single_region;

    /// TinyKV's TestBootstrapStore.
    #[test]
    fn a_store_is_set_up_once_and_a_prepared_region_can_be_withdrawn() {
        let mut engines = Engines::default();
        assert_eq!(store_ident(&engines), Ok(None));
        engines.write(&bootstrap_store(&engines, 7, 1).unwrap());
        assert_eq!(store_ident(&engines), Ok(Some(StoreIdent { cluster_id: 7, store_id: 1 })));
        assert!(bootstrap_store(&engines, 7, 1).is_err(), "only once");

        let region = single_region(1, [1]);
        engines.write(&prepare_bootstrap(&engines, &region).unwrap());
        let has = |engines: &Engines| {
            [
                engines.kv.get(&keys::PREPARE_BOOTSTRAP).is_some(),
                engines.kv.get(&keys::region_state(1)).is_some(),
                engines.kv.get(&keys::apply_state(1)).is_some(),
                engines.raft.get(&keys::raft_state(1)).is_some(),
            ]
        };
        assert_eq!(has(&engines), [true; 4]);
        let mut final_one = engines.clone();
        final_one.write(&clear_prepare_bootstrap_state());
        assert_eq!(has(&final_one), [false, true, true, true]);
        assert!(bootstrap(&final_one, &region).is_err(), "only once");
        engines.write(&clear_prepare_bootstrap(1));
        assert_eq!(has(&engines), [false; 4]);
    }
}
