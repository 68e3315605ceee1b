//! L1 to L4: what a healed cluster soon comes to.
//!
//! Safety says what never happens; a cluster that stands still is perfectly safe. These functions
//! take a world in which nothing is broken any more, let time pass, ask something of it, and tell
//! what it owes. They change the world: clone it first if it is needed as it is.
//!
//! *Soon* is [`TIMEOUTS`] election time-outs, and a round trip for every few entries that somebody
//! lacks: who has been away for long may take longer.

use raft_core::proto::metapb::{self, PeerRole};
use raft_core::{RaftLog, StateRole};
use raft_kv::{Peer, keys};

use super::{Invariant, Violation};
use crate::client::{Outcome, Reply};
use crate::command::Command;
use crate::faults::{LinkFault, Links};
use crate::node::{Ear, Node, REGION};
use crate::scenario::{Op, Reads};
use crate::world::World;

/// Election time-outs, each the longest that a peer may draw, within which a cluster must agree.
/// Votes may be split a few times.
pub const TIMEOUTS: u64 = 20;
/// Entries that a peer that lags must at least receive in a round trip.
const ENTRIES_PER_ROUND: u64 = 8;
/// Messages that each follower may cost in a heartbeat: one and its answer, and as many again for
/// a commit index or a lost one.
const MESSAGES_PER_HEARTBEAT: u64 = 4;
/// A key that no one else uses.
const KEY: &str = "~alive";

/// How a cluster came to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converged {
    /// Who leads.
    pub leader: u64,
    /// Its term.
    pub term: u64,
    /// How long it took.
    pub took_us: u64,
    /// How long it might have taken.
    pub limit_us: u64,
}

/// L1: all peers are up and all links work. Soon one leads and all know it, all have committed and
/// applied the same, and nothing is pending; then a write and a read succeed, and the write reaches
/// every peer.
///
/// # Errors
/// What is still missing when the time is over; or the safety rule that was broken meanwhile.
pub fn converges(world: &mut World) -> Result<Converged, Violation> {
    lively(world, &[], Invariant::Convergence)
}

/// L2: the same for the others once `dead` have crashed for good. They must be a majority.
///
/// # Errors
/// As [`converges`].
pub fn majority_suffices(world: &mut World, dead: &[u64]) -> Result<Converged, Violation> {
    for &peer in dead {
        act(world, Invariant::MajorityProgress, Command::Crash { peer })?;
    }
    lively(world, dead, Invariant::MajorityProgress)
}

/// L3: a cluster that agrees and is asked nothing keeps its term and its leader for so many
/// heartbeats, and sends little else. Copies of old requests may still arrive, so that it gets
/// several chances to be quiet; none to change its term.
///
/// # Errors
/// What disturbed it.
pub fn stays_quiet(world: &mut World, heartbeats: u32) -> Result<(), Violation> {
    let mut loud = listen_to(world, heartbeats)?;
    for _ in 1..CHANCES {
        if loud.is_none() {
            break;
        }
        loud = listen_to(world, heartbeats)?;
    }
    loud.map_or(Ok(()), Err)
}

/// How often a cluster may be loud before it must be quiet.
const CHANCES: u32 = 10;

/// Lets so many heartbeats pass. Returns whether more was sent than they need.
fn listen_to(world: &mut World, heartbeats: u32) -> Result<Option<Violation>, Violation> {
    let rule = Invariant::Quiet;
    let before = terms(world);
    let sent = world.messages_sent();
    let settings = world.scenario().settings;
    let heartbeat_us = settings.tick_us * u64::from(settings.heartbeat_tick);
    pass(world, u64::from(heartbeats) * heartbeat_us)?;
    let now = terms(world);
    if let Some((was, is)) = before.iter().zip(&now).find(|(was, is)| was != is) {
        let peer = is.0;
        return Err(broken(world, rule, peer, in_words(was), in_words(is)));
    }
    let sent = world.messages_sent() - sent;
    let followers = world.scenario().stores().saturating_sub(1);
    let limit = (u64::from(heartbeats) + 1) * followers * MESSAGES_PER_HEARTBEAT;
    let needed =
        format!("{heartbeats} heartbeats among {followers} followers need {limit} messages");
    let loud = || broken(world, rule, 0, needed, format!("{sent} were sent"));
    Ok((sent > limit).then(loud))
}

