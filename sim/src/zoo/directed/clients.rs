//! Reads, leases, sessions.

use super::script::{Script, exactly};
use super::{Directed, story};
use crate::check::Invariant::{ExactlyOnce, ReadFreshness};
use crate::faults::{ClientFault, ClockFault, DiskFault, LinkFault, Links};
use crate::scenario::Reads;

pub(super) const STORIES: &[Directed] = &[
    story(
        11,
        ReadFreshness,
        a_new_leader_is_asked,
        "n1 acknowledges a write and falls silent before the others hear that it is committed. n2 is \
         elected: it has the write, but does not know so before an entry of its own is committed. A \
         read that does not wait for that sees the state without the write.",
    ),
    story(
        12,
        ReadFreshness,
        a_minority_is_asked,
        "n1 and n2 are cut off from the others, who elect n3 and commit its first entry. n1 \
         still believes that it leads. If one answer to a heartbeat is enough, it serves a read \
         without that entry, and without any write that may follow.",
    ),
    story(
        13,
        ReadFreshness,
        a_slow_clock,
        "The clock of n1 runs ten times slower than the others'. n1 is cut off, and after an \
         election time-out n2 is elected and commits its first entry; by the clock of n1 its \
         lease has only begun, and it serves a read without that entry.",
    ),
    story(
        22,
        ExactlyOnce,
        a_write_comes_twice,
        "The network brings each of a client's requests twice. The second copy of a write carries \
         the same number in its session; who executes it again writes twice.",
    ),
    story(
        30,
        ReadFreshness,
        a_slow_state_machine,
        "n1 knows that six writes are committed, and applies one at a time to a slow disk. It is \
         confirmed that n1 leads, but a read that does not wait until the last write is applied \
         misses it.",
    ),
    story(
        31,
        ReadFreshness,
        a_second_read,
        "n1 asks the others for a read whether it still leads, and the answers are held up. \
         Meanwhile n2 is elected and commits its first entry. A second read comes to n1: if it \
         takes the round of the first one, the late answers confirm it without that entry.",
    ),
];

fn a_new_leader_is_asked() -> Script {
    Script::of(3)
        .at(100)
        .campaign(1)
        .at(300)
        .put(1, "x", "new")
        // The others have acknowledged the write. That it is committed does not reach them.
        .at(333)
        .mute(1)
        .at(400)
        .campaign(2)
        // The first entry of n2 is lost.
        .at(430)
        .part(&[2])
        .at(440)
        .heal()
        .get(2, "x")
}

fn a_minority_is_asked() -> Script {
    Script::of(5).at(100).campaign(1).at(300).part(&[1, 2]).campaign(3).at(500).get(1, "x")
}

fn a_slow_clock() -> Script {
    Script::of(3)
        .with(|settings| (settings.reads, settings.check_quorum) = (Reads::Lease, true))
        // Who has just started may have promised not to vote for an election time-out.
        .at(2_560)
        .campaign(1)
        .at(3_300)
        .clock(1, ClockFault::Rate { permille: 100 })
        .part(&[1])
        // Now the promises that n1 relies on are over.
        .at(5_700)
        .campaign(2)
        .at(5_900)
        .get(1, "x")
}

fn a_write_comes_twice() -> Script {
    Script::of(3)
        .with(|settings| settings.sessions = true)
        .at(100)
        .campaign(1)
        .at(300)
        .clients(ClientFault::Duplicate { permille: 1_000 })
        .put(1, "x", "once")
}

fn a_slow_state_machine() -> Script {
    Script::of(3)
        .with(|settings| settings.apply_bytes_max = 1)
        .at(100)
        .campaign(1)
        .at(300)
        .puts(1, 6)
        // They are committed, and applied one by one. First n1 asks whether it still leads.
        .at(327)
        .get(1, "k6")
        .at(339)
        .disk(1, DiskFault::Slow { sync: exactly(200) })
}

fn a_second_read() -> Script {
    let to_n1 = Links::Into { peer: 1 };
    Script::of(3)
        .at(100)
        .campaign(1)
        .at(300)
        .link(to_n1, LinkFault::Clog)
        .get(1, "x")
        .at(400)
        .campaign(2)
        .at(600)
        .get(1, "x")
        .at(700)
        .link(to_n1, LinkFault::Burst)
}
