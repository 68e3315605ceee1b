//! Stub.
#![no_std]
extern crate alloc;

/// Generated messages.
pub mod proto;
