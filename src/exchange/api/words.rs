//! The words of orders, as enums whose variants know their text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are the wire's words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$note])* #[serde(rename = $word)] $variant),* }
        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
            /// The variant of exactly this word.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! { Side { Buy "BUY", Sell "SELL" } }
words! { PositionSide { Both "BOTH", Long "LONG", Short "SHORT" } }
words! { OrderType {
    // Spot's four conditional words are the same four ideas; its dialect translates.
    Limit "LIMIT", Market "MARKET", Stop "STOP", StopMarket "STOP_MARKET", TakeProfit "TAKE_PROFIT",
    TakeProfitMarket "TAKE_PROFIT_MARKET", TrailingStopMarket "TRAILING_STOP_MARKET",
} }
words! { TimeInForce { Gtc "GTC", Ioc "IOC", Fok "FOK", Gtx "GTX", Gtd "GTD" } }
words! { OrderStatus {
    New "NEW", PartiallyFilled "PARTIALLY_FILLED", Filled "FILLED", Canceled "CANCELED", Rejected "REJECTED", Expired "EXPIRED",
    ExpiredInMatch "EXPIRED_IN_MATCH",
} }
words! { ExecutionType {
    New "NEW", Canceled "CANCELED", Calculated "CALCULATED", Expired "EXPIRED", Trade "TRADE", Amendment "AMENDMENT",
    /// Spot's word for an amendment.
    Replaced "REPLACED",
    /// On spot: two orders of one account did not meet.
    TradePrevention "TRADE_PREVENTION",
} }
words! { SelfTradePrevention { None "NONE", ExpireTaker "EXPIRE_TAKER", ExpireMaker "EXPIRE_MAKER", ExpireBoth "EXPIRE_BOTH" } }
words! { WorkingType { ContractPrice "CONTRACT_PRICE", MarkPrice "MARK_PRICE" } }
words! {
    /// `algoStatus` of a conditional order.
    AlgoStatus { New "NEW", Canceled "CANCELED", Triggering "TRIGGERING", Triggered "TRIGGERED", Finished "FINISHED", Rejected "REJECTED", Expired "EXPIRED" }
}
words! { IncomeKind { RealizedPnl "REALIZED_PNL", Commission "COMMISSION", FundingFee "FUNDING_FEE", InsuranceClear "INSURANCE_CLEAR" } }
words! {
    /// `m` of an `ACCOUNT_UPDATE`.
    AccountUpdateReason { Order "ORDER", FundingFee "FUNDING_FEE", Deposit "DEPOSIT", Withdraw "WITHDRAW", Adjustment "ADJUSTMENT", InsuranceClear "INSURANCE_CLEAR" }
}

impl Side {
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

impl OrderType {
    /// Whether it waits for a price before it becomes a limit or market order.
    pub const fn is_conditional(self) -> bool {
        !matches!(self, OrderType::Limit | OrderType::Market)
    }

    /// What it is once triggered.
    pub const fn triggered(self) -> OrderType {
        match self {
            OrderType::Limit | OrderType::Stop | OrderType::TakeProfit => OrderType::Limit,
            _ => OrderType::Market,
        }
    }
}

impl OrderStatus {
    pub const fn is_open(self) -> bool {
        matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}
