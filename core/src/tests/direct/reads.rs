//! Reads that see every write acknowledged before them (section 8, thesis 6.4): by asking a quorum.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::eraftpb::{Entry, HardState, Message};
use crate::error::{DropReason, Error, Malformed};
use crate::tests::harness::*;
use crate::{DroppedRead, Ignored, Outcome, ReadState};

/// A read of the application of peer `at`.
fn read(at: u64, context: &'static str) -> Message {
    Message { from: 0, ..read_from(at, at, context) }
}

/// A read that peer `from` has handed on to peer `to`.
fn read_from(from: u64, to: u64, context: &'static str) -> Message {
    Message { entries: vec![data_entry(0, 0, context)], ..msg(MsgReadIndex, from, to) }
}

fn state(index: u64, context: &'static str) -> ReadState {
    ReadState { index, context: Bytes::from_static(context.as_bytes()) }
}

fn states(raft: &mut TestRaft) -> Vec<ReadState> {
    core::mem::take(&mut raft.read_states)
}

/// The answer of peer `from` to a heartbeat.
fn echo(from: u64, heartbeat: &Message) -> Message {
    let (term, context) = (heartbeat.term, heartbeat.context.clone());
    Message { term, context, ..msg(MsgHeartbeatResponse, from, heartbeat.from) }
}

fn heartbeats(raft: &mut TestRaft) -> Vec<Message> {
    sent(raft).into_iter().filter(|m| kind(m) == MsgHeartbeat).collect()
}

/// A leader of so many with its first entry committed and nothing to say.
fn settled_leader(peers: &[u64]) -> TestRaft {
    let mut raft = leader(1, peers);
    commit_noop_entry(&mut raft);
    raft
}

/// etcd TestReadOnlyOptionSafe: a read at any peer sees everything proposed before it.
#[test]
fn direct_read_at_any_peer_sees_all_writes_before_it() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    let mut last = 1;
    for (at, context) in
        [(1, "ctx1"), (2, "ctx2"), (3, "ctx3"), (1, "ctx4"), (2, "ctx5"), (3, "ctx6")]
    {
        for _ in 0..10 {
            net.send([propose(1, "data")]);
        }
        last += 10;
        net.send([read(at, context)]);
        assert_eq!(states(&mut net[at]), [state(last, context)], "at {at}");
        for other in 1..=3 {
            assert_eq!(states(&mut net[other]), []);
        }
    }
}

/// etcd TestReadOnlyWithLearner: a learner hands its reads on.
#[test]
fn direct_read_at_a_learner_is_answered_by_the_leader() {
    let peer = |id| on_storage(id, &[], members_of(&[1], &[2]));
    let mut net = Network::given([peer(1), peer(2)]);
    net.send([hup(1)]);
    for (at, index) in [(1, 11), (2, 21), (1, 31), (2, 41)] {
        for _ in 0..10 {
            net.send([propose(1, "data")]);
        }
        net.send([read(at, "ctx")]);
        assert_eq!(states(&mut net[at]), [state(index, "ctx")]);
    }
}

/// A minority cannot confirm that its leader still leads.
#[test]
fn direct_read_of_a_leader_that_is_cut_off_is_not_answered() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    net.isolate(1);
    net.send([read(1, "ctx")]);
    assert_eq!(states(&mut net[1]), []);
    net.recover();
    net.send([beat(1)]);
    assert_eq!(states(&mut net[1]), [state(1, "ctx")], "any later heartbeat will do");
}

