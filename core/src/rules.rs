//! The decisions that make Raft safe, on one page.
//!
//! Each rule is a pure function: facts in, verdict out. The core asks
//! [`Config::rules`](crate::Config::rules) and decides nothing of this kind itself, so a simulator
//! can swap one rule for a broken one and prove that its checkers notice, and a learner can see
//! what goes wrong without it.
//!
//! Sections are those of the Raft paper ("In Search of an Understandable Consensus Algorithm",
//! extended version) unless the thesis is named.

use core::cmp::Ordering;
use core::fmt;

use crate::EntryId;

/// What a voter knows when it is asked for its vote, already in the candidate's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// Who asks.
    pub candidate: u64,
    /// The candidate's last entry.
    pub candidate_last: EntryId,
    /// Who got this voter's vote in this term; 0 is nobody.
    pub voted_for: u64,
    /// The leader of this term as far as the voter knows; 0 is none.
    pub leader: u64,
    /// The voter's own last entry.
    pub own_last: EntryId,
}

/// The answer to a [`VoteRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteVerdict {
    /// The candidate gets the vote.
    Grant,
    /// The vote of this term is already given to this peer.
    AlreadyVoted(u64),
    /// This term has a leader already.
    HasLeader(u64),
    /// The candidate's log is older than the voter's.
    LogBehind {
        /// The candidate's last entry.
        theirs: EntryId,
        /// The voter's last entry.
        own: EntryId,
    },
}

/// What the votes of one election add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// A quorum granted.
    Won,
    /// So many refused that a quorum can no longer grant.
    Lost,
    /// Neither yet.
    Pending,
}

/// How a message's term stands to the receiver's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermVerdict {
    /// Older: the message changes nothing.
    Stale,
    /// The same.
    Current,
    /// Newer: become a follower in it first, then handle the message.
    StepDown,
}

/// What a leader knows when it considers to advance its commit index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitQuestion {
    /// Its commit index now.
    pub committed: u64,
    /// The highest index that a quorum holds.
    pub quorum_index: u64,
    /// Term of the entry at `quorum_index`; none if it is not in the log.
    pub quorum_term: Option<u64>,
    /// The leader's term.
    pub term: u64,
}

/// What a leader knows when a follower rejects an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Index of the entry that the follower does not have, echoed from the request.
    pub rejected: u64,
    /// Where the two logs may agree at the latest, from the follower's hint.
    pub hint: u64,
    /// Highest index known to match.
    pub matched: u64,
    /// The next index the leader would send.
    pub next: u64,
    /// Appends are sent without waiting for answers.
    pub pipelined: bool,
}

/// The rules that a peer follows. `Rules::default()` is the paper.
///
/// Fields are plain functions: a rule cannot remember anything.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Votes needed among so many voters. See [`quorum`].
    pub quorum: fn(voters: usize) -> usize,
    /// Whether a candidate gets the vote. See [`grant_vote`].
    pub grant_vote: fn(&VoteRequest) -> VoteVerdict,
    /// Who holds the vote after a change from one term to another. See [`vote_in_term`].
    pub vote_in_term: fn(old_term: u64, new_term: u64, vote: u64) -> u64,
    /// What the votes so far mean. See [`tally`].
    pub tally: fn(granted: usize, refused: usize, quorum: usize, voters: usize) -> Tally,
    /// How to treat a message of another term. See [`compare_terms`].
    pub compare_terms: fn(own: u64, theirs: u64) -> TermVerdict,
    /// Ticks until the next campaign. See [`election_timeout`].
    pub election_timeout: fn(base: u32, draw: u32) -> u32,
    /// Whether the follower's log holds the entry before an append. See [`log_matches`].
    pub log_matches: fn(previous: EntryId, own_term: Option<u64>) -> bool,
    /// Whether an entry of the log must give way to the leader's. See [`conflicts`].
    pub conflicts: fn(incoming: EntryId, own_term: u64) -> bool,
    /// The follower's commit index after an append. See [`follower_commit`].
    pub follower_commit: fn(committed: u64, leader_commit: u64, last_new: u64) -> u64,
    /// The commit index that a heartbeat may carry. See [`heartbeat_commit`].
    pub heartbeat_commit: fn(committed: u64, matched: u64) -> u64,
    /// The leader's commit index after an acknowledgement. See [`leader_commit`].
    pub leader_commit: fn(&CommitQuestion) -> u64,
    /// Where to probe after a rejection. See [`next_after_rejection`].
    pub next_after_rejection: fn(&Rejection) -> Option<u64>,
    /// Whether a snapshot brings anything new. See [`accept_snapshot`].
    pub accept_snapshot: fn(snapshot: u64, committed: u64) -> bool,
    /// Whether a membership change may be appended. See [`may_change_membership`].
    pub may_change_membership: fn(pending: u64, applied: u64) -> bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            quorum,
            grant_vote,
            vote_in_term,
            tally,
            compare_terms,
            election_timeout,
            log_matches,
            conflicts,
            follower_commit,
            heartbeat_commit,
            leader_commit,
            next_after_rejection,
            accept_snapshot,
            may_change_membership,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// A majority (5.2): any two of them share a peer, so two leaders of one term, or a leader that
