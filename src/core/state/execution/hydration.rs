//! Reading back: what a hydration replaces, what it proves, and the private events that wait for it.
//!
//! A snapshot replaces its scope and is never merged into it: a live order that it does not name is in doubt, a position that
//! our fills do not explain belongs to the external owner.
//! Hot.

use super::{BUFFERED_EVENTS, ExecutionState};
use crate::event::{
    Event, Hydration, HydrationPhase, HydrationScope, OrderReport, PositionReport, RejectReason,
};
use crate::id::{InstrumentId, OrderIndex, VenueId};
use crate::num::{Notional, Quantity};
use crate::record::IncidentKind;
use crate::state::market::MarketState;
use crate::state::order::{Confirmation, OrderState};
use crate::state::{Finding, Findings};
use crate::time::Nanos;

impl ExecutionState {
    pub(crate) fn begin_account_hydration(&mut self, venue: VenueId, as_of: Nanos) {
        if let Some(progress) = self.hydrations.get_mut(venue.index()) {
            progress.running = true;
            progress.as_of = as_of;
            progress.seen.clear();
        }
        self.forget_wallets_of(venue);
        // It will say again what is held in another mode than configured.
        for (other, _) in
            self.in_other_mode.iter_mut().zip(&self.instrument_venues).filter(|(_, of)| **of == venue)
        {
            *other = false;
        }
    }

    /// A bracket begins or ends. The reports of one that answers no present ask are ignored.
    pub(crate) fn note_bracket(
        &mut self,
        venue: VenueId,
        scope: HydrationScope,
        phase: HydrationPhase,
        accepted: bool,
    ) {
        if let Some(progress) = self.hydrations.get_mut(venue.index()) {
            let begins = phase == HydrationPhase::Begin;
            progress.ignored = begins && !accepted;
            progress.audits = begins && scope == HydrationScope::Instrument;
        }
    }

    #[inline]
    pub(crate) fn accepts_hydrated(&self, venue: VenueId) -> bool {
        self.hydrations.get(venue.index()).is_some_and(|progress| !progress.ignored)
    }

    /// A buffered report about an order that is not ours and that the snapshot already counts in.
    pub(crate) fn is_in_snapshot(&self, event: &Event, report: &OrderReport) -> bool {
        let ours = self
            .orders
            .find(&report.client_order_id)
            .and_then(|index| self.orders.order(index))
            .is_some_and(|order| order.key.strategy.index() < self.strategies);
        !ours && event.event_time <= self.read_back_as_of(event.venue)
    }

    /// The newest read-back of this venue includes what happened up to here (the venue's time).
    pub(crate) fn read_back_as_of(&self, venue: VenueId) -> Nanos {
        self.hydrations.get(venue.index()).map_or(Nanos::ZERO, |progress| progress.as_of)
    }

    /// A hydrated position replaces what was believed; what our fills do not explain belongs to the external owner.
    pub(crate) fn hydrate_position(
        &mut self,
        instrument: InstrumentId,
        report: &PositionReport,
        market: &MarketState,
    ) {
        let progress = self.venue_of(instrument).and_then(|venue| self.hydrations.get(venue.index()));
        if progress.is_none_or(|progress| progress.completed_before) {
            // Compared once the whole snapshot is here.
            return;
        }
        let ours = self.holdings.of_strategies(instrument, report.side);
        let rest = report.quantity - ours;
        let cost = market
            .instrument(instrument)
            .and_then(|m| m.definition.as_ref())
            .map_or(Notional::ZERO, |definition| entry_cost(rest, report.entry_price, definition));
        self.holdings.adopt(instrument, report.side, rest, cost);
        self.hold_all(instrument);
    }

    /// The snapshot is whole: a live order that it does not name is not open, and its ending must be asked for.
    /// False where private events were lost meanwhile.
    pub(crate) fn end_account_hydration(
        &mut self,
        now: Nanos,
        venue: VenueId,
        findings: &mut Findings,
    ) -> bool {
        let mut at = 0;
        while let Some(index) = self.orders.live().get(at).copied() {
            at += 1;
            let seen = self.hydrations.get(venue.index()).is_some_and(|p| p.seen.contains(&index));
            let missing = self.orders.order(index).is_some_and(|order| order.venue == venue) && !seen;
            if missing {
                self.change(index, |order| {
                    order.confirmation = Confirmation::Unknown { why: RejectReason::LinkLost, ask_at: now };
                    order.asked = 0;
                });
            }
        }
        let Some(progress) = self.hydrations.get_mut(venue.index()) else { return false };
        progress.running = false;
        progress.completed_before = true;
        let lost = core::mem::take(&mut progress.lost);
        if lost {
            findings.add(Finding {
                kind: IncidentKind::CapacityExhausted,
                instrument: InstrumentId::NONE,
                order: OrderIndex::NONE,
                ours: BUFFERED_EVENTS as i64,
                theirs: 0,
            });
        }
        !lost
    }

