//! What the venue says, as the JSON of Binance USD-M futures: names, order of fields, and decimals as the exchange's documents and recordings show them.
//!
//! Public messages have the exact field order of the recorded exchange (`e,E,T,s,U,u,pu,b,a`, ...), because clients scan for it. Prices and quantities are printed
//! with the decimals of the symbol's precision (as the exchange does), amounts of money with eight.

use std::fmt::Write;

use super::super::solvency::LIQUIDATION_FEE;
use super::super::*;
use super::json::{Object, array, string};
use super::limits::LimitsConfig;

/// Decimals of one symbol's texts.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub price: u32,
    pub quantity: u32,
}

impl Places {
    pub fn of(spec: &SymbolSpec) -> Places {
        Places { price: spec.price_precision, quantity: spec.quantity_precision }
    }
}

// ------------------------------------------------------------------------------------------------ orders

/// Which request an order answers; the documents give each its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderAnswer {
    /// Place: `newOrderRespType=ACK`, as accepted and before anything else happened to it.
    Acknowledged,
    /// Place: `newOrderRespType=RESULT`.
    Result,
    Modified,
    Canceled,
    /// `order`, `openOrder`, `openOrders`, `allOrders`: with `time`.
    Queried,
}

pub fn order(order: &Order, places: Places, answer: OrderAnswer) -> String {
    let acknowledged = answer == OrderAnswer::Acknowledged;
    let executed = if acknowledged { Decimal::ZERO } else { order.executed_quantity };
    let quote = if acknowledged { Decimal::ZERO } else { order.cumulative_quote };
    let average = if acknowledged { Decimal::ZERO } else { order.average_price() };
    let status = if acknowledged { OrderStatus::New } else { order.status };
    let mut out = Object::with_capacity(640).plain("orderId", order.order_id).text("symbol", &order.symbol);
    if answer == OrderAnswer::Modified {
        out = out.text("pair", &order.symbol).plain("modifyId", order.modifications);
    }
    out = out
        .quoted("status", status)
        .text("clientOrderId", &order.client_order_id)
        .quoted("price", order.price.fixed(places.price))
        .quoted("avgPrice", average.fixed(places.price))
        .quoted("origQty", order.original_quantity.fixed(places.quantity))
        .quoted("executedQty", executed.fixed(places.quantity));
    if answer != OrderAnswer::Queried {
        out = out.quoted("cumQty", executed.fixed(places.quantity));
    }
    out = out
        .quoted("cumQuote", quote.fixed(5))
        .quoted("timeInForce", order.time_in_force)
        .quoted("type", order.kind)
        .plain("reduceOnly", order.reduce_only)
        .plain("closePosition", order.close_position)
        .quoted("side", order.side)
        .quoted("positionSide", order.position_side)
        .quoted("stopPrice", order.stop_price.fixed(places.price))
        .quoted("workingType", order.working_type)
        .plain("priceProtect", order.price_protect)
        .quoted("origType", order.original_kind)
        .text("priceMatch", "NONE")
        .quoted("selfTradePreventionMode", order.self_trade_prevention)
        .plain("goodTillDate", order.good_till_date_ms);
    if answer == OrderAnswer::Queried {
        out = out.plain("time", order.time_ms);
    }
    out.plain("updateTime", order.update_time_ms).close()
}

pub fn user_trade(trade: &UserTrade, places: Places) -> String {
    Object::with_capacity(320)
        .text("symbol", &trade.symbol)
        .plain("id", trade.trade_id)
        .plain("orderId", trade.order_id)
        .quoted("side", trade.side)
        .quoted("price", trade.price.fixed(places.price))
        .quoted("qty", trade.quantity.fixed(places.quantity))
        .quoted("realizedPnl", trade.realized_pnl.fixed(8))
        .quoted("quoteQty", trade.quote_quantity.fixed(8))
        .quoted("commission", trade.commission.fixed(8))
        .text("commissionAsset", &trade.commission_asset)
        .plain("time", trade.time_ms)
        .quoted("positionSide", trade.position_side)
        .plain("buyer", trade.side == Side::Buy)
        .plain("maker", trade.maker)
        .close()
}

