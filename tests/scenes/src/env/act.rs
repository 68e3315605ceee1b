//! Commands that make one peer do something.

use raft_core::eraftpb::{
    ConfChange, ConfChangeTransition, ConfChangeV2, Entry, Message, MessageType,
};
use raft_core::{SnapshotStatus, StateRole};

use super::{Env, Flag};
use crate::confchange::parse_changes;
use crate::script::Call;
use crate::{Result, Trouble, nonsense};

impl Env {
    pub(super) fn act_on_one(&mut self, call: &mut Call) -> Result<()> {
        match call.name.as_str() {
            "campaign" => {
                let id = call.need("a peer")?;
                self.act(id, raft_core::RawNode::campaign).map(drop)
            }
            "propose" => {
                let (id, data): (_, String) = (call.need("a peer")?, call.need("data")?);
                self.act(id, |raw| raw.propose(data)).map(drop)
            }
            "forget-leader" => {
                let id = call.need("a peer")?;
                self.act(id, |raw| Ok(raw.forget_leader())).map(drop)
            }
            "tick" | "tick-election" | "tick-heartbeat" => self.tick(call),
            "set-randomized-election-timeout" => self.set_timeout(call),
            "transfer-leadership" => self.transfer(call),
            "report-unreachable" | "report-snapshot" => self.report(call),
            "read-index" => {
                let (id, context): (_, String) = (call.need("a peer")?, call.need("a context")?);
                self.judge.asked(context.clone().into());
                self.act(id, |raw| raw.read_index(context))
            }
            "request-snapshot" => {
                let id = call.need("a peer")?;
                self.act(id, raft_core::RawNode::request_snapshot)
            }
            other => nonsense(format!("unknown command `{other}`")),
        }
    }

    /// `tick 1 5`, or as many ticks as an election or a heartbeat takes.
    fn tick(&mut self, call: &mut Call) -> Result<()> {
        let id = call.need("a peer")?;
        let config = &self.node(id)?.config;
        let count = match call.name.as_str() {
            "tick-election" => config.election_tick,
            "tick-heartbeat" => config.heartbeat_tick,
            _ => call.need("a number of ticks")?,
        };
        (0..count).try_for_each(|_| self.act(id, raft_core::RawNode::tick))
    }

    /// `set-randomized-election-timeout 1 timeout=5`
    fn set_timeout(&mut self, call: &mut Call) -> Result<()> {
        let (id, timeout) = (call.need("a peer")?, call.need_key("timeout")?);
        if timeout == 0 {
            return nonsense("a time-out of no ticks");
        }
        self.node(id)?.raw.set_randomized_election_timeout(timeout);
        Ok(())
    }

    /// `transfer-leadership from=1 to=4`
    fn transfer(&mut self, call: &mut Call) -> Result<()> {
        let (from, to) = (call.need_key("from")?, call.need_key("to")?);
        self.node(to)?;
        self.act(from, |raw| raw.transfer_leader(to)).map(drop)
    }

    /// `report-unreachable 1 2` and `report-snapshot 1 2 status=failure`
    fn report(&mut self, call: &mut Call) -> Result<()> {
        let (id, about) = (call.need("a peer")?, call.need("another peer")?);
        if call.name == "report-unreachable" {
            return self.act(id, |raw| {
                raw.report_unreachable(about);
                Ok(())
            });
        }
        let status = match call.need_key::<String>("status")?.as_str() {
            "finish" => SnapshotStatus::Finish,
            "failure" => SnapshotStatus::Failure,
            other => return nonsense(format!("`{other}` is not a value for status")),
        };
        self.act(id, |raw| {
            raw.report_snapshot(about, status);
            Ok(())
        })
    }

    /// `propose-conf-change 1 v1=true` or `transition=explicit`, with the changes as input.
    pub(super) fn propose_conf_change(&mut self, mut call: Call, input: &[String]) -> Result<()> {
        let id = call.need("a peer")?;
        let v1 = call.find::<Flag>("v1")?.is_some_and(|flag| flag.0);
        let transition = match call.find::<String>("transition")?.as_deref() {
            None | Some("auto") => ConfChangeTransition::Auto,
            Some("implicit") => ConfChangeTransition::Implicit,
            Some("explicit") => ConfChangeTransition::Explicit,
            Some(other) => return nonsense(format!("`{other}` is not a value for transition")),
        };
        call.finish()?;
        let changes = parse_changes(input)?;
        if !v1 {
            let transition = transition.into();
            let change = ConfChangeV2 { transition, changes, ..ConfChangeV2::default() };
            return self.propose_change(id, change);
        }
        match changes.as_slice() {
            [only] if transition == ConfChangeTransition::Auto => {
                let (change_type, node_id) = (only.change_type, only.node_id);
                self.propose_change(
                    id,
                    ConfChange { change_type, node_id, ..ConfChange::default() },
                )
            }
            _ => Err(Trouble::Refused(
                "v1 conf change can only have one operation and no transition".to_owned(),
            )),
        }
    }

    /// A change that does not fit is an error to its proposer here. In etcd it becomes an empty
    /// entry, as it does here when it comes from another peer: so the leader gets it that way.
    fn propose_change(
        &mut self,
        id: u64,
        change: impl Into<ConfChangeV2> + Into<Entry> + Clone,
    ) -> Result<()> {
        if self.node(id)?.raw.raft().role() != StateRole::Leader {
            return self.act(id, |raw| raw.propose_conf_change(change)).map(drop);
        }
        let mut message = Message { to: id, from: id + 1, ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        message.entries.push(change.into());
        self.act(id, |raw| raw.step(message)).map(drop)
    }
}
