//! Requests: checks in TinyKV's order, then the log or a read index.

use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::{AdminCmdType, AdminRequest, RaftCmdRequest, Request};
use raft_core::{EntryId, NONE, Proposal, Tracer};

use super::{Peer, ReadPolicy, Token};
use crate::apply::{Op, check_requests};
use crate::error::{Error, Result};
use crate::region::check_epoch;

/// Election time-outs after which a read that was not answered is given up. A follower's question
/// to the leader may have been lost.
const READ_TIMEOUTS: u64 = 4;

/// What a request that was not refused waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// For this entry to be applied.
    Entry(EntryId),
    /// For a read index.
    Read,
    /// For nothing: its answer is in the [`Outbox`](super::Outbox).
    Answered,
}

impl<T: Tracer> Peer<T> {
    /// Takes a command. Its answer carries `token` and comes with a later
    /// [`Work`](super::Work) or [`Outbox`](super::Outbox); exactly one, unless the peer crashes.
    ///
    /// # Errors
    /// Why it is refused, in TinyKV's order of checks; it has no effect and gets no other answer.
    pub fn propose(&mut self, request: &RaftCmdRequest, token: Token) -> Result<Accepted> {
        if self.is_doomed() || self.is_destroyed() {
            // It may still lead while its last write is under way, and would never answer.
            return Err(Error::RegionNotFound(self.region().id));
        }
        let read = self.check_command(request)?;
        if let Some(admin) = &request.admin_request {
            return self.propose_admin(request, admin, token);
        }
        let through_log = request.header.as_ref().is_some_and(|header| header.through_log);
        if read && !through_log && self.config.reads != ReadPolicy::Log {
            return self.ask_read_index(&request.requests, token);
        }
        if !self.is_leader() {
            return Err(self.not_leader());
        }
        let data = self.encode(request)?;
        match self.node.propose(data)? {
            Proposal::Appended { term, index } => Ok(self.wait_for(term, index, token)),
            Proposal::Forwarded { .. } => Err(self.not_leader()),
        }
    }

    pub(super) fn wait_for(&mut self, term: u64, index: u64, token: Token) -> Accepted {
        let id = EntryId::new(term, index);
        self.proposals.push(id, token);
        Accepted::Entry(id)
    }

    pub(super) fn encode(&self, request: &RaftCmdRequest) -> Result<Vec<u8>> {
        let (bytes, max) = (prost::Message::encoded_len(request), self.config.max_command_bytes);
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        Ok(prost::Message::encode_to_vec(request))
    }

    fn ask_read_index(&mut self, requests: &[Request], token: Token) -> Result<Accepted> {
        let context = self.reads.next_context();
        self.node.read_index(context)?;
        let patience = READ_TIMEOUTS * u64::from(self.config.election_tick);
        self.reads.push(token, requests.to_vec(), self.ticks + patience);
        Ok(Accepted::Read)
    }

    /// Returns whether the command only reads.
    fn check_command(&self, request: &RaftCmdRequest) -> Result<bool> {
        let header = request.header.as_ref().ok_or(Error::Invalid("no header"))?;
        // TinyKV's router looks for the region's peer before that looks at the request.
        if header.region_id != self.region().id {
            return Err(Error::RegionNotFound(header.region_id));
        }
        let peer = header.peer.ok_or(Error::Invalid("no peer"))?;
        if peer.store_id != self.me.store_id {
            let (request, actual) = (peer.store_id, self.me.store_id);
            return Err(Error::StoreNotMatch { request, actual });
        }
        let read = only_reads(request);
        if !(self.is_leader() || read && header.replica_read) {
            return Err(self.not_leader());
        }
        if peer.id != self.me.id {
            return Err(Error::PeerNotMatch { request: peer.id, actual: self.me.id });
        }
        // One term of grace: the client may have heard of the election before this peer knew.
        if header.term != 0 && self.raft().term() > header.term.saturating_add(1) {
            return Err(Error::StaleCommand);
        }
        let admin = request.admin_request.as_deref().map(AdminRequest::cmd_type);
        check_epoch(header.region_epoch.as_ref(), admin, self.region())?;
        match admin {
            None => check_requests(request, self.region())?,
            Some(_) if !request.requests.is_empty() || request.session.is_some() => {
                return Err(Error::Invalid("an administrative request stands alone"));
            }
            Some(AdminCmdType::InvalidAdmin) => {
                return Err(Error::Invalid("unknown administrative request"));
            }
            Some(_) => {}
        }
        Ok(read)
    }

    pub(super) fn not_leader(&self) -> Error {
        let leader = Some(self.raft().leader()).filter(|&leader| leader != NONE);
        let known = |id| self.member(id).or_else(|| self.acquaintances.get(&id).copied());
        let leader: Option<metapb::Peer> = leader.and_then(known);
        Error::NotLeader { region_id: self.region().id, leader }
    }
}

/// Whether a command reads and does nothing else. One of a session is a write: the session
/// remembers it.
fn only_reads(request: &RaftCmdRequest) -> bool {
    let reads = |request| Op::of(request).is_ok_and(|op| op.is_read());
    request.session.is_none() && !request.requests.is_empty() && request.requests.iter().all(reads)
}