pub fn canceled_all() -> String {
    done("The operation of cancel all open order is done.")
}

/// `{"code":200,"msg":...}`: the exchange's plain yes.
pub fn done(message: &str) -> String {
    Object::new().plain("code", 200).text("msg", message).close()
}

// ------------------------------------------------------------------------------------------------ account

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V1,
    V2,
    V3,
}

pub fn account(account: &Account, version: Version, places: impl Fn(&str) -> Places) -> String {
    let zero = Decimal::ZERO;
    let sum = |part: fn(&Balance) -> Decimal| {
        account.assets.iter().fold(zero, |sum, asset| sum + part(asset)).fixed(8)
    };
    let mut out = Object::with_capacity(2048);
    if version < Version::V3 {
        out = out
            .plain("feeTier", 0)
            .plain("feeBurn", false)
            .plain("canTrade", true)
            .plain("canDeposit", true)
            .plain("canWithdraw", true)
            .plain("updateTime", account.update_time_ms)
            .plain("multiAssetsMargin", false)
            .plain("tradeGroupId", -1);
    }
    out.quoted("totalInitialMargin", sum(|asset| asset.initial_margin))
        .quoted("totalMaintMargin", sum(|asset| asset.maintenance_margin))
        .quoted("totalWalletBalance", sum(|asset| asset.wallet))
        .quoted("totalUnrealizedProfit", sum(|asset| asset.unrealized_pnl))
        .quoted("totalMarginBalance", sum(|asset| asset.margin))
        .quoted("totalPositionInitialMargin", sum(|asset| asset.position_initial_margin))
        .quoted("totalOpenOrderInitialMargin", sum(|asset| asset.open_order_initial_margin))
        .quoted("totalCrossWalletBalance", sum(|asset| asset.wallet))
        .quoted("totalCrossUnPnl", sum(|asset| asset.unrealized_pnl))
        .quoted("availableBalance", sum(|asset| asset.available))
        .quoted("maxWithdrawAmount", sum(|asset| asset.max_withdraw))
        .plain("assets", array(account.assets.iter().map(account_asset)))
        .plain(
            "positions",
            array(
                account
                    .positions
                    .iter()
                    .filter(|position| version < Version::V3 || is_shown(position))
                    .map(|position| account_position(position, version, places(&position.symbol))),
            ),
        )
        .close()
}

fn account_asset(asset: &Balance) -> String {
    Object::with_capacity(480)
        .text("asset", &asset.asset)
        .quoted("walletBalance", asset.wallet.fixed(8))
        .quoted("unrealizedProfit", asset.unrealized_pnl.fixed(8))
        .quoted("marginBalance", asset.margin.fixed(8))
        .quoted("maintMargin", asset.maintenance_margin.fixed(8))
        .quoted("initialMargin", asset.initial_margin.fixed(8))
        .quoted("positionInitialMargin", asset.position_initial_margin.fixed(8))
        .quoted("openOrderInitialMargin", asset.open_order_initial_margin.fixed(8))
        .quoted("crossWalletBalance", asset.wallet.fixed(8))
        .quoted("crossUnPnl", asset.unrealized_pnl.fixed(8))
        .quoted("availableBalance", asset.available.fixed(8))
        .quoted("maxWithdrawAmount", asset.max_withdraw.fixed(8))
        .plain("marginAvailable", true)
        .plain("updateTime", asset.update_time_ms)
        .close()
}

