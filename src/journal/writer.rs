//! Appends records to a journal: a copy into mapped memory and a checksum, nothing else.
//!
//! Promises: when `append` returns `Ok`, the record survives the death of this process at any later moment (the pages belong to the
//! kernel). When it returns `Err`, nothing of that record is visible and everything before it stays readable; a later append may succeed.
//! Survival of a failing *machine* begins when the segment is closed and the keeper has synced it, or with `seal`.
//!
//! Must never, per record: allocate, call the system, read a clock. Those belong to the roll to a next segment, once in many thousand records.
//! Hot.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::error::{JournalError, Position};
use super::header::SessionHeader;
use super::layout::{self, RECORD_HEADER_SIZE, record_at, record_size};
use super::segment::{PreparedSegment, Progress, SegmentSource};

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "not hot, and its sizes are its own"
)]
mod roll;

pub(super) use roll::{Beginning, Previous, lock};
pub use roll::{Options, RollCounts, Sealed, Segments, is_being_written, journal_folder};

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
        self.records_in_segment = self.records_in_segment.saturating_add(1);
        self.records = self.records.saturating_add(1);
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
        let bytes = self.segment.mapping.bytes_mut();
        let slot = bytes.get_mut(self.offset..).and_then(|rest| rest.get_mut(..record_size(most)));
        let slot = slot.ok_or_else(|| too_long(most))?;
        let Some((head, body)) = slot.split_first_chunk_mut::<RECORD_HEADER_SIZE>() else {
            return Err(too_long(most));
        };
        let payload = body.get_mut(..most).ok_or_else(|| too_long(most))?;

        let length = encode(payload);
        let Some(unused) = payload.get_mut(length..) else {
            payload.fill(0);
            return Err(too_long(length));
        };
        // The next record's commit word lies in here, and zeros are what says that there is no next record.
        unused.fill(0);
        head[record_at::SEQUENCE..record_at::TIME].copy_from_slice(&sequence.to_le_bytes());
        head[record_at::TIME..].copy_from_slice(&time.to_le_bytes());

        let size = record_size(length);
        let commit = layout::commit_word(kind, length);
        let summed = slot.get(record_at::SEQUENCE..size).ok_or_else(|| too_long(length))?;
        let checksum = layout::checksum(self.salt, commit, summed);
        let Some(words) = slot.first_chunk_mut::<{ record_at::SEQUENCE }>() else {
            return Err(too_long(most));
        };
        words[record_at::CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        // The commit word last, so that whoever follows the journal in another process, and a reader after a kill, meets either no record
        // or a whole one. A plain store is enough: the fence keeps the compiler (and a weakly ordered CPU) from moving it up, it is aligned
        // and so indivisible, and if a machine fails between two pages the checksum still tells.
        fence(Ordering::Release); // Release: pairs with nothing inside this process; the reader's side is the page cache.
        words[..record_at::CHECKSUM].copy_from_slice(&commit.to_le_bytes());
        self.offset = self.offset.saturating_add(size);
        self.last_checksum = checksum;
        Ok(())
    }

    #[inline]
    fn tell_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.tell(self.segment.number, self.offset);
        }
    }
}
