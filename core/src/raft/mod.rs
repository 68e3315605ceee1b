//! One peer's protocol state and its single entry, [`Raft::step`].
//!
//! [`Raft`] reads messages and ticks and fills an outbox; it performs no I/O and knows no clock.
//! Applications drive it through [`RawNode`](crate::RawNode), which turns its changes into
//! [`Ready`](crate::Ready)s.
//!
//! | file | what it does | paper |
//! | --- | --- | --- |
//! | `mod.rs` | state, construction, dispatch of messages by term and role | 5.1 |
//! | `roles.rs` | transitions between follower, candidate and leader; ticks | 5.2 |
//! | `election.rs` | campaigns and votes | 5.2, 5.4.1 |
//! | `replication.rs` | proposals, appends, heartbeats, commit | 5.3, 5.4.2 |
//! | `outbox.rs` | making the messages that a leader owes its followers | 5.3 |
//! | `snapshot.rs` | sending and installing snapshots | 7 |
//! | `membership.rs` | adding and removing peers, one at a time | thesis 4.1 |
//! | `transfer.rs` | handing leadership over | thesis 3.10 |

mod election;
mod membership;
mod outbox;
mod replication;
mod roles;
mod snapshot;
mod transfer;

use alloc::vec::Vec;

pub use self::membership::conf_change_of;
pub(crate) use self::membership::simple_change;
pub use self::replication::Proposal;
pub(crate) use self::roles::local;
pub use self::snapshot::SnapshotStatus;
use crate::EntryId;
use crate::config::{Config, SelfAck};
use crate::error::{Malformed, Result, StorageError};
use crate::log::RaftLog;
use crate::proto::eraftpb::{ConfState, HardState, Message, MessageType};
use crate::rng::TimeoutRng;
use crate::rules::{Rules, TermVerdict};
use crate::storage::{RaftState, Storage};
use crate::tracker::{Progress, ProgressTracker};

/// No peer: no leader, no vote.
pub const NONE: u64 = 0;

/// What a peer does for the cluster at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateRole {
    /// Follows a leader, or waits to hear of one.
    #[default]
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// What a peer knows that it may forget in a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftState {
    /// Leader of the term as far as known; [`NONE`] if not.
    pub leader: u64,
    /// The peer's own role.
    pub role: StateRole,
}

/// One peer of a Raft cluster.
#[derive(Clone, Debug)]
pub struct Raft<S> {
    pub(crate) id: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) log: RaftLog<S>,
    pub(crate) prs: ProgressTracker,
    pub(crate) role: StateRole,
    pub(crate) leader: u64,
    /// Messages to send, in order; a leader's appends join them in `take_messages`.
    pub(crate) msgs: Vec<Message>,
    pub(crate) heartbeat_elapsed: u32,
    pub(crate) election_elapsed: u32,
    pub(crate) randomized_election_timeout: u32,
    pub(crate) transferee: Option<u64>,
    /// The last membership change in the log; the next must wait until it is applied.
    pub(crate) pending_conf_index: u64,
    heartbeat_timeout: u32,
    election_timeout: u32,
    max_size_per_msg: u64,
    forward_proposals: bool,
    self_ack: SelfAck,
    rules: Rules,
    rng: TimeoutRng,
}

impl<S: Storage> Raft<S> {
    /// Starts or restarts a peer from its storage, as a follower without a leader (TinyKV
    /// `newRaft`).
    ///
    /// The members are `config.peers` if given, else those in the storage.
    ///
    /// # Errors
    /// A configuration that cannot work, or a storage that cannot be read or contradicts itself.
    pub fn new(config: &Config, storage: S) -> Result<Self> {
        config.validate()?;
        let RaftState { hard_state, conf_state } = storage.initial_state()?;
        let mut raft = Self {
            id: config.id,
            term: hard_state.term,
            vote: hard_state.vote,
            log: RaftLog::new(storage)?,
            prs: ProgressTracker::new(config.max_inflight_msgs),
            role: StateRole::Follower,
            leader: NONE,
            msgs: Vec::new(),
            heartbeat_elapsed: 0,
            election_elapsed: 0,
            randomized_election_timeout: 0,
            transferee: None,
            pending_conf_index: 0,
            heartbeat_timeout: config.heartbeat_tick,
            election_timeout: config.election_tick,
            max_size_per_msg: config.max_size_per_msg,
            forward_proposals: config.forward_proposals,
            self_ack: config.self_ack,
            rules: config.rules,
            rng: TimeoutRng::new(config.seed, config.id),
        };
        check_range("term", hard_state.term, 0, EntryId::LIMIT)?;
        raft.recover_commit(hard_state.commit)?;
        raft.recover_applied(config.applied)?;
        if config.peers.is_empty() {
            raft.set_members(&conf_state)?;
        } else {
            raft.set_members(&ConfState { voters: config.peers.clone(), ..Default::default() })?;
        }
        raft.become_follower(raft.term, NONE);
        Ok(raft)
    }

