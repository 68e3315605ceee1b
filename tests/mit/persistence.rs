//! Part C: what must survive a crash, and an unreliable network.

use crate::holds;
use crate::tester::{ELECTION_TIMEOUT_MS, Tester, number};
use crate::world::Setup;

/// A crash, and a start from the disk.
fn restart(t: &Tester, server: usize) {
    t.start_server(server);
    t.connect(server);
}

/// MIT TestPersist12C
#[test]
fn servers_that_restart_one_by_one_or_all_together_lose_nothing() {
    holds(Setup::of(3), persist_one);
}

pub(crate) async fn persist_one(t: Tester) {
    t.one(number(11), t.servers, true).await;
    (0..t.servers).for_each(|server| t.start_server(server));
    (0..t.servers).for_each(|server| t.connect(server));
    t.one(number(12), t.servers, true).await;

    let leader = t.check_one_leader().await;
    t.disconnect(leader);
    restart(&t, leader);
    t.one(number(13), t.servers, true).await;

    let leader = t.check_one_leader().await;
    t.disconnect(leader);
    t.one(number(14), t.servers - 1, true).await;
    restart(&t, leader);
    t.wait(4, t.servers, None).await;

    let leader = t.check_one_leader().await;
    let follower = t.after(leader, 1);
    t.disconnect(follower);
    t.one(number(15), t.servers - 1, true).await;
    restart(&t, follower);
    t.one(number(16), t.servers, true).await;
}

/// MIT TestPersist22C
#[test]
fn majorities_that_hardly_overlap_keep_what_was_committed() {
    holds(Setup::of(5), persist_two);
}

async fn persist_two(t: Tester) {
    let mut commands = (11..).map(number);
    let mut next = || commands.next().unwrap();
    for _ in 0..5 {
        t.one(next(), t.servers, true).await;
        let leader = t.check_one_leader().await;
        let after = |places| t.after(leader, places);
        [1, 2].iter().for_each(|&places| t.disconnect(after(places)));
        t.one(next(), t.servers - 2, true).await;
        [0, 3, 4].iter().for_each(|&places| t.disconnect(after(places)));
        [1, 2].iter().for_each(|&places| t.start_server(after(places)));
        [1, 2].iter().for_each(|&places| t.connect(after(places)));
        t.sleep_ms(ELECTION_TIMEOUT_MS).await;
        restart(&t, after(3));
        t.one(next(), t.servers - 2, true).await;
        [4, 0].iter().for_each(|&places| t.connect(after(places)));
    }
    t.one(number(1000), t.servers, true).await;
}

/// MIT TestPersist32C
#[test]
fn a_leader_and_a_follower_that_crash_meet_a_server_that_missed_something() {
    holds(Setup::of(3), persist_three);
}

async fn persist_three(t: Tester) {
    t.one(number(101), t.servers, true).await;
    let leader = t.check_one_leader().await;
    let (next, last) = (t.after(leader, 1), t.after(leader, 2));
    t.disconnect(last);
    t.one(number(102), 2, true).await;
    t.crash(leader);
    t.crash(next);
    t.connect(last);
    restart(&t, leader);
    t.one(number(103), 2, true).await;
    restart(&t, next);
    t.one(number(104), t.servers, true).await;
}

/// Often a moment, seldom as long as half an election.
async fn sleep_a_little(t: &Tester) {
    let long = t.percent(10);
    let ms = if long { t.below(ELECTION_TIMEOUT_MS / 2) } else { t.below(13) };
    t.sleep_ms(ms).await;
}

/// MIT TestFigure82C
#[test]
fn leaders_that_crash_in_the_middle_of_their_work_commit_no_two_histories() {
    holds(Setup::of(5), figure_8);
}

pub(crate) async fn figure_8(t: Tester) {
    t.one(t.random(), 1, true).await;
    let mut up = t.servers;
    for _ in 0..1000 {
        let mut leader = None;
        for server in 0..t.servers {
            if t.start(server, t.random()).is_some() {
                leader = Some(server);
            }
        }
        sleep_a_little(&t).await;
        if let Some(leader) = leader {
            t.crash(leader);
            up -= 1;
        }
        if up < 3 {
            let server = t.any_server();
            if !t.is_up(server) {
                restart(&t, server);
                up += 1;
            }
        }
    }
    for server in (0..t.servers).filter(|&server| !t.is_up(server)).collect::<Vec<_>>() {
        restart(&t, server);
    }
    t.one(t.random(), t.servers, true).await;
}

/// MIT TestUnreliableAgree2C
#[test]
fn many_commands_at_once_are_agreed_on_over_an_unreliable_network() {
    holds(Setup::of(5).unreliable(), unreliable_agree);
}

async fn unreliable_agree(t: Tester) {
    let mut clients = Vec::new();
    for round in 1..50 {
        for client in 0..4 {
            let own = t.clone();
            let command = number(100 * round + client);
            clients.push(t.spawn(async move { own.one(command, 1, true).await }));
        }
        t.one(number(round), 1, true).await;
    }
    t.make_reliable();
    for client in clients {
        t.join(client).await;
    }
    t.one(number(100), t.servers, true).await;
}

/// MIT TestFigure8Unreliable2C
#[test]
fn leaders_that_are_cut_off_over_and_over_while_answers_are_late_commit_one_history() {
    holds(Setup::of(5).unreliable(), figure_8_unreliable);
}

pub(crate) async fn figure_8_unreliable(t: Tester) {
    t.one(number(t.below(10_000)), 1, true).await;
    let mut connected = t.servers;
    for round in 0..1000 {
        if round == 200 {
            t.reorder_replies();
        }
        let mut leader = None;
        for server in 0..t.servers {
            let accepted = t.start(server, number(t.below(10_000)));
            if accepted.is_some() && t.is_connected(server) {
                leader = Some(server);
            }
        }
        sleep_a_little(&t).await;
        if let Some(leader) = leader
            && t.percent(50)
        {
            t.disconnect(leader);
            connected -= 1;
        }
        if connected < 3 {
            let server = t.any_server();
            if !t.is_connected(server) {
                t.connect(server);
                connected += 1;
            }
        }
    }
    (0..t.servers).for_each(|server| t.connect(server));
    t.one(number(t.below(10_000)), t.servers, true).await;
}
