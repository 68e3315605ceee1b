//! One store: a replica comes and goes with membership changes (TinyKV `storeWorker`).
//!
//! A store that is no member of the region holds no peer. The first message that a leader sends to
//! a new peer on it creates that peer, empty; a snapshot fills it. A peer that was removed leaves a
//! tombstone, so that late messages do not create it again.

use raft_core::Tracer;
use raft_core::eraftpb::MessageType;
use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::RaftCmdRequest;
use raft_core::proto::raft_serverpb::{PeerState, RaftMessage, RegionLocalState};

use crate::engine::Engines;
use crate::error::{Error, Result};
use crate::keys;
use crate::peer::{Accepted, Outbox, Peer, PeerConfig, Token, Work};
use crate::region::is_epoch_stale;
use crate::storage::store_ident;

/// Settings of a store: those of its peer, whatever id that has.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Settings of the peer; the id in [`PeerConfig::peer`] is not looked at.
    pub peer: PeerConfig,
}

/// One store, with at most one peer.
#[derive(Clone, Debug)]
pub struct Store<T = ()> {
    config: StoreConfig,
    tracer: T,
    state: State<T>,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all stores have a peer")]
enum State<T> {
    Home(Peer<T>),
    Vacant(Engines),
}

impl<T: Tracer + Clone> Store<T> {
    /// Starts a store from what is on its engines. Each peer that it creates gets a copy of the
    /// tracer.
    ///
    /// # Errors
    /// As [`Peer::new`]; [`Error::NotBootstrapped`] if nobody has set up the store, and
    /// [`Error::StoreNotMatch`] if it is another one.
    pub fn open(config: &StoreConfig, engines: &Engines, tracer: T) -> Result<Self> {
        let state: Option<RegionLocalState> =
            engines.kv.get_message(&keys::region_state(config.peer.region_id))?;
        let alive = state.filter(|state| state.state() == PeerState::Normal);
        let own = alive.and_then(|state| own_peer(&state, config.peer.peer.store_id));
        let state = match own {
            Some(own) => {
                let peer_config = PeerConfig { peer: own, ..config.peer.clone() };
                State::Home(Peer::with_tracer(&peer_config, engines, tracer.clone())?)
            }
            None => {
                let me = config.peer.peer.store_id;
                let ident = store_ident(engines)?;
                let ident = ident.ok_or(Error::NotBootstrapped(config.peer.region_id))?;
                if ident.store_id != me {
                    return Err(Error::StoreNotMatch { request: me, actual: ident.store_id });
                }
                State::Vacant(engines.clone())
            }
        };
        Ok(Self { config: config.clone(), tracer, state })
    }

    /// The peer, if there is one.
    pub fn peer(&self) -> Option<&Peer<T>> {
        match &self.state {
            State::Home(peer) => Some(peer),
            State::Vacant(_) => None,
        }
    }

    /// The peer, if there is one.
    pub fn peer_mut(&mut self) -> Option<&mut Peer<T>> {
        match &mut self.state {
            State::Home(peer) => Some(peer),
            State::Vacant(_) => None,
        }
    }

    /// What a peer created from now on tells what happens inside.
    pub fn tracer_mut(&mut self) -> &mut T {
        &mut self.tracer
    }

    /// Handles a message from another store: the peer does, and may be created for it.
    ///
    /// # Errors
    /// As [`Peer::step`]; [`Error::RegionNotFound`] if there is no peer and the message is none
    /// that creates one.
    pub fn step(&mut self, message: RaftMessage) -> Result<()> {
        if let State::Vacant(engines) = &self.state {
            let peer = self.create(engines, &message)?;
            self.state = State::Home(peer);
        }
        self.peer_mut().map_or(Ok(()), |peer| peer.step(message))
    }

