//! The money part of a report: each trade once, and the fee of each once, in whatever order they are told.
//!
//! A trade may be told twice, and in parts: USD-M's TRADE_LITE tells it early and without its fee, the order's report tells all of it
//! later; a read-back tells how much has filled, and neither by which trades nor at what fee. So an order remembers which trades
//! were booked, apart from those whose fees were, and how much has filled whose fee is still to come.
//! Hot.

use super::ExecutionState;
use super::holdings::{Fill, Holder};
use crate::event::{Execution, OrderReport, RejectReason, ReportFlags};
use crate::id::{AssetId, InstrumentId, OrderIndex, StrategyId};
use crate::instrument::InstrumentDefinition;
use crate::num::{Price, Quantity};
use crate::record::IncidentKind;
use crate::state::order::{Confirmation, Order, OrderState};
use crate::state::{Finding, Findings};
use crate::time::Nanos;

/// What a report's trade is to its order.
enum Trade {
    /// To be booked; so much has filled in all, as the venue counts.
    New { ceiling: Quantity },
    /// Booked before.
    Known,
    /// It cannot be: our number, and what would be ours with it.
    Contradiction { ours: Quantity, theirs: Quantity },
}

impl ExecutionState {
    pub(super) fn apply_fill(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        report: &OrderReport,
        definition: Option<&InstrumentDefinition>,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        let (quantity, price) = what_traded(order, report);
        if !quantity.is_positive() {
            return;
        }
        match judge(order, report, quantity) {
            Trade::New { ceiling } => {
                let maker = report.flags.has(ReportFlags::MAKER);
                let fill = Fill { side: order.side, price, quantity, maker, fee: report.fee_told() };
                let is_late = order.state.is_terminal()
                    && order.state != OrderState::Filled
                    && ceiling > order.cumulative;
                self.note_fill(index, report, price, quantity, ceiling);
                if let Some(holder) = self.holder_of(index, report) {
                    self.book(holder, index, &fill, definition, findings);
                }
                if is_late {
                    self.note_late_fill(index, now, quantity, findings);
                } else if report.flags.has(ReportFlags::TRADE_ONLY) {
                    self.await_whole_report(index, now);
                }
            }
            Trade::Known if self.is_fee_news(index, report, quantity) => {
                self.pay(index, report, quantity, definition, findings);
            }
            Trade::Known => self.counters.duplicates += 1,
            Trade::Contradiction { ours, theirs } => {
                self.doubt(index, now, RejectReason::Other, (ours.raw(), theirs.raw()), findings);
            }
        }
    }

    /// The order's part of a new trade. Its owner's position must follow (`book`).
    #[inline]
    fn note_fill(
        &mut self,
        index: OrderIndex,
        report: &OrderReport,
        price: Price,
        quantity: Quantity,
        ceiling: Quantity,
    ) {
        self.counters.fills += 1;
        self.change_before_hold(index, |order| {
            order.filled += quantity;
            order.fill_notional += price.notional(quantity);
            order.cumulative = ceiling;
            // A Replace that made the order larger may be told after the fills that it allowed.
            order.quantity = order.quantity.max(ceiling);
            order.triggered = true;
            let is_traced = report.trade_id != 0 && report.execution != Execution::Status;
            if is_traced {
                order.trades.note(report.trade_id);
            } else {
                order.untraced = true;
            }
            match report.fee_told() {
                Some(_) if is_traced => order.fees.note(report.trade_id),
                Some(_) => {}
                None => order.fee_to_come += quantity,
            }
        });
        let Some(order) = self.orders.order(index) else { return };
        let (instrument, row) = (order.instrument, self.owner_row(order.key.strategy));
        self.note_trade(instrument, report.trade_id);
        if let Some(traffic) = self.traffic.get_mut(row) {
            traffic.fills += 1;
        }
    }

    /// It is money, so it was booked; what else we believe of the order is asked for.
    #[cold]
    fn note_late_fill(&mut self, index: OrderIndex, now: Nanos, quantity: Quantity, findings: &mut Findings) {
        self.counters.late_fills += 1;
        self.change(index, |order| {
            order.confirmation = Confirmation::Unknown { why: RejectReason::LateFill, ask_at: now };
            order.asked = 0;
        });
        findings.add(Finding {
            kind: IncidentKind::LateFill,
            instrument: self.orders.order(index).map_or(InstrumentId::NONE, |order| order.instrument),
            order: index,
            ours: 0,
            theirs: quantity.raw(),
        });
    }

