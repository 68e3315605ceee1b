//! Reads by lease (thesis 6.4.1): a quorum promised to elect nobody else for a while.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::eraftpb::{HardState, Message};
use crate::tests::harness::*;
use crate::{Config, Ignored, MemStorage, Outcome, RawNode, ReadOnly, ReadState, SelfAck};

fn lease(config: &mut Config) {
    (config.check_quorum, config.read_only) = (true, ReadOnly::LeaseBased);
}

fn read(at: u64) -> Message {
    Message { from: 0, entries: vec![data_entry(0, 0, "ctx")], ..msg(MsgReadIndex, at, at) }
}

fn served(raft: &mut TestRaft) -> Vec<u64> {
    let states: Vec<ReadState> = core::mem::take(&mut raft.read_states);
    states.into_iter().map(|state| state.index).collect()
}

fn beats(raft: &mut TestRaft) -> Vec<Message> {
    sent(raft).into_iter().filter(|m| kind(m) == MsgHeartbeat).collect()
}

fn echo(from: u64, heartbeat: &Message) -> Message {
    let (term, context) = (heartbeat.term, heartbeat.context.clone());
    Message { term, context, ..msg(MsgHeartbeatResponse, from, heartbeat.from) }
}

/// A leader of three whose first entry is committed, without a lease yet.
fn leading() -> TestRaft {
    let mut raft = peer_with(1, &[1, 2, 3], lease);
    lead(&mut raft);
    commit_noop_entry(&mut raft);
    raft
}

/// A leader of three that has just heard from a quorum.
fn with_lease() -> TestRaft {
    let mut raft = leading();
    tick(&mut raft, 1);
    let beat = beats(&mut raft).remove(0);
    raft.step(echo(2, &beat)).unwrap();
    raft
}

/// etcd TestReadOnlyOptionLease
#[test]
fn direct_lease_serves_reads_at_every_peer_without_a_round() {
    let mut net = network_with(3, lease);
    net.send([hup(1)]);
    for (at, last) in [(1, 11), (2, 21), (3, 31)] {
        for _ in 0..10 {
            net.send([propose(1, "data")]);
        }
        net.send([beat(1)]);
        let before = net.count_delivered(MsgHeartbeat);
        net.send([read(at)]);
        assert_eq!(served(&mut net[at]), [last]);
        assert_eq!(net.count_delivered(MsgHeartbeat), before);
    }
}

/// A vote is no promise about what comes after it: the lease begins with an answered heartbeat.
#[test]
fn direct_new_leader_has_no_lease_before_a_quorum_answers_a_heartbeat() {
    let mut raft = leading();
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), Vec::<u64>::new());
    let asked = beats(&mut raft);
    raft.step(echo(2, &asked[0])).unwrap();
    assert_eq!(served(&mut raft), [1]);
}

#[test]
fn direct_lease_runs_from_when_the_heartbeat_left_and_not_from_its_answer() {
    let mut raft = leading();
    tick(&mut raft, 1);
    let early = beats(&mut raft).remove(0);
    // The answer is nearly as old as the lease is long.
    tick(&mut raft, ELECTION_TICK - 2);
    sent(&mut raft);
    raft.step(echo(2, &early)).unwrap();
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), [1]);
    tick(&mut raft, 1);
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), Vec::<u64>::new());
}

/// The follower that answered counts its own ticks, and its clock need not tick together with the
/// leader's: after the heartbeat it may see its next tick at once, and vote for another just after
/// nine of the leader's ten ticks.
#[test]
fn direct_lease_ends_before_the_first_follower_may_vote_again() {
    let mut net = network_with(3, lease);
    net.send([hup(1)]);
    net.isolate(3);
    net.send([beat(1)]);
    // Nine ticks pass everywhere, and at peer 2 the tenth, a moment before the leader's.
    for _ in 1..ELECTION_TICK {
        for id in [2, 1] {
            tick(&mut net[id], 1);
        }
        net.cut(1, 2);
    }
    tick(&mut net[2], 1);
    net.recover();
    net.isolate(1);
    for id in [2, 3] {
        net[id].randomized_election_timeout = ELECTION_TICK;
    }
    tick(&mut net[3], 2 * ELECTION_TICK);
    net.send([hup(3)]);
    assert_eq!(net[3].role, Leader, "2 was free to vote");
    net.send([propose(3, "newer")]);
    net.send([read(1)]);
    assert_eq!(served(&mut net[1]), Vec::<u64>::new(), "stale");
}

