//! Part B: agreement on commands.

use crate::holds;
use crate::server::Command;
use crate::tester::{ELECTION_TIMEOUT_MS, Tester, number};
use crate::world::Setup;

/// MIT TestBasicAgree2B
#[test]
fn commands_get_the_indices_one_two_and_three_on_all_servers() {
    holds(Setup::of(5), basic_agree);
}

async fn basic_agree(t: Tester) {
    for index in 1..=3 {
        let (count, _) = t.committed(index);
        assert_eq!(count, 0, "some have committed before anything was proposed");
        let got = t.one(number(index * 100), t.servers, false).await;
        assert_eq!(got, index, "got another index");
    }
}

/// MIT TestRPCBytes2B
#[test]
fn each_command_is_sent_to_each_peer_about_once() {
    holds(Setup::of(3), rpc_bytes);
}

async fn rpc_bytes(t: Tester) {
    t.one(number(99), t.servers, false).await;
    let (before, mut sent) = (t.bytes(), 0);
    for index in 2..12 {
        let command = t.random_bytes(5_000);
        sent += command.len() as u64;
        let got = t.one(command, t.servers, false).await;
        assert_eq!(got, index, "got another index");
    }
    let got = t.bytes() - before;
    let most = t.servers as u64 * sent + 50_000;
    assert!(got <= most, "too many bytes: {got}, expected {most} at most");
}

/// MIT TestFailAgree2B
#[test]
fn agreement_goes_on_without_a_follower_which_catches_up_later() {
    holds(Setup::of(3), fail_agree);
}

async fn fail_agree(t: Tester) {
    t.one(number(101), t.servers, false).await;
    let leader = t.check_one_leader().await;
    let follower = t.after(leader, 1);
    t.disconnect(follower);
    t.one(number(102), t.servers - 1, false).await;
    t.one(number(103), t.servers - 1, false).await;
    t.sleep_ms(ELECTION_TIMEOUT_MS).await;
    t.one(number(104), t.servers - 1, false).await;
    t.one(number(105), t.servers - 1, false).await;
    t.connect(follower);
    t.one(number(106), t.servers, true).await;
    t.sleep_ms(ELECTION_TIMEOUT_MS).await;
    t.one(number(107), t.servers, true).await;
}

/// MIT TestFailNoAgree2B
#[test]
fn nothing_is_committed_without_a_majority() {
    holds(Setup::of(5), fail_no_agree);
}

async fn fail_no_agree(t: Tester) {
    t.one(number(10), t.servers, false).await;
    let leader = t.check_one_leader().await;
    let lost = [1, 2, 3].map(|places| t.after(leader, places));
    lost.iter().for_each(|&server| t.disconnect(server));
    let index = t.start(leader, number(20)).map(|(index, _)| index);
    assert_eq!(index, Some(2), "the leader takes the command at index 2");
    t.sleep_ms(2 * ELECTION_TIMEOUT_MS).await;
    let (count, _) = t.committed(2);
    assert_eq!(count, 0, "committed without a majority");
    lost.iter().for_each(|&server| t.connect(server));
    // The others may have elected one of them, who may or may not know of the command.
    let leader = t.check_one_leader().await;
    let index = t.start(leader, number(30)).map(|(index, _)| index);
    assert!(matches!(index, Some(2 | 3)), "unexpected index {index:?}");
    t.one(number(1000), t.servers, true).await;
}

/// MIT TestConcurrentStarts2B
#[test]
fn commands_that_are_proposed_at_once_are_all_committed() {
    holds(Setup::of(3), concurrent_starts);
}

async fn concurrent_starts(t: Tester) {
    for attempt in 0..5 {
        if attempt > 0 {
            t.sleep_ms(3_000).await;
        }
        let leader = t.check_one_leader().await;
        if let Some((_, term)) = t.start(leader, number(1))
            && let Some(commands) = proposed_at_once(&t, leader, term).await
        {
            for command in (100..105).map(number) {
                assert!(commands.contains(&command), "a command is missing");
            }
            return;
        }
    }
    panic!("term changed too often");
}

/// What was committed of five commands, unless the term changes.
async fn proposed_at_once(t: &Tester, leader: usize, term: u64) -> Option<Vec<Command>> {
    let propose = |i: u64| {
        let asker = t.clone();
        t.spawn(async move { asker.start(leader, number(100 + i)) })
    };
    let mut indices = Vec::new();
    for asked in (0..5).map(propose).collect::<Vec<_>>() {
        let accepted = t.join(asked).await;
        indices.extend(accepted.filter(|&(_, now)| now == term).map(|(index, _)| index));
    }
    if (0..t.servers).any(|server| t.term(server) != term) {
        return None;
    }
    let mut commands = Vec::new();
    for index in indices {
        commands.push(t.wait(index, t.servers, Some(term)).await?);
    }
    Some(commands)
}

