//! Execution state: orders, fills, positions, exposure, and what is in doubt about them.
//!
//! Every change of an order goes through `change`, which keeps the sums (exposure, open counts, live list) true.
//! Hot.

mod answers;
mod audit;
mod claims;
mod exposure;
mod fills;
mod ghosts;
mod holdings;
mod hydration;
mod invariants;
mod money;
mod reports;
mod unconfirmed;
mod warm_start;

use alloc::vec::Vec;

use crate::event::{Event, PositionSide, Side};
use crate::family::Family;
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId};
use crate::intent::{Intent, NewIntent};
use crate::limits::{ALL_SLOTS, Configuration, InstrumentLimits, PositionMode};
use crate::num::Quantity;
use crate::record::{Admission, IncidentKind};
use crate::state::open::OpenCounts;
use crate::state::order::{Inflight, NewRow, Order, OrderTable};
use crate::state::position::Position;
use crate::state::queue::{Pending, Queue, Reduces};
use crate::state::stakes::{Place, Stakes, Work, Worth};
use crate::state::throttle::Throttle;
use crate::state::{Finding, Findings};
use crate::time::Nanos;

pub use exposure::Exposure;
use exposure::{Weight, step};
use holdings::{Holder, Holdings};
use unconfirmed::{LEGS, Unconfirmed, scope_at};
use warm_start::TradeMark;
pub use warm_start::WarmStart;

/// Pending commands of all keys together.
const QUEUE_CAPACITY: usize = 4096;
/// Private events kept while a hydration runs.
const BUFFERED_EVENTS: usize = 1024;

#[derive(Clone, Debug)]
pub struct ExecutionState {
    pub orders: OrderTable,
    /// Key -> the newest order in it.
    slots: Vec<OrderIndex>,
    strategies: usize,
    instruments: usize,
    holdings: Holdings,
    exposures: Vec<Exposure>,
    /// Of each leg, long and short; only where a venue is in hedge mode.
    leg_exposures: Vec<[Exposure; 2]>,
    /// Orders of the families above entry that the venue has not confirmed: an instrument's three legs after each other.
    unconfirmed: Vec<Unconfirmed>,
    /// Live orders of those families.
    of_higher_families: u32,
    /// By leg.
    agreement: Vec<[Agreement; LEGS]>,
    /// By instrument: its venue holds it in another position mode than configured, by the newest word there is.
    in_other_mode: Vec<bool>,
    instrument_venues: Vec<VenueId>,
    /// By instrument: whose own the orders of others become.
    claimants: Vec<Option<StrategyId>>,
    hedged: Vec<bool>,
    visibility_delay: Nanos,
    /// One a venue: venues are read back independently.
    hydrations: Vec<HydrationProgress>,
    /// Private events of venues that are being read back, in their order of arrival.
    buffered: Vec<Event>,
    /// How far each instrument's trades are known.
    newest_trades: Vec<TradeMark>,
    /// The venue's stamp of each instrument's newest booked trade.
    traded_at: Vec<Nanos>,
    /// Spot instruments whose wallets were read back and are not held against ours yet; of those that share a base, the first.
    unjudged: Vec<InstrumentId>,
    pub warm_start: WarmStart,
    /// Orders that never came to be, and are to be wished anew.
    orphans: Vec<OrderIndex>,
    /// In money.
    pub stakes: Stakes,
    open: OpenCounts,
    /// By owner.
    traffic: Vec<Traffic>,
    pub queue: Queue,
    pub throttle: Throttle,
    pub counters: ExecutionCounters,
    /// What was found broken in this turn.
    broken: Option<Finding>,
}

crate::saved! {
    table ExecutionState {
        orders,
        slots,
        holdings,
        exposures,
        leg_exposures,
        unconfirmed,
        of_higher_families,
        agreement,
        in_other_mode,
        hydrations,
        newest_trades,
        traded_at,
        warm_start,
        stakes,
        open,
        traffic,
        queue,
        throttle,
        counters,
    }
    lists { buffered, orphans, unjudged }
    kept { strategies, instruments, instrument_venues, claimants, hedged, visibility_delay, broken }
}

/// Our position of an instrument against the venue's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agreement {
    #[default]
    Agrees,
    /// They differ; a report may be under way. Asked about when it lasts.
    DiffersSince(Nanos),
    /// They differ after a read-back: data inconsistency.
    Inconsistent,
}

impl Agreement {
    fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Inconsistent, _) | (_, Self::Inconsistent) => Self::Inconsistent,
            (Self::DiffersSince(one), Self::DiffersSince(two)) => Self::DiffersSince(one.earlier(two)),
            (Self::DiffersSince(since), _) | (_, Self::DiffersSince(since)) => Self::DiffersSince(since),
            (Self::Agrees, Self::Agrees) => Self::Agrees,
        }
    }
}

