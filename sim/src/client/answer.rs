//! What a client makes of an answer.

use raft_core::proto::errorpb;
use raft_core::proto::raft_cmdpb::{AdminResponse, RaftCmdResponse, Response};

use super::{Outcome, Reply, Request};
use crate::scenario::Op;

/// What a client does after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tell the user.
    End(Outcome),
    /// Ask again: the hinted leader, or the next peer.
    Retry { hint: Option<u64> },
}

impl Request {
    /// What the client makes of an answer.
    pub(crate) fn read(&self, response: &RaftCmdResponse) -> Next {
        if let Some(error) = response.header.as_ref().and_then(|header| header.error.as_ref()) {
            return self.read_error(error);
        }
        if let Some(admin) = &response.admin_response {
            return Next::End(Outcome::Done(read_admin(admin)));
        }
        self.reply(response)
            .map_or(Next::Retry { hint: None }, |reply| Next::End(Outcome::Done(reply)))
    }

    /// The result in an answer without an error.
    pub(crate) fn reply(&self, response: &RaftCmdResponse) -> Option<Reply> {
        let replies: Option<Vec<_>> = response.responses.iter().map(read_reply).collect();
        match (&self.op, replies) {
            (Op::Batch { ops }, Some(replies)) if replies.len() == ops.len() => {
                Some(Reply::Batch(replies))
            }
            (Op::Batch { .. }, _) | (_, None) => None,
            (_, Some(replies)) => replies.into_iter().next(),
        }
    }

    fn read_error(&self, error: &errorpb::Error) -> Next {
        match &error.not_leader {
            // Who asks one peer only wants to hear what that one says.
            Some(_) if self.only.is_some() && !self.may_have_effect() => {
                Next::End(Outcome::Refused(error.message.clone()))
            }
            Some(not_leader) => {
                Next::Retry { hint: not_leader.leader.map(|leader| leader.store_id) }
            }
            None if error.server_is_busy.is_some() => Next::Retry { hint: None },
            None if error.region_not_found.is_some() && self.only.is_none() => {
                Next::Retry { hint: None }
            }
            // It cannot take effect any more; whether it did, nobody can tell.
            None if error.session_expired.is_some() || error.stale_sequence.is_some() => {
                Next::End(if self.may_have_effect() {
                    Outcome::Unknown
                } else {
                    Outcome::Refused(error.message.clone())
                })
            }
            // An earlier attempt may take effect all the same: this refusal does not end it.
            None if error.stale_command.is_some() || self.may_have_effect() => {
                Next::Retry { hint: None }
            }
            None => Next::End(Outcome::Refused(error.message.clone())),
        }
    }
}

/// What became of an administrative operation.
fn read_admin(response: &AdminResponse) -> Reply {
    let region = response.change_peer.as_ref().and_then(|change| change.region.as_ref());
    region.map_or(Reply::Written, |region| {
        Reply::Members(region.peers.iter().map(|peer| peer.store_id).collect())
    })
}

fn read_reply(response: &Response) -> Option<Reply> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(get) = &response.get {
        Some(Reply::Value((!get.not_found).then(|| text(&get.value))))
    } else if let Some(scan) = &response.scan {
        let pairs = scan.pairs.iter().map(|pair| (text(&pair.key), text(&pair.value)));
        Some(Reply::Pairs(pairs.collect()))
    } else if let Some(deleted) = &response.delete_range {
        Some(Reply::Deleted(deleted.deleted))
    } else if let Some(swap) = &response.compare_and_swap {
        let previous = (!swap.previous_absent).then(|| text(&swap.previous));
        Some(Reply::Swapped { done: swap.swapped, previous })
    } else if let Some(opened) = &response.open_session {
        Some(Reply::Opened(opened.client_id))
    } else {
        (response.put.is_some() || response.delete.is_some()).then_some(Reply::Written)
    }
}
