//! The commands of a scene. `docs/scenes.md` describes them.

use raft_core::eraftpb::{ConfChange, ConfChangeType, HardState};
use raft_core::{Config, RawNode, SelfAck, describe};

use super::call::Call;
use super::network::Filter;
use super::stage::Stage;
use super::{Result, words};

/// Runs one command and returns what it printed.
pub(super) fn run(stage: &mut Stage, line: &str, input: &[String]) -> Result<Vec<String>> {
    let mut call = Call::parse(line)?;
    if !input.is_empty() && call.name != "propose" {
        return Err(format!("`{}` takes no input lines", call.name).into());
    }
    match call.name.clone().as_str() {
        "cluster" => cluster(stage, &mut call)?,
        "log" => log(stage, &mut call)?,
        name => {
            stage.begin()?;
            match name {
                "propose" => propose(stage, &mut call, input)?,
                "deliver" | "drop" | "hold" | "release" | "stabilize" | "cut" | "isolate"
                | "heal" => network(stage, &mut call)?,
                "start" | "crash" | "restart" | "disk" | "persist" | "snapshot" | "compact" => {
                    machine(stage, &mut call)?;
                }
                "status" | "logs" | "progress" => look(stage, &mut call)?,
                _ => protocol(stage, &mut call)?,
            }
        }
    }
    call.finish()?;
    let lines = std::mem::take(&mut stage.lines);
    Ok(if lines.is_empty() { vec!["ok".to_owned()] } else { lines })
}

/// `cluster nodes=3 election-tick=10 heartbeat-tick=1 self-ack=on-persist seed=1 …`
fn cluster(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let mut config = Config::new(1);
    let set = |slot: &mut u32, value: Option<u32>| *slot = value.unwrap_or(*slot);
    set(&mut config.election_tick, call.find("election-tick")?);
    set(&mut config.heartbeat_tick, call.find("heartbeat-tick")?);
    set(&mut config.max_inflight_msgs, call.find("max-inflight")?);
    config.max_size_per_msg = call.find("max-size")?.unwrap_or(config.max_size_per_msg);
    config.seed = call.find("seed")?.unwrap_or(config.seed);
    config.self_ack = match call.find::<String>("self-ack")?.as_deref() {
        None | Some("on-persist") => SelfAck::OnPersist,
        Some("on-append") => SelfAck::OnAppend,
        Some(other) => return Err(format!("`{other}` is not a value for self-ack").into()),
    };
    stage.set_up(call.need("nodes")?, config)?;
    match call.find("leader")? {
        Some(id) => elect(stage, id),
        None => Ok(()),
    }
}

/// With `leader=1` the scene starts after an election that is not its subject.
fn elect(stage: &mut Stage, id: u64) -> Result<()> {
    stage.act(id, RawNode::campaign)?;
    stage.stabilize(&Filter::default())?;
    let node = stage.node(id)?;
    let role = node.role().map_or("down", describe::role);
    let (last, commit) = (node.raw()?.raft().log().last_id()?, node.hard_state().commit);
    stage.lines = vec![format!("{} {role} last={last} commit={commit}", node.name())];
    Ok(())
}

/// `log 2 terms=(1,1,2) term=2 vote=1 commit=1`: what is on a disk before the scene starts.
fn log(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let ids = call.rest("a peer")?;
    let terms: Vec<u64> = call.list("terms")?.unwrap_or_default();
    let last_term = terms.last().copied().unwrap_or(0);
    let state = HardState {
        term: call.find("term")?.unwrap_or(last_term),
        vote: call.find("vote")?.unwrap_or(0),
        commit: call.find("commit")?.unwrap_or(0),
    };
    for id in ids {
        stage.blank_disk(id)?.preload(&terms, state)?;
    }
    Ok(())
}

/// `propose 1 hello`, or a burst with one command on each input line.
fn propose(stage: &mut Stage, call: &mut Call, input: &[String]) -> Result<()> {
    let id = call.next("a peer")?;
    let mut commands: Vec<String> = call.rest("a command")?;
    commands.extend_from_slice(input);
    if commands.is_empty() {
        return Err("`propose` needs a command".into());
    }
    stage.act(id, |raw| commands.into_iter().try_for_each(|data| raw.propose(data).map(drop)))
}

fn protocol(stage: &mut Stage, call: &mut Call) -> Result<()> {
    match call.name.as_str() {
        "campaign" => stage.act(call.next("a peer")?, RawNode::campaign),
        "tick" => tick(stage, call),
        "transfer" => {
            let (id, to) = (call.next("a peer")?, call.need("to")?);
            stage.act(id, |raw| raw.transfer_leader(to))
        }
        "conf-change" => conf_change(stage, call),
        other => Err(format!("unknown command `{other}`").into()),
    }
}

