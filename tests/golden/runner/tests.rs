//! Proof that the runner notices: wrong expectations, scenes that make no sense, and peers that
//! break a rule of Raft.

use std::fs;
use std::path::Path;

use raft_core::eraftpb::Entry;
use raft_core::rules::{Tally, TermVerdict, VoteVerdict};
use raft_core::{EntryId, Rules, StateRole};

use super::history::{History, View};
use super::play;

/// A scene that is as it should be.
const SCENE: &str = "\
# A lone peer elects itself (section 5.2).

cluster nodes=1
----
ok

campaign 1
----
n1@1 follower → candidate
n1@1 candidate → leader
n1@1 append 1@1
n1@1 commit 1@1
n1@1 apply 1@1

# It takes commands.
propose 1
hello
----
n1@1 append 2@1 hello
n1@1 commit 2@1
n1@1 apply 2@1 hello
";

fn mismatches(text: &str) -> Vec<String> {
    play("scene", text, Rules::default()).unwrap().mismatches
}

fn refusal(text: &str) -> String {
    play("scene", text, Rules::default()).err().unwrap_or_else(|| "it played".to_owned())
}

#[test]
fn a_scene_that_is_as_it_should_be_passes_and_is_rewritten_unchanged() {
    let played = play("scene", SCENE, Rules::default()).unwrap();
    assert_eq!(played.mismatches, [""; 0]);
    assert_eq!(played.rewritten, SCENE);
    assert_eq!(played.heading, "A lone peer elects itself (section 5.2).");
}

#[test]
fn a_wrong_expectation_fails_with_its_line_and_both_texts() {
    let wrong = SCENE.replace("n1@1 commit 2@1\n", "n1@1 commit 3@1\n");
    let found = mismatches(&wrong);
    let expected = "\
scene:19: `propose 1` printed something else (- expected, + found)
      n1@1 append 2@1 hello
    - n1@1 commit 3@1
    + n1@1 commit 2@1
      n1@1 apply 2@1 hello
";
    assert_eq!(found, [expected]);
}

#[test]
fn output_that_is_missing_left_over_or_not_written_at_all_fails() {
    for (from, to) in [
        ("n1@1 commit 1@1\n", ""),
        ("n1@1 apply 1@1\n", "n1@1 apply 1@1\nn1@1 and more\n"),
        ("----\nok\n", "----\n"),
    ] {
        let changed = SCENE.replace(from, to);
        assert_eq!(mismatches(&changed).len(), 1, "{changed}");
        let played = play("scene", &changed, Rules::default()).unwrap();
        assert_eq!(played.rewritten, SCENE);
    }
}

#[test]
fn a_scene_that_makes_no_sense_is_refused_with_its_line() {
    for (text, reason) in [
        ("# Nothing happens.\n", "scene:1: the scene expects nothing"),
        ("cluster nodes=3\n", "scene:1: `cluster nodes=3` lacks its `----`"),
        ("cluster nodes=3\n\n----\nok\n", "scene:1: `cluster nodes=3` lacks its `----`"),
        ("cluster nodes=3\n----\nok\n----\nok\n", "scene:4: a second `----`"),
        ("cluster nodes=3\n----\n\nok\n", "scene:4: `ok` lacks its `----`"),
        ("cluster nodes=3\n----\n\ndance 1\n----\n", "scene:4: dance 1: unknown command `dance`"),
        ("campaign 1\n----\n", "a scene begins with `cluster`"),
        ("cluster nodes=3 speed=9\n----\n", "`cluster` does not understand `speed=9`"),
        ("cluster nodes=3 nodes=4\n----\n", "`nodes=4` repeats an argument"),
        ("cluster nodes=many\n----\n", "`many` is not a value for nodes"),
        ("cluster\n----\n", "`cluster` needs nodes=…"),
        ("cluster nodes=3\nhello\n----\n", "`cluster` takes no input lines"),
        ("cluster nodes=1\n----\n\ntick 7\n----\n", "there is no n7"),
        ("cluster nodes=1\n----\n\ndeliver\n----\n", "no message under way matches"),
        ("cluster nodes=1\n----\n\ndeliver type=Mail\n----\n", "no message type `Mail`"),
        ("cluster nodes=1\n----\n\nrestart 1\n----\n", "n1 is running"),
        ("cluster nodes=1\n----\n\nlog 1 terms=(1\n----\n", "lacks a closing parenthesis"),
        (
            "cluster nodes=1\n----\n\nlog 1 terms=(1,) commit=4\n----\n\nlogs\n----\n",
            "commit index",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(reason), "{text}\ngave: {refusal}");
    }
}

