//! A node of the crate `raft` 0.7. All that this harness knows of its interface stands in this
//! file.

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb as pb;
use raft::{Error, RawNode, Ready, SnapshotStatus, StateRole};
use raft_core::eraftpb::{ConfChangeV2, ConfState, Entry, HardState, Snapshot, SnapshotMetadata};

use crate::disk::Disk;
use crate::peer::{Change, Fatal, Peer, Role, View, Work};
use crate::plan::NodePlan;
use crate::rng::Rng;

/// A time-out that the crate draws itself lies far above this, so that one can tell that it drew.
const LONGEST_TIMEOUT: usize = usize::MAX / 2;

pub(crate) struct Theirs {
    node: RawNode<Disk>,
    pipelined: bool,
    /// Handed out and not persisted yet, of a node that is not pipelined.
    ready: Option<Ready>,
    /// Time-outs come from here: the crate asks the operating system for its own.
    rng: Rng,
    timeout: usize,
    election_tick: u64,
}

impl Theirs {
    /// Starts or restarts a node from its disk.
    pub(crate) fn start(plan: &NodePlan, incarnation: u64, disk: Disk) -> Result<Self, Fatal> {
        let size = |bytes: u64| if bytes == 0 { raft::NO_LIMIT } else { bytes };
        let config = raft::Config {
            id: plan.id,
            election_tick: index(plan.election_tick.into()),
            heartbeat_tick: index(plan.heartbeat_tick.into()),
            applied: disk.checkpoint().index,
            max_size_per_msg: plan.max_size_per_msg,
            max_inflight_msgs: index(plan.max_inflight_msgs.into()),
            check_quorum: plan.check_quorum,
            pre_vote: plan.pre_vote,
            max_election_tick: LONGEST_TIMEOUT,
            skip_bcast_commit: !plan.broadcast_commit,
            // Not `batch_append`: it joins entries to an empty append that stands elsewhere in the
            // log, which tests/known_failures_of_raft_rs.rs shows.
            priority: plan.priority,
            max_uncommitted_size: size(plan.max_uncommitted_size),
            max_committed_size_per_ready: size(plan.max_committed_size),
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, disk, &logger).map_err(|error| fatal(&error))?;
        let mut peer = Self {
            node,
            pipelined: plan.pipelined,
            ready: None,
            rng: Rng::of(plan.seed, plan.id << 32 | incarnation),
            timeout: 0,
            election_tick: plan.election_tick.into(),
        };
        peer.settle_timeout();
        Ok(peer)
    }

    /// Replaces a time-out that the crate has just drawn by one of the seed.
    fn settle_timeout(&mut self) {
        if self.node.raft.randomized_election_timeout() != self.timeout {
            let ticks = self.rng.between(self.election_tick, 2 * self.election_tick - 1);
            self.timeout = index(ticks);
            self.node.raft.set_randomized_election_timeout(self.timeout);
        }
    }

    fn tolerate(&mut self, result: Result<(), Error>) -> Result<bool, Fatal> {
        self.settle_timeout();
        match result {
            Ok(()) => Ok(true),
            Err(Error::ProposalDropped | Error::StepPeerNotFound) => Ok(false),
            Err(error) => Err(fatal(&error)),
        }
    }
}

