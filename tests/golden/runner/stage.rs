//! The stage: peers, their network, and the loop that turns what they do into lines.

use std::collections::BTreeMap;

use raft_core::eraftpb::{Entry, Message};
use raft_core::{Config, EntryId, RawNode, Ready, Rules, conf_change_of, describe};

use super::disk::Disk;
use super::history::History;
use super::network::{Filter, Network, Packet};
use super::node::Node;
use super::{Result, words};

/// Everything a scene acts on.
#[derive(Default)]
pub(super) struct Stage {
    rules: Rules,
    template: Option<Config>,
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) network: Network,
    history: History,
    /// The members of the beginning.
    founders: Vec<u64>,
    started: bool,
    /// What the current command has printed so far.
    pub(super) lines: Vec<String>,
}

impl Stage {
    /// An empty stage whose peers will follow `rules`.
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Sets up peers `1..=count`, not started yet, with the settings of `template`.
    pub(super) fn set_up(&mut self, count: u64, template: Config) -> Result<()> {
        if self.template.is_some() {
            return Err("there is a cluster already".into());
        }
        self.founders = (1..=count).collect();
        self.template = Some(template);
        for id in 1..=count {
            self.add(id, self.founders.clone())?;
        }
        Ok(())
    }

    /// Puts another peer on the stage, not started yet. `members` is what it is told about the
    /// cluster.
    fn add(&mut self, id: u64, members: Vec<u64>) -> Result<()> {
        let template = self.template.clone().ok_or("a scene begins with `cluster`")?;
        let rules = self.rules;
        let config = Config { id, rules: rules.into(), ..template };
        let node = Node::new(config, Disk::new(members));
        match self.nodes.insert(id, node) {
            None => Ok(()),
            Some(_) => Err(format!("n{id} exists").into()),
        }
    }

