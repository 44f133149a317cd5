//! The venue's names and limits, both ways, with the section of its documents that says so. Facts only.
//!
//! What differs between USD-M futures and spot stands in `Dialect`. A value that we do not know never stops us: it becomes
//! the safe member of our enum and is counted by the caller (`Known::unknown`).
//!
//! Sections are those of developers.binance.com: "USD-M" = Derivatives / USDS Margined Futures, "Spot" = Spot / APIs.

use super::errors::TOO_MANY_ORDERS;
use crate::core::event::{
    BalanceCause, Execution, OrderKind, PositionSide, RateUsage, Side, TimeInForce, VenueStatus,
};
use crate::core::instrument::Product;
use crate::core::time::Nanos;

/// The paths and rules in which the two products differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialect {
    pub product: Product,
    pub exchange_info: &'static str,
    pub time: &'static str,
    pub depth: &'static str,
    pub order: &'static str,
    pub open_orders: &'static str,
    /// USD-M only: where conditional orders wait.
    pub algo_order: Option<&'static str>,
    pub open_algo_orders: Option<&'static str>,
    pub account: &'static str,
    pub user_trades: &'static str,
    /// USD-M only: spot has no such rows, and opens its private stream over the WebSocket API.
    pub position_risk: Option<&'static str>,
    /// USD-M only: what the account has set for each symbol, its leverage among it.
    pub symbol_config: Option<&'static str>,
    pub balance: Option<&'static str>,
    pub listen_key: Option<&'static str>,
    pub websocket_api: &'static str,
    /// The largest snapshot: USD-M "Order Book" 1000, Spot "Order book" 5000.
    pub max_depth_limit: u16,
    pub bridge: Bridge,
    /// Streams on one connection: USD-M "Connect" and Spot "WebSocket Streams / General": 1024.
    pub max_streams: usize,
}

/// How the first update after a snapshot must meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// USD-M "How to manage a local order book correctly": drop `u < lastUpdateId`; then `U <= lastUpdateId <= u`.
    UpdateSpansSnapshot,
    /// Spot "How to manage a local order book correctly": drop `u <= lastUpdateId`; then `U <= lastUpdateId + 1 <= u`.
    UpdateSpansNext,
}

pub static USD_M: Dialect = Dialect {
    product: Product::LinearPerpetual,
    exchange_info: "/fapi/v1/exchangeInfo",
    time: "/fapi/v1/time",
    depth: "/fapi/v1/depth",
    order: "/fapi/v1/order",
    open_orders: "/fapi/v1/openOrders",
    algo_order: Some("/fapi/v1/algoOrder"),
    open_algo_orders: Some("/fapi/v1/openAlgoOrders"),
    account: "/fapi/v3/account",
    user_trades: "/fapi/v1/userTrades",
    position_risk: Some("/fapi/v3/positionRisk"),
    symbol_config: Some("/fapi/v1/symbolConfig"),
    balance: Some("/fapi/v3/balance"),
    listen_key: Some("/fapi/v1/listenKey"),
    websocket_api: "/ws-fapi/v1",
    max_depth_limit: 1000,
    bridge: Bridge::UpdateSpansSnapshot,
    max_streams: 1024,
};

pub static SPOT: Dialect = Dialect {
    product: Product::Spot,
    exchange_info: "/api/v3/exchangeInfo",
    time: "/api/v3/time",
    depth: "/api/v3/depth",
    order: "/api/v3/order",
    open_orders: "/api/v3/openOrders",
    algo_order: None,
    open_algo_orders: None,
    account: "/api/v3/account",
    user_trades: "/api/v3/myTrades",
    position_risk: None,
    symbol_config: None,
    balance: None,
    listen_key: None,
    websocket_api: "/ws-api/v3",
    max_depth_limit: 5000,
    bridge: Bridge::UpdateSpansNext,
    max_streams: 1024,
};

impl Dialect {
    pub fn of(product: Product) -> &'static Self {
        match product {
            Product::LinearPerpetual => &USD_M,
            Product::Spot => &SPOT,
        }
    }

    /// Weight of a depth snapshot. (USD-M "Order Book"; Spot "Order book".)
    pub fn depth_weight(&self, limit: u16) -> u16 {
        match (self.product, limit) {
            (Product::LinearPerpetual, 0..=50) => 2,
            (Product::LinearPerpetual, 51..=100) => 5,
            (Product::LinearPerpetual, 101..=500) => 10,
            (Product::LinearPerpetual, _) => 20,
            (Product::Spot, 0..=100) => 5,
            (Product::Spot, 101..=500) => 25,
            (Product::Spot, 501..=1000) => 50,
            (Product::Spot, _) => 250,
        }
    }
}

