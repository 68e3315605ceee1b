//! P15–P22 and P25: log replication and commit (5.3, 5.4.2).

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{HardState, Message};
use crate::tests::harness::*;

const DATA: &str = "some data";

/// P15 TestLeaderStartReplication2AB
#[test]
fn p15_leader_appends_a_proposal_and_sends_it_to_all() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    let last = raft.log.last_index();
    raft.step(propose(1, DATA)).unwrap();
    assert_eq!(raft.log.last_index(), last + 1);
    assert_eq!(raft.log.committed(), last);
    let entries = vec![data_entry(1, last + 1, DATA)];
    let append = |to| Message {
        term: 1,
        index: last,
        log_term: 1,
        entries: entries.clone(),
        commit: last,
        ..msg(MsgAppend, 1, to)
    };
    assert_eq!(sent(&mut raft), [append(2), append(3)]);
    assert_eq!(raft.log.unstable_entries(), entries);
}

/// P16 TestLeaderCommitEntry2AB
#[test]
fn p16_leader_commits_what_a_majority_holds_and_tells_each_follower_once() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    let last = raft.log.last_index();
    raft.step(propose(1, DATA)).unwrap();
    for append in sent(&mut raft) {
        raft.step(accept_and_reply(&append)).unwrap();
    }
    assert_eq!(raft.log.committed(), last + 1);
    assert_eq!(next_ents(&mut raft), [data_entry(1, last + 1, DATA)]);
    let news: Vec<_> = sent(&mut raft).iter().map(|m| (kind(m), m.to, m.commit)).collect();
    assert_eq!(news, [(MsgAppend, 2, last + 1), (MsgAppend, 3, last + 1)]);
}

/// P17 TestLeaderAcknowledgeCommit2AB
#[test]
fn p17_entry_commits_once_a_majority_acknowledged_it() {
    let rows: &[(u64, &[u64], bool)] = &[
        (1, &[], true),
        (3, &[], false),
        (3, &[2], true),
        (3, &[2, 3], true),
        (5, &[], false),
        (5, &[2], false),
        (5, &[2, 3], true),
        (5, &[2, 3, 4], true),
        (5, &[2, 3, 4, 5], true),
    ];
    for &(size, acceptors, committed) in rows {
        let mut raft = leader(1, &ids(size));
        commit_noop_entry(&mut raft);
        let last = raft.log.last_index();
        raft.step(propose(1, DATA)).unwrap();
        for append in sent(&mut raft) {
            if acceptors.contains(&append.to) {
                raft.step(accept_and_reply(&append)).unwrap();
            }
        }
        let expected = last + u64::from(committed);
        let found = raft.log.committed();
        assert_eq!(found, expected, "{size} peers, acceptors {acceptors:?}");
    }
}

/// P18 TestLeaderCommitPrecedingEntries2AB
#[test]
fn p18_entries_of_older_terms_commit_with_one_of_the_leaders_own() {
    let rows: &[&[u64]] = &[&[], &[2], &[1, 2], &[1]];
    for &log in rows {
        let mut raft = on_storage(1, &[1, 2, 3], terms(log));
        raft.term = 2;
        lead(&mut raft);
        raft.step(propose(1, DATA)).unwrap();
        for append in sent(&mut raft) {
            raft.step(accept_and_reply(&append)).unwrap();
        }
        let after = log.len() as u64 + 1;
        let mut expected = entries_of(log);
        expected.extend([entry(3, after), data_entry(3, after + 1, DATA)]);
        assert_eq!(next_ents(&mut raft), expected, "log {log:?}");
    }
}

