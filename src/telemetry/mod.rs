//! What the engine says about itself: latency by hop, counters, a status line, a summary at the end, and logs.
//!
//! Hot threads only add to numbers that they own ([`hops`], [`counters`]) or push a fixed-size record into a bounded lane
//! ([`log`]); everything that makes text, reads a file or prints runs on threads of its own. Nothing here may change
//! what the engine does: a run with all telemetry dropped gives the same journal.

pub mod cell;
pub mod counters;
pub mod hops;
pub mod live;
pub mod log;
pub mod report;
pub mod status;
pub mod summary;
pub mod utc;

#[cfg(test)]
mod document;