    fn recover_commit(&mut self, commit: u64) -> Result<()> {
        let (min, max) = (self.log.committed(), self.log.last_index());
        // An empty hard state beside a snapshot is a peer that has not written one yet.
        if commit != 0 {
            check_range("commit index", commit, min, max)?;
        }
        self.log.commit_to(commit);
        Ok(())
    }

    fn recover_applied(&mut self, applied: u64) -> Result<()> {
        let (min, max) = (self.log.applied(), self.log.committed());
        if applied != 0 {
            check_range("applied index", applied, min, max)?;
        }
        self.log.applied_to(applied);
        Ok(())
    }

    /// The peer's own id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Latest term the peer has seen.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Who got the peer's vote in this term; [`NONE`] is nobody.
    pub fn vote(&self) -> u64 {
        self.vote
    }

    /// The peer's role.
    pub fn role(&self) -> StateRole {
        self.role
    }

    /// The leader of this term as far as known; [`NONE`] if not.
    pub fn leader(&self) -> u64 {
        self.leader
    }

    /// The replicated log.
    pub fn log(&self) -> &RaftLog<S> {
        &self.log
    }

    /// The members, with what a leader knows about each.
    pub fn tracker(&self) -> &ProgressTracker {
        &self.prs
    }

    /// The progress of peer `id` as a leader sees it.
    pub fn progress(&self, id: u64) -> Option<&Progress> {
        self.prs.get(id)
    }

    /// Ticks since the election timer was last reset.
    pub fn election_elapsed(&self) -> u32 {
        self.election_elapsed
    }

    /// Ticks after which a follower or candidate campaigns this time.
    pub fn randomized_election_timeout(&self) -> u32 {
        self.randomized_election_timeout
    }

    /// Ticks since a leader's last heartbeat.
    pub fn heartbeat_elapsed(&self) -> u32 {
        self.heartbeat_elapsed
    }

    /// The peer that leadership is being handed to.
    pub fn transferee(&self) -> Option<u64> {
        self.transferee
    }

    /// What the peer must have on disk before it sends anything.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    /// What the peer knows that it may forget in a crash.
    pub fn soft_state(&self) -> SoftState {
        SoftState { leader: self.leader, role: self.role }
    }

    /// Whether the peer may become leader: it is a member, and no snapshot waits to be persisted.
    pub fn is_promotable(&self) -> bool {
        self.prs.contains(self.id) && self.log.pending_snapshot().is_none()
    }

    /// Handles one message, local or from a peer. Answers and requests go to the outbox.
    ///
    /// Local messages (`MsgHup`, `MsgBeat`, `MsgPropose`, `MsgTransferLeader` from the peer itself)
    /// ignore the term.
    ///
    /// # Errors
    /// [`Error::ProposalDropped`](crate::Error::ProposalDropped) for a proposal that goes nowhere,
    /// [`Error::Malformed`](crate::Error::Malformed) for a message no correct peer sends, and
    /// storage errors. The state stays sound in every case.
    pub fn step(&mut self, message: Message) -> Result<()> {
        let kind = message_type(&message)?;
        let local = message.term == NONE || is_termless(kind);
        if !local && !is_handled(kind) {
            return Ok(());
        }
        if !local {
            if message.term > EntryId::LIMIT {
                return Err(Malformed::TermRange(message.term).into());
            }
            match (self.rules.compare_terms)(self.term, message.term) {
                TermVerdict::Stale => return Ok(()),
                TermVerdict::Current => {}
                TermVerdict::StepDown => {
                    let leader = if is_from_leader(kind) { message.from } else { NONE };
                    self.become_follower(message.term, leader);
                }
            }
        }
        match kind {
            MessageType::MsgHup => self.handle_hup(),
            MessageType::MsgRequestVote => self.handle_request_vote(&message),
            _ => match self.role {
                StateRole::Follower => self.step_follower(kind, message),
                StateRole::Candidate => self.step_candidate(kind, message),
                StateRole::Leader => self.step_leader(kind, message),
            },
        }
    }

