//! Majorities, and pairs of majorities, as mathematics: nothing here knows of messages.
//!
//! A [`Majority`] decides with more than half of its voters. A [`JointConfig`] is two of them, the
//! old and the new one during a membership change, and decides only what both decide (section 6,
//! thesis 4.3): that is why no two changes ever need to agree on when they happened.

use alloc::vec::Vec;
use core::fmt;

use crate::rules::{Outsider, Rules, Tally};

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
        // Up to about here it is quicker to look at each than to halve.
        const FEW: usize = 16;
        if self.len() <= FEW { self.0.contains(&id) } else { self.0.binary_search(&id).is_ok() }
    }

    /// Whether somebody belongs to both.
    pub fn meets(&self, other: &Self) -> bool {
        self.iter().any(|id| other.contains(id))
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
        self.highest_common(|id| held(id).unwrap_or(0), &mut core::iter::empty(), rules)
    }

    /// The highest number that a quorum has reached, given how far each has, asked in the order of
    /// the ids, and how far those have who are members and do not belong to it.
    pub(crate) fn highest_common(
        &self,
        reached: impl FnMut(u64) -> u64,
        others: &mut dyn Iterator<Item = Outsider>,
        rules: &Rules,
    ) -> u64 {
        // Enough for any real cluster without the heap; a larger one pays for a vector.
        const SMALL: usize = 11;
        let voters = self.len();
        if voters == 0 {
            return u64::MAX;
        }
        let quorum = (rules.quorum)(voters);
        if voters > SMALL {
            let mut numbers: Vec<u64> = self.iter().map(reached).collect();
            return (rules.common_index)(quorum, &mut numbers, others);
        }
        let mut numbers = [0; SMALL];
        numbers.iter_mut().zip(self.iter().map(reached)).for_each(|(slot, number)| *slot = number);
        (rules.common_index)(quorum, &mut numbers[..voters], others)
    }

    /// What the votes add up to, given who answered what.
    pub fn vote_result(&self, vote: impl Fn(u64) -> Option<bool>, rules: &Rules) -> Tally {
        self.verdict(self.iter().filter_map(vote), rules)
    }

    /// What answers add up to; those of others are skipped.
    fn tally(&self, answers: &[(u64, bool)], rules: &Rules) -> Tally {
        let own = answers.iter().filter(|(id, _)| self.contains(*id));
        self.verdict(own.map(|&(_, granted)| granted), rules)
    }

    fn verdict(&self, answers: impl Iterator<Item = bool>, rules: &Rules) -> Tally {
        if self.is_empty() {
            return Tally::Won;
        }
        let (mut granted, mut refused) = (0, 0);
        answers.for_each(|yes| *if yes { &mut granted } else { &mut refused } += 1);
        (rules.tally)(granted, refused, (rules.quorum)(self.len()), self.len())
    }
}

impl IntoIterator for Majority {
    type Item = u64;
    type IntoIter = alloc::vec::IntoIter<u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
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

/// Members in hexadecimal, as messages and log lines name them.
impl fmt::Display for Majority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (position, id) in self.iter().enumerate() {
            let gap = if position > 0 { " " } else { "" };
            write!(f, "{gap}{id:x}")?;
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
        self.verdict(|half| half.vote_result(&vote, rules), rules)
    }

    /// What answers add up to in both halves.
    pub(crate) fn tally(&self, answers: &[(u64, bool)], rules: &Rules) -> Tally {
        self.verdict(|half| half.tally(answers, rules), rules)
    }

    fn verdict(&self, of: impl Fn(&Majority) -> Tally, rules: &Rules) -> Tally {
        let incoming = of(&self.incoming);
        if !self.is_joint() {
            return incoming;
        }
        (rules.joint_tally)(incoming, of(&self.outgoing))
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
