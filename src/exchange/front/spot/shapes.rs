//! What the venue says on spot, as JSON: names and order of fields as the exchange's spot documents show them.
//!
//! Spot prints every amount with eight decimals, whatever the tick.

use super::super::super::*;
use super::super::json::{Object, array, string};
use super::super::limits::LimitsConfig;
use super::super::shapes::rate_limit;
use super::words;

const PLACES: u32 = 8;

// ------------------------------------------------------------------------------------------------ orders

/// The answer to a new order: `ACK`, `RESULT` or `FULL` (with its fills).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Ack,
    Result,
    Full,
}

pub fn placed(order: &Order, fills: &[UserTrade], told: Told) -> String {
    let out = Object::with_capacity(640)
        .text("symbol", &order.symbol)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", &order.client_order_id)
        .plain("transactTime", order.update_time_ms);
    if told == Told::Ack {
        return out.close();
    }
    let mut out = amounts(out, order);
    if order.stop_price.is_positive() {
        out = out.quoted("stopPrice", order.stop_price.fixed(PLACES));
    }
    out = out.plain("workingTime", working_time(order));
    out = out.quoted("selfTradePreventionMode", order.self_trade_prevention);
    if told == Told::Full {
        let fill = |fill: &UserTrade| {
            Object::new()
                .quoted("price", fill.price.fixed(PLACES))
                .quoted("qty", fill.quantity.fixed(PLACES))
                .quoted("commission", fill.commission.fixed(PLACES))
                .text("commissionAsset", &fill.commission_asset)
                .plain("tradeId", fill.trade_id)
                .close()
        };
        out = out.plain("fills", array(fills.iter().map(fill)));
    }
    out.close()
}

pub fn canceled(order: &Order) -> String {
    let out = Object::with_capacity(512)
        .text("symbol", &order.symbol)
        .text("origClientOrderId", &order.client_order_id)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", order.renamed_from.as_deref().unwrap_or(""))
        .plain("transactTime", order.update_time_ms);
    amounts(out, order).quoted("selfTradePreventionMode", order.self_trade_prevention).close()
}

pub fn queried(order: &Order) -> String {
    let out = Object::with_capacity(640)
        .text("symbol", &order.symbol)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", &order.client_order_id);
    amounts(out, order)
        .quoted("stopPrice", order.stop_price.fixed(PLACES))
        .quoted("icebergQty", Decimal::ZERO.fixed(PLACES))
        .plain("time", order.time_ms)
        .plain("updateTime", order.update_time_ms)
        .plain("isWorking", !order.armed)
        .plain("workingTime", working_time(order))
        .quoted("selfTradePreventionMode", order.self_trade_prevention)
        .close()
}

pub fn amended(order: &Order, execution_id: u64) -> String {
    let amended = Object::with_capacity(512)
        .text("symbol", &order.symbol)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("origClientOrderId", order.renamed_from.as_deref().unwrap_or(""))
        .text("clientOrderId", &order.client_order_id)
        .quoted("price", order.price.fixed(PLACES))
        .quoted("qty", order.original_quantity.fixed(PLACES))
        .quoted("executedQty", order.executed_quantity.fixed(PLACES))
        .quoted("preventedQty", Decimal::ZERO.fixed(PLACES))
        .quoted("quoteOrderQty", order.quote_quantity.fixed(PLACES))
        .quoted("cumulativeQuoteQty", order.cumulative_quote.fixed(PLACES))
        .quoted("status", order.status)
        .quoted("timeInForce", words::time_in_force(order))
        .quoted("type", words::order_type(order))
        .quoted("side", order.side)
        .plain("workingTime", working_time(order))
        .quoted("selfTradePreventionMode", order.self_trade_prevention)
        .close();
    Object::new()
        .plain("transactTime", order.update_time_ms)
        .plain("executionId", execution_id)
        .plain("amendedOrder", amended)
        .close()
}

fn amounts(out: Object, order: &Order) -> Object {
    out.quoted("price", order.price.fixed(PLACES))
        .quoted("origQty", order.original_quantity.fixed(PLACES))
        .quoted("executedQty", order.executed_quantity.fixed(PLACES))
        .quoted("origQuoteOrderQty", order.quote_quantity.fixed(PLACES))
        .quoted("cummulativeQuoteQty", order.cumulative_quote.fixed(PLACES))
        .quoted("status", order.status)
        .quoted("timeInForce", words::time_in_force(order))
        .quoted("type", words::order_type(order))
        .quoted("side", order.side)
}

