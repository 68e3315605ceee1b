//! One peer under fire: any message, any order of calls, and a disk that fails. The fuzz targets in
//! `fuzz/` and the test beside this file run the same functions.
//!
//! What must hold whatever comes: no panic; term, vote and commit index never go back; what is
//! handed out for application is in order, each entry once; the windows and the queues stay within
//! their limits; and when the disk works again, so does the peer.

use prost::Message as _;
use raft_core::eraftpb::{
    ConfChangeSingle, ConfChangeV2, ConfState, Entry, HardState, Message, Snapshot,
    SnapshotMetadata,
};
use raft_core::{
    Config, MemStorage, RawNode, ReadOnly, Ready, SelfAck, SnapshotStatus, StateRole,
    conf_change_of,
};

use crate::bytes::Bytes;
use crate::disk::Disk;

const MAX_INFLIGHT: u32 = 3;
const MAX_READS: u32 = 4;
const MAX_SIZE: u64 = 40;

/// Decodes a message and hands it to a peer in any of the states that a peer can be in.
pub(crate) fn decode_and_step(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let Some(mut peer) = Peer::set_up(&mut bytes) else {
        return;
    };
    peer.take_role(bytes.below(5));
    // Several messages, each with its length in front.
    for _ in 0..4 {
        if bytes.is_empty() {
            break;
        }
        let length = usize::from(bytes.byte());
        let rest = bytes.rest();
        let (one, others) = rest.split_at(length.min(rest.len()));
        bytes = Bytes::new(others);
        let Ok(message) = Message::decode(one) else {
            continue;
        };
        // As a transport may answer: what came in can be sent on.
        assert!(message.encoded_len() <= 2 * one.len() + 64);
        let _ = peer.node.step(message);
        peer.check();
        peer.turn();
    }
    peer.settle();
}

/// Any calls in any order, while the disk fails now and then; in the end it works again.
pub(crate) fn call_sequence(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let Some(mut peer) = Peer::set_up(&mut bytes) else {
        return;
    };
    while !bytes.is_empty() {
        peer.call(&mut bytes);
        peer.check();
    }
    peer.recover();
}

struct Peer {
    node: RawNode<Disk>,
    pipelined: bool,
    /// `Ready`s that are not on disk yet.
    unwritten: Vec<Ready>,
    /// What the application has been given to apply.
    given: u64,
    before: HardState,
    /// Calls since the last `Ready`.
    calls: usize,
}

impl Peer {
    /// A peer of some cluster, with some log and some settings.
    fn set_up(bytes: &mut Bytes<'_>) -> Option<Self> {
        let members = u64::from(bytes.byte());
        let of = |mask: u64| (1..=4u64).filter(|id| mask >> (id - 1) & 1 == 1).collect::<Vec<_>>();
        // A lone voter is the one that can be asked to make progress in the end.
        let lone = bytes.below(4) == 0;
        let voters = if lone { vec![1] } else { of(members | u64::from(members & 0x40 == 0)) };
        let learners = of(members >> 4).into_iter().filter(|id| !voters.contains(id)).collect();
        let mut disk = MemStorage::with_voters(voters.clone());
        disk.set_conf_state(ConfState { voters, learners, ..ConfState::default() });
        let mut term = 0;
        for index in 1..=bytes.below(6) {
            term += bytes.below(2) + u64::from(index == 1);
            let entry = Entry { term, index, data: "12345".into(), ..Entry::default() };
            disk.append(&[entry]).ok()?;
        }
        let last = disk.all_entries().len() as u64;
        let commit = bytes.below(last + 1);
        disk.set_hard_state(HardState {
            term: term + bytes.below(2),
            vote: bytes.below(3),
            commit,
        });
        let folded = bytes.below(commit + 1);
        if folded > 0 {
            disk.create_snapshot(folded, None, "state").ok()?;
            disk.compact(folded).ok()?;
        }
        let pipelined = bytes.flag();
        let node = RawNode::new(&settings(bytes, pipelined), Disk::new(disk)).ok()?;
        let before = node.raft().hard_state();
        let given = node.raft().log().applied();
        Some(Self { node, pipelined, unwritten: Vec::new(), given, before, calls: 0 })
    }

