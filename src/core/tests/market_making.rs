//! Whole turns with the market maker: what a desk that quotes relies on, event by event.

mod desk;

use desk::*;
use fixed::types::I48F16;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::{Intent, ReplaceIntent};
use linchpin_core::limits::LimitKey;
use linchpin_core::num::*;
use linchpin_core::record::*;
use linchpin_core::state::order::OrderState;
use linchpin_core::strategy::Strategy;
use linchpin_core::strategy::market_maker::{MarketMaker, Parameters};
use linchpin_core::time::Nanos;

/// A desk whose one strategy makes a market in BTC; links up, nothing read back, no market.
fn unread() -> Desk {
    let mut with = configuration();
    with.strategies[0].instruments = vec![0];
    let maker: Box<dyn Strategy> = Box::new(MarketMaker::new(Parameters {
        quantity: Quantity::new(10),
        half_spread: I48F16::from_num(2),
        max_skew: I48F16::from_num(4),
        max_position: Quantity::new(50),
        requote_ticks: 2,
    }));
    let mut desk = Desk::of(with, vec![maker]);
    desk.connect(definition());
    desk
}

fn connected() -> Desk {
    let mut desk = unread();
    desk.hydrate(|_| {});
    desk
}

/// Quotes both sides and has them confirmed.
fn quoting() -> (Desk, Dispatch, Dispatch) {
    let mut desk = connected();
    desk.market(BTC, 10_000, 10_010);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    sent.iter().for_each(|order| desk.accept(order));
    desk.settle();
    assert!(desk.take_dispatches().is_empty());
    (desk, sent[0], sent[1])
}

fn newest_ask(desk: &Desk) -> u64 {
    desk.account_ask().expect("an account ask").number
}

fn set_limit(desk: &mut Desk, target: u32, new: i64) {
    desk.give(Body::Control(Control { verb: ControlVerb::SetLimit, target, old: 0, new, who: 0 }));
}

#[test]
fn a_shrinking_replace_at_a_keener_price_is_new_risk() {
    for (price, reducing) in [(9_990, true), (9_991, false)] {
        let mut desk = Desk::ready();
        desk.open(limit(0, BTC, Side::Buy, 9_990, 10));
        desk.link(LinkKind::OrderEntry, LinkState::Down);
        let replace = ReplaceIntent { key: key(0), price: Price::new(price), quantity: Quantity::new(9) };
        desk.wish(vec![Intent::Replace(replace)]);
        let waits = desk.core.state().execution.queue.pending(key(0)).expect("it waits for the link");
        assert_eq!(waits.is_reducing(), reducing, "{price}");
    }
}

#[test]
fn a_trusted_market_gives_a_bid_and_an_ask() {
    let (_, bid, ask) = quoting();
    assert_eq!((bid.side, ask.side), (Side::Buy, Side::Sell));
    assert_eq!(bid.request, RequestKind::New);
    assert!(bid.price < ask.price);
    assert_eq!(bid.time_in_force, TimeInForce::PostOnly);
}

#[test]
fn nothing_is_sent_before_the_account_is_hydrated() {
    let mut desk = unread();
    desk.market(BTC, 10_000, 10_010);
    assert!(desk.take_dispatches().is_empty());
    desk.hydrate(|_| {});
    assert_eq!(desk.take_dispatches().len(), 2, "what waited goes when the gate opens");
}

#[test]
fn a_moved_market_moves_the_quotes_by_replace() {
    let (mut desk, ..) = quoting();
    desk.market(BTC, 10_003, 10_013);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Replace));
}

#[test]
fn an_overdue_confirmation_is_asked_about_and_never_resubmitted() {
    let mut desk = connected();
    desk.market(BTC, 10_000, 10_010);
    let sent = desk.take_dispatches();
    desk.accept(&sent[1]);
    desk.seen.asks.clear();
    desk.pass(Nanos::from_millis(2_100));
    let ask = desk.seen.asks.first().copied().expect("asked about the unconfirmed order");
    assert_eq!((ask.scope, ask.client_order_id), (HydrationScope::Order, sent[0].client_order_id));
    assert!(desk.take_dispatches().is_empty(), "nothing is resubmitted on a guess");
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent[0]).state, OrderState::Rejected, "not found after the visibility delay");
}

#[test]
fn a_kill_cancels_what_is_open_and_sends_nothing_else() {
    let (mut desk, ..) = quoting();
    desk.kill(KillMode::Cancel);
    desk.market(BTC, 10_050, 10_060);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn a_kill_that_flattens_cancels_first_and_then_closes_the_position_reduce_only() {
    let (mut desk, bid, ask) = quoting();
    let fill = desk.fill(&bid, 10, 10, 1);
    desk.give(Body::Order(fill));
    desk.pass(Nanos::from_millis(20));
    let mut open = desk.take_dispatches();
    open.iter().for_each(|new_bid| desk.accept(new_bid));
    open.push(ask);
    desk.kill(KillMode::Flatten);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel), "{sent:?}");
    for order in open {
        let cancelled = desk.report(&order, Execution::Cancelled, VenueStatus::Cancelled);
        desk.give(Body::Order(cancelled));
    }
    desk.pass(Nanos::from_millis(20));
    desk.market(BTC, 10_000, 10_010);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let close = sent[0];
    assert_eq!((close.side, close.kind, close.quantity), (Side::Sell, OrderKind::Market, Quantity::new(10)));
    assert!(close.flags.has(linchpin_core::dispatch::DispatchFlags::REDUCE_ONLY));
    let fill = OrderReport { last_price: Price::new(10_000), ..desk.fill(&close, 10, 10, 2) };
    desk.give(Body::Order(fill));
    desk.pass(Nanos::from_millis(20));
    desk.market(BTC, 10_000, 10_010);
    assert_eq!(desk.held(BTC), 0);
    assert!(desk.take_dispatches().is_empty(), "flat and killed: nothing more goes out");
}