/// Minus one: it waits for its trigger.
fn working_time(order: &Order) -> i64 {
    if order.working_time_ms == 0 { -1 } else { order.working_time_ms as i64 }
}

pub fn my_trade(trade: &UserTrade) -> String {
    Object::with_capacity(320)
        .text("symbol", &trade.symbol)
        .plain("id", trade.trade_id)
        .plain("orderId", trade.order_id)
        .plain("orderListId", -1)
        .quoted("price", trade.price.fixed(PLACES))
        .quoted("qty", trade.quantity.fixed(PLACES))
        .quoted("quoteQty", trade.quote_quantity.fixed(PLACES))
        .quoted("commission", trade.commission.fixed(PLACES))
        .text("commissionAsset", &trade.commission_asset)
        .plain("time", trade.time_ms)
        .plain("isBuyer", trade.side == Side::Buy)
        .plain("isMaker", trade.maker)
        .plain("isBestMatch", true)
        .close()
}

// ------------------------------------------------------------------------------------------------ account

pub fn account(funds: &Funds, account: u32, omit_zero: bool) -> String {
    let basis_points = |rate: Decimal| rate.0 / (Decimal::SCALE / 10_000);
    let rates = Object::new()
        .quoted("maker", funds.maker_fee.fixed(PLACES))
        .quoted("taker", funds.taker_fee.fixed(PLACES))
        .quoted("buyer", Decimal::ZERO.fixed(PLACES))
        .quoted("seller", Decimal::ZERO.fixed(PLACES))
        .close();
    let shown = funds
        .balances
        .iter()
        .filter(|purse| !(omit_zero && purse.free.is_zero() && purse.locked.is_zero()))
        .map(|purse| {
            Object::new()
                .text("asset", &purse.asset)
                .quoted("free", purse.free.fixed(PLACES))
                .quoted("locked", purse.locked.fixed(PLACES))
                .close()
        });
    Object::with_capacity(1024)
        .plain("makerCommission", basis_points(funds.maker_fee))
        .plain("takerCommission", basis_points(funds.taker_fee))
        .plain("buyerCommission", 0)
        .plain("sellerCommission", 0)
        .plain("commissionRates", rates)
        .plain("canTrade", true)
        .plain("canWithdraw", true)
        .plain("canDeposit", true)
        .plain("brokered", false)
        .plain("requireSelfTradePrevention", false)
        .plain("preventSor", false)
        .plain("updateTime", funds.update_time_ms)
        .text("accountType", "SPOT")
        .plain("balances", array(shown))
        .plain("permissions", r#"["SPOT"]"#)
        .plain("uid", account)
        .close()
}

pub fn commission(symbol: &str, maker: Decimal, taker: Decimal) -> String {
    let rates = |maker: Decimal, taker: Decimal| {
        Object::new()
            .quoted("maker", maker.fixed(PLACES))
            .quoted("taker", taker.fixed(PLACES))
            .quoted("buyer", Decimal::ZERO.fixed(PLACES))
            .quoted("seller", Decimal::ZERO.fixed(PLACES))
            .close()
    };
    let discount = Object::new()
        .plain("enabledForAccount", false)
        .plain("enabledForSymbol", false)
        .text("discountAsset", "BNB")
        .quoted("discount", Decimal::ZERO.fixed(PLACES))
        .close();
    Object::with_capacity(512)
        .text("symbol", symbol)
        .plain("standardCommission", rates(maker, taker))
        .plain("specialCommission", rates(Decimal::ZERO, Decimal::ZERO))
        .plain("taxCommission", rates(Decimal::ZERO, Decimal::ZERO))
        .plain("discount", discount)
        .close()
}

// ------------------------------------------------------------------------------------------------ public answers

pub fn rate_limits(limits: &LimitsConfig) -> String {
    array([
        rate_limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute, None),
        rate_limit("ORDERS", "SECOND", 10, limits.orders_per_10_seconds, None),
        rate_limit("ORDERS", "DAY", 1, limits.orders_per_day, None),
    ])
}

