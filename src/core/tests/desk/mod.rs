//! A desk for tests: a core, a strategy that wishes what it is told, and short words for what a venue says.
//!
//! Promises: events enter as the runtime would give them, one turn each, and timers come exactly when the core asked.
#![allow(dead_code, reason = "each test program uses the words that it needs")]

// The prelude by name: the core's own tests take this desk too, and the core has no prelude of `std`.
use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::vec;
use std::vec::Vec;

use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::execution::Outbox;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use linchpin_core::intent::{Intent, Intents, NewIntent};
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::{Ask, Decision, IncidentKind, IntentRecord};
use linchpin_core::snapshot::{Sink, SnapshotError, Words};
use linchpin_core::state::Change;
use linchpin_core::state::order::Order;
use linchpin_core::strategy::{Strategy, View, Wakes};
use linchpin_core::time::Nanos;
use linchpin_core::turn::Core;

pub const BTC: InstrumentId = InstrumentId(0);
pub const ETH: InstrumentId = InstrumentId(1);

#[derive(Default)]
pub struct Seen {
    pub dispatches: Vec<Dispatch>,
    pub decisions: Vec<Decision>,
    pub asks: Vec<Ask>,
}

impl Outbox for Seen {
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.dispatches.push(*dispatch);
    }
    fn decision(&mut self, decision: &Decision) {
        self.decisions.push(*decision);
    }
    fn ask(&mut self, ask: &Ask) {
        self.asks.push(*ask);
    }
}

/// Wishes made outside, one batch a wake.
#[derive(Clone, Default)]
pub struct Wishes(Arc<Mutex<VecDeque<Vec<Intent>>>>);

impl Wishes {
    pub fn push(&self, batch: Vec<Intent>) {
        self.0.lock().unwrap().push_back(batch);
    }
}

pub struct Scripted(pub Wishes);

