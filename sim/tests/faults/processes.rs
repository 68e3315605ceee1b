//! Peers that stall and peers that stop in mid-write.

use raft_sim::{Command, CrashPoint, DiskFault, Span, What, World};

use super::*;

fn last_index(world: &World, id: u64) -> Option<u64> {
    world.node(id)?.peer().map(|peer| peer.raft().log().last_index())
}

#[test]
fn a_stalled_peer_does_nothing_and_finds_everything_when_it_goes_on() {
    let (mut world, leader) = led(1);
    let stalled = leader % 5 + 1;
    apply(&mut world, Command::Pause { peer: stalled });
    assert!(world.node(stalled).unwrap().is_paused());
    let before = last_index(&world, stalled);
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    assert_eq!(last_index(&world, stalled), before, "it hears of nothing");
    assert_eq!(on_disk(&world, stalled, "k"), None);
    apply(&mut world, Command::Resume { peer: stalled });
    let found = count(&world, |w| matches!(w, What::Resumed { waiting, .. } if *waiting >= 3));
    assert_eq!(found, 1);
    assert_eq!(last_index(&world, stalled), before.map(|index| index + 1), "all at once");
    run_for(&mut world, SECOND);
    assert_eq!(on_disk(&world, stalled, "k").as_deref(), Some("v"));
}

#[test]
fn a_leader_that_stalls_wakes_up_believing_that_it_leads_and_serves_nothing_stale() {
    let (mut world, old) = led(2);
    put(&mut world, "k", "before");
    apply(&mut world, Command::Pause { peer: old });
    run_for(&mut world, 3 * SECOND);
    put(&mut world, "k", "after");
    let read = send(&mut world, get_op("k"), Some(old));
    run_for(&mut world, 100_000);
    apply(&mut world, Command::Resume { peer: old });
    run_for(&mut world, 8 * SECOND);
    assert_ne!(leader(&world), Some(old));
    if let Some(Outcome::Done(reply)) = outcome(&world, read) {
        assert_eq!(reply, Reply::Value(Some("after".into())));
    }
}

/// How far a follower's state machine is behind what it knows to be committed, at the most, while
/// its disk is slow and many entries come at once.
fn lag(apply_bytes_max: u64) -> u64 {
    let (mut world, leader) = led_with(9, |settings| settings.apply_bytes_max = apply_bytes_max);
    let follower = leader % 5 + 1;
    let sync = Span { min_us: 20_000, max_us: 20_000 };
    apply(&mut world, Command::Disk { peer: follower, fault: DiskFault::Slow { sync } });
    (0..30).for_each(|n| _ = send(&mut world, put_op("k", &n.to_string()), None));
    let mut most = 0;
    for _ in 0..300 {
        run_for(&mut world, 10_000);
        let peer = world.node(follower).unwrap().peer().unwrap();
        most = most.max(peer.raft().log().committed() - peer.storage().applied_index());
    }
    assert_eq!(on_disk(&world, follower, "k"), on_disk(&world, leader, "k"), "it has caught up");
    most
}

#[test]
fn a_state_machine_that_takes_few_entries_at_a_time_lags_behind_and_catches_up() {
    let (slow, fast) = (lag(1), lag(1 << 20));
    assert!(slow > 10 && fast < 5, "{slow} {fast}");
}

#[test]
fn the_disk_of_a_stalled_peer_finishes_its_write() {
    let (mut world, leader) = led(3);
    send(&mut world, put_op("k", "v"), None);
    run_while(&mut world, SECOND, |world| !world.node(leader).unwrap().is_writing());
    let entries = |world: &World| world.node(leader).unwrap().disk().raft.iter().count();
    let before = entries(&world);
    apply(&mut world, Command::Pause { peer: leader });
    run_for(&mut world, 100_000);
    assert_eq!(entries(&world), before + 1, "one entry more is durable");
    assert!(!world.node(leader).unwrap().is_writing());
    apply(&mut world, Command::Crash { peer: leader });
    let whole = What::Crashed { peer: leader, lost_write: false };
    assert_eq!(count(&world, |w| *w == whole), 1);
}

#[test]
fn what_waits_for_a_stalled_peer_is_bounded_and_is_lost_when_it_crashes() {
    let (mut world, leader) = led(4);
    let stalled = leader % 5 + 1;
    apply(&mut world, Command::Pause { peer: stalled });
    for _ in 0..60 {
        // A leader's whole burst reaches a peer that cannot read.
        apply(&mut world, Command::Clock { peer: leader, fault: ClockFault::Jump { ticks: 50 } });
        run_for(&mut world, 100_000);
    }
    apply(&mut world, Command::Crash { peer: stalled });
    let lost = count(&world, |w| matches!(w, What::Lost(flight) if flight.to == stalled));
    assert!(lost > 1_000, "{lost}");
    assert!(!world.node(stalled).unwrap().is_paused());
}

/// Arms the leader, asks for a write, and tells what happened: whether the entry is on its disk, how
/// many peers have it, and whether the client was answered.
fn crash_at(seed: u64, point: CrashPoint) -> (World, u64, bool) {
    let (mut world, leader) = led(seed);
    let before = world.node(leader).unwrap().disk().raft.iter().count();
    apply(&mut world, Command::CrashAt { peer: leader, point });
    assert!(world.node(leader).unwrap().peer().is_some(), "not before it writes");
    send(&mut world, put_op("k", "v"), None);
    run_while(&mut world, SECOND, |world| world.node(leader).unwrap().peer().is_some());
    let reached = What::Reached { peer: leader, point };
    assert_eq!(count(&world, |w| *w == reached), 1);
    let durable = world.node(leader).unwrap().disk().raft.iter().count() > before;
    (world, leader, durable)
}

