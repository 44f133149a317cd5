//! What the private stream says about orders, and what read-backs say: the life part and the money part of each report.
//! Hot.

use super::ExecutionState;
use super::claims::key_of_external;
use super::exposure::Weight;
use crate::event::{
    Event, Execution, OrderReport, RejectReason, ReportFlags, RequestKind, TriggerBy, VenueStatus,
};
use crate::family::Family;
use crate::id::{OrderIndex, OrderKey, StrategyId};
use crate::instrument::InstrumentDefinition;
use crate::num::{Price, Quantity};
use crate::record::IncidentKind;
use crate::state::order::{Confirmation, Inflight, NewRow, OrderState};
use crate::state::stakes::Stakes;
use crate::state::{Finding, Findings};
use crate::time::Nanos;

/// Between a gap in an order's fills and the question about it: the missing report is on its way, as a rule.
const MISSING_FILL_GRACE: Nanos = Nanos::from_secs(1);

impl ExecutionState {
    /// One report of the private stream, or of a read-back.
    pub(crate) fn apply_report(
        &mut self,
        now: Nanos,
        event: &Event,
        report: &OrderReport,
        definition: Option<&InstrumentDefinition>,
        findings: &mut Findings,
    ) {
        self.counters.reports += 1;
        let hydrated = report.flags.has(ReportFlags::HYDRATED);
        let trade_only = report.flags.has(ReportFlags::TRADE_ONLY);
        let found = if trade_only && report.client_order_id.is_none() {
            self.orders.find_by_venue_id(event.instrument, report.venue_order_id)
        } else {
            self.orders.find(&report.client_order_id)
        };
        let index = match found {
            Some(index) => index,
            // What traded says nothing about an order that we never heard of, least of all that it is open.
            None if trade_only => {
                self.take_foreign_trade(event.instrument, report, definition, findings);
                self.note_traded(event.instrument, event.event_time);
                return;
            }
            None => match self.adopt(now, event, report, findings) {
                Some(index) => index,
                None => return,
            },
        };
        if hydrated
            && let Some(progress) = self.hydrations.get_mut(event.venue.index())
            && progress.running
            && progress.seen.len() < progress.seen.capacity()
        {
            progress.seen.push(index);
        }
        // An audit's list is older than what is out: the answer to that is on its way by itself.
        let is_audited = hydrated && self.is_audited(event.venue);
        if is_audited && self.orders.order(index).is_some_and(|order| order.inflight.is_some()) {
            return;
        }
        if self.contradicts_itself(index, now, report, findings) {
            return;
        }
        let fills = self.counters.fills;
        self.apply_fill(index, now, report, definition, findings);
        if self.counters.fills != fills {
            self.note_traded(event.instrument, event.event_time);
        }
        if !trade_only {
            self.apply_status(index, now, event.event_time, report, findings);
        }
        self.note_missing_fills(index, now);
    }

    /// While the venue counts more as filled than we know trades of, our position is behind: the order is in doubt, whether
    /// it lives or has ended, until the missing trades are here.
    #[inline]
    fn note_missing_fills(&mut self, index: OrderIndex, now: Nanos) {
        let Some(order) = self.orders.order(index) else { return };
        match (order.owes_fills(), order.confirmation) {
            (true, Confirmation::Pending { .. } | Confirmation::Confirmed) => {
                let ask_at = now + MISSING_FILL_GRACE;
                self.change(index, |order| {
                    order.confirmation = Confirmation::Unknown { why: RejectReason::MissingFill, ask_at };
                    order.asked = 0;
                });
            }
            (false, Confirmation::Unknown { why: RejectReason::MissingFill, .. }) => {
                self.change(index, |order| {
                    order.confirmation = match order.inflight {
                        Some(Inflight { since, .. }) => Confirmation::Pending { since },
                        None => Confirmation::Confirmed,
                    };
                    order.asked = 0;
                });
            }
            _ => {}
        }
    }

    /// The budget of questions about an ended order is used up: its scope is let go, and new risk stops there if fills are
    /// still missing, until the positions agree again.
    #[cold]
    pub(crate) fn give_up(&mut self, index: OrderIndex) {
        let Some(order) = self.orders.order(index) else { return };
        if order.owes_fills() {
            self.distrust(order.instrument, order.position_side);
        }
        self.change(index, |order| order.confirmation = Confirmation::Confirmed);
    }

