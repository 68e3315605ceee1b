//! Rules that are wrong, each in one way.

use raft_core::proto::eraftpb::MessageType;
use raft_core::rules::{
    CommitQuestion, Outsider, Rejection, TermQuestion, TermVerdict, VoteRequest, VoteVerdict,
    common_index, compare_terms, grant_vote, next_after_rejection,
};
use raft_core::{EntryId, Rules};
use raft_kv::StoreRules;
use raft_kv::rules::SessionVerdict;

use crate::flaws::{Flaws, Order};
use crate::variant::Variant;

/// The honest cluster but for one rule.
macro_rules! broken {
    ($($name:ident: $kind:ident { $field:ident: $rule:expr })*) => {
        $(pub(super) fn $name() -> Variant {
            $kind { $field: $rule, ..$kind::default() }.into()
        })*
    };
}

broken! {
    counts_older_terms: Rules { leader_commit: by_counting }
    votes_twice: Rules { grant_vote: forgetful }
    votes_blindly: Rules { grant_vote: blind }
    compares_lengths: Rules { grant_vote: by_length }
    compares_terms: Rules { grant_vote: by_term }
    always_truncates: Rules { conflicts: |_, _| true }
    unclamped_heartbeat: Rules { heartbeat_commit: |committed, _| committed }
    reads_before_own_commit: Rules { may_read: |_, _| true }
    reads_without_quorum: Rules { reads_confirmed: |_, sent, _| sent }
    takes_older_terms: Rules { compare_terms: gullible }
    half_a_quorum: Rules { quorum: |voters| voters / 2 }
    takes_late_votes: Rules { compare_terms: in_time_for_votes }
    takes_late_acknowledgements: Rules { compare_terms: in_time_for_appends }
    pre_vote_is_news: Rules { compare_terms: credulous }
    rejection_is_success: Rules { is_acknowledgement: |_| true }
    keeps_votes: Rules { votes_survive: |_, _| true }
    keeps_term: Rules { campaign_term: |term, again| if again { term } else { term + 1 } }
    joins_older_rounds: Rules { read_position: |sent, confirmed| sent.max(confirmed + 1) }
    any_term_resets_timer: Rules { timer_survives_term: |_, _| false }
    counts_votes_twice: Rules { answer_counts: |_| true }
    keeps_tail_under_snapshot: Rules { snapshot_in_log: |_, own_term| own_term.is_some() }
    unsorted: Rules { common_index: by_place }
    counts_removed_leader: Rules { common_index: with_leader }
    counts_learners: Rules { common_index: with_all }
    window_stays_full: Rules { pause_lifted: |window_full| !window_full }
    never_truncates: Rules { conflicts: |_, _| false }
    no_check_before: Rules { log_matches: |_, _| true }
    checks_index_only: Rules { log_matches: |_, own_term| own_term.is_some() }
    vote_outlives_term: Rules { vote_in_term: |_, _, vote| vote }
    never_steps_back: Rules { next_after_rejection: stubborn }
    fixed_timeouts: Rules { election_timeout: |base, _| base }
    never_steps_down: Rules { compare_terms: proud }
    takes_old_snapshots: Rules { accept_snapshot: |_, _| true }
    changes_at_once: Rules { may_change_membership: |_, _| true }
    one_half_elects: Rules { joint_tally: |incoming, _| incoming }
    pre_votes_blindly: Rules { grant_vote: pre_blind }
    executes_again: StoreRules { session_verdict: |_, _| SessionVerdict::Execute }
    serves_too_early: StoreRules { may_serve: |_, _| true }
    snapshot_without_sessions: StoreRules { snapshot_sessions: || false }
    snapshot_without_members: StoreRules { snapshot_members: |own, _| own.clone() }
    snapshot_labelled_commit: StoreRules { snapshot_index: |_, committed| committed }
    acknowledges_too_early: Flaws { early_messages: true }
    two_transactions: Flaws { torn_batches: true }
    forgets_votes: Flaws { forgotten_votes: true }
    forgets_terms: Flaws { forgotten_terms: true }
    keeps_tails: Flaws { kept_tails: true }
    counts_unwritten_entries: Flaws { early_receipts: true }
    mixes_up_snapshots: Flaws { stale_receipts: true }
    sends_no_snapshots: Flaws { unsent_snapshots: true }
    checks_no_quorum: Flaws { unchecked_quorum: true }
    sends_by_map: Flaws { order: Order::Map }
    sends_by_hash: Flaws { order: Order::Hash { bits: 64 } }
    changes_members_too_early: StoreRules { may_change_members: |_, _| true }
}

