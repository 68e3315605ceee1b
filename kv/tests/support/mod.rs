//! Stores driven by hand, each with its disk, and a network that loses what it is told to.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use raft_core::eraftpb::ConfChangeType;
use raft_core::proto::errorpb;
use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::{AdminRequest, RaftCmdRequest, RaftCmdResponse, Request};
use raft_core::proto::raft_serverpb::{RaftApplyState, RaftMessage, RaftTruncatedState};
use raft_core::{StateRole, Storage as _};
use raft_kv::{
    Accepted, Answer, Engines, Error, Peer, PeerConfig, PeerStorage, Store, StoreConfig, Token,
    bootstrap, bootstrap_store, command, keys, single_region,
};

/// The first peer on a store has its number.
pub(crate) fn id(store: u64) -> metapb::Peer {
    metapb::Peer { id: store, store_id: store, role: 0 }
}

type Filter = Box<dyn FnMut(&RaftMessage) -> bool>;

/// Stores with their disks.
pub(crate) struct Group {
    pub(crate) stores: BTreeMap<u64, Store>,
    pub(crate) disks: BTreeMap<u64, Engines>,
    pub(crate) cut_off: Vec<u64>,
    pub(crate) answers: Vec<Answer>,
    /// Messages that arrived, by their kind.
    pub(crate) sent: Vec<RaftMessage>,
    filter: Filter,
    config: PeerConfig,
    last_token: u64,
    starts: u64,
}

impl Group {
    /// `count` stores, all of them members.
    pub(crate) fn new(count: u64) -> Self {
        Self::with_spares(count, 0)
    }

    /// `count` stores that are members and some that are not.
    pub(crate) fn with_spares(count: u64, spares: u64) -> Self {
        Self::with_config(count, spares, |_| {})
    }

    pub(crate) fn with_config(
        count: u64,
        spares: u64,
        configure: impl FnOnce(&mut PeerConfig),
    ) -> Self {
        let region = single_region(1, 1..=count);
        let mut member = Engines::default();
        member.write(&bootstrap(&member, &region).unwrap());
        let spare = (count + 1..=count + spares).map(|id| {
            let mut disk = Engines::default();
            disk.write(&bootstrap_store(&disk, 1, id).unwrap());
            (id, disk)
        });
        let disks = (1..=count).map(|id| (id, member.clone())).chain(spare).collect();
        let mut config = PeerConfig::new(id(0), 1);
        configure(&mut config);
        let mut group = Self {
            stores: BTreeMap::new(),
            disks,
            cut_off: Vec::new(),
            answers: Vec::new(),
            sent: Vec::new(),
            filter: Box::new(|_| true),
            config,
            last_token: 1_000,
            starts: 0,
        };
        for id in 1..=count + spares {
            group.start(id).unwrap();
        }
        group
    }

    /// Starts a store from its disk; what it had not written is gone.
    pub(crate) fn start(&mut self, store: u64) -> Result<(), Error> {
        self.starts += 1;
        let peer = PeerConfig { peer: id(store), seed: self.starts, ..self.config.clone() };
        let opened = Store::open(&StoreConfig { peer }, &self.disks[&store], ())?;
        self.stores.insert(store, opened);
        Ok(())
    }

    /// Restarts a store as if its log had come with a snapshot of all that it has applied.
    pub(crate) fn restart_with_short_log(&mut self, store: u64) {
        let storage = self.peer(store).storage();
        let (applied, last) = (storage.applied_index(), storage.last_index().unwrap());
        assert_eq!(applied, last, "nothing is under way");
        let term = storage.term(applied).unwrap();
        let truncated_state = Some(RaftTruncatedState { index: applied, term });
        let state = RaftApplyState { applied_index: applied, truncated_state };
        let first = storage.truncated().index + 1;
        let disk = self.disks.get_mut(&store).unwrap();
        disk.kv.put(keys::apply_state(1), state.encode_to_vec().into());
        (first..=applied).for_each(|index| drop(disk.raft.delete(&keys::raft_log(1, index))));
        self.start(store).unwrap();
    }

    /// Lets only messages through that `filter` likes.
    pub(crate) fn only(&mut self, filter: impl FnMut(&RaftMessage) -> bool + 'static) {
        self.filter = Box::new(filter);
    }

    pub(crate) fn store(&mut self, id: u64) -> &mut Store {
        self.stores.get_mut(&id).unwrap()
    }

    pub(crate) fn peer(&self, id: u64) -> &Peer {
        self.stores[&id].peer().unwrap()
    }

    pub(crate) fn peer_mut(&mut self, id: u64) -> &mut Peer {
        self.store(id).peer_mut().unwrap()
    }

    /// Persists, sends, answers and delivers until nothing moves.
    pub(crate) fn settle(&mut self) {
        let mut queue = VecDeque::new();
        for _ in 0..100_000 {
            for id in self.stores.keys().copied().collect::<Vec<_>>() {
                while let Some(messages) = self.work(id) {
                    queue.extend(messages);
                }
                queue.extend(self.outbox(id));
            }
            let Some(message) = queue.pop_front() else { return };
            self.deliver(message);
        }
        panic!("messages without end");
    }

    fn deliver(&mut self, message: RaftMessage) {
        let (from, to) = (message.from_peer.unwrap().store_id, message.to_peer.unwrap().store_id);
        let cut = self.cut_off.contains(&from) || self.cut_off.contains(&to);
        if cut || !(self.filter)(&message) {
            return;
        }
        self.sent.push(message.clone());
        // A message that comes too late or too early is refused, which is no failure.
        let _ = self.store(to).step(message);
    }

