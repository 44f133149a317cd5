//! A trade's fee is booked once, whoever tells it and whenever: with the trade, after it, or in a list of trades.
//!
//! USD-M tells a trade first without its fee (TRADE_LITE) and then with it, in the order's report (ORDER_TRADE_UPDATE).

mod desk;

use desk::*;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::num::*;
use linchpin_core::record::{Decision, RiskReason};
use linchpin_core::state::position::Position;
use linchpin_core::time::Nanos;

const BASE: AssetId = AssetId(1);
/// Of each trade.
const FEE: i64 = 40;

fn bid(quantity: i64) -> linchpin_core::intent::NewIntent {
    limit(0, BTC, Side::Buy, 9_990, quantity)
}

/// One lot, as the order's report tells it.
fn whole(desk: &Desk, of: &Dispatch, trade: u64) -> OrderReport {
    OrderReport { fee: FEE, ..desk.fill(of, 1, trade as i64, trade) }
}

/// The same trade, told ahead: of the order's state and of the fee it says nothing.
fn lite(whole: OrderReport) -> OrderReport {
    OrderReport {
        cumulative_quantity: Quantity::ZERO,
        fee: 0,
        fee_asset: AssetId::NONE,
        status: VenueStatus::Other,
        flags: ReportFlags(ReportFlags::TRADE_ONLY | ReportFlags::FEE_TO_COME),
        ..whole
    }
}

/// The same trade in a list of trades.
fn listed(whole: OrderReport) -> OrderReport {
    OrderReport {
        cumulative_quantity: Quantity::ZERO,
        status: VenueStatus::Other,
        flags: ReportFlags(ReportFlags::TRADE_ONLY | ReportFlags::HYDRATED),
        ..whole
    }
}

fn own(desk: &Desk) -> Position {
    *desk.core.state().execution.position(StrategyId(0), BTC).unwrap()
}

/// What its owner and the account have paid, and what both hold.
fn paid_and_held(desk: &Desk) -> (i128, i64) {
    let (own, total) = (own(desk), *desk.core.state().execution.total(BTC).unwrap());
    assert_eq!((own.fees, own.quantity, own.fills), (total.fees, total.quantity, total.fills));
    (own.fees.raw(), own.quantity.raw())
}

fn duplicates(desk: &Desk) -> u64 {
    desk.core.state().execution.counters.duplicates
}

#[test]
fn a_fee_told_after_its_trade_is_paid_once() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(2));
    let trade = whole(&desk, &sent, 1);
    desk.tell(&sent, lite(trade));
    assert_eq!(paid_and_held(&desk), (0, 1));
    desk.tell(&sent, trade);
    assert_eq!(paid_and_held(&desk), (40, 1));
    assert_eq!(duplicates(&desk), 0, "the second half of the news is no duplicate");
    for again in [trade, lite(trade), listed(trade), trade] {
        desk.tell(&sent, again);
    }
    assert_eq!(paid_and_held(&desk), (40, 1));
    assert_eq!(duplicates(&desk), 4);
    assert_eq!(desk.order(&sent).fee_to_come, Quantity::ZERO);
}

#[test]
fn a_fee_told_with_its_trade_is_not_paid_again_by_a_late_trade_alone() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(2));
    let trade = whole(&desk, &sent, 1);
    for report in [trade, lite(trade), trade] {
        desk.tell(&sent, report);
    }
    assert_eq!(paid_and_held(&desk), (40, 1));
}

#[test]
fn more_trades_told_ahead_than_are_remembered_all_pay_their_fees() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(20));
    let trades: Vec<_> = (1..=20).map(|trade| whole(&desk, &sent, trade)).collect();
    for trade in &trades {
        desk.tell(&sent, lite(*trade));
    }
    assert_eq!(paid_and_held(&desk), (0, 20));
    for trade in &trades {
        desk.tell(&sent, *trade);
    }
    assert_eq!(paid_and_held(&desk), (20 * 40, 20));
    for trade in &trades {
        desk.tell(&sent, *trade);
    }
    assert_eq!(paid_and_held(&desk), (20 * 40, 20), "and none of them twice");
}

#[test]
fn fees_told_out_of_order_are_each_paid() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(4));
    let trades: Vec<_> = (1..=4).map(|trade| whole(&desk, &sent, trade)).collect();
    for at in [0, 1, 2, 3] {
        desk.tell(&sent, lite(trades[at]));
    }
    for at in [3, 0, 2, 0, 1, 3] {
        desk.tell(&sent, trades[at]);
    }
    assert_eq!(paid_and_held(&desk), (4 * 40, 4));
}

#[test]
fn where_the_orders_report_is_lost_its_list_of_trades_pays() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(2));
    let trade = whole(&desk, &sent, 1);
    desk.tell(&sent, lite(trade));
    desk.settle();
    desk.pass(Nanos::from_secs(60));
    let ask = *desk.seen.asks.last().expect("the report that did not come is asked for");
    desk.tell(&sent, listed(trade));
    let state = desk.report(&sent, Execution::Status, VenueStatus::PartiallyFilled);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(1), ..state });
    desk.answer(&ask, HydrationPhase::End);
    assert_eq!(paid_and_held(&desk), (40, 1));
}

