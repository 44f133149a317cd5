//! Market data: what everybody may see.

use std::ops::Range;
use std::sync::Arc;

use super::super::decimal::Decimal;
use super::Symbol;

pub type PriceLevel = (Decimal, Decimal);

/// The answer to a depth request.
#[derive(Clone, Debug)]
pub enum DepthReply {
    Ready(DepthSnapshot),
    /// The recording has not reached its snapshot yet; an [`Output::DepthReady`] with this ticket will come.
    Pending(DepthTicket),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepthTicket(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot {
    pub symbol: Symbol,
    pub last_update_id: u64,
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    /// Best first.
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
    /// A recorded snapshot's own JSON, when nothing was cut from it: send this, byte for byte.
    pub verbatim: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthDiff {
    pub symbol: Symbol,
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    /// `U`, `u`, `pu`.
    pub first_update_id: u64,
    pub last_update_id: u64,
    pub previous_last_update_id: u64,
    /// New total quantity at each changed price; zero: gone.
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookTicker {
    pub symbol: Symbol,
    pub update_id: u64,
    /// Price and quantity; both zero when the side is empty.
    pub bid: PriceLevel,
    pub ask: PriceLevel,
    pub transaction_time_ms: u64,
    pub event_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    pub symbol: Symbol,
    pub trade_id: u64,
    pub price: Decimal,
    pub quantity: Decimal,
    /// `m`.
    pub buyer_is_maker: bool,
    pub trade_time_ms: u64,
    pub event_time_ms: u64,
}

/// The fills of one taker at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggTrade {
    pub symbol: Symbol,
    pub agg_trade_id: u64,
    pub price: Decimal,
    pub quantity: Decimal,
    pub first_trade_id: u64,
    pub last_trade_id: u64,
    pub buyer_is_maker: bool,
    pub trade_time_ms: u64,
    pub event_time_ms: u64,
}

/// Prices and volumes of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candle {
    pub open_time_ms: u64,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    pub volume: Decimal,
    pub quote_volume: Decimal,
    /// What takers bought.
    pub taker_volume: Decimal,
    pub taker_quote_volume: Decimal,
    pub first_trade_id: u64,
    pub last_trade_id: u64,
    pub trades: u64,
}

/// One funding of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funding {
    pub symbol: Symbol,
    pub rate: Decimal,
    pub time_ms: u64,
    pub mark_price: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkPrice {
    pub symbol: Symbol,
    pub event_time_ms: u64,
    pub mark_price: Decimal,
    pub index_price: Decimal,
    pub funding_rate: Decimal,
    pub next_funding_time_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    Depth,
    Trade,
    AggTrade,
    BookTicker,
    MarkPrice,
    Other,
}

/// One recorded message, exactly as the exchange sent it.
#[derive(Clone, Debug)]
pub struct RecordedFrame {
    pub symbol: Symbol,
    pub kind: StreamKind,
    /// The recorded stream's name: `btcusdt@depth@0ms`.
    pub stream: Arc<str>,
    /// The whole combined-stream message `{"stream":...,"data":...}`: what a `/stream` connection gets.
    pub frame: Arc<[u8]>,
    /// The part of `frame` that is `data`: what a raw `/ws` connection gets.
    pub data: Range<usize>,
}

impl RecordedFrame {
    pub fn data(&self) -> &[u8] {
        &self.frame[self.data.clone()]
    }
}
