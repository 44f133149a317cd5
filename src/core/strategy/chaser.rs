//! The built-in chaser: works a parent order to completion with child orders that follow the near touch, never beyond its price
//! limit or its slippage cap.
//!
//! ```text
//! waiting --first trusted market--> working --deadline--> finishing --child gone--> (taking) --> done
//!                                      '-------------- all of it filled ------------------------^
//! ```
//! The parent is filled exactly. Its progress is the strategy's own position, which every fill reaches, also a late one; a child is never
//! larger than what is missing, a replace never makes one larger, and no child follows another before the fills of the first are all
//! known. So a report that is lost can delay it, and never makes it buy twice.
//! Hot.

use crate::event::{Side, TimeInForce};
use crate::family::Claim;
use crate::id::InstrumentId;
use crate::intent::{Intents, NewIntent};
use crate::limits::ANY;
use crate::num::{Cash, Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Words};
use crate::state::Change;
use crate::state::execution::Agreement;
use crate::state::market::Top;
use crate::strategy::changeable::Changeable;
use crate::strategy::distance::{better, worse_within};
use crate::strategy::quote::{self, Quote};
use crate::strategy::{Progress, Strategy, View, Wakes};
use crate::time::Nanos;

/// The parent order, and how it is worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub side: Side,
    /// All of it, in lots.
    pub quantity: Quantity,
    /// The worst price that is paid; none: only the cap bounds it.
    pub price_limit: Option<Price>,
    /// The worst price against the middle of the market on arrival, in 1/10,000.
    pub max_slippage: u32,
    /// The most that shows at one time, in lots.
    pub child_quantity: Quantity,
    /// From arrival until it finishes, whatever is missing; zero: as long as it takes.
    pub deadline: Nanos,
    /// What becomes of the remainder at the deadline.
    pub finish: Finish,
    /// A child this many ticks off the near touch is moved.
    pub requote_ticks: i64,
}

/// Thirty days.
const LONGEST: i64 = 30 * 86_400 * 1_000_000_000;

crate::changeable! {
    Parameters {
        quantity "quantity" Lots 1 ANY false;
        price_limit "price_limit" Ticks 1 ANY true;
        max_slippage "max_slippage" Share 1 10_000 false;
        child_quantity "child_quantity" Lots 1 ANY false;
        deadline "deadline" Span 1_000_000_000 LONGEST true;
        requote_ticks "requote_ticks" Count 1 1_000_000 false;
    }
}

crate::coded! {
    pub enum Finish {
        /// The remainder is left undone.
        Leave = 0 "leave",
        /// The remainder takes what the market has within the bounds, once.
        Take = 1 "take",
    }
}

crate::coded! {
    pub enum Phase {
        /// For a market to arrive in.
        Waiting = 0 "waiting",
        Working = 1 "working",
        /// The deadline has come: the child is withdrawn.
        Finishing = 2 "finishing",
        /// The remainder was sent to take what there is.
        Taking = 3 "taking",
        Done = 4 "done",
    }
}

/// The slot of the child that follows the touch, and that of the one that takes the remainder.
const CHILD: u16 = 0;
const TAKER: u16 = 1;

#[derive(Clone, Debug)]
pub struct Chaser {
    parameters: Parameters,
    memory: Memory,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    phase: Phase,
    arrived: Nanos,
    /// The middle of the market on arrival, rounded to the better side: what the slippage is measured from.
    middle: Price,
    /// The strategy's position on arrival.
    held_before: Quantity,
}

crate::saved! { value Memory { phase, arrived, middle, held_before } }
crate::saved! { table Chaser { memory } kept { parameters } }

impl Chaser {
    pub fn new(parameters: Parameters) -> Self {
        let memory = Memory {
            phase: Phase::Waiting,
            arrived: Nanos::ZERO,
            middle: Price::ZERO,
            held_before: Quantity::ZERO,
        };
        Self { parameters, memory }
    }

    pub fn phase(&self) -> Phase {
        self.memory.phase
    }

    fn arrive(&mut self, view: &View<'_>, instrument: InstrumentId, top: Top) {
        let sum = top.bid.price + top.ask.price;
        self.memory = Memory {
            phase: Phase::Working,
            arrived: view.now(),
            middle: match self.parameters.side {
                Side::Buy => Price::new(sum.raw() >> 1),
                Side::Sell => Price::new((sum.raw() + 1) >> 1),
            },
            held_before: view.position(instrument).quantity,
        };
    }

    /// What the slippage cap makes of the market on arrival, tightened by the price limit.
    fn bound(&self) -> Price {
        let Parameters { side, price_limit, max_slippage, .. } = self.parameters;
        let cap = worse_within(side, self.memory.middle, max_slippage);
        price_limit.map_or(cap, |limit| better(side, cap, limit))
    }

