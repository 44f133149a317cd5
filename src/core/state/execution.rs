//! Execution state: orders, fills, positions, exposure, and what is in doubt about them.
//!
//! Every change of an order goes through `change`, which keeps the sums (exposure, open counts, live list) true.
//! Hot.

mod hydration;

use alloc::vec::Vec;

use crate::event::{
    Event, Execution, NotSent, OrderReport, PositionSide, RejectReason, ReportFlags, RequestKind,
    RequestOutcome, Side, TriggerBy, VenueStatus, Verdict,
};
use crate::family::Family;
use crate::id::{AssetId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId};
use crate::limits::{Configuration, MAX_SLOTS};
use crate::num::{Cash, Price, Quantity};
use crate::record::IncidentKind;
use crate::state::order::{Confirmation, Inflight, NewRow, Order, OrderState, OrderTable};
use crate::state::position::Position;
use crate::state::queue::Queue;
use crate::state::throttle::Throttle;
use crate::state::{Finding, Findings};
use crate::time::Nanos;

/// Pending commands of all keys together.
const QUEUE_CAPACITY: usize = 4096;
/// Between the venue's "unknown order" and the question about it: its ending is on its way over the private stream, as a rule.
const UNKNOWN_ORDER_GRACE: Nanos = Nanos::from_secs(1);
/// Private events kept while a hydration runs.
const BUFFERED_EVENTS: usize = 1024;

#[derive(Clone, Debug)]
pub struct ExecutionState {
    pub orders: OrderTable,
    /// Key -> the newest order in it.
    slots: Vec<OrderIndex>,
    strategies: usize,
    instruments: usize,
    /// Rows: strategies, then the external owner. Columns: instruments.
    positions: Vec<Position>,
    /// All owners together.
    totals: Vec<Position>,
    exposures: Vec<Exposure>,
    open_by_strategy: Vec<u32>,
    /// Orders of the families above entry that the venue has not confirmed: an instrument's three legs after each other.
    unconfirmed: Vec<Unconfirmed>,
    /// Live orders of those families.
    of_higher_families: u32,
    agreement: Vec<Agreement>,
    instrument_venues: Vec<VenueId>,
    visibility_delay: Nanos,
    /// One a venue: venues are read back independently.
    hydrations: Vec<HydrationProgress>,
    /// Private events of venues that are being read back, in their order of arrival.
    buffered: Vec<Event>,
    pub queue: Queue,
    pub throttle: Throttle,
    pub counters: ExecutionCounters,
}

crate::saved! {
    table ExecutionState {
        orders,
        slots,
        positions,
        totals,
        exposures,
        open_by_strategy,
        unconfirmed,
        of_higher_families,
        agreement,
        hydrations,
        queue,
        throttle,
        counters,
    }
    lists { buffered }
    kept { strategies, instruments, instrument_venues, visibility_delay }
}

/// Our position of an instrument against the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    Agrees,
    /// They differ; a report may be under way. Asked about when it lasts.
    DiffersSince(Nanos),
    /// They differ after a read-back: data inconsistency.
    Inconsistent,
}

crate::saved! { choice Agreement { Agrees = 0, DiffersSince(since) = 1, Inconsistent = 2 } }

#[derive(Clone, Debug, Default)]
struct HydrationProgress {
    running: bool,
    completed_before: bool,
    /// The snapshot includes what happened up to here (the venue's time).
    as_of: Nanos,
    /// The bracket under way answers no present ask: its reports are ignored.
    ignored: bool,
    /// The buffer overflowed: what did not fit is not known.
    lost: bool,
    /// Orders named by the hydration under way.
    seen: Vec<OrderIndex>,
}

crate::saved! {
    table HydrationProgress { running, completed_before, as_of, ignored, lost } lists { seen }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// What could still be bought and sold if every working order filled.
    pub working_buy: Quantity,
    pub working_sell: Quantity,
    pub open_orders: u32,
    /// Live orders whose state at the venue is unknown.
    pub in_doubt: u32,
}

crate::saved! { value Exposure { working_buy, working_sell, open_orders, in_doubt } }

/// Position sides: one-way's, and hedge mode's two.
const LEGS: usize = 3;

/// Live orders of one scope with a command of this family out that the venue has not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unconfirmed {
    closing: u32,
    cleanup: u32,
    protective: u32,
}

crate::saved! { value Unconfirmed { closing, cleanup, protective } }

