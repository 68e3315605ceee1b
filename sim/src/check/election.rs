//! I1 election safety, I2 one vote a term, I5 leader completeness.

use raft_core::StateRole;

use super::fact::{Hard, Sent, State};
use super::ghost::Ghost;
use super::{Broken, Invariant};

/// I1: over the whole history a term has one leader. I5: whoever begins to lead has what was
/// committed in an earlier term. The last such entry stands for all before it, by log matching.
pub(super) fn led(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let peer = ghost.peer(id);
    let before = &peer.state;
    let unchanged = (before.term, before.role, before.leader) == (now.term, now.role, now.leader);
    if unchanged {
        return None;
    }
    let term = now.term;
    let followed = if now.role == StateRole::Leader { id } else { now.leader };
    if let Some(&leader) = ghost.leaders.get(&term).filter(|&&leader| leader != followed)
        && followed != 0
    {
        let now =
            if followed == id { "leads it too".into() } else { format!("follows n{followed}") };
        let (before, now) = (format!("n{leader} leads term {term}"), format!("n{id} {now}"));
        return Broken::new(Invariant::ElectionSafety, before, now);
    }
    if !now.begins_to_lead(before) {
        return None;
    }
    let committed = ghost.committed_before(term).filter(|entry| !peer.log.covers(*entry))?;
    Broken::of_entry(
        Invariant::LeaderCompleteness,
        committed,
        format!("entry {committed} was committed in an earlier term"),
        format!("the leader of term {term} does not have it: its log ends at {}", now.last),
    )
}

/// I2, in memory: within a term and a life a vote once given stays.
pub(super) fn vote_kept(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let before = &ghost.peer(id).state;
    let kept = now.term != before.term || before.vote == 0 || now.vote == before.vote;
    if kept { None } else { changed(id, now.term, before.vote, now.vote) }
}

/// I2, on the disk.
pub(super) fn vote_stored(ghost: &Ghost, id: u64, now: Hard) -> Option<Broken> {
    let before = ghost.peer(id).disk.hard;
    let kept = now.term != before.term || before.vote == 0 || now.vote == before.vote;
    if kept { None } else { changed(id, now.term, before.vote, now.vote) }
}

/// I2, across a restart: only a vote that was sent binds. One that was lost with the memory never
/// was a vote.
pub(super) fn vote_loaded(ghost: &Ghost, id: u64, now: &State) -> Option<Broken> {
    let sent = ghost.peer(id).vote_in(now.term).filter(|&vote| vote != now.vote)?;
    changed(id, now.term, sent, now.vote)
}

/// I2, when a vote is sent: there was no other, and the disk knows of this one. A disk that has gone
/// on to a later term need not: there is no way back to this one.
pub(super) fn vote_leaves(ghost: &Ghost, id: u64, message: &Sent) -> Option<Broken> {
    let (term, candidate) = (message.term, message.vote(id)?);
    let peer = ghost.peer(id);
    if let Some(other) = peer.vote_in(term).filter(|&other| other != candidate) {
        return changed(id, term, other, candidate);
    }
    let disk = peer.disk.hard;
    // A candidate's request is no promise to anybody else.
    if candidate == id || disk.term > term || (disk.term, disk.vote) == (term, candidate) {
        return None;
    }
    Broken::new(
        Invariant::VoteOnce,
        format!("the disk of n{id} has term {} and vote {}", disk.term, disk.vote),
        format!("n{id} sends its vote of term {term} to n{candidate}"),
    )
}

fn changed(id: u64, term: u64, before: u64, now: u64) -> Option<Broken> {
    let before = format!("n{id} voted for n{before} in term {term}");
    let now =
        if now == 0 { "it has forgotten that".into() } else { format!("it votes for n{now}") };
    Broken::new(Invariant::VoteOnce, before, now)
}

impl State {
    /// Whether the peer won an election since `before`.
    pub(super) fn begins_to_lead(&self, before: &Self) -> bool {
        let leads = |state: &Self| state.role == StateRole::Leader;
        leads(self) && !(leads(before) && before.term == self.term)
    }
}
