//! How scenes word entries, members and tables.

use raft_core::eraftpb::{ConfChangeType, ConfChangeV2, Entry};
use raft_core::{EntryId, NONE, StateRole, conf_change_of, describe};

use super::Result;
use super::node::Node;

/// `n3`, or `-` for nobody.
pub(super) fn peer(id: u64) -> String {
    if id == NONE { "-".to_owned() } else { format!("n{id}") }
}

/// `(1,2,3)`.
pub(super) fn list(ids: &[u64]) -> String {
    let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
    format!("({})", ids.join(","))
}

/// The command that an entry carries; none for a membership change or an empty entry.
pub(super) fn command(entry: &Entry) -> Result<Option<String>> {
    let ordinary = conf_change_of(entry)?.is_none() && !entry.data.is_empty();
    Ok(ordinary.then(|| String::from_utf8_lossy(&entry.data).into_owned()))
}

/// An entry with what it carries: `3@2 hello`, `4@2 add n4`, or `1@1` alone if it is empty.
pub(super) fn entry(entry: &Entry) -> Result<String> {
    let id = EntryId::of(entry);
    let content = match conf_change_of(entry)? {
        Some(change) => Some(conf_change(&change)),
        None => command(entry)?,
    };
    Ok(content.map_or(id.to_string(), |content| format!("{id} {content}")))
}

fn conf_change(change: &ConfChangeV2) -> String {
    let single = |single: &raft_core::eraftpb::ConfChangeSingle| {
        let verb = match single.change_type() {
            ConfChangeType::AddNode => "add",
            ConfChangeType::RemoveNode => "remove",
            ConfChangeType::AddLearnerNode => "add learner",
        };
        format!("{verb} n{}", single.node_id)
    };
    let changes: Vec<_> = change.changes.iter().map(single).collect();
    changes.join(", ")
}

/// Roles, votes, commit indices and election timers, one peer a line.
pub(super) fn status(node: &mut Node) -> Result<String> {
    let name = node.name();
    if !node.is_up() {
        return Ok(format!("{name} down"));
    }
    let raft = node.raw()?.raft();
    let log = raft.log();
    let members: Vec<_> = raft.tracker().ids().collect();
    let mut line = format!(
        "{name} {:9} leader={} vote={} last={} commit={} applied={} members={}",
        describe::role(raft.role()),
        peer(raft.leader()),
        peer(raft.vote()),
        log.last_id()?,
        log.committed(),
        log.applied(),
        list(&members),
    );
    if raft.role() != StateRole::Leader {
        let (elapsed, limit) = (raft.election_elapsed(), raft.randomized_election_timeout());
        line.push_str(&format!(" timer={elapsed}/{limit}"));
    }
    Ok(line)
}

/// What a leader knows about the others, one peer a line.
pub(super) fn progress(node: &mut Node) -> Result<Vec<String>> {
    let status = node.raw()?.status();
    let others = status.progress.iter().filter(|(id, _)| *id != status.id);
    Ok(others.map(|(id, progress)| format!("n{id} {}", describe::progress(progress))).collect())
}

/// The logs below each other: the term of every entry, `·` for what is folded into a snapshot, and
/// a bar behind the last committed entry.
pub(super) fn logs<'a>(nodes: impl Iterator<Item = &'a Node>) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for node in nodes {
        let view = node.view()?;
        let folded = (1..=view.truncated.index).map(|_| "·".to_owned());
        let kept = view.entries.iter().map(|entry| entry.term.to_string());
        let cells = (1..).zip(folded.chain(kept));
        let cells = cells.map(|(index, text)| {
            let bar = if index == view.commit { '|' } else { ' ' };
            format!("{text:>3}{bar}")
        });
        let name = if node.is_up() { node.name() } else { format!("{} down", node.name()) };
        rows.push((name, cells.collect::<Vec<_>>()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max("index".len());
    let longest = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let head: Vec<_> = (1..=longest).map(|index| format!("{index:>3} ")).collect();
    let head = ("index".to_owned(), head);
    let lines = [head].into_iter().chain(rows).map(|(name, cells)| {
        let line = format!("{name:width$} {}", cells.concat());
        line.trim_end().to_owned()
    });
    Ok(lines.collect())
}
