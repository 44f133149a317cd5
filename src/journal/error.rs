//! Everything that can be wrong with a journal, in words that name the file and the byte.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::layout;
use crate::sys::mapping::MappingError;

/// A place in a journal: the segment's number and the byte in its file. Orders as the journal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.segment, self.offset)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the disk is full: no room for {} ({source})", path.display())]
    DiskFull { path: PathBuf, source: io::Error },
    #[error("{} already holds a journal; resume it, or choose another folder", path.display())]
    AlreadyThere { path: PathBuf },
    #[error("{} is being written by another process", path.display())]
    InUse { path: PathBuf },

    #[error(
        "a segment size of {given} bytes is not allowed: a multiple of 4096 from {} to {}",
        layout::SMALLEST_SEGMENT,
        layout::LARGEST_SEGMENT
    )]
    SegmentSize { given: u64 },
    #[error("the session's metadata cannot be stored: {why}")]
    Metadata { why: &'static str },
    #[error("record kind {0} is not for callers: 1 to {last}", last = layout::FIRST_OWN_KIND - 1)]
    Kind(u8),
    #[error("a payload of {given} bytes is longer than this journal takes ({most})")]
    PayloadTooLong { given: usize, most: usize },
    #[error("sequence {given} after {last}: a journal never goes backwards")]
    SequenceBackwards { given: u64, last: u64 },
    #[error("the next segment {} did not arrive from its source", path.display())]
    NoSegment { path: PathBuf },
    #[error("{faults} finished segments could not be brought to disk")]
    NotDurable { faults: u64 },

    #[error("{} holds no journal", path.display())]
    Absent { path: PathBuf },
    #[error("{} has no header: the session ended before it began", path.display())]
    Unstarted { path: PathBuf },
    #[error("{} is missing", path.display())]
    MissingSegment { path: PathBuf },
    #[error("{} is not a segment of a journal: it does not begin with the journal's magic bytes", path.display())]
    WrongMagic { path: PathBuf },
    #[error("{} has format version {found}; this build reads version {}", path.display(), layout::VERSION)]
    FutureVersion { path: PathBuf, found: u32 },
    #[error("{} belongs to session {found}, the journal to session {expected}", path.display())]
    OtherSession { path: PathBuf, found: String, expected: String },
    #[error("{} is in the journal's folder but its name is not a segment's", path.display())]
    Foreign { path: PathBuf },
    #[error("{} is damaged at byte {}: {what}", path.display(), position.offset)]
    Damaged { path: PathBuf, position: Position, what: Damage },
}

impl JournalError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

impl From<MappingError> for JournalError {
    fn from(error: MappingError) -> Self {
        if error.is_disk_full() {
            return Self::DiskFull { path: error.path, source: error.source };
        }
        Self::Io { doing: error.doing, path: error.path, source: error.source }
    }
}

/// What is wrong at a position. None of these can come from a process that was killed: see `reader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the header's checksum does not match")]
    HeaderChecksum,
    #[error("the header says {0}")]
    HeaderContent(&'static str),
    #[error("the file ends inside its header")]
    HeaderCut,
    #[error("the segment does not continue the one before it")]
    Chain,
    #[error("the record's checksum does not match")]
    Checksum,
    #[error("no record stands here")]
    NoRecord,
    #[error("a record of {0} bytes cannot stand here")]
    Length(usize),
    #[error("the journal itself has no record kind {0}")]
    Kind(u8),
    #[error("sequence {found} follows {last}")]
    Sequence { found: u64, last: u64 },
    #[error("the closing record counts {found} records, there are {counted}")]
    Count { found: u64, counted: u64 },
    #[error("the file is longer than the segment")]
    TooLong,
    #[error("bytes that are not zero follow the end")]
    Trailing,
    #[error("the record here is not whole, yet a whole one follows at byte {0}")]
    Follows(u64),
    #[error(
        "zeros to the end of the page, yet a whole record follows at byte {0}: a page that a failing machine did not write"
    )]
    UnwrittenPage(u64),
    #[error("the segment ends here without a closing record, yet another segment follows")]
    Unclosed,
}
