//! Goes on with a journal that ended, in a crash or on purpose.
//!
//! What is left of a torn record is cut away first, then a new segment begins whose header says "resumed" and where the one before ends. A
//! crash between the two steps leaves a torn journal that is merely shorter by bytes that were no record. Nothing that verified is ever touched.
//!
//! Must never: resume a damaged journal. What stands behind the damage may have been acted on; a person decides.

use std::fs::File;
use std::path::Path;

use super::error::JournalError;
use super::header::Opening;
use super::layout;
use super::reader::{Reader, Summary};
use super::segment::{INLINE_DRAFT, SPARE_DRAFT, remove_if_there, sync_folder};
use super::writer::{Beginning, Options, Writer, journal_folder, lock};

impl Writer {
    /// Opens the journal in `session_folder/journal` to append after its last whole record. Says what is in it.
    ///
    /// `options.segment_size` holds for the segments from here on.
    pub fn resume(session_folder: &Path, options: Options) -> Result<(Self, Summary), JournalError> {
        let folder = journal_folder(session_folder);
        if !folder.exists() {
            return Err(JournalError::Absent { path: folder });
        }
        let lock = lock(&folder)?;
        let mut reader = Reader::open_folder(&folder)?;
        let summary = reader.read_to_end()?;
        let tail = reader.tail();

        cut(&folder.join(layout::segment_name(tail.header.number)), tail.previous.end)?;
        for number in tail.blanks {
            remove_if_there(&folder.join(layout::segment_name(*number)))?;
        }
        remove_if_there(&folder.join(INLINE_DRAFT))?;
        remove_if_there(&folder.join(SPARE_DRAFT))?;
        sync_folder(&folder)?;

        let beginning = Beginning {
            number: tail.header.number + 1,
            opening: Opening::Resumed,
            previous: tail.previous,
            last_sequence: summary.last_sequence,
            last_time: summary.last_time,
            records: summary.records,
        };
        let writer = Self::begin(folder, lock, summary.session.clone(), options, beginning)?;
        Ok((writer, summary))
    }
}

/// Cuts a segment to what verified. Its file is already that long if it was sealed, or resumed before.
fn cut(path: &Path, end: u64) -> Result<(), JournalError> {
    let file = File::options().write(true).open(path).map_err(JournalError::io("open", path))?;
    file.set_len(end).map_err(JournalError::io("shrink", path))?;
    file.sync_all().map_err(JournalError::io("sync", path))
}
