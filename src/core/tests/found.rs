//! Bugs that the model test or a reading found in the core, each as its smallest example. They stay.

mod desk;

use desk::*;
use linchpin_core::dispatch::DispatchFlags;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::intent::{CancelIntent, Intent, ReplaceIntent};
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::{Admission, CloseReason, Decision, IncidentKind, RiskReason};
use linchpin_core::state::execution::Agreement;
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;

fn bid(slot: u16, quantity: i64) -> linchpin_core::intent::NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

fn replace(slot: u16, price: i64, quantity: i64) -> Intent {
    Intent::Replace(ReplaceIntent {
        key: key(slot),
        price: Price::new(price),
        quantity: Quantity::new(quantity),
    })
}

fn cancel(slot: u16) -> Intent {
    Intent::Cancel(CancelIntent { key: key(slot), order: OrderIndex::NONE, family: Family::Entry })
}

/// One request a second, so that what is admitted waits.
fn slow() -> Configuration {
    let bucket = BucketLimit {
        burst: 1,
        refill: 1,
        interval: Nanos::from_secs(1),
        costs: [1, 1, 1],
        cancel_reserve: 0,
        ..BucketLimit::default()
    };
    Configuration {
        venues: vec![VenueLimits { buckets: vec![bucket], ..VenueLimits::default() }],
        ..configuration()
    }
}

/// Holds `quantity` after a fill that settled.
fn holding(quantity: i64) -> Desk {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, quantity));
    let fill = desk.fill(&sent, quantity, quantity, 1);
    desk.tell(&sent, fill);
    desk.settle();
    desk.take_dispatches();
    desk
}

// ---- kill ----

#[test]
fn what_waited_when_a_kill_came_does_not_go_out_after_its_reset() {
    let mut desk = Desk::ready_with(slow(), definition());
    desk.send(bid(0, 1));
    desk.wish(vec![Intent::New(bid(1, 1)), cancel(0)]);
    desk.kill(KillMode::Block);
    let purged = |d: &&Decision| matches!(d, Decision::Closed { why: CloseReason::Purged, .. });
    assert_eq!(desk.seen.decisions.iter().filter(purged).count(), 2);
    desk.control(ControlVerb::ResetKill, 0);
    desk.pass(Nanos::from_secs(1));
    assert!(desk.take_dispatches().is_empty());
}

#[test]
fn a_flatten_waits_for_the_order_entry_link_like_everything_else() {
    let mut desk = holding(10);
    desk.link(LinkKind::OrderEntry, LinkState::Down);
    desk.kill(KillMode::Flatten);
    desk.settle();
    assert!(desk.take_dispatches().is_empty());
    desk.link(LinkKind::OrderEntry, LinkState::Up);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].side, sent[0].quantity), (Side::Sell, Quantity::new(10)));
}

#[test]
fn an_order_of_others_does_not_hold_up_a_flatten_nor_the_end_of_a_run() {
    let mut desk = holding(10);
    let stranger = linchpin_core::dispatch::Dispatch {
        client_order_id: ClientOrderId::from_text(b"a-person"),
        ..Desk::ready().send(bid(5, 3))
    };
    desk.accept(&stranger);
    desk.settle();
    assert!(desk.core.is_idle(), "nothing of ours is open");
    desk.kill(KillMode::Flatten);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn a_flatten_sells_in_parts_what_is_larger_than_one_order_may_be() {
    let mut with = configuration();
    with.instruments[0].max_order_quantity = Quantity::new(4);
    let mut desk = Desk::ready_with(with, definition());
    for slot in 0..3 {
        let sent = desk.open(bid(slot, 3));
        let fill = desk.fill(&sent, 3, 3, u64::from(slot) + 1);
        desk.tell(&sent, fill);
        desk.settle();
    }
    desk.take_dispatches();
    desk.kill(KillMode::Flatten);
    for (number, part) in [4, 4, 1].into_iter().enumerate() {
        let sent = desk.take_dispatches();
        assert_eq!(sent.len(), 1, "part {number}");
        assert_eq!(sent[0].quantity, Quantity::new(part));
        let fill = OrderReport {
            last_price: Price::new(10_000),
            ..desk.fill(&sent[0], part, part, 100 + number as u64)
        };
        desk.tell(&sent[0], fill);
        desk.settle();
    }
    assert_eq!(desk.held(BTC), 0);
}

#[test]
fn a_flatten_is_carried_out_in_a_run_that_drains() {
    let mut desk = holding(10);
    desk.control(ControlVerb::Drain, 0);
    desk.kill(KillMode::Flatten);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn while_a_flatten_runs_strategies_are_not_heard() {
    let mut desk = holding(10);
    desk.kill(KillMode::Flatten);
    desk.take_dispatches();
    let said = desk.wish(vec![Intent::New(limit(3, BTC, Side::Sell, 10_010, 5))]);
    assert!(said.is_empty() && desk.take_dispatches().is_empty());
}

#[test]
fn cancel_all_cancels_all_even_when_that_is_more_than_one_turn_holds() {
    let mut with = configuration();
    with.order_rows = 256;
    with.instruments[0].max_open_orders = 200;
    with.strategies[0].max_open_orders = 200;
    let mut desk = Desk::ready_with(with, definition());
    for slot in 0..90 {
        desk.open(bid(slot, 1));
    }
    desk.take_dispatches();
    desk.control(ControlVerb::CancelAll, 0);
    desk.market(BTC, 10_000, 10_011);
    desk.market(BTC, 10_000, 10_010);
    let sent = desk.take_dispatches();
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel));
    assert_eq!(sent.len(), 90);
}