fn account_position(position: &Position, version: Version, places: Places) -> String {
    let out = Object::with_capacity(480).text("symbol", &position.symbol);
    if version < Version::V3 {
        return out
            .quoted("initialMargin", position.initial_margin.fixed(8))
            .quoted("maintMargin", position.maintenance_margin.fixed(8))
            .quoted("unrealizedProfit", position.unrealized_pnl.fixed(8))
            .quoted("positionInitialMargin", position.position_initial_margin.fixed(8))
            .quoted("openOrderInitialMargin", position.open_order_initial_margin.fixed(8))
            .quoted("leverage", position.leverage)
            .plain("isolated", false)
            .quoted("entryPrice", entry_price(position.entry_price))
            .quoted("breakEvenPrice", entry_price(position.break_even_price))
            .quoted("maxNotional", position.max_notional)
            .quoted("bidNotional", position.bid_notional)
            .quoted("askNotional", position.ask_notional)
            .quoted("positionSide", position.position_side)
            .quoted("positionAmt", position.quantity.fixed(places.quantity))
            .quoted("notional", position.notional)
            .quoted("isolatedWallet", 0)
            .plain("updateTime", position.update_time_ms)
            .close();
    }
    out.quoted("positionSide", position.position_side)
        .quoted("positionAmt", position.quantity.fixed(places.quantity))
        .quoted("unrealizedProfit", position.unrealized_pnl.fixed(8))
        .quoted("isolatedMargin", "0.00000000")
        .quoted("notional", position.notional)
        .quoted("isolatedWallet", 0)
        .quoted("initialMargin", position.initial_margin)
        .quoted("maintMargin", position.maintenance_margin)
        .plain("updateTime", position.update_time_ms)
        .close()
}

pub fn account_config(account: &Account) -> String {
    Object::new()
        .plain("feeTier", 0)
        .plain("canTrade", true)
        .plain("canDeposit", true)
        .plain("canWithdraw", true)
        .plain("dualSidePosition", account.dual_side_position)
        .plain("updateTime", account.update_time_ms)
        .plain("multiAssetsMargin", false)
        .plain("tradeGroupId", -1)
        .close()
}

/// One row a symbol, whatever its position sides.
pub fn symbol_configs(positions: &[Position]) -> String {
    let firsts = positions.chunk_by(|one, next| one.symbol == next.symbol).map(|side| &side[0]);
    array(firsts.map(|position| {
        Object::new()
            .text("symbol", &position.symbol)
            .text("marginType", "CROSSED")
            .plain("isAutoAddMargin", false)
            .plain("leverage", position.leverage)
            .quoted("maxNotionalValue", position.max_notional)
            .close()
    }))
}

/// Nobody is ever deleveraged here: the lowest place in the queue.
pub fn adl_quantiles(positions: &[Position]) -> String {
    let sides = positions.chunk_by(|one, next| one.symbol == next.symbol);
    array(sides.map(|sides| {
        let quantiles = sides
            .iter()
            .fold(Object::new(), |out, position| out.plain(position.position_side.as_str(), 0))
            .close();
        Object::new().text("symbol", &sides[0].symbol).plain("adlQuantile", quantiles).close()
    }))
}

pub fn income(income: &Income) -> String {
    let trade_id = if income.trade_id == 0 { String::new() } else { income.trade_id.to_string() };
    Object::new()
        .text("symbol", &income.symbol)
        .quoted("incomeType", income.kind)
        .quoted("income", income.amount.fixed(8))
        .text("asset", &income.asset)
        .text("info", if trade_id.is_empty() { income.kind.as_str() } else { &trade_id })
        .plain("time", income.time_ms)
        .plain("tranId", income.transaction_id)
        .text("tradeId", &trade_id)
        .close()
}

pub fn balances(balances: &[Balance]) -> String {
    array(balances.iter().map(|asset| {
        Object::with_capacity(320)
            .text("accountAlias", "LpVn")
            .text("asset", &asset.asset)
            .quoted("balance", asset.wallet.fixed(8))
            .quoted("crossWalletBalance", asset.wallet.fixed(8))
            .quoted("crossUnPnl", asset.unrealized_pnl.fixed(8))
            .quoted("availableBalance", asset.available.fixed(8))
            .quoted("maxWithdrawAmount", asset.max_withdraw.fixed(8))
            .plain("marginAvailable", true)
            .plain("updateTime", asset.update_time_ms)
            .close()
    }))
}

