//! Pipelined persistence: several `Ready`s are on their way to the disk at once. What needs no disk
//! leaves at once, what is a promise waits, and nobody counts himself before his disk does.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{Entry, HardState, Message};
use crate::error::Error;
use crate::tests::harness::*;
use crate::{Config, MemStorage, RawNode, Ready, Receipt, Response, SelfAck};

fn pipelined(id: u64, peers: &[u64]) -> Config {
    Config { async_persist: true, self_ack: SelfAck::OnPersist, ..config(id, peers) }
}

fn pipelined_node(id: u64, peers: &[u64]) -> TestNode {
    RawNode::new(&pipelined(id, peers), MemStorage::new()).unwrap()
}

fn append(term: u64, entry_term: u64) -> Message {
    Message { term, entries: vec![entry(entry_term, 1)], ..msg(MsgAppend, 2, 1) }
}

/// The disk has done its work for `ready`; what waited for that.
fn written(node: &mut TestNode, ready: &Ready) -> Vec<Message> {
    persist(node, ready);
    node.on_persisted(ready.number).unwrap()
}

/// A leader of three that has its first entry on disk and committed.
fn leading() -> TestNode {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.campaign().unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    node.step(vote_answer(2, 1, true)).unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    node.step(ack(2, 1)).unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    node.on_applied(1).unwrap();
    assert_eq!((node.raft().role(), node.raft().log().applied()), (Leader, 1));
    node
}

fn ack(from: u64, index: u64) -> Message {
    Message { term: 1, index, ..msg(MsgAppendResponse, from, 1) }
}

/// A vote and an acknowledgement are promises to remember; a heartbeat's answer is none.
#[test]
fn direct_promises_wait_for_the_disk_and_other_answers_do_not() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.step(Message { term: 1, ..msg(MsgRequestVote, 2, 1) }).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!((ready.messages.len(), ready.must_sync), (0, true));
    assert_eq!(kinds(&written(&mut node, &ready)), [MsgRequestVoteResponse]);
    node.step(append(1, 1)).unwrap();
    node.step(Message { term: 1, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(kinds(&ready.messages), [MsgHeartbeatResponse]);
    assert_eq!(kinds(&written(&mut node, &ready)), [MsgAppendResponse]);
}

/// Even if nothing new is to be written: an earlier `Ready` may still be on its way.
#[test]
fn direct_promise_waits_although_its_own_ready_writes_nothing() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.step(append(1, 1)).unwrap();
    let first = node.ready().unwrap();
    node.step(append(1, 1)).unwrap();
    let second = node.ready().unwrap();
    assert_eq!((second.entries.len(), second.messages.len()), (0, 0));
    assert_eq!(kinds(&written(&mut node, &first)), [MsgAppendResponse]);
    assert_eq!(kinds(&written(&mut node, &second)), [MsgAppendResponse]);
}

/// Appends are no promises: they leave while the leader's own disk is still busy.
#[test]
fn direct_leader_replicates_before_its_own_disk_is_done_and_counts_itself_after() {
    let mut node = leading();
    node.propose("data").unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(ready.entries, [data_entry(1, 2, "data")]);
    assert!(ready.messages.iter().any(|m| m.entries == [data_entry(1, 2, "data")]));
    node.step(ack(2, 2)).unwrap();
    assert_eq!(node.raft().log().committed(), 1, "one of three");
    written(&mut node, &ready);
    assert_eq!(node.raft().log().committed(), 2);
}

/// The leader's own disk is not special (thesis 10.2.1), but it applies nothing that it may lose.
#[test]
fn direct_entries_committed_by_others_are_applied_once_the_own_disk_has_them() {
    let mut node = leading();
    node.propose("data").unwrap();
    let ready = node.ready().unwrap();
    node.step(ack(2, 2)).unwrap();
    node.step(ack(3, 2)).unwrap();
    assert_eq!(node.raft().log().committed(), 2);
    let next = node.ready().unwrap();
    assert_eq!(next.committed_entries, []);
    written(&mut node, &ready);
    assert!(node.has_ready());
    assert_eq!(node.ready().unwrap().committed_entries, [data_entry(1, 2, "data")]);
}

