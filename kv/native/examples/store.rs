//! A store of three peers, each in a thread and on a file of its own.
//!
//! ```text
//! cargo run -p raft-kv-native --example store -- DIRECTORY
//! put city Paris
//! get city
//! scan
//! ```
//!
//! What was answered is there when it starts again, however it ended. With a number after the
//! directory it has as many peers; one is enough for a store that is only durable.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raft_core::proto::errorpb;
use raft_core::proto::metapb;
use raft_core::proto::raft_cmdpb::{RaftCmdResponse, Request, Response};
use raft_core::proto::raft_serverpb::{RaftMessage, StoreIdent};
use raft_kv::{
    PeerConfig, StoreConfig, Token, bootstrap, bootstrap_store, command, single_region, store_ident,
};
use raft_kv_native::{NativeStore, Replica, check_ident};

const TICK: Duration = Duration::from_millis(20);
/// Longer than any election takes.
const PATIENCE: Duration = Duration::from_secs(5);
const REGION: u64 = 1;
const CLUSTER: u64 = 1;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

enum Mail {
    Raft(Box<RaftMessage>),
    Request(Vec<Request>, Sender<RaftCmdResponse>),
    Stop,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (dir, count) = match args.as_slice() {
        [dir] => (dir, 3),
        [dir, count] => (dir, count.parse()?),
        _ => return Err("a directory, and perhaps the number of peers".into()),
    };
    fs::create_dir_all(dir)?;
    let mail: Vec<_> = (1..=count).map(|_| channel()).collect();
    let outboxes: Vec<Sender<Mail>> = mail.iter().map(|(outbox, _)| outbox.clone()).collect();
    let mut threads = Vec::new();
    for (id, (_, inbox)) in (1..).zip(mail) {
        let replica = open(&Path::new(dir).join(format!("{id}.redb")), id, count)?;
        let outboxes = outboxes.clone();
        threads.push(thread::spawn(move || run(replica, &inbox, &outboxes)));
    }
    let mut leader = 0;
    for line in std::io::stdin().lock().lines() {
        match parse(&line?) {
            Ok(request) => println!("{}", ask(&outboxes, &mut leader, &request)),
            Err(usage) => println!("{usage}"),
        }
    }
    for outbox in &outboxes {
        drop(outbox.send(Mail::Stop));
    }
    for thread in threads {
        thread.join().map_err(|_| "a peer panicked")??;
    }
    Ok(())
}

// One peer.

/// Opens the file of peer `id`, and sets it up if it is new.
fn open(path: &Path, id: u64, count: u64) -> Result<Replica> {
    let (mut disk, mut engines) = NativeStore::open(path)?;
    if store_ident(&engines)?.is_none() {
        let mut batches = bootstrap_store(&engines, CLUSTER, id)?;
        let region = bootstrap(&engines, &single_region(REGION, 1..=count))?;
        batches.raft.extend(region.raft);
        batches.kv.extend(region.kv);
        disk.commit(&batches, true)?;
        engines.write(&batches);
    }
    check_ident(&engines, StoreIdent { cluster_id: CLUSTER, store_id: id })?;
    let me = metapb::Peer { id, store_id: id, ..Default::default() };
    // Another one at each start.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let peer = PeerConfig { seed: u64::from(seed) ^ id, ..PeerConfig::new(me, REGION) };
    Ok(Replica::new(&StoreConfig { peer }, disk, &engines)?)
}

/// Takes mail and ticks; after each, what is durable leaves.
fn run(mut replica: Replica, inbox: &Receiver<Mail>, outboxes: &[Sender<Mail>]) -> Result<()> {
    let mut waiting: BTreeMap<Token, Sender<RaftCmdResponse>> = BTreeMap::new();
    let mut tokens = (0..).map(Token);
    let mut next_tick = Instant::now() + TICK;
    loop {
        let output = replica.drive()?;
        for message in output.messages {
            let to = message.to_peer.and_then(|to| usize::try_from(to.id).ok());
            if let Some(outbox) = to.and_then(|to| outboxes.get(to - 1)) {
                drop(outbox.send(Mail::Raft(Box::new(message))));
            }
        }
        for answer in output.answers {
            if let Some(client) = waiting.remove(&answer.token) {
                drop(client.send(answer.response));
            }
        }
        let store = replica.store_mut();
        match inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            // What comes too late changes nothing.
            Ok(Mail::Raft(message)) => drop(store.step(*message)),
            Ok(Mail::Request(requests, client)) => {
                // A store that was removed has no peer; hearing nothing, the client asks another.
                let (Some(token), Some(peer)) = (tokens.next(), store.peer_mut()) else { continue };
                let request = command::command(&peer.region().clone(), peer.me(), requests);
                match peer.propose(&request, token) {
                    Ok(_) => drop(waiting.insert(token, client)),
                    Err(error) => drop(client.send(error.to_response(peer.raft().term()))),
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                store.tick()?;
                next_tick += TICK;
            }
            Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

// The one who types.

fn parse(line: &str) -> Result<Request, &'static str> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["put", key, value] => Ok(command::put("", key.to_string(), value.to_string())),
        ["get", key] => Ok(command::get("", key.to_string())),
        ["delete", key] => Ok(command::delete("", key.to_string())),
        ["scan"] => Ok(command::scan("", "", "", 0)),
        _ => Err("put KEY VALUE, get KEY, delete KEY, or scan"),
    }
}

/// Asks one peer after the other until one has done it. All these commands may be done twice.
fn ask(outboxes: &[Sender<Mail>], leader: &mut usize, request: &Request) -> String {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let (sender, answer) = channel();
        drop(outboxes[*leader].send(Mail::Request(vec![request.clone()], sender)));
        let answer = answer.recv_timeout(PATIENCE / 5);
        match answer.map(|answer| (answer.header.and_then(|header| header.error), answer.responses))
        {
            Ok((None, responses)) => {
                return responses.first().map_or_else(String::new, show);
            }
            Ok((Some(error), _)) => *leader = next(&error, *leader, outboxes.len()),
            Err(_) => *leader = (*leader + 1) % outboxes.len(),
        }
        thread::sleep(TICK);
    }
    "no answer: it may be done, or not".into()
}

/// Whom to ask after an error.
fn next(error: &errorpb::Error, asked: usize, count: usize) -> usize {
    let hint = error.not_leader.and_then(|error| error.leader);
    let hint = hint.and_then(|leader| usize::try_from(leader.id).ok()?.checked_sub(1));
    hint.unwrap_or((asked + 1) % count)
}

fn show(response: &Response) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (&response.get, &response.scan) {
        (Some(get), _) if get.not_found => "nothing".into(),
        (Some(get), _) => text(&get.value),
        (_, Some(scan)) => {
            let pairs = scan.pairs.iter();
            let lines = pairs.map(|pair| format!("{} {}", text(&pair.key), text(&pair.value)));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => "ok".into(),
    }
}
