//! Where the writer's segments come from and where the full ones go.
//!
//! Making a segment (blocks, page faults) and finishing one (sync, cut) take milliseconds; the writer has nanoseconds. So a keeper thread
//! does both, and meets the writer in two bounded rings:
//!
//! ```text
//!   keeper --- spares, 2 deep -------> writer      full: the keeper waits      empty: the writer makes one itself, counted as a stalled roll
//!   keeper <-- finished, 16 deep ----- writer      full: the segment is left to the kernel and synced when the journal is sealed
//! ```
//!
//! The keeper also follows the writer through the segment and keeps the pages ahead of it writable: see `sys::mapping::Warmer`.
//!
//! A segment gets its number by the name under which its whole file appears (a hard link, which never replaces), so the two cannot both make
//! the same one, and no half-made file ever has a segment's name.
//!
//! Must never: sync or cut the segment that is being appended to.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::JournalError;
use super::layout;
use crate::sys::mapping::{Mapping, MappingError, Warmer};

/// A segment file of full size, all zeros, under its final name.
#[derive(Debug)]
pub struct PreparedSegment {
    pub(super) mapping: Mapping,
    pub(super) number: u64,
}

/// A closed segment, and how many of its bytes are in use.
#[derive(Debug)]
pub struct FinishedSegment {
    pub(super) segment: PreparedSegment,
    pub(super) used: u64,
}

impl FinishedSegment {
    /// Cuts the file to what is used; on the disk when this returns.
    pub(super) fn settle(self) -> Result<(), MappingError> {
        self.segment.mapping.shrink(self.used)
    }
}

/// What the writer asks of whoever keeps its segments. Called when a segment is full, never per record.
pub trait SegmentSource: Send {
    /// The next segment in order; `None` when none is ready. Must not wait.
    fn next(&mut self) -> Option<PreparedSegment>;
    /// A segment that did not come from `next` is now the current one. Must not wait.
    fn adopt(&mut self, _segment: &PreparedSegment) {}
    /// Where the writer tells how far it is, if anyone wants to know.
    fn progress(&self) -> Option<Arc<Progress>> {
        None
    }
    /// Takes a closed segment. Must not wait.
    fn finished(&mut self, segment: FinishedSegment);
    /// No more will be asked for: removes unused spares, brings everything closed to disk. May wait.
    fn stop(&mut self) -> Result<(), JournalError>;
    /// Closed segments that could not be brought to disk so far.
    fn faults(&self) -> u64;
}

/// Where the writer is: told by the writer, read by its keeper.
///
/// Nothing depends on its being right: the keeper only warms pages by it.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    #[inline]
    pub(super) fn tell(&self, segment: u64, offset: usize) {
        // Relaxed: it publishes nothing. An offset is below 2^32 (`LARGEST_SEGMENT`), the last 8 bytes of a segment being unused.
        self.0.store(segment << 32 | offset as u64, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, usize) {
        let both = self.0.load(Ordering::Relaxed); // Relaxed: as above.
        (both >> 32, (both & u64::from(u32::MAX)) as usize)
    }
}

/// Makes each segment when it is asked for, in the caller's thread: for tests and simulation, where every step is in a known order.
#[derive(Debug)]
pub struct Inline {
    folder: PathBuf,
    segment_size: u64,
    next_number: u64,
    left: LeftToKernel,
}

impl Inline {
    pub fn new(folder: &Path, segment_size: u64, next_number: u64) -> Self {
        Self { folder: folder.to_owned(), segment_size, next_number, left: LeftToKernel::default() }
    }
}

impl SegmentSource for Inline {
    /// `None` after an error too: the writer tries once more by itself, and tells what happened.
    fn next(&mut self) -> Option<PreparedSegment> {
        let segment =
            prepare(&self.folder, INLINE_DRAFT, self.segment_size, self.next_number, Pages::Cold).ok()?;
        self.next_number += 1;
        Some(segment)
    }

    fn finished(&mut self, segment: FinishedSegment) {
        self.next_number = self.next_number.max(segment.segment.number + 2);
        self.left.take(segment);
    }

