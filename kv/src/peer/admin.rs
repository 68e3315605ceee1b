//! Membership, leadership, dropping the log.

use raft_core::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry};
use raft_core::proto::metapb::{Peer as Member, PeerRole};
use raft_core::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, AdminResponse, ChangePeerRequest, ChangePeerResponse,
    CompactLogResponse, RaftCmdRequest, RaftCmdResponse, TransferLeaderResponse,
};
use raft_core::{EntryId, Proposal, Storage, Tracer, conf_change_of};

use super::{Accepted, Answer, Peer, Token, Work};
use crate::error::{Error, Result};
use crate::region::check_epoch;
use crate::rules::overlong;

impl<T: Tracer> Peer<T> {
    pub(super) fn propose_admin(
        &mut self,
        request: &RaftCmdRequest,
        admin: &AdminRequest,
        token: Token,
    ) -> Result<Accepted> {
        match admin.cmd_type() {
            AdminCmdType::TransferLeader => self.transfer(admin, token),
            AdminCmdType::ChangePeer | AdminCmdType::ChangePeerV2 => {
                self.propose_membership(request, admin, token)
            }
            AdminCmdType::CompactLog | AdminCmdType::InvalidAdmin => {
                let data = self.encode(request)?;
                self.accept(|peer| peer.node.propose(data), token)
            }
        }
    }

    fn accept(
        &mut self,
        propose: impl FnOnce(&mut Self) -> raft_core::Result<Proposal>,
        token: Token,
    ) -> Result<Accepted> {
        match propose(self)? {
            Proposal::Appended { term, index } => Ok(self.wait_for(term, index, token)),
            Proposal::Forwarded { .. } => Err(self.not_leader()),
        }
    }

    /// Hands leadership over. That needs no log entry; the answer says that it is under way.
    fn transfer(&mut self, admin: &AdminRequest, token: Token) -> Result<Accepted> {
        let to = admin.transfer_leader.and_then(|transfer| transfer.peer);
        let to = to.ok_or(Error::Invalid("no peer to transfer to"))?;
        let member = self.member(to.id).ok_or(Error::Invalid("the peer is no member"))?;
        if member.role() == PeerRole::Learner {
            return Err(Error::Invalid("a learner cannot lead"));
        }
        self.node.transfer_leader(to.id)?;
        let response = self.admin_response(AdminResponse {
            cmd_type: AdminCmdType::TransferLeader.into(),
            transfer_leader: Some(TransferLeaderResponse {}),
            ..AdminResponse::default()
        });
        self.outbox.answers.push(Answer::new(token, response));
        Ok(Accepted::Answered)
    }

    fn admin_response(&self, response: AdminResponse) -> RaftCmdResponse {
        RaftCmdResponse { admin_response: Some(response.into()), ..self.response(Vec::new()) }
    }

    fn propose_membership(
        &mut self,
        request: &RaftCmdRequest,
        admin: &AdminRequest,
        token: Token,
    ) -> Result<Accepted> {
        let changes = changes_of(admin)?;
        self.check_changes(&changes)?;
        let costs_me_my_vote = |change: &ChangePeerRequest| {
            change.change_type() != ConfChangeType::AddNode
                && change.peer.is_some_and(|peer| peer.id == self.me.id)
        };
        if changes.iter().any(costs_me_my_vote) {
            return Err(self.lead_elsewhere_first(&changes)?);
        }
        let (log, term) = (self.raft().log(), self.raft().term());
        let committed_term = log.term(log.committed()).ok();
        if !(self.config.store_rules.may_change_members)(committed_term, term) {
            return Err(Error::Busy("nothing of this leader's term is committed yet"));
        }
        let single = |change: &ChangePeerRequest| ConfChangeSingle {
            change_type: change.change_type,
            node_id: change.peer.map(|peer| peer.id).unwrap_or_default(),
        };
        let change = ConfChangeV2 {
            changes: changes.iter().map(single).collect(),
            context: self.encode(request)?.into(),
            ..ConfChangeV2::default()
        };
        self.accept(|peer| peer.node.propose_conf_change(change), token)
    }

