//! Drivers that break what a peer relies on, and the rule by which that is noticed.
//!
//! The core is the honest one. What is broken is what happens to its work between the moment that it
//! is handed out and the moment that it is reported as durable.

use raft_core::proto::raft_serverpb::RaftLocalState;
use raft_kv::{Engines, WriteBatch, keys};

use super::*;
use crate::check::{Invariant, liveness};
use crate::command::Command;
use crate::node::{NodeState, REGION, Writing};
use crate::scenario::Op;

/// Tampers with work that a disk is busy with. Returns whether it found something to break.
type Tamper = fn(&mut World, u64) -> bool;

/// Runs a cluster under writes, crashes and campaigns, tampering all the time, until a rule breaks.
fn caught(tamper: Tamper) -> Violation {
    for seed in 0..200 {
        let mut world = World::new(&Scenario::new(seed)).unwrap();
        let mut rounds = 0;
        while rounds < 60 && world.violation().is_none() {
            rounds += 1;
            stir(&mut world, rounds);
            let end = world.now_us() + 150_000;
            while world.next_event_us().is_some_and(|next| next <= end) && world.step() {
                for peer in 1..=5 {
                    tamper(&mut world, peer);
                }
            }
        }
        if let Some(violation) = world.violation() {
            return violation.clone();
        }
    }
    panic!("a broken driver shows");
}

fn stir(world: &mut World, round: u64) {
    let put = Op::Put { key: format!("k{}", round % 3), value: round.to_string() };
    let peer = round % 5 + 1;
    let command = match round % 6 {
        2 => Command::Crash { peer },
        3 => Command::Restart { peer: (peer + 3) % 5 + 1 },
        4 => Command::Campaign { peer },
        _ => Command::Request { client: 0, op: put, to: None },
    };
    world.apply(command).unwrap();
    if round.is_multiple_of(6) {
        for peer in 1..=5 {
            world.apply(Command::Restart { peer }).unwrap();
        }
    }
}

/// The batch without what `keep` refuses, and with what it changes.
fn filtered(
    batch: &WriteBatch,
    keep: impl Fn(&[u8], &bytes::Bytes) -> Option<bytes::Bytes>,
) -> WriteBatch {
    let mut left = WriteBatch::default();
    for (key, value) in batch.iter() {
        match value {
            None => left.delete(key.clone()),
            Some(value) => {
                if let Some(value) = keep(key, value) {
                    left.put(key.clone(), value);
                }
            }
        }
    }
    left
}

/// Changes the work that peer `id` waits for.
fn with_work(world: &mut World, id: u64, change: impl FnOnce(&mut raft_kv::Work)) -> bool {
    let Some(node) = world.nodes.get_mut(id) else { return false };
    let NodeState::Up { writing: Some(Writing { work, durable: false }), .. } = &mut node.state
    else {
        return false;
    };
    change(work);
    true
}

fn change_state(world: &mut World, id: u64, change: fn(&mut RaftLocalState)) -> bool {
    use prost::Message as _;
    let state_key = keys::raft_state(REGION);
    with_work(world, id, |work| {
        work.batches.raft = filtered(&work.batches.raft, |key, value| {
            if *key != state_key[..] {
                return Some(value.clone());
            }
            let mut state = RaftLocalState::decode(&value[..]).unwrap();
            change(&mut state);
            Some(state.encode_to_vec().into())
        });
    })
}

#[test]
fn a_vote_that_is_not_persisted_is_noticed_when_it_is_sent() {
    let forgets_votes: Tamper = |world, id| {
        change_state(world, id, |state| {
            let hard = state.hard_state.get_or_insert_default();
            hard.vote = 0;
        })
    };
    assert_eq!(caught(forgets_votes).invariant, Invariant::VoteOnce);
}

#[test]
fn a_term_that_is_not_persisted_is_noticed_when_it_is_spoken_of_or_voted_in() {
    let forgets_terms: Tamper = |world, id| {
        change_state(world, id, |state| {
            let hard = state.hard_state.get_or_insert_default();
            hard.term = hard.term.min(5);
        })
    };
    let caught = caught(forgets_terms).invariant;
    assert!([Invariant::Outbox, Invariant::VoteOnce].contains(&caught), "{caught}");
}

