//! The seeded world: the production loops on one thread, with a clock that jumps, a wire that is a queue, and the embedded
//! venue's own engine behind it. One seed decides everything; nothing here reads a clock, a socket or a thread's timing.
//!
//! ```text
//!            clock, dice
//!                |
//!   world --- pass() ---> receiver, core_loop, sender, requester      (the loops of src/threads, unchanged)
//!                |             |  Socket, Dial, Read
//!              venue <------- wire, rest                               (latency, cuts, doubles, lost answers: faults)
//!                |
//!            exchange::Exchange                                        (the embedded venue's engine)
//!
//!   audit: the journal again, turn by turn, with every invariant checked after each
//! ```
//!
//! For tests only: what is impossible here panics, with words that say what was expected.

pub mod audit;
pub mod clock;
pub mod dice;
pub mod faults;
pub mod lone;
pub mod rest;
pub mod venue;
pub mod wire;
pub mod world;

pub use audit::{Audit, audit};
pub use clock::VirtualClock;
pub use dice::Dice;
pub use faults::Faults;
pub use lone::{LoneSender, order};
pub use world::{Part, Plan, World, journal_bytes};