/// etcd TestReadOnlyForNewLeader and issue 7331: what a predecessor acknowledged may not be known
/// to be committed before the leader's own first entry is.
#[test]
fn direct_read_waits_for_the_new_leaders_first_commit() {
    let peer = |id, commit| {
        let mut storage = members_of(&[1, 2, 3], &[]);
        storage.append(&entries_of(&[1, 1])).unwrap();
        storage.set_hard_state(HardState { term: 1, commit, ..HardState::default() });
        on_storage(id, &[], storage)
    };
    let mut net = Network::given([peer(1, 1), peer(2, 2), peer(3, 2)]);
    net.ignore(MsgAppend);
    net.send([hup(1)]);
    assert_eq!((net[1].role, net[1].log.committed()), (Leader, 1));
    net.send([read(1, "early"), read_from(2, 1, "early too")]);
    assert_eq!(states(&mut net[1]), []);
    net.recover();
    net.send([beat(1)]);
    assert_eq!(net[1].log.committed(), 3);
    assert_eq!(states(&mut net[1]), [state(3, "early")]);
    assert_eq!(states(&mut net[2]), [state(3, "early too")]);
    net.send([read(1, "late")]);
    assert_eq!(states(&mut net[1]), [state(3, "late")]);
}

/// The same for a lone voter: its vote is not enough (etcd issue 7331 and raft-rs).
#[test]
fn direct_read_of_a_lone_voter_waits_for_its_first_commit_too() {
    let careful = |config: &mut crate::Config| config.self_ack = crate::SelfAck::OnPersist;
    let mut storage = members_of(&[1], &[]);
    storage.append(&entries_of(&[1, 1])).unwrap();
    storage.set_hard_state(HardState { term: 1, commit: 1, ..HardState::default() });
    let mut config = config(1, &[]);
    careful(&mut config);
    let mut node = crate::RawNode::new(&config, storage).unwrap();
    node.campaign().unwrap();
    turn(&mut node);
    assert_eq!((node.raft().role(), node.raft().log().committed()), (Leader, 1));
    node.read_index("ctx").unwrap();
    let first = turn(&mut node);
    assert_eq!(first.read_states, [], "entry 2 may have been acknowledged");
    let second = turn(&mut node);
    assert_eq!(second.read_states, [state(3, "ctx")]);
}

/// etcd TestRaftFreesReadOnlyMem (issue 7571)
#[test]
fn direct_answered_reads_leave_nothing_behind() {
    let mut raft = settled_leader(&[1, 2]);
    for _ in 0..1000 {
        raft.step(read_from(2, 1, "ctx")).unwrap();
        let beats = heartbeats(&mut raft);
        assert_eq!((beats.len(), raft.reads.len()), (1, 1));
        raft.step(echo(2, &beats[0])).unwrap();
        assert_eq!(raft.reads.len(), 0);
        assert_eq!(kinds(&sent(&mut raft)), [MsgReadIndexResp]);
    }
    assert_eq!(heartbeats(&mut raft), []);
    raft.step(beat(1)).unwrap();
    assert_eq!(heartbeats(&mut raft)[0].context, Bytes::new(), "nothing is asked any more");
}

/// One round confirms all reads before it.
#[test]
fn direct_burst_of_reads_costs_one_round_of_heartbeats() {
    let mut raft = settled_leader(&[1, 2, 3]);
    for _ in 0..50 {
        raft.step(read(1, "ctx")).unwrap();
    }
    let beats = heartbeats(&mut raft);
    assert_eq!(beats.iter().map(|m| m.to).collect::<Vec<_>>(), [2, 3]);
    raft.step(echo(3, &beats[1])).unwrap();
    assert_eq!(states(&mut raft).len(), 50);
}

/// A later read is not confirmed by the answer to an earlier heartbeat.
#[test]
fn direct_late_answer_confirms_only_what_was_asked_before_it() {
    let mut raft = settled_leader(&[1, 2, 3]);
    raft.step(read(1, "first")).unwrap();
    let earlier = heartbeats(&mut raft).remove(0);
    raft.step(read(1, "second")).unwrap();
    let later = heartbeats(&mut raft).remove(0);
    raft.step(echo(2, &earlier)).unwrap();
    assert_eq!(states(&mut raft), [state(1, "first")]);
    raft.step(echo(3, &earlier)).unwrap();
    assert_eq!(states(&mut raft), []);
    raft.step(echo(3, &later)).unwrap();
    assert_eq!(states(&mut raft), [state(1, "second")]);
}