    /// What is filled of the parent.
    fn filled(&self, view: &View<'_>, instrument: InstrumentId) -> Quantity {
        let position = view.position(instrument).quantity;
        self.parameters.side.signed(position - self.memory.held_before)
    }

    /// The next child: as much as may show, and all that is missing where the rest would be too little for the venue.
    fn child(&self, view: &View<'_>, instrument: InstrumentId, missing: Quantity, price: Price) -> Quantity {
        let child = self.parameters.child_quantity.min(missing);
        let Some(definition) = view.definition(instrument) else { return child };
        let left = missing - child;
        let worth = definition.cash(price.notional(left));
        let too_little = left < definition.min_quantity || worth < Cash::from_wire(definition.min_notional);
        if left.is_positive() && too_little { missing } else { child }
    }

    fn work(
        &self,
        view: &View<'_>,
        instrument: InstrumentId,
        missing: Quantity,
        top: Top,
        intents: &mut Intents,
    ) {
        let Parameters { side, requote_ticks, .. } = self.parameters;
        let near = match side {
            Side::Buy => top.bid.price,
            Side::Sell => top.ask.price,
        };
        let price = better(side, near, self.bound());
        let quantity = match view.order(CHILD) {
            // Its size is what it was born with, whatever has filled: reports that are lost cannot make it larger.
            Some(child) => child.quantity - child.filled,
            None if view.is_clear(CHILD) => self.child(view, instrument, missing, price),
            // One waits in the queue, and moves with the touch; it is as large as it was wished.
            None if view.has_pending(CHILD) => self.child(view, instrument, missing, price),
            None => return,
        };
        let time_in_force = TimeInForce::PostOnly;
        let slot = CHILD;
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

    /// The remainder takes what there is within the bound, once.
    fn take(&mut self, instrument: InstrumentId, missing: Quantity, intents: &mut Intents) {
        let order = NewIntent::limit(instrument, self.parameters.side, self.bound(), missing);
        intents.new_order(TAKER, order.valid(TimeInForce::ImmediateOrCancel));
        self.memory.phase = Phase::Taking;
    }

    fn is_late(&self, now: Nanos) -> bool {
        let deadline = self.parameters.deadline;
        !deadline.is_zero() && now >= self.memory.arrived + deadline
    }
}

impl Strategy for Chaser {
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let Some(instrument) = view.instruments().next() else { return };
        let (Change::Top(at) | Change::Book(at) | Change::Settled(at) | Change::BookLost(at)) = change else {
            return;
        };
        if at != instrument || self.memory.phase == Phase::Done {
            return;
        }
        let top = view.trusted_top(instrument);
        if let (Phase::Waiting, Some(top)) = (self.memory.phase, top) {
            self.arrive(view, instrument, top);
        }
        if self.memory.phase == Phase::Working && self.is_late(view.now()) {
            self.memory.phase = Phase::Finishing;
        }
        // Fills that are under way would make what is missing look larger than it is.
        let agrees = view.state().execution.agreement(instrument) == Agreement::Agrees;
        if !view.is_settled(instrument) || !agrees {
            return;
        }
        let missing = self.parameters.quantity - self.filled(view, instrument);
        if self.memory.phase != Phase::Waiting && !missing.is_positive() {
            quote::withdraw(view, CHILD, intents);
            if view.is_clear(CHILD) {
                self.memory.phase = Phase::Done;
            }
            return;
        }
        match (self.memory.phase, top) {
            (Phase::Working, Some(top)) => self.work(view, instrument, missing, top, intents),
            (Phase::Working, None) | (Phase::Finishing, _) if !view.is_clear(CHILD) => {
                quote::withdraw(view, CHILD, intents);
            }
            (Phase::Finishing, _) if self.parameters.finish == Finish::Leave => {
                self.memory.phase = Phase::Done
            }
            (Phase::Finishing, Some(_)) => self.take(instrument, missing, intents),
            // It never went out: risk had an objection, or its wait was too long.
            (Phase::Taking, Some(_)) if view.latest(TAKER).is_none() && !view.has_pending(TAKER) => {
                self.take(instrument, missing, intents);
            }
            (Phase::Taking, _) if view.is_clear(TAKER) => self.memory.phase = Phase::Done,
            _ => {}
        }
    }

    fn claim(&self, _: &View<'_>, _: u16) -> Claim {
        if self.memory.phase == Phase::Done { Claim::Abandoned } else { Claim::Mine }
    }

    fn progress(&self, view: &View<'_>) -> Option<Progress> {
        let instrument = view.instruments().next()?;
        let filled = match self.memory.phase {
            Phase::Waiting => Quantity::ZERO,
            _ => self.filled(view, instrument),
        };
        let Parameters { side, quantity, .. } = self.parameters;
        Some(Progress { instrument, side, wanted: quantity, filled, phase: self.memory.phase.name() })
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
