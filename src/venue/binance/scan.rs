//! The scanner: reads the exchange's fixed layouts of market messages in one pass, without a parser.
//!
//! It verifies every literal byte. Whatever is not exactly one of these layouts is refused, and the caller gives it to
//! `parse`, which knows JSON; so the scanner can be wrong only by accepting, and the differential tests look for that.
//!
//! ```text
//! [{"stream":"NAME","data":] one of these [}]
//! {"e":"bookTicker","u":n,"s":"S","b":"p","B":"q","a":"p","A":"q","T":n,"E":n}                        USD-M
//! {"u":n,"s":"S","b":"p","B":"q","a":"p","A":"q"}                                                     spot
//! {"e":"depthUpdate","E":n,["T":n,]"s":"S","U":n,"u":n,["pu":n,]"b":[["p","q"],..],"a":[..]}          [USD-M]
//! {"e":"trade","E":n,"T":n,"s":"S","t":n,"p":"p","q":"q","X":"MARKET","m":bool}                       USD-M
//! {"e":"trade","E":n,"s":"S","t":n,"p":"p","q":"q","T":n,"m":bool,"M":true}                           spot
//! {"e":"aggTrade","E":n,"s":"S","a":n,"p":"p","q":"q",["nq":"q",]"f":n,"l":n,"T":n,"m":bool[,"M":true]}
//! {"e":"markPriceUpdate","E":n,"s":"S","p":"d","P":"d","i":"d","r":"d","T":n}                         USD-M
//! ```
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::market::{DepthHeader, Levels, MAX_LEVELS, MarketBody, MarketMessage};
use crate::core::event::{BookTicker, Level, MarkPrice, Side, Trade};
use crate::core::instrument::{InstrumentDefinition, Product};
use crate::core::num::{Increment, Price, Quantity};
use crate::core::time::Nanos;
use crate::venue::Directory;

/// The layout ended here: it is for the parser to say whether the text is wrong or only different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fixed layout (byte {offset})")]
pub struct NotFixed {
    pub offset: u32,
}

/// Reads one message. `last_row` remembers the symbol seen last; `levels` is overwritten by a depth message.
#[inline]
pub fn scan(
    text: &[u8],
    directory: &Directory,
    last_row: &mut usize,
    levels: &mut Levels,
) -> Result<MarketMessage, NotFixed> {
    let mut at = Cursor { rest: text };
    match message(&mut at, directory, last_row, levels) {
        Some(message) => Ok(message),
        None => Err(NotFixed { offset: u32::try_from(text.len() - at.rest.len()).unwrap_or(u32::MAX) }),
    }
}

#[inline]
fn message(
    at: &mut Cursor<'_>,
    directory: &Directory,
    last_row: &mut usize,
    levels: &mut Levels,
) -> Option<MarketMessage> {
    let enveloped = at.skip(b"{\"stream\":\"");
    if enveloped {
        at.stream_name()?;
        at.literal(b"\",\"data\":")?;
    }
    let mut symbols = Symbols { directory, last_row };
    let message = if at.skip(b"{\"e\":\"") {
        if at.skip(b"bookTicker\",\"u\":") {
            book_ticker(at, &mut symbols, true)
        } else if at.skip(b"depthUpdate\",\"E\":") {
            depth(at, &mut symbols, levels)
        } else if at.skip(b"trade\",\"E\":") {
            trade(at, &mut symbols)
        } else if at.skip(b"aggTrade\",\"E\":") {
            aggregate_trade(at, &mut symbols)
        } else if at.skip(b"markPriceUpdate\",\"E\":") {
            mark_price(at, &mut symbols)
        } else {
            None
        }
    } else {
        at.literal(b"{\"u\":")?;
        book_ticker(at, &mut symbols, false)
    }?;
    if enveloped {
        at.literal(b"}")?;
    }
    at.rest.is_empty().then_some(message)
}

