//! The audit: what the venue lists as open against what we believe, and our resting orders against the book. Nothing is in doubt
//! when it comes; it is there to find what no event has told.
//!
//! It accuses nobody by itself: news about an order may be on its way while the list is. An order that the audit misses is asked about
//! if nothing is heard of it for a confirmation's time, and that is an incident with both sides' numbers. Nor does it answer anything:
//! of an order that has a request out, the list says no more than that it is there.
//! Hot.

use super::ExecutionState;
use crate::event::{OrderKind, Side};
use crate::id::{InstrumentId, VenueId};
use crate::state::market::InstrumentMarket;
use crate::state::order::{Confirmation, Order};
use crate::time::Nanos;

/// What changed within this before the list was made is not judged: the public book is behind the private stream, and a list may
/// be behind both.
const FRESH: Nanos = Nanos::from_secs(1);

impl ExecutionState {
    pub(crate) fn begin_audit(&mut self, venue: VenueId) {
        if let Some(progress) = self.hydrations.get_mut(venue.index()) {
            progress.running = true;
            progress.seen.clear();
        }
    }

    /// What is told as read back is the audit's list.
    #[inline]
    pub(super) fn is_audited(&self, venue: VenueId) -> bool {
        self.hydrations.get(venue.index()).is_some_and(|progress| progress.audits)
    }

    /// The list is whole: it was made at the earliest at `as_of`, by the venue's clock.
    pub(crate) fn end_audit(
        &mut self,
        now: Nanos,
        venue: VenueId,
        instrument: InstrumentId,
        as_of: Nanos,
        market: &InstrumentMarket,
    ) {
        let Some(progress) = self.hydrations.get_mut(venue.index()) else { return };
        // The private stream broke meanwhile: the whole account will be read back.
        if !core::mem::take(&mut progress.running) {
            return;
        }
        let mut at = 0;
        while let Some(index) = self.orders.live().get(at).copied() {
            at += 1;
            let Some(order) = self.orders.order(index) else { continue };
            let is_judged = order.instrument == instrument
                && order.inflight.is_none()
                && order.confirmation == Confirmation::Confirmed
                && order.look_into_at.is_zero()
                && order.reported + FRESH <= as_of;
            if !is_judged {
                continue;
            }
            let is_listed = self.hydrations.get(venue.index()).is_some_and(|p| p.seen.contains(&index));
            if !is_listed || is_missing(order, market) {
                self.change(index, |order| {
                    order.look_into_at = now;
                    order.asked = 0;
                });
            }
        }
    }
}

/// A limit order that rests is in the book, with all that is left of it.
fn is_missing(order: &Order, market: &InstrumentMarket) -> bool {
    let rests = order.kind == OrderKind::Limit && market.is_trusted();
    if !rests || market.book.quantity_at(order.side, order.price) >= order.leaves() {
        return false;
    }
    // Beyond its last level the book says nothing.
    match order.side {
        Side::Buy => market.book.bids().last().is_some_and(|last| order.price >= last.price),
        Side::Sell => market.book.asks().last().is_some_and(|last| order.price <= last.price),
    }
}
