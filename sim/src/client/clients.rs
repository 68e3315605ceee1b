//! All clients and their requests: whose turn it is, and which are remembered.

use std::collections::{BTreeMap, VecDeque};

use super::{Outcome, Reply, Request};
use crate::scenario::Op;

/// Finished requests that are remembered.
pub(super) const HISTORY_MAX: usize = 1_000;

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
        let request = Request::new(self.next_id, client, op, only, target, now_us);
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
