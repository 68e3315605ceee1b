//! A node of `raft-core`. All that this harness knows of its interface stands in this file.

use bytes::Bytes;
use prost::Message as _;
use raft_core::eraftpb::{ConfChange, ConfChangeV2, Message, MessageType};
use raft_core::{
    Appends, ConfChangeError, Config, Error, RawNode, Ready, SelfAck, SnapshotStatus, StateRole,
};

use crate::disk::Disk;
use crate::peer::{Change, Fatal, Peer, Role, View, Work};
use crate::plan::NodePlan;
use crate::rng::mix;

pub(crate) struct Ours {
    node: RawNode<Disk>,
    pipelined: bool,
    /// Handed out and not persisted yet, of a node that is not pipelined.
    ready: Option<Ready>,
}

impl Ours {
    /// Starts or restarts a node from its disk.
    pub(crate) fn start(plan: &NodePlan, incarnation: u64, disk: Disk) -> Result<Self, Fatal> {
        let at_once = plan.own_ack_at_once && !plan.pipelined;
        let config = Config {
            election_tick: plan.election_tick,
            heartbeat_tick: plan.heartbeat_tick,
            applied: disk.checkpoint().index,
            seed: mix(plan.seed, incarnation),
            pre_vote: plan.pre_vote,
            check_quorum: plan.check_quorum,
            max_size_per_msg: plan.max_size_per_msg,
            max_inflight_msgs: plan.max_inflight_msgs,
            max_inflight_bytes: match plan.max_inflight_bytes {
                0 => 0,
                bytes => bytes.max(plan.max_size_per_msg),
            },
            max_uncommitted_size: plan.max_uncommitted_size,
            max_committed_size_per_ready: plan.max_committed_size,
            broadcast_commit: plan.broadcast_commit,
            step_down_on_removal: plan.step_down_on_removal,
            priority: plan.priority,
            share_commit: plan.share_commit,
            self_ack: if at_once { SelfAck::OnAppend } else { SelfAck::OnPersist },
            async_persist: plan.pipelined,
            rules: plan.rules.clone(),
            appends: if plan.eager_appends { Appends::Eager } else { Appends::Coalesced },
            ..Config::new(plan.id)
        };
        let node = RawNode::new(&config, disk).map_err(fatal)?;
        Ok(Self { node, pipelined: plan.pipelined, ready: None })
    }
}

fn fatal(error: impl Into<Error>) -> Fatal {
    format!("ours: {}", error.into())
}

/// Errors that a sound cluster may cause; all others are failures.
fn tolerate<T>(result: Result<T, Error>) -> Result<Option<T>, Fatal> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            Error::ProposalDropped(_)
            | Error::ReadDropped(_)
            | Error::SnapshotRequestDropped(_)
            | Error::StepPeerNotFound(_)
            | Error::ConfChange(_),
        ) => Ok(None),
        Err(error) => Err(fatal(error)),
    }
}

fn encode(messages: impl IntoIterator<Item = Message>) -> Vec<Bytes> {
    messages.into_iter().map(|message| message.encode_to_vec().into()).collect()
}

impl Peer for Ours {
    fn tick(&mut self) -> Result<(), Fatal> {
        self.node.tick().map_err(fatal)
    }

    fn step(&mut self, message: &Bytes) -> Result<(), Fatal> {
        let message = Message::decode(message.clone()).map_err(|error| error.to_string())?;
        tolerate(self.node.step(message)).map(drop)
    }

    fn campaign(&mut self) -> Result<(), Fatal> {
        tolerate(self.node.campaign()).map(drop)
    }

    fn propose(&mut self, data: Bytes, context: Bytes) -> Result<bool, Fatal> {
        Ok(tolerate(self.node.propose_with_context(data, context))?.is_some())
    }

    fn propose_change(&mut self, change: &ConfChangeV2, v1: bool) -> Result<bool, Fatal> {
        let result = match change.changes.as_slice() {
            [single] if v1 => self.node.propose_conf_change(ConfChange {
                id: 0,
                change_type: single.change_type,
                node_id: single.node_id,
                context: change.context.clone(),
            }),
            _ => self.node.propose_conf_change(change.clone()),
        };
        Ok(tolerate(result)?.is_some())
    }

