//! A second memory of how far the stream has come, kept outside the database.

use web_sys::Storage;

use super::error::Warning;
use super::idb::NUMBER_MAX;

/// A point in the stream of durable batches.
///
/// The epoch rises with every opening and every reset, the sequence with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Counts the openings of the database; 0 before the first.
    pub epoch: u64,
    /// Number of the last durable batch.
    pub sequence: u64,
}

/// The last durable mark, in localStorage: a damaged database comes back shorter or empty without
/// any error, but hardly at the same time as this.
///
/// It is written after each transaction, so it never claims more than was durable. It is no guard,
/// only a memory: where localStorage is missing or full, nothing is remembered.
pub(super) struct Witness {
    storage: Option<Storage>,
    key: String,
}

impl Witness {
    pub(super) fn of(database: &str) -> Self {
        let storage = web_sys::window().and_then(|window| window.local_storage().ok().flatten());
        Self { storage, key: format!("{database}.witness") }
    }

    /// What is remembered; the zero mark if nothing is.
    pub(super) fn read(&self) -> Mark {
        let text = self.storage.as_ref().and_then(|storage| storage.get_item(&self.key).ok());
        text.flatten().and_then(|text| parse(&text)).unwrap_or_default()
    }

    pub(super) fn write(&self, mark: Mark) {
        if let Some(storage) = &self.storage {
            let _ = storage.set_item(&self.key, &format!("{} {}", mark.epoch, mark.sequence));
        }
    }

    /// Whether the database lacks something that was durable once.
    pub(super) fn doubt(&self, found: Mark) -> Option<Warning> {
        let remembered = self.read();
        if found >= remembered {
            None
        } else if found == Mark::default() {
            Some(Warning::Emptied { remembered })
        } else {
            Some(Warning::RolledBack { remembered, found })
        }
    }
}

fn parse(text: &str) -> Option<Mark> {
    let (epoch, sequence) = text.split_once(' ')?;
    let mark = Mark { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? };
    (mark.epoch < NUMBER_MAX && mark.sequence < NUMBER_MAX).then_some(mark)
}
