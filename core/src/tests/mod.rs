//! White-box tests of the protocol.
//!
//! `paper`, `raft`, `rawnode` and `removed` reproduce TinyKV's suites; `direct` closes what those
//! do not notice. `docs/conformance.md` lists them all, row by row. Tables of the log and of the
//! storage stand next to their code.

mod direct;
pub(crate) mod harness;
mod paper;
mod raft;
mod rawnode;
mod removed;
