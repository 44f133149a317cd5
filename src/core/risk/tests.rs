//! One example a check, whose name says it; and for each the proof that it would fail without the check: the bad intent goes through.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;
use std::vec::Vec;

use super::{CHECKS, Risk};
use crate::desk::*;
use crate::event::*;
use crate::family::Family;
use crate::id::*;
use crate::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use crate::intent::{CancelIntent, Intent, NewIntent, ReplaceIntent};
use crate::limits::*;
use crate::num::*;
use crate::record::{Decision, RiskReason, Trip, Wait};
use crate::time::Nanos;

std::thread_local! {
    /// The check that is taken away, and what was said instead of what an example expected.
    static REMOVED: Cell<Option<RiskReason>> = const { Cell::new(None) };
    static SAID: Cell<Option<RiskReason>> = const { Cell::new(None) };
}

pub(super) fn is_removed(reason: RiskReason) -> bool {
    REMOVED.get() == Some(reason)
}

// ---- words ----

fn bid(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

fn sell(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Sell, 10_020, quantity)
}

fn verdict(desk: &mut Desk, intent: Intent) -> RiskReason {
    desk.wish(vec![intent])[0].verdict
}

#[track_caller]
fn is_denied(desk: &mut Desk, intent: Intent, reason: RiskReason) {
    desk.take_dispatches();
    let said = verdict(desk, intent);
    SAID.set(Some(said));
    assert_eq!(said, reason);
    assert!(desk.take_dispatches().is_empty());
}

#[track_caller]
fn denied(desk: &mut Desk, new: NewIntent, reason: RiskReason) {
    is_denied(desk, Intent::New(new), reason);
}

/// What risk says where no strategy is asked: a desk that is killed or drains.
#[track_caller]
fn denied_by_itself(desk: &Desk, new: NewIntent, reason: RiskReason) {
    let mut risk = Risk::new(desk.core.configuration());
    let said = risk.check(desk.core.state(), desk.core.configuration(), &Intent::New(new)).err();
    SAID.set(Some(said.unwrap_or(RiskReason::Allowed)));
    assert_eq!(said, Some(reason));
}

#[track_caller]
fn allowed(desk: &mut Desk, new: NewIntent) {
    assert_eq!(verdict(desk, Intent::New(new)), RiskReason::Allowed);
}

fn replace(slot: u16, price: i64, quantity: i64) -> Intent {
    let (price, quantity) = (Price::new(price), Quantity::new(quantity));
    Intent::Replace(ReplaceIntent { key: key(slot), price, quantity })
}

fn with_limits(change: impl FnOnce(&mut Configuration)) -> Desk {
    let mut with = configuration();
    change(&mut with);
    Desk::ready_with(with, definition())
}

fn with_definition(change: impl FnOnce(&mut InstrumentDefinition)) -> Desk {
    let mut with = definition();
    change(&mut with);
    Desk::ready_with(configuration(), with)
}

/// Ten lots long at 9,990, settled. A tick of ten lots is 0.001.
fn made_long(mut desk: Desk) -> Desk {
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    desk.settle();
    desk.take_dispatches();
    desk
}

/// The market moves, late enough to be valued anew.
fn moves_to(desk: &mut Desk, bid: i64) {
    desk.pass(Nanos::from_millis(20));
    desk.market(BTC, bid, bid + 10);
}

fn set_trading(desk: &mut Desk, target: u32, state: TradingState) {
    let verb = ControlVerb::SetTradingState;
    desk.give(Body::Control(Control { verb, target, old: 0, new: i64::from(state.code()), who: 0 }));
}

fn wallet(desk: &mut Desk, asset: u8, wallet: i64) {
    desk.give(Body::Balance(BalanceReport {
        asset: AssetId(asset),
        wallet,
        available: i64::MIN,
        change: 0,
        cause: BalanceCause::Other,
        hydrated: false,
    }));
}

fn trips(desk: &Desk) -> Vec<Trip> {
    let trip = |decision: &Decision| match decision {
        Decision::Trip(trip) => Some(*trip),
        _ => None,
    };
    desk.seen.decisions.iter().filter_map(trip).collect()
}

// ---- one example a check ----

