//! The built-in bracket: a stop-loss and a take-profit kept in step with a position, its own or another's.
//!
//! | the position | the bracket |
//! |---|---|
//! | opens, grows, shrinks, turns | both orders follow: their quantity is what is held, their prices hang on its average |
//! | is flat | both are withdrawn; so one cancels the other |
//! | is beyond the stop already (a gap, a late start) | it is closed at market |
//!
//! An order that the venue ends by itself (a cancel, an expiry, a reject) is placed again. A conditional order cannot be changed at a
//! venue, so a new one is placed beside the old one, and the old one cancelled once the new one is confirmed: what is held is never
//! without its stop. On spot, where a resting order locks what it sells, the old one goes first. All of it is of the protective
//! family, and reduce-only where the product knows that.
//! Hot.

use crate::event::{OrderKind, PositionSide, Side, TriggerBy};
use crate::family::Claim;
use crate::id::{InstrumentId, StrategyId};
use crate::instrument::Product;
use crate::intent::{Intents, NewIntent};
use crate::limits::MAX_INSTRUMENTS;
use crate::num::{Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Words};
use crate::state::Change;
use crate::state::order::Order;
use crate::state::position::Position;
use crate::strategy::changeable::Changeable;
use crate::strategy::distance::{better_beyond, is_worse, worse_within};
use crate::strategy::quote;
use crate::strategy::{Strategy, View, Wakes};
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub protects: Protects,
    /// From the average entry to the stop, in 1/10,000; zero: no stop.
    pub stop_loss: u32,
    /// From the average entry to the target, in 1/10,000; zero: no target.
    pub take_profit: u32,
    /// The stop trails the best price at this distance in 1/10,000, in place of standing at `stop_loss`; zero: it stands.
    pub trailing: u16,
    /// Which price fires the stop.
    pub trigger_by: TriggerBy,
    /// An order is placed anew when it is this many ticks off.
    pub restep_ticks: i64,
    /// The position that it takes on itself, once; none: it only protects.
    pub entry: Option<Entry>,
}

crate::changeable! {
    Parameters {
        stop_loss "stop_loss" Share 1 10_000 true;
        take_profit "take_profit" Share 1 10_000 true;
        trailing "trailing" Share 10 1_000 true;
        restep_ticks "restep_ticks" Count 1 1_000_000 false;
    }
}

/// Whose position it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protects {
    /// What its own entry made.
    Own,
    /// Everything that the account holds.
    Account,
    Strategy(StrategyId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub side: Side,
    pub quantity: Quantity,
    /// At market, where there is none.
    pub price: Option<Price>,
}

/// Slots of one leg of one instrument; two of each guard, so that a new one can stand beside the old one.
const SLOTS: u16 = 8;
const ENTRY: u16 = 0;
const STOP: [u16; 2] = [1, 2];
const TARGET: [u16; 2] = [3, 4];
const EXIT: u16 = 5;

const LEGS: [PositionSide; 3] = [PositionSide::Both, PositionSide::Long, PositionSide::Short];

/// Instruments that its slots suffice for.
pub const MOST_INSTRUMENTS: usize = crate::limits::MAX_SLOTS / (SLOTS as usize * LEGS.len());
const _: () = assert!(MOST_INSTRUMENTS <= MAX_INSTRUMENTS);

/// What was refused is wished again after this.
const WISH_AGAIN: Nanos = Nanos::from_millis(500);

#[derive(Clone, Debug)]
pub struct Bracket {
    parameters: Parameters,
    memory: Memory,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    /// Its entry has filled, at least in part.
    entered: bool,
    /// When a wish that came to nothing is made again, by the place of the instrument in the configuration.
    not_before: [Nanos; MOST_INSTRUMENTS],
}

crate::saved! { value Memory { entered, not_before } }
crate::saved! { table Bracket { memory } kept { parameters } }

/// What is to be protected of one leg.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where the leg's slots begin.
    slots: u16,
    instrument: InstrumentId,
    leg: PositionSide,
    /// The side that closes it.
    closes: Side,
    quantity: Quantity,
    average: Price,
}

impl Held {
    fn guard(&self, new: NewIntent) -> NewIntent {
        new.reduce_only().protective().on_leg(self.leg)
    }
}

