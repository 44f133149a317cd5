//! Ghosts: orders that had ended for us and that the venue shows alive.
//!
//! What ended stays ended for its strategy, and its slot is free. The venue's order is adopted anew under the same id: it counts in
//! exposure and among what is open, and its fills are its strategy's. It is asked about before anything is believed, and meanwhile no
//! new risk goes out on its instrument. Nobody stands behind it, so that cleanup cancels it once the venue says that it lives; a kill
//! or a drain does at once, and a drain waits for its end.
//!
//! An order of others lives again as it was, and is left alone; so does one that closes a position, in whose place no other is sent.
//! Hot.

use super::ExecutionState;
use crate::event::RejectReason;
use crate::family::Family;
use crate::id::{OrderIndex, VenueOrderId};
use crate::state::order::{Confirmation, OrderState};
use crate::time::Nanos;

impl ExecutionState {
    #[cold]
    pub(super) fn adopt_ghost(&mut self, index: OrderIndex, now: Nanos, venue_order_id: VenueOrderId) {
        let Some(order) = self.orders.order(index) else { return };
        let is_of_strategy = order.key.strategy.index() < self.strategies;
        // Where no strategy wishes anything, so that no wish is about it. There are as many such places as for claimed orders; beyond
        // them it stands where it stood.
        let free = self.free_slot(order.key.strategy).filter(|_| is_of_strategy);
        let key = free.unwrap_or(order.key);
        self.orders.revive(index);
        self.take_slot(key, index);
        self.change(index, |order| {
            order.state = if order.cumulative.is_positive() {
                OrderState::PartiallyFilled
            } else {
                OrderState::Submitted
            };
            order.key = key;
            if is_of_strategy {
                order.family = Family::Cleanup;
            }
            if order.venue_order_id.0 == 0 {
                order.venue_order_id = venue_order_id;
            }
            order.inflight = None;
            order.confirmation = Confirmation::Unknown { why: RejectReason::AliveAfterEnd, ask_at: now };
            order.asked = 0;
            order.reject = RejectReason::None;
            (order.created, order.touched) = (now, now);
            order.look_into_at = order.expires;
        });
    }
}