    /// Someone else's order on our account: shown and counted, and touched by no strategy but one that claims it.
    fn adopt(
        &mut self,
        now: Nanos,
        event: &Event,
        report: &OrderReport,
        findings: &mut Findings,
    ) -> Option<OrderIndex> {
        let claimed_by = self.claim(event.instrument, findings);
        let new = NewRow {
            client_order_id: report.client_order_id,
            key: claimed_by.unwrap_or(OrderKey { strategy: StrategyId::EXTERNAL, slot: 0 }),
            instrument: event.instrument,
            venue: event.venue,
            side: report.side,
            position_side: report.flags.position_side(),
            kind: report.kind,
            time_in_force: report.time_in_force,
            trigger_by: TriggerBy::LastPrice,
            reduce_only: report.flags.has(ReportFlags::REDUCE_ONLY),
            close_position: report.flags.has(ReportFlags::CLOSE_POSITION),
            family: Family::Entry,
            claimed: claimed_by.is_some(),
            callback: 0,
            price: report.price,
            quantity: report.quantity,
            stop_price: Price::ZERO,
            expires: Nanos::ZERO,
            created: now,
        };
        if event.instrument.index() >= self.instruments {
            return None;
        }
        self.counters.external_orders += 1;
        let index = self.orders.insert(new);
        let kind =
            if index.is_some() { IncidentKind::ExternalOrder } else { IncidentKind::CapacityExhausted };
        findings.add(Finding {
            kind,
            instrument: event.instrument,
            order: index.unwrap_or(OrderIndex::NONE),
            ours: 0,
            theirs: report.quantity.raw(),
        });
        let index = index?;
        self.account_for(index, Weight::default(), Stakes::work);
        // What filled before we knew of it is in the hydrated position, not in ours. After a warm start the position is not
        // hydrated but continued, and all of it filled while nobody looked.
        let told = report.cumulative_quantity.min(report.quantity);
        let before = match report.flags.has(ReportFlags::HYDRATED) {
            true if self.must_read_trades(event.instrument) => Quantity::ZERO,
            true => told,
            false => told - report.last_quantity,
        };
        self.take_slot(new.key, index);
        self.change(index, |order| {
            if !order.claimed {
                order.key = key_of_external(index);
            }
            order.filled = before.max(Quantity::ZERO);
            order.cumulative = order.filled;
            order.untraced = order.filled.is_positive();
        });
        Some(index)
    }

    /// More filled than ordered, or terms below what has filled: nothing of such a report is believed, and the order is
    /// asked about.
    fn contradicts_itself(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        report: &OrderReport,
        findings: &mut Findings,
    ) -> bool {
        let Some(order) = self.orders.order(index) else { return true };
        let takes_terms =
            order.is_live() && !report.flags.has(ReportFlags::TRADE_ONLY) && takes_terms(report);
        let trades = report.execution != Execution::Status && !report.flags.has(ReportFlags::TRADE_ONLY);
        let (ours, theirs) = if report.cumulative_quantity > order.quantity.max(report.quantity) {
            (order.quantity, report.cumulative_quantity)
        } else if trades && report.last_quantity > report.cumulative_quantity {
            (report.cumulative_quantity, report.last_quantity)
        } else if takes_terms && report.quantity < order.cumulative {
            (order.cumulative, report.quantity)
        } else {
            return false;
        };
        self.doubt(index, now, RejectReason::Other, (ours.raw(), theirs.raw()), findings);
        true
    }

    /// Evidence against evidence: an incident with both sides' numbers, and a live order is asked about.
    pub(super) fn doubt(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        why: RejectReason,
        (ours, theirs): (i64, i64),
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        let (instrument, live) = (order.instrument, order.is_live());
        self.counters.contradictions += 1;
        findings.add(Finding { kind: IncidentKind::Contradiction, instrument, order: index, ours, theirs });
        if live {
            self.change(index, |order| order.confirmation = Confirmation::Unknown { why, ask_at: now });
        }
    }