pub fn positions(positions: &[Position], version: Version, places: impl Fn(&str) -> Places) -> String {
    let shown = positions.iter().filter(|position| version < Version::V3 || is_shown(position));
    array(shown.map(|position| {
        let quantity = position.quantity.fixed(places(&position.symbol).quantity);
        let out = Object::with_capacity(560)
            .text("symbol", &position.symbol)
            .quoted("positionSide", position.position_side)
            .quoted("positionAmt", quantity)
            .quoted("entryPrice", entry_price(position.entry_price))
            .quoted("breakEvenPrice", entry_price(position.break_even_price))
            .quoted("markPrice", position.mark_price.fixed(8))
            .quoted("unRealizedProfit", position.unrealized_pnl.fixed(8))
            .quoted("liquidationPrice", position.liquidation_price);
        if version < Version::V3 {
            return out
                .quoted("leverage", position.leverage)
                .quoted("maxNotionalValue", position.max_notional)
                .text("marginType", "cross")
                .quoted("isolatedMargin", "0.00000000")
                .quoted("isAutoAddMargin", "false")
                .quoted("notional", position.notional)
                .quoted("isolatedWallet", 0)
                .plain("updateTime", position.update_time_ms)
                .plain("isolated", false)
                .plain("adlQuantile", 0)
                .close();
        }
        out.quoted("isolatedMargin", 0)
            .quoted("notional", position.notional)
            .text("marginAsset", "USDT")
            .quoted("isolatedWallet", 0)
            .quoted("initialMargin", position.initial_margin)
            .quoted("maintMargin", position.maintenance_margin)
            .quoted("positionInitialMargin", position.position_initial_margin)
            .quoted("openOrderInitialMargin", position.open_order_initial_margin)
            .plain("adl", 0)
            .quoted("bidNotional", position.bid_notional)
            .quoted("askNotional", position.ask_notional)
            .plain("updateTime", position.update_time_ms)
            .close()
    }))
}

/// The third versions leave out what is flat and has no orders.
fn is_shown(position: &Position) -> bool {
    !position.quantity.is_zero() || position.has_open_orders
}

/// Average prices have more decimals than the tick: at least five, as the exchange prints them.
fn entry_price(price: Decimal) -> impl std::fmt::Display {
    price.fixed(price.places().max(5))
}

// ------------------------------------------------------------------------------------------------ public answers

pub fn exchange_information(now_ms: u64, limits: &LimitsConfig, specs: &[SymbolSpec]) -> String {
    let mut assets: Vec<&str> = specs.iter().map(|spec| &*spec.margin_asset).collect();
    assets.sort_unstable();
    assets.dedup();
    Object::with_capacity(1024 + 2048 * specs.len())
        .text("timezone", "UTC")
        .plain("serverTime", now_ms)
        .text("futuresType", "U_MARGINED")
        .plain(
            "rateLimits",
            array([
                rate_limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute, None),
                rate_limit("ORDERS", "MINUTE", 1, limits.orders_per_minute, None),
                rate_limit("ORDERS", "SECOND", 10, limits.orders_per_10_seconds, None),
            ]),
        )
        .plain("exchangeFilters", "[]")
        .plain(
            "assets",
            array(assets.into_iter().map(|asset| {
                Object::new()
                    .text("asset", asset)
                    .plain("marginAvailable", true)
                    .quoted("autoAssetExchange", "-10000")
                    .close()
            })),
        )
        .plain("symbols", array(specs.iter().map(symbol)))
        .close()
}

pub fn rate_limit(kind: &str, interval: &str, number: u32, limit: u32, count: Option<u32>) -> String {
    Object::new()
        .text("rateLimitType", kind)
        .text("interval", interval)
        .plain("intervalNum", number)
        .plain("limit", limit)
        .plain_if("count", count)
        .close()
}

