//! What can be asked, what it costs, who may ask, and the answer: one table for REST and the WebSocket API.
//!
//! Weights are the documents' (USD-M futures, each endpoint's "Request Weight"). An [`Ask`] is answered at once, but for the order book,
//! which with a recording can be worth waiting for.

use super::super::*;
use super::algos;
use super::floor::Floor;
use super::json::{Object, array};
use super::keys::ApiKey;
use super::limits::OrderCost;
use super::params::Params;
use super::refusal::Refusal;
use super::requests;
use super::shapes::{self, OrderAnswer, Version};
use super::spot;
use super::tickers::Day;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    BookTicker,
    PriceTicker,
    PremiumIndex,
    StartListenKey,
    RenewListenKey,
    CloseListenKey,
    Account(Version),
    Balance,
    PositionRisk(Version),
    Place,
    TestPlace,
    Modify,
    Cancel,
    CancelAll,
    /// Up to five places, modifies or cancels in one request, each with its own answer.
    PlaceBatch,
    ModifyBatch,
    CancelBatch,
    QueryOrder,
    OpenOrder,
    OpenOrders,
    AllOrders,
    UserTrades,
    SetLeverage,
    PositionMode,
    SetPositionMode,
    MultiAssetsMode,
    CommissionRate,
    LeverageBracket,
    AggTrades,
    Klines,
    DayTicker,
    AveragePrice,
    FundingRates,
    FundingInfo,
    OpenInterest,
    SetMarginType,
    SetMultiAssetsMode,
    AccountConfig,
    SymbolConfig,
    Income,
    ForceOrders,
    AdlQuantile,
    OrderCounts,
    CountdownCancelAll,
    PlaceAlgo,
    CancelAlgo,
    CancelAllAlgos,
    QueryAlgo,
    OpenAlgos,
    AllAlgos,
    /// Spot's two ways to change an order.
    CancelReplace,
    Amend,
}

/// What a request has to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Open,
    Key,
    Signed,
}

impl Ask {
    pub fn security(self) -> Security {
        match self {
            Ask::Ping | Ask::Time | Ask::ExchangeInfo | Ask::Depth | Ask::Trades => Security::Open,
            Ask::BookTicker | Ask::PriceTicker | Ask::PremiumIndex => Security::Open,
            Ask::AggTrades | Ask::Klines | Ask::DayTicker | Ask::AveragePrice => Security::Open,
            Ask::FundingRates | Ask::FundingInfo | Ask::OpenInterest => Security::Open,
            Ask::StartListenKey | Ask::RenewListenKey | Ask::CloseListenKey => Security::Key,
            _ => Security::Signed,
        }
    }

    /// What it counts against the account's order limits. (USD-M "Place Multiple Orders": five in ten seconds and one in the minute, whatever
    /// the batch holds; "New Order", "Modify Order", "New Algo Order": one and one.)
    pub fn order_cost(self) -> Option<OrderCost> {
        match self {
            Ask::Place | Ask::Modify | Ask::PlaceAlgo | Ask::CancelReplace => {
                Some(OrderCost { per_10_seconds: 1, other: 1 })
            }
            Ask::PlaceBatch | Ask::ModifyBatch => Some(OrderCost { per_10_seconds: 5, other: 1 }),
            _ => None,
        }
    }

