//! Nodes of the crate `raft` 0.7 and of `raft-core` in one cluster, exchanging encoded bytes.
//!
//! A run is drawn from its seed alone: who runs what, under which faults. After every event the
//! cluster is checked against what Raft promises, and at the end, when all faults are mended, the
//! nodes must come to agree.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `plan.rs` | what one seed draws |
//! | `peer.rs` | what the harness needs of a node; `ours.rs` and `theirs.rs` provide it |
//! | `world/` | the events of a run |
//! | `ledger.rs` | what may never happen |
//! | `coverage.rs` | what a batch must have shown to mean anything |
//! | `batch.rs` | many runs, on every core of the machine |

mod batch;
mod coverage;
mod disk;
mod ledger;
mod network;
mod ours;
mod peer;
mod plan;
mod rng;
mod theirs;
mod world;

pub use batch::{Batch, Failure, Report, digest_of, trace_of};
pub use coverage::Coverage;
