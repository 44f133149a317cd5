//! What can be asked, what it costs, who may ask, and the answer: one table for REST and the WebSocket API.
//!
//! Weights are the documents' (USD-M futures, each endpoint's "Request Weight"). An [`Ask`] is answered at once, but for the order book,
//! which with a recording can be worth waiting for.

use super::super::*;
use super::floor::Floor;
use super::json::{Object, array};
use super::keys::ApiKey;
use super::params::Params;
use super::requests;
use super::shapes::{self, OrderAnswer, Version};

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
    /// Conditional orders: none can be placed here yet, so none waits and none is known.
    OpenAlgoOrders,
    QueryAlgoOrder,
    AllOrders,
    UserTrades,
    SetLeverage,
    PositionMode,
    SetPositionMode,
    MultiAssetsMode,
    CommissionRate,
    LeverageBracket,
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
            Ask::StartListenKey | Ask::RenewListenKey | Ask::CloseListenKey => Security::Key,
            _ => Security::Signed,
        }
    }

    /// Whether it counts against the account's order limits. (A batch counts as one here, by its request.)
    pub fn is_order(self) -> bool {
        matches!(self, Ask::Place | Ask::Modify | Ask::PlaceBatch | Ask::ModifyBatch)
    }

    pub fn weight(self, params: &Params) -> u32 {
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
            Ask::OpenOrders | Ask::OpenAlgoOrders => {
                if has_symbol {
                    1
                } else {
                    40
                }
            }
            Ask::PositionMode | Ask::MultiAssetsMode => 30,
            Ask::CommissionRate => 20,
            Ask::Cancel | Ask::CancelBatch | Ask::CancelAll | Ask::QueryOrder | Ask::OpenOrder => 1,
            Ask::SetLeverage | Ask::SetPositionMode | Ask::LeverageBracket | Ask::QueryAlgoOrder => 1,
        }
    }
}

/// The order book: the one answer that may have to wait.
pub async fn depth(floor: &Floor, params: &Params) -> Result<String, ApiError> {
    let symbol = requests::symbol(params)?;
    let limit = match params.integer("limit")? {
        None => None,
        Some(limit) => Some(u32::try_from(limit).map_err(|_| ApiError::DEPTH_LIMIT_INVALID)?),
    };
    let snapshot = floor.depth(&symbol, limit).await?;
    let places = floor.hub.borrow().places(&symbol);
    Ok(shapes::depth(&snapshot, places))
}

/// Every other answer. `key` is there when the ask needs one.
pub fn answer(floor: &Floor, ask: Ask, key: Option<&ApiKey>, params: &Params) -> Result<String, ApiError> {
    let account = || account_of(floor, key);
    let places = |symbol: &str| floor.hub.borrow().places(symbol);
    match ask {
        Ask::Ping => Ok("{}".into()),
        Ask::Time => Ok(Object::new().plain("serverTime", floor.shown_ms()).close()),
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
        Ask::StartListenKey => Ok(listen_key(&floor.start_listen_key(named(key)?.account))),
        Ask::RenewListenKey => Ok(listen_key(&floor.renew_listen_key(named(key)?.account)?)),
        Ask::CloseListenKey => {
            floor.close_listen_key(named(key)?.account);
            Ok("{}".into())
        }
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
        // Checked as far as parameters go; the engine is not asked, because it would do it.
        Ask::TestPlace => requests::place(params).map(|_| "{}".into()),
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
        Ask::OpenAlgoOrders => Ok(array(std::iter::empty::<String>())),
        Ask::QueryAlgoOrder => Err(ApiError::NO_SUCH_ORDER),
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
fn either(result: Result<String, ApiError>) -> String {
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
fn per_symbol(
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

fn account_of(floor: &Floor, key: Option<&ApiKey>) -> Result<AccountId, ApiError> {
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
fn unexpected(reply: &Reply) -> ApiError {
    debug_assert!(false, "unexpected reply {reply:?}");
    ApiError::UNKNOWN
}