macro_rules! examples {
    ($($reason:ident $name:ident $body:block)*) => {
        $(#[test] fn $name() $body)*

        const EXAMPLES: &[(RiskReason, &str, fn())] = &[$((RiskReason::$reason, stringify!($name), $name)),*];
    };
}

examples! {
    Killed a_kill_denies {
        let mut desk = Desk::ready();
        desk.kill(KillMode::Block);
        denied_by_itself(&desk, bid(0, 1), RiskReason::Killed);
    }

    Draining a_drain_denies {
        let mut desk = Desk::ready();
        desk.control(ControlVerb::Drain, 0);
        denied_by_itself(&desk, bid(0, 1), RiskReason::Draining);
    }

    IntentRate intent_rate_denies_a_runaway_loop {
        let mut desk = with_limits(|c| c.strategies[0].max_intents_per_second = 3);
        let said = desk.wish((0..4).map(|slot| Intent::New(bid(slot, 1))).collect());
        let said: Vec<RiskReason> = said.iter().map(|record| record.verdict).collect();
        SAID.set(said.last().copied());
        assert_eq!(said[2..], [RiskReason::Allowed, RiskReason::IntentRate]);
    }

    MessageRatio message_ratio_denies_requests_that_never_fill {
        let mut desk = with_limits(|c| {
            let limits = &mut c.strategies[0];
            (limits.max_messages_per_fill, limits.message_minimum) = (2, 4);
            limits.message_window = Nanos::from_secs(10);
        });
        (0..4).for_each(|slot| _ = desk.open(bid(slot, 1)));
        denied(&mut desk, bid(4, 1), RiskReason::MessageRatio);
    }

    DailyLoss daily_loss_denies_new_risk_once_it_is_reached {
        // 90 ticks down on ten lots: 0.09, marked at 9,905.
        let mut desk = made_long(with_limits(|c| c.strategies[0].max_daily_loss = CASH_UNIT / 20));
        moves_to(&mut desk, 9_900);
        denied(&mut desk, limit(1, BTC, Side::Buy, 9_890, 1), RiskReason::DailyLoss);
        allowed(&mut desk, limit(1, BTC, Side::Sell, 9_920, 5));
    }

    Drawdown drawdown_denies_new_risk_below_the_best {
        let mut desk = made_long(with_limits(|c| c.strategies[0].max_drawdown = CASH_UNIT / 10));
        // Up 300 ticks: 0.3. Down again by 100: still a profit, and 0.1 below the best.
        moves_to(&mut desk, 10_300);
        moves_to(&mut desk, 10_201);
        allowed(&mut desk, limit(1, BTC, Side::Buy, 10_190, 1));
        moves_to(&mut desk, 10_200);
        denied(&mut desk, limit(2, BTC, Side::Buy, 10_190, 1), RiskReason::Drawdown);
    }

    AccountDailyLoss account_daily_loss_denies_new_risk_of_everybody {
        let mut desk = made_long(with_limits(|c| {
            (c.account.max_daily_loss, c.account.on_loss) = (CASH_UNIT / 20, LossAnswer::Reduce);
        }));
        moves_to(&mut desk, 9_900);
        denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 1), RiskReason::AccountDailyLoss);
    }

    AccountDrawdown account_drawdown_denies_new_risk_of_everybody {
        let mut desk = made_long(with_limits(|c| {
            (c.account.max_drawdown, c.account.on_loss) = (CASH_UNIT / 10, LossAnswer::Reduce);
        }));
        moves_to(&mut desk, 10_300);
        moves_to(&mut desk, 10_200);
        denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 1), RiskReason::AccountDrawdown);
    }

    TradingDisabled trading_disabled_denies_everything_but_cancels {
        let mut desk = made_long(Desk::ready());
        desk.control(ControlVerb::DisableTrading, 0);
        denied(&mut desk, sell(1, 5), RiskReason::TradingDisabled);
        denied(&mut desk, bid(1, 1), RiskReason::TradingDisabled);
    }

    ReducingOnly reducing_only_denies_new_risk_of_everybody {
        let mut desk = made_long(Desk::ready());
        set_trading(&mut desk, Control::EVERYBODY, TradingState::Reducing);
        desk.take_dispatches();
        denied(&mut desk, bid(1, 1), RiskReason::ReducingOnly);
        assert_eq!(desk.send(sell(1, 5)).quantity, Quantity::new(5), "and sends what lowers exposure");
    }

    StrategyHalted a_halted_strategy_is_denied_everything_but_cancels {
        let mut desk = made_long(Desk::ready());
        set_trading(&mut desk, 0, TradingState::Halted);
        denied(&mut desk, sell(1, 5), RiskReason::StrategyHalted);
    }

    StrategyReducing a_reducing_strategy_is_denied_new_risk {
        let mut desk = made_long(Desk::ready());
        set_trading(&mut desk, 0, TradingState::Reducing);
        denied(&mut desk, bid(1, 1), RiskReason::StrategyReducing);
        assert_eq!(desk.send(sell(1, 5)).quantity, Quantity::new(5), "and sends what lowers exposure");
    }

    InstrumentHalted a_halted_instrument_denies {
        let mut desk = with_definition(|d| d.status = InstrumentStatus::Halted);
        denied(&mut desk, bid(0, 1), RiskReason::InstrumentHalted);
    }

    NotOurInstrument an_instrument_of_another_strategy_is_denied {
        let mut desk = with_limits(|c| c.strategies[0].instruments = vec![0]);
        // The scripted strategy wakes on its own instrument, and wishes for another.
        denied(&mut desk, limit(0, ETH, Side::Buy, 9_990, 1), RiskReason::NotOurInstrument);
    }

    BadSlot a_slot_beyond_the_table_is_denied {
        denied(&mut Desk::ready(), bid(MAX_SLOTS as u16, 1), RiskReason::BadSlot);
    }

    Unsettled while_private_events_are_expected_new_orders_are_denied {
        let mut desk = Desk::ready();
        let sent = desk.send(bid(0, 1));
        desk.accept(&sent);
        denied(&mut desk, bid(1, 1), RiskReason::Unsettled);
    }

    DuplicateOrder a_second_order_in_a_slot_is_denied {
        let mut desk = Desk::ready();
        desk.open(bid(0, 1));
        denied(&mut desk, bid(0, 2), RiskReason::DuplicateOrder);
    }

    NotReplaceable a_replace_of_a_stop_is_denied {
        let mut desk = Desk::ready();
        desk.open(NewIntent { key: key(0), ..NewIntent::stop_market(BTC, Side::Buy, Price::new(10_500), Quantity::new(1)) });
        is_denied(&mut desk, replace(0, 10_600, 1), RiskReason::NotReplaceable);
    }

    WrongLeg a_leg_in_one_way_mode_is_denied {
        denied(&mut Desk::ready(), bid(0, 1).on_leg(PositionSide::Long), RiskReason::WrongLeg);
    }

    BadForm a_form_that_no_venue_takes_is_denied {
        denied(&mut Desk::ready(), NewIntent { callback: 50, ..bid(0, 1) }, RiskReason::BadForm);
    }

    DuplicateIntent a_replace_that_changes_nothing_is_denied {
        let mut desk = Desk::ready();
        desk.open(bid(0, 3));
        is_denied(&mut desk, replace(0, 9_990, 3), RiskReason::DuplicateIntent);
    }

    PositionInconsistent a_position_that_nobody_can_explain_denies_new_risk {
        let mut desk = Desk::ready();
        desk.link(LinkKind::Private, LinkState::Down);
        desk.link(LinkKind::Private, LinkState::Up);
        desk.hydrate(|desk| desk.position(BTC, 7, true));
        desk.settle();
        denied(&mut desk, bid(0, 1), RiskReason::PositionInconsistent);
    }

    BookNotWhole a_lost_book_denies_new_risk {
        let mut desk = with_limits(|c| c.instruments[0].collar = 0);
        desk.give(Body::BookLost(BookLoss::Gap));
        denied(&mut desk, bid(0, 1), RiskReason::BookNotWhole);
    }

    MarketStale a_stale_market_denies_new_risk {
        let mut desk = Desk::ready();
        desk.pass(Nanos::from_secs(6));
        denied(&mut desk, bid(0, 1), RiskReason::MarketStale);
    }

    MarketCrossed a_crossed_market_denies_new_risk {
        let mut desk = Desk::ready();
        desk.market(BTC, 10_010, 10_000);
        denied(&mut desk, bid(0, 1), RiskReason::MarketCrossed);
    }

    OffTickRange a_price_outside_the_venues_range_is_denied {
        let mut desk = with_definition(|d| d.max_price = Price::new(9_980));
        denied(&mut desk, bid(0, 1), RiskReason::OffTickRange);
    }

    OffLotRange a_quantity_outside_the_venues_range_is_denied {
        let mut desk = with_definition(|d| (d.min_quantity, d.max_quantity) = (Quantity::new(2), Quantity::new(50)));
        denied(&mut desk, bid(0, 1), RiskReason::OffLotRange);
        denied(&mut desk, bid(0, 51), RiskReason::OffLotRange);
    }

    MarketLotRange more_than_the_venue_fills_at_market_is_denied {
        let mut desk = with_definition(|d| d.max_market_quantity = Quantity::new(5));
        allowed(&mut desk, bid(0, 6));
        denied(&mut desk, NewIntent { key: key(1), ..NewIntent::market(BTC, Side::Buy, Quantity::new(6)) }, RiskReason::MarketLotRange);
    }

    BelowMinNotional an_order_worth_too_little_is_denied {
        let mut desk = with_definition(|d| d.min_notional = 5 * CASH_UNIT);
        denied(&mut desk, bid(0, 5), RiskReason::BelowMinNotional);
        allowed(&mut desk, bid(0, 6));
    }

    OutsidePercentPrice percent_price_denies_far_from_the_mark {
        let mut desk = with_definition(|d| (d.percent_up, d.percent_down) = (10_100, 9_900));
        denied(&mut desk, limit(0, BTC, Side::Buy, 9_800, 1), RiskReason::OutsidePercentPrice);
    }

    WouldTrigger a_stop_that_would_fire_at_once_is_denied {
        let mut desk = Desk::ready();
        let stop = |slot, side, at| NewIntent { key: key(slot), ..NewIntent::stop_market(BTC, side, Price::new(at), Quantity::new(1)) };
        allowed(&mut desk, stop(1, Side::Buy, 10_050).triggered_by(TriggerBy::MarkPrice));
        denied(&mut desk, stop(0, Side::Buy, 9_900).triggered_by(TriggerBy::MarkPrice), RiskReason::WouldTrigger);
    }

    BadExpiry an_order_that_ends_too_soon_is_denied {
        let mut desk = with_limits(|c| c.venues[0].least_validity = Nanos::from_secs(600));
        let ends = |desk: &Desk, after| bid(0, 1).until(desk.now + Nanos::from_secs(after));
        let soon = ends(&desk, 599);
        denied(&mut desk, soon, RiskReason::BadExpiry);
        let later = ends(&desk, 601);
        allowed(&mut desk, later);
    }

    OrderTooLarge max_order_quantity_denies_a_fat_finger {
        let mut desk = with_limits(|c| c.instruments[0].max_order_quantity = Quantity::new(5));
        denied(&mut desk, bid(0, 6), RiskReason::OrderTooLarge);
    }

    OrderNotionalTooLarge max_order_notional_denies_a_fat_finger {
        let mut desk = with_limits(|c| c.instruments[0].max_order_notional = Notional::new(50_000));
        denied(&mut desk, bid(0, 6), RiskReason::OrderNotionalTooLarge);
    }

    NoReferencePrice without_a_reference_the_collar_denies {
        let mut desk = made_long(Desk::ready());
        desk.give(Body::BookLost(BookLoss::Gap));
        denied(&mut desk, sell(1, 5), RiskReason::NoReferencePrice);
    }

    OutsideCollar price_collar_denies_a_price_far_from_the_reference {
        denied(&mut Desk::ready(), limit(0, BTC, Side::Buy, 9_000, 1), RiskReason::OutsideCollar);
    }

    TooManyOpenOrders max_open_orders_denies_one_more_of_the_instrument {
        let mut desk = with_limits(|c| c.instruments[0].max_open_orders = 1);
        desk.open(bid(0, 1));
        denied(&mut desk, bid(1, 1), RiskReason::TooManyOpenOrders);
    }

    StrategyOpenOrders max_open_orders_denies_one_more_of_the_strategy {
        let mut desk = with_limits(|c| c.strategies[0].max_open_orders = 1);
        desk.open(bid(0, 1));
        denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 1), RiskReason::StrategyOpenOrders);
    }

    VenueOpenOrders max_open_orders_denies_one_more_at_the_venue {
        let mut desk = with_limits(|c| c.venues[0].max_open_orders = 1);
        desk.open(bid(0, 1));
        denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 1), RiskReason::VenueOpenOrders);
    }

    OrderTableFull a_full_order_table_denies {
        let mut desk = with_limits(|c| {
            c.order_rows = 16;
            c.instruments[0].max_open_orders = 100;
        });
        (0..16).for_each(|slot| _ = desk.open(bid(slot, 1)));
        denied(&mut desk, bid(16, 1), RiskReason::OrderTableFull);
    }

    PositionLimit max_position_denies_with_all_working_orders_assumed_filled {
        let mut desk = Desk::ready();
        desk.open(bid(0, 60));
        denied(&mut desk, bid(1, 41), RiskReason::PositionLimit);
        allowed(&mut desk, bid(1, 40));
    }

    PositionNotional max_position_notional_denies_with_all_working_orders_assumed_filled {
        // A lot is worth 1.0005 at the middle.
        let mut desk = with_limits(|c| c.instruments[0].max_position_notional = 50 * CASH_UNIT);
        desk.open(bid(0, 30));
        denied(&mut desk, bid(1, 20), RiskReason::PositionNotional);
        allowed(&mut desk, bid(1, 19));
    }

    StrategyGross strategy_gross_exposure_adds_up_over_instruments {
        let mut desk = with_limits(|c| c.strategies[0].max_gross = 50 * CASH_UNIT);
        desk.open(bid(0, 30));
        denied(&mut desk, limit(1, ETH, Side::Sell, 10_020, 20), RiskReason::StrategyGross);
        allowed(&mut desk, limit(1, ETH, Side::Sell, 10_020, 19));
    }

    StrategyNet strategy_net_exposure_is_long_against_short {
        let mut desk = with_limits(|c| c.strategies[0].max_net = 50 * CASH_UNIT);
        desk.open(bid(0, 30));
        allowed(&mut desk, limit(1, ETH, Side::Sell, 10_020, 40));
        denied(&mut desk, limit(2, ETH, Side::Buy, 9_990, 20), RiskReason::StrategyNet);
    }

    AccountGross account_gross_exposure_counts_the_orders_of_others {
        let mut desk = with_limits(|c| c.account.max_gross = 50 * CASH_UNIT);
        others_bid(&mut desk, 30);
        denied(&mut desk, limit(1, ETH, Side::Sell, 10_020, 20), RiskReason::AccountGross);
        allowed(&mut desk, limit(1, ETH, Side::Sell, 10_020, 19));
    }

    AccountNet account_net_exposure_counts_the_orders_of_others {
        let mut desk = with_limits(|c| c.account.max_net = 50 * CASH_UNIT);
        others_bid(&mut desk, 30);
        denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 20), RiskReason::AccountNet);
        allowed(&mut desk, limit(1, ETH, Side::Buy, 9_990, 19));
    }

    Balance spot_denies_to_sell_what_is_not_there {
        let mut desk = with_definition(|d| d.product = Product::Spot);
        wallet(&mut desk, 1, 10 * CASH_UNIT / 1_000);
        desk.open(sell(0, 6));
        denied(&mut desk, sell(1, 5), RiskReason::Balance);
        allowed(&mut desk, sell(1, 4));
    }

    Margin a_perpetual_denies_what_the_wallet_does_not_cover {
        // 20 lots are worth 20.01: 2.001 at leverage 10.
        let mut desk = with_limits(|c| c.instruments[0].leverage = 10);
        wallet(&mut desk, 0, 2 * CASH_UNIT);
        denied(&mut desk, bid(0, 20), RiskReason::Margin);
        allowed(&mut desk, bid(0, 19));
    }

    SelfCross a_trade_with_ourselves_is_denied {
        let mut desk = Desk::ready();
        desk.open(bid(0, 1));
        denied(&mut desk, limit(1, BTC, Side::Sell, 9_990, 1), RiskReason::SelfCross);
    }
}