    pub fn weight(self, product: Product, params: &Params) -> u32 {
        if product == Product::Spot {
            return spot::weight(self, params);
        }
        let has_symbol = params.raw("symbol").is_some();
        match self {
            Ask::Place | Ask::TestPlace | Ask::Modify => 0,
            Ask::Ping | Ask::Time | Ask::ExchangeInfo => 1,
            Ask::Depth => match params.raw("limit").map_or(500, |limit| limit.parse().unwrap_or(500)) {
                ..=50 => 2,
                51..=100 => 5,
                101..=500 => 10,
                _ => 20,
            },
            Ask::Trades | Ask::PlaceBatch | Ask::ModifyBatch => 5,
            Ask::BookTicker => {
                if has_symbol {
                    2
                } else {
                    5
                }
            }
            Ask::PriceTicker => {
                if has_symbol {
                    1
                } else {
                    2
                }
            }
            Ask::PremiumIndex => {
                if has_symbol {
                    1
                } else {
                    10
                }
            }
            Ask::StartListenKey | Ask::RenewListenKey | Ask::CloseListenKey => 1,
            Ask::Account(_) | Ask::Balance | Ask::PositionRisk(_) | Ask::AllOrders | Ask::UserTrades => 5,
            Ask::OpenOrders => {
                if has_symbol {
                    1
                } else {
                    40
                }
            }
            Ask::PositionMode | Ask::MultiAssetsMode => 30,
            Ask::CommissionRate => 20,
            Ask::Cancel | Ask::CancelBatch | Ask::CancelAll | Ask::QueryOrder | Ask::OpenOrder => 1,
            Ask::SetLeverage | Ask::SetPositionMode | Ask::LeverageBracket => 1,
            Ask::AggTrades | Ask::ForceOrders => 20,
            Ask::Klines => match params.raw("limit").map_or(500, |limit| limit.parse().unwrap_or(500)) {
                ..100 => 1,
                100..500 => 2,
                500..=1000 => 5,
                _ => 10,
            },
            Ask::DayTicker if !has_symbol => 40,
            Ask::Income => 30,
            Ask::CountdownCancelAll => 10,
            Ask::AccountConfig | Ask::SymbolConfig | Ask::AdlQuantile | Ask::AllAlgos => 5,
            Ask::OpenAlgos if !has_symbol => 40,
            // Counted as orders, not by weight.
            Ask::PlaceAlgo => 0,
            _ => 1,
        }
    }
}

/// The order book: the one answer that may have to wait.
pub async fn depth(floor: &Floor, params: &Params) -> Result<String, ApiError> {
    let symbol = requests::symbol(params)?;
    let limit = match params.integer("limit")? {
        _ if floor.product == Product::Spot => Some(spot::depth_limit(params)?),
        None => None,
        Some(limit) => Some(u32::try_from(limit).map_err(|_| ApiError::DEPTH_LIMIT_INVALID)?),
    };
    let snapshot = floor.depth(&symbol, limit).await?;
    let places = floor.hub.borrow().places(&symbol);
    Ok(match floor.product {
        Product::UsdmPerpetual => shapes::depth(&snapshot, places),
        Product::Spot => spot::shapes::depth(&snapshot),
    })
}

/// Every other answer. `key` is there when the ask needs one.
pub fn answer(floor: &Floor, ask: Ask, key: Option<&ApiKey>, params: &Params) -> Result<String, Refusal> {
    match (ask, floor.product) {
        (Ask::Ping, _) => Ok("{}".into()),
        (Ask::Time, _) => Ok(Object::new().plain("serverTime", floor.shown_ms()).close()),
        (Ask::Klines, product) => {
            let greatest = if product == Product::Spot { 1000 } else { 1500 };
            Ok(spot::kline_rows(floor, params, greatest)?)
        }
        (Ask::AggTrades, _) => Ok(spot::aggregate_rows(floor, params)?),
        (Ask::StartListenKey, _) => Ok(listen_key(&floor.start_listen_key(named(key)?.account))),
        (Ask::RenewListenKey, Product::UsdmPerpetual) => {
            Ok(listen_key(&floor.renew_listen_key(named(key)?.account)?))
        }
        (Ask::RenewListenKey, Product::Spot) => {
            floor.renew_listen_key(named(key)?.account)?;
            Ok("{}".into())
        }
        (Ask::CloseListenKey, _) => {
            floor.close_listen_key(named(key)?.account);
            Ok("{}".into())
        }
        (_, Product::Spot) => spot::answer(floor, ask, key, params),
        (_, Product::UsdmPerpetual) => Ok(usdm(floor, ask, key, params)?),
    }
}

