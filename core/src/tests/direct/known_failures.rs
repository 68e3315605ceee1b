//! What other implementations of Raft got wrong, or still do, each as a scene that is right here.
//! The first ten are single messages that end a process in raft-rs 0.7, or harm the peer.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    HardState, Message, Snapshot, SnapshotMetadata,
};
use crate::error::{DropReason, Error, Malformed};
use crate::tests::harness::*;
use crate::{Config, Ignored, MemStorage, Outcome, ProgressState, RawNode, SelfAck};

/// A follower of peer 2 in term 1, with two entries of which one is committed.
fn follower() -> TestNode {
    let mut storage = terms(&[1, 1]);
    storage.set_hard_state(HardState { term: 1, vote: 2, commit: 1 });
    let mut node = RawNode::new(&config(1, &[1, 2, 3]), storage).unwrap();
    node.step(Message { term: 1, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    settle(&mut node);
    node
}

/// A leader of three in term 1 whose first entry is committed.
fn leading() -> TestNode {
    let mut node = node(1, &[1, 2, 3]);
    node.campaign().unwrap();
    node.step(vote_answer(2, 1, true)).unwrap();
    settle(&mut node);
    node.step(ack(2, 1)).unwrap();
    settle(&mut node);
    node
}

fn ack(from: u64, index: u64) -> Message {
    Message { term: 1, index, ..msg(MsgAppendResponse, from, 1) }
}

/// The message is refused with this reason, by all kinds of peers, and leaves no trace.
fn refused(message: &Message, reason: Malformed) {
    for mut node in [follower(), leading()] {
        let before = (node.raft().hard_state(), node.raft().soft_state(), log_text(node.raft()));
        assert_eq!(node.step(message.clone()), Err(Error::Malformed(reason)));
        let after = (node.raft().hard_state(), node.raft().soft_state(), log_text(node.raft()));
        assert_eq!(before, after);
        assert!(!node.has_ready());
    }
}

/// raft-rs panics in `commit_to`; etcd issues 10166, 16220, 17081.
#[test]
fn hostile_01_heartbeat_commits_beyond_the_log() {
    let mut node = follower();
    let committed = node.raft().log().committed();
    let outcome = node.step(Message { term: 1, commit: 1_000, ..msg(MsgHeartbeat, 2, 1) });
    let reason = Ignored::CommitBeyondLog { commit: 1_000, last: 2 };
    assert_eq!(outcome, Ok(Outcome::Ignored(reason)));
    assert_eq!(node.raft().log().committed(), committed);
    assert_eq!(kinds(&settle(&mut node)), [MsgHeartbeatResponse]);
}

/// raft-rs panics in `append`: the entries would leave a hole.
#[test]
fn hostile_02_append_whose_entries_leave_a_gap() {
    let entries = vec![entry(1, 4)];
    let message = Message { term: 1, log_term: 1, index: 2, entries, ..msg(MsgAppend, 2, 1) };
    let mut node = follower();
    let order = Malformed::EntryOrder { found: 4, expected: 3 };
    assert_eq!(node.step(message), Err(Error::Malformed(order)));
    assert_eq!(node.raft().log().last_index(), 2);
}

/// raft-rs panics: "stepped empty MsgProp".
#[test]
fn hostile_03_proposal_without_entries() {
    for mut node in [follower(), leading()] {
        let dropped = Err(Error::ProposalDropped(DropReason::Empty));
        assert_eq!(node.step(msg(MsgPropose, 2, 1)), dropped);
        assert!(!node.has_ready());
    }
}

/// raft-rs panics on the first entry's data.
#[test]
fn hostile_04_read_without_its_entry() {
    refused(&msg(MsgReadIndex, 2, 1), Malformed::ReadEntries(0));
}

/// raft-rs panics when it hands the request on: "term should not be set".
#[test]
fn hostile_05_transfer_that_carries_a_term_and_is_handed_on() {
    let mut node = follower();
    node.step(Message { term: 1, ..msg(MsgTransferLeader, 3, 1) }).unwrap();
    let handed_on = settle(&mut node);
    assert_eq!(handed_on, [Message { term: 1, ..msg(MsgTransferLeader, 3, 2) }]);
}

/// Decoded as 0 it would be a campaign.
#[test]
fn hostile_06_message_of_an_unknown_type() {
    for number in [-1, 19, 77] {
        let message = Message { msg_type: number, term: 1, ..msg(MsgHup, 2, 1) };
        refused(&message, Malformed::UnknownType(number));
    }
}

/// A stranger's answer must neither count nor make a leader step down.
#[test]
fn hostile_07_answer_of_an_unknown_sender() {
    let answers = [
        MsgAppendResponse,
        MsgHeartbeatResponse,
        MsgRequestVoteResponse,
        MsgRequestPreVoteResponse,
    ];
    for kind in answers {
        let mut node = leading();
        let message = Message { term: 9, index: 1, ..msg(kind, 9, 1) };
        assert_eq!(node.step(message), Err(Error::StepPeerNotFound(9)));
        assert_eq!((node.raft().role(), node.raft().term()), (Leader, 1));
    }
}

/// Nobody writes to himself, and nobody is called 0.
#[test]
fn hostile_08_message_to_oneself_or_from_nobody() {
    for (from, to) in [(1, 1), (0, 1), (2, 0), (0, 0)] {
        let message = Message { term: 1, ..msg(MsgAppend, from, to) };
        refused(&message, Malformed::Addresses { from, to });
    }
}

/// Nothing says what it contains.
#[test]
fn hostile_09_snapshot_without_metadata() {
    for snapshot in [None, Some(Snapshot::default())] {
        let mut node = follower();
        let snapshot = snapshot.map(alloc::boxed::Box::new);
        let message = Message { term: 1, snapshot, ..msg(MsgSnapshot, 2, 1) };
        assert_eq!(node.step(message), Err(Error::Malformed(Malformed::NoSnapshotMetadata)));
        assert_eq!((node.raft().log().last_index(), node.has_ready()), (2, false));
    }
}

/// Indices out of order, and terms that run backwards or ahead, within one append.
#[test]
fn hostile_10_append_whose_entries_are_out_of_order() {
    let append = |entries: &[Entry]| Message {
        term: 5,
        log_term: 1,
        index: 2,
        entries: entries.to_vec(),
        ..msg(MsgAppend, 2, 1)
    };
    let rows = [
        (append(&[entry(1, 4), entry(1, 3)]), Malformed::EntryOrder { found: 4, expected: 3 }),
        (append(&[entry(1, 3), entry(1, 3)]), Malformed::EntryOrder { found: 3, expected: 4 }),
        (
            append(&[entry(4, 3), entry(3, 4)]),
            Malformed::EntryTerm { index: 4, term: 3, min: 4, max: 5 },
        ),
        (append(&[entry(6, 3)]), Malformed::EntryTerm { index: 3, term: 6, min: 1, max: 5 }),
        (append(&[entry(0, 3)]), Malformed::EntryTerm { index: 3, term: 0, min: 1, max: 5 }),
    ];
    for (message, reason) in rows {
        let mut node = follower();
        assert_eq!(node.step(message), Err(Error::Malformed(reason)));
        assert_eq!(node.raft().log().last_index(), 2);
    }
}

/// raft-rs: acknowledgements are matched to reads by the caller's context. The old leader is cut
/// off, a new one commits; a fresh read, then a retry with the context of an earlier one, and late
/// duplicates of the acknowledgements of that: both are answered, the fresh one with a stale index.
#[test]
fn stale_read_after_a_retry_and_late_acknowledgements() {
    let mut node = leading();
    node.read_index("retried").unwrap();
    let beat = settle(&mut node).into_iter().find(|m| kind(m) == MsgHeartbeat && m.to == 2);
    let late = beat.map(|beat| Message {
        term: 1,
        context: beat.context,
        ..msg(MsgHeartbeatResponse, 2, 1)
    });
    // Meanwhile 2 and 3 elect another and commit more.
    node.read_index("fresh").unwrap();
    node.read_index("retried").unwrap();
    settle(&mut node);
    let late = late.unwrap();
    let mut served = Vec::new();
    for _ in 0..3 {
        node.step(late.clone()).unwrap();
        while node.has_ready() {
            served.extend(turn(&mut node).read_states);
        }
    }
    let contexts: Vec<_> = served.iter().map(|state| state.context.as_ref()).collect();
    assert_eq!(contexts, [b"retried".as_slice()], "the one that began before them, once");
}

/// raft-rs: `campaign()` makes a learner a candidate.
#[test]
fn learner_that_campaigns() {
    let storage = members_of(&[1, 2], &[3]);
    let mut node = RawNode::new(&config(3, &[]), storage).unwrap();
    assert_eq!(node.campaign(), Ok(Outcome::Ignored(Ignored::NotPromotable)));
    node.step(Message { term: 1, ..msg(MsgTimeoutNow, 1, 3) }).unwrap();
    assert_eq!((node.raft().role(), node.raft().term()), (Follower, 1));
}

/// raft-rs: without new entries a follower that has all of them stays in probe for ever, so that
/// the next burst begins with one append and a wait.
#[test]
fn caught_up_follower_stuck_in_probe() {
    let mut node = leading();
    node.report_unreachable(2);
    assert_eq!(node.raft().progress(2).map(|p| p.state), Some(ProgressState::Probe));
    node.step(Message { term: 1, ..msg(MsgHeartbeatResponse, 2, 1) }).unwrap();
    let probe = settle(&mut node);
    assert!(probe.iter().any(|m| kind(m) == MsgAppend && m.to == 2 && m.entries.is_empty()));
    node.step(ack(2, 1)).unwrap();
    assert_eq!(node.raft().progress(2).map(|p| p.state), Some(ProgressState::Replicate));
}

/// etcd/raft 149, raft-rs 557: an old refusal sets the next index to or below what matches.
#[test]
fn next_below_match_after_a_delayed_rejection() {
    let mut raft = leader(1, &[1, 2]);
    commit_noop_entry(&mut raft);
    for index in 2..=5 {
        raft.step(propose(1, "data")).unwrap();
        sent(&mut raft);
        raft.step(ack(2, index)).unwrap();
    }
    let refusal = |index| Message { reject: true, reject_hint: 1, log_term: 1, ..ack(2, index) };
    let delayed: Vec<_> = (0..=9).map(refusal).collect();
    for probing in [false, true] {
        for message in &delayed {
            let mut raft = raft.clone();
            if probing {
                raft.report_unreachable(2);
            }
            raft.step(message.clone()).unwrap();
            let progress = raft.prs.get(2).unwrap();
            assert!(progress.next > progress.matched, "{} {progress:?}", message.index);
            assert_eq!(progress.matched, 5);
        }
    }
}

/// etcd/raft 84 and 110: a follower got a snapshot other than the one the leader has noted, from
/// another peer or an earlier one. It reconnects the log, so it will do.
#[test]
fn snapshot_refused_though_it_reconnects() {
    let mut storage = MemStorage::with_voters([1, 2]);
    storage.append(&entries_of(&[1; 20])).unwrap();
    storage.create_snapshot(18, None, "state").unwrap();
    storage.compact(12).unwrap();
    let mut raft = on_storage(1, &[], storage);
    lead(&mut raft);
    sent(&mut raft);
    raft.step(Message { reject: true, ..ack(2, 20) }).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgSnapshot]);
    assert_eq!(raft.prs.get(2).unwrap().pending_snapshot, 18);
    raft.step(ack(2, 11)).unwrap();
    assert_eq!(raft.prs.get(2).unwrap().state, ProgressState::Snapshot, "there is still a gap");
    raft.step(ack(2, 12)).unwrap();
    let progress = raft.prs.get(2).unwrap();
    assert_eq!((progress.state, progress.next), (ProgressState::Replicate, 13));
    assert_eq!(sent(&mut raft).first().map(|m| (m.index, m.entries.len())), Some((12, 9)));
}