/// tikv issue 1593: the successor ignores the lease, so nothing may rest on it.
#[test]
fn direct_lease_is_void_during_a_transfer() {
    let mut raft = with_lease();
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), [1]);
    raft.step(transfer(3, 1)).unwrap();
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), Vec::<u64>::new());
}

/// The order to campaign may be under way for longer than the leader waits for it to be followed.
#[test]
fn direct_lease_stays_void_after_a_transfer_that_came_to_nothing() {
    let mut net = network_with(3, lease);
    net.send([hup(1)]);
    net[1].step(transfer(3, 1)).unwrap();
    let order = sent(&mut net[1]).into_iter().find(|m| kind(m) == MsgTimeoutNow).unwrap();
    for _ in 0..ELECTION_TICK {
        tick(&mut net[1], 1);
        net.send([beat(1)]);
    }
    assert_eq!((net[1].role, net[1].transferee), (Leader, None), "given up");
    net.send([beat(1)]);
    // Now the order arrives, and the old leader is cut off.
    net.isolate(1);
    net.send([order]);
    assert_eq!(net[3].role, Leader);
    net.send([propose(3, "newer")]);
    net.send([read(1)]);
    assert_eq!(served(&mut net[1]), Vec::<u64>::new(), "stale");
}

/// Only a request to oneself, which never left, may be forgotten.
#[test]
fn direct_transfer_that_was_never_ordered_leaves_the_lease_as_it_was() {
    let mut raft = with_lease();
    raft.step(propose(1, "data")).unwrap();
    raft.step(transfer(3, 1)).unwrap();
    assert!(!kinds(&sent(&mut raft)).contains(&MsgTimeoutNow), "3 has to catch up");
    raft.step(transfer(1, 1)).unwrap();
    assert_eq!(raft.transferee, None);
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), [1]);
}

/// A voter that restarts does not know whose lease it is part of.
#[test]
fn direct_voter_refuses_to_vote_for_one_time_out_after_a_restart() {
    let mut storage = members_of(&[1, 2, 3], &[]);
    storage.set_hard_state(HardState { term: 1, ..HardState::default() });
    let mut raft = stored_with(2, &[], storage, lease);
    raft.randomized_election_timeout = 2 * ELECTION_TICK;
    let request = Message { term: 2, index: 9, log_term: 1, ..msg(MsgRequestVote, 3, 2) };
    raft.step(request.clone()).unwrap();
    assert_eq!((raft.term, raft.vote), (1, 0));
    tick(&mut raft, ELECTION_TICK - 1);
    raft.step(request.clone()).unwrap();
    assert_eq!((raft.term, raft.vote), (1, 0));
    tick(&mut raft, 1);
    raft.step(request).unwrap();
    assert_eq!((raft.term, raft.vote), (2, 3));
}

/// A new cluster need not wait: nobody was promised anything.
#[test]
fn direct_first_election_of_a_cluster_does_not_wait_for_leases() {
    let mut net = network_with(3, lease);
    net.send([hup(1)]);
    assert_eq!(net[1].role, Leader);
}

/// Questions that nobody answers do not pile up.
#[test]
fn direct_unanswered_lease_questions_are_forgotten() {
    let mut raft = leading();
    for _ in 0..1000 {
        raft.step(beat(1)).unwrap();
        tick(&mut raft, 1);
        raft.role = Leader;
        sent(&mut raft);
        // Somebody is alive, but too late to renew anything.
        raft.step(Message { term: 1, context: Bytes::new(), ..msg(MsgHeartbeatResponse, 2, 1) })
            .unwrap();
    }
    assert_eq!(raft.role, Leader);
    assert!(alloc::format!("{:?}", raft.reads).len() < 2_000);
}

