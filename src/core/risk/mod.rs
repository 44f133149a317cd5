//! Risk decides whether, never when. The only maker of `Approved`: an unchecked order has no type.
//!
//! One file a check, one reason a check, one row a check in the table below, which `docs/RISK.md` is printed from. Checks run in the order
//! of the table, and the first that objects answers. What lowers the account's exposure skips the rows that say `Adding`, what lowers the
//! strategy's own position those that say `Growing`: they only guard against new risk. A bound that speaks about more than one order (a loss, a runaway loop) also trips: see `watch`.
//! Hot.

mod account_daily_loss;
mod account_drawdown;
mod account_gross;
mod account_net;
mod bad_expiry;
mod bad_slot;
mod balance;
mod book_not_whole;
mod collar;
mod daily_loss;
mod draining;
mod drawdown;
mod duplicate_intent;
mod instrument_halted;
mod intent_rate;
mod killed;
mod losses;
mod lot_size;
mod margin;
mod market_crossed;
mod market_lot_size;
mod market_stale;
mod memory;
mod message_ratio;
mod min_notional;
mod no_reference_price;
mod not_our_instrument;
mod not_replaceable;
mod open_orders;
mod order_form;
mod order_notional;
mod order_quantity;
mod order_table_full;
mod percent_price;
mod position;
mod position_inconsistent;
mod position_notional;
mod position_side;
mod price_filter;
mod reducing_only;
mod self_cross;
mod slot_taken;
mod strategy_gross;
mod strategy_halted;
mod strategy_net;
mod strategy_open_orders;
mod strategy_reducing;
mod subject;
#[cfg(test)]
mod tests;
mod trading_disabled;
mod unsettled;
mod venue_open_orders;
mod watch;
mod would_trigger;

use crate::event::Side;
use crate::id::InstrumentId;
use crate::intent::Intent;
use crate::limits::Configuration;
use crate::record::RiskReason;
use crate::state::State;
use crate::state::queue::Reduces;

use duplicate_intent::LastWish;
use memory::Memory;
use subject::Subject;

/// An intent that risk allowed. Only this module can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    intent: Intent,
    instrument: InstrumentId,
    side: Side,
    reduces: Reduces,
}

/// One row of the table of checks, for those who print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    pub reason: RiskReason,
    pub applies: Applies,
    pub what: &'static str,
    /// Configuration keys, with commas between; empty where there are none.
    pub keys: &'static str,
    pub unit: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    Always,
    /// Not to intents that lower the account's exposure.
    Adding,
    /// Not to intents that lower the strategy's own position: what others hold is no licence.
    Growing,
}

/// The table: reason, to what it applies, its file, what it checks, its keys, their unit.
macro_rules! checks {
    ($($reason:ident $applies:ident $file:ident $what:literal $keys:literal $unit:literal;)*) => {
        /// Every check, in the order in which they run.
        pub const CHECKS: &[Check] = &[$(Check {
            reason: RiskReason::$reason,
            applies: Applies::$applies,
            what: $what,
            keys: $keys,
            unit: $unit,
        }),*];

        #[inline]
        fn first_objection(subject: &Subject<'_>) -> Result<(), RiskReason> {
            $(
                let applies = match Applies::$applies {
                    Applies::Always => true,
                    Applies::Adding => !subject.reduces.account,
                    Applies::Growing => !subject.reduces.own,
                };
                if applies && !is_removed(RiskReason::$reason) && $file::objects(subject) {
                    return Err(RiskReason::$reason);
                }
            )*
            Ok(())
        }
    };
}

