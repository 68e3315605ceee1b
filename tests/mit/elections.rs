//! Part A: elections.

use crate::holds;
use crate::tester::Tester;
use crate::world::Setup;

/// MIT TestInitialElection2A
#[test]
fn an_undisturbed_cluster_elects_one_leader_and_keeps_its_term() {
    holds(Setup::of(3), initial_election);
}

async fn initial_election(t: Tester) {
    t.check_one_leader().await;
    t.sleep_ms(50).await;
    let before = t.check_terms();
    assert!(before >= 1, "term is {before}, but should be at least 1");
    t.sleep_ms(2_000).await;
    // The original only warns of another term; in virtual time nobody has an excuse.
    assert_eq!(t.check_terms(), before, "the term changed without any failure");
    t.check_one_leader().await;
}

/// MIT TestReElection2A
#[test]
fn a_majority_replaces_a_lost_leader_and_a_minority_elects_nobody() {
    holds(Setup::of(3), re_election);
}

async fn re_election(t: Tester) {
    let first = t.check_one_leader().await;
    t.disconnect(first);
    t.check_one_leader().await;
    // The old leader comes back and must not disturb the new one.
    t.connect(first);
    let second = t.check_one_leader().await;
    let next = t.after(second, 1);
    t.disconnect(second);
    t.disconnect(next);
    t.sleep_ms(2_000).await;
    t.check_no_leader();
    t.connect(next);
    t.check_one_leader().await;
    t.connect(second);
    t.check_one_leader().await;
}

/// MIT TestManyElections2A
#[test]
fn whichever_three_of_seven_are_lost_the_others_elect_one_leader() {
    holds(Setup::of(7), many_elections);
}

async fn many_elections(t: Tester) {
    t.check_one_leader().await;
    for _ in 0..9 {
        // Two or all of them may be the same.
        let lost = [t.any_server(), t.any_server(), t.any_server()];
        lost.iter().for_each(|&server| t.disconnect(server));
        t.check_one_leader().await;
        lost.iter().for_each(|&server| t.connect(server));
    }
    t.check_one_leader().await;
}
