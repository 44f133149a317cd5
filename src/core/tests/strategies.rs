//! The built-in strategies against a venue that matches, loses reports, and ends orders by itself.

mod desk;
mod floor;

use desk::*;
use floor::Floor;
use linchpin_core::event::*;
use linchpin_core::id::StrategyId;
use linchpin_core::intent::Intent;
use linchpin_core::limits::PositionMode;
use linchpin_core::num::{Price, Quantity};
use linchpin_core::record::IncidentKind;
use linchpin_core::strategy::bracket::{self, Bracket, Protects};
use linchpin_core::strategy::chaser::{self, Chaser, Finish};
use linchpin_core::strategy::dca::{self, DcaEntry};
use linchpin_core::strategy::{Strategy, parameter_target};
use linchpin_core::time::Nanos;

/// Whom the tests are about: the scripted strategy stands before it.
const OURS: StrategyId = StrategyId(1);

fn run(strategy: Box<dyn Strategy>, seed: u64) -> (Desk, Floor) {
    let mut with = configuration();
    let second = with.strategies[0].clone();
    with.strategies.push(second);
    for limits in &mut with.instruments {
        limits.stale_after = Nanos::from_secs(10_000);
        limits.max_position = Quantity::new(1_000);
        limits.max_open_orders = 100;
    }
    with.order_rows = 4_096;
    // The floor opens after the desk is ready: what the strategy wishes before that is denied.
    with.trading_enabled = false;
    let mut desk = Desk::ready_beside(with, vec![strategy]);
    desk.control(ControlVerb::EnableTrading, 0);
    desk.pass(Nanos::from_secs(1));
    (desk, Floor::new(seed))
}

fn own(desk: &Desk) -> i64 {
    desk.core.state().execution.position(OURS, BTC).unwrap().quantity.raw()
}

/// What nobody may ever see, whatever the venue does.
fn nothing_broke(desk: &Desk, floor: &Floor) {
    assert!(floor.faults.is_empty(), "{:?}", floor.faults);
    assert!(IncidentKind::ALL.iter().all(|kind| !kind.is_broken_invariant() || desk.incidents(*kind) == 0));
    assert!(desk.core.state().control.kill.is_none());
}

// ---- the chaser ----

fn chase() -> chaser::Parameters {
    chaser::Parameters {
        side: Side::Buy,
        quantity: Quantity::new(50),
        price_limit: None,
        max_slippage: 20,
        child_quantity: Quantity::new(20),
        deadline: Nanos::ZERO,
        finish: Finish::Leave,
        requote_ticks: 1,
    }
}

fn phase(desk: &Desk) -> &'static str {
    desk.core.progress(OURS).expect("a chaser tells").phase
}

#[test]
fn a_chaser_fills_its_parent_exactly_and_then_is_silent() {
    let (mut desk, mut floor) = run(Box::new(Chaser::new(chase())), 1);
    for turn in 0..40 {
        floor.market(&mut desk, 10_000 + turn % 3, 10_010 + turn % 3);
        floor.hit(&mut desk, 7);
        assert!(floor.live().len() <= 1, "one child at a time");
        assert!(floor.live().iter().all(|open| open.leaves() <= 20), "no more than may show");
    }
    assert_eq!((floor.bought, own(&desk), phase(&desk)), (50, 50, "done"));
    assert!(floor.live().is_empty());
    nothing_broke(&desk, &floor);
}

#[test]
fn a_chaser_follows_the_touch_up_to_its_slippage_cap_and_no_further() {
    let (mut desk, mut floor) = run(Box::new(Chaser::new(chase())), 2);
    floor.market(&mut desk, 10_000, 10_010);
    // Arrived at 10,005: 0.2 % of it is 20.01.
    for bid in [10_001, 10_008, 10_020, 10_024, 10_030, 10_100] {
        floor.market(&mut desk, bid, bid + 10);
        let child = floor.live()[0];
        assert_eq!(child.price, bid.min(10_025), "at bid {bid}");
    }
    floor.market(&mut desk, 10_010, 10_020);
    assert_eq!(floor.live()[0].price, 10_010, "and back");
}

