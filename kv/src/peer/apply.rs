//! What committed entries do.

use prost::Message;
use raft_core::eraftpb::{Entry, EntryType};
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, Session};
use raft_core::{EntryId, Tracer};

use super::{Answer, Executed, Peer, Work};
use crate::apply::{Op, check_requests, execute};
use crate::command;
use crate::error::{Error, Result};
use crate::region::check_epoch;
use crate::rules::SessionVerdict;

impl<T: Tracer> Peer<T> {
    pub(super) fn apply(&mut self, work: &mut Work) -> Result<()> {
        let mut last = None;
        for position in 0..work.applied.len() {
            last = Some(work.applied[position].index);
            self.apply_entry(position, work)?;
        }
        if let Some(last) = last {
            self.shorten_log(last, work)?;
            self.node.store_mut().set_applied(last, &mut work.batches.kv);
        }
        Ok(())
    }

    fn apply_entry(&mut self, position: usize, work: &mut Work) -> Result<()> {
        let entry = work.applied[position].clone();
        let settled = self.proposals.settle(EntryId::of(&entry));
        let term = self.raft().term();
        for token in settled.stale {
            work.answers.push(Answer::new(token, Error::StaleCommand.to_response(term)));
        }
        let response = match entry.entry_type() {
            EntryType::EntryNormal => self.apply_normal(&entry, work),
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                self.apply_membership(&entry, work)
            }
        };
        let response = response.or_else(|error| self.refusal(error))?;
        if let Some(token) = settled.proposer {
            work.answers.push(Answer::new(token, response));
        }
        Ok(())
    }

    fn apply_normal(&mut self, entry: &Entry, work: &mut Work) -> Result<RaftCmdResponse> {
        // A new leader's empty entry asks for nothing.
        if entry.data.is_empty() {
            return Ok(RaftCmdResponse::default());
        }
        let request = RaftCmdRequest::decode(entry.data.clone());
        let request = request.map_err(|error| Error::corrupt(b"proposal", &error))?;
        if let Some(admin) = &request.admin_request {
            return Ok(self.apply_compaction(admin, entry.index, work));
        }
        let Some(session) = request.session else {
            return self.execute(&request, entry.index, work);
        };
        let last = self.storage().sessions().last(session.client_id);
        match (self.config.store_rules.session_verdict)(last, session.sequence) {
            SessionVerdict::Execute => self.execute_in_session(&request, session, entry, work),
            SessionVerdict::Repeat => {
                let before = self.storage().sessions().answer(session.client_id)?;
                self.record(session, &before, (entry.index, false), work);
                Ok(self.response(before.responses))
            }
            SessionVerdict::Expired => Err(Error::SessionExpired(session.client_id)),
            SessionVerdict::Stale => {
                let (client, last) = (session.client_id, last.unwrap_or_default());
                Err(Error::StaleSequence { client, last })
            }
        }
    }

    fn execute_in_session(
        &mut self,
        request: &RaftCmdRequest,
        session: Session,
        entry: &Entry,
        work: &mut Work,
    ) -> Result<RaftCmdResponse> {
        let mut response = self.execute(request, entry.index, work)?;
        // The term is that of the answer, not of the command.
        let header = response.header.take();
        self.record(session, &response, (entry.index, true), work);
        response.header = header;
        Ok(response)
    }

    fn record(
        &mut self,
        session: Session,
        answer: &RaftCmdResponse,
        (index, effect): (u64, bool),
        work: &mut Work,
    ) {
        let Session { client_id: client, sequence } = session;
        let answer: bytes::Bytes = answer.encode_to_vec().into();
        let reply = answer.clone();
        work.executed.push(Executed { client, sequence, index, effect, reply });
        self.node.store_mut().change_sessions(&mut work.batches.kv, |sessions, writer| {
            sessions.record(client, sequence, answer, index, writer);
        });
    }

    /// Executes all requests of a command, or, if one of them is refused, none. Every replica
    /// decides the same: the verdict depends on the command and the state alone.
    fn execute(
        &mut self,
        request: &RaftCmdRequest,
        index: u64,
        work: &mut Work,
    ) -> Result<RaftCmdResponse> {
        let region = self.storage().shared_region();
        let header = request.header.as_ref();
        check_epoch(header.and_then(|header| header.region_epoch.as_ref()), None, &region)?;
        check_requests(request, &region)?;
        if let [only] = request.requests.as_slice()
            && matches!(Op::of(only)?, Op::OpenSession)
        {
            self.node.store_mut().change_sessions(&mut work.batches.kv, |sessions, writer| {
                sessions.open(index, writer);
            });
            return Ok(self.response(vec![command::open_session_response(index)]));
        }
        let mut writer = self.node.store_mut().writer(&mut work.batches.kv);
        let responses = request.requests.iter().map(|r| execute(r, &region, &mut writer));
        let responses = responses.collect::<Result<Vec<_>>>()?;
        Ok(self.response(responses))
    }
}
