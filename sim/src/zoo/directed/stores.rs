//! Disks, snapshots, members.

use super::script::{Script, exactly};
use super::{Directed, story};
use crate::check::Invariant::{
    CommitDurability, Convergence, Determinism, DiskMirror, Membership, Outbox, SnapshotFidelity,
    StateMachineSafety, Truncation,
};
use crate::faults::{DiskFault, LinkFault, Links};
use crate::scenario::Role::{Gone, Learner, Voter};

pub(super) const STORIES: &[Directed] = &[
    story(
        17,
        Outbox,
        a_campaign,
        "n1 campaigns. If its request for votes leaves before its new term and its vote for itself \
         are on disk, a crash makes it forget them, and it may vote for another in the same term.",
    ),
    story(
        36,
        SnapshotFidelity,
        a_new_peer_after_a_write,
        "A client writes in a session, and n4 joins by a snapshot. Without the sessions n4 would \
         execute a retry of the write again, as the only one.",
    ),
    story(
        37,
        Membership,
        a_new_peer_restarts,
        "n4 joins as a learner by a snapshot that says so, and restarts. Who does not keep the members \
         of the snapshot takes it for a voter then, and counts other majorities than everybody else.",
    ),
    story(
        38,
        Truncation,
        a_snapshot_comes_twice,
        "n4 joins by a snapshot and takes what is written since. Then a slow copy of the snapshot \
         reaches it; who installs that once more loses committed entries.",
    ),
    story(
        39,
        SnapshotFidelity,
        a_snapshot_in_the_middle,
        "The disk of n1 is slow, so n1 has applied less than it knows to be committed when n4 needs \
         a snapshot. Labelled with the commit index it claims entries that it does not contain, and \
         n4 never gets them.",
    ),
    story(
        40,
        StateMachineSafety,
        a_snapshot_over_a_tail,
        "n1 has writes that nobody else has, and gets a snapshot from n2 that ends where one of them \
         stands. That entry is of another term: who goes on from it as if it were the snapshot's last \
         one commits what was never the leader's.",
    ),
    story(
        41,
        DiskMirror,
        a_tail_on_the_disk,
        "n1 has two writes that nobody else has, and gives them up for one entry of n2. If the \
         second stays on its disk, it comes back with the next restart, behind an entry that it \
         never followed.",
    ),
    story(
        42,
        Outbox,
        two_snapshots,
        "n4 joins by a snapshot, falls behind, and gets another. If the first one's receipt is taken \
         for the second's, n4 acknowledges what is not on its disk yet.",
    ),
    story(
        44,
        Membership,
        a_change_too_early,
        "n1 is elected and asked for a new peer before an entry of its own term is committed. A \
         change of its predecessor may still be committed that it does not know of: with two such \
         changes majorities need not share a peer.",
    ),
    story(
        45,
        Membership,
        two_changes,
        "Two new peers are asked for at once. If the second change does not wait until the first is \
         applied, majorities before and after the two need not share a peer.",
    ),
    story(
        46,
        Membership,
        half_a_joint_configuration,
        "n4 and n5 are to take the place of n2 and n3, who are cut off while both halves must agree. \
         n4 campaigns: the new half elects it, while the old one may elect n2 in the same term.",
    ),
    story(
        48,
        Membership,
        a_leader_leaves,
        "n2 hears nobody and proposes n4 in place of n1. n1 is elected with that entry in its log, \
         and leads until both halves agree that the change is over. Of the new one n3 alone has the \
         entry that says so: if n1 still counts itself, it commits it.",
    ),
    story(
        49,
        CommitDurability,
        a_learner_joins,
        "n4 joins as a learner, and n1 is alone with it. If a learner counts, n1 commits what one of \
         three voters has.",
    ),
    story(
        53,
        Convergence,
        a_new_peer_joins,
        "n4 joins. The log that n1 has does not begin at the beginning, so n4 needs a snapshot. \
         Without one it never has the same as the others.",
    ),
    story(
        55,
        Determinism,
        an_idle_cluster,
        "Five peers elect a leader. If a map of the process decides to whom each sends first, the same \
         scenario gives another run each time.",
    ),
    story(
        56,
        Determinism,
        an_idle_cluster,
        "Five peers elect a leader. If a hash of the machine's word decides to whom each sends first, \
         a run in a browser is another than the same one natively.",
    ),
    story(
        57,
        DiskMirror,
        torn,
        "n4 stops while it writes the snapshot by which it joins. Its log and its state machine are \
         in two engines; written one after the other, the one says that the entries are there and \
         the other has none of them.",
    ),
];

