//! Scenes: scripts of a few Raft peers and what they print, compared line by line.
//!
//! A scene is a text file of commands, each followed by the output that is expected of it. Grammar,
//! commands and output are those of etcd raft's interaction tests, and of its quorum and
//! configuration tests, so that either project's files can be played by the other's peers.
//! `docs/scenes.md` describes them.
//!
//! ```
//! let scene = "\
//! add-nodes 1 voters=(1) index=2
//! ----
//! INFO 1 switched to configuration voters=(1)
//! INFO 1 became follower at term 0
//! INFO newRaft 1 [peers: [1], term: 0, commit: 2, applied: 2, lastindex: 2, lastterm: 1]
//! ";
//! let played = raft_scenes::play("scene.txt", scene, raft_scenes::Mode::Strict)?;
//! assert!(played.mismatches.is_empty());
//! # Ok::<(), raft_scenes::Unplayable>(())
//! ```

mod confchange;
mod diff;
mod env;
mod files;
mod judge;
mod quorum;
mod rules;
mod script;
mod stage;

pub use self::files::{Report, play_folder, replace, scenes_in};
pub use self::stage::{Mode, Played, Unplayable, play};

/// What a command comes to.
type Result<T, E = Trouble> = std::result::Result<T, E>;

/// Why a command did not do what it says.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// A peer or its storage refused: that is part of the scene, and printed.
    #[error("{0}")]
    Refused(String),
    /// The scene makes no sense: it cannot be played on.
    #[error("{0}")]
    Nonsense(String),
}

/// The scene makes no sense, for this reason.
fn nonsense<T>(reason: impl Into<String>) -> Result<T> {
    Err(Trouble::Nonsense(reason.into()))
}
