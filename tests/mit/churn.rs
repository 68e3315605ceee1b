//! Part C: servers that come and go while clients work.

use std::cell::Cell;
use std::rc::Rc;

use crate::holds;
use crate::server::Command;
use crate::tester::{ELECTION_TIMEOUT_MS, Tester};
use crate::world::Setup;

/// MIT TestReliableChurn2C
#[test]
fn what_clients_saw_committed_stays_so_while_servers_come_and_go() {
    holds(Setup::of(5), churn);
}

/// MIT TestUnreliableChurn2C
#[test]
fn what_clients_saw_committed_stays_so_over_an_unreliable_network() {
    holds(Setup::of(5).unreliable(), churn);
}

async fn churn(t: Tester) {
    let stop = Rc::new(Cell::new(false));
    let client = |place| t.spawn(client(t.clone(), place, stop.clone()));
    let clients: Vec<_> = (0..3).map(client).collect();
    for _ in 0..20 {
        if t.percent(20) {
            t.disconnect(t.any_server());
        }
        if t.percent(50) {
            let server = t.any_server();
            if !t.is_up(server) {
                t.start_server(server);
            }
            t.connect(server);
        }
        if t.percent(20) {
            let server = t.any_server();
            if t.is_up(server) {
                t.crash(server);
            }
        }
        t.sleep_ms(ELECTION_TIMEOUT_MS * 7 / 10).await;
    }
    t.sleep_ms(ELECTION_TIMEOUT_MS).await;
    t.make_reliable();
    for server in 0..t.servers {
        if !t.is_up(server) {
            t.start_server(server);
        }
        t.connect(server);
    }
    stop.set(true);
    let mut seen = Vec::new();
    for client in clients {
        seen.append(&mut t.join(client).await);
    }
    t.sleep_ms(ELECTION_TIMEOUT_MS).await;
    let last = t.one(t.random(), t.servers, true).await;
    let mut log = Vec::new();
    for index in 1..=last {
        log.extend(t.wait(index, t.servers, None).await);
    }
    assert!(seen.iter().all(|command| log.contains(command)), "a committed command is gone");
}

/// Proposes to everybody until it is told to stop. Returns what it saw committed.
async fn client(t: Tester, place: u64, stop: Rc<Cell<bool>>) -> Vec<Command> {
    let mut seen = Vec::new();
    while !stop.get() {
        let command = t.random();
        let mut accepted = None;
        for server in 0..t.servers {
            accepted = t.start(server, command.clone()).or(accepted);
        }
        let Some((index, _)) = accepted else {
            t.sleep_ms(79 + place * 17).await;
            continue;
        };
        for pause_ms in [10, 20, 50, 100, 200] {
            let (count, known) = t.committed(index);
            if count > 0 {
                seen.extend(known.filter(|known| known == &command));
                break;
            }
            t.sleep_ms(pause_ms).await;
        }
    }
    seen
}
