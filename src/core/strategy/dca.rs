//! The built-in DCA entry: a base order, safety orders below it that make the average better, and a take-profit on that average.
//!
//! ```text
//! idle --cooldown over, market trusted--> entering --base order filled--> holding --flat--> ending --all clear--> idle
//! ```
//! A deal is bounded: so many safety orders, so much held with all of them filled. Each safety order lies a step further from the
//! base order's price than the one before, the steps and the sizes growing by their scales. The take-profit is of the protective
//! family and follows the position with every fill. When the position is gone, whoever closed it, the deal is over and what is
//! left of it is withdrawn.
//! Hot.

use crate::event::{Side, TimeInForce};
use crate::family::Claim;
use crate::id::{ClientOrderId, InstrumentId};
use crate::intent::Intents;
use crate::limits::ANY;
use crate::num::{Notional, Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Words};
use crate::state::Change;
use crate::state::market::Top;
use crate::strategy::changeable::Changeable;
use crate::strategy::distance::better_beyond;
use crate::strategy::quote::{self, Quote};
use crate::strategy::{Strategy, View, Wakes};
use crate::time::Nanos;

/// Safety orders of one deal at most.
pub const MAX_SAFETY_ORDERS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// What is taken on: Buy accumulates a long position.
    pub side: Side,
    /// Of the first order, in lots.
    pub base_quantity: Quantity,
    /// Of the first safety order, in lots.
    pub safety_quantity: Quantity,
    /// How many a deal may have, at most `MAX_SAFETY_ORDERS`.
    pub safety_orders: u16,
    /// How many of them rest at one time.
    pub active_safety_orders: u16,
    /// From the base price to the first safety order, in 1/10,000.
    pub step: u32,
    /// Each further step against the one before, in 1/10,000: 10,000 is as large.
    pub step_scale: u32,
    /// Each further safety order's size against the one before, in 1/10,000.
    pub size_scale: u32,
    /// From the average price to the take-profit, in 1/10,000.
    pub take_profit: u32,
    /// The position that no order may grow past, all resting ones filled.
    pub max_position: Quantity,
    /// From the end of one deal to the next.
    pub cooldown: Nanos,
    /// Deals of a run; zero: no end.
    pub deals: u32,
    /// The base order and the take-profit are moved when they are this many ticks off.
    pub requote_ticks: i64,
}

crate::changeable! {
    Parameters {
        take_profit "take_profit" Share 1 10_000 false;
        max_position "max_position" Lots 1 ANY false;
        requote_ticks "requote_ticks" Count 1 1_000_000 false;
    }
}

crate::coded! {
    pub enum Phase {
        Idle = 0 "idle",
        Entering = 1 "entering",
        Holding = 2 "holding",
        /// Flat again: what is left of the deal is withdrawn.
        Ending = 3 "ending",
    }
}

const BASE: u16 = 0;
const TAKE_PROFIT: u16 = 1;
const FIRST_SAFETY: u16 = 2;

/// A ladder that risk or the venue refused is wished again after this.
const WISH_AGAIN: Nanos = Nanos::from_secs(1);

#[derive(Clone, Debug)]
pub struct DcaEntry {
    parameters: Parameters,
    memory: Memory,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    phase: Phase,
    deals: u32,
    /// When the next deal may begin, or the ladder may be wished again.
    not_before: Nanos,
    /// The base order's average price: where the ladder hangs.
    anchor: Price,
    /// What this strategy's book held and had paid when the deal began.
    quantity_before: Quantity,
    cost_before: Notional,
    rungs: [Rung; MAX_SAFETY_ORDERS],
}

/// What has filled of one safety order, over all orders that stood for it in this deal.
#[derive(Clone, Copy, Debug, Default)]
struct Rung {
    filled_before: Quantity,
    /// The newest order that is in `filled_before`, or belongs to an earlier deal.
    counted: ClientOrderId,
}

crate::saved! { value Rung { filled_before, counted } }
crate::saved! {
    value Memory { phase, deals, not_before, anchor, quantity_before, cost_before, rungs }
}
crate::saved! { table DcaEntry { memory } kept { parameters } }

/// A safety order as the parameters want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Safety {
    price: Price,
    quantity: Quantity,
}

impl DcaEntry {
    pub fn new(parameters: Parameters) -> Self {
        let memory = Memory {
            phase: Phase::Idle,
            deals: 0,
            not_before: Nanos::ZERO,
            anchor: Price::ZERO,
            quantity_before: Quantity::ZERO,
            cost_before: Notional::ZERO,
            rungs: [Rung::default(); MAX_SAFETY_ORDERS],
        };
        Self { parameters, memory }
    }

    pub fn phase(&self) -> Phase {
        self.memory.phase
    }

    /// The slots of a deal's safety orders.
    fn safety_slots(&self) -> core::ops::Range<u16> {
        FIRST_SAFETY..FIRST_SAFETY + self.parameters.safety_orders.min(MAX_SAFETY_ORDERS as u16)
    }

