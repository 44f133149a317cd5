//! What the venue answers when it refuses: the exchange's own codes and texts ("Error Codes", USD-M futures), and what can be wrong
//! with a configuration before there is a venue at all.

use std::borrow::Cow;

/// A refusal as the exchange words it. Codes below -1000 are the exchange's; the texts are part of the contract that clients match on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {msg}")]
pub struct ApiError {
    pub code: i32,
    pub msg: Cow<'static, str>,
}

impl ApiError {
    pub const fn new(code: i32, msg: &'static str) -> ApiError {
        ApiError { code, msg: Cow::Borrowed(msg) }
    }

    pub fn with(code: i32, msg: String) -> ApiError {
        ApiError { code, msg: Cow::Owned(msg) }
    }

    /// `parameter` is missing, empty or malformed.
    pub fn mandatory(parameter: &str) -> ApiError {
        Self::with(
            -1102,
            format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."),
        )
    }

    /// `parameter` has no meaning in this request.
    pub fn not_required(parameter: &str) -> ApiError {
        Self::with(-1106, format!("Parameter '{parameter}' sent when not required."))
    }
}

macro_rules! refusals {
    ($($name:ident $code:literal $text:literal;)*) => {
        /// One row per refusal: name, code, text. The front uses the 1000s too, so they live in the same table.
        impl ApiError {
            $(pub const $name: ApiError = ApiError::new($code, $text);)*
        }
        /// Every constant refusal, for tests and for the printed table.
        pub const REFUSALS: &[(&str, ApiError)] = &[$((stringify!($name), ApiError::$name)),*];
    };
}

refusals! {
    UNKNOWN                    -1000 "An unknown error occurred while processing the request.";
    TIMEOUT                    -1007 "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
    INVALID_MESSAGE            -1013 "Invalid message.";
    UNSUPPORTED_OPERATION      -1020 "This operation is not supported.";
    OUTSIDE_RECV_WINDOW        -1021 "Timestamp for this request is outside of the recvWindow.";
    AHEAD_OF_SERVER_TIME       -1021 "Timestamp for this request was 1000ms ahead of the server's time.";
    INVALID_SIGNATURE          -1022 "Signature for this request is not valid.";
    BAD_PRECISION              -1111 "Precision is over the maximum defined for this asset.";
    INVALID_TIME_IN_FORCE      -1115 "Invalid timeInForce.";
    INVALID_ORDER_TYPE         -1116 "Invalid orderType.";
    INVALID_SIDE               -1117 "Invalid side.";
    INVALID_SYMBOL             -1121 "Invalid symbol.";
    INVALID_LISTEN_KEY         -1125 "This listenKey does not exist.";
    NEW_ORDER_REJECTED         -2010 "NEW_ORDER_REJECTED";
    CANCEL_REJECTED            -2011 "Unknown order sent.";
    NO_SUCH_ORDER              -2013 "Order does not exist.";
    BAD_API_KEY_FORMAT         -2014 "API-key format invalid.";
    REJECTED_API_KEY           -2015 "Invalid API-key, IP, or permissions for action.";
    BALANCE_INSUFFICIENT       -2018 "Balance is insufficient.";
    MARGIN_INSUFFICIENT        -2019 "Margin is insufficient.";
    UNABLE_TO_FILL             -2020 "Unable to fill.";
    WOULD_TRIGGER              -2021 "Order would immediately trigger.";
    REDUCE_ONLY_REJECTED       -2022 "ReduceOnly Order is rejected.";
    MAX_OPEN_ORDERS            -2025 "Reach max open order limit.";
    REDUCE_ONLY_UNSUPPORTED    -2026 "This OrderType is not supported when reduceOnly.";
    AMEND_QUANTITY             -2038 "Order amend (quantity increase) is not supported.";
    MAX_AMENDS                 -1013 "Filter failure: MAX_NUM_ORDER_AMENDS";
    MAX_POSITION               -1013 "Filter failure: MAX_POSITION";
    ABOVE_MAX_NOTIONAL         -1013 "Filter failure: NOTIONAL";
    MAX_LEVERAGE_EXCEEDED      -2027 "Exceeded the maximum allowable position at current leverage.";
    PRICE_NOT_POSITIVE         -4001 "Price less than 0.";
    PRICE_ABOVE_MAX            -4002 "Price greater than max price.";
    QUANTITY_NOT_POSITIVE      -4003 "Quantity less than or equal to zero.";
    QUANTITY_BELOW_MIN         -4004 "Quantity less than min quantity.";
    QUANTITY_ABOVE_MAX         -4005 "Quantity greater than max quantity.";
    PRICE_BELOW_MIN            -4013 "Price less than min price.";
    PRICE_OFF_TICK             -4014 "Price not increased by tick size.";
    CLIENT_ID_INVALID          -4015 "Client order id is not valid.";
    CLIENT_ID_TOO_LONG         -4015 "Client order id length should not be more than 36 chars";
    DEPTH_LIMIT_INVALID        -4021 "Invalid depth limit.";
    QUANTITY_OFF_STEP          -4023 "Qty not increased by step size.";
    LEVERAGE_INVALID           -4028 "Invalid leverage";
    MAX_STOP_ORDERS            -4045 "Reach max stop order limit.";
    MARGIN_TYPE_UNCHANGED      -4046 "No need to change margin type.";
    MARGIN_TYPE_OPEN_ORDERS    -4047 "Margin type cannot be changed if there exists open orders.";
    MARGIN_TYPE_POSITION       -4048 "Margin type cannot be changed if there exists position.";
    POSITION_SIDE_UNCHANGED    -4059 "No need to change position side.";
    POSITION_SIDE_INVALID      -4060 "Invalid position side.";
    POSITION_SIDE_MISMATCH     -4061 "Order's position side does not match user's setting.";
    REDUCE_ONLY_CONFLICT       -4062 "Invalid or improper reduceOnly value.";
    POSITION_MODE_OPEN_ORDERS  -4067 "Position side cannot be changed if there exists open orders.";
    POSITION_MODE_QUANTITY     -4068 "Position side cannot be changed if there exists position.";
    CLIENT_ID_DUPLICATED       -4116 "ClientOrderId is duplicated.";
    REDUCE_ONLY_MARGIN_FAILED  -4118 "ReduceOnly Order Failed. Please check your existing position and open orders";
    USE_ALGO_ENDPOINT          -4120 "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.";
    CLOSE_POSITION_EXISTS      -4130 "An open stop or take profit order with GTE and closePosition in the direction is existing.";
    MARKET_ORDER_REJECTED      -4131 "The counterparty's best price does not meet the PERCENT_PRICE filter limit.";
    QUANTITY_WITH_CLOSE_POSITION -4137 "Quantity must be zero with closePosition equals true";
    MULTI_ASSETS_UNCHANGED     -4171 "No need to change multi-assets mode.";
    CALLBACK_RATE              -1130 "Data sent for parameter 'callbackRate' is not valid.";
    FOK_REJECTED               -5021 "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history";
    GTX_REJECTED               -5022 "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history";
    SYMBOL_NOT_TRADING         -5024 "Symbol is not in trading status. Order amendment is not permitted.";
    LIMIT_ORDER_ONLY           -5025 "Only limit order is supported.";
    TOO_MANY_MODIFICATIONS     -5026 "Exceed maximum modify order limit.";
    SAME_ORDER                 -5027 "No need to modify the order.";
    GOOD_TILL_DATE             -5040 "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)";
    OUTSIDE_ENGINE_RECV_WINDOW -5028 "Timestamp for this request is outside of the ME recvWindow.";
}

