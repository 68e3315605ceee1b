//! The leader's side of replication (5.3): what it believes about followers, and what it sends.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::Message;
use crate::error::{Error, Malformed};
use crate::tests::harness::*;
use crate::{Config, MemStorage, ProgressState, Raft};

fn ack(from: u64, index: u64) -> Message {
    Message { term: 1, index, ..msg(MsgAppendResponse, from, 1) }
}

fn refusal(from: u64, index: u64, reject_hint: u64) -> Message {
    Message { reject: true, reject_hint, ..ack(from, index) }
}

/// What the leader believes about peer 2: how it sends, what matches, what comes next.
fn view(raft: &TestRaft) -> (ProgressState, u64, u64) {
    let progress = raft.prs.get(2).unwrap();
    (progress.state, progress.matched, progress.next)
}

/// A leader of two whose follower has acknowledged the first entry.
fn replicating() -> TestRaft {
    let mut raft = leader(1, &[1, 2]);
    commit_noop_entry(&mut raft);
    assert_eq!(view(&raft), (ProgressState::Replicate, 1, 2));
    raft
}

fn appends(messages: &[Message]) -> Vec<(u64, u64, usize)> {
    let brief = |m: &Message| {
        assert_eq!(kind(m), MsgAppend);
        (m.to, m.index, m.entries.len())
    };
    messages.iter().map(brief).collect()
}

#[test]
fn direct_new_leader_probes_and_does_not_move_on_before_an_answer() {
    let mut raft = on_storage(1, &[1, 2], terms(&[1, 1, 1]));
    lead(&mut raft);
    assert_eq!(view(&raft), (ProgressState::Probe, 0, 4));
    assert_eq!(appends(&sent(&mut raft)), [(2, 3, 1)]);
    assert_eq!(view(&raft), (ProgressState::Probe, 0, 4));
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(sent(&mut raft), [], "one append at a time");
    raft.step(ack(2, 4)).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 4, 1)]);
    assert_eq!(view(&raft), (ProgressState::Replicate, 4, 6));
}

/// The answer to a probe that was given up must not move the one that is under way.
#[test]
fn direct_stale_refusal_of_a_probe_is_ignored() {
    let mut raft = on_storage(1, &[1, 2], terms(&[1, 1, 1, 1, 1]));
    lead(&mut raft);
    sent(&mut raft);
    assert_eq!(view(&raft), (ProgressState::Probe, 0, 6));
    for index in [4, 6, 0] {
        raft.step(refusal(2, index, 1)).unwrap();
        assert_eq!(view(&raft), (ProgressState::Probe, 0, 6), "{index}");
        assert_eq!(sent(&mut raft), [], "refusal of {index}");
    }
    raft.step(refusal(2, 5, 2)).unwrap();
    assert_eq!(view(&raft), (ProgressState::Probe, 0, 3));
    assert_eq!(appends(&sent(&mut raft)), [(2, 2, 4)]);
    raft.step(refusal(2, 5, 2)).unwrap();
    assert_eq!(sent(&mut raft), [], "the same refusal again");
}

#[test]
fn direct_stale_refusal_while_replicating_is_ignored() {
    let mut raft = replicating();
    raft.step(propose(1, "one")).unwrap();
    sent(&mut raft);
    raft.step(ack(2, 2)).unwrap();
    sent(&mut raft);
    for index in [1, 2] {
        raft.step(refusal(2, index, 0)).unwrap();
        assert_eq!(view(&raft), (ProgressState::Replicate, 2, 3), "{index}");
        assert_eq!(sent(&mut raft), []);
    }
}

#[test]
fn direct_refusal_of_a_lost_append_starts_over_from_what_is_known() {
    let mut raft = replicating();
    for data in ["one", "two"] {
        raft.step(propose(1, data)).unwrap();
        sent(&mut raft);
    }
    assert_eq!(view(&raft), (ProgressState::Replicate, 1, 4));
    // The append of entry 2 was lost, that of entry 3 arrived.
    raft.step(refusal(2, 2, 1)).unwrap();
    assert_eq!(view(&raft), (ProgressState::Probe, 1, 2));
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 2)]);
}

#[test]
fn direct_late_and_repeated_acknowledgements_move_nothing_back() {
    let mut raft = replicating();
    for data in ["one", "two"] {
        raft.step(propose(1, data)).unwrap();
        sent(&mut raft);
    }
    raft.step(ack(2, 3)).unwrap();
    assert_eq!(view(&raft), (ProgressState::Replicate, 3, 4));
    assert_eq!(raft.log.committed(), 3);
    sent(&mut raft);
    for index in [2, 3, 0] {
        raft.step(ack(2, index)).unwrap();
        assert_eq!(view(&raft), (ProgressState::Replicate, 3, 4), "{index}");
        assert_eq!(raft.log.committed(), 3);
        assert_eq!(sent(&mut raft), [], "acknowledgement of {index}");
    }
}