    /// Makes it a follower, a pre-candidate or a candidate, or a leader that is believed.
    fn take_role(&mut self, role: u64) {
        if role > 0 {
            let _ = self.node.campaign();
            self.turn();
        }
        if role > 2 {
            let term = self.node.raft().term();
            for from in 2..=4 {
                for (msg_type, term) in
                    [(18, term + 1), (6, self.node.raft().term() + 1), (6, term)]
                {
                    let answer = Message { msg_type, from, to: 1, term, ..Message::default() };
                    if term == self.node.raft().term() || msg_type == 18 {
                        let _ = self.node.step(answer);
                    }
                }
                self.turn();
            }
        }
        if role > 3 {
            let _ = self.node.propose("command");
            self.turn();
        }
        self.check();
    }

    fn call(&mut self, bytes: &mut Bytes<'_>) {
        self.calls += 1;
        match bytes.below(24) {
            0..=3 => (0..=bytes.below(12)).for_each(|_| drop(self.node.tick())),
            4 => drop(self.node.campaign()),
            5 | 6 => drop(self.node.propose(vec![7; usize::from(bytes.byte())])),
            7 => drop(self.node.propose_conf_change(any_change(bytes))),
            8 => drop(self.node.read_index(vec![bytes.byte(); 8])),
            9 => drop(self.node.transfer_leader(bytes.below(5))),
            10 => drop(self.node.forget_leader()),
            11 => drop(self.node.request_snapshot()),
            12 => drop(self.node.report_unreachable(bytes.below(5))),
            13 => {
                let status =
                    if bytes.flag() { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
                self.node.report_snapshot(bytes.below(5), status);
            }
            14 => self.node.store().fail(bytes.below(4)),
            15 => self.compact(),
            16 => self.take_ready(),
            17 => self.write(),
            18 => self.turn(),
            19 => self.take_role(bytes.below(5)),
            _ => drop(self.node.step(any_message(bytes, &self.node))),
        }
    }

    /// Folds what is applied into a snapshot.
    fn compact(&mut self) {
        let applied = self.node.raft().log().applied();
        let members = self.node.raft().tracker().conf_state();
        let disk = &mut self.node.store_mut().inner;
        if disk.create_snapshot(applied, Some(members), "state").is_ok() {
            let _ = disk.compact(applied);
        }
    }

    fn turn(&mut self) {
        for _ in 0..4 {
            if self.node.has_ready() {
                self.take_ready();
            }
            self.write();
        }
    }

    fn take_ready(&mut self) {
        let Ok(ready) = self.node.ready() else {
            return;
        };
        self.check_ready(&ready);
        self.calls = 0;
        self.unwritten.push(ready);
        if !self.pipelined {
            self.write();
        }
    }

    /// Writes the oldest `Ready` and applies what it brings.
    fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let ready = self.unwritten.remove(0);
        let disk = &mut self.node.store_mut().inner;
        if let Some(snapshot) = ready.snapshot.clone() {
            // A requested one may be as old as the one that is there.
            let _ = disk.apply_snapshot(*snapshot);
        }
        disk.append(&ready.entries).unwrap();
        if let Some(state) = ready.hard_state {
            disk.set_hard_state(state);
        }
        for entry in &ready.committed_entries {
            if let Ok(Some(change)) = conf_change_of(entry) {
                let _ = self.node.apply_conf_change(&change);
            }
        }
        let applied = ready.committed_entries.last().map(|entry| entry.index);
        if self.pipelined {
            let _ = self.node.on_persisted(ready.number);
            if let Some(index) = applied {
                let _ = self.node.on_applied(index);
            }
        } else {
            let _ = self.node.advance(ready);
        }
    }

