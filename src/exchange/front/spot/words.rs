//! Spot's words for the engine's ideas: a post-only limit order is `LIMIT_MAKER`, a stop `STOP_LOSS`, a refusal by a filter -1013 and the filter's name.

use super::super::super::*;

/// Every order type that is taken here, in spot's words.
pub const ORDER_TYPES: &[&str] =
    &["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"];

pub fn order_type(order: &Order) -> &'static str {
    match (order.kind, order.time_in_force) {
        (OrderType::Limit, TimeInForce::Gtx) => "LIMIT_MAKER",
        (OrderType::Limit, _) => "LIMIT",
        (OrderType::Market, _) => "MARKET",
        (OrderType::Stop, _) => "STOP_LOSS_LIMIT",
        (OrderType::StopMarket | OrderType::TrailingStopMarket, _) => "STOP_LOSS",
        (OrderType::TakeProfit, _) => "TAKE_PROFIT_LIMIT",
        (OrderType::TakeProfitMarket, _) => "TAKE_PROFIT",
    }
}

/// The engine's kind, and what it implies of the time in force.
pub fn read_order_type(word: &str) -> Option<(OrderType, Option<TimeInForce>)> {
    Some(match word {
        "LIMIT" => (OrderType::Limit, None),
        "LIMIT_MAKER" => (OrderType::Limit, Some(TimeInForce::Gtx)),
        "MARKET" => (OrderType::Market, None),
        "STOP_LOSS" => (OrderType::StopMarket, None),
        "STOP_LOSS_LIMIT" => (OrderType::Stop, None),
        "TAKE_PROFIT" => (OrderType::TakeProfitMarket, None),
        "TAKE_PROFIT_LIMIT" => (OrderType::TakeProfit, None),
        _ => return None,
    })
}

pub fn time_in_force(order: &Order) -> TimeInForce {
    match order.time_in_force {
        TimeInForce::Gtx | TimeInForce::Gtd => TimeInForce::Gtc,
        other => other,
    }
}

/// The engine's refusal as spot words it ("Error codes", "Filter failures", messages for -1010, -2010 and -2011). The engine's own codes are USD-M's.
pub fn refusal(error: ApiError, is_market: bool) -> ApiError {
    let (code, text) = match error.code {
        -4005 if is_market => (-1013, "Filter failure: MARKET_LOT_SIZE"),
        -4005..=-4003 | -4023 => (-1013, "Filter failure: LOT_SIZE"),
        -4001 | -4002 | -4013 | -4014 => (-1013, "Filter failure: PRICE_FILTER"),
        -4016 | -4024 | -4131 => (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        -4164 => (-1013, "Filter failure: NOTIONAL"),
        -2025 => (-1013, "Filter failure: MAX_NUM_ORDERS"),
        -4045 => (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
        -2018 | -2019 => (-2010, "Account has insufficient balance for requested action."),
        -5022 => (-2010, "Order would immediately match and take."),
        -2021 => (-2010, "Stop price would trigger immediately."),
        -4116 => (-2010, "Duplicate order sent."),
        -4120 => (-1116, "Invalid orderType."),
        -4015 => (
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        _ => return error,
    };
    ApiError::new(code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_as_it_is_written() {
        for word in ORDER_TYPES {
            assert!(read_order_type(word).is_some(), "{word}");
        }
        assert_eq!(read_order_type("STOP"), None, "USD-M's word");
    }

    #[test]
    fn no_code_of_usd_m_reaches_a_spot_client() {
        for (name, error) in crate::exchange::error::REFUSALS {
            let told = refusal(error.clone(), false);
            // What spot can never be told: positions, leverage and their modes.
            let of_positions = [-4028, -4046, -4047, -4048, -4059, -4060, -4061, -4062, -4067, -4068, -4118];
            let of_algos = [-4130, -4137, -4171];
            let of_modifies = [-4021, -5021, -5024, -5025, -5026, -5027, -5028, -5040];
            let never = [&of_positions[..], &of_algos, &of_modifies].concat();
            assert!(told.code > -3000 || never.contains(&told.code), "{name}: {told}");
        }
    }
}
