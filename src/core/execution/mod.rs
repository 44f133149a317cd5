//! Execution control: when an approved command goes out. It admits under the dominance table, sends the maximal sendable
//! prefix each step, and runs the workflow (cleanup, confirmation, recovery).
//!
//! Nothing gets here but `Approved`, which only risk can make.
//! Hot.

pub mod workflow;

use crate::dispatch::{Dispatch, DispatchFlags};
use crate::event::{
    KillMode, LinkKind, OrderKind, PositionSide, RejectReason, RequestKind, Side, TimeInForce, TradingState,
    TriggerBy,
};
use crate::family::Family;
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId};
use crate::instrument::Product;
use crate::intent::{Intent, NewIntent, ReplaceIntent};
use crate::limits::Configuration;
use crate::num::{Price, Quantity};
use crate::record::{Admission, Ask, CloseReason, Decision, Gate, IncidentKind, Wait};
use crate::risk::Approved;
use crate::state::State;
use crate::state::market::InstrumentMarket;
use crate::state::order::{Confirmation, Inflight, NewRow};
use crate::state::queue::Pending;
use crate::state::trading::Standing;
use crate::time::Nanos;
use workflow::pass::{family_of, scope_of};

/// Where a turn's output goes: the journal and the rings live, a comparison in a replay.
pub trait Outbox {
    /// Recorded first, then handed to the sender.
    fn dispatch(&mut self, dispatch: &Dispatch);
    fn decision(&mut self, decision: &Decision);
    /// A read request, off the hot path.
    fn ask(&mut self, ask: &Ask);
}

#[derive(Clone, Debug)]
pub struct ExecutionControl {
    run_tag: [u8; 5],
    dispatches: u64,
    orders: u64,
    /// When a bucket that made someone wait has room again.
    rate_ready: Nanos,
    trigger: Nanos,
    /// A command that waits longer is recorded; zero: none is.
    report_wait: Nanos,
}

// `trigger` belongs to the turn that begins with it.
crate::saved! {
    table ExecutionControl { dispatches, orders, rate_ready, report_wait } kept { run_tag, trigger }
}

/// A New or Replace that waited longer was wished in another market: it closes, and the strategy wishes anew.
const TOO_OLD: Nanos = Nanos::from_millis(500);

/// May a pending command go now?
enum Answer {
    Go,
    Wait(Wait),
    Close(CloseReason),
}

