//! The life of an order, a row a test: reports that come twice, late, in another order, or against each other; endings that
//! nobody here asked for; orders of every kind.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::{CancelIntent, Intent, NewIntent, ReplaceIntent};
use linchpin_core::num::*;
use linchpin_core::record::{IncidentKind, RiskReason};
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;

fn bid(slot: u16) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, 10)
}

fn on_slot(slot: u16, new: NewIntent) -> NewIntent {
    NewIntent { key: key(slot), ..new }
}

/// A sell stop under the market.
fn stop(slot: u16) -> NewIntent {
    on_slot(slot, NewIntent::stop_market(BTC, Side::Sell, Price::new(9_900), Quantity::new(10)))
}

fn flagged(report: OrderReport, bit: u16) -> OrderReport {
    OrderReport { flags: report.flags.with(bit, true), ..report }
}

/// What the venue reads back about one order.
fn status_of(
    desk: &Desk,
    of: &linchpin_core::dispatch::Dispatch,
    status: VenueStatus,
    filled: i64,
) -> OrderReport {
    let report = desk.report(of, Execution::Status, status);
    flagged(
        OrderReport { cumulative_quantity: Quantity::new(filled), last_price: of.price, ..report },
        ReportFlags::HYDRATED,
    )
}

fn replace(slot: u16, price: i64, quantity: i64) -> Intent {
    Intent::Replace(ReplaceIntent {
        key: key(slot),
        price: Price::new(price),
        quantity: Quantity::new(quantity),
    })
}

fn cancel(slot: u16) -> Intent {
    Intent::Cancel(CancelIntent {
        key: key(slot),
        order: OrderIndex::NONE,
        family: linchpin_core::family::Family::Entry,
    })
}

fn ends(desk: &Desk, of: &linchpin_core::dispatch::Dispatch) -> (OrderState, i64) {
    let order = desk.order(of);
    (order.state, order.filled.raw())
}

// ---- twice, late, in another order, against each other ----

#[test]
fn a_report_told_twice_changes_nothing_the_second_time() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let before = desk.order(&sent);
    desk.tell(&sent, fill);
    let after = desk.order(&sent);
    assert_eq!(
        (after.state, after.filled, after.cumulative),
        (before.state, before.filled, before.cumulative)
    );
    assert_eq!(desk.held(BTC), 4);
    assert_eq!(desk.core.state().execution.counters.duplicates, 1);
}

#[test]
fn a_report_older_than_what_is_known_changes_nothing() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    let (accepted, fill) = (desk.report(&sent, Execution::New, VenueStatus::New), desk.fill(&sent, 4, 4, 1));
    desk.tell(&sent, fill);
    desk.tell(&sent, accepted);
    assert_eq!(ends(&desk, &sent), (OrderState::PartiallyFilled, 4));
    assert_eq!(desk.core.state().execution.counters.stale_reports, 1);
}

#[test]
fn a_fill_before_its_acknowledgement_implies_acceptance() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let order = desk.order(&sent);
    assert_eq!((order.state, order.inflight), (OrderState::PartiallyFilled, None));
    assert!(order.is_confirmed());
}

#[test]
fn fills_in_the_wrong_order_end_whole_and_hold_new_risk_in_between() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let (first, second) = (desk.fill(&sent, 4, 4, 1), desk.fill(&sent, 6, 10, 2));
    desk.tell(&sent, second);
    assert_eq!(ends(&desk, &sent), (OrderState::Filled, 6), "the first four are missing");
    assert_eq!(desk.core.state().execution.exposure(BTC).in_doubt, 1);
    desk.settle();
    desk.wish(vec![Intent::New(bid(1))]);
    assert!(desk.take_dispatches().is_empty(), "held: the position is behind");
    desk.tell(&sent, first);
    assert_eq!(ends(&desk, &sent), (OrderState::Filled, 10));
    desk.settle();
    assert_eq!(desk.take_dispatches().len(), 1);
    assert!(desk.seen.asks.is_empty(), "nobody was asked");
}

