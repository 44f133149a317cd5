//! One tradable instrument: its rules, where its liquidity comes from, and the tape of its public numbers.

use super::api::*;
use super::book::{Book, Resting};
use super::decimal::Decimal;
use super::market::recorded::RecordedLiquidity;
use super::orders::SymbolIndex;
use std::collections::VecDeque;

/// Public trades that `recent_trades` can show.
const RECENT_TRADES: usize = 1_000;

pub struct Instrument {
    pub index: SymbolIndex,
    pub spec: SymbolSpec,
    pub liquidity: Liquidity,
    pub tape: Tape,
}

/// Whom an incoming order meets.
pub enum Liquidity {
    /// Other orders, ours and the agents'.
    Book(Book),
    /// A recording, which cannot see our orders.
    Recorded(RecordedLiquidity),
}

/// What a taker can have next.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub price: Decimal,
    pub quantity: Decimal,
    /// `None`: the recorded market's.
    pub maker: Option<Resting>,
}

/// The counters and last values of the public streams.
pub struct Tape {
    pub last_update_id: u64,
    pub previous_diff_id: u64,
    pub last_trade_id: u64,
    pub last_agg_trade_id: u64,
    pub last_price: Option<Decimal>,
    pub ticker: (PriceLevel, PriceLevel),
    pub recent: VecDeque<PublicTrade>,
}

impl Instrument {
    pub fn new(index: SymbolIndex, spec: SymbolSpec, liquidity: Liquidity) -> Instrument {
        let nothing = (Decimal::ZERO, Decimal::ZERO);
        let tape = Tape {
            last_update_id: 0,
            previous_diff_id: 0,
            last_trade_id: 0,
            last_agg_trade_id: 0,
            last_price: None,
            ticker: (nothing, nothing),
            recent: VecDeque::with_capacity(RECENT_TRADES),
        };
        Instrument { index, spec, liquidity, tape }
    }

    /// The mark price: a recorded one, else the middle of the book, else the last trade, else the reference price.
    pub fn mark(&self) -> Decimal {
        if let Liquidity::Recorded(recorded) = &self.liquidity
            && let Some(mark) = recorded.recorded_mark
        {
            return mark;
        }
        let (bid, ask) = (self.liquidity.best(Side::Buy), self.liquidity.best(Side::Sell));
        match (bid, ask) {
            (Some((bid, _)), Some((ask, _))) => Decimal(bid.0 + (ask.0 - bid.0) / 2),
            _ => self.tape.last_price.unwrap_or(self.spec.reference_price),
        }
    }

    pub fn snapshot(&self, limit: usize, now_ms: u64) -> DepthSnapshot {
        let last_update_id = match &self.liquidity {
            Liquidity::Book(_) => self.tape.last_update_id,
            Liquidity::Recorded(recorded) => recorded.last_update_id(),
        };
        DepthSnapshot {
            symbol: self.spec.symbol.clone(),
            last_update_id,
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            bids: self.liquidity.levels(Side::Buy).take(limit).collect(),
            asks: self.liquidity.levels(Side::Sell).take(limit).collect(),
            verbatim: None,
        }
    }

    pub fn book_ticker(&self, now_ms: u64) -> BookTicker {
        let nothing = (Decimal::ZERO, Decimal::ZERO);
        BookTicker {
            symbol: self.spec.symbol.clone(),
            update_id: match &self.liquidity {
                Liquidity::Book(_) => self.tape.last_update_id,
                Liquidity::Recorded(recorded) => recorded.last_update_id(),
            },
            bid: self.liquidity.best(Side::Buy).unwrap_or(nothing),
            ask: self.liquidity.best(Side::Sell).unwrap_or(nothing),
            transaction_time_ms: now_ms,
            event_time_ms: now_ms,
        }
    }

    /// The public consequence of a change to the book: a depth diff, and a book ticker when the touch moved.
    pub fn publish(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        let Liquidity::Book(book) = &mut self.liquidity else { return };
        let (bids, asks) = book.take_changes();
        let changes = (bids.len() + asks.len()) as u64;
        if changes == 0 {
            return;
        }
        let first_update_id = self.tape.last_update_id + 1;
        self.tape.last_update_id += changes;
        outputs.push(Output::Depth(DepthDiff {
            symbol: self.spec.symbol.clone(),
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            first_update_id,
            last_update_id: self.tape.last_update_id,
            previous_last_update_id: self.tape.previous_diff_id,
            bids,
            asks,
        }));
        self.tape.previous_diff_id = self.tape.last_update_id;
        let ticker = self.book_ticker(now_ms);
        if (ticker.bid, ticker.ask) != self.tape.ticker {
            self.tape.ticker = (ticker.bid, ticker.ask);
            outputs.push(Output::BookTicker(ticker));
        }
    }

