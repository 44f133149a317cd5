//! The family *kill and flatten*: cancels first, and once nothing is open, what is held is closed.
//!
//! It acts on a kill, a drain and the operator's wishes, for the whole account, and while it is at work strategies wish nothing.
//! Hot.

use alloc::vec::Vec;

use crate::event::{Body, ControlVerb, Event, KillMode, PositionSide, RequestKind, Side};
use crate::execution::Outbox;
use crate::family::Family;
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::instrument::Product;
use crate::intent::{CancelIntent, Intent, Intents, NewIntent};
use crate::limits::{Configuration, MAX_INSTRUMENTS};
use crate::num::{Cash, Quantity};
use crate::record::{Decision, IncidentKind};
use crate::state::State;
use crate::time::Nanos;

use super::{CANCEL_AGAIN, cancel_order};

#[derive(Clone, Debug)]
pub(super) struct Closing {
    /// An operator's one-shot wish to cancel everything.
    cancel_all: bool,
    /// An operator's wish to hold nothing; done when nothing is held.
    flatten: bool,
    tries: Tries,
    /// When what was refused is wished again.
    again_at: Nanos,
}

crate::saved! { table Closing { cancel_all, flatten, tries, again_at } }

impl Closing {
    pub(super) fn new(instruments: usize) -> Self {
        Self { cancel_all: false, flatten: false, tries: Tries::new(instruments), again_at: Nanos::MAX }
    }

    /// True while it is at work: no lower family acts then.
    #[inline]
    pub(super) fn act(
        &mut self,
        state: &mut State,
        configuration: &Configuration,
        event: &Event,
        intents: &mut Intents,
        outbox: &mut impl Outbox,
    ) -> bool {
        if let Body::Control(control) = &event.body {
            match control.verb {
                ControlVerb::CancelAll => self.cancel_all = true,
                ControlVerb::Flatten => self.flatten = true,
                _ => {}
            }
        }
        self.again_at = Nanos::MAX;
        if state.control.trading.is_sweeping() {
            self.sweep(state, intents);
        }
        let kill = state.control.kill;
        let cancelling = matches!(kill, Some(KillMode::Cancel | KillMode::Flatten)) || state.control.draining;
        let flattening = kill == Some(KillMode::Flatten) || self.flatten;
        if !(cancelling || flattening || self.cancel_all) {
            return kill.is_some();
        }
        let open = cancel_everything(state, intents);
        // A turn has a bound: what did not fit is wished at the next event. What opens later was not meant.
        self.cancel_all &= intents.is_full();
        if open {
            self.again_at = state.now + CANCEL_AGAIN;
        }
        if flattening && !open {
            let held = flatten(&mut self.tries, state, configuration, intents, outbox);
            self.flatten &= held;
            if held {
                self.again_at = state.now + CANCEL_AGAIN;
            }
        }
        state.control.flattening = self.flatten;
        true
    }

    /// After a trip, what the strategy had open before is cancelled, but for what can only reduce; what it wishes after is
    /// its own business.
    #[cold]
    fn sweep(&mut self, state: &mut State, intents: &mut Intents) {
        let mut open = false;
        for (index, order) in state.execution.orders.live_orders() {
            if state.control.trading.sweeps(order) {
                open = true;
                cancel_order(state, index, Family::Closing, intents);
            }
        }
        if open {
            self.again_at = state.now + CANCEL_AGAIN;
        } else {
            state.control.trading.swept();
        }
    }

    #[inline]
    pub(super) fn next_deadline(&self) -> Nanos {
        self.again_at
    }
}

/// A cancel for every live order of ours that has none on its way; true while any of ours is open or waiting.
fn cancel_everything(state: &State, intents: &mut Intents) -> bool {
    let mut open = false;
    for pending in state.execution.queue.iter() {
        if pending.intent.request() != RequestKind::Cancel
            && pending.intent.key().strategy != StrategyId::WORKFLOW
        {
            open = true;
            intents.push(Intent::Cancel(CancelIntent {
                key: pending.intent.key(),
                order: OrderIndex::NONE,
                family: Family::Closing,
            }));
        }
    }
    for (index, order) in state.execution.orders.live_orders() {
        let strategy = order.key.strategy;
        if strategy == StrategyId::EXTERNAL || strategy == StrategyId::WORKFLOW {
            continue;
        }
        open = true;
        cancel_order(state, index, Family::Closing, intents);
    }
    open
}

