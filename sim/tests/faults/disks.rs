//! Disks that are slow, full, forgetful or damaged, and drivers that mistreat them.

use raft_core::Rules;
use raft_sim::trial::Trial;
use raft_sim::{
    Command, CrashPoint, DiskFault, FaultClass, Flaws, Invariant, Nemesis, NemesisSettings, Order,
    Span, What, World,
};

use super::*;

fn set(world: &mut World, peer: u64, fault: DiskFault) {
    apply(world, Command::Disk { peer, fault });
}

fn is_up(world: &World, id: u64) -> bool {
    world.node(id).unwrap().peer().is_some()
}

fn failure(world: &World, id: u64) -> &str {
    world.node(id).unwrap().failure().expect("it stopped by itself")
}

#[test]
fn a_slow_disk_delays_only_its_own_peer() {
    let (mut world, leader) = led(1);
    let slow = leader % 5 + 1;
    set(&mut world, slow, DiskFault::Slow { sync: Span { min_us: 700_000, max_us: 700_000 } });
    put(&mut world, "k", "v");
    run_for(&mut world, 200_000);
    assert!(world.node(slow).unwrap().is_writing());
    assert_eq!(on_disk(&world, leader, "k").as_deref(), Some("v"));
    run_for(&mut world, 3 * SECOND);
    assert_eq!(on_disk(&world, slow, "k").as_deref(), Some("v"), "it comes after all");
}

#[test]
fn on_a_full_disk_a_peer_stops_says_why_and_starts_when_there_is_room() {
    let (mut world, leader) = led(2);
    let full = leader % 5 + 1;
    set(&mut world, full, DiskFault::Full);
    run_for(&mut world, SECOND);
    assert!(is_up(&world, full), "it reads and has nothing to write");
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    assert_eq!(failure(&world, full), "its disk is full");
    apply(&mut world, Command::Restart { peer: full });
    run_for(&mut world, SECOND);
    assert_eq!(failure(&world, full), "its disk is full", "and still is");
    set(&mut world, full, DiskFault::Mend);
    apply(&mut world, Command::Restart { peer: full });
    run_for(&mut world, SECOND);
    assert_eq!(on_disk(&world, full, "k").as_deref(), Some("v"));
}

#[test]
fn a_write_that_fails_stops_the_peer_once() {
    let (mut world, leader) = led(3);
    set(&mut world, leader, DiskFault::FailWrite);
    put(&mut world, "k", "v");
    assert_eq!(failure(&world, leader), "its disk failed to write");
    apply(&mut world, Command::Restart { peer: leader });
    put(&mut world, "k", "w");
    run_for(&mut world, SECOND);
    assert!(is_up(&world, leader));
    assert_eq!(on_disk(&world, leader, "k").as_deref(), Some("w"));
}

#[test]
fn a_sync_that_fails_stops_the_peer_and_leaves_the_write_to_chance() {
    let mut kept = [0; 2];
    for seed in 0..20 {
        let (mut world, leader) = led(seed);
        set(&mut world, leader, DiskFault::FailSync);
        put(&mut world, "k", "v");
        assert!(failure(&world, leader).starts_with("its disk failed to sync"));
        let lost = |w: &What| matches!(w, What::Unsynced { lost: 1, .. });
        kept[count(&world, lost)] += 1;
        apply(&mut world, Command::Restart { peer: leader });
        run_for(&mut world, 2 * SECOND);
        assert_eq!(on_disk(&world, leader, "k").as_deref(), Some("v"));
    }
    assert!(kept[0] > 0 && kept[1] > 0, "{kept:?}");
}

#[test]
fn a_stalled_peer_hears_of_its_failed_sync_when_it_goes_on() {
    let (mut world, leader) = led(4);
    set(&mut world, leader, DiskFault::FailSync);
    send(&mut world, put_op("k", "v"), None);
    run_while(&mut world, SECOND, |world| !world.node(leader).unwrap().is_writing());
    apply(&mut world, Command::Pause { peer: leader });
    run_for(&mut world, 100_000);
    assert!(is_up(&world, leader));
    apply(&mut world, Command::Resume { peer: leader });
    assert!(!is_up(&world, leader));
}