#[test]
fn a_limit_changed_by_a_control_event_holds_from_that_event_on() {
    let (mut desk, ..) = quoting();
    set_limit(&mut desk, LimitKey::MaxOrderQuantity.target(0), 5);
    desk.market(BTC, 10_003, 10_013);
    assert!(desk.take_dispatches().is_empty(), "10 lots are more than 5");
    set_limit(&mut desk, LimitKey::MaxOrderQuantity.target(0), 10);
    desk.market(BTC, 10_003, 10_013);
    assert_eq!(desk.take_dispatches().len(), 2);
}

#[test]
fn what_waited_too_long_at_a_gate_closes_instead_of_going_out_in_another_market() {
    let mut desk = unread();
    desk.market(BTC, 10_000, 10_010);
    desk.pass(Nanos::from_millis(600));
    let closed = |d: &&Decision| matches!(d, Decision::Closed { why: CloseReason::TooOld, .. });
    assert_eq!(desk.seen.decisions.iter().filter(closed).count(), 2);
    desk.hydrate(|_| {});
    assert!(desk.take_dispatches().is_empty());
}

#[test]
fn a_full_ring_that_shut_the_gate_kills_the_core_too() {
    let (mut desk, ..) = quoting();
    desk.market(BTC, 10_003, 10_013);
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
    let (mut desk, bid, _) = quoting();
    desk.hydration(HydrationPhase::Begin, newest_ask(&desk));
    let report = desk.report(&bid, Execution::Status, VenueStatus::Cancelled);
    desk.give(Body::Order(OrderReport { flags: ReportFlags(ReportFlags::HYDRATED), ..report }));
    desk.position(BTC, 77, true);
    desk.hydration(HydrationPhase::End, newest_ask(&desk));
    assert_eq!(desk.order(&bid).state, OrderState::Accepted);
    assert!(desk.core.state().account.position(BTC).is_none_or(|position| position.quantity.is_zero()));
}

#[test]
fn a_stale_market_withdraws_the_quotes() {
    let (mut desk, ..) = quoting();
    desk.pass(Nanos::from_secs(6));
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn a_broken_update_chain_loses_the_book_and_is_an_incident() {
    let (mut desk, ..) = quoting();
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
    let (mut desk, bid, ask) = quoting();
    desk.control(ControlVerb::Drain, 0);
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
fn a_position_that_stays_different_is_read_back_and_then_stops_new_risk_with_both_numbers() {
    let (mut desk, bid, ask) = quoting();
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    desk.seen.asks.clear();
    desk.position(BTC, 7, false);
    desk.pass(Nanos::from_millis(20));
    assert!(desk.seen.asks.is_empty(), "a report may be under way");
    desk.pass(Nanos::from_secs(3));
    assert_eq!(desk.seen.asks.iter().filter(|ask| ask.scope == HydrationScope::Account).count(), 1);
    desk.hydration(HydrationPhase::Begin, newest_ask(&desk));
    desk.position(BTC, 7, true);
    for (order, filled) in [(bid, 4), (ask, 0)] {
        let report = desk.report(&order, Execution::Status, VenueStatus::New);
        let flags = ReportFlags(ReportFlags::HYDRATED);
        let cumulative_quantity = Quantity::new(filled);
        desk.give(Body::Order(OrderReport { cumulative_quantity, flags, ..report }));
    }
    desk.hydration(HydrationPhase::End, newest_ask(&desk));
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
    let (mut desk, bid, _) = quoting();
    desk.seen.asks.clear();
    desk.position(BTC, 4, false);
    desk.pass(Nanos::from_millis(20));
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    for step in 0..40 {
        desk.pass(Nanos::from_millis(100));
        desk.market(BTC, 10_000 + step % 2, 10_010);
        for sent in desk.take_dispatches() {
            desk.accept(&sent);
        }
    }
    assert!(desk.seen.asks.iter().all(|ask| ask.scope != HydrationScope::Account));
}

#[test]
fn every_event_dispatch_and_decision_survives_its_bytes() {
    let (mut desk, bid, _) = quoting();
    let fill = desk.fill(&bid, 4, 4, 1);
    desk.give(Body::Order(fill));
    let mut slot = [0u8; linchpin_core::codec::MAX_PAYLOAD];
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
        let (mut desk, bid, _) = quoting();
        for step in 0..50 {
            desk.market(BTC, 10_000 + step * 3, 10_010 + step * 3);
        }
        let fill = desk.fill(&bid, 4, 4, 1);
        desk.give(Body::Order(fill));
        (desk.core.state_hash(), desk.seen.dispatches, desk.seen.decisions)
    };
    assert_eq!(run(), run());
}
