//! The follower's side of replication (5.3): what it takes, what it refuses, what it hands on.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{Entry, Message};
use crate::error::{DropReason, Error, Malformed};
use crate::tests::harness::*;
use crate::{Config, Ignored, MemStorage, NONE, Outcome, Raft};

/// Everything that a message may have changed, except the outbox.
fn state(raft: &TestRaft) -> String {
    let timers = (raft.election_elapsed, raft.randomized_election_timeout);
    let hard_state = (raft.term, raft.vote);
    let soft_state = (raft.role, raft.leader);
    let log = log_text(raft);
    let waiting = raft.log.unstable_entries().len();
    format!("{hard_state:?} {soft_state:?} {timers:?} {log} {waiting} unstable")
}

/// A follower of peer 2 in term 3 with four entries, two of them committed.
fn follower() -> TestRaft {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1, 2, 2]));
    raft.log.commit_to(2);
    raft.become_follower(3, 2);
    tick(&mut raft, 4);
    raft
}

/// The choice where TinyKV leaves one: silence. An answer would let old messages cause traffic.
#[test]
fn direct_message_of_an_older_term_changes_nothing_and_gets_no_answer() {
    let kinds = [
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgSnapshot,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgTransferLeader,
        MsgTimeoutNow,
    ];
    for kind in kinds {
        for role in [Follower, PreCandidate, Candidate, Leader] {
            let mut raft = follower();
            match role {
                Follower => {}
                PreCandidate => raft.become_pre_candidate(),
                Candidate => raft.become_candidate(),
                Leader => lead(&mut raft),
            }
            sent(&mut raft);
            let before = state(&raft);
            let message = Message {
                term: 2,
                index: 2,
                log_term: 1,
                commit: 4,
                entries: vec![entry(2, 3)],
                snapshot: Some(snapshot(2, 9, &[1, 2, 3]).into()),
                ..msg(kind, 3, 1)
            };
            raft.step(message).unwrap();
            assert_eq!(state(&raft), before, "{kind:?} at a {role:?}");
            assert_eq!(sent(&mut raft), [], "{kind:?} at a {role:?}");
        }
    }
}

/// A late append may begin before the commit index. It can only repeat what is committed, and its
/// predecessor may be gone.
#[test]
fn direct_append_that_begins_below_the_commit_index_is_confirmed_up_to_it() {
    for (name, compacted) in [("whole", false), ("compacted", true)] {
        for index in 0..=2 {
            let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1, 2, 2]));
            raft.log.commit_to(3);
            raft.log.applied_to(3);
            raft.become_follower(3, 2);
            if compacted {
                raft.log.storage_mut().compact(2).unwrap();
            }
            let before = log_text(&raft);
            // No leader ever sends such entries: the committed ones are safe all the same.
            let append = Message {
                term: 3,
                index,
                log_term: index.min(1),
                entries: (index + 1..=3).map(|index| entry(3, index)).collect(),
                commit: 1,
                ..msg(MsgAppend, 2, 1)
            };
            raft.step(append).unwrap();
            let answers = sent(&mut raft);
            assert_eq!(kinds(&answers), [MsgAppendResponse]);
            let answer = (answers[0].index, answers[0].reject);
            assert_eq!(answer, (3, false), "{name} log, append after {index}");
            assert_eq!(log_text(&raft), before, "{name} log, append after {index}");
        }
    }
}

/// The first entries of a late append may be compacted while its predecessor is the last one that
/// is known.
#[test]
fn direct_append_at_the_truncated_entry_is_checked_against_its_term() {
    for (log_term, accepted) in [(1, true), (2, false)] {
        let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 1, 2, 2]));
        raft.log.commit_to(2);
        raft.log.applied_to(2);
        raft.become_follower(3, 2);
        raft.log.storage_mut().compact(2).unwrap();
        let append = Message {
            term: 3,
            index: 2,
            log_term,
            entries: vec![entry(3, 3)],
            ..msg(MsgAppend, 2, 1)
        };
        raft.step(append).unwrap();
        assert_eq!(sent(&mut raft)[0].reject, !accepted);
        let log = raft.log.all_entries().unwrap();
        let expected: &[Entry] = match accepted {
            true => &[entry(3, 3)],
            false => &[entry(2, 3), entry(2, 4)],
        };
        assert_eq!(log, expected);
    }
}