fn usdm(floor: &Floor, ask: Ask, key: Option<&ApiKey>, params: &Params) -> Result<String, ApiError> {
    let account = || account_of(floor, key);
    let places = |symbol: &str| floor.hub.borrow().places(symbol);
    match ask {
        Ask::ExchangeInfo => Ok(floor.read(|exchange, now| {
            shapes::exchange_information(now / 1_000_000, &floor.limits.borrow().config, exchange.symbols())
        })),
        // Asked for through `depth`, which can wait.
        Ask::Depth => Err(ApiError::UNKNOWN),
        Ask::Trades => {
            let symbol = requests::symbol(params)?;
            let limit = requests::limit(params, 500, 1000)?;
            let trades = floor.read(|exchange, _| exchange.recent_trades(&symbol, limit))?;
            Ok(array(trades.iter().map(|trade| shapes::trade_answer(trade, places(&symbol)))))
        }
        Ask::BookTicker => per_symbol(floor, params, |exchange, now, symbol| {
            Ok(shapes::book_ticker_answer(&exchange.book_ticker(now, symbol)?, places(symbol)))
        }),
        Ask::PriceTicker => per_symbol(floor, params, |exchange, now, symbol| {
            let last = exchange.recent_trades(symbol, 1)?.pop();
            let (price, time_ms) = match last {
                Some(trade) => (trade.price, trade.trade_time_ms),
                None => (exchange.mark_price(now, symbol)?.mark_price, now / 1_000_000),
            };
            Ok(shapes::price_ticker(symbol, price, time_ms, places(symbol)))
        }),
        Ask::PremiumIndex => per_symbol(floor, params, |exchange, now, symbol| {
            Ok(shapes::premium_index(&exchange.mark_price(now, symbol)?, now / 1_000_000))
        }),
        Ask::Account(version) => match floor.execute(account()?, Command::Account)? {
            Reply::Account(account) => Ok(shapes::account(&account, version, places)),
            other => Err(unexpected(&other)),
        },
        Ask::Balance => match floor.execute(account()?, Command::Balances)? {
            Reply::Balances(balances) => Ok(shapes::balances(&balances)),
            other => Err(unexpected(&other)),
        },
        Ask::PositionRisk(version) => match floor.execute(account()?, requests::position_risk(params)?)? {
            Reply::Positions(positions) => Ok(shapes::positions(&positions, version, places)),
            other => Err(unexpected(&other)),
        },
        Ask::PlaceBatch => batch(floor, account()?, requests::batch(params)?, requests::place),
        Ask::ModifyBatch => batch(floor, account()?, requests::batch(params)?, |params| {
            Ok((requests::modify(params)?, OrderAnswer::Modified))
        }),
        Ask::CancelBatch => {
            let account = account()?;
            let cancels = requests::cancel_batch(params)?;
            let one = |command| either(one_order(floor, account, command, OrderAnswer::Canceled));
            Ok(array(cancels.into_iter().map(one)))
        }
        Ask::Place => {
            let (command, how) = requests::place(params)?;
            one_order(floor, account()?, command, how)
        }
        Ask::TestPlace => match requests::place(params)?.0 {
            Command::Place(new) => floor.execute(account()?, Command::Test(new)).map(|_| "{}".into()),
            _ => Err(ApiError::UNKNOWN),
        },
        Ask::Modify => one_order(floor, account()?, requests::modify(params)?, OrderAnswer::Modified),
        Ask::Cancel => one_order(floor, account()?, requests::cancel(params)?, OrderAnswer::Canceled),
        Ask::CancelAll => {
            floor.execute(account()?, requests::cancel_all(params)?).map(|_| shapes::canceled_all())
        }
        Ask::QueryOrder => one_order(floor, account()?, requests::query_order(params)?, OrderAnswer::Queried),
        Ask::OpenOrder => {
            one_order(floor, account()?, requests::query_open_order(params)?, OrderAnswer::Queried)
        }
        Ask::OpenOrders => orders(floor, account()?, requests::open_orders(params)?),
        Ask::AllOrders => orders(floor, account()?, requests::all_orders(params)?),
        Ask::UserTrades => match floor.execute(account()?, requests::user_trades(params)?)? {
            Reply::Trades(trades) => {
                Ok(array(trades.iter().map(|trade| shapes::user_trade(trade, places(&trade.symbol)))))
            }
            other => Err(unexpected(&other)),
        },
        Ask::SetLeverage => match floor.execute(account()?, requests::set_leverage(params)?)? {
            Reply::Leverage { symbol, leverage, max_notional } => Ok(Object::new()
                .plain("leverage", leverage)
                .quoted("maxNotionalValue", max_notional)
                .text("symbol", &symbol)
                .close()),
            other => Err(unexpected(&other)),
        },
        Ask::PositionMode => match floor.execute(account()?, Command::PositionMode)? {
            Reply::PositionMode { dual } => Ok(Object::new().plain("dualSidePosition", dual).close()),
            other => Err(unexpected(&other)),
        },
        Ask::SetPositionMode => {
            floor.execute(account()?, requests::set_position_mode(params)?).map(|_| shapes::done("success"))
        }
        Ask::MultiAssetsMode => account().map(|_| Object::new().plain("multiAssetsMargin", false).close()),
        Ask::CommissionRate => match floor.execute(account()?, requests::commission_rate(params)?)? {
            Reply::CommissionRate { symbol, maker, taker } => Ok(Object::new()
                .text("symbol", &symbol)
                .quoted("makerCommissionRate", maker.fixed(6))
                .quoted("takerCommissionRate", taker.fixed(6))
                .quoted("rpiCommissionRate", "0.000000")
                .close()),
            other => Err(unexpected(&other)),
        },
        Ask::DayTicker => per_symbol(floor, params, |exchange, now, symbol| {
            let day = Day::of(exchange.instrument(symbol)?, now / 1_000_000);
            Ok(day.answer(Product::UsdmPerpetual))
        }),
        Ask::FundingRates => funding_rates(floor, params),
        Ask::FundingInfo => {
            Ok(floor.read(|exchange, _| array(exchange.symbols().iter().map(shapes::funding_info))))
        }
        Ask::OpenInterest => {
            let symbol = requests::symbol(params)?;
            let (held, now) = floor.read(|exchange, now| (exchange.open_interest(&symbol), now));
            Ok(shapes::open_interest(&symbol, held?, now / 1_000_000, places(&symbol)))
        }
        Ask::SetMarginType => set_margin_type(floor, account()?, params),
        Ask::SetMultiAssetsMode => {
            account()?;
            params.mandatory("multiAssetsMargin")?;
            match params.boolean("multiAssetsMargin")? {
                Some(true) => Err(ApiError::UNSUPPORTED_OPERATION),
                _ => Err(ApiError::MULTI_ASSETS_UNCHANGED),
            }
        }
        Ask::AccountConfig => match floor.execute(account()?, Command::Account)? {
            Reply::Account(account) => Ok(shapes::account_config(&account)),
            other => Err(unexpected(&other)),
        },
        Ask::SymbolConfig => match floor.execute(account()?, requests::position_risk(params)?)? {
            Reply::Positions(positions) => Ok(shapes::symbol_configs(&positions)),
            other => Err(unexpected(&other)),
        },
        Ask::Income => match floor.execute(account()?, requests::income(params)?)? {
            Reply::Income(incomes) => Ok(array(incomes.iter().map(shapes::income))),
            other => Err(unexpected(&other)),
        },
        Ask::ForceOrders => orders(floor, account()?, requests::force_orders(params)?),
        Ask::AdlQuantile => match floor.execute(account()?, requests::position_risk(params)?)? {
            Reply::Positions(positions) => Ok(shapes::adl_quantiles(&positions)),
            other => Err(unexpected(&other)),
        },
        Ask::OrderCounts => Ok(array(floor.order_limits(u32::from(account()?.0)))),
        Ask::CountdownCancelAll => match floor.execute(account()?, requests::countdown(params)?)? {
            Reply::Countdown { symbol, after_ms } => {
                Ok(Object::new().text("symbol", &symbol).quoted("countdownTime", after_ms).close())
            }
            other => Err(unexpected(&other)),
        },
        Ask::PlaceAlgo => one_algo(floor, account()?, algos::place(params)?, algos::accepted),
        Ask::CancelAlgo => {
            let cancel = Command::CancelAlgo { algo: algos::reference(params)? };
            one_algo(floor, account()?, cancel, |algo, _| algos::canceled(algo))
        }
        Ask::QueryAlgo => {
            let query = Command::QueryAlgo { algo: algos::reference(params)? };
            one_algo(floor, account()?, query, algos::queried)
        }
        Ask::CancelAllAlgos => {
            let command = Command::CancelAllAlgos { symbol: requests::symbol(params)? };
            floor.execute(account()?, command).map(|_| shapes::canceled_all())
        }
        Ask::OpenAlgos => {
            algos::check_kind(params)?;
            all_algos(floor, account()?, Command::OpenAlgos { symbol: requests::optional_symbol(params)? })
        }
        Ask::AllAlgos => {
            let window = requests::window(params, "algoId", 500)?;
            let command = Command::AllAlgos { symbol: requests::symbol(params)?, window };
            all_algos(floor, account()?, command)
        }
        // Answered for both products above, or spot's alone.
        Ask::Ping
        | Ask::Time
        | Ask::Klines
        | Ask::AggTrades
        | Ask::AveragePrice
        | Ask::StartListenKey
        | Ask::RenewListenKey
        | Ask::CloseListenKey
        | Ask::CancelReplace
        | Ask::Amend => Err(ApiError::UNSUPPORTED_OPERATION),
        Ask::LeverageBracket => {
            account()?;
            let symbol = requests::optional_symbol(params)?;
            let brackets: Vec<String> = floor.read(|exchange, _| {
                let wanted = |spec: &&SymbolSpec| symbol.as_ref().is_none_or(|symbol| spec.symbol == *symbol);
                exchange.symbols().iter().filter(wanted).map(shapes::leverage_brackets).collect()
            });
            if brackets.is_empty() { Err(ApiError::INVALID_SYMBOL) } else { Ok(array(brackets)) }
        }
    }
}

