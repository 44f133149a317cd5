//! Events: everything that enters the core. Two cache lines each, fixed size, `Copy`.
//!
//! ```text
//!  received  event_time  parsed ringed  venue source instrument kind   body ...
//!  8         8           4      4       1     1      2          1+7    <= 88
//!  '------------------------- header, 32+ ------------------------'    '---- total 128 ----'
//! ```
//! An event says that something happened; it never asks for anything. Position in the stream (`sequence`) and processing
//! time (`now`) are given by the core thread where the rings merge, and stand beside the event in the journal.
//! Hot.

mod encoding;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::coded;
use crate::id::{AssetId, ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use crate::instrument::InstrumentDefinition;
use crate::num::{Cash, Price, Quantity};
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When the socket became readable for it (ours).
    pub received: Nanos,
    /// The venue's stamp; zero where it gives none.
    pub event_time: Nanos,
    /// Nanoseconds from `received` to the end of parsing.
    pub parsed: u32,
    /// Nanoseconds from `received` to the entry into the ring.
    pub ringed: u32,
    pub venue: VenueId,
    pub source: Source,
    pub instrument: InstrumentId,
    pub body: Body,
}

const _: () = assert!(size_of::<Event>() == 128);

coded! {
    /// Which producer put it into its ring.
    pub enum Source {
        Receiver = 0 "receiver",
        Sender = 1 "sender",
        Requester = 2 "requester",
        Operator = 3 "operator",
        /// The core's own control-time events.
        Timer = 4 "timer",
    }
}

/// What happened. The order here is the order of the codes in the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    // market
    BookTicker(BookTicker),
    /// The first part of a book update; `DepthMore` parts follow until one has `last`.
    Depth(Depth),
    DepthMore(DepthMore),
    /// The book of this instrument cannot be trusted from here until a snapshot arrives.
    BookLost(BookLoss),
    Trade(Trade),
    MarkPrice(MarkPrice),
    // private
    Order(OrderReport),
    Position(PositionReport),
    Balance(BalanceReport),
    /// The answer to one of our requests: proves that the venue took or refused the request, and no more.
    Outcome(RequestOutcome),
    /// The sender did not send it: the venue has never heard of it.
    NotSent(NotSent),
    // world
    Link(LinkChange),
    Hydration(Hydration),
    Instrument(InstrumentDefinition),
    RateUsage(RateUsage),
    // control
    Control(Control),
    Timer(Timer),
}

impl Event {
    /// A bare event at a time: what tests and control paths begin from.
    pub fn new(received: Nanos, source: Source, body: Body) -> Self {
        Self {
            received,
            event_time: Nanos::ZERO,
            parsed: 0,
            ringed: 0,
            venue: VenueId(0),
            source,
            instrument: InstrumentId::NONE,
            body,
        }
    }

    #[inline]
    pub fn on(mut self, venue: VenueId, instrument: InstrumentId) -> Self {
        self.venue = venue;
        self.instrument = instrument;
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BookTicker {
    pub update_id: u64,
    pub bid: Level,
    pub ask: Level,
}

/// A price level: quantity zero means that the level is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    pub quantity: Quantity,
}

crate::saved! { value Level { price, quantity } }

/// Levels in one part of a book update, bids first: the first `bids` of `count` are bids.
///
/// ```text
/// Depth      first 8 | last 8 | previous 8 | flags 1 | count 1 | bids 1 | pad | levels 3 x 16
/// DepthMore                                  flags 1 | count 1 | bids 1 | pad | levels 5 x 16
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// First and last update id inside (Binance U and u).
    pub first_update: u64,
    pub last_update: u64,
    /// Last update id of the update before this one (pu). The core checks the chain.
    pub previous_update: u64,
    pub part: DepthPart,
    pub levels: [Level; Depth::LEVELS],
}

