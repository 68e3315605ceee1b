//! A tracer is told everything that happens, with the facts behind it, and nothing when nothing
//! does.

use alloc::vec;
use alloc::vec::Vec;

use crate::eraftpb::{Entry, HardState, Message};
use crate::tests::harness::*;
use crate::{Ballot, Event, Ignored, MemStorage, RawNode, Rejected, Tracer};

type Traced = RawNode<MemStorage, Vec<Event>>;

fn traced(id: u64, peers: &[u64]) -> Traced {
    RawNode::with_tracer(&config(id, peers), MemStorage::new(), Vec::new()).unwrap()
}

/// The events since the last call.
fn events(node: &mut Traced) -> Vec<Event> {
    core::mem::take(node.tracer_mut())
}

/// The names of events, which is what their `Debug` form begins with.
fn names(events: &[Event]) -> Vec<alloc::string::String> {
    let name = |event: &Event| {
        let text = alloc::format!("{event:?}");
        text.split([' ', '(']).next().unwrap_or_default().into()
    };
    events.iter().map(name).collect()
}

fn turn(node: &mut Traced) -> Vec<Message> {
    let mut ready = node.ready().unwrap();
    node.store_mut().append(&ready.entries).unwrap();
    if let Some(state) = ready.hard_state {
        node.store_mut().set_hard_state(state);
    }
    let messages = core::mem::take(&mut ready.messages);
    node.advance(ready).unwrap();
    messages
}