    pub(crate) fn outbox(&mut self, id: u64) -> Vec<RaftMessage> {
        let outbox = self.store(id).take_outbox();
        self.answers.extend(outbox.answers);
        outbox.messages
    }

    pub(crate) fn work(&mut self, id: u64) -> Option<Vec<RaftMessage>> {
        let work = self.store(id).handle_ready().unwrap()?;
        self.disks.get_mut(&id).unwrap().write(&work.batches);
        self.check_disk(id);
        self.answers.extend(work.answers);
        self.store(id).persisted(work.number).unwrap();
        Some(work.messages)
    }

    /// What the peer believes is what its disk would give it back.
    fn check_disk(&self, id: u64) {
        let Some(peer) = self.stores[&id].peer().filter(|peer| !peer.is_destroyed()) else {
            return;
        };
        let disk = self.disks[&id].clone();
        match PeerStorage::open(&disk, 1, self.config.store_rules) {
            Ok(storage) => assert_eq!(storage, *peer.storage(), "batches tell the whole story"),
            Err(error) => assert!(!peer.storage().is_initialized(), "{error}"),
        }
    }

    /// So many ticks for all, with everything that follows from each.
    pub(crate) fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            for store in self.stores.values_mut() {
                store.tick().unwrap();
            }
            self.settle();
        }
    }

    pub(crate) fn campaign(&mut self, id: u64) {
        self.peer_mut(id).campaign().unwrap();
        self.settle();
        assert_eq!(self.peer(id).raft().role(), StateRole::Leader);
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        let peers = self.stores.iter().filter_map(|(id, store)| Some((*id, store.peer()?)));
        let leaders = peers.filter(|(_, peer)| peer.raft().role() == StateRole::Leader);
        leaders.max_by_key(|(_, peer)| peer.raft().term()).map(|(id, _)| id)
    }

    /// The command as `to` would get it from a client that knows what it knows.
    pub(crate) fn command(&self, to: u64, requests: Vec<Request>) -> RaftCmdRequest {
        let peer = self.peer(to);
        command::command(peer.region(), peer.me(), requests)
    }

    pub(crate) fn propose(
        &mut self,
        to: u64,
        token: u64,
        requests: Vec<Request>,
    ) -> Result<Accepted, Error> {
        let request = self.command(to, requests);
        self.peer_mut(to).propose(&request, Token(token))
    }

    /// Sends a command and returns its answer, if it gets one.
    pub(crate) fn ask(
        &mut self,
        to: u64,
        request: &RaftCmdRequest,
    ) -> Result<Option<RaftCmdResponse>, Error> {
        self.last_token += 1;
        let token = self.last_token;
        self.peer_mut(to).propose(request, Token(token))?;
        self.settle();
        Ok(self.answer(token).cloned())
    }

    /// Sends requests and returns the answer, which must come.
    pub(crate) fn run(&mut self, to: u64, requests: Vec<Request>) -> RaftCmdResponse {
        let request = self.command(to, requests);
        self.ask(to, &request).unwrap().expect("an answer")
    }

    pub(crate) fn admin(
        &mut self,
        to: u64,
        admin: AdminRequest,
    ) -> Result<Option<RaftCmdResponse>, Error> {
        let peer = self.peer(to);
        let request = command::admin(peer.region(), peer.me(), admin);
        self.ask(to, &request)
    }

    pub(crate) fn change(
        &mut self,
        to: u64,
        change: ConfChangeType,
        peer: metapb::Peer,
    ) -> Result<Option<RaftCmdResponse>, Error> {
        self.admin(to, command::change_peer(change, peer))
    }

    pub(crate) fn answer(&self, token: u64) -> Option<&RaftCmdResponse> {
        let mut found = self.answers.iter().filter(|answer| answer.token == Token(token));
        let answer = found.next();
        assert!(found.next().is_none(), "request {token} was answered twice");
        answer.map(|answer| &answer.response)
    }

    pub(crate) fn get(&mut self, from: u64, key: &'static str) -> Option<String> {
        let answer = self.run(from, vec![command::get("", key)]);
        assert_eq!(error(&answer), None);
        let got = answer.responses[0].get.clone().unwrap();
        (!got.not_found).then(|| String::from_utf8(got.value.to_vec()).unwrap())
    }

    pub(crate) fn put(&mut self, to: u64, key: &str, value: &str) {
        let put = command::put("", key.to_owned(), value.to_owned());
        assert_eq!(error(&self.run(to, vec![put])), None);
    }

    /// Sends a write and does not wait for its answer.
    pub(crate) fn put_later(&mut self, to: u64, key: &str, value: &str) {
        let put = command::put("", key.to_owned(), value.to_owned());
        self.last_token += 1;
        let token = self.last_token;
        self.propose(to, token, vec![put]).unwrap();
    }

    /// What the disk of a store holds at a key.
    pub(crate) fn on_disk(&self, store: u64, key: &str) -> Option<String> {
        let value = self.disks[&store].kv.get(format!("default_{key}").as_bytes())?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }
}

pub(crate) fn error(answer: &RaftCmdResponse) -> Option<errorpb::Error> {
    answer.header.as_ref().and_then(|header| header.error.as_deref().cloned())
}

pub(crate) fn put(value: &'static str) -> Vec<Request> {
    vec![command::put("", "k", value)]
}
