//! TinyKV's network chaos: every now and then another partition, another filter.

use crate::cluster::{Cluster, ELECTION_TIMEOUT, MILLISECOND};

/// What disturbs the network, and when it does so next.
pub(crate) struct Chaos {
    pub(crate) partitions: bool,
    pub(crate) unreliable: bool,
    pub(crate) next_us: u64,
}

impl Chaos {
    /// Disturbs the network if it is time to: after an election time-out and up to 199 ms.
    ///
    /// A new partition clears the filters, so that at most one of them loses messages. Without
    /// partitions they add up.
    pub(crate) fn go_on(&mut self, cluster: &mut Cluster) {
        let now_us = cluster.world.now_us();
        if now_us < self.next_us {
            return;
        }
        if self.partitions {
            let side: Vec<_> = cluster.stores().filter(|_| cluster.dice.roll(2) == 0).collect();
            cluster.clear_filters();
            cluster.partition(&side);
        }
        if self.unreliable {
            cluster.add_drop_filter();
        }
        self.next_us = now_us + ELECTION_TIMEOUT + cluster.dice.roll(200) * MILLISECOND;
    }
}
