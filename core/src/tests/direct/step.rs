//! What comes from outside: nothing that a peer sends may break or stop the core.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::eraftpb::{Entry, HardState, Message};
use crate::error::{Error, Malformed};
use crate::tests::harness::*;
use crate::{Config, MemStorage, RawNode, SelfAck};

#[test]
fn direct_messages_that_are_the_peers_own_business_are_refused() {
    let own = [MsgHup, MsgBeat, MsgUnreachable, MsgSnapStatus, MsgCheckQuorum];
    for kind in own {
        let mut node = node(1, &[1, 2, 3]);
        let message = msg(kind, 2, 1);
        assert_eq!(node.step(message), Err(Error::StepLocalMsg(kind)));
        assert!(!node.has_ready(), "{kind:?}");
    }
    // Type 0 is MsgHup: bytes that decode to nothing must not start an election.
    let mut node = node(1, &[1, 2, 3]);
    let nothing = node.step(Message::default());
    assert_eq!(nothing, Err(Error::StepLocalMsg(MsgHup)));
}

#[test]
fn direct_answers_of_strangers_are_refused() {
    for kind in [MsgAppendResponse, MsgRequestVoteResponse, MsgHeartbeatResponse] {
        let mut node = node(1, &[1, 2, 3]);
        let message = Message { term: 7, ..msg(kind, 9, 1) };
        assert_eq!(node.step(message), Err(Error::StepPeerNotFound(9)));
        assert_eq!(node.raft().term(), 0, "{kind:?}");
    }
}

/// A peer that was added while this one was away may lead it or ask for its vote.
#[test]
fn direct_requests_of_strangers_are_heard() {
    for kind in [MsgAppend, MsgHeartbeat, MsgRequestVote] {
        let mut node = node(1, &[1, 2, 3]);
        let message = Message { term: 7, ..msg(kind, 9, 1) };
        node.step(message).unwrap();
        assert_eq!(node.raft().term(), 7, "{kind:?}");
    }
}

#[test]
fn direct_messages_that_no_peer_sends_are_refused_by_name() {
    let addressed = |from, to| Message { term: 1, ..msg(MsgHeartbeat, from, to) };
    let addresses = |from, to| Malformed::Addresses { from, to };
    let mut unknown = addressed(2, 1);
    unknown.msg_type = 77;
    let rows = [
        (addressed(0, 1), addresses(0, 1)),
        (addressed(2, 0), addresses(2, 0)),
        (addressed(1, 1), addresses(1, 1)),
        (addressed(2, 3), Malformed::WrongReceiver(3)),
        (unknown, Malformed::UnknownType(77)),
        (msg(MsgAppend, 2, 1), Malformed::NoTerm(MsgAppend)),
        (msg(MsgTimeoutNow, 2, 1), Malformed::NoTerm(MsgTimeoutNow)),
    ];
    for (message, expected) in rows {
        let mut node = node(1, &[1, 2, 3]);
        let refused = Err(Error::Malformed(expected));
        assert_eq!(node.step(message), refused);
        assert!(!node.has_ready(), "{expected}");
    }
}

/// A pre-vote and a grant of one carry a term that nobody has entered yet.
#[test]
fn direct_pre_votes_bring_nobody_into_a_newer_term() {
    for kind in [MsgRequestPreVote, MsgRequestPreVoteResponse] {
        let mut node = node(1, &[1, 2, 3]);
        node.step(Message { term: 7, ..msg(kind, 2, 1) }).unwrap();
        assert_eq!((node.raft().term(), node.raft().vote()), (0, 0), "{kind:?}");
    }
}

/// A forged term would end all elections: nobody could enter the next one.
#[test]
fn direct_term_that_no_cluster_reaches_is_refused() {
    let limit = crate::EntryId::LIMIT;
    let mut node = node(1, &[1]);
    let heartbeat = |term| Message { term, ..msg(MsgHeartbeat, 2, 1) };
    let refused = Err(Error::Malformed(Malformed::TermRange(limit + 1)));
    assert_eq!(node.step(heartbeat(limit + 1)), refused);
    assert_eq!(node.raft().term(), 0);
    node.step(heartbeat(limit)).unwrap();
    node.campaign().unwrap();
    let state = (node.raft().role(), node.raft().term());
    assert_eq!(state, (Follower, limit), "the last term has no next one");
}

/// Small numbers meet each other, and the largest ones overflow whatever is not checked.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..6,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 1),
        1 => Just(u64::MAX / 2),
    ]
}

prop_compose! {
    fn any_entry()(kind in 0i32..4, term in number(), index in number()) -> Entry {
        Entry { entry_type: kind, ..entry(term, index) }
    }
}

/// Entries that follow `index`, as a leader would send, or any.
fn any_entries(index: u64) -> impl Strategy<Value = Vec<Entry>> {
    let orderly = prop::collection::vec(1u64..4, 0..4).prop_map(move |mut terms| {
        terms.sort_unstable();
        let indices = (1..).map(move |i| index.wrapping_add(i));
        let pairs = terms.into_iter().zip(indices);
        pairs.map(|(term, index)| entry(term, index)).collect()
    });
    prop_oneof![4 => orderly, 1 => prop::collection::vec(any_entry(), 0..3)]
}