/// Somebody else's order on the account.
fn others_bid(desk: &mut Desk, quantity: i64) {
    let like = Desk::ready().send(bid(0, quantity));
    let mut report = desk.report(&like, Execution::New, VenueStatus::New);
    report.client_order_id = ClientOrderId::from_text(b"web_somebody");
    desk.tell(&like, report);
    desk.settle();
}

#[test]
fn every_check_has_an_example_that_fails_without_it() {
    for check in CHECKS {
        let mine = EXAMPLES.iter().filter(|(reason, ..)| *reason == check.reason);
        assert!(mine.clone().count() > 0, "{} has no example", check.reason);
        for (reason, name, example) in mine {
            SAID.set(None);
            REMOVED.set(Some(*reason));
            let outcome = catch_unwind(AssertUnwindSafe(example));
            REMOVED.set(None);
            assert!(outcome.is_err(), "{name} passes without its check");
            assert_eq!(
                SAID.get(),
                Some(RiskReason::Allowed),
                "{name}: the bad intent was held by another check"
            );
        }
    }
}

#[test]
fn every_reason_is_one_check_or_comes_before_them_all() {
    let before = [RiskReason::Allowed, RiskReason::NoSuchOrder, RiskReason::InstrumentUnknown];
    for reason in RiskReason::ALL {
        let checks = CHECKS.iter().filter(|check| check.reason == *reason).count();
        assert_eq!(checks, usize::from(!before.contains(reason)), "{reason}");
    }
}

