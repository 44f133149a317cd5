//! Positions and money: examples by hand, the arithmetic beside each; hedge mode; spot; and a ledger as a person would keep it.
//!
//! One tick is 0.10 and one lot 0.001, so that a tick times a lot is 0.0001 of the quote asset: 10,000 at eight decimals.

mod desk;

use desk::*;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::intent::{CancelIntent, Intent, NewIntent};
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::{IncidentKind, RiskReason};
use linchpin_core::state::position::{Position, ProfitAndLoss};
use linchpin_core::time::Nanos;

const QUOTE: AssetId = AssetId(0);
const BASE: AssetId = AssetId(1);
const TOKEN: AssetId = AssetId(2);
/// A tick times a lot, in cash.
const UNIT: i128 = 10_000;

fn hedged() -> Desk {
    let mut with = configuration();
    with.venues[0].position_mode = PositionMode::Hedge;
    Desk::ready_with(with, definition())
}

fn spot() -> Desk {
    Desk::ready_with(configuration(), InstrumentDefinition { product: Product::Spot, ..definition() })
}

fn on_leg(slot: u16, side: Side, quantity: i64, leg: PositionSide) -> NewIntent {
    let price = if side == Side::Buy { 9_990 } else { 10_020 };
    limit(slot, BTC, side, price, quantity).on_leg(leg)
}

fn leg_flags(leg: PositionSide) -> ReportFlags {
    ReportFlags::default()
        .with(ReportFlags::LONG_SIDE, leg == PositionSide::Long)
        .with(ReportFlags::SHORT_SIDE, leg == PositionSide::Short)
}

/// Sends an order and fills it whole at `price`, with a fee.
fn trade_with_fee(desk: &mut Desk, new: NewIntent, price: i64, fee: (AssetId, i64)) -> Dispatch {
    let sent = desk.open(new);
    let trade_id = sent.number;
    let fill = OrderReport {
        last_price: Price::new(price),
        fee_asset: fee.0,
        fee: fee.1,
        flags: leg_flags(new.position_side),
        ..desk.fill(&sent, new.quantity.raw(), new.quantity.raw(), trade_id)
    };
    desk.tell(&sent, fill);
    desk.settle();
    sent
}

fn trade(desk: &mut Desk, new: NewIntent, price: i64) -> Dispatch {
    trade_with_fee(desk, new, price, (QUOTE, 0))
}

fn buy(desk: &mut Desk, price: i64, quantity: i64) {
    trade(desk, limit(0, BTC, Side::Buy, 9_990, quantity), price);
}

fn sell(desk: &mut Desk, price: i64, quantity: i64) {
    trade(desk, limit(1, BTC, Side::Sell, 10_020, quantity), price);
}

fn own(desk: &Desk) -> Position {
    *desk.core.state().execution.position(StrategyId(0), BTC).unwrap()
}

fn of_leg(desk: &Desk, leg: PositionSide) -> Position {
    *desk.core.state().execution.leg(StrategyId(0), BTC, leg).unwrap()
}

fn result(desk: &Desk) -> ProfitAndLoss {
    desk.core.state().profit(StrategyId(0), BTC).unwrap()
}

fn balance(desk: &mut Desk, instrument: InstrumentId, report: BalanceReport) {
    desk.on(instrument, Body::Balance(report));
}

fn funding(wallet: i64, change: i64) -> BalanceReport {
    let (asset, available, cause) = (QUOTE, i64::MIN, BalanceCause::Funding);
    BalanceReport { asset, wallet, available, change, cause, hydrated: false }
}

fn leg_position(desk: &mut Desk, leg: PositionSide, quantity: i64, hydrated: bool) {
    let quantity = Quantity::new(quantity);
    let entry_price = 1_000 * CASH_UNIT;
    // What is read back has been so for long.
    let stamp = if hydrated { Nanos::ZERO } else { desk.now };
    let report = PositionReport { quantity, entry_price, unrealised: 0, side: leg, hydrated };
    desk.stamped(stamp, BTC, Body::Position(report));
}

// ---- by hand ----

#[test]
fn buying_twice_averages_by_what_was_paid() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_990, 10);
    buy(&mut desk, 9_960, 20);
    // 10 x 9,990 + 20 x 9,960 = 299,100 for 30 lots: 9,970 each.
    assert_eq!((own(&desk).quantity.raw(), own(&desk).cost.raw()), (30, 299_100));
    assert_eq!(own(&desk).average_entry(), Some(Price::new(9_970)));
}

