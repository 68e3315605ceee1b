//! `add-nodes` and `restart`: peers, their settings and their first disks.

use raft_core::eraftpb::{ConfState, Entry, HardState};
use raft_core::{Appends, Config, EntryId, ReadOnly, Rules, SelfAck};

use super::disk::{Disk, snapshot_of};
use super::node::Node;
use super::{Env, Flag, refused};
use crate::rules::Breach;
use crate::script::Call;
use crate::{Result, Trouble, nonsense};

/// What is on a new peer's disk.
#[derive(Clone, Debug, Default, PartialEq)]
struct Preload {
    members: ConfState,
    index: u64,
    content: String,
    /// Terms of the entries after `index`.
    terms: Vec<u64>,
    hard_state: Option<HardState>,
}

impl Env {
    /// `add-nodes 3 voters=(1,2,3) index=10 …`
    pub(super) fn add_nodes(&mut self, call: &mut Call) -> Result<()> {
        let count: u64 = call.need("a number of peers")?;
        let mut template = config_like_etcd();
        let preload = Preload::take(call)?;
        template.applied = preload.index.max(preload.commit());
        behaviour(call, &mut template)?;
        limits(call, &mut template)?;
        for breach in call.list::<Breach>("rules")?.unwrap_or_default() {
            let mut rules = Rules::clone(&template.rules);
            breach.apply(&mut rules);
            template.rules = rules.into();
            self.lawless = true;
        }
        for _ in 0..count {
            let id = self.nodes.len() as u64 + 1;
            let config = Config { id, ..template.clone() };
            self.add_node(config, preload.disk()?)?;
        }
        Ok(())
    }

    fn add_node(&mut self, config: Config, disk: Disk) -> Result<()> {
        let (id, applied) = (config.id, disk.applied().index);
        let node = Node::start(config, disk).map_err(|error| refused(&error))?;
        self.nodes.push(node);
        self.born(id, applied)
    }

    /// `restart 1`: only what is on the disk survives.
    pub(super) fn restart(&mut self, call: &mut Call) -> Result<()> {
        let id: u64 = call.need("a peer")?;
        let node = self.node(id)?;
        let left = node.view_of_disk().map_err(|error| refused(&error))?;
        let applied = node.raw.store().applied().index;
        *node = node.restart().map_err(|error| refused(&error))?;
        self.network.forget_local(id);
        self.judge.lost_power(left);
        self.born(id, applied)
    }

    fn born(&mut self, id: u64, applied: u64) -> Result<()> {
        for (level, text) in self.node(id)?.raw.tracer_mut().take() {
            self.out.log(level, &text);
        }
        let verdict = self.judge.started(id, applied);
        self.heed(verdict)?;
        self.observe(id)
    }
}

/// A peer that behaves as etcd's does, without any limit, and with time-outs that a scene can count
/// on its fingers.
fn config_like_etcd() -> Config {
    Config {
        election_tick: 3,
        heartbeat_tick: 1,
        max_size_per_msg: u64::MAX,
        max_inflight_msgs: u32::MAX,
        step_down_on_removal: false,
        share_commit: false,
        give_up_snapshot_after: 0,
        self_ack: SelfAck::OnPersist,
        appends: Appends::Eager,
        ..Config::new(1)
    }
}

fn behaviour(call: &mut Call, config: &mut Config) -> Result<()> {
    let switches = [
        ("async-storage-writes", &mut config.async_persist),
        ("prevote", &mut config.pre_vote),
        ("checkquorum", &mut config.check_quorum),
        ("step-down-on-removal", &mut config.step_down_on_removal),
        ("forward-proposals", &mut config.forward_proposals),
        ("broadcast-commit", &mut config.broadcast_commit),
        ("share-commit", &mut config.share_commit),
    ];
    for (key, slot) in switches {
        if let Some(Flag(on)) = call.find(key)? {
            *slot = on;
        }
    }
    if let Some(Flag(off)) = call.find("disable-conf-change-validation")? {
        config.validate_conf_changes = !off;
    }
    config.read_only = choice(call, "read-only", config.read_only, |name| match name {
        "safe" => Some(ReadOnly::Safe),
        "lease-based" => Some(ReadOnly::LeaseBased),
        _ => None,
    })?;
    config.self_ack = choice(call, "self-ack", config.self_ack, |name| match name {
        "on-persist" => Some(SelfAck::OnPersist),
        "on-append" => Some(SelfAck::OnAppend),
        _ => None,
    })?;
    config.appends = choice(call, "appends", config.appends, |name| match name {
        "eager" => Some(Appends::Eager),
        "coalesced" => Some(Appends::Coalesced),
        _ => None,
    })?;
    Ok(())
}

