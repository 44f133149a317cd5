//! What a request is answered with.

use std::sync::Arc;

use super::super::decimal::Decimal;
use super::*;

#[derive(Clone, Debug)]
pub enum Reply {
    /// To place, modify, cancel and the two queries.
    Order(Order),
    /// To open and all orders, oldest first.
    Orders(Vec<Order>),
    /// To cancel all; the wire says `{"code":200,"msg":"The operation of cancel all open order is done."}`.
    CanceledAll,
    Trades(Vec<UserTrade>),
    Account(Account),
    Balances(Vec<Balance>),
    Positions(Vec<Position>),
    /// To a test: it would be taken.
    Checked,
    Algo(Algo),
    Algos(Vec<Algo>),
    Countdown {
        symbol: Symbol,
        after_ms: u64,
    },
    Income(Vec<Income>),
    Funds(Funds),
    Leverage {
        symbol: Symbol,
        leverage: u32,
        max_notional: Decimal,
    },
    PositionMode {
        dual: bool,
    },
    PositionModeSet,
    CommissionRate {
        symbol: Symbol,
        maker: Decimal,
        taker: Decimal,
    },
}

/// An order as the venue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub account: AccountId,
    pub symbol: Symbol,
    pub order_id: u64,
    pub client_order_id: Arc<str>,
    pub status: OrderStatus,
    pub side: Side,
    pub position_side: PositionSide,
    pub kind: OrderType,
    /// `origType`: what it was before a trigger turned it into a limit or market order.
    pub original_kind: OrderType,
    pub time_in_force: TimeInForce,
    pub price: Decimal,
    pub stop_price: Decimal,
    pub original_quantity: Decimal,
    /// On spot, when the client gave it instead of a quantity.
    pub quote_quantity: Decimal,
    pub executed_quantity: Decimal,
    /// Sum of price times quantity over the fills (`cumQuote`).
    pub cumulative_quote: Decimal,
    pub reduce_only: bool,
    pub close_position: bool,
    pub working_type: WorkingType,
    pub price_protect: bool,
    pub self_trade_prevention: SelfTradePrevention,
    pub good_till_date_ms: u64,
    /// How often it was modified (`modifyId` is this, when not zero).
    pub modifications: u32,
    /// Waits for its trigger, outside the book (on spot; on USD-M that is an [`Algo`]).
    pub armed: bool,
    /// The conditional order that it came from; zero: none.
    pub algo_id: u64,
    /// What the request that cancelled or amended it was called, on spot.
    pub renamed_from: Option<Arc<str>>,
    /// Since when it works in the book; zero while armed.
    pub working_time_ms: u64,
    /// `time`: when it was placed.
    pub time_ms: u64,
    pub update_time_ms: u64,
}

impl Order {
    /// `avgPrice`: zero before the first fill.
    pub fn average_price(&self) -> Decimal {
        self.cumulative_quote.over(self.executed_quantity)
    }

    /// The order as the exchange acknowledges it (`newOrderRespType=ACK`, the default there): new, whatever happened since.
    pub fn acknowledged(&self) -> Order {
        Order {
            status: OrderStatus::New,
            executed_quantity: Decimal::ZERO,
            cumulative_quote: Decimal::ZERO,
            ..self.clone()
        }
    }

    pub fn leaves_quantity(&self) -> Decimal {
        self.original_quantity - self.executed_quantity
    }
}

/// A conditional order of USD-M, before and after its trigger ("New Algo Order").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algo {
    pub account: AccountId,
    pub algo_id: u64,
    pub client_algo_id: Arc<str>,
    pub status: AlgoStatus,
    /// What it places when its price is reached.
    pub order: NewOrder,
    /// The order that it became; zero before.
    pub order_id: u64,
    pub average_price: Decimal,
    pub executed_quantity: Decimal,
    /// Why it was rejected when triggered.
    pub reason: String,
    pub time_ms: u64,
    pub update_time_ms: u64,
    pub trigger_time_ms: u64,
}

/// One movement of money that has a name ("Get Income History").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Income {
    pub symbol: Symbol,
    pub kind: IncomeKind,
    pub amount: Decimal,
    pub asset: Symbol,
    pub transaction_id: u64,
    /// Zero unless it belongs to a trade.
    pub trade_id: u64,
    pub time_ms: u64,
}

/// What an account has on spot, by asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funds {
    pub balances: Vec<Purse>,
    pub maker_fee: Decimal,
    pub taker_fee: Decimal,
    pub update_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purse {
    pub asset: Symbol,
    pub free: Decimal,
    pub locked: Decimal,
}

/// One fill of one account (`userTrades`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTrade {
    pub symbol: Symbol,
    pub trade_id: u64,
    pub order_id: u64,
    pub side: Side,
    pub position_side: PositionSide,
    pub price: Decimal,
    pub quantity: Decimal,
    pub quote_quantity: Decimal,
    pub realized_pnl: Decimal,
    /// Positive is paid by the account.
    pub commission: Decimal,
    pub commission_asset: Symbol,
    pub maker: bool,
    pub time_ms: u64,
}

/// `account` (v2 and v3): one margin asset, cross margin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Totals equal the one asset's.
    pub assets: Vec<Balance>,
    /// Every symbol in one-way mode (both sides in hedge mode), flat ones too: v3 shows only those that are not flat or have orders.
    pub positions: Vec<Position>,
    pub dual_side_position: bool,
    pub update_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub asset: Symbol,
    pub wallet: Decimal,
    pub unrealized_pnl: Decimal,
    /// wallet + unrealized P&L.
    pub margin: Decimal,
    /// position + open orders.
    pub initial_margin: Decimal,
    pub position_initial_margin: Decimal,
    pub open_order_initial_margin: Decimal,
    pub maintenance_margin: Decimal,
    /// What new orders can use; never negative.
    pub available: Decimal,
    pub max_withdraw: Decimal,
    pub update_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub symbol: Symbol,
    pub position_side: PositionSide,
    /// Signed: short is negative.
    pub quantity: Decimal,
    pub entry_price: Decimal,
    pub break_even_price: Decimal,
    pub mark_price: Decimal,
    pub unrealized_pnl: Decimal,
    /// Signed, at mark.
    pub notional: Decimal,
    pub leverage: u32,
    pub max_notional: Decimal,
    pub initial_margin: Decimal,
    pub position_initial_margin: Decimal,
    pub open_order_initial_margin: Decimal,
    pub maintenance_margin: Decimal,
    /// Of open buy and sell orders.
    pub bid_notional: Decimal,
    pub ask_notional: Decimal,
    /// Mark price at which the account would be liquidated, all else equal; zero: none.
    pub liquidation_price: Decimal,
    pub update_time_ms: u64,
    /// Whether an order of this symbol (and side) is open.
    pub has_open_orders: bool,
}