    /// What the deal holds: never more than the account does, for a stop of another strategy may have closed it.
    fn held(&self, view: &View<'_>, instrument: InstrumentId) -> Quantity {
        let side = self.parameters.side;
        let own = side.signed(view.position(instrument).quantity - self.memory.quantity_before);
        own.min(side.signed(view.account_position(instrument).quantity)).max(Quantity::ZERO)
    }

    /// The deal's average price, in ticks, rounded to the worse side, so that the take-profit is never nearer than it was said.
    fn average(&self, view: &View<'_>, instrument: InstrumentId) -> Option<Price> {
        let position = view.position(instrument);
        let quantity = (position.quantity - self.memory.quantity_before).abs();
        let cost = (position.cost - self.memory.cost_before).abs();
        let (cost, quantity) = (cost.raw(), i128::from(quantity.raw()));
        let ticks = match self.parameters.side {
            Side::Buy => cost.saturating_add(quantity - 1).checked_div(quantity)?,
            Side::Sell => cost.checked_div(quantity)?,
        };
        i64::try_from(ticks).ok().map(Price::new)
    }

    /// The safety orders of the deal, nearest first.
    fn ladder(&self) -> impl Iterator<Item = Safety> {
        let Parameters { side, safety_quantity, step, step_scale, size_scale, .. } = self.parameters;
        let anchor = self.memory.anchor;
        let grown = |value: i128, scale: u32| value.saturating_mul(i128::from(scale)) / 10_000;
        // In 1/10,000 of 1/10,000, so that scaled steps keep their fractions.
        let mut step = i128::from(step) * 10_000;
        let mut distance = 0i128;
        let mut size = i128::from(safety_quantity.raw()) * 10_000;
        self.safety_slots().map(move |_| {
            distance = distance.saturating_add(step);
            step = grown(step, step_scale);
            let whole = u32::try_from(distance / 10_000).unwrap_or(10_000).min(10_000);
            let quantity = Quantity::new(i64::try_from(size / 10_000).unwrap_or(i64::MAX));
            size = grown(size, size_scale);
            Safety { price: better_beyond(side, anchor, whole), quantity }
        })
    }

    fn begin_deal(&mut self, view: &View<'_>, instrument: InstrumentId) {
        let position = view.position(instrument);
        self.memory.quantity_before = position.quantity;
        self.memory.cost_before = position.cost;
        self.memory.anchor = Price::ZERO;
        self.memory.phase = Phase::Entering;
        for (rung, slot) in self.memory.rungs.iter_mut().zip(FIRST_SAFETY..) {
            let counted = view.latest(slot).map_or(ClientOrderId::NONE, |last| last.client_order_id);
            *rung = Rung { filled_before: Quantity::ZERO, counted };
        }
    }

    /// The base order follows the near touch until it is filled; what it got is the deal.
    fn enter(
        &mut self,
        view: &View<'_>,
        instrument: InstrumentId,
        held: Quantity,
        top: Top,
        intents: &mut Intents,
    ) {
        let Parameters { side, base_quantity, requote_ticks, .. } = self.parameters;
        let price = match side {
            Side::Buy => top.bid.price,
            Side::Sell => top.ask.price,
        };
        let quantity = match view.order(BASE) {
            Some(order) => order.quantity - order.filled,
            None if held.is_positive() && view.is_clear(BASE) => {
                self.memory.anchor = self.average(view, instrument).unwrap_or(price);
                self.memory.phase = Phase::Holding;
                self.memory.not_before = Nanos::ZERO;
                return;
            }
            None => base_quantity,
        };
        if view.order(BASE).is_none() && !view.is_clear(BASE) && !view.has_pending(BASE) {
            // It has ended, and not all of its fills are known.
            return;
        }
        let time_in_force = TimeInForce::PostOnly;
        let slot = BASE;
        let quote = Quote {
            slot,
            instrument,
            side,
            price,
            quantity,
            time_in_force,
            requote_ticks,
            protective: false,
        };
        quote::step(view, &quote, intents);
    }

    /// All of what is held, at the average and the profit.
    fn take_profit(&self, view: &View<'_>, instrument: InstrumentId, held: Quantity, intents: &mut Intents) {
        let Some(average) = self.average(view, instrument) else { return };
        let side = self.parameters.side.opposite();
        let quote = Quote {
            slot: TAKE_PROFIT,
            instrument,
            side,
            price: better_beyond(side, average, self.parameters.take_profit),
            quantity: held,
            time_in_force: TimeInForce::GoodTillCancel,
            requote_ticks: self.parameters.requote_ticks,
            protective: true,
        };
        quote::step(view, &quote, intents);
    }

    /// Places the nearest safety orders that have not filled, as many as may rest, as far as the bound on the position allows.
    fn average_down(
        &mut self,
        view: &View<'_>,
        instrument: InstrumentId,
        held: Quantity,
        intents: &mut Intents,
    ) {
        self.count_fills(view);
        let live = |slot| view.order(slot).map_or(Quantity::ZERO, |order| order.quantity - order.filled);
        let mut exposed = self.safety_slots().fold(held, |sum, slot| sum + live(slot));
        let mut active = 0;
        for (slot, (safety, rung)) in self.safety_slots().zip(self.ladder().zip(self.memory.rungs)) {
            if active == self.parameters.active_safety_orders {
                break;
            }
            let missing = safety.quantity - rung.filled_before;
            if view.order(slot).is_some() || view.has_pending(slot) {
                active += 1;
                continue;
            }
            if !missing.is_positive() || !view.is_clear(slot) {
                continue;
            }
            exposed += missing;
            if exposed > self.parameters.max_position {
                break;
            }
            active += 1;
            let side = self.parameters.side;
            intents.limit(slot, instrument, side, safety.price, missing, TimeInForce::GoodTillCancel);
        }
    }

