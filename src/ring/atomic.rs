//! The atomics that threads share, in one place: the standard ones, or under `--cfg loom` those of the model checker.
//!
//! Code that is modelled takes them from here and nowhere else; a model of anything else proves nothing.

#[cfg(loom)]
pub use loom::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(loom))]
pub use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