#[test]
fn entries_that_are_not_persisted_are_noticed() {
    let forgets_entries: Tamper = |world, id| {
        with_work(world, id, |work| {
            work.batches.raft = filtered(&work.batches.raft, |key, value| {
                keys::raft_log_index(key).is_none().then(|| value.clone())
            });
        })
    };
    assert_eq!(caught(forgets_entries).invariant, Invariant::DiskMirror);
}

#[test]
fn entries_that_change_on_their_way_to_the_disk_are_noticed() {
    let garbles: Tamper = |world, id| {
        use prost::Message as _;
        with_work(world, id, |work| {
            work.batches.raft = filtered(&work.batches.raft, |key, value| {
                if keys::raft_log_index(key).is_none() {
                    return Some(value.clone());
                }
                let mut entry = raft_core::eraftpb::Entry::decode(&value[..]).unwrap();
                entry.data = "garbled".into();
                Some(entry.encode_to_vec().into())
            });
        })
    };
    assert_eq!(caught(garbles).invariant, Invariant::LogMatching);
}

/// What a peer promises leaves at once, although its disk is still busy.
#[test]
fn answers_that_leave_before_the_disk_is_done_are_noticed() {
    let hasty: Tamper = |world, id| {
        let mut messages = Vec::new();
        with_work(world, id, |work| messages = std::mem::take(&mut work.messages));
        for message in &messages {
            world.saw_sent(id, message);
        }
        !messages.is_empty()
    };
    let caught = caught(hasty).invariant;
    assert!([Invariant::Outbox, Invariant::VoteOnce].contains(&caught), "{caught}");
}

#[test]
fn a_second_answer_to_the_same_request_is_noticed() {
    let twice: Tamper = |world, id| {
        with_work(world, id, |work| work.answers.extend_from_within(..));
        true
    };
    assert_eq!(caught(twice).invariant, Invariant::ExactlyOnce);
}

/// A peer that takes a write for done when it is asked has nothing in its log to show for it.
#[test]
fn a_write_that_is_acknowledged_without_an_entry_is_noticed() {
    let mut world = World::new(&Scenario::new(1)).unwrap();
    liveness::converges(&mut world).unwrap();
    stir(&mut world, 1);
    let (request, mut heard) = (world.last_request(), false);
    while !heard {
        assert!(world.step());
        heard = world.watch.forget_entries(request);
    }
    world.run_until(world.now_us() + 1_000_000);
    let violation = world.violation().unwrap();
    assert_eq!(violation.invariant, Invariant::AcknowledgedWrites, "{violation}");
}

/// Changes what a key holds on every disk while all peers are down, and runs on to the end.
fn after_all_disks_lost(key: &str, value: Option<&'static str>) -> Option<Violation> {
    let mut scenario = Scenario::new(1);
    scenario.settings.sessions = true;
    let mut world = World::new(&scenario).unwrap();
    world.keep_history();
    liveness::converges(&mut world).unwrap();
    stir(&mut world, 1);
    liveness::converges(&mut world).unwrap();
    for peer in 1..=5 {
        world.apply(Command::Crash { peer }).unwrap();
        let mut change = Batches::default();
        let key = keys::data(keys::CFS[0], key.as_bytes());
        match value {
            None => change.kv.delete(key),
            Some(value) => change.kv.put(key, value.into()),
        }
        world.nodes.get_mut(peer).unwrap().disk.write(&change);
    }
    for peer in 1..=5 {
        world.apply(Command::Restart { peer }).unwrap();
    }
    liveness::converges(&mut world).unwrap();
    crate::trial::is_linearizable(&mut world, true).err()
}

/// No client reads what all have lost, so that only the final state tells.
#[test]
fn a_write_that_all_lose_and_a_value_that_nobody_wrote_are_noticed_at_the_end() {
    let rule = |lost: Option<Violation>| lost.map(|violation| violation.invariant);
    assert_eq!(rule(after_all_disks_lost("k1", Some("1"))), None, "it held that before");
    for (key, value) in [("k1", None), ("k1", Some("2")), ("k9", Some("1"))] {
        let rule = rule(after_all_disks_lost(key, value));
        assert_eq!(rule, Some(Invariant::AcknowledgedWrites), "{key} {value:?}");
    }
}