/// etcd, raft-rs: a peer stays in the snapshot state until somebody reports what became of it.
#[test]
fn peer_stuck_in_snapshot_when_nobody_reports() {
    let mut storage = MemStorage::with_voters([1, 2]);
    storage.append(&entries_of(&[1; 5])).unwrap();
    storage.create_snapshot(5, None, "state").unwrap();
    storage.compact(5).unwrap();
    let mut raft = on_storage(1, &[], storage);
    lead(&mut raft);
    sent(&mut raft);
    raft.step(Message { reject: true, ..ack(2, 5) }).unwrap();
    assert_eq!(kinds(&sent(&mut raft)), [MsgSnapshot], "and it is lost");
    let alive = Message { term: 1, ..msg(MsgHeartbeatResponse, 2, 1) };
    let mut again = 0;
    for _ in 0..3 * ELECTION_TICK {
        tick(&mut raft, 1);
        raft.step(alive.clone()).unwrap();
        again += kinds(&sent(&mut raft)).iter().filter(|&&kind| kind == MsgSnapshot).count();
    }
    assert_eq!(again, 1, "once, not at every heartbeat");
}

fn joint_change() -> ConfChangeV2 {
    let single = |id| ConfChangeSingle { change_type: ConfChangeType::AddNode.into(), node_id: id };
    let transition = ConfChangeTransition::Implicit.into();
    ConfChangeV2 { transition, changes: vec![single(4), single(5)], ..ConfChangeV2::default() }
}

