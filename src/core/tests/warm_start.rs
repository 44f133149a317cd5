//! Going on from an earlier run's state: what is kept, what is asked, what closes, and what is never sent twice.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::num::*;
use linchpin_core::record::{Decision, IncidentKind};
use linchpin_core::state::order::OrderState;
use linchpin_core::time::Nanos;

/// The desk of the next run: the same tables, the state that the earlier one left, its own run tag.
fn next_run(earlier: &Desk, orphans: Orphans) -> Desk {
    let mut form = Vec::new();
    earlier.core.save(&mut form);
    let mut desk =
        Desk::cold(linchpin_core::limits::Configuration { run_tag: *b"again", ..configuration() }, vec![]);
    desk.core.succeed(&form, true).expect("the same tables");
    desk.now = earlier.now + Nanos::from_secs(3_600);
    let last = i64::try_from(earlier.now.raw()).unwrap();
    let target = u32::from(orphans.code());
    desk.give(Body::Control(Control { verb: ControlVerb::WarmStart, target, old: last, new: 1, who: 0 }));
    desk
}

fn connect(desk: &mut Desk) {
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    for instrument in [BTC, ETH] {
        desk.market(instrument, 10_000, 10_010);
    }
}

fn status(desk: &Desk, of: &linchpin_core::dispatch::Dispatch, status: VenueStatus) -> OrderReport {
    let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true);
    OrderReport { flags, ..desk.report(of, Execution::Status, status) }
}

fn ask_of(
    desk: &Desk,
    scope: HydrationScope,
    instrument: InstrumentId,
) -> Option<linchpin_core::record::Ask> {
    desk.seen.asks.iter().rev().find(|ask| ask.scope == scope && ask.instrument == instrument).copied()
}

fn end_trades(desk: &mut Desk, instrument: InstrumentId, trades: &[OrderReport]) {
    let ask = ask_of(desk, HydrationScope::Trades, instrument).expect("asked for its trades");
    let bracket = |phase| {
        let client_order_id = ClientOrderId::NONE;
        Body::Hydration(Hydration {
            scope: HydrationScope::Trades,
            phase,
            client_order_id,
            request: ask.number,
            as_of: Nanos::ZERO,
        })
    };
    desk.on(instrument, bracket(HydrationPhase::Begin));
    trades.iter().for_each(|trade| desk.on(instrument, Body::Order(*trade)));
    desk.on(instrument, bracket(HydrationPhase::End));
}

fn trade(id: u64, order: u64, side: Side, quantity: i64) -> OrderReport {
    let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true).with(ReportFlags::TRADE_ONLY, true);
    OrderReport {
        client_order_id: ClientOrderId::NONE,
        venue_order_id: VenueOrderId(order),
        price: Price::ZERO,
        quantity: Quantity::ZERO,
        cumulative_quantity: Quantity::ZERO,
        last_quantity: Quantity::new(quantity),
        last_price: Price::new(10_000),
        trade_id: id,
        fee: 0,
        fee_asset: AssetId(0),
        execution: Execution::Trade,
        status: VenueStatus::Other,
        kind: OrderKind::Other,
        time_in_force: TimeInForce::GoodTillCancel,
        side,
        flags,
    }
}

#[test]
fn what_is_open_stays_ours_and_trading_waits_until_everything_is_read_back() {
    let mut earlier = Desk::ready();
    let order = earlier.open(limit(1, BTC, Side::Buy, 9_990, 5));
    let mut desk = next_run(&earlier, Orphans::Close);
    connect(&mut desk);
    let held = desk.wish(vec![linchpin_core::intent::Intent::New(limit(2, BTC, Side::Buy, 9_980, 5))]);
    assert_eq!(held.len(), 1);
    assert!(desk.take_dispatches().is_empty(), "the account is not read back yet");
    desk.hydrate(|desk| desk.tell(&order, status(desk, &order, VenueStatus::New)));
    assert_eq!(desk.order(&order).state, OrderState::Accepted);
    assert!(desk.take_dispatches().is_empty(), "its trades are not read yet");
    end_trades(&mut desk, BTC, &[]);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1, "and now it goes");
    assert!(sent[0].client_order_id.text().unwrap().starts_with("again"), "under this run's own tag");
}

