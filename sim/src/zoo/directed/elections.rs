//! Votes, terms, time-outs.

use super::script::{Script, exactly};
use super::{Directed, story};
use crate::check::Invariant::{
    CommitDurability, Convergence, DiskMirror, ElectionSafety, LeaderCompleteness,
    MajorityProgress, Outbox, Undisturbed, VoteOnce,
};
use crate::faults::{LinkFault, Links};

pub(super) const STORIES: &[Directed] = &[
    story(
        2,
        DiskMirror,
        a_campaign,
        "n1 campaigns, and votes for itself first. If that vote is not on its disk when it asks the \
         others for theirs, a crash makes it forget, and it may vote for another in the same term.",
    ),
    story(
        3,
        Outbox,
        a_campaign,
        "n1 campaigns in the next term. If the term is not on its disk when it asks for votes, a \
         crash takes it back to the old one, and it may live through the same term twice.",
    ),
    story(
        4,
        VoteOnce,
        two_candidates,
        "n1 and n2 campaign at the same moment, and each asks the other, who has just voted for \
         itself. A peer that forgets its vote grants a second one in the same term: both may win it.",
    ),
    story(
        5,
        LeaderCompleteness,
        who_missed_a_write,
        "n3 is cut off while a write is committed, then returns and campaigns. Whoever votes for it \
         without a look at its log makes a leader that lacks an acknowledged write.",
    ),
    story(
        6,
        LeaderCompleteness,
        long_and_old,
        "n1 stops with a write on its disk that nobody else has. n2 is elected and commits an entry \
         of its own, then n1 returns and campaigns. The logs are equally long, but that of n1 ends in \
         an older term. If only the length counts, n1 is elected and overwrites what is committed.",
    ),
    story(
        7,
        LeaderCompleteness,
        who_missed_a_write,
        "n3 is cut off while a write is committed, then returns and campaigns. Its log ends in the \
         same term as the others', but earlier. If only the last term counts, it is elected without \
         the write.",
    ),
    story(
        19,
        ElectionSafety,
        votes_that_come_late,
        "n1 campaigns, and the answers are held up. It campaigns once more in the next term, in which \
         n2 votes for n3. Then the votes of the earlier term arrive: counted in this one, they make a \
         second leader of it.",
    ),
    story(
        20,
        ElectionSafety,
        a_vote_of_an_earlier_campaign,
        "n1 campaigns and hears n2 alone. It campaigns once more, and hears n3 alone, while n2 votes \
         for n4. If the vote of n2 from the earlier term still counts, both n1 and n4 lead this one.",
    ),
    story(
        21,
        CommitDurability,
        a_campaign,
        "n1 campaigns among three. If half of the peers, rounded down, is a quorum, its own vote \
         elects it and its own disk commits its first entry: two others know nothing of either.",
    ),
    story(
        26,
        Convergence,
        three_candidates,
        "All three peers campaign at once and vote for themselves. If that vote outlives its term, \
         nobody can ever vote for anybody else again.",
    ),
    story(
        28,
        Convergence,
        far_apart,
        "A message travels for longer than the moments at which clocks tick differ. With equal \
         time-outs every peer campaigns before it hears of the others, in each term anew.",
    ),
    story(
        29,
        MajorityProgress,
        a_split_vote,
        "Once all is well the judge stops one of three peers for good. The other two happen to campaign \
         at the same time, and each has voted for itself. Who campaigns again in the same term gets \
         the same answer for ever: only a new term brings new votes.",
    ),
    story(
        33,
        VoteOnce,
        a_campaign,
        "n1 campaigns in the next term. A voter that does not enter a later term than its own grants \
         a vote in a term of which its disk knows nothing, and never counts it as given.",
    ),
    story(
        34,
        Convergence,
        a_loser_that_never_rests,
        "n3 missed a write and cannot win, but campaigns first, and messages travel for long. If each \
         request that the others refuse makes them wait anew, n3 is first again and again, and nobody \
         campaigns who could win.",
    ),
    story(
        35,
        ElectionSafety,
        a_vote_comes_twice,
        "n1 and n2 are cut off from the other three. The vote of n2 comes twice: counted twice, with \
         that of n1 itself, it makes three of five, while the others elect n3 in the same term.",
    ),
    story(
        50,
        Undisturbed,
        with_pre_vote,
        "Once all is well the judge cuts off a follower, has something written, and lets it return. It \
         asks whether it would win, for a term that nobody has entered. If the question alone raises \
         the others' term, it deposes a leader that serves everybody.",
    ),
    story(
        51,
        Undisturbed,
        with_pre_vote,
        "Once all is well the judge cuts off a follower, has something written, and lets it return. It \
         asks whether it would win, which it would not: its log is older. Told that it would, it \
         campaigns, and deposes a leader that serves everybody.",
    ),
    story(
        52,
        Convergence,
        a_leader_that_nobody_can_answer,
        "Once all is well the judge cuts every way into the leader. Its heartbeats still arrive and \
         keep the others from electing anybody, while nothing it sends is ever acknowledged. Only \
         a leader that steps down when no quorum answers ends that.",
    ),
];