    /// The peer that a message is the first for (TinyKV `maybeCreatePeer`).
    fn create(&self, engines: &Engines, message: &RaftMessage) -> Result<Peer<T>> {
        let config = &self.config.peer;
        let region_id = config.region_id;
        let to = message.to_peer.ok_or(Error::Invalid("the message has no receiver"))?;
        if message.region_id != region_id {
            return Err(Error::Invalid("the message is for another region"));
        }
        if to.store_id != config.peer.store_id {
            let (request, actual) = (to.store_id, config.peer.store_id);
            return Err(Error::StoreNotMatch { request, actual });
        }
        if !is_initial(message) {
            return Err(Error::RegionNotFound(region_id));
        }
        let tombstone: Option<RegionLocalState> =
            engines.kv.get_message(&keys::region_state(region_id))?;
        if let Some(tombstone) = tombstone {
            let buried = tombstone.region.and_then(|region| region.region_epoch);
            let (buried, now) = (buried.unwrap_or_default(), message.region_epoch);
            let newer = is_epoch_stale(&buried, &now.unwrap_or_default());
            if !newer || tombstone.removed.is_some_and(|removed| removed.id >= to.id) {
                return Err(Error::RegionNotFound(region_id));
            }
        }
        let config = PeerConfig { peer: to, ..config.clone() };
        let born = message.region_epoch.unwrap_or_default();
        Peer::uninitialized(&config, born, engines, self.tracer.clone())
    }

    /// One tick has passed.
    ///
    /// # Errors
    /// As [`Peer::tick`].
    pub fn tick(&mut self) -> Result<()> {
        self.peer_mut().map_or(Ok(()), Peer::tick)
    }

    /// Campaigns now.
    ///
    /// # Errors
    /// As [`Peer::campaign`].
    pub fn campaign(&mut self) -> Result<()> {
        self.peer_mut().map_or(Ok(()), Peer::campaign)
    }

    /// Takes a command; see [`Peer::propose`].
    ///
    /// # Errors
    /// As [`Peer::propose`]; [`Error::RegionNotFound`] if there is no peer.
    pub fn propose(&mut self, request: &RaftCmdRequest, token: Token) -> Result<Accepted> {
        let own = self.config.peer.region_id;
        let region = request.header.as_ref().map_or(own, |header| header.region_id);
        self.peer_mut().ok_or(Error::RegionNotFound(region))?.propose(request, token)
    }

    /// What the driver has to do next; see [`Peer::handle_ready`].
    ///
    /// # Errors
    /// As [`Peer::handle_ready`].
    pub fn handle_ready(&mut self) -> Result<Option<Work>> {
        self.peer_mut().map_or(Ok(None), Peer::handle_ready)
    }

    /// The batches of work `number` are durable; see [`Peer::persisted`]. If that work destroyed
    /// the peer, the store has none from now on.
    ///
    /// # Errors
    /// As [`Peer::persisted`].
    pub fn persisted(&mut self, number: u64) -> Result<()> {
        let Some(peer) = self.peer_mut() else { return Ok(()) };
        peer.persisted(number)?;
        if peer.is_destroyed() {
            self.state = State::Vacant(peer.remains());
        }
        Ok(())
    }

    /// Whether there is nothing to do or to send; see [`Peer::is_idle`].
    pub fn is_idle(&self) -> bool {
        self.peer().is_none_or(Peer::is_idle)
    }

    /// What needs no disk; see [`Peer::take_outbox`].
    pub fn take_outbox(&mut self) -> Outbox {
        self.peer_mut().map(Peer::take_outbox).unwrap_or_default()
    }
}

/// The peer of the store: one of the region's, or the one that was removed from it.
fn own_peer(state: &RegionLocalState, store_id: u64) -> Option<metapb::Peer> {
    let peers = &state.region.as_ref()?.peers;
    let member = peers.iter().find(|peer| peer.store_id == store_id).copied();
    member.or(state.removed)
}

/// Whether a message is one that a peer gets before it knows anything: from a candidate, or from a
/// leader that does not know what it has (TinyKV `IsInitialMsg`).
fn is_initial(message: &RaftMessage) -> bool {
    message.message.as_ref().is_some_and(|message| match message.msg_type() {
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => true,
        MessageType::MsgHeartbeat => message.commit == 0,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::eraftpb::Message;

    /// TinyKV's TestIsInitialMsg.
    #[test]
    fn votes_and_heartbeats_that_commit_nothing_may_create_a_peer() {
        let initial = |msg_type: MessageType, commit| {
            let message = Message { msg_type: msg_type.into(), commit, ..Message::default() };
            is_initial(&RaftMessage { message: Some(Box::new(message)), ..RaftMessage::default() })
        };
        assert!(initial(MessageType::MsgRequestVote, 0));
        assert!(initial(MessageType::MsgRequestPreVote, 0));
        assert!(initial(MessageType::MsgHeartbeat, 0));
        assert!(!initial(MessageType::MsgHeartbeat, 100));
        assert!(!initial(MessageType::MsgAppend, 0));
        assert!(!is_initial(&RaftMessage::default()));
    }
}
