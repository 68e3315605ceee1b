//! A cluster whose network loses, repeats and reorders, whose disks are late, whose peers crash and
//! come and go as members, and the promises that hold all the same.

use std::collections::BTreeMap;

use raft_core::eraftpb::{ConfChangeSingle, ConfChangeV2, ConfState, Message, MessageType};
use raft_core::{
    Appends, Config, Error, MemStorage, ReadOnly, Rules, SelfAck, SnapshotStatus, StateRole,
};

use crate::draw::Draw;
use crate::peer::{Machine, Output, Peer};

const PEERS: u64 = 5;

/// What all peers together have ever shown.
#[derive(Default)]
struct Witness {
    leaders: BTreeMap<u64, u64>,
    /// The machine and the members after each index.
    machines: BTreeMap<u64, Machine>,
    members: BTreeMap<u64, ConfState>,
    /// The highest index that anybody knew to be committed.
    committed: u64,
}

/// What a run is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// Everything.
    All,
    /// Reads by lease, and campaigns against them.
    Leases,
    /// Members that come and go.
    Members,
}

pub(crate) struct Cluster {
    focus: Focus,
    draw: Draw,
    peers: Vec<Peer>,
    network: Vec<Message>,
    cut: Vec<(u64, u64)>,
    witness: Witness,
    /// For each read what was committed when it was asked for.
    reads: Vec<u64>,
    /// Ticks come to all peers together, so that leases hold.
    in_step: bool,
    /// Nobody comes or goes as a member.
    fixed: bool,
    /// Percent of messages that get lost, and as many repeated.
    loss: u64,
    /// Percent of the chances to do some work that disks, machines and applications take.
    zeal: u64,
    /// Messages that arrive at each step, at most.
    speed: usize,
    pub(crate) applied: u64,
    pub(crate) read: u64,
}

impl Cluster {
    pub(crate) fn new(seed: u64, rules: Rules, focus: Focus) -> Self {
        let mut draw = Draw::new(seed);
        let flags = draw.number() | if focus == Focus::Leases { 0b1_1001 } else { 0 };
        let flag = |bit: u64| flags >> bit & 1 == 1;
        let in_step = flag(0);
        let fixed = draw.percent(30) && focus != Focus::Members;
        let loss = [0, 3, 10][draw.place(3)];
        let (zeal, speed) = ([30, 60, 95][draw.place(3)], [2, 4, 12][draw.place(3)]);
        let voters: Vec<u64> = (1..=3 + draw.below(3)).collect();
        let peer = |id: u64, draw: &mut Draw| {
            let async_persist = if flag(1) { flag(2) } else { draw.percent(50) };
            let careful = async_persist || draw.percent(70);
            let lease = in_step && flag(3) && flag(4);
            let config = Config {
                seed,
                check_quorum: flag(4),
                // Without it a peer that was removed, and does not know by whom, may raise the terms
                // of the others for ever.
                pre_vote: flag(5) || !fixed,
                read_only: if lease { ReadOnly::LeaseBased } else { ReadOnly::Safe },
                appends: if draw.percent(50) { Appends::Eager } else { Appends::Coalesced },
                self_ack: if careful { SelfAck::OnPersist } else { SelfAck::OnAppend },
                async_persist,
                max_size_per_msg: [0, 60, 1 << 20][draw.place(3)],
                max_inflight_msgs: [1, 3, 256][draw.place(3)],
                max_uncommitted_size: [0, 100][draw.place(2)],
                max_committed_size_per_ready: [0, 1, 50][draw.place(3)],
                broadcast_commit: draw.percent(70),
                // A leader that steps down at its removal may be the only one that knows of it.
                share_commit: flag(6) || !fixed,
                give_up_snapshot_after: 2,
                rules: rules.into(),
                priority: if flag(7) { i64::try_from(id % 2).unwrap() } else { 0 },
                ..Config::new(id)
            };
            Peer::start(config, MemStorage::with_voters(voters.clone()))
        };
        let peers = (1..=PEERS).map(|id| peer(id, &mut draw)).collect();
        Self {
            focus,
            draw,
            peers,
            network: Vec::new(),
            cut: Vec::new(),
            witness: Witness::default(),
            reads: Vec::new(),
            in_step,
            fixed,
            loss,
            zeal,
            speed,
            applied: 0,
            read: 0,
        }
    }

    fn peer(&mut self, id: u64) -> Option<&mut Peer> {
        let place = usize::try_from(id.checked_sub(1)?).ok()?;
        self.peers.get_mut(place).filter(|peer| peer.up)
    }

