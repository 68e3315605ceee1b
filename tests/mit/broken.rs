//! Proof that these tests find what is wrong: with a rule or a disk broken, some seed fails.
//! `docs/conformance.md` says which tests notice which rule.

use std::panic::catch_unwind;

use raft_core::Rules;
use raft_core::rules::{self, Rejection, VoteVerdict};

use crate::persistence::{figure_8, figure_8_unreliable, persist_one};
use crate::server::Fault;
use crate::tester::Tester;
use crate::world::Setup;
use crate::{play, snapshots};

/// Plays seeds until one fails.
fn notices<F: Future<Output = ()> + 'static>(setup: Setup, test: fn(Tester) -> F) {
    const ENOUGH: u64 = 20;
    let failing = (1..=ENOUGH).find(|&seed| catch_unwind(|| play(seed, &setup, test)).is_err());
    println!("seed {failing:?} fails");
    assert!(failing.is_some(), "nobody noticed");
}

#[test]
fn figure_8_notices_votes_that_are_given_twice() {
    let grant_vote = |request: &rules::VoteRequest| match rules::grant_vote(request) {
        VoteVerdict::AlreadyVoted(_) => VoteVerdict::Grant,
        verdict => verdict,
    };
    let rules = Rules { grant_vote, ..Rules::default() };
    notices(Setup { rules, ..Setup::of(5) }, figure_8);
}

#[test]
fn figure_8_unreliable_notices_a_leader_that_steps_back_entry_by_entry() {
    let next_after_rejection = |rejection: &Rejection| {
        let &Rejection { rejected, matched, .. } = rejection;
        rules::next_after_rejection(rejection).map(|_| rejected.max(matched + 1))
    };
    let rules = Rules { next_after_rejection, ..Rules::default() };
    notices(Setup { rules, ..Setup::of(5).unreliable() }, figure_8_unreliable);
}

#[test]
fn persist_notices_a_disk_that_keeps_no_entries() {
    let fault = Fault::EntriesNotOnDisk;
    notices(Setup { fault, ..Setup::of(3) }, persist_one);
}

#[test]
fn snapshots_notice_a_log_that_is_never_compacted() {
    let fault = Fault::NoCompaction;
    notices(Setup { fault, ..Setup::of(3).with_snapshots() }, snapshots::basic);
}