impl Depth {
    pub const LEVELS: usize = 3;
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthMore {
    pub part: DepthPart,
    pub levels: [Level; DepthMore::LEVELS],
}

impl DepthMore {
    pub const LEVELS: usize = 5;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepthPart {
    pub count: u8,
    pub bids: u8,
    /// The book begins anew with this update.
    pub snapshot: bool,
    /// The update is whole after this part.
    pub last: bool,
}

coded! {
    pub enum BookLoss {
        NotSynced = 0 "not_synced",
        Gap = 1 "gap",
        Disconnected = 2 "disconnected",
        RingFull = 3 "ring_full",
        BadMessage = 4 "bad_message",
        SnapshotFailed = 5 "snapshot_failed",
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    pub trade_id: u64,
    pub price: Price,
    pub quantity: Quantity,
    /// The side that took: `Buy` lifted an ask.
    pub aggressor: Side,
}

crate::saved! { value Trade { trade_id, price, quantity, aggressor } }

/// Prices here are not on the tick grid: integers at 8 decimals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarkPrice {
    pub mark: i64,
    pub index: i64,
    pub funding_rate: i64,
    pub next_funding: Nanos,
}

crate::saved! { value MarkPrice { mark, index, funding_rate, next_funding } }

coded! {
    pub enum Side {
        Buy = 0 "buy",
        Sell = 1 "sell",
    }
}

impl Side {
    #[inline]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
    /// `quantity` with the sign that it adds to a position.
    #[inline]
    pub fn signed(self, quantity: Quantity) -> Quantity {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

coded! {
    /// FIX OrdType.
    pub enum OrderKind {
        Limit = 0 "limit",
        Market = 1 "market",
        StopMarket = 2 "stop_market",
        StopLimit = 3 "stop_limit",
        TakeProfitMarket = 4 "take_profit_market",
        TakeProfitLimit = 5 "take_profit_limit",
        TrailingStop = 6 "trailing_stop",
        /// The venue says a kind that we do not know: shown, counted, never made by us.
        Other = 7 "other",
    }
}

impl OrderKind {
    /// It waits for a trigger before it becomes a limit or a market order.
    #[inline]
    pub const fn is_conditional(self) -> bool {
        matches!(
            self,
            Self::StopMarket
                | Self::StopLimit
                | Self::TakeProfitMarket
                | Self::TakeProfitLimit
                | Self::TrailingStop
        )
    }
    /// It bears a limit price.
    #[inline]
    pub const fn is_priced(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit | Self::TakeProfitLimit)
    }
}

coded! {
    /// Which price moves a conditional order's trigger (the venue's workingType).
    pub enum TriggerBy {
        LastPrice = 0 "last_price",
        MarkPrice = 1 "mark_price",
    }
}

coded! {
    pub enum TimeInForce {
        GoodTillCancel = 0 "GTC",
        ImmediateOrCancel = 1 "IOC",
        FillOrKill = 2 "FOK",
        /// Post-only: rejected or expired when it would take.
        PostOnly = 3 "GTX",
        GoodTillDate = 4 "GTD",
    }
}

coded! {
    /// FIX ExecType: what this report is about.
    pub enum Execution {
        New = 0 "new",
        Trade = 1 "trade",
        Cancelled = 2 "cancelled",
        Replaced = 3 "replaced",
        Rejected = 4 "rejected",
        Expired = 5 "expired",
        TradePrevention = 6 "trade_prevention",
        /// Liquidation or ADL arithmetic by the venue.
        Calculated = 7 "calculated",
        /// A read-back (hydration), not news.
        Status = 8 "status",
        /// The venue says one that we do not know: counted, and the status decides.
        Other = 9 "other",
    }
}

coded! {
    /// FIX OrdStatus, as the venue reports it.
    pub enum VenueStatus {
        New = 0 "new",
        PartiallyFilled = 1 "partially_filled",
        Filled = 2 "filled",
        Cancelled = 3 "cancelled",
        Rejected = 4 "rejected",
        Expired = 5 "expired",
        PendingCancel = 6 "pending_cancel",
        Other = 7 "other",
    }
}

/// One private report about one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderReport {
    pub client_order_id: ClientOrderId,
    pub venue_order_id: VenueOrderId,
    pub price: Price,
    pub quantity: Quantity,
    pub cumulative_quantity: Quantity,
    pub last_quantity: Quantity,
    pub last_price: Price,
    /// Zero where the report is no trade.
    pub trade_id: u64,
    /// At `CASH_DECIMALS` of `fee_asset`; negative is a rebate.
    pub fee: i64,
    pub fee_asset: AssetId,
    pub execution: Execution,
    pub status: VenueStatus,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub side: Side,
    pub flags: ReportFlags,
}

impl OrderReport {
    /// What the trade cost in fees, where this message says it. How an order stands, read back, does not.
    #[inline]
    pub fn fee_told(&self) -> Option<(AssetId, Cash)> {
        let says = self.execution != Execution::Status && !self.flags.has(ReportFlags::FEE_TO_COME);
        says.then(|| (self.fee_asset, Cash::from_wire(self.fee)))
    }
}

/// Bits of an order report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportFlags(pub u16);

impl ReportFlags {
    pub const MAKER: u16 = 1;
    pub const REDUCE_ONLY: u16 = 2;
    /// Part of a hydration: a state read back, not news.
    pub const HYDRATED: u16 = 4;
    pub const LIQUIDATION: u16 = 8;
    pub const ADL: u16 = 16;
    pub const LONG_SIDE: u16 = 32;
    pub const SHORT_SIDE: u16 = 64;
    /// A message that carries only the trade (USD-M TRADE_LITE): no proof of the order's state.
    pub const TRADE_ONLY: u16 = 128;
    /// It closes whatever the position is then, and has no quantity of its own.
    pub const CLOSE_POSITION: u16 = 256;
    /// A conditional order's trigger has fired: it is a limit or a market order now.
    pub const TRIGGERED: u16 = 512;
    /// Another message tells what the trade cost in fees (USD-M TRADE_LITE is followed by the order's report).
    pub const FEE_TO_COME: u16 = 1024;