impl ExecutionControl {
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            run_tag: configuration.run_tag,
            dispatches: 0,
            orders: 0,
            rate_ready: Nanos::MAX,
            trigger: Nanos::ZERO,
            report_wait: configuration.report_wait,
        }
    }

    /// The event whose turn this is: dispatches carry when its bytes came.
    #[inline]
    pub(crate) fn begin(&mut self, trigger: Nanos) {
        self.trigger = trigger;
    }

    #[inline]
    pub fn admit(&mut self, state: &mut State, approved: &Approved) -> Admission {
        let now = state.now;
        state.execution.admit(approved.intent(), approved.instrument(), approved.reduces(), now)
    }

    /// Section 4: what may go now, goes now, in the queue's order.
    #[inline]
    pub fn process(&mut self, state: &mut State, outbox: &mut impl Outbox) {
        self.rate_ready = Nanos::MAX;
        let mut at = 0;
        // Venues whose buckets said no: what stands behind in the order waits too.
        let mut exhausted = 0u32;
        while let Some(pending) = state.execution.queue.at(at) {
            let Some(venue) = state.execution.venue_of(pending.instrument) else {
                state.execution.leave_queue(at);
                continue;
            };
            match self.answer(state, &pending, venue, &mut exhausted) {
                Answer::Go => {
                    state.execution.leave_queue(at);
                    state.execution.note_message(pending.intent.key().strategy);
                    self.send(state, &pending, venue, outbox);
                }
                Answer::Wait(why) => {
                    state.execution.queue.wait(at, why);
                    self.rate_ready = self.rate_ready.earlier(closes_at(&pending));
                    self.report_wait(state, at, &pending, why, outbox);
                    at += 1;
                }
                Answer::Close(why) => {
                    state.execution.leave_queue(at);
                    let (key, request) = (pending.intent.key(), pending.intent.request());
                    outbox.decision(&Decision::Closed { key, request, why });
                }
            }
        }
    }

    /// Says once of a command that it waits long, and why.
    #[inline]
    fn report_wait(
        &mut self,
        state: &mut State,
        at: usize,
        pending: &Pending,
        why: Wait,
        outbox: &mut impl Outbox,
    ) {
        if self.report_wait.is_zero() || pending.reported {
            return;
        }
        let age = state.now.since(pending.since);
        if age < self.report_wait {
            self.rate_ready = self.rate_ready.earlier(pending.since + self.report_wait);
            return;
        }
        state.execution.queue.note_reported(at);
        let (key, request) = (pending.intent.key(), pending.intent.request());
        outbox.decision(&Decision::Waits { key, request, why, age });
    }

    pub(crate) fn set_report_wait(&mut self, span: Nanos) {
        self.report_wait = span;
    }

    /// A kill that blocks everything forgets what waited: it was wished in another world, and must not go out after a reset.
    pub fn purge(&mut self, state: &mut State, outbox: &mut impl Outbox) {
        forget(state, outbox, |_| true);
    }

    /// Nobody wants everything closed any more: what was to close it and waits must not go out.
    #[cold]
    pub fn purge_closing(&mut self, state: &mut State, outbox: &mut impl Outbox) {
        forget(state, outbox, |pending| {
            pending.intent.key().strategy == StrategyId::WORKFLOW && pending.new_order().is_some()
        });
    }

    /// Valid, not gated, not inflight, within rate: in this order.
    #[inline]
    fn answer(
        &mut self,
        state: &mut State,
        pending: &Pending,
        venue: VenueId,
        exhausted: &mut u32,
    ) -> Answer {
        let request = pending.intent.request();
        let target = self.target(state, &pending.intent);
        let inflight = match (request, target) {
            (RequestKind::New, Some(target)) => match target.inflight {
                Some(RequestKind::Cancel) => true,
                _ => return Answer::Close(CloseReason::Stale),
            },
            (RequestKind::New, None) => false,
            (RequestKind::Replace | RequestKind::Cancel, None) => return Answer::Close(CloseReason::Stale),
            (RequestKind::Replace | RequestKind::Cancel, Some(target)) => target.inflight.is_some(),
        };
        // Its day has come while it waited.
        if let Intent::New(new) = &pending.intent
            && !new.expires.is_zero()
            && new.expires <= state.now
        {
            return Answer::Close(CloseReason::TooOld);
        }
        if request != RequestKind::Cancel && is_taken_back(state, pending) {
            return Answer::Close(CloseReason::Purged);
        }
        let waited = state.now.since(pending.since);
        if request != RequestKind::Cancel && !pending.is_reducing() {
            // A kill purges: nothing that was wished before it goes out after it.
            if state.control.kill.is_some() {
                return Answer::Close(CloseReason::Purged);
            }
            if waited > TOO_OLD && !matches!(pending.waits_for, Wait::Fresh) {
                return Answer::Close(CloseReason::TooOld);
            }
        }
        if request == RequestKind::Cancel && target.is_some_and(|target| target.gone) {
            // How it ended is being told, or is asked; another cancel would only hear the same.
            return Answer::Wait(Wait::Gate(Gate::Recovery));
        }
        if let Some(gate) = closed_for(state, pending, venue, request, target.is_some_and(|t| t.in_doubt)) {
            return Answer::Wait(Wait::Gate(gate));
        }
        if inflight {
            return Answer::Wait(Wait::Inflight);
        }
        let bit = 1u32 << (venue.index() & 31);
        if *exhausted & bit != 0 && request != RequestKind::Cancel {
            return Answer::Wait(Wait::Rate);
        }
        let sends = match &pending.intent {
            Intent::Replace(replace)
                if target.is_some_and(|target| can_only_be_cancelled(state, target.index, replace)) =>
            {
                RequestKind::Cancel
            }
            _ => request,
        };
        match state.execution.throttle.draw(venue, pending.instrument, sends, state.now) {
            Ok(()) => Answer::Go,
            Err(lack) => {
                if lack.is_common {
                    *exhausted |= bit;
                }
                self.rate_ready = self.rate_ready.earlier(lack.until);
                Answer::Wait(Wait::Rate)
            }
        }
    }

    #[inline]
    fn target(&self, state: &State, intent: &Intent) -> Option<Target> {
        let found = match intent {
            Intent::Cancel(cancel) if !cancel.order.is_none() => state
                .execution
                .orders
                .order(cancel.order)
                .filter(|order| order.is_live() && order.key == cancel.key)
                .map(|order| (cancel.order, order)),
            _ => state.execution.live_in_slot(intent.key()),
        };
        found.map(|(index, order)| Target {
            index,
            inflight: order.inflight.map(|inflight| inflight.request),
            in_doubt: matches!(order.confirmation, Confirmation::Unknown { .. }),
            gone: matches!(order.confirmation, Confirmation::Unknown { why: RejectReason::UnknownOrder, .. }),
        })
    }

    #[inline]
    pub(crate) fn send(
        &mut self,
        state: &mut State,
        pending: &Pending,
        venue: VenueId,
        outbox: &mut impl Outbox,
    ) {
        let (key, request) = (pending.intent.key(), pending.intent.request());
        let kill = state.control.kill;
        if !state.execution.check_dispatch(key, pending.instrument, request, pending.is_reducing(), kill) {
            outbox.decision(&Decision::Closed { key, request, why: CloseReason::Purged });
            return;
        }
        match pending.intent {
            Intent::New(new) => self.send_new(state, pending, &new, venue, outbox),
            Intent::Replace(replace) => {
                let Some(target) = self.target(state, &pending.intent) else { return };
                let family = family_of(state, &pending.intent);
                if can_only_be_cancelled(state, target.index, &replace) {
                    let (request, index) = (RequestKind::Cancel, target.index);
                    self.send_change(
                        state,
                        index,
                        request,
                        family,
                        Price::ZERO,
                        Quantity::ZERO,
                        true,
                        outbox,
                    );
                    return;
                }
                self.send_change(
                    state,
                    target.index,
                    RequestKind::Replace,
                    family,
                    replace.price,
                    replace.quantity,
                    pending.is_reducing(),
                    outbox,
                );
            }
            Intent::Cancel(_) => {
                let Some(target) = self.target(state, &pending.intent) else { return };
                self.send_change(
                    state,
                    target.index,
                    RequestKind::Cancel,
                    family_of(state, &pending.intent),
                    Price::ZERO,
                    Quantity::ZERO,
                    true,
                    outbox,
                );
            }
        }
    }

    #[inline]
    fn send_new(
        &mut self,
        state: &mut State,
        pending: &Pending,
        new: &NewIntent,
        venue: VenueId,
        outbox: &mut impl Outbox,
    ) {
        if !state.execution.orders.has_room() {
            let (key, request) = (new.key, RequestKind::New);
            outbox.decision(&Decision::Closed { key, request, why: CloseReason::Purged });
            outbox.decision(&Decision::Incident {
                kind: IncidentKind::CapacityExhausted,
                instrument: new.instrument,
                order: OrderIndex::NONE,
                ours: state.execution.orders.live().len() as i64,
                theirs: 0,
            });
            return;
        }
        self.dispatches += 1;
        // A spot account knows no reduce-only: such an order may go through what is held, and is counted so. What closes everything sells
        // what is there, and nobody there sells what he has not.
        let definition = state.market.instrument(new.instrument).and_then(|market| market.definition);
        let spot = definition.is_some_and(|definition| definition.product == Product::Spot);
        let reduce_only = new.reduce_only && (!spot || new.key.strategy == StrategyId::WORKFLOW);
        let client_order_id = self.unused_id(state);
        let family = family_of(state, &pending.intent);
        let row = NewRow {
            client_order_id,
            key: new.key,
            instrument: new.instrument,
            venue,
            side: new.side,
            position_side: new.position_side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            trigger_by: new.trigger_by,
            reduce_only,
            close_position: new.close_position,
            family,
            claimed: false,
            callback: new.callback,
            price: new.price,
            quantity: new.quantity,
            stop_price: new.stop_price,
            expires: new.expires,
            created: state.now,
        };
        let inflight = Inflight {
            request: RequestKind::New,
            dispatch: self.dispatches,
            since: state.now,
            family,
            price: Price::ZERO,
            quantity: Quantity::ZERO,
        };
        // There is room, and the id is free.
        let Some(order) = state.execution.begin(row, inflight) else { return };
        let flags = DispatchFlags::default()
            .with(DispatchFlags::REDUCE_ONLY, reduce_only)
            .with(DispatchFlags::CLOSE_POSITION, new.close_position)
            .with(DispatchFlags::RISK_REDUCING, pending.is_reducing());
        outbox.dispatch(&Dispatch {
            client_order_id,
            price: new.price,
            quantity: new.quantity,
            stop_price: new.stop_price,
            expires: new.expires,
            order,
            instrument: new.instrument,
            key: new.key,
            venue,
            kind: new.kind,
            time_in_force: new.time_in_force,
            side: new.side,
            position_side: new.position_side,
            trigger_by: new.trigger_by,
            callback: new.callback,
            flags,
            ..self.blank(state, RequestKind::New)
        });
    }

    /// The next of our ids that nobody on the account bears: an order of others may look like ours. Ends, since only so
    /// many orders are known.
    #[inline]
    fn unused_id(&mut self, state: &State) -> ClientOrderId {
        loop {
            self.orders += 1;
            let id = ClientOrderId::compose(self.run_tag, self.orders);
            if state.execution.orders.find(&id).is_none() {
                return id;
            }
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "one dispatch has this many facts")]
    fn send_change(
        &mut self,
        state: &mut State,
        index: OrderIndex,
        request: RequestKind,
        family: Family,
        price: Price,
        quantity: Quantity,
        reducing: bool,
        outbox: &mut impl Outbox,
    ) {
        if !state.execution.check_inflight(index, self.dispatches + 1) {
            return;
        }
        self.dispatches += 1;
        let inflight =
            Inflight { request, dispatch: self.dispatches, since: state.now, family, price, quantity };
        let now = state.now;
        state.execution.change(index, |order| {
            order.inflight = Some(inflight);
            if request == RequestKind::Replace {
                order.touched = now;
            }
            // A doubt stays a doubt until the venue resolves it.
            if !matches!(order.confirmation, Confirmation::Unknown { .. }) {
                order.confirmation = Confirmation::Pending { since: now };
            }
        });
        let Some(order) = state.execution.orders.order(index) else { return };
        let shrinks = request == RequestKind::Replace && price == order.price && quantity < order.quantity;
        outbox.dispatch(&Dispatch {
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
            price,
            quantity,
            order: index,
            instrument: order.instrument,
            key: order.key,
            venue: order.venue,
            kind: order.kind,
            time_in_force: order.time_in_force,
            side: order.side,
            position_side: order.position_side,
            flags: DispatchFlags::default()
                .with(DispatchFlags::RISK_REDUCING, reducing)
                .with(DispatchFlags::SHRINKS, shrinks),
            ..self.blank(state, request)
        });
    }

    #[inline]
    fn blank(&self, state: &State, request: RequestKind) -> Dispatch {
        Dispatch {
            number: self.dispatches,
            cause: state.sequence,
            decided: state.now,
            trigger: self.trigger,
            client_order_id: ClientOrderId::NONE,
            venue_order_id: VenueOrderId(0),
            price: Price::ZERO,
            quantity: Quantity::ZERO,
            stop_price: Price::ZERO,
            expires: Nanos::ZERO,
            order: OrderIndex::NONE,
            instrument: InstrumentId::NONE,
            key: OrderKey::default(),
            venue: VenueId(0),
            request,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            side: Side::Buy,
            position_side: PositionSide::Both,
            trigger_by: TriggerBy::LastPrice,
            callback: 0,
            flags: DispatchFlags::default(),
        }
    }

    /// When a waiting command may go, if rate is what it waits for, or closes, if it is too old by then.
    #[inline]
    pub fn next_deadline(&self) -> Nanos {
        self.rate_ready
    }

    pub fn dispatches(&self) -> u64 {
        self.dispatches
    }
}