/// As much as one closing order may have by the venue's filters and our own limits; the rest follows.
fn most_at_once(state: &State, configuration: &Configuration, instrument: InstrumentId) -> Quantity {
    let Some(market) = state.market.instrument(instrument) else { return Quantity::MAX };
    let venue =
        market.definition.as_ref().map_or(Quantity::MAX, |d| d.max_market_quantity.min(d.max_quantity));
    let Some(limits) = configuration.instruments.get(instrument.index()) else { return venue };
    let by_notional = market.mark_to().and_then(|price| {
        let lots = limits.max_order_notional.raw().checked_div(i128::from(price.raw()))?;
        i64::try_from(lots).ok().map(Quantity::new)
    });
    venue.min(limits.max_order_quantity).min(by_notional.unwrap_or(Quantity::MAX)).max(Quantity::new(1))
}

/// What is held is sold or bought back at market, reduce-only, one order a leg at a time; true while anything is held or on
/// its way. Owners that hold against each other while the account is flat close with each other.
fn flatten(
    tries: &mut Tries,
    state: &mut State,
    configuration: &Configuration,
    intents: &mut Intents,
    outbox: &mut impl Outbox,
) -> bool {
    let mut held = false;
    for at in 0..state.market.count() {
        let instrument = InstrumentId(at as u16);
        for leg in state.execution.legs_of(instrument) {
            held |= flatten_leg(tries, state, configuration, instrument, *leg, intents, outbox);
        }
    }
    held
}

fn flatten_leg(
    tries: &mut Tries,
    state: &mut State,
    configuration: &Configuration,
    instrument: InstrumentId,
    leg: PositionSide,
    intents: &mut Intents,
    outbox: &mut impl Outbox,
) -> bool {
    let Some(definition) = state.market.instrument(instrument).and_then(|market| market.definition) else {
        return false;
    };
    let is_spot = definition.product == Product::Spot;
    let held = state.execution.to_close(instrument, leg, is_spot);
    // A slot for each leg: nobody else's, and no two of them at once.
    let slot = u16::from(leg.code()) * MAX_INSTRUMENTS as u16 + instrument.0;
    let key = OrderKey { strategy: StrategyId::WORKFLOW, slot };
    let under_way = state.execution.orders.live_orders().any(|(_, order)| order.key == key)
        || state.execution.queue.pending(key).is_some();
    if under_way {
        return true;
    }
    if held.is_zero() {
        cross_owners(state, instrument, leg, outbox);
        return false;
    }
    // A spot venue takes no order for so little: it stays.
    let mark = state.market.instrument(instrument).and_then(|market| market.mark_to());
    if is_spot
        && mark.is_some_and(|price| {
            definition.cash(price.notional(held)) < Cash::from_wire(definition.min_notional)
        })
    {
        return false;
    }
    // While events of it are still on their way, risk would deny it.
    if !state.account.is_settled(instrument) || !tries.may_try(instrument, leg, held, state.now) {
        return true;
    }
    let side = if held.is_positive() { Side::Sell } else { Side::Buy };
    let most = most_at_once(state, configuration, instrument);
    let new = NewIntent::market(instrument, side, held.abs().min(most)).reduce_only().on_leg(leg);
    intents.push(Intent::New(NewIntent { family: Family::Closing, ..new.keyed(key) }));
    true
}

/// At the price that everything is valued at: nobody gains by it. Without one nothing is crossed.
fn cross_owners(state: &mut State, instrument: InstrumentId, leg: PositionSide, outbox: &mut impl Outbox) {
    let price = state.market.instrument(instrument).and_then(|market| market.mark_to());
    let Some(price) = price else { return };
    let crossed = state.execution.cross_owners(instrument, leg, price);
    if !crossed.is_zero() {
        let (kind, order) = (IncidentKind::OwnersCrossed, OrderIndex::NONE);
        let (ours, theirs) = (crossed.raw(), price.raw());
        outbox.decision(&Decision::Incident { kind, instrument, order, ours, theirs });
    }
}

/// The last attempt at each instrument, leg by leg. One that changed nothing is made again only after a while: the venue, risk or the
/// sender has refused it, and would again.
#[derive(Clone, Debug)]
struct Tries {
    last: Vec<[Try; 3]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Try {
    held: Quantity,
    at: Nanos,
}

crate::saved! { value Try { held, at } }
crate::saved! { table Tries { last } }

impl Tries {
    fn new(instruments: usize) -> Self {
        Self { last: alloc::vec![[Try::default(); 3]; instruments] }
    }

    fn may_try(&mut self, instrument: InstrumentId, leg: PositionSide, held: Quantity, now: Nanos) -> bool {
        let legs = self.last.get_mut(instrument.index());
        let Some(last) = legs.and_then(|legs| legs.get_mut(usize::from(leg.code()))) else { return true };
        let is_again = last.held == held && now < last.at + CANCEL_AGAIN;
        if !is_again {
            *last = Try { held, at: now };
        }
        !is_again
    }
}
