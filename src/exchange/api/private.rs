//! Events of one account.

use super::super::decimal::Decimal;
use super::{AccountUpdateReason, ExecutionType, Order, PositionSide, Symbol};

/// `ORDER_TRADE_UPDATE`: the order after the event, and what the event was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    /// `x`; the status `X` is the order's.
    pub execution: ExecutionType,
    pub order: Order,
    /// `l`, `L`: zero unless a trade.
    pub last_quantity: Decimal,
    pub last_price: Decimal,
    /// `n`, `N`; `None` unless a trade.
    pub commission: Option<(Decimal, Symbol)>,
    /// `t`: zero unless a trade.
    pub trade_id: u64,
    /// `m`.
    pub maker: bool,
    /// `rp`.
    pub realized_pnl: Decimal,
    /// `b`, `a`: notional of the account's open bids and asks of the symbol.
    pub bids_notional: Decimal,
    pub asks_notional: Decimal,
    /// On spot: what did not trade because both orders were of one account.
    pub prevented: Option<Prevented>,
    /// `er`: zero, or why it expired (the exchange's number).
    pub expire_reason: u32,
}

/// Two orders of one account that did not meet ("STP FAQ": prevented match).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prevented {
    pub match_id: u64,
    pub quantity: Decimal,
    pub price: Decimal,
    pub counter_order_id: u64,
}

/// `ACCOUNT_UPDATE`: only what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUpdate {
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    pub reason: AccountUpdateReason,
    pub balances: Vec<BalanceUpdate>,
    pub positions: Vec<PositionUpdate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceUpdate {
    pub asset: Symbol,
    /// `wb`; `cw` is the same, all margin being cross.
    pub wallet: Decimal,
    /// `bc`: change other than P&L and commission.
    pub change: Decimal,
    /// Part of `wallet` that open orders hold, on spot.
    pub locked: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionUpdate {
    pub symbol: Symbol,
    pub position_side: PositionSide,
    pub quantity: Decimal,
    pub entry_price: Decimal,
    pub break_even_price: Decimal,
    /// `cr`: realised so far, before fees.
    pub accumulated_realized: Decimal,
    pub unrealized_pnl: Decimal,
}
