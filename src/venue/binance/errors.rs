//! What an answer of the venue proves: its error codes in one table, its HTTP statuses, and the texts of the few codes that say
//! their reason only in words.
//!
//! ```text
//! class         means                                                                  verdict
//! Refused       the venue did not do it, for a reason of the order's or request's own    Rejected
//! Unknown       it may have been done, or not: ask                                       Unknown
//! RateLimited   too much, too fast; nothing was done                                     Rejected
//! Clock         our timestamp is outside of the venue's window: measure the clock again  Rejected
//! Key           the key, its permissions or its signature                                Rejected
//! Filter        price, quantity or count against the instrument's filters                Rejected
//! VenueDown     the venue or the symbol does not trade now; nothing was done             Rejected
//! ```
//! Sources: USD-M "Error Code", Spot "Error codes", USD-M "General Info / HTTP Return Codes", Spot "General API Information". Where a
//! code is in neither, a 4xx is a refusal and anything else is unknown. `docs/venues/binance-errors.md` is printed from here.

use crate::core::event::{RejectReason, Verdict};
use crate::core::instrument::Product;

#[cfg(test)]
#[path = "errors_document.rs"]
mod document;

/// One documented code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueError {
    pub code: i32,
    /// The documents' name for it.
    pub name: &'static str,
    pub of: Of,
    pub class: Class,
    pub reason: RejectReason,
}

/// Whose documents list it: some numbers mean one thing on spot and another on USD-M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Both,
    Spot,
    UsdM,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Refused,
    Unknown,
    RateLimited,
    Clock,
    Key,
    Filter,
    VenueDown,
}

/// Codes that callers look at themselves.
pub const NO_SUCH_ORDER: i32 = -2013;
pub const UNKNOWN_ORDER_SENT: i32 = -2011;
pub const TOO_MANY_ORDERS: i32 = -1015;
pub const INVALID_TIMESTAMP: i32 = -1021;
pub const INVALID_LISTEN_KEY: i32 = -1125;

/// What the documents say of a code, for this product.
pub fn documented(product: Product, code: i32) -> Option<&'static VenueError> {
    let first = ERRORS.partition_point(|error| error.code > code);
    ERRORS.iter().skip(first).take_while(|error| error.code == code).find(|error| match error.of {
        Of::Both => true,
        Of::Spot => product == Product::Spot,
        Of::UsdM => product == Product::LinearPerpetual,
    })
}

/// What an order request's answer proves.
///
/// The HTTP status speaks first: 5xx means that the venue does not know, whatever else it says, except for the system
/// throttle (-1008), which is documented as a refusal. That is harder than the documents, which call two texts of 503 failures: a text
/// is no contract.
pub fn verdict(product: Product, status: u16, code: i32, message: &str) -> (Verdict, RejectReason) {
    use RejectReason as R;
    use Verdict::{Accepted, Rejected, Unknown};
    let known = documented(product, code);
    match (status, known.map(|error| error.class)) {
        (200, _) if code == 0 => (Accepted, R::None),
        (418 | 429, _) | (_, Some(Class::RateLimited)) => {
            (Rejected, known.map_or(R::RateLimited, |error| error.reason))
        }
        // The web application firewall: the request never arrived.
        (403, _) => (Rejected, R::RateLimited),
        (408, _) => (Unknown, R::NoAnswer),
        (_, Some(Class::Unknown)) => (Unknown, known.map_or(R::Other, |error| error.reason)),
        (500..=599, _) => (Unknown, R::VenueDown),
        // Of a cancel-replace one half was done.
        (409, _) => (Unknown, R::Other),
        (400..=499, _) => (Rejected, known.map_or(R::Other, |error| in_words(error, message))),
        _ => (Unknown, R::Other),
    }
}

/// Spot puts the matching engine's reasons into the message of a few codes. (Spot "Errors / Messages for -1010, -2010, -2011" and
/// "Filter failures".)
fn in_words(error: &VenueError, message: &str) -> RejectReason {
    let says = |text: &str| message.contains(text);
    if !matches!(error.code, -1010 | -1013 | -2010 | -2011) {
        return error.reason;
    }
    WORDS.iter().find(|(text, _)| says(text)).map_or(error.reason, |(_, reason)| *reason)
}