/// A leader that steps back exactly to where logs agree replaces a stale tail with its first append.
/// One that steps back further is as right, and sends entries before the tail first: only then does
/// it show who takes the tail for the leader's.
fn further_back() -> Rules {
    Rules { next_after_rejection: one_more, ..Rules::default() }
}

pub(super) fn commits_own_tail() -> Variant {
    let follower_commit = |own: u64, leaders, _| own.max(leaders);
    Rules { follower_commit, ..further_back() }.into()
}

pub(super) fn vouches_for_tail() -> Variant {
    Rules { append_acknowledged: |_, own_last| own_last, ..further_back() }.into()
}

fn one_more(rejection: &Rejection) -> Option<u64> {
    let next = next_after_rejection(rejection)?;
    Some(next.saturating_sub(1).max(rejection.matched + 1))
}

fn by_counting(question: &CommitQuestion) -> u64 {
    question.committed.max(question.quorum_index)
}

fn forgetful(request: &VoteRequest) -> VoteVerdict {
    grant_vote(&VoteRequest { voted_for: 0, leader: 0, ..*request })
}

fn blind(request: &VoteRequest) -> VoteVerdict {
    grant_vote(&VoteRequest { own_last: request.candidate_last, ..*request })
}

fn pre_blind(request: &VoteRequest) -> VoteVerdict {
    if request.pre_vote_ahead { VoteVerdict::Grant } else { grant_vote(request) }
}

fn by_length(request: &VoteRequest) -> VoteVerdict {
    let candidate_last = EntryId { term: request.own_last.term, ..request.candidate_last };
    grant_vote(&VoteRequest { candidate_last, ..*request })
}

fn by_term(request: &VoteRequest) -> VoteVerdict {
    let candidate_last = EntryId { index: request.own_last.index, ..request.candidate_last };
    grant_vote(&VoteRequest { candidate_last, ..*request })
}

fn gullible(question: &TermQuestion) -> TermVerdict {
    match compare_terms(question) {
        TermVerdict::Stale => TermVerdict::Current,
        verdict => verdict,
    }
}

fn in_time_for_votes(question: &TermQuestion) -> TermVerdict {
    let late_vote = question.kind == MessageType::MsgRequestVoteResponse;
    if late_vote { gullible(question) } else { compare_terms(question) }
}

fn in_time_for_appends(question: &TermQuestion) -> TermVerdict {
    let late_answer = question.kind == MessageType::MsgAppendResponse;
    if late_answer { gullible(question) } else { compare_terms(question) }
}

fn credulous(question: &TermQuestion) -> TermVerdict {
    match compare_terms(question) {
        // Not the answer that grants one: nobody would ever be elected.
        TermVerdict::Hypothetical if question.kind == MessageType::MsgRequestPreVote => {
            TermVerdict::StepDown
        }
        verdict => verdict,
    }
}

fn proud(question: &TermQuestion) -> TermVerdict {
    if question.theirs < question.own { TermVerdict::Stale } else { TermVerdict::Current }
}

/// Sorted or not.
fn by_place(quorum: usize, voters: &mut [u64], _: &mut dyn Iterator<Item = Outsider>) -> u64 {
    let position = voters.len().checked_sub(quorum);
    position.and_then(|position| voters.get(position)).copied().unwrap_or(0)
}

/// A majority of the voters is enough, and others may help.
fn with_all(quorum: usize, voters: &mut [u64], others: &mut dyn Iterator<Item = Outsider>) -> u64 {
    let mut numbers: Vec<u64> = voters.to_vec();
    numbers.extend(others.map(|other| other.reached));
    common_index(quorum, &mut numbers, &mut std::iter::empty())
}

fn with_leader(
    quorum: usize,
    voters: &mut [u64],
    others: &mut dyn Iterator<Item = Outsider>,
) -> u64 {
    with_all(quorum, voters, &mut others.filter(|other| other.own))
}

fn stubborn(rejection: &Rejection) -> Option<u64> {
    Some(rejection.next)
}
