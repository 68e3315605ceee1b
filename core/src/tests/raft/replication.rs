//! R1, R6–R11, R13–R15, R21 and R23: log replication and commit.

use alloc::vec;
use alloc::vec::Vec;

use super::election::NETWORKS;
use crate::eraftpb::Message;
use crate::tests::harness::*;

/// R1 TestProgressLeader2AB
#[test]
fn r01_leader_knows_its_own_progress_at_once() {
    let mut raft = leader(1, &[1, 2]);
    for proposal in 0..5 {
        let own = raft.prs.get(1).unwrap();
        let expected = proposal + 1;
        let found = (own.matched, own.next);
        assert_eq!(found, (expected, expected + 1), "proposal {proposal}");
        raft.step(propose(1, "foo")).unwrap();
    }
}

/// R6 TestLogReplication2AB
#[test]
fn r06_proposals_reach_every_log_in_order_across_leaders() {
    let first = data_entry(1, 2, "first");
    let second = data_entry(2, 4, "second");
    for change_leader in [false, true] {
        let mut net = Network::of(3);
        net.send([hup(1)]);
        net.send([propose(1, "first")]);
        let mut expected = vec![first.clone()];
        let mut committed = 2;
        if change_leader {
            net.send([hup(2)]);
            net.send([propose(2, "second")]);
            expected.push(second.clone());
            committed = 4;
        }
        for id in 1..=3 {
            assert_eq!(net[id].log.committed(), committed, "peer {id}");
            let mut applied = next_ents(&mut net[id]);
            applied.retain(|entry| !entry.data.is_empty());
            assert_eq!(applied, expected, "peer {id}");
        }
    }
}

/// R7 TestSingleNodeCommit2AB
#[test]
fn r07_lone_peer_commits_by_itself() {
    let mut net = Network::of(1);
    net.send([hup(1)]);
    net.send([propose(1, "some data")]);
    net.send([propose(1, "some data")]);
    assert_eq!(net[1].log.committed(), 3);
}

/// R8 TestCommitWithoutNewTermEntry2AB
#[test]
fn r08_entries_of_a_minority_commit_with_the_next_leaders_first_entry() {
    let mut net = Network::of(5);
    net.send([hup(1)]);
    for other in [3, 4, 5] {
        net.cut(1, other);
    }
    net.send([propose(1, "some data")]);
    net.send([propose(1, "some data")]);
    assert_eq!(net[1].log.committed(), 1);
    net.recover();
    net.send([hup(2)]);
    assert_eq!(net[1].log.committed(), 4);
}

/// R9 TestCommitWithHeartbeat2AB
#[test]
fn r09_answered_heartbeat_brings_a_lagging_follower_up_to_date() {
    let mut net = Network::of(5);
    net.send([hup(1)]);
    net.isolate(5);
    net.send([propose(1, "some data")]);
    net.send([propose(1, "some data")]);
    assert_eq!(net[5].log.committed(), 1);
    net.recover();
    net.send([beat(1)]);
    assert_eq!(net[5].log.committed(), 3);
}

/// R10 TestDuelingCandidates2AB
#[test]
fn r10_candidate_with_an_older_log_deposes_but_does_not_win() {
    let mut net = Network::of(3);
    net.cut(1, 3);
    net.send([hup(1)]);
    net.send([hup(3)]);
    assert_eq!((net[1].role, net[3].role), (Leader, Candidate));
    net.recover();
    net.send([hup(3)]);
    assert_eq!(net.roles(), [Follower, Follower, Follower]);
    assert_eq!(net.term_of_each(), [2, 2, 2]);
    let with_noop = text(1, 0, &[entry(1, 1)]);
    let logs: Vec<_> = net.live().map(log_text).collect();
    assert_eq!(logs, [with_noop.clone(), with_noop, text(0, 0, &[])]);
}

/// R11 TestCandidateConcede2AB
#[test]
fn r11_candidate_concedes_to_the_leader_of_its_term() {
    let mut net = Network::of(3);
    net.isolate(1);
    net.send([hup(1)]);
    net.send([hup(3)]);
    net.recover();
    net.send([beat(3)]);
    net.send([propose(3, "force follower")]);
    net.send([beat(3)]);
    assert_eq!((net[1].role, net[1].term), (Follower, 1));
    let log = text(2, 0, &[entry(1, 1), data_entry(1, 2, "force follower")]);
    for raft in net.live() {
        assert_eq!(log_text(raft), log, "peer {}", raft.id);
    }
}

