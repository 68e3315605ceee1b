//! One peer on the stage: running or crashed, with a fast or a slow disk.

use raft_core::eraftpb::HardState;
use raft_core::{Config, EntryId, RawNode, Ready, StateRole, Storage, describe};

use super::Result;
use super::disk::Disk;
use super::history::View;

/// One peer.
pub(super) struct Node {
    config: Config,
    life: Life,
    /// Whether a `Ready` waits for the scene before it is saved.
    pub(super) slow: bool,
    /// The `Ready` that a slow disk is busy with.
    pub(super) in_hand: Option<Ready>,
    seen: Seen,
}

enum Life {
    Up(Box<RawNode<Disk>>),
    Down(Box<Disk>),
}

/// What was last told about the peer.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    role: StateRole,
    leader: u64,
    commit: u64,
    last: u64,
}

impl Node {
    /// A peer that is not started yet.
    pub(super) fn new(config: Config, disk: Disk) -> Self {
        Self {
            config,
            life: Life::Down(Box::new(disk)),
            slow: false,
            in_hand: None,
            seen: Seen::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.life, Life::Up(_))
    }

    /// The running peer.
    pub(super) fn raw(&mut self) -> Result<&mut RawNode<Disk>> {
        let id = self.config.id;
        match &mut self.life {
            Life::Up(raw) => Ok(raw),
            Life::Down(_) => Err(format!("n{id} is down").into()),
        }
    }

    /// What is on the peer's disk.
    pub(super) fn disk(&self) -> &Disk {
        match &self.life {
            Life::Up(raw) => raw.store(),
            Life::Down(disk) => disk,
        }
    }

    pub(super) fn disk_mut(&mut self) -> &mut Disk {
        match &mut self.life {
            Life::Up(raw) => raw.store_mut(),
            Life::Down(disk) => disk,
        }
    }

    /// Starts the peer from its disk.
    pub(super) fn start(&mut self) -> Result<()> {
        let Life::Down(disk) = &self.life else {
            return Err(format!("n{} is running", self.config.id).into());
        };
        self.config.applied = disk.applied();
        let raw = Box::new(RawNode::new(&self.config, Disk::clone(disk))?);
        self.life = Life::Up(raw);
        self.seen = self.look();
        Ok(())
    }

    /// Pulls the plug: only what is on the disk stays.
    pub(super) fn crash(&mut self) -> Result<()> {
        let disk = self.raw()?.store().clone();
        self.life = Life::Down(Box::new(disk));
        self.in_hand = None;
        Ok(())
    }

    pub(super) fn hard_state(&self) -> HardState {
        match &self.life {
            Life::Up(raw) => raw.raft().hard_state(),
            Life::Down(disk) => disk.hard_state(),
        }
    }

    /// The peer's name with its term, as messages show it.
    pub(super) fn name(&self) -> String {
        format!("n{}@{}", self.config.id, self.hard_state().term)
    }

    pub(super) fn role(&self) -> Option<StateRole> {
        match &self.life {
            Life::Up(raw) => Some(raw.raft().role()),
            Life::Down(_) => None,
        }
    }

    /// The peer for the checks.
    pub(super) fn view(&self) -> Result<View> {
        let HardState { term, commit, .. } = self.hard_state();
        let mut view = View {
            id: self.config.id,
            term,
            role: self.role().unwrap_or_default(),
            commit,
            ..View::default()
        };
        match &self.life {
            Life::Up(raw) => {
                let log = raw.raft().log();
                let index = log.first_index()? - 1;
                view.truncated = EntryId::new(log.term(index)?, index);
                view.entries = log.all_entries()?;
            }
            Life::Down(disk) => {
                view.truncated = disk.log().truncated();
                view.entries = disk.log().all_entries().to_vec();
            }
        }
        Ok(view)
    }

    fn look(&self) -> Seen {
        let Life::Up(raw) = &self.life else {
            return Seen::default();
        };
        let raft = raw.raft();
        Seen {
            role: raft.role(),
            leader: raft.leader(),
            commit: raft.log().committed(),
            last: raft.log().last_index(),
        }
    }

    /// What changed since the last call, one line a change. A message shows itself when it is sent;
    /// this is the rest.
    pub(super) fn changes(&mut self) -> Result<Vec<String>> {
        let (before, now) = (self.seen, self.look());
        self.seen = now;
        let (name, id) = (self.name(), self.config.id);
        let mut lines = Vec::new();
        if now.role != before.role {
            let (old, new) = (describe::role(before.role), describe::role(now.role));
            lines.push(format!("{name} {old} → {new}"));
        }
        if now.leader != before.leader && now.leader != 0 && now.leader != id {
            lines.push(format!("{name} follows n{}", now.leader));
        }
        let log = self.raw()?.raft().log();
        if now.role == StateRole::Leader && now.last > before.last {
            for entry in log.slice(before.last + 1, now.last + 1, u64::MAX)? {
                lines.push(format!("{name} append {}", super::words::entry(&entry)?));
            }
        }
        if now.commit > before.commit {
            let id = EntryId::new(log.term(now.commit)?, now.commit);
            lines.push(format!("{name} commit {id}"));
        }
        Ok(lines)
    }

    /// One line for the start of a peer: what it found on its disk.
    pub(super) fn birth(&self) -> Result<String> {
        let HardState { vote, commit, .. } = self.hard_state();
        let disk = self.disk();
        let index = disk.last_index()?;
        let (name, last) = (self.name(), EntryId::new(disk.term(index)?, index));
        let vote = super::words::peer(vote);
        Ok(format!("{name} start vote={vote} last={last} commit={commit}"))
    }
}