#[test]
fn what_a_read_back_booked_is_paid_for_when_its_trades_are_told() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(5));
    let state = desk.report(&sent, Execution::Status, VenueStatus::PartiallyFilled);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(2), ..state });
    assert_eq!((paid_and_held(&desk), desk.order(&sent).fee_to_come), ((0, 2), Quantity::new(2)));
    for trade in 1..=2 {
        let trade = whole(&desk, &sent, trade);
        desk.tell(&sent, trade);
    }
    assert_eq!(paid_and_held(&desk), (2 * 40, 2));
    // What was not booked without a fee, no fee is owed for.
    let other = OrderReport { trade_id: 9, cumulative_quantity: Quantity::new(2), ..whole(&desk, &sent, 2) };
    desk.tell(&sent, other);
    assert_eq!(paid_and_held(&desk), (2 * 40, 2));
}

#[test]
fn an_order_that_has_ended_still_pays_what_is_told_late() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(1));
    let trade = whole(&desk, &sent, 1);
    desk.tell(&sent, lite(trade));
    let ended = desk.report(&sent, Execution::Trade, VenueStatus::Filled);
    desk.tell(&sent, OrderReport { cumulative_quantity: Quantity::new(1), ..ended });
    desk.settle();
    assert_eq!(paid_and_held(&desk), (0, 1));
    desk.tell(&sent, trade);
    assert_eq!(paid_and_held(&desk), (40, 1));
}

#[test]
fn a_fee_told_late_counts_in_the_days_loss() {
    let mut with = configuration();
    with.strategies[0].max_daily_loss = 1_000_000;
    let mut desk = Desk::ready_with(with, definition());
    let sent = desk.open(bid(1));
    let trade = OrderReport { fee: 1_000_001, ..whole(&desk, &sent, 1) };
    let stopped = |desk: &Desk| {
        let trips = desk.seen.decisions.iter();
        trips
            .filter(|decision| matches!(decision, Decision::Trip(trip) if trip.why == RiskReason::DailyLoss))
            .count()
    };
    desk.tell(&sent, lite(trade));
    assert_eq!(stopped(&desk), 0);
    desk.tell(&sent, trade);
    desk.market(BTC, 10_000, 10_010);
    desk.settle();
    assert_eq!(stopped(&desk), 1, "the fee alone is more than may be lost in a day");
}

#[test]
fn on_spot_a_fee_in_the_base_asset_told_late_takes_its_lots() {
    let market = InstrumentDefinition { product: Product::Spot, ..definition() };
    let mut desk = Desk::ready_with(configuration(), market);
    let sent = desk.open(bid(3));
    // A lot is 100,000 at eight decimals of the base asset: one and a half of them.
    let trade = OrderReport { fee_asset: BASE, fee: 150_000, ..desk.fill(&sent, 3, 3, 1) };
    desk.tell(&sent, lite(trade));
    assert_eq!(own(&desk).quantity.raw(), 3);
    desk.tell(&sent, trade);
    let own = own(&desk);
    assert_eq!((own.quantity.raw(), own.base_owed, desk.held(BTC)), (2, Cash::new(50_000), 2));
}

#[test]
fn the_fee_of_a_flatten_told_late_is_shared_by_the_lots_that_each_closed() {
    let mut two = configuration();
    two.strategies.push(two.strategies[0].clone());
    let (mut desk, second) = Desk::ready_with_second(two);
    let bought = desk.open(limit(0, ETH, Side::Buy, 9_990, 6));
    let fill = desk.fill(&bought, 6, 6, 1);
    desk.tell(&bought, fill);
    desk.settle();
    second.trade(&mut desk, limit(0, ETH, Side::Sell, 10_020, 2), 10_020);
    desk.control(ControlVerb::Flatten, 0);
    let close = desk.take_dispatches().pop().expect("an order that closes");
    let fees = |desk: &Desk| {
        let execution = &desk.core.state().execution;
        [StrategyId(0), StrategyId(1), StrategyId::EXTERNAL]
            .map(|owner| execution.position(owner, ETH).unwrap().fees.raw())
    };
    let trades = [desk.fill(&close, 2, 2, 50), desk.fill(&close, 2, 4, 51)];
    for trade in trades {
        desk.tell(&close, lite(trade));
    }
    assert_eq!((desk.held(ETH), fees(&desk)), (0, [0, 0, 0]));
    for trade in trades {
        desk.tell(&close, OrderReport { fee: 40, ..trade });
    }
    // Each trade closed three lots of the first and one of the other, short one: three quarters and one.
    assert_eq!(fees(&desk), [60, 20, 0]);
    assert_eq!(desk.core.state().execution.total(ETH).unwrap().fees.raw(), 80);
}
