//! Who belongs to the cluster, and in which part.

use alloc::vec::Vec;
use core::fmt;

use crate::proto::eraftpb::ConfState;
use crate::quorum::{JointConfig, Majority};

/// The members of a cluster.
///
/// - A peer is never a voter and a learner at once.
/// - `learners_next` are voters of the outgoing half that become learners when it is left.
/// - `outgoing`, `learners_next` and `auto_leave` are empty unless the configuration is joint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Those who vote.
    pub voters: JointConfig,
    /// Those who receive the log and do not vote (thesis 4.2.1).
    pub learners: Majority,
    /// Voters that become learners when the joint configuration is left.
    pub learners_next: Majority,
    /// Whether the leader leaves the joint configuration by itself.
    pub auto_leave: bool,
}

impl Configuration {
    /// Nobody.
    pub const fn new() -> Self {
        Self {
            voters: JointConfig { incoming: Majority::new(), outgoing: Majority::new() },
            learners: Majority::new(),
            learners_next: Majority::new(),
            auto_leave: false,
        }
    }

    /// The members as the wire describes them.
    pub fn conf_state(&self) -> ConfState {
        let ids = |set: &Majority| -> Vec<u64> { set.iter().collect() };
        ConfState {
            voters: ids(&self.voters.incoming),
            learners: ids(&self.learners),
            voters_outgoing: ids(&self.voters.outgoing),
            learners_next: ids(&self.learners_next),
            auto_leave: self.auto_leave,
        }
    }

    /// Whether `id` belongs to the cluster in any part.
    pub fn contains(&self, id: u64) -> bool {
        self.voters.contains(id) || self.learners.contains(id)
    }
}

/// `voters=(1 2)&&(3) learners=(4) learners_next=(5) autoleave`, as etcd prints it: ids in hexadecimal.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voters={}", self.voters)?;
        if !self.learners.is_empty() {
            write!(f, " learners={}", self.learners)?;
        }
        if !self.learners_next.is_empty() {
            write!(f, " learners_next={}", self.learners_next)?;
        }
        if self.auto_leave {
            f.write_str(" autoleave")?;
        }
        Ok(())
    }
}
