//! The operating system made safe.
//!
//! Nearly all of the project's `unsafe` is here, one act per block, each behind a function that cannot be misused. What
//! the rest of the engine knows of the host (time, CPUs, memory, files as memory, signals), it knows through these files.
//! Nothing here knows of venues, events or the core.

pub mod checksum;
pub mod clock;
pub mod cpu;
pub mod gaps;
pub mod host;
pub mod lock;
pub mod mapping;
pub mod memory;
pub mod peer;
pub mod signal;