    fn apply_change(&mut self, _: u64, change: &ConfChangeV2) -> Result<Change, Fatal> {
        match self.node.apply_conf_change(change) {
            Ok(members) => Ok(Change::Made(members)),
            Err(Error::ConfChange(ConfChangeError::Superseded(_))) => Ok(Change::Superseded),
            Err(Error::ConfChange(_)) => Ok(Change::Refused),
            Err(error) => Err(fatal(error)),
        }
    }

    fn read_index(&mut self, context: Bytes) -> Result<(), Fatal> {
        tolerate(self.node.read_index(context)).map(drop)
    }

    fn transfer_leader(&mut self, to: u64) -> Result<(), Fatal> {
        tolerate(self.node.transfer_leader(to)).map(drop)
    }

    fn request_snapshot(&mut self) -> Result<(), Fatal> {
        tolerate(self.node.request_snapshot()).map(drop)
    }

    fn forget_priority(&mut self) {
        self.node.set_priority(0);
    }

    fn report_unreachable(&mut self, id: u64) {
        self.node.report_unreachable(id);
    }

    fn report_snapshot(&mut self, id: u64, arrived: bool) {
        let status = if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.node.report_snapshot(id, status);
    }

    fn has_work(&self) -> bool {
        self.ready.is_none() && self.node.has_ready()
    }

    fn work(&mut self) -> Result<Work, Fatal> {
        let mut ready = self.node.ready().map_err(fatal)?;
        let messages = encode(ready.messages.drain(..));
        let (now, later) =
            if self.pipelined { (messages, Vec::new()) } else { (Vec::new(), messages) };
        let work = Work {
            number: ready.number,
            hard_state: ready.hard_state,
            snapshot: ready.snapshot.take().map(|snapshot| *snapshot),
            entries: ready.entries.clone(),
            committed: ready.committed_entries.clone(),
            reads: ready.read_states.drain(..).map(|read| (read.context, read.index)).collect(),
            now,
            later,
        };
        self.ready = (!self.pipelined).then_some(ready);
        Ok(work)
    }

    fn persisted(&mut self, number: u64) -> Result<Work, Fatal> {
        if self.pipelined {
            let messages = self.node.on_persisted(number).map_err(fatal)?;
            return Ok(Work { now: encode(messages), ..Work::default() });
        }
        if let Some(ready) = self.ready.take() {
            self.node.advance(ready).map_err(fatal)?;
        }
        Ok(Work::default())
    }

    fn applied(&mut self, index: u64) -> Result<(), Fatal> {
        if self.pipelined { self.node.on_applied(index).map_err(fatal) } else { Ok(()) }
    }

    fn view(&self) -> View {
        let raft = self.node.raft();
        View {
            term: raft.term(),
            vote: raft.vote(),
            role: match raft.role() {
                StateRole::Follower => Role::Follower,
                StateRole::PreCandidate => Role::PreCandidate,
                StateRole::Candidate => Role::Candidate,
                StateRole::Leader => Role::Leader,
            },
            leader: raft.leader(),
            committed: raft.log().committed(),
            last: raft.log().last_index(),
        }
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        self.node.raft().log().term(index).ok()
    }

    fn hears_while_busy(&self) -> bool {
        true
    }

    fn applies_first(&self) -> bool {
        true
    }

    fn disk(&self) -> &Disk {
        self.node.store()
    }

    fn disk_mut(&mut self) -> &mut Disk {
        self.node.store_mut()
    }

    fn into_disk(mut self: Box<Self>) -> Disk {
        std::mem::take(self.node.store_mut())
    }
}

/// What an encoded message says about itself, for the network.
pub(crate) fn decode(bytes: &Bytes) -> Result<Message, Fatal> {
    Message::decode(bytes.clone()).map_err(|error| format!("a message does not decode: {error}"))
}

/// The type of a message; none for a number outside the schema.
pub(crate) fn kind(message: &Message) -> Option<MessageType> {
    MessageType::try_from(message.msg_type).ok()
}