    /// Starts the peers if this is the first command that needs them running.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.template.is_none() {
            return Err("a scene begins with `cluster`".into());
        }
        if !std::mem::replace(&mut self.started, true) {
            for id in self.founders.clone() {
                self.node(id)?.start()?;
                self.born(id)?;
            }
        }
        Ok(())
    }

    /// The disk of a peer before the scene starts.
    pub(super) fn blank_disk(&mut self, id: u64) -> Result<&mut Disk> {
        if self.started {
            return Err("the peers have started: their disks are theirs".into());
        }
        Ok(self.node(id)?.disk_mut())
    }

    pub(super) fn node(&mut self, id: u64) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(|| format!("there is no n{id}").into())
    }

    pub(super) fn running(&self) -> Vec<u64> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up());
        up.map(|(&id, _)| id).collect()
    }

    /// A new peer joins the stage, told that the cluster began with `members`.
    pub(super) fn join(&mut self, id: u64, members: Vec<u64>) -> Result<()> {
        self.add(id, members)?;
        self.restart(id)
    }

    pub(super) fn founders(&self) -> Vec<u64> {
        self.founders.clone()
    }

    /// Starts a peer again from its disk, with a line about what it found there.
    pub(super) fn restart(&mut self, id: u64) -> Result<()> {
        let node = self.node(id)?;
        node.start()?;
        let line = node.birth()?;
        self.lines.push(line);
        self.born(id)
    }

    fn born(&mut self, id: u64) -> Result<()> {
        let applied = self.node(id)?.disk().applied();
        self.history.started(id, applied)?;
        self.observe(id)?;
        self.settle(id)
    }

    pub(super) fn crash(&mut self, id: u64) -> Result<()> {
        let node = self.node(id)?;
        node.crash()?;
        let left = node.view()?;
        self.history.lost_power(left);
        Ok(())
    }

    /// Lets a peer do one thing, tells what changed, checks it, and serves its `Ready`s. A refusal
    /// by the core is part of the story.
    pub(super) fn act<T>(
        &mut self,
        id: u64,
        deed: impl FnOnce(&mut RawNode<Disk>) -> raft_core::Result<T>,
    ) -> Result<()> {
        self.begin()?;
        let node = self.node(id)?;
        if let Err(error) = deed(node.raw()?) {
            let line = format!("{} error: {error}", node.name());
            self.lines.push(line);
        }
        self.notice(id)?;
        self.settle(id)
    }

    /// Tells what changed in a peer, and checks it.
    fn notice(&mut self, id: u64) -> Result<()> {
        let changes = self.node(id)?.changes()?;
        self.lines.extend(changes);
        self.observe(id)
    }

    fn observe(&mut self, id: u64) -> Result<()> {
        let view = self.node(id)?.view()?;
        self.history.observe(view)
    }

    /// Serves a peer's `Ready`s until it has none, or until its slow disk is busy.
    pub(super) fn settle(&mut self, id: u64) -> Result<()> {
        loop {
            let node = self.node(id)?;
            if node.in_hand.is_some() || !node.raw()?.has_ready() {
                return Ok(());
            }
            let ready = node.raw()?.ready()?;
            if node.slow {
                let line = format!("{} {}", node.name(), describe::ready(&ready));
                node.in_hand = Some(ready);
                self.lines.push(line);
            } else {
                self.serve(id, ready)?;
            }
        }
    }

    /// Completes a `Ready` in the order that the core asks for: save, send, apply, advance.
    pub(super) fn serve(&mut self, id: u64, mut ready: Ready) -> Result<()> {
        self.save(id, &ready)?;
        for message in std::mem::take(&mut ready.messages) {
            self.send(id, message)?;
        }
        for entry in &ready.committed_entries {
            self.apply(id, entry)?;
        }
        self.node(id)?.raw()?.advance(ready)?;
        self.notice(id)
    }

    fn save(&mut self, id: u64, ready: &Ready) -> Result<()> {
        let node = self.node(id)?;
        let lost = node.raw()?.store_mut().save(ready)?;
        if !lost.is_empty() {
            let lost: Vec<_> = lost.iter().map(EntryId::to_string).collect();
            let line = format!("{} drop [{}]", node.name(), lost.join(" "));
            self.lines.push(line);
        }
        if let Some(snapshot) = &ready.snapshot {
            let last = EntryId::of_snapshot(snapshot);
            let node = self.node(id)?;
            let members = words::list(&node.disk().members().voters);
            let line = format!("{} restore {last} members={members}", node.name());
            let state = node.disk().state();
            self.lines.push(line);
            self.history.restored(id, last.index, &state)?;
        }
        Ok(())
    }

    fn send(&mut self, sender: u64, message: Message) -> Result<()> {
        let node = self.nodes.get(&sender).ok_or("a message from nobody")?;
        self.history.sent(&message, node.disk())?;
        self.history.acknowledged(&message, node.disk())?;
        let packet = Packet { sender, message };
        let line = describe::message(&packet.message);
        if self.is_lost(&packet) {
            self.lines.push(format!("{line} (lost)"));
        } else {
            self.lines.push(line);
            self.network.send(packet);
        }
        Ok(())
    }

    /// Whether a packet cannot arrive now: its link is cut or its receiver is down.
    fn is_lost(&self, packet: &Packet) -> bool {
        let receiver = self.nodes.get(&packet.message.to);
        self.network.is_cut(packet) || !receiver.is_some_and(Node::is_up)
    }

    fn apply(&mut self, id: u64, entry: &Entry) -> Result<()> {
        let node = self.node(id)?;
        let raw = node.raw()?;
        let mut line = words::entry(entry)?;
        raw.store_mut().apply(entry.index, words::command(entry)?);
        if let Some(change) = conf_change_of(entry)? {
            let members = raw.apply_conf_change(&change)?;
            line.push_str(&format!(" members={}", words::list(&members.voters)));
            raw.store_mut().set_members(members);
        }
        let state = raw.store().state();
        let line = format!("{} apply {line}", node.name());
        self.lines.push(line);
        self.history.applied(id, entry.index, &state)?;
        self.notice(id)
    }

    /// Hands a message to its receiver, or loses it on the way.
    pub(super) fn deliver(&mut self, packet: Packet) -> Result<()> {
        if self.is_lost(&packet) {
            let line = describe::message(&packet.message);
            self.lines.push(format!("{line} (lost)"));
            return Ok(());
        }
        self.act(packet.message.to, |raw| raw.step(packet.message))
    }

    /// Delivers messages, and what they give rise to, until none is under way.
    pub(super) fn stabilize(&mut self, filter: &Filter) -> Result<()> {
        const LIMIT: usize = 10_000;
        for _ in 0..LIMIT {
            match self.network.take_first(filter) {
                Some(packet) => self.deliver(packet)?,
                None => return Ok(()),
            }
        }
        Err(format!("no rest after {LIMIT} messages").into())
    }
}
