//! Conformance: traces that must never appear, each a test that fails if it does, and orders of arrival that must not matter.
//!
//! | forbidden trace | why |
//! |---|---|
//! | private event -> REST fetch | the healthy path is private events only |
//! | request acceptance -> downgrade of a trusted order | an answer says less than the private stream said |
//! | confirmed order -> recovery loop | what is known is not asked about |
//! | pending confirmation -> duplicate place | an unknown New is asked about, never sent again |
//! | trade-only message -> proof that the order is still open | it says what traded, and no more |

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::intent::{CancelIntent, Intent};
use linchpin_core::num::Quantity;
use linchpin_core::record::{Admission, Decision, IncidentKind, RiskReason};
use linchpin_core::state::Change;
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;

fn bid(slot: u16) -> linchpin_core::intent::NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, 10)
}

// ---- the five forbidden traces ----

#[test]
fn private_events_never_cause_a_fetch() {
    let mut desk = Desk::ready();
    for round in 0..200u64 {
        let slot = (round % 4) as u16;
        let side = if round % 2 == 0 { Side::Buy } else { Side::Sell };
        let price = if side == Side::Buy { 9_990 } else { 10_020 };
        let sent = desk.send(limit(slot, BTC, side, price, 10));
        desk.accept(&sent);
        desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
        for (at, cumulative) in [4, 10].into_iter().enumerate() {
            let quantity = if at == 0 { 4 } else { 6 };
            let fill = desk.fill(&sent, quantity, cumulative, round * 2 + at as u64 + 1);
            desk.tell(&sent, fill);
        }
        let held = desk.held(BTC);
        desk.position(BTC, held, false);
        desk.give(Body::Balance(BalanceReport {
            asset: AssetId(0),
            wallet: 5,
            available: 5,
            change: 0,
            cause: BalanceCause::Order,
            hydrated: false,
        }));
        desk.settle();
        desk.market(BTC, 10_000, 10_010);
    }
    desk.pass(Nanos::from_secs(4));
    assert_eq!(desk.core.state().execution.counters.fills, 400);
    assert!(desk.seen.asks.is_empty(), "{:?}", desk.seen.asks);
}

#[test]
fn the_acceptance_of_a_request_never_downgrades_a_trusted_order() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let before = desk.order(&sent);
    assert_eq!(before.confirmation, Confirmation::Confirmed);
    desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
    assert_eq!(desk.order(&sent), before);
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    let filled = desk.order(&sent);
    desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
    assert_eq!(desk.order(&sent), filled);
}

#[test]
fn an_answer_that_is_unknown_or_refuses_says_nothing_about_an_order_that_was_already_shown() {
    for verdict in [Verdict::Unknown, Verdict::Rejected] {
        let mut desk = Desk::ready();
        let sent = desk.open(bid(0));
        let before = desk.order(&sent);
        desk.outcome(&sent, verdict, RejectReason::NoAnswer);
        assert_eq!(desk.order(&sent), before, "{verdict}");
        assert!(desk.seen.asks.is_empty());
    }
}

#[test]
fn a_confirmed_order_is_never_asked_about() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    for step in 0..100 {
        desk.pass(Nanos::from_millis(500));
        desk.market(BTC, 10_000 + step % 2, 10_010);
        desk.market(ETH, 10_000 + step % 2, 10_010);
        desk.position(BTC, 0, false);
    }
    assert_eq!(desk.order(&sent).asked, 0);
    assert!(desk.seen.asks.is_empty());
}

#[test]
fn a_doubt_that_was_answered_is_not_asked_about_again() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    let ask = *desk.seen.asks.last().expect("asked at once");
    assert_eq!((ask.scope, ask.client_order_id), (HydrationScope::Order, sent.client_order_id));
    let flags = ReportFlags(ReportFlags::HYDRATED);
    let status = desk.report(&sent, Execution::Status, VenueStatus::New);
    desk.tell(&sent, OrderReport { flags, ..status });
    desk.answer(&ask, HydrationPhase::End);
    desk.pass(Nanos::from_secs(20));
    assert_eq!(desk.seen.asks.len(), 1);
    assert_eq!(desk.order(&sent).confirmation, Confirmation::Confirmed);
}

