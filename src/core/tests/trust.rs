//! What is believed of the venue, and from when: orders that live although they had ended, accounts in another mode, read-backs that
//! fail, and spot wallets, which say what was held at one moment and no more.

mod desk;

use desk::*;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::intent::Intent;
use linchpin_core::limits::{Configuration, MAX_SLOTS, VenueLimits};
use linchpin_core::num::*;
use linchpin_core::record::{Ask, Gate, IncidentKind};
use linchpin_core::state::execution::Agreement;
use linchpin_core::state::order::OrderState;
use linchpin_core::time::Nanos;

const BASE: AssetId = AssetId(1);
/// A lot of the base asset, at eight decimals.
const LOT: i64 = 100_000;

fn bid(slot: u16, quantity: i64) -> linchpin_core::intent::NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

fn asks(desk: &Desk, scope: HydrationScope) -> Vec<Ask> {
    desk.seen.asks.iter().filter(|ask| ask.scope == scope).copied().collect()
}

fn last_order_ask(desk: &Desk) -> Ask {
    *asks(desk, HydrationScope::Order).last().expect("a question about an order")
}

/// The venue answers a question about an order: as it has stood there since its last change, which was long ago.
fn answer_with(desk: &mut Desk, of: &Dispatch, report: OrderReport) {
    let ask = last_order_ask(desk);
    assert_eq!(ask.client_order_id, of.client_order_id);
    let flags = report.flags.with(ReportFlags::HYDRATED, true);
    let stamp = desk.order(of).reported;
    desk.stamped(
        stamp,
        of.instrument,
        Body::Order(OrderReport { flags, execution: Execution::Status, ..report }),
    );
    desk.answer(&ask, HydrationPhase::End);
}

// ---- ghosts ----

/// Sent, never answered, and not found after the venue's visibility delay: and then the venue shows that it rests.
fn ghost() -> (Desk, Dispatch) {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0, 10));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.pass(Nanos::from_millis(1_500));
    let ask = last_order_ask(&desk);
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Rejected);
    desk.seen = Seen::default();
    desk.market(BTC, 10_000, 10_010);
    desk.accept(&sent);
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
    (desk, sent)
}

fn cancels(desk: &mut Desk) -> Vec<ClientOrderId> {
    let sent = desk.take_dispatches();
    let cancels = sent.iter().filter(|dispatch| dispatch.request == RequestKind::Cancel);
    cancels.map(|dispatch| dispatch.client_order_id).collect()
}

#[test]
fn a_ghost_is_asked_about_and_adds_no_risk_meanwhile() {
    let (mut desk, sent) = ghost();
    assert_eq!(last_order_ask(&desk).client_order_id, sent.client_order_id);
    desk.settle();
    desk.wish(vec![Intent::New(bid(1, 1))]);
    assert!(desk.take_dispatches().is_empty(), "a settled window forgets nothing");
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::new(10), "it is counted");
    assert_eq!(desk.core.open_orders(), 1);
}

#[test]
fn a_ghost_that_lives_is_cleaned_up_and_its_slot_is_the_strategys() {
    let (mut desk, sent) = ghost();
    let lives = desk.report(&sent, Execution::Status, VenueStatus::New);
    answer_with(&mut desk, &sent, lives);
    assert_eq!(desk.order(&sent).state, OrderState::Accepted);
    assert!(usize::from(desk.order(&sent).key.slot) >= MAX_SLOTS, "in no slot that the strategy names");
    desk.settle();
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);
    let gone = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, gone);
    desk.settle();
    assert!(desk.core.is_idle());
    let anew = desk.open(bid(0, 1));
    desk.settle();
    assert!(desk.order(&anew).is_live() && cancels(&mut desk).is_empty(), "the new order stays");
}

#[test]
fn a_ghost_that_the_venue_denies_has_ended_again() {
    let (mut desk, sent) = ghost();
    let early = last_order_ask(&desk);
    desk.answer(&early, HydrationPhase::NotFound);
    assert!(desk.order(&sent).is_live(), "it may not be visible yet");
    desk.pass(Nanos::from_millis(1_100));
    let late = last_order_ask(&desk);
    assert!(late.number > early.number);
    desk.answer(&late, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Rejected);
    desk.settle();
    assert!(desk.core.is_idle());
    desk.market(BTC, 10_000, 10_010);
    desk.send(bid(1, 1));
}