#[test]
fn direct_start_is_told() {
    let mut node = traced(2, &[1, 2, 3]);
    let events = events(&mut node);
    assert_eq!(names(&events), ["ConfigurationChanged", "Became", "Started"]);
    let Some(Event::Started { voters, term: 0, committed: 0, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(voters, &[1, 2, 3]);
}

#[test]
fn direct_election_is_told_step_by_step() {
    let mut node = traced(1, &[1, 2, 3]);
    events(&mut node);
    node.campaign().unwrap();
    let campaign = ["CampaignStarted", "Became", "VoteRequested", "VoteRequested"];
    assert_eq!(names(&events(&mut node)), campaign);
    node.step(vote_answer(3, 1, false)).unwrap();
    let refused = events(&mut node);
    assert!(
        matches!(
            refused[..],
            [
                Event::VoteReceived { ballot: Ballot::Vote, from: 3, granted: false, term: 1 },
                Event::VotesCounted { granted: 1, refused: 1, .. },
            ]
        ),
        "{refused:?}"
    );
    node.step(vote_answer(2, 1, true)).unwrap();
    let won = events(&mut node);
    assert_eq!(names(&won), ["VoteReceived", "VotesCounted", "Became"]);
    assert!(matches!(won[2], Event::Became { role: Leader, term: 1, leader: 1 }));
}

#[test]
fn direct_commit_and_acknowledgement_are_told_with_their_indices() {
    let mut node = traced(1, &[1, 2, 3]);
    node.campaign().unwrap();
    node.step(vote_answer(2, 1, true)).unwrap();
    turn(&mut node);
    events(&mut node);
    node.step(Message { term: 1, index: 1, ..msg(MsgAppendResponse, 2, 1) }).unwrap();
    let told = events(&mut node);
    assert!(
        matches!(
            told[..],
            [Event::Acknowledged { from: 2, index: 1 }, Event::Committed { from: 0, to: 1 }]
        ),
        "{told:?}"
    );
}

#[test]
fn direct_follower_tells_what_gave_way() {
    let mut node = traced(2, &[1, 2, 3]);
    let append = |term, entries: Vec<Entry>| Message { term, entries, ..msg(MsgAppend, 1, 2) };
    node.step(append(1, entries_of(&[1, 1]))).unwrap();
    turn(&mut node);
    events(&mut node);
    node.step(append(2, entries_of(&[1, 2]))).unwrap();
    let told = names(&events(&mut node));
    assert_eq!(told, ["HigherTerm", "Became", "Conflict", "UnstableReplaced"]);
}

#[test]
fn direct_what_was_ignored_or_rejected_is_told_once() {
    let mut node = traced(1, &[1, 2, 3]);
    node.step(Message { term: 5, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    events(&mut node);
    node.step(Message { term: 4, ..msg(MsgHeartbeat, 3, 1) }).unwrap();
    let told = events(&mut node);
    let [Event::Ignored { reason: Ignored::LowerTerm { theirs: 4, own: 5, .. }, from: 3, .. }] =
        told[..]
    else {
        panic!("{told:?}");
    };
    node.step(Message { term: 5, log_term: 5, index: 9, ..msg(MsgAppend, 2, 1) }).unwrap();
    let told = events(&mut node);
    assert!(matches!(told[0], Event::AppendRefused { from: 2, own_term: 0, .. }), "{told:?}");
    assert!(matches!(told[1], Event::Rejected(Rejected::Append { .. })), "{told:?}");
    assert_eq!(told.len(), 2);
    assert!(node.propose("data").is_ok(), "handed on");
    node.step(Message { term: 6, ..msg(MsgRequestVote, 3, 1) }).unwrap();
    events(&mut node);
    assert!(node.propose("data").is_err());
    assert_eq!(names(&events(&mut node)), ["ProposalDropped"]);
}

#[test]
fn direct_idle_leader_has_nothing_to_tell() {
    let mut node = traced(1, &[1]);
    node.campaign().unwrap();
    while node.has_ready() {
        turn(&mut node);
    }
    events(&mut node);
    for _ in 0..5 * ELECTION_TICK {
        node.tick().unwrap();
    }
    assert_eq!(names(&events(&mut node)), Vec::<&str>::new());
}

/// Whoever counts wants to know of whom: one tracer may listen to many peers.
#[test]
fn direct_tracer_is_told_whose_event_it_is() {
    #[derive(Default)]
    struct Ids(Vec<u64>);
    impl Tracer for Ids {
        fn trace(&mut self, id: u64, _: Event) {
            self.0.push(id);
        }
    }
    let mut node =
        RawNode::with_tracer(&config(7, &[7]), MemStorage::new(), Ids::default()).unwrap();
    node.campaign().unwrap();
    assert!(node.tracer().0.len() > 3 && node.tracer().0.iter().all(|&id| id == 7));
}

/// A peer behaves alike whether somebody listens or not.
#[test]
fn direct_tracer_changes_nothing() {
    let mut plain = node(1, &[1, 2, 3]);
    let mut listened = traced(1, &[1, 2, 3]);
    let script = vec![
        vote_answer(2, 1, true),
        Message { term: 1, index: 1, ..msg(MsgAppendResponse, 2, 1) },
        Message { entries: vec![data_entry(0, 0, "data")], ..msg(MsgPropose, 3, 1) },
        Message { term: 1, index: 2, ..msg(MsgAppendResponse, 3, 1) },
        Message { term: 4, log_term: 1, index: 9, ..msg(MsgRequestVote, 3, 1) },
    ];
    plain.campaign().unwrap();
    listened.campaign().unwrap();
    for message in script {
        assert_eq!(plain.step(message.clone()), listened.step(message));
        assert_eq!(settle(&mut plain), {
            let mut messages = Vec::new();
            while listened.has_ready() {
                messages.extend(turn(&mut listened));
            }
            messages
        });
        assert_eq!(plain.raft().hard_state(), listened.raft().hard_state());
    }
}

#[test]
fn direct_commit_that_came_with_a_read_is_told() {
    let mut storage = terms(&[1, 1]);
    storage.set_hard_state(HardState { term: 1, vote: 2, commit: 1 });
    let mut node = RawNode::with_tracer(&config(1, &[1, 2, 3]), storage, Vec::new()).unwrap();
    node.step(Message { term: 1, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
    node.tracer_mut().clear();
    let entries = vec![entry(0, 0)];
    let answer = Message { term: 1, index: 2, entries, ..msg(MsgReadIndexResp, 2, 1) };
    node.step(answer).unwrap();
    assert!(matches!(node.tracer()[..], [Event::Committed { from: 1, to: 2 }]));
}

#[test]
fn direct_end_of_a_transfer_is_told() {
    let mut raft = traced(1, &[1, 2, 3]);
    raft.campaign().unwrap();
    raft.ready().unwrap();
    raft.step(vote_answer(2, 1, true)).unwrap();
    raft.transfer_leader(2).unwrap();
    raft.tracer_mut().clear();
    for _ in 0..ELECTION_TICK {
        raft.tick().unwrap();
    }
    assert!(raft.tracer().iter().any(|e| matches!(e, Event::TransferEnded { to: 2, term: 1 })));
}