pub fn exchange_information<'a>(
    now_ms: u64,
    limits: &LimitsConfig,
    specs: impl Iterator<Item = &'a SymbolSpec>,
) -> String {
    Object::with_capacity(4096)
        .text("timezone", "UTC")
        .plain("serverTime", now_ms)
        .plain("rateLimits", rate_limits(limits))
        .plain("exchangeFilters", "[]")
        .plain("symbols", array(specs.map(symbol)))
        .close()
}

fn symbol(spec: &SymbolSpec) -> String {
    Object::with_capacity(2048)
        .text("symbol", &spec.symbol)
        .text("status", "TRADING")
        .text("baseAsset", &spec.base_asset)
        .plain("baseAssetPrecision", 8)
        .text("quoteAsset", &spec.quote_asset)
        .plain("quotePrecision", 8)
        .plain("quoteAssetPrecision", 8)
        .plain("baseCommissionPrecision", 8)
        .plain("quoteCommissionPrecision", 8)
        .plain("orderTypes", array(words::ORDER_TYPES.iter().map(|word| string(word))))
        .plain("icebergAllowed", false)
        .plain("ocoAllowed", false)
        .plain("otoAllowed", false)
        .plain("opoAllowed", false)
        .plain("quoteOrderQtyMarketAllowed", true)
        .plain("allowTrailingStop", false)
        .plain("cancelReplaceAllowed", true)
        .plain("amendAllowed", true)
        .plain("pegInstructionsAllowed", false)
        .plain("isSpotTradingAllowed", true)
        .plain("isMarginTradingAllowed", false)
        .plain("filters", filters(spec))
        .plain("permissions", "[]")
        .plain("permissionSets", r#"[["SPOT"]]"#)
        .text("defaultSelfTradePreventionMode", "NONE")
        .plain(
            "allowedSelfTradePreventionModes",
            array(SelfTradePrevention::ALL.iter().map(|mode| string(mode.as_str()))),
        )
        .close()
}

fn filters(spec: &SymbolSpec) -> String {
    let filters = &spec.filters;
    let filter = |kind: &str| Object::new().text("filterType", kind);
    let fixed = |value: Decimal| value.fixed(PLACES);
    let lot = |kind: &str, min: Decimal, max: Decimal, step: Decimal| {
        filter(kind)
            .quoted("minQty", fixed(min))
            .quoted("maxQty", fixed(max))
            .quoted("stepSize", fixed(step))
            .close()
    };
    let (up, down) = (filters.multiplier_up, filters.multiplier_down);
    let mut all = vec![
        filter("PRICE_FILTER")
            .quoted("minPrice", fixed(filters.min_price))
            .quoted("maxPrice", fixed(filters.max_price))
            .quoted("tickSize", fixed(filters.tick_size))
            .close(),
        lot("LOT_SIZE", filters.min_quantity, filters.max_quantity, filters.step_size),
        lot(
            "MARKET_LOT_SIZE",
            filters.market_min_quantity,
            filters.market_max_quantity,
            filters.market_step_size,
        ),
        filter("PERCENT_PRICE_BY_SIDE")
            .quoted("bidMultiplierUp", up)
            .quoted("bidMultiplierDown", down)
            .quoted("askMultiplierUp", up)
            .quoted("askMultiplierDown", down)
            .plain("avgPriceMins", 5)
            .close(),
        filter("NOTIONAL")
            .quoted("minNotional", fixed(filters.min_notional))
            .plain("applyMinToMarket", true)
            .quoted("maxNotional", fixed(filters.max_notional.unwrap_or(Decimal::MAX)))
            .plain("applyMaxToMarket", true)
            .plain("avgPriceMins", 5)
            .close(),
        filter("MAX_NUM_ORDERS").plain("maxNumOrders", filters.max_orders).close(),
        filter("MAX_NUM_ALGO_ORDERS").plain("maxNumAlgoOrders", filters.max_algo_orders).close(),
        filter("MAX_NUM_ORDER_AMENDS").plain("maxNumOrderAmends", 10).close(),
    ];
    if let Some(most) = filters.max_position {
        all.push(filter("MAX_POSITION").quoted("maxPosition", fixed(most)).close());
    }
    array(all)
}

pub fn depth(snapshot: &DepthSnapshot) -> String {
    if let Some(verbatim) = snapshot.verbatim.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        return verbatim.to_owned();
    }
    Object::with_capacity(64 + 40 * (snapshot.bids.len() + snapshot.asks.len()))
        .plain("lastUpdateId", snapshot.last_update_id)
        .plain("bids", levels(&snapshot.bids))
        .plain("asks", levels(&snapshot.asks))
        .close()
}