    /// A leader that is about to lose its vote first hands leadership to whoever has most of the
    /// log: with two members, the other one could never learn that the change is committed.
    fn lead_elsewhere_first(&mut self, changes: &[ChangePeerRequest]) -> Result<Error> {
        let stays =
            |id: u64| changes.iter().all(|change| change.peer.is_none_or(|peer| peer.id != id));
        let conf = self.storage().conf_state();
        let voters = conf.voters.iter().copied().filter(|&id| id != self.me.id && stays(id));
        let matched =
            |id: u64| self.raft().progress(id).map(|progress| progress.matched).unwrap_or_default();
        // Of several that have as much the first, so that every run does the same.
        let heir = voters.max_by_key(|&id| (matched(id), std::cmp::Reverse(id)));
        let heir = heir.ok_or(Error::Invalid("nobody is left to lead"))?;
        self.node.transfer_leader(heir)?;
        Ok(Error::NotLeader { region_id: self.region().id, leader: self.member(heir) })
    }

    fn check_changes(&self, changes: &[ChangePeerRequest]) -> Result<()> {
        if changes.is_empty() {
            return Err(Error::Invalid("no change"));
        }
        for (position, change) in changes.iter().enumerate() {
            let peer = change.peer.ok_or(Error::Invalid("a change without a peer"))?;
            let twice = |other: &ChangePeerRequest| {
                other.peer.is_some_and(|p| p.id == peer.id || p.store_id == peer.store_id)
            };
            if changes[..position].iter().any(twice) {
                return Err(Error::Invalid("two changes of one peer or store"));
            }
            self.check_change(change, &peer)?;
        }
        Ok(())
    }

    fn check_change(&self, change: &ChangePeerRequest, peer: &Member) -> Result<()> {
        if peer.id == 0 || peer.store_id == 0 {
            return Err(Error::Invalid("peers and stores count from 1"));
        }
        let member = self.member(peer.id);
        if member.is_some_and(|member| member.store_id != peer.store_id) {
            return Err(Error::Invalid("the peer is on another store"));
        }
        let occupied = |other: &Member| other.store_id == peer.store_id && other.id != peer.id;
        if change.change_type() != ConfChangeType::RemoveNode
            && self.region().peers.iter().any(occupied)
        {
            return Err(Error::Invalid("the store has another peer of the region"));
        }
        match (change.change_type(), member.map(|member| member.role())) {
            (ConfChangeType::RemoveNode, None) => Err(Error::Invalid("the peer is no member")),
            (ConfChangeType::AddNode, Some(PeerRole::Voter)) => {
                Err(Error::Invalid("the peer votes already"))
            }
            (ConfChangeType::AddLearnerNode, Some(PeerRole::Learner)) => {
                Err(Error::Invalid("the peer is a learner already"))
            }
            _ => Ok(()),
        }
    }

    /// Applies a membership change. One that was made for other members, or that the core cannot
    /// apply to them, changes nothing.
    pub(super) fn apply_membership(
        &mut self,
        entry: &Entry,
        work: &mut Work,
    ) -> Result<RaftCmdResponse> {
        let unknown = |error| {
            Error::Inconsistent(format!("membership change {}: {error}", EntryId::of(entry)))
        };
        let change = conf_change_of(entry).map_err(unknown)?.unwrap_or_default();
        let request: RaftCmdRequest = prost::Message::decode(change.context.clone())
            .map_err(|error| Error::corrupt(b"membership change", &error))?;
        let known = self.recheck(&request)?;
        let conf_state = self.node.apply_conf_change(&change)?;
        let changes = change.changes.len().max(1) as u64;
        let batch = &mut work.batches.kv;
        self.node.store_mut().set_members(conf_state, &known, changes, batch);
        // Whoever says that it knows of the change must still know after a crash.
        work.must_sync = true;
        self.changed_at = entry.index;
        self.now_member();
        self.forget_strangers();
        Ok(self.admin_response(AdminResponse {
            cmd_type: AdminCmdType::ChangePeer.into(),
            change_peer: Some(ChangePeerResponse { region: Some(self.region().clone()) }),
            ..AdminResponse::default()
        }))
    }

