//! Spot's dialect of the front: `/api/v3`, `/ws-api/v3`, and the private events that come over the WebSocket API.
//!
//! Endpoints, methods, weights and answers follow the exchange's spot documents ("REST API", "WebSocket API", "User Data Streams"). The engine behind is
//! the one that USD-M has; [`words`] says what is called differently, [`shapes`] how it looks.

pub mod requests;
pub mod shapes;
pub mod words;

use super::super::*;
use super::answers::{Ask, account_of, either, per_symbol, unexpected};
use super::floor::Floor;
use super::json::{Object, array};
use super::keys::ApiKey;
use super::params::{Params, malformed};
use super::refusal::Refusal;
use super::shapes::Version;
use super::tickers::{self, Day};
use shapes::Told;

pub const ENDPOINTS: &[(&str, &str, Ask)] = &[
    ("GET", "/api/v3/ping", Ask::Ping),
    ("GET", "/api/v3/time", Ask::Time),
    ("GET", "/api/v3/exchangeInfo", Ask::ExchangeInfo),
    ("GET", "/api/v3/depth", Ask::Depth),
    ("GET", "/api/v3/trades", Ask::Trades),
    ("GET", "/api/v3/historicalTrades", Ask::Trades),
    ("GET", "/api/v3/aggTrades", Ask::AggTrades),
    ("GET", "/api/v3/klines", Ask::Klines),
    ("GET", "/api/v3/uiKlines", Ask::Klines),
    ("GET", "/api/v3/avgPrice", Ask::AveragePrice),
    ("GET", "/api/v3/ticker/24hr", Ask::DayTicker),
    ("GET", "/api/v3/ticker/price", Ask::PriceTicker),
    ("GET", "/api/v3/ticker/bookTicker", Ask::BookTicker),
    ("POST", "/api/v3/userDataStream", Ask::StartListenKey),
    ("PUT", "/api/v3/userDataStream", Ask::RenewListenKey),
    ("DELETE", "/api/v3/userDataStream", Ask::CloseListenKey),
    ("POST", "/api/v3/order", Ask::Place),
    ("POST", "/api/v3/order/test", Ask::TestPlace),
    ("DELETE", "/api/v3/order", Ask::Cancel),
    ("GET", "/api/v3/order", Ask::QueryOrder),
    ("POST", "/api/v3/order/cancelReplace", Ask::CancelReplace),
    ("PUT", "/api/v3/order/amend/keepPriority", Ask::Amend),
    ("DELETE", "/api/v3/openOrders", Ask::CancelAll),
    ("GET", "/api/v3/openOrders", Ask::OpenOrders),
    ("GET", "/api/v3/allOrders", Ask::AllOrders),
    ("GET", "/api/v3/myTrades", Ask::UserTrades),
    ("GET", "/api/v3/account", Ask::Account(Version::V3)),
    ("GET", "/api/v3/account/commission", Ask::CommissionRate),
    ("GET", "/api/v3/rateLimit/order", Ask::OrderCounts),
];

pub const METHODS: &[(&str, Ask)] = &[
    ("ping", Ask::Ping),
    ("time", Ask::Time),
    ("exchangeInfo", Ask::ExchangeInfo),
    ("depth", Ask::Depth),
    ("trades.recent", Ask::Trades),
    ("trades.historical", Ask::Trades),
    ("trades.aggregate", Ask::AggTrades),
    ("klines", Ask::Klines),
    ("uiKlines", Ask::Klines),
    ("avgPrice", Ask::AveragePrice),
    ("ticker.24hr", Ask::DayTicker),
    ("ticker.price", Ask::PriceTicker),
    ("ticker.book", Ask::BookTicker),
    ("order.place", Ask::Place),
    ("order.test", Ask::TestPlace),
    ("order.cancel", Ask::Cancel),
    ("order.status", Ask::QueryOrder),
    ("order.cancelReplace", Ask::CancelReplace),
    ("order.amend.keepPriority", Ask::Amend),
    ("openOrders.cancelAll", Ask::CancelAll),
    ("openOrders.status", Ask::OpenOrders),
    ("allOrders", Ask::AllOrders),
    ("myTrades", Ask::UserTrades),
    ("account.status", Ask::Account(Version::V3)),
    ("account.commission", Ask::CommissionRate),
    ("account.rateLimits.orders", Ask::OrderCounts),
    ("userDataStream.start", Ask::StartListenKey),
    ("userDataStream.ping", Ask::RenewListenKey),
    ("userDataStream.stop", Ask::CloseListenKey),
];

