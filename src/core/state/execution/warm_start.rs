//! Going on from an earlier run's state: what happened meanwhile is read back, and what the venue does not know is closed.
//!
//! The account's read-back names what is open. Each order that is open no more is asked for by its id, with its trades. Once none of
//! an instrument is in doubt, the trades after the newest that was known are read: what is of no order here is somebody
//! else's, and completes the position. Nothing is sent again on a guess: what never came to be closes, and with
//! `Orphans::Requeue` is wished anew, once, through risk.
//! Hot.

use super::ExecutionState;
use super::holdings::{Fill, Holder};
use crate::event::{OrderReport, Orphans, RejectReason, ReportFlags};
use crate::id::{InstrumentId, OrderIndex};
use crate::instrument::InstrumentDefinition;
use crate::state::Findings;
use crate::state::order::{Confirmation, Order, OrderState};
use crate::time::Nanos;

/// Orphans that wait to be wished anew; more are closed for good.
pub(super) const ORPHANS: usize = 256;
/// The pause after trades could not be read.
const READ_AGAIN: Nanos = Nanos::from_secs(1);

/// When the run went on from an earlier one's state, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmStart {
    /// Zero: never.
    pub at: Nanos,
    /// The earlier run's last moment.
    pub since: Nanos,
    pub orphans: Orphans,
}

crate::saved! { value WarmStart { at, since, orphans } }

impl Default for WarmStart {
    fn default() -> Self {
        Self { at: Nanos::ZERO, since: Nanos::ZERO, orphans: Orphans::Close }
    }
}

impl WarmStart {
    /// The order is of the time before.
    #[inline]
    pub(super) fn is_after(&self, order: &Order) -> bool {
        !self.at.is_zero() && order.created < self.at
    }
}

/// How far an instrument's trades are known. Venues number them upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TradeMark {
    newest: u64,
    /// After a warm start: those that came after this one are not read yet.
    must_read: bool,
    after: u64,
    /// When they are to be asked for; never while a question is under way.
    ask_at: Nanos,
}

crate::saved! { value TradeMark { newest, must_read, after, ask_at } }

impl Default for TradeMark {
    fn default() -> Self {
        Self { newest: 0, must_read: false, after: 0, ask_at: Nanos::MAX }
    }
}

impl ExecutionState {
    #[cold]
    pub(crate) fn start_again(
        &mut self,
        now: Nanos,
        since: Nanos,
        orphans: Orphans,
        findings: &mut Findings,
    ) {
        self.warm_start = WarmStart { at: now, since, orphans };
        self.orphans.clear();
        for mark in &mut self.newest_trades {
            mark.must_read = true;
            mark.after = mark.newest;
            mark.ask_at = now;
        }
        self.claim_anew(findings);
        self.buffered.clear();
        self.unjudged.clear();
        for progress in &mut self.hydrations {
            progress.running = false;
            progress.ignored = false;
            progress.lost = false;
        }
    }

    /// The trades that came while nobody looked are not known yet: nothing is planned from the position.
    #[inline]
    pub fn must_read_trades(&self, instrument: InstrumentId) -> bool {
        self.newest_trades.get(instrument.index()).is_some_and(|mark| mark.must_read)
    }

    /// The same of any instrument.
    pub fn must_read_any_trades(&self) -> bool {
        self.newest_trades.iter().any(|mark| mark.must_read)
    }

    /// Some order's state, or some trade, is not known here: new risk waits.
    #[inline]
    pub fn is_in_recovery(&self, instrument: InstrumentId) -> bool {
        self.exposure(instrument).in_doubt > 0 || self.must_read_trades(instrument)
    }

    /// When the trades of this instrument are to be asked for, and after which one; `None` where they are not, or not yet: while an
    /// order is in doubt, a trade that looks like somebody else's may be that order's.
    pub(crate) fn trades_to_ask(&self, instrument: InstrumentId) -> Option<(Nanos, u64)> {
        let mark = self.newest_trades.get(instrument.index())?;
        let is_due = mark.must_read && mark.ask_at != Nanos::MAX && self.exposure(instrument).in_doubt == 0;
        is_due.then_some((mark.ask_at, mark.after))
    }

    pub(crate) fn asked_for_trades(&mut self, instrument: InstrumentId) {
        if let Some(mark) = self.newest_trades.get_mut(instrument.index()) {
            mark.ask_at = Nanos::MAX;
        }
    }

    pub(crate) fn end_trades(&mut self, now: Nanos, instrument: InstrumentId, whole: bool) {
        if let Some(mark) = self.newest_trades.get_mut(instrument.index()) {
            mark.must_read &= !whole;
            mark.ask_at = if whole { Nanos::MAX } else { now + READ_AGAIN };
        }
    }

    #[inline]
    pub(super) fn note_trade(&mut self, instrument: InstrumentId, trade: u64) {
        if let Some(mark) = self.newest_trades.get_mut(instrument.index()) {
            mark.newest = mark.newest.max(trade);
        }
    }

    /// A trade, read back, of an order that is not known here: somebody else's, or one that a power cut made us forget. It moved the
    /// account's position, so it moves that of whoever claims such orders, else the external owner's.
    #[cold]
    pub(super) fn take_foreign_trade(
        &mut self,
        instrument: InstrumentId,
        report: &OrderReport,
        definition: Option<&InstrumentDefinition>,
        findings: &mut Findings,
    ) {
        let Some(mark) = self.newest_trades.get(instrument.index()) else { return };
        let is_news =
            mark.must_read && report.flags.has(ReportFlags::HYDRATED) && report.trade_id > mark.after;
        if !is_news {
            return;
        }
        self.note_trade(instrument, report.trade_id);
        let strategy = self.owner_of_strangers(instrument);
        let holder = Holder { strategy, instrument, leg: report.flags.position_side() };
        let fill = Fill {
            side: report.side,
            price: report.last_price,
            quantity: report.last_quantity,
            maker: report.flags.has(ReportFlags::MAKER),
            fee: report.fee_told(),
        };
        self.book(holder, OrderIndex::NONE, &fill, definition, findings);
    }

    /// The venue knows nothing of an order of the time before: it never was, or it ended so long ago that it is forgotten there.
    /// Either way it is not open; whether fills are missing, the positions tell.
    #[cold]
    pub(super) fn close_orphan(&mut self, index: OrderIndex, state: OrderState) {
        let never_was = state == OrderState::Submitted;
        let ours = self.orders.order(index).is_some_and(|order| self.is_made_here(order));
        self.change(index, |order| {
            order.state = if never_was { OrderState::Rejected } else { OrderState::Cancelled };
            order.reject = RejectReason::UnknownOrder;
            order.inflight = None;
            order.confirmation = Confirmation::Confirmed;
        });
        if never_was {
            self.counters.rejects += 1;
        } else {
            self.counters.cancelled += 1;
        }
        let is_wished = ours && self.warm_start.orphans == Orphans::Requeue;
        if never_was && is_wished && self.orphans.len() < ORPHANS {
            self.orphans.push(index);
        }
    }

    /// The next orphan to wish anew.
    pub(crate) fn take_orphan(&mut self) -> Option<Order> {
        let index = self.orphans.pop()?;
        self.orders.order(index).copied()
    }
}