    /// What ended safety orders have filled, each once.
    fn count_fills(&mut self, view: &View<'_>) {
        for (rung, slot) in self.memory.rungs.iter_mut().zip(FIRST_SAFETY..) {
            if let Some(last) = view.latest(slot)
                && !last.is_live()
                && last.filled >= last.cumulative
                && last.client_order_id != rung.counted
            {
                rung.filled_before += last.filled;
                rung.counted = last.client_order_id;
            }
        }
    }

    /// Withdraws what is left of the deal; true when nothing is.
    fn withdraw_all(&self, view: &View<'_>, intents: &mut Intents) -> bool {
        let mut clear = true;
        for slot in (BASE..FIRST_SAFETY).chain(self.safety_slots()) {
            quote::withdraw(view, slot, intents);
            clear &= view.is_clear(slot);
        }
        clear
    }
}

impl Strategy for DcaEntry {
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let Some(instrument) = view.instruments().next() else { return };
        let (Change::Top(at) | Change::Book(at) | Change::Settled(at) | Change::BookLost(at)) = change else {
            return;
        };
        if at != instrument || !view.is_settled(instrument) {
            return;
        }
        let top = view.trusted_top(instrument);
        let now = view.now();
        let (more_deals, held) = {
            let Parameters { deals, .. } = self.parameters;
            (deals == 0 || self.memory.deals < deals, self.held(view, instrument))
        };
        match (self.memory.phase, top) {
            (Phase::Idle, Some(top)) if more_deals && now >= self.memory.not_before => {
                self.begin_deal(view, instrument);
                self.enter(view, instrument, Quantity::ZERO, top, intents);
            }
            (Phase::Entering, Some(top)) => {
                if held.is_positive() {
                    self.take_profit(view, instrument, held, intents);
                }
                self.enter(view, instrument, held, top, intents);
            }
            // A base order is not left in a market that cannot be believed; what protects is.
            (Phase::Entering, None) => quote::withdraw(view, BASE, intents),
            (Phase::Holding | Phase::Ending, _) if held.is_positive() => {
                self.memory.phase = Phase::Holding;
                self.take_profit(view, instrument, held, intents);
                if matches!(change, Change::Settled(_)) || now >= self.memory.not_before {
                    self.memory.not_before = now + WISH_AGAIN;
                    self.average_down(view, instrument, held, intents);
                }
            }
            (Phase::Holding, _) => {
                self.memory.phase = Phase::Ending;
                self.withdraw_all(view, intents);
            }
            (Phase::Ending, _) if self.withdraw_all(view, intents) => {
                self.memory.phase = Phase::Idle;
                self.memory.deals = self.memory.deals.saturating_add(1);
                self.memory.not_before = now + self.parameters.cooldown;
            }
            _ => {}
        }
    }

    fn claim(&self, _: &View<'_>, _: u16) -> Claim {
        match self.memory.phase {
            Phase::Idle | Phase::Ending => Claim::Abandoned,
            Phase::Entering | Phase::Holding => Claim::Mine,
        }
    }

    fn wakes_on(&self) -> Wakes {
        Wakes::TOP | Wakes::BOOK | Wakes::SETTLED | Wakes::LOST
    }

    fn changeable(&self) -> Option<&dyn Changeable> {
        Some(&self.parameters)
    }

    fn changeable_mut(&mut self) -> Option<&mut dyn Changeable> {
        Some(&mut self.parameters)
    }

    fn save(&self, to: &mut dyn Sink) {
        Saved::save(self, to);
    }

    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        Saved::load(self, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn steps_and_sizes_grow_by_their_scales() {
        let mut entry = DcaEntry::new(Parameters {
            side: Side::Buy,
            base_quantity: Quantity::new(10),
            safety_quantity: Quantity::new(10),
            safety_orders: 4,
            active_safety_orders: 2,
            step: 100,
            step_scale: 15_000,
            size_scale: 20_000,
            take_profit: 100,
            max_position: Quantity::new(1_000),
            cooldown: Nanos::ZERO,
            deals: 1,
            requote_ticks: 1,
        });
        entry.memory.anchor = Price::new(100_000);
        // Steps of 1 %, 1.5 %, 2.25 %, 3.375 %: 1 %, 2.5 %, 4.75 %, 8.12 % (whole 1/10,000) under the anchor.
        let ladder: Vec<_> = entry.ladder().map(|s| (s.price.raw(), s.quantity.raw())).collect();
        assert_eq!(ladder, [(99_000, 10), (97_500, 20), (95_250, 40), (91_880, 80)]);
    }
}
