//! `cargo xtask bench`: prints how fast the core is, next to raft-rs.
#![cfg_attr(target_family = "wasm", allow(unused))]

#[cfg(target_family = "wasm")]
fn main() {}

#[cfg(not(target_family = "wasm"))]
mod cli;

#[cfg(not(target_family = "wasm"))]
fn main() -> anyhow::Result<()> {
    cli::run()
}