    fn stop(&mut self) -> Result<(), JournalError> {
        self.left.sync()
    }

    fn faults(&self) -> u64 {
        0
    }
}

/// The writer's end of a keeper thread.
#[derive(Debug)]
pub struct Ahead {
    spares: rtrb::Consumer<PreparedSegment>,
    /// `None` once stopped: dropping it is how the keeper learns of the end.
    finished: Option<rtrb::Producer<ToKeeper>>,
    progress: Arc<Progress>,
    faults: Arc<AtomicU64>,
    left: LeftToKernel,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum ToKeeper {
    Finished(FinishedSegment),
    Adopt(u64, Warmer),
}

const SPARES: usize = 2;
const FINISHED: usize = 16;
const MOST_WARMERS: usize = SPARES + FINISHED + 2;

impl Ahead {
    /// The two ends, for a caller that runs the keeper in a thread of its own choice.
    pub fn pair(folder: &Path, segment_size: u64, next_number: u64) -> (Self, Keeper) {
        let (spare_in, spares) = rtrb::RingBuffer::new(SPARES);
        let (finished, finished_out) = rtrb::RingBuffer::new(FINISHED);
        let faults = Arc::new(AtomicU64::new(0));
        let progress = Arc::<Progress>::default();
        let keeper = Keeper {
            folder: folder.to_owned(),
            segment_size,
            next_number,
            spares: spare_in,
            finished: finished_out,
            warmers: Vec::with_capacity(MOST_WARMERS),
            progress: Arc::clone(&progress),
            faults: Arc::clone(&faults),
            out_of_room: false,
        };
        (
            Self {
                spares,
                finished: Some(finished),
                progress,
                faults,
                left: LeftToKernel::default(),
                thread: None,
            },
            keeper,
        )
    }

    /// Starts the keeper in a thread of its own. It inherits the CPUs that the caller may use, so start it before pinning.
    pub fn spawn(folder: &Path, segment_size: u64, next_number: u64) -> Result<Self, JournalError> {
        let (mut ahead, keeper) = Self::pair(folder, segment_size, next_number);
        let thread = thread::Builder::new()
            .name("journal-keeper".into())
            .spawn(move || keeper.run())
            .map_err(JournalError::io("start the keeper thread of", folder))?;
        ahead.thread = Some(thread);
        Ok(ahead)
    }
}

impl SegmentSource for Ahead {
    fn next(&mut self) -> Option<PreparedSegment> {
        self.spares.pop().ok()
    }

    fn adopt(&mut self, segment: &PreparedSegment) {
        if let Some(ring) = self.finished.as_mut() {
            // Full: nobody warms this segment, and its pages cost a fault each.
            let _ = ring.push(ToKeeper::Adopt(segment.number, segment.mapping.warmer()));
        }
    }

    fn progress(&self) -> Option<Arc<Progress>> {
        Some(Arc::clone(&self.progress))
    }

    fn finished(&mut self, segment: FinishedSegment) {
        let refused = match self.finished.as_mut() {
            Some(ring) => {
                ring.push(ToKeeper::Finished(segment)).err().map(|rtrb::PushError::Full(message)| message)
            }
            None => Some(ToKeeper::Finished(segment)),
        };
        if let Some(ToKeeper::Finished(segment)) = refused {
            self.left.take(segment);
        }
    }

    fn stop(&mut self) -> Result<(), JournalError> {
        self.finished = None;
        if let Some(keeper) = self.thread.take() {
            keeper.thread().unpark();
            if keeper.join().is_err() {
                self.faults.fetch_add(1, Ordering::Relaxed); // Relaxed: read by this same thread, below.
            }
        }
        while let Ok(spare) = self.spares.pop() {
            remove(spare)?;
        }
        self.left.sync()?;
        match self.faults() {
            0 => Ok(()),
            faults => Err(JournalError::NotDurable { faults }),
        }
    }

    fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed) // Relaxed: a counter that publishes nothing else.
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Without `stop` the writer ended in an error or a panic. The keeper ends too; nobody is left to hear what it could not do.
        let _ = self.stop();
    }
}