/// L4: with pre-vote, a follower that was cut off for so many election time-outs comes back without
/// raising the term or deposing the leader, even if it hears from that one last. The cluster must
/// agree when it is called.
///
/// # Errors
/// The term or the leader that changed, or what L1 misses.
pub fn returns_quietly(world: &mut World, timeouts: u64) -> Result<(), Violation> {
    let rule = Invariant::Undisturbed;
    let before = converges(world)?;
    let voters = voters(world);
    let follower = voters.iter().copied().find(|id| *id != before.leader);
    // The others must be able to go on.
    let Some(follower) = follower.filter(|_| voters.len() > 2) else { return Ok(()) };
    let link = |on, fault| Command::Link { on, fault };
    act(world, rule, link(Links::Of { peer: follower }, LinkFault::Cut))?;
    // It must not be able to win.
    let value = format!("{} us", world.now_us());
    writes(world, rule, &value)?;
    pass(world, timeouts * timeout_us(world))?;
    // It asks for votes before it hears from the leader.
    act(world, rule, link(Links::Of { peer: follower }, LinkFault::Mend))?;
    act(world, rule, link(Links::One { from: before.leader, to: follower }, LinkFault::Cut))?;
    act(world, rule, Command::Campaign { peer: follower })?;
    pass(world, 2 * round_us(world))?;
    act(world, rule, Command::Heal)?;
    let now = converges(world)?;
    if (now.leader, now.term) == (before.leader, before.term) {
        return Ok(());
    }
    let Converged { leader, term, .. } = before;
    let before = format!("n{leader} led term {term} before n{follower} was cut off");
    let now = format!("n{} leads term {} after its return", now.leader, now.term);
    Err(broken(world, rule, follower, before, now))
}

/// L1 where links stay cut: if leaders check their quorum and candidates ask first, one that hears
/// nobody gives way, and the others go on without it, although they still hear from it (thesis 6.2).
/// The cluster must agree when it is called, and have at least three voters.
///
/// # Errors
/// As [`converges`].
pub fn serves_while_cut(world: &mut World) -> Result<(), Violation> {
    let rule = Invariant::Convergence;
    let leads = |peer: &Peer<Ear>| peer.raft().role() == StateRole::Leader;
    let leader = peers(world, &members(world)).find(|(_, peer)| leads(peer)).map(|(id, _)| id);
    let Some(leader) = leader else { return Ok(()) };
    let stores = world.scenario().stores();
    let ways = (1..=stores).flat_map(|from| (1..=stores).map(move |to| (from, to)));
    let ways = ways.filter(|&(from, to)| from != to && to != leader).collect();
    act(world, rule, Command::OnlyLinks { ways })?;
    // Who was removed and never heard of it would send clients to the leader that it knew.
    let members = members(world);
    for peer in (1..=stores).filter(|store| !members.contains(store)) {
        act(world, rule, Command::Crash { peer })?;
    }
    lively(world, &[leader], rule).map(drop)
}

/// The longest time-out that a peer may draw.
fn timeout_us(world: &World) -> u64 {
    let settings = &world.scenario().settings;
    2 * u64::from(settings.election_tick) * settings.tick_us
}

/// How long a message and its answer take, with a write at each end.
fn round_us(world: &World) -> u64 {
    let settings = &world.scenario().settings;
    2 * (settings.latency.max_us + settings.sync.max_us)
}

/// What the slowest has applied.
fn slowest(world: &World, alive: &[u64]) -> u64 {
    peers(world, alive).map(|(_, peer)| peer.raft().log().applied()).min().unwrap_or(0)
}

/// How long a cluster may take to agree, given where the slowest was at the beginning. Clients that
/// are still waiting make the log longer meanwhile.
fn limit_us(world: &World, alive: &[u64], slowest: u64) -> u64 {
    let logs = peers(world, alive).map(|(_, peer)| peer.raft().log());
    let longest = logs.map(RaftLog::last_index).max().unwrap_or(0);
    let settings = &world.scenario().settings;
    // Small messages, and few at a time, carry less.
    let small = settings.append_bytes_max < 100 * ENTRIES_PER_ROUND;
    let in_flight = u64::from(settings.appends_in_flight_max);
    let fewer = (in_flight / 4).clamp(1, ENTRIES_PER_ROUND);
    let per_round = if small { fewer } else { ENTRIES_PER_ROUND };
    // So does a write that applies little.
    let slow = settings.apply_bytes_max < 100 * ENTRIES_PER_ROUND;
    let per_round = if slow { 1 } else { per_round };
    let rounds = longest.saturating_sub(slowest) / per_round + 1;
    let clients = settings.client_deadline_us;
    TIMEOUTS * timeout_us(world) + rounds * round_us(world) + clients
}

