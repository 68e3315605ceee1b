//! `SelfAck::OnPersist`: a peer's own vote and own append count once they are on disk, and not
//! before. The ported suites all run in the other mode.

use alloc::vec;

use crate::eraftpb::Message;
use crate::tests::harness::*;
use crate::{Config, MemStorage, RawNode, Ready, SelfAck};

fn careful(peers: &[u64]) -> TestNode {
    let config = Config { self_ack: SelfAck::OnPersist, ..config(1, peers) };
    RawNode::new(&config, MemStorage::new()).unwrap()
}

/// Persists without advancing: the core has not been told yet.
fn persisted(node: &mut TestNode) -> Ready {
    let ready = node.ready().unwrap();
    persist(node, &ready);
    ready
}

#[test]
fn direct_careful_mode_is_the_default() {
    assert_eq!(Config::new(1).self_ack, SelfAck::OnPersist);
}

#[test]
fn direct_lone_peer_leads_after_its_vote_is_persisted() {
    let mut node = careful(&[1]);
    node.campaign().unwrap();
    assert_eq!(node.raft().role(), Candidate);
    let ready = persisted(&mut node);
    assert_eq!(ready.hard_state.map(|s| (s.term, s.vote)), Some((1, 1)));
    assert_eq!(node.raft().role(), Candidate);
    node.advance(ready).unwrap();
    assert_eq!(node.raft().role(), Leader);
}

#[test]
fn direct_lone_peer_needs_two_readys_to_commit() {
    let mut node = careful(&[1]);
    node.campaign().unwrap();
    settle(&mut node);
    node.propose("foo").unwrap();
    let first = turn(&mut node);
    assert_eq!(first.entries, [data_entry(1, 2, "foo")]);
    assert_eq!(first.committed_entries, []);
    let second = turn(&mut node);
    assert_eq!(second.entries, []);
    assert_eq!(second.committed_entries, [data_entry(1, 2, "foo")]);
    assert!(!node.has_ready());
}

#[test]
fn direct_own_vote_of_a_campaign_that_is_over_does_not_count_for_the_next() {
    let mut node = careful(&[1, 2, 3]);
    node.campaign().unwrap();
    let late = persisted(&mut node);
    node.campaign().unwrap();
    assert_eq!(node.raft().term(), 2);
    node.advance(late).unwrap();
    node.step(vote_answer(2, 2, true)).unwrap();
    assert_eq!(node.raft().role(), Candidate, "one vote of three");
    turn(&mut node);
    assert_eq!(node.raft().role(), Leader);
}

/// A leader of three in term 1 whose first entry is not on disk yet. The followers' votes made
/// it one.
fn unpersisted_leader() -> TestNode {
    let mut node = careful(&[1, 2, 3]);
    node.campaign().unwrap();
    turn(&mut node);
    node.step(vote_answer(2, 1, true)).unwrap();
    assert_eq!(node.raft().role(), Leader);
    assert_eq!(node.raft().progress(1).map(|p| p.matched), Some(0));
    node
}

fn ack(from: u64) -> Message {
    Message { term: 1, index: 1, ..msg(MsgAppendResponse, from, 1) }
}

#[test]
fn direct_own_append_counts_after_it_is_persisted() {
    let mut node = unpersisted_leader();
    let ready = persisted(&mut node);
    node.step(ack(2)).unwrap();
    assert_eq!(node.raft().log().committed(), 0, "one of three");
    node.advance(ready).unwrap();
    assert_eq!(node.raft().log().committed(), 1);
}

/// The leader's own disk is not special (thesis 10.2.1).
#[test]
fn direct_followers_alone_commit_what_the_leader_has_not_persisted() {
    let mut node = unpersisted_leader();
    let ready = persisted(&mut node);
    node.step(ack(2)).unwrap();
    node.step(ack(3)).unwrap();
    assert_eq!(node.raft().log().committed(), 1);
    assert_eq!(node.raft().log().stabled(), 0);
    node.advance(ready).unwrap();
    assert_eq!(turn(&mut node).committed_entries, [entry(1, 1)]);
}

/// The disk reports an entry that another leader has replaced meanwhile.
#[test]
fn direct_late_word_from_the_disk_does_not_count_a_replaced_entry() {
    let mut node = unpersisted_leader();
    let late = persisted(&mut node);
    let append = Message { term: 2, entries: vec![entry(2, 1)], ..msg(MsgAppend, 2, 1) };
    node.step(append).unwrap();
    node.advance(late).unwrap();
    assert_eq!(node.raft().log().stabled(), 0);
    let ready = turn(&mut node);
    assert_eq!(ready.entries, [entry(2, 1)]);
    assert_eq!(node.raft().log().stabled(), 1);
}

/// The same scenes as with TinyKV's way of counting, over whole nodes and their disks.
#[test]
fn direct_three_careful_nodes_elect_replicate_and_apply() {
    let config = |id| Config { self_ack: SelfAck::OnPersist, ..config(id, &[1, 2, 3]) };
    let node = |id| RawNode::new(&config(id), MemStorage::new()).unwrap();
    let mut nodes = [1, 2, 3].map(node);
    nodes[0].campaign().unwrap();
    deliver_all(&mut nodes);
    assert_eq!(nodes[0].raft().role(), Leader);
    nodes[0].propose("data").unwrap();
    deliver_all(&mut nodes);
    let expected = [entry(1, 1), data_entry(1, 2, "data")];
    for node in &nodes {
        assert_eq!(node.store().all_entries(), expected);
        let log = node.raft().log();
        let state = (log.committed(), log.applied(), log.stabled());
        assert_eq!(state, (2, 2, 2), "peer {}", node.raft().id());
    }
}

fn deliver_all(nodes: &mut [TestNode]) {
    for _ in 0..100 {
        let mut messages = vec![];
        for node in nodes.iter_mut() {
            messages.extend(settle(node));
        }
        for message in messages {
            let to = usize::try_from(message.to - 1).unwrap();
            nodes[to].step(message).unwrap();
        }
    }
}