    fn step_follower(&mut self, kind: MessageType, message: Message) -> Result<()> {
        match kind {
            MessageType::MsgPropose => self.propose(message.entries).map(drop),
            MessageType::MsgAppend => {
                self.hear_from_leader(message.from);
                self.handle_append(message)
            }
            MessageType::MsgHeartbeat => {
                self.hear_from_leader(message.from);
                self.handle_heartbeat(message);
                Ok(())
            }
            MessageType::MsgSnapshot => {
                self.hear_from_leader(message.from);
                self.handle_snapshot(message)
            }
            MessageType::MsgTransferLeader => {
                self.forward_transfer(&message);
                Ok(())
            }
            MessageType::MsgTimeoutNow => self.handle_timeout_now(),
            _ => Ok(()),
        }
    }

    fn step_candidate(&mut self, kind: MessageType, message: Message) -> Result<()> {
        match kind {
            MessageType::MsgPropose => self.propose(message.entries).map(drop),
            kind if is_from_leader(kind) => {
                // Somebody else won this term (5.2).
                self.become_follower(self.term, message.from);
                self.step_follower(kind, message)
            }
            MessageType::MsgRequestVoteResponse => {
                self.handle_vote_response(message.from, !message.reject)
            }
            _ => Ok(()),
        }
    }

    fn step_leader(&mut self, kind: MessageType, message: Message) -> Result<()> {
        match kind {
            MessageType::MsgBeat => {
                self.broadcast_heartbeat();
                Ok(())
            }
            MessageType::MsgPropose => self.propose(message.entries).map(drop),
            MessageType::MsgAppendResponse => self.handle_append_response(&message),
            MessageType::MsgHeartbeatResponse => {
                self.handle_heartbeat_response(message.from);
                Ok(())
            }
            MessageType::MsgTransferLeader => {
                self.handle_transfer_leader(message.from);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hear_from_leader(&mut self, leader: u64) {
        self.election_elapsed = 0;
        self.leader = leader;
    }
}

/// Refuses a stored number that no peer could have written.
fn check_range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), StorageError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(StorageError::Inconsistent { what, value, min, max })
    }
}

/// The type of `message`, decoded strictly: an unknown number must not pass for `MsgHup`, which is
/// 0.
pub(crate) fn message_type(message: &Message) -> Result<MessageType, Malformed> {
    let number = message.msg_type;
    MessageType::try_from(number).map_err(|_| Malformed::UnknownType(number))
}

/// Types that only a peer's own application may use.
pub(crate) fn is_local(kind: MessageType) -> bool {
    use MessageType::{MsgBeat, MsgCheckQuorum, MsgHup, MsgSnapStatus, MsgUnreachable};
    matches!(kind, MsgHup | MsgBeat | MsgUnreachable | MsgSnapStatus | MsgCheckQuorum)
}

/// Types whose term means nothing.
pub(crate) fn is_termless(kind: MessageType) -> bool {
    is_local(kind) || matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex)
}

/// Answers, which only members may give.
pub(crate) fn is_response(kind: MessageType) -> bool {
    use MessageType::{MsgAppendResponse, MsgHeartbeatResponse, MsgRequestVoteResponse};
    matches!(kind, MsgAppendResponse | MsgHeartbeatResponse | MsgRequestVoteResponse)
}

/// Types that only the leader of a term sends.
fn is_from_leader(kind: MessageType) -> bool {
    use MessageType::{MsgAppend, MsgHeartbeat, MsgSnapshot};
    matches!(kind, MsgAppend | MsgHeartbeat | MsgSnapshot)
}

/// Types that this peer understands. The others are ignored before their term is looked at: a
/// pre-vote carries a term that its sender is not in.
fn is_handled(kind: MessageType) -> bool {
    use MessageType::{MsgReadIndexResp, MsgRequestPreVote, MsgRequestPreVoteResponse};
    !matches!(kind, MsgReadIndexResp | MsgRequestPreVote | MsgRequestPreVoteResponse)
}
