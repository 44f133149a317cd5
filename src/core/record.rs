//! What is kept besides events and dispatches: each decision, in a form that a replay re-derives byte for byte.
//!
//! ```text
//! code 1 | fields of the decision
//! ```
//! Hot.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::coded;
use crate::event::{HydrationScope, RequestKind, Side, TradingState};
use crate::family::Family;
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId};
use crate::num::{Price, Quantity};
use crate::time::Nanos;

/// Version of the bytes of events, dispatches and decisions. The opening record says it, so that a journal of another
/// version is refused by name and never misread. 2: conditional orders, good-till-date, wider report flags. 3: families. 4: trips, waits.
/// 5: an incident for each invariant; the opening names the snapshot that it goes on from. 7: owners that crossed.
pub const RECORDS_VERSION: u32 = 7;

coded! {
    /// The journal's record kinds. The journal itself knows only the number.
    pub enum RecordKind {
        Event = 1 "event",
        Dispatch = 2 "dispatch",
        Decision = 3 "decision",
        /// The first record: what a replay needs to build the same core.
        Opening = 4 "opening",
        /// Who asked for the operator's event that follows, and why: text, for people. A replay passes over it.
        Note = 5 "note",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One intent: what was wished, what risk said, what the queue did with it.
    Intent(IntentRecord),
    /// A wish that came to nothing in this pass, because a higher family acts in its scope. Its strategy is asked again.
    Deferred { key: OrderKey, instrument: InstrumentId, request: RequestKind, family: Family, to: Family },
    /// A pending command left the queue without being sent.
    Closed { key: OrderKey, request: RequestKind, why: CloseReason },
    /// A gate opened or closed.
    Gate { gate: Gate, venue: VenueId, instrument: InstrumentId, open: bool },
    /// Something that a person may have to look at.
    Incident { kind: IncidentKind, instrument: InstrumentId, order: OrderIndex, ours: i64, theirs: i64 },
    /// A question to the venue, off the hot path.
    Ask(Ask),
    /// Hash of the whole state after this event.
    StateHash { hash: u64 },
    /// A bound was reached: what a strategy (or, with none named, everybody) may do from here on.
    Trip(Trip),
    /// A command waits longer than configured: why, and for how long already.
    Waits { key: OrderKey, request: RequestKind, why: Wait, age: Nanos },
}

/// A bound that stops more than one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// None: the whole account.
    pub strategy: StrategyId,
    pub why: RiskReason,
    pub from_now_on: TradingState,
    /// What was counted or lost, and its bound; money in the reporting asset at `CASH_DECIMALS`.
    pub reached: i64,
    pub bound: i64,
}

/// Why a command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not looked at yet.
    Fresh,
    Gate(Gate),
    /// Another request of its key is under way.
    Inflight,
    /// A rate bucket has no room.
    Rate,
}

crate::saved! { choice Wait { Fresh = 0, Gate(gate) = 1, Inflight = 2, Rate = 3 } }