    /// The life part: state, terms, inflight request, confirmation.
    fn apply_status(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        stamp: Nanos,
        report: &OrderReport,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        if order.state.is_terminal() {
            self.contradict_terminal(index, now, stamp, report, findings);
            return;
        }
        let lower = report.cumulative_quantity < order.cumulative;
        let older = stamp < order.reported;
        let ends = matches!(
            report.status,
            VenueStatus::Filled | VenueStatus::Cancelled | VenueStatus::Rejected | VenueStatus::Expired
        );
        // An ending cannot be undone by what came before it, however late it is told.
        if (lower || older) && !ends {
            self.counters.stale_reports += 1;
            return;
        }
        let before = order.state;
        // A venue may refuse a conditional order when it triggers, long after it has taken it.
        let refused_at_trigger = order.kind.is_conditional() && order.cumulative.is_zero();
        let refusable = before == OrderState::Submitted || refused_at_trigger;
        let contradicts =
            report.status == VenueStatus::Rejected && (!refusable || order.filled.is_positive());
        if contradicts {
            self.counters.contradictions += 1;
            findings.add(Finding {
                kind: IncidentKind::Contradiction,
                instrument: order.instrument,
                order: index,
                ours: i64::from(before.code()),
                theirs: i64::from(report.status.code()),
            });
            return;
        }
        let after = self.change(index, |order| {
            // A trigger may give the order another number, and so does a venue that replaces by a new order (spot).
            let fired = report.flags.has(ReportFlags::TRIGGERED) && !order.triggered;
            let anew = fired || matches!(report.execution, Execution::Replaced | Execution::Status);
            if report.venue_order_id.0 != 0 && (order.venue_order_id.0 == 0 || anew) {
                order.venue_order_id = report.venue_order_id;
            }
            order.triggered |= fired || order.cumulative.is_positive();
            order.cumulative = order.cumulative.max(report.cumulative_quantity);
            order.reported = order.reported.later(stamp);
            // News of it answers what an audit would have asked.
            if order.expires.is_zero() && !report.flags.has(ReportFlags::HYDRATED) {
                order.look_into_at = Nanos::ZERO;
            }
            if takes_terms(report) {
                order.price = report.price;
                order.quantity = report.quantity;
            } else if order.close_position {
                // It has a quantity from its trigger on.
                order.quantity = order.quantity.max(report.quantity);
            }
            order.quantity = order.quantity.max(order.cumulative);
            if let Some(next) = order.state.next(report.status) {
                order.state = next;
            } else if report.status == VenueStatus::Rejected {
                order.state = OrderState::Rejected;
            }
            // A fill implies acceptance, whatever the status says or leaves out.
            if order.cumulative.is_positive()
                && matches!(order.state, OrderState::Submitted | OrderState::Accepted)
            {
                order.state = OrderState::PartiallyFilled;
            }
            let settled = match order.inflight.map(|inflight| inflight.request) {
                None => true,
                Some(RequestKind::New) => true,
                Some(RequestKind::Replace) => {
                    order.state.is_terminal()
                        || matches!(report.execution, Execution::Replaced | Execution::Status)
                }
                Some(RequestKind::Cancel) => {
                    order.state.is_terminal() || report.execution == Execution::Status
                }
            };
            if settled {
                order.inflight = None;
                let missing = matches!(
                    order.confirmation,
                    Confirmation::Unknown { why: RejectReason::MissingFill, .. }
                );
                // What is missing of its fills stays in doubt, and is asked for when it was to be.
                if !missing {
                    order.confirmation = Confirmation::Confirmed;
                    order.asked = 0;
                }
            }
            order.state
        });
        match after {
            Some(state) if state == before => {}
            Some(OrderState::Accepted) => self.counters.accepted += 1,
            Some(OrderState::Cancelled) => self.counters.cancelled += 1,
            Some(OrderState::Expired) => self.counters.expired += 1,
            Some(OrderState::Rejected) => self.counters.rejects += 1,
            _ => {}
        }
    }

    /// A terminal order that the venue shows alive, later than it ended: a ghost (`ghosts.rs`).
    #[cold]
    fn contradict_terminal(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        stamp: Nanos,
        report: &OrderReport,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        // A trade is money, and was booked as a late fill: that had the order asked about, which says whether it lives.
        let alive = matches!(report.status, VenueStatus::New | VenueStatus::PartiallyFilled)
            && report.execution != Execution::Trade;
        // A report from before the end that comes late is only late.
        let late = order.state != OrderState::Rejected && stamp <= order.reported
            || report.cumulative_quantity < order.cumulative;
        if !alive || late {
            self.counters.stale_reports += 1;
            return;
        }
        self.counters.contradictions += 1;
        findings.add(Finding {
            kind: IncidentKind::Contradiction,
            instrument: order.instrument,
            order: index,
            ours: i64::from(order.state.code()),
            theirs: i64::from(report.status.code()),
        });
        self.adopt_ghost(index, now, report.venue_order_id);
    }
}

/// Does this report state the order's terms, as a Replace or a read-back does?
#[inline]
fn takes_terms(report: &OrderReport) -> bool {
    report.quantity.is_positive() && matches!(report.execution, Execution::Replaced | Execution::Status)
}