#[test]
fn cancel_all_is_about_what_is_open_when_it_is_said() {
    let mut desk = Desk::ready();
    let first = desk.open(bid(0, 1));
    desk.take_dispatches();
    desk.control(ControlVerb::CancelAll, 0);
    assert_eq!(desk.take_dispatches().len(), 1);
    let cancelled = desk.report(&first, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&first, cancelled);
    desk.settle();
    let later = desk.open(bid(1, 1));
    assert_eq!(later.request, RequestKind::New);
    desk.take_dispatches();
    desk.settle();
    assert!(desk.take_dispatches().is_empty(), "the later order stays");
}

// ---- risk on what waits ----

#[test]
fn a_replace_that_folds_into_a_waiting_new_is_weighed_as_that_new() {
    // The slot holds a live order whose cancel is out, and a New that waits for it.
    let mut desk = Desk::ready();
    desk.open(bid(0, 60));
    desk.wish(vec![cancel(0)]);
    let said = desk.wish(vec![Intent::New(bid(0, 1)), replace(0, 9_990, 60)]);
    assert_eq!(said[0].admission, Admission::Entered);
    assert_eq!(said[1].verdict, RiskReason::PositionLimit, "60 live and 60 waiting would be 120 of 100");
}

#[test]
fn a_waiting_new_that_grows_past_the_position_is_no_longer_risk_reducing() {
    let mut desk = holding(10);
    desk.link(LinkKind::OrderEntry, LinkState::Down);
    desk.wish(vec![Intent::New(limit(3, BTC, Side::Sell, 10_020, 5)), replace(3, 10_020, 50)]);
    let queue = &desk.core.state().execution.queue;
    let waiting = queue.pending(key(3)).expect("the New with the Replace's terms");
    assert!(!waiting.is_reducing());
}

#[test]
fn a_waiting_replace_counts_towards_the_position_limit() {
    let mut with = slow();
    with.venues[0].buckets[0].burst = 2;
    let mut desk = Desk::ready_with(with, definition());
    desk.open(bid(0, 10));
    desk.open(bid(1, 10));
    assert_eq!(desk.wish(vec![replace(0, 9_990, 60)])[0].verdict, RiskReason::Allowed);
    assert_eq!(desk.wish(vec![replace(1, 9_990, 60)])[0].verdict, RiskReason::PositionLimit);
    assert_eq!(desk.wish(vec![Intent::New(bid(2, 31))])[0].verdict, RiskReason::PositionLimit);
    assert_eq!(
        desk.wish(vec![replace(0, 9_990, 61)])[0].verdict,
        RiskReason::Allowed,
        "it takes its own place"
    );
}

#[test]
fn waiting_news_on_other_instruments_count_towards_a_strategys_open_orders() {
    let mut with = slow();
    with.strategies[0].max_open_orders = 2;
    let mut desk = Desk::ready_with(with, definition());
    desk.send(bid(0, 1));
    let said = desk.wish(vec![
        Intent::New(limit(1, ETH, Side::Buy, 9_990, 1)),
        Intent::New(limit(2, BTC, Side::Buy, 9_990, 1)),
    ]);
    let verdicts: Vec<_> = said.iter().map(|r| r.verdict).collect();
    assert_eq!(verdicts, [RiskReason::Allowed, RiskReason::StrategyOpenOrders]);
}

