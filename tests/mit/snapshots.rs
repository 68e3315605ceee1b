//! Part D: snapshots keep the log short, and bring back those who missed what is gone from it.

use crate::holds;
use crate::tester::Tester;
use crate::world::Setup;

/// Most bytes that a server may keep beside its snapshot.
const STATE_SIZE_MAX: usize = 2000;
const ROUNDS: usize = 30;
/// Enough for a snapshot.
const COMMANDS: usize = 11;

/// What befalls one server in each round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mishap {
    None,
    Disconnect,
    Crash,
}

/// MIT TestSnapshotBasic2D
#[test]
fn snapshots_keep_the_log_short() {
    holds(Setup::of(3).with_snapshots(), basic);
}

/// MIT TestSnapshotInstall2D
#[test]
fn a_server_that_was_cut_off_catches_up_by_a_snapshot() {
    holds(Setup::of(3).with_snapshots(), install);
}

/// MIT TestSnapshotInstallUnreliable2D
#[test]
fn a_server_that_was_cut_off_catches_up_over_an_unreliable_network() {
    holds(Setup::of(3).with_snapshots().unreliable(), install);
}

/// MIT TestSnapshotInstallCrash2D
#[test]
fn a_server_that_crashed_catches_up_by_a_snapshot() {
    holds(Setup::of(3).with_snapshots(), install_after_crash);
}

/// MIT TestSnapshotInstallUnCrash2D
#[test]
fn a_server_that_crashed_catches_up_over_an_unreliable_network() {
    holds(Setup::of(3).with_snapshots().unreliable(), install_after_crash);
}

pub(crate) async fn basic(t: Tester) {
    rounds(t, Mishap::None).await;
}

async fn install(t: Tester) {
    rounds(t, Mishap::Disconnect).await;
}

async fn install_after_crash(t: Tester) {
    rounds(t, Mishap::Crash).await;
}

async fn rounds(t: Tester, mishap: Mishap) {
    t.one(t.random(), t.servers, true).await;
    let mut leader = t.check_one_leader().await;
    for round in 0..ROUNDS {
        let next = t.after(leader, 1);
        // In every third round it is the leader itself.
        let (victim, asked) = if round % 3 == 1 { (leader, next) } else { (next, leader) };
        match mishap {
            Mishap::None => {}
            Mishap::Disconnect => t.disconnect(victim),
            Mishap::Crash => t.crash(victim),
        }
        if mishap != Mishap::None {
            t.one(t.random(), t.servers - 1, true).await;
        }
        for _ in 0..COMMANDS {
            t.start(asked, t.random());
        }
        t.one(t.random(), t.servers - 1, true).await;
        let size = t.state_size_max();
        assert!(size < STATE_SIZE_MAX, "log size too large: {size} bytes");
        if mishap == Mishap::Crash {
            t.start_server(victim);
        }
        if mishap != Mishap::None {
            t.connect(victim);
            t.one(t.random(), t.servers, true).await;
            leader = t.check_one_leader().await;
        }
    }
}