#[test]
fn direct_commit_index_never_goes_back() {
    let append = |index, log_term, entries, commit| Message {
        term: 3,
        index,
        log_term,
        entries,
        commit,
        ..msg(MsgAppend, 2, 1)
    };
    let heartbeat = Message { term: 3, commit: 1, ..msg(MsgHeartbeat, 2, 1) };
    let messages = [
        append(4, 2, vec![], 1),
        append(4, 2, vec![entry(3, 5)], 0),
        append(3, 2, vec![entry(2, 4)], 2),
        heartbeat,
    ];
    for message in messages {
        let mut raft = follower();
        raft.log.commit_to(3);
        raft.step(message.clone()).unwrap();
        assert_eq!(raft.log.committed(), 3, "after {message:?}");
    }
}

/// A new leader may not know yet that a member has left, and the member that the others know. It
/// would wait for that member's acknowledgement for ever.
#[test]
fn direct_new_leader_hears_from_followers_what_is_committed() {
    for (share_commit, first, second) in [(true, 2, 3), (false, 0, 0)] {
        let config = Config { share_commit, ..config(1, &[1, 2, 3, 4, 5]) };
        let mut raft = Raft::new(&config, terms(&[1, 1, 2])).unwrap();
        lead(&mut raft);
        let term = raft.term;
        let answer = |kind, index, commit| Message { term, index, commit, ..msg(kind, 2, 1) };
        raft.step(answer(MsgHeartbeatResponse, 0, 3)).unwrap();
        assert_eq!(raft.log.committed(), 0, "nobody knows what the follower holds");
        raft.step(answer(MsgAppendResponse, 2, 3)).unwrap();
        assert_eq!(raft.log.committed(), first, "not beyond what both hold");
        raft.step(answer(MsgAppendResponse, 3, 0)).unwrap();
        raft.step(answer(MsgHeartbeatResponse, 0, 3)).unwrap();
        assert_eq!(raft.log.committed(), second);
    }
}

/// Nothing was compared beyond the append: a tail of an older leader may stand there.
#[test]
fn direct_heartbeat_commit_beyond_the_log_commits_nothing_and_is_answered() {
    let mut raft = follower();
    let heartbeat = Message { term: 3, commit: 99, ..msg(MsgHeartbeat, 2, 1) };
    let reason = Ignored::CommitBeyondLog { commit: 99, last: 4 };
    assert_eq!(raft.step(heartbeat), Ok(Outcome::Ignored(reason)));
    assert_eq!(raft.log.committed(), 2);
    let answer = Message { term: 3, ..msg(MsgHeartbeatResponse, 1, 2) };
    assert_eq!(sent(&mut raft), [answer]);
}

#[test]
fn direct_follower_hands_a_proposal_on_and_appends_nothing() {
    let mut raft = follower();
    let before = state(&raft);
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(state(&raft), before);
    let forwarded = Message { from: 1, to: 2, ..propose(1, "data") };
    assert_eq!(sent(&mut raft), [forwarded], "without a term, to the leader");
}

#[test]
fn direct_proposal_without_a_way_to_the_leader_is_dropped() {
    let no_forwarding = Config { forward_proposals: false, ..config(1, &[1, 2, 3]) };
    let rows = [
        (config(1, &[1, 2, 3]), NONE, DropReason::NoLeader),
        (no_forwarding, 2, DropReason::ForwardingDisabled(2)),
    ];
    for (config, leader, reason) in rows {
        let mut raft = Raft::new(&config, MemStorage::new()).unwrap();
        raft.become_follower(1, leader);
        let dropped = Err(Error::ProposalDropped(reason));
        assert_eq!(raft.step(propose(1, "data")), dropped);
        assert_eq!(raft.log.last_index(), 0);
        assert_eq!(sent(&mut raft), []);
    }
}

/// As etcd TestProposalByProxy.
#[test]
fn direct_proposal_at_a_follower_commits_everywhere() {
    for live in [[true, true, true], [true, true, false]] {
        let mut net = Network::of_live(&live);
        net.send([hup(1)]);
        net.send([propose(2, "data")]);
        let expected = text(2, 0, &[entry(1, 1), data_entry(1, 2, "data")]);
        for raft in net.live() {
            assert_eq!(log_text(raft), expected, "peer {}", raft.id);
        }
    }
}

