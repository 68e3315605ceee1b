//! How often each rule decided one way or the other.
//!
//! Rules are plain functions and remember nothing, so the counts are the thread's: a run is one
//! thread's work from its start to its end.

use std::cell::Cell;
use std::fmt;

use raft_core::rules::{
    self, CampaignQuestion, CommitQuestion, LeaseQuestion, Rejection, Tally, TermQuestion,
    TermVerdict, VoteRequest, VoteVerdict,
};
use raft_core::{EntryId, Rules};
use raft_kv::StoreRules;
use raft_kv::rules::{self as store, SessionVerdict};

use crate::variant::Variant;

macro_rules! branches {
    ($($name:ident $text:literal)*) => {
        /// A rule and one of its answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are those of the rules and of their answers")]
        pub enum Branch { $($name),* }

        impl Branch {
            /// All of them, rule by rule.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// Rule and answer in words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

branches! {
    VoteGranted "grant_vote: granted"
    PreVoteGranted "grant_vote: pre-vote granted"
    VoteGiven "grant_vote: already voted"
    VoteHasLeader "grant_vote: has a leader"
    VoteLogBehind "grant_vote: log behind"
    VoteKept "vote_in_term: kept"
    VoteReset "vote_in_term: reset"
    ElectionWon "tally: won"
    ElectionLost "tally: lost"
    ElectionPending "tally: pending"
    AnswerFirst "answer_counts: yes"
    AnswerAgain "answer_counts: no"
    LeaseHolds "lease_in_force: yes"
    LeaseOver "lease_in_force: no"
    Campaigns "may_campaign: yes"
    CampaignRefused "may_campaign: no"
    CampaignFirst "campaign_term: after another role"
    CampaignAgain "campaign_term: after another campaign"
    TermStale "compare_terms: stale"
    TermCurrent "compare_terms: current"
    TermNewer "compare_terms: step down"
    TermHypothetical "compare_terms: hypothetical"
    TimerRuns "timer_survives_term: yes"
    TimerStarts "timer_survives_term: no"
    LogMatches "log_matches: yes"
    LogDiffers "log_matches: no"
    EntryConflicts "conflicts: yes"
    EntryKept "conflicts: no"
    CommitFollows "follower_commit: moves"
    CommitClamped "follower_commit: moves less far than the leader's"
    CommitStays "follower_commit: stays"
    AppendVouched "append_acknowledged: the whole log"
    AppendTail "append_acknowledged: less than the log"
    HeartbeatCommit "heartbeat_commit: the leader's"
    HeartbeatClamped "heartbeat_commit: less"
    Acknowledged "is_acknowledgement: yes"
    AppendRejected "is_acknowledgement: no"
    LeaderCommits "leader_commit: moves"
    LeaderOlderTerm "leader_commit: older term"
    LeaderNoNews "leader_commit: no news"
    ProbeBack "next_after_rejection: probes further back"
    ProbePipelined "next_after_rejection: back to what matches"
    RejectionOld "next_after_rejection: old news"
    PauseLifted "pause_lifted: with room in the window"
    WindowReopened "pause_lifted: with a full window"
    SnapshotTaken "accept_snapshot: yes"
    SnapshotOld "accept_snapshot: no"
    SnapshotInLog "snapshot_in_log: yes"
    SnapshotReplaces "snapshot_in_log: no"
    ReadAllowed "may_read: yes"
    ReadTooEarly "may_read: no"
    ReadAlone "read_position: no other is open"
    ReadBeside "read_position: others are open"
    ReadConfirmed "reads_confirmed: moves"
    ReadUnconfirmed "reads_confirmed: stays"
    ChangeAllowed "may_change_membership: yes"
    ChangeRefused "may_change_membership: no"
    JointWon "joint_tally: won"
    JointLost "joint_tally: lost"
    JointPending "joint_tally: pending"
    JointCommit "joint_commit"
    ServesRead "may_serve: yes"
    ReadWaits "may_serve: no"
    SessionExecutes "session_verdict: execute"
    SessionRepeats "session_verdict: repeat"
    SessionStale "session_verdict: stale"
    SessionExpired "session_verdict: expired"
    SnapshotCurrent "snapshot_index: all that is committed"
    SnapshotLags "snapshot_index: less than is committed"
    LogDropped "compact_to: drops"
    LogStays "compact_to: stays"
}

impl Branch {
    /// Why no batch can be asked to get there; none if it can.
    pub fn out_of_reach(self) -> Option<&'static str> {
        Some(match self {
            Self::LeaderNoNews => "the core asks only about what is new",
            Self::SnapshotOld => "a store throws the pieces of an old snapshot away",
            Self::SnapshotInLog => "a leader sends a snapshot to those only who lack where it ends",
            Self::SessionExpired => "no run has more sessions than a store remembers",
            _ => return None,
        })
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const COUNT: usize = Branch::ALL.len();

/// Counts by branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hits([u64; COUNT]);

impl Default for Hits {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Hits {
    pub(super) fn of(&self, branch: Branch) -> u64 {
        self.0[branch as usize]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, count)| *own += count);
    }
}

thread_local! {
    static HITS: [Cell<u64>; COUNT] = const { [const { Cell::new(0) }; COUNT] };
}

fn hit(branch: Branch) {
    HITS.with(|hits| {
        let hits = &hits[branch as usize];
        hits.set(hits.get() + 1);
    });
}

/// Starts to count anew.
pub(super) fn forget() {
    HITS.with(|hits| hits.iter().for_each(|hits| hits.set(0)));
}

/// The counts since then.
pub(super) fn taken() -> Hits {
    let mut taken = Hits::default();
    HITS.with(|hits| taken.0.iter_mut().zip(hits).for_each(|(own, hits)| *own = hits.get()));
    taken
}

/// The honest rules, which count their answers. They decide as the others do: no run differs.
pub fn counting() -> Variant {
    let rules = Rules {
        grant_vote,
        vote_in_term,
        tally,
        answer_counts,
        joint_tally,
        joint_commit,
        lease_in_force,
        may_campaign,
        campaign_term,
        compare_terms,
        timer_survives_term,
        log_matches,
        conflicts,
        follower_commit,
        append_acknowledged,
        heartbeat_commit,
        is_acknowledgement,
        leader_commit,
        next_after_rejection,
        pause_lifted,
        accept_snapshot,
        snapshot_in_log,
        may_read,
        read_position,
        reads_confirmed,
        may_change_membership,
        ..Rules::default()
    };
    let store_rules = StoreRules {
        may_serve,
        session_verdict,
        snapshot_index,
        compact_to,
        ..StoreRules::default()
    };
    Variant { rules, store_rules, ..Variant::default() }
}

/// Counts a yes or a no and hands it on.
fn either(answer: bool, yes: Branch, no: Branch) -> bool {
    hit(if answer { yes } else { no });
    answer
}

fn grant_vote(request: &VoteRequest) -> VoteVerdict {
    let verdict = rules::grant_vote(request);
    match verdict {
        VoteVerdict::Grant if request.pre_vote_ahead => hit(Branch::PreVoteGranted),
        VoteVerdict::Grant => hit(Branch::VoteGranted),
        VoteVerdict::AlreadyVoted(_) => hit(Branch::VoteGiven),
        VoteVerdict::HasLeader(_) => hit(Branch::VoteHasLeader),
        VoteVerdict::LogBehind { .. } => hit(Branch::VoteLogBehind),
        // Peers of a world have no priorities.
        VoteVerdict::LowPriority { .. } => {}
    }
    verdict
}

fn vote_in_term(old_term: u64, new_term: u64, vote: u64) -> u64 {
    hit(if old_term == new_term { Branch::VoteKept } else { Branch::VoteReset });
    rules::vote_in_term(old_term, new_term, vote)
}

fn tally(granted: usize, refused: usize, quorum: usize, voters: usize) -> Tally {
    let tally = rules::tally(granted, refused, quorum, voters);
    hit(match tally {
        Tally::Won => Branch::ElectionWon,
        Tally::Lost => Branch::ElectionLost,
        Tally::Pending => Branch::ElectionPending,
    });
    tally
}

fn answer_counts(earlier: Option<bool>) -> bool {
    either(rules::answer_counts(earlier), Branch::AnswerFirst, Branch::AnswerAgain)
}

fn joint_tally(incoming: Tally, outgoing: Tally) -> Tally {
    let tally = rules::joint_tally(incoming, outgoing);
    hit(match tally {
        Tally::Won => Branch::JointWon,
        Tally::Lost => Branch::JointLost,
        Tally::Pending => Branch::JointPending,
    });
    tally
}

fn joint_commit(incoming: u64, outgoing: u64) -> u64 {
    hit(Branch::JointCommit);
    rules::joint_commit(incoming, outgoing)
}

fn lease_in_force(question: &LeaseQuestion) -> bool {
    either(rules::lease_in_force(question), Branch::LeaseHolds, Branch::LeaseOver)
}

fn may_campaign(question: &CampaignQuestion) -> bool {
    either(rules::may_campaign(question), Branch::Campaigns, Branch::CampaignRefused)
}

fn campaign_term(term: u64, is_candidate: bool) -> u64 {
    hit(if is_candidate { Branch::CampaignAgain } else { Branch::CampaignFirst });
    rules::campaign_term(term, is_candidate)
}

fn compare_terms(question: &TermQuestion) -> TermVerdict {
    let verdict = rules::compare_terms(question);
    hit(match verdict {
        TermVerdict::Stale => Branch::TermStale,
        TermVerdict::Current => Branch::TermCurrent,
        TermVerdict::StepDown => Branch::TermNewer,
        TermVerdict::Hypothetical => Branch::TermHypothetical,
    });
    verdict
}

fn timer_survives_term(follows: bool, from_leader: bool) -> bool {
    let runs = rules::timer_survives_term(follows, from_leader);
    either(runs, Branch::TimerRuns, Branch::TimerStarts)
}

fn log_matches(previous: EntryId, own_term: Option<u64>) -> bool {
    either(rules::log_matches(previous, own_term), Branch::LogMatches, Branch::LogDiffers)
}

fn conflicts(incoming: EntryId, own_term: u64) -> bool {
    either(rules::conflicts(incoming, own_term), Branch::EntryConflicts, Branch::EntryKept)
}

fn follower_commit(committed: u64, leader_commit: u64, last_new: u64) -> u64 {
    let index = rules::follower_commit(committed, leader_commit, last_new);
    hit(match index {
        _ if index == committed => Branch::CommitStays,
        _ if index < leader_commit => Branch::CommitClamped,
        _ => Branch::CommitFollows,
    });
    index
}

fn append_acknowledged(last_new: u64, own_last: u64) -> u64 {
    hit(if last_new < own_last { Branch::AppendTail } else { Branch::AppendVouched });
    rules::append_acknowledged(last_new, own_last)
}

fn heartbeat_commit(committed: u64, matched: u64) -> u64 {
    hit(if matched < committed { Branch::HeartbeatClamped } else { Branch::HeartbeatCommit });
    rules::heartbeat_commit(committed, matched)
}

fn is_acknowledgement(reject: bool) -> bool {
    either(rules::is_acknowledgement(reject), Branch::Acknowledged, Branch::AppendRejected)
}

fn leader_commit(question: &CommitQuestion) -> u64 {
    hit(match question {
        _ if question.quorum_index <= question.committed => Branch::LeaderNoNews,
        _ if question.quorum_term != Some(question.term) => Branch::LeaderOlderTerm,
        _ => Branch::LeaderCommits,
    });
    rules::leader_commit(question)
}

fn next_after_rejection(rejection: &Rejection) -> Option<u64> {
    let next = rules::next_after_rejection(rejection);
    hit(match next {
        None => Branch::RejectionOld,
        Some(_) if rejection.pipelined => Branch::ProbePipelined,
        Some(_) => Branch::ProbeBack,
    });
    next
}

fn pause_lifted(window_full: bool) -> bool {
    hit(if window_full { Branch::WindowReopened } else { Branch::PauseLifted });
    rules::pause_lifted(window_full)
}

fn accept_snapshot(snapshot: u64, committed: u64) -> bool {
    let accepted = rules::accept_snapshot(snapshot, committed);
    either(accepted, Branch::SnapshotTaken, Branch::SnapshotOld)
}

fn snapshot_in_log(snapshot: EntryId, own_term: Option<u64>) -> bool {
    let in_log = rules::snapshot_in_log(snapshot, own_term);
    either(in_log, Branch::SnapshotInLog, Branch::SnapshotReplaces)
}

fn may_read(committed_term: Option<u64>, term: u64) -> bool {
    either(rules::may_read(committed_term, term), Branch::ReadAllowed, Branch::ReadTooEarly)
}

fn read_position(sent: u64, confirmed: u64) -> u64 {
    hit(if sent > confirmed { Branch::ReadBeside } else { Branch::ReadAlone });
    rules::read_position(sent, confirmed)
}

fn reads_confirmed(quorum_position: u64, sent: u64, confirmed: u64) -> u64 {
    let position = rules::reads_confirmed(quorum_position, sent, confirmed);
    hit(if position > confirmed { Branch::ReadConfirmed } else { Branch::ReadUnconfirmed });
    position
}

fn may_change_membership(pending: u64, applied: u64) -> bool {
    let may = rules::may_change_membership(pending, applied);
    either(may, Branch::ChangeAllowed, Branch::ChangeRefused)
}

fn may_serve(applied: u64, read_index: u64) -> bool {
    either(store::may_serve(applied, read_index), Branch::ServesRead, Branch::ReadWaits)
}

fn session_verdict(last: Option<u64>, sequence: u64) -> SessionVerdict {
    let verdict = store::session_verdict(last, sequence);
    hit(match verdict {
        SessionVerdict::Execute => Branch::SessionExecutes,
        SessionVerdict::Repeat => Branch::SessionRepeats,
        SessionVerdict::Stale => Branch::SessionStale,
        SessionVerdict::Expired => Branch::SessionExpired,
    });
    verdict
}

fn snapshot_index(applied: u64, committed: u64) -> u64 {
    hit(if applied < committed { Branch::SnapshotLags } else { Branch::SnapshotCurrent });
    store::snapshot_index(applied, committed)
}

fn compact_to(first: u64, applied: u64, count_limit: u64) -> Option<u64> {
    let index = store::compact_to(first, applied, count_limit);
    hit(if index.is_some() { Branch::LogDropped } else { Branch::LogStays });
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_by_its_branch_and_handed_on() {
        forget();
        let Variant { rules, store_rules, .. } = counting();
        assert!((rules.log_matches)(EntryId::new(2, 7), Some(2)));
        assert!(!(rules.log_matches)(EntryId::new(2, 7), None));
        assert!(!(rules.log_matches)(EntryId::new(2, 7), Some(1)));
        assert_eq!((store_rules.session_verdict)(Some(3), 3), SessionVerdict::Repeat);
        let hits = taken();
        let of = |branches: [Branch; 4]| branches.map(|branch| hits.of(branch));
        let branches =
            [Branch::LogMatches, Branch::LogDiffers, Branch::SessionRepeats, Branch::SessionStale];
        assert_eq!(of(branches), [1, 2, 1, 0]);
        forget();
        assert_eq!(taken(), Hits::default());
    }

    #[test]
    fn every_branch_has_a_name_of_its_own() {
        let mut names = Branch::ALL.map(Branch::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