/// One word from the disk may stand for several writes.
#[test]
fn direct_one_word_from_the_disk_covers_everything_before_it() {
    let mut node = leading();
    let mut readies = Vec::new();
    for _ in 0..5 {
        node.propose("data").unwrap();
        readies.push(node.ready().unwrap());
    }
    for ready in &readies {
        persist(&mut node, ready);
    }
    node.step(ack(2, 6)).unwrap();
    node.on_persisted(readies[2].number).unwrap();
    assert_eq!((node.raft().log().stabled(), node.raft().log().committed()), (4, 4));
    node.on_persisted(readies[4].number).unwrap();
    assert_eq!((node.raft().log().stabled(), node.raft().log().committed()), (6, 6));
    assert_eq!(node.on_persisted(readies[0].number), Ok(vec![]), "said already");
}

/// A lone voter leads when its vote is on disk, and commits when its entry is.
#[test]
fn direct_lone_voter_waits_for_its_disk_at_every_step() {
    let mut node = pipelined_node(1, &[1]);
    node.campaign().unwrap();
    let vote = node.ready().unwrap();
    assert_eq!(node.raft().role(), Candidate);
    written(&mut node, &vote);
    assert_eq!(node.raft().role(), Leader);
    let noop = node.ready().unwrap();
    assert_eq!(node.raft().log().committed(), 0);
    written(&mut node, &noop);
    assert_eq!(node.raft().log().committed(), 1);
    let ready = node.ready().unwrap();
    assert_eq!((ready.entries.len(), ready.committed_entries.len()), (0, 1));
    assert_eq!(node.raft().log().applied(), 0);
    node.on_applied(1).unwrap();
    assert_eq!(node.raft().log().applied(), 1);
    written(&mut node, &ready);
    assert!(!node.has_ready());
}

/// etcd issue 12881 and cockroach 124440, the ABA of asynchronous writes: an entry is replaced and
/// comes back while its first write is under way. That write's success proves nothing, because the
/// one between them will overwrite it.
#[test]
fn direct_write_of_an_entry_that_was_replaced_and_came_back_proves_nothing() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    let mut readies = Vec::new();
    for (term, entry_term) in [(1, 1), (2, 2), (3, 1)] {
        node.step(append(term, entry_term)).unwrap();
        readies.push(node.ready().unwrap());
    }
    let mut disk = MemStorage::new();
    for (ready, stabled) in readies.iter().zip([0, 0, 1]) {
        disk.append(&ready.entries).unwrap();
        *node.store_mut() = disk.clone();
        node.on_persisted(ready.number).unwrap();
        assert_eq!(node.raft().log().stabled(), stabled, "Ready {}", ready.number);
        assert_eq!(node.raft().log().term(1), Ok(1));
    }
    assert_eq!(node.store().all_entries(), [entry(1, 1)]);
}

/// The same with a term that brings no entry: a vote between them is enough to be careful.
#[test]
fn direct_write_of_an_older_term_is_confirmed_by_the_next_one() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.step(append(1, 1)).unwrap();
    let first = node.ready().unwrap();
    node.step(Message { term: 2, log_term: 1, index: 1, ..msg(MsgRequestVote, 3, 1) }).unwrap();
    let second = node.ready().unwrap();
    assert_eq!(second.entries, []);
    written(&mut node, &first);
    assert_eq!(node.raft().log().stabled(), 0);
    written(&mut node, &second);
    assert_eq!(node.raft().log().stabled(), 1);
}

/// A late word about an own vote or append of an earlier term counts for nothing.
#[test]
fn direct_late_words_about_an_earlier_term_count_for_nothing() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.campaign().unwrap();
    let first = node.ready().unwrap();
    node.campaign().unwrap();
    let second = node.ready().unwrap();
    node.step(vote_answer(2, 2, true)).unwrap();
    written(&mut node, &first);
    assert_eq!((node.raft().role(), node.raft().term()), (Candidate, 2));
    written(&mut node, &second);
    assert_eq!(node.raft().role(), Leader);
    let unwritten = node.ready().unwrap();
    node.step(Message { term: 3, ..msg(MsgHeartbeat, 3, 1) }).unwrap();
    node.step(Message { term: 2, ..ack(2, 1) }).unwrap();
    written(&mut node, &unwritten);
    assert_eq!((node.raft().role(), node.raft().log().committed()), (Follower, 0));
}

