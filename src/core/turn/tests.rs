//! Examples of whole turns: what a desk relies on, event by event.

use alloc::vec;

use fixed::types::I48F16;

use super::*;
use crate::dispatch::Dispatch;
use crate::event::*;
use crate::id::*;
use crate::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use crate::limits::*;
use crate::num::*;
use crate::record::*;
use crate::state::order::OrderState;
use crate::strategy::market_maker::{MarketMaker, Parameters};

#[derive(Default)]
struct Seen {
    dispatches: Vec<Dispatch>,
    decisions: Vec<Decision>,
    asks: Vec<Ask>,
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

struct Desk {
    core: Core,
    now: Nanos,
    sequence: u64,
    update: u64,
    seen: Seen,
    deadline: Nanos,
}

const BTC: InstrumentId = InstrumentId(0);

fn configuration() -> Configuration {
    Configuration {
        run_tag: *b"tests",
        venues: vec![VenueLimits::default()],
        instruments: vec![InstrumentLimits {
            venue: VenueId(0),
            max_order_quantity: Quantity::new(1_000),
            max_order_notional: Notional::new(1_000_000_000),
            max_position: Quantity::new(100),
            max_open_orders: 10,
            collar: 500,
            stale_after: Nanos::from_secs(5),
            ..InstrumentLimits::default()
        }],
        strategies: vec![StrategyLimits {
            instruments: vec![0],
            max_open_orders: 10,
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

fn definition() -> InstrumentDefinition {
    InstrumentDefinition {
        tick: Increment::parse(b"0.10", 2).unwrap(),
        lot: Increment::parse(b"0.001", 3).unwrap(),
        min_price: Price::new(1),
        max_price: Price::new(10_000_000),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(1_000_000),
        max_market_quantity: Quantity::new(120_000),
        min_notional: 5 * CASH_UNIT,
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

impl Desk {
    /// Links up, account hydrated, book synchronised: ready to quote.
    fn ready() -> Self {
        Self::ready_with(configuration())
    }

    fn ready_with(configuration: Configuration) -> Self {
        let mut desk = Self::cold_with(configuration);
        desk.give(Body::Instrument(definition()));
        for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
            desk.link(link, LinkState::Up);
        }
        assert_eq!(desk.seen.asks.len(), 1, "the private stream listens: the account is read back");
        desk.hydrate_account();
        desk
    }

    fn cold() -> Self {
        Self::cold_with(configuration())
    }

    fn cold_with(configuration: Configuration) -> Self {
        let maker = MarketMaker::new(Parameters {
            quantity: Quantity::new(10),
            half_spread: I48F16::from_num(2),
            max_skew: I48F16::from_num(4),
            max_position: Quantity::new(50),
            requote_ticks: 2,
        });
        Self {
            core: Core::new(configuration, vec![Box::new(maker)]),
            now: Nanos::from_secs(1_000),
            sequence: 0,
            update: 100,
            seen: Seen::default(),
            deadline: Nanos::MAX,
        }
    }

    fn give(&mut self, body: Body) -> &mut Self {
        self.now = self.now + Nanos::from_micros(10);
        self.sequence += 1;
        let mut event = Event::new(self.now, Source::Receiver, body).on(VenueId(0), BTC);
        event.event_time = self.now;
        self.deadline = self.core.turn(self.sequence, self.now, &event, &mut self.seen);
        self
    }

    /// Lets time pass: timers come due as the core asked.
    fn pass(&mut self, span: Nanos) {
        let until = self.now + span;
        while self.deadline <= until {
            self.now = self.now.later(self.deadline);
            let due = self.deadline;
            self.give(Body::Timer(Timer { due }));
        }
        self.now = self.now.later(until);
    }

    fn link(&mut self, link: LinkKind, state: LinkState) {
        self.give(Body::Link(LinkChange { link, state, reason: LinkReason::None, connection: 0 }));
    }

    fn hydrate_account(&mut self) {
        self.hydration(HydrationPhase::Begin);
        self.hydration(HydrationPhase::End);
    }

    fn hydration(&mut self, phase: HydrationPhase) {
        let account = |ask: &&Ask| ask.scope == HydrationScope::Account;
        let request = self.seen.asks.iter().rev().find(account).map_or(1, |ask| ask.number);
        self.give(Body::Hydration(Hydration {
            scope: HydrationScope::Account,
            phase,
            client_order_id: ClientOrderId::NONE,
            request,
            as_of: Nanos::ZERO,
        }));
    }

    /// The venue's word about our position.
    fn position(&mut self, quantity: i64, hydrated: bool) {
        self.give(Body::Position(PositionReport {
            quantity: Quantity::new(quantity),
            entry_price: 1_000 * CASH_UNIT,
            unrealised: 0,
            side: PositionSide::Both,
            hydrated,
        }));
    }

    fn control(&mut self, verb: ControlVerb, target: u32, new: i64) {
        self.give(Body::Control(Control { verb, target, old: 0, new, who: 0 }));
    }

    fn market(&mut self, bid: i64, ask: i64) {
        self.update += 1;
        let level = |price| Level { price: Price::new(price), quantity: Quantity::new(100) };
        let mut levels = [Level::default(); Depth::LEVELS];
        levels[0] = level(bid);
        levels[1] = level(ask);
        self.give(Body::Depth(Depth {
            first_update: self.update,
            last_update: self.update,
            previous_update: self.update - 1,
            part: DepthPart { count: 2, bids: 1, snapshot: true, last: true },
            levels,
        }));
    }

    fn report(&self, of: &Dispatch, execution: Execution, status: VenueStatus) -> OrderReport {
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

    fn fill(&self, of: &Dispatch, quantity: i64, cumulative: i64, trade_id: u64) -> OrderReport {
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

    fn accept(&mut self, of: &Dispatch) {
        let report = self.report(of, Execution::New, VenueStatus::New);
        self.give(Body::Order(report));
    }

    fn take_dispatches(&mut self) -> Vec<Dispatch> {
        core::mem::take(&mut self.seen.dispatches)
    }

    fn state_of(&self, of: &Dispatch) -> OrderState {
        let index = self.core.state().execution.orders.find(&of.client_order_id).unwrap();
        self.core.state().execution.orders.order(index).unwrap().state
    }

    fn held(&self) -> i64 {
        self.core.state().execution.total(BTC).unwrap().quantity.raw()
    }

    /// Quotes both sides and has them confirmed.
    fn quoting() -> (Self, Dispatch, Dispatch) {
        Self::quoting_with(|_| {})
    }

    fn quoting_with(change: impl FnOnce(&mut Configuration)) -> (Self, Dispatch, Dispatch) {
        let mut configuration = configuration();
        change(&mut configuration);
        let mut desk = Self::ready_with(configuration);
        desk.market(10_000, 10_010);
        let sent = desk.take_dispatches();
        assert_eq!(sent.len(), 2);
        for order in &sent {
            desk.accept(order);
        }
        desk.pass(Nanos::from_millis(20));
        assert!(desk.take_dispatches().is_empty());
        (desk, sent[0], sent[1])
    }
}

#[test]
fn a_trusted_market_gives_a_bid_and_an_ask() {
    let (_, bid, ask) = Desk::quoting();
    assert_eq!((bid.side, ask.side), (Side::Buy, Side::Sell));
    assert_eq!(bid.request, RequestKind::New);
    assert!(bid.price < ask.price);
    assert_eq!(bid.time_in_force, TimeInForce::PostOnly);
}

#[test]
fn nothing_is_sent_before_the_account_is_hydrated() {
    let mut desk = Desk::cold();
    desk.give(Body::Instrument(definition()));
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    desk.market(10_000, 10_010);
    assert!(desk.take_dispatches().is_empty());
    desk.hydrate_account();
    assert_eq!(desk.take_dispatches().len(), 2, "what waited goes when the gate opens");
}

#[test]
fn a_moved_market_moves_the_quotes_by_replace() {
    let (mut desk, ..) = Desk::quoting();
    desk.market(10_003, 10_013);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Replace));
}

#[test]
fn a_fill_before_its_acknowledgement_implies_acceptance() {
    let mut desk = Desk::ready();
    desk.market(10_000, 10_010);
    let sent = desk.take_dispatches();
    let fill = desk.fill(&sent[0], 4, 4, 1);
    desk.give(Body::Order(fill));
    assert_eq!(desk.state_of(&sent[0]), OrderState::PartiallyFilled);
    desk.accept(&sent[0]);
    assert_eq!(
        desk.state_of(&sent[0]),
        OrderState::PartiallyFilled,
        "the late acknowledgement changes nothing"
    );
    assert_eq!(desk.held(), 4);
}

#[test]
fn a_fill_told_twice_is_applied_once() {
    let (mut desk, bid, _) = Desk::quoting();
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill)).give(Body::Order(fill));
    assert_eq!(desk.held(), 4);
    assert_eq!(desk.core.state().execution.counters.duplicates, 1);
}

#[test]
fn fills_out_of_order_are_both_applied() {
    let (mut desk, bid, _) = Desk::quoting();
    let (first, second) = (desk.fill(&bid, 4, 4, 1), desk.fill(&bid, 6, 10, 2));
    desk.give(Body::Order(second));
    assert_eq!(desk.state_of(&bid), OrderState::Filled);
    desk.give(Body::Order(first));
    assert_eq!(desk.held(), 10);
}

#[test]
fn a_late_fill_on_a_cancelled_order_is_money_and_an_incident() {
    let (mut desk, bid, _) = Desk::quoting();
    let cancelled = desk.report(&bid, Execution::Cancelled, VenueStatus::Cancelled);
    desk.give(Body::Order(cancelled));
    let fill = desk.fill(&bid, 3, 3, 7);
    desk.give(Body::Order(fill));
    assert_eq!(desk.state_of(&bid), OrderState::Cancelled, "terminal is final");
    assert_eq!(desk.held(), 3);
    let late = |d: &Decision| matches!(d, Decision::Incident { kind: IncidentKind::LateFill, .. });
    assert!(desk.seen.decisions.iter().any(late));
}

#[test]
fn acceptance_of_the_request_leaves_the_order_pending() {
    let mut desk = Desk::ready();
    desk.market(10_000, 10_010);
    let sent = desk.take_dispatches();
    desk.give(Body::Outcome(RequestOutcome {
        client_order_id: sent[0].client_order_id,
        venue_order_id: VenueOrderId(77),
        dispatch: sent[0].number,
        code: 0,
        request: RequestKind::New,
        verdict: Verdict::Accepted,
        reason: RejectReason::None,
    }));
    assert_eq!(desk.state_of(&sent[0]), OrderState::Submitted);
    desk.accept(&sent[0]);
    assert_eq!(desk.state_of(&sent[0]), OrderState::Accepted);
}

#[test]
fn an_overdue_confirmation_is_asked_about_and_never_resubmitted() {
    let mut desk = Desk::ready();
    desk.market(10_000, 10_010);
    let sent = desk.take_dispatches();
    desk.accept(&sent[1]);
    desk.seen.asks.clear();
    desk.pass(Nanos::from_millis(2_100));
    let ask = desk.seen.asks.first().copied().expect("asked about the unconfirmed order");
    assert_eq!((ask.scope, ask.client_order_id), (HydrationScope::Order, sent[0].client_order_id));
    assert!(desk.take_dispatches().is_empty(), "nothing is resubmitted on a guess");
    desk.give(Body::Hydration(Hydration {
        scope: HydrationScope::Order,
        phase: HydrationPhase::NotFound,
        client_order_id: sent[0].client_order_id,
        request: ask.number,
        as_of: Nanos::ZERO,
    }));
    assert_eq!(desk.state_of(&sent[0]), OrderState::Rejected, "not found after the visibility delay");
}

#[test]
fn a_kill_cancels_what_is_open_and_sends_nothing_else() {
    let (mut desk, ..) = Desk::quoting();
    let verb = ControlVerb::Kill;
    desk.give(Body::Control(Control {
        verb,
        target: u32::from(KillMode::Cancel.code()),
        old: 0,
        new: 0,
        who: 0,
    }));
    desk.market(10_050, 10_060);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn a_kill_that_flattens_cancels_first_and_then_closes_the_position_reduce_only() {
    let (mut desk, bid, ask) = Desk::quoting();
    let fill = desk.fill(&bid, 10, 10, 1);
    desk.give(Body::Order(fill));
    desk.pass(Nanos::from_millis(20));
    let mut open = desk.take_dispatches();
    open.iter().for_each(|new_bid| desk.accept(new_bid));
    open.push(ask);
    desk.control(ControlVerb::Kill, u32::from(KillMode::Flatten.code()), 0);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel), "{sent:?}");
    for order in open {
        let cancelled = desk.report(&order, Execution::Cancelled, VenueStatus::Cancelled);
        desk.give(Body::Order(cancelled));
    }
    desk.pass(Nanos::from_millis(20));
    desk.market(10_000, 10_010);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let close = sent[0];
    assert_eq!((close.side, close.kind, close.quantity), (Side::Sell, OrderKind::Market, Quantity::new(10)));
    assert!(close.flags.has(crate::dispatch::DispatchFlags::REDUCE_ONLY));
    let fill = OrderReport { last_price: Price::new(10_000), ..desk.fill(&close, 10, 10, 2) };
    desk.give(Body::Order(fill));
    desk.pass(Nanos::from_millis(20));
    desk.market(10_000, 10_010);
    assert_eq!(desk.held(), 0);
    assert!(desk.take_dispatches().is_empty(), "flat and killed: nothing more goes out");
}

#[test]
fn a_limit_changed_by_a_control_event_holds_from_that_event_on() {
    let (mut desk, ..) = Desk::quoting();
    desk.control(ControlVerb::SetLimit, LimitKey::MaxOrderQuantity.target(0), 5);
    desk.market(10_003, 10_013);
    assert!(desk.take_dispatches().is_empty(), "10 lots are more than 5");
    desk.control(ControlVerb::SetLimit, LimitKey::MaxOrderQuantity.target(0), 10);
    desk.market(10_003, 10_013);
    assert_eq!(desk.take_dispatches().len(), 2);
}

#[test]
fn what_waited_too_long_at_a_gate_closes_instead_of_going_out_in_another_market() {
    let mut desk = Desk::cold();
    desk.give(Body::Instrument(definition()));
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    desk.market(10_000, 10_010);
    desk.pass(Nanos::from_millis(600));
    let closed = |d: &&Decision| matches!(d, Decision::Closed { why: CloseReason::TooOld, .. });
    assert_eq!(desk.seen.decisions.iter().filter(closed).count(), 2);
    desk.hydrate_account();
    assert!(desk.take_dispatches().is_empty());
}

#[test]
fn a_shrinking_replace_at_a_keener_price_is_new_risk() {
    let (mut desk, bid, _) = Desk::quoting();
    let replace = |price: Price| {
        Intent::Replace(crate::intent::ReplaceIntent {
            key: OrderKey { strategy: StrategyId(0), slot: 0 },
            price,
            quantity: Quantity::new(9),
        })
    };
    let core = &mut desk.core;
    let same = core.risk.check(&core.state, &core.configuration, &replace(bid.price)).expect("allowed");
    assert!(same.is_reducing());
    let keener = replace(bid.price + Price::new(1));
    let keener = core.risk.check(&core.state, &core.configuration, &keener).expect("allowed");
    assert!(!keener.is_reducing());
}

#[test]
fn a_full_ring_that_shut_the_gate_kills_the_core_too() {
    let (mut desk, ..) = Desk::quoting();
    desk.market(10_003, 10_013);
    let replace = desk.take_dispatches()[0];
    desk.give(Body::NotSent(NotSent {
        client_order_id: replace.client_order_id,
        dispatch: replace.number,
        request: replace.request,
        reason: NotSentReason::KillGate,
    }));
    assert_eq!(desk.core.state().control.kill, Some(KillMode::Cancel));
}

#[test]
fn the_reports_of_a_read_back_that_nobody_waits_for_are_ignored() {
    let (mut desk, bid, _) = Desk::quoting();
    desk.hydration(HydrationPhase::Begin);
    let report = desk.report(&bid, Execution::Status, VenueStatus::Cancelled);
    desk.give(Body::Order(OrderReport { flags: ReportFlags(ReportFlags::HYDRATED), ..report }));
    desk.position(77, true);
    desk.hydration(HydrationPhase::End);
    assert_eq!(desk.state_of(&bid), OrderState::Accepted);
    assert!(desk.core.state().account.position(BTC).is_none_or(|position| position.quantity.is_zero()));
}

#[test]
fn a_stale_market_withdraws_the_quotes() {
    let (mut desk, ..) = Desk::quoting();
    desk.pass(Nanos::from_secs(6));
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn a_broken_update_chain_loses_the_book_and_is_an_incident() {
    let (mut desk, ..) = Desk::quoting();
    desk.give(Body::Depth(Depth {
        first_update: 900,
        last_update: 901,
        previous_update: 899,
        part: DepthPart { count: 0, bids: 0, snapshot: false, last: true },
        levels: [Level::default(); Depth::LEVELS],
    }));
    let broken = |d: &Decision| matches!(d, Decision::Incident { kind: IncidentKind::BookChainBroken, .. });
    assert!(desk.seen.decisions.iter().any(broken));
    assert!(desk.take_dispatches().iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn a_drained_desk_becomes_idle() {
    let (mut desk, bid, ask) = Desk::quoting();
    desk.give(Body::Control(Control { verb: ControlVerb::Drain, target: 0, old: 0, new: 0, who: 0 }));
    assert_eq!(desk.take_dispatches().len(), 2);
    assert!(!desk.core.is_idle());
    for order in [bid, ask] {
        let cancelled = desk.report(&order, Execution::Cancelled, VenueStatus::Cancelled);
        desk.give(Body::Order(cancelled));
    }
    desk.pass(Nanos::from_millis(20));
    assert!(desk.core.is_idle());
}

#[test]
fn a_daily_loss_at_its_bound_stops_new_risk_and_lets_reducing_orders_pass() {
    let (mut desk, bid, ask) = Desk::quoting_with(|configuration| {
        configuration.strategies[0].max_daily_loss = CASH_UNIT / 100;
    });
    let fill = desk.fill(&bid, 10, 10, 1);
    desk.give(Body::Order(fill));
    // 10 lots of 0.001 bought about here, valued 100 ticks of 0.10 lower: 0.10 lost, the bound is 0.01.
    desk.market(9_900, 9_910);
    desk.pass(Nanos::from_millis(50));
    desk.market(9_901, 9_911);
    desk.take_dispatches();
    desk.market(9_903, 9_913);
    let denied = |d: &Decision| match d {
        Decision::Intent(record) => record.side == Side::Buy && record.verdict == RiskReason::DailyLoss,
        _ => false,
    };
    assert!(desk.seen.decisions.iter().any(denied), "no new bid");
    let moved = |d: &Decision| match d {
        Decision::Intent(record) => record.side == Side::Sell && record.verdict == RiskReason::Allowed,
        _ => false,
    };
    assert!(desk.seen.decisions.iter().any(moved), "the ask that lowers the position still moves");
    let _ = ask;
}

#[test]
fn a_position_that_stays_different_is_read_back_and_then_stops_new_risk_with_both_numbers() {
    let (mut desk, bid, ask) = Desk::quoting();
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    desk.seen.asks.clear();
    desk.position(7, false);
    desk.pass(Nanos::from_millis(20));
    assert!(desk.seen.asks.is_empty(), "a report may be under way");
    desk.pass(Nanos::from_secs(3));
    assert_eq!(desk.seen.asks.iter().filter(|ask| ask.scope == HydrationScope::Account).count(), 1);
    desk.hydration(HydrationPhase::Begin);
    desk.position(7, true);
    for (order, filled) in [(bid, 4), (ask, 0)] {
        let report = desk.report(&order, Execution::Status, VenueStatus::New);
        let flags = ReportFlags(ReportFlags::HYDRATED);
        let cumulative_quantity = Quantity::new(filled);
        desk.give(Body::Order(OrderReport { cumulative_quantity, flags, ..report }));
    }
    desk.hydration(HydrationPhase::End);
    let found = desk.seen.decisions.iter().find_map(|decision| match decision {
        Decision::Incident { kind: IncidentKind::PositionMismatch, ours, theirs, .. } => {
            Some((*ours, *theirs))
        }
        _ => None,
    });
    assert_eq!(found, Some((4, 7)));
    assert!(desk.core.state().execution.is_inconsistent(BTC));
}

#[test]
fn a_position_that_agrees_again_in_time_asks_nothing() {
    let (mut desk, bid, _) = Desk::quoting();
    desk.seen.asks.clear();
    desk.position(4, false);
    desk.pass(Nanos::from_millis(20));
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    for step in 0..40 {
        desk.pass(Nanos::from_millis(100));
        desk.market(10_000 + step % 2, 10_010);
        for sent in desk.take_dispatches() {
            desk.accept(&sent);
        }
    }
    assert!(desk.seen.asks.iter().all(|ask| ask.scope != HydrationScope::Account));
}

#[test]
fn every_event_dispatch_and_decision_survives_its_bytes() {
    let (mut desk, bid, _) = Desk::quoting();
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    let mut slot = [0u8; crate::codec::MAX_PAYLOAD];
    for decision in &desk.seen.decisions {
        let length = decision.encode(&mut slot);
        assert_eq!(Decision::decode(&slot[..length]), Ok(*decision));
    }
    let length = bid.encode(&mut slot);
    assert_eq!(length, Dispatch::ENCODED);
    assert_eq!(Dispatch::decode(&slot[..length]), Ok(bid));
    let event = Event::new(desk.now, Source::Receiver, Body::Order(fill)).on(VenueId(0), BTC);
    let length = event.encode(&mut slot);
    assert_eq!(Event::decode(&slot[..length]), Ok(event));
    let event = Event::new(desk.now, Source::Requester, Body::Instrument(definition())).on(VenueId(0), BTC);
    let length = event.encode(&mut slot);
    assert_eq!(Event::decode(&slot[..length]), Ok(event));
}

#[test]
fn the_same_events_give_the_same_state_and_the_same_output() {
    let run = || {
        let (mut desk, bid, _) = Desk::quoting();
        for step in 0..50 {
            desk.market(10_000 + step * 3, 10_010 + step * 3);
        }
        let fill = desk.fill(&bid, 4, 4, 1);
        desk.give(Body::Order(fill));
        (desk.core.state_hash(), desk.seen.dispatches, desk.seen.decisions)
    };
    assert_eq!(run(), run());
}
