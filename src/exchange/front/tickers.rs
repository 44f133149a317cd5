//! Candles and tickers, as both products show them: of one minute to one day, and of the last 24 hours.
//!
//! USD-M and spot differ in a few fields only ("Kline/Candlestick Data", "24hr Ticker Price Change Statistics", and the streams of those names).

use super::super::*;
use super::json::{Object, array};
use super::shapes::Places;

/// Names of intervals, and their minutes. Months and weeks, whose length or beginning is the calendar's, are not offered.
pub const INTERVALS: &[(&str, u64)] = &[
    ("1m", 1),
    ("3m", 3),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("1h", 60),
    ("2h", 120),
    ("4h", 240),
    ("6h", 360),
    ("8h", 480),
    ("12h", 720),
    ("1d", 1_440),
];
const MINUTE_MS: u64 = 60_000;

/// The number of an interval in [`INTERVALS`].
pub fn interval(name: &str) -> Option<usize> {
    INTERVALS.iter().position(|(known, _)| *known == name)
}

pub const fn length_ms(interval: usize) -> u64 {
    INTERVALS[interval].1 * MINUTE_MS
}

/// A row of `klines`.
pub fn kline_row(candle: &Candle, interval: usize, places: Places) -> String {
    let text = |value: Decimal, places| format!("\"{}\"", value.fixed(places));
    array([
        candle.open_time_ms.to_string(),
        text(candle.open, places.price),
        text(candle.high, places.price),
        text(candle.low, places.price),
        text(candle.close, places.price),
        text(candle.volume, places.quantity),
        (candle.open_time_ms + length_ms(interval) - 1).to_string(),
        text(candle.quote_volume, 8),
        candle.trades.to_string(),
        text(candle.taker_volume, places.quantity),
        text(candle.taker_quote_volume, 8),
        "\"0\"".to_owned(),
    ])
}

/// `kline` of the stream.
pub fn kline_event(symbol: &str, candle: &Candle, interval: usize, now_ms: u64, places: Places) -> String {
    let close_time_ms = candle.open_time_ms + length_ms(interval) - 1;
    let inner = Object::with_capacity(320)
        .plain("t", candle.open_time_ms)
        .plain("T", close_time_ms)
        .text("s", symbol)
        .text("i", INTERVALS[interval].0)
        .plain("f", candle.first_trade_id)
        .plain("L", candle.last_trade_id)
        .quoted("o", candle.open.fixed(places.price))
        .quoted("c", candle.close.fixed(places.price))
        .quoted("h", candle.high.fixed(places.price))
        .quoted("l", candle.low.fixed(places.price))
        .quoted("v", candle.volume.fixed(places.quantity))
        .plain("n", candle.trades)
        .plain("x", now_ms > close_time_ms)
        .quoted("q", candle.quote_volume.fixed(8))
        .quoted("V", candle.taker_volume.fixed(places.quantity))
        .quoted("Q", candle.taker_quote_volume.fixed(8))
        .text("B", "0")
        .close();
    Object::with_capacity(inner.len() + 64)
        .text("e", "kline")
        .plain("E", now_ms)
        .text("s", symbol)
        .plain("k", inner)
        .close()
}

/// One symbol's last 24 hours, and its touch.
pub struct Day<'a> {
    pub symbol: &'a str,
    pub candle: Candle,
    pub last_quantity: Decimal,
    pub touch: BookTicker,
    pub now_ms: u64,
    pub places: Places,
}