    fn any(&mut self) -> u64 {
        1 + self.draw.below(PEERS)
    }

    /// Many things happen.
    pub(crate) fn run(&mut self, events: u64) {
        for _ in 0..events {
            self.event();
            self.drive(self.zeal);
            self.check();
        }
    }

    /// A peer; as often as not one that believes to lead, if there is any.
    fn any_asked(&mut self) -> u64 {
        let leads = |peer: &&Peer| peer.up && peer.node.raft().role() == StateRole::Leader;
        let leaders: Vec<_> = self.peers.iter().filter(leads).map(|p| p.config.id).collect();
        if leaders.is_empty() || self.draw.percent(50) {
            return self.any();
        }
        leaders[self.draw.place(leaders.len())]
    }

    fn event(&mut self) {
        let (id, other) = (self.any_asked(), self.any());
        match self.draw.below(100) {
            0..=39 => self.tick(),
            65..=67 if self.focus == Focus::Members => self.change_members(id),
            65..=67 if self.focus == Focus::Leases => {
                let _ = self.peer(other).map(|peer| peer.node.campaign());
            }
            65..=71 => self.propose(id),
            72..=75 => self.change_members(id),
            76..=82 => self.read(id),
            83 => drop(self.peer(id).map(|peer| peer.node.transfer_leader(other))),
            84 => drop(self.peer(other).map(|peer| peer.node.campaign())),
            85 => drop(self.peer(other).map(|peer| peer.node.forget_leader())),
            86 => drop(self.peer(other).map(|peer| peer.node.request_snapshot())),
            87 => drop(self.peer(id).map(|peer| peer.node.report_unreachable(other))),
            88 => drop(self.peer(id).map(|peer| {
                peer.node.report_snapshot(other, SnapshotStatus::Failure);
            })),
            89..=91 => {
                let keep = self.draw.below(4);
                if let Some(peer) = self.peer(other) {
                    peer.compact(keep);
                }
            }
            92 if self.draw.percent(50) => {}
            92 => self.peers[usize::try_from(id - 1).unwrap()].crash(),
            93..=95 => self.restart(other),
            96 => self.cut.extend([(id, other), (other, id)]),
            97 => self.split(id),
            98 => self.cut.clear(),
            // Nothing but what is under way.
            _ => {}
        }
    }

    /// Cuts `id` and perhaps others off from the rest.
    fn split(&mut self, id: u64) {
        let mask = self.draw.number() & self.draw.number() | 1 << id;
        let inside = |id: u64| mask >> id & 1 == 1;
        self.cut.clear();
        let links = (1..=PEERS).flat_map(|from| (1..=PEERS).map(move |to| (from, to)));
        self.cut.extend(links.filter(|&(from, to)| inside(from) != inside(to)));
    }

    fn tick(&mut self) {
        for peer in &mut self.peers {
            if peer.up && (self.in_step || self.draw.percent(50)) {
                peer.node.tick().unwrap();
            }
        }
    }

    fn propose(&mut self, id: u64) {
        let data = vec![7u8; self.draw.place(60)];
        let result = self.peer(id).map_or(Ok(()), |peer| peer.node.propose(data).map(drop));
        assert!(matches!(result, Ok(()) | Err(Error::ProposalDropped(_))), "{result:?}");
    }

    fn change_members(&mut self, id: u64) {
        if self.fixed {
            return self.propose(id);
        }
        let single = |draw: &mut Draw| ConfChangeSingle {
            change_type: i32::try_from(draw.below(3)).unwrap(),
            node_id: 1 + draw.below(PEERS),
        };
        let changes = (0..self.draw.below(4)).map(|_| single(&mut self.draw)).collect();
        let transition = i32::try_from(self.draw.below(3)).unwrap();
        let change = ConfChangeV2 { transition, changes, ..ConfChangeV2::default() };
        let _ = self.peer(id).map(|peer| peer.node.propose_conf_change(change));
    }

    fn read(&mut self, id: u64) {
        let (number, committed) = (self.reads.len() as u64, self.witness.committed);
        if let Some(peer) = self.peer(id)
            && peer.node.read_index(number.to_le_bytes().to_vec()).is_ok()
        {
            self.reads.push(committed);
        }
    }

    fn restart(&mut self, id: u64) {
        let peer = &mut self.peers[usize::try_from(id - 1).unwrap()];
        if !peer.up {
            peer.restart();
        }
    }

