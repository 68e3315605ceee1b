//! A request as TinyKV's test cluster makes it: tried again until it is answered.

use raft_sim::{Op, Outcome, Reply};

use crate::cluster::{Cluster, MILLISECOND};
use crate::support::SECOND;

/// A try lasts so long at most. Within it the world's client waits a second for each answer and
/// looks for the leader by itself.
pub(crate) const TRY: u64 = 5 * SECOND;
/// A request fails when it was tried so often, and for as long as one try may last.
const TRIES: u32 = 10;
/// Before a request is tried again.
const PAUSE: u64 = 100 * MILLISECOND;

/// A request that is under way.
///
/// Each operation of these tests may take effect twice and it would not matter, so one whose outcome
/// is unknown may be tried again like one that was refused for the moment.
pub(crate) struct Call {
    client: u64,
    op: Op,
    request: u64,
    since_us: u64,
    tries: u32,
    /// When it is tried again, if a try has failed.
    again_us: Option<u64>,
}

impl Call {
    pub(crate) fn new(cluster: &mut Cluster, client: u64, op: Op) -> Self {
        let since_us = cluster.world.now_us();
        let request = cluster.send(client, op.clone());
        Self { client, op, request, since_us, tries: 1, again_us: None }
    }

    /// The answer, once it has come.
    pub(crate) fn answer(&mut self, cluster: &mut Cluster) -> Option<Reply> {
        let now_us = cluster.world.now_us();
        if let Some(again_us) = self.again_us {
            if now_us >= again_us {
                self.request = cluster.send(self.client, self.op.clone());
                self.tries += 1;
                self.again_us = None;
            }
            return None;
        }
        match cluster.outcome(self.request)? {
            Outcome::Done(reply) => Some(reply),
            other => {
                let last = self.tries >= TRIES && now_us >= self.since_us + TRY;
                assert!(!last, "request timeout: {} of client {}: {other}", self.op, self.client);
                self.again_us = Some(now_us + PAUSE);
                None
            }
        }
    }
}
