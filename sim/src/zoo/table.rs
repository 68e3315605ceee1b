//! All bugs of the catalogue, in the order of their numbers.

use super::Make::Missing;
use super::{Broken, Bug, Make, rules};
use crate::check::Invariant::{self, *};
use crate::nemesis::FaultClass;
use crate::scenario::{Reads, Settings, Span};
use crate::variant::Variant;

const fn bug(id: u32, name: &'static str, expected: &'static [Invariant], make: Make) -> Bug {
    Bug { id, name, expected, make }
}

/// Under all faults and drawn settings.
const fn by(variant: fn() -> Variant) -> Make {
    with(variant, |_| {})
}

/// With settings of its own.
const fn with(variant: fn() -> Variant, tweak: fn(&mut Settings)) -> Make {
    Make::Broken(Broken { variant, tweak, classes: &[], crowded: false })
}

/// Under faults of its own.
const fn under(
    classes: &'static [FaultClass],
    variant: fn() -> Variant,
    tweak: fn(&mut Settings),
) -> Make {
    Make::Broken(Broken { variant, tweak, classes, crowded: false })
}

/// Under faults of its own, with few peers and many requests.
const fn crowded(
    classes: &'static [FaultClass],
    variant: fn() -> Variant,
    tweak: fn(&mut Settings),
) -> Make {
    Make::Broken(Broken { variant, tweak, classes, crowded: true })
}

/// Elections while messages are held up: late ones come all at once.
const CLOGS_AND_CAMPAIGNS: &[FaultClass] = &[FaultClass::Clogs, FaultClass::Campaigns];

/// Faults that leave a leader in office that is none any more.
const DEPOSED_UNAWARE: &[FaultClass] = &[
    FaultClass::Isolation,
    FaultClass::Partitions,
    FaultClass::OneWayCuts,
    FaultClass::Clogs,
    FaultClass::Campaigns,
];

/// Faults that separate a leader from the others while clocks run apart.
const CLOCKS_AND_CUTS: &[FaultClass] = &[
    FaultClass::Drift,
    FaultClass::Freezes,
    FaultClass::Pauses,
    FaultClass::Partitions,
    FaultClass::Isolation,
    FaultClass::Campaigns,
];

/// Entries that wait to be sent, and messages that carry one at a time.
fn one_by_one(settings: &mut Settings) {
    settings.append_bytes_max = 1;
    settings.appends_in_flight_max = 8;
}

/// A state machine that takes its entries one at a time.
fn slow_to_apply(settings: &mut Settings) {
    settings.apply_bytes_max = 1;
}

/// Leaders without a quorum step down, and nobody relies on it.
fn check_quorum(settings: &mut Settings) {
    (settings.check_quorum, settings.pre_vote) = (true, true);
    settings.reads = Reads::Index;
}

fn impatient_lease(settings: &mut Settings) {
    impatient(settings);
    settings.reads = Reads::Lease;
    settings.check_quorum = true;
}

/// Clients that do not wait, and leaders that stay until they hear of another.
fn impatient(settings: &mut Settings) {
    settings.sessions = false;
    settings.client_timeout_us = 300_000;
    eager_elections(settings);
}

/// Nobody doubts a leader: leases need that.
fn trusting(settings: &mut Settings) {
    by_index(settings);
    settings.check_quorum = false;
}

/// Elections are quick, and nobody asks before or doubts a leader.
fn eager_elections(settings: &mut Settings) {
    trusting(settings);
    settings.pre_vote = false;
    (settings.tick_us, settings.election_tick, settings.heartbeat_tick) = (20_000, 10, 1);
    settings.latency = Span { min_us: 500, max_us: 5_000 };
    settings.sync = Span { min_us: 1, max_us: 1_000 };
}

/// Nobody asks before it campaigns.
fn no_pre_vote(settings: &mut Settings) {
    settings.pre_vote = false;
}

/// Pre-votes alone keep the peace.
fn pre_vote_alone(settings: &mut Settings) {
    trusting(settings);
    settings.pre_vote = true;
}

/// Logs that reach back to their first entry, in messages of one.
fn whole_logs_one_by_one(settings: &mut Settings) {
    one_by_one(settings);
    trusting(settings);
    settings.log_gc_entries = 128_000;
}

/// One append at a time.
fn narrow_window(settings: &mut Settings) {
    settings.appends_in_flight_max = 1;
}

