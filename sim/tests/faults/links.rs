//! Links and flights.

use raft_sim::{Command, FlightFault, LinkFault, Links, Span, What, World};

use super::*;

fn set(world: &mut World, on: Links, fault: LinkFault) {
    apply(world, Command::Link { on, fault });
}

/// Messages from `from` to `to` that arrived, with the times of sending and arrival.
fn arrived(world: &World, from: u64, to: u64) -> Vec<(u64, u64, u64)> {
    let flights = world.happenings().filter_map(|happening| match &happening.what {
        What::Delivered(flight) if (flight.from, flight.to) == (from, to) => {
            Some((flight.id, flight.sent_us, happening.at_us))
        }
        _ => None,
    });
    flights.collect()
}

fn follower_of(leader: u64) -> u64 {
    leader % 5 + 1
}

/// The first message that leaves now from `from` to `to`.
fn next_flight(world: &mut World, from: u64, to: u64) -> raft_sim::Flight {
    let start_us = world.now_us();
    let on_its_way = |world: &World| {
        let mut flights = world.flights();
        flights.find(|f| (f.from, f.to) == (from, to) && f.sent_us > start_us).cloned()
    };
    run_while(world, SECOND, |world| on_its_way(world).is_none());
    on_its_way(world).expect("a message within a second")
}

#[test]
fn loss_on_one_link_leaves_the_others_alone() {
    let (mut world, leader) = led(1);
    let (deaf, other) = (follower_of(leader), follower_of(follower_of(leader)));
    set(&mut world, Links::One { from: leader, to: deaf }, LinkFault::Loss { permille: 1_000 });
    let start_us = world.now_us();
    run_for(&mut world, 400_000);
    let since = |(_, sent_us, _): &(u64, u64, u64)| *sent_us > start_us;
    assert_eq!(arrived(&world, leader, deaf).iter().filter(|f| since(f)).count(), 0);
    assert!(arrived(&world, leader, other).iter().any(since));
    assert!(world.is_connected(leader, deaf), "a lossy link is not a cut one");
}

#[test]
fn a_duplicated_message_arrives_twice_and_changes_nothing() {
    let (mut world, _) = led(2);
    set(&mut world, Links::All, LinkFault::Duplicate { permille: 1_000 });
    put(&mut world, "k", "v");
    run_for(&mut world, SECOND);
    let copies: Vec<u64> = world
        .happenings()
        .filter_map(|h| match &h.what {
            What::Duplicated(flight) => Some(flight.id),
            _ => None,
        })
        .collect();
    let landed = |id: &u64| count(&world, |w| matches!(w, What::Delivered(f) if f.id == *id)) == 1;
    assert!(copies.len() > 50 && copies.iter().take(50).all(landed), "{}", copies.len());
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
}

#[test]
fn a_slow_link_delays_what_is_sent_on_it() {
    let (mut world, leader) = led(3);
    let far = follower_of(leader);
    let span = Span { min_us: 200_000, max_us: 210_000 };
    set(&mut world, Links::Between { a: leader, b: far }, LinkFault::Delay { span });
    let start_us = world.now_us();
    run_for(&mut world, 2 * SECOND);
    let mut late = arrived(&world, leader, far);
    late.retain(|(_, sent_us, _)| *sent_us > start_us);
    let travel = |(_, sent_us, at_us): &(u64, u64, u64)| at_us - sent_us;
    assert!(late.len() > 5 && late.iter().all(|f| (200_000..=210_000).contains(&travel(f))));
}

#[test]
fn a_heavy_tail_makes_some_messages_very_late_and_out_of_order() {
    let overtaken = |fifo: bool| {
        let (mut world, leader) = led_with(4, |settings| settings.fifo = fifo);
        set(&mut world, Links::All, LinkFault::Tail { permille: 200, max_us: 400_000 });
        run_for(&mut world, 4 * SECOND);
        let flights = arrived(&world, leader, follower_of(leader));
        let late = flights.iter().filter(|(_, sent, at)| at - sent > 45_000).count();
        assert!(late > 0 && late < flights.len());
        flights.windows(2).filter(|pair| pair[0].0 > pair[1].0).count()
    };
    assert!(overtaken(false) > 0, "delays are independent: messages overtake each other");
    assert_eq!(overtaken(true), 0, "a link that keeps the order keeps it");
}

#[test]
fn a_one_way_cut_silences_one_way() {
    let (mut world, leader) = led(5);
    let deaf = follower_of(leader);
    set(&mut world, Links::One { from: leader, to: deaf }, LinkFault::Cut);
    assert!(!world.is_connected(leader, deaf) && world.is_connected(deaf, leader));
    let start_us = world.now_us();
    run_for(&mut world, 3 * SECOND);
    let sent_since =
        |from, to| arrived(&world, from, to).iter().any(|(_, sent_us, _)| *sent_us > start_us);
    assert!(!sent_since(leader, deaf) && sent_since(deaf, leader));
    assert!(told(&world, &format!("the link n{leader} → n{deaf}: cut")));
}

#[test]
fn a_two_way_cut_spares_everybody_else_and_mends() {
    let (mut world, leader) = led(6);
    let other = follower_of(leader);
    set(&mut world, Links::Between { a: leader, b: other }, LinkFault::Cut);
    let open: usize =
        (1..=5).map(|a| (1..=5).filter(|&b| a != b && world.is_connected(a, b)).count()).sum();
    assert_eq!(open, 18);
    set(&mut world, Links::Of { peer: other }, LinkFault::Mend);
    assert!(world.is_connected(leader, other) && world.is_connected(other, leader));
}

