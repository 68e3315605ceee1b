//! The console's history.

use raft_sim::{Outcome, Reply, Request};

use crate::playground::Playground;

/// Requests that are shown.
const SHOWN: usize = 40;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// No answer yet.
    Waiting,
    /// Answered, but the browser's disk does not have it yet.
    Saving,
    /// It took effect.
    Done,
    /// It has no effect.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// Its number.
    pub id: u64,
    /// What it asks.
    pub text: String,
    /// The peer that is, or was last, asked.
    pub target: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// Where it stands.
    pub state: RequestState,
    /// The result in words.
    pub result: String,
    /// Virtual milliseconds from the first attempt to the end.
    pub latency_ms: Option<u64>,
}

/// The latest requests, latest first.
pub(super) fn lines(playground: &Playground) -> Vec<RequestLine> {
    playground.world().requests().rev().take(SHOWN).map(|r| line(playground, r)).collect()
}

fn line(playground: &Playground, request: &Request) -> RequestLine {
    let settled = playground.is_settled(request.id);
    let (state, result) = match &request.outcome {
        None => (RequestState::Waiting, "waiting for an answer".into()),
        Some(_) if !settled => (RequestState::Saving, "saving".into()),
        Some(Outcome::Done(reply)) => (RequestState::Done, reply_text(reply)),
        Some(Outcome::Refused(reason)) => (RequestState::Refused, format!("refused: {reason}")),
        Some(Outcome::Unknown) => {
            (RequestState::Unknown, "no answer: it may or may not have taken effect".into())
        }
    };
    RequestLine {
        id: request.id,
        text: request.op.to_string(),
        target: request.target,
        attempts: request.attempts,
        state,
        result,
        latency_ms: request.ended_us.map(|end| (end - request.invoked_us) / 1_000),
    }
}

fn reply_text(reply: &Reply) -> String {
    match reply {
        Reply::Written => "ok".into(),
        Reply::Value(None) => "not found".into(),
        Reply::Value(Some(value)) => format!("= “{value}”"),
        Reply::Pairs(pairs) if pairs.is_empty() => "no keys".into(),
        Reply::Pairs(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{key} = “{value}”"));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Reply::Deleted(_)
        | Reply::Swapped { .. }
        | Reply::Batch(_)
        | Reply::Members(_)
        | Reply::Opened(_) => reply.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::{Command, Op, Scenario};

    #[test]
    fn a_request_is_waiting_then_saving_then_done() {
        let mut playground = Playground::new(&Scenario::new(1), true).unwrap();
        let _everything = playground.keep_saved(0);
        let op = Op::Put { key: "k".into(), value: "v".into() };
        playground.apply(Command::request(op)).unwrap();
        let state = |playground: &Playground| lines(playground)[0].state;
        assert_eq!(state(&playground), RequestState::Waiting);
        playground.step(3_000);
        playground.note_pushed(1);
        assert_eq!(state(&playground), RequestState::Saving);
        playground.note_durable(1);
        assert_eq!(state(&playground), RequestState::Done);
        let line = &lines(&playground)[0];
        assert_eq!((line.text.as_str(), line.result.as_str()), ("put k=v", "ok"));
        assert!(line.latency_ms.is_some_and(|ms| ms > 0));
    }
}