/// The scene of this name, played by peers that break a rule.
fn play_broken(name: &str, rules: Rules) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(path).unwrap();
    play(name, &text, rules).err().unwrap_or_else(|| "nothing was noticed".to_owned())
}

#[test]
fn commit_by_counting_entries_of_old_terms_is_noticed_in_figure_8() {
    let rules = Rules {
        leader_commit: |question| question.committed.max(question.quorum_index),
        ..Rules::default()
    };
    let report = play_broken("figure_8_an_old_entry_on_a_majority_is_overwritten.txt", rules);
    assert!(report.contains("broken: leader completeness"), "{report}");
    assert!(report.contains("n1 committed 2@2 in term 4"), "{report}");
    assert!(report.contains("n5 leads term 5 with 2@3"), "{report}");
}

#[test]
fn every_other_broken_rule_is_noticed_in_the_scene_that_needs_it() {
    let paper = Rules::default;
    let grant_all = Rules { grant_vote: |_| VoteVerdict::Grant, ..paper() };
    let half = Rules { quorum: |voters| voters / 2, ..paper() };
    let one_is_enough = Rules { tally: |_, _, _, _| Tally::Won, ..paper() };
    let no_check = Rules { log_matches: |_, _| true, ..paper() };
    let no_conflict = Rules { conflicts: |_, _| false, ..paper() };
    let rash_heartbeat = Rules { heartbeat_commit: |committed, _| committed, ..paper() };
    let any_snapshot = Rules { accept_snapshot: |_, _| true, ..paper() };
    for (rules, scene, property) in [
        (grant_all, "a_vote_survives_a_restart.txt", "one vote a term"),
        (grant_all, "a_peer_with_a_newer_log_is_preferred.txt", "leader completeness"),
        (half, "a_leader_in_the_minority_cannot_commit.txt", "leader completeness"),
        (one_is_enough, "a_split_vote_is_settled_by_chance.txt", "election safety"),
        (no_check, "figure_7f_a_follower_led_two_lonely_terms.txt", "log matching"),
        (no_conflict, "figure_7e_a_follower_lacks_some_and_has_others.txt", "log matching"),
        (
            rash_heartbeat,
            "a_heartbeat_commits_only_what_is_known_to_match.txt",
            "committed entries never change",
        ),
        (any_snapshot, "an_old_snapshot_is_ignored.txt", "the commit index never goes back"),
    ] {
        let report = play_broken(scene, rules);
        assert!(report.contains(&format!("broken: {property}")), "{scene}: {report}");
    }
}

/// Commands without expectations, one a line.
fn play_commands(commands: &str, rules: Rules) -> String {
    let text: String = commands.lines().map(|line| format!("{line}\n----\n\n")).collect();
    play("scene", &text, rules).err().unwrap_or_else(|| "nothing was noticed".to_owned())
}

#[test]
fn a_vote_that_is_forgotten_within_a_term_is_noticed() {
    // n2 loses the election of term 1, and then gives the vote it gave itself to n1.
    let commands = "\
cluster nodes=3
campaign 1
campaign 2
deliver from=1 to=3
deliver from=2
deliver to=2 type=RequestVoteResponse
deliver from=1 to=2";
    let rules = Rules { vote_in_term: |_, _, _| 0, ..Rules::default() };
    let report = play_commands(commands, rules);
    let facts = "broken: one vote a term (5.2): n2 votes for n2 and for n1 in term 1";
    assert!(report.contains(facts), "{report}");
    assert_eq!(play_commands(commands, Rules::default()), "nothing was noticed");
}

#[test]
fn an_append_of_an_old_term_that_is_accepted_is_noticed() {
    // n3 acknowledges 2@2 to the new leader, and then lets the old one's 2@1 replace it.
    let commands = "\
cluster nodes=3
campaign 1
stabilize
propose 1 old
hold
campaign 2
deliver to=3
deliver to=2
deliver to=3
deliver to=2
drop to=3
release
deliver from=1 to=3
tick 2
deliver to=3";
    let rules = Rules {
        compare_terms: |own, theirs| match theirs > own {
            true => TermVerdict::StepDown,
            false => TermVerdict::Current,
        },
        ..Rules::default()
    };
    let report = play_commands(commands, rules);
    let facts =
        "broken: committed entries never change (5.4.3): n2 committed 2@2 and n3 committed 2@1";
    assert!(report.contains(facts), "{report}");
    assert_eq!(play_commands(commands, Rules::default()), "nothing was noticed");
}