// ---- market ----

#[test]
fn a_book_with_an_empty_side_has_no_top() {
    let mut desk = Desk::ready();
    let mut levels = [Level::default(); Depth::LEVELS];
    levels[0] = Level { price: Price::new(10_010), quantity: Quantity::ZERO };
    let last = desk.core.state().market.instrument(BTC).unwrap().last_update;
    desk.give(Body::Depth(Depth {
        first_update: last + 1,
        last_update: last + 1,
        previous_update: last,
        part: DepthPart { count: 1, bids: 0, snapshot: false, last: true },
        levels,
    }));
    let market = desk.core.state().market.instrument(BTC).unwrap();
    assert_eq!(market.top, None);
    assert!(!market.is_trusted());
}

#[test]
fn each_market_goes_stale_at_its_own_time() {
    let mut with = configuration();
    with.instruments[1].stale_after = Nanos::from_secs(1);
    let mut desk = Desk::ready_with(with, definition());
    desk.market(BTC, 10_000, 10_010);
    desk.market(ETH, 10_000, 10_010);
    desk.pass(Nanos::from_millis(1_100));
    let stale = |desk: &Desk, id| desk.core.state().market.instrument(id).unwrap().stale;
    assert!(stale(&desk, ETH), "one second without news");
    assert!(!stale(&desk, BTC), "it has five");
}

#[test]
fn a_market_that_falls_silent_before_it_is_whole_goes_stale_too() {
    let mut desk = Desk::cold(configuration(), vec![]);
    let part = |snapshot| Depth {
        first_update: 1,
        last_update: 1,
        previous_update: 0,
        part: DepthPart { count: 0, bids: 0, snapshot, last: !snapshot },
        levels: [Level::default(); Depth::LEVELS],
    };
    desk.on(BTC, Body::Depth(part(false)));
    desk.on(ETH, Body::Depth(part(true)));
    let stale = |desk: &Desk| [BTC, ETH].map(|id| desk.core.state().market.instrument(id).unwrap().stale);
    assert_eq!(
        stale(&desk),
        [false; 2],
        "an update of a lost book, and the first part of a snapshot, were heard"
    );
    desk.pass(Nanos::from_secs(6));
    assert_eq!(stale(&desk), [true; 2], "five seconds without news");
}

// ---- reports that contradict ----

#[test]
fn terms_below_what_has_filled_are_a_contradiction_and_change_nothing() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 6, 6, 1);
    desk.tell(&sent, fill);
    let replaced = desk.report(&sent, Execution::Replaced, VenueStatus::PartiallyFilled);
    let cumulative_quantity = Quantity::new(6);
    desk.tell(&sent, OrderReport { quantity: Quantity::new(5), cumulative_quantity, ..replaced });
    assert_eq!(desk.order(&sent).quantity, Quantity::new(10));
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
}

#[test]
fn a_cumulative_quantity_above_the_ordered_is_a_contradiction_and_changes_nothing() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 10));
    let report = desk.report(&sent, Execution::New, VenueStatus::New);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(11), ..report });
    assert_eq!(desk.order(&sent).cumulative, Quantity::ZERO);
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
}

#[test]
fn a_refusal_of_an_order_that_has_filled_is_a_doubt_not_an_end() {
    for not_sent in [false, true] {
        let mut desk = Desk::ready();
        let sent = desk.send(bid(0, 10));
        let fill = desk.fill(&sent, 4, 4, 1);
        desk.tell(&sent, OrderReport { flags: ReportFlags(ReportFlags::TRADE_ONLY), ..fill });
        if not_sent {
            desk.give(Body::NotSent(NotSent {
                client_order_id: sent.client_order_id,
                dispatch: sent.number,
                request: RequestKind::New,
                reason: NotSentReason::SocketFull,
            }));
        } else {
            desk.outcome(&sent, Verdict::Rejected, RejectReason::Other);
        }
        let order = desk.order(&sent);
        assert_eq!(order.state, OrderState::Submitted, "it filled: it was not refused");
        assert!(matches!(order.confirmation, Confirmation::Unknown { .. }));
        assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
        assert_eq!(desk.seen.asks.len(), 1, "asked about");
    }
}