/// Each endpoint's documented weight.
pub fn weight(ask: Ask, params: &Params) -> u32 {
    let one_or_all = |one, all| if params.raw("symbol").is_some() { one } else { all };
    match ask {
        Ask::ExchangeInfo | Ask::Account(_) | Ask::AllOrders | Ask::UserTrades | Ask::CommissionRate => 20,
        Ask::Depth => match params.raw("limit").map_or(100, |limit| limit.parse().unwrap_or(100)) {
            ..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        },
        Ask::Trades => 25,
        Ask::AggTrades | Ask::QueryOrder | Ask::Amend => 4,
        Ask::Klines | Ask::AveragePrice => 2,
        Ask::DayTicker => one_or_all(2, 80),
        Ask::PriceTicker | Ask::BookTicker => one_or_all(2, 4),
        Ask::OpenOrders => one_or_all(6, 80),
        Ask::OrderCounts => 40,
        Ask::StartListenKey | Ask::RenewListenKey | Ask::CloseListenKey => 2,
        _ => 1,
    }
}

pub fn depth_limit(params: &Params) -> Result<u32, ApiError> {
    super::requests::limit(params, 100, 5_000)
}

/// Every answer but the order book's and those that both products share.
pub fn answer(floor: &Floor, ask: Ask, key: Option<&ApiKey>, params: &Params) -> Result<String, Refusal> {
    let is_market = params.raw("type") == Some("MARKET");
    let told = match ask {
        Ask::CancelReplace => return cancel_replace(floor, account_of(floor, key)?, params),
        _ => answer_in_engine_words(floor, ask, key, params),
    };
    told.map_err(|error| words::refusal(error, is_market).into())
}

fn answer_in_engine_words(
    floor: &Floor,
    ask: Ask,
    key: Option<&ApiKey>,
    params: &Params,
) -> Result<String, ApiError> {
    let account = || account_of(floor, key);
    let execute = |command| floor.execute(account()?, command);
    match ask {
        Ask::ExchangeInfo => {
            let wanted = named_symbols(params)?;
            floor.read(|exchange, now| {
                if let Some(wanted) = &wanted
                    && wanted.iter().any(|name| exchange.instrument(name).is_err())
                {
                    return Err(ApiError::INVALID_SYMBOL);
                }
                let shown = exchange
                    .symbols()
                    .iter()
                    .filter(|spec| wanted.as_ref().is_none_or(|wanted| wanted.contains(&spec.symbol)));
                let limits = floor.limits.borrow();
                Ok(shapes::exchange_information(now / 1_000_000, &limits.config, shown))
            })
        }
        Ask::Trades => {
            let symbol = super::requests::symbol(params)?;
            let limit = super::requests::limit(params, 500, 1000)?;
            let trades = floor.read(|exchange, _| exchange.recent_trades(&symbol, limit))?;
            Ok(array(trades.iter().map(shapes::trade_row)))
        }
        Ask::AveragePrice => {
            let symbol = super::requests::symbol(params)?;
            floor.read(|exchange, now| {
                let price = exchange.instrument(&symbol)?.average_price(now / 1_000_000);
                Ok(shapes::average_price(price, now / 1_000_000))
            })
        }
        Ask::BookTicker => for_symbols(floor, params, |exchange, now, symbol| {
            Ok(shapes::book_ticker_answer(&exchange.book_ticker(now, symbol)?))
        }),
        Ask::PriceTicker => for_symbols(floor, params, |exchange, now, symbol| {
            let day = exchange.instrument(symbol)?.day(now / 1_000_000);
            Ok(shapes::price_ticker(symbol, day.close))
        }),
        Ask::DayTicker => for_symbols(floor, params, |exchange, now, symbol| {
            Ok(Day::of(exchange.instrument(symbol)?, now / 1_000_000).answer(Product::Spot))
        }),
        Ask::Place => {
            let (order, told) = requests::place(params)?;
            place(floor, account()?, order, told)
        }
        Ask::TestPlace => {
            let (order, _) = requests::place(params)?;
            execute(Command::Test(order)).map(|_| "{}".to_owned())
        }
        Ask::Cancel => match execute(requests::cancel(params)?)? {
            Reply::Order(order) => Ok(shapes::canceled(&order)),
            other => Err(unexpected(&other)),
        },
        Ask::CancelAll => cancel_all(floor, account()?, super::requests::symbol(params)?),
        Ask::Amend => match execute(requests::amend(params)?)? {
            Reply::Order(order) => Ok(shapes::amended(&order, floor.next_execution_id())),
            other => Err(unexpected(&other)),
        },
        Ask::QueryOrder => match execute(super::requests::query_order(params)?)? {
            Reply::Order(order) => Ok(shapes::queried(&order)),
            other => Err(unexpected(&other)),
        },
        Ask::OpenOrders => orders(execute(super::requests::open_orders(params)?)?),
        Ask::AllOrders => orders(execute(super::requests::all_orders(params)?)?),
        Ask::UserTrades => match execute(super::requests::user_trades(params)?)? {
            Reply::Trades(trades) => Ok(array(trades.iter().map(shapes::my_trade))),
            other => Err(unexpected(&other)),
        },
        Ask::Account(_) => {
            let omit_zero = params.boolean("omitZeroBalances")?.unwrap_or(false);
            let account = account()?;
            match floor.execute(account, Command::Funds)? {
                Reply::Funds(funds) => Ok(shapes::account(&funds, u32::from(account.0), omit_zero)),
                other => Err(unexpected(&other)),
            }
        }
        Ask::CommissionRate => match execute(super::requests::commission_rate(params)?)? {
            Reply::CommissionRate { symbol, maker, taker } => Ok(shapes::commission(&symbol, maker, taker)),
            other => Err(unexpected(&other)),
        },
        Ask::OrderCounts => {
            let account = u32::from(account()?.0);
            Ok(array(floor.order_limits(account)))
        }
        _ => Err(ApiError::UNSUPPORTED_OPERATION),
    }
}

