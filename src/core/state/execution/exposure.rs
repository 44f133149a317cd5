//! Exposure: what would be held if everything that works filled, as running sums.
//! Hot.

use crate::event::Side;
use crate::family::Family;
use crate::num::Quantity;
use crate::state::order::{Confirmation, Order};
use crate::state::stakes::Work;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// What could still be bought and sold if every working order filled.
    pub working_buy: Quantity,
    pub working_sell: Quantity,
    /// The part of these that can only lower a position, never turn it (reduce-only).
    pub closing_buy: Quantity,
    pub closing_sell: Quantity,
    /// Orders without a quantity, which close whatever is held when they trigger.
    pub whole_closes_buy: u32,
    pub whole_closes_sell: u32,
    pub open_orders: u32,
    /// Orders whose state at the venue, or whose fills, are unknown.
    pub in_doubt: u32,
}

crate::saved! {
    value Exposure {
        working_buy,
        working_sell,
        closing_buy,
        closing_sell,
        whole_closes_buy,
        whole_closes_sell,
        open_orders,
        in_doubt,
    }
}

impl Exposure {
    /// The order counted for `before`, and counts for `after` now.
    #[inline]
    pub(super) fn shift(&mut self, side: Side, before: &Weight, after: &Weight) {
        let (working, closing, whole) = match side {
            Side::Buy => (&mut self.working_buy, &mut self.closing_buy, &mut self.whole_closes_buy),
            Side::Sell => (&mut self.working_sell, &mut self.closing_sell, &mut self.whole_closes_sell),
        };
        *working += after.working - before.working;
        *closing += after.closing - before.closing;
        step(whole, before.closes_whole, after.closes_whole);
        step(&mut self.in_doubt, before.in_doubt, after.in_doubt);
        step(&mut self.open_orders, before.live, after.live);
    }

    /// The position towards `side`, of `held` (signed) now, if everything that works there fills: conditional orders as if
    /// triggered. What only closes brings it to flat at most, whatever fills before it.
    #[inline]
    pub fn worst_case(&self, held: Quantity, side: Side) -> Quantity {
        let (working, closing, whole) = match side {
            Side::Buy => (self.working_buy, self.closing_buy, self.whole_closes_buy),
            Side::Sell => (self.working_sell, self.closing_sell, self.whole_closes_sell),
        };
        let towards = side.signed(held);
        let to_close = (-towards).max(Quantity::ZERO);
        let closes = if whole > 0 { to_close } else { closing.min(to_close) };
        towards + (working - closing) + closes
    }
}

/// What an order counts for in the sums.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) working: Quantity,
    pub(super) closing: Quantity,
    pub(super) closes_whole: bool,
    pub(super) live: bool,
    pub(super) in_doubt: bool,
    /// Of a family above entry, and live.
    pub(super) higher: bool,
    /// The family of what is out about it, until the venue confirms it.
    pub(super) out: Option<Family>,
    pub(super) work: Work,
}

impl Weight {
    #[inline]
    pub(super) fn of(order: &Order) -> Self {
        let (live, working) = (order.is_live(), order.working());
        let closing = if order.only_closes() { working } else { Quantity::ZERO };
        let closes_whole = live && order.close_position;
        let confirmed = !live || order.confirmation == Confirmation::Confirmed;
        let out = if confirmed { None } else { Some(order.inflight.map_or(order.family, |i| i.family)) };
        let higher = live && order.family != Family::Entry;
        Self {
            working,
            closing,
            closes_whole,
            live,
            in_doubt: order.is_in_doubt(),
            higher,
            out,
            work: Work::of(order),
        }
    }
}

/// One more or one less in a count.
#[inline]
pub(super) fn step(count: &mut u32, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *count = count.saturating_add(1),
        (true, false) => *count = count.saturating_sub(1),
        _ => {}
    }
}