#[test]
fn a_trade_told_again_long_after_is_not_taken_for_one_that_is_missing() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 50));
    // Trade 2 of 20 never came: there is room for one more lot below the cumulative quantity.
    for number in (1..=20).filter(|number| *number != 2) {
        let fill = desk.fill(&sent, 1, number, number as u64);
        desk.tell(&sent, fill);
    }
    assert_eq!(desk.held(BTC), 19);
    let again = desk.fill(&sent, 1, 1, 1);
    desk.tell(&sent, again);
    assert_eq!(desk.held(BTC), 19, "trade 1 was applied before");
    // Which of the two it is cannot be told any more: the venue is asked, and its answer brings what is missing.
    let ask = *desk.seen.asks.last().expect("asked");
    let status = desk.report(&sent, Execution::Status, VenueStatus::PartiallyFilled);
    let cumulative_quantity = Quantity::new(20);
    let flags = ReportFlags(ReportFlags::HYDRATED);
    desk.tell(&sent, OrderReport { cumulative_quantity, flags, ..status });
    desk.answer(&ask, HydrationPhase::End);
    assert_eq!(desk.held(BTC), 20);
}

// ---- two venues ----

#[test]
fn venues_are_read_back_independently_even_at_the_same_time() {
    let mut with = configuration();
    with.venues.push(VenueLimits::default());
    with.instruments[1].venue = VenueId(1);
    let mut desk = Desk::cold(with, vec![]);
    let give = |desk: &mut Desk, venue: u8, body: Body| {
        desk.at(VenueId(venue), InstrumentId(u16::from(venue)), body)
    };
    for venue in [0, 1] {
        give(&mut desk, venue, Body::Instrument(definition()));
        for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
            let change = LinkChange { link, state: LinkState::Up, reason: LinkReason::None, connection: 0 };
            give(&mut desk, venue, Body::Link(change));
        }
    }
    let hydration = |phase, request| {
        Body::Hydration(Hydration {
            scope: HydrationScope::Account,
            phase,
            client_order_id: ClientOrderId::NONE,
            request,
            as_of: Nanos::ZERO,
        })
    };
    let position = |quantity, hydrated| {
        Body::Position(PositionReport {
            quantity: Quantity::new(quantity),
            entry_price: CASH_UNIT,
            unrealised: 0,
            side: PositionSide::Both,
            hydrated,
        })
    };
    let asks = [desk.seen.asks[0].number, desk.seen.asks[1].number];
    give(&mut desk, 0, hydration(HydrationPhase::Begin, asks[0]));
    give(&mut desk, 1, hydration(HydrationPhase::Begin, asks[1]));
    give(&mut desk, 0, position(7, true));
    give(&mut desk, 1, position(9, true));
    give(&mut desk, 1, position(11, false));
    give(&mut desk, 0, hydration(HydrationPhase::End, asks[0]));
    assert_eq!((desk.held(BTC), desk.held(ETH)), (7, 9));
    let told = |desk: &Desk| desk.core.state().account.position(ETH).map(|p| p.quantity.raw());
    assert_eq!(told(&desk), Some(9), "venue 1 still waits for its end");
    give(&mut desk, 1, hydration(HydrationPhase::End, asks[1]));
    assert_eq!(told(&desk), Some(11));
    let differs = matches!(desk.core.state().execution.agreement(ETH), Agreement::DiffersSince(_));
    assert!(differs, "9 held and 11 told after the read-back: what explains it may be under way");
}

/// Spot: a replacement is a cancellation and a new order, which an order that has begun to fill does not take. Its price is moved by cancelling it; less
/// of it at the same price it can have, and keeps its place.
#[test]
fn on_spot_an_order_that_has_begun_to_fill_is_cancelled_where_its_price_would_move() {
    let spot = InstrumentDefinition { product: Product::Spot, ..definition() };
    let mut desk = Desk::ready_with(configuration(), spot);
    let whole = desk.open(bid(0, 10));
    desk.wish(vec![replace(0, 9_991, 10)]);
    let moved = desk.take_dispatches();
    assert_eq!((moved[0].request, moved[0].flags.has(DispatchFlags::SHRINKS)), (RequestKind::Replace, false));
    // The venue gave it a new number.
    let replaced = OrderReport {
        venue_order_id: VenueOrderId(4_321),
        price: Price::new(9_991),
        ..desk.report(&whole, Execution::Replaced, VenueStatus::New)
    };
    desk.tell(&whole, replaced);
    assert_eq!(desk.order(&whole).venue_order_id, VenueOrderId(4_321));

    let fill = OrderReport { venue_order_id: VenueOrderId(4_321), ..desk.fill(&whole, 4, 4, 1) };
    desk.tell(&whole, fill);
    desk.settle();
    desk.wish(vec![replace(0, 9_991, 8)]);
    let less = desk.take_dispatches();
    assert_eq!((less[0].request, less[0].flags.has(DispatchFlags::SHRINKS)), (RequestKind::Replace, true));
    let smaller = OrderReport {
        quantity: Quantity::new(8),
        cumulative_quantity: Quantity::new(4),
        ..desk.report(&whole, Execution::Replaced, VenueStatus::PartiallyFilled)
    };
    desk.tell(&whole, smaller);
    desk.settle();
    desk.wish(vec![replace(0, 9_992, 8)]);
    let gone = desk.take_dispatches();
    assert_eq!(gone.iter().map(|d| d.request).collect::<Vec<_>>(), [RequestKind::Cancel]);
}

