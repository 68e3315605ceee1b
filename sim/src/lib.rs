//! A deterministic world for [`raft_kv`]: clock, network, disks, clients, faults and checkers.
//!
//! A [`World`] is a value. It is made from a [`Scenario`], moves from one event to the next, can be
//! cloned and compared by its [`World::digest`]. It reads no clock and no randomness but its seed:
//! the same scenario gives the same run on every platform, natively and in a browser.
//!
//! ```
//! use raft_sim::{Command, Op, Outcome, Reply, Scenario, World};
//!
//! let mut world = World::new(&Scenario::new(42))?;
//! world.run_until(2_000_000);
//! world.apply(Command::request(Op::Put { key: "k".into(), value: "v".into() }))?;
//! world.run_until(4_000_000);
//! let request = world.requests().last().ok_or("no request")?;
//! assert_eq!(request.outcome, Some(Outcome::Done(Reply::Written)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backlog;
mod check;
mod client;
mod command;
mod digest;
mod disk;
mod event;
mod faults;
mod flaws;
mod flights;
mod inside;
pub mod linear;
mod nemesis;
mod network;
mod node;
mod rng;
mod scenario;
mod shrink;
mod tally;
pub mod trial;
mod variant;
mod world;
pub mod zoo;

pub use check::{Invariant, Violation, liveness};
pub use client::{Outcome, Reply, Request};
pub use command::Command;
pub use event::{Happening, What};
pub use faults::{ClientFault, ClockFault, CrashPoint, DiskFault, FlightFault, LinkFault, Links};
pub use flaws::{Flaws, Order};
pub use nemesis::{FaultClass, Nemesis, NemesisSettings};
pub use network::Flight;
pub use node::{Ear, Node};
pub use scenario::{
    MemberChange, Op, Reads, Role, Scenario, ScenarioError, Settings, Span, TimedCommand, VERSION,
};
pub use shrink::{Shrunk, shrink};
pub use variant::Variant;
pub use world::{Resume, World};
