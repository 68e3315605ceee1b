//! The decisions that make Raft safe, on one page.
//!
//! Each rule is a pure function: facts in, verdict out. The core asks
//! [`Config::rules`](crate::Config::rules) and decides nothing of this kind itself, so a simulator
//! can swap one rule for a broken one and prove that its checkers notice, and a learner can see
//! what goes wrong without it. `docs/rules.md` lists them all, each with a scene in which it is
//! missing.
//!
//! Sections are those of the Raft paper ("In Search of an Understandable Consensus Algorithm",
//! extended version) unless the thesis is named.

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Deref;

use crate::EntryId;

/// What a voter knows when it is asked for its vote. For a real vote it is already in the
/// candidate's term; a pre-vote changes no term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// Who asks.
    pub candidate: u64,
    /// The candidate's last entry.
    pub candidate_last: EntryId,
    /// How much the candidate is preferred as a leader.
    pub candidate_priority: i64,
    /// Whether this is a pre-vote for a term that the voter has not reached, which binds nobody.
    pub pre_vote_ahead: bool,
    /// Who got this voter's vote in this term; 0 is nobody.
    pub voted_for: u64,
    /// The leader of this term as far as the voter knows; 0 is none.
    pub leader: u64,
    /// The voter's own last entry.
    pub own_last: EntryId,
    /// How much the voter itself is preferred as a leader.
    pub own_priority: i64,
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
    /// The candidate is less preferred than the voter, and its log is not newer.
    LowPriority {
        /// The candidate's priority.
        theirs: i64,
        /// The voter's priority.
        own: i64,
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

/// What a voter knows when it decides whether a vote request may reach it at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseQuestion {
    /// Leaders check their quorum, and voters hold to a live leader.
    pub check_quorum: bool,
    /// The leader that the voter knows; 0 is none.
    pub leader: u64,
    /// Ticks since it was heard of.
    pub elapsed: u32,
    /// Ticks of an election time-out.
    pub timeout: u32,
    /// The leader itself told the candidate to campaign.
    pub transfer: bool,
    /// Reads rely on leases, and less than an election time-out ago the voter answered a heartbeat,
    /// or restarted and cannot know whether it did. Whatever it heard since does not undo that.
    pub promised: bool,
}

/// What a peer knows when it is about to campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignQuestion {
    /// It votes in its own configuration.
    pub is_voter: bool,
    /// A snapshot that replaces its log waits to be persisted.
    pub snapshot_pending: bool,
    /// A membership change is committed and not applied.
    pub unapplied_change: bool,
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
    /// What two halves of a joint configuration decide. See [`joint_tally`].
    pub joint_tally: fn(incoming: Tally, outgoing: Tally) -> Tally,
    /// What two halves of a joint configuration hold. See [`joint_commit`].
    pub joint_commit: fn(incoming: u64, outgoing: u64) -> u64,
    /// Whether a live leader keeps a vote request away. See [`lease_in_force`].
    pub lease_in_force: fn(&LeaseQuestion) -> bool,
    /// Whether a peer may campaign. See [`may_campaign`].
    pub may_campaign: fn(&CampaignQuestion) -> bool,
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
    /// The index that a follower acknowledges after an append. See [`append_acknowledged`].
    pub append_acknowledged: fn(last_new: u64, own_last: u64) -> u64,
    /// The commit index that a heartbeat may carry. See [`heartbeat_commit`].
    pub heartbeat_commit: fn(committed: u64, matched: u64) -> u64,
    /// The leader's commit index after an acknowledgement. See [`leader_commit`].
    pub leader_commit: fn(&CommitQuestion) -> u64,
    /// Where to probe after a rejection. See [`next_after_rejection`].
    pub next_after_rejection: fn(&Rejection) -> Option<u64>,
    /// Whether a snapshot brings anything new. See [`accept_snapshot`].
    pub accept_snapshot: fn(snapshot: u64, committed: u64) -> bool,
    /// Whether a leader knows what is committed, so that it may serve reads. See [`may_read`].
    pub may_read: fn(committed_term: Option<u64>, term: u64) -> bool,
    /// How many read positions are confirmed. See [`reads_confirmed`].
    pub reads_confirmed: fn(quorum_position: u64, sent: u64, confirmed: u64) -> u64,
    /// Whether a membership change may be appended. See [`may_change_membership`].
    pub may_change_membership: fn(pending: u64, applied: u64) -> bool,
}

