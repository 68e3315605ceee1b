//! Snapshots on their way, in pieces.
//!
//! The core sends a `MsgSnapshot` that only says which entries it covers. The records follow, as a
//! stream of bytes cut into pieces of 64 KiB with checksums, a few ahead of the receiver's answers
//! and one snapshot per receiver at a time, so that heartbeats and appends never wait behind them.
//! A lost piece is sent again; after an outage the sender goes on where the receiver stopped. The
//! last piece carries the `MsgSnapshot` itself: the receiver's core hears of the snapshot when all
//! of it is there.
//!
//! | file | room |
//! | --- | --- |
//! | `stream.rs` | records to bytes and back |
//! | `sender.rs` | the window and the answers |
//! | `receiver.rs` | what has come, and whether it is whole |

mod receiver;
mod sender;
mod stream;

pub(crate) use self::receiver::Receiver;
pub(crate) use self::sender::{Sender, Transfer};
pub(crate) use self::stream::Piece;

/// Bytes of a snapshot that a piece carries. The last piece of each may have fewer, none has more.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Pieces that are under way to one receiver at a time.
const WINDOW: usize = 4;

#[cfg(test)]
mod tests;