/// Part of a message, and what it means.
pub const WORDS: [(&str, RejectReason); 15] = [
    ("Filter failure", RejectReason::Filter),
    ("Price * QTY is zero or less", RejectReason::Filter),
    ("insufficient balance", RejectReason::Balance),
    ("immediately match", RejectReason::WouldTake),
    ("trigger immediately", RejectReason::WouldTake),
    ("immediately trigger", RejectReason::WouldTake),
    ("Duplicate order", RejectReason::DuplicateId),
    ("Unknown order", RejectReason::UnknownOrder),
    // The order is there, and only not as new as the request wanted it.
    ("cancel restrictions", RejectReason::NoChange),
    ("Market is closed", RejectReason::VenueDown),
    ("trading is not enabled", RejectReason::Key),
    ("action is disabled on this account", RejectReason::Key),
    ("may not place or cancel orders", RejectReason::Key),
    ("for this account", RejectReason::Key),
    ("not supported for this symbol", RejectReason::BadRequest),
];

const fn row(code: i32, name: &'static str, of: Of, class: Class, reason: RejectReason) -> VenueError {
    VenueError { code, name, of, class, reason }
}

use Class::{Clock, Filter, Key, RateLimited, Refused, Unknown, VenueDown};
use Of::{Both, Spot, UsdM};
use RejectReason as R;