#[test]
fn selling_part_of_a_long_realises_the_difference_and_keeps_the_average() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_970, 30);
    sell(&mut desk, 10_020, 12);
    // 12 x (10,020 - 9,970) = 600 ticks x lots = 0.06; 18 lots are left at 9,970. Worth at the middle, 10,005: 18 x 35 = 630.
    assert_eq!(own(&desk).average_entry(), Some(Price::new(9_970)));
    assert_eq!(result(&desk).realised, Cash::new(600 * UNIT));
    assert_eq!(result(&desk).unrealised, Cash::new(630 * UNIT));
}

#[test]
fn a_short_earns_when_the_price_falls() {
    let mut desk = Desk::ready();
    sell(&mut desk, 10_020, 10);
    // 10 x (10,020 - 10,005) = 150 on paper.
    assert_eq!(result(&desk).unrealised, Cash::new(150 * UNIT));
    buy(&mut desk, 9_990, 4);
    // 4 x (10,020 - 9,990) = 120 in hand; 6 x 15 = 90 on paper.
    assert_eq!(
        (result(&desk).realised, result(&desk).unrealised),
        (Cash::new(120 * UNIT), Cash::new(90 * UNIT))
    );
}

#[test]
fn a_sale_larger_than_the_long_closes_it_and_opens_a_short_at_its_own_price() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_990, 10);
    sell(&mut desk, 10_020, 25);
    // 10 x 30 = 300 realised; 15 short at 10,020, cost -150,300.
    assert_eq!((own(&desk).quantity.raw(), own(&desk).cost.raw()), (-15, -150_300));
    assert_eq!(own(&desk).realised, Notional::new(300));
}

#[test]
fn a_round_trip_in_odd_parts_realises_exactly_what_moved() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_989, 7);
    buy(&mut desk, 9_977, 3);
    for (price, quantity) in [(10_021, 1), (10_025, 6), (10_033, 3)] {
        sell(&mut desk, price, quantity);
    }
    // Paid 7 x 9,989 + 3 x 9,977 = 99,854; got 10,021 + 6 x 10,025 + 3 x 10,033 = 100,270. No unit is lost on the way.
    assert_eq!((own(&desk).realised.raw(), own(&desk).cost.raw()), (416, 0));
}

#[test]
fn a_fee_in_the_quote_asset_lowers_the_result_and_a_rebate_raises_it() {
    let mut desk = Desk::ready();
    trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 10), 9_990, (QUOTE, 4_995));
    trade_with_fee(&mut desk, limit(1, BTC, Side::Sell, 10_020, 10), 10_020, (QUOTE, -1_002));
    // 10 x 30 = 300 units, less 4,995 paid, plus 1,002 given back.
    assert_eq!(result(&desk).fees, Cash::new(3_993));
    assert_eq!(result(&desk).net(), Cash::new(300 * UNIT - 3_993));
}

#[test]
fn fees_in_other_assets_are_kept_each_in_its_own_units() {
    let mut desk = Desk::ready();
    trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 10), 9_990, (TOKEN, 700));
    trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 10), 9_990, (AssetId(3), 50));
    trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 10), 9_990, (TOKEN, 300));
    let fees = own(&desk).fees_elsewhere;
    assert_eq!((fees.in_asset(TOKEN), fees.in_asset(AssetId(3))), (Cash::new(1_000), Cash::new(50)));
    assert_eq!(fees.in_asset(QUOTE), Cash::ZERO);
    assert_eq!(result(&desk).fees, Cash::ZERO, "nothing of it is quote money");
    let total = desk.core.state().execution.total(BTC).unwrap();
    assert_eq!(total.fees_elsewhere, fees, "and the account has the same");
}

#[test]
fn a_fee_in_one_asset_too_many_is_said_aloud() {
    let mut desk = Desk::ready();
    for asset in 2..6 {
        trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 1), 9_990, (AssetId(asset), 5));
    }
    assert_eq!(desk.incidents(IncidentKind::CapacityExhausted), 1, "three others are kept apart, not four");
}