    /// A trade alone is followed by its order's report; if that is lost, it must be found out.
    #[inline]
    fn await_whole_report(&mut self, index: OrderIndex, now: Nanos) {
        let Some(order) = self.orders.order(index) else { return };
        if order.is_live() && order.is_confirmed() {
            self.change(index, |order| order.confirmation = Confirmation::Pending { since: now });
        }
    }

    /// The position's part of a trade, whatever order made it.
    #[inline]
    pub(super) fn book(
        &mut self,
        holder: Holder,
        order: OrderIndex,
        fill: &Fill,
        definition: Option<&InstrumentDefinition>,
        findings: &mut Findings,
    ) {
        let kept = self.holdings.book(holder, fill, definition);
        self.hold_for(holder);
        if let (false, Some((asset, _))) = (kept, fill.fee) {
            findings.add(no_room_for_fee(holder.instrument, order, asset));
        }
    }

    /// Is the fee of this known trade told for the first time? At most as much is paid for as has filled without a fee.
    #[inline]
    fn is_fee_news(&self, index: OrderIndex, report: &OrderReport, quantity: Quantity) -> bool {
        self.orders.order(index).is_some_and(|order| {
            report.fee_told().is_some()
                && quantity <= order.fee_to_come
                && order.fees.never_held(report.trade_id)
        })
    }

    /// The fee of a trade that was booked without it.
    #[inline]
    fn pay(
        &mut self,
        index: OrderIndex,
        report: &OrderReport,
        quantity: Quantity,
        definition: Option<&InstrumentDefinition>,
        findings: &mut Findings,
    ) {
        let (Some(holder), Some(fee)) = (self.holder_of(index, report), report.fee_told()) else { return };
        if let Some(order) = self.orders.order_mut(index) {
            order.fees.note(report.trade_id);
            order.fee_to_come -= quantity;
        }
        let kept = self.holdings.pay(holder, fee, definition);
        self.hold_for(holder);
        if !kept {
            findings.add(no_room_for_fee(holder.instrument, index, fee.0));
        }
    }

    /// Whose trade it is: its order's owner's. What the venue closes by force, it closes of everybody, as our own closing orders do.
    #[inline]
    fn holder_of(&self, index: OrderIndex, report: &OrderReport) -> Option<Holder> {
        let order = self.orders.order(index)?;
        let forced = report.flags.has(ReportFlags::LIQUIDATION | ReportFlags::ADL);
        let strategy = if forced { StrategyId::WORKFLOW } else { order.key.strategy };
        Some(Holder { strategy, instrument: order.instrument, leg: order.position_side })
    }

    #[inline]
    fn hold_for(&mut self, holder: Holder) {
        if holder.strategy == StrategyId::WORKFLOW {
            self.hold_all(holder.instrument);
        } else {
            self.hold(holder.strategy, holder.instrument, holder.leg);
        }
    }
}

/// What a report says has traded. A read-back that knows of more than we booked: the missing part, at the price it states.
#[inline]
fn what_traded(order: &Order, report: &OrderReport) -> (Quantity, Price) {
    if report.execution != Execution::Status {
        return (report.last_quantity, report.last_price);
    }
    let price = if report.last_price.is_zero() { report.price } else { report.last_price };
    (report.cumulative_quantity - order.filled, price)
}

#[inline]
fn judge(order: &Order, report: &OrderReport, quantity: Quantity) -> Trade {
    let is_read_back = report.execution == Execution::Status;
    let filled = order.filled + quantity;
    let mut ceiling = order.cumulative.max(report.cumulative_quantity);
    // A trade alone does not say what has filled in all. That it is news, its id must say.
    let is_alone = report.flags.has(ReportFlags::TRADE_ONLY);
    if is_alone && !order.untraced && order.trades.never_held(report.trade_id) {
        ceiling = ceiling.max(filled);
    }
    if !is_read_back && (order.trades.holds(report.trade_id) || filled > ceiling) {
        return Trade::Known;
    }
    // More trades were booked than are remembered: this may be one of them told again, or the one that is missing.
    let is_ambiguous = !is_read_back
        && report.trade_id != 0
        && order.filled < order.cumulative
        && report.cumulative_quantity <= order.cumulative
        && order.trades.is_full();
    if is_ambiguous {
        return Trade::Contradiction { ours: order.filled, theirs: order.cumulative };
    }
    if filled > order.quantity.max(report.quantity) {
        return Trade::Contradiction { ours: order.quantity, theirs: filled };
    }
    Trade::New { ceiling }
}

#[cold]
fn no_room_for_fee(instrument: InstrumentId, order: OrderIndex, asset: AssetId) -> Finding {
    let theirs = i64::from(asset.0);
    Finding { kind: IncidentKind::CapacityExhausted, instrument, order, ours: 0, theirs }
}
