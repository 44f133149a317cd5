//! The vocabulary between the venue's engine and whatever stands in front of it: commands in, replies and outputs out.
//!
//! Typed, with every fact that the wire of Binance USD-M futures needs and none of its JSON; the words follow the exchange's documents
//! ("USDⓈ-M Futures: Trade, Account, Websocket Market Streams, User Data Streams"). Times are nanoseconds since 1970 where they are
//! named `now` or `_ns`, and the wire's milliseconds where they are named `_ms` or come in structs that go to the wire.
//!
//! **When outputs appear.** [`Exchange::execute`](super::Exchange::execute) answers at once and *queues* what the command made others
//! see. [`Exchange::advance`](super::Exchange::advance) hands out that queue in order, then plays the market up to `now`, handing out each
//! step's outputs in order. For one matching step the order is: per fill, the maker's `AccountUpdate` and `OrderUpdate`, then the taker's
//! (a maker and a taker of one account get both); `Trade`s and `AggTrade`s; last the `DepthDiff` and the `BookTicker`. So call `advance` after
//! each `execute` (or batch of them) and whenever `next_wake` is due.

use super::decimal::Decimal;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The venue's text for an instrument, upper case: `BTCUSDT`.
pub type Symbol = Arc<str>;

/// An account. Zero is the house (the agents, or the recorded market's counterparty); configured accounts count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u16);

impl AccountId {
    pub const HOUSE: AccountId = AccountId(0);
    /// No account at all: matches nobody in comparisons.
    pub(super) const NOBODY: AccountId = AccountId(u16::MAX);
}

// ------------------------------------------------------------------------------------------------ configuration

/// Everything that shapes a venue. Equal configurations, commands and times give equal outputs.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    pub symbols: Vec<SymbolSpec>,
    /// `accounts[0]` becomes `AccountId(1)`.
    pub accounts: Vec<AccountSpec>,
    pub market: MarketConfig,
    /// What `selfTradePreventionMode` is when an order does not say. The exchange's documents give `EXPIRE_MAKER` for USD-M.
    pub default_self_trade_prevention: SelfTradePrevention,
    /// Orders and fills that one account's history keeps; the oldest ended ones are forgotten first.
    pub history_limit: usize,
    /// Between two `MarkPrice` outputs of one symbol.
    pub mark_price_interval_ns: u64,
}

impl Default for ExchangeConfig {
    /// One BTCUSDT perpetual, one account with 100 000 USDT, default agents with seed 1.
    fn default() -> ExchangeConfig {
        ExchangeConfig {
            symbols: vec![SymbolSpec::btcusdt()],
            accounts: vec![AccountSpec::default()],
            market: MarketConfig::Agents(AgentsConfig::default()),
            default_self_trade_prevention: SelfTradePrevention::ExpireMaker,
            history_limit: 100_000,
            mark_price_interval_ns: 1_000_000_000,
        }
    }
}

#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Start balance in the margin asset.
    pub balance: Decimal,
    /// Fee rates, `Decimal` fractions: 0.0002 is two hundredths of a percent.
    pub maker_fee: Decimal,
    pub taker_fee: Decimal,
    pub leverage: u32,
}

impl Default for AccountSpec {
    fn default() -> AccountSpec {
        AccountSpec {
            balance: Decimal::new(100_000, 0),
            maker_fee: Decimal::new(2, 4),
            taker_fee: Decimal::new(5, 4),
            leverage: 20,
        }
    }
}

#[derive(Clone, Debug)]
pub enum MarketConfig {
    /// Nothing happens but what commands do: for tests, and for matching alone.
    Quiet,
    Agents(AgentsConfig),
    Recording(RecordingConfig),
}

/// The seeded market. Rates are per second and symbol.
#[derive(Clone, Debug)]
pub struct AgentsConfig {
    pub seed: u64,
    /// Agents' actions per second and symbol; an action makes one to a few public messages.
    pub actions_per_second: u32,
    /// Levels that the agents keep on each side, about.
    pub levels: u32,
}