#[test]
fn a_chaser_keeps_its_price_limit_where_that_is_tighter() {
    let limited = chaser::Parameters { price_limit: Some(Price::new(10_004)), ..chase() };
    let (mut desk, mut floor) = run(Box::new(Chaser::new(limited)), 3);
    for bid in [10_000, 10_006, 10_050] {
        floor.market(&mut desk, bid, bid + 10);
        assert_eq!(floor.live()[0].price, bid.min(10_004));
    }
}

#[test]
fn a_chaser_takes_the_remainder_at_its_deadline_once_and_within_its_bound() {
    let hurried = chaser::Parameters { deadline: Nanos::from_secs(30), finish: Finish::Take, ..chase() };
    let (mut desk, mut floor) = run(Box::new(Chaser::new(hurried)), 4);
    floor.market(&mut desk, 10_000, 10_010);
    floor.hit(&mut desk, 5);
    floor.pass(&mut desk, Nanos::from_secs(31));
    floor.market(&mut desk, 10_001, 10_011);
    floor.market(&mut desk, 10_002, 10_012);
    assert_eq!((floor.bought, own(&desk), phase(&desk)), (50, 50, "done"));
    let taker = floor.orders.last().unwrap();
    assert_eq!((taker.order.time_in_force, taker.price), (TimeInForce::ImmediateOrCancel, 10_025));
    assert_eq!(taker.quantity, 45);
    assert!(floor.live().is_empty());
    nothing_broke(&desk, &floor);
}

#[test]
fn a_chaser_leaves_the_remainder_at_its_deadline_if_it_was_told_so() {
    let (mut desk, mut floor) =
        run(Box::new(Chaser::new(chaser::Parameters { deadline: Nanos::from_secs(30), ..chase() })), 5);
    floor.market(&mut desk, 10_000, 10_010);
    floor.hit(&mut desk, 5);
    floor.pass(&mut desk, Nanos::from_secs(31));
    floor.market(&mut desk, 10_001, 10_011);
    floor.market(&mut desk, 10_001, 10_012);
    assert_eq!((floor.bought, phase(&desk), floor.live().len()), (5, "done", 0));
    let progress = desk.core.progress(OURS).unwrap();
    assert_eq!((progress.filled, progress.wanted), (Quantity::new(5), Quantity::new(50)));
}

#[test]
fn a_chaser_never_buys_twice_whatever_reports_are_lost() {
    let mut finished = 0;
    for seed in 0..60 {
        let mut parameters = chase();
        if seed % 2 == 0 {
            (parameters.deadline, parameters.finish) = (Nanos::from_secs(200), Finish::Take);
        }
        let (mut desk, mut floor) = run(Box::new(Chaser::new(parameters)), seed);
        floor.loses_one_in = 4;
        for _ in 0..60 {
            let bid = 9_995 + floor.dice(20) as i64;
            floor.market(&mut desk, bid, bid + 10);
            let most = 1 + floor.dice(9) as i64;
            floor.hit(&mut desk, most);
            if floor.dice(9) == 0 {
                floor.evict(&mut desk, OrderKind::Limit);
            }
            assert!(floor.bought <= 50, "seed {seed}: {} bought of 50", floor.bought);
            let most_open: i64 = floor.live().iter().map(|open| open.leaves()).sum();
            assert!(
                floor.bought + most_open <= 50,
                "seed {seed}: {} could be bought",
                floor.bought + most_open
            );
            floor.pass(&mut desk, Nanos::from_secs(3));
        }
        nothing_broke(&desk, &floor);
        finished += u32::from(floor.bought == 50);
    }
    assert!(finished > 40, "only {finished} of 60 came to their end");
}

// ---- the bracket ----

fn guarded() -> bracket::Parameters {
    bracket::Parameters {
        protects: Protects::Account,
        stop_loss: 100,
        take_profit: 200,
        trailing: 0,
        trigger_by: TriggerBy::LastPrice,
        restep_ticks: 2,
        entry: None,
    }
}