fn choice<T>(call: &mut Call, key: &str, old: T, of: fn(&str) -> Option<T>) -> Result<T> {
    match call.find::<String>(key)? {
        None => Ok(old),
        Some(name) => match of(&name) {
            Some(new) => Ok(new),
            None => nonsense(format!("`{name}` is not a value for {key}")),
        },
    }
}

fn limits(call: &mut Call, config: &mut Config) -> Result<()> {
    call.set("election-tick", &mut config.election_tick)?;
    call.set("heartbeat-tick", &mut config.heartbeat_tick)?;
    call.set("inflight", &mut config.max_inflight_msgs)?;
    call.set("inflight-bytes", &mut config.max_inflight_bytes)?;
    call.set("max-size", &mut config.max_size_per_msg)?;
    call.set("max-committed-size-per-ready", &mut config.max_committed_size_per_ready)?;
    call.set("max-uncommitted", &mut config.max_uncommitted_size)?;
    call.set("pending-reads", &mut config.max_pending_reads)?;
    call.set("give-up-snapshot-after", &mut config.give_up_snapshot_after)?;
    call.set("priority", &mut config.priority)?;
    call.set("seed", &mut config.seed)
}

impl Preload {
    fn take(call: &mut Call) -> Result<Self> {
        let mut preload = Self::default();
        for (key, ids) in [
            ("voters", &mut preload.members.voters),
            ("learners", &mut preload.members.learners),
            ("voters-outgoing", &mut preload.members.voters_outgoing),
            ("learners-next", &mut preload.members.learners_next),
        ] {
            *ids = call.list(key)?.unwrap_or_default();
        }
        if let Some(Flag(on)) = call.find("autoleave")? {
            preload.members.auto_leave = on;
        }
        call.set("index", &mut preload.index)?;
        call.set("content", &mut preload.content)?;
        preload.terms = call.list("log")?.unwrap_or_default();
        let (term, vote, commit) = (call.find("term")?, call.find("vote")?, call.find("commit")?);
        if !preload.terms.is_empty() || term.is_some() || vote.is_some() || commit.is_some() {
            preload.hard_state = Some(HardState {
                term: term.or(preload.terms.last().copied()).unwrap_or(0),
                vote: vote.unwrap_or(0),
                commit: commit.unwrap_or(preload.index),
            });
        } else if preload.index <= 1 && preload != Self::default() {
            // etcd's storage cannot tell a snapshot at index 1 from none.
            return Err(Trouble::Refused(
                "index must be specified as > 1 due to bootstrap".to_owned(),
            ));
        }
        Ok(preload)
    }

    fn disk(&self) -> Result<Disk> {
        let term = u64::from(self.index > 0);
        let id = EntryId::new(term, self.index);
        let state = snapshot_of(id, self.members.clone(), self.content.clone());
        let write = |mut disk: Disk| {
            let entries: Vec<_> = (self.index + 1..)
                .zip(&self.terms)
                .map(|(index, &term)| Entry { term, index, ..Entry::default() })
                .collect();
            disk.write(self.hard_state, None, &entries)?;
            let applied = entries.iter().filter(|entry| entry.index <= self.commit());
            applied.for_each(|entry| disk.apply(EntryId::of(entry), &[], None));
            Ok(disk)
        };
        Disk::new(state).and_then(write).map_err(|error| refused(&error.into()))
    }

    fn commit(&self) -> u64 {
        self.hard_state.map_or(0, |state| state.commit)
    }
}