/// What a crash may lose was promised to nobody.
#[test]
fn direct_crash_loses_nothing_that_was_promised() {
    let mut node = pipelined_node(1, &[1, 2, 3]);
    node.step(Message { term: 1, ..msg(MsgRequestVote, 2, 1) }).unwrap();
    let unwritten = node.ready().unwrap();
    assert_eq!(unwritten.messages, []);
    let disk = node.store().clone();
    let mut node = RawNode::new(&pipelined(1, &[1, 2, 3]), disk).unwrap();
    assert_eq!(node.raft().hard_state(), HardState::default());
    node.step(Message { term: 1, ..msg(MsgRequestVote, 3, 1) }).unwrap();
    let ready = node.ready().unwrap();
    let votes = written(&mut node, &ready);
    assert_eq!((votes[0].to, votes[0].reject), (3, false));
}

/// A batch under application holds back the next one, as its limit says.
#[test]
fn direct_application_is_held_back_until_a_batch_is_done() {
    let config = Config { max_committed_size_per_ready: 1, ..pipelined(1, &[1]) };
    let mut storage = terms(&[1; 4]);
    storage.set_hard_state(HardState { term: 1, vote: 1, commit: 4 });
    let mut node = RawNode::new(&config, storage).unwrap();
    for index in 1..=4 {
        let ready = node.ready().unwrap();
        assert_eq!(ready.committed_entries, [entry(1, index)]);
        assert!(!node.has_ready(), "one at a time");
        node.on_applied(index - 1).unwrap();
        assert!(!node.has_ready(), "not this one");
        node.on_applied(index).unwrap();
        assert_eq!(node.raft().log().applied(), index);
    }
}

/// A snapshot is applied when its `Ready` is on disk, and its answer waits for that.
#[test]
fn direct_snapshot_is_answered_and_applied_once_it_is_on_disk() {
    let mut node = pipelined_node(1, &[1, 2]);
    let snapshot = Some(snapshot(2, 9, &[1, 2]).into());
    node.step(Message { term: 2, snapshot, ..msg(MsgSnapshot, 2, 1) }).unwrap();
    let ready = node.ready().unwrap();
    assert!(ready.snapshot.is_some() && ready.messages.is_empty());
    assert_eq!(node.raft().log().applied(), 0);
    let entries = vec![entry(2, 10)];
    let next = Message { term: 2, log_term: 2, index: 9, entries, ..msg(MsgAppend, 2, 1) };
    node.step(Message { commit: 10, ..next }).unwrap();
    let behind = node.ready().unwrap();
    assert_eq!((behind.entries.len(), behind.committed_entries.len()), (1, 0));
    let answers = written(&mut node, &ready);
    assert_eq!(answers, [Message { term: 2, index: 9, ..msg(MsgAppendResponse, 1, 2) }]);
    assert_eq!(node.raft().log().applied(), 9);
    written(&mut node, &behind);
    assert_eq!(node.ready().unwrap().committed_entries, [entry(2, 10)]);
}

/// Calls of the other way of driving a peer are refused, and change nothing.
#[test]
fn direct_calls_of_the_other_mode_are_refused_by_name() {
    let mut node = pipelined_node(1, &[1]);
    node.campaign().unwrap();
    let ready = node.ready().unwrap();
    assert_eq!(node.advance(ready), Err(Error::WrongMode("advance")));
    let mut sync = lone_leader();
    assert_eq!(sync.on_persisted(1), Err(Error::WrongMode("on_persisted")));
    assert_eq!(sync.on_applied(1), Err(Error::WrongMode("on_applied")));
}