/// The scripted strategy trades; the floor answers.
fn trade(desk: &mut Desk, floor: &mut Floor, side: Side, quantity: i64) {
    let touch = if side == Side::Buy { floor.ask } else { floor.bid };
    let order = limit(0, BTC, side, touch, quantity).valid(TimeInForce::ImmediateOrCancel);
    desk.wish(vec![Intent::New(order)]);
    floor.work(desk);
}

/// Quantity and price of each.
type Guards = Vec<(i64, i64)>;

/// Live stops and targets, as the venue has them.
fn guards(floor: &Floor) -> (Guards, Guards) {
    let stops = floor.live_of(OrderKind::StopMarket);
    let stops = stops.iter().map(|open| (open.leaves(), open.order.stop_price.raw())).collect();
    let targets = floor.live_of(OrderKind::Limit);
    (stops, targets.iter().map(|open| (open.leaves(), open.price)).collect())
}

#[test]
fn a_bracket_follows_the_position_as_it_grows_shrinks_turns_and_ends() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 1);
    floor.market(&mut desk, 10_000, 10_010);
    assert!(floor.live().is_empty(), "nothing is held");
    trade(&mut desk, &mut floor, Side::Buy, 10);
    // Bought at 10,010: the stop at 9,909.9 rounded up, the target at 10,210.2 rounded up.
    assert_eq!(guards(&floor), (vec![(10, 9_910)], vec![(10, 10_211)]));
    trade(&mut desk, &mut floor, Side::Buy, 5);
    assert_eq!(guards(&floor), (vec![(15, 9_910)], vec![(15, 10_211)]));
    trade(&mut desk, &mut floor, Side::Sell, 12);
    assert_eq!(guards(&floor), (vec![(3, 9_910)], vec![(3, 10_211)]));
    trade(&mut desk, &mut floor, Side::Sell, 8);
    // Five short from 10,000: bought back at 10,100, or at 9,800.
    assert_eq!(guards(&floor), (vec![(5, 10_100)], vec![(5, 9_800)]));
    trade(&mut desk, &mut floor, Side::Buy, 5);
    assert_eq!(guards(&floor), (vec![], vec![]));
    nothing_broke(&desk, &floor);
}

#[test]
fn a_brackets_stop_closes_the_position_and_cancels_the_target() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 2);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    floor.market(&mut desk, 9_905, 9_915);
    assert_eq!((floor.held, floor.live().len()), (0, 0));
    nothing_broke(&desk, &floor);
}

#[test]
fn a_brackets_target_closes_part_by_part_and_the_stop_shrinks_with_it() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 3);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    floor.market(&mut desk, 10_205, 10_211);
    floor.hit(&mut desk, 4);
    assert_eq!(guards(&floor), (vec![(6, 9_910)], vec![(6, 10_211)]));
    floor.hit(&mut desk, 6);
    assert_eq!((floor.held, floor.live().len()), (0, 0));
    nothing_broke(&desk, &floor);
}

#[test]
fn a_guard_that_the_venue_cancels_is_placed_again() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 4);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    floor.evict(&mut desk, OrderKind::StopMarket);
    floor.evict(&mut desk, OrderKind::Limit);
    floor.market(&mut desk, 10_000, 10_011);
    assert_eq!(guards(&floor), (vec![(10, 9_910)], vec![(10, 10_211)]));
}

#[test]
fn a_position_that_is_beyond_its_stop_already_is_closed_at_market() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 5);
    floor.market(&mut desk, 10_000, 10_010);
    // Bought at 10,010; the next thing that anybody sees is far below the stop.
    let order = linchpin_core::intent::NewIntent::market(BTC, Side::Buy, Quantity::new(10));
    desk.wish(vec![Intent::New(linchpin_core::intent::NewIntent { key: key(0), ..order })]);
    desk.market(BTC, 9_800, 9_810);
    floor.work(&mut desk);
    floor.market(&mut desk, 9_800, 9_810);
    assert_eq!((floor.held, floor.live().len()), (0, 0));
    nothing_broke(&desk, &floor);
}