fn peers<'a>(world: &'a World, alive: &'a [u64]) -> impl Iterator<Item = (u64, &'a Peer<Ear>)> {
    let alive = world.nodes().filter(|(id, _)| alive.contains(id));
    alive.filter_map(|(id, node)| Some((id, node.peer()?)))
}

/// The stores whose peers are members, as far as anybody knows.
pub fn members(world: &World) -> Vec<u64> {
    latest_peers(world).iter().map(|peer| peer.store_id).collect()
}

/// The stores whose peers vote, as far as anybody knows.
pub fn voters(world: &World) -> Vec<u64> {
    let voting = latest_peers(world).iter().filter(|peer| peer.role() != PeerRole::Learner);
    voting.map(|peer| peer.store_id).collect()
}

fn latest_peers(world: &World) -> &[metapb::Peer] {
    let peers = world.nodes().filter_map(|(_, node)| node.peer());
    let version = |peer: &&Peer<Ear>| {
        let epoch = peer.region().region_epoch.unwrap_or_default();
        (epoch.conf_ver, peer.storage().applied_index())
    };
    let latest = peers.max_by_key(version);
    latest.map_or(&[], |peer| &peer.region().peers)
}

/// The members but for those that are dead.
fn alive(world: &World, dead: &[u64]) -> Vec<u64> {
    members(world).into_iter().filter(|store| !dead.contains(store)).collect()
}

fn lively(world: &mut World, dead: &[u64], rule: Invariant) -> Result<Converged, Violation> {
    // A change of members may still be under way.
    let slowest = slowest(world, &alive(world, dead));
    let mut limit_us = limit_us(world, &alive(world, dead), slowest);
    let (start_us, tick_us) = (world.now_us(), world.scenario().settings.tick_us);
    while let Some((peer, missing)) = disagreement(world, &alive(world, dead)) {
        if world.now_us() >= start_us + limit_us {
            limit_us = limit_us.max(self::limit_us(world, &alive(world, dead), slowest));
        }
        if world.now_us() >= start_us + limit_us {
            let who = if dead.is_empty() { "all".into() } else { format!("all but {dead:?}") };
            let owed = format!("{limit_us} us after healing {who} must agree");
            return Err(broken(world, rule, peer, owed, missing));
        }
        pass(world, tick_us)?;
    }
    let took_us = world.now_us() - start_us;
    let alive = &alive(world, dead);
    same_state(world, alive)?;
    nothing_owed(world)?;
    let leader = peers(world, alive).find(|(_, peer)| peer.raft().role() == StateRole::Leader);
    let (leader, term) = leader.map_or((0, 0), |(id, peer)| (id, peer.raft().term()));
    serves(world, alive, rule)?;
    Ok(Converged { leader, term, took_us, limit_us })
}

/// Who has applied the same holds the same, data and sessions (I6 at the end of a run, where all of
/// it can be compared).
fn same_state(world: &World, alive: &[u64]) -> Result<(), Violation> {
    let is_state =
        |key: &[u8]| keys::user_key(key).is_some() || keys::session_client(key).is_some();
    let records = |peer: &'_ Peer<Ear>| -> Vec<_> {
        let all = peer.kv().iter().filter(|(key, _)| is_state(key));
        all.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let mut all = peers(world, alive).map(|(id, peer)| (id, records(peer)));
    let Some((first, expected)) = all.next() else { return Ok(()) };
    let Some((id, found)) = all.find(|(_, records)| *records != expected) else { return Ok(()) };
    let other = found.iter().find(|record| !expected.contains(record));
    let other = other.or_else(|| expected.iter().find(|record| !found.contains(record)));
    let other = other.map(|(key, value)| format!("{key:?} = {value:?}")).unwrap_or_default();
    let before = format!("n{first} and n{id} have applied the same entries");
    let now = format!("only one of them has {other}");
    Err(broken(world, Invariant::StateMachineSafety, id, before, now))
}