#[test]
fn across_a_bridge_one_leader_serves_both_halves() {
    let (mut world, _) = led(7);
    apply(&mut world, Command::bridge(&[1, 2], 3, &[4, 5]));
    assert!(world.is_connected(1, 3) && world.is_connected(3, 5) && !world.is_connected(2, 4));
    run_for(&mut world, 5 * SECOND);
    put(&mut world, "k", "over the bridge");
    assert!(told(&world, "all links cut but n1 ⇄ n2 n1 ⇄ n3"));
}

#[test]
fn in_a_ring_each_peer_hears_two_and_a_leader_still_has_a_majority() {
    let (mut world, _) = led(8);
    apply(&mut world, Command::ring(5));
    let neighbours = |a| (1..=5).filter(|&b| a != b && world.is_connected(a, b)).count();
    assert!((1..=5).all(|peer| neighbours(peer) == 2));
    run_for(&mut world, 5 * SECOND);
    put(&mut world, "k", "round");
    apply(&mut world, Command::Heal);
    assert!(world.is_connected(1, 3));
}

#[test]
fn an_isolated_leader_is_replaced() {
    let (mut world, old) = led(9);
    apply(&mut world, Command::isolate(old));
    run_for(&mut world, 5 * SECOND);
    let new = leader(&world).unwrap();
    assert_ne!(new, old);
    put(&mut world, "k", "v");
}

#[test]
fn a_clogged_link_holds_messages_and_lets_them_go_at_once() {
    let (mut world, leader) = led(10);
    let behind = follower_of(leader);
    let on = Links::One { from: leader, to: behind };
    set(&mut world, on, LinkFault::Clog);
    // Shorter than an election time-out.
    run_for(&mut world, 350_000);
    let held: Vec<u64> = world.flights().filter(|f| f.held).map(|f| f.id).collect();
    assert!(held.len() >= 2, "{held:?}");
    set(&mut world, on, LinkFault::Burst);
    let freed_us = world.now_us();
    let arrivals = arrived(&world, leader, behind);
    let at_once = |id: &&u64| arrivals.iter().any(|(i, _, at)| i == *id && *at == freed_us);
    assert_eq!(held.iter().filter(at_once).count(), held.len());
}

#[test]
fn very_old_messages_come_again_and_do_no_harm() {
    let (mut world, _) = led(11);
    let delay = Span { min_us: 4 * SECOND, max_us: 6 * SECOND };
    set(&mut world, Links::All, LinkFault::Replay { permille: 100, delay });
    put(&mut world, "k", "v");
    let first = leader(&world).unwrap();
    // The past of this leader reaches the next one's term.
    apply(&mut world, Command::Crash { peer: first });
    run_for(&mut world, 3 * SECOND);
    apply(&mut world, Command::Restart { peer: first });
    run_for(&mut world, 5 * SECOND);
    let old = |w: &What| matches!(w, What::Delivered(f) if f.arrives_us - f.sent_us >= 4 * SECOND);
    assert!(count(&world, old) > 0);
    assert_eq!(get(&mut world, "k").as_deref(), Some("v"));
}

#[test]
fn a_message_can_be_dropped_held_released_moved_and_doubled_by_its_id() {
    let (mut world, leader) = led(12);
    let to = follower_of(leader);
    let meddle = |world: &mut World, id, fault| apply(world, Command::Flight { id, fault });
    let arrival =
        |world: &World, id| arrived(world, leader, to).iter().find(|f| f.0 == id).map(|f| f.2);

    let dropped = next_flight(&mut world, leader, to);
    meddle(&mut world, dropped.id, FlightFault::Drop);
    let lost = |w: &What| matches!(w, What::Lost(flight) if flight.id == dropped.id);
    assert_eq!(count(&world, lost), 1);

    let held = next_flight(&mut world, leader, to);
    meddle(&mut world, held.id, FlightFault::Hold);
    run_for(&mut world, 300_000);
    assert_eq!(arrival(&world, held.id), None);
    meddle(&mut world, held.id, FlightFault::Release);
    assert_eq!(arrival(&world, held.id), Some(world.now_us()));

    let early = next_flight(&mut world, leader, to);
    let at_us = early.sent_us + 1_000;
    meddle(&mut world, early.id, FlightFault::Move { at_us });
    let late = next_flight(&mut world, leader, to);
    let later_us = late.arrives_us + 70_000;
    meddle(&mut world, late.id, FlightFault::Move { at_us: later_us });
    let twice = next_flight(&mut world, leader, to);
    meddle(&mut world, twice.id, FlightFault::Duplicate { delay_us: 5_000 });
    run_for(&mut world, 300_000);
    assert_eq!(arrival(&world, early.id), Some(at_us.max(early.sent_us)));
    assert_eq!(arrival(&world, late.id), Some(later_us));
    let copies = arrived(&world, leader, to);
    assert!(copies.iter().any(|f| (f.1, f.2) == (twice.sent_us, twice.arrives_us + 5_000)));

    meddle(&mut world, dropped.id, FlightFault::Release);
    assert_eq!(count(&world, lost), 1, "what has ended its flight is left alone");
}
