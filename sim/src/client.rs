//! Clients: they look for the leader, wait, and ask again elsewhere.
//!
//! A request may have several attempts. Only when one is answered with the result is it done; when
//! the deadline passes after an attempt reached a peer, nobody knows whether it took effect.
//!
//! With sessions a client first opens one, and sends one request at a time: the store then executes
//! each write at most once, however many attempts and copies of it arrive (thesis 6.3).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use raft_core::eraftpb::ConfChangeType;
use raft_core::proto::errorpb;
use raft_core::proto::metapb::{Peer, Region};
use raft_core::proto::raft_cmdpb::{
    AdminRequest, AdminResponse, RaftCmdRequest, RaftCmdResponse, Request as StoreRequest, Response,
};
use raft_kv::command;

use crate::scenario::{MemberChange, Op, Role};

/// Finished requests that are remembered.
const HISTORY_MAX: usize = 1_000;

/// One request of a client, from invocation to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Unique in the run, in the order of invocation.
    pub id: u64,
    /// Whose it is.
    pub client: u64,
    /// What it asks.
    pub op: Op,
    /// The only peer to ask; none is whichever leads.
    pub only: Option<u64>,
    /// When the user asked for it.
    pub invoked_us: u64,
    /// When the client sent it first: with sessions it may have to wait for its turn.
    pub sent_us: Option<u64>,
    /// When it ended.
    pub ended_us: Option<u64>,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
    /// Attempts so far.
    pub attempts: u32,
    /// The peer that the latest attempt went to.
    pub target: u64,
    /// Some attempt was not refused: it may take effect, answered or not.
    maybe_taken: bool,
    /// Peers that did not answer in this round. Others may still take one of them for the leader;
    /// to believe them would be to wait again.
    silent: Vec<u64>,
    /// Attempts since the last one that was not answered.
    since_silence: u64,
    /// Its session, and its number there; none without sessions, and for reads.
    pub session: Option<(u64, u64)>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, with this result.
    Done(Reply),
    /// It was refused and has no effect.
    Refused(String),
    /// No answer came: it may have taken effect, or may still.
    Unknown,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The write is in the log of a majority.
    Written,
    /// The value; none if the key is absent.
    Value(Option<String>),
    /// The pairs in key order.
    Pairs(Vec<(String, String)>),
    /// How many keys were removed.
    Deleted(u64),
    /// The members are these now, by store.
    Members(Vec<u64>),
    /// Whether the key held what was expected, and what it held.
    Swapped {
        /// It did, and was written.
        done: bool,
        /// What it held; none if it was absent.
        previous: Option<String>,
    },
    /// One for each operation of a batch.
    Batch(Vec<Reply>),
    /// The session that was opened.
    Opened(u64),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(reply) => write!(f, "{reply}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Unknown => f.write_str("outcome unknown"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => f.write_str("ok"),
            Self::Value(None) => f.write_str("not found"),
            Self::Value(Some(value)) => write!(f, "= {value}"),
            Self::Pairs(pairs) => write!(f, "{} pairs", pairs.len()),
            Self::Deleted(count) => write!(f, "{count} keys removed"),
            Self::Swapped { done: true, .. } => f.write_str("swapped"),
            Self::Swapped { previous: None, .. } => f.write_str("not swapped: no such key"),
            Self::Swapped { previous: Some(value), .. } => {
                write!(f, "not swapped: it holds {value}")
            }
            Self::Batch(replies) => {
                let replies: Vec<_> = replies.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", replies.join(", "))
            }
            Self::Members(stores) => {
                let stores: Vec<_> = stores.iter().map(|store| format!("n{store}")).collect();
                write!(f, "members are {}", stores.join(", "))
            }
            Self::Opened(session) => write!(f, "session {session}"),
        }
    }
}

/// What a client does after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tell the user.
    End(Outcome),
    /// Ask again: the hinted leader, or the next peer.
    Retry { hint: Option<u64> },
}

/// All requests of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// From `first_id` on; those in between that are forgotten leave a gap.
    requests: VecDeque<Option<Request>>,
    first_id: u64,
    next_id: u64,
    /// Requests that have ended, and are remembered.
    ended: VecDeque<u64>,
    seats: BTreeMap<u64, Seat>,
}