checks! {
    Killed Always killed "the kill switch; under `flatten` what lowers exposure passes" "" "";
    Draining Always draining "the run is not ending" "" "";
    IntentRate Always intent_rate "a runaway loop: intents in one second, cancels not counted; halts the strategy" "strategy.max_intents_per_second" "intents";
    MessageRatio Always message_ratio "requests for each fill, over the present window and the one before; halts the strategy" "strategy.max_messages_per_fill, strategy.message_window, strategy.message_minimum" "requests";
    DailyLoss Growing daily_loss "loss of the strategy since the day began, realised and marked, the worse of the two; at the bound it may only reduce" "strategy.max_daily_loss" "money";
    Drawdown Growing drawdown "loss of the strategy from its best, realised and marked; at the bound it may only reduce" "strategy.max_drawdown" "money";
    AccountDailyLoss Adding account_daily_loss "loss of the whole account since the day began; at the bound `risk.on_loss`" "risk.max_daily_loss" "money";
    AccountDrawdown Adding account_drawdown "loss of the whole account from its best; at the bound `risk.on_loss`" "risk.max_drawdown" "money";
    TradingDisabled Always trading_disabled "trading is not halted for everybody; no operator's flatten is at work" "run.trading_enabled" "";
    ReducingOnly Adding reducing_only "not everybody may only reduce" "" "";
    StrategyHalted Always strategy_halted "the strategy is not halted" "" "";
    StrategyReducing Growing strategy_reducing "the strategy may do more than reduce" "" "";
    InstrumentHalted Always instrument_halted "the instrument is trading" "" "";
    NotOurInstrument Always not_our_instrument "the instrument is the strategy's" "strategy.instruments" "";
    BadSlot Always bad_slot "the slot is below 1,024" "" "";
    Unsettled Always unsettled "no related private event is still expected" "core.settle_quiet, core.settle_max" "span";
    DuplicateOrder Always slot_taken "one live order a slot" "" "";
    NotReplaceable Always not_replaceable "only limit orders are replaced (one that waits here takes any other price, if it has one)" "" "";
    WrongLeg Always position_side "in hedge mode an order names its leg, in one-way mode it does not" "venue.position_mode" "";
    BadForm Always order_form "what the kind of order needs, and what it cannot have" "" "";
    DuplicateIntent Always duplicate_intent "it is not the same wish again: one that would change nothing, or within the span" "strategy.duplicate_within" "span";
    PositionInconsistent Adding position_inconsistent "our position agrees with the venue's after a read-back" "" "";
    BookNotWhole Adding book_not_whole "the book is synchronised and whole" "" "";
    MarketStale Adding market_stale "the market was heard of lately" "instrument.stale_after" "span";
    MarketCrossed Adding market_crossed "the best bid is below the best ask" "" "";
    OffTickRange Always price_filter "the venue's least and greatest price, of limits and triggers" "" "ticks";
    OffLotRange Always lot_size "the venue's least and greatest quantity" "" "lots";
    MarketLotRange Always market_lot_size "the venue's greatest quantity of what fills at market" "" "lots";
    BelowMinNotional Always min_notional "the venue's least worth of an order (reduce-only orders may be worth less)" "" "quote asset";
    OutsidePercentPrice Always percent_price "the venue's percent-price filter, against the mark or the middle" "" "1/10,000";
    WouldTrigger Always would_trigger "the trigger of a conditional order is not reached already" "" "ticks";
    BadExpiry Always bad_expiry "a good-till-date order lives at least as long as the venue asks" "venue.least_validity" "span";
    OrderTooLarge Always order_quantity "fat finger: quantity of one order" "instrument.max_order_quantity" "lots";
    OrderNotionalTooLarge Always order_notional "fat finger: worth of one order" "instrument.max_order_notional" "quote asset";
    NoReferencePrice Always no_reference_price "there is a reference for the collar" "instrument.collar" "";
    OutsideCollar Always collar "distance of a limit price from the middle, or from its own trigger" "instrument.collar" "1/10,000";
    TooManyOpenOrders Adding open_orders "open and waiting orders of the instrument" "instrument.max_open_orders" "orders";
    StrategyOpenOrders Growing strategy_open_orders "open and waiting orders of the strategy" "strategy.max_open_orders" "orders";
    VenueOpenOrders Adding venue_open_orders "open and waiting orders at the venue, others' included" "venue.max_open_orders" "orders";
    OrderTableFull Always order_table_full "the order table has a row for it" "core.order_rows" "orders";
    PositionLimit Adding position "the position, with all that works and waits on its side filled" "instrument.max_position" "lots";
    PositionNotional Adding position_notional "the worth of that position" "instrument.max_position_notional" "quote asset";
    StrategyGross Growing strategy_gross "the sum of the worths of the strategy's positions, all that works and waits filled" "strategy.max_gross" "money";
    StrategyNet Growing strategy_net "the worth of the strategy's positions together, long against short" "strategy.max_net" "money";
    AccountGross Adding account_gross "the sum of the worths of all positions, all that works and waits filled" "risk.max_gross" "money";
    AccountNet Adding account_net "the worth of all positions together, long against short" "risk.max_net" "money";
    Balance Always balance "spot: what is sold, or paid with its fee, is there and not bound by other orders" "" "asset";
    Margin Adding margin "perpetuals: the initial margin of the worst case is covered" "instrument.leverage" "quote asset";
    SelfCross Always self_cross "it would not trade with an order of our own account" "" "";
}

#[derive(Clone, Debug)]
pub struct Risk {
    memory: Memory,
}

crate::saved! { table Risk { memory } }

impl Risk {
    pub fn new(configuration: &Configuration) -> Self {
        Self { memory: Memory::new(configuration.strategies.len()) }
    }

    #[inline]
    pub fn check(
        &mut self,
        state: &State,
        configuration: &Configuration,
        intent: &Intent,
    ) -> Result<Approved, RiskReason> {
        if let Intent::Cancel(_) = intent {
            return cancel(state, intent);
        }
        let key = intent.key();
        self.memory.note_intent(key.strategy, state, configuration);
        let subject = Subject::resolve(state, configuration, &self.memory, intent)?;
        let verdict = first_objection(&subject);
        let (approved, wish) = (subject.approved(), LastWish::of(&subject));
        match verdict {
            Ok(()) => self.memory.note_allowed(key, wish),
            Err(reason) => self.memory.note_denied(key.strategy, reason),
        }
        verdict.map(|()| approved)
    }
}

impl Approved {
    #[inline]
    pub fn intent(&self) -> Intent {
        self.intent
    }
    #[inline]
    pub fn instrument(&self) -> InstrumentId {
        self.instrument
    }
    #[inline]
    pub fn side(&self) -> Side {
        self.side
    }
    #[inline]
    pub fn reduces(&self) -> Reduces {
        self.reduces
    }
}

/// A cancel adds no risk: it needs only a target, and that it is its own.
#[inline]
fn cancel(state: &State, intent: &Intent) -> Result<Approved, RiskReason> {
    let Intent::Cancel(cancel) = intent else { return Err(RiskReason::NoSuchOrder) };
    let live = if cancel.order.is_none() {
        state.execution.live_in_slot(cancel.key).map(|(_, order)| order)
    } else {
        state.execution.orders.order(cancel.order).filter(|order| order.is_live() && order.key == cancel.key)
    };
    let found = live
        .map(|order| (order.instrument, order.side))
        .or_else(|| state.execution.queue.pending(cancel.key).map(|pending| (pending.instrument, Side::Buy)));
    let (instrument, side) = found.ok_or(RiskReason::NoSuchOrder)?;
    Ok(Approved { intent: *intent, instrument, side, reduces: Reduces { account: true, own: true } })
}

/// Every check stands in every build; only a test that must see what happens without one takes it away.
#[cfg(not(test))]
#[inline]
const fn is_removed(_reason: RiskReason) -> bool {
    false
}

#[cfg(test)]
use tests::is_removed;