    /// Disks, machines and the network do some of their work.
    fn drive(&mut self, percent: u64) {
        let mut outputs = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.up) {
            let mut out = Output::default();
            if self.draw.percent(percent) {
                peer.take_ready(&mut out);
            }
            if self.draw.percent(percent) {
                peer.write(&mut out);
            }
            if self.draw.percent(percent) {
                peer.apply_batch(&mut out);
            }
            outputs.push(out);
        }
        for out in outputs {
            self.witness(out);
        }
        for _ in 0..self.network.len().min(self.speed) {
            let place = self.draw.place(self.network.len());
            let repeated = self.draw.percent(self.loss);
            let message = if repeated {
                self.network[place].clone()
            } else {
                self.network.swap_remove(place)
            };
            self.deliver(message);
        }
    }

    fn witness(&mut self, out: Output) {
        self.network.extend(out.messages);
        // What is under way for too long is lost.
        if self.network.len() > 200 {
            self.network.drain(..100);
        }
        for read in out.reads {
            let number = read.context[..].try_into().map(u64::from_le_bytes).unwrap();
            let committed = self.reads[usize::try_from(number).unwrap()];
            assert!(read.index >= committed, "a stale read: {} < {committed}", read.index);
            self.read += 1;
        }
        for (machine, members) in out.applied {
            self.applied += 1;
            let known = *self.witness.machines.entry(machine.applied).or_insert(machine);
            assert_eq!(known, machine, "two state machines differ");
            if let Some(members) = members {
                let known = self.witness.members.entry(machine.applied);
                assert_eq!(*known.or_insert(members.clone()), members, "at {machine:?}");
            }
        }
    }

    fn deliver(&mut self, message: Message) {
        let link = (message.from, message.to);
        let snapshot = message.msg_type == i32::from(MessageType::MsgSnapshot);
        let lost = self.cut.contains(&link) || self.draw.percent(self.loss);
        let arrived = !lost && self.peer(message.to).is_some();
        if snapshot && self.draw.percent(50) {
            let status = if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
            let _ = self.peer(link.0).map(|peer| peer.node.report_snapshot(link.1, status));
        }
        if lost {
            return;
        }
        if let Some(peer) = self.peer(link.1) {
            let text = format!("{message:?}");
            let result = peer.node.step(message);
            let fine = matches!(
                result,
                Ok(_)
                    | Err(Error::ProposalDropped(_)
                        | Error::ReadDropped(_)
                        | Error::StepPeerNotFound(_))
            );
            assert!(fine, "{result:?} to {text}");
        }
    }

    fn check(&mut self) {
        for peer in self.peers.iter().filter(|peer| peer.up) {
            let raft = peer.node.raft();
            self.witness.committed = self.witness.committed.max(peer.committed());
            if raft.role() == StateRole::Leader {
                let leader = *self.witness.leaders.entry(raft.term()).or_insert(raft.id());
                assert_eq!(leader, raft.id(), "two leaders of term {}", raft.term());
            }
            for (id, progress) in raft.tracker().iter() {
                assert!(progress.matched < progress.next, "{id}: {progress:?}");
            }
        }
    }

    /// Everything works again: a command must get through, and all members must have it.
    pub(crate) fn heal(&mut self) {
        (self.loss, self.speed) = (0, 12);
        self.cut.clear();
        for id in 1..=PEERS {
            self.restart(id);
        }
        let goal = self.witness.committed + 3;
        for round in 0..6_000 {
            self.tick();
            for _ in 0..8 {
                self.drive(100);
            }
            self.check();
            if round % 10 == 0 {
                // To whoever believes to lead: one that was removed may not know of another.
                (1..=PEERS).for_each(|id| self.propose(id));
                self.peers.iter_mut().for_each(|peer| peer.compact(2));
            }
            if self.agrees_beyond(goal) {
                return;
            }
        }
        let states: Vec<_> =
            self.peers.iter().map(|peer| (peer.node.status(), peer.busy())).collect();
        panic!("no progress to {goal}: {states:#?}");
    }

    /// Whether a leader and all its members have applied the goal, and the same.
    fn agrees_beyond(&self, goal: u64) -> bool {
        let leads = |peer: &&Peer| peer.node.raft().role() == StateRole::Leader;
        let newest = self.peers.iter().filter(leads).max_by_key(|peer| peer.node.raft().term());
        let Some(leader) = newest else {
            return false;
        };
        let members = leader.node.raft().tracker().configuration();
        let mut peers = self.peers.iter().filter(|peer| members.contains(peer.config.id));
        peers.all(|peer| peer.machine.applied >= goal)
    }
}