#[test]
fn an_unconfirmed_place_is_never_placed_again() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    for _ in 0..50 {
        let said = desk.wish(vec![Intent::New(bid(0))]);
        assert_ne!(said[0].verdict, RiskReason::Allowed);
        desk.pass(Nanos::from_millis(100));
    }
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.wish(vec![Intent::New(bid(0))]);
    desk.pass(Nanos::from_secs(60));
    assert!(desk.take_dispatches().is_empty(), "one place, whatever the strategy wishes");
    assert_eq!(desk.order(&sent).asked, configuration().recovery_attempts, "asked, then a person");
    assert_eq!(desk.incidents(IncidentKind::RecoveryExhausted), 1);
}

#[test]
fn a_trade_only_message_is_money_but_no_proof_that_the_order_is_open() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, OrderReport { flags: ReportFlags(ReportFlags::TRADE_ONLY), ..fill });
    assert_eq!(desk.held(BTC), 4, "the trade is applied");
    let order = desk.order(&sent);
    assert_eq!(order.state, OrderState::Submitted, "nothing is known about its state");
    assert!(matches!(order.confirmation, Confirmation::Pending { .. }));
    // Its whole report, later: the same trade changes nothing more.
    desk.tell(&sent, fill);
    assert_eq!((desk.held(BTC), desk.order(&sent).state), (4, OrderState::PartiallyFilled));
}

#[test]
fn a_trade_only_message_about_an_unknown_order_opens_none() {
    let mut desk = Desk::ready();
    let stranger = ClientOrderId::from_text(b"a-person");
    let like = Desk::ready().send(bid(0));
    let fill = OrderReport { client_order_id: stranger, ..desk.fill(&like, 4, 0, 1) };
    desk.give(Body::Order(OrderReport { flags: ReportFlags(ReportFlags::TRADE_ONLY), ..fill }));
    assert!(desk.core.state().execution.orders.live().is_empty());
    desk.pass(Nanos::from_secs(10));
    assert!(desk.seen.asks.is_empty(), "and nothing is asked about it");
}

#[test]
fn a_trade_only_message_does_not_reopen_a_cancelled_order() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, cancelled);
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, OrderReport { flags: ReportFlags(ReportFlags::TRADE_ONLY), ..fill });
    assert_eq!((desk.held(BTC), desk.order(&sent).state), (4, OrderState::Cancelled));
    assert_eq!(desk.incidents(IncidentKind::LateFill), 1);
}

// ---- orders of arrival that must not matter ----

#[test]
fn an_acceptance_before_between_or_after_the_private_events_ends_in_the_same_state() {
    let run = |accept_at: usize| {
        let mut desk = Desk::ready();
        let sent = desk.send(bid(0));
        let reports = [
            desk.report(&sent, Execution::New, VenueStatus::New),
            desk.fill(&sent, 4, 4, 1),
            desk.fill(&sent, 6, 10, 2),
        ];
        for (at, report) in reports.into_iter().enumerate() {
            if at == accept_at {
                desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
            }
            desk.tell(&sent, report);
        }
        if accept_at == reports.len() {
            desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
        }
        desk.settle();
        let mut order = desk.order(&sent);
        order.reported = Nanos::ZERO; // the stamps differ because the events were given at other times
        let total = *desk.core.state().execution.total(BTC).unwrap();
        (order, total, desk.seen.asks, desk.core.state().execution.counters)
    };
    let first = run(0);
    for accept_at in 1..=3 {
        assert_eq!(run(accept_at), first, "accepted after {accept_at} private events");
    }
}

#[test]
fn the_private_events_of_one_order_end_in_the_same_place_in_every_order_of_arrival() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let ends = orders.map(|arrival| {
        let mut desk = Desk::ready();
        let sent = desk.send(bid(0));
        let reports = [
            desk.report(&sent, Execution::New, VenueStatus::New),
            desk.fill(&sent, 4, 4, 1),
            desk.fill(&sent, 6, 10, 2),
        ];
        for at in arrival {
            desk.tell(&sent, reports[at]);
        }
        let order = desk.order(&sent);
        (order.state, order.filled, order.cumulative, desk.held(BTC))
    });
    let whole = (OrderState::Filled, Quantity::new(10), Quantity::new(10), 10);
    assert!(ends.iter().all(|end| *end == whole), "{ends:?}");
}