#[inline]
fn book_ticker(at: &mut Cursor<'_>, symbols: &mut Symbols<'_>, timed: bool) -> Option<MarketMessage> {
    let update_id = at.uint()?;
    at.literal(b",\"s\":\"")?;
    let (row, grid) = symbols.read(at)?;
    at.literal(b",\"b\":\"")?;
    let bid_price = at.price(&grid.tick)?;
    at.literal(b",\"B\":\"")?;
    let bid_quantity = at.quantity(&grid.lot)?;
    at.literal(b",\"a\":\"")?;
    let ask_price = at.price(&grid.tick)?;
    at.literal(b",\"A\":\"")?;
    let ask_quantity = at.quantity(&grid.lot)?;
    let mut event_time = Nanos::ZERO;
    if timed {
        at.literal(b",\"T\":")?;
        at.uint()?;
        at.literal(b",\"E\":")?;
        event_time = at.millis()?;
    }
    at.literal(b"}")?;
    let bid = Level { price: bid_price, quantity: bid_quantity };
    let ask = Level { price: ask_price, quantity: ask_quantity };
    Some(MarketMessage { row, event_time, body: MarketBody::BookTicker(BookTicker { update_id, bid, ask }) })
}

#[inline]
fn depth(at: &mut Cursor<'_>, symbols: &mut Symbols<'_>, levels: &mut Levels) -> Option<MarketMessage> {
    let event_time = at.millis()?;
    if at.skip(b",\"T\":") {
        at.uint()?;
    }
    at.literal(b",\"s\":\"")?;
    let (row, grid) = symbols.read(at)?;
    at.literal(b",\"U\":")?;
    let first_update = at.uint()?;
    at.literal(b",\"u\":")?;
    let last_update = at.uint()?;
    let previous_update = if at.skip(b",\"pu\":") {
        at.uint()?
    } else if symbols.directory.product() == Product::Spot {
        first_update.saturating_sub(1)
    } else {
        return None;
    };
    levels.clear();
    at.literal(b",\"b\":[")?;
    side(at, grid, levels)?;
    let bids = levels.len();
    at.literal(b",\"a\":[")?;
    side(at, grid, levels)?;
    at.literal(b"}")?;
    let header = DepthHeader { first_update, last_update, previous_update, bids };
    Some(MarketMessage { row, event_time, body: MarketBody::Depth(header) })
}

/// `["p","q"],..]`, the opening bracket already read.
#[inline]
fn side(at: &mut Cursor<'_>, grid: &InstrumentDefinition, levels: &mut Levels) -> Option<()> {
    if at.skip(b"]") {
        return Some(());
    }
    loop {
        at.literal(b"[\"")?;
        let price = at.price(&grid.tick)?;
        at.literal(b",\"")?;
        let quantity = at.quantity(&grid.lot)?;
        if levels.len() >= MAX_LEVELS {
            return None;
        }
        levels.push(Level { price, quantity });
        if at.skip(b"],") {
            continue;
        }
        return at.literal(b"]]");
    }
}

#[inline]
fn trade(at: &mut Cursor<'_>, symbols: &mut Symbols<'_>) -> Option<MarketMessage> {
    let event_time = at.millis()?;
    let perpetual = at.skip(b",\"T\":");
    if perpetual {
        at.uint()?;
    }
    at.literal(b",\"s\":\"")?;
    let (row, grid) = symbols.read(at)?;
    at.literal(b",\"t\":")?;
    let trade_id = at.uint()?;
    let (price, quantity) = at.price_and_quantity(grid)?;
    if perpetual {
        at.literal(b",\"X\":\"MARKET\"")?;
    } else {
        at.literal(b",\"T\":")?;
        at.uint()?;
    }
    let aggressor = at.aggressor()?;
    if !perpetual {
        at.literal(b",\"M\":true")?;
    }
    at.literal(b"}")?;
    Some(MarketMessage {
        row,
        event_time,
        body: MarketBody::Trade(Trade { trade_id, price, quantity, aggressor }),
    })
}