    /// What holds between any two calls.
    fn check(&mut self) {
        let (raft, log) = (self.node.raft(), self.node.raft().log());
        let (before, after) = (self.before, raft.hard_state());
        assert!(after.term >= before.term, "{before:?} {after:?}");
        assert!(after.commit >= before.commit, "{before:?} {after:?}");
        let kept = after.term > before.term || before.vote == 0 || after.vote == before.vote;
        assert!(kept, "{before:?} {after:?}");
        assert!(log.applied() <= log.committed() && log.committed() <= log.last_index());
        assert!(log.stabled() <= log.last_index());
        for (id, progress) in raft.tracker().iter() {
            assert!(progress.matched < progress.next, "{id}: {progress:?}");
            assert!(progress.inflights.count() <= MAX_INFLIGHT as usize, "{id}: {progress:?}");
            let last = log.last_index();
            let leads = raft.role() == StateRole::Leader;
            assert!(!leads || progress.matched <= last, "{id}: {progress:?} {last}");
            assert!(!leads || progress.next <= last + 1, "{id}: {progress:?} {last}");
        }
        let (role, leader) = (raft.role(), raft.leader());
        assert_eq!(role == StateRole::Leader, leader == raft.id(), "{role:?} of {leader}");
        assert!(role == StateRole::Follower || raft.vote() == raft.id() || leader == 0);
        self.before = after;
    }

    /// What holds for every `Ready`.
    fn check_ready(&mut self, ready: &Ready) {
        let follow = |entries: &[Entry]| entries.windows(2).all(|w| w[0].index + 1 == w[1].index);
        assert!(follow(&ready.entries) && follow(&ready.committed_entries), "{ready:?}");
        if let Some(snapshot) = &ready.snapshot {
            assert!(ready.committed_entries.is_empty(), "a snapshot is applied by itself");
            self.given = snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index);
        }
        if let (Some(first), Some(last)) =
            (ready.committed_entries.first(), ready.committed_entries.last())
        {
            assert_eq!(first.index, self.given + 1, "applied in order, each entry once");
            self.given = last.index;
            let log = self.node.raft().log();
            assert!(last.index <= log.committed());
            if let Ok(stored) = log.slice(first.index, last.index + 1, u64::MAX) {
                assert_eq!(stored, ready.committed_entries);
            }
        }
        for message in &ready.messages {
            let bytes: usize = message.entries.iter().map(prost::Message::encoded_len).sum();
            let own = message.msg_type == 3;
            assert!(!own || message.entries.len() <= 1 || bytes as u64 <= MAX_SIZE, "{bytes}");
            assert!(message.to != 0, "{message:?}");
        }
        // A call answers once, and a heartbeat or an append goes to each member; at most a window
        // of appends is on its way to each, and all reads may be answered at once.
        let most = (self.calls + 2) * 13 * 5 + 5 * MAX_INFLIGHT as usize + MAX_READS as usize;
        assert!(ready.messages.len() <= most, "{} messages", ready.messages.len());
        assert!(ready.dropped_reads.len() <= (self.calls + 2) * MAX_READS as usize);
    }

    fn settle(&mut self) {
        for _ in 0..50 {
            if !self.node.has_ready() && self.unwritten.is_empty() {
                return;
            }
            self.turn();
            self.check();
        }
        panic!("there is always something left to do");
    }

    /// The disk works again: nothing may be stuck.
    fn recover(&mut self) {
        self.node.store().fail(0);
        self.settle();
        let alone = |peer: &Self| {
            let voters = &peer.node.raft().tracker().configuration().voters;
            voters.is_only(1)
        };
        if !alone(self) || self.node.raft().term() > u64::MAX / 4 {
            return;
        }
        for _ in 0..200 {
            self.node.tick().unwrap();
            self.settle();
        }
        if !alone(self) {
            return;
        }
        let (raft, log) = (self.node.raft(), self.node.raft().log());
        assert_eq!(raft.role(), StateRole::Leader, "{raft:?}");
        assert_eq!(log.committed(), log.last_index(), "{raft:?}");
        assert_eq!(log.applied(), log.last_index(), "{raft:?}");
        self.node.propose("command").unwrap();
        self.settle();
        let log = self.node.raft().log();
        assert_eq!(log.applied(), log.last_index(), "{:?}", self.node.raft());
    }
}