fn forget(state: &mut State, outbox: &mut impl Outbox, is_meant: impl Fn(&Pending) -> bool) {
    let mut at = 0;
    while let Some(pending) = state.execution.queue.at(at) {
        if !is_meant(&pending) {
            at += 1;
            continue;
        }
        state.execution.leave_queue(at);
        let (key, request) = (pending.intent.key(), pending.intent.request());
        outbox.decision(&Decision::Closed { key, request, why: CloseReason::Purged });
    }
}

/// When a waiting command becomes too old.
#[inline]
fn closes_at(pending: &Pending) -> Nanos {
    let ages = pending.intent.request() != RequestKind::Cancel && !pending.is_reducing();
    if ages { pending.since + TOO_OLD + Nanos::new(1) } else { Nanos::MAX }
}

/// Whoever wished it may no longer: what waits must not go out when that changes again. (A switch that a person set for everybody is
/// a gate, and holds; a bound that was reached for everybody takes back.)
#[inline]
fn is_taken_back(state: &State, pending: &Pending) -> bool {
    let control = &state.control;
    let everybody = match control.trading.standing(StrategyId::NONE) {
        Some(Standing { state, tripped: Some(_), .. }) if !control.is_flattening() => state,
        _ => TradingState::Active,
    };
    let forbids = |state, reduces: bool| match state {
        TradingState::Active => false,
        TradingState::Reducing => !reduces,
        TradingState::Halted => true,
    };
    let own = control.trading.of(pending.intent.key().strategy);
    forbids(everybody, pending.reduces.account) || forbids(own, pending.reduces.own)
}

