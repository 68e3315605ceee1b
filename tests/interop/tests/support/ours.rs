//! A node of `raft-core`.

use raft_core::eraftpb::{ConfChangeV2, ConfState, HardState, Message, Snapshot, SnapshotMetadata};
use raft_core::{Config, MemStorage, ProgressState, RawNode, StateRole};

use super::{Answer, FIRST, Follower, Node, Output, Role, Setup, State};

pub(crate) struct Ours(pub(crate) RawNode<MemStorage>);

impl Ours {
    pub(crate) fn storage(setup: &Setup) -> MemStorage {
        let conf_state = ConfState {
            voters: setup.voters.clone(),
            learners: setup.learners.clone(),
            ..ConfState::default()
        };
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: FIRST, term: FIRST };
        let mut storage = MemStorage::new();
        let snapshot = Snapshot { metadata: Some(metadata), ..Snapshot::default() };
        storage.apply_snapshot(snapshot).unwrap();
        storage.set_hard_state(HardState { term: FIRST, vote: 0, commit: FIRST });
        storage
    }

    pub(crate) fn config(id: u64, setup: &Setup) -> Config {
        Config { applied: FIRST, priority: setup.priority, ..Config::new(id) }
    }
}

fn answer<T>(result: raft_core::Result<T>) -> Answer {
    result.map_or_else(|error| Answer::Refused(error.to_string()), |_| Answer::Taken)
}

impl Node for Ours {
    fn start(id: u64, setup: &Setup) -> Self {
        Self(RawNode::new(&Self::config(id, setup), Self::storage(setup)).unwrap())
    }

    fn step(&mut self, message: &Message) -> Answer {
        answer(self.0.step(message.clone()))
    }

    fn tick(&mut self) {
        self.0.tick().unwrap();
    }

    fn campaign(&mut self) -> Answer {
        answer(self.0.campaign())
    }

    fn propose(&mut self, data: &str) -> Answer {
        answer(self.0.propose(data.to_owned()))
    }

    fn read(&mut self, context: &str) -> Answer {
        answer(self.0.read_index(context.to_owned()))
    }

    fn apply_change(&mut self, change: &ConfChangeV2) {
        self.0.apply_conf_change(change).unwrap();
    }

    fn request_snapshot(&mut self) -> Answer {
        answer(self.0.request_snapshot())
    }

    fn work(&mut self) -> Output {
        let mut output = Output::default();
        while self.0.has_ready() {
            let mut ready = self.0.ready().unwrap();
            let store = self.0.store_mut();
            if let Some(snapshot) = ready.snapshot.take() {
                store.apply_snapshot(*snapshot).unwrap();
            }
            store.append(&ready.entries).unwrap();
            if let Some(state) = ready.hard_state {
                store.set_hard_state(state);
            }
            output.messages.append(&mut ready.messages);
            output.applied.append(&mut ready.committed_entries);
            let reads = ready.read_states.drain(..);
            output.reads.extend(reads.map(|read| (read.context.to_vec(), read.index)));
            self.0.advance(ready).unwrap();
        }
        output
    }

    fn messages_before_sync(&mut self) -> Vec<Message> {
        // The synchronous way has none.
        self.0.ready().unwrap();
        Vec::new()
    }

    fn compact(&mut self, index: u64) {
        let store = self.0.store_mut();
        store.create_snapshot(index, None, "").unwrap();
        store.compact(index).unwrap();
    }

    fn role(&self) -> Role {
        match self.0.raft().role() {
            StateRole::Follower => Role::Follower,
            StateRole::PreCandidate => Role::PreCandidate,
            StateRole::Candidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        }
    }

    fn term(&self) -> u64 {
        self.0.raft().term()
    }

    fn committed(&self) -> u64 {
        self.0.raft().log().committed()
    }

    fn last(&self) -> u64 {
        self.0.raft().log().last_index()
    }

    fn follower(&self, id: u64) -> Follower {
        let progress = self.0.raft().progress(id).unwrap();
        let state = match progress.state {
            ProgressState::Probe => State::Probe,
            ProgressState::Replicate => State::Replicate,
            ProgressState::Snapshot => State::Snapshot,
        };
        Follower { matched: progress.matched, next: progress.next, state }
    }
}
