//! One replica of a region (TinyKV `peer` and `peerMsgHandler`).
//!
//! | file | room |
//! | --- | --- |
//! | `mod.rs` | the peer, ticks and messages |
//! | `config.rs` | settings |
//! | `propose.rs` | requests: checks in TinyKV's order, the log or a read index |
//! | `ready.rs` | what the driver has to do next |
//! | `apply.rs` | what committed entries do |
//! | `admin.rs` | membership, leadership, dropping the log |
//! | `transfers.rs` | snapshots that leave and arrive |
//! | `leaving.rs` | a peer that was removed |

mod admin;
mod apply;
mod config;
mod leaving;
mod propose;
mod ready;
mod transfers;

use std::collections::BTreeMap;

use raft_core::proto::metapb::{self, Region, RegionEpoch};
use raft_core::proto::raft_cmdpb::RaftCmdResponse;
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_core::{EntryId, Raft, RawNode, Ready, SnapshotStatus, StateRole, Status, Tracer};

pub use self::config::{LogGc, PeerConfig, ReadPolicy};
use self::leaving::Fate;
pub use self::propose::Accepted;
pub use self::ready::{Executed, Work};
use crate::engine::Engines;
use crate::error::{Error, Result};
use crate::proposals::Proposals;
use crate::reads::Reads;
use crate::snapshot::{Receiver, Sender};
use crate::storage::PeerStorage;

/// Names a request, so that its answer finds the way back. Chosen by the driver; the peer never
/// looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The answer to a request that was accepted. Each gets exactly one, unless the peer crashes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The request.
    pub token: Token,
    /// What became of it.
    pub response: RaftCmdResponse,
    /// What a read by index had to wait for, for those who watch.
    pub read_index: Option<u64>,
}

impl Answer {
    fn new(token: Token, response: RaftCmdResponse) -> Self {
        Self { token, response, read_index: None }
    }
}

/// What needs no disk: it may leave at once, also while a write is under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox {
    /// To be sent: pieces of snapshots, their answers, and word to peers that were removed.
    pub messages: Vec<RaftMessage>,
    /// To be delivered.
    pub answers: Vec<Answer>,
}

impl Outbox {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.answers.is_empty()
    }
}

/// One replica of a region. Its tracer, if it has one, is told of every decision of the core.
#[derive(Clone, Debug)]
pub struct Peer<T = ()> {
    node: RawNode<PeerStorage, T>,
    me: metapb::Peer,
    config: PeerConfig,
    proposals: Proposals,
    reads: Reads,
    /// Handed out, not durable yet.
    in_flight: Option<Ready>,
    outbox: Outbox,
    /// Snapshots on their way to others.
    senders: Vec<Sender>,
    /// The snapshot on its way to this peer.
    receiver: Receiver,
    /// Where peers live that this one has heard of but does not know as members.
    acquaintances: BTreeMap<u64, metapb::Peer>,
    fate: Fate,
    /// Up to where others are known to know what is committed, and to have it on disk if that is a
    /// membership change.
    known_commits: BTreeMap<u64, u64>,
    /// The last entry that changed the members, as far as this peer knows.
    changed_at: u64,
    ticks: u64,
    /// The last entry that this peer proposed to drop the log.
    compaction: EntryId,
}

impl Peer {
    /// Starts or restarts a replica from what is on its engines. The only member of a region
    /// campaigns at once.
    ///
    /// # Errors
    /// Records that are missing, damaged or contradict each other; a configuration that cannot
    /// work.
    pub fn new(config: &PeerConfig, engines: &Engines) -> Result<Self> {
        Self::with_tracer(config, engines, ())
    }
}

impl<T: Tracer> Peer<T> {
    /// [`new`](Peer::new), with somebody who is told what happens inside.
    ///
    /// # Errors
    /// As [`new`](Peer::new).
    pub fn with_tracer(config: &PeerConfig, engines: &Engines, tracer: T) -> Result<Self> {
        let storage = PeerStorage::open(engines, config.region_id, config.store_rules)?;
        let me = storage.member(config.peer.id).unwrap_or(config.peer);
        let voters = &storage.conf_state().voters;
        let lone = matches!(voters.as_slice(), [only] if *only == me.id);
        let mut peer = Self::start(config, storage, me, tracer)?;
        if lone {
            peer.node.campaign()?;
        }
        Ok(peer)
    }

    /// A replica that a membership change created on this store, at this epoch: it waits for a
    /// snapshot.
    ///
    /// # Errors
    /// As [`new`](Peer::new).
    pub fn uninitialized(
        config: &PeerConfig,
        born: RegionEpoch,
        engines: &Engines,
        tracer: T,
    ) -> Result<Self> {
        let (region, rules) = (config.region_id, config.store_rules);
        let storage = PeerStorage::uninitialized(engines, region, born, rules)?;
        Self::start(config, storage, config.peer, tracer)
    }

    fn start(
        config: &PeerConfig,
        mut storage: PeerStorage,
        me: metapb::Peer,
        tracer: T,
    ) -> Result<Self> {
        let raft_config = config.raft(me.id, storage.applied_index());
        let fate = Fate::of(&storage, me.id);
        let changed_at = storage.applied_index();
        storage.set_own(me);
        Ok(Self {
            node: RawNode::with_tracer(&raft_config, storage, tracer)?,
            me,
            reads: Reads::new(config.seed),
            config: config.clone(),
            proposals: Proposals::default(),
            in_flight: None,
            outbox: Outbox::default(),
            senders: Vec::new(),
            receiver: Receiver::default(),
            acquaintances: BTreeMap::new(),
            fate,
            known_commits: BTreeMap::new(),
            changed_at,
            ticks: 0,
            compaction: EntryId::default(),
        })
    }