#[test]
fn private_events_without_end_still_settle_at_the_maximum() {
    let mut desk = Desk::ready();
    let sent = desk.open(limit(0, BTC, Side::Buy, 9_990, 50));
    let from = desk.now;
    let mut cumulative = 0;
    let settled = loop {
        cumulative += 1;
        let fill = desk.fill(&sent, 1, cumulative, cumulative as u64);
        desk.tell(&sent, fill);
        desk.pass(Nanos::from_millis(1));
        if desk.core.state().account.is_settled(BTC) {
            break desk.now;
        }
        assert!(cumulative < 40, "never settled");
    };
    let waited = settled.since(from);
    assert!(waited >= configuration().settle_max && waited < Nanos::from_millis(12), "{waited:?}");
}

#[test]
fn a_balance_keeps_an_open_window_open_and_opens_none() {
    let mut desk = Desk::ready();
    let balance = |desk: &mut Desk| {
        let (available, cause) = (i64::MIN, BalanceCause::Order);
        let wallet = desk.now.raw() as i64;
        let report =
            BalanceReport { asset: AssetId(0), wallet, available, change: 0, cause, hydrated: false };
        desk.give(Body::Balance(report));
    };
    balance(&mut desk);
    assert!(desk.core.state().account.is_settled(BTC), "of which scope it speaks, it does not say");
    let sent = desk.open(limit(0, BTC, Side::Buy, 9_990, 50));
    let fill = desk.fill(&sent, 1, 1, 1);
    desk.tell(&sent, fill);
    // Two milliseconds of quiet end it; the fill's balance comes in between.
    desk.pass(Nanos::from_micros(1_500));
    balance(&mut desk);
    desk.pass(Nanos::from_micros(1_500));
    assert!(
        !desk.core.state().account.is_settled(BTC),
        "nothing is planned before what belongs to it is there"
    );
    desk.pass(Nanos::from_micros(1_000));
    assert!(desk.core.state().account.is_settled(BTC));
}

#[test]
fn ten_private_events_in_one_window_give_one_pass_and_no_ask() {
    use linchpin_core::snapshot::{Sink, SnapshotError, Words};
    use linchpin_core::strategy::{Strategy, View, Wakes};
    use std::sync::{Arc, Mutex};

    struct Counts(Arc<Mutex<u32>>);
    impl Strategy for Counts {
        fn decide(&mut self, _: &View<'_>, change: Change, _: &mut linchpin_core::intent::Intents) {
            if matches!(change, Change::Settled(_)) {
                *self.0.lock().unwrap() += 1;
            }
        }
        fn wakes_on(&self) -> Wakes {
            Wakes::SETTLED
        }
        fn save(&self, _: &mut dyn Sink) {}
        fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
            Ok(())
        }
    }
    let passes = Arc::new(Mutex::new(0));
    let mut with = configuration();
    let second = with.strategies[0].clone();
    with.strategies.push(second);
    let mut desk = Desk::ready_beside(with, vec![Box::new(Counts(passes.clone()))]);
    let sent = desk.open(limit(0, BTC, Side::Buy, 9_990, 50));
    *passes.lock().unwrap() = 0;
    for number in 1..=10 {
        let fill = desk.fill(&sent, 1, number, number as u64);
        desk.tell(&sent, fill);
    }
    desk.pass(Nanos::from_millis(50));
    assert_eq!(*passes.lock().unwrap(), 1);
    assert!(desk.seen.asks.is_empty());
}

#[test]
fn a_strategy_may_cancel_but_not_add_while_its_scope_is_unsettled() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = desk.fill(&sent, 1, 1, 1);
    desk.tell(&sent, fill);
    let said = desk.wish(vec![
        Intent::New(bid(1)),
        Intent::Cancel(CancelIntent { key: key(0), order: OrderIndex::NONE, family: Family::Entry }),
    ]);
    assert_eq!(said[0].verdict, RiskReason::Unsettled);
    assert_eq!((said[1].verdict, said[1].admission), (RiskReason::Allowed, Admission::Entered));
}

// ---- trust boundaries ----

