//! Majorities, and pairs of majorities, as mathematics: nothing here knows of messages.
//!
//! A [`Majority`] decides with more than half of its voters. A [`JointConfig`] is two of them, the
//! old and the new one during a membership change, and decides only what both decide (section 6,
//! thesis 4.3): that is why no two changes ever need to agree on when they happened.

use alloc::vec::Vec;
use core::fmt;

use crate::rules::{Rules, Tally};

/// A set of peers of which more than half decide. Ascending, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Majority(Vec<u64>);

impl Majority {
    /// Nobody. It agrees to everything, so that half a [`JointConfig`] can be empty.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The ids, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// The ids, ascending.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `id` belongs to it.
    pub fn contains(&self, id: u64) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    /// Adds `id`. Returns whether it is new.
    pub fn insert(&mut self, id: u64) -> bool {
        let place = self.0.binary_search(&id);
        if let Err(position) = place {
            self.0.insert(position, id);
        }
        place.is_err()
    }

    /// Removes `id`. Returns whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let place = self.0.binary_search(&id);
        if let Ok(position) = place {
            self.0.remove(position);
        }
        place.is_ok()
    }

    /// The highest index that more than half hold, given what each is known to hold; 0 if no index
    /// is. [`u64::MAX`] if there is nobody to ask.
    pub fn committed_index(&self, held: impl Fn(u64) -> Option<u64>, rules: &Rules) -> u64 {
        if self.is_empty() {
            return u64::MAX;
        }
        // Enough for any real cluster without the heap; a larger one pays for a vector.
        let mut small = [0u64; 16];
        let mut large = Vec::new();
        let indices = if let Some(slots) = small.get_mut(..self.len()) {
            slots
        } else {
            large.resize(self.len(), 0);
            large.as_mut_slice()
        };
        for (slot, id) in indices.iter_mut().zip(self.iter()) {
            *slot = held(id).unwrap_or(0);
        }
        indices.sort_unstable();
        let position = self.len().checked_sub((rules.quorum)(self.len()));
        position.and_then(|position| indices.get(position).copied()).unwrap_or(0)
    }

    /// What the votes add up to, given who answered what.
    pub fn vote_result(&self, vote: impl Fn(u64) -> Option<bool>, rules: &Rules) -> Tally {
        if self.is_empty() {
            return Tally::Won;
        }
        let (mut granted, mut refused) = (0, 0);
        for id in self.iter() {
            match vote(id) {
                Some(true) => granted += 1,
                Some(false) => refused += 1,
                None => {}
            }
        }
        (rules.tally)(granted, refused, (rules.quorum)(self.len()), self.len())
    }
}

impl FromIterator<u64> for Majority {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut ids: Vec<u64> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids)
    }
}

impl fmt::Display for Majority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (position, id) in self.iter().enumerate() {
            let gap = if position > 0 { " " } else { "" };
            write!(f, "{gap}{id}")?;
        }
        f.write_str(")")
    }
}

/// The voters: one majority, or during a membership change two that must both agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JointConfig {
    /// The voters now, or those to come while the configuration is joint.
    pub incoming: Majority,
    /// The voters that are on their way out; empty unless the configuration is joint.
    pub outgoing: Majority,
}

impl JointConfig {
    /// Whether two majorities decide.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `id` votes.
    pub fn contains(&self, id: u64) -> bool {
        self.incoming.contains(id) || self.outgoing.contains(id)
    }

    /// All voters of both halves.
    pub fn ids(&self) -> Majority {
        self.incoming.iter().chain(self.outgoing.iter()).collect()
    }

    /// Whether `id` alone decides everything.
    pub fn is_only(&self, id: u64) -> bool {
        self.incoming.as_slice() == [id] && !self.is_joint()
    }

    /// The highest index that both halves hold. See [`Majority::committed_index`].
    pub fn committed_index(&self, held: impl Fn(u64) -> Option<u64>, rules: &Rules) -> u64 {
        let incoming = self.incoming.committed_index(&held, rules);
        if !self.is_joint() {
            return incoming;
        }
        (rules.joint_commit)(incoming, self.outgoing.committed_index(&held, rules))
    }

    /// What the votes add up to in both halves.
    pub fn vote_result(&self, vote: impl Fn(u64) -> Option<bool>, rules: &Rules) -> Tally {
        let incoming = self.incoming.vote_result(&vote, rules);
        if !self.is_joint() {
            return incoming;
        }
        (rules.joint_tally)(incoming, self.outgoing.vote_result(&vote, rules))
    }
}

impl fmt::Display for JointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.incoming)?;
        if self.is_joint() {
            write!(f, "&&{}", self.outgoing)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
