//! The checker of client histories, seen from outside: against one that tries everything, on legal
//! and on damaged histories, and on every kind of violation by hand.

mod brute;
mod format;
mod random;
mod truth;
mod violations;
mod speed;