/// A learner's echo is no voter's.
#[test]
fn direct_learners_confirm_no_reads() {
    let mut raft = on_storage(1, &[], members_of(&[1, 2], &[3]));
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    raft.step(read(1, "ctx")).unwrap();
    let beats = heartbeats(&mut raft);
    raft.step(echo(3, &beats[1])).unwrap();
    assert_eq!(states(&mut raft), []);
    raft.step(echo(2, &beats[0])).unwrap();
    assert_eq!(states(&mut raft), [state(1, "ctx")]);
}

/// The echo of a round that was never sent: a liar's, or noise.
#[test]
fn direct_bogus_echo_confirms_nothing() {
    let mut raft = settled_leader(&[1, 2, 3]);
    raft.step(read(1, "ctx")).unwrap();
    let beat = heartbeats(&mut raft).remove(0);
    for bogus in [u64::MAX, 2] {
        let context = Bytes::copy_from_slice(&bogus.to_le_bytes());
        raft.step(Message { context, ..echo(2, &beat) }).unwrap();
        assert_eq!(states(&mut raft), [], "{bogus}");
    }
    let garbled = Message { context: "ctx".into(), ..echo(2, &beat) };
    raft.step(garbled).unwrap();
    assert_eq!(states(&mut raft), []);
    // And it has not spoilt what comes later.
    raft.step(read(1, "next")).unwrap();
    let next = heartbeats(&mut raft).remove(0);
    raft.step(echo(3, &next)).unwrap();
    assert_eq!(states(&mut raft), [state(1, "ctx"), state(1, "next")]);
}

/// Who waits is told; who asked from elsewhere asks again.
#[test]
fn direct_reads_come_back_when_leadership_is_lost() {
    let mut node = crate::RawNode::new(&config(1, &[1, 2, 3]), crate::MemStorage::new()).unwrap();
    node.campaign().unwrap();
    node.step(vote_answer(2, 1, true)).unwrap();
    settle(&mut node);
    node.read_index("postponed").unwrap();
    node.step(Message { term: 1, index: 1, ..msg(MsgAppendResponse, 2, 1) }).unwrap();
    node.read_index("pending").unwrap();
    node.step(read_from(2, 1, "of another")).unwrap();
    node.step(Message { term: 2, ..msg(MsgHeartbeat, 3, 1) }).unwrap();
    let dropped = |context: &'static str| DroppedRead {
        reason: DropReason::LeadershipLost,
        context: context.into(),
    };
    assert_eq!(turn(&mut node).dropped_reads, [dropped("postponed"), dropped("pending")]);
    assert!(!node.has_ready());
}

/// The queue is bounded, whoever fills it.
#[test]
fn direct_reads_beyond_the_limit_are_refused_with_the_reason() {
    let mut raft = peer_with(1, &[1, 2, 3], |config| config.max_pending_reads = 3);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for _ in 0..3 {
        raft.step(read_from(2, 1, "ctx")).unwrap();
    }
    let refused = Error::ReadDropped(DropReason::TooManyReads(3));
    assert_eq!(raft.step(read(1, "ctx")), Err(refused.clone()));
    assert_eq!(raft.step(read_from(3, 1, "ctx")), Err(refused));
    let beats = heartbeats(&mut raft);
    raft.step(echo(2, &beats[0])).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgReadIndexResp; 3]);
    raft.step(read(1, "ctx")).unwrap();
}

/// A smaller quorum may have answered already.
#[test]
fn direct_reads_are_counted_again_when_the_quorum_shrinks() {
    let mut raft = settled_leader(&[1, 2, 3, 4, 5]);
    raft.step(read(1, "ctx")).unwrap();
    let beat = heartbeats(&mut raft).remove(0);
    raft.step(echo(2, &beat)).unwrap();
    assert_eq!(states(&mut raft), []);
    for id in [5, 4] {
        remove_node(&mut raft, id);
    }
    assert_eq!(states(&mut raft), [state(1, "ctx")]);
}

