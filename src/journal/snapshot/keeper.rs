//! Who brings snapshots to the disk while the core trades on: a thread of its own, and two buffers that go round.
//!
//! ```text
//!   core  --- a full buffer, 1 deep ---> keeper     full: the one before is still being written; the next waits for its turn
//!   core  <-- an empty one, 2 deep ----- keeper     with what became of the one before
//! ```
//! The core only copies its state into memory that was made, and touched, before: no allocation, no system call, no
//! checksum. A buffer that was too small comes back larger, so the next snapshot fits.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Head, SnapshotFileError, write};
use crate::core::snapshot::Buffer;

/// What became of the snapshots of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub written: u64,
    /// Could not be brought to the disk.
    pub failed: u64,
    /// Had more state than their buffer had room.
    pub too_small: u64,
}

/// The core's end.
#[derive(Debug)]
pub struct Shelf {
    session_folder: PathBuf,
    full: Option<rtrb::Producer<Job>>,
    empty: rtrb::Consumer<Returned>,
    counts: Counts,
    thread: Option<JoinHandle<Option<SnapshotFileError>>>,
}

#[derive(Debug)]
struct Job {
    head: Head,
    buffer: Buffer,
}

/// A buffer that comes back.
#[derive(Debug)]
struct Returned {
    buffer: Buffer,
    became: Option<Became>,
}

#[derive(Clone, Copy, Debug)]
enum Became {
    Written,
    Failed,
    TooSmall,
}

/// The keeper looks for work so often: nobody wakes it, because that would be a system call of the core.
const IDLE: Duration = Duration::from_millis(20);
/// What a buffer that was too small has room for beyond what was missing.
const SPARE: usize = 64 * 1024;

impl Shelf {
    /// Starts the keeper. `room` is what the state takes as far as one can tell. It inherits the CPUs that the caller may use,
    /// so start it before pinning.
    pub fn spawn(session_folder: &Path, room: usize) -> Result<Self, SnapshotFileError> {
        let (full, jobs) = rtrb::RingBuffer::new(1);
        let (mut back, empty) = rtrb::RingBuffer::new(2);
        for _ in 0..2 {
            // Two fit: the ring is empty.
            let _ = back.push(Returned { buffer: Buffer::with_room(room), became: None });
        }
        let keeper = Keeper { session_folder: session_folder.to_owned(), jobs, back, last_fault: None };
        let thread = thread::Builder::new()
            .name("snapshot-keeper".into())
            .spawn(move || keeper.run())
            .map_err(SnapshotFileError::io("start the snapshot keeper of", session_folder))?;
        let session_folder = session_folder.to_owned();
        Ok(Self { session_folder, full: Some(full), empty, counts: Counts::default(), thread: Some(thread) })
    }

    /// An empty buffer; `None` while those before are still being written.
    #[inline]
    pub fn take(&mut self) -> Option<Buffer> {
        let has_room = self.full.as_ref().is_some_and(|full| !full.is_full());
        if has_room { self.take_back() } else { None }
    }

    #[inline]
    fn take_back(&mut self) -> Option<Buffer> {
        let Returned { buffer, became } = self.empty.pop().ok()?;
        match became {
            Some(Became::Written) => self.counts.written += 1,
            Some(Became::Failed) => self.counts.failed += 1,
            Some(Became::TooSmall) => self.counts.too_small += 1,
            None => {}
        }
        Some(buffer)
    }

    /// A buffer from `take`, with the state after the event that `head` names.
    #[inline]
    pub fn hand_over(&mut self, head: Head, buffer: Buffer) {
        if let Some(full) = self.full.as_mut() {
            // `take` has seen room, and only this end fills it.
            let _ = full.push(Job { head, buffer });
        }
    }

    /// As far as buffers have come back.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Waits for what is being written. The last fault, if there was one.
    pub fn stop(&mut self) -> Result<Counts, SnapshotFileError> {
        self.full = None;
        let fault = self.thread.take().and_then(|keeper| {
            keeper.thread().unpark();
            keeper.join().ok().flatten()
        });
        while self.take_back().is_some() {}
        fault.map_or(Ok(self.counts), Err)
    }

    /// The state that nothing follows: written by the caller, on the disk when this returns.
    pub fn write_last(&self, head: &Head, form: &[u8]) -> Result<(), SnapshotFileError> {
        write(&self.session_folder, head, form).map(drop)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Without `stop` the run ended in an error; nobody is left to hear of another.
        let _ = self.stop();
    }
}

struct Keeper {
    session_folder: PathBuf,
    jobs: rtrb::Consumer<Job>,
    back: rtrb::Producer<Returned>,
    last_fault: Option<SnapshotFileError>,
}

impl Keeper {
    fn run(mut self) -> Option<SnapshotFileError> {
        while !self.jobs.is_abandoned() {
            if !self.pass() {
                thread::park_timeout(IDLE);
            }
        }
        while self.pass() {}
        self.last_fault
    }

    fn pass(&mut self) -> bool {
        let Ok(Job { head, mut buffer }) = self.jobs.pop() else { return false };
        let became = match buffer.form().map(|form| write(&self.session_folder, &head, form)) {
            Ok(Ok(_)) => Became::Written,
            Ok(Err(fault)) => {
                self.last_fault = Some(fault);
                Became::Failed
            }
            Err(missing) => {
                let room = buffer.room() + usize::try_from(missing).unwrap_or(0);
                buffer = Buffer::with_room(room + room / 4 + SPARE);
                Became::TooSmall
            }
        };
        buffer.clear();
        // Two buffers in a ring of two.
        let _ = self.back.push(Returned { buffer, became: Some(became) });
        true
    }
}