fn fatal(error: &Error) -> Fatal {
    format!("theirs: {error}")
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Peer for Theirs {
    fn tick(&mut self) -> Result<(), Fatal> {
        self.node.tick();
        self.settle_timeout();
        Ok(())
    }

    fn step(&mut self, message: &Bytes) -> Result<(), Fatal> {
        let message = pb::Message::parse_from_carllerche_bytes(message)
            .map_err(|error| format!("theirs cannot decode a message: {error}"))?;
        let result = self.node.step(message);
        self.tolerate(result).map(drop)
    }

    fn campaign(&mut self) -> Result<(), Fatal> {
        // A learner would become a candidate, which tests/known_failures_of_raft_rs.rs shows.
        if !self.node.raft.promotable() {
            return Ok(());
        }
        let result = self.node.campaign();
        self.tolerate(result).map(drop)
    }

    fn propose(&mut self, data: Bytes, context: Bytes) -> Result<bool, Fatal> {
        let result = self.node.propose(context.to_vec(), data.to_vec());
        self.tolerate(result)
    }

    fn propose_change(&mut self, change: &ConfChangeV2, v1: bool) -> Result<bool, Fatal> {
        let result = match change.changes.as_slice() {
            [single] if v1 => {
                let mut old = pb::ConfChange::default();
                old.set_change_type(change_type(single.change_type));
                old.node_id = single.node_id;
                old.context = change.context.clone();
                self.node.propose_conf_change(Vec::new(), old)
            }
            _ => self.node.propose_conf_change(Vec::new(), their_change(change)),
        };
        self.tolerate(result)
    }

    fn apply_change(&mut self, index: u64, change: &ConfChangeV2) -> Result<Change, Fatal> {
        if self.node.snap().is_some_and(|snapshot| snapshot.get_metadata().index >= index) {
            return Ok(Change::Superseded);
        }
        let Ok(members) = self.node.apply_conf_change(&their_change(change)) else {
            return Ok(Change::Refused);
        };
        // A leader that is no member panics when it commits its next entry, and one that is no
        // voter serves stale reads: the application must not leave it in office.
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Leader && !raft.promotable() {
            let term = raft.term;
            raft.become_follower(term, raft::INVALID_ID);
        }
        self.settle_timeout();
        Ok(Change::Made(our_members(&members)))
    }

    fn read_index(&mut self, context: Bytes) -> Result<(), Fatal> {
        self.node.read_index(context.to_vec());
        Ok(())
    }

    fn transfer_leader(&mut self, to: u64) -> Result<(), Fatal> {
        self.node.transfer_leader(to);
        self.settle_timeout();
        Ok(())
    }

    fn request_snapshot(&mut self) -> Result<(), Fatal> {
        // An older snapshot that is under way would cut off what this node has acknowledged, which
        // tests/known_failures_of_raft_rs.rs shows.
        Ok(())
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
        let mut ready = self.node.ready();
        let work = Work {
            number: ready.number(),
            hard_state: ready.hs().map(our_hard_state),
            snapshot: (!ready.snapshot().is_empty()).then(|| our_snapshot(ready.snapshot())),
            entries: ready.take_entries().into_iter().map(our_entry).collect(),
            committed: ready.take_committed_entries().into_iter().map(our_entry).collect(),
            reads: reads(ready.take_read_states()),
            now: encode(ready.take_messages())?,
            later: encode(ready.take_persisted_messages())?,
        };
        if self.pipelined {
            self.node.advance_append_async(ready);
        } else {
            self.ready = Some(ready);
        }
        Ok(work)
    }

    fn persisted(&mut self, number: u64) -> Result<Work, Fatal> {
        if self.pipelined {
            self.node.on_persist_ready(number);
            return Ok(Work::default());
        }
        let Some(ready) = self.ready.take() else {
            return Ok(Work::default());
        };
        let mut light = self.node.advance_append(ready);
        let hard_state = self.node.raft.hard_state();
        Ok(Work {
            number,
            hard_state: light.commit_index().is_some().then(|| our_hard_state(&hard_state)),
            committed: light.take_committed_entries().into_iter().map(our_entry).collect(),
            now: encode(light.take_messages())?,
            ..Work::default()
        })
    }

    fn applied(&mut self, index: u64) -> Result<(), Fatal> {
        self.node.advance_apply_to(index);
        Ok(())
    }

    fn view(&self) -> View {
        let raft = &self.node.raft;
        View {
            term: raft.term,
            vote: raft.vote,
            role: match raft.state {
                StateRole::Follower => Role::Follower,
                StateRole::PreCandidate => Role::PreCandidate,
                StateRole::Candidate => Role::Candidate,
                StateRole::Leader => Role::Leader,
            },
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            last: raft.raft_log.last_index(),
        }
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        let log = &self.node.raft.raft_log;
        let known = (log.first_index() - 1..=log.last_index()).contains(&index);
        known.then(|| log.term(index).ok()).flatten()
    }

    fn hears_while_busy(&self) -> bool {
        self.pipelined
    }

    fn applies_first(&self) -> bool {
        false
    }

    fn disk(&self) -> &Disk {
        self.node.store()
    }

    fn disk_mut(&mut self) -> &mut Disk {
        self.node.mut_store()
    }

    fn into_disk(mut self: Box<Self>) -> Disk {
        std::mem::take(self.node.mut_store())
    }
}

impl raft::Storage for Disk {
    fn initial_state(&self) -> raft::Result<raft::RaftState> {
        Ok(raft::RaftState {
            hard_state: their_hard_state(self.hard_state()),
            conf_state: their_members(&self.checkpoint().members),
        })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: raft::GetEntriesContext,
    ) -> raft::Result<Vec<pb::Entry>> {
        let range = self.slice(low, high).map_err(storage_error)?;
        let mut entries: Vec<_> = range.iter().map(their_entry).collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_at(index).map_err(storage_error)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.truncated().index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _: u64) -> raft::Result<pb::Snapshot> {
        let unavailable = raft::StorageError::SnapshotTemporarilyUnavailable;
        let snapshot = self.make_snapshot(request_index).ok_or(Error::Store(unavailable))?;
        Ok(their_snapshot(&snapshot))
    }
}

fn storage_error(error: raft_core::StorageError) -> Error {
    Error::Store(match error {
        raft_core::StorageError::Compacted => raft::StorageError::Compacted,
        _ => raft::StorageError::Unavailable,
    })
}

fn encode(messages: Vec<pb::Message>) -> Result<Vec<Bytes>, Fatal> {
    let encode = |message: pb::Message| message.write_to_bytes().map(Bytes::from);
    messages.into_iter().map(encode).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn reads(states: Vec<raft::ReadState>) -> Vec<(Bytes, u64)> {
    states.into_iter().map(|state| (state.request_ctx.into(), state.index)).collect()
}

fn our_entry(entry: pb::Entry) -> Entry {
    Entry {
        entry_type: protobuf::ProtobufEnum::value(&entry.entry_type),
        term: entry.term,
        index: entry.index,
        data: entry.data,
        sync_log: entry.sync_log,
        context: entry.context,
    }
}

fn their_entry(entry: &Entry) -> pb::Entry {
    let mut theirs = pb::Entry::default();
    theirs.set_entry_type(protobuf::ProtobufEnum::from_i32(entry.entry_type).unwrap_or_default());
    (theirs.term, theirs.index) = (entry.term, entry.index);
    (theirs.data, theirs.context) = (entry.data.clone(), entry.context.clone());
    theirs.sync_log = entry.sync_log;
    theirs
}

fn our_hard_state(state: &pb::HardState) -> HardState {
    HardState { term: state.term, vote: state.vote, commit: state.commit }
}

fn their_hard_state(state: HardState) -> pb::HardState {
    let mut theirs = pb::HardState::default();
    (theirs.term, theirs.vote, theirs.commit) = (state.term, state.vote, state.commit);
    theirs
}

fn our_members(members: &pb::ConfState) -> ConfState {
    ConfState {
        voters: members.voters.clone(),
        learners: members.learners.clone(),
        voters_outgoing: members.voters_outgoing.clone(),
        learners_next: members.learners_next.clone(),
        auto_leave: members.auto_leave,
    }
}

fn their_members(members: &ConfState) -> pb::ConfState {
    pb::ConfState {
        voters: members.voters.clone(),
        learners: members.learners.clone(),
        voters_outgoing: members.voters_outgoing.clone(),
        learners_next: members.learners_next.clone(),
        auto_leave: members.auto_leave,
        ..pb::ConfState::default()
    }
}

fn our_snapshot(snapshot: &pb::Snapshot) -> Snapshot {
    let metadata = snapshot.get_metadata();
    let conf_state = Some(our_members(metadata.get_conf_state()));
    let metadata = SnapshotMetadata { conf_state, index: metadata.index, term: metadata.term };
    Snapshot { data: snapshot.data.clone(), metadata: Some(metadata) }
}

fn their_snapshot(snapshot: &Snapshot) -> pb::Snapshot {
    let mut theirs = pb::Snapshot { data: snapshot.data.clone(), ..pb::Snapshot::default() };
    if let Some(metadata) = &snapshot.metadata {
        let into = theirs.mut_metadata();
        (into.index, into.term) = (metadata.index, metadata.term);
        if let Some(members) = &metadata.conf_state {
            into.set_conf_state(their_members(members));
        }
    }
    theirs
}

fn change_type(number: i32) -> pb::ConfChangeType {
    protobuf::ProtobufEnum::from_i32(number).unwrap_or_default()
}

fn their_change(change: &ConfChangeV2) -> pb::ConfChangeV2 {
    let mut theirs = pb::ConfChangeV2::default();
    let transition = protobuf::ProtobufEnum::from_i32(change.transition);
    theirs.set_transition(transition.unwrap_or_default());
    theirs.context = change.context.clone();
    for single in &change.changes {
        let mut into = pb::ConfChangeSingle::default();
        into.set_change_type(change_type(single.change_type));
        into.node_id = single.node_id;
        theirs.mut_changes().push(into);
    }
    theirs
}