fn symbol(spec: &SymbolSpec) -> String {
    let filters = &spec.filters;
    let filter = |kind: &str| Object::new().text("filterType", kind);
    let lot = |kind: &str, min: Decimal, max: Decimal, step: Decimal| {
        filter(kind).quoted("stepSize", step).quoted("minQty", min).quoted("maxQty", max).close()
    };
    let price = |value: Decimal| value.fixed(spec.price_precision.max(value.places()));
    let percent = |fraction: Decimal| Decimal(fraction.0.saturating_mul(100)).fixed(4);
    Object::with_capacity(2048)
        .text("symbol", &spec.symbol)
        .text("pair", &spec.symbol)
        .text("contractType", "PERPETUAL")
        .plain("deliveryDate", 4_133_404_800_000_u64)
        .plain("onboardDate", 1_569_398_400_000_u64)
        .text("status", "TRADING")
        .quoted("maintMarginPercent", percent(spec.maintenance_margin))
        .quoted(
            "requiredMarginPercent",
            percent(Decimal::ONE.over(Decimal::new(i64::from(spec.max_leverage), 0))),
        )
        .text("baseAsset", &spec.base_asset)
        .text("quoteAsset", &spec.quote_asset)
        .text("marginAsset", &spec.margin_asset)
        .plain("pricePrecision", spec.price_precision)
        .plain("quantityPrecision", spec.quantity_precision)
        .plain("baseAssetPrecision", 8)
        .plain("quotePrecision", 8)
        .text("underlyingType", "COIN")
        .plain("underlyingSubType", r#"["PoW"]"#)
        .plain("settlePlan", 0)
        .quoted("triggerProtect", "0.0500")
        .quoted("liquidationFee", LIQUIDATION_FEE.fixed(6))
        .quoted("marketTakeBound", "0.05")
        .plain("maxMoveOrderLimit", 10_000)
        .plain(
            "filters",
            array([
                filter("PRICE_FILTER")
                    .quoted("minPrice", price(filters.min_price))
                    .quoted("maxPrice", price(filters.max_price))
                    .quoted("tickSize", price(filters.tick_size))
                    .close(),
                lot("LOT_SIZE", filters.min_quantity, filters.max_quantity, filters.step_size),
                lot(
                    "MARKET_LOT_SIZE",
                    filters.market_min_quantity,
                    filters.market_max_quantity,
                    filters.market_step_size,
                ),
                filter("MAX_NUM_ORDERS").plain("limit", filters.max_orders).close(),
                filter("MAX_NUM_ALGO_ORDERS").plain("limit", filters.max_algo_orders).close(),
                filter("MIN_NOTIONAL").quoted("notional", filters.min_notional).close(),
                filter("PERCENT_PRICE")
                    .quoted("multiplierUp", filters.multiplier_up.fixed(4))
                    .quoted("multiplierDown", filters.multiplier_down.fixed(4))
                    .quoted("multiplierDecimal", 4)
                    .close(),
            ]),
        )
        .plain("orderTypes", array(OrderType::ALL.iter().map(|kind| string(kind.as_str()))))
        .plain("timeInForce", array(TimeInForce::ALL.iter().map(|word| string(word.as_str()))))
        .close()
}

pub fn depth(snapshot: &DepthSnapshot, places: Places) -> String {
    if let Some(verbatim) = snapshot.verbatim.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        return verbatim.to_owned();
    }
    Object::with_capacity(64 + 28 * (snapshot.bids.len() + snapshot.asks.len()))
        .plain("lastUpdateId", snapshot.last_update_id)
        .plain("E", snapshot.event_time_ms)
        .plain("T", snapshot.transaction_time_ms)
        .plain("bids", levels(&snapshot.bids, places))
        .plain("asks", levels(&snapshot.asks, places))
        .close()
}

pub fn book_ticker_answer(ticker: &BookTicker, places: Places) -> String {
    Object::new()
        .text("symbol", &ticker.symbol)
        .quoted("bidPrice", ticker.bid.0.fixed(places.price))
        .quoted("bidQty", ticker.bid.1.fixed(places.quantity))
        .quoted("askPrice", ticker.ask.0.fixed(places.price))
        .quoted("askQty", ticker.ask.1.fixed(places.quantity))
        .plain("time", ticker.transaction_time_ms)
        .plain("lastUpdateId", ticker.update_id)
        .close()
}

pub fn price_ticker(symbol: &str, price: Decimal, time_ms: u64, places: Places) -> String {
    Object::new()
        .text("symbol", symbol)
        .quoted("price", price.fixed(places.price))
        .plain("time", time_ms)
        .close()
}

