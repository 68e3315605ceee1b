//! Rules that are wrong, each in one way.

use raft_core::rules::{
    CommitQuestion, Rejection, TermVerdict, VoteRequest, VoteVerdict, grant_vote,
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
    commits_own_tail: Rules { follower_commit: |own, leaders, _| own.max(leaders) }
    unclamped_heartbeat: Rules { heartbeat_commit: |committed, _| committed }
    reads_before_own_commit: Rules { may_read: |_, _| true }
    reads_without_quorum: Rules { reads_confirmed: |_, sent, _| sent }
    takes_older_terms: Rules { compare_terms: gullible }
    vouches_for_tail: Rules { append_acknowledged: |_, own_last| own_last }
    half_a_quorum: Rules { quorum: |voters| voters / 2 }
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

fn gullible(own: u64, theirs: u64) -> TermVerdict {
    if theirs > own { TermVerdict::StepDown } else { TermVerdict::Current }
}

fn proud(own: u64, theirs: u64) -> TermVerdict {
    if theirs < own { TermVerdict::Stale } else { TermVerdict::Current }
}

fn stubborn(rejection: &Rejection) -> Option<u64> {
    Some(rejection.next)
}