/// MIT TestRejoin2B
#[test]
fn what_a_lost_leader_took_alone_gives_way_when_it_is_back() {
    holds(Setup::of(3), rejoin);
}

async fn rejoin(t: Tester) {
    t.one(number(101), t.servers, true).await;
    let first = t.check_one_leader().await;
    t.disconnect(first);
    for command in 102..=104 {
        t.start(first, number(command));
    }
    t.one(number(103), 2, true).await;
    let second = t.check_one_leader().await;
    t.disconnect(second);
    t.connect(first);
    t.one(number(104), 2, true).await;
    t.connect(second);
    t.one(number(105), t.servers, true).await;
}

/// MIT TestBackup2B
#[test]
fn logs_that_differ_in_long_stretches_are_brought_together_quickly() {
    holds(Setup::of(5), backup);
}

async fn backup(t: Tester) {
    t.one(t.random(), t.servers, true).await;
    let first = t.check_one_leader().await;
    let pair = [first, t.after(first, 1)];
    let trio = [2, 3, 4].map(|places| t.after(first, places));
    // The leader and one follower take what they cannot commit.
    trio.iter().for_each(|&server| t.disconnect(server));
    propose_alone(&t, first).await;
    // The other three go on without them.
    pair.iter().for_each(|&server| t.disconnect(server));
    trio.iter().for_each(|&server| t.connect(server));
    agree(&t).await;
    // Their leader, too, takes what it cannot commit.
    let second = t.check_one_leader().await;
    let other = if second == trio[0] { t.after(second, 1) } else { trio[0] };
    t.disconnect(other);
    propose_alone(&t, second).await;
    // The first pair and one of the three meet.
    (0..t.servers).for_each(|server| t.disconnect(server));
    pair.iter().chain([&other]).for_each(|&server| t.connect(server));
    agree(&t).await;
    (0..t.servers).for_each(|server| t.connect(server));
    t.one(t.random(), t.servers, true).await;
}

/// Fifty commands for a leader without a majority.
async fn propose_alone(t: &Tester, leader: usize) {
    for _ in 0..50 {
        t.start(leader, t.random());
    }
    t.sleep_ms(ELECTION_TIMEOUT_MS / 2).await;
}

/// Fifty commands for three servers.
async fn agree(t: &Tester) {
    for _ in 0..50 {
        t.one(t.random(), 3, true).await;
    }
}

/// MIT TestCount2B
#[test]
fn elections_agreements_and_idle_time_cost_few_requests() {
    holds(Setup::of(3), count);
}

async fn count(t: Tester) {
    t.check_one_leader().await;
    let to_elect = t.requests();
    assert!((1..=30).contains(&to_elect), "{to_elect} requests to elect the first leader");
    let mut after = None;
    for attempt in 0..5 {
        if attempt > 0 {
            t.sleep_ms(3_000).await;
        }
        after = count_agreement(&t).await;
        if after.is_some() {
            break;
        }
    }
    let Some(after) = after else {
        panic!("term changed too often");
    };
    t.sleep_ms(ELECTION_TIMEOUT_MS).await;
    let idle = t.requests() - after;
    assert!(idle <= 3 * 20, "{idle} requests for one second of idleness");
}

/// Counts what agreement on a few commands costs. Returns all requests so far, unless the term
/// changes.
async fn count_agreement(t: &Tester) -> Option<u64> {
    const COMMANDS: u64 = 10;
    let leader = t.check_one_leader().await;
    let before = t.requests();
    let (first, term) = t.start(leader, number(1))?;
    let mut commands = Vec::new();
    for place in 1..COMMANDS + 2 {
        commands.push(t.random());
        let (index, now) = t.start(leader, commands.last()?.clone())?;
        if now != term {
            return None;
        }
        assert_eq!(index, first + place, "indices have a gap");
    }
    for (index, command) in (first + 1..=first + COMMANDS).zip(&commands) {
        let known = t.wait(index, t.servers, Some(term)).await?;
        assert_eq!(&known, command, "another command at index {index}");
    }
    if (0..t.servers).any(|server| t.term(server) != term) {
        return None;
    }
    let (after, most) = (t.requests(), (COMMANDS + 1 + 3) * 3);
    let got = after - before;
    assert!(got <= most, "{got} requests for {COMMANDS} commands, {most} at most");
    Some(after)
}
