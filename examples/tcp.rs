//! Peers in processes of their own that talk over TCP.
//!
//! ```text
//! cargo run --example tcp                                    # five of them, and a short play
//! cargo run --example tcp -- 1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003
//! ```
//!
//! The second form starts one peer: its id, then the addresses of all, in the order of their ids.
//! Each line typed into any peer is a command; every peer prints what it applies. Messages travel as
//! protobuf behind their length, in the schema of raft-rs. The log lives in memory, so a peer that
//! was stopped must not come back under its old id: a real one keeps `Ready`'s promises on disk.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message as _;
use raft_core::eraftpb::Message;
use raft_core::{Config, MemStorage, RawNode, StateRole};

const TICK: Duration = Duration::from_millis(20);
/// No correct peer sends more; memory is not given away to anybody who connects.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

enum Mail {
    Raft(Box<Message>),
    Command(String),
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => play(),
        [id, addresses @ ..] if addresses.len() > 1 => peer(id.parse()?, addresses),
        _ => Err("either no arguments, or an id and at least two addresses".into()),
    }
}

// One peer.

fn peer(id: u64, addresses: &[String]) -> Result<()> {
    let own = usize::try_from(id)?.checked_sub(1).and_then(|position| addresses.get(position));
    let listener = TcpListener::bind(own.ok_or("the id counts the addresses from 1")?)?;
    let (sender, inbox) = channel();
    listen(listener, sender.clone());
    read_commands(sender);
    let outboxes: Vec<_> = addresses.iter().cloned().map(connect).collect();

    let voters: Vec<u64> = (1..=addresses.len() as u64).collect();
    let config = Config { pre_vote: true, check_quorum: true, seed: id, ..Config::new(id) };
    let mut raft = RawNode::new(&config, MemStorage::with_voters(voters))?;
    let mut next_tick = Instant::now() + TICK;
    loop {
        match inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(Mail::Raft(message)) => {
                if let Err(error) = raft.step(*message) {
                    eprintln!("peer {id} refuses a message: {error}");
                }
            }
            Ok(Mail::Command(command)) => {
                if let Err(error) = raft.propose(command) {
                    println!("refused: {error}");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                raft.tick()?;
                next_tick += TICK;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        while raft.has_ready() {
            handle_ready(&mut raft, &outboxes)?;
        }
    }
}

fn handle_ready(raft: &mut RawNode<MemStorage>, outboxes: &[Sender<Message>]) -> Result<()> {
    let mut ready = raft.ready()?;
    raft.store_mut().append(&ready.entries)?;
    if let Some(state) = ready.hard_state {
        raft.store_mut().set_hard_state(state);
    }
    for message in ready.messages.drain(..) {
        let to = usize::try_from(message.to)?.checked_sub(1).and_then(|to| outboxes.get(to));
        if let Some(outbox) = to {
            // Its thread lives as long as this one.
            drop(outbox.send(message));
        }
    }
    for entry in ready.committed_entries.drain(..).filter(|entry| !entry.data.is_empty()) {
        println!("applied {} {}", entry.index, String::from_utf8_lossy(&entry.data));
    }
    if ready.soft_state.is_some_and(|state| state.role == StateRole::Leader) {
        println!("leads {}", raft.raft().term());
    }
    Ok(raft.advance(ready)?)
}

/// Takes messages from whoever connects.
fn listen(listener: TcpListener, mail: Sender<Mail>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mail = mail.clone();
            // A connection that fails ends; its peer makes another.
            thread::spawn(move || drop(receive(stream, &mail)));
        }
    });
}

fn receive(stream: TcpStream, mail: &Sender<Mail>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_MESSAGE {
            return Err("a message too long to be one".into());
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        mail.send(Mail::Raft(Box::new(Message::decode(bytes.as_slice())?)))?;
    }
}

/// Sends messages to one peer, over a connection that is made again when it breaks. What cannot be
/// sent is lost, which Raft expects.
fn connect(address: String) -> Sender<Message> {
    let (outbox, messages) = channel();
    thread::spawn(move || send(&address, &messages));
    outbox
}

fn send(address: &str, messages: &Receiver<Message>) {
    let mut connection: Option<TcpStream> = None;
    for message in messages {
        if connection.is_none() {
            connection = TcpStream::connect(address).ok();
        }
        let bytes = message.encode_to_vec();
        let Ok(length) = u32::try_from(bytes.len()) else { continue };
        let frame = [&length.to_be_bytes(), bytes.as_slice()].concat();
        if connection.as_mut().is_some_and(|stream| stream.write_all(&frame).is_err()) {
            connection = None;
        }
    }
}

fn read_commands(mail: Sender<Mail>) {
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if mail.send(Mail::Command(line)).is_err() {
                return;
            }
        }
    });
}

// The play.

struct Actor {
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Drop for Actor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts five peers, has them agree, kills the leader, and has the others go on.
fn play() -> Result<()> {
    let listeners =
        (0..5).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().map(|l| Ok(l.local_addr()?.to_string()));
    let addresses = addresses.collect::<Result<Vec<_>>>()?;
    drop(listeners);
    let mut actors = (1..=5).map(|id| start(id, &addresses)).collect::<Result<Vec<_>>>()?;

    let leader = wait_for_leader(&actors)?;
    println!("peer {} leads", leader + 1);
    writeln!(actors[leader].stdin, "x = 1")?;
    wait_for_all(&actors, "x = 1")?;
    println!("all five have applied x = 1; peer {} is killed", leader + 1);

    drop(actors.remove(leader));
    let leader = wait_for_leader(&actors)?;
    println!("another leads");
    writeln!(actors[leader].stdin, "x = 2")?;
    wait_for_all(&actors, "x = 2")?;
    println!("the other four have applied x = 2");
    Ok(())
}

fn start(id: u64, addresses: &[String]) -> Result<Actor> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg(id.to_string())
        .args(addresses)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdin = process.stdin.take().ok_or("the process has no input")?;
    let stdout = process.stdout.take().ok_or("the process has no output")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(Actor { process, stdin, lines })
}

fn wait_for_leader(actors: &[Actor]) -> Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        for (position, actor) in actors.iter().enumerate() {
            if actor.lines.recv_timeout(TICK).is_ok_and(|line| line.starts_with("leads")) {
                return Ok(position);
            }
        }
    }
    Err("nobody was elected".into())
}

fn wait_for_all(actors: &[Actor], command: &str) -> Result<()> {
    for actor in actors {
        while !actor.lines.recv_timeout(Duration::from_secs(20))?.ends_with(command) {}
    }
    Ok(())
}