fn one_order(
    floor: &Floor,
    account: AccountId,
    command: Command,
    how: OrderAnswer,
) -> Result<String, ApiError> {
    match floor.execute(account, command)? {
        Reply::Order(order) => Ok(shapes::order(&order, floor.hub.borrow().places(&order.symbol), how)),
        other => Err(unexpected(&other)),
    }
}

fn one_algo(
    floor: &Floor,
    account: AccountId,
    command: Command,
    shape: impl Fn(&Algo, shapes::Places) -> String,
) -> Result<String, ApiError> {
    match floor.execute(account, command)? {
        Reply::Algo(algo) => Ok(shape(&algo, floor.hub.borrow().places(&algo.order.symbol))),
        other => Err(unexpected(&other)),
    }
}

fn all_algos(floor: &Floor, account: AccountId, command: Command) -> Result<String, ApiError> {
    match floor.execute(account, command)? {
        Reply::Algos(all) => {
            let hub = floor.hub.borrow();
            Ok(algos::list(&all, |symbol| hub.places(symbol)))
        }
        other => Err(unexpected(&other)),
    }
}

fn funding_rates(floor: &Floor, params: &Params) -> Result<String, ApiError> {
    let symbol = requests::optional_symbol(params)?;
    let limit = requests::limit(params, 100, 1000)? as usize;
    floor.read(|exchange, _| {
        let names: Vec<Symbol> = match &symbol {
            Some(symbol) => vec![symbol.clone()],
            None => exchange.symbols().iter().map(|spec| spec.symbol.clone()).collect(),
        };
        let mut rows = Vec::new();
        for name in names {
            let fundings = &exchange.instrument(&name)?.tape.fundings;
            let skip = fundings.len().saturating_sub(limit);
            rows.extend(fundings.iter().skip(skip).map(shapes::funding_rate));
        }
        Ok(array(rows))
    })
}

