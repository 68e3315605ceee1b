//! Membership changes as mathematics: `simple`, `enter-joint` and `leave-joint`.
//!
//! ```text
//! enter-joint autoleave=true
//! v4 l5 r1
//! ```
//!
//! The members begin empty and carry over from one command to the next; every command, refused or
//! not, makes the log one entry longer.

use raft_core::ProgressTracker;
use raft_core::confchange::Changer;
use raft_core::describe;
use raft_core::eraftpb::{ConfChangeSingle, ConfChangeType};

use crate::env::Flag;
use crate::script::Call;
use crate::{Result, nonsense};

/// The members so far.
pub(crate) struct Memberships {
    tracker: ProgressTracker,
    last_index: u64,
}

impl Default for Memberships {
    fn default() -> Self {
        Self { tracker: ProgressTracker::of_leader(10, 0), last_index: 0 }
    }
}

impl Memberships {
    pub(crate) fn run(&mut self, mut call: Call, input: &[String]) -> Result<String> {
        let changes = parse_changes(input)?;
        let changer = Changer { tracker: &self.tracker, last_index: self.last_index };
        let changed = match call.name.as_str() {
            "simple" => changer.simple(&changes),
            "enter-joint" => {
                let auto_leave = call.find::<Flag>("autoleave")?.is_some_and(|flag| flag.0);
                changer.enter_joint(auto_leave, &changes)
            }
            _ if !changes.is_empty() => return nonsense("`leave-joint` takes no changes"),
            _ => changer.leave_joint(),
        };
        call.finish()?;
        self.last_index += 1;
        match changed {
            Ok(tracker) => self.tracker = tracker,
            Err(error) => return Ok(format!("{error}\n")),
        }
        let progress = describe::progress_map(self.tracker.iter());
        Ok(format!("{}\n{progress}", self.tracker.configuration()))
    }
}

/// `v1` makes peer 1 a voter, `l2` makes peer 2 a learner, `r3` removes peer 3, and `u4` changes
/// nothing: etcd uses it to carry data.
pub(crate) fn parse_changes(input: &[String]) -> Result<Vec<ConfChangeSingle>> {
    let words = input.iter().flat_map(|line| line.split_whitespace());
    words.map(parse_change).collect()
}

fn parse_change(word: &str) -> Result<ConfChangeSingle> {
    let mut letters = word.chars();
    let letter = letters.next();
    let Ok(id) = letters.as_str().parse() else {
        return nonsense(format!("`{word}` is no change: v1, l2, r3 or u4"));
    };
    let (kind, node_id) = match letter {
        Some('v') => (ConfChangeType::AddNode, id),
        Some('l') => (ConfChangeType::AddLearnerNode, id),
        Some('r') => (ConfChangeType::RemoveNode, id),
        // A change of nobody changes nothing.
        Some('u') => (ConfChangeType::AddNode, 0),
        _ => return nonsense(format!("`{word}` is no change: v1, l2, r3 or u4")),
    };
    Ok(ConfChangeSingle { change_type: kind.into(), node_id })
}