/// The paper's rules.
static PAPER: Rules = Rules {
    quorum,
    grant_vote,
    vote_in_term,
    tally,
    joint_tally,
    joint_commit,
    lease_in_force,
    may_campaign,
    compare_terms,
    election_timeout,
    log_matches,
    conflicts,
    follower_commit,
    append_acknowledged,
    heartbeat_commit,
    leader_commit,
    next_after_rejection,
    accept_snapshot,
    may_read,
    reads_confirmed,
    may_change_membership,
};

impl Default for Rules {
    fn default() -> Self {
        PAPER
    }
}

/// The rules that one peer follows: the paper's, which all peers share, or others.
#[derive(Clone, Debug, Default)]
pub struct RuleBook(Option<Arc<Rules>>);

impl Deref for RuleBook {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        self.0.as_deref().unwrap_or(&PAPER)
    }
}

impl From<Rules> for RuleBook {
    fn from(rules: Rules) -> Self {
        Self(Some(Arc::new(rules)))
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
///
/// A pre-vote for a later term asks only about the log (thesis 9.6). Of two candidates with equal
/// logs the one with the higher priority is preferred (raft-rs); a newer log always wins, so that a
/// priority cannot keep a cluster without a leader.
pub fn grant_vote(request: &VoteRequest) -> VoteVerdict {
    if request.voted_for != request.candidate && !request.pre_vote_ahead {
        if request.voted_for != 0 {
            return VoteVerdict::AlreadyVoted(request.voted_for);
        }
        if request.leader != 0 {
            return VoteVerdict::HasLeader(request.leader);
        }
    }
    let (theirs, own) = (request.candidate_last, request.own_last);
    if !log_is_up_to_date(theirs, own) {
        return VoteVerdict::LogBehind { theirs, own };
    }
    let equal = theirs == own;
    let (theirs, own) = (request.candidate_priority, request.own_priority);
    if equal && theirs < own {
        return VoteVerdict::LowPriority { theirs, own };
    }
    VoteVerdict::Grant
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

/// Both halves must agree, and one refusal is enough (section 6): otherwise the old voters and the
/// new ones might elect a leader each.
pub fn joint_tally(incoming: Tally, outgoing: Tally) -> Tally {
    match (incoming, outgoing) {
        (Tally::Won, Tally::Won) => Tally::Won,
        (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
        _ => Tally::Pending,
    }
}

/// An entry is committed when both halves hold it (section 6).
pub fn joint_commit(incoming: u64, outgoing: u64) -> u64 {
    incoming.min(outgoing)
}

/// A voter that heard from its leader within an election time-out ignores candidates (thesis
/// 4.2.3, 6.4.1): a removed or returning peer deposes nobody, and a lease can rest on it. The leader
/// itself may lift that by asking a peer to campaign. Where reads rely on leases the answer to a
/// heartbeat is a promise to wait, which holds even if the leader is forgotten over a newer term.
pub fn lease_in_force(question: &LeaseQuestion) -> bool {
    let &LeaseQuestion { check_quorum, leader, elapsed, timeout, transfer, promised } = question;
    check_quorum && !transfer && (promised || leader != 0 && elapsed < timeout)
}

/// Only voters campaign, and only with the log and the members that they will lead with. A snapshot
/// under way replaces both; a committed change that is not applied means that others may count
/// another majority already (etcd issue 12133).
pub fn may_campaign(question: &CampaignQuestion) -> bool {
    let &CampaignQuestion { is_voter, snapshot_pending, unapplied_change } = question;
    is_voter && !snapshot_pending && !unapplied_change
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

/// A follower vouches for what the append confirmed, not for its own log's end: beyond it may
/// stand a divergent tail (figure 2, AppendEntries).
pub fn append_acknowledged(last_new: u64, _own_last: u64) -> u64 {
    last_new
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

/// A leader knows what is committed once an entry of its own term is (section 8): until then its
/// commit index may lag behind what its predecessor acknowledged.
pub fn may_read(committed_term: Option<u64>, term: u64) -> bool {
    committed_term == Some(term)
}

/// A read is confirmed once a quorum answered a heartbeat sent after it (thesis 6.4). Rounds are
/// numbered by the leader, so that a late answer to an earlier round confirms nothing newer, and an
/// echo of a round that was never sent confirms nothing at all.
pub fn reads_confirmed(quorum_position: u64, sent: u64, confirmed: u64) -> u64 {
    quorum_position.min(sent).max(confirmed)
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

    fn request(voted_for: u64, leader: u64, theirs: EntryId, own: EntryId) -> VoteRequest {
        VoteRequest {
            candidate: 2,
            candidate_last: theirs,
            candidate_priority: 0,
            pre_vote_ahead: false,
            voted_for,
            leader,
            own_last: own,
            own_priority: 0,
        }
    }

    fn vote(voted_for: u64, leader: u64, theirs: EntryId, own: EntryId) -> VoteVerdict {
        grant_vote(&request(voted_for, leader, theirs, own))
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
    fn a_pre_vote_asks_only_about_the_log() {
        let ahead = VoteRequest { pre_vote_ahead: true, ..request(3, 3, id(2, 3), id(2, 3)) };
        assert_eq!(grant_vote(&ahead), VoteVerdict::Grant);
        let behind = VoteRequest { candidate_last: id(1, 9), ..ahead };
        assert!(matches!(grant_vote(&behind), VoteVerdict::LogBehind { .. }));
    }

    #[test]
    fn a_low_priority_yields_unless_its_log_is_newer() {
        let log = id(2, 3);
        let low = VoteRequest { own_priority: 1, ..request(0, 0, log, log) };
        assert_eq!(grant_vote(&low), VoteVerdict::LowPriority { theirs: 0, own: 1 });
        let longer = VoteRequest { candidate_last: id(2, 4), ..low };
        assert_eq!(grant_vote(&longer), VoteVerdict::Grant);
        let newer_but_shorter = VoteRequest { candidate_last: id(3, 2), ..low };
        assert_eq!(grant_vote(&newer_but_shorter), VoteVerdict::Grant);
    }

    #[test]
    fn a_joint_vote_needs_both_halves_and_one_refusal_loses_it() {
        use Tally::{Lost, Pending, Won};
        for (a, b, both) in [
            (Won, Won, Won),
            (Won, Pending, Pending),
            (Won, Lost, Lost),
            (Pending, Pending, Pending),
            (Pending, Lost, Lost),
            (Lost, Lost, Lost),
        ] {
            assert_eq!((joint_tally(a, b), joint_tally(b, a)), (both, both));
        }
        assert_eq!((joint_commit(3, 7), joint_commit(7, 3)), (3, 3));
    }

    #[test]
    fn a_lease_ends_with_the_time_out_or_at_the_leaders_word() {
        let fresh = LeaseQuestion {
            check_quorum: true,
            leader: 1,
            elapsed: 9,
            timeout: 10,
            transfer: false,
            promised: false,
        };
        assert!(lease_in_force(&fresh));
        assert!(!lease_in_force(&LeaseQuestion { check_quorum: false, ..fresh }));
        assert!(!lease_in_force(&LeaseQuestion { leader: 0, ..fresh }));
        assert!(!lease_in_force(&LeaseQuestion { elapsed: 10, ..fresh }));
        assert!(!lease_in_force(&LeaseQuestion { transfer: true, ..fresh }));
        assert!(lease_in_force(&LeaseQuestion { leader: 0, promised: true, ..fresh }));
    }

    #[test]
    fn an_echo_of_a_round_never_sent_confirms_nothing() {
        assert_eq!(reads_confirmed(3, 5, 2), 3);
        assert_eq!(reads_confirmed(9, 5, 2), 5);
        assert_eq!(reads_confirmed(1, 5, 2), 2);
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
