//! A request as TinyKV's test cluster makes it: asked again until it is answered.

use raft_sim::{Op, Outcome, Reply};

use crate::cluster::{Cluster, MILLISECOND};
use crate::support::SECOND;

/// For so long at least; a try lasts up to a second, so there are ten of them.
pub(crate) const PATIENCE: u64 = 10 * SECOND;
/// Before a refused request is made again.
const PAUSE: u64 = 100 * MILLISECOND;

/// A request that is under way.
///
/// The world's clients look for the leader by themselves and ask again until they are answered. What
/// is refused for the moment only, as while leadership is handed over, is asked again here.
pub(crate) struct Call {
    client: u64,
    op: Op,
    request: u64,
    since_us: u64,
    /// When it is made again, if it was refused.
    again_us: Option<u64>,
}

impl Call {
    pub(crate) fn new(cluster: &mut Cluster, client: u64, op: Op) -> Self {
        let since_us = cluster.world.now_us();
        let request = cluster.send(client, op.clone());
        Self { client, op, request, since_us, again_us: None }
    }

    /// The answer, once it has come. To wait for longer than [`PATIENCE`] is a failure.
    pub(crate) fn answer(&mut self, cluster: &mut Cluster) -> Option<Reply> {
        let now_us = cluster.world.now_us();
        if let Some(again_us) = self.again_us {
            if now_us >= again_us {
                self.request = cluster.send(self.client, self.op.clone());
                self.again_us = None;
            }
            return None;
        }
        match cluster.outcome(self.request)? {
            Outcome::Done(reply) => return Some(reply),
            Outcome::Refused(_) if now_us < self.since_us + PATIENCE => {
                self.again_us = Some(now_us + PAUSE);
            }
            other => panic!("request timeout: {} of client {}: {other}", self.op, self.client),
        }
        None
    }
}
