//! The instrument's filters, each with the exchange's own refusal ("Filters" and "Error Codes", USD-M futures).
//!
//! Order of checks: sign, precision, range, step; quantity before price, then percent price, then notional. One function per filter.

use super::api::{Filters, OrderType, Product, Side, SymbolSpec};
use super::decimal::Decimal;
use super::error::ApiError;

/// LOT_SIZE, or MARKET_LOT_SIZE for market orders.
pub fn check_quantity(spec: &SymbolSpec, kind: OrderType, quantity: Decimal) -> Result<(), ApiError> {
    let filters = &spec.filters;
    let (minimum, maximum, step) = match kind {
        OrderType::Market => {
            (filters.market_min_quantity, filters.market_max_quantity, filters.market_step_size)
        }
        _ => (filters.min_quantity, filters.max_quantity, filters.step_size),
    };
    if !quantity.is_positive() {
        Err(ApiError::QUANTITY_NOT_POSITIVE)
    } else if quantity.places() > spec.quantity_precision {
        Err(ApiError::BAD_PRECISION)
    } else if quantity < minimum {
        Err(ApiError::QUANTITY_BELOW_MIN)
    } else if quantity > maximum {
        Err(ApiError::QUANTITY_ABOVE_MAX)
    } else if !(quantity - minimum).is_multiple_of(step) {
        Err(ApiError::QUANTITY_OFF_STEP)
    } else {
        Ok(())
    }
}

/// PRICE_FILTER.
pub fn check_price(spec: &SymbolSpec, price: Decimal) -> Result<(), ApiError> {
    let filters = &spec.filters;
    if !price.is_positive() {
        Err(ApiError::PRICE_NOT_POSITIVE)
    } else if price.places() > spec.price_precision {
        Err(ApiError::BAD_PRECISION)
    } else if price > filters.max_price {
        Err(ApiError::PRICE_ABOVE_MAX)
    } else if price < filters.min_price {
        Err(ApiError::PRICE_BELOW_MIN)
    } else if !price.is_multiple_of(filters.tick_size) {
        Err(ApiError::PRICE_OFF_TICK)
    } else {
        Ok(())
    }
}

/// PERCENT_PRICE for a limit price: only the side on which a mistake costs money.
pub fn check_percent_price(
    spec: &SymbolSpec,
    side: Side,
    price: Decimal,
    mark: Decimal,
) -> Result<(), ApiError> {
    let (up, down) = (mark.times(spec.filters.multiplier_up), mark.times(spec.filters.multiplier_down));
    if spec.product == Product::Spot {
        return match price {
            price if price > up => Err(ApiError::price_above_cap(up.fixed(spec.price_precision))),
            price if price < down => Err(ApiError::price_below_floor(down.fixed(spec.price_precision))),
            _ => Ok(()),
        };
    }
    let bound = take_bound(&spec.filters, side, mark);
    match side {
        Side::Buy if price > bound => Err(ApiError::price_above_cap(bound.fixed(spec.price_precision))),
        Side::Sell if price < bound => Err(ApiError::price_below_floor(bound.fixed(spec.price_precision))),
        _ => Ok(()),
    }
}

/// MIN_NOTIONAL; reduce-only orders do not come here.
pub fn check_notional(spec: &SymbolSpec, price: Decimal, quantity: Decimal) -> Result<(), ApiError> {
    if price.times(quantity) < spec.filters.min_notional {
        return Err(ApiError::min_notional(spec.filters.min_notional));
    }
    if spec.filters.max_notional.is_some_and(|most| price.times(quantity) > most) {
        return Err(ApiError::ABOVE_MAX_NOTIONAL);
    }
    Ok(())
}

/// How far from the mark price a taker of `side` may trade; also where a market order stops.
pub fn take_bound(filters: &Filters, side: Side, mark: Decimal) -> Decimal {
    match side {
        Side::Buy => mark.times(filters.multiplier_up),
        Side::Sell => mark.times(filters.multiplier_down),
    }
}

/// `newClientOrderId` must match `^[\.A-Z\:/a-z0-9_-]{1,36}$`.
pub fn check_client_order_id(text: &str) -> Result<(), ApiError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/' | b'_' | b'-');
    if text.len() > 36 {
        Err(ApiError::CLIENT_ID_TOO_LONG)
    } else if text.is_empty() || !text.bytes().all(legal) {
        Err(ApiError::CLIENT_ID_INVALID)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a literal")
    }

    #[test]
    fn every_quantity_and_price_mistake_has_its_own_code() {
        let spec = SymbolSpec::btcusdt();
        let quantity =
            |text| check_quantity(&spec, OrderType::Limit, decimal(text)).map_err(|refusal| refusal.code);
        assert_eq!(quantity("0"), Err(-4003));
        assert_eq!(quantity("-1"), Err(-4003));
        assert_eq!(quantity("0.0001"), Err(-1111));
        assert_eq!(quantity("1000.001"), Err(-4005));
        assert_eq!(quantity("0.001"), Ok(()));
        assert_eq!(check_quantity(&spec, OrderType::Market, decimal("121")).map_err(|r| r.code), Err(-4005));

        let price = |text| check_price(&spec, decimal(text)).map_err(|refusal| refusal.code);
        assert_eq!(price("0"), Err(-4001));
        assert_eq!(price("60000.001"), Err(-1111));
        assert_eq!(price("60000.05"), Err(-4014));
        assert_eq!(price("1"), Err(-4013));
        assert_eq!(price("4529765"), Err(-4002));
        assert_eq!(price("60000.1"), Ok(()));

        let mut coarse = spec.clone();
        coarse.filters.step_size = decimal("0.01");
        coarse.filters.min_quantity = decimal("0.01");
        assert_eq!(
            check_quantity(&coarse, OrderType::Limit, decimal("0.015")).map_err(|r| r.code),
            Err(-4023)
        );
        assert_eq!(
            check_quantity(&coarse, OrderType::Limit, decimal("0.001")).map_err(|r| r.code),
            Err(-4004)
        );
    }

    #[test]
    fn percent_price_binds_the_costly_side_only() {
        let spec = SymbolSpec::btcusdt();
        let mark = decimal("60000");
        let code = |side, text| {
            check_percent_price(&spec, side, decimal(text), mark).map_err(|refusal| refusal.code)
        };
        assert_eq!(code(Side::Buy, "63000"), Ok(()));
        assert_eq!(code(Side::Buy, "63000.1"), Err(-4016));
        assert_eq!(code(Side::Buy, "1000"), Ok(()));
        assert_eq!(code(Side::Sell, "57000"), Ok(()));
        assert_eq!(code(Side::Sell, "56999.9"), Err(-4024));
        assert_eq!(code(Side::Sell, "90000"), Ok(()));
    }

    #[test]
    fn client_order_ids_follow_the_documented_pattern() {
        assert_eq!(check_client_order_id("a.B:/0_-"), Ok(()));
        assert_eq!(check_client_order_id(&"x".repeat(36)), Ok(()));
        assert_eq!(check_client_order_id(&"x".repeat(37)), Err(ApiError::CLIENT_ID_TOO_LONG));
        for bad in ["", "a b", "ä", "a\"b"] {
            assert_eq!(check_client_order_id(bad), Err(ApiError::CLIENT_ID_INVALID), "{bad:?}");
        }
    }
}