#[inline]
fn aggregate_trade(at: &mut Cursor<'_>, symbols: &mut Symbols<'_>) -> Option<MarketMessage> {
    let event_time = at.millis()?;
    at.literal(b",\"s\":\"")?;
    let (row, grid) = symbols.read(at)?;
    at.literal(b",\"a\":")?;
    let trade_id = at.uint()?;
    let (price, quantity) = at.price_and_quantity(grid)?;
    if at.skip(b",\"nq\":\"") {
        at.quantity(&grid.lot)?;
    }
    at.literal(b",\"f\":")?;
    at.uint()?;
    at.literal(b",\"l\":")?;
    at.uint()?;
    at.literal(b",\"T\":")?;
    at.uint()?;
    let aggressor = at.aggressor()?;
    at.skip(b",\"M\":true");
    at.literal(b"}")?;
    Some(MarketMessage {
        row,
        event_time,
        body: MarketBody::Trade(Trade { trade_id, price, quantity, aggressor }),
    })
}

#[inline]
fn mark_price(at: &mut Cursor<'_>, symbols: &mut Symbols<'_>) -> Option<MarketMessage> {
    let event_time = at.millis()?;
    at.literal(b",\"s\":\"")?;
    let (row, _) = symbols.read(at)?;
    at.literal(b",\"p\":\"")?;
    let mark = at.decimal(8)?;
    at.literal(b",\"P\":\"")?;
    at.decimal(8)?;
    at.literal(b",\"i\":\"")?;
    let index = at.decimal(8)?;
    at.literal(b",\"r\":\"")?;
    let negative = at.skip(b"-");
    let rate = at.decimal(8)?;
    at.literal(b",\"T\":")?;
    let next_funding = at.millis()?;
    at.literal(b"}")?;
    let funding_rate = if negative { rate.wrapping_neg() } else { rate };
    let body = MarketBody::MarkPrice(MarkPrice { mark, index, funding_rate, next_funding });
    Some(MarketMessage { row, event_time, body })
}

struct Symbols<'a> {
    directory: &'a Directory,
    last_row: &'a mut usize,
}

