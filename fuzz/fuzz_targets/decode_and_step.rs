//! Arbitrary bytes, decoded as messages and handed to a peer. The driver is the one of the test
//! `fuzz_corpus`.

#![no_main]
#![allow(dead_code, reason = "each target uses a part of the driver")]

#[path = "../../tests/fuzz_corpus/bytes.rs"]
mod bytes;
#[path = "../../tests/fuzz_corpus/disk.rs"]
mod disk;
#[path = "../../tests/fuzz_corpus/driver.rs"]
mod driver;

libfuzzer_sys::fuzz_target!(|data: &[u8]| driver::decode_and_step(data));
