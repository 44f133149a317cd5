//! Linchpin: a live-trading engine with one deterministic core. The modules stand in the order in which data meets them.

pub use linchpin_core as core;

pub mod net;
pub mod ring;
pub mod venue;
// core: its own crate, see `src/core`.
pub mod journal;
pub mod kill_flag;
pub mod kill_gate;
pub mod threads;

pub mod topology;

pub mod config;
pub mod control;
pub mod exchange;
pub mod program;
pub mod replay;
pub mod sys;
pub mod telemetry;