fn place(floor: &Floor, account: AccountId, order: NewOrder, told: Told) -> Result<String, ApiError> {
    match floor.execute(account, Command::Place(order))? {
        Reply::Order(order) => {
            let fills = match told {
                Told::Full => fills_of(floor, account, &order)?,
                Told::Ack | Told::Result => Vec::new(),
            };
            Ok(shapes::placed(&order, &fills, told))
        }
        other => Err(unexpected(&other)),
    }
}

fn fills_of(floor: &Floor, account: AccountId, order: &Order) -> Result<Vec<UserTrade>, ApiError> {
    if order.executed_quantity.is_zero() {
        return Ok(Vec::new());
    }
    let window = Window { limit: Some(1000), ..Window::default() };
    let ask = Command::UserTrades { symbol: order.symbol.clone(), order_id: Some(order.order_id), window };
    match floor.execute(account, ask)? {
        Reply::Trades(trades) => Ok(trades),
        other => Err(unexpected(&other)),
    }
}

fn orders(reply: Reply) -> Result<String, ApiError> {
    match reply {
        Reply::Orders(orders) => Ok(array(orders.iter().map(shapes::queried))),
        other => Err(unexpected(&other)),
    }
}

/// Spot tells each order that was cancelled; that there was none is an error.
fn cancel_all(floor: &Floor, account: AccountId, symbol: Symbol) -> Result<String, ApiError> {
    let open = match floor.execute(account, Command::OpenOrders { symbol: Some(symbol.clone()) })? {
        Reply::Orders(open) => open,
        other => return Err(unexpected(&other)),
    };
    if open.is_empty() {
        return Err(ApiError::CANCEL_REJECTED);
    }
    let mut told = Vec::with_capacity(open.len());
    for order in open {
        let cancel =
            Command::Cancel { symbol: symbol.clone(), order: OrderRef::Id(order.order_id), name: None };
        if let Reply::Order(order) = floor.execute(account, cancel)? {
            told.push(shapes::canceled(&order));
        }
    }
    Ok(array(told))
}