#[test]
fn two_membership_changes_at_once_are_noticed() {
    // n1 goes from three members to five in one step, commits with n4 and n5, and is not heard of
    // any more. n2 has both changes but does not know that they are committed: with n3 it is a
    // majority of the old three.
    let commands = "\
cluster nodes=3
campaign 1
stabilize
start 4
start 5
isolate 3
conf-change 1 add=4
conf-change 1 add=5
deliver to=2
drop from=2 n=1
deliver from=2 to=1
drop to=2
cut 1 from=2
propose 1 five
stabilize
heal
isolate 1
campaign 2
stabilize 2 3";
    let rules = Rules { may_change_membership: |_, _| true, ..Rules::default() };
    let report = play_commands(commands, rules);
    assert!(report.contains("broken: leader completeness"), "{report}");
    assert!(!play_commands(commands, Rules::default()).contains("broken"));
}

fn view(id: u64, term: u64, role: StateRole, commit: u64, terms: &[u64]) -> View {
    let entry = |(index, &term): (u64, &u64)| Entry { term, index, ..Entry::default() };
    View {
        id,
        term,
        role,
        commit,
        truncated: EntryId::default(),
        entries: (1..).zip(terms).map(entry).collect(),
    }
}

/// What the history says to the last of these views, after it took the others.
fn verdict(views: &[View]) -> String {
    let mut history = History::default();
    let (last, before) = views.split_last().unwrap();
    for view in before {
        history.observe(view.clone()).unwrap();
    }
    history.observe(last.clone()).err().map_or("fine".to_owned(), |error| error.to_string())
}

#[test]
fn each_property_is_checked_by_itself() {
    use StateRole::{Follower, Leader};
    let cases: [(&[View], &str); 8] = [
        (
            &[view(1, 2, Leader, 0, &[]), view(1, 3, Follower, 0, &[]), view(2, 2, Leader, 0, &[])],
            "election safety (5.2): n1 and n2 both lead term 2",
        ),
        (
            &[view(1, 2, Leader, 0, &[1, 2]), view(1, 2, Leader, 0, &[1])],
            "leader append-only (5.3): n1 leads, had 2@2 and has nothing at 2",
        ),
        (
            &[view(1, 3, Follower, 0, &[1, 2, 3]), view(2, 3, Follower, 0, &[1, 1, 3])],
            "log matching (5.3): n2 and n1 both hold 3@3, but n2 has 2@1 and n1 2@2",
        ),
        (
            &[view(1, 2, Follower, 1, &[1]), view(2, 2, Follower, 1, &[2])],
            "committed entries never change (5.4.3): n1 committed 1@1 and n2 committed 1@2",
        ),
        (
            &[view(1, 2, Leader, 1, &[2]), view(2, 3, Leader, 0, &[1])],
            "n1 committed 1@2 in term 2, and n2 leads term 3 with 1@1",
        ),
        (
            &[view(1, 2, Follower, 0, &[]), view(1, 1, Follower, 0, &[])],
            "terms never go back (5.1): n1 was in term 2 and is in term 1",
        ),
        (
            &[view(1, 2, Follower, 1, &[1]), view(1, 2, Follower, 0, &[1])],
            "the commit index never goes back (figure 2): n1 had committed 1 and has committed 0",
        ),
        (&[view(1, 2, Follower, 2, &[1])], "n1 has nothing at 2, which it committed"),
    ];
    for (views, expected) in cases {
        let verdict = verdict(views);
        assert!(verdict.contains(expected), "{verdict}");
    }
}

#[test]
fn applying_out_of_order_twice_or_with_another_state_is_noticed() {
    let mut history = History::default();
    history.started(1, 0).unwrap();
    history.applied(1, 1, "a").unwrap();
    assert!(history.applied(1, 1, "a").is_err());
    assert!(history.applied(1, 3, "b").is_err());
    assert!(history.applied(2, 1, "b").is_err());
    assert!(history.restored(3, 1, "b").is_err());
    assert!(history.started(1, 0).is_err());
}