#[test]
fn an_order_that_never_came_to_be_closes_and_is_not_sent_again() {
    let mut earlier = Desk::ready();
    let order = earlier.send(limit(1, BTC, Side::Buy, 9_990, 5));
    let mut desk = next_run(&earlier, Orphans::Close);
    connect(&mut desk);
    desk.hydrate(|_| {});
    desk.settle();
    let ask = ask_of(&desk, HydrationScope::Order, BTC).expect("asked about by its id");
    assert_eq!(ask.client_order_id, order.client_order_id);
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&order).state, OrderState::Rejected);
    desk.settle();
    end_trades(&mut desk, BTC, &[]);
    assert!(desk.take_dispatches().is_empty(), "nothing is sent again on a guess");
}

#[test]
fn with_requeue_an_order_that_never_came_to_be_is_wished_anew_once_through_risk() {
    let mut earlier = Desk::ready();
    let order = earlier.send(limit(1, BTC, Side::Buy, 9_990, 5));
    let mut desk = next_run(&earlier, Orphans::Requeue);
    connect(&mut desk);
    desk.hydrate(|_| {});
    desk.settle();
    let ask = ask_of(&desk, HydrationScope::Order, BTC).expect("asked about by its id");
    desk.answer(&ask, HydrationPhase::NotFound);
    desk.settle();
    end_trades(&mut desk, BTC, &[]);
    desk.settle();
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_ne!(sent[0].client_order_id, order.client_order_id, "a new order");
    assert_eq!((sent[0].price, sent[0].quantity, sent[0].key), (order.price, order.quantity, order.key));
    let wished = desk
        .seen
        .decisions
        .iter()
        .filter(|d| matches!(d, Decision::Intent(record) if record.key == order.key));
    assert_eq!(wished.count(), 1, "risk has seen it");
}

#[test]
fn fills_while_nobody_looked_are_booked_once_whether_ours_or_somebody_elses() {
    let mut earlier = Desk::ready();
    let known = earlier.open(limit(1, BTC, Side::Buy, 9_990, 5));
    earlier.tell(&known, earlier.fill(&known, 2, 2, 70));
    earlier.settle();
    // Sent, and the run was cut off before the venue's number of it was known.
    let unconfirmed = earlier.send(limit(2, BTC, Side::Buy, 9_980, 3));
    let mut desk = next_run(&earlier, Orphans::Close);
    connect(&mut desk);
    desk.hydrate(|desk| desk.position(BTC, 12, true));
    desk.settle();
    assert!(
        ask_of(&desk, HydrationScope::Trades, BTC).is_none(),
        "while orders are in doubt, a trade may be theirs"
    );
    for (order, trade_id, quantity) in [(&known, 71, 3), (&unconfirmed, 72, 3)] {
        let ask = desk
            .seen
            .asks
            .iter()
            .rev()
            .find(|ask| ask.client_order_id == order.client_order_id)
            .copied()
            .unwrap();
        desk.answer(&ask, HydrationPhase::Begin);
        let whole = order.quantity.raw();
        desk.tell(
            order,
            OrderReport {
                client_order_id: order.client_order_id,
                ..trade(trade_id, order.number + 9_000, Side::Buy, quantity)
            },
        );
        let filled = OrderReport {
            cumulative_quantity: Quantity::new(whole),
            ..status(&desk, order, VenueStatus::Filled)
        };
        desk.tell(order, filled);
        desk.answer(&ask, HydrationPhase::End);
    }
    desk.settle();
    assert_eq!(desk.held(BTC), 8);
    let ours = |desk: &Desk| desk.core.state().execution.position(StrategyId(0), BTC).unwrap().quantity.raw();
    assert_eq!(ours(&desk), 8);
    let asked = ask_of(&desk, HydrationScope::Trades, BTC).expect("asked for its trades");
    assert_eq!(asked.after_trade, 70);
    // Both of ours again, and four lots that somebody bought by hand.
    end_trades(
        &mut desk,
        BTC,
        &[
            trade(71, known.number + 9_000, Side::Buy, 3),
            trade(72, unconfirmed.number + 9_000, Side::Buy, 3),
            trade(73, 777, Side::Buy, 4),
        ],
    );
    desk.settle();
    assert_eq!((desk.held(BTC), ours(&desk)), (12, 8), "somebody else's are the account's and not ours");
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
}