fn is_joint(raft: &TestRaft) -> bool {
    raft.prs.configuration().voters.is_joint()
}

/// etcd 12136: the leader that was to leave the joint configuration steps down, and its successor
/// knows nothing of that.
#[test]
fn auto_leave_lost_on_a_change_of_leader() {
    let mut net = Network::of(5);
    for id in 1..=5 {
        for out in [5, 4] {
            remove_node(&mut net[id], out);
        }
    }
    net.send([hup(1)]);
    let entries = vec![joint_change().into()];
    net.send([Message { entries, ..msg(MsgPropose, 1, 1) }]);
    // 2 and 3 apply the change; 1 is gone before it does.
    net.isolate(1);
    for id in 2..=5 {
        apply(&mut net[id]);
    }
    assert!(is_joint(&net[2]));
    net.send([hup(2)]);
    assert_eq!(net[2].role, Leader);
    apply(&mut net[2]);
    net.send([beat(2)]);
    for id in 2..=5 {
        apply(&mut net[id]);
    }
    net.send([beat(2)]);
    for id in 2..=5 {
        apply(&mut net[id]);
        assert!(!is_joint(&net[id]), "{id}");
    }
}

/// The same when a transfer was in the way: proposals are refused while it lasts.
#[test]
fn auto_leave_lost_to_a_transfer_that_came_to_nothing() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    apply(&mut net[1]);
    let single = ConfChangeSingle { change_type: ConfChangeType::RemoveNode.into(), node_id: 3 };
    let transition = ConfChangeTransition::Implicit.into();
    let change = ConfChangeV2 { transition, changes: vec![single], ..ConfChangeV2::default() };
    net.send([Message { entries: vec![change.into()], ..msg(MsgPropose, 1, 1) }]);
    net.ignore(MsgTimeoutNow);
    net.send([transfer(2, 1)]);
    apply(&mut net[1]);
    assert!(is_joint(&net[1]));
    assert_eq!((net[1].transferee, net[1].log.last_index()), (Some(2), 2), "refused");
    tick(&mut net[1], ELECTION_TICK);
    assert_eq!((net[1].transferee, net[1].log.last_index()), (None, 3), "asked again");
    net.send([beat(1)]);
    apply(&mut net[1]);
    assert!(!is_joint(&net[1]));
}