#[test]
fn writes_that_wait_for_a_sync_are_lost_in_a_crash_from_some_point_on() {
    let write_back_us = 10 * SECOND;
    let mut seen = [0; 2];
    for seed in 0..10 {
        let (mut world, leader) = led_with(seed, |settings| settings.write_back_us = write_back_us);
        put(&mut world, "k", "v");
        assert_eq!(on_disk(&world, leader, "k"), None, "applied, not synced");
        assert_eq!(get(&mut world, "k").as_deref(), Some("v"), "the peer knows it");
        apply(&mut world, Command::Crash { peer: leader });
        seen[0] += count(&world, |w| matches!(w, What::Unsynced { lost, .. } if *lost > 0));
        seen[1] += count(&world, |w| matches!(w, What::Unsynced { kept, .. } if *kept > 0));
        apply(&mut world, Command::Restart { peer: leader });
        run_for(&mut world, 3 * SECOND);
        // The entry was synced before anybody heard of it: what is lost is only its effect.
        assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
        run_for(&mut world, write_back_us + SECOND);
        assert_eq!(on_disk(&world, leader, "k").as_deref(), Some("v"), "synced by itself");
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn the_next_sync_takes_along_what_waits() {
    let (mut world, leader) = led_with(5, |settings| settings.write_back_us = 60 * SECOND);
    put(&mut world, "first", "v");
    assert_eq!(on_disk(&world, leader, "first"), None);
    put(&mut world, "second", "v");
    assert_eq!(on_disk(&world, leader, "first").as_deref(), Some("v"));
    assert_eq!(on_disk(&world, leader, "second"), None);
}

#[test]
fn the_journal_tells_the_whole_story_of_every_disk_fault() {
    let (mut world, leader) = led_with(6, |settings| settings.write_back_us = 300_000);
    let other = leader % 5 + 1;
    world.keep_journal();
    let mut disks: std::collections::BTreeMap<_, _> =
        world.nodes().map(|(id, node)| (id, node.disk().clone())).collect();
    let mut compare = |world: &mut World| {
        for (id, batches) in world.take_durable() {
            disks.get_mut(&id).unwrap().write(&batches);
        }
        for (id, node) in world.nodes() {
            assert_eq!(&disks[&id], node.disk(), "n{id}");
        }
    };
    set(&mut world, other, DiskFault::KeepImage);
    put(&mut world, "k", "v");
    set(&mut world, other, DiskFault::Corrupt { record: 1 });
    compare(&mut world);
    set(&mut world, other, DiskFault::Mend);
    put(&mut world, "k", "w");
    apply(&mut world, Command::Crash { peer: leader });
    compare(&mut world);
    set(&mut world, other, DiskFault::RollBack);
    compare(&mut world);
    set(&mut world, other, DiskFault::Wipe);
    compare(&mut world);
}

#[test]
fn a_damaged_record_is_never_served_the_peer_stops_and_names_it() {
    let (mut world, leader) = led(7);
    let victim = leader % 5 + 1;
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    let records = {
        let disk = world.node(victim).unwrap().disk();
        (disk.raft.iter().count() + disk.kv.iter().count()) as u64
    };
    for record in 0..records {
        apply(&mut world, Command::Crash { peer: victim });
        set(&mut world, victim, DiskFault::Corrupt { record });
        apply(&mut world, Command::Restart { peer: victim });
        assert!(failure(&world, victim).contains("is damaged: its checksum is"));
        assert!(told(&world, "has a damaged record"));
        set(&mut world, victim, DiskFault::Mend);
    }
    assert!(told(&world, "log entry 6 on its disk is damaged"));
    assert!(told(&world, "key k on its disk is damaged"));
    apply(&mut world, Command::Restart { peer: victim });
    run_for(&mut world, SECOND);
    assert!(is_up(&world, victim) && !world.node(victim).unwrap().is_outside_the_model());
}

/// Half of a write is on the disk, in as many ways as there are writes.
#[test]
fn a_torn_write_is_noticed_at_the_next_start_and_taken_back() {
    let mut torn = 0;
    for seed in 0..10 {
        let (mut world, leader) = led(seed);
        put(&mut world, "k", "old");
        set(&mut world, leader, DiskFault::Tear);
        send(&mut world, put_op("k", "new"), None);
        run_for(&mut world, SECOND);
        assert!(!is_up(&world, leader));
        assert_eq!(count(&world, |w| matches!(w, What::Torn { .. })), 1);
        apply(&mut world, Command::Restart { peer: leader });
        if world.node(leader).unwrap().failure().is_some() {
            torn += 1;
            assert!(failure(&world, leader).contains("is torn"), "{}", failure(&world, leader));
            run_for(&mut world, SECOND);
            assert!(!is_up(&world, leader));
        }
        set(&mut world, leader, DiskFault::Mend);
        apply(&mut world, Command::Restart { peer: leader });
        run_for(&mut world, 3 * SECOND);
        assert_eq!(on_disk(&world, leader, "k").as_deref(), Some("new"), "the others had it");
    }
    assert!(torn > 5, "{torn}");
}

/// Who compares no checksums finds records that contradict each other, if they happen to.
#[test]
fn a_driver_that_checks_no_checksum_may_see_a_torn_write_all_the_same() {
    let flaws = Flaws { unchecked_records: true, ..Flaws::default() };
    let is_seen = |seed| {
        let (mut world, leader) = flawed(seed, flaws);
        for round in 0..5 {
            world.apply(Command::Disk { peer: leader, fault: DiskFault::Tear }).unwrap();
            let op = put_op("k", &round.to_string());
            world.apply(Command::Request { client: 0, op, to: None }).unwrap();
            world.run_until(world.now_us() + SECOND);
            world.apply(Command::Restart { peer: leader }).unwrap();
            world.run_until(world.now_us() + SECOND);
        }
        let refused =
            world.node(leader).unwrap().failure().is_some_and(|why| !why.contains("torn"));
        let rule = world.violation().map(|violation| violation.invariant);
        refused || rule == Some(Invariant::DiskMirror)
    };
    assert!((0..40).any(is_seen));
}

#[test]
fn a_wiped_disk_makes_a_peer_forget_and_the_page_is_told_that_this_is_no_fault_of_rafts() {
    let (mut world, leader) = led(8);
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    let wiped = leader % 5 + 1;
    set(&mut world, wiped, DiskFault::Wipe);
    assert!(!is_up(&world, wiped));
    assert_eq!(on_disk(&world, wiped, "k"), None);
    assert!(world.node(wiped).unwrap().is_outside_the_model());
    assert!(told(&world, "forgets all its promises: outside Raft's model"));
    apply(&mut world, Command::Restart { peer: wiped });
    assert_eq!(world.node(wiped).unwrap().peer().unwrap().raft().term(), 5, "the first day");
}

#[test]
fn a_disk_is_rolled_back_to_the_copy_that_was_kept() {
    let (mut world, leader) = led(9);
    let old = leader % 5 + 1;
    set(&mut world, old, DiskFault::RollBack);
    assert!(is_up(&world, old), "there is no copy");
    put(&mut world, "k", "then");
    run_for(&mut world, SECOND);
    set(&mut world, old, DiskFault::KeepImage);
    put(&mut world, "k", "now");
    run_for(&mut world, SECOND);
    assert_eq!(on_disk(&world, old, "k").as_deref(), Some("now"));
    set(&mut world, old, DiskFault::RollBack);
    assert_eq!(on_disk(&world, old, "k").as_deref(), Some("then"));
    assert!(told(&world, "rolled back to an old copy: outside Raft's model"));
}

fn flawed(seed: u64, flaws: Flaws) -> (World, u64) {
    let mut world = World::with_flaws(&Scenario::new(seed), Rules::default(), flaws).unwrap();
    let leader = elect(&mut world);
    run_for(&mut world, SECOND);
    (world, leader)
}

/// Asks for a write and stops the leader while its disk is busy with it.
fn crash_in_mid_write(world: &mut World, leader: u64) {
    send(world, put_op("k", "v"), None);
    run_while(world, SECOND, |world| !world.node(leader).unwrap().is_writing());
    apply(world, Command::Crash { peer: leader });
}

#[test]
fn a_driver_that_writes_the_engines_one_by_one_tears_a_write_and_an_honest_one_never() {
    let torn = |flaws: Flaws| -> usize {
        (0..20)
            .map(|seed| {
                let (mut world, leader) = flawed(seed, flaws);
                crash_in_mid_write(&mut world, leader);
                count(&world, |w| matches!(w, What::Torn { .. }))
            })
            .sum()
    };
    assert!(torn(Flaws { torn_batches: true, ..Flaws::default() }) > 5);
    assert_eq!(torn(Flaws::default()), 0);
}

#[test]
fn a_driver_that_checks_no_checksum_serves_a_damaged_record() {
    let served =
        |flaws: Flaws| {
            let (mut world, leader) = flawed(21, flaws);
            put(&mut world, "k", "value");
            run_for(&mut world, SECOND);
            let records = world.node(leader).unwrap().disk().raft.iter().count();
            let kv = world.node(leader).unwrap().disk().kv.iter().map(|(key, _)| key.clone());
            let at = kv.into_iter().position(|key| key[..] == b"default_k"[..]).unwrap();
            apply(&mut world, Command::Crash { peer: leader });
            let record = (records + at) as u64;
            set(&mut world, leader, DiskFault::Corrupt { record });
            apply(&mut world, Command::Restart { peer: leader });
            world.node(leader).unwrap().peer().map(|peer| {
                String::from_utf8(peer.kv().get(b"default_k").unwrap().to_vec()).unwrap()
            })
        };
    assert_eq!(served(Flaws::default()), None);
    let served = served(Flaws { unchecked_records: true, ..Flaws::default() });
    assert!(served.is_some_and(|value| value != "value"));
}

#[test]
fn a_driver_that_sends_early_is_caught_at_its_first_message() {
    let scenario = Scenario::new(22);
    let flaws = Flaws { early_messages: true, ..Flaws::default() };
    let mut world = World::with_flaws(&scenario, Rules::default(), flaws).unwrap();
    world.run_until(2 * SECOND);
    assert_eq!(world.violation().unwrap().invariant, Invariant::Outbox);
}

#[test]
fn a_driver_that_ignores_errors_goes_on_without_its_write() {
    let (mut world, leader) = flawed(23, Flaws { ignored_errors: true, ..Flaws::default() });
    set(&mut world, leader, DiskFault::Full);
    send(&mut world, put_op("k", "v"), None);
    world.run_until(world.now_us() + SECOND);
    assert!(is_up(&world, leader));
    assert_eq!(on_disk(&world, leader, "k"), None, "it says so, and has nothing");
    assert_eq!(world.violation().unwrap().peer, leader);
}

/// The rule that catches a driver that is broken like this, whatever happens to its cluster.
fn caught(flaws: Flaws, change: fn(&mut Settings)) -> Invariant {
    let nemesis = NemesisSettings { faults_us: Some(10 * SECOND), ..NemesisSettings::default() };
    let trial = Trial { nemesis, variant: flaws.into(), tweak: change };
    let verdicts = (0..100).map(|seed| trial.run(seed).unwrap());
    verdicts.filter_map(|verdict| verdict.violation).next().expect("it shows").invariant
}

/// The log is dropped early, so that who was away gets a snapshot.
fn short_logs(settings: &mut Settings) {
    (settings.log_gc_ticks, settings.log_gc_entries) = (1, 2);
}

#[test]
fn drivers_that_forget_keep_or_mix_up_what_they_write_are_caught() {
    let honest = Flaws::default();
    let any = |_: &mut Settings| {};
    let votes = caught(Flaws { forgotten_votes: true, ..honest }, any);
    assert!(matches!(votes, Invariant::VoteOnce | Invariant::DiskMirror), "{votes}");
    let terms = caught(Flaws { forgotten_terms: true, ..honest }, any);
    assert_eq!(terms, Invariant::Outbox);
    let tails = caught(Flaws { kept_tails: true, ..honest }, any);
    assert_eq!(tails, Invariant::DiskMirror);
    let early = caught(Flaws { early_receipts: true, ..honest }, any);
    assert_eq!(early, Invariant::CommitDurability);
    let stale = caught(Flaws { stale_receipts: true, ..honest }, short_logs);
    assert_eq!(stale, Invariant::Outbox);
}

#[test]
fn a_driver_that_sends_no_snapshots_leaves_somebody_behind() {
    let flaws = Flaws { unsent_snapshots: true, ..Flaws::default() };
    assert_eq!(caught(flaws, short_logs), Invariant::Convergence);
}

/// The order in which messages leave decides how long each travels.
#[test]
fn a_driver_whose_order_is_another_one_each_time_gives_other_runs() {
    for order in [Order::Map, Order::Hash { bits: 64 }, Order::Hash { bits: 32 }] {
        let variant = Flaws { order, ..Flaws::default() }.into();
        let nemesis = NemesisSettings { faults_us: Some(SECOND), ..NemesisSettings::default() };
        let trial = Trial { nemesis, variant, tweak: |_| {} };
        let verdict = trial.run_twice(1).unwrap();
        assert_eq!(verdict.violation.map(|v| v.invariant), Some(Invariant::Determinism));
    }
}

#[test]
fn a_crash_point_holds_for_writes_that_wait_for_a_sync_too() {
    let (mut world, leader) = led_with(24, |settings| settings.write_back_us = SECOND);
    let follower = leader % 5 + 1;
    apply(&mut world, Command::CrashAt { peer: follower, point: CrashPoint::AfterAnswers });
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    assert!(!is_up(&world, follower));
}

#[test]
fn healing_all_mends_every_disk_and_starts_every_peer() {
    let (mut world, leader) = led(25);
    let faults = [
        DiskFault::Full,
        DiskFault::FailSync,
        DiskFault::FailWrite,
        DiskFault::Corrupt { record: 3 },
        DiskFault::Slow { sync: Span { min_us: SECOND, max_us: SECOND } },
    ];
    for (peer, fault) in (1..).zip(faults) {
        set(&mut world, peer, fault);
    }
    send(&mut world, put_op("k", "v"), None);
    run_for(&mut world, 5 * SECOND);
    assert!((1..=5).any(|id| !is_up(&world, id)), "led by n{leader}");
    apply(&mut world, Command::HealAll);
    assert!((1..=5).all(|id| is_up(&world, id)));
    run_for(&mut world, 5 * SECOND);
    put(&mut world, "k", "w");
}

#[test]
fn amnesia_may_break_the_rules_but_no_peer() {
    let classes = vec![FaultClass::Amnesia, FaultClass::Crashes, FaultClass::Partitions];
    let settings =
        NemesisSettings { classes, faults_us: Some(10 * SECOND), ..NemesisSettings::default() };
    for seed in 0..12 {
        let nemesis = Nemesis::new(seed, &settings);
        let mut world = World::new(&nemesis.scenario).unwrap();
        world.run_until(nemesis.well_us);
        if world.violation().is_some() {
            assert!(world.nodes().any(|(_, node)| node.is_outside_the_model()), "seed {seed}");
        }
    }
}
