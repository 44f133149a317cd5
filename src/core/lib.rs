//! The deterministic core: `State = f(Event Stream, Configuration)`.
//!
//! Promises: the same events and the same configuration give the same bytes of output, on any machine, in any runtime.
//! Must never: read a clock, touch a socket, a file, a thread, a lock, a random seed or the platform's float library. It is
//! `no_std`, so none of these can be named here. Tables are sized once at start; nothing allocates after that.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
extern crate alloc;
// The tests of rules inside share the desk of those outside, which knows this crate by its name.
#[cfg(test)]
extern crate self as linchpin_core;
#[cfg(test)]
extern crate std;

/// The tests' desk: the tests of the core's inside take the one of the test programs.
#[cfg(test)]
#[path = "tests/desk/mod.rs"]
mod desk;

pub mod codec;
pub mod id;
pub mod num;
pub mod snapshot;
pub mod time;

pub mod dispatch;
pub mod event;
pub mod family;
pub mod instrument;
pub mod intent;
pub mod limits;
pub mod record;

pub mod state;

pub mod execution;
pub mod risk;
pub mod strategy;

pub mod turn;
