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
use crate::proto::eraftpb::MessageType;

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
    /// Newer, but nobody has entered it: handle the message in one's own term.
    Hypothetical,
}

/// What is known of a message when its term is compared with the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermQuestion {
    /// The receiver's term.
    pub own: u64,
    /// The message's term.
    pub theirs: u64,
    /// What the message is.
    pub kind: MessageType,
    /// Whether it is an answer that says no.
    pub reject: bool,
}

/// A member that does not vote in the majority that is asked: a learner, or in a joint
/// configuration a voter of the other half alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outsider {
    /// Whether it is the leader itself.
    pub own: bool,
    /// How far it has come.
    pub reached: u64,
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
    /// Whether another answer of a voter counts. See [`answer_counts`].
    pub answer_counts: fn(earlier: Option<bool>) -> bool,
    /// Whether answers so far count in another role. See [`votes_survive`].
    pub votes_survive: fn(old_term: u64, new_term: u64) -> bool,
    /// What two halves of a joint configuration decide. See [`joint_tally`].
    pub joint_tally: fn(incoming: Tally, outgoing: Tally) -> Tally,
    /// What two halves of a joint configuration hold. See [`joint_commit`].
    pub joint_commit: fn(incoming: u64, outgoing: u64) -> u64,
    /// Whether a live leader keeps a vote request away. See [`lease_in_force`].
    pub lease_in_force: fn(&LeaseQuestion) -> bool,
    /// Whether a peer may campaign. See [`may_campaign`].
    pub may_campaign: fn(&CampaignQuestion) -> bool,
    /// The term that a peer campaigns for. See [`campaign_term`].
    pub campaign_term: fn(term: u64, is_candidate: bool) -> u64,
    /// How to treat a message of another term. See [`compare_terms`].
    pub compare_terms: fn(&TermQuestion) -> TermVerdict,
    /// Whether the election timer runs on into a newer term. See [`timer_survives_term`].
    pub timer_survives_term: fn(follows: bool, from_leader: bool) -> bool,
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
    /// The commit index that a heartbeat, or its answer, may confirm. See [`heartbeat_commit`].
    pub heartbeat_commit: fn(committed: u64, matched: u64) -> u64,
    /// Whether an answer to an append says that it was taken. See [`is_acknowledgement`].
    pub is_acknowledgement: fn(reject: bool) -> bool,
    /// How far a quorum has come. See [`common_index`].
    pub common_index:
        fn(quorum: usize, voters: &mut [u64], others: &mut dyn Iterator<Item = Outsider>) -> u64,
    /// The leader's commit index after an acknowledgement. See [`leader_commit`].
    pub leader_commit: fn(&CommitQuestion) -> u64,
    /// Where to probe after a rejection. See [`next_after_rejection`].
    pub next_after_rejection: fn(&Rejection) -> Option<u64>,
    /// Whether an answer to a heartbeat lets appends go on. See [`pause_lifted`].
    pub pause_lifted: fn(window_full: bool) -> bool,
    /// Whether a snapshot brings anything new. See [`accept_snapshot`].
    pub accept_snapshot: fn(snapshot: u64, committed: u64) -> bool,
    /// Whether the log goes on from where a snapshot ends. See [`snapshot_in_log`].
    pub snapshot_in_log: fn(snapshot: EntryId, own_term: Option<u64>) -> bool,
    /// Whether a leader knows what is committed, so that it may serve reads. See [`may_read`].
    pub may_read: fn(committed_term: Option<u64>, term: u64) -> bool,
    /// The position of another read. See [`read_position`].
    pub read_position: fn(sent: u64, confirmed: u64) -> u64,
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
    answer_counts,
    votes_survive,
    joint_tally,
    joint_commit,
    lease_in_force,
    may_campaign,
    campaign_term,
    compare_terms,
    timer_survives_term,
    election_timeout,
    log_matches,
    conflicts,
    follower_commit,
    append_acknowledged,
    heartbeat_commit,
    is_acknowledgement,
    common_index,
    leader_commit,
    next_after_rejection,
    pause_lifted,
    accept_snapshot,
    snapshot_in_log,
    may_read,
    read_position,
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

/// Only a voter's first answer in an election counts (5.2): the network may bring it twice, and one
/// voter is not two.
pub fn answer_counts(earlier: Option<bool>) -> bool {
    earlier.is_none()
}