impl<'a> Symbols<'a> {
    /// `BTCUSDT"`, the opening quote already read.
    #[inline]
    fn read(&mut self, at: &mut Cursor<'_>) -> Option<(usize, &'a InstrumentDefinition)> {
        // The symbol seen last, compared in place: no search for the closing quote.
        if let Some(listing) = self.directory.listings().get(*self.last_row)
            && let Some(rest) = at.rest.strip_prefix(listing.symbol().as_bytes())
            && let Some((b'"', rest)) = rest.split_first()
        {
            at.rest = rest;
            return Some((*self.last_row, &listing.definition));
        }
        let length = at.rest.iter().take(33).position(|b| *b == b'"')?;
        let row = self.directory.row_near(at.rest.get(..length)?, self.last_row)?;
        at.rest = at.rest.get(length.checked_add(1)?..)?;
        Some((row, &self.directory.listings().get(row)?.definition))
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    #[inline(always)]
    fn skip<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) if head == literal => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        self.skip(literal).then_some(())
    }

    /// Skips the name, up to its closing quote. Only plain stream names: an escape or a control byte is for the parser.
    #[inline]
    fn stream_name(&mut self) -> Option<()> {
        let length = self.rest.iter().take(64).position(|b| !is_name_byte(*b))?;
        self.rest = self.rest.get(length..)?;
        Some(())
    }

    /// A JSON unsigned integer of at most 18 digits.
    #[inline(always)]
    fn uint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut count = 0u32;
        // Stamps and update ids have 13 digits: the first eight at once.
        if let Some((chunk, rest)) = self.rest.split_first_chunk::<8>()
            && let Some(eight) = eight_digits(*chunk)
        {
            if chunk.first() == Some(&b'0') {
                return None;
            }
            value = eight;
            count = 8;
            self.rest = rest;
        }
        while let Some((byte, rest)) = self.rest.split_first() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            // JSON knows no leading zero.
            if count == 1 && value == 0 || count >= 18 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            count = count.wrapping_add(1);
            self.rest = rest;
        }
        (count > 0).then_some(value)
    }

    #[inline(always)]
    fn millis(&mut self) -> Option<Nanos> {
        self.uint().map(Nanos::from_millis)
    }

    #[inline(always)]
    fn price(&mut self, tick: &Increment) -> Option<Price> {
        self.steps(tick).map(Price::new)
    }

    #[inline(always)]
    fn quantity(&mut self, lot: &Increment) -> Option<Quantity> {
        self.steps(lot).map(Quantity::new)
    }

    #[inline(always)]
    fn price_and_quantity(&mut self, grid: &InstrumentDefinition) -> Option<(Price, Quantity)> {
        self.literal(b",\"p\":\"")?;
        let price = self.price(&grid.tick)?;
        self.literal(b",\"q\":\"")?;
        Some((price, self.quantity(&grid.lot)?))
    }

    /// `,"m":true`: the buyer was the maker, so the seller took.
    #[inline(always)]
    fn aggressor(&mut self) -> Option<Side> {
        if self.skip(b",\"m\":true") {
            Some(Side::Sell)
        } else {
            self.literal(b",\"m\":false")?;
            Some(Side::Buy)
        }
    }

    #[inline(always)]
    fn steps(&mut self, step: &Increment) -> Option<i64> {
        let value = self.decimal(step.decimals)?;
        if step.mantissa == 1 {
            return Some(value);
        }
        let mantissa = i64::from(step.mantissa);
        if value.checked_rem(mantissa)? == 0 { value.checked_div(mantissa) } else { None }
    }

    /// `61800.20"`, the opening quote already read: unsigned, exact at `decimals`, at most 18 digits together.
    #[inline(always)]
    fn decimal(&mut self, decimals: u8) -> Option<i64> {
        let mut value = 0u64;
        let mut whole = 0u32;
        let mut rest = self.rest;
        let mut byte;
        loop {
            (byte, rest) = split_first(rest)?;
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            whole = whole.wrapping_add(1);
            if whole > 18 {
                return None;
            }
        }
        let mut missing = u32::from(decimals);
        if whole == 0 || whole.wrapping_add(missing) > 18 {
            return None;
        }
        if byte == b'.' {
            loop {
                (byte, rest) = split_first(rest)?;
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    break;
                }
                if missing > 0 {
                    value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
                    missing = missing.wrapping_sub(1);
                } else if digit != 0 {
                    return None;
                }
            }
        }
        if byte != b'"' {
            return None;
        }
        self.rest = rest;
        if missing > 0 {
            value = value.wrapping_mul(*POW10.get(missing as usize)?);
        }
        Some(value as i64)
    }
}

#[inline(always)]
fn split_first(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(first, rest)| (*first, rest))
}

#[inline(always)]
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'_' | b'!' | b'.' | b'-')
}

/// Eight ASCII digits as a number, all at once (little-endian words, three multiplications).
#[inline(always)]
fn eight_digits(chunk: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(chunk);
    let high = word & 0xF0F0_F0F0_F0F0_F0F0;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    if high != 0x3030_3030_3030_3030 || carried != 0x3030_3030_3030_3030 {
        return None;
    }
    let digits = word & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF)
}