impl Unconfirmed {
    fn of(&mut self, family: Family) -> Option<&mut u32> {
        match family {
            Family::Closing => Some(&mut self.closing),
            Family::Cleanup => Some(&mut self.cleanup),
            Family::Protective => Some(&mut self.protective),
            Family::Recovery | Family::Entry => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutionCounters {
    pub reports: u64,
    pub fills: u64,
    pub duplicates: u64,
    pub stale_reports: u64,
    pub late_fills: u64,
    pub rejects: u64,
    pub unknown_outcomes: u64,
    pub external_orders: u64,
    pub contradictions: u64,
    pub accepted: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub not_sent: u64,
}

crate::saved! {
    value ExecutionCounters {
        reports,
        fills,
        duplicates,
        stale_reports,
        late_fills,
        rejects,
        unknown_outcomes,
        external_orders,
        contradictions,
        accepted,
        cancelled,
        expired,
        not_sent,
    }
}

impl ExecutionState {
    pub fn new(configuration: &Configuration) -> Self {
        let strategies = configuration.strategies.len();
        let instruments = configuration.instruments.len();
        Self {
            orders: OrderTable::new(configuration.order_rows),
            slots: alloc::vec![OrderIndex::NONE; strategies * MAX_SLOTS],
            strategies,
            instruments,
            positions: alloc::vec![Position::default(); (strategies + 1) * instruments],
            totals: alloc::vec![Position::default(); instruments],
            exposures: alloc::vec![Exposure::default(); instruments],
            open_by_strategy: alloc::vec![0; strategies + 1],
            unconfirmed: alloc::vec![Unconfirmed::default(); instruments * LEGS],
            of_higher_families: 0,
            agreement: alloc::vec![Agreement::Agrees; instruments],
            instrument_venues: configuration.instruments.iter().map(|limits| limits.venue).collect(),
            visibility_delay: configuration.visibility_delay,
            hydrations: configuration
                .venues
                .iter()
                .map(|_| HydrationProgress {
                    seen: Vec::with_capacity(configuration.order_rows as usize),
                    ..HydrationProgress::default()
                })
                .collect(),
            buffered: Vec::with_capacity(BUFFERED_EVENTS),
            queue: Queue::new(QUEUE_CAPACITY),
            throttle: Throttle::new(configuration),
            counters: ExecutionCounters::default(),
        }
    }

    /// The newest order in a slot, live or not.
    #[inline]
    pub fn in_slot(&self, key: OrderKey) -> Option<(OrderIndex, &Order)> {
        let index = *self.slots.get(self.slot_at(key)?)?;
        self.orders.order(index).filter(|order| order.key == key).map(|order| (index, order))
    }

    /// The live order in a slot.
    #[inline]
    pub fn live_in_slot(&self, key: OrderKey) -> Option<(OrderIndex, &Order)> {
        self.in_slot(key).filter(|(_, order)| order.is_live())
    }

    pub fn position(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<&Position> {
        self.positions.get(self.position_at(strategy, instrument)?)
    }

    /// Of every owner and instrument, in the order of the table.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.iter()
    }

    /// All owners together.
    #[inline]
    pub fn total(&self, instrument: InstrumentId) -> Option<&Position> {
        self.totals.get(instrument.index())
    }

    pub fn totals(&self) -> impl Iterator<Item = (InstrumentId, &Position)> {
        self.totals.iter().enumerate().map(|(at, position)| (InstrumentId(at as u16), position))
    }

    #[inline]
    pub fn exposure(&self, instrument: InstrumentId) -> Exposure {
        self.exposures.get(instrument.index()).copied().unwrap_or_default()
    }

    pub fn open_orders_of(&self, strategy: StrategyId) -> u32 {
        self.open_by_strategy.get(self.owner_row(strategy)).copied().unwrap_or(0)
    }

    /// Live orders of the families above entry.
    #[inline]
    pub fn of_higher_families(&self) -> u32 {
        self.of_higher_families
    }

    /// What a higher family has sent for this scope is not confirmed yet.
    #[inline]
    pub fn is_held(&self, instrument: InstrumentId, leg: PositionSide, family: Family) -> bool {
        let Some(out) = self.unconfirmed.get(scope_at(instrument, leg)) else { return false };
        let (closing, cleanup, protective) = (out.closing > 0, out.cleanup > 0, out.protective > 0);
        match family {
            Family::Recovery | Family::Closing => false,
            Family::Cleanup => closing,
            Family::Protective => closing || cleanup,
            Family::Entry => closing || cleanup || protective,
        }
    }

    /// The venue's position and ours disagree even after a read-back: no new risk here until that is resolved.
    #[inline]
    pub fn is_inconsistent(&self, instrument: InstrumentId) -> bool {
        self.agreement.get(instrument.index()).is_none_or(|known| *known == Agreement::Inconsistent)
    }

    pub fn agreement(&self, instrument: InstrumentId) -> Agreement {
        self.agreement.get(instrument.index()).copied().unwrap_or(Agreement::Inconsistent)
    }

    /// Holds our position of a settled scope against the venue's word. A first difference may be a report under way; one
    /// that outlives a read-back is a data inconsistency. Says so only when it becomes one.
    pub(crate) fn compare_position(
        &mut self,
        now: Nanos,
        instrument: InstrumentId,
        theirs: Quantity,
        read_back: bool,
        findings: &mut Findings,
    ) {
        let in_doubt = self.exposure(instrument).in_doubt > 0;
        let ours = self.total(instrument).map_or(Quantity::ZERO, |total| total.quantity);
        let Some(known) = self.agreement.get_mut(instrument.index()) else { return };
        if ours == theirs {
            *known = Agreement::Agrees;
        } else if read_back && !in_doubt && *known != Agreement::Inconsistent {
            *known = Agreement::Inconsistent;
            findings.add(Finding {
                kind: IncidentKind::PositionMismatch,
                instrument,
                order: OrderIndex::NONE,
                ours: ours.raw(),
                theirs: theirs.raw(),
            });
        } else if *known == Agreement::Agrees || read_back {
            // After a read-back that cannot decide yet, the wait begins anew.
            if *known != Agreement::Inconsistent {
                *known = Agreement::DiffersSince(now);
            }
        }
    }

    /// Registers a dispatched New: the order's life begins.
    pub(crate) fn begin(&mut self, new: NewRow, inflight: Inflight) -> Option<OrderIndex> {
        let index = self.orders.insert(new)?;
        if let Some(at) = self.slot_at(new.key)
            && let Some(slot) = self.slots.get_mut(at)
        {
            *slot = index;
        }
        // A fresh row counts for nothing until here: account for it as a change from nothing.
        self.account_for(index, Weight::default());
        self.change(index, |order| order.inflight = Some(inflight));
        Some(index)
    }

    /// The one way to change an order.
    #[inline]
    pub(crate) fn change<R>(&mut self, index: OrderIndex, act: impl FnOnce(&mut Order) -> R) -> Option<R> {
        let order = self.orders.order_mut(index)?;
        let before = Weight::of(order);
        let result = act(order);
        self.account_for(index, before);
        Some(result)
    }

    fn account_for(&mut self, index: OrderIndex, before: Weight) {
        let Some(order) = self.orders.order(index) else { return };
        let after = Weight::of(order);
        let (side, instrument, strategy) = (order.side, order.instrument, order.key.strategy);
        let row = self.owner_row(strategy);
        step(&mut self.of_higher_families, before.higher, after.higher);
        if before.out != after.out
            && let Some(scope) = self.unconfirmed.get_mut(scope_at(instrument, order.position_side))
        {
            let (gone, come) = (before.out, after.out);
            if let Some(count) = gone.and_then(|family| scope.of(family)) {
                *count = count.saturating_sub(1);
            }
            if let Some(count) = come.and_then(|family| scope.of(family)) {
                *count = count.saturating_add(1);
            }
        }
        if let Some(exposure) = self.exposures.get_mut(instrument.index()) {
            let sum = match side {
                Side::Buy => &mut exposure.working_buy,
                Side::Sell => &mut exposure.working_sell,
            };
            *sum += after.working - before.working;
            step(&mut exposure.in_doubt, before.in_doubt, after.in_doubt);
            step(&mut exposure.open_orders, before.live, after.live);
        }
        if let Some(open) = self.open_by_strategy.get_mut(row) {
            step(open, before.live, after.live);
        }
        if before.live && !after.live {
            self.orders.retire(index);
        }
    }

    /// One report of the private stream, or of a read-back.
    pub(crate) fn apply_report(
        &mut self,
        now: Nanos,
        event: &Event,
        report: &OrderReport,
        quote: AssetId,
        findings: &mut Findings,
    ) {
        self.counters.reports += 1;
        let hydrated = report.flags.has(ReportFlags::HYDRATED);
        let index = match self.orders.find(&report.client_order_id) {
            Some(index) => index,
            // What traded says nothing about an order that we never heard of, least of all that it is open.
            None if report.flags.has(ReportFlags::TRADE_ONLY) => return,
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
        if self.contradicts_itself(index, now, report, findings) {
            return;
        }
        self.apply_fill(index, now, report, quote, findings);
        if !report.flags.has(ReportFlags::TRADE_ONLY) {
            self.apply_status(index, event.event_time, report, findings);
        }
    }

    /// Someone else's order on our account: shown and counted, touched by no strategy.
    fn adopt(
        &mut self,
        now: Nanos,
        event: &Event,
        report: &OrderReport,
        findings: &mut Findings,
    ) -> Option<OrderIndex> {
        let new = NewRow {
            client_order_id: report.client_order_id,
            key: OrderKey { strategy: StrategyId::EXTERNAL, slot: 0 },
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
        self.account_for(index, Weight::default());
        // What filled before we knew of it is in the hydrated position, not in ours.
        let told = report.cumulative_quantity.min(report.quantity);
        let hydrated = report.flags.has(ReportFlags::HYDRATED);
        let before = if hydrated { told } else { told - report.last_quantity };
        self.change(index, |order| {
            // Its key is its row: nobody's slot.
            order.key.slot = index.0 as u16;
            order.filled = before.max(Quantity::ZERO);
            order.cumulative = order.filled;
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
    fn doubt(
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

    /// The money part: each trade once, in whatever order they come.
    fn apply_fill(
        &mut self,
        index: OrderIndex,
        now: Nanos,
        report: &OrderReport,
        quote: AssetId,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        let read_back = report.execution == Execution::Status;
        // A read-back that knows of more than we applied: the missing part, at the price it states.
        let (quantity, price) = if read_back {
            let missing = report.cumulative_quantity - order.filled;
            let price = if report.last_price.is_zero() { report.price } else { report.last_price };
            (missing.max(Quantity::ZERO), price)
        } else {
            (report.last_quantity, report.last_price)
        };
        if !quantity.is_positive() {
            return;
        }
        let known = !read_back && report.trade_id != 0 && order.knows_trade(report.trade_id);
        let ceiling = order.cumulative.max(report.cumulative_quantity);
        let beyond_ceiling = order.filled + quantity > ceiling;
        if known || (!read_back && beyond_ceiling) {
            self.counters.duplicates += 1;
            return;
        }
        let was_terminal = order.state.is_terminal();
        let late = was_terminal && order.state != OrderState::Filled && ceiling > order.cumulative;
        let (side, instrument, strategy, ordered) =
            (order.side, order.instrument, order.key.strategy, order.quantity);
        // More trades were applied than are remembered: this may be one of them told again, or the one that is missing.
        let ambiguous = !read_back
            && report.trade_id != 0
            && order.filled < order.cumulative
            && report.cumulative_quantity <= order.cumulative
            && order.remembers_no_more();
        if ambiguous {
            let numbers = (order.filled.raw(), order.cumulative.raw());
            self.doubt(index, now, RejectReason::Other, numbers, findings);
            return;
        }
        let filled = order.filled + quantity;
        if filled > ordered.max(report.quantity) {
            self.doubt(index, now, RejectReason::Other, (ordered.raw(), filled.raw()), findings);
            return;
        }
        self.counters.fills += 1;
        self.change(index, |order| {
            order.filled += quantity;
            order.fill_notional += price.notional(quantity);
            order.cumulative = ceiling;
            // A Replace that made the order larger may be told after the fills that it allowed.
            order.quantity = order.quantity.max(ceiling);
            if report.trade_id != 0 {
                order.note_trade(report.trade_id);
            }
        });
        let maker = report.flags.has(ReportFlags::MAKER);
        let fee = Cash::from_wire(report.fee);
        let own = self.position_at(strategy, instrument).and_then(|at| self.positions.get_mut(at));
        let total = self.totals.get_mut(instrument.index());
        for position in own.into_iter().chain(total) {
            position.fill(side, price, quantity);
            position.maker_fills += u64::from(maker);
            // A read-back does not say what the missing part cost in fees.
            if !read_back {
                if report.fee_asset == quote {
                    position.fees += fee;
                } else {
                    position.other_fees += fee;
                }
            }
        }
        if late {
            self.counters.late_fills += 1;
            findings.add(Finding {
                kind: IncidentKind::LateFill,
                instrument,
                order: index,
                ours: 0,
                theirs: quantity.raw(),
            });
        }
    }

    /// The life part: state, terms, inflight request, confirmation.
    fn apply_status(
        &mut self,
        index: OrderIndex,
        stamp: Nanos,
        report: &OrderReport,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        if order.state.is_terminal() {
            self.contradict_terminal(index, stamp, report, findings);
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
        let contradicts = report.status == VenueStatus::Rejected && before != OrderState::Submitted;
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
            // A venue that replaces by a new order (spot) gives it a new number.
            let anew = matches!(report.execution, Execution::Replaced | Execution::Status);
            if order.venue_order_id.0 == 0 || (anew && report.venue_order_id.0 != 0) {
                order.venue_order_id = report.venue_order_id;
            }
            order.cumulative = order.cumulative.max(report.cumulative_quantity);
            order.reported = order.reported.later(stamp);
            if takes_terms(report) {
                order.price = report.price;
                order.quantity = report.quantity;
            }
            order.quantity = order.quantity.max(order.cumulative);
            if let Some(next) = order.state.next(report.status) {
                order.state = next;
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
                order.confirmation = Confirmation::Confirmed;
                order.asked = 0;
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

    /// A terminal order that the venue shows alive, later than it ended: a ghost. New risk stops on its instrument until a
    /// person has looked; terminal stays final.
    #[cold]
    fn contradict_terminal(
        &mut self,
        index: OrderIndex,
        stamp: Nanos,
        report: &OrderReport,
        findings: &mut Findings,
    ) {
        let Some(order) = self.orders.order(index) else { return };
        let alive = matches!(report.status, VenueStatus::New | VenueStatus::PartiallyFilled);
        // A report from before the end that comes late is only late.
        let never_seen = order.state == OrderState::Rejected;
        if !alive || !(never_seen || stamp > order.reported) {
            self.counters.stale_reports += 1;
            return;
        }
        self.counters.contradictions += 1;
        let (instrument, state) = (order.instrument, order.state);
        if let Some(known) = self.agreement.get_mut(instrument.index()) {
            *known = Agreement::Inconsistent;
        }
        findings.add(Finding {
            kind: IncidentKind::Contradiction,
            instrument,
            order: index,
            ours: i64::from(state.code()),
            theirs: i64::from(report.status.code()),
        });
    }

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
            // A doubt from before is not resolved by what was never sent.
            if !matches!(order.confirmation, Confirmation::Unknown { .. }) {
                order.confirmation = Confirmation::Confirmed;
            }
        });
        Some(instrument)
    }

    /// Unrealised P&L needs a price; this is realised and fees of one strategy on one instrument.
    pub fn positions_of(&self, strategy: StrategyId) -> impl Iterator<Item = (InstrumentId, &Position)> {
        let row = self.owner_row(strategy);
        self.positions
            .get(row * self.instruments..(row + 1) * self.instruments)
            .unwrap_or(&[])
            .iter()
            .enumerate()
            .map(|(at, position)| (InstrumentId(at as u16), position))
    }

    pub fn venue_of(&self, instrument: InstrumentId) -> Option<VenueId> {
        self.instrument_venues.get(instrument.index()).copied()
    }

    #[inline]
    fn owner_row(&self, strategy: StrategyId) -> usize {
        strategy.index().min(self.strategies)
    }

    #[inline]
    fn position_at(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<usize> {
        (instrument.index() < self.instruments)
            .then(|| self.owner_row(strategy) * self.instruments + instrument.index())
    }

    #[inline]
    fn slot_at(&self, key: OrderKey) -> Option<usize> {
        (key.strategy.index() < self.strategies && usize::from(key.slot) < MAX_SLOTS)
            .then(|| key.strategy.index() * MAX_SLOTS + usize::from(key.slot))
    }
}

#[inline]
fn scope_at(instrument: InstrumentId, leg: PositionSide) -> usize {
    instrument.index() * LEGS + usize::from(leg.code())
}

/// Does this report state the order's terms, as a Replace or a read-back does?
#[inline]
fn takes_terms(report: &OrderReport) -> bool {
    report.quantity.is_positive() && matches!(report.execution, Execution::Replaced | Execution::Status)
}

/// What an order counts for in the sums.
#[derive(Clone, Copy, Default)]
struct Weight {
    working: Quantity,
    live: bool,
    in_doubt: bool,
    /// Of a family above entry, and live.
    higher: bool,
    /// The family of what is out about it, until the venue confirms it.
    out: Option<Family>,
}

impl Weight {
    #[inline]
    fn of(order: &Order) -> Self {
        let live = order.is_live();
        let in_doubt = live && matches!(order.confirmation, Confirmation::Unknown { .. });
        let confirmed = !live || order.confirmation == Confirmation::Confirmed;
        let out = if confirmed { None } else { Some(order.inflight.map_or(order.family, |i| i.family)) };
        let higher = live && order.family != Family::Entry;
        Self { working: order.working(), live, in_doubt, higher, out }
    }
}

/// One more or one less in a count.
#[inline]
fn step(count: &mut u32, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *count = count.saturating_add(1),
        (true, false) => *count = count.saturating_sub(1),
        _ => {}
    }
}
