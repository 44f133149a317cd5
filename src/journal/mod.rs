//! The journal: everything that happened, in Processing Order, in files that outlive the process. Payloads are bytes to it.
//!
//! ```text
//!   layout      every offset and size, drawn; docs/JOURNAL.md is printed from it
//!   header      who wrote this journal; the chain of its segments
//!   segment     where segments come from and go to: the keeper thread
//!   writer      append (hot); writer/roll: begin, go on in a next segment, seal
//!   reader      every record in order, verified; how the journal ends: sealed, torn, damaged
//!   recovery    go on after a crash
//!   snapshot    the core's state in a file, to replay from there on; snapshot/keeper: written beside a trading core
//! ```
//!
//! A reader that meets damage stops. It never skips, and never guesses.

pub mod error;
pub mod header;
pub mod layout;
pub mod reader;
pub mod recovery;
pub mod segment;
pub mod snapshot;
pub mod writer;

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;

pub use error::{Damage, JournalError, Position};
pub use header::{SessionHeader, SessionId};
pub use reader::{End, Reader, Record, Summary};
pub use writer::{Options, RollCounts, Sealed, Segments, Writer, is_being_written, journal_folder};
