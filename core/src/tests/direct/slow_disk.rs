//! A disk that is slower than the network: several `Ready`s are under way at once, while leaders
//! come and go and overwrite what is being written.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::eraftpb::{Entry, Message};
use crate::tests::harness::*;

/// Three leaders disagree about entry 1 while the disk is slow: the first one's entry, another's,
/// and the first one's again. What the first `Ready` wrote is then overwritten by the second, so
/// its completion proves nothing about the log.
#[test]
fn direct_entry_that_came_back_is_not_persisted_by_its_first_write() {
    let mut node = node(1, &[1, 2, 3]);
    let append = |term, entry_term| Message {
        term,
        entries: vec![entry(entry_term, 1)],
        ..msg(MsgAppend, 2, 1)
    };
    let mut in_flight = Vec::new();
    for (term, entry_term) in [(1, 1), (2, 2)] {
        node.step(append(term, entry_term)).unwrap();
        in_flight.push(node.ready().unwrap());
    }
    node.step(append(3, 1)).unwrap();
    for ready in in_flight {
        persist(&mut node, &ready);
        node.advance(ready).unwrap();
        assert_eq!(node.raft().log().term(1), Ok(1));
    }
    settle(&mut node);
    assert_eq!(node.store().all_entries(), [entry(1, 1)]);
}

/// Leaders and their logs, and the log that one follower must end up with.
#[derive(Default)]
struct Model {
    term: u64,
    leaders: Vec<Vec<Entry>>,
    log: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct NewLeader {
    /// Which log it starts from: an earlier leader's or, counted as one more, an empty one.
    inherits: usize,
    /// How many entries of its own term it appends.
    appends: u64,
    /// How many entries that agree it sends again.
    repeats: usize,
    /// How many entries it sends at most.
    sends: usize,
}

impl Model {
    /// The next leader's append, which the follower accepts.
    fn append(&mut self, leader: NewLeader) -> Message {
        self.term += 1;
        let predecessor = leader.inherits % (self.leaders.len() + 1);
        let mut log = self.leaders.get(predecessor).cloned().unwrap_or_default();
        let after = log.len() as u64 + 1;
        log.extend((after..after + leader.appends).map(|index| entry(self.term, index)));

        let same = log.iter().zip(&self.log).take_while(|(a, b)| a == b).count();
        let base = same.saturating_sub(leader.repeats);
        let entries: Vec<_> = log[base..].iter().take(leader.sends).cloned().collect();
        if base + entries.len() > same {
            self.log.truncate(same);
            self.log.extend_from_slice(&entries[same - base..]);
        }
        let log_term = log[..base].last().map_or(0, |previous| previous.term);
        self.leaders.push(log);
        Message { term: self.term, index: base as u64, log_term, entries, ..msg(MsgAppend, 2, 1) }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(NewLeader),
    Ready,
    Persist,
}

fn any_step() -> impl Strategy<Value = Step> {
    let leader = (0usize..6, 0u64..3, 0usize..3, 0usize..5);
    let append = leader.prop_map(|(inherits, appends, repeats, sends)| {
        Step::Append(NewLeader { inherits, appends, repeats, sends })
    });
    prop_oneof![3 => append, 2 => Just(Step::Ready), 2 => Just(Step::Persist)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2000)))]

    /// The log always reads as a plain vector would, and in the end the disk holds the same.
    #[test]
    fn direct_log_and_disk_agree_however_slow_the_disk_is(
        steps in prop::collection::vec(any_step(), 0..40)
    ) {
        let mut node = node(1, &[1, 2, 3]);
        let mut model = Model::default();
        let mut in_flight = Vec::new();
        for step in steps {
            match step {
                Step::Append(leader) => drop(node.step(model.append(leader)).unwrap()),
                Step::Ready => in_flight.push(node.ready().unwrap()),
                Step::Persist if !in_flight.is_empty() => {
                    let ready = in_flight.remove(0);
                    persist(&mut node, &ready);
                    node.advance(ready).unwrap();
                }
                Step::Persist => {}
            }
            prop_assert_eq!(&node.raft().log().all_entries().unwrap(), &model.log);
        }
        for ready in in_flight {
            persist(&mut node, &ready);
            node.advance(ready).unwrap();
        }
        settle(&mut node);
        prop_assert_eq!(node.store().all_entries(), &model.log);
        prop_assert_eq!(node.raft().log().stabled(), model.log.len() as u64);
    }
}
