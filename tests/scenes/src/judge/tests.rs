//! Each property by itself.

use super::*;

fn view(id: u64, term: u64, role: StateRole, commit: u64, terms: &[u64]) -> View {
    let entry = |(index, &term): (u64, &u64)| Entry { term, index, ..Entry::default() };
    View {
        id,
        term,
        role,
        commit,
        truncated: EntryId::default(),
        entries: (1..).zip(terms).map(entry).collect(),
        voters: [vec![id], Vec::new()],
    }
}

/// The same with these voters, and these on their way out.
fn among(voters: &[u64], outgoing: &[u64], view: View) -> View {
    View { voters: [voters.to_vec(), outgoing.to_vec()], ..view }
}

#[test]
fn a_leader_that_commits_without_a_majority_of_each_half_is_noticed() {
    use StateRole::{Follower, Leader};
    let holders = [view(2, 1, Follower, 0, &[1]), view(4, 1, Follower, 0, &[1])];
    let lone = [view(3, 1, Follower, 0, &[]), view(5, 1, Follower, 0, &[])];
    let commits = view(1, 1, Leader, 1, &[1]);
    for (voters, outgoing, expected) in [
        (&[1, 2, 3][..], &[][..], "fine"),
        (&[1, 3, 5], &[], "1 committed 1/1, which 1 of the voters [1, 3, 5] hold"),
        (&[1, 2, 3], &[1, 4, 5], "fine"),
        (&[1, 2, 3], &[3, 4, 5], "1 committed 1/1, which 1 of the voters [3, 4, 5] hold"),
    ] {
        let commits = among(voters, outgoing, commits.clone());
        let views: Vec<_> = holders.iter().chain(&lone).cloned().chain([commits]).collect();
        let verdict = verdict(&views);
        assert!(verdict.contains(expected), "{verdict}");
    }
}

#[test]
fn a_learner_that_is_elected_is_noticed_and_a_leader_that_becomes_one_is_not() {
    use StateRole::{Follower, Leader};
    let elected = among(&[2, 3], &[], view(1, 2, Leader, 0, &[]));
    let text = verdict(&[view(1, 1, Follower, 0, &[]), elected.clone()]);
    assert!(text.contains("1 leads term 2 and is no voter"), "{text}");
    let demoted = [among(&[1, 2, 3], &[], elected.clone()), elected];
    assert_eq!(verdict(&demoted), "fine");
}

#[test]
fn a_read_that_misses_what_was_committed_before_it_is_noticed() {
    let mut judge = Judge::default();
    judge.observe(view(1, 1, StateRole::Leader, 2, &[1, 1])).unwrap();
    let context = Bytes::from("read");
    judge.asked(context.clone());
    judge.observe(view(1, 1, StateRole::Leader, 3, &[1, 1, 1])).unwrap();
    judge.asked(context.clone());
    // The first may be served at what was committed when it was asked for, the second not.
    judge.served(1, &context, 2).unwrap();
    judge.served(1, &context, 2).unwrap_err();
}

/// What the judge says to the last of these views, after it took the others.
fn verdict(views: &[View]) -> String {
    let mut judge = Judge::default();
    let (last, before) = views.split_last().unwrap();
    for view in before {
        judge.observe(view.clone()).unwrap();
    }
    judge.observe(last.clone()).err().unwrap_or_else(|| "fine".to_owned())
}

#[test]
fn each_property_is_checked_by_itself() {
    use StateRole::{Follower, Leader};
    let cases: [(&[View], &str); 8] = [
        (
            &[view(1, 2, Leader, 0, &[]), view(1, 3, Follower, 0, &[]), view(2, 2, Leader, 0, &[])],
            "election safety (5.2): 1 and 2 both lead term 2",
        ),
        (
            &[view(1, 2, Leader, 0, &[1, 2]), view(1, 2, Leader, 0, &[1])],
            "leader append-only (5.3): 1 leads, had 2/2 and has nothing at 2",
        ),
        (
            &[view(1, 3, Follower, 0, &[1, 2, 3]), view(2, 3, Follower, 0, &[1, 1, 3])],
            "log matching (5.3): 2 and 1 both hold 3/3, but 2 has 1/2 and 1 2/2",
        ),
        (
            &[view(1, 2, Follower, 1, &[1]), view(2, 2, Follower, 1, &[2])],
            "committed entries never change (5.4.3): 1 committed 1/1 and 2 committed 2/1",
        ),
        (
            &[view(1, 2, Leader, 1, &[2]), view(2, 3, Leader, 0, &[1])],
            "1 committed 2/1 in term 2, and 2 leads term 3 with 1/1",
        ),
        (
            &[view(1, 2, Follower, 0, &[]), view(1, 1, Follower, 0, &[])],
            "terms never go back (5.1): 1 was in term 2 and is in term 1",
        ),
        (
            &[view(1, 2, Follower, 1, &[1]), view(1, 2, Follower, 0, &[1])],
            "the commit index never goes back (figure 2): 1 had committed 1 and has committed 0",
        ),
        (&[view(1, 2, Follower, 2, &[1])], "1 has nothing at 2, which it committed"),
    ];
    for (views, expected) in cases {
        let verdict = verdict(views);
        assert!(verdict.contains(expected), "{verdict}");
    }
}

#[test]
fn applying_out_of_order_twice_or_with_another_state_is_noticed() {
    let mut judge = Judge::default();
    let (a, b) = (Bytes::from("a"), Bytes::from("b"));
    judge.started(1, 0).unwrap();
    judge.applied(1, 1, &a).unwrap();
    judge.applied(1, 1, &a).unwrap_err();
    judge.applied(1, 3, &b).unwrap_err();
    judge.applied(2, 1, &b).unwrap_err();
    judge.restored(3, 1, &b).unwrap_err();
    judge.started(1, 0).unwrap_err();
}

#[test]
fn what_is_said_before_it_is_saved_or_twice_is_noticed() {
    let message = |kind: MessageType, to, index| Message {
        msg_type: kind.into(),
        from: 1,
        to,
        term: 2,
        index,
        ..Message::default()
    };
    let disk = |term, vote| HardState { term, vote, commit: 0 };
    let vote = |to| message(MessageType::MsgRequestVoteResponse, to, 0);
    let ack = |index| message(MessageType::MsgAppendResponse, 3, index);
    let mut judge = Judge::default();
    judge.sent(&ack(4), disk(2, 0), 4).unwrap();
    judge.sent(&ack(5), disk(2, 0), 4).unwrap_err();
    judge.sent(&ack(4), disk(1, 0), 4).unwrap_err();
    judge.sent(&vote(3), disk(2, 0), 4).unwrap_err();
    judge.sent(&vote(3), disk(2, 3), 4).unwrap();
    judge.sent(&vote(3), disk(3, 0), 4).unwrap();
    judge.sent(&vote(2), disk(2, 2), 4).unwrap_err();
    judge.sent(&message(MessageType::MsgRequestVote, 2, 0), disk(2, 1), 4).unwrap_err();
}
