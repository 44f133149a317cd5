//! What must hold whatever events come. It is checked in production too, at each change of an order, of a position, and at each dispatch:
//! for what has changed, so that the cost does not grow with what there is.
//!
//! | invariant | checked |
//! |---|---|
//! | filled <= ordered; sum of fills <= the venue's cumulative | an order changes |
//! | what works and what is open is not less than nothing | an order changes |
//! | position = start + bought - sold; the account's is the sum of its owners' | a position changes |
//! | one request in flight an order; one command waiting a key | a dispatch |
//! | a kill lets out what its mode permits, and no more | a dispatch |
//!
//! A broken one is our bug: the turn records it with both numbers and trips the kill switch.
//! Hot.

use super::ExecutionState;
use super::holdings::Holder;
use crate::event::{KillMode, PositionSide, RequestKind};
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::num::Quantity;
use crate::record::IncidentKind;
use crate::state::Finding;

impl ExecutionState {
    /// The first invariant that was found broken since it was last asked.
    #[inline]
    pub(crate) fn take_broken(&mut self) -> Option<Finding> {
        // As a rule there is nothing to write back.
        if self.broken.is_some() { self.broken.take() } else { None }
    }

    #[inline]
    pub(super) fn check_order(&mut self, index: OrderIndex) {
        let Some(order) = self.orders.order(index) else { return };
        let (filled, cumulative, quantity) = (order.filled, order.cumulative, order.quantity);
        let instrument = order.instrument;
        if filled > cumulative {
            self.break_off(IncidentKind::BrokenCumulative, instrument, index, filled.raw(), cumulative.raw());
        }
        if cumulative > quantity {
            self.break_off(IncidentKind::BrokenOrdered, instrument, index, cumulative.raw(), quantity.raw());
        }
        let exposure = self.exposure(instrument);
        let least = exposure.working_buy.min(exposure.working_sell);
        if least.is_negative() {
            self.break_off(IncidentKind::BrokenWork, instrument, index, least.raw(), 0);
        }
    }

    #[inline]
    pub(super) fn check_position(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        leg: PositionSide,
    ) {
        let Some(own) = self.holdings.leg(Holder { strategy, instrument, leg }) else { return };
        let Some(total) = self.holdings.total_leg(instrument, leg) else { return };
        let sums = [own, total].map(|position| (position.quantity, position.accounted()));
        let held = total.quantity;
        if let Some((held, accounted)) = sums.into_iter().find(|(held, accounted)| held != accounted) {
            let (kind, order) = (IncidentKind::BrokenPosition, OrderIndex::NONE);
            self.break_off(kind, instrument, order, held.raw(), accounted.raw());
            return;
        }
        let external = Holder { strategy: StrategyId::EXTERNAL, instrument, leg };
        let external = self.holdings.leg(external).map_or(Quantity::ZERO, |position| position.quantity);
        let owners = self.holdings.of_strategies(instrument, leg) + external;
        if held != owners {
            let (kind, order) = (IncidentKind::BrokenOwners, OrderIndex::NONE);
            self.break_off(kind, instrument, order, held.raw(), owners.raw());
        }
    }

    /// Whether a command that has left the queue may go out. What may not is our bug, and stays here.
    #[inline]
    pub(crate) fn check_dispatch(
        &mut self,
        key: OrderKey,
        instrument: InstrumentId,
        request: RequestKind,
        reducing: bool,
        kill: Option<KillMode>,
    ) -> bool {
        let permitted = match (kill, request) {
            (None, _) => true,
            (Some(KillMode::Block), _) => false,
            (Some(_), RequestKind::Cancel) => true,
            (Some(KillMode::Flatten), _) => reducing,
            (Some(KillMode::Cancel), _) => false,
        };
        let code = i64::from(request.code());
        if !permitted {
            let mode = kill.map_or(0, |mode| i64::from(mode.code()));
            self.break_off(IncidentKind::BrokenKill, instrument, OrderIndex::NONE, code, mode);
            return false;
        }
        if !self.queue.is_empty() && self.queue.pending(key).is_some() {
            self.break_off(IncidentKind::BrokenPending, instrument, OrderIndex::NONE, 2, 1);
            return false;
        }
        true
    }

    /// Whether the order has nothing in flight, so that a request about it may go out.
    #[inline]
    pub(crate) fn check_inflight(&mut self, index: OrderIndex, dispatch: u64) -> bool {
        let Some(order) = self.orders.order(index) else { return true };
        let Some(inflight) = order.inflight else { return true };
        let (instrument, under_way) = (order.instrument, inflight.dispatch as i64);
        self.break_off(IncidentKind::BrokenInflight, instrument, index, under_way, dispatch as i64);
        false
    }

    /// The first says the most: what follows from it is not told.
    #[cold]
    fn break_off(
        &mut self,
        kind: IncidentKind,
        instrument: InstrumentId,
        order: OrderIndex,
        ours: i64,
        theirs: i64,
    ) {
        if self.broken.is_none() {
            self.broken = Some(Finding { kind, instrument, order, ours, theirs });
        }
    }
}

/// Breaks on purpose what no event can break, so that tests see it caught.
#[cfg(test)]
impl ExecutionState {
    pub(crate) fn cheat_order(&mut self, index: OrderIndex, act: impl FnOnce(&mut super::Order)) {
        if let Some(order) = self.orders.order_mut(index) {
            act(order);
        }
    }

    pub(crate) fn cheat_working(&mut self, instrument: InstrumentId, lots: i64) {
        self.exposures[instrument.index()].working_buy = Quantity::new(lots);
    }

    pub(crate) fn cheat_position(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        act: impl FnOnce(&mut super::Position),
    ) {
        self.holdings.cheat(Holder { strategy, instrument, leg: PositionSide::Both }, act);
    }
}