/// Both halves in one request; what failed is told with what did not ("-2021", "-2022").
fn cancel_replace(floor: &Floor, account: AccountId, params: &Params) -> Result<String, Refusal> {
    let asked = requests::cancel_replace(params).map_err(|error| words::refusal(error, false))?;
    let canceled = floor
        .execute(account, asked.cancel)
        .and_then(|reply| match reply {
            Reply::Order(order) => Ok(shapes::canceled(&order)),
            other => Err(unexpected(&other)),
        })
        .map_err(|error| words::refusal(error, false));
    let is_market = asked.place.kind == OrderType::Market;
    let placed = match (&canceled, asked.stop_on_failure) {
        (Err(_), true) => None,
        _ => Some(
            place(floor, account, asked.place, asked.told).map_err(|error| words::refusal(error, is_market)),
        ),
    };
    let result = |failed: bool| if failed { "FAILURE" } else { "SUCCESS" };
    let (cancel_failed, place_failed) = (canceled.is_err(), placed.as_ref().is_some_and(Result::is_err));
    let told = Object::new()
        .text("cancelResult", result(cancel_failed))
        .text("newOrderResult", if placed.is_none() { "NOT_ATTEMPTED" } else { result(place_failed) })
        .plain("cancelResponse", either(canceled))
        .plain("newOrderResponse", placed.map_or_else(|| "null".to_owned(), either))
        .close();
    let refused = |status, error| Refusal { status, error, retry_after_ms: None, data: Some(told.clone()) };
    match (cancel_failed, place_failed) {
        (false, false) => Ok(told),
        (true, false) if !asked.stop_on_failure => {
            Err(refused(409, ApiError::new(-2021, "Order cancel-replace partially failed.")))
        }
        (false, true) => Err(refused(409, ApiError::new(-2021, "Order cancel-replace partially failed."))),
        _ => Err(refused(400, ApiError::new(-2022, "Order cancel-replace failed."))),
    }
}

/// `symbol` or `symbols=["A","B"]`; `None`: all.
fn named_symbols(params: &Params) -> Result<Option<Vec<Symbol>>, ApiError> {
    if let Some(symbol) = super::requests::optional_symbol(params)? {
        return Ok(Some(vec![symbol]));
    }
    let Some(text) = params.optional("symbols")? else { return Ok(None) };
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| malformed("symbols"))?;
    Ok(Some(names.into_iter().map(Into::into).collect()))
}

/// An object for one `symbol`, a list for several or all.
fn for_symbols(
    floor: &Floor,
    params: &Params,
    shape: impl Fn(&Exchange, u64, &str) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    if params.raw("symbols").is_none() {
        return per_symbol(floor, params, shape);
    }
    let names = named_symbols(params)?.unwrap_or_default();
    floor.read(|exchange, now| {
        let all: Result<Vec<_>, _> = names.iter().map(|name| shape(exchange, now, name)).collect();
        Ok(array(all?))
    })
}

/// Rows of `klines` and `aggTrades`, which both products answer alike.
pub(super) fn kline_rows(floor: &Floor, params: &Params, greatest: u32) -> Result<String, ApiError> {
    let symbol = super::requests::symbol(params)?;
    let interval = tickers::interval(params.mandatory("interval")?)
        .ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
    let limit = super::requests::limit(params, 500, greatest)? as usize;
    let (start, end) = (params.integer("startTime")?, params.integer("endTime")?);
    floor.read(|exchange, now| {
        let instrument = exchange.instrument(&symbol)?;
        let length = tickers::length_ms(interval);
        let end_ms = end.unwrap_or(u64::MAX).min(now / 1_000_000);
        let start_ms = start.unwrap_or_else(|| end_ms.saturating_sub(length * limit as u64));
        let candles = instrument.candles(length / 60_000, start_ms, end_ms);
        let places = super::shapes::Places::of(&instrument.spec);
        let skip = if start.is_some() { 0 } else { candles.len().saturating_sub(limit) };
        let shown = candles.iter().skip(skip).take(limit);
        Ok(array(shown.map(|candle| tickers::kline_row(candle, interval, places))))
    })
}

pub(super) fn aggregate_rows(floor: &Floor, params: &Params) -> Result<String, ApiError> {
    let symbol = super::requests::symbol(params)?;
    let limit = super::requests::limit(params, 500, 1000)? as usize;
    let from = params.integer("fromId")?;
    let (start, end) = (params.integer("startTime")?, params.integer("endTime")?);
    floor.read(|exchange, _| {
        let instrument = exchange.instrument(&symbol)?;
        let inside: Vec<&AggTrade> = instrument
            .tape
            .recent_aggregates
            .iter()
            .filter(|trade| {
                from.is_none_or(|id| trade.agg_trade_id >= id)
                    && start.is_none_or(|start| trade.trade_time_ms >= start)
                    && end.is_none_or(|end| trade.trade_time_ms <= end)
            })
            .collect();
        let anchored = from.is_some() || start.is_some();
        let skip = if anchored { 0 } else { inside.len().saturating_sub(limit) };
        let places = super::shapes::Places::of(&instrument.spec);
        let product = instrument.spec.product;
        let shown = inside.into_iter().skip(skip).take(limit);
        Ok(array(shown.map(|trade| tickers::aggregate_row(trade, product, places))))
    })
}