// ---- what comes before the checks, and what passes ----

#[test]
fn a_sane_order_goes_out() {
    let mut desk = Desk::ready();
    allowed(&mut desk, bid(0, 10));
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn what_has_no_definition_is_denied() {
    denied(&mut Desk::ready(), limit(0, InstrumentId(9), Side::Buy, 9_990, 1), RiskReason::InstrumentUnknown);
}

#[test]
fn a_change_of_nothing_is_denied() {
    let mut desk = Desk::ready();
    let cancel = Intent::Cancel(CancelIntent { key: key(0), order: OrderIndex::NONE, family: Family::Entry });
    for intent in [replace(0, 1, 1), cancel] {
        is_denied(&mut desk, intent, RiskReason::NoSuchOrder);
    }
}

#[test]
fn killed_and_draining_desks_hear_no_strategy() {
    for verb in [ControlVerb::Kill, ControlVerb::Drain] {
        let mut desk = Desk::ready();
        desk.control(verb, u32::from(KillMode::Block.code()));
        assert!(desk.wish(vec![Intent::New(bid(0, 1))]).is_empty(), "{verb}");
    }
}

#[test]
fn what_lowers_exposure_passes_where_new_risk_does_not() {
    type Case = (fn(&mut Configuration), fn(&mut Desk));
    let cases: [Case; 6] = [
        (|_| {}, |desk| set_trading(desk, Control::EVERYBODY, TradingState::Reducing)),
        (|c| c.instruments[0].collar = 0, |desk| desk.give(Body::BookLost(BookLoss::Gap))),
        (|_| {}, |desk| desk.market(BTC, 10_010, 10_000)),
        (|_| {}, |desk| desk.pass(Nanos::from_secs(6))),
        (|c| c.strategies[0].max_gross = 11 * CASH_UNIT, |_| {}),
        (|c| c.instruments[0].leverage = 1, |desk| wallet(desk, 0, CASH_UNIT)),
    ];
    for (at, (change, happens)) in cases.into_iter().enumerate() {
        let mut desk = made_long(with_limits(change));
        happens(&mut desk);
        assert_ne!(verdict(&mut desk, Intent::New(bid(1, 5))), RiskReason::Allowed, "case {at}");
        assert_eq!(verdict(&mut desk, Intent::New(sell(2, 5))), RiskReason::Allowed, "case {at}");
    }
}

#[test]
fn an_order_that_may_only_reduce_passes_beside_others_of_its_side() {
    let mut desk = made_long(with_limits(|c| c.instruments[0].max_open_orders = 1));
    desk.open(sell(1, 10));
    // The position is spoken for, and no more orders are allowed; a protective stop is not new risk.
    let stop = NewIntent::stop_market(BTC, Side::Sell, Price::new(9_500), Quantity::new(10));
    allowed(&mut desk, NewIntent { key: key(2), ..stop.reduce_only().triggered_by(TriggerBy::MarkPrice) });
    denied(&mut desk, sell(3, 10), RiskReason::TooManyOpenOrders);
}

#[test]
fn the_same_wish_within_the_configured_span_is_denied() {
    let mut desk = with_limits(|c| c.strategies[0].duplicate_within = Nanos::from_millis(100));
    let sent = desk.send(bid(0, 1));
    let rejected = desk.report(&sent, Execution::Rejected, VenueStatus::Rejected);
    desk.tell(&sent, rejected);
    desk.settle();
    denied(&mut desk, bid(0, 1), RiskReason::DuplicateIntent);
    allowed(&mut desk, bid(0, 2));
    let mut desk = with_limits(|c| c.strategies[0].duplicate_within = Nanos::from_millis(100));
    let sent = desk.send(bid(0, 1));
    let rejected = desk.report(&sent, Execution::Rejected, VenueStatus::Rejected);
    desk.tell(&sent, rejected);
    desk.pass(Nanos::from_millis(101));
    allowed(&mut desk, bid(0, 1));
}

#[test]
fn spot_buying_needs_its_price_and_its_fee() {
    // 10 lots at 999.0 cost 9.99, and 0.05 % of it: 9.994995.
    for (quote, said) in [(999_499_499, RiskReason::Balance), (999_499_500, RiskReason::Allowed)] {
        let mut desk = with_definition(|d| d.product = Product::Spot);
        wallet(&mut desk, 0, quote);
        assert_eq!(verdict(&mut desk, Intent::New(bid(0, 10))), said);
    }
}

#[test]
fn a_position_that_has_lost_covers_less_margin() {
    let mut desk = made_long(with_limits(|c| c.instruments[0].leverage = 10));
    wallet(&mut desk, 0, 3 * CASH_UNIT);
    moves_to(&mut desk, 9_590);
    // 10 lots at 959.5 and 20 more: 28.785 at leverage 10 are 2.8785; 3 less the loss of 0.395 are 2.605.
    denied(&mut desk, limit(1, BTC, Side::Buy, 9_580, 20), RiskReason::Margin);
    allowed(&mut desk, limit(1, BTC, Side::Buy, 9_580, 17));
}

// ---- bounds that stop more than one order ----

#[test]
fn a_runaway_strategy_is_halted_and_its_orders_are_cancelled() {
    let mut desk = with_limits(|c| c.strategies[0].max_intents_per_second = 3);
    let sent = desk.open(bid(0, 1));
    desk.wish((1..6).map(|slot| Intent::New(bid(slot, 1))).collect());
    desk.take_dispatches();
    desk.settle();
    let trip = Trip {
        strategy: StrategyId(0),
        why: RiskReason::IntentRate,
        from_now_on: TradingState::Halted,
        reached: 6,
        bound: 3,
    };
    assert_eq!(trips(&desk), [trip]);
    let cancels = desk.take_dispatches();
    assert!(cancels.iter().all(|cancel| cancel.request == RequestKind::Cancel), "{cancels:?}");
    assert!(cancels.iter().any(|cancel| cancel.client_order_id == sent.client_order_id));
    desk.pass(Nanos::from_secs(2));
    denied(&mut desk, bid(7, 1), RiskReason::StrategyHalted);
    set_trading(&mut desk, 0, TradingState::Active);
    allowed(&mut desk, bid(7, 1));
}

#[test]
fn a_daily_loss_holds_until_the_next_day_though_the_market_comes_back() {
    let mut desk = made_long(with_limits(|c| c.strategies[0].max_daily_loss = CASH_UNIT / 20));
    moves_to(&mut desk, 9_900);
    moves_to(&mut desk, 10_000);
    assert_eq!(trips(&desk).len(), 1);
    denied(&mut desk, bid(1, 1), RiskReason::StrategyReducing);
    desk.control(ControlVerb::BeginDay, 0);
    allowed(&mut desk, bid(1, 1));
}

#[test]
fn a_day_begins_without_the_losses_of_the_one_before() {
    let mut desk = made_long(with_limits(|c| c.strategies[0].max_daily_loss = CASH_UNIT / 10));
    moves_to(&mut desk, 9_910);
    desk.control(ControlVerb::BeginDay, 0);
    moves_to(&mut desk, 9_830);
    allowed(&mut desk, limit(1, BTC, Side::Buy, 9_800, 1));
    moves_to(&mut desk, 9_805);
    denied(&mut desk, limit(2, BTC, Side::Buy, 9_800, 1), RiskReason::DailyLoss);
}

#[test]
fn a_drawdown_holds_over_the_day_until_a_person_makes_the_strategy_active() {
    let mut desk = made_long(with_limits(|c| c.strategies[0].max_drawdown = CASH_UNIT / 20));
    moves_to(&mut desk, 9_900);
    assert_eq!(trips(&desk).len(), 1);
    desk.control(ControlVerb::BeginDay, 0);
    denied(&mut desk, limit(1, BTC, Side::Buy, 9_890, 1), RiskReason::Drawdown);
    set_trading(&mut desk, 0, TradingState::Active);
    allowed(&mut desk, limit(1, BTC, Side::Buy, 9_890, 1));
    assert_eq!(trips(&desk).len(), 1);
}

#[test]
fn a_realised_loss_counts_though_what_is_held_has_gained() {
    let mut desk = made_long(with_limits(|c| c.strategies[0].max_daily_loss = CASH_UNIT / 50));
    // Half is sold 50 ticks lower: 5 lots lose 0.025.
    let sent = desk.open(limit(1, BTC, Side::Sell, 10_020, 5));
    let fill = OrderReport { last_price: Price::new(9_940), ..desk.fill(&sent, 5, 5, 2) };
    desk.tell(&sent, fill);
    moves_to(&mut desk, 10_200);
    denied(&mut desk, limit(2, BTC, Side::Buy, 10_190, 1), RiskReason::DailyLoss);
}

#[test]
fn an_account_loss_kills_where_configured() {
    let mut desk = made_long(with_limits(|c| c.account.max_daily_loss = CASH_UNIT / 20));
    let sent = desk.open(bid(1, 1));
    moves_to(&mut desk, 9_900);
    assert_eq!(desk.core.state().control.kill, Some(KillMode::Cancel));
    assert_eq!(trips(&desk).iter().map(|trip| trip.why).collect::<Vec<_>>(), [RiskReason::AccountDailyLoss]);
    let cancels = desk.take_dispatches();
    assert_eq!(cancels.last().map(|cancel| cancel.client_order_id), Some(sent.client_order_id));
}

#[test]
fn what_an_account_holds_when_it_is_first_read_is_not_its_loss() {
    let mut with = configuration();
    with.account.max_daily_loss = CASH_UNIT;
    let mut desk = Desk::cold(with, vec![]);
    for instrument in [BTC, ETH] {
        desk.on(instrument, Body::Instrument(definition()));
        desk.market(instrument, 5_000, 5_010);
    }
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    // 100 lots bought at 1,000.0, now at 500.5: 49.95 under water.
    desk.hydrate(|desk| desk.position(BTC, 100, true));
    moves_to(&mut desk, 5_000);
    assert_eq!(trips(&desk), []);
    // 200 ticks more are 2.
    moves_to(&mut desk, 4_800);
    assert_eq!(trips(&desk).len(), 1);
}

#[test]
fn a_limit_that_changes_while_the_run_goes_on_is_looked_at_at_once() {
    let mut desk = made_long(Desk::ready());
    moves_to(&mut desk, 9_900);
    let set = |key: LimitKey, new| {
        Body::Control(Control { verb: ControlVerb::SetLimit, target: key.target(0), old: 0, new, who: 0 })
    };
    desk.give(set(LimitKey::MaxDailyLoss, CASH_UNIT / 20));
    assert_eq!(trips(&desk).len(), 1);
    desk.give(set(LimitKey::StaleAfter, 1_000_000_000));
    desk.pass(Nanos::from_millis(1_100));
    assert!(desk.core.state().market.instrument(BTC).unwrap().stale);
}

#[test]
fn a_command_that_waits_long_is_recorded_once_with_its_reason_and_its_age() {
    let mut with = configuration();
    with.report_wait = Nanos::from_millis(50);
    with.venues[0].buckets = vec![BucketLimit {
        burst: 1,
        refill: 1,
        interval: Nanos::from_secs(1),
        costs: [1, 1, 0],
        ..BucketLimit::default()
    }];
    let mut desk = Desk::ready_with(with, definition());
    desk.wish(vec![Intent::New(bid(0, 1)), Intent::New(bid(1, 1))]);
    desk.pass(Nanos::from_millis(400));
    let waits = |decision: &Decision| match decision {
        Decision::Waits { key, why, age, .. } => Some((*key, *why, *age)),
        _ => None,
    };
    let told: Vec<_> = desk.seen.decisions.iter().filter_map(waits).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0, told[0].1), (key(1), Wait::Rate));
    assert!(told[0].2 >= Nanos::from_millis(50) && told[0].2 < Nanos::from_millis(60), "{:?}", told[0].2);
}