/// A value of the venue in our terms, and whether we knew its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<T> {
    pub value: T,
    pub unknown: bool,
}

impl<T> Known<T> {
    const fn yes(value: T) -> Self {
        Self { value, unknown: false }
    }
    const fn no(value: T) -> Self {
        Self { value, unknown: true }
    }
}

/// The side has no safe default: an unknown one is an error of the message.
pub fn side(text: &str) -> Option<Side> {
    match text {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    }
}

pub const fn side_text(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub fn position_side(text: &str) -> Option<PositionSide> {
    match text {
        // Spot messages carry none.
        "BOTH" | "" => Some(PositionSide::Both),
        "LONG" => Some(PositionSide::Long),
        "SHORT" => Some(PositionSide::Short),
        _ => None,
    }
}

pub const fn position_side_text(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Both => "BOTH",
        PositionSide::Long => "LONG",
        PositionSide::Short => "SHORT",
    }
}

/// USD-M "Common Definition / Order types"; Spot "ENUM definitions / Order types".
pub fn order_kind(text: &str) -> Known<OrderKind> {
    Known::yes(match text {
        "LIMIT" | "LIMIT_MAKER" => OrderKind::Limit,
        "MARKET" => OrderKind::Market,
        "STOP" | "STOP_LOSS_LIMIT" => OrderKind::StopLimit,
        "STOP_MARKET" | "STOP_LOSS" => OrderKind::StopMarket,
        "TAKE_PROFIT_LIMIT" => OrderKind::TakeProfitLimit,
        // USD-M calls the limit kind so, and the market kind TAKE_PROFIT_MARKET. Spot's market kind has the same text: its
        // private parser says which (see `spot_order_kind`).
        "TAKE_PROFIT" => OrderKind::TakeProfitLimit,
        "TAKE_PROFIT_MARKET" => OrderKind::TakeProfitMarket,
        "TRAILING_STOP_MARKET" => OrderKind::TrailingStop,
        "LIQUIDATION" => OrderKind::Other,
        _ => return Known::no(OrderKind::Other),
    })
}

pub fn spot_order_kind(text: &str) -> Known<OrderKind> {
    match text {
        "TAKE_PROFIT" => Known::yes(OrderKind::TakeProfitMarket),
        _ => order_kind(text),
    }
}

/// `None` for a kind that this product does not take over the order interface.
pub const fn order_kind_text(product: Product, kind: OrderKind, post_only: bool) -> Option<&'static str> {
    match (product, kind) {
        (Product::Spot, OrderKind::Limit) if post_only => Some("LIMIT_MAKER"),
        (_, OrderKind::Limit) => Some("LIMIT"),
        (_, OrderKind::Market) => Some("MARKET"),
        (Product::LinearPerpetual, OrderKind::StopMarket) => Some("STOP_MARKET"),
        (Product::LinearPerpetual, OrderKind::StopLimit) => Some("STOP"),
        (Product::LinearPerpetual, OrderKind::TakeProfitMarket) => Some("TAKE_PROFIT_MARKET"),
        (Product::LinearPerpetual, OrderKind::TakeProfitLimit) => Some("TAKE_PROFIT"),
        (Product::Spot, OrderKind::StopMarket) => Some("STOP_LOSS"),
        (Product::Spot, OrderKind::StopLimit) => Some("STOP_LOSS_LIMIT"),
        (Product::Spot, OrderKind::TakeProfitMarket) => Some("TAKE_PROFIT"),
        (Product::Spot, OrderKind::TakeProfitLimit) => Some("TAKE_PROFIT_LIMIT"),
        (Product::LinearPerpetual, OrderKind::TrailingStop) => Some("TRAILING_STOP_MARKET"),
        // A stop that trails is a stop with a `trailingDelta`.
        (Product::Spot, OrderKind::TrailingStop) => Some("STOP_LOSS"),
        (_, OrderKind::Other) => None,
    }
}

/// USD-M "Common Definition / Time in force". RPI (retail price improvement) is a post-only kind.
pub fn time_in_force(text: &str) -> Known<TimeInForce> {
    Known::yes(match text {
        "GTC" => TimeInForce::GoodTillCancel,
        "IOC" => TimeInForce::ImmediateOrCancel,
        "FOK" => TimeInForce::FillOrKill,
        "GTX" | "RPI" => TimeInForce::PostOnly,
        "GTD" => TimeInForce::GoodTillDate,
        _ => return Known::no(TimeInForce::GoodTillCancel),
    })
}