#[test]
fn a_growing_position_is_never_without_a_stop() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 6);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    let before = floor.orders.len();
    trade(&mut desk, &mut floor, Side::Buy, 10);
    // The new stop was opened before the old one was cancelled.
    let stops: Vec<_> =
        floor.orders[before..].iter().filter(|o| o.order.kind == OrderKind::StopMarket).collect();
    assert_eq!(stops.len(), 1);
    let cancels = floor.orders.iter().filter(|o| o.status == VenueStatus::Cancelled).count();
    assert_eq!(cancels, 1, "the old stop");
    assert_eq!(guards(&floor).0, [(20, 9_910)]);
}

/// As `ctl set` changes it; then the market moves a little, and time passes.
fn set(desk: &mut Desk, floor: &mut Floor, name: &str, new: i64) {
    let table = desk.core.changeable(OURS);
    let at = table.iter().position(|parameter| parameter.name == name).expect("it may change");
    let target = parameter_target(OURS, at as u16);
    desk.give(Body::Control(Control { verb: ControlVerb::SetParameter, target, old: 0, new, who: 0 }));
    for step in 0..4 {
        desk.pass(Nanos::from_secs(1));
        floor.market(desk, 10_000, 10_010 + step % 2);
        floor.work(desk);
    }
}

#[test]
fn a_brackets_distances_change_while_it_guards_and_its_orders_follow() {
    let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), 8);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    assert_eq!(guards(&floor), (vec![(10, 9_910)], vec![(10, 10_211)]));
    set(&mut desk, &mut floor, "stop_loss", 200);
    set(&mut desk, &mut floor, "take_profit", 300);
    // 2% below and 3% above 10,010.
    assert_eq!(guards(&floor), (vec![(10, 9_810)], vec![(10, 10_311)]));
    set(&mut desk, &mut floor, "take_profit", 0);
    assert_eq!(guards(&floor), (vec![(10, 9_810)], vec![]), "none: it is withdrawn");
    let trails = |floor: &Floor| {
        let live = floor.live();
        let trailing = live.iter().filter(|order| order.order.kind == OrderKind::TrailingStop);
        (live.len(), trailing.map(|order| order.order.callback).collect::<Vec<_>>())
    };
    set(&mut desk, &mut floor, "trailing", 50);
    assert_eq!(trails(&floor), (1, vec![50]), "in the place of the one that stood");
    set(&mut desk, &mut floor, "trailing", 100);
    assert_eq!(trails(&floor), (1, vec![100]));
    set(&mut desk, &mut floor, "trailing", 0);
    assert_eq!(guards(&floor), (vec![(10, 9_810)], vec![]), "and back");
    nothing_broke(&desk, &floor);
}

#[test]
fn a_bracket_protects_one_strategy_and_nobody_else() {
    let parameters = bracket::Parameters { protects: Protects::Strategy(StrategyId(0)), ..guarded() };
    let (mut desk, mut floor) = run(Box::new(Bracket::new(parameters)), 7);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Buy, 10);
    assert_eq!(guards(&floor).0, [(10, 9_910)]);
    // The stop's fill is the bracket's own; together they hold nothing, and nothing more is sold.
    floor.market(&mut desk, 9_900, 9_910);
    assert_eq!((floor.held, own(&desk), floor.live().len()), (0, -10, 0));
    floor.market(&mut desk, 9_800, 9_810);
    assert_eq!(floor.held, 0);
}

#[test]
fn a_bracket_makes_its_own_position_once_and_ends_it() {
    let entry =
        bracket::Entry { side: Side::Sell, quantity: Quantity::new(8), price: Some(Price::new(10_015)) };
    let parameters = bracket::Parameters { protects: Protects::Own, entry: Some(entry), ..guarded() };
    let (mut desk, mut floor) = run(Box::new(Bracket::new(parameters)), 8);
    floor.market(&mut desk, 10_000, 10_010);
    floor.market(&mut desk, 10_005, 10_015);
    floor.hit(&mut desk, 3);
    assert_eq!(own(&desk), -3);
    assert_eq!(floor.live_of(OrderKind::StopMarket)[0].leaves(), 3);
    floor.hit(&mut desk, 5);
    // Sold at 10,015: stop at 10,115.15 rounded down, target at 9,814.7 rounded down.
    assert_eq!(guards(&floor), (vec![(8, 10_115)], vec![(8, 9_814)]));
    floor.market(&mut desk, 9_804, 9_814);
    floor.hit(&mut desk, 8);
    assert_eq!((own(&desk), floor.held, floor.live().len()), (0, 0, 0));
    floor.market(&mut desk, 10_005, 10_015);
    floor.market(&mut desk, 10_006, 10_016);
    assert!(floor.live().is_empty(), "one position, once");
    nothing_broke(&desk, &floor);
}

