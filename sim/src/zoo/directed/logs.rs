//! Appends, conflicts, commit indices.

use super::script::{Script, exactly};
use super::{Directed, story};
use crate::check::Invariant::{
    CommitDurability, CommitRule, Convergence, ElectionSafety, LogMatching, Outbox,
    StateMachineSafety,
};
use crate::faults::{DiskFault, LinkFault, Links};

pub(super) const STORIES: &[Directed] = &[
    story(
        1,
        CommitRule,
        older_term,
        "n1 stops with a write on its disk that nobody else has, and is elected once more. It sends one entry at a \
         time, and counts: n2 holds the write, so a majority does. But the write is of an older \
         term, and until an entry of the new one is as safe, another leader may still overwrite it, \
         as figure 8 of the paper shows.",
    ),
    story(
        8,
        CommitDurability,
        an_append_comes_twice,
        "A copy of an append reaches n2 when it has acknowledged the next entry. Both entries are \
         there already; who cuts off the log at every append loses the second, and n1 commits it.",
    ),
    story(
        9,
        StateMachineSafety,
        a_tail_beyond_the_append,
        "n1 has a write that nobody else has, while n2 and then n3 lead and commit. n3 finds where \
         the logs agree and sends one entry that n1 holds already, with a commit index beyond it. \
         Who commits as far as its own log goes, commits the stale write.",
    ),
    story(
        10,
        StateMachineSafety,
        a_deposed_leader,
        "n1 has a write that nobody else has, while n2 is elected and commits an entry at the same \
         index. A heartbeat checks no entries: if it brings the whole commit index, n1 commits its \
         stale write.",
    ),
    story(
        14,
        ElectionSafety,
        a_leader_that_hears_nothing,
        "n1 hears nothing any more, so it goes on to lead its term while n2 leads the next. If n3 \
         takes an append of the older term, it follows both, and replaces what n2 has committed.",
    ),
    story(
        15,
        CommitDurability,
        two_tails,
        "n1 has two writes that nobody else has. n3 leads a later term and sends n1 an entry that it \
         holds already. Who acknowledges its whole log vouches for entries that it does not have: \
         n3 commits what only its own disk holds.",
    ),
    story(
        16,
        CommitDurability,
        a_rejection,
        "n2 misses an entry and rejects the empty append after it. A rejection names the entry that \
         is missing; taken for an acknowledgement, it commits what n2 never had.",
    ),
    story(
        18,
        CommitDurability,
        a_slow_disk,
        "The disk of n1 takes its time. n2 acknowledges a write before n1 has written it: a leader \
         that counts itself all the same commits what one disk of two holds.",
    ),
    story(
        23,
        StateMachineSafety,
        a_deposed_leader,
        "n1 has a write that nobody else has, while n2 is elected and commits an entry at the same \
         index. If n1 keeps its own where the two are in conflict, it commits another entry there.",
    ),
    story(
        24,
        Outbox,
        a_missed_entry,
        "n3 misses an entry, and n1 asks with an empty append whether it arrived. Who does not look \
         at what is before an append says yes, and vouches for an entry that it never got.",
    ),
    story(
        25,
        LogMatching,
        another_term_at_the_same_index,
        "n1 has a write that nobody else has, at the index of the first entry of n2. n3, elected \
         later, sends what comes after that index. n1 has something there, only of another term: \
         taken for the same, it makes two histories of one log.",
    ),
    story(
        32,
        CommitDurability,
        an_acknowledgement_comes_late,
        "n2 acknowledges two entries of n1 and stops; the answer is held up. n3 leads and replaces \
         both, then n1 leads again with another entry in their place, which n3 alone holds beside \
         it. The late answer is about the old ones: counted, it commits the new one.",
    ),
    story(
        43,
        CommitDurability,
        the_second_of_three,
        "n2 is elected. The entry that a majority of three has is the middle one of three numbers in \
         order of size; in order of peers the middle one is that of n2 itself, which commits what \
         nobody else has.",
    ),
    story(
        54,
        Convergence,
        a_lost_append,
        "The one append that may be under way to n3 is lost. If an answer to a heartbeat does not let \
         n1 try again, n3 never gets another one.",
    ),
    story(
        27,
        Convergence,
        who_missed_two_leaders,
        "n1 is cut off while n2 and then n3 are elected. n3 sends what comes after the entry of n2, \
         which n1 does not have, so n1 rejects it. A leader that tries the same again and again never \
         brings n1 back.",
    ),
];

