//! TinyKV's `raft_paper_test.go`: one test for one sentence of the paper.

mod election;
mod replication;
