//! Bytes to meaning and back. Knows venues, knows no socket, no thread and no clock: every machine here is fed bytes and
//! told the time, and answers with core events, text to send, and requests to make.
//!
//! A second venue is a second folder beside `binance`; what they share is the vocabulary of the core and the `Directory`.

pub mod binance;
pub mod directory;
pub mod polling;

pub use directory::{Directory, DirectoryError, Listing};

use crate::core::event::Event;

/// Where decoded events go: a ring in production, a list in tests. Generic at every call, never `dyn`.
pub trait EventSink {
    fn event(&mut self, event: Event);
}

impl EventSink for Vec<Event> {
    fn event(&mut self, event: Event) {
        self.push(event);
    }
}