#[test]
fn a_bracket_holds_its_quantity_whatever_reports_are_lost() {
    for seed in 0..40 {
        let (mut desk, mut floor) = run(Box::new(Bracket::new(guarded())), seed);
        floor.market(&mut desk, 10_000, 10_010);
        for _ in 0..25 {
            floor.loses_one_in = 5;
            let (side, quantity) =
                (if floor.dice(2) == 0 { Side::Buy } else { Side::Sell }, 1 + floor.dice(9) as i64);
            trade(&mut desk, &mut floor, side, quantity);
            let bid = 9_880 + floor.dice(240) as i64;
            floor.market(&mut desk, bid, bid + 10);
        }
        // What was lost without a trace is found when the venue next states the position.
        floor.loses_one_in = 0;
        let held = floor.held;
        desk.position(BTC, held, false);
        floor.pass(&mut desk, Nanos::from_secs(120));
        floor.market(&mut desk, 10_000, 10_010);
        floor.pass(&mut desk, Nanos::from_secs(5));
        floor.market(&mut desk, 10_000, 10_011);
        nothing_broke(&desk, &floor);
        if desk.core.state().execution.is_inconsistent(BTC) {
            continue;
        }
        let (stops, targets) = guards(&floor);
        let held = floor.held.abs();
        let wanted: &[i64] = if held == 0 { &[] } else { &[held] };
        assert_eq!(stops.iter().map(|(quantity, _)| *quantity).collect::<Vec<_>>(), wanted, "seed {seed}");
        assert_eq!(targets.iter().map(|(quantity, _)| *quantity).collect::<Vec<_>>(), wanted, "seed {seed}");
    }
}

#[test]
fn in_hedge_mode_each_leg_has_guards_of_its_own() {
    let mut with = configuration();
    with.venues[0].position_mode = PositionMode::Hedge;
    let second = with.strategies[0].clone();
    with.strategies.push(second);
    let mut desk = Desk::ready_beside(with, vec![Box::new(Bracket::new(guarded()))]);
    desk.pass(Nanos::from_secs(1));
    let trade = |desk: &mut Desk, slot, side, price, quantity, leg| {
        let sent = desk.open(limit(slot, BTC, side, price, quantity).on_leg(leg));
        let fill = desk.fill(&sent, quantity, quantity, u64::from(slot) + 1);
        desk.tell(&sent, fill);
        desk.take_dispatches();
        desk.settle();
        let sent = desk.take_dispatches();
        sent.iter().for_each(|guard| desk.accept(guard));
        desk.settle();
        sent
    };
    let guards = |sent: &[linchpin_core::dispatch::Dispatch]| -> Vec<_> {
        sent.iter().map(|d| (d.kind, d.side, d.position_side, d.quantity.raw())).collect()
    };
    let (long, short) = (PositionSide::Long, PositionSide::Short);
    let first = trade(&mut desk, 0, Side::Buy, 9_990, 10, long);
    let expected = [(OrderKind::StopMarket, Side::Sell, long, 10), (OrderKind::Limit, Side::Sell, long, 10)];
    assert_eq!(guards(&first), expected);
    let second = trade(&mut desk, 1, Side::Sell, 10_020, 4, short);
    let expected = [(OrderKind::StopMarket, Side::Buy, short, 4), (OrderKind::Limit, Side::Buy, short, 4)];
    assert_eq!(guards(&second), expected, "and the long leg's stay as they are");
}

// ---- DCA ----

fn averaging() -> dca::Parameters {
    dca::Parameters {
        side: Side::Buy,
        base_quantity: Quantity::new(10),
        safety_quantity: Quantity::new(10),
        safety_orders: 3,
        active_safety_orders: 2,
        step: 100,
        step_scale: 10_000,
        size_scale: 20_000,
        take_profit: 100,
        max_position: Quantity::new(60),
        cooldown: Nanos::from_secs(60),
        deals: 2,
        requote_ticks: 2,
    }
}