/// The hint lets the leader skip all entries that cannot match, a term at a time.
#[test]
fn direct_refusal_says_where_the_logs_may_agree() {
    // Follower's log; predecessor's term and index; hint's term and index.
    let rows: &[(&[u64], Id, Id)] = &[
        (&[1, 1, 1], (3, 9), (1, 3)),
        (&[1, 1, 3, 3, 3], (2, 5), (1, 2)),
        (&[1, 2, 2, 3], (1, 4), (1, 1)),
        (&[4, 4], (3, 2), (0, 0)),
        (&[], (1, 1), (0, 0)),
    ];
    for &(log, (log_term, index), hint) in rows {
        let mut raft = on_storage(1, &[1, 2, 3], terms(log));
        raft.become_follower(5, 2);
        let append = Message { term: 5, log_term, index, ..msg(MsgAppend, 2, 1) };
        raft.step(append).unwrap();
        let refusal = Message {
            term: 5,
            reject: true,
            index,
            log_term: hint.0,
            reject_hint: hint.1,
            ..msg(MsgAppendResponse, 1, 2)
        };
        assert_eq!(sent(&mut raft), [refusal], "log {log:?}, append after {index}");
    }
}

/// One entry a round would be correct too, and much too slow for a lossy network.
#[test]
fn direct_long_conflict_is_settled_in_a_round_per_term() {
    let log = |tail: &[(u64, usize)]| {
        let mut log = vec![1];
        for &(term, count) in tail {
            log.extend(core::iter::repeat_n(term, count));
        }
        terms(&log)
    };
    let peer = |id, term, storage| {
        let mut raft = on_storage(id, &[1, 2], storage);
        raft.become_follower(term, NONE);
        raft
    };
    let mut net = Network::given([
        peer(1, 7, log(&[(4, 50), (6, 50)])),
        peer(2, 5, log(&[(2, 40), (3, 40), (5, 40)])),
    ]);
    net.send([hup(1)]);
    assert_eq!(log_text(&net[2]), log_text(&net[1]));
    let refusals =
        net.delivered.iter().filter(|m| kind(m) == MsgAppendResponse && m.reject).count();
    assert!((1..=3).contains(&refusals), "{refusals} refusals");
}

#[test]
fn direct_append_that_no_leader_sends_is_refused_by_name() {
    let order = |found, expected| Malformed::EntryOrder { found, expected };
    let rows: &[(u64, &[Id], Malformed)] = &[
        (4, &[(3, 6)], order(6, 5)),
        (4, &[(3, 5), (3, 5)], order(5, 6)),
        (4, &[(3, 4)], order(4, 5)),
        (4, &[(3, 0)], order(0, 5)),
        (u64::MAX, &[], Malformed::IndexRange(u64::MAX)),
        (u64::MAX - 1, &[(3, 5)], Malformed::IndexRange(u64::MAX - 1)),
    ];
    for &(index, entries, expected) in rows {
        let mut raft = follower();
        let log = log_text(&raft);
        let append = Message {
            term: 3,
            index,
            log_term: 2,
            entries: entries.iter().map(|&(t, i)| entry(t, i)).collect(),
            ..msg(MsgAppend, 2, 1)
        };
        let refused = Err(Error::Malformed(expected));
        assert_eq!(raft.step(append), refused, "after {index}: {entries:?}");
        assert_eq!((log_text(&raft), sent(&mut raft)), (log, Vec::new()));
    }
}

#[test]
fn direct_append_whose_terms_go_back_or_ahead_is_refused() {
    // The predecessor has term 2 and the message term 3.
    for (entries, index, term, min) in [
        (vec![entry(1, 5)], 5, 1, 2),
        (vec![entry(4, 5)], 5, 4, 2),
        (vec![entry(3, 5), entry(2, 6)], 6, 2, 3),
    ] {
        let mut raft = follower();
        let append = Message { term: 3, index: 4, log_term: 2, entries, ..msg(MsgAppend, 2, 1) };
        let max = 3;
        let expected = Malformed::EntryTerm { index, term, min, max };
        assert_eq!(raft.step(append), Err(Error::Malformed(expected)));
        assert_eq!(raft.log.last_index(), 4);
    }
}