pub const fn time_in_force_text(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::GoodTillCancel => "GTC",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::PostOnly => "GTX",
        TimeInForce::GoodTillDate => "GTD",
    }
}

/// USD-M "User Data Streams / Event: Order Update" (`x`); Spot "User Data Stream / Execution types".
pub fn execution(text: &str) -> Known<Execution> {
    Known::yes(match text {
        "NEW" => Execution::New,
        "TRADE" => Execution::Trade,
        "CANCELED" => Execution::Cancelled,
        "AMENDMENT" | "REPLACED" => Execution::Replaced,
        "REJECTED" => Execution::Rejected,
        "EXPIRED" => Execution::Expired,
        "TRADE_PREVENTION" => Execution::TradePrevention,
        "CALCULATED" => Execution::Calculated,
        _ => return Known::no(Execution::Other),
    })
}

/// USD-M "Common Definition / Order status"; Spot "ENUM definitions / Order status".
pub fn venue_status(text: &str) -> Known<VenueStatus> {
    Known::yes(match text {
        "NEW" | "PENDING_NEW" | "NEW_INSURANCE" | "NEW_ADL" => VenueStatus::New,
        "PARTIALLY_FILLED" => VenueStatus::PartiallyFilled,
        "FILLED" => VenueStatus::Filled,
        "CANCELED" => VenueStatus::Cancelled,
        "REJECTED" => VenueStatus::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => VenueStatus::Expired,
        "PENDING_CANCEL" => VenueStatus::PendingCancel,
        _ => return Known::no(VenueStatus::Other),
    })
}

/// USD-M "Event: Balance and Position Update" (`m`).
pub fn balance_cause(text: &str) -> Known<BalanceCause> {
    Known::yes(match text {
        "ORDER" => BalanceCause::Order,
        "FUNDING_FEE" => BalanceCause::Funding,
        "DEPOSIT" | "COIN_SWAP_DEPOSIT" => BalanceCause::Deposit,
        "WITHDRAW" | "COIN_SWAP_WITHDRAW" | "WITHDRAW_REJECT" => BalanceCause::Withdrawal,
        "ADJUSTMENT" | "INSURANCE_CLEAR" | "AUTO_EXCHANGE" | "OPTIONS_SETTLE_PROFIT" => {
            BalanceCause::Adjustment
        }
        "ADMIN_DEPOSIT" => BalanceCause::Deposit,
        "ADMIN_WITHDRAW" => BalanceCause::Withdrawal,
        "MARGIN_TRANSFER" | "MARGIN_TYPE_CHANGE" | "ASSET_TRANSFER" | "OPTIONS_PREMIUM_FEE" => {
            BalanceCause::Other
        }
        _ => return Known::no(BalanceCause::Other),
    })
}

/// Client order ids by which the venue marks its own orders. (USD-M "Event: Order Update", special client order ids.)
pub const LIQUIDATION_PREFIX: &str = "autoclose-";
pub const ADL_PREFIX: &str = "adl_autoclose";
/// Of a contract that is delivered or delisted.
pub const SETTLEMENT_PREFIX: &str = "settlement_autoclose-";

/// Which limit a usage report is about: the `bucket` of `RateUsage`.
pub mod bucket {
    use crate::core::instrument::Product;
    use crate::core::time::Nanos;

    pub const REQUEST_WEIGHT: u8 = 0;
    pub const ORDERS_10S: u8 = 1;
    pub const ORDERS_1M: u8 = 2;
    pub const ORDERS_1D: u8 = 3;
    pub const RAW_REQUESTS: u8 = 4;
    pub const CONNECTIONS: u8 = 5;