impl Day<'_> {
    pub fn of<'a>(instrument: &'a instrument::Instrument, now_ms: u64) -> Day<'a> {
        Day {
            symbol: &instrument.spec.symbol,
            candle: instrument.day(now_ms),
            last_quantity: instrument.tape.recent.back().map_or(Decimal::ZERO, |trade| trade.quantity),
            touch: instrument.book_ticker(now_ms),
            now_ms,
            places: Places::of(&instrument.spec),
        }
    }

    fn change(&self) -> Decimal {
        self.candle.close - self.candle.open
    }

    fn percent(&self) -> Decimal {
        self.change().over(self.candle.open).times(Decimal::new(100, 0))
    }

    fn average(&self) -> Decimal {
        self.candle.quote_volume.over(self.candle.volume)
    }

    /// The answer of `ticker/24hr`; spot adds the touch and the close before.
    pub fn answer(&self, product: Product) -> String {
        let (price, quantity) = (self.places.price, self.places.quantity);
        let mut out = Object::with_capacity(640)
            .text("symbol", self.symbol)
            .quoted("priceChange", self.change().fixed(price))
            .quoted("priceChangePercent", self.percent().fixed(3))
            .quoted("weightedAvgPrice", self.average().fixed(price));
        if product == Product::Spot {
            out = out.quoted("prevClosePrice", self.candle.open.fixed(price));
        }
        out = out
            .quoted("lastPrice", self.candle.close.fixed(price))
            .quoted("lastQty", self.last_quantity.fixed(quantity));
        if product == Product::Spot {
            out = out
                .quoted("bidPrice", self.touch.bid.0.fixed(price))
                .quoted("bidQty", self.touch.bid.1.fixed(quantity))
                .quoted("askPrice", self.touch.ask.0.fixed(price))
                .quoted("askQty", self.touch.ask.1.fixed(quantity));
        }
        out.quoted("openPrice", self.candle.open.fixed(price))
            .quoted("highPrice", self.candle.high.fixed(price))
            .quoted("lowPrice", self.candle.low.fixed(price))
            .quoted("volume", self.candle.volume.fixed(quantity))
            .quoted("quoteVolume", self.candle.quote_volume.fixed(8))
            .plain("openTime", self.candle.open_time_ms)
            .plain("closeTime", self.now_ms)
            .plain("firstId", self.candle.first_trade_id)
            .plain("lastId", self.candle.last_trade_id)
            .plain("count", self.candle.trades)
            .close()
    }

    pub fn mini_event(&self) -> String {
        Object::with_capacity(220)
            .text("e", "24hrMiniTicker")
            .plain("E", self.now_ms)
            .text("s", self.symbol)
            .quoted("c", self.candle.close.fixed(self.places.price))
            .quoted("o", self.candle.open.fixed(self.places.price))
            .quoted("h", self.candle.high.fixed(self.places.price))
            .quoted("l", self.candle.low.fixed(self.places.price))
            .quoted("v", self.candle.volume.fixed(self.places.quantity))
            .quoted("q", self.candle.quote_volume.fixed(8))
            .close()
    }

    pub fn event(&self, product: Product) -> String {
        let (price, quantity) = (self.places.price, self.places.quantity);
        let mut out = Object::with_capacity(480)
            .text("e", "24hrTicker")
            .plain("E", self.now_ms)
            .text("s", self.symbol)
            .quoted("p", self.change().fixed(price))
            .quoted("P", self.percent().fixed(3))
            .quoted("w", self.average().fixed(price));
        if product == Product::Spot {
            out = out.quoted("x", self.candle.open.fixed(price));
        }
        out = out.quoted("c", self.candle.close.fixed(price)).quoted("Q", self.last_quantity.fixed(quantity));
        if product == Product::Spot {
            out = out
                .quoted("b", self.touch.bid.0.fixed(price))
                .quoted("B", self.touch.bid.1.fixed(quantity))
                .quoted("a", self.touch.ask.0.fixed(price))
                .quoted("A", self.touch.ask.1.fixed(quantity));
        }
        out.quoted("o", self.candle.open.fixed(price))
            .quoted("h", self.candle.high.fixed(price))
            .quoted("l", self.candle.low.fixed(price))
            .quoted("v", self.candle.volume.fixed(quantity))
            .quoted("q", self.candle.quote_volume.fixed(8))
            .plain("O", self.candle.open_time_ms)
            .plain("C", self.now_ms)
            .plain("F", self.candle.first_trade_id)
            .plain("L", self.candle.last_trade_id)
            .plain("n", self.candle.trades)
            .close()
    }
}

/// A row of `aggTrades`; spot says whether it was the best match.
pub fn aggregate_row(trade: &AggTrade, product: Product, places: Places) -> String {
    let out = Object::new()
        .plain("a", trade.agg_trade_id)
        .quoted("p", trade.price.fixed(places.price))
        .quoted("q", trade.quantity.fixed(places.quantity))
        .plain("f", trade.first_trade_id)
        .plain("l", trade.last_trade_id)
        .plain("T", trade.trade_time_ms)
        .plain("m", trade.buyer_is_maker);
    if product == Product::Spot { out.plain("M", true).close() } else { out.close() }
}