    /// The peers that a change names, if it was made for the members as they are. The core's own
    /// end of a joint configuration comes without a request and always fits.
    fn recheck(&self, request: &RaftCmdRequest) -> Result<Vec<Member>> {
        let Some(admin) = &request.admin_request else {
            return Ok(Vec::new());
        };
        let epoch = request.header.as_ref().and_then(|header| header.region_epoch.as_ref());
        check_epoch(epoch, Some(admin.cmd_type()), self.region())?;
        let changes = changes_of(admin)?;
        self.check_changes(&changes)?;
        Ok(changes.iter().filter_map(|change| change.peer).collect())
    }

    /// Transfers to peers that are members no longer end.
    fn forget_strangers(&mut self) {
        let storage = self.node.store_mut();
        self.senders.retain(|sender| {
            let member = storage.member(sender.to.id).is_some();
            if !member {
                storage.close_view(sender.view);
            }
            member
        });
        self.acquaintances.clear();
        self.known_commits.retain(|id, _| storage.member(*id).is_some());
    }

    /// Drops the log up to what the command says, if that is applied and in the log.
    pub(super) fn apply_compaction(
        &mut self,
        admin: &AdminRequest,
        index: u64,
        work: &mut Work,
    ) -> RaftCmdResponse {
        if let Some(compact) = admin.compact_log {
            let to = EntryId::new(compact.compact_term, compact.compact_index);
            // This very entry is the last one that is applied.
            if to.index < index {
                self.node.store_mut().compact(to, &mut work.batches);
            }
        }
        self.admin_response(AdminResponse {
            cmd_type: AdminCmdType::CompactLog.into(),
            compact_log: Some(CompactLogResponse {}),
            ..AdminResponse::default()
        })
    }

    /// Whoever follows drops the beginning of its log without being told to, if it is too long.
    /// Belongs into the batch that records what is applied.
    pub(super) fn shorten_log(&mut self, applied: u64, work: &mut Work) -> Result<()> {
        let (gc, storage) = (self.config.log_gc, self.storage());
        let to = overlong(storage.truncated().index, applied, gc.count_limit);
        if let Some(to) = to.filter(|_| gc.tick_interval > 0 && !self.is_leader()) {
            let to = EntryId::new(storage.term(to)?, to);
            self.node.store_mut().compact(to, &mut work.batches);
        }
        Ok(())
    }

    /// A leader looks whether the log is long enough to drop its beginning (TinyKV
    /// `onRaftGCLogTick`).
    pub(super) fn collect_log_garbage(&mut self) -> Result<()> {
        let gc = self.config.log_gc;
        if gc.tick_interval == 0
            || !self.ticks.is_multiple_of(gc.tick_interval)
            || !self.is_leader()
        {
            return Ok(());
        }
        let (storage, last) = (self.storage(), self.compaction);
        // One at a time: each is an entry itself, and would soon be reason for the next.
        if last.term == self.raft().term() && last.index > storage.applied_index() {
            return Ok(());
        }
        let (first, applied) = (storage.truncated().index + 1, storage.applied_index());
        let to = (self.config.store_rules.compact_to)(first, applied, gc.count_limit);
        let Some(to) = to else { return Ok(()) };
        let term = storage.term(to)?;
        let request = RaftCmdRequest {
            admin_request: Some(crate::command::compact_log(to, term).into()),
            ..RaftCmdRequest::default()
        };
        // Nobody waits for it. If it cannot be proposed now, the next look will try again.
        if let Ok(Proposal::Appended { term, index }) =
            self.node.propose(prost::Message::encode_to_vec(&request))
        {
            self.compaction = EntryId::new(term, index);
        }
        Ok(())
    }
}

/// The changes of an administrative request.
fn changes_of(admin: &AdminRequest) -> Result<Vec<ChangePeerRequest>> {
    let changes = match admin.cmd_type() {
        AdminCmdType::ChangePeer => admin.change_peer.map(|change| vec![change]),
        AdminCmdType::ChangePeerV2 => admin.change_peer_v2.clone().map(|changes| changes.changes),
        _ => None,
    };
    changes.ok_or(Error::Invalid("the request's body is missing"))
}