impl Strategy for Scripted {
    fn decide(&mut self, _view: &View<'_>, _change: Change, intents: &mut Intents) {
        let Some(batch) = self.0.0.lock().unwrap().pop_front() else { return };
        for intent in batch {
            match intent {
                Intent::New(new) => intents.new_order(new.key.slot, new),
                Intent::Replace(r) => intents.replace(r.key.slot, r.price, r.quantity),
                Intent::Cancel(c) => intents.cancel(c.key.slot),
            }
        }
    }
    fn wakes_on(&self) -> Wakes {
        Wakes::TRADE
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

/// Two instruments on one venue, one strategy that owns both.
pub fn configuration() -> Configuration {
    let instrument = InstrumentLimits {
        venue: VenueId(0),
        max_order_quantity: Quantity::new(1_000),
        max_order_notional: Notional::new(1_000_000_000),
        max_position: Quantity::new(100),
        max_open_orders: 10,
        collar: 500,
        stale_after: Nanos::from_secs(5),
        ..InstrumentLimits::default()
    };
    Configuration {
        run_tag: *b"tests",
        venues: vec![VenueLimits::default()],
        instruments: vec![instrument; 2],
        strategies: vec![StrategyLimits {
            instruments: vec![0, 1],
            max_open_orders: 20,
            max_intents_per_second: 0,
            max_daily_loss: 0,
            ..StrategyLimits::default()
        }],
        order_rows: 64,
        book_levels: 1024,
        settle_quiet: Nanos::from_millis(2),
        settle_max: Nanos::from_millis(10),
        confirmation_timeout: Nanos::from_secs(2),
        visibility_delay: Nanos::from_secs(1),
        recovery_attempts: 5,
        trading_enabled: true,
        killed: false,
        state_hash_every: 0,
        ..Configuration::default()
    }
}

pub fn definition() -> InstrumentDefinition {
    InstrumentDefinition {
        tick: Increment::parse(b"0.10", 2).unwrap(),
        lot: Increment::parse(b"0.001", 3).unwrap(),
        min_price: Price::new(10),
        max_price: Price::new(10_000_000),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(5_000),
        max_market_quantity: Quantity::new(2_000),
        min_notional: CASH_UNIT / 2,
        percent_up: 0,
        percent_down: 0,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        base: AssetId(1),
        quote: AssetId(0),
        product: Product::LinearPerpetual,
        status: InstrumentStatus::Trading,
    }
}

pub fn key(slot: u16) -> OrderKey {
    OrderKey { strategy: StrategyId(0), slot }
}

pub fn limit(slot: u16, instrument: InstrumentId, side: Side, price: i64, quantity: i64) -> NewIntent {
    NewIntent {
        key: key(slot),
        ..NewIntent::limit(instrument, side, Price::new(price), Quantity::new(quantity))
    }
}

/// The second of two scripted strategies.
pub struct Second(Wishes);

impl Second {
    pub fn wish(&self, desk: &mut Desk, intents: Vec<Intent>) -> Vec<IntentRecord> {
        self.0.push(intents);
        desk.hear(StrategyId(1), ETH)
    }

    /// An order of its own, filled whole.
    pub fn trade(&self, desk: &mut Desk, new: NewIntent, price: i64) {
        desk.take_dispatches();
        self.wish(desk, vec![Intent::New(new)]);
        let sent = desk.take_dispatches()[0];
        desk.accept(&sent);
        let quantity = new.quantity.raw();
        let last_price = Price::new(price);
        let fill = OrderReport { last_price, ..desk.fill(&sent, quantity, quantity, sent.number) };
        desk.tell(&sent, fill);
        desk.settle();
    }
}

pub struct Desk {
    pub core: Core,
    pub now: Nanos,
    pub seen: Seen,
    pub deadline: Nanos,
    wishes: Wishes,
    sequence: u64,
    update: u64,
}

impl Desk {
    /// Definitions known, links up, account hydrated, both books whole at 10,000 x 10,010.
    pub fn ready() -> Self {
        Self::ready_with(configuration(), definition())
    }

    pub fn ready_with(configuration: Configuration, definition: InstrumentDefinition) -> Self {
        Self::cold(configuration, vec![]).warmed(definition)
    }

    /// With other strategies after the scripted one.
    pub fn ready_beside(configuration: Configuration, others: Vec<Box<dyn Strategy>>) -> Self {
        Self::cold(configuration, others).warmed(definition())
    }

    /// With a second scripted strategy, and the way to make its wishes.
    pub fn ready_with_second(configuration: Configuration) -> (Self, Second) {
        let wishes = Wishes::default();
        let desk = Self::ready_beside(configuration, vec![Box::new(Scripted(wishes.clone()))]);
        (desk, Second(wishes))
    }

    /// Definitions known and links up: the account is to be read back.
    pub fn connect(&mut self, definition: InstrumentDefinition) {
        for instrument in [BTC, ETH] {
            self.on(instrument, Body::Instrument(definition));
        }
        for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
            self.link(link, LinkState::Up);
        }
    }

    fn warmed(self, definition: InstrumentDefinition) -> Self {
        let mut desk = self;
        desk.connect(definition);
        desk.hydrate(|_| {});
        for instrument in [BTC, ETH] {
            desk.market(instrument, 10_000, 10_010);
        }
        desk.seen = Seen::default();
        desk
    }

    pub fn cold(configuration: Configuration, others: Vec<Box<dyn Strategy>>) -> Self {
        let wishes = Wishes::default();
        let mut strategies: Vec<Box<dyn Strategy>> = vec![Box::new(Scripted(wishes.clone()))];
        strategies.extend(others);
        Self { wishes, ..Self::of(configuration, strategies) }
    }

    /// With these strategies and no other: nobody is scripted.
    pub fn of(configuration: Configuration, strategies: Vec<Box<dyn Strategy>>) -> Self {
        Self {
            core: Core::new(configuration, strategies),
            now: Nanos::from_secs(1_000),
            seen: Seen::default(),
            deadline: Nanos::MAX,
            wishes: Wishes::default(),
            sequence: 0,
            update: 100,
        }
    }

    pub fn on(&mut self, instrument: InstrumentId, body: Body) {
        self.at(VenueId(0), instrument, body);
    }

    pub fn at(&mut self, venue: VenueId, instrument: InstrumentId, body: Body) {
        self.now = self.now + Nanos::from_micros(10);
        self.take(venue, instrument, self.now, body);
    }

    /// With a stamp of the venue's own.
    pub fn stamped(&mut self, stamp: Nanos, instrument: InstrumentId, body: Body) {
        self.now = self.now + Nanos::from_micros(10);
        self.take(VenueId(0), instrument, stamp, body);
    }

    fn take(&mut self, venue: VenueId, instrument: InstrumentId, stamp: Nanos, body: Body) {
        self.sequence += 1;
        let mut event = Event::new(self.now, Source::Receiver, body).on(venue, instrument);
        event.event_time = stamp;
        self.deadline = self.core.turn(self.sequence, self.now, &event, &mut self.seen);
    }

    pub fn give(&mut self, body: Body) {
        self.on(BTC, body);
    }

    /// Lets time pass: timers come due as the core asked.
    pub fn pass(&mut self, span: Nanos) {
        let until = self.now + span;
        let mut timers = 0;
        while self.deadline <= until {
            self.now = self.now.later(self.deadline);
            let due = self.deadline;
            self.give(Body::Timer(Timer { due }));
            timers += 1;
            assert!(timers < 10_000, "a deadline that is never served");
        }
        self.now = self.now.later(until);
    }

    /// Time for every settle window to end.
    pub fn settle(&mut self) {
        self.pass(Nanos::from_millis(20));
    }

    pub fn link(&mut self, link: LinkKind, state: LinkState) {
        self.give(Body::Link(LinkChange { link, state, reason: LinkReason::None, connection: 0 }));
    }

    /// Answers the newest account ask, with `reports` between its begin and its end.
    pub fn hydrate(&mut self, reports: impl FnOnce(&mut Self)) {
        let request = self.account_ask().expect("an account ask to answer").number;
        self.hydration(HydrationPhase::Begin, request);
        reports(self);
        self.hydration(HydrationPhase::End, request);
    }

    pub fn account_ask(&self) -> Option<Ask> {
        self.seen.asks.iter().rev().find(|ask| ask.scope == HydrationScope::Account).copied()
    }

    pub fn hydration(&mut self, phase: HydrationPhase, request: u64) {
        self.give(Body::Hydration(Hydration {
            scope: HydrationScope::Account,
            phase,
            client_order_id: ClientOrderId::NONE,
            request,
            as_of: Nanos::ZERO,
        }));
    }

    /// The answer about one order.
    pub fn answer(&mut self, ask: &Ask, phase: HydrationPhase) {
        self.give(Body::Hydration(Hydration {
            scope: HydrationScope::Order,
            phase,
            client_order_id: ask.client_order_id,
            request: ask.number,
            as_of: Nanos::ZERO,
        }));
    }

    pub fn control(&mut self, verb: ControlVerb, target: u32) {
        self.give(Body::Control(Control { verb, target, old: 0, new: 0, who: 0 }));
    }

    pub fn kill(&mut self, mode: KillMode) {
        self.control(ControlVerb::Kill, u32::from(mode.code()));
    }

    pub fn market(&mut self, instrument: InstrumentId, bid: i64, ask: i64) {
        self.update += 1;
        let level = |price| Level { price: Price::new(price), quantity: Quantity::new(100) };
        let mut levels = [Level::default(); Depth::LEVELS];
        levels[0] = level(bid);
        levels[1] = level(ask);
        self.on(
            instrument,
            Body::Depth(Depth {
                first_update: self.update,
                last_update: self.update,
                previous_update: self.update - 1,
                part: DepthPart { count: 2, bids: 1, snapshot: true, last: true },
                levels,
            }),
        );
    }

    /// The strategy wishes this now; returns what risk and the queue said to each, in order.
    pub fn wish(&mut self, intents: Vec<Intent>) -> Vec<IntentRecord> {
        self.wishes.push(intents);
        self.hear(StrategyId(0), BTC)
    }

    /// Wakes those who trade the instrument; returns what risk and the queue said to the wishes of one of them.
    fn hear(&mut self, strategy: StrategyId, instrument: InstrumentId) -> Vec<IntentRecord> {
        let from = self.seen.decisions.len();
        let price = self.core.state().market.instrument(instrument).and_then(|market| market.mark_to());
        let price = price.unwrap_or(Price::new(1));
        let trade = Trade { trade_id: 0, price, quantity: Quantity::new(1), aggressor: Side::Buy };
        self.on(instrument, Body::Trade(trade));
        let records = self.seen.decisions[from..].iter().filter_map(|decision| match decision {
            Decision::Intent(record) if record.key.strategy == strategy => Some(*record),
            _ => None,
        });
        records.collect()
    }

    /// A New that must go out at once, unconfirmed.
    pub fn send(&mut self, new: NewIntent) -> Dispatch {
        self.take_dispatches();
        let record = self.wish(vec![Intent::New(new)]);
        let sent = self.take_dispatches();
        assert_eq!(sent.len(), 1, "{record:?}");
        sent[0]
    }

    /// A New that the venue has confirmed, with its window settled.
    pub fn open(&mut self, new: NewIntent) -> Dispatch {
        let sent = self.send(new);
        self.accept(&sent);
        self.settle();
        sent
    }

    pub fn report(&self, of: &Dispatch, execution: Execution, status: VenueStatus) -> OrderReport {
        OrderReport {
            client_order_id: of.client_order_id,
            venue_order_id: VenueOrderId(of.number + 9_000),
            price: of.price,
            quantity: of.quantity,
            cumulative_quantity: Quantity::ZERO,
            last_quantity: Quantity::ZERO,
            last_price: Price::ZERO,
            trade_id: 0,
            fee: 0,
            fee_asset: AssetId(0),
            execution,
            status,
            kind: of.kind,
            time_in_force: of.time_in_force,
            side: of.side,
            flags: ReportFlags::default(),
        }
    }

    pub fn fill(&self, of: &Dispatch, quantity: i64, cumulative: i64, trade_id: u64) -> OrderReport {
        let status =
            if cumulative == of.quantity.raw() { VenueStatus::Filled } else { VenueStatus::PartiallyFilled };
        OrderReport {
            cumulative_quantity: Quantity::new(cumulative),
            last_quantity: Quantity::new(quantity),
            last_price: of.price,
            trade_id,
            ..self.report(of, Execution::Trade, status)
        }
    }

    pub fn tell(&mut self, of: &Dispatch, report: OrderReport) {
        self.on(of.instrument, Body::Order(report));
    }

    pub fn accept(&mut self, of: &Dispatch) {
        let report = self.report(of, Execution::New, VenueStatus::New);
        self.tell(of, report);
    }

    pub fn outcome(&mut self, of: &Dispatch, verdict: Verdict, reason: RejectReason) {
        self.on(
            of.instrument,
            Body::Outcome(RequestOutcome {
                client_order_id: of.client_order_id,
                venue_order_id: VenueOrderId(of.number + 9_000),
                dispatch: of.number,
                code: 0,
                request: of.request,
                verdict,
                reason,
            }),
        );
    }

    /// The venue's word about our position; of one that is read back, that it has been so for long.
    pub fn position(&mut self, instrument: InstrumentId, quantity: i64, hydrated: bool) {
        let stamp = if hydrated { Nanos::ZERO } else { self.now };
        self.stamped(
            stamp,
            instrument,
            Body::Position(PositionReport {
                quantity: Quantity::new(quantity),
                entry_price: 1_000 * CASH_UNIT,
                unrealised: 0,
                side: PositionSide::Both,
                hydrated,
            }),
        );
    }

    pub fn take_dispatches(&mut self) -> Vec<Dispatch> {
        std::mem::take(&mut self.seen.dispatches)
    }

    pub fn order(&self, of: &Dispatch) -> Order {
        let orders = &self.core.state().execution.orders;
        *orders.order(orders.find(&of.client_order_id).expect("a known order")).expect("a row")
    }

    pub fn held(&self, instrument: InstrumentId) -> i64 {
        self.core.state().execution.total(instrument).unwrap().quantity.raw()
    }

    pub fn incidents(&self, kind: IncidentKind) -> usize {
        let is = |d: &&Decision| matches!(d, Decision::Incident { kind: k, .. } if *k == kind);
        self.seen.decisions.iter().filter(is).count()
    }
}