#[allow(clippy::indexing_slicing, reason = "it runs in the compiler, which would say so")]
const POW10: [u64; 19] = {
    let mut table = [1u64; 19];
    let mut at = 1;
    while at < 19 {
        table[at] = table[at - 1] * 10;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::directory::tests::directory;

    fn read(text: &str, product: Product) -> Result<(MarketMessage, Levels), NotFixed> {
        let directory = directory(product);
        let mut levels = Levels::new();
        scan(text.as_bytes(), &directory, &mut 1, &mut levels).map(|message| (message, levels))
    }

    const TICKER: &str = r#"{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}"#;

    #[test]
    fn a_book_ticker_is_read_to_ticks_and_lots() {
        let (message, _) = read(TICKER, Product::LinearPerpetual).unwrap();
        let bid = Level { price: Price::new(618_002), quantity: Quantity::new(2_507) };
        let ask = Level { price: Price::new(618_003), quantity: Quantity::new(2_510) };
        assert_eq!(
            message,
            MarketMessage {
                row: 0,
                event_time: Nanos::from_millis(1_723_161_256_314),
                body: MarketBody::BookTicker(BookTicker { update_id: 5_123_107_839_020, bid, ask }),
            }
        );
        let wrapped = format!(r#"{{"stream":"btcusdt@bookTicker","data":{TICKER}}}"#);
        assert_eq!(read(&wrapped, Product::LinearPerpetual).unwrap().0, message);
    }

    #[test]
    fn a_depth_update_is_read_bids_first_and_spot_gets_its_chain_from_the_first_id() {
        let text = r#"{"e":"depthUpdate","E":5,"T":4,"s":"ETHUSDT","U":157,"u":160,"pu":149,"b":[["2.40","10"],["2.3","0.5"]],"a":[["2.60","100.000"]]}"#;
        let (message, levels) = read(text, Product::LinearPerpetual).unwrap();
        let header = DepthHeader { first_update: 157, last_update: 160, previous_update: 149, bids: 2 };
        assert_eq!((message.row, message.body), (1, MarketBody::Depth(header)));
        assert_eq!(
            levels.iter().map(|l| (l.price.raw(), l.quantity.raw())).collect::<Vec<_>>(),
            [(240, 10_000), (230, 500), (260, 100_000)]
        );
        let text = r#"{"e":"depthUpdate","E":5,"s":"BTCUSDT","U":157,"u":160,"b":[],"a":[]}"#;
        let (message, levels) = read(text, Product::Spot).unwrap();
        let header = DepthHeader { first_update: 157, last_update: 160, previous_update: 156, bids: 0 };
        assert_eq!((message.body, levels.len()), (MarketBody::Depth(header), 0));
    }

    #[test]
    fn whatever_is_not_the_layout_is_refused_at_its_byte() {
        for (from, to) in [
            ("\"s\":\"BTC", "\"s\": \"BTC"),
            ("BTCUSDT", "XRPUSDT"),
            ("61800.20", "61800.25"),
            ("61800.20", "-61800.20"),
            ("61800.20", "61800.2x"),
            ("61800.20", ".20"),
            ("5123107839020", "05123107839020"),
            ("5123107839020", "-5"),
            ("5123107839020", "99999999999999999999999"),
            ("\"E\":1723161256314}", "\"E\":1723161256314} "),
            ("\"E\":1723161256314}", "\"E\":1723161256314,\"x\":1}"),
            ("61800.30", "9999999999999999999.30"),
        ] {
            let changed = TICKER.replace(from, to);
            assert_ne!(changed, TICKER);
            assert!(read(&changed, Product::LinearPerpetual).is_err(), "{changed}");
        }
        for end in 0..TICKER.len() {
            assert!(read(&TICKER[..end], Product::LinearPerpetual).is_err());
        }
        assert_eq!(read(r#"{"e":"kline"}"#, Product::Spot).unwrap_err(), NotFixed { offset: 6 });
    }

    #[test]
    fn eight_digits_at_once_agree_with_eight_one_by_one() {
        for value in (0..100_000_000u64).step_by(9_973) {
            assert_eq!(eight_digits(format!("{value:08}").as_bytes().try_into().unwrap()), Some(value));
        }
        for wrong in [b"1234567/", b":2345678", b"12 45678", b"1234567\xff"] {
            assert_eq!(eight_digits(*wrong), None);
        }
    }
}