impl Default for AgentsConfig {
    fn default() -> AgentsConfig {
        AgentsConfig { seed: 1, actions_per_second: 60, levels: 50 }
    }
}

/// A recording of the exchange's combined stream, played as the public market.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// Played one after the other as if they were one.
    pub files: Vec<PathBuf>,
    pub speed: Speed,
    /// How long playback waits at the first snapshot line for somebody's depth request (real time); then it goes on without.
    pub rendezvous_timeout_ns: u64,
    /// Most lines that one `advance` plays, so that a front can drain its sockets in between: this is where `Speed::Max` feels back-pressure.
    pub burst: usize,
}

impl RecordingConfig {
    pub fn new(files: Vec<PathBuf>) -> RecordingConfig {
        RecordingConfig { files, speed: Speed::Times(1), rendezvous_timeout_ns: 5_000_000_000, burst: 256 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Recorded pace, `n` times as fast; zero counts as one.
    Times(u32),
    /// As fast as `advance` is called.
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    UsdmPerpetual,
}

/// One instrument: its names and filters (`exchangeInfo.symbols[]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolSpec {
    pub symbol: Symbol,
    pub product: Product,
    pub base_asset: Symbol,
    pub quote_asset: Symbol,
    pub margin_asset: Symbol,
    /// Decimals in which the venue prints prices and quantities: not the tick, not the step.
    pub price_precision: u32,
    pub quantity_precision: u32,
    pub filters: Filters,
    pub max_leverage: u32,
    /// Maintenance margin as a fraction of notional.
    pub maintenance_margin: Decimal,
    /// Where the agents start, and the mark price before there is a book.
    pub reference_price: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    // PRICE_FILTER
    pub min_price: Decimal,
    pub max_price: Decimal,
    pub tick_size: Decimal,
    // LOT_SIZE
    pub min_quantity: Decimal,
    pub max_quantity: Decimal,
    pub step_size: Decimal,
    // MARKET_LOT_SIZE
    pub market_min_quantity: Decimal,
    pub market_max_quantity: Decimal,
    pub market_step_size: Decimal,
    /// MIN_NOTIONAL, waived for reduce-only orders.
    pub min_notional: Decimal,
    /// PERCENT_PRICE: a limit buy up to `mark * multiplier_up`, a limit sell down to `mark * multiplier_down`.
    pub multiplier_up: Decimal,
    pub multiplier_down: Decimal,
    /// MAX_NUM_ORDERS open per account and symbol.
    pub max_orders: u32,
}

impl SymbolSpec {
    /// The exchange's BTCUSDT perpetual.
    pub fn btcusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        SymbolSpec {
            symbol: "BTCUSDT".into(),
            product: Product::UsdmPerpetual,
            base_asset: "BTC".into(),
            quote_asset: "USDT".into(),
            margin_asset: "USDT".into(),
            price_precision: 2,
            quantity_precision: 3,
            filters: Filters {
                min_price: decimal(55_680, 2),
                max_price: decimal(4_529_764, 0),
                tick_size: decimal(1, 1),
                min_quantity: decimal(1, 3),
                max_quantity: decimal(1_000, 0),
                step_size: decimal(1, 3),
                market_min_quantity: decimal(1, 3),
                market_max_quantity: decimal(120, 0),
                market_step_size: decimal(1, 3),
                min_notional: decimal(100, 0),
                multiplier_up: decimal(105, 2),
                multiplier_down: decimal(95, 2),
                max_orders: 200,
            },
            max_leverage: 125,
            maintenance_margin: decimal(4, 3),
            reference_price: decimal(60_000, 0),
        }
    }

