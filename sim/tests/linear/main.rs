//! The linearizability checker, from outside: hand-made violations, and every verdict on random
//! histories compared with a search through all orders.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod make;
mod random;
mod violations;
