//! Market state: what each instrument's market looks like, and whether that may be believed.
//!
//! Trust in the market and trust in our orders are different things and never stand in for each other.
//! Hot.

use alloc::vec::Vec;
use fixed::types::I48F16;

use crate::event::{BookLoss, BookTicker, Depth, DepthMore, DepthPart, Level, MarkPrice, Side, Trade};
use crate::id::{InstrumentId, VenueId};
use crate::instrument::InstrumentDefinition;
use crate::limits::Configuration;
use crate::num::{Price, Quantity};
use crate::state::book::Book;
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub struct MarketState {
    instruments: Vec<InstrumentMarket>,
}

crate::saved! { table MarketState { instruments } }

#[derive(Clone, Debug)]
pub struct InstrumentMarket {
    pub venue: VenueId,
    pub definition: Option<InstrumentDefinition>,
    pub book: Book,
    pub sync: BookSync,
    /// The book itself was crossed when it last was whole: what came over its stream cannot be.
    pub book_crossed: bool,
    /// Last update id inside the book.
    pub last_update: u64,
    /// The next delta bridges a snapshot, so its chain may overlap.
    bridging: bool,
    /// The newest top of book that any source gave.
    pub top: Option<Top>,
    pub last_trade: Option<Trade>,
    pub mark: Option<MarkPrice>,
    /// Processing time of the last update of book or top.
    pub updated: Nanos,
    pub stale_after: Nanos,
    pub stale: bool,
    pub counters: MarketCounters,
}