/// The same in parts, for applications whose disk is another thread.
#[test]
fn direct_responses_can_be_taken_and_told_one_by_one() {
    let mut node = pipelined_node(1, &[1]);
    node.campaign().unwrap();
    let ready = node.ready().unwrap();
    let waiting: Vec<_> = node.responses(ready.number).cloned().collect();
    assert!(matches!(waiting[..], [Response::Own(Receipt::Vote { term: 1, .. })]), "{waiting:?}");
    assert_eq!(node.take_responses(ready.number), waiting);
    assert_eq!(node.on_persisted(ready.number), Ok(vec![]));
    assert_eq!(node.raft().role(), Candidate, "nothing was told yet");
    for response in waiting {
        match response {
            Response::Own(receipt) => drop(node.receive(receipt).unwrap()),
            Response::Send(message) => panic!("{message:?}"),
        }
    }
    assert_eq!(node.raft().role(), Leader);
}

/// Two disks of different speed end with the same log as one that does everything at once.
#[test]
fn direct_three_pipelined_nodes_agree_however_late_their_disks_are() {
    for lateness in 0..4 {
        let mut nodes: Vec<_> = (1..=3).map(|id| pipelined_node(id, &[1, 2, 3])).collect();
        let mut unwritten: [Vec<(usize, Ready)>; 3] = [vec![], vec![], vec![]];
        nodes[0].campaign().unwrap();
        for round in 0..120 {
            if nodes[0].raft().role() == Leader && round % 3 == 0 && round < 60 {
                nodes[0].propose("data").unwrap();
            }
            let mut messages = Vec::new();
            for (node, unwritten) in nodes.iter_mut().zip(&mut unwritten) {
                if node.has_ready() {
                    let mut ready = node.ready().unwrap();
                    messages.append(&mut ready.messages);
                    if let Some(last) = ready.committed_entries.last() {
                        node.on_applied(last.index).unwrap();
                    }
                    unwritten.push((round, ready));
                }
                while unwritten.first().is_some_and(|&(since, _)| since + lateness <= round) {
                    messages.extend(written(node, &unwritten.remove(0).1));
                }
            }
            for message in messages {
                nodes[usize::try_from(message.to - 1).unwrap()].step(message).unwrap();
            }
        }
        let log: Vec<Entry> = nodes[0].store().all_entries().to_vec();
        assert!(log.len() > 15, "{lateness}: {}", log.len());
        for node in &nodes {
            assert_eq!(node.store().all_entries(), log);
            assert_eq!(node.raft().log().applied(), log.len() as u64, "{lateness}");
        }
    }
}

/// A snapshot replaces a state machine that has not seen its last batch, and never will: neither
/// the limit of that batch nor the changes in it may hold up what comes after the snapshot.
#[test]
fn direct_batch_that_a_snapshot_replaced_holds_up_nothing() {
    let config = Config { max_committed_size_per_ready: 1, ..pipelined(1, &[1, 2]) };
    let mut node = RawNode::new(&config, MemStorage::new()).unwrap();
    let entries = entries_of(&[1, 1]);
    node.step(Message { term: 1, entries, commit: 2, ..msg(MsgAppend, 2, 1) }).unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    assert_eq!(node.ready().unwrap().committed_entries, [entry(1, 1)]);
    let snapshot = Some(snapshot(1, 9, &[1, 2]).into());
    node.step(Message { term: 1, snapshot, ..msg(MsgSnapshot, 2, 1) }).unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    assert_eq!(node.raft().log().applied(), 9);
    let change = conf_change(crate::eraftpb::ConfChangeType::AddNode, 3);
    let entries = vec![Entry { term: 1, index: 10, ..change.clone().into() }];
    let append = Message { term: 1, log_term: 1, index: 9, entries, ..msg(MsgAppend, 2, 1) };
    node.step(Message { commit: 10, ..append }).unwrap();
    let ready = node.ready().unwrap();
    written(&mut node, &ready);
    assert_eq!(node.ready().unwrap().committed_entries.len(), 1);
    assert_eq!(node.apply_conf_change(&change.into()).map(|state| state.voters), Ok(vec![1, 2, 3]));
}