#[test]
fn funding_on_a_named_instrument_is_split_by_what_each_owner_holds() {
    let mut with = configuration();
    with.strategies.push(with.strategies[0].clone());
    let (mut desk, second) = Desk::ready_with_second(with);
    buy(&mut desk, 9_990, 10);
    second.trade(&mut desk, limit(0, BTC, Side::Buy, 9_990, 20), 9_990);
    // 30 lots pay 100: 10 / 30 of it is 33.3, 20 / 30 is 66.6; the unit that rounding leaves is the external owner's.
    balance(&mut desk, BTC, funding(1_000, -100));
    let paid = |owner| desk.core.state().execution.position(owner, BTC).unwrap().funding.raw();
    assert_eq!((paid(StrategyId(0)), paid(StrategyId(1)), paid(StrategyId::EXTERNAL)), (-33, -66, -1));
    assert_eq!(desk.core.state().account_profit(BTC).unwrap().funding, Cash::new(-100));
}

#[test]
fn funding_told_twice_is_booked_once() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_990, 10);
    let event = |desk: &mut Desk| {
        let stamp = Nanos::from_secs(2_000);
        desk.stamped(stamp, BTC, Body::Balance(funding(1_000, -100)));
    };
    event(&mut desk);
    event(&mut desk);
    assert_eq!(result(&desk).funding, Cash::new(-100));
}

#[test]
fn funding_without_a_name_goes_to_the_one_position_that_can_have_earned_it() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_990, 10);
    balance(&mut desk, InstrumentId::NONE, funding(1_000, -100));
    assert_eq!(result(&desk).funding, Cash::new(-100));
    // With a second one held, nobody can say: it stays with the account.
    trade(&mut desk, limit(2, ETH, Side::Buy, 9_990, 10), 9_990);
    balance(&mut desk, InstrumentId::NONE, funding(900, -50));
    assert_eq!(result(&desk).funding, Cash::new(-100));
    let kept = desk.core.state().account.balance(VenueId(0), QUOTE).unwrap();
    assert_eq!(kept.unassigned_funding, Cash::new(-50));
}

#[test]
fn the_sum_over_instruments_is_the_strategys_and_the_sum_over_owners_the_accounts() {
    let mut desk = Desk::ready();
    buy(&mut desk, 9_990, 10);
    sell(&mut desk, 10_020, 10);
    trade(&mut desk, limit(2, ETH, Side::Buy, 9_990, 5), 9_980);
    // BTC: 10 x 30 = 300 in hand. ETH: 5 x (10,005 - 9,980) = 125 on paper.
    let mine = desk.core.state().profit_in(StrategyId(0), QUOTE);
    assert_eq!((mine.realised, mine.unrealised), (Cash::new(300 * UNIT), Cash::new(125 * UNIT)));
    assert_eq!(desk.core.state().account_profit_in(QUOTE), mine, "nobody else traded");
}

// ---- a ledger as a person would keep it ----

/// Cash that moved and lots that are held, an owner: nothing averaged, nothing netted.
#[derive(Clone, Copy, Default)]
struct Page {
    lots: i64,
    /// In ticks x lots: paid is negative.
    cash: i128,
    fees: i128,
    tokens: i128,
    funding: i128,
}