    /// A count that the venue keeps of us and tells with its answers, over windows that stand side by side on its clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Count {
        /// `rateLimitType`, and the interval as the headers write it: what a configuration says.
        pub word: &'static str,
        pub bucket: u8,
        pub window: Nanos,
    }

    impl Count {
        const fn of(word: &'static str, bucket: u8, seconds: u64) -> Self {
            Self { word, bucket, window: Nanos::from_secs(seconds) }
        }
    }

    /// The counts of a product. (USD-M "General Info / LIMITS" and "exchangeInfo / rateLimits"; Spot the same, "General Information on
    /// Endpoints / LIMITS".)
    pub fn counts(product: Product) -> &'static [Count] {
        const WEIGHT: Count = Count::of("REQUEST_WEIGHT-1M", REQUEST_WEIGHT, 60);
        const ORDERS: Count = Count::of("ORDERS-10S", ORDERS_10S, 10);
        const FUTURES: &[Count] = &[WEIGHT, ORDERS, Count::of("ORDERS-1M", ORDERS_1M, 60)];
        const SPOT: &[Count] = &[WEIGHT, ORDERS, Count::of("ORDERS-1D", ORDERS_1D, 86_400)];
        match product {
            Product::LinearPerpetual => FUTURES,
            Product::Spot => SPOT,
        }
    }

    /// From a `rateLimits` entry. (USD-M and Spot "exchangeInfo / rateLimits"; WebSocket API "Rate limits".)
    pub fn of(kind: &str, interval: &str, count: u64) -> Option<u8> {
        Some(match (kind, interval, count) {
            ("REQUEST_WEIGHT", "MINUTE", 1) => REQUEST_WEIGHT,
            ("ORDERS", "SECOND", 10) => ORDERS_10S,
            ("ORDERS", "MINUTE", 1) => ORDERS_1M,
            ("ORDERS", "DAY", 1) => ORDERS_1D,
            ("RAW_REQUESTS", _, _) => RAW_REQUESTS,
            ("CONNECTIONS", _, _) => CONNECTIONS,
            _ => return None,
        })
    }

    /// From a REST answer's header, name in lower case. (USD-M and Spot "General Info / Limits".)
    pub fn of_header(name: &str) -> Option<u8> {
        Some(match name {
            "x-mbx-used-weight-1m" => REQUEST_WEIGHT,
            "x-mbx-order-count-10s" => ORDERS_10S,
            "x-mbx-order-count-1m" => ORDERS_1M,
            "x-mbx-order-count-1d" => ORDERS_1D,
            _ => return None,
        })
    }
}

/// A limit that the venue has closed to us, and until when.
///
/// ```text
/// 429, -1015 (too many orders)   ORDERS-10S       orders alone: a cancel is not counted as one
/// 429                            REQUEST_WEIGHT   everything: the address has used its weight up
/// 418, 403                       REQUEST_WEIGHT   everything: the address is banned, or behind the firewall
/// ```
/// (Spot and USD-M "General Info / IP Limits, Order Rate Limits"; Spot "Unfilled Order Count Rules": only what places an order counts.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub bucket: u8,
    pub until: Nanos,
}

impl Hold {
    /// A 429 for orders comes without a time ("Order Rate Limits"): the shortest window in which orders are counted. One for weight promises a
    /// time, and where it breaks the promise waits as long.
    const UNSAID: Nanos = Nanos::from_secs(10);
    /// A ban or the firewall without a time: the shortest of the bans ("IP Limits").
    const BAN_UNSAID: Nanos = Nanos::from_secs(120);

    /// What an answer of this status and code closes; `asked` is the instant that the venue gives.
    pub fn of(status: u16, code: i32, asked: Option<Nanos>, now: Nanos) -> Option<Self> {
        let unsaid = match status {
            403 | 418 => Self::BAN_UNSAID,
            429 => Self::UNSAID,
            _ if asked.is_some() => Nanos::ZERO,
            _ => return None,
        };
        let is_for_orders = status == 429 && code == TOO_MANY_ORDERS;
        let bucket = if is_for_orders { bucket::ORDERS_10S } else { bucket::REQUEST_WEIGHT };
        Some(Self { bucket, until: asked.unwrap_or(now + unsaid) })
    }

    /// Writes it to what the answer told of that limit, or beside that.
    pub fn note(self, usage: &mut Vec<RateUsage>) {
        let Self { bucket, until: retry_at } = self;
        match usage.iter_mut().find(|usage| usage.bucket == bucket) {
            Some(told) => told.retry_at = retry_at,
            None => usage.push(RateUsage { bucket, used: 0, limit: 0, retry_at }),
        }
    }
}

/// The pause that a REST answer asks for, in seconds. ("IP Limits": `Retry-After`.)
#[cold]
pub fn retry_after(headers: &[(String, String)], now: Nanos) -> Option<Nanos> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Retry-After"))?;
    Some(now + Nanos::from_secs(value.trim().parse().ok()?))
}

/// What the headers of a REST answer say of our limits, and what the answer closes.
#[cold]
pub fn usage_of_headers(headers: &[(String, String)], hold: Option<Hold>) -> Vec<RateUsage> {
    let mut usage: Vec<RateUsage> = headers
        .iter()
        .filter_map(|(name, value)| {
            let bucket = bucket::of_header(&name.to_ascii_lowercase())?;
            // The header says what was used and not what there is.
            Some(RateUsage { bucket, used: value.trim().parse().ok()?, limit: 0, retry_at: Nanos::ZERO })
        })
        .collect();
    if let Some(hold) = hold {
        hold.note(&mut usage);
    }
    usage
}