/// I17 at the end of a run: whoever has not answered knows that somebody waits for it.
fn nothing_owed(world: &World) -> Result<(), Violation> {
    for (id, node) in world.nodes().filter(|(_, node)| node.is_up() && !node.is_busy()) {
        let waiting = node.peer().map_or(0, Peer::waiting);
        if let (owed, Some(request)) = world.owed_by(id)
            && owed > waiting
        {
            let before = format!("n{id} owes {owed} answers, the first to request {request}");
            let now = format!("it will give {waiting}");
            return Err(broken(world, Invariant::ExactlyOnce, id, before, now));
        }
    }
    Ok(())
}

/// Who does not agree yet, and why.
fn disagreement(world: &World, alive: &[u64]) -> Option<(u64, String)> {
    if let Some((id, _)) = world.nodes().find(|(id, n)| alive.contains(id) && n.peer().is_none()) {
        return Some((id, format!("n{id} is down")));
    }
    let leads = |peer: &Peer<Ear>| peer.raft().role() == StateRole::Leader;
    let leaders: Vec<_> = peers(world, alive).filter(|(_, peer)| leads(peer)).collect();
    let &[(_, first)] = leaders.as_slice() else {
        let ids: Vec<_> = leaders.iter().map(|(id, _)| *id).collect();
        let who = if ids.is_empty() { "nobody leads".into() } else { format!("{ids:?} lead") };
        return Some((0, who));
    };
    let (leader, term) = (first.raft().id(), first.raft().term());
    let last = first.raft().log().last_index();
    for (id, peer) in peers(world, alive) {
        let (raft, log) = (peer.raft(), peer.raft().log());
        let found = (raft.leader(), raft.term(), log.committed(), log.applied(), log.last_index());
        let wanted = (leader, term, last, last, last);
        if found != wanted {
            let words = "leader, term, commit, applied and last index";
            return Some((id, format!("n{id} has {words} {found:?}, not {wanted:?}")));
        }
        if peer.waiting() > 0 || world.node(id).is_some_and(Node::is_writing) {
            return Some((id, format!("n{id} has something pending")));
        }
    }
    let open = world.requests().find(|request| request.outcome.is_none())?;
    Some((0, format!("request {} has not ended", open.id)))
}

/// A write succeeds and reaches everybody, and a read finds it, whomever one asks. A follower may
/// send a reader to its leader, unless followers are to serve reads.
fn serves(world: &mut World, alive: &[u64], rule: Invariant) -> Result<(), Violation> {
    let value = format!("{} us", world.now_us());
    writes(world, rule, &value)?;
    let expected = Some(Outcome::Done(Reply::Value(Some(value.clone()))));
    let get = || Op::Get { key: KEY.into() };
    for to in std::iter::once(None).chain(alive.iter().copied().map(Some)) {
        let before = may_send_on(world, to);
        let read = ask(world, rule, get(), to)?;
        // A change of members that was agreed on before may end only now, and leadership may go to
        // whom a late copy of an earlier request names.
        let gone = to.is_some_and(|to| !members(world).contains(&to));
        let may_send_on = before || may_send_on(world, to);
        if read != expected && !gone && !(may_send_on && is_sent_on(read.as_ref())) {
            let (peer, now) = (to.unwrap_or(0), format!("a read ends: {}", ending(read.as_ref())));
            return Err(broken(world, rule, peer, format!("{value:?} was written"), now));
        }
    }
    let start_us = world.now_us();
    let key = keys::data(keys::CFS[0], KEY.as_bytes());
    loop {
        let lacks = |peer: &Peer<Ear>| peer.kv().get(&key).is_none_or(|own| *own != value);
        let members = members(world);
        let lacking = peers(world, alive).find(|(id, peer)| members.contains(id) && lacks(peer));
        let Some((id, _)) = lacking else { return Ok(()) };
        if world.now_us() >= start_us + TIMEOUTS * timeout_us(world) {
            let now = format!("n{id} does not have it yet");
            return Err(broken(world, rule, id, format!("{value:?} was written"), now));
        }
        pass(world, world.scenario().settings.tick_us)?;
    }
}

/// Whether a peer that is asked for a read may point to another one.
fn may_send_on(world: &World, to: Option<u64>) -> bool {
    let settings = &world.scenario().settings;
    let serves = settings.follower_reads && settings.reads != Reads::Log;
    let peer = to.and_then(|to| world.node(to)?.peer());
    let leads = peer.is_some_and(|peer| peer.raft().role() == StateRole::Leader);
    to.is_some() && !serves && !leads
}