#[test]
fn a_kill_and_a_drain_cancel_a_ghost_and_a_drain_waits_for_it() {
    let (mut desk, sent) = ghost();
    desk.kill(KillMode::Cancel);
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);

    let (mut desk, sent) = ghost();
    desk.control(ControlVerb::Drain, 0);
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);
    assert!(!desk.core.is_idle(), "it is open at the venue");
    let gone = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, gone);
    desk.settle();
    assert!(desk.core.is_idle());
}

#[test]
fn what_a_ghost_fills_is_its_strategys_and_is_booked_once() {
    let (mut desk, sent) = ghost();
    let fill = desk.fill(&sent, 4, 4, 7);
    desk.tell(&sent, fill);
    desk.tell(&sent, fill);
    let own = desk.core.state().execution.position(StrategyId(0), BTC).unwrap().quantity;
    assert_eq!((own, desk.held(BTC)), (Quantity::new(4), 4));
    assert_eq!(desk.incidents(IncidentKind::LateFill), 0, "it was known to live");
}

#[test]
fn a_cancelled_order_that_is_told_late_or_with_less_filled_is_no_ghost() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let cancelled = OrderReport {
        cumulative_quantity: Quantity::new(4),
        ..desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled)
    };
    desk.tell(&sent, cancelled);
    let ended = desk.order(&sent);
    // From before its end; and after it, but with less filled than is known.
    let early = desk.report(&sent, Execution::New, VenueStatus::New);
    desk.stamped(ended.reported - Nanos::from_millis(1), BTC, Body::Order(early));
    desk.tell(&sent, early);
    assert_eq!(desk.order(&sent), ended);
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 0);
    let lives = OrderReport { cumulative_quantity: Quantity::new(4), ..early };
    desk.tell(&sent, OrderReport { status: VenueStatus::PartiallyFilled, ..lives });
    assert_eq!(desk.order(&sent).state, OrderState::PartiallyFilled);
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::new(6));
    assert_eq!(desk.held(BTC), 4, "what had filled is not filled again");
}

// ---- an account in another mode ----

fn long_leg(desk: &mut Desk, quantity: i64, hydrated: bool) {
    let report = PositionReport {
        quantity: Quantity::new(quantity),
        entry_price: 1_000 * CASH_UNIT,
        unrealised: 0,
        side: PositionSide::Long,
        hydrated,
    };
    let stamp = if hydrated { Nanos::ZERO } else { desk.now };
    desk.stamped(stamp, BTC, Body::Position(report));
}

#[test]
fn another_position_mode_stays_distrusted_until_a_read_back_shows_the_right_one() {
    let mut desk = Desk::cold(configuration(), vec![]);
    desk.connect(definition());
    desk.hydrate(|desk| long_leg(desk, 3, true));
    let is_inconsistent = |desk: &Desk| desk.core.state().execution.is_inconsistent(BTC);
    assert!(is_inconsistent(&desk), "the hydration's own comparison, of 0 with 0, says nothing about it");
    assert_eq!(desk.core.state().execution.agreement(BTC), Agreement::Inconsistent);
    desk.position(BTC, 0, false);
    desk.settle();
    assert!(is_inconsistent(&desk));
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| desk.position(BTC, 0, true));
    assert!(!is_inconsistent(&desk));
}

#[test]
fn a_private_word_of_another_position_mode_has_the_account_read_back_once() {
    let mut desk = Desk::ready();
    long_leg(&mut desk, 3, false);
    assert_eq!(asks(&desk, HydrationScope::Account).len(), 1);
    desk.hydrate(|desk| long_leg(desk, 3, true));
    long_leg(&mut desk, 4, false);
    desk.settle();
    assert_eq!(asks(&desk, HydrationScope::Account).len(), 1, "it would say the same");
    assert!(desk.core.state().execution.is_inconsistent(BTC));
}

// ---- failed read-backs ----

fn wallet(desk: &mut Desk, asset: AssetId, wallet: i64, cause: BalanceCause, hydrated: bool) {
    let report = BalanceReport { asset, wallet, available: i64::MIN, change: 0, cause, hydrated };
    desk.give(Body::Balance(report));
}

#[test]
fn balances_that_come_in_do_not_postpone_the_read_back_of_the_account() {
    let mut desk = Desk::ready();
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    let first = desk.account_ask().unwrap().number;
    desk.hydration(HydrationPhase::Failed, first);
    for _ in 0..6 {
        desk.pass(Nanos::from_millis(100));
        wallet(&mut desk, AssetId(0), 5_000, BalanceCause::Order, false);
    }
    assert!(desk.account_ask().unwrap().number > first, "half a second after the failure");
}

