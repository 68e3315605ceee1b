//! TinyKV's `raft_test.go`, by theme.

mod election;
mod membership;
mod replication;
mod snapshot;
mod transfer;