#[test]
fn a_status_that_contradicts_the_state_is_an_incident_and_changes_nothing() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let refused = desk.report(&sent, Execution::Rejected, VenueStatus::Rejected);
    desk.tell(&sent, refused);
    assert_eq!(ends(&desk, &sent), (OrderState::Accepted, 0));
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
}

// ---- fills after the end ----

#[test]
fn a_fill_after_a_cancel_is_money_an_incident_and_a_question() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, cancelled);
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    desk.position(BTC, 4, false);
    assert_eq!(ends(&desk, &sent), (OrderState::Cancelled, 4), "terminal is final");
    assert_eq!((desk.held(BTC), desk.incidents(IncidentKind::LateFill)), (4, 1));
    let ask = *desk.seen.asks.last().expect("the scope is looked into, without anybody's doing");
    assert_eq!((ask.scope, ask.client_order_id), (HydrationScope::Order, sent.client_order_id));
    desk.settle();
    desk.wish(vec![Intent::New(bid(1))]);
    assert!(desk.take_dispatches().is_empty(), "new risk waits for the answer");
    let status = status_of(&desk, &sent, VenueStatus::Cancelled, 4);
    desk.tell(&sent, status);
    desk.answer(&ask, HydrationPhase::End);
    desk.settle();
    assert_eq!(desk.take_dispatches().len(), 1, "and goes on");
    assert_eq!((desk.held(BTC), desk.seen.asks.len()), (4, 1));
}

#[test]
fn an_order_that_ends_with_fills_missing_is_asked_about_until_it_is_whole() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    // Seven filled, by the venue's count, before the cancel; we have heard of three.
    let fill = desk.fill(&sent, 3, 3, 1);
    desk.tell(&sent, fill);
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(7), ..cancelled });
    let order = desk.order(&sent);
    assert!(matches!(order.confirmation, Confirmation::Unknown { why: RejectReason::MissingFill, .. }));
    assert!(desk.seen.asks.is_empty(), "the report is on its way, as a rule");
    desk.pass(Nanos::from_millis(1_100));
    let ask = *desk.seen.asks.last().expect("asked after the grace");
    // The venue answers with the order's trades, by its own number: the one that we know, and the one that we missed.
    for (quantity, trade_id) in [(3, 1), (4, 2)] {
        let trade = flagged(desk.fill(&sent, quantity, 0, trade_id), ReportFlags::TRADE_ONLY);
        let client_order_id = ClientOrderId::NONE;
        let trade = OrderReport { client_order_id, cumulative_quantity: Quantity::ZERO, fee: 5, ..trade };
        desk.tell(&sent, flagged(trade, ReportFlags::HYDRATED));
    }
    desk.answer(&ask, HydrationPhase::End);
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Cancelled, 7), 7));
    assert_eq!(desk.core.state().execution.total(BTC).unwrap().fees, Cash::new(5), "with its own fee");
    assert_eq!(desk.core.state().execution.exposure(BTC).in_doubt, 0);
    desk.position(BTC, 7, false);
    desk.pass(Nanos::from_secs(60));
    assert_eq!(desk.seen.asks.len(), 1);
}

#[test]
fn fills_that_nobody_can_tell_end_the_questions_and_stop_new_risk() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(7), ..cancelled });
    desk.pass(Nanos::from_secs(600));
    assert_eq!(desk.seen.asks.len(), configuration().recovery_attempts as usize);
    assert_eq!(desk.incidents(IncidentKind::RecoveryExhausted), 1);
    assert!(desk.core.state().execution.is_inconsistent(BTC), "seven lots are missing");
    assert_eq!(desk.core.state().execution.exposure(BTC).in_doubt, 0, "and the order is let go");
    desk.position(BTC, 0, false);
    desk.settle();
    assert!(!desk.core.state().execution.is_inconsistent(BTC), "the venue holds what we hold");
}