#[test]
fn a_read_back_replaces_the_balances_too() {
    let mut desk = Desk::ready();
    wallet(&mut desk, AssetId(2), 5_000, BalanceCause::Order, false);
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| wallet(desk, AssetId(0), 700, BalanceCause::ReadBack, true));
    let of = |asset| desk.core.state().account.balance(VenueId(0), asset).unwrap().wallet;
    assert_eq!(
        (of(AssetId(0)), of(AssetId(2))),
        (Cash::new(700), Cash::ZERO),
        "what is not named is not there"
    );
}

// ---- spot wallets ----

fn spot_definition() -> InstrumentDefinition {
    InstrumentDefinition { product: Product::Spot, ..definition() }
}

fn spot() -> Desk {
    Desk::ready_with(configuration(), spot_definition())
}

fn break_private(desk: &mut Desk) {
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
}

fn read_back_wallet(desk: &mut Desk, lots: i64) {
    let as_of = desk.now;
    let request = desk.account_ask().expect("an account ask").number;
    for phase in [HydrationPhase::Begin, HydrationPhase::End] {
        let (scope, client_order_id) = (HydrationScope::Account, ClientOrderId::NONE);
        if phase == HydrationPhase::End {
            wallet(desk, BASE, lots * LOT, BalanceCause::ReadBack, true);
        }
        desk.give(Body::Hydration(Hydration { scope, phase, client_order_id, request, as_of }));
    }
}

fn holds(desk: &Desk) -> (i64, i64) {
    let of = |owner| desk.core.state().execution.position(owner, BTC).unwrap().quantity.raw();
    (of(StrategyId(0)), of(StrategyId::EXTERNAL))
}

fn is_inconsistent(desk: &Desk) -> bool {
    desk.core.state().execution.is_inconsistent(BTC)
}

fn filled(desk: &Desk, sent: &Dispatch) -> OrderReport {
    OrderReport {
        cumulative_quantity: sent.quantity,
        last_price: sent.price,
        ..desk.report(sent, Execution::Status, VenueStatus::Filled)
    }
}

#[test]
fn a_sale_that_fills_while_the_private_stream_is_down_leaves_a_spot_account_consistent() {
    let mut desk = spot();
    let bought = desk.open(bid(0, 10));
    let fill = desk.fill(&bought, 10, 10, 1);
    desk.tell(&bought, fill);
    desk.settle();
    let sale = desk.open(limit(1, BTC, Side::Sell, 10_020, 10));
    break_private(&mut desk);
    read_back_wallet(&mut desk, 0);
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0, "the sale is in doubt: nobody knows yet");
    let whole = filled(&desk, &sale);
    answer_with(&mut desk, &sale, whole);
    desk.settle();
    assert_eq!(holds(&desk), (0, 0));
    assert!(!is_inconsistent(&desk));
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
}

#[test]
fn a_purchase_that_fills_while_the_private_stream_is_down_is_counted_once() {
    let mut desk = spot();
    let bought = desk.open(bid(0, 10));
    break_private(&mut desk);
    read_back_wallet(&mut desk, 10);
    let whole = filled(&desk, &bought);
    answer_with(&mut desk, &bought, whole);
    desk.settle();
    assert_eq!((holds(&desk), desk.held(BTC)), ((10, 0), 10));
}

#[test]
fn what_a_spot_wallet_lacks_after_the_doubt_is_an_inconsistency() {
    let mut desk = spot();
    let bought = desk.open(bid(0, 10));
    break_private(&mut desk);
    read_back_wallet(&mut desk, 6);
    let whole = filled(&desk, &bought);
    answer_with(&mut desk, &bought, whole);
    desk.settle();
    assert!(is_inconsistent(&desk));
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 2, "of each instrument of that base");
}