// ---- what a wish takes the place of ----

#[test]
fn a_wish_that_takes_the_place_of_a_reduce_only_one_is_weighed_without_it() {
    let mut desk = Desk::ready_with(slow(), definition());
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    desk.settle();
    // It waits for a token; then a smaller sale that only lowers the position takes its place.
    let closing = limit(1, BTC, Side::Sell, 10_020, 10).reduce_only();
    let plain = limit(1, BTC, Side::Sell, 10_020, 6);
    let records = desk.wish(vec![Intent::New(closing), Intent::New(plain)]);
    assert_eq!(records[1].admission, Admission::Replaced, "{records:?}");
    let waits = desk.core.state().execution.queue.pending(key(1)).copied().unwrap();
    assert!(waits.is_reducing(), "10 are held, 6 are sold: {waits:?}");
}

#[test]
fn a_one_way_instrument_has_no_legs_though_another_venue_has() {
    let mut two = configuration();
    two.venues.push(VenueLimits { position_mode: PositionMode::Hedge, ..VenueLimits::default() });
    two.instruments.push(InstrumentLimits { venue: VenueId(1), ..two.instruments[0] });
    let mut desk = Desk::ready_with(two, definition());
    let sent = desk.open(bid(0, 4));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let execution = &desk.core.state().execution;
    for leg in PositionSide::ALL {
        assert_eq!(execution.total_leg(BTC, *leg).unwrap().quantity, Quantity::new(4), "{leg}");
        assert_eq!(execution.leg(StrategyId(0), BTC, *leg).unwrap().quantity, Quantity::new(4), "{leg}");
    }
}

// ---- dated orders ----

