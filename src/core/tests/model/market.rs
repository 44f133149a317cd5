//! A market as a map: levels by price, and whether it may be believed.

use std::collections::BTreeMap;

use linchpin_core::event::{Body, DepthPart, Level};
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::num::{Price, Quantity};
use linchpin_core::time::Nanos;

use crate::ledger::TICK;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    Lost,
    Updating,
    Whole,
}

/// What an event did to a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Nothing,
    /// Its prices, or the quantities at them, are others.
    Prices,
    /// The chain of updates broke.
    Broken,
}

#[derive(Clone, Debug)]
pub struct Market {
    pub definition: Option<InstrumentDefinition>,
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
    sync: Sync,
    crossed: bool,
    last: u64,
    bridging: bool,
    /// Bid, ask, and the update that they are of.
    top: Option<(Level, Level, u64)>,
    pub updated: Nanos,
    pub stale_after: Nanos,
    pub stale: bool,
    pub last_trade: Option<Price>,
    /// The venue's own mark price, at 8 decimals.
    pub mark: Option<i64>,
    /// What everything of it is valued at, and since when: followed at most every 10 ms.
    pub valued: Price,
    valued_since: Nanos,
}

impl Market {
    pub fn new(stale_after: Nanos) -> Self {
        Self {
            definition: None,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            sync: Sync::Lost,
            crossed: false,
            last: 0,
            bridging: false,
            top: None,
            updated: Nanos::ZERO,
            stale_after,
            stale: true,
            last_trade: None,
            mark: None,
            valued: Price::ZERO,
            valued_since: Nanos::ZERO,
        }
    }

    /// The middle of the top, rounded down to a tick.
    pub fn middle(&self) -> Option<Price> {
        self.top().map(|(bid, ask)| Price::new((bid.price.raw() + ask.price.raw()).div_euclid(2)))
    }

    /// The venue's mark price in whole ticks.
    pub fn mark_in_ticks(&self) -> Option<Price> {
        self.mark.map(|mark| Price::new(mark / TICK as i64))
    }

    /// The middle, or the last trade where there is no top.
    pub fn price(&self) -> Option<Price> {
        self.middle().or(self.last_trade)
    }

    /// After its prices moved: what is held is valued anew.
    pub fn revalue(&mut self, now: Nanos) {
        let first = self.valued.is_zero();
        if !first && now.since(self.valued_since) < Nanos::from_millis(10) {
            return;
        }
        let Some(price) = self.price() else { return };
        if price.is_positive() && price != self.valued {
            (self.valued, self.valued_since) = (price, now);
        }
    }

    pub fn top(&self) -> Option<(Level, Level)> {
        self.top.map(|(bid, ask, _)| (bid, ask))
    }

    pub fn is_trusted(&self) -> bool {
        let uncrossed = self.top().is_some_and(|(bid, ask)| bid.price < ask.price) && !self.crossed;
        self.sync == Sync::Whole && !self.stale && uncrossed
    }

    pub fn is_whole(&self) -> bool {
        self.sync == Sync::Whole && self.top.is_some()
    }

    pub fn is_crossed(&self) -> bool {
        self.top().is_some_and(|(bid, ask)| bid.price >= ask.price)
    }

    pub fn lose(&mut self) {
        self.sync = Sync::Lost;
        self.crossed = false;
        self.bids.clear();
        self.asks.clear();
        self.top = None;
    }

    pub fn apply(&mut self, now: Nanos, body: &Body) -> Moved {
        match body {
            Body::BookTicker(ticker) if self.top.is_none_or(|top| top.2 <= ticker.update_id) => {
                (self.updated, self.stale) = (now, false);
                self.top = Some((ticker.bid, ticker.ask, ticker.update_id));
                return Moved::Prices;
            }
            Body::Depth(depth) => {
                (self.updated, self.stale) = (now, false);
                if depth.part.snapshot {
                    self.bids.clear();
                    self.asks.clear();
                    self.bridging = true;
                } else {
                    let overlaps =
                        self.bridging && depth.previous_update <= self.last && self.last <= depth.last_update;
                    match self.sync {
                        Sync::Lost => return Moved::Nothing,
                        Sync::Whole if depth.previous_update == self.last || overlaps => {}
                        _ => {
                            self.lose();
                            return Moved::Broken;
                        }
                    }
                    self.bridging = false;
                }
                self.last = depth.last_update;
                self.sync = Sync::Updating;
                return self.part(depth.part, &depth.levels);
            }
            Body::DepthMore(more) => match self.sync {
                Sync::Updating => return self.part(more.part, &more.levels),
                Sync::Lost => {}
                Sync::Whole => {
                    self.lose();
                    return Moved::Broken;
                }
            },
            Body::Trade(trade) => {
                self.last_trade = Some(trade.price);
                return Moved::Prices;
            }
            Body::MarkPrice(mark) => self.mark = Some(mark.mark),
            Body::BookLost(_) => self.lose(),
            _ => {}
        }
        Moved::Nothing
    }

    fn part(&mut self, part: DepthPart, levels: &[Level]) -> Moved {
        for (at, level) in levels.iter().take(usize::from(part.count)).enumerate() {
            let side = if at < usize::from(part.bids) { &mut self.bids } else { &mut self.asks };
            if level.quantity.is_zero() {
                side.remove(&level.price);
            } else {
                side.insert(level.price, level.quantity);
            }
        }
        if !part.last {
            return Moved::Nothing;
        }
        self.sync = Sync::Whole;
        let touch = (self.bids.last_key_value(), self.asks.first_key_value());
        self.crossed = matches!(touch, (Some((bid, _)), Some((ask, _))) if bid >= ask);
        if self.top.is_some_and(|top| top.2 > self.last) {
            return Moved::Prices;
        }
        let level = |(price, quantity): (&Price, &Quantity)| Level { price: *price, quantity: *quantity };
        self.top = match (self.bids.last_key_value(), self.asks.first_key_value()) {
            (Some(bid), Some(ask)) => Some((level(bid), level(ask), self.last)),
            _ => None,
        };
        Moved::Prices
    }
}