pub fn book_ticker_answer(ticker: &BookTicker) -> String {
    Object::new()
        .text("symbol", &ticker.symbol)
        .quoted("bidPrice", ticker.bid.0.fixed(PLACES))
        .quoted("bidQty", ticker.bid.1.fixed(PLACES))
        .quoted("askPrice", ticker.ask.0.fixed(PLACES))
        .quoted("askQty", ticker.ask.1.fixed(PLACES))
        .close()
}

pub fn price_ticker(symbol: &str, price: Decimal) -> String {
    Object::new().text("symbol", symbol).quoted("price", price.fixed(PLACES)).close()
}

pub fn average_price(price: Decimal, now_ms: u64) -> String {
    Object::new().plain("mins", 5).quoted("price", price.fixed(PLACES)).plain("closeTime", now_ms).close()
}

pub fn trade_row(trade: &PublicTrade) -> String {
    Object::new()
        .plain("id", trade.trade_id)
        .quoted("price", trade.price.fixed(PLACES))
        .quoted("qty", trade.quantity.fixed(PLACES))
        .quoted("quoteQty", trade.price.times(trade.quantity).fixed(PLACES))
        .plain("time", trade.trade_time_ms)
        .plain("isBuyerMaker", trade.buyer_is_maker)
        .plain("isBestMatch", true)
        .close()
}

// ------------------------------------------------------------------------------------------------ market streams

pub fn depth_update(diff: &DepthDiff) -> String {
    Object::with_capacity(128 + 40 * (diff.bids.len() + diff.asks.len()))
        .text("e", "depthUpdate")
        .plain("E", diff.event_time_ms)
        .text("s", &diff.symbol)
        .plain("U", diff.first_update_id)
        .plain("u", diff.last_update_id)
        .plain("b", levels(&diff.bids))
        .plain("a", levels(&diff.asks))
        .close()
}

pub fn partial_depth(diff: &DepthDiff) -> String {
    Object::with_capacity(64 + 40 * (diff.bids.len() + diff.asks.len()))
        .plain("lastUpdateId", diff.last_update_id)
        .plain("bids", levels(&diff.bids))
        .plain("asks", levels(&diff.asks))
        .close()
}

pub fn book_ticker(ticker: &BookTicker) -> String {
    Object::with_capacity(200)
        .plain("u", ticker.update_id)
        .text("s", &ticker.symbol)
        .quoted("b", ticker.bid.0.fixed(PLACES))
        .quoted("B", ticker.bid.1.fixed(PLACES))
        .quoted("a", ticker.ask.0.fixed(PLACES))
        .quoted("A", ticker.ask.1.fixed(PLACES))
        .close()
}

pub fn trade(trade: &PublicTrade) -> String {
    Object::with_capacity(200)
        .text("e", "trade")
        .plain("E", trade.event_time_ms)
        .text("s", &trade.symbol)
        .plain("t", trade.trade_id)
        .quoted("p", trade.price.fixed(PLACES))
        .quoted("q", trade.quantity.fixed(PLACES))
        .plain("T", trade.trade_time_ms)
        .plain("m", trade.buyer_is_maker)
        .plain("M", true)
        .close()
}

pub fn agg_trade(trade: &AggTrade) -> String {
    Object::with_capacity(220)
        .text("e", "aggTrade")
        .plain("E", trade.event_time_ms)
        .text("s", &trade.symbol)
        .plain("a", trade.agg_trade_id)
        .quoted("p", trade.price.fixed(PLACES))
        .quoted("q", trade.quantity.fixed(PLACES))
        .plain("f", trade.first_trade_id)
        .plain("l", trade.last_trade_id)
        .plain("T", trade.trade_time_ms)
        .plain("m", trade.buyer_is_maker)
        .plain("M", true)
        .close()
}