    #[inline]
    pub const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }
    #[inline]
    pub const fn with(self, bit: u16, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { self }
    }

    /// The leg of the position that the order is about.
    #[inline]
    pub const fn position_side(self) -> PositionSide {
        if self.has(Self::LONG_SIDE) {
            PositionSide::Long
        } else if self.has(Self::SHORT_SIDE) {
            PositionSide::Short
        } else {
            PositionSide::Both
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionReport {
    /// Signed lots.
    pub quantity: Quantity,
    /// Average entry at 8 decimals: finer than ticks.
    pub entry_price: i64,
    /// At `CASH_DECIMALS`.
    pub unrealised: i64,
    pub side: PositionSide,
    pub hydrated: bool,
}

coded! {
    pub enum PositionSide {
        /// One-way mode.
        Both = 0 "both",
        Long = 1 "long",
        Short = 2 "short",
    }
}

impl PositionSide {
    /// An order of this side on this leg of a hedged account can only lower it.
    #[inline]
    pub const fn is_closed_by(self, side: Side) -> bool {
        matches!((self, side), (Self::Long, Side::Sell) | (Self::Short, Side::Buy))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalanceReport {
    pub asset: AssetId,
    /// All at `CASH_DECIMALS`.
    pub wallet: i64,
    /// What new orders may use; `i64::MIN` where the message does not say.
    pub available: i64,
    /// What changed it, where the message says (funding, fee, deposit); else zero.
    pub change: i64,
    pub cause: BalanceCause,
    pub hydrated: bool,
}

coded! {
    pub enum BalanceCause {
        Order = 0 "order",
        Funding = 1 "funding",
        Deposit = 2 "deposit",
        Withdrawal = 3 "withdrawal",
        Adjustment = 4 "adjustment",
        ReadBack = 5 "read_back",
        Other = 6 "other",
    }
}

coded! {
    pub enum RequestKind {
        New = 0 "new",
        Replace = 1 "replace",
        Cancel = 2 "cancel",
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestOutcome {
    pub client_order_id: ClientOrderId,
    pub venue_order_id: VenueOrderId,
    /// The dispatch that it answers.
    pub dispatch: u64,
    /// The venue's own error code; zero when accepted.
    pub code: i32,
    pub request: RequestKind,
    pub verdict: Verdict,
    pub reason: RejectReason,
}

coded! {
    pub enum Verdict {
        Accepted = 0 "accepted",
        /// Definitive: the venue did not do it.
        Rejected = 1 "rejected",
        /// It may have been done, or not: ask.
        Unknown = 2 "unknown",
    }
}

coded! {
    /// Why a venue refused, or why we do not know. The venue's own code stands beside it.
    pub enum RejectReason {
        None = 0 "none",
        Filter = 1 "filter",
        Balance = 2 "balance",
        WouldTake = 3 "would_take",
        ReduceOnly = 4 "reduce_only",
        UnknownOrder = 5 "unknown_order",
        DuplicateId = 6 "duplicate_id",
        RateLimited = 7 "rate_limited",
        Clock = 8 "clock",
        Key = 9 "key",
        NoChange = 10 "no_change",
        VenueDown = 11 "venue_down",
        /// Sent, and no answer came.
        NoAnswer = 12 "no_answer",
        /// The link broke with the request on it.
        LinkLost = 13 "link_lost",
        BadRequest = 14 "bad_request",
        Other = 15 "other",
        /// The venue counts more as filled than it told us trades of.
        MissingFill = 16 "missing_fill",
        /// It filled after it had ended.
        LateFill = 17 "late_fill",
        /// It had ended, and the venue showed it alive.
        AliveAfterEnd = 18 "alive_after_end",
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotSent {
    pub client_order_id: ClientOrderId,
    pub dispatch: u64,
    pub request: RequestKind,
    pub reason: NotSentReason,
}

coded! {
    pub enum NotSentReason {
        KillGate = 0 "kill_gate",
        LinkDown = 1 "link_down",
        /// The socket takes no more: the request was never begun.
        SocketFull = 2 "socket_full",
        Unencodable = 3 "unencodable",
        /// DRY_RUN: recorded instead of sent.
        DryRun = 4 "dry_run",
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkChange {
    pub link: LinkKind,
    pub state: LinkState,
    pub reason: LinkReason,
    /// Which connection of that kind, where there are several.
    pub connection: u8,
}

coded! {
    pub enum LinkKind {
        Market = 0 "market",
        Private = 1 "private",
        OrderEntry = 2 "order_entry",
        Rest = 3 "rest",
    }
}

coded! {
    pub enum LinkState {
        Connecting = 0 "connecting",
        Up = 1 "up",
        Down = 2 "down",
        /// The feed has ended by itself and will not return (a recording is over).
        Ended = 3 "ended",
    }
}

coded! {
    pub enum LinkReason {
        None = 0 "none",
        ConnectFailed = 1 "connect_failed",
        TlsFailed = 2 "tls_failed",
        HandshakeFailed = 3 "handshake_failed",
        LogonFailed = 4 "logon_failed",
        ClosedByVenue = 5 "closed_by_venue",
        Reset = 6 "reset",
        Silence = 7 "silence",
        Protocol = 8 "protocol",
        KeyExpired = 9 "key_expired",
        Stopping = 10 "stopping",
        Renewal = 11 "renewal",
    }
}

/// A hydration brackets its reports: `Begin`, the reports with their hydrated mark, `End`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hydration {
    pub scope: HydrationScope,
    pub phase: HydrationPhase,
    /// The order asked for, where the scope is one order.
    pub client_order_id: ClientOrderId,
    /// Which ask this answers.
    pub request: u64,
    /// The venue's state as of (its stamp); events not later than this are included in the snapshot.
    pub as_of: Nanos,
}

coded! {
    pub enum HydrationScope {
        Account = 0 "account",
        Instrument = 1 "instrument",
        Order = 2 "order",
        /// The account's trades of one instrument, after one that is known.
        Trades = 3 "trades",
    }
}

coded! {
    pub enum HydrationPhase {
        Begin = 0 "begin",
        End = 1 "end",
        /// It could not be had; the scope stays untrusted.
        Failed = 2 "failed",
        /// The one order asked for is not known at the venue.
        NotFound = 3 "not_found",
    }
}

/// The venue's own count of what we used of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateUsage {
    pub bucket: u8,
    pub used: u32,
    pub limit: u32,
    /// Not before this instant, where the venue says so (Retry-After); else zero.
    pub retry_at: Nanos,
}

/// An operator's or the runtime's order to the core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    pub verb: ControlVerb,
    /// What the verb needs: kill mode code, gate code, limit key, strategy.
    pub target: u32,
    pub old: i64,
    pub new: i64,
    /// Who asked: the number of the operator's command, whose note stands before this event in the journal; or `MACHINE`.
    pub who: u32,
}

impl Control {
    /// Nobody asked: the engine itself saw that something is wrong. It can only tighten.
    pub const MACHINE: u32 = u32::MAX;

    /// The engine trips its own kill switch.
    pub const fn trip(mode: KillMode) -> Self {
        Self { verb: ControlVerb::Kill, target: mode.code() as u32, old: 0, new: 0, who: Self::MACHINE }
    }
}

coded! {
    pub enum ControlVerb {
        EnableTrading = 0 "enable_trading",
        DisableTrading = 1 "disable_trading",
        Kill = 2 "kill",
        ResetKill = 3 "reset_kill",
        SetLimit = 4 "set_limit",
        SetParameter = 5 "set_parameter",
        CancelAll = 6 "cancel_all",
        Flatten = 7 "flatten",
        /// No new intents; open orders are cancelled; then the run may stop.
        Drain = 8 "drain",
        /// The last event of a run.
        Stop = 9 "stop",
        OpenGate = 10 "open_gate",
        CloseGate = 11 "close_gate",
        /// `target`: a strategy, or `Control::EVERYBODY`; `new`: a `TradingState`'s code.
        SetTradingState = 12 "set_trading_state",
        /// The trading day begins: daily limits count from here.
        BeginDay = 13 "begin_day",
        /// Every account is read back, though nothing is in doubt.
        ReadBack = 14 "read_back",
        /// The run goes on from an earlier one's state: its first event. `target`: what becomes of orphans; `new`: 1 where
        /// trading starts enabled; `old`: the earlier run's last moment.
        WarmStart = 16 "warm_start",
    }
}

coded! {
    /// What becomes of orders that an earlier run sent, and of which the venue knows nothing.
    pub enum Orphans {
        /// They close.
        Close = 0 "close",
        /// They close, and those that never were are wished anew, once, through risk.
        Requeue = 1 "requeue",
    }
}

impl Control {
    /// The target of a verb that means no strategy in particular.
    pub const EVERYBODY: u32 = u32::MAX;
}

coded! {
    /// What a strategy, or everybody, may do.
    pub enum TradingState {
        Active = 0 "active",
        /// Only what lowers exposure, and cancels.
        Reducing = 1 "reducing",
        /// Only cancels.
        Halted = 2 "halted",
    }
}

coded! {
    /// From the strictest on.
    pub enum KillMode {
        /// Nothing goes out.
        Block = 0 "block",
        /// Only cancels; all open orders are cancelled.
        Cancel = 1 "cancel",
        /// Cancels, then reduce-only orders until flat.
        Flatten = 2 "flatten",
    }
}

/// A control-time event: the deadline that the core asked for has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timer {
    pub due: Nanos,
}