/// It would commit what nobody holds.
#[test]
fn direct_acknowledgement_of_what_the_leader_does_not_have_is_refused() {
    let mut raft = replicating();
    let (index, last) = (2, 1);
    let beyond = Malformed::AckBeyondLog { index, last };
    assert_eq!(raft.step(ack(2, 2)), Err(Error::Malformed(beyond)));
    assert_eq!(view(&raft), (ProgressState::Replicate, 1, 2));
}

#[test]
fn direct_burst_of_proposals_costs_one_append_per_follower() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    for _ in 0..100 {
        raft.step(propose(1, "data")).unwrap();
    }
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 100), (3, 1, 100)]);
}

#[test]
fn direct_appends_are_cut_to_the_size_limit_and_to_the_window() {
    let config = Config { max_size_per_msg: 0, max_inflight_msgs: 2, ..config(1, &[1, 2]) };
    let mut raft = Raft::new(&config, MemStorage::new()).unwrap();
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for _ in 0..4 {
        raft.step(propose(1, "data")).unwrap();
    }
    // However small the limit, each append makes progress.
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 1), (2, 2, 1)]);
    assert_eq!(sent(&mut raft), [], "the window is full");
    raft.step(ack(2, 2)).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 3, 1)]);
    raft.step(ack(2, 4)).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 4, 1)]);
}

/// With a full window and all of it lost, only the answer to a heartbeat tells that the peer is
/// there.
#[test]
fn direct_answered_heartbeat_finds_lost_appends() {
    let mut raft = replicating();
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 1)]);
    let alive = Message { term: 1, ..msg(MsgHeartbeatResponse, 2, 1) };
    raft.step(alive.clone()).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 2, 0)]);
    raft.step(refusal(2, 2, 1)).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 1)]);
    raft.step(ack(2, 2)).unwrap();
    sent(&mut raft);
    raft.step(alive).unwrap();
    assert_eq!(sent(&mut raft), [], "nothing is missing any more");
}

/// One message a follower, and none in answer to the answers: else they would never end.
#[test]
fn direct_commit_index_is_told_to_each_follower_once() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    raft.step(propose(1, "data")).unwrap();
    sent(&mut raft);
    raft.step(ack(2, 2)).unwrap();
    let news = sent(&mut raft);
    // Peer 3 has not answered, but its append was sent: it may commit when it has that.
    assert_eq!(appends(&news), [(2, 2, 0), (3, 2, 0)]);
    assert!(news.iter().all(|m| m.commit == 2));
    for from in [2, 3] {
        raft.step(ack(from, 2)).unwrap();
        assert_eq!(sent(&mut raft), [], "answer of {from}");
    }
}

#[test]
fn direct_unreachable_follower_is_probed_once_and_again_when_it_answers() {
    let mut raft = replicating();
    raft.report_unreachable(2);
    assert_eq!(view(&raft), (ProgressState::Probe, 1, 2));
    assert_eq!(sent(&mut raft), [], "it would be lost");
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 1)]);
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(sent(&mut raft), [], "one probe at a time");
    let alive = Message { term: 1, ..msg(MsgHeartbeatResponse, 2, 1) };
    raft.step(alive).unwrap();
    assert_eq!(appends(&sent(&mut raft)), [(2, 1, 2)]);
}

#[test]
fn direct_answers_of_strangers_change_nothing() {
    let mut raft = replicating();
    raft.step(propose(1, "data")).unwrap();
    sent(&mut raft);
    for answer in [ack(9, 2), refusal(9, 2, 0)] {
        raft.step(answer).unwrap();
        assert_eq!(raft.log.committed(), 1);
        assert_eq!(sent(&mut raft), []);
    }
}

/// What a follower held in an earlier term it may have lost to another leader since.
#[test]
fn direct_leader_believes_nothing_from_its_earlier_terms() {
    let mut raft = leader(1, &[1, 2, 3]);
    raft.step(propose(1, "data")).unwrap();
    raft.step(ack(3, 2)).unwrap();
    assert_eq!(raft.prs.get(3).map(|p| p.matched), Some(2));
    raft.become_follower(2, 2);
    lead(&mut raft);
    let progress = raft.prs.get(3).unwrap();
    let belief = (progress.state, progress.matched, progress.next);
    assert_eq!(belief, (ProgressState::Probe, 0, 3));
    assert_eq!(progress.inflights.count(), 0);
}

/// Figure 8: an entry of an old term that a majority holds is not safe. It becomes so with an
/// entry of the leader's own term, and only then.
#[test]
fn direct_old_entry_on_a_majority_is_not_committed_by_a_heartbeat_either() {
    let mut raft = on_storage(1, &[1, 2, 3], terms(&[1, 2]));
    raft.term = 2;
    lead(&mut raft);
    sent(&mut raft);
    let ack = |from, index| Message { term: 3, ..ack(from, index) };
    for from in [2, 3] {
        raft.step(ack(from, 2)).unwrap();
    }
    sent(&mut raft);
    raft.step(beat(1)).unwrap();
    let commits: Vec<_> = sent(&mut raft).iter().map(|m| m.commit).collect();
    assert_eq!((raft.log.committed(), commits), (0, vec![0, 0]));
    raft.step(ack(2, 3)).unwrap();
    assert_eq!(raft.log.committed(), 3);
}
