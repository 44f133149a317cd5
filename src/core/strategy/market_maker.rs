//! The built-in market maker: quotes both sides around the micro-price, leaning against its inventory.
//!
//! One order a side, moved by a replace when its price is off by at least the threshold, cancelled when its side would
//! grow the position past its bound or when the market cannot be believed. It never stacks orders.
//! Hot.

use fixed::types::I48F16;

use crate::event::{Side, TimeInForce};
use crate::id::InstrumentId;
use crate::intent::Intents;
use crate::limits::ANY;
use crate::num::{Price, Quantity};
use crate::snapshot::{Sink, SnapshotError, Words};
use crate::state::Change;
use crate::state::market::Top;
use crate::strategy::changeable::Changeable;
use crate::strategy::quote::{self, Quote};
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

/// A million ticks, in the unit of a tick's fraction.
const MOST_TICKS: i64 = 1_000_000 << 16;

crate::changeable! {
    Parameters {
        quantity "quantity" Lots 1 ANY false;
        half_spread "half_spread_ticks" TickFraction 0 MOST_TICKS false;
        max_skew "max_skew_ticks" TickFraction 0 MOST_TICKS false;
        max_position "max_position" Lots 1 ANY false;
        requote_ticks "requote_ticks" Count 1 1_000_000 false;
    }
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
        instrument: InstrumentId,
        slot: u16,
        side: Side,
        price: Price,
        position: Quantity,
    ) -> Quote {
        let p = &self.parameters;
        Quote {
            slot,
            instrument,
            side,
            price,
            quantity: p.quantity.min(p.max_position - side.signed(position)),
            time_in_force: TimeInForce::PostOnly,
            requote_ticks: p.requote_ticks,
            protective: false,
        }
    }
}

impl Strategy for MarketMaker {
    #[inline]
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let instrument = match change {
            Change::Top(id) | Change::Book(id) | Change::Settled(id) | Change::BookLost(id) => id,
            _ => return,
        };
        let Some(at) = view.place_of(instrument) else { return };
        let (bid_slot, ask_slot) = (2 * at as u16, 2 * at as u16 + 1);
        let Some(top) = view.trusted_top(instrument) else {
            quote::withdraw(view, bid_slot, intents);
            quote::withdraw(view, ask_slot, intents);
            return;
        };
        if !view.is_settled(instrument) {
            return;
        }
        let position = view.position(instrument).quantity;
        let (bid, ask) = self.targets(top, position);
        let bid = self.quote(instrument, bid_slot, Side::Buy, bid, position);
        let ask = self.quote(instrument, ask_slot, Side::Sell, ask, position);
        quote::step_both(view, &bid, &ask, intents);
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

    /// It remembers nothing: what it does follows from what it sees.
    fn save(&self, _to: &mut dyn Sink) {}

    fn load(&mut self, _from: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}