crate::saved! {
    table InstrumentMarket {
        definition,
        book,
        sync,
        book_crossed,
        last_update,
        bridging,
        top,
        last_trade,
        mark,
        updated,
        stale,
        counters,
    } kept { venue, stale_after }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketCounters {
    pub depth_updates: u64,
    pub tickers: u64,
    pub trades: u64,
    pub snapshots: u64,
    pub losses: u64,
    pub chain_breaks: u64,
}

crate::saved! {
    value MarketCounters { depth_updates, tickers, trades, snapshots, losses, chain_breaks }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookSync {
    /// Not to be trusted, and why.
    Lost(BookLoss),
    /// Between the first and the last part of an update.
    Updating,
    Whole,
}

crate::saved! { choice BookSync { Lost(why) = 0, Updating = 1, Whole = 2 } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    pub bid: Level,
    pub ask: Level,
    pub update_id: u64,
}

crate::saved! { value Top { bid, ask, update_id } }

impl Top {
    #[inline]
    pub fn is_crossed(&self) -> bool {
        self.bid.price >= self.ask.price
    }

    /// In ticks; negative where it is crossed.
    #[inline]
    pub fn spread(&self) -> Price {
        self.ask.price - self.bid.price
    }

    /// Middle in ticks, exact to a half.
    #[inline]
    pub fn mid(&self) -> I48F16 {
        let sum = i128::from(self.bid.price.raw()) + i128::from(self.ask.price.raw());
        saturated(sum << 15)
    }

    /// The mid weighted by the opposite quantities, in ticks: where the next trade is likelier to move the touch.
    /// Rounded down to 1/65,536 tick; binary fixed point, so every machine has the same bits.
    #[inline]
    pub fn micro_price(&self) -> I48F16 {
        let (bid, ask) = (self.bid.quantity.raw(), self.ask.quantity.raw());
        let total = bid.saturating_add(ask);
        let weight = i128::from(self.spread().raw()) * i128::from(bid);
        let offset = match i64::try_from(weight.saturating_mul(1 << 16)) {
            // A division of 64 bits is several times faster, and nearly every market fits into it.
            Ok(small) => i128::from(small.checked_div_euclid(total).unwrap_or(0)),
            Err(_) => {
                let (whole, rest) = (
                    weight.checked_div_euclid(i128::from(total)).unwrap_or(0),
                    weight.checked_rem_euclid(i128::from(total)).unwrap_or(0),
                );
                (whole << 16) + (rest << 16).checked_div_euclid(i128::from(total)).unwrap_or(0)
            }
        };
        saturated((i128::from(self.bid.price.raw()) << 16) + offset)
    }

    /// Share of the bid in the quantity at the touch, rounded down: 1 is all bid, 0 is all ask; a half where there is nothing.
    pub fn imbalance(&self) -> I48F16 {
        share(self.bid.quantity, self.ask.quantity)
    }
}

/// `one`'s share of both together, rounded down to 1/65,536; a half where there is nothing.
fn share(one: Quantity, other: Quantity) -> I48F16 {
    let total = i128::from(one.raw()) + i128::from(other.raw());
    let share = (i128::from(one.raw()) << 16).checked_div(total);
    share.map_or(I48F16::from_bits(1 << 15), saturated)
}

#[inline]
fn saturated(bits: i128) -> I48F16 {
    I48F16::from_bits(bits.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

crate::coded! {
    /// Why a market may not be believed. It says nothing about our orders: their trust is their own.
    pub enum Distrust {
        /// No snapshot yet, a gap, a lost link, or in the middle of an update.
        NotWhole = 0 "not_whole",
        /// A side is empty: there is no top.
        OneSided = 1 "one_sided",
        /// The best bid is not below the best ask, in the book or in the newest top.
        Crossed = 2 "crossed",
        /// Silent for longer than it may be.
        Stale = 3 "stale",
    }
}

/// What a market event did, as far as others care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketChange {
    /// A part of an update: not whole yet.
    Partial,
    Top,
    Book,
    Trade,
    Mark,
    Lost,
    /// The chain of update ids broke although no loss was announced: a silent hole upstream.
    ChainBroken,
}

impl MarketState {
    pub fn new(configuration: &Configuration) -> Self {
        let levels = configuration.book_levels as usize;
        let instruments = configuration
            .instruments
            .iter()
            .map(|limits| InstrumentMarket::new(limits.venue, levels, limits.stale_after));
        Self { instruments: instruments.collect() }
    }

    #[inline]
    pub fn instrument(&self, id: InstrumentId) -> Option<&InstrumentMarket> {
        self.instruments.get(id.index())
    }

    #[inline]
    pub fn instrument_mut(&mut self, id: InstrumentId) -> Option<&mut InstrumentMarket> {
        self.instruments.get_mut(id.index())
    }

    pub fn count(&self) -> usize {
        self.instruments.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (InstrumentId, &InstrumentMarket)> {
        self.instruments.iter().enumerate().map(|(at, market)| (InstrumentId(at as u16), market))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (InstrumentId, &mut InstrumentMarket)> {
        self.instruments.iter_mut().enumerate().map(|(at, market)| (InstrumentId(at as u16), market))
    }
}

impl InstrumentMarket {
    /// Nothing is known yet, and nothing is to be believed.
    fn new(venue: VenueId, book_levels: usize, stale_after: Nanos) -> Self {
        Self {
            venue,
            definition: None,
            book: Book::new(book_levels),
            sync: BookSync::Lost(BookLoss::NotSynced),
            book_crossed: false,
            last_update: 0,
            bridging: false,
            top: None,
            last_trade: None,
            mark: None,
            updated: Nanos::ZERO,
            stale_after,
            stale: true,
            counters: MarketCounters::default(),
        }
    }

    /// Book synchronised and whole, nothing crossed, updates not stale: new risk may be taken on it.
    #[inline]
    pub fn is_trusted(&self) -> bool {
        self.distrust().is_none()
    }

    /// The first reason why it may not be believed.
    #[inline]
    pub fn distrust(&self) -> Option<Distrust> {
        if self.sync != BookSync::Whole {
            return Some(Distrust::NotWhole);
        }
        match self.top {
            None => Some(Distrust::OneSided),
            Some(top) if self.book_crossed || top.is_crossed() => Some(Distrust::Crossed),
            Some(_) if self.stale => Some(Distrust::Stale),
            Some(_) => None,
        }
    }

    /// The bids' share of the quantity on the nearest `levels` of each side.
    pub fn imbalance(&self, levels: usize) -> I48F16 {
        share(self.book.depth(Side::Buy, levels), self.book.depth(Side::Sell, levels))
    }

    /// A price to value a position at: the middle of the top, rounded down to a tick, else the last trade.
    pub fn mark_to(&self) -> Option<Price> {
        let middle = self.top.map(|top| Price::new((top.bid.price + top.ask.price).raw() >> 1));
        middle.or(self.last_trade.map(|trade| trade.price))
    }

    #[inline]
    pub(crate) fn apply_ticker(&mut self, now: Nanos, ticker: &BookTicker) -> MarketChange {
        self.counters.tickers += 1;
        // What is older than what we know is no news, and no sign of life.
        if self.top.is_some_and(|top| top.update_id > ticker.update_id) {
            return MarketChange::Partial;
        }
        self.fresh(now);
        self.top = Some(Top { bid: ticker.bid, ask: ticker.ask, update_id: ticker.update_id });
        MarketChange::Top
    }

    #[inline]
    pub(crate) fn apply_depth(&mut self, now: Nanos, depth: &Depth) -> MarketChange {
        self.fresh(now);
        if depth.part.snapshot {
            self.book.clear();
            self.counters.snapshots += 1;
            self.bridging = true;
        } else {
            if matches!(self.sync, BookSync::Lost(_)) {
                return MarketChange::Partial;
            }
            let chained = depth.previous_update == self.last_update;
            let bridges = self.bridging
                && depth.previous_update <= self.last_update
                && depth.last_update >= self.last_update;
            if self.sync == BookSync::Updating || !(chained || bridges) {
                self.counters.chain_breaks += 1;
                self.lose(BookLoss::Gap);
                return MarketChange::ChainBroken;
            }
            self.counters.depth_updates += 1;
            self.bridging = false;
        }
        self.last_update = depth.last_update;
        self.sync = BookSync::Updating;
        self.apply_part(depth.part, &depth.levels)
    }

    #[inline]
    pub(crate) fn apply_depth_more(&mut self, more: &DepthMore) -> MarketChange {
        match self.sync {
            BookSync::Updating => self.apply_part(more.part, &more.levels),
            BookSync::Lost(_) => MarketChange::Partial,
            BookSync::Whole => {
                self.counters.chain_breaks += 1;
                self.lose(BookLoss::Gap);
                MarketChange::ChainBroken
            }
        }
    }

    #[inline]
    fn apply_part(&mut self, part: DepthPart, levels: &[Level]) -> MarketChange {
        let bids = usize::from(part.bids);
        for (at, level) in levels.iter().take(usize::from(part.count)).enumerate() {
            self.book.set(if at < bids { Side::Buy } else { Side::Sell }, *level);
        }
        if !part.last {
            return MarketChange::Partial;
        }
        self.sync = BookSync::Whole;
        self.book_crossed = self.book.is_crossed();
        if self.top.is_none_or(|top| top.update_id <= self.last_update) {
            // A side without levels has no top, and then nothing is to be believed of the old one.
            self.top = match (self.book.best_bid(), self.book.best_ask()) {
                (Some(bid), Some(ask)) => Some(Top { bid, ask, update_id: self.last_update }),
                _ => None,
            };
        }
        MarketChange::Book
    }

    pub(crate) fn lose(&mut self, why: BookLoss) -> MarketChange {
        self.counters.losses += 1;
        self.sync = BookSync::Lost(why);
        self.book_crossed = false;
        self.book.clear();
        self.top = None;
        MarketChange::Lost
    }

    #[inline]
    pub(crate) fn apply_trade(&mut self, trade: &Trade) -> MarketChange {
        self.counters.trades += 1;
        self.last_trade = Some(*trade);
        MarketChange::Trade
    }

    #[inline]
    fn fresh(&mut self, now: Nanos) {
        self.updated = now;
        self.stale = false;
    }
}

#[cfg(test)]
mod tests;