    /// The exchange's ETHUSDT perpetual.
    pub fn ethusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::btcusdt();
        SymbolSpec {
            symbol: "ETHUSDT".into(),
            base_asset: "ETH".into(),
            filters: Filters {
                min_price: decimal(3_986, 2),
                max_price: decimal(306_177, 0),
                tick_size: decimal(1, 2),
                max_quantity: decimal(10_000, 0),
                market_max_quantity: decimal(2_000, 0),
                min_notional: decimal(20, 0),
                ..btc.filters.clone()
            },
            max_leverage: 100,
            maintenance_margin: decimal(5, 3),
            reference_price: decimal(3_000, 0),
            ..btc
        }
    }

    /// The exchange's SOLUSDT perpetual: whole coins, and prices printed with more decimals than the tick has.
    pub fn solusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::btcusdt();
        SymbolSpec {
            symbol: "SOLUSDT".into(),
            base_asset: "SOL".into(),
            price_precision: 4,
            quantity_precision: 0,
            filters: Filters {
                min_price: decimal(42, 2),
                max_price: decimal(6_857, 0),
                tick_size: decimal(1, 2),
                min_quantity: decimal(1, 0),
                max_quantity: decimal(1_000_000, 0),
                step_size: decimal(1, 0),
                market_min_quantity: decimal(1, 0),
                market_max_quantity: decimal(9_000, 0),
                market_step_size: decimal(1, 0),
                min_notional: decimal(5, 0),
                ..btc.filters.clone()
            },
            max_leverage: 100,
            maintenance_margin: decimal(5, 3),
            reference_price: decimal(150, 0),
            ..btc
        }
    }
}

// ------------------------------------------------------------------------------------------------ words of the wire

/// Declares an enum whose variants are the wire's words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),* }
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
} }
words! { SelfTradePrevention { None "NONE", ExpireTaker "EXPIRE_TAKER", ExpireMaker "EXPIRE_MAKER", ExpireBoth "EXPIRE_BOTH" } }
words! { WorkingType { ContractPrice "CONTRACT_PRICE", MarkPrice "MARK_PRICE" } }
words! {
    /// `m` of an `ACCOUNT_UPDATE`. `Order` is the only one the venue makes so far.
    AccountUpdateReason { Order "ORDER", FundingFee "FUNDING_FEE", Deposit "DEPOSIT", Withdraw "WITHDRAW", Adjustment "ADJUSTMENT" }
}

impl Side {
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

impl OrderStatus {
    pub const fn is_open(self) -> bool {
        matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

// ------------------------------------------------------------------------------------------------ commands

/// A request of one account. Parameters are typed; that a text is no number, side or type is the front's to refuse.
#[derive(Clone, Debug)]
pub enum Command {
    Place(NewOrder),
    Modify(ModifyOrder),
    Cancel {
        symbol: Symbol,
        order: OrderRef,
    },
    CancelAll {
        symbol: Symbol,
    },
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

/// Which part of a history: ids from `from_id` on, times within the bounds (inclusive, ms), at most `limit` rows
/// (the newest ones, unless `from_id` or `start_ms` anchors the beginning).
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub from_id: Option<u64>,
    pub start_ms: Option<u64>,
    pub end_ms: Option<u64>,
    pub limit: Option<u32>,
}

#[derive(Clone, Debug)]
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
    pub stop_price: Option<Decimal>,
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
            stop_price: None,
            working_type: WorkingType::ContractPrice,
            price_protect: false,
            self_trade_prevention: None,
            good_till_date_ms: 0,
            client_order_id: None,
        }
    }
}

/// The exchange wants side, price and quantity together; `quantity` is the new total, filled part included.
#[derive(Clone, Debug)]
pub struct ModifyOrder {
    pub symbol: Symbol,
    pub order: OrderRef,
    pub side: Side,
    pub quantity: Decimal,
    pub price: Decimal,
}

/// By the venue's id or by the client's. The venue's wins when a request sends both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    Id(u64),
    ClientId(String),
}

// ------------------------------------------------------------------------------------------------ replies

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
    /// Zero: the venue does not liquidate yet.
    pub liquidation_price: Decimal,
    pub update_time_ms: u64,
    /// Whether an order of this symbol (and side) is open.
    pub has_open_orders: bool,
}

// ------------------------------------------------------------------------------------------------ public data

pub type PriceLevel = (Decimal, Decimal);