/// Whether a request ended with word that another peer leads.
fn is_sent_on(outcome: Option<&Outcome>) -> bool {
    let word = raft_kv::Error::NotLeader { region_id: REGION, leader: None }.to_string();
    matches!(outcome, Some(Outcome::Refused(reason)) if *reason == word)
}

/// How a request ended, in words.
fn ending(outcome: Option<&Outcome>) -> String {
    outcome.map_or_else(|| "no answer".into(), Outcome::to_string)
}

/// A write of [`KEY`] succeeds.
fn writes(world: &mut World, rule: Invariant, value: &str) -> Result<(), Violation> {
    let put = Op::Put { key: KEY.into(), value: value.into() };
    // A client that is short of patience may spend all of it on a peer that is dead.
    let give_up_us = world.now_us() + TIMEOUTS * timeout_us(world);
    loop {
        let written = ask(world, rule, put.clone(), None)?;
        if written == Some(Outcome::Done(Reply::Written)) {
            return Ok(());
        }
        if world.now_us() >= give_up_us {
            let now = format!("a write ends: {}", ending(written.as_ref()));
            return Err(broken(world, rule, 0, "all agree".into(), now));
        }
    }
}

fn ask(
    world: &mut World,
    rule: Invariant,
    op: Op,
    to: Option<u64>,
) -> Result<Option<Outcome>, Violation> {
    act(world, rule, Command::Request { client: 0, op, to })?;
    let (id, tick_us) = (world.last_request(), world.scenario().settings.tick_us);
    let end_us = world.now_us() + world.scenario().settings.client_deadline_us + tick_us;
    let outcome = |world: &World| world.request(id).and_then(|request| request.outcome.clone());
    while outcome(world).is_none() && world.now_us() < end_us {
        pass(world, tick_us)?;
    }
    Ok(outcome(world))
}

fn act(world: &mut World, rule: Invariant, command: Command) -> Result<(), Violation> {
    if let Err(error) = world.apply(command) {
        let now = format!("a command is refused: {error}");
        return Err(broken(world, rule, 0, "the question is asked".into(), now));
    }
    unbroken(world)
}

fn pass(world: &mut World, span_us: u64) -> Result<(), Violation> {
    world.run_until(world.now_us() + span_us);
    unbroken(world)
}

/// A broken safety rule is the better explanation.
fn unbroken(world: &World) -> Result<(), Violation> {
    world.violation().cloned().map_or(Ok(()), Err)
}

/// The terms of the members and the leaders that they know. One who missed its removal, and of whose
/// members none is left to tell it, campaigns for ever; that is nobody's business as long as the
/// members stay as they are.
fn terms(world: &World) -> Vec<(u64, u64, u64)> {
    let members = members(world);
    let up = peers(world, &members).map(|(id, peer)| (id, peer.raft()));
    up.map(|(id, raft)| (id, raft.term(), raft.leader())).collect()
}

fn in_words(&(id, term, leader): &(u64, u64, u64)) -> String {
    format!("n{id} was in term {term} with leader {leader}")
}

fn broken(world: &World, rule: Invariant, peer: u64, before: String, now: String) -> Violation {
    Violation { invariant: rule, at_us: world.now_us(), peer, entry: None, before, now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn l1_takes_nothing_but_word_of_the_leader_for_the_answer_of_a_follower() {
        for follower_reads in [false, true] {
            let mut scenario = Scenario::new(1);
            scenario.settings.follower_reads = follower_reads;
            let mut world = World::new(&scenario).unwrap();
            let leader = converges(&mut world).unwrap().leader;
            let follower = leader % 5 + 1;
            let may = [None, Some(leader), Some(follower)].map(|to| may_send_on(&world, to));
            assert_eq!(may, [false, false, !follower_reads]);
            let read = Op::Get { key: KEY.into() };
            let read = ask(&mut world, Invariant::Convergence, read, Some(follower)).unwrap();
            assert_eq!(is_sent_on(read.as_ref()), !follower_reads, "{read:?}");
        }
        let other = Outcome::Refused("the key is not in the region".into());
        assert!(!is_sent_on(Some(&other)) && !is_sent_on(Some(&Outcome::Unknown)));
        assert!(!is_sent_on(None));
    }
}