#[test]
fn an_ended_order_that_is_still_asked_about_keeps_its_row() {
    let mut with = configuration();
    with.order_rows = 16;
    let mut desk = Desk::ready_with(with, definition());
    let missing = desk.open(bid(0));
    let cancelled = desk.report(&missing, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&missing, OrderReport { cumulative_quantity: Quantity::new(7), ..cancelled });
    // Reducing orders may go on, and use up every row of the table twice.
    for round in 0..40u64 {
        let stranger = linchpin_core::dispatch::Dispatch {
            client_order_id: ClientOrderId::compose(*b"other", round),
            ..missing
        };
        desk.accept(&stranger);
        let gone = desk.report(&stranger, Execution::Cancelled, VenueStatus::Cancelled);
        desk.tell(&stranger, gone);
    }
    assert_eq!(desk.order(&missing).cumulative, Quantity::new(7));
}

// ---- trades alone ----

#[test]
fn a_trade_alone_is_applied_at_once_and_its_whole_report_is_a_duplicate() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = desk.fill(&sent, 4, 4, 1);
    let lite = OrderReport { cumulative_quantity: Quantity::ZERO, ..flagged(fill, ReportFlags::TRADE_ONLY) };
    desk.tell(&sent, lite);
    assert_eq!((desk.held(BTC), desk.order(&sent).state), (4, OrderState::Accepted), "money, and no state");
    desk.tell(&sent, fill);
    assert_eq!((desk.held(BTC), desk.order(&sent).state), (4, OrderState::PartiallyFilled));
    assert_eq!(desk.core.state().execution.counters.duplicates, 1);
}

#[test]
fn a_trade_alone_finds_its_order_by_the_venues_number() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = flagged(desk.fill(&sent, 4, 0, 1), ReportFlags::TRADE_ONLY);
    desk.tell(&sent, OrderReport { client_order_id: ClientOrderId::NONE, ..fill });
    assert_eq!(ends(&desk, &sent), (OrderState::Accepted, 4));
}

#[test]
fn a_trade_alone_after_a_read_back_is_not_counted_again() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    // The read-back knows of four; the trades that made them come later, alone.
    let status = status_of(&desk, &sent, VenueStatus::PartiallyFilled, 4);
    desk.tell(&sent, status);
    let lite = flagged(desk.fill(&sent, 4, 0, 1), ReportFlags::TRADE_ONLY);
    desk.tell(&sent, lite);
    assert_eq!(desk.held(BTC), 4);
}

#[test]
fn a_trade_alone_whose_whole_report_is_lost_is_asked_about() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let lite = flagged(desk.fill(&sent, 10, 0, 1), ReportFlags::TRADE_ONLY);
    desk.tell(&sent, lite);
    desk.pass(Nanos::from_secs(3));
    let ask = *desk.seen.asks.last().expect("it filled whole, and nobody said that it ended");
    let status = status_of(&desk, &sent, VenueStatus::Filled, 10);
    desk.tell(&sent, status);
    desk.answer(&ask, HydrationPhase::End);
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Filled, 10), 10));
}

// ---- replace ----

#[test]
fn a_replace_that_crosses_a_fill_ends_in_what_the_venue_reports() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    desk.wish(vec![replace(0, 9_985, 8)]);
    let fill = desk.fill(&sent, 6, 6, 1);
    desk.tell(&sent, fill);
    assert!(desk.order(&sent).inflight.is_some(), "the fill says nothing about the replace");
    let replaced = desk.report(&sent, Execution::Replaced, VenueStatus::PartiallyFilled);
    let (price, quantity) = (Price::new(9_985), Quantity::new(8));
    desk.tell(&sent, OrderReport { price, quantity, cumulative_quantity: Quantity::new(6), ..replaced });
    let order = desk.order(&sent);
    assert_eq!((order.state, order.price, order.leaves().raw()), (OrderState::PartiallyFilled, price, 2));
    assert!(order.inflight.is_none() && order.is_confirmed());
}

