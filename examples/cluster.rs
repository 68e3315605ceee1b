//! Five peers in one process: they elect a leader, agree on commands, lose their leader, and go on.
//!
//! ```text
//! cargo run --example cluster
//! ```
//!
//! Each peer is a thread with an inbox. It ticks by the clock of this machine, persists into memory
//! and applies commands to a list. That is all a driver has to do; the order within
//! [`Node::handle_ready`] is the part that matters.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use raft_core::eraftpb::Message;
use raft_core::{Config, MemStorage, RawNode, StateRole};

const PEERS: u64 = 5;
const TICK: Duration = Duration::from_millis(10);

/// What a peer's inbox takes.
enum Mail {
    Raft(Message),
    /// Propose this command if you lead.
    Command(String),
    /// Fall silent for ever, as if the power had failed.
    Stop,
}

/// What peers tell the stage.
enum News {
    Leads { peer: u64, term: u64 },
    Applied { peer: u64, index: u64, command: String },
}

type Outboxes = BTreeMap<u64, Sender<Mail>>;

struct Node {
    raft: RawNode<MemStorage>,
    inbox: Receiver<Mail>,
    peers: Outboxes,
    news: Sender<News>,
}

impl Node {
    fn run(mut self) -> Result<(), raft_core::Error> {
        let mut next_tick = Instant::now() + TICK;
        loop {
            match self.inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                // A message that is refused is as good as one that was lost.
                Ok(Mail::Raft(message)) => drop(self.raft.step(message)),
                // Not the leader, or it is about to change: who asked will ask again.
                Ok(Mail::Command(command)) => drop(self.raft.propose(command)),
                Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    self.raft.tick()?;
                    next_tick += TICK;
                }
            }
            while self.raft.has_ready() {
                self.handle_ready()?;
            }
        }
    }

    /// Persist, send, apply, advance: in this order.
    fn handle_ready(&mut self) -> Result<(), raft_core::Error> {
        let mut ready = self.raft.ready()?;
        let storage = self.raft.store_mut();
        storage.append(&ready.entries)?;
        if let Some(state) = ready.hard_state {
            storage.set_hard_state(state);
        }
        for message in ready.messages.drain(..) {
            if let Some(peer) = self.peers.get(&message.to) {
                // A peer that has stopped takes no mail.
                let _ = peer.send(Mail::Raft(message));
            }
        }
        let peer = self.raft.raft().id();
        for entry in ready.committed_entries.drain(..).filter(|entry| !entry.data.is_empty()) {
            let command = String::from_utf8_lossy(&entry.data).into_owned();
            let _ = self.news.send(News::Applied { peer, index: entry.index, command });
        }
        if ready.soft_state.is_some_and(|state| state.role == StateRole::Leader) {
            let _ = self.news.send(News::Leads { peer, term: self.raft.raft().term() });
        }
        self.raft.advance(ready)
    }
}

fn start(news: &Sender<News>) -> Result<Outboxes, raft_core::Error> {
    let voters: Vec<u64> = (1..=PEERS).collect();
    let (outboxes, inboxes): (Outboxes, Vec<_>) = voters
        .iter()
        .map(|&id| {
            let (outbox, inbox) = channel();
            ((id, outbox), (id, inbox))
        })
        .unzip();
    for (id, inbox) in inboxes {
        // Any two runs differ: threads are scheduled as they come.
        let config = Config { pre_vote: true, check_quorum: true, ..Config::new(id) };
        let raft = RawNode::new(&config, MemStorage::with_voters(voters.clone()))?;
        let node = Node { raft, inbox, peers: outboxes.clone(), news: news.clone() };
        thread::spawn(move || {
            if let Err(error) = node.run() {
                eprintln!("peer {id} stops: {error}");
            }
        });
    }
    Ok(outboxes)
}

/// Waits until some peer says that it leads.
fn wait_for_leader(news: &Receiver<News>, except: u64) -> Result<u64, Box<dyn Error>> {
    loop {
        if let News::Leads { peer, term } = news.recv_timeout(Duration::from_secs(10))?
            && peer != except
        {
            println!("peer {peer} leads term {term}");
            return Ok(peer);
        }
    }
}

/// Proposes a command and waits until `count` peers have applied it.
fn replicate(
    leader: &Sender<Mail>,
    news: &Receiver<News>,
    command: &str,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    leader.send(Mail::Command(command.to_owned()))?;
    let mut applied = Vec::new();
    while applied.len() < count {
        if let News::Applied { peer, index, command: done } =
            news.recv_timeout(Duration::from_secs(10))?
            && done == command
        {
            applied.push(peer);
            println!("  peer {peer} applied {done:?} at index {index}");
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (sender, news) = channel();
    let peers = start(&sender)?;
    let first = wait_for_leader(&news, 0)?;
    replicate(&peers[&first], &news, "x = 1", 5)?;
    replicate(&peers[&first], &news, "y = 2", 5)?;

    println!("peer {first} loses its power");
    peers[&first].send(Mail::Stop)?;
    let second = wait_for_leader(&news, first)?;
    replicate(&peers[&second], &news, "x = 3", 4)?;
    println!("four of five agree, the fifth would catch up when it returns");
    Ok(())
}