/// Found by the crash matrix: its trade came back without an id of ours before the venue had told its number, and was booked as
/// somebody else's, and then again.
#[test]
fn not_even_a_reducing_order_goes_out_while_trades_are_read_back() {
    let mut earlier = Desk::ready();
    let held = earlier.open(limit(1, BTC, Side::Buy, 9_990, 5));
    earlier.tell(&held, earlier.fill(&held, 5, 5, 70));
    earlier.settle();
    let mut desk = next_run(&earlier, Orphans::Close);
    connect(&mut desk);
    desk.hydrate(|desk| desk.position(BTC, 5, true));
    desk.settle();
    assert!(ask_of(&desk, HydrationScope::Trades, BTC).is_some(), "under way");
    desk.wish(vec![linchpin_core::intent::Intent::New(limit(2, BTC, Side::Sell, 10_010, 5))]);
    desk.settle();
    assert!(desk.take_dispatches().is_empty(), "it waits");
    end_trades(&mut desk, BTC, &[]);
    desk.settle();
    assert_eq!(desk.take_dispatches().len(), 1, "and then it goes");
}

#[test]
fn a_run_that_drains_is_not_idle_before_it_knows_what_happened_while_nobody_looked() {
    let mut earlier = Desk::ready();
    let order = earlier.open(limit(1, BTC, Side::Buy, 9_990, 5));
    let mut desk = next_run(&earlier, Orphans::Close);
    connect(&mut desk);
    // It is not in the snapshot, so it is not open; what it got is in the trades.
    desk.hydrate(|desk| desk.position(BTC, 5, true));
    desk.control(ControlVerb::Drain, 0);
    desk.settle();
    let ask = ask_of(&desk, HydrationScope::Order, BTC).expect("asked about by its id");
    desk.answer(&ask, HydrationPhase::Begin);
    let filled =
        OrderReport { cumulative_quantity: order.quantity, ..status(&desk, &order, VenueStatus::Filled) };
    desk.tell(&order, OrderReport { client_order_id: order.client_order_id, ..trade(71, 0, Side::Buy, 5) });
    desk.tell(&order, filled);
    desk.answer(&ask, HydrationPhase::End);
    desk.settle();
    assert_eq!(desk.core.open_orders(), 0);
    for instrument in [BTC, ETH] {
        assert!(!desk.core.is_idle(), "its trades are not read yet");
        end_trades(&mut desk, instrument, &[]);
        desk.settle();
    }
    assert!(desk.core.is_idle());
    assert_eq!(desk.held(BTC), 5);
}

#[test]
fn a_kill_survives_and_a_drain_does_not() {
    let mut earlier = Desk::ready();
    earlier.kill(KillMode::Cancel);
    earlier.control(ControlVerb::Drain, 0);
    let desk = next_run(&earlier, Orphans::Close);
    let control = &desk.core.state().control;
    assert_eq!((control.kill, control.draining, control.stopped), (Some(KillMode::Cancel), false, false));
}

#[test]
fn a_state_of_other_tables_is_refused() {
    let earlier = Desk::ready();
    let mut form = Vec::new();
    earlier.core.save(&mut form);
    let mut other = configuration();
    other.instruments.pop();
    other.strategies[0].instruments = vec![0];
    let mut desk = Desk::cold(other, vec![]);
    assert!(desk.core.succeed(&form, false).is_err());
}
