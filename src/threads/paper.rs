//! DRY_RUN's paper: the final signed request of every dispatch, exactly as it would have been written, one line each in a file of the
//! session's folder. The sender puts it into a ring; a thread of its own writes it, so that a slow disk shows in nothing else.
//!
//! ```text
//! {"dispatch":7,"client_order_id":"...","at":1763712345678901234,"request":{"id":"7","method":"order.place","params":{...}}}
//! ```
//! What finds no room in the ring is lost, and the log says so: a missing line is no order that was sent.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::core::dispatch::Dispatch;
use crate::core::id::ClientOrderId;
use crate::core::time::Nanos;
use crate::ring::Consumer;
use crate::threads::Pass;
use crate::venue::binance::orders::OrderEntry;

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Paper {
    pub dispatch: u64,
    pub client_order_id: ClientOrderId,
    pub at: Nanos,
    length: usize,
    text: [u8; OrderEntry::MOST_BYTES],
}

impl Paper {
    /// `request` is the text that would have been sent; it is never longer than the room for it.
    pub fn new(dispatch: &Dispatch, at: Nanos, request: &[u8]) -> Self {
        let mut text = [0; OrderEntry::MOST_BYTES];
        let length = request.len().min(text.len());
        text[..length].copy_from_slice(&request[..length]);
        Self { dispatch: dispatch.number, client_order_id: dispatch.client_order_id, at, length, text }
    }

    pub fn request(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or(&[])
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (dispatch, id, at) = (self.dispatch, &self.client_order_id, self.at.raw());
        write!(to, "{{\"dispatch\":{dispatch},\"client_order_id\":\"{id}\",\"at\":{at},\"request\":")?;
        to.write_all(self.request())?;
        to.write_all(b"}\n")
    }
}

/// The thread's loop: from the ring to the file.
pub struct PaperLoop {
    papers: Consumer<Paper>,
    file: BufWriter<std::fs::File>,
    /// The first error of the disk; nothing is written after it.
    failed: Option<io::Error>,
}

impl PaperLoop {
    /// Makes the file, which must be new.
    pub fn create(place: &Path, papers: Consumer<Paper>) -> io::Result<Self> {
        let file = std::fs::File::create_new(place)?;
        Ok(Self { papers, file: BufWriter::new(file), failed: None })
    }

    pub fn pass(&mut self) -> Pass {
        let mut moved = false;
        while let Some(paper) = self.papers.pop() {
            moved = true;
            self.keep(|file| paper.write(file));
        }
        if moved {
            self.keep(|file| file.flush());
        }
        Pass::busy_if(moved)
    }

    /// What the disk said, if it refused anything.
    pub fn finish(mut self) -> Option<io::Error> {
        let _ = self.pass();
        self.failed
    }

    fn keep(&mut self, write: impl FnOnce(&mut BufWriter<std::fs::File>) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.file).err();
        }
    }
}
