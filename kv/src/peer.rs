//! One replica of a region (TinyKV `peer` and `peerMsgHandler`).

use raft_core::eraftpb::Entry;
use raft_core::proto::metapb::{self, Region};
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, RaftResponseHeader};
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_core::{
    Config, EntryId, NONE, Proposal, Raft, RawNode, Ready, Rules, SelfAck, SoftState, StateRole,
    Status, Tracer, eraftpb::EntryType,
};

use crate::apply::{check_request, execute};
use crate::engine::{Batches, Engines};
use crate::error::{Error, Result};
use crate::peer_storage::PeerStorage;
use crate::proposals::Proposals;
use crate::region::check_epoch;

/// Names a request, so that its answer finds the way back. Chosen by the driver; the peer never
/// looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The answer to a request that was proposed. Each proposal gets exactly one, unless the peer
/// crashes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The request.
    pub token: Token,
    /// What became of it.
    pub response: RaftCmdResponse,
}

/// Settings of a peer.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Who it is; a member of the region.
    pub peer: metapb::Peer,
    /// The region it replicates.
    pub region_id: u64,
    /// Ticks without a leader before it campaigns.
    pub election_tick: u32,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_tick: u32,
    /// Seed of its randomness.
    pub seed: u64,
    /// The rules it follows.
    pub rules: Rules,
}

/// What the driver has to do next; see the [crate's front page](crate) for the order.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Pass it to [`Peer::persisted`].
    pub number: u64,
    /// To be made durable as one unit before anything else of this work is done.
    pub batches: Batches,
    /// Whether the batches must be flushed before messages leave.
    pub must_sync: bool,
    /// To be sent once the batches are durable.
    pub messages: Vec<RaftMessage>,
    /// To be delivered once the batches are durable.
    pub answers: Vec<Answer>,
    /// Entries that were applied, for those who watch.
    pub applied: Vec<Entry>,
    /// Entries that were appended to the log, for those who watch.
    pub appended: Vec<Entry>,
    /// Leader and role, if they changed.
    pub soft_state: Option<SoftState>,
}

/// One replica of a region. Its tracer, if it has one, is told of every decision of the core.
#[derive(Clone, Debug)]
pub struct Peer<T = ()> {
    node: RawNode<PeerStorage, T>,
    me: metapb::Peer,
    proposals: Proposals,
    /// Handed out, not durable yet.
    in_flight: Option<Ready>,
}

impl Peer {
    /// Starts or restarts a replica from what is on its engines. The only member of a region
    /// campaigns at once.
    ///
    /// # Errors
    /// Records that are missing, damaged or contradict each other; a configuration that cannot
    /// work.
    pub fn new(config: &PeerConfig, engines: Engines) -> Result<Self> {
        Self::with_tracer(config, engines, ())
    }
}

impl<T: Tracer> Peer<T> {
    /// [`new`](Peer::new), with somebody who is told what happens inside.
    ///
    /// # Errors
    /// As [`new`](Peer::new).
    pub fn with_tracer(config: &PeerConfig, engines: Engines, tracer: T) -> Result<Self> {
        let storage = PeerStorage::open(engines, config.region_id)?;
        let lone = matches!(storage.region().peers.as_slice(), [only] if *only == config.peer);
        let raft_config = Config {
            applied: storage.applied_index(),
            election_tick: config.election_tick,
            heartbeat_tick: config.heartbeat_tick,
            seed: config.seed,
            rules: config.rules.into(),
            self_ack: SelfAck::OnPersist,
            // Proposals are matched by the index they get here, so they must not wander.
            forward_proposals: false,
            ..Config::new(config.peer.id)
        };
        let mut node = RawNode::with_tracer(&raft_config, storage, tracer)?;
        if lone {
            node.campaign()?;
        }
        Ok(Self { node, me: config.peer, proposals: Proposals::default(), in_flight: None })
    }

    /// Who it is.
    pub fn me(&self) -> metapb::Peer {
        self.me
    }

