//! Market messages by their JSON meaning: everything that the scanner's fixed layouts leave over. Any field order, any
//! whitespace, unknown fields ignored; the numbers by the same exact rules.

use super::json::{Json, JsonError};
use super::market::{BadMarket, DepthHeader, Incoming, Levels, MAX_LEVELS, MarketBody, MarketMessage};
use crate::core::event::{BookTicker, Level, MarkPrice, Side, Trade};
use crate::core::instrument::{InstrumentDefinition, Product};
use crate::core::num::{Increment, NumberError, Price, Quantity, parse_decimal};
use crate::core::time::Nanos;
use crate::venue::Directory;

/// Reads one text of a market connection. `levels` is overwritten by a depth message.
pub fn incoming(
    json: Json<'_, '_>,
    directory: &Directory,
    last_row: &mut usize,
    levels: &mut Levels,
) -> Result<Incoming, BadMarket> {
    if let Some(answer) = answer(json)? {
        return Ok(answer);
    }
    let data = json.field("data").unwrap_or(json);
    let kind = data.text_or_empty("e")?;
    let has_ticker_fields = data.has("u") && data.has("B") && data.has("A");
    let kind = if kind.is_empty() && has_ticker_fields { "bookTicker" } else { kind };
    if !matches!(kind, "bookTicker" | "depthUpdate" | "trade" | "aggTrade" | "markPriceUpdate") {
        return Ok(Incoming::Other);
    }
    let Some(row) = directory.row_near(data.text("s")?.as_bytes(), last_row) else {
        return Ok(Incoming::Foreign);
    };
    let Some(listing) = directory.listings().get(row) else {
        return Ok(Incoming::Foreign);
    };
    let grid = &listing.definition;
    let body = match kind {
        "bookTicker" => book_ticker(data, grid)?,
        "depthUpdate" => match depth(data, grid, directory.product(), levels) {
            Ok(header) => MarketBody::Depth(header),
            Err(error) => return Err(BadMarket { error, depth_of: Some(row) }),
        },
        "trade" => match trade(data, grid, "t")? {
            Some(trade) => MarketBody::Trade(trade),
            None => return Ok(Incoming::OffBook),
        },
        "aggTrade" => match trade(data, grid, "a")? {
            Some(trade) => MarketBody::Trade(trade),
            None => return Ok(Incoming::OffBook),
        },
        _ => mark_price(data)?,
    };
    let event_time = Nanos::from_millis(data.uint_or("E", 0)?);
    Ok(Incoming::Market(MarketMessage { row, event_time, body }))
}

/// A REST depth snapshot: its levels into `levels` (bids first), its last update id, and the number of bids.
/// (USD-M "Order Book", spot "Order book".)
pub fn depth_snapshot(
    json: Json<'_, '_>,
    grid: &InstrumentDefinition,
    levels: &mut Levels,
) -> Result<Snapshot, JsonError> {
    let last_update = json.uint("lastUpdateId")?;
    let event_time = Nanos::from_millis(json.uint_or("E", 0)?);
    levels.clear();
    side(json, "bids", grid, levels)?;
    let bids = levels.len();
    side(json, "asks", grid, levels)?;
    Ok(Snapshot { last_update, event_time, bids })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub last_update: u64,
    /// Zero on spot, which gives none.
    pub event_time: Nanos,
    pub bids: usize,
}

/// `{"result":null,"id":1}`, `{"error":{"code":2,"msg":".."},"id":1}`, or the older `{"code":2,"msg":"..","id":1}`.
fn answer(json: Json<'_, '_>) -> Result<Option<Incoming>, JsonError> {
    let id = match json.field("id") {
        Some(id) => id.as_uint().or_else(|| id.as_text().and_then(|text| text.parse().ok())).unwrap_or(0),
        None => 0,
    };
    if let Some(error) = json.field("error") {
        return Ok(Some(Incoming::Refused { id, code: error.int("code")? }));
    }
    if json.has("code") && json.has("msg") {
        return Ok(Some(Incoming::Refused { id, code: json.int("code")? }));
    }
    if json.has("result") && json.has("id") {
        return Ok(Some(Incoming::Ack { id }));
    }
    Ok(None)
}

fn book_ticker(data: Json<'_, '_>, grid: &InstrumentDefinition) -> Result<MarketBody, JsonError> {
    let level = |price, quantity| -> Result<Level, JsonError> {
        Ok(Level {
            price: Price::new(steps(&grid.tick, price, data.text(price)?)?),
            quantity: public_quantity(&grid.lot, quantity, data.text(quantity)?)?,
        })
    };
    Ok(MarketBody::BookTicker(BookTicker {
        update_id: data.uint("u")?,
        bid: level("b", "B")?,
        ask: level("a", "A")?,
    }))
}

