//! What drivers with [`Flaws`](crate::Flaws) make of a peer's work: writes that lose something on the
//! way to the disk, while the peer's memory stays as it is, and messages that leave in any order.

use std::collections::HashMap;

use prost::Message as _;
use raft_core::EntryId;
use raft_core::eraftpb::Entry;
use raft_core::proto::raft_serverpb::{RaftLocalState, RaftMessage};
use raft_kv::{Batches, MemEngine, WriteBatch, keys};

use super::World;
use crate::flaws::{Flaws, Order};
use crate::node::REGION;

impl World {
    /// What a driver with these mistakes writes in place of `batches`.
    pub(super) fn spoil(&self, id: u64, batches: &mut Batches) {
        let Flaws { forgotten_votes, forgotten_terms, kept_tails, .. } = self.flaws;
        if !(forgotten_votes || forgotten_terms || kept_tails) {
            return;
        }
        let Some(node) = self.nodes.get(id) else { return };
        if kept_tails {
            keep_tail(&mut batches.raft, &node.disk().raft);
        }
        change_state(&mut batches.raft, |state| {
            let Some(hard) = &mut state.hard_state else { return };
            if forgotten_votes {
                hard.vote = 0;
            }
            if forgotten_terms {
                hard.term = hard.term.min(state.last_term);
            }
        });
    }

    /// Puts messages into the order in which a driver with these mistakes sends them.
    pub(super) fn disorder(&self, messages: &mut [RaftMessage]) {
        let to = |message: &RaftMessage| message.to_peer.map_or(0, |peer| peer.store_id);
        match self.flaws.order {
            Order::Peer => {}
            Order::Map => {
                let receivers: HashMap<u64, ()> = messages.iter().map(|m| (to(m), ())).collect();
                let order: Vec<u64> = receivers.into_keys().collect();
                messages.sort_by_key(|m| order.iter().position(|&store| store == to(m)));
            }
            Order::Hash { bits } => messages.sort_by_key(|m| hash(to(m), bits)),
        }
    }
}

/// A hash that is as wide as the word: `usize` in the program that is acted here.
fn hash(store: u64, bits: u32) -> u64 {
    store.wrapping_mul(0x517C_C1B7_2722_0A95) & (u64::MAX >> (64 - bits.clamp(1, 64)))
}

/// Writes other states of the log than the batch says.
fn change_state(batch: &mut WriteBatch, change: impl Fn(&mut RaftLocalState)) {
    let state_key = keys::raft_state(REGION);
    let mut changed = WriteBatch::default();
    for (key, value) in batch.iter() {
        let state = value.filter(|_| *key == state_key);
        let state = state.and_then(|value| RaftLocalState::decode(&value[..]).ok());
        match (state, value) {
            (Some(mut state), _) => {
                change(&mut state);
                changed.put_message(key.clone(), &state);
            }
            (None, Some(value)) => changed.put(key.clone(), value.clone()),
            (None, None) => changed.delete(key.clone()),
        }
    }
    *batch = changed;
}

/// Leaves on the disk what the batch deletes at the end of the log, and ends the log where the
/// records end.
fn keep_tail(batch: &mut WriteBatch, disk: &MemEngine) {
    let state = batch.iter().filter(|(key, _)| **key == keys::raft_state(REGION)).last();
    let state = state.and_then(|(_, value)| RaftLocalState::decode(&value?[..]).ok());
    let Some(RaftLocalState { last_index, .. }) = state else { return };
    let mut kept = WriteBatch::default();
    for (key, value) in batch.iter() {
        match value {
            Some(value) => kept.put(key.clone(), value.clone()),
            None if keys::raft_log_index(key).is_some_and(|index| index > last_index) => {}
            None => kept.delete(key.clone()),
        }
    }
    let entry = |index| Entry::decode(&disk.get(&keys::raft_log(REGION, index))?[..]).ok();
    let tail = (last_index + 1..).map_while(entry).last().map(|entry| EntryId::of(&entry));
    change_state(&mut kept, |state| {
        if let Some(tail) = tail {
            (state.last_index, state.last_term) = (tail.index, tail.term);
        }
    });
    *batch = kept;
}