pub fn trade_answer(trade: &PublicTrade, places: Places) -> String {
    Object::new()
        .plain("id", trade.trade_id)
        .quoted("price", trade.price.fixed(places.price))
        .quoted("qty", trade.quantity.fixed(places.quantity))
        .quoted("quoteQty", trade.price.times(trade.quantity).fixed(2))
        .plain("time", trade.trade_time_ms)
        .plain("isBuyerMaker", trade.buyer_is_maker)
        .plain("isRPITrade", false)
        .close()
}

pub fn premium_index(mark: &MarkPrice, now_ms: u64) -> String {
    Object::new()
        .text("symbol", &mark.symbol)
        .quoted("markPrice", mark.mark_price.fixed(8))
        .quoted("indexPrice", mark.index_price.fixed(8))
        .quoted("estimatedSettlePrice", mark.mark_price.fixed(8))
        .quoted("lastFundingRate", mark.funding_rate.fixed(8))
        .quoted("interestRate", "0.00010000")
        .plain("nextFundingTime", mark.next_funding_time_ms)
        .plain("time", now_ms)
        .close()
}

pub fn funding_rate(funding: &Funding) -> String {
    Object::new()
        .text("symbol", &funding.symbol)
        .quoted("fundingRate", funding.rate.fixed(8))
        .plain("fundingTime", funding.time_ms)
        .quoted("markPrice", funding.mark_price.fixed(8))
        .close()
}

pub fn funding_info(spec: &SymbolSpec) -> String {
    Object::new()
        .text("symbol", &spec.symbol)
        .quoted("adjustedFundingRateCap", "0.02000000")
        .quoted("adjustedFundingRateFloor", "-0.02000000")
        .plain("fundingIntervalHours", 8)
        .plain("disclaimer", false)
        .close()
}

pub fn open_interest(symbol: &str, held: Decimal, now_ms: u64, places: Places) -> String {
    Object::new()
        .quoted("openInterest", held.fixed(places.quantity))
        .text("symbol", symbol)
        .plain("time", now_ms)
        .close()
}

pub fn leverage_brackets(spec: &SymbolSpec) -> String {
    let bracket = Object::new()
        .plain("bracket", 1)
        .plain("initialLeverage", spec.max_leverage)
        .plain("notionalCap", 9_223_372_036_854_775_807_i64)
        .plain("notionalFloor", 0)
        .plain("maintMarginRatio", spec.maintenance_margin)
        .plain("cum", "0.0")
        .close();
    Object::new()
        .text("symbol", &spec.symbol)
        .plain("notionalCoef", "1.0")
        .plain("brackets", array([bracket]))
        .close()
}

// ------------------------------------------------------------------------------------------------ market streams

pub fn depth_update(diff: &DepthDiff, places: Places) -> String {
    Object::with_capacity(160 + 28 * (diff.bids.len() + diff.asks.len()))
        .text("e", "depthUpdate")
        .plain("E", diff.event_time_ms)
        .plain("T", diff.transaction_time_ms)
        .text("s", &diff.symbol)
        .plain("U", diff.first_update_id)
        .plain("u", diff.last_update_id)
        .plain("pu", diff.previous_last_update_id)
        .plain("b", levels(&diff.bids, places))
        .plain("a", levels(&diff.asks, places))
        .close()
}

pub fn book_ticker(ticker: &BookTicker, places: Places) -> String {
    Object::with_capacity(200)
        .text("e", "bookTicker")
        .plain("u", ticker.update_id)
        .text("s", &ticker.symbol)
        .quoted("b", ticker.bid.0.fixed(places.price))
        .quoted("B", ticker.bid.1.fixed(places.quantity))
        .quoted("a", ticker.ask.0.fixed(places.price))
        .quoted("A", ticker.ask.1.fixed(places.quantity))
        .plain("T", ticker.transaction_time_ms)
        .plain("E", ticker.event_time_ms)
        .close()
}