/// R13 TestOldMessages2AB
#[test]
fn r13_append_of_an_old_leader_is_ignored() {
    let mut net = Network::of(3);
    for campaigner in [1, 2, 1] {
        net.send([hup(campaigner)]);
    }
    assert_eq!(net[1].term, 3);
    let late = Message { term: 2, entries: vec![entry(2, 3)], ..msg(MsgAppend, 2, 1) };
    net.send([late]);
    net.send([propose(1, "some data")]);
    let mut entries = entries_of(&[1, 2, 3]);
    entries.push(data_entry(3, 4, "some data"));
    for raft in net.live() {
        assert_eq!(log_text(raft), text(4, 0, &entries), "peer {}", raft.id);
    }
}

/// R14 TestProposal2AB
#[test]
fn r14_only_a_leader_appends_a_proposal() {
    for &(live, role) in NETWORKS {
        let mut net = Network::of_live(live);
        net.send([hup(1)]);
        net.send([propose(1, "some data")]);
        let expected = if role == Leader {
            text(2, 0, &[entry(1, 1), data_entry(1, 2, "some data")])
        } else {
            text(0, 0, &[])
        };
        for raft in net.live() {
            let what = (raft.id, live);
            assert_eq!(log_text(raft), expected, "peer and who is alive: {what:?}");
        }
        assert_eq!(net[1].term, 1);
    }
}

/// R15 TestHandleMessageType_MsgAppend2AB
#[test]
fn r15_append_checks_prev_and_clamps_commit() {
    struct Row {
        term: u64,
        /// Term and index.
        previous: Id,
        commit: u64,
        entries: &'static [Id],
        /// Last index, commit index, rejected.
        after: (u64, u64, bool),
    }
    let row =
        |term, previous, commit, entries, after| Row { term, previous, commit, entries, after };
    let rows = [
        // The predecessor has another term, or is missing.
        row(3, (3, 2), 3, &[], (2, 0, true)),
        row(3, (3, 3), 3, &[], (2, 0, true)),
        // It matches: the commit index goes as far as the append confirms.
        row(2, (1, 1), 1, &[], (2, 1, false)),
        row(2, (0, 0), 1, &[(2, 1)], (1, 1, false)),
        row(2, (2, 2), 3, &[(2, 3), (2, 4)], (4, 3, false)),
        row(2, (2, 2), 4, &[(2, 3)], (3, 3, false)),
        row(2, (1, 1), 4, &[(2, 2)], (2, 2, false)),
        row(2, (1, 1), 3, &[], (2, 1, false)),
        row(2, (1, 1), 3, &[(2, 2)], (2, 2, false)),
        row(2, (2, 2), 3, &[], (2, 2, false)),
        row(2, (2, 2), 4, &[], (2, 2, false)),
    ];
    for (position, row) in rows.iter().enumerate() {
        let mut raft = on_storage(1, &[1], terms(&[1, 2]));
        raft.become_follower(2, crate::NONE);
        let (log_term, index) = row.previous;
        raft.handle_append(&mut Message {
            term: row.term,
            log_term,
            index,
            commit: row.commit,
            entries: row.entries.iter().map(|&(t, i)| entry(t, i)).collect(),
            ..msg(MsgAppend, 2, 1)
        })
        .unwrap();
        let answers = sent(&mut raft);
        let [answer] = answers.as_slice() else {
            panic!("row {position}: not one answer: {answers:?}");
        };
        assert_eq!(kind(answer), MsgAppendResponse, "row {position}");
        let after = (raft.log.last_index(), raft.log.committed(), answer.reject);
        assert_eq!(after, row.after, "row {position}");
    }
}

/// R21 TestHeartbeatUpdateCommit2AB
#[test]
fn r21_heartbeat_does_not_commit_a_divergent_log() {
    for (lost, kept) in [(1, 1), (5, 3), (5, 10)] {
        let mut net = Network::of(3);
        net.send([hup(1)]);
        net.isolate(1);
        for _ in 0..lost {
            net.send([propose(1, "")]);
        }
        assert!(net[1].log.committed() <= 1);
        net.send([hup(2)]);
        for _ in 0..kept {
            net.send([propose(2, "")]);
        }
        let commits = (net[2].log.committed(), net[3].log.committed());
        assert_eq!(commits, (2 + kept, 2 + kept));
        net.recover();
        net.ignore(MsgAppend);
        net.send([beat(2)]);
        assert_eq!(net[1].leader, 2, "the heartbeat arrived");
        let committed = net[1].log.committed();
        assert!(committed <= 1, "{committed} with {lost} lost, {kept} kept");
    }
}

/// R23 TestLeaderIncreaseNext2AB
#[test]
fn r23_acknowledgement_moves_next_past_what_was_sent() {
    let seats = [on_storage(1, &[1, 2], terms(&[1, 1, 1])).into(), Seat::Fresh, Seat::Fresh];
    let mut net = Network::new(seats);
    net.send([hup(1)]);
    net.send([propose(1, "some data")]);
    // Three old entries, the leader's first one and the proposal.
    assert_eq!(net[1].prs.get(2).unwrap().next, 6);
}