impl Bracket {
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, memory: Memory { entered: false, not_before: [Nanos::ZERO; MOST_INSTRUMENTS] } }
    }

    /// What is held and protected, never more than the account holds: nothing else could be reduced.
    fn held(&self, view: &View<'_>, at: u16, instrument: InstrumentId, leg: PositionSide) -> Option<Held> {
        let own = view.leg(view.strategy(), instrument, leg);
        let account = view.account_leg(instrument, leg);
        let (quantity, average) = match self.parameters.protects {
            Protects::Own => (own.quantity, entry_price(&own)),
            Protects::Account => (account.quantity, entry_price(&account)),
            Protects::Strategy(other) => {
                let theirs = view.leg(other, instrument, leg);
                // What this bracket has closed stands in its own book.
                (theirs.quantity + own.quantity, entry_price(&theirs))
            }
        };
        let closes = if quantity.is_positive() { Side::Sell } else { Side::Buy };
        let opens = closes.opposite();
        let quantity = opens.signed(quantity).min(opens.signed(account.quantity));
        quantity.is_positive().then_some(Held {
            slots: slots_of(at, leg),
            instrument,
            leg,
            closes,
            quantity,
            average: average?,
        })
    }

    fn enter(&mut self, view: &View<'_>, at: u16, instrument: InstrumentId, intents: &mut Intents) {
        let Some(entry) = self.parameters.entry.filter(|_| at == 0 && !self.memory.entered) else { return };
        let leg = if !view.is_hedged(instrument) {
            PositionSide::Both
        } else if entry.side == Side::Buy {
            PositionSide::Long
        } else {
            PositionSide::Short
        };
        let slot = slots_of(at, leg) + ENTRY;
        if view.latest(slot).is_some_and(|order| order.filled.is_positive()) {
            self.memory.entered = true;
        } else if view.order(slot).is_none() && view.is_clear(slot) && view.trusted_top(instrument).is_some()
        {
            let new = match entry.price {
                Some(price) => NewIntent::limit(instrument, entry.side, price, entry.quantity),
                None => NewIntent::market(instrument, entry.side, entry.quantity),
            };
            intents.new_order(slot, new.on_leg(leg));
        }
    }

    fn protect(&self, view: &View<'_>, held: &Held, intents: &mut Intents) {
        let Parameters { stop_loss, take_profit, trailing, trigger_by, .. } = self.parameters;
        let Held { closes, instrument, quantity, average, .. } = *held;
        let stop = worse_within(closes, average, stop_loss);
        if trailing == 0 && stop_loss != 0 && is_beyond(view, instrument, closes, stop) {
            self.exit(view, held, intents);
            return;
        }
        if trailing != 0 {
            let new = NewIntent::trailing_stop(instrument, closes, Price::ZERO, trailing, quantity);
            self.keep(view, held, STOP, held.guard(new.triggered_by(trigger_by)), intents);
        } else if stop_loss != 0 {
            let new = NewIntent::stop_market(instrument, closes, stop, quantity);
            self.keep(view, held, STOP, held.guard(new.triggered_by(trigger_by)), intents);
        } else {
            // An operator took it away.
            withdraw(view, held.slots, STOP, intents);
        }
        if take_profit != 0 {
            let target = better_beyond(closes, average, take_profit);
            let new = NewIntent::limit(instrument, closes, target, quantity);
            self.keep(view, held, TARGET, held.guard(new), intents);
        } else {
            withdraw(view, held.slots, TARGET, intents);
        }
    }

    /// The stop cannot stand where the market is: the position is closed at once, and its guards go when it is.
    fn exit(&self, view: &View<'_>, held: &Held, intents: &mut Intents) {
        let slot = held.slots + EXIT;
        let stops = STOP.iter().filter_map(|at| view.order(held.slots + at));
        // A stop that stands there fires by itself: a second order beside it would only race it.
        let fires = stops
            .into_iter()
            .any(|stop| has_fired(stop) || is_beyond(view, held.instrument, held.closes, stop.stop_price));
        if !fires && view.is_clear(slot) {
            intents
                .new_order(slot, held.guard(NewIntent::market(held.instrument, held.closes, held.quantity)));
        }
    }

    /// One guard, in one of its two slots, as it should be.
    fn keep(&self, view: &View<'_>, held: &Held, pair: [u16; 2], wanted: NewIntent, intents: &mut Intents) {
        let [one, other] = pair.map(|slot| held.slots + slot);
        if view.has_pending(one) || view.has_pending(other) {
            return;
        }
        match (view.order(one), view.order(other)) {
            (Some(order), None) => self.keep_one(view, order, (one, other), &wanted, intents),
            (None, Some(order)) => self.keep_one(view, order, (other, one), &wanted, intents),
            (Some(first), Some(second)) => {
                // The newer one takes over once the venue has shown it.
                let (newer, old, old_slot) = if first.created > second.created {
                    (first, second, other)
                } else {
                    (second, first, one)
                };
                if newer.is_confirmed() && old.inflight.is_none() && !has_fired(old) {
                    intents.cancel(old_slot);
                }
            }
            (None, None) => {
                if view.is_clear(one) {
                    intents.new_order(one, wanted);
                }
            }
        }
    }

    fn keep_one(
        &self,
        view: &View<'_>,
        order: &Order,
        (its, free): (u16, u16),
        wanted: &NewIntent,
        intents: &mut Intents,
    ) {
        // What has a request out is answered first; what has fired is on its way.
        if order.inflight.is_some() || has_fired(order) || self.fits(order, wanted) {
            return;
        }
        let spot = view.definition(order.instrument).is_some_and(|d| d.product == Product::Spot);
        if order.side != wanted.side {
            // The position has turned: this one protects nothing any more.
            intents.cancel(its);
            if view.is_clear(free) && !spot {
                intents.new_order(free, *wanted);
            }
        } else if order.kind == OrderKind::Limit {
            intents.replace(its, wanted.price, order.filled + wanted.quantity);
        } else if spot {
            intents.cancel(its);
        } else if view.is_clear(free) {
            intents.new_order(free, *wanted);
        }
    }

    fn fits(&self, order: &Order, wanted: &NewIntent) -> bool {
        let near = |one: Price, two: Price| (one - two).abs() < Price::new(self.parameters.restep_ticks);
        let trails = order.kind == OrderKind::TrailingStop;
        order.side == wanted.side
            && order.kind == wanted.kind
            && order.callback == wanted.callback
            && order.quantity - order.filled == wanted.quantity
            && near(order.price, wanted.price)
            && (trails || near(order.stop_price, wanted.stop_price))
    }
}