fn rests(floor: &Floor) -> Vec<(Side, i64, i64)> {
    let mut rests: Vec<_> = floor.live().iter().map(|o| (o.order.side, o.price, o.leaves())).collect();
    rests.sort_by_key(|(_, price, _)| -price);
    rests
}

#[test]
fn a_dca_deal_by_hand() {
    let (mut desk, mut floor) = run(Box::new(DcaEntry::new(averaging())), 1);
    floor.market(&mut desk, 10_000, 10_010);
    assert_eq!(rests(&floor), [(Side::Buy, 10_000, 10)], "the base order at the near touch");
    floor.hit(&mut desk, 10);
    floor.market(&mut desk, 10_000, 10_010);
    // Take-profit 1 % above 10,000; two of three safety orders, 1 % and 2 % below.
    let expected = [(Side::Sell, 10_100, 10), (Side::Buy, 9_900, 10), (Side::Buy, 9_800, 20)];
    assert_eq!(rests(&floor), expected);
    floor.market(&mut desk, 9_900, 9_910);
    floor.hit(&mut desk, 10);
    // 20 at an average of 9,950: the profit at 10,049.5 rounded up. The third would be 40 at 9,700, beyond what may be held.
    assert_eq!(rests(&floor), [(Side::Sell, 10_050, 20), (Side::Buy, 9_800, 20)]);
    floor.market(&mut desk, 10_045, 10_050);
    floor.hit(&mut desk, 20);
    assert_eq!((floor.held, own(&desk)), (0, 0));
    floor.market(&mut desk, 10_045, 10_055);
    assert!(rests(&floor).is_empty(), "what was left of the deal is withdrawn, and the next one waits");
    floor.pass(&mut desk, Nanos::from_secs(61));
    floor.market(&mut desk, 10_045, 10_055);
    assert_eq!(rests(&floor), [(Side::Buy, 10_045, 10)], "the second deal");
    nothing_broke(&desk, &floor);
}

#[test]
fn a_dca_entry_never_holds_more_than_it_may_and_ends_after_its_deals() {
    for seed in 0..30 {
        let (mut desk, mut floor) = run(Box::new(DcaEntry::new(averaging())), seed);
        floor.loses_one_in = if seed % 2 == 0 { 0 } else { 6 };
        let mut mid = 10_000;
        for _ in 0..300 {
            mid = (mid + floor.dice(161) as i64 - 80).clamp(9_600, 10_400);
            floor.market(&mut desk, mid, mid + 10);
            floor.hit(&mut desk, 15);
            floor.pass(&mut desk, Nanos::from_secs(2));
            let open: i64 =
                floor.live().iter().filter(|o| o.order.side == Side::Buy).map(|o| o.leaves()).sum();
            assert!(floor.held + open <= 60, "seed {seed}: {} held and {open} open", floor.held);
            assert!(floor.held >= 0, "seed {seed}");
        }
        nothing_broke(&desk, &floor);
    }
}

#[test]
fn a_deal_that_someone_else_closed_is_over() {
    let (mut desk, mut floor) = run(Box::new(DcaEntry::new(averaging())), 3);
    floor.market(&mut desk, 10_000, 10_010);
    floor.hit(&mut desk, 10);
    floor.market(&mut desk, 10_000, 10_010);
    trade(&mut desk, &mut floor, Side::Sell, 10);
    floor.market(&mut desk, 10_000, 10_011);
    floor.market(&mut desk, 10_000, 10_012);
    assert_eq!((floor.held, floor.live().len()), (0, 0));
    // The next deal counts from here, although its own book still shows what was closed.
    floor.pass(&mut desk, Nanos::from_secs(61));
    floor.market(&mut desk, 9_000, 9_010);
    floor.hit(&mut desk, 10);
    floor.market(&mut desk, 9_000, 9_010);
    assert_eq!(rests(&floor)[0], (Side::Sell, 9_090, 10));
}