#[derive(Clone, Copy)]
struct Target {
    index: OrderIndex,
    inflight: Option<RequestKind>,
    in_doubt: bool,
    /// In doubt because the venue says that it does not know it.
    gone: bool,
}

/// The first gate that holds this command, if any. A cancel is held only by what makes sending it impossible or useless.
#[inline]
fn closed_for(
    state: &State,
    pending: &Pending,
    venue: VenueId,
    request: RequestKind,
    in_doubt: bool,
) -> Option<Gate> {
    let control = &state.control;
    if request == RequestKind::Cancel {
        if control.kill == Some(KillMode::Block) {
            return Some(Gate::Kill);
        }
        let link_up = control.venue(venue).is_some_and(|venue| venue.is_up(LinkKind::OrderEntry));
        return if link_up { None } else { Some(Gate::OrderEntryLink) };
    }
    let gate = if pending.is_reducing() {
        control.closed_gate_to_reducing(venue)
    } else {
        control.closed_gate(venue)
    };
    if gate.is_some() {
        return gate;
    }
    // While trades are read back, a trade of an order whose number the venue has not told us yet would be taken for somebody else's,
    // and counted again when its report comes: so not even what reduces is sent then.
    let reads_trades = state.execution.must_read_trades(pending.instrument);
    let in_recovery = state.execution.is_in_recovery(pending.instrument);
    if in_doubt || reads_trades || (in_recovery && !pending.is_reducing()) {
        return Some(Gate::Recovery);
    }
    let scope = scope_of(state, &pending.intent);
    if scope.is_some_and(|s| state.execution.is_held(s.instrument, s.leg, family_of(state, &pending.intent)))
    {
        return Some(Gate::Confirmation);
    }
    let trusted = state.market.instrument(pending.instrument).is_some_and(|market| market.is_trusted());
    if !trusted && !pending.is_reducing() {
        return Some(Gate::Book);
    }
    None
}

/// Spot venues replace by cancelling and placing anew, under the same id. They refuse it for an order that has begun to fill (the fills of
/// both would be counted twice over), and an id of others may be longer than is kept here. Such an order goes, and its strategy quotes
/// the rest anew.
#[inline]
fn can_only_be_cancelled(state: &State, index: OrderIndex, replace: &ReplaceIntent) -> bool {
    let Some(order) = state.execution.orders.order(index) else { return false };
    let is_spot = |market: &InstrumentMarket| {
        market.definition.is_some_and(|definition| definition.product == Product::Spot)
    };
    let keeps_price = replace.price == order.price && replace.quantity < order.quantity;
    let moves = order.cumulative.is_positive() && !keeps_price;
    let has_no_id = order.claimed && order.client_order_id.text().is_none();
    (moves || has_no_id) && state.market.instrument(order.instrument).is_some_and(is_spot)
}