fn two_candidates() -> Script {
    Script::of(3).at(100).campaign(1).campaign(2)
}

fn who_missed_a_write() -> Script {
    Script::of(3)
        .at(100)
        .campaign(1)
        .at(300)
        .part(&[3])
        .put(1, "x", "new")
        .at(400)
        .heal()
        .campaign(3)
}

fn long_and_old() -> Script {
    Script::of(3)
        .at(100)
        .campaign(1)
        .at(300)
        .put_unheard(1)
        .at(400)
        .campaign(2)
        .at(500)
        .restart(1)
        // In the term of n2 it is too late: that one has all the votes.
        .campaign(1)
        .campaign(1)
}

fn votes_that_come_late() -> Script {
    Script::of(3)
        .at(100)
        .link(Links::Into { peer: 1 }, LinkFault::Clog)
        .campaign(1)
        .at(200)
        .campaign(3)
        .at(210)
        .campaign(1)
        .at(300)
        .heal()
}

fn a_vote_of_an_earlier_campaign() -> Script {
    Script::of(5)
        .at(100)
        .part(&[1, 2])
        .campaign(1)
        .at(200)
        .part(&[1, 3])
        .campaign(1)
        // In the term of the first campaign, n2 has voted for n1.
        .campaign(4)
        .campaign(4)
}

fn a_vote_comes_twice() -> Script {
    let twice = LinkFault::Duplicate { permille: 1_000 };
    Script::of(5)
        .at(100)
        .part(&[1, 2])
        .link(Links::One { from: 2, to: 1 }, twice)
        .campaign(1)
        .campaign(3)
}

fn a_split_vote() -> Script {
    // Whether they campaign at the same time is a matter of chance.
    Script::of(3)
        .seed(1)
        .brisk()
        .with(|settings| settings.latency = exactly(200))
        .at(100)
        .heal_all()
}

fn a_loser_that_never_rests() -> Script {
    // Who is first is a matter of chance, in favour of the one that was.
    Script::of(3)
        .seed(42)
        .brisk()
        .with(|settings| settings.latency = exactly(350))
        .at(100)
        .campaign(1)
        .at(1_000)
        .part(&[3])
        .put(1, "x", "missed")
        .at(2_500)
        .crash(1)
        .campaign(3)
        .at(2_600)
        .heal_all()
}

fn a_campaign() -> Script {
    Script::of(3).at(100).campaign(1)
}

fn three_candidates() -> Script {
    Script::of(3).brisk().at(100).campaign(1).campaign(2).campaign(3).at(200).heal_all()
}

fn far_apart() -> Script {
    Script::of(3).brisk().with(|settings| settings.latency = exactly(100)).at(100).heal_all()
}

fn with_pre_vote() -> Script {
    Script::of(3).brisk().with(|settings| settings.pre_vote = true).at(100).heal_all()
}

fn a_leader_that_nobody_can_answer() -> Script {
    Script::of(3)
        .brisk()
        .with(|settings| (settings.pre_vote, settings.check_quorum) = (true, true))
        .at(100)
        .heal_all()
}