pub fn trade(trade: &PublicTrade, places: Places) -> String {
    Object::with_capacity(200)
        .text("e", "trade")
        .plain("E", trade.event_time_ms)
        .plain("T", trade.trade_time_ms)
        .text("s", &trade.symbol)
        .plain("t", trade.trade_id)
        .quoted("p", trade.price.fixed(places.price))
        .quoted("q", trade.quantity.fixed(places.quantity))
        .text("X", "MARKET")
        .plain("m", trade.buyer_is_maker)
        .close()
}

pub fn agg_trade(trade: &AggTrade, places: Places) -> String {
    Object::with_capacity(200)
        .text("e", "aggTrade")
        .plain("E", trade.event_time_ms)
        .text("s", &trade.symbol)
        .plain("a", trade.agg_trade_id)
        .quoted("p", trade.price.fixed(places.price))
        .quoted("q", trade.quantity.fixed(places.quantity))
        .plain("f", trade.first_trade_id)
        .plain("l", trade.last_trade_id)
        .plain("T", trade.trade_time_ms)
        .plain("m", trade.buyer_is_maker)
        .close()
}

pub fn mark_price(mark: &MarkPrice) -> String {
    Object::with_capacity(220)
        .text("e", "markPriceUpdate")
        .plain("E", mark.event_time_ms)
        .text("s", &mark.symbol)
        .quoted("p", mark.mark_price.fixed(8))
        .quoted("P", mark.mark_price.fixed(8))
        .quoted("i", mark.index_price.fixed(8))
        .quoted("r", mark.funding_rate.fixed(8))
        .plain("T", mark.next_funding_time_ms)
        .close()
}

fn levels(levels: &[PriceLevel], places: Places) -> String {
    let mut text = String::with_capacity(2 + 28 * levels.len());
    text.push('[');
    for (index, (price, quantity)) in levels.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}[\"{}\",\"{}\"]",
            price.fixed(places.price),
            quantity.fixed(places.quantity)
        );
    }
    text.push(']');
    text
}

// ------------------------------------------------------------------------------------------------ private stream

pub fn order_update(update: &OrderUpdate, places: Places) -> String {
    let order = &update.order;
    let mut out = Object::with_capacity(640)
        .text("s", &order.symbol)
        .text("c", &order.client_order_id)
        .quoted("S", order.side)
        .quoted("o", order.kind)
        .quoted("f", order.time_in_force)
        .quoted("q", order.original_quantity.fixed(places.quantity))
        .quoted("p", order.price.fixed(places.price))
        .quoted("ap", order.average_price().fixed(places.price))
        .quoted("sp", order.stop_price.fixed(places.price))
        .quoted("x", update.execution)
        .quoted("X", order.status)
        .plain("i", order.order_id)
        .quoted("l", update.last_quantity.fixed(places.quantity))
        .quoted("z", order.executed_quantity.fixed(places.quantity))
        .quoted("L", update.last_price.fixed(places.price));
    if let Some((amount, asset)) = &update.commission {
        out = out.quoted("n", amount.fixed(8)).text("N", asset);
    }
    if order.kind != order.original_kind && order.original_kind == OrderType::TrailingStopMarket {
        out = out.quoted("AP", order.stop_price.fixed(places.price));
    }
    let order = out
        .plain("T", update.transaction_time_ms)
        .plain("t", update.trade_id)
        .quoted("b", update.bids_notional)
        .quoted("a", update.asks_notional)
        .plain("m", update.maker)
        .plain("R", order.reduce_only)
        .quoted("wt", order.working_type)
        .quoted("ot", order.original_kind)
        .quoted("ps", order.position_side)
        .plain("cp", order.close_position)
        .quoted("rp", update.realized_pnl.fixed(8))
        .plain("pP", order.price_protect)
        .plain("si", 0)
        .plain("ss", 0)
        .quoted("V", order.self_trade_prevention)
        .text("pm", "NONE")
        .plain("gtd", order.good_till_date_ms)
        .quoted("er", update.expire_reason)
        .close();
    Object::with_capacity(order.len() + 96)
        .text("e", "ORDER_TRADE_UPDATE")
        .plain("T", update.transaction_time_ms)
        .plain("E", update.event_time_ms)
        .plain("o", order)
        .close()
}

