//! A group of stores, each on a file of its own, in one thread and with a network that is perfect
//! but for those who are cut off; and the commands that they are given, numbered so that any state
//! of a disk can be checked.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use prost::Message as _;
use raft_core::StateRole;
use raft_core::eraftpb::Entry;
use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, Request};
use raft_core::proto::raft_serverpb::{RaftApplyState, RaftMessage, StoreIdent};
use raft_kv::{
    Engines, INIT_LOG_INDEX, Key, LogGc, Peer, PeerConfig, StoreConfig, Token, bootstrap,
    bootstrap_store, command, keys, single_region, store_ident,
};
use raft_kv_native::{Error, NativeStore, Replica, Result, check_ident};

const REGION: u64 = 1;
/// Holds the number of the last command that was applied.
const LAST: &str = "last";

fn config(id: u64, seed: u64) -> StoreConfig {
    let me = metapb::Peer { id, store_id: id, ..Default::default() };
    // The log is short, so that whoever was cut off needs a snapshot.
    let log_gc = LogGc { tick_interval: 1, count_limit: 5 };
    StoreConfig {
        peer: PeerConfig { seed: seed ^ id, pre_vote: true, log_gc, ..PeerConfig::new(me, REGION) },
    }
}

/// What command `number` writes: its number, a value that may span pages, and a delete.
fn requests(number: u64) -> Vec<Request> {
    let len = if number.is_multiple_of(7) { 9000 } else { 30 };
    vec![
        command::put("", LAST, number.to_string()),
        command::put("", key(number), number.to_string().repeat(len)),
        command::delete("", key(number.wrapping_mul(7) + 3)),
    ]
}

fn key(number: u64) -> String {
    format!("key {}", number % 23)
}

/// The user's data after commands 1 to `last`. The last 23 write every key.
fn data_after(last: u64) -> BTreeMap<Key, Bytes> {
    let mut data = BTreeMap::new();
    for request in (last.saturating_sub(23) + 1..=last).flat_map(requests) {
        if let Some(put) = request.put {
            data.insert(keys::data("default", &put.key), put.value);
        } else if let Some(delete) = request.delete {
            data.remove(&keys::data("default", &delete.key));
        }
    }
    data
}

/// The peers of a region, each on its file.
#[derive(Debug)]
pub(crate) struct Group {
    replicas: Vec<Replica>,
    queue: VecDeque<RaftMessage>,
    answers: BTreeMap<Token, RaftCmdResponse>,
    token: Token,
    leader: usize,
    cut_off: Option<usize>,
    /// Who is back and can only be helped by a snapshot, and the first entry after it.
    left_behind: Option<(usize, u64)>,
    /// How many were installed.
    pub(crate) snapshots: u64,
}

impl Group {
    /// Starts stores on opened files, which it sets up where they are empty, and waits for a
    /// leader. Each start has another seed.
    pub(crate) fn start(disks: Vec<(NativeStore, Engines)>, seed: u64) -> Result<Self> {
        let count = disks.len() as u64;
        let mut replicas = Vec::new();
        for (id, (mut disk, mut engines)) in (1..).zip(disks) {
            let me = StoreIdent { cluster_id: 7, store_id: id };
            if store_ident(&engines)?.is_none() {
                let mut batches = bootstrap_store(&engines, me.cluster_id, me.store_id)?;
                let region = bootstrap(&engines, &single_region(REGION, 1..=count))?;
                batches.raft.extend(region.raft);
                batches.kv.extend(region.kv);
                disk.commit(&batches, true)?;
                engines.write(&batches);
            }
            check_ident(&engines, me)?;
            replicas.push(Replica::new(&config(id, seed), disk, &engines)?);
        }
        let mut group = Self {
            replicas,
            queue: VecDeque::new(),
            answers: BTreeMap::new(),
            token: Token(0),
            leader: 0,
            cut_off: None,
            left_behind: None,
            snapshots: 0,
        };
        group.elect()?;
        Ok(group)
    }

    fn peer(&mut self, position: usize) -> &mut Peer {
        self.replicas[position].store_mut().peer_mut().unwrap()
    }

    fn elect(&mut self) -> Result<()> {
        self.settle()?;
        for candidate in 0..self.replicas.len() {
            if self.peer(candidate).raft().role() != StateRole::Leader {
                self.peer(candidate).campaign()?;
                self.settle()?;
            }
            if self.peer(candidate).raft().role() == StateRole::Leader {
                self.leader = candidate;
                return Ok(());
            }
        }
        panic!("nobody can be elected");
    }

    /// Drives all stores and delivers until nothing moves.
    fn settle(&mut self) -> Result<()> {
        loop {
            for replica in &mut self.replicas {
                let output = replica.drive()?;
                self.queue.extend(output.messages);
                for answer in output.answers {
                    let twice = self.answers.insert(answer.token, answer.response);
                    assert_eq!(twice, None, "answered twice");
                }
            }
            let Some(message) = self.queue.pop_front() else {
                return Ok(());
            };
            let position =
                |peer: Option<metapb::Peer>| usize::try_from(peer.unwrap().store_id - 1).unwrap();
            let (from, to) = (position(message.from_peer), position(message.to_peer));
            if self.cut_off.is_none_or(|cut_off| cut_off != from && cut_off != to) {
                self.replicas[to].store_mut().step(message)?;
            }
        }
    }

    /// Time passes: heartbeats go out, and the log is cut.
    fn tick(&mut self) -> Result<()> {
        for replica in &mut self.replicas {
            replica.store_mut().tick()?;
        }
        self.settle()?;
        if let Some((back, first)) = self.left_behind
            && self.peer(back).raft().log().applied() + 1 >= first
        {
            self.snapshots += 1;
            self.left_behind = None;
        }
        Ok(())
    }