#[test]
fn a_replace_that_a_fill_overtook_ends_with_the_order() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    desk.wish(vec![replace(0, 9_985, 8)]);
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    let order = desk.order(&sent);
    assert_eq!((order.state, order.inflight), (OrderState::Filled, None));
    let change = *desk.take_dispatches().last().unwrap();
    desk.outcome(&change, Verdict::Rejected, RejectReason::UnknownOrder);
    assert_eq!(desk.order(&sent).state, OrderState::Filled);
    assert!(desk.seen.asks.is_empty());
}

#[test]
fn a_replace_that_the_venue_refuses_leaves_the_order_as_it_was() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    desk.take_dispatches();
    desk.wish(vec![replace(0, 9_985, 8)]);
    let change = desk.take_dispatches()[0];
    desk.outcome(&change, Verdict::Rejected, RejectReason::Filter);
    let order = desk.order(&sent);
    assert_eq!((order.price, order.quantity), (Price::new(9_990), Quantity::new(10)));
    assert!(order.inflight.is_none() && order.is_confirmed());
}

#[test]
fn an_amendment_by_the_venue_changes_the_terms_without_a_request() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let amended = desk.report(&sent, Execution::Replaced, VenueStatus::New);
    desk.tell(&sent, OrderReport { quantity: Quantity::new(7), ..amended });
    assert_eq!(desk.order(&sent).quantity, Quantity::new(7));
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::new(7));
}

// ---- endings that nobody here asked for ----

#[test]
fn a_cancel_by_the_venue_ends_the_order_and_frees_its_slot() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, cancelled);
    desk.settle();
    assert_eq!(ends(&desk, &sent), (OrderState::Cancelled, 0));
    assert_eq!(desk.wish(vec![Intent::New(bid(0))])[0].verdict, RiskReason::Allowed);
}

#[test]
fn a_cancel_by_the_venue_makes_the_one_on_its_way_meaningless() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    desk.take_dispatches();
    desk.wish(vec![cancel(0)]);
    let ours = desk.take_dispatches()[0];
    let cancelled = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, cancelled);
    desk.outcome(&ours, Verdict::Rejected, RejectReason::UnknownOrder);
    desk.pass(Nanos::from_secs(10));
    assert_eq!(ends(&desk, &sent), (OrderState::Cancelled, 0));
    assert!(desk.seen.asks.is_empty());
}

#[test]
fn an_immediate_or_cancel_order_expires_with_what_it_got() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0).valid(TimeInForce::ImmediateOrCancel));
    assert_eq!(sent.time_in_force, TimeInForce::ImmediateOrCancel);
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let expired = desk.report(&sent, Execution::Expired, VenueStatus::Expired);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(4), ..expired });
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Expired, 4), 4));
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::ZERO);
}

#[test]
fn a_fill_or_kill_order_that_cannot_fill_expires_untouched() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0).valid(TimeInForce::FillOrKill));
    desk.accept(&sent);
    let expired = desk.report(&sent, Execution::Expired, VenueStatus::Expired);
    desk.tell(&sent, expired);
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Expired, 0), 0));
}

#[test]
fn a_good_till_date_order_that_ends_by_its_date_is_told_by_the_venue() {
    let mut desk = Desk::ready();
    let expires = desk.now + Nanos::from_secs(700);
    let sent = desk.open(bid(0).until(expires));
    assert_eq!((sent.time_in_force, sent.expires), (TimeInForce::GoodTillDate, expires));
    let expired = desk.report(&sent, Execution::Expired, VenueStatus::Expired);
    desk.tell(&sent, expired);
    assert_eq!(ends(&desk, &sent), (OrderState::Expired, 0));
    desk.pass(Nanos::from_secs(1_000));
    assert!(desk.seen.asks.is_empty());
}