/// Messages with entries that `from` has sent and that are on their way.
fn appends(world: &World, from: u64) -> usize {
    let entries = |f: &&raft_sim::Flight| {
        f.from == from && f.message.message.as_ref().is_some_and(|m| !m.entries.is_empty())
    };
    world.flights().filter(entries).count()
}

#[test]
fn a_crash_before_the_write_leaves_nothing() {
    let (world, leader, durable) = crash_at(5, CrashPoint::BeforeWrite);
    assert!(!durable);
    assert_eq!(appends(&world, leader), 0);
}

#[test]
fn a_crash_after_the_write_leaves_an_entry_that_nobody_heard_of() {
    let (mut world, leader, durable) = crash_at(6, CrashPoint::AfterWrite);
    assert!(durable);
    assert_eq!(appends(&world, leader), 0);
    apply(&mut world, Command::Restart { peer: leader });
    run_for(&mut world, 5 * SECOND);
    put(&mut world, "k", "later");
}

#[test]
fn a_crash_among_the_messages_sends_as_many_as_it_says() {
    for messages in 0..=4 {
        let (world, leader, durable) = crash_at(7, CrashPoint::AfterSending { messages });
        assert!(durable);
        assert_eq!(appends(&world, leader), messages as usize);
    }
}

#[test]
fn a_crash_after_the_answers_sends_everything() {
    let (mut world, leader, durable) = crash_at(8, CrashPoint::AfterAnswers);
    assert!(durable);
    assert_eq!(appends(&world, leader), 4);
    assert!(told(&world, "is stopped after the write, its messages and its answers"));
    run_for(&mut world, 5 * SECOND);
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"), "the others commit it");
}

#[test]
fn a_clock_can_run_fast_slow_and_not_at_all() {
    let (mut world, leader) = led(9);
    let ticks = |world: &mut World, fault| {
        apply(world, Command::Clock { peer: leader, fault });
        run_for(world, 100_000);
        let mut ticks = 0;
        let end_us = world.now_us() + SECOND;
        while world.now_us() < end_us {
            let before = world.node(leader).unwrap().next_tick_us();
            world.step();
            ticks += u32::from(world.node(leader).unwrap().next_tick_us() != before);
        }
        ticks
    };
    let rate = |permille| ClockFault::Rate { permille };
    assert!((59..=61).contains(&ticks(&mut world, rate(3_000))));
    assert!((5..=7).contains(&ticks(&mut world, rate(300))));
    assert_eq!(ticks(&mut world, ClockFault::Freeze), 0);
    assert!(world.node(leader).unwrap().is_frozen());
    assert!((19..=21).contains(&ticks(&mut world, rate(1_000))));
}

#[test]
fn a_leader_whose_clock_stands_still_is_replaced_and_its_clock_survives_a_restart() {
    let (mut world, old) = led(10);
    apply(&mut world, Command::Clock { peer: old, fault: ClockFault::Freeze });
    run_for(&mut world, 3 * SECOND);
    assert_ne!(leader(&world), Some(old));
    apply(&mut world, Command::Crash { peer: old });
    apply(&mut world, Command::Restart { peer: old });
    assert!(world.node(old).unwrap().is_frozen());
    put(&mut world, "k", "v");
}

#[test]
fn a_clock_that_jumps_makes_a_follower_campaign() {
    let (mut world, leader) = led(11);
    let hasty = leader % 5 + 1;
    apply(&mut world, Command::Clock { peer: hasty, fault: ClockFault::Jump { ticks: 20 } });
    let campaigned = |w: &What| matches!(w, What::Role { peer, .. } if *peer == hasty);
    assert!(count(&world, campaigned) > 0);
    assert!(told(&world, &format!("the clock of n{hasty} jumps forward by 20 ticks")));
}

#[test]
fn healing_all_takes_every_fault_of_links_processes_and_clocks_away() {
    let (mut world, _) = led(12);
    apply(&mut world, Command::Pause { peer: 1 });
    apply(&mut world, Command::Crash { peer: 2 });
    apply(&mut world, Command::Clock { peer: 3, fault: ClockFault::Freeze });
    apply(&mut world, Command::CrashAt { peer: 4, point: CrashPoint::AfterWrite });
    apply(&mut world, Command::SetLoss { permille: 1_000 });
    apply(&mut world, Command::isolate(5));
    run_for(&mut world, SECOND);
    apply(&mut world, Command::HealAll);
    let well = |id| {
        let node = world.node(id).unwrap();
        node.peer().is_some() && !node.is_paused() && !node.is_frozen()
    };
    assert!((1..=5).all(well) && world.is_connected(5, 1));
    run_for(&mut world, 5 * SECOND);
    put(&mut world, "k", "v");
    let lost = |w: &What| matches!(w, What::Lost(flight) if flight.sent_us > 7 * SECOND);
    assert_eq!(count(&world, lost), 0);
}