/// There is cross margin only, which is what an account has from the beginning.
fn set_margin_type(floor: &Floor, account: AccountId, params: &Params) -> Result<String, ApiError> {
    let symbol = requests::symbol(params)?;
    floor.execute(account, Command::PositionRisk { symbol: Some(symbol) })?;
    match params.mandatory("marginType")? {
        "CROSSED" => Err(ApiError::MARGIN_TYPE_UNCHANGED),
        "ISOLATED" => Err(ApiError::UNSUPPORTED_OPERATION),
        _ => Err(super::params::malformed("marginType")),
    }
}

/// Each order by itself: one that is refused does not stop the next.
fn batch(
    floor: &Floor,
    account: AccountId,
    each: Vec<Params>,
    read: fn(&Params) -> Result<(Command, OrderAnswer), ApiError>,
) -> Result<String, ApiError> {
    let one = |params: Params| {
        either(read(&params).and_then(|(command, how)| one_order(floor, account, command, how)))
    };
    Ok(array(each.into_iter().map(one)))
}

/// An answer in a list: the order, or the code and text of its refusal.
pub fn either(result: Result<String, ApiError>) -> String {
    result.unwrap_or_else(|refusal| shapes::error(&refusal))
}

fn orders(floor: &Floor, account: AccountId, command: Command) -> Result<String, ApiError> {
    match floor.execute(account, command)? {
        Reply::Orders(orders) => {
            let hub = floor.hub.borrow();
            let shape = |order: &Order| shapes::order(order, hub.places(&order.symbol), OrderAnswer::Queried);
            Ok(array(orders.iter().map(shape)))
        }
        other => Err(unexpected(&other)),
    }
}