fn withdraw(view: &View<'_>, slots: u16, which: impl IntoIterator<Item = u16>, intents: &mut Intents) {
    for slot in which {
        quote::withdraw(view, slots + slot, intents);
    }
}

fn slots_of(at: u16, leg: PositionSide) -> u16 {
    (at * LEGS.len() as u16 + u16::from(leg.code())) * SLOTS
}

/// The average entry in ticks, rounded towards zero.
fn entry_price(position: &Position) -> Option<Price> {
    position.average_entry().filter(|price| price.is_positive())
}

/// Would a stop at `stop` fire at once?
fn is_beyond(view: &View<'_>, instrument: InstrumentId, closes: Side, stop: Price) -> bool {
    view.trusted_top(instrument).is_some_and(|top| match closes {
        Side::Sell => !is_worse(closes, stop, top.bid.price),
        Side::Buy => !is_worse(closes, stop, top.ask.price),
    })
}

/// Its trigger has fired: it is on its way into the market, and nothing changes it any more.
fn has_fired(order: &Order) -> bool {
    order.kind.is_conditional() && order.triggered
}

impl Strategy for Bracket {
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let (Change::Top(id) | Change::Book(id) | Change::Settled(id)) = change else { return };
        let Some(at) = view.place_of(id) else { return };
        if !view.is_settled(id) {
            return;
        }
        // A settled pass plans; between two, only what came to nothing, and the market's crossing of a stop, is looked at.
        let Some(not_before) = self.memory.not_before.get_mut(at) else { return };
        if !matches!(change, Change::Settled(_)) && view.now() < *not_before {
            return;
        }
        *not_before = view.now() + WISH_AGAIN;
        let at = at as u16;
        self.enter(view, at, id, intents);
        for leg in view.legs(id).iter().copied() {
            match self.held(view, at, id, leg) {
                Some(held) => self.protect(view, &held, intents),
                // Nothing is held: one cancels the other.
                None => {
                    let guards = STOP.into_iter().chain(TARGET).chain([EXIT]);
                    withdraw(view, slots_of(at, leg), guards, intents);
                }
            }
        }
    }

    fn wakes_on(&self) -> Wakes {
        Wakes::TOP | Wakes::BOOK | Wakes::SETTLED
    }

    fn claim(&self, view: &View<'_>, slot: u16) -> Claim {
        let (block, place) = (slot / SLOTS, slot % SLOTS);
        let (at, leg) = (block / LEGS.len() as u16, usize::from(block) % LEGS.len());
        let known = view.instruments().nth(usize::from(at)).zip(LEGS.get(leg).copied());
        let holds = known.is_some_and(|(instrument, leg)| self.held(view, at, instrument, leg).is_some());
        if place == ENTRY || holds { Claim::Mine } else { Claim::Abandoned }
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