impl ApiError {
    pub fn min_notional(minimum: crate::exchange::Decimal) -> ApiError {
        Self::with(
            -4164,
            format!("Order's notional must be no smaller than {minimum} (unless you choose reduce only)."),
        )
    }

    pub fn modification_min_notional(minimum: crate::exchange::Decimal) -> ApiError {
        Self::with(-5029, format!("Order's notional must be no smaller than {minimum}"))
    }

    pub fn close_position_invalid(kind: &str) -> ApiError {
        Self::with(-4136, format!("Target strategy invalid for orderType '{kind}',closePosition 'true'."))
    }

    pub fn leverage_invalid(leverage: u32) -> ApiError {
        Self::with(-4028, format!("Leverage {leverage} is not valid"))
    }

    pub fn depth_limit_invalid(limit: u32) -> ApiError {
        Self::with(-4021, format!("'{limit}' is not valid depth limit."))
    }

    pub fn price_above_cap(cap: impl std::fmt::Display) -> ApiError {
        Self::with(-4016, format!("Limit price can't be higher than {cap}."))
    }

    pub fn price_below_floor(floor: impl std::fmt::Display) -> ApiError {
        Self::with(-4024, format!("Limit price can't be lower than {floor}."))
    }
}

/// Why there is no venue: a configuration or a recording that cannot be used. Each text names the thing.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("symbol {symbol}: {why}")]
    Symbol { symbol: String, why: String },
    #[error("recording {file}: {source}")]
    RecordingFile { file: String, source: std::io::Error },
    #[error("a recording needs at least one file")]
    NoRecording,
    #[error("account {0}: the start balance is negative")]
    NegativeBalance(u16),
    #[error("market: {0}")]
    Market(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_negative_code_and_a_text() {
        for (name, refusal) in REFUSALS {
            assert!(refusal.code <= -1000 && !refusal.msg.is_empty(), "{name}");
        }
    }
}