/// lacks a committed entry, would need that peer to vote twice or to forget.
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// One vote a term, first come first served (5.2), and only for a log at least as new as one's own
/// (5.4.1).
///
/// The first half makes a leader unique in its term. The second makes it hold every committed
/// entry: the quorum that stored the entry and the quorum that votes share a peer, and that peer
/// refuses a log without it. A repeated request gets the same answer, because answers may be lost.
pub fn grant_vote(request: &VoteRequest) -> VoteVerdict {
    if request.voted_for != request.candidate {
        if request.voted_for != 0 {
            return VoteVerdict::AlreadyVoted(request.voted_for);
        }
        if request.leader != 0 {
            return VoteVerdict::HasLeader(request.leader);
        }
    }
    if log_is_up_to_date(request.candidate_last, request.own_last) {
        VoteVerdict::Grant
    } else {
        VoteVerdict::LogBehind { theirs: request.candidate_last, own: request.own_last }
    }
}

/// The later last term wins, then the longer log (5.4.1). Length alone would let a log of old
/// uncommitted entries beat one with committed entries of a newer term.
pub fn log_is_up_to_date(candidate: EntryId, voter: EntryId) -> bool {
    match candidate.term.cmp(&voter.term) {
        Ordering::Greater => true,
        Ordering::Equal => candidate.index >= voter.index,
        Ordering::Less => false,
    }
}

/// A new term brings a new vote, the same term keeps it (5.2). A peer that steps back to follower
/// within a term must remember its vote, or it votes twice.
pub fn vote_in_term(old_term: u64, new_term: u64, vote: u64) -> u64 {
    if old_term == new_term { vote } else { 0 }
}

/// Won with a quorum of grants, lost with so many refusals that none is left to win with (5.2). A
/// minority of refusals decides nothing.
pub fn tally(granted: usize, refused: usize, quorum: usize, voters: usize) -> Tally {
    if granted >= quorum {
        Tally::Won
    } else if voters.saturating_sub(refused) < quorum {
        Tally::Lost
    } else {
        Tally::Pending
    }
}

/// Terms are Raft's clock (5.1): an older one is ignored, a newer one makes anybody a follower.
/// Without it a deposed leader would go on to commit.
pub fn compare_terms(own: u64, theirs: u64) -> TermVerdict {
    match theirs.cmp(&own) {
        Ordering::Less => TermVerdict::Stale,
        Ordering::Equal => TermVerdict::Current,
        Ordering::Greater => TermVerdict::StepDown,
    }
}

/// Between once and twice the base, `draw` being uniform in `0..base` (5.2). Equal time-outs split
/// the vote again and again.
pub fn election_timeout(base: u32, draw: u32) -> u32 {
    base.saturating_add(draw)
}

/// The consistency check of AppendEntries (5.3): the follower has the entry just before the new
/// ones, with the same term. By induction the logs then agree up to it (Log Matching).
pub fn log_matches(previous: EntryId, own_term: Option<u64>) -> bool {
    own_term == Some(previous.term)
}

/// Same index, other term: the follower's entry and all after it give way (5.3). Only on a
/// conflict: an old append that arrives late must not cut off entries that were acknowledged since.
pub fn conflicts(incoming: EntryId, own_term: u64) -> bool {
    incoming.term != own_term
}

/// The leader's commit index, but not past the last entry that this append confirmed (figure 2,
/// AppendEntries 5). Entries beyond it may be a divergent tail. Never backwards.
pub fn follower_commit(committed: u64, leader_commit: u64, last_new: u64) -> u64 {
    committed.max(leader_commit.min(last_new))
}

/// A heartbeat checks no entries, so it may only confirm what the follower is known to hold.
pub fn heartbeat_commit(committed: u64, matched: u64) -> u64 {
    committed.min(matched)
}

/// A leader commits by counting only entries of its own term; older ones ride along (5.4.2). Figure
/// 8 shows an entry of an older term that a majority stores and that is still overwritten. Never
/// backwards.
pub fn leader_commit(question: &CommitQuestion) -> u64 {
    if question.quorum_term == Some(question.term) {
        question.committed.max(question.quorum_index)
    } else {
        question.committed
    }
}