#[test]
fn random_fills_fees_and_funding_add_up_to_the_cash_that_moved_for_each_owner_and_for_the_account() {
    for seed in 1..=20u64 {
        let mut with = configuration();
        with.strategies.push(with.strategies[0].clone());
        for limits in &mut with.instruments {
            limits.max_position = Quantity::new(1_000_000);
        }
        let (mut desk, second) = Desk::ready_with_second(with);
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % bound
        };
        let mut pages = [Page::default(); 3];
        let mut wallet = 1_000_000_000i64;
        for step in 0..200u64 {
            if below(10) == 0 {
                let whole: i64 = pages.iter().map(|page| page.lots).sum();
                let change = below(2_001) as i64 - 1_000;
                wallet += change + 1;
                balance(&mut desk, BTC, funding(wallet, change));
                let mut rest = i128::from(change);
                for page in &mut pages[..2] {
                    let part = if whole == 0 {
                        0
                    } else {
                        i128::from(change) * i128::from(page.lots) / i128::from(whole)
                    };
                    page.funding += part;
                    rest -= part;
                }
                pages[2].funding += rest;
                continue;
            }
            let owner = below(3) as usize;
            let side = if below(2) == 0 { Side::Buy } else { Side::Sell };
            let (price, quantity) = (9_950 + below(100) as i64, 1 + below(9) as i64);
            let new = limit(step as u16, BTC, side, if side == Side::Buy { 9_990 } else { 10_020 }, quantity);
            desk.settle();
            desk.take_dispatches();
            let sent = match owner {
                0 => {
                    desk.wish(vec![Intent::New(new)]);
                    desk.take_dispatches()[0]
                }
                1 => {
                    second.wish(&mut desk, vec![Intent::New(new)]);
                    desk.take_dispatches()[0]
                }
                _ => {
                    let stranger = ClientOrderId::compose(*b"other", step);
                    let (side, price, quantity) = (new.side, new.price, new.quantity);
                    Dispatch { client_order_id: stranger, side, price, quantity, ..Desk::ready().send(new) }
                }
            };
            let in_token = below(3) == 0;
            let fee = below(500) as i64 - 100;
            let fill = OrderReport {
                side,
                last_price: Price::new(price),
                fee,
                fee_asset: if in_token { TOKEN } else { QUOTE },
                ..desk.fill(&sent, quantity, quantity, step + 1)
            };
            desk.tell(&sent, fill);
            desk.tell(&sent, fill);
            let held = desk.held(BTC);
            desk.position(BTC, held, false);
            let signed = if side == Side::Buy { quantity } else { -quantity };
            let page = &mut pages[owner];
            page.lots += signed;
            page.cash -= i128::from(price) * i128::from(signed);
            if in_token { page.tokens += i128::from(fee) } else { page.fees += i128::from(fee) }
        }
        let mark = Price::new(10_005);
        let agrees = |position: &Position, page: &Page| {
            let worth = position.realised.raw() + position.unrealised(mark).raw();
            assert_eq!(position.quantity.raw(), page.lots, "seed {seed}");
            assert_eq!(worth, page.cash + i128::from(page.lots) * i128::from(mark.raw()), "seed {seed}");
            assert_eq!(
                (position.fees.raw(), position.funding.raw()),
                (page.fees, page.funding),
                "seed {seed}"
            );
            assert_eq!(position.fees_elsewhere.in_asset(TOKEN).raw(), page.tokens, "seed {seed}");
        };
        let execution = &desk.core.state().execution;
        for (page, owner) in pages.iter().zip([StrategyId(0), StrategyId(1), StrategyId::EXTERNAL]) {
            agrees(execution.position(owner, BTC).unwrap(), page);
        }
        let mut all = Page::default();
        for page in pages {
            all.lots += page.lots;
            all.cash += page.cash;
            all.fees += page.fees;
            all.tokens += page.tokens;
            all.funding += page.funding;
        }
        agrees(execution.total(BTC).unwrap(), &all);
    }
}

// ---- hedge mode ----

#[test]
fn in_hedge_mode_a_long_and_a_short_stand_beside_each_other() {
    let mut desk = hedged();
    trade(&mut desk, on_leg(0, Side::Buy, 10, PositionSide::Long), 9_990);
    trade(&mut desk, on_leg(1, Side::Sell, 4, PositionSide::Short), 10_020);
    let (long, short) = (of_leg(&desk, PositionSide::Long), of_leg(&desk, PositionSide::Short));
    assert_eq!((long.quantity.raw(), short.quantity.raw()), (10, -4));
    assert_eq!((long.realised, short.realised), (Notional::ZERO, Notional::ZERO), "nothing was closed");
    assert_eq!(own(&desk).quantity, Quantity::new(6), "on balance");
    // 10 x (10,005 - 9,990) + 4 x (10,020 - 10,005) = 150 + 60.
    assert_eq!(result(&desk).unrealised, Cash::new(210 * UNIT));
}

#[test]
fn in_hedge_mode_a_sale_on_the_long_leg_closes_it_and_leaves_the_short_alone() {
    let mut desk = hedged();
    trade(&mut desk, on_leg(0, Side::Buy, 10, PositionSide::Long), 9_990);
    trade(&mut desk, on_leg(1, Side::Sell, 4, PositionSide::Short), 10_020);
    trade(&mut desk, on_leg(2, Side::Sell, 10, PositionSide::Long), 10_020);
    let (long, short) = (of_leg(&desk, PositionSide::Long), of_leg(&desk, PositionSide::Short));
    assert_eq!((long.quantity.raw(), long.realised.raw()), (0, 300));
    assert_eq!((short.quantity.raw(), short.cost.raw()), (-4, -40_080));
    assert_eq!(own(&desk).realised, Notional::new(300));
}

#[test]
fn an_order_must_name_its_leg_in_hedge_mode_and_must_not_in_one_way_mode() {
    let bid = limit(0, BTC, Side::Buy, 9_990, 1);
    assert_eq!(hedged().wish(vec![Intent::New(bid)])[0].verdict, RiskReason::WrongLeg);
    let on_long = bid.on_leg(PositionSide::Long);
    assert_eq!(hedged().wish(vec![Intent::New(on_long)])[0].verdict, RiskReason::Allowed);
    assert_eq!(Desk::ready().wish(vec![Intent::New(on_long)])[0].verdict, RiskReason::WrongLeg);
}