/// None do, neither from term to term nor from pre-votes to votes within one (5.2): whoever voted
/// for this peer then may have voted for another since.
pub fn votes_survive(_old_term: u64, _new_term: u64) -> bool {
    false
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

/// Each campaign has a term of its own (5.2). After a split vote the votes of the term are given
/// away: who asked for them again would get the same answers for ever.
pub fn campaign_term(term: u64, _is_candidate: bool) -> u64 {
    term.saturating_add(1)
}

/// Terms are Raft's clock (5.1): an older one is ignored, a newer one makes anybody a follower.
/// Without it a deposed leader would go on to commit, and answers to questions of an earlier term
/// would be taken for answers to those of this one.
///
/// A pre-vote asks about a term that its sender has not entered either, and one that is granted
/// echoes that term (thesis 9.6): neither is news of a newer term. Otherwise a peer that only wants
/// to know whether it would win would depose the leader.
pub fn compare_terms(question: &TermQuestion) -> TermVerdict {
    let &TermQuestion { own, theirs, kind, reject } = question;
    match theirs.cmp(&own) {
        Ordering::Less => TermVerdict::Stale,
        Ordering::Equal => TermVerdict::Current,
        Ordering::Greater => match kind {
            MessageType::MsgRequestPreVote => TermVerdict::Hypothetical,
            MessageType::MsgRequestPreVoteResponse if !reject => TermVerdict::Hypothetical,
            _ => TermVerdict::StepDown,
        },
    }
}

/// Only a leader's word, or a vote for somebody who may become one, makes a follower wait again
/// (5.2). A newer term alone does not: a peer that campaigns often and cannot win would keep those
/// from campaigning who can. Who led or campaigned has no such timer and starts one.
pub fn timer_survives_term(follows: bool, from_leader: bool) -> bool {
    follows && !from_leader
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

/// A heartbeat checks no entries, so it may only confirm what the follower is known to hold. For the
/// same reason a leader takes a follower's word of what is committed only as far as it knows that
/// both hold the same.
pub fn heartbeat_commit(committed: u64, matched: u64) -> u64 {
    committed.min(matched)
}

/// Only a yes says what a follower holds (5.3). A no names an entry that it lacks.
pub fn is_acknowledgement(reject: bool) -> bool {
    !reject
}

/// The highest number that a quorum of the voters has reached (5.3): in ascending order, the one at
/// which a quorum begins. Members without a vote here do not count, the leader among them if it is
/// on its way out (thesis 4.2.2): what they hold may be lost with them.
///
/// `voters` is the rule's to put in order.
pub fn common_index(
    quorum: usize,
    voters: &mut [u64],
    _others: &mut dyn Iterator<Item = Outsider>,
) -> u64 {
    // So few are sorted soonest by putting each in its place.
    const FEW: usize = 11;
    let Some(position) = voters.len().checked_sub(quorum) else {
        return 0;
    };
    if voters.len() > FEW {
        voters.sort_unstable();
    } else {
        for filled in 1..voters.len() {
            let number = voters[filled];
            let mut place = filled;
            while place > 0 && voters[place - 1] > number {
                voters[place] = voters[place - 1];
                place -= 1;
            }
            voters[place] = number;
        }
    }
    voters.get(position).copied().unwrap_or(0)
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

/// A sign of life ends every pause (etcd `MsgHeartbeatResp`), also that of a full window: if its
/// appends were lost, no acknowledgement will ever free it. One more append finds out.
pub fn pause_lifted(_window_full: bool) -> bool {
    true
}

/// Only a snapshot beyond the commit index brings anything (7): an older one would undo applied
/// entries.
pub fn accept_snapshot(snapshot: u64, committed: u64) -> bool {
    snapshot > committed
}

/// A log that holds the snapshot's last entry holds what the snapshot does, and goes on after it;
/// any other gives way as a whole (7). An entry with that index but of another term is no such
/// entry: it and what follows it were never the leader's.
pub fn snapshot_in_log(snapshot: EntryId, own_term: Option<u64>) -> bool {
    own_term == Some(snapshot.term)
}

/// A leader knows what is committed once an entry of its own term is (section 8): until then its
/// commit index may lag behind what its predecessor acknowledged.
pub fn may_read(committed_term: Option<u64>, term: u64) -> bool {
    committed_term == Some(term)
}

/// Each read is a question of its own (thesis 6.4). The heartbeats of an earlier one left before
/// it, and their answers may be older than a new leader's first write.
pub fn read_position(sent: u64, _confirmed: u64) -> u64 {
    sent.saturating_add(1)
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
mod tests;