/// `TRADE_LITE`: the fill alone, sent beside the full message. Proof of a trade, never of an order's state.
pub fn trade_lite(update: &OrderUpdate, places: Places) -> String {
    let order = &update.order;
    Object::with_capacity(256)
        .text("e", "TRADE_LITE")
        .plain("E", update.event_time_ms)
        .plain("T", update.transaction_time_ms)
        .text("s", &order.symbol)
        .quoted("q", order.original_quantity.fixed(places.quantity))
        .quoted("p", order.price.fixed(places.price))
        .plain("m", update.maker)
        .text("c", &order.client_order_id)
        .quoted("S", order.side)
        .quoted("L", update.last_price.fixed(places.price))
        .quoted("l", update.last_quantity.fixed(places.quantity))
        .plain("t", update.trade_id)
        .plain("i", order.order_id)
        .close()
}

/// `forceOrder`: a liquidation, as everybody hears of it.
pub fn force_order(order: &Order, places: Places) -> String {
    let inner = Object::with_capacity(240)
        .text("s", &order.symbol)
        .quoted("S", order.side)
        .quoted("o", order.kind)
        .quoted("f", order.time_in_force)
        .quoted("q", order.original_quantity.fixed(places.quantity))
        .quoted("p", order.price.fixed(places.price))
        .quoted("ap", order.average_price().fixed(places.price))
        .quoted("X", order.status)
        .quoted("l", order.executed_quantity.fixed(places.quantity))
        .quoted("z", order.executed_quantity.fixed(places.quantity))
        .plain("T", order.update_time_ms)
        .close();
    Object::new().text("e", "forceOrder").plain("E", order.update_time_ms).plain("o", inner).close()
}

pub fn account_update(update: &AccountUpdate, places: impl Fn(&str) -> Places) -> String {
    let balances = array(update.balances.iter().map(|balance| {
        Object::new()
            .text("a", &balance.asset)
            .quoted("wb", balance.wallet.fixed(8))
            .quoted("cw", balance.wallet.fixed(8))
            .quoted("bc", balance.change)
            .close()
    }));
    let positions = array(update.positions.iter().map(|position| {
        Object::new()
            .text("s", &position.symbol)
            .quoted("pa", position.quantity.fixed(places(&position.symbol).quantity))
            .quoted("ep", entry_price(position.entry_price))
            .quoted("cr", position.accumulated_realized.fixed(8))
            .quoted("up", position.unrealized_pnl.fixed(8))
            .text("mt", "cross")
            .quoted("iw", 0)
            .quoted("ps", position.position_side)
            .text("ma", "USDT")
            .quoted("bep", entry_price(position.break_even_price))
            .close()
    }));
    let inner = Object::with_capacity(512)
        .plain("B", balances)
        .plain("P", positions)
        .quoted("m", update.reason)
        .close();
    Object::with_capacity(inner.len() + 96)
        .text("e", "ACCOUNT_UPDATE")
        .plain("T", update.transaction_time_ms)
        .plain("E", update.event_time_ms)
        .plain("a", inner)
        .close()
}

pub fn leverage_update(now_ms: u64, symbol: &str, leverage: u32) -> String {
    let inner = Object::new().text("s", symbol).plain("l", leverage).close();
    Object::new()
        .text("e", "ACCOUNT_CONFIG_UPDATE")
        .plain("E", now_ms)
        .plain("T", now_ms)
        .plain("ac", inner)
        .close()
}

pub fn listen_key_expired(now_ms: u64, listen_key: &str) -> String {
    Object::new().text("e", "listenKeyExpired").plain("E", now_ms).text("listenKey", listen_key).close()
}

pub fn server_shutdown(now_ms: u64) -> String {
    Object::new().text("e", "serverShutdown").plain("E", now_ms).close()
}

// ------------------------------------------------------------------------------------------------ refusals

pub fn error_with(error: &ApiError, data: &str) -> String {
    Object::new().plain("code", error.code).text("msg", &error.msg).plain("data", data).close()
}

pub fn error(error: &ApiError) -> String {
    Object::new().plain("code", error.code).text("msg", &error.msg).close()
}