#[test]
fn each_leg_has_its_own_bound_and_what_closes_a_leg_always_passes() {
    let mut desk = hedged();
    desk.open(on_leg(0, Side::Buy, 100, PositionSide::Long));
    let more = Intent::New(on_leg(1, Side::Buy, 1, PositionSide::Long));
    assert_eq!(desk.wish(vec![more])[0].verdict, RiskReason::PositionLimit);
    let short = Intent::New(on_leg(2, Side::Sell, 100, PositionSide::Short));
    assert_eq!(desk.wish(vec![short])[0].verdict, RiskReason::Allowed, "the other leg is empty");
    desk.give(Body::Control(Control {
        verb: ControlVerb::SetTradingState,
        target: Control::EVERYBODY,
        old: 0,
        new: i64::from(TradingState::Reducing.code()),
        who: 0,
    }));
    let closing = Intent::New(on_leg(3, Side::Sell, 5, PositionSide::Long));
    assert_eq!(desk.wish(vec![closing])[0].verdict, RiskReason::Allowed, "a sale on the long leg lowers it");
}

#[test]
fn each_leg_is_held_against_the_venues_word_by_itself() {
    let mut desk = hedged();
    trade(&mut desk, on_leg(0, Side::Buy, 10, PositionSide::Long), 9_990);
    leg_position(&mut desk, PositionSide::Long, 10, false);
    // On balance nothing differs: the venue holds 14 long and 4 short.
    leg_position(&mut desk, PositionSide::Long, 14, false);
    leg_position(&mut desk, PositionSide::Short, -4, false);
    desk.pass(Nanos::from_secs(3));
    assert!(desk.account_ask().is_some(), "it lasted: the account is read back");
    desk.hydrate(|desk| {
        leg_position(desk, PositionSide::Long, 14, true);
        leg_position(desk, PositionSide::Short, -4, true);
    });
    assert!(desk.core.state().execution.is_inconsistent(BTC));
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 2, "one a leg, with both numbers");
}

#[test]
fn a_first_read_back_gives_each_leg_to_the_external_owner() {
    let mut with = configuration();
    with.venues[0].position_mode = PositionMode::Hedge;
    let mut desk = Desk::cold(with, vec![]);
    desk.give(Body::Instrument(definition()));
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    desk.hydrate(|desk| {
        leg_position(desk, PositionSide::Long, 7, true);
        leg_position(desk, PositionSide::Short, -3, true);
        leg_position(desk, PositionSide::Both, 0, true);
    });
    let execution = &desk.core.state().execution;
    let external = |leg| execution.leg(StrategyId::EXTERNAL, BTC, leg).unwrap().quantity.raw();
    assert_eq!((external(PositionSide::Long), external(PositionSide::Short)), (7, -3));
    assert_eq!(execution.total(BTC).unwrap().quantity, Quantity::new(4));
    assert!(!execution.is_inconsistent(BTC));
}

#[test]
fn an_account_in_another_mode_than_configured_stops_new_risk() {
    let mut desk = Desk::ready();
    leg_position(&mut desk, PositionSide::Long, 0, false);
    assert!(!desk.core.state().execution.is_inconsistent(BTC), "an empty leg is no evidence");
    leg_position(&mut desk, PositionSide::Long, 3, false);
    assert!(desk.core.state().execution.is_inconsistent(BTC));
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
}

#[test]
fn a_flatten_in_hedge_mode_closes_each_leg_on_its_own() {
    let mut desk = hedged();
    trade(&mut desk, on_leg(0, Side::Buy, 10, PositionSide::Long), 9_990);
    trade(&mut desk, on_leg(1, Side::Sell, 10, PositionSide::Short), 10_020);
    desk.take_dispatches();
    desk.kill(KillMode::Flatten);
    let mut sent: Vec<_> =
        desk.take_dispatches().iter().map(|d| (d.position_side, d.side, d.quantity.raw())).collect();
    sent.sort();
    let expected = [(PositionSide::Long, Side::Sell, 10), (PositionSide::Short, Side::Buy, 10)];
    assert_eq!(sent, expected, "flat on balance is not flat");
}

