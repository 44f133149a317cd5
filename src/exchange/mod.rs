//! The embedded venue: an exchange in a box that engine, tests and backtests trade against.
//!
//! A deterministic library: it is told the time, owns no clock, socket or thread, and shares no code with the engine's core, so that
//! a bug in one end of the wire cannot hide in the other. The same configuration, commands and times give the same outputs.
//!
//! ```text
//!  front (network) --Command--> intake -> filters -> matching -> ledger, purses --Reply / ApiError--> front
//!                                 triggers --^         '-- solvency: funding, liquidation
//!                                            |
//!                     market: agents' orders, or a recording with our orders queued into it
//!                                            |
//!                                            '--Output (private, public, depth completions, ended)--> front
//! ```

pub mod api;
pub mod decimal;
pub mod engine;
pub mod error;
#[cfg(feature = "embedded-venue")]
pub mod front;

mod account;
mod book;
mod filters;
pub mod instrument;
mod intake;
mod ledger;
mod market;
mod matching;
pub mod moves;
mod orders;
mod purses;
pub mod solvency;
#[cfg(test)]
mod tests;
mod triggers;

pub use api::*;
pub use decimal::Decimal;
pub use engine::Exchange;
pub use error::{ApiError, SetupError};
pub use market::lines::infer_symbols;