/// What a client remembers between its requests.
#[derive(Clone, Debug, Default)]
struct Seat {
    /// Who leads, as far as it knows.
    believed: Option<u64>,
    /// The last peer that it asked.
    target: u64,
    session: Option<u64>,
    /// Number of its last write in the session.
    sequence: u64,
    /// The request, or the opening of the session, that it waits for.
    busy: Option<u64>,
    /// Requests that wait for their turn.
    waiting: VecDeque<u64>,
}

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It sends this request.
    Send(u64),
    /// It opens a session first.
    OpenSession,
}

impl Clients {
    /// Continues after request `last_id`.
    pub(crate) fn starting_after(last_id: u64) -> Self {
        Self { next_id: last_id, ..Self::default() }
    }

    pub(crate) fn invoke(&mut self, client: u64, op: Op, only: Option<u64>, now_us: u64) -> u64 {
        self.next_id += 1;
        let target = self.seats.entry(client).or_default().target;
        let request = Request {
            id: self.next_id,
            client,
            op,
            only,
            invoked_us: now_us,
            sent_us: None,
            ended_us: None,
            outcome: None,
            attempts: 0,
            target,
            maybe_taken: false,
            silent: Vec::new(),
            since_silence: 0,
            session: None,
        };
        if self.requests.is_empty() {
            self.first_id = self.next_id;
        }
        self.requests.push_back(Some(request));
        self.forget_oldest();
        self.next_id
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > HISTORY_MAX {
            let oldest = self.ended.pop_front().and_then(|id| self.place(id));
            if let Some(place) = oldest {
                self.requests[place] = None;
            }
        }
        while self.requests.front().is_some_and(Option::is_none) {
            self.requests.pop_front();
            self.first_id += 1;
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first_id)?).ok()
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Request> {
        let place = self.place(id)?;
        self.requests.get_mut(place)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter().flatten()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Request> {
        self.requests.get(self.place(id)?)?.as_ref()
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.next_id
    }

    /// Starts another attempt and returns its number and target; none if the request has ended.
    pub(crate) fn attempt(
        &mut self,
        id: u64,
        hint: Option<u64>,
        peers: u64,
        now_us: u64,
    ) -> Option<(u32, u64)> {
        let place = self.place(id)?;
        let request = self.requests.get_mut(place)?.as_mut();
        let request = request.filter(|request| request.outcome.is_none())?;
        let seat = self.seats.entry(request.client).or_default();
        request.attempts += 1;
        request.sent_us.get_or_insert(now_us);
        request.end_round(peers);
        let first_try = seat.believed.filter(|_| request.attempts == 1);
        let wanted = request.only.or_else(|| hint.or(first_try).filter(|id| request.may_ask(*id)));
        request.target = wanted.unwrap_or_else(|| request.following(peers));
        seat.target = request.target;
        Some((request.attempts, request.target))
    }

    /// The client of request `id` believes that this peer leads, or no longer knows who does.
    pub(crate) fn believe(&mut self, id: u64, leader: Option<u64>) {
        let Some(client) = self.get(id).map(|request| request.client) else { return };
        self.seats.entry(client).or_default().believed = leader;
    }

    /// A request waits for its client's turn.
    pub(crate) fn wait(&mut self, id: u64) {
        let Some(client) = self.get(id).map(|request| request.client) else { return };
        self.seats.entry(client).or_default().waiting.push_back(id);
    }

    /// What the client does next, if it waits for nothing.
    pub(crate) fn turn(&mut self, client: u64) -> Option<Turn> {
        let seat = self.seats.get_mut(&client).filter(|seat| seat.busy.is_none())?;
        while let Some(&id) = seat.waiting.front() {
            let place = usize::try_from(id.saturating_sub(self.first_id)).unwrap_or(usize::MAX);
            let request = self.requests.get_mut(place).and_then(Option::as_mut);
            let Some(request) = request.filter(|request| request.outcome.is_none()) else {
                // Its time was over before its turn came.
                seat.waiting.pop_front();
                continue;
            };
            if request.op.is_write() {
                let Some(session) = seat.session else { return Some(Turn::OpenSession) };
                seat.sequence += 1;
                request.session = Some((session, seat.sequence));
            }
            seat.waiting.pop_front();
            seat.busy = Some(id);
            return Some(Turn::Send(id));
        }
        None
    }

    /// The client waits for the session that request `id` opens.
    pub(crate) fn opening(&mut self, client: u64, id: u64) {
        self.seats.entry(client).or_default().busy = Some(id);
    }

    /// A request has ended. Returns its client if that waited for it.
    pub(crate) fn ended(&mut self, id: u64, expired: bool) -> Option<u64> {
        self.ended.push_back(id);
        let place = self.place(id)?;
        let request = self.requests.get(place)?.as_ref()?;
        let seat = self.seats.get_mut(&request.client).filter(|seat| seat.busy == Some(id))?;
        seat.busy = None;
        if expired {
            seat.session = None;
        }
        if let Some(Outcome::Done(Reply::Opened(session))) = request.outcome {
            (seat.session, seat.sequence) = (Some(session), 0);
        }
        Some(request.client)
    }

    /// The request, if it has not ended and `attempt` is its latest.
    pub(crate) fn current(&mut self, id: u64, attempt: u32) -> Option<&mut Request> {
        self.open(id).filter(|request| request.attempts == attempt)
    }

    pub(crate) fn open(&mut self, id: u64) -> Option<&mut Request> {
        self.get_mut(id).filter(|request| request.outcome.is_none())
    }
}

impl Request {
    /// The latest attempt was not answered, or by a store that holds no peer.
    pub(crate) fn not_answered(&mut self) {
        self.silent.push(self.target);
        self.since_silence = 0;
    }