/// The answer to a depth request.
#[derive(Clone, Debug)]
pub enum DepthReply {
    Ready(DepthSnapshot),
    /// The recording has not reached its snapshot yet; an [`Output::DepthReady`] with this ticket will come.
    Pending(DepthTicket),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepthTicket(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot {
    pub symbol: Symbol,
    pub last_update_id: u64,
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    /// Best first.
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
    /// A recorded snapshot's own JSON, when nothing was cut from it: send this, byte for byte.
    pub verbatim: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthDiff {
    pub symbol: Symbol,
    pub event_time_ms: u64,
    pub transaction_time_ms: u64,
    /// `U`, `u`, `pu`.
    pub first_update_id: u64,
    pub last_update_id: u64,
    pub previous_last_update_id: u64,
    /// New total quantity at each changed price; zero: gone.
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookTicker {
    pub symbol: Symbol,
    pub update_id: u64,
    /// Price and quantity; both zero when the side is empty.
    pub bid: PriceLevel,
    pub ask: PriceLevel,
    pub transaction_time_ms: u64,
    pub event_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    pub symbol: Symbol,
    pub trade_id: u64,
    pub price: Decimal,
    pub quantity: Decimal,
    /// `m`.
    pub buyer_is_maker: bool,
    pub trade_time_ms: u64,
    pub event_time_ms: u64,
}

/// The fills of one taker at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggTrade {
    pub symbol: Symbol,
    pub agg_trade_id: u64,
    pub price: Decimal,
    pub quantity: Decimal,
    pub first_trade_id: u64,
    pub last_trade_id: u64,
    pub buyer_is_maker: bool,
    pub trade_time_ms: u64,
    pub event_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkPrice {
    pub symbol: Symbol,
    pub event_time_ms: u64,
    pub mark_price: Decimal,
    pub index_price: Decimal,
    pub funding_rate: Decimal,
    pub next_funding_time_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    Depth,
    Trade,
    AggTrade,
    BookTicker,
    MarkPrice,
    Other,
}

/// One recorded message, exactly as the exchange sent it.
#[derive(Clone, Debug)]
pub struct RecordedFrame {
    pub symbol: Symbol,
    pub kind: StreamKind,
    /// The recorded stream's name: `btcusdt@depth@0ms`.
    pub stream: Arc<str>,
    /// The whole combined-stream message `{"stream":...,"data":...}`: what a `/stream` connection gets.
    pub frame: Arc<[u8]>,
    /// The part of `frame` that is `data`: what a raw `/ws` connection gets.
    pub data: Range<usize>,
}

impl RecordedFrame {
    pub fn data(&self) -> &[u8] {
        &self.frame[self.data.clone()]
    }
}

// ------------------------------------------------------------------------------------------------ private data

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
    /// `er`: zero, or why it expired (the exchange's number).
    pub expire_reason: u32,
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

// ------------------------------------------------------------------------------------------------ outputs

/// What the venue tells the world. See the file's head for when and in what order.
#[derive(Clone, Debug)]
pub enum Output {
    Depth(DepthDiff),
    BookTicker(BookTicker),
    Trade(PublicTrade),
    AggTrade(AggTrade),
    MarkPrice(MarkPrice),
    /// A recording's message: in a recorded market these replace the five above (but `MarkPrice`, when none is recorded).
    Recorded(RecordedFrame),
    Order(AccountId, OrderUpdate),
    Account(AccountId, AccountUpdate),
    DepthReady(DepthTicket, DepthSnapshot),
    /// The recording is over; nothing public will follow. Comes once.
    Ended(Ending),
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Complete {
        lines: u64,
    },
    /// A line that cannot be used. Playback stopped before it: a hole in the market must not pass for a quiet market.
    BadLine {
        file: String,
        line: u64,
        why: String,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Complete { lines } => write!(f, "recording ended after {lines} lines"),
            Ending::BadLine { file, line, why } => write!(f, "recording {file}, line {line}: {why}"),
        }
    }
}
