//! What runs: one file a loop. Each loop owns its sockets, its ring ends, its counters, and offers `pass()`: one bounded
//! round of work. A thread calls it until told to stop; the simulator calls the same `pass()` on one thread in a seeded order.
//!
//! Loops take their world (clock, sockets, disk) as parameters, see `world`.

pub mod connection;
pub mod core_loop;
pub mod doors;
pub mod operator;
pub mod paper;
pub mod receiver;
pub mod requester;
pub mod resolver;
pub mod sender;
pub mod talk;
pub mod wait;
pub mod world;

use std::fmt::{self, Write};

use crate::core::time::Nanos;
use crate::telemetry::log::{Level, LogEvent, LogRecord, Logger, MAX_TEXT, ShortText};

/// Logs a text, for what happens rarely. Formatted on the stack and cut at the record's bound; nothing is allocated.
#[cold]
fn say(log: &mut Logger, now: Nanos, level: Level, event: LogEvent, text: fmt::Arguments<'_>) {
    struct Cut {
        bytes: [u8; MAX_TEXT],
        used: usize,
    }
    impl Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = self.bytes.len() - self.used;
            let kept = &text[..text.floor_char_boundary(room.min(text.len()))];
            self.bytes[self.used..self.used + kept.len()].copy_from_slice(kept.as_bytes());
            self.used += kept.len();
            if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut cut = Cut { bytes: [0; MAX_TEXT], used: 0 };
    // An error says only that it was cut.
    let _ = cut.write_fmt(text);
    let text = std::str::from_utf8(&cut.bytes[..cut.used]).unwrap_or("");
    log.log(LogRecord::new(now.raw(), event).at(level).with("text", ShortText::new(text)));
}

/// What one pass did, so that the thread knows how to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Something moved: look again at once.
    Busy,
    /// Nothing to do.
    Idle,
    /// The loop is over.
    Done,
}

impl Pass {
    #[inline]
    pub fn busy_if(moved: bool) -> Self {
        if moved { Self::Busy } else { Self::Idle }
    }

    /// Two loops on one thread: busy if one is, done only if both are.
    #[inline]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, Self::Done) => Self::Done,
            (Self::Busy, _) | (_, Self::Busy) => Self::Busy,
            _ => Self::Idle,
        }
    }
}