/// `tick 1 n=10`, or `tick n=10` for all running peers in turn.
fn tick(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let mut ids: Vec<u64> = call.rest("a peer")?;
    if ids.is_empty() {
        ids = stage.running();
    }
    for _ in 0..call.find("n")?.unwrap_or(1) {
        for &id in &ids {
            stage.act(id, RawNode::tick)?;
        }
    }
    Ok(())
}

/// `conf-change 1 add=4` or `conf-change 1 remove=3`.
fn conf_change(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let id = call.next("a peer")?;
    let (kind, node_id) = match (call.find("add")?, call.find("remove")?) {
        (Some(node), None) => (ConfChangeType::AddNode, node),
        (None, Some(node)) => (ConfChangeType::RemoveNode, node),
        _ => return Err("`conf-change` needs either add=… or remove=…".into()),
    };
    let change = ConfChange { change_type: kind.into(), node_id, ..ConfChange::default() };
    stage.act(id, |raw| raw.propose_conf_change(change))
}

fn network(stage: &mut Stage, call: &mut Call) -> Result<()> {
    match call.name.as_str() {
        "stabilize" => {
            let filter = Filter::among(call.rest("a peer")?);
            stage.stabilize(&filter)?;
        }
        "cut" => {
            let there: Vec<u64> = call.list("from")?.ok_or("`cut` needs from=…")?;
            for one in call.rest("a peer")? {
                there.iter().for_each(|&other| stage.network.cut(one, other));
            }
        }
        "isolate" => {
            let id = call.next("a peer")?;
            let others: Vec<_> = stage.nodes.keys().copied().filter(|&other| other != id).collect();
            others.into_iter().for_each(|other| stage.network.cut(id, other));
        }
        "heal" => stage.network.heal(),
        "release" => {
            for packet in stage.network.release() {
                let line = describe::message(&packet.message);
                stage.lines.push(format!("{line} (released)"));
            }
        }
        _ => handle_messages(stage, call)?,
    }
    Ok(())
}

/// `deliver`, `drop` and `hold`, for the messages that match `from=`, `to=`, `type=`, `n=`.
fn handle_messages(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let packets = stage.network.take(&Filter::take(call)?);
    if packets.is_empty() {
        return Err("no message under way matches".into());
    }
    for packet in packets {
        let line = describe::message(&packet.message);
        match call.name.as_str() {
            "deliver" => stage.deliver(packet)?,
            "hold" => {
                stage.lines.push(format!("{line} (held)"));
                stage.network.hold(packet);
            }
            _ => stage.lines.push(format!("{line} (dropped)")),
        }
    }
    Ok(())
}

fn machine(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let id = call.next("a peer")?;
    match call.name.as_str() {
        "start" => {
            let members = call.list("members")?;
            let members = members.unwrap_or_else(|| stage.founders());
            stage.join(id, members)
        }
        "crash" => stage.crash(id),
        "restart" => stage.restart(id),
        "disk" => disk(stage, id, &call.next::<String>("slow or fast")?),
        "persist" => persist(stage, id),
        "snapshot" => {
            let node = stage.node(id)?;
            let last = node.disk_mut().make_snapshot()?;
            let line = format!("{} snapshot {last}", node.name());
            stage.lines.push(line);
            Ok(())
        }
        _ => Ok(stage.node(id)?.disk_mut().compact(call.need("index")?)?),
    }
}

/// A slow disk keeps every `Ready` in hand until `persist`.
fn disk(stage: &mut Stage, id: u64, speed: &str) -> Result<()> {
    let node = stage.node(id)?;
    node.slow = match speed {
        "slow" => true,
        "fast" => false,
        other => return Err(format!("a disk is slow or fast, not `{other}`").into()),
    };
    let in_hand = node.in_hand.take();
    if let Some(ready) = in_hand {
        stage.serve(id, ready)?;
    }
    stage.settle(id)
}

fn persist(stage: &mut Stage, id: u64) -> Result<()> {
    let ready = stage.node(id)?.in_hand.take();
    let ready = ready.ok_or_else(|| format!("n{id} has nothing to persist"))?;
    stage.serve(id, ready)?;
    stage.settle(id)
}

/// `status`, `logs` and `progress`: tables that change nothing.
fn look(stage: &mut Stage, call: &mut Call) -> Result<()> {
    let mut ids: Vec<u64> = call.rest("a peer")?;
    if call.name == "progress" {
        let id = ids.pop().ok_or("`progress` needs a peer")?;
        stage.lines = words::progress(stage.node(id)?)?;
        return Ok(());
    }
    if ids.is_empty() {
        ids = stage.nodes.keys().copied().collect();
    }
    if call.name == "logs" {
        let nodes = stage.nodes.iter().filter(|(id, _)| ids.contains(id));
        stage.lines = words::logs(nodes.map(|(_, node)| node))?;
        return Ok(());
    }
    for id in ids {
        let line = words::status(stage.node(id)?)?;
        stage.lines.push(line);
    }
    Ok(())
}