#[test]
fn a_question_about_a_dated_order_does_not_put_off_the_one_about_its_end() {
    let mut desk = Desk::ready();
    let end = desk.now + Nanos::from_secs(5);
    let sent = desk.send(bid(0, 1).until(end));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    let doubt = *desk.seen.asks.last().unwrap();
    desk.accept(&sent);
    desk.answer(&doubt, HydrationPhase::End);
    desk.settle();
    assert_eq!(desk.order(&sent).confirmation, Confirmation::Confirmed);
    desk.seen.asks.clear();
    // The venue is silent about the end: it is asked once a report is overdue, and not half a minute later.
    desk.pass(Nanos::from_millis(7_200));
    let asked = desk.seen.asks.iter().filter(|ask| ask.client_order_id == sent.client_order_id).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_wish_that_takes_the_place_of_one_on_another_instrument_is_weighed_without_it() {
    let mut two = slow();
    // 10 lots here are worth 10, and so they are there.
    two.strategies[0].max_gross = 15 * CASH_UNIT;
    let mut desk = Desk::ready_with(two, definition());
    desk.send(bid(0, 1));
    let here = limit(1, BTC, Side::Buy, 9_980, 10);
    let there = limit(1, ETH, Side::Buy, 9_980, 10);
    let records = desk.wish(vec![Intent::New(here), Intent::New(there)]);
    assert_eq!((records[1].verdict, records[1].admission), (RiskReason::Allowed, Admission::Replaced));
}

// ---- rate ----

#[test]
fn a_replacement_that_can_only_be_a_cancel_draws_a_cancels_tokens() {
    let mut with = slow();
    with.venues[0].buckets[0].burst = 2;
    with.venues[0].buckets[0].costs = [1, 2, 1];
    let spot = InstrumentDefinition { product: Product::Spot, ..definition() };
    let mut desk = Desk::ready_with(with, spot);
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    desk.settle();
    desk.take_dispatches();
    // One token is left.
    desk.wish(vec![replace(0, 9_991, 10)]);
    let gone = desk.take_dispatches();
    assert_eq!(gone.iter().map(|d| d.request).collect::<Vec<_>>(), [RequestKind::Cancel]);
}

// ---- read-backs ----

/// A trade happens while the account is read back, which does not include it: its position is told before the read-back is whole, its order after it.
#[test]
fn half_a_trade_told_during_a_read_back_is_no_inconsistency() {
    for order_first in [false, true] {
        let mut desk = holding(10);
        let sent = desk.open(limit(1, BTC, Side::Sell, 10_010, 10));
        desk.settle();
        desk.link(LinkKind::Private, LinkState::Down);
        desk.link(LinkKind::Private, LinkState::Up);
        let fill = desk.fill(&sent, 4, 4, 2);
        desk.hydrate(|desk| {
            desk.position(BTC, 10, true);
            let open = desk.report(&sent, Execution::Status, VenueStatus::New);
            desk.tell(&sent, OrderReport { flags: ReportFlags(ReportFlags::HYDRATED), ..open });
            match order_first {
                true => desk.tell(&sent, fill),
                false => desk.position(BTC, 6, false),
            }
        });
        assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
        assert!(matches!(desk.core.state().execution.agreement(BTC), Agreement::DiffersSince(_)));
        match order_first {
            true => desk.position(BTC, 6, false),
            false => desk.tell(&sent, fill),
        }
        desk.settle();
        assert_eq!((desk.held(BTC), desk.core.state().execution.agreement(BTC)), (6, Agreement::Agrees));
    }
}

/// The other half never comes: the next read-back judges.
#[test]
fn half_a_trade_whose_other_half_never_comes_is_read_back_again_and_then_an_inconsistency() {
    let mut desk = holding(10);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| {
        desk.position(BTC, 10, true);
        desk.position(BTC, 6, false);
    });
    let first = desk.account_ask().expect("an ask").number;
    desk.pass(Nanos::from_secs(10));
    let again = desk.account_ask().expect("an ask").number;
    assert!(again > first, "it is asked about");
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
    desk.hydrate(|desk| desk.position(BTC, 6, true));
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 1);
    assert_eq!(desk.core.state().execution.agreement(BTC), Agreement::Inconsistent);
}

// ---- spot and a flatten ----

/// A spot account that holds 30 lots, of which the strategy bought 10.
fn spot_wallet() -> Desk {
    let market = InstrumentDefinition { product: Product::Spot, ..definition() };
    let mut desk = Desk::ready_with(configuration(), market);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| {
        for (asset, wallet) in [(AssetId(1), 20 * 100_000), (AssetId(0), 1_000_000 * CASH_UNIT)] {
            let (available, cause) = (wallet, BalanceCause::ReadBack);
            let report = BalanceReport { asset, wallet, available, change: 0, cause, hydrated: true };
            desk.give(Body::Balance(report));
        }
    });
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    let (asset, wallet) = (AssetId(1), 30 * 100_000);
    let (available, cause) = (i64::MIN, BalanceCause::Order);
    desk.give(Body::Balance(BalanceReport { asset, wallet, available, change: 0, cause, hydrated: false }));
    desk.settle();
    desk.take_dispatches();
    assert_eq!(desk.held(BTC), 30);
    desk
}

#[test]
fn on_spot_a_flatten_sells_what_the_strategies_hold_and_never_a_persons_coins() {
    for by_kill in [true, false] {
        let mut desk = spot_wallet();
        if by_kill {
            desk.kill(KillMode::Flatten);
        } else {
            desk.control(ControlVerb::Flatten, 0);
        }
        let sent = desk.take_dispatches();
        assert_eq!(sent.len(), 1, "by kill: {by_kill}");
        assert_eq!((sent[0].side, sent[0].quantity), (Side::Sell, Quantity::new(10)));
        // The sender's gate knows it for one that only reduces.
        assert!(sent[0].flags.has(DispatchFlags::REDUCE_ONLY));
        desk.accept(&sent[0]);
        let fill = OrderReport { last_price: Price::new(9_990), ..desk.fill(&sent[0], 10, 10, 2) };
        desk.tell(&sent[0], fill);
        desk.settle();
        desk.pass(Nanos::from_secs(2));
        assert!(desk.take_dispatches().is_empty(), "nothing more is sold");
        let of = |owner| desk.core.state().execution.position(owner, BTC).unwrap().quantity.raw();
        assert_eq!((of(StrategyId(0)), of(StrategyId::EXTERNAL), desk.held(BTC)), (0, 20, 20));
        assert!(!desk.core.state().control.flattening);
    }
}