    /// The region's shape.
    pub fn region(&self) -> &Region {
        self.node.store().region()
    }

    /// Who is told what happens inside, to take from it what it collected.
    pub fn tracer_mut(&mut self) -> &mut T {
        self.node.tracer_mut()
    }

    /// The protocol state, to look at.
    pub fn raft(&self) -> &Raft<PeerStorage, T> {
        self.node.raft()
    }

    /// The engines as the peer sees them, including what is not durable yet.
    pub fn engines(&self) -> &Engines {
        self.node.store().engines()
    }

    /// A view for tools.
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// Proposals that are not answered yet.
    pub fn waiting(&self) -> usize {
        self.proposals.len()
    }

    /// One tick has passed.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn tick(&mut self) -> Result<()> {
        Ok(self.node.tick()?)
    }

    /// Campaigns now.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn campaign(&mut self) -> Result<()> {
        self.node.campaign()?;
        Ok(())
    }

    /// Handles a message from another peer.
    ///
    /// # Errors
    /// A message for somebody else or one that no correct peer sends; it changes nothing.
    pub fn step(&mut self, message: RaftMessage) -> Result<()> {
        if message.region_id != self.region().id {
            return Err(Error::Invalid("the message is for another region"));
        }
        if message.to_peer.is_none_or(|to| to != self.me) {
            return Err(Error::Invalid("the message is for another peer"));
        }
        let message = message.message.ok_or(Error::Invalid("the message is empty"))?;
        self.node.step(message)?;
        Ok(())
    }

    /// Proposes a command. If it is taken, its answer carries `token` and comes with a later
    /// [`Work`]; exactly one, unless the peer crashes.
    ///
    /// # Errors
    /// Why it is refused, in TinyKV's order of checks; it has no effect and gets no other answer.
    pub fn propose(&mut self, request: &RaftCmdRequest, token: Token) -> Result<EntryId> {
        self.check_command(request)?;
        let data = prost::Message::encode_to_vec(request);
        match self.node.propose(data)? {
            Proposal::Appended { term, index } => {
                let id = EntryId::new(term, index);
                self.proposals.push(id, token);
                Ok(id)
            }
            Proposal::Forwarded { .. } => Err(self.not_leader()),
        }
    }

    fn check_command(&self, request: &RaftCmdRequest) -> Result<()> {
        let header = request.header.as_ref().ok_or(Error::Invalid("no header"))?;
        let peer = header.peer.ok_or(Error::Invalid("no peer"))?;
        if peer.store_id != self.me.store_id {
            let (request, actual) = (peer.store_id, self.me.store_id);
            return Err(Error::StoreNotMatch { request, actual });
        }
        if self.raft().role() != StateRole::Leader {
            return Err(self.not_leader());
        }
        if peer.id != self.me.id {
            return Err(Error::PeerNotMatch { request: peer.id, actual: self.me.id });
        }
        // One term of grace: the client may have heard of the election before this peer knew.
        if header.term != 0 && self.raft().term() > header.term.saturating_add(1) {
            return Err(Error::StaleCommand);
        }
        check_epoch(header.region_epoch.as_ref(), self.region())?;
        if request.admin_request.is_some() {
            return Err(Error::Unsupported("administrative requests"));
        }
        if request.requests.is_empty() {
            return Err(Error::Invalid("no requests"));
        }
        request.requests.iter().try_for_each(|request| check_request(request, self.region()))
    }

    fn not_leader(&self) -> Error {
        let leader = self.raft().leader();
        let leader = self.member(leader).filter(|_| leader != NONE);
        Error::NotLeader { region_id: self.region().id, leader }
    }

    fn member(&self, id: u64) -> Option<metapb::Peer> {
        self.region().peers.iter().find(|peer| peer.id == id).copied()
    }

    /// What the driver has to do next; none if nothing changed, or while earlier work is not
    /// durable yet (TinyKV `HandleRaftReady`).
    ///
    /// # Errors
    /// The peer cannot go on: a record cannot be read, or an entry is of a kind it does not know.
    pub fn handle_ready(&mut self) -> Result<Option<Work>> {
        if self.in_flight.is_some() || !self.node.has_ready() {
            return Ok(None);
        }
        let mut ready = self.node.ready()?;
        let mut work = Work {
            number: ready.number,
            must_sync: ready.must_sync,
            soft_state: ready.soft_state,
            ..Work::default()
        };
        self.node.store_mut().save(&ready, &mut work.batches)?;
        work.appended = std::mem::take(&mut ready.entries);
        work.messages = self.wrap(std::mem::take(&mut ready.messages));
        work.applied = std::mem::take(&mut ready.committed_entries);
        self.apply(&mut work)?;
        self.in_flight = Some(ready);
        Ok(Some(work))
    }

    /// The batches of work `number` are durable.
    ///
    /// # Errors
    /// The peer cannot go on: a record cannot be read.
    pub fn persisted(&mut self, number: u64) -> Result<()> {
        if let Some(ready) = self.in_flight.take_if(|ready| ready.number == number) {
            self.node.advance(ready)?;
        }
        Ok(())
    }

    /// Adds region and addresses. A message to a peer that is not a member has nowhere to go.
    fn wrap(&self, messages: Vec<raft_core::eraftpb::Message>) -> Vec<RaftMessage> {
        let wrap = |message: raft_core::eraftpb::Message| {
            let to_peer = Some(self.member(message.to)?);
            Some(RaftMessage {
                region_id: self.region().id,
                from_peer: Some(self.me),
                to_peer,
                region_epoch: self.region().region_epoch,
                message: Some(message),
                ..RaftMessage::default()
            })
        };
        messages.into_iter().filter_map(wrap).collect()
    }

    fn apply(&mut self, work: &mut Work) -> Result<()> {
        let Some(last) = work.applied.last().map(|entry| entry.index) else {
            return Ok(());
        };
        for position in 0..work.applied.len() {
            self.apply_entry(position, work)?;
        }
        self.node.store_mut().set_applied(last, &mut work.batches.kv);
        Ok(())
    }

    fn apply_entry(&mut self, position: usize, work: &mut Work) -> Result<()> {
        let entry = &work.applied[position];
        if entry.entry_type != i32::from(EntryType::EntryNormal) {
            return Err(Error::Unsupported("membership changes"));
        }
        let settled = self.proposals.settle(EntryId::of(entry));
        let term = self.raft().term();
        for token in settled.stale {
            work.answers.push(Answer { token, response: Error::StaleCommand.to_response(term) });
        }
        // A new leader's empty entry asks for nothing.
        if entry.data.is_empty() {
            return Ok(());
        }
        let request = prost::Message::decode(entry.data.clone());
        let request: RaftCmdRequest =
            request.map_err(|error| Error::corrupt(b"proposal", &error))?;
        let response = self.execute(&request, work);
        if let Some(token) = settled.proposer {
            let response = response.unwrap_or_else(|error| error.to_response(term));
            work.answers.push(Answer { token, response });
        }
        Ok(())
    }

    /// Executes all requests of a command, or, if one of them is refused, none. Every replica
    /// decides the same: the verdict depends on the command and the region alone.
    fn execute(&mut self, request: &RaftCmdRequest, work: &mut Work) -> Result<RaftCmdResponse> {
        let region = self.region().clone();
        request.requests.iter().try_for_each(|request| check_request(request, &region))?;
        let (kv, batch) = (self.node.store_mut().kv_mut(), &mut work.batches.kv);
        let responses = request.requests.iter().map(|r| execute(r, &region, kv, batch));
        let responses = responses.collect::<Result<Vec<_>>>()?;
        let current_term = self.raft().term();
        let header = Some(RaftResponseHeader { current_term, ..Default::default() });
        Ok(RaftCmdResponse { header, responses, admin_response: None })
    }
}