#[test]
fn a_good_till_date_order_whose_end_nobody_told_is_asked_about_now_and_then() {
    let mut desk = Desk::ready();
    let expires = desk.now + Nanos::from_secs(700);
    let sent = desk.open(bid(0).until(expires));
    desk.pass(Nanos::from_secs(699));
    assert!(desk.seen.asks.is_empty(), "its day has not come");
    desk.pass(Nanos::from_millis(3_200));
    let ask = *desk.seen.asks.last().expect("its day is past");
    // The venue says that it still lives: it is asked again, after a pause.
    let status = status_of(&desk, &sent, VenueStatus::New, 0);
    desk.tell(&sent, status);
    desk.answer(&ask, HydrationPhase::End);
    desk.pass(Nanos::from_secs(20));
    assert_eq!(desk.seen.asks.len(), 1);
    desk.pass(Nanos::from_secs(12));
    assert_eq!(desk.seen.asks.len(), 2);
}

#[test]
fn a_good_till_date_order_that_waited_past_its_date_is_never_sent() {
    let mut desk = Desk::ready();
    desk.link(LinkKind::OrderEntry, LinkState::Down);
    let expires = desk.now + Nanos::from_millis(100);
    desk.wish(vec![Intent::New(bid(0).until(expires))]);
    desk.pass(Nanos::from_millis(200));
    desk.link(LinkKind::OrderEntry, LinkState::Up);
    assert!(desk.take_dispatches().is_empty());
    assert!(desk.core.state().execution.queue.is_empty());
}

#[test]
fn self_trade_prevention_ends_an_order_with_what_it_got() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = desk.fill(&sent, 3, 3, 1);
    desk.tell(&sent, fill);
    let prevented = desk.report(&sent, Execution::TradePrevention, VenueStatus::Expired);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(3), ..prevented });
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Expired, 3), 3));
    assert_eq!(desk.core.state().execution.counters.expired, 1);
}

#[test]
fn self_trade_prevention_that_takes_a_part_leaves_the_rest_working() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let prevented = desk.report(&sent, Execution::TradePrevention, VenueStatus::New);
    desk.tell(&sent, prevented);
    assert_eq!(ends(&desk, &sent), (OrderState::Accepted, 0));
}

// ---- orders that the venue makes for us ----

fn made_by_the_venue(id: &[u8], bit: u16, execution: Execution) -> (Desk, OrderReport) {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    desk.settle();
    let report = OrderReport {
        client_order_id: ClientOrderId::from_text(id),
        venue_order_id: VenueOrderId(77),
        side: Side::Sell,
        execution,
        last_price: Price::new(9_000),
        flags: ReportFlags(bit),
        ..desk.fill(&sent, 10, 10, 2)
    };
    (desk, report)
}

#[test]
fn a_liquidation_is_adopted_and_closes_of_everybody_who_holds() {
    for execution in [Execution::Trade, Execution::Calculated] {
        let (mut desk, report) = made_by_the_venue(b"autoclose-1690001", ReportFlags::LIQUIDATION, execution);
        desk.give(Body::Order(report));
        assert_eq!(desk.held(BTC), 0, "{execution}: the position is gone");
        let execution = &desk.core.state().execution;
        // What was the strategy's is gone in its own book: it must not lean on what is not there.
        for owner in [StrategyId(0), StrategyId::EXTERNAL] {
            assert_eq!(execution.position(owner, BTC).unwrap().quantity, Quantity::ZERO, "{owner:?}");
        }
        assert_eq!(desk.incidents(IncidentKind::ExternalOrder), 1);
    }
}

#[test]
fn an_adl_is_adopted_and_closes_of_everybody_who_holds() {
    let (mut desk, report) = made_by_the_venue(b"adl_autoclose", ReportFlags::ADL, Execution::Trade);
    desk.give(Body::Order(report));
    assert_eq!(desk.held(BTC), 0);
    let orders = &desk.core.state().execution.orders;
    let adopted = orders.order(orders.find(&report.client_order_id).unwrap()).unwrap();
    assert_eq!((adopted.key.strategy, adopted.state), (StrategyId::EXTERNAL, OrderState::Filled));
}

// ---- kinds ----

