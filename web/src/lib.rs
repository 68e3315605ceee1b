//! The playground page: five Raft peers in a browser.

pub mod disk;
pub mod pace;
pub mod playground;
pub mod view;

/// Starts the page.
pub fn run() {}