fn a_campaign() -> Script {
    Script::of(3).at(100).campaign(1)
}

fn an_idle_cluster() -> Script {
    Script::of(5)
}

fn a_new_peer_restarts() -> Script {
    Script::of(3)
        .spares(1)
        .at(100)
        .campaign(1)
        .at(300)
        .members(1, &[(4, Learner)])
        .at(1_000)
        .crash(4)
        .at(1_100)
        .restart(4)
}

fn a_new_peer_joins() -> Script {
    a_new_peer(Script::of(3).brisk()).at(400).heal_all()
}

fn a_new_peer(script: Script) -> Script {
    script.spares(1).at(100).campaign(1).at(300).members(1, &[(4, Voter)])
}

/// The log is dropped as soon as two entries are applied.
fn short_logs() -> Script {
    Script::of(3).with(|settings| (settings.log_gc_ticks, settings.log_gc_entries) = (1, 2))
}

fn a_snapshot_comes_twice() -> Script {
    let again = LinkFault::Replay { permille: 1_000, delay: exactly(1_000) };
    a_new_peer(short_logs()).at(400).link(Links::One { from: 1, to: 4 }, again).at(900).puts(1, 2)
}

fn two_snapshots() -> Script {
    a_new_peer(short_logs()).at(1_000).part(&[4]).puts(1, 2).at(1_300).heal()
}

fn a_snapshot_in_the_middle() -> Script {
    a_new_peer(Script::of(3).with(|settings| settings.apply_bytes_max = 1))
        .at(500)
        .puts(1, 8)
        // They are committed, and applied one by one.
        .at(537)
        .disk(1, DiskFault::Slow { sync: exactly(300) })
}

fn a_snapshot_over_a_tail() -> Script {
    short_logs()
        .at(100)
        .campaign(1)
        .at(300)
        .part(&[1])
        .puts(1, 3)
        .campaign(2)
        .at(400)
        .put(2, "x", "new")
        .at(700)
        .heal()
}

fn a_leader_leaves() -> Script {
    Script::of(3)
        .spares(1)
        .at(100)
        .campaign(2)
        .at(300)
        .deafen(2)
        .members(2, &[(1, Gone), (4, Voter)])
        .at(400)
        .campaign(1)
}

fn a_learner_joins() -> Script {
    Script::of(3)
        .spares(1)
        .at(100)
        .campaign(1)
        .at(300)
        .members(1, &[(4, Learner)])
        .at(1_000)
        .part(&[1, 4])
        .put(1, "x", "learnt")
}

fn a_tail_on_the_disk() -> Script {
    Script::of(3)
        .at(100)
        .campaign(1)
        .at(300)
        .part(&[1])
        .puts(1, 2)
        .at(400)
        .campaign(2)
        .at(500)
        .heal()
}

fn a_change_too_early() -> Script {
    Script::of(3).spares(1).at(100).campaign(1).at(120).members(1, &[(4, Voter)])
}

fn a_new_peer_after_a_write() -> Script {
    Script::of(3)
        .spares(1)
        .with(|settings| settings.sessions = true)
        .at(100)
        .campaign(1)
        .at(300)
        .put(1, "x", "once")
        .at(600)
        .members(1, &[(4, Voter)])
}

fn two_changes() -> Script {
    Script::of(3)
        .spares(2)
        .at(100)
        .campaign(1)
        .at(300)
        .members(1, &[(4, Voter)])
        .members(1, &[(5, Voter)])
}

fn half_a_joint_configuration() -> Script {
    Script::of(3)
        .spares(2)
        .at(100)
        .campaign(1)
        .at(300)
        .members(1, &[(2, Gone), (3, Gone), (4, Voter), (5, Voter)])
        // The change is committed and applied; that it is over is not.
        .at(345)
        .part(&[2, 3])
        .at(800)
        .campaign(4)
}

fn torn() -> Script {
    // Which half survives is a matter of chance.
    a_new_peer(Script::of(3).seed(3))
        // A read needs a round of heartbeats, and the first one that n4 gets brings it to life.
        .at(400)
        .get(1, "x")
        // The snapshot has arrived, and the write of it takes 2 ms.
        .at(463)
        .crash(4)
}
