//! The audit of open orders: what the venue no longer lists, or the book does not show, is asked about if nobody says
//! anything about it meanwhile; and the calendar's drain, which ends by the calendar.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::intent::{CancelIntent, Intent, ReplaceIntent};
use linchpin_core::num::{Price, Quantity};
use linchpin_core::record::{Ask, Decision, Gate, IncidentKind};
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;

/// Long enough after an order's last report that an audit judges it.
const SOME_TIME: Nanos = Nanos::from_secs(5);
/// Just longer than a confirmation may take: no question is asked a second time within it.
fn overdue() -> Nanos {
    configuration().confirmation_timeout + Nanos::from_millis(1)
}

/// A bid at the touch, whose ten lots the book shows among its hundred.
fn bid() -> linchpin_core::intent::NewIntent {
    limit(0, BTC, Side::Buy, 10_000, 10)
}

/// The venue's list of what is open at an instrument, as of now.
fn audit(desk: &mut Desk, listed: &[OrderReport]) {
    let bracket = |phase, as_of| {
        Body::Hydration(Hydration {
            scope: HydrationScope::Instrument,
            phase,
            client_order_id: ClientOrderId::NONE,
            request: 0,
            as_of,
        })
    };
    let as_of = desk.now;
    desk.on(BTC, bracket(HydrationPhase::Begin, as_of));
    for report in listed {
        let flags = report.flags.with(ReportFlags::HYDRATED, true);
        // A row bears the stamp of the order's last change, which is long ago.
        let orders = &desk.core.state().execution.orders;
        let known = orders.find(&report.client_order_id).and_then(|index| orders.order(index));
        let stamp = known.expect("an order of ours").reported;
        let body = Body::Order(OrderReport { flags, execution: Execution::Status, ..*report });
        desk.stamped(stamp, BTC, body);
    }
    desk.on(BTC, bracket(HydrationPhase::End, as_of));
}

fn asks_about_orders(desk: &Desk) -> Vec<Ask> {
    desk.seen.asks.iter().filter(|ask| ask.scope == HydrationScope::Order).copied().collect()
}

/// What the incidents of this kind say: ours, theirs.
fn sides(desk: &Desk, wanted: IncidentKind) -> Vec<(i64, i64)> {
    let decisions = desk.seen.decisions.iter();
    decisions
        .filter_map(|decision| match decision {
            Decision::Incident { kind, ours, theirs, .. } if *kind == wanted => Some((*ours, *theirs)),
            _ => None,
        })
        .collect()
}

#[test]
fn an_order_that_is_listed_and_in_the_book_is_left_alone() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid());
    desk.pass(SOME_TIME);
    desk.market(BTC, 10_000, 10_010);
    let listed = desk.report(&sent, Execution::Status, VenueStatus::New);
    audit(&mut desk, &[listed]);
    desk.market(BTC, 10_000, 10_010);
    desk.pass(overdue());
    assert!(asks_about_orders(&desk).is_empty());
    assert_eq!(sides(&desk, IncidentKind::Contradiction), []);
}

#[test]
fn an_order_that_the_venue_does_not_list_is_asked_about_and_both_sides_are_told() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid());
    desk.pass(SOME_TIME);
    audit(&mut desk, &[]);
    assert_eq!(desk.order(&sent).confirmation, Confirmation::Confirmed, "news may be on its way");
    assert!(asks_about_orders(&desk).is_empty());
    desk.pass(overdue());
    let asked = asks_about_orders(&desk);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].client_order_id, sent.client_order_id);
    assert_eq!(sides(&desk, IncidentKind::Contradiction)[0].0, 10, "ten lots of ours");

    // It was cancelled, and nobody told.
    desk.answer(&asked[0], HydrationPhase::Begin);
    let mut ended = desk.report(&sent, Execution::Status, VenueStatus::Cancelled);
    ended.flags = ended.flags.with(ReportFlags::HYDRATED, true);
    desk.tell(&sent, ended);
    desk.answer(&asked[0], HydrationPhase::End);
    assert_eq!(desk.order(&sent).state, OrderState::Cancelled);
}

#[test]
fn news_that_was_on_its_way_answers_the_audit() {
    for cancelled in [true, false] {
        let mut desk = Desk::ready();
        let sent = desk.open(bid());
        desk.pass(SOME_TIME);
        audit(&mut desk, &[]);
        let report = match cancelled {
            true => desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled),
            false => desk.fill(&sent, 4, 4, 1),
        };
        desk.tell(&sent, report);
        desk.pass(overdue());
        assert!(asks_about_orders(&desk).is_empty(), "cancelled: {cancelled}");
        assert_eq!(sides(&desk, IncidentKind::Contradiction), []);
    }
}

#[test]
fn an_order_that_the_book_does_not_show_is_asked_about_and_left_when_the_venue_says_that_it_lives() {
    let mut limits = configuration();
    limits.instruments[0].max_position = Quantity::new(1_000);
    limits.instruments[0].max_order_quantity = Quantity::new(1_000);
    let mut desk = Desk::ready_with(limits, definition());
    let sent = desk.open(limit(0, BTC, Side::Buy, 10_000, 200));
    desk.pass(SOME_TIME);
    // The book is whole, and has a hundred lots where two hundred are ours.
    desk.market(BTC, 10_000, 10_010);
    let listed = desk.report(&sent, Execution::Status, VenueStatus::New);
    audit(&mut desk, &[listed]);
    desk.market(BTC, 10_000, 10_010);
    desk.pass(overdue());
    assert_eq!(sides(&desk, IncidentKind::Contradiction), [(200, 100)]);
    let asked = asks_about_orders(&desk);
    assert_eq!(asked.len(), 1);
    desk.answer(&asked[0], HydrationPhase::Begin);
    let mut lives = listed;
    lives.flags = lives.flags.with(ReportFlags::HYDRATED, true);
    desk.tell(&sent, lives);
    desk.answer(&asked[0], HydrationPhase::End);
    desk.pass(Nanos::from_secs(120));
    assert_eq!(asks_about_orders(&desk).len(), 1, "it is not asked about again and again");
    assert!(desk.order(&sent).is_live());
}