fn depth(
    data: Json<'_, '_>,
    grid: &InstrumentDefinition,
    product: Product,
    levels: &mut Levels,
) -> Result<DepthHeader, JsonError> {
    let first_update = data.uint("U")?;
    let last_update = data.uint("u")?;
    let previous_update = match (data.field("pu"), product) {
        (None, Product::Spot) => first_update.saturating_sub(1),
        _ => data.uint("pu")?,
    };
    levels.clear();
    side(data, "b", grid, levels)?;
    let bids = levels.len();
    side(data, "a", grid, levels)?;
    Ok(DepthHeader { first_update, last_update, previous_update, bids })
}

fn side(
    data: Json<'_, '_>,
    name: &'static str,
    grid: &InstrumentDefinition,
    levels: &mut Levels,
) -> Result<(), JsonError> {
    for entry in data.list(name)? {
        let mut pair = entry.items(name)?;
        let mut text = || pair.next().and_then(|value| value.as_text()).ok_or(JsonError::WrongType(name));
        let (price, quantity) = (text()?, text()?);
        if levels.len() >= MAX_LEVELS {
            return Err(JsonError::TooMany { field: name, limit: MAX_LEVELS as u32 });
        }
        levels.push(Level {
            price: Price::new(steps(&grid.tick, name, price)?),
            quantity: public_quantity(&grid.lot, name, quantity)?,
        });
    }
    Ok(())
}

/// `None` where the print is no trade of the book: `X` other than MARKET (insurance fund and ADL prints).
fn trade(
    data: Json<'_, '_>,
    grid: &InstrumentDefinition,
    id: &'static str,
) -> Result<Option<Trade>, JsonError> {
    if !matches!(data.text_or_empty("X")?, "" | "MARKET") {
        return Ok(None);
    }
    Ok(Some(Trade {
        trade_id: data.uint(id)?,
        price: Price::new(steps(&grid.tick, "p", data.text("p")?)?),
        quantity: public_quantity(&grid.lot, "q", data.text("q")?)?,
        aggressor: if data.flag("m")? { Side::Sell } else { Side::Buy },
    }))
}

fn mark_price(data: Json<'_, '_>) -> Result<MarketBody, JsonError> {
    // Delivery contracts print an empty rate.
    let funding_rate = if data.text_or_empty("r")?.is_empty() { 0 } else { data.decimal("r", 8)? };
    Ok(MarketBody::MarkPrice(MarkPrice {
        mark: data.decimal("p", 8)?,
        index: data.decimal("i", 8)?,
        funding_rate,
        next_funding: Nanos::from_millis(data.uint("T")?),
    }))
}

/// A quantity of the public book in whole lots. Orders that rest since before a change of the lot, or that were filled
/// in odd parts, leave levels finer than a lot (seen in recordings of spot): what is finer is dropped, but a level that
/// has any quantity keeps at least one lot, for zero means that it is gone. Our own quantities never pass here.
fn public_quantity(lot: &Increment, field: &'static str, text: &str) -> Result<Quantity, JsonError> {
    match steps(lot, field, text) {
        Ok(lots) => Ok(Quantity::new(lots)),
        Err(JsonError::Number { error: NumberError::TooFine { .. } | NumberError::OffGrid, .. }) => {
            let whole = match text.split_once('.') {
                Some((whole, places)) if places.bytes().all(|b| b.is_ascii_digit()) => {
                    text.get(..whole.len() + 1 + usize::from(lot.decimals)).unwrap_or(text)
                }
                _ => text,
            };
            let value = parse_decimal(whole.as_bytes(), lot.decimals);
            let value = value.map_err(|error| JsonError::Number { field, error })?;
            Ok(Quantity::new((value / i64::from(lot.mantissa.max(1))).max(1)))
        }
        Err(error) => Err(error),
    }
}

/// Market prices and quantities are never negative.
fn steps(step: &Increment, field: &'static str, text: &str) -> Result<i64, JsonError> {
    let number = |error| JsonError::Number { field, error };
    if text.starts_with('-') {
        return Err(number(NumberError::NotADigit { offset: 0 }));
    }
    step.steps(text.as_bytes()).map_err(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_quantity_finer_than_a_lot_is_cut_to_lots_but_never_to_nothing() {
        let lot = Increment::parse(b"0.00001", 8).unwrap();
        let lots = |text| public_quantity(&lot, "b", text).map(Quantity::raw);
        assert_eq!(lots("25.42618900"), Ok(2_542_618));
        assert_eq!(lots("0.00000001"), Ok(1));
        assert_eq!(lots("0.00000000"), Ok(0));
        let five = Increment::parse(b"0.5", 1).unwrap();
        assert_eq!(public_quantity(&five, "b", "1.7").map(Quantity::raw), Ok(3));
        for wrong in ["-1.00000001", "1.0000000x", "x", "", "1.2.3", "99999999999999999999.1"] {
            assert!(lots(wrong).is_err(), "{wrong}");
        }
    }
}