/// The keeper's side: prepares spares and settles finished segments, off every hot path.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    segment_size: u64,
    next_number: u64,
    spares: rtrb::Producer<PreparedSegment>,
    finished: rtrb::Consumer<ToKeeper>,
    /// Of the current segment and of the spares, by number: at most those that the rings can hold.
    warmers: Vec<(u64, Warmer)>,
    progress: Arc<Progress>,
    faults: Arc<AtomicU64>,
    out_of_room: bool,
}

impl Keeper {
    /// Until the writer's end stops; then what is finished is settled first.
    pub fn run(mut self) {
        const IDLE: Duration = Duration::from_millis(5);
        const NO_ROOM: Duration = Duration::from_millis(100);
        const WARM_EVERY: u32 = 20;
        let mut idle_passes = 0_u32;
        while !self.finished.is_abandoned() {
            if self.pass() {
                continue;
            }
            idle_passes = idle_passes.wrapping_add(1);
            if self.out_of_room || idle_passes.is_multiple_of(WARM_EVERY) {
                self.warm();
            }
            thread::park_timeout(if self.out_of_room { NO_ROOM } else { IDLE });
        }
        while self.settle_one() {}
    }

    /// Makes the pages that the writer comes to next writable again. Pages that still are cost next to nothing.
    pub fn warm(&mut self) {
        let (number, offset) = self.progress.read();
        self.warmers.retain(|(of, _)| *of >= number);
        let size = self.segment_size as usize;
        for (of, warmer) in &self.warmers {
            if *of == number {
                warmer.warm(offset, WARM_AHEAD);
            } else if *of == number + 1 {
                warmer.warm(0, (offset + WARM_AHEAD).saturating_sub(size));
            }
        }
    }

    /// One step of work, the more urgent first; `false` when there was none. A spare before the settling: the writer waits for the one, not for the other.
    pub fn pass(&mut self) -> bool {
        self.prepare_one() || self.settle_one()
    }

    fn prepare_one(&mut self) -> bool {
        if self.spares.is_full() || self.finished.is_abandoned() {
            return false;
        }
        match prepare(&self.folder, SPARE_DRAFT, self.segment_size, self.next_number, Pages::Faulted) {
            Ok(segment) => {
                self.next_number = segment.number + 1;
                self.out_of_room = false;
                self.follow(segment.number, segment.mapping.warmer());
                // Not full, and this is the only producer, so the push is taken.
                self.spares.push(segment).is_ok()
            }
            Err(JournalError::AlreadyThere { .. }) => {
                // The writer could not wait and made this one itself.
                self.next_number += 1;
                true
            }
            Err(_) => {
                // No room, or worse. The writer meets the same error if it comes to need the segment, and is the one to tell it.
                self.out_of_room = true;
                false
            }
        }
    }

    fn settle_one(&mut self) -> bool {
        let segment = match self.finished.pop() {
            Ok(ToKeeper::Finished(segment)) => segment,
            Ok(ToKeeper::Adopt(number, warmer)) => {
                self.follow(number, warmer);
                return true;
            }
            Err(_) => return false,
        };
        let number = segment.segment.number;
        self.warmers.retain(|(of, _)| *of > number);
        let settled = segment.settle().is_ok() && sync_folder(&self.folder).is_ok();
        if !settled {
            self.faults.fetch_add(1, Ordering::Relaxed); // Relaxed: a counter that publishes nothing else.
        }
        true
    }

    fn follow(&mut self, number: u64, warmer: Warmer) {
        let (current, _) = self.progress.read();
        self.warmers.retain(|(of, _)| *of >= current);
        if self.warmers.len() < MOST_WARMERS {
            self.warmers.push((number, warmer));
        }
    }
}

/// How far ahead of the writer pages are kept warm. A writer that passes this between two looks is fast enough to meet pages that never cooled.
const WARM_AHEAD: usize = 4 * 1024 * 1024;

