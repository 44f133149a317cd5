//! The built-in market maker: quotes both sides around the micro-price, leaning against its inventory.
//!
//! One order a side, moved by a replace when its price is off by at least the threshold, cancelled when its side would
//! grow the position past its bound or when the market cannot be believed. It never stacks orders.
//! Hot.

use fixed::types::I48F16;

use crate::event::{RequestKind, Side, TimeInForce};
use crate::id::InstrumentId;
use crate::intent::{Intent, Intents, NewIntent, ReplaceIntent};
use crate::num::{Price, Quantity};
use crate::state::Change;
use crate::state::hash::StateHasher;
use crate::state::market::Top;
use crate::state::order::{Inflight, Order};
use crate::strategy::{Strategy, View, Wakes};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Quoted on each side, in lots.
    pub quantity: Quantity,
    /// Distance of each quote from the leaned fair price, in ticks.
    pub half_spread: I48F16,
    /// How far the fair price leans at the position bound, in ticks.
    pub max_skew: I48F16,
    /// The position that is never grown past, in lots.
    pub max_position: Quantity,
    /// A quote this many ticks off its target is moved.
    pub requote_ticks: i64,
}

/// Slots: two an instrument, bid then ask, in the order of its instruments.
#[derive(Clone, Debug)]
pub struct MarketMaker {
    parameters: Parameters,
}

impl MarketMaker {
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters }
    }

    /// Bid and ask in whole ticks: rounded away from the fair price, and never taking.
    #[inline]
    fn targets(&self, top: Top, position: Quantity) -> (Price, Price) {
        let p = &self.parameters;
        let bound = p.max_position.raw().max(1);
        let held = position.raw().clamp(-bound, bound);
        let skew =
            I48F16::from_bits(p.max_skew.to_bits().saturating_mul(held).checked_div(bound).unwrap_or(0));
        let fair = top.micro_price().saturating_sub(skew);
        let bid = Price::new(fair.saturating_sub(p.half_spread).floor().to_num());
        let ask = Price::new(fair.saturating_add(p.half_spread).ceil().to_num());
        let one = Price::new(1);
        (bid.min(top.ask.price - one), ask.max(top.bid.price + one))
    }

    #[inline]
    fn quote(
        &self,
        view: &View<'_>,
        instrument: InstrumentId,
        slot: u16,
        side: Side,
        target: Price,
        intents: &mut Intents,
    ) {
        let p = &self.parameters;
        let held = side.signed(view.position(instrument).quantity);
        let wanted = p.quantity.min(p.max_position - held);
        let order = view.order(slot);
        // What waits in the queue is moved on with the market, as what rests is.
        let waits_well = match view.pending(slot).map(|pending| pending.intent) {
            Some(Intent::Cancel(_)) => true,
            Some(Intent::New(NewIntent { price, .. }) | Intent::Replace(ReplaceIntent { price, .. })) => {
                (price - target).abs() < Price::new(p.requote_ticks)
            }
            None => false,
        };
        match order {
            // Its request is still open: whatever we want next, we know more when the answer is here.
            Some(order) if order.inflight.is_some() => {}
            Some(_) if !wanted.is_positive() => intents.cancel(slot),
            Some(order) => {
                let off = (order.price - target).abs() >= Price::new(p.requote_ticks);
                if off && !waits_well {
                    intents.replace(slot, target, order.filled + wanted);
                }
            }
            None if wanted.is_positive() && !waits_well => {
                intents.limit(slot, instrument, side, target, wanted, TimeInForce::PostOnly);
            }
            None => {}
        }
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

impl Strategy for MarketMaker {
    #[inline]
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let instrument = match change {
            Change::Top(id) | Change::Book(id) | Change::Settled(id) | Change::BookLost(id) => id,
            _ => return,
        };
        let Some(at) = view.instruments().position(|id| id == instrument) else { return };
        let (bid_slot, ask_slot) = (2 * at as u16, 2 * at as u16 + 1);
        let Some(top) = view.trusted_top(instrument) else {
            for slot in [bid_slot, ask_slot] {
                let waits = view.pending(slot).is_some_and(|p| !matches!(p.intent, Intent::Cancel(_)));
                if view.order(slot).is_some_and(|order| order.inflight.is_none()) || waits {
                    intents.cancel(slot);
                }
            }
            return;
        };
        if !view.is_settled(instrument) {
            return;
        }
        let (bid, ask) = self.targets(top, view.position(instrument).quantity);
        // The side that the market runs away from moves first: the other may not cross it while it rests.
        if view.order(ask_slot).is_none_or(|resting| bid < lowest(resting)) {
            self.quote(view, instrument, bid_slot, Side::Buy, bid, intents);
        }
        if view.order(bid_slot).is_none_or(|resting| ask > highest(resting)) {
            self.quote(view, instrument, ask_slot, Side::Sell, ask, intents);
        }
    }

    fn wakes_on(&self) -> Wakes {
        Wakes::TOP | Wakes::BOOK | Wakes::SETTLED | Wakes::LOST
    }

    fn fold(&self, hasher: &mut StateHasher) {
        hasher.signed(self.parameters.quantity.raw());
        hasher.signed(self.parameters.half_spread.to_bits());
    }
}
