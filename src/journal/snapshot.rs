//! Snapshots: the core's state after one event, in a file of its own beside the journal. With the events after it, it is the
//! same as all events from the first.
//!
//! ```text
//! <session>/snapshots/00000000000000012345.snapshot        the number is the event's sequence
//!
//!   0 magic 8 | 8 version 4 | 12 checksum of the header 4 | 16 session 16 | 32 configuration 32
//!  64 sequence 8 | 72 time 8 | 80 state hash 8 | 88 length of the form 8 | 96 checksum of the form 4 | 100 zeros 4
//! 104 form: the words of `core::snapshot`
//! ```
//! The same file holds the state with which a session begins that goes on from an earlier one: [`write_file`], under a name of its own.
//!
//! Promises: a file with this name is whole (it is written under another name, brought to disk, and renamed), and a changed
//! byte anywhere in it is found when it is read. A snapshot may be newer than a journal whose last pages a failing machine
//! lost: whoever joins the two compares sequences.
//!
//! Must never: stand in for the journal. A snapshot that is missing or damaged costs time, never truth.

mod keeper;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::header::SessionId;
use super::layout::{u32_at, u64_at};
use crate::core::snapshot::hash_of;
use crate::sys::checksum::crc32c;

pub use keeper::{Counts, Shelf};

/// The file's version; the form in it has one of its own.
pub const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"LPSNAP\r\n";
/// So many of the newest are kept.
const KEPT: usize = 3;
const ENDING: &str = "snapshot";
const DRAFT: &str = "draft";

/// Where each field of the header begins.
pub(super) mod header_at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const CHECKSUM: usize = 12;
    pub const SESSION: usize = 16;
    pub const CONFIGURATION: usize = 32;
    pub const SEQUENCE: usize = 64;
    pub const TIME: usize = 72;
    pub const STATE_HASH: usize = 80;
    pub const FORM_LENGTH: usize = 88;
    pub const FORM_CHECKSUM: usize = 96;
    pub const FORM: usize = 104;
}
use header_at as at;

/// Whose state, and after which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub session: SessionId,
    /// The session's configuration hash, as in the journal.
    pub configuration: [u8; 32],
    /// The last event that the state includes.
    pub sequence: u64,
    /// The processing time of that event.
    pub time: u64,
}

/// A snapshot that was read and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub head: Head,
    pub state_hash: u64,
    /// What `Core::load` takes.
    pub form: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not a snapshot: it does not begin with a snapshot's magic bytes", path.display())]
    WrongMagic { path: PathBuf },
    #[error("{} has format version {found}; this build reads version {VERSION}", path.display())]
    OtherVersion { path: PathBuf, found: u32 },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
}

impl SnapshotFileError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// The folder of the snapshots inside a session's folder.
pub fn snapshot_folder(session_folder: &Path) -> PathBuf {
    session_folder.join("snapshots")
}

/// Every snapshot of a session, by name, the newest first. None where there is no folder.
pub fn newest_first(session_folder: &Path) -> Result<Vec<PathBuf>, SnapshotFileError> {
    let folder = snapshot_folder(session_folder);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(SnapshotFileError::io("list", &folder))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(SnapshotFileError::io("list", &folder))?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            paths.push(path);
        }
    }
    // Names are numbers of one width: their order is that of the sequences.
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths)
}

impl Snapshot {
    /// Reads one file. Every byte of it is accounted for.
    pub fn read(path: &Path) -> Result<Self, SnapshotFileError> {
        let mut bytes = fs::read(path).map_err(SnapshotFileError::io("read", path))?;
        let damaged = |what| SnapshotFileError::Damaged { path: path.to_owned(), what };
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(SnapshotFileError::WrongMagic { path: path.to_owned() });
        }
        let Some((header, form)) = bytes.split_at_checked(at::FORM) else {
            return Err(damaged("the file ends inside its header"));
        };
        let version = u32_at(header, at::VERSION);
        if version != VERSION {
            return Err(SnapshotFileError::OtherVersion { path: path.to_owned(), found: version });
        }
        if u32_at(header, at::CHECKSUM) != header_checksum(header) {
            return Err(damaged("the header's checksum does not match"));
        }
        if u64_at(header, at::FORM_LENGTH) != form.len() as u64 {
            return Err(damaged("it is not as long as its header says"));
        }
        if u32_at(header, at::FORM_CHECKSUM) != crc32c(0, form) {
            return Err(damaged("the checksum of its state does not match"));
        }
        let field = |from: usize| header.get(from..).unwrap_or_default();
        let session = field(at::SESSION).first_chunk().copied().unwrap_or_default();
        let configuration = field(at::CONFIGURATION).first_chunk().copied().unwrap_or_default();
        let head = Head {
            session: SessionId(session),
            configuration,
            sequence: u64_at(header, at::SEQUENCE),
            time: u64_at(header, at::TIME),
        };
        let state_hash = u64_at(header, at::STATE_HASH);
        bytes.drain(..at::FORM);
        Ok(Self { head, state_hash, form: bytes })
    }
}

/// Writes a snapshot of a session, as [`write_file`] does; then removes those that are no longer kept.
pub fn write(session_folder: &Path, head: &Head, form: &[u8]) -> Result<PathBuf, SnapshotFileError> {
    let folder = snapshot_folder(session_folder);
    fs::create_dir_all(&folder).map_err(SnapshotFileError::io("make", &folder))?;
    let path = folder.join(format!("{:020}.{ENDING}", head.sequence));
    write_file(&path, head, form)?;
    for old in newest_first(session_folder)?.into_iter().skip(KEPT) {
        fs::remove_file(&old).map_err(SnapshotFileError::io("remove", &old))?;
    }
    Ok(path)
}

/// Writes one file so that either all of it is there or none, on the disk when this returns.
pub fn write_file(path: &Path, head: &Head, form: &[u8]) -> Result<(), SnapshotFileError> {
    let draft = path.with_extension(DRAFT);
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(&header(head, form))?;
        file.write_all(form)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|error| {
        // What is left of it is nobody's snapshot; that it could not be removed would only hide why.
        let _ = fs::remove_file(&draft);
        SnapshotFileError::io("write", path)(error)
    })?;
    // The name is on the disk only when its folder is.
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(SnapshotFileError::io("sync", folder))
}

fn header(head: &Head, form: &[u8]) -> [u8; at::FORM] {
    let mut header = [0; at::FORM];
    let mut put = |from: usize, bytes: &[u8]| header[from..from + bytes.len()].copy_from_slice(bytes);
    put(at::MAGIC, &MAGIC);
    put(at::VERSION, &VERSION.to_le_bytes());
    put(at::SESSION, &head.session.0);
    put(at::CONFIGURATION, &head.configuration);
    put(at::SEQUENCE, &head.sequence.to_le_bytes());
    put(at::TIME, &head.time.to_le_bytes());
    put(at::STATE_HASH, &hash_of(form).to_le_bytes());
    put(at::FORM_LENGTH, &(form.len() as u64).to_le_bytes());
    put(at::FORM_CHECKSUM, &crc32c(0, form).to_le_bytes());
    let checksum = header_checksum(&header);
    header[at::CHECKSUM..at::SESSION].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Of the whole header without this field.
fn header_checksum(header: &[u8]) -> u32 {
    let before = crc32c(0, header.get(..at::CHECKSUM).unwrap_or_default());
    crc32c(before, header.get(at::SESSION..at::FORM).unwrap_or_default())
}

#[cfg(test)]
mod tests;