impl Wait {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Gate(gate) => gate.name(),
            Self::Inflight => "inflight",
            Self::Rate => "rate",
        }
    }

    /// Gates keep their codes; the others stand above them.
    pub const fn code(self) -> u8 {
        match self {
            Self::Gate(gate) => gate.code(),
            Self::Fresh => 253,
            Self::Inflight => 254,
            Self::Rate => 255,
        }
    }

    pub const fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            253 => Ok(Self::Fresh),
            254 => Ok(Self::Inflight),
            255 => Ok(Self::Rate),
            gate => match Gate::from_code(gate) {
                Ok(gate) => Ok(Self::Gate(gate)),
                Err(error) => Err(error),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentRecord {
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub request: RequestKind,
    pub side: Side,
    pub price: Price,
    pub quantity: Quantity,
    pub verdict: RiskReason,
    pub admission: Admission,
    pub family: Family,
}

coded! {
    /// What risk answered: allowed, or the one reason why not.
    pub enum RiskReason {
        Allowed = 0 "allowed",
        TradingDisabled = 1 "trading_disabled",
        Killed = 2 "killed",
        Draining = 3 "draining",
        InstrumentUnknown = 4 "instrument_unknown",
        InstrumentHalted = 5 "instrument_halted",
        OffTickRange = 6 "price_filter",
        OffLotRange = 7 "lot_size",
        BelowMinNotional = 8 "min_notional",
        OutsidePercentPrice = 9 "percent_price",
        OrderTooLarge = 10 "max_order_quantity",
        OrderNotionalTooLarge = 11 "max_order_notional",
        OutsideCollar = 12 "price_collar",
        NoReferencePrice = 13 "no_reference_price",
        TooManyOpenOrders = 14 "max_open_orders",
        PositionLimit = 15 "max_position",
        DailyLoss = 16 "daily_loss",
        IntentRate = 17 "intent_rate",
        DuplicateOrder = 18 "duplicate_order",
        SelfCross = 19 "self_cross",
        BookNotWhole = 20 "book_not_whole",
        Unsettled = 21 "unsettled",
        NoSuchOrder = 22 "no_such_order",
        NotOurInstrument = 23 "not_our_instrument",
        BadSlot = 24 "bad_slot",
        NotReplaceable = 25 "not_replaceable",
        ReducingOnly = 26 "reducing_only",
        StrategyHalted = 27 "strategy_halted",
        StrategyReducing = 28 "strategy_reducing",
        MarketStale = 29 "market_stale",
        MarketCrossed = 30 "market_crossed",
        PositionInconsistent = 31 "position_inconsistent",
        DuplicateIntent = 32 "duplicate_intent",
        MarketLotRange = 33 "market_lot_size",
        WouldTrigger = 34 "would_trigger",
        BadExpiry = 35 "bad_expiry",
        StrategyOpenOrders = 36 "strategy_max_open_orders",
        VenueOpenOrders = 37 "venue_max_open_orders",
        OrderTableFull = 38 "order_table_full",
        PositionNotional = 39 "max_position_notional",
        StrategyGross = 40 "strategy_max_gross",
        StrategyNet = 41 "strategy_max_net",
        AccountGross = 42 "account_max_gross",
        AccountNet = 43 "account_max_net",
        Balance = 44 "balance",
        Margin = 45 "margin",
        Drawdown = 46 "drawdown",
        AccountDailyLoss = 47 "account_daily_loss",
        AccountDrawdown = 48 "account_drawdown",
        MessageRatio = 49 "message_ratio",
        BadForm = 50 "order_form",
        WrongLeg = 51 "position_side",
    }
}

coded! {
    /// What the dominance table did with an allowed intent.
    pub enum Admission {
        /// Risk denied it, so that it never came here.
        None = 0 "none",
        Entered = 1 "entered",
        Replaced = 2 "replaced",
        /// A pending New took the Replace's price and quantity.
        Folded = 3 "folded",
        /// A Cancel removed a pending New: nothing was ever sent.
        Removed = 4 "removed",
        Discarded = 5 "discarded",
        QueueFull = 6 "queue_full",
    }
}

coded! {
    pub enum CloseReason {
        /// Its target is no longer in a state where it means something.
        Stale = 0 "stale",
        /// A kill or a drain purged it.
        Purged = 1 "purged",
        /// It waited so long that the market it was wished in is gone.
        TooOld = 2 "too_old",
    }
}

coded! {
    /// The gates that stop a path rather than a trade.
    pub enum Gate {
        Trading = 0 "trading",
        Kill = 1 "kill",
        MarketLink = 2 "market_link",
        PrivateLink = 3 "private_link",
        OrderEntryLink = 4 "order_entry_link",
        Account = 5 "account",
        Book = 6 "book",
        Recovery = 7 "recovery",
        Journal = 8 "journal",
        Clock = 9 "clock",
        Operator = 10 "operator",
        /// What a higher family of the scope has sent is not confirmed yet.
        Confirmation = 11 "confirmation",
        /// Outside of the desk's trading windows.
        Schedule = 12 "schedule",
    }
}

coded! {
    pub enum IncidentKind {
        /// A fill on an order that was already terminal: applied to the position, and looked into.
        LateFill = 0 "late_fill",
        /// A report about an order that we do not know.
        ExternalOrder = 1 "external_order",
        /// Our position and the venue's disagree: both numbers are here.
        PositionMismatch = 2 "position_mismatch",
        ConfirmationOverdue = 3 "confirmation_overdue",
        UnknownOutcome = 4 "unknown_outcome",
        /// A table is full: the gate shuts.
        CapacityExhausted = 5 "capacity_exhausted",
        /// The book's update chain broke inside the core: a silent hole upstream.
        BookChainBroken = 6 "book_chain_broken",
        /// A report that contradicts what is known.
        Contradiction = 7 "contradiction",
        RecoveryExhausted = 8 "recovery_exhausted",
        /// A flatten found owners that hold against each other: they closed with each other, so many lots, at that price.
        OwnersCrossed = 9 "owners_crossed",
        // Broken invariants: our bug, and the kill switch trips. Both numbers are in the record. They stay the last ones.
        /// More of an order is filled than was ordered.
        BrokenOrdered = 10 "broken_filled_within_ordered",
        /// An order's fills are more than what the venue counts.
        BrokenCumulative = 11 "broken_fills_within_cumulative",
        /// Less than nothing works on a side.
        BrokenWork = 12 "broken_work_not_negative",
        /// A position is not its start and its fills.
        BrokenPosition = 13 "broken_position_is_start_and_fills",
        /// The account's position is not the sum of its owners'.
        BrokenOwners = 14 "broken_owners_make_the_account",
        /// A request was to go out for an order that has one in flight: the numbers of both dispatches.
        BrokenInflight = 15 "broken_one_request_in_flight",
        /// A second command waits under the key of one that was to go out.
        BrokenPending = 16 "broken_one_command_a_key",
        /// A request was to go out that the kill's mode forbids: the codes of the request and of the mode.
        BrokenKill = 17 "broken_kill_lets_nothing_out",
    }
}

impl IncidentKind {
    /// An invariant does not hold: trading may not go on.
    #[inline]
    pub const fn is_broken_invariant(self) -> bool {
        self.code() >= Self::BrokenOrdered.code()
    }
}

/// What the requester is asked to read from the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub number: u64,
    pub venue: VenueId,
    pub scope: HydrationScope,
    pub instrument: InstrumentId,
    pub client_order_id: ClientOrderId,
    /// Zero where the venue has not told; then the client id is asked for.
    pub venue_order_id: VenueOrderId,
    /// Of trades: the newest that is known; zero: from `since` on.
    pub after_trade: u64,
    pub since: Nanos,
}

