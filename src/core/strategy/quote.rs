//! One order a slot: what should stand there, and the step that gets it there. What every quoting strategy does.
//!
//! These are wishes: risk may refuse one, and the next event asks again. A step never stacks orders: it places into an empty slot,
//! moves what stands by a replace, withdraws what nobody wants, and leaves alone what has a request out.
//! Hot.

use crate::event::{RequestKind, Side, TimeInForce};
use crate::id::InstrumentId;
use crate::intent::{Intent, Intents, NewIntent, ReplaceIntent};
use crate::num::{Price, Quantity};
use crate::state::order::{Inflight, Order};
use crate::strategy::View;

/// What should stand in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    pub slot: u16,
    pub instrument: InstrumentId,
    pub side: Side,
    pub price: Price,
    /// What should be open, what has filled not included; nothing, if it is not above zero.
    pub quantity: Quantity,
    pub time_in_force: TimeInForce,
    /// An order this many ticks off its price is moved.
    pub requote_ticks: i64,
    /// Reduce-only, of the protective family; its quantity is kept exact too, not only its price.
    pub protective: bool,
}

/// Places, moves or withdraws, so that the slot holds what the quote says.
#[inline]
pub fn step(view: &View<'_>, quote: &Quote, intents: &mut Intents) {
    let Quote { slot, price, quantity, .. } = *quote;
    let close = |other: Price| (other - price).abs() < Price::new(quote.requote_ticks);
    // What waits in the queue is moved on with the market, as what rests is.
    let waits_well = match view.pending(slot).map(|pending| pending.intent) {
        Some(Intent::Cancel(_)) => true,
        Some(Intent::New(NewIntent { price, .. }) | Intent::Replace(ReplaceIntent { price, .. })) => {
            close(price)
        }
        None => false,
    };
    match view.order(slot) {
        // Its request is still open: whatever we want next, we know more when the answer is here.
        Some(order) if order.inflight.is_some() => {}
        Some(_) if !quantity.is_positive() => intents.cancel(slot),
        Some(order) => {
            let resized = quote.protective && order.filled + quantity != order.quantity;
            if (!close(order.price) || resized) && !waits_well {
                intents.replace(slot, price, order.filled + quantity);
            }
        }
        None if quantity.is_positive() && !waits_well => {
            let new =
                NewIntent::limit(quote.instrument, quote.side, price, quantity).valid(quote.time_in_force);
            let new = if quote.protective { new.reduce_only().protective() } else { new };
            intents.new_order(slot, new);
        }
        None => {}
    }
}

/// A bid and an ask of one instrument. The side that the market runs away from moves first: the other may not cross it while
/// it rests.
#[inline]
pub fn step_both(view: &View<'_>, bid: &Quote, ask: &Quote, intents: &mut Intents) {
    if view.order(ask.slot).is_none_or(|resting| bid.price < lowest(resting)) {
        step(view, bid, intents);
    }
    if view.order(bid.slot).is_none_or(|resting| ask.price > highest(resting)) {
        step(view, ask, intents);
    }
}

/// Nothing shall stand or wait in the slot.
#[inline]
pub fn withdraw(view: &View<'_>, slot: u16, intents: &mut Intents) {
    let waits = view.pending(slot).is_some_and(|pending| !matches!(pending.intent, Intent::Cancel(_)));
    if waits || view.order(slot).is_some_and(|order| order.inflight.is_none()) {
        intents.cancel(slot);
    }
}

/// While a Replace is out, either of its two prices may be the one that rests.
#[inline]
fn lowest(order: &Order) -> Price {
    match order.inflight {
        Some(Inflight { request: RequestKind::Replace, price, .. }) => price.min(order.price),
        _ => order.price,
    }
}

#[inline]
fn highest(order: &Order) -> Price {
    match order.inflight {
        Some(Inflight { request: RequestKind::Replace, price, .. }) => price.max(order.price),
        _ => order.price,
    }
}
