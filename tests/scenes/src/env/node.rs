//! One peer with its disk and the work of its two threads.

use std::collections::VecDeque;

use raft_core::describe::{Level, log_line};
use raft_core::eraftpb::Entry;
use raft_core::{Config, EntryId, Event, RawNode, Ready, Response, Storage, Tracer};

use super::disk::Disk;
use crate::judge::View;

/// The log lines of a peer that are not printed yet.
#[derive(Debug, Default)]
pub(crate) struct Log(Vec<(Level, String)>);

impl Log {
    pub(crate) fn take(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.0)
    }
}

impl Tracer for Log {
    fn trace(&mut self, id: u64, event: Event) {
        self.0.extend(log_line(id, &event));
    }
}

/// A write of the log that waits for its thread, and what waits for the write.
#[derive(Debug)]
pub(crate) struct AppendWork {
    pub(crate) ready: Ready,
    pub(crate) responses: Vec<Response>,
}

/// One peer.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) raw: RawNode<Disk, Log>,
    pub(crate) append_work: VecDeque<AppendWork>,
    pub(crate) apply_work: VecDeque<Vec<Entry>>,
}

impl Node {
    /// Starts a peer from its disk.
    pub(crate) fn start(config: Config, disk: Disk) -> raft_core::Result<Self> {
        let raw = RawNode::with_tracer(&config, disk, Log::default())?;
        Ok(Self {
            id: config.id,
            config,
            raw,
            append_work: VecDeque::new(),
            apply_work: VecDeque::new(),
        })
    }

    /// Pulls the plug and starts again: only what is on the disk stays.
    pub(crate) fn restart(&self) -> raft_core::Result<Self> {
        let disk = self.raw.store().clone();
        let config = Config { applied: disk.applied().index, ..self.config.clone() };
        Self::start(config, disk)
    }

    /// The peer as the judge sees it.
    pub(crate) fn view(&self) -> raft_core::Result<View> {
        let raft = self.raw.raft();
        let (hard_state, log) = (raft.hard_state(), raft.log());
        let index = log.first_index()?.saturating_sub(1);
        Ok(View {
            id: self.id,
            term: hard_state.term,
            role: raft.role(),
            commit: hard_state.commit,
            truncated: EntryId::new(log.term(index)?, index),
            entries: log.all_entries()?,
            voters: {
                let voters = &raft.tracker().configuration().voters;
                [&voters.incoming, &voters.outgoing].map(|half| half.as_slice().to_vec())
            },
        })
    }

    /// The peer as it would be after a crash now.
    pub(crate) fn view_of_disk(&self) -> raft_core::Result<View> {
        let disk = self.raw.store();
        let (hard_state, log) = (disk.hard_state(), disk.log());
        let index = log.first_index()?.saturating_sub(1);
        Ok(View {
            id: self.id,
            term: hard_state.term,
            commit: hard_state.commit.max(index),
            truncated: EntryId::new(log.term(index)?, index),
            entries: log.all_entries().to_vec(),
            ..View::default()
        })
    }
}