    /// Cuts a follower off, or lets the one that was come back.
    pub(crate) fn cut_off_or_let_back(&mut self) {
        if let Some(back) = self.cut_off.take() {
            let last = self.peer(back).raft().log().last_index();
            let leader = self.leader;
            let first = self.peer(leader).raft().log().first_index().unwrap();
            self.left_behind = (last + 1 < first).then_some((back, first));
        } else if self.replicas.len() > 1 {
            self.cut_off = Some((self.leader + 1) % self.replicas.len());
        }
    }

    fn propose(&mut self, requests: Vec<Request>) -> Result<Token> {
        self.token.0 += 1;
        let (leader, token) = (self.leader, self.token);
        let peer = self.peer(leader);
        let request = command::command(&peer.region().clone(), peer.me(), requests);
        peer.propose(&request, token)?;
        Ok(token)
    }

    fn answer(&mut self, token: Token) -> RaftCmdResponse {
        let answer = self.answers.remove(&token).expect("a request got no answer");
        assert_eq!(answer.header.as_ref().unwrap().error, None);
        answer
    }

    /// The number of the last command, as a client reads it.
    pub(crate) fn last(&mut self) -> Result<u64> {
        let token = self.propose(vec![command::get("", LAST)])?;
        self.settle()?;
        let got = self.answer(token).responses[0].get.clone().unwrap();
        if got.not_found {
            return Ok(0);
        }
        Ok(std::str::from_utf8(&got.value).unwrap().parse().unwrap())
    }

    /// Gives commands `first` to `last` to the leader at once, and returns when all are answered.
    pub(crate) fn write(&mut self, first: u64, last: u64) -> Result<()> {
        let tokens = (first..=last).map(|number| self.propose(requests(number)));
        let tokens: Vec<_> = tokens.collect::<Result<_>>()?;
        self.settle()?;
        for token in tokens {
            self.answer(token);
        }
        self.tick()
    }
}

/// Checks the disks of a group that crashed: all commands up to `acked` are there, none after
/// `tried`, nothing is torn, and the peers start from them and serve.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(
    stores: Vec<(NativeStore, Engines)>,
    acked: u64,
    tried: u64,
) -> Result<(), String> {
    let mut logged: Vec<u64> = Vec::new();
    for (_, engines) in &stores {
        logged.push(check_engines(engines)?);
    }
    // What a majority has is what the middle one has.
    logged.sort_unstable();
    let kept = logged[logged.len() / 2];
    if kept < acked || logged.iter().any(|&last| last > tried) {
        return Err(format!("acknowledged {acked}, tried {tried}, in the logs {logged:?}"));
    }
    serve(stores, acked, tried).map_err(|error| error.to_string())?
}

fn serve(
    stores: Vec<(NativeStore, Engines)>,
    acked: u64,
    tried: u64,
) -> Result<Result<(), String>> {
    let mut group = Group::start(stores, tried)?;
    let last = group.last()?;
    if !(acked..=tried).contains(&last) {
        return Ok(Err(format!("acknowledged {acked}, tried {tried}, served {last}")));
    }
    group.write(last + 1, last + 3)?;
    Ok(if group.last()? == last + 3 { Ok(()) } else { Err("does not serve".into()) })
}

/// Whether log, applied index and data of one disk agree. Returns the last command that it has.
fn check_engines(engines: &Engines) -> Result<u64, String> {
    let state: Option<RaftApplyState> =
        engines.kv.get_message(&keys::apply_state(REGION)).map_err(|error| error.to_string())?;
    let state = state.unwrap_or_default();
    let (applied, truncated) = (state.applied_index, state.truncated_state.unwrap_or_default());
    let data = engines.kv.iter().filter(|(key, _)| keys::user_key(key).is_some());
    let data: BTreeMap<Key, Bytes> = data.map(|(k, v)| (k.clone(), v.clone())).collect();
    let last = data.get(&keys::data("default", LAST.as_bytes()));
    let last = last.map_or(0, |last| std::str::from_utf8(last).unwrap().parse().unwrap());
    if data != data_after(last) {
        return Err(format!("the data are not those after command {last}"));
    }
    let mut logged = None;
    let log = engines.raft.range(&keys::raft_log(REGION, 0), &keys::raft_log(REGION, u64::MAX));
    for (_, record) in log {
        let entry = Entry::decode(record.clone()).map_err(|error| error.to_string())?;
        let Some(number) = number(&entry) else { continue };
        if logged.is_some_and(|logged| number != logged + 1) {
            return Err(format!("command {number} after {logged:?} in the log"));
        }
        logged = Some(number);
        if (entry.index <= applied) != (number <= last) {
            let index = entry.index;
            return Err(format!("applied {applied}, command {last}; {number} is at {index}"));
        }
    }
    if truncated.index == INIT_LOG_INDEX && logged.unwrap_or(0) < last {
        return Err(format!("command {last} comes from nowhere"));
    }
    Ok(logged.unwrap_or(last))
}

/// The number of the command in a log entry.
fn number(entry: &Entry) -> Option<u64> {
    let request = RaftCmdRequest::decode(entry.data.clone()).ok()?;
    let put = request.requests.first()?.put.as_ref()?;
    std::str::from_utf8(&put.value).ok()?.parse().ok()
}

/// Whether it is only that the power went.
pub(crate) fn is_disk_error(error: &Error) -> bool {
    matches!(error, Error::Io(_) | Error::Failed)
}