#[test]
fn a_stop_rests_untriggered_and_counts_as_open_and_as_working() {
    let mut desk = Desk::ready();
    let sent = desk.open(stop(0));
    assert_eq!((sent.kind, sent.stop_price), (OrderKind::StopMarket, Price::new(9_900)));
    let order = desk.order(&sent);
    assert_eq!((order.state, order.triggered), (OrderState::Accepted, false));
    let exposure = desk.core.state().execution.exposure(BTC);
    assert_eq!((exposure.open_orders, exposure.working_sell), (1, Quantity::new(10)), "as if it had fired");
}

#[test]
fn a_trigger_is_a_report_and_the_order_stays_one_order_under_its_new_number() {
    let mut desk = Desk::ready();
    let sent = desk.open(stop(0));
    let fired = flagged(desk.report(&sent, Execution::New, VenueStatus::New), ReportFlags::TRIGGERED);
    desk.tell(&sent, OrderReport { venue_order_id: VenueOrderId(4_711), ..fired });
    let order = desk.order(&sent);
    assert_eq!((order.triggered, order.venue_order_id), (true, VenueOrderId(4_711)));
    let fill = OrderReport { last_price: Price::new(9_899), ..desk.fill(&sent, 10, 10, 1) };
    desk.tell(&sent, fill);
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Filled, 10), -10));
}

#[test]
fn a_fill_of_a_conditional_order_implies_its_trigger() {
    let mut desk = Desk::ready();
    let sent = desk.open(stop(0));
    let fill = OrderReport { last_price: Price::new(9_899), ..desk.fill(&sent, 4, 4, 1) };
    desk.tell(&sent, fill);
    assert!(desk.order(&sent).triggered);
}

#[test]
fn a_conditional_order_refused_at_its_trigger_ends_rejected() {
    let mut desk = Desk::ready();
    let sent = desk.open(stop(0));
    let refused = desk.report(&sent, Execution::Rejected, VenueStatus::Rejected);
    desk.tell(&sent, refused);
    assert_eq!(ends(&desk, &sent), (OrderState::Rejected, 0));
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 0);
}

#[test]
fn the_form_of_each_kind_is_held_before_it_is_sent() {
    let (lots, price, stop) = (Quantity::new(10), Price::new(9_990), Price::new(9_900));
    let (none, side) = (Price::ZERO, Side::Sell);
    let limit = NewIntent::limit(BTC, Side::Buy, price, lots);
    let market = NewIntent::market(BTC, Side::Buy, lots);
    let stop_market = NewIntent::stop_market(BTC, side, stop, lots);
    let trailing = |callback| NewIntent::trailing_stop(BTC, side, none, callback, lots);
    let sound = [
        market,
        stop_market,
        stop_market.close_position(),
        NewIntent::stop_limit(BTC, side, stop, price, lots),
        NewIntent::take_profit_market(BTC, side, Price::new(10_100), lots),
        NewIntent::take_profit_limit(BTC, side, Price::new(10_100), Price::new(10_100), lots),
        trailing(10),
        NewIntent::trailing_stop(BTC, side, Price::new(10_100), 1_000, lots),
        limit.until(Nanos::from_secs(9_000)),
        limit.valid(TimeInForce::FillOrKill),
    ];
    let unsound = [
        NewIntent { stop_price: stop, ..limit },
        NewIntent { price, ..market },
        market.valid(TimeInForce::PostOnly),
        NewIntent { stop_price: none, ..stop_market },
        NewIntent::stop_limit(BTC, side, none, price, lots),
        NewIntent { callback: 50, ..stop_market },
        trailing(9),
        trailing(1_001),
        limit.close_position(),
        stop_market.close_position().reduce_only(),
        NewIntent { quantity: lots, ..stop_market.close_position() },
        limit.valid(TimeInForce::GoodTillDate),
        NewIntent { expires: Nanos::from_secs(9_000), ..limit },
        NewIntent { kind: OrderKind::Other, ..limit },
    ];
    for (at, new) in sound.into_iter().enumerate() {
        let said = Desk::ready().wish(vec![Intent::New(on_slot(0, new))])[0].verdict;
        assert_eq!(said, RiskReason::Allowed, "sound {at}: {new:?}");
    }
    for (at, new) in unsound.into_iter().enumerate() {
        let said = Desk::ready().wish(vec![Intent::New(on_slot(0, new))])[0].verdict;
        assert_eq!(said, RiskReason::BadForm, "unsound {at}: {new:?}");
    }
}