/// P19 TestFollowerCommitEntry2AB
#[test]
fn p19_follower_commits_as_far_as_the_leader_says() {
    let rows: &[(&[&'static str], u64)] = &[
        (&["some data"], 1),
        (&["some data", "some data2"], 2),
        (&["some data2", "some data"], 2),
        (&["some data", "some data2"], 1),
    ];
    for &(data, commit) in rows {
        let mut raft = fresh(1, &[1, 2, 3]);
        raft.become_follower(1, 2);
        let indices = 1..;
        let entries: Vec<_> =
            indices.zip(data).map(|(index, data)| data_entry(1, index, data)).collect();
        let append = Message { term: 1, entries: entries.clone(), commit, ..msg(MsgAppend, 2, 1) };
        raft.step(append).unwrap();
        assert_eq!(raft.log.committed(), commit, "entries {data:?}");
        let expected: Vec<_> = entries.into_iter().filter(|e| e.index <= commit).collect();
        assert_eq!(next_ents(&mut raft), expected, "commit {commit}");
    }
}

/// P20 TestFollowerCheckMessageType_MsgAppend2AB
#[test]
fn p20_follower_refuses_an_append_whose_predecessor_it_lacks() {
    let rows = [(0, 0, true), (1, 1, true), (2, 2, true), (1, 2, false), (3, 3, false)];
    for (log_term, index, accepted) in rows {
        let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
        raft.log.commit_to(1);
        raft.become_follower(2, 2);
        let append = Message { term: 2, log_term, index, ..msg(MsgAppend, 2, 1) };
        raft.step(append).unwrap();
        let answers: Vec<_> =
            sent(&mut raft).iter().map(|m| (kind(m), m.from, m.to, m.term, m.reject)).collect();
        let expected = (MsgAppendResponse, 1, 2, 2, !accepted);
        assert_eq!(answers, [expected], "predecessor {index}@{log_term}");
    }
}

/// P21 TestFollowerAppendEntries2AB
#[test]
fn p21_follower_replaces_what_conflicts_and_keeps_what_agrees() {
    struct Row {
        previous: Id,
        term: u64,
        entries: &'static [Id],
        log: &'static [u64],
        unstable: &'static [Id],
    }
    let rows = [
        Row { previous: (2, 2), term: 3, entries: &[(3, 3)], log: &[1, 2, 3], unstable: &[(3, 3)] },
        Row {
            previous: (1, 1),
            term: 4,
            entries: &[(3, 2), (4, 3)],
            log: &[1, 3, 4],
            unstable: &[(3, 2), (4, 3)],
        },
        Row { previous: (0, 0), term: 2, entries: &[(1, 1)], log: &[1, 2], unstable: &[] },
        Row { previous: (0, 0), term: 3, entries: &[(3, 1)], log: &[3], unstable: &[(3, 1)] },
    ];
    let entries = |ids: &[Id]| ids.iter().map(|&(t, i)| entry(t, i)).collect::<Vec<_>>();
    for row in rows {
        let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
        raft.become_follower(2, 2);
        let (log_term, index) = row.previous;
        let append = Message {
            term: row.term,
            log_term,
            index,
            entries: entries(row.entries),
            ..msg(MsgAppend, 2, 1)
        };
        raft.step(append).unwrap();
        let what = row.entries;
        let log = raft.log.all_entries().unwrap();
        assert_eq!(log, entries_of(row.log), "log after {what:?}");
        let unstable = raft.log.unstable_entries();
        assert_eq!(unstable, entries(row.unstable), "unstable after {what:?}");
    }
}

/// P22 TestLeaderSyncFollowerLog2AB
#[test]
fn p22_leader_repairs_every_log_of_figure_7() {
    const LEADER: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let rows: &[(char, &[u64])] = &[
        ('a', &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
        ('b', &[1, 1, 1, 4]),
        ('c', &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
        ('d', &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
        ('e', &[1, 1, 1, 4, 4, 4, 4]),
        ('f', &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
    ];
    let peer = |id, log: &[u64], hard_state| {
        let mut storage = terms(log);
        storage.set_hard_state(hard_state);
        on_storage(id, &[1, 2, 3], storage).into()
    };
    for &(scene, log) in rows {
        let (term, commit) = (8, LEADER.len() as u64);
        let leads = HardState { term, commit, ..HardState::default() };
        let follows = HardState { term: term - 1, ..HardState::default() };
        let seats = [peer(1, LEADER, leads), peer(2, log, follows), Seat::BlackHole];
        let mut net = Network::new(seats);
        net.send([hup(1)]);
        // In scene d peer 2 refuses its vote: its last term is newer. Peer 3's is enough.
        net.send([vote_answer(3, term + 1, true)]);
        assert_eq!(net[1].role, Leader, "figure 7 {scene}");
        net.send([propose(1, "")]);
        assert_eq!(net[1].log.last_index(), commit + 2, "figure 7 {scene}");
        assert_eq!(log_text(&net[2]), log_text(&net[1]), "figure 7 {scene}");
        assert_eq!(net[2].log.committed(), commit + 2, "figure 7 {scene}");
    }
}

/// P25 TestLeaderOnlyCommitsLogFromCurrentTerm2AB
#[test]
fn p25_leader_counts_only_entries_of_its_own_term() {
    for (acknowledged, committed) in [(1, 0), (2, 0), (3, 3)] {
        let mut raft = on_storage(1, &[1, 2], terms(&[1, 2]));
        raft.term = 2;
        lead(&mut raft);
        sent(&mut raft);
        raft.step(propose(1, "")).unwrap();
        let answer = Message { term: 3, index: acknowledged, ..msg(MsgAppendResponse, 2, 1) };
        raft.step(answer).unwrap();
        let found = raft.log.committed();
        assert_eq!(found, committed, "follower holds {acknowledged}");
    }
}