/// Its own vote is part of what it promised: neither may its application make it break that.
#[test]
fn direct_peer_does_not_campaign_within_the_lease_that_it_is_part_of() {
    let mut config = config(2, &[1, 2, 3]);
    lease(&mut config);
    let mut node = crate::RawNode::new(&config, crate::MemStorage::new()).unwrap();
    node.step(Message { term: 1, ..msg(MsgHeartbeat, 1, 2) }).unwrap();
    for _ in 0..ELECTION_TICK - 1 {
        node.tick().unwrap();
        let outcome = node.campaign().unwrap();
        assert!(matches!(outcome, Outcome::Ignored(Ignored::LeaseInForce { candidate: 2, .. })));
    }
    assert_eq!((node.raft().role(), node.raft().term()), (Follower, 1));
    // Its leader may, and so may time.
    let mut asked = node.clone();
    asked.step(Message { term: 1, ..msg(MsgTimeoutNow, 1, 2) }).unwrap();
    assert_eq!(asked.raft().role(), Candidate);
    node.set_randomized_election_timeout(2 * ELECTION_TICK);
    node.tick().unwrap();
    node.campaign().unwrap();
    assert_eq!((node.raft().role(), node.raft().term()), (Candidate, 2));
}

/// All clocks run alike, and what travels between 2 and the others is handed over at once.
fn tick_alike(net: &mut Network) {
    for id in 1..=3 {
        net[id].tick().unwrap();
    }
    for from in [1, 3] {
        let to_two: Vec<_> = sent(&mut net[from]).into_iter().filter(|m| m.to == 2).collect();
        net.send(to_two);
    }
}

/// 2 answered 1's heartbeat and then hears of a newer term, in a late answer of candidate 3: it
/// forgets its leader, but not what it promised.
#[test]
fn direct_promise_outlives_the_leader_that_it_was_given_to() {
    let mut net = network_with(3, lease);
    net.send([hup(2)]);
    let late = Message { term: 1, ..msg(MsgHeartbeat, 2, 3) };
    for id in 1..=3 {
        tick(&mut net[id], 2 * ELECTION_TICK);
        sent(&mut net[id]);
    }
    while net[1].role != Leader {
        net.send([hup(1)]);
    }
    net.send([beat(1)]);
    net.cut(1, 3);
    while net[3].role != Candidate {
        tick_alike(&mut net);
    }
    while net[3].election_elapsed + 2 < net[3].randomized_election_timeout {
        tick_alike(&mut net);
    }
    assert_eq!((net[1].role, net[2].leader), (Leader, 1));
    net.cut(1, 2);
    net.send([late]);
    assert_eq!((net[2].leader, net[2].term), (0, net[3].term));
    for _ in 0..4 {
        tick_alike(&mut net);
    }
    assert_eq!((net[3].role, net[2].vote), (Candidate, 0), "2 has promised to wait");
    net[1].step(read(1)).unwrap();
    assert_eq!(served(&mut net[1]).len(), 1, "so the lease is good");
    for _ in 0..2 * ELECTION_TICK {
        tick_alike(&mut net);
    }
    assert_eq!(net[3].role, Leader, "it does not wait for ever");
}

/// A peer that starts with a term on its disk waits; one without starts for the first time. So the
/// first promise must not leave before some term is on disk.
#[test]
fn direct_first_promise_waits_until_a_crash_would_remember_it() {
    let on_disk = Config { self_ack: SelfAck::OnPersist, ..config(2, &[1, 2, 3]) };
    let mut config = Config { async_persist: true, ..on_disk };
    lease(&mut config);
    let mut node = RawNode::new(&config, MemStorage::new()).unwrap();
    let heartbeat = |term| Message { term, ..msg(MsgHeartbeat, 1, 2) };
    node.step(heartbeat(1)).unwrap();
    let ready = node.ready().unwrap();
    assert_eq!((ready.messages, ready.hard_state.unwrap().term), (vec![], 1));
    let late = node.on_persisted(ready.number).unwrap();
    assert_eq!(kinds(&late), [MsgHeartbeatResponse]);
    // From now on it leaves at once: after a crash the peer would wait.
    node.step(heartbeat(1)).unwrap();
    assert_eq!(kinds(&node.ready().unwrap().messages), [MsgHeartbeatResponse]);
}

/// After two changes the voters that answered before the first need not be among those who elect.
#[test]
fn direct_lease_ends_when_the_members_change() {
    let mut raft = with_lease();
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), [1]);
    add_node(&mut raft, 4);
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), Vec::<u64>::new());
    tick(&mut raft, 1);
    let beat = beats(&mut raft).pop().unwrap();
    raft.step(echo(2, &beat)).unwrap();
    assert_eq!(served(&mut raft), Vec::<u64>::new(), "two of four are no majority");
    raft.step(echo(3, &beat)).unwrap();
    assert_eq!(served(&mut raft), [1]);
    raft.step(read(1)).unwrap();
    assert_eq!(served(&mut raft), [1], "by the new lease");
}
