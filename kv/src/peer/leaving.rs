//! A peer that was removed.
//!
//! A peer that applies its own removal does not vanish at once: it may be the only one that knows
//! the change to be committed, and answers votes with that knowledge. It asks the others, and a
//! leader tells it to go once a quorum of the new members has the knowledge on disk: before that,
//! those who would have to elect a leader might still need its vote. The same word goes to a peer
//! that missed its removal and still campaigns (TinyKV `handleStaleMsg`, `handleGCPeerMsg`).

use raft_core::Tracer;
use raft_core::eraftpb::{Message, MessageType};
use raft_core::proto::metapb::{Peer as Member, RegionEpoch};
use raft_core::proto::raft_serverpb::RaftMessage;

use super::{Answer, Peer, Work};
use crate::engine::Batches;
use crate::error::Error;
use crate::region::is_epoch_stale;
use crate::storage::PeerStorage;

/// Whether the peer belongs to its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does, or waits for the snapshot that will tell.
    Stays,
    /// It applied its own removal and waits for somebody's word that this is known.
    Removed,
    /// It was told to go.
    Doomed,
    /// It is gone.
    Destroyed,
}

impl Fate {
    pub(super) fn of(storage: &PeerStorage, me: u64) -> Self {
        let member = storage.member(me).is_some();
        if member || !storage.is_initialized() { Self::Stays } else { Self::Removed }
    }
}

impl<T: Tracer> Peer<T> {
    /// Whether the peer is gone: it does nothing any more.
    pub fn is_destroyed(&self) -> bool {
        self.fate == Fate::Destroyed
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.fate == Fate::Doomed
    }

    pub(super) fn now_member(&mut self) {
        self.fate = Fate::of(self.storage(), self.me.id);
        if let Some(me) = self.storage().member(self.me.id) {
            self.me = me;
        }
    }

    /// A member says that this peer was removed. Believed if its word is newer than what this peer
    /// knows: a member that has not heard of a new peer yet takes it for an old one.
    pub(super) fn told_to_go(&mut self, epoch: Option<&RegionEpoch>) {
        let own = self.region().region_epoch.unwrap_or_default();
        let newer = epoch.is_some_and(|epoch| is_epoch_stale(&own, epoch));
        let alive = matches!(self.fate, Fate::Stays | Fate::Removed);
        if alive && (newer || self.fate == Fate::Removed) {
            self.fate = Fate::Doomed;
        }
    }

    /// A peer that is no member any more is not listened to, and told to go if that is safe. Its own
    /// epoch must not be newer: then it may be one that this peer has not heard of yet.
    pub(super) fn turns_away(&mut self, from: &Member, epoch: Option<&RegionEpoch>) -> bool {
        let own = self.region().region_epoch.unwrap_or_default();
        let theirs = epoch.copied().unwrap_or_default();
        let settled = self.fate == Fate::Stays && self.storage().is_initialized();
        if !settled || self.member(from.id).is_some() || is_epoch_stale(&own, &theirs) {
            return false;
        }
        if self.is_change_known() {
            let word = RaftMessage { is_tombstone: true, ..self.envelope(*from) };
            self.outbox.messages.push(word);
        } else if !self.is_leader()
            && let Some(leader) = self.member(self.raft().leader())
        {
            // It may not know who leads now: its question is handed on.
            let question = RaftMessage {
                from_peer: Some(*from),
                region_epoch: epoch.copied(),
                ..self.envelope(leader)
            };
            self.outbox.messages.push(question);
        }
        true
    }

    /// Whether this peer leads, and a quorum knows what it knows of the members.
    fn is_change_known(&self) -> bool {
        let durable = self.raft().log().applied() >= self.changed_at;
        let knows = |id: &u64| {
            *id == self.me.id
                || self.known_commits.get(id).is_some_and(|&commit| commit >= self.changed_at)
        };
        let conf = self.storage().conf_state();
        let quorum = |voters: &[u64]| {
            voters.is_empty() || 2 * voters.iter().filter(|id| knows(id)).count() > voters.len()
        };
        self.is_leader() && durable && quorum(&conf.voters) && quorum(&conf.voters_outgoing)
    }

    /// An answer tells what its sender knows to be committed.
    pub(super) fn note_commit(&mut self, message: &Message) {
        let answer = matches!(
            message.msg_type(),
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse
        );
        if answer && message.commit > 0 {
            let known = self.known_commits.entry(message.from).or_default();
            *known = message.commit.max(*known);
        }
    }

    /// A removed peer asks the members whether it may go.
    pub(super) fn tick_leaving(&mut self) {
        let timeout = u64::from(self.config.election_tick);
        if self.fate != Fate::Removed || !self.ticks.is_multiple_of(timeout) {
            return;
        }
        let members = self.region().peers.clone();
        let questions: Vec<_> = members.into_iter().map(|to| self.envelope(to)).collect();
        self.outbox.messages.extend(questions);
    }

    pub(super) fn destroy(&mut self) -> Work {
        let mut batches = Batches::default();
        self.node.store_mut().destroy(&mut batches);
        self.fate = Fate::Destroyed;
        self.abandon_transfers();
        let response = Error::RegionNotFound(self.region().id).to_response(self.raft().term());
        let waiting = self.proposals.take_all().into_iter().chain(self.reads.take_all());
        let answers = waiting.map(|token| Answer::new(token, response.clone())).collect();
        Work { batches, must_sync: true, answers, destroyed: true, ..Work::default() }
    }
}
