//! Instruments as exchangeInfo lists them: grid, filters, assets. (USD-M "Exchange Information" and "Common Definition / Symbol
//! filters"; Spot "Filters".)

use super::super::json::{Json, JsonError};
use super::HydrateError;
use crate::core::id::{AssetId, InstrumentId};
use crate::core::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use crate::core::num::{CASH_DECIMALS, Increment, NumberError, Price, Quantity, parse_decimal};
use crate::venue::Directory;

pub(super) fn add_listing(
    directory: &mut Directory,
    id: InstrumentId,
    symbol: &str,
    entry: Json<'_, '_>,
    product: Product,
) -> Result<(), HydrateError> {
    let wrong = |error| HydrateError::Definition { symbol: symbol.to_string(), error };
    let base = directory.intern_asset(entry.text("baseAsset").map_err(wrong)?)?;
    // USD-M profit is in the margin asset, which for linear contracts is the quote.
    let quote = directory.intern_asset(entry.text("quoteAsset").map_err(wrong)?)?;
    let definition = definition(entry, product, base, quote).map_err(wrong)?;
    Ok(directory.list(id, symbol, definition)?)
}

/// One entry of exchangeInfo's `symbols`. (USD-M "Exchange Information" and "Common Definition / Symbol filters";
/// Spot "Filters".)
fn definition(
    entry: Json<'_, '_>,
    product: Product,
    base: AssetId,
    quote: AssetId,
) -> Result<InstrumentDefinition, JsonError> {
    let filters: Vec<_> = entry.list("filters")?.collect();
    let filter = |kind: &str| {
        filters.iter().copied().find(|filter| filter.text("filterType").is_ok_and(|text| text == kind))
    };
    let prices = filter("PRICE_FILTER").ok_or(JsonError::Missing("PRICE_FILTER"))?;
    let lots = filter("LOT_SIZE").ok_or(JsonError::Missing("LOT_SIZE"))?;
    // The venue's own messages print at least as many decimals as the step itself is written with.
    let tick = increment(prices, "tickSize", entry.uint_or("pricePrecision", 0)?)?;
    let lot = increment(lots, "stepSize", entry.uint_or("quantityPrecision", 0)?)?;
    let max_quantity = inner_steps(&lot, lots, "maxQty")?;
    let max_market_quantity = match filter("MARKET_LOT_SIZE") {
        Some(market) => {
            Some(inner_steps(&lot, market, "maxQty")?).filter(|max| *max > 0).unwrap_or(max_quantity)
        }
        None => max_quantity,
    };
    let min_notional = match (filter("MIN_NOTIONAL"), filter("NOTIONAL")) {
        (Some(filter), _) if filter.has("notional") => filter.decimal("notional", CASH_DECIMALS)?,
        (Some(filter), _) => filter.decimal("minNotional", CASH_DECIMALS)?,
        (None, Some(filter)) => filter.decimal("minNotional", CASH_DECIMALS)?,
        (None, None) => 0,
    };
    let (percent_up, percent_down) = match (filter("PERCENT_PRICE"), filter("PERCENT_PRICE_BY_SIDE")) {
        (Some(filter), _) => (percent(filter, "multiplierUp")?, percent(filter, "multiplierDown")?),
        (None, Some(filter)) => (percent(filter, "bidMultiplierUp")?, percent(filter, "askMultiplierDown")?),
        (None, None) => (0, 0),
    };
    let status =
        match entry.field("status").or(entry.field("contractStatus")).and_then(|value| value.as_text()) {
            Some("TRADING") => InstrumentStatus::Trading,
            _ => InstrumentStatus::Halted,
        };
    Ok(InstrumentDefinition {
        min_price: Price::new(outer_steps(&tick, prices, "minPrice")?),
        max_price: Price::new(inner_steps(&tick, prices, "maxPrice")?),
        min_quantity: Quantity::new(outer_steps(&lot, lots, "minQty")?),
        max_quantity: Quantity::new(max_quantity),
        max_market_quantity: Quantity::new(max_market_quantity),
        min_notional,
        percent_up,
        percent_down,
        // Not in exchangeInfo: the account's commission rate says, or the configuration.
        maker_fee_ppm: 0,
        taker_fee_ppm: 0,
        base,
        quote,
        product,
        status,
        tick,
        lot,
    })
}

/// The step, with the decimals that messages print: those of its own text (`0.10` prints two), or the stated precision where
/// the text is shorter.
fn increment(filter: Json<'_, '_>, field: &'static str, precision: u64) -> Result<Increment, JsonError> {
    let text = filter.text(field)?;
    let written = text.split_once('.').map_or(0, |(_, places)| places.len());
    let printed = written.max(usize::try_from(precision).unwrap_or(0).min(18));
    let printed = u8::try_from(printed).unwrap_or(u8::MAX);
    Increment::parse(text.as_bytes(), printed).map_err(|error| JsonError::Number { field, error })
}

/// A lower bound in whole steps, rounded up where it lies between two: never looser than the venue's.
fn outer_steps(step: &Increment, filter: Json<'_, '_>, field: &'static str) -> Result<i64, JsonError> {
    let (whole, rest) = split_steps(step, filter, field)?;
    Ok(if rest { whole.saturating_add(1) } else { whole })
}

/// An upper bound in whole steps, rounded down; one beyond our range is our range.
fn inner_steps(step: &Increment, filter: Json<'_, '_>, field: &'static str) -> Result<i64, JsonError> {
    split_steps(step, filter, field).map(|(whole, _)| whole)
}

fn split_steps(
    step: &Increment,
    filter: Json<'_, '_>,
    field: &'static str,
) -> Result<(i64, bool), JsonError> {
    const FINEST: u8 = 8;
    let text = filter.text(field)?;
    let decimals = step.decimals.max(FINEST);
    let value = match parse_decimal(text.as_bytes(), decimals) {
        Ok(value) => value,
        // Bounds such as 92141578000 at a fine tick exceed the range at eight decimals, not at the tick's own.
        Err(NumberError::TooLarge { .. }) => match step.steps(text.as_bytes()) {
            Ok(steps) => return Ok((steps, false)),
            Err(NumberError::TooLarge { .. }) => return Ok((i64::MAX, false)),
            Err(error) => return Err(JsonError::Number { field, error }),
        },
        Err(error) => return Err(JsonError::Number { field, error }),
    };
    let unit = crate::core::num::pow10(decimals - step.decimals).unwrap_or(i64::MAX);
    let unit = unit.saturating_mul(i64::from(step.mantissa));
    Ok((value / unit, value % unit != 0))
}

/// `1.0500` to 10,500.
fn percent(filter: Json<'_, '_>, field: &'static str) -> Result<u32, JsonError> {
    let value = filter.decimal_towards_zero(field, 4)?;
    u32::try_from(value).map_err(|_| JsonError::Number { field, error: NumberError::TooLarge { offset: 0 } })
}
