//! What a market message says, in exact units, before the feed decides what the core may hear of it. The scanner and the
//! tolerant parser both end here, which is what lets a test compare them.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::json::JsonError;
use crate::core::event::{BookTicker, Level, MarkPrice, Trade};
use crate::core::time::Nanos;

/// More levels in one update or snapshot than this is refused: the largest documented snapshot has 2 x 1000 (USD-M),
/// and a full-depth update a few hundred.
pub const MAX_LEVELS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketMessage {
    /// Row in the directory's listings.
    pub row: usize,
    /// `E`, when the venue sent it; zero where the message has none (spot bookTicker).
    pub event_time: Nanos,
    pub body: MarketBody,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MarketBody {
    BookTicker(BookTicker),
    Depth(DepthHeader),
    Trade(Trade),
    MarkPrice(MarkPrice),
}

/// A depth update without its levels, which stand in the caller's list: the first `bids` of them are bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthHeader {
    pub first_update: u64,
    pub last_update: u64,
    /// `pu`; on spot, which has none, `U - 1`: its chain is `U == previous u + 1`.
    pub previous_update: u64,
    pub bids: usize,
}

/// What the text of a connection can be, besides market data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Incoming {
    Market(MarketMessage),
    /// `{"result":null,"id":n}`: the venue took the SUBSCRIBE or UNSUBSCRIBE.
    Ack {
        id: u64,
    },
    /// The venue refused a request on the stream connection.
    Refused {
        id: u64,
        code: i64,
    },
    /// A trade print that is no trade of the book (insurance fund, ADL).
    OffBook,
    /// About a symbol that is not ours.
    Foreign,
    /// Well-formed, and of a kind that this feed does not read.
    Other,
}

/// Why a market message could not be read. The row is known where only its content was wrong: that book is then lost alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("market message: {error}")]
pub struct BadMarket {
    pub error: JsonError,
    pub depth_of: Option<usize>,
}

impl From<JsonError> for BadMarket {
    fn from(error: JsonError) -> Self {
        Self { error, depth_of: None }
    }
}

/// The caller's list of levels, reused.
pub type Levels = Vec<Level>;