    /// Once all others were asked and none of them knew better, whoever was silent may be asked
    /// again: perhaps it leads by now.
    fn end_round(&mut self, peers: u64) {
        let others = peers.saturating_sub(self.silent.len() as u64);
        if others > 0 && self.since_silence >= others {
            self.silent.clear();
        }
        self.since_silence += 1;
    }

    fn may_ask(&self, peer: u64) -> bool {
        !self.silent.contains(&peer)
    }

    /// The next peer in turn that has not been silent. If all have been, a new round begins.
    fn following(&mut self, peers: u64) -> u64 {
        let in_turn = |step| (self.target + step - 1) % peers + 1;
        let next = (1..=peers).map(in_turn).find(|&peer| self.may_ask(peer));
        next.unwrap_or_else(|| {
            let next = in_turn(1);
            self.silent.clear();
            next
        })
    }

    /// A peer took an attempt into its log: it may take effect.
    pub(crate) fn taken(&mut self) {
        self.maybe_taken = true;
    }

    pub(crate) fn end(&mut self, outcome: Outcome, now_us: u64) {
        self.ended_us = Some(now_us);
        self.outcome = Some(outcome);
    }

    /// How the request ends when nobody waits any longer.
    pub(crate) fn give_up(&mut self, now_us: u64) {
        let outcome = if self.maybe_taken {
            Outcome::Unknown
        } else {
            Outcome::Refused("no leader was found in time".into())
        };
        self.end(outcome, now_us);
    }

    /// The request as `peer` of `region` gets it.
    pub(crate) fn command(
        &self,
        region: &Region,
        peer: Peer,
        follower_reads: bool,
    ) -> RaftCmdRequest {
        if let Some(admin) = admin_of(&self.op, region) {
            return command::admin(region, peer, admin);
        }
        let requests = match &self.op {
            Op::Batch { ops } => ops.iter().map(request_of).collect(),
            op => vec![request_of(op)],
        };
        let mut command = command::command(region, peer, requests);
        if let (Some(header), true) = (&mut command.header, follower_reads) {
            header.replica_read = self.only.is_some();
        }
        match self.session {
            Some((client, sequence)) => command::in_session(command, client, sequence),
            None => command,
        }
    }

    /// What the client makes of an answer.
    pub(crate) fn read(&self, response: &RaftCmdResponse) -> Next {
        if let Some(error) = response.header.as_ref().and_then(|header| header.error.as_ref()) {
            return self.read_error(error);
        }
        if let Some(admin) = &response.admin_response {
            return Next::End(Outcome::Done(read_admin(admin)));
        }
        self.reply(response)
            .map_or(Next::Retry { hint: None }, |reply| Next::End(Outcome::Done(reply)))
    }