    /// Keeps a public trade for `recent_trades`.
    pub fn remember_public(&mut self, trade: PublicTrade) {
        if self.tape.recent.len() == RECENT_TRADES {
            self.tape.recent.pop_front();
        }
        self.tape.recent.push_back(trade);
    }

    /// The public trades of one taker, then the same by price.
    pub fn print_trades(
        &mut self,
        taker: Side,
        fills: &[(u64, Decimal, Decimal)],
        now_ms: u64,
        outputs: &mut Vec<Output>,
    ) {
        let Some(&(_, last_price, _)) = fills.last() else { return };
        self.tape.last_price = Some(last_price);
        if matches!(self.liquidity, Liquidity::Recorded(_)) {
            return;
        }
        let buyer_is_maker = taker == Side::Sell;
        for &(trade_id, price, quantity) in fills {
            let trade = PublicTrade {
                symbol: self.spec.symbol.clone(),
                trade_id,
                price,
                quantity,
                buyer_is_maker,
                trade_time_ms: now_ms,
                event_time_ms: now_ms,
            };
            self.remember_public(trade.clone());
            outputs.push(Output::Trade(trade));
        }
        for run in fills.chunk_by(|one, next| one.1 == next.1) {
            self.tape.last_agg_trade_id += 1;
            outputs.push(Output::AggTrade(AggTrade {
                symbol: self.spec.symbol.clone(),
                agg_trade_id: self.tape.last_agg_trade_id,
                price: run[0].1,
                quantity: run.iter().map(|fill| fill.2).sum(),
                first_trade_id: run[0].0,
                last_trade_id: run[run.len() - 1].0,
                buyer_is_maker,
                trade_time_ms: now_ms,
                event_time_ms: now_ms,
            }));
        }
    }
}

impl Liquidity {
    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        match self {
            Liquidity::Book(book) => book.best(side),
            Liquidity::Recorded(recorded) => recorded.best(side),
        }
    }

    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = PriceLevel> + '_> {
        match self {
            Liquidity::Book(book) => book.levels(side),
            Liquidity::Recorded(recorded) => recorded.levels(side),
        }
    }

    /// What a taker of `taker` side meets next.
    pub fn offer(&self, taker: Side) -> Option<Offer> {
        match self {
            Liquidity::Book(book) => book.front(taker.opposite()).map(|(price, resting)| Offer {
                price,
                quantity: resting.leaves,
                maker: Some(resting),
            }),
            Liquidity::Recorded(recorded) => recorded.takeable(taker).next().map(|(price, quantity)| Offer {
                price,
                quantity,
                maker: None,
            }),
        }
    }

    /// Takes `quantity` of `offer` away.
    pub fn consume(&mut self, taker: Side, offer: &Offer, quantity: Decimal) {
        match (self, offer.maker) {
            (Liquidity::Book(book), Some(maker)) => book.reduce(maker.order_id, quantity),
            (Liquidity::Recorded(recorded), _) => recorded.consume(taker, offer.price, quantity),
            (Liquidity::Book(_), None) => {}
        }
    }

    /// How much a taker of `taker` side could have at `limit` or better, not counting orders of `except`; stops counting at `wanted`.
    pub fn available(&self, taker: Side, limit: Decimal, wanted: Decimal, except: AccountId) -> Decimal {
        let mut sum = Decimal::ZERO;
        match self {
            Liquidity::Book(book) => {
                for (price, resting) in book.queue(taker.opposite()) {
                    if sum >= wanted || !reaches(taker, limit, price) {
                        break;
                    }
                    if resting.account != except {
                        sum += resting.leaves;
                    }
                }
            }
            Liquidity::Recorded(recorded) => {
                for (price, quantity) in recorded.takeable(taker) {
                    if sum >= wanted || !reaches(taker, limit, price) {
                        break;
                    }
                    sum += quantity;
                }
            }
        }
        sum
    }

    pub fn rest(&mut self, side: Side, price: Decimal, resting: Resting) {
        match self {
            Liquidity::Book(book) => book.insert(side, price, resting),
            Liquidity::Recorded(recorded) => recorded.rest(side, price, resting),
        }
    }

    /// Less of a resting order, in its place.
    pub fn reduce(&mut self, order_id: u64, quantity: Decimal) {
        match self {
            Liquidity::Book(book) => book.reduce(order_id, quantity),
            Liquidity::Recorded(recorded) => recorded.reduce(order_id, quantity),
        }
    }

    pub fn withdraw(&mut self, order_id: u64) {
        match self {
            Liquidity::Book(book) => {
                book.remove(order_id);
            }
            Liquidity::Recorded(recorded) => recorded.withdraw(order_id),
        }
    }
}

/// Whether a taker of `taker` side with `limit` accepts `price`.
pub fn reaches(taker: Side, limit: Decimal, price: Decimal) -> bool {
    match taker {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}