#[test]
fn funding_in_hedge_mode_reaches_each_leg() {
    let mut desk = hedged();
    trade(&mut desk, on_leg(0, Side::Buy, 10, PositionSide::Long), 9_990);
    trade(&mut desk, on_leg(1, Side::Sell, 4, PositionSide::Short), 10_020);
    // Six lots on balance pay 60, ten a lot: the long leg pays 100 and the short one receives 40.
    balance(&mut desk, BTC, funding(1_000, -60));
    let funding = |leg| of_leg(&desk, leg).funding.raw();
    assert_eq!((funding(PositionSide::Long), funding(PositionSide::Short)), (-100, 40));
    assert_eq!(result(&desk).funding, Cash::new(-60));
}

// ---- spot ----

fn base_balance(desk: &mut Desk, wallet: i64, cause: BalanceCause, change: i64, hydrated: bool) {
    let (asset, available) = (BASE, i64::MIN);
    desk.give(Body::Balance(BalanceReport { asset, wallet, available, change, cause, hydrated }));
}

#[test]
fn a_spot_account_without_position_rows_is_no_inconsistency() {
    let mut desk = spot();
    buy(&mut desk, 9_990, 10);
    desk.pass(Nanos::from_secs(60));
    assert!(!desk.core.state().execution.is_inconsistent(BTC));
    assert!(desk.seen.asks.is_empty());
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|_| {});
    assert!(!desk.core.state().execution.is_inconsistent(BTC), "a read-back states balances alone");
    assert_eq!(desk.held(BTC), 10);
}

#[test]
fn on_spot_a_fee_in_the_base_asset_lowers_the_position_by_whole_lots() {
    let mut desk = spot();
    // A lot is 0.001, 100,000 at eight decimals. Three purchases with fees of 0.6 of a lot: 1.8 lots, so one is gone.
    for _ in 0..3 {
        trade_with_fee(&mut desk, limit(0, BTC, Side::Buy, 9_990, 10), 9_990, (BASE, 60_000));
    }
    let own = own(&desk);
    assert_eq!((own.quantity.raw(), own.base_owed), (29, Cash::new(80_000)));
    // What the lot cost is lost: 9,990.
    assert_eq!((own.realised.raw(), own.cost.raw()), (-9_990, 29 * 9_990));
    assert_eq!((own.fees, own.bought.raw(), own.sold.raw()), (Cash::ZERO, 30, 0), "it was not sold");
    assert_eq!(desk.held(BTC), 29, "the account has one less too");
}

#[test]
fn what_a_spot_account_holds_beside_our_fills_is_the_external_owners() {
    let mut desk = spot();
    buy(&mut desk, 9_990, 10);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    // The wallet has 35 lots; ours are 10.
    desk.hydrate(|desk| base_balance(desk, 3_500_000, BalanceCause::ReadBack, 0, true));
    let external =
        |desk: &Desk| desk.core.state().execution.position(StrategyId::EXTERNAL, BTC).unwrap().quantity.raw();
    assert_eq!((external(&desk), desk.held(BTC)), (25, 35));
    // A deposit of 5 more is nobody's of ours; a fill's own balance report changes nothing.
    base_balance(&mut desk, 4_000_000, BalanceCause::Deposit, 500_000, false);
    base_balance(&mut desk, 4_100_000, BalanceCause::Order, 0, false);
    assert_eq!((external(&desk), desk.held(BTC), own(&desk).quantity.raw()), (30, 40, 10));
}

/// It was counted on both: as what a stranger bought there, and as a part of the wallet that our fills do not explain.
#[test]
fn what_others_hold_through_a_second_market_of_a_base_is_counted_once() {
    let mut desk = spot();
    buy(&mut desk, 9_990, 10);
    // By hand, 3 lots through the other market of the same base.
    let sent = desk.send(limit(1, BTC, Side::Buy, 9_980, 3));
    let id = ClientOrderId::from_text(b"by-hand");
    desk.on(ETH, Body::Order(OrderReport { client_order_id: id, ..desk.fill(&sent, 3, 3, 77) }));
    // Ours, after which it is modelled, came to nothing: what is in doubt would hold the wallet's judgement up.
    desk.outcome(&sent, Verdict::Rejected, RejectReason::Filter);
    desk.settle();
    let external = |desk: &Desk, id| {
        desk.core.state().execution.position(StrategyId::EXTERNAL, id).unwrap().quantity.raw()
    };
    assert_eq!((external(&desk, BTC), external(&desk, ETH)), (0, 3));
    // The wallet has 35 lots: 10 ours, 3 of the hand's, and 22 that nobody explains.
    for _ in 0..2 {
        desk.link(LinkKind::Private, LinkState::Down);
        desk.link(LinkKind::Private, LinkState::Up);
        desk.hydrate(|desk| base_balance(desk, 3_500_000, BalanceCause::ReadBack, 0, true));
        assert_eq!((external(&desk, BTC), external(&desk, ETH)), (22, 3));
        assert_eq!(desk.held(BTC) + desk.held(ETH), 35);
        assert!(!desk.core.state().execution.is_inconsistent(BTC));
    }
    // Twelve leave, whoever's they were: the first market bears it, and the wallet is what is held.
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| base_balance(desk, 2_300_000, BalanceCause::ReadBack, 0, true));
    assert_eq!((external(&desk, BTC), external(&desk, ETH), desk.held(BTC) + desk.held(ETH)), (10, 3, 23));
}

