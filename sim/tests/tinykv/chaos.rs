//! What goes on beside the clients: another partition, another filter, other members.

use raft_sim::{Op, Role};

use crate::cluster::{Cluster, ELECTION_TIMEOUT, MILLISECOND, member};

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

/// Numbered beyond the clients that write and read.
const CHANGER: u64 = 99;
/// A pause between two changes; TinyKV's go with the heartbeats of a region.
const PAUSE: u64 = 100 * MILLISECOND;

/// Puts peers on stores that have none, and takes them from those that have one.
pub(crate) struct Changer {
    next_us: u64,
    wish: Option<Wish>,
    /// Changes that came true.
    pub(crate) done: u64,
}

/// A change, and the request for it that is under way.
struct Wish {
    op: Op,
    store: u64,
    there: bool,
    request: u64,
}

impl Changer {
    pub(crate) fn new(next_us: u64) -> Self {
        Self { next_us, wish: None, done: 0 }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.wish.is_some()
    }

    /// Asks again for what has not come true. Something else may have been in its way: another
    /// change, a leader that has to hand over first, a partition.
    pub(crate) fn listen(&mut self, cluster: &mut Cluster) {
        let Some(wish) = &mut self.wish else { return };
        if cluster.outcome(wish.request).is_none() {
            return;
        }
        let members = cluster.members();
        if !members.is_empty() && members.contains(&wish.store) == wish.there {
            self.wish = None;
            self.done += 1;
            self.next_us = cluster.world.now_us() + PAUSE;
        } else {
            wish.request = cluster.send(CHANGER, wish.op.clone());
        }
    }

    /// Wishes for another change if it is time to.
    pub(crate) fn go_on(&mut self, cluster: &mut Cluster) {
        let members = cluster.members();
        if self.wish.is_some() || cluster.world.now_us() < self.next_us || members.is_empty() {
            return;
        }
        let stores: Vec<_> = cluster.stores().collect();
        let store = cluster.dice.roll(stores.len() as u64) + 1;
        let there = !members.contains(&store);
        // The last one stays.
        if there || members.len() > 1 {
            let op = member(store, if there { Role::Voter } else { Role::Gone });
            let request = cluster.send(CHANGER, op.clone());
            self.wish = Some(Wish { op, store, there, request });
        }
    }
}