/// tikv 19593: a burst that could not be committed held its memory for ever.
#[test]
fn memory_of_an_uncommitted_tail_never_shrinks() {
    let config = Config { self_ack: SelfAck::OnPersist, ..config(1, &[1, 2, 3]) };
    let mut node = RawNode::new(&config, MemStorage::new()).unwrap();
    node.campaign().unwrap();
    turn(&mut node);
    node.step(vote_answer(2, 1, true)).unwrap();
    // More than stays in memory to be applied soon.
    let burst = if cfg!(miri) { 1_100 } else { 20_000 };
    for _ in 0..burst {
        node.propose("data").unwrap();
    }
    settle(&mut node);
    let log = node.raft().log();
    assert_eq!((log.committed(), log.last_index(), log.stabled()), (0, burst + 1, burst + 1));
    assert_eq!(log.unstable_entries().len(), 0);
    // Everything that the peer still holds beside its disk is small.
    let mut without_disk = node.clone();
    *without_disk.store_mut() = MemStorage::new();
    let text = alloc::format!("{without_disk:?}");
    assert!(text.len() < 20_000, "{}", text.len());
}

/// raft-rs 419: a ring for each follower of each group, allocated ahead, took 9 GiB.
#[test]
fn rings_of_appends_in_flight_allocated_ahead() {
    let mut raft = peer_with(1, &ids(7), |config| config.max_inflight_msgs = u32::MAX);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    raft.step(propose(1, "data")).unwrap();
    assert_eq!(sent(&mut raft).len(), 6);
}

/// etcd 7331: a lone voter that has just been elected does not know yet what is committed.
#[test]
fn read_before_the_own_commit_of_a_lone_voter() {
    let mut storage = members_of(&[1], &[]);
    storage.append(&entries_of(&[1, 1, 1])).unwrap();
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 1 });
    let config = Config { self_ack: SelfAck::OnPersist, ..config(1, &[]) };
    let mut node = RawNode::new(&config, storage).unwrap();
    node.campaign().unwrap();
    turn(&mut node);
    node.read_index("ctx").unwrap();
    let mut reads = Vec::new();
    while node.has_ready() {
        reads.extend(turn(&mut node).read_states);
    }
    assert_eq!(reads.iter().map(|read| read.index).collect::<Vec<_>>(), [4]);
}