#[test]
fn a_flatten_that_is_refused_is_tried_again_after_a_while_and_not_at_once() {
    let mut desk = holding(10);
    desk.kill(KillMode::Flatten);
    let mut tries = 0;
    for _ in 0..100 {
        for sent in desk.take_dispatches() {
            tries += 1;
            let reason = NotSentReason::KillGate;
            desk.on(
                sent.instrument,
                Body::NotSent(NotSent {
                    client_order_id: sent.client_order_id,
                    dispatch: sent.number,
                    request: sent.request,
                    reason,
                }),
            );
        }
        desk.pass(Nanos::from_millis(10));
    }
    // A second, a quarter of a second each.
    assert!((4..=5).contains(&tries), "{tries} tries");
}

#[test]
fn what_was_to_close_everything_does_not_go_out_after_the_reset_of_its_kill() {
    let mut desk = holding(10);
    desk.link(LinkKind::OrderEntry, LinkState::Down);
    desk.kill(KillMode::Flatten);
    desk.settle();
    assert!(desk.core.state().execution.queue.iter().any(|pending| pending.new_order().is_some()));
    desk.control(ControlVerb::ResetKill, 0);
    assert!(desk.core.state().execution.queue.is_empty(), "a person decided to keep the position");
    desk.link(LinkKind::OrderEntry, LinkState::Up);
    desk.settle();
    assert!(desk.take_dispatches().is_empty());
}

// ---- two strategies on one instrument ----

fn two_of_one_instrument() -> (Desk, Second) {
    let mut two = configuration();
    two.strategies.push(two.strategies[0].clone());
    Desk::ready_with_second(two)
}

#[test]
fn two_of_ours_that_wait_at_once_do_not_trade_with_each_other() {
    let (mut desk, second) = two_of_one_instrument();
    desk.link(LinkKind::OrderEntry, LinkState::Down);
    let buys = desk.wish(vec![Intent::New(limit(0, ETH, Side::Buy, 10_005, 1))]);
    assert_eq!(buys[0].verdict, RiskReason::Allowed);
    let sells = second.wish(&mut desk, vec![Intent::New(limit(0, ETH, Side::Sell, 10_005, 1))]);
    assert_eq!(sells[0].verdict, RiskReason::SelfCross, "the other waits, and would rest first");
    let above = second.wish(&mut desk, vec![Intent::New(limit(1, ETH, Side::Sell, 10_006, 1))]);
    assert_eq!(above[0].verdict, RiskReason::Allowed);
}

#[test]
fn who_may_only_reduce_lowers_its_own_position_and_not_that_of_others() {
    let (mut desk, second) = two_of_one_instrument();
    let reduce = |desk: &mut Desk, strategy: u32| {
        desk.give(Body::Control(Control {
            verb: ControlVerb::SetTradingState,
            target: strategy,
            old: 0,
            new: i64::from(TradingState::Reducing.code()),
            who: 0,
        }));
    };
    // The first is short 3 where the other is long 10: the account is long.
    second.trade(&mut desk, limit(0, ETH, Side::Buy, 9_990, 10), 9_990);
    let sold = desk.open(limit(0, ETH, Side::Sell, 10_020, 3));
    let fill = desk.fill(&sold, 3, 3, 50);
    desk.tell(&sold, fill);
    desk.settle();
    reduce(&mut desk, 0);
    let more = desk.wish(vec![Intent::New(limit(1, ETH, Side::Sell, 10_030, 1))]);
    assert_eq!(more[0].verdict, RiskReason::StrategyReducing, "it would be shorter, whatever the account is");
    let back = desk.wish(vec![Intent::New(limit(2, ETH, Side::Buy, 9_980, 3))]);
    assert_eq!(back[0].verdict, RiskReason::Allowed, "it buys its own back");
    let through = desk.wish(vec![Intent::New(limit(3, ETH, Side::Buy, 9_980, 1))]);
    assert_eq!(through[0].verdict, RiskReason::StrategyReducing, "all of it is on its way already");
}