/// Every code of the documents, falling.
#[rustfmt::skip]
pub static ERRORS: &[VenueError] = &[
    row(-1000, "UNKNOWN", Both, Unknown, R::VenueDown),
    row(-1001, "DISCONNECTED", Both, Unknown, R::VenueDown),
    row(-1002, "UNAUTHORIZED", Both, Key, R::Key),
    row(-1003, "TOO_MANY_REQUESTS", Both, RateLimited, R::RateLimited),
    row(-1004, "DUPLICATE_IP", UsdM, Refused, R::Key),
    row(-1005, "NO_SUCH_IP", UsdM, Key, R::Key),
    row(-1006, "UNEXPECTED_RESP", Both, Unknown, R::NoAnswer),
    row(-1007, "TIMEOUT", Both, Unknown, R::NoAnswer),
    row(-1008, "SERVER_BUSY", Both, RateLimited, R::RateLimited),
    row(-1010, "ERROR_MSG_RECEIVED", Both, Refused, R::Other),
    row(-1011, "NON_WHITE_LIST", UsdM, Key, R::Key),
    row(-1013, "INVALID_MESSAGE", Both, Filter, R::Filter),
    row(-1014, "UNKNOWN_ORDER_COMPOSITION", Both, Refused, R::BadRequest),
    row(-1015, "TOO_MANY_ORDERS", Both, RateLimited, R::RateLimited),
    row(-1016, "SERVICE_SHUTTING_DOWN", Both, VenueDown, R::VenueDown),
    row(-1020, "UNSUPPORTED_OPERATION", Both, Refused, R::BadRequest),
    row(-1021, "INVALID_TIMESTAMP", Both, Clock, R::Clock),
    row(-1022, "INVALID_SIGNATURE", Both, Key, R::Key),
    row(-1023, "START_TIME_GREATER_THAN_END_TIME", UsdM, Refused, R::BadRequest),
    row(-1033, "COMP_ID_IN_USE", Spot, Refused, R::BadRequest),
    row(-1034, "TOO_MANY_CONNECTIONS", Spot, RateLimited, R::RateLimited),
    row(-1035, "LOGGED_OUT", Spot, Refused, R::Key),
    row(-1099, "NOT_FOUND", UsdM, Key, R::Key),
    row(-1100, "ILLEGAL_CHARS", Both, Refused, R::BadRequest),
    row(-1101, "TOO_MANY_PARAMETERS", Both, Refused, R::BadRequest),
    row(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", Both, Refused, R::BadRequest),
    row(-1103, "UNKNOWN_PARAM", Both, Refused, R::BadRequest),
    row(-1104, "UNREAD_PARAMETERS", Both, Refused, R::BadRequest),
    row(-1105, "PARAM_EMPTY", Both, Refused, R::BadRequest),
    row(-1106, "PARAM_NOT_REQUIRED", Both, Refused, R::BadRequest),
    row(-1108, "PARAM_OVERFLOW", Spot, Refused, R::BadRequest),
    row(-1108, "BAD_ASSET", UsdM, Refused, R::BadRequest),
    row(-1109, "BAD_ACCOUNT", UsdM, Key, R::Key),
    row(-1110, "BAD_INSTRUMENT_TYPE", UsdM, Refused, R::BadRequest),
    row(-1111, "BAD_PRECISION", Both, Filter, R::Filter),
    row(-1112, "NO_DEPTH", Both, Refused, R::Other),
    row(-1113, "WITHDRAW_NOT_NEGATIVE", UsdM, Refused, R::BadRequest),
    row(-1114, "TIF_NOT_REQUIRED", Both, Refused, R::BadRequest),
    row(-1115, "INVALID_TIF", Both, Refused, R::BadRequest),
    row(-1116, "INVALID_ORDER_TYPE", Both, Refused, R::BadRequest),
    row(-1117, "INVALID_SIDE", Both, Refused, R::BadRequest),
    row(-1118, "EMPTY_NEW_CL_ORD_ID", Both, Refused, R::BadRequest),
    row(-1119, "EMPTY_ORG_CL_ORD_ID", Both, Refused, R::BadRequest),
    row(-1120, "BAD_INTERVAL", Both, Refused, R::BadRequest),
    row(-1121, "BAD_SYMBOL", Both, Refused, R::BadRequest),
    row(-1122, "INVALID_SYMBOL_STATUS", Both, Refused, R::BadRequest),
    row(-1125, "INVALID_LISTEN_KEY", Both, Key, R::Key),
    row(-1126, "ASSET_NOT_SUPPORTED", UsdM, Refused, R::BadRequest),
    row(-1127, "MORE_THAN_XX_HOURS", Both, Refused, R::BadRequest),
    row(-1128, "OPTIONAL_PARAMS_BAD_COMBO", Both, Refused, R::BadRequest),
    row(-1130, "INVALID_PARAMETER", Both, Refused, R::BadRequest),
    row(-1134, "BAD_STRATEGY_TYPE", Spot, Refused, R::BadRequest),
    row(-1135, "INVALID_JSON", Spot, Refused, R::BadRequest),
    row(-1136, "INVALID_NEW_ORDER_RESP_TYPE", UsdM, Refused, R::BadRequest),
    row(-1139, "INVALID_TICKER_TYPE", Spot, Refused, R::BadRequest),
    row(-1145, "INVALID_CANCEL_RESTRICTIONS", Spot, Refused, R::BadRequest),
    row(-1151, "DUPLICATE_SYMBOLS", Spot, Refused, R::BadRequest),
    row(-1152, "INVALID_SBE_HEADER", Spot, Refused, R::BadRequest),
    row(-1153, "UNSUPPORTED_SCHEMA_ID", Spot, Refused, R::BadRequest),
    row(-1155, "SBE_DISABLED", Spot, Refused, R::BadRequest),
    row(-1158, "OCO_ORDER_TYPE_REJECTED", Spot, Refused, R::BadRequest),
    row(-1160, "OCO_ICEBERGQTY_TIMEINFORCE", Spot, Refused, R::BadRequest),
    row(-1161, "DEPRECATED_SCHEMA", Spot, Refused, R::BadRequest),
    row(-1165, "BUY_OCO_LIMIT_MUST_BE_BELOW", Spot, Refused, R::BadRequest),
    row(-1166, "SELL_OCO_LIMIT_MUST_BE_ABOVE", Spot, Refused, R::BadRequest),
    row(-1168, "BOTH_OCO_ORDERS_CANNOT_BE_LIMIT", Spot, Refused, R::BadRequest),
    row(-1169, "INVALID_TAG_NUMBER", Spot, Refused, R::BadRequest),
    row(-1170, "TAG_NOT_DEFINED_IN_MESSAGE", Spot, Refused, R::BadRequest),
    row(-1171, "TAG_APPEARS_MORE_THAN_ONCE", Spot, Refused, R::BadRequest),
    row(-1172, "TAG_OUT_OF_ORDER", Spot, Refused, R::BadRequest),
    row(-1173, "GROUP_FIELDS_OUT_OF_ORDER", Spot, Refused, R::BadRequest),
    row(-1174, "INVALID_COMPONENT", Spot, Refused, R::BadRequest),
    row(-1175, "RESET_SEQ_NUM_SUPPORT", Spot, Refused, R::BadRequest),
    row(-1176, "ALREADY_LOGGED_IN", Spot, Refused, R::BadRequest),
    row(-1177, "GARBLED_MESSAGE", Spot, Refused, R::BadRequest),
    row(-1178, "BAD_SENDER_COMPID", Spot, Refused, R::BadRequest),
    row(-1179, "BAD_SEQ_NUM", Spot, Refused, R::BadRequest),
    row(-1180, "EXPECTED_LOGON", Spot, Key, R::Key),
    row(-1181, "TOO_MANY_MESSAGES", Spot, RateLimited, R::RateLimited),
    row(-1182, "PARAMS_BAD_COMBO", Spot, Refused, R::BadRequest),
    row(-1183, "NOT_ALLOWED_IN_DROP_COPY_SESSIONS", Spot, Refused, R::BadRequest),
    row(-1184, "DROP_COPY_SESSION_NOT_ALLOWED", Spot, Refused, R::BadRequest),
    row(-1185, "DROP_COPY_SESSION_REQUIRED", Spot, Refused, R::BadRequest),
    row(-1186, "NOT_ALLOWED_IN_ORDER_ENTRY_SESSIONS", Spot, Refused, R::BadRequest),
    row(-1187, "NOT_ALLOWED_IN_MARKET_DATA_SESSIONS", Spot, Refused, R::BadRequest),
    row(-1188, "INCORRECT_NUM_IN_GROUP_COUNT", Spot, Refused, R::BadRequest),
    row(-1189, "DUPLICATE_ENTRIES_IN_A_GROUP", Spot, Refused, R::BadRequest),
    row(-1190, "INVALID_REQUEST_ID", Spot, Refused, R::BadRequest),
    row(-1191, "TOO_MANY_SUBSCRIPTIONS", Spot, Refused, R::BadRequest),
    row(-1194, "INVALID_TIME_UNIT", Spot, Refused, R::BadRequest),
    row(-1196, "BUY_OCO_STOP_LOSS_MUST_BE_ABOVE", Spot, Refused, R::BadRequest),
    row(-1197, "SELL_OCO_STOP_LOSS_MUST_BE_BELOW", Spot, Refused, R::BadRequest),
    row(-1198, "BUY_OCO_TAKE_PROFIT_MUST_BE_BELOW", Spot, Refused, R::BadRequest),
    row(-1199, "SELL_OCO_TAKE_PROFIT_MUST_BE_ABOVE", Spot, Refused, R::BadRequest),
    row(-2010, "NEW_ORDER_REJECTED", Both, Refused, R::Other),
    row(-2011, "CANCEL_REJECTED", Both, Refused, R::UnknownOrder),
    row(-2012, "CANCEL_ALL_FAIL", UsdM, Refused, R::Other),
    row(-2013, "NO_SUCH_ORDER", Both, Refused, R::UnknownOrder),
    row(-2014, "BAD_API_KEY_FMT", Both, Key, R::Key),
    row(-2015, "REJECTED_MBX_KEY", Both, Key, R::Key),
    row(-2016, "NO_TRADING_WINDOW", Both, VenueDown, R::VenueDown),
    row(-2017, "API_KEYS_LOCKED", UsdM, Key, R::Key),
    row(-2018, "BALANCE_NOT_SUFFICIENT", UsdM, Refused, R::Balance),
    row(-2019, "MARGIN_NOT_SUFFICIENT", UsdM, Refused, R::Balance),
    row(-2020, "UNABLE_TO_FILL", UsdM, Refused, R::Other),
    row(-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER", UsdM, Refused, R::WouldTake),
    row(-2021, "CANCEL_REPLACE_PARTIALLY_FAILED", Spot, Unknown, R::Other),
    row(-2022, "REDUCE_ONLY_REJECT", UsdM, Refused, R::ReduceOnly),
    row(-2022, "CANCEL_REPLACE_FAILED", Spot, Refused, R::Other),
    row(-2023, "USER_IN_LIQUIDATION", UsdM, Refused, R::Balance),
    row(-2024, "POSITION_NOT_SUFFICIENT", UsdM, Refused, R::Balance),
    row(-2025, "MAX_OPEN_ORDER_EXCEEDED", UsdM, Filter, R::Filter),
    row(-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED", UsdM, Refused, R::ReduceOnly),
    row(-2026, "ORDER_ARCHIVED", Spot, Refused, R::UnknownOrder),
    row(-2027, "MAX_LEVERAGE_RATIO", UsdM, Refused, R::Balance),
    row(-2028, "MIN_LEVERAGE_RATIO", UsdM, Refused, R::Balance),
    row(-4000, "INVALID_ORDER_STATUS", UsdM, Refused, R::Other),
    row(-4001, "PRICE_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4002, "PRICE_GREATER_THAN_MAX_PRICE", UsdM, Filter, R::Filter),
    row(-4003, "QTY_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4004, "QTY_LESS_THAN_MIN_QTY", UsdM, Filter, R::Filter),
    row(-4005, "QTY_GREATER_THAN_MAX_QTY", UsdM, Filter, R::Filter),
    row(-4006, "STOP_PRICE_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4007, "STOP_PRICE_GREATER_THAN_MAX_PRICE", UsdM, Filter, R::Filter),
    row(-4008, "TICK_SIZE_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4009, "MAX_PRICE_LESS_THAN_MIN_PRICE", UsdM, Filter, R::Filter),
    row(-4010, "MAX_QTY_LESS_THAN_MIN_QTY", UsdM, Filter, R::Filter),
    row(-4011, "STEP_SIZE_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4012, "MAX_NUM_ORDERS_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4013, "PRICE_LESS_THAN_MIN_PRICE", UsdM, Filter, R::Filter),
    row(-4014, "PRICE_NOT_INCREASED_BY_TICK_SIZE", UsdM, Filter, R::Filter),
    row(-4015, "INVALID_CL_ORD_ID_LEN", UsdM, Refused, R::BadRequest),
    row(-4016, "PRICE_HIGHER_THAN_MULTIPLIER_UP", UsdM, Filter, R::Filter),
    row(-4017, "MULTIPLIER_UP_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4018, "MULTIPLIER_DOWN_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4019, "COMPOSITE_SCALE_OVERFLOW", UsdM, Filter, R::Filter),
    row(-4020, "TARGET_STRATEGY_INVALID", UsdM, Refused, R::BadRequest),
    row(-4021, "INVALID_DEPTH_LIMIT", UsdM, Refused, R::BadRequest),
    row(-4022, "WRONG_MARKET_STATUS", UsdM, VenueDown, R::VenueDown),
    row(-4023, "QTY_NOT_INCREASED_BY_STEP_SIZE", UsdM, Filter, R::Filter),
    row(-4024, "PRICE_LOWER_THAN_MULTIPLIER_DOWN", UsdM, Filter, R::Filter),
    row(-4025, "MULTIPLIER_DECIMAL_LESS_THAN_ZERO", UsdM, Filter, R::Filter),
    row(-4026, "COMMISSION_INVALID", UsdM, Refused, R::Other),
    row(-4027, "INVALID_ACCOUNT_TYPE", UsdM, Key, R::Key),
    row(-4028, "INVALID_LEVERAGE", UsdM, Refused, R::BadRequest),
    row(-4029, "INVALID_TICK_SIZE_PRECISION", UsdM, Filter, R::Filter),
    row(-4030, "INVALID_STEP_SIZE_PRECISION", UsdM, Filter, R::Filter),
    row(-4031, "INVALID_WORKING_TYPE", UsdM, Refused, R::BadRequest),
    row(-4032, "EXCEED_MAX_CANCEL_ORDER_SIZE", UsdM, Refused, R::BadRequest),
    row(-4033, "INSURANCE_ACCOUNT_NOT_FOUND", UsdM, Refused, R::Other),
    row(-4044, "INVALID_BALANCE_TYPE", UsdM, Refused, R::BadRequest),
    row(-4045, "MAX_STOP_ORDER_EXCEEDED", UsdM, Filter, R::Filter),
    row(-4046, "NO_NEED_TO_CHANGE_MARGIN_TYPE", UsdM, Refused, R::NoChange),
    row(-4047, "THERE_EXISTS_OPEN_ORDERS", UsdM, Refused, R::Other),
    row(-4048, "THERE_EXISTS_QUANTITY", UsdM, Refused, R::Other),
    row(-4049, "ADD_ISOLATED_MARGIN_REJECT", UsdM, Refused, R::Other),
    row(-4050, "CROSS_BALANCE_INSUFFICIENT", UsdM, Refused, R::Balance),
    row(-4051, "ISOLATED_BALANCE_INSUFFICIENT", UsdM, Refused, R::Balance),
    row(-4052, "NO_NEED_TO_CHANGE_AUTO_ADD_MARGIN", UsdM, Refused, R::NoChange),
    row(-4053, "AUTO_ADD_CROSSED_MARGIN_REJECT", UsdM, Refused, R::Other),
    row(-4054, "ADD_ISOLATED_MARGIN_NO_POSITION_REJECT", UsdM, Refused, R::Other),
    row(-4055, "AMOUNT_MUST_BE_POSITIVE", UsdM, Refused, R::BadRequest),
    row(-4056, "INVALID_API_KEY_TYPE", UsdM, Key, R::Key),
    row(-4057, "INVALID_RSA_PUBLIC_KEY", UsdM, Key, R::Key),
    row(-4058, "MAX_PRICE_TOO_LARGE", UsdM, Filter, R::Filter),
    row(-4059, "NO_NEED_TO_CHANGE_POSITION_SIDE", UsdM, Refused, R::NoChange),
    row(-4060, "INVALID_POSITION_SIDE", UsdM, Refused, R::BadRequest),
    row(-4061, "POSITION_SIDE_NOT_MATCH", UsdM, Refused, R::BadRequest),
    row(-4062, "REDUCE_ONLY_CONFLICT", UsdM, Refused, R::ReduceOnly),
    row(-4063, "INVALID_OPTIONS_REQUEST_TYPE", UsdM, Refused, R::BadRequest),
    row(-4064, "INVALID_OPTIONS_TIME_FRAME", UsdM, Refused, R::BadRequest),
    row(-4065, "INVALID_OPTIONS_AMOUNT", UsdM, Refused, R::BadRequest),
    row(-4066, "INVALID_OPTIONS_EVENT_TYPE", UsdM, Refused, R::BadRequest),
    row(-4067, "POSITION_SIDE_CHANGE_EXISTS_OPEN_ORDERS", UsdM, Refused, R::Other),
    row(-4068, "POSITION_SIDE_CHANGE_EXISTS_QUANTITY", UsdM, Refused, R::Other),
    row(-4069, "INVALID_OPTIONS_PREMIUM_FEE", UsdM, Refused, R::BadRequest),
    row(-4070, "INVALID_CL_OPTIONS_ID_LEN", UsdM, Refused, R::BadRequest),
    row(-4071, "INVALID_OPTIONS_DIRECTION", UsdM, Refused, R::BadRequest),
    row(-4072, "OPTIONS_PREMIUM_NOT_UPDATE", UsdM, Refused, R::Other),
    row(-4073, "OPTIONS_PREMIUM_INPUT_LESS_THAN_ZERO", UsdM, Refused, R::BadRequest),
    row(-4074, "OPTIONS_AMOUNT_BIGGER_THAN_UPPER", UsdM, Refused, R::BadRequest),
    row(-4075, "OPTIONS_PREMIUM_OUTPUT_ZERO", UsdM, Refused, R::Other),
    row(-4076, "OPTIONS_PREMIUM_TOO_DIFF", UsdM, Refused, R::Other),
    row(-4077, "OPTIONS_PREMIUM_REACH_LIMIT", UsdM, Refused, R::Other),
    row(-4078, "OPTIONS_COMMON_ERROR", UsdM, Refused, R::Other),
    row(-4079, "INVALID_OPTIONS_ID", UsdM, Refused, R::BadRequest),
    row(-4080, "OPTIONS_USER_NOT_FOUND", UsdM, Refused, R::Other),
    row(-4081, "OPTIONS_NOT_FOUND", UsdM, Refused, R::Other),
    row(-4082, "INVALID_BATCH_PLACE_ORDER_SIZE", UsdM, Refused, R::BadRequest),
    row(-4083, "PLACE_BATCH_ORDERS_FAIL", UsdM, Refused, R::Other),
    row(-4084, "UPCOMING_METHOD", UsdM, Refused, R::BadRequest),
    row(-4085, "INVALID_NOTIONAL_LIMIT_COEF", UsdM, Refused, R::BadRequest),
    row(-4086, "INVALID_PRICE_SPREAD_THRESHOLD", UsdM, Refused, R::BadRequest),
    row(-4087, "REDUCE_ONLY_ORDER_PERMISSION", UsdM, Refused, R::ReduceOnly),
    row(-4088, "NO_PLACE_ORDER_PERMISSION", UsdM, Key, R::Key),
    row(-4104, "INVALID_CONTRACT_TYPE", UsdM, Refused, R::BadRequest),
    row(-4108, "SYMBOL_ON_DELIVERING", UsdM, VenueDown, R::VenueDown),
    row(-4114, "INVALID_CLIENT_TRAN_ID_LEN", UsdM, Refused, R::BadRequest),
    row(-4115, "DUPLICATED_CLIENT_TRAN_ID", UsdM, Refused, R::DuplicateId),
    row(-4116, "DUPLICATED_CLIENT_ORDER_ID", UsdM, Refused, R::DuplicateId),
    row(-4117, "STOP_ORDER_TRIGGERING", UsdM, Refused, R::UnknownOrder),
    row(-4118, "REDUCE_ONLY_MARGIN_CHECK_FAILED", UsdM, Refused, R::ReduceOnly),
    row(-4120, "STOP_ORDER_SWITCH_ALGO", UsdM, Refused, R::BadRequest),
    row(-4131, "MARKET_ORDER_REJECT", UsdM, Filter, R::Filter),
    row(-4135, "INVALID_ACTIVATION_PRICE", UsdM, Refused, R::BadRequest),
    row(-4137, "QUANTITY_EXISTS_WITH_CLOSE_POSITION", UsdM, Refused, R::BadRequest),
    row(-4138, "REDUCE_ONLY_MUST_BE_TRUE", UsdM, Refused, R::ReduceOnly),
    row(-4139, "ORDER_TYPE_CANNOT_BE_MKT", UsdM, Refused, R::BadRequest),
    row(-4140, "INVALID_OPENING_POSITION_STATUS", UsdM, VenueDown, R::VenueDown),
    row(-4141, "SYMBOL_ALREADY_CLOSED", UsdM, VenueDown, R::VenueDown),
    row(-4142, "STRATEGY_INVALID_TRIGGER_PRICE", UsdM, Refused, R::WouldTake),
    row(-4144, "INVALID_PAIR", UsdM, Refused, R::BadRequest),
    row(-4161, "ISOLATED_LEVERAGE_REJECT_WITH_POSITION", UsdM, Refused, R::Other),
    row(-4164, "MIN_NOTIONAL", UsdM, Filter, R::Filter),
    row(-4165, "INVALID_TIME_INTERVAL", UsdM, Refused, R::BadRequest),
    row(-4167, "ISOLATED_REJECT_WITH_JOINT_MARGIN", UsdM, Refused, R::Other),
    row(-4168, "JOINT_MARGIN_REJECT_WITH_ISOLATED", UsdM, Refused, R::Other),
    row(-4169, "JOINT_MARGIN_REJECT_WITH_MB", UsdM, Refused, R::Balance),
    row(-4170, "JOINT_MARGIN_REJECT_WITH_OPEN_ORDER", UsdM, Refused, R::Other),
    row(-4171, "NO_NEED_TO_CHANGE_JOINT_MARGIN", UsdM, Refused, R::NoChange),
    row(-4172, "JOINT_MARGIN_REJECT_WITH_NEGATIVE_BALANCE", UsdM, Refused, R::Balance),
    row(-4183, "PRICE_HIGHER_THAN_STOP_MULTIPLIER_UP", UsdM, Filter, R::Filter),
    row(-4184, "PRICE_LOWER_THAN_STOP_MULTIPLIER_DOWN", UsdM, Filter, R::Filter),
    row(-4192, "COOLING_OFF_PERIOD", UsdM, Key, R::Key),
    row(-4202, "ADJUST_LEVERAGE_KYC_FAILED", UsdM, Refused, R::Other),
    row(-4203, "ADJUST_LEVERAGE_ONE_MONTH_FAILED", UsdM, Refused, R::Other),
    row(-4205, "ADJUST_LEVERAGE_X_DAYS_FAILED", UsdM, Refused, R::Other),
    row(-4206, "ADJUST_LEVERAGE_KYC_LIMIT", UsdM, Refused, R::Other),
    row(-4208, "ADJUST_LEVERAGE_ACCOUNT_SYMBOL_FAILED", UsdM, Refused, R::Other),
    row(-4209, "ADJUST_LEVERAGE_SYMBOL_FAILED", UsdM, Refused, R::Other),
    row(-4210, "STOP_PRICE_HIGHER_THAN_PRICE_MULTIPLIER_LIMIT", UsdM, Filter, R::Filter),
    row(-4211, "STOP_PRICE_LOWER_THAN_PRICE_MULTIPLIER_LIMIT", UsdM, Filter, R::Filter),
    row(-4400, "TRADING_QUANTITATIVE_RULE", UsdM, RateLimited, R::ReduceOnly),
    row(-4401, "LARGE_POSITION_SYM_RULE", UsdM, Refused, R::ReduceOnly),
    row(-4402, "COMPLIANCE_BLACK_SYMBOL_RESTRICTION", UsdM, Key, R::Key),
    row(-4403, "ADJUST_LEVERAGE_COMPLIANCE_FAILED", UsdM, Refused, R::Other),
    row(-5021, "FOK_ORDER_REJECT", UsdM, Refused, R::WouldTake),
    row(-5022, "GTX_ORDER_REJECT", UsdM, Refused, R::WouldTake),
    row(-5024, "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON", UsdM, VenueDown, R::VenueDown),
    row(-5025, "LIMIT_ORDER_ONLY", UsdM, Refused, R::BadRequest),
    row(-5026, "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT", UsdM, Refused, R::BadRequest),
    row(-5027, "SAME_ORDER", UsdM, Refused, R::NoChange),
    row(-5028, "ME_RECVWINDOW_REJECT", UsdM, Clock, R::Clock),
    row(-5029, "MODIFICATION_MIN_NOTIONAL", UsdM, Filter, R::Filter),
    row(-5037, "INVALID_PRICE_MATCH", UsdM, Refused, R::BadRequest),
    row(-5038, "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH", UsdM, Refused, R::BadRequest),
    row(-5039, "INVALID_SELF_TRADE_PREVENTION_MODE", UsdM, Refused, R::BadRequest),
    row(-5040, "FUTURE_GOOD_TILL_DATE", UsdM, Refused, R::BadRequest),
    row(-5041, "BBO_ORDER_REJECT", UsdM, Refused, R::Other),
];

#[cfg(test)]
mod tests {
    use super::*;
    use RejectReason as R;
    use Verdict::{Accepted, Rejected, Unknown};

    #[test]
    fn each_family_of_answers_has_its_verdict() {
        let usd_m = Product::LinearPerpetual;
        let spot = Product::Spot;
        #[rustfmt::skip]
        let table = [
            (usd_m, 200, 0, "", (Accepted, R::None)),
            (usd_m, 400, -1021, "", (Rejected, R::Clock)),
            (usd_m, 400, -1022, "", (Rejected, R::Key)),
            (usd_m, 401, -2015, "", (Rejected, R::Key)),
            (usd_m, 400, -2019, "", (Rejected, R::Balance)),
            (usd_m, 400, -2022, "", (Rejected, R::ReduceOnly)),
            (usd_m, 400, -2011, "", (Rejected, R::UnknownOrder)),
            (usd_m, 400, -2021, "", (Rejected, R::WouldTake)),
            (usd_m, 400, -4014, "", (Rejected, R::Filter)),
            (usd_m, 400, -4164, "", (Rejected, R::Filter)),
            (usd_m, 400, -4116, "", (Rejected, R::DuplicateId)),
            (usd_m, 400, -4120, "", (Rejected, R::BadRequest)),
            (usd_m, 400, -5022, "", (Rejected, R::WouldTake)),
            (usd_m, 400, -5027, "", (Rejected, R::NoChange)),
            (usd_m, 400, -5028, "", (Rejected, R::Clock)),
            (usd_m, 400, -1102, "", (Rejected, R::BadRequest)),
            (usd_m, 400, -987_654, "", (Rejected, R::Other)),
            (usd_m, 400, -1007, "", (Unknown, R::NoAnswer)),
            (usd_m, 400, -1006, "", (Unknown, R::NoAnswer)),
            (usd_m, 429, -1003, "", (Rejected, R::RateLimited)),
            (usd_m, 418, -1003, "", (Rejected, R::RateLimited)),
            (usd_m, 429, 0, "", (Rejected, R::RateLimited)),
            (usd_m, 403, 0, "", (Rejected, R::RateLimited)),
            (usd_m, 408, 0, "", (Unknown, R::NoAnswer)),
            (usd_m, 503, -1008, "", (Rejected, R::RateLimited)),
            (usd_m, 503, 0, "Unknown error, please check your request or try again later.", (Unknown, R::VenueDown)),
            (usd_m, 503, -1016, "", (Unknown, R::VenueDown)),
            (usd_m, 500, -4014, "", (Unknown, R::VenueDown)),
            (usd_m, 504, -1007, "", (Unknown, R::NoAnswer)),
            (usd_m, 0, 0, "", (Unknown, R::Other)),
            (usd_m, 302, 0, "", (Unknown, R::Other)),
            (spot, 400, -2010, "Account has insufficient balance for requested action.", (Rejected, R::Balance)),
            (spot, 400, -2010, "Order would immediately match and take.", (Rejected, R::WouldTake)),
            (spot, 400, -2010, "Order would trigger immediately.", (Rejected, R::WouldTake)),
            (spot, 400, -2010, "Duplicate order sent.", (Rejected, R::DuplicateId)),
            (spot, 400, -2010, "Market is closed.", (Rejected, R::VenueDown)),
            (spot, 400, -2010, "This symbol is not permitted for this account.", (Rejected, R::Key)),
            (spot, 400, -2010, "Iceberg orders are not supported for this symbol.", (Rejected, R::BadRequest)),
            (spot, 400, -1013, "Filter failure: LOT_SIZE", (Rejected, R::Filter)),
            (spot, 400, -2011, "Unknown order sent.", (Rejected, R::UnknownOrder)),
            (spot, 400, -2011, "Order was not canceled due to cancel restrictions.", (Rejected, R::NoChange)),
            (spot, 409, -2021, "Order cancel-replace partially failed.", (Unknown, R::Other)),
            (spot, 400, -2022, "Order cancel-replace failed.", (Rejected, R::Other)),
            (spot, 400, -2026, "", (Rejected, R::UnknownOrder)),
        ];
        for (product, status, code, message, expected) in table {
            assert_eq!(
                verdict(product, status, code, message),
                expected,
                "{product:?} {status} {code} {message}"
            );
        }
    }

    #[test]
    fn the_table_falls_and_no_code_stands_twice_for_one_product() {
        for pair in ERRORS.windows(2) {
            let [above, below] = pair else { continue };
            let apart = above.of != below.of && above.of != Of::Both && below.of != Of::Both;
            assert!(above.code > below.code || (above.code == below.code && apart), "{above:?} {below:?}");
        }
        for error in ERRORS {
            let product = if error.of == Of::Spot { Product::Spot } else { Product::LinearPerpetual };
            assert_eq!(documented(product, error.code), Some(error));
        }
        assert_eq!(documented(Product::Spot, -4014), None);
    }

    #[test]
    fn only_the_class_unknown_is_unknown() {
        for error in ERRORS {
            let product = if error.of == Of::Spot { Product::Spot } else { Product::LinearPerpetual };
            let (told, _) = verdict(product, 400, error.code, "");
            assert_eq!(told == Unknown, error.class == Class::Unknown, "{error:?}");
            assert_ne!(told, Accepted);
        }
    }
}
