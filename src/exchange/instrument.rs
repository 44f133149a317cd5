//! One tradable instrument: its rules, where its liquidity comes from, and the tape of its public numbers.

use super::api::*;
use super::book::{Book, Resting};
use super::decimal::Decimal;
use super::market::recorded::RecordedLiquidity;
use super::orders::SymbolIndex;
use std::collections::{BTreeMap, VecDeque};

/// Public trades that `recent_trades` can show.
const RECENT_TRADES: usize = 1_000;
/// One-minute candles that are kept: a day and a minute, and as much again.
const CANDLES: usize = 2 * 1_441;
const MINUTE_MS: u64 = 60_000;

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
    pub recent_aggregates: VecDeque<AggTrade>,
    /// By the minute in which they open (ms).
    pub candles: BTreeMap<u64, Candle>,
    pub fundings: VecDeque<Funding>,
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
            recent_aggregates: VecDeque::new(),
            candles: BTreeMap::new(),
            fundings: VecDeque::new(),
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
        self.draw_candle(&trade);
        if self.tape.recent.len() == RECENT_TRADES {
            self.tape.recent.pop_front();
        }
        self.tape.recent.push_back(trade);
    }

    fn draw_candle(&mut self, trade: &PublicTrade) {
        let open_time_ms = trade.trade_time_ms - trade.trade_time_ms % MINUTE_MS;
        let candle = self.tape.candles.entry(open_time_ms).or_insert(Candle {
            open_time_ms,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            first_trade_id: trade.trade_id,
            ..Candle::default()
        });
        let notional = trade.price.times(trade.quantity);
        candle.high = candle.high.max(trade.price);
        candle.low = candle.low.min(trade.price);
        candle.close = trade.price;
        candle.volume += trade.quantity;
        candle.quote_volume += notional;
        if !trade.buyer_is_maker {
            candle.taker_volume += trade.quantity;
            candle.taker_quote_volume += notional;
        }
        candle.last_trade_id = trade.trade_id;
        candle.trades += 1;
        if self.tape.candles.len() > CANDLES {
            self.tape.candles.pop_first();
        }
    }

    /// The candles of `minutes` each that open within the bounds, oldest first; minutes without a trade repeat the close before.
    pub fn candles(&self, minutes: u64, from_ms: u64, to_ms: u64) -> Vec<Candle> {
        let length = minutes.max(1) * MINUTE_MS;
        let mut gathered: BTreeMap<u64, Candle> = BTreeMap::new();
        for candle in self.tape.candles.range(from_ms - from_ms % length..=to_ms).map(|(_, candle)| candle) {
            let open_time_ms = candle.open_time_ms - candle.open_time_ms % length;
            gathered
                .entry(open_time_ms)
                .and_modify(|sum| sum.extend(candle))
                .or_insert(Candle { open_time_ms, ..*candle });
        }
        let mut drawn: Vec<Candle> = Vec::new();
        for (open_time_ms, candle) in gathered {
            while let Some(before) = drawn.last()
                && before.open_time_ms + length < open_time_ms
            {
                drawn.push(before.quiet_after(length));
            }
            drawn.push(candle);
        }
        while let Some(before) = drawn.last()
            && before.open_time_ms + length <= to_ms
        {
            drawn.push(before.quiet_after(length));
        }
        drawn.retain(|candle| candle.open_time_ms >= from_ms);
        drawn
    }

    /// Prices and volumes of the last 24 hours, as one candle; the reference price before the first trade.
    pub fn day(&self, now_ms: u64) -> Candle {
        let from = now_ms.saturating_sub(24 * 60 * MINUTE_MS);
        let mut days = self.tape.candles.range(from..).map(|(_, candle)| *candle);
        let Some(first) = days.next() else {
            let price = self.tape.last_price.unwrap_or(self.spec.reference_price);
            return Candle {
                open_time_ms: from,
                open: price,
                high: price,
                low: price,
                close: price,
                ..Candle::default()
            };
        };
        let mut day = days.fold(first, |mut sum, candle| {
            sum.extend(&candle);
            sum
        });
        day.open_time_ms = from;
        day
    }

    /// Average price of the last five minutes by volume; the mark price without trades.
    pub fn average_price(&self, now_ms: u64) -> Decimal {
        let recent = self.tape.candles.range(now_ms.saturating_sub(5 * MINUTE_MS)..);
        let (quote, base) = recent.fold((Decimal::ZERO, Decimal::ZERO), |(quote, base), (_, candle)| {
            (quote + candle.quote_volume, base + candle.volume)
        });
        if base.is_positive() { quote.over(base) } else { self.mark() }
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
            let aggregate = AggTrade {
                symbol: self.spec.symbol.clone(),
                agg_trade_id: self.tape.last_agg_trade_id,
                price: run[0].1,
                quantity: run.iter().map(|fill| fill.2).sum(),
                first_trade_id: run[0].0,
                last_trade_id: run[run.len() - 1].0,
                buyer_is_maker,
                trade_time_ms: now_ms,
                event_time_ms: now_ms,
            };
            self.remember_aggregate(aggregate.clone());
            outputs.push(Output::AggTrade(aggregate));
        }
    }

    fn remember_aggregate(&mut self, aggregate: AggTrade) {
        if self.tape.recent_aggregates.len() == RECENT_TRADES {
            self.tape.recent_aggregates.pop_front();
        }
        self.tape.recent_aggregates.push_back(aggregate);
    }
}

impl Candle {
    /// Takes a later candle in.
    pub fn extend(&mut self, later: &Candle) {
        if self.trades == 0 {
            self.first_trade_id = later.first_trade_id;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.quote_volume += later.quote_volume;
        self.taker_volume += later.taker_volume;
        self.taker_quote_volume += later.taker_quote_volume;
        self.last_trade_id = later.last_trade_id;
        self.trades += later.trades;
    }

    /// The next interval, in which nothing traded.
    fn quiet_after(&self, length_ms: u64) -> Candle {
        Candle {
            open_time_ms: self.open_time_ms + length_ms,
            open: self.close,
            high: self.close,
            low: self.close,
            close: self.close,
            ..Candle::default()
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

    /// Prices and quantities that a taker of `taker` side meets, best first.
    fn offers(&self, taker: Side) -> Box<dyn Iterator<Item = PriceLevel> + '_> {
        match self {
            Liquidity::Book(book) => book.levels(taker.opposite()),
            Liquidity::Recorded(recorded) => Box::new(recorded.takeable(taker)),
        }
    }

    /// What `quantity` would cost (or bring) a taker within `limit`; what is not there counts at the limit.
    pub fn worth(&self, taker: Side, limit: Decimal, quantity: Decimal) -> Decimal {
        let mut left = quantity;
        let mut sum = Decimal::ZERO;
        for (price, offered) in self.offers(taker) {
            if !left.is_positive() || !reaches(taker, limit, price) {
                break;
            }
            let part = left.min(offered);
            sum += price.times(part);
            left -= part;
        }
        sum + limit.times(left)
    }

    /// How much a taker gets for `quote` within `limit`, from what is there.
    pub fn quantity_for(&self, taker: Side, limit: Decimal, quote: Decimal) -> Decimal {
        let mut left = quote;
        let mut sum = Decimal::ZERO;
        for (price, offered) in self.offers(taker) {
            if !left.is_positive() || !reaches(taker, limit, price) {
                break;
            }
            let part = offered.min(left.over(price));
            sum += part;
            left -= price.times(part);
            if part < offered {
                break;
            }
        }
        sum
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
