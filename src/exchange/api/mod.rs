//! The vocabulary between the venue's engine and whatever stands in front of it: commands in, replies and outputs out.
//!
//! Typed, with every fact that the wire of Binance USD-M futures needs and none of its JSON; the words follow the exchange's documents
//! ("USDⓈ-M Futures: Trade, Account, Websocket Market Streams, User Data Streams"). Times are nanoseconds since 1970 where they are
//! named `now` or `_ns`, and the wire's milliseconds where they are named `_ms` or come in structs that go to the wire.
//!
//! **When outputs appear.** [`Exchange::execute`](super::Exchange::execute) answers at once and *queues* what the command made others
//! see. [`Exchange::advance`](super::Exchange::advance) hands out that queue in order, then plays the market up to `now`, handing out each
//! step's outputs in order. For one matching step the order is: per fill, the maker's `AccountUpdate` and `OrderUpdate`, then the taker's
//! (a maker and a taker of one account get both); `Trade`s and `AggTrade`s; last the `DepthDiff` and the `BookTicker`. So call `advance` after
//! each `execute` (or batch of them) and whenever `next_wake` is due.

mod commands;
mod config;
mod outputs;
mod private;
mod public;
mod replies;
mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use commands::*;
pub use config::*;
pub use outputs::*;
pub use private::*;
pub use public::*;
pub use replies::*;
pub use words::*;

/// The venue's text for an instrument, upper case: `BTCUSDT`.
pub type Symbol = Arc<str>;

/// An account. Zero is the house (the agents, or the recorded market's counterparty); configured accounts count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u16);

impl AccountId {
    pub const HOUSE: AccountId = AccountId(0);
    /// No account at all: matches nobody in comparisons.
    pub(in super::super) const NOBODY: AccountId = AccountId(u16::MAX);
}
