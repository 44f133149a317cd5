//! The writer's rare acts: to begin a journal, to go on in a next segment, to end.
//!
//! Must never: leave the journal in a state that the reader would call damaged, whichever of its steps is the last before a kill.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};
use std::thread;

use super::Writer;
use crate::journal::Position;
use crate::journal::error::JournalError;
use crate::journal::header::{Opening, SegmentHeader, SessionHeader, is_segment_size};
use crate::journal::layout::{self, CLOSING_RESERVE, HEADER_SIZE};
use crate::journal::reader;
use crate::journal::segment::{
    self, Ahead, FinishedSegment, INLINE_DRAFT, Inline, Pages, PreparedSegment, SegmentSource,
};

/// How a journal is kept. Not part of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of each segment file; a multiple of 4096.
    pub segment_size: u64,
    /// The longest payload that `append` takes; less where a segment cannot hold as much.
    pub largest_payload: usize,
    pub segments: Segments,
}

/// Who makes the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segments {
    /// A keeper thread, ahead of the writer.
    Ahead,
    /// The writer's own thread, when needed: for tests and simulation.
    Inline,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_size: 64 * 1024 * 1024, largest_payload: 256 * 1024, segments: Segments::Ahead }
    }
}

/// What happened to a writer's segments so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RollCounts {
    pub rolls: u64,
    /// Rolls at which no spare was ready, so that the writer made one itself.
    pub stalled_rolls: u64,
    /// Closed segments that the keeper could not bring to disk.
    pub keeper_faults: u64,
}

/// What a sealed journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    pub records: u64,
    pub segments: u64,
    pub end: Position,
}

impl Writer {
    /// Begins a journal in `session_folder/journal`, which is made when it is not there and must hold no segment yet.
    pub fn create(
        session_folder: &Path,
        session: SessionHeader,
        options: Options,
    ) -> Result<Self, JournalError> {
        let folder = journal_folder(session_folder);
        std::fs::create_dir_all(&folder).map_err(JournalError::io("create", &folder))?;
        let lock = lock(&folder)?;
        if reader::holds_a_segment(&folder)? {
            return Err(JournalError::AlreadyThere { path: folder });
        }
        Self::begin(folder, lock, session, options, Beginning::FIRST)
    }

    /// Ends the journal on purpose: everything is on the disk when this returns, and a reader can tell the end from a crash.
    pub fn seal(mut self) -> Result<Sealed, JournalError> {
        // First whatever can fail and is not needed by the last segment; its error is told after the seal is on the disk.
        let settled = self.source.stop();
        self.close(layout::KIND_SEAL)?;
        let end = self.position();
        let Self { segment, records, folder, .. } = self;
        FinishedSegment { segment, used: end.offset }.settle()?;
        segment::sync_folder(&folder)?;
        settled.map(|()| Sealed { records, segments: end.segment, end })
    }

    /// Goes on in a next segment. On an error nothing has changed.
    #[cold]
    #[inline(never)]
    pub(super) fn roll(&mut self, first_sequence: u64) -> Result<(), JournalError> {
        let number = self.segment.number + 1;
        let next = match self.source.next() {
            Some(segment) => segment,
            None => {
                self.counts.stalled_rolls += 1;
                let segment = self.make_now(number)?;
                self.source.adopt(&segment);
                segment
            }
        };
        if next.number != number {
            return Err(JournalError::NoSegment { path: self.folder.join(layout::segment_name(number)) });
        }
        // First the closing record, then the next header: a kill between the two leaves a closed segment and a blank one, which is
        // a plain end. The other way round would look like a segment that lost its tail.
        self.close(layout::KIND_ROLL)?;
        let previous = Previous { end: self.offset as u64, checksum: self.last_checksum };
        let full = std::mem::replace(&mut self.segment, next);
        self.open_segment(Opening::Rolled, first_sequence, previous);
        self.counts.rolls += 1;
        self.source.finished(FinishedSegment { segment: full, used: previous.end });
        Ok(())
    }

    /// No spare was ready.
    fn make_now(&mut self, number: u64) -> Result<PreparedSegment, JournalError> {
        const TRIES: usize = 10_000;
        match segment::prepare(&self.folder, INLINE_DRAFT, self.segment_size, number, Pages::Cold) {
            Err(JournalError::AlreadyThere { path }) => {
                // The keeper was first by a moment: the file has its name, and the keeper is about to hand it over.
                for _ in 0..TRIES {
                    if let Some(segment) = self.source.next() {
                        return Ok(segment);
                    }
                    thread::yield_now();
                }
                Err(JournalError::NoSegment { path })
            }
            made => made,
        }
    }