/// Clients ask again elsewhere, so that nothing else shows it.
#[test]
fn an_answer_that_is_never_given_is_noticed_once_all_is_at_rest() {
    let mut world = World::new(&Scenario::new(1)).unwrap();
    liveness::converges(&mut world).unwrap();
    stir(&mut world, 1);
    let mut lost = false;
    while !lost {
        assert!(world.step());
        for peer in 1..=5 {
            with_work(&mut world, peer, |work| lost |= work.answers.pop().is_some());
        }
    }
    let violation = liveness::converges(&mut world).unwrap_err();
    assert_eq!(violation.invariant, Invariant::ExactlyOnce, "{violation}");
}

/// The disk says that it is done before it is, and a leader counts what a crash would lose. Alone it
/// is the whole quorum, so that it commits at once.
#[test]
fn a_leader_that_counts_what_it_has_not_written_is_noticed() {
    let mut world = World::new(&Scenario { peers: 1, ..Scenario::new(1) }).unwrap();
    while world.violation().is_none() {
        let node = world.nodes.get_mut(1).unwrap();
        if let NodeState::Up { store, writing: Some(writing) } = &mut node.state {
            store.persisted(writing.work.number).unwrap();
            world.saw(1);
        }
        assert!(world.now_us() < 1_000_000, "a broken driver shows");
        world.step();
    }
    let violation = world.violation().unwrap();
    assert_eq!(violation.invariant, Invariant::CommitDurability, "{violation}");
}

/// Two stores, two transactions, and a crash between them.
#[test]
fn a_crash_between_two_transactions_is_noticed_at_the_next_start() {
    let mut world = World::new(&Scenario::new(3)).unwrap();
    liveness::converges(&mut world).unwrap();
    let put = Op::Put { key: "k".into(), value: "v".into() };
    world.apply(Command::Request { client: 0, op: put, to: None }).unwrap();
    // The state machine's half of a write that applies something is on the disk, the other is not.
    let torn = |world: &World| {
        world.nodes.iter().find_map(|(id, node)| match &node.state {
            NodeState::Up { writing: Some(Writing { work, durable: false }), .. }
                if !work.applied.is_empty() =>
            {
                Some((id, Batches { kv: work.batches.kv.clone(), ..Batches::default() }))
            }
            _ => None,
        })
    };
    while torn(&world).is_none() && world.step() {}
    let (id, half) = torn(&world).unwrap();
    world.nodes.get_mut(id).unwrap().disk.write(&half);
    world.apply(Command::Crash { peer: id }).unwrap();
    world.apply(Command::Restart { peer: id }).unwrap();
    let refused = world.node(id).unwrap().failure().is_some();
    let rule = world.violation().map(|violation| violation.invariant);
    assert!(refused || rule == Some(Invariant::DiskMirror), "{rule:?}");
}

/// Outside of Raft's model: no peer can defend itself. It is told, not survived.
#[test]
fn a_disk_that_goes_back_to_an_older_image_is_noticed_at_the_next_start() {
    let mut world = World::new(&Scenario::new(4)).unwrap();
    let leader = liveness::converges(&mut world).unwrap().leader;
    let id = leader % 5 + 1;
    let old: Engines = world.node(id).unwrap().disk().clone();
    for round in 0..5 {
        stir(&mut world, 6 * round + 1);
        liveness::converges(&mut world).unwrap();
    }
    world.apply(Command::Crash { peer: id }).unwrap();
    world.nodes.get_mut(id).unwrap().disk.replace(old);
    world.apply(Command::Restart { peer: id }).unwrap();
    let rule = world.violation().map(|violation| violation.invariant);
    assert!(matches!(rule, Some(Invariant::Monotonicity | Invariant::DiskMirror)), "{rule:?}");
}

#[test]
fn an_honest_driver_is_not_accused() {
    for seed in 0..20 {
        let mut world = World::new(&Scenario::new(seed)).unwrap();
        for round in 1..=60 {
            stir(&mut world, round);
            world.run_until(world.now_us() + 150_000);
        }
        assert_eq!(world.violation(), None, "seed {seed}");
    }
}
