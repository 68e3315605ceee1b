//! What stands at the path before the database looks at it.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::{BackendError, StorageBackend};

use crate::error::{Error, Result};

/// What a database starts with. Written last when one is created.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// What follows the magic and is written before it, with a sector's margin.
const HEADER: usize = 512;

/// Opens the file at `path`, or creates an empty one.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    sync_parent(path)?;
    Ok(file)
}

/// A new file's name is on disk only once its directory is.
#[cfg(unix)]
fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
}

/// Directories cannot be opened everywhere.
#[cfg(not(unix))]
fn sync_parent(_: &Path) -> Result<()> {
    Ok(())
}

/// Refuses what is not a database, and empties a file whose creation was cut short, which the
/// database itself would refuse for ever. Nothing was ever committed to such a file.
pub(crate) fn prepare(backend: &impl StorageBackend) -> Result<()> {
    let whole = (Bound::Unbounded, Bound::Unbounded);
    let locked = match backend.try_lock_range(whole.0, whole.1) {
        Ok(true) => true,
        Ok(false) => return Err(Error::InUse),
        Err(BackendError::Unsupported) => false,
        Err(error) => return Err(io::Error::from(error).into()),
    };
    let prepared = prepare_locked(backend);
    if locked {
        // The database takes the lock anew.
        backend.unlock_range(whole.0, whole.1).map_err(io::Error::from)?;
    }
    prepared
}

fn prepare_locked(backend: &impl StorageBackend) -> Result<()> {
    let len = backend.len()?;
    let mut start = vec![0; usize::try_from(len).map_or(HEADER, |len| len.min(HEADER))];
    backend.read(0, &mut start)?;
    if start.is_empty() || start.starts_with(&MAGIC) {
        return Ok(());
    }
    let magic = &start[..start.len().min(MAGIC.len())];
    let written = magic.iter().zip(MAGIC).take_while(|&(&found, byte)| found == byte).count();
    if is_zero(&magic[written..]) && is_zero_from(backend, start.len() as u64, len)? {
        return Ok(backend.set_len(0)?);
    }
    Err(Error::NotAStore("not a database"))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn is_zero_from(backend: &impl StorageBackend, mut offset: u64, len: u64) -> Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    while offset < len {
        let rest = usize::try_from(len - offset).unwrap_or(usize::MAX).min(buffer.len());
        backend.read(offset, &mut buffer[..rest])?;
        if !is_zero(&buffer[..rest]) {
            return Ok(false);
        }
        offset += rest as u64;
    }
    Ok(true)
}
