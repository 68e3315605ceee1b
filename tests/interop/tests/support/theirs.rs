//! A node of the crate `raft` 0.7.

use std::panic::{AssertUnwindSafe, catch_unwind};

use raft::eraftpb as pb;
use raft::storage::MemStorage;
use raft::{Config, ProgressState, RawNode, StateRole};
use raft_core::eraftpb::{ConfChangeV2, Entry, Message};

use super::{Answer, FIRST, Follower, Node, Output, Role, Setup, State};

pub(crate) struct Theirs(pub(crate) RawNode<MemStorage>);

/// Our form of their message, over the wire.
fn ours<O: prost::Message + Default>(theirs: &impl protobuf::Message) -> O {
    O::decode(theirs.write_to_bytes().unwrap().as_slice()).unwrap()
}

/// Their form of our message, over the wire.
pub(crate) fn theirs<T: protobuf::Message>(ours: &impl prost::Message) -> T {
    T::parse_from_bytes(&ours.encode_to_vec()).unwrap()
}

pub(crate) fn caught(call: impl FnOnce() -> raft::Result<()>) -> Answer {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => Answer::Taken,
        Ok(Err(error)) => Answer::Refused(error.to_string()),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Answer::Panicked(text.unwrap_or_default().to_owned())
        }
    }
}

impl Theirs {
    pub(crate) fn storage(setup: &Setup) -> MemStorage {
        let storage = MemStorage::new();
        let mut snapshot = pb::Snapshot::default();
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (FIRST, FIRST);
        let members = (setup.voters.clone(), setup.learners.clone());
        metadata.set_conf_state(pb::ConfState::from(members));
        storage.wl().apply_snapshot(snapshot).unwrap();
        storage
    }

    pub(crate) fn config(id: u64, setup: &Setup) -> Config {
        Config {
            election_tick: 10,
            heartbeat_tick: 1,
            applied: FIRST,
            max_size_per_msg: 1 << 20,
            batch_append: setup.batch_append,
            priority: setup.priority,
            ..Config::new(id)
        }
    }

    pub(crate) fn logger() -> slog::Logger {
        slog::Logger::root(slog::Discard, slog::o!())
    }

    fn collect(output: &mut Output, messages: &[pb::Message], committed: &[pb::Entry]) {
        output.messages.extend(messages.iter().map(ours::<Message>));
        output.applied.extend(committed.iter().map(ours::<Entry>));
    }
}

impl Node for Theirs {
    fn start(id: u64, setup: &Setup) -> Self {
        let (config, storage) = (Self::config(id, setup), Self::storage(setup));
        Self(RawNode::new(&config, storage, &Self::logger()).unwrap())
    }

    fn step(&mut self, message: &Message) -> Answer {
        let message = theirs(message);
        caught(|| self.0.step(message))
    }

    fn tick(&mut self) {
        self.0.tick();
    }

    fn campaign(&mut self) -> Answer {
        caught(|| self.0.campaign())
    }

    fn propose(&mut self, data: &str) -> Answer {
        caught(|| self.0.propose(Vec::new(), data.into()))
    }

    fn read(&mut self, context: &str) -> Answer {
        self.0.read_index(context.into());
        Answer::Taken
    }

    fn apply_change(&mut self, change: &ConfChangeV2) {
        let members = self.0.apply_conf_change(&theirs::<pb::ConfChangeV2>(change)).unwrap();
        self.0.mut_store().wl().set_conf_state(members);
    }

    fn request_snapshot(&mut self) -> Answer {
        caught(|| self.0.request_snapshot())
    }

    fn work(&mut self) -> Output {
        let mut output = Output::default();
        while self.0.has_ready() {
            let mut ready = self.0.ready();
            let store = self.0.mut_store().clone();
            let messages = ready.take_messages();
            Self::collect(&mut output, &messages, &ready.take_committed_entries());
            if !ready.snapshot().is_empty() {
                store.wl().apply_snapshot(ready.snapshot().clone()).unwrap();
            }
            store.wl().append(ready.entries()).unwrap();
            if let Some(state) = ready.hs() {
                store.wl().set_hardstate(state.clone());
            }
            Self::collect(&mut output, &ready.take_persisted_messages(), &[]);
            let reads = ready.take_read_states().into_iter();
            output.reads.extend(reads.map(|read| (read.request_ctx, read.index)));
            let mut light = self.0.advance(ready);
            if let Some(commit) = light.commit_index() {
                store.wl().mut_hard_state().commit = commit;
            }
            let messages = light.take_messages();
            Self::collect(&mut output, &messages, &light.take_committed_entries());
            self.0.advance_apply();
        }
        output
    }

    fn messages_before_sync(&mut self) -> Vec<Message> {
        self.0.ready().take_messages().iter().map(ours).collect()
    }

    fn compact(&mut self, index: u64) {
        self.0.mut_store().wl().compact(index + 1).unwrap();
    }

    fn role(&self) -> Role {
        match self.0.raft.state {
            StateRole::Follower => Role::Follower,
            StateRole::PreCandidate => Role::PreCandidate,
            StateRole::Candidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        }
    }

    fn term(&self) -> u64 {
        self.0.raft.term
    }

    fn committed(&self) -> u64 {
        self.0.raft.raft_log.committed
    }

    fn last(&self) -> u64 {
        self.0.raft.raft_log.last_index()
    }

    fn follower(&self, id: u64) -> Follower {
        let progress = self.0.raft.prs().get(id).unwrap();
        let state = match progress.state {
            ProgressState::Probe => State::Probe,
            ProgressState::Replicate => State::Replicate,
            ProgressState::Snapshot => State::Snapshot,
        };
        Follower { matched: progress.matched, next: progress.next_idx, state }
    }
}