#[test]
fn a_fill_told_after_the_wallet_was_read_waits_for_the_wallets_own_news() {
    for balance_first in [true, false] {
        let mut desk = spot();
        let bought = desk.open(bid(0, 10));
        break_private(&mut desk);
        let as_of = desk.now;
        let request = desk.account_ask().unwrap().number;
        let bracket = |phase| {
            let (scope, client_order_id) = (HydrationScope::Account, ClientOrderId::NONE);
            Body::Hydration(Hydration { scope, phase, client_order_id, request, as_of })
        };
        desk.give(bracket(HydrationPhase::Begin));
        let listed = desk.report(&bought, Execution::Status, VenueStatus::New);
        let flags = listed.flags.with(ReportFlags::HYDRATED, true);
        desk.stamped(as_of, BTC, Body::Order(OrderReport { flags, ..listed }));
        let report = BalanceReport {
            asset: BASE,
            wallet: 0,
            available: i64::MIN,
            change: 0,
            cause: BalanceCause::ReadBack,
            hydrated: true,
        };
        desk.stamped(as_of, InstrumentId::NONE, Body::Balance(report));
        // Bought after the list was made: both words of it wait for the end of the read-back, in either order.
        let fill = desk.fill(&bought, 10, 10, 1);
        let stamp = desk.now + Nanos::from_millis(1);
        let news = BalanceReport { wallet: 10 * LOT, cause: BalanceCause::Order, hydrated: false, ..report };
        if balance_first {
            desk.stamped(stamp, InstrumentId::NONE, Body::Balance(news));
            desk.give(bracket(HydrationPhase::End));
            desk.stamped(stamp, BTC, Body::Order(fill));
        } else {
            desk.stamped(stamp, BTC, Body::Order(fill));
            desk.give(bracket(HydrationPhase::End));
            desk.stamped(stamp, InstrumentId::NONE, Body::Balance(news));
        }
        desk.settle();
        assert_eq!(holds(&desk), (10, 0), "balance first: {balance_first}");
        assert!(!is_inconsistent(&desk));
        assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
    }
}

#[test]
fn a_strangers_trade_of_the_time_before_a_warm_start_is_counted_once() {
    let mut desk = spot();
    break_private(&mut desk);
    read_back_wallet(&mut desk, 3);
    assert_eq!(holds(&desk), (0, 3));
    desk.give(Body::Control(Control {
        verb: ControlVerb::WarmStart,
        target: u32::from(Orphans::Close.code()),
        old: 0,
        new: 0,
        who: 0,
    }));
    // Somebody has bought two while nobody looked: the wallet has five.
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    read_back_wallet(&mut desk, 5);
    let trades = asks(&desk, HydrationScope::Trades);
    for ask in trades {
        if ask.instrument == BTC {
            let stranger = Dispatch { client_order_id: ClientOrderId::NONE, ..Desk::ready().send(bid(5, 2)) };
            let flags = ReportFlags(ReportFlags::TRADE_ONLY).with(ReportFlags::HYDRATED, true);
            let trade = OrderReport { flags, ..desk.fill(&stranger, 2, 2, 900) };
            desk.stamped(Nanos::ZERO, BTC, Body::Order(trade));
        }
        desk.on(
            ask.instrument,
            Body::Hydration(Hydration {
                scope: HydrationScope::Trades,
                phase: HydrationPhase::End,
                client_order_id: ClientOrderId::NONE,
                request: ask.number,
                as_of: Nanos::ZERO,
            }),
        );
    }
    desk.settle();
    assert_eq!(holds(&desk), (0, 5), "a wallet of five holds five");
    assert!(!is_inconsistent(&desk));
}

/// Two venues, so that one's wallets are not the other's.
#[test]
fn a_read_back_of_one_venue_leaves_the_balances_of_another() {
    let with = Configuration { venues: vec![VenueLimits::default(); 2], ..configuration() };
    let mut desk = Desk::ready_with(with, definition());
    let report = BalanceReport {
        asset: AssetId(2),
        wallet: 5_000,
        available: i64::MIN,
        change: 0,
        cause: BalanceCause::Order,
        hydrated: false,
    };
    desk.at(VenueId(1), InstrumentId::NONE, Body::Balance(report));
    break_private(&mut desk);
    desk.hydrate(|_| {});
    let known = desk.core.state().account.balance(VenueId(1), AssetId(2)).unwrap().wallet;
    assert_eq!(known, Cash::new(5_000));
}

#[test]
fn a_person_has_an_account_read_back_though_nothing_is_in_doubt() {
    let mut desk = Desk::ready();
    let before = desk.seen.asks.len();
    desk.control(ControlVerb::ReadBack, 0);
    let asked: Vec<_> = desk.seen.asks[before..].iter().map(|ask| ask.scope).collect();
    assert_eq!(asked, [HydrationScope::Account]);
    assert_eq!(desk.core.state().control.closed_gate(VenueId(0)), Some(Gate::Account));
    desk.hydrate(|desk| desk.position(BTC, 0, true));
    assert_eq!(desk.core.state().control.closed_gate(VenueId(0)), None, "and trades on");
    assert_eq!(desk.seen.asks.len(), before + 1, "once");
}
