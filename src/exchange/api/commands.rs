//! Requests of one account, typed.

use serde::{Deserialize, Serialize};

use super::super::decimal::Decimal;
use super::*;

/// A request of one account. Parameters are typed; that a text is no number, side or type is the front's to refuse.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    Place(NewOrder),
    /// All checks of a place, and nothing else.
    Test(NewOrder),
    Modify(ModifyOrder),
    Cancel {
        symbol: Symbol,
        order: OrderRef,
        /// What the cancel itself is called, on spot.
        name: Option<String>,
    },
    CancelAll {
        symbol: Symbol,
    },
    /// Less of an open order that keeps its place, on spot.
    Amend {
        symbol: Symbol,
        order: OrderRef,
        quantity: Decimal,
        name: Option<String>,
    },
    /// A conditional order beside the book, on USD-M: it becomes an order when its price is reached.
    PlaceAlgo(NewOrder),
    CancelAlgo {
        algo: OrderRef,
    },
    CancelAllAlgos {
        symbol: Symbol,
    },
    QueryAlgo {
        algo: OrderRef,
    },
    OpenAlgos {
        symbol: Option<Symbol>,
    },
    AllAlgos {
        symbol: Symbol,
        window: Window,
    },
    /// Cancels all orders of the symbol when it is not asked again in time; zero stops the clock.
    CountdownCancelAll {
        symbol: Symbol,
        after_ms: u64,
    },
    Income {
        symbol: Option<Symbol>,
        kind: Option<IncomeKind>,
        window: Window,
    },
    /// Orders by which the venue closed positions.
    ForceOrders {
        symbol: Option<Symbol>,
        window: Window,
    },
    /// Everything that an account has on spot.
    Funds,
    /// Any order that history still has (`GET /order`, `order.status`).
    QueryOrder {
        symbol: Symbol,
        order: OrderRef,
    },
    /// An open order only (`GET /openOrder`).
    QueryOpenOrder {
        symbol: Symbol,
        order: OrderRef,
    },
    OpenOrders {
        symbol: Option<Symbol>,
    },
    AllOrders {
        symbol: Symbol,
        window: Window,
    },
    UserTrades {
        symbol: Symbol,
        order_id: Option<u64>,
        window: Window,
    },
    Account,
    Balances,
    PositionRisk {
        symbol: Option<Symbol>,
    },
    SetLeverage {
        symbol: Symbol,
        leverage: u32,
    },
    PositionMode,
    /// `dual`: hedge mode, with a long and a short position side by side.
    SetPositionMode {
        dual: bool,
    },
    CommissionRate {
        symbol: Symbol,
    },
}

impl Command {
    /// Whether it asks for a new order.
    pub fn places(&self) -> bool {
        matches!(self, Command::Place(_) | Command::PlaceAlgo(_))
    }

    /// Whether it is more than a question. A command that is refused counts: the refusal may be all that it changes, or not.
    pub fn changes_something(&self) -> bool {
        match self {
            Command::Place(_)
            | Command::Modify(_)
            | Command::Cancel { .. }
            | Command::CancelAll { .. }
            | Command::Amend { .. }
            | Command::PlaceAlgo(_)
            | Command::CancelAlgo { .. }
            | Command::CancelAllAlgos { .. }
            | Command::CountdownCancelAll { .. }
            | Command::SetLeverage { .. }
            | Command::SetPositionMode { .. } => true,
            Command::Test(_)
            | Command::QueryAlgo { .. }
            | Command::OpenAlgos { .. }
            | Command::AllAlgos { .. }
            | Command::Income { .. }
            | Command::ForceOrders { .. }
            | Command::Funds
            | Command::QueryOrder { .. }
            | Command::QueryOpenOrder { .. }
            | Command::OpenOrders { .. }
            | Command::AllOrders { .. }
            | Command::UserTrades { .. }
            | Command::Account
            | Command::Balances
            | Command::PositionRisk { .. }
            | Command::PositionMode
            | Command::CommissionRate { .. } => false,
        }
    }
}

/// Which part of a history: ids from `from_id` on, times within the bounds (inclusive, ms), at most `limit` rows
/// (the newest ones, unless `from_id` or `start_ms` anchors the beginning).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    pub from_id: Option<u64>,
    pub start_ms: Option<u64>,
    pub end_ms: Option<u64>,
    pub limit: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub symbol: Symbol,
    pub side: Side,
    pub position_side: PositionSide,
    pub kind: OrderType,
    pub time_in_force: Option<TimeInForce>,
    pub quantity: Option<Decimal>,
    pub price: Option<Decimal>,
    /// `None` when not sent: in hedge mode sending it at all is an error.
    pub reduce_only: Option<bool>,
    pub close_position: bool,
    /// On spot: how much to spend or to earn, instead of a quantity.
    pub quote_quantity: Option<Decimal>,
    /// The trigger; of a trailing stop the price from which it trails.
    pub stop_price: Option<Decimal>,
    /// Of a trailing stop, in percent.
    pub callback_rate: Option<Decimal>,
    pub working_type: WorkingType,
    pub price_protect: bool,
    pub self_trade_prevention: Option<SelfTradePrevention>,
    pub good_till_date_ms: u64,
    pub client_order_id: Option<String>,
}

impl NewOrder {
    /// A GTC limit order; the rest as when nothing else is sent.
    pub fn limit(symbol: &str, side: Side, quantity: Decimal, price: Decimal) -> NewOrder {
        NewOrder {
            kind: OrderType::Limit,
            time_in_force: Some(TimeInForce::Gtc),
            price: Some(price),
            ..NewOrder::market(symbol, side, quantity)
        }
    }

    /// A market order; the rest as when nothing else is sent.
    pub fn market(symbol: &str, side: Side, quantity: Decimal) -> NewOrder {
        NewOrder {
            symbol: symbol.into(),
            side,
            position_side: PositionSide::Both,
            kind: OrderType::Market,
            time_in_force: None,
            quantity: Some(quantity),
            price: None,
            reduce_only: None,
            close_position: false,
            quote_quantity: None,
            stop_price: None,
            callback_rate: None,
            working_type: WorkingType::ContractPrice,
            price_protect: false,
            self_trade_prevention: None,
            good_till_date_ms: 0,
            client_order_id: None,
        }
    }
}

/// The exchange wants side, price and quantity together; `quantity` is the new total, filled part included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModifyOrder {
    pub symbol: Symbol,
    pub order: OrderRef,
    pub side: Side,
    pub quantity: Decimal,
    pub price: Decimal,
}

/// By the venue's id or by the client's. The venue's wins when a request sends both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderRef {
    Id(u64),
    ClientId(String),
}