/// Whether the pages are made present before use. A writer that waits would rather take the faults one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    Faulted,
    Cold,
}

/// Names of files in the making: one for each of the two makers. Left-overs of a killed process, ignored by readers.
pub(super) const SPARE_DRAFT: &str = "spare.draft";
pub(super) const INLINE_DRAFT: &str = "inline.draft";

/// `AlreadyThere` when the other maker was first with this number.
pub(super) fn prepare(
    folder: &Path,
    draft: &str,
    segment_size: u64,
    number: u64,
    pages: Pages,
) -> Result<PreparedSegment, JournalError> {
    let path = folder.join(layout::segment_name(number));
    let draft = folder.join(draft);
    let mut mapping = match Mapping::create(&draft, segment_size) {
        Err(error) if error.is_already_there() => {
            remove_if_there(&draft)?;
            Mapping::create(&draft, segment_size)?
        }
        other => other?,
    };
    if pages == Pages::Faulted {
        mapping.prefault();
    }
    let linked = std::fs::hard_link(&draft, &path);
    remove_if_there(&draft)?;
    match linked {
        Ok(()) => {
            mapping.renamed(path);
            Ok(PreparedSegment { mapping, number })
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(JournalError::AlreadyThere { path })
        }
        Err(error) => Err(JournalError::io("name", &path)(error)),
    }
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), JournalError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes names that were added to or removed from a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(JournalError::io("sync", folder))
}

fn remove(spare: PreparedSegment) -> Result<(), JournalError> {
    let path = spare.mapping.path().to_owned();
    drop(spare);
    remove_if_there(&path)
}

/// Finished segments whose writing-out was left to the kernel; their lengths are cut, and they are synced at the end.
#[derive(Debug, Default)]
struct LeftToKernel(Vec<(PathBuf, u64)>);

impl LeftToKernel {
    fn take(&mut self, finished: FinishedSegment) {
        self.0.push((finished.segment.mapping.path().to_owned(), finished.used));
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        for (path, used) in self.0.drain(..) {
            let file = File::options().write(true).open(&path).map_err(JournalError::io("open", &path))?;
            file.set_len(used).map_err(JournalError::io("shrink", &path))?;
            file.sync_data().map_err(JournalError::io("sync", &path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = layout::SMALLEST_SEGMENT;

    #[test]
    fn a_keeper_prepares_two_spares_and_then_rests() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ahead, mut keeper) = Ahead::pair(folder.path(), SIZE, 2);
        assert!(keeper.pass());
        assert!(keeper.pass());
        assert!(!keeper.pass());
        assert_eq!(
            [ahead.next(), ahead.next()].map(|spare| spare.map(|spare| spare.number)),
            [Some(2), Some(3)]
        );
        assert!(ahead.next().is_none());
    }

    #[test]
    fn a_keeper_goes_past_a_number_that_the_writer_took_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ahead, mut keeper) = Ahead::pair(folder.path(), SIZE, 2);
        let taken = prepare(folder.path(), INLINE_DRAFT, SIZE, 2, Pages::Cold).unwrap();
        assert_eq!(taken.number, 2);
        while keeper.pass() {}
        assert_eq!(ahead.next().unwrap().number, 3);
    }

    #[test]
    fn a_finished_segment_comes_back_cut_and_unused_spares_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut ahead = Ahead::spawn(folder.path(), SIZE, 1).unwrap();
        let segment = loop {
            match ahead.next() {
                Some(segment) => break segment,
                None => thread::yield_now(),
            }
        };
        ahead.finished(FinishedSegment { segment, used: 5000 });
        ahead.stop().unwrap();
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["000001.seg"]);
        assert_eq!(std::fs::metadata(folder.path().join("000001.seg")).unwrap().len(), 5000);
    }

    #[test]
    fn a_left_over_draft_of_a_killed_process_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(INLINE_DRAFT), b"half").unwrap();
        prepare(folder.path(), INLINE_DRAFT, SIZE, 1, Pages::Cold).unwrap();
        assert!(!folder.path().join(INLINE_DRAFT).exists());
    }
}
