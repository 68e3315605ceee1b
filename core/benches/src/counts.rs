//! What is counted, not timed: memory and allocations. A program of its own, because counting slows
//! down whoever allocates more.

#[cfg(target_family = "wasm")]
fn main() {}

#[cfg(not(target_family = "wasm"))]
fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    for row in counts::rows() {
        if json {
            println!("{}", row.json());
        } else {
            println!("{row}");
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod counts {
    use bytes::Bytes;
    use raft_bench::ours::{self, Ours};
    use raft_bench::rows::Row;
    use raft_bench::theirs::{self, Theirs};
    use raft_bench::{Cluster, work};

    pub(super) fn rows() -> [Row; 2] {
        [memory(), allocations()]
    }

    /// Bytes of one peer of a group that lies idle.
    fn memory() -> Row {
        const GROUPS: u64 = 1_000;
        let bytes = |make: &dyn Fn(u64)| {
            let info = allocation_counter::measure(|| make(GROUPS));
            info.bytes_current as f64 / GROUPS as f64
        };
        let ours = bytes(&|count| {
            let groups: Vec<_> = (0..count).map(ours::idle).collect();
            std::mem::forget(groups);
        });
        let peer = bytes(&|count| {
            let groups: Vec<_> = (0..count).map(|_| theirs::idle()).collect();
            std::mem::forget(groups);
        });
        Row { name: "memory of an idle group".into(), unit: "bytes", ours, peer }
    }

    /// Allocations of a commit, by all three peers taken together.
    fn allocations() -> Row {
        const COMMITS: u64 = 10_000;
        fn count<C: Cluster>() -> f64 {
            let (mut cluster, payload) = (C::new(3), Bytes::from(vec![7; 16]));
            work::commit(&mut cluster, &payload, 1, 2_000);
            let info =
                allocation_counter::measure(|| work::commit(&mut cluster, &payload, 1, COMMITS));
            info.count_total as f64 / COMMITS as f64
        }
        let name = "allocations a commit, 3 nodes, one at a time".into();
        Row { name, unit: "allocations", ours: count::<Ours>(), peer: count::<Theirs>() }
    }
}