#[test]
fn only_a_limit_order_can_be_replaced() {
    let mut desk = Desk::ready();
    desk.open(stop(0));
    assert_eq!(desk.wish(vec![replace(0, 9_890, 10)])[0].verdict, RiskReason::NotReplaceable);
    desk.open(bid(1));
    assert_eq!(desk.wish(vec![replace(1, 9_980, 10)])[0].verdict, RiskReason::Allowed);
}

#[test]
fn protective_orders_do_not_count_as_if_they_could_turn_the_position() {
    let mut desk = Desk::ready();
    let entry = desk.open(limit(0, BTC, Side::Buy, 9_990, 90));
    let fill = desk.fill(&entry, 90, 90, 1);
    desk.tell(&entry, fill);
    desk.settle();
    let lots = Quantity::new(90);
    let stop = NewIntent::stop_market(BTC, Side::Sell, Price::new(9_900), lots).reduce_only();
    let target = NewIntent::take_profit_limit(BTC, Side::Sell, Price::new(10_100), Price::new(10_100), lots);
    desk.open(on_slot(1, stop));
    desk.open(on_slot(2, target.reduce_only()));
    let exposure = desk.core.state().execution.exposure(BTC);
    assert_eq!((exposure.working_sell.raw(), exposure.closing_sell.raw()), (180, 180));
    assert_eq!(exposure.worst_case(lots, Side::Sell), Quantity::ZERO, "flat, whichever fires");
    // A sell that may open is weighed as if one of them had closed the position before it: 100 at most.
    let short = |quantity| Intent::New(limit(3, BTC, Side::Sell, 10_020, quantity));
    assert_eq!(desk.wish(vec![short(101)])[0].verdict, RiskReason::PositionLimit);
    assert_eq!(desk.wish(vec![short(100)])[0].verdict, RiskReason::Allowed);
}

#[test]
fn a_close_position_order_has_no_quantity_until_it_fires() {
    let mut desk = Desk::ready();
    let entry = desk.open(bid(0));
    let fill = desk.fill(&entry, 10, 10, 1);
    desk.tell(&entry, fill);
    desk.settle();
    let new = NewIntent::stop_market(BTC, Side::Sell, Price::new(9_900), Quantity::ZERO).close_position();
    let sent = desk.open(on_slot(1, new));
    assert!(sent.flags.has(linchpin_core::dispatch::DispatchFlags::CLOSE_POSITION));
    let exposure = desk.core.state().execution.exposure(BTC);
    assert_eq!((exposure.whole_closes_sell, exposure.working_sell.raw()), (1, 0));
    assert_eq!(exposure.worst_case(Quantity::new(10), Side::Sell), Quantity::ZERO, "all of it");
    let fired = flagged(desk.report(&sent, Execution::New, VenueStatus::New), ReportFlags::TRIGGERED);
    desk.tell(&sent, OrderReport { quantity: Quantity::new(10), ..fired });
    assert_eq!(desk.order(&sent).quantity, Quantity::new(10));
    let fill = OrderReport {
        quantity: Quantity::new(10),
        last_price: Price::new(9_899),
        ..desk.fill(&sent, 10, 10, 2)
    };
    desk.tell(&sent, OrderReport { status: VenueStatus::Filled, ..fill });
    assert_eq!((ends(&desk, &sent), desk.held(BTC)), ((OrderState::Filled, 10), 0));
    assert_eq!(desk.core.state().execution.exposure(BTC).whole_closes_sell, 0);
}