impl Decision {
    #[inline]
    pub fn encode(&self, slot: &mut [u8]) -> usize {
        let mut to = Encoder::new(slot);
        match self {
            Self::Intent(r) => {
                to.bytes([
                    1,
                    r.key.strategy.0,
                    r.request.code(),
                    r.side.code(),
                    r.verdict.code(),
                    r.admission.code(),
                    r.family.code(),
                ]);
                to.u16(r.key.slot);
                to.u16(r.instrument.0);
                to.i64(r.price.raw());
                to.i64(r.quantity.raw());
            }
            Self::Closed { key, request, why } => {
                to.bytes([2, key.strategy.0, request.code(), why.code()]);
                to.u16(key.slot);
            }
            Self::Gate { gate, venue, instrument, open } => {
                to.bytes([3, gate.code(), venue.0, u8::from(*open)]);
                to.u16(instrument.0);
            }
            Self::Incident { kind, instrument, order, ours, theirs } => {
                to.bytes([4, kind.code()]);
                to.u16(instrument.0);
                to.u32(order.0);
                to.i64(*ours);
                to.i64(*theirs);
            }
            Self::Ask(ask) => {
                to.bytes([5, ask.venue.0, ask.scope.code()]);
                to.u16(ask.instrument.0);
                to.u64(ask.number);
                to.bytes(ask.client_order_id.0);
                to.u64(ask.venue_order_id.0);
                to.u64(ask.after_trade);
                to.u64(ask.since.raw());
            }
            Self::Deferred { key, instrument, request, family, to: higher } => {
                to.bytes([7, key.strategy.0, request.code(), family.code(), higher.code()]);
                to.u16(key.slot);
                to.u16(instrument.0);
            }
            Self::StateHash { hash } => {
                to.u8(6);
                to.u64(*hash);
            }
            Self::Trip(trip) => {
                to.bytes([8, trip.strategy.0, trip.why.code(), trip.from_now_on.code()]);
                to.i64(trip.reached);
                to.i64(trip.bound);
            }
            Self::Waits { key, request, why, age } => {
                to.bytes([9, key.strategy.0, request.code(), why.code()]);
                to.u16(key.slot);
                to.u64(age.raw());
            }
        }
        to.length()
    }

    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(payload);
        let decision = match from.u8()? {
            1 => {
                let [strategy, request, side, verdict, admission, family] = from.bytes()?;
                let slot = from.u16()?;
                Self::Intent(IntentRecord {
                    key: OrderKey { strategy: StrategyId(strategy), slot },
                    instrument: InstrumentId(from.u16()?),
                    request: RequestKind::from_code(request)?,
                    side: Side::from_code(side)?,
                    price: Price::new(from.i64()?),
                    quantity: Quantity::new(from.i64()?),
                    verdict: RiskReason::from_code(verdict)?,
                    admission: Admission::from_code(admission)?,
                    family: Family::from_code(family)?,
                })
            }
            2 => {
                let [strategy, request, why] = from.bytes()?;
                Self::Closed {
                    key: OrderKey { strategy: StrategyId(strategy), slot: from.u16()? },
                    request: RequestKind::from_code(request)?,
                    why: CloseReason::from_code(why)?,
                }
            }
            3 => {
                let [gate, venue, open] = from.bytes()?;
                Self::Gate {
                    gate: Gate::from_code(gate)?,
                    venue: VenueId(venue),
                    instrument: InstrumentId(from.u16()?),
                    open: open != 0,
                }
            }
            4 => Self::Incident {
                kind: IncidentKind::from_code(from.u8()?)?,
                instrument: InstrumentId(from.u16()?),
                order: OrderIndex(from.u32()?),
                ours: from.i64()?,
                theirs: from.i64()?,
            },
            5 => {
                let [venue, scope] = from.bytes()?;
                Self::Ask(Ask {
                    venue: VenueId(venue),
                    scope: HydrationScope::from_code(scope)?,
                    instrument: InstrumentId(from.u16()?),
                    number: from.u64()?,
                    client_order_id: ClientOrderId(from.bytes()?),
                    venue_order_id: VenueOrderId(from.u64()?),
                    after_trade: from.u64()?,
                    since: Nanos::new(from.u64()?),
                })
            }
            6 => Self::StateHash { hash: from.u64()? },
            7 => {
                let [strategy, request, family, to] = from.bytes()?;
                Self::Deferred {
                    key: OrderKey { strategy: StrategyId(strategy), slot: from.u16()? },
                    instrument: InstrumentId(from.u16()?),
                    request: RequestKind::from_code(request)?,
                    family: Family::from_code(family)?,
                    to: Family::from_code(to)?,
                }
            }
            8 => {
                let [strategy, why, from_now_on] = from.bytes()?;
                Self::Trip(Trip {
                    strategy: StrategyId(strategy),
                    why: RiskReason::from_code(why)?,
                    from_now_on: TradingState::from_code(from_now_on)?,
                    reached: from.i64()?,
                    bound: from.i64()?,
                })
            }
            9 => {
                let [strategy, request, why] = from.bytes()?;
                Self::Waits {
                    key: OrderKey { strategy: StrategyId(strategy), slot: from.u16()? },
                    request: RequestKind::from_code(request)?,
                    why: Wait::from_code(why)?,
                    age: Nanos::new(from.u64()?),
                }
            }
            other => return Err(DecodeError::UnknownCode { field: "decision", code: u64::from(other) }),
        };
        from.finish()?;
        Ok(decision)
    }
}