/// Whether a message that is none of the known ones says that the venue will end the connection soon. (Spot "WebSocket Streams" and
/// "WebSocket API", "General information": `serverShutdown`.)
#[cold]
pub fn announces_shutdown(text: &[u8]) -> bool {
    const NOTICE: &[u8] = b"\"serverShutdown\"";
    text.windows(NOTICE.len()).any(|window| window == NOTICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_we_write_is_read_back_as_itself() {
        for side_ in [Side::Buy, Side::Sell] {
            assert_eq!(side(side_text(side_)), Some(side_));
        }
        for value in [PositionSide::Both, PositionSide::Long, PositionSide::Short] {
            assert_eq!(position_side(position_side_text(value)), Some(value));
        }
        use TimeInForce as T;
        for value in [T::GoodTillCancel, T::ImmediateOrCancel, T::FillOrKill, T::PostOnly, T::GoodTillDate] {
            assert_eq!(time_in_force(time_in_force_text(value)), Known::yes(value));
        }
        use OrderKind as K;
        for kind in
            [K::Limit, K::Market, K::StopLimit, K::StopMarket, K::TakeProfitLimit, K::TakeProfitMarket]
        {
            let text = order_kind_text(Product::LinearPerpetual, kind, false).unwrap();
            assert_eq!(order_kind(text), Known::yes(kind));
            let text = order_kind_text(Product::Spot, kind, false).unwrap();
            assert_eq!(spot_order_kind(text), Known::yes(kind));
        }
    }

    #[test]
    fn what_we_do_not_know_is_safe_and_marked() {
        assert_eq!(execution("SOMETHING"), Known::no(Execution::Other));
        assert_eq!(venue_status("SOMETHING"), Known::no(VenueStatus::Other));
        assert_eq!(order_kind("SOMETHING"), Known::no(OrderKind::Other));
        assert_eq!(side("SOMETHING"), None);
    }

    #[test]
    fn the_headers_of_an_answer_are_its_usage() {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-MBX-USED-WEIGHT-1M", "42"),
            ("x-mbx-order-count-10s", " 7 "),
            ("X-MBX-ORDER-COUNT-1D", "many"),
            ("retry-AFTER", "9"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let usage = usage_of_headers(&headers, None);
        let told: Vec<_> = usage.iter().map(|usage| (usage.bucket, usage.used)).collect();
        assert_eq!(told, [(bucket::REQUEST_WEIGHT, 42), (bucket::ORDERS_10S, 7)]);
        let now = Nanos::from_secs(100);
        let until = retry_after(&headers, now);
        assert_eq!(until, Some(Nanos::from_secs(109)));
        let held = |headers: &[(String, String)], hold| {
            let usage = usage_of_headers(headers, hold);
            usage.iter().map(|usage| (usage.bucket, usage.retry_at)).collect::<Vec<_>>()
        };
        let weight = (bucket::REQUEST_WEIGHT, Nanos::from_secs(109));
        assert_eq!(
            held(&headers, Hold::of(429, -1003, until, now)),
            [weight, (bucket::ORDERS_10S, Nanos::ZERO)]
        );
        assert_eq!(held(&[], Hold::of(429, -1003, until, now)), [weight]);
        assert!(held(&[], None).is_empty() && retry_after(&[], now).is_none());
    }

    #[test]
    fn a_refusal_closes_what_it_is_about_for_as_long_as_it_says_or_for_the_least_that_it_means() {
        let now = Nanos::from_secs(100);
        let until = |seconds: u64| Nanos::from_secs(100 + seconds);
        let held =
            |status, code, asked| Hold::of(status, code, asked, now).map(|hold| (hold.bucket, hold.until));
        assert_eq!(held(429, -1015, None), Some((bucket::ORDERS_10S, until(10))));
        assert_eq!(held(429, -1015, Some(until(3))), Some((bucket::ORDERS_10S, until(3))));
        assert_eq!(held(429, -1003, None), Some((bucket::REQUEST_WEIGHT, until(10))));
        assert_eq!(held(418, -1003, Some(until(600))), Some((bucket::REQUEST_WEIGHT, until(600))));
        assert_eq!(held(418, -1003, None), Some((bucket::REQUEST_WEIGHT, until(120))));
        assert_eq!(held(403, 0, None), Some((bucket::REQUEST_WEIGHT, until(120))));
        assert_eq!(held(503, -1008, None), None);
        assert_eq!(held(400, -2010, None), None);
        assert_eq!(held(200, 0, None), None);
    }
}
