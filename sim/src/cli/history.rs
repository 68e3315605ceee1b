//! Histories of clients.

use crate::args::HistoryArgs;

/// Judges a history. The one place to call the checker from.
pub(crate) fn check(args: &HistoryArgs) -> Result<u8, String> {
    Err(format!("{}: this version cannot judge histories", args.file.display()))
}