crate::saved! { choice Agreement { Agrees = 0, DiffersSince(since) = 1, Inconsistent = 2 } }

/// Whose word about a position ours is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A private event's.
    Event,
    /// A read-back's.
    ReadBack,
    /// A read-back's, and something was told that happened after it: its other half may be under way.
    AfterReadBack,
}

#[derive(Clone, Debug, Default)]
struct HydrationProgress {
    running: bool,
    completed_before: bool,
    /// The snapshot includes what happened up to here (the venue's time).
    as_of: Nanos,
    /// The bracket under way answers no present ask: its reports are ignored.
    ignored: bool,
    /// It is an audit's: nothing was in doubt, so that its reports settle nothing.
    audits: bool,
    /// The buffer overflowed: what did not fit is not known.
    lost: bool,
    /// Orders named by the hydration under way.
    seen: Vec<OrderIndex>,
}

crate::saved! {
    table HydrationProgress { running, completed_before, as_of, ignored, audits, lost } lists { seen }
}

/// What an owner sent, and how often it was filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub fills: u64,
}

crate::saved! { value Traffic { messages, fills } }

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
        let mode = |venue: VenueId| configuration.venues.get(venue.index()).map(|v| v.position_mode);
        let is_hedged = |limits: &InstrumentLimits| mode(limits.venue) == Some(PositionMode::Hedge);
        let hedged: Vec<bool> = configuration.instruments.iter().map(is_hedged).collect();
        let any_hedged = hedged.contains(&true);
        Self {
            orders: OrderTable::new(configuration.order_rows),
            slots: alloc::vec![OrderIndex::NONE; strategies * ALL_SLOTS],
            strategies,
            instruments,
            holdings: Holdings::new(strategies, instruments, any_hedged),
            exposures: alloc::vec![Exposure::default(); instruments],
            leg_exposures: alloc::vec![[Exposure::default(); 2]; if any_hedged { instruments } else { 0 }],
            unconfirmed: alloc::vec![Unconfirmed::default(); instruments * LEGS],
            of_higher_families: 0,
            agreement: alloc::vec![[Agreement::Agrees; LEGS]; instruments],
            in_other_mode: alloc::vec![false; instruments],
            instrument_venues: configuration.instruments.iter().map(|limits| limits.venue).collect(),
            claimants: configuration.instruments.iter().map(|limits| limits.claimant).collect(),
            hedged,
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
            newest_trades: alloc::vec![TradeMark::default(); instruments],
            traded_at: alloc::vec![Nanos::ZERO; instruments],
            unjudged: Vec::with_capacity(instruments),
            warm_start: WarmStart::default(),
            orphans: Vec::with_capacity(warm_start::ORPHANS),
            stakes: Stakes::new(configuration),
            open: OpenCounts::new(configuration),
            traffic: alloc::vec![Traffic::default(); strategies + 1],
            queue: Queue::new(QUEUE_CAPACITY),
            throttle: Throttle::new(configuration),
            counters: ExecutionCounters::default(),
            broken: None,
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
        self.holdings.position(strategy, instrument)
    }

    /// One leg of it; where the venue is in one-way mode, the position itself.
    pub fn leg(
        &self,
        strategy: StrategyId,
        instrument: InstrumentId,
        leg: PositionSide,
    ) -> Option<&Position> {
        let leg = self.own_leg(instrument, leg);
        self.holdings.leg(Holder { strategy, instrument, leg })
    }

    /// Of every owner and instrument, in the order of the table.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.holdings.owners().iter()
    }

    /// All owners together.
    #[inline]
    pub fn total(&self, instrument: InstrumentId) -> Option<&Position> {
        self.holdings.total(instrument)
    }

    /// One leg of all owners together; where the venue is in one-way mode, the position itself.
    pub fn total_leg(&self, instrument: InstrumentId, leg: PositionSide) -> Option<&Position> {
        self.holdings.total_leg(instrument, self.own_leg(instrument, leg))
    }

    /// Where there are no legs, what is said about one is about the position; another venue may have them.
    #[inline]
    fn own_leg(&self, instrument: InstrumentId, leg: PositionSide) -> PositionSide {
        if self.is_hedged(instrument) { leg } else { PositionSide::Both }
    }

    /// The venue keeps a long and a short position of this instrument beside each other.
    #[inline]
    pub fn is_hedged(&self, instrument: InstrumentId) -> bool {
        self.hedged.get(instrument.index()).is_some_and(|hedged| *hedged)
    }

    /// The legs that a position of this instrument has.
    #[inline]
    pub fn legs_of(&self, instrument: InstrumentId) -> &'static [PositionSide] {
        if self.is_hedged(instrument) {
            &[PositionSide::Long, PositionSide::Short]
        } else {
            &[PositionSide::Both]
        }
    }

    pub fn totals(&self) -> impl Iterator<Item = (InstrumentId, &Position)> {
        self.holdings.totals().iter().enumerate().map(|(at, position)| (InstrumentId(at as u16), position))
    }

    #[inline]
    pub fn exposure(&self, instrument: InstrumentId) -> Exposure {
        self.exposures.get(instrument.index()).copied().unwrap_or_default()
    }

    /// What a leg would be, towards `side`, if all that works there filled. In one-way mode the leg is the position.
    #[inline]
    pub fn worst_case(&self, instrument: InstrumentId, leg: PositionSide, side: Side) -> Quantity {
        let legs = self.leg_exposures.get(instrument.index());
        let exposure = match (leg, legs) {
            (PositionSide::Long, Some([long, _])) => *long,
            (PositionSide::Short, Some([_, short])) => *short,
            (PositionSide::Both, _) | (_, None) => self.exposure(instrument),
        };
        let held = self.total_leg(instrument, leg).map_or(Quantity::ZERO, |total| total.quantity);
        exposure.worst_case(held, side)
    }

    /// Open orders, and new ones that wait to be sent.
    #[inline]
    pub fn open_counts(&self) -> &OpenCounts {
        &self.open
    }

    #[inline]
    pub fn traffic(&self, strategy: StrategyId) -> Traffic {
        self.traffic.get(self.owner_row(strategy)).copied().unwrap_or_default()
    }

    /// The row of an owner in the stakes: a strategy's own, or everybody else's.
    #[inline]
    pub fn owner_row(&self, strategy: StrategyId) -> usize {
        strategy.index().min(self.strategies)
    }

    /// What waiting Replaces would add to what works, over the orders that are meant, but for what waits under `key`: the
    /// intent that is weighed takes its place. As a rule none waits.
    #[inline]
    pub fn waiting_replaces(&self, key: OrderKey, is_meant: impl Fn(&Order) -> bool) -> Quantity {
        if !self.queue.has_replaces() {
            return Quantity::ZERO;
        }
        let replaces = self.queue.iter().filter(|pending| pending.intent.key() != key);
        replaces.fold(Quantity::ZERO, |sum, pending| match self.waits_to_add(pending) {
            Some((order, more)) if is_meant(order) => sum + more,
            _ => sum,
        })
    }

    /// `worth` with what waiting Replaces would add, of the strategies that are meant.
    #[inline]
    pub fn with_waiting_replaces(
        &self,
        key: OrderKey,
        mut worth: Worth,
        is_meant: impl Fn(StrategyId) -> bool,
    ) -> Worth {
        if !self.queue.has_replaces() {
            return worth;
        }
        let replaces = self.queue.iter().filter(|pending| pending.intent.key() != key);
        for (order, more) in replaces.filter_map(|pending| self.waits_to_add(pending)) {
            if is_meant(order.key.strategy) {
                worth.add(order.side, self.stakes.worth_of(order.instrument, more));
            }
        }
        worth
    }

    /// The order that a waiting Replace would change, and what it would add to it.
    #[inline]
    fn waits_to_add(&self, pending: &Pending) -> Option<(&Order, Quantity)> {
        let Intent::Replace(replace) = pending.intent else { return None };
        let (_, order) = self.live_in_slot(replace.key)?;
        let more = (replace.quantity - order.filled) - order.working();
        (more.is_positive() && !order.only_closes()).then_some((order, more))
    }

    /// An approved intent enters the queue, under the dominance table; the sums follow what waits.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        intent: Intent,
        instrument: InstrumentId,
        reduces: Reduces,
        now: Nanos,
    ) -> Admission {
        let key = intent.key();
        let before = self.queue.pending(key).and_then(Pending::new_order).copied();
        let admission = self.queue.admit(intent, instrument, reduces, now);
        let after = self.queue.pending(key).and_then(Pending::new_order).copied();
        if before != after {
            before.iter().for_each(|new| self.waits(new, false));
            after.iter().for_each(|new| self.waits(new, true));
        }
        admission
    }

    /// A command leaves the queue: it goes out, or is forgotten.
    #[inline]
    pub(crate) fn leave_queue(&mut self, at: usize) {
        let new = self.queue.at(at).and_then(|pending| pending.new_order().copied());
        self.queue.remove(at);
        new.iter().for_each(|new| self.waits(new, false));
    }

    /// A request goes out in this owner's name.
    #[inline]
    pub(crate) fn note_message(&mut self, strategy: StrategyId) {
        let row = self.owner_row(strategy);
        if let Some(traffic) = self.traffic.get_mut(row) {
            traffic.messages += 1;
        }
    }

    /// What a New that waits puts at stake. A spot account makes no promise that it only reduces.
    #[inline]
    pub fn waits_with(&self, new: &NewIntent) -> Work {
        let work = Work::of_new(new);
        if self.stakes.is_spot(new.instrument) { Work { closing: Quantity::ZERO, ..work } } else { work }
    }

    /// A New begins to wait, or ceases to.
    #[inline]
    fn waits(&mut self, new: &NewIntent, begins: bool) {
        let owner = self.owner_row(new.key.strategy);
        let place = Place { owner, instrument: new.instrument, leg: new.position_side };
        let (nothing, work) = (Work::default(), self.waits_with(new));
        let (before, after) = if begins { (nothing, work) } else { (work, nothing) };
        self.stakes.work(place, new.side, before, after);
        if let Some(venue) = self.venue_of(new.instrument) {
            self.open.step(new.instrument, owner, venue, begins);
        }
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

    /// The venue's position and ours disagree even after a read-back, or it holds positions in another mode than configured: no new
    /// risk here until that is resolved.
    #[inline]
    pub fn is_inconsistent(&self, instrument: InstrumentId) -> bool {
        self.is_in_other_mode(instrument)
            || self
                .agreement
                .get(instrument.index())
                .is_none_or(|legs| legs.contains(&Agreement::Inconsistent))
    }

    /// Its legs say nothing then: they are not those that the venue holds.
    #[inline]
    fn is_in_other_mode(&self, instrument: InstrumentId) -> bool {
        self.in_other_mode.get(instrument.index()).is_some_and(|other| *other)
    }

    /// Of the leg that agrees the least.
    pub fn agreement(&self, instrument: InstrumentId) -> Agreement {
        let Some(legs) = self.agreement.get(instrument.index()) else { return Agreement::Inconsistent };
        if self.is_in_other_mode(instrument) {
            return Agreement::Inconsistent;
        }
        legs.iter().copied().fold(Agreement::Agrees, Agreement::worse)
    }

    /// Evidence that cannot both be true: no new risk here until the positions agree.
    #[cold]
    fn distrust(&mut self, instrument: InstrumentId, leg: PositionSide) {
        if let Some(known) = self.agreement_mut(instrument, leg) {
            *known = Agreement::Inconsistent;
        }
    }

    /// The positions of this instrument agree again.
    fn trust(&mut self, instrument: InstrumentId) {
        if let Some(known) = self.agreement.get_mut(instrument.index()) {
            *known = [Agreement::Agrees; LEGS];
        }
    }

    fn agreement_mut(&mut self, instrument: InstrumentId, leg: PositionSide) -> Option<&mut Agreement> {
        let leg = self.own_leg(instrument, leg);
        self.agreement.get_mut(instrument.index())?.get_mut(usize::from(leg.code()))
    }

    /// Holds our position of a settled scope against the venue's word. A first difference may be a report under way; one
    /// that outlives a read-back is a data inconsistency. Says so only when it becomes one.
    pub(crate) fn compare_position(
        &mut self,
        now: Nanos,
        instrument: InstrumentId,
        leg: PositionSide,
        theirs: Quantity,
        word: Word,
        findings: &mut Findings,
    ) {
        let in_doubt = self.is_in_recovery(instrument);
        let ours = self.total_leg(instrument, leg).map_or(Quantity::ZERO, |total| total.quantity);
        let Some(known) = self.agreement_mut(instrument, leg) else { return };
        if ours == theirs {
            *known = Agreement::Agrees;
        } else if word == Word::ReadBack && !in_doubt && *known != Agreement::Inconsistent {
            *known = Agreement::Inconsistent;
            findings.add(Finding {
                kind: IncidentKind::PositionMismatch,
                instrument,
                order: OrderIndex::NONE,
                ours: ours.raw(),
                theirs: theirs.raw(),
            });
        } else if *known == Agreement::Agrees || word != Word::Event {
            // After a read-back that cannot decide yet, the wait begins anew.
            if *known != Agreement::Inconsistent {
                *known = Agreement::DiffersSince(now);
            }
        }
    }

    /// Registers a dispatched New: the order's life begins.
    pub(crate) fn begin(&mut self, new: NewRow, inflight: Inflight) -> Option<OrderIndex> {
        let index = self.orders.insert(new)?;
        self.take_slot(new.key, index);
        // A fresh row counts for nothing until here: account for it as a change from nothing.
        self.account_for(index, Weight::default(), Stakes::work);
        self.change(index, |order| order.inflight = Some(inflight));
        Some(index)
    }

    /// It is the newest in its slot.
    #[inline]
    fn take_slot(&mut self, key: OrderKey, index: OrderIndex) {
        if let Some(at) = self.slot_at(key)
            && let Some(slot) = self.slots.get_mut(at)
        {
            *slot = index;
        }
    }

    /// The one way to change an order.
    #[inline]
    pub(crate) fn change<R>(&mut self, index: OrderIndex, act: impl FnOnce(&mut Order) -> R) -> Option<R> {
        let order = self.orders.order_mut(index)?;
        let before = Weight::of(order);
        let result = act(order);
        self.account_for(index, before, Stakes::work);
        Some(result)
    }

    /// An order fills: like `change`, but `hold` of its owner's position must follow, which values what is at stake for both.
    #[inline]
    fn change_before_hold(&mut self, index: OrderIndex, act: impl FnOnce(&mut Order)) {
        let Some(order) = self.orders.order_mut(index) else { return };
        let before = Weight::of(order);
        act(order);
        self.account_for(index, before, Stakes::work_before_hold);
    }

    #[inline]
    fn account_for(
        &mut self,
        index: OrderIndex,
        before: Weight,
        work: impl FnOnce(&mut Stakes, Place, Side, Work, Work),
    ) {
        let Some(order) = self.orders.order(index) else { return };
        let after = Weight::of(order);
        let (side, instrument, strategy) = (order.side, order.instrument, order.key.strategy);
        let (leg, venue) = (order.position_side, order.venue);
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
            exposure.shift(side, &before, &after);
        }
        if let Some([long, short]) = self.leg_exposures.get_mut(instrument.index()) {
            match leg {
                PositionSide::Both => {}
                PositionSide::Long => long.shift(side, &before, &after),
                PositionSide::Short => short.shift(side, &before, &after),
            }
        }
        let place = Place { owner: row, instrument, leg };
        work(&mut self.stakes, place, side, before.work, after.work);
        if before.live != after.live {
            self.open.step(instrument, row, venue, after.live);
        }
        if before.live && !after.live {
            self.orders.retire(index);
        }
        let unresolved = |weight: &Weight| weight.in_doubt && !weight.live;
        if unresolved(&before) != unresolved(&after) {
            self.orders.resolve_later(index, unresolved(&after));
        }
        self.check_order(index);
    }

    /// The stakes follow one leg of an owner's position, and of the account's.
    #[inline]
    fn hold(&mut self, strategy: StrategyId, instrument: InstrumentId, leg: PositionSide) {
        let place = Place { owner: self.owner_row(strategy), instrument, leg };
        if let Some(position) = self.holdings.leg(Holder { strategy, instrument, leg }) {
            self.stakes.hold(place, position);
        }
        if let Some(total) = self.holdings.total_leg(instrument, leg) {
            self.stakes.hold(Place { owner: self.stakes.account(), ..place }, total);
        }
        self.check_position(strategy, instrument, leg);
    }

    /// The same where the owners of an instrument were all touched: a read-back, funding, a transfer.
    fn hold_all(&mut self, instrument: InstrumentId) {
        for leg in self.legs_of(instrument) {
            for owner in 0..self.strategies {
                self.hold(StrategyId(owner as u8), instrument, *leg);
            }
            self.hold(StrategyId::EXTERNAL, instrument, *leg);
        }
    }

    /// What is left to close where everything is to be closed, signed.
    pub fn to_close(&self, instrument: InstrumentId, leg: PositionSide, is_spot: bool) -> Quantity {
        self.holdings.to_close(instrument, leg, is_spot)
    }

    /// Unrealised P&L needs a price; this is realised and fees of one strategy on one instrument.
    pub fn positions_of(&self, strategy: StrategyId) -> impl Iterator<Item = (InstrumentId, &Position)> {
        let positions = self.holdings.of(strategy).iter();
        positions.enumerate().map(|(at, position)| (InstrumentId(at as u16), position))
    }

    pub fn venue_of(&self, instrument: InstrumentId) -> Option<VenueId> {
        self.instrument_venues.get(instrument.index()).copied()
    }

    #[inline]
    fn slot_at(&self, key: OrderKey) -> Option<usize> {
        (key.strategy.index() < self.strategies && usize::from(key.slot) < ALL_SLOTS)
            .then(|| key.strategy.index() * ALL_SLOTS + usize::from(key.slot))
    }
}
