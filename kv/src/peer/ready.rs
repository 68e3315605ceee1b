//! What the driver has to do next.

use bytes::Bytes;
use raft_core::eraftpb::{Entry, Message};
use raft_core::proto::raft_cmdpb::{RaftCmdResponse, RaftResponseHeader, Response};
use raft_core::proto::raft_serverpb::RaftMessage;
use raft_core::{EntryId, Ready, SoftState, Tracer};

use super::{Answer, Peer};
use crate::apply::{self, Op};
use crate::engine::Batches;
use crate::error::{Error, Result};
use crate::reads::Read;
use crate::storage::Installation;

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
    /// The last entry of a snapshot that was installed, for those who watch.
    pub installed: Option<EntryId>,
    /// Commands of sessions that were applied, for those who watch.
    pub executed: Vec<Executed>,
    /// Leader and role, if they changed.
    pub soft_state: Option<SoftState>,
    /// Once the batches are durable the peer is gone.
    pub destroyed: bool,
}

/// A command of a session as it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The session.
    pub client: u64,
    /// The command's number there.
    pub sequence: u64,
    /// The log entry.
    pub index: u64,
    /// It was executed, and not known already.
    pub effect: bool,
    /// The answer, a `RaftCmdResponse`.
    pub reply: Bytes,
}

impl<T: Tracer> Peer<T> {
    /// What the driver has to do next; none if nothing changed, or while earlier work is not
    /// durable yet (TinyKV `HandleRaftReady`).
    ///
    /// # Errors
    /// The peer cannot go on: a record cannot be read, or an entry is of a kind it does not know.
    pub fn handle_ready(&mut self) -> Result<Option<Work>> {
        if self.in_flight.is_some() || self.is_destroyed() {
            return Ok(None);
        }
        if self.is_doomed() {
            return Ok(Some(self.destroy()));
        }
        if !self.node.has_ready() {
            return Ok(None);
        }
        let mut ready = self.node.ready()?;
        let mut work = Work {
            number: ready.number,
            must_sync: ready.must_sync,
            soft_state: ready.soft_state,
            ..Work::default()
        };
        // Before anything is applied: a snapshot shows the state as it was when it was asked for.
        work.messages = self.wrap(std::mem::take(&mut ready.messages));
        self.save(&ready, &mut work)?;
        work.appended = std::mem::take(&mut ready.entries);
        work.applied = std::mem::take(&mut ready.committed_entries);
        self.note_reads(&ready);
        self.apply(&mut work)?;
        self.serve_reads(&mut work.answers)?;
        if !self.is_leader() {
            self.abandon_transfers();
        }
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

    fn save(&mut self, ready: &Ready, work: &mut Work) -> Result<()> {
        let Some(snapshot) = &ready.snapshot else {
            return self.node.store_mut().save(ready, &mut work.batches);
        };
        let id = EntryId::of_snapshot(snapshot);
        let missing = || Error::Inconsistent(format!("the records of snapshot {id} are missing"));
        let records = self.receiver.take(id).ok_or_else(missing)?;
        let region = region_of(snapshot)?;
        let installation = Installation { region, records };
        self.node.store_mut().install(snapshot, installation, ready, &mut work.batches)?;
        work.installed = Some(id);
        // The answer to the leader vouches for all that the snapshot covers.
        work.must_sync = true;
        self.changed_at = id.index;
        self.now_member();
        // What was proposed at these indices may be in the snapshot or not.
        for token in self.proposals.overtaken(id) {
            let response = Error::StaleCommand.to_response(self.raft().term());
            work.answers.push(Answer::new(token, response));
        }
        Ok(())
    }

    /// Adds region and addresses. A message to a peer that is not known has nowhere to go. A
    /// snapshot becomes a transfer, and its first pieces leave in its place.
    fn wrap(&mut self, messages: Vec<Message>) -> Vec<RaftMessage> {
        let mut wrapped = Vec::with_capacity(messages.len());
        for message in messages {
            let known =
                self.member(message.to).or_else(|| self.acquaintances.get(&message.to).copied());
            let Some(to) = known else { continue };
            if message.snapshot.is_some() {
                wrapped.extend(self.begin_transfer(to, message));
            } else {
                let message = Some(Box::new(message));
                wrapped.push(RaftMessage { message, ..self.envelope(to) });
            }
        }
        wrapped
    }

    fn note_reads(&mut self, ready: &Ready) {
        for state in &ready.read_states {
            self.reads.confirm(&state.context, state.index);
        }
        for dropped in &ready.dropped_reads {
            if let Some(token) = self.reads.drop_read(&dropped.context) {
                self.answer_stale(token);
            }
        }
    }

    pub(super) fn expire_reads(&mut self) {
        for token in self.reads.take_expired(self.ticks) {
            self.answer_stale(token);
        }
    }

    fn answer_stale(&mut self, token: super::Token) {
        let response = Error::StaleCommand.to_response(self.raft().term());
        self.outbox.answers.push(Answer::new(token, response));
    }

    /// Serves the reads whose index is applied.
    fn serve_reads(&mut self, answers: &mut Vec<Answer>) -> Result<()> {
        let applied = self.storage().applied_index();
        let may_serve = self.config.store_rules.may_serve;
        for read in self.reads.take_servable(|index| may_serve(applied, index)) {
            let response = self.serve(&read).or_else(|error| self.refusal(error))?;
            answers.push(Answer { read_index: read.index, ..Answer::new(read.token, response) });
        }
        Ok(())
    }

    fn serve(&self, read: &Read) -> Result<RaftCmdResponse> {
        let (region, kv) = (self.region(), self.kv());
        let serve = |request| {
            apply::check_request(request, region)?;
            apply::read(&Op::of(request)?, region, kv)?.ok_or(Error::Invalid("not a read"))
        };
        let responses = read.requests.iter().map(serve).collect::<Result<Vec<_>>>()?;
        Ok(self.response(responses))
    }

    pub(super) fn response(&self, responses: Vec<Response>) -> RaftCmdResponse {
        let current_term = self.raft().term();
        let header = Some(RaftResponseHeader { current_term, ..Default::default() });
        RaftCmdResponse { header, responses, admin_response: None }
    }

    /// The answer that says so, unless the peer itself is broken. What is refused depends on the
    /// entry and the state alone, so that all replicas refuse it.
    pub(super) fn refusal(&self, error: Error) -> Result<RaftCmdResponse> {
        use raft_core::{ConfChangeError, Error as CoreError};
        match error {
            Error::Corrupt { .. }
            | Error::Inconsistent(_)
            | Error::Raft(CoreError::ConfChange(ConfChangeError::Superseded(_))) => Err(error),
            Error::Raft(CoreError::ConfChange(_)) => Ok(error.to_response(self.raft().term())),
            // The storage fails, or the entry is none that this version knows.
            Error::Raft(_) => Err(error),
            error => Ok(error.to_response(self.raft().term())),
        }
    }
}

fn region_of(snapshot: &raft_core::eraftpb::Snapshot) -> Result<raft_core::proto::metapb::Region> {
    use raft_core::proto::raft_serverpb::RaftSnapshotData;
    let data: RaftSnapshotData = prost::Message::decode(snapshot.data.clone())
        .map_err(|error| Error::corrupt(b"snapshot", &error))?;
    data.region.ok_or_else(|| Error::Inconsistent("a snapshot without a region".into()))
}