    /// The result in an answer without an error.
    pub(crate) fn reply(&self, response: &RaftCmdResponse) -> Option<Reply> {
        let replies: Option<Vec<_>> = response.responses.iter().map(read_reply).collect();
        match (&self.op, replies) {
            (Op::Batch { ops }, Some(replies)) if replies.len() == ops.len() => {
                Some(Reply::Batch(replies))
            }
            (Op::Batch { .. }, _) | (_, None) => None,
            (_, Some(replies)) => replies.into_iter().next(),
        }
    }

    fn read_error(&self, error: &errorpb::Error) -> Next {
        match &error.not_leader {
            // Who asks one peer only wants to hear what that one says.
            Some(_) if self.only.is_some() && !self.maybe_taken => {
                Next::End(Outcome::Refused(error.message.clone()))
            }
            Some(not_leader) => {
                Next::Retry { hint: not_leader.leader.map(|leader| leader.store_id) }
            }
            None if error.server_is_busy.is_some() => Next::Retry { hint: None },
            None if error.region_not_found.is_some() && self.only.is_none() => {
                Next::Retry { hint: None }
            }
            // It cannot take effect any more; whether it did, nobody can tell.
            None if error.session_expired.is_some() || error.stale_sequence.is_some() => {
                Next::End(if self.maybe_taken {
                    Outcome::Unknown
                } else {
                    Outcome::Refused(error.message.clone())
                })
            }
            // An earlier attempt may take effect all the same: this refusal does not end it.
            None if error.stale_command.is_some() || self.maybe_taken => Next::Retry { hint: None },
            None => Next::End(Outcome::Refused(error.message.clone())),
        }
    }
}

/// An administrative operation as the store knows it, for the region's present members; none if it
/// is another one.
///
/// A new peer's id is made from its store's number and the version of the members, which each change
/// raises: so it was never used before, and a retry means the same peer.
fn admin_of(op: &Op, region: &Region) -> Option<AdminRequest> {
    let version = region.region_epoch.unwrap_or_default().conf_ver;
    let on = |store: u64| region.peers.iter().find(|peer| peer.store_id == store).copied();
    let new = |store: u64| Peer { id: store + 10 * version, store_id: store, role: 0 };
    match op {
        Op::TransferLeader { to } => {
            Some(command::transfer_leader(on(*to).unwrap_or_else(|| new(*to))))
        }
        Op::Members { changes } => {
            let change = |change: &MemberChange| {
                let kind = match change.role {
                    Role::Voter => ConfChangeType::AddNode,
                    Role::Learner => ConfChangeType::AddLearnerNode,
                    Role::Gone => ConfChangeType::RemoveNode,
                };
                (kind, on(change.store).unwrap_or_else(|| new(change.store)))
            };
            Some(match changes.as_slice() {
                [only] => {
                    let (kind, peer) = change(only);
                    command::change_peer(kind, peer)
                }
                several => command::change_peers(several.iter().map(change)),
            })
        }
        _ => None,
    }
}

/// What became of an administrative operation.
fn read_admin(response: &AdminResponse) -> Reply {
    let region = response.change_peer.as_ref().and_then(|change| change.region.as_ref());
    region.map_or(Reply::Written, |region| {
        Reply::Members(region.peers.iter().map(|peer| peer.store_id).collect())
    })
}

/// One operation on keys as the store knows it.
fn request_of(op: &Op) -> StoreRequest {
    match op {
        Op::Put { key, value } => command::put("", key.clone(), value.clone()),
        Op::Get { key } => command::get("", key.clone()),
        Op::Delete { key } => command::delete("", key.clone()),
        Op::Scan { start, end, limit } => command::scan("", start.clone(), end.clone(), *limit),
        Op::DeleteRange { start, end } => command::delete_range("", start.clone(), end.clone()),
        Op::Cas { key, expected, new } => {
            let bytes = |value: &Option<String>| value.clone().map(Into::into);
            command::compare_and_swap("", key.clone(), bytes(expected), bytes(new))
        }
        Op::OpenSession => command::open_session(),
        // Batches of batches are refused before they get here, and the others are no requests.
        Op::Batch { .. } | Op::Members { .. } | Op::TransferLeader { .. } => {
            StoreRequest::default()
        }
    }
}

fn read_reply(response: &Response) -> Option<Reply> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(get) = &response.get {
        Some(Reply::Value((!get.not_found).then(|| text(&get.value))))
    } else if let Some(scan) = &response.scan {
        let pairs = scan.pairs.iter().map(|pair| (text(&pair.key), text(&pair.value)));
        Some(Reply::Pairs(pairs.collect()))
    } else if let Some(deleted) = &response.delete_range {
        Some(Reply::Deleted(deleted.deleted))
    } else if let Some(swap) = &response.compare_and_swap {
        let previous = (!swap.previous_absent).then(|| text(&swap.previous));
        Some(Reply::Swapped { done: swap.swapped, previous })
    } else if let Some(opened) = &response.open_session {
        Some(Reply::Opened(opened.client_id))
    } else {
        (response.put.is_some() || response.delete.is_some()).then_some(Reply::Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_kv::Error;

    fn clients() -> Clients {
        let mut clients = Clients::default();
        clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
        clients
    }

    #[test]
    fn attempts_go_to_the_hint_then_round_the_peers() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, None, 3, 0), Some((1, 1)));
        assert_eq!(clients.attempt(1, Some(3), 3, 0), Some((2, 3)));
        assert_eq!(clients.attempt(1, None, 3, 0), Some((3, 1)));
        clients.believe(1, Some(2));
        let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
        assert_eq!(clients.attempt(id, None, 3, 0), Some((1, 2)));
        assert_eq!(clients.attempt(id, None, 3, 0), Some((2, 3)), "it did not answer: try others");
    }

    #[test]
    fn a_hint_to_a_peer_that_did_not_answer_is_not_followed_before_the_others_were_asked() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((1, 1)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3, 0), Some((2, 2)));
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((3, 3)), "peer 2 believes in peer 1");
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3, 0), Some((4, 2)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((5, 3)), "all were silent: a new round");
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((6, 1)));
    }

    #[test]
    fn a_peer_that_was_silent_is_asked_again_when_all_others_say_that_it_leads() {
        let mut clients = clients();
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((1, 1)));
        clients.open(1).unwrap().not_answered();
        assert_eq!(clients.attempt(1, None, 3, 0), Some((2, 2)));
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((3, 3)));
        assert_eq!(clients.attempt(1, Some(1), 3, 0), Some((4, 1)), "it is back");
    }

    #[test]
    fn a_refusal_does_not_end_a_request_that_an_earlier_attempt_may_have_done() {
        let mut clients = clients();
        let refusal = Error::Invalid("no epoch").to_response(6);
        let read = |clients: &Clients| clients.get(1).unwrap().read(&refusal);
        assert!(matches!(read(&clients), Next::End(Outcome::Refused(_))));
        clients.open(1).unwrap().taken();
        assert_eq!(read(&clients), Next::Retry { hint: None });
    }

    #[test]
    fn a_pinned_request_never_goes_elsewhere_and_a_refusal_ends_it() {
        let mut clients = Clients::default();
        let id = clients.invoke(0, Op::Get { key: "k".into() }, Some(2), 0);
        assert_eq!(clients.attempt(id, Some(3), 3, 0), Some((1, 2)));
        let refusal = Error::NotLeader { region_id: 1, leader: None }.to_response(6);
        assert!(matches!(clients.get(id).unwrap().read(&refusal), Next::End(Outcome::Refused(_))));
    }

    #[test]
    fn an_unanswered_request_that_was_taken_has_an_unknown_outcome() {
        let mut clients = clients();
        clients.open(1).unwrap().taken();
        clients.open(1).unwrap().give_up(9);
        assert_eq!(clients.get(1).unwrap().outcome, Some(Outcome::Unknown));
        assert!(clients.open(1).is_none(), "an end is final");
    }

    #[test]
    fn memory_is_bounded_and_open_requests_are_kept() {
        let mut clients = clients();
        for _ in 0..2 * HISTORY_MAX {
            let id = clients.invoke(0, Op::Get { key: "k".into() }, None, 0);
            clients.open(id).unwrap().end(Outcome::Unknown, 1);
            clients.ended(id, false);
        }
        // The open one, those that have ended, and the one that has just done so.
        assert_eq!(clients.iter().count(), HISTORY_MAX + 2);
        assert!(clients.get(1).is_some() && clients.get(2).is_none());
    }
}
