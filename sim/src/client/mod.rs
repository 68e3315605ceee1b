//! Clients: they look for the leader, wait, and ask again elsewhere.
//!
//! A request may have several attempts. Only when one is answered with the result is it done; when
//! the deadline passes after an attempt reached a peer, nobody knows whether it took effect.
//!
//! With sessions a client first opens one, and sends one request at a time: the store then executes
//! each write at most once, however many attempts and copies of it arrive (thesis 6.3).
//!
//! | file | what it does |
//! | --- | --- |
//! | `clients.rs` | all clients and their requests: whose turn it is, and which are remembered |
//! | `request.rs` | one request: whom its attempts go to, and how it ends |
//! | `ask.rs` | what a store is asked |
//! | `answer.rs` | what a client makes of an answer |
//! | `outcome.rs` | how a request ends, and what comes of it |

mod answer;
mod ask;
mod clients;
mod outcome;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use self::answer::Next;
pub(crate) use self::clients::{Clients, Turn};
pub use self::outcome::{Outcome, Reply};
pub use self::request::Request;