    pub(crate) fn end_order_hydration(
        &mut self,
        now: Nanos,
        hydration: &Hydration,
        phase: HydrationPhase,
        findings: &mut Findings,
    ) -> Option<InstrumentId> {
        let index = self.orders.find(&hydration.client_order_id)?;
        let order = self.orders.order(index)?;
        let instrument = order.instrument;
        if !order.is_live() {
            self.end_ended_order_hydration(index, phase);
            return Some(instrument);
        }
        let (state, visible_at) = (order.state, order.created + self.visibility_delay);
        let too_early =
            phase == HydrationPhase::NotFound && state == OrderState::Submitted && now < visible_at;
        if phase == HydrationPhase::Failed || too_early {
            // No answer that could have settled it: the budget of questions is not charged.
            self.change(index, |order| {
                order.asked = order.asked.saturating_sub(1);
                if let (true, Confirmation::Unknown { why, .. }) = (too_early, order.confirmation) {
                    order.confirmation = Confirmation::Unknown { why, ask_at: visible_at };
                }
            });
            return Some(instrument);
        }
        if phase != HydrationPhase::NotFound {
            // The venue says that it lives: an audit was wrong about it.
            self.change(index, |order| {
                if order.expires.is_zero() {
                    order.look_into_at = Nanos::ZERO;
                }
            });
            return Some(instrument);
        }
        if self.warm_start.is_after(order) {
            self.close_orphan(index, state);
        } else if state == OrderState::Submitted {
            self.counters.rejects += 1;
            self.change(index, |order| {
                order.state = OrderState::Rejected;
                order.reject = RejectReason::UnknownOrder;
                order.inflight = None;
                order.confirmation = Confirmation::Confirmed;
            });
        } else {
            self.counters.contradictions += 1;
            findings.add(Finding {
                kind: IncidentKind::Contradiction,
                instrument,
                order: index,
                ours: i64::from(state.code()),
                theirs: -1,
            });
        }
        Some(instrument)
    }

    /// The answer about an order that has ended: its fills are whole now, or the question stays.
    fn end_ended_order_hydration(&mut self, index: OrderIndex, phase: HydrationPhase) {
        self.change(index, |order| match phase {
            HydrationPhase::End if !order.owes_fills() => order.confirmation = Confirmation::Confirmed,
            // No answer that could have settled it: the budget of questions is not charged.
            HydrationPhase::Failed => order.asked = order.asked.saturating_sub(1),
            _ => {}
        });
    }

    /// Keeps a private event until the hydration under way is whole. Always true: a full buffer keeps nothing more and
    /// marks the hydration as lost.
    pub(crate) fn buffer(&mut self, event: &Event) -> bool {
        if self.buffered.len() < BUFFERED_EVENTS {
            self.buffered.push(*event);
        } else {
            let progress = self.hydrations.get_mut(event.venue.index());
            progress.into_iter().for_each(|progress| progress.lost = true);
        }
        true
    }

    /// What was kept of this venue is older than a break of its private stream: the next read-back has it.
    pub(crate) fn forget_buffered(&mut self, venue: VenueId) {
        self.buffered.retain(|event| event.venue != venue);
        self.forget_wallets_of(venue);
        if let Some(progress) = self.hydrations.get_mut(venue.index()) {
            progress.lost = false;
            progress.running = false;
        }
    }

    /// The first kept event of this venue; the events of others stay. Few are kept, and seldom.
    pub(crate) fn take_buffered(&mut self, venue: VenueId) -> Option<Event> {
        let at = self.buffered.iter().position(|event| event.venue == venue)?;
        Some(self.buffered.remove(at))
    }
}

/// What a venue's position cost, from its average entry at 8 decimals; rounded towards zero to a whole tick x lot.
fn entry_cost(
    quantity: Quantity,
    entry_price: i64,
    definition: &crate::instrument::InstrumentDefinition,
) -> Notional {
    let decimals = crate::num::CASH_DECIMALS.saturating_sub(definition.tick.decimals);
    let tick = i128::from(definition.tick.mantissa) * i128::from(crate::num::pow10(decimals).unwrap_or(1));
    let worth = i128::from(entry_price).saturating_mul(i128::from(quantity.raw()));
    Notional::new(worth.checked_div(tick).unwrap_or(0))
}