fn levels(levels: &[PriceLevel]) -> String {
    array(
        levels
            .iter()
            .map(|(price, quantity)| format!("[\"{}\",\"{}\"]", price.fixed(PLACES), quantity.fixed(PLACES))),
    )
}

// ------------------------------------------------------------------------------------------------ private stream

/// `executionReport`. A cancel or an amendment carries its own name in `c` and the order's in `C`.
pub fn execution_report(update: &OrderUpdate, execution_id: u64) -> String {
    let order = &update.order;
    let old = order.renamed_from.as_deref().unwrap_or("");
    let (name, original) = match update.execution {
        ExecutionType::Canceled if !old.is_empty() => (old, &*order.client_order_id),
        ExecutionType::Replaced => (&*order.client_order_id, old),
        _ => (&*order.client_order_id, ""),
    };
    let (commission, asset) = match &update.commission {
        Some((amount, asset)) => (amount.fixed(PLACES).to_string(), string(asset)),
        None => ("0".to_owned(), "null".to_owned()),
    };
    let is_trade = update.trade_id != 0;
    let quote = if is_trade { update.last_price.times(update.last_quantity) } else { Decimal::ZERO };
    let mut out = Object::with_capacity(768)
        .text("e", "executionReport")
        .plain("E", update.event_time_ms)
        .text("s", &order.symbol)
        .text("c", name)
        .quoted("S", order.side)
        .quoted("o", words::order_type(order))
        .quoted("f", words::time_in_force(order))
        .quoted("q", order.original_quantity.fixed(PLACES))
        .quoted("p", order.price.fixed(PLACES))
        .quoted("P", order.stop_price.fixed(PLACES))
        .quoted("F", Decimal::ZERO.fixed(PLACES))
        .plain("g", -1)
        .text("C", original)
        .quoted("x", update.execution)
        .quoted("X", order.status)
        .text("r", "NONE")
        .plain("i", order.order_id)
        .quoted("l", update.last_quantity.fixed(PLACES))
        .quoted("z", order.executed_quantity.fixed(PLACES))
        .quoted("L", update.last_price.fixed(PLACES))
        .quoted("n", commission)
        .plain("N", asset)
        .plain("T", update.transaction_time_ms)
        .plain("t", if is_trade { update.trade_id as i64 } else { -1 })
        .plain("v", update.prevented.as_ref().map_or(0, |prevented| prevented.match_id))
        .plain("I", execution_id)
        .plain("w", order.status.is_open() && !order.armed)
        .plain("m", update.maker)
        .plain("M", false)
        .plain("O", order.time_ms)
        .quoted("Z", order.cumulative_quote.fixed(PLACES))
        .quoted("Y", quote.fixed(PLACES))
        .quoted("Q", order.quote_quantity.fixed(PLACES));
    if order.working_time_ms != 0 {
        out = out.plain("W", order.working_time_ms);
    }
    out = out.quoted("V", order.self_trade_prevention);
    if let Some(prevented) = &update.prevented {
        out = out
            .quoted("A", prevented.quantity.fixed(PLACES))
            .quoted("B", prevented.quantity.fixed(PLACES))
            .plain("u", 1)
            .plain("U", prevented.counter_order_id)
            .text("Cs", &order.symbol)
            .quoted("pl", prevented.quantity.fixed(PLACES))
            .quoted("pL", prevented.price.fixed(PLACES))
            .quoted("pY", prevented.price.times(prevented.quantity).fixed(PLACES));
    }
    out.close()
}

pub fn account_position(update: &AccountUpdate) -> String {
    let balance = |balance: &BalanceUpdate| {
        Object::new()
            .text("a", &balance.asset)
            .quoted("f", (balance.wallet - balance.locked).fixed(PLACES))
            .quoted("l", balance.locked.fixed(PLACES))
            .close()
    };
    Object::with_capacity(256)
        .text("e", "outboundAccountPosition")
        .plain("E", update.event_time_ms)
        .plain("u", update.transaction_time_ms)
        .plain("B", array(update.balances.iter().map(balance)))
        .close()
}