    /// Writes a closing record, for which there always is room.
    fn close(&mut self, kind: u8) -> Result<(), JournalError> {
        let counts = [self.records_in_segment.to_le_bytes(), self.records.to_le_bytes()];
        self.place(kind, self.last_sequence, self.last_time, layout::CLOSING_PAYLOAD_SIZE, |slot| {
            slot.copy_from_slice(counts.as_flattened());
            slot.len()
        })
    }

    pub(in crate::journal) fn begin(
        folder: PathBuf,
        lock: File,
        session: SessionHeader,
        options: Options,
        beginning: Beginning,
    ) -> Result<Self, JournalError> {
        let Options { segment_size, .. } = options;
        if !is_segment_size(segment_size) {
            return Err(JournalError::SegmentSize { given: segment_size });
        }
        let metadata = session.metadata()?;
        let number = beginning.number;
        let segment = segment::prepare(&folder, INLINE_DRAFT, segment_size, number, Pages::Faulted)?;
        let mut source: Box<dyn SegmentSource> = match options.segments {
            Segments::Ahead => Box::new(Ahead::spawn(&folder, segment_size, number + 1)?),
            Segments::Inline => Box::new(Inline::new(&folder, segment_size, number + 1)),
        };
        source.adopt(&segment);
        let progress = source.progress();
        let mut writer = Self {
            segment,
            offset: HEADER_SIZE,
            limit: segment_size as usize - CLOSING_RESERVE,
            salt: 0,
            largest_payload: options.largest_payload.min(layout::payload_room(segment_size)),
            last_sequence: beginning.last_sequence,
            last_time: beginning.last_time,
            last_checksum: 0,
            records_in_segment: 0,
            records: beginning.records,
            folder,
            session,
            metadata,
            segment_size,
            source,
            progress,
            counts: RollCounts::default(),
            _lock: lock,
        };
        writer.open_segment(beginning.opening, beginning.last_sequence, beginning.previous);
        segment::sync_folder(&writer.folder)?;
        Ok(writer)
    }

    /// Puts the header page into the current segment and stands behind it.
    fn open_segment(&mut self, opening: Opening, first_sequence: u64, previous: Previous) {
        let header = SegmentHeader {
            session: self.session.clone(),
            number: self.segment.number,
            first_sequence,
            segment_size: self.segment_size,
            largest_payload: self.largest_payload as u32,
            opening,
            previous_end: previous.end,
            previous_checksum: previous.checksum,
        };
        let mut page = [0; HEADER_SIZE];
        self.salt = header.encode(&self.metadata, &mut page);
        let (magic, rest) = page.split_at(layout::MAGIC.len());
        let bytes = self.segment.mapping.bytes_mut();
        bytes[magic.len()..HEADER_SIZE].copy_from_slice(rest);
        fence(Ordering::Release); // Release, as for a record: the magic says that the page is whole.
        bytes[..magic.len()].copy_from_slice(magic);
        self.offset = HEADER_SIZE;
        self.last_checksum = self.salt;
        self.records_in_segment = 0;
        self.tell_progress();
    }
}

/// Where a writer takes up a journal.
#[derive(Debug, Clone, Copy)]
pub(in crate::journal) struct Beginning {
    pub(in crate::journal) number: u64,
    pub(in crate::journal) opening: Opening,
    pub(in crate::journal) previous: Previous,
    pub(in crate::journal) last_sequence: u64,
    pub(in crate::journal) last_time: u64,
    pub(in crate::journal) records: u64,
}

/// The end of the segment before, for the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Previous {
    pub(in crate::journal) end: u64,
    pub(in crate::journal) checksum: u32,
}

impl Beginning {
    const FIRST: Self = Self {
        number: 1,
        opening: Opening::First,
        previous: Previous { end: 0, checksum: 0 },
        last_sequence: 0,
        last_time: 0,
        records: 0,
    };
}

/// The folder of the segments inside a session's folder.
pub fn journal_folder(session_folder: &Path) -> PathBuf {
    session_folder.join("journal")
}

/// A writer, in this process or another, has this session's journal open now.
pub fn is_being_written(session_folder: &Path) -> bool {
    let taken = lock(&journal_folder(session_folder));
    matches!(taken, Err(JournalError::InUse { .. }))
}

/// Keeps other writers out, as long as the file lives.
pub(in crate::journal) fn lock(folder: &Path) -> Result<File, JournalError> {
    let held = crate::sys::lock::hold(folder).map_err(JournalError::io("lock", folder))?;
    held.ok_or_else(|| JournalError::InUse { path: folder.to_owned() })
}