fn by_index(settings: &mut Settings) {
    settings.reads = Reads::Index;
}

/// The log is dropped early, so that who was away gets a snapshot.
fn short_logs(settings: &mut Settings) {
    settings.log_gc_ticks = 1;
    settings.log_gc_entries = 2;
}

/// Messages that all travel for the same time, longer than a tick.
fn far_apart(settings: &mut Settings) {
    settings.tick_us = 50_000;
    settings.latency = Span { min_us: 100_000, max_us: 100_000 };
}

const NO_ROLL_BACK: &str = "members change when their entry is applied, and that is never cut";

/// All of them.
#[rustfmt::skip]
pub const ALL: [Bug; 57] = [
    bug(1, "an older term's entry is committed by counting", &[CommitRule, LeaderCompleteness],
        with(rules::counts_older_terms, one_by_one)),
    bug(2, "the vote is not persisted", &[VoteOnce, DiskMirror],
        by(rules::forgets_votes)),
    bug(3, "the term is not persisted", &[Outbox, VoteOnce, Monotonicity, DiskMirror],
        by(rules::forgets_terms)),
    bug(4, "a peer votes twice in a term", &[VoteOnce, ElectionSafety],
        by(rules::votes_twice)),
    bug(5, "votes do not ask how new a log is", &[LeaderCompleteness],
        by(rules::votes_blindly)),
    bug(6, "logs are compared by length only", &[LeaderCompleteness],
        by(rules::compares_lengths)),
    bug(7, "logs are compared by the last term only", &[LeaderCompleteness],
        by(rules::compares_terms)),
    bug(8, "every append cuts the log", &[Truncation, CommitDurability, Outbox],
        by(rules::always_truncates)),
    bug(9, "a follower commits its own tail", &[StateMachineSafety, CommitDurability],
        with(rules::commits_own_tail, whole_logs_one_by_one)),
    bug(10, "a heartbeat commits what a follower may not hold",
        &[StateMachineSafety, Convergence],
        by(rules::unclamped_heartbeat)),
    bug(11, "reads are served before a commit of the own term", &[ReadFreshness, Linearizability],
        with(rules::reads_before_own_commit, by_index)),
    bug(12, "reads are served without a quorum", &[ReadFreshness, Linearizability],
        crowded(DEPOSED_UNAWARE, rules::reads_without_quorum, impatient)),
    bug(13, "a lease ignores that clocks drift", &[ReadFreshness, Linearizability],
        crowded(CLOCKS_AND_CUTS, Variant::default, impatient_lease)),
    bug(14, "messages of older terms are taken",
        &[Truncation, StateMachineSafety, ElectionSafety, VoteOnce],
        by(rules::takes_older_terms)),
    bug(15, "a follower vouches for its tail", &[CommitDurability, Outbox, StateMachineSafety],
        with(rules::vouches_for_tail, whole_logs_one_by_one)),
    bug(16, "a rejection counts as success", &[CommitDurability, LogOrder, Convergence],
        by(rules::rejection_is_success)),
    bug(17, "messages leave before their promise is durable", &[Outbox, VoteOnce, CommitDurability],
        by(rules::acknowledges_too_early)),
    bug(18, "a leader counts its entry before it is durable", &[CommitDurability],
        by(rules::counts_unwritten_entries)),
    bug(19, "a late vote counts in another term", &[ElectionSafety, LeaderCompleteness],
        under(CLOGS_AND_CAMPAIGNS, rules::takes_late_votes, eager_elections)),
    bug(20, "votes of an earlier campaign count", &[ElectionSafety, Convergence],
        with(rules::keeps_votes, no_pre_vote)),
    bug(21, "half of the peers are a quorum", &[CommitDurability, ElectionSafety],
        by(rules::half_a_quorum)),
    bug(22, "a retried command is executed again", &[ExactlyOnce, Linearizability],
        by(rules::executes_again)),
    bug(23, "entries in conflict are kept", &[StateMachineSafety, LogMatching, LogOrder, CommitDurability],
        by(rules::never_truncates)),
    bug(24, "an append is taken without a look at what is before it",
        &[LogMatching, LogOrder, Outbox],
        by(rules::no_check_before)),
    bug(25, "an append is taken if the entry before it is there, of whatever term", &[LogMatching],
        by(rules::checks_index_only)),
    bug(26, "a vote outlives its term", &[Convergence], by(rules::vote_outlives_term)),
    bug(27, "a leader never steps back to where logs agree", &[Convergence],
        by(rules::never_steps_back)),
    bug(28, "all election time-outs are equal", &[Convergence],
        under(&[FaultClass::Isolation], rules::fixed_timeouts, far_apart)),
    bug(29, "a candidate campaigns again in the same term", &[Convergence, MajorityProgress],
        with(rules::keeps_term, no_pre_vote)),
    bug(30, "a read is answered before its index is applied", &[ReadFreshness, Linearizability],
        with(rules::serves_too_early, |settings| {
            by_index(settings);
            slow_to_apply(settings);
        })),
    bug(31, "a read reuses an older round", &[ReadFreshness, Linearizability],
        crowded(CLOGS_AND_CAMPAIGNS, rules::joins_older_rounds, impatient)),
    bug(32, "an acknowledgement of an older term counts", &[LogOrder, CommitDurability],
        by(rules::takes_late_acknowledgements)),
    bug(33, "nobody steps down for a higher term", &[VoteOnce, Convergence, Quiet],
        by(rules::never_steps_down)),
    bug(34, "a refused vote resets the election timer", &[Convergence, MajorityProgress],
        by(rules::any_term_resets_timer)),
    bug(35, "one vote that comes twice counts twice",
        &[ElectionSafety, Membership, LeaderCompleteness],
        by(rules::counts_votes_twice)),
    bug(36, "a snapshot has no sessions", &[ExactlyOnce, SnapshotFidelity],
        with(rules::snapshot_without_sessions, short_logs)),
    bug(37, "a snapshot has no members", &[Membership, SnapshotFidelity],
        with(rules::snapshot_without_members, short_logs)),
    bug(38, "an old snapshot is taken", &[Monotonicity, SnapshotFidelity, Truncation],
        with(rules::takes_old_snapshots, short_logs)),
    bug(39, "a snapshot of what is applied is labelled with the commit index",
        &[SnapshotFidelity, StateMachineSafety], with(rules::snapshot_labelled_commit, |settings| {
            short_logs(settings);
            slow_to_apply(settings);
        })),
    bug(40, "a snapshot leaves a tail in conflict",
        &[StateMachineSafety, LogMatching, Truncation, Convergence],
        with(rules::keeps_tail_under_snapshot, short_logs)),
    bug(41, "entries that were cut come back at a restart", &[DiskMirror, LeaderCompleteness],
        by(rules::keeps_tails)),
    bug(42, "an older snapshot's write acknowledges a newer one", &[Outbox],
        with(rules::mixes_up_snapshots, short_logs)),
    bug(43, "the quorum's index is taken from an unsorted list", &[CommitDurability],
        by(rules::unsorted)),
    bug(44, "members change before a commit of the own term", &[Membership, LeaderCompleteness],
        by(rules::changes_members_too_early)),
    bug(45, "two changes of members at once", &[Membership, ElectionSafety],
        by(rules::changes_at_once)),
    bug(46, "one half of a joint configuration elects", &[Membership, ElectionSafety],
        by(rules::one_half_elects)),
    bug(47, "members are not set back when their entry is cut", &[Membership],
        Missing(NO_ROLL_BACK)),
    bug(48, "a leader that was removed counts itself", &[CommitDurability, Membership],
        by(rules::counts_removed_leader)),
    bug(49, "learners count", &[CommitDurability, Membership], by(rules::counts_learners)),
    bug(50, "a pre-vote raises the term", &[Undisturbed, Convergence],
        with(rules::pre_vote_is_news, pre_vote_alone)),
    bug(51, "a pre-vote does not ask how new a log is", &[Undisturbed, Quiet, Convergence],
        with(rules::pre_votes_blindly, pre_vote_alone)),
    bug(52, "no leader checks its quorum", &[Convergence],
        with(rules::checks_no_quorum, check_quorum)),
    bug(53, "a leader drops what a follower lacks and sends no snapshot", &[Convergence],
        with(rules::sends_no_snapshots, short_logs)),
    bug(54, "the window of appends is not freed by a loss", &[Convergence],
        with(rules::window_stays_full, narrow_window)),
    bug(55, "the order of a map or a clock decides", &[Determinism], by(rules::sends_by_map)),
    bug(56, "a hash depends on the machine's word", &[Determinism], by(rules::sends_by_hash)),
    bug(57, "the two engines are written one after the other",
        &[DiskMirror, Monotonicity, Convergence],
        by(rules::two_transactions)),
];
