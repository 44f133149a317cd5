//! The answers to our requests: what they prove, which is little, and what they leave open.
//! Hot.

use super::ExecutionState;
use crate::event::{NotSent, RejectReason, RequestKind, RequestOutcome, Verdict};
use crate::id::InstrumentId;
use crate::record::IncidentKind;
use crate::state::order::{Confirmation, OrderState};
use crate::state::{Finding, Findings};
use crate::time::Nanos;

/// Between the venue's "unknown order" and the question about it: its ending is on its way over the private stream, as a rule.
const UNKNOWN_ORDER_GRACE: Nanos = Nanos::from_secs(1);

impl ExecutionState {
    /// The answer to a request: proves that the venue took or refused it, and no more.
    pub(crate) fn apply_outcome(
        &mut self,
        now: Nanos,
        outcome: &RequestOutcome,
        findings: &mut Findings,
    ) -> Option<InstrumentId> {
        let index = self.orders.find(&outcome.client_order_id)?;
        let order = self.orders.order(index)?;
        let instrument = order.instrument;
        let inflight = order.inflight.filter(|inflight| inflight.dispatch == outcome.dispatch);
        if order.venue_order_id.0 == 0 && outcome.venue_order_id.0 != 0 {
            self.change(index, |order| order.venue_order_id = outcome.venue_order_id);
        }
        // The private stream was faster: it has already said what this can only hint at.
        let inflight = inflight?;
        let (order_filled, filled) = self
            .orders
            .order(index)
            .map_or((false, 0), |order| (order.filled.is_positive(), order.filled.raw()));
        match (outcome.verdict, inflight.request) {
            (Verdict::Accepted, _) => {}
            (Verdict::Rejected, RequestKind::New) if order_filled => {
                self.doubt(index, now, outcome.reason, (filled, 0), findings);
            }
            (Verdict::Rejected, RequestKind::New) => {
                self.counters.rejects += 1;
                self.change(index, |order| {
                    order.state = OrderState::Rejected;
                    order.reject = outcome.reason;
                    order.inflight = None;
                    order.confirmation = Confirmation::Confirmed;
                });
            }
            (Verdict::Rejected, RequestKind::Replace | RequestKind::Cancel) => {
                self.counters.rejects += 1;
                // "Unknown order" on a live order: its ending is on its way over the private stream, or must be asked for.
                let gone = outcome.reason == RejectReason::UnknownOrder;
                let ask_at = now + UNKNOWN_ORDER_GRACE;
                self.change(index, |order| {
                    order.reject = outcome.reason;
                    order.inflight = None;
                    order.refused_at = now;
                    order.confirmation = match order.confirmation {
                        unknown @ Confirmation::Unknown { .. } => unknown,
                        // In doubt, so that nothing more goes out about it: the answer would only be the same.
                        _ if gone => Confirmation::Unknown { why: RejectReason::UnknownOrder, ask_at },
                        _ => Confirmation::Confirmed,
                    };
                });
            }
            (Verdict::Unknown, _) => {
                self.counters.unknown_outcomes += 1;
                self.change(index, |order| {
                    order.confirmation = Confirmation::Unknown { why: outcome.reason, ask_at: now };
                    order.asked = 0;
                });
                findings.add(Finding {
                    kind: IncidentKind::UnknownOutcome,
                    instrument,
                    order: index,
                    ours: i64::from(inflight.request.code()),
                    theirs: i64::from(outcome.code),
                });
            }
        }
        Some(instrument)
    }

    /// The request never left: for the venue it does not exist.
    pub(crate) fn apply_not_sent(
        &mut self,
        now: Nanos,
        not_sent: &NotSent,
        findings: &mut Findings,
    ) -> Option<InstrumentId> {
        let index = self.orders.find(&not_sent.client_order_id)?;
        let order = self.orders.order(index)?;
        let instrument = order.instrument;
        order.inflight.filter(|inflight| inflight.dispatch == not_sent.dispatch)?;
        self.counters.not_sent += 1;
        if not_sent.request == RequestKind::New && order.filled.is_positive() {
            let numbers = (order.filled.raw(), 0);
            self.doubt(index, now, RejectReason::Other, numbers, findings);
            return Some(instrument);
        }
        self.change(index, |order| {
            order.inflight = None;
            order.refused_at = now;
            if not_sent.request == RequestKind::New {
                order.state = OrderState::Rejected;
            }
            // A doubt from before is not resolved by what was never sent, unless the order itself never was.
            if not_sent.request == RequestKind::New || !order.is_in_doubt() {
                order.confirmation = Confirmation::Confirmed;
            }
        });
        Some(instrument)
    }
}
