//! A file or a folder that one process holds at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Held as long as the file that it gives lives; `None`: somebody else holds it.
pub fn hold(path: &Path) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