/// In a joint configuration the old voters and the new ones must confirm.
#[test]
fn direct_joint_configuration_confirms_reads_with_both_halves() {
    let mut raft = settled_leader(&[1, 2, 3]);
    let mut next = raft.prs.clone();
    next.configuration.voters.outgoing = [1, 4, 5].into_iter().collect();
    for id in [4, 5] {
        next.insert(id, 2, false);
    }
    raft.switch_to(next).unwrap();
    raft.step(read(1, "ctx")).unwrap();
    let beat = heartbeats(&mut raft).remove(0);
    raft.step(echo(2, &beat)).unwrap();
    assert_eq!(states(&mut raft), []);
    raft.step(echo(4, &beat)).unwrap();
    assert_eq!(states(&mut raft), [state(1, "ctx")]);
}

/// Whoever holds the entry of the leader's term may commit it with the answer.
#[test]
fn direct_answer_to_a_read_brings_the_commit_index() {
    let mut raft = fresh(2, &[1, 2, 3]);
    raft.step(Message { term: 1, entries: entries_of(&[1]), ..msg(MsgAppend, 1, 2) }).unwrap();
    let answer = Message { term: 1, index: 1, ..read_from(1, 2, "ctx") };
    raft.step(Message { msg_type: MsgReadIndexResp.into(), ..answer }).unwrap();
    assert_eq!((raft.log.committed(), states(&mut raft)), (1, vec![state(1, "ctx")]));
}

/// Without a leader there is nobody to ask; nobody is asked in a circle.
#[test]
fn direct_read_that_nobody_can_answer_is_refused_by_name() {
    let mut raft = fresh(1, &[1, 2, 3]);
    let dropped = Error::ReadDropped(DropReason::NoLeader);
    assert_eq!(raft.step(read(1, "ctx")), Err(dropped.clone()));
    let no_leader = Outcome::Ignored(Ignored::NoLeader(MsgReadIndex));
    assert_eq!(raft.step(read_from(2, 1, "ctx")), Ok(no_leader.clone()));
    raft.become_follower(1, 2);
    assert_eq!(raft.step(read_from(2, 1, "ctx")), Ok(no_leader), "2 would send it back");
    raft.step(read_from(3, 1, "ctx")).unwrap();
    assert_eq!(sent(&mut raft), [read_from(3, 2, "ctx")]);
    raft.become_candidate();
    assert_eq!(raft.step(read(1, "ctx")), Err(dropped));
}

/// raft-rs panics.
#[test]
fn direct_read_without_its_entry_is_refused_by_name() {
    for entries in [vec![], vec![Entry::default(); 2]] {
        let count = entries.len();
        let mut raft = settled_leader(&[1, 2, 3]);
        let request = Message { entries: entries.clone(), ..msg(MsgReadIndex, 2, 1) };
        assert_eq!(raft.step(request), Err(Error::Malformed(Malformed::ReadEntries(count))));
        let mut follower = fresh(1, &[1, 2, 3]);
        let answer = Message { term: 1, entries, ..msg(MsgReadIndexResp, 2, 1) };
        let ignored = Outcome::Ignored(Ignored::ReadWithoutContext(count));
        assert_eq!(follower.step(answer), Ok(ignored));
        assert_eq!(states(&mut follower), []);
    }
}

/// A leader that is no voter any more is not alone because one voter is left.
#[test]
fn direct_leader_that_lost_its_vote_asks_the_only_voter() {
    let mut raft = peer_with(1, &[1, 2], |config| config.step_down_on_removal = false);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    remove_node(&mut raft, 1);
    assert_eq!(raft.role, Leader);
    raft.step(read(1, "ctx")).unwrap();
    assert_eq!(states(&mut raft), []);
    let beat = heartbeats(&mut raft).remove(0);
    raft.step(echo(2, &beat)).unwrap();
    assert_eq!(states(&mut raft), [state(1, "ctx")]);
}