#[test]
fn a_hydration_replaces_its_scope_and_never_appends() {
    let mut desk = Desk::ready();
    let (kept, gone) = (desk.open(bid(0)), desk.open(bid(1)));
    for round in 0..3 {
        desk.link(LinkKind::Private, LinkState::Down);
        desk.link(LinkKind::Private, LinkState::Up);
        desk.hydrate(|desk| {
            let status = desk.report(&kept, Execution::Status, VenueStatus::New);
            desk.tell(&kept, OrderReport { flags: ReportFlags(ReportFlags::HYDRATED), ..status });
            desk.position(BTC, 0, true);
        });
        let live = desk.core.state().execution.orders.live_orders();
        let known = live.filter(|(_, order)| order.is_confirmed()).count();
        assert_eq!(known, 1, "round {round}: the snapshot's orders, once");
        assert!(matches!(desk.order(&gone).confirmation, Confirmation::Unknown { .. }), "not open there");
        assert_eq!(desk.held(BTC), 0);
    }
    assert_eq!(desk.core.state().execution.exposure(BTC).open_orders, 2, "one of them in doubt");
    let ask = *desk.seen.asks.last().unwrap();
    assert_eq!(ask.client_order_id, gone.client_order_id, "its ending is asked for");
}

#[test]
fn private_events_during_a_hydration_are_applied_on_top_and_once() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    let (first, second) = (desk.fill(&sent, 4, 4, 1), desk.fill(&sent, 3, 7, 2));
    desk.hydrate(|desk| {
        desk.tell(&sent, first);
        desk.tell(&sent, second);
        assert_eq!(desk.held(BTC), 0, "they wait");
        let status = desk.report(&sent, Execution::Status, VenueStatus::PartiallyFilled);
        let flags = ReportFlags(ReportFlags::HYDRATED);
        let cumulative_quantity = Quantity::new(4); // the snapshot knows the first of the two
        desk.tell(&sent, OrderReport { flags, cumulative_quantity, ..status });
        desk.position(BTC, 4, true);
        assert_eq!(desk.held(BTC), 4);
    });
    assert_eq!(desk.held(BTC), 7);
    assert_eq!(desk.order(&sent).filled, Quantity::new(7));
}

#[test]
fn the_answer_to_an_ask_from_before_the_break_does_not_make_the_account_trusted() {
    let mut desk = Desk::ready();
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    let before = desk.account_ask().unwrap().number;
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    let after = desk.account_ask().unwrap().number;
    assert_ne!(before, after);
    desk.hydration(HydrationPhase::Begin, before);
    desk.hydration(HydrationPhase::End, before);
    desk.wish(vec![Intent::New(bid(0))]);
    assert!(desk.take_dispatches().is_empty(), "what happened in the break is not in that snapshot");
    desk.hydration(HydrationPhase::Begin, after);
    desk.hydration(HydrationPhase::End, after);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn client_order_ids_are_registered_before_sending_and_opaque() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    let order = desk.order(&sent);
    assert_eq!((order.state, order.key), (OrderState::Submitted, key(0)));
    // An id that looks like one of ours, with the next number, is still somebody else's.
    let look_alike = ClientOrderId::compose(*b"tests", 2);
    let report = desk.report(&sent, Execution::New, VenueStatus::New);
    desk.give(Body::Order(OrderReport { client_order_id: look_alike, ..report }));
    let orders = &desk.core.state().execution.orders;
    let adopted = orders.order(orders.find(&look_alike).unwrap()).unwrap();
    assert_eq!(adopted.key.strategy, StrategyId::EXTERNAL);
    assert_eq!(desk.order(&sent).state, OrderState::Submitted, "ours heard nothing");
}

#[test]
fn a_look_alike_id_on_the_account_never_makes_a_dispatch_vanish() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let next = ClientOrderId::compose(*b"tests", 2);
    let report = desk.report(&sent, Execution::New, VenueStatus::New);
    desk.give(Body::Order(OrderReport { client_order_id: next, ..report }));
    desk.settle();
    let another = desk.send(bid(1));
    assert_ne!(another.client_order_id, next);
    assert_eq!(desk.order(&another).key, key(1));
}

#[test]
fn what_is_asked_is_in_the_record() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    let recorded: Vec<_> = desk
        .seen
        .decisions
        .iter()
        .filter_map(|d| if let Decision::Ask(ask) = d { Some(*ask) } else { None })
        .collect();
    assert_eq!(recorded, desk.seen.asks);
}
