//! Why there is no disk, how one was lost, what looks wrong with it: what the banners say.
//!
//! Each text says what happened, what was kept and what to do.

use thiserror::Error;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException;

use super::witness::Mark;

/// A browser's own error, by its name: `QuotaExceededError`, `AbortError`, …
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}: {message}")]
pub struct Fault {
    /// The name that specifications give it.
    pub name: String,
    /// The browser's words.
    pub message: String,
}

impl Fault {
    pub(super) fn new(name: &str, message: &str) -> Self {
        Self { name: name.into(), message: message.into() }
    }
}

impl From<JsValue> for Fault {
    fn from(thrown: JsValue) -> Self {
        if let Some(exception) = thrown.dyn_ref::<DomException>() {
            return Self::new(&exception.name(), &exception.message());
        }
        match thrown.dyn_ref::<js_sys::Error>() {
            Some(error) => Self::new(&String::from(error.name()), &String::from(error.message())),
            None => Self::new("Error", &format!("{thrown:?}")),
        }
    }
}

/// Why there is no disk. Nothing that was stored has been changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The browser has no IndexedDB, or has it switched off.
    #[error(
        "This browser has no IndexedDB, so there is nowhere to keep the cluster. \
         Go on in memory until the tab closes, or use another browser"
    )]
    Missing,
    /// The browser does not let this page store anything.
    #[error(
        "The browser refused its storage ({0}), as in some private windows. \
         Nothing was changed. Allow this site to store data and reload, or go on in memory"
    )]
    Denied(Fault),
    /// The database has a higher schema version than this page knows.
    #[error(
        "The saved cluster was written by a newer version of this page. \
         It was left as it is. Reload to get the newer page, or go on in memory"
    )]
    Newer,
    /// Another tab holds the lock, or has taken it while this one opened.
    #[error(
        "Another tab is running the saved cluster, and goes on doing so. \
         Switch to that tab, take the cluster over, or go on in memory"
    )]
    Held,
    /// Another tab keeps the database open in an older schema version.
    #[error(
        "Another tab still uses an older version of this page. \
         Nothing was changed. Close that tab and reload, or go on in memory"
    )]
    Blocked,
    /// A record is not one that this page writes.
    #[error(
        "The saved cluster cannot be read: {what} in store `{store}`. \
         Nothing was deleted. Go on in memory, or reset to start with an empty disk"
    )]
    Unreadable {
        /// The object store.
        store: &'static str,
        /// The record and what is wrong with it.
        what: String,
    },
    /// The origin's storage quota is used up.
    #[error(
        "The browser has no room left to keep a cluster. \
         Nothing was changed. Free some space and reload, or go on in memory"
    )]
    Full,
    /// Anything else.
    #[error(
        "The browser could not open the saved cluster ({0}). \
         Nothing was changed. Reload to try again, go on in memory, or reset"
    )]
    Other(Fault),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault.name.as_str() {
            "VersionError" => Self::Newer,
            "QuotaExceededError" => Self::Full,
            // Firefox says InvalidStateError where private windows have no storage.
            "SecurityError" | "NotAllowedError" | "InvalidStateError" => Self::Denied(fault),
            _ => Self::Other(fault),
        }
    }
}

impl From<Loss> for OpenError {
    /// Raising the epoch is the first write; it may fail like any other.
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Fenced => Self::Held,
            Loss::Full => Self::Full,
            Loss::Upgraded => Self::Newer,
            Loss::Aborted(fault) => fault.into(),
            other => Self::Other(Fault::new("AbortError", &other.to_string())),
        }
    }
}

/// Why writing has ended. The batch at hand was not written, nothing of it; what was durable
/// before still is, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Loss {
    /// The origin's storage quota is used up.
    #[error(
        "The browser has no room left for the cluster. What was acknowledged is saved. \
         This tab goes on in memory; free some space and reload, or reset"
    )]
    Full,
    /// A later opening owns the disk: it took the lock, or the stored epoch is not ours.
    #[error(
        "Another tab has taken the cluster over, with everything that was acknowledged here. \
         This tab goes on in memory; reload to take it back"
    )]
    Fenced,
    /// Another tab wants to open the database in a newer schema version; we made room.
    #[error(
        "A newer version of this page was opened in another tab. What was acknowledged is saved. \
         This tab goes on in memory; reload to get the newer page"
    )]
    Upgraded,
    /// Another tab, or the developer tools, delete the database; we made room.
    #[error(
        "The saved cluster is being deleted from elsewhere, and nothing of it is kept. \
         This tab goes on in memory; reload to start a new one"
    )]
    Deleted,
    /// The browser closed the database: site data was cleared, or its files are gone or damaged.
    #[error(
        "The browser closed the saved cluster, as when site data is cleared. \
         This tab goes on in memory; reload to see what was kept"
    )]
    Closed,
    /// Keys hold whole numbers up to 2⁵³ − 1 only.
    #[error(
        "Peer id {0} is too large to be saved. What was acknowledged is saved. \
         This tab goes on in memory; use ids below 2^53"
    )]
    PeerId(u64),
    /// Anything else.
    #[error(
        "The browser gave up a write ({0}). What was acknowledged is saved. \
         This tab goes on in memory; reload to go on from there"
    )]
    Aborted(Fault),
}

impl From<Fault> for Loss {
    fn from(fault: Fault) -> Self {
        match fault.name.as_str() {
            "QuotaExceededError" => Self::Full,
            _ => Self::Aborted(fault),
        }
    }
}

/// Something a person should know about a disk that did open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// The database is older than what was once durable in it.
    #[error(
        "The browser has lost the end of the saved cluster: write {} of epoch {} was safe, \
         and the disk ends at write {} of epoch {}. The peers go on from there; \
         acknowledged writes may be missing", .remembered.sequence, .remembered.epoch,
         .found.sequence, .found.epoch
    )]
    RolledBack {
        /// What the witness remembers as durable.
        remembered: Mark,
        /// What the database holds.
        found: Mark,
    },
    /// The database is new, though there once was one.
    #[error(
        "The browser has lost the whole saved cluster, last at write {} of epoch {}. \
         The peers start with empty disks", .remembered.sequence, .remembered.epoch
    )]
    Emptied {
        /// What the witness remembers as durable.
        remembered: Mark,
    },
    /// This browser has no Web Locks, or not at this address.
    #[error(
        "This browser cannot tell whether another tab runs the saved cluster. \
         If one does, the tab opened last keeps it; the other goes on in memory"
    )]
    NoLock,
}