#[test]
fn a_wallet_with_less_than_the_strategies_believe_to_hold_is_an_inconsistency() {
    let mut desk = spot();
    buy(&mut desk, 9_990, 10);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| base_balance(desk, 600_000, BalanceCause::ReadBack, 0, true));
    assert!(desk.core.state().execution.is_inconsistent(BTC), "6 lots are there, 10 are believed");
    assert!(desk.incidents(IncidentKind::PositionMismatch) > 0);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| base_balance(desk, 1_000_000, BalanceCause::ReadBack, 0, true));
    assert!(!desk.core.state().execution.is_inconsistent(BTC), "now they are");
}

#[test]
fn on_spot_reduce_only_is_no_promise_and_is_not_counted_as_one() {
    let mut desk = spot();
    buy(&mut desk, 9_990, 10);
    let sale = NewIntent::limit(BTC, Side::Sell, Price::new(10_020), Quantity::new(15)).reduce_only();
    let sent = desk.open(NewIntent { key: key(1), ..sale });
    assert!(!desk.order(&sent).reduce_only);
    assert_eq!(desk.core.state().execution.exposure(BTC).closing_sell, Quantity::ZERO);
}

// ---- one strategy, another's orders ----

#[test]
fn no_intent_of_one_strategy_touches_an_order_of_another() {
    let mut with = configuration();
    with.strategies.push(with.strategies[0].clone());
    let (mut desk, second) = Desk::ready_with_second(with);
    let mine = desk.open(limit(0, BTC, Side::Buy, 9_990, 10));
    let before = desk.order(&mine);
    let index = desk.core.state().execution.orders.find(&mine.client_order_id).unwrap();
    // Every form of wish, with the other's key wherever one can be written.
    let theirs = OrderKey { strategy: StrategyId(0), slot: 0 };
    let forged = NewIntent { key: theirs, ..limit(0, BTC, Side::Buy, 9_980, 1) };
    let attempts = [
        Intent::Replace(linchpin_core::intent::ReplaceIntent {
            key: theirs,
            price: Price::new(9_900),
            quantity: Quantity::new(1),
        }),
        Intent::Cancel(CancelIntent { key: theirs, order: OrderIndex::NONE, family: Family::Entry }),
        Intent::Cancel(CancelIntent { key: theirs, order: index, family: Family::Entry }),
    ];
    for attempt in attempts {
        let said = second.wish(&mut desk, vec![attempt]);
        assert!(said.iter().all(|record| record.key.strategy == StrategyId(1)), "{said:?}");
        assert!(said.iter().all(|record| record.verdict == RiskReason::NoSuchOrder), "{said:?}");
    }
    let said = second.wish(&mut desk, vec![Intent::New(forged)]);
    assert_eq!(
        (said[0].key.strategy, said[0].verdict),
        (StrategyId(1), RiskReason::Allowed),
        "its own slot 0"
    );
    assert_eq!(desk.order(&mine), before, "untouched by all of them");
    let sent = desk.take_dispatches();
    assert!(sent.iter().all(|dispatch| dispatch.key.strategy == StrategyId(1) || dispatch == &mine));
}

#[test]
fn a_strategy_cannot_trade_an_instrument_that_is_not_its_own() {
    let mut with = configuration();
    let mut other = with.strategies[0].clone();
    other.instruments = vec![1];
    with.strategies.push(other);
    let (mut desk, second) = Desk::ready_with_second(with);
    let said = second.wish(&mut desk, vec![Intent::New(limit(0, BTC, Side::Buy, 9_990, 1))]);
    assert_eq!(said[0].verdict, RiskReason::NotOurInstrument);
}

// ---- who is closed out ----