fn settings(bytes: &mut Bytes<'_>, pipelined: bool) -> Config {
    let flags = bytes.byte();
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let lease = flag(0) && flag(1);
    let own = if flag(2) && !pipelined { SelfAck::OnAppend } else { SelfAck::OnPersist };
    let appends = if flag(3) { raft_core::Appends::Eager } else { raft_core::Appends::Coalesced };
    Config {
        check_quorum: flag(0),
        read_only: if lease { ReadOnly::LeaseBased } else { ReadOnly::Safe },
        self_ack: own,
        appends,
        async_persist: pipelined,
        pre_vote: flag(4),
        max_uncommitted_size: if flag(5) { 50 } else { 0 },
        max_inflight_bytes: if flag(6) { MAX_SIZE } else { 0 },
        max_committed_size_per_ready: if flag(7) { 30 } else { 0 },
        max_size_per_msg: MAX_SIZE,
        max_inflight_msgs: MAX_INFLIGHT,
        max_pending_reads: MAX_READS,
        step_down_on_removal: bytes.byte() & 7 != 7,
        seed: u64::from(bytes.byte()),
        ..Config::new(1)
    }
}

fn any_change(bytes: &mut Bytes<'_>) -> ConfChangeV2 {
    let transition = i32::from(bytes.byte() % 4);
    let single = |bytes: &mut Bytes<'_>| {
        let change_type = i32::from(bytes.byte() % 4);
        ConfChangeSingle { change_type, node_id: bytes.below(5) }
    };
    let changes = (0..bytes.below(4)).map(|_| single(bytes)).collect();
    ConfChangeV2 { transition, changes, ..ConfChangeV2::default() }
}

/// A message that fits more often than not.
fn any_message(bytes: &mut Bytes<'_>, node: &RawNode<Disk>) -> Message {
    let raft = node.raft();
    let near = |bytes: &mut Bytes<'_>, middle: u64| match bytes.byte() {
        byte @ 0..=199 => (middle + u64::from(byte % 5)).saturating_sub(2),
        _ => bytes.number(),
    };
    let term = near(bytes, raft.term());
    let index = near(bytes, raft.log().last_index());
    let log_term = match raft.log().term(index) {
        Ok(own) if !bytes.flag() => own,
        _ => near(bytes, raft.term()),
    };
    let mut entries = Vec::new();
    let mut entry_term = log_term;
    for position in 0..bytes.below(4) {
        entry_term = entry_term.saturating_add(bytes.below(2));
        let index = index.wrapping_add(1 + position);
        let entry_type = i32::from(bytes.byte() % 16).min(3);
        let data = if entry_type == 2 { any_change(bytes).encode_to_vec() } else { vec![1; 9] };
        entries.push(Entry {
            entry_type,
            term: entry_term,
            index,
            data: data.into(),
            ..Entry::default()
        });
    }
    let snapshot = (bytes.byte() < 60).then(|| Box::new(any_snapshot(bytes, index, term)));
    Message {
        msg_type: i32::from(bytes.byte() % 20),
        to: if bytes.byte() < 250 { 1 } else { bytes.below(5) },
        from: bytes.below(6),
        term,
        log_term,
        index,
        entries,
        commit: near(bytes, raft.log().committed()),
        commit_term: near(bytes, raft.term()),
        snapshot,
        reject: bytes.flag(),
        reject_hint: near(bytes, raft.log().last_index()),
        context: if bytes.flag() {
            bytes.number().to_le_bytes().to_vec().into()
        } else {
            "".into()
        },
        request_snapshot: if bytes.byte() < 30 { bytes.number() } else { 0 },
        priority: i64::from(bytes.byte() % 3) - 1,
        ..Message::default()
    }
}

fn any_snapshot(bytes: &mut Bytes<'_>, index: u64, term: u64) -> Snapshot {
    let mask = u64::from(bytes.byte());
    let of = |mask: u64| (1..=4u64).filter(|id| mask >> (id - 1) & 1 == 1).collect::<Vec<_>>();
    let conf_state = Some(ConfState {
        voters: of(mask),
        learners: of(mask >> 4 & !mask),
        voters_outgoing: if bytes.byte() < 40 { of(mask >> 2) } else { Vec::new() },
        ..ConfState::default()
    });
    let metadata = SnapshotMetadata { index, term, conf_state };
    Snapshot { data: "state".into(), metadata: (bytes.byte() < 250).then_some(metadata) }
}
