//! Hot. Appends records to a journal: a copy into mapped memory and a checksum, nothing else.
//!
//! Promises: when `append` returns `Ok`, the record survives the death of this process at any later moment (the pages belong to the
//! kernel). When it returns `Err`, nothing of that record is visible and everything before it stays readable; a later append may succeed.
//! Survival of a failing *machine* begins when the segment is closed and the keeper has synced it, or with `seal`.
//!
//! Must never, per record: allocate, call the system, read a clock. Those belong to the roll to a next segment, once in many thousand records.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;

use super::error::{JournalError, Position};
use super::header::{Opening, SegmentHeader, SessionHeader, is_segment_size};
use super::layout::{self, CLOSING_RESERVE, HEADER_SIZE, RECORD_HEADER_SIZE, record_at, record_size};
use super::segment::{
    self, Ahead, FinishedSegment, INLINE_DRAFT, Inline, Pages, PreparedSegment, Progress, SegmentSource,
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

/// The one who appends to a journal. Dropped without `seal`, it leaves what a killed process leaves.
pub struct Writer {
    segment: PreparedSegment,
    /// Where the next record goes: a multiple of 8, from `HEADER_SIZE` to `limit`.
    offset: usize,
    /// Beyond this only a closing record may stand.
    limit: usize,
    salt: u32,
    largest_payload: usize,
    last_sequence: u64,
    last_time: u64,
    last_checksum: u32,
    records_in_segment: u64,
    records: u64,

    folder: PathBuf,
    session: SessionHeader,
    metadata: String,
    segment_size: u64,
    source: Box<dyn SegmentSource>,
    progress: Option<Arc<Progress>>,
    counts: RollCounts,
    /// Held as long as the writer lives: one writer per journal, also among processes. The kernel lets go of it when a process is killed.
    _lock: File,
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
        if super::reader::holds_a_segment(&folder)? {
            return Err(JournalError::AlreadyThere { path: folder });
        }
        Self::begin(folder, lock, session, options, Beginning::FIRST)
    }

    /// Appends one record. `kind` is 1 to 239; `sequence` must not be lower than the one before.
    #[inline]
    pub fn append(&mut self, kind: u8, sequence: u64, time: u64, payload: &[u8]) -> Result<(), JournalError> {
        self.append_with(kind, sequence, time, payload.len(), |slot| {
            slot.copy_from_slice(payload);
            payload.len()
        })
    }

    /// Appends one record whose payload `encode` writes straight into the segment: it is given `most` bytes and returns how many it used.
    ///
    /// The slot begins as zeros. What it leaves beyond its answer is cleared again, so keep `most` tight. An answer above `most` is an error.
    #[inline]
    pub fn append_with(
        &mut self,
        kind: u8,
        sequence: u64,
        time: u64,
        most: usize,
        encode: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), JournalError> {
        self.check(kind, sequence, most)?;
        if record_size(most) > self.limit.saturating_sub(self.offset) {
            self.roll(sequence)?;
        }
        self.place(kind, sequence, time, most, encode)?;
        self.last_sequence = sequence;
        self.last_time = time;
        self.records_in_segment += 1;
        self.records += 1;
        self.tell_progress();
        Ok(())
    }

    /// Where the next record goes, if it fits into this segment.
    #[inline]
    pub fn position(&self) -> Position {
        Position { segment: self.segment.number, offset: self.offset as u64 }
    }

    /// Records appended to this journal, those before a resumption included.
    pub fn records(&self) -> u64 {
        self.records
    }

    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    pub fn session(&self) -> &SessionHeader {
        &self.session
    }

    /// The folder of the segments.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn roll_counts(&self) -> RollCounts {
        RollCounts { keeper_faults: self.source.faults(), ..self.counts }
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

    #[inline]
    fn check(&self, kind: u8, sequence: u64, most: usize) -> Result<(), JournalError> {
        if kind == 0 || kind >= layout::FIRST_OWN_KIND {
            return Err(JournalError::Kind(kind));
        }
        if most > self.largest_payload {
            return Err(JournalError::PayloadTooLong { given: most, most: self.largest_payload });
        }
        if sequence < self.last_sequence {
            return Err(JournalError::SequenceBackwards { given: sequence, last: self.last_sequence });
        }
        Ok(())
    }

    /// Writes a record at `offset` and goes past it. The caller has seen to it that there is room.
    #[inline]
    fn place(
        &mut self,
        kind: u8,
        sequence: u64,
        time: u64,
        most: usize,
        encode: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), JournalError> {
        let too_long = |given| JournalError::PayloadTooLong { given, most };
        let room = record_size(most);
        let slot =
            self.segment.mapping.bytes_mut().get_mut(self.offset..).and_then(|rest| rest.get_mut(..room));
        let (head, body) = slot
            .and_then(<[u8]>::split_first_chunk_mut::<RECORD_HEADER_SIZE>)
            .ok_or_else(|| too_long(most))?;
        let payload = body.get_mut(..most).ok_or_else(|| too_long(most))?;

        let length = encode(payload);
        let Some(unused) = payload.get_mut(length..) else {
            payload.fill(0);
            return Err(too_long(length));
        };
        // The next record's commit word lies in here, and zeros are what says that there is no next record.
        unused.fill(0);

        let size = record_size(length);
        let commit = layout::commit_word(kind, length);
        head[record_at::SEQUENCE..record_at::SEQUENCE + 8].copy_from_slice(&sequence.to_le_bytes());
        head[record_at::TIME..record_at::TIME + 8].copy_from_slice(&time.to_le_bytes());
        let checksum =
            match self.segment.mapping.bytes().get(self.offset + record_at::SEQUENCE..self.offset + size) {
                Some(rest) => layout::checksum(self.salt, commit, rest),
                None => return Err(too_long(length)),
            };
        if let Some(head) = self.segment.mapping.bytes_mut().get_mut(self.offset..self.offset + 8) {
            head[record_at::CHECKSUM..record_at::CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
            // The commit word last, so that whoever follows the journal in another process, and a reader after a kill, meets either no record
            // or a whole one. A plain store is enough: the fence keeps the compiler (and a weakly ordered CPU) from moving it up, it is aligned
            // and so indivisible, and if a machine fails between two pages the checksum still tells.
            fence(Ordering::Release); // Release: pairs with nothing inside this process; the reader's side is the page cache.
            head[record_at::COMMIT..record_at::COMMIT + 4].copy_from_slice(&commit.to_le_bytes());
        }
        self.offset += size;
        self.last_checksum = checksum;
        Ok(())
    }

    /// Goes on in a next segment. On an error nothing has changed.
    #[cold]
    #[inline(never)]
    fn roll(&mut self, first_sequence: u64) -> Result<(), JournalError> {
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

    pub(super) fn begin(
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
        fence(Ordering::Release); // As for a record: the magic says that the page is whole.
        bytes[..magic.len()].copy_from_slice(magic);
        self.offset = HEADER_SIZE;
        self.last_checksum = self.salt;
        self.records_in_segment = 0;
        self.tell_progress();
    }

    #[inline]
    fn tell_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.tell(self.segment.number, self.offset);
        }
    }
}

/// Where a writer takes up a journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    pub(super) number: u64,
    pub(super) opening: Opening,
    pub(super) previous: Previous,
    pub(super) last_sequence: u64,
    pub(super) last_time: u64,
    pub(super) records: u64,
}

/// The end of the segment before, for the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) end: u64,
    pub(super) checksum: u32,
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

/// Keeps other writers out, as long as the file lives.
pub(super) fn lock(folder: &Path) -> Result<File, JournalError> {
    let file = File::open(folder).map_err(JournalError::io("open", folder))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse { path: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(JournalError::io("lock", folder)(error)),
    }
}