/// Step back to where the logs may agree (5.3). None if the rejection is old news: an answer to an
/// append that was sent before the one now in doubt, or below what is known to match.
pub fn next_after_rejection(rejection: &Rejection) -> Option<u64> {
    let Rejection { rejected, hint, matched, next, pipelined } = *rejection;
    if pipelined {
        // Later appends are under way: only what is known to match is sure.
        return (rejected > matched).then_some(matched + 1);
    }
    // A probe has exactly one append in doubt, the one before `next`.
    (next.checked_sub(1) == Some(rejected))
        .then(|| rejected.min(hint.saturating_add(1)).max(matched + 1))
}

/// Only a snapshot beyond the commit index brings anything (7): an older one would undo applied
/// entries.
pub fn accept_snapshot(snapshot: u64, committed: u64) -> bool {
    snapshot > committed
}

/// One membership change at a time (thesis 4.1): the old and the new majority of two changes at
/// once might not overlap.
pub fn may_change_membership(pending: u64, applied: u64) -> bool {
    pending <= applied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term, index }
    }

    fn vote(voted_for: u64, leader: u64, theirs: EntryId, own: EntryId) -> VoteVerdict {
        let request =
            VoteRequest { candidate: 2, candidate_last: theirs, voted_for, leader, own_last: own };
        grant_vote(&request)
    }

    #[test]
    fn any_two_quorums_share_a_peer() {
        for voters in 1..=11 {
            assert!(2 * quorum(voters) > voters);
            assert!(quorum(voters) <= voters);
        }
    }

    #[test]
    fn a_vote_is_given_once_and_repeated_to_the_same_candidate() {
        let log = id(1, 1);
        assert_eq!(vote(0, 0, log, log), VoteVerdict::Grant);
        assert_eq!(vote(2, 0, log, log), VoteVerdict::Grant);
        assert_eq!(vote(3, 0, log, log), VoteVerdict::AlreadyVoted(3));
        assert_eq!(vote(0, 3, log, log), VoteVerdict::HasLeader(3));
    }

    #[test]
    fn a_vote_needs_a_log_at_least_as_new() {
        for (theirs, own, granted) in [
            (id(2, 1), id(1, 9), true),
            (id(1, 9), id(2, 1), false),
            (id(2, 3), id(2, 3), true),
            (id(2, 2), id(2, 3), false),
        ] {
            assert_eq!(vote(0, 0, theirs, own) == VoteVerdict::Grant, granted, "{theirs} {own}");
        }
    }

    #[test]
    fn an_election_is_lost_only_when_no_quorum_is_left() {
        assert_eq!(tally(3, 2, 3, 5), Tally::Won);
        assert_eq!(tally(2, 2, 3, 5), Tally::Pending);
        assert_eq!(tally(2, 3, 3, 5), Tally::Lost);
    }

    #[test]
    fn only_entries_of_the_own_term_commit_by_counting() {
        let question =
            CommitQuestion { committed: 1, quorum_index: 3, quorum_term: Some(2), term: 4 };
        assert_eq!(leader_commit(&question), 1);
        assert_eq!(leader_commit(&CommitQuestion { quorum_term: Some(4), ..question }), 3);
        assert_eq!(
            leader_commit(&CommitQuestion { quorum_term: Some(4), committed: 5, ..question }),
            5
        );
        assert_eq!(leader_commit(&CommitQuestion { quorum_term: None, ..question }), 1);
    }

    #[test]
    fn an_old_rejection_moves_nothing() {
        let probe = Rejection { rejected: 9, hint: 4, matched: 2, next: 10, pipelined: false };
        assert_eq!(next_after_rejection(&probe), Some(5));
        assert_eq!(next_after_rejection(&Rejection { rejected: 8, ..probe }), None);
        assert_eq!(next_after_rejection(&Rejection { hint: 0, ..probe }), Some(3));
        let pipelined = Rejection { pipelined: true, ..probe };
        assert_eq!(next_after_rejection(&pipelined), Some(3));
        assert_eq!(next_after_rejection(&Rejection { rejected: 2, ..pipelined }), None);
        assert_eq!(next_after_rejection(&Rejection { next: 0, ..probe }), None);
    }

    #[test]
    fn a_follower_commits_no_further_than_it_was_confirmed_and_never_backwards() {
        assert_eq!(follower_commit(2, 9, 4), 4);
        assert_eq!(follower_commit(2, 3, 4), 3);
        assert_eq!(follower_commit(5, 3, 4), 5);
    }
}