#[test]
fn an_order_younger_than_the_list_or_beyond_the_books_end_is_not_judged() {
    let mut desk = Desk::ready();
    // The book of this desk ends at its first level.
    let far = desk.open(limit(0, BTC, Side::Buy, 9_990, 10));
    desk.pass(SOME_TIME);
    desk.market(BTC, 10_000, 10_010);
    let young = desk.open(limit(1, BTC, Side::Buy, 9_999, 10));
    let listed = desk.report(&far, Execution::Status, VenueStatus::New);
    audit(&mut desk, &[listed]);
    desk.pass(overdue());
    assert!(asks_about_orders(&desk).is_empty());
    assert!(desk.order(&far).is_live() && desk.order(&young).is_live());
}

#[test]
fn an_audit_in_which_the_private_stream_breaks_judges_nothing() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid());
    desk.pass(SOME_TIME);
    let as_of = desk.now;
    let bracket = |phase| {
        let (scope, client_order_id) = (HydrationScope::Instrument, ClientOrderId::NONE);
        Body::Hydration(Hydration { scope, phase, client_order_id, request: 0, as_of })
    };
    desk.on(BTC, bracket(HydrationPhase::Begin));
    desk.link(LinkKind::Private, LinkState::Down);
    desk.on(BTC, bracket(HydrationPhase::End));
    assert!(desk.order(&sent).look_into_at.is_zero());
}

#[test]
fn an_audit_answers_no_request_that_is_out() {
    for cancel in [false, true] {
        let mut desk = Desk::ready();
        let sent = desk.open(bid());
        desk.pass(SOME_TIME);
        desk.market(BTC, 10_000, 10_010);
        let change = if cancel {
            let (order, family) = (OrderIndex::NONE, Family::Entry);
            Intent::Cancel(CancelIntent { key: key(0), order, family })
        } else {
            Intent::Replace(ReplaceIntent {
                key: key(0),
                price: Price::new(9_999),
                quantity: Quantity::new(20),
            })
        };
        desk.take_dispatches();
        desk.wish(vec![change]);
        assert_eq!(desk.take_dispatches().len(), 1);
        let before = desk.order(&sent);
        // The list was made before the venue took it.
        let listed = desk.report(&sent, Execution::Status, VenueStatus::New);
        audit(&mut desk, &[listed]);
        assert_eq!(desk.order(&sent), before, "cancel: {cancel}");
        desk.wish(vec![change]);
        assert!(desk.take_dispatches().is_empty(), "one request at a time");
        // The answer to a question about it is another thing: it is as old as the question.
        desk.pass(overdue());
        desk.market(BTC, 10_000, 10_010);
        let ask = *asks_about_orders(&desk).last().unwrap();
        desk.answer(&ask, HydrationPhase::Begin);
        let flags = listed.flags.with(ReportFlags::HYDRATED, true);
        desk.tell(&sent, OrderReport { flags, ..listed });
        desk.answer(&ask, HydrationPhase::End);
        let out =
            |order: linchpin_core::state::order::Order| order.inflight.map(|inflight| inflight.dispatch);
        assert_ne!(out(desk.order(&sent)), out(before), "the question settled it: cancel {cancel}");
    }
}

// ---- the calendar's drain ----

const SCHEDULE: u32 = Gate::Schedule.code() as u32;

fn close_window(desk: &mut Desk) {
    desk.control(ControlVerb::CloseGate, SCHEDULE);
    desk.control(ControlVerb::Drain, SCHEDULE);
}

#[test]
fn the_calendars_drain_cancels_all_and_ends_when_the_window_opens() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid());
    desk.take_dispatches();
    close_window(&mut desk);
    let cancels = desk.take_dispatches();
    assert_eq!(cancels.len(), 1);
    assert_eq!(cancels[0].request, RequestKind::Cancel);
    let gone = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, gone);
    desk.settle();
    assert!(desk.core.is_idle());
    desk.wish(vec![Intent::New(limit(1, BTC, Side::Buy, 9_990, 1))]);
    assert!(desk.take_dispatches().is_empty(), "no new intent while it drains");
    let control = &desk.core.state().control;
    assert_eq!(control.closed_gate(VenueId(0)), Some(Gate::Schedule), "and the gate says why");
    assert_eq!(control.closed_gate_to_reducing(VenueId(0)), Some(Gate::Schedule), "what reduces waits too");
    desk.control(ControlVerb::OpenGate, SCHEDULE);
    assert!(!desk.core.state().control.draining);
    desk.send(limit(2, BTC, Side::Buy, 9_990, 1));
}

#[test]
fn a_drain_that_a_person_asked_for_outlasts_the_calendar() {
    for person_first in [true, false] {
        let mut desk = Desk::ready();
        if person_first {
            desk.control(ControlVerb::Drain, 0);
        }
        close_window(&mut desk);
        if !person_first {
            desk.control(ControlVerb::Drain, 0);
        }
        assert_eq!(desk.core.state().control.closed_gate(VenueId(0)), Some(Gate::Trading));
        desk.control(ControlVerb::OpenGate, SCHEDULE);
        assert!(desk.core.state().control.draining, "person first: {person_first}");
    }
}