/// One object for a named symbol, a list of all without one.
pub fn per_symbol(
    floor: &Floor,
    params: &Params,
    shape: impl Fn(&Exchange, u64, &str) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    let symbol = requests::optional_symbol(params)?;
    floor.read(|exchange, now| match &symbol {
        Some(symbol) => shape(exchange, now, symbol),
        None => {
            let all = exchange.symbols().iter().map(|spec| shape(exchange, now, &spec.symbol));
            Ok(array(all.collect::<Result<Vec<_>, _>>()?))
        }
    })
}

pub fn account_of(floor: &Floor, key: Option<&ApiKey>) -> Result<AccountId, ApiError> {
    let account = AccountId(u16::try_from(named(key)?.account).map_err(|_| ApiError::REJECTED_API_KEY)?);
    // A keys file may name an account that the exchange was not configured with.
    if floor.read(|exchange, _| exchange.has_account(account)) {
        Ok(account)
    } else {
        Err(ApiError::REJECTED_API_KEY)
    }
}

fn named(key: Option<&ApiKey>) -> Result<&ApiKey, ApiError> {
    key.ok_or(ApiError::BAD_API_KEY_FORMAT)
}

fn listen_key(text: &str) -> String {
    Object::new().text("listenKey", text).close()
}

/// The engine answered a question that was not asked: a bug of ours, told as the exchange tells its own.
pub fn unexpected(reply: &Reply) -> ApiError {
    debug_assert!(false, "unexpected reply {reply:?}");
    ApiError::UNKNOWN
}
