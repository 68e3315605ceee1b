//! Random schedules over a small network. The simulator does this with time, disks and crashes;
//! here it guards the core by itself.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::eraftpb::Entry;
use crate::tests::harness::*;

const PEERS: u64 = 5;

#[derive(Clone, Debug)]
enum Event {
    Campaign(u64),
    Propose(u64),
    Beat(u64),
    Tick(u64, u32),
    Cut(u64, u64),
    Recover,
    Ignore(MessageType),
    Apply(u64),
    Compact(u64),
    Transfer(u64, u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let peer = || 1..=PEERS;
    let kinds = prop_oneof![
        Just(MsgAppend),
        Just(MsgAppendResponse),
        Just(MsgRequestVoteResponse),
        Just(MsgSnapshot),
    ];
    prop_oneof![
        3 => peer().prop_map(Event::Campaign),
        5 => peer().prop_map(Event::Propose),
        3 => peer().prop_map(Event::Beat),
        2 => (peer(), 1u32..25).prop_map(|(id, ticks)| Event::Tick(id, ticks)),
        4 => (peer(), peer()).prop_map(|(a, b)| Event::Cut(a, b)),
        2 => Just(Event::Recover),
        1 => kinds.prop_map(Event::Ignore),
        2 => peer().prop_map(Event::Apply),
        1 => peer().prop_map(Event::Compact),
        1 => (peer(), peer()).prop_map(|(a, b)| Event::Transfer(a, b)),
    ]
}

/// What all peers together have ever done, to compare with what they do next.
#[derive(Default)]
struct Witness {
    leader_of: BTreeMap<u64, u64>,
    committed: BTreeMap<u64, Entry>,
}

impl Witness {
    /// Election Safety, State Machine Safety and Leader Completeness (figure 3).
    fn check(&mut self, net: &Network) {
        for raft in net.live() {
            let first = raft.log.first_index().unwrap();
            for index in first..=raft.log.committed() {
                let entry = raft.log.slice(index, index + 1, u64::MAX).unwrap().remove(0);
                let known = self.committed.entry(index).or_insert_with(|| entry.clone());
                assert_eq!(*known, entry, "peer {} committed another entry", raft.id);
            }
        }
        for raft in net.live().filter(|raft| raft.role == Leader) {
            let leader = *self.leader_of.entry(raft.term).or_insert(raft.id);
            assert_eq!(leader, raft.id, "two leaders of term {}", raft.term);
            // An old leader need not know what a newer one has committed.
            if net.live().all(|other| other.term <= raft.term) {
                for (&index, entry) in self.committed.range(raft.log.first_index().unwrap()..) {
                    let own = raft.log.term(index);
                    assert_eq!(own, Ok(entry.term), "leader {} lacks {index}", raft.id);
                }
            }
        }
        check_log_matching(net);
    }
}

/// If two logs hold the same entry, they agree on everything before it (figure 3).
fn check_log_matching(net: &Network) {
    let logs: Vec<_> = net.live().map(|raft| (raft.id, raft.log.all_entries().unwrap())).collect();
    for (id, log) in &logs {
        for (other_id, other) in &logs {
            let by_index: BTreeMap<_, _> = other.iter().map(|e| (e.index, e)).collect();
            let both = log.iter().filter_map(|e| Some((e, *by_index.get(&e.index)?)));
            let agree: Vec<_> = both.map(|(a, b)| a.term == b.term && a == b).collect();
            let first_difference = agree.iter().position(|&same| !same).unwrap_or(agree.len());
            let back_again = agree[first_difference..].contains(&true);
            assert!(!back_again, "logs of {id} and {other_id} part and meet again");
        }
    }
}

fn compact(raft: &mut TestRaft) {
    let (applied, conf_state) = (raft.log.applied(), raft.prs.conf_state());
    let storage = raft.log.storage_mut();
    if applied > storage.truncated().index {
        storage.create_snapshot(applied, Some(conf_state), "state").unwrap();
        storage.compact(applied).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(400)))]

    #[test]
    fn direct_random_schedules_keep_the_five_promises_of_raft(
        events in prop::collection::vec(any_event(), 0..80)
    ) {
        let mut net = Network::of(PEERS);
        let mut witness = Witness::default();
        for event in events {
            match event {
                Event::Campaign(id) => net.send([hup(id)]),
                Event::Propose(id) => net.send([propose(id, "data")]),
                Event::Beat(id) => net.send([beat(id)]),
                Event::Tick(id, ticks) => {
                    tick(&mut net[id], ticks);
                    net.send([beat(id)]);
                }
                Event::Cut(a, b) if a != b => net.cut(a, b),
                Event::Cut(..) => {}
                Event::Recover => net.recover(),
                Event::Ignore(kind) => net.ignore(kind),
                Event::Apply(id) => drop(next_ents(&mut net[id])),
                Event::Compact(id) => compact(&mut net[id]),
                Event::Transfer(to, at) => net.send([transfer(to, at)]),
            }
            witness.check(&net);
        }
        // And with working links there is progress: one leader, one log.
        net.recover();
        let mut elected = false;
        for id in (1..=PEERS).cycle().take(3 * 5) {
            next_ents(&mut net[id]);
            net.send([hup(id)]);
            elected |= net[id].role == Leader;
            witness.check(&net);
        }
        prop_assert!(elected);
        let leader = net.live().find(|raft| raft.role == Leader).map(|raft| raft.id);
        let leader = leader.expect("somebody leads");
        for _ in 0..3 * ELECTION_TICK {
            tick(&mut net[leader], 1);
            net.send([beat(leader)]);
        }
        net.send([propose(leader, "last")]);
        let last = net[leader].log.last_index();
        for raft in net.live() {
            prop_assert_eq!(raft.log.committed(), last, "peer {}", raft.id);
        }
    }
}