    /// Who it is.
    pub fn me(&self) -> metapb::Peer {
        self.me
    }

    /// The region's shape.
    pub fn region(&self) -> &Region {
        self.storage().region()
    }

    /// Who is told what happens inside, to take from it what it collected.
    pub fn tracer_mut(&mut self) -> &mut T {
        self.node.tracer_mut()
    }

    /// The protocol state, to look at.
    pub fn raft(&self) -> &Raft<PeerStorage, T> {
        self.node.raft()
    }

    /// The log and the states as the peer sees them, including what is not durable yet.
    pub fn storage(&self) -> &PeerStorage {
        self.node.store()
    }

    /// The state machine as the peer sees it, including what is not durable yet.
    pub fn kv(&self) -> &crate::MemEngine {
        self.storage().kv()
    }

    /// A view for tools.
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// Requests that are not answered yet.
    pub fn waiting(&self) -> usize {
        self.proposals.len() + self.reads.len()
    }

    /// One tick has passed.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn tick(&mut self) -> Result<()> {
        self.ticks += 1;
        self.node.tick()?;
        self.expire_reads();
        self.tick_transfers();
        self.tick_leaving();
        self.collect_log_garbage()
    }

    /// Campaigns now.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn campaign(&mut self) -> Result<()> {
        self.node.campaign()?;
        Ok(())
    }

    /// Tells the leader that messages to peer `id` do not get through.
    pub fn report_unreachable(&mut self, id: u64) {
        self.node.report_unreachable(id);
    }

    fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) {
        self.node.report_snapshot(id, status);
    }

    /// Whether there is nothing to do or to send: what happened last changed nothing that anybody
    /// outside could see, but for what a leader knows about others.
    pub fn is_idle(&self) -> bool {
        self.outbox.is_empty() && !self.is_doomed() && !self.node.has_ready()
    }

    /// What needs no disk. To be called after everything that acts on the peer.
    pub fn take_outbox(&mut self) -> Outbox {
        if self.outbox.is_empty() { Outbox::default() } else { std::mem::take(&mut self.outbox) }
    }

    /// Handles a message from another peer.
    ///
    /// # Errors
    /// A message for somebody else or one that no correct peer sends; it changes nothing.
    pub fn step(&mut self, message: RaftMessage) -> Result<()> {
        if message.region_id != self.region().id {
            return Err(Error::Invalid("the message is for another region"));
        }
        let to = message.to_peer.ok_or(Error::Invalid("the message has no receiver"))?;
        if to.store_id != self.me.store_id {
            let (request, actual) = (to.store_id, self.me.store_id);
            return Err(Error::StoreNotMatch { request, actual });
        }
        if to.id != self.me.id {
            if to.id > self.me.id {
                // This store was given a new peer: the old one must have been removed.
                self.told_to_go(message.region_epoch.as_ref());
            } else if let Some(from) = &message.from_peer {
                // It has not heard that there is another peer now, perhaps not of its own removal.
                self.turns_away(from, message.region_epoch.as_ref());
            }
            return Err(Error::PeerNotMatch { request: to.id, actual: self.me.id });
        }
        let from = message.from_peer.ok_or(Error::Invalid("the message has no sender"))?;
        if message.is_tombstone {
            self.told_to_go(message.region_epoch.as_ref());
            return Ok(());
        }
        if self.turns_away(&from, message.region_epoch.as_ref()) {
            return Ok(());
        }
        if self.member(from.id).is_none() {
            self.acquaintances.insert(from.id, from);
        }
        if let Some(inner) = &message.message {
            self.note_commit(inner);
        }
        if let Some(ack) = &message.snapshot_ack {
            self.transfer_acknowledged(from.id, ack);
        }
        if let Some(chunk) = &message.snapshot_chunk {
            return self.receive_chunk(chunk, from, message.message.map(|inner| *inner));
        }
        match message.message {
            Some(inner) if inner.snapshot.is_some() => {
                Err(Error::Invalid("a snapshot without its records"))
            }
            Some(inner) => Ok(self.node.step(*inner).map(drop)?),
            None if message.snapshot_ack.is_some() => Ok(()),
            None => Err(Error::Invalid("the message is empty")),
        }
    }

    /// The engines of a peer that is gone.
    pub(crate) fn remains(&self) -> Engines {
        Engines { kv: self.kv().clone(), ..Engines::default() }
    }

    fn member(&self, id: u64) -> Option<metapb::Peer> {
        self.storage().member(id)
    }

    fn is_leader(&self) -> bool {
        self.raft().role() == StateRole::Leader
    }

    /// A message to another peer with region and addresses.
    fn envelope(&self, to: metapb::Peer) -> RaftMessage {
        RaftMessage {
            region_id: self.region().id,
            from_peer: Some(self.me),
            to_peer: Some(to),
            region_epoch: self.region().region_epoch,
            ..RaftMessage::default()
        }
    }
}
