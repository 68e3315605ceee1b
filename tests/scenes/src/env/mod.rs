//! The world of a scene: peers, their network, and what they print.

mod act;
mod disk;
mod drive;
mod look;
mod network;
mod node;
mod output;
mod patience;
mod setup;

use std::collections::BTreeSet;
use std::str::FromStr;

use raft_core::{Error, RawNode};

use self::disk::Disk;
use self::network::Network;
use self::node::{Log, Node};
use self::output::Output;
use crate::judge::Judge;
use crate::script::Call;
use crate::{Result, Trouble, nonsense};

/// Everything that the commands of a scene act on.
#[derive(Default)]
pub(crate) struct Env {
    /// Peers `1..`.
    nodes: Vec<Node>,
    network: Network,
    out: Output,
    judge: Judge,
    /// Whether some peer breaks a rule on purpose, so that safety may break.
    lawless: bool,
    /// Violations that were told already.
    told: BTreeSet<String>,
}

/// A switch: `true` or `false` in any of Go's spellings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flag(pub(crate) bool);

impl FromStr for Flag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Self(true)),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

impl Env {
    /// What was printed since the last command began.
    pub(crate) fn printed(&self) -> &str {
        self.out.text()
    }

    /// Runs a command, and then those on its input lines, and returns what they printed.
    pub(crate) fn run(&mut self, call: Call, input: &[String]) -> Result<String> {
        self.out.take();
        if call.name == "propose-conf-change" {
            let done = self.propose_conf_change(call, input);
            return self.finish(done);
        }
        let mut done = self.run_one(call);
        if done.is_ok() {
            for line in input {
                done = Call::parse(line).and_then(|call| self.run_one(call));
                match &done {
                    // A refusal does not keep the other commands from running.
                    Err(Trouble::Refused(reason)) if !self.out.is_quiet() => self.out.raw(reason),
                    Err(_) => break,
                    Ok(()) => continue,
                }
                done = Ok(());
            }
        }
        self.finish(done)
    }

    /// What a command printed: with the refusal that ended it, and `ok` if that is nothing.
    fn finish(&mut self, done: Result<()>) -> Result<String> {
        match done {
            Ok(()) => {}
            // Even a scene that wants to hear nothing hears of refusals.
            Err(Trouble::Refused(reason)) if self.out.is_quiet() => return Ok(reason),
            Err(Trouble::Refused(reason)) => self.out.raw(&reason),
            Err(nonsense) => return Err(nonsense),
        }
        let text = self.out.take();
        Ok(if text.is_empty() { "ok".to_owned() } else { text })
    }

    fn run_one(&mut self, mut call: Call) -> Result<()> {
        match call.name.clone().as_str() {
            "add-nodes" => self.add_nodes(&mut call)?,
            "restart" => self.restart(&mut call)?,
            "log-level" => {
                let level: String = call.need("a log level")?;
                self.out.set_level_by_name(&level)?;
            }
            "process-ready"
            | "process-append-thread"
            | "process-apply-thread"
            | "stabilize"
            | "deliver-msgs"
            | "hold-msgs"
            | "release-msgs"
            | "duplicate-msgs"
            | "send-msg"
            | "send-snapshot" => self.drive(&mut call)?,
            "await" => self.wait(&mut call)?,
            // Where one may stop a debugger.
            "_breakpoint" => {}
            "raft-log" | "raft-state" | "status" | "logs" | "state-machine" | "compact" => {
                self.look(&mut call)?;
            }
            _ => self.act_on_one(&mut call)?,
        }
        call.finish()
    }

    fn node(&mut self, id: u64) -> Result<&mut Node> {
        let position = id.checked_sub(1).and_then(|position| usize::try_from(position).ok());
        match position.and_then(|position| self.nodes.get_mut(position)) {
            Some(node) => Ok(node),
            None => nonsense(format!("there is no peer {id}")),
        }
    }

    /// The peers that a command names, or all.
    fn named_or_all(&mut self, call: &mut Call) -> Result<Vec<u64>> {
        let ids = call.words("a peer")?;
        if ids.is_empty() {
            return Ok(self.nodes.iter().map(|node| node.id).collect());
        }
        for &id in &ids {
            self.node(id)?;
        }
        Ok(ids)
    }

    /// Lets a peer do one thing, prints what it logs, and judges what it has become.
    fn act<R>(
        &mut self,
        id: u64,
        deed: impl FnOnce(&mut RawNode<Disk, Log>) -> raft_core::Result<R>,
    ) -> Result<R> {
        let node = self.node(id)?;
        let done = deed(&mut node.raw);
        for (level, text) in node.raw.tracer_mut().take() {
            self.out.log(level, &text);
        }
        self.observe(id)?;
        done.map_err(|error| refused(&error))
    }

    fn observe(&mut self, id: u64) -> Result<()> {
        let view = self.node(id)?.view().map_err(|error| refused(&error))?;
        let verdict = self.judge.observe(view);
        self.heed(verdict)
    }

    /// A broken safety property ends the scene, unless that is its subject: then it is a line.
    fn heed(&mut self, verdict: std::result::Result<(), String>) -> Result<()> {
        match verdict {
            Err(violation) if !self.lawless => nonsense(format!("broken: {violation}")),
            Err(violation) => {
                if self.told.insert(violation.clone()) {
                    self.out.line(&format!("BROKEN {violation}"));
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// A refusal in etcd's words, or in our own where etcd has none.
fn refused(error: &Error) -> Trouble {
    Trouble::Refused(match error {
        Error::ProposalDropped(_) => "raft proposal dropped".to_owned(),
        Error::StepLocalMsg(_) => "raft: cannot step raft local message".to_owned(),
        Error::StepPeerNotFound(_) => "raft: cannot step as peer not found".to_owned(),
        Error::Storage(error) => error.to_string(),
        other => other.to_string(),
    })
}
