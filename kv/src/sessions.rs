//! Sessions: a command that is sent again takes effect once (thesis 6.3).
//!
//! The table is part of the state machine: it is changed by log entries alone, all replicas change
//! it alike, and snapshots carry it. It is bounded: the session that was silent for longest gives
//! way, and its client is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use raft_core::proto::raft_cmdpb::RaftCmdResponse;
use raft_core::proto::raft_serverpb::SessionState;

use crate::engine::{MemEngine, WriteBatch};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::keys;
use crate::state_machine::StateMachine;

/// Sessions that are remembered. All replicas must agree on it, so it is no setting.
pub const SESSIONS_MAX: usize = 1_024;
/// Bytes of answers that are remembered, beyond the latest one.
pub const SESSION_BYTES_MAX: usize = 4 << 20;

/// The table of sessions, as it stands in the kv engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sessions {
    by_client: BTreeMap<u64, SessionState>,
    bytes: usize,
}

impl Sessions {
    /// Reads the table from the engine.
    pub(crate) fn load(region: u64, kv: &MemEngine) -> Result<Self> {
        let mut sessions = Self::default();
        let (start, end) = keys::sessions(region);
        for (key, value) in kv.range(&start, &end) {
            let client = keys::session_client(key)
                .ok_or_else(|| Error::Inconsistent("a session's key has no client".into()))?;
            let state =
                SessionState::decode(value.clone()).map_err(|error| Error::corrupt(key, &error))?;
            sessions.bytes += state.response.len();
            sessions.by_client.insert(client, state);
        }
        Ok(sessions)
    }

    /// Number of the last command of a session; 0 if there was none, nothing without a session.
    pub(crate) fn last(&self, client: u64) -> Option<u64> {
        self.by_client.get(&client).map(|state| state.sequence)
    }

    /// The answer to the last command of a session.
    pub(crate) fn answer(&self, client: u64) -> Result<RaftCmdResponse> {
        let response = self.by_client.get(&client).map(|state| state.response.clone());
        let response = RaftCmdResponse::decode(response.unwrap_or_default());
        response.map_err(|error| Error::corrupt(b"session", &error))
    }

    /// Opens a session; the entry's index is its name.
    pub(crate) fn open(&mut self, index: u64, writer: &mut Writer<'_>) {
        self.set(index, SessionState { used: index, ..Default::default() }, writer);
    }

    /// Records what a session did, in the entry at `index`, and its encoded answer.
    pub(crate) fn record(
        &mut self,
        client: u64,
        sequence: u64,
        response: Bytes,
        index: u64,
        writer: &mut Writer<'_>,
    ) {
        self.set(client, SessionState { sequence, response, used: index }, writer);
    }

    fn set(&mut self, client: u64, state: SessionState, writer: &mut Writer<'_>) {
        writer.put(keys::session(writer.region, client), state.encode_to_vec().into());
        self.bytes += state.response.len();
        if let Some(before) = self.by_client.insert(client, state) {
            self.bytes -= before.response.len();
        }
        while self.by_client.len() > SESSIONS_MAX || self.bytes > SESSION_BYTES_MAX {
            let others = self.by_client.iter().filter(|&(&id, _)| id != client);
            let Some(oldest) = others.min_by_key(|(_, state)| state.used).map(|(&id, _)| id) else {
                break;
            };
            self.forget(oldest, writer);
        }
    }

    fn forget(&mut self, client: u64, writer: &mut Writer<'_>) {
        if let Some(state) = self.by_client.remove(&client) {
            self.bytes -= state.response.len();
            writer.delete(&keys::session(writer.region, client));
        }
    }
}

/// Writes to the kv engine, so that whoever reads next sees it, and to the batch that makes it
/// durable.
pub(crate) struct Writer<'a> {
    pub(crate) region: u64,
    pub(crate) kv: &'a mut StateMachine,
    pub(crate) batch: &'a mut WriteBatch,
}

impl Writer<'_> {
    pub(crate) fn put(&mut self, key: Key, value: Bytes) {
        self.kv.put(&key, value.clone());
        self.batch.put(key, value);
    }

    pub(crate) fn delete(&mut self, key: &Key) {
        self.batch.delete(key.clone());
        self.kv.delete(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    fn with_writer(change: impl FnOnce(&mut Sessions, &mut Writer<'_>), sessions: &mut Sessions) {
        let (mut kv, mut batch) = (StateMachine::default(), WriteBatch::default());
        change(sessions, &mut Writer { region: 1, kv: &mut kv, batch: &mut batch });
    }

    fn encoded(size: usize) -> Bytes {
        answer(size).encode_to_vec().into()
    }

    fn answer(size: usize) -> RaftCmdResponse {
        let value = Some(vec![b'x'; size].into());
        let responses = vec![command::get_response(value)];
        RaftCmdResponse { responses, ..Default::default() }
    }

    #[test]
    fn the_table_is_read_back_from_the_engine() {
        let (mut kv, mut batch) = (StateMachine::default(), WriteBatch::default());
        let mut sessions = Sessions::default();
        let writer = &mut Writer { region: 1, kv: &mut kv, batch: &mut batch };
        sessions.open(7, writer);
        sessions.record(7, 3, encoded(10), 9, writer);
        sessions.open(8, writer);
        assert_eq!(
            (sessions.last(7), sessions.last(8), sessions.last(9)),
            (Some(3), Some(0), None)
        );
        assert_eq!(Sessions::load(1, &kv).unwrap(), sessions);
        assert_eq!(Sessions::load(2, &kv).unwrap(), Sessions::default(), "another region's");
        assert_eq!(sessions.answer(7).unwrap(), answer(10));
    }

    #[test]
    fn the_longest_silent_session_gives_way() {
        let mut sessions = Sessions::default();
        let fill = |sessions: &mut Sessions, writer: &mut Writer<'_>| {
            for index in 1..=SESSIONS_MAX as u64 {
                sessions.open(index, writer);
            }
            sessions.record(1, 1, encoded(0), 5_000, writer);
            sessions.open(6_000, writer);
        };
        with_writer(fill, &mut sessions);
        assert_eq!(sessions.by_client.len(), SESSIONS_MAX);
        assert_eq!(
            (sessions.last(1), sessions.last(2)),
            (Some(1), None),
            "2 was silent for longest"
        );
    }

    #[test]
    fn large_answers_are_bounded_but_the_latest_is_kept() {
        let mut sessions = Sessions::default();
        let fill = |sessions: &mut Sessions, writer: &mut Writer<'_>| {
            for index in 1..=9 {
                sessions.open(index, writer);
                sessions.record(index, 1, encoded(1 << 20), index, writer);
            }
            sessions.record(9, 2, encoded(6 << 20), 10, writer);
        };
        with_writer(fill, &mut sessions);
        assert_eq!(sessions.by_client.keys().collect::<Vec<_>>(), [&9]);
        assert_eq!(sessions.bytes, sessions.by_client[&9].response.len());
    }
}