#[test]
fn a_flatten_closes_every_owner_in_its_own_book() {
    let mut two = configuration();
    two.strategies.push(two.strategies[0].clone());
    let (mut desk, second) = Desk::ready_with_second(two);
    let long = |quantity| limit(0, ETH, Side::Buy, 9_990, quantity);
    let bought = desk.open(long(7));
    let fill = desk.fill(&bought, 7, 7, 1);
    desk.tell(&bought, fill);
    desk.settle();
    second.trade(&mut desk, limit(0, ETH, Side::Sell, 10_020, 3), 10_020);
    assert_eq!((lots_of(&desk, 0), lots_of(&desk, 1), desk.held(ETH)), (7, -3, 4));

    desk.control(ControlVerb::Flatten, 0);
    let close = desk.take_dispatches().pop().expect("an order that closes");
    assert_eq!((close.side, close.quantity), (Side::Sell, Quantity::new(4)));
    let at = |report| OrderReport { last_price: Price::new(10_000), fee: 40, ..report };
    let part = at(desk.fill(&close, 1, 1, 50));
    desk.tell(&close, part);
    // A quarter of each, rounded towards nothing: 1 of 7, none of 3.
    assert_eq!((lots_of(&desk, 0), lots_of(&desk, 1), desk.held(ETH)), (6, -3, 3));
    let rest = at(desk.fill(&close, 3, 4, 51));
    desk.tell(&close, rest);
    assert_eq!((lots_of(&desk, 0), lots_of(&desk, 1), desk.held(ETH)), (0, 0, 0));

    let execution = &desk.core.state().execution;
    let of = |at| *execution.position(at, ETH).unwrap();
    let (first, other) = (of(StrategyId(0)), of(StrategyId(1)));
    assert_eq!(first.realised, Notional::new(7 * (10_000 - 9_990)));
    assert_eq!(other.realised, Notional::new(3 * (10_020 - 10_000)));
    let external = of(StrategyId::EXTERNAL);
    assert_eq!((external.quantity, external.fees), (Quantity::ZERO, Cash::ZERO));
    // 40 for one lot of the first; 40 for six of the first and three of the other.
    assert_eq!((first.fees, other.fees), (Cash::new(40 + 26), Cash::new(14)));
}

/// Nothing is to be sent, and nobody is left believing that he holds something: they close with each other, at no gain of anybody's.
#[test]
fn a_flatten_crosses_owners_that_hold_against_each_other() {
    let mut two = configuration();
    two.strategies.push(two.strategies[0].clone());
    let (mut desk, second) = Desk::ready_with_second(two);
    let bought = desk.open(limit(0, ETH, Side::Buy, 9_990, 7));
    let fill = desk.fill(&bought, 7, 7, 1);
    desk.tell(&bought, fill);
    desk.settle();
    second.trade(&mut desk, limit(0, ETH, Side::Sell, 10_020, 7), 10_020);
    assert_eq!((lots_of(&desk, 0), lots_of(&desk, 1), desk.held(ETH)), (7, -7, 0));
    let before = *desk.core.state().execution.total(ETH).unwrap();
    let net = |desk: &Desk, at| desk.core.state().profit(StrategyId(at), ETH).unwrap().net();
    let (first, other) = (net(&desk, 0), net(&desk, 1));

    desk.control(ControlVerb::Flatten, 0);
    desk.settle();
    assert!(desk.take_dispatches().is_empty());
    assert_eq!((lots_of(&desk, 0), lots_of(&desk, 1)), (0, 0));
    assert_eq!((net(&desk, 0), net(&desk, 1)), (first, other), "at the price at which both were valued");
    assert_eq!(*desk.core.state().execution.total(ETH).unwrap(), before, "the account did nothing");
    let of = |at| *desk.core.state().execution.position(StrategyId(at), ETH).unwrap();
    // The middle of 10,000 and 10,010.
    assert_eq!(of(0).realised, Notional::new(7 * (10_005 - 9_990)));
    assert_eq!(of(1).realised, Notional::new(7 * (10_020 - 10_005)));
    assert_eq!((of(0).fills, of(0).bought, of(0).sold), (1, Quantity::new(7), Quantity::ZERO), "no trade");
    assert_eq!(desk.incidents(IncidentKind::OwnersCrossed), 1);
    assert!(!desk.core.state().control.is_flattening(), "and the flatten is done");
}

/// What a strategy holds of ETH.
fn lots_of(desk: &Desk, strategy: u8) -> i64 {
    desk.core.state().execution.position(StrategyId(strategy), ETH).unwrap().quantity.raw()
}