/// etcd 13527: no time passed for a peer whose disk was stuck.
#[test]
fn ticks_while_a_ready_is_unhandled() {
    for async_persist in [false, true] {
        let self_ack = SelfAck::OnPersist;
        let config =
            Config { check_quorum: true, async_persist, self_ack, ..config(1, &[1, 2, 3]) };
        let mut node = RawNode::new(&config, MemStorage::new()).unwrap();
        node.campaign().unwrap();
        for from in [2, 3] {
            node.step(vote_answer(from, 1, true)).unwrap();
        }
        assert_eq!(node.raft().role(), Leader, "others elected it");
        let stuck = node.ready().unwrap();
        for _ in 0..2 * ELECTION_TICK {
            node.tick().unwrap();
        }
        assert_eq!(node.raft().role(), Follower);
        persist(&mut node, &stuck);
        if async_persist {
            node.on_persisted(stuck.number).unwrap();
        } else {
            node.advance(stuck).unwrap();
        }
        assert_ne!(node.raft().role(), Leader);
    }
}

/// etcd 11038: the leader's removal is committed, and it goes on sending heartbeats, so that nobody
/// else ever campaigns.
#[test]
fn group_stuck_when_its_leader_is_removed() {
    let mut net = Network::of(3);
    net.send([hup(1)]);
    let change = conf_change(ConfChangeType::RemoveNode, 1);
    net.send([Message { entries: vec![change.into()], ..msg(MsgPropose, 1, 1) }]);
    for id in 1..=3 {
        apply(&mut net[id]);
    }
    assert_eq!(net[1].role, Follower);
    for _ in 0..3 * ELECTION_TICK {
        tick(&mut net[1], 1);
        assert_eq!(sent(&mut net[1]), []);
    }
    net.send([hup(2)]);
    assert_eq!(net[2].role, Leader);
}

/// etcd 11326: the successor loses its vote while leadership is being handed to it.
#[test]
fn transfer_to_a_peer_that_is_demoted_meanwhile() {
    let mut raft = leader(1, &[1, 2, 3]);
    commit_noop_entry(&mut raft);
    raft.step(propose(1, "data")).unwrap();
    raft.step(transfer(2, 1)).unwrap();
    assert_eq!(raft.transferee, Some(2));
    let demote = conf_change(ConfChangeType::AddLearnerNode, 2).into();
    raft.apply_conf_change(&demote).unwrap();
    assert_eq!(raft.transferee, None);
    sent(&mut raft);
    raft.step(ack(2, 2)).unwrap();
    assert!(!kinds(&sent(&mut raft)).contains(&MsgTimeoutNow));
    raft.step(propose(1, "more")).unwrap();
}

/// etcd 14633: when a follower's window is full and its answers are lost, only an empty append
/// keeps replication alive.
#[test]
fn replication_paused_for_ever_by_lost_answers() {
    let mut raft = peer_with(1, &[1, 2], |config| config.max_inflight_msgs = 1);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    for _ in 0..3 {
        raft.step(propose(1, "data")).unwrap();
        sent(&mut raft);
    }
    raft.step(Message { term: 1, ..msg(MsgHeartbeatResponse, 2, 1) }).unwrap();
    let probe = sent(&mut raft);
    assert_eq!((kinds(&probe), probe[0].index, probe[0].entries.len()), (vec![MsgAppend], 2, 0));
    raft.step(ack(2, 2)).unwrap();
    assert_eq!(sent(&mut raft).iter().map(|m| m.entries.len()).sum::<usize>(), 2);
}

/// etcd 10217, tikv 7353 and 10078: a restart from records that contradict each other.
#[test]
fn restart_from_records_that_contradict_each_other() {
    let commit_beyond = HardState { term: 1, vote: 1, commit: 9 };
    let mut storage = terms(&[1, 1]);
    storage.set_hard_state(commit_beyond);
    assert!(matches!(RawNode::new(&config(1, &[1]), storage), Err(Error::Storage(_))));
    let twice = ConfState { voters: vec![1], learners: vec![1], ..ConfState::default() };
    let mut storage = MemStorage::new();
    storage.set_conf_state(twice.clone());
    assert!(matches!(RawNode::new(&config(1, &[]), storage), Err(Error::ConfChange(_))));
    // And the same in a snapshot.
    let mut node = follower();
    let metadata = Some(SnapshotMetadata { conf_state: Some(twice), index: 9, term: 1 });
    let snapshot = Some(Snapshot { metadata, ..Snapshot::default() }.into());
    let message = Message { term: 1, snapshot, ..msg(MsgSnapshot, 2, 1) };
    assert!(matches!(node.step(message), Err(Error::ConfChange(_))));
    assert_eq!((node.raft().log().last_index(), members(node.raft())), (2, vec![1, 2, 3]));
}
