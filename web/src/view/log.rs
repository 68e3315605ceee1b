//! The logs side by side.

use raft_core::StateRole;
use raft_core::eraftpb::Entry;
use raft_kv::keys;
use raft_sim::{Node, World};

/// Columns that are shown: the latest.
const COLUMNS: u64 = 16;
/// The only region of the cluster.
const REGION: u64 = 1;

/// One log entry of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The peer knows it to be committed.
    pub committed: bool,
    /// The peer has applied it.
    pub applied: bool,
    /// The peer has it durable.
    pub stable: bool,
}

/// One peer's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The peer.
    pub peer: u64,
    /// It runs. If not, the lane shows its disk.
    pub up: bool,
    /// It leads.
    pub leader: bool,
    /// One for each column; none beyond the end of the log.
    pub cells: Vec<Option<Cell>>,
    /// The highest index that the leader knows to match in this log.
    pub matched: Option<u64>,
    /// The next index that the leader will send.
    pub next: Option<u64>,
    /// Highest committed, applied, durable and last index, as the peer knows them.
    pub marks: Marks,
}

/// How far a log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Highest index known to be committed.
    pub committed: u64,
    /// Highest index applied.
    pub applied: u64,
    /// Highest index durable.
    pub stabled: u64,
    /// The last index.
    pub last: u64,
}

/// The latest columns of all logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogView {
    /// Index of the first column.
    pub first: u64,
    /// Index of the last column.
    pub last: u64,
    /// The logs in the order of the peers' ids.
    pub lanes: Vec<Lane>,
}

impl LogView {
    /// The logs at the world's present.
    pub fn of(world: &World) -> Self {
        let marks: Vec<Marks> = world.nodes().map(|(_, node)| marks(node)).collect();
        let longest = marks.iter().map(|marks| marks.last).max().unwrap_or(0);
        let last = longest.max(raft_kv::INIT_LOG_INDEX + COLUMNS);
        let first = last - COLUMNS + 1;
        let leader = leader(world);
        let lanes = world.nodes().zip(marks).map(|((id, node), marks)| {
            let progress = leader.and_then(|node| node.peer()?.raft().progress(id));
            Lane {
                peer: id,
                up: node.peer().is_some(),
                leader: node.peer().is_some_and(|p| p.raft().role() == StateRole::Leader),
                cells: columns(node, marks, first, last),
                matched: progress.map(|progress| progress.matched),
                next: progress.map(|progress| progress.next),
                marks,
            }
        });
        Self { first, last, lanes: lanes.collect() }
    }
}

/// The leader of the highest term: a deposed one may not know yet.
fn leader(world: &World) -> Option<&Node> {
    let leads =
        |node: &&Node| node.peer().is_some_and(|peer| peer.raft().role() == StateRole::Leader);
    let nodes = world.nodes().map(|(_, node)| node).filter(leads);
    nodes.max_by_key(|node| node.peer().map(|peer| peer.raft().term()))
}

fn marks(node: &Node) -> Marks {
    if let Some(peer) = node.peer() {
        let log = peer.raft().log();
        return Marks {
            committed: log.committed(),
            applied: log.applied(),
            stabled: log.stabled(),
            last: log.last_index(),
        };
    }
    let entries = node.disk().raft.range(&keys::raft_log(REGION, 0), &keys::raft_state(REGION));
    let last = entries.last().and_then(|(key, _)| keys::raft_log_index(key));
    let last = last.unwrap_or(raft_kv::INIT_LOG_INDEX);
    // What was committed and applied is for the peer to say, when it is up again.
    Marks { stabled: last, last, ..Marks::default() }
}

/// Entries `low..=high` of the log: the peer's if it runs, else its disk's.
fn entries(node: &Node, low: u64, high: u64) -> Vec<Entry> {
    if low > high {
        return Vec::new();
    }
    if let Some(peer) = node.peer() {
        let log = peer.raft().log();
        let low = low.max(log.first_index().unwrap_or(low));
        return log.slice(low, high + 1, u64::MAX).unwrap_or_default();
    }
    let range = keys::raft_log(REGION, low)..keys::raft_log(REGION, high + 1);
    let records = node.disk().raft.range(&range.start, &range.end);
    records.filter_map(|(_, value)| prost::Message::decode(value.clone()).ok()).collect()
}

fn cell(entry: &Entry, marks: Marks) -> Cell {
    Cell {
        index: entry.index,
        term: entry.term,
        committed: entry.index <= marks.committed,
        applied: entry.index <= marks.applied,
        stable: entry.index <= marks.stabled,
    }
}

fn columns(node: &Node, marks: Marks, first: u64, last: u64) -> Vec<Option<Cell>> {
    let entries = entries(node, first, last.min(marks.last));
    let find = |index| entries.iter().find(|entry| entry.index == index);
    (first..=last).map(|index| find(index).map(|entry| cell(entry, marks))).collect()
}

/// The last `count` entries of a log.
pub(super) fn tail(node: &Node, count: u64) -> Vec<Cell> {
    let marks = marks(node);
    let low = (marks.last + 1).saturating_sub(count).max(1);
    entries(node, low, marks.last).iter().map(|entry| cell(entry, marks)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::{Command, Op, Scenario};

    fn busy_world() -> World {
        let mut world = World::new(&Scenario::new(1)).unwrap();
        for round in 0..30 {
            let op = Op::Put { key: "k".into(), value: round.to_string() };
            world.apply(Command::request(op)).unwrap();
            world.run_until(world.now_us() + 500_000);
        }
        world
    }

    #[test]
    fn the_window_shows_the_latest_columns_of_every_log() {
        let view = LogView::of(&busy_world());
        assert_eq!(view.last - view.first + 1, COLUMNS);
        assert_eq!(view.lanes.len(), 5);
        for lane in &view.lanes {
            let last = lane.cells.last().unwrap().unwrap();
            assert_eq!((last.index, lane.marks.last), (view.last, view.last));
            assert!(last.committed && last.applied && last.stable);
            assert_eq!(lane.matched, Some(view.last));
        }
        assert_eq!(view.lanes.iter().filter(|lane| lane.leader).count(), 1);
    }

    #[test]
    fn a_peer_that_is_down_shows_its_disk() {
        let mut world = busy_world();
        let before = LogView::of(&world).lanes[1].cells.clone();
        world.apply(Command::Crash { peer: 2 }).unwrap();
        let lane = &LogView::of(&world).lanes[1];
        assert!(!lane.up);
        let terms = |cells: &[Option<Cell>]| -> Vec<_> {
            cells.iter().flatten().map(|cell| (cell.index, cell.term)).collect()
        };
        assert_eq!(terms(&lane.cells), terms(&before));
    }

    #[test]
    fn an_empty_cluster_has_room_for_what_comes() {
        let view = LogView::of(&World::new(&Scenario::new(1)).unwrap());
        assert_eq!(view.first, 6);
        assert!(view.lanes.iter().all(|lane| lane.cells.iter().all(Option::is_none)));
    }
}