prop_compose! {
    fn any_message()(index in number())(
        index in Just(index),
        entries in any_entries(index),
        msg_type in -1i32..20,
        (from, to) in (0u64..5, prop_oneof![9 => Just(1u64), 1 => 0u64..4]),
        (term, log_term, commit) in (number(), number(), number()),
        (reject, reject_hint) in (any::<bool>(), number()),
        snapshot in prop::option::of((number(), number(), prop::collection::vec(0u64..5, 0..4))),
    ) -> Message {
        Message {
            msg_type,
            to,
            from,
            term,
            log_term,
            index,
            entries,
            commit,
            snapshot: snapshot.map(|(term, index, voters)| snapshot_of(term, index, &voters).into()),
            reject,
            reject_hint,
            ..Message::default()
        }
    }
}

fn snapshot_of(term: u64, index: u64, voters: &[u64]) -> crate::eraftpb::Snapshot {
    snapshot(term, index, voters)
}

#[derive(Clone, Debug)]
enum Event {
    Receive(alloc::boxed::Box<Message>),
    Ticks(u32),
    Campaign,
    Propose,
    Turn,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => any_message().prop_map(|m| Event::Receive(alloc::boxed::Box::new(m))),
        2 => (1u32..25).prop_map(Event::Ticks),
        1 => Just(Event::Campaign),
        1 => Just(Event::Propose),
        3 => Just(Event::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1000)))]

    /// Liars may ruin a cluster, but not a peer: it goes on, and its own invariants hold.
    #[test]
    fn direct_no_message_breaks_the_core(
        careful in any::<bool>(),
        peers in 1u64..4,
        log in prop::collection::vec(1u64..3, 0..4),
        events in prop::collection::vec(any_event(), 0..60),
    ) {
        let self_ack = if careful { SelfAck::OnPersist } else { SelfAck::OnAppend };
        let config = Config { self_ack, ..config(1, &ids(peers)) };
        let mut log = log;
        log.sort_unstable();
        let mut storage = terms(&log);
        storage.set_hard_state(HardState { term: 2, ..HardState::default() });
        let mut node = RawNode::new(&config, storage).unwrap();
        let mut before = HardState::default();
        for event in events {
            match event {
                Event::Receive(message) => drop(node.step(*message)),
                Event::Ticks(count) => (0..count).for_each(|_| node.tick().unwrap()),
                Event::Campaign => drop(node.campaign().unwrap()),
                Event::Propose => drop(node.propose("data")),
                Event::Turn => drop(turn(&mut node)),
            }
            let (raft, log) = (node.raft(), node.raft().log());
            let after = raft.hard_state();
            prop_assert!(after.term >= before.term, "term {before:?} {after:?}");
            prop_assert!(after.commit >= before.commit, "commit {before:?} {after:?}");
            let kept = after.term > before.term || before.vote == 0 || after.vote == before.vote;
            prop_assert!(kept, "vote {before:?} {after:?}");
            prop_assert!(log.applied() <= log.committed());
            prop_assert!(log.committed() <= log.last_index());
            prop_assert!(raft.tracker().iter().all(|(_, p)| p.matched < p.next));
            before = after;
        }
        let disk: &MemStorage = node.store();
        prop_assert!(disk.all_entries().windows(2).all(|w| w[0].index + 1 == w[1].index));
    }
}

/// What no peer could have sent does not even make its term known.
#[test]
fn direct_malformed_message_of_a_newer_term_leaves_no_trace() {
    let gap = Message { log_term: 1, index: 2, entries: vec![entry(9, 7)], ..msg(MsgAppend, 3, 1) };
    let of = |term, index, of_term| {
        let snapshot = Some(Box::new(snapshot(of_term, index, &[1, 2, 3])));
        Message { term, snapshot, ..msg(MsgSnapshot, 3, 1) }
    };
    let bare = msg(MsgSnapshot, 3, 1);
    let rows = [
        (gap, Malformed::EntryOrder { found: 7, expected: 3 }),
        (of(9, 9, 10), Malformed::EntryTerm { index: 9, term: 10, min: 1, max: 9 }),
        (of(9, 9, u64::MAX), Malformed::EntryTerm { index: 9, term: u64::MAX, min: 1, max: 9 }),
        (of(9, 9, 0), Malformed::EntryTerm { index: 9, term: 0, min: 1, max: 9 }),
        (of(9, u64::MAX, 1), Malformed::IndexRange(u64::MAX)),
        (bare, Malformed::NoSnapshotMetadata),
    ];
    for (message, reason) in rows {
        let mut node = RawNode::new(&config(1, &[1, 2, 3]), terms(&[1, 1])).unwrap();
        let before = (node.raft().hard_state(), node.raft().soft_state());
        let message = Message { term: 9, ..message };
        assert_eq!(node.step(message), Err(Error::Malformed(reason)));
        assert_eq!((node.raft().hard_state(), node.raft().soft_state()), before, "{reason:?}");
        assert!(!node.has_ready(), "{reason:?}");
    }
}
