//! The checker of client histories, seen from outside: against one that tries everything, on legal
//! and on damaged histories, and on every kind of violation by hand.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod brute;
mod format;
mod random;
mod speed;
mod truth;
mod violations;