/// n1 is cut off with a write that nobody else has, and n2 leads the next term.
fn a_deposed_leader() -> Script {
    deposed(Script::of(3)).at(600).heal()
}

fn deposed(script: Script) -> Script {
    script.at(100).campaign(1).at(300).part(&[1]).put(1, "x", "unheard").at(400).campaign(2)
}

fn older_term() -> Script {
    Script::of(3)
        .with(|settings| settings.append_bytes_max = 1)
        .at(100)
        .campaign(1)
        .at(300)
        .put_unheard(1)
        .at(400)
        .restart(1)
        .campaign(1)
}

fn an_append_comes_twice() -> Script {
    let again = LinkFault::Replay { permille: 1_000, delay: exactly(23) };
    Script::of(2)
        .at(100)
        .campaign(1)
        .at(300)
        .link(Links::One { from: 1, to: 2 }, again)
        .put(1, "x", "one")
        .at(305)
        .put(1, "x", "two")
}

fn another_term_at_the_same_index() -> Script {
    deposed(Script::of(3)).at(500).campaign(3).at(600).heal()
}

fn who_missed_two_leaders() -> Script {
    Script::of(3)
        .brisk()
        // Each attempt is answered at once, and each answer leads to the next attempt.
        .with(|settings| settings.latency = exactly(100))
        .at(100)
        .part(&[1])
        .campaign(2)
        .at(450)
        .campaign(3)
        .at(800)
        .heal_all()
}

/// A first write reaches everybody. n1 does not hear of that, and its next ones reach nobody.
fn heard_and_unheard(unheard: &[&str]) -> Script {
    let script = Script::of(3)
        .with(|settings| settings.append_bytes_max = 1)
        .at(100)
        .campaign(1)
        .at(300)
        .put(1, "x", "heard")
        .at(325)
        .part(&[1]);
    let script = unheard.iter().fold(script, |script, key| script.put(1, key, "unheard"));
    script.at(400).campaign(2).at(500).campaign(3)
}

fn a_tail_beyond_the_append() -> Script {
    heard_and_unheard(&["y"]).at(600).heal()
}

fn two_tails() -> Script {
    // n3 has the vote of n2, which is not to get its first entry.
    heard_and_unheard(&["y", "z"]).at(530).part(&[2])
}

fn a_leader_that_hears_nothing() -> Script {
    Script::of(3).at(100).campaign(1).at(300).deafen(1).campaign(2).at(400).put(1, "x", "late")
}

fn a_rejection() -> Script {
    Script::of(2).at(100).campaign(1).at(200).part(&[2]).put(1, "x", "missed").at(300).heal()
}

fn an_acknowledgement_comes_late() -> Script {
    let back = Links::One { from: 2, to: 1 };
    Script::of(5)
        .at(100)
        .campaign(1)
        .at(300)
        .part(&[1, 2])
        .link(back, LinkFault::Clog)
        .puts(1, 2)
        .at(400)
        .crash(2)
        .campaign(3)
        .at(500)
        .part(&[])
        .at(1_500)
        .campaign(1)
        // n1 has its votes again; its first entry reaches n3 only.
        .at(1_530)
        .part(&[1, 2, 3])
        .at(1_600)
        .link(back, LinkFault::Burst)
}

fn the_second_of_three() -> Script {
    Script::of(3).at(100).campaign(2)
}

fn a_lost_append() -> Script {
    Script::of(3)
        .brisk()
        .with(|settings| settings.appends_in_flight_max = 1)
        .at(100)
        .campaign(1)
        .at(300)
        .part(&[3])
        .put(1, "x", "lost")
        .at(400)
        .heal_all()
}

fn a_slow_disk() -> Script {
    Script::of(2)
        .at(100)
        .campaign(1)
        .at(300)
        .disk(1, DiskFault::Slow { sync: exactly(100) })
        .put(1, "x", "new")
}

fn a_missed_entry() -> Script {
    Script::of(3).at(100).campaign(1).at(200).part(&[3]).put(1, "x", "missed").at(300).heal()
}
